/* kernel_loops.h - loops over elements that are worth vectors, in whatever the compiler makes of them for any
 * processor. The same bits everywhere: nothing is summed across lanes. Sizes may be 0; y overlaps with no
 * input. Pure. */
#ifndef FOGLINE_INFER_KERNEL_LOOPS_H
#define FOGLINE_INFER_KERNEL_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/* y[i] = x[i]: where code is made small, a copy in place would be an instruction that is slow to begin. */
void kernel_copy_f32(const float *x, size_t n, float *y);
/* y[i] += a * x[i] */
void kernel_add_row(float *y, float a, const float *x, size_t n);
/* y[i] = x[i] < 0 ? 0 : x[i] */
void kernel_relu_f32(const float *x, size_t n, float *y);
/* y[i] = (x[i] - zero) * scale */
void kernel_dequantize_i8(const int8_t *x, size_t n, float scale, int32_t zero, float *y);
/* y[column * rows + row] = x[row * columns + column] */
void kernel_transpose_8(const uint8_t *x, size_t rows, size_t columns, uint8_t *y);

/* sums[k] += x[k * apart + i * step] for each i < n in turn. There are n_lines, 1 to KERNEL_LINES; the sums
 * beyond them become anything. */
enum { KERNEL_LINES = 8 };
void kernel_add_lines(const float *x, size_t n, size_t step, size_t n_lines, size_t apart,
                      double sums[KERNEL_LINES]);

#endif
