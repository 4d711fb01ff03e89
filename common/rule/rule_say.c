#include "rule/rule_say.h"

#include "base/clock.h"
#include "base/numfmt.h"

#include <inttypes.h>

void rule_say_ms(struct buf *text, int64_t ms)
{
    if (ms % 1000 == 0)
        buf_printf(text, "%" PRId64 " s", ms / 1000);
    else
        buf_printf(text, "%" PRId64 " ms", ms);
}

void rule_say_number(struct buf *text, double v)
{
    char number[NUMFMT_DOUBLE_CHARS];

    numfmt_double(v, number);
    buf_printf(text, "%s", number);
}

void rule_say_raised(struct buf *text, const struct rule *r, const char *value, int64_t hold_ns)
{
    switch (r->kind) {
    case RULE_ABOVE:
    case RULE_BELOW:
        buf_printf(text, "%s is %s ", value, rule_kind_name(r->kind));
        rule_say_number(text, r->kind == RULE_ABOVE ? r->high : r->low);
        break;
    case RULE_OUTSIDE:
        buf_printf(text, "%s is outside ", value);
        rule_say_number(text, r->low);
        buf_printf(text, " .. ");
        rule_say_number(text, r->high);
        break;
    case RULE_RATE:
        buf_printf(text, "%s: it changes by more than ", value);
        rule_say_number(text, r->high);
        buf_printf(text, " a second");
        break;
    case RULE_STUCK:
        buf_printf(text, "%s, unchanged for ", value);
        rule_say_ms(text, r->for_ns / NS_PER_MS);
        break;
    case RULE_MISSING:
        buf_printf(text, "no good reading for ");
        rule_say_ms(text, r->for_ns / NS_PER_MS);
        if (value[0] != '\0')
            buf_printf(text, ", the last one was %s", value);
        break;
    case RULE_EQUALS:
        buf_printf(text, "%s is what it looks for", value);
        break;
    }
    if (hold_ns > 0) {
        buf_printf(text, ", for ");
        rule_say_ms(text, hold_ns / NS_PER_MS);
    }
}

void rule_say_cleared(struct buf *text, const char *value, int64_t since_ns, int64_t time_ns)
{
    int64_t ns;

    buf_printf(text, "cleared%s%s", value[0] != '\0' ? " at " : "", value);
    if (__builtin_sub_overflow(time_ns, since_ns, &ns) || ns < 0)
        return;
    buf_printf(text, ", was raised for ");
    rule_say_ms(text, ns / NS_PER_MS);
}
