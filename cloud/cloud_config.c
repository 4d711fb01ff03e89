#include "cloud/cloud_config.h"

static const struct config_row rows[] = {
    CTL_ROWS_NODE(struct cloud_config, common),
    CTL_ROWS_STORE(struct cloud_config, common, "/var/lib/fogline/cloud", "/run/fogline/cloud", "4 GiB",
                   "8 MiB"),
    {"store.map_max_bytes", CONFIG_BYTES, CONFIG_AT(struct cloud_config, store_map_max_bytes), .min = "8 MiB",
     .max = "1 TiB", .def = "1 TiB", .reloadable = true,
     .help =
         "The archive grows by itself when it is four fifths full and the disk has room; never beyond this."},
    CTL_ROWS_LISTEN(struct cloud_config, common, "5520", "32 MiB"),
    {"reduce_sites", CONFIG_STRINGS, CONFIG_AT(struct cloud_config, reduce_sites), .item = CONFIG_PATTERN,
     .max = "256", .reloadable = true,
     .help = "Patterns SITE or SITE/DEVICE whose records a fog may filter, merge or thin. Elsewhere its word "
             "does not "
             "let a device forget a record: only the archived record does."},
    {NULL},
};

static void check(const void *values, struct config_check *c)
{
    const struct cloud_config *v = values;

    ctl_settings_check(&v->common, c);
    if (v->store_map_max_bytes < v->common.store_map_bytes)
        config_complain(c, "store.map_max_bytes", "raise it, or leave it out",
                        "is less than store.map_bytes");
}

const struct config_schema cloud_schema = {
    .name = "cloud", .rows = rows, .size = sizeof(struct cloud_config), .check = check};
