/* arena.h - places blocks that live at different times in one piece of memory. Private to common/infer.
 *
 * Greatest first, each at the lowest place that none has which lives at the same time. Same input, same
 * places. Pure but for a list that is allocated while it works. */
#ifndef FOGLINE_INFER_ARENA_H
#define FOGLINE_INFER_ARENA_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct arena_block {
    size_t bytes;
    uint32_t first, last; /* steps at which it is needed, both included */
    size_t offset;        /* found; a multiple of MODEL_ALIGN */
};

/* *ret_bytes: what all of them need. -ENOMEM. */
must_check int arena_place(struct arena_block *blocks, size_t n, size_t *ret_bytes);

#endif
