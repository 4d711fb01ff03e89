#include "plant.h"

#include "base/file.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STEP_MS = 5, PATIENCE_MS = 20000, POLL_MS = 200 };

static const char *const spool_tables[] = {SPOOL_TABLE_NAMES};

void plant_path(const struct plant *p, char out[CTL_FILE_CHARS], const char *name)
{
    snprintf(out, CTL_FILE_CHARS, "%s/%s", p->folder, name);
}

static struct spool *open_spool(struct plant *p, const char *role, const char *node)
{
    char path[CTL_FILE_CHARS];
    struct spool_options o = {.db = {.path = path,
                                     .tables = spool_tables,
                                     .n_tables = 5,
                                     .map_bytes = 16 << 20,
                                     .role = role,
                                     .no_preallocate = true},
                              .node = node,
                              .continue_unproven = true};
    struct spool *sp;
    struct errmsg err = {""};

    plant_path(p, path, role);
    if (spool_open(&sp, &o, &err) != 0)
        fail_msg("%s", err.text);
    return sp;
}

/* ---- the cloud ---- */

static bool cloud_may_carry(void *ctx, const char *peer, const char *origin)
{
    (void)ctx;
    (void)origin;
    return strcmp(peer, "fog-a") == 0;
}

/* Origin's tag key from the cloud's side: the fog has no part in it. */
static bool tag_ok(struct plant *p, const struct record *r)
{
    const uint8_t *end = strcmp(r->origin, "fog-a") == 0 ? p->d.keys.end_public : p->device.keys.end_public;
    struct end_keys k;
    struct buf head = {0};
    bool ok;

    assert_int_equal(end_keys_derive(p->cloud.keys.end_secret, p->cloud.keys.end_public, end, false, &k), 0);
    wire_tag_head(&head, r->origin, &r->epoch, r->seq, r->kind, (uint32_t)r->payload.len);
    ok = end_mac_ok(k.tag, span_of(head.data, head.len), r->payload, span_of(r->tag, sizeof(r->tag)));
    buf_deinit(&head);
    return ok;
}

static int cloud_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    struct plant *p = ctx;

    (void)s;
    p->cloud.n_records++;
    p->cloud.n_bad_tags += !tag_ok(p, r);
    return 0;
}

static size_t cloud_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                          struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct plant *p = ctx;
    Fogline__V1__MarkBody body = FOGLINE__V1__MARK_BODY__INIT;
    const uint8_t *end = strcmp(s->origin, "fog-a") == 0 ? p->d.keys.end_public : p->device.keys.end_public;
    struct end_keys k;
    struct buf packed = {0}, input = {0};
    Fogline__V1__Mark *m = wire_arena_alloc(a, sizeof(*m));

    body.archived = wire_bounds_of(a, &s->lane[lane].seen, range.from, range.to, 32, &body.n_archived, NULL);
    if (max == 0 || m == NULL || body.n_archived == 0)
        return 0;
    body.archive_id = wire_bytes(span_of(p->cloud.archive_id.bytes, ID128_BYTES));
    body.origin = s->origin;
    body.epoch = wire_bytes(span_of(s->epoch.bytes, ID128_BYTES));
    body.lane = lane;
    body.from = range.from;
    body.to = body.archived[body.n_archived - 1];
    wire_pack(&packed, &body.base);
    wire_mark_input(&input, span_of(packed.data, packed.len));
    fogline__v1__mark__init(m);
    uint8_t *bytes = wire_arena_alloc(a, packed.len + KEY_MAC_BYTES);
    memcpy(bytes, packed.data, packed.len);
    assert_int_equal(end_keys_derive(p->cloud.keys.end_secret, p->cloud.keys.end_public, end, false, &k), 0);
    end_mac(k.mark, span_of(input.data, input.len), span_of(NULL, 0), bytes + packed.len);
    m->key_id = 1;
    m->body = wire_bytes(span_of(bytes, packed.len));
    m->mac = wire_bytes(span_of(bytes + packed.len, KEY_MAC_BYTES));
    buf_deinit(&packed);
    buf_deinit(&input);
    out[0] = m;
    return 1;
}

static size_t cloud_documents(void *ctx, struct wire_arena *a, const char *peer,
                              const Fogline__V1__Hello *hello, Fogline__V1__Document **out, size_t max)
{
    struct plant *p = ctx;
    size_t n = 0;

    (void)peer;
    (void)hello;
    if (p->cloud.nodes_doc.len > 0 && n < max)
        n += wire_document_unpack(a, span_of(p->cloud.nodes_doc.data, p->cloud.nodes_doc.len), &out[n]) == 0;
    if (p->cloud.command_doc.len > 0 && n < max)
        n += wire_document_unpack(a, span_of(p->cloud.command_doc.data, p->cloud.command_doc.len), &out[n]) ==
             0;
    return n;
}

static void on_failed(void *ctx, int error)
{
    (void)ctx;
    fail_msg("a port failed: %d", error);
}

void plant_start_cloud(struct plant *p)
{
    struct upper_port_options o = {.loop = p->d.loop,
                                   .zmq_ctx = p->zmq_ctx,
                                   .keys = &p->cloud.keys,
                                   .bind_host = "127.0.0.1",
                                   .failed = on_failed,
                                   .inbox = {.node = "cloud",
                                             .seed = 3,
                                             .memory_bytes = 8 << 20,
                                             .window_max_bytes = 1 << 20,
                                             .archive_id = &p->cloud.archive_id,
                                             .ops = {.ctx = p,
                                                     .may_carry = cloud_may_carry,
                                                     .record = cloud_record,
                                                     .marks = cloud_marks,
                                                     .documents = cloud_documents}}};
    struct upper_port_node fog = plant_node(p, true);
    struct errmsg err = {""};

    o.inbox.spool = p->cloud.spool = open_spool(p, "cloud", "cloud");
    if (upper_port_new(&p->cloud.port, &o, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(upper_port_set_nodes(p->cloud.port, &fog, 1), 0);
}

/* ---- the device ---- */

static void device_document(void *ctx, const Fogline__V1__Document *d)
{
    struct plant *p = ctx;
    struct command_trust t = {"pump-1", p->cloud.operator.public_key, p->device.end_keys.seal,
                              p->device.command.counter};

    p->device.n_commands += command_open(d, &t, &p->device.command) == 0;
}

static size_t device_documents_held(void *ctx, struct wire_arena *a, Fogline__V1__DocumentVersion **out,
                                    size_t max)
{
    struct plant *p = ctx;
    Fogline__V1__DocumentVersion *v = wire_arena_alloc(a, sizeof(*v));

    if (v == NULL || max == 0 || p->device.command.counter == 0)
        return 0;
    fogline__v1__document_version__init(v);
    v->kind = (char *)"command";
    v->version = p->device.command.counter;
    out[0] = v;
    return 1;
}

void plant_start_device(struct plant *p)
{
    struct lower_port_options o = {
        .loop = p->d.loop,
        .zmq_ctx = p->zmq_ctx,
        .keys = &p->device.keys,
        .n_upstreams = 1,
        .failed = on_failed,
        .upstreams = {{.host = "127.0.0.1", .port = fog_port(p->fog)}},
        .outbox = {.role = "device",
                   .software = "test",
                   .keys = &p->device.end_keys,
                   .seed = 4,
                   .poll_ms = POLL_MS,
                   .ops = {.ctx = p, .document = device_document, .documents_held = device_documents_held}}};
    struct errmsg err = {""};

    memcpy(o.upstreams[0].transport, p->d.keys.transport_public, KEY_BYTES);
    o.outbox.spool = p->device.spool = open_spool(p, "device", "pump-1");
    if (lower_port_new(&p->device.port, &o, &err) != 0)
        fail_msg("%s", err.text);
}

void plant_make_records(struct plant *p, unsigned n, size_t bytes)
{
    static const uint8_t payload[4096];
    struct maker_record r = {.kind = FOGLINE__V1__KIND__KIND_HEALTH, .samples = 1};
    struct db_txn *txn;
    uint64_t seq;

    assert_true(bytes <= sizeof(payload));
    r.payload = span_of(payload, bytes);
    assert_int_equal(spool_txn(p->device.spool, &txn), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(maker_append(p->device.spool, lower_port_outbox(p->device.port),
                                      p->device.end_keys.tag, &r, &seq),
                         0);
    assert_int_equal(spool_commit(p->device.spool), 0);
    lower_port_pump(p->device.port);
}

/* ---- the fog ---- */

void plant_start_fog(struct plant *p, bool with_cloud)
{
    char text[2048], key[KEY_TEXT_CHARS];
    struct config_text t = {.name = "fog.yaml"};
    struct config_problems problems = {0};
    struct errmsg err = {""};

    link_key_format(&p->link, key);
    snprintf(text, sizeof(text),
             "node: fog-a\nsite: plant\nstate_dir: %s/state\nrun_dir: %s/run\nlog: {level: error}\n"
             "store: {map_bytes: 16 MiB, quota_bytes: %" PRIu64 "}\nlisten: {host: 127.0.0.1}\n"
             "up: {endpoints: ['127.0.0.1:%u'], keys: ['%s'], poll: 200 ms}\n",
             p->folder, p->folder, p->quota_bytes, with_cloud ? upper_port_port(p->cloud.port) : 1, key);
    t.text = span_str(text);
    p->d.values = calloc(1, fog_schema.size);
    if (config_load_text(&fog_schema, &t, p->d.values, &problems) != 0) {
        config_problems_print(&problems, stderr);
        fail();
    }
    p->d.settings = &((struct fog_config *)p->d.values)->common;
    ((struct fog_config *)p->d.values)->common.listen_port = 0; /* any that is free */
    ctl_paths_make(&p->d.paths, p->d.settings, "spool");
    assert_int_equal(ctl_paths_ready(&p->d.paths, &err), 0);
    if (fog_new(&p->fog, &p->d, &err) != 0)
        fail_msg("%s", err.text);
}

struct upper_port_node plant_node(struct plant *p, bool of_fog)
{
    const struct node_keys *k = of_fog ? &p->d.keys : &p->device.keys;
    struct upper_port_node n = {.site = "plant"};

    snprintf(n.id, sizeof(n.id), "%s", of_fog ? "fog-a" : "pump-1");
    snprintf(n.role, sizeof(n.role), "%s", of_fog ? "fog" : "device");
    memcpy(n.transport, k->transport_public, KEY_BYTES);
    memcpy(n.end, k->end_public, KEY_BYTES);
    return n;
}

/* ---- the loop ---- */

static void commit_cloud(struct plant *p)
{
    if (p->cloud.port == NULL || !(spool_txn_open(p->cloud.spool) || upper_port_wants_commit(p->cloud.port)))
        return;
    assert_int_equal(spool_commit(p->cloud.spool), 0);
    upper_port_committed(p->cloud.port);
}

static void commit_device(struct plant *p)
{
    if (p->device.port == NULL || !outbox_wants_apply(lower_port_outbox(p->device.port)))
        return;
    assert_int_equal(outbox_apply(lower_port_outbox(p->device.port), loop_now_ms(p->d.loop), 0), 0);
    assert_int_equal(spool_commit(p->device.spool), 0);
    lower_port_pump(p->device.port);
}

static void on_step(void *ctx)
{
    struct plant *p = ctx;
    int64_t now_ms = loop_now_ms(p->d.loop);

    commit_cloud(p);
    commit_device(p);
    p->timed_out = now_ms >= p->deadline_ms;
    if (p->done(p) || p->timed_out)
        loop_stop(p->d.loop);
    loop_timer_set(p->step, now_ms + STEP_MS);
}

void plant_run(struct plant *p, bool (*done)(struct plant *p))
{
    p->done = done;
    p->deadline_ms = loop_now_ms(p->d.loop) + PATIENCE_MS;
    p->timed_out = false;
    assert_int_equal(loop_timer_new(p->d.loop, on_step, p, &p->step), 0);
    loop_timer_set(p->step, loop_now_ms(p->d.loop));
    assert_int_equal(fog_run(p->fog), CTL_OK);
    loop_timer_free(p->step);
    p->step = NULL;
    if (p->timed_out)
        fail_msg("it did not happen within %d ms", PATIENCE_MS);
}

static void new_loop(struct plant *p)
{
    assert_int_equal(loop_new(&p->d.loop, &p->d.clock), 0);
}

void plant_stop_fog(struct plant *p)
{
    p->device.port = lower_port_free(p->device.port);
    p->device.spool = spool_close(p->device.spool);
    p->cloud.port = upper_port_free(p->cloud.port);
    p->cloud.spool = spool_close(p->cloud.spool);
    p->fog = fog_free(p->fog);
    if (p->d.values != NULL) {
        config_free_values(&fog_schema, p->d.values);
        free(p->d.values);
        p->d.values = NULL;
    }
    p->d.loop = loop_free(p->d.loop);
    new_loop(p);
}

int plant_setup(void **state)
{
    struct plant *p = calloc(1, sizeof(*p));
    const char *tmp = getenv("TMPDIR");

    assert_int_equal(keys_init(), 0);
    log_set_level(LOG_LEVEL_ERROR);
    snprintf(p->folder, sizeof(p->folder), "%.200s/fogline-fog-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(p->folder) == NULL || link_context_new(&p->zmq_ctx) != 0)
        return -1;
    p->d.tier = &fog_tier_daemon;
    p->d.config_path = "fog.yaml";
    p->d.clock = clock_real;
    p->d.started_unix_ns = clock_wall_unix_ns(&clock_real);
    p->d.boot_id = clock_boot_id();
    node_keys_generate(&p->d.keys);
    node_keys_generate(&p->device.keys);
    node_keys_generate(&p->cloud.keys);
    operator_keys_generate(&p->cloud.operator);
    p->cloud.archive_id = id128_random();
    memcpy(p->link.upper_transport, p->cloud.keys.transport_public, KEY_BYTES);
    memcpy(p->link.cloud_end, p->cloud.keys.end_public, KEY_BYTES);
    memcpy(p->link.operator_public, p->cloud.operator.public_key, KEY_BYTES);
    if (end_keys_derive(p->device.keys.end_secret, p->device.keys.end_public, p->cloud.keys.end_public, true,
                        &p->device.end_keys) != 0)
        return -1;
    new_loop(p);
    *state = p;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int plant_teardown(void **state)
{
    struct plant *p = *state;

    plant_stop_fog(p);
    loop_free(p->d.loop);
    link_context_free(p->zmq_ctx);
    buf_deinit(&p->cloud.nodes_doc);
    buf_deinit(&p->cloud.command_doc);
    nftw(p->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}
