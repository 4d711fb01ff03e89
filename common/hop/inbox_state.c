/* State: what the upper side has, grants and passes on. One message is welcome, ack, grant and "who are you".
 */
#include "hop/inbox_private.h"

/* ---- contents ---- */

enum {
    STATE_BYTES = WIRE_DOWN_MAX_BYTES / 2, /* a State that has grown to this is sent before more goes in */
    /* The lowest come first, the rest is asked for when these have been applied. A relay gives all it keeps
     * of a lane, the archive no more than a relay keeps beside what was pushed to it: else the lowest would
     * be the first to make room. */
    MARKS_PER_LANE_ARCHIVE = 8,
    MARKS_PER_LANE_RELAY = 16,
    LANE_BYTES = 160,
    BOUND_BYTES = 10,
    MARK_BYTES = 40,
    DOCUMENT_BYTES = 512,
};

struct answer {
    struct inbox *ib;
    struct peer *peer;
    int64_t now_ms;
    size_t bytes; /* of what is in it, at most */
    Fogline__V1__State state;
    Fogline__V1__Windows windows;
    Fogline__V1__LaneState *lanes[INBOX_LANES_PER_STATE];
    Fogline__V1__Mark *marks[INBOX_LANES_PER_STATE];
    Fogline__V1__Document *documents[INBOX_DOCUMENTS_MAX];
};

static void answer_begin(struct answer *a, uint64_t session)
{
    struct inbox *ib = a->ib;
    Fogline__V1__State *st = &a->state;

    wire_arena_reset(ib->out);
    a->bytes = 0;
    fogline__v1__state__init(st);
    st->version = HOP_VERSION;
    st->store = wire_bytes(span_of(spool_store_id(ib->spool)->bytes, ID128_BYTES));
    st->run = ib->run;
    st->session = session;
    st->session_known = a->peer->session;
    st->lanes = a->lanes;
    st->marks = a->marks;
    st->documents = a->documents;
    st->node = ib->node;
    if (ib->is_archive)
        st->archive_id = wire_bytes(span_of(ib->archive_id.bytes, ID128_BYTES));
}

static void answer_send(struct answer *a)
{
    struct inbox *ib = a->ib;
    Fogline__V1__Down down = FOGLINE__V1__DOWN__INIT;

    /* A window counts as granted once it is said, not before. */
    if (a->peer->has_session) {
        inbox_grant(ib, a->peer, a->now_ms, &a->windows);
        a->state.windows = &a->windows;
    }
    down.format = WIRE_FORMAT;
    down.state = &a->state;
    buf_reset(&ib->packed);
    wire_pack(&ib->packed, &down.base);
    if (ib->packed.error != 0 || ib->packed.len > WIRE_DOWN_MAX_BYTES)
        return; /* may be lost: the peer asks again */
    ib->counter[INBOX_STATES_SENT]++;
    ib->options.ops.send(ib->options.ops.ctx, a->peer->node, span_of(ib->packed.data, ib->packed.len));
}

static const char *origin_for(const struct peer *p, const struct spool_stream *s)
{
    return strcmp(p->node, s->origin) == 0 ? "" : s->origin;
}

/* A range cut to the intervals that fit still says the truth about the part it names. */
static bool add_lane(struct answer *a, struct spool_stream *s, unsigned lane, struct interval range)
{
    const struct interval_set *seen = &s->lane[lane].seen;
    Fogline__V1__LaneState *ls = wire_arena_alloc(a->ib->out, sizeof *ls);
    bool cut = false;

    if (ls == NULL || a->state.n_lanes == INBOX_LANES_PER_STATE)
        return false;
    fogline__v1__lane_state__init(ls);
    ls->origin = (char *)origin_for(a->peer, s);
    ls->epoch = wire_bytes(span_of(s->epoch.bytes, ID128_BYTES));
    ls->lane = lane;
    ls->highest = seen->n > 0 ? seen->at[seen->n - 1].to : 0;
    ls->from = range.from;
    ls->to = range.to;
    ls->stored =
        wire_bounds_of(a->ib->out, seen, range.from, range.to, WIRE_INTERVALS_MAX, &ls->n_stored, &cut);
    if (cut && ls->n_stored > 0)
        ls->to = ls->stored[ls->n_stored - 1];
    a->lanes[a->state.n_lanes++] = ls;
    a->bytes += LANE_BYTES + ls->n_stored * BOUND_BYTES;
    return true;
}

static void add_marks(struct answer *a, struct spool_stream *s, unsigned lane, struct interval range)
{
    const struct inbox_ops *ops = &a->ib->options.ops;
    size_t most = a->ib->is_archive ? MARKS_PER_LANE_ARCHIVE : MARKS_PER_LANE_RELAY;
    size_t left = INBOX_LANES_PER_STATE - a->state.n_marks, n;

    if (ops->marks == NULL)
        return;
    n = ops->marks(ops->ctx, a->ib->out, s, lane, range, a->marks + a->state.n_marks,
                   left < most ? left : most);
    for (; n > 0; n--)
        a->bytes += MARK_BYTES + a->marks[a->state.n_marks++]->body.len;
}

/* Documents that do not fit come when the peer says that it has the first ones. */
static void add_documents(struct answer *a, const Fogline__V1__Hello *hello)
{
    const struct inbox_ops *ops = &a->ib->options.ops;
    size_t n, kept = 0;

    if (ops->documents == NULL)
        return;
    n = ops->documents(ops->ctx, a->ib->out, a->peer->node, hello, a->documents, INBOX_DOCUMENTS_MAX);
    for (; kept < n && (kept == 0 || a->bytes + a->documents[kept]->body.len + DOCUMENT_BYTES <= STATE_BYTES);
         kept++)
        a->bytes += a->documents[kept]->body.len + DOCUMENT_BYTES;
    a->state.n_documents = kept;
}

static void next_if_full(struct answer *a, uint64_t session)
{
    if (a->state.n_lanes < INBOX_LANES_PER_STATE && a->state.n_marks < INBOX_LANES_PER_STATE &&
        a->bytes < STATE_BYTES)
        return;
    answer_send(a);
    answer_begin(a, session);
}

/* What the Hello asked: for each lane, from the lowest it holds to the end of what it made. */
static void answer_report(struct answer *a, const char *origin, const Fogline__V1__EpochReport *e)
{
    struct spool_stream *s;
    struct id128 epoch;

    if (!wire_id128(e->epoch, &epoch))
        return;
    s = spool_find(a->ib->spool, origin, &epoch);
    if (s == NULL || s->own)
        return;
    for (size_t l = 0; l < e->n_lanes; l++) {
        const Fogline__V1__LaneReport *r = e->lanes[l];
        const struct interval_set *seen = &s->lane[r->lane].seen;
        uint64_t top = seen->n > 0 ? seen->at[seen->n - 1].to : 0;
        struct interval range = {r->lowest_held > 0 ? r->lowest_held : 1, 0};

        range.to = r->next > 0 ? r->next - 1 : r->n_held > 0 ? r->held[r->n_held - 1] : 0;
        range.to = top > range.to ? top : range.to;
        if (range.to < range.from)
            continue;
        next_if_full(a, a->peer->session);
        if (!add_lane(a, s, r->lane, range))
            return;
        if (r->lowest_held > 0)
            add_marks(a, s, r->lane, range);
    }
}

static void answer_hello(struct answer *a)
{
    Fogline__V1__Up *up = NULL;

    /* The Hello is read again: between its arrival and this commit others may have come. */
    wire_arena_reset(a->ib->in);
    if (a->peer->hello.len == 0 ||
        wire_up_unpack(a->ib->in, span_of(a->peer->hello.data, a->peer->hello.len), &up) != 0 ||
        up->hello == NULL)
        return;
    add_documents(a, up->hello);
    for (size_t i = 0; i < up->hello->n_epochs; i++)
        answer_report(a, a->peer->node, up->hello->epochs[i]);
    for (size_t i = 0; i < up->hello->n_asks; i++)
        answer_report(a, up->hello->asks[i]->origin, up->hello->asks[i]);
}

void inbox_send_state(struct inbox *ib, struct peer *p, int64_t now_ms)
{
    struct answer a = {.ib = ib, .peer = p, .now_ms = now_ms};
    uint64_t session = p->answer_hello ? p->session : 0;

    answer_begin(&a, session);
    if (p->answer_hello)
        answer_hello(&a);
    for (size_t i = 0; i < p->n_touched; i++) {
        const struct touch *t = &p->touched[i];

        next_if_full(&a, session);
        if (!add_lane(&a, t->stream, t->lane, (struct interval){t->from, t->to}))
            break;
    }
    answer_send(&a);
}

void inbox_push_marks(struct inbox *ib, struct peer *p, int64_t now_ms)
{
    struct answer a = {.ib = ib, .peer = p, .now_ms = now_ms};

    p->next_push_ms = now_ms + HOP_MARK_PUSH_MS;
    answer_begin(&a, 0);
    for (size_t i = 0; i < p->n_dirty; i++) {
        struct spool_stream *s = p->dirty[i].stream;
        unsigned lane = p->dirty[i].lane;
        struct stream_in *si = s->upper_state;
        uint64_t from = si != NULL && si->asked_from[lane] > 0 ? si->asked_from[lane] : 1;

        if (si != NULL)
            si->dirty[lane] = false;
        next_if_full(&a, 0);
        add_marks(&a, s, lane, (struct interval){from, SEQ_COUNT_MAX});
    }
    p->n_dirty = 0;
    if (a.state.n_marks > 0)
        answer_send(&a);
}
