/* The whole daemon, killed at chosen rows: what stands in the spool is every row of the replay, once, in
 * order.
 *
 * The daemon runs in a child process with a source of this test's own: it counts up, kills its process at a
 * given row and ends it cleanly after the last one. */
#include "device/device.h"
#include "device/device_config.h"
#include "pack/pack.h"
#include "spool/spool.h"
#include "tests/lib/tmpdir.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/rng.h"
#include "ctl/set_starts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

struct count_config {
    struct source_config common;
    uint64_t rows, kill_at;
};

struct counter_source {
    struct count_config config;
    uint32_t group;
    uint64_t n;
};

static const struct config_row count_rows[] = {
    {"rows", CONFIG_U64, CONFIG_AT(struct count_config, rows), .def = "1000", .help = "Rows."},
    {"kill_at", CONFIG_U64, CONFIG_AT(struct count_config, kill_at), .def = "0",
     .help = "SIGKILL at this row; 0: never."},
    {0},
};

static int count_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct counter_source *s = calloc(1, sizeof *s);

    (void)err;
    s->config = *(const struct count_config *)o->config;
    s->n = o->resume != NULL ? o->resume->word[0] : 0;
    *ret_self = s;
    return 0;
}

static void count_close(void *self)
{
    free(self);
}

static int count_declare(void *self, const struct source_sink *sink)
{
    static const struct source_channel channel = {"n", "", COLUMN_INT64};
    struct source_group group = {&channel, 1};

    return sink->group(sink->ctx, &group, &((struct counter_source *)self)->group);
}

static bool count_replayable(const void *self)
{
    (void)self;
    return true;
}

static int count_step(void *self, const struct source_sink *sink, const struct source_now *now,
                      int64_t *ret_next_ns)
{
    struct counter_source *s = self;

    *ret_next_ns = now->mono_ns;
    for (unsigned i = 0; i < SOURCE_STEP_ROWS; i++) {
        struct cell cell = {.i64 = (int64_t)s->n};
        struct source_position position = {{s->n + 1}};
        struct source_row row = {
            .group = s->group, .time_ns = (int64_t)s->n, .cells = &cell, .n_cells = 1, .position = &position};

        if (s->n == s->config.rows) {
            kill(getpid(), SIGTERM);
            return SOURCE_END;
        }
        if (s->config.kill_at != 0 && s->n == s->config.kill_at)
            kill(getpid(), SIGKILL);
        if (sink->row(sink->ctx, &row) != 0)
            return SOURCE_WAIT;
        s->n++;
    }
    return 0;
}

static const struct source_kind count_kind = {.name = "count",
                                              .help = "Counts.",
                                              .rows = count_rows,
                                              .config_bytes = sizeof(struct count_config),
                                              .open = count_open,
                                              .close = count_close,
                                              .declare = count_declare,
                                              .replayable = count_replayable,
                                              .step = count_step};

/* A live source: -1, -2, -3 ... each millisecond; ends the daemon after `rows`. */
static int tick_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct counter_source *s = self;
    struct cell cell = {.i64 = -(int64_t)++s->n};
    struct source_row row = {.group = s->group, .time_ns = now->wall_unix_ns, .cells = &cell, .n_cells = 1};

    (void)ret_next_ns;
    if (s->n == s->config.rows)
        kill(getpid(), SIGTERM);
    return sink->row(sink->ctx, &row);
}

static int64_t tick_interval(const void *self)
{
    (void)self;
    return 1;
}

static const struct source_kind tick_kind = {.name = "tick",
                                             .help = "Ticks.",
                                             .rows = count_rows,
                                             .config_bytes = sizeof(struct count_config),
                                             .open = count_open,
                                             .close = count_close,
                                             .declare = count_declare,
                                             .interval_ms = tick_interval,
                                             .step = tick_step};
static const struct source_kind *const extra[] = {&count_kind, &tick_kind, NULL};

struct bench {
    struct tmpdir dir;
    char config[600], key[600], spool[600];
};

static void write_config(struct bench *b, const char *more)
{
    FILE *f = fopen(b->config, "w");

    assert_non_null(f);
    fprintf(f, "node: dev\nsite: here\nstate_dir: state\nrun_dir: run\nlog:\n  level: error\n%s", more);
    fclose(f);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct node_keys keys;
    struct errmsg err;

    tmpdir_init(&b->dir);
    snprintf(b->config, sizeof b->config, "%s/d.yaml", b->dir.path);
    snprintf(b->key, sizeof b->key, "%s/state/node.key", b->dir.path);
    snprintf(b->spool, sizeof b->spool, "%s/state/spool", b->dir.path);
    assert_int_equal(keys_init(), 0);
    assert_int_equal(file_mkdirs(tmpdir_path(&b->dir, "state"), 0700), 0);
    node_keys_generate(&keys);
    assert_int_equal(node_keys_save(b->key, &keys, &err), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

/* Runs the daemon to its end; returns how it ended, as of waitpid. */
static int run_daemon(struct bench *b)
{
    char *argv[] = {(char *)"fogline-device", (char *)"-c", b->config, NULL};
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60); /* a daemon that hangs fails the test */
        _exit(device_main(3, argv, extra));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

enum { SETS_MAX = 64 };

struct found {
    uint64_t n_rows, n_ticks, n_starts, n_stops;
    uint64_t n_blocks_cold;                                /* name the first set */
    unsigned n_sets;                                       /* different ones */
    uint64_t reduced[FOGLINE__V1__REASON__REASON_REFUSED]; /* by reason, as last said */
};

/* Sets by id, as their records are met: a block that names one that did not come before it fails the test. */
struct sets {
    uint64_t id[SETS_MAX];
    struct block_starts *starts[SETS_MAX];
    unsigned n;
};

static void take_set(struct sets *all, struct wire_arena *arena, struct span payload)
{
    uint64_t id = wire_descriptor_set_id(payload);
    Fogline__V1__DescriptorSet *set;

    for (unsigned i = 0; i < all->n; i++)
        if (all->id[i] == id)
            return;
    assert_true(all->n < SETS_MAX);
    assert_int_equal(wire_descriptor_set_unpack(arena, payload, &set), 0);
    all->id[all->n] = id;
    assert_int_equal(set_starts_new(&all->starts[all->n++], set), 0);
}

static const struct block_starts *starts_of(const struct sets *all, uint64_t id)
{
    for (unsigned i = 0; i < all->n; i++)
        if (all->id[i] == id)
            return all->starts[i];
    fail_msg("a block names a set that did not come before it");
    return NULL;
}

struct spool_reading {
    struct wire_arena *arena;
    struct block_store *store;
    struct sets sets;
    struct found found;
    bool is_cut; /* the oldest records are gone: rows begin anywhere, and sets may come behind their blocks */
};

static void read_block(struct spool_reading *s, struct span payload)
{
    static const enum column_type types[] = {COLUMN_INT64};
    struct found *f = &s->found;
    Fogline__V1__Block *header;
    const struct block *block;

    assert_int_equal(wire_block_unpack(s->arena, payload, &header), 0);
    f->n_blocks_cold += header->set_id == s->sets.id[0];
    assert_int_equal(
        block_decode(&(struct block_shape){header->encoding, types, 1, header->rows, -1,
                                           header->time_first_ns, starts_of(&s->sets, header->set_id)},
                     wire_span(header->body), s->store, &block),
        0);
    for (uint32_t i = 0; i < block->n_rows; i++) {
        int64_t v = block->columns[0].i64[i];

        if (v < 0)
            assert_true(v == -(int64_t)++f->n_ticks || s->is_cut);
        else
            assert_true(v == (int64_t)f->n_rows++ || s->is_cut);
    }
}

static void read_health(struct spool_reading *s, struct span payload)
{
    Fogline__V1__Health *health;

    assert_int_equal(wire_health_unpack(s->arena, payload, &health), 0);
    for (size_t i = 0; health->reductions != NULL && i < health->reductions->n_reduced; i++) {
        const Fogline__V1__Reduced *r = health->reductions->reduced[i];

        assert_true(r->samples >= s->found.reduced[r->reason]);
        s->found.reduced[r->reason] = r->samples;
    }
}

static void read_record(struct spool_reading *s, uint32_t kind, struct span payload)
{
    Fogline__V1__Event *event;

    wire_arena_reset(s->arena);
    if (kind == FOGLINE__V1__KIND__KIND_EVENT) {
        assert_int_equal(wire_event_unpack(s->arena, payload, &event), 0);
        s->found.n_starts += event->type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_START;
        s->found.n_stops += event->type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_STOP;
    }
    if (kind == FOGLINE__V1__KIND__KIND_HEALTH)
        read_health(s, payload);
    if (kind == FOGLINE__V1__KIND__KIND_DESCRIPTOR)
        take_set(&s->sets, s->arena, payload);
    if (kind == FOGLINE__V1__KIND__KIND_BLOCK)
        read_block(s, payload);
}

/* Value of a record: format u8, kind u32, flags u32, samples u32, tag[16], payload. only: of one kind; 0:
 * all. */
static void walk_spool(struct bench *b, struct spool_reading *s, uint32_t only)
{
    static const char *const tables[] = {SPOOL_TABLE_NAMES};
    struct db_options o = {
        .path = b->spool, .tables = tables, .n_tables = SPOOL_TABLES, .role = "device", .read_only = true};
    struct db *db;
    struct db_txn *txn;
    struct db_cursor *c;
    struct span key, value;
    struct errmsg err;
    int rc;

    assert_int_equal(db_open(&db, &o, &err), 0);
    assert_int_equal(db_begin(db, false, &txn), 0);
    assert_int_equal(db_cursor_new(txn, SPOOL_TABLE_RECORDS, &c), 0);
    for (rc = db_cursor_seek(c, span_of("", 0), &key, &value); rc == 0; rc = db_cursor_next(c, &key, &value))
        if (only == 0 || only == load_le32(value.data + 1))
            read_record(s, load_le32(value.data + 1), span_of(value.data + 29, value.len - 29));
    assert_int_equal(rc, DB_NOT_FOUND);
    db_cursor_free(c);
    db_abort(txn);
    db_close(db);
}

static void read_spool_as(struct bench *b, bool is_cut, struct found *ret)
{
    struct spool_reading s = {.is_cut = is_cut};

    assert_int_equal(wire_arena_new(&s.arena, 1 << 20), 0);
    assert_int_equal(block_store_new(&s.store), 0);
    if (is_cut)
        walk_spool(b, &s, FOGLINE__V1__KIND__KIND_DESCRIPTOR);
    walk_spool(b, &s, 0);
    s.found.n_sets = s.sets.n;
    *ret = s.found;
    while (s.sets.n > 0)
        block_starts_free(s.sets.starts[--s.sets.n]);
    block_store_free(s.store);
    wire_arena_free(s.arena);
}

static void read_spool(struct bench *b, struct found *ret)
{
    read_spool_as(b, false, ret);
}

static void a_replay_killed_at_any_row_is_in_the_spool_exactly_once(void **state)
{
    struct bench *b = *state;
    struct rng r = {20};
    enum { ROWS = 200000, KILLS = 12 };
    struct found found;
    unsigned kills = 0;

    for (int i = 0; i <= KILLS; i++) {
        uint64_t kill_at =
            i == KILLS ? 0 : 1 + (uint64_t)i * (ROWS / KILLS) + rng_below(&r, ROWS / KILLS - 1);
        char more[400];
        int status;

        snprintf(more, sizeof more,
                 "commit_ms: %d\npack:\n  ms: 1000\nstore:\n  map_bytes: 16 MiB\nhealth_s: 86400\nsources:\n "
                 " - type: count\n   "
                 " name: c\n    "
                 "rows: %d\n    kill_at: %" PRIu64 "\n",
                 i % 3 == 0 ? 0 : 5, ROWS, kill_at);
        write_config(b, more);
        status = run_daemon(b);
        if (WIFSIGNALED(status)) {
            assert_int_equal(WTERMSIG(status), SIGKILL);
            kills++;
        } else {
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        read_spool(b, &found); /* what is there is a prefix, whatever happened */
        assert_true(found.n_rows <= ROWS);
    }
    assert_true(kills >= KILLS / 2);
    assert_int_equal(found.n_rows, ROWS);
    assert_true(found.n_starts >= 2);
    assert_true(found.n_stops >= 1);
}

static void write_learning(struct bench *b, unsigned rows, unsigned kill_at)
{
    char more[400];

    snprintf(more, sizeof more,
             "commit_ms: 0\npack:\n  rows: 10\n  ms: 1000\nstore:\n  map_bytes: 16 MiB\nhealth_s: "
             "86400\nsources:\n  - type: "
             "count\n    name: c\n    rows: %u\n    kill_at: %u\n",
             rows, kill_at);
    write_config(b, more);
}

static void a_restart_goes_on_with_the_starts_that_were_learnt(void **state)
{
    struct bench *b = *state;
    struct found first, second;

    write_learning(b, 3000, 0);
    assert_int_equal(run_daemon(b), 0);
    read_spool(b, &first);
    assert_int_equal(first.n_rows, 3000);
    assert_true(first.n_sets >= 2); /* better starts were learnt */
    assert_true(first.n_blocks_cold > 0 && first.n_blocks_cold < 150);
    write_learning(b, 6000, 0);
    assert_int_equal(run_daemon(b), 0);
    read_spool(b, &second);
    assert_int_equal(second.n_rows, 6000);
    assert_int_equal(second.n_blocks_cold, first.n_blocks_cold);
    assert_true(second.n_sets <= first.n_sets + 1);
}

/* Sets are learnt after 64, 256 and 1,024 rows: killed around these, and between. read_spool fails when a
 * block names a set whose record does not come before it. */
static void no_kill_leaves_a_block_without_its_set(void **state)
{
    struct bench *b = *state;
    struct rng r = {21};
    struct found found;

    for (unsigned at = 40, lives = 0; at < 4000; lives++) {
        write_learning(b, 4000, at);
        (void)run_daemon(b);
        read_spool(b, &found);
        assert_true(found.n_rows <= at);
        at += lives % 3 == 0 ? 10 : 1 + (unsigned)rng_below(&r, 400);
    }
    write_learning(b, 4000, 0);
    assert_int_equal(run_daemon(b), 0);
    read_spool(b, &found);
    assert_int_equal(found.n_rows, 4000);
    assert_true(found.n_sets >= 2);
}

/* Blocks that push out the oldest records push out the sets that later ones name. Sets are learnt after rows
 * 64, 320 and 1,344 of each source, and some 80 rows of each have room: at the end some are held that name
 * the set before the last, of which every record was let go. */
static void what_an_eviction_leaves_has_its_sets(void **state)
{
    struct bench *b = *state;
    struct found found;

    for (unsigned rows = 1402; rows <= 1404; rows++) {
        char more[1200];
        int n = snprintf(more, sizeof more,
                         "commit_ms: 0\npack:\n  rows: 1\nstore:\n  map_bytes: 4 MiB\n  quota_bytes: 61000\n"
                         "sources:\n");

        for (unsigned i = 0; i < 8; i++)
            n += snprintf(more + n, sizeof more - (size_t)n, "  - type: tick\n    name: t%u\n    rows: %u\n",
                          i, rows);
        write_config(b, more);
        assert_int_equal(run_daemon(b), 0);
        read_spool_as(b, true, &found); /* fails when a block has none */
        assert_true(found.n_ticks > 150 && found.n_ticks < 8 * 1000 && found.n_sets > 8);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
        b = *state;
    }
}

static void a_clean_stop_keeps_the_rows_of_an_open_block(void **state)
{
    struct bench *b = *state;
    struct found found;

    write_config(b, "commit_ms: 600000\nstore:\n  map_bytes: 16 MiB\nsources:\n  - "
                    "type: count\n    name: c\n"
                    "    rows: 42\n");
    assert_int_equal(run_daemon(b), 0);
    read_spool(b, &found);
    assert_int_equal(found.n_rows, 42);
    assert_int_equal(found.n_starts, 1);
    assert_int_equal(found.n_stops, 1);
}

static void a_replay_that_finds_no_room_waits_while_live_rows_go_on(void **state)
{
    struct bench *b = *state;
    enum { ROWS = 3000000, TICKS = 600 };
    struct found found;

    write_config(b, "commit_ms: 5\npack:\n  ms: 10\nstore:\n  map_bytes: 4 MiB\nsources:\n"
                    "  - type: count\n    name: c\n    rows: 3000000\n"
                    "  - type: tick\n    name: t\n    rows: 600\n");
    assert_int_equal(run_daemon(b), 0);
    read_spool(b, &found);
    assert_true(found.n_rows > 0 && found.n_rows < ROWS);
    assert_true(found.n_ticks >= TICKS);
    assert_int_equal(found.n_stops, 1);
}

/* What policy leaves out is counted with the read position behind it: each row of the file is a sample in the
 * spool or one in the account, whenever the process ends. */
static void a_replay_killed_at_any_row_is_accounted_for_exactly(void **state)
{
    static const char *const keeps[] = {"keep: change, deadband: 2.5", "keep: local"};
    enum { ROWS = 30000 };
    struct bench *b = *state;
    struct rng rng = {.state = 29};

    for (unsigned k = 0; k < 2; k++) {
        uint64_t kill_at = 0, left_out;
        char source[400];
        struct found found;

        while (kill_at < ROWS) {
            kill_at += 1 + rng_below(&rng, ROWS / 6);
            snprintf(source, sizeof source,
                     "commit_ms: 3\npack:\n  rows: 37\n  ms: 1000\nsources:\n  - type: count\n    name: "
                     "c%u\n    rows: %d\n"
                     "    kill_at: %" PRIu64 "\n    channels: [{name: n, %s}]\n",
                     k, ROWS, kill_at < ROWS ? kill_at : 0, keeps[k]);
            write_config(b, source);
            if (kill_at < ROWS)
                assert_int_equal(WTERMSIG(run_daemon(b)), SIGKILL);
            else
                assert_int_equal(run_daemon(b), 0);
        }
        read_spool_as(b, true, &found);
        left_out =
            found.reduced[k == 0 ? FOGLINE__V1__REASON__REASON_FILTERED : FOGLINE__V1__REASON__REASON_LOCAL];
        if (k == 0) {
            assert_true(found.n_rows >= ROWS / 3 &&
                        found.n_rows < ROWS / 3 + 64); /* one more for each start */
            assert_int_equal(found.n_rows + left_out, ROWS);
        } else {
            assert_int_equal(left_out, ROWS);
        }
    }
}

/* Flips a bit in each copy of the row that names the device's epoch: 1, own, length of the name, name, epoch.
 */
static void flip_stream_row(struct bench *b)
{
    static const uint8_t head[] = {1, 1, 3, 'd', 'e', 'v'};
    static uint8_t all[4 << 20];
    char file[700];
    unsigned n = 0;
    FILE *f;
    size_t len;

    snprintf(file, sizeof file, "%s/data.mdb", b->spool);
    f = fopen(file, "r+");
    assert_non_null(f);
    len = fread(all, 1, sizeof all, f);
    for (uint8_t *at = all; (at = memmem(at, len - (size_t)(at - all), head, sizeof head)) != NULL;
         at += sizeof head, n++)
        at[sizeof head + 3] ^= 8;
    assert_true(n > 0);
    rewind(f);
    assert_int_equal(fwrite(all, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void a_spool_that_cannot_name_its_records_is_moved_away(void **state)
{
    struct bench *b = *state;
    struct found found;
    char moved[700];

    write_config(b, "store:\n  map_bytes: 4 MiB\nsources:\n  - type: count\n    name: c\n    rows: 42\n");
    assert_int_equal(run_daemon(b), 0);
    flip_stream_row(b);
    assert_int_equal(run_daemon(b), 0);
    read_spool(b, &found);
    assert_int_equal(found.n_rows, 42);
    assert_int_equal(found.n_starts, 1);
    snprintf(moved, sizeof moved, "%s.quarantine-1/data.mdb", b->spool);
    assert_int_equal(access(moved, F_OK), 0);
}

static void a_source_that_does_not_open_stops_the_start(void **state)
{
    struct bench *b = *state;

    write_config(
        b, "store:\n  map_bytes: 16 MiB\nsources:\n  - type: csv\n    name: c\n    path: missing.csv\n");
    assert_int_equal(WEXITSTATUS(run_daemon(b)), 1);
}

static void the_schema_is_sound(void **state)
{
    struct device_tier tier;
    struct errmsg err = {""};

    (void)state;
    assert_int_equal(device_tier_init(&tier, extra, NULL, &err), 0);
    if (config_schema_check(&tier.schema, &err) != 0)
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_is_sound),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_with_the_starts_that_were_learnt, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_kill_leaves_a_block_without_its_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_eviction_leaves_has_its_sets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clean_stop_keeps_the_rows_of_an_open_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replay_that_finds_no_room_waits_while_live_rows_go_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_replay_killed_at_any_row_is_accounted_for_exactly, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_spool_that_cannot_name_its_records_is_moved_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_does_not_open_stops_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replay_killed_at_any_row_is_in_the_spool_exactly_once, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
