/* Features, step by step, against the same computed over all rows at once; kept and given back at every row.
 */
#include "infer/feature.h"
#include "infer/feature_fft.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 300, CHANNELS = 2 };

static const char every_kind[] = "channels a b\n"
                                 "value *\nlag * n=1\nlag a n=7\ndifference * n=2\nwindow b n=5\n"
                                 "ewma_mean * alpha=0.1\newma_stddev * alpha=0.3\nzscore * alpha=0.05\n"
                                 "mean * n=1\nmean a n=9\nstddev * n=6\nmin * n=4\nmax * n=4\nrms * n=8\n"
                                 "band a n=16 low=1 high=3\nband b n=8 low=1 high=4\nabsent * n=10\n";

struct rows {
    double values[ROWS][CHANNELS];
    bool present[ROWS][CHANNELS];
};

static void make_rows(struct rows *rows, uint64_t seed, double absent_share)
{
    struct rng rng = {seed};
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < CHANNELS; c++) {
            rows->values[i][c] = rng_unit(&rng) * 10 - 5 + (double)i * 0.01;
            rows->present[i][c] = rng_unit(&rng) >= absent_share;
            if (rng_below(&rng, 50) == 0)
                rows->values[i][c] = rng_below(&rng, 2) == 0 ? (double)NAN : (double)-INFINITY;
        }
}

static void recipe_of(const char *text, enum recipe_absent absent, struct recipe *ret)
{
    struct errmsg err;
    if (recipe_parse(span_str(text), "test", ret, &err) != 0)
        fail_msg("%s", err.text);
    ret->absent = absent;
}

static struct features *features_of(const struct recipe *r)
{
    struct features *f;
    struct errmsg err;
    assert_int_equal(feature_new(r, &f, &err), 0);
    return f;
}

/* All that a channel's windows have seen after `rows` rows, oldest first. */
static size_t history(const struct rows *rows, size_t n_rows, size_t c, enum recipe_absent absent,
                      double *ret)
{
    size_t n = 0;
    bool has_last = false;
    double last = 0;
    for (size_t i = 0; i < n_rows; i++) {
        if (rows->present[i][c] && isfinite(rows->values[i][c])) {
            last = rows->values[i][c];
            has_last = true;
            ret[n++] = last;
        } else if (absent == RECIPE_NAN) {
            ret[n++] = (double)NAN;
        } else if (absent == RECIPE_HOLD && has_last) {
            ret[n++] = last;
        }
    }
    return n;
}

/* The transform by its definition. */
static double naive_band(const double *x, size_t n, size_t low, size_t high)
{
    double mean = 0, power = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t k = low; k <= high; k++) {
        double re = 0, im = 0;
        for (size_t i = 0; i < n; i++) {
            double w = 0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)n),
                   turn = 2 * M_PI * (double)(i * k) / (double)n;
            re += w * (x[i] - mean) * cos(turn);
            im -= w * (x[i] - mean) * sin(turn);
        }
        power += (k == n / 2 ? 1 : 2) * (re * re + im * im);
    }
    return power / (0.375 * (double)n * (double)n);
}

static void naive_ewma(const struct feature *f, const double *h, size_t n, double *mean, double *stddev,
                       double *z)
{
    double variance = 0;
    bool has_begun = false;
    *mean = 0;
    *z = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(h[i]))
            continue;
        double d = has_begun ? h[i] - *mean : 0;
        *z = variance > 0 ? d / sqrt(variance) : 0;
        *mean = has_begun ? *mean + f->alpha * d : h[i];
        variance = (1 - f->alpha) * (variance + f->alpha * d * d);
        has_begun = true;
    }
    *stddev = sqrt(variance);
}

static double naive_window(const struct feature *f, const double *x)
{
    double sum = 0, squares = 0, low = INFINITY, high = -INFINITY, n = 0;
    if (f->kind == FEATURE_BAND)
        return naive_band(x, f->n, f->low, f->high);
    for (size_t i = 0; i < f->n; i++)
        if (!isnan(x[i])) {
            sum += x[i];
            squares += x[i] * x[i];
            low = fmin(low, x[i]);
            high = fmax(high, x[i]);
            n++;
        }
    if (n == 0)
        return (double)NAN;
    switch (f->kind) {
    case FEATURE_MEAN:
        return sum / n;
    case FEATURE_STDDEV:
        return sqrt(fmax(0, squares / n - sum / n * (sum / n)));
    case FEATURE_MIN:
        return low;
    case FEATURE_MAX:
        return high;
    default:
        return sqrt(squares / n);
    }
}

static double naive(const struct feature *f, const struct rows *rows, size_t n_rows,
                    enum recipe_absent absent)
{
    double h[ROWS], mean, stddev, z;
    size_t n = history(rows, n_rows, f->channel, absent, h);
    switch (f->kind) {
    case FEATURE_VALUE:
        return h[n - 1];
    case FEATURE_LAG:
        return h[n - 1 - f->n];
    case FEATURE_DIFFERENCE:
        return h[n - 1] - h[n - 1 - f->n];
    case FEATURE_EWMA_MEAN:
    case FEATURE_EWMA_STDDEV:
    case FEATURE_ZSCORE:
        naive_ewma(f, h, n, &mean, &stddev, &z);
        return f->kind == FEATURE_EWMA_MEAN ? mean : f->kind == FEATURE_ZSCORE ? z : stddev;
    case FEATURE_ABSENT: {
        double absent_rows = 0;
        for (size_t i = n_rows > f->n ? n_rows - f->n : 0; i < n_rows; i++)
            absent_rows += !rows->present[i][f->channel] || !isfinite(rows->values[i][f->channel]);
        return absent_rows;
    }
    default:
        return naive_window(f, h + n - f->n);
    }
}

static void check_near(float got, double expected, const struct feature *f, size_t row)
{
    if (isnan(expected) ? !isnan(got) : !(fabs((double)got - expected) <= 1e-6 * (1 + fabs(expected))))
        fail_msg("%s of channel %u at row %zu: %.9g, expected %.9g", feature_kind_name(f->kind), f->channel,
                 row, (double)got, expected);
}

static void steps_equal_the_whole(void **state)
{
    static const enum recipe_absent ways[] = {RECIPE_HOLD, RECIPE_SKIP, RECIPE_NAN};
    static struct recipe r;
    static struct rows rows;

    (void)state;
    for (size_t way = 0; way < 3; way++) {
        recipe_of(every_kind, ways[way], &r);
        struct features *f = features_of(&r);
        size_t given = 0;
        make_rows(&rows, 40 + way, 0.2);
        for (size_t i = 0; i < ROWS; i++) {
            float out[64], *at = out;
            assert_true(recipe_width(&r) <= 64);
            if (!feature_step(f, rows.values[i], rows.present[i], out))
                continue;
            given++;
            for (size_t k = 0; k < r.n_features; k++) {
                const struct feature *feature = &r.features[k];
                double h[ROWS];
                size_t n = history(&rows, i + 1, feature->channel, ways[way], h);
                if (feature->kind != FEATURE_WINDOW)
                    check_near(*at++, naive(feature, &rows, i + 1, ways[way]), feature, i);
                else
                    for (size_t j = 0; j < feature->n; j++)
                        check_near(*at++, h[n - feature->n + j], feature, i);
            }
        }
        assert_true(given > ROWS - 40);
        feature_free(f);
    }
}

static void nothing_is_given_before_all_is_there(void **state)
{
    static struct recipe r;
    bool here[2] = {true, true}, one_missing[2] = {true, false};
    double values[2] = {1, 2};
    float out[8];

    (void)state;
    recipe_of("channels a b\nwindow a n=3\nvalue b\nhop 1\n", RECIPE_HOLD, &r);
    struct features *f = features_of(&r);
    for (int i = 0; i < 5; i++)
        assert_false(feature_step(f, values, one_missing, out)); /* b has never had a value */
    assert_true(feature_step(f, values, here, out));
    assert_true(feature_step(f, values, one_missing, out)); /* held */
    assert_true(out[3] == 2.0F);
    feature_reset(f);
    assert_false(feature_step(f, values, here, out));
    assert_false(feature_step(f, values, here, out));
    assert_true(feature_step(f, values, here, out));
    feature_free(f);

    recipe_of("channels a b\nhop 3\nvalue *\n", RECIPE_HOLD, &r);
    f = features_of(&r);
    for (int i = 1; i <= 12; i++)
        assert_int_equal(feature_step(f, values, here, out), i % 3 == 0);
    feature_free(f);
}

/* A state given back at any row goes on with the very same bits. */
static void kept_state_goes_on(void **state)
{
    static struct recipe r;
    static struct rows rows;
    static float expected[ROWS][64];

    (void)state;
    recipe_of(every_kind, RECIPE_NAN, &r);
    make_rows(&rows, 7, 0.1);
    struct features *f = features_of(&r);
    for (size_t i = 0; i < ROWS; i++)
        (void)feature_step(f, rows.values[i], rows.present[i], expected[i]);
    feature_free(f);

    f = features_of(&r);
    for (size_t i = 0; i < ROWS; i++) {
        float out[64] = {0};
        struct errmsg err;
        struct span image = feature_image(f);
        struct features *again = features_of(&r);
        assert_int_equal(feature_restore(again, image, &err), 0);
        feature_free(f);
        f = again;
        if (feature_step(f, rows.values[i], rows.present[i], out))
            assert_memory_equal(out, expected[i], recipe_width(&r) * sizeof(float));
    }
    feature_free(f);
}

static void a_foreign_state_is_refused(void **state)
{
    static struct recipe r, other;
    static struct rows rows;
    struct errmsg err;
    float out[64];

    (void)state;
    recipe_of(every_kind, RECIPE_SKIP, &r);
    other = r;
    other.absent = RECIPE_HOLD;
    make_rows(&rows, 9, 0.1);
    struct features *f = features_of(&r), *g = features_of(&other);
    assert_int_equal(feature_restore(f, feature_image(g), &err), -EINVAL);
    assert_non_null(strstr(err.text, "another recipe"));
    struct span cut = feature_image(f);
    cut.len--;
    assert_int_equal(feature_restore(f, cut, &err), -EINVAL);

    /* Any numbers behind the head: wrong ones come out, but nothing is touched that is not its own. */
    struct span image = feature_image(f);
    uint8_t *bytes = malloc(image.len);
    struct rng rng = {3};
    assert_non_null(bytes);
    for (int round = 0; round < 200; round++) {
        memcpy(bytes, image.data, image.len);
        for (size_t i = 16; i < image.len; i++)
            bytes[i] = (uint8_t)rng_u64(&rng);
        assert_int_equal(feature_restore(g, span_of(bytes, image.len), &err), -EINVAL);
        struct features *h = features_of(&r);
        assert_int_equal(feature_restore(h, span_of(bytes, image.len), &err), 0);
        for (size_t i = 0; i < 20; i++)
            (void)feature_step(h, rows.values[i], rows.present[i], out);
        feature_free(h);
    }
    free(bytes);
    feature_free(f);
    feature_free(g);
}

static void a_sine_gives_its_power(void **state)
{
    enum { N = 256 };
    static double x[N];
    double *scratch = calloc(fft_scratch_doubles(4096), sizeof *scratch);

    (void)state;
    assert_non_null(scratch);
    fft_prepare(4096, scratch);
    for (size_t i = 0; i < N; i++)
        x[i] = 7 + 3 * sin(2 * M_PI * 20 * (double)i / N);
    assert_true(fabs(fft_band(x, N, 19, 21, 4096, scratch) - 4.5) < 1e-12);
    assert_true(fft_band(x, N, 40, 128, 4096, scratch) < 1e-20);
    free(scratch);
}

/* The bits of all features over seeded rows, as they were when this test was written: the same on each
 * machine, with each compiler. The rows themselves use products and sums only. */
static void bits_are_those_of_any_machine(void **state)
{
    static struct recipe r;
    static struct rows rows;
    uint64_t hash = 0xcbf29ce484222325ULL;

    (void)state;
    recipe_of(every_kind, RECIPE_HOLD, &r);
    make_rows(&rows, 11, 0.1);
    struct features *f = features_of(&r);
    for (size_t i = 0; i < ROWS; i++) {
        float out[64];
        if (!feature_step(f, rows.values[i], rows.present[i], out))
            continue;
        for (size_t k = 0; k < recipe_width(&r) * sizeof(float); k++)
            hash = (hash ^ ((const uint8_t *)out)[k]) * 0x100000001b3ULL;
    }
    feature_free(f);
    assert_int_equal(hash, UINT64_C(0x10534ceade9b3175));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_equal_the_whole),  cmocka_unit_test(nothing_is_given_before_all_is_there),
        cmocka_unit_test(kept_state_goes_on),     cmocka_unit_test(a_foreign_state_is_refused),
        cmocka_unit_test(a_sine_gives_its_power), cmocka_unit_test(bits_are_those_of_any_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
