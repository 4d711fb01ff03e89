/* kernel_private.h - the tables there are, and what their files share. Private to common/infer. */
#ifndef FOGLINE_INFER_KERNEL_PRIVATE_H
#define FOGLINE_INFER_KERNEL_PRIVATE_H

#include "infer/kernel.h"

#include <stdbool.h>
#include <string.h>

extern const struct kernel_table kernel_plain, kernel_avx2, kernel_avx_vnni, kernel_avx512,
    kernel_avx512_vnni, kernel_neon;

enum {
    KERNEL_BLOCK = 8,   /* outputs side by side in a vector */
    KERNEL_WINDOWS = 4, /* windows gathered at a time when they do not lie in one piece */
    KERNEL_SLACK_BYTES = 64,
    KERNEL_POSITIONS = 16, /* of float32, that a sweep does at most */
};

static inline size_t kernel_round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline size_t kernel_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- float32 ---- */

/* What one sum runs over: n_taps of each channel. Rows of x are x_row apart, tap t begins at x_at[t] in the
 * row of its channel; the weight of output m, channel c, tap t is w[m * w_output + c * w_channel + t *
 * w_tap]. */
struct kernel_sweep {
    size_t channels, x_row, w_output, w_channel, w_tap, n_taps;
    const size_t *x_at;
};

typedef void kernel_dense_f32_fn(const float *x, const float *w, const float *bias, size_t k_count,
                                 size_t m_count, float *y);
typedef void kernel_sweep_f32_fn(const struct kernel_sweep *s, const float *x, const float *w,
                                 const float *bias, size_t n_m, float *y, size_t y_row, size_t room);

/* Where another level has nothing better it takes these. */
kernel_dense_f32_fn kernel_plain_dense_f32, kernel_avx2_dense_f32;
kernel_sweep_f32_fn kernel_plain_sweep_f32, kernel_avx2_sweep_f32, kernel_avx512_sweep_f32;
void kernel_avx2_quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y);
void kernel_avx2_dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count,
                          size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32);

/* ---- int8 ---- */

/* Half to even, |v| < 2^22, without the instruction that older vector units lack. */
static inline int32_t kernel_round(float v)
{
    float sum = v + 0x1.8p23f, magic = 0x1.8p23f;
    int32_t bits, zero;

    memcpy(&bits, &sum, sizeof bits);
    memcpy(&zero, &magic, sizeof zero);
    return bits - zero;
}

/* What is less than a bound or more is the bound, what is no number is 0: in this order, which vector
 * instructions can follow. */
static inline int32_t kernel_saturate_to(float v, int32_t zero, int32_t lowest, int32_t highest)
{
    float low = (float)(lowest - zero), high = (float)(highest - zero);

    v = v == v ? v : 0;
    v = v > low ? v : low;
    v = v < high ? v : high;
    return kernel_round(v) + zero;
}

static inline int8_t kernel_saturate(float v, int32_t zero, int32_t lowest)
{
    return (int8_t)kernel_saturate_to(v, zero, lowest, INT8_MAX);
}

#endif
