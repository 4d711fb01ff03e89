/* uplink.h - what goes up of a record, by the list `uplink` and the channels of its descriptor set.
 *
 * A block goes up raw when one of its channels does: a record is never changed. Everything that is no block
 * goes up: descriptor sets, events, reports, ledger. What may have been given to another fog (`again`), what
 * the history did not take or had before, and a device whose covers the cloud does not count go up raw,
 * whatever the list says. Events are records of their own, so alarms always go up.
 *
 * changes: the policy of that name (common/keep), channel by channel; what is sent becomes readings of the
 * fog in the group "uplink", named and tagged as everything a fog derives. A reading after a gap in the
 * device's numbers is sent, and so is one that comes late: in the order of their times every reading is
 * within the deadband of the last one sent, however blocks came. The last reading sent of each channel is a
 * row of the spool's open transaction and nowhere else: exact after a crash or a rollback.
 *
 * In memory is what the list says of a descriptor set: sets never change, and a new list begins anew.
 * Threads: one owner. Limits: a set makes room for another that falls on its place. */
#ifndef FOGLINE_FOG_UPLINK_H
#define FOGLINE_FOG_UPLINK_H

#include "base/counter.h"
#include "fog/derived.h"
#include "fog/uplink_config.h"
#include "spool/spool.h"
#include "wire/wire.h"

struct uplink;

struct uplink_options {
    struct derived *derived;         /* borrowed */
    unsigned table;                  /* of the spool's environment, for this stage alone */
    struct spool *spool;             /* borrowed */
    const struct config_list *rules; /* borrowed; may hold other items after uplink_renew */
    const char *site;                /* borrowed */
};
must_check int uplink_new(struct uplink **ret_u, const struct uplink_options *options);
struct uplink *uplink_free(struct uplink *u); /* accepts NULL */
void uplink_renew(struct uplink *u);          /* the list has changed */

/* What is known of the record in hand. */
struct uplink_record {
    const struct spool_stream *stream;
    const struct record *record;
    bool is_new;     /* to the history, which has it now */
    bool is_refused; /* the cloud does not count covers of its origin */
};
/* 0 with what is to go up of it; DB_FULL; negative errno. Reads the open transaction. */
must_check int uplink_judge(struct uplink *u, const struct uplink_record *r, enum uplink_way *ret_way);

/* Of a record that goes up as changes: writes those, if there are any; *ret_seq is the own record that has
 * them, or 0. 0; UPLINK_GOES_RAW: it does not decode, or there is no room; DB_FULL; negative errno. */
enum { UPLINK_GOES_RAW = 32 };
must_check int uplink_changes(struct uplink *u, const struct uplink_record *r, uint64_t *ret_seq);

enum uplink_counter {
    UPLINK_BLOCKS_RAW,
    UPLINK_BLOCKS_CHANGES,
    UPLINK_BLOCKS_AGGREGATES,
    UPLINK_BLOCKS_LOCAL,
    UPLINK_BLOCKS_MIXED,
    UPLINK_BLOCKS_AGAIN,
    UPLINK_BLOCKS_NOT_KEPT,
    UPLINK_BLOCKS_REFUSED,
    UPLINK_BLOCKS_NO_SET,
    UPLINK_BLOCKS_UNREADABLE,
    UPLINK_NO_ROOM,
    UPLINK_READINGS,
    UPLINK_READINGS_SENT,
    UPLINK_BYTES_STAY,
    UPLINK_COUNTERS
};
extern const struct counter_info uplink_counter_info[UPLINK_COUNTERS];
const uint64_t *uplink_counters(const struct uplink *u);

#endif
