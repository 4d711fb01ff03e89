/* kernel_loops.h - loops over elements that are worth vectors, in whatever the compiler makes of them for any
 * processor. The same bits everywhere: nothing is summed across elements. Sizes may be 0; y overlaps with no
 * input. Pure. */
#ifndef FOGLINE_INFER_KERNEL_LOOPS_H
#define FOGLINE_INFER_KERNEL_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/* y[i] += a * x[i] */
void kernel_add_row(float *y, float a, const float *x, size_t n);
/* y[i] = x[i] < 0 ? 0 : x[i] */
void kernel_relu_f32(const float *x, size_t n, float *y);
/* y[i] = (x[i] - zero) * scale */
void kernel_dequantize_i8(const int8_t *x, size_t n, float scale, int32_t zero, float *y);

#endif
