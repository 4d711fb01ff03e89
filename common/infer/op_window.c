#include "infer/op_window.h"

enum { SPATIAL = 1, STRIDE = 2, DILATION = 5, PAD = 8, PAD_END = 11, OUTPUT_PAD = 14, CEIL = 20 };

/* One dimension of y; -1: the kernel is greater than the input. */
static int64_t outputs(const struct infer_node *node, enum op_window_kind kind, size_t i, int64_t in,
                       int64_t extent)
{
    int64_t stride = node->ints[STRIDE + i], pad = node->ints[PAD + i], end = node->ints[PAD_END + i], room,
            n;

    if (kind == OP_WINDOW_TRANSPOSED)
        return stride * (in - 1) + node->ints[OUTPUT_PAD + i] + extent - pad - end;
    room = in + pad + end - extent;
    if (room < 0)
        return -1;
    if (kind == OP_WINDOW_CONV || node->ints[CEIL] == 0)
        return room / stride + 1;
    n = (room + stride - 1) / stride + 1;
    /* No window begins in what is padded behind the input. */
    return (n - 1) * stride >= in + pad ? n - 1 : n;
}

static int check_dimension(const struct op_check *c, enum op_window_kind kind, size_t i, uint32_t kernel,
                           struct infer_shape *y)
{
    int64_t in = c->in[0]->shape.dim[2 + i], extent, n;
    const int32_t *ints = c->node->ints;

    if (op_takes_setting(c, STRIDE + i, 1, INT32_MAX) != 0 ||
        op_takes_setting(c, DILATION + i, 1, INT32_MAX) != 0 ||
        op_takes_setting(c, PAD + i, 0, INT32_MAX) != 0 ||
        op_takes_setting(c, PAD_END + i, 0, INT32_MAX) != 0)
        return -EINVAL;
    if (kind == OP_WINDOW_TRANSPOSED && op_takes_setting(c, OUTPUT_PAD + i, 0, INT32_MAX) != 0)
        return -EINVAL;
    if (in == 0 || kernel == 0)
        return op_refuse(c, "spatial dimension %zu of the input or of the kernel is 0", i);
    extent = ((int64_t)kernel - 1) * ints[DILATION + i] + 1;
    if (kind == OP_WINDOW_POOL && (ints[PAD + i] >= extent || ints[PAD_END + i] >= extent))
        return op_refuse(c, "padding %d and %d of spatial dimension %zu: it has to be less than the kernel",
                         ints[PAD + i], ints[PAD_END + i], i);
    n = outputs(c->node, kind, i, in, extent);
    if (n < 1)
        return op_refuse(c,
                         "the kernel reaches over %lld of spatial dimension %zu, which has %lld with its "
                         "padding",
                         (long long)extent, i, (long long)(in + ints[PAD + i] + ints[PAD_END + i]));
    return op_dim(c, y, 2 + i, n);
}

int op_window_check(const struct op_check *c, enum op_window_kind kind, const uint32_t kernel[OP_SPATIAL_MAX],
                    struct infer_shape *ret_y)
{
    int r = op_takes_rank(c, 0, 3, 2 + OP_SPATIAL_MAX);
    unsigned rank = c->in[0]->shape.rank;

    if (r != 0)
        return r;
    if (c->node->ints[SPATIAL] != (int)rank - 2)
        return op_refuse(c, "the settings are for %d spatial dimensions, the input has %u",
                         c->node->ints[SPATIAL], rank - 2);
    ret_y->rank = (uint8_t)rank;
    for (size_t i = 0; r == 0 && i < rank - 2; i++)
        r = check_dimension(c, kind, i, kernel[i], ret_y);
    return r;
}

void op_window_init(struct op_window *w, const struct op_call *c, const uint32_t kernel[OP_SPATIAL_MAX])
{
    size_t rank = c->in[0]->shape.rank - 2U;

    for (size_t d = 0; d < OP_SPATIAL_MAX; d++) {
        size_t i = d + rank - OP_SPATIAL_MAX; /* of the node; not there while d + rank < 3 */
        bool is_there = d + rank >= OP_SPATIAL_MAX;

        w->in[d] = is_there ? c->in[0]->shape.dim[2 + i] : 1;
        w->out[d] = is_there ? c->out[0]->shape.dim[2 + i] : 1;
        w->kernel[d] = is_there ? kernel[i] : 1;
        w->stride[d] = is_there ? (size_t)c->node->ints[STRIDE + i] : 1;
        w->dilation[d] = is_there ? (size_t)c->node->ints[DILATION + i] : 1;
        w->pad[d] = is_there ? (size_t)c->node->ints[PAD + i] : 0;
        w->pad_end[d] = is_there ? (size_t)c->node->ints[PAD_END + i] : 0;
    }
}

struct op_range op_window_range(size_t count, size_t step, size_t shift, size_t pad, size_t size)
{
    /* Sizes of accepted nodes: products are below 2^58. */
    int64_t before = (int64_t)pad - (int64_t)shift, last = before + (int64_t)size - 1, by = (int64_t)step;
    struct op_range r = {0, 0};

    if (last < 0)
        return r;
    r.first = before > 0 ? (size_t)((before + by - 1) / by) : 0;
    r.end = (size_t)(last / by) + 1;
    if (r.end > count)
        r.end = count;
    if (r.first > r.end)
        r.first = r.end;
    return r;
}
