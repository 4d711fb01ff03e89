/* models_step.c - rows of a device in, rows of the fog out. */
#include "base/cleanup.h"
#include "fog/models_private.h"

#include <math.h>
#include <stdio.h>

enum { OF_TAGS = WIRE_TAGS_MAX - 1 };

/* ---- what goes out ---- */

struct named {
    struct pack_channel channel[MODEL_OUTPUTS_MAX];
    char of[OF_TAGS][DERIVED_TAG_BYTES], model[DERIVED_TAG_BYTES];
    const char *tag[OF_TAGS + 2];
    const char *const *tags[MODEL_OUTPUTS_MAX];
};

static void name_outputs(const struct models *m, const struct models_instance *in, struct named *n)
{
    const struct models_def *d = &m->defs[in->def];
    unsigned n_tags = 0;

    for (size_t i = 0; i < d->c->inputs.n && i < OF_TAGS; i++) {
        derived_of_tag(m->o.site, in->device, d->c->inputs.at[i], n->of[i]);
        n->tag[n_tags++] = n->of[i];
    }
    snprintf(n->model, sizeof n->model, "model=%s", d->c->name);
    n->tag[n_tags++] = n->model;
    n->tag[n_tags] = NULL;
    for (uint32_t i = 0; i < d->n_outputs; i++) {
        bool is_detector = d->kind == MODELS_DETECTOR;
        struct pack_channel *c = &n->channel[i];
        char whole[3 * NAME_PART_CHARS];

        *c = (struct pack_channel){.type = is_detector ? detector_outputs[i].type : d->use->outputs[i].type};
        if (is_detector)
            snprintf(c->unit, sizeof c->unit, "%s", detector_outputs[i].unit);
        snprintf(whole, sizeof whole, "%s.%s", d->c->name,
                 is_detector ? detector_outputs[i].name : d->use->outputs[i].name);
        derived_channel_name(in->device, whole, NULL, c->name);
        n->tags[i] = n->tag;
    }
}

/* 0; negative errno. What finds no room is counted: what was learnt goes on. */
static int send_rows(struct models *m, const struct models_instance *in)
{
    const struct models_def *d = &m->defs[in->def];
    struct derived_group g = {.name = d->c->name, .n_channels = d->n_outputs};
    struct named named;
    int rc;

    if (m->rows.n == 0)
        return 0;
    name_outputs(m, in, &named);
    g.channels = named.channel;
    g.tags = named.tags;
    rc = derived_put(m->o.derived, &g, m->rows.row, m->rows.n, NULL, NULL);
    if (rc == 0)
        m->counters[MODELS_ROWS] += m->rows.n;
    if (rc == DERIVED_NO_ROOM)
        m->counters[MODELS_NO_ROOM]++;
    m->rows.n = 0;
    return rc < 0 ? rc : 0;
}

/* ---- a step ---- */

/* Nothing is known: of bad quality where there is a number for that. */
static void fill_bad(const struct models_def *d, struct cell *cells)
{
    for (uint32_t i = 0; i < d->n_outputs; i++) {
        cells[i] = (struct cell){.absent = d->use->outputs[i].type != COLUMN_DOUBLE};
        if (cells[i].absent)
            continue;
        cells[i].f64 = (double)NAN;
        cells[i].quality = QUALITY_BAD;
    }
}

static void keep_texts(struct models *m, const struct models_def *d, struct cell *cells)
{
    for (uint32_t i = 0; i < d->n_outputs; i++) {
        char *to = m->rows.texts[m->rows.n * MODEL_OUTPUTS_MAX + i];

        if (d->use->outputs[i].type != COLUMN_TEXT || cells[i].absent)
            continue;
        memcpy(to, cells[i].text.data, cells[i].text.len);
        cells[i].text = span_of(to, cells[i].text.len);
    }
}

/* false: there is nothing to say. */
static bool run_model(struct models *m, struct models_instance *in, const double *values, const bool *present,
                      struct cell *cells)
{
    struct models_def *d = &m->defs[in->def];
    enum model_said said;
    uint32_t odd;
    unsigned missing;

    d->use->features = in->features;
    said = model_use_prepare(d->use, values, present, &missing);
    d->use->features = d->own;
    if (said == MODEL_NOTHING)
        return false;
    m->counters[MODELS_RUNS]++;
    if (said == MODEL_MISSING) {
        m->counters[MODELS_FAILURES]++;
        fill_bad(d, cells);
        return true;
    }
    model_use_run(d->use);
    m->counters[MODELS_FAILURES] += model_use_cells(d->use, cells, &odd) != MODEL_ROW;
    keep_texts(m, d, cells);
    return true;
}

static bool run_detector(struct models *m, struct models_instance *in, int64_t time_ns, const double *values,
                         const bool *present, struct cell *cells)
{
    const struct models_def *d = &m->defs[in->def];
    struct detector_verdict v;

    detector_step(in->detector, time_ns, values, present, &v);
    m->counters[MODELS_RUNS]++;
    detector_cells(&v, v.channel < d->c->inputs.n ? d->c->inputs.at[v.channel] : "", cells);
    return true;
}

static int step(struct models *m, const struct models_watch *w, int64_t time_ns)
{
    struct models_instance *in = m->instances[w->instance];
    const struct models_def *d = &m->defs[in->def];
    struct cell *cells = &m->rows.cells[m->rows.n * MODEL_OUTPUTS_MAX];
    double values[MODELS_INPUTS_MAX];
    bool present[MODELS_INPUTS_MAX], says;

    for (size_t i = 0; i < d->c->inputs.n; i++) {
        const struct models_input *from = &in->inputs[i];
        int64_t age_ns;

        values[i] = from->value;
        present[i] = from->is_present && (w->column[i] != MODELS_NO_COLUMN || d->c->stale_ms == 0 ||
                                          (!__builtin_sub_overflow(time_ns, from->time_ns, &age_ns) &&
                                           age_ns <= d->c->stale_ms * NS_PER_MS));
    }
    says = d->kind == MODELS_DETECTOR ? run_detector(m, in, time_ns, values, present, cells)
                                      : run_model(m, in, values, present, cells);
    if (!says)
        return 0;
    m->rows.row[m->rows.n++] = (struct pack_row){time_ns, 0, cells, d->n_outputs};
    return m->rows.n == DERIVED_ROWS ? send_rows(m, in) : 0;
}

/* ---- rows in ---- */

static void take(struct models_input *in, const struct block *b, uint32_t column, uint32_t row, bool is_first)
{
    const struct column *c = &b->columns[column];
    bool is_absent = c->absent != NULL && c->absent[row] != 0;
    uint8_t quality = c->quality != NULL ? c->quality[row] : QUALITY_GOOD;

    /* In another group than the first one's, absent may mean: nothing new. */
    if (is_absent && !is_first)
        return;
    in->is_present = !is_absent && (quality == QUALITY_GOOD || quality == QUALITY_UNCERTAIN);
    in->time_ns = b->time_ns[row];
    if (in->is_present)
        in->value = c->type == COLUMN_DOUBLE ? c->f64[row] : (double)c->i64[row];
}

static bool is_step(struct models_instance *in, const struct models_config *c, int64_t time_ns)
{
    int64_t no = c->interval_ms > 0 ? time_ns / (c->interval_ms * NS_PER_MS) : 0;

    if (c->interval_ms == 0)
        return true;
    if (in->has_step && no == in->step_no)
        return false;
    in->has_step = true;
    in->step_no = no;
    return true;
}

int models_hear(struct models *m, const struct models_watch *w, const struct block *b)
{
    struct models_instance *in = m->instances[w->instance];
    const struct models_def *d = &m->defs[in->def];
    int rc = 0;

    if (d->kind == MODELS_MODEL && d->use == NULL)
        return 0;
    m->rows.n = 0;
    for (uint32_t row = 0; rc == 0 && row < b->n_rows; row++) {
        for (size_t i = 0; i < d->c->inputs.n; i++)
            if (w->column[i] != MODELS_NO_COLUMN)
                take(&in->inputs[i], b, w->column[i], row, w->is_first);
        if (w->is_first && is_step(in, d->c, b->time_ns[row]))
            rc = step(m, w, b->time_ns[row]);
    }
    return rc == 0 ? send_rows(m, in) : rc;
}
