#include "base/numfmt.h"
#include "base/rng.h"
#include "cm.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The digits of a decimal text without leading and trailing zeros, point and exponent. Returns how many. */
static size_t significant_digits(const char *text, char out[64])
{
    size_t n = 0;

    for (; *text != '\0' && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (n > 0 || *text != '0'))
            out[n++] = *text;
    while (n > 0 && out[n - 1] == '0')
        n--;
    out[n] = '\0';
    return n;
}

/* The straightforward way: the digits of the first precision of %e that reads back. */
static size_t slow_digits(double v, char out[64])
{
    char text[64];

    for (int n = fabs(v) < 2.3e-308 ? 1 : 15; n <= 17; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return significant_digits(text, out);
}

static void assert_round_trip(double v)
{
    char text[NUMFMT_DOUBLE_CHARS];
    size_t len = numfmt_double(v, text);
    double back;

    assert_int_equal(len, strlen(text));
    assert_true(bits_of(strtod(text, NULL)) == bits_of(v));
    assert_true(numfmt_parse_double(text, len, &back));
    assert_true(bits_of(back) == bits_of(v));
}

/* The same decimal as the slow way finds, not only one of the same length. */
static void assert_shortest(double v)
{
    char text[NUMFMT_DOUBLE_CHARS], digits[64], slow[64];
    size_t n, n_slow = slow_digits(v, slow);
    int exponent;

    numfmt_double(v, text);
    n = significant_digits(text, digits);
    /* Only at a power of two can a decimal that is not printf's rounding be shorter. */
    if (n < n_slow && fabs(frexp(v, &exponent)) == 0.5)
        return;
    assert_string_equal(digits, slow);
}

static void random_bit_patterns_round_trip(void **state)
{
    struct rng r = {1};

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        double v = double_of(rng_u64(&r));

        if (!isfinite(v))
            continue;
        assert_round_trip(v);
        if (i % 8 == 0)
            assert_shortest(v);
    }
}

static void short_decimals_print_as_they_were_written(void **state)
{
    struct rng r = {2};

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        char want[64], text[NUMFMT_DOUBLE_CHARS];
        int e = (int)rng_below(&r, 10), n = 1 + (int)rng_below(&r, 15);
        uint64_t scale = 1, m, unit = 1;
        double v;

        for (int k = 0; k < n; k++)
            scale *= 10;
        for (int k = 0; k < e; k++)
            unit *= 10;
        m = rng_below(&r, scale);
        snprintf(want, sizeof want, "%llu.%0*llu", (unsigned long long)(m / unit), e,
                 (unsigned long long)(m % unit));
        if (e == 0)
            *strchr(want, '.') = '\0';
        for (size_t end = strlen(want); e > 0 && (want[end - 1] == '0' || want[end - 1] == '.'); end--) {
            char cut = want[end - 1];

            want[end - 1] = '\0';
            if (cut == '.')
                break;
        }
        v = strtod(want, NULL);
        numfmt_double(v, text);
        if (v == 0 || v >= 1e-4)
            assert_string_equal(text, want);
        assert_round_trip(v);
        assert_shortest(v);
        assert_round_trip(-v);
    }
}

static void sensor_like_floats_are_shortest(void **state)
{
    struct rng r = {3};

    (void)state;
    for (int i = 0; i < 200000; i++) {
        double v = (rng_unit(&r) - 0.5) * pow(10, (double)rng_below(&r, 12));

        assert_round_trip((double)(float)v);
        assert_shortest((double)(float)v);
        assert_round_trip(v);
        assert_shortest(v);
        /* 16 digits, where two decimals may belong to one double. */
        v = (double)(1000000000000000 + rng_below(&r, 8007199254740992)) / pow(10, (double)rng_below(&r, 19));
        assert_round_trip(v);
        assert_shortest(v);
    }
}

static void every_power_of_two_is_as_short_as_any_decimal(void **state)
{
    (void)state;
    for (int e = -1074; e < 1024; e++) {
        double v = ldexp(1.0, e);
        char text[NUMFMT_DOUBLE_CHARS], digits[64];

        assert_round_trip(v);
        assert_shortest(v);
        assert_round_trip(nextafter(v, 0));
        assert_shortest(nextafter(v, 0));
        numfmt_double(v, text);
        if (significant_digits(text, digits) < 17)
            continue;
        /* No 16-digit neighbour of v reads back. */
        for (int up = -1; up <= 1; up++) {
            char slow[64];
            long long neighbour;
            int exp10;

            snprintf(slow, sizeof slow, "%.15e", v);
            exp10 = atoi(strchr(slow, 'e') + 1);
            memmove(slow + 1, slow + 2, strlen(slow + 1));
            neighbour = atoll(slow) + up;
            snprintf(slow, sizeof slow, "%llde%d", neighbour, exp10 - 15);
            assert_true(strtod(slow, NULL) != v);
        }
    }
}

static void known_hard_numbers(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0.0"},
        {5e-324, "5e-324"},
        {-5e-324, "-5e-324"},
        {0.1, "0.1"},
        {1e23, "1e23"},
        {9007199254740993.0, "9007199254740992"},
        {9007199254740991.0, "9007199254740991"},
        {2.2250738585072011e-308, "2.225073858507201e-308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {0x1p-44, "5.684341886080802e-14"},
        {1.0 / 3.0, "0.3333333333333333"},
        {100000.0, "100000"},
        {1e15, "1000000000000000"},
        {1e16, "1e16"},
        {0.0001, "0.0001"},
        {0.00001, "1e-5"},
        {0.000123456789, "0.000123456789"},
        {123456.789, "123456.789"},
        {-23.45, "-23.45"},
        {(double)23.45f, "23.450000762939453"},
        {1.5e300, "1.5e300"},
        {(double)INFINITY, "Infinity"},
        {-(double)INFINITY, "-Infinity"},
    };
    char text[NUMFMT_DOUBLE_CHARS];
    double v;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(numfmt_double(cases[i].v, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_true(numfmt_parse_double(text, strlen(text), &v));
        assert_true(bits_of(v) == bits_of(cases[i].v));
    }
    numfmt_double((double)NAN, text);
    assert_string_equal(text, "NaN");
}

static void parse_agrees_with_strtod_on_random_texts(void **state)
{
    struct rng r = {4};

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        char text[96];
        int at = 0, n_int = (int)rng_below(&r, 22), n_part = (int)rng_below(&r, 22);
        double v;

        if (n_int + n_part == 0)
            n_int = 1;
        if (rng_below(&r, 2) == 0)
            text[at++] = rng_below(&r, 4) == 0 ? '+' : '-';
        while (n_int-- > 0)
            text[at++] = (char)('0' + (rng_below(&r, 3) == 0 ? 0 : rng_below(&r, 10)));
        if (n_part > 0)
            text[at++] = '.';
        while (n_part-- > 0)
            text[at++] = (char)('0' + (rng_below(&r, 3) == 0 ? 0 : rng_below(&r, 10)));
        text[at] = '\0';
        if (rng_below(&r, 2) == 0)
            at +=
                sprintf(text + at, "%c%d", rng_below(&r, 2) == 0 ? 'e' : 'E', (int)rng_below(&r, 700) - 350);
        assert_true(numfmt_parse_double(text, (size_t)at, &v));
        assert_true(bits_of(v) == bits_of(strtod(text, NULL)));
    }
}

static void parse_rounds_long_texts_like_strtod(void **state)
{
    /* 2^53 + 1 is a tie; far behind it one digit decides. */
    char text[3000];
    double v;

    (void)state;
    for (int n_zeros = 0; n_zeros < 2500; n_zeros += 7) {
        int at = sprintf(text, "9007199254740993.");

        memset(text + at, '0', (size_t)n_zeros);
        strcpy(text + at + n_zeros, "1");
        assert_true(numfmt_parse_double(text, strlen(text), &v));
        assert_true(v == 9007199254740994.0);
        text[at + n_zeros] = '0';
        assert_true(numfmt_parse_double(text, strlen(text), &v));
        assert_true(v == 9007199254740992.0);
    }
    text[0] = '.';
    memset(text + 1, '0', 400);
    strcpy(text + 401, "25e402");
    assert_true(numfmt_parse_double(text, strlen(text), &v));
    assert_true(v == 25.0);
    memset(text, '9', 2000);
    text[2000] = '\0';
    assert_true(numfmt_parse_double(text, strlen(text), &v));
    assert_true(isinf(v));
}

static void parse_takes_numbers_and_nothing_else(void **state)
{
    static const char *const good[] = {"1",
                                       " 1 ",
                                       "\t1",
                                       "+1",
                                       "-0",
                                       "1e5",
                                       "1E+5",
                                       "1e-5",
                                       "1.50",
                                       ".5",
                                       "5.",
                                       "NaN",
                                       "nan",
                                       "-inf",
                                       "INF",
                                       "Infinity",
                                       "0e0",
                                       "007",
                                       "1e99999999999",
                                       "0e99999999999",
                                       "1e-99999999999"};
    static const char *const bad[] = {"",       " ",     "+",   "-",   ".",   "e5",   "1e",    "1e+", "1 2",
                                      "1x",     "0x10",  "1,5", "--1", "+-1", "1..2", "1.2.3", "na",  "infin",
                                      "nan(1)", "1e5.5", "\n1", "1\r", ".e1", "- 1",  "1_000"};
    double v;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double want = strtod(good[i], NULL);

        assert_true(numfmt_parse_double(good[i], strlen(good[i]), &v));
        if (isnan(want))
            assert_true(isnan(v));
        else
            assert_true(bits_of(v) == bits_of(want));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        v = 77;
        assert_false(numfmt_parse_double(bad[i], strlen(bad[i]), &v));
        assert_true(v == 77);
    }
    assert_false(numfmt_parse_double("1\0", 2, &v));
    assert_true(numfmt_parse_double("12345", 2, &v)); /* reads no further than len */
    assert_true(v == 12);
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    char text[NUMFMT_DOUBLE_CHARS];
    double v;

    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL && setlocale(LC_NUMERIC, "fr_FR.UTF-8") == NULL)
        skip();
    numfmt_double(1.0 / 3.0, text);
    assert_string_equal(text, "0.3333333333333333");
    assert_true(numfmt_parse_double("0.33333333333333331483", 22, &v));
    assert_true(v == 1.0 / 3.0);
    setlocale(LC_NUMERIC, "C");
}

static void integers_parse_to_their_limits(void **state)
{
    int64_t v;

    (void)state;
    assert_true(numfmt_parse_i64("9223372036854775807", 19, &v));
    assert_true(v == INT64_MAX);
    assert_true(numfmt_parse_i64("-9223372036854775808", 20, &v));
    assert_true(v == INT64_MIN);
    assert_true(numfmt_parse_i64(" +12 ", 5, &v));
    assert_true(v == 12);
    assert_false(numfmt_parse_i64("9223372036854775808", 19, &v));
    assert_false(numfmt_parse_i64("-9223372036854775809", 20, &v));
    assert_false(numfmt_parse_i64("99999999999999999999", 20, &v));
    assert_false(numfmt_parse_i64("", 0, &v));
    assert_false(numfmt_parse_i64("-", 1, &v));
    assert_false(numfmt_parse_i64("1.0", 3, &v));
    assert_true(v == 12);
}

static void byte_counts_read_well(void **state)
{
    char out[16];

    (void)state;
    assert_string_equal(numfmt_bytes(0, out), "0 B");
    assert_string_equal(numfmt_bytes(1023, out), "1023 B");
    assert_string_equal(numfmt_bytes(1024, out), "1 KiB");
    assert_string_equal(numfmt_bytes(65536, out), "64 KiB");
    assert_string_equal(numfmt_bytes(UINT64_C(1610612736), out), "1.5 GiB");
    assert_string_equal(numfmt_bytes(1048575, out), "1 MiB");
    assert_string_equal(numfmt_bytes(UINT64_MAX, out), "16 EiB");
    assert_string_equal(numfmt_bytes(UINT64_C(1) << 50, out), "1 PiB");
    assert_string_equal(numfmt_bytes(UINT64_C(1) << 42, out), "4 TiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hard_numbers),
        cmocka_unit_test(random_bit_patterns_round_trip),
        cmocka_unit_test(short_decimals_print_as_they_were_written),
        cmocka_unit_test(sensor_like_floats_are_shortest),
        cmocka_unit_test(every_power_of_two_is_as_short_as_any_decimal),
        cmocka_unit_test(parse_agrees_with_strtod_on_random_texts),
        cmocka_unit_test(parse_rounds_long_texts_like_strtod),
        cmocka_unit_test(parse_takes_numbers_and_nothing_else),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(integers_parse_to_their_limits),
        cmocka_unit_test(byte_counts_read_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
