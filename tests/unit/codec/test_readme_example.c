/* The examples of common/codec/README.md. A byte that moves here is a change of the format, or of what the
 * encoders choose, and the document has to say the same. The example of the raw encoding is in test_raw.c. */
#include "codec/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 4, COLUMNS = 4 };

static const enum column_type types[COLUMNS] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL, COLUMN_TEXT};

/* The four rows, in arrays of its own. */
struct example {
    int64_t times[ROWS], strokes[ROWS], doors[ROWS];
    double temperatures[ROWS];
    uint8_t absent[ROWS], quality[ROWS];
    struct span programs[ROWS];
    struct column columns[COLUMNS];
    struct block block;
    struct block_coder *coder;
    struct block_store *store;
    struct block_starts *starts;
};

static int set_up(void **state)
{
    static const struct example rows = {
        .times = {INT64_C(1750000000000000000), INT64_C(1750000000100000000), INT64_C(1750000000200000000),
                  INT64_C(1750000000300000000)},
        .temperatures = {21.5, 21.8, 0, 22.0},
        .absent = {0, 0, 1, 0},
        .strokes = {100, 101, 103, 106},
        .quality = {0, 1, 1, 1},
        .doors = {0, 1, 1, 1},
    };
    static const uint8_t time[] = {0x01, 0x80, 0xc2, 0xd7, 0x2f, 0x00, 0x01, 0x00, 0x00, 0x02};
    static const uint8_t temperature[] = {0x01, 0x00, 0x01, 0x02, 0x05, 0x03, 0xb4, 0x03};
    static const uint8_t strokes[] = {0x01, 0x01, 0x00, 0x02, 0x01, 0x05, 0xce, 0x01};
    static const uint8_t door[] = {0x01, 0x01, 0x00, 0x00, 0x02};
    static const uint8_t program[] = {0x01, 0x01, 0x00, 0x00, 0x02, 0x03, 0x02, 0x75, 0x70, 0x00, 0x01, 0x21};
    struct span starts[COLUMNS] = {span_of(temperature, sizeof temperature), span_of(strokes, sizeof strokes),
                                   span_of(door, sizeof door), span_of(program, sizeof program)};
    struct block_start_bytes bytes = {.columns = starts, .time = span_of(time, sizeof time)};
    static struct example e;

    e = rows;
    e.programs[0] = span_str("up");
    e.programs[1] = e.programs[2] = span_str("");
    e.programs[3] = span_str("!");
    e.columns[0] = (struct column){.type = COLUMN_DOUBLE, .f64 = e.temperatures, .absent = e.absent};
    e.columns[1] = (struct column){.type = COLUMN_INT64, .i64 = e.strokes, .quality = e.quality};
    e.columns[2] = (struct column){.type = COLUMN_BOOL, .i64 = e.doors};
    e.columns[3] = (struct column){.type = COLUMN_TEXT, .text = e.programs};
    e.block = (struct block){ROWS, COLUMNS, e.times, e.columns};
    *state = &e;
    return block_coder_new(&e.coder) + block_store_new(&e.store) +
           block_starts_new(&e.starts, types, COLUMNS, &bytes);
}

static int tear_down(void **state)
{
    struct example *e = *state;

    e->coder = block_coder_free(e->coder);
    e->store = block_store_free(e->store);
    e->starts = block_starts_free(e->starts);
    return 0;
}

static void assert_rows(const struct example *e, const struct block *back)
{
    unsigned i;

    assert_memory_equal(back->time_ns, e->times, sizeof e->times);
    assert_memory_equal(back->columns[0].f64, e->temperatures, sizeof e->temperatures);
    assert_memory_equal(back->columns[0].absent, e->absent, sizeof e->absent);
    assert_memory_equal(back->columns[1].i64, e->strokes, sizeof e->strokes);
    assert_memory_equal(back->columns[1].quality, e->quality, sizeof e->quality);
    assert_memory_equal(back->columns[2].i64, e->doors, sizeof e->doors);
    for (i = 0; i < ROWS; i++)
        assert_true(span_equal(back->columns[3].text[i], e->programs[i]));
    assert_null(back->columns[0].quality);
    assert_null(back->columns[1].absent);
}

/* The rows are written as `want`, and `want` is read as the rows. */
static void assert_written(struct example *e, enum block_encoding encoding, const struct block_starts *starts,
                           const uint8_t *want, size_t len)
{
    struct block_shape shape = {.encoding = encoding,
                                .types = types,
                                .n_columns = COLUMNS,
                                .n_rows = ROWS,
                                .only_column = -1,
                                .time_first_ns = e->times[0],
                                .starts = starts};
    const struct block *back;
    struct buf body = {0};
    size_t i;

    assert_int_equal(block_decode(&shape, span_of(want, len), e->store, &back), 0);
    assert_rows(e, back);
    assert_int_equal(block_encode(e->coder, encoding, starts, &e->block, &body), 0);
    if (body.len != len || memcmp(body.data, want, len) != 0) {
        for (i = 0; i < body.len; i++)
            print_message("%02x ", body.data[i]);
        fail_msg("%zu bytes", body.len);
    }
    buf_deinit(&body);
}

static void the_fast_example_without_starts_is_what_is_written(void **state)
{
    static const uint8_t want[] = {
        0x04, 0x00, 0x80, 0xc2, 0xd7, 0x2f, 0x00, 0x02, 0x7f,             /* times */
        0x45, 0x04, 0x00, 0x01, 0x02, 0xae, 0x03, 0x03, 0x0e,             /* temperature */
        0x46, 0x04, 0x0d, 0x01, 0x00, 0x02, 0xc8, 0x01, 0x02, 0x2a,       /* strokes */
        0x04, 0x01, 0x00, 0x00, 0x02, 0x02,                               /* door */
        0x80, 0x03, 0x02, 0x75, 0x70, 0x00, 0x01, 0x21, 0x00, 0x02, 0x22, /* program */
        0xbe, 0x01,                                                       /* check */
    };

    assert_written(*state, BLOCK_ENCODING_FAST, NULL, want, sizeof want);
}

static void the_small_example_without_starts_is_what_is_written(void **state)
{
    static const uint8_t want[] = {
        0xe3, 0x60, 0xcb, 0x87, 0xb8, 0xd3, 0xe1, 0x82, 0x47, 0x5e, 0xcd, 0xce, 0xac, 0xfa,
        0x7c, 0xa2, 0xd8, 0x7d, 0x60, 0x60, 0x17, 0xd9, 0x3f, 0x1e, 0x12, 0x87, 0x00, 0x24,
        0x2e, 0x0e, 0xa0, 0x02, 0x84, 0x85, 0x72, 0x04, 0x00, 0xf5, 0xe1, 0x00, 0x9d, 0xea,
    };

    assert_written(*state, BLOCK_ENCODING_SMALL, NULL, want, sizeof want);
}

static void the_fast_example_with_starts_is_what_is_written(void **state)
{
    struct example *e = *state;
    static const uint8_t want[] = {
        0x00, 0x00, 0x00, 0x7f, 0x01, 0x04, 0x05, 0x03, 0x0e, 0x02, 0x04, 0x0d, 0x05,
        0x02, 0x2a, 0x00, 0x01, 0x02, 0x02, 0x00, 0x01, 0x02, 0x22, 0x7f, 0xb7,
    };

    assert_written(e, BLOCK_ENCODING_FAST, e->starts, want, sizeof want);
}

static void the_small_example_with_starts_is_what_is_written(void **state)
{
    struct example *e = *state;
    static const uint8_t want[] = {
        0x6e, 0xc5, 0x0b, 0x52, 0xf9, 0xb1, 0x83, 0xc9, 0x9d, 0x01, 0x06, 0x11,
    };

    assert_written(e, BLOCK_ENCODING_SMALL, e->starts, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fast_example_without_starts_is_what_is_written),
        cmocka_unit_test(the_small_example_without_starts_is_what_is_written),
        cmocka_unit_test(the_fast_example_with_starts_is_what_is_written),
        cmocka_unit_test(the_small_example_with_starts_is_what_is_written),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
