/* kernel_private.h - the tables there are, and what their files share. Private to common/infer.
 *
 * A scratch of an int8 convolution is x with what is around it, in the form that the level wants, then the
 * weights in its form; both have SLACK_BYTES behind them that may be read. */
#ifndef FOGLINE_INFER_KERNEL_PRIVATE_H
#define FOGLINE_INFER_KERNEL_PRIVATE_H

#include "infer/kernel.h"

#include <stdbool.h>
#include <string.h>

extern const struct kernel_table kernel_plain, kernel_avx2, kernel_avx_vnni, kernel_avx512_vnni, kernel_neon;

enum {
    KERNEL_BLOCK = 8,   /* outputs side by side in a vector */
    KERNEL_WINDOWS = 4, /* windows gathered at a time when they do not lie in one piece */
    KERNEL_SLACK_BYTES = 64,
    KERNEL_POSITIONS = 16, /* of float32, two vectors of the longest */
};

static inline size_t kernel_round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline size_t kernel_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Positions of x that any window reads, with those outside of it. */
static inline size_t kernel_conv1d_span(const struct kernel_conv1d *c)
{
    return (c->n_out - 1) * c->stride + (c->kernel - 1) * c->dilation + 1;
}

/* ---- the float32 convolutions: what their scratch holds ---- */

/* Two tables of an entry a tap, then the floats. */
static inline void *kernel_after(const void *tables)
{
    return (void *)kernel_round_up((uintptr_t)tables, 64);
}

/* Positions that the last tap is behind the first one, in steps. */
static inline size_t kernel_conv1d_reach(const struct kernel_conv1d *c)
{
    return c->kernel == 0 ? 0 : (c->kernel - 1) * c->dilation / c->stride;
}

/* Floats of a row: whole vectors of positions, two of the longest at a time. */
static inline size_t kernel_conv1d_f32_row(const struct kernel_conv1d *c)
{
    return kernel_round_up(c->n_out, KERNEL_POSITIONS) + kernel_conv1d_reach(c) + 1;
}

static inline size_t kernel_conv1d_transpose_f32_row(const struct kernel_conv1d *c)
{
    size_t reach = kernel_conv1d_reach(c), n = (c->n_out + c->stride - 1) / c->stride;
    size_t first = kernel_min((c->stride - 1 + c->pad_begin) / c->stride, c->length + reach);

    return first + reach + kernel_round_up(n, KERNEL_POSITIONS) + 1;
}

/* Half to even, |v| < 2^22, without the instruction that older vector units lack. */
static inline int32_t kernel_round(float v)
{
    float sum = v + 0x1.8p23f, magic = 0x1.8p23f;
    int32_t bits, zero;

    memcpy(&bits, &sum, sizeof bits);
    memcpy(&zero, &magic, sizeof zero);
    return bits - zero;
}

/* What is less than a bound or more is the bound, what is no number is 0: in this order, which vector
 * instructions can follow. */
static inline int8_t kernel_saturate(float v, int32_t zero, int32_t lowest)
{
    float low = (float)(lowest - zero), high = (float)(127 - zero);

    v = v == v ? v : 0;
    v = v > low ? v : low;
    v = v < high ? v : high;
    return (int8_t)(kernel_round(v) + zero);
}

#endif
