/* Quantiles read from a histogram, against the sorted values. */
#include "base/histogram.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void quantiles_are_never_below_and_at_most_an_eighth_above(void **state)
{
    static const double shares[] = {0.01, 0.5, 0.9, 0.99, 1};
    static struct histogram h;
    uint64_t values[1000];

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rng r = {seed};
        size_t n = 1 + (size_t)(rng_u64(&r) % 1000);

        histogram_clear(&h);
        for (size_t i = 0; i < n; i++) {
            values[i] = rng_u64(&r) >> (24 + rng_u64(&r) % 40);
            histogram_add(&h, values[i]);
        }
        qsort(values, n, sizeof values[0], by_value);
        assert_int_equal(histogram_count(&h), n);
        assert_true(histogram_max(&h) == values[n - 1]);
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            size_t at = (size_t)(shares[i] * (double)n + 0.9999999);
            uint64_t want = values[at > 0 ? at - 1 : 0], got = histogram_quantile(&h, shares[i]);

            assert_true(got >= want);
            assert_true(got <= want + want / HISTOGRAM_STEPS);
        }
    }
}

static void the_smallest_and_the_largest_have_their_place(void **state)
{
    static struct histogram h;

    (void)state;
    assert_int_equal(histogram_quantile(&h, 0.99), 0);
    histogram_add(&h, 0);
    assert_int_equal(histogram_quantile(&h, 1), 0);
    histogram_add(&h, UINT64_MAX);
    assert_true(histogram_quantile(&h, 1) <= UINT64_MAX);
    assert_true(histogram_quantile(&h, 1) >= (UINT64_C(1) << 40) - 1);
    assert_true(histogram_max(&h) == UINT64_MAX);
    assert_int_equal(histogram_count(&h), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_never_below_and_at_most_an_eighth_above),
        cmocka_unit_test(the_smallest_and_the_largest_have_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
