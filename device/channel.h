/* channel.h - what the configuration says of single channels of a source: `sources[].channels`.
 *
 * An entry names channels by a pattern; the first entry that matches a channel counts. Values; no hidden
 * state. */
#ifndef FOGLINE_DEVICE_CHANNEL_H
#define FOGLINE_DEVICE_CHANNEL_H

#include "base/name.h"
#include "config/config.h"
#include "keep/keep.h"

struct channel_config {
    char name[2 * (NAME_PART_CHARS + 1)]; /* '*' matches any run, {a,b} one of them */
    char unit[NAME_PART_CHARS + 1];       /* empty: what the source says */
    double bound;                         /* 0: exact */
    double scale, offset;                 /* value = read * scale + offset; 1 and 0: as read */
    double valid_min, valid_max;          /* outside: QUALITY_BAD; NaN: no limit */
    int keep;                             /* enum keep_policy */
    double deadband, deadband_percent;    /* keep: change; 0: not set */
    int64_t max_silence_ms, min_interval_ms, aggregate_ms, around_alarm_ms; /* 0: none */
};

/* Of the key `channels` of every source. */
extern const struct config_kind channel_kinds[];

/* NULL: no entry is for it. Borrowed from the list. */
const struct channel_config *channel_config_of(const struct config_list *channels, const char *channel);
double channel_bound(const struct config_list *channels, const char *channel); /* 0 without an entry */
/* What of the channel is sent; channel: as it comes from the sampler. */
void channel_keep_rule(const struct channel_config *c, enum column_type type, struct keep_rule *ret_rule);
/* Complains of what single values cannot show: names that match nothing, limits the wrong way round, settings
 * of one policy in another. field: "sources[2]". */
void channel_config_check(const struct config_list *channels, const char *field, struct config_check *c);

/* Complains of a unit that no reader takes: then no descriptor with it would be read either. field:
 * "sources[2].channels[0]", whose key `unit` it is. */
void channel_unit_check(const char *unit, const char *field, struct config_check *c);

#endif
