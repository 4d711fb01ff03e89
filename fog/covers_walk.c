#include "fog/covers_walk.h"

#include "fog/history.h"

#include <errno.h>
#include <stdlib.h>

enum { SLICE_ROWS = 4096 }; /* of one transaction */

void covers_tally_add(struct covers_tally *to, const struct covers_tally *t)
{
    if (t == NULL)
        return;
    to->waiting += t->waiting;
    to->covered += t->covered;
    to->said += t->said;
    to->refused += t->refused;
}

void covers_tallies_deinit(struct covers_tallies *t)
{
    free(t->at);
    *t = (struct covers_tallies){0};
}

const struct covers_tally *covers_tally_of(const struct covers_tallies *t, uint32_t stream)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->at[i].stream == stream)
            return &t->at[i];
    return NULL;
}

static int tally(struct covers_tallies *t, const struct covers_row *r)
{
    uint64_t n = r->last - r->first + 1;
    struct covers_tally *at = (struct covers_tally *)covers_tally_of(t, r->stream);

    if (at == NULL) {
        at = reallocarray(t->at, t->n + 1, sizeof *at);
        if (at == NULL)
            return -ENOMEM;
        t->at = at;
        at = &t->at[t->n++];
        *at = (struct covers_tally){.stream = r->stream};
    }
    at->waiting += r->state == COVERS_STATE_WAITING ? n : 0;
    at->covered += r->state == COVERS_STATE_COVERED ? n : 0;
    at->said += r->state == COVERS_STATE_SAID ? n : 0;
    at->refused += r->asked >= COVERS_ASKED_MAX ? n : 0;
    return 0;
}

/* Rows from `from` on, as many as a transaction may take its time for. fn 0: go on. *ret_more with the key
 * of the next one. */
static int slice(struct db *db, struct row_key *from, bool *ret_more,
                 int (*fn)(void *ctx, const struct covers_row *row), void *ctx)
{
    struct db_cursor *c = NULL;
    struct span key, value;
    struct covers_row row;
    struct db_txn *txn;
    unsigned n = 0;
    int end = 0, r = db_begin(db, false, &txn);

    *ret_more = false;
    if (r != 0)
        return r > 0 ? -EIO : r;
    r = db_cursor_new(txn, FOG_TABLE_COVERS, &c);
    if (r == 0)
        for (r = db_cursor_seek(c, row_key_span(from), &key, &value); r == 0 || r == DB_DAMAGED;
             r = db_cursor_next(c, &key, &value)) {
            if (n++ == SLICE_ROWS && key.len <= sizeof from->bytes) {
                memcpy(from->bytes, key.data, key.len);
                from->len = key.len;
                *ret_more = true;
                r = 0;
                break;
            }
            end = r == 0 && covers_row_get(key, value, &row) ? fn(ctx, &row) : 0;
            if (end != 0)
                break;
        }
    db_cursor_free(c);
    db_abort(txn);
    return r < 0 ? r : end;
}

static int walk(struct db *db, int (*fn)(void *ctx, const struct covers_row *row), void *ctx)
{
    struct row_key from = {.len = 0};
    bool more = true;
    int r = 0;

    while (r == 0 && more)
        r = slice(db, &from, &more, fn, ctx);
    return r;
}

static int on_tally(void *ctx, const struct covers_row *row)
{
    return tally(ctx, row);
}

int covers_tallies_read(struct db *db, struct covers_tallies *t)
{
    return walk(db, on_tally, t);
}

struct finding {
    uint32_t stream;
    unsigned lane;
    uint64_t count;
    int (*fn)(void *ctx, const struct covers_row *row);
    void *ctx;
};

static int on_find(void *ctx, const struct covers_row *row)
{
    const struct finding *f = ctx;

    if (row->stream != f->stream || row->lane != f->lane || row->first > f->count || row->last < f->count)
        return 0;
    return f->fn(f->ctx, row);
}

int covers_find(struct db *db, uint32_t stream, unsigned lane, uint64_t count,
                int (*fn)(void *ctx, const struct covers_row *row), void *ctx)
{
    struct finding f = {stream, lane, count, fn, ctx};

    return walk(db, on_find, &f);
}
