/* kernel.h - the inner loops that are tuned: dense and 1-D convolution in int8 and float32, and tree
 * ensembles.
 *
 * Chosen once per process by what the processor has (kernel.c); every integer form gives the bits of the
 * plain one. Pure, no allocation, any thread after kernel_init. */
#ifndef FOGLINE_INFER_KERNEL_H
#define FOGLINE_INFER_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum kernel_level { KERNEL_PLAIN = 0, KERNEL_AVX2, KERNEL_VNNI, KERNEL_NEON };

/* What becomes of sums: y = saturate(round half to even(sum * multiplier[m]) + zero, lowest, 127). */
struct kernel_requantize {
    const float *multiplier;
    int32_t zero;
    int32_t lowest; /* -128, or what Relu folds to */
};

struct kernel_table {
    enum kernel_level level;
    const char *name; /* "avx2" */
    /* y[m] = requantized(bias[m] + sum over k of w[m * k_count + k] * x[k]). |sums| stay below 2^31. */
    void (*dense_i8)(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y);
    /* the same, y[m] = sum * multiplier[m] in float32 */
    void (*dense_i8_f32)(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count,
                         size_t m_count, const float *multiplier, float *y);
    /* y[m] = bias[m] + sum of w[m * k_count + k] * x[k]; bias NULL: 0. The order of summing is the same at
     * each level (kernel_plain.c says which), so that these too are bit-equal. */
    void (*dense_f32)(const float *x, const float *w, const float *bias, size_t k_count, size_t m_count,
                      float *y);
};

/* The best this processor has; KERNEL_PLAIN etc. by kernel_at for tests and benches (NULL: not here). */
const struct kernel_table *kernel_best(void);
const struct kernel_table *kernel_at(enum kernel_level level);

#endif
