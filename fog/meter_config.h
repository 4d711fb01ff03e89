/* meter_config.h - the list `budgets` of a fog: how many bytes may go over a link upwards.
 *
 * Rows and checks. Threads: values. */
#ifndef FOGLINE_FOG_METER_CONFIG_H
#define FOGLINE_FOG_METER_CONFIG_H

#include "config/config.h"

enum { METER_ENDPOINT_BYTES = 300 };

struct meter_config {
    char link[METER_ENDPOINT_BYTES]; /* tcp://HOST:PORT; empty: every link that has no entry */
    uint64_t per_day, per_month;     /* 0: no limit */
    int64_t month_begins;
};

extern const struct config_kind meter_kinds[];
/* Complains of what single values cannot show. endpoints: up.endpoints. */
void meter_config_check(const struct config_list *budgets, const struct config_strings *endpoints,
                        struct config_check *c);
/* The budget for a link, HOST:PORT; NULL: none. */
const struct meter_config *meter_budget_of(const struct config_list *budgets, const char *link);

#endif
