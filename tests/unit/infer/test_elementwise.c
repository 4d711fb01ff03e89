/* Operators that work element by element: values by hand, broadcasts against plain index arithmetic. */
#include "base/rng.h"
#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define F(...) ((const float[]){__VA_ARGS__})
#define I8(...) ((const int8_t[]){__VA_ARGS__})
#define U8(...) ((const uint8_t[]){__VA_ARGS__})
#define I32(...) ((const int32_t[]){__VA_ARGS__})
#define I64(...) ((const int64_t[]){__VA_ARGS__})

static void integers_wrap(void **state)
{
    struct run_op t;
    static const struct {
        enum infer_op op;
        int8_t y[4];
    } cases[] = {
        {INFER_ADD, {-128, -129 + 256, 5, 1}}, {INFER_SUB, {126, -127, 9, -1}},
        {INFER_MUL, {127, -128, -14, 0}},      {INFER_DIV, {127, -128, -3, 0}},
        {INFER_MIN, {1, -128, -2, 0}},         {INFER_MAX, {127, -1, 7, 1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_op_init(&t, cases[i].op);
        run_op_input(&t, INFER_I8, SHAPE(4), I8(127, -128, 7, 0));
        run_op_input(&t, INFER_I8, SHAPE(4), I8(1, -1, -2, 1));
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_I8, SHAPE(4), cases[i].y);
        run_op_deinit(&t);
    }
    run_op_init(&t, INFER_DIV);
    run_op_input(&t, INFER_I64, SHAPE(3), I64(INT64_MIN, 7, -7));
    run_op_input(&t, INFER_I64, SHAPE(3), I64(-1, 0, 2));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(3), I64(INT64_MIN, 0, -3));
    run_op_deinit(&t);
    run_op_init(&t, INFER_MUL);
    run_op_input(&t, INFER_I32, SHAPE(2), I32(INT32_MAX, 65536));
    run_op_input(&t, INFER_I32, SHAPE(1), I32(65536));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I32, SHAPE(2), I32(-65536, 0));
    run_op_deinit(&t);
    run_op_init(&t, INFER_DIV);
    run_op_input(&t, INFER_U8, SHAPE(3), U8(255, 254, 3));
    run_op_input(&t, INFER_U8, SHAPE(3), U8(255, 255, 0));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(3), U8(1, 0, 0));
    run_op_deinit(&t);
}

static void unary_values(void **state)
{
    static const float x[7] = {-INFINITY, -2, -0.5f, 0, 0.5f, 2, 100};
    static const struct {
        enum infer_op op;
        float floats[2], y[7];
    } cases[] = {
        {INFER_RELU, {0}, {0, 0, 0, 0, 0.5f, 2, 100}},
        {INFER_LEAKY_RELU, {0.1f}, {-INFINITY, -0.2f, -0.05f, 0, 0.5f, 2, 100}},
        {INFER_SIGMOID, {0}, {0, 0.11920292f, 0.37754067f, 0.5f, 0.62245933f, 0.88079708f, 1}},
        {INFER_TANH, {0}, {-1, -0.96402758f, -0.46211716f, 0, 0.46211716f, 0.96402758f, 1}},
        {INFER_ELU, {2}, {-2, -1.7293294f, -0.78693868f, 0, 0.5f, 2, 100}},
        {INFER_SELU, {2, 3}, {-6, -5.1879883f, -2.3608160f, 0, 1.5f, 6, 300}},
        {INFER_HARD_SIGMOID, {0.25f, 0.5f}, {0, 0, 0.375f, 0.5f, 0.625f, 1, 1}},
        {INFER_SOFTPLUS, {0}, {0, 0.12692801f, 0.47407699f, 0.69314718f, 0.97407699f, 2.1269280f, 100}},
        {INFER_EXP, {0}, {0, 0.13533528f, 0.60653066f, 1, 1.6487213f, 7.3890561f, INFINITY}},
        {INFER_LOG, {0}, {NAN, NAN, NAN, -INFINITY, -0.69314718f, 0.69314718f, 4.6051702f}},
        {INFER_SQRT, {0}, {NAN, NAN, NAN, 0, 0.70710678f, 1.4142136f, 10}},
        {INFER_ABS, {0}, {INFINITY, 2, 0.5f, 0, 0.5f, 2, 100}},
        {INFER_NEG, {0}, {INFINITY, 2, 0.5f, 0, -0.5f, -2, -100}},
    };
    struct run_op t;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_op_init(&t, cases[i].op);
        memcpy(t.node.floats, cases[i].floats, sizeof cases[i].floats);
        run_op_input(&t, INFER_F32, SHAPE(7, 1), x);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(7, 1), cases[i].y);
        run_op_deinit(&t);
    }
    run_op_init(&t, INFER_ABS);
    run_op_input(&t, INFER_I32, SHAPE(2), I32(INT32_MIN, -5));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I32, SHAPE(2), I32(INT32_MIN, 5));
    run_op_deinit(&t);
    run_op_init(&t, INFER_NEG);
    run_op_input(&t, INFER_U8, SHAPE(1), U8(1));
    run_op_expect_refused(&t, "input 0 is of type uint8");
}

/* The values of a small operand at one index of the whole. */
static size_t index_of(const struct infer_shape *s, const struct infer_shape *whole, size_t flat)
{
    size_t at[INFER_RANK_MAX] = {0}, index = 0;

    for (unsigned i = whole->rank; i-- > 0; flat /= whole->dim[i])
        at[i] = flat % whole->dim[i];
    for (unsigned i = 0; i < s->rank; i++)
        index = index * s->dim[i] + (s->dim[i] == 1 ? 0 : at[whole->rank - s->rank + i]);
    return index;
}

static void random_shapes(struct rng *rng, struct infer_shape *a, struct infer_shape *b,
                          struct infer_shape *both)
{
    both->rank = (uint8_t)rng_below(rng, INFER_RANK_MAX + 1);
    for (unsigned i = 0; i < both->rank; i++)
        both->dim[i] = (uint32_t)rng_below(rng, 5);
    *a = *b = *both;
    for (unsigned i = 0; i < both->rank; i++) {
        uint64_t which = rng_below(rng, 4);

        if (which == 0)
            a->dim[i] = 1;
        else if (which == 1)
            b->dim[i] = 1;
    }
    while (b->rank > 0 && (both->dim[both->rank - b->rank] == 1 || rng_below(rng, 4) == 0) &&
           a->dim[both->rank - b->rank] == both->dim[both->rank - b->rank])
        memmove(b->dim, b->dim + 1, --b->rank * sizeof b->dim[0]);
}

static void any_broadcast(void **state)
{
    struct rng rng = {1};
    static float a[4096], b[4096], want[4096];

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct infer_shape sa, sb, both;
        struct run_op t;

        random_shapes(&rng, &sa, &sb, &both);
        for (size_t i = 0; i < 4096; i++) {
            a[i] = (float)rng_below(&rng, 100);
            b[i] = (float)rng_below(&rng, 100);
        }
        for (size_t i = 0; i < infer_shape_elements(&both); i++)
            want[i] = a[index_of(&sa, &both, i)] - b[index_of(&sb, &both, i)];
        run_op_init(&t, INFER_SUB);
        run_op_input(&t, INFER_F32, sa, a);
        run_op_input(&t, INFER_F32, sb, b);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, both, want);
        run_op_deinit(&t);
    }
}

static void broadcasts_that_do_not_go(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_ADD);
    run_op_input(&t, INFER_F32, SHAPE(2, 3), F(0, 0, 0, 0, 0, 0));
    run_op_input(&t, INFER_F32, SHAPE(2), F(0, 0));
    run_op_expect_refused(&t, "Add: the shapes of the inputs cannot be broadcast");
    t.tensors[1].type = INFER_I32;
    run_op_expect_refused(&t, "of one type");
    run_op_init(&t, INFER_ADD);
    run_op_input(&t, INFER_F32, SHAPE(8192, 1), NULL);
    run_op_input(&t, INFER_F32, SHAPE(1, 8193), NULL);
    run_op_expect_refused(&t, "more than 67108864 elements");
    run_op_init(&t, INFER_PRELU);
    run_op_input(&t, INFER_F32, SHAPE(2), F(-1, 1));
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(1, 1, 1, 1));
    run_op_expect_refused(&t, "slope");
    run_op_init(&t, INFER_PRELU);
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(-1, 2, -3, -4));
    run_op_input(&t, INFER_F32, SHAPE(2), F(0.5f, 0.25f));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(-0.5f, 2, -1.5f, -1));
    run_op_deinit(&t);
}

static void not_a_number_comes_through(void **state)
{
    struct run_op t;

    (void)state;
    for (unsigned op = INFER_MIN; op <= INFER_MAX; op++) {
        run_op_init(&t, (enum infer_op)op);
        run_op_input(&t, INFER_F32, SHAPE(3), F(NAN, 1, 2));
        run_op_input(&t, INFER_F32, SHAPE(3), F(1, NAN, 3));
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(3), F(NAN, NAN, op == INFER_MIN ? 2 : 3));
        run_op_deinit(&t);
    }
}

static void clip(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_CLIP);
    run_op_input(&t, INFER_F32, SHAPE(4), F(-5, 0.5f, 5, NAN));
    run_op_input(&t, INFER_F32, SHAPE(), F(-1));
    run_op_input(&t, INFER_F32, SHAPE(), F(1));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(4), F(-1, 0.5f, 1, NAN));
    run_op_deinit(&t);
    run_op_init(&t, INFER_CLIP); /* the upper bound is the stronger one */
    run_op_input(&t, INFER_I8, SHAPE(3), I8(-5, 0, 5));
    run_op_input(&t, INFER_I8, SHAPE(), I8(3));
    run_op_input(&t, INFER_I8, SHAPE(), I8(1));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I8, SHAPE(3), I8(1, 1, 1));
    run_op_deinit(&t);
    run_op_init(&t, INFER_CLIP);
    run_op_input(&t, INFER_I64, SHAPE(3), I64(-5, 0, 5));
    run_op_left_out(&t);
    run_op_input(&t, INFER_I64, SHAPE(1), I64(1));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(3), I64(-5, 0, 1));
    run_op_deinit(&t);
}

static void cast_to(enum infer_type from, const void *x, size_t n, enum infer_type to, const void *y)
{
    struct run_op t;

    run_op_init(&t, INFER_CAST);
    t.node.ints[0] = (int32_t)to;
    run_op_input(&t, from, SHAPE((uint32_t)n), x);
    run_op_run(&t);
    run_op_expect(&t, 0, to, SHAPE((uint32_t)n), y);
    run_op_deinit(&t);
}

static void cast(void **state)
{
    const float x[6] = {1.9f, -1.9f, 300, -1e30f, NAN, INFINITY};
    struct run_op t;

    (void)state;
    cast_to(INFER_F32, x, 6, INFER_I8, I8(1, -1, 127, -128, 0, 127));
    cast_to(INFER_F32, x, 6, INFER_U8, U8(1, 0, 255, 0, 0, 255));
    cast_to(INFER_F32, x, 6, INFER_I32, I32(1, -1, 300, INT32_MIN, 0, INT32_MAX));
    cast_to(INFER_F32, x, 6, INFER_I64, I64(1, -1, 300, INT64_MIN, 0, INT64_MAX));
    cast_to(INFER_F32, x, 6, INFER_BOOL, U8(1, 1, 1, 1, 1, 1));
    cast_to(INFER_I64, I64(INT64_MAX, -1, 300), 3, INFER_U8, U8(255, 255, 44));
    cast_to(INFER_I64, I64(16777217, -1, 300), 3, INFER_F32, F(16777216, -1, 300));
    cast_to(INFER_BOOL, U8(0, 1), 2, INFER_F32, F(0, 1));
    cast_to(INFER_U8, U8(0, 200), 2, INFER_BOOL, U8(0, 1));
    cast_to(INFER_F64, ((const double[]){0.1, 1e300}), 2, INFER_F32, F(0.1f, INFINITY));
    cast_to(INFER_F32, F(0.5f), 1, INFER_F64, ((const double[]){0.5}));
    run_op_init(&t, INFER_CAST);
    t.node.ints[0] = INFER_TEXT;
    run_op_input(&t, INFER_F32, SHAPE(1), F(0));
    run_op_expect_refused(&t, "no cast to type 9");
}

static void table_of_bytes(void **state)
{
    uint8_t lut[256];
    struct run_op t;

    (void)state;
    for (int i = 0; i < 256; i++)
        lut[i] = (uint8_t)(i * 7);
    run_op_init(&t, INFER_LUT8);
    run_op_input(&t, INFER_I8, SHAPE(3), I8(-128, 0, 127));
    run_op_input(&t, INFER_U8, SHAPE(256), lut);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(3), U8(0, (uint8_t)(128 * 7), (uint8_t)(255 * 7)));
    run_op_deinit(&t);
    t.tensors[0].type = INFER_U8;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(3), U8((uint8_t)(128 * 7), 0, (uint8_t)(127 * 7)));
    run_op_deinit(&t);
    t.tensors[1].shape = SHAPE(255);
    run_op_expect_refused(&t, "256");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_wrap),
        cmocka_unit_test(unary_values),
        cmocka_unit_test(any_broadcast),
        cmocka_unit_test(broadcasts_that_do_not_go),
        cmocka_unit_test(not_a_number_comes_through),
        cmocka_unit_test(clip),
        cmocka_unit_test(cast),
        cmocka_unit_test(table_of_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
