/* Compiled with -mavx2, hence nothing in here may run before kernel.c has asked the processor. */
#define KERNEL_EIGHT_LANES
#define KERNEL_F32(name) kernel_avx2_##name
#include "infer/kernel_f32_body.h"
#include "infer/kernel_x86_conv_body.h"

/* ---- sums to floats and bytes ---- */

static inline __m256 load_floats(const float *p, size_t n)
{
    return n >= KERNEL_BLOCK ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}

static inline void store_floats(float *p, __m256 v, size_t n)
{
    if (n >= KERNEL_BLOCK)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, first_lanes(n), v);
}

static inline void store_bytes(int8_t *p, uint64_t bytes, size_t n)
{
    if (n >= 8) {
        memcpy(p, &bytes, 8);
        return;
    }
    if (n & 4) {
        memcpy(p, &bytes, 4);
        p += 4;
        bytes >>= 32;
    }
    for (n &= 3; n > 0; n--, bytes >>= 8)
        *p++ = (int8_t)bytes;
}

static inline struct limits limits_of(int32_t zero, int32_t lowest)
{
    return (struct limits){_mm256_set1_ps((float)(lowest - zero)), _mm256_set1_ps((float)(127 - zero)),
                           _mm256_set1_epi32(zero)};
}

/* The same comparisons as in kernel_saturate, with the same side taken when there is no number. */
static inline uint64_t saturate(__m256 v, const struct limits *l)
{
    __m256i i;
    __m128i half;

    v = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
    v = _mm256_min_ps(_mm256_max_ps(v, l->low), l->high);
    i = _mm256_add_epi32(_mm256_cvtps_epi32(v), l->zero);
    half = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(half, half));
}

void kernel_avx2_put(const struct sink *s, const __m256i *sums, size_t m, size_t at, size_t n)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(*sums), load_floats(s->multiplier + m, n));

    if (s->floats)
        store_floats(s->y_f32 + at, v, n);
    else
        store_bytes(s->y + at, saturate(v, &s->limits), n);
}

struct sink kernel_avx2_sink(const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    struct sink s = {.multiplier = q->multiplier, .floats = y_f32 != NULL, .y = y, .y_f32 = y_f32};

    s.limits = limits_of(q->zero, q->lowest);
    return s;
}

void kernel_avx2_quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y)
{
    struct limits l = limits_of(zero, -128);

    for (size_t i = 0; i < n; i += KERNEL_BLOCK)
        store_bytes(y + i, saturate(_mm256_div_ps(load_floats(x + i, n - i), _mm256_set1_ps(scale)), &l),
                    n - i);
}

/* ---- dense in int8: 16 products at a time, both sides widened to 16 bits and neighbours added in 32 ---- */

enum { STEP = 16 };

static inline __m256i load_x(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

static inline __m256i add_dense(__m256i sums, const int8_t *w, __m256i x)
{
    return _mm256_add_epi32(sums,
                            _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)w)), x));
}

static inline __m256i add_pairs_i32(__m256i a, __m256i b)
{
    return _mm256_hadd_epi32(a, b);
}

/* Each vector's lanes added up. */
static inline __m256i sums_of(const __m256i v[KERNEL_BLOCK])
{
    __m256i low = add_pairs_i32(add_pairs_i32(v[0], v[1]), add_pairs_i32(v[2], v[3]));
    __m256i high = add_pairs_i32(add_pairs_i32(v[4], v[5]), add_pairs_i32(v[6], v[7]));

    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                            _mm256_permute2x128_si256(low, high, 0x31));
}

/* What is left of x after whole vectors: in a vector that ends with x, or begins with it (in a row of less
 * than a vector); 0 elsewhere. */
struct tail {
    size_t n;
    __m256i at_end, at_begin;
};

static struct tail tail_of(const int8_t *x, size_t k_count)
{
    struct tail t = {.n = k_count % STEP};
    int8_t padded[2 * STEP] = {0};

    memcpy(padded + STEP, x + k_count - t.n, t.n);
    t.at_end = load_x(padded + t.n);
    t.at_begin = load_x(padded + STEP);
    return t;
}

/* The tail of eight rows; there are `before` weights before w and `room` from it on. */
__attribute__((noinline)) static void add_tail(const struct tail *t, const int8_t *w, size_t before,
                                               size_t room, size_t k_count, const size_t row[KERNEL_BLOCK],
                                               __m256i v[KERNEL_BLOCK])
{
    int8_t copy[KERNEL_BLOCK * STEP + STEP];
    size_t last = row[KERNEL_BLOCK - 1], from = 0;
    __m256i x = t->at_begin;

    if (before + k_count >= STEP) {
        from = k_count - STEP;
        x = t->at_end;
    } else if (last + STEP > room) {
        memset(copy, 0, sizeof copy);
        memcpy(copy, w, last + k_count);
        w = copy;
    }
    for (size_t r = 0; r < KERNEL_BLOCK; r++)
        v[r] = add_dense(v[r], w + row[r] + from, x);
}

void kernel_avx2_dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count,
                          size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    struct sink s = kernel_avx2_sink(q, y, y_f32);
    struct tail t = tail_of(x, k_count);
    size_t row[KERNEL_BLOCK];

    for (size_t m = 0; m < m_count; m += KERNEL_BLOCK) {
        size_t n = kernel_min(KERNEL_BLOCK, m_count - m);
        const int8_t *from = w + m * k_count, *rows[KERNEL_BLOCK];
        __m256i v[KERNEL_BLOCK], sums;

        /* Rows that are not there are the last one again. */
        if (m == 0 || n < KERNEL_BLOCK)
            for (size_t r = 0; r < KERNEL_BLOCK; r++)
                row[r] = kernel_min(r, n - 1) * k_count;
#pragma GCC unroll 8
        for (size_t r = 0; r < KERNEL_BLOCK; r++) {
            rows[r] = from + row[r];
            v[r] = _mm256_setzero_si256();
        }
        for (size_t k = 0; k + STEP <= k_count; k += STEP) {
            __m256i values = load_x(x + k);

#pragma GCC unroll 8
            for (size_t r = 0; r < KERNEL_BLOCK; r++)
                v[r] = add_dense(v[r], rows[r] + k, values);
        }
        if (t.n != 0) {
            /* A copy, because what has an address is not kept in registers. */
            __m256i all[KERNEL_BLOCK];

            memcpy(all, v, sizeof all);
            add_tail(&t, from, m * k_count, (m_count - m) * k_count, k_count, row, all);
            memcpy(v, all, sizeof all);
        }
        sums = _mm256_add_epi32(sums_of(v), load_ints(bias + m, n));
        kernel_avx2_put(&s, &sums, m, m, n);
    }
}

const struct kernel_table kernel_avx2 = KERNEL_X86_TABLE(KERNEL_AVX2, "avx2", kernel_avx2_sweep_f32, 4);
const struct kernel_table kernel_avx512 =
    KERNEL_X86_TABLE(KERNEL_AVX512, "avx512", kernel_avx512_sweep_f32, 8);
