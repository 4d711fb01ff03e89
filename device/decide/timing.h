/* timing.h - how long something takes: a histogram of nanoseconds, one eighth of an octave wide.
 *
 * Zero is empty. One thread adds, any may read. Quantiles are the upper edge of their class, at most 12.5 %
 * too long. */
#ifndef FOGLINE_DEVICE_DECIDE_TIMING_H
#define FOGLINE_DEVICE_DECIDE_TIMING_H

#include <stdatomic.h>
#include <stdint.h>

enum { TIMING_CLASSES = 16 + 40 * 8 };

struct timing {
    _Atomic uint64_t n, max_ns;
    _Atomic uint64_t of_class[TIMING_CLASSES];
};

void timing_add(struct timing *t, int64_t ns);
uint64_t timing_quantile_ns(const struct timing *t, unsigned per_mille); /* 0: nothing was added */

#endif
