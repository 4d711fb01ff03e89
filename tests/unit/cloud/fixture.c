#include "fixture.h"

#include "hop/inbox.h"

#include <sys/stat.h>

const enum column_type fixture_types[COLUMNS] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL, COLUMN_TEXT};

static void on_reply(void *ctx, const char *origin, uint64_t counter)
{
    struct fixture *f = ctx;

    (void)origin;
    f->last_reply = counter;
}

static void device_init(struct fixture *f, unsigned i, const char *name, const char *site)
{
    struct fixture_device *d = &f->device[i];

    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->site, sizeof d->site, "%s", site);
    node_keys_generate(&d->keys);
    assert_int_equal(
        end_keys_derive(d->keys.end_secret, d->keys.end_public, f->cloud.end_public, true, &d->end), 0);
    memset(d->epoch.bytes, (int)(i + 1), ID128_BYTES);
    d->next[0] = d->next[1] = 1;
    snprintf(f->nodes[i].id, sizeof f->nodes[i].id, "%s", name);
    snprintf(f->nodes[i].site, sizeof f->nodes[i].site, "%s", site);
    snprintf(f->nodes[i].role, sizeof f->nodes[i].role, "device");
    memcpy(f->nodes[i].transport, d->keys.transport_public, KEY_BYTES);
    memcpy(f->nodes[i].end, d->keys.end_public, KEY_BYTES);
}

static void setup(struct fixture *f)
{
    assert_int_equal(keys_init(), 0);
    f->fake = (struct clock_fake){.wall_unix_ns = INT64_C(1700000000) * NS_PER_S, .mono_ns = NS_PER_S};
    f->clock = clock_fake_of(&f->fake);
    node_keys_generate(&f->cloud);
    device_init(f, 0, "pump-0", "north");
    device_init(f, 1, "pump-1", "north");
    device_init(f, 2, "fan-2", "south");
    f->reduce[0] = "north";
}

void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    tmpdir_init(&f->dir);
    snprintf(f->path, sizeof f->path, "%.200s/archive", f->dir.path);
    snprintf(f->proof, sizeof f->proof, "%.200s/continuity", f->dir.path);
    setup(f);
    fixture_open(f);
}

void fixture_init_at(struct fixture *f, const char *path)
{
    *f = (struct fixture){0};
    tmpdir_init(&f->dir);
    snprintf(f->path, sizeof f->path, "%s", path);
    snprintf(f->proof, sizeof f->proof, "%.200s/continuity", f->dir.path);
    setup(f);
    fixture_open(f);
}

void fixture_open(struct fixture *f)
{
    struct spool_options so = {.node = "cloud", .proof_path = f->proof};
    struct archive_options o = cloud_archive_options(&so);
    struct intake_options io = {.keys = &f->cloud,
                                .clock = &f->clock,
                                .reduce = f->reduce,
                                .n_reduce = 1,
                                .reply = on_reply,
                                .ctx = f};
    struct errmsg err = {""};
    int r;

    o.spool.db.path = f->path;
    o.spool.db.map_bytes = FIXTURE_MAP_BYTES;
    o.spool.db.no_preallocate = true;
    memset(o.spool.boot_id.bytes, 7, ID128_BYTES);
    r = archive_open(&f->archive, &o, &err);
    if (r != 0)
        fail_msg("archive_open: %d %s", r, err.text);
    io.archive = f->archive;
    assert_int_equal(intake_new(&f->intake, &io), 0);
    assert_int_equal(intake_set_nodes(f->intake, f->nodes, FIXTURE_DEVICES), 0);
    fixture_commit(f);
}

void fixture_close(struct fixture *f)
{
    f->view = view_free(f->view);
    f->db = db_close(f->db);
    f->intake = intake_free(f->intake);
    f->archive = archive_close(f->archive);
}

void fixture_deinit(struct fixture *f)
{
    fixture_close(f);
    buf_deinit(&f->payload);
    tmpdir_deinit(&f->dir);
}

void fixture_commit(struct fixture *f)
{
    assert_int_equal(intake_flush(f->intake), 0);
    assert_int_equal(spool_commit(archive_spool(f->archive)), 0);
    intake_committed(f->intake, NULL, NULL);
}

struct view *fixture_view(struct fixture *f)
{
    struct db_options o = {.path = f->path,
                           .tables = cloud_table_names,
                           .n_tables = CLOUD_TABLES,
                           .role = "cloud",
                           .read_only = true};
    struct errmsg err = {""};
    int r;

    fixture_close(f);
    r = db_open(&f->db, &o, &err);
    if (r != 0)
        fail_msg("db_open: %d %s", r, err.text);
    assert_int_equal(view_new(&f->view, f->db), 0);
    return f->view;
}

void fixture_descriptor(struct buf *out, const char *unit)
{
    static const char *const names[COLUMNS] = {"temperature", "count", "on", "note"};
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    Fogline__V1__Descriptor d[COLUMNS], *at[COLUMNS];

    for (unsigned i = 0; i < COLUMNS; i++) {
        fogline__v1__descriptor__init(&d[i]);
        d[i].name = (char *)names[i];
        d[i].unit = i == 0 ? (char *)unit : (char *)"";
        d[i].type = (Fogline__V1__ValueType)fixture_types[i];
        at[i] = &d[i];
    }
    set.format = WIRE_FORMAT;
    set.group = (char *)"plant";
    set.channels = at;
    set.n_channels = COLUMNS;
    wire_pack(out, &set.base);
    assert_int_equal(out->error, 0);
}

uint64_t fixture_set_id(const char *unit)
{
    struct buf b = {0};
    uint64_t id;

    fixture_descriptor(&b, unit);
    id = wire_descriptor_set_id(span_of(b.data, b.len));
    buf_deinit(&b);
    return id;
}

void fixture_block(struct buf *out, uint64_t set_id, const struct fixture_row *rows, uint32_t n,
                   uint32_t *ret_samples)
{
    Fogline__V1__Block block = FOGLINE__V1__BLOCK__INIT;
    struct buf body = {0};
    struct packer *p;
    int64_t low = rows[0].time_ns, high = low;

    assert_int_equal(packer_new(&p, fixture_types, COLUMNS, n), 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(packer_add(p, rows[i].time_ns, rows[i].cells), 0);
        low = rows[i].time_ns < low ? rows[i].time_ns : low;
        high = rows[i].time_ns > high ? rows[i].time_ns : high;
    }
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, packer_block(p), &body), 0);
    block.format = WIRE_FORMAT;
    block.set_id = set_id;
    block.rows = n;
    block.samples = *ret_samples = packer_samples(p);
    block.encoding = BLOCK_ENCODING_RAW;
    block.time_first_ns = low;
    block.time_span_ns = (uint64_t)(high - low);
    block.body = wire_bytes(span_of(body.data, body.len));
    wire_pack(out, &block.base);
    assert_int_equal(out->error, 0);
    packer_free(p);
    buf_deinit(&body);
}

struct spool_stream *fixture_stream(struct fixture *f, unsigned device)
{
    struct fixture_device *d = &f->device[device];
    struct spool *sp = archive_spool(f->archive);
    struct spool_stream *s = spool_find(sp, d->name, &d->epoch);

    if (s == NULL)
        assert_int_equal(spool_stream_make(sp, d->name, &d->epoch, &s), 0);
    return s;
}

int fixture_put(struct fixture *f, unsigned device, const struct fixture_record *fr, uint64_t *ret_seq)
{
    struct fixture_device *d = &f->device[device];
    struct spool_stream *s = fixture_stream(f, device);
    uint64_t count = fr->count != 0 ? fr->count : d->next[fr->lane];
    struct record r = {.origin = d->name,
                       .epoch = d->epoch,
                       .seq = seq_make(fr->lane, count),
                       .kind = fr->kind,
                       .samples = fr->samples,
                       .flags = fr->flags,
                       .payload = fr->payload};
    struct buf head = {0};
    int e;

    if (ret_seq != NULL)
        *ret_seq = r.seq;
    if (count >= d->next[fr->lane])
        d->next[fr->lane] = count + 1;
    if (interval_set_has(&s->lane[fr->lane].seen, count))
        return INBOX_DUPLICATE;
    wire_tag_head(&head, r.origin, &r.epoch, r.seq, r.kind, r.payload.len);
    end_mac(d->end.tag, span_of(head.data, head.len), r.payload, r.tag);
    r.tag[0] ^= fr->forged;
    buf_deinit(&head);
    e = intake_record(f->intake, s, &r);
    if (e == 0)
        assert_int_equal(
            spool_seen_add(archive_spool(f->archive), s, fr->lane, (struct interval){count, count}), 0);
    return e;
}

int fixture_put_value(struct fixture *f, unsigned device, int64_t time_ns, double value)
{
    struct fixture_row row = {.time_ns = time_ns};
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};

    row.cells[0].f64 = value;
    for (unsigned i = 1; i < COLUMNS; i++)
        row.cells[i].absent = true;
    buf_reset(&f->payload);
    fixture_block(&f->payload, fixture_set_id("Cel"), &row, 1, &r.samples);
    r.payload = span_of(f->payload.data, f->payload.len);
    return fixture_put(f, device, &r, NULL);
}

void fixture_put_descriptor(struct fixture *f, unsigned device, const char *unit)
{
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR};

    buf_reset(&f->payload);
    fixture_descriptor(&f->payload, unit);
    r.payload = span_of(f->payload.data, f->payload.len);
    assert_int_equal(fixture_put(f, device, &r, NULL), 0);
}

void fixture_report(struct fixture *f, unsigned device, unsigned lane, uint64_t samples_produced,
                    const struct interval_set *held)
{
    Fogline__V1__LaneReport r = FOGLINE__V1__LANE_REPORT__INIT;
    uint64_t bounds[2 * WIRE_INTERVALS_MAX];

    r.lane = lane;
    r.next = f->device[device].next[lane];
    r.samples_produced = samples_produced;
    for (size_t i = 0; held != NULL && i < held->n; i++) {
        bounds[2 * i] = held->at[i].from;
        bounds[2 * i + 1] = held->at[i].to;
        r.n_held += 2;
    }
    r.held = bounds;
    r.held_count = held != NULL ? interval_set_count(held) : 0;
    r.lowest_held = r.n_held > 0 ? bounds[0] : 0;
    assert_int_equal(intake_reported(f->intake, f->device[device].name, fixture_stream(f, device), &r), 0);
}
