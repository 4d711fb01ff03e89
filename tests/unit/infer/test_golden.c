/* The model file of the first format is opened and computed for ever: tests/golden/v1/model, written by
 * tests/golden/make_model.c of the release that fixed the format. */
#include "base/file.h"
#include "infer/model.h"
#include "unit/infer/golden_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Numbers to a relative 1e-5, all else letter by letter. */
static void expect_same(char *got, char *want)
{
    char *at_got, *at_want, *g = strtok_r(got, " \n", &at_got), *w = strtok_r(want, " \n", &at_want);

    for (; g != NULL && w != NULL; g = strtok_r(NULL, " \n", &at_got), w = strtok_r(NULL, " \n", &at_want)) {
        char *end_g, *end_w;
        double a = strtod(g, &end_g), b = strtod(w, &end_w);

        if (*end_g == '\0' && *end_w == '\0' && strpbrk(w, ".e") != NULL)
            assert_true(fabs(a - b) <= 1e-5 * fabs(b) + 1e-6);
        else
            assert_string_equal(g, w);
    }
    assert_true(g == NULL && w == NULL);
}

static void the_first_model_is_still_read(void **state)
{
    struct buf got = {0}, want = {0};
    uint8_t public[1][32], secret[64];
    struct infer_model *m;
    struct errmsg err;

    (void)state;
    golden_model_keys(public[0], secret);
    if (infer_model_open(GOLDEN_DIR "/zoo.model", NULL, &m, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(infer_model_signature(m, (const uint8_t(*)[32]) public, 1), INFER_SIGNATURE_GOOD);
    assert_true(span_equal(infer_model_text(m, "name"), span_str("zoo")));
    assert_true(span_equal(infer_model_recipe(m), span_str("a recipe")));
    golden_model_fill(m);
    infer_model_run(m);
    golden_model_print(m, &got);
    buf_u8(&got, 0);
    assert_int_equal(file_read(GOLDEN_DIR "/zoo.txt", 1 << 20, &want), 0);
    buf_u8(&want, 0);
    expect_same((char *)got.data, (char *)want.data);
    infer_model_free(m);
    buf_deinit(&got);
    buf_deinit(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_model_is_still_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
