/* kernel_private.h - the tables there are, and what their files share. Private to common/infer. */
#ifndef FOGLINE_INFER_KERNEL_PRIVATE_H
#define FOGLINE_INFER_KERNEL_PRIVATE_H

#include "infer/kernel.h"

#include <stdbool.h>
#include <string.h>

extern const struct kernel_table kernel_plain, kernel_avx2, kernel_avx_vnni, kernel_neon;

enum {
    KERNEL_BLOCK = 8,   /* outputs side by side in a vector */
    KERNEL_WINDOWS = 4, /* windows gathered at a time when they do not lie in one piece */
    KERNEL_SLACK_BYTES = 64,
    KERNEL_POSITIONS = 16, /* of float32, two vectors of the longest */
    KERNEL_SWEEP_OUTPUTS = 4,
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
 * row of its channel; the weight of output m, channel c, tap t is w[m * w_output + c * w_channel +
 * w_at[t]]. */
struct kernel_sweep {
    size_t channels, x_row, w_output, w_channel, n_taps;
    const size_t *x_at, *w_at;
};

#define KERNEL_F32_FUNCTIONS(level)                                                                          \
    void kernel_##level##_dense_f32(const float *x, const float *w, const float *bias, size_t k_count,       \
                                    size_t m_count, float *y);                                               \
    void kernel_##level##_sweep_f32(const struct kernel_sweep *s, const float *x, const float *w,            \
                                    const float *bias, size_t n_m, float *y, size_t y_row, size_t room)

/* Where another level has nothing better it takes these. */
KERNEL_F32_FUNCTIONS(plain);
KERNEL_F32_FUNCTIONS(avx2);
void kernel_avx2_quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y);

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
static inline int8_t kernel_saturate(float v, int32_t zero, int32_t lowest)
{
    float low = (float)(lowest - zero), high = (float)(127 - zero);

    v = v == v ? v : 0;
    v = v > low ? v : low;
    v = v < high ? v : high;
    return (int8_t)(kernel_round(v) + zero);
}

#endif
