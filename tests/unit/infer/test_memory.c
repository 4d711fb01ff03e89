/* A run takes no memory; reading and building survive it when there is none. Every malloc of the library
 * passes through here (--wrap). */
#include "infer/model.h"
#include "unit/infer/sample_model.h"
#include "unit/infer/zoo_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t n_allocations, fail_at; /* 0: never */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

void *__wrap_malloc(size_t n)
{
    return ++n_allocations == fail_at ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return ++n_allocations == fail_at ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return ++n_allocations == fail_at ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return ++n_allocations == fail_at ? NULL : __real_aligned_alloc(align, n);
}

static void a_run_takes_none(void **state)
{
    struct buf file = {0};
    struct infer_model *m;
    struct errmsg err;
    struct span bytes;
    size_t before;

    (void)state;
    zoo_model_write(&file);
    bytes = sample_model_aligned(span_of(file.data, file.len));
    before = n_allocations;
    assert_int_equal(infer_model_read(bytes, NULL, &m, &err), 0);
    assert_true(n_allocations > before);
    before = n_allocations;
    for (int i = 0; i < 10; i++)
        infer_model_run(m);
    assert_int_equal(n_allocations, before);
    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    buf_deinit(&file);
}

static void reading_without_memory(void **state)
{
    struct buf file = {0};
    struct infer_model *m = NULL;
    struct errmsg err;
    struct span bytes;
    int r = -1, failed = 0;

    (void)state;
    zoo_model_write(&file);
    bytes = sample_model_aligned(span_of(file.data, file.len));
    for (size_t at = 1; r != 0; at++) {
        n_allocations = 0;
        fail_at = at;
        r = infer_model_read(bytes, NULL, &m, &err);
        fail_at = 0;
        if (r != 0) {
            assert_int_equal(r, -ENOMEM);
            assert_null(m);
            failed++;
        }
    }
    assert_true(failed >= 8);
    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    buf_deinit(&file);
}

static int build(struct buf *out)
{
    struct infer_node node = {.op = INFER_RELU, .n_inputs = 1, .n_outputs = 1};
    struct infer_build *b = infer_build_new();
    struct infer_shape shape = {.rank = 1, .dim = {2}};
    struct errmsg err;
    uint16_t x, y;
    int r;

    if (b == NULL)
        return -ENOMEM;
    r = infer_build_input(b, "x", INFER_F32, &shape, &node.inputs[0], &err);
    if (r == 0)
        r = infer_build_constant(b, INFER_F32, &shape, (const float[]){1, 2}, &x, &err);
    if (r == 0)
        r = infer_build_node(b, &node, &y, &err);
    if (r == 0)
        r = infer_build_output(b, "y", y, &err);
    if (r == 0)
        r = infer_build_text(b, "name", "n", &err);
    if (r == 0)
        r = infer_build_recipe(b, span_str("r"), &err);
    if (r == 0)
        r = infer_build_write(b, out, &err);
    infer_build_free(b);
    return r;
}

static void building_without_memory(void **state)
{
    int r = -1, failed = 0;

    (void)state;
    for (size_t at = 1; r != 0; at++) {
        struct buf out = {0};

        n_allocations = 0;
        fail_at = at;
        r = build(&out);
        fail_at = 0;
        assert_true(r == 0 || r == -ENOMEM);
        failed += r != 0;
        buf_deinit(&out);
    }
    assert_true(failed >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_takes_none),
        cmocka_unit_test(reading_without_memory),
        cmocka_unit_test(building_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
