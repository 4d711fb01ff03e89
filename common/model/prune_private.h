/* prune_private.h - how pruning is divided: prune_path.c finds who reads the units of a layer, prune_weigh.c
 * what they matter, prune_cut.c takes them out. Private to common/model. */
#ifndef FOGLINE_MODEL_PRUNE_PRIVATE_H
#define FOGLINE_MODEL_PRUNE_PRIVATE_H

#include "model/plan.h"
#include "model/prune.h"

/* A layer that reads units: unit u is its inputs u * span .. u * span + span - 1. */
struct prune_reader {
    struct plan_layer *l;
    size_t span;
};

/* A Reshape between: dimension `axis` of its result is units * span. */
struct prune_reshape {
    struct infer_node *node;
    unsigned axis;
    size_t span;
};

struct prune_units {
    struct plan_layer *l;
    const char *why; /* they cannot go */
    struct prune_reader *readers;
    struct prune_reshape *reshapes;
    size_t n_readers, n_reshapes;
    double *weight; /* of each unit, of all of the layer together 1 at the mean */
    bool *gone;
    size_t n_gone;
};

struct pruner {
    struct plan plan;
    struct prune_units *units; /* of each layer */
    const struct model_rows *rows;
    /* With rows, of each tensor that a layer reads: mean and variance of its inputs' ordinary values; NULL:
     * not known. */
    double **mean, **variance;
    struct errmsg *err;
};

must_check int prune_no_memory(struct pruner *p);
must_check int prune_find(struct pruner *p);
must_check int prune_weigh(struct pruner *p);
/* Biases get what the units gave; then they go. */
must_check int prune_cut(struct pruner *p);

#endif
