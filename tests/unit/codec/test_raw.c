/* The raw encoding: what goes in comes out, and nothing else is taken. */
#include "random_block.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROUNDS = 2000 };

static struct block_store *store;

static int set_up(void **state)
{
    (void)state;
    return block_store_new(&store);
}

static int tear_down(void **state)
{
    (void)state;
    store = block_store_free(store);
    return 0;
}

static int decode_as(const enum column_type *types, uint32_t n_columns, uint32_t n_rows, struct span body,
                     int only, const struct block **ret_block)
{
    struct block_shape shape = {BLOCK_ENCODING_RAW, types, n_columns, n_rows, only, 0, NULL};

    return block_decode(&shape, body, store, ret_block);
}

static void random_blocks_come_back_bit_for_bit(void **state)
{
    struct buf body = {0};
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= ROUNDS; seed++) {
        struct rng rng = {seed};
        struct random_block rb;
        const struct block *back;

        random_block_init(&rb, &rng);
        buf_reset(&body);
        assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &rb.block, &body), 0);
        assert_int_equal(
            decode_as(rb.types, rb.block.n_columns, rb.block.n_rows, span_of(body.data, body.len), -1, &back),
            0);
        if (!blocks_same(&rb.block, back))
            fail_msg("seed %llu", (unsigned long long)seed);
        random_block_deinit(&rb);
    }
    buf_deinit(&body);
}

static void one_column_decoded_alone_is_the_same_column(void **state)
{
    struct buf body = {0};
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 300; seed++) {
        struct rng rng = {seed};
        struct random_block rb;
        const struct block *back;
        uint32_t only, i;

        random_block_init(&rb, &rng);
        only = (uint32_t)rng_below(&rng, rb.block.n_columns);
        buf_reset(&body);
        assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &rb.block, &body), 0);
        assert_int_equal(decode_as(rb.types, rb.block.n_columns, rb.block.n_rows,
                                   span_of(body.data, body.len), (int)only, &back),
                         0);
        assert_memory_equal(back->time_ns, rb.block.time_ns, rb.block.n_rows * sizeof(int64_t));
        for (i = 0; i < back->n_columns; i++) {
            if (i == only)
                assert_true(columns_same(&back->columns[i], &rb.columns[i], back->n_rows));
            else
                assert_true(back->columns[i].i64 == NULL && back->columns[i].absent == NULL &&
                            back->columns[i].quality == NULL);
        }
        random_block_deinit(&rb);
    }
    buf_deinit(&body);
}

/* A copy of exact size on the heap, so that a read past the end is seen. */
static void decode_exact(const struct random_block *rb, struct span body)
{
    uint8_t *copy = malloc(body.len == 0 ? 1 : body.len);
    const struct block *back;
    int r;

    assert_non_null(copy);
    if (body.len > 0)
        memcpy(copy, body.data, body.len);
    r = decode_as(rb->types, rb->block.n_columns, rb->block.n_rows, span_of(copy, body.len), -1, &back);
    assert_true(r == 0 || r == BLOCK_DAMAGED);
    r = decode_as(rb->types, rb->block.n_columns, rb->block.n_rows, span_of(copy, body.len), 0, &back);
    assert_true(r == 0 || r == BLOCK_DAMAGED);
    free(copy);
}

static void mutated_bodies_are_refused_or_read_but_never_crash(void **state)
{
    struct buf body = {0};
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 150; seed++) {
        struct rng rng = {seed};
        struct random_block rb;
        int i, j;

        random_block_init(&rb, &rng);
        for (i = 0; i < 40; i++) {
            buf_reset(&body);
            assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &rb.block, &body), 0);
            for (j = (int)rng_below(&rng, 4); j >= 0; j--) {
                /* Heads stand in front: half of the hits go there. */
                size_t at = rng_below(&rng, rng_below(&rng, 2) == 0 && body.len > 64 ? 64 : body.len);

                body.data[at] = (uint8_t)rng_u64(&rng);
            }
            if (rng_below(&rng, 3) == 0)
                body.len = rng_below(&rng, body.len + 1);
            decode_exact(&rb, span_of(body.data, body.len));
        }
        random_block_deinit(&rb);
    }
    buf_deinit(&body);
}

static void cut_and_lengthened_bodies_are_damaged(void **state)
{
    struct buf body = {0};
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 60; seed++) {
        struct rng rng = {seed};
        struct random_block rb;
        const struct block *back;
        size_t len, step;

        random_block_init(&rb, &rng);
        buf_reset(&body);
        assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &rb.block, &body), 0);
        step = 1 + body.len / 200;
        for (len = 0; len < body.len; len += step)
            assert_int_equal(
                decode_as(rb.types, rb.block.n_columns, rb.block.n_rows, span_of(body.data, len), -1, &back),
                BLOCK_DAMAGED);
        buf_u8(&body, 0);
        assert_int_equal(
            decode_as(rb.types, rb.block.n_columns, rb.block.n_rows, span_of(body.data, body.len), -1, &back),
            BLOCK_DAMAGED);
        random_block_deinit(&rb);
    }
    buf_deinit(&body);
}

static size_t doubles_bytes(const double *v, uint32_t n)
{
    int64_t times[100] = {0};
    struct column c = {.type = COLUMN_DOUBLE, .f64 = (double *)v};
    struct block b = {n, 1, times, &c};
    enum column_type type = COLUMN_DOUBLE;
    const struct block *back;
    struct buf body = {0};
    size_t len;

    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), 0);
    assert_int_equal(decode_as(&type, 1, n, span_of(body.data, body.len), -1, &back), 0);
    assert_memory_equal(back->columns[0].f64, v, n * sizeof *v);
    len = body.len - 17 - 1; /* times, head byte */
    buf_deinit(&body);
    return len;
}

static void short_decimals_take_the_width_of_their_range(void **state)
{
    double v[100];
    int i;

    (void)state;
    for (i = 0; i < 100; i++)
        v[i] = 20 + i / 100.0;
    assert_int_equal(doubles_bytes(v, 100), 9 + 100);
    for (i = 0; i < 100; i++)
        v[i] = (i * 6001 - 300000) / 1000.0;
    assert_int_equal(doubles_bytes(v, 100), 9 + 400);
    for (i = 0; i < 100; i++)
        v[i] = i * 655 / 1e9;
    assert_int_equal(doubles_bytes(v, 100), 9 + 200);
    v[99] = 1.0 / 3;
    assert_int_equal(doubles_bytes(v, 100), 800);
    v[99] = -0.0;
    assert_int_equal(doubles_bytes(v, 100), 800);
    v[99] = NAN;
    assert_int_equal(doubles_bytes(v, 100), 800);
    v[99] = 0x1p51;
    assert_int_equal(doubles_bytes(v, 100), 800);
    for (i = 0; i < 100; i++)
        v[i] = 0x1p51 - 200 + i;
    assert_int_equal(doubles_bytes(v, 100), 9 + 100);
    for (i = 0; i < 100; i++)
        v[i] = 0x1p51 - 50 + i; /* the upper half is out of range */
    assert_int_equal(doubles_bytes(v, 100), 800);
    for (i = 0; i < 100; i++)
        v[i] = -0x1p51 + i;
    assert_int_equal(doubles_bytes(v, 100), 9 + 100);
    for (i = 0; i < 100; i++)
        v[i] = NAN;
    assert_int_equal(doubles_bytes(v, 100), 8);
    assert_int_equal(doubles_bytes(v, 1), 8);
}

/* The example of common/codec/README.md. */
static void the_example_of_the_readme_is_what_is_written(void **state)
{
    static const uint8_t want[] = {
        0x00, 0x00, 0x00, 0xef, 0x64, 0xba, 0x3f, 0x49, 0x18, 0x00, 0xe1, 0xf5, 0x05, 0x00, 0x00,
        0x00, 0x00, 0x49, 0x04, 0x11, 0xd7, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
        0x05, 0x12, 0x00, 0x01, 0x01, 0x03, 0x01, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x01, 0x03, 0x06, 0x03, 0x0e, 0x04, 0x02, 0x75, 0x70, 0x00, 0x00, 0x01, 0x21,
    };
    int64_t base = INT64_C(1750000000000000000);
    int64_t times[4] = {base, base + 100000000, base + 200000000, base + 300000000};
    double temps[4] = {21.5, 21.8, 0, 22.0};
    int64_t counts[4] = {100, 101, 103, 106}, doors[4] = {0, 1, 1, 1};
    uint8_t absent[4] = {0, 0, 1, 0}, quality[4] = {0, 1, 1, 1};
    struct span texts[4] = {span_str("up"), span_str(""), span_str(""), span_str("!")};
    struct column columns[4] = {
        {.type = COLUMN_DOUBLE, .f64 = temps, .absent = absent},
        {.type = COLUMN_INT64, .i64 = counts, .quality = quality},
        {.type = COLUMN_BOOL, .i64 = doors},
        {.type = COLUMN_TEXT, .text = texts},
    };
    struct block b = {4, 4, times, columns};
    struct buf body = {0};
    size_t i;

    (void)state;
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), 0);
    if (body.len != sizeof want || memcmp(body.data, want, sizeof want) != 0) {
        for (i = 0; i < body.len; i++)
            print_message("%02x ", body.data[i]);
        fail_msg("%zu bytes", body.len);
    }
    buf_deinit(&body);
}

static const enum column_type one_double[] = {COLUMN_DOUBLE}, one_int[] = {COLUMN_INT64},
                              one_bool[] = {COLUMN_BOOL};

/* Times of one row, then what is given as the one column. */
static int one_row(const enum column_type *type, const uint8_t *column, size_t len)
{
    struct buf body = {0};
    const struct block *back;
    int r;

    buf_u8(&body, 0);
    buf_le64(&body, 5);
    buf_le64(&body, 0);
    buf_append(&body, column, len);
    r = decode_as(type, 1, 1, span_of(body.data, body.len), -1, &back);
    buf_deinit(&body);
    return r;
}

#define ONE_ROW(type, ...) one_row(type, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

static void what_no_encoder_writes_is_damaged(void **state)
{
    (void)state;
    assert_int_equal(ONE_ROW(one_int, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(ONE_ROW(one_int, 2, 3, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1), BLOCK_DAMAGED); /* width 3 */
    assert_int_equal(ONE_ROW(one_int, 2, 1, 255, 255, 255, 255, 255, 255, 255, 127, 1),
                     BLOCK_DAMAGED);                                                    /* over int64 */
    assert_int_equal(ONE_ROW(one_int, 0x22, 0, 1, 0, 0, 0, 0, 0, 0, 0), BLOCK_DAMAGED); /* a form */
    assert_int_equal(ONE_ROW(one_int, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0), BLOCK_DAMAGED);    /* another type */
    assert_int_equal(ONE_ROW(one_double, 1, 0, 1, 0, 0, 0, 0, 0, 0), 0);
    assert_int_equal(ONE_ROW(one_double, 0x61, 0, 1, 0, 0, 0, 0, 0, 0), BLOCK_DAMAGED);       /* form 3 */
    assert_int_equal(ONE_ROW(one_double, 0x41, 0x90, 1, 0, 0, 0, 0, 0, 0, 0), 0);             /* 1 / 10^9 */
    assert_int_equal(ONE_ROW(one_double, 0x41, 0xa0, 1, 0, 0, 0, 0, 0, 0, 0), BLOCK_DAMAGED); /* 10^10 */
    assert_int_equal(ONE_ROW(one_double, 0x41, 0x00, 0, 0, 0, 0, 0, 0, 8, 0), BLOCK_DAMAGED); /* base 2^51 */
    assert_int_equal(ONE_ROW(one_double, 0x41, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                     BLOCK_DAMAGED);
    assert_int_equal(ONE_ROW(one_bool, 3, 1), 0);
    assert_int_equal(ONE_ROW(one_bool, 3, 2), BLOCK_DAMAGED);    /* a spare bit */
    assert_int_equal(ONE_ROW(one_bool, 0x0b, 1), 0);             /* the one cell absent */
    assert_int_equal(ONE_ROW(one_bool, 0x0b, 3), BLOCK_DAMAGED); /* a spare bit */
    assert_int_equal(ONE_ROW(one_bool, 0x2b, 1), BLOCK_DAMAGED); /* a form without cells */
    assert_int_equal(ONE_ROW(one_bool, 0x13, 1, 1, 1), 0);
    assert_int_equal(ONE_ROW(one_bool, 0x13, 4, 1, 1), BLOCK_DAMAGED);       /* unknown quality */
    assert_int_equal(ONE_ROW(one_bool, 0x13, 1, 0, 1, 1, 1), BLOCK_DAMAGED); /* a run of none */
    assert_int_equal(ONE_ROW(one_bool, 0x13, 1, 2, 1), BLOCK_DAMAGED);       /* a run past the end */
}

static void times_that_leave_their_range_are_damaged(void **state)
{
    struct buf body = {0};
    const struct block *back;

    (void)state;
    buf_u8(&body, 0);
    buf_le64(&body, INT64_MAX - 1);
    buf_le64(&body, 1);
    buf_append(&body, (uint8_t[]){3, 0}, 2);
    assert_int_equal(decode_as(one_bool, 1, 2, span_of(body.data, body.len), -1, &back), 0);
    assert_int_equal(decode_as(one_bool, 1, 3, span_of(body.data, body.len), -1, &back), BLOCK_DAMAGED);
    body.data[0] = 3;
    assert_int_equal(decode_as(one_bool, 1, 2, span_of(body.data, body.len), -1, &back), BLOCK_DAMAGED);
    buf_deinit(&body);
}

/* Each of these would add up but for the one thing said. */
static void heads_that_only_just_fail_are_damaged(void **state)
{
    struct buf body = {0};
    const struct block *back;

    (void)state;
    buf_u8(&body, 3); /* times in three bytes */
    buf_le64(&body, 0);
    buf_append(&body, (uint8_t[]){1, 0, 0, 2, 0, 0, COLUMN_BOOL, 0}, 8);
    assert_int_equal(decode_as(one_bool, 1, 2, span_of(body.data, body.len), -1, &back), BLOCK_DAMAGED);
    buf_reset(&body);
    buf_u8(&body, 0);
    buf_le64(&body, 0);
    buf_le64(&body, 0);
    buf_append(&body, (uint8_t[]){COLUMN_BOOL | 0x08, 0x02, 0}, 3); /* the second of two is absent */
    assert_int_equal(decode_as(one_bool, 1, 2, span_of(body.data, body.len), -1, &back), 0);
    body.data[18] = 0x04; /* the third is */
    assert_int_equal(decode_as(one_bool, 1, 2, span_of(body.data, body.len), -1, &back), BLOCK_DAMAGED);
    buf_deinit(&body);
}

static void shapes_over_their_limits_are_damaged_and_encodings_unknown_are_said_so(void **state)
{
    static enum column_type types[BLOCK_COLUMNS_MAX + 1];
    static uint8_t zeros[4096];
    struct block_shape shape = {9, one_bool, 1, 1, -1, 0, NULL};
    const struct block *back;
    size_t i;

    (void)state;
    for (i = 0; i < BLOCK_COLUMNS_MAX + 1; i++)
        types[i] = COLUMN_BOOL;
    assert_int_equal(block_decode(&shape, span_of(zeros, 19), store, &back), BLOCK_ENCODING_UNKNOWN);
    assert_int_equal(decode_as(types, BLOCK_COLUMNS_MAX + 1, 1, span_of(zeros, 4096), -1, &back),
                     BLOCK_DAMAGED);
    assert_int_equal(decode_as(types, 0, 1, span_of(zeros, 17), -1, &back), BLOCK_DAMAGED);
    assert_int_equal(decode_as(types, 1, 0, span_of(zeros, 18), -1, &back), BLOCK_DAMAGED);
    assert_int_equal(decode_as(types, 1, BLOCK_ROWS_MAX + 1, span_of(zeros, 4096), -1, &back), BLOCK_DAMAGED);
    types[0] = (enum column_type)5;
    assert_int_equal(decode_as(types, 1, 1, span_of(zeros, 19), -1, &back), BLOCK_DAMAGED);
}

static void blocks_outside_the_limits_are_not_encoded(void **state)
{
    int64_t times[1] = {0}, values[1] = {0};
    uint8_t quality[1] = {9};
    struct span text[1] = {{(const uint8_t *)"", BLOCK_TEXT_MAX_BYTES + 1}};
    struct column c = {.type = COLUMN_INT64, .i64 = values};
    struct block b = {1, 1, times, &c};
    struct buf body = {.cap_bytes = 20};

    (void)state;
    assert_int_equal(block_encode(NULL, (enum block_encoding)9, NULL, &b, &body), -EINVAL);
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), -EMSGSIZE);
    buf_deinit(&body);
    b.n_rows = 0;
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), -EINVAL);
    b.n_rows = BLOCK_ROWS_MAX + 1;
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), -EINVAL);
    b.n_rows = 1;
    c.quality = quality;
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), -EINVAL);
    c.quality = NULL;
    c.type = COLUMN_TEXT;
    c.text = text;
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body), -EINVAL);
    buf_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_come_back_bit_for_bit),
        cmocka_unit_test(one_column_decoded_alone_is_the_same_column),
        cmocka_unit_test(mutated_bodies_are_refused_or_read_but_never_crash),
        cmocka_unit_test(cut_and_lengthened_bodies_are_damaged),
        cmocka_unit_test(short_decimals_take_the_width_of_their_range),
        cmocka_unit_test(the_example_of_the_readme_is_what_is_written),
        cmocka_unit_test(what_no_encoder_writes_is_damaged),
        cmocka_unit_test(times_that_leave_their_range_are_damaged),
        cmocka_unit_test(heads_that_only_just_fail_are_damaged),
        cmocka_unit_test(shapes_over_their_limits_are_damaged_and_encodings_unknown_are_said_so),
        cmocka_unit_test(blocks_outside_the_limits_are_not_encoded),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
