/* rules_config.h - what the configuration says of rules over the devices of a site: `rules`.
 *
 * Tables and their struct; the cross-checks. Values; no hidden state. */
#ifndef FOGLINE_FOG_RULES_CONFIG_H
#define FOGLINE_FOG_RULES_CONFIG_H

#include "act/act_config.h"
#include "rule/rule.h"

enum { SITE_RULES_MAX = 64 };

/* config_item.kind of the list: enum rule_kind, and then: */
enum { SITE_RULE_SILENT = RULE_EQUALS + 1 };

struct site_rule_config {
    char name[NAME_PART_CHARS + 1];
    char select[256];
    int severity; /* proto Event.severity */
    int64_t at_least;
    double limit, min, max, hysteresis;
    char value[128];
    int64_t for_ms, hold_ms, clear_hold_ms, stale_ms, late_ms;
    struct config_list actions; /* items: struct action_config */
};

extern const struct config_kind site_rule_kinds[];

/* Borrows c->value. SILENT is a MISSING one. The holds of a rule over several are not its own. */
struct rule site_rule_of(int kind, const struct site_rule_config *c);
/* It names one channel of one device, no pattern. */
bool site_rule_is_of_one(const struct site_rule_config *c);
void site_rules_check(const struct config_list *rules, const struct config_list *outputs, const char *site,
                      struct config_check *c);

#endif
