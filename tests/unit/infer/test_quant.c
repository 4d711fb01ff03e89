/* Small integers: by hand, and against plain sums at random shapes. */
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

static void quantize(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_QUANTIZE);
    t.node.ints[2] = INFER_U8;
    run_op_input(&t, INFER_F32, SHAPE(8), F(0, 1, 3, 5, 1000, -1000, NAN, -INFINITY)); /* half to even */
    run_op_input(&t, INFER_F32, SHAPE(), F(2));
    run_op_input(&t, INFER_U8, SHAPE(), U8(128));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(8), U8(128, 128, 130, 130, 255, 0, 128, 0));
    run_op_deinit(&t);

    run_op_init(&t, INFER_QUANTIZE); /* by the axis in the middle */
    t.node.ints[0] = 1;
    t.node.ints[2] = INFER_I8;
    run_op_input(&t, INFER_F32, SHAPE(1, 2, 2), F(1, 2, 1, -2));
    run_op_input(&t, INFER_F32, SHAPE(2), F(1, 0.5f));
    run_op_input(&t, INFER_I8, SHAPE(2), I8(0, 10));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I8, SHAPE(1, 2, 2), I8(1, 2, 12, 6));
    run_op_deinit(&t);
    t.tensors[2].shape = SHAPE(1);
    run_op_expect_refused(&t, "different shapes");
    t.tensors[2].shape = t.tensors[1].shape = SHAPE(3);
    run_op_expect_refused(&t, "it has to have 2");
    t.node.ints[2] = INFER_F32;
    run_op_expect_refused(&t, "nothing is quantised to type 1");

    run_op_init(&t, INFER_QUANTIZE); /* in blocks of 2 of 3 */
    t.node.ints[0] = 0;
    t.node.ints[1] = 2;
    t.node.ints[2] = INFER_I16;
    run_op_input(&t, INFER_F32, SHAPE(3, 2), F(100, 100, 100, 100, 100, 1e9f));
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(1, 2, 4, 5));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I16, SHAPE(3, 2), ((const int16_t[]){100, 50, 100, 50, 25, 32767}));
    run_op_deinit(&t);
    t.node.ints[1] = 3;
    run_op_expect_refused(&t, "blocks of 3");
    t.node.ints[1] = INT32_MAX;
    run_op_expect_refused(&t, "blocks of 2147483647");
}

static void int16_is_rounded_half_to_even_and_saturated(void **state)
{
    static const float odd[] = {0, -0.0F, 0.5F, 1.5F, -2.5F, 1e30F, -1e30F, INFINITY, -INFINITY, NAN};
    enum { N = 37 };
    struct rng rng = {16};

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        int16_t zero = (int16_t)((int)rng_below(&rng, 65536) - 32768), want[N];
        float scale = (float)(1 + rng_below(&rng, 64)) / 32, x[N];
        struct run_op t;

        for (size_t i = 0; i < N; i++) {
            double r;

            x[i] = rng_below(&rng, 4) == 0 ? odd[rng_below(&rng, sizeof odd / sizeof odd[0])]
                                           : ((float)rng_below(&rng, 200001) - 100000) / 16;
            r = isnan(x[i]) ? 0 : fmin(fmax(nearbyint((double)(x[i] / scale)), -1e6), 1e6);
            want[i] = (int16_t)fmin(fmax(r + zero, INT16_MIN), INT16_MAX);
        }
        run_op_init(&t, INFER_QUANTIZE);
        t.node.ints[2] = INFER_I16;
        run_op_input(&t, INFER_F32, SHAPE(N), x);
        run_op_input(&t, INFER_F32, SHAPE(), &scale);
        run_op_input(&t, INFER_I16, SHAPE(), &zero);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_I16, SHAPE(N), want);
        run_op_deinit(&t);
    }
}

static void dequantize(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_DEQUANTIZE);
    run_op_input(&t, INFER_U8, SHAPE(3), U8(0, 128, 255));
    run_op_input(&t, INFER_F32, SHAPE(), F(0.5f));
    run_op_input(&t, INFER_U8, SHAPE(), U8(128));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(3), F(-64, 0, 63.5f));
    run_op_deinit(&t);
    run_op_init(&t, INFER_DEQUANTIZE); /* a difference beyond int32 */
    run_op_input(&t, INFER_I32, SHAPE(1), I32(INT32_MIN));
    run_op_input(&t, INFER_F32, SHAPE(), F(1));
    run_op_input(&t, INFER_I32, SHAPE(), I32(INT32_MAX));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(1), F(-4294967295.0f));
    run_op_deinit(&t);
    run_op_init(&t, INFER_DEQUANTIZE);
    t.node.ints[0] = 1;
    run_op_input(&t, INFER_I8, SHAPE(2, 2), I8(1, 1, 2, 2));
    run_op_input(&t, INFER_F32, SHAPE(2), F(1, 10));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(1, 10, 2, 20));
    run_op_deinit(&t);
}

/* The example of the ONNX documentation, and values that are all 0. */
static void dynamic_quantize(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_DYNAMIC_QUANTIZE);
    t.node.n_outputs = 3;
    run_op_input(&t, INFER_F32, SHAPE(6), F(0, 2, -3, -2.5f, 1.34f, 0.5f));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(6), U8(153, 255, 0, 26, 221, 179));
    run_op_expect(&t, 1, INFER_F32, SHAPE(), F(0.0196078438f));
    run_op_expect(&t, 2, INFER_U8, SHAPE(), U8(153));
    run_op_deinit(&t);
    t.x[0] = F(0, 0, 0, 0, 0, 0);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(6), U8(0, 0, 0, 0, 0, 0));
    run_op_deinit(&t);
}

/* Two dimensions, stride 1, padding 1 around. */
static void convolutions_of_bytes(void **state)
{
    enum { C = 2, M = 3, SIDE = 4, K = 3 };
    struct rng rng = {6};
    uint8_t x[C * SIDE * SIDE], x_zero = 7, y_zero = 100, y[M * SIDE * SIDE];
    int8_t w[M * C * K * K], w_zero[M] = {1, -2, 3};
    int32_t sums[M * SIDE * SIDE], bias[M] = {10, -2000000000, 30};
    const float x_scale = 0.5f, y_scale = 4, w_scale[M] = {0.5f, 0.25f, 0.125f};
    struct run_op t;

    (void)state;
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = (uint8_t)rng_u64(&rng);
    for (size_t i = 0; i < sizeof w; i++)
        w[i] = (int8_t)rng_u64(&rng);
    for (int i = 0; i < M * SIDE * SIDE; i++) {
        int m = i / (SIDE * SIDE), oy = i / SIDE % SIDE, ox = i % SIDE;
        double v;

        sums[i] = 0;
        for (int k = 0; k < C * K * K; k++) {
            int c = k / (K * K), iy = oy + k / K % K - 1, ix = ox + k % K - 1;

            if (iy >= 0 && iy < SIDE && ix >= 0 && ix < SIDE)
                sums[i] += (x[(c * SIDE + iy) * SIDE + ix] - x_zero) * (w[m * C * K * K + k] - w_zero[m]);
        }
        v = rint((float)((int64_t)sums[i] + bias[m]) * (x_scale * w_scale[m] / y_scale)) + y_zero;
        y[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    run_op_init(&t, INFER_CONV_INTEGER);
    memcpy(t.node.ints, I32(1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1), 13 * sizeof(int32_t));
    run_op_input(&t, INFER_U8, SHAPE(1, C, SIDE, SIDE), x);
    run_op_input(&t, INFER_I8, SHAPE(M, C, K, K), w);
    run_op_input(&t, INFER_U8, SHAPE(), &x_zero);
    run_op_input(&t, INFER_I8, SHAPE(M), w_zero);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I32, SHAPE(1, M, SIDE, SIDE), sums);
    run_op_deinit(&t);
    t.tensors[3].type = INFER_U8;
    run_op_expect_refused(&t, "input 3");

    run_op_init(&t, INFER_QLINEAR_CONV);
    memcpy(t.node.ints, I32(1, 2, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1), 13 * sizeof(int32_t));
    run_op_input(&t, INFER_U8, SHAPE(1, C, SIDE, SIDE), x);
    run_op_input(&t, INFER_F32, SHAPE(), &x_scale);
    run_op_input(&t, INFER_U8, SHAPE(), &x_zero);
    run_op_input(&t, INFER_I8, SHAPE(M, C, K, K), w);
    run_op_input(&t, INFER_F32, SHAPE(M), w_scale);
    run_op_input(&t, INFER_I8, SHAPE(M), w_zero);
    run_op_input(&t, INFER_F32, SHAPE(), &y_scale);
    run_op_input(&t, INFER_U8, SHAPE(), &y_zero);
    run_op_input(&t, INFER_I32, SHAPE(M), bias);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_U8, SHAPE(1, M, SIDE, SIDE), y);
    run_op_deinit(&t);
    t.tensors[3].shape = SHAPE(M, 33026, 1, 1);
    t.tensors[0].shape = SHAPE(1, 33026, 1, 1);
    run_op_expect_refused(&t, "too great for int32");
}

static int8_t saturated(double v, int zero, int lowest)
{
    v = rint(v) + zero;
    return (int8_t)(v < lowest ? lowest : v > 127 ? 127 : v);
}

static void random_bytes(struct rng *rng, int8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (int8_t)rng_u64(rng);
}

static void dense(void **state)
{
    enum { N = 3, MAX_K = 200, MAX_M = 40 };
    static int8_t x[N * MAX_K], w[MAX_M * MAX_K], y[N * MAX_M];
    static float f[N * MAX_M], multiplier[MAX_M];
    static int32_t bias[MAX_M];
    struct rng rng = {7};

    (void)state;
    for (int round = 0; round < 300; round++) {
        uint32_t k = (uint32_t)rng_below(&rng, MAX_K), m = (uint32_t)rng_below(&rng, MAX_M);
        int zero = (int)rng_below(&rng, 256) - 128, lowest = rng_below(&rng, 2) ? zero : -128;
        struct run_op t;

        random_bytes(&rng, x, sizeof x);
        random_bytes(&rng, w, sizeof w);
        for (size_t i = 0; i < m; i++) {
            bias[i] = (int32_t)rng_below(&rng, 200001) - 100000;
            multiplier[i] = (float)rng_unit(&rng) * 0.003f;
        }
        for (size_t i = 0; i < (size_t)N * m; i++) {
            int32_t sum = bias[i % m];

            for (size_t p = 0; p < k; p++)
                sum += x[i / m * k + p] * w[i % m * k + p];
            f[i] = (float)sum * multiplier[i % m];
            y[i] = saturated(f[i], zero, lowest);
        }
        run_op_init(&t, INFER_DENSE_I8);
        t.node.ints[22] = zero;
        t.node.ints[23] = lowest;
        run_op_input(&t, INFER_I8, SHAPE(N, k), x);
        run_op_input(&t, INFER_I8, SHAPE(m, k), w);
        run_op_input(&t, INFER_I32, SHAPE(m), bias);
        run_op_input(&t, INFER_F32, SHAPE(m), multiplier);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_I8, SHAPE(N, m), y);
        run_op_deinit(&t);
        t.node.floats[0] = 1;
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(N, m), f);
        run_op_deinit(&t);
    }
}

static void conv1d(void **state)
{
    enum { N = 2, MAX_L = 12, MAX_C = 5, MAX_K = 4, MAX_M = 6 };
    static int8_t x[N * MAX_L * MAX_C], w[MAX_M * MAX_K * MAX_C], y[N * 40 * MAX_M];
    static float multiplier[MAX_M];
    static int32_t bias[MAX_M];
    struct rng rng = {8};
    int done = 0;

    (void)state;
    for (int round = 0; round < 1000; round++) {
        int l = 1 + (int)rng_below(&rng, MAX_L), c = 1 + (int)rng_below(&rng, MAX_C),
            k = 1 + (int)rng_below(&rng, MAX_K), m = 1 + (int)rng_below(&rng, MAX_M);
        int stride = 1 + (int)rng_below(&rng, 3), dilation = 1 + (int)rng_below(&rng, 3),
            pad = (int)rng_below(&rng, 4), end = (int)rng_below(&rng, 4),
            x_zero = (int)rng_below(&rng, 256) - 128;
        int room = l + pad + end - (k - 1) * dilation - 1, n_out = room / stride + 1;
        struct run_op t;

        random_bytes(&rng, x, sizeof x);
        random_bytes(&rng, w, sizeof w);
        for (int i = 0; i < m; i++) {
            bias[i] = (int32_t)rng_below(&rng, 2001) - 1000;
            multiplier[i] = (float)rng_unit(&rng) * 0.01f;
        }
        run_op_init(&t, INFER_CONV1D_I8);
        memcpy(t.node.ints, I32(stride, dilation, pad, end, x_zero), 5 * sizeof(int32_t));
        t.node.ints[22] = -3;
        t.node.ints[23] = -128;
        run_op_input(&t, INFER_I8, SHAPE(N, (uint32_t)l, (uint32_t)c), x);
        run_op_input(&t, INFER_I8, SHAPE((uint32_t)m, (uint32_t)k, (uint32_t)c), w);
        run_op_input(&t, INFER_I32, SHAPE((uint32_t)m), bias);
        run_op_input(&t, INFER_F32, SHAPE((uint32_t)m), multiplier);
        if (room < 0) {
            run_op_expect_refused(&t, "reaches over");
            continue;
        }
        for (int i = 0; i < N * n_out * m; i++) {
            int im = i % m, o = i / m % n_out, n = i / m / n_out;
            int32_t sum = bias[im];

            for (int p = 0; p < k * c; p++) {
                int at = o * stride + p / c * dilation - pad;

                sum += (at < 0 || at >= l ? x_zero : x[(n * l + at) * c + p % c]) * w[im * k * c + p];
            }
            y[i] = saturated((float)sum * multiplier[im], -3, -128);
        }
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_I8, SHAPE(N, (uint32_t)n_out, (uint32_t)m), y);
        run_op_deinit(&t);
        done++;
    }
    assert_true(done > 500);
}

static void sums_that_may_wrap_are_refused(void **state)
{
    static const int8_t bytes[131071];
    int32_t bias = 0;
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_DENSE_I8);
    run_op_input(&t, INFER_I8, SHAPE(1, 131071), bytes);
    run_op_input(&t, INFER_I8, SHAPE(1, 131071), bytes);
    run_op_input(&t, INFER_I32, SHAPE(1), &bias);
    run_op_input(&t, INFER_F32, SHAPE(1), F(1));
    assert_int_equal(run_op_check(&t), 0);
    bias = INT32_MIN;
    run_op_expect_refused(&t, "DenseI8: sums of 131071 products and a bias of -2147483648");
    bias = 0;
    t.tensors[2].constant = NULL;
    run_op_expect_refused(&t, "has to be a constant");
    t.tensors[2].constant = &bias;
    t.node.ints[23] = -129;
    run_op_expect_refused(&t, "setting 23");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize),
        cmocka_unit_test(int16_is_rounded_half_to_even_and_saturated),
        cmocka_unit_test(dequantize),
        cmocka_unit_test(dynamic_quantize),
        cmocka_unit_test(convolutions_of_bytes),
        cmocka_unit_test(dense),
        cmocka_unit_test(conv1d),
        cmocka_unit_test(sums_that_may_wrap_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
