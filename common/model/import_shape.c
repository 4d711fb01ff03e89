/* Shapes, constants, and what is left out. */
#include "model/import_private.h"

int import_through(struct import *im, struct infer_node *node, struct import_value *x,
                   struct import_value *out)
{
    struct import_value *moved;
    bool waits = x != NULL && x->quantised != NULL && x->data == NULL && x->tensor == INFER_NONE &&
                 infer_shape_elements(&x->scale->shape) == 1;
    int r;

    if (out == NULL)
        return import_refuse(im, "its output has no name");
    if (!waits)
        return import_emit1(im, node, &x, 1, out);
    moved = import_temp(im);
    if (moved == NULL)
        return import_no_memory(im);
    r = import_emit1(im, node, &x->quantised, 1, moved);
    if (r != 0)
        return r;
    out->type = INFER_F32;
    out->shape = moved->shape;
    out->quantised = moved;
    out->scale = x->scale;
    out->zero = x->zero;
    return 0;
}

int import_identity(struct import *im, struct import_node *n)
{
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        import_alias(n->out[0], n->in[0]);
    return r;
}

int import_dropout(struct import *im, struct import_node *n)
{
    struct import_value *mask = import_out(n, 1), *training, *ratio, *ones;
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = import_need(im, n, 2, &training);
    if (r == 0 && training != NULL && training->type == INFER_BOOL && *(const uint8_t *)training->data != 0) {
        r = import_need(im, n, 1, &ratio);
        if (r == 0 && (ratio == NULL || ratio->type != INFER_F32 || *(const float *)ratio->data != 0))
            r = import_refuse(
                im, "it is in training mode and gives random values; export the model for inference");
    }
    if (r != 0)
        return r;
    import_alias(n->out[0], n->in[0]);
    if (mask == NULL)
        return 0;
    ones = import_constant(im, im->opset < 10 ? n->in[0]->type : INFER_BOOL, &n->in[0]->shape, NULL);
    if (ones == NULL)
        return import_no_memory(im);
    if (ones->type == INFER_BOOL)
        memset((void *)(uintptr_t)ones->data, 1, infer_shape_elements(&ones->shape));
    else if (ones->type == INFER_F32)
        for (size_t i = 0; i < infer_shape_elements(&ones->shape); i++)
            ((float *)(uintptr_t)ones->data)[i] = 1;
    import_alias(mask, ones);
    return 0;
}

/* ---- constants ---- */

int import_constant_op(struct import *im, struct import_node *n)
{
    const struct onnx_tensor *t = import_tensor_attribute(im, "value");
    struct import_value *v = NULL;
    size_t count;
    int r = import_need_inputs(im, n, 0);

    if (r != 0)
        return r;
    if (t != NULL)
        return import_constant_of(im, t, n->out[0]);
    if (import_has(im, "value_float")) {
        v = import_f32(im, import_float(im, "value_float", 0));
    } else if (import_has(im, "value_int")) {
        int64_t i = import_int(im, "value_int", 0);

        v = import_constant(im, INFER_I64, &(struct infer_shape){0}, &i);
    } else if (import_has(im, "value_floats")) {
        const float *f = import_float_list(im, "value_floats", &count);

        v = import_floats(im, f, count);
    } else if (import_has(im, "value_ints")) {
        const int64_t *i = import_ints(im, "value_ints", &count);

        v = import_i64s(im, i, count);
    } else {
        return import_refuse(im, "a constant that is neither a tensor nor numbers, which is not supported");
    }
    if (v == NULL)
        return import_no_memory(im);
    import_alias(n->out[0], v);
    return 0;
}

int import_constant_of_shape(struct import *im, struct import_node *n)
{
    const struct onnx_tensor *t = import_tensor_attribute(im, "value");
    struct import_value one = {0}, *v;
    struct infer_shape shape;
    const int64_t *dims;
    size_t n_dims, bytes;
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = import_need_ints(im, n, 0, &dims, &n_dims);
    if (r == 0)
        r = import_shape(im, dims, n_dims, &shape);
    if (r == 0 && t != NULL)
        r = import_constant_of(im, t, &one);
    if (r != 0)
        return r;
    if (t != NULL && (one.data == NULL || t->n_elements != 1))
        return import_refuse(im, "its value is no single number of a type that is supported");
    v = import_constant(im, t == NULL ? INFER_F32 : one.type, &shape, NULL);
    if (v == NULL)
        return import_no_memory(im);
    bytes = infer_type_bytes(v->type);
    for (size_t i = 0; t != NULL && i < infer_shape_elements(&shape); i++)
        memcpy((uint8_t *)(uintptr_t)v->data + i * bytes, one.data, bytes);
    import_alias(n->out[0], v);
    return 0;
}

int import_shape_op(struct import *im, struct import_node *n)
{
    int64_t dims[INFER_RANK_MAX], rank, start, end;
    struct import_value *v;
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    rank = n->in[0]->shape.rank;
    for (int64_t i = 0; i < rank; i++)
        dims[i] = n->in[0]->shape.dim[i];
    start = import_int(im, "start", 0);
    end = import_int(im, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    v = import_i64s(im, dims + start, (size_t)(end - start));
    if (v == NULL)
        return import_no_memory(im);
    import_alias(n->out[0], v);
    return 0;
}

int import_size(struct import *im, struct import_node *n)
{
    int64_t size;
    struct import_value *v;
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    size = (int64_t)infer_shape_elements(&n->in[0]->shape);
    v = import_constant(im, INFER_I64, &(struct infer_shape){0}, &size);
    if (v == NULL)
        return import_no_memory(im);
    import_alias(n->out[0], v);
    return 0;
}

/* ---- shapes ---- */

/* Fills 0 (as in the input) and -1 (what is left). */
static int reshaped(struct import *im, const struct infer_shape *x, const int64_t *dims, size_t n,
                    struct infer_shape *ret_shape)
{
    int64_t out[INFER_RANK_MAX];
    size_t known = 1, open = SIZE_MAX, total = infer_shape_elements(x);
    bool allow_zero = im->opset >= 14 && import_int(im, "allowzero", 0) != 0;

    if (n > INFER_RANK_MAX)
        return import_refuse(im, "a shape of %zu dimensions, at most %d can be", n, INFER_RANK_MAX);
    for (size_t i = 0; i < n; i++) {
        out[i] = dims[i];
        if (dims[i] == 0 && !allow_zero) {
            if (i >= x->rank)
                return import_refuse(im, "dimension %zu is to be as in its input, which has %u", i, x->rank);
            out[i] = x->dim[i];
        }
        if (dims[i] == -1 && open == SIZE_MAX)
            open = i;
        else if (out[i] < 0 || out[i] > INFER_ELEMENTS_MAX)
            return import_refuse(im, "a dimension of %lld elements", (long long)out[i]);
        else
            known = known * (size_t)out[i] > INFER_ELEMENTS_MAX ? INFER_ELEMENTS_MAX + 1U
                                                                : known * (size_t)out[i];
    }
    if (open != SIZE_MAX) {
        if (known == 0 || total % known != 0)
            return import_refuse(im, "%zu elements cannot be made a multiple of %zu", total, known);
        out[open] = (int64_t)(total / known);
    }
    return import_shape(im, out, n, ret_shape);
}

int import_reshape_op(struct import *im, struct import_node *n)
{
    struct infer_shape shape;
    const int64_t *dims;
    size_t n_dims;
    int r = import_need_inputs(im, n, im->opset < 5 ? 1 : 2);

    if (r != 0)
        return r;
    if (im->opset < 5)
        dims = import_ints(im, "shape", &n_dims);
    else
        r = import_need_ints(im, n, 1, &dims, &n_dims);
    if (r == 0)
        r = reshaped(im, &n->in[0]->shape, dims, n_dims, &shape);
    return r != 0 ? r : import_reshape(im, n->in[0], &shape, n->out[0]);
}

int import_flatten(struct import *im, struct import_node *n)
{
    struct infer_shape s = {2, {1, 1}};
    int64_t axis;
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    axis = import_int(im, "axis", 1);
    if (axis < 0)
        axis += n->in[0]->shape.rank;
    if (axis < 0 || axis > n->in[0]->shape.rank)
        return import_refuse(im, "axis %lld of %u dimensions", (long long)axis, n->in[0]->shape.rank);
    for (unsigned i = 0; i < n->in[0]->shape.rank; i++)
        s.dim[i >= axis] *= n->in[0]->shape.dim[i];
    return import_reshape(im, n->in[0], &s, n->out[0]);
}

/* Axes from set 13 on in an input, before in an attribute; as a mask over `rank`. *ret_n 0: none were given.
 */
static int axes_mask(struct import *im, struct import_node *n, unsigned rank, unsigned *ret_mask,
                     size_t *ret_n)
{
    const int64_t *axes;
    int r = 0;

    *ret_mask = 0;
    if (im->opset < 13)
        axes = import_ints(im, "axes", ret_n);
    else
        r = import_need_ints(im, n, 1, &axes, ret_n);
    if (r != 0)
        return r;
    if (*ret_n == SIZE_MAX)
        *ret_n = 0;
    for (size_t i = 0; i < *ret_n; i++) {
        int axis = import_axis(im, axes[i], rank);

        if (axis < 0)
            return -EINVAL;
        *ret_mask |= 1U << axis;
    }
    return 0;
}

int import_squeeze(struct import *im, struct import_node *n)
{
    struct infer_shape s = {0};
    unsigned mask;
    size_t n_axes;
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = axes_mask(im, n, n->in[0]->shape.rank, &mask, &n_axes);
    for (unsigned i = 0; r == 0 && i < n->in[0]->shape.rank; i++) {
        uint32_t dim = n->in[0]->shape.dim[i];

        if (n_axes == 0 ? dim == 1 : mask >> i & 1) {
            if (dim != 1)
                r = import_refuse(im, "dimension %u has %u elements and cannot be left out", i, dim);
            continue;
        }
        s.dim[s.rank++] = dim;
    }
    return r != 0 ? r : import_reshape(im, n->in[0], &s, n->out[0]);
}

int import_unsqueeze(struct import *im, struct import_node *n)
{
    struct infer_shape s = {0};
    unsigned mask, from = 0;
    size_t n_axes = im->opset < 13 ? 0 : SIZE_MAX;
    const int64_t *axes;
    int r = import_need_inputs(im, n, 1);

    /* How many there are says what they count from. */
    if (r == 0 && im->opset < 13)
        import_ints(im, "axes", &n_axes);
    else if (r == 0)
        r = import_need_ints(im, n, 1, &axes, &n_axes);
    if (r == 0 && (n_axes == 0 || n_axes > INFER_RANK_MAX || n_axes + n->in[0]->shape.rank > INFER_RANK_MAX))
        r = import_refuse(im, "it adds %zu dimensions to %u; there can be %d",
                          n_axes == SIZE_MAX ? 0 : n_axes, n->in[0]->shape.rank, INFER_RANK_MAX);
    if (r == 0)
        r = axes_mask(im, n, (unsigned)n_axes + n->in[0]->shape.rank, &mask, &n_axes);
    if (r == 0 && (size_t)__builtin_popcount(mask) != n_axes)
        r = import_refuse(im, "it names a dimension twice");
    if (r != 0)
        return r;
    s.rank = (uint8_t)(n_axes + n->in[0]->shape.rank);
    for (unsigned i = 0; i < s.rank; i++)
        s.dim[i] = mask >> i & 1 ? 1 : n->in[0]->shape.dim[from++];
    return import_reshape(im, n->in[0], &s, n->out[0]);
}

int import_transpose(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_TRANSPOSE};
    const int64_t *perm;
    size_t n_perm;
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    perm = import_ints(im, "perm", &n_perm);
    if (n_perm > 0 && n_perm != n->in[0]->shape.rank)
        return import_refuse(im, "it permutes %zu dimensions of %u", n_perm, n->in[0]->shape.rank);
    for (unsigned i = 0; i < n->in[0]->shape.rank; i++)
        node.ints[i] = n_perm > 0 ? import_i32(perm[i]) : (int32_t)(n->in[0]->shape.rank - 1 - i);
    return import_through(im, &node, n->in[0], n->out[0]);
}
