#include "fog/fog_config.h"

static const struct config_row rows[] = {
    CTL_ROWS_NODE(struct fog_config, common),
    CTL_ROWS_SITE(struct fog_config, common),
    CTL_ROWS_STORE(struct fog_config, common, "/var/lib/fogline/fog", "/run/fogline/fog", "1 GiB", "8 MiB"),
    CTL_ROWS_UP(struct fog_config, common),
    CTL_ROWS_LISTEN(struct fog_config, common, "5510", "16 MiB"),
    {"health_s", CONFIG_I64, CONFIG_AT(struct fog_config, health_s), .min = "1", .max = "86400", .def = "60",
     .unit = "s", .reloadable = true, .help = "Seconds from one health record of this fog to the next."},
    {NULL},
};

static void check(const void *values, struct config_check *c)
{
    const struct fog_config *f = values;

    ctl_settings_check(&f->common, c);
}

const struct config_schema fog_schema = {
    .name = "fog", .rows = rows, .size = sizeof(struct fog_config), .check = check};
