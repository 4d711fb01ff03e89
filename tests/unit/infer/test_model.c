/* Model files: made, read, run. */
#include "unit/infer/sample_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_model_runs(void **state)
{
    struct errmsg err;
    struct buf file = {0};
    struct infer_model *m;
    struct span bytes;

    (void)state;
    sample_model_write(&file);
    bytes = sample_model_aligned(span_of(file.data, file.len));
    if (infer_model_read(bytes, NULL, &m, &err) != 0)
        fail_msg("%s", err.text);
    memcpy(infer_model_input(m, 0), (const float[]){1, -2, 3}, 12);
    for (int i = 0; i < 2; i++) {
        infer_model_run(m);
        assert_memory_equal(infer_model_output(m, 0), ((const float[]){2.5f, 0}), 8);
        assert_memory_equal(infer_model_output(m, 1), ((const float[]){5, 0}), 8);
        assert_memory_equal(infer_model_input(m, 0), ((const float[]){1, -2, 3}), 12);
    }
    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    buf_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
