/* The cloud: the real archive, account and marks behind an inbox; and what both upper sides share. */
#include "world.h"

#include <inttypes.h>

/* ---- upper sides ---- */

static void check_grant(struct node *n, struct node *to, struct span bytes)
{
    struct world *w = n->w;
    Fogline__V1__Down *down;
    uint64_t sum = 0;

    wire_arena_reset(w->arena);
    if (wire_down_unpack(w->arena, bytes, &down) != 0) {
        violate(w, "%s says something that does not read", n->name);
        return;
    }
    if (down->state->windows == NULL)
        return;
    n->granted[to->no] =
        (struct granted){down->state->windows->live_bytes + down->state->windows->backlog_bytes,
                         w->now_ms + down->state->windows->lease_ms};
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (n->granted[i].until_ms > w->now_ms)
            sum += n->granted[i].bytes;
    if (sum > w->plan.memory_bytes)
        violate(w, "%s has granted %" PRIu64 " bytes of %" PRIu64, n->name, sum, w->plan.memory_bytes);
}

void upper_send(void *ctx, const char *node, struct span down)
{
    struct node *n = ctx, *to = world_find(n->w, node);

    if (to == NULL) {
        violate(n->w, "%s speaks to nobody", n->name);
        return;
    }
    check_grant(n, to, down);
    net_down(n, to, down);
}

/* Messages of a few milliseconds share a commit, as a round of the loop does. */
void upper_up(struct node *n, const char *from, struct span bytes)
{
    struct world *w = n->w;
    int rc = inbox_on_up(n->ib, from, bytes, w->now_ms);
    struct event e = {.kind = EVENT_COMMIT, .node = n->no, .token = n->life};

    fatal(n, "message from below", rc);
    if (rc != 0 || n->commit_planned)
        return;
    n->commit_planned = true;
    e.at_ms = w->now_ms + (int64_t)rng_below(&w->rng, 20);
    world_push(w, &e);
}

/* ---- the cloud ---- */

static void on_hello(void *ctx, const char *peer, const Fogline__V1__Hello *hello)
{
    struct node *n = ctx;

    intake_hello(n->intake, peer, hello);
}

static bool on_may_carry(void *ctx, const char *peer, const char *origin)
{
    struct node *n = ctx;

    return intake_may_carry(n->intake, peer, origin);
}

static int on_reported(void *ctx, const char *peer, struct spool_stream *s, const Fogline__V1__LaneReport *r)
{
    struct node *n = ctx;

    return intake_reported(n->intake, peer, s, r);
}

static int on_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    struct node *n = ctx;
    struct world *w = n->w;
    const struct node *origin = world_find(w, s->origin);
    uint64_t value = 0;
    int rc;

    if (!rule_on(w, HOP_RULE_ARCHIVED_IS_DUP) &&
        interval_set_has(account_explained(intake_account(n->intake), s, seq_lane(r->seq)),
                         seq_count(r->seq)))
        return INBOX_DUPLICATE;
    rc = intake_record(n->intake, s, r);
    if (rc != 0)
        return rc;
    if (r->kind == FOGLINE__V1__KIND__KIND_BLOCK && !payload_value(w->arena, r->payload, &value))
        violate(w, "a block came to the cloud that does not read");
    oracle_pend(n, origin->no, &s->epoch, r->seq, r->kind, value, r->payload);
    return 0;
}

static const struct held_copy *safe_of(const struct node *n, const struct spool_stream *s)
{
    for (size_t i = 0; i < n->n_safe; i++)
        if (id128_equal(&n->safe[i].epoch, &s->epoch) && strcmp(n->safe[i].origin, s->origin) == 0)
            return &n->safe[i];
    return NULL;
}

static size_t on_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                       struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct node *n = ctx;
    const struct held_copy *safe;
    struct marks_subject m = {
        .archive_id = archive_id(n->archive), .epoch = &s->epoch, .origin = s->origin, .lane = lane};

    if (!n->w->plan.backup || !rule_on(n->w, HOP_RULE_MARK_AFTER_SAFE))
        return intake_marks(n->intake, a, s, lane, range, out, max);
    safe = safe_of(n, s);
    if (safe == NULL)
        return 0;
    m.archived = &safe->seen[lane];
    m.explained = &safe->held[lane];
    m.mark_key = world_find(n->w, s->origin)->end.mark;
    return marks_make(&m, range, a, out, max);
}

static unsigned on_weight(void *ctx, const char *node)
{
    const struct node *n = ctx;

    return world_find(n->w, node)->weight;
}

static int nodes_set(struct node *n)
{
    struct world *w = n->w;
    struct upper_port_node list[NODES_MAX];

    memset(list, 0, sizeof list);
    for (unsigned i = 0; i + 1 < w->n_nodes; i++) {
        snprintf(list[i].id, sizeof list[i].id, "%s", w->node[i].name);
        snprintf(list[i].site, sizeof list[i].site, "site");
        snprintf(list[i].role, sizeof list[i].role, w->node[i].role == ROLE_FOG ? "fog" : "device");
        memcpy(list[i].end, w->node[i].keys->end_public, KEY_BYTES);
    }
    return intake_set_nodes(n->intake, list, w->n_nodes - 1);
}

/* The operator says that the archive was put back: a new id, and everybody is told by a signed document. */
static int new_archive(struct node *n)
{
    struct world *w = n->w;
    int rc;

    w->archive_id = id128_random();
    w->archive_renewed = true;
    n->put_back = false;
    rc = archive_renew_id(n->archive, &w->archive_id);
    for (unsigned i = 0; rc == 0 && i + 1 < w->n_nodes; i++) {
        struct node *x = &w->node[i];

        if (x->up && spool_txn_open(x->sp))
            fog_round(x);
        if (x->up)
            rc = outbox_set_archive(x->ob, &w->archive_id);
    }
    return rc;
}

int cloud_open(struct node *n)
{
    static const char *const reduce[] = {"site/*"};
    struct world *w = n->w;
    struct spool_options so = {
        .db = {.path = n->dir, .map_bytes = w->plan.cloud_map_bytes, .no_preallocate = true},
        .node = n->name,
        .proof_path = n->proof,
        .boot_id = n->boot,
        .continue_unproven = !rule_on(w, HOP_RULE_NEW_EPOCH)};
    struct archive_options o = cloud_archive_options(&so);
    struct intake_options in = {.keys = n->keys, .clock = &n->clock, .reduce = reduce, .n_reduce = 1};
    struct inbox_options io = {
        .node = n->name,
        .ops = {.ctx = n,
                .send = upper_send,
                .may_carry = on_may_carry,
                .record = on_record,
                .reported = on_reported,
                .marks = on_marks,
                .weight = on_weight,
                .hello = on_hello},
        .seed = rng_u64(&w->rng),
        .memory_bytes = w->plan.memory_bytes,
        .window_max_bytes = w->plan.window_max_bytes,
        .rules_off = w->options->rules_off,
    };
    struct errmsg err = {""};
    int rc = archive_open(&n->archive, &o, &err);

    if (rc != 0) {
        violate(w, "%s: %s", n->name, err.text);
        return rc;
    }
    n->sp = archive_spool(n->archive);
    in.archive = n->archive;
    rc = intake_new(&n->intake, &in);
    if (rc == 0)
        rc = nodes_set(n);
    if (rc == 0)
        rc = spool_commit(n->sp);
    if (rc == 0 && n->put_back)
        rc = new_archive(n);
    io.spool = n->sp;
    io.archive_id = archive_id(n->archive);
    return rc == 0 ? inbox_new(&n->ib, &io) : rc;
}

static void on_grown(void *ctx, struct spool_stream *s, unsigned lane)
{
    struct node *n = ctx;

    inbox_marks_changed(n->ib, s, lane);
}

static void reload(struct node *n)
{
    fatal(n, "reload", inbox_reload(n->ib));
    fatal(n, "reload", intake_reload(n->intake));
}

void cloud_round(struct node *n)
{
    int64_t next = INT64_MAX;

    if (spool_txn_open(n->sp) || inbox_wants_commit(n->ib)) {
        int rc = intake_flush(n->intake);
        enum commit c;

        if (rc == ARCHIVE_FULL)
            rc = 0; /* the commit says so too */
        fatal(n, "flush", rc);
        if (rc != 0)
            return;
        c = node_commit(n);
        if (c == COMMIT_DIED)
            return;
        if (c == COMMIT_DONE) {
            intake_committed(n->intake, on_grown, n);
            inbox_committed(n->ib, n->w->now_ms);
        } else {
            reload(n);
        }
    }
    inbox_tick(n->ib, n->w->now_ms, &next);
    node_wake_at(n, next);
}

/* What the copy just made holds is safe from now on: seen is what is archived, held what is explained. */
void cloud_backup(struct node *n)
{
    size_t streams = spool_n_streams(n->sp);

    if (streams > n->n_safe) {
        n->safe = realloc(n->safe, streams * sizeof *n->safe);
        if (n->safe == NULL)
            abort();
        memset(n->safe + n->n_safe, 0, (streams - n->n_safe) * sizeof *n->safe);
        n->n_safe = streams;
    }
    for (size_t i = 0; i < streams; i++) {
        struct spool_stream *s = spool_stream_at(n->sp, i);
        struct held_copy *c = &n->safe[i];

        memcpy(c->origin, s->origin, sizeof c->origin);
        c->epoch = s->epoch;
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            if (interval_set_copy(&c->seen[l], &s->lane[l].seen) != 0 ||
                interval_set_copy(&c->held[l], account_explained(intake_account(n->intake), s, l)) != 0)
                abort();
            inbox_marks_changed(n->ib, s, l);
        }
    }
    node_wake_at(n, n->w->now_ms);
}
