#include "cloud/cloud_tier.h"

#include "archive/archive.h"
#include "cloud/account_rows.h"
#include "cloud/cloud_config.h"

static const struct cmd *const no_commands[] = {NULL};

const struct ctl_tier cloud_tier_daemon = {
    .name = "cloud",
    .cli = "cloudctl",
    .daemon = "fogline-cloud",
    .about = "look at and look after a collector, and read its archive",
    .config_path = "/etc/fogline/cloud.yaml",
    .schema = &cloud_schema,
    .settings_offset = offsetof(struct cloud_config, common),
    .store_name = "archive",
    .tables = cloud_table_names,
    .n_tables = CLOUD_TABLES,
    .authority = true,
    .cmds = no_commands,
};
