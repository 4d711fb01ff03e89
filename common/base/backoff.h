/* backoff.h - exponential backoff with full jitter, pure. Delay n is uniform in (0, min(cap, first * 2^n)],
 * but never below floor. `seed` differs per node. (Source: M. Brooker, "Exponential Backoff And Jitter", AWS
 * 2015.) */
#ifndef FOGLINE_BASE_BACKOFF_H
#define FOGLINE_BASE_BACKOFF_H

#include "base/rng.h"

#include <stdint.h>

struct backoff {
    int64_t first_ms, cap_ms, floor_ms;
    unsigned tries;
    struct rng rng;
};

void backoff_init(struct backoff *b, int64_t first_ms, int64_t cap_ms, int64_t floor_ms, uint64_t seed);
void backoff_reset(struct backoff *b);
int64_t backoff_next_ms(struct backoff *b);

#endif
