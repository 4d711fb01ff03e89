#include "helper.h"

#include "base/cleanup.h"

enum { PAYLOAD_BYTES = 100 };

struct id128 id_of(char c)
{
    struct id128 id;

    memset(id.bytes, c, sizeof id.bytes);
    return id;
}

void side_init(struct side *s, const char *node)
{
    *s = (struct side){.node = node, .map_bytes = 8 << 20, .memory_bytes = 4 << 20};
    assert_int_equal(keys_init(), 0);
    tmpdir_init(&s->dir);
    memset(&s->keys, 'k', sizeof s->keys);
    assert_int_equal(wire_arena_new(&s->arena, 4 << 20), 0);
}

void side_close(struct side *s)
{
    s->ob = outbox_free(s->ob);
    s->ib = inbox_free(s->ib);
    s->sp = spool_close(s->sp);
}

void side_deinit(struct side *s)
{
    side_close(s);
    forget_caught(s);
    wire_arena_free(s->arena);
    tmpdir_deinit(&s->dir);
}

void forget_caught(struct side *s)
{
    for (size_t i = 0; i < s->n_caught; i++)
        buf_deinit(&s->caught[i]);
    s->n_caught = 0;
}

static void catch (struct side *s, const char *to, struct span bytes)
{
    assert_true(s->n_caught < CAUGHT_MAX);
    snprintf(s->to[s->n_caught], sizeof s->to[0], "%s", to);
    s->caught[s->n_caught] = (struct buf){0};
    buf_append(&s->caught[s->n_caught++], bytes.data, bytes.len);
}

static int on_send(void *ctx, struct span up)
{
    struct side *s = ctx;

    if (s->blocked)
        return OUTBOX_BLOCKED;
    catch (s, "", up);
    return 0;
}

static void on_reset(void *ctx)
{
    ((struct side *)ctx)->resets++;
}

static size_t on_asks(void *ctx, struct wire_arena *a, Fogline__V1__EpochReport **out, size_t max)
{
    (void)ctx;
    (void)a;
    (void)out;
    (void)max;
    return 0;
}

static int on_archive_changes(void *ctx)
{
    struct side *s = ctx;

    s->archive_changes++;
    return s->archive_changes_result;
}

static int on_relay_damaged(void *ctx)
{
    ((struct side *)ctx)->damaged++;
    return 0;
}

static uint64_t on_allowed(void *ctx, unsigned class)
{
    struct side *s = ctx;

    return s->is_metered ? s->allowed[class] : UINT64_MAX;
}

static void on_moved(void *ctx, uint64_t up_bytes, const uint64_t class_bytes[OUTBOX_CLASSES_MAX],
                     uint64_t down_bytes)
{
    struct side *s = ctx;

    s->up_bytes += up_bytes;
    s->down_bytes += down_bytes;
    for (unsigned i = 0; class_bytes != NULL && i < OUTBOX_CLASSES_MAX; i++)
        s->moved[i] += class_bytes[i];
}

static void open_spool(struct side *s)
{
    static const char *const tables[] = {SPOOL_TABLE_NAMES};
    char proof[PATH_MAX], store[PATH_MAX];
    struct spool_options o = {
        .db = {.path = store,
               .tables = tables,
               .n_tables = SPOOL_TABLES,
               .map_bytes = s->map_bytes,
               .role = "test",
               .no_preallocate = true},
        .node = s->node,
        .quota_bytes = s->quota_bytes,
        .proof_path = proof,
        .boot_id = id_of('b'),
    };
    struct errmsg err = {""};

    snprintf(proof, sizeof proof, "%s", tmpdir_path(&s->dir, "proof"));
    snprintf(store, sizeof store, "%s", tmpdir_path(&s->dir, "store"));
    if (spool_open(&s->sp, &o, &err) != 0)
        fail_msg("%s", err.text);
}

void side_open_lower(struct side *s)
{
    struct outbox_options o = {
        .role = "device",
        .software = "test",
        .keys = &s->keys,
        .seed = 5,
        .ops = {.ctx = s,
                .send = on_send,
                .reset_link = on_reset,
                .asks = s->relays ? on_asks : NULL,
                .relay_damaged = s->relays ? on_relay_damaged : NULL,
                .archive_changes = on_archive_changes,
                .allowed = on_allowed,
                .moved = on_moved},
        .operator_public = s->operator_public,
    };

    open_spool(s);
    o.spool = s->sp;
    assert_int_equal(outbox_new(&s->ob, &o, s->now_ms), 0);
}

/* ---- upper ---- */

static void on_down(void *ctx, const char *node, struct span down)
{
    catch (ctx, node, down);
}

static bool on_may_carry(void *ctx, const char *peer, const char *origin)
{
    (void)ctx;
    return strcmp(peer, origin) == 0;
}

static int on_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    (void)ctx;
    (void)s;
    (void)r;
    return 0;
}

/* As large as marks get. */
static size_t on_marks(void *ctx, struct wire_arena *a, struct spool_stream *stream, unsigned lane,
                       struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct side *s = ctx;
    size_t n = 0;

    (void)stream;
    (void)lane;
    (void)range;
    for (; n < s->n_marks && n < max; n++) {
        uint8_t *bytes = wire_arena_alloc(a, 3000 + KEY_MAC_BYTES);

        out[n] = wire_arena_alloc(a, sizeof **out);
        assert_non_null(out[n]);
        assert_non_null(bytes);
        memset(bytes, 1, 3000 + KEY_MAC_BYTES);
        fogline__v1__mark__init(out[n]);
        out[n]->key_id = 1;
        out[n]->body = (ProtobufCBinaryData){3000, bytes};
        out[n]->mac = (ProtobufCBinaryData){KEY_MAC_BYTES, bytes + 3000};
    }
    return n;
}

static unsigned on_fill(void *ctx)
{
    return ((struct side *)ctx)->fill;
}

static unsigned on_weight(void *ctx, const char *node)
{
    const char *heavy = ((struct side *)ctx)->heavy;

    return heavy != NULL && strcmp(heavy, node) == 0 ? 3 : 1;
}

static void on_forgetting(void *ctx, struct spool_stream *s)
{
    (void)s;
    ((struct side *)ctx)->forgotten++;
}

void side_open_upper(struct side *s)
{
    struct inbox_options o = {
        .node = s->node,
        .seed = 5 + (uint64_t)s->now_ms,
        .memory_bytes = s->memory_bytes,
        .window_max_bytes = 1 << 20,
        .ops = {.ctx = s,
                .send = on_down,
                .may_carry = on_may_carry,
                .record = on_record,
                .fill = on_fill,
                .weight = on_weight,
                .marks = on_marks,
                .forgetting = on_forgetting},
        .archive_id = s->archive,
        .forget_epochs = s->archive == NULL,
    };

    open_spool(s);
    o.spool = s->sp;
    assert_int_equal(inbox_new(&s->ib, &o), 0);
}

/* ---- what was sent ---- */

const Fogline__V1__Up *up_at(struct side *s, size_t i)
{
    Fogline__V1__Up *up = NULL;

    assert_true(i < s->n_caught);
    wire_arena_reset(s->arena);
    assert_int_equal(wire_up_unpack(s->arena, span_of(s->caught[i].data, s->caught[i].len), &up), 0);
    return up;
}

const Fogline__V1__State *state_at(struct side *s, size_t i)
{
    Fogline__V1__Down *down = NULL;

    assert_true(i < s->n_caught);
    wire_arena_reset(s->arena);
    assert_int_equal(wire_down_unpack(s->arena, span_of(s->caught[i].data, s->caught[i].len), &down), 0);
    return down->state;
}

const Fogline__V1__State *last_state(struct side *s)
{
    assert_true(s->n_caught > 0);
    return state_at(s, s->n_caught - 1);
}

size_t records_caught(struct side *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_caught; i++) {
        const Fogline__V1__Up *up = up_at(s, i);

        for (size_t k = 0; up->body_case == FOGLINE__V1__UP__BODY_DATA && k < up->data->n_stretches; k++)
            n += up->data->stretches[k]->n_records;
    }
    return n;
}

unsigned times_sent(struct side *s, uint64_t seq, bool *ret_again)
{
    unsigned n = 0;

    for (size_t i = 0; i < s->n_caught; i++) {
        const Fogline__V1__Up *up = up_at(s, i);

        for (size_t k = 0; up->body_case == FOGLINE__V1__UP__BODY_DATA && k < up->data->n_stretches; k++)
            for (size_t r = 0; r < up->data->stretches[k]->n_records; r++)
                if (up->data->stretches[k]->records[r]->seq == seq) {
                    n++;
                    if (ret_again != NULL)
                        *ret_again = (up->data->stretches[k]->records[r]->flags & RECORD_FLAG_AGAIN) != 0;
                }
    }
    return n;
}

uint64_t session(struct side *s)
{
    for (size_t i = s->n_caught; i-- > 0;) {
        const Fogline__V1__Up *up = up_at(s, i);

        if (up->body_case == FOGLINE__V1__UP__BODY_HELLO)
            return up->hello->session;
    }
    fail_msg("no Hello was sent");
    return 0;
}

/* ---- lower ---- */

uint64_t make(struct side *s, unsigned lane, size_t bytes)
{
    static const uint8_t payload[WIRE_PAYLOAD_MAX_BYTES];
    struct maker_record r = {
        .lane = lane, .kind = FOGLINE__V1__KIND__KIND_EVENT, .payload = span_of(payload, bytes)};
    uint64_t seq = 0;

    assert_int_equal(maker_append(s->sp, s->ob, s->keys.tag, &r, &seq), 0);
    assert_int_equal(spool_commit(s->sp), 0);
    return seq;
}

void relay(struct side *s, const char *origin, char epoch, uint64_t from, uint64_t to)
{
    static const uint8_t payload[PAYLOAD_BYTES];
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_EVENT,
                             .payload = span_of(payload, sizeof payload)};
    struct id128 id = id_of(epoch);
    struct spool_stream *stream;

    assert_int_equal(spool_stream_make(s->sp, origin, &id, &stream), 0);
    for (; from <= to; from++) {
        assert_int_equal(spool_put(s->sp, stream, from, &r), 0);
        outbox_added(s->ob, stream, from);
    }
    assert_int_equal(spool_commit(s->sp), 0);
}

void tick(struct side *s)
{
    int64_t next;

    assert_int_equal(outbox_tick(s->ob, s->now_ms, &next), 0);
}

void tick_until(struct side *s, int64_t to_ms, bool answer_polls)
{
    size_t seen = s->n_caught;

    for (;;) {
        int64_t next;

        assert_int_equal(outbox_tick(s->ob, s->now_ms, &next), 0);
        for (; seen < s->n_caught; seen++) {
            const Fogline__V1__Up *up = up_at(s, seen);
            struct state st;

            if (!answer_polls || up->body_case != FOGLINE__V1__UP__BODY_HELLO)
                continue;
            state_init(&st, up->hello->session, RUN, STORE);
            state_windows(&st, 0, 0, 0);
            state_give(&st, s);
        }
        if (next > to_ms)
            break;
        s->now_ms = next > s->now_ms ? next : s->now_ms + 1;
    }
    s->now_ms = to_ms;
}

void apply(struct side *s)
{
    assert_int_equal(outbox_apply(s->ob, s->now_ms, 0), 0);
    assert_int_equal(spool_commit(s->sp), 0);
}

/* ---- State ---- */

void state_init(struct state *st, uint64_t session, uint64_t run, char store)
{
    memset(st, 0, sizeof *st);
    fogline__v1__state__init(&st->s);
    fogline__v1__windows__init(&st->w);
    st->store = id_of(store);
    st->s.version = HOP_VERSION;
    st->s.run = run;
    st->s.session = session;
    st->s.session_known = session;
    st->s.node = "up";
    st->s.lanes = st->lanes;
    st->s.marks = st->marks;
    st->s.documents = st->documents;
}

void state_windows(struct state *st, uint64_t urgent, uint64_t live, uint64_t backlog)
{
    st->s.windows = &st->w;
    st->w.urgent_bytes = urgent;
    st->w.live_bytes = live;
    st->w.backlog_bytes = backlog;
    st->w.lease_ms = HOP_LEASE_MS;
}

void state_stored(struct state *st, const struct spool_stream *stream, unsigned lane, uint64_t from,
                  uint64_t to)
{
    size_t i = st->s.n_lanes++;

    assert_true(i < LISTS_MAX);
    fogline__v1__lane_state__init(&st->lane[i]);
    st->lanes[i] = &st->lane[i];
    st->epoch[i] = stream->epoch;
    st->bounds[i][0] = from;
    st->bounds[i][1] = to;
    st->lane[i].origin = stream->own ? "" : (char *)stream->origin;
    st->lane[i].epoch = wire_bytes(span_of(st->epoch[i].bytes, ID128_BYTES));
    st->lane[i].lane = lane;
    st->lane[i].highest = st->lane[i].to = to;
    st->lane[i].from = from;
    st->lane[i].stored = st->bounds[i];
    st->lane[i].n_stored = 2;
}

void state_mark(struct state *st, struct side *s, const struct spool_stream *stream, unsigned lane,
                bool archived, uint64_t from, uint64_t to, char archive)
{
    owned(buf_deinit) struct buf head = {0};
    Fogline__V1__MarkBody body = FOGLINE__V1__MARK_BODY__INIT;
    struct id128 archive_id = id_of(archive);
    uint64_t bounds[2] = {from, to};
    size_t i = st->s.n_marks++;

    assert_true(i < LISTS_MAX);
    body.archive_id = wire_bytes(span_of(archive_id.bytes, ID128_BYTES));
    body.origin = (char *)stream->origin;
    body.epoch = wire_bytes(span_of(stream->epoch.bytes, ID128_BYTES));
    body.lane = lane;
    body.from = from;
    body.to = to;
    if (archived) {
        body.archived = bounds;
        body.n_archived = 2;
    } else {
        body.explained = bounds;
        body.n_explained = 2;
    }
    wire_pack(&st->body[i], &body.base);
    wire_mark_head(&head);
    end_mac(s->keys.mark, span_of(head.data, head.len), span_of(st->body[i].data, st->body[i].len),
            st->mac[i]);
    fogline__v1__mark__init(&st->mark[i]);
    st->mark[i].key_id = 1;
    st->mark[i].body = wire_bytes(span_of(st->body[i].data, st->body[i].len));
    st->mark[i].mac = wire_bytes(span_of(st->mac[i], KEY_MAC_BYTES));
    st->marks[i] = &st->mark[i];
}

void state_give(struct state *st, struct side *s)
{
    owned(buf_deinit) struct buf bytes = {0};
    Fogline__V1__Down down = FOGLINE__V1__DOWN__INIT;

    st->s.store = wire_bytes(span_of(st->store.bytes, ID128_BYTES));
    down.format = WIRE_FORMAT;
    down.state = &st->s;
    wire_pack(&bytes, &down.base);
    assert_int_equal(bytes.error, 0);
    assert_int_equal(outbox_on_down(s->ob, span_of(bytes.data, bytes.len), s->now_ms), 0);
    for (size_t i = 0; i < LISTS_MAX; i++)
        buf_deinit(&st->body[i]);
}

void open_link(struct side *s, uint64_t live, uint64_t backlog)
{
    struct state st;

    tick(s);
    state_init(&st, session(s), RUN, STORE);
    state_windows(&st, HOP_WINDOW_MIN_BYTES, live, backlog);
    state_give(&st, s);
    assert_int_equal(outbox_phase(s->ob), OUTBOX_OPEN);
    forget_caught(s);
}

/* ---- messages from below ---- */

static void give_up(struct side *s, const char *node, Fogline__V1__Up *up)
{
    owned(buf_deinit) struct buf bytes = {0};

    up->format = WIRE_FORMAT;
    up->sender = (char *)node;
    wire_pack(&bytes, &up->base);
    assert_int_equal(bytes.error, 0);
    assert_int_equal(inbox_on_up(s->ib, node, span_of(bytes.data, bytes.len), s->now_ms), 0);
}

void give_hello(struct side *s, const char *node, uint64_t number, const struct report *r, size_t n)
{
    Fogline__V1__Up up = FOGLINE__V1__UP__INIT;
    Fogline__V1__Hello h = FOGLINE__V1__HELLO__INIT;
    Fogline__V1__EpochReport e[LISTS_MAX], *epochs[LISTS_MAX];
    Fogline__V1__LaneReport l[LISTS_MAX], *lanes[LISTS_MAX];
    struct id128 id[LISTS_MAX];

    assert_true(n <= LISTS_MAX);
    for (size_t i = 0; i < n; i++) {
        id[i] = id_of(r[i].epoch);
        fogline__v1__epoch_report__init(&e[i]);
        fogline__v1__lane_report__init(&l[i]);
        l[i].next = r[i].next;
        l[i].lowest_held = r[i].lowest;
        lanes[i] = &l[i];
        e[i].epoch = wire_bytes(span_of(id[i].bytes, ID128_BYTES));
        e[i].lanes = &lanes[i];
        e[i].n_lanes = 1;
        epochs[i] = &e[i];
    }
    h.version_min = h.version_max = HOP_VERSION;
    h.session = number;
    h.epochs = epochs;
    h.n_epochs = n;
    h.role = "device";
    h.software = "test";
    h.waiting_backlog_bytes = s->hello_waiting;
    h.fill = s->hello_fill;
    up.body_case = FOGLINE__V1__UP__BODY_HELLO;
    up.hello = &h;
    give_up(s, node, &up);
}

void give_data(struct side *s, const char *node, uint64_t number, uint64_t run, char epoch, uint64_t from,
               uint64_t to)
{
    static uint8_t payload[PAYLOAD_BYTES], tag[WIRE_TAG_BYTES];
    Fogline__V1__Up up = FOGLINE__V1__UP__INIT;
    Fogline__V1__Data d = FOGLINE__V1__DATA__INIT;
    Fogline__V1__Stretch t = FOGLINE__V1__STRETCH__INIT, *stretch = &t;
    Fogline__V1__Record r[64], *records[64];
    struct id128 id = id_of(epoch);

    assert_true(to - from < 64);
    for (uint64_t c = from; c <= to; c++) {
        Fogline__V1__Record *m = &r[c - from];

        fogline__v1__record__init(m);
        m->seq = c;
        m->kind = FOGLINE__V1__KIND__KIND_EVENT;
        m->payload = (ProtobufCBinaryData){sizeof payload, payload};
        m->tag = (ProtobufCBinaryData){sizeof tag, tag};
        records[c - from] = m;
    }
    t.epoch = wire_bytes(span_of(id.bytes, ID128_BYTES));
    t.records = records;
    t.n_records = (size_t)(to - from + 1);
    d.session = number;
    d.run = run;
    d.stretches = &stretch;
    d.n_stretches = 1;
    up.body_case = FOGLINE__V1__UP__BODY_DATA;
    up.data = &d;
    give_up(s, node, &up);
}

void commit(struct side *s)
{
    assert_int_equal(spool_commit(s->sp), 0);
    inbox_committed(s->ib, s->now_ms);
}
