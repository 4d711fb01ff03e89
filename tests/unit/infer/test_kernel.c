/* The kernels: the plain ones do what kernel.h says, every other leaves the same bits. Each buffer is as long
 * as it must be, so that AddressSanitizer sees a step beyond. */
#include "infer/kernel_private.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

enum { ROUNDS = 1500 };

static const struct kernel_table *tables[KERNEL_LEVELS];
static size_t n_tables;

static int set_up(void **state)
{
    (void)state;
    for (unsigned level = 0; level < KERNEL_LEVELS; level++)
        if (kernel_at(level) != NULL)
            tables[n_tables++] = kernel_at(level);
    return 0;
}

/* Of so many bytes, `off` bytes behind an aligned address. */
struct room {
    void *all;
    void *at;
};

static struct room room_new(size_t bytes, size_t off)
{
    struct room r = {.all = malloc(bytes + off + (bytes + off == 0))};

    assert_non_null(r.all);
    memset(r.all, 0x5a, bytes + off);
    r.at = (char *)r.all + off;
    return r;
}

static void *scratch_new(size_t bytes)
{
    void *p = NULL;

    assert_int_equal(posix_memalign(&p, 64, bytes + (bytes == 0)), 0);
    memset(p, 0x77, bytes);
    return p;
}

static size_t a_size(struct rng *rng)
{
    switch (rng_below(rng, 6)) {
    case 0:
        return rng_below(rng, 300);
    case 1:
        return 16 * rng_below(rng, 9);
    default:
        return 1 + rng_below(rng, 40);
    }
}

static void some_bytes(int8_t *v, size_t n, struct rng *rng)
{
    uint64_t kind = rng_below(rng, 4);

    for (size_t i = 0; i < n; i++)
        v[i] = (int8_t)(kind == 0   ? -128
                        : kind == 1 ? (rng_below(rng, 2) == 0 ? -128 : 127)
                                    : (int64_t)rng_below(rng, 256) - 128);
}

static void some_floats(float *v, size_t n, struct rng *rng)
{
    static const float odd[] = {0, -0.0F, 1e-40F, -1e30F, 1e30F, 0.5F, 1.5F};
    uint64_t kind = rng_below(rng, 4);

    for (size_t i = 0; i < n; i++)
        v[i] = kind == 0 && rng_below(rng, 4) == 0 ? odd[rng_below(rng, sizeof odd / sizeof odd[0])]
                                                   : (float)rng_below(rng, 20001) / 7919 - 1.25F;
}

/* Mostly what brings sums into the range of a byte, some ties, some that are no numbers. */
static void some_multipliers(float *v, size_t n, struct rng *rng)
{
    static const float odd[] = {0, -1, 1e30F, 0.5F, 0.25F, INFINITY, NAN, 1e-40F};
    uint64_t kind = rng_below(rng, 4);

    for (size_t i = 0; i < n; i++)
        v[i] = kind == 0   ? odd[rng_below(rng, sizeof odd / sizeof odd[0])]
               : kind == 1 ? 0.0625F
                           : (float)(1 + rng_below(rng, 4000)) / 100000;
}

static struct kernel_requantize some_requantize(const float *multiplier, struct rng *rng)
{
    struct kernel_requantize q = {multiplier, (int32_t)rng_below(rng, 256) - 128, -128};

    if (rng_below(rng, 2) == 0)
        q.lowest = q.zero;
    return q;
}

static int8_t saturated(float v, int32_t zero, int32_t lowest)
{
    double r = isnan(v) ? zero : fmin(fmax(nearbyint((double)v), -1e6), 1e6) + zero;

    return (int8_t)fmin(fmax(r, lowest), 127);
}

/* ---- int8 ---- */

static void int8_dense_is_what_it_says_at_every_level(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t k_count = a_size(&rng), m_count = a_size(&rng), off = rng_below(&rng, 4);
        struct room x = room_new(k_count, off), w = room_new(k_count * m_count, off);
        struct room bias = room_new(4 * m_count, 0), scale = room_new(4 * m_count, 0);
        struct kernel_requantize q = some_requantize(scale.at, &rng);
        const int8_t *values = x.at, *weights = w.at;

        some_bytes(x.at, k_count, &rng);
        some_bytes(w.at, k_count * m_count, &rng);
        some_multipliers(scale.at, m_count, &rng);
        for (size_t m = 0; m < m_count; m++)
            ((int32_t *)bias.at)[m] = (int32_t)rng_below(&rng, 200001) - 100000;
        for (size_t t = 0; t < n_tables; t++) {
            struct room y = room_new(m_count, off), f = room_new(4 * m_count, 0);

            tables[t]->dense_i8(x.at, w.at, bias.at, k_count, m_count, &q, y.at, NULL);
            tables[t]->dense_i8(x.at, w.at, bias.at, k_count, m_count, &q, NULL, f.at);
            for (size_t m = 0; m < m_count; m++) {
                int64_t sum = ((const int32_t *)bias.at)[m];
                float v;

                for (size_t k = 0; k < k_count; k++)
                    sum += values[k] * weights[m * k_count + k];
                v = (float)sum * q.multiplier[m];
                if (((int8_t *)y.at)[m] != saturated(v, q.zero, q.lowest))
                    fail_msg("%s, round %u: %zu x %zu, output %zu: %d", tables[t]->name, round, m_count,
                             k_count, m, ((int8_t *)y.at)[m]);
                if (!isnan(v))
                    assert_memory_equal(&v, (float *)f.at + m, sizeof v);
            }
            free(y.all);
            free(f.all);
        }
        free(x.all);
        free(w.all);
        free(bias.all);
        free(scale.all);
    }
}

/* At most some hundred positions; windows may begin and end outside of x, even all of them. */
static struct kernel_conv1d some_conv(struct rng *rng)
{
    struct kernel_conv1d c = {.channels = 1 + rng_below(rng, rng_below(rng, 4) == 0 ? 40 : 9),
                              .length = 1 + rng_below(rng, 70),
                              .outputs = 1 + rng_below(rng, 36),
                              .kernel = 1 + rng_below(rng, 8),
                              .stride = 1 + rng_below(rng, rng_below(rng, 2) == 0 ? 1 : 4),
                              .dilation = 1 + rng_below(rng, rng_below(rng, 2) == 0 ? 1 : 3),
                              .pad_begin = rng_below(rng, rng_below(rng, 8) == 0 ? 100 : 6),
                              .x_zero = (int32_t)rng_below(rng, 256) - 128};

    c.n_out = rng_below(rng, 60);
    return c;
}

static float conv_i8_at(const struct kernel_conv1d *c, const int8_t *x, const int8_t *w, const int32_t *bias,
                        const float *multiplier, size_t l, size_t m)
{
    int64_t sum = bias[m];

    for (size_t t = 0; t < c->kernel; t++)
        for (size_t k = 0; k < c->channels; k++) {
            size_t p = l * c->stride + t * c->dilation;
            bool inside = p >= c->pad_begin && p - c->pad_begin < c->length;

            sum += (inside ? x[(p - c->pad_begin) * c->channels + k] : c->x_zero) *
                   w[(m * c->kernel + t) * c->channels + k];
        }
    return (float)sum * multiplier[m];
}

static void int8_convolution_is_what_it_says_at_every_level(void **state)
{
    struct rng rng = {2};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct kernel_conv1d c = some_conv(&rng);
        size_t n_w = c.outputs * c.kernel * c.channels, n_y = c.n_out * c.outputs, off = rng_below(&rng, 4);
        struct room x = room_new(c.length * c.channels, off), w = room_new(n_w, off);
        struct room bias = room_new(4 * c.outputs, 0), scale = room_new(4 * c.outputs, 0);
        struct kernel_requantize q = some_requantize(scale.at, &rng);

        some_bytes(x.at, c.length * c.channels, &rng);
        some_bytes(w.at, n_w, &rng);
        some_multipliers(scale.at, c.outputs, &rng);
        for (size_t m = 0; m < c.outputs; m++)
            ((int32_t *)bias.at)[m] = (int32_t)rng_below(&rng, 200001) - 100000;
        for (size_t t = 0; t < n_tables; t++) {
            struct room y = room_new(n_y, off), f = room_new(4 * n_y, 0);
            void *scratch = scratch_new(kernel_conv1d_i8_scratch_bytes(&c));

            kernel_conv1d_i8(tables[t], &c, x.at, w.at, bias.at, &q, y.at, NULL, scratch);
            kernel_conv1d_i8(tables[t], &c, x.at, w.at, bias.at, &q, NULL, f.at, scratch);
            for (size_t i = 0; i < n_y; i++) {
                float v = conv_i8_at(&c, x.at, w.at, bias.at, scale.at, i / c.outputs, i % c.outputs);

                if (((int8_t *)y.at)[i] != saturated(v, q.zero, q.lowest))
                    fail_msg("%s, round %u, output %zu: %d", tables[t]->name, round, i, ((int8_t *)y.at)[i]);
                if (!isnan(v))
                    assert_memory_equal(&v, (float *)f.at + i, sizeof v);
            }
            free(scratch);
            free(y.all);
            free(f.all);
        }
        free(x.all);
        free(w.all);
        free(bias.all);
        free(scale.all);
    }
}

static void floats_become_bytes_half_to_even_at_every_level(void **state)
{
    static const float odd[] = {NAN,   INFINITY, -INFINITY, 0.5F,   1.5F, 2.5F,
                                -0.5F, -1.5F,    1e30F,     -1e30F, -0.0F};
    struct rng rng = {3};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t n = a_size(&rng), off = rng_below(&rng, 4);
        struct room x = room_new(4 * n, 0);
        float scale = round % 3 == 0 ? 1 : (float)(1 + rng_below(&rng, 100)) / 777, *values = x.at;
        int32_t zero = (int32_t)rng_below(&rng, 256) - 128;

        for (size_t i = 0; i < n; i++)
            values[i] = rng_below(&rng, 3) == 0 ? odd[rng_below(&rng, sizeof odd / sizeof odd[0])]
                                                : (float)rng_below(&rng, 4001) / 16 - 125;
        for (size_t t = 0; t < n_tables; t++) {
            struct room y = room_new(n, off);

            tables[t]->quantize_i8(x.at, n, scale, zero, y.at);
            for (size_t i = 0; i < n; i++)
                if (((int8_t *)y.at)[i] != saturated(values[i] / scale, zero, -128))
                    fail_msg("%s, round %u: %g / %g", tables[t]->name, round, (double)values[i],
                             (double)scale);
            free(y.all);
        }
        free(x.all);
    }
}

/* ---- float32 ---- */

/* In the order that kernel_f32_body.h tells. */
static float dot_f32(const float *x, const float *w, size_t n)
{
    float s[8] = {0};
    size_t k = 0;

    for (; k + 8 <= n; k += 8)
        for (size_t i = 0; i < 8; i++)
            s[i] += w[k + i] * x[k + i];
    for (size_t i = k; i < n; i++)
        s[k == 0 ? i : 8 - (n - i)] += w[i] * x[i];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

static void float_dense_has_one_order_of_summing(void **state)
{
    struct rng rng = {4};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t k_count = a_size(&rng), m_count = a_size(&rng);
        struct room x = room_new(4 * k_count, 4), w = room_new(4 * k_count * m_count, 4);
        struct room bias = room_new(4 * m_count, 0);
        const float *b = round % 2 == 0 ? bias.at : NULL;

        some_floats(x.at, k_count, &rng);
        some_floats(w.at, k_count * m_count, &rng);
        some_floats(bias.at, m_count, &rng);
        for (size_t t = 0; t < n_tables; t++) {
            struct room y = room_new(4 * m_count, 4);

            tables[t]->dense_f32(x.at, w.at, b, k_count, m_count, y.at);
            for (size_t m = 0; m < m_count; m++) {
                float sum = dot_f32(x.at, (const float *)w.at + m * k_count, k_count);

                if (b != NULL)
                    sum += b[m];
                if (memcmp(&sum, (float *)y.at + m, sizeof sum) != 0)
                    fail_msg("%s, round %u: %zu x %zu, output %zu: %g, not %g", tables[t]->name, round,
                             m_count, k_count, m, (double)((float *)y.at)[m], (double)sum);
            }
            free(y.all);
        }
        free(x.all);
        free(w.all);
        free(bias.all);
    }
}

static float conv_f32_at(const struct kernel_conv1d *c, const float *x, const float *w, const float *bias,
                         size_t m, size_t l)
{
    float sum = bias == NULL ? 0 : bias[m];

    for (size_t k = 0; k < c->channels; k++)
        for (size_t t = 0; t < c->kernel; t++) {
            size_t p = l * c->stride + t * c->dilation;

            if (p >= c->pad_begin && p - c->pad_begin < c->length)
                sum += w[(m * c->channels + k) * c->kernel + t] * x[k * c->length + p - c->pad_begin];
        }
    return sum;
}

static float transpose_f32_at(const struct kernel_conv1d *c, const float *x, const float *w,
                              const float *bias, size_t m, size_t o)
{
    float sum = bias == NULL ? 0 : bias[m];

    for (size_t k = 0; k < c->channels; k++)
        for (size_t t = 0; t < c->kernel; t++)
            for (size_t i = 0; i < c->length; i++)
                if (i * c->stride + t * c->dilation == o + c->pad_begin)
                    sum += w[(k * c->outputs + m) * c->kernel + t] * x[k * c->length + i];
    return sum;
}

static void expect_convolution(bool transposed, uint64_t seed)
{
    struct rng rng = {seed};

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct kernel_conv1d c = some_conv(&rng);
        size_t n_w = c.outputs * c.kernel * c.channels, n_y = c.n_out * c.outputs;
        struct room x = room_new(4 * c.length * c.channels, 4), w = room_new(4 * n_w, 4);
        struct room bias = room_new(4 * c.outputs, 0);
        const float *b = round % 2 == 0 ? bias.at : NULL;

        some_floats(x.at, c.length * c.channels, &rng);
        some_floats(w.at, n_w, &rng);
        some_floats(bias.at, c.outputs, &rng);
        for (size_t t = 0; t < n_tables; t++) {
            struct room y = room_new(4 * n_y, 4);
            void *scratch = scratch_new(transposed ? kernel_conv1d_transpose_f32_scratch_bytes(&c)
                                                   : kernel_conv1d_f32_scratch_bytes(&c));

            if (transposed)
                kernel_conv1d_transpose_f32(tables[t], &c, x.at, w.at, b, y.at, scratch);
            else
                kernel_conv1d_f32(tables[t], &c, x.at, w.at, b, y.at, scratch);
            for (size_t i = 0; i < n_y; i++) {
                float v = (transposed ? transpose_f32_at : conv_f32_at)(&c, x.at, w.at, b, i / c.n_out,
                                                                        i % c.n_out);

                /* The same value: adding what is 0 may have made a zero of a negative one. */
                if (v != ((float *)y.at)[i] && !(isnan(v) && isnan(((float *)y.at)[i])))
                    fail_msg("%s, round %u, output %zu: %g, not %g", tables[t]->name, round, i,
                             (double)((float *)y.at)[i], (double)v);
            }
            free(scratch);
            free(y.all);
        }
        free(x.all);
        free(w.all);
        free(bias.all);
    }
}

static void float_convolution_has_one_order_of_summing(void **state)
{
    (void)state;
    expect_convolution(false, 5);
}

static void float_transposed_convolution_has_one_order_of_summing(void **state)
{
    (void)state;
    expect_convolution(true, 6);
}

static void the_one_in_use_is_the_best_unless_told(void **state)
{
    (void)state;
    assert_string_equal(kernel_at(KERNEL_PLAIN)->name, "plain");
    for (size_t t = 0; t < n_tables; t++)
        assert_true(kernel_best()->level >= tables[t]->level);
    kernel_use(KERNEL_PLAIN);
    assert_ptr_equal(kernel_best(), &kernel_plain);
    for (unsigned level = KERNEL_AVX2; level < KERNEL_LEVELS; level++) {
        const struct kernel_table *before = kernel_best();

        kernel_use(level);
        assert_ptr_equal(kernel_best(), kernel_at(level) == NULL ? before : kernel_at(level));
    }
}

static void scratch_that_no_memory_has_is_told(void **state)
{
    struct kernel_conv1d c = {.channels = SIZE_MAX / 8,
                              .length = 1,
                              .outputs = 16,
                              .n_out = 64,
                              .kernel = 7,
                              .stride = 1,
                              .dilation = 1};

    (void)state;
    assert_int_equal(kernel_conv1d_i8_scratch_bytes(&c), SIZE_MAX);
    assert_int_equal(kernel_conv1d_f32_scratch_bytes(&c), SIZE_MAX);
    assert_int_equal(kernel_conv1d_transpose_f32_scratch_bytes(&c), SIZE_MAX);
}

#ifdef __x86_64__
/* Are the upper halves of the long registers in use? Then code without AVX runs several times slower, on some
 * processors, until they are cleared. */
static bool uppers_are_in_use(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
    return (low & 4) != 0;
}

static bool uppers_can_be_asked_for(void)
{
    uint32_t a = 0, b, c, d;

    if (!__builtin_cpu_supports("avx2") || !__get_cpuid_count(0xd, 1, &a, &b, &c, &d) || (a & 4) == 0)
        return false;
    __asm__ volatile("vzeroupper");
    return !uppers_are_in_use();
}

static void no_kernel_leaves_long_registers_in_use(void **state)
{
    static const size_t sizes[][2] = {{64, 16}, {64, 13}, {37, 16}, {37, 13}, {5, 3}, {16, 8}};
    int8_t x_i8[256] = {1}, w_i8[2048] = {2}, y_i8[512];
    float x[256] = {1}, w[2048] = {2}, y[512], scale[16] = {1};
    int32_t bias[16] = {3};
    struct kernel_requantize q = {scale, 0, -128};
    struct kernel_conv1d c = {
        .channels = 3, .length = 20, .outputs = 13, .n_out = 20, .kernel = 3, .stride = 1, .dilation = 1};
    void *scratch = scratch_new(1 << 14);

    (void)state;
    if (!uppers_can_be_asked_for())
        skip();
    assert_true(kernel_conv1d_i8_scratch_bytes(&c) <= 1 << 14 &&
                kernel_conv1d_f32_scratch_bytes(&c) <= 1 << 14);
    for (size_t t = 0; t < n_tables; t++) {
        const struct kernel_table *k = tables[t];

        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            k->dense_i8(x_i8, w_i8, bias, sizes[i][0], sizes[i][1], &q, y_i8, NULL);
            assert_false(uppers_are_in_use());
            k->dense_i8(x_i8, w_i8, bias, sizes[i][0], sizes[i][1], &q, NULL, y);
            assert_false(uppers_are_in_use());
            k->dense_f32(x, w, scale, sizes[i][0], sizes[i][1], y);
            assert_false(uppers_are_in_use());
            k->quantize_i8(x, sizes[i][0], 0.5F, 0, y_i8);
            assert_false(uppers_are_in_use());
        }
        kernel_conv1d_i8(k, &c, x_i8, w_i8, bias, &q, y_i8, NULL, scratch);
        assert_false(uppers_are_in_use());
        kernel_conv1d_f32(k, &c, x, w, scale, y, scratch);
        assert_false(uppers_are_in_use());
    }
    free(scratch);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_dense_is_what_it_says_at_every_level),
        cmocka_unit_test(int8_convolution_is_what_it_says_at_every_level),
        cmocka_unit_test(floats_become_bytes_half_to_even_at_every_level),
        cmocka_unit_test(float_dense_has_one_order_of_summing),
        cmocka_unit_test(float_convolution_has_one_order_of_summing),
        cmocka_unit_test(float_transposed_convolution_has_one_order_of_summing),
        cmocka_unit_test(the_one_in_use_is_the_best_unless_told),
        cmocka_unit_test(scratch_that_no_memory_has_is_told),
#ifdef __x86_64__
        cmocka_unit_test(no_kernel_leaves_long_registers_in_use),
#endif
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
