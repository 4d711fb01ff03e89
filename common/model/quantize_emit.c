/* The graph of integers, item by item; other forms of a tensor are made when they are asked for. */
#include "model/quantize_private.h"

#include <math.h>

static const struct infer_tensor *tensor_of(const struct quantizer *q, uint16_t tensor)
{
    return &q->plan.graph->tensors[tensor];
}

int q_node(struct quantizer *q, struct infer_node *node, size_t n_inputs, uint16_t *ret_tensor)
{
    node->n_inputs = (uint8_t)n_inputs;
    node->n_outputs = 1;
    return infer_build_node(q->build, node, ret_tensor, q->err);
}

int q_scalar(struct quantizer *q, enum infer_type type, const void *value, uint16_t *ret_tensor)
{
    return infer_build_constant(q->build, type, &(struct infer_shape){0}, value, ret_tensor, q->err);
}

/* ---- forms ---- */

/* Nodes with one value, a scale and a zero point: Quantize, Dequantize. */
static int between(struct quantizer *q, uint16_t op, uint16_t x, struct q_scale s, uint16_t *ret_tensor)
{
    struct infer_node node = {.op = op, .inputs = {x}};
    int8_t zero = (int8_t)s.zero;
    int r = q_scalar(q, INFER_F32, &s.scale, &node.inputs[1]);

    node.ints[2] = op == INFER_QUANTIZE ? INFER_I8 : 0;
    if (r == 0)
        r = q_scalar(q, INFER_I8, &zero, &node.inputs[2]);
    return r != 0 ? r : q_node(q, &node, 3, ret_tensor);
}

/* Between [N,C,L] and [N,L,C]: where C or L is 1 the values lie the same. */
static int swap_last(struct quantizer *q, uint16_t x, uint16_t *ret_tensor)
{
    const struct infer_shape *s = &infer_build_graph(q->build)->tensors[x].shape;
    struct infer_shape turned = {3, {s->dim[0], s->dim[2], s->dim[1]}};
    struct infer_node node = {.op = INFER_TRANSPOSE, .inputs = {x}, .ints = {0, 2, 1}};

    if (s->dim[1] == 1 || s->dim[2] == 1)
        return plan_reshape(q->build, x, &turned, ret_tensor, q->err);
    return q_node(q, &node, 1, ret_tensor);
}

int q_own(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor)
{
    struct q_tensor *t = &q->tensors[tensor];
    uint16_t i8;
    int r = 0;

    if (tensor_of(q, tensor)->constant != NULL)
        return plan_map_constant(&q->map, tensor, ret_tensor, q->err);
    if (t->own == INFER_NONE) {
        r = q_i8(q, tensor, &i8);
        if (r == 0)
            r = between(q, INFER_DEQUANTIZE, i8, q_scale_of(q, tensor), &t->own);
    }
    *ret_tensor = t->own;
    return r;
}

int q_i8(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor)
{
    struct q_tensor *t = &q->tensors[tensor];
    int r = 0;

    if (t->i8 == INFER_NONE && t->i8_last != INFER_NONE)
        r = swap_last(q, t->i8_last, &t->i8);
    else if (t->i8 == INFER_NONE)
        r = between(q, INFER_QUANTIZE, t->own, q_scale_of(q, tensor), &t->i8);
    *ret_tensor = t->i8;
    return r;
}

int q_i8_last(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor)
{
    struct q_tensor *t = &q->tensors[tensor];
    uint16_t i8;
    int r = 0;

    if (t->i8_last == INFER_NONE) {
        r = q_i8(q, tensor, &i8);
        if (r == 0)
            r = swap_last(q, i8, &t->i8_last);
    }
    *ret_tensor = t->i8_last;
    return r;
}

/* A Scaler takes each column to steps of 1. */
int q_i8_columns(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor)
{
    struct q_tensor *t = &q->tensors[tensor];
    struct infer_node node = {.op = INFER_SCALER, .inputs = {t->own}};
    const struct q_columns *c = t->columns;
    uint16_t steps;
    float *factor;
    int r = 0;

    if (t->i8_columns == INFER_NONE) {
        factor = pool_alloc(&q->plan.pool, c->n, sizeof *factor);
        if (factor == NULL)
            return q_no_memory(q);
        for (size_t k = 0; k < c->n; k++)
            factor[k] = 1 / c->scale[k];
        r = plan_floats(q->build, c->offset, c->n, &node.inputs[1], q->err);
        if (r == 0)
            r = plan_floats(q->build, factor, c->n, &node.inputs[2], q->err);
        if (r == 0)
            r = q_node(q, &node, 3, &steps);
        if (r == 0)
            r = between(q, INFER_QUANTIZE, steps, (struct q_scale){1, 0}, &t->i8_columns);
    }
    *ret_tensor = t->i8_columns;
    return r;
}

/* ---- nodes ---- */

/* f of all 256 values. */
static int table_of(struct quantizer *q, const struct infer_node *from, struct q_scale x, struct q_scale y,
                    int8_t ret_table[256])
{
    struct infer_tensor tensors[4] = {{INFER_F32, {1, {256}}, NULL}}, out[INFER_NODE_OUTPUTS_MAX];
    struct infer_node node = *from;
    _Alignas(64) float in[256], given[256];
    const void *values[INFER_NODE_INPUTS_MAX] = {in};
    void *results[INFER_NODE_OUTPUTS_MAX] = {given};
    int r;

    for (size_t i = 0; i < 256; i++)
        in[i] = (float)((int)i - 128 - x.zero) * x.scale;
    node.inputs[0] = 0;
    node.outputs[0] = 3;
    for (size_t i = 1; i < node.n_inputs && i < 3; i++) {
        if (node.inputs[i] == INFER_NONE)
            continue;
        tensors[i] = *tensor_of(q, from->inputs[i]);
        values[i] = tensors[i].constant;
        node.inputs[i] = (uint16_t)i;
    }
    r = infer_op_check(&node, tensors, 3, out, q->err);
    if (r != 0)
        return r;
    tensors[3] = out[0];
    infer_op_run(&node, tensors, values, results, NULL);
    for (size_t i = 0; i < 256; i++)
        ret_table[i] = q_quantize(y, (double)given[i]);
    return 0;
}

/* A table keeps the order of its input: that of the form which is there. */
static int emit_table(struct quantizer *q, const struct infer_node *from)
{
    uint16_t in = from->inputs[0], out = from->outputs[0];
    bool last = q->tensors[in].i8 == INFER_NONE && q->tensors[in].i8_last != INFER_NONE;
    struct infer_node node = {.op = INFER_LUT8};
    int8_t table[256];
    int r = last ? q_i8_last(q, in, &node.inputs[0]) : q_i8(q, in, &node.inputs[0]);

    if (r == 0)
        r = table_of(q, from, q_scale_of(q, in), q_scale_of(q, out), table);
    if (r == 0)
        r = infer_build_constant(q->build, INFER_I8, &(struct infer_shape){1, {256}}, table, &node.inputs[1],
                                 q->err);
    return r != 0 ? r : q_node(q, &node, 2, last ? &q->tensors[out].i8_last : &q->tensors[out].i8);
}

/* The same windows over [N,1,L,C], with a height of one channel: no need to turn it. */
static int emit_pool_last(struct quantizer *q, const struct infer_node *from)
{
    const struct infer_shape *y = &tensor_of(q, from->outputs[0])->shape;
    struct infer_shape given = {3, {y->dim[0], y->dim[2], y->dim[1]}}, four;
    static const uint8_t settings[] = {2, 5, 8, 11, 17};
    struct infer_node node = *from;
    uint16_t x, t;
    int r = q_i8_last(q, from->inputs[0], &x);

    if (r != 0)
        return r;
    four = infer_build_graph(q->build)->tensors[x].shape;
    four = (struct infer_shape){4, {four.dim[0], 1, four.dim[1], four.dim[2]}};
    node.ints[1] = 2;
    for (size_t i = 0; i < sizeof settings; i++)
        node.ints[settings[i] + 1] = settings[i] == 8 || settings[i] == 11 ? 0 : 1;
    r = plan_reshape(q->build, x, &four, &node.inputs[0], q->err);
    if (r == 0)
        r = q_node(q, &node, 1, &t);
    return r != 0 ? r : plan_reshape(q->build, t, &given, &q->tensors[from->outputs[0]].i8_last, q->err);
}

static int emit_move(struct quantizer *q, const struct infer_node *from)
{
    const struct q_tensor *in = &q->tensors[from->inputs[0]];
    size_t n_moved = from->op == INFER_CONCAT ? from->n_inputs : 1;
    struct infer_node node = *from;
    int r = 0;

    if (from->op == INFER_MAX_POOL && in->i8 == INFER_NONE && in->i8_last != INFER_NONE)
        return emit_pool_last(q, from);
    for (size_t i = 0; i < n_moved && r == 0; i++)
        r = q_i8(q, from->inputs[i], &node.inputs[i]);
    for (size_t i = n_moved; i < from->n_inputs && r == 0; i++)
        if (from->op != INFER_PAD && from->inputs[i] != INFER_NONE)
            r = q_own(q, from->inputs[i], &node.inputs[i]);
    if (r == 0 && from->op == INFER_PAD) {
        bool given = from->n_inputs > 1 && from->inputs[1] != INFER_NONE;
        float v = given ? *(const float *)tensor_of(q, from->inputs[1])->constant : 0;
        int8_t pad = q_quantize(q_scale_of(q, from->inputs[0]), (double)v);

        node.n_inputs = 2;
        r = q_scalar(q, INFER_I8, &pad, &node.inputs[1]);
    }
    return r != 0 ? r : q_node(q, &node, node.n_inputs, &q->tensors[from->outputs[0]].i8);
}

static int emit_float(struct quantizer *q, const struct infer_node *from)
{
    struct infer_node node = *from;
    uint16_t out[INFER_NODE_OUTPUTS_MAX];
    int r = 0;

    for (size_t i = 0; i < node.n_inputs && r == 0; i++)
        if (from->inputs[i] != INFER_NONE)
            r = q_own(q, from->inputs[i], &node.inputs[i]);
    if (r == 0)
        r = infer_build_node(q->build, &node, out, q->err);
    for (size_t i = 0; i < node.n_outputs && r == 0; i++)
        q->tensors[from->outputs[i]].own = out[i];
    return r;
}

static int emit_item(struct quantizer *q, size_t i)
{
    const struct plan_item *item = &q->plan.items[i];
    const struct infer_node *node = &q->plan.nodes[item->index];
    uint16_t x;
    int r;

    switch (q->items[i].mode) {
    case Q_DONE:
        return 0;
    case Q_LAYER:
        return q_emit_layer(q, &q->items[i], &q->plan.layers[item->index]);
    case Q_TABLE:
        return emit_table(q, node);
    case Q_MOVE:
        return emit_move(q, node);
    default:
        break;
    }
    if (!item->is_layer)
        return emit_float(q, node);
    r = q_own(q, q->plan.layers[item->index].in, &x);
    return r != 0 ? r
                  : plan_emit_layer(&q->map, &q->plan.layers[item->index], x,
                                    &q->tensors[q->plan.layers[item->index].out].own, q->err);
}

int q_emit(struct quantizer *q)
{
    const struct infer_graph *g = q->plan.graph;
    int r = plan_map_init(&q->map, &q->plan, q->build, q->err);

    if (r == 0)
        r = plan_map_inputs(&q->map, q->err);
    for (size_t t = 0; r == 0 && t < g->n_tensors; t++)
        q->tensors[t].own = q->map.to[t]; /* inputs are there */
    for (size_t i = 0; i < q->plan.n_items && r == 0; i++)
        r = emit_item(q, i);
    for (size_t i = 0; i < g->n_outputs && r == 0; i++) {
        uint16_t t;

        r = q_own(q, g->outputs[i].tensor, &t);
        if (r == 0)
            r = infer_build_output(q->build, g->outputs[i].name, t, q->err);
    }
    return r;
}
