/* SURPRISE: how rare the last value, step and shift are, measured by what the series itself has shown.
 *
 * Each of the three is a deviation whose upper tail is followed: a point beyond which a known share of rows
 * lies, and the mean excess beyond it. Taken as exponential, that gives a probability, and the surprise is
 * its negative logarithm, capped: single outliers of a spiky series say no more than that. The three are
 * joined by their 4-norm, and a value beyond all before adds what it exceeds of their range. */
#include "infer/detector_private.h"

#define DEVIATION_MAX 1e6
#define EXCESS_MAX 10   /* mean excesses: more than this does not move the mean */
#define POINT_SPEED 0.5 /* of tail_weight: the point moves slower than the mean excess beyond it */
#define POINT_START 2
#define EXTREMES_PER_RANGE 20
#define EXTREMES_MAX 10

enum { VALUE, STEP, SHIFT, N_EVIDENCES };

struct tail {
    double point, excess;
};

/* One a channel. */
struct series {
    double n; /* values, since ever */
    double mean, variance, step, last;
    double shift; /* of the short mean from that of all, before the last value: one value is no shift */
    double low, high;
    struct tail tails[N_EVIDENCES];
};

enum { SERIES_DOUBLES = 8 + 2 * N_EVIDENCES };

_Static_assert(sizeof(struct series) == SERIES_DOUBLES * sizeof(double), "series are doubles of the state");

static size_t surprise_n_doubles(const struct detector_spec *spec)
{
    return (size_t)spec->n_channels * SERIES_DOUBLES;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* -ln p for p in (0, 1], by the series of artanh: libraries differ in the last bit. */
static double minus_log(double p)
{
    double y, y2, sum = 0, halvings = 0;

    for (; p < 0.7; p *= 2)
        halvings++;
    y = (p - 1) / (p + 1);
    y2 = y * y;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * y2 + 1.0 / k;
    return halvings * 0.69314718055994530942 - 2 * y * sum;
}

/* The surprise of a deviation, before the tail learns it. */
static double surprise_of(const struct detector_spec *spec, double at_point, const struct tail *t, double x)
{
    double nats =
        x > t->point ? at_point + (x - t->point) / (t->excess + 1e-12) : at_point * x / (t->point + 1e-12);

    return clamped(nats, 0, spec->cap);
}

static void learn_tail(const struct detector_spec *spec, struct tail *t, double x, double n)
{
    double step = t->excess * larger(POINT_SPEED * spec->tail_weight, POINT_START / n);

    if (x > t->point) {
        double excess = x - t->point;

        excess = excess < EXCESS_MAX * t->excess ? excess : EXCESS_MAX * t->excess;
        t->excess += larger(spec->tail_weight, 1 / n) * (excess - t->excess);
        t->point += step;
    } else {
        t->point -= step * spec->tail / (1 - spec->tail);
    }
    t->point = clamped(t->point, 0, DEVIATION_MAX);
    t->excess = clamped(t->excess, 1e-9, DEVIATION_MAX);
}

static double ratio(double x, double scale)
{
    return scale > 0 ? clamped(fabs(x) / scale, 0, DEVIATION_MAX) : 0;
}

/* What x exceeds of the range so far. */
static double beyond(const struct series *r, double x)
{
    double range = r->high - r->low, over = x > r->high ? x - r->high : x < r->low ? r->low - x : 0;

    return range > 0 ? over / range : 0;
}

static void begin(struct series *r, double x)
{
    *r = (struct series){.n = 1, .mean = x, .last = x, .low = x, .high = x};
    for (int i = 0; i < N_EVIDENCES; i++)
        r->tails[i].excess = 1e-9;
}

static void learn_value(const struct detector_spec *spec, struct series *r, double x)
{
    double plain = 1 / (r->n + 1), weight = larger(spec->variance_weight, plain), d = x - r->mean;

    r->mean += larger(spec->follow, plain) * d;
    r->variance = (1 - weight) * (r->variance + weight * square(d));
    r->step += weight * (fabs(x - r->last) - r->step);
    r->last = x;
    r->low = x < r->low ? x : r->low;
    r->high = x > r->high ? x : r->high;
    r->n++;
}

static double surprise(const struct detector_spec *spec, struct series *r, const struct channel_state *c,
                       double x)
{
    double deviation = sqrt(r->variance), at_point = minus_log(spec->tail), sum = 0, extreme;
    double evidence[N_EVIDENCES];

    if (r->n < 1) {
        begin(r, x);
        return 0;
    }
    evidence[VALUE] = ratio(x - r->mean, deviation);
    evidence[STEP] = ratio(x - r->last, r->step);
    evidence[SHIFT] = ratio(r->shift, deviation);
    for (int i = 0; i < N_EVIDENCES; i++) {
        sum += square(square(surprise_of(spec, at_point, &r->tails[i], evidence[i])));
        learn_tail(spec, &r->tails[i], evidence[i], r->n + 1);
    }
    extreme = clamped(EXTREMES_PER_RANGE * beyond(r, x), 0, EXTREMES_MAX);
    learn_value(spec, r, x);
    r->shift = c->fast - c->slow;
    return sqrt(sqrt(sum)) + spec->extreme * extreme;
}

/* A higher score than all of the quiet rows before counts, the rest of them does not. */
static double after_quiet(struct detector_state *s, double score)
{
    if (s->quiet_left > 0)
        s->quiet_left--;
    else
        s->peak = 0;
    if (score <= s->peak)
        return 0;
    s->peak = score;
    s->quiet_left = s->spec.quiet_rows;
    return score;
}

static void surprise_judge(struct detector_state *s, const struct detector_row *row,
                           struct detector_judgement *ret_j)
{
    struct series *series = (struct series *)(void *)detector_doubles(s);

    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        if (row->usable[i])
            judge_channel(ret_j, i,
                          surprise(&s->spec, &series[i], &s->channels[i], row->values[i]) / s->spec.limit);
    ret_j->score = after_quiet(s, ret_j->score < DETECTOR_SCORE_MAX ? ret_j->score : DETECTOR_SCORE_MAX);
}

static void surprise_learn(struct detector_state *s, const struct detector_row *row)
{
    struct detector_judgement unheard = {0};

    surprise_judge(s, row, &unheard);
}

/* A series that was constant so far is judged as soon as it moves. */
static void surprise_fit(struct detector_state *s)
{
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        s->channels[i].is_judged = s->channels[i].n > 0;
}

const struct detector_ops detector_surprise_ops = {
    .n_doubles = surprise_n_doubles,
    .learn = surprise_learn,
    .fit = surprise_fit,
    .judge = surprise_judge,
};
