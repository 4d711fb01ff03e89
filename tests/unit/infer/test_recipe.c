/* Recipes: from text to bytes and back; what is wrong is said with its line. */
#include "infer/recipe.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char example[] = "# a pump\n"
                              "channels temperature vibration\n"
                              "hop 4\n"
                              "absent skip\n"
                              "value *\n"
                              "lag temperature n=3 # three steps\n"
                              "ewma_mean vibration alpha=0.1\n"
                              "zscore * alpha=0.05\n"
                              "window vibration n=16\n"
                              "band vibration n=256 low=3 high=9\n"
                              "absent vibration n=60\n";

static void text_is_read(void **state)
{
    struct recipe r;
    struct errmsg err;

    (void)state;
    assert_int_equal(recipe_parse(span_str(example), "pump.txt", &r, &err), 0);
    assert_int_equal(r.n_channels, 2);
    assert_string_equal(r.channels[1], "vibration");
    assert_int_equal(r.hop, 4);
    assert_int_equal(r.absent, RECIPE_SKIP);
    assert_int_equal(r.n_features, 9);
    assert_int_equal(recipe_width(&r), 9 - 1 + 16);
    assert_int_equal(r.features[2].kind, FEATURE_LAG);
    assert_int_equal(r.features[2].n, 3);
    assert_int_equal(r.features[5].channel, 1);
    assert_true(r.features[5].alpha == 0.05);
    assert_int_equal(r.features[7].high, 9);
    assert_int_equal(r.features[8].kind, FEATURE_ABSENT);
}

static void bytes_and_text_come_back(void **state)
{
    struct recipe r, again;
    struct errmsg err;
    struct buf bytes = {0}, bytes_again = {0}, text = {0};

    (void)state;
    assert_int_equal(recipe_parse(span_str(example), "pump.txt", &r, &err), 0);
    recipe_encode(&r, &bytes);
    assert_int_equal(recipe_decode(span_of(bytes.data, bytes.len), &again, &err), 0);
    assert_memory_equal(&r, &again, sizeof r);
    recipe_print(&r, &text);
    assert_int_equal(recipe_parse(span_of(text.data, text.len), "again.txt", &again, &err), 0);
    recipe_encode(&again, &bytes_again);
    assert_int_equal(bytes.len, bytes_again.len);
    assert_memory_equal(bytes.data, bytes_again.data, bytes.len);
    buf_deinit(&bytes);
    buf_deinit(&bytes_again);
    buf_deinit(&text);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"value x\n", "f:1: a line `channels NAME ...` has to come first"},
        {"channels a\nvalue b\n", "f:2: no channel 'b'"},
        {"channels a a\n", "f:1: the channel 'a' is named twice"},
        {"channels a\nchannels b\n", "f:2: a second line `channels`"},
        {"channels\n", "f:1: `channels` needs names"},
        {"channels a\nmedian a n=3\n", "f:2: 'median' is no feature: value, lag"},
        {"channels a\nlag a\n", "f:2: recipe: feature 1 (lag) has n = 0: 1 to 4096"},
        {"channels a\nlag a n=4097\n", "has n = 4097"},
        {"channels a\nlag a n=-1\n", "f:2: n: '-1' is no whole number"},
        {"channels a\nlag a alpha=1\n", "f:2: lag has no setting 'alpha': it has n"},
        {"channels a\nlag a 3\n", "f:2: '3' is no setting: write key=value"},
        {"channels a\nzscore a alpha=0\n", "(zscore) has alpha = 0"},
        {"channels a\nzscore a alpha=nan\n", "(zscore) has alpha = nan"},
        {"channels a\nband a n=100 low=1 high=2\n", "a power of 2 from 4 is needed"},
        {"channels a\nband a n=8 low=0 high=2\n", "1 <= low <= high <= n / 2 = 4"},
        {"channels a\nband a n=8 low=1 high=5\n", "1 <= low <= high <= n / 2 = 4"},
        {"channels a\nhop 0\nvalue a\n", "f:2: hop: 0 is not among 1 to 1048576"},
        {"channels a\nhop\n", "f:2: hop: one number is needed"},
        {"channels a\nabsent\n", "f:2: absent: one of hold, skip, nan"},
        {"channels a\nvalue\n", "f:2: value needs a channel, or * for all"},
        {"channels a\n", "f: recipe: 0 features"},
        {"", "f: recipe: 0 channels"},
        {"channels 0123456789012345678901234567890123456789012345678901234567890123\n",
         "has 64 bytes: up to 63"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct recipe r;
        struct errmsg err = {{0}};
        assert_int_equal(recipe_parse(span_str(cases[i].text), "f", &r, &err), -EINVAL);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s\ngave:  %s\nnot:   %s", cases[i].text, err.text, cases[i].says);
    }
}

/* Every cut and every changed byte: refused, or a recipe that is whole. */
static void damage_is_refused_or_harmless(void **state)
{
    struct recipe r;
    struct errmsg err;
    struct buf bytes = {0};
    struct rng rng = {5};

    (void)state;
    assert_int_equal(recipe_parse(span_str(example), "pump.txt", &r, &err), 0);
    recipe_encode(&r, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(recipe_decode(span_of(bytes.data, len), &r, &err), -EINVAL);
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t was = bytes.data[i];
        bytes.data[i] ^= (uint8_t)(1 + rng_below(&rng, 255));
        if (recipe_decode(span_of(bytes.data, bytes.len), &r, &err) == 0)
            assert_int_equal(recipe_check(&r, &err), 0);
        bytes.data[i] = was;
    }
    bytes.data[0] = 9;
    assert_int_equal(recipe_decode(span_of(bytes.data, bytes.len), &r, &err), -EINVAL);
    assert_non_null(strstr(err.text, "version 9"));
    buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read),
        cmocka_unit_test(bytes_and_text_come_back),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(damage_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
