#include "spool/db.h"

#include "spool/db_private.h"

#include <stdlib.h>

int db_get_u64(struct db_txn *t, unsigned table, const char *key, uint64_t *ret_v)
{
    struct span v;
    int r = db_get(t, table, span_str(key), &v);

    if (r != 0)
        return r;
    if (v.len != sizeof *ret_v)
        return DB_DAMAGED;
    *ret_v = load_le64(v.data);
    return 0;
}

int db_put_u64(struct db_txn *t, unsigned table, const char *key, uint64_t v)
{
    uint8_t bytes[8];

    store_le64(bytes, v);
    return db_put(t, table, span_str(key), span_of(bytes, sizeof bytes));
}

int db_get_id(struct db_txn *t, unsigned table, const char *key, struct id128 *ret_id)
{
    struct span v;
    int r = db_get(t, table, span_str(key), &v);

    if (r != 0)
        return r;
    if (v.len != ID128_BYTES)
        return DB_DAMAGED;
    memcpy(ret_id->bytes, v.data, ID128_BYTES);
    return 0;
}

int db_put_id(struct db_txn *t, unsigned table, const char *key, const struct id128 *id)
{
    return db_put(t, table, span_str(key), span_of(id->bytes, ID128_BYTES));
}

static uint64_t pages_of(const MDB_stat *s)
{
    return s->ms_branch_pages + s->ms_leaf_pages + s->ms_overflow_pages;
}

uint64_t db_pages_used(struct db *db, MDB_txn *txn)
{
    enum { META_PAGES = 2, OWN_TABLES = 2 };
    uint64_t n = META_PAGES;
    MDB_stat s;
    unsigned i;

    for (i = 0; i < OWN_TABLES; i++) /* LMDB's free list and its table of tables */
        if (mdb_stat(txn, i, &s) == 0)
            n += pages_of(&s);
    if (mdb_stat(txn, db->format, &s) == 0)
        n += pages_of(&s);
    for (i = 0; i < db->n_tables; i++)
        if (db->tables[i] != DB_NO_TABLE && mdb_stat(txn, db->tables[i], &s) == 0)
            n += pages_of(&s);
    return n;
}

/* NULL: no transaction to be had (readers full). */
static MDB_txn *stat_begin(struct db *db)
{
    if (db->stat_txn != NULL) {
        if (mdb_txn_renew(db->stat_txn) == 0)
            return db->stat_txn;
        mdb_txn_abort(db->stat_txn);
        db->stat_txn = NULL;
    }
    if (db_begin_read(db, &db->stat_txn) != 0)
        db->stat_txn = NULL;
    return db->stat_txn;
}

uint64_t db_used_bytes(const struct db *db)
{
    struct db *d = (struct db *)(uintptr_t)db; /* the cached transaction is no state of the caller's */
    MDB_txn *txn = stat_begin(d);
    uint64_t n;

    if (txn == NULL)
        return db_map_bytes(db);
    n = db_pages_used(d, txn) * d->page_bytes;
    mdb_txn_reset(txn);
    return n;
}

uint64_t db_txn_used_bytes(struct db_txn *t)
{
    return db_pages_used(t->db, t->txn) * t->db->page_bytes;
}

unsigned db_stat(struct db *db, struct db_stat_table *out, unsigned max)
{
    MDB_txn *txn = stat_begin(db);
    unsigned i, n = 0;
    MDB_stat s;

    if (txn == NULL)
        return 0;
    for (i = 0; i < db->n_tables && n < max; i++) {
        if (db->tables[i] == DB_NO_TABLE || mdb_stat(txn, db->tables[i], &s) != 0)
            continue;
        out[n++] = (struct db_stat_table){db->names[i], s.ms_entries, pages_of(&s) * s.ms_psize};
    }
    mdb_txn_reset(txn);
    return n;
}
