/* detector_private.h - the state of a detector and what its kinds share. */
#ifndef FOGLINE_INFER_DETECTOR_PRIVATE_H
#define FOGLINE_INFER_DETECTOR_PRIVATE_H

#include "infer/detector.h"

#include <math.h>

#define DETECTOR_VALUE_MAX 1e100
#define DETECTOR_SCORE_MAX 1e6

/* What is known of a channel. Sums are of commissioning, after the settling rows. */
struct channel_state {
    double last;                         /* usable value */
    double fast, slow;                   /* smoothed: judged; what it is compared with for a changepoint */
    double mean, square_sum, step_sum;   /* of values; of squares around the mean; of squared steps */
    double fast_mean, fast_sum, lag_sum; /* the same of `fast`; squares of fast - slow */
    double centre, scale, change_scale;  /* once fitted */
    uint32_t n_seen, n, n_steps;         /* usable: since the start or a gap; in the sums */
    uint32_t is_judged;
};

struct detector_state {
    uint32_t magic, version;
    uint64_t bytes, sum; /* sum: in an image only */
    struct detector_spec spec;
    int64_t last_ns;
    double peak;         /* SURPRISE: highest score of the quiet rows */
    uint32_t n_rows;     /* of commissioning, with a usable cell */
    uint32_t n_complete; /* MEWMA, PCA: rows in the sums of products */
    uint32_t is_begun, is_fitted, is_alarm;
    uint32_t quiet_left, change_quiet_left;
    uint32_t n_kept; /* PCA: components */
    struct channel_state channels[];
    /* then the doubles of the kind */
};

/* A row as the kinds see it. */
struct detector_row {
    double values[DETECTOR_CHANNELS_MAX];
    bool usable[DETECTOR_CHANNELS_MAX];
    bool is_counted; /* commissioning, after the settling rows */
    bool is_complete;
};

struct detector_judgement {
    double score;
    uint32_t channel;
};

/* One a kind. `learn` and `fit` may be NULL. Called in this order: learn for each row of commissioning, fit
 * at its end, judge for each row after it. The state of the channels is up to date before each. */
struct detector_ops {
    size_t (*n_doubles)(const struct detector_spec *spec);
    void (*learn)(struct detector_state *s, const struct detector_row *row);
    void (*fit)(struct detector_state *s);
    void (*judge)(struct detector_state *s, const struct detector_row *row, struct detector_judgement *ret_j);
    void (*after_gap)(struct detector_state *s); /* or NULL */
};

extern const struct detector_ops detector_ewma_ops, detector_mewma_ops, detector_cusum_ops,
    detector_page_hinkley_ops, detector_hampel_ops, detector_pca_ops, detector_surprise_ops;

const struct detector_ops *detector_ops_of(const struct detector_spec *spec);

/* Is an alarm up after a row of that score? */
static inline bool detector_is_up(const struct detector_state *s, double score)
{
    return s->is_alarm ? score >= s->spec.clear && score > 0 : score > 1;
}

static inline double *detector_doubles(struct detector_state *s)
{
    return (double *)(void *)(s->channels + s->spec.n_channels);
}

static inline double square(double x)
{
    return x * x;
}

/* NaN counts as `low`. */
static inline double clamped(double x, double low, double high)
{
    return x > low ? (x < high ? x : high) : low;
}

/* The channel says `score` of itself. */
static inline void judge_channel(struct detector_judgement *j, uint32_t channel, double score)
{
    if (score > j->score) {
        j->score = score;
        j->channel = channel;
    }
}

/* How much wider than its noise a channel needs its band. A channel whose values are independent has steps of
 * twice its variance, mean squared (von Neumann's ratio); one that wanders has far smaller ones, and its
 * spread during commissioning says as little about later. From 1 to 1111. */
double detector_wander(const struct channel_state *c);
/* The deviation of the smoothed value, within +-1e6; 0 when the channel is not judged or when, after a gap,
 * too few values make up the smoothed one. */
double detector_deviation(const struct detector_spec *spec, const struct channel_state *c);
/* What is within its limit moves the centre by `follow` of it. */
void detector_follow(struct detector_state *s, uint32_t channel, double deviation_of_limit);

/* The packed lower triangle of a symmetric matrix: row i holds i + 1 numbers. */
static inline size_t triangle_at(size_t i, size_t j)
{
    return i * (i + 1) / 2 + j;
}

/* The (n_rows + 1)th row v[n] into the means and the sums of products around them. */
void triangle_add(double *t, double *means, uint32_t n_rows, const double *v, size_t n);
/* The sums of products as correlations, 1 + ridge on the diagonal; deviations of `n_rows` rows to ret_scales.
 * What does not vary is uncorrelated and has the deviation 0. */
void triangle_correlate(double *t, uint32_t n_rows, size_t n, double ridge, double *ret_scales);
/* L with L L' = t, in place. A pivot that is not positive is left out: its row becomes zero. */
void triangle_cholesky(double *t, size_t n);
/* |L^-1 v|^2; v is overwritten with L^-1 v. */
double triangle_norm2(const double *l, double *v, size_t n);
/* Eigenvalues, the largest first, and their unit vectors, one a row. a[n * n], full, is overwritten. */
void symmetric_eigen(double *a, size_t n, double *ret_values, double *ret_vectors);

#endif
