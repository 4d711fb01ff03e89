/* Scores against plain computations over all rows at once. */
#include "infer/detector.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 300, LEARNED = 200, SETTLE = 20 };

static union {
    uint64_t aligned;
    uint8_t bytes[16384];
} room;

static struct detector_state *state_of_room(void)
{
    return (struct detector_state *)(void *)room.bytes;
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * (1 + fabs(b))))
        fail_msg("%.17g is not %.17g", a, b);
}

static void make_noise(double *x, uint64_t seed, double level, double deviation)
{
    struct rng rng = {seed};

    for (int i = 0; i < ROWS; i++)
        x[i] = level + deviation * rng_normal(&rng);
}

static double mean_of(const double *x, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

static double variance_of(const double *x, int n)
{
    double sum = 0, mean = mean_of(x, n);

    for (int i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum / n;
}

static void smooth(const double *x, double weight, double *ret_y)
{
    double y = 0;

    for (int i = 0; i < ROWS; i++) {
        y += fmax(weight, 1.0 / (i + 1)) * (x[i] - y);
        ret_y[i] = y;
    }
}

static double wander_of(const double *x, int n)
{
    double steps = 0;

    for (int i = 1; i < n; i++)
        steps += (x[i] - x[i - 1]) * (x[i] - x[i - 1]);
    return fmin(fmax(2 * variance_of(x, n) / (steps / (n - 1)), 1), 1 / (0.03 * 0.03));
}

static struct detector_spec begin(enum detector_kind kind, uint32_t n_channels)
{
    struct detector_spec spec = detector_defaults(kind, n_channels);

    spec.commission_rows = LEARNED;
    spec.settle_rows = spec.settle_rows > 0 ? SETTLE : 0;
    if (kind == DETECTOR_EWMA || kind == DETECTOR_CUSUM)
        spec.follow = 0;
    return spec;
}

static void ewma_is_the_smoothed_deviation(void **state)
{
    struct detector_spec spec = begin(DETECTOR_EWMA, 1);
    double x[ROWS], y[ROWS], scale;
    struct detector_verdict v;

    (void)state;
    make_noise(x, 1, 50, 2);
    for (int i = 1; i < ROWS; i++)
        x[i] = 0.5 * x[i - 1] + 0.5 * x[i];
    smooth(x, spec.weight, y);
    scale =
        sqrt(variance_of(y + SETTLE, LEARNED - SETTLE) + 0.09 * variance_of(x + SETTLE, LEARNED - SETTLE)) *
        wander_of(x + SETTLE, LEARNED - SETTLE);
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        detector_step(state_of_room(), i, &x[i], NULL, &v);
        if (i >= LEARNED)
            assert_near(v.score, fabs(y[i] - mean_of(x + SETTLE, LEARNED - SETTLE)) / scale / spec.limit);
    }
}

/* Two channels: T2 by the inverse of the 2 x 2 matrix. */
static void mewma_is_t2(void **state)
{
    struct detector_spec spec = begin(DETECTOR_MEWMA, 2);
    double x[2][ROWS], y[2][ROWS], n = LEARNED - SETTLE, mean[2], sd[2], wander[2], r = 0;
    struct detector_verdict v;

    (void)state;
    make_noise(x[0], 2, -3, 1);
    make_noise(x[1], 3, 100, 5);
    for (int i = 0; i < ROWS; i++)
        x[1][i] += 4 * x[0][i];
    for (int k = 0; k < 2; k++) {
        smooth(x[k], spec.weight, y[k]);
        mean[k] = mean_of(y[k] + SETTLE, LEARNED - SETTLE);
        sd[k] = sqrt(variance_of(y[k] + SETTLE, LEARNED - SETTLE));
        wander[k] = wander_of(x[k] + SETTLE, LEARNED - SETTLE);
    }
    for (int i = SETTLE; i < LEARNED; i++)
        r += (y[0][i] - mean[0]) * (y[1][i] - mean[1]) / sd[0] / sd[1] / n;
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        double row[2] = {x[0][i], x[1][i]}, a = (y[0][i] - mean[0]) / sd[0] / wander[0],
               b = (y[1][i] - mean[1]) / sd[1] / wander[1], one = 1.01;

        detector_step(state_of_room(), i, row, NULL, &v);
        if (i >= LEARNED)
            assert_near(v.score, sqrt((one * a * a - 2 * r * a * b + one * b * b) / (one * one - r * r) / 2) /
                                     spec.limit);
    }
}

/* With two standardised channels the components are the sum and the difference. */
static void pca_is_t2_and_q(void **state)
{
    struct detector_spec spec = begin(DETECTOR_PCA, 2);
    double x[2][ROWS], n = LEARNED - SETTLE, mean[2], sd[2], r = 0, k1 = 2.0 / 9, t2_limit, q_limit;
    struct detector_verdict v;

    (void)state;
    spec.weight = 1;
    spec.share = 0.6;
    make_noise(x[0], 4, 7, 1);
    make_noise(x[1], 5, 0, 1);
    for (int i = 0; i < ROWS; i++)
        x[1][i] += x[0][i];
    for (int k = 0; k < 2; k++) {
        mean[k] = mean_of(x[k] + SETTLE, LEARNED - SETTLE);
        sd[k] = sqrt(variance_of(x[k] + SETTLE, LEARNED - SETTLE));
    }
    for (int i = SETTLE; i < LEARNED; i++)
        r += (x[0][i] - mean[0]) * (x[1][i] - mean[1]) / sd[0] / sd[1] / n;
    t2_limit = pow(1 - k1 + spec.limit * sqrt(k1), 3);
    q_limit = (1 - r) * t2_limit;
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        double row[2] = {x[0][i], x[1][i]}, a = (row[0] - mean[0]) / sd[0], b = (row[1] - mean[1]) / sd[1];

        detector_step(state_of_room(), i, row, NULL, &v);
        if (i >= LEARNED)
            assert_near(v.score, fmax(sqrt((a + b) * (a + b) / 2 / (1 + r) / t2_limit),
                                      sqrt((a - b) * (a - b) / 2 / q_limit)));
    }
}

static void cusum_adds_up(void **state)
{
    struct detector_spec spec = begin(DETECTOR_CUSUM, 1);
    double x[ROWS], mean, scale, up = 0, down = 0;
    struct detector_verdict v;

    (void)state;
    spec.slack = 0.2;
    spec.limit = 10;
    make_noise(x, 6, 0, 1);
    for (int i = 250; i < ROWS; i++)
        x[i] += 2;
    mean = mean_of(x + SETTLE, LEARNED - SETTLE);
    scale = sqrt(variance_of(x + SETTLE, LEARNED - SETTLE)) * wander_of(x + SETTLE, LEARNED - SETTLE);
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        detector_step(state_of_room(), i, &x[i], NULL, &v);
        if (i < LEARNED)
            continue;
        up = fmin(fmax(up + (x[i] - mean) / scale - 0.2, 0), 20);
        down = fmin(fmax(down - (x[i] - mean) / scale - 0.2, 0), 20);
        assert_near(v.score, fmax(up, down) / 10);
    }
    assert_true(v.is_alarm);
}

static void page_hinkley_begins_anew_after_an_alarm(void **state)
{
    struct detector_spec spec = begin(DETECTOR_PAGE_HINKLEY, 1);
    double x[ROWS];
    struct detector_verdict v;
    int n_alarms = 0;

    (void)state;
    make_noise(x, 7, 0, 1);
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        double value = x[i] + (i >= 240 ? 10 : 0);

        detector_step(state_of_room(), i, &value, NULL, &v);
        n_alarms += v.is_alarm;
    }
    assert_int_equal(n_alarms, 1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median_of(const double *x, int n)
{
    double v[64];

    memcpy(v, x, (size_t)n * sizeof *v);
    qsort(v, (size_t)n, sizeof *v, by_size);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void hampel_is_the_deviation_from_the_median(void **state)
{
    static const int windows[] = {5, 8, 63};

    (void)state;
    for (int w = 0; w < 3; w++) {
        struct detector_spec spec = begin(DETECTOR_HAMPEL, 1);
        int n = windows[w];
        double x[ROWS], off[64], middle;
        struct detector_verdict v;

        spec.window_rows = (uint32_t)n;
        make_noise(x, 8, 5, 1);
        detector_init(state_of_room(), &spec);
        for (int i = 0; i < ROWS; i++) {
            detector_step(state_of_room(), i, &x[i], NULL, &v);
            if (i < LEARNED)
                continue;
            middle = median_of(x + i - n, n);
            for (int k = 0; k < n; k++)
                off[k] = fabs(x[i - n + k] - middle);
            assert_near(v.score, fabs(x[i] - middle) / (1.4826 * median_of(off, n)) / spec.limit);
        }
    }
}

/* Far beyond all before each evidence is at its cap, and the extreme adds its most. */
static void surprise_has_a_known_top_and_is_quiet_after(void **state)
{
    struct detector_spec spec = begin(DETECTOR_SURPRISE, 1);
    double x[ROWS], most = 0;
    struct detector_verdict v;

    (void)state;
    make_noise(x, 9, 0, 1);
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        double value = x[i] + (i >= 250 ? 1000 : 0);

        detector_step(state_of_room(), i, &value, NULL, &v);
        if (i == 250)
            assert_true(v.is_alarm && v.score >= (pow(2 * 625, 0.25) + 20) / spec.limit - 1e-9);
        if (i > 252)
            assert_true(!v.is_alarm && v.score == 0);
        most = fmax(most, v.score);
    }
    assert_true(most <= (pow(3 * 625, 0.25) + 20) / spec.limit + 1e-9);
}

static void anomalies_in_commissioning_only_dull_it(void **state)
{
    struct detector_spec spec = begin(DETECTOR_EWMA, 1);
    double x[ROWS];
    struct detector_verdict v;

    (void)state;
    make_noise(x, 10, 0, 1);
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < ROWS; i++) {
        double value = x[i] + (i >= 100 && i < 120 ? 6 : 0) + (i >= 250 ? 30 : 0);

        detector_step(state_of_room(), i, &value, NULL, &v);
        assert_true(i >= 250 || !v.is_alarm);
    }
    assert_true(v.is_alarm);
}

static void a_gap_begins_smoothing_anew(void **state)
{
    struct detector_spec spec = begin(DETECTOR_EWMA, 1);
    double x[ROWS], far = 1000;
    struct detector_verdict v;

    (void)state;
    spec.gap_ms = 5000;
    make_noise(x, 12, 0, 1);
    detector_init(state_of_room(), &spec);
    for (int i = 0; i < LEARNED + 10; i++)
        detector_step(state_of_room(), i * INT64_C(1000000000), &x[i], NULL, &v);
    detector_step(state_of_room(), (LEARNED + 10) * INT64_C(1000000000), &far, NULL, &v);
    assert_true(v.is_alarm);
    detector_step(state_of_room(), (LEARNED + 16) * INT64_C(1000000000), &x[0], NULL, &v);
    assert_false(v.is_alarm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ewma_is_the_smoothed_deviation),
        cmocka_unit_test(mewma_is_t2),
        cmocka_unit_test(pca_is_t2_and_q),
        cmocka_unit_test(cusum_adds_up),
        cmocka_unit_test(page_hinkley_begins_anew_after_an_alarm),
        cmocka_unit_test(hampel_is_the_deviation_from_the_median),
        cmocka_unit_test(surprise_has_a_known_top_and_is_quiet_after),
        cmocka_unit_test(anomalies_in_commissioning_only_dull_it),
        cmocka_unit_test(a_gap_begins_smoothing_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
