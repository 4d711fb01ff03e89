/* Does a graph that was read fit together? */
#include "base/cleanup.h"
#include "infer/model_private.h"

#include <inttypes.h>
#include <stdlib.h>

static int check_names(const struct infer_port *ports, size_t n, const char *what, struct errmsg *err)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(ports[i].name, ports[k].name) == 0)
                return errmsg_set(err, -EINVAL, "two %s are called %s", what, ports[i].name);
    return 0;
}

/* has_value: is there a value in each tensor before the node that is looked at? */
static int take_inputs(const struct infer_graph *g, bool *has_value, struct errmsg *err)
{
    for (size_t i = 0; i < g->n_tensors; i++)
        has_value[i] = g->tensors[i].constant != NULL;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (g->inputs[i].tensor >= g->n_tensors || has_value[g->inputs[i].tensor])
            return errmsg_set(err, -EINVAL, "input %s is tensor %u, which there is not or which has a value",
                              g->inputs[i].name, g->inputs[i].tensor);
        has_value[g->inputs[i].tensor] = true;
    }
    return check_names(g->inputs, g->n_inputs, "inputs", err);
}

static int check_node(const struct infer_graph *g, size_t i, bool *has_value, struct errmsg *err)
{
    struct infer_tensor outputs[INFER_NODE_OUTPUTS_MAX];
    const struct infer_node *node = &g->nodes[i];
    struct errmsg why;

    for (size_t k = 0; k < node->n_inputs; k++)
        if (node->inputs[k] < g->n_tensors && !has_value[node->inputs[k]])
            return errmsg_set(err, -EINVAL, "node %zu: input %zu is tensor %u, which nothing before it gave",
                              i, k, node->inputs[k]);
    if (infer_op_check(node, g->tensors, g->n_tensors, outputs, &why) != 0)
        return errmsg_set(err, -EINVAL, "node %zu: %s", i, why.text);
    for (size_t k = 0; k < node->n_outputs; k++) {
        uint16_t t = node->outputs[k];

        if (t >= g->n_tensors || has_value[t])
            return errmsg_set(err, -EINVAL,
                              "node %zu: output %zu is tensor %u, which there is not or which has a value", i,
                              k, t);
        if (g->tensors[t].type != outputs[k].type ||
            !infer_shape_equal(&g->tensors[t].shape, &outputs[k].shape))
            return errmsg_set(err, -EINVAL, "node %zu: output %zu has another type or shape than tensor %u",
                              i, k, t);
        has_value[t] = true;
    }
    return 0;
}

int model_check_graph(const struct infer_graph *g, uint64_t operations_max, struct errmsg *err)
{
    owned(free_ptr) bool *has_value = calloc(g->n_tensors + 1, sizeof *has_value);
    uint64_t operations = 0;
    int r;

    if (has_value == NULL)
        return -ENOMEM;
    r = take_inputs(g, has_value, err);
    for (size_t i = 0; r == 0 && i < g->n_nodes; i++) {
        r = check_node(g, i, has_value, err);
        if (r == 0 &&
            (__builtin_add_overflow(operations, infer_op_operations(&g->nodes[i], g->tensors), &operations) ||
             operations > operations_max))
            return errmsg_set(err, -EMSGSIZE,
                              "a run would take more than the %" PRIu64 " operations that are allowed",
                              operations_max);
    }
    for (size_t i = 0; r == 0 && i < g->n_tensors; i++)
        if (!has_value[i])
            return errmsg_set(err, -EINVAL, "tensor %zu is given by nothing", i);
    for (size_t i = 0; r == 0 && i < g->n_outputs; i++)
        if (g->outputs[i].tensor >= g->n_tensors)
            return errmsg_set(err, -EINVAL, "output %s is tensor %u of %zu", g->outputs[i].name,
                              g->outputs[i].tensor, g->n_tensors);
    if (r == 0 && g->n_outputs == 0)
        return errmsg_set(err, -EINVAL, "the model has no output");
    return r != 0 ? r : check_names(g->outputs, g->n_outputs, "outputs", err);
}
