/* drill.h - raw records of a device and time range for the cloud, on request: drill-down.
 *
 * A request is a command of type drill (common/ctl/drill_order.h), carried out one after the other. What the
 * history still has of it is put into the spool once more under its own name, with the device's own
 * authenticator, a piece at a time; the outbox asks what the cloud has of it and sends the rest after
 * everything else. When the last piece is archived the reply says how much it was.
 *
 * The counter of the command, the request, how far it is and what is under way are facts of the spool,
 * changed in the transaction of the records: a crash repeats nothing and forgets nothing. A day (UTC) has a
 * budget of payload bytes; what it does not allow waits for the next. A store with less than a fifth of room
 * left gives nothing. All changes belong to the spool's open transaction; after a rollback drill_reload.
 * Threads: the spool's owner. */
#ifndef FOGLINE_FOG_DRILL_H
#define FOGLINE_FOG_DRILL_H

#include "base/counter.h"
#include "ctl/drill_order.h"
#include "hop/outbox.h"

enum { DRILL_REQUESTS_MAX = 64, DRILL_PIECE_RECORDS = 256, DRILL_PIECE_BYTES = 1 << 20 };

struct drill_options {
    struct spool *spool;   /* of the environment that holds the history, too; borrowed */
    struct outbox *outbox; /* borrowed */
    /* The answer to a command, in the open transaction. 0; DRILL_NO_ROOM (nothing written); negative errno.
     */
    int (*reply)(void *ctx, uint64_t counter, bool ok, const char *text);
    void *ctx;
};

struct drill;

must_check int drill_new(struct drill **ret_d, const struct drill_options *options); /* reads the facts */
struct drill *drill_free(struct drill *d);                                           /* accepts NULL */
must_check int drill_reload(struct drill *d);                                        /* after a rollback */
void drill_limit(struct drill *d, uint64_t bytes_per_day); /* 0: requests are refused */

enum { DRILL_NO_ROOM = 1 };
/* Keeps the request, or replies why not. 0; DRILL_NO_ROOM: nothing happened, let it come again; DB_FULL;
 * negative errno. */
must_check int drill_take(struct drill *d, const struct command *c);
/* Once a second: what waited for room or for the next day may go on. */
void drill_tick(struct drill *d, int64_t now_unix_ns);
bool drill_wants_round(struct drill *d);
/* Before a commit: a piece more, or the reply. 0; DB_FULL: the transaction is lost; negative errno. */
must_check int drill_round(struct drill *d, int64_t now_unix_ns);

struct drill_status {
    unsigned requests;  /* the one under way too */
    const char *device; /* of that; NULL: none */
    const char *waits;  /* for what; "" */
    uint64_t records, bytes, bytes_today, bytes_per_day;
};
void drill_status(struct drill *d, struct drill_status *ret);

enum drill_counter {
    DRILL_REQUESTS,
    DRILL_REFUSED,
    DRILL_DONE,
    DRILL_RECORDS,
    DRILL_BYTES,
    DRILL_HELD,
    DRILL_WAITED,
    DRILL_COUNTERS
};
extern const struct counter_info drill_counter_info[DRILL_COUNTERS];
const uint64_t *drill_counters(const struct drill *d);

#endif
