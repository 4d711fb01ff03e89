/* How long bodies are at their worst and at their best. */
#include "made_block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 1000 };

static const enum block_encoding encodings[2] = {BLOCK_ENCODING_FAST, BLOCK_ENCODING_SMALL};

static struct block_coder *coder;
static struct buf body;

static int set_up(void **state)
{
    (void)state;
    return block_coder_new(&coder);
}

static int tear_down(void **state)
{
    (void)state;
    coder = block_coder_free(coder);
    buf_deinit(&body);
    return 0;
}

static size_t bytes_of(const struct block *b, enum block_encoding encoding)
{
    buf_reset(&body);
    assert_int_equal(block_encode(coder, encoding, NULL, b, &body), 0);
    return body.len;
}

/* n_columns columns with the same cells, regular times. */
static struct block columns_of(const int64_t *cells, enum column_type type, uint32_t n_rows,
                               uint32_t n_columns)
{
    static int64_t times[BLOCK_ROWS_MAX];
    static struct column columns[BLOCK_COLUMNS_MAX];
    uint32_t i;

    for (i = 0; i < n_rows; i++)
        times[i] = INT64_C(1750000000000000000) + (int64_t)i * 100000000;
    for (i = 0; i < n_columns; i++)
        columns[i] = (struct column){.type = type, .i64 = (int64_t *)cells};
    return (struct block){n_rows, n_columns, times, columns};
}

static void random_bits_take_hardly_more_than_themselves(void **state)
{
    static int64_t cells[ROWS];
    static const enum column_type types[2] = {COLUMN_DOUBLE, COLUMN_INT64};
    struct rng rng = {1};
    size_t t, e, i;

    (void)state;
    for (i = 0; i < ROWS; i++)
        cells[i] = (int64_t)rng_u64(&rng);
    for (t = 0; t < 2; t++)
        for (e = 0; e < 2; e++) {
            struct block one = columns_of(cells, types[t], ROWS, 1),
                         ten = columns_of(cells, types[t], ROWS, 10);

            assert_true(bytes_of(&one, encodings[e]) <= ROWS * 83 / 10 + 40);
            ten.columns[3].i64 = cells; /* the same bits over and over: nothing is shared between columns */
            assert_true(bytes_of(&ten, encodings[e]) <= ROWS * 83 + 100);
        }
}

/* Whatever the values are: 8.3 bytes a cell. */
static void no_kind_of_values_takes_more_than_random_bits(void **state)
{
    static int64_t cells[ROWS];
    unsigned kind;
    size_t e;

    (void)state;
    for (kind = 0; kind < MADE_DOUBLES + MADE_INTEGERS; kind++) {
        uint64_t seed;

        for (seed = 1; seed <= 8; seed++) {
            struct rng rng = {seed};
            enum column_type type = kind < MADE_DOUBLES ? COLUMN_DOUBLE : COLUMN_INT64;
            struct block b = columns_of(cells, type, ROWS, 1);

            if (type == COLUMN_DOUBLE)
                made_doubles((double *)(void *)cells, ROWS, kind, &rng);
            else
                made_integers(cells, ROWS, kind - MADE_DOUBLES, &rng);
            for (e = 0; e < 2; e++)
                if (bytes_of(&b, encodings[e]) > ROWS * 83 / 10 + 40)
                    fail_msg("kind %u, seed %d, %s: %zu bytes", kind, (int)seed,
                             block_encoding_name(encodings[e]), body.len);
        }
    }
}

static void random_times_take_hardly_more_than_themselves(void **state)
{
    static int64_t cells[ROWS];
    struct block b = columns_of(cells, COLUMN_INT64, ROWS, 1);
    struct rng rng = {2};
    unsigned kind;
    size_t e;

    (void)state;
    for (kind = 0; kind < MADE_TIMES; kind++)
        for (e = 0; e < 2; e++) {
            made_times(b.time_ns, ROWS, kind, &rng);
            assert_true(bytes_of(&b, encodings[e]) <= ROWS * 83 / 10 + 60);
        }
}

static void constants_take_nearly_nothing(void **state)
{
    static int64_t cells[BLOCK_ROWS_MAX];
    static const double constants[] = {0, 21.5, -1e-9, 1.0 / 3, 0x1p-1074};
    size_t k, e, i;

    (void)state;
    for (k = 0; k < sizeof constants / sizeof constants[0]; k++)
        for (e = 0; e < 2; e++) {
            struct block one = columns_of(cells, COLUMN_DOUBLE, ROWS, 1);
            struct block many = columns_of(cells, COLUMN_DOUBLE, BLOCK_ROWS_MAX, 20);

            for (i = 0; i < BLOCK_ROWS_MAX; i++)
                memcpy(&cells[i], &constants[k], sizeof cells[i]);
            one.n_rows = ROWS;
            one.n_columns = 1;
            assert_true(bytes_of(&one, encodings[e]) <= 45);
            assert_true(bytes_of(&many, encodings[e]) <= 20 * 30 + 40);
        }
    memset(cells, 0, sizeof cells);
    for (e = 0; e < 2; e++) {
        struct block b = columns_of(cells, COLUMN_BOOL, BLOCK_ROWS_MAX, 20);

        assert_true(bytes_of(&b, encodings[e]) <= 20 * 10 + 40);
    }
}

static void one_text_over_and_over_is_told_once(void **state)
{
    static struct span cells[ROWS];
    struct block b;
    size_t e, i;

    (void)state;
    for (i = 0; i < ROWS; i++)
        cells[i] = span_str("the same long text in every row of the block, and in all of them");
    for (e = 0; e < 2; e++) {
        b = columns_of(NULL, COLUMN_TEXT, ROWS, 1);
        b.columns[0].text = cells;
        assert_true(bytes_of(&b, encodings[e]) <= cells[0].len + 45);
    }
}

/* Few cells: a sensor's first reading must not cost a page. */
static void a_row_of_many_columns_takes_some_bytes_each(void **state)
{
    static int64_t cells[1] = {20};
    struct block b = columns_of(cells, COLUMN_INT64, 1, BLOCK_COLUMNS_MAX);
    size_t e;

    (void)state;
    for (e = 0; e < 2; e++)
        assert_true(bytes_of(&b, encodings[e]) <= 6 * BLOCK_COLUMNS_MAX + 20);
}

/* A buffer that is capped at the size of what comes out is not always enough, but one that is no larger than
 * the raw encoding's says so and is not overrun. */
static void a_capped_buffer_is_kept_to(void **state)
{
    static int64_t cells[ROWS];
    struct block b = columns_of(cells, COLUMN_INT64, ROWS, 1);
    struct rng rng = {3};
    size_t e, i;

    (void)state;
    for (i = 0; i < ROWS; i++)
        cells[i] = (int64_t)rng_u64(&rng);
    for (e = 0; e < 2; e++) {
        struct buf capped = {.cap_bytes = 1000};

        assert_int_equal(block_encode(coder, encodings[e], NULL, &b, &capped), -EMSGSIZE);
        assert_true(capped.alloc_bytes <= 1000);
        assert_int_equal(bytes_of(&b, encodings[e]) > 8 * ROWS, 1);
        buf_deinit(&capped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bits_take_hardly_more_than_themselves),
        cmocka_unit_test(no_kind_of_values_takes_more_than_random_bits),
        cmocka_unit_test(random_times_take_hardly_more_than_themselves),
        cmocka_unit_test(constants_take_nearly_nothing),
        cmocka_unit_test(one_text_over_and_over_is_told_once),
        cmocka_unit_test(a_row_of_many_columns_takes_some_bytes_each),
        cmocka_unit_test(a_capped_buffer_is_kept_to),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
