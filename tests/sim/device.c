/* The lower half that devices and fogs share, and the device: makes readings, makes room, lets go. */
#include "base/cleanup.h"
#include "hop/outbox_private.h"
#include "world.h"

#include <inttypes.h>

static int on_send(void *ctx, struct span up)
{
    struct node *n = ctx;

    if (n->w->now_ms < n->blocked_until_ms)
        return OUTBOX_BLOCKED;
    if (!n->w->quiet && chance(n->w, n->w->plan.blocked)) {
        n->blocked_until_ms = n->w->now_ms + 1 + (int64_t)rng_below(&n->w->rng, 1000);
        return OUTBOX_BLOCKED;
    }
    net_up(n, up);
    return 0;
}

static void on_reset(void *ctx)
{
    struct node *n = ctx;
    int64_t heard = outbox_last_state_ms(n->ob), silence = HOP_WATCHDOG_POLLS * HOP_POLL_MS;

    if (heard != INT64_MIN && n->w->now_ms - heard < silence)
        violate(n->w, "%s makes new sockets though a State came %" PRId64 " ms ago", n->name,
                n->w->now_ms - heard);
    if (n->w->quiet && n->w->now_ms > n->w->plan.noisy_ms + LINKED_MS)
        violate(n->w, "%s makes new sockets though nothing is wrong any more", n->name);
    n->link++;
    note(n->w, n, "new sockets");
}

static size_t on_asks(void *ctx, struct wire_arena *a, Fogline__V1__EpochReport **out, size_t max)
{
    struct node *n = ctx;

    return inbox_asks(n->ib, a, n->w->now_ms, out, max);
}

static void on_mark(void *ctx, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark)
{
    struct node *n = ctx;
    struct spool_stream *s;
    struct id128 epoch;

    if (!wire_id128(body->epoch, &epoch))
        return;
    s = spool_find(n->sp, body->origin, &epoch);
    if (s != NULL && marks_put(n->marks, body, mark) == 0)
        inbox_marks_changed(n->ib, s, body->lane);
}

int outbox_make(struct node *n)
{
    struct outbox_options o = {
        .spool = n->sp,
        .role = n->role == ROLE_FOG ? "fog" : "device",
        .software = "sim",
        .keys = &n->end,
        .ops = {.ctx = n,
                .send = on_send,
                .reset_link = on_reset,
                .asks = n->role == ROLE_FOG ? on_asks : NULL,
                .mark = n->role == ROLE_FOG ? on_mark : NULL},
        .seed = rng_u64(&n->w->rng),
        .rules_off = n->w->options->rules_off,
    };
    int rc = outbox_new(&n->ob, &o, n->w->now_ms);

    if (rc == 0 && n->w->archive_renewed)
        rc = outbox_set_archive(n->ob, &n->w->archive_id);
    return rc;
}

int device_open(struct node *n)
{
    static const char *const tables[] = {SPOOL_TABLE_NAMES};
    struct world *w = n->w;
    struct spool_options o = {
        .db = {.path = n->dir,
               .tables = tables,
               .n_tables = SPOOL_TABLES,
               .map_bytes = w->plan.device_map_bytes,
               .role = "device",
               .no_preallocate = true},
        .node = n->name,
        .quota_bytes = w->plan.device_quota_bytes,
        .proof_path = n->proof,
        .boot_id = n->boot,
        .continue_unproven = !rule_on(w, HOP_RULE_NEW_EPOCH),
    };
    struct errmsg err = {""};
    int rc = spool_open(&n->sp, &o, &err);

    if (rc != 0) {
        violate(w, "%s: %s", n->name, err.text);
        return rc;
    }
    return outbox_make(n);
}

/* ---- rounds ---- */

/* What is sent has to fit into the window of its class; one that shrank may be passed by what is on its way.
 */
static void check_windows(struct node *n, const uint64_t before[CLASS_COUNT])
{
    for (int c = 0; c < CLASS_COUNT; c++)
        if (n->ob->window[c].in_flight > before[c] && n->ob->window[c].in_flight > n->ob->window[c].bytes)
            violate(n->w, "%s has %" PRIu64 " bytes of class %d in flight, its window is %" PRIu64, n->name,
                    n->ob->window[c].in_flight, c, n->ob->window[c].bytes);
}

/* Windows fall below before the upper side gives their memory to others, however late its State came. */
static void check_lease(struct node *n)
{
    const struct granted *g = &n->w->node[n->upstream].granted[n->no];

    if (rule_on(n->w, HOP_RULE_LEASE) && g->until_ms > 0 && n->ob->lease_until_ms > g->until_ms)
        violate(n->w, "%s may send until %" PRId64 " ms, %s counts on %" PRId64 " ms", n->name,
                n->ob->lease_until_ms, n->w->node[n->upstream].name, g->until_ms);
}

void lower_tick(struct node *n)
{
    uint64_t before[CLASS_COUNT];
    int64_t next = INT64_MAX;
    uint64_t sessions = outbox_counters(n->ob)[OUTBOX_SESSIONS];
    int rc;

    for (int c = 0; c < CLASS_COUNT; c++)
        before[c] = n->ob->window[c].in_flight;
    rc = outbox_tick(n->ob, n->w->now_ms, &next);
    fatal(n, "tick", rc);
    if (rc != 0)
        return;
    check_windows(n, before);
    check_lease(n);
    if (outbox_counters(n->ob)[OUTBOX_SESSIONS] != sessions && node_dies(n, POINT_SESSION))
        return;
    node_wake_at(n, next);
}

void lower_down(struct node *n, struct span bytes)
{
    int rc;

    if (spool_txn_open(n->sp)) { /* only a fog has one between events */
        fog_round(n);
        if (!n->up)
            return;
    }
    rc = outbox_on_down(n->ob, bytes, n->w->now_ms);
    fatal(n, "message from above", rc);
    /* The cut is on disk, the Data that rests on it not yet sent. */
    if (rc != 0 || node_dies(n, POINT_AFTER_DOWN))
        return;
    if (n->role == ROLE_FOG)
        fog_round(n);
    else
        device_round(n);
}

static void device_commit(struct node *n)
{
    enum commit c = node_commit(n);

    if (c == COMMIT_DIED)
        return;
    if (c == COMMIT_FAILED)
        fatal(n, "reload", outbox_reload(n->ob, n->w->now_ms));
    lower_tick(n);
}

void device_round(struct node *n)
{
    if (outbox_wants_apply(n->ob)) {
        int rc = outbox_apply(n->ob, n->w->now_ms, n->fake.wall_unix_ns);

        fatal(n, "apply", rc);
        if (rc != 0)
            return;
    }
    if (spool_txn_open(n->sp))
        device_commit(n);
    else
        lower_tick(n);
}

static bool make_one(struct node *n)
{
    owned(buf_deinit) struct buf payload = {0};
    struct world *w = n->w;
    const struct plan *p = &w->plan;
    uint64_t value = rng_below(&w->rng, 1000000), seq;
    bool urgent = chance(w, p->urgent);
    size_t pad = rng_below(&w->rng, chance(w, p->large) ? p->large_bytes : p->small_bytes);
    struct maker_record r = {
        .lane = urgent ? LANE_URGENT : LANE_ORDINARY, .kind = FOGLINE__V1__KIND__KIND_BLOCK, .samples = 1};
    struct id128 epoch = spool_own(n->sp)->epoch;
    int rc;

    payload_reading(&payload, value, pad);
    r.payload = span_of(payload.data, payload.len);
    rc = outbox_make_room(n->ob, spool_charge_bytes(payload.len));
    if (rc == SPOOL_FULL)
        return true;
    if (rc == 0)
        rc = maker_append(n->sp, n->ob, n->end.tag, &r, &seq);
    if (rc == SPOOL_FULL)
        return true;
    fatal(n, "make", rc);
    if (rc != 0)
        return false;
    oracle_pend(n, n->no, &epoch, seq, r.kind, value, span_of(NULL, 0));
    return true;
}

void device_make(struct node *n)
{
    struct world *w = n->w;
    unsigned batch = 1 + (unsigned)rng_below(&w->rng, w->plan.make_batch);

    for (unsigned i = 0; i < batch; i++)
        if (!make_one(n))
            return;
    device_round(n);
}
