#include "model/ranges.h"

#include <math.h>

enum { STEPS = 100 }; /* candidates for either end */

void range_see(struct range_observer *o, float v)
{
    if (!isfinite(v)) {
        o->n_odd++;
        return;
    }
    o->low = o->n == 0 || v < o->low ? v : o->low;
    o->high = o->n == 0 || v > o->high ? v : o->high;
    o->n++;
}

static double bin_width(const struct range_observer *o)
{
    return ((double)o->high - (double)o->low) / RANGE_BINS;
}

void range_count(struct range_observer *o, float v)
{
    double width = bin_width(o), at;

    if (!isfinite(v))
        return;
    at = width > 0 ? ((double)v - (double)o->low) / width : 0;
    o->bins[at >= RANGE_BINS ? RANGE_BINS - 1 : at > 0 ? (size_t)at : 0]++;
}

static struct range percentile_of(const struct range_observer *o, double percentile)
{
    double cut = (double)o->n * (1 - percentile / 100), below = 0, above = 0, width = bin_width(o);
    size_t first = 0, end = RANGE_BINS;

    /* A bin goes when all of it lies within what is cut off. */
    while (first < RANGE_BINS && below + o->bins[first] <= cut)
        below += o->bins[first++];
    while (end > first && above + o->bins[end - 1] <= cut)
        above += o->bins[--end];
    return (struct range){first == 0 ? o->low : (float)((double)o->low + width * (double)first),
                          end == RANGE_BINS ? o->high : (float)((double)o->low + width * (double)end)};
}

/* Of rounding within low .. high in 255 steps, and of cutting off what lies beyond. */
static double squared_error(const struct range_observer *o, double low, double high)
{
    double width = bin_width(o), step = (high - low) / 255, sum = 0;

    for (size_t i = 0; i < RANGE_BINS; i++) {
        double v = (double)o->low + width * ((double)i + 0.5);
        double beyond = v < low ? low - v : v > high ? v - high : 0;

        if (o->bins[i] > 0)
            sum += o->bins[i] * (beyond > step / 2 ? beyond * beyond : step * step / 12);
    }
    return sum;
}

/* Both ends in turn are moved towards 0, or towards the middle where 0 needs not be within. */
static struct range least_error(const struct range_observer *o, struct range all, bool with_zero)
{
    double low = (double)all.low, high = (double)all.high, best = squared_error(o, low, high);
    double pivot = with_zero ? 0 : (low + high) / 2;

    for (int turn = 0; turn < 2; turn++) {
        double l = low, h = high;

        for (int i = 1; i < STEPS; i++) {
            double to = (double)all.high + (pivot - (double)all.high) * i / STEPS;
            double e = squared_error(o, low, to);

            if (to > low && e < best) {
                best = e;
                h = to;
            }
        }
        high = h;
        for (int i = 1; i < STEPS; i++) {
            double from = (double)all.low + (pivot - (double)all.low) * i / STEPS;
            double e = squared_error(o, from, high);

            if (from < high && e < best) {
                best = e;
                l = from;
            }
        }
        low = l;
    }
    return (struct range){(float)low, (float)high};
}

struct range range_of(const struct range_observer *o, enum range_method method, double percentile,
                      bool with_zero)
{
    struct range r = {o->low, o->high};

    if (o->n == 0)
        return (struct range){0, 0};
    if (o->bins != NULL && o->high > o->low) {
        if (method == RANGE_PERCENTILE)
            r = percentile_of(o, percentile);
        if (with_zero && method == RANGE_MSE) {
            r.low = r.low < 0 ? r.low : 0;
            r.high = r.high > 0 ? r.high : 0;
        }
        if (method == RANGE_MSE)
            r = least_error(o, r, with_zero);
    }
    if (with_zero) {
        r.low = r.low < 0 ? r.low : 0;
        r.high = r.high > 0 ? r.high : 0;
    }
    return r;
}
