/* graph_run.h - a graph at work with every tensor kept: for tools that look inside.
 *
 * Slower and larger than infer_model_run, with the same bits. Borrows the graph, which must not change. One
 * thread. */
#ifndef FOGLINE_MODEL_GRAPH_RUN_H
#define FOGLINE_MODEL_GRAPH_RUN_H

#include "infer/op.h"
#include "model/pool.h"

enum { GRAPH_RUN_MAX_BYTES = 1 << 30 }; /* of all tensors together */

struct graph_run {
    const struct infer_graph *graph;
    struct pool pool;
    void **values; /* of each tensor; constants where they lie */
    void *scratch;
};

/* -EMSGSIZE, -ENOMEM with a sentence. */
must_check int graph_run_init(struct graph_run *g, const struct infer_graph *graph, struct errmsg *err);
void graph_run_deinit(struct graph_run *g); /* accepts zero */

/* All inputs have to be float32 for these two. */
/* Numbers that one row gives the inputs, one behind the other; -EINVAL: an input is of another type. */
must_check int graph_run_width(const struct infer_graph *graph, size_t *ret_width, struct errmsg *err);
void graph_run_row(struct graph_run *g, const float *row);

#endif
