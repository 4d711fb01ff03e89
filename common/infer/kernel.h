/* kernel.h - the inner loops that are tuned: dense and 1-D convolution in int8 and float32.
 *
 * Chosen once per process by what the processor has (kernel.c). Every form gives the bits of the plain one:
 * integers by nature, floats because the order of summing is fixed (kernel_f32_body.h says which) and nothing
 * is fused. Sizes may be 0. No buffer needs an alignment, nothing is read or written outside of them. Pure,
 * no allocation, any thread. Trees: kernel_trees.h. */
#ifndef FOGLINE_INFER_KERNEL_H
#define FOGLINE_INFER_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum kernel_level { KERNEL_PLAIN = 0, KERNEL_AVX2, KERNEL_VNNI, KERNEL_NEON };
enum { KERNEL_LEVELS = 4 };

/* What becomes of sums: y = saturate(round half to even(sum * multiplier[m]) + zero, lowest, 127); a product
 * that is no number counts as 0. */
struct kernel_requantize {
    const float *multiplier;
    int32_t zero;   /* -128 .. 127 */
    int32_t lowest; /* -128 .. 127, or what Relu folds to */
};

/* A 1-D convolution of one sample (and of one group). What is outside of x counts as `x_zero` (int8) or 0.
 * Transposed: position i of x and tap k go to i * stride + k * dilation - pad_begin of y. */
struct kernel_conv1d {
    size_t channels, length; /* of x */
    size_t outputs, n_out;   /* channels and positions of y */
    size_t kernel, stride, dilation, pad_begin;
    int32_t x_zero;
};

struct kernel_sweep;

struct kernel_table {
    enum kernel_level level;
    const char *name; /* "avx2" */
    /* y[m] = requantized(bias[m] + sum over k of w[m * k_count + k] * x[k]); when y_f32 is not NULL
     * y_f32[m] = sum * multiplier[m] instead. |sums| stay below 2^31. */
    void (*dense_i8)(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y, float *y_f32);
    /* y[i] = saturate(round half to even(x[i] / scale) + zero); no number gives the zero. */
    void (*quantize_i8)(const float *x, size_t n, float scale, int32_t zero, int8_t *y);
    /* y[m] = sum of w[m * k_count + k] * x[k], then + bias[m]; bias NULL: nothing is added. */
    void (*dense_f32)(const float *x, const float *w, const float *bias, size_t k_count, size_t m_count,
                      float *y);

    /* ---- parts of the convolutions below (kernel_conv.c) ---- */

    size_t x_bytes; /* of a value of x in the form that windows_i8 wants */
    void (*prepare_i8)(const int8_t *x, size_t n, void *to);
    /* Biases and weights in the form that it wants. */
    void (*pack_i8)(const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count, void *packed);
    /* All outputs of n windows, each k_count values in one piece, x_step values apart. */
    void (*windows_i8)(const void *x, size_t x_step, size_t n, const void *packed, size_t k_count,
                       size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32);
    /* A block of sums: n_m outputs, KERNEL_SWEEP_OUTPUTS at most, by sweep_positions positions, `room` of
     * which may be written. */
    void (*sweep_f32)(const struct kernel_sweep *s, const float *x, const float *w, const float *bias,
                      size_t n_m, float *y, size_t y_row, size_t room);
    size_t sweep_positions;
};

/* x [length][channels], w [outputs][kernel][channels], y or y_f32 [n_out][outputs]; bias has the zero point
 * folded in. `scratch`: kernel_conv1d_i8_scratch_bytes, 64-byte aligned. */
void kernel_conv1d_i8(const struct kernel_table *k, const struct kernel_conv1d *c, const int8_t *x,
                      const int8_t *w, const int32_t *bias, const struct kernel_requantize *q, int8_t *y,
                      float *y_f32, void *scratch);
/* x [channels][length], w [outputs][channels][kernel], y [outputs][n_out], bias or NULL. `scratch`:
 * kernel_conv1d_f32_scratch_bytes, 64-byte aligned. */
void kernel_conv1d_f32(const struct kernel_table *k, const struct kernel_conv1d *c, const float *x,
                       const float *w, const float *bias, float *y, void *scratch);
/* the same, transposed, w [channels][outputs][kernel]; kernel_conv1d_transpose_f32_scratch_bytes. */
void kernel_conv1d_transpose_f32(const struct kernel_table *k, const struct kernel_conv1d *c, const float *x,
                                 const float *w, const float *bias, float *y, void *scratch);

/* The same for every level; SIZE_MAX when it is beyond size_t. */
size_t kernel_conv1d_i8_scratch_bytes(const struct kernel_conv1d *c);
size_t kernel_conv1d_f32_scratch_bytes(const struct kernel_conv1d *c);
size_t kernel_conv1d_transpose_f32_scratch_bytes(const struct kernel_conv1d *c);

/* The best this processor has; by level for tests and benches (NULL: not here). */
const struct kernel_table *kernel_best(void);
const struct kernel_table *kernel_at(enum kernel_level level);
/* kernel_best is `level` from now on, if it is here: for measurements, before any model runs. */
void kernel_use(enum kernel_level level);

#endif
