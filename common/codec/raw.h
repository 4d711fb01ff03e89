/* raw.h - the raw encoding: fixed-width little-endian columns (README.md). Private to common/codec. */
#ifndef FOGLINE_CODEC_RAW_H
#define FOGLINE_CODEC_RAW_H

#include "codec/block.h"

enum {
    RAW_TYPE_MASK = 0x07,
    RAW_HAS_ABSENT = 0x08,
    RAW_HAS_QUALITY = 0x10,
    RAW_FORM_SHIFT = 5,

    RAW_TIME_STEP = 0, /* the other forms of the time column are the widths 1, 2, 4, 8 */

    RAW_DOUBLE_BITS = 0,
    RAW_DOUBLE_CONSTANT = 1,
    RAW_DOUBLE_DECIMAL = 2,

    RAW_TIME_STEP_BYTES = 1 + 8 + 8,
    RAW_TIME_HEAD_BYTES = 1 + 8,
    RAW_INT_HEAD_BYTES =
        1 + 8, /* width, base; also of decimals, where the width shares its byte with the exponent */
};

/* 0, -EINVAL for a block that breaks its own rules; failures of out stick in out. */
must_check int raw_encode(const struct block *b, struct buf *out);

/* columns: one each of n, arrays set for those wanted and NULL for those to pass over. `absent` and `quality`
 * come in as memory and go out NULL when the column has none. 0 or BLOCK_DAMAGED. */
must_check int raw_decode(struct span body, uint32_t n_rows, uint32_t n_columns,
                          const enum column_type *types, int64_t *time_ns, struct column *columns);

/* Doubles that are short decimals, as integers: value = integer / 10^exponent, the division rounded as IEEE
 * 754 says. */
enum { DECIMAL_EXPONENT_MAX = 9 };
#define DECIMAL_INTEGER_MAX (INT64_C(1) << 51) /* the lowest is minus this, the highest one less */

/* Fills integers when every value comes back bit for bit (so never for NaN, infinities and minus zero).
 * Returns the exponent, -1 when there is none. */
int decimal_find(const double *values, size_t n, int64_t *integers);
double decimal_power(unsigned exponent);

#endif
