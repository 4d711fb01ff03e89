#include "spool/spool.h"

#include "base/cleanup.h"
#include "spool/spool_private.h"

static int damaged(struct errmsg *err, const char *table)
{
    return errmsg_set(err, SPOOL_DAMAGED,
                      "table %s: a row that names records is damaged; the store has to be moved away", table);
}

static must_check int load_streams(struct spool *sp, struct db_txn *t, struct errmsg *err)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int r = db_cursor_new(t, SPOOL_TABLE_STREAMS, &c);

    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, &value);
    while (r == 0) {
        r = spool_row_read(sp, key, value);
        if (r != 0)
            return r > 0 ? damaged(err, "streams") : r;
        r = db_cursor_next(c, &key, &value);
    }
    if (r == DB_DAMAGED)
        return damaged(err, "streams");
    return r == DB_NOT_FOUND ? 0 : r;
}

/* Keys only: a million records open in a fraction of a second. */
static must_check int load_records(struct spool *sp, struct db_txn *t, struct errmsg *err)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct spool_entry *e = NULL;
    uint64_t n = 0, seq;
    struct span key;
    int r = db_cursor_new(t, SPOOL_TABLE_RECORDS, &c);

    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, NULL);
    while (r == 0) {
        uint32_t no;

        if (key.len != RECORD_KEY_BYTES)
            return damaged(err, "records");
        no = load_be32(key.data);
        seq = load_be64(key.data + 4);
        if (e == NULL || e->s.no != no)
            e = spool_entry_by_no(sp, no);
        if (e == NULL || seq >> SEQ_LANE_SHIFT >= SPOOL_LANES || (seq & SEQ_COUNT_MAX) == 0)
            return damaged(err, "records");
        r = interval_set_add(&e->s.lane[seq >> SEQ_LANE_SHIFT].held, seq & SEQ_COUNT_MAX,
                             seq & SEQ_COUNT_MAX);
        if (r < 0)
            return r;
        n++;
        r = db_cursor_next(c, &key, NULL);
    }
    if (r == DB_NOT_FOUND && n != sp->held_records)
        return damaged(err, "records");
    return r == DB_NOT_FOUND ? 0 : r;
}

/* A damaged row of seen is left out: what it vouched for is not known any more, which ends the store's
 * continuity. */
static must_check int load_seen(struct spool *sp, struct db_txn *t)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int r = db_cursor_new(t, SPOOL_TABLE_SEEN, &c);

    sp->seen_damaged = false;
    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, &value);
    for (; r == 0 || r == DB_DAMAGED; r = db_cursor_next(c, &key, &value)) {
        struct spool_entry *e = key.len == SEEN_KEY_BYTES ? spool_entry_by_no(sp, load_be32(key.data)) : NULL;
        uint64_t from, to;

        if (r == DB_DAMAGED || e == NULL || e->s.own || key.data[4] >= SPOOL_LANES || value.len != 8) {
            sp->seen_damaged = true;
            continue;
        }
        from = load_be64(key.data + 5);
        to = load_le64(value.data);
        if (from == 0 || from > to) {
            sp->seen_damaged = true;
            continue;
        }
        r = interval_set_add(&e->s.lane[key.data[4]].seen, from, to);
        if (r < 0)
            return r;
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

static must_check int count_account(struct spool *sp, struct db_txn *t)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key;
    int r = db_cursor_new(t, SPOOL_TABLE_ACCOUNT, &c);

    sp->n_account = 0;
    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, NULL);
    for (; r == 0; r = db_cursor_next(c, &key, NULL))
        sp->n_account++;
    return r == DB_NOT_FOUND ? 0 : r;
}

int spool_load(struct spool *sp, struct errmsg *err)
{
    struct db_txn *t;
    int r;

    spool_entries_drop_all(sp);
    /* A transaction of its own: the paused one may be in a caller's hands and show an older state. */
    r = db_begin(sp->db, false, &t);
    if (r == 0) {
        r = load_streams(sp, t, err);
        if (r == 0)
            r = load_records(sp, t, err);
        if (r == 0)
            r = load_seen(sp, t);
        if (r == 0)
            r = count_account(sp, t);
        db_abort(t);
    }
    if (r < 0)
        return errmsg_set(err, r, "cannot read the store: %s", strerror(-r));
    return r;
}

static must_check int delete_seen(struct db_txn *t)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key;
    int r = db_cursor_new(t, SPOOL_TABLE_SEEN, &c);

    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, NULL);
    while (r == 0) {
        r = db_cursor_del(c);
        if (r == 0)
            r = db_cursor_next(c, &key, NULL);
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

int spool_seen_rebuild(struct spool *sp, bool keep)
{
    struct db_txn *t;
    size_t i, j;
    unsigned lane;
    int r = spool_txn(sp, &t);

    if (r == 0)
        r = delete_seen(t);
    for (i = 0; i < sp->n_streams && r == 0; i++) {
        struct spool_stream *s = &sp->streams[i]->s;

        for (lane = 0; lane < SPOOL_LANES && r == 0 && !s->own; lane++) {
            struct spool_lane *l = &s->lane[lane];

            r = keep ? interval_set_unite(&l->seen, &l->held) : interval_set_copy(&l->seen, &l->held);
            for (j = 0; j < l->seen.n && r == 0; j++)
                r = spool_seen_row_put(sp, s->no, lane, l->seen.at[j]);
        }
    }
    return r;
}
