/* Which items work on int8, and where int8 turns into float32. */
#include "model/quantize_private.h"

#include <math.h>

/* Products whose sum stays within int32, with as much again for the bias. */
enum { DENSE_TERMS_MAX = INT32_MAX / (2 * 128 * 128), CONV_TERMS_MAX = INT32_MAX / (255 * 255) };

static const struct infer_tensor *tensor_of(const struct quantizer *q, uint16_t tensor)
{
    return &q->plan.graph->tensors[tensor];
}

static bool is_constant(const struct quantizer *q, const struct infer_node *node, size_t i)
{
    return i >= node->n_inputs || node->inputs[i] == INFER_NONE ||
           tensor_of(q, node->inputs[i])->constant != NULL;
}

static bool is_float(const struct quantizer *q, uint16_t tensor)
{
    return tensor_of(q, tensor)->type == INFER_F32;
}

/* One computed value of float32 in, one out: y = f(x). */
static bool is_table(const struct quantizer *q, const struct infer_node *node)
{
    switch (node->op) {
    case INFER_RELU:
    case INFER_LEAKY_RELU:
    case INFER_SIGMOID:
    case INFER_TANH:
    case INFER_ELU:
    case INFER_SELU:
    case INFER_HARD_SIGMOID:
    case INFER_SOFTPLUS:
    case INFER_EXP:
    case INFER_LOG:
    case INFER_SQRT:
    case INFER_ABS:
    case INFER_NEG:
        break;
    case INFER_CLIP:
        if (!is_constant(q, node, 1) || !is_constant(q, node, 2))
            return false;
        break;
    default:
        return false;
    }
    return is_float(q, node->inputs[0]) && !is_constant(q, node, 0);
}

static bool is_move(const struct quantizer *q, const struct infer_node *node)
{
    switch (node->op) {
    case INFER_RESHAPE:
    case INFER_TRANSPOSE:
    case INFER_SLICE:
        break;
    case INFER_CONCAT:
        for (size_t i = 0; i < node->n_inputs; i++)
            if (is_constant(q, node, i))
                return false;
        break;
    case INFER_PAD:
    case INFER_GATHER:
        if (!is_constant(q, node, 1))
            return false;
        break;
    case INFER_MAX_POOL:
        if (node->n_outputs != 1)
            return false;
        break;
    default:
        return false;
    }
    return is_float(q, node->inputs[0]) && !is_constant(q, node, 0);
}

static bool is_finite(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

static bool is_asked_for(const struct quantize_options *o, uint16_t node)
{
    for (size_t i = 0; i < o->n_floats; i++)
        if (o->floats[i] == node)
            return true;
    return false;
}

static enum q_mode mode_of_layer(const struct quantizer *q, const struct plan_layer *l, const char **ret_why)
{
    size_t terms = l->k * l->taps;

    if (l->kind == PLAN_CONV_TRANSPOSE)
        *ret_why = "there is no transposed convolution of integers";
    else if (terms > (l->kind == PLAN_DENSE ? DENSE_TERMS_MAX : CONV_TERMS_MAX))
        *ret_why = "its sums could leave int32";
    else if (!is_finite(l->w, l->m * terms) || !is_finite(l->bias, l->m))
        *ret_why = "a weight is no finite number";
    else if (is_asked_for(q->options, l->node))
        *ret_why = "int8 would cost too much here";
    else
        return Q_LAYER;
    return Q_FLOAT;
}

/* How many inputs of a node are values that move. */
static size_t n_moved(const struct infer_node *node)
{
    return node->op == INFER_CONCAT ? node->n_inputs : 1;
}

static void forward(struct quantizer *q)
{
    struct plan *p = &q->plan;

    for (size_t i = 0; i < p->n_items; i++) {
        struct q_item *item = &q->items[i];
        const struct infer_node *node;
        bool all = true;

        if (p->items[i].is_layer) {
            const struct plan_layer *l = &p->layers[p->items[i].index];

            item->mode = mode_of_layer(q, l, &item->why);
            item->given = l->out;
            q->tensors[l->out].is_integer = item->mode == Q_LAYER;
            continue;
        }
        node = &p->nodes[p->items[i].index];
        item->given = node->outputs[0];
        item->mode = is_table(q, node) ? Q_TABLE : is_move(q, node) ? Q_MOVE : Q_FLOAT;
        for (size_t k = 0; k < n_moved(node); k++)
            all = all && node->inputs[k] != INFER_NONE && q->tensors[node->inputs[k]].is_integer;
        if (!all)
            item->mode = Q_FLOAT;
        q->tensors[item->given].is_integer = item->mode != Q_FLOAT;
    }
}

static void want(struct quantizer *q, uint16_t tensor, bool integer)
{
    if (tensor == INFER_NONE || tensor_of(q, tensor)->constant != NULL)
        return;
    if (integer)
        q->tensors[tensor].wants_i8 = true;
    else
        q->tensors[tensor].wants_f32 = true;
}

static void backward(struct quantizer *q)
{
    struct plan *p = &q->plan;

    for (size_t t = 0; t < p->graph->n_tensors; t++)
        q->tensors[t].wants_f32 = p->is_output[t];
    for (size_t i = p->n_items; i-- > 0;) {
        struct q_item *item = &q->items[i];
        const struct q_tensor *out = &q->tensors[item->given];
        const struct infer_node *node;

        if (p->items[i].is_layer) {
            want(q, p->layers[p->items[i].index].in, item->mode == Q_LAYER);
            continue;
        }
        if (out->wants_f32 || !out->wants_i8)
            item->mode = Q_FLOAT;
        node = &p->nodes[p->items[i].index];
        for (size_t k = 0; k < node->n_inputs; k++)
            want(q, node->inputs[k], item->mode != Q_FLOAT && k < n_moved(node));
    }
}

/* Values that move keep their scale. */
static void join(struct quantizer *q, uint16_t a, uint16_t b)
{
    uint16_t from = q->tensors[a].group, to = q->tensors[b].group;

    for (size_t t = 0; t < q->plan.graph->n_tensors; t++)
        if (q->tensors[t].group == from)
            q->tensors[t].group = to;
}

void q_flow(struct quantizer *q)
{
    struct plan *p = &q->plan;

    for (size_t t = 0; t < p->graph->n_tensors; t++)
        q->tensors[t].group = (uint16_t)t;
    forward(q);
    backward(q);
    for (size_t i = 0; i < p->n_items; i++) {
        const struct infer_node *node = &p->nodes[p->items[i].index];

        if (q->items[i].mode != Q_MOVE)
            continue;
        for (size_t k = 0; k < n_moved(node); k++)
            join(q, node->inputs[k], q->items[i].given);
    }
}

bool q_is_dense_input(const struct quantizer *q, uint16_t tensor)
{
    const struct plan *p = &q->plan;
    bool any = false;

    if (tensor_of(q, tensor)->shape.rank != 2 || q->tensors[tensor].is_integer)
        return false;
    for (size_t i = 0; i < p->n_items; i++) {
        const struct plan_layer *l = &p->layers[p->items[i].index];

        if (!p->items[i].is_layer || q->items[i].mode != Q_LAYER || l->in != tensor)
            continue;
        if (l->kind != PLAN_DENSE)
            return false;
        any = true;
    }
    return any;
}
