/* From a plan back to a graph of float32. */
#include "base/cleanup.h"
#include "model/plan.h"

#include <stdlib.h>

int plan_map_init(struct plan_map *m, struct plan *p, struct infer_build *b, struct errmsg *err)
{
    *m = (struct plan_map){p, b, pool_alloc(&p->pool, p->graph->n_tensors, sizeof *m->to)};
    if (m->to == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the layers of the model");
    for (size_t i = 0; i < p->graph->n_tensors; i++)
        m->to[i] = INFER_NONE;
    return 0;
}

int plan_map_inputs(struct plan_map *m, struct errmsg *err)
{
    const struct infer_graph *g = m->plan->graph;
    int r = 0;

    for (size_t i = 0; i < g->n_inputs && r == 0; i++) {
        const struct infer_port *in = &g->inputs[i];
        const struct infer_tensor *t = &g->tensors[in->tensor];

        r = infer_build_input(m->build, in->name, t->type, &t->shape, &m->to[in->tensor], err);
    }
    return r;
}

int plan_map_constant(struct plan_map *m, uint16_t tensor, uint16_t *ret_tensor, struct errmsg *err)
{
    const struct infer_tensor *t = &m->plan->graph->tensors[tensor];
    int r = 0;

    if (m->to[tensor] == INFER_NONE)
        r = infer_build_constant(m->build, t->type, &t->shape, t->constant, &m->to[tensor], err);
    *ret_tensor = m->to[tensor];
    return r;
}

int plan_floats(struct infer_build *b, const float *v, size_t n, uint16_t *ret_tensor, struct errmsg *err)
{
    return infer_build_constant(b, INFER_F32, &(struct infer_shape){1, {(uint32_t)n}}, v, ret_tensor, err);
}

int plan_int32s(struct infer_build *b, const int32_t *v, size_t n, uint16_t *ret_tensor, struct errmsg *err)
{
    return infer_build_constant(b, INFER_I32, &(struct infer_shape){1, {(uint32_t)n}}, v, ret_tensor, err);
}

int plan_reshape(struct infer_build *b, uint16_t x, const struct infer_shape *shape, uint16_t *ret_tensor,
                 struct errmsg *err)
{
    struct infer_node node = {
        .op = INFER_RESHAPE, .n_inputs = 1, .n_outputs = 1, .inputs = {x}, .ints = {shape->rank}};

    *ret_tensor = x;
    if (infer_shape_equal(shape, &infer_build_graph(b)->tensors[x].shape))
        return 0;
    for (unsigned i = 0; i < shape->rank; i++)
        node.ints[1 + i] = (int32_t)shape->dim[i];
    return infer_build_node(b, &node, ret_tensor, err);
}

/* The shape of x with another last dimension, and as a matrix. */
static struct infer_shape with_last(const struct infer_shape *s, size_t last)
{
    struct infer_shape out = *s;

    out.dim[out.rank - 1] = (uint32_t)last;
    return out;
}

static struct infer_shape matrix_of(const struct infer_shape *s)
{
    size_t columns = s->dim[s->rank - 1];

    return (struct infer_shape){2, {(uint32_t)(infer_shape_elements(s) / columns), (uint32_t)columns}};
}

static int emit_dense(struct infer_build *b, const struct plan_layer *l, uint16_t x, uint16_t *ret_tensor,
                      struct errmsg *err)
{
    struct infer_node node = {
        .op = INFER_GEMM, .n_inputs = 3, .n_outputs = 1, .ints = {0, 1}, .floats = {1, 1}};
    struct infer_shape sx = infer_build_graph(b)->tensors[x].shape, matrix = matrix_of(&sx);
    struct infer_shape y = with_last(&sx, l->m), w = {2, {(uint32_t)l->m, (uint32_t)l->k}};
    uint16_t t = x;
    int r = plan_reshape(b, x, &matrix, &node.inputs[0], err);

    if (r == 0)
        r = infer_build_constant(b, INFER_F32, &w, l->w, &node.inputs[1], err);
    if (r == 0)
        r = plan_floats(b, l->bias, l->m, &node.inputs[2], err);
    if (r == 0)
        r = infer_build_node(b, &node, &t, err);
    return r != 0 ? r : plan_reshape(b, t, &y, ret_tensor, err);
}

/* Weights as the operator has them: those of ConvTranspose as [k][m][taps]. */
static int conv_weights(struct infer_build *b, const struct plan_layer *l, uint16_t *ret_tensor,
                        struct errmsg *err)
{
    struct infer_shape s = l->w_shape;
    bool turn = l->kind == PLAN_CONV_TRANSPOSE;
    owned(free_ptr) float *w = turn ? malloc(l->m * l->k * l->taps * sizeof *w) : NULL;

    s.dim[0] = (uint32_t)(turn ? l->k : l->m);
    s.dim[1] = (uint32_t)(turn ? l->m : l->k);
    if (!turn)
        return infer_build_constant(b, INFER_F32, &s, l->w, ret_tensor, err);
    if (w == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the layers of the model");
    for (size_t m = 0; m < l->m; m++)
        for (size_t k = 0; k < l->k; k++)
            memcpy(w + (k * l->m + m) * l->taps, l->w + (m * l->k + k) * l->taps, l->taps * sizeof *w);
    return infer_build_constant(b, INFER_F32, &s, w, ret_tensor, err);
}

int plan_emit_layer(struct plan_map *m, const struct plan_layer *l, uint16_t x, uint16_t *ret_tensor,
                    struct errmsg *err)
{
    struct infer_node node = m->plan->nodes[l->node];
    int r;

    if (l->kind == PLAN_DENSE)
        return emit_dense(m->build, l, x, ret_tensor, err);
    node.n_inputs = l->has_bias ? 3 : 2;
    node.inputs[0] = x;
    r = conv_weights(m->build, l, &node.inputs[1], err);
    if (r == 0 && l->has_bias)
        r = plan_floats(m->build, l->bias, l->m, &node.inputs[2], err);
    return r != 0 ? r : infer_build_node(m->build, &node, ret_tensor, err);
}

static int emit_node(struct plan_map *m, const struct infer_node *from, struct errmsg *err)
{
    struct infer_node node = *from;
    uint16_t out[INFER_NODE_OUTPUTS_MAX];
    int r = 0;

    for (size_t i = 0; i < node.n_inputs && r == 0; i++) {
        uint16_t t = from->inputs[i];

        if (t == INFER_NONE)
            continue;
        if (m->plan->graph->tensors[t].constant != NULL)
            r = plan_map_constant(m, t, &node.inputs[i], err);
        else
            node.inputs[i] = m->to[t];
    }
    if (r == 0)
        r = infer_build_node(m->build, &node, out, err);
    for (size_t i = 0; i < node.n_outputs && r == 0; i++)
        m->to[from->outputs[i]] = out[i];
    return r;
}

int plan_emit(struct plan *p, struct infer_build *b, struct plan_map *ret_map, struct errmsg *err)
{
    const struct infer_graph *g = p->graph;
    struct plan_map *m = ret_map;
    int r = plan_map_init(m, p, b, err);

    if (r == 0)
        r = plan_map_inputs(m, err);
    for (size_t i = 0; i < p->n_items && r == 0; i++) {
        const struct plan_item *item = &p->items[i];

        if (item->is_layer) {
            const struct plan_layer *l = &p->layers[item->index];

            r = plan_emit_layer(m, l, m->to[l->in], &m->to[l->out], err);
        } else {
            r = emit_node(m, &p->nodes[item->index], err);
        }
    }
    for (size_t i = 0; i < g->n_outputs && r == 0; i++) {
        uint16_t t = g->outputs[i].tensor;

        if (g->tensors[t].constant != NULL)
            r = plan_map_constant(m, t, &m->to[t], err);
        if (r == 0)
            r = infer_build_output(b, g->outputs[i].name, m->to[t], err);
    }
    return r;
}
