#include "fog/fog_config.h"

#include "fog/models_config.h"
#include "fog/rules_config.h"

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
    {"drill.bytes_per_day", CONFIG_BYTES, CONFIG_AT(struct fog_config, drill_bytes_per_day), .def = "256 MiB",
     .reloadable = true,
     .help = "Most of the history that goes up in a day (UTC) since `cloudctl drill` asked for it, after "
             "alarms, live "
             "readings and backlog; the rest waits for the next day. 0: such requests are refused."},
    CTL_ROWS_UP(struct fog_config, common),
    CTL_ROWS_LISTEN(struct fog_config, common, "5510", "64 MiB"),
    {"health_s", CONFIG_I64, CONFIG_AT(struct fog_config, health_s), .min = "1", .max = "86400", .def = "60",
     .unit = "s", .reloadable = true, .help = "Seconds from one health record of this fog to the next."},
    {"outputs", CONFIG_LIST, CONFIG_AT(struct fog_config, outputs), .unique = "name", .max = "32",
     .kinds = act_output_kinds, .help = "What rules can switch on this machine."},
    {"models", CONFIG_LIST, CONFIG_AT(struct fog_config, models), .unique = "name", .max = "32",
     .reloadable = true, .kinds = models_kinds,
     .help =
         "Detectors and models on readings of devices, run here; what they say are channels of this fog."},
    {"rules", CONFIG_LIST, CONFIG_AT(struct fog_config, rules), .unique = "name", .max = "64",
     .reloadable = true, .kinds = site_rule_kinds,
     .help = "What is decided here, over the devices of the site."},
    {"uplink", CONFIG_LIST, CONFIG_AT(struct fog_config, uplink), .unique = "select", .max = "256",
     .kinds = uplink_kinds, .reloadable = true,
     .help =
         "What of the readings goes up to the cloud; what no pattern fits goes up raw. Alarms, events and "
         "reports always go up. The cloud has to allow it: its reduce_sites names this site."},
    {"budgets", CONFIG_LIST, CONFIG_AT(struct fog_config, budgets), .unique = "link", .max = "8",
     .kinds = meter_kinds, .reloadable = true,
     .help = "How many bytes may go over the links upwards. When they run short: alarms, then live readings, "
             "then backlog."},
    {NULL},
};

static void check(const void *values, struct config_check *c)
{
    const struct fog_config *f = values;

    ctl_settings_check(&f->common, c);
    act_check_outputs(&f->outputs, c);
    models_config_check(&f->models, f->history_max_age_ms > 0, c);
    site_rules_check(&f->rules, &f->outputs, f->common.site, c);
    if (f->rules.n > 0 && f->history_max_age_ms == 0)
        config_complain(c, "rules", "Raise history.max_age, or take the rules away.",
                        "what readings mean is looked up in the history, and none is kept");
    meter_config_check(&f->budgets, &f->common.up_endpoints, c);
    uplink_config_check(&f->uplink, f->history_max_age_ms > 0, c);
    if (f->history_max_bytes > f->common.store_map_bytes / 2)
        config_complain(c, "history.max_bytes", "lower it or raise store.map_bytes",
                        "%" PRIu64 " bytes are more than half of a store of %" PRIu64, f->history_max_bytes,
                        f->common.store_map_bytes);
}

const struct config_schema fog_schema = {
    .name = "fog", .rows = rows, .size = sizeof(struct fog_config), .check = check};
