/* The program that is recorded: a device, a fog and a cloud of the real stores and the real hop protocol in
 * one process, on a fake clock, with links that break. Every tier says what it holds when it commits and when
 * it speaks to another.
 *
 *   pipeline FOLDER SEED STEPS      stores in FOLDER/device, fog, cloud; exit 0 when at the end all has
 * arrived */
#include "store.h"

#include "base/cleanup.h"
#include "base/rng.h"
#include "cloud/intake.h"
#include "codec/block.h"
#include "fog/marks.h"
#include "hop/inbox.h"
#include "hop/maker.h"
#include "hop/outbox.h"
#include "log.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUEUE_MAX = 256, SETTLE_STEPS = 400, RESTART_EVERY = 20, TEXT_MAX_BYTES = 250 };

struct letter {
    bool down;
    enum store_tier to;
    struct buf bytes;
};

struct pipe {
    const char *folder;
    struct rng rng;
    struct clock_fake fake;
    struct clock clock;
    int64_t now_ms;
    bool device_up, fog_up; /* the link above */
    struct node_keys keys[STORE_TIERS];
    struct end_keys end[STORE_TIERS];
    struct spool *sp[STORE_TIERS];
    struct outbox *ob[STORE_TIERS];
    struct inbox *ib[STORE_TIERS];
    struct archive *archive;
    struct intake *intake;
    struct marks *marks; /* of the fog */
    struct letter queue[QUEUE_MAX];
    size_t n_queue;
    uint64_t told[STORE_TIERS];
    uint64_t set_id, n_rows;
    struct packer *packer;
    void (*ack)(const void *data, size_t n_bytes);
};

static void must(int r, const char *what)
{
    if (r == 0)
        return;
    fprintf(stderr, "pipeline: %s: %d %s\n", what, r, r < 0 ? strerror(-r) : "");
    exit(1);
}

/* ---- the record of what is promised ---- */

static void tell(struct pipe *p, enum store_tier t)
{
    struct db *db = spool_db(p->sp[t]);
    struct store_ack a = {.tier = (uint8_t)t};
    struct db_txn *txn;

    if (p->ack == NULL || db_last_commit(db) == p->told[t])
        return;
    p->told[t] = db_last_commit(db);
    must(db_begin(db, false, &txn), "read");
    must(store_digest(txn, store_db(t, "").n_tables, a.digest, NULL), "digest");
    db_abort(txn);
    p->ack(&a, sizeof a);
}

/* ---- links ---- */

static void post(struct pipe *p, enum store_tier to, bool down, struct span bytes)
{
    if (p->n_queue == QUEUE_MAX)
        return; /* lost, as messages are */
    struct letter *l = &p->queue[p->n_queue++];
    *l = (struct letter){.down = down, .to = to};
    buf_append(&l->bytes, bytes.data, bytes.len);
}

static int device_send(void *ctx, struct span up)
{
    struct pipe *p = ctx;

    tell(p, STORE_DEVICE);
    if (p->device_up)
        post(p, STORE_FOG, false, up);
    return 0;
}

static int fog_send_up(void *ctx, struct span up)
{
    struct pipe *p = ctx;

    tell(p, STORE_FOG);
    if (p->fog_up)
        post(p, STORE_CLOUD, false, up);
    return 0;
}

static void fog_send_down(void *ctx, const char *node, struct span down)
{
    struct pipe *p = ctx;

    (void)node;
    tell(p, STORE_FOG);
    if (p->device_up)
        post(p, STORE_DEVICE, true, down);
}

static void cloud_send_down(void *ctx, const char *node, struct span down)
{
    struct pipe *p = ctx;

    (void)node;
    tell(p, STORE_CLOUD);
    if (p->fog_up)
        post(p, STORE_FOG, true, down);
}

static void on_reset(void *ctx)
{
    (void)ctx; /* the watchdog's new sockets: the session below it is the outbox's own business */
}

/* ---- the fog between ---- */

static bool fog_may_carry(void *ctx, const char *peer, const char *origin)
{
    (void)ctx;
    return strcmp(peer, origin) == 0;
}

static int fog_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    struct pipe *p = ctx;
    struct spool_record copy = {
        .kind = r->kind, .flags = r->flags, .samples = r->samples, .payload = r->payload};
    int rc;

    memcpy(copy.tag, r->tag, sizeof copy.tag);
    rc = spool_put(p->sp[STORE_FOG], s, r->seq, &copy);
    if (rc == SPOOL_FULL)
        return INBOX_REFUSED;
    if (rc == 0)
        outbox_added(p->ob[STORE_FOG], s, r->seq);
    return rc;
}

static size_t fog_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                        struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct pipe *p = ctx;

    return marks_get(p->marks, s, lane, range, a, out, max);
}

static unsigned fog_fill(void *ctx)
{
    struct pipe *p = ctx;

    return (unsigned)(spool_held_bytes(p->sp[STORE_FOG]) * 1000 / spool_quota_bytes(p->sp[STORE_FOG]));
}

static void fog_forgetting(void *ctx, struct spool_stream *s)
{
    struct pipe *p = ctx;

    outbox_stream_drop(p->ob[STORE_FOG], s);
    marks_drop(p->marks, s);
}

static size_t fog_asks(void *ctx, struct wire_arena *a, Fogline__V1__EpochReport **out, size_t max)
{
    struct pipe *p = ctx;

    return inbox_asks(p->ib[STORE_FOG], a, p->now_ms, out, max);
}

static void fog_mark(void *ctx, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark)
{
    struct pipe *p = ctx;
    struct spool_stream *s;
    struct id128 epoch;

    if (!wire_id128(body->epoch, &epoch))
        return;
    s = spool_find(p->sp[STORE_FOG], body->origin, &epoch);
    if (s == NULL || marks_put(p->marks, body, mark) < 0)
        return;
    inbox_marks_changed(p->ib[STORE_FOG], s, body->lane);
}

/* ---- the cloud: what its daemon does, without sockets ---- */

static bool cloud_may_carry(void *ctx, const char *peer, const char *origin)
{
    return intake_may_carry(((struct pipe *)ctx)->intake, peer, origin);
}

static int cloud_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    return intake_record(((struct pipe *)ctx)->intake, s, r);
}

static int cloud_reported(void *ctx, const char *peer, struct spool_stream *s,
                          const Fogline__V1__LaneReport *r)
{
    return intake_reported(((struct pipe *)ctx)->intake, peer, s, r);
}

static void cloud_hello(void *ctx, const char *peer, const Fogline__V1__Hello *hello)
{
    intake_hello(((struct pipe *)ctx)->intake, peer, hello);
}

static size_t cloud_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                          struct interval range, Fogline__V1__Mark **out, size_t max)
{
    return intake_marks(((struct pipe *)ctx)->intake, a, s, lane, range, out, max);
}

static void cloud_grown(void *ctx, struct spool_stream *s, unsigned lane)
{
    inbox_marks_changed(((struct pipe *)ctx)->ib[STORE_CLOUD], s, lane);
}

/* ---- making the tiers ---- */

static void keys_make(struct pipe *p)
{
    for (int t = 0; t < STORE_TIERS; t++)
        node_keys_generate(&p->keys[t]);
    for (int t = 0; t < STORE_CLOUD; t++)
        must(end_keys_derive(p->keys[t].end_secret, p->keys[t].end_public, p->keys[STORE_CLOUD].end_public,
                             true, &p->end[t]),
             "keys");
}

static void lower_open(struct pipe *p, enum store_tier t)
{
    char path[STORE_PATH_CHARS] = "";
    struct spool_options o = {
        .db = store_db(t, path), .node = store_name[t], .quota_bytes = store_map_bytes[t] / 3};
    struct outbox_options oo = {.role = store_name[t],
                                .software = "crash",
                                .keys = &p->end[t],
                                .seed = rng_u64(&p->rng),
                                .ops = {.ctx = p, .send = device_send, .reset_link = on_reset}};
    struct errmsg err = {""};

    snprintf(path, sizeof path, "%s/%s", p->folder, store_name[t]);
    if (spool_open(&p->sp[t], &o, &err) != 0) {
        fprintf(stderr, "pipeline: %s\n", err.text);
        exit(1);
    }
    if (t == STORE_FOG) {
        oo.ops.send = fog_send_up;
        oo.ops.asks = fog_asks;
        oo.ops.mark = fog_mark;
    }
    oo.spool = p->sp[t];
    must(outbox_new(&p->ob[t], &oo, p->now_ms), "outbox");
    tell(p, t);
}

static void fog_upper_open(struct pipe *p)
{
    struct inbox_options o = {.spool = p->sp[STORE_FOG],
                              .node = store_name[STORE_FOG],
                              .seed = rng_u64(&p->rng),
                              .memory_bytes = 1 << 20,
                              .window_max_bytes = 256 << 10,
                              .forget_epochs = true,
                              .ops = {.ctx = p,
                                      .send = fog_send_down,
                                      .may_carry = fog_may_carry,
                                      .record = fog_record,
                                      .marks = fog_marks,
                                      .fill = fog_fill,
                                      .forgetting = fog_forgetting}};

    must(marks_new(&p->marks), "marks");
    must(inbox_new(&p->ib[STORE_FOG], &o), "inbox");
}

static void cloud_open(struct pipe *p)
{
    char path[STORE_PATH_CHARS] = "";
    struct spool_options so = {.db = store_db(STORE_CLOUD, path), .node = store_name[STORE_CLOUD]};
    struct archive_options o = cloud_archive_options(&so);
    struct intake_options in = {.keys = &p->keys[STORE_CLOUD], .clock = &p->clock};
    struct upper_port_node nodes[STORE_CLOUD];
    struct inbox_options io = {.node = store_name[STORE_CLOUD],
                               .seed = rng_u64(&p->rng),
                               .memory_bytes = 1 << 20,
                               .window_max_bytes = 256 << 10,
                               .ops = {.ctx = p,
                                       .send = cloud_send_down,
                                       .may_carry = cloud_may_carry,
                                       .record = cloud_record,
                                       .reported = cloud_reported,
                                       .marks = cloud_marks,
                                       .hello = cloud_hello}};
    struct errmsg err = {""};

    snprintf(path, sizeof path, "%s/%s", p->folder, store_name[STORE_CLOUD]);
    memset(nodes, 0, sizeof nodes);
    for (int t = 0; t < STORE_CLOUD; t++) {
        snprintf(nodes[t].id, sizeof nodes[t].id, "%s", store_name[t]);
        snprintf(nodes[t].site, sizeof nodes[t].site, "site");
        snprintf(nodes[t].role, sizeof nodes[t].role, "%s", store_name[t]);
        memcpy(nodes[t].transport, p->keys[t].transport_public, KEY_BYTES);
        memcpy(nodes[t].end, p->keys[t].end_public, KEY_BYTES);
    }
    if (archive_open(&p->archive, &o, &err) != 0) {
        fprintf(stderr, "pipeline: %s\n", err.text);
        exit(1);
    }
    p->sp[STORE_CLOUD] = io.spool = archive_spool(p->archive);
    in.archive = p->archive;
    must(intake_new(&p->intake, &in), "intake");
    must(intake_set_nodes(p->intake, nodes, STORE_CLOUD), "nodes");
    must(spool_commit(p->sp[STORE_CLOUD]), "commit");
    io.archive_id = archive_id(p->archive);
    must(inbox_new(&p->ib[STORE_CLOUD], &io), "inbox");
    tell(p, STORE_CLOUD);
}

/* ---- rounds ---- */

static void tick(struct pipe *p, enum store_tier t)
{
    int64_t next = INT64_MAX;

    must(outbox_tick(p->ob[t], p->now_ms, &next), "tick");
    tell(p, t);
}

/* False: the map was full, nothing of the batch happened. */
static bool commit(struct pipe *p, enum store_tier t)
{
    int rc = spool_commit(p->sp[t]);

    if (rc != 0 && rc != DB_FULL)
        must(rc, "commit");
    tell(p, t);
    return rc == 0;
}

static bool lower_commit(struct pipe *p, enum store_tier t)
{
    bool ok = true;

    if (outbox_wants_apply(p->ob[t])) {
        int rc = outbox_apply(p->ob[t], p->now_ms, p->fake.wall_unix_ns);

        if (rc != 0 && rc != DB_FULL && rc != SPOOL_FULL)
            must(rc, "apply");
    }
    if (spool_txn_open(p->sp[t]))
        ok = commit(p, t);
    if (!ok)
        must(outbox_reload(p->ob[t], p->now_ms), "reload");
    return ok;
}

static void device_round(struct pipe *p)
{
    (void)lower_commit(p, STORE_DEVICE);
    tick(p, STORE_DEVICE);
}

static void fog_round(struct pipe *p)
{
    int64_t next = INT64_MAX;

    if (lower_commit(p, STORE_FOG))
        inbox_committed(p->ib[STORE_FOG], p->now_ms);
    else
        must(inbox_reload(p->ib[STORE_FOG]), "reload");
    inbox_tick(p->ib[STORE_FOG], p->now_ms, &next);
    tick(p, STORE_FOG);
}

static void cloud_round(struct pipe *p)
{
    int64_t next = INT64_MAX;

    if (spool_txn_open(p->sp[STORE_CLOUD]) || inbox_wants_commit(p->ib[STORE_CLOUD])) {
        must(intake_flush(p->intake), "flush");
        if (!commit(p, STORE_CLOUD))
            must(-ENOSPC, "the archive is too small for this many steps");
        intake_committed(p->intake, cloud_grown, p);
        inbox_committed(p->ib[STORE_CLOUD], p->now_ms);
    }
    inbox_tick(p->ib[STORE_CLOUD], p->now_ms, &next);
    tell(p, STORE_CLOUD);
}

static void deliver(struct pipe *p)
{
    static const char *const below[STORE_TIERS] = {NULL, "device", "fog"};

    for (size_t i = 0; i < p->n_queue; i++) {
        struct letter l = p->queue[i];
        struct span bytes = span_of(l.bytes.data, l.bytes.len);

        if (l.down && l.to == STORE_FOG && spool_txn_open(p->sp[STORE_FOG]))
            fog_round(p);
        if (l.down)
            must(outbox_on_down(p->ob[l.to], bytes, p->now_ms), "down");
        else
            must(inbox_on_up(p->ib[l.to], below[l.to], bytes, p->now_ms), "up");
        buf_deinit(&l.bytes);
    }
    p->n_queue = 0;
}

/* ---- readings ---- */

static void put_record(struct pipe *p, enum store_tier t, struct maker_record r, const ProtobufCMessage *m)
{
    owned(buf_deinit) struct buf payload = {0};
    struct outbox *ob = p->ob[t];
    uint64_t seq;
    int rc;

    wire_pack(&payload, m);
    must(payload.error, "pack");
    r.payload = span_of(payload.data, payload.len);
    rc = outbox_make_room(ob, spool_charge_bytes(payload.len));
    if (rc == 0)
        rc = maker_append(p->sp[t], ob, p->end[t].tag, &r, &seq);
    if (rc != 0 && rc != SPOOL_FULL && rc != DB_FULL)
        must(rc, "append");
}

static void put_descriptor(struct pipe *p)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_TEXT};
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    Fogline__V1__Descriptor d[2], *at[2] = {&d[0], &d[1]};
    owned(buf_deinit) struct buf packed = {0};

    for (int i = 0; i < 2; i++) {
        fogline__v1__descriptor__init(&d[i]);
        d[i].name = (char *)(i == 0 ? "level" : "note");
        d[i].type = (Fogline__V1__ValueType)types[i];
    }
    set.format = WIRE_FORMAT;
    set.group = (char *)"tank";
    set.channels = at;
    set.n_channels = 2;
    wire_pack(&packed, &set.base);
    must(packed.error, "pack");
    p->set_id = wire_descriptor_set_id(span_of(packed.data, packed.len));
    if (p->packer == NULL)
        must(packer_new(&p->packer, types, 2, 64), "packer");
    put_record(p, STORE_DEVICE, (struct maker_record){.kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR}, &set.base);
}

/* A block of n rows; those with text need several pages of the store. */
static void put_block(struct pipe *p, uint32_t n)
{
    owned(buf_deinit) struct buf body = {0};
    Fogline__V1__Block b = FOGLINE__V1__BLOCK__INIT;
    char text[TEXT_MAX_BYTES];
    bool long_text = rng_below(&p->rng, 4) == 0;
    int64_t first = p->fake.wall_unix_ns + (int64_t)p->n_rows * NS_PER_MS;

    memset(text, 'a' + (int)(p->n_rows % 26), sizeof text);
    packer_clear(p->packer);
    for (uint32_t i = 0; i < n; i++) {
        struct cell cells[2] = {{.f64 = rng_unit(&p->rng)},
                                {.absent = !long_text, .text = span_of(text, sizeof text)}};

        must(packer_add(p->packer, first + i, cells), "row");
        p->n_rows++;
    }
    must(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, packer_block(p->packer), &body), "encode");
    b.format = WIRE_FORMAT;
    b.set_id = p->set_id;
    b.rows = n;
    b.samples = packer_samples(p->packer);
    b.encoding = BLOCK_ENCODING_RAW;
    b.time_first_ns = first;
    b.time_span_ns = n - 1;
    b.body = wire_bytes(span_of(body.data, body.len));
    put_record(p, STORE_DEVICE,
               (struct maker_record){.kind = FOGLINE__V1__KIND__KIND_BLOCK, .samples = b.samples}, &b.base);
}

static void put_event(struct pipe *p, enum store_tier t)
{
    struct maker_record r = {.lane = LANE_URGENT, .kind = FOGLINE__V1__KIND__KIND_EVENT};
    Fogline__V1__Event e = FOGLINE__V1__EVENT__INIT;

    e.format = WIRE_FORMAT;
    e.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE;
    e.time_ns = p->fake.wall_unix_ns;
    e.subject = (char *)"tank";
    e.text = (char *)"somebody knocked";
    put_record(p, t, r, &e.base);
}

static void make_readings(struct pipe *p)
{
    uint64_t n = rng_below(&p->rng, 4);

    for (uint64_t i = 0; i < n; i++)
        if (rng_below(&p->rng, 8) == 0)
            put_event(p, STORE_DEVICE);
        else
            put_block(p, 1 + (uint32_t)rng_below(&p->rng, 40));
    if (n > 0)
        must(spool_fact_put_u64(p->sp[STORE_DEVICE], "cursor/tank", p->n_rows), "fact");
}

/* ---- the whole ---- */

static void step(struct pipe *p, bool make)
{
    int64_t ms = 50 + (int64_t)rng_below(&p->rng, 400);

    p->now_ms += ms;
    p->fake.mono_ns += ms * NS_PER_MS;
    p->fake.wall_unix_ns += ms * NS_PER_MS;
    if (make) {
        make_readings(p);
        if (rng_below(&p->rng, 6) == 0)
            put_event(p, STORE_FOG);
        if (rng_below(&p->rng, 25) == 0)
            p->device_up = !p->device_up;
        if (rng_below(&p->rng, 25) == 0)
            p->fog_up = !p->fog_up;
    }
    device_round(p);
    deliver(p);
    fog_round(p);
    deliver(p);
    cloud_round(p);
    deliver(p);
    fog_round(p);
    deliver(p);
}

/* A process ends and another takes up its store, without a proof that nothing came between: a new epoch, a
 * new life. */
static void restart(struct pipe *p, enum store_tier t)
{
    p->ib[t] = inbox_free(p->ib[t]);
    p->ob[t] = outbox_free(p->ob[t]);
    p->told[t] = 0;
    if (t == STORE_CLOUD) {
        p->intake = intake_free(p->intake);
        p->archive = archive_close(p->archive);
        cloud_open(p);
        return;
    }
    p->sp[t] = spool_close(p->sp[t]);
    lower_open(p, t);
    if (t == STORE_FOG) {
        p->marks = marks_free(p->marks);
        fog_upper_open(p);
    } else {
        put_descriptor(p);
    }
}

static bool empty(const struct pipe *p)
{
    return spool_held_records(p->sp[STORE_DEVICE]) == 0 && spool_held_records(p->sp[STORE_FOG]) == 0;
}

static void close_all(struct pipe *p)
{
    for (int t = 0; t < STORE_TIERS; t++) {
        p->ib[t] = inbox_free(p->ib[t]);
        p->ob[t] = outbox_free(p->ob[t]);
    }
    intake_free(p->intake);
    archive_close(p->archive);
    spool_close(p->sp[STORE_FOG]);
    spool_close(p->sp[STORE_DEVICE]);
    marks_free(p->marks);
    packer_free(p->packer);
}

/* The same seed makes the same keys, epochs and numbers: a failure can be looked at again. */
static uint64_t seeded_state;

static uint32_t seeded_u32(void)
{
    struct rng r = {seeded_state};
    uint64_t v = rng_u64(&r);

    seeded_state = r.state;
    return (uint32_t)v;
}

static void seeded_buf(void *out, size_t n)
{
    uint8_t *at = out;

    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)seeded_u32();
}

static const char *seeded_name(void)
{
    return "seeded";
}

static struct randombytes_implementation seeded = {
    .implementation_name = seeded_name, .random = seeded_u32, .buf = seeded_buf};

int main(int argc, char **argv)
{
    static struct pipe p = {.now_ms = 1000, .device_up = true, .fog_up = true};
    unsigned long steps, i;
    uint64_t evicted;

    if (argc != 4) {
        fprintf(stderr, "usage: pipeline FOLDER SEED STEPS\n");
        return 2;
    }
    seeded_state = p.rng.state = strtoull(argv[2], NULL, 10);
    steps = strtoul(argv[3], NULL, 10);
    must(randombytes_set_implementation(&seeded), "random");
    must(keys_init(), "keys");
    *(void **)&p.ack = dlsym(RTLD_DEFAULT, LOG_ACK_SYMBOL);
    p.fake = (struct clock_fake){.wall_unix_ns = INT64_C(1700000000) * NS_PER_S, .mono_ns = NS_PER_S};
    p.clock = clock_fake_of(&p.fake);
    keys_make(&p);
    p.folder = argv[1];
    lower_open(&p, STORE_DEVICE);
    lower_open(&p, STORE_FOG);
    fog_upper_open(&p);
    cloud_open(&p);
    put_descriptor(&p);
    for (i = 0; i < steps; i++) {
        step(&p, true);
        if (rng_below(&p.rng, RESTART_EVERY) == 0)
            restart(&p, (enum store_tier)rng_below(&p.rng, STORE_TIERS));
    }
    p.device_up = p.fog_up = true;
    for (i = 0; i < SETTLE_STEPS && !empty(&p); i++)
        step(&p, false);
    evicted = outbox_counters(p.ob[STORE_DEVICE])[OUTBOX_RECORDS_EVICTED];
    printf("rows %" PRIu64 " archived %" PRIu64 " evicted %" PRIu64 " left %" PRIu64 "\n", p.n_rows,
           archive_counters(p.archive)[ARCHIVE_RECORDS], evicted,
           spool_held_records(p.sp[STORE_DEVICE]) + spool_held_records(p.sp[STORE_FOG]));
    i = empty(&p);
    close_all(&p);
    return i ? 0 : 1;
}
