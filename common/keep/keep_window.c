#include "keep/keep.h"

#include <math.h>

const char *const keep_window_names[KEEP_WINDOW_CELLS] = {"count", "min", "max", "mean"};

int64_t keep_window_start(int64_t time_ns, int64_t length_ns)
{
    int64_t into = time_ns % length_ns;

    if (into < 0)
        into += length_ns;
    return time_ns >= INT64_MIN + into ? time_ns - into : INT64_MIN;
}

void keep_window_add(struct keep_window *w, const struct keep_rule *r, int64_t time_ns,
                     const struct cell *cell)
{
    double value = r->type == COLUMN_INT64 ? (double)cell->i64 : cell->f64, step;

    if (w->n_seen == 0)
        *w = (struct keep_window){.start_ns = keep_window_start(time_ns, r->aggregate_ns)};
    w->n_seen++;
    w->is_doubtful |= cell->quality != QUALITY_GOOD || !isfinite(value);
    if (!isfinite(value) || cell->quality == QUALITY_BAD || cell->quality == QUALITY_STALE)
        return;
    w->n++;
    if (w->n == 1) {
        w->min = w->max = w->mean = value;
        return;
    }
    w->min = fmin(w->min, value);
    w->max = fmax(w->max, value);
    step = (value - w->mean) / (double)w->n;
    if (!isfinite(step)) /* further apart than a double reaches */
        step = value / (double)w->n - w->mean / (double)w->n;
    w->mean = fmin(fmax(w->mean + step, w->min), w->max);
}

enum quality keep_window_quality(const struct keep_window *w)
{
    return w->n == 0 ? QUALITY_BAD : w->is_doubtful ? QUALITY_UNCERTAIN : QUALITY_GOOD;
}

void keep_window_cells(const struct keep_window *w, struct cell out[KEEP_WINDOW_CELLS])
{
    for (unsigned i = 0; i < KEEP_WINDOW_CELLS; i++)
        out[i] = (struct cell){.absent = w->n == 0, .quality = (uint8_t)keep_window_quality(w)};
    out[KEEP_COUNT].absent = false;
    out[KEEP_COUNT].i64 = (int64_t)w->n;
    if (w->n == 0)
        return;
    out[KEEP_MIN].f64 = w->min;
    out[KEEP_MAX].f64 = w->max;
    out[KEEP_MEAN].f64 = w->mean;
}
