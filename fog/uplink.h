/* uplink.h - what goes up of a record, by the list `uplink` and the channels of its descriptor set.
 *
 * A block goes up raw when one of its channels does: a record is never changed. Everything that is no block
 * goes up: descriptor sets, events, reports, ledger. What may have been given to another fog (`again`), what
 * the history did not take or had before, and a device whose covers the cloud does not count go up raw,
 * whatever the list says. Events are records of their own, so alarms always go up.
 *
 * Remembered is what the list says of a descriptor set: sets never change, and a new list begins anew.
 * Nothing of it is on disk. Threads: one owner. Limits: a set makes room for another that falls on its place.
 */
#ifndef FOGLINE_FOG_UPLINK_H
#define FOGLINE_FOG_UPLINK_H

#include "base/counter.h"
#include "fog/uplink_config.h"
#include "spool/spool.h"
#include "wire/wire.h"

struct uplink;

struct uplink_options {
    struct spool *spool;             /* borrowed */
    const struct config_list *rules; /* borrowed; may hold other items after uplink_renew */
    const char *site;                /* borrowed */
};
must_check int uplink_new(struct uplink **ret_u, const struct uplink_options *options);
struct uplink *uplink_free(struct uplink *u); /* accepts NULL */
void uplink_renew(struct uplink *u);          /* the list has changed */

/* What is known of the record in hand. */
struct uplink_record {
    const struct record *record;
    bool is_new;     /* to the history, which has it now */
    bool is_refused; /* the cloud does not count covers of its origin */
};
/* 0 with what is to go up of it; DB_FULL; negative errno. Reads the open transaction. */
must_check int uplink_judge(struct uplink *u, const struct uplink_record *r, enum uplink_way *ret_way);

enum uplink_counter {
    UPLINK_BLOCKS_RAW,
    UPLINK_BLOCKS_AGGREGATES,
    UPLINK_BLOCKS_LOCAL,
    UPLINK_BLOCKS_MIXED,
    UPLINK_BLOCKS_AGAIN,
    UPLINK_BLOCKS_NOT_KEPT,
    UPLINK_BLOCKS_REFUSED,
    UPLINK_BLOCKS_NO_SET,
    UPLINK_BYTES_STAY,
    UPLINK_COUNTERS
};
extern const struct counter_info uplink_counter_info[UPLINK_COUNTERS];
const uint64_t *uplink_counters(const struct uplink *u);

#endif
