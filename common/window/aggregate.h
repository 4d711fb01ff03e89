/* aggregate.h - what can be said of a channel over a stretch of time, in a form that can be joined.
 *
 * Everything but the integral depends on the samples alone, not on their order or on how they were split up.
 * The integral holds each value until the next sample of the channel, so its samples come in the order of
 * their times (equal times: as they were read), and only stretches that follow each other are joined;
 * otherwise the integral, and with it the time-weighted mean, is unknown, and nothing else.
 *
 * Times lie within 2^62 ns of 1970. Threads: a value. Nothing here fails; memory is fixed. */
#ifndef FOGLINE_WINDOW_AGGREGATE_H
#define FOGLINE_WINDOW_AGGREGATE_H

#include "window/exact_sum.h"
#include "window/sketch.h"

#include <stdbool.h>
#include <stdint.h>

enum { AGGREGATE_BYTES_MAX = 64 + 3 * EXACT_SUM_BYTES_MAX + SKETCH_BYTES_MAX }; /* of aggregate_put */

struct aggregate_point {
    int64_t time_ns;
    double value;
};

/* Zero-initialised is of nothing. */
struct aggregate {
    uint64_t count;                          /* numbers; NaN are passed over */
    double min, max;                         /* -0 is below 0 */
    struct aggregate_point first, last;      /* equal times: the one read first, the one read last */
    struct exact_sum sum, squares, integral; /* of value x seconds / 1e9 from the first to the last sample */
    bool is_disordered;                      /* the integral is unknown */
    bool is_brief; /* set before the first sample: without squares and integral, so several times as fast */
    struct sketch *sketch; /* borrowed; NULL: no quantiles */
};

void aggregate_add(struct aggregate *a, int64_t time_ns, double value);
/* What `later` says follows in time; or does not, see above. Sketches are merged when both have one; when
 * only one has, a's is no longer of all samples and must not be read. With a brief one the result is brief.
 */
void aggregate_join(struct aggregate *a, const struct aggregate *later);

double aggregate_sum(const struct aggregate *a);  /* rounded once */
double aggregate_mean(const struct aggregate *a); /* NaN of nothing */
/* Of the sample (n - 1); 0 of one, NaN of nothing, beside infinities and when brief. Sum and squares are
 * exact and so is their difference: readings that hardly differ, far from zero, keep their spread. Beyond
 * 1e154 it is infinite. */
double aggregate_stddev(const struct aggregate *a);
/* (last - first) per second; NaN unless they are of different times. */
double aggregate_rate_per_s(const struct aggregate *a);
/* Over [from, to): each value holds until the next sample, the last one to the end; `before` holds from the
 * start to the first sample, and is NULL when nothing is known before it: then the mean begins there. NaN of
 * nothing known, disordered or brief. A window that takes no time: the last value. */
double aggregate_time_weighted_mean(const struct aggregate *a, int64_t from_ns, int64_t to_ns,
                                    const struct aggregate_point *before);

/* Bytes that aggregate_get makes the same aggregate of, so that parts can be joined elsewhere. A sketch that
 * is not of all samples is left out. The buffer's sticky error tells of failure. */
void aggregate_put(const struct aggregate *a, struct buf *out);
/* sketch: where quantiles go; its aggregate borrows it, and has none when the bytes hold none or it is NULL.
 * 0, or -EINVAL: bytes that aggregate_put never makes; nothing is changed then. */
must_check int aggregate_get(struct reader *r, struct sketch *sketch, struct aggregate *ret_a);

#endif
