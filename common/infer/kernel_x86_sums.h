/* kernel_x86_sums.h - where int8 kernels in vectors of 32 bytes put their sums, eight at a time: in
 * kernel_avx2.c for all levels. */
#ifndef FOGLINE_INFER_KERNEL_X86_SUMS_H
#define FOGLINE_INFER_KERNEL_X86_SUMS_H

#include "infer/kernel_private.h"

#include <immintrin.h>

/* Lanes below n. */
static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline __m256i load_ints(const int32_t *p, size_t n)
{
    return n >= KERNEL_BLOCK ? _mm256_loadu_si256((const __m256i *)p)
                             : _mm256_maskload_epi32(p, first_lanes(n));
}

/* kernel_saturate of eight. */
struct limits {
    __m256 low, high;
    __m256i zero;
};

/* Where eight sums go: bytes, or floats when `floats`. */
struct sink {
    const float *multiplier;
    struct limits limits;
    bool floats;
    int8_t *y;
    float *y_f32;
};

struct sink kernel_avx2_sink(const struct kernel_requantize *q, int8_t *y, float *y_f32);
/* Of outputs from m on n are there. A pointer to the sums, for a function that takes a long vector itself
 * leaves the upper halves of the registers in use, and all code after it that knows nothing of them gets
 * slow. */
void kernel_avx2_put(const struct sink *s, const __m256i *sums, size_t m, size_t at, size_t n);

#endif
