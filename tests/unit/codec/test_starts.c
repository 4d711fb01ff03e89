/* What is learnt of columns, and what is refused of what others say was learnt. */
#include "body_check.h"
#include "made_block.h"
#include "round_trip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 1000, LEARNT_MAX_BYTES = 1024 };

static struct block_coder *coder;
static struct buf learnt;
static int64_t times[BLOCK_ROWS_MAX];

static int set_up(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < BLOCK_ROWS_MAX; i++)
        times[i] = INT64_C(1750000000000000000) + i * INT64_C(250000000);
    return block_coder_new(&coder);
}

static int tear_down(void **state)
{
    (void)state;
    coder = block_coder_free(coder);
    buf_deinit(&learnt);
    return 0;
}

/* Learns from one column; the start of the times goes to *ret_time when asked for. */
static struct span learn_one(struct column *c, uint32_t n_rows, struct span *ret_time)
{
    struct block b = {n_rows, 1, times, c};
    struct span column, time;

    buf_reset(&learnt);
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), 0);
    if (ret_time != NULL)
        *ret_time = time;
    return column;
}

static int accept(enum column_type type, struct span start)
{
    struct block_starts *starts;
    int r = block_starts_new(&starts, &type, 1, &(struct block_start_bytes){.columns = &start});

    if (r == 0)
        block_starts_free(starts);
    return r;
}

static void columns_of_many_texts_learn_short_starts(void **state)
{
    static char letters[ROWS][33];
    static struct span cells[ROWS];
    struct column c = {.type = COLUMN_TEXT, .text = cells};
    struct rng rng = {1};
    struct span start;
    size_t distinct, len, i;

    (void)state;
    for (distinct = 1; distinct < ROWS; distinct = distinct * 3 / 2 + 1)
        for (len = 1; len <= 33; len += 8) {
            for (i = 0; i < ROWS; i++) {
                memset(letters[i], 'x', len);
                snprintf(letters[i], sizeof letters[i], "%zu", i % distinct);
                cells[i] = span_of(letters[rng_below(&rng, ROWS)], len);
            }
            start = learn_one(&c, ROWS, NULL);
            assert_in_range(start.len, 1, LEARNT_MAX_BYTES - 1);
            assert_int_equal(accept(COLUMN_TEXT, start), 0);
        }
}

/* Few enough values to rank them, so far apart that their dictionary takes thousands of bytes. */
static void columns_of_many_far_values_learn_short_starts(void **state)
{
    static int64_t cells[BLOCK_ROWS_MAX];
    struct column c = {.type = COLUMN_INT64, .i64 = cells};
    struct rng rng = {2};
    uint64_t values[500];
    uint32_t n_rows, i;
    size_t n;

    (void)state;
    for (n = 50; n <= 500; n += 50)
        for (n_rows = 200; n_rows <= BLOCK_ROWS_MAX; n_rows *= 4) {
            struct span start;

            for (i = 0; i < n; i++)
                values[i] = rng_u64(&rng);
            for (i = 0; i < n_rows; i++)
                cells[i] = (int64_t)values[rng_below(&rng, n)];
            start = learn_one(&c, n_rows, NULL);
            assert_in_range(start.len, 1, LEARNT_MAX_BYTES - 1);
            assert_int_equal(accept(COLUMN_INT64, start), 0);
        }
}

static void nothing_to_learn_from_is_a_cold_start(void **state)
{
    static int64_t cells[ROWS];
    static uint8_t absent[ROWS];
    struct column c = {.type = COLUMN_INT64, .i64 = cells, .absent = absent};
    struct span time;

    (void)state;
    memset(absent, 1, sizeof absent);
    assert_int_equal(learn_one(&c, ROWS, &time).len, 0);
    assert_true(time.len > 0);
    absent[0] = 0;
    assert_true(learn_one(&c, 1, &time).len > 0);
    assert_int_equal(time.len, 0);
}

static void blocks_outside_the_limits_are_not_learnt_from(void **state)
{
    static int64_t cells[1];
    static const uint8_t quality[1] = {QUALITY_STALE + 1};
    static struct span text[1] = {{(const uint8_t *)"", BLOCK_TEXT_MAX_BYTES + 1}};
    struct column c = {.type = COLUMN_INT64, .i64 = cells};
    struct block b = {0, 1, times, &c};
    struct span column, time;

    (void)state;
    buf_reset(&learnt);
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), -EINVAL);
    b.n_rows = BLOCK_ROWS_MAX + 1;
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), -EINVAL);
    b.n_rows = 1;
    b.n_columns = 0;
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), -EINVAL);
    b.n_columns = 1;
    c.quality = (uint8_t *)quality;
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), -EINVAL);
    c.quality = NULL;
    c.type = COLUMN_TEXT;
    c.text = text;
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), -EINVAL);
    c.type = (enum column_type)5;
    assert_int_equal(block_learn(coder, &b, NULL, &learnt, &column, &time), -EINVAL);
    assert_int_equal(learnt.len, 0);
}

#define START(type, ...) accept(type, span_of(((uint8_t[]){__VA_ARGS__}), sizeof((uint8_t[]){__VA_ARGS__})))

/* Version; double: kind, exponent, int64: unit, offset; predictor and ranks, two levels, center; ... */
static void what_is_never_learnt_is_refused(void **state)
{
    (void)state;
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 1, 0, 0, 0), 0);
    assert_int_equal(START(COLUMN_DOUBLE, 2, 0, 2, 1, 0, 0, 0), -EINVAL);    /* version */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 18, 1, 0, 0, 0), -EINVAL);   /* 10^18 */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 2, 52, 1, 0, 0, 0), 0);         /* bits */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 2, 53, 1, 0, 0, 0), -EINVAL);   /* too many of them */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 10, 2, 1, 0, 0, 0), -EINVAL);   /* bits know no ulps */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 3, 0, 1, 0, 0, 0), -EINVAL);    /* integer */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 4, 0, 1, 0, 0, 0), -EINVAL);    /* bounded by nothing */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 16, 2, 1, 0, 0, 0), -EINVAL);   /* no such flag */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 9, 0, 0, 0), -EINVAL);    /* predictor */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 0x31, 0, 0, 0), -EINVAL); /* rank mode */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 1, 192, 192, 0), 0);      /* the highest levels */
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 1, 193, 0, 0), -EINVAL);
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 1, 0, 193, 0), -EINVAL);
    assert_int_equal(START(COLUMN_DOUBLE, 1, 0, 2, 1, 0, 0, 0, 0), -EINVAL); /* goes on */
    assert_int_equal(START(COLUMN_INT64, 1, 5, 4, 1, 0, 0, 0), 0);
    assert_int_equal(START(COLUMN_INT64, 1, 0, 0, 1, 0, 0, 0), -EINVAL); /* unit 0 */
    assert_int_equal(START(COLUMN_INT64, 1, 5, 5, 1, 0, 0, 0), -EINVAL); /* offset beyond */
    assert_int_equal(START(COLUMN_INT64, 1, 1, 0, 0x11, 0, 0, 0, 2, 3, 1), 0);
    assert_int_equal(START(COLUMN_INT64, 1, 1, 0, 0x11, 0, 0, 0, 0), -EINVAL);       /* no entries */
    assert_int_equal(START(COLUMN_INT64, 1, 1, 0, 0x11, 0, 0, 0, 2, 3, 0), -EINVAL); /* that do not rise */
    assert_int_equal(START(COLUMN_INT64, 1, 1, 0, 0x11, 0, 0, 0, 2, 3), -EINVAL);    /* that are not there */
    assert_int_equal(START(COLUMN_INT64, 1, 1, 0, 0x11, 0, 0, 0, 0x81, 8), -EINVAL); /* 1025 of them */
    assert_int_equal(START(COLUMN_BOOL, 1, 1, 0, 0, 0), 0);
    assert_int_equal(START(COLUMN_BOOL, 1, 1, 0, 0), -EINVAL);
    assert_int_equal(START(COLUMN_TEXT, 1, 1, 0, 0, 0, 1, 2, 'o', 'n'), 0);
    assert_int_equal(START(COLUMN_TEXT, 1, 1, 0, 0, 0, 1, 2, 'o'), -EINVAL);
    assert_int_equal(START(COLUMN_TEXT, 1, 1, 0, 0, 0, 33), -EINVAL);
}

static void every_cut_of_a_start_is_refused_but_the_one_to_nothing(void **state)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL, COLUMN_TEXT};
    struct block_start_bytes bytes = {0};
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 40; seed++) {
        struct block_starts *starts;
        struct rng rng = {seed};
        struct span columns[4];
        struct made_block mb;
        size_t c, len;

        made_block_init_as(&mb, &rng, 1 + (uint32_t)rng_below(&rng, 300), 4, types);
        buf_reset(&learnt);
        assert_int_equal(block_learn(coder, &mb.block, NULL, &learnt, columns, &bytes.time), 0);
        for (c = 0; c < 4; c++)
            for (len = 0; len < columns[c].len; len++)
                assert_int_equal(accept(types[c], span_of(columns[c].data, len)), len == 0 ? 0 : -EINVAL);
        for (len = bytes.time.len; bytes.time.len-- > 0;) {
            int r = block_starts_new(&starts, types, 4, &bytes);

            assert_int_equal(r, bytes.time.len == 0 ? 0 : -EINVAL);
            if (r == 0)
                block_starts_free(starts);
        }
        made_block_deinit(&mb);
    }
}

static void times_have_no_offset(void **state)
{
    static const enum column_type type = COLUMN_BOOL;
    static const uint8_t time[] = {1, 5, 4, 1, 0, 0, 0};
    struct block_start_bytes bytes = {.time = span_of(time, sizeof time)};
    struct block_starts *starts;

    (void)state;
    assert_int_equal(block_starts_new(&starts, &type, 1, &bytes), -EINVAL);
}

/* The reason for it all: ten rows that begin like the thousandth. */
static void short_blocks_are_shorter_with_what_was_learnt(void **state)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64};
    static double v[ROWS];
    static int64_t counts[ROWS];
    struct column columns[2] = {{.type = COLUMN_DOUBLE, .f64 = v}, {.type = COLUMN_INT64, .i64 = counts}},
                  part[2];
    struct block b = {ROWS, 2, times, columns}, ten;
    struct block_start_bytes bytes = {0};
    struct block_starts *starts;
    struct rng rng = {8};
    struct span spans[2];
    size_t e, i, cold, warm;

    (void)state;
    for (i = 0; i < ROWS; i++) {
        v[i] = (2150 + (double)rng_below(&rng, 30)) / 100;
        counts[i] = (int64_t)(i == 0 ? 100000 : (uint64_t)counts[i - 1] + rng_below(&rng, 5));
    }
    buf_reset(&learnt);
    block_slice(&b, 0, 500, part, &ten);
    assert_int_equal(block_learn(coder, &ten, NULL, &learnt, spans, &bytes.time), 0);
    bytes.columns = spans;
    assert_int_equal(block_starts_new(&starts, types, 2, &bytes), 0);
    for (e = BLOCK_ENCODING_FAST; e <= BLOCK_ENCODING_SMALL; e++) {
        struct buf body = {0};

        block_slice(&b, 700, 10, part, &ten);
        assert_int_equal(block_encode(coder, (enum block_encoding)e, NULL, &ten, &body), 0);
        cold = body.len;
        buf_reset(&body);
        assert_int_equal(block_encode(coder, (enum block_encoding)e, starts, &ten, &body), 0);
        warm = body.len;
        assert_true(warm * 4 < cold * 3);
        buf_deinit(&body);
    }
    block_starts_free(starts);
}

/* Bytes of 100 rows of b, from row 900, with what was learnt from the rows of another block. */
static size_t warm_bytes(struct block *b, const struct block *learn_from)
{
    struct block_start_bytes bytes = {0};
    struct block_starts *starts;
    struct column part;
    struct block hundred;
    struct span column;
    struct buf body = {0};
    size_t n;

    buf_reset(&learnt);
    assert_int_equal(block_learn(coder, learn_from, NULL, &learnt, &column, &bytes.time), 0);
    bytes.columns = &column;
    assert_int_equal(block_starts_new(&starts, &b->columns[0].type, 1, &bytes), 0);
    block_slice(b, 900, 100, &part, &hundred);
    assert_int_equal(block_encode(coder, BLOCK_ENCODING_SMALL, starts, &hundred, &body), 0);
    n = body.len;
    buf_deinit(&body);
    block_starts_free(starts);
    return n;
}

/* A channel that was learnt as one thing and becomes another is not written as the old one for ever. */
static void a_start_that_no_longer_fits_costs_little(void **state)
{
    enum { WALK, NOISE, RAMP, LEVEL, NATURES };
    static int64_t cells[NATURES][ROWS];
    struct column columns[NATURES];
    struct block blocks[NATURES];
    struct rng rng = {12};
    size_t i, from, to;

    (void)state;
    for (i = 0; i < ROWS; i++) {
        cells[WALK][i] = (i == 0 ? 1000000 : cells[WALK][i - 1]) + (int64_t)rng_below(&rng, 41) - (int64_t)20;
        cells[NOISE][i] = 1000000 + (int64_t)rng_below(&rng, 2001);
        cells[RAMP][i] = 1000000 + 977 * (int64_t)i;
        cells[LEVEL][i] = 1000000;
    }
    for (i = 0; i < NATURES; i++) {
        columns[i] = (struct column){.type = COLUMN_INT64, .i64 = cells[i]};
        blocks[i] = (struct block){ROWS, 1, times, &columns[i]};
    }
    for (to = 0; to < NATURES; to++)
        for (from = 0; from < NATURES; from++)
            assert_true(warm_bytes(&blocks[to], &blocks[from]) <= warm_bytes(&blocks[to], &blocks[to]) + 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_many_texts_learn_short_starts),
        cmocka_unit_test(columns_of_many_far_values_learn_short_starts),
        cmocka_unit_test(nothing_to_learn_from_is_a_cold_start),
        cmocka_unit_test(blocks_outside_the_limits_are_not_learnt_from),
        cmocka_unit_test(what_is_never_learnt_is_refused),
        cmocka_unit_test(every_cut_of_a_start_is_refused_but_the_one_to_nothing),
        cmocka_unit_test(times_have_no_offset),
        cmocka_unit_test(short_blocks_are_shorter_with_what_was_learnt),
        cmocka_unit_test(a_start_that_no_longer_fits_costs_little),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
