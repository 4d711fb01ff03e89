/* spool_private.h - shared by the spool_*.c files only. */
#ifndef FOGLINE_SPOOL_SPOOL_PRIVATE_H
#define FOGLINE_SPOOL_SPOOL_PRIVATE_H

#include "spool/spool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

enum {
    SEQ_LANE_SHIFT = 56,
    STREAM_KEY_BYTES = 4,
    RECORD_KEY_BYTES = 12,
    SEEN_KEY_BYTES = 13,
    ACCOUNT_KEY_BYTES = 14,
    RECORD_HEAD_BYTES = 1 + 4 + 4 + 4 + SPOOL_TAG_BYTES,
    RECORD_FORMAT = 1,
    STREAM_FORMAT = 1,
    FACT_NAME_MAX_BYTES = 60,
    FACT_VALUE_MAX_BYTES = 1024,
};
#define SEQ_COUNT_MAX ((UINT64_C(1) << SEQ_LANE_SHIFT) - 1)
#define FACT_STORE_ID "spool/store"

/* spool_stream is its first member. An entry that is not live is no stream: it was never committed, or is
 * being forgotten; it waits in the index so that the same object comes back with the same stream. */
struct spool_entry {
    struct spool_stream s;
    bool live, forgotten, dirty; /* dirty: its row is to be written with this transaction */
};

/* What the proof file says; spool_proof.c has the format. */
struct spool_proof {
    struct id128 boot_id, epoch, store_id;
    uint64_t device, inode, last_commit;
    uint64_t next[SPOOL_LANES];
};

struct spool {
    struct db *db;
    char node[SPOOL_NAME_BYTES];
    struct id128 store_id, committed_store_id;
    bool began_epoch;
    uint64_t quota_bytes, map_bytes, reserve_bytes;
    uint64_t
        squeeze_bytes; /* room given up because the free pages did not lie together: see spool_note_full */

    struct db_txn *txn;      /* the batch; NULL: none */
    int failed;              /* a mirror could not follow the transaction: it must not be committed */
    struct db_txn *read_txn; /* NULL before the first use */
    unsigned read_depth;

    struct spool_entry **streams; /* live, by number */
    size_t n_streams, streams_alloc;
    struct spool_entry **slots; /* open addressing by origin and epoch, every entry, live or not */
    size_t n_slots, n_entries;
    uint8_t hash_key[16];
    bool any_forgotten;
    struct spool_entry *own;

    uint64_t held_bytes, held_records;
    size_t n_account;
    bool seen_damaged; /* found by the last load */

    int proof_fd; /* -1: none */
    struct id128 boot_id;
    uint64_t device, inode;
};

static inline struct spool_entry *spool_entry_of(struct spool_stream *s)
{
    return (struct spool_entry *)s;
}

static inline void spool_seq_key(uint8_t key[RECORD_KEY_BYTES], uint32_t no, uint64_t seq)
{
    store_be32(key, no);
    store_be64(key + 4, seq);
}

/* spool_streams.c */
/* The entry of that name, or a new one that is not live. */
must_check int spool_entry_get(struct spool *sp, const char *origin, const struct id128 *epoch,
                               struct spool_entry **ret_e);
must_check int spool_entry_revive(struct spool *sp, struct spool_entry *e, uint32_t no, bool own);
struct spool_entry *spool_entry_by_no(struct spool *sp, uint32_t no);
void spool_entries_drop_all(struct spool *sp); /* none is live any more */
void spool_entries_free_forgotten(struct spool *sp);
void spool_entries_deinit(struct spool *sp);
must_check int spool_entries_write(struct spool *sp); /* the dirty rows */
must_check int spool_row_read(struct spool *sp, struct span key, struct span value);
must_check int spool_seen_row_put(struct spool *sp, uint32_t no, unsigned lane, struct interval range);

/* spool_load.c */
/* Fills the mirrors from the last commit. 0, SPOOL_DAMAGED, negative; err may be NULL. */
must_check int spool_load(struct spool *sp, struct errmsg *err);
must_check int spool_seen_rebuild(struct spool *sp, bool keep);

/* spool.c */
/* A value of several pages needs them in a row, so a map can be full with pages to spare. Each time that
 * happens a sixteenth of the map is given up until the next open, up to a half: the quota falls, and evicting
 * makes longer rows. */
void spool_note_full(struct spool *sp);
/* The open transaction, or the read transaction resumed; let go with spool_view_done. */
must_check int spool_view(struct spool *sp, struct db_txn **ret_txn);
void spool_view_done(struct spool *sp, struct db_txn *txn);

/* spool_proof.c */
must_check int spool_proof_open(struct spool *sp, const struct spool_options *options, struct errmsg *err);
bool spool_proof_holds(const struct spool *sp); /* the file proves that this store goes on where it stopped */
must_check int spool_proof_write(struct spool *sp);

#endif
