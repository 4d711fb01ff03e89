/* drill_private.h - the inside of drill-down, for drill*.c only. */
#ifndef FOGLINE_FOG_DRILL_PRIVATE_H
#define FOGLINE_FOG_DRILL_PRIVATE_H

#include "archive/rows.h"
#include "fog/drill.h"

/* Where a walk over the blocks of a device goes on: sets by id, blocks of each by time. Zero: at the start.
 */
struct drill_place {
    uint64_t set_id;
    bool has_descriptor, has_block; /* of this set: given */
    struct sample_key block;        /* the last one */
};

struct drill_request {
    uint64_t counter;
    struct drill_order order;
    struct drill_place place;
    uint64_t records, samples, bytes; /* put into the spool for it */
    uint64_t held;                    /* of what was asked for: there already, waiting for the cloud */
    int64_t first_ns;                 /* lowest time of a block found; INT64_MAX: none */
    bool is_walked, is_cut;           /* nothing more to look for; ... since max_bytes were met */
};

/* Records under way: put for the request that is carried out. */
struct drill_run {
    uint32_t stream;
    unsigned lane;
    struct interval counts;
};

struct drill {
    struct drill_options o;
    struct drill_request requests[DRILL_REQUESTS_MAX]; /* by counter */
    unsigned n_requests;
    struct drill_run runs[DRILL_PIECE_RECORDS];
    unsigned n_runs;
    uint64_t bytes_per_day, today_bytes;
    int64_t day;       /* of today_bytes, since 1970 UTC */
    const char *waits; /* for what; NULL: it may go on */
    struct buf payload, scratch;
    uint64_t counters[DRILL_COUNTERS];
};

/* drill_walk.c: the next record of the request, its payload in d->payload; place moves on. */
struct drill_found {
    struct spool_record record;
    uint32_t stream; /* as the history counts them */
    uint64_t seq;
    int64_t first_ns; /* of a block; else INT64_MAX */
};
enum { DRILL_END = 1, DRILL_LATER = 2 /* looked at enough for one round */ };
must_check int drill_walk(struct drill *d, struct db_txn *txn, struct drill_request *r,
                          struct drill_found *ret_f);
/* The epoch of a stream of the history. 0; DB_NOT_FOUND; negative errno. */
must_check int drill_epoch(struct db_txn *txn, uint32_t stream, struct id128 *ret_epoch);

/* drill_facts.c: what is on disk of all this. */
must_check int drill_load(struct drill *d);
must_check int drill_save_request(struct drill *d, const struct drill_request *r);
must_check int drill_delete_request(struct drill *d, const struct drill_request *r);
must_check int drill_save_runs(struct drill *d); /* none: takes the facts away */
must_check int drill_save_meter(struct drill *d);

#endif
