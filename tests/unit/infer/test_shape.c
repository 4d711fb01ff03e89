/* Operators that copy, and those that reduce, against index arithmetic. */
#include "base/rng.h"
#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MAX = 65536 };
static float in[MAX], want[MAX];

#define F(...) ((const float[]){__VA_ARGS__})
#define I64(...) ((const int64_t[]){__VA_ARGS__})

static struct infer_shape random_shape(struct rng *rng, unsigned rank_min, unsigned dim_min)
{
    struct infer_shape s = {.rank = (uint8_t)(rank_min + rng_below(rng, INFER_RANK_MAX + 1 - rank_min))};

    for (unsigned i = 0; i < s.rank; i++)
        s.dim[i] = dim_min + (uint32_t)rng_below(rng, 5 - dim_min);
    return s;
}

static void coordinates(size_t flat, const struct infer_shape *s, size_t *at)
{
    for (unsigned i = s->rank; i-- > 0; flat /= s->dim[i])
        at[i] = flat % s->dim[i];
}

static size_t index_at(const struct infer_shape *s, const size_t *at)
{
    size_t flat = 0;

    for (unsigned i = 0; i < s->rank; i++)
        flat = flat * s->dim[i] + at[i];
    return flat;
}

static void number_all(struct rng *rng)
{
    for (size_t i = 0; i < MAX; i++)
        in[i] = (float)((int)rng_below(rng, 2001) - 1000) / 32;
}

static void transpose(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct infer_shape x = random_shape(&rng, 0, 0), y = x;
        size_t at_y[INFER_RANK_MAX], at_x[INFER_RANK_MAX];
        struct run_op t;

        number_all(&rng);
        run_op_init(&t, INFER_TRANSPOSE);
        for (unsigned i = 0; i < x.rank; i++)
            t.node.ints[i] = (int32_t)i;
        for (unsigned i = x.rank; i > 1; i--) {
            unsigned k = (unsigned)rng_below(&rng, i);
            int32_t swap = t.node.ints[k];

            t.node.ints[k] = t.node.ints[i - 1];
            t.node.ints[i - 1] = swap;
        }
        for (unsigned i = 0; i < x.rank; i++)
            y.dim[i] = x.dim[t.node.ints[i]];
        for (size_t i = 0; i < infer_shape_elements(&y); i++) {
            coordinates(i, &y, at_y);
            for (unsigned d = 0; d < x.rank; d++)
                at_x[t.node.ints[d]] = at_y[d];
            want[i] = in[index_at(&x, at_x)];
        }
        run_op_input(&t, INFER_F32, x, in);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, y, want);
        run_op_deinit(&t);
    }
}

/* The last two axes change places: what channels become. */
static void bytes_are_turned(void **state)
{
    static int8_t bytes[MAX], turned[MAX];
    struct rng rng = {7};

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct infer_shape x = {.rank = 3}, y;
        struct run_op t;
        uint32_t rows, columns;

        x.dim[0] = 1 + (uint32_t)rng_below(&rng, 3);
        x.dim[1] = rows = 1 + (uint32_t)rng_below(&rng, 18);
        x.dim[2] = columns = 1 + (uint32_t)rng_below(&rng, 18);
        y = SHAPE(x.dim[0], columns, rows);
        for (size_t i = 0; i < infer_shape_elements(&x); i++) {
            size_t c = i % columns, r = i / columns % rows, n = i / columns / rows;

            bytes[i] = (int8_t)((int)rng_below(&rng, 256) - 128);
            turned[(n * columns + c) * rows + r] = bytes[i];
        }
        run_op_init(&t, INFER_TRANSPOSE);
        t.node.ints[1] = 2;
        t.node.ints[2] = 1;
        run_op_input(&t, INFER_I8, x, bytes);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_I8, y, turned);
        run_op_deinit(&t);
    }
}

static void slice(void **state)
{
    struct rng rng = {2};

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct infer_shape x = random_shape(&rng, 0, 1), y = x;
        size_t at[INFER_RANK_MAX];
        struct run_op t;

        number_all(&rng);
        run_op_init(&t, INFER_SLICE);
        for (unsigned i = 0; i < x.rank; i++) {
            int32_t step = (int32_t)rng_below(&rng, 3) + 1, start = (int32_t)rng_below(&rng, x.dim[i]);
            int32_t most = ((int32_t)x.dim[i] - 1 - start) / step + 1;

            if (rng_below(&rng, 2)) {
                most = start / step + 1;
                step = -step;
            }
            t.node.ints[i] = start;
            t.node.ints[6 + i] = step;
            t.node.ints[12 + i] = (int32_t)rng_below(&rng, (uint64_t)most + 1);
            y.dim[i] = (uint32_t)t.node.ints[12 + i];
        }
        for (size_t i = 0; i < infer_shape_elements(&y); i++) {
            coordinates(i, &y, at);
            for (unsigned d = 0; d < x.rank; d++)
                at[d] = (size_t)(t.node.ints[d] + (int32_t)at[d] * t.node.ints[6 + d]);
            want[i] = in[index_at(&x, at)];
        }
        run_op_input(&t, INFER_F32, x, in);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, y, want);
        run_op_deinit(&t);
    }
}

static void pad(void **state)
{
    struct rng rng = {3};
    const float value = 77;

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct infer_shape x = random_shape(&rng, 0, 1), y;
        int mode = (int)rng_below(&rng, 3);
        size_t at[INFER_RANK_MAX];
        struct run_op t;

        for (unsigned i = 3; i < x.rank; i++)
            x.dim[i] = 1;
        number_all(&rng);
        run_op_init(&t, INFER_PAD);
        t.node.ints[0] = mode;
        y = x;
        for (unsigned i = 0; i < x.rank; i++) {
            uint64_t most = mode == 1 ? x.dim[i] : 3;

            t.node.ints[1 + i] = (int32_t)rng_below(&rng, most);
            t.node.ints[7 + i] = (int32_t)rng_below(&rng, most);
            y.dim[i] += (uint32_t)(t.node.ints[1 + i] + t.node.ints[7 + i]);
        }
        for (size_t i = 0; i < infer_shape_elements(&y); i++) {
            bool outside = false;

            coordinates(i, &y, at);
            for (unsigned d = 0; d < x.rank; d++) {
                int k = (int)at[d] - t.node.ints[1 + d], n = (int)x.dim[d];

                outside = outside || k < 0 || k >= n;
                if (k < 0)
                    k = mode == 1 ? -k : 0;
                if (k >= n)
                    k = mode == 1 ? n - 1 - (k - (n - 1)) : n - 1;
                at[d] = (size_t)k;
            }
            want[i] = mode == 0 && outside ? value : in[index_at(&x, at)];
        }
        run_op_input(&t, INFER_F32, x, in);
        run_op_input(&t, INFER_F32, SHAPE(), &value);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, y, want);
        run_op_deinit(&t);
    }
}

static void concat_and_gather(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_CONCAT);
    t.node.ints[0] = 1;
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(1, 2, 3, 4));
    run_op_input(&t, INFER_F32, SHAPE(2, 0), F(0));
    run_op_input(&t, INFER_F32, SHAPE(2, 1), F(5, 6));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 3), F(1, 2, 5, 3, 4, 6));
    run_op_deinit(&t);
    t.tensors[2].shape = SHAPE(1, 1);
    run_op_expect_refused(&t, "Concat: input 2 differs");
    t.node.inputs[1] = INFER_NONE;
    run_op_expect_refused(&t, "input 1 is missing");

    run_op_init(&t, INFER_GATHER);
    t.node.ints[0] = 1;
    run_op_input(&t, INFER_F32, SHAPE(2, 3), F(1, 2, 3, 4, 5, 6));
    run_op_input(&t, INFER_I64, SHAPE(2, 2), I64(0, -1, 99, -99));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2, 2), F(1, 3, 3, 1, 4, 6, 6, 4));
    run_op_deinit(&t);
    run_op_init(&t, INFER_GATHER);
    run_op_input(&t, INFER_F32, SHAPE(3, 2), F(1, 2, 3, 4, 5, 6));
    run_op_input(&t, INFER_I32, SHAPE(), ((const int32_t[]){1}));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2), F(3, 4));
    run_op_deinit(&t);
    t.tensors[0].shape = SHAPE(0, 2);
    run_op_expect_refused(&t, "axis 0 has no elements");
    t.tensors[0].shape = SHAPE(1, 1, 1, 1, 1, 1);
    t.tensors[1].shape = SHAPE(1, 1);
    run_op_expect_refused(&t, "7 dimensions");
}

static void reshape_and_refusals(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_RESHAPE);
    t.node.ints[0] = 2;
    t.node.ints[1] = 3;
    t.node.ints[2] = 2;
    run_op_input(&t, INFER_I64, SHAPE(2, 3), I64(1, 2, 3, 4, 5, 6));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(3, 2), I64(1, 2, 3, 4, 5, 6));
    run_op_deinit(&t);
    t.node.ints[2] = 3;
    run_op_expect_refused(&t, "6 elements");
    t.node.ints[2] = -1;
    run_op_expect_refused(&t, "dimension 1 of the output would be -1");
    t.node.ints[0] = 7;
    run_op_expect_refused(&t, "setting 0 is 7");
    run_op_init(&t, INFER_TRANSPOSE);
    run_op_input(&t, INFER_F32, SHAPE(2, 3), in);
    run_op_expect_refused(&t, "axis 0 stands twice");
    run_op_init(&t, INFER_SLICE);
    run_op_input(&t, INFER_F32, SHAPE(3), in);
    run_op_expect_refused(&t, "step of axis 0 is 0");
    t.node.ints[6] = INT32_MIN;
    t.node.ints[12] = INT32_MAX;
    run_op_expect_refused(&t, "leave axis 0");
    run_op_init(&t, INFER_PAD);
    run_op_input(&t, INFER_F32, SHAPE(3), in);
    t.node.ints[0] = 1;
    t.node.ints[7] = 3;
    run_op_expect_refused(&t, "too few to reflect 3");
    t.node.ints[0] = 0;
    t.node.ints[7] = INT32_MAX;
    run_op_expect_refused(&t, "dimension 0 of the output would be 2147483650");
}

static void softmax(void **state)
{
    const float x[6] = {1, 2, 3, 1000, 1000, -1000};
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_SOFTMAX);
    t.node.ints[0] = 1;
    run_op_input(&t, INFER_F32, SHAPE(2, 3), x);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 3), F(0.09003057f, 0.24472847f, 0.66524096f, 0.5f, 0.5f, 0));
    run_op_deinit(&t);
    t.node.op = INFER_LOG_SOFTMAX;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 3),
                  F(-2.4076059f, -1.4076059f, -0.40760596f, -0.69314718f, -0.69314718f, -2000.6931f));
    run_op_deinit(&t);
    t.node.op = INFER_SOFTMAX;
    t.node.ints[0] = 0;
    t.tensors[0].shape = SHAPE(3, 2);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(3, 2), F(0, 0, 0, 1, 1, 0));
    run_op_deinit(&t);
    t.node.ints[0] = 2;
    run_op_expect_refused(&t, "setting 0 is 2");
}

static void reductions(void **state)
{
    struct rng rng = {5};

    (void)state;
    for (int round = 0; round < 600; round++) {
        struct infer_shape x = random_shape(&rng, 0, 1), y = {0}, squeezed = {0};
        enum infer_op op = (enum infer_op)(INFER_REDUCE_MEAN + rng_below(&rng, 3));
        static double sum[MAX], most[MAX];
        size_t at[INFER_RANK_MAX], n_y, n;
        struct run_op t;

        number_all(&rng);
        run_op_init(&t, op);
        t.node.ints[0] = (int32_t)rng_below(&rng, 1U << x.rank);
        t.node.ints[1] = (int32_t)rng_below(&rng, 2);
        for (unsigned i = 0; i < x.rank; i++) {
            bool gone = t.node.ints[0] & 1 << i;

            if (!gone || t.node.ints[1])
                y.dim[y.rank++] = gone ? 1 : x.dim[i];
            squeezed.dim[squeezed.rank++] = gone ? 1 : x.dim[i];
        }
        n_y = infer_shape_elements(&y);
        n = infer_shape_elements(&x);
        for (size_t i = 0; i < n_y; i++) {
            sum[i] = 0;
            most[i] = -INFINITY;
        }
        for (size_t i = 0; i < n; i++) {
            size_t k;

            coordinates(i, &x, at);
            for (unsigned d = 0; d < x.rank; d++)
                at[d] = squeezed.dim[d] == 1 ? 0 : at[d];
            k = index_at(&squeezed, at);
            sum[k] += in[i];
            most[k] = in[i] > most[k] ? in[i] : most[k];
        }
        for (size_t i = 0; i < n_y; i++)
            want[i] = (float)(op == INFER_REDUCE_MAX    ? most[i]
                              : op == INFER_REDUCE_MEAN ? sum[i] / ((double)n / (double)n_y)
                                                        : sum[i]);
        run_op_input(&t, INFER_F32, x, in);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, y, want);
        run_op_deinit(&t);
    }
}

static void arg_max(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_ARG_MAX);
    t.node.ints[0] = 1;
    run_op_input(&t, INFER_F32, SHAPE(2, 3), F(1, 5, 5, 2, 1, 0));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(2), I64(1, 0));
    run_op_deinit(&t);
    t.node.ints[1] = t.node.ints[2] = 1;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(2, 1), I64(2, 0));
    run_op_deinit(&t);
    t.node.ints[0] = 0;
    t.node.ints[1] = 0;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(3), I64(1, 0, 0));
    run_op_deinit(&t);
    t.tensors[0].shape = SHAPE(0, 3);
    run_op_expect_refused(&t, "no elements");
    run_op_init(&t, INFER_REDUCE_MEAN);
    t.node.ints[0] = 1;
    run_op_input(&t, INFER_F32, SHAPE(0, 3), in);
    run_op_expect_refused(&t, "no elements");
    t.node.op = INFER_REDUCE_SUM;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(3), F(0, 0, 0));
    run_op_deinit(&t);
    t.node.ints[0] = 4;
    run_op_expect_refused(&t, "setting 0 is 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transpose),
        cmocka_unit_test(bytes_are_turned),
        cmocka_unit_test(slice),
        cmocka_unit_test(pad),
        cmocka_unit_test(concat_and_gather),
        cmocka_unit_test(reshape_and_refusals),
        cmocka_unit_test(softmax),
        cmocka_unit_test(reductions),
        cmocka_unit_test(arg_max),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
