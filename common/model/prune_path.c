/* Who reads the units of a layer. */
#include "model/prune_private.h"

struct walk {
    struct pruner *p;
    struct prune_units *u;
};

static bool is_function(uint16_t op)
{
    switch (op) {
    case INFER_RELU:
    case INFER_LEAKY_RELU:
    case INFER_SIGMOID:
    case INFER_TANH:
    case INFER_ELU:
    case INFER_SELU:
    case INFER_HARD_SIGMOID:
    case INFER_SOFTPLUS:
    case INFER_EXP:
    case INFER_SQRT:
    case INFER_ABS:
    case INFER_NEG:
    case INFER_CLIP:
        return true;
    default:
        return false;
    }
}

/* What is the same everywhere has to be so behind it: no padding is counted. */
static bool is_pool(const struct infer_node *node)
{
    bool counts_pads = node->op == INFER_AVERAGE_POOL && node->ints[21] != 0;

    for (int i = 8; i < 14 && counts_pads; i++)
        if (node->ints[i] != 0)
            return false;
    return (node->op == INFER_MAX_POOL && node->n_outputs == 1) || node->op == INFER_AVERAGE_POOL ||
           node->op == INFER_GLOBAL_AVERAGE_POOL || node->op == INFER_GLOBAL_MAX_POOL;
}

/* Are the dimensions before the units as they were, and the units still one after the other? 0: no. */
static size_t span_behind(const struct infer_shape *in, const struct infer_shape *out, unsigned axis,
                          size_t span)
{
    size_t rest = 1;

    if (out->rank <= axis)
        return 0;
    for (unsigned i = 0; i < axis; i++)
        if (in->dim[i] != out->dim[i])
            return 0;
    if (in->dim[axis] == out->dim[axis])
        return span;
    for (unsigned i = axis + 1; i < in->rank; i++)
        rest *= in->dim[i];
    return out->rank == axis + 1U ? span * rest : 0;
}

static void follow(const struct walk *w, uint16_t tensor, unsigned axis, size_t span);

static void read_by_layer(const struct walk *w, struct plan_layer *l, unsigned axis, size_t span)
{
    if (l->group != 1)
        w->u->why = "a convolution in groups reads its result";
    else if (plan_axis_in(&w->p->plan, l) != axis)
        w->u->why = "its units lie along another axis for the layer that reads them";
    else
        w->u->readers[w->u->n_readers++] = (struct prune_reader){l, span};
}

static void read_by_node(const struct walk *w, struct infer_node *node, uint16_t tensor, unsigned axis,
                         size_t span)
{
    const struct infer_shape *in = plan_shape(&w->p->plan, tensor);
    uint16_t given = node->outputs[0];

    if (node->inputs[0] != tensor) {
        w->u->why = "more than layers, functions, pools and Reshape read its result";
    } else if (is_function(node->op) || (is_pool(node) && axis == 1)) {
        follow(w, given, axis, span);
    } else if (node->op == INFER_RESHAPE) {
        size_t behind = span_behind(in, plan_shape(&w->p->plan, given), axis, span);

        if (behind == 0) {
            w->u->why = "a Reshape mixes its units";
            return;
        }
        w->u->reshapes[w->u->n_reshapes++] = (struct prune_reshape){node, axis, behind};
        follow(w, given, axis, behind);
    } else {
        w->u->why = "more than layers, functions, pools and Reshape read its result";
    }
}

static bool reads(const struct infer_node *node, uint16_t tensor)
{
    for (size_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] == tensor)
            return true;
    return false;
}

/* Each node is met once: it has one input that is followed. Tensors stand behind each other, so this ends. */
static void follow(const struct walk *w, uint16_t tensor, unsigned axis, size_t span)
{
    struct plan *p = &w->p->plan;

    if (p->is_output[tensor])
        w->u->why = "its result is an output of the model";
    for (size_t i = 0; i < p->n_items && w->u->why == NULL; i++) {
        const struct plan_item *item = &p->items[i];

        if (item->is_layer && p->layers[item->index].in == tensor)
            read_by_layer(w, &p->layers[item->index], axis, span);
        else if (!item->is_layer && reads(&p->nodes[item->index], tensor))
            read_by_node(w, &p->nodes[item->index], tensor, axis, span);
    }
}

int prune_find(struct pruner *p)
{
    struct pool *pool = &p->plan.pool;

    p->units = pool_alloc(pool, p->plan.n_layers, sizeof *p->units);
    if (p->units == NULL)
        return prune_no_memory(p);
    for (size_t i = 0; i < p->plan.n_layers; i++) {
        struct prune_units *u = &p->units[i];
        struct walk w = {p, u};

        u->l = &p->plan.layers[i];
        u->readers = pool_alloc(pool, p->plan.n_layers, sizeof *u->readers);
        u->reshapes = pool_alloc(pool, p->plan.n_items, sizeof *u->reshapes);
        u->weight = pool_alloc(pool, u->l->m, sizeof *u->weight);
        u->gone = pool_alloc(pool, u->l->m, sizeof *u->gone);
        if (u->readers == NULL || u->reshapes == NULL || u->weight == NULL || u->gone == NULL)
            return prune_no_memory(p);
        if (u->l->group != 1)
            u->why = "it is a convolution in groups";
        else
            follow(&w, u->l->out, plan_axis_out(&p->plan, u->l), 1);
        if (u->why == NULL && u->n_readers == 0)
            u->why = "no layer reads its result";
    }
    return 0;
}
