/* rules_hear.c - readings held against rules, and what a change does. */
#include "fog/rules_private.h"

static int64_t mono_ns(const struct site_rules *s)
{
    return clock_mono_ns(s->o.clock);
}

/* ---- changes ---- */

static void run_programs(struct site_rules *s, const struct rules_instance *in)
{
    const struct rules_rule *r = &s->rules[in->rule];
    struct exec_request request = {.raised = in->state.raised};
    char value[RULES_VALUE_CHARS];

    rules_value_text(&in->value, value);
    for (unsigned i = 0; i < r->n_actions; i++) {
        const struct drive_action *a = &r->actions[i];

        if (a->kind != ACTION_EXEC || a->config->when == (in->state.raised ? EXEC_CLEARED : EXEC_RAISED))
            continue;
        request.slot = r->slots[i];
        snprintf(request.value, sizeof request.value, "%.*s", (int)sizeof request.value - 1, value);
        snprintf(request.channel, sizeof request.channel, "%.*s", (int)sizeof request.channel - 1, in->name);
        exec_request(s->exec, &request);
    }
}

/* Acts, then tells. */
static void alarm_changed(struct site_rules *s, struct rules_instance *in, int64_t time_ns)
{
    int rc;

    if (in->state.raised) {
        in->since_ns = time_ns;
        in->turned_ns = mono_ns(s);
        in->pulses = true;
    }
    in->changed_ns = time_ns;
    s->counters[in->state.raised ? SITE_RULES_RAISED : SITE_RULES_CLEARED]++;
    s->is_drive_due = true;
    rules_drive(s);
    run_programs(s, in);
    rc = rules_tell(s, in);
    if (rc < 0 && s->failed == 0)
        s->failed = rc;
}

/* Event time of a change at at_ns of the instance's clock, which is now at now_ns. */
static int64_t wall_of(const struct site_rules *s, const struct rules_instance *in, int64_t at_ns)
{
    return rules_by_mono(s, in) ? clock_wall_unix_ns(s->o.clock) - (mono_ns(s) - at_ns) : at_ns;
}

static void advance_group(struct site_rules *s, struct rules_instance *g, int64_t now_ns)
{
    const struct rule *r = rules_rule_of(s, g);
    int64_t at_ns;

    if (g->state.has_begun && now_ns < g->state.now_ns) /* devices are not equally far */
        now_ns = g->state.now_ns;
    while (rule_advance(r, &g->state, now_ns, &at_ns) != RULE_SAME)
        alarm_changed(s, g, wall_of(s, g, at_ns));
    g->row_ns = now_ns;
    rules_touch(s, g);
}

/* Holds the number of those that are so against the rule. */
void rules_count(struct site_rules *s, unsigned rule, int64_t now_ns)
{
    struct rules_instance *g = &s->instances[s->rules[rule].group_instance];
    struct rule_value v = {.type = RULE_INTEGER, .is_good = true};

    for (unsigned i = 0; i < s->n_instances; i++) {
        const struct rules_instance *in = &s->instances[i];

        v.i64 += in->rule == rule && !in->is_group && in->state.raised && !in->is_stale;
    }
    advance_group(s, g, now_ns);
    g->value = (struct rules_value){.is_there = true, .type = RULE_INTEGER, .i64 = v.i64};
    if (rule_sample(&s->rules[rule].group, &g->state, &v) != RULE_SAME)
        alarm_changed(s, g, wall_of(s, g, g->state.now_ns));
}

void rules_changed(struct site_rules *s, struct rules_instance *in, int64_t at_ns)
{
    rules_touch(s, in);
    if (!s->rules[in->rule].is_group)
        alarm_changed(s, in, wall_of(s, in, at_ns));
    else if (!in->is_group)
        rules_count(s, in->rule, in->state.now_ns);
    else
        alarm_changed(s, in, wall_of(s, in, at_ns));
}

void rules_advance(struct site_rules *s, struct rules_instance *in, int64_t now_ns)
{
    const struct rule *r = rules_rule_of(s, in);
    int64_t at_ns;

    while (rule_advance(r, &in->state, now_ns, &at_ns) != RULE_SAME)
        rules_changed(s, in, at_ns);
}

/* ---- readings ---- */

static bool is_newer(const struct rules_instance *in, const struct record_at *at)
{
    return !in->has_row || record_at_is_newer(at, &in->at);
}

static void remember(struct rules_instance *in, const struct rule_value *v)
{
    struct rules_value *last = &in->value;

    *last = (struct rules_value){.is_there = true, .type = v->type};
    if (v->type == RULE_TEXT) {
        last->text_bytes = (uint8_t)(v->text.len < sizeof last->text ? v->text.len : sizeof last->text);
        memcpy(last->text, v->text.data, last->text_bytes);
    } else {
        last->i64 = v->i64;
    }
}

static void heard_good(struct site_rules *s, struct rules_instance *in)
{
    s->is_drive_due |= !in->has_heard || in->is_output_stale;
    in->good_ns = in->heard_ns;
    in->has_heard = true;
    in->is_output_stale = false;
}

static void sample(struct site_rules *s, struct rules_instance *in, enum column_type type,
                   const struct cell *cell)
{
    static const enum rule_type types[] = {[COLUMN_DOUBLE] = RULE_DOUBLE,
                                           [COLUMN_INT64] = RULE_INTEGER,
                                           [COLUMN_BOOL] = RULE_BOOL,
                                           [COLUMN_TEXT] = RULE_TEXT};
    struct rule_value v = {.type = types[type],
                           .is_good = cell->quality == QUALITY_GOOD || cell->quality == QUALITY_UNCERTAIN};
    bool was_stale = in->is_stale;

    if (type == COLUMN_TEXT)
        v.text = cell->text;
    else
        v.i64 = cell->i64;
    if (v.is_good && !(v.type == RULE_DOUBLE && v.f64 != v.f64)) {
        remember(in, &v);
        in->is_stale = false;
        heard_good(s, in);
        if (s->rules[in->rule].is_group)
            heard_good(s, &s->instances[s->rules[in->rule].group_instance]);
    }
    s->counters[SITE_RULES_EVALUATIONS]++;
    if (rule_sample(&s->rules[in->rule].rule, &in->state, &v) != RULE_SAME)
        rules_changed(s, in, in->state.now_ns);
    else if (was_stale && !in->is_stale && in->state.raised)
        rules_count(s, in->rule, in->state.now_ns);
}

static void hear_cell(struct site_rules *s, struct rules_instance *in, enum column_type type,
                      const struct cell *cell, int64_t time_ns)
{
    int64_t now_ns = time_ns;

    if (rules_by_mono(s, in))
        now_ns = in->heard_ns;
    else if (in->has_row && time_ns >= in->row_ns && time_ns < in->state.now_ns)
        now_ns = in->state.now_ns; /* a hold was over by this machine's clock */
    rules_advance(s, in, now_ns);
    in->row_ns = time_ns;
    in->has_row = true;
    if (s->rules[in->rule].is_group) {
        struct rules_instance *g = &s->instances[s->rules[in->rule].group_instance];

        g->heard_ns = in->heard_ns;
        advance_group(s, g, now_ns);
    }
    sample(s, in, type, cell);
}

static struct cell cell_of(const struct block *b, uint32_t column, uint32_t row)
{
    const struct column *c = &b->columns[column];
    struct cell cell = {.absent = c->absent != NULL && c->absent[row] != 0,
                        .quality = c->quality != NULL ? c->quality[row] : QUALITY_GOOD};

    if (c->type == COLUMN_TEXT)
        cell.text = c->text[row];
    else if (c->type == COLUMN_DOUBLE)
        cell.f64 = c->f64[row];
    else
        cell.i64 = c->i64[row];
    return cell;
}

static void hear_column(struct site_rules *s, const struct rules_watch *w, const struct block *b,
                        const struct record_at *at)
{
    struct rules_instance *in = &s->instances[w->instance];
    int64_t now_ns = mono_ns(s);
    bool has_heard = false;

    if (!is_newer(in, at)) {
        s->counters[SITE_RULES_BLOCKS_LATE]++;
        return;
    }
    for (uint32_t row = 0; row < b->n_rows; row++) {
        struct cell cell = cell_of(b, w->column, row);

        if (cell.absent)
            continue;
        in->heard_ns = now_ns;
        hear_cell(s, in, b->columns[w->column].type, &cell, b->time_ns[row]);
        has_heard = true;
    }
    if (!has_heard)
        return;
    in->at = *at;
    rules_touch(s, in);
}

int rules_hear(struct site_rules *s, struct db_txn *txn, const struct record_at *at, const struct record *r)
{
    const struct rules_plan *plan;
    const struct block *b;
    struct block_head head;
    struct stage_set *set;
    int rc;

    if (!block_head_read(r->payload, &head)) {
        s->counters[SITE_RULES_BLOCKS_UNREADABLE]++;
        return 0;
    }
    rc = stage_reader_set(s->o.reader, txn, r->origin, head.set_id, &set);
    if (rc != 0)
        return rc;
    plan = rules_plan_of(s, set, mono_ns(s));
    if (plan == NULL)
        return -ENOMEM;
    if (plan->n_watches == 0)
        return 0;
    rc = stage_reader_block(s->o.reader, set, r, &head, &b);
    if (rc > 0)
        s->counters[SITE_RULES_BLOCKS_UNREADABLE]++;
    for (uint32_t i = 0; rc == 0 && i < plan->n_watches; i++)
        hear_column(s, &plan->watches[i], b, at);
    return rc < 0 ? rc : 0;
}
