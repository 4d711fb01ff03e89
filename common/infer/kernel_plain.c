/* The plain forms: what every other has to equal bit for bit.
 *
 * The order of summing floats: eight sums, of the products k, k + 8, k + 16 ...; then ((s0 + s4) + (s2 + s6))
 * + ((s1 + s5) + (s3 + s7)); then the bias. */
#include "infer/kernel_private.h"

#include <math.h>

static int32_t dot_i8(const int8_t *x, const int8_t *w, size_t k_count, int32_t sum)
{
    for (size_t k = 0; k < k_count; k++)
        sum += (int32_t)x[k] * w[k];
    return sum;
}

static void dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y)
{
    for (size_t m = 0; m < m_count; m++)
        y[m] = kernel_requantize_one(dot_i8(x, w + m * k_count, k_count, bias[m]), q, m);
}

static void dense_i8_f32(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count,
                         size_t m_count, const float *multiplier, float *y)
{
    for (size_t m = 0; m < m_count; m++)
        y[m] = (float)dot_i8(x, w + m * k_count, k_count, bias[m]) * multiplier[m];
}

static void dense_f32(const float *x, const float *w, const float *bias, size_t k_count, size_t m_count,
                      float *y)
{
    for (size_t m = 0; m < m_count; m++, w += k_count) {
        float s[8] = {0};

        for (size_t k = 0; k < k_count; k++)
            s[k % 8] += w[k] * x[k];
        y[m] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
        if (bias != NULL)
            y[m] += bias[m];
    }
}

const struct kernel_table kernel_plain = {
    .level = KERNEL_PLAIN,
    .name = "plain",
    .dense_i8 = dense_i8,
    .dense_i8_f32 = dense_i8_f32,
    .dense_f32 = dense_f32,
};
