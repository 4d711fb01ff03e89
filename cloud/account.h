/* account.h - what the archive was told about records it does not hold: covers and reports, on disk and in
 * mirrors.
 *
 * A cover (proto Cover) comes in an archived ledger record or block. It is kept as a row with who said so,
 * and is in force once the records it needs are archived; the mirrors hold the union of the covers in force
 * per stream and lane, for marks. A report is what an owner said of a lane of its own (next, held), or a
 * relay of what it holds; readers compute the balance from both (ledger.h, view_ledger.h). Rows are
 * idempotent: said twice or late they are the same rows. A cover counts only when it speaks of its carrier's
 * own origin, or when the policy allows that origin to be reduced; what the policy said when it came stays
 * with the row, since marks cannot be unsaid. All writes belong to the spool's open transaction; after a
 * rollback account_reload. Threads: the spool's owner. */
#ifndef FOGLINE_CLOUD_ACCOUNT_H
#define FOGLINE_CLOUD_ACCOUNT_H

#include "base/counter.h"
#include "cloud/account_rows.h"

enum {
    ACCOUNT_PENDING_MAX = 65536,         /* covers waiting for what they need; more wait for the next start */
    ACCOUNT_REPORT_EVERY_MS = 10 * 1000, /* a report that says nothing new is written this often */
    ACCOUNT_DEAD_AFTER_MS =
        30 * 1000, /* an epoch not reported for so long while its origin is: no longer listed */
};

struct account;

must_check int account_new(struct account **ret_ac, struct spool *sp); /* borrows sp; reads the tables */
/* The archive has this id, and this life (archive_life; 0: never renewed): reports then note what was made
 * before their owners knew. To be told before the first report. */
void account_set_archive(struct account *ac, const struct id128 *id, uint64_t life);
struct account *account_free(struct account *ac); /* accepts NULL */
must_check int account_reload(struct account *ac);

struct account_policy {
    void *ctx;
    /* May others than itself explain records of this origin away? */
    bool (*may_reduce)(void *ctx, const char *origin);
};
enum { ACCOUNT_FULL = 19 };
/* The covers of record r (a ledger record, or a block with covers) of stream s, not yet in its seen set. A
 * payload that does not unpack is counted. 0; ACCOUNT_FULL: the map is full and the transaction lost;
 * negative errno. */
must_check int account_put(struct account *ac, struct spool_stream *s, const struct record *r,
                           const struct account_policy *policy);
/* Before each commit, with the seen sets up to date: covers whose needs are now archived come into force. */
must_check int account_flush(struct account *ac);

/* A Hello of peer: epochs of its own that it does not list are marked so. */
must_check int account_hello(struct account *ac, const char *peer, const Fogline__V1__Hello *hello);
/* A lane report about s that `peer` brought. Older than what is known: ignored. */
must_check int account_report(struct account *ac, struct spool_stream *s, const char *peer,
                              const Fogline__V1__LaneReport *r, int64_t wall_unix_ns);

/* The numbers explained by covers in force, archived ones among them. Borrowed until the next call that
 * changes anything. */
const struct interval_set *account_explained(struct account *ac, const struct spool_stream *s, unsigned lane);
/* After a commit: fn for each lane whose explained set grew, then forgets them. */
void account_committed(struct account *ac, void (*fn)(void *ctx, struct spool_stream *s, unsigned lane),
                       void *ctx);

enum account_counter {
    ACCOUNT_COVERS,
    ACCOUNT_COVERS_REFUSED,
    ACCOUNT_COVERS_WAITING,
    ACCOUNT_MALFORMED,
    ACCOUNT_REPORTS,
    ACCOUNT_REPORTS_STALE,
    ACCOUNT_COUNTERS
};
extern const struct counter_info account_counter_info[ACCOUNT_COUNTERS];
const uint64_t *account_counters(const struct account *ac);

#endif
