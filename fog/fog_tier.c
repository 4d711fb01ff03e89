#include "fog/fog_tier.h"

#include "archive/set_find.h"
#include "fog/fog_config.h"

const char *const fog_tables[] = {FOG_TABLE_NAMES};
_Static_assert(sizeof(fog_tables) / sizeof(fog_tables[0]) == FOG_TABLES, "one name for each table");

static const struct cmd *const no_commands[] = {NULL};

const struct ctl_tier fog_tier_daemon = {
    .name = "fog",
    .cli = "fogctl",
    .daemon = "fogline-fog",
    .about = "look at and look after a fog",
    .config_path = "/etc/fogline/fog.yaml",
    .schema = &fog_schema,
    .settings_offset = offsetof(struct fog_config, common),
    .store_name = "spool",
    .tables = fog_tables,
    .n_tables = FOG_TABLES,
    .forgets = true,
    .find_set = archive_find_set,
    .cmds = no_commands,
};
