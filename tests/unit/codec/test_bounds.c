/* Error bounds: kept by every cell, and what is no number stays as it is. */
#include "made_block.h"
#include "round_trip.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROWS = 400 };

static const enum block_encoding encodings[2] = {BLOCK_ENCODING_FAST, BLOCK_ENCODING_SMALL};
static const enum column_type types[1] = {COLUMN_DOUBLE};

static struct block_coder *coder;
static struct block_store *stores[2];
static struct buf body;
static int64_t times[ROWS];

static int set_up(void **state)
{
    (void)state;
    return block_coder_new(&coder) != 0 || block_store_new(&stores[0]) != 0 ||
           block_store_new(&stores[1]) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    coder = block_coder_free(coder);
    stores[0] = block_store_free(stores[0]);
    stores[1] = block_store_free(stores[1]);
    buf_deinit(&body);
    return 0;
}

static const struct block *there_and_back(const struct block *b, enum block_encoding encoding,
                                          const struct block_starts *starts, struct block_store *store)
{
    struct block_shape shape = {encoding, types, 1, b->n_rows, -1, 0, starts};
    const struct block *back;

    buf_reset(&body);
    assert_int_equal(block_encode(coder, encoding, starts, b, &body), 0);
    assert_int_equal(block_decode(&shape, span_of(body.data, body.len), store, &back), 0);
    return back;
}

static struct block_starts *bounded_by(double bound)
{
    struct block_start_bytes bytes = {.error_bounds = &bound};
    struct block_starts *starts;

    assert_int_equal(block_starts_new(&starts, types, 1, &bytes), 0);
    return starts;
}

static void no_cell_is_further_off_than_its_bound_and_twice_is_as_once(void **state)
{
    static const double bounds[] = {1e-9, 1e-3, 0.05, 0.5, 3, 1e6, 5e-324, 1e-310, 1e200, 1e300};
    static double v[ROWS];
    struct column c = {.type = COLUMN_DOUBLE, .f64 = v};
    struct block b = {ROWS, 1, times, &c};
    size_t k, e;
    unsigned kind;

    (void)state;
    for (k = 0; k < sizeof bounds / sizeof bounds[0]; k++)
        for (kind = 0; kind < MADE_DOUBLES; kind++) {
            struct block_starts *starts = bounded_by(bounds[k]);
            struct rng rng = {100 * k + kind};

            made_doubles(v, ROWS, kind, &rng);
            for (e = 0; e < 2; e++) {
                const struct block *once = there_and_back(&b, encodings[e], starts, stores[0]), *twice;

                if (!round_trip_same(&b, once, &bounds[k]))
                    fail_msg("bound %g, kind %u: off by more", bounds[k], kind);
                twice = there_and_back(once, encodings[e], starts, stores[1]);
                if (!round_trip_same(once, twice, NULL))
                    fail_msg("bound %g, kind %u: moves when written again", bounds[k], kind);
            }
            block_starts_free(starts);
        }
}

static void a_bound_makes_noise_shorter(void **state)
{
    static double v[ROWS];
    struct column c = {.type = COLUMN_DOUBLE, .f64 = v};
    struct block b = {ROWS, 1, times, &c};
    struct block_starts *starts = bounded_by(0.01);
    struct rng rng = {5};
    size_t e, i, exact;

    (void)state;
    for (i = 0; i < ROWS; i++)
        v[i] = 20 + rng_normal(&rng);
    for (e = 0; e < 2; e++) {
        there_and_back(&b, encodings[e], NULL, stores[0]);
        exact = body.len;
        there_and_back(&b, encodings[e], starts, stores[0]);
        assert_true(body.len < exact / 3);
    }
    block_starts_free(starts);
}

static size_t length_of(double at, double spread, double bound)
{
    static double v[ROWS];
    struct column c = {.type = COLUMN_DOUBLE, .f64 = v};
    struct block b = {ROWS, 1, times, &c};
    struct block_starts *starts = bounded_by(bound);
    struct rng rng = {8};
    size_t i;

    for (i = 0; i < ROWS; i++)
        v[i] = at + spread * (2 * rng_unit(&rng) - 1);
    assert_true(round_trip_same(&b, there_and_back(&b, BLOCK_ENCODING_SMALL, starts, stores[0]), &bound));
    block_starts_free(starts);
    return body.len;
}

/* Wherever they hover: a spread within the bound is one integer and some exceptions from the rounding at
 * most. */
static void readings_that_hover_between_two_steps_are_one_integer(void **state)
{
    double at;

    (void)state;
    for (at = 20; at < 20.2; at += 0.013)
        if (length_of(at, 0.04, 0.05) > 24)
            fail_msg("around %g: %zu bytes", at, body.len);
    /* A cell within a step of zero keeps the steps where zero is one of them. */
    assert_true(length_of(0.05, 0.04, 0.05) > 40);
}

static void zero_stays_zero_under_a_bound(void **state)
{
    static double v[ROWS];
    struct column c = {.type = COLUMN_DOUBLE, .f64 = v};
    struct block b = {ROWS, 1, times, &c};
    struct block_starts *starts = bounded_by(0.05);
    struct rng rng = {9};
    size_t e, i;

    (void)state;
    for (i = 0; i < ROWS; i++)
        v[i] = i % 40 == 0 ? 0 : 20.05 + 0.04 * rng_unit(&rng);
    for (e = 0; e < 2; e++) {
        const struct block *back = there_and_back(&b, encodings[e], starts, stores[0]);

        for (i = 0; i < ROWS; i += 40)
            assert_true(back->columns[0].f64[i] == 0);
    }
    block_starts_free(starts);
}

static void what_is_no_number_is_exact_under_any_bound(void **state)
{
    static const uint64_t odd[] = {UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000),
                                   UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8deadbeef0001),
                                   UINT64_C(0x7ff0000000000001), UINT64_C(0x7fefffffffffffff)};
    static int64_t cells[ROWS];
    struct column c = {.type = COLUMN_DOUBLE, .i64 = cells};
    struct block b = {ROWS, 1, times, &c};
    struct block_starts *starts = bounded_by(0.5);
    struct rng rng = {6};
    size_t e, i;

    (void)state;
    for (i = 0; i < ROWS; i++) {
        double v = 100 * rng_unit(&rng);

        memcpy(&cells[i], &v, sizeof v);
        if (i < 6 || rng_below(&rng, 20) == 0)
            memcpy(&cells[i], &odd[i < 6 ? i : rng_below(&rng, 6)], sizeof v);
    }
    for (e = 0; e < 2; e++) {
        const struct block *back = there_and_back(&b, encodings[e], starts, stores[0]);

        for (i = 0; i < ROWS; i++)
            if (!isfinite(c.f64[i]))
                assert_true(back->columns[0].i64[i] == cells[i]);
        assert_true(back->columns[0].i64[5] == cells[5]);
    }
    block_starts_free(starts);
}

static void bounds_that_cannot_be_are_refused(void **state)
{
    static const double wrong[] = {-1, -5e-324, 1.0001e300, INFINITY, -INFINITY, NAN};
    static const enum column_type others[] = {COLUMN_INT64, COLUMN_BOOL, COLUMN_TEXT};
    struct block_starts *starts;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(
            block_starts_new(&starts, types, 1, &(struct block_start_bytes){.error_bounds = &wrong[i]}),
            -EINVAL);
    for (i = 0; i < 3; i++) {
        double bound = 0.5;

        assert_int_equal(
            block_starts_new(&starts, &others[i], 1, &(struct block_start_bytes){.error_bounds = &bound}),
            -EINVAL);
        bound = -0.0;
        assert_int_equal(
            block_starts_new(&starts, &others[i], 1, &(struct block_start_bytes){.error_bounds = &bound}), 0);
        block_starts_free(starts);
    }
}

static void places_are_sixteenths(void **state)
{
    static const uint8_t last[] = {1, 4, 15, 1, 0, 0, 0}, beyond[] = {1, 4, 16, 1, 0, 0, 0};
    struct span learnt = span_of(last, sizeof last);
    double bound = 0.5;
    struct block_start_bytes bytes = {&bound, &learnt, {0}};
    struct block_starts *starts;

    (void)state;
    assert_int_equal(block_starts_new(&starts, types, 1, &bytes), 0);
    block_starts_free(starts);
    learnt = span_of(beyond, sizeof beyond);
    assert_int_equal(block_starts_new(&starts, types, 1, &bytes), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cell_is_further_off_than_its_bound_and_twice_is_as_once),
        cmocka_unit_test(a_bound_makes_noise_shorter),
        cmocka_unit_test(readings_that_hover_between_two_steps_are_one_integer),
        cmocka_unit_test(zero_stays_zero_under_a_bound),
        cmocka_unit_test(what_is_no_number_is_exact_under_any_bound),
        cmocka_unit_test(bounds_that_cannot_be_are_refused),
        cmocka_unit_test(places_are_sixteenths),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
