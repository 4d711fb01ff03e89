#include "spool/spool.h"

#include "base/cleanup.h"
#include "spool/spool_private.h"

enum { VALUE_BYTES = 8 + 8 + ID128_BYTES, PREFIX_BYTES = 6 };

static void key_fill(uint8_t key[ACCOUNT_KEY_BYTES], const struct spool_account_row *row, uint64_t from)
{
    store_be32(key, row->stream->no);
    key[4] = (uint8_t)row->lane;
    key[5] = row->reason;
    store_be64(key + PREFIX_BYTES, from);
}

static bool row_parse(struct spool *sp, struct span key, struct span value, struct spool_account_row *ret_row)
{
    struct spool_entry *e;

    if (key.len != ACCOUNT_KEY_BYTES || value.len != VALUE_BYTES || key.data[4] >= SPOOL_LANES)
        return false;
    e = spool_entry_by_no(sp, load_be32(key.data));
    if (e == NULL)
        return false;
    ret_row->stream = &e->s;
    ret_row->lane = key.data[4];
    ret_row->reason = key.data[5];
    ret_row->range = (struct interval){load_be64(key.data + PREFIX_BYTES), load_le64(value.data)};
    ret_row->samples = load_le64(value.data + 8);
    memcpy(ret_row->store.bytes, value.data + 16, ID128_BYTES);
    return ret_row->range.from > 0 && ret_row->range.from <= ret_row->range.to;
}

static must_check int row_put(struct spool *sp, const struct spool_account_row *row)
{
    uint8_t key[ACCOUNT_KEY_BYTES], value[VALUE_BYTES];

    key_fill(key, row, row->range.from);
    store_le64(value, row->range.to);
    store_le64(value + 8, row->samples);
    memcpy(value + 16, row->store.bytes, ID128_BYTES);
    return db_put(sp->txn, SPOOL_TABLE_ACCOUNT, span_of(key, sizeof key), span_of(value, sizeof value));
}

/* The good row that begins at or below `at` (below) or above it, with the same stream, lane and reason. */
static must_check int neighbour(struct spool *sp, const struct spool_account_row *like, uint64_t at,
                                bool below, bool *ret_found, struct spool_account_row *ret_row)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    uint8_t from[ACCOUNT_KEY_BYTES];
    struct span key, value;
    int r = db_cursor_new(sp->txn, SPOOL_TABLE_ACCOUNT, &c);

    if (r != 0)
        return r;
    *ret_found = false;
    key_fill(from, like, at + 1);
    r = db_cursor_seek(c, span_of(from, sizeof from), &key, &value);
    if (below)
        r = r == DB_NOT_FOUND           ? db_cursor_last(c, &key, &value)
            : r == 0 || r == DB_DAMAGED ? db_cursor_prev(c, &key, &value)
                                        : r;
    if (r == DB_NOT_FOUND || r == DB_DAMAGED)
        return 0;
    if (r == 0 && key.len == ACCOUNT_KEY_BYTES && memcmp(key.data, from, PREFIX_BYTES) == 0)
        *ret_found = row_parse(sp, key, value, ret_row);
    return r;
}

/* Puts a piece that no row covers, joined with the rows it touches. */
static must_check int add_piece(struct spool *sp, struct spool_account_row row)
{
    struct spool_account_row other;
    uint8_t key[ACCOUNT_KEY_BYTES];
    bool found;
    int r = neighbour(sp, &row, row.range.from - 1, true, &found, &other);

    if (r != 0)
        return r;
    if (found && other.range.to + 1 == row.range.from && id128_equal(&other.store, &row.store)) {
        row.range.from = other.range.from;
        row.samples += other.samples;
        sp->n_account--; /* the put below replaces it */
    }
    r = neighbour(sp, &row, row.range.to, false, &found, &other);
    if (r != 0)
        return r;
    if (found && other.range.from == row.range.to + 1 && id128_equal(&other.store, &row.store)) {
        row.range.to = other.range.to;
        row.samples += other.samples;
        key_fill(key, &row, other.range.from);
        r = db_del(sp->txn, SPOOL_TABLE_ACCOUNT, span_of(key, sizeof key));
        if (r != 0)
            return r == DB_NOT_FOUND ? -EUCLEAN : r;
        sp->n_account--;
    }
    r = row_put(sp, &row);
    if (r == 0)
        sp->n_account++;
    return r;
}

/* What stands on the account already is stepped over; the samples go with the first piece that does not. */
int spool_account_add(struct spool *sp, const struct spool_account_row *row)
{
    struct spool_account_row piece = *row, other;
    uint64_t at = row->range.from;
    struct db_txn *t;
    bool found;
    int r;

    if (row->lane >= SPOOL_LANES || at == 0 || at > row->range.to || row->range.to > SEQ_COUNT_MAX)
        return -EINVAL;
    r = spool_txn(sp, &t);
    while (r == 0 && at <= row->range.to) {
        r = neighbour(sp, row, at, true, &found, &other);
        if (r != 0)
            return r;
        if (found && other.range.to >= at) {
            at = other.range.to + 1;
            continue;
        }
        r = neighbour(sp, row, at, false, &found, &other);
        if (r != 0)
            return r;
        piece.range.from = at;
        piece.range.to = found && other.range.from <= row->range.to ? other.range.from - 1 : row->range.to;
        at = piece.range.to + 1;
        r = add_piece(sp, piece);
        piece.samples = 0;
    }
    return r;
}

size_t spool_account_rows(const struct spool *sp)
{
    return sp->n_account;
}

int spool_account_take(struct spool *sp, struct spool_account_row *out, size_t max, size_t *ret_n)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    struct db_txn *t;
    size_t n = 0;
    int r = spool_txn(sp, &t), rc;

    if (r == 0)
        r = db_cursor_new(t, SPOOL_TABLE_ACCOUNT, &c);
    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, &value);
    while (n < max && (r == 0 || r == DB_DAMAGED)) {
        if (r == 0 && row_parse(sp, key, value, &out[n]))
            n++;
        rc = db_cursor_del(c);
        if (rc != 0)
            return rc == DB_NOT_FOUND ? -EUCLEAN : rc;
        sp->n_account--;
        r = db_cursor_next(c, &key, &value);
    }
    if (r != 0 && r != DB_NOT_FOUND && r != DB_DAMAGED)
        return r;
    if (r == DB_NOT_FOUND)
        sp->n_account = 0; /* a damaged row that was written over had been counted twice */
    *ret_n = n;
    return 0;
}

int spool_account_each(struct spool *sp, int (*fn)(void *ctx, const struct spool_account_row *row), void *ctx)
{
    struct spool_account_row row;
    struct db_cursor *c = NULL;
    struct span key, value;
    struct db_txn *t;
    int r = spool_view(sp, &t), stop = 0;

    if (r != 0)
        return r;
    r = db_cursor_new(t, SPOOL_TABLE_ACCOUNT, &c);
    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, &value);
    while (stop == 0 && (r == 0 || r == DB_DAMAGED)) {
        if (r == 0 && row_parse(sp, key, value, &row))
            stop = fn(ctx, &row);
        r = db_cursor_next(c, &key, &value);
    }
    db_cursor_free(c); /* before the transaction it belongs to is let go */
    spool_view_done(sp, t);
    if (stop != 0)
        return stop;
    return r == DB_NOT_FOUND || r == DB_DAMAGED ? 0 : r;
}
