/* op_trees.h - the inputs of an ensemble of trees. Private to common/infer. */
#ifndef FOGLINE_INFER_OP_TREES_H
#define FOGLINE_INFER_OP_TREES_H

#include "infer/op_private.h"

enum {
    OP_TREES_X,
    OP_TREES_ROOT,
    OP_TREES_FEATURE,
    OP_TREES_THRESHOLD,
    OP_TREES_MODE,
    OP_TREES_TRUE,
    OP_TREES_FALSE,
    OP_TREES_MISSING,
    OP_TREES_LEAF,
    OP_TREES_TARGET,
    OP_TREES_WEIGHT,
    OP_TREES_BASE,
    OP_TREES_MEMBERS,
    OP_TREES_COUNT,
    OP_TREES_INPUTS
};

enum { OP_TREES_SUM, OP_TREES_AVERAGE, OP_TREES_MIN, OP_TREES_MAX };

#endif
