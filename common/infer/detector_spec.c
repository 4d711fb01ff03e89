#include "infer/detector.h"

#include <math.h>

#define BIT(kind) (1u << DETECTOR_##kind)
#define SMOOTHED (BIT(EWMA) | BIT(MEWMA) | BIT(CUSUM) | BIT(PCA))
#define ALL ((1u << DETECTOR_N_KINDS) - 1)
#define WHOLE(field) offsetof(struct detector_spec, field), true
#define REAL(field) offsetof(struct detector_spec, field), false

static const struct detector_param params[] = {
    {"commission_rows", "rows", "how many rows it learns from before it judges", SMOOTHED,
     WHOLE(commission_rows), 20, 10000000, 400},
    {"commission_rows", "rows", "how many rows it learns from before it judges", ALL & ~SMOOTHED,
     WHOLE(commission_rows), 20, 10000000, 100},
    {"settle_rows", "rows", "rows at the start that are not learned from; fewer than commission_rows",
     SMOOTHED, WHOLE(settle_rows), 0, 10000000, 50},
    {"gap_ms", "ms", "a longer time between two rows begins smoothing anew; 0: never", ALL, WHOLE(gap_ms), 0,
     UINT32_MAX, 0},
    {"limit", "deviations", "alarm limit, in deviations of the smoothed value", BIT(EWMA), REAL(limit), 0.1,
     1000, 3.4},
    {"limit", "deviations", "alarm limit of the root of T2 a channel", BIT(MEWMA), REAL(limit), 0.1, 1000, 3},
    {"limit", "deviations", "alarm limit of the sum of deviations beyond the slack", BIT(CUSUM), REAL(limit),
     0.1, 100000, 100},
    {"limit", "deviations", "alarm limit of the sum of deviations beyond the slack", BIT(PAGE_HINKLEY),
     REAL(limit), 0.1, 100000, 30},
    {"limit", "deviations", "alarm limit, in deviations by the median", BIT(HAMPEL), REAL(limit), 0.1, 1000,
     6},
    {"limit", "sigma", "how far out in the distributions of T2 and Q the limits lie", BIT(PCA), REAL(limit),
     0.1, 1000, 6},
    {"limit", "nats", "alarm limit of the surprise; a probability of 1 % is 4.6", BIT(SURPRISE), REAL(limit),
     0.1, 1000, 6.55},
    {"clear", "of the limit", "an alarm is cleared below this part of its limit", ALL, REAL(clear), 0, 1,
     0.7},
    {"weight", "", "weight of a new value in the smoothed one",
     BIT(EWMA) | BIT(MEWMA) | BIT(CUSUM) | BIT(PCA), REAL(weight), 0.001, 1, 0.1},
    {"weight", "", "weight of a new value in the short mean that shows shifts", BIT(SURPRISE), REAL(weight),
     0.001, 1, 0.2},
    {"follow", "", "how much of a deviation within the limit the centre takes over, a row",
     BIT(EWMA) | BIT(CUSUM), REAL(follow), 0, 0.1, 0.003},
    {"follow", "", "weight of a new value in the mean that values are compared with", BIT(SURPRISE),
     REAL(follow), 0.0001, 1, 0.005},
    {"floor", "deviations",
     "the band of a smoothed value is at least this part of the deviation of the channel", BIT(EWMA),
     REAL(floor), 0, 10, 0.3},
    {"change_limit", "deviations", "limit for a changepoint: smoothed value to slow reference; 0: none",
     SMOOTHED, REAL(change_limit), 0, 1000, 4.5},
    {"change_weight", "", "weight of a new value in the slow reference", SMOOTHED, REAL(change_weight),
     0.0001, 1, 0.02},
    {"change_quiet_rows", "rows", "no further changepoint for so long", SMOOTHED, WHOLE(change_quiet_rows), 0,
     1000000, 30},
    {"slack", "deviations", "a deviation up to this adds nothing", BIT(CUSUM) | BIT(PAGE_HINKLEY),
     REAL(slack), 0, 100, 1},
    {"window_rows", "rows", "length of the window", BIT(HAMPEL), WHOLE(window_rows), 5, DETECTOR_WINDOW_MAX,
     31},
    {"share", "", "share of the variance that the kept components explain", BIT(PCA), REAL(share), 0.01, 1,
     0.9},
    {"variance_weight", "", "weight of a new deviation in the variance and the mean step", BIT(SURPRISE),
     REAL(variance_weight), 0, 1, 0.0002},
    {"tail", "", "share of rows beyond the point from where rarity is measured", BIT(SURPRISE), REAL(tail),
     0.001, 0.5, 0.02},
    {"tail_weight", "", "weight of a new excess in its mean", BIT(SURPRISE), REAL(tail_weight), 0.0001, 1,
     0.0075},
    {"cap", "nats", "one kind of evidence says no more than this", BIT(SURPRISE), REAL(cap), 1, 100, 5},
    {"extreme", "nats", "for going beyond all before by 5 % of their range; at most 10 times this",
     BIT(SURPRISE), REAL(extreme), 0, 100, 2},
    {"quiet_rows", "rows", "after a surprise only a greater one counts for so long", BIT(SURPRISE),
     WHOLE(quiet_rows), 0, 1000000, 120},
};

enum { N_PARAMS = sizeof params / sizeof params[0] };

const struct detector_param *detector_params(size_t *ret_n)
{
    *ret_n = N_PARAMS;
    return params;
}

const char *detector_kind_name(enum detector_kind kind)
{
    static const char *const names[] = {"ewma",   "mewma", "cusum",   "page_hinkley",
                                        "hampel", "pca",   "surprise"};

    return (unsigned)kind < DETECTOR_N_KINDS ? names[kind] : "?";
}

static double get(const struct detector_spec *spec, const struct detector_param *p)
{
    const uint8_t *at = (const uint8_t *)spec + p->offset;
    uint32_t whole;
    double real;

    if (p->is_whole) {
        memcpy(&whole, at, sizeof whole);
        return whole;
    }
    memcpy(&real, at, sizeof real);
    return real;
}

struct detector_spec detector_defaults(enum detector_kind kind, uint32_t n_channels)
{
    struct detector_spec spec = {.kind = kind, .n_channels = n_channels};

    for (size_t i = 0; i < N_PARAMS; i++) {
        uint8_t *at = (uint8_t *)&spec + params[i].offset;
        uint32_t whole = (uint32_t)params[i].normal;

        if (kind >= DETECTOR_N_KINDS || (params[i].kinds & 1u << kind) == 0)
            continue;
        if (params[i].is_whole)
            memcpy(at, &whole, sizeof whole);
        else
            memcpy(at, &params[i].normal, sizeof params[i].normal);
    }
    return spec;
}

/* Does another row say what the parameter is to this kind? */
static bool is_used(uint32_t kind, uint32_t offset)
{
    for (size_t i = 0; i < N_PARAMS; i++)
        if (params[i].offset == offset && (params[i].kinds & 1u << kind) != 0)
            return true;
    return false;
}

int detector_check(const struct detector_spec *spec, struct errmsg *err)
{
    const char *name;

    if (spec->kind >= DETECTOR_N_KINDS)
        return errmsg_set(err, -EINVAL, "detector: no kind %u; there are %d", spec->kind, DETECTOR_N_KINDS);
    name = detector_kind_name(spec->kind);
    if (spec->n_channels < 1 || spec->n_channels > DETECTOR_CHANNELS_MAX)
        return errmsg_set(err, -EINVAL, "%s: %u channels; from 1 to %d are possible", name, spec->n_channels,
                          DETECTOR_CHANNELS_MAX);
    for (size_t i = 0; i < N_PARAMS; i++) {
        const struct detector_param *p = &params[i];
        double v = get(spec, p);

        if ((p->kinds & 1u << spec->kind) == 0) {
            if (v != 0 && !is_used(spec->kind, p->offset))
                return errmsg_set(err, -EINVAL, "%s: %s means nothing to this kind; leave it out", name,
                                  p->name);
        } else if (!(v >= p->min && v <= p->max)) {
            return errmsg_set(err, -EINVAL, "%s: %s is %g; it must be from %g to %g%s%s", name, p->name, v,
                              p->min, p->max, p->unit[0] != '\0' ? " " : "", p->unit);
        }
    }
    if (spec->settle_rows + UINT64_C(20) > spec->commission_rows)
        return errmsg_set(
            err, -EINVAL,
            "%s: commission_rows %u less settle_rows %u leaves fewer than 20 rows to learn from", name,
            spec->commission_rows, spec->settle_rows);
    return 0;
}
