/* Rows to payloads, and the batch they wait in. */
#include "device/batch.h"
#include "device/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHANNELS = 3 };

static const struct feed_channel channels[CHANNELS] = {
    {"t", "Cel", COLUMN_DOUBLE}, {"n", "", COLUMN_INT64}, {"s", "", COLUMN_TEXT}};
static const struct pack_clock synced = {2, 150};

static struct pack *make(uint32_t max_rows, size_t max_bytes)
{
    struct pack_options o = {.group = "g",
                             .channels = channels,
                             .n_channels = CHANNELS,
                             .max_rows = max_rows,
                             .max_bytes = max_bytes};
    struct pack *p;

    assert_int_equal(pack_new(&p, &o), 0);
    return p;
}

static int add(struct pack *p, int64_t i, size_t text_len)
{
    static const char text[256] = {'x'};
    struct cell cells[CHANNELS] = {{.f64 = (double)i}, {.i64 = i}, {.text = span_of(text, text_len)}};
    struct feed_message row = {.time_ns = 1000 - i,
                               .mono_ns = 77,
                               .cells = cells,
                               .n_cells = CHANNELS,
                               .has_position = true,
                               .position = {{(uint64_t)i}}};

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
    assert_int_equal(pack_close(p, &synced, &payload, &info), 0);
    assert_int_equal(pack_rows(p), 0);
    assert_int_equal(info.samples, 25);
    assert_int_equal(info.time_first_ns, 991);
    assert_int_equal(info.time_last_ns, 1000);
    assert_true(info.has_position && info.position.word[0] == 9);

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

static void a_payload_never_passes_the_limit_of_a_record(void **state)
{
    struct pack *p = make(PACK_ROWS_MAX, PACK_BYTES_MAX);
    struct buf payload = {0};
    struct pack_block info;
    unsigned blocks = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        int rc = add(p, i, (size_t)(i * 37 % 256));

        if (rc == PACK_CLOSE_FIRST) {
            buf_reset(&payload);
            assert_int_equal(pack_close(p, &synced, &payload, &info), 0);
            assert_true(payload.len <= WIRE_PAYLOAD_MAX_BYTES);
            assert_true(payload.len > WIRE_PAYLOAD_MAX_BYTES / 2);
            assert_true(info.position.word[0] == (uint64_t)i - 1);
            blocks++;
            rc = add(p, i, (size_t)(i * 37 % 256));
        }
        assert_int_equal(rc, 0);
    }
    assert_true(blocks > 20);
    buf_deinit(&payload);
    pack_free(p);
}

static void a_row_that_fits_in_no_block_is_refused(void **state)
{
    struct feed_channel *many = calloc(BLOCK_COLUMNS_MAX, sizeof *many);
    struct cell *cells = calloc(BLOCK_COLUMNS_MAX, sizeof *cells);
    struct pack_options o = {
        .group = "g", .channels = many, .n_channels = BLOCK_COLUMNS_MAX, .max_rows = 10, .max_bytes = 1024};
    struct feed_message row = {.cells = cells, .n_cells = BLOCK_COLUMNS_MAX};
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

static uint64_t put(struct batch *b, const char *text)
{
    struct batch_entry e = {.kind = 1};
    uint64_t no;

    buf_append(batch_begin(b), text, strlen(text));
    assert_int_equal(batch_end(b, &e, &no), 0);
    return no;
}

static void a_sweep_keeps_what_is_not_done_in_order(void **state)
{
    struct batch *b;

    (void)state;
    assert_int_equal(batch_new(&b), 0);
    assert_int_equal(put(b, "one"), 1);
    assert_int_equal(put(b, "two"), 2);
    put(b, "three");
    put(b, "four");
    buf_append(batch_begin(b), "never ended", 11);
    batch_at(b, 0)->is_done = batch_at(b, 2)->is_done = true;
    batch_sweep(b);
    assert_int_equal(batch_n(b), 2);
    assert_memory_equal(batch_payload(b, batch_at(b, 0)).data, "two", 3);
    assert_memory_equal(batch_payload(b, batch_at(b, 1)).data, "four", 4);
    assert_int_equal(put(b, "five"), 5);
    assert_memory_equal(batch_payload(b, batch_at(b, 2)).data, "five", 4);
    assert_int_equal(batch_at(b, 1)->no, 4);
    for (size_t i = 0; i < 3; i++)
        batch_at(b, i)->is_done = true;
    batch_sweep(b);
    assert_int_equal(batch_bytes(b), 0);
    batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_holds_what_was_added),
        cmocka_unit_test(a_payload_never_passes_the_limit_of_a_record),
        cmocka_unit_test(a_row_that_fits_in_no_block_is_refused),
        cmocka_unit_test(a_sweep_keeps_what_is_not_done_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
