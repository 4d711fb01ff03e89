#include "cloud/view_reduced.h"

#include "base/cleanup.h"

#include <errno.h>

/* A Health made just before an epoch began may stand in it and speak of the one before. */
enum { LOOK_BACK_RECORDS = 8 };

static void arena_freep(struct wire_arena **a)
{
    *a = wire_arena_free(*a);
}

static void take(const Fogline__V1__Reductions *r, struct view_reduced *sum)
{
    for (size_t i = 0; i < r->n_reduced; i++) {
        unsigned reason = (unsigned)r->reduced[i]->reason;

        if (reason >= LEDGER_REASONS)
            continue;
        sum->samples[reason] += r->reduced[i]->samples;
        sum->sent_later[reason] += r->reduced[i]->sent_later;
    }
}

/* true: it speaks of its stream's epoch: no record before it says more. */
static bool take_health(struct wire_arena *a, const struct view_stream *s, struct span value,
                        struct view_reduced *sum)
{
    struct spool_record r;
    Fogline__V1__Health *health;
    struct id128 epoch;

    wire_arena_reset(a);
    if (!record_get(value, &r) || wire_health_unpack(a, r.payload, &health) != 0)
        return false;
    if (health->reductions == NULL)
        return true;
    if (!wire_id128(health->reductions->epoch, &epoch) || !id128_equal(&epoch, &s->epoch))
        return false;
    take(health->reductions, sum);
    return true;
}

static bool is_health_of(struct span key, const struct view_stream *s)
{
    struct other_key at;

    return other_key_get(key, &at) && at.device == s->device->no && at.stream == s->no &&
           at.kind == FOGLINE__V1__KIND__KIND_HEALTH;
}

static int read_stream(struct db_cursor *c, struct wire_arena *a, const struct view_stream *s,
                       struct view_reduced *sum)
{
    const struct other_key behind = {s->device->no, FOGLINE__V1__KIND__KIND_HEALTH, s->no + 1, 0};
    struct span key, value;
    struct row_key from;
    int r;

    other_key_put(&from, &behind);
    r = db_cursor_seek(c, row_key_span(&from), &key, &value);
    r = r == DB_NOT_FOUND ? db_cursor_last(c, &key, &value) : r < 0 ? r : db_cursor_prev(c, &key, &value);
    for (unsigned i = 0; i < LOOK_BACK_RECORDS && (r == 0 || r == DB_DAMAGED) && is_health_of(key, s);
         r = db_cursor_prev(c, &key, &value), i++)
        if (r == 0 && take_health(a, s, value, sum))
            return 0;
    return r < 0 ? r : 0;
}

int view_reduced(struct view *v, const struct view_device *d, struct view_reduced *sum)
{
    owned(arena_freep) struct wire_arena *a = NULL;
    struct db_cursor *c = NULL;
    struct db_txn *txn;
    int r = wire_arena_new(&a, WIRE_ARENA_BYTES);

    if (r == 0)
        r = view_txn(v, &txn);
    if (r != 0)
        return r;
    r = db_cursor_new(txn, ARCHIVE_TABLE_OTHERS, &c);
    for (size_t i = 0; i < view_n_streams(v) && r == 0; i++)
        if (view_stream_at(v, i)->device == d)
            r = read_stream(c, a, view_stream_at(v, i), sum);
    db_cursor_free(c);
    view_txn_done(v);
    return r > 0 ? -EIO : r;
}
