/* Cutting ledger records from the open cover account. */
#include "base/cleanup.h"
#include "fog/covers_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CUT_ROWS_MAX = 512, CUT_BYTES_MAX = 56 * 1024, CUT_RECORDS_MAX = 16 };

/* A ledger record in the making. */
struct cut {
    Fogline__V1__Cover covers[CUT_ROWS_MAX], *pointers[CUT_ROWS_MAX];
    uint64_t bounds[2 * CUT_ROWS_MAX];
    uint64_t needs[CUT_ROWS_MAX][WIRE_NEEDS_MAX];
    struct {
        uint64_t first;
        uint32_t stream;
        uint8_t lane, reason;
    } rows[CUT_ROWS_MAX];
    struct covers_row row, open; /* open: what the last cover says so far */
    size_t n_covers, n_rows, bytes;
};

static bool same_cover(const struct covers_row *a, const struct covers_row *b)
{
    return a->stream == b->stream && a->lane == b->lane && a->reason == b->reason;
}

/* The next row, with the needs that are still needed; those that need too many as yet are passed over. */
static int next_row(struct covers *c, struct covers_row *at, struct covers_row *ret_r)
{
    int rc;

    while ((rc = covers_row_next(c, at, ret_r)) == 0) {
        *at = *ret_r;
        at->first = ret_r->last + 1;
        if (ret_r->n_needs <= WIRE_NEEDS_MAX)
            return 0;
        covers_needs_prune(c, ret_r);
        if (ret_r->n_needs <= WIRE_NEEDS_MAX)
            return 0;
    }
    return rc;
}

static void add_row(struct cut *cut, struct spool_stream *s)
{
    const struct covers_row *r = &cut->row;
    Fogline__V1__Cover *v = cut->n_covers > 0 ? &cut->covers[cut->n_covers - 1] : NULL;

    cut->rows[cut->n_rows].first = r->first;
    cut->rows[cut->n_rows].stream = r->stream;
    cut->rows[cut->n_rows].lane = (uint8_t)r->lane;
    cut->rows[cut->n_rows].reason = r->reason;
    cut->bounds[2 * cut->n_rows] = r->first;
    cut->bounds[2 * cut->n_rows + 1] = r->last;
    cut->bytes += 20;
    if (v != NULL && same_cover(&cut->open, r) && covers_needs_unite(&cut->open, r, WIRE_NEEDS_MAX)) {
        v->n_bounds += 2;
        v->samples += r->samples;
    } else {
        v = &cut->covers[cut->n_covers];
        fogline__v1__cover__init(v);
        v->origin = s->origin;
        v->epoch = wire_bytes(span_of(s->epoch.bytes, ID128_BYTES));
        v->lane = r->lane;
        v->reason = (Fogline__V1__Reason)r->reason;
        v->bounds = &cut->bounds[2 * cut->n_rows];
        v->n_bounds = 2;
        v->samples = r->samples;
        cut->open = *r;
        cut->bytes += 128;
        cut->pointers[cut->n_covers++] = v;
    }
    v->n_needs = cut->open.n_needs;
    v->needs = cut->needs[cut->n_covers - 1];
    memcpy(v->needs, cut->open.needs, v->n_needs * sizeof v->needs[0]);
    cut->bytes += 10 * r->n_needs;
    cut->n_rows++;
}

static int gather(struct covers *c, struct cut *cut)
{
    struct covers_row at = {.state = COVERS_STATE_COVERED};
    int rc = 0;

    while (cut->n_rows < CUT_ROWS_MAX && cut->bytes < CUT_BYTES_MAX &&
           (rc = next_row(c, &at, &cut->row)) == 0) {
        struct spool_stream *s = covers_stream(c, cut->row.stream);

        if (s == NULL) { /* forgotten, and covers_forget was not told: nobody waits for it */
            rc = covers_row_delete(c, &cut->row);
            if (rc != 0)
                return rc;
            continue;
        }
        add_row(cut, s);
    }
    return rc == DB_NOT_FOUND ? 0 : rc;
}

/* The rows that this ledger record names, by their keys: making it may have settled needs of others, which
 * then look as if they had been among them. */
static int move_said(struct covers *c, struct cut *cut, uint64_t ledger)
{
    struct covers_row *row = &cut->row;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cut->n_rows; i++) {
        struct covers_row at = {.state = COVERS_STATE_COVERED,
                                .stream = cut->rows[i].stream,
                                .lane = cut->rows[i].lane,
                                .reason = cut->rows[i].reason,
                                .first = cut->rows[i].first};

        rc = covers_row_next(c, &at, row);
        if (rc == 0)
            rc = covers_row_delete(c, row);
        row->state = COVERS_STATE_SAID;
        row->ledger = ledger;
        if (row->n_needs > WIRE_NEEDS_MAX)
            covers_needs_prune(c, row);
        if (rc == 0)
            rc = covers_row_write(c, row);
    }
    return rc == DB_NOT_FOUND ? -EIO : rc;
}

/* 0; SPOOL_FULL: no room, or nothing to cut; negative errno. */
static int cut_one(struct covers *c)
{
    owned(buf_deinit) struct buf payload = {0};
    owned(free_ptr) struct cut *cut = calloc(1, sizeof *cut);
    Fogline__V1__Ledger ledger = FOGLINE__V1__LEDGER__INIT;
    uint64_t seq;
    int rc;

    if (cut == NULL)
        return -ENOMEM;
    rc = gather(c, cut);
    if (rc != 0 || cut->n_rows == 0)
        return rc != 0 ? rc : SPOOL_FULL;
    ledger.format = WIRE_FORMAT;
    ledger.time_ns = clock_wall_unix_ns(&c->options.clock);
    ledger.n_covers = cut->n_covers;
    ledger.covers = cut->pointers;
    wire_pack(&payload, &ledger.base);
    if (payload.error != 0)
        return payload.error;
    rc = c->options.make(c->options.ctx, span_of(payload.data, payload.len), &seq);
    c->counters[COVERS_NO_ROOM] += rc == SPOOL_FULL;
    if (rc != 0)
        return rc;
    c->counters[COVERS_LEDGER_RECORDS]++;
    return move_said(c, cut, seq);
}

static bool is_due(const struct covers *c, int64_t now_ms)
{
    if (c->rows[COVERS_STATE_COVERED] > COVERS_CUT_ROWS)
        return true;
    return c->is_link_open && c->rows[COVERS_STATE_COVERED] > 0 &&
           (c->seqs[COVERS_STATE_COVERED] >= COVERS_CUT_SEQS || c->needs >= COVERS_CUT_NEEDS ||
            (c->covered_since_ms >= 0 && now_ms - c->covered_since_ms >= COVERS_CUT_AFTER_MS));
}

bool covers_wants_flush(const struct covers *c, int64_t now_ms)
{
    return !covers_is_this_life(c) || c->n_marks > 0 || is_due(c, now_ms) ||
           (c->rows[COVERS_STATE_COVERED] > 0 && c->covered_since_ms < 0) ||
           (c->refused_seqs > 0 && now_ms >= c->again_at_ms);
}

void covers_link(struct covers *c, bool is_open)
{
    c->is_link_open = is_open;
}

int covers_flush(struct covers *c, int64_t now_ms, bool force)
{
    struct db_txn *txn;
    int rc = 0;

    if (covers_wants_flush(c, now_ms) || force)
        rc = covers_begin(c, &txn);
    if (rc == 0)
        rc = covers_apply_marks(c, now_ms);
    if (rc == 0)
        rc = covers_say_again(c, now_ms);
    for (unsigned i = 0; rc == 0 && (force || i < CUT_RECORDS_MAX); i++) {
        if (!is_due(c, now_ms) && !(force && c->rows[COVERS_STATE_COVERED] > 0))
            break;
        rc = cut_one(c);
    }
    if (c->rows[COVERS_STATE_COVERED] == 0)
        c->covered_since_ms = -1;
    else if (rc == SPOOL_FULL || c->covered_since_ms < 0) /* no room: once more after a while */
        c->covered_since_ms = now_ms;
    return rc == SPOOL_FULL ? 0 : rc;
}
