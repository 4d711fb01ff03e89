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

/* One x, all outputs; y_index: of the first. */
static void dense(const struct op_call *c, const int8_t *x, size_t k, size_t m, size_t y_index)
{
    const struct kernel_table *kernel = kernel_best();
    struct kernel_requantize q = {c->x[MULTIPLIER], c->node->ints[Y_ZERO], c->node->ints[LOWEST]};

    if (c->out[0]->type == INFER_F32)
        kernel->dense_i8_f32(x, c->x[W], c->x[BIAS], k, m, c->x[MULTIPLIER], (float *)c->y[0] + y_index);
    else
        kernel->dense_i8(x, c->x[W], c->x[BIAS], k, m, &q, (int8_t *)c->y[0] + y_index);
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

    for (size_t n = 0; n < c->in[X]->shape.dim[0]; n++)
        dense(c, (const int8_t *)c->x[X] + n * k, k, m, n * m);
}

/* ---- 1-D convolution, channels last: a window is one row ---- */

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

size_t op_conv1d_i8_scratch_bytes(const struct op_call *c)
{
    return op_span(&c->in[W]->shape, 1, 3);
}

uint64_t op_conv1d_i8_operations(const struct op_call *c)
{
    return op_product(2 * op_span(&c->in[W]->shape, 1, 3) + 2, op_elements(c->out[0]));
}

void op_conv1d_i8_run(const struct op_call *c)
{
    const struct infer_shape *sx = &c->in[X]->shape, *sw = &c->in[W]->shape;
    size_t channels = sx->dim[2], taps = sw->dim[1], m = sw->dim[0], n_out = c->out[0]->shape.dim[1];
    int64_t dilation = c->node->ints[DILATION], length = sx->dim[1];
    int8_t *row = c->scratch;

    for (size_t n = 0; n < sx->dim[0]; n++)
        for (size_t o = 0; o < n_out; o++) {
            const int8_t *x = (const int8_t *)c->x[X] + n * (size_t)length * channels;
            int64_t first = (int64_t)o * c->node->ints[STRIDE] - c->node->ints[PAD];
            bool is_row = dilation == 1 && first >= 0 && first + (int64_t)taps <= length;

            for (size_t k = 0; !is_row && k < taps; k++) {
                int64_t i = first + (int64_t)k * dilation;

                if (i >= 0 && i < length)
                    memcpy(row + k * channels, x + (size_t)i * channels, channels);
                else
                    memset(row + k * channels, c->node->ints[X_ZERO], channels);
            }
            dense(c, is_row ? x + (size_t)first * channels : row, taps * channels, m, (n * n_out + o) * m);
        }
}
