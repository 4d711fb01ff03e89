#include "rule/rule.h"

#include "base/numfmt.h"

#include <math.h>
#include <string.h>

/* What a reading says. */
enum verdict { SAYS_NOTHING, WANTS_RAISED, WANTS_CLEARED, IN_BETWEEN };

static int64_t elapsed_ns(int64_t from_ns, int64_t to_ns)
{
    int64_t d;

    return __builtin_sub_overflow(to_ns, from_ns, &d) ? INT64_MAX : d;
}

static int64_t later_ns(int64_t from_ns, int64_t by_ns)
{
    int64_t t;

    return __builtin_add_overflow(from_ns, by_ns, &t) ? INT64_MAX : t;
}

const char *rule_kind_name(enum rule_kind kind)
{
    static const char *const names[] = {"above", "below", "outside", "rate", "stuck", "missing", "equals"};

    return names[kind];
}

static bool as_number(const char *text, double *ret)
{
    return numfmt_parse_double(text, strlen(text), ret);
}

static bool as_integer(const char *text, int64_t *ret)
{
    return numfmt_parse_i64(text, strlen(text), ret);
}

bool rule_suits(const struct rule *r, enum rule_type type)
{
    double number;

    switch (r->kind) {
    case RULE_ABOVE:
    case RULE_BELOW:
    case RULE_OUTSIDE:
    case RULE_RATE:
        return type == RULE_DOUBLE || type == RULE_INTEGER;
    case RULE_STUCK:
    case RULE_MISSING:
        return true;
    case RULE_EQUALS:
        if (type == RULE_TEXT)
            return true;
        if (type == RULE_BOOL)
            return strcmp(r->equals, "true") == 0 || strcmp(r->equals, "false") == 0;
        return as_number(r->equals, &number);
    }
    return false;
}

/* ---- time ---- */

static void begin(struct rule_state *s, int64_t now_ns)
{
    s->has_begun = true;
    s->is_pending = s->has_last = false;
    s->now_ns = s->good_ns = now_ns;
}

static int64_t hold_ns(const struct rule *r, const struct rule_state *s)
{
    return s->raised ? r->clear_hold_ns : r->hold_ns;
}

static enum rule_change turn(struct rule_state *s)
{
    s->raised = !s->raised;
    s->is_pending = false;
    return s->raised ? RULE_RAISED : RULE_CLEARED;
}

enum rule_change rule_advance(const struct rule *r, struct rule_state *s, int64_t now_ns, int64_t *ret_at_ns)
{
    if (!s->has_begun || now_ns < s->now_ns) {
        begin(s, now_ns);
        return RULE_SAME;
    }
    s->now_ns = now_ns;
    if (r->kind == RULE_MISSING && elapsed_ns(s->good_ns, now_ns) >= r->for_ns) {
        int64_t at_ns = later_ns(s->good_ns, r->for_ns);

        if (!s->raised) {
            *ret_at_ns = at_ns;
            return turn(s);
        }
        /* Missing again before it was there for long enough. */
        if (s->is_pending && at_ns < later_ns(s->pending_ns, r->clear_hold_ns))
            s->is_pending = false;
    }
    if (!s->is_pending || elapsed_ns(s->pending_ns, now_ns) < hold_ns(r, s))
        return RULE_SAME;
    *ret_at_ns = later_ns(s->pending_ns, hold_ns(r, s));
    return turn(s);
}

int64_t rule_deadline_ns(const struct rule *r, const struct rule_state *s)
{
    int64_t next_ns = INT64_MAX;

    if (s->is_pending)
        next_ns = later_ns(s->pending_ns, hold_ns(r, s));
    if (r->kind == RULE_MISSING && s->has_begun && !s->raised && later_ns(s->good_ns, r->for_ns) < next_ns)
        next_ns = later_ns(s->good_ns, r->for_ns);
    return next_ns;
}

/* ---- readings ---- */

static double number_of(const struct rule_value *v)
{
    return v->type == RULE_DOUBLE ? v->f64 : (double)v->i64;
}

/* FNV-1a. */
static int64_t hash(struct span text)
{
    const uint8_t *at = text.data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < text.len; i++)
        h = (h ^ at[i]) * UINT64_C(0x100000001b3);
    return (int64_t)h;
}

static enum verdict judge_limits(const struct rule *r, double x)
{
    bool above = r->kind != RULE_BELOW, below = r->kind == RULE_BELOW || r->kind == RULE_OUTSIDE;

    if ((above && x > r->high) || (below && x < r->low))
        return WANTS_RAISED;
    if ((above && x > r->high - r->hysteresis) || (below && x < r->low + r->hysteresis))
        return IN_BETWEEN;
    return WANTS_CLEARED;
}

static enum verdict judge_rate(const struct rule *r, struct rule_state *s, double x)
{
    double seconds = (double)elapsed_ns(s->last_ns, s->now_ns) / 1e9, rate;

    if (!s->has_last || seconds > 0) {
        rate = s->has_last ? fabs(x - s->last) / seconds : NAN;
        s->last = x;
        s->last_ns = s->now_ns;
        s->has_last = true;
        if (!isnan(rate))
            return rate > r->high                   ? WANTS_RAISED
                   : rate > r->high - r->hysteresis ? IN_BETWEEN
                                                    : WANTS_CLEARED;
    }
    return SAYS_NOTHING;
}

static bool is_changed(const struct rule *r, const struct rule_state *s, const struct rule_value *v)
{
    if (v->type == RULE_DOUBLE)
        return v->f64 != s->last && !(fabs(v->f64 - s->last) <= r->hysteresis);
    if (v->type == RULE_INTEGER && r->hysteresis > 0)
        return fabs(number_of(v) - s->last) > r->hysteresis;
    return (v->type == RULE_TEXT ? hash(v->text) : v->i64) != s->last_exact;
}

static enum verdict judge_stuck(const struct rule *r, struct rule_state *s, const struct rule_value *v)
{
    bool changed = s->has_last && is_changed(r, s, v);

    if (!s->has_last || changed) {
        s->has_last = true;
        s->last_ns = s->now_ns;
        s->last = v->type == RULE_TEXT ? 0 : number_of(v);
        s->last_exact = v->type == RULE_TEXT ? hash(v->text) : v->type == RULE_DOUBLE ? 0 : v->i64;
    }
    if (changed)
        return WANTS_CLEARED;
    return elapsed_ns(s->last_ns, s->now_ns) >= r->for_ns ? WANTS_RAISED : IN_BETWEEN;
}

static bool is_equal(const struct rule *r, const struct rule_value *v)
{
    int64_t integer;
    double number;

    switch (v->type) {
    case RULE_TEXT:
        return span_equal(v->text, span_str(r->equals));
    case RULE_BOOL:
        return (v->i64 != 0) == (strcmp(r->equals, "true") == 0);
    case RULE_INTEGER:
        if (as_integer(r->equals, &integer))
            return v->i64 == integer;
        break;
    case RULE_DOUBLE:
        break;
    }
    return as_number(r->equals, &number) && number_of(v) == number;
}

static enum verdict judge(const struct rule *r, struct rule_state *s, const struct rule_value *v)
{
    switch (r->kind) {
    case RULE_ABOVE:
    case RULE_BELOW:
    case RULE_OUTSIDE:
        return judge_limits(r, number_of(v));
    case RULE_RATE:
        return judge_rate(r, s, number_of(v));
    case RULE_STUCK:
        return judge_stuck(r, s, v);
    case RULE_MISSING:
        return WANTS_CLEARED;
    case RULE_EQUALS:
        return is_equal(r, v) ? WANTS_RAISED : WANTS_CLEARED;
    }
    return SAYS_NOTHING;
}

enum rule_change rule_sample(const struct rule *r, struct rule_state *s, const struct rule_value *v)
{
    enum verdict says;

    if (!v->is_good || (v->type == RULE_DOUBLE && isnan(v->f64)) || !rule_suits(r, v->type))
        return RULE_SAME;
    s->good_ns = s->now_ns;
    says = judge(r, s, v);
    if (says == SAYS_NOTHING)
        return RULE_SAME;
    if (says != (s->raised ? WANTS_CLEARED : WANTS_RAISED)) {
        s->is_pending = false;
        return RULE_SAME;
    }
    if (!s->is_pending) {
        s->is_pending = true;
        s->pending_ns = s->now_ns;
    }
    return elapsed_ns(s->pending_ns, s->now_ns) >= hold_ns(r, s) ? turn(s) : RULE_SAME;
}
