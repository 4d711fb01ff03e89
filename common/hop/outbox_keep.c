/* Letting go: settled records, damaged ones, eviction at the quota, and the ledger records that say so. */
#include "hop/maker.h"
#include "hop/outbox_private.h"

enum {
    APPLY_RECORDS_MAX = 16384, /* deleted in one transaction */
    EVICT_CHUNK_RECORDS = 64,
    LEDGER_ROWS_MAX = 256, /* of the account in one ledger record */
};

/* Ends flights of records that are gone and takes them out of what is unsent. */
static int forget_counts(struct outbox *ob, struct stream_out *so, unsigned lane, struct interval range)
{
    struct flight *next;

    for (struct flight *f = so->lane[lane].flights; f != NULL; f = next) {
        next = f->lane_next;
        if (f->from >= range.from && f->to <= range.to)
            outbox_flight_end(ob, f);
    }
    int rc = outbox_unsent_remove(&so->lane[lane], range.from, range.to);

    return rc == 0 ? interval_set_remove(&so->lane[lane].drill, range.from, range.to) : rc;
}

static int account(struct outbox *ob, struct spool_stream *s, unsigned lane,
                   const struct spool_account_row *what)
{
    struct spool_account_row row = *what;

    row.stream = s;
    row.lane = lane;
    return spool_account_add(ob->spool, &row);
}

static int apply_lane(struct outbox *ob, struct stream_out *so, unsigned lane, uint64_t *left)
{
    struct lane_out *lo = &so->lane[lane];
    int rc = 0;

    while (rc == 0 && lo->settled.n > 0 && *left > 0) {
        struct interval range = lo->settled.at[0];
        struct spool_gone gone = {0};

        if (range.to - range.from >= *left)
            range.to = range.from + *left - 1;
        rc = spool_remove(ob->spool, so->stream, lane, range, &gone);
        if (rc == 0)
            rc = forget_counts(ob, so, lane, range);
        if (rc == 0)
            rc = interval_set_remove(&lo->settled, range.from, range.to);
        *left -= range.to - range.from + 1;
        ob->counter[OUTBOX_RECORDS_SETTLED] += gone.n_records;
    }
    while (rc == 0 && lo->corrupt.n > 0) {
        struct interval range = lo->corrupt.at[0];
        struct spool_gone gone = {0};
        struct spool_account_row row = {.reason = FOGLINE__V1__REASON__REASON_CORRUPT, .range = range};

        rc = spool_remove(ob->spool, so->stream, lane, range, &gone);
        row.samples = gone.n_samples;
        /* A damaged copy in a relay explains nothing: the origin still has the record and gives it again. */
        if (rc == 0 && so->stream->own)
            rc = account(ob, so->stream, lane, &row);
        ob->record_was_damaged = true;
        if (rc == 0)
            rc = interval_set_remove(&lo->corrupt, range.from, range.to);
    }
    return rc;
}

static int tell_damage(struct outbox *ob)
{
    if (!ob->record_was_damaged)
        return 0;
    ob->record_was_damaged = false;
    return ob->options.ops.relay_damaged != NULL ? ob->options.ops.relay_damaged(ob->options.ops.ctx) : 0;
}

/* Own streams of former epochs end when nothing of them is left. */
static int forget_empty_epochs(struct outbox *ob)
{
    if (spool_account_rows(ob->spool) > 0)
        return 0;
    for (size_t i = spool_n_streams(ob->spool); i-- > 0;) {
        struct spool_stream *s = spool_stream_at(ob->spool, i);
        int rc;

        if (!s->own || s == spool_own(ob->spool) || s->lane[0].held.n > 0 || s->lane[1].held.n > 0)
            continue;
        outbox_stream_drop(ob, s);
        rc = spool_stream_forget(ob->spool, s);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool same_cover(const struct spool_account_row *a, const struct spool_account_row *b)
{
    return a->stream == b->stream && a->lane == b->lane && a->reason == b->reason &&
           id128_equal(&a->store, &b->store);
}

static size_t fill_covers(const struct spool_account_row *rows, size_t n_rows, Fogline__V1__Cover *covers,
                          uint64_t *bounds)
{
    size_t n = 0;

    for (size_t i = 0; i < n_rows; i++, bounds += 2) {
        Fogline__V1__Cover *c = &covers[n];

        bounds[0] = rows[i].range.from;
        bounds[1] = rows[i].range.to;
        if (i > 0 && same_cover(&rows[i - 1], &rows[i])) {
            covers[n - 1].n_bounds += 2;
            covers[n - 1].samples += rows[i].samples;
            continue;
        }
        fogline__v1__cover__init(c);
        if (!rows[i].stream->own)
            c->origin = rows[i].stream->origin;
        c->epoch = wire_bytes(span_of(rows[i].stream->epoch.bytes, ID128_BYTES));
        c->lane = rows[i].lane;
        c->bounds = bounds;
        c->n_bounds = 2;
        c->reason = (Fogline__V1__Reason)rows[i].reason;
        c->samples = rows[i].samples;
        if (!id128_is_zero(&rows[i].store))
            c->store = wire_bytes(span_of(rows[i].store.bytes, ID128_BYTES));
        n++;
    }
    return n;
}

/* Takes rows off the account into one ledger record of the urgent lane: from then on it is immutable. */
static int cut_ledger(struct outbox *ob, int64_t wall_unix_ns)
{
    owned(buf_deinit) struct buf payload = {0};
    struct spool_account_row rows[LEDGER_ROWS_MAX];
    Fogline__V1__Cover covers[LEDGER_ROWS_MAX], *pointers[LEDGER_ROWS_MAX];
    uint64_t bounds[2 * LEDGER_ROWS_MAX];
    Fogline__V1__Ledger ledger = FOGLINE__V1__LEDGER__INIT;
    size_t n;
    int rc = spool_account_take(ob->spool, rows, LEDGER_ROWS_MAX, &n);

    if (rc != 0 || n == 0)
        return rc;
    ledger.format = WIRE_FORMAT;
    ledger.time_ns = wall_unix_ns;
    ledger.n_covers = fill_covers(rows, n, covers, bounds);
    for (size_t i = 0; i < ledger.n_covers; i++)
        pointers[i] = &covers[i];
    ledger.covers = pointers;
    wire_pack(&payload, &ledger.base);
    if (payload.error != 0)
        return payload.error;
    rc = maker_append(ob->spool, ob, ob->options.keys->tag,
                      &(struct maker_record){.lane = LANE_URGENT,
                                             .kind = FOGLINE__V1__KIND__KIND_LEDGER,
                                             .payload = span_of(payload.data, payload.len)},
                      NULL);
    ob->counter[OUTBOX_LEDGER_RECORDS] += rc == 0;
    for (size_t i = 0; rc == SPOOL_FULL && i < n; i++) {
        int back =
            spool_account_add(ob->spool, &rows[i]); /* no room even in the reserve: the account keeps them */

        if (back != 0)
            return back;
    }
    return rc;
}

static bool ledger_due(const struct outbox *ob)
{
    size_t rows = spool_account_rows(ob->spool);

    return rows > HOP_ACCOUNT_ROWS_MAX || (rows > 0 && ob->phase == OUTBOX_OPEN);
}

bool outbox_wants_apply(const struct outbox *ob)
{
    return ob->settled_waits || ledger_due(ob);
}

bool outbox_more_to_apply(const struct outbox *ob)
{
    return ob->settled_waits;
}

int outbox_apply(struct outbox *ob, int64_t now_ms, int64_t wall_unix_ns)
{
    uint64_t left = APPLY_RECORDS_MAX;
    int rc = 0;

    (void)now_ms;
    for (size_t i = 0; rc == 0 && i < spool_n_streams(ob->spool); i++) {
        struct stream_out *so = spool_stream_at(ob->spool, i)->lower_state;

        for (unsigned l = 0; so != NULL && rc == 0 && l < LANE_COUNT; l++)
            rc = apply_lane(ob, so, l, &left);
    }
    if (rc == 0 && left > 0)
        ob->settled_waits = false;
    if (rc == 0)
        rc = tell_damage(ob);
    if (rc == 0)
        rc = forget_empty_epochs(ob);
    if (rc == 0 && ledger_due(ob)) {
        rc = cut_ledger(ob, wall_unix_ns);
        rc = rc == SPOOL_FULL ? 0 : rc;
    }
    return rc == DB_FULL ? 0 : rc; /* the transaction is lost, and the commit says so */
}

/* ---- eviction ---- */

/* The lowest run from `low` on, of at most a chunk, that is held and is (not) stored. */
static bool next_victims(const struct stream_out *so, unsigned lane, bool stored, uint64_t low,
                         struct interval *ret)
{
    const struct interval_set *held = &so->stream->lane[lane].held;

    for (size_t i = interval_set_find(held, low); i < held->n; i++) {
        uint64_t at = held->at[i].from > low ? held->at[i].from : low, end = held->at[i].to;

        if (stored) {
            if (!interval_set_next(&so->lane[lane].stored, at, &at) || at > end)
                continue;
        } else {
            at = interval_set_next_missing(&so->lane[lane].stored, at);
            if (at > end)
                continue;
        }
        ret->from = at;
        for (ret->to = at; ret->to < end && ret->to - at + 1 < EVICT_CHUNK_RECORDS &&
                           interval_set_has(&so->lane[lane].stored, ret->to + 1) == stored;
             ret->to++)
            ;
        return true;
    }
    return false;
}

/* Ledger records and what carries covers are never evicted: cuts the range before the first one; *ret_some
 * false when it begins with one. */
static int spare_covers(struct outbox *ob, const struct spool_stream *s, unsigned lane,
                        struct interval *range, bool *ret_some)
{
    for (uint64_t c = range->from; c <= range->to; c++) {
        struct spool_record r;
        int rc = spool_get(ob->spool, s, seq_make(lane, c), &r);

        if (rc < 0)
            return rc;
        if (rc != 0 || (r.kind != FOGLINE__V1__KIND__KIND_LEDGER && (r.flags & MAKER_FLAG_COVERS) == 0))
            continue;
        *ret_some = c > range->from;
        range->to = c - 1;
        return 0;
    }
    *ret_some = true;
    return 0;
}

static int evict(struct outbox *ob, struct stream_out *so, unsigned lane, bool stored, struct interval range)
{
    struct spool_gone gone = {0};
    struct spool_account_row row = {.reason = stored ? FOGLINE__V1__REASON__REASON_EVICTED_STORED
                                                     : FOGLINE__V1__REASON__REASON_EVICTED,
                                    .range = range};
    int rc = spool_remove(ob->spool, so->stream, lane, range, &gone);

    row.samples = gone.n_samples;
    if (stored)
        row.store = ob->peer_store;
    if (rc == 0)
        rc = account(ob, so->stream, lane, &row);
    if (rc == 0)
        rc = forget_counts(ob, so, lane, range);
    ob->counter[OUTBOX_RECORDS_EVICTED] += gone.n_records;
    ob->counter[OUTBOX_SAMPLES_EVICTED] += gone.n_samples;
    return rc;
}

static bool fits(const struct outbox *ob, uint64_t bytes)
{
    return spool_held_bytes(ob->spool) + bytes <= spool_quota_bytes(ob->spool);
}

static int evict_lane(struct outbox *ob, struct stream_out *so, unsigned lane, uint64_t bytes)
{
    /* In the ordinary lane only a relay has what is to be spared. */
    bool spare = lane == LANE_URGENT || ob->options.ops.asks != NULL;

    for (int stored = 1; stored >= 0; stored--) {
        struct interval range;
        uint64_t low = 1;

        while (!fits(ob, bytes) && next_victims(so, lane, stored != 0, low, &range)) {
            bool some = true;
            int rc = spare ? spare_covers(ob, so->stream, lane, &range, &some) : 0;

            if (rc == 0 && some)
                rc = evict(ob, so, lane, stored != 0, range);
            if (rc != 0)
                return rc;
            low = some ? range.to + 1 : range.from + 1;
        }
    }
    return 0;
}

int outbox_make_room(struct outbox *ob, uint64_t bytes)
{
    struct db_txn *txn;
    int rc;

    if (fits(ob, bytes))
        return 0;
    rc = spool_txn(ob->spool, &txn); /* what is to be spared is read in it */
    if (rc != 0)
        return rc;
    if (ob->settled_waits) {
        uint64_t left = APPLY_RECORDS_MAX;
        for (size_t i = 0; rc == 0 && i < spool_n_streams(ob->spool); i++) {
            struct stream_out *so = spool_stream_at(ob->spool, i)->lower_state;
            for (unsigned l = 0; so != NULL && rc == 0 && l < LANE_COUNT; l++)
                rc = apply_lane(ob, so, l, &left);
        }
        if (rc == 0)
            rc = tell_damage(ob);
    }
    for (unsigned l = 0; rc == 0 && l < LANE_COUNT; l++)
        for (size_t i = 0; rc == 0 && i < spool_n_streams(ob->spool) && !fits(ob, bytes); i++) {
            struct spool_stream *s = spool_stream_at(ob->spool, i);
            struct stream_out *so;

            if (!s->own)
                continue;
            rc = outbox_stream_out(ob, s, &so);
            if (rc == 0)
                rc = evict_lane(ob, so, l, bytes);
        }
    if (rc < 0)
        return rc;
    return rc == 0 && fits(ob, bytes) ? 0 : SPOOL_FULL;
}
