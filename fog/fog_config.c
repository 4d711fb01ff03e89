#include "fog/fog_config.h"

#include <inttypes.h>

static const struct config_row rows[] = {
    CTL_ROWS_NODE(struct fog_config, common),
    CTL_ROWS_SITE(struct fog_config, common),
    CTL_ROWS_STORE(struct fog_config, common, "/var/lib/fogline/fog", "/run/fogline/fog", "1 GiB", "8 MiB"),
    {"history.max_bytes", CONFIG_BYTES, CONFIG_AT(struct fog_config, history_max_bytes), .def = "0",
     .reloadable = true,
     .help = "Most that the history may take of the store, the oldest readings make room; 0: a quarter of "
             "store.map_bytes. "
             "What waits for the cloud comes first: in a crowded store the history is smaller."},
    {"history.max_age", CONFIG_MS, CONFIG_AT(struct fog_config, history_max_age_ms), .max = "3650 d",
     .def = "7 d", .reloadable = true,
     .help = "How long readings stay here for `fogctl query`, archived or not; 0: no history is kept."},
    CTL_ROWS_UP(struct fog_config, common),
    CTL_ROWS_LISTEN(struct fog_config, common, "5510", "64 MiB"),
    {"health_s", CONFIG_I64, CONFIG_AT(struct fog_config, health_s), .min = "1", .max = "86400", .def = "60",
     .unit = "s", .reloadable = true, .help = "Seconds from one health record of this fog to the next."},
    {NULL},
};

static void check(const void *values, struct config_check *c)
{
    const struct fog_config *f = values;

    ctl_settings_check(&f->common, c);
    if (f->history_max_bytes > f->common.store_map_bytes / 2)
        config_complain(c, "history.max_bytes", "lower it or raise store.map_bytes",
                        "%" PRIu64 " bytes are more than half of a store of %" PRIu64, f->history_max_bytes,
                        f->common.store_map_bytes);
}

const struct config_schema fog_schema = {
    .name = "fog", .rows = rows, .size = sizeof(struct fog_config), .check = check};
