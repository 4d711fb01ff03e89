#include "device/decide/decide_config.h"

#include "base/numfmt.h"
#include "device/source.h"
#include "rule/rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RULE(member) CONFIG_AT(struct rule_config, member)

/* ---- rules ---- */

static const struct config_row rule_common[] = {
    {"name", CONFIG_NAME, RULE(name), .required = true, .help = "Name of the rule, in its events."},
    {"channel", CONFIG_STRING, RULE(channel), .min = "3", .required = true,
     .help = "SOURCE/CHANNEL; * matches any run of characters, {a,b} one of these: then each channel has a "
             "state of its own."},
    {"severity", CONFIG_ENUM, RULE(severity), .choices = act_severities, .def = "warning",
     .help = "Of its events; on an output the rule of the highest severity counts."},
    {"clear_hold_ms", CONFIG_MS, RULE(clear_hold_ms), .max = "7 d", .def = "0",
     .help = "It is cleared when the condition was gone for so long."},
    {"actions", CONFIG_LIST, RULE(actions), .max = "8", .kinds = act_action_kinds,
     .help = "What it does beside its event."},
    {0},
};

#define ROW_LIMIT(text)                                                                                      \
    {                                                                                                        \
        "limit", CONFIG_DOUBLE, RULE(limit), .required = true, .help = text                                  \
    }
#define ROW_HYSTERESIS                                                                                       \
    {                                                                                                        \
        "hysteresis", CONFIG_DOUBLE, RULE(hysteresis),                                                       \
            .min = "0", .def = "0", .help = "It is cleared only so far on the good side of the limit."       \
    }
#define ROW_HOLD                                                                                             \
    {                                                                                                        \
        "hold_ms", CONFIG_MS, RULE(hold_ms), .max = "7 d", .def = "0",                                       \
                                             .help = "It is raised when the condition held for so long."     \
    }
#define ROW_FOR(text)                                                                                        \
    {                                                                                                        \
        "for_ms", CONFIG_MS, RULE(for_ms), .min = "1", .max = "30 d", .required = true, .help = text         \
    }

static const struct config_row limit_rows[] = {
    ROW_LIMIT("The value beyond which it is raised."),
    ROW_HYSTERESIS,
    ROW_HOLD,
    {0},
};

static const struct config_row outside_rows[] = {
    {"min", CONFIG_DOUBLE, RULE(min), .required = true, .help = "Raised below this."},
    {"max", CONFIG_DOUBLE, RULE(max), .required = true, .help = "Raised above this."},
    ROW_HYSTERESIS,
    ROW_HOLD,
    {0},
};

static const struct config_row rate_rows[] = {
    {"limit", CONFIG_DOUBLE, RULE(limit), .min = "0", .required = true,
     .help = "Change per second, up or down, beyond which it is raised."},
    ROW_HYSTERESIS,
    ROW_HOLD,
    {0},
};

static const struct config_row stuck_rows[] = {
    ROW_FOR("Raised when readings did not change for so long."),
    {"hysteresis", CONFIG_DOUBLE, RULE(hysteresis), .min = "0", .def = "0",
     .help = "A change is what is more than this."},
    {0},
};

static const struct config_row missing_rows[] = {
    ROW_FOR("Raised when there was no good reading for so long."),
    {0},
};

static const struct config_row equals_rows[] = {
    {"value", CONFIG_STRING, RULE(value), .required = true,
     .help = "A number, true, false or a text, by the type of the channel."},
    ROW_HOLD,
    {0},
};

const struct config_kind rule_kinds[] = {
    [RULE_ABOVE] = {"above", limit_rows, rule_common, sizeof(struct rule_config), "A number above a limit."},
    [RULE_BELOW] = {"below", limit_rows, rule_common, sizeof(struct rule_config), "A number below a limit."},
    [RULE_OUTSIDE] = {"outside", outside_rows, rule_common, sizeof(struct rule_config),
                      "A number outside a range."},
    [RULE_RATE] = {"rate", rate_rows, rule_common, sizeof(struct rule_config),
                   "A number that changes faster than a limit."},
    [RULE_STUCK] = {"stuck", stuck_rows, rule_common, sizeof(struct rule_config),
                    "A channel whose readings do not change."},
    [RULE_MISSING] = {"missing", missing_rows, rule_common, sizeof(struct rule_config),
                      "A channel without good readings."},
    [RULE_EQUALS] = {"equals", equals_rows, rule_common, sizeof(struct rule_config),
                     "A number, bool or text with this value."},
    {0},
};

void rule_of_config(int kind, const struct rule_config *c, struct rule *ret_r)
{
    *ret_r = (struct rule){.kind = (enum rule_kind)kind,
                           .low = kind == RULE_OUTSIDE ? c->min : c->limit,
                           .high = kind == RULE_OUTSIDE ? c->max : c->limit,
                           .hysteresis = c->hysteresis,
                           .for_ns = c->for_ms * 1000000,
                           .hold_ns = c->hold_ms * 1000000,
                           .clear_hold_ns = c->clear_hold_ms * 1000000,
                           .equals = c->value};
}

bool rule_has_pattern(const struct rule_config *c)
{
    return strpbrk(c->channel, "*{") != NULL;
}

bool rule_watches(const struct rule_config *c, const char *source, const char *channel)
{
    static const char *const no_tags[] = {NULL};
    char pattern[sizeof c->channel + 8];

    snprintf(pattern, sizeof pattern, "*/%s", c->channel);
    return pattern_match(pattern, "s", source, channel, no_tags);
}

/* ---- what single values cannot show ---- */

static bool has_source(const struct decide_config *d, const struct rule_config *r)
{
    char whole[sizeof r->channel];
    char *slash;

    snprintf(whole, sizeof whole, "%s", r->channel);
    slash = strchr(whole, '/');
    if (slash != NULL)
        snprintf(slash, sizeof whole - (size_t)(slash - whole), "/*");
    for (size_t i = 0; i < d->sources->n; i++) {
        struct rule_config like = {.severity = 0};

        snprintf(like.channel, sizeof like.channel, "%s", whole);
        if (rule_watches(&like, ((const struct source_config *)d->sources->at[i].value)->name, "c"))
            return true;
    }
    return false;
}

static void check_channel(const struct decide_config *d, const struct rule_config *r, const char *rule,
                          struct config_check *c)
{
    char field[CONFIG_FIELD_CHARS];
    const char *slash = strchr(r->channel, '/');
    struct errmsg err;

    snprintf(field, sizeof field, "%s.channel", rule);
    if (r->channel[0] == '\0')
        return; /* said already */
    if (slash == NULL || slash == r->channel || slash[1] == '\0' || strchr(slash + 1, '/') != NULL)
        config_complain(c, field, "Write SOURCE/CHANNEL, for example \"tank/level\".",
                        "\"%s\" names no channel of a source", r->channel);
    else if (strchr(r->channel, '=') != NULL || strstr(r->channel, "**") != NULL)
        config_complain(c, field, "Use * and {a,b} only.", "conditions on tags and ** mean nothing here");
    else if (pattern_check(r->channel, &err) != 0)
        config_complain(c, field, NULL, "%s", err.text);
    else if (!has_source(d, r))
        config_complain(c, field, "Name one of `sources` before the slash.",
                        "\"%s\": there is no such source", r->channel);
}

static const char *number_of(double v, char out[NUMFMT_DOUBLE_CHARS])
{
    numfmt_double(v, out);
    return out;
}

static void check_rule(const struct decide_config *d, size_t no, struct config_check *c)
{
    const struct rule_config *r = d->rules->at[no].value;
    char rule[64], field[CONFIG_FIELD_CHARS], number[NUMFMT_DOUBLE_CHARS];
    int kind = d->rules->at[no].kind;

    snprintf(rule, sizeof rule, "rules[%zu]", no);
    snprintf(field, sizeof field, "%s.name", rule);
    if (strlen(r->name) > RULE_NAME_CHARS)
        config_complain(c, field, "Choose a shorter one.", "at most %d characters", RULE_NAME_CHARS);
    check_channel(d, r, rule, c);
    act_check_actions(d->outputs, &r->actions, rule, c);
    snprintf(field, sizeof field, "%s.max", rule);
    if (kind == RULE_OUTSIDE && !(r->min < r->max))
        config_complain(c, field, "Exchange the two.", "is not above min, %s", number_of(r->min, number));
    snprintf(field, sizeof field, "%s.hysteresis", rule);
    if (kind == RULE_OUTSIDE && r->min < r->max && 2 * r->hysteresis > r->max - r->min)
        config_complain(c, field, "Choose at most half the width of the range.",
                        "%s leaves no value at which the rule is cleared", number_of(r->hysteresis, number));
    if (kind == RULE_RATE && r->hysteresis > r->limit)
        config_complain(c, field, "Choose at most the limit.",
                        "%s leaves no change at which the rule is cleared", number_of(r->hysteresis, number));
}

void decide_config_check(const struct decide_config *d, struct config_check *c)
{
    act_check_outputs(d->outputs, c);
    for (size_t i = 0; i < d->rules->n; i++)
        check_rule(d, i, c);
}
