#include "cloud/view_ledger.h"

#include "archive/archive.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cloud/account.h"
#include "cloud/account_rows.h"

#include <errno.h>
#include <stdlib.h>

/* One cover with its own copy of the intervals. */
struct gathered {
    struct ledger_cover cover;
    struct interval *at;
};

struct lane_facts {
    struct interval_set archived, held, relays;
    struct gathered *covers;
    size_t n_covers, alloc_covers;
    bool reported;
    struct report_row report;
};

static void facts_deinit(struct lane_facts *f)
{
    for (size_t i = 0; i < f->n_covers; i++)
        free(f->covers[i].at);
    free(f->covers);
    interval_set_deinit(&f->archived);
    interval_set_deinit(&f->held);
    interval_set_deinit(&f->relays);
}

static void facts_clear(struct lane_facts *f)
{
    for (size_t i = 0; i < f->n_covers; i++)
        free(f->covers[i].at);
    f->n_covers = 0;
    f->reported = false;
    interval_set_clear(&f->archived);
    interval_set_clear(&f->held);
    interval_set_clear(&f->relays);
}

struct gather {
    struct view *v;
    struct db_txn *txn;
    uint64_t life;            /* archive_life */
    struct totals_row totals; /* of the same moment as the rest */
    struct lane_facts lane[SPOOL_LANES];
};

/* Is record (stream, seq) in the seen rows? */
static int seen_has(struct db_txn *txn, uint32_t stream, uint64_t seq, bool *ret_has)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct row_key at;
    struct span key, value;
    struct interval in;
    uint32_t row_stream;
    unsigned row_lane;
    int r = db_cursor_new(txn, SPOOL_TABLE_SEEN, &c);

    *ret_has = false;
    if (r != 0)
        return r;
    seen_key_put(&at, stream, seq_lane(seq), seq_count(seq) + 1);
    r = db_cursor_seek(c, row_key_span(&at), &key, &value);
    r = r == DB_NOT_FOUND ? db_cursor_last(c, &key, &value) : r < 0 ? r : db_cursor_prev(c, &key, &value);
    if (r == 0)
        *ret_has = seen_get(key, value, &row_stream, &row_lane, &in) && row_stream == stream &&
                   row_lane == seq_lane(seq) && in.from <= seq_count(seq) && seq_count(seq) <= in.to;
    return r < 0 ? r : 0;
}

static int in_force(struct db_txn *txn, const struct cover_row *row, bool *ret_yes)
{
    int r = 0;

    *ret_yes = row->allowed;
    for (uint32_t i = 0; i < row->n_needs && *ret_yes && r == 0; i++)
        r = seen_has(txn, row->carrier, cover_need(row, i), ret_yes);
    return r;
}

static int add_cover(struct gather *g, const struct cover_row *row)
{
    struct lane_facts *f = &g->lane[row->lane];
    struct gathered *c;
    size_t n = row->n_bounds / 2;

    if (f->n_covers == f->alloc_covers) {
        size_t alloc = f->alloc_covers == 0 ? 16 : f->alloc_covers * 2;
        struct gathered *at = reallocarray(f->covers, alloc, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        f->covers = at;
        f->alloc_covers = alloc;
    }
    c = &f->covers[f->n_covers];
    c->at = calloc(n + 1, sizeof *c->at);
    if (c->at == NULL)
        return -ENOMEM;
    f->n_covers++;
    c->cover = (struct ledger_cover){.carrier = row->carrier,
                                     .carrier_seq = row->carrier_seq,
                                     .index = row->index,
                                     .reason = row->reason,
                                     .at = c->at,
                                     .samples = row->samples};
    for (size_t i = 0; i < n; i++) {
        c->at[c->cover.n] = cover_interval(row, i);
        c->cover.n += c->at[c->cover.n].from >= 1 && c->at[c->cover.n].from <= c->at[c->cover.n].to;
    }
    return 0;
}

static int take_seen(struct gather *g, struct span key, struct span value)
{
    struct interval in;
    uint32_t stream;
    unsigned lane;

    if (!seen_get(key, value, &stream, &lane, &in))
        return 0;
    return interval_set_add(&g->lane[lane].archived, in.from, in.to);
}

static int take_cover(struct gather *g, struct span key, struct span value)
{
    struct cover_row row;
    bool yes;
    int r;

    if (!cover_get(key, value, &row))
        return 0;
    r = in_force(g->txn, &row, &yes);
    return r != 0 || !yes ? r : add_cover(g, &row);
}

static int take_report(struct gather *g, struct span key, struct span value)
{
    struct report_row row;
    struct interval_set *held;
    int r = 0;

    if (!report_get(key, value, &row))
        return 0;
    held = row.relay[0] == 0 ? &g->lane[row.lane].held : &g->lane[row.lane].relays;
    for (uint32_t i = 0; i + 1 < row.n_bounds && r == 0; i += 2)
        if (row.bounds[i] <= row.bounds[i + 1])
            r = interval_set_add(held, row.bounds[i], row.bounds[i + 1]);
    if (row.relay[0] == 0) {
        g->lane[row.lane].report = row;
        g->lane[row.lane].reported = true;
    }
    return r;
}

/* Every row of a table that begins with the stream's number. */
static int each_of_stream(struct gather *g, unsigned table, uint32_t stream,
                          int (*take)(struct gather *g, struct span key, struct span value))
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct row_key prefix;
    struct span key, value;
    int r = db_cursor_new(g->txn, table, &c);

    if (r != 0)
        return r;
    prefix_put(&prefix, stream);
    for (r = db_cursor_seek(c, row_key_span(&prefix), &key, &value); r == 0 || r == DB_DAMAGED;
         r = db_cursor_next(c, &key, &value)) {
        int e;

        if (!key_begins(key, &prefix))
            return 0;
        e = r == 0 ? take(g, key, value) : 0;
        if (e != 0)
            return e;
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

static int take_totals(struct gather *g, struct span key, struct span value)
{
    return totals_get(key, value, &g->totals) ? 0 : -EIO;
}

static int gather_stream(struct gather *g, uint32_t stream)
{
    int r;

    g->totals = (struct totals_row){0};
    for (unsigned l = 0; l < SPOOL_LANES; l++)
        facts_clear(&g->lane[l]);
    r = view_txn(g->v, &g->txn);
    if (r != 0)
        return r;
    r = each_of_stream(g, SPOOL_TABLE_SEEN, stream, take_seen);
    if (r == 0)
        r = each_of_stream(g, ARCHIVE_TABLE_TOTALS, stream, take_totals);
    if (r == 0)
        r = each_of_stream(g, CLOUD_TABLE_EXPLAINED, stream, take_cover);
    if (r == 0)
        r = each_of_stream(g, CLOUD_TABLE_REPORTS, stream, take_report);
    view_txn_done(g->v);
    return r > 0 ? -EIO : r;
}

static int gather_life(struct gather *g)
{
    struct span id, restored;
    int r = view_txn(g->v, &g->txn);

    if (r != 0)
        return r;
    r = db_get(g->txn, SPOOL_TABLE_META, span_str(ARCHIVE_ID_FACT), &id);
    if (r == 0)
        r = db_get(g->txn, SPOOL_TABLE_META, span_str(ARCHIVE_RESTORED_FACT), &restored);
    g->life = r == 0 ? archive_life_of(id, restored) : 0;
    view_txn_done(g->v);
    return r < 0 ? r : 0;
}

/* Newest report of any epoch of a device. */
static int newest_report(struct gather *g, const struct view_device *d, int64_t *ret_unix_ns)
{
    int64_t newest = 0;
    int r = 0;

    for (size_t i = 0; i < view_n_streams(g->v) && r == 0; i++) {
        const struct view_stream *s = view_stream_at(g->v, i);

        if (s->device != d)
            continue;
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            facts_clear(&g->lane[l]);
        r = view_txn(g->v, &g->txn);
        if (r == 0)
            r = each_of_stream(g, CLOUD_TABLE_REPORTS, s->no, take_report);
        view_txn_done(g->v);
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            if (g->lane[l].reported && g->lane[l].report.wall_unix_ns > newest)
                newest = g->lane[l].report.wall_unix_ns;
    }
    *ret_unix_ns = newest;
    return r > 0 ? -EIO : r;
}

static int balance_lane(const struct lane_facts *f, uint64_t life, uint64_t archived_samples, bool dead,
                        struct ledger_balance *b)
{
    owned(free_ptr) struct ledger_cover *covers = calloc(f->n_covers + 1, sizeof *covers);
    struct ledger_lane in = {.archived = &f->archived,
                             .archived_samples = archived_samples,
                             .n_covers = f->n_covers,
                             .held = &f->held,
                             .held_by_relays = &f->relays,
                             .lost = dead};

    if (covers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < f->n_covers; i++)
        covers[i] = f->covers[i].cover;
    in.covers = covers;
    if (f->reported) {
        in.next = f->report.next;
        in.held_count = f->report.held_count;
        in.held_cut = f->report.held_cut;
        in.produced_samples = f->report.samples_produced;
        in.held_samples = f->report.samples_held;
        in.lost_below = life != 0 && f->report.life == life ? f->report.lost_below : 0;
        in.lost_with_archive = life != 0 && f->report.life != life;
    }
    return ledger_lane_balance(&in, b);
}

static bool is_dead(const struct lane_facts *f, int64_t newest)
{
    return f->reported && (f->report.unlisted ||
                           newest - f->report.wall_unix_ns >= (int64_t)ACCOUNT_DEAD_AFTER_MS * NS_PER_MS);
}

struct told {
    view_lane_fn fn;
    void *ctx;
    struct ledger_balance *sum;
};

static int balance_stream(struct gather *g, const struct view_stream *s, int64_t newest, const struct told *t)
{
    struct ledger_balance b = {0};
    int r = gather_stream(g, s->no);

    for (unsigned l = 0; l < SPOOL_LANES && r == 0; l++) {
        const struct lane_facts *f = &g->lane[l];
        struct view_lane_balance told = {.stream = s, .lane = l, .balance = &b, .dead = is_dead(f, newest)};

        r = balance_lane(f, g->life, g->totals.lane[l].samples, told.dead, &b);
        if (r < 0)
            break;
        told.reported_unix_ns = f->reported ? f->report.wall_unix_ns : 0;
        if (t->sum != NULL)
            ledger_add(t->sum, &b);
        r = t->fn != NULL ? t->fn(t->ctx, &told) : 0;
    }
    ledger_balance_deinit(&b);
    return r;
}

static int balance_device(struct gather *g, const struct view_device *d, const struct told *t)
{
    int64_t newest;
    int r = newest_report(g, d, &newest);

    for (size_t i = 0; i < view_n_streams(g->v) && r == 0; i++)
        if (view_stream_at(g->v, i)->device == d)
            r = balance_stream(g, view_stream_at(g->v, i), newest, t);
    return r;
}

int view_balance(struct view *v, const struct view_device *d, view_lane_fn fn, void *ctx,
                 struct ledger_balance *sum)
{
    struct gather g = {.v = v};
    struct told t = {.fn = fn, .ctx = ctx, .sum = sum};
    int r = 0;

    if (sum != NULL)
        *sum = (struct ledger_balance){0};
    r = gather_life(&g);
    if (d != NULL && r == 0)
        r = balance_device(&g, d, &t);
    for (size_t i = 0; d == NULL && i < view_n_devices(v) && r == 0; i++)
        r = balance_device(&g, view_device_at(v, i), &t);
    for (unsigned l = 0; l < SPOOL_LANES; l++)
        facts_deinit(&g.lane[l]);
    return r;
}
