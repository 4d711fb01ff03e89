/* Exact sums: against Shewchuk's partial sums, in any order, in any split. */
#include "window/exact_sum.h"

#include "base/rng.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { N = 200, ROUNDS = 2000 };

static double sum_of(const double *x, unsigned n)
{
    struct exact_sum s = {.chunk = {0}};
    unsigned i;

    for (i = 0; i < n; i++)
        exact_sum_add(&s, x[i]);
    return exact_sum_value(&s);
}

static void assert_same(double a, double b)
{
    if (memcmp(&a, &b, sizeof a) != 0)
        fail_msg("%.17g is not %.17g", a, b);
}

/* Partial sums that do not overlap, rounded at the end; J. R. Shewchuk, "Adaptive precision floating-point
 * arithmetic", 1997, as in Python's math.fsum. */
static double reference(const double *x, unsigned n)
{
    double p[N], high, low = 0, y;
    unsigned n_p = 0, i, j, k;

    for (i = 0; i < n; i++) {
        double v = x[i];

        for (j = k = 0; j < n_p; j++) {
            double u = p[j], t;

            if (fabs(v) < fabs(u)) {
                t = v;
                v = u;
                u = t;
            }
            high = v + u;
            low = u - (high - v);
            if (low != 0)
                p[k++] = low;
            v = high;
        }
        p[k++] = v;
        n_p = k;
    }
    high = n_p > 0 ? p[--n_p] : 0;
    while (n_p > 0) {
        double v = high;

        y = p[--n_p];
        high = v + y;
        low = y - (high - v);
        if (low != 0)
            break;
    }
    if (n_p > 0 && ((low < 0 && p[n_p - 1] < 0) || (low > 0 && p[n_p - 1] > 0))) {
        double twice = low * 2, v = high + twice;

        if (twice == v - high)
            high = v;
    }
    return high + 0.0;
}

static void make(struct rng *rng, unsigned kind, double *x, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++)
        switch (kind) {
        case 0:
            x[i] = 20 + rng_normal(rng);
            break;
        case 1: /* of all sizes */
            x[i] = ldexp(rng_unit(rng) - 0.5, (int)rng_below(rng, 120) - 60);
            break;
        case 2: /* what cancels */
            x[i] = i % 2 == 0 || i == 0 ? ldexp(rng_normal(rng), (int)rng_below(rng, 200) - 100) : -x[i - 1];
            break;
        case 3: /* the smallest */
            x[i] = (double)((int64_t)rng_below(rng, 2000) - 1000) * 4.94065645841246544e-324;
            break;
        default: /* halves of the last place: ties */
            x[i] = i == 0 ? 1 : ldexp((double)rng_below(rng, 3), -53);
        }
}

static void a_sum_is_the_nearest_double(void **state)
{
    struct rng rng = {1};
    double x[N];
    unsigned i;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        unsigned n = 1 + (unsigned)rng_below(&rng, N);

        make(&rng, i % 5, x, n);
        assert_same(sum_of(x, n), reference(x, n));
    }
}

static void order_and_split_do_not_matter(void **state)
{
    struct rng rng = {2};
    double x[N], there;
    unsigned i, j;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        struct exact_sum parts[3] = {{.chunk = {0}}};

        make(&rng, i % 5, x, N);
        there = sum_of(x, N);
        for (j = N - 1; j > 0; j--) {
            unsigned other = (unsigned)rng_below(&rng, j + 1);
            double t = x[j];

            x[j] = x[other];
            x[other] = t;
        }
        for (j = 0; j < N; j++)
            exact_sum_add(&parts[rng_below(&rng, 3)], x[j]);
        exact_sum_merge(&parts[0], &parts[2]);
        exact_sum_merge(&parts[0], &parts[1]);
        assert_same(exact_sum_value(&parts[0]), there);
    }
}

static void the_ends_of_the_range(void **state)
{
    static const double past[] = {DBL_MAX, DBL_MAX, -DBL_MAX, -DBL_MAX, 1, DBL_MIN, -1};
    static const double over[] = {DBL_MAX, DBL_MAX};
    static const double tie[] = {DBL_MAX, 0x1p969,
                                 0x1p969}; /* half of the last place: infinite by rounding */
    static const double no[] = {INFINITY, 1, -INFINITY};
    static const double nan_too[] = {NAN, 1};

    (void)state;
    assert_same(sum_of(past, 7), DBL_MIN);
    assert_same(sum_of(over, 2), INFINITY);
    assert_same(sum_of(tie, 2), DBL_MAX);
    assert_same(sum_of(tie, 3), INFINITY);
    assert_true(isnan(sum_of(no, 3)));
    assert_true(isnan(sum_of(nan_too, 2)));
    assert_same(sum_of(no, 2), INFINITY);
    assert_same(sum_of(&no[1], 2), -INFINITY);
    assert_same(sum_of(NULL, 0), 0);
}

static void squares_and_products_are_exact(void **state)
{
    struct exact_sum s = {.chunk = {0}}, p = {.chunk = {0}};
    double high, low;

    (void)state;
    exact_sum_add_square(&s, 1 + 0x1p-52);
    exact_sum_pair(&s, &high, &low);
    assert_same(high, 1 + 0x1p-51);
    assert_same(low, 0x1p-104);
    exact_sum_add_square(&s, DBL_MAX);
    assert_same(exact_sum_value(&s), INFINITY); /* of that size, and not of infinities */
    exact_sum_add_product(&p, 0.1, INT64_MAX);
    exact_sum_add_product(&p, -0.1, INT64_MAX - 1);
    assert_same(exact_sum_value(&p), 0.1);
    exact_sum_add_product(&p, 0.1, INT64_MIN);
    exact_sum_add_product(&p, 0.1, INT64_MAX);
    assert_same(exact_sum_value(&p), 0);
    exact_sum_add_square(&p, 4.94065645841246544e-324);
    assert_same(exact_sum_value(&p), 0); /* too small for a double, */
    exact_sum_add_product(&p, -1, 1);
    assert_same(exact_sum_value(&p), -1);
}

static void many_additions_carry(void **state)
{
    struct exact_sum s = {.chunk = {0}};
    double x = ldexp((double)0xffffffffu, 0), total;
    unsigned i;

    (void)state;
    exact_sum_add(&s, x);
    total = x;
    for (i = 0; i < 40; i++) { /* 2^40 times x */
        exact_sum_merge(&s, &s);
        total *= 2;
    }
    assert_same(exact_sum_value(&s), total);
}

static void bytes_bring_it_back(void **state)
{
    struct rng rng = {3};
    struct buf out = {.data = NULL};
    double x[N];
    unsigned i, j;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        struct exact_sum s = {.chunk = {0}}, back;
        struct reader r;

        make(&rng, i % 5, x, N);
        for (j = 0; j < N; j++)
            exact_sum_add(&s, x[j]);
        if (i % 50 == 0)
            exact_sum_add(&s, i % 100 == 0 ? INFINITY : NAN);
        buf_reset(&out);
        exact_sum_put(&s, &out);
        r = reader_of(span_of(out.data, out.len));
        assert_int_equal(exact_sum_get(&r, &back), 0);
        assert_int_equal(reader_left(&r), 0);
        if (i % 100 != 50)
            assert_same(exact_sum_value(&back), exact_sum_value(&s));
        else
            assert_true(isnan(exact_sum_value(&back)));
        exact_sum_add(&s, -x[0]);
        exact_sum_add(&back, -x[0]);
        if (i % 50 != 0)
            assert_same(exact_sum_value(&back), exact_sum_value(&s));
        /* cut anywhere: refused */
        r = reader_of(span_of(out.data, rng_below(&rng, out.len)));
        assert_int_equal(exact_sum_get(&r, &back), -EINVAL);
    }
    buf_deinit(&out);
}

static void bytes_that_are_none_are_refused(void **state)
{
    static const uint8_t wrong[][8] = {
        {16, 0, 0},              /* flag */
        {0, 1, 0},               /* 0 is nowhere */
        {8, 0, 0},               /* minus 0 */
        {0, 140, 1, 1, 0, 0, 0}, /* beyond the last chunk */
        {0, 5, 1, 0, 0, 0, 0},   /* a digit that is not there */
    };
    struct exact_sum s;
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct reader r = reader_of(span_of(wrong[i], sizeof wrong[i]));

        assert_int_equal(exact_sum_get(&r, &s), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sum_is_the_nearest_double),
        cmocka_unit_test(order_and_split_do_not_matter),
        cmocka_unit_test(the_ends_of_the_range),
        cmocka_unit_test(squares_and_products_are_exact),
        cmocka_unit_test(many_additions_carry),
        cmocka_unit_test(bytes_bring_it_back),
        cmocka_unit_test(bytes_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
