#include "hop/inbox_private.h"

#include <stdio.h>

const struct counter_info inbox_counter_info[INBOX_COUNTERS] = {
    [INBOX_HELLOS] = {"hellos", COUNTER_TOTAL, "frames", "Hello messages taken"},
    [INBOX_DATA] = {"data", COUNTER_TOTAL, "frames", "Data messages taken"},
    [INBOX_RECORDS] = {"records", COUNTER_TOTAL, "records", "Records made durable"},
    [INBOX_SAMPLES] = {"samples", COUNTER_TOTAL, "samples", "Samples in records made durable"},
    [INBOX_PAYLOAD_BYTES] = {"payload_bytes", COUNTER_TOTAL, "bytes", "Payload of records made durable"},
    [INBOX_DUPLICATES] = {"duplicates", COUNTER_TOTAL, "records",
                          "Records that were here already, acknowledged again"},
    [INBOX_RECORDS_REFUSED] = {"records_refused", COUNTER_TOTAL, "records",
                               "Records the store would not take"},
    [INBOX_RECORDS_INTERVALS] = {"records_intervals", COUNTER_TOTAL, "records",
                                 "Records dropped since they would tear a stream into too many intervals"},
    [INBOX_DROPPED_SENDER] = {"dropped_sender", COUNTER_TOTAL, "frames",
                              "Messages whose sender is not the peer"},
    [INBOX_DROPPED_SESSION] = {"dropped_session", COUNTER_TOTAL, "frames",
                               "Messages of no or an older session"},
    [INBOX_DROPPED_RUN] = {"dropped_run", COUNTER_TOTAL, "frames", "Data meant for another run of this side"},
    [INBOX_DROPPED_EPOCH] = {"dropped_epoch", COUNTER_TOTAL, "records",
                             "Records of an epoch no Hello listed"},
    [INBOX_DROPPED_CARRY] = {"dropped_carry", COUNTER_TOTAL, "records",
                             "Records of an origin this peer may not bring"},
    [INBOX_DROPPED_WINDOW] = {"dropped_window", COUNTER_TOTAL, "frames", "Data beyond the window granted"},
    [INBOX_DROPPED_OBJECT] = {"dropped_object", COUNTER_TOTAL, "records",
                              "Records of the reserved kind object"},
    [INBOX_MALFORMED] = {"malformed", COUNTER_TOTAL, "frames",
                         "Messages that did not parse or broke a limit"},
    [INBOX_STATES_SENT] = {"states_sent", COUNTER_TOTAL, "frames", "State messages published"},
};

static unsigned bucket_of(const char *node)
{
    uint32_t h = 2166136261u; /* FNV-1a: names are authenticated, so nobody chooses collisions */

    for (; *node != '\0'; node++)
        h = (h ^ (uint8_t)*node) * 16777619u;
    return h % INBOX_BUCKETS;
}

struct peer *inbox_peer_find(const struct inbox *ib, const char *node)
{
    struct peer *p = ib->bucket[bucket_of(node)];

    while (p != NULL && strcmp(p->node, node) != 0)
        p = p->next;
    return p;
}

int inbox_peer_make(struct inbox *ib, const char *node, struct peer **ret_p)
{
    struct peer *p = inbox_peer_find(ib, node);
    unsigned b = bucket_of(node);
    int rc;

    if (p == NULL) {
        if (ib->n_peers == INBOX_PEERS_MAX)
            return -ENOSPC;
        if (ib->n_peers == ib->peers_alloc) {
            size_t want = ib->peers_alloc > 0 ? ib->peers_alloc * 2 : 64;
            struct peer **grown = realloc(ib->peers, want * sizeof(*grown));
            if (grown == NULL)
                return -ENOMEM;
            ib->peers = grown;
            ib->peers_alloc = want;
        }
        p = calloc(1, sizeof *p);
        if (p == NULL)
            return -ENOMEM;
        snprintf(p->node, sizeof p->node, "%s", node);
        p->lease_until_ms = p->last_heard_ms = p->turn_until_ms = INT64_MIN;
        p->round = ib->round;
        p->next = ib->bucket[b];
        ib->bucket[b] = p;
        p->index = ib->n_peers;
        ib->peers[ib->n_peers++] = p;
        rc = inbox_load_session(ib, p);
        if (rc != 0)
            return rc;
    }
    *ret_p = p;
    return 0;
}

int inbox_stream_in(struct spool_stream *s, struct stream_in **ret_si)
{
    if (s->upper_state == NULL) {
        s->upper_state = calloc(1, sizeof(struct stream_in));
        if (s->upper_state == NULL)
            return -ENOMEM;
    }
    *ret_si = s->upper_state;
    return 0;
}

void inbox_answer(struct inbox *ib, struct peer *p, bool to_hello)
{
    ib->n_answers += !p->answer;
    p->answer = true;
    p->answer_hello |= to_hello;
}

void inbox_documents_changed(struct inbox *ib)
{
    for (size_t i = 0; i < ib->n_peers; i++)
        if (ib->peers[i]->has_session)
            inbox_answer(ib, ib->peers[i], true);
}

int inbox_touch(struct peer *p, struct spool_stream *s, unsigned lane, struct interval range)
{
    struct stream_in *si;
    struct touch *t;
    int rc = inbox_stream_in(s, &si);

    if (rc != 0)
        return rc;
    si->carrier[lane] = p;
    if (si->touch[lane] > 0 && si->touch_peer[lane] == p) {
        t = &p->touched[si->touch[lane] - 1];
        t->from = range.from < t->from ? range.from : t->from;
        t->to = range.to > t->to ? range.to : t->to;
        return 0;
    }
    if (p->n_touched == p->touched_alloc) {
        size_t want = p->touched_alloc > 0 ? p->touched_alloc * 2 : 8;
        struct touch *grown = realloc(p->touched, want * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        p->touched = grown;
        p->touched_alloc = want;
    }
    p->touched[p->n_touched++] =
        (struct touch){.stream = s, .lane = lane, .from = range.from, .to = range.to};
    si->touch[lane] = p->n_touched;
    si->touch_peer[lane] = p;
    return 0;
}

void inbox_new_run(struct inbox *ib)
{
    do
        ib->run = rng_u64(&ib->rng);
    while (ib->run == 0);
}

int inbox_new(struct inbox **ret_ib, const struct inbox_options *options)
{
    struct inbox *ib = calloc(1, sizeof *ib);
    int rc;

    if (ib == NULL)
        return -ENOMEM;
    ib->rng.state = options->seed;
    ib->spool = options->spool;
    ib->options = *options;
    snprintf(ib->node, sizeof ib->node, "%s", options->node);
    ib->options.node = ib->node;
    if (options->archive_id != NULL) {
        ib->archive_id = *options->archive_id;
        ib->is_archive = true;
    }
    inbox_new_run(ib);
    rc = wire_arena_new(&ib->in, 4 * 1024 * 1024);
    if (rc == 0)
        rc = wire_arena_new(&ib->out, 4 * 1024 * 1024);
    if (rc != 0) {
        inbox_free(ib);
        return rc;
    }
    *ret_ib = ib;
    return 0;
}

static void drop_stream(void *ctx, struct spool_stream *s)
{
    (void)ctx;
    free(s->upper_state);
    s->upper_state = NULL;
}

struct inbox *inbox_free(struct inbox *ib)
{
    if (ib == NULL)
        return NULL;
    spool_stream_objects(ib->spool, drop_stream, NULL);
    for (size_t i = 0; i < ib->n_peers; i++) {
        buf_deinit(&ib->peers[i]->hello);
        free(ib->peers[i]->touched);
        free(ib->peers[i]->dirty);
        free(ib->peers[i]);
    }
    free(ib->peers);
    wire_arena_free(ib->in);
    wire_arena_free(ib->out);
    buf_deinit(&ib->packed);
    free(ib);
    return NULL;
}

int inbox_on_up(struct inbox *ib, const char *user_id, struct span bytes, int64_t now_ms)
{
    Fogline__V1__Up *up;
    struct peer *p;
    int rc;

    wire_arena_reset(ib->in);
    if (wire_up_unpack(ib->in, bytes, &up) != 0) {
        ib->counter[INBOX_MALFORMED]++;
        return 0;
    }
    if (user_id == NULL || strcmp(up->sender, user_id) != 0) {
        ib->counter[INBOX_DROPPED_SENDER]++;
        return 0;
    }
    rc = inbox_peer_make(ib, user_id, &p);
    if (rc != 0)
        return rc == -ENOSPC ? 0 : rc;
    p->last_heard_ms = now_ms;
    if (up->body_case == FOGLINE__V1__UP__BODY_HELLO) {
        rc = inbox_take_hello(ib, p, up, bytes, now_ms);
    } else if (up->body_case == FOGLINE__V1__UP__BODY_DATA) {
        rc = inbox_take_data(ib, p, up->data, now_ms);
    } else {
        ib->counter[INBOX_MALFORMED]++;
    }
    return rc < 0 ? rc : 0; /* a full map has lost the transaction: the host's commit says so, and nothing is
                               acknowledged */
}

uint64_t inbox_batch_bytes(const struct inbox *ib)
{
    return ib->batch_bytes;
}

uint64_t inbox_batch_records(const struct inbox *ib)
{
    return ib->batch_records;
}

bool inbox_wants_commit(const struct inbox *ib)
{
    return ib->n_answers > 0 || ib->batch_records > 0;
}

static void end_round(struct inbox *ib)
{
    for (size_t i = 0; i < ib->n_peers; i++) {
        struct peer *p = ib->peers[i];

        for (size_t t = 0; t < p->n_touched; t++) {
            struct stream_in *si = p->touched[t].stream->upper_state;
            if (si != NULL && si->touch_peer[p->touched[t].lane] == p)
                si->touch[p->touched[t].lane] = 0;
        }
        p->n_touched = 0;
        p->answer = p->answer_hello = false;
        p->round_bytes = 0;
    }
    ib->batch_bytes = ib->batch_records = 0;
    ib->n_answers = 0;
}

void inbox_committed(struct inbox *ib, int64_t now_ms)
{
    for (size_t i = 0; i < ib->n_peers && ib->n_answers > 0; i++)
        if (ib->peers[i]->answer)
            inbox_send_state(ib, ib->peers[i], now_ms);
    end_round(ib);
}

int inbox_reload(struct inbox *ib)
{
    end_round(ib);
    for (size_t i = 0; i < ib->n_peers; i++)
        ib->peers[i]->session_saved = 0; /* perhaps not: the next Hello writes it */
    return 0;
}

void inbox_marks_changed(struct inbox *ib, struct spool_stream *s, unsigned lane)
{
    struct stream_in *si;
    struct peer *p;

    (void)ib;
    if (inbox_stream_in(s, &si) != 0 || si->dirty[lane] || si->carrier[lane] == NULL)
        return;
    p = si->carrier[lane];
    if (p->dirty == NULL)
        p->dirty = calloc(INBOX_DIRTY_MAX, sizeof *p->dirty);
    if (p->dirty == NULL || p->n_dirty == INBOX_DIRTY_MAX)
        return; /* the peer's next poll asks for it */
    p->dirty[p->n_dirty++] = (struct dirty){s, lane};
    si->dirty[lane] = true;
}

void inbox_tick(struct inbox *ib, int64_t now_ms, int64_t *ret_next_ms)
{
    int64_t next = INT64_MAX;
    struct peer *waits;

    /* Bounded: each State may give a turn, and there are no more of them. */
    for (unsigned i = 0; i < HOP_BACKLOG_PEERS && ib->n_answers == 0; i++) {
        waits = inbox_next_turn(ib, now_ms, &next);
        if (waits == NULL)
            break;
        inbox_send_state(ib, waits, now_ms);
    }
    for (size_t i = 0; i < ib->n_peers; i++) {
        struct peer *p = ib->peers[i];

        if (p->n_dirty == 0)
            continue;
        if (now_ms >= p->next_push_ms)
            inbox_push_marks(ib, p, now_ms);
        else if (p->next_push_ms < next)
            next = p->next_push_ms;
    }
    *ret_next_ms = next;
}

uint64_t inbox_run(const struct inbox *ib)
{
    return ib->run;
}

size_t inbox_n_peers(const struct inbox *ib)
{
    return ib->n_peers;
}

void inbox_peer_at(const struct inbox *ib, size_t i, int64_t now_ms, struct inbox_peer_info *ret_p)
{
    const struct peer *p = ib->peers[i];

    *ret_p = (struct inbox_peer_info){
        .node = p->node,
        .role = p->role,
        .software = p->software,
        .session = p->session,
        .last_heard_ms = p->last_heard_ms,
        .records = p->records,
        .bytes = p->bytes,
        .linked = p->has_session && now_ms < p->lease_until_ms,
    };
}

size_t inbox_asks(struct inbox *ib, struct wire_arena *a, int64_t now_ms, Fogline__V1__EpochReport **out,
                  size_t max)
{
    size_t n = 0;

    /* Begins elsewhere each time: the caller may have no room for all. */
    ib->next_ask = ib->n_peers > 0 ? (ib->next_ask + ASKS_STEP) % ib->n_peers : 0;
    for (size_t i = 0; i < ib->n_peers && n < max; i++) {
        const struct peer *p = ib->peers[(ib->next_ask + i) % ib->n_peers];
        Fogline__V1__Up *up;
        char *origin;

        if (!p->has_session || now_ms >= p->lease_until_ms || p->hello.len == 0 ||
            wire_up_unpack(a, span_of(p->hello.data, p->hello.len), &up) != 0 || up->hello == NULL)
            continue;
        origin = wire_arena_alloc(a, sizeof p->node);
        if (origin == NULL)
            break;
        memcpy(origin, p->node, sizeof p->node);
        for (size_t e = 0; e < up->hello->n_epochs && n < max; e++) {
            up->hello->epochs[e]->origin = origin;
            out[n++] = up->hello->epochs[e];
        }
    }
    return n;
}

const uint64_t *inbox_counters(const struct inbox *ib)
{
    return ib->counter;
}
