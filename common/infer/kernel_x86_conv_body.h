/* kernel_x86_conv_body.h - int8 convolutions in vectors of 32 bytes, included by the file of each level.
 *
 * What the levels differ in:
 *   KERNEL_DOT undefined   16 products at a time: both sides widened to 16 bits, neighbours added in 32
 *   KERNEL_DOT(s, a, b)    32 products at a time of unsigned a and signed b, neighbouring fours added to s;
 *                          x is made unsigned (x + 128), and the biases hold the correction
 *
 * Sums wrap in between, which the end undoes. */
#include "infer/kernel_x86_sums.h"

/* A group is what a lane takes at a time: four bytes, neighbours in a row. The weights stand by block of
 * eight outputs; in a block its biases, then by group the eight outputs' four bytes. */
#ifdef KERNEL_DOT
typedef uint8_t conv_x;
enum { GROUP = 4, CHUNK = 16 };

static inline conv_x conv_value(int32_t x)
{
    return (conv_x)(x + 128);
}

static inline void store_values(conv_x *to, __m128i x)
{
    _mm_storeu_si128((__m128i *)to, _mm_xor_si128(x, _mm_set1_epi8(INT8_MIN)));
}

static inline __m256i load_chunks(const int8_t *a, const int8_t *b)
{
    return _mm256_loadu2_m128i((const __m128i *)b, (const __m128i *)a);
}

static inline __m256i add_group(__m256i sums, __m256i x, __m256i w)
{
    return KERNEL_DOT(sums, x, w);
}

static inline __m256i excess_of(__m256i w)
{
    return KERNEL_DOT(_mm256_setzero_si256(), _mm256_set1_epi8(INT8_MIN), w);
}
#else
typedef int16_t conv_x;
enum { GROUP = 2, CHUNK = 8 };

static inline conv_x conv_value(int32_t x)
{
    return (conv_x)x;
}

static inline void store_values(conv_x *to, __m128i x)
{
    _mm256_storeu_si256((__m256i *)to, _mm256_cvtepi8_epi16(x));
}

static inline __m256i load_chunks(const int8_t *a, const int8_t *b)
{
    return _mm256_cvtepi8_epi16(
        _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)a), _mm_loadl_epi64((const __m128i *)b)));
}

static inline __m256i add_group(__m256i sums, __m256i x, __m256i w)
{
    return _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
}

static inline __m256i excess_of(__m256i w)
{
    (void)w;
    return _mm256_setzero_si256();
}
#endif

static void prepare_i8(const int8_t *x, size_t n, void *prepared)
{
    conv_x *to = prepared;
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        store_values(to + i, _mm_loadu_si128((const __m128i *)(x + i)));
    for (; i < n; i++)
        to[i] = conv_value(x[i]);
}

/* Four groups of eight rows, n of which are wanted: lanes of rows become lanes of groups. */
static inline void put_chunk(const int8_t *const rows[KERNEL_BLOCK], size_t k, size_t n, __m256i *to,
                             __m256i *excess)
{
    __m256i a = load_chunks(rows[0] + k, rows[4] + k), b = load_chunks(rows[1] + k, rows[5] + k);
    __m256i c = load_chunks(rows[2] + k, rows[6] + k), d = load_chunks(rows[3] + k, rows[7] + k);
    __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d), groups[4];

    groups[0] = _mm256_unpacklo_epi64(ab, cd);
    groups[1] = _mm256_unpackhi_epi64(ab, cd);
    ab = _mm256_unpackhi_epi32(a, b);
    cd = _mm256_unpackhi_epi32(c, d);
    groups[2] = _mm256_unpacklo_epi64(ab, cd);
    groups[3] = _mm256_unpackhi_epi64(ab, cd);
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        if (i < n) {
            _mm256_storeu_si256(to + i, groups[i]);
            *excess = _mm256_add_epi32(*excess, excess_of(groups[i]));
        }
}

static void pack_i8(const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count, void *packed)
{
    __m256i *to = packed;

    for (size_t m = 0; m < m_count; m += KERNEL_BLOCK) {
        size_t n = kernel_min(KERNEL_BLOCK, m_count - m);
        __m256i excess = _mm256_setzero_si256(), *sums = to++;
        const int8_t *rows[KERNEL_BLOCK];
        int8_t last[KERNEL_BLOCK][CHUNK];

        /* Rows that are not there are the last one again. */
        for (size_t r = 0; r < KERNEL_BLOCK; r++)
            rows[r] = w + (m + kernel_min(r, n - 1)) * k_count;
        for (size_t k = 0, at = 0; k < k_count; k += CHUNK, at += CHUNK) {
            size_t part = kernel_min(CHUNK, k_count - k), n_groups = (part + GROUP - 1) / GROUP;

            if (part < CHUNK) {
                memset(last, 0, sizeof last);
                for (size_t r = 0; r < KERNEL_BLOCK; r++) {
                    memcpy(last[r], rows[r] + k, part);
                    rows[r] = last[r];
                }
                at = 0;
            }
            put_chunk(rows, at, n_groups, to, &excess);
            to += n_groups;
        }
        _mm256_storeu_si256(sums, _mm256_sub_epi32(load_ints(bias + m, n), excess));
    }
}

enum { WINDOWS = 4 };

/* Two blocks of eight outputs, the second `next` behind the first (0: there is none), of WINDOWS windows, of
 * which n are there: the others are the last one again. */
static void conv_blocks(const conv_x *x, size_t x_step, size_t n, const int32_t *w, size_t next,
                        size_t n_groups, __m256i ret_sums[WINDOWS][2])
{
    const conv_x *from[WINDOWS];
    __m256i sums[WINDOWS][2];

#pragma GCC unroll 4
    for (size_t i = 0; i < WINDOWS; i++) {
        from[i] = x + kernel_min(i, n - 1) * x_step;
        sums[i][0] = _mm256_loadu_si256((const __m256i *)w);
        sums[i][1] = _mm256_loadu_si256((const __m256i *)(w + next));
    }
    for (size_t g = 0; g < n_groups; g++) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(w += KERNEL_BLOCK));
        __m256i b = _mm256_loadu_si256((const __m256i *)(w + next));

#pragma GCC unroll 4
        for (size_t i = 0; i < WINDOWS; i++) {
            __m256i values;
            int32_t group;

            memcpy(&group, from[i] + g * GROUP, sizeof group);
            values = _mm256_set1_epi32(group);
            sums[i][0] = add_group(sums[i][0], values, a);
            sums[i][1] = add_group(sums[i][1], values, b);
        }
    }
    memcpy(ret_sums, sums, sizeof sums);
}

static void windows_i8(const void *x_prepared, size_t x_step, size_t n, const void *packed, size_t k_count,
                       size_t m_count, const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    const conv_x *x = x_prepared;
    size_t n_groups = (k_count + GROUP - 1) / GROUP, ints = (n_groups + 1) * KERNEL_BLOCK;
    struct sink s = kernel_avx2_sink(q, y, y_f32);

    for (size_t l = 0; l < n; l += WINDOWS, x += WINDOWS * x_step) {
        const int32_t *w = packed;
        size_t part = kernel_min(WINDOWS, n - l);

        for (size_t m = 0; m < m_count; m += 2 * KERNEL_BLOCK, w += 2 * ints) {
            bool both = m_count - m > KERNEL_BLOCK;
            __m256i sums[WINDOWS][2];

            conv_blocks(x, x_step, part, w, both ? ints : 0, n_groups, sums);
            for (size_t i = 0; i < part; i++) {
                kernel_avx2_put(&s, &sums[i][0], m, (l + i) * m_count + m, m_count - m);
                if (both)
                    kernel_avx2_put(&s, &sums[i][1], m + KERNEL_BLOCK, (l + i) * m_count + m + KERNEL_BLOCK,
                                    m_count - m - KERNEL_BLOCK);
            }
        }
    }
}

/* All but the convolutions is that of AVX2; what those of float32 sweep with, and how many outputs at a time,
 * differs. */
#define KERNEL_X86_TABLE(level_, name_, sweep, n_outputs)                                                    \
    {                                                                                                        \
        .level = (level_), .name = (name_), .dense_i8 = kernel_avx2_dense_i8,                                \
        .quantize_i8 = kernel_avx2_quantize_i8, .dense_f32 = kernel_avx2_dense_f32,                          \
        .x_bytes = sizeof(conv_x), .prepare_i8 = prepare_i8, .pack_i8 = pack_i8, .windows_i8 = windows_i8,   \
        .sweep_f32 = (sweep), .sweep_outputs = (n_outputs), .sweep_positions = KERNEL_POSITIONS,             \
    }
