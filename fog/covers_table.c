/* The rows of the cover account on disk: looked up, changed, joined. */
#include "base/cleanup.h"
#include "fog/covers_private.h"

#include <errno.h>
#include <string.h>

void covers_tally(struct covers *c, const struct covers_row *r, bool gone)
{
    uint64_t n = covers_row_length(r), needs = r->state == COVERS_STATE_COVERED ? r->n_needs : 0;
    uint64_t refused = covers_row_is_refused(r) ? n : 0;

    c->rows[r->state] += gone ? UINT64_MAX : 1;
    c->seqs[r->state] += gone ? 0 - n : n;
    c->needs += gone ? 0 - needs : needs;
    c->refused_seqs += gone ? 0 - refused : refused;
}

int covers_row_write(struct covers *c, const struct covers_row *r)
{
    struct db_txn *txn;
    struct row_key key;
    int rc = spool_txn(c->options.spool, &txn);

    if (rc != 0)
        return rc;
    covers_key_put(&key, r);
    buf_reset(&c->scratch);
    covers_value_put(&c->scratch, r);
    if (c->scratch.error != 0)
        return c->scratch.error;
    rc = db_put(txn, c->options.table, row_key_span(&key), span_of(c->scratch.data, c->scratch.len));
    if (rc == 0)
        covers_tally(c, r, false);
    return rc;
}

int covers_row_delete(struct covers *c, const struct covers_row *r)
{
    struct db_txn *txn;
    struct row_key key;
    int rc = spool_txn(c->options.spool, &txn);

    covers_key_put(&key, r);
    if (rc == 0)
        rc = db_del(txn, c->options.table, row_key_span(&key));
    if (rc == 0)
        covers_tally(c, r, true);
    return rc == DB_NOT_FOUND ? -EIO : rc;
}

int covers_row_next(struct covers *c, const struct covers_row *at, struct covers_row *ret_r)
{
    owned(db_cursor_freep) struct db_cursor *cursor = NULL;
    struct db_txn *txn;
    struct row_key from;
    struct span key, value;
    int rc = spool_txn(c->options.spool, &txn);

    if (rc == 0)
        rc = db_cursor_new(txn, c->options.table, &cursor);
    if (rc != 0)
        return rc;
    covers_key_put(&from, at);
    for (rc = db_cursor_seek(cursor, row_key_span(&from), &key, &value); rc == 0 || rc == DB_DAMAGED;
         rc = db_cursor_next(cursor, &key, &value)) {
        if (((const uint8_t *)key.data)[0] != at->state)
            return DB_NOT_FOUND;
        if (rc == 0 && covers_row_get(key, value, ret_r))
            return 0;
    }
    return rc;
}

static bool same_lane(const struct covers_row *a, const struct covers_row *b)
{
    return a->state == b->state && a->stream == b->stream && a->lane == b->lane && a->reason == b->reason;
}

/* The last row before `at` of the same state, stream, lane and reason. */
static int row_before(struct covers *c, const struct covers_row *at, struct covers_row *ret_r)
{
    owned(db_cursor_freep) struct db_cursor *cursor = NULL;
    struct db_txn *txn;
    struct row_key from;
    struct span key, value;
    int rc = spool_txn(c->options.spool, &txn);

    if (rc == 0)
        rc = db_cursor_new(txn, c->options.table, &cursor);
    if (rc != 0)
        return rc;
    covers_key_put(&from, at);
    rc = db_cursor_seek(cursor, row_key_span(&from), &key, NULL);
    if (rc == DB_NOT_FOUND)
        rc = db_cursor_last(cursor, &key, &value);
    else if (rc == 0)
        rc = db_cursor_prev(cursor, &key, &value);
    if (rc == DB_DAMAGED || (rc == 0 && (!covers_row_get(key, value, ret_r) || !same_lane(ret_r, at))))
        return DB_NOT_FOUND;
    return rc;
}

int covers_row_at(struct covers *c, const struct covers_row *at, struct covers_row *ret_r)
{
    int rc = row_before(c, at, ret_r);

    if (rc == 0 && ret_r->last >= at->first)
        return 0;
    if (rc == 0 || rc == DB_NOT_FOUND)
        rc = covers_row_next(c, at, ret_r);
    return rc == 0 && !same_lane(ret_r, at) ? DB_NOT_FOUND : rc;
}

static bool join(struct covers_row *a, const struct covers_row *b)
{
    if (!same_lane(a, b) || a->last + 1 != b->first)
        return false;
    if (a->state == COVERS_STATE_WAITING) {
        if (a->parts != b->parts || a->samples != b->samples || a->n_needs != b->n_needs ||
            memcmp(a->needs, b->needs, a->n_needs * sizeof a->needs[0]) != 0)
            return false;
    } else if (a->state != COVERS_STATE_COVERED || !covers_needs_unite(a, b, WIRE_NEEDS_MAX)) {
        return false;
    } else {
        a->samples += b->samples;
    }
    a->last = b->last;
    return true;
}

int covers_row_join(struct covers *c, struct covers_row *r)
{
    struct covers_row other, after = *r;
    int rc = row_before(c, r, &other);

    if (rc == 0) {
        struct covers_row whole = other;

        if (join(&whole, r)) {
            rc = covers_row_delete(c, &other);
            *r = whole;
        }
    }
    if (rc != 0 && rc != DB_NOT_FOUND)
        return rc;
    after.first = r->last + 1;
    rc = covers_row_next(c, &after, &other);
    if (rc == 0 && join(r, &other))
        rc = covers_row_delete(c, &other);
    return rc == 0 || rc == DB_NOT_FOUND ? covers_row_write(c, r) : rc;
}
