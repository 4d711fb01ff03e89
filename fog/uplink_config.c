#include "fog/uplink_config.h"

#include "base/name.h"

#include <stdio.h>

#define AT(member) CONFIG_AT(struct uplink_config, member)

const char *const uplink_way_names[UPLINK_WAYS + 1] = {
    [UPLINK_RAW] = "raw", [UPLINK_AGGREGATES] = "aggregates", [UPLINK_LOCAL] = "local"};

static const struct config_row rows[] = {
    {"select", CONFIG_PATTERN, AT(select), .required = true, .reloadable = true,
     .help = "Channels that this is about: a pattern of site/device/channel. The first one that fits a "
             "channel counts."},
    {"send", CONFIG_ENUM, AT(send), .choices = uplink_way_names, .def = "raw", .reloadable = true,
     .help = "What goes up: raw, the readings as they came; aggregates, only what `windows` make of them; "
             "local, nothing. The rest stays in the history here, and the ledger says so."},
    {NULL},
};

const struct config_kind uplink_kinds[] = {
    {.rows = rows, .size = sizeof(struct uplink_config), .help = "What goes up of some channels."}, {NULL}};

void uplink_config_check(const struct config_list *rules, bool has_history, struct config_check *c)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct uplink_config *u = rules->at[i].value;
        char field[CONFIG_FIELD_CHARS];

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
