/* kernels_body.h - see kernels.h. Included once by each kernels_*.c, which names its table. */
#include "codec/kernels.h"

#include <string.h>

/* Adding it pushes the fraction out of a double below 2^51 in size, rounded to nearest, and leaves the
 * integer in the low bits: both in plain arithmetic that compilers turn into vectors. */
#define MAGIC 0x1.8p52
#define DECIMAL_INTEGER_MAX (INT64_C(1) << 51)

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

static bool decimal_split(const double *restrict values, size_t n, double power, int64_t *restrict integers)
{
    size_t done = 0, end, i;

    while (done < n) {
        uint64_t wrong = 0;

        end = n - done < 256 ? n : done + 256;
        for (i = done; i < end; i++) {
            double sum = values[i] * power + MAGIC, back = (sum - MAGIC) / power;
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
    uint64_t large = 0;
    size_t i;

    for (i = 0; i < n; i++)
        large |= ((uint64_t)integers[i] + (uint64_t)DECIMAL_INTEGER_MAX) >> 52;
    if (large == 0)
        /* What (double)integers[i] is, without the conversion that older vector units lack. */
        for (i = 0; i < n; i++)
            values[i] = (kernel_double((uint64_t)integers[i] + kernel_bits(MAGIC)) - MAGIC) / power;
    else
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

static inline uint64_t capped_size(uint64_t difference)
{
    uint64_t sign = (uint64_t)((int64_t)difference >> 63), size = (difference ^ sign) - sign,
             over = 0 - (uint64_t)(size >> 40 != 0);

    return (size & ~over) | (UINT64_C(1) << 40 & over);
}

static void spread(const int64_t *restrict x, size_t n, int64_t base, uint64_t *ret_last,
                   uint64_t *ret_constant, uint64_t *ret_line)
{
    uint64_t last = 0, constant = 0, line = 0;
    size_t i;

    for (i = 0; i < n; i++)
        constant += capped_size((uint64_t)x[i] - (uint64_t)base);
    for (i = 1; i < n; i++)
        last += capped_size((uint64_t)x[i] - (uint64_t)x[i - 1]);
    for (i = 2; i < n; i++)
        line += capped_size((uint64_t)x[i] - 2 * (uint64_t)x[i - 1] + (uint64_t)x[i - 2]);
    *ret_last = last;
    *ret_constant = constant;
    *ret_line = line;
}

static void pack(const uint64_t *restrict in, unsigned width, uint8_t *restrict out)
{
    uint64_t mask = width == 64 ? ~UINT64_C(0) : (UINT64_C(1) << width) - 1, held = 0;
    unsigned n_held = 0, i;

    if (width == 0)
        return;
    for (i = 0; i < FRAME; i++) {
        uint64_t v = in[i] & mask;

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

static void unpack(const uint8_t *restrict in, unsigned width, uint64_t *restrict out)
{
    uint64_t mask = (UINT64_C(1) << (width & 63)) - 1, v;
    unsigned i;

    if (width == 64) {
        memcpy(out, in, 8 * FRAME);
    } else if (width > 56) {
        /* Shifted by up to 7 bits a cell reaches into a ninth byte. */
        for (i = 0; i < FRAME; i++) {
            unsigned at = i * width;

            memcpy(&v, in + at / 8, 8);
            out[i] = (v >> at % 8 | (at % 8 == 0 ? 0 : (uint64_t)in[at / 8 + 8] << (64 - at % 8))) & mask;
        }
    } else {
        for (i = 0; i < FRAME; i++) {
            unsigned at = i * width;

            memcpy(&v, in + at / 8, 8);
            out[i] = v >> at % 8 & mask;
        }
    }
}

#define KERNELS(label)                                                                                       \
    {                                                                                                        \
        .name = label, .decimal_split = decimal_split, .decimal_join = decimal_join,                         \
        .residuals_last = residuals_last, .residuals_constant = residuals_constant,                          \
        .restore_last = restore_last, .restore_constant = restore_constant, .zigzag = zigzag,                \
        .unzigzag = unzigzag, .spread = spread, .pack = pack, .unpack = unpack                               \
    }
