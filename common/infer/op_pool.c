/* Greatest and mean of windows. */
#include "infer/kernel_loops.h"
#include "infer/op_window.h"

#include <math.h>

enum { KERNEL = 17, FLAG = 21 };

static void kernel_of(const struct infer_node *node, uint32_t ret_kernel[OP_SPATIAL_MAX])
{
    for (size_t i = 0; i < OP_SPATIAL_MAX; i++)
        ret_kernel[i] = (uint32_t)node->ints[KERNEL + i];
}

int op_pool_check(struct op_check *c)
{
    uint32_t kernel[OP_SPATIAL_MAX];
    struct infer_shape y = {0};

    if (op_takes(c, 0, c->node->op == INFER_MAX_POOL ? OP_F32 | OP_BYTE : OP_F32) != 0 ||
        op_takes_rank(c, 0, 3, 2 + OP_SPATIAL_MAX) != 0)
        return -EINVAL;
    for (size_t i = 0; i < c->in[0]->shape.rank - 2U; i++)
        if (op_takes_setting(c, KERNEL + i, 1, INT32_MAX) != 0)
            return -EINVAL;
    kernel_of(c->node, kernel);
    y.dim[0] = c->in[0]->shape.dim[0];
    y.dim[1] = c->in[0]->shape.dim[1];
    if (op_window_check(c, OP_WINDOW_POOL, kernel, &y) != 0)
        return -EINVAL;
    op_gives(c, 0, c->in[0]->type, &y);
    if (c->node->n_outputs > 1)
        op_gives(c, 1, INFER_I64, &y);
    return 0;
}

uint64_t op_pool_operations(const struct op_call *c)
{
    uint64_t taps = 1;

    for (size_t i = 0; i < c->in[0]->shape.rank - 2U; i++)
        taps = op_product(taps, (uint64_t)c->node->ints[KERNEL + i]);
    return op_product(taps, op_elements(c->out[0]));
}

/* One window: its place in y and the taps of it that lie in x. */
struct place {
    size_t out[OP_SPATIAL_MAX];
    struct op_range taps[OP_SPATIAL_MAX];
};

typedef void window_fn(const struct op_call *c, const struct op_window *w, const struct place *p,
                       size_t plane, size_t y_index);

static void each_window(const struct op_call *c, window_fn *fn)
{
    const struct infer_shape *s = &c->in[0]->shape;
    uint32_t kernel[OP_SPATIAL_MAX];
    struct op_window w;
    struct place p;
    size_t y = 0;

    kernel_of(c->node, kernel);
    op_window_init(&w, c, kernel);
    for (size_t plane = 0; plane < (size_t)s->dim[0] * s->dim[1]; plane++)
        for (p.out[0] = 0; p.out[0] < w.out[0]; p.out[0]++)
            for (p.out[1] = 0; p.out[1] < w.out[1]; p.out[1]++)
                for (p.out[2] = 0; p.out[2] < w.out[2]; p.out[2]++) {
                    for (size_t d = 0; d < OP_SPATIAL_MAX; d++)
                        p.taps[d] = op_window_inside(&w, d, p.out[d]);
                    fn(c, &w, &p, plane, y++);
                }
}

static size_t at(const struct op_window *w, const struct place *p, size_t d, size_t k)
{
    return p->out[d] * w->stride[d] + k * w->dilation[d] - w->pad[d];
}

#define EACH_TAP(w, p)                                                                                       \
    for (size_t k0 = (p)->taps[0].first; k0 < (p)->taps[0].end; k0++)                                        \
        for (size_t k1 = (p)->taps[1].first; k1 < (p)->taps[1].end; k1++)                                    \
            for (size_t k2 = (p)->taps[2].first; k2 < (p)->taps[2].end; k2++)

static double number(const struct op_call *c, size_t i)
{
    switch (c->in[0]->type) {
    case INFER_F32:
        return ((const float *)c->x[0])[i];
    case INFER_I8:
        return ((const int8_t *)c->x[0])[i];
    default:
        return ((const uint8_t *)c->x[0])[i];
    }
}

/* A window that has nothing of x in it gives the lowest number and the index 0. */
static void greatest(const struct op_call *c, const struct op_window *w, const struct place *p, size_t plane,
                     size_t y_index)
{
    bool by_column = c->node->ints[FLAG] != 0;
    size_t in = op_window_in(w), index = 0;
    double best = c->in[0]->type == INFER_F32 ? -INFINITY : c->in[0]->type == INFER_I8 ? -128 : 0;
    bool has_one = false;

    EACH_TAP(w, p)
    {
        size_t i0 = at(w, p, 0, k0), i1 = at(w, p, 1, k1), i2 = at(w, p, 2, k2);
        double v = number(c, plane * in + (i0 * w->in[1] + i1) * w->in[2] + i2);

        if (has_one && v <= best)
            continue;
        has_one = true;
        best = v;
        index = plane * in +
                (by_column ? (i2 * w->in[1] + i1) * w->in[0] + i0 : (i0 * w->in[1] + i1) * w->in[2] + i2);
    }
    if (c->in[0]->type == INFER_F32)
        ((float *)c->y[0])[y_index] = (float)best;
    else if (c->in[0]->type == INFER_I8)
        ((int8_t *)c->y[0])[y_index] = (int8_t)best;
    else
        ((uint8_t *)c->y[0])[y_index] = (uint8_t)best;
    if (c->y[1] != NULL)
        ((int64_t *)c->y[1])[y_index] = (int64_t)index;
}

void op_max_pool_run(const struct op_call *c)
{
    each_window(c, greatest);
}

/* Taps that lie in x or its padding, but not beyond, where ceil_mode lets windows reach. */
static size_t padded_taps(const struct op_window *w, const struct place *p, size_t d)
{
    struct op_range r = op_window_range(w->kernel[d], w->dilation[d], p->out[d] * w->stride[d], 0,
                                        w->pad[d] + w->in[d] + w->pad_end[d]);

    return r.end - r.first;
}

static void mean(const struct op_call *c, const struct op_window *w, const struct place *p, size_t plane,
                 size_t y_index)
{
    const float *x = (const float *)c->x[0] + plane * op_window_in(w);
    size_t n = 1;
    double sum = 0;

    EACH_TAP(w, p)
    sum += x[(at(w, p, 0, k0) * w->in[1] + at(w, p, 1, k1)) * w->in[2] + at(w, p, 2, k2)];
    for (size_t d = 0; d < OP_SPATIAL_MAX; d++)
        n *= c->node->ints[FLAG] != 0 ? padded_taps(w, p, d) : p->taps[d].end - p->taps[d].first;
    ((float *)c->y[0])[y_index] = n == 0 ? 0 : (float)(sum / (double)n);
}

void op_average_pool_run(const struct op_call *c)
{
    each_window(c, mean);
}

/* ---- global ---- */

int op_global_pool_check(struct op_check *c)
{
    struct infer_shape y;

    if (op_takes(c, 0, OP_F32) != 0 || op_takes_rank(c, 0, 3, INFER_RANK_MAX) != 0)
        return -EINVAL;
    y = c->in[0]->shape;
    if (op_span(&y, 2, y.rank) == 0)
        return op_refuse(c, "the input has nothing to pool");
    for (size_t i = 2; i < y.rank; i++)
        y.dim[i] = 1;
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}

void op_global_average_pool_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]), plane = op_span(&c->in[0]->shape, 2, c->in[0]->shape.rank);
    float *y = c->y[0];

    for (size_t i = 0; i < n; i += KERNEL_LINES) {
        size_t part = n - i < KERNEL_LINES ? n - i : KERNEL_LINES;
        double sum[KERNEL_LINES] = {0};

        kernel_add_lines((const float *)c->x[0] + i * plane, plane, 1, part, plane, sum);
        for (size_t k = 0; k < part; k++)
            y[i + k] = (float)(sum[k] / (double)plane);
    }
}

void op_global_max_pool_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]), plane = op_span(&c->in[0]->shape, 2, c->in[0]->shape.rank);
    const float *x = c->x[0];

    for (size_t i = 0; i < n; i++) {
        float best = *x;

        for (size_t k = 0; k < plane; k++, x++)
            if (!(*x <= best))
                best = *x;
        ((float *)c->y[0])[i] = best;
    }
}
