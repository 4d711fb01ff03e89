/* Rows to payloads. */
#include "pack/pack.h"

#include "base/clock.h"
#include "base/rng.h"
#include "ctl/set_starts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHANNELS = 3 };

static const struct pack_channel channels[CHANNELS] = {
    {"t", "Cel", COLUMN_DOUBLE}, {"n", "", COLUMN_INT64}, {"s", "", COLUMN_TEXT}};
static const struct pack_clock synced = {2, 150};

static struct pack_tools tools;

static int set_up(void **state)
{
    (void)state;
    return pack_tools_init(&tools);
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(tools.budget.left_bytes == LEARN_BUDGET_BYTES); /* what was taken was given back */
    pack_tools_deinit(&tools);
    return 0;
}

static struct pack *make_of(enum block_encoding encoding, const double *bounds, uint32_t max_rows,
                            size_t max_bytes)
{
    struct pack_options o = {.group = "g",
                             .channels = channels,
                             .n_channels = CHANNELS,
                             .max_rows = max_rows,
                             .max_bytes = max_bytes,
                             .encoding = encoding,
                             .error_bounds = bounds,
                             .tools = &tools};
    struct pack *p;

    assert_int_equal(pack_new(&p, &o), 0);
    return p;
}

static struct pack *make(uint32_t max_rows, size_t max_bytes)
{
    return make_of(BLOCK_ENCODING_RAW, NULL, max_rows, max_bytes);
}

static int add(struct pack *p, int64_t i, size_t text_len)
{
    static const char text[256] = {'x'};
    struct cell cells[CHANNELS] = {{.f64 = (double)i}, {.i64 = i}, {.text = span_of(text, text_len)}};
    struct pack_row row = {.time_ns = 1000 - i, .mono_ns = 77, .cells = cells, .n_cells = CHANNELS};

    cells[1].absent = i % 2 == 1;
    return pack_add(p, &row, 5);
}

static void a_block_holds_what_was_added(void **state)
{
    struct pack *p = make(10, 48 * 1024);
    struct wire_arena *a;
    struct block_store *store;
    const struct block *b;
    const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_TEXT};
    Fogline__V1__Block *header;
    Fogline__V1__DescriptorSet *set;
    struct block_shape shape = {.types = types, .n_columns = CHANNELS, .only_column = -1};
    struct buf payload = {0};
    struct pack_block info;

    (void)state;
    assert_true(pack_since_mono_ns(p) == INT64_MAX);
    for (int i = 0; i < 10; i++)
        assert_int_equal(add(p, i, 3), 0);
    assert_true(pack_is_full(p));
    assert_int_equal(pack_since_mono_ns(p), 77);
    assert_int_equal(pack_close(p, &synced, NULL, &payload, &info), 0);
    assert_int_equal(pack_rows(p), 0);
    assert_int_equal(info.samples, 25);
    assert_int_equal(info.time_first_ns, 991);
    assert_int_equal(info.time_last_ns, 1000);

    assert_int_equal(wire_arena_new(&a, 1 << 20), 0);
    assert_int_equal(block_store_new(&store), 0);
    assert_int_equal(wire_block_unpack(a, span_of(payload.data, payload.len), &header), 0);
    assert_int_equal(header->rows, 10);
    assert_int_equal(header->samples, 25);
    assert_int_equal(header->time_first_ns, 991);
    assert_int_equal(header->time_span_ns, 9);
    assert_int_equal(header->mono_first_ns, 77);
    assert_int_equal(header->clock_state, 2);
    assert_true(header->set_id == pack_set_id(p));
    shape.encoding = header->encoding;
    shape.n_rows = header->rows;
    assert_int_equal(block_decode(&shape, wire_span(header->body), store, &b), 0);
    assert_true(b->columns[0].f64[7] == 7 && b->columns[1].absent[7] && b->columns[1].i64[8] == 8);
    assert_int_equal(wire_descriptor_set_unpack(a, pack_descriptor(p), &set), 0);
    assert_string_equal(set->group, "g");
    assert_string_equal(set->channels[0]->unit, "Cel");
    block_store_free(store);
    wire_arena_free(a);
    buf_deinit(&payload);
    pack_free(p);
}

static void never_passes_the_limit(enum block_encoding encoding)
{
    struct pack *p = make_of(encoding, NULL, PACK_ROWS_MAX, PACK_BYTES_MAX);
    struct buf payload = {0};
    struct pack_block info;
    unsigned blocks = 0;

    for (int i = 0; i < 20000; i++) {
        int rc = add(p, i, (size_t)(i * 37 % 256));

        if (rc == PACK_CLOSE_FIRST) {
            buf_reset(&payload);
            assert_int_equal(pack_close(p, &synced, NULL, &payload, &info), 0);
            assert_true(payload.len <= WIRE_PAYLOAD_MAX_BYTES);
            assert_true(encoding != BLOCK_ENCODING_RAW || payload.len > WIRE_PAYLOAD_MAX_BYTES / 2);
            blocks++;
            rc = add(p, i, (size_t)(i * 37 % 256));
        }
        assert_int_equal(rc, 0);
    }
    assert_true(blocks > 20);
    buf_deinit(&payload);
    pack_free(p);
}

static void a_payload_never_passes_the_limit_of_a_record(void **state)
{
    (void)state;
    never_passes_the_limit(BLOCK_ENCODING_RAW);
    never_passes_the_limit(BLOCK_ENCODING_FAST);
    never_passes_the_limit(BLOCK_ENCODING_SMALL);
}

/* Bits without any order: nothing is shorter than raw, and raw it is. */
static void what_no_encoding_shortens_is_written_raw(void **state)
{
    struct rng r = {5};

    (void)state;
    for (int e = BLOCK_ENCODING_FAST; e <= BLOCK_ENCODING_SMALL; e++) {
        struct pack_options o = {.group = "g",
                                 .channels = channels,
                                 .n_channels = 2,
                                 .max_rows = PACK_ROWS_MAX,
                                 .max_bytes = PACK_BYTES_MAX,
                                 .encoding = (enum block_encoding)e,
                                 .tools = &tools};
        struct buf payload = {0};
        struct pack_block info;
        struct pack *p;
        int rc;

        assert_int_equal(pack_new(&p, &o), 0);
        do {
            struct cell cells[2] = {{.i64 = (int64_t)rng_u64(&r)}, {.i64 = (int64_t)rng_u64(&r)}};
            struct pack_row row = {.time_ns = (int64_t)(rng_u64(&r) >> 1), .cells = cells, .n_cells = 2};

            rc = pack_add(p, &row, 5);
        } while (rc == 0);
        assert_int_equal(rc, PACK_CLOSE_FIRST);
        assert_int_equal(pack_close(p, &synced, NULL, &payload, &info), 0);
        assert_int_equal(info.encoding, BLOCK_ENCODING_RAW);
        assert_true(payload.len <= WIRE_PAYLOAD_MAX_BYTES);
        buf_deinit(&payload);
        pack_free(p);
    }
}

/* ---- learning ---- */

enum { HOUR_S = 3600 };

struct run {
    struct pack *pack;
    struct rng rng;
    int64_t now_ns, time_ns;
    double at;
    unsigned n_sets;
    uint64_t bytes; /* of the blocks since somebody set it to 0 */
    struct buf payload;
};

/* A walk of tenths, or of another grid and place; some text. */
static void add_rows(struct run *r, unsigned n, double grid, double place)
{
    for (unsigned i = 0; i < n; i++) {
        struct cell cells[CHANNELS] = {
            {0}, {.i64 = 5000000 + (int64_t)(rng_u64(&r->rng) % 7)}, {.text = span_str("runs well")}};
        struct pack_row row = {.cells = cells, .n_cells = CHANNELS};
        struct pack_block info;
        int rc;

        r->at += (double)(int)(rng_u64(&r->rng) % 9) - 4;
        cells[0].f64 = (round(r->at) + place) / grid;
        r->now_ns += NS_PER_S;
        row.time_ns = r->time_ns += NS_PER_S + (int64_t)(rng_u64(&r->rng) % 1000) * 1000;
        row.mono_ns = (uint64_t)r->now_ns;
        assert_int_equal(pack_add(r->pack, &row, 0), 0);
        if (!pack_is_full(r->pack))
            continue;
        buf_reset(&r->payload);
        assert_int_equal(pack_close(r->pack, &synced, NULL, &r->payload, &info), 0);
        r->bytes += info.column_bytes;
        rc = pack_learn(r->pack, NULL);
        assert_true(rc >= 0);
        r->n_sets += rc == PACK_NEW_SET;
    }
}

static struct run run_of(struct pack *p)
{
    return (struct run){.pack = p, .rng = {77}, .now_ns = NS_PER_S, .time_ns = 1, .at = 0};
}

static void end_run(struct run *r)
{
    buf_deinit(&r->payload);
    pack_free(r->pack);
}

static void starts_are_learnt_when_they_pay(void **state)
{
    struct run r = run_of(make_of(BLOCK_ENCODING_SMALL, NULL, 10, 48 * 1024));
    uint64_t cold_id = pack_set_id(r.pack), cold_bytes;

    (void)state;
    add_rows(&r, 50, 10, 2e6);
    cold_bytes = r.bytes;
    add_rows(&r, 2000, 10, 2e6);
    assert_true(r.n_sets >= 1 && r.n_sets <= 3);
    assert_true(pack_set_id(r.pack) != cold_id);
    assert_true(pack_cold_id(r.pack) == cold_id);
    r.bytes = 0;
    add_rows(&r, 50, 10, 2e6);
    assert_true(r.bytes * 10 < cold_bytes * 8);
    end_run(&r);
}

static void nothing_is_learnt_where_blocks_are_long_or_raw(void **state)
{
    struct run r = run_of(make_of(BLOCK_ENCODING_SMALL, NULL, 4000, 48 * 1024));

    (void)state;
    add_rows(&r, 4000, 10, 0); /* one block: what a start saves is a percent of it */
    assert_int_equal(r.n_sets, 0);
    end_run(&r);
    r = run_of(make_of(BLOCK_ENCODING_RAW, NULL, 10, 48 * 1024));
    add_rows(&r, 4000, 10, 0);
    assert_int_equal(r.n_sets, 0);
    end_run(&r);
}

static void other_readings_make_another_set_after_an_hour(void **state)
{
    struct run r = run_of(make_of(BLOCK_ENCODING_SMALL, NULL, 10, 48 * 1024));
    unsigned before;

    (void)state;
    add_rows(&r, 3000, 10, 2e6);
    before = r.n_sets;
    assert_true(before >= 1);
    add_rows(&r, 2 * HOUR_S, 1e9, 3e14);
    assert_int_equal(r.n_sets, before + 1);
    add_rows(&r, 6 * HOUR_S, 10, 2e6);
    assert_true(r.n_sets <= LEARN_SETS_MAX);
    end_run(&r);
}

static void a_set_of_an_earlier_life_is_taken_up_if_it_is_of_the_same_channels(void **state)
{
    static const double bound[CHANNELS] = {0.5, 0.5, 0.5};
    struct run r = run_of(make_of(BLOCK_ENCODING_SMALL, NULL, 10, 48 * 1024));
    struct pack *next = make_of(BLOCK_ENCODING_SMALL, NULL, 10, 48 * 1024);
    struct pack *other = make_of(BLOCK_ENCODING_SMALL, bound, 10, 48 * 1024);
    uint8_t broken[4096];
    struct span set;

    (void)state;
    add_rows(&r, 2000, 10, 2e6);
    assert_true(r.n_sets > 0);
    set = pack_descriptor(r.pack);
    assert_true(set.len <= sizeof broken);
    assert_true(pack_cold_id(other) != pack_cold_id(r.pack));
    assert_int_equal(pack_adopt(other, set), PACK_OTHER_SET);
    assert_true(pack_set_id(other) == pack_cold_id(other));
    for (size_t cut = 0; cut < set.len; cut += 7) {
        memcpy(broken, set.data, set.len);
        broken[cut] ^= 0x10;
        assert_int_equal(pack_adopt(other, span_of(broken, set.len)), PACK_OTHER_SET);
        assert_true(pack_adopt(other, span_of(set.data, cut)) == PACK_OTHER_SET);
    }
    assert_int_equal(pack_adopt(next, set), 0);
    assert_true(pack_set_id(next) == pack_set_id(r.pack));
    pack_free(next);
    pack_free(other);
    end_run(&r);
}

static void what_is_bounded_comes_back_within_its_bound(void **state)
{
    static const double bounds[CHANNELS] = {0.25, 9, 9}; /* the others are no doubles: exact */
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_TEXT};
    struct pack *p = make_of(BLOCK_ENCODING_FAST, bounds, 100, 48 * 1024);
    struct rng r = {9};
    double values[100];
    struct wire_arena *a;
    struct block_store *store;
    struct block_starts *starts;
    Fogline__V1__DescriptorSet *set;
    Fogline__V1__Block *header;
    const struct block *b;
    struct buf payload = {0};
    struct pack_block info;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct cell cells[CHANNELS] = {
            {.f64 = values[i] = rng_normal(&r) * 20}, {.i64 = i}, {.absent = true}};
        struct pack_row row = {.time_ns = i, .cells = cells, .n_cells = CHANNELS};

        assert_int_equal(pack_add(p, &row, 1), 0);
    }
    assert_int_equal(pack_close(p, &synced, NULL, &payload, &info), 0);
    assert_int_equal(info.encoding, BLOCK_ENCODING_FAST);
    assert_int_equal(wire_arena_new(&a, WIRE_ARENA_BYTES), 0);
    assert_int_equal(block_store_new(&store), 0);
    assert_int_equal(wire_descriptor_set_unpack(a, pack_descriptor(p), &set), 0);
    assert_true(set->channels[0]->error_bound == 0.25 && set->channels[1]->error_bound == 0);
    assert_int_equal(set_starts_new(&starts, set), 0);
    assert_int_equal(wire_block_unpack(a, span_of(payload.data, payload.len), &header), 0);
    assert_int_equal(block_decode(&(struct block_shape){header->encoding, types, CHANNELS, header->rows, -1,
                                                        header->time_first_ns, starts},
                                  wire_span(header->body), store, &b),
                     0);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(fabs(b->columns[0].f64[i] - values[i]) <= 0.25);
        assert_true(b->columns[1].i64[i] == (int64_t)i);
    }
    block_starts_free(starts);
    block_store_free(store);
    wire_arena_free(a);
    buf_deinit(&payload);
    pack_free(p);
}

/* Centuries apart: an extent of more than 2^63 ns no archive reads. */
static void rows_too_far_apart_go_into_two_blocks(void **state)
{
    static const int64_t times[] = {INT64_C(-8520336000000000000), INT64_C(7258118400000000000)};
    struct cell cells[CHANNELS] = {{.f64 = 1}, {.i64 = 2}, {.text = span_str("x")}};
    struct buf payload = {0};
    struct pack_block info;

    (void)state;
    for (int first = 0; first < 2; first++) {
        struct pack *p = make(10, 48 * 1024);
        struct pack_row row = {.time_ns = times[first], .cells = cells, .n_cells = CHANNELS};

        assert_int_equal(pack_add(p, &row, 5), 0);
        row.time_ns = 0;
        assert_int_equal(pack_add(p, &row, 5), 0);
        row.time_ns = times[1 - first];
        assert_int_equal(pack_add(p, &row, 5), PACK_CLOSE_FIRST);
        assert_int_equal(pack_close(p, &synced, NULL, &payload, &info), 0);
        assert_int_equal(info.rows, 2);
        assert_int_equal(pack_add(p, &row, 5), 0);
        pack_free(p);
        buf_reset(&payload);
    }
    buf_deinit(&payload);
}

static void a_row_that_fits_in_no_block_is_refused(void **state)
{
    struct pack_channel *many = calloc(BLOCK_COLUMNS_MAX, sizeof *many);
    struct cell *cells = calloc(BLOCK_COLUMNS_MAX, sizeof *cells);
    struct pack_options o = {.group = "g",
                             .channels = many,
                             .n_channels = BLOCK_COLUMNS_MAX,
                             .max_rows = 10,
                             .max_bytes = 1024,
                             .encoding = BLOCK_ENCODING_RAW,
                             .tools = &tools};
    struct pack_row row = {.cells = cells, .n_cells = BLOCK_COLUMNS_MAX};
    static const char text[256];
    struct pack *p;

    (void)state;
    for (int i = 0; i < BLOCK_COLUMNS_MAX; i++) {
        snprintf(many[i].name, sizeof many[i].name, "c%d", i);
        many[i].type = COLUMN_TEXT;
        cells[i].text = span_of(text, 255);
    }
    assert_int_equal(pack_new(&p, &o), 0);
    assert_int_equal(pack_add(p, &row, 0), PACK_TOO_BIG);
    assert_int_equal(pack_rows(p), 0);
    pack_free(p);
    free(many);
    free(cells);
}

static void a_set_says_what_is_sent_of_its_channels(void **state)
{
    static const struct pack_keep keeps[CHANNELS] = {
        {KEEP_CHANGE, 0.5, 60000}, {KEEP_LOCAL, 0, 0}, {KEEP_RAW, 0, 0}};
    const double bounds[CHANNELS] = {0};
    struct pack_options o = {.group = "g",
                             .channels = channels,
                             .n_channels = CHANNELS,
                             .max_rows = 10,
                             .max_bytes = 1024,
                             .encoding = BLOCK_ENCODING_SMALL,
                             .error_bounds = bounds,
                             .keeps = keeps,
                             .tools = &tools};
    struct pack *p, *again, *other = make_of(BLOCK_ENCODING_SMALL, NULL, 10, 1024);
    Fogline__V1__DescriptorSet *set;
    struct wire_arena *a;

    (void)state;
    assert_int_equal(pack_new(&p, &o), 0);
    assert_int_equal(pack_new(&again, &o), 0);
    assert_int_equal(wire_arena_new(&a, WIRE_ARENA_BYTES), 0);
    assert_int_equal(wire_descriptor_set_unpack(a, pack_descriptor(p), &set), 0);
    assert_int_equal(set->channels[0]->keep, FOGLINE__V1__KEEP_POLICY__KEEP_POLICY_CHANGE);
    assert_int_equal(set->channels[1]->keep, FOGLINE__V1__KEEP_POLICY__KEEP_POLICY_LOCAL);
    assert_int_equal(set->channels[2]->keep, FOGLINE__V1__KEEP_POLICY__KEEP_POLICY_RAW);
    assert_true(set->n_deadband == CHANNELS && set->deadband[0] == 0.5 && set->deadband[1] == 0);
    assert_true(set->n_max_silence_ms == CHANNELS && set->max_silence_ms[0] == 60000);
    assert_true(set->channels[0]->error_bound == 0); /* the cells that are there are exact */
    assert_int_equal(pack_adopt(again, pack_descriptor(p)), 0);
    assert_int_equal(pack_adopt(other, pack_descriptor(p)), PACK_OTHER_SET);
    assert_int_equal(wire_descriptor_set_unpack(a, pack_descriptor(other), &set), 0);
    assert_true(set->n_deadband == 0 && set->n_max_silence_ms == 0);
    wire_arena_free(a);
    pack_free(p);
    pack_free(again);
    pack_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_block_holds_what_was_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_set_says_what_is_sent_of_its_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_payload_never_passes_the_limit_of_a_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_no_encoding_shortens_is_written_raw, set_up, tear_down),
        cmocka_unit_test_setup_teardown(starts_are_learnt_when_they_pay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_learnt_where_blocks_are_long_or_raw, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_readings_make_another_set_after_an_hour, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_set_of_an_earlier_life_is_taken_up_if_it_is_of_the_same_channels,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_bounded_comes_back_within_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_too_far_apart_go_into_two_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_that_fits_in_no_block_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
