/* The fog: relays raw, or folds readings into aggregates, or filters; always as the hop protocol says. */
#include "base/cleanup.h"
#include "world.h"

#include <inttypes.h>

enum { FOLD_AGE_MS = 3000, ITEM_BYTES = 1 + ID128_BYTES + 1 + 8 + 8 };
#define FACT_FOLD "fold"

/* ---- fold state: a fact in the transaction of the batch ---- */

void fog_fold_load(struct node *n)
{
    owned(buf_deinit) struct buf value = {0};
    struct reader r;
    int rc = spool_fact_get(n->sp, FACT_FOLD, &value);

    n->n_fold = 0;
    n->fold_dirty = false;
    n->fold_since_ms = n->w->now_ms;
    if (rc == DB_NOT_FOUND)
        return;
    fatal(n, "fold state", rc);
    for (r = reader_of(span_of(value.data, value.len));
         reader_left(&r) >= ITEM_BYTES && n->n_fold < FOLD_MAX;) {
        struct fold_item *i = &n->fold[n->n_fold++];

        i->device = reader_u8(&r);
        memcpy(i->epoch.bytes, reader_take(&r, ID128_BYTES), ID128_BYTES);
        i->lane = reader_u8(&r);
        i->count = reader_le64(&r);
        i->value = reader_le64(&r);
    }
}

static int fold_save(struct node *n)
{
    owned(buf_deinit) struct buf value = {0};

    for (unsigned i = 0; i < n->n_fold; i++) {
        buf_u8(&value, (uint8_t)n->fold[i].device);
        buf_append(&value, n->fold[i].epoch.bytes, ID128_BYTES);
        buf_u8(&value, (uint8_t)n->fold[i].lane);
        buf_le64(&value, n->fold[i].count);
        buf_le64(&value, n->fold[i].value);
    }
    n->fold_dirty = false;
    return spool_fact_put(n->sp, FACT_FOLD, span_of(value.data, value.len));
}

/* One aggregate of the open window; its covers ride in the same record. 0, or SPOOL_FULL: the window stays
 * open. */
static int fold_emit(struct node *n)
{
    owned(buf_deinit) struct buf payload = {0}, covers = {0};
    bool together = rule_on(n->w, HOP_RULE_COVERS_TOGETHER);
    struct maker_record r = {
        .lane = LANE_ORDINARY, .kind = FOGLINE__V1__KIND__KIND_BLOCK, .samples = 1, .carries_covers = true};
    int rc;

    payload_aggregate(&payload, n->fold, n->n_fold, n->w, together);
    r.payload = span_of(payload.data, payload.len);
    rc = maker_append(n->sp, n->ob, n->end.tag, &r, NULL);
    if (rc == 0 && !together) {
        payload_covers(&covers, n->fold, n->n_fold, n->w);
        r = (struct maker_record){.lane = LANE_URGENT,
                                  .kind = FOGLINE__V1__KIND__KIND_LEDGER,
                                  .payload = span_of(covers.data, covers.len)};
        rc = maker_append(n->sp, n->ob, n->end.tag, &r, NULL);
    }
    if (rc != 0)
        return rc;
    note(n->w, n, "closes a window of %u", n->n_fold);
    n->n_fold = 0;
    n->fold_dirty = true;
    return 0;
}

static int fold_take(struct node *n, const struct spool_stream *s, const struct record *r)
{
    struct fold_item *i;
    uint64_t value;

    if (!payload_value(n->w->arena, r->payload, &value)) {
        violate(n->w, "%s got a block that does not read", n->name);
        return INBOX_REFUSED;
    }
    if (n->n_fold == FOLD_MAX || n->n_fold >= n->w->plan.fold_rows) {
        int rc = fold_emit(n);

        if (rc == SPOOL_FULL)
            return INBOX_REFUSED;
        if (rc != 0)
            return rc;
    }
    if (n->n_fold == 0)
        n->fold_since_ms = n->w->now_ms;
    i = &n->fold[n->n_fold++];
    *i = (struct fold_item){.device = world_find(n->w, s->origin)->no,
                            .epoch = s->epoch,
                            .lane = seq_lane(r->seq),
                            .count = seq_count(r->seq),
                            .value = value};
    n->fold_dirty = true;
    return 0;
}

/* ---- the inbox's questions ---- */

static int relay(struct node *n, struct spool_stream *s, const struct record *r)
{
    struct spool_record copy = {
        .kind = r->kind, .flags = r->flags, .samples = r->samples, .payload = r->payload};
    int rc;

    memcpy(copy.tag, r->tag, sizeof copy.tag);
    rc = spool_put(n->sp, s, r->seq, &copy);
    if (rc == SPOOL_FULL)
        return INBOX_REFUSED;
    if (rc == 0)
        outbox_added(n->ob, s, r->seq);
    return rc;
}

static int filter(struct node *n, struct spool_stream *s, const struct record *r, bool *ret_dropped)
{
    struct spool_account_row row = {.stream = s,
                                    .lane = seq_lane(r->seq),
                                    .reason = FOGLINE__V1__REASON__REASON_FILTERED,
                                    .range = {seq_count(r->seq), seq_count(r->seq)},
                                    .samples = r->samples};
    uint64_t value = 0;

    *ret_dropped = payload_value(n->w->arena, r->payload, &value) && value % 3 == 0;
    return *ret_dropped ? spool_account_add(n->sp, &row) : 0;
}

static int on_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    struct node *n = ctx;
    bool again = (r->flags & RECORD_FLAG_AGAIN) != 0, dropped = false;
    bool reading = r->kind == FOGLINE__V1__KIND__KIND_BLOCK && seq_lane(r->seq) == LANE_ORDINARY;
    int rc = 0;

    if (n->w->plan.stage == STAGE_FOLD && reading && !again)
        return fold_take(n, s, r);
    if (n->w->plan.stage == STAGE_FILTER && reading)
        rc = filter(n, s, r, &dropped);
    if (rc == DB_FULL)
        return INBOX_REFUSED;
    return rc != 0 || dropped ? rc : relay(n, s, r);
}

static bool on_may_carry(void *ctx, const char *peer, const char *origin)
{
    (void)ctx;
    return strcmp(peer, origin) == 0;
}

static size_t on_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                       struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct node *n = ctx;

    return marks_get(n->marks, s, lane, range, a, out, max);
}

static unsigned on_fill(void *ctx)
{
    struct node *n = ctx;
    uint64_t quota = spool_quota_bytes(n->sp);

    return quota > 0 ? (unsigned)(spool_held_bytes(n->sp) * 1000 / quota) : 1000;
}

static void on_forgetting(void *ctx, struct spool_stream *s)
{
    struct node *n = ctx;

    outbox_stream_drop(n->ob, s);
    marks_drop(n->marks, s);
}

static int drop_old_life(struct node *n)
{
    n->n_fold = 0;
    return fold_save(n);
}

int fog_open(struct node *n)
{
    static const char *const tables[] = {SPOOL_TABLE_NAMES};
    struct world *w = n->w;
    struct spool_options o = {
        .db = {.path = n->dir,
               .tables = tables,
               .n_tables = SPOOL_TABLES,
               .map_bytes = w->plan.fog_map_bytes,
               .role = "fog",
               .no_preallocate = true},
        .node = n->name,
        .quota_bytes = w->plan.fog_quota_bytes,
        .proof_path = n->proof,
        .boot_id = n->boot,
        .continue_unproven = !rule_on(w, HOP_RULE_NEW_EPOCH),
    };
    struct inbox_options io = {
        .node = n->name,
        .ops = {.ctx = n,
                .send = upper_send,
                .may_carry = on_may_carry,
                .record = on_record,
                .marks = on_marks,
                .fill = on_fill,
                .forgetting = on_forgetting},
        .seed = rng_u64(&w->rng),
        .memory_bytes = w->plan.memory_bytes,
        .window_max_bytes = w->plan.window_max_bytes,
        .forget_epochs = true,
        .rules_off = w->options->rules_off,
    };
    struct errmsg err = {""};
    int rc = spool_open(&n->sp, &o, &err);

    if (rc != 0) {
        violate(w, "%s: %s", n->name, err.text);
        return rc;
    }
    io.spool = n->sp;
    rc = inbox_new(&n->ib, &io);
    if (rc == 0)
        rc = marks_new(&n->marks);
    fog_fold_load(n);
    if (rc == 0 && spool_began_epoch(n->sp) && rule_on(w, HOP_RULE_DROP_OLD_FOLD))
        rc = drop_old_life(n);
    if (rc == 0)
        rc = spool_commit(n->sp);
    return rc == 0 ? outbox_make(n) : rc;
}

/* What a fog says of itself makes way at the quota, as a device's readings do. */
void fog_make(struct node *n)
{
    owned(buf_deinit) struct buf payload = {0};
    struct maker_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK,
                             .samples = 1,
                             .lane = chance(n->w, 0.3) ? LANE_URGENT : LANE_ORDINARY};
    int rc;

    payload_reading(&payload, rng_below(&n->w->rng, 1000), rng_below(&n->w->rng, n->w->plan.small_bytes));
    r.payload = span_of(payload.data, payload.len);
    rc = maker_append(n->sp, n->ob, n->end.tag, &r, NULL);
    if (rc == SPOOL_FULL) {
        rc = outbox_make_room(n->ob, spool_charge_bytes(payload.len));
        if (rc == 0)
            rc = maker_append(n->sp, n->ob, n->end.tag, &r, NULL);
    }
    if (rc != SPOOL_FULL)
        fatal(n, "make", rc);
    fog_round(n);
}

/* ---- rounds ---- */

static int stages(struct node *n)
{
    bool due = n->n_fold > 0 &&
               (n->w->now_ms - n->fold_since_ms >= FOLD_AGE_MS || n->n_fold >= n->w->plan.fold_rows);
    int rc = due ? fold_emit(n) : 0;

    if (rc == SPOOL_FULL)
        rc = 0;
    if (rc == 0 && outbox_wants_apply(n->ob))
        rc = outbox_apply(n->ob, n->w->now_ms, n->fake.wall_unix_ns);
    if (rc == 0 && n->fold_dirty)
        rc = fold_save(n);
    return rc;
}

static void reload(struct node *n)
{
    fatal(n, "reload", inbox_reload(n->ib));
    fog_fold_load(n);
    fatal(n, "reload", outbox_reload(n->ob, n->w->now_ms));
}

void fog_round(struct node *n)
{
    int64_t next = INT64_MAX;
    int rc = stages(n);

    if (rc == DB_FULL)
        rc = 0; /* the commit says so too */
    fatal(n, "stages", rc);
    if (rc != 0)
        return;
    if (spool_txn_open(n->sp) || inbox_wants_commit(n->ib)) {
        enum commit c = node_commit(n);

        if (c == COMMIT_DIED)
            return;
        if (c == COMMIT_DONE)
            inbox_committed(n->ib, n->w->now_ms);
        else
            reload(n);
    }
    inbox_tick(n->ib, n->w->now_ms, &next);
    node_wake_at(n, next);
    if (n->n_fold > 0)
        node_wake_at(n, n->fold_since_ms + FOLD_AGE_MS);
    lower_tick(n);
}
