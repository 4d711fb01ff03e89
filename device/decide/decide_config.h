/* decide_config.h - what the configuration says of decisions: `rules` and `outputs`.
 *
 * Tables and their structs; the cross-checks. Values; no hidden state. Neither list is reloadable: outputs
 * are held open, and what a rule has counted would be lost. */
#ifndef FOGLINE_DEVICE_DECIDE_DECIDE_CONFIG_H
#define FOGLINE_DEVICE_DECIDE_DECIDE_CONFIG_H

#include "act/act_config.h"

enum {
    RULES_MAX = 64,
    RULE_NAME_CHARS = 32, /* the state stands in the store under this name, whose keys are short */
};

struct rule_config {
    char name[NAME_PART_CHARS + 1];
    char channel[2 * (NAME_PART_CHARS + 1) + 64]; /* source/channel; patterns in both */
    int severity;                                 /* proto Event.severity */
    double limit, min, max, hysteresis;
    char value[128];
    int64_t for_ms, hold_ms, clear_hold_ms;
    struct config_list actions; /* items: struct action_config */
};

extern const struct config_kind rule_kinds[]; /* by enum rule_kind */

struct rule;
/* kind: config_item.kind. Borrows c->value. */
void rule_of_config(int kind, const struct rule_config *c, struct rule *ret_r);
/* true: an instance for each channel that matches; false: of one channel. */
bool rule_has_pattern(const struct rule_config *c);
bool rule_watches(const struct rule_config *c, const char *source, const char *channel);

struct decide_config {
    const struct config_list *rules, *outputs, *sources; /* sources: struct source_config */
};
void decide_config_check(const struct decide_config *d, struct config_check *c);

#endif
