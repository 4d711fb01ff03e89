/* The plain forms: what every other has to equal bit for bit. Written so that a compiler makes vectors of
 * them where it can. */
#define KERNEL_F32(name) kernel_plain_##name
#include "infer/kernel_f32_body.h"

/* Rows of weights in a chunk of x, so that x is widened once. */
enum { CHUNK = 1024 };

static void widen(const int8_t *x, size_t n, int16_t *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = x[i];
}

static int32_t dot(const int16_t *x, const int8_t *w, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (int32_t)x[i] * (int16_t)w[i];
    return sum;
}

/* Sums in chunks of outputs that find room beside x. */
static void dense_sums(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t n,
                       int32_t *sums)
{
    int16_t wide[CHUNK];

    memcpy(sums, bias, n * sizeof *sums);
    for (size_t k = 0; k < k_count; k += CHUNK) {
        size_t part = kernel_min(CHUNK, k_count - k);

        widen(x + k, part, wide);
        for (size_t m = 0; m < n; m++)
            sums[m] += dot(wide, w + m * k_count + k, part);
    }
}

/* Into y_f32 when it is not NULL, else into y. */
static void put(int32_t sum, const struct kernel_requantize *q, size_t m, int8_t *y, float *y_f32)
{
    if (y_f32 != NULL)
        y_f32[m] = (float)sum * q->multiplier[m];
    else
        y[m] = kernel_saturate((float)sum * q->multiplier[m], q->zero, q->lowest);
}

static void dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    int32_t sums[CHUNK];

    for (size_t m = 0; m < m_count; m += CHUNK) {
        size_t n = kernel_min(CHUNK, m_count - m);

        dense_sums(x, w + m * k_count, bias + m, k_count, n, sums);
        for (size_t i = 0; i < n; i++)
            put(sums[i], q, m + i, y, y_f32);
    }
}

/* ---- convolution ---- */

static void prepare_i8(const int8_t *x, size_t n, void *to)
{
    widen(x, n, to);
}

static void pack_i8(const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count, void *packed)
{
    memcpy(packed, bias, m_count * sizeof *bias);
    memcpy((int32_t *)packed + m_count, w, m_count * k_count);
}

static void windows_i8(const void *x_prepared, size_t x_step, size_t n, const void *packed, size_t k_count,
                       size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    const int16_t *x = x_prepared;
    const int32_t *bias = packed;
    const int8_t *w = (const int8_t *)(bias + m_count);

    for (size_t l = 0; l < n; l++)
        for (size_t m = 0; m < m_count; m++)
            put(bias[m] + dot(x + l * x_step, w + m * k_count, k_count), q, m,
                y == NULL ? NULL : y + l * m_count, y_f32 == NULL ? NULL : y_f32 + l * m_count);
}

static void quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = kernel_saturate(x[i] / scale, zero, -128);
}

const struct kernel_table kernel_plain = {
    .level = KERNEL_PLAIN,
    .name = "plain",
    .dense_i8 = dense_i8,
    .quantize_i8 = quantize_i8,
    .dense_f32 = kernel_plain_dense_f32,
    .x_bytes = sizeof(int16_t),
    .prepare_i8 = prepare_i8,
    .pack_i8 = pack_i8,
    .windows_i8 = windows_i8,
    .sweep_f32 = kernel_plain_sweep_f32,
    .sweep_positions = 2 * LANES,
};
