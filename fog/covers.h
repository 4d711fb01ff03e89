/* covers.h - the open cover account: records that the cloud does not get as they came, and what stands for
 * them.
 *
 * A record that is *withheld* is in the seen set and in the history only; its device holds it until the cloud
 * says that it is explained. It waits for its *parts*: each stage that makes something of it says when that
 * is made, and which own record the cloud needs for it. With the last part it is *covered*: a ledger record
 * names it, its reason and what it needs. What was said stays here until a mark of the cloud shows that it
 * took it, or until its device lets go of it. A cloud that has what was said and does not count it (its
 * reduce_sites has no word of this site) is told again, ever more seldom, up to once an hour: the operator
 * may change that. Until then the origin is *refused*, and whoever withholds should rather relay.
 *
 * Rows are runs of numbers, so what waits for an hour costs a few rows per device, and days without a cloud
 * cost as many as there are gaps. A new life of the store or a new epoch empties the account: needs are of
 * one epoch, and a new life has not seen what was withheld. Devices then give again all that is not settled,
 * flagged `again`, and that is relayed as it came; see covers_emptied.
 *
 * All changes belong to the spool's open transaction (begun when needed); after a rollback covers_reload.
 * Crash: as the spool. Threads: the spool's owner. */
#ifndef FOGLINE_FOG_COVERS_H
#define FOGLINE_FOG_COVERS_H

#include "base/clock.h"
#include "base/counter.h"
#include "base/interval.h"
#include "spool/spool.h"
#include "wire/wire.h"

enum {
    COVERS_CUT_AFTER_MS = 10 * 1000, /* a ledger record is cut with the link open ... */
    COVERS_CUT_SEQS = 1000,          /* ... or earlier when so many numbers ... */
    COVERS_CUT_NEEDS = 256,          /* ... or needs are covered */
    COVERS_CUT_ROWS = 1000,          /* with the link down only when the runs do not merge */
    COVERS_NEEDS_MAX = 1024,         /* of one run; what needs more is never covered, and counted */
    COVERS_ASKED_MAX = 8, /* so many polls of a device without an answer to what the cloud has: refused */
    COVERS_AGAIN_FIRST_MS = 60 * 1000,
    COVERS_AGAIN_MOST_MS = 3600 * 1000,
};

struct covers_options {
    struct spool *spool; /* borrowed */
    unsigned table;      /* of its environment, for this account alone */
    struct clock clock;  /* its wall time stands in ledger records */
    /* Makes an own ledger record in the urgent lane, in the open transaction. 0; SPOOL_FULL (nothing
     * written); negative errno. */
    int (*make)(void *ctx, struct span ledger, uint64_t *ret_seq);
    void *ctx;
};

struct covers;

must_check int covers_new(struct covers **ret_c, const struct covers_options *options); /* reads the table */
struct covers *covers_free(struct covers *c);                                           /* accepts NULL */
must_check int covers_reload(struct covers *c);                                         /* after a rollback */

/* Nothing of the record goes up as it came. reason (proto Reason) and samples are what the cover will say.
 * parts: how many others must say covers_part before it is covered; 0: covered at once. Already here:
 * nothing. The write calls return 0, DB_FULL (the transaction is lost, the commit says so) or negative
 * errno. */
must_check int covers_withhold(struct covers *c, const struct spool_stream *s, uint64_t seq, uint8_t reason,
                               uint32_t samples, uint32_t parts);
/* One part of each record of the run is done. need: full own sequence number of the derived record that now
 * carries it, made with carries_covers so that it is not evicted; 0: nothing was to be said of it. Numbers
 * that are not withheld: nothing. */
must_check int covers_part_run(struct covers *c, const struct spool_stream *s, unsigned lane,
                               struct interval run, uint64_t need);
must_check int covers_part(struct covers *c, const struct spool_stream *s, uint64_t seq, uint64_t need);
/* As covers_part_run, with the part still to come: one part that is carried by several records. */
must_check int covers_need(struct covers *c, const struct spool_stream *s, unsigned lane, struct interval run,
                           uint64_t need);
/* Something of the stream is yet to be said: it must not be forgotten. 0: no; 1: yes; negative errno. */
must_check int covers_has_open(struct covers *c, const struct spool_stream *s);
/* The stream is about to be forgotten: its owner holds nothing of it. */
must_check int covers_forget(struct covers *c, const struct spool_stream *s);

/* The cloud's mark about a lane: of [from, to] it has these numbers, archived or explained. And a poll of the
 * stream's owner: it holds nothing below this number, and asks about the rest. Both are remembered, in
 * memory, until the next flush; may be called without a transaction. */
void covers_marked(struct covers *c, const struct spool_stream *s, const Fogline__V1__MarkBody *mark);
void covers_reported(struct covers *c, const struct spool_stream *s, unsigned lane, uint64_t lowest_held);

/* With the link down runs go on merging, and are cut only when there are too many of them. */
void covers_link(struct covers *c, bool is_open);
bool covers_wants_flush(const struct covers *c, int64_t now_ms);
/* Each round, before the commit and after outbox_apply: looks what marks say, cuts ledger records that are
 * due; force: of all that is covered. */
must_check int covers_flush(struct covers *c, int64_t now_ms, bool force);
/* Once true after the account was emptied by a new epoch while the life of the store goes on: its seen set
 * still says that it has what was withheld, so the caller begins a new life, in the same transaction. */
bool covers_emptied(struct covers *c);

/* The cloud has seen covers about this origin and does not count them. */
bool covers_is_refused(const struct covers *c, const char *origin);

struct covers_status {
    uint64_t waiting_records, covered_records, said_records, refused_records, refused_origins;
    const char *a_refused_origin; /* the first of them; NULL: none */
};
void covers_status(struct covers *c, struct covers_status *ret);

enum covers_counter {
    COVERS_WITHHELD,
    COVERS_COVERED,
    COVERS_LEDGER_RECORDS,
    COVERS_SETTLED,
    COVERS_REFUSED,
    COVERS_SAID_AGAIN,
    COVERS_NO_ROOM,
    COVERS_NEEDS_LOST,
    COVERS_DROPPED,
    COVERS_COUNTERS
};
extern const struct counter_info covers_counter_info[COVERS_COUNTERS];
const uint64_t *covers_counters(const struct covers *c);

#endif
