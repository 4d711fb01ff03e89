/* Detectors of anomalies that learn from the first rows (common/infer/detector.h), as a source. */

#include "device/infer/derived.h"

#include "infer/detector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct detector_config {
    struct derived_config derived;
    int method; /* enum detector_kind */
    double commission_rows, settle_rows, gap_ms, window_rows, quiet_rows, change_quiet_rows;
    double limit, clear, weight, follow, floor, change_limit, change_weight, slack, share, variance_weight,
        tail, tail_weight, cap, extreme;
};

#define AT(member) CONFIG_AT(struct detector_config, member)
#define ROW_PARAM(name, text)                                                                                \
    {                                                                                                        \
#name, CONFIG_DOUBLE, AT(name), .def = "nan", .help = text                                           \
    }

static const char *const methods[] = {"ewma",   "mewma", "cusum",    "page_hinkley",
                                      "hampel", "pca",   "surprise", NULL};

static const struct config_row rows[] = {
    DERIVED_ROWS,
    {"method", CONFIG_ENUM, AT(method), .choices = methods, .def = "ewma",
     .help = "ewma: each channel's smoothed value against its band; mewma: all together; cusum, "
             "page_hinkley: small shifts that "
             "last; hampel: far from the median of a window; pca: beside what channels do together; "
             "surprise: rarer than one "
             "series has shown."},
    ROW_PARAM(commission_rows, "Rows it learns from before it judges."),
    ROW_PARAM(settle_rows, "Rows at the start that are not learned from."),
    ROW_PARAM(gap_ms, "A longer time between two rows begins smoothing anew; 0: never."),
    ROW_PARAM(limit, "Alarm limit, in deviations; at which score is 1."),
    ROW_PARAM(clear, "An alarm is cleared below this part of its limit."),
    ROW_PARAM(weight, "Weight of a new value in the smoothed one."),
    ROW_PARAM(follow, "How fast the centre follows deviations within the limit."),
    ROW_PARAM(floor, "ewma: the band is at least this part of the channel's deviation."),
    ROW_PARAM(change_limit, "Limit for a changepoint; 0: none are looked for."),
    ROW_PARAM(change_weight, "Weight of a new value in the slow reference of changepoints."),
    ROW_PARAM(change_quiet_rows, "No further changepoint for so many rows."),
    ROW_PARAM(slack, "cusum, page_hinkley: a deviation up to this adds nothing."),
    ROW_PARAM(window_rows, "hampel: length of the window."),
    ROW_PARAM(share, "pca: share of the variance that the kept components explain."),
    ROW_PARAM(variance_weight, "surprise: weight of a new deviation in the variance."),
    ROW_PARAM(tail, "surprise: share of rows beyond the point from where rarity is measured."),
    ROW_PARAM(tail_weight, "surprise: weight of a new excess in its mean."),
    ROW_PARAM(cap, "surprise: one kind of evidence says no more than this, in nats."),
    ROW_PARAM(extreme, "surprise: for going beyond all before by 5 % of their range, in nats."),
    ROW_PARAM(quiet_rows, "surprise: after one only a greater one counts for so many rows."),
    {0},
};

/* Where the parameter of detector_params named so stands in the configuration. */
static double given(const struct detector_config *c, const char *name)
{
    for (const struct config_row *row = rows; row->path != NULL; row++)
        if (row->type == CONFIG_DOUBLE && strcmp(row->path, name) == 0) {
            double v;

            memcpy(&v, (const uint8_t *)c + row->offset, sizeof v);
            return v;
        }
    return (double)NAN;
}

/* What is given over what is normal for the kind. -EINVAL: a whole number is not one. */
static int spec_of(const struct detector_config *c, struct detector_spec *ret, struct errmsg *err)
{
    size_t n;
    const struct detector_param *params = detector_params(&n);

    *ret = detector_defaults((enum detector_kind)c->method, (uint32_t)c->derived.inputs.n);
    for (size_t i = 0; i < n; i++) {
        double v = given(c, params[i].name);
        uint8_t *at = (uint8_t *)ret + params[i].offset;
        uint32_t whole = v >= 0 && v <= UINT32_MAX ? (uint32_t)v : 0;

        if (isnan(v))
            continue;
        if (params[i].is_whole && (double)whole != v)
            return errmsg_set(err, -EINVAL, "%s is %g; a whole number from %g to %g is needed",
                              params[i].name, v, params[i].min, params[i].max);
        if (params[i].is_whole)
            memcpy(at, &whole, sizeof whole);
        else
            memcpy(at, &v, sizeof v);
    }
    return detector_check(ret, err);
}

/* The parameter that the configuration gives and a sentence names; NULL: none. */
static const char *named_in(const struct detector_config *c, const char *sentence)
{
    size_t n;
    const struct detector_param *params = detector_params(&n);

    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(sentence, params[i].name);

        if (at != NULL && (at == sentence || at[-1] == ' ') && !isnan(given(c, params[i].name)))
            return params[i].name;
    }
    return NULL;
}

static void detector_source_check(const void *config, const char *field, struct config_check *c)
{
    const struct detector_config *d = config;
    struct detector_spec spec;
    struct errmsg err;
    char at[CONFIG_FIELD_CHARS];
    const char *name;

    derived_config_check(&d->derived, field, c);
    if (d->derived.inputs.n == 0 || spec_of(d, &spec, &err) == 0)
        return;
    name = named_in(d, err.text);
    snprintf(at, sizeof at, "%s%s%s", field, name != NULL ? "." : "", name != NULL ? name : "");
    config_complain(c, at, "`devicectl config doc` says what each method takes.", "%s", err.text);
}

struct detector_source {
    struct derived derived;
    struct detector_spec spec;
    struct detector_state *state;
};

enum { OUT_SCORE, OUT_ALARM, OUT_CHANGEPOINT, OUT_LEARNING, OUT_CAUSE };

static enum derived_said compute(void *ctx, const struct source_row *cause, const double *values,
                                 const bool *present, struct cell *cells)
{
    struct detector_source *s = ctx;
    struct detector_verdict v;
    const char *why;

    detector_step(s->state, cause->time_ns, values, present, &v);
    cells[OUT_SCORE] = (struct cell){.f64 = v.score};
    cells[OUT_ALARM] = (struct cell){.i64 = v.is_alarm};
    cells[OUT_CHANGEPOINT] = (struct cell){.i64 = v.is_changepoint};
    cells[OUT_LEARNING] = (struct cell){.i64 = v.is_commissioning};
    why = v.is_alarm && v.channel < s->derived.n_inputs ? s->derived.inputs[v.channel].channel : "";
    cells[OUT_CAUSE] = (struct cell){.text = span_str(why)};
    return DERIVED_ROW;
}

static size_t save(const void *ctx, uint8_t *out, size_t room)
{
    const struct detector_source *s = ctx;
    size_t n = detector_state_bytes(&s->spec);

    if (n <= room)
        detector_save(s->state, out);
    return n;
}

static int restore(void *ctx, struct span image, struct errmsg *err)
{
    struct detector_source *s = ctx;

    return detector_restore(s->state, &s->spec, image, err);
}

static void detector_source_close(void *self)
{
    struct detector_source *s = self;

    if (s == NULL)
        return;
    free(s->state);
    free(s);
}

static int detector_source_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct detector_source *s = calloc(1, sizeof *s);
    int rc = s == NULL ? errmsg_set(err, -ENOMEM, "no memory") : derived_open(&s->derived, o, err);

    if (rc == 0)
        rc = spec_of(o->config, &s->spec, err);
    if (rc == 0 && (s->state = calloc(1, detector_state_bytes(&s->spec))) == NULL)
        rc = errmsg_set(err, -ENOMEM, "no memory");
    if (rc != 0) {
        detector_source_close(s);
        return rc;
    }
    detector_init(s->state, &s->spec);
    derived_add_output(&s->derived, "score", "1", COLUMN_DOUBLE);
    derived_add_output(&s->derived, "alarm", "", COLUMN_BOOL);
    derived_add_output(&s->derived, "changepoint", "", COLUMN_BOOL);
    derived_add_output(&s->derived, "learning", "", COLUMN_BOOL);
    derived_add_output(&s->derived, "cause", "", COLUMN_TEXT);
    s->derived.ctx = s;
    s->derived.compute = compute;
    s->derived.save = save;
    s->derived.restore = restore;
    derived_recall(&s->derived, o->memory);
    *ret_self = s;
    return 0;
}

const struct source_kind source_detector = {
    .name = "detector",
    .help = "Finds anomalies in readings of other sources without a model: it learns from the first rows. "
            "Channels: score (1: the "
            "alarm limit), alarm, changepoint, learning, cause.",
    .rows = rows,
    .config_bytes = sizeof(struct detector_config),
    .check = detector_source_check,
    .open = detector_source_open,
    .close = detector_source_close,
    .declare = derived_declare,
    .replayable = derived_replayable,
    .step = derived_step,
    .listen = derived_listen,
    .hear_group = derived_hear_group,
    .hear_row = derived_hear_row,
    .hear_ring_bytes = derived_hear_ring_bytes,
    .work = derived_work,
    .remember = derived_remember,
};
