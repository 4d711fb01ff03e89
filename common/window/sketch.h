/* sketch.h - quantiles of many numbers in little memory, with an error that is known.
 *
 * A count for each bucket; buckets are the doubles that share sign, exponent and the first `places` bits of
 * the mantissa, so a quantile is off by at most sketch_error() of itself. When more than SKETCH_BUCKETS_MAX
 * are in use, neighbours are joined, everywhere, and the error doubles. The result depends on the numbers
 * alone, not on their order or on how they were split over sketches that were merged.
 *
 * After DDSketch (Masson, Rim, Lee, PVLDB 12(12), 2019) with the uniform joining of UDDSketch (Epicoco et
 * al., IEEE Access 8, 2020) and the log-linear buckets of HdrHistogram, which need no logarithm and so are
 * the same on all processors. Threads: a value. */
#ifndef FOGLINE_WINDOW_SKETCH_H
#define FOGLINE_WINDOW_SKETCH_H

#include "base/bytes.h"

#include <stdint.h>

enum {
    SKETCH_BUCKETS_MAX = 256,
    SKETCH_PLACES = 9, /* at first: an error of 1/1024 */
    SKETCH_BYTES_MAX = 32 + 20 * SKETCH_BUCKETS_MAX,
};

/* Zero-initialised is empty. */
struct sketch {
    int64_t key[SKETCH_BUCKETS_MAX + 1]; /* rise */
    uint64_t n[SKETCH_BUCKETS_MAX + 1];
    double min, max;
    uint64_t count;
    uint32_t n_buckets;
    uint8_t joined; /* how often neighbours were joined */
};

/* NaN is passed over. */
void sketch_add(struct sketch *s, double x);
void sketch_merge(struct sketch *s, const struct sketch *other);

/* The number below or at which floor(share (count - 1)) others are, as a sorted array has it at that index;
 * share 0 .. 1. NaN when empty. */
double sketch_quantile(const struct sketch *s, double share);
/* |given - true| <= error |true|; of numbers below 2.3e-308 in size nothing is promised. */
double sketch_error(const struct sketch *s);

void sketch_put(const struct sketch *s, struct buf *out); /* the same bytes for the same numbers */
/* 0, or -EINVAL: bytes that sketch_put never makes. */
must_check int sketch_get(struct reader *r, struct sketch *ret_s);

#endif
