#include "device/infer/derived.h"

#include "wire/wire.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a row of it takes in the ring, at most, beside its cells; and the message that declares its group. */
enum { ROW_BYTES = 256, CELL_BYTES = 16 + SOURCE_NAME_BYTES, SLOW_AFTER_STEPS = 64, FAILING_TOLD = 3 };

/* "source/channel" in two; false: it is not that. */
static bool split(const char *input, char source[SOURCE_NAME_BYTES], char channel[SOURCE_NAME_BYTES])
{
    const char *slash = strchr(input, '/');

    if (slash == NULL || slash == input || slash[1] == '\0' || strchr(slash + 1, '/') != NULL ||
        (size_t)(slash - input) >= SOURCE_NAME_BYTES || strlen(slash + 1) >= SOURCE_NAME_BYTES)
        return false;
    snprintf(source, SOURCE_NAME_BYTES, "%.*s", (int)(slash - input), input);
    snprintf(channel, SOURCE_NAME_BYTES, "%s", slash + 1);
    return true;
}

void derived_config_check(const struct derived_config *config, const char *field, struct config_check *c)
{
    char at[CONFIG_FIELD_CHARS], source[SOURCE_NAME_BYTES], channel[SOURCE_NAME_BYTES];

    for (size_t i = 0; i < config->inputs.n; i++) {
        snprintf(at, sizeof at, "%s.inputs[%zu]", field, i);
        if (!split(config->inputs.at[i], source, channel))
            config_complain(c, at, "Write SOURCE/CHANNEL, for example \"pump/pressure\".",
                            "\"%s\" names no channel of a source", config->inputs.at[i]);
        for (size_t k = 0; k < i; k++)
            if (strcmp(config->inputs.at[i], config->inputs.at[k]) == 0)
                config_complain(c, at, "Name each input once.", "\"%s\" stands there twice",
                                config->inputs.at[i]);
    }
}

static int find_source(const struct source_open *o, struct derived *d, struct derived_input *in,
                       bool is_first, struct errmsg *err)
{
    for (unsigned i = 0; i < o->n_others; i++) {
        if (strcmp(o->others[i].name, in->source_name) != 0)
            continue;
        if (is_first)
            d->replayable = o->others[i].replayable;
        if (d->replayable != o->others[i].replayable)
            return errmsg_set(err, -EINVAL,
                              "inputs: %s is read %s and the first one is not: take inputs that are all live "
                              "or all replayed",
                              in->source_name, d->replayable ? "live" : "from a recording");
        in->source = i;
        return 0;
    }
    return errmsg_set(err, -EINVAL,
                      "inputs: no source \"%s\" stands before this one: move it up, or correct the name",
                      in->source_name);
}

int derived_open(struct derived *d, const struct source_open *o, struct errmsg *err)
{
    const struct derived_config *config = o->config;

    snprintf(d->name, sizeof d->name, "%s", o->name);
    d->clock = clock_real;
    d->interval_ns = config->interval_ms * NS_PER_MS;
    d->stale_ns = config->stale_ms * NS_PER_MS;
    d->budget_ns = (config->budget_us > 0 ? config->budget_us : o->budget_us) * 1000;
    for (size_t i = 0; i < config->inputs.n && i < DERIVED_INPUTS_MAX; i++) {
        struct derived_input *in = &d->inputs[d->n_inputs++];
        int rc;

        if (!split(config->inputs.at[i], in->source_name, in->channel))
            return errmsg_set(err, -EINVAL, "inputs: \"%s\" names no channel of a source",
                              config->inputs.at[i]);
        rc = find_source(o, d, in, i == 0, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void derived_add_output(struct derived *d, const char *name, const char *unit, enum column_type type)
{
    struct derived_output *out;
    char whole[2 * SOURCE_NAME_BYTES];

    if (d->n_outputs == DERIVED_OUTPUTS_MAX)
        return;
    out = &d->outputs[d->n_outputs++];
    snprintf(whole, sizeof whole, "%s.%s", d->name, name);
    memcpy(out->name, whole, sizeof out->name - 1);
    snprintf(out->unit, sizeof out->unit, "%s", unit);
    out->type = type;
}

bool derived_replayable(const void *self)
{
    return ((const struct derived *)self)->replayable;
}

void derived_tell(struct derived *d, uint32_t type, const char *text)
{
    struct source_event e = {.type = type,
                             .severity = type != FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
                             .time_ns = clock_wall_unix_ns(&d->clock),
                             .text = text};

    /* Lost when there is no room: it stands in the status, too. */
    (void)d->sink->event(d->sink->ctx, &e);
}

int derived_declare(void *self, const struct source_sink *sink)
{
    struct source_channel channels[DERIVED_OUTPUTS_MAX];
    struct derived *d = self;
    struct source_group g = {channels, d->n_outputs};
    int rc;

    d->sink = sink;
    if (d->failure[0] != '\0' && !d->is_failure_told) {
        d->is_failure_told = true;
        derived_tell(d, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, d->failure);
    }
    if (d->note[0] != '\0')
        derived_tell(d, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, d->note);
    d->note[0] = '\0';
    if (d->is_declared || d->n_outputs == 0)
        return 0;
    for (uint32_t i = 0; i < d->n_outputs; i++)
        channels[i] = (struct source_channel){d->outputs[i].name, d->outputs[i].unit, d->outputs[i].type};
    rc = sink->group(sink->ctx, &g, &d->group);
    d->is_declared = rc == 0;
    return rc;
}

/* All is done when others' rows are heard. */
int derived_step(void *self, const struct source_sink *sink, const struct source_now *now,
                 int64_t *ret_next_ns)
{
    (void)self;
    (void)sink;
    (void)now;
    *ret_next_ns = INT64_MAX;
    return 0;
}

void derived_listen(void *self, const struct source_sink *sink)
{
    ((struct derived *)self)->sink = sink;
}

int derived_hear_group(void *self, unsigned source, uint32_t group, const struct source_group *g)
{
    struct derived *d = self;

    for (unsigned i = 0; i < d->n_inputs; i++) {
        struct derived_input *in = &d->inputs[i];

        for (uint32_t c = 0; c < g->n_channels && !in->is_bound && in->source == source; c++) {
            if (strcmp(g->channels[c].name, in->channel) != 0 || g->channels[c].type == COLUMN_TEXT)
                continue;
            in->is_bound = true;
            in->group = group;
            in->column = c;
            in->type = g->channels[c].type;
        }
    }
    return 0;
}

static void take(struct derived_input *in, const struct source_row *r, bool is_step_group)
{
    const struct cell *cell = &r->cells[in->column];
    bool is_usable = !cell->absent && (cell->quality == QUALITY_GOOD || cell->quality == QUALITY_UNCERTAIN);

    /* In another group than the first one's, absent may mean: nothing new. */
    if (cell->absent && !is_step_group)
        return;
    in->is_present = is_usable;
    in->time_ns = r->time_ns;
    if (is_usable)
        in->value = in->type == COLUMN_DOUBLE ? cell->f64 : (double)cell->i64;
}

static bool is_step(struct derived *d, unsigned source, const struct source_row *r)
{
    const struct derived_input *first = &d->inputs[0];
    int64_t no = d->interval_ns > 0 ? r->time_ns / d->interval_ns : 0;

    if (!first->is_bound || first->source != source || first->group != r->group)
        return false;
    if (d->interval_ns == 0)
        return true;
    if (d->has_step && no == d->step_no)
        return false;
    d->has_step = true;
    d->step_no = no;
    return true;
}

static void count(_Atomic uint64_t *c)
{
    atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

void derived_note_time(struct derived *d, int64_t took_ns)
{
    char text[160];
    bool is_aside;

    histogram_add(&d->time_ns, (uint64_t)(took_ns < 0 ? 0 : took_ns));
    count(&d->runs);
    if (took_ns <= d->budget_ns)
        return;
    count(&d->overruns);
    /* Now and then a step is held up by the machine; half of them by the model itself. */
    if (d->is_slow_told || histogram_count(&d->time_ns) < SLOW_AFTER_STEPS ||
        (int64_t)histogram_quantile(&d->time_ns, 0.5) <= d->budget_ns)
        return;
    d->is_slow_told = true;
    is_aside = d->step_aside != NULL && d->step_aside(d->ctx);
    snprintf(text, sizeof text, "a step takes %.1f us, budget_us is %lld: %s",
             (double)histogram_quantile(&d->time_ns, 0.5) / 1000, (long long)(d->budget_ns / 1000),
             is_aside ? "it runs aside, and the newest input counts" : "readings are taken late");
    derived_tell(d, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, text);
}

/* NaN, or the value said last, of bad quality. */
static void fill_bad(const struct derived *d, struct cell *cells)
{
    for (uint32_t i = 0; i < d->n_outputs; i++)
        if (d->outputs[i].type == COLUMN_DOUBLE)
            cells[i] = (struct cell){.quality = QUALITY_BAD, .f64 = (double)NAN};
        else if (d->outputs[i].type == COLUMN_TEXT || !d->has_said)
            cells[i] = (struct cell){.absent = true};
        else
            cells[i] = (struct cell){.quality = QUALITY_BAD, .i64 = d->last[i]};
}

/* Told when it lasts, and when it is over. */
static void note_outcome(struct derived *d, bool is_good)
{
    if (is_good && d->n_failing >= FAILING_TOLD)
        derived_tell(d, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED, "gives good values again");
    d->n_failing = is_good ? 0 : d->n_failing + (d->n_failing <= FAILING_TOLD);
    if (is_good)
        return;
    count(&d->failures);
    if (d->n_failing == FAILING_TOLD)
        derived_tell(d, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, d->trouble);
}

void derived_say(struct derived *d, int64_t time_ns, uint64_t mono_ns, enum derived_said said,
                 struct cell *cells)
{
    struct source_position position = {{(uint64_t)time_ns}};
    struct source_row row = {.group = d->group,
                             .time_ns = time_ns,
                             .mono_ns = mono_ns,
                             .cells = cells,
                             .n_cells = d->n_outputs,
                             .position = d->replayable ? &position : NULL};

    if (said < DERIVED_ROW)
        return;
    note_outcome(d, said == DERIVED_ROW);
    if (said == DERIVED_FAILED)
        fill_bad(d, cells);
    for (uint32_t i = 0; i < d->n_outputs && said != DERIVED_FAILED; i++)
        d->last[i] = d->outputs[i].type == COLUMN_TEXT ? 0 : cells[i].i64;
    d->has_said |= said != DERIVED_FAILED;
    /* Of live ones a full ring counts and tells the loss; for replayed ones there is room (hear_ring_bytes).
     */
    (void)d->sink->row(d->sink->ctx, &row);
}

void derived_hear_row(void *self, unsigned source, const struct source_row *r)
{
    struct derived *d = self;
    struct cell cells[DERIVED_OUTPUTS_MAX];
    double values[DERIVED_INPUTS_MAX];
    bool present[DERIVED_INPUTS_MAX];
    const struct derived_input *first = &d->inputs[0];
    enum derived_said said;
    int64_t began_ns;

    if (d->n_outputs == 0 || r->is_account)
        return;
    for (unsigned i = 0; i < d->n_inputs; i++) {
        struct derived_input *in = &d->inputs[i];

        if (in->is_bound && in->source == source && in->group == r->group)
            take(in, r, in->group == first->group && first->is_bound);
    }
    if (!is_step(d, source, r) || derived_declare(d, d->sink) != 0)
        return;
    for (unsigned i = 0; i < d->n_inputs; i++) {
        const struct derived_input *in = &d->inputs[i];

        values[i] = in->value;
        present[i] = in->is_present && (d->stale_ns == 0 || r->time_ns - in->time_ns <= d->stale_ns);
    }
    for (uint32_t i = 0; i < d->n_outputs; i++)
        cells[i] = (struct cell){.absent = true};
    began_ns = clock_mono_ns(&d->clock);
    said = d->compute(d->ctx, r, values, present, cells);
    if (said == DERIVED_ROW || said == DERIVED_ODD)
        derived_note_time(d, clock_mono_ns(&d->clock) - began_ns);
    derived_say(d, r->time_ns, r->mono_ns, said, cells);
}

size_t derived_hear_ring_bytes(void *self, unsigned source)
{
    const struct derived *d = self;

    for (unsigned i = 0; i < d->n_inputs; i++)
        if (d->inputs[i].source == source)
            return ROW_BYTES + (size_t)d->n_outputs * CELL_BYTES * (d->is_declared ? 1 : 3);
    return 0;
}

void derived_work(const void *self, struct source_work *ret)
{
    const struct derived *d = self;

    *ret = (struct source_work){.runs = atomic_load_explicit(&d->runs, memory_order_relaxed),
                                .overruns = atomic_load_explicit(&d->overruns, memory_order_relaxed),
                                .skipped = atomic_load_explicit(&d->skipped, memory_order_relaxed),
                                .is_aside = atomic_load_explicit(&d->is_aside, memory_order_relaxed),
                                .failures = atomic_load_explicit(&d->failures, memory_order_relaxed),
                                .p50_ns = histogram_quantile(&d->time_ns, 0.5),
                                .p99_ns = histogram_quantile(&d->time_ns, 0.99),
                                .max_ns = histogram_max(&d->time_ns)};
}
