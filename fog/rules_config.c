#include "fog/rules_config.h"

#include "act/exec.h"
#include "base/clock.h"
#include "base/numfmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RULE(member) CONFIG_AT(struct site_rule_config, member)

static const struct config_row common[] = {
    {"name", CONFIG_NAME, RULE(name), .required = true, .help = "Name of the rule, in its events."},
    {"select", CONFIG_PATTERN, RULE(select), .required = true,
     .help = "SITE/DEVICE/CHANNEL, a pattern: which readings it looks at; of `silent` SITE/DEVICE."},
    {"at_least", CONFIG_I64, RULE(at_least), .min = "0", .max = "4096", .def = "0",
     .help = "Of all that match, so many must be so at once: one alarm for all. 0: an alarm for each."},
    {"stale_ms", CONFIG_MS, RULE(stale_ms), .max = "30 d", .def = "15 min",
     .help = "With at_least: who brought nothing good for so long does not count; 0: counts for ever."},
    {"severity", CONFIG_ENUM, RULE(severity), .choices = act_severities, .def = "warning",
     .help = "Of its events."},
    {"clear_hold_ms", CONFIG_MS, RULE(clear_hold_ms), .max = "7 d", .def = "0",
     .help = "It is cleared when the condition was gone for so long."},
    {"late_ms", CONFIG_MS, RULE(late_ms), .max = "7 d", .def = "2 min",
     .help = "So late readings may come: a hold without new ones is over when it and this have passed here."},
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
        "hold_ms", CONFIG_MS, RULE(hold_ms),                                                                 \
            .max = "7 d", .def = "0",                                                                        \
            .help = "It is raised when the condition held for so long, by the times of readings."            \
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
    ROW_FOR("Raised when no new good reading came here for so long; longer than what a device waits with "
            "its readings (its commit_ms)."),
    {0},
};

static const struct config_row equals_rows[] = {
    {"value", CONFIG_STRING, RULE(value), .required = true,
     .help = "A number, true, false or a text, by the type of the channel."},
    ROW_HOLD,
    {0},
};

static const struct config_row silent_rows[] = {
    {"for_ms", CONFIG_MS, RULE(for_ms), .min = "2 s", .max = "30 d", .required = true,
     .help =
         "Raised when nothing was heard of the device for so long, no record and no Hello: one comes with "
         "each `up.poll` of the device."},
    {0},
};

const struct config_kind site_rule_kinds[] = {
    [RULE_ABOVE] = {"above", limit_rows, common, sizeof(struct site_rule_config), "Numbers above a limit."},
    [RULE_BELOW] = {"below", limit_rows, common, sizeof(struct site_rule_config), "Numbers below a limit."},
    [RULE_OUTSIDE] = {"outside", outside_rows, common, sizeof(struct site_rule_config),
                      "Numbers outside a range."},
    [RULE_RATE] = {"rate", rate_rows, common, sizeof(struct site_rule_config),
                   "Numbers that change faster than a limit."},
    [RULE_STUCK] = {"stuck", stuck_rows, common, sizeof(struct site_rule_config),
                    "Channels whose readings do not change."},
    [RULE_MISSING] = {"missing", missing_rows, common, sizeof(struct site_rule_config),
                      "Channels without good readings, as heartbeats."},
    [RULE_EQUALS] = {"equals", equals_rows, common, sizeof(struct site_rule_config),
                     "Numbers, bools or texts with this value."},
    [SITE_RULE_SILENT] = {"silent", silent_rows, common, sizeof(struct site_rule_config),
                          "Devices that are not heard of."},
    {0},
};

struct rule site_rule_of(int kind, const struct site_rule_config *c)
{
    bool is_one = c->at_least == 0;

    return (struct rule){.kind = kind == SITE_RULE_SILENT ? RULE_MISSING : (enum rule_kind)kind,
                         .low = kind == RULE_OUTSIDE ? c->min : c->limit,
                         .high = kind == RULE_OUTSIDE ? c->max : c->limit,
                         .hysteresis = c->hysteresis,
                         .for_ns = c->for_ms * NS_PER_MS,
                         .hold_ns = is_one ? c->hold_ms * NS_PER_MS : 0,
                         .clear_hold_ns = is_one ? c->clear_hold_ms * NS_PER_MS : 0,
                         .equals = c->value};
}

/* ---- what single values cannot show ---- */

static unsigned parts_of(const char *pattern)
{
    unsigned n = 1;

    for (; *pattern != '\0'; pattern++)
        n += *pattern == '/';
    return n;
}

bool site_rule_is_of_one(const struct site_rule_config *c)
{
    return parts_of(c->select) == 3 && strpbrk(c->select, "*{=") == NULL;
}

/* Could the pattern's first part be this site? Whatever device and channel are. */
static bool may_be_of(const char *select, const char *site)
{
    char first[256];
    size_t n = strcspn(select, "/");

    if (n >= sizeof first || memchr(select, '=', n) != NULL || strncmp(select, "**", 2) == 0)
        return true;
    snprintf(first, sizeof first, "%.*s", (int)n, select);
    return pattern_match(first, site, "d", "c", NULL);
}

static void check_select(int kind, const struct site_rule_config *r, const char *rule, const char *site,
                         struct config_check *c)
{
    char field[CONFIG_FIELD_CHARS];

    snprintf(field, sizeof field, "%s.select", rule);
    if (r->select[0] == '\0')
        return; /* said already */
    if (kind == SITE_RULE_SILENT && (parts_of(r->select) != 2 || strpbrk(r->select, "=") != NULL))
        config_complain(c, field, "Write SITE/DEVICE, for example \"*/pump-*\".", "\"%s\" names no devices",
                        r->select);
    else if (!may_be_of(r->select, site))
        config_complain(c, field, "Begin with the site, or with \"*/\".", "\"%s\" is not of this site, %s",
                        r->select, site);
}

static const char *number_of(double v, char out[NUMFMT_DOUBLE_CHARS])
{
    numfmt_double(v, out);
    return out;
}

static void check_numbers(int kind, const struct site_rule_config *r, const char *rule,
                          struct config_check *c)
{
    char field[CONFIG_FIELD_CHARS], number[NUMFMT_DOUBLE_CHARS];

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

static size_t programs_of(const struct site_rule_config *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->actions.n; i++)
        n += r->actions.at[i].kind == ACTION_EXEC;
    return n;
}

void site_rules_check(const struct config_list *rules, const struct config_list *outputs, const char *site,
                      struct config_check *c)
{
    char rule[64], field[CONFIG_FIELD_CHARS];
    size_t n_programs = 0;

    for (size_t i = 0; i < rules->n; i++) {
        const struct site_rule_config *r = rules->at[i].value;

        snprintf(rule, sizeof rule, "rules[%zu]", i);
        check_select(rules->at[i].kind, r, rule, site, c);
        check_numbers(rules->at[i].kind, r, rule, c);
        act_check_actions(outputs, &r->actions, rule, c);
        snprintf(field, sizeof field, "%s.actions", rule);
        n_programs += programs_of(r);
        if (n_programs > EXEC_SLOTS_MAX && n_programs - programs_of(r) <= EXEC_SLOTS_MAX)
            config_complain(c, field, "Let some rules share a program.",
                            "with these there are more than %d actions of type exec", EXEC_SLOTS_MAX);
    }
}
