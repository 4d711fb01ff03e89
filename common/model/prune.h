/* prune.h - a model with fewer neurons and channels: smaller, and quicker in the same dense kernels.
 *
 * Whole units go, those that matter least, until the weights of all layers together are down to a share of
 * what they were. Without rows a unit matters by the norm of the weights that lead to it times that of those
 * that lead from it; with rows by how much it moves what stands behind it. What a unit that goes had to say
 * on average is not lost: it goes into the biases behind it. Without rows that is what the unit gives when
 * its weights are 0, so that the result is, exactly but for rounding, the model with those weights zeroed; at
 * a convolution with padding, or a transposed one, the unit counts as 0.
 *
 * A unit can go where only layers without groups read it, through functions of one value, pools and reshapes
 * that keep channels together. Nothing is trained afterwards. Pure; one thread; deterministic. */
#ifndef FOGLINE_MODEL_PRUNE_H
#define FOGLINE_MODEL_PRUNE_H

#include "infer/build.h"
#include "infer/model.h"
#include "model/rows.h"

struct prune_layer {
    uint16_t node, op;  /* of the model that was given */
    size_t units, kept; /* neurons or channels */
    const char *why;    /* none of its units can go; NULL: they can */
    bool *gone;         /* of each unit; owned */
};

struct prune_report {
    struct prune_layer *layers; /* owned */
    size_t n_layers;
    uint64_t weights_before, weights_after; /* of all layers, without biases */
};

void prune_report_deinit(struct prune_report *r); /* accepts zero */

/* to: 0 < to < 1. rows: NULL or none: by norms alone. The caller frees *ret_build; it has texts and recipe of
 * the model. -EINVAL with a sentence also when there is nothing to prune or not enough. */
must_check int prune(const struct infer_model *model, const struct model_rows *rows, double to,
                     struct infer_build **ret_build, struct prune_report *ret_report, struct errmsg *err);

#endif
