/* Element by element, and reductions. */
#include "model/import_private.h"

#include <math.h>

static bool is_op(const struct import *im, const char *name)
{
    return span_equal(im->node->onnx->op, span_str(name));
}

int import_unary(struct import *im, struct import_node *n)
{
    static const struct {
        const char *name;
        uint16_t op;
        const char *settings[2];
        float otherwise[2];
    } ops[] = {
        {"Abs", INFER_ABS, {NULL}, {0}},
        {"Elu", INFER_ELU, {"alpha"}, {1}},
        {"Exp", INFER_EXP, {NULL}, {0}},
        {"HardSigmoid", INFER_HARD_SIGMOID, {"alpha", "beta"}, {0.2f, 0.5f}},
        {"LeakyRelu", INFER_LEAKY_RELU, {"alpha"}, {0.01f}},
        {"Log", INFER_LOG, {NULL}, {0}},
        {"Neg", INFER_NEG, {NULL}, {0}},
        {"Relu", INFER_RELU, {NULL}, {0}},
        {"Selu", INFER_SELU, {"alpha", "gamma"}, {1.67326319217681884765625f, 1.05070102214813232421875f}},
        {"Sigmoid", INFER_SIGMOID, {NULL}, {0}},
        {"Softplus", INFER_SOFTPLUS, {NULL}, {0}},
        {"Sqrt", INFER_SQRT, {NULL}, {0}},
        {"Tanh", INFER_TANH, {NULL}, {0}},
    };
    struct infer_node node = {0};
    int r = import_need_inputs(im, n, 1);

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (!is_op(im, ops[i].name))
            continue;
        node.op = ops[i].op;
        for (size_t k = 0; k < 2 && ops[i].settings[k] != NULL; k++)
            node.floats[k] = import_float(im, ops[i].settings[k], ops[i].otherwise[k]);
        /* Before set 6 the defaults of Selu had fewer digits. */
        if (node.op == INFER_SELU && im->opset < 6) {
            node.floats[0] = import_float(im, "alpha", 1.6732f);
            node.floats[1] = import_float(im, "gamma", 1.0507f);
        }
    }
    return r != 0 ? r : import_emit1(im, &node, n->in, 1, n->out[0]);
}

/* Before set 7: the second input stands at `axis` of the first, when `broadcast` says so. */
static int old_broadcast(struct import *im, struct import_value *a, struct import_value **b)
{
    struct infer_shape s = {.rank = a->shape.rank};
    struct import_value *v;
    int axis;

    if (im->opset >= 7 || import_int(im, "broadcast", 0) == 0 || !import_has(im, "axis"))
        return 0;
    axis = import_axis(im, import_int(im, "axis", 0), a->shape.rank);
    if (axis < 0 || (unsigned)axis + (*b)->shape.rank > s.rank)
        return import_refuse(im, "its inputs cannot be broadcast by the axis it names");
    for (unsigned i = 0; i < s.rank; i++)
        s.dim[i] = 1;
    for (unsigned i = 0; i < (*b)->shape.rank; i++)
        s.dim[(unsigned)axis + i] = (*b)->shape.dim[i];
    v = import_temp(im);
    if (v == NULL)
        return import_no_memory(im);
    if (import_reshape(im, *b, &s, v) != 0)
        return -EINVAL;
    *b = v;
    return 0;
}

int import_binary_op(struct import *im, struct import_node *n)
{
    uint16_t op = is_op(im, "Add")   ? INFER_ADD
                  : is_op(im, "Sub") ? INFER_SUB
                  : is_op(im, "Mul") ? INFER_MUL
                                     : INFER_DIV;
    struct import_value *b = import_in(n, 1);
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = old_broadcast(im, n->in[0], &b);
    return r != 0 ? r : import_binary(im, op, n->in[0], b, n->out[0]);
}

int import_prelu(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_PRELU};
    struct import_value *slope = import_in(n, 1);
    int r = import_need_inputs(im, n, 2);

    /* Before set 7 one slope for each channel, dimension 1. */
    if (r == 0 && im->opset < 7 && slope->shape.rank == 1 && slope->shape.dim[0] > 1 &&
        n->in[0]->shape.rank > 2) {
        struct infer_shape s = {.rank = n->in[0]->shape.rank};

        for (unsigned i = 0; i < s.rank; i++)
            s.dim[i] = i == 1 ? slope->shape.dim[0] : 1;
        slope = import_temp(im);
        r = slope == NULL ? import_no_memory(im) : import_reshape(im, n->in[1], &s, slope);
    }
    return r != 0 ? r : import_emit1(im, &node, (struct import_value *[]){n->in[0], slope}, 2, n->out[0]);
}

int import_variadic(struct import *im, struct import_node *n)
{
    uint16_t op = is_op(im, "Max") ? INFER_MAX : is_op(im, "Min") ? INFER_MIN : INFER_ADD;
    bool mean = is_op(im, "Mean");
    struct import_value *so_far = import_in(n, 0), *next;
    int r = import_need_inputs(im, n, n->n_in == 0 ? 1 : n->n_in);

    for (size_t i = 1; i < n->n_in && r == 0; i++) {
        next = i + 1 == n->n_in && !mean ? n->out[0] : import_temp(im);
        r = next == NULL ? import_no_memory(im) : import_binary(im, op, so_far, n->in[i], next);
        so_far = next;
    }
    if (r == 0 && mean)
        r = import_binary(im, INFER_DIV, so_far, import_f32(im, (float)n->n_in), n->out[0]);
    else if (r == 0 && n->n_in == 1)
        import_alias(n->out[0], so_far);
    return r;
}

int import_reciprocal(struct import *im, struct import_node *n)
{
    int r = import_need_inputs(im, n, 1);

    return r != 0 ? r : import_binary(im, INFER_DIV, import_f32(im, 1), n->in[0], n->out[0]);
}

int import_hard_swish(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_HARD_SIGMOID, .floats = {1.0f / 6, 0.5f}};
    struct import_value *gate = import_temp(im);
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = gate == NULL ? import_no_memory(im) : import_emit1(im, &node, n->in, 1, gate);
    return r != 0 ? r : import_binary(im, INFER_MUL, n->in[0], gate, n->out[0]);
}

int import_clip(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CLIP};
    struct import_value *low = import_in(n, 1), *high = import_in(n, 2);
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    if (im->opset < 11) {
        low = import_has(im, "min") ? import_f32(im, import_float(im, "min", 0)) : NULL;
        high = import_has(im, "max") ? import_f32(im, import_float(im, "max", 0)) : NULL;
    }
    if (low == NULL && high == NULL) {
        import_alias(n->out[0], n->in[0]);
        return 0;
    }
    return import_emit1(im, &node, (struct import_value *[]){n->in[0], low, high}, high == NULL ? 2 : 3,
                        n->out[0]);
}

static int32_t type_by_name(struct span name)
{
    static const char *const names[] = {"UNDEFINED", "FLOAT", "UINT8",  "INT8", "UINT16",  "INT16",
                                        "INT32",     "INT64", "STRING", "BOOL", "FLOAT16", "DOUBLE"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_equal(name, span_str(names[i])))
            return (int32_t)i;
    return 0;
}

int import_cast_op(struct import *im, struct import_node *n)
{
    int32_t to =
        im->opset < 6 ? type_by_name(import_text(im, "to", "")) : import_i32(import_int(im, "to", 0));
    enum infer_type type = import_type(to);
    struct import_value *v;
    int r = import_need_inputs(im, n, 1);

    if (r == 0 && type == 0)
        r = import_refuse(im, "a cast to %s, which is not supported", onnx_type_name(to));
    if (r == 0 && (type == INFER_TEXT) != (n->in[0]->type == INFER_TEXT))
        r = import_refuse(im, "a cast between numbers and texts, which is not supported");
    if (r == 0)
        r = import_cast(im, n->in[0], type, &v);
    if (r == 0)
        import_alias(n->out[0], v);
    return r;
}

int import_softmax(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = is_op(im, "Softmax") ? INFER_SOFTMAX : INFER_LOG_SOFTMAX};
    struct import_value *flat, *soft;
    struct infer_shape s = {2, {1, 1}};
    int axis, r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    axis = import_axis(im, import_int(im, "axis", im->opset < 13 ? 1 : -1), n->in[0]->shape.rank);
    if (axis < 0)
        return -EINVAL;
    node.ints[0] = axis;
    if (im->opset >= 13 || axis + 1 == n->in[0]->shape.rank)
        return import_emit1(im, &node, n->in, 1, n->out[0]);
    /* It was over all dimensions from the axis on. */
    for (unsigned i = 0; i < n->in[0]->shape.rank; i++)
        s.dim[i >= (unsigned)axis] *= n->in[0]->shape.dim[i];
    node.ints[0] = 1;
    flat = import_temp(im);
    soft = import_temp(im);
    if (flat == NULL || soft == NULL)
        return import_no_memory(im);
    r = import_reshape(im, n->in[0], &s, flat);
    if (r == 0)
        r = import_emit1(im, &node, &flat, 1, soft);
    return r != 0 ? r : import_reshape(im, soft, &n->in[0]->shape, n->out[0]);
}

int import_reduce(struct import *im, struct import_node *n)
{
    uint16_t op = is_op(im, "ReduceMean")  ? INFER_REDUCE_MEAN
                  : is_op(im, "ReduceSum") ? INFER_REDUCE_SUM
                                           : INFER_REDUCE_MAX;
    struct infer_node node = {.op = op};
    size_t n_axes;
    const int64_t *axes;
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    if (im->opset >= (op == INFER_REDUCE_SUM ? 13 : 18)) {
        r = import_need_ints(im, n, 1, &axes, &n_axes);
        if (r != 0)
            return r;
        if (n_axes == SIZE_MAX)
            n_axes = 0;
    } else {
        axes = import_ints(im, "axes", &n_axes);
    }
    if (n_axes == 0 && import_int(im, "noop_with_empty_axes", 0) != 0) {
        import_alias(n->out[0], n->in[0]);
        return 0;
    }
    for (size_t i = 0; i < n_axes; i++) {
        int axis = import_axis(im, axes[i], n->in[0]->shape.rank);

        if (axis < 0)
            return -EINVAL;
        node.ints[0] |= 1 << axis;
    }
    if (n_axes == 0)
        node.ints[0] = (1 << n->in[0]->shape.rank) - 1;
    node.ints[1] = import_int(im, "keepdims", 1) != 0;
    return import_emit1(im, &node, n->in, 1, n->out[0]);
}

int import_arg_max(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_ARG_MAX};
    int axis, r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    axis = import_axis(im, import_int(im, "axis", 0), n->in[0]->shape.rank);
    if (axis < 0)
        return -EINVAL;
    node.ints[0] = axis;
    node.ints[1] = import_int(im, "keepdims", 1) != 0;
    node.ints[2] = import_int(im, "select_last_index", 0) != 0;
    return import_emit1(im, &node, n->in, 1, n->out[0]);
}
