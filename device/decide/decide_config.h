/* decide_config.h - what the configuration says of decisions: `rules` and `outputs`.
 *
 * Tables and their structs; the cross-checks. Values; no hidden state. Neither list is reloadable: outputs
 * are held open, and what a rule has counted would be lost. */
#ifndef FOGLINE_DEVICE_DECIDE_DECIDE_CONFIG_H
#define FOGLINE_DEVICE_DECIDE_DECIDE_CONFIG_H

#include "base/name.h"
#include "config/config.h"

enum {
    RULES_MAX = 64,
    OUTPUTS_MAX = 32,
    RULE_ACTIONS_MAX = 8,
    RULE_NAME_CHARS = 32, /* the state stands in the store under this name, whose keys are short */
};

/* config_item.kind of the lists. */
enum output_kind { OUTPUT_GPIO, OUTPUT_FILE };
enum action_kind { ACTION_SET, ACTION_PULSE, ACTION_BLINK, ACTION_EXEC };

enum output_level { LEVEL_INACTIVE, LEVEL_ACTIVE, LEVEL_KEEP };
enum exec_when { EXEC_RAISED, EXEC_CLEARED, EXEC_BOTH };

struct output_config {
    char name[NAME_PART_CHARS + 1];
    int on_start, on_exit, on_stale; /* enum output_level */
    int64_t stale_ms;                /* 0: never stale */
    char chip[256], line[64];        /* gpio */
    bool active_low;
    char path[512]; /* file */
};

struct action_config {
    char output[NAME_PART_CHARS + 1];
    int64_t ms;                 /* pulse */
    int64_t on_ms, off_ms;      /* blink */
    struct config_strings argv; /* exec */
    int64_t timeout_ms;
    int when; /* enum exec_when */
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

extern const struct config_kind rule_kinds[];   /* by enum rule_kind */
extern const struct config_kind output_kinds[]; /* by enum output_kind */
extern const char *const rule_severities[];     /* "info" ... */

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
