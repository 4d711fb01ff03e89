/* body_check.h - the check behind a fast or small body, computed a second time from its description
 * (common/codec/block.c), so that hostile bytes get past it. */
#ifndef FOGLINE_TESTS_CODEC_BODY_CHECK_H
#define FOGLINE_TESTS_CODEC_BODY_CHECK_H

#include "codec/column.h"

enum { BODY_CHECK_MAX_BYTES = 4 };

static inline uint64_t body_check_step(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* Behind the len bytes at body, which has room for BODY_CHECK_MAX_BYTES more; returns the length of both. */
static inline size_t body_check_put(const struct block_shape *shape, uint8_t *body, size_t len)
{
    uint64_t h = body_check_step(shape->encoding, (uint64_t)shape->n_columns << 32 | shape->n_rows), sums[4];
    size_t at, i, check_bytes = len <= 64 ? 2 : 4;

    h = body_check_step(h, (uint64_t)shape->time_first_ns);
    h = body_check_step(h, shape->starts == NULL ? 0 : shape->starts->digest);
    h = body_check_step(h, len);
    for (i = 0; i < 4; i++)
        sums[i] = h + i;
    for (at = 0, i = 0; at < len; at += 8, i = (i + 1) % 4) {
        uint64_t word = 0;

        memcpy(&word, body + at, len - at < 8 ? len - at : 8);
        sums[i] = body_check_step(sums[i], word);
    }
    h = sums[0];
    for (i = 1; i < 4; i++)
        h = body_check_step(h, sums[i]);
    h >>= 64 - 8 * check_bytes;
    memcpy(body + len, &h, check_bytes);
    return len + check_bytes;
}

/* How many of the bytes of an encoded body are the check. */
static inline size_t body_check_bytes(size_t all_bytes)
{
    return all_bytes <= 66 ? 2 : 4;
}

#endif
