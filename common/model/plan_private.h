/* plan_private.h - how a plan folds nodes into layers. Private to common/model. */
#ifndef FOGLINE_MODEL_PLAN_PRIVATE_H
#define FOGLINE_MODEL_PLAN_PRIVATE_H

#include "model/plan.h"

/* Where the outputs of a layer lie. */
struct plan_channels {
    size_t m;
    unsigned axis;
    const struct infer_shape *out;
};

/* A constant of this shape, broadcast to the output, is one value for each channel, and changes no shape. */
bool plan_is_by_channel(const struct plan_channels *ch, const struct infer_shape *constant);
/* That of channel m. */
float plan_channel_at(const struct infer_shape *constant, const float *values, size_t m);

/* Takes a node that alone uses the output of the layer into it: its output is the layer's then. false: not
 * possible, nothing has changed. */
bool plan_fold(struct plan *p, struct plan_layer *l, const struct infer_node *node);

#endif
