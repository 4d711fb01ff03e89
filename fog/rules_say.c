/* rules_say.c - what rules found becomes events of the fog. */
#include "fog/rules_private.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/numfmt.h"
#include "hop/maker.h"
#include "rule/rule_say.h"

enum { MEMBERS_SAID = 16 };

void rules_value_text(const struct rules_value *v, char out[RULES_VALUE_CHARS])
{
    struct rule_value number = {.i64 = v->i64};

    out[0] = '\0';
    if (!v->is_there)
        return;
    switch (v->type) {
    case RULE_DOUBLE:
        numfmt_double(number.f64, out);
        break;
    case RULE_INTEGER:
        snprintf(out, RULES_VALUE_CHARS, "%" PRId64, v->i64);
        break;
    case RULE_BOOL:
        snprintf(out, RULES_VALUE_CHARS, "%s", v->i64 != 0 ? "true" : "false");
        break;
    case RULE_TEXT:
        snprintf(out, RULES_VALUE_CHARS, "%.*s", v->text_bytes, v->text);
        wire_text_mend(out);
        break;
    }
}

static bool counts(const struct rules_instance *in, unsigned rule)
{
    return in->rule == rule && !in->is_group && in->state.raised && !in->is_stale;
}

/* "above 80" */
static void say_condition(struct buf *text, const struct rules_rule *r)
{
    switch (r->rule.kind) {
    case RULE_ABOVE:
    case RULE_BELOW:
        buf_printf(text, "%s ", rule_kind_name(r->rule.kind));
        rule_say_number(text, r->rule.kind == RULE_ABOVE ? r->rule.high : r->rule.low);
        return;
    case RULE_OUTSIDE:
        buf_printf(text, "outside ");
        rule_say_number(text, r->rule.low);
        buf_printf(text, " .. ");
        rule_say_number(text, r->rule.high);
        return;
    case RULE_RATE:
        buf_printf(text, "changing by more than ");
        rule_say_number(text, r->rule.high);
        buf_printf(text, " a second");
        return;
    case RULE_STUCK:
        buf_printf(text, "unchanged for ");
        break;
    case RULE_MISSING:
        buf_printf(text, r->kind == SITE_RULE_SILENT ? "not heard of for " : "without a good reading for ");
        break;
    case RULE_EQUALS:
        buf_printf(text, "%s", r->rule.equals);
        return;
    }
    rule_say_ms(text, r->rule.for_ns / NS_PER_MS);
}

/* The one whose name comes after `after`; NULL: none. In the order of names, so that whoever knew them in
 * another order says the same. */
static const struct rules_instance *next_member(const struct site_rules *s, unsigned rule, const char *after)
{
    const struct rules_instance *next = NULL;

    for (unsigned i = 0; i < s->n_instances; i++) {
        const struct rules_instance *in = &s->instances[i];

        if (counts(in, rule) && strcmp(in->name, after) > 0 &&
            (next == NULL || strcmp(in->name, next->name) < 0))
            next = in;
    }
    return next;
}

static void say_members(const struct site_rules *s, unsigned rule, unsigned of, struct buf *text)
{
    const struct rules_instance *in = next_member(s, rule, "");
    unsigned n = 0;

    for (; in != NULL && n < MEMBERS_SAID; in = next_member(s, rule, in->name), n++) {
        char value[RULES_VALUE_CHARS];

        rules_value_text(&in->value, value);
        buf_printf(text, "%s %s%s%s", n == 0 ? ":" : ",", in->name, value[0] != '\0' ? " " : "", value);
    }
    if (of > n)
        buf_printf(text, " and %u more", of - n);
}

static void say_group(const struct site_rules *s, const struct rules_instance *in, int64_t time_ns,
                      struct buf *text)
{
    const struct rules_rule *r = &s->rules[in->rule];
    unsigned n = 0, of = 0;
    char count[32];

    for (unsigned i = 0; i < s->n_instances; i++) {
        of += s->instances[i].rule == in->rule && !s->instances[i].is_group;
        n += counts(&s->instances[i], in->rule);
    }
    snprintf(count, sizeof count, "%u of %u", n, of);
    if (!in->state.raised) {
        rule_say_cleared(text, count, in->since_ns, time_ns);
        return;
    }
    buf_printf(text, "%s ", count);
    say_condition(text, r);
    if (r->group.hold_ns > 0) {
        buf_printf(text, ", for ");
        rule_say_ms(text, r->group.hold_ns / NS_PER_MS);
    }
    say_members(s, in->rule, n, text);
}

static void say_one(const struct site_rules *s, const struct rules_instance *in, int64_t time_ns,
                    struct buf *text)
{
    const struct rules_rule *r = &s->rules[in->rule];
    char value[RULES_VALUE_CHARS];

    rules_value_text(&in->value, value);
    if (!in->state.raised)
        rule_say_cleared(text, value, in->since_ns, time_ns);
    else if (r->kind == SITE_RULE_SILENT)
        say_condition(text, r);
    else
        rule_say_raised(text, &r->rule, value, r->rule.hold_ns);
}

struct said {
    const char *subject;
    int severity;
    bool raised;
    int64_t time_ns;
};

/* 0; DERIVED_NO_ROOM; negative errno. */
static int event(struct site_rules *s, const struct said *w, struct buf *text)
{
    Fogline__V1__Event e = FOGLINE__V1__EVENT__INIT;
    owned(buf_deinit) struct buf payload = {0};
    struct maker_record r = {.lane = LANE_URGENT, .kind = FOGLINE__V1__KIND__KIND_EVENT};
    char line[WIRE_TEXT_MAX_BYTES];
    int rc;

    if (text->error != 0)
        return text->error;
    snprintf(line, sizeof line, "%.*s", (int)text->len, (const char *)text->data);
    wire_text_mend(line);
    e.format = WIRE_FORMAT;
    e.type = w->raised ? FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_ALARM_RAISED
                       : FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_ALARM_CLEARED;
    e.severity = (uint32_t)w->severity;
    e.time_ns = w->time_ns;
    e.subject = (char *)w->subject;
    e.text = line;
    wire_pack(&payload, &e.base);
    if (payload.error != 0)
        return payload.error;
    r.payload = span_of(payload.data, payload.len);
    rc = derived_record(s->o.derived, &r, NULL);
    if (rc == 0)
        log_line(w->severity > 0 && w->raised ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                 w->raised ? "alarm_raised" : "alarm_cleared", "channel=%s msg=%s", w->subject,
                 log_quote(line));
    return rc;
}

int rules_tell(struct site_rules *s, struct rules_instance *in)
{
    const struct rules_rule *r = &s->rules[in->rule];
    struct said w = {in->name, r->config->severity, in->state.raised, in->changed_ns};
    owned(buf_deinit) struct buf text = {0};
    int rc;

    buf_printf(&text, "rule %s: ", r->config->name);
    if (in->is_group)
        say_group(s, in, w.time_ns, &text);
    else
        say_one(s, in, w.time_ns, &text);
    rc = event(s, &w, &text);
    rules_touch(s, in);
    if (rc == DERIVED_NO_ROOM) {
        s->is_owing = true;
        s->counters[SITE_RULES_EVENTS_WAITED]++;
        return 0;
    }
    if (rc == 0)
        in->is_told = in->state.raised;
    return rc;
}

int rules_tell_gone(struct site_rules *s, const char *rule, const struct rules_instance *in)
{
    struct said w = {in->name, 0, false, clock_wall_unix_ns(s->o.clock)};
    owned(buf_deinit) struct buf text = {0};

    buf_printf(&text, "rule %s: no longer configured for this", rule);
    return event(s, &w, &text);
}
