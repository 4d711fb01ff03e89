/* For 64-bit ARM, where these vectors always are: products of bytes in 16 bits, added pairwise in 32. Float32
 * is the plain one, whose vectors are of four too. */
#include "infer/kernel_private.h"

#include <arm_neon.h>

enum { STEP = 16, OUTPUTS = 4 };

static inline int32x4_t add_dense(int32x4_t sums, int8x16_t w, int8x16_t x)
{
    sums = vpadalq_s16(sums, vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    return vpadalq_s16(sums, vmull_high_s8(w, x));
}

/* kernel_saturate of four: what is no number is 0, then the bounds. */
static inline int32x4_t saturate(float32x4_t v, int32_t zero, int32_t lowest)
{
    uint32x4_t number = vceqq_f32(v, v);

    v = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), number));
    v = vminq_f32(vmaxq_f32(v, vdupq_n_f32((float)(lowest - zero))), vdupq_n_f32((float)(127 - zero)));
    return vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(zero));
}

/* Four outputs from m on, of which n are there. */
static inline void put(int32x4_t sums, const struct kernel_requantize *q, size_t m, size_t n, int8_t *y,
                       float *y_f32)
{
    float scale[OUTPUTS] = {0}, floats[OUTPUTS];
    int32_t bytes[OUTPUTS];
    float32x4_t v;

    memcpy(scale, q->multiplier + m, n * sizeof *scale);
    v = vmulq_f32(vcvtq_f32_s32(sums), vld1q_f32(scale));
    if (y_f32 != NULL) {
        vst1q_f32(floats, v);
        memcpy(y_f32, floats, n * sizeof *floats);
        return;
    }
    vst1q_s32(bytes, saturate(v, q->zero, q->lowest));
    for (size_t i = 0; i < n; i++)
        y[i] = (int8_t)bytes[i];
}

/* x after whole vectors, in a vector that begins with it, zeros behind. */
static void dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    size_t rest = k_count % STEP, whole = k_count - rest;
    int8_t padded[STEP] = {0};
    int8x16_t tail;

    memcpy(padded, x + whole, rest);
    tail = vld1q_s8(padded);
    for (size_t m = 0; m < m_count; m += OUTPUTS) {
        size_t n = kernel_min(OUTPUTS, m_count - m);
        const int8_t *row[OUTPUTS];
        int32x4_t sums[OUTPUTS];
        int32_t begin[OUTPUTS] = {0};

        /* Rows that are not there are the last one again. */
        for (size_t r = 0; r < OUTPUTS; r++) {
            row[r] = w + (m + kernel_min(r, n - 1)) * k_count;
            sums[r] = vdupq_n_s32(0);
        }
        for (size_t k = 0; k < whole; k += STEP) {
            int8x16_t values = vld1q_s8(x + k);

            for (size_t r = 0; r < OUTPUTS; r++)
                sums[r] = add_dense(sums[r], vld1q_s8(row[r] + k), values);
        }
        for (size_t r = 0; r < OUTPUTS && rest != 0; r++) {
            memcpy(padded, row[r] + whole, rest);
            sums[r] = add_dense(sums[r], vld1q_s8(padded), tail);
        }
        memcpy(begin, bias + m, n * sizeof *begin);
        put(vaddq_s32(vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3])),
                      vld1q_s32(begin)),
            q, m, n, y == NULL ? NULL : y + m, y_f32 == NULL ? NULL : y_f32 + m);
    }
}

/* ---- convolution: each window is a row of x ---- */

static void prepare_i8(const int8_t *x, size_t n, void *to)
{
    memcpy(to, x, n);
}

static void pack_i8(const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count, void *packed)
{
    memcpy(packed, bias, m_count * sizeof *bias);
    memcpy((int32_t *)packed + m_count, w, m_count * k_count);
}

static void windows_i8(const void *x_prepared, size_t x_step, size_t n, const void *packed, size_t k_count,
                       size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    const int8_t *x = x_prepared;
    const int32_t *bias = packed;
    const int8_t *w = (const int8_t *)(bias + m_count);

    for (size_t l = 0; l < n; l++)
        dense_i8(x + l * x_step, w, bias, k_count, m_count, q, y == NULL ? NULL : y + l * m_count,
                 y_f32 == NULL ? NULL : y_f32 + l * m_count);
}

static void quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y)
{
    float values[OUTPUTS] = {0};
    int32_t bytes[OUTPUTS];

    for (size_t i = 0; i < n; i += OUTPUTS) {
        size_t part = kernel_min(OUTPUTS, n - i);

        memcpy(values, x + i, part * sizeof *values);
        vst1q_s32(bytes, saturate(vdivq_f32(vld1q_f32(values), vdupq_n_f32(scale)), zero, -128));
        for (size_t k = 0; k < part; k++)
            y[i + k] = (int8_t)bytes[k];
    }
}

const struct kernel_table kernel_neon = {
    .level = KERNEL_NEON,
    .name = "neon",
    .dense_i8 = dense_i8,
    .quantize_i8 = quantize_i8,
    .dense_f32 = kernel_plain_dense_f32,
    .x_bytes = sizeof(int8_t),
    .prepare_i8 = prepare_i8,
    .pack_i8 = pack_i8,
    .windows_i8 = windows_i8,
    .sweep_f32 = kernel_plain_sweep_f32,
    .sweep_positions = KERNEL_POSITIONS / 2,
};
