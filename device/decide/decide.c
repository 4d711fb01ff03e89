#include "device/decide/decide.h"

#include "base/numfmt.h"
#include "device/decide/decide_private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNTOLD_LOOK_MS = 10, CHANGES_A_ROW = 3 /* of one instance */ };

/* ---- setting up ---- */

static int make_rules(struct decide *d, struct exec_slot *slots, unsigned *ret_n_slots, struct errmsg *err)
{
    unsigned n = 0;

    for (size_t i = 0; i < d->rule_list->n && i < RULES_MAX; i++) {
        struct decide_rule *r = &d->rules[d->n_rules++];

        r->config = d->rule_list->at[i].value;
        rule_of_config(d->rule_list->at[i].kind, r->config, &r->rule);
        for (size_t k = 0; k < r->config->actions.n && k < RULE_ACTIONS_MAX; k++) {
            const struct config_item *item = &r->config->actions.at[k];
            struct drive_action *a = &r->actions[r->n_actions++];

            *a = (struct drive_action){.kind = item->kind, .config = item->value};
            a->output = a->kind == ACTION_EXEC ? 0 : drive_output(d->drive, a->config->output);
            if (a->kind != ACTION_EXEC)
                continue;
            if (n == EXEC_SLOTS_MAX)
                return errmsg_set(err, -E2BIG,
                                  "rules: at most %d actions of type exec; let some share a program",
                                  EXEC_SLOTS_MAX);
            r->slots[k] = n;
            slots[n++] = (struct exec_slot){.argv = a->config->argv.at,
                                            .n_args = a->config->argv.n,
                                            .rule = r->config->name,
                                            .timeout_ms = a->config->timeout_ms,
                                            .serial = (unsigned)i};
        }
    }
    *ret_n_slots = n;
    return 0;
}

/* A rule on one channel waits for it from the start: it may be missing. */
static void make_instances(struct decide *d)
{
    for (unsigned r = 0; r < d->n_rules; r++) {
        const struct rule_config *c = d->rules[r].config;
        const char *slash = strchr(c->channel, '/');

        for (unsigned s = 0; s < d->n_sources && !rule_has_pattern(c) && slash != NULL; s++)
            if (rule_watches(c, d->sources[s].name, slash + 1))
                (void)decide_instance(d, r, s, slash + 1);
    }
}

static int take_memory(struct decide *d, const struct decide_options *o)
{
    d->rules = calloc(RULES_MAX, sizeof *d->rules);
    d->instances = calloc(DECIDE_INSTANCES_MAX, sizeof *d->instances);
    d->watches = calloc(DECIDE_WATCHES_MAX, sizeof *d->watches);
    d->groups = calloc(SOURCE_GROUPS_MAX, sizeof *d->groups);
    d->untold = calloc(DECIDE_INSTANCES_MAX, sizeof *d->untold);
    d->raised = calloc(o->n_raised + 1, sizeof *d->raised);
    if (d->rules == NULL || d->instances == NULL || d->watches == NULL || d->groups == NULL ||
        d->untold == NULL || d->raised == NULL)
        return -ENOMEM;
    d->n_raised = o->n_raised;
    for (unsigned i = 0; i < o->n_raised; i++)
        d->raised[i] = o->raised[i];
    return 0;
}

int decide_new(struct decide **ret_d, const struct decide_options *o, struct errmsg *err)
{
    struct decide *d = calloc(1, sizeof *d);
    struct exec_slot slots[EXEC_SLOTS_MAX];
    unsigned n_slots = 0;
    int rc;

    if (d == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    d->clock = *o->clock;
    d->feed = o->feed;
    d->rule_list = o->rules;
    d->output_list = o->outputs;
    d->rules_next_ns = d->outputs_next_ns = INT64_MIN;
    for (unsigned i = 0; i < o->n_sources && i < SOURCES_MAX; i++)
        d->sources[d->n_sources++] = o->sources[i];
    rc = take_memory(d, o);
    if (rc != 0)
        errmsg_set(err, rc, "no memory");
    if (rc == 0)
        rc = decide_open_outputs(d, err);
    if (rc == 0)
        rc = make_rules(d, slots, &n_slots, err);
    if (rc == 0 && n_slots > 0) {
        rc = exec_new(&d->exec, slots, n_slots);
        if (rc != 0)
            errmsg_set(err, rc, "cannot start the thread for programs of rules: %s", strerror(-rc));
    }
    if (rc != 0) {
        decide_free(d);
        return rc;
    }
    make_instances(d);
    *ret_d = d;
    return 0;
}

struct decide *decide_free(struct decide *d)
{
    if (d == NULL)
        return NULL;
    exec_free(d->exec);
    d->drive = drive_close(d->drive);
    free(d->rules);
    free(d->instances);
    free(d->watches);
    free(d->groups);
    free(d->untold);
    free(d->raised);
    free(d);
    return NULL;
}

const struct decide_counters *decide_counters(const struct decide *d)
{
    return &d->counters;
}

const struct exec_counters *decide_exec_counters(const struct decide *d)
{
    return d->exec != NULL ? exec_counters(d->exec) : NULL;
}

void decide_on_raised(struct decide *d,
                      void (*fn)(void *ctx, unsigned source, const char *channel, int64_t time_ns), void *ctx)
{
    d->on_raised = fn;
    d->on_raised_ctx = ctx;
}

struct decide_who decide_who(const struct decide *d, uint32_t instance)
{
    const struct instance *in = &d->instances[instance];
    const struct decide_rule *r = &d->rules[in->rule];

    return (struct decide_who){r->config, (int)r->rule.kind, in->name};
}

/* ---- changes ---- */

/* One ring that is full holds back its own changes only: those of a replay stand before their row. */
static void tell_untold(struct decide *d)
{
    bool is_full[2] = {false, false};
    unsigned kept = 0;

    for (unsigned i = 0; i < d->n_untold; i++) {
        struct untold u = d->untold[i];
        bool *full = &is_full[d->sources[u.source].replayable];

        *full = *full || !feed_decision(d->feed, u.source, &u.decision);
        if (*full)
            d->untold[kept++] = u;
    }
    d->n_untold = kept;
}

static bool is_held_back(const struct decide *d, unsigned source)
{
    for (unsigned i = 0; i < d->n_untold; i++)
        if (d->sources[d->untold[i].source].replayable == d->sources[source].replayable)
            return true;
    return false;
}

static void tell(struct decide *d, unsigned source, const struct feed_decision *decision)
{
    tell_untold(d);
    if (!is_held_back(d, source) && feed_decision(d->feed, source, decision))
        return;
    if (d->n_untold < DECIDE_INSTANCES_MAX)
        d->untold[d->n_untold++] = (struct untold){source, *decision};
    else
        decide_count(&d->counters.changes_dropped, 1);
}

static void run_programs(struct decide *d, const struct instance *in)
{
    const struct decide_rule *r = &d->rules[in->rule];
    struct exec_request request = {.raised = in->state.raised};

    for (unsigned i = 0; i < r->n_actions; i++) {
        const struct drive_action *a = &r->actions[i];

        if (a->kind != ACTION_EXEC || a->config->when == (in->state.raised ? EXEC_CLEARED : EXEC_RAISED))
            continue;
        request.slot = r->slots[i];
        feed_decision_value(&in->last, request.value, sizeof request.value);
        snprintf(request.channel, sizeof request.channel, "%s", in->name);
        exec_request(d->exec, &request);
    }
}

static void on_change(struct decide *d, struct instance *in, int64_t time_ns)
{
    struct feed_decision decision = in->last;

    if (in->state.raised) {
        in->since_ns = time_ns;
        in->turned_mono_ns = clock_mono_ns(&d->clock);
        in->pulses = true;
    }
    decision.instance = (uint32_t)(in - d->instances);
    decision.raised = in->state.raised;
    decision.time_ns = time_ns;
    decision.since_ns = in->since_ns;
    decision.has_value = in->has_heard;
    decide_count(in->state.raised ? &d->counters.raised : &d->counters.cleared, 1);
    d->is_dirty = true;
    tell(d, in->source, &decision);
    if (in->state.raised && d->on_raised != NULL)
        d->on_raised(d->on_raised_ctx, in->source, strchr(in->name, '/') + 1, time_ns);
    run_programs(d, in);
}

/* now_ns is `wall_ns` on the clock of events. */
static void advance(struct decide *d, struct instance *in, int64_t now_ns, int64_t wall_ns)
{
    int64_t at_ns;

    while (rule_advance(&d->rules[in->rule].rule, &in->state, now_ns, &at_ns) != RULE_SAME)
        on_change(d, in, wall_ns - (now_ns - at_ns));
}

static void remember(struct instance *in, const struct rule_value *v)
{
    struct feed_decision *last = &in->last;

    last->type = (uint8_t)v->type;
    if (v->type == RULE_TEXT) {
        last->text_bytes = (uint8_t)(v->text.len < sizeof last->text ? v->text.len : sizeof last->text);
        memcpy(last->text, v->text.data, last->text_bytes);
    } else {
        last->i64 = v->i64;
    }
}

static void sample(struct decide *d, struct instance *in, enum rule_type type, const struct cell *cell,
                   int64_t time_ns)
{
    struct rule_value v = {.type = type,
                           .is_good = cell->quality == QUALITY_GOOD || cell->quality == QUALITY_UNCERTAIN};

    if (type == RULE_TEXT)
        v.text = cell->text;
    else
        v.i64 = cell->i64;
    if (v.is_good && !(type == RULE_DOUBLE && v.f64 != v.f64)) {
        remember(in, &v);
        d->is_dirty |= !in->has_heard || in->is_stale;
        in->has_heard = true;
        in->is_stale = false;
    }
    decide_count(&d->counters.evaluations, 1);
    if (rule_sample(&d->rules[in->rule].rule, &in->state, &v) != RULE_SAME)
        on_change(d, in, time_ns);
}

static void hear_row(void *ctx, unsigned source, const struct source_row *r)
{
    struct decide *d = ctx;
    const struct decide_group *g = &d->groups[r->group];
    bool is_live = !d->sources[source].replayable;
    int64_t read_ns = (int64_t)r->mono_ns;

    if (g->n == 0)
        return;
    if (is_live && read_ns == 0)
        read_ns = clock_mono_ns(&d->clock);
    d->was_set = false;
    for (uint32_t i = g->first; i < g->first + g->n; i++) {
        struct instance *in = &d->instances[d->watches[i].instance];
        const struct cell *cell = &r->cells[d->watches[i].column];
        int64_t now_ns = is_live ? read_ns : r->time_ns, due_ns;

        /* Read before the last round, heard after it. */
        if (is_live && in->state.has_begun && now_ns < in->state.now_ns)
            now_ns = in->state.now_ns;
        advance(d, in, now_ns, r->time_ns);
        if (!cell->absent)
            sample(d, in, g->type[d->watches[i].column], cell, r->time_ns);
        due_ns = rule_deadline_ns(&d->rules[in->rule].rule, &in->state);
        if (is_live && due_ns < d->rules_next_ns)
            d->rules_next_ns = due_ns;
    }
    if (!d->is_dirty)
        return;
    decide_drive(d, clock_mono_ns(&d->clock));
    if (d->was_set && r->mono_ns != 0)
        histogram_add(&d->counters.output_time_ns,
                      (uint64_t)fmax(0, (double)(clock_mono_ns(&d->clock) - read_ns)));
}

static size_t ring_bytes_of(void *ctx, unsigned source)
{
    const struct decide *d = ctx;

    return (size_t)d->n_instances_of[source] * CHANGES_A_ROW * FEED_DECISION_BYTES;
}

struct sampler_listener decide_listener(struct decide *d)
{
    return (struct sampler_listener){d, decide_hear_group, hear_row, ring_bytes_of};
}

int64_t decide_round(void *ctx, int64_t now_ns)
{
    struct decide *d = ctx;
    int64_t next_ns;

    if (d->n_untold > 0)
        tell_untold(d);
    if (now_ns >= d->rules_next_ns) {
        int64_t wall_ns = clock_wall_unix_ns(&d->clock);

        d->rules_next_ns = INT64_MAX;
        for (unsigned i = 0; i < d->n_instances; i++) {
            struct instance *in = &d->instances[i];
            int64_t due_ns;

            if (d->sources[in->source].replayable)
                continue;
            advance(d, in, now_ns, wall_ns);
            due_ns = rule_deadline_ns(&d->rules[in->rule].rule, &in->state);
            if (due_ns < d->rules_next_ns)
                d->rules_next_ns = due_ns;
        }
    }
    if (d->is_dirty || now_ns >= d->outputs_next_ns)
        decide_drive(d, now_ns);
    next_ns = d->rules_next_ns < d->outputs_next_ns ? d->rules_next_ns : d->outputs_next_ns;
    if (d->n_untold > 0 && decide_later(now_ns, UNTOLD_LOOK_MS) < next_ns)
        next_ns = decide_later(now_ns, UNTOLD_LOOK_MS);
    return next_ns;
}

bool decide_finish(struct decide *d)
{
    tell_untold(d);
    return d->n_untold == 0;
}
