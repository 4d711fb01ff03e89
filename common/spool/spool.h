/* spool.h - durable records on their way up, and what is known about them: the store below common/hop.
 *
 * One environment (db.h) holds, for a device or a fog: its identity (epoch, next numbers, session), the
 * records it made and the records it relays, the set of records it has ever made durable (`seen`, one row per
 * interval), the open account of what it let go, and named facts. The cloud uses the same environment format
 * and the same `seen` rows beside its archive. All changes of one batch are one transaction; the in-memory
 * mirrors here follow the transaction and are thrown away with it when it fails (spool_reload).
 *
 * A *stream* is one (origin, epoch); its two lanes are counted apart (proto/README.md). A stream gets a small
 * number on first contact, which is the prefix of its keys, big-endian, so that byte order is (stream, lane,
 * count). Threads: one owner. Crash: what spool_commit returned 0 for is there after any crash; nothing else
 * is. A record's value: format u8 = 1, kind u32, flags u32, samples u32 (little-endian), tag[16], payload. */
#ifndef FOGLINE_SPOOL_SPOOL_H
#define FOGLINE_SPOOL_SPOOL_H

#include "base/id.h"
#include "base/interval.h"
#include "spool/db.h"

#include <stdbool.h>
#include <stdint.h>

enum { SPOOL_LANES = 2, SPOOL_TAG_BYTES = 16, SPOOL_NAME_BYTES = 65, SPOOL_PAYLOAD_MAX_BYTES = 64 * 1024 };

/* Tables of every environment; a tier appends its own after SPOOL_TABLES. */
enum spool_table {
    SPOOL_TABLE_META,    /* named facts: spool identity, peer, cuts, cursors of sources ("cursor/NAME") */
    SPOOL_TABLE_STREAMS, /* be32 stream -> origin, epoch, own flag, totals per lane */
    SPOOL_TABLE_RECORDS, /* be32 stream, be64 seq -> record */
    SPOOL_TABLE_SEEN,    /* be32 stream, u8 lane, be64 first -> le64 last */
    SPOOL_TABLE_ACCOUNT, /* be32 stream, u8 lane, u8 reason, be64 first -> le64 last, le64 samples, store id
                          */
    SPOOL_TABLES
};
#define SPOOL_TABLE_NAMES "meta", "streams", "records", "seen", "account"

/* One lane of a stream. The sets are mirrors of what the open transaction (or, outside one, the disk) holds.
 */
struct spool_lane {
    struct interval_set held; /* counts (without lane byte) of records in SPOOL_TABLE_RECORDS */
    struct interval_set seen; /* counts ever made durable here; only kept for streams of others */
    uint64_t next;            /* own: the next count to be made; others: 0 */
    uint64_t held_bytes;      /* payloads and overhead, as charged to the quota */
    uint64_t held_samples;
    uint64_t produced_samples; /* own: ever made in this epoch */
};

struct spool_stream {
    uint32_t no;
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    bool own; /* origin is this node */
    struct spool_lane lane[SPOOL_LANES];
    void *lower_state, *upper_state; /* of the outbox and the inbox; not touched here */
};

struct spool_record {
    uint32_t kind, flags, samples;
    uint8_t tag[SPOOL_TAG_BYTES];
    struct span payload; /* borrowed */
};

struct spool;

struct spool_options {
    struct db_options db; /* tables: SPOOL_TABLE_NAMES first */
    const char *node;     /* own node id; borrowed until spool_open returns */
    uint64_t quota_bytes; /* of held records, all streams; 0: nine tenths of the map */
    /* Continuity: a file that does not outlive a boot and is not part of any backup (under /run). It names
     * boot, file and next numbers after each commit. A start that finds less in the spool than it says, or
     * does not find it, begins a new epoch (and, in a relay or a cloud, a new store life): the only proof
     * against a disk put back from a copy. NULL: tests that set `continue_unproven`. */
    const char *proof_path;
    struct id128 boot_id;
    bool continue_unproven; /* tests: keep the epoch without proof (what HOP rule SAME_EPOCH takes away) */
    /* The tier's own tables in this environment hold what `seen` says (the cloud's archive): without proof
     * the rows are kept. Otherwise they are made anew from the records held, which is all such a store can
     * vouch for. */
    bool keep_seen;
};

enum { SPOOL_DAMAGED = 3 };

/* Opens or makes the store (db_verify comes before). Begins a new epoch where continuity is not proven; the
 * commit of that is done before return. 0; SPOOL_DAMAGED with *err: rows that name the records are damaged,
 * move the folder away with db_quarantine and open again; negative errno with *err. */
must_check int spool_open(struct spool **ret_sp, const struct spool_options *options, struct errmsg *err);
struct spool *spool_close(struct spool *sp); /* accepts NULL; aborts the open transaction */
void spool_closep(struct spool **sp);

struct db *spool_db(struct spool *sp);
const char *spool_node(const struct spool *sp);
/* The life of this store (HOP "store id"): changes when the environment is made anew or continuity is not
 * proven. */
const struct id128 *spool_store_id(const struct spool *sp);
bool spool_began_epoch(
    const struct spool *sp); /* this open could not prove continuity (a new store never can) */
/* Begins a new epoch now, in the open transaction; older own streams stay until they are empty. */
must_check int spool_new_epoch(struct spool *sp);
/* Begins a new life of the store now, in the open transaction: another store id, and `seen` is made anew from
 * the records held. For a relay whose upper side lost what it had: what was let go is asked for again.
 * Nothing held is touched. A rollback takes it all back. */
must_check int spool_new_store(struct spool *sp);

/* The batch transaction: begun on first use of anything that writes. */
must_check int spool_txn(struct spool *sp, struct db_txn **ret_txn); /* begins when none is open */
bool spool_txn_open(const struct spool *sp);
/* Commits what is open (nothing open: 0), then updates the proof file. DB_FULL: nothing happened, mirrors are
 * reloaded; spool_quota_bytes is lower now: evict down to it and commit that by itself (pages freed in a
 * transaction serve the next ones), then the batch fits. Other errors too leave the mirrors as on disk, but
 * the caller stops and exits. Nothing of a batch may be told to anyone before this returned 0: the proof
 * rests on it. */
must_check int spool_commit(struct spool *sp);
/* Aborts and reloads the mirrors. */
must_check int spool_rollback(struct spool *sp);
/* A paused read transaction of this process, resumed for the caller; let go with spool_read_done (calls
 * nest). Sees the last commit before it was resumed. */
must_check int spool_read(struct spool *sp, struct db_txn **ret_txn);
void spool_read_done(struct spool *sp);
/* db_grow, with the spool's own idle reader let go first. No transaction may be open and no spool_read be
 * pending. 0; -EBUSY; -ENOSPC ... */
must_check int spool_grow(struct spool *sp, uint64_t map_bytes);

/* Streams. Pointers stay valid until the stream is forgotten or the spool is reloaded (then the same objects
 * are refilled). */
struct spool_stream *spool_own(struct spool *sp); /* of the current epoch */
struct spool_stream *spool_find(struct spool *sp, const char *origin,
                                const struct id128 *epoch); /* NULL: unknown */
enum { SPOOL_LIMIT = 1, SPOOL_STREAMS_MAX = 1 << 20 };
/* The stream, made when missing. 0, SPOOL_LIMIT, -EINVAL for a bad name, ... */
must_check int spool_stream_make(struct spool *sp, const char *origin, const struct id128 *epoch,
                                 struct spool_stream **ret_s);
/* Deletes its rows of seen and its number, which no other stream gets; only when no record is held and
 * nothing is on its account (else, and for the own current stream, -EBUSY). Frees s once committed. */
must_check int spool_stream_forget(struct spool *sp, struct spool_stream *s);
size_t spool_n_streams(const struct spool *sp);
struct spool_stream *spool_stream_at(struct spool *sp, size_t i); /* in order of number */
/* Every stream object there is, also one whose making a rollback took back: it waits to be made again, and
 * what hangs on its lower_state and upper_state must be let go with the rest. */
void spool_stream_objects(struct spool *sp, void (*fn)(void *ctx, struct spool_stream *s), void *ctx);

/* Own records. seq of the next one of a lane, to make its tag over; then append exactly that one. */
uint64_t spool_next_seq(const struct spool *sp, unsigned lane);
enum { SPOOL_FULL = 2, SPOOL_KIND_LEDGER = 5 /* proto KIND_LEDGER */, SPOOL_RESERVE_BYTES = 1 << 20 };
/* What a record costs of the quota: payload and 64 bytes; a payload that does not fit into a tree page costs
 * whole pages. */
uint64_t spool_charge_bytes(size_t payload_bytes);
/* 0; SPOOL_FULL when the quota or the map would be passed (nothing written). A reserve of
 * min(SPOOL_RESERVE_BYTES, map / 4) of the map stays free: ledger records in the urgent lane may use half of
 * it, deletes the rest. SPOOL_FULL may also mean that the map came to its end all the same: then the whole
 * transaction is lost, and spool_commit says DB_FULL. */
must_check int spool_append(struct spool *sp, unsigned lane, const struct spool_record *r, uint64_t *ret_seq);
/* A record of another origin, kept for forwarding: written and held (already held: nothing is done). The
 * caller calls spool_seen_add for it. 0, SPOOL_FULL as spool_append. */
must_check int spool_put(struct spool *sp, struct spool_stream *s, uint64_t seq,
                         const struct spool_record *r);
/* Reads a record. In the open transaction if there is one, else in the read transaction (spool_read first).
 * 0, DB_NOT_FOUND, DB_DAMAGED. ret_r->payload is borrowed like db_get's. */
must_check int spool_get(struct spool *sp, const struct spool_stream *s, uint64_t seq,
                         struct spool_record *ret_r);
/* Lets go of the records of [from, to] (counts) that are held. Adds what went to the totals given (may be
 * NULL): a damaged record counts with no samples, nobody knows how many it had. Takes time by records held,
 * not by the length of range. */
struct spool_gone {
    uint64_t n_records, n_samples, n_bytes;
};
must_check int spool_remove(struct spool *sp, struct spool_stream *s, unsigned lane, struct interval range,
                            struct spool_gone *ret_gone);

/* Seen: the interval rows of the upper side. One added record writes one or two rows, never the whole set. */
must_check int spool_seen_add(struct spool *sp, struct spool_stream *s, unsigned lane, struct interval range);
/* Forgets the lowest interval; nothing when there is none. */
must_check int spool_seen_drop_lowest(struct spool *sp, struct spool_stream *s, unsigned lane);

/* The open account: what was let go and is not yet in a ledger record. Adjacent intervals of equal reason and
 * store merge. What stands there under the same reason already is not added twice. Damaged rows are passed
 * over, and deleted by take. */
struct spool_account_row {
    struct spool_stream *stream;
    unsigned lane;
    uint8_t reason; /* proto Reason */
    struct interval range;
    uint64_t samples;
    struct id128 store; /* zero: none */
};
must_check int spool_account_add(struct spool *sp, const struct spool_account_row *row);
size_t spool_account_rows(const struct spool *sp);
/* Takes up to max rows off the account (oldest key first) in the open transaction. */
must_check int spool_account_take(struct spool *sp, struct spool_account_row *out, size_t max, size_t *ret_n);
/* Every row, without taking: for the balance. fn returns non-zero to stop. */
must_check int spool_account_each(struct spool *sp, int (*fn)(void *ctx, const struct spool_account_row *row),
                                  void *ctx);

/* Totals over all streams, as of the mirrors. */
uint64_t spool_held_bytes(const struct spool *sp);
uint64_t spool_held_records(const struct spool *sp);
/* The configured quota (at most nine tenths of the map), or less where the map has no room for that: ask
 * again after deleting. Records fit while spool_held_bytes + spool_charge_bytes(payload) <= this. */
uint64_t spool_quota_bytes(const struct spool *sp);
/* What the map has left beside the reserve and what was given up: with none no record fits, whatever the
 * quota. For who keeps other things in the same map. */
uint64_t spool_room_bytes(const struct spool *sp);

/* Named facts (SPOOL_TABLE_META) in the open transaction; reads see it. Names <= 60 bytes, values <= 1 KiB.
 */
must_check int spool_fact_put(struct spool *sp, const char *name, struct span value);
must_check int spool_fact_get(struct spool *sp, const char *name, struct buf *ret_value); /* DB_NOT_FOUND */
must_check int spool_fact_delete(struct spool *sp, const char *name); /* none of that name: 0 */
/* Each whose name begins so, in the order of names; name and value are borrowed until fn returns, which gives
 * 0, or what ends it and is returned. fn must not change facts. */
must_check int spool_facts_each(struct spool *sp, const char *prefix,
                                int (*fn)(void *ctx, const char *name, struct span value), void *ctx);
must_check int spool_fact_put_u64(struct spool *sp, const char *name, uint64_t v);
must_check int spool_fact_get_u64(struct spool *sp, const char *name, uint64_t *ret_v);

#endif
