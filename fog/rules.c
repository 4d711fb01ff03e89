#include "fog/rules.h"

#include "base/cleanup.h"
#include "fog/rules_private.h"

#include <errno.h>

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
        const struct rules_action *a = &r->actions[i];

        if (a->config->when == (in->state.raised ? EXEC_CLEARED : EXEC_RAISED))
            continue;
        request.slot = a->slot;
        snprintf(request.value, sizeof request.value, "%.*s", (int)sizeof request.value - 1, value);
        snprintf(request.channel, sizeof request.channel, "%.*s", (int)sizeof request.channel - 1, in->name);
        exec_request(s->exec, &request);
    }
}

/* Acts, then tells. */
static void alarm_changed(struct site_rules *s, struct rules_instance *in, int64_t time_ns)
{
    int rc;

    if (in->state.raised)
        in->since_ns = time_ns;
    in->changed_ns = time_ns;
    s->counters[in->state.raised ? SITE_RULES_RAISED : SITE_RULES_CLEARED]++;
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
static void count_group(struct site_rules *s, unsigned rule, int64_t now_ns)
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

static void changed(struct site_rules *s, struct rules_instance *in, int64_t at_ns)
{
    rules_touch(s, in);
    if (!s->rules[in->rule].is_group)
        alarm_changed(s, in, wall_of(s, in, at_ns));
    else if (!in->is_group)
        count_group(s, in->rule, in->state.now_ns);
    else
        alarm_changed(s, in, wall_of(s, in, at_ns));
}

static void advance(struct site_rules *s, struct rules_instance *in, int64_t now_ns)
{
    const struct rule *r = rules_rule_of(s, in);
    int64_t at_ns;

    while (rule_advance(r, &in->state, now_ns, &at_ns) != RULE_SAME)
        changed(s, in, at_ns);
}

/* ---- readings ---- */

static bool is_newer(const struct rules_instance *in, const struct spool_stream *stream, uint64_t seq)
{
    if (!in->has_row)
        return true;
    if (memcmp(&in->epoch, &stream->epoch, sizeof in->epoch) != 0)
        return stream->no >= in->stream;
    return seq > in->seq;
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
        in->good_ns = in->heard_ns;
        in->is_stale = false;
    }
    s->counters[SITE_RULES_EVALUATIONS]++;
    if (rule_sample(&s->rules[in->rule].rule, &in->state, &v) != RULE_SAME)
        changed(s, in, in->state.now_ns);
    else if (was_stale && !in->is_stale && in->state.raised)
        count_group(s, in->rule, in->state.now_ns);
}

static void hear_cell(struct site_rules *s, struct rules_instance *in, enum column_type type,
                      const struct cell *cell, int64_t time_ns)
{
    int64_t now_ns = time_ns;

    if (rules_by_mono(s, in))
        now_ns = in->heard_ns;
    else if (in->has_row && time_ns >= in->row_ns && time_ns < in->state.now_ns)
        now_ns = in->state.now_ns; /* a hold was over by this machine's clock */
    advance(s, in, now_ns);
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
                        const struct spool_stream *stream, uint64_t seq)
{
    struct rules_instance *in = &s->instances[w->instance];
    int64_t now_ns = mono_ns(s);
    bool has_heard = false;

    if (!is_newer(in, stream, seq)) {
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
    in->epoch = stream->epoch;
    in->stream = stream->no;
    in->seq = seq;
    rules_touch(s, in);
}

/* 0; STAGE_READER_UNKNOWN; DB_FULL; negative errno. */
static int hear_block(struct site_rules *s, struct db_txn *txn, const struct spool_stream *stream,
                      const struct record *r)
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
        hear_column(s, &plan->watches[i], b, stream, r->seq);
    return rc < 0 ? rc : 0;
}

int site_rules_record(struct site_rules *s, const struct spool_stream *stream, const struct record *r)
{
    struct db_txn *txn;
    int rc;

    if (s->n_rules == 0 || r->kind != FOGLINE__V1__KIND__KIND_BLOCK)
        return 0;
    if ((r->flags & RECORD_FLAG_AGAIN) != 0) {
        s->counters[SITE_RULES_BLOCKS_AGAIN]++;
        return 0;
    }
    rc = spool_txn(s->o.spool, &txn);
    if (rc == 0)
        rc = hear_block(s, txn, stream, r);
    if (rc == STAGE_READER_UNKNOWN)
        s->counters[SITE_RULES_BLOCKS_NO_SET]++;
    if (rc >= 0)
        rc = s->failed;
    return rc < 0 ? rc : 0;
}

/* ---- what falls due ---- */

/* A hold that no newer reading ended. */
static void look_at_hold(struct site_rules *s, struct rules_instance *in, int64_t now_ns)
{
    const struct rules_rule *r = &s->rules[in->rule];
    int64_t due_ns = rule_deadline_ns(rules_rule_of(s, in), &in->state), there_ns;

    if (due_ns == INT64_MAX ||
        __builtin_add_overflow(in->row_ns, now_ns - in->heard_ns - r->config->late_ms * NS_PER_MS,
                               &there_ns) ||
        there_ns < due_ns)
        return;
    advance(s, in, due_ns > in->state.now_ns ? due_ns : in->state.now_ns);
}

static void look_at(struct site_rules *s, struct rules_instance *in, int64_t now_ns)
{
    const struct rules_rule *r = &s->rules[in->rule];

    if (rules_by_mono(s, in) && !in->state.has_begun)
        advance(s, in, in->heard_ns);
    if (rules_by_mono(s, in))
        advance(s, in, now_ns);
    else
        look_at_hold(s, in, now_ns);
    if (r->is_group && !in->is_group && in->state.raised && !in->is_stale && r->config->stale_ms > 0 &&
        !rules_by_mono(s, in) && now_ns - in->good_ns >= r->config->stale_ms * NS_PER_MS) {
        in->is_stale = true;
        rules_touch(s, in);
        count_group(s, in->rule, in->state.now_ns);
    }
}

/* What was not listened to was not silent. */
static void begin_silences_anew(struct site_rules *s, int64_t now_ns)
{
    for (unsigned i = 0; i < s->n_instances; i++) {
        struct rules_instance *in = &s->instances[i];

        in->heard_ns = in->good_ns = now_ns;
        if (rules_by_mono(s, in))
            in->state = (struct rule_state){.raised = in->state.raised};
    }
}

/* Events that found no room. */
static void pay_debts(struct site_rules *s)
{
    s->is_owing = false;
    for (unsigned i = 0; i < s->n_instances; i++) {
        struct rules_instance *in = &s->instances[i];

        if (in->is_told != in->state.raised && (in->is_group || !s->rules[in->rule].is_group) &&
            !s->is_owing && s->failed == 0)
            s->failed = rules_tell(s, in);
    }
}

int site_rules_round(struct site_rules *s)
{
    int64_t now_ns = mono_ns(s);
    struct db_txn *txn;
    int rc = 0;

    if (now_ns - s->last_round_ns > SITE_RULES_PAUSE_MS * NS_PER_MS)
        begin_silences_anew(s, now_ns);
    s->last_round_ns = now_ns;
    for (unsigned i = 0; i < s->n_instances; i++)
        look_at(s, &s->instances[i], now_ns);
    if (s->is_owing)
        pay_debts(s);
    if (s->is_dirty)
        rc = spool_txn(s->o.spool, &txn);
    if (rc >= 0)
        rc = s->failed;
    return rc < 0 ? rc : 0;
}

/* ---- start and end ---- */

/* Of a rule over several the count; of one on a single channel that may be missing this channel. */
static int make_first_instances(struct site_rules *s)
{
    int rc = 0;

    for (unsigned i = 0; rc >= 0 && i < s->n_rules; i++) {
        struct rules_rule *r = &s->rules[i];
        const char *channel = strchr(r->config->select, '/');
        unsigned no;

        if (r->is_group)
            rc = rules_instance(s, i, r->config->select, true, mono_ns(s), &r->group_instance);
        if (rc >= 0 && r->kind == RULE_MISSING && site_rule_is_of_one(r->config))
            rc = rules_instance(s, i, channel + 1, false, mono_ns(s), &no);
    }
    return rc < 0 ? rc : 0;
}

int site_rules_reload(struct site_rules *s)
{
    struct db_txn *txn;
    int rc = spool_txn(s->o.spool, &txn);

    for (unsigned i = 0; i < s->n_instances; i++) {
        struct rules_instance *in = &s->instances[i];

        in->is_told = in->is_stale = in->has_row = in->is_dirty = false;
        in->state = (struct rule_state){.raised = false};
        in->value.is_there = false;
    }
    s->is_dirty = false;
    s->is_owing = true;
    if (rc == 0)
        rc = rules_read(s, txn, mono_ns(s));
    return rc < 0 ? rc : 0;
}

int site_rules_new(struct site_rules **ret_s, const struct site_rules_options *options, struct errmsg *err)
{
    struct site_rules *s = calloc(1, sizeof *s);
    int rc = 0;

    if (s == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    s->o = *options;
    s->last_round_ns = mono_ns(s);
    s->map = calloc(RULES_MAP, sizeof *s->map);
    if (s->map == NULL)
        rc = errmsg_set(err, -ENOMEM, "no memory");
    if (rc == 0)
        rc = rules_define(s, err);
    if (rc == 0) {
        rc = make_first_instances(s);
        if (rc == 0)
            rc = site_rules_reload(s);
        if (rc < 0)
            errmsg_set(err, rc, "cannot read the states of rules: %s", strerror(-rc));
    }
    if (rc < 0) {
        site_rules_free(s);
        return rc;
    }
    *ret_s = s;
    return 0;
}

struct site_rules *site_rules_free(struct site_rules *s)
{
    if (s == NULL)
        return NULL;
    exec_free(s->exec);
    stage_reader_let_go(s->o.reader, s->o.user);
    free(s->instances);
    free(s->map);
    buf_deinit(&s->scratch);
    free(s);
    return NULL;
}

/* ---- what it says of itself ---- */

const struct counter_info site_rules_counter_info[SITE_RULES_COUNTERS] = {
    [SITE_RULES_INSTANCES] = {"instances", COUNTER_GAUGE, "1", "Rules times the channels they look at."},
    [SITE_RULES_INSTANCES_REFUSED] = {"instances_refused", COUNTER_TOTAL, "1",
                                      "Channels that a rule could not look at."},
    [SITE_RULES_EVALUATIONS] = {"evaluations", COUNTER_TOTAL, "1", "Readings held against a rule."},
    [SITE_RULES_RAISED] = {"raised", COUNTER_TOTAL, "1", "Times an alarm was raised."},
    [SITE_RULES_CLEARED] = {"cleared", COUNTER_TOTAL, "1", "Times an alarm was cleared."},
    [SITE_RULES_EVENTS_WAITED] = {"events_waited", COUNTER_TOTAL, "1",
                                  "Times that an event had no room in the store and had to wait."},
    [SITE_RULES_BLOCKS_LATE] = {"late", COUNTER_TOTAL, "1",
                                "Blocks times rules passed over: newer ones had come before."},
    [SITE_RULES_BLOCKS_AGAIN] = {"blocks_again", COUNTER_TOTAL, "records",
                                 "Blocks passed over: another fog may have decided on them."},
    [SITE_RULES_BLOCKS_NO_SET] = {"blocks_no_set", COUNTER_TOTAL, "records",
                                  "Blocks whose descriptor set had not come."},
    [SITE_RULES_BLOCKS_UNREADABLE] = {"blocks_unreadable", COUNTER_TOTAL, "records",
                                      "Blocks passed over: they do not decode."},
    [SITE_RULES_DAMAGED] = {"damaged", COUNTER_TOTAL, "1", "States lost to damage of the store."},
    [SITE_RULES_EXEC_STARTED] = {"exec_started", COUNTER_TOTAL, "1", "Programs started by rules."},
    [SITE_RULES_EXEC_FAILED] = {"exec_failed", COUNTER_TOTAL, "1",
                                "Of these, not started, killed or ended with another code than 0."},
    [SITE_RULES_EXEC_KILLED] = {"exec_killed", COUNTER_TOTAL, "1",
                                "Of these, killed since their time was over."},
    [SITE_RULES_EXEC_REFUSED] = {"exec_refused", COUNTER_TOTAL, "1",
                                 "Programs not started since too many waited."},
};

const uint64_t *site_rules_counters(struct site_rules *s)
{
    if (s->exec != NULL) {
        const struct exec_counters *x = exec_counters(s->exec);

        s->counters[SITE_RULES_EXEC_STARTED] = atomic_load_explicit(&x->started, memory_order_relaxed);
        s->counters[SITE_RULES_EXEC_FAILED] = atomic_load_explicit(&x->failed, memory_order_relaxed);
        s->counters[SITE_RULES_EXEC_KILLED] = atomic_load_explicit(&x->killed, memory_order_relaxed);
        s->counters[SITE_RULES_EXEC_REFUSED] = atomic_load_explicit(&x->refused, memory_order_relaxed);
    }
    return s->counters;
}

void site_rules_alarms(const struct site_rules *s, void (*fn)(void *ctx, const struct site_alarm *a),
                       void *ctx)
{
    for (unsigned i = 0; i < s->n_instances; i++) {
        const struct rules_instance *in = &s->instances[i];
        const struct rules_rule *r = &s->rules[in->rule];

        if (in->state.raised && (in->is_group || !r->is_group))
            fn(ctx, &(struct site_alarm){r->config->name, in->name, in->since_ns});
    }
}
