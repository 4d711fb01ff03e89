/* channel.h - what the configuration says of single channels of a source: `sources[].channels`.
 *
 * An entry names channels by a pattern; the first entry that matches a channel counts. Values; no hidden
 * state. */
#ifndef FOGLINE_DEVICE_CHANNEL_H
#define FOGLINE_DEVICE_CHANNEL_H

#include "base/name.h"
#include "config/config.h"

struct channel_config {
    char name[2 * (NAME_PART_CHARS + 1)]; /* '*' matches any run, {a,b} one of them */
    char unit[NAME_PART_CHARS + 1];       /* empty: what the source says */
    double bound;                         /* 0: exact */
    double scale, offset;                 /* value = read * scale + offset; 1 and 0: as read */
    double valid_min, valid_max;          /* outside: QUALITY_BAD; NaN: no limit */
};

/* Of the key `channels` of every source. */
extern const struct config_kind channel_kinds[];

/* NULL: no entry is for it. Borrowed from the list. */
const struct channel_config *channel_config_of(const struct config_list *channels, const char *channel);
double channel_bound(const struct config_list *channels, const char *channel); /* 0 without an entry */
/* Complains of what single values cannot show: limits the wrong way round. field: "sources[2]". */
void channel_config_check(const struct config_list *channels, const char *field, struct config_check *c);

#endif
