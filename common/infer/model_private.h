/* model_private.h - a model in memory and how reading it is divided. Private to common/infer. */
#ifndef FOGLINE_INFER_MODEL_PRIVATE_H
#define FOGLINE_INFER_MODEL_PRIVATE_H

#include "infer/model.h"
#include "infer/op_private.h"

struct infer_model {
    struct infer_graph graph;
    struct op_call *calls; /* one a node */
    uint8_t *arena;
    size_t arena_bytes;
    void *inputs[INFER_IO_MAX];
    const void *outputs[INFER_IO_MAX];
    /* Borrowed from the file; texts and recipe: sections, empty when there is none. */
    struct span file, body, signature, texts, recipe;
    void *mapping; /* owned: NULL unless infer_model_open */
};

/* model_parse.c: fills all up to `recipe` but calls, arena, inputs and outputs, from bytes that nobody
 * vouches for. The graph is not checked yet. */
must_check int model_parse(struct infer_model *m, struct span bytes, const struct infer_limits *limits,
                           struct errmsg *err);
/* model_graph.c: the graph of m fits together (see struct infer_graph) and each node is accepted. */
must_check int model_check_graph(const struct infer_graph *g, uint64_t operations_max, struct errmsg *err);

#endif
