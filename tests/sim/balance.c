/* The cloud's own balance of every stream at the end, from its rows, against the books of the test. */
#include "base/cleanup.h"
#include "cloud/ledger.h"
#include "world.h"

#include <inttypes.h>

static bool report_of(struct node *cloud, uint32_t stream, unsigned lane, struct report_row *ret_row)
{
    struct row_key key;
    struct db_txn *txn;
    struct span value;
    bool found;

    report_key_put(&key, stream, lane, "");
    if (spool_read(cloud->sp, &txn) != 0)
        return false;
    found = db_get(txn, CLOUD_TABLE_REPORTS, row_key_span(&key), &value) == 0 &&
            report_get(row_key_span(&key), value, ret_row);
    spool_read_done(cloud->sp);
    return found;
}

static uint64_t archived_by_books(const struct book *b, unsigned lane)
{
    uint64_t n = 0;

    for (uint64_t c = 1; c < b->n[lane]; c++)
        n += b->at[lane][c].archived;
    return n;
}

static bool any_lost(const struct book *b, unsigned lane)
{
    for (uint64_t c = 1; c < b->n[lane]; c++)
        if (b->at[lane][c].lost)
            return true;
    return false;
}

static void check_lane(struct world *w, struct node *cloud, struct spool_stream *s, unsigned lane,
                       const struct book *b)
{
    owned(interval_set_deinit) struct interval_set held = {0};
    const struct interval_set *explained = account_explained(intake_account(cloud->intake), s, lane);
    struct ledger_cover cover = {
        .reason = FOGLINE__V1__REASON__REASON_MERGED, .at = explained->at, .n = explained->n};
    struct ledger_lane in = {.archived = &s->lane[lane].seen, .covers = &cover, .n_covers = explained->n > 0};
    struct ledger_balance out = {0};
    struct report_row r;

    if (!report_of(cloud, s->no, lane, &r))
        return;
    for (uint32_t i = 0; i + 1 < r.n_bounds; i += 2)
        if (interval_set_add(&held, r.bounds[i], r.bounds[i + 1]) != 0)
            abort();
    in.next = r.next;
    in.held_count = r.held_count;
    in.held = &held;
    in.held_cut = r.held_cut;
    in.lost = r.unlisted;
    if (ledger_lane_balance(&in, &out) != 0)
        abort();
    if (out.records.archived != archived_by_books(b, lane))
        violate(w, "the balance of %s lane %u has %" PRIu64 " archived, the books %" PRIu64, s->origin, lane,
                out.records.archived, archived_by_books(b, lane));
    /* What is not accounted for can only be what went with a disk. */
    if ((out.records.unexplained > 0 || out.records.by_reason[FOGLINE__V1__REASON__REASON_LOST_SPOOL] > 0) &&
        !any_lost(b, lane))
        violate(w,
                "the balance of %s lane %u: %" PRIu64 " unexplained, %" PRIu64
                " said to be lost, and none was",
                s->origin, lane, out.records.unexplained,
                out.records.by_reason[FOGLINE__V1__REASON__REASON_LOST_SPOOL]);
    if (out.records.produced !=
        out.records.archived + out.records.held + out.records.explained + out.records.unexplained)
        violate(w, "the balance of %s lane %u does not add up", s->origin, lane);
    ledger_balance_deinit(&out);
}

void balance_check(struct world *w)
{
    struct node *cloud = &w->node[w->n_nodes - 1];

    for (size_t i = 0; i < spool_n_streams(cloud->sp) && !w->stopped; i++) {
        struct spool_stream *s = spool_stream_at(cloud->sp, i);
        const struct node *origin = world_find(w, s->origin);
        const struct book *b;

        if (s->own || origin->role != ROLE_DEVICE || origin->dead)
            continue;
        b = oracle_book(w, origin->no, &s->epoch, false);
        for (unsigned l = 0; b != NULL && l < LANE_COUNT; l++)
            check_lane(w, cloud, s, l, b);
    }
}
