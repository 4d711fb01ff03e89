/* Hampel: how far a value lies from the median of the rows before it, in deviations estimated by the median.
 */
#include "infer/detector_private.h"

#define DEVIATION_OF_MAD 1.4826 /* of a normal distribution */

/* The last values of a channel, the newest first. */
static size_t hampel_n_doubles(const struct detector_spec *spec)
{
    return (size_t)spec->n_channels * spec->window_rows;
}

static double *window_of(struct detector_state *s, uint32_t channel)
{
    return detector_doubles(s) + (size_t)channel * s->spec.window_rows;
}

/* Sorts v. */
static double median(double *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double x = v[i];
        size_t k = i;

        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* When more than half of the window is one value, the mean deviation takes the place of the median one. */
static double deviation(const double *window, size_t n, double x)
{
    double v[DETECTOR_WINDOW_MAX], middle, spread, sum = 0;

    memcpy(v, window, n * sizeof *v);
    middle = median(v, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = fabs(v[i] - middle);
        sum += v[i];
    }
    spread = DEVIATION_OF_MAD * median(v, n);
    if (spread <= 0)
        spread = sum / (double)n;
    return spread > 0 ? fabs(x - middle) / spread : 0;
}

static void remember(struct detector_state *s, const struct detector_row *row)
{
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        if (row->usable[i]) {
            memmove(window_of(s, i) + 1, window_of(s, i), (s->spec.window_rows - 1) * sizeof(double));
            window_of(s, i)[0] = row->values[i];
        }
}

/* n_seen counts this row, too. */
static void hampel_judge(struct detector_state *s, const struct detector_row *row,
                         struct detector_judgement *ret_j)
{
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        if (row->usable[i] && s->channels[i].n_seen > s->spec.window_rows)
            judge_channel(ret_j, i,
                          deviation(window_of(s, i), s->spec.window_rows, row->values[i]) / s->spec.limit);
    remember(s, row);
}

const struct detector_ops detector_hampel_ops = {
    .n_doubles = hampel_n_doubles,
    .learn = remember,
    .judge = hampel_judge,
};
