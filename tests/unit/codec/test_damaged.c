/* Bodies that are cut, flipped, or read with what they were not written with. */
#include "body_check.h"
#include "made_block.h"
#include "round_trip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const enum block_encoding encodings[2] = {BLOCK_ENCODING_FAST, BLOCK_ENCODING_SMALL};

static struct block_coder *coder;
static struct block_store *store;
static struct buf body;

static int set_up(void **state)
{
    (void)state;
    return block_coder_new(&coder) != 0 || block_store_new(&store) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    coder = block_coder_free(coder);
    store = block_store_free(store);
    buf_deinit(&body);
    return 0;
}

static struct block_shape write_block(const struct made_block *mb, enum block_encoding encoding,
                                      const struct block_starts *starts)
{
    const struct block *b = &mb->block;
    struct block_shape shape = {encoding, mb->types, b->n_columns, b->n_rows, -1, b->time_ns[0], starts};
    uint32_t i;

    for (i = 1; i < b->n_rows; i++)
        if (b->time_ns[i] < shape.time_first_ns)
            shape.time_first_ns = b->time_ns[i];
    buf_reset(&body);
    assert_int_equal(block_encode(coder, encoding, starts, b, &body), 0);
    return shape;
}

/* From a copy of exact size: reading past its end is seen by a sanitizer. */
static int read_copy(const struct block_shape *shape, size_t len)
{
    const struct block *back;
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    int r;

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, body.data, len);
    r = block_decode(shape, span_of(copy, len), store, &back);
    free(copy);
    return r;
}

static void a_block(struct made_block *mb, uint64_t seed, uint32_t rows_max)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_TEXT, COLUMN_DOUBLE,
                                             COLUMN_BOOL};
    struct rng rng = {seed};

    made_block_init_as(mb, &rng, 1 + (uint32_t)rng_below(&rng, rows_max), 1 + (uint32_t)rng_below(&rng, 5),
                       types);
}

/* A short body's check has 16 bits: of the many wrong ones here, some few in 65536 may pass. */
static void every_cut_and_every_flipped_bit_is_damaged(void **state)
{
    uint64_t seed;
    size_t n_short = 0, n_short_read = 0;

    (void)state;
    for (seed = 1; seed <= 40; seed++) {
        struct made_block mb;
        size_t e, i;

        a_block(&mb, seed, seed % 4 == 0 ? 60 : 5);
        for (e = 0; e < 2; e++) {
            struct block_shape shape = write_block(&mb, encodings[e], NULL);
            bool is_short = body.len <= 66;

            assert_int_equal(read_copy(&shape, body.len), 0);
            for (i = 0; i < body.len; i++)
                if (read_copy(&shape, i) != BLOCK_DAMAGED)
                    n_short_read += i <= 66 ? 1 : 1000;
            n_short += body.len < 66 ? body.len : 66;
            for (i = 0; i < 8 * body.len; i++) {
                body.data[i / 8] = (uint8_t)(body.data[i / 8] ^ 1 << i % 8);
                if (read_copy(&shape, body.len) != BLOCK_DAMAGED)
                    n_short_read += is_short ? 1 : 1000;
                body.data[i / 8] = (uint8_t)(body.data[i / 8] ^ 1 << i % 8);
                n_short += is_short;
            }
            buf_u8(&body, 0);
            assert_int_equal(read_copy(&shape, body.len), BLOCK_DAMAGED);
        }
        made_block_deinit(&mb);
    }
    assert_true(n_short > 10000);
    assert_true(n_short_read <= 2 + n_short / 8192);
}

static void cut_bodies_with_a_right_check_end_as_bodies_do(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 60; seed++) {
        struct made_block mb;
        size_t e, i, n;

        a_block(&mb, seed, 80);
        for (e = 0; e < 2; e++) {
            struct block_shape shape = write_block(&mb, encodings[e], NULL);
            struct buf whole = {0};

            n = body.len - body_check_bytes(body.len);
            buf_append(&whole, body.data, n);
            for (i = 0; i <= n; i++) {
                int r;

                memcpy(body.data, whole.data, i);
                r = read_copy(&shape, body_check_put(&shape, body.data, i));
                assert_true(r == 0 || r == BLOCK_DAMAGED);
                /* A fast body says where it ends; a small one reads zeros behind its end. */
                if (i == n || encodings[e] == BLOCK_ENCODING_FAST)
                    assert_int_equal(r, i == n ? 0 : BLOCK_DAMAGED);
            }
            buf_deinit(&whole);
        }
        made_block_deinit(&mb);
    }
}

static void bytes_behind_a_fast_body_are_damaged_under_any_check(void **state)
{
    struct made_block mb;
    struct block_shape shape;
    size_t n;

    (void)state;
    a_block(&mb, 7, 200);
    shape = write_block(&mb, BLOCK_ENCODING_FAST, NULL);
    n = body.len - body_check_bytes(body.len);
    buf_append(&body, "12345678", 8);
    body.data[n] = 0;
    assert_int_equal(read_copy(&shape, body_check_put(&shape, body.data, n + 1)), BLOCK_DAMAGED);
    assert_int_equal(read_copy(&shape, body_check_put(&shape, body.data, n)), 0);
    made_block_deinit(&mb);
}

static void a_body_is_read_with_its_own_shape_and_starts_only(void **state)
{
    static const enum column_type types[] = {COLUMN_INT64, COLUMN_INT64, COLUMN_INT64};
    /* times: unit 1, the last difference, levels 0, center 1 */
    static const uint8_t time[] = {1, 1, 0, 1, 0, 0, 2};
    struct block_start_bytes some = {.time = span_of(time, sizeof time)},
                             other = {.error_bounds = (double[]){0, 0, 0}};
    struct block_starts *starts[2];
    struct made_block mb;
    struct rng rng = {11};
    size_t e;

    (void)state;
    made_block_init_as(&mb, &rng, 200, 2, types);
    assert_int_equal(block_starts_new(&starts[0], types, 2, &some), 0);
    assert_int_equal(block_starts_new(&starts[1], types, 3, &other), 0);
    for (e = 0; e < 2; e++) {
        struct block_shape right = write_block(&mb, encodings[e], starts[0]), wrong = right;

        assert_true(body.len > 66);
        assert_int_equal(read_copy(&right, body.len), 0);
        wrong.n_rows--;
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        wrong = right;
        wrong.n_columns = 1;
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        wrong = right;
        wrong.n_columns = 3;
        wrong.types = types;
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        wrong = right;
        wrong.time_first_ns--;
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        wrong = right;
        wrong.starts = NULL;
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        wrong.starts = starts[1]; /* of another number of columns */
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        wrong = right;
        wrong.encoding = encodings[1 - e];
        assert_int_equal(read_copy(&wrong, body.len), BLOCK_DAMAGED);
        assert_int_equal(block_encode(coder, encodings[e], starts[1], &mb.block, &body), -EINVAL);
    }
    block_starts_free(starts[0]);
    block_starts_free(starts[1]);
    made_block_deinit(&mb);
}

static void a_body_that_was_given_up_leaves_no_facts(void **state)
{
    struct column_facts facts;
    struct made_block mb;
    size_t e, i, n_damaged = 0;

    (void)state;
    a_block(&mb, 5, 60);
    for (e = 0; e < 2; e++) {
        struct block_shape shape = write_block(&mb, encodings[e], NULL);
        struct rng rng = {9};

        assert_int_equal(read_copy(&shape, body.len), 0);
        block_store_facts(store, -1, &facts);
        assert_string_equal(facts.numbers, "integer");
        for (i = 0; i < 200; i++) {
            size_t k, n = 40;

            for (k = 0; k < n; k++)
                body.data[k] = (uint8_t)rng_u64(&rng);
            if (read_copy(&shape, body_check_put(&shape, body.data, n)) == 0)
                continue;
            n_damaged++;
            block_store_facts(store, 0, &facts);
            assert_string_equal(facts.numbers, "fixed");
            assert_int_equal(facts.n_cells, 0);
        }
    }
    assert_true(n_damaged > 100);
    made_block_deinit(&mb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_and_every_flipped_bit_is_damaged),
        cmocka_unit_test(cut_bodies_with_a_right_check_end_as_bodies_do),
        cmocka_unit_test(bytes_behind_a_fast_body_are_damaged_under_any_check),
        cmocka_unit_test(a_body_is_read_with_its_own_shape_and_starts_only),
        cmocka_unit_test(a_body_that_was_given_up_leaves_no_facts),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
