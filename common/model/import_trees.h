/* import_trees.h - trees as their attributes say them, before they are put in order. Private to common/model.
 */
#ifndef FOGLINE_MODEL_IMPORT_TREES_H
#define FOGLINE_MODEL_IMPORT_TREES_H

#include "model/import_private.h"

struct import_tree_node {
    int32_t feature;
    int8_t mode, missing; /* enum infer_tree_mode */
    int32_t yes, no;      /* a node, or -1 - leaf */
    int32_t n_members;
    double threshold; /* of INFER_MEMBER: the first of its members */
    int32_t place;    /* -1: not yet put in order */
};

struct import_trees {
    struct import_tree_node *nodes;
    size_t n_nodes;
    int32_t *roots; /* a node, or -1 - leaf */
    size_t n_roots;
    int32_t *leaf_first; /* n_leaves + 1 */
    size_t n_leaves;
    int32_t *target;
    double *weight;
    size_t n_weights;
    double *members;
    size_t n_members;
    double *base;
    size_t n_base;
    bool f64; /* thresholds and weights are doubles */
    int32_t n_targets, aggregate, post;
};

/* The ensemble over x [N,F] (F32 or F64); out: float32 [N,targets]. */
must_check int import_trees_emit(struct import *im, struct import_trees *t, struct import_value *x,
                                 struct import_value *out);
/* Numbers of a list of floats or, when that is not there, of a tensor attribute of doubles or floats; n 0:
 * neither. */
must_check int import_doubles(struct import *im, const char *floats, const char *tensor, double **ret_v,
                              size_t *ret_n, bool *ret_f64);

#endif
