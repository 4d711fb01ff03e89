/* The plain forms: what every other has to equal bit for bit. Written so that a compiler makes vectors of
 * them where it can. */
#include "infer/kernel_f32_body.h"

/* Rows of weights in a chunk of x, so that x is widened once. */
enum { CHUNK = 1024 };

static void widen(const int8_t *x, size_t n, int16_t *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = x[i];
}

static int32_t dot_wide(const int16_t *x, const int16_t *w, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (int32_t)x[i] * w[i];
    return sum;
}

static int32_t dot(const int16_t *x, const int8_t *w, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (int32_t)x[i] * (int16_t)w[i];
    return sum;
}

static int8_t requantize(int32_t sum, const struct kernel_requantize *q, size_t m)
{
    return kernel_saturate((float)sum * q->multiplier[m], q->zero, q->lowest);
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

static void dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y)
{
    int32_t sums[CHUNK];

    for (size_t m = 0; m < m_count; m += CHUNK) {
        size_t n = kernel_min(CHUNK, m_count - m);

        dense_sums(x, w + m * k_count, bias + m, k_count, n, sums);
        for (size_t i = 0; i < n; i++)
            y[m + i] = requantize(sums[i], q, m + i);
    }
}

static void dense_i8_f32(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count,
                         size_t m_count, const float *multiplier, float *y)
{
    int32_t sums[CHUNK];

    for (size_t m = 0; m < m_count; m += CHUNK) {
        size_t n = kernel_min(CHUNK, m_count - m);

        dense_sums(x, w + m * k_count, bias + m, k_count, n, sums);
        for (size_t i = 0; i < n; i++)
            y[m + i] = (float)sums[i] * multiplier[m + i];
    }
}

/* ---- convolution ---- */

typedef int16_t conv_x;

static void conv_prepare_x(const int8_t *x, size_t n, conv_x *to)
{
    widen(x, n, to);
}

static conv_x conv_value(int32_t x)
{
    return (conv_x)x;
}

/* The weights widened, row by row, behind the biases. */
static void conv_pack(const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count, void *packed)
{
    int32_t *to = packed;

    memcpy(to, bias, m_count * sizeof *bias);
    widen(w, m_count * k_count, (int16_t *)(to + m_count));
}

static void conv_windows(const conv_x *x, size_t x_step, size_t n, const void *packed, size_t k_count,
                         size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    const int32_t *bias = packed;
    const int16_t *w = (const int16_t *)(bias + m_count);

    for (size_t l = 0; l < n; l++)
        for (size_t m = 0; m < m_count; m++) {
            int32_t sum = bias[m] + dot_wide(x + l * x_step, w + m * k_count, k_count);

            if (y_f32 != NULL)
                y_f32[l * m_count + m] = (float)sum * q->multiplier[m];
            else
                y[l * m_count + m] = requantize(sum, q, m);
        }
}

#include "infer/kernel_conv_body.h"

static void quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = kernel_saturate(x[i] / scale, zero, -128);
}

const struct kernel_table kernel_plain = KERNEL_TABLE(KERNEL_PLAIN, "plain");
