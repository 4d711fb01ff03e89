/* Parts of tensors: joined, cut, padded, picked. */
#include "model/import_private.h"

/* A slice of everything, to be narrowed axis by axis. */
static struct infer_node whole(const struct infer_shape *s)
{
    struct infer_node node = {.op = INFER_SLICE};

    for (unsigned i = 0; i < s->rank; i++) {
        node.ints[6 + i] = 1;
        node.ints[12 + i] = (int32_t)s->dim[i];
    }
    return node;
}

int import_concat(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CONCAT};
    struct import_value *so_far = NULL, *part, *out;
    int axis, r = import_need_inputs(im, n, n->n_in == 0 ? 1 : n->n_in);

    if (r != 0)
        return r;
    axis = import_axis(im, import_int(im, "axis", 1), n->in[0]->shape.rank);
    if (axis < 0)
        return -EINVAL;
    node.ints[0] = axis;
    if (n->n_in == 1) {
        import_alias(n->out[0], n->in[0]);
        return 0;
    }
    for (size_t at = 0; at < n->n_in && r == 0;) {
        struct import_value *in[INFER_NODE_INPUTS_MAX];
        size_t k = 0;

        if (so_far != NULL)
            in[k++] = so_far;
        while (k < INFER_NODE_INPUTS_MAX && at < n->n_in) {
            part = n->in[at++];
            /* Exporters join with nothing, of whatever shape. */
            if (infer_shape_elements(&part->shape) > 0 || n->n_in <= INFER_NODE_INPUTS_MAX)
                in[k++] = part;
        }
        out = at == n->n_in ? n->out[0] : import_temp(im);
        r = out == NULL ? import_no_memory(im) : import_emit1(im, &node, in, k, out);
        so_far = out;
    }
    return r;
}

/* One axis of a slice, by numpy's rules. */
static int narrow(struct import *im, struct infer_node *node, int axis, int64_t start, int64_t end,
                  int64_t step)
{
    int64_t dim = node->ints[12 + axis], kept;

    if (step == 0 || step == INT64_MIN)
        return import_refuse(im, "a step of 0");
    step = step > INT32_MAX ? INT32_MAX : step < -INT32_MAX ? -INT32_MAX : step;
    if (start < 0)
        start = start < -dim ? -1 : start + dim;
    if (end < 0)
        end = end < -dim ? -1 : end + dim;
    if (step > 0) {
        start = start < 0 ? 0 : start > dim ? dim : start;
        end = end < 0 ? 0 : end > dim ? dim : end;
        kept = end > start ? (end - start + step - 1) / step : 0;
    } else {
        start = start < 0 ? -1 : start > dim - 1 ? dim - 1 : start;
        end = end < -1 ? -1 : end > dim - 1 ? dim - 1 : end;
        kept = start > end ? (start - end - step - 1) / -step : 0;
    }
    node->ints[axis] = kept == 0 ? 0 : (int32_t)start;
    node->ints[6 + axis] = (int32_t)step;
    node->ints[12 + axis] = (int32_t)kept;
    return 0;
}

int import_slice(struct import *im, struct import_node *n)
{
    const int64_t *starts, *ends, *axes = NULL, *steps = NULL;
    size_t n_starts, n_ends, n_axes = SIZE_MAX, n_steps = SIZE_MAX;
    struct infer_node node;
    int r = import_need_inputs(im, n, im->opset < 10 ? 1 : 3);

    if (r != 0)
        return r;
    if (im->opset < 10) {
        starts = import_ints(im, "starts", &n_starts);
        ends = import_ints(im, "ends", &n_ends);
        if (import_has(im, "axes"))
            axes = import_ints(im, "axes", &n_axes);
    } else {
        r = import_need_ints(im, n, 1, &starts, &n_starts);
        if (r == 0)
            r = import_need_ints(im, n, 2, &ends, &n_ends);
        if (r == 0)
            r = import_need_ints(im, n, 3, &axes, &n_axes);
        if (r == 0)
            r = import_need_ints(im, n, 4, &steps, &n_steps);
        if (r != 0)
            return r;
    }
    if (n_starts != n_ends || (axes != NULL && n_axes != n_starts) ||
        (steps != NULL && n_steps != n_starts) || n_starts > n->in[0]->shape.rank)
        return import_refuse(im, "its starts, ends, axes and steps are not equally many");
    node = whole(&n->in[0]->shape);
    for (size_t i = 0; i < n_starts && r == 0; i++) {
        int axis = import_axis(im, axes == NULL ? (int64_t)i : axes[i], n->in[0]->shape.rank);

        r = axis < 0 ? -EINVAL : narrow(im, &node, axis, starts[i], ends[i], steps == NULL ? 1 : steps[i]);
    }
    return r != 0 ? r : import_through(im, &node, n->in[0], n->out[0]);
}

/* Sizes of the parts: given, or equal ones where the last may be smaller. */
static int parts(struct import *im, struct import_node *n, uint32_t dim, const int64_t **sizes,
                 size_t *n_sizes)
{
    int64_t each;
    int r = 0;

    if (im->opset < 13)
        *sizes = import_ints(im, "split", n_sizes);
    else
        r = import_need_ints(im, n, 1, sizes, n_sizes);
    if (r == 0 && im->opset < 2 && *n_sizes == 0)
        r = import_need_ints(im, n, 1, sizes, n_sizes);
    if (r != 0)
        return r;
    if (*n_sizes == SIZE_MAX || *n_sizes == 0) {
        int64_t *made = pool_alloc(&im->pool, n->n_out, sizeof *made), left = dim;

        if (made == NULL)
            return import_no_memory(im);
        each = ((int64_t)dim + (int64_t)n->n_out - 1) / (int64_t)n->n_out;
        for (size_t i = 0; i < n->n_out; i++, left -= each)
            made[i] = left > each ? each : left > 0 ? left : 0;
        *sizes = made;
        *n_sizes = n->n_out;
    }
    return *n_sizes == n->n_out
               ? 0
               : import_refuse(im, "it names %zu parts and has %zu outputs", *n_sizes, n->n_out);
}

int import_split(struct import *im, struct import_node *n)
{
    const int64_t *sizes;
    size_t n_sizes;
    int64_t at = 0;
    int axis, r = n->n_in == 0 || n->in[0] == NULL || n->n_out == 0
                      ? import_refuse(im, "it has no input or output")
                      : 0;

    if (r != 0)
        return r;
    axis = import_axis(im, import_int(im, "axis", 0), n->in[0]->shape.rank);
    if (axis < 0)
        return -EINVAL;
    r = parts(im, n, n->in[0]->shape.dim[axis], &sizes, &n_sizes);
    for (size_t i = 0; i < n_sizes && r == 0; i++) {
        struct infer_node node = whole(&n->in[0]->shape);

        if (sizes[i] < 0 || sizes[i] > n->in[0]->shape.dim[axis] - at)
            return import_refuse(im, "its parts have more elements than its input");
        node.ints[axis] = sizes[i] == 0 ? 0 : (int32_t)at;
        node.ints[12 + axis] = (int32_t)sizes[i];
        at += sizes[i];
        if (n->out[i] != NULL)
            r = import_through(im, &node, n->in[0], n->out[i]);
    }
    return r;
}

/* Where pads stand: all axes, or those that input 3 names. Into [1..6] and [7..12]. */
static int pads_of(struct import *im, struct import_node *n, int64_t pads[2][INFER_RANK_MAX])
{
    unsigned rank = n->in[0]->shape.rank;
    const int64_t *given, *axes = NULL;
    size_t n_given, n_axes = SIZE_MAX;
    int r = 0;

    if (im->opset < 11)
        given = import_ints(im, im->opset < 2 ? "paddings" : "pads", &n_given);
    else
        r = import_need_ints(im, n, 1, &given, &n_given);
    if (r == 0 && im->opset >= 18)
        r = import_need_ints(im, n, 3, &axes, &n_axes);
    if (r != 0)
        return r;
    if (n_axes == SIZE_MAX)
        n_axes = rank;
    if (n_axes > rank || n_given != 2 * n_axes)
        return import_refuse(im, "it has %zu pads for %zu dimensions", n_given == SIZE_MAX ? 0 : n_given,
                             n_axes);
    for (size_t i = 0; i < n_axes; i++) {
        int axis = import_axis(im, axes == NULL ? (int64_t)i : axes[i], rank);

        if (axis < 0)
            return -EINVAL;
        for (size_t side = 0; side < 2; side++) {
            pads[side][axis] = given[i + side * n_axes];
            if (pads[side][axis] > INFER_ELEMENTS_MAX || pads[side][axis] < -INFER_ELEMENTS_MAX)
                return import_refuse(im, "a pad of %lld elements", (long long)pads[side][axis]);
        }
    }
    return 0;
}

static int crop(struct import *im, struct import_value *x, int64_t pads[2][INFER_RANK_MAX],
                struct import_value **ret_x)
{
    struct infer_node node = whole(&x->shape);
    bool any = false;

    for (unsigned i = 0; i < x->shape.rank; i++) {
        for (unsigned side = 0; side < 2; side++) {
            int64_t less = pads[side][i] < 0 ? -pads[side][i] : 0;

            if (less > node.ints[12 + i])
                return import_refuse(im, "it takes more away than there is");
            node.ints[12 + i] -= (int32_t)less;
            if (side == 0 && less > 0)
                node.ints[i] = node.ints[12 + i] == 0 ? 0 : (int32_t)less;
            pads[side][i] = less > 0 ? 0 : pads[side][i];
            any |= less > 0;
        }
    }
    *ret_x = x;
    if (!any)
        return 0;
    *ret_x = import_temp(im);
    return *ret_x == NULL ? import_no_memory(im) : import_emit1(im, &node, &x, 1, *ret_x);
}

int import_pad(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_PAD};
    struct span mode = import_text(im, "mode", "constant");
    struct import_value *value = im->opset < 11 ? NULL : import_in(n, 2), *x = NULL;
    int64_t pads[2][INFER_RANK_MAX] = {{0}};
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = pads_of(im, n, pads);
    if (r == 0)
        r = crop(im, n->in[0], pads, &x);
    if (r != 0)
        return r;
    if (span_equal(mode, span_str("reflect")))
        node.ints[0] = 1;
    else if (span_equal(mode, span_str("edge")))
        node.ints[0] = 2;
    else if (!span_equal(mode, span_str("constant")))
        return import_refuse(im, "its mode is none of constant, reflect, edge");
    if (im->opset < 11 && import_has(im, "value") &&
        (value = import_f32(im, import_float(im, "value", 0))) == NULL)
        return import_no_memory(im);
    for (unsigned i = 0; i < x->shape.rank; i++) {
        node.ints[1 + i] = (int32_t)pads[0][i];
        node.ints[7 + i] = (int32_t)pads[1][i];
    }
    return import_emit1(im, &node, (struct import_value *[]){x, value}, value == NULL ? 1 : 2, n->out[0]);
}

int import_gather(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_GATHER};
    int axis, r = import_need_inputs(im, n, 2);

    if (r != 0)
        return r;
    axis = import_axis(im, import_int(im, "axis", 0), n->in[0]->shape.rank);
    if (axis < 0)
        return -EINVAL;
    node.ints[0] = axis;
    return import_emit1(im, &node, n->in, 2, n->out[0]);
}

/* Times one, which changes no value. */
int import_expand(struct import *im, struct import_node *n)
{
    static const int64_t i64 = 1;
    static const int32_t i32 = 1;
    static const uint8_t u8 = 1;
    static const float f32 = 1;
    const void *one;
    struct import_value *ones;
    struct infer_shape shape;
    const int64_t *dims;
    size_t n_dims, bytes;
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = import_need_ints(im, n, 1, &dims, &n_dims);
    if (r == 0)
        r = import_shape(im, dims, n_dims, &shape);
    if (r != 0)
        return r;
    bytes = infer_type_bytes(n->in[0]->type);
    one = n->in[0]->type == INFER_F32 ? (const void *)&f32
          : bytes == 8                ? (const void *)&i64
          : bytes == 4                ? (const void *)&i32
                                      : (const void *)&u8;
    ones = import_constant(im, n->in[0]->type, &shape, NULL);
    if (ones == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i < infer_shape_elements(&shape) && bytes <= 8; i++)
        memcpy((uint8_t *)(uintptr_t)ones->data + i * bytes, one, bytes == 2 ? 1 : bytes);
    return import_binary(im, INFER_MUL, n->in[0], ones, n->out[0]);
}
