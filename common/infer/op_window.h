/* op_window.h - windows that move over one to three spatial dimensions: convolutions and pools. Private to
 * common/infer.
 *
 * Fewer than three dimensions are three of which the first ones have one element. */
#ifndef FOGLINE_INFER_OP_WINDOW_H
#define FOGLINE_INFER_OP_WINDOW_H

#include "infer/op_private.h"

enum { OP_SPATIAL_MAX = 3 };

struct op_window {
    /* Index i of x meets tap k at index o of y: i = o * stride + k * dilation - pad. Transposed: o = i * ...
     */
    size_t in[OP_SPATIAL_MAX], out[OP_SPATIAL_MAX], kernel[OP_SPATIAL_MAX];
    size_t stride[OP_SPATIAL_MAX], dilation[OP_SPATIAL_MAX];
    size_t pad[OP_SPATIAL_MAX], pad_end[OP_SPATIAL_MAX];
};

struct op_range {
    size_t first, end;
};

enum op_window_kind { OP_WINDOW_CONV, OP_WINDOW_TRANSPOSED, OP_WINDOW_POOL };

/* The channels of x (input 0) and of the weights [M, C / group, kernel], transposed [C, M / group, kernel],
 * (input i_w) go with the groups; fills dimensions 0 and 1 of ret_y. */
must_check int op_window_groups(const struct op_check *c, size_t i_w, bool transposed,
                                struct infer_shape *ret_y);
/* Checks the settings against x (input 0) and the sizes of the kernel, one for each spatial dimension; fills
 * dimensions 2.. and the rank of ret_y. */
must_check int op_window_check(const struct op_check *c, enum op_window_kind kind,
                               const uint32_t kernel[OP_SPATIAL_MAX], struct infer_shape *ret_y);
/* Of an accepted node; kernel as above. */
void op_window_init(struct op_window *w, const struct op_call *c, const uint32_t kernel[OP_SPATIAL_MAX]);

static inline size_t op_window_in(const struct op_window *w)
{
    return w->in[0] * w->in[1] * w->in[2];
}

static inline size_t op_window_out(const struct op_window *w)
{
    return w->out[0] * w->out[1] * w->out[2];
}

static inline size_t op_window_taps(const struct op_window *w)
{
    return w->kernel[0] * w->kernel[1] * w->kernel[2];
}

/* The indices n in 0 .. count - 1 for which n * step + shift - pad lies in 0 .. size - 1. */
struct op_range op_window_range(size_t count, size_t step, size_t shift, size_t pad, size_t size);

/* Those of y (of x when transposed) that tap k meets along dimension d. */
static inline struct op_range op_window_met(const struct op_window *w, size_t d, size_t k)
{
    return op_window_range(w->out[d], w->stride[d], k * w->dilation[d], w->pad[d], w->in[d]);
}

/* The taps that lie in x for index o of y. */
static inline struct op_range op_window_inside(const struct op_window *w, size_t d, size_t o)
{
    return op_window_range(w->kernel[d], w->dilation[d], o * w->stride[d], w->pad[d], w->in[d]);
}

#endif
