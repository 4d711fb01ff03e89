/* CUSUM and Page-Hinkley: deviations beyond a slack add up, upwards and downwards. */
#include "infer/detector_private.h"

#define SUM_MAX 2 /* of the limit: so long an anomaly may be, it is forgotten in bounded time */

struct sums {
    double up, down;
    double mean, n; /* PAGE_HINKLEY: since the last alarm */
};

_Static_assert(sizeof(struct sums) == 4 * sizeof(double), "sums are doubles of the state");

static size_t cusum_n_doubles(const struct detector_spec *spec)
{
    return spec->n_channels * 4;
}

static struct sums *sums_of(struct detector_state *s, uint32_t channel)
{
    return (struct sums *)(void *)detector_doubles(s) + channel;
}

static void clear_sums(struct detector_state *s)
{
    memset(detector_doubles(s), 0, cusum_n_doubles(&s->spec) * sizeof(double));
}

/* Returns the larger sum, in parts of the limit. */
static double add(const struct detector_spec *spec, struct sums *sums, double deviation)
{
    double most = SUM_MAX * spec->limit;

    sums->up = clamped(sums->up + deviation - spec->slack, 0, most);
    sums->down = clamped(sums->down - deviation - spec->slack, 0, most);
    return (sums->up > sums->down ? sums->up : sums->down) / spec->limit;
}

static void cusum_fit(struct detector_state *s)
{
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        s->channels[i].scale *= detector_wander(&s->channels[i]);
}

static void cusum_judge(struct detector_state *s, const struct detector_row *row,
                        struct detector_judgement *ret_j)
{
    double part[DETECTOR_CHANNELS_MAX];

    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        const struct channel_state *c = &s->channels[i];
        struct sums *sums = sums_of(s, i);

        part[i] = (sums->up > sums->down ? sums->up : sums->down) / s->spec.limit;
        if (c->is_judged && row->usable[i])
            part[i] = add(&s->spec, sums, (row->values[i] - c->centre) / c->scale);
        judge_channel(ret_j, i, part[i]);
    }
    for (uint32_t i = 0; i < s->spec.n_channels && !detector_is_up(s, ret_j->score); i++)
        if (row->usable[i])
            detector_follow(s, i, part[i]);
}

const struct detector_ops detector_cusum_ops = {
    .n_doubles = cusum_n_doubles,
    .fit = cusum_fit,
    .judge = cusum_judge,
    .after_gap = clear_sums,
};

/* An alarm is one row long: it begins anew at the level that it found. */
static void page_hinkley_judge(struct detector_state *s, const struct detector_row *row,
                               struct detector_judgement *ret_j)
{
    if (s->is_alarm)
        clear_sums(s);
    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        const struct channel_state *c = &s->channels[i];
        struct sums *sums = sums_of(s, i);

        if (!c->is_judged || !row->usable[i])
            continue;
        sums->n++;
        sums->mean += (row->values[i] - sums->mean) / sums->n;
        judge_channel(ret_j, i, add(&s->spec, sums, (row->values[i] - sums->mean) / c->scale));
    }
}

const struct detector_ops detector_page_hinkley_ops = {
    .n_doubles = cusum_n_doubles,
    .judge = page_hinkley_judge,
    .after_gap = clear_sums,
};
