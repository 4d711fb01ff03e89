#include "model/pool.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, CHUNK_BYTES = 1 << 16 };

struct pool_chunk {
    struct pool_chunk *next;
};

void pool_deinit(struct pool *p)
{
    while (p->chunks != NULL) {
        struct pool_chunk *next = p->chunks->next;

        free(p->chunks);
        p->chunks = next;
    }
    *p = (struct pool){.cap_bytes = p->cap_bytes};
}

/* Room for `bytes`, a multiple of ALIGN. */
static uint8_t *more(struct pool *p, size_t bytes)
{
    size_t size = bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES;
    struct pool_chunk *c = aligned_alloc(ALIGN, size + ALIGN);

    if (c == NULL)
        return NULL;
    c->next = p->chunks;
    p->chunks = c;
    if (size != bytes) {
        p->at = (uint8_t *)c + ALIGN + bytes;
        p->left_bytes = size - bytes;
    }
    return (uint8_t *)c + ALIGN;
}

void *pool_alloc(struct pool *p, size_t n, size_t bytes)
{
    uint8_t *at;
    size_t need;

    if (__builtin_mul_overflow(n, bytes, &need) || need > SIZE_MAX / 2)
        return NULL;
    need = need == 0 ? ALIGN : (need + ALIGN - 1) / ALIGN * ALIGN;
    if (p->cap_bytes > 0 && need > p->cap_bytes - p->used_bytes)
        return NULL;
    if (need <= p->left_bytes) {
        at = p->at;
        p->at += need;
        p->left_bytes -= need;
    } else if ((at = more(p, need)) == NULL) {
        return NULL;
    }
    p->used_bytes += need;
    return memset(at, 0, need);
}
