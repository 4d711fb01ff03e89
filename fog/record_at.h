/* record_at.h - which of two records of a device was made later, in whatever order they arrive. Values. */
#ifndef FOGLINE_FOG_RECORD_AT_H
#define FOGLINE_FOG_RECORD_AT_H

#include "base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct record_at {
    struct id128 epoch;
    uint32_t stream; /* its number in the spool: later epochs of a device have higher ones */
    uint64_t seq;
};

static inline bool record_at_is_newer(const struct record_at *a, const struct record_at *b)
{
    return id128_equal(&a->epoch, &b->epoch) ? a->seq > b->seq : a->stream >= b->stream;
}

#endif
