/* TreeEnsembleClassifier and TreeEnsembleRegressor: nodes by number of tree and node. */
#include "model/import_trees.h"

#include <stdlib.h>

struct key {
    int64_t tree, node;
    int32_t index;
};

struct old {
    struct import_trees t;
    struct key *keys; /* sorted */
    int32_t *leaf_of; /* node -> leaf, -1: none */
    bool *has_parent;
    size_t n;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static int32_t find(const struct old *o, int64_t tree, int64_t node)
{
    struct key want = {tree, node, 0};
    const struct key *k = bsearch(&want, o->keys, o->n, sizeof *o->keys, compare_keys);

    return k == NULL ? -1 : k->index;
}

static int mode_of(struct import *im, struct span mode, int8_t *ret_mode)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    char text[ONNX_NAME_TEXT];

    *ret_mode = -1;
    for (int8_t i = 0; i < 6; i++)
        if (span_equal(mode, span_str(names[i])))
            *ret_mode = i;
    if (*ret_mode < 0 && !span_equal(mode, span_str("LEAF")))
        return import_refuse(im, "a node of its trees is of mode %s, which is not known",
                             onnx_name_text(mode, text));
    return 0;
}

static int take_keys(struct import *im, struct old *o, const int64_t *trees, const int64_t *nodes)
{
    o->keys = pool_alloc(&im->pool, o->n, sizeof *o->keys);
    if (o->keys == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i < o->n; i++)
        o->keys[i] = (struct key){trees[i], nodes[i], (int32_t)i};
    qsort(o->keys, o->n, sizeof *o->keys, compare_keys);
    for (size_t i = 1; i < o->n; i++)
        if (compare_keys(&o->keys[i - 1], &o->keys[i]) == 0)
            return import_refuse(im, "tree %lld has two nodes %lld", (long long)o->keys[i].tree,
                                 (long long)o->keys[i].node);
    return 0;
}

static int child_of(struct import *im, struct old *o, int64_t tree, int64_t id, int32_t *ret_child)
{
    int32_t at = find(o, tree, id);

    if (at < 0)
        return import_refuse(im, "tree %lld has no node %lld", (long long)tree, (long long)id);
    o->has_parent[at] = true;
    *ret_child = o->leaf_of[at] >= 0 ? -1 - o->leaf_of[at] : at;
    return 0;
}

static int take_nodes(struct import *im, struct old *o)
{
    static const char *const names[] = {"nodes_treeids",      "nodes_nodeids",
                                        "nodes_featureids",   "nodes_truenodeids",
                                        "nodes_falsenodeids", "nodes_missing_value_tracks_true"};
    const int64_t *v[6];
    const struct span *modes;
    double *values;
    size_t n[6], n_modes, n_values, n_trees = 0;
    int r = import_doubles(im, "nodes_values", "nodes_values_as_tensor", &values, &n_values, &o->t.f64);

    modes = import_texts(im, "nodes_modes", &n_modes);
    o->n = o->t.n_nodes = n_modes;
    for (size_t i = 0; i < 6 && r == 0; i++) {
        v[i] = import_ints(im, names[i], &n[i]);
        if (n[i] != n_modes && !(i == 5 && n[i] == 0))
            r = import_refuse(im, "it has %zu %s for %zu nodes_modes", n[i], names[i], n_modes);
    }
    if (r == 0 && n_values != n_modes)
        r = import_refuse(im, "it has %zu nodes_values for %zu nodes_modes", n_values, n_modes);
    o->t.nodes = pool_alloc(&im->pool, o->n, sizeof *o->t.nodes);
    o->leaf_of = pool_alloc(&im->pool, o->n, sizeof *o->leaf_of);
    o->has_parent = pool_alloc(&im->pool, o->n, sizeof *o->has_parent);
    o->t.roots = pool_alloc(&im->pool, o->n, sizeof *o->t.roots);
    if (o->t.nodes == NULL || o->leaf_of == NULL || o->has_parent == NULL || o->t.roots == NULL)
        return import_no_memory(im);
    if (r == 0)
        r = take_keys(im, o, v[0], v[1]);
    for (size_t i = 0; i < o->n && r == 0; i++) {
        o->t.nodes[i] = (struct import_tree_node){
            .feature = import_i32(v[2][i]), .missing = n[5] > 0 && v[5][i] != 0, .threshold = values[i]};
        r = mode_of(im, modes[i], &o->t.nodes[i].mode);
        o->leaf_of[i] = o->t.nodes[i].mode < 0 ? (int32_t)o->t.n_leaves++ : -1;
    }
    for (size_t i = 0; i < o->n && r == 0; i++) {
        if (o->leaf_of[i] >= 0)
            continue;
        r = child_of(im, o, v[0][i], v[3][i], &o->t.nodes[i].yes);
        if (r == 0)
            r = child_of(im, o, v[0][i], v[4][i], &o->t.nodes[i].no);
    }
    for (size_t i = 0; i < o->n && r == 0; i++) {
        n_trees += i == 0 || o->keys[i].tree != o->keys[i - 1].tree;
        if (!o->has_parent[i])
            o->t.roots[o->t.n_roots++] = o->leaf_of[i] >= 0 ? -1 - o->leaf_of[i] : (int32_t)i;
    }
    if (r == 0 && o->t.n_roots != n_trees)
        r = import_refuse(im, "it has %zu trees and %zu nodes without a parent", n_trees, o->t.n_roots);
    return r;
}

/* Weights of leaves, in their order for each leaf. */
static int take_weights(struct import *im, struct old *o, bool classes)
{
    size_t n, n_tree, n_node;
    double *weights;
    const int64_t *tree = import_ints(im, classes ? "class_treeids" : "target_treeids", &n_tree);
    const int64_t *node = import_ints(im, classes ? "class_nodeids" : "target_nodeids", &n_node);
    const int64_t *target = import_ints(im, classes ? "class_ids" : "target_ids", &n);
    int32_t *at = pool_alloc(&im->pool, n, sizeof *at), *next;
    int r = classes ? import_doubles(im, "class_weights", "class_weights_as_tensor", &weights,
                                     &o->t.n_weights, &o->t.f64)
                    : import_doubles(im, "target_weights", "target_weights_as_tensor", &weights,
                                     &o->t.n_weights, &o->t.f64);

    if (r == 0 && (n_tree != n || n_node != n || o->t.n_weights != n))
        r = import_refuse(im, "its lists of leaves are not equally long");
    o->t.leaf_first = pool_alloc(&im->pool, o->t.n_leaves + 1, 4);
    next = pool_alloc(&im->pool, o->t.n_leaves + 1, 4);
    o->t.target = pool_alloc(&im->pool, n, 4);
    o->t.weight = pool_alloc(&im->pool, n, 8);
    if (at == NULL || next == NULL || o->t.leaf_first == NULL || o->t.target == NULL || o->t.weight == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i < n && r == 0; i++) {
        int32_t k = find(o, tree[i], node[i]);

        at[i] = k < 0 ? -1 : o->leaf_of[k];
        if (at[i] < 0)
            r = import_refuse(im, "tree %lld has no leaf %lld", (long long)tree[i], (long long)node[i]);
        else
            o->t.leaf_first[at[i] + 1]++;
    }
    if (r != 0)
        return r;
    for (size_t i = 0; i < o->t.n_leaves; i++)
        next[i + 1] = o->t.leaf_first[i + 1] += o->t.leaf_first[i];
    for (size_t i = 0; i < n; i++) {
        size_t to = (size_t)next[at[i]]++;

        o->t.target[to] = import_i32(target[i]);
        o->t.weight[to] = weights[i];
    }
    return 0;
}

static int take_all(struct import *im, struct import_node *n, struct old *o, bool classes,
                    struct import_value **ret_x)
{
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = import_features(im, n, true, ret_x);
    if (r == 0)
        r = take_nodes(im, o);
    if (r == 0)
        r = take_weights(im, o, classes);
    if (r == 0)
        r = import_doubles(im, "base_values", "base_values_as_tensor", &o->t.base, &o->t.n_base, &o->t.f64);
    return r;
}

int import_tree_regressor(struct import *im, struct import_node *n)
{
    static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    struct span aggregate = import_text(im, "aggregate_function", "SUM");
    struct old o = {.t = {.n_targets = import_i32(import_int(im, "n_targets", 1)), .aggregate = -1}};
    struct import_value *x;
    int r = take_all(im, n, &o, false, &x);

    for (int32_t i = 0; i < 4; i++)
        if (span_equal(aggregate, span_str(aggregates[i])))
            o.t.aggregate = i;
    if (r == 0 && o.t.aggregate < 0)
        r = import_refuse(im, "its aggregate_function is none of SUM, AVERAGE, MIN, MAX");
    if (r == 0)
        r = import_post(im, &o.t.post);
    return r != 0 ? r : import_trees_emit(im, &o.t, x, n->out[0]);
}

/* Two classes, and weights for the first alone: its score is that of the second, and the other is made of it,
 * as ONNX Runtime does and exporters expect. */
static void binary(struct old *o, struct infer_node *node, bool positive)
{
    node->ints[0] = 1;
    node->ints[2] = positive && node->ints[1] != INFER_POST_LOGISTIC ? 1 : 2;
    node->floats[0] = positive ? 0.5f : 0;
    o->t.n_targets = 1;
}

/* Weights for the second alone, none of them negative: it is taken from one half on, not from 0, by the same
 * authority. */
static int half(struct import *im, struct import_value *scores, struct import_value *labels,
                struct import_value *label)
{
    struct infer_node slice = {.op = INFER_SLICE, .ints = {[1] = 1, [6] = 1, [7] = 1, [13] = 1}};
    struct infer_node node = {.op = INFER_CLASSIFY, .ints = {[0] = 1, [2] = 1}, .floats = {0.5f}};
    struct import_value *second = import_temp(im);
    int r;

    if (second == NULL)
        return import_no_memory(im);
    slice.ints[12] = (int32_t)scores->shape.dim[0];
    r = import_emit1(im, &slice, &scores, 1, second);
    return r != 0 ? r : import_emit1(im, &node, (struct import_value *[]){second, labels}, 2, label);
}

int import_tree_classifier(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CLASSIFY};
    struct old o = {0};
    struct import_value *x, *labels, *scores = import_temp(im), *unused = import_temp(im);
    struct import_value *out[2] = {n->out[0], n->n_out > 1 ? n->out[1] : NULL};
    bool first = true, second = true, positive = true;
    int r = take_all(im, n, &o, true, &x);

    if (r == 0 && (scores == NULL || unused == NULL))
        r = import_no_memory(im);
    if (r == 0)
        r = import_labels(im, "classlabels_int64s", "classlabels_strings", &labels);
    if (r == 0)
        r = import_post(im, &node.ints[1]);
    if (r != 0)
        return r;
    o.t.n_targets = (int32_t)labels->shape.dim[0];
    for (size_t i = 0; i < o.t.n_weights; i++) {
        if (o.t.target[i] < 0 || o.t.target[i] >= o.t.n_targets)
            return import_refuse(im, "a weight is for class %d of %d", o.t.target[i], o.t.n_targets);
        first &= o.t.target[i] == 0;
        second &= o.t.target[i] == 1;
        positive &= !(o.t.weight[i] < 0);
    }
    second &= o.t.n_targets == 2 && positive && o.t.n_base == 0 && o.t.n_weights > 0;
    if (o.t.n_targets == 2 && first && o.t.n_base < 2)
        binary(&o, &node, positive);
    r = import_trees_emit(im, &o.t, x, scores);
    if (r == 0 && second) {
        r = half(im, scores, labels, out[0]);
        out[0] = unused;
        if (out[1] == NULL)
            return r;
    }
    return r != 0 ? r
                  : import_emit(im, &node, (struct import_value *[]){scores, labels}, 2, out,
                                out[1] != NULL ? 2 : 1);
}
