/* io_decide.c - what rules decided: their events, and their state that outlives the process.
 *
 * Raised is what has a fact "rule/NAME/HASH" (hash of the channel) in the spool; the fact comes and goes in
 * the transaction of the event, so that both are there or neither. */
#include "device/io.h"

#include "base/cleanup.h"
#include "rule/rule.h"
#include "rule/rule_say.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FACT_VERSION = 1, FACT_HEAD_BYTES = 9, FACT_NAME_BYTES = 64, ORPHAN = DECIDE_INSTANCES_MAX };

static const char prefix[] = "rule/";

/* ---- facts ---- */

static void fact_name(const char *rule, const char *channel, char out[FACT_NAME_BYTES])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (const char *at = channel; *at != '\0'; at++)
        h = (h ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    snprintf(out, FACT_NAME_BYTES, "%s%.*s/%016" PRIx64, prefix, RULE_NAME_CHARS, rule, h);
}

/* A fact that cannot be read is one that is not there. */
static int take_fact(void *ctx, const char *name, struct span value)
{
    struct io *io = ctx;
    const char *rule = name + sizeof prefix - 1, *end = strchr(rule, '/');
    struct decide_raised *r = &io->alarms[io->n_alarms];

    if (end == NULL || value.len <= FACT_HEAD_BYTES || value.data[0] != FACT_VERSION ||
        value.len - FACT_HEAD_BYTES >= sizeof r->channel || (size_t)(end - rule) >= sizeof r->rule ||
        io->n_alarms == DECIDE_INSTANCES_MAX)
        return 0;
    *r = (struct decide_raised){.since_ns = (int64_t)load_le64(value.data + 1)};
    memcpy(r->rule, rule, (size_t)(end - rule));
    memcpy(r->channel, value.data + FACT_HEAD_BYTES, value.len - FACT_HEAD_BYTES);
    io->n_alarms++;
    return 0;
}

static const struct decide_raised *orphan_of(const struct io *io, uint32_t instance)
{
    return instance >= ORPHAN ? &io->orphans[instance - ORPHAN] : NULL;
}

int io_keep_decision(struct io *io, const struct batch_entry *e)
{
    const struct decide_raised *orphan = orphan_of(io, e->instance);
    uint8_t value[FACT_HEAD_BYTES + DECIDE_CHANNEL_CHARS] = {FACT_VERSION};
    struct decide_who who = {0};
    char fact[FACT_NAME_BYTES];
    size_t n;

    if (orphan == NULL)
        who = decide_who(io->decide, e->instance);
    fact_name(orphan != NULL ? orphan->rule : who.rule->name, orphan != NULL ? orphan->channel : who.channel,
              fact);
    if (!e->is_raised)
        return spool_fact_delete(io->spool, fact);
    n = strlen(who.channel);
    store_le64(value + 1, (uint64_t)e->since_ns);
    memcpy(value + FACT_HEAD_BYTES, who.channel, n);
    return spool_fact_put(io->spool, fact, span_of(value, FACT_HEAD_BYTES + n));
}

/* ---- setting up ---- */

static bool is_configured(const struct io *io, const struct decide_raised *r)
{
    char source[DECIDE_CHANNEL_CHARS];
    bool has_source = false;
    char *slash;

    snprintf(source, sizeof source, "%s", r->channel);
    slash = strchr(source, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    for (unsigned i = 0; i < io->n_sources; i++)
        has_source |= strcmp(io->sources[i].name, source) == 0;
    /* A pattern may be for a source that is no more. */
    for (size_t i = 0; has_source && i < io->config->rules.n; i++) {
        const struct rule_config *c = io->config->rules.at[i].value;

        if (strcmp(c->name, r->rule) == 0 && rule_watches(c, source, slash + 1))
            return true;
    }
    return false;
}

static void part_orphans(struct io *io)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < io->n_alarms; i++)
        if (is_configured(io, &io->alarms[i]))
            io->alarms[kept++] = io->alarms[i];
        else
            io->orphans[io->n_orphans++] = io->alarms[i];
    io->n_alarms = kept;
}

int io_open_decide(struct io *io, struct errmsg *err)
{
    struct decide_source sources[SOURCES_MAX];
    struct decide_options o = {.clock = &io->daemon->clock,
                               .feed = io->feed,
                               .rules = &io->config->rules,
                               .outputs = &io->config->outputs,
                               .sources = sources,
                               .n_sources = io->n_sources,
                               .raised = io->alarms};
    int rc = spool_facts_each(io->spool, prefix, take_fact, io);

    if (rc != 0)
        return errmsg_set(err, rc, "the spool cannot be read");
    part_orphans(io);
    if (io->config->rules.n == 0 && io->config->outputs.n == 0)
        return 0;
    o.n_raised = io->n_alarms;
    for (unsigned i = 0; i < io->n_sources; i++)
        sources[i] = (struct decide_source){io->sources[i].name, io->sources[i].replayable};
    return decide_new(&io->decide, &o, err);
}

/* ---- events ---- */

static void say_raised(struct buf *text, const struct decide_who *who, const char *value)
{
    struct rule r;

    rule_of_config(who->kind, who->rule, &r);
    rule_say_raised(text, &r, value, r.hold_ns);
}

static void set_alarm(struct io *io, const struct decide_who *who, const struct feed_decision *d)
{
    unsigned i = 0;

    while (i < io->n_alarms && (strcmp(io->alarms[i].rule, who->rule->name) != 0 ||
                                strcmp(io->alarms[i].channel, who->channel) != 0))
        i++;
    if (!d->raised) {
        if (i < io->n_alarms)
            io->alarms[i] = io->alarms[--io->n_alarms];
        return;
    }
    if (i == DECIDE_INSTANCES_MAX)
        return;
    io->n_alarms += i == io->n_alarms;
    io->alarms[i] = (struct decide_raised){.since_ns = d->since_ns};
    snprintf(io->alarms[i].rule, sizeof io->alarms[i].rule, "%s", who->rule->name);
    snprintf(io->alarms[i].channel, sizeof io->alarms[i].channel, "%s", who->channel);
}

static void add_event(struct io *io, const struct batch_entry *e, const struct feed_event *event,
                      const char *subject)
{
    Fogline__V1__Event m = FOGLINE__V1__EVENT__INIT;

    m.format = WIRE_FORMAT;
    m.type = (Fogline__V1__EventType)event->type;
    m.severity = event->severity;
    m.time_ns = event->time_ns;
    m.subject = (char *)subject;
    m.text = (char *)event->text;
    log_line(event->severity > 0 && e->is_raised ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
             e->is_raised ? "alarm_raised" : "alarm_cleared", "channel=%s msg=%s", subject,
             log_quote(event->text));
    io->counter[IO_EVENTS]++;
    io_add_entry(io, e, &m.base);
}

void io_decision(struct io *io, unsigned source, const struct feed_decision *d)
{
    struct decide_who who = decide_who(io->decide, d->instance);
    struct batch_entry e = {.kind = FOGLINE__V1__KIND__KIND_EVENT,
                            .lane = LANE_URGENT,
                            /* Where its rows wait for room, it waits with them. */
                            .source = io->sources[source].replayable ? (uint16_t)source : BATCH_NO_SOURCE,
                            .is_decision = true,
                            .is_raised = d->raised,
                            .instance = d->instance,
                            .since_ns = d->since_ns};
    struct feed_event event = {.type = d->raised ? FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_ALARM_RAISED
                                                 : FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_ALARM_CLEARED,
                               .severity = (uint32_t)who.rule->severity,
                               .time_ns = d->time_ns};
    owned(buf_deinit) struct buf text = {0};
    char value[FEED_TEXT_BYTES] = "";

    if (d->has_value)
        feed_decision_value(d, value, sizeof value);
    buf_printf(&text, "rule %s: ", who.rule->name);
    if (d->raised)
        say_raised(&text, &who, value);
    else
        rule_say_cleared(&text, value, d->since_ns, d->time_ns);
    snprintf(event.text, sizeof event.text, "%.*s", (int)text.len, (const char *)text.data);
    wire_text_mend(event.text);
    set_alarm(io, &who, d);
    add_event(io, &e, &event, who.channel);
}

void io_clear_orphans(struct io *io)
{
    for (unsigned i = 0; i < io->n_orphans; i++) {
        struct batch_entry e = {.kind = FOGLINE__V1__KIND__KIND_EVENT,
                                .lane = LANE_URGENT,
                                .source = BATCH_NO_SOURCE,
                                .is_decision = true,
                                .instance = ORPHAN + i};
        struct feed_event event = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_ALARM_CLEARED,
                                   .time_ns = clock_wall_unix_ns(&io->daemon->clock)};

        snprintf(event.text, sizeof event.text, "rule %s: no longer configured for this channel",
                 io->orphans[i].rule);
        add_event(io, &e, &event, io->orphans[i].channel);
    }
}

/* ---- what it says of itself ---- */

void io_alarm_facts(struct io *io, struct json *j)
{
    char since[48];

    json_key(j, "alarms");
    json_array(j);
    for (unsigned i = 0; i < io->n_alarms; i++) {
        json_object(j);
        json_kstr(j, "rule", io->alarms[i].rule);
        json_kstr(j, "channel", io->alarms[i].channel);
        json_kstr(j, "since", clock_format_utc(io->alarms[i].since_ns, since));
        json_object_end(j);
    }
    json_array_end(j);
    io_unheard_facts(io, j);
}

const struct counter_info io_rule_counter_info[IO_RULE_COUNTERS] = {
    {"instances", COUNTER_GAUGE, "1", "Rules times the channels they look at"},
    {"instances_refused", COUNTER_TOTAL, "1", "Channels that a rule could not look at"},
    {"evaluations", COUNTER_TOTAL, "1", "Readings held against a rule"},
    {"raised", COUNTER_TOTAL, "1", "Times a rule was raised"},
    {"cleared", COUNTER_TOTAL, "1", "Times a rule was cleared"},
    {"changes_dropped", COUNTER_TOTAL, "1", "Changes that found no room in the ring and are in no event"},
    {"output_sets", COUNTER_TOTAL, "1", "Times an output was switched"},
    {"output_failures", COUNTER_TOTAL, "1", "Times an output could not be switched"},
    {"output_p50_ns", COUNTER_GAUGE, "ns",
     "From the reading of a sample to the return of the output's call, median"},
    {"output_p99_ns", COUNTER_GAUGE, "ns", "The same, 99 of 100"},
    {"output_max_ns", COUNTER_GAUGE, "ns", "The same, the longest"},
    {"exec_started", COUNTER_TOTAL, "1", "Programs started by rules"},
    {"exec_failed", COUNTER_TOTAL, "1", "Of these, not started, killed or ended with another code than 0"},
    {"exec_killed", COUNTER_TOTAL, "1", "Of these, killed since their time was over"},
    {"exec_refused", COUNTER_TOTAL, "1", "Programs not started since too many waited"},
};

static uint64_t load(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

void io_rule_counters(const struct io *io, uint64_t value[IO_RULE_COUNTERS])
{
    const struct decide_counters *c = io->decide != NULL ? decide_counters(io->decide) : NULL;
    const struct exec_counters *x = io->decide != NULL ? decide_exec_counters(io->decide) : NULL;

    memset(value, 0, IO_RULE_COUNTERS * sizeof *value);
    if (c != NULL) {
        const uint64_t of_rules[] = {load(&c->instances),
                                     load(&c->instances_refused),
                                     load(&c->evaluations),
                                     load(&c->raised),
                                     load(&c->cleared),
                                     load(&c->changes_dropped),
                                     load(&c->output_sets),
                                     load(&c->output_failures),
                                     histogram_quantile(&c->output_time_ns, 0.5),
                                     histogram_quantile(&c->output_time_ns, 0.99),
                                     histogram_max(&c->output_time_ns)};

        memcpy(value, of_rules, sizeof of_rules);
    }
    if (x != NULL) {
        const uint64_t of_exec[] = {load(&x->started), load(&x->failed), load(&x->killed), load(&x->refused)};

        memcpy(value + IO_RULE_COUNTERS - 4, of_exec, sizeof of_exec);
    }
}
