#include "infer/kernel_loops.h"

void kernel_add_row(float *restrict y, float a, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void kernel_relu_f32(const float *restrict x, size_t n, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void kernel_dequantize_i8(const int8_t *restrict x, size_t n, float scale, int32_t zero, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] - zero) * scale;
}
