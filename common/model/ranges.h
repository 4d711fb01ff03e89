/* ranges.h - between which values a tensor is quantised, from the values it had.
 *
 * Two passes: first the extent, then how often what lies in it. Values that are no finite numbers are counted
 * and do not matter otherwise. Plain values but for the histogram, which is borrowed. */
#ifndef FOGLINE_MODEL_RANGES_H
#define FOGLINE_MODEL_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGE_BINS = 2048 };

enum range_method {
    RANGE_MSE = 0,    /* the range with the least mean squared error */
    RANGE_MINMAX,     /* all that was seen */
    RANGE_PERCENTILE, /* all but the same share at either end */
};

struct range {
    float low, high; /* low <= 0 <= high unless said */
};

struct range_observer {
    float low, high; /* of all finite values */
    uint64_t n, n_odd;
    uint32_t *bins; /* RANGE_BINS over low .. high */
};

/* Pass 1. */
void range_see(struct range_observer *o, float v);
/* Pass 2; bins was set to RANGE_BINS zeros. */
void range_count(struct range_observer *o, float v);

/* percentile: 50 < percentile <= 100, of RANGE_PERCENTILE. with_zero: 0 lies within. An observer that saw no
 * finite value gives 0 .. 0. */
struct range range_of(const struct range_observer *o, enum range_method method, double percentile,
                      bool with_zero);

#endif
