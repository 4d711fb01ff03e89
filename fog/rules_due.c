/* rules_due.c - what falls due without a reading: holds, silences, outputs. */
#include "fog/rules_private.h"

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
    rules_advance(s, in, due_ns > in->state.now_ns ? due_ns : in->state.now_ns);
}

static void look_at(struct site_rules *s, struct rules_instance *in, int64_t now_ns)
{
    const struct rules_rule *r = &s->rules[in->rule];

    if (r->kind == SITE_RULE_SILENT && !in->is_group && !in->is_present)
        return;
    if (rules_by_mono(s, in) && !in->state.has_begun)
        rules_advance(s, in, in->heard_ns);
    if (rules_by_mono(s, in))
        rules_advance(s, in, now_ns);
    else
        look_at_hold(s, in, now_ns);
    if (r->is_group && !in->is_group && in->state.raised && !in->is_stale && r->config->stale_ms > 0 &&
        !rules_by_mono(s, in) && now_ns - in->good_ns >= r->config->stale_ms * NS_PER_MS) {
        in->is_stale = true;
        rules_touch(s, in);
        rules_count(s, in->rule, in->state.now_ns);
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

/* ---- devices ---- */

static void hear_device(struct site_rules *s, struct rules_instance *in, int64_t heard_ns, int64_t now_ns)
{
    static const struct rule_value heard = {.type = RULE_BOOL, .is_good = true};

    if (heard_ns <= in->heard_ns && in->has_heard)
        return;
    s->is_drive_due |= !in->has_heard;
    in->has_heard = true;
    in->heard_ns = in->good_ns = heard_ns;
    rules_advance(s, in, now_ns);
    if (rule_sample(&s->rules[in->rule].rule, &in->state, &heard) != RULE_SAME)
        rules_changed(s, in, in->state.now_ns);
}

static void look_at_device(void *ctx, const struct site_rules_device *d)
{
    struct site_rules *s = ctx;
    int64_t now_ns = clock_mono_ns(s->o.clock);

    for (unsigned i = 0; i < s->n_rules && s->failed == 0; i++) {
        const struct rules_rule *r = &s->rules[i];
        unsigned no;
        int rc;

        if (r->kind != SITE_RULE_SILENT || !pattern_match(r->config->select, s->o.site, d->name, "c", NULL))
            continue;
        if (!d->is_listed && !rules_has_instance(s, i, d->name))
            continue;
        rc = rules_instance(s, i, d->name, false, now_ns, &no);
        if (rc == RULES_NO_ROOM)
            rules_refuse(s, r->config->name, d->name,
                         "no room for the states of so many rules times devices");
        if (rc < 0)
            s->failed = rc;
        if (rc != 0)
            continue;
        s->instances[no].is_present |= d->is_listed;
        if (d->heard_mono_ms != INT64_MIN)
            hear_device(s, &s->instances[no], d->heard_mono_ms * NS_PER_MS, now_ns);
    }
}

/* Who is not expected any more is not silent. */
static void let_go_of_device(struct site_rules *s, struct rules_instance *in)
{
    bool was_raised = in->state.raised;

    in->state = (struct rule_state){.raised = false};
    if (was_raised)
        rules_changed(s, in, clock_mono_ns(s->o.clock));
}

static void look_at_devices(struct site_rules *s)
{
    bool has_any = false;

    for (unsigned i = 0; i < s->n_rules; i++)
        has_any |= s->rules[i].kind == SITE_RULE_SILENT;
    if (!has_any || s->o.devices == NULL)
        return;
    for (unsigned i = 0; i < s->n_instances; i++)
        s->instances[i].is_present = false;
    s->o.devices(s->o.devices_ctx, look_at_device, s);
    for (unsigned i = 0; i < s->n_instances; i++) {
        struct rules_instance *in = &s->instances[i];

        if (s->rules[in->rule].kind == SITE_RULE_SILENT && !in->is_group && !in->is_present)
            let_go_of_device(s, in);
    }
}

/* ---- outputs ---- */

static void view(void *ctx, unsigned i, struct drive_view *ret_v)
{
    struct site_rules *s = ctx;
    struct rules_instance *in = &s->instances[i];
    const struct rules_rule *r = &s->rules[in->rule];

    *ret_v = (struct drive_view){.actions = r->actions,
                                 .n_actions = r->is_group && !in->is_group ? 0 : r->n_actions,
                                 .severity = r->config->severity,
                                 .raised = in->state.raised,
                                 .has_heard = in->has_heard,
                                 .pulses = in->pulses,
                                 .may_be_stale = true,
                                 .good_mono_ns = in->good_ns,
                                 .turned_mono_ns = in->turned_ns,
                                 .is_stale = &in->is_output_stale};
}

void rules_drive(struct site_rules *s)
{
    struct drive_done done;

    if (s->o.drive == NULL || !s->is_drive_due)
        return;
    s->is_drive_due = false;
    drive_run(s->o.drive, &(struct drive_rules){s->n_instances, view, s}, clock_mono_ns(s->o.clock), &done);
    s->drive_next_ns = done.next_ns;
    s->counters[SITE_RULES_OUTPUT_SETS] += done.n_set;
    s->counters[SITE_RULES_OUTPUT_FAILURES] += done.n_failed;
    if (s->o.wake != NULL && done.next_ns != INT64_MAX)
        s->o.wake(s->o.wake_ctx, done.next_ns);
}

void site_rules_drive(struct site_rules *s)
{
    s->is_drive_due |= clock_mono_ns(s->o.clock) >= s->drive_next_ns;
    rules_drive(s);
}

/* ---- the round ---- */

int site_rules_round(struct site_rules *s)
{
    int64_t now_ns = clock_mono_ns(s->o.clock);
    struct db_txn *txn;
    int rc = 0;

    if (now_ns - s->last_round_ns > SITE_RULES_PAUSE_MS * NS_PER_MS)
        begin_silences_anew(s, now_ns);
    s->last_round_ns = now_ns;
    look_at_devices(s);
    for (unsigned i = 0; i < s->n_instances; i++)
        look_at(s, &s->instances[i], now_ns);
    if (s->is_owing)
        pay_debts(s);
    site_rules_drive(s);
    if (s->is_dirty)
        rc = spool_txn(s->o.spool, &txn);
    if (rc >= 0)
        rc = s->failed;
    return rc < 0 ? rc : 0;
}
