#include "base/backoff.h"

void backoff_init(struct backoff *b, int64_t first_ms, int64_t cap_ms, int64_t floor_ms, uint64_t seed)
{
    *b = (struct backoff){
        .first_ms = first_ms > 0 ? first_ms : 1,
        .cap_ms = cap_ms > 0 ? cap_ms : 1,
        .floor_ms = floor_ms,
        .rng = {seed},
    };
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}

int64_t backoff_next_ms(struct backoff *b)
{
    int64_t limit_ms = b->cap_ms, delay_ms;

    /* first << tries, compared so that it cannot overflow. */
    if (b->tries < 62 && b->first_ms <= b->cap_ms >> b->tries)
        limit_ms = b->first_ms << b->tries;
    if (b->tries < 62)
        b->tries++;
    delay_ms = 1 + (int64_t)rng_below(&b->rng, (uint64_t)limit_ms);
    return delay_ms < b->floor_ms ? b->floor_ms : delay_ms;
}
