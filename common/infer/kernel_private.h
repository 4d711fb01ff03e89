/* kernel_private.h - the tables there are, and what each level has in common. Private to common/infer. */
#ifndef FOGLINE_INFER_KERNEL_PRIVATE_H
#define FOGLINE_INFER_KERNEL_PRIVATE_H

#include "infer/kernel.h"

extern const struct kernel_table kernel_plain;

/* Half to even; what is no number gives the zero point. */
static inline int8_t kernel_requantize_one(int32_t sum, const struct kernel_requantize *q, size_t m)
{
    float r = __builtin_rintf((float)sum * q->multiplier[m]);
    int32_t v;

    r = r > 1e6f ? 1e6f : r < -1e6f ? -1e6f : r;
    v = (r == r ? (int32_t)r : 0) + q->zero;
    return (int8_t)(v < q->lowest ? q->lowest : v > 127 ? 127 : v);
}

#endif
