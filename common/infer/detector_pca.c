/* PCA: what the main components of commissioning explain (T2), and what they do not (Q). */
#include "infer/detector_private.h"

/* means[n], then during commissioning the triangle of products; after it limits, eigenvalues, vectors. */
struct model {
    double *means, *triangle, *limits, *values, *vectors;
};

static size_t pca_n_doubles(const struct detector_spec *spec)
{
    size_t n = spec->n_channels;

    return n + 2 + n + n * n;
}

static struct model model_of(struct detector_state *s)
{
    double *at = detector_doubles(s);
    uint32_t n = s->spec.n_channels;

    return (struct model){
        .means = at, .triangle = at + n, .limits = at + n, .values = at + n + 2, .vectors = at + n + 2 + n};
}

static void pca_learn(struct detector_state *s, const struct detector_row *row)
{
    double v[DETECTOR_CHANNELS_MAX];
    struct model m = model_of(s);

    if (!row->is_counted || !row->is_complete)
        return;
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        v[i] = s->channels[i].fast;
    triangle_add(m.triangle, m.means, s->n_complete++, v, s->spec.n_channels);
}

/* Wilson and Hilferty: the point `sigma` out in the distribution of a sum of k squares. */
static double chi2_point(double k, double sigma)
{
    double x = 1 - 2 / (9 * k) + sigma * sqrt(2 / (9 * k));

    return k * x * x * x;
}

/* Box: Q is distributed as a multiple of a sum of squares with the same two moments. */
static double q_limit(const double *values, uint32_t n_kept, uint32_t n, double sigma)
{
    double first = 0, second = 0;

    for (uint32_t i = n_kept; i < n; i++)
        if (values[i] > 1e-9) {
            first += values[i];
            second += square(values[i]);
        }
    return second > 0 ? second / first * chi2_point(square(first) / second, sigma) : 0;
}

static void pca_fit(struct detector_state *s)
{
    uint32_t n = s->spec.n_channels;
    double full[DETECTOR_CHANNELS_MAX * DETECTOR_CHANNELS_MAX], scales[DETECTOR_CHANNELS_MAX], sum = 0,
                                                                                               all = 0;
    struct model m = model_of(s);

    triangle_correlate(m.triangle, s->n_complete, n, 0, scales);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            full[i * n + k] = m.triangle[k <= i ? triangle_at(i, k) : triangle_at(k, i)];
    symmetric_eigen(full, n, m.values, m.vectors);
    for (uint32_t i = 0; i < n; i++) {
        struct channel_state *c = &s->channels[i];

        c->centre = m.means[i];
        c->scale = scales[i];
        c->is_judged = c->is_judged && scales[i] > 0;
        all += m.values[i];
    }
    for (s->n_kept = 0; s->n_kept < n && sum < s->spec.share * all; s->n_kept++)
        sum += m.values[s->n_kept];
    m.limits[0] = chi2_point(s->n_kept, s->spec.limit);
    m.limits[1] = q_limit(m.values, s->n_kept, n, s->spec.limit);
}

/* `rest` loses what the components say. */
static double t2_of(const struct detector_state *s, const struct model *m, double *rest)
{
    uint32_t n = s->spec.n_channels;
    double t2 = 0;

    for (uint32_t i = 0; i < s->n_kept; i++) {
        const double *vector = m->vectors + (size_t)i * n;
        double along = 0;

        for (uint32_t k = 0; k < n; k++)
            along += vector[k] * rest[k];
        for (uint32_t k = 0; k < n; k++)
            rest[k] -= along * vector[k];
        t2 += m->values[i] > 1e-9 ? square(along) / m->values[i] : 0;
    }
    return t2;
}

/* The score is a ratio of deviations, hence the roots. */
static void pca_judge(struct detector_state *s, const struct detector_row *row,
                      struct detector_judgement *ret_j)
{
    struct model m = model_of(s);
    double rest[DETECTOR_CHANNELS_MAX], t2, q = 0, t2_part, q_part;

    (void)row;
    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        rest[i] = detector_deviation(&s->spec, &s->channels[i]);
        judge_channel(ret_j, i, fabs(rest[i]));
    }
    t2 = t2_of(s, &m, rest);
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        q += square(rest[i]);
    t2_part = sqrt(t2 / m.limits[0]);
    q_part = m.limits[1] > 0 ? sqrt(q / m.limits[1]) : 0;
    ret_j->score = t2_part > q_part ? t2_part : q_part;
}

const struct detector_ops detector_pca_ops = {
    .n_doubles = pca_n_doubles,
    .learn = pca_learn,
    .fit = pca_fit,
    .judge = pca_judge,
};
