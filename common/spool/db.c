#include "spool/db.h"

#include "spool/db_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int db_map_code(int rc)
{
    if (rc > 0)
        return -rc;
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return DB_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL: /* more changed pages than LMDB can list: as little room as a full map */
        return DB_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return -EUCLEAN;
    case MDB_READERS_FULL:
        return -EUSERS;
    case MDB_MAP_RESIZED:
        return -ESTALE;
    case MDB_BAD_TXN:
    case MDB_BAD_VALSIZE:
    case MDB_BAD_DBI:
    case MDB_INCOMPATIBLE:
        return -EINVAL;
    default: /* MDB_PANIC and what later versions add */
        return -EIO;
    }
}

int db_value_check(struct db *db, struct span key, const MDB_val *raw, struct span *ret_value)
{
    struct span value = {raw->mv_data, 0};
    uint8_t sum[CHECKSUM_BYTES];

    *ret_value = value;
    if (raw->mv_size < CHECKSUM_BYTES || raw->mv_size > DB_VALUE_MAX_BYTES || key.len > DB_KEY_MAX_BYTES) {
        db->damaged++;
        return DB_DAMAGED;
    }
    value.len = raw->mv_size - CHECKSUM_BYTES;
    *ret_value = value;
    checksum_make(&db->sum, key, value, sum);
    if (memcmp(sum, value.data + value.len, CHECKSUM_BYTES) != 0) {
        db->damaged++;
        return DB_DAMAGED;
    }
    return 0;
}

/* Another process may have grown the map: take its size over, which LMDB allows while no transaction is open
 * here. */
static int with_new_size(struct db *db, int rc)
{
    if (rc != MDB_MAP_RESIZED || db->n_txns > 0)
        return rc;
    if (db->stat_txn != NULL) {
        mdb_txn_abort(db->stat_txn);
        db->stat_txn = NULL;
    }
    return mdb_env_set_mapsize(db->env, 0);
}

int db_begin_read(struct db *db, MDB_txn **ret_txn)
{
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, ret_txn);

    if (rc == MDB_MAP_RESIZED) {
        rc = with_new_size(db, rc);
        if (rc == 0)
            rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, ret_txn);
    }
    return db_map_code(rc);
}

static int begin_write(struct db *db, struct db_txn **ret_txn)
{
    struct db_txn *t = &db->write_txn;
    unsigned i;
    int rc;

    if (db->read_only)
        return -EROFS;
    if (db->writing)
        return -EBUSY;
    rc = mdb_txn_begin(db->env, NULL, 0, &t->txn);
    if (rc != 0)
        return db_map_code(rc);
    t->db = db;
    t->write = true;
    t->error = 0;
    for (i = 0; i < db->n_tables; i++)
        t->last[i].known = false;
    db->writing = true;
    db->n_txns++;
    *ret_txn = t;
    return 0;
}

int db_begin(struct db *db, bool write, struct db_txn **ret_txn)
{
    struct db_txn *t;
    int r;

    if (write)
        return begin_write(db, ret_txn);
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    t->db = db;
    r = db_begin_read(db, &t->txn);
    if (r != 0) {
        free(t);
        return r;
    }
    db->n_txns++;
    *ret_txn = t;
    return 0;
}

void db_abort(struct db_txn *t)
{
    if (t == NULL)
        return;
    mdb_txn_abort(t->txn);
    t->db->n_txns--;
    if (t->write)
        t->db->writing = false;
    else
        free(t);
}

int db_commit(struct db_txn *t)
{
    struct db *db = t->db;
    int r = t->error;

    if (r != 0 || !t->write) {
        db_abort(t);
        return r;
    }
    r = db_map_code(mdb_txn_commit(t->txn)); /* frees it, whatever it returns */
    db->n_txns--;
    db->writing = false;
    if (r == DB_NOT_FOUND) /* never a fact about a commit */
        r = -EIO;
    if (r == 0)
        db->commits++;
    return r;
}

void db_read_pause(struct db_txn *t)
{
    assert(!t->write);
    if (t->paused)
        return;
    mdb_txn_reset(t->txn);
    t->paused = true;
}

int db_read_resume(struct db_txn *t)
{
    int r;

    assert(!t->write);
    if (!t->paused)
        return 0;
    r = db_map_code(mdb_txn_renew(t->txn));
    if (r == 0)
        t->paused = false;
    return r;
}

/* Keeps the first failure of a write transaction; facts about one key are not failures. */
static int keep(struct db_txn *t, int r)
{
    if (t->write && r != 0 && r != DB_NOT_FOUND && r != DB_DAMAGED && t->error == 0)
        t->error = r;
    return r;
}

int db_get(struct db_txn *t, unsigned table, struct span key, struct span *ret_value)
{
    MDB_val k = db_val_of(key), v;
    int r;

    if (t->error != 0)
        return t->error;
    assert(table < t->db->n_tables);
    if (key.len == 0 || key.len > DB_KEY_MAX_BYTES)
        return keep(t, -EINVAL);
    if (t->db->tables[table] == DB_NO_TABLE)
        return DB_NOT_FOUND;
    r = db_map_code(mdb_get(t->txn, t->db->tables[table], &k, &v));
    if (r != 0)
        return keep(t, r);
    return db_value_check(t->db, key, &v, ret_value);
}

static int load_last_key(struct db_txn *t, unsigned table, struct db_last_key *last)
{
    MDB_cursor *c;
    MDB_val k;
    int rc = mdb_cursor_open(t->txn, t->db->tables[table], &c);

    if (rc != 0)
        return db_map_code(rc);
    rc = mdb_cursor_get(c, &k, NULL, MDB_LAST);
    mdb_cursor_close(c);
    last->len = 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_map_code(rc);
    if (rc == 0) {
        if (k.mv_size > DB_KEY_MAX_BYTES)
            return -EUCLEAN;
        last->len = (uint8_t)k.mv_size;
        memcpy(last->bytes, k.mv_data, k.mv_size);
    }
    last->known = true;
    return 0;
}

static bool key_above(struct span key, const struct db_last_key *last)
{
    size_t both = key.len < last->len ? key.len : last->len;
    int order = memcmp(key.data, last->bytes, both);

    return order > 0 || (order == 0 && key.len > last->len);
}

static int put(struct db_txn *t, unsigned table, struct span key, struct span head, struct span tail)
{
    struct db_last_key *last = &t->last[table];
    MDB_val k = db_val_of(key);
    MDB_val v = {head.len + tail.len + CHECKSUM_BYTES, NULL};
    unsigned flags = MDB_RESERVE;
    uint8_t *at;
    int r;

    if (key.len == 0 || key.len > DB_KEY_MAX_BYTES)
        return -EINVAL;
    if (v.mv_size > DB_VALUE_MAX_BYTES)
        return -EMSGSIZE;
    if (!last->known) {
        r = load_last_key(t, table, last);
        if (r != 0)
            return r;
    }
    if (key_above(key, last)) {
        flags |= MDB_APPEND;
        last->len = (uint8_t)key.len;
        memcpy(last->bytes, key.data, key.len);
    }
    r = db_map_code(mdb_put(t->txn, t->db->tables[table], &k, &v, flags));
    if (r != 0)
        return r;
    at = v.mv_data;
    if (head.len > 0)
        memcpy(at, head.data, head.len);
    if (tail.len > 0)
        memcpy(at + head.len, tail.data, tail.len);
    checksum_make(&t->db->sum, key, span_of(at, head.len + tail.len), at + head.len + tail.len);
    return 0;
}

int db_put2(struct db_txn *t, unsigned table, struct span key, struct span head, struct span tail)
{
    if (t->error != 0)
        return t->error;
    assert(t->write && table < t->db->n_tables);
    return keep(t, put(t, table, key, head, tail));
}

int db_put(struct db_txn *t, unsigned table, struct span key, struct span value)
{
    return db_put2(t, table, key, value, span_of(NULL, 0));
}

int db_del(struct db_txn *t, unsigned table, struct span key)
{
    MDB_val k = db_val_of(key);

    if (t->error != 0)
        return t->error;
    assert(t->write && table < t->db->n_tables);
    if (key.len == 0 || key.len > DB_KEY_MAX_BYTES)
        return keep(t, -EINVAL);
    return keep(t, db_map_code(mdb_del(t->txn, t->db->tables[table], &k, NULL)));
}
