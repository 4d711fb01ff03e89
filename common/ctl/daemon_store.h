/* daemon_store.h - a daemon's store at a start: looked at by a child before anything else opens it, moved
 * aside when it is broken, and said so in the log.
 *
 *   r = daemon_store_verify(&options, err);     DAEMON_STORE_MOVED_AWAY: count it, there is no store now
 *   r = spool_open(...);                        damaged all the same: rows that name the records
 *       daemon_store_move_away(path, why, err); then open again
 *
 * Nothing is ever deleted: the folder becomes PATH.quarantine-N (first free N) and stays until an operator
 * removes it. What the loss of it means is the tier's to say. Paths are those of struct ctl_paths. Crash:
 * before the rename the next start finds the same damage, after it there is no store and a new one is made.
 * Threads: the main thread, before any other is made. Log lines: store_verified, store_verify_cut,
 * store_damaged, store_quarantined. */
#ifndef FOGLINE_CTL_DAEMON_STORE_H
#define FOGLINE_CTL_DAEMON_STORE_H

#include "base/err.h"
#include "spool/db.h"

enum { DAEMON_STORE_MOVED_AWAY = 1 };

/* Takes 20 s at most. 0: open it; it is whole, not there yet, too large for the time there is, or has damaged
 * values, which readers skip (db.h). DAEMON_STORE_MOVED_AWAY: a page was broken. Negative errno with *err:
 * not a store of this tier, not to be read, or damaged and not to be moved. */
must_check int daemon_store_verify(const struct db_options *options, struct errmsg *err);

/* For a store found to be damaged: `why` goes into the log. 0: there is no store at `path` any more; negative
 * errno with *err: it lies where it was. */
must_check int daemon_store_move_away(const char *path, const char *why, struct errmsg *err);

#endif
