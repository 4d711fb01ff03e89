#include "fog/meter_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LEAST_BYTES = 256 * 1024 };

#define AT(member) CONFIG_AT(struct meter_config, member)

static const struct config_row rows[] = {
    {"link", CONFIG_ENDPOINT, AT(link), .reloadable = true,
     .help = "One of up.endpoints. Without it: every link that has no entry of its own."},
    {"per_day", CONFIG_BYTES, AT(per_day), .def = "0", .reloadable = true,
     .help = "Most bytes up and down in a day (UTC); 0: no limit. When they are used up only alarms go."},
    {"per_month", CONFIG_BYTES, AT(per_month), .def = "0", .reloadable = true,
     .help = "The same for a month; 0: no limit."},
    {"month_begins", CONFIG_I64, AT(month_begins), .min = "1", .max = "28", .def = "1", .reloadable = true,
     .help = "Day on which the month of the bill begins."},
    {NULL},
};

const struct config_kind meter_kinds[] = {
    {.rows = rows, .size = sizeof(struct meter_config), .help = "How many bytes may go over a link."},
    {NULL}};

static void check_bytes(uint64_t bytes, const char *key, size_t i, struct config_check *c)
{
    char field[CONFIG_FIELD_CHARS];

    snprintf(field, sizeof field, "budgets[%zu].%s", i, key);
    if (bytes > 0 && bytes < LEAST_BYTES)
        config_complain(c, field, "raise it to 256 KiB at least, or leave it out",
                        "%" PRIu64 " bytes are used up by polls alone", bytes);
}

void meter_config_check(const struct config_list *budgets, const struct config_strings *endpoints,
                        struct config_check *c)
{
    for (size_t i = 0; i < budgets->n; i++) {
        const struct meter_config *b = budgets->at[i].value;
        char field[CONFIG_FIELD_CHARS];
        bool is_known = b->link[0] == '\0';

        snprintf(field, sizeof field, "budgets[%zu].link", i);
        for (size_t k = 0; k < endpoints->n && !is_known; k++)
            is_known = strcmp(endpoints->at[k], b->link) == 0;
        if (!is_known)
            config_complain(c, field, "name one of up.endpoints, or leave it out",
                            "%.200s is no link of this fog", b->link);
        if (b->per_day == 0 && b->per_month == 0) {
            snprintf(field, sizeof field, "budgets[%zu]", i);
            config_complain(c, field, "give per_day or per_month, or take the entry away", "limits nothing");
        }
        check_bytes(b->per_day, "per_day", i, c);
        check_bytes(b->per_month, "per_month", i, c);
    }
}

const struct meter_config *meter_budget_of(const struct config_list *budgets, const char *link)
{
    static const char scheme[] = "tcp://";
    const struct meter_config *all = NULL;

    for (size_t i = 0; i < budgets->n; i++) {
        const struct meter_config *b = budgets->at[i].value;

        if (b->link[0] == '\0')
            all = b;
        else if (strncmp(b->link, scheme, strlen(scheme)) == 0 && strcmp(b->link + strlen(scheme), link) == 0)
            return b;
    }
    return all;
}
