/* device_config.h - the device's configuration and what it is to its daemon and its tool.
 *
 * Static tables; a program that brings sources of its own makes a tier that knows their kinds too. */
#ifndef FOGLINE_DEVICE_DEVICE_CONFIG_H
#define FOGLINE_DEVICE_DEVICE_CONFIG_H

#include "ctl/cmd.h"
#include "device/source.h"

struct device_config {
    struct ctl_settings settings;
    int64_t commit_ms, health_s;
    int64_t pack_rows, pack_ms; /* pack_ms 0: as commit_ms */
    uint64_t pack_bytes, ring_bytes, history_bytes;
    int64_t budget_us;
    struct config_list sources; /* items: struct of the kind, which begins with struct source_config */
    struct config_list outputs; /* items: struct output_config */
    struct config_list rules;   /* items: struct rule_config */
};

enum { DEVICE_KINDS_MAX = 16, DEVICE_ROWS_MAX = 24, DEVICE_SOURCE_NAME_CHARS = 48 };

/* Everything a struct ctl_tier of the device points to. Lives as long as the program. */
struct device_tier {
    const struct source_kind *kinds[DEVICE_KINDS_MAX + 1]; /* by config_item.kind */
    struct config_kind config_kinds[DEVICE_KINDS_MAX + 1];
    struct config_row rows[DEVICE_ROWS_MAX];
    struct config_schema schema;
    struct ctl_tier tier;
};

/* extra: NULL-terminated, or NULL; such a kind is used in the file like any other. cmds: of the tool, or
 * NULL. 0; -ENOSPC with *err: more than DEVICE_KINDS_MAX kinds. */
must_check int device_tier_init(struct device_tier *t, const struct source_kind *const *extra,
                                const struct cmd *const *cmds, struct errmsg *err);

#endif
