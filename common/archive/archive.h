/* archive.h - the head of the archive: every record once, laid out so that a range of one channel is one
 * cursor walk.
 *
 * One environment: the spool's tables first (its `seen` rows are the archived set), then the archive's own
 * (rows.h, README.md). Blocks stand under (device, set, time), everything else under (device, kind); a kind
 * or a payload that is not understood is kept as bytes. The archive checks the origin's authenticator of each
 * record; it opens no socket and reads no clock. All changes belong to the spool's open transaction:
 * archive_put for each record, archive_flush, spool_commit; after a failed commit or a rollback
 * archive_reload. Crash: as the spool; totals and samples are one transaction. Limits: 65,536 origins, 4,096
 * descriptor sets per origin. Threads: the spool's owner. */
#ifndef FOGLINE_ARCHIVE_ARCHIVE_H
#define FOGLINE_ARCHIVE_ARCHIVE_H

#include "archive/rows.h"
#include "base/counter.h"

enum { ARCHIVE_ORIGINS_MAX = 65536, ARCHIVE_SETS_MAX = 4096 };

struct archive;

struct archive_options {
    struct spool_options spool; /* db.tables begin with ARCHIVE_TABLE_NAMES */
    /* Nothing is ever taken out: totals and the set of what was seen are held against the records at a start,
     * and marks can speak of it: it has an id. */
    bool keeps_all;
};

enum {
    ARCHIVE_WRONG_TAG = 16,
    ARCHIVE_LIMIT = 17,
    ARCHIVE_OBJECT = 18,
    ARCHIVE_FULL = 19,
    ARCHIVE_DAMAGED = 20
};

/* Opens or makes the archive; it owns the spool. A new one gets an archive id. 0; ARCHIVE_DAMAGED with *err:
 * move the folder away (db_quarantine); other negatives with *err. */
must_check int archive_open(struct archive **ret_a, const struct archive_options *options,
                            struct errmsg *err);
struct archive *archive_close(struct archive *a); /* accepts NULL; an open transaction is aborted */
void archive_closep(struct archive **a);

struct spool *archive_spool(struct archive *a);
/* Names what marks are about (proto MarkBody). Made with the archive and kept over reboots; archive_renew_id
 * replaces it when an operator says that the archive was put back from a copy. */
const struct id128 *archive_id(const struct archive *a);
must_check int archive_renew_id(struct archive *a, const struct id128 *id); /* commits */
/* Of an archive whose id the operator renewed: the first 8 bytes of that id, never 0; else 0. Numbers made
 * before it that nobody has any more are explained by it (ledger.h, LOST_ARCHIVE). */
uint64_t archive_life(const struct archive *a);
uint64_t archive_life_of(struct span id_fact, struct span restored_fact); /* of facts as read; for readers */
#define ARCHIVE_ID_FACT "archive_id"
#define ARCHIVE_RESTORED_FACT "archive_restored" /* the id given by archive_renew_id */

/* Who a record is from. */
struct archive_origin {
    const char *site;
    const uint8_t *tag_key; /* KEY_BYTES of the origin's tag key; NULL: whoever reads it may check */
};

/* What archive_put found in a record. */
struct archive_found {
    bool has_covers; /* a ledger record, or a block with covers */
    bool was_here;   /* nothing was written */
    bool is_block;   /* it stands among the blocks; then: */
    uint32_t device, set;
    int64_t time_first_ns, time_last_ns;
};
/* A record the spool has not seen (s: its stream). Samples are taken from where the tag vouches for them: a
 * block's own header; other known kinds have none. An origin known at another site is from now on known at
 * o's. Of a stream that was forgotten and is spoken of again, what is here already is not put twice. 0;
 * ARCHIVE_WRONG_TAG: not by its origin; ARCHIVE_LIMIT: too many origins; ARCHIVE_OBJECT: the reserved kind:
 * nothing was written. ARCHIVE_FULL: the map is full, and the open transaction is lost (spool_commit will say
 * so). */
must_check int archive_put(struct archive *a, struct spool_stream *s, const struct record *r,
                           const struct archive_origin *o, struct archive_found *ret_found);
/* Makes the stream known to readers (its device and epoch), records or not. 0; ARCHIVE_LIMIT; ARCHIVE_FULL.
 */
must_check int archive_touch(struct archive *a, struct spool_stream *s, const char *site);
/* The spool forgets the stream (spool_stream_forget); its records here stay, and keep its epoch and totals.
 * When it is spoken of again it goes on under its former number here. 0; ARCHIVE_FULL. */
must_check int archive_forget(struct archive *a, const struct spool_stream *s);
/* The site of a known origin changed. Unknown ones: nothing to do. 0; ARCHIVE_FULL. */
must_check int archive_set_site(struct archive *a, const char *origin, const char *site);
/* Writes the totals of the batch; before each commit. 0; ARCHIVE_FULL. */
must_check int archive_flush(struct archive *a);
/* After a commit: calls fn for each stream and lane that got records in the batch, then forgets them. */
void archive_committed(struct archive *a, void (*fn)(void *ctx, struct spool_stream *s, unsigned lane),
                       void *ctx);
/* After a rollback: takes everything from the tables anew. */
must_check int archive_reload(struct archive *a);

/* Committed totals and those of the open batch together. Zeros for a stream that is not known. */
struct totals_lane archive_totals(const struct archive *a, const struct spool_stream *s, unsigned lane);

enum archive_counter {
    ARCHIVE_RECORDS,
    ARCHIVE_SAMPLES,
    ARCHIVE_BYTES,
    ARCHIVE_BLOCKS,
    ARCHIVE_WRONG_TAGS,
    ARCHIVE_MALFORMED,
    ARCHIVE_UNKNOWN_KINDS,
    ARCHIVE_OBJECTS_REFUSED,
    ARCHIVE_LIMITS,
    ARCHIVE_SPANS_GROWN,
    ARCHIVE_COUNTERS
};
extern const struct counter_info archive_counter_info[ARCHIVE_COUNTERS];
const uint64_t *archive_counters(const struct archive *a);

#endif
