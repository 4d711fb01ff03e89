/* pool.h - memory that grows piece by piece and goes away as a whole.
 *
 * A cap bounds the sum of all pieces, so that a hostile file cannot ask for more than its reader allows.
 * Zero-initialised is empty. One thread. */
#ifndef FOGLINE_MODEL_POOL_H
#define FOGLINE_MODEL_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool_chunk;

struct pool {
    struct pool_chunk *chunks;
    uint8_t *at;
    size_t left_bytes, used_bytes;
    size_t cap_bytes; /* 0: none */
};

void pool_deinit(struct pool *p);
/* n elements of `bytes` each, zeroed, 64-byte aligned; NULL: no memory, or beyond the cap. Never NULL for 0
 * elements. Borrowed until pool_deinit. */
void *pool_alloc(struct pool *p, size_t n, size_t bytes);

#endif
