/* Products of matrices against sums over indices, float32 and 8 bits. */
#include "base/rng.h"
#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MAX = 8192 };
static float a[MAX], b[MAX], c[MAX], want[MAX];

static void fill(struct rng *rng, float *to)
{
    for (size_t i = 0; i < MAX; i++)
        to[i] = (float)((int)rng_below(rng, 201) - 100) / 16;
}

static void gemm(void **state)
{
    struct rng rng = {3};

    (void)state;
    for (int round = 0; round < 600; round++) {
        uint32_t m = (uint32_t)rng_below(&rng, 6), n = (uint32_t)rng_below(&rng, 20),
                 k = (uint32_t)rng_below(&rng, 30);
        bool ta = rng_below(&rng, 2), tb = rng_below(&rng, 2), plain = rng_below(&rng, 2);
        float alpha = plain ? 1 : 0.5f, beta = plain ? 1 : -2;
        unsigned which = (unsigned)rng_below(&rng, 6);
        struct infer_shape shapes[5] = {SHAPE(n), SHAPE(1, n), SHAPE(m, 1), SHAPE(m, n), SHAPE()};
        size_t steps[5][2] = {{0, 1}, {0, 1}, {1, 0}, {n, 1}, {0, 0}};
        struct run_op t;

        fill(&rng, a);
        fill(&rng, b);
        fill(&rng, c);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;

                for (size_t p = 0; p < k; p++)
                    sum += (double)a[ta ? p * m + i : i * k + p] * b[tb ? j * k + p : p * n + j];
                want[i * n + j] =
                    (float)(alpha * sum +
                            (which < 5 ? beta * c[i * steps[which][0] + j * steps[which][1]] : 0));
            }
        run_op_init(&t, INFER_GEMM);
        t.node.ints[0] = ta;
        t.node.ints[1] = tb;
        t.node.floats[0] = alpha;
        t.node.floats[1] = beta;
        run_op_input(&t, INFER_F32, ta ? SHAPE(k, m) : SHAPE(m, k), a);
        run_op_input(&t, INFER_F32, tb ? SHAPE(n, k) : SHAPE(k, n), b);
        if (which < 5)
            run_op_input(&t, INFER_F32, shapes[which], c);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(m, n), want);
        run_op_deinit(&t);
    }
}

static void gemm_refuses(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_GEMM);
    run_op_input(&t, INFER_F32, SHAPE(2, 3), a);
    run_op_input(&t, INFER_F32, SHAPE(2, 3), b);
    run_op_expect_refused(&t, "Gemm: the first matrix has 3 columns, the second 2 rows");
    t.node.ints[1] = 1;
    run_op_input(&t, INFER_F32, SHAPE(3), c);
    run_op_expect_refused(&t, "broadcast to 2 x 2");
    t.tensors[2].shape = SHAPE(1, 2, 2);
    run_op_expect_refused(&t, "broadcast to 2 x 2");
    t.tensors[2].shape = SHAPE(2);
    t.tensors[1].type = INFER_F64;
    run_op_expect_refused(&t, "input 1 is of type float64, it has to be of float32");
}

/* One pair of ranks; 8 bits when y_type is I32 or, requantised, I8. */
static void one_matmul(struct rng *rng, unsigned rank_a, unsigned rank_b, enum infer_type y_type)
{
    uint32_t m = 1 + (uint32_t)rng_below(rng, 4), k = 1 + (uint32_t)rng_below(rng, 5),
             n = 1 + (uint32_t)rng_below(rng, 4);
    struct infer_shape sa = {.rank = (uint8_t)rank_a}, sb = {.rank = (uint8_t)rank_b}, y = {0};
    unsigned batch = rank_a > rank_b ? rank_a : rank_b;
    size_t n_y, row_a, column_b;
    static uint8_t bytes_a[MAX], bytes_b[MAX], a_zero, b_zero[8];
    static int32_t integers[MAX];
    static int8_t small[MAX], y_zero = 3;
    static float b_scale[8], a_scale = 0.5f, y_scale = 8;
    struct run_op t;

    batch = batch > 2 ? batch - 2 : 0;
    for (unsigned i = 0; i < batch; i++) {
        uint32_t d = 1 + (uint32_t)rng_below(rng, 3);
        unsigned from_end = batch - i + 2;
        bool in_a = from_end <= rank_a, in_b = from_end <= rank_b;

        if (in_a)
            sa.dim[rank_a - from_end] = in_b && rng_below(rng, 3) == 0 ? 1 : d;
        if (in_b)
            sb.dim[rank_b - from_end] =
                in_a && sa.dim[rank_a - from_end] == d && rng_below(rng, 3) == 0 ? 1 : d;
        y.dim[y.rank++] = d;
    }
    sa.dim[rank_a - 1] = k;
    if (rank_a > 1)
        y.dim[y.rank++] = sa.dim[rank_a - 2] = m;
    sb.dim[rank_b - (rank_b > 1 ? 2 : 1)] = k;
    if (rank_b > 1)
        y.dim[y.rank++] = sb.dim[rank_b - 1] = n;
    row_a = rank_a > 1 ? m : 1;
    column_b = rank_b > 1 ? n : 1;
    n_y = infer_shape_elements(&y);
    fill(rng, a);
    fill(rng, b);
    for (size_t i = 0; i < MAX; i++) {
        bytes_a[i] = (uint8_t)rng_u64(rng);
        bytes_b[i] = (uint8_t)rng_u64(rng);
    }
    a_zero = (uint8_t)rng_u64(rng);
    for (size_t i = 0; i < 8; i++) {
        b_zero[i] = (uint8_t)rng_u64(rng);
        b_scale[i] = 0.001f * (float)(1 + rng_below(rng, 9));
    }
    for (size_t i = 0; i < n_y; i++) {
        size_t j = i % column_b, row = i / column_b % row_a, rest = i / column_b / row_a, ba = 0, bb = 0;
        size_t at[INFER_RANK_MAX];
        double sum = 0;
        int32_t exact = 0;

        for (unsigned d = batch; d-- > 0; rest /= y.dim[d])
            at[d] = rest % y.dim[d];
        for (unsigned d = 0; d < batch; d++) {
            unsigned from_end = batch - d + 2;

            if (from_end <= rank_a)
                ba = ba * sa.dim[rank_a - from_end] + (sa.dim[rank_a - from_end] == 1 ? 0 : at[d]);
            if (from_end <= rank_b)
                bb = bb * sb.dim[rank_b - from_end] + (sb.dim[rank_b - from_end] == 1 ? 0 : at[d]);
        }
        for (size_t p = 0; p < k; p++) {
            size_t ia = (ba * row_a + row) * k + p, ib = (bb * k + p) * column_b + j;

            sum += (double)a[ia] * b[ib];
            exact += (bytes_a[ia] - a_zero) * ((int8_t)bytes_b[ib] - (int8_t)b_zero[j]);
        }
        want[i] = (float)sum;
        integers[i] = exact;
        sum = rint((float)exact * (0.5f * b_scale[j] / 8)) + 3;
        small[i] = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);
    }
    run_op_init(&t, y_type == INFER_F32   ? INFER_MATMUL
                    : y_type == INFER_I32 ? INFER_MATMUL_INTEGER
                                          : INFER_QLINEAR_MATMUL);
    run_op_input(&t, y_type == INFER_F32 ? INFER_F32 : INFER_U8, sa,
                 y_type == INFER_F32 ? (const void *)a : bytes_a);
    if (y_type == INFER_I8) {
        run_op_input(&t, INFER_F32, SHAPE(), &a_scale);
        run_op_input(&t, INFER_U8, SHAPE(), &a_zero);
    }
    run_op_input(&t, y_type == INFER_F32 ? INFER_F32 : INFER_I8, sb,
                 y_type == INFER_F32 ? (const void *)b : bytes_b);
    if (y_type == INFER_I8)
        run_op_input(&t, INFER_F32, SHAPE((uint32_t)column_b), b_scale);
    if (y_type == INFER_I32)
        run_op_input(&t, INFER_U8, SHAPE(1), &a_zero);
    if (y_type != INFER_F32)
        run_op_input(&t, INFER_I8, SHAPE((uint32_t)column_b), b_zero);
    if (y_type == INFER_I8) {
        run_op_input(&t, INFER_F32, SHAPE(1), &y_scale);
        run_op_input(&t, INFER_I8, SHAPE(1), &y_zero);
    }
    run_op_run(&t);
    run_op_expect(&t, 0, y_type, y,
                  y_type == INFER_F32   ? (const void *)want
                  : y_type == INFER_I32 ? (const void *)integers
                                        : (const void *)small);
    run_op_deinit(&t);
}

static void matmul(void **state)
{
    struct rng rng = {4};

    (void)state;
    for (int round = 0; round < 20; round++)
        for (unsigned ra = 1; ra <= 5; ra++)
            for (unsigned rb = 1; rb <= 5; rb++) {
                one_matmul(&rng, ra, rb, INFER_F32);
                one_matmul(&rng, ra, rb, INFER_I32);
                one_matmul(&rng, ra, rb, INFER_I8);
            }
}

static void sums_that_may_wrap_are_refused(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_MATMUL_INTEGER);
    run_op_input(&t, INFER_U8, SHAPE(1, 33025), a);
    run_op_input(&t, INFER_U8, SHAPE(33025, 1), a);
    assert_int_equal(run_op_check(&t), 0);
    t.tensors[0].shape.dim[1] = t.tensors[1].shape.dim[0] = 33026;
    run_op_expect_refused(&t, "too great for int32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm),
        cmocka_unit_test(gemm_refuses),
        cmocka_unit_test(matmul),
        cmocka_unit_test(sums_that_may_wrap_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
