/* act_config.h - what the configuration says of acting: outputs, and what a rule does beside its event.
 *
 * Tables and their structs; the cross-checks. Values; no hidden state. Outputs are held open and programs
 * are borrowed by a thread: a list of either is not reloadable. */
#ifndef FOGLINE_ACT_ACT_CONFIG_H
#define FOGLINE_ACT_ACT_CONFIG_H

#include "base/name.h"
#include "config/config.h"

enum {
    OUTPUTS_MAX = 32,
    RULE_ACTIONS_MAX = 8,
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

extern const struct config_kind act_output_kinds[]; /* by enum output_kind */
extern const struct config_kind act_action_kinds[]; /* by enum action_kind; for lists of at most
                                                       RULE_ACTIONS_MAX */
extern const char *const act_severities[];          /* "info" ...: proto Event.severity */

void act_check_outputs(const struct config_list *outputs, struct config_check *c);
/* rule: the field of the rule, "rules[0]". */
void act_check_actions(const struct config_list *outputs, const struct config_list *actions, const char *rule,
                       struct config_check *c);

#endif
