/* What goes up of a record: by pattern, and the exceptions that always go up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/archive.h"
#include "archive/view.h"
#include "base/rng.h"
#include "fog/derived.h"
#include "fog/fog_config.h"
#include "fog/fog_tier.h"
#include "fog/uplink.h"
#include "link/keys.h"
#include "tests/lib/tmpdir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S INT64_C(1000000000)
#define T0 (INT64_C(1700000000) * S)

enum { RULES = 3 };

struct site {
    struct tmpdir dir;
    char path[300], proof[300];
    struct archive *archive;
    struct spool *spool;
    struct history *history;
    struct derived *derived;
    struct uplink *uplink;
    struct uplink_config rule[RULES];
    struct config_item items[RULES];
    struct config_list rules;
    struct buf payload; /* of the block made last */
    struct record record;
    struct spool_stream stream; /* as the inbox knows it; the set stands under the fog's own name */
};

static const uint8_t no_key[KEY_BYTES];
static const struct pack_channel channels[3] = {{"pump-1.flow", "m3/h", COLUMN_DOUBLE},
                                                {"pump-1.noise", "dB", COLUMN_DOUBLE},
                                                {"pump-1.level", "m", COLUMN_DOUBLE}};
static const char *const of_pump[] = {"kind=pump", NULL};
static const char *const *const tags[3] = {of_pump, of_pump, of_pump};

static void open_history(struct site *k)
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
    if (archive_open(&k->archive, &o, &err) != 0)
        fail_msg("%s", err.text);
    d.spool = k->spool = archive_spool(k->archive);
    assert_int_equal(history_new(&k->history, k->archive, "plant-a"), 0);
    history_limit(k->history, &(struct history_limits){4 << 20, 365 * 86400 * S});
    d.history = k->history;
    assert_int_equal(derived_new(&k->derived, &d), 0);
}

static void open_uplink(struct site *k)
{
    struct uplink_options u = {.derived = k->derived,
                               .table = FOG_TABLE_UPLINK,
                               .spool = k->spool,
                               .rules = &k->rules,
                               .site = "plant-a"};

    assert_int_equal(uplink_new(&k->uplink, &u), 0);
}

static void close_all(struct site *k)
{
    k->uplink = uplink_free(k->uplink);
    k->derived = derived_free(k->derived);
    k->history = history_free(k->history);
    k->archive = archive_close(k->archive);
}

static int setup(void **state)
{
    static struct site k;

    memset(&k, 0, sizeof k);
    tmpdir_init(&k.dir);
    snprintf(k.path, sizeof k.path, "%.200s/spool", k.dir.path);
    snprintf(k.proof, sizeof k.proof, "%.200s/continuity", k.dir.path);
    open_history(&k);
    for (unsigned i = 0; i < RULES; i++)
        k.items[i].value = &k.rule[i];
    k.rules.at = k.items;
    k.stream = (struct spool_stream){.no = 77, .origin = "fog-a", .epoch = {{5}}};
    open_uplink(&k);
    *state = &k;
    return 0;
}

static int teardown(void **state)
{
    struct site *k = *state;

    close_all(k);
    interval_set_deinit(&k->stream.lane[0].seen);
    buf_deinit(&k->payload);
    tmpdir_deinit(&k->dir);
    return 0;
}

static void rule(struct site *k, const char *select, enum uplink_way send)
{
    struct uplink_config *c = &k->rule[k->rules.n++];

    snprintf(c->select, sizeof c->select, "%s", select);
    c->send = send;
    uplink_renew(k->uplink);
}

/* A block of the first n channels, as a record in hand. */
static void make(struct site *k, unsigned n)
{
    struct cell cells[3] = {{.f64 = 1}, {.f64 = 2}, {.f64 = 3}};
    struct pack_row row = {.time_ns = T0, .cells = cells};
    char group[8];
    struct derived_group g = {group, channels, n, tags};
    struct spool_record r;
    uint64_t seq;

    snprintf(group, sizeof group, "g%u", n);
    assert_int_equal(derived_put(k->derived, &g, &row, 1, NULL, &seq), 0);
    assert_int_equal(spool_get(k->spool, spool_own(k->spool), seq, &r), 0);
    buf_reset(&k->payload);
    buf_append(&k->payload, r.payload.data, r.payload.len);
    k->record = (struct record){.origin = "fog-a",
                                .epoch = spool_own(k->spool)->epoch,
                                .seq = seq,
                                .kind = r.kind,
                                .samples = r.samples,
                                .payload = span_of(k->payload.data, k->payload.len)};
}

static enum uplink_way judge(struct site *k, bool is_new, bool is_refused)
{
    struct uplink_record r = {&k->stream, &k->record, is_new, is_refused};
    enum uplink_way way;

    assert_int_equal(uplink_judge(k->uplink, &r, &way), 0);
    return way;
}

static void the_first_pattern_counts_and_else_all_goes_up(void **state)
{
    struct site *k = *state;

    make(k, 1);
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    rule(k, "*/*/*.level", UPLINK_LOCAL);
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    rule(k, "plant-a/fog-a/*.flow", UPLINK_AGGREGATES);
    assert_int_equal(judge(k, true, false), UPLINK_AGGREGATES);
    rule(k, "**", UPLINK_LOCAL);
    assert_int_equal(judge(k, true, false), UPLINK_AGGREGATES);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_AGGREGATES], 2);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BYTES_STAY], 2 * k->record.payload.len);
}

static void tags_choose_too(void **state)
{
    struct site *k = *state;

    rule(k, "plant-a/kind=pump", UPLINK_LOCAL);
    make(k, 2);
    assert_int_equal(judge(k, true, false), UPLINK_LOCAL);
    rule(k, "plant-a/kind=fan", UPLINK_LOCAL);
    assert_int_equal(judge(k, true, false), UPLINK_LOCAL);
}

/* A record is never changed: one raw channel takes the others along. */
static void one_raw_channel_takes_its_block_along(void **state)
{
    struct site *k = *state;

    rule(k, "**/*.noise", UPLINK_LOCAL);
    make(k, 2);
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_MIXED], 1);
    rule(k, "**/*.flow", UPLINK_AGGREGATES);
    assert_int_equal(judge(k, true, false), UPLINK_AGGREGATES);
}

static void what_another_fog_may_have_goes_up(void **state)
{
    struct site *k = *state;

    rule(k, "**", UPLINK_LOCAL);
    make(k, 1);
    k->record.flags = RECORD_FLAG_AGAIN;
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    k->record.flags = 0;
    assert_int_equal(judge(k, false, false), UPLINK_RAW);
    assert_int_equal(judge(k, true, true), UPLINK_RAW);
    assert_int_equal(judge(k, true, false), UPLINK_LOCAL);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_AGAIN], 1);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_NOT_KEPT], 1);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_REFUSED], 1);
}

static void events_and_what_cannot_be_read_go_up(void **state)
{
    struct site *k = *state;

    rule(k, "**", UPLINK_LOCAL);
    make(k, 1);
    k->record.origin = "pump-9"; /* its descriptor set has not come */
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_NO_SET], 1);
    k->record.origin = "fog-a";
    k->record.kind = FOGLINE__V1__KIND__KIND_EVENT;
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    k->record.kind = FOGLINE__V1__KIND__KIND_BLOCK;
    k->record.payload = span_str("no block");
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
}

/* ---- changes ---- */

struct sent {
    struct view *view;
    double value[1024];
    bool is_there[1024];
    unsigned n;
};

static int on_sent(void *ctx, const struct view_block *b)
{
    struct sent *s = ctx;
    const struct block *rows;

    assert_int_equal(view_decode(s->view, b, -1, &rows), 0);
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        int64_t at = (rows->time_ns[i] - T0) / S;

        s->value[at] = rows->columns[0].f64[i];
        s->is_there[at] = true;
        s->n++;
    }
    return 0;
}

/* What a reader of the results knows at each time is within the deadband of what was. */
static void check_deadband(struct site *k, const double *flow, unsigned n, double deadband)
{
    static const struct view_range all = {INT64_MIN, INT64_MAX};
    static struct sent s;
    const struct view_device *d;
    double known = NAN;

    s = (struct sent){.n = 0};
    assert_int_equal(view_new(&s.view, spool_db(k->spool)), 0);
    d = view_find_device(s.view, "fog-a");
    assert_non_null(d);
    for (size_t i = 0; i < d->n_sets; i++)
        if (strcmp(d->sets[i].group, "uplink") == 0)
            assert_int_equal(view_scan(s.view, &d->sets[i], &all, on_sent, &s), 0);
    s.view = view_free(s.view);
    assert_in_range(s.n, 10, n - 10);
    for (unsigned i = 0; i < n; i++) {
        if (s.is_there[i])
            known = s.value[i];
        assert_true(fabs(known - flow[i]) <= deadband);
    }
}

static void commit(struct site *k)
{
    assert_int_equal(history_flush(k->history, T0), 0);
    assert_int_equal(spool_commit(k->spool), 0);
    history_committed(k->history);
}

/* A block of flows from second `at` on, under that number of the device; how many of them are sent. */
static unsigned flows(struct site *k, uint64_t count, unsigned at, const double *flow, unsigned n)
{
    struct derived_group g = {"replay", channels, 1, tags};
    uint64_t before = uplink_counters(k->uplink)[UPLINK_READINGS_SENT], seq, sent;
    struct cell cells[16];
    struct pack_row rows[16];
    struct uplink_record r = {&k->stream, &k->record, true, false};
    struct spool_record stored;

    for (unsigned i = 0; i < n; i++) {
        cells[i] = (struct cell){.f64 = flow[i]};
        rows[i] = (struct pack_row){.time_ns = T0 + (int64_t)(at + i) * S, .cells = &cells[i]};
    }
    assert_int_equal(derived_put(k->derived, &g, rows, n, NULL, &seq), 0);
    assert_int_equal(spool_get(k->spool, spool_own(k->spool), seq, &stored), 0);
    buf_reset(&k->payload);
    buf_append(&k->payload, stored.payload.data, stored.payload.len);
    k->record = (struct record){.origin = "fog-a",
                                .epoch = k->stream.epoch,
                                .seq = seq_make(LANE_ORDINARY, count),
                                .kind = stored.kind,
                                .samples = stored.samples,
                                .payload = span_of(k->payload.data, k->payload.len)};
    assert_int_equal(judge(k, true, false), UPLINK_CHANGES);
    assert_int_equal(uplink_changes(k->uplink, &r, &seq), 0);
    assert_int_equal(interval_set_add(&k->stream.lane[0].seen, count, count), 0);
    sent = uplink_counters(k->uplink)[UPLINK_READINGS_SENT] - before;
    assert_int_equal(sent > 0, seq != 0);
    return (unsigned)sent;
}

static void changes(struct site *k, double deadband, int64_t max_silence_ms)
{
    rule(k, "**", UPLINK_CHANGES);
    k->rule[k->rules.n - 1].deadband = deadband;
    k->rule[k->rules.n - 1].max_silence_ms = max_silence_ms;
}

static void what_leaves_the_deadband_is_sent(void **state)
{
    struct site *k = *state;

    changes(k, 1, 0);
    assert_int_equal(flows(k, 1, 0, (const double[]){5, 5.5, 6, 6.5, 6.6, 5}, 6), 3); /* 5, 6.5, 5 */
    assert_int_equal(flows(k, 2, 6, (const double[]){5, 4, 5}, 3), 0);
    assert_int_equal(flows(k, 3, 9, (const double[]){3.9}, 1), 1);
}

static void silence_ends_in_any_case(void **state)
{
    struct site *k = *state;

    changes(k, 1, 3000);
    assert_int_equal(flows(k, 1, 0, (const double[]){5, 5, 5, 5, 5, 5, 5}, 7), 3); /* at 0, 3, 6 s */
}

static void what_was_sent_outlives_the_process_and_a_rollback_takes_it_back(void **state)
{
    struct site *k = *state;

    changes(k, 1, 0);
    assert_int_equal(flows(k, 1, 0, (const double[]){5}, 1), 1);
    commit(k);
    assert_int_equal(flows(k, 2, 1, (const double[]){9}, 1), 1);
    close_all(k); /* killed */
    open_history(k);
    open_uplink(k);
    assert_int_equal(interval_set_remove(&k->stream.lane[0].seen, 2, 2), 0);
    assert_int_equal(flows(k, 2, 1, (const double[]){5.5}, 1), 0);
    assert_int_equal(flows(k, 3, 2, (const double[]){9}, 1), 1);
    assert_int_equal(spool_rollback(k->spool), 0);
    assert_int_equal(history_reload(k->history), 0);
    assert_int_equal(interval_set_remove(&k->stream.lane[0].seen, 2, 3), 0);
    assert_int_equal(flows(k, 2, 1, (const double[]){9}, 1), 1);
}

/* Whatever lies in a gap may be other than what is on both sides of it. */
static void the_first_after_a_gap_is_sent_and_all_that_is_late(void **state)
{
    struct site *k = *state;

    changes(k, 1, 0);
    assert_int_equal(flows(k, 1, 0, (const double[]){5, 5}, 2), 1);
    assert_int_equal(flows(k, 5, 20, (const double[]){5, 5}, 2), 1);
    assert_int_equal(flows(k, 3, 10, (const double[]){9, 9}, 2), 2);
    assert_int_equal(flows(k, 6, 22, (const double[]){5, 5}, 2), 1); /* the one after what was late */
    assert_int_equal(flows(k, 7, 24, (const double[]){5, 5}, 2), 0);
    k->stream.epoch = (struct id128){{6}};
    assert_int_equal(flows(k, 8, 26, (const double[]){5, 5}, 2), 1);
}

static void after_a_block_that_went_up_raw_the_next_is_sent(void **state)
{
    struct site *k = *state;

    changes(k, 1, 0);
    assert_int_equal(flows(k, 1, 0, (const double[]){5, 5}, 2), 1);
    assert_int_equal(judge(k, false, false), UPLINK_RAW);
    assert_int_equal(flows(k, 2, 2, (const double[]){5, 5}, 2), 1);
}

/* Seeded disorder: in the order of times every reading is within the deadband of the last one sent. */
static void the_deadband_holds_in_any_order(void **state)
{
    enum { BLOCKS = 60, ROWS = 4 };
    struct site *k = *state;
    double flow[BLOCKS][ROWS], at = 5;
    unsigned order[BLOCKS];
    struct rng rng = {4711};

    changes(k, 1, 0);
    for (unsigned b = 0; b < BLOCKS; b++) {
        order[b] = b;
        for (unsigned i = 0; i < ROWS; i++)
            flow[b][i] = at += (double)rng_below(&rng, 100) / 100 - 0.5;
    }
    for (unsigned b = 0; b + 1 < BLOCKS; b++)
        if (rng_below(&rng, 3) == 0) {
            unsigned other = b + (unsigned)rng_below(&rng, BLOCKS - b < 6 ? BLOCKS - b : 6), was = order[b];

            order[b] = order[other];
            order[other] = was;
        }
    for (unsigned b = 0; b < BLOCKS; b++)
        (void)flows(k, order[b] + 1, order[b] * ROWS, flow[order[b]], ROWS);
    commit(k);
    check_deadband(k, &flow[0][0], BLOCKS * ROWS, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_pattern_counts_and_else_all_goes_up, setup, teardown),
        cmocka_unit_test_setup_teardown(tags_choose_too, setup, teardown),
        cmocka_unit_test_setup_teardown(one_raw_channel_takes_its_block_along, setup, teardown),
        cmocka_unit_test_setup_teardown(what_another_fog_may_have_goes_up, setup, teardown),
        cmocka_unit_test_setup_teardown(events_and_what_cannot_be_read_go_up, setup, teardown),
        cmocka_unit_test_setup_teardown(what_leaves_the_deadband_is_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_ends_in_any_case, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_sent_outlives_the_process_and_a_rollback_takes_it_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_after_a_gap_is_sent_and_all_that_is_late, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_block_that_went_up_raw_the_next_is_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(the_deadband_holds_in_any_order, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
