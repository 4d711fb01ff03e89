/* kernel_x86_body.h - the int8 kernels in vectors of 32 bytes, included by the file of each level.
 *
 * What the levels differ in:
 *   KERNEL_DOT undefined   16 products at a time: both sides widened to 16 bits, neighbours added in 32
 *   KERNEL_DOT(s, a, b)    32 products at a time of unsigned a and signed b, neighbouring fours added to s.
 * In dense layers the weights are made unsigned (w + 128) and 128 times the sum of x is taken off again; in
 * convolutions x is, and the biases hold the correction.
 *
 * Sums wrap in between, which the end undoes. */
#include "infer/kernel_private.h"

#include <immintrin.h>

/* ---- the end of a sum ---- */

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

/* kernel_saturate of eight: the same comparisons with the same side taken when there is no number. */
struct limits {
    __m256 low, high;
    __m256i zero;
};

static inline struct limits limits_of(int32_t zero, int32_t lowest)
{
    return (struct limits){_mm256_set1_ps((float)(lowest - zero)), _mm256_set1_ps((float)(127 - zero)),
                           _mm256_set1_epi32(zero)};
}

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

/* Where eight sums go: bytes, or floats when `floats`. */
struct sink {
    const float *multiplier;
    struct limits limits;
    bool floats;
    int8_t *y;
    float *y_f32;
};

/* Of outputs from m on n are there. A pointer to the sums, for a function that takes a long vector itself
 * leaves the upper halves of the registers in use, and all code after it that knows nothing of them gets
 * slow. */
__attribute__((noinline)) static void put(const struct sink *s, const __m256i *sums, size_t m, size_t at,
                                          size_t n)
{
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(*sums), load_floats(s->multiplier + m, n));

    if (s->floats)
        store_floats(s->y_f32 + at, v, n);
    else
        store_bytes(s->y + at, saturate(v, &s->limits), n);
}

static struct sink sink_of(const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    struct sink s = {.multiplier = q->multiplier, .floats = y_f32 != NULL, .y = y, .y_f32 = y_f32};

    s.limits = limits_of(q->zero, q->lowest);
    return s;
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

/* ---- dense ---- */

#ifdef KERNEL_DOT
enum { STEP = 32 };
typedef __m256i dense_x;

static inline dense_x load_x(const int8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline __m256i add_dense(__m256i sums, const int8_t *w, dense_x x)
{
    return KERNEL_DOT(
        sums, _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)w), _mm256_set1_epi8(INT8_MIN)), x);
}

/* What add_dense adds too much. */
static inline __m256i add_excess(__m256i sums, dense_x x)
{
    return KERNEL_DOT(sums, _mm256_set1_epi8(INT8_MIN), x);
}
#else
enum { STEP = 16 };
typedef __m256i dense_x;

static inline dense_x load_x(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

static inline __m256i add_dense(__m256i sums, const int8_t *w, dense_x x)
{
    return _mm256_add_epi32(sums,
                            _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)w)), x));
}

static inline __m256i add_excess(__m256i sums, dense_x x)
{
    (void)x;
    return sums;
}
#endif

/* What is left of x after whole vectors: in a vector that ends with x, or begins with it (in a row of less
 * than a vector); 0 elsewhere. */
struct tail {
    size_t n;
    dense_x at_end, at_begin;
    __m256i excess; /* of all of x, in every lane */
};

static struct tail tail_of(const int8_t *x, size_t k_count)
{
    struct tail t = {.n = k_count % STEP};
    int8_t padded[2 * STEP] = {0};
    __m256i excess = _mm256_setzero_si256();

    memcpy(padded + STEP, x + k_count - t.n, t.n);
    t.at_end = load_x(padded + t.n);
    t.at_begin = load_x(padded + STEP);
#ifdef KERNEL_DOT
    for (size_t k = 0; k + STEP <= k_count; k += STEP)
        excess = add_excess(excess, load_x(x + k));
    excess = add_excess(excess, t.at_begin);
    excess = _mm256_hadd_epi32(excess, excess);
    excess = _mm256_hadd_epi32(excess, excess);
    excess = _mm256_add_epi32(excess, _mm256_permute2x128_si256(excess, excess, 1));
#endif
    t.excess = excess;
    return t;
}

/* The tail of eight rows; there are `before` weights before w and `room` from it on. */
__attribute__((noinline)) static void add_tail(const struct tail *t, const int8_t *w, size_t before,
                                               size_t room, size_t k_count, const size_t row[KERNEL_BLOCK],
                                               __m256i v[KERNEL_BLOCK])
{
    int8_t copy[KERNEL_BLOCK * STEP + STEP];
    size_t last = row[KERNEL_BLOCK - 1], from = 0;
    dense_x x = t->at_begin;

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

static void dense_i8(const int8_t *x, const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count,
                     const struct kernel_requantize *q, int8_t *y, float *y_f32)
{
    size_t row[KERNEL_BLOCK];
    struct sink s;
    struct tail t;

#ifdef KERNEL_DOT
    /* Rows of less than a vector: its tail costs more than it saves. */
    if (k_count < STEP) {
        kernel_avx2.dense_i8(x, w, bias, k_count, m_count, q, y, y_f32);
        return;
    }
#endif
    s = sink_of(q, y, y_f32);
    t = tail_of(x, k_count);

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
            dense_x values = load_x(x + k);

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
        sums = _mm256_sub_epi32(_mm256_add_epi32(sums_of(v), load_ints(bias + m, n)), t.excess);
        put(&s, &sums, m, m, n);
    }
}

/* ---- convolution ---- */

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

static inline size_t block_ints(size_t k_count)
{
    return KERNEL_BLOCK + (k_count + GROUP - 1) / GROUP * KERNEL_BLOCK;
}

/* Four groups of eight rows: lanes of rows become lanes of groups. */
static void put_chunk(const int8_t *const rows[KERNEL_BLOCK], size_t n_groups, int32_t *to, __m256i *excess)
{
    __m256i a = load_chunks(rows[0], rows[4]), b = load_chunks(rows[1], rows[5]);
    __m256i c = load_chunks(rows[2], rows[6]), d = load_chunks(rows[3], rows[7]);
    __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d), groups[4];

    groups[0] = _mm256_unpacklo_epi64(ab, cd);
    groups[1] = _mm256_unpackhi_epi64(ab, cd);
    ab = _mm256_unpackhi_epi32(a, b);
    cd = _mm256_unpackhi_epi32(c, d);
    groups[2] = _mm256_unpacklo_epi64(ab, cd);
    groups[3] = _mm256_unpackhi_epi64(ab, cd);
    for (size_t i = 0; i < n_groups; i++) {
        _mm256_storeu_si256((__m256i *)(to + i * KERNEL_BLOCK), groups[i]);
        *excess = _mm256_add_epi32(*excess, excess_of(groups[i]));
    }
}

static void pack_i8(const int8_t *w, const int32_t *bias, size_t k_count, size_t m_count, void *packed)
{
    static const int8_t zeros[CHUNK];
    int32_t *to = packed;

    for (size_t m = 0; m < m_count; m += KERNEL_BLOCK, to += block_ints(k_count)) {
        size_t n = kernel_min(KERNEL_BLOCK, m_count - m);
        __m256i excess = _mm256_setzero_si256();

        for (size_t k = 0; k < k_count; k += CHUNK) {
            size_t part = kernel_min(CHUNK, k_count - k);
            const int8_t *rows[KERNEL_BLOCK];
            int8_t copies[KERNEL_BLOCK][CHUNK] = {{0}};

            for (size_t r = 0; r < KERNEL_BLOCK; r++) {
                rows[r] = r < n ? w + (m + r) * k_count + k : zeros;
                if (part < CHUNK && r < n) {
                    memcpy(copies[r], rows[r], part);
                    rows[r] = copies[r];
                }
            }
            put_chunk(rows, (part + GROUP - 1) / GROUP, to + KERNEL_BLOCK + k / GROUP * KERNEL_BLOCK,
                      &excess);
        }
        _mm256_storeu_si256((__m256i *)to, _mm256_sub_epi32(load_ints(bias + m, n), excess));
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
    struct sink s = sink_of(q, y, y_f32);

    for (size_t l = 0; l < n; l += WINDOWS, x += WINDOWS * x_step) {
        const int32_t *w = packed;
        size_t part = kernel_min(WINDOWS, n - l);

        for (size_t m = 0; m < m_count; m += 2 * KERNEL_BLOCK, w += 2 * ints) {
            bool both = m_count - m > KERNEL_BLOCK;
            __m256i sums[WINDOWS][2];

            conv_blocks(x, x_step, part, w, both ? ints : 0, n_groups, sums);
            for (size_t i = 0; i < part; i++) {
                put(&s, &sums[i][0], m, (l + i) * m_count + m, m_count - m);
                if (both)
                    put(&s, &sums[i][1], m + KERNEL_BLOCK, (l + i) * m_count + m + KERNEL_BLOCK,
                        m_count - m - KERNEL_BLOCK);
            }
        }
    }
}
