/* view_ledger.h - the balance of the archive, read from its tables: per lane, stream and device.
 *
 * The arithmetic is ledger.h's; this gathers archived intervals, covers in force, reports of owners and
 * relays, and decides which epochs are dead: those their owner's later Hello does not list, or that have not
 * been reported for ACCOUNT_DEAD_AFTER_MS while their origin has. Each stream is read in one short
 * transaction. Threads: the view's owner. */
#ifndef FOGLINE_CLOUD_VIEW_LEDGER_H
#define FOGLINE_CLOUD_VIEW_LEDGER_H

#include "archive/view.h"
#include "cloud/ledger.h"

/* What is told of each lane of each stream. Borrowed until the callback returns. */
struct view_lane_balance {
    const struct view_stream *stream;
    unsigned lane;
    const struct ledger_balance *balance;
    bool dead;                /* its epoch is over: lost with the spool, or used up */
    int64_t reported_unix_ns; /* of the owner's last report; 0: none */
};
typedef int (*view_lane_fn)(void *ctx, const struct view_lane_balance *l);

/* Streams of device d, or of all (NULL), in order of device and number. fn may be NULL. sum (replaced; holes
 * empty) may be NULL. 0; what fn returned to stop; negative errno. */
must_check int view_balance(struct view *v, const struct view_device *d, view_lane_fn fn, void *ctx,
                            struct ledger_balance *sum);

#endif
