#include "model/plan.h"

#include "model/plan_private.h"

static int no_memory(struct errmsg *err)
{
    return errmsg_set(err, -ENOMEM, "no memory for the layers of the model");
}

const struct plan_item *plan_only_user(const struct plan *p, uint16_t tensor)
{
    return p->is_output[tensor] || p->n_uses[tensor] != 1 ? NULL : &p->items[p->user[tensor]];
}

unsigned plan_axis_in(const struct plan *p, const struct plan_layer *l)
{
    return l->kind == PLAN_DENSE ? plan_shape(p, l->in)->rank - 1U : 1;
}

unsigned plan_axis_out(const struct plan *p, const struct plan_layer *l)
{
    return l->kind == PLAN_DENSE ? plan_shape(p, l->out)->rank - 1U : 1;
}

/* ---- what is a layer ---- */

static const float *constant_f32(const struct plan *p, uint16_t tensor)
{
    const struct infer_tensor *t = tensor == INFER_NONE ? NULL : &p->graph->tensors[tensor];

    return t == NULL || t->type != INFER_F32 ? NULL : t->constant;
}

/* w[m][k][t] of a layer, from where its operator has it. */
static int copy_weights(struct plan *p, struct plan_layer *l, const float *from, size_t m_step, size_t k_step,
                        float factor)
{
    float *w = pool_alloc(&p->pool, l->m * l->k * l->taps, sizeof *w);

    l->w = w;
    l->bias = pool_alloc(&p->pool, l->m, sizeof *l->bias);
    if (w == NULL || l->bias == NULL)
        return -ENOMEM;
    for (size_t m = 0; m < l->m; m++)
        for (size_t k = 0; k < l->k; k++)
            for (size_t t = 0; t < l->taps; t++)
                *w++ = factor * from[m * m_step + k * k_step + t];
    return 0;
}

/* 1: it is a layer now; 0: it is none. */
static int take_dense(struct plan *p, const struct infer_node *node, struct plan_layer *l)
{
    bool gemm = node->op == INFER_GEMM, rows = gemm && node->ints[1] != 0;
    const float *w = constant_f32(p, node->inputs[1]), *c = NULL;
    const struct infer_shape *sw = plan_shape(p, node->inputs[1]), *sx = plan_shape(p, node->inputs[0]);
    struct plan_channels ch;
    int r;

    if (w == NULL || sw->rank != 2 || sx->rank < (gemm ? 2 : 1) ||
        p->graph->tensors[node->inputs[0]].constant != NULL || (gemm && node->ints[0] != 0))
        return 0;
    l->m = sw->dim[rows ? 0 : 1];
    l->k = sw->dim[rows ? 1 : 0];
    l->taps = 1;
    l->kind = PLAN_DENSE;
    if (l->m == 0 || l->k == 0 || infer_shape_elements(plan_shape(p, l->out)) == 0)
        return 0;
    ch = (struct plan_channels){l->m, plan_axis_out(p, l), plan_shape(p, l->out)};
    if (gemm && node->n_inputs > 2 && node->inputs[2] != INFER_NONE) {
        c = constant_f32(p, node->inputs[2]);
        if (c == NULL || !plan_is_by_channel(&ch, plan_shape(p, node->inputs[2])))
            return 0;
    }
    r = copy_weights(p, l, w, rows ? l->k : 1, rows ? 1 : l->m, gemm ? node->floats[0] : 1);
    for (size_t m = 0; r == 0 && c != NULL && m < l->m; m++)
        l->bias[m] = node->floats[1] * plan_channel_at(plan_shape(p, node->inputs[2]), c, m);
    l->has_bias = c != NULL;
    return r != 0 ? r : 1;
}

static int take_conv(struct plan *p, const struct infer_node *node, struct plan_layer *l)
{
    bool transposed = node->op == INFER_CONV_TRANSPOSE, has_bias;
    const float *w = constant_f32(p, node->inputs[1]), *bias;
    const struct infer_shape *s = plan_shape(p, node->inputs[1]);
    size_t taps = 1;
    int r;

    has_bias = node->n_inputs > 2 && node->inputs[2] != INFER_NONE;
    bias = has_bias ? constant_f32(p, node->inputs[2]) : NULL;
    if (w == NULL || (has_bias && bias == NULL) || p->graph->tensors[node->inputs[0]].constant != NULL ||
        (transposed && node->ints[0] != 1) || infer_shape_elements(plan_shape(p, l->out)) == 0)
        return 0;
    for (unsigned d = 2; d < s->rank; d++)
        taps *= s->dim[d];
    l->kind = transposed ? PLAN_CONV_TRANSPOSE : PLAN_CONV;
    l->m = s->dim[transposed ? 1 : 0];
    l->k = s->dim[transposed ? 0 : 1];
    l->taps = taps;
    l->group = (size_t)node->ints[0];
    l->w_shape = *s;
    if (l->m == 0 || l->k == 0 || taps == 0)
        return 0;
    r = copy_weights(p, l, w, transposed ? taps : l->k * taps, transposed ? l->m * taps : taps, 1);
    if (r == 0 && bias != NULL)
        memcpy(l->bias, bias, l->m * sizeof *bias);
    l->has_bias = bias != NULL;
    return r != 0 ? r : 1;
}

static int take_layer(struct plan *p, uint16_t i, struct plan_layer *l)
{
    const struct infer_node *node = &p->nodes[i];

    *l = (struct plan_layer){.node = i, .in = node->inputs[0], .out = node->outputs[0], .group = 1};
    switch (node->op) {
    case INFER_GEMM:
    case INFER_MATMUL:
        return take_dense(p, node, l);
    case INFER_CONV:
    case INFER_CONV_TRANSPOSE:
        return take_conv(p, node, l);
    default:
        return 0;
    }
}

/* ---- items ---- */

static void use(struct plan *p, uint16_t tensor, size_t item)
{
    if (tensor == INFER_NONE)
        return;
    p->n_uses[tensor]++;
    p->user[tensor] = (uint16_t)item;
}

static void count_uses(struct plan *p)
{
    memset(p->n_uses, 0, p->graph->n_tensors * sizeof *p->n_uses);
    for (size_t i = 0; i < p->n_items; i++) {
        const struct plan_item *item = &p->items[i];

        if (item->is_layer) {
            use(p, p->layers[item->index].in, i);
            continue;
        }
        for (size_t k = 0; k < p->nodes[item->index].n_inputs; k++)
            use(p, p->nodes[item->index].inputs[k], i);
    }
}

/* What stands behind layers goes into them, as far as it can. */
static void fold(struct plan *p)
{
    bool more = true;

    while (more) {
        size_t n = 0;

        more = false;
        count_uses(p);
        for (size_t i = 0; i < p->n_layers; i++) {
            const struct plan_item *user = plan_only_user(p, p->layers[i].out);

            if (user == NULL || user->is_layer || !plan_fold(p, &p->layers[i], &p->nodes[user->index]))
                continue;
            p->nodes[user->index].op = 0; /* not to be emitted */
            more = true;
        }
        for (size_t i = 0; i < p->n_items; i++)
            if (p->items[i].is_layer || p->nodes[p->items[i].index].op != 0)
                p->items[n++] = p->items[i];
        p->n_items = n;
    }
}

int plan_init(struct plan *p, const struct infer_graph *graph, struct errmsg *err)
{
    *p = (struct plan){.graph = graph};
    p->nodes = pool_alloc(&p->pool, graph->n_nodes, sizeof *p->nodes);
    p->layers = pool_alloc(&p->pool, graph->n_nodes, sizeof *p->layers);
    p->items = pool_alloc(&p->pool, graph->n_nodes, sizeof *p->items);
    p->n_uses = pool_alloc(&p->pool, graph->n_tensors, sizeof *p->n_uses);
    p->user = pool_alloc(&p->pool, graph->n_tensors, sizeof *p->user);
    p->is_output = pool_alloc(&p->pool, graph->n_tensors, sizeof *p->is_output);
    if (p->nodes == NULL || p->layers == NULL || p->items == NULL || p->n_uses == NULL || p->user == NULL ||
        p->is_output == NULL)
        return no_memory(err);
    for (size_t i = 0; i < graph->n_outputs; i++)
        p->is_output[graph->outputs[i].tensor] = true;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        struct plan_layer *l = &p->layers[p->n_layers];
        int r;

        p->nodes[i] = graph->nodes[i];
        r = take_layer(p, (uint16_t)i, l);
        if (r < 0)
            return no_memory(err);
        p->items[p->n_items++] =
            r == 1 ? (struct plan_item){true, (uint16_t)p->n_layers} : (struct plan_item){false, (uint16_t)i};
        p->n_layers += (size_t)r;
    }
    fold(p);
    return 0;
}

void plan_deinit(struct plan *p)
{
    pool_deinit(&p->pool);
}
