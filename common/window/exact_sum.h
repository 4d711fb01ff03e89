/* exact_sum.h - a sum of doubles without rounding: the same bits in whatever order, however it is split up.
 *
 * A fixed-point number wide enough for any sum of 2^63 products of two doubles, in chunks of 32 bits that may
 * carry later (the small superaccumulator of R. M. Neal, "Fast exact summation using small and large
 * superaccumulators", arXiv:1505.05571, with narrower chunks). Rounded once, to nearest even, when it is
 * read. Infinities and NaN are remembered beside it: a sum with them is what IEEE 754 makes of it.
 *
 * Threads: a value. Nothing here fails. */
#ifndef FOGLINE_WINDOW_EXACT_SUM_H
#define FOGLINE_WINDOW_EXACT_SUM_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EXACT_SUM_CHUNKS = 140,
    EXACT_SUM_BYTES_MAX = 4 + 4 * EXACT_SUM_CHUNKS, /* of exact_sum_put */
};

/* Zero-initialised is 0. Chunk i counts 2^(32 i - 2176). */
struct exact_sum {
    int64_t chunk[EXACT_SUM_CHUNKS];
    uint32_t n_since_carry;
    bool has_nan, has_plus_infinity, has_minus_infinity;
};

void exact_sum_add(struct exact_sum *s, double x);
void exact_sum_add_square(struct exact_sum *s, double x);
void exact_sum_add_product(struct exact_sum *s, double x, int64_t times);
void exact_sum_merge(struct exact_sum *s, const struct exact_sum *other);
/* s += other x factor. Without rounding where other is a sum of doubles, or of squares when factor is an
 * integer; nothing that is not finite takes part. */
void exact_sum_add_multiple(struct exact_sum *s, const struct exact_sum *other, double factor);

/* The nearest double. */
double exact_sum_value(const struct exact_sum *s);
/* The nearest double, and the double nearest to what is left: 106 bits. low is 0 when high is not finite. */
void exact_sum_pair(const struct exact_sum *s, double *ret_high, double *ret_low);

/* Bytes of the sum; a few for readings of like size. The same for the same sum. */
void exact_sum_put(const struct exact_sum *s, struct buf *out);
/* 0, or -EINVAL: bytes that exact_sum_put never makes. */
must_check int exact_sum_get(struct reader *r, struct exact_sum *ret_s);

#endif
