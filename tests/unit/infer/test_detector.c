/* What holds for every kind of detector: settings, images, absent and odd values, restarts at any row. */
#include "infer/detector.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5, ROWS = 700, STATE_BYTES_MAX = 65536 };

union room {
    uint64_t aligned;
    uint8_t bytes[STATE_BYTES_MAX];
};

static union room room_a, room_b;

static struct detector_state *at(union room *r)
{
    return (struct detector_state *)(void *)r->bytes;
}

/* Channels: noise, noise with another unit, a wandering one, a correlated one, a constant one. A shift from
 * row 500. Every 7th cell is absent where asked for. */
static void make_row(struct rng *rng, int row, double *v, bool *present)
{
    static double wander;

    if (row == 0)
        wander = 20;
    wander += rng_unit(rng) * 0.1 - 0.05;
    v[0] = rng_unit(rng) + (row >= 500 ? 3 : 0);
    v[1] = 1e6 * (rng_unit(rng) - 0.5);
    v[2] = wander;
    v[3] = v[0] * 2 + rng_unit(rng) * 0.1;
    v[4] = 42;
    for (int i = 0; i < N; i++)
        present[i] = (row + i) % 7 != 0;
}

static bool is_same(const struct detector_verdict *a, const struct detector_verdict *b)
{
    return memcmp(&a->score, &b->score, sizeof a->score) == 0 && a->is_alarm == b->is_alarm &&
           a->is_changepoint == b->is_changepoint && a->is_commissioning == b->is_commissioning &&
           a->channel == b->channel && a->n_blind == b->n_blind && a->progress == b->progress;
}

static struct detector_spec spec_of(int kind)
{
    struct detector_spec spec = detector_defaults((enum detector_kind)kind, N);
    struct errmsg err;

    if (detector_check(&spec, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(detector_state_bytes(&spec) <= STATE_BYTES_MAX);
    return spec;
}

static void a_restart_at_any_row_changes_no_bit(void **state)
{
    static uint8_t image[STATE_BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < DETECTOR_N_KINDS; kind++) {
        struct detector_spec spec = spec_of(kind);
        struct rng rng;
        struct errmsg err;
        size_t bytes = detector_state_bytes(&spec);
        double v[N];
        bool present[N];

        rng = (struct rng){7};
        detector_init(at(&room_a), &spec);
        detector_init(at(&room_b), &spec);
        for (int row = 0; row < ROWS; row++) {
            struct detector_verdict a, b;

            make_row(&rng, row, v, present);
            detector_step(at(&room_a), row * INT64_C(1000000000), v, present, &a);
            detector_step(at(&room_b), row * INT64_C(1000000000), v, present, &b);
            assert_true(is_same(&a, &b));
            detector_save(at(&room_b), image);
            memset(&room_b, 0xa5, sizeof room_b);
            if (detector_restore(at(&room_b), &spec, span_of(image, bytes), &err) != 0)
                fail_msg("row %d: %s", row, err.text);
        }
        assert_memory_equal(&room_a, &room_b, bytes);
    }
}

static void a_shift_is_found_and_the_constant_channel_is_blind(void **state)
{
    (void)state;
    for (int kind = 0; kind < DETECTOR_N_KINDS; kind++) {
        struct detector_spec spec = spec_of(kind);
        struct rng rng;
        int first = -1, n_early = 0;

        rng = (struct rng){11};
        detector_init(at(&room_a), &spec);
        for (int row = 0; row < ROWS; row++) {
            struct detector_verdict v;
            double values[N];
            bool present[N];

            make_row(&rng, row, values, present);
            detector_step(at(&room_a), 0, values, present, &v);
            if (v.is_alarm && row >= 500 && first < 0) {
                first = row;
            }
            n_early += v.is_alarm && row < 500;
            if (row == 540 && v.score > 1 && v.channel != 0 && v.channel != 3)
                fail_msg("%s: channel %u", detector_kind_name((enum detector_kind)kind), v.channel);
            assert_int_equal(v.is_commissioning, row + 1 < (int)spec.commission_rows);
            assert_true(!v.is_commissioning || (v.score == 0 && !v.is_alarm && v.progress < 1));
            if (row == ROWS - 1)
                assert_int_equal(v.n_blind, kind == DETECTOR_SURPRISE ? 0 : 1);
        }
        if (first < 500 || first > 560 || n_early > 20)
            fail_msg("%s: found at %d, %d rows before it", detector_kind_name((enum detector_kind)kind),
                     first, n_early);
    }
}

/* The second one is told when the first came before the smoothed value had arrived. */
static void a_changepoint_is_told_once_or_twice(void **state)
{
    struct detector_spec spec = spec_of(DETECTOR_EWMA);
    struct rng rng;
    int n = 0, where = 0;

    (void)state;
    rng = (struct rng){3};
    detector_init(at(&room_a), &spec);
    for (int row = 0; row < ROWS; row++) {
        struct detector_verdict v;
        double values[N];
        bool present[N];

        make_row(&rng, row, values, present);
        detector_step(at(&room_a), 0, values, NULL, &v);
        if (v.is_changepoint && row >= 500)
            where = n++ == 0 ? row : where;
    }
    assert_in_range(n, 1, 2);
    assert_in_range(where, 500, 520);
}

/* Any bits as values: scores stay numbers, and the state may be saved and restored. */
static void no_value_breaks_a_detector(void **state)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300, 1.7e308, 5e-324, 0, -0.0, 1e100};
    static uint8_t image[STATE_BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < DETECTOR_N_KINDS; kind++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct detector_spec spec = spec_of(kind);
            struct rng rng;
            struct errmsg err;

            spec.gap_ms = 1000;
            rng = (struct rng){seed};
            detector_init(at(&room_a), &spec);
            for (int row = 0; row < ROWS; row++) {
                struct detector_verdict v;
                double values[N];
                bool present[N];

                make_row(&rng, row, values, present);
                for (int i = 0; i < N; i++)
                    if (rng_unit(&rng) < 0.1 * (double)(seed % 3))
                        values[i] = odd[rng_u64(&rng) % 10];
                detector_step(at(&room_a), (int64_t)(rng_u64(&rng) << (seed % 2 ? 0 : 40)), values, present,
                              &v);
                assert_true(v.score >= 0 && v.score <= 1e6 && v.channel < N && v.n_blind <= N);
            }
            detector_save(at(&room_a), image);
            if (detector_restore(at(&room_b), &spec, span_of(image, detector_state_bytes(&spec)), &err) != 0)
                fail_msg("%s, seed %d: %s", detector_kind_name((enum detector_kind)kind), (int)seed,
                         err.text);
        }
}

static void a_damaged_image_is_refused(void **state)
{
    static uint8_t image[STATE_BYTES_MAX], fresh[STATE_BYTES_MAX], restored[STATE_BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < DETECTOR_N_KINDS; kind++) {
        struct detector_spec spec = spec_of(kind), other = spec;
        size_t bytes = detector_state_bytes(&spec);
        struct errmsg err;
        double v[N] = {1, 2, 3, 4, 5};
        struct detector_verdict verdict;

        detector_init(at(&room_a), &spec);
        detector_save(at(&room_a), fresh);
        for (int row = 0; row < 30; row++) {
            v[row % N] += row;
            detector_step(at(&room_a), row, v, NULL, &verdict);
        }
        detector_save(at(&room_a), image);
        for (size_t i = 0; i < bytes; i++) {
            image[i] ^= 0x10;
            assert_int_equal(detector_restore(at(&room_b), &spec, span_of(image, bytes), &err), -EINVAL);
            image[i] ^= 0x10;
            detector_save(at(&room_b), restored);
            assert_memory_equal(restored, fresh, bytes);
        }
        for (size_t n = 0; n < bytes; n += 13)
            assert_int_equal(detector_restore(at(&room_b), &spec, span_of(image, n), &err), -EINVAL);
        other.clear = 0.6;
        assert_int_equal(detector_restore(at(&room_b), &other, span_of(image, bytes), &err), -EINVAL);
        assert_non_null(strstr(err.text, "other settings"));
        assert_int_equal(detector_restore(at(&room_b), &spec, span_of(image, bytes), &err), 0);
    }
}

static uint64_t sum_of(const uint8_t *image, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (i >= 16 && i < 24 ? 0 : image[i])) * UINT64_C(0x100000001b3);
    return h;
}

/* Whoever writes hostile images computes their sum, too. */
static void an_image_with_a_good_sum_breaks_nothing(void **state)
{
    static uint8_t image[STATE_BYTES_MAX];
    int n_taken = 0;

    (void)state;
    for (int kind = 0; kind < DETECTOR_N_KINDS; kind++) {
        struct detector_spec spec = spec_of(kind);
        size_t bytes = detector_state_bytes(&spec), body = 24 + sizeof spec;
        struct rng rng;

        rng = (struct rng){5};
        for (int trial = 0; trial < 3000; trial++) {
            struct errmsg err;
            uint64_t sum;

            detector_init(at(&room_a), &spec);
            detector_save(at(&room_a), image);
            for (int k = 0; k < 1 + trial % 8; k++) {
                size_t word = body + 4 * (rng_u64(&rng) % ((bytes - body) / 4));
                uint32_t bits = (uint32_t)rng_u64(&rng) >> rng_u64(&rng) % 32;

                memcpy(image + word, &bits, sizeof bits);
            }
            sum = sum_of(image, bytes);
            memcpy(image + 16, &sum, sizeof sum);
            if (detector_restore(at(&room_a), &spec, span_of(image, bytes), &err) != 0)
                continue;
            n_taken++;
            for (int row = 0; row < 150; row++) {
                struct detector_verdict v;
                double values[N] = {row, -row, row % 3, 1, 1e9};

                detector_step(at(&room_a), row, values, NULL, &v);
                assert_true(v.score >= 0 && v.score <= 1e6 && v.channel < N);
            }
        }
    }
    assert_true(n_taken > 100);
}

static void a_check_names_the_parameter_and_its_range(void **state)
{
    struct detector_spec spec;
    struct errmsg err;
    size_t n;
    const struct detector_param *p = detector_params(&n);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (int kind = 0; kind < DETECTOR_N_KINDS; kind++) {
            double bad = NAN;
            uint32_t bad_whole = p[i].min > 0 ? 0 : UINT32_MAX;

            if ((p[i].kinds & 1u << kind) == 0 || (p[i].is_whole && p[i].min <= 0 && p[i].max >= UINT32_MAX))
                continue;
            spec = spec_of(kind);
            memcpy((uint8_t *)&spec + p[i].offset, p[i].is_whole ? (void *)&bad_whole : (void *)&bad,
                   p[i].is_whole ? sizeof bad_whole : sizeof bad);
            assert_int_equal(detector_check(&spec, &err), -EINVAL);
            if (strstr(err.text, p[i].name) == NULL)
                fail_msg("no %s in: %s", p[i].name, err.text);
        }
    spec = spec_of(DETECTOR_HAMPEL);
    spec.slack = 1;
    assert_int_equal(detector_check(&spec, &err), -EINVAL);
    spec = detector_defaults(DETECTOR_EWMA, 33);
    assert_int_equal(detector_check(&spec, &err), -EINVAL);
    spec = spec_of(DETECTOR_EWMA);
    spec.settle_rows = spec.commission_rows;
    assert_int_equal(detector_check(&spec, &err), -EINVAL);
}

static void states_are_small(void **state)
{
    struct detector_spec skab = detector_defaults(DETECTOR_EWMA, 8),
                         nab = detector_defaults(DETECTOR_SURPRISE, 1);

    (void)state;
    assert_true(detector_state_bytes(&skab) <= 4096);
    assert_true(detector_state_bytes(&nab) <= 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_at_any_row_changes_no_bit),
        cmocka_unit_test(a_shift_is_found_and_the_constant_channel_is_blind),
        cmocka_unit_test(a_changepoint_is_told_once_or_twice),
        cmocka_unit_test(no_value_breaks_a_detector),
        cmocka_unit_test(a_damaged_image_is_refused),
        cmocka_unit_test(an_image_with_a_good_sum_breaks_nothing),
        cmocka_unit_test(a_check_names_the_parameter_and_its_range),
        cmocka_unit_test(states_are_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
