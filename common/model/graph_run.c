#include "model/graph_run.h"

#include <string.h>

static size_t tensor_bytes(const struct infer_tensor *t)
{
    return infer_shape_elements(&t->shape) * infer_type_bytes(t->type);
}

static int no_room(struct errmsg *err)
{
    return errmsg_set(err, -EMSGSIZE, "all values of the model together need more than %d bytes",
                      GRAPH_RUN_MAX_BYTES);
}

int graph_run_init(struct graph_run *g, const struct infer_graph *graph, struct errmsg *err)
{
    size_t scratch = 0;

    *g = (struct graph_run){.graph = graph, .pool.cap_bytes = GRAPH_RUN_MAX_BYTES};
    g->values = pool_alloc(&g->pool, graph->n_tensors, sizeof *g->values);
    for (size_t i = 0; g->values != NULL && i < graph->n_tensors; i++) {
        const struct infer_tensor *t = &graph->tensors[i];

        /* Nothing writes to a constant: no node has it as an output. */
        g->values[i] =
            t->constant != NULL ? (void *)(uintptr_t)t->constant : pool_alloc(&g->pool, tensor_bytes(t), 1);
        if (g->values[i] == NULL)
            return no_room(err);
    }
    for (size_t i = 0; i < graph->n_nodes; i++) {
        size_t bytes = infer_op_scratch_bytes(&graph->nodes[i], graph->tensors);

        scratch = bytes > scratch ? bytes : scratch;
    }
    g->scratch = pool_alloc(&g->pool, scratch, 1);
    return g->values == NULL || g->scratch == NULL ? no_room(err) : 0;
}

void graph_run_deinit(struct graph_run *g)
{
    pool_deinit(&g->pool);
}

int graph_run_width(const struct infer_graph *graph, size_t *ret_width, struct errmsg *err)
{
    size_t width = 0;

    for (size_t i = 0; i < graph->n_inputs; i++) {
        const struct infer_tensor *t = &graph->tensors[graph->inputs[i].tensor];

        if (t->type != INFER_F32)
            return errmsg_set(err, -EINVAL, "input %s is of type %s: rows of numbers are float32",
                              graph->inputs[i].name, infer_type_name(t->type));
        width += infer_shape_elements(&t->shape);
    }
    *ret_width = width;
    return 0;
}

static void *value_of(const struct graph_run *g, uint16_t tensor)
{
    return tensor == INFER_NONE ? NULL : g->values[tensor];
}

void graph_run_row(struct graph_run *g, const float *row)
{
    const struct infer_graph *graph = g->graph;

    for (size_t i = 0; i < graph->n_inputs; i++) {
        uint16_t tensor = graph->inputs[i].tensor;
        size_t n = infer_shape_elements(&graph->tensors[tensor].shape);

        if (n > 0)
            memcpy(g->values[tensor], row, n * sizeof *row);
        row += n;
    }
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const struct infer_node *node = &graph->nodes[i];
        const void *x[INFER_NODE_INPUTS_MAX] = {NULL};
        void *y[INFER_NODE_OUTPUTS_MAX] = {NULL};

        for (size_t k = 0; k < node->n_inputs; k++)
            x[k] = value_of(g, node->inputs[k]);
        for (size_t k = 0; k < node->n_outputs; k++)
            y[k] = value_of(g, node->outputs[k]);
        infer_op_run(node, graph->tensors, x, y, g->scratch);
    }
}
