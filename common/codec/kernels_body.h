/* kernels_body.h - see kernels.h. Included once by each kernels_*.c, which names its table. */
#include "codec/kernels.h"

#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Adding it pushes the fraction out of a double below 2^51 in size, rounded to nearest, and leaves the
 * integer in the low bits: both in plain arithmetic that compilers turn into vectors. */
#define MAGIC 0x1.8p52
#define DECIMAL_INTEGER_MAX (INT64_C(1) << 51)

typedef uint64_t lanes __attribute__((vector_size(32)));

static inline uint64_t kernel_bits(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double kernel_double(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* a / b for whole |a| < 2^51 and a power of ten b, whose inverse is rounded correctly: the same bits in half
 * the time where products can be fused. The first correction leaves less than a unit in the last place, and
 * from there the second one rounds as the division would (Markstein, "Computation of elementary functions on
 * the IBM RISC System/6000 processor", 1990). */
static inline double quotient(double a, double b, double inverse)
{
#ifdef KERNELS_FUSE
    double q = a * inverse;

    q = __builtin_fma(__builtin_fma(-q, b, a), inverse, q);
    return __builtin_fma(__builtin_fma(-q, b, a), inverse, q);
#else
    (void)inverse;
    return a / b;
#endif
}

static bool decimal_split(const double *restrict values, size_t n, double power, int64_t *restrict integers)
{
    size_t done = 0, end, i;
    double inverse = 1 / power;

    while (done < n) {
        uint64_t wrong = 0;

        end = n - done < 256 ? n : done + 256;
        for (i = done; i < end; i++) {
            double sum = values[i] * power + MAGIC, back = quotient(sum - MAGIC, power, inverse);
            uint64_t integer = kernel_bits(sum) - kernel_bits(MAGIC);

            integers[i] = (int64_t)integer;
            wrong |= (kernel_bits(back) ^ kernel_bits(values[i])) |
                     (integer + (uint64_t)DECIMAL_INTEGER_MAX) >> 52;
        }
        if (wrong != 0)
            return false;
        done = end;
    }
    return true;
}

static void decimal_join(const int64_t *restrict integers, size_t n, double power, double *restrict values)
{
    double inverse = 1 / power;
    uint64_t large = 0;
    size_t i;

    /* What (double)integers[i] is, without the conversion that older vector units lack; where one of them is
     * too large for that all are computed again. */
    if (power == 1)
        for (i = 0; i < n; i++) {
            large |= ((uint64_t)integers[i] + (uint64_t)DECIMAL_INTEGER_MAX) >> 52;
            values[i] = kernel_double((uint64_t)integers[i] + kernel_bits(MAGIC)) - MAGIC;
        }
    else
        for (i = 0; i < n; i++) {
            large |= ((uint64_t)integers[i] + (uint64_t)DECIMAL_INTEGER_MAX) >> 52;
            values[i] =
                quotient(kernel_double((uint64_t)integers[i] + kernel_bits(MAGIC)) - MAGIC, power, inverse);
        }
    if (large != 0)
        for (i = 0; i < n; i++)
            values[i] = (double)integers[i] / power;
}

static void residuals_last(const int64_t *restrict x, size_t n, int64_t *restrict residuals)
{
    size_t i;

    for (i = 0; i < n; i++)
        residuals[i] = (int64_t)((uint64_t)x[i] - (uint64_t)(x - 1)[i]);
}

static void residuals_constant(const int64_t *restrict x, size_t n, int64_t base, int64_t *restrict residuals)
{
    size_t i;

    for (i = 0; i < n; i++)
        residuals[i] = (int64_t)((uint64_t)x[i] - (uint64_t)base);
}

static void restore_last(const int64_t *restrict residuals, size_t n, int64_t base, int64_t *restrict x)
{
    uint64_t sum = (uint64_t)base;
    size_t i;

    for (i = 0; i < n; i++) {
        sum += (uint64_t)residuals[i];
        x[i] = (int64_t)sum;
    }
}

/* Sums of four at a time: only their last one is waited for. */
static void restore_last_zigzag(const uint64_t *restrict zigzags, size_t n, int64_t base, int64_t *restrict x)
{
    uint64_t first = (uint64_t)base;
    const lanes zero = {0};
    lanes before = {first, first, first, first};
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        lanes v, sums;

        memcpy(&v, zigzags + i, sizeof v);
        sums = v >> 1 ^ (zero - (v & 1));
        sums += __builtin_shufflevector(sums, zero, 4, 0, 4, 2);
        sums += __builtin_shufflevector(sums, zero, 4, 4, 1, 1);
        v = sums + before;
        memcpy(x + i, &v, sizeof v);
        before += __builtin_shufflevector(sums, sums, 3, 3, 3, 3);
    }
    for (first = before[0]; i < n; i++) {
        first += zigzags[i] >> 1 ^ (0 - (zigzags[i] & 1));
        x[i] = (int64_t)first;
    }
}

static void restore_constant(const int64_t *restrict residuals, size_t n, int64_t base, int64_t *restrict x)
{
    size_t i;

    for (i = 0; i < n; i++)
        x[i] = (int64_t)((uint64_t)base + (uint64_t)residuals[i]);
}

static void zigzag(const int64_t *signed_ones, size_t n, uint64_t *unsigned_ones)
{
    size_t i;

    for (i = 0; i < n; i++)
        unsigned_ones[i] = (uint64_t)signed_ones[i] << 1 ^ (uint64_t)(signed_ones[i] >> 63);
}

static void unzigzag(const uint64_t *unsigned_ones, size_t n, int64_t *signed_ones)
{
    size_t i;

    for (i = 0; i < n; i++)
        signed_ones[i] = (int64_t)(unsigned_ones[i] >> 1 ^ (0 - (unsigned_ones[i] & 1)));
}

static inline uint64_t size_of(uint64_t difference)
{
    uint64_t sign = (uint64_t)((int64_t)difference >> 63);

    return (difference ^ sign) - sign;
}

static bool spread(const int64_t *restrict x, size_t n, int64_t base, uint64_t *ret_last,
                   uint64_t *ret_constant, uint64_t *ret_line)
{
    uint64_t last = 0, constant = 0, line = 0, any = 0;
    size_t i;

    for (i = 0; i < n && i < 2; i++) {
        uint64_t size = size_of((uint64_t)x[i] - (uint64_t)base);

        constant += size;
        any |= size;
    }
    if (n > 1)
        last = size_of((uint64_t)x[1] - (uint64_t)x[0]);
    for (i = 2; i < n; i++) {
        uint64_t size = size_of((uint64_t)x[i] - (uint64_t)base), step = (uint64_t)x[i] - (uint64_t)x[i - 1],
                 before = (uint64_t)x[i - 1] - (uint64_t)x[i - 2];

        constant += size;
        any |= size;
        last += size_of(step);
        line += size_of(step - before);
    }
    if (any >> 48 != 0)
        return false;
    *ret_last = last;
    *ret_constant = constant;
    *ret_line = line;
    return true;
}

/* Which of the lengths are above `width`: bit i for the i-th. */
static inline uint32_t longer(const int8_t lengths[FRAME], int8_t width)
{
#ifdef __AVX2__
    __m256i all = _mm256_loadu_si256((const __m256i *)lengths);

    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(all, _mm256_set1_epi8(width)));
#else
    uint32_t mask = 0;
    unsigned i;

    for (i = 0; i < FRAME; i++)
        mask |= (uint32_t)(lengths[i] > width) << i;
    return mask;
#endif
}

static inline unsigned count_longer(const int8_t lengths[FRAME], int8_t width)
{
#ifdef __AVX2__
    return (unsigned)__builtin_popcount(longer(lengths, width));
#else
    uint8_t n = 0;
    unsigned i;

    for (i = 0; i < FRAME; i++)
        n = (uint8_t)(n + (lengths[i] > width));
    return n;
#endif
}

/* Bit lengths. Those below 2^52 by the exponent of a double, which vectors can do. */
static inline void lengths_of(const uint64_t *in, unsigned top, int8_t lengths[FRAME])
{
    unsigned i;

    if (top <= 52)
        for (i = 0; i < FRAME; i++) {
            double v = kernel_double(in[i] | kernel_bits(0x1p52)) - 0x1p52;
            int32_t length = (int32_t)(kernel_bits(v) >> 52) - 1022;

            lengths[i] = (int8_t)(length < 0 ? 0 : length);
        }
    else
        for (i = 0; i < FRAME; i++)
            lengths[i] = (int8_t)(in[i] == 0 ? 0 : 64 - __builtin_clzll(in[i]));
}

static unsigned frame_width(const uint64_t *in, unsigned k, uint32_t *ret_patched, unsigned *ret_top)
{
    unsigned top, best, best_bits, w, i;
    int8_t lengths[FRAME];
    uint64_t any = 0;

    for (i = 0; i < FRAME; i++)
        any |= in[i];
    top = any == 0 ? 0 : 64 - (unsigned)__builtin_clzll(any);
    *ret_top = top;
    lengths_of(in, top, lengths);
    best = top;
    best_bits = k * top;
    for (w = top; w-- > 0;) {
        unsigned wider = count_longer(lengths, (int8_t)w), bits = k * w + 16 + wider * (8 + top - w);

        if (bits < best_bits) {
            best_bits = bits;
            best = w;
        }
        /* More and more are wider from here on: patching cannot pay any more. */
        if (wider > k / 4)
            break;
    }
    *ret_patched = longer(lengths, (int8_t)best);
    return best;
}

/* Neighbours are put together as long as they fit a word, so that few are left to go bit by bit. */
static void pack(const uint64_t *restrict in, unsigned width, uint8_t *restrict out)
{
    uint64_t mask = width == 64 ? ~UINT64_C(0) : (UINT64_C(1) << width) - 1, joined[FRAME], held = 0;
    const lanes masks = {mask, mask, mask, mask}, by_four = {0, width, 2 * width, 3 * width};
    unsigned n = FRAME, n_held = 0, i;

    if (width == 0)
        return;
    if (width <= 16) {
        n /= 4;
        for (i = 0; i < FRAME / 4; i++) {
            lanes v;

            memcpy(&v, in + 4 * i, sizeof v);
            v = (v & masks) << by_four;
            joined[i] = (v[0] | v[1]) | (v[2] | v[3]);
        }
        width *= 4;
    } else if (width <= 32) {
        n /= 2;
        for (i = 0; i < FRAME / 2; i++)
            joined[i] = (in[2 * i] & mask) | (in[2 * i + 1] & mask) << width;
        width *= 2;
    } else {
        for (i = 0; i < FRAME; i++)
            joined[i] = in[i] & mask;
    }
    for (i = 0; i < n; i++) {
        uint64_t v = joined[i];

        held |= v << n_held;
        n_held += width;
        if (n_held >= 64) {
            memcpy(out, &held, 8);
            out += 8;
            n_held -= 64;
            held = n_held == 0 ? 0 : v >> (width - n_held);
        }
    }
    memcpy(out, &held, 8);
}

/* The 64 bits from bit `at`, of which 57 are there for any `at`. */
static inline uint64_t load_from_bit(const uint8_t *in, unsigned at)
{
    uint64_t v;

    memcpy(&v, in + at / 8, 8);
    return v >> at % 8;
}

/* Two integers out of each of two words. */
static inline void unpack_four(uint64_t low, uint64_t high, const lanes *by, const lanes *masks,
                               uint64_t *out)
{
    lanes v = (lanes){low, low, high, high} >> *by & *masks;

    memcpy(out, &v, sizeof v);
}

/* Any width up to 63: one after the other. */
static void unpack_wide(const uint8_t *restrict in, unsigned width, uint64_t *restrict out)
{
    uint64_t mask = (UINT64_C(1) << width) - 1;
    unsigned i;

    for (i = 0; i < FRAME; i++) {
        unsigned from = i * width, rest = from % 8;
        uint64_t v = load_from_bit(in, from);

        /* Shifted by up to 7 bits an integer may reach into a ninth byte. */
        if (rest + width > 64)
            v |= (uint64_t)in[from / 8 + 8] << (64 - rest);
        out[i] = v & mask;
    }
}

/* Eight at a time, which begin with a byte, from as few loads as their bits allow. */
static void unpack(const uint8_t *restrict in, unsigned width, uint64_t *restrict out)
{
    const uint64_t mask = (UINT64_C(1) << (width & 63)) - 1;
    const lanes masks = {mask, mask, mask, mask};
    lanes by = {0, width, 2 * width, 3 * width}, by_next = by + 4 * width;
    uint64_t *end = out + FRAME;

    if (width <= 8) {
        for (; out < end; out += 8, in += width) {
            uint64_t all = load_from_bit(in, 0);

            unpack_four(all, all, &by, &masks, out);
            unpack_four(all, all, &by_next, &masks, out + 4);
        }
    } else if (width <= 14) {
        by_next = by + width % 2 * 4;
        for (; out < end; out += 8, in += width) {
            uint64_t first = load_from_bit(in, 0), next = load_from_bit(in + width / 2, 0);

            unpack_four(first, first, &by, &masks, out);
            unpack_four(next, next, &by_next, &masks, out + 4);
        }
    } else if (width <= 28) {
        const unsigned at2 = 2 * width, at4 = 4 * width, at6 = 6 * width;

        by = (lanes){0, width, at2 % 8, at2 % 8 + width};
        by_next = (lanes){at4 % 8, at4 % 8 + width, at6 % 8, at6 % 8 + width};
        for (; out < end; out += 8, in += width) {
            uint64_t v0 = load_from_bit(in, 0), v2 = load_from_bit(in + at2 / 8, 0),
                     v4 = load_from_bit(in + at4 / 8, 0), v6 = load_from_bit(in + at6 / 8, 0);

            unpack_four(v0, v2, &by, &masks, out);
            unpack_four(v4, v6, &by_next, &masks, out + 4);
        }
    } else if (width < 64) {
        unpack_wide(in, width, out);
    } else {
        memcpy(out, in, 8 * FRAME);
    }
}

#define KERNELS(label)                                                                                       \
    {                                                                                                        \
        .name = label, .decimal_split = decimal_split, .decimal_join = decimal_join,                         \
        .residuals_last = residuals_last, .residuals_constant = residuals_constant,                          \
        .restore_last = restore_last, .restore_last_zigzag = restore_last_zigzag,                            \
        .restore_constant = restore_constant, .zigzag = zigzag, .unzigzag = unzigzag, .spread = spread,      \
        .frame_width = frame_width, .pack = pack, .unpack = unpack                                           \
    }
