#include "codec/raw.h"

enum {
    CHUNK_FIRST = 4, /* values of many digits are told apart by the first few */
    CHUNK = 64,
};

/* Adding it pushes the fraction out of a double below 2^51 in size, rounded to nearest, and leaves the
 * integer in the low bits: both in plain arithmetic that compilers turn into vectors. */
#define MAGIC 0x1.8p52

static const double powers[DECIMAL_EXPONENT_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

static inline uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* Zero when value comes back from *ret_integer bit for bit. Range and bits are judged on the one sum that the
 * integer is taken from, so that it does not matter whether a compiler fuses the multiplication into it. */
static inline uint64_t scale(double value, double power, int64_t *ret_integer)
{
    double sum = value * power + MAGIC;
    uint64_t integer = bits_of(sum) - bits_of(MAGIC);
    double back = (sum - MAGIC) / power;

    *ret_integer = (int64_t)integer;
    return (bits_of(back) ^ bits_of(value)) | (integer + (uint64_t)DECIMAL_INTEGER_MAX) >> 52;
}

static bool scale_all(const double *values, size_t n, double power, int64_t *integers)
{
    uint64_t wrong = 0;
    size_t i;

    for (i = 0; i < n; i++)
        wrong |= scale(values[i], power, &integers[i]);
    return wrong == 0;
}

/* What is exact with e digits is so with e + 1 (as long as the integer is in range), so the exponent only
 * ever grows on the way through the column, and one pass more settles it. */
int decimal_find(const double *values, size_t n, int64_t *integers)
{
    unsigned exponent = 0;
    bool grew = false;
    size_t i, len;

    for (i = 0; i < n; i += len) {
        size_t want = i == 0 ? CHUNK_FIRST : CHUNK;

        len = n - i < want ? n - i : want;
        while (!scale_all(values + i, len, powers[exponent], integers + i)) {
            if (exponent == DECIMAL_EXPONENT_MAX)
                return -1;
            exponent++;
            grew = grew || i > 0;
        }
    }
    if (grew && !scale_all(values, n, powers[exponent], integers))
        return -1;
    return (int)exponent;
}

double decimal_power(unsigned exponent)
{
    return powers[exponent];
}
