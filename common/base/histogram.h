/* histogram.h - how long things took: a histogram in fixed memory, from which quantiles are read.
 *
 * Buckets are log-linear, HISTOGRAM_STEPS to an octave, so a quantile is at most 1/HISTOGRAM_STEPS above the
 * true one and never below it. One writer; any thread may read while it writes and sees each bucket whole,
 * not all of them at one moment. Values are of any unit, 0 .. 2^40 - 1; larger ones count as the largest. */
#ifndef FOGLINE_BASE_HISTOGRAM_H
#define FOGLINE_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 8,
    HISTOGRAM_OCTAVES = 38, /* above the first two steps' worth, which are exact */
    HISTOGRAM_BUCKETS = (HISTOGRAM_OCTAVES + 1) * HISTOGRAM_STEPS,
};

/* Zero is empty. */
struct histogram {
    _Atomic uint32_t bucket[HISTOGRAM_BUCKETS];
    _Atomic uint64_t max;
};

void histogram_add(struct histogram *h, uint64_t value);
uint64_t histogram_count(const struct histogram *h);
/* Smallest bucket edge that at least `share` (0..1) of the values are not above, but never more than the
 * largest value; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double share);
uint64_t histogram_max(const struct histogram *h);
void histogram_clear(struct histogram *h); /* by the writer */

#endif
