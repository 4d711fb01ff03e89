/* Products: Gemm, MatMul, convolutions. */
#include "model/import_private.h"

#include <math.h>

int import_gemm(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_GEMM};
    int r = import_need_inputs(im, n, im->opset < 11 ? 3 : 2);

    if (r == 0)
        r = import_dense_i8(im, n);
    if (r != 0)
        return r < 0 ? r : 0;
    node.ints[0] = import_int(im, "transA", 0) != 0;
    node.ints[1] = import_int(im, "transB", 0) != 0;
    node.floats[0] = import_float(im, "alpha", 1);
    node.floats[1] = import_float(im, "beta", 1);
    return import_emit1(im, &node, n->in, n->n_in > 3 ? 3 : n->n_in, n->out[0]);
}

int import_matmul(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_MATMUL};
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = import_dense_i8(im, n);
    if (r != 0)
        return r < 0 ? r : 0;
    return import_emit1(im, &node, n->in, 2, n->out[0]);
}

/* ---- convolutions ---- */

/* The group, and the window from the shapes of input and weights. */
static int conv_settings(struct import *im, struct import_node *n, struct infer_node *node)
{
    const struct infer_shape *x = &n->in[0]->shape, *w = &n->in[1]->shape;

    if (x->rank != w->rank || x->rank < 3)
        return import_refuse(im, "its input has %u dimensions, its weights %u", x->rank, w->rank);
    node->ints[0] = import_i32(import_int(im, "group", 1));
    return import_window(im, x, w->dim + 2, x->rank - 2U, true, node->ints);
}

struct norm {
    const float *scale, *bias, *mean, *variance;
    float epsilon;
};

/* The BatchNormalization that alone uses v, when all it has is constant and of `channels`; NULL: none. */
static struct import_node *norm_after(struct import *im, const struct import_value *v, uint32_t channels,
                                      struct norm *ret_norm)
{
    struct import_node *n = import_only_user(v), *here = im->node;
    const float *values[4];

    if (n == NULL || !import_is(n, "BatchNormalization") || n->n_in != 5 || n->in[0] != v || n->n_out < 1 ||
        n->out[0] == NULL)
        return NULL;
    for (size_t i = 0; i < 4; i++) {
        struct import_value *p = n->in[1 + i];

        if (p == NULL || p->data == NULL || p->type != INFER_F32 || p->shape.rank != 1 ||
            p->shape.dim[0] != channels)
            return NULL;
        values[i] = p->data;
    }
    for (size_t i = 1; i < n->n_out; i++)
        if (n->out[i] != NULL)
            return NULL;
    im->node = n;
    *ret_norm = (struct norm){values[0], values[1], values[2], values[3], import_float(im, "epsilon", 1e-5f)};
    if (import_int(im, "training_mode", 0) != 0 || import_int(im, "spatial", 1) != 1 ||
        (im->opset < 7 && import_int(im, "is_test", 0) == 0))
        n = NULL;
    im->node = here;
    return n;
}

/* Weights and bias with the normalisation in them: w * s, (b - mean) * s + bias where s = scale /
 * sqrt(variance + epsilon). Output channel of a weight: dimension 0, and for transposed ones dimension 1 of
 * its group. */
static int fold_norm(struct import *im, struct import_value *w, const struct import_value *b,
                     const struct norm *norm, uint32_t channels, bool transposed, int32_t group,
                     struct import_value **ret_w, struct import_value **ret_b)
{
    size_t total = infer_shape_elements(&w->shape), each = 1, per_group = channels / (uint32_t)group;
    const float *from = w->data, *bias = b == NULL ? NULL : b->data;
    float *to, *to_bias;

    for (unsigned i = transposed ? 2 : 1; i < w->shape.rank; i++)
        each *= w->shape.dim[i];
    *ret_w = import_constant(im, INFER_F32, &w->shape, NULL);
    *ret_b = import_constant(im, INFER_F32, &(struct infer_shape){1, {channels}}, NULL);
    if (*ret_w == NULL || *ret_b == NULL)
        return import_no_memory(im);
    to = (float *)(uintptr_t)(*ret_w)->data;
    to_bias = (float *)(uintptr_t)(*ret_b)->data;
    for (size_t i = 0; i < total; i++) {
        size_t row = i / each, m = row;

        if (transposed)
            m = row / per_group / (w->shape.dim[0] / (uint32_t)group) * per_group + row % per_group;
        to[i] = (float)(from[i] * (norm->scale[m] / sqrt((double)norm->variance[m] + norm->epsilon)));
    }
    for (size_t m = 0; m < channels; m++) {
        double s = norm->scale[m] / sqrt((double)norm->variance[m] + norm->epsilon);

        to_bias[m] = (float)(((bias == NULL ? 0 : bias[m]) - (double)norm->mean[m]) * s + norm->bias[m]);
    }
    return 0;
}

/* Conv or ConvTranspose with settings in place, and the normalisation behind it. */
static int emit_conv(struct import *im, struct import_node *n, struct infer_node *node, bool transposed)
{
    struct import_value *w = n->in[1], *b = import_in(n, 2), *out = n->out[0];
    int64_t group = node->ints[0];
    uint32_t channels;
    struct import_node *after = NULL;
    struct norm norm;
    int r = 0;

    if (group < 1 || group > w->shape.dim[0] || w->shape.dim[0] % group != 0)
        return import_refuse(im, "%lld groups of %u", (long long)group, w->shape.dim[0]);
    channels = transposed ? w->shape.dim[1] * (uint32_t)group : w->shape.dim[0];
    if (w->data != NULL && w->type == INFER_F32 && channels > 0 && infer_shape_elements(&w->shape) > 0 &&
        (b == NULL ||
         (b->data != NULL && b->type == INFER_F32 && infer_shape_elements(&b->shape) == channels)))
        after = norm_after(im, out, channels, &norm);
    if (after != NULL) {
        r = fold_norm(im, w, b, &norm, channels, transposed, (int32_t)group, &w, &b);
        out = after->out[0];
        after->done = true;
    }
    return r != 0 ? r
                  : import_emit1(im, node, (struct import_value *[]){n->in[0], w, b}, b == NULL ? 2 : 3, out);
}

int import_conv(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CONV};
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = import_conv1d_i8(im, n);
    if (r != 0)
        return r < 0 ? r : 0;
    r = conv_settings(im, n, &node);
    return r != 0 ? r : emit_conv(im, n, &node, false);
}

/* Padding of a transposed convolution from the wanted size of the output. */
static int transpose_pads(struct import *im, struct import_node *n, int32_t *ints)
{
    struct span how = import_text(im, "auto_pad", "NOTSET");
    bool same = span_equal(how, span_str("SAME_UPPER")) || span_equal(how, span_str("SAME_LOWER"));
    const int64_t *out, *padding;
    size_t n_out, n_padding;
    unsigned n_spatial = (unsigned)ints[1];

    padding = import_ints(im, "output_padding", &n_padding);
    out = import_ints(im, "output_shape", &n_out);
    if ((padding != NULL && n_padding != n_spatial) ||
        (out != NULL && n_out != n_spatial && n_out != n_spatial + 2))
        return import_refuse(im, "its output_padding or output_shape is not for %u spatial dimensions",
                             n_spatial);
    for (unsigned i = 0; i < n_spatial; i++) {
        int64_t in = n->in[0]->shape.dim[2 + i], stride = ints[2 + i], want, total;

        if (padding != NULL && (padding[i] < 0 || padding[i] > INFER_ELEMENTS_MAX))
            return import_refuse(im, "an output_padding of %lld", (long long)padding[i]);
        ints[14 + i] = padding == NULL ? 0 : (int32_t)padding[i];
        if (out == NULL && !same)
            continue;
        want = out != NULL ? out[n_out - n_spatial + i] : in * stride;
        if (want < 0 || want > INFER_ELEMENTS_MAX)
            return import_refuse(im, "an output_shape of %lld", (long long)want);
        total = stride * (in - 1) + ints[14 + i] + ((int64_t)n->in[1]->shape.dim[2 + i] - 1) * ints[5 + i] +
                1 - want;
        if (total < 0) {
            ints[14 + i] = import_i32(ints[14 + i] - total);
            total = 0;
        }
        ints[8 + i] = import_i32(span_equal(how, span_str("SAME_UPPER")) ? total / 2 : total - total / 2);
        ints[11 + i] = import_i32(total - ints[8 + i]);
    }
    return 0;
}

int import_conv_transpose(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CONV_TRANSPOSE};
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = conv_settings(im, n, &node);
    if (r == 0)
        r = transpose_pads(im, n, node.ints);
    return r != 0 ? r : emit_conv(im, n, &node, true);
}
