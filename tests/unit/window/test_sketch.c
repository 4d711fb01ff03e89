/* Sketches: against sorted arrays, in any order and split, and from bytes. */
#include "window/sketch.h"

#include "base/rng.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 3000, KINDS = 7 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void make(struct rng *rng, unsigned kind, double *x, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        double u = rng_unit(rng);

        x[i] = kind == 0   ? 20 + rng_normal(rng)
               : kind == 1 ? rng_normal(rng)
               : kind == 2 ? ldexp(u + 1, (int)rng_below(rng, 2000) - 1000)
               : kind == 3 ? -log(1 - u) * 1e-3
               : kind == 4 ? (double)rng_below(rng, 5)
               : kind == 5 ? (u < 0.5 ? -1 : 1) * ldexp(u, (int)rng_below(rng, 60) - 30)
                           : (i % 100 == 0 ? (u < 0.5 ? INFINITY : -INFINITY) : u * DBL_MAX);
    }
}

static void quantiles_are_within_the_error(void **state)
{
    static const double shares[] = {0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    struct rng rng = {1};
    static double x[N];
    unsigned round, kind, i;

    (void)state;
    for (round = 0; round < 20; round++)
        for (kind = 0; kind < KINDS; kind++) {
            unsigned n = round == 0 ? 1 : 1 + (unsigned)rng_below(&rng, N);
            struct sketch s = {.count = 0};

            make(&rng, kind, x, n);
            for (i = 0; i < n; i++)
                sketch_add(&s, x[i]);
            assert_int_equal(s.count, n);
            assert_true(s.n_buckets <= SKETCH_BUCKETS_MAX);
            qsort(x, n, sizeof x[0], by_size);
            for (i = 0; i < sizeof shares / sizeof shares[0]; i++) {
                double truth = x[(size_t)(shares[i] * (n - 1))], said = sketch_quantile(&s, shares[i]);

                if (said == truth || sketch_error(&s) == INFINITY)
                    continue;
                if (!(fabs(said - truth) <= sketch_error(&s) * fabs(truth) * (1 + 1e-12)))
                    fail_msg("kind %u, %g of %u: %g is not %g, error %g", kind, shares[i], n, said, truth,
                             sketch_error(&s));
            }
        }
}

static void readings_of_a_sensor_are_told_to_a_thousandth(void **state)
{
    struct sketch s = {.count = 0};
    struct rng rng = {2};
    unsigned i;

    (void)state;
    for (i = 0; i < 100000; i++)
        sketch_add(&s, 20 + 0.5 * rng_normal(&rng));
    assert_true(sketch_error(&s) <= 1.0 / 1024);
    assert_true(fabs(sketch_quantile(&s, 0.5) - 20) < 0.02);
}

static void order_and_split_do_not_matter(void **state)
{
    struct rng rng = {3};
    static double x[N];
    struct buf once = {.data = NULL}, again = {.data = NULL};
    unsigned round, i;

    (void)state;
    for (round = 0; round < 140; round++) {
        struct sketch s = {.count = 0}, parts[4] = {{.count = 0}};

        make(&rng, round % KINDS, x, N);
        for (i = 0; i < N; i++)
            sketch_add(&s, x[i]);
        for (i = N; i > 0; i--)
            sketch_add(&parts[rng_below(&rng, 1 + round % 4)], x[i - 1]);
        for (i = 1; i < 4; i++)
            sketch_merge(&parts[0], &parts[i]);
        buf_reset(&once);
        buf_reset(&again);
        sketch_put(&s, &once);
        sketch_put(&parts[0], &again);
        assert_int_equal(once.len, again.len);
        assert_memory_equal(once.data, again.data, once.len);
        assert_true(once.len <= SKETCH_BYTES_MAX);
    }
    buf_deinit(&once);
    buf_deinit(&again);
}

static void bytes_bring_it_back_and_damage_is_refused_or_read(void **state)
{
    struct rng rng = {4};
    struct buf out = {.data = NULL}, back_out = {.data = NULL};
    static double x[N];
    unsigned round, i;

    (void)state;
    for (round = 0; round < 400; round++) {
        unsigned n = (unsigned)rng_below(&rng, 300);
        struct sketch s = {.count = 0}, back;
        struct reader r;

        make(&rng, round % KINDS, x, n);
        for (i = 0; i < n; i++)
            sketch_add(&s, x[i]);
        buf_reset(&out);
        buf_reset(&back_out);
        sketch_put(&s, &out);
        r = reader_of(span_of(out.data, out.len));
        assert_int_equal(sketch_get(&r, &back), 0);
        assert_int_equal(reader_left(&r), 0);
        assert_int_equal(back.count, n);
        sketch_put(&back, &back_out);
        assert_int_equal(out.len, back_out.len);
        assert_memory_equal(out.data, back_out.data, out.len);
        r = reader_of(span_of(out.data, rng_below(&rng, out.len)));
        assert_int_equal(sketch_get(&r, &back), -EINVAL);
        for (i = 0; i < 50; i++) { /* what is taken can be used */
            out.data[rng_below(&rng, out.len)] ^= (uint8_t)(1 << rng_below(&rng, 8));
            r = reader_of(span_of(out.data, out.len));
            if (sketch_get(&r, &back) == 0) {
                assert_false(sketch_quantile(&back, 0.5) < back.min);
                sketch_add(&back, 1);
                sketch_merge(&back, &s);
            }
        }
    }
    buf_deinit(&out);
    buf_deinit(&back_out);
}

/* A sketch knows one zero: neither samples nor bytes bring in the other, whose bits would stay or not. */
static void zero_has_one_sign(void **state)
{
    struct sketch s = {.count = 0}, got;
    struct buf bytes = {0};
    struct reader r;

    (void)state;
    sketch_add(&s, -0.0);
    sketch_add(&s, 0.0);
    sketch_add(&s, -0.0);
    assert_true(!signbit(s.min) && !signbit(s.max));
    s.min = -0.0;
    sketch_put(&s, &bytes);
    r = reader_of(span_of(bytes.data, bytes.len));
    assert_int_equal(sketch_get(&r, &got), -EINVAL);
    buf_deinit(&bytes);
}

static void of_nothing_nothing_is_said(void **state)
{
    struct sketch s = {.count = 0};

    (void)state;
    assert_true(isnan(sketch_quantile(&s, 0.5)));
    sketch_add(&s, NAN);
    assert_int_equal(s.count, 0);
    sketch_add(&s, -0.0);
    assert_false(signbit(sketch_quantile(&s, 0.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_the_error),
        cmocka_unit_test(readings_of_a_sensor_are_told_to_a_thousandth),
        cmocka_unit_test(order_and_split_do_not_matter),
        cmocka_unit_test(bytes_bring_it_back_and_damage_is_refused_or_read),
        cmocka_unit_test(zero_has_one_sign),
        cmocka_unit_test(of_nothing_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
