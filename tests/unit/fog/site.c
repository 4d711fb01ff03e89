#include "tests/unit/fog/site.h"

#include "fog/fog_tier.h"
#include "link/keys.h"
#include "pack/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t no_key[KEY_BYTES];

void site_open(struct site *k)
{
    struct archive_options o = {.spool = {.node = "fog-a", .proof_path = k->proof}};
    struct derived_options d = {.tag_key = no_key};
    struct errmsg err = {""};

    o.spool.db = (struct db_options){.path = k->path,
                                     .tables = fog_tables,
                                     .n_tables = FOG_TABLES,
                                     .map_bytes = 16 << 20,
                                     .role = "fog",
                                     .no_preallocate = true};
    memset(o.spool.boot_id.bytes, 7, ID128_BYTES);
    if (archive_open(&k->archive, &o, &err) != 0)
        fail_msg("%s", err.text);
    d.spool = k->spool = archive_spool(k->archive);
    assert_int_equal(history_new(&k->history, k->archive, "plant-a"), 0);
    history_limit(k->history, &(struct history_limits){4 << 20, 365 * 86400 * S});
    d.history = k->history;
    assert_int_equal(derived_new(&k->derived, &d), 0);
    assert_int_equal(stage_reader_new(&k->reader), 0);
}

void site_close(struct site *k)
{
    k->reader = stage_reader_free(k->reader);
    k->derived = derived_free(k->derived);
    k->history = history_free(k->history);
    k->archive = archive_close(k->archive);
}

int site_setup(struct site *k)
{
    memset(k, 0, sizeof *k);
    tmpdir_init(&k->dir);
    snprintf(k->path, sizeof k->path, "%.200s/spool", k->dir.path);
    snprintf(k->proof, sizeof k->proof, "%.200s/continuity", k->dir.path);
    k->time = (struct clock_fake){T0, 1000 * S};
    k->clock = clock_fake_of(&k->time);
    memset(k->epoch, 1, sizeof k->epoch);
    site_open(k);
    return 0;
}

void site_teardown(struct site *k)
{
    site_close(k);
    tmpdir_deinit(&k->dir);
}

void site_commit(struct site *k)
{
    assert_int_equal(history_flush(k->history, k->time.wall_unix_ns), 0);
    assert_int_equal(spool_commit(k->spool), 0);
    history_committed(k->history);
}

/* ---- records ---- */

struct maker {
    struct pack_tools tools;
    struct pack *pack;
    char name[SPOOL_NAME_BYTES];
    struct spool_stream *stream;
};

static void begin(struct site *k, struct maker *m, unsigned device, const char *channel)
{
    struct pack_channel c = {.type = COLUMN_DOUBLE};
    struct pack_options o = {.group = "g",
                             .channels = &c,
                             .n_channels = 1,
                             .max_rows = 256,
                             .max_bytes = PACK_BYTES_MAX,
                             .encoding = BLOCK_ENCODING_SMALL,
                             .tools = &m->tools};
    struct id128 epoch = {{(uint8_t)(device + 1), k->epoch[device]}};

    snprintf(c.name, sizeof c.name, "%s", channel);
    *m = (struct maker){.pack = NULL};
    assert_int_equal(pack_tools_init(&m->tools), 0);
    assert_int_equal(pack_new(&m->pack, &o), 0);
    snprintf(m->name, sizeof m->name, "pump-%u", device);
    assert_int_equal(spool_stream_make(k->spool, m->name, &epoch, &m->stream), 0);
}

static void end(struct maker *m)
{
    m->pack = pack_free(m->pack);
    pack_tools_deinit(&m->tools);
}

static void give(struct site *k, struct maker *m, const struct record *r, site_stage stage, void *ctx)
{
    assert_int_equal(history_put(k->history, m->stream, r), 0);
    assert_int_equal(stage(ctx, m->stream, r), 0);
}

static void give_set(struct site *k, struct maker *m, unsigned device, site_stage stage, void *ctx)
{
    struct record r = {.origin = m->name,
                       .epoch = m->stream->epoch,
                       .seq = ++k->seq[device],
                       .kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR,
                       .payload = pack_descriptor(m->pack)};

    give(k, m, &r, stage, ctx);
}

void site_give_set(struct site *k, unsigned device, const char *channel, site_stage stage, void *ctx)
{
    struct maker m;

    begin(k, &m, device, channel);
    give_set(k, &m, device, stage, ctx);
    end(&m);
}

static bool has_set(struct site *k, const struct maker *m)
{
    struct stage_set *set;
    struct db_txn *txn;

    assert_int_equal(spool_txn(k->spool, &txn), 0);
    return stage_reader_set(k->reader, txn, m->name, pack_set_id(m->pack), &set) == 0;
}

void site_give(struct site *k, const struct site_rows *rows, site_stage stage, void *ctx)
{
    static const struct pack_clock unknown = {0};
    struct buf payload = {0};
    struct pack_block b;
    struct maker m;
    struct record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK, .flags = rows->flags};

    begin(k, &m, rows->device, rows->channel);
    if (!rows->without_set && !has_set(k, &m))
        give_set(k, &m, rows->device, stage, ctx);
    for (unsigned i = 0; i < rows->n; i++) {
        struct cell cell = {.absent = isnan(rows->value[i]), .f64 = rows->value[i]};
        struct pack_row row = {rows->time_ns + i * S, 0, &cell, 1};

        if (cell.absent)
            cell.f64 = 0;
        assert_int_equal(pack_add(m.pack, &row, 0), 0);
    }
    assert_int_equal(pack_close(m.pack, &unknown, NULL, &payload, &b), 0);
    r.origin = m.name;
    r.epoch = m.stream->epoch;
    r.samples = b.samples;
    r.payload = span_of(payload.data, payload.len);
    r.seq = rows->seq != 0 ? rows->seq : ++k->seq[rows->device];
    give(k, &m, &r, stage, ctx);
    buf_deinit(&payload);
    end(&m);
}

/* ---- events ---- */

static void say(const struct spool_record *r, char *out, size_t bytes)
{
    struct wire_arena *arena;
    Fogline__V1__Event *e;
    size_t n = strlen(out);

    assert_int_equal(wire_arena_new(&arena, 1 << 20), 0);
    assert_int_equal(wire_event_unpack(arena, r->payload, &e), 0);
    snprintf(out + n, bytes - n, "%s %s %g s %s\n",
             e->type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_ALARM_RAISED ? "raised" : "cleared", e->subject,
             (double)(e->time_ns - T0) / (double)S, e->text);
    wire_arena_free(arena);
}

void site_events(struct site *k, char *out, size_t bytes)
{
    const struct interval_set *all = &spool_own(k->spool)->lane[LANE_URGENT].held;
    struct db_txn *txn;

    out[0] = '\0';
    assert_int_equal(spool_txn(k->spool, &txn), 0);
    for (size_t i = 0; i < all->n; i++)
        for (uint64_t n = all->at[i].from; n <= all->at[i].to; n++) {
            struct spool_record r;

            assert_int_equal(spool_get(k->spool, spool_own(k->spool), seq_make(LANE_URGENT, n), &r), 0);
            say(&r, out, bytes);
        }
}
