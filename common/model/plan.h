/* plan.h - a graph as layers with weights and the nodes between them, to be made anew.
 *
 * A layer is a Gemm, MatMul, Conv or ConvTranspose of float32 whose weights are constants, with what can be
 * folded into them: the bias that is added behind, a factor, a batch normalisation. Everything else stays a
 * node. Tensors are those of the graph, which is borrowed and must not change.
 *
 * Weights lie as [m][k][taps] whatever the operator had, so that both what makes a layer smaller (prune.h)
 * and what makes it integer (quantize.h) work on one form. They may be changed; so may settings and shapes,
 * before plan_emit makes a graph of float32 again. One thread. */
#ifndef FOGLINE_MODEL_PLAN_H
#define FOGLINE_MODEL_PLAN_H

#include "infer/build.h"
#include "model/pool.h"

enum plan_kind { PLAN_DENSE, PLAN_CONV, PLAN_CONV_TRANSPOSE };

struct plan_layer {
    enum plan_kind kind;
    uint16_t node;              /* of the graph: the product */
    uint16_t in, out;           /* tensors; out: of the last node that was folded */
    size_t m, k, taps;          /* outputs; inputs of each (within its group); elements of the kernel */
    float *w, *bias;            /* [m][k][taps], [m] */
    bool has_bias;              /* else it is zeros */
    struct infer_shape w_shape; /* of a convolution: as its operator has it */
    size_t group;               /* 1 for all but PLAN_CONV */
    size_t n_folded;            /* nodes that went into it beside its own */
};

struct plan_item {
    bool is_layer;
    uint16_t index; /* of the layer, or of the node */
};

struct plan {
    const struct infer_graph *graph;
    struct pool pool;
    struct infer_node *nodes; /* a copy: settings may be changed */
    struct plan_layer *layers;
    struct plan_item *items; /* in their order */
    size_t n_layers, n_items;
    uint32_t *n_uses; /* of each tensor: inputs of items */
    uint16_t *user;   /* the last item that uses it */
    bool *is_output;  /* of the graph */
};

/* -ENOMEM with a sentence. */
must_check int plan_init(struct plan *p, const struct infer_graph *graph, struct errmsg *err);
void plan_deinit(struct plan *p); /* accepts zero */

/* The item that alone uses the tensor, when no output of the graph is it; NULL otherwise. */
const struct plan_item *plan_only_user(const struct plan *p, uint16_t tensor);
/* The axis of `in` along which a layer has its k, and of `out` for its m. */
unsigned plan_axis_in(const struct plan *p, const struct plan_layer *l);
unsigned plan_axis_out(const struct plan *p, const struct plan_layer *l);
static inline const struct infer_shape *plan_shape(const struct plan *p, uint16_t tensor)
{
    return &p->graph->tensors[tensor].shape;
}

/* A tensor that a plan's tensors become in a build. */
struct plan_map {
    const struct plan *plan;
    struct infer_build *build;
    uint16_t *to; /* by tensor of the graph; INFER_NONE: not there yet */
};

must_check int plan_map_init(struct plan_map *m, struct plan *p, struct infer_build *b, struct errmsg *err);
/* Inputs of the graph, as inputs of the build. */
must_check int plan_map_inputs(struct plan_map *m, struct errmsg *err);
/* A constant of the graph, copied once. */
must_check int plan_map_constant(struct plan_map *m, uint16_t tensor, uint16_t *ret_tensor,
                                 struct errmsg *err);
/* A vector of float32, of int32. */
must_check int plan_floats(struct infer_build *b, const float *v, size_t n, uint16_t *ret_tensor,
                           struct errmsg *err);
must_check int plan_int32s(struct infer_build *b, const int32_t *v, size_t n, uint16_t *ret_tensor,
                           struct errmsg *err);
/* x in another shape, as it is when that is its own. */
must_check int plan_reshape(struct infer_build *b, uint16_t x, const struct infer_shape *shape,
                            uint16_t *ret_tensor, struct errmsg *err);
/* A layer in float32 on tensor `x` of the build. */
must_check int plan_emit_layer(struct plan_map *m, const struct plan_layer *l, uint16_t x,
                               uint16_t *ret_tensor, struct errmsg *err);
/* All of it, but for texts and recipe. The map is filled: memory is the plan's. */
must_check int plan_emit(struct plan *p, struct infer_build *b, struct plan_map *ret_map, struct errmsg *err);

#endif
