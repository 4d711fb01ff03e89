/* Aggregates: against what one would compute by hand, and the same bits however they are split. */
#include "window/aggregate.h"

#include "base/rng.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

enum { N = 400, ROUNDS = 500 };

struct series {
    int64_t time_ns[N];
    double value[N];
    unsigned n;
};

static void make(struct rng *rng, struct series *s)
{
    double level = ldexp(1, (int)rng_below(rng, 40) - 20);
    unsigned i;

    s->n = 2 + (unsigned)rng_below(rng, N - 1);
    for (i = 0; i < s->n; i++) {
        s->time_ns[i] = i == 0 ? 1700000000 * S : s->time_ns[i - 1] + (int64_t)rng_below(rng, 4) * S / 3;
        s->value[i] = level + rng_normal(rng);
    }
}

static struct aggregate of(const struct series *s, unsigned from, unsigned to)
{
    struct aggregate a = {.count = 0};

    for (; from < to; from++)
        aggregate_add(&a, s->time_ns[from], s->value[from]);
    return a;
}

static void assert_near(double said, double truth, double share)
{
    if (!(fabs(said - truth) <= share * fabs(truth)))
        fail_msg("%.17g is not %.17g", said, truth);
}

static void it_says_what_one_would_compute(void **state)
{
    struct rng rng = {1};
    static struct series s;
    unsigned round, i;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        long double sum = 0, spread = 0, held = 0;
        struct aggregate a;
        int64_t from, to;

        make(&rng, &s);
        a = of(&s, 0, s.n);
        for (i = 0; i < s.n; i++)
            sum += s.value[i];
        for (i = 0; i < s.n; i++)
            spread += (s.value[i] - sum / s.n) * (s.value[i] - sum / s.n);
        to = s.time_ns[s.n - 1] + 5 * S;
        for (i = 0; i < s.n; i++)
            held += (long double)s.value[i] * ((i + 1 < s.n ? s.time_ns[i + 1] : to) - s.time_ns[i]);
        from = s.time_ns[0];
        assert_int_equal(a.count, s.n);
        assert_near(aggregate_sum(&a), (double)sum, 1e-14);
        assert_near(aggregate_mean(&a), (double)(sum / s.n), 1e-14);
        assert_near(aggregate_stddev(&a), (double)sqrtl(spread / (s.n - 1)), 1e-12);
        assert_near(aggregate_time_weighted_mean(&a, from, to, NULL), (double)(held / (to - from)), 1e-14);
        assert_near(aggregate_time_weighted_mean(&a, from - 5 * S, to, &(struct aggregate_point){0, 7}),
                    (double)((held + 7.0L * 5 * S) / (to - from + 5 * S)), 1e-14);
        if (s.time_ns[s.n - 1] > s.time_ns[0])
            assert_near(aggregate_rate_per_s(&a),
                        (s.value[s.n - 1] - s.value[0]) / ((double)(s.time_ns[s.n - 1] - s.time_ns[0]) / 1e9),
                        1e-15);
        assert_true(a.first.value == s.value[0] && a.last.value == s.value[s.n - 1]);
    }
}

static void equal(const struct aggregate *a, const struct aggregate *b, int64_t to_ns)
{
    double x[] = {aggregate_sum(a),
                  aggregate_mean(a),
                  aggregate_stddev(a),
                  a->min,
                  a->max,
                  a->first.value,
                  a->last.value,
                  aggregate_time_weighted_mean(a, a->first.time_ns, to_ns, NULL)};
    double y[] = {aggregate_sum(b),
                  aggregate_mean(b),
                  aggregate_stddev(b),
                  b->min,
                  b->max,
                  b->first.value,
                  b->last.value,
                  aggregate_time_weighted_mean(b, b->first.time_ns, to_ns, NULL)};

    assert_int_equal(a->count, b->count);
    assert_memory_equal(x, y, sizeof x);
}

static void parts_join_to_the_bits_of_the_whole(void **state)
{
    struct rng rng = {2};
    static struct series s;
    unsigned round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        struct aggregate whole, joined = {.count = 0}, part;
        unsigned at = 0, next;

        make(&rng, &s);
        whole = of(&s, 0, s.n);
        while (at < s.n) {
            next = at + (unsigned)rng_below(&rng, s.n - at + 1);
            part = of(&s, at, next);
            aggregate_join(&joined, &part);
            at = next;
        }
        equal(&joined, &whole, s.time_ns[s.n - 1] + S);
    }
}

static void disorder_costs_the_integral_alone(void **state)
{
    struct aggregate a = {.count = 0};

    (void)state;
    aggregate_add(&a, 2 * S, 20);
    aggregate_add(&a, 1 * S, 10);
    aggregate_add(&a, 3 * S, 60);
    assert_true(isnan(aggregate_time_weighted_mean(&a, 1 * S, 4 * S, NULL)));
    assert_true(aggregate_mean(&a) == 30 && a.first.value == 10 && a.last.value == 60);
    assert_true(aggregate_rate_per_s(&a) == 25);
}

static void readings_far_from_zero_keep_their_spread(void **state)
{
    struct aggregate a = {.count = 0};
    unsigned i;

    (void)state;
    for (i = 0; i < 1000; i++)
        aggregate_add(&a, i, 1e15 + (i % 2 == 0 ? 0.125 : -0.125));
    assert_near(aggregate_stddev(&a), 0.125 * sqrt(1000.0 / 999), 1e-12);
}

static void of_nothing_and_of_one(void **state)
{
    struct aggregate a = {.count = 0}, none = {.count = 0};
    struct aggregate_point before = {0, 4};

    (void)state;
    assert_true(aggregate_sum(&a) == 0 && isnan(aggregate_mean(&a)) && isnan(aggregate_stddev(&a)));
    assert_true(isnan(aggregate_time_weighted_mean(&a, 0, S, NULL)));
    assert_true(aggregate_time_weighted_mean(&a, 0, S, &before) == 4);
    aggregate_add(&a, S, NAN);
    assert_int_equal(a.count, 0);
    aggregate_add(&a, S, 3);
    aggregate_join(&a, &none);
    assert_true(aggregate_mean(&a) == 3 && aggregate_stddev(&a) == 0 && isnan(aggregate_rate_per_s(&a)));
    assert_true(aggregate_time_weighted_mean(&a, S, S, NULL) == 3);
    aggregate_join(&none, &a);
    assert_true(none.count == 1 && none.min == 3);
}

static void what_is_no_number_has_no_spread(void **state)
{
    struct aggregate a = {.count = 0}, large = {.count = 0};

    (void)state;
    aggregate_add(&a, 0, 1);
    aggregate_add(&a, 1, INFINITY);
    assert_true(aggregate_mean(&a) == INFINITY && isnan(aggregate_stddev(&a)));
    aggregate_add(&large, 0, 1e200);
    aggregate_add(&large, 1, -1e200);
    assert_true(aggregate_mean(&large) == 0 && aggregate_stddev(&large) == INFINITY);
}

/* -0 == 0, but their bits differ: which of them is the least does not depend on which came first. */
static void zeros_of_either_sign_are_told_in_any_order(void **state)
{
    struct aggregate up = {.count = 0}, down = {.count = 0}, zero = {.count = 0}, minus = {.count = 0},
                     joined;

    (void)state;
    aggregate_add(&zero, 0, 0.0);
    aggregate_add(&minus, 0, -0.0);
    aggregate_add(&up, 0, -0.0);
    aggregate_add(&up, 0, 0.0);
    aggregate_add(&down, 0, 0.0);
    aggregate_add(&down, 0, -0.0);
    assert_true(signbit(up.min) && !signbit(up.max));
    assert_true(signbit(down.min) && !signbit(down.max));
    joined = zero;
    aggregate_join(&joined, &minus);
    assert_true(signbit(joined.min) && !signbit(joined.max));
    joined = minus;
    aggregate_join(&joined, &zero);
    assert_true(signbit(joined.min) && !signbit(joined.max));
}

/* Without squares and integral, all else has the bits it has with them; also over bytes and a join. */
static void a_brief_one_says_the_same_but_for_spread_and_integral(void **state)
{
    struct aggregate full = {.count = 0}, brief = {.is_brief = true}, got;
    struct buf bytes = {0};
    struct reader r;
    unsigned i;

    (void)state;
    for (i = 0; i < 10; i++) {
        aggregate_add(&full, i * S, sin(i));
        aggregate_add(&brief, i * S, sin(i));
    }
    aggregate_put(&brief, &bytes);
    r = reader_of(span_of(bytes.data, bytes.len));
    assert_int_equal(aggregate_get(&r, NULL, &got), 0);
    assert_int_equal(reader_left(&r), 0);
    assert_true(got.is_brief && aggregate_mean(&got) == aggregate_mean(&full));
    assert_true(got.min == full.min && got.max == full.max && got.last.value == full.last.value);
    assert_true(isnan(aggregate_stddev(&got)) && isnan(aggregate_time_weighted_mean(&got, 0, 10 * S, NULL)));
    aggregate_join(&full, &got);
    assert_true(full.is_brief && isnan(aggregate_stddev(&full)));
    buf_deinit(&bytes);
}

/* An end that lies outside of min and max by its sign alone is nothing aggregate_put makes. */
static void a_zero_below_the_least_is_refused(void **state)
{
    struct aggregate a = {.count = 0}, got;
    struct buf bytes = {0};
    struct reader r;

    (void)state;
    aggregate_add(&a, 0, 0.0);
    a.first.value = -0.0;
    aggregate_put(&a, &bytes);
    r = reader_of(span_of(bytes.data, bytes.len));
    assert_int_equal(aggregate_get(&r, NULL, &got), -EINVAL);
    buf_deinit(&bytes);
}

/* Each part goes through bytes before it is joined, as between two machines. */
static void parts_that_travelled_join_to_the_bits_of_the_whole(void **state)
{
    struct rng rng = {3};
    static struct series s;
    unsigned round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        struct sketch of_whole = {.count = 0}, of_joined = {.count = 0};
        struct aggregate whole = {.sketch = &of_whole}, joined = {.sketch = &of_joined};
        struct buf left = {0}, right = {0};
        unsigned at = 0, i;

        make(&rng, &s);
        for (i = 0; i < s.n; i++)
            aggregate_add(&whole, s.time_ns[i], s.value[i]);
        while (at < s.n) {
            unsigned next = at + (unsigned)rng_below(&rng, s.n - at + 1);
            struct sketch of_part = {.count = 0}, of_got;
            struct aggregate part = {.sketch = &of_part}, got;
            struct buf bytes = {0};
            struct reader r;

            for (; at < next; at++)
                aggregate_add(&part, s.time_ns[at], s.value[at]);
            aggregate_put(&part, &bytes);
            assert_true(bytes.error == 0 && bytes.len <= AGGREGATE_BYTES_MAX);
            r = reader_of(span_of(bytes.data, bytes.len));
            assert_int_equal(aggregate_get(&r, &of_got, &got), 0);
            assert_int_equal(reader_left(&r), 0);
            aggregate_join(&joined, &got);
            buf_deinit(&bytes);
        }
        equal(&joined, &whole, s.time_ns[s.n - 1] + S);
        aggregate_put(&whole, &left);
        aggregate_put(&joined, &right);
        assert_int_equal(left.len, right.len);
        assert_memory_equal(left.data, right.data, left.len);
        buf_deinit(&left);
        buf_deinit(&right);
    }
}

/* What is cut or turned is refused, or is an aggregate that can be written again; it never does harm. */
static void damaged_bytes_are_refused_or_whole(void **state)
{
    struct sketch of_a = {.count = 0}, of_got;
    struct aggregate a = {.sketch = &of_a}, got;
    struct buf bytes = {0};
    struct reader r;
    size_t i;

    (void)state;
    for (i = 0; i < 100; i++)
        aggregate_add(&a, (int64_t)i * S, sin((double)i));
    aggregate_put(&a, &bytes);
    assert_int_equal(bytes.error, 0);
    for (i = 0; i < bytes.len; i++) {
        r = reader_of(span_of(bytes.data, i));
        assert_int_equal(aggregate_get(&r, &of_got, &got), -EINVAL);
    }
    for (i = 0; i < bytes.len * 8; i++) {
        struct buf again = {0};

        bytes.data[i / 8] ^= (uint8_t)(1U << i % 8);
        r = reader_of(span_of(bytes.data, bytes.len));
        if (aggregate_get(&r, &of_got, &got) == 0) {
            aggregate_put(&got, &again);
            assert_int_equal(again.error, 0);
        }
        bytes.data[i / 8] ^= (uint8_t)(1U << i % 8);
        buf_deinit(&again);
    }
    buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_one_would_compute),
        cmocka_unit_test(parts_join_to_the_bits_of_the_whole),
        cmocka_unit_test(disorder_costs_the_integral_alone),
        cmocka_unit_test(readings_far_from_zero_keep_their_spread),
        cmocka_unit_test(of_nothing_and_of_one),
        cmocka_unit_test(what_is_no_number_has_no_spread),
        cmocka_unit_test(zeros_of_either_sign_are_told_in_any_order),
        cmocka_unit_test(a_brief_one_says_the_same_but_for_spread_and_integral),
        cmocka_unit_test(a_zero_below_the_least_is_refused),
        cmocka_unit_test(parts_that_travelled_join_to_the_bits_of_the_whole),
        cmocka_unit_test(damaged_bytes_are_refused_or_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
