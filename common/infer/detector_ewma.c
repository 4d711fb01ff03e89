/* EWMA and MEWMA: smoothed values, alone and together. */
#include "infer/detector_private.h"

#define WANDER_MAX (1 / square(0.03))
#define DEVIATION_MAX 1e6
#define RIDGE 0.01 /* of correlations: channels that nearly repeat each other must not divide by nearly 0 */

double detector_wander(const struct channel_state *c)
{
    return c->step_sum > 0 ? clamped(2 * (c->square_sum / c->n) / (c->step_sum / c->n_steps), 1, WANDER_MAX)
                           : 1;
}

double detector_deviation(const struct detector_spec *spec, const struct channel_state *c)
{
    if (!c->is_judged || c->n_seen * spec->weight < 1)
        return 0;
    return clamped((c->fast - c->centre) / c->scale, -DEVIATION_MAX, DEVIATION_MAX);
}

void detector_follow(struct detector_state *s, uint32_t channel, double deviation_of_limit)
{
    struct channel_state *c = &s->channels[channel];

    if (c->is_judged && fabs(deviation_of_limit) < 1)
        c->centre += s->spec.follow * (c->fast - c->centre);
}

/* ---- EWMA ---- */

static void ewma_fit(struct detector_state *s)
{
    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        struct channel_state *c = &s->channels[i];
        double variance = c->square_sum / c->n;

        if (c->is_judged)
            c->scale = sqrt(c->fast_sum / c->n + square(s->spec.floor) * variance) * detector_wander(c);
        c->is_judged = c->is_judged && c->scale > 0;
    }
}

/* While an alarm is up the band stays where it was: else it would learn the anomaly. */
static void ewma_judge(struct detector_state *s, const struct detector_row *row,
                       struct detector_judgement *ret_j)
{
    double part[DETECTOR_CHANNELS_MAX];

    (void)row;
    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        part[i] = detector_deviation(&s->spec, &s->channels[i]) / s->spec.limit;
        judge_channel(ret_j, i, fabs(part[i]));
    }
    for (uint32_t i = 0; i < s->spec.n_channels && !detector_is_up(s, ret_j->score); i++)
        detector_follow(s, i, part[i]);
}

const struct detector_ops detector_ewma_ops = {.fit = ewma_fit, .judge = ewma_judge};

/* ---- MEWMA: means[n], then the triangle of products, after commissioning its Cholesky factor ---- */

static size_t mewma_n_doubles(const struct detector_spec *spec)
{
    return spec->n_channels + triangle_at(spec->n_channels, 0);
}

static void mewma_learn(struct detector_state *s, const struct detector_row *row)
{
    uint32_t n = s->spec.n_channels;
    double v[DETECTOR_CHANNELS_MAX], *means = detector_doubles(s);

    if (!row->is_counted || !row->is_complete)
        return;
    for (uint32_t i = 0; i < n; i++)
        v[i] = s->channels[i].fast;
    triangle_add(means + n, means, s->n_complete++, v, n);
}

static void mewma_fit(struct detector_state *s)
{
    uint32_t n = s->spec.n_channels;
    double scales[DETECTOR_CHANNELS_MAX], *means = detector_doubles(s);

    triangle_correlate(means + n, s->n_complete, n, RIDGE, scales);
    triangle_cholesky(means + n, n);
    for (uint32_t i = 0; i < n; i++) {
        struct channel_state *c = &s->channels[i];

        c->is_judged = c->is_judged && c->fast_sum > 0;
        c->centre = c->fast_mean;
        c->scale = c->is_judged ? sqrt(c->fast_sum / c->n) * detector_wander(c) : 0;
    }
}

static void mewma_judge(struct detector_state *s, const struct detector_row *row,
                        struct detector_judgement *ret_j)
{
    uint32_t n = s->spec.n_channels;
    double v[DETECTOR_CHANNELS_MAX];

    (void)row;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = detector_deviation(&s->spec, &s->channels[i]);
        judge_channel(ret_j, i, fabs(v[i]));
    }
    ret_j->score = sqrt(triangle_norm2(detector_doubles(s) + n, v, n) / n) / s->spec.limit;
}

const struct detector_ops detector_mewma_ops = {
    .n_doubles = mewma_n_doubles,
    .learn = mewma_learn,
    .fit = mewma_fit,
    .judge = mewma_judge,
};
