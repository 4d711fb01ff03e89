/* The tuned int8 forms: they run on kernel.h. */
#include "infer/kernel.h"
#include "infer/op_private.h"

enum { X, W, BIAS, MULTIPLIER };
enum { STRIDE = 0, DILATION, PAD, PAD_END, X_ZERO, Y_ZERO = 22, LOWEST = 23 };

/* All but the shapes of x and w. m outputs, each a sum of k products. */
static int check_common(const struct op_check *c, size_t m, size_t k)
{
    const int32_t *bias;

    if (op_takes(c, X, OP_I8) != 0 || op_takes(c, W, OP_I8) != 0 || op_takes(c, BIAS, OP_I32) != 0 ||
        op_takes(c, MULTIPLIER, OP_F32) != 0 || op_takes_vector(c, BIAS, m, false) != 0 ||
        op_takes_vector(c, MULTIPLIER, m, false) != 0 || op_takes_constant(c, BIAS) != 0 ||
        op_takes_setting(c, Y_ZERO, INT8_MIN, INT8_MAX) != 0 ||
        op_takes_setting(c, LOWEST, INT8_MIN, INT8_MAX) != 0)
        return -EINVAL;
    bias = c->in[BIAS]->constant;
    for (size_t i = 0; i < m; i++) {
        int64_t size = bias[i] < 0 ? -(int64_t)bias[i] : bias[i];

        if ((int64_t)k * 128 * 128 + size > INT32_MAX)
            return op_refuse(c, "sums of %zu products and a bias of %d may be too great for int32", k,
                             bias[i]);
    }
    return 0;
}

static enum infer_type output_type(const struct infer_node *node)
{
    return node->floats[0] != 0 ? INFER_F32 : INFER_I8;
}

/* Where y begins: one of both. */
struct bytes_or_floats {
    int8_t *bytes;
    float *floats;
};

static struct bytes_or_floats y_from(const struct op_call *c, size_t i)
{
    if (c->out[0]->type == INFER_F32)
        return (struct bytes_or_floats){NULL, (float *)c->y[0] + i};
    return (struct bytes_or_floats){(int8_t *)c->y[0] + i, NULL};
}

static struct kernel_requantize requantize_of(const struct op_call *c)
{
    return (struct kernel_requantize){c->x[MULTIPLIER], c->node->ints[Y_ZERO], c->node->ints[LOWEST]};
}

int op_dense_i8_check(struct op_check *c)
{
    const struct infer_shape *x = &c->in[X]->shape, *w = &c->in[W]->shape;
    struct infer_shape y = {.rank = 2};

    if (op_takes_rank(c, X, 2, 2) != 0 || op_takes_rank(c, W, 2, 2) != 0)
        return -EINVAL;
    if (x->dim[1] != w->dim[1])
        return op_refuse(c, "the weights are for %u inputs, there are %u", w->dim[1], x->dim[1]);
    if (check_common(c, w->dim[0], w->dim[1]) != 0)
        return -EINVAL;
    y.dim[0] = x->dim[0];
    y.dim[1] = w->dim[0];
    op_gives(c, 0, output_type(c->node), &y);
    return 0;
}

uint64_t op_dense_i8_operations(const struct op_call *c)
{
    return op_product(2 * (uint64_t)c->in[W]->shape.dim[1] + 2, op_elements(c->out[0]));
}

void op_dense_i8_run(const struct op_call *c)
{
    size_t k = c->in[W]->shape.dim[1], m = c->in[W]->shape.dim[0];
    struct kernel_requantize q = requantize_of(c);

    for (size_t n = 0; n < c->in[X]->shape.dim[0]; n++) {
        struct bytes_or_floats y = y_from(c, n * m);

        kernel_best()->dense_i8((const int8_t *)c->x[X] + n * k, c->x[W], c->x[BIAS], k, m, &q, y.bytes,
                                y.floats);
    }
}

/* ---- 1-D convolution, channels last ---- */

int op_conv1d_i8_check(struct op_check *c)
{
    const struct infer_shape *x = &c->in[X]->shape, *w = &c->in[W]->shape;
    struct infer_shape y = {.rank = 3};
    int64_t extent, room;

    if (op_takes_rank(c, X, 3, 3) != 0 || op_takes_rank(c, W, 3, 3) != 0 ||
        op_takes_setting(c, STRIDE, 1, INT32_MAX) != 0 || op_takes_setting(c, DILATION, 1, INT32_MAX) != 0 ||
        op_takes_setting(c, PAD, 0, INT32_MAX) != 0 || op_takes_setting(c, PAD_END, 0, INT32_MAX) != 0 ||
        op_takes_setting(c, X_ZERO, INT8_MIN, INT8_MAX) != 0)
        return -EINVAL;
    if (x->dim[2] != w->dim[2])
        return op_refuse(c, "the weights have %u channels, the input %u", w->dim[2], x->dim[2]);
    if (x->dim[1] == 0 || w->dim[1] == 0)
        return op_refuse(c, "the length of the input or of the kernel is 0");
    if (check_common(c, w->dim[0], op_span(w, 1, 3)) != 0)
        return -EINVAL;
    extent = ((int64_t)w->dim[1] - 1) * c->node->ints[DILATION] + 1;
    room = (int64_t)x->dim[1] + c->node->ints[PAD] + c->node->ints[PAD_END] - extent;
    if (room < 0)
        return op_refuse(c, "the kernel reaches over %lld, the input with its padding has %lld",
                         (long long)extent, (long long)(room + extent));
    y.dim[0] = x->dim[0];
    y.dim[2] = w->dim[0];
    if (op_dim(c, &y, 1, room / c->node->ints[STRIDE] + 1) != 0)
        return -EINVAL;
    op_gives(c, 0, output_type(c->node), &y);
    return 0;
}

static struct kernel_conv1d conv_of(const struct op_call *c)
{
    const struct infer_shape *x = &c->in[X]->shape, *w = &c->in[W]->shape;

    return (struct kernel_conv1d){.channels = x->dim[2],
                                  .length = x->dim[1],
                                  .outputs = w->dim[0],
                                  .n_out = c->out[0]->shape.dim[1],
                                  .kernel = w->dim[1],
                                  .stride = (size_t)c->node->ints[STRIDE],
                                  .dilation = (size_t)c->node->ints[DILATION],
                                  .pad_begin = (size_t)c->node->ints[PAD],
                                  .x_zero = c->node->ints[X_ZERO]};
}

size_t op_conv1d_i8_scratch_bytes(const struct op_call *c)
{
    struct kernel_conv1d conv = conv_of(c);

    return kernel_conv1d_i8_scratch_bytes(&conv);
}

uint64_t op_conv1d_i8_operations(const struct op_call *c)
{
    return op_product(2 * op_span(&c->in[W]->shape, 1, 3) + 2, op_elements(c->out[0]));
}

void op_conv1d_i8_run(const struct op_call *c)
{
    struct kernel_requantize q = requantize_of(c);
    struct kernel_conv1d conv = conv_of(c);
    size_t n_x = conv.length * conv.channels, n_y = conv.n_out * conv.outputs;

    for (size_t n = 0; n < c->in[X]->shape.dim[0]; n++) {
        struct bytes_or_floats y = y_from(c, n * n_y);

        kernel_conv1d_i8(kernel_best(), &conv, (const int8_t *)c->x[X] + n * n_x, c->x[W], c->x[BIAS], &q,
                         y.bytes, y.floats, c->scratch);
    }
}
