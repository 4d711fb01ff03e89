/* check_kernel.c - do the kernels of inference leave the same bits on this processor as everywhere? Exit code
 * 0: every level that it has gives the golden digests. */
#include "infer/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { X_MAX = 4096, W_MAX = 16384, Y_MAX = 4096, OUTPUTS_MAX = 64, DENSE = 40, CONV = 40 };

static const uint64_t golden_int8 = UINT64_C(0xd817d5d837147cff),
                      golden_float32 = UINT64_C(0xc2850e006ca72d93);

static int8_t x_i8[X_MAX], w_i8[W_MAX], y_i8[Y_MAX];
static float x_f32[X_MAX], w_f32[W_MAX], y_f32[Y_MAX], multiplier[OUTPUTS_MAX], bias_f32[OUTPUTS_MAX];
static int32_t bias[OUTPUTS_MAX];
static uint64_t state;

/* Knuth's MMIX generator. */
static uint32_t below(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static void fill(void)
{
    state = 1;
    for (size_t i = 0; i < W_MAX; i++) {
        w_i8[i] = (int8_t)below(256);
        w_f32[i] = (float)below(20001) / 7919 - 1.25F;
    }
    for (size_t i = 0; i < X_MAX; i++) {
        x_i8[i] = (int8_t)below(256);
        x_f32[i] = (float)below(20001) / 7919 - 1.25F;
    }
    for (size_t i = 0; i < OUTPUTS_MAX; i++) {
        multiplier[i] = (float)(1 + below(4000)) / 400000;
        bias_f32[i] = (float)below(2001) / 1000 - 1;
        bias[i] = (int32_t)below(20001) - 10000;
    }
}

/* FNV-1a */
static uint64_t digest(uint64_t h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
    return h;
}

static struct kernel_conv1d a_convolution(void)
{
    struct kernel_conv1d c = {.channels = 1 + below(16),
                              .length = 1 + below(40),
                              .outputs = 1 + below(20),
                              .n_out = 1 + below(40),
                              .kernel = 1 + below(8),
                              .stride = 1 + below(3),
                              .dilation = 1 + below(2),
                              .pad_begin = below(5),
                              .x_zero = (int32_t)below(256) - 128};

    return c;
}

static void *scratch_for(const struct kernel_conv1d *c)
{
    size_t bytes[] = {kernel_conv1d_i8_scratch_bytes(c), kernel_conv1d_f32_scratch_bytes(c),
                      kernel_conv1d_transpose_f32_scratch_bytes(c)};
    size_t most = 64;
    void *p = NULL;

    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        most = bytes[i] > most ? bytes[i] : most;
    if (posix_memalign(&p, 64, most) != 0)
        abort();
    return p;
}

static void run_dense(const struct kernel_table *k, uint64_t *int8, uint64_t *float32)
{
    for (unsigned i = 0; i < DENSE; i++) {
        size_t k_count = below(200), m_count = 1 + below(OUTPUTS_MAX);
        struct kernel_requantize q = {multiplier, (int32_t)below(256) - 128, -128};

        k->dense_i8(x_i8, w_i8, bias, k_count, m_count, &q, y_i8, NULL);
        *int8 = digest(*int8, y_i8, m_count);
        k->dense_i8(x_i8, w_i8, bias, k_count, m_count, &q, NULL, y_f32);
        *int8 = digest(*int8, y_f32, m_count * sizeof *y_f32);
        k->quantize_i8(x_f32, k_count, 0.013F, q.zero, y_i8);
        *int8 = digest(*int8, y_i8, k_count);
        k->dense_f32(x_f32, w_f32, bias_f32, k_count, m_count, y_f32);
        *float32 = digest(*float32, y_f32, m_count * sizeof *y_f32);
    }
}

static void run_convolutions(const struct kernel_table *k, uint64_t *int8, uint64_t *float32)
{
    for (unsigned i = 0; i < CONV; i++) {
        struct kernel_conv1d c = a_convolution();
        struct kernel_requantize q = {multiplier, (int32_t)below(256) - 128, -128};
        size_t n = c.n_out * c.outputs;
        void *scratch = scratch_for(&c);

        kernel_conv1d_i8(k, &c, x_i8, w_i8, bias, &q, y_i8, NULL, scratch);
        *int8 = digest(*int8, y_i8, n);
        kernel_conv1d_f32(k, &c, x_f32, w_f32, bias_f32, y_f32, scratch);
        *float32 = digest(*float32, y_f32, n * sizeof *y_f32);
        kernel_conv1d_transpose_f32(k, &c, x_f32, w_f32, bias_f32, y_f32, scratch);
        *float32 = digest(*float32, y_f32, n * sizeof *y_f32);
        free(scratch);
    }
}

int main(void)
{
    int status = 0;

    for (unsigned level = 0; level < KERNEL_LEVELS; level++) {
        const struct kernel_table *k = kernel_at(level);
        uint64_t int8 = 0, float32 = 0;

        if (k == NULL)
            continue;
        fill();
        run_dense(k, &int8, &float32);
        run_convolutions(k, &int8, &float32);
        printf("%s: int8 %016llx, float32 %016llx\n", k->name, (unsigned long long)int8,
               (unsigned long long)float32);
        if (int8 != golden_int8 || float32 != golden_float32)
            status = 1;
    }
    if (status != 0)
        printf("golden: int8 %016llx, float32 %016llx\n", (unsigned long long)golden_int8,
               (unsigned long long)golden_float32);
    return status;
}
