/* number.h - doubles as integers, exactly. Private to common/codec.
 *
 * Readings are short decimals, or floats of short decimals, on a noisy grid: finding that integer is worth
 * more than anything done afterwards. A division of IEEE 754 is correctly rounded, so integer / 10^exponent
 * is the double that a decimal literal means, on every machine (integer x 10^-exponent is not). Threads:
 * pure. */
#ifndef FOGLINE_CODEC_NUMBER_H
#define FOGLINE_CODEC_NUMBER_H

#include "codec/block.h"

enum number_kind {
    NUMBER_DECIMAL = 0, /* integer / 10^exponent */
    NUMBER_FLOAT = 1,   /* the same, rounded to single precision */
    NUMBER_BITS = 2,    /* the bits in the order of the numbers, with `exponent` low zero bits dropped */
    NUMBER_INTEGER = 3, /* int64, bool, indices of texts, times: no double at all */
    NUMBER_BOUNDED = 4, /* (integer + exponent / NUMBER_PLACES) x step, where half a step is the bound */
    NUMBER_KINDS = 5,

    NUMBER_DECIMAL_EXPONENT_MAX = 17,
    NUMBER_BITS_EXPONENT_MAX = 52,
    NUMBER_ULPS_MAX = 8,
    NUMBER_PLACE_BITS = 4,
    NUMBER_PLACES = 1 << NUMBER_PLACE_BITS,
};

struct number_format {
    uint8_t kind, exponent;
    bool has_ulps; /* each cell tells how many doubles it lies beside its decimal */
};

/* A little less than twice the bound, so that rounding errors stay within it too. */
static inline double number_step(double error_bound)
{
    return error_bound * 1.999999999998;
}

/* A cell that the format cannot say. */
struct exception {
    uint32_t cell; /* among the cells that are present */
    uint64_t bits;
};

bool number_format_ok(const struct number_format *f, double error_bound);
/* The cheapest format for the values by the sizes of first differences; error_bound 0: exact. Not thorough:
 * the first one without exceptions, or judged by some of the values. packed: for the fast encoding, where
 * ulps and exceptions take whole bits and bytes. */
struct number_format number_choose(const double *values, size_t n, double error_bound, bool thorough,
                                   bool packed);
/* integers and ulps get n entries, exceptions up to n; the integer of an exception is the one before it (0 at
 * the start). ulps is written only when the format has them. Returns the number of exceptions. */
size_t number_split(const struct number_format *f, double error_bound, const double *values, size_t n,
                    int64_t *integers, int8_t *ulps, struct exception *exceptions);
/* The inverse, but for the exceptions. Any integers are allowed. */
void number_join(const struct number_format *f, double error_bound, const int64_t *integers,
                 const int8_t *ulps, size_t n, double *values);

#endif
