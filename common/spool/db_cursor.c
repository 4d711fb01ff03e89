#include "spool/db.h"

#include "spool/db_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct db_cursor {
    struct db_txn *txn;
    MDB_cursor *cursor; /* NULL: a table this store has not got reads as empty */
};

int db_cursor_new(struct db_txn *t, unsigned table, struct db_cursor **ret_c)
{
    struct db_cursor *c;
    int r;

    if (t->error != 0)
        return t->error;
    assert(table < t->db->n_tables);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    c->txn = t;
    if (t->db->tables[table] != DB_NO_TABLE) {
        r = db_map_code(mdb_cursor_open(t->txn, t->db->tables[table], &c->cursor));
        if (r != 0) {
            free(c);
            return r;
        }
    }
    *ret_c = c;
    return 0;
}

struct db_cursor *db_cursor_free(struct db_cursor *c)
{
    if (c == NULL)
        return NULL;
    if (c->cursor != NULL)
        mdb_cursor_close(c->cursor);
    free(c);
    return NULL;
}

void db_cursor_freep(struct db_cursor **c)
{
    *c = db_cursor_free(*c);
}

static int move(struct db_cursor *c, MDB_val *k, MDB_cursor_op op, struct span *ret_key,
                struct span *ret_value)
{
    struct db_txn *t = c->txn;
    MDB_val v;
    int r;

    if (t->error != 0)
        return t->error;
    if (c->cursor == NULL)
        return DB_NOT_FOUND;
    r = db_map_code(mdb_cursor_get(c->cursor, k, ret_value != NULL ? &v : NULL, op));
    if (r == DB_NOT_FOUND)
        return r;
    if (r == 0 && (k->mv_size == 0 || k->mv_size > DB_KEY_MAX_BYTES))
        r = -EUCLEAN;
    if (r != 0) {
        if (t->write)
            t->error = r;
        return r;
    }
    if (ret_key != NULL)
        *ret_key = db_span_of(k);
    return ret_value == NULL ? 0 : db_value_check(t->db, db_span_of(k), &v, ret_value);
}

int db_cursor_seek(struct db_cursor *c, struct span key, struct span *ret_key, struct span *ret_value)
{
    MDB_val k = db_val_of(key);

    /* LMDB refuses an empty key; to callers it is the one below all others. */
    if (key.len == 0)
        return move(c, &k, MDB_FIRST, ret_key, ret_value);
    return move(c, &k, MDB_SET_RANGE, ret_key, ret_value);
}

int db_cursor_next(struct db_cursor *c, struct span *ret_key, struct span *ret_value)
{
    MDB_val k;

    return move(c, &k, MDB_NEXT, ret_key, ret_value);
}

int db_cursor_prev(struct db_cursor *c, struct span *ret_key, struct span *ret_value)
{
    MDB_val k;

    return move(c, &k, MDB_PREV, ret_key, ret_value);
}

int db_cursor_last(struct db_cursor *c, struct span *ret_key, struct span *ret_value)
{
    MDB_val k;

    return move(c, &k, MDB_LAST, ret_key, ret_value);
}

int db_cursor_del(struct db_cursor *c)
{
    struct db_txn *t = c->txn;
    int r;

    if (t->error != 0)
        return t->error;
    assert(t->write);
    if (c->cursor == NULL)
        return DB_NOT_FOUND;
    r = db_map_code(mdb_cursor_del(c->cursor, 0));
    if (r != 0 && r != DB_NOT_FOUND)
        t->error = r;
    return r;
}
