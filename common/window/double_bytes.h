/* double_bytes.h - doubles as the 8 bytes of their bits, little-endian, and in an order that tells bits
 * apart. Inside common/window only. */
#ifndef FOGLINE_WINDOW_DOUBLE_BYTES_H
#define FOGLINE_WINDOW_DOUBLE_BYTES_H

#include "base/bytes.h"

#include <math.h>

static inline void put_double(struct buf *out, double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    buf_le64(out, bits);
}

static inline double reader_double(struct reader *r)
{
    uint64_t bits = reader_le64(r);
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* -0 is below 0, else as <: the least and the greatest of numbers have the same bits in any order. */
static inline bool double_below(double a, double b)
{
    return a < b || (a == 0 && b == 0 && signbit(a) && !signbit(b));
}

#endif
