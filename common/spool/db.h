/* db.h - the one wrapper of LMDB: tables, checksummed values, transactions that keep their first error.
 *
 * One environment per daemon, default sync flags (anything weaker loses acknowledged commits on power loss),
 * no WRITEMAP, preallocated to its map size so that deletes and commits work on a full disk. Every value ends
 * in 8 bytes of SipHash-2-4 over key and value, keyed by the environment's own random id: it finds damage
 * (LMDB has no checksums), it is not authentication. A damaged value reads as DB_DAMAGED and is never handed
 * out. Crash: a commit that returned 0 is durable; anything else never happened. The folder is fsynced before
 * db_open returns. Threads: one owner thread for writing; a process opens an environment once. Readers in
 * other processes (the command line tools) open read-only and keep transactions below 100 ms. Limits:
 * keys 1..64 bytes, values <= 70 KiB less the checksum, map size fixed at creation, grown only by db_grow. */
#ifndef FOGLINE_SPOOL_DB_H
#define FOGLINE_SPOOL_DB_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"

#include <stdbool.h>
#include <stdint.h>

enum { DB_KEY_MAX_BYTES = 64, DB_TABLES_MAX = 16, DB_FORMAT_MAJOR = 1, DB_FORMAT_MINOR = 0 };

enum {
    DB_NOT_FOUND = 1,
    DB_DAMAGED =
        2, /* checksum wrong: key (and value when readable) are still set, so that it can be quarantined */
    DB_FULL = 3, /* the map is full: from put, delete or commit; the environment stays usable */
};

struct db;
struct db_txn;
struct db_cursor;

struct db_options {
    const char *path;          /* folder, made when missing (mode 0700) unless read_only */
    const char *const *tables; /* names in the order of the caller's enum; borrowed until db_open returns */
    unsigned n_tables;
    uint64_t map_bytes;  /* for a new environment; an existing one keeps its size if that is larger */
    const char *role;    /* "device", "fog", "cloud": written at creation, checked at open */
    bool read_only;      /* for tools: a second process on a live or a dead store */
    bool no_preallocate; /* tests that make thousands of stores */
};

/* 0; -EINVAL with *err when the format or role differs or the folder is no store, -EBUSY when another opener
 * writes to it, -EROFS/-EACCES/-ENOSPC/-EIO ... Refuses network and overlay file systems. An existing store
 * may be damaged: db_verify comes first. A new one is made in PATH/making and renamed into place when it is
 * whole and synced. */
must_check int db_open(struct db **ret_db, const struct db_options *options, struct errmsg *err);
struct db *db_close(struct db *db); /* accepts NULL; aborts an open transaction */
void db_closep(struct db **db);

const struct id128 *db_store_id(const struct db *db); /* random, made with the environment */
bool db_created(const struct db *db);                 /* this open made it */
uint64_t db_map_bytes(const struct db *db);
uint64_t db_used_bytes(const struct db *db);    /* pages in use, free list excluded; last committed state */
uint64_t db_txn_used_bytes(struct db_txn *txn); /* the same, as this transaction would leave it */
uint64_t db_commits(const struct db *db);       /* since open */
uint64_t
db_last_commit(const struct db *db);      /* number of the last one on disk: grows for the life of the file */
uint64_t db_damaged(const struct db *db); /* values found damaged since open */
/* Grows map and file; no transaction may be open. 0, -ENOSPC, ... */
must_check int db_grow(struct db *db, uint64_t map_bytes);
/* Frees slots of dead readers: call at start and every 10 s. */
void db_check_readers(struct db *db);

/* A write transaction keeps its first failure: later calls return it and db_commit becomes an abort.
 * db_commit and db_abort always consume the transaction. At most one write transaction at a time. */
must_check int db_begin(struct db *db, bool write, struct db_txn **ret_txn);
/* 0: durable. DB_FULL: nothing written. -EIO and other negatives: the caller must stop acknowledging and
 * exit. */
must_check int db_commit(struct db_txn *txn);
void db_abort(struct db_txn *txn); /* accepts NULL */
/* A read transaction can be let go and taken up again cheaply (mdb_txn_reset, mdb_txn_renew). */
void db_read_pause(struct db_txn *txn);
must_check int db_read_resume(struct db_txn *txn);

/* Value is borrowed: in a read transaction until it ends, in a write transaction until the next write. */
must_check int db_get(struct db_txn *txn, unsigned table, struct span key, struct span *ret_value);
/* Inserts or replaces. Copies. Key and value must not be borrowed from this transaction. Keys in rising order
 * are appended without a search. */
must_check int db_put(struct db_txn *txn, unsigned table, struct span key, struct span value);
/* As db_put for a value that comes in two parts (header and payload), without joining them first. */
must_check int db_put2(struct db_txn *txn, unsigned table, struct span key, struct span head,
                       struct span tail);
must_check int db_del(struct db_txn *txn, unsigned table, struct span key); /* DB_NOT_FOUND is not sticky */

must_check int db_cursor_new(struct db_txn *txn, unsigned table, struct db_cursor **ret_c);
struct db_cursor *db_cursor_free(struct db_cursor *c); /* accepts NULL; before its transaction ends */
void db_cursor_freep(struct db_cursor **c);
/* First key >= key / after / before the present one / the last of the table. Key and value are borrowed like
 * db_get's. 0, DB_NOT_FOUND, DB_DAMAGED (key set; go on with db_cursor_next). With ret_value NULL the value
 * is not read or checked. */
must_check int db_cursor_seek(struct db_cursor *c, struct span key, struct span *ret_key,
                              struct span *ret_value);
must_check int db_cursor_next(struct db_cursor *c, struct span *ret_key, struct span *ret_value);
must_check int db_cursor_prev(struct db_cursor *c, struct span *ret_key, struct span *ret_value);
must_check int db_cursor_last(struct db_cursor *c, struct span *ret_key, struct span *ret_value);
must_check int db_cursor_del(struct db_cursor *c); /* the present entry; go on with db_cursor_next */

/* Small typed rows, for tables of named facts. Missing reads as DB_NOT_FOUND. */
must_check int db_get_u64(struct db_txn *txn, unsigned table, const char *key, uint64_t *ret_v);
must_check int db_put_u64(struct db_txn *txn, unsigned table, const char *key, uint64_t v);
must_check int db_get_id(struct db_txn *txn, unsigned table, const char *key, struct id128 *ret_id);
must_check int db_put_id(struct db_txn *txn, unsigned table, const char *key, const struct id128 *id);

/* Walks every table in a forked child (a damaged page may kill it), before anything else opens the
 * environment and before any thread exists. Bounded by timeout_s. 0 good; DB_DAMAGED with *err naming table
 * and count (values only) ; DB_UNREADABLE when the child died or a page is broken: move the folder away with
 * db_quarantine; -ETIMEDOUT. A store that is not there yet is good. */
enum { DB_UNREADABLE = 4 };
struct db_verify_result {
    uint64_t n_values, n_damaged;
};
must_check int db_verify(const struct db_options *options, unsigned timeout_s,
                         struct db_verify_result *ret_result, struct errmsg *err);
/* Renames the folder to PATH.quarantine-N (first free N) and tells the name. */
must_check int db_quarantine(const char *path, char *ret_new_path, size_t ret_bytes);

struct db_stat_table {
    const char *name;
    uint64_t entries, bytes;
};
/* Entries and bytes of pages per table, of the last committed state. Returns the number of tables filled. */
unsigned db_stat(struct db *db, struct db_stat_table *out, unsigned max);

#endif
