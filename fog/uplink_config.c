#include "fog/uplink_config.h"

#include "base/name.h"

#include <stdio.h>

#define AT(member) CONFIG_AT(struct uplink_config, member)

const char *const uplink_way_names[UPLINK_WAYS + 1] = {[UPLINK_RAW] = "raw",
                                                       [UPLINK_CHANGES] = "changes",
                                                       [UPLINK_AGGREGATES] = "aggregates",
                                                       [UPLINK_LOCAL] = "local"};

static const struct config_row rows[] = {
    {"select", CONFIG_PATTERN, AT(select), .required = true, .reloadable = true,
     .help = "Channels that this is about: a pattern of site/device/channel. The first one that fits a "
             "channel counts."},
    {"send", CONFIG_ENUM, AT(send), .choices = uplink_way_names, .def = "raw", .reloadable = true,
     .help =
         "What goes up: raw, the readings as they came; changes, those that leave the deadband around the "
         "last one sent, as readings of this fog; aggregates, only what `windows` make of them; local, "
         "nothing. The rest stays in the history here, and the ledger says so."},
    {"deadband", CONFIG_DOUBLE, AT(deadband), .min = "0", .max = "1e300", .def = "0", .reloadable = true,
     .help = "With send: changes, in the unit of the channel: a reading further from the last one sent is a "
             "change."},
    {"deadband_percent", CONFIG_DOUBLE, AT(deadband_percent), .min = "0", .max = "1000", .def = "0",
     .unit = "percent", .reloadable = true, .help = "In place of deadband: percent of the last one sent."},
    {"max_silence_ms", CONFIG_MS, AT(max_silence_ms), .max = "30 d", .def = "1 min", .reloadable = true,
     .help = "With send: changes, a reading is sent in any case when the last one sent is so old; 0: never."},
    {NULL},
};

const struct config_kind uplink_kinds[] = {
    {.rows = rows, .size = sizeof(struct uplink_config), .help = "What goes up of some channels."}, {NULL}};

static void check_changes(const struct uplink_config *u, size_t i, struct config_check *c)
{
    char field[CONFIG_FIELD_CHARS];

    snprintf(field, sizeof field, "uplink[%zu].deadband", i);
    if (u->send != UPLINK_CHANGES && u->deadband > 0)
        config_complain(c, field, "set send: changes, or leave it out", "counts with send: changes only");
    snprintf(field, sizeof field, "uplink[%zu].deadband_percent", i);
    if (u->send != UPLINK_CHANGES && u->deadband_percent > 0)
        config_complain(c, field, "set send: changes, or leave it out", "counts with send: changes only");
    else if (u->deadband > 0 && u->deadband_percent > 0)
        config_complain(c, field, "leave one of the two out", "stands beside deadband");
}

void uplink_config_check(const struct config_list *rules, bool has_history, struct config_check *c)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct uplink_config *u = rules->at[i].value;
        char field[CONFIG_FIELD_CHARS];

        check_changes(u, i, c);
        snprintf(field, sizeof field, "uplink[%zu].send", i);
        if (u->send != UPLINK_RAW && !has_history)
            config_complain(c, field, "set history.max_age, or choose raw",
                            "`%s` leaves readings at the site, and with history.max_age 0 none are kept here",
                            uplink_way_names[u->send]);
    }
}

const struct uplink_config *uplink_rule_of(const struct config_list *rules, const char *site,
                                           const char *device, const char *channel, const char *const *tags)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct uplink_config *u = rules->at[i].value;

        if (pattern_match(u->select, site, device, channel, tags))
            return u;
    }
    return NULL;
}
