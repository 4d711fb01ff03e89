#include "score/detector_config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const detector_methods[] = {"ewma",   "mewma", "cusum",    "page_hinkley",
                                        "hampel", "pca",   "surprise", NULL};

/* The same keys over the settings alone: where each stands. */
struct alone {
    struct detector_settings s;
};
static const struct config_row rows[] = {
    DETECTOR_ROWS(struct alone, s),
    {0},
};

/* Where the parameter of detector_params named so stands in the configuration. */
static double given(const struct detector_settings *c, const char *name)
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
int detector_settings_spec(const struct detector_settings *c, size_t n_inputs, struct detector_spec *ret,
                           struct errmsg *err)
{
    size_t n;
    const struct detector_param *params = detector_params(&n);

    *ret = detector_defaults((enum detector_kind)c->method, (uint32_t)n_inputs);
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
static const char *named_in(const struct detector_settings *c, const char *sentence)
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

void detector_settings_check(const struct detector_settings *s, size_t n_inputs, const char *field,
                             const char *doc, struct config_check *c)
{
    struct detector_spec spec;
    struct errmsg err;
    char at[CONFIG_FIELD_CHARS], remedy[120];
    const char *name;

    if (n_inputs == 0 || detector_settings_spec(s, n_inputs, &spec, &err) == 0)
        return;
    name = named_in(s, err.text);
    snprintf(at, sizeof at, "%s%s%s", field, name != NULL ? "." : "", name != NULL ? name : "");
    snprintf(remedy, sizeof remedy, "`%s` says what each method takes.", doc);
    config_complain(c, at, remedy, "%s", err.text);
}

const struct detector_output_info detector_outputs[DETECTOR_OUTPUTS] = {
    [DETECTOR_OUT_SCORE] = {"score", "1", COLUMN_DOUBLE},
    [DETECTOR_OUT_ALARM] = {"alarm", "", COLUMN_BOOL},
    [DETECTOR_OUT_CHANGEPOINT] = {"changepoint", "", COLUMN_BOOL},
    [DETECTOR_OUT_LEARNING] = {"learning", "", COLUMN_BOOL},
    [DETECTOR_OUT_CAUSE] = {"cause", "", COLUMN_TEXT},
};

void detector_cells(const struct detector_verdict *v, const char *cause, struct cell cells[DETECTOR_OUTPUTS])
{
    cells[DETECTOR_OUT_SCORE] = (struct cell){.f64 = v->score};
    cells[DETECTOR_OUT_ALARM] = (struct cell){.i64 = v->is_alarm};
    cells[DETECTOR_OUT_CHANGEPOINT] = (struct cell){.i64 = v->is_changepoint};
    cells[DETECTOR_OUT_LEARNING] = (struct cell){.i64 = v->is_commissioning};
    cells[DETECTOR_OUT_CAUSE] = (struct cell){.text = span_str(v->is_alarm ? cause : "")};
}
