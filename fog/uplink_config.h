/* uplink_config.h - the list `uplink` of a fog: which readings go up, and as what.
 *
 * Rows and checks. Threads: values. */
#ifndef FOGLINE_FOG_UPLINK_CONFIG_H
#define FOGLINE_FOG_UPLINK_CONFIG_H

#include "config/config.h"

enum { UPLINK_RULES_MAX = 256, UPLINK_SELECT_BYTES = 256 };

/* The more of a channel goes up, the lower its number. */
enum uplink_way { UPLINK_RAW, UPLINK_CHANGES, UPLINK_AGGREGATES, UPLINK_LOCAL, UPLINK_WAYS };
extern const char *const uplink_way_names[UPLINK_WAYS + 1]; /* "raw", ...; ends in NULL */

struct uplink_config {
    char select[UPLINK_SELECT_BYTES];
    int send; /* enum uplink_way */
    double deadband, deadband_percent;
    int64_t max_silence_ms;
};

extern const struct config_kind uplink_kinds[];
/* Complains of what single values cannot show. */
void uplink_config_check(const struct config_list *rules, bool has_history, struct config_check *c);

/* The rule for the channel, the first that fits; NULL: none, it goes up raw. tags: as pattern_match. */
const struct uplink_config *uplink_rule_of(const struct config_list *rules, const char *site,
                                           const char *device, const char *channel, const char *const *tags);

#endif
