/* Hello and Data: what goes up, and in which order. */
#include "hop/maker.h"
#include "hop/outbox_private.h"

enum {
    PICKS_MAX = 512,
    STREAM_REPORTS_MAX = WIRE_EPOCHS_MAX,
    DOCUMENTS_HELD_MAX = WIRE_DOCUMENTS_MAX,
    RELAYED_INTERVALS_MAX = 16,    /* of held, in a report about another's stream */
    RELAYED_BYTES_MAX = 64 * 1024, /* of a Hello, for what is held of others ... */
    ASKS_BYTES_MAX = 160 * 1024,   /* ... and with what the host asks: the rest is asked with a later one */
};

static const uint64_t no_classes[OUTBOX_CLASSES_MAX];

static void tell_moved(struct outbox *ob, const uint64_t class_bytes[OUTBOX_CLASSES_MAX])
{
    if (ob->options.ops.moved != NULL)
        ob->options.ops.moved(ob->options.ops.ctx, ob->out.len, class_bytes, 0);
}

/* ---- Hello ---- */

static Fogline__V1__LaneReport *lane_report(struct outbox *ob, const struct spool_stream *s, unsigned lane)
{
    size_t intervals = s->own ? WIRE_INTERVALS_MAX : RELAYED_INTERVALS_MAX;
    const struct spool_lane *sl = &s->lane[lane];
    Fogline__V1__LaneReport *r = wire_arena_alloc(ob->arena, sizeof *r);
    bool cut = false;

    if (r == NULL)
        return NULL;
    fogline__v1__lane_report__init(r);
    r->lane = lane;
    r->next = sl->next;
    r->lowest_held = sl->held.n > 0 ? sl->held.at[0].from : 0;
    r->held_count = interval_set_count(&sl->held);
    r->held = wire_bounds_of(ob->arena, &sl->held, 1, SEQ_COUNT_MAX, intervals, &r->n_held, &cut);
    r->held_cut = cut;
    r->samples_produced = sl->produced_samples;
    r->samples_held = sl->held_samples;
    return r;
}

static Fogline__V1__EpochReport *epoch_report(struct outbox *ob, const struct spool_stream *s)
{
    Fogline__V1__EpochReport *e = wire_arena_alloc(ob->arena, sizeof *e);

    if (e == NULL)
        return NULL;
    fogline__v1__epoch_report__init(e);
    e->epoch = wire_bytes(span_of(s->epoch.bytes, ID128_BYTES));
    e->lanes = wire_arena_alloc(ob->arena, LANE_COUNT * sizeof *e->lanes);
    if (e->lanes == NULL)
        return NULL;
    for (unsigned l = 0; l < LANE_COUNT; l++) {
        e->lanes[l] = lane_report(ob, s, l);
        if (e->lanes[l] == NULL)
            return NULL;
    }
    e->n_lanes = LANE_COUNT;
    return e;
}

/* The current epoch first, then the oldest that still hold something. */
static size_t own_epochs(struct outbox *ob, Fogline__V1__EpochReport **out)
{
    const struct spool_stream *own = spool_own(ob->spool);
    size_t n = 0;

    out[n] = epoch_report(ob, own);
    n += out[n] != NULL;
    for (size_t i = 0; i < spool_n_streams(ob->spool) && n < STREAM_REPORTS_MAX; i++) {
        const struct spool_stream *s = spool_stream_at(ob->spool, i);

        if (!s->own || s == own || (s->lane[0].held.n == 0 && s->lane[1].held.n == 0))
            continue;
        out[n] = epoch_report(ob, s);
        n += out[n] != NULL;
    }
    return n;
}

/* How many of n reports fit. */
static size_t fitting(Fogline__V1__EpochReport **reports, size_t n, size_t max_bytes, size_t *bytes)
{
    size_t kept = 0;

    for (; kept < n; kept++) {
        size_t one = fogline__v1__epoch_report__get_packed_size(reports[kept]) + 8;

        if (*bytes + one > max_bytes)
            break;
        *bytes += one;
    }
    return kept;
}

/* A relay asks about every stream it holds records of, whoever is linked to it now: their owner may have gone
 * elsewhere, and marks are never sent twice unasked. Those that do not fit have their turn with the next
 * Hello. */
static size_t relayed_streams(struct outbox *ob, Fogline__V1__EpochReport **out, size_t max, size_t *bytes)
{
    size_t streams = spool_n_streams(ob->spool), n = 0, i;

    for (i = 0; i < streams && n < max; i++) {
        struct spool_stream *s = spool_stream_at(ob->spool, (ob->next_ask + i) % streams);

        if (s->own || (s->lane[0].held.n == 0 && s->lane[1].held.n == 0))
            continue;
        out[n] = epoch_report(ob, s);
        if (out[n] == NULL)
            break;
        out[n]->origin = s->origin;
        if (fitting(out + n, 1, RELAYED_BYTES_MAX, bytes) == 0)
            break;
        n++;
    }
    ob->next_ask = streams > 0 ? (ob->next_ask + i) % streams : 0;
    return n;
}

static void add_asks(struct outbox *ob, Fogline__V1__Hello *h)
{
    const struct outbox_ops *ops = &ob->options.ops;
    size_t bytes = 0, n;

    h->asks = wire_arena_alloc(ob->arena, WIRE_ASKS_MAX * sizeof(*h->asks));
    if (h->asks == NULL)
        return;
    h->n_asks = relayed_streams(ob, h->asks, WIRE_ASKS_MAX, &bytes);
    n = ops->asks(ops->ctx, ob->arena, h->asks + h->n_asks, WIRE_ASKS_MAX - h->n_asks);
    h->n_asks += fitting(h->asks + h->n_asks, n, ASKS_BYTES_MAX, &bytes);
}

/* What has still to be said to be stored above; sizes are those of the stream's mean record. */
static uint64_t backlog_waiting_bytes(const struct outbox *ob)
{
    uint64_t bytes = ob->window[CLASS_BACKLOG].in_flight;

    for (size_t i = 0; i < spool_n_streams(ob->spool); i++) {
        const struct spool_stream *s = spool_stream_at(ob->spool, i);
        const struct stream_out *so = s->lower_state;
        const struct spool_lane *sl = &s->lane[LANE_ORDINARY];
        const struct lane_out *lo = so != NULL ? &so->lane[LANE_ORDINARY] : NULL;
        uint64_t records = interval_set_count(&sl->held);

        if (lo != NULL && records > 0)
            bytes +=
                interval_set_count_in(&lo->unsent, 1, lo->live_from - 1) * (sl->held_bytes / records + 1);
    }
    return bytes;
}

int outbox_send_hello(struct outbox *ob, int64_t now_ms)
{
    const struct outbox_ops *ops = &ob->options.ops;
    Fogline__V1__EpochReport *epochs[STREAM_REPORTS_MAX];
    Fogline__V1__DocumentVersion *documents[DOCUMENTS_HELD_MAX];
    Fogline__V1__Up up = FOGLINE__V1__UP__INIT;
    Fogline__V1__Hello h = FOGLINE__V1__HELLO__INIT;
    Fogline__V1__Clocks clocks = FOGLINE__V1__CLOCKS__INIT;
    int rc;

    wire_arena_reset(ob->arena);
    h.version_min = h.version_max = HOP_VERSION;
    h.session = ob->session;
    if (ob->has_peer)
        h.peer_store = wire_bytes(span_of(ob->peer_store.bytes, ID128_BYTES));
    if (ob->has_archive_id)
        h.archive_id = wire_bytes(span_of(ob->archive_id.bytes, ID128_BYTES));
    h.epochs = epochs;
    h.n_epochs = own_epochs(ob, epochs);
    if (ops->asks != NULL)
        add_asks(ob, &h);
    h.documents = documents;
    h.n_documents = outbox_archive_held(ob, documents);
    if (ops->documents_held != NULL)
        h.n_documents += ops->documents_held(ops->ctx, ob->arena, documents + h.n_documents,
                                             DOCUMENTS_HELD_MAX - h.n_documents);
    if (ops->clocks != NULL) {
        ops->clocks(ops->ctx, &clocks);
        h.clocks = &clocks;
    }
    h.waiting_backlog_bytes = backlog_waiting_bytes(ob);
    if (spool_quota_bytes(ob->spool) > 0)
        h.fill = (uint32_t)(spool_held_bytes(ob->spool) * 1000 / spool_quota_bytes(ob->spool));
    h.stamp = (uint64_t)now_ms;
    h.role = (char *)ob->options.role;
    h.software = (char *)ob->options.software;
    up.format = WIRE_FORMAT;
    up.sender = (char *)spool_node(ob->spool);
    up.body_case = FOGLINE__V1__UP__BODY_HELLO;
    up.hello = &h;
    buf_reset(&ob->out);
    wire_pack(&ob->out, &up.base);
    if (ob->out.error != 0)
        return ob->out.error;
    rc = ops->send(ops->ctx, span_of(ob->out.data, ob->out.len));
    if (rc < 0)
        return rc;
    if (rc == OUTBOX_BLOCKED) {
        ob->hello_at_ms = now_ms + 100;
        return 0;
    }
    ob->counter[OUTBOX_HELLOS]++;
    outbox_drill_hello_sent(ob);
    tell_moved(ob, no_classes);
    ob->hello_sent_ms = now_ms;
    ob->hello_at_ms = now_ms + backoff_next_ms(&ob->hello_backoff);
    return 0;
}

/* ---- Data ---- */

/* A run of consecutive counts chosen for the message being built. */
struct pick {
    struct stream_out *so;
    unsigned lane;
    enum outbox_class class;
    uint64_t from, to, bytes;
};

struct draft {
    struct outbox *ob;
    struct pick picks[PICKS_MAX];
    size_t n_picks;
    Fogline__V1__Stretch *stretches[PICKS_MAX];
    Fogline__V1__Record **records; /* WIRE_RECORDS_MAX, in the arena */
    size_t n_records, bytes;
    uint64_t class_bytes[OUTBOX_CLASSES_MAX];
};

/* By what the link may cost, beside what is in the message already. */
static uint64_t allowed(const struct draft *d, enum outbox_class class)
{
    const struct outbox_ops *ops = &d->ob->options.ops;
    uint64_t most = ops->allowed != NULL ? ops->allowed(ops->ctx, class) : UINT64_MAX;

    return most > d->bytes ? most - d->bytes : 0;
}

static uint64_t room(const struct draft *d, enum outbox_class class)
{
    uint64_t most = outbox_room(d->ob, class, d->class_bytes);

    if (most > 0) {
        uint64_t may = allowed(d, class);

        most = most < may ? most : may;
    }
    return most;
}

static bool flagged_again(const struct outbox *ob, const struct pick *p, uint64_t count, uint32_t flags)
{
    const struct spool_stream *s = p->so->stream;

    if (!outbox_rule(ob, HOP_RULE_AGAIN))
        return false;
    if (!s->own)
        return (flags & RECORD_FLAG_AGAIN) != 0;
    return s != spool_own(ob->spool) || count <= p->so->lane[p->lane].cut;
}

enum { DRAFT_STOP = 1, DRAFT_SKIP = 2 };

/* Puts one record into the message. 0; DRAFT_STOP: no room in message or window; DRAFT_SKIP: not readable. */
static int draft_record(struct draft *d, struct pick *p, uint64_t count)
{
    struct outbox *ob = d->ob;
    struct spool_record r;
    Fogline__V1__Record *m;
    size_t weight;
    int rc = spool_get(ob->spool, p->so->stream, seq_make(p->lane, count), &r);

    if (rc == DB_DAMAGED) {
        ob->counter[OUTBOX_RECORDS_DAMAGED]++;
        ob->settled_waits = true;
        rc = interval_set_add(&p->so->lane[p->lane].corrupt, count, count);
        return rc == 0 ? DRAFT_SKIP : rc;
    }
    if (rc == DB_NOT_FOUND)
        return DRAFT_SKIP;
    if (rc < 0)
        return rc;
    weight = hop_charge(r.payload.len);
    if (d->n_records == WIRE_RECORDS_MAX || d->n_picks == PICKS_MAX || weight > room(d, p->class) ||
        (d->n_records > 0 && d->bytes + weight > WIRE_DATA_TARGET_BYTES))
        return DRAFT_STOP;
    m = wire_arena_alloc(ob->arena, sizeof *m + WIRE_TAG_BYTES);
    if (m == NULL)
        return DRAFT_STOP;
    fogline__v1__record__init(m);
    m->seq = seq_make(p->lane, count);
    m->kind = r.kind;
    m->samples = r.samples;
    m->flags = flagged_again(ob, p, count, r.flags) ? RECORD_FLAG_AGAIN : 0;
    m->payload = wire_bytes(r.payload);
    if (p->so->stream->own && maker_lacks_tag(r.tag)) { /* made before the cloud was known */
        rc = maker_tag(p->so->stream, m->seq, &r, ob->options.keys->tag, r.tag);
        if (rc < 0)
            return rc;
    }
    m->tag = (ProtobufCBinaryData){WIRE_TAG_BYTES, memcpy(m + 1, r.tag, WIRE_TAG_BYTES)};
    d->records[d->n_records++] = m;
    d->bytes += weight;
    d->class_bytes[p->class] += weight;
    p->bytes += weight;
    return 0;
}

static int draft_stretch(struct draft *d, const struct pick *p, size_t first_record)
{
    const struct spool_stream *s = p->so->stream;
    Fogline__V1__Stretch *t = wire_arena_alloc(d->ob->arena, sizeof *t);

    if (t == NULL)
        return -ENOMEM;
    fogline__v1__stretch__init(t);
    if (!s->own)
        t->origin = (char *)s->origin;
    t->epoch = wire_bytes(span_of(s->epoch.bytes, ID128_BYTES));
    t->records = d->records + first_record;
    t->n_records = d->n_records - first_record;
    d->stretches[d->n_picks] = t;
    d->picks[d->n_picks++] = *p;
    return 0;
}

/* Takes counts of [from, to], which are all in unsent, as far as there is room. DRAFT_STOP when the message
 * is full. */
static int draft_run(struct draft *d, struct stream_out *so, unsigned lane, struct pick *p)
{
    struct lane_out *lo = &so->lane[lane];
    uint64_t last = p->to;

    while (p->from <= last) {
        size_t first_record = d->n_records;
        uint64_t count = p->from;
        int rc = 0;

        p->bytes = 0;
        for (; rc == 0 && count <= last; count++) {
            rc = draft_record(d, p, count);
            if (rc != 0)
                break;
        }
        if (rc < 0)
            return rc;
        if (d->n_records > first_record) {
            p->to = count - 1;
            if (draft_stretch(d, p, first_record) != 0)
                return -ENOMEM;
        }
        if (rc == DRAFT_STOP || d->n_picks == PICKS_MAX)
            return DRAFT_STOP;
        if (rc == DRAFT_SKIP && outbox_unsent_remove(lo, count, count) != 0)
            return -ENOMEM;
        p->from = count + 1;
    }
    return 0;
}

static int draft_lane(struct draft *d, struct stream_out *so, unsigned lane, enum outbox_class class)
{
    struct lane_out *lo = &so->lane[lane];
    const struct interval_set *unsent = outbox_unsent_of(lo, class);
    uint64_t low = class == CLASS_LIVE ? lo->live_from : 1;
    uint64_t high = class == CLASS_BACKLOG ? lo->live_from - 1 : SEQ_COUNT_MAX;
    uint64_t at = low, count;

    while (at <= high && interval_set_next(unsent, at, &count) && count <= high) {
        size_t i = interval_set_find(unsent, count);
        uint64_t end = unsent->at[i].to < high ? unsent->at[i].to : high;
        struct pick p = {.so = so, .lane = lane, .class = class, .from = count, .to = end};
        int rc = draft_run(d, so, lane, &p);

        if (rc != 0)
            return rc;
        at = end + 1;
    }
    return 0;
}

/* With the backlog window shut, live records alone would never let the receiver's set close up: every so
 * often the lowest missing one rides along, at the cost of the live window. */
static int draft_lowest(struct draft *d, struct stream_out *so)
{
    struct lane_out *lo = &so->lane[LANE_ORDINARY];
    struct pick p = {.so = so, .lane = LANE_ORDINARY, .class = CLASS_LIVE};
    int rc;

    if (d->ob->since_lowest < HOP_LOWEST_EVERY_RECORDS || d->ob->window[CLASS_BACKLOG].bytes > 0 ||
        !interval_set_next(&lo->unsent, 1, &p.from) || p.from >= lo->live_from)
        return 0;
    p.to = p.from;
    rc = draft_run(d, so, LANE_ORDINARY, &p);
    if (rc == 0)
        d->ob->since_lowest = 0;
    return rc;
}

static int draft_class(struct draft *d, enum outbox_class class, unsigned lane)
{
    struct outbox *ob = d->ob;
    size_t n = spool_n_streams(ob->spool);

    if (room(d, class) == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = (ob->next_stream + i) % n;
        struct stream_out *so = spool_stream_at(ob->spool, at)->lower_state;
        int rc = 0;

        if (so == NULL || outbox_unsent_of(&so->lane[lane], class)->n == 0)
            continue;
        if (class == CLASS_LIVE)
            rc = draft_lowest(d, so);
        if (rc == 0)
            rc = draft_lane(d, so, lane, class);
        if (rc == DRAFT_STOP)
            ob->next_stream = at + (class == CLASS_URGENT ? 0 : 1);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Live is what can be sent soon: when more has piled up than four windows hold, all but the newest window is
 * backlog. */
static void age_live(struct outbox *ob)
{
    uint64_t limit = ob->window[CLASS_LIVE].bytes * 4;

    for (size_t i = 0; i < spool_n_streams(ob->spool); i++) {
        const struct spool_stream *s = spool_stream_at(ob->spool, i);
        struct stream_out *so = s->lower_state;
        const struct spool_lane *sl = &s->lane[LANE_ORDINARY];
        struct lane_out *lo = so != NULL ? &so->lane[LANE_ORDINARY] : NULL;
        uint64_t records = interval_set_count(&sl->held), live, each;

        if (lo == NULL || lo->unsent.n == 0 || records == 0)
            continue;
        each = sl->held_bytes / records + 1;
        live = interval_set_count_in(&lo->unsent, lo->live_from, SEQ_COUNT_MAX);
        if (live > 64 && live * each > limit)
            lo->live_from = lo->unsent.at[lo->unsent.n - 1].to - limit / 4 / each;
    }
}

static struct flight *flight_new(struct outbox *ob)
{
    struct flight *f = ob->spare;

    if (f == NULL)
        return malloc(sizeof *f);
    ob->spare = f->lane_next;
    return f;
}

static int launch(struct outbox *ob, const struct pick *p, int64_t now_ms)
{
    struct lane_out *lo = &p->so->lane[p->lane];
    struct flight *f = flight_new(ob);

    if (f == NULL)
        return -ENOMEM;
    *f = (struct flight){.owner = p->so,
                         .lane = p->lane,
                         .class = p->class,
                         .from = p->from,
                         .to = p->to,
                         .bytes = p->bytes,
                         .sent_ms = now_ms,
                         .resent = ob->rto_ms > HOP_RTO_MIN_MS && ob->smoothed_rtt_ms <= 0};
    f->lane_next = lo->flights;
    f->lane_link = &lo->flights;
    if (lo->flights != NULL)
        lo->flights->lane_link = &f->lane_next;
    lo->flights = f;
    f->time_prev = ob->newest;
    if (ob->newest != NULL)
        ob->newest->time_next = f;
    else
        ob->oldest = f;
    ob->newest = f;
    if (ob->unanswered_since_ms == INT64_MIN)
        ob->unanswered_since_ms = now_ms;
    ob->window[p->class].in_flight += p->bytes;
    ob->since_lowest += (unsigned)(p->to - p->from + 1);
    ob->counter[OUTBOX_RECORDS_SENT] += p->to - p->from + 1;
    if (p->class == CLASS_DRILL)
        ob->counter[OUTBOX_RECORDS_DRILLED] += p->to - p->from + 1;
    return outbox_unsent_remove(lo, p->from, p->to);
}

/* One Data message. *ret_more: it was full, try another. */
static int send_one(struct outbox *ob, struct draft *d, int64_t now_ms, bool *ret_more)
{
    Fogline__V1__Up up = FOGLINE__V1__UP__INIT;
    Fogline__V1__Data data = FOGLINE__V1__DATA__INIT;
    int rc = 0;

    wire_arena_reset(ob->arena);
    d->n_picks = d->n_records = d->bytes = 0;
    memset(d->class_bytes, 0, sizeof d->class_bytes);
    d->records = wire_arena_alloc(ob->arena, WIRE_RECORDS_MAX * sizeof(*d->records));
    if (d->records == NULL)
        return -ENOMEM;
    /* DRAFT_STOP: its window or the message is full; the next class may still fit. */
    for (enum outbox_class c = CLASS_URGENT; rc >= 0 && c < CLASS_COUNT; c++)
        rc = draft_class(d, c, c == CLASS_URGENT ? LANE_URGENT : LANE_ORDINARY);
    if (rc >= 0)
        rc = draft_class(d, CLASS_DRILL, LANE_URGENT);
    if (rc < 0 || d->n_records == 0)
        return rc < 0 ? rc : 0;
    data.session = ob->session;
    data.run = ob->run;
    data.stretches = d->stretches;
    data.n_stretches = d->n_picks;
    data.backlog_bytes = d->class_bytes[CLASS_BACKLOG];
    up.format = WIRE_FORMAT;
    up.sender = (char *)spool_node(ob->spool);
    up.body_case = FOGLINE__V1__UP__BODY_DATA;
    up.data = &data;
    buf_reset(&ob->out);
    wire_pack(&ob->out, &up.base);
    if (ob->out.error != 0)
        return ob->out.error;
    rc = ob->options.ops.send(ob->options.ops.ctx, span_of(ob->out.data, ob->out.len));
    if (rc == OUTBOX_BLOCKED)
        ob->blocked = true;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    ob->counter[OUTBOX_DATA_SENT]++;
    ob->counter[OUTBOX_DATA_BYTES] += ob->out.len;
    tell_moved(ob, d->class_bytes);
    for (size_t i = 0; rc == 0 && i < d->n_picks; i++)
        rc = launch(ob, &d->picks[i], now_ms);
    *ret_more = true;
    return rc;
}

int outbox_send_data(struct outbox *ob, int64_t now_ms)
{
    struct draft d = {.ob = ob};
    struct db_txn *txn;
    bool more = true;
    int rc;

    if (outbox_rule(ob, HOP_RULE_LEASE) && now_ms >= ob->lease_until_ms)
        for (int c = 0; c < CLASS_COUNT; c++)
            ob->window[c].bytes = 0;
    if (ob->window[CLASS_URGENT].bytes + ob->window[CLASS_LIVE].bytes + ob->window[CLASS_BACKLOG].bytes == 0)
        return 0;
    ob->blocked = false;
    age_live(ob);
    rc = spool_read(ob->spool, &txn);
    while (rc == 0 && more) {
        more = false;
        rc = send_one(ob, &d, now_ms, &more);
    }
    spool_read_done(ob->spool);
    return rc;
}
