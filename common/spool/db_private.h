/* db_private.h - shared by the db_*.c files only: the structs, and the mapping of LMDB's codes. */
#ifndef FOGLINE_SPOOL_DB_PRIVATE_H
#define FOGLINE_SPOOL_DB_PRIVATE_H

#include "spool/checksum.h"
#include "spool/db.h"

#include <lmdb.h>

enum { DB_VALUE_MAX_BYTES = 70 * 1024, DB_READERS_MAX = 32, DB_NO_TABLE = 0 };

/* Upper bound of a table's keys in this transaction: a greater key can be appended without a search. */
struct db_last_key {
    bool known;
    uint8_t len, bytes[DB_KEY_MAX_BYTES];
};

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    bool write, paused;
    int error; /* the first failure; stays */
    struct db_last_key last[DB_TABLES_MAX];
};

struct db {
    MDB_env *env;
    struct id128 id;
    struct checksum sum;
    unsigned n_tables;
    MDB_dbi tables[DB_TABLES_MAX]; /* DB_NO_TABLE: a read-only open of a store that has not got it */
    MDB_dbi format;
    char *names[DB_TABLES_MAX];
    bool read_only, created, writing;
    int owner_fd; /* the folder, locked for the one writing process; -1 */
    unsigned n_txns, page_bytes;
    uint64_t commits, damaged;
    MDB_txn *stat_txn; /* reset read transaction for the figures */
    struct db_txn write_txn;
};

/* 0, positive DB_*, or negative errno. */
int db_map_code(int rc);
/* Splits off and checks the sum. 0 or DB_DAMAGED (counted; the span is set where it is long enough). */
int db_value_check(struct db *db, struct span key, const MDB_val *raw, struct span *ret_value);
/* Pages of all tables, of LMDB's own two and of the meta pages. */
uint64_t db_pages_used(struct db *db, MDB_txn *txn);
int db_begin_read(struct db *db, MDB_txn **ret_txn);

static inline struct span db_span_of(const MDB_val *v)
{
    return span_of(v->mv_data, v->mv_size);
}

static inline MDB_val db_val_of(struct span s)
{
    return (MDB_val){s.len, (void *)(uintptr_t)s.data};
}

#endif
