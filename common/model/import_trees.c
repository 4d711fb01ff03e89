/* Ensembles of trees: put in the order that the engine wants. */
#include "model/import_trees.h"

enum { TREE_INPUTS = 14 };

int import_doubles(struct import *im, const char *floats, const char *tensor, double **ret_v, size_t *ret_n,
                   bool *ret_f64)
{
    size_t n = 0;
    const float *f = floats == NULL ? NULL : import_float_list(im, floats, &n);
    const struct onnx_tensor *t = f != NULL || tensor == NULL ? NULL : import_tensor_attribute(im, tensor);

    *ret_n = 0;
    *ret_v = NULL;
    if (f == NULL && t == NULL)
        return 0;
    if (t != NULL && (t->data == NULL || (t->type != ONNX_FLOAT && t->type != ONNX_DOUBLE)))
        return import_refuse(im, "its attribute %s is of type %s, it has to be float or double", tensor,
                             onnx_type_name(t->type));
    if (t != NULL)
        n = t->n_elements;
    *ret_v = pool_alloc(&im->pool, n, sizeof **ret_v);
    if (*ret_v == NULL)
        return import_no_memory(im);
    *ret_n = n;
    for (size_t i = 0; i < n; i++)
        (*ret_v)[i] = f != NULL               ? f[i]
                      : t->type == ONNX_FLOAT ? ((const float *)t->data)[i]
                                              : ((const double *)t->data)[i];
    if (t != NULL && t->type == ONNX_DOUBLE)
        *ret_f64 = true;
    return 0;
}

/* Parents before children, tree by tree; a node that is reached twice is refused. Into order[], *ret_n of
 * them. */
static int put_in_order(struct import *im, struct import_trees *t, int32_t *order, int32_t *roots,
                        size_t *ret_n)
{
    int32_t *stack = pool_alloc(&im->pool, 2 * t->n_nodes + 1, sizeof *stack);
    size_t n = 0;

    if (stack == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i < t->n_nodes; i++)
        t->nodes[i].place = -1;
    for (size_t r = 0; r < t->n_roots; r++) {
        size_t depth = 0;

        roots[r] = t->roots[r];
        if (t->roots[r] < 0)
            continue;
        roots[r] = (int32_t)n;
        stack[depth++] = t->roots[r];
        while (depth > 0) {
            int32_t i = stack[--depth];
            struct import_tree_node *node = &t->nodes[i];

            if (node->place >= 0)
                return import_refuse(im, "a node of its trees is reached in two ways");
            node->place = (int32_t)n;
            order[n++] = i;
            if (node->no >= 0)
                stack[depth++] = node->no;
            if (node->yes >= 0)
                stack[depth++] = node->yes;
            if (depth > 2 * t->n_nodes - 1)
                return import_refuse(im, "its trees have a circle");
        }
    }
    *ret_n = n;
    return 0;
}

static struct import_value *numbers(struct import *im, const double *v, size_t n, bool f64)
{
    struct infer_shape s = {1, {(uint32_t)n}};
    struct import_value *c;

    if (f64)
        return import_constant(im, INFER_F64, &s, v);
    c = import_constant(im, INFER_F32, &s, NULL);
    for (size_t i = 0; c != NULL && i < n; i++)
        ((float *)(uintptr_t)c->data)[i] = (float)v[i];
    return c;
}

static struct import_value *ints(struct import *im, const int32_t *v, size_t n)
{
    return import_constant(im, INFER_I32, &(struct infer_shape){1, {(uint32_t)n}}, v);
}

static int32_t placed(const struct import_trees *t, int32_t child)
{
    return child < 0 ? child : t->nodes[child].place;
}

/* Inputs 1 to 13 of INFER_TREES. */
static int constants(struct import *im, struct import_trees *t, const int32_t *order, size_t n,
                     const int32_t *roots, bool x_f64, struct import_value *in[TREE_INPUTS])
{
    struct infer_shape s = {1, {(uint32_t)n}};
    int32_t *feature = pool_alloc(&im->pool, n, 4), *yes = pool_alloc(&im->pool, n, 4);
    int32_t *no = pool_alloc(&im->pool, n, 4), *n_members = pool_alloc(&im->pool, n, 4);
    int8_t *mode = pool_alloc(&im->pool, n, 1), *missing = pool_alloc(&im->pool, n, 1);
    double *threshold = pool_alloc(&im->pool, n, 8);

    if (feature == NULL || yes == NULL || no == NULL || n_members == NULL || mode == NULL ||
        missing == NULL || threshold == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i < n; i++) {
        const struct import_tree_node *node = &t->nodes[order[i]];

        feature[i] = node->feature;
        threshold[i] = node->threshold;
        mode[i] = node->mode;
        missing[i] = node->missing;
        yes[i] = placed(t, node->yes);
        no[i] = placed(t, node->no);
        n_members[i] = node->n_members;
    }
    in[1] = ints(im, roots, t->n_roots);
    in[2] = ints(im, feature, n);
    in[3] = numbers(im, threshold, n, x_f64);
    in[4] = import_constant(im, INFER_I8, &s, mode);
    in[5] = ints(im, yes, n);
    in[6] = ints(im, no, n);
    in[7] = import_constant(im, INFER_I8, &s, missing);
    in[8] = ints(im, t->leaf_first, t->n_leaves + 1);
    in[9] = ints(im, t->target, t->n_weights);
    in[10] = numbers(im, t->weight, t->n_weights, t->f64);
    in[11] = numbers(im, t->base, t->n_base, t->f64);
    in[12] = t->n_members == 0 ? NULL : numbers(im, t->members, t->n_members, x_f64);
    in[13] = t->n_members == 0 ? NULL : ints(im, n_members, n);
    for (size_t i = 1; i < (t->n_members == 0 ? 12 : TREE_INPUTS); i++)
        if (in[i] == NULL)
            return import_no_memory(im);
    return 0;
}

int import_trees_emit(struct import *im, struct import_trees *t, struct import_value *x,
                      struct import_value *out)
{
    struct infer_node node = {.op = INFER_TREES, .ints = {t->n_targets, t->aggregate, t->post}};
    struct import_value *in[TREE_INPUTS] = {NULL};
    int32_t *order = pool_alloc(&im->pool, t->n_nodes, sizeof *order);
    int32_t *roots = pool_alloc(&im->pool, t->n_roots, sizeof *roots);
    size_t n = 0;
    int r;

    if (order == NULL || roots == NULL)
        return import_no_memory(im);
    if (t->n_base != 0 && t->n_base != (size_t)t->n_targets)
        return import_refuse(im, "it has %zu base values for %d targets", t->n_base, t->n_targets);
    r = put_in_order(im, t, order, roots, &n);
    if (r == 0 && t->f64)
        r = import_cast(im, x, INFER_F64, &x);
    in[0] = x;
    if (r == 0)
        r = constants(im, t, order, n, roots, x->type == INFER_F64, in);
    return r != 0 ? r : import_emit1(im, &node, in, t->n_members == 0 ? 12 : TREE_INPUTS, out);
}

/* ---- TreeEnsemble, since ai.onnx.ml 5 ---- */

static int leaf_or_node(struct import *im, struct import_trees *t, int64_t id, bool leaf, int32_t *ret_child)
{
    if (id < 0 || (uint64_t)id >= (leaf ? t->n_leaves : t->n_nodes))
        return import_refuse(im, "a node of its trees leads to %s %lld, which is not there",
                             leaf ? "leaf" : "node", (long long)id);
    *ret_child = leaf ? (int32_t)(-1 - id) : (int32_t)id;
    return 0;
}

/* Each set ends with NaN, in the order of the nodes that ask for membership. */
static int take_members(struct import *im, struct import_trees *t)
{
    double *v;
    size_t n, at = 0, kept = 0;
    bool f64;
    int r = import_doubles(im, NULL, "membership_values", &v, &n, &f64);

    t->members = v;
    for (size_t i = 0; i < t->n_nodes && r == 0; i++) {
        struct import_tree_node *node = &t->nodes[i];

        if (node->mode != INFER_MEMBER)
            continue;
        node->threshold = (double)kept;
        while (at < n && v[at] == v[at]) {
            v[kept++] = v[at++];
            node->n_members++;
        }
        if (at++ >= n)
            r = import_refuse(im, "a node of its trees asks for membership in a set that is not there");
    }
    t->n_members = kept;
    return r;
}

static int take_leaves(struct import *im, struct import_trees *t)
{
    size_t n_targets;
    const int64_t *targets = import_ints(im, "leaf_targetids", &n_targets);
    int r = import_doubles(im, NULL, "leaf_weights", &t->weight, &t->n_weights, &t->f64);

    if (r != 0)
        return r;
    if (n_targets != t->n_weights || n_targets == 0)
        return import_refuse(im, "it has %zu leaf_targetids and %zu leaf_weights", n_targets, t->n_weights);
    t->n_leaves = n_targets;
    t->target = pool_alloc(&im->pool, n_targets, 4);
    t->leaf_first = pool_alloc(&im->pool, n_targets + 1, 4);
    if (t->target == NULL || t->leaf_first == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i <= n_targets; i++)
        t->leaf_first[i] = (int32_t)i;
    for (size_t i = 0; i < n_targets; i++)
        t->target[i] = import_i32(targets[i]);
    return 0;
}

static int take_nodes(struct import *im, struct import_trees *t)
{
    static const char *const names[] = {"nodes_featureids",   "nodes_truenodeids",
                                        "nodes_falsenodeids", "nodes_trueleafs",
                                        "nodes_falseleafs",   "nodes_missing_value_tracks_true"};
    const struct onnx_tensor *modes = import_tensor_attribute(im, "nodes_modes");
    const int64_t *v[6];
    double *splits;
    size_t n[6], n_splits;
    int r = import_doubles(im, NULL, "nodes_splits", &splits, &n_splits, &t->f64);

    for (size_t i = 0; i < 6; i++)
        v[i] = import_ints(im, names[i], &n[i]);
    t->n_nodes = n_splits;
    for (size_t i = 0; i < 6 && r == 0; i++)
        if (n[i] != n_splits && !(i == 5 && n[i] == 0))
            r = import_refuse(im, "it has %zu %s for %zu nodes_splits", n[i], names[i], n_splits);
    if (r == 0 && (modes == NULL || modes->type != ONNX_UINT8 || modes->n_elements != n_splits))
        r = import_refuse(im, "its nodes_modes are not %zu of uint8", n_splits);
    t->nodes = pool_alloc(&im->pool, n_splits, sizeof *t->nodes);
    if (r == 0 && t->nodes == NULL)
        r = import_no_memory(im);
    for (size_t i = 0; i < n_splits && r == 0; i++) {
        struct import_tree_node *node = &t->nodes[i];

        *node = (struct import_tree_node){.feature = import_i32(v[0][i]),
                                          .mode = (int8_t)((const uint8_t *)modes->data)[i],
                                          .missing = n[5] > 0 && v[5][i] != 0,
                                          .threshold = splits[i]};
        r = leaf_or_node(im, t, v[1][i], v[3][i] != 0, &node->yes);
        if (r == 0)
            r = leaf_or_node(im, t, v[2][i], v[4][i] != 0, &node->no);
    }
    return r;
}

static int take_roots(struct import *im, struct import_trees *t)
{
    const int64_t *roots = import_ints(im, "tree_roots", &t->n_roots);
    int r = 0;

    t->roots = pool_alloc(&im->pool, t->n_roots, 4);
    if (t->roots == NULL)
        return import_no_memory(im);
    for (size_t i = 0; i < t->n_roots && r == 0; i++)
        r = leaf_or_node(im, t, roots[i], false, &t->roots[i]);
    return r;
}

int import_tree_ensemble(struct import *im, struct import_node *n)
{
    static const int32_t aggregates[] = {1, 0, 2, 3}; /* average, sum, min, max */
    struct import_trees t = {.post = import_i32(import_int(im, "post_transform", 0)),
                             .n_targets = import_i32(import_int(im, "n_targets", 1))};
    int64_t aggregate = import_int(im, "aggregate_function", 1);
    struct import_value *x, *scores, *wide;
    int r = import_need_inputs(im, n, 1);

    if (r == 0 && (aggregate < 0 || aggregate > 3))
        r = import_refuse(im, "its aggregate_function is %lld", (long long)aggregate);
    if (r == 0)
        r = import_features(im, n, true, &x);
    if (r == 0)
        r = take_leaves(im, &t);
    if (r == 0)
        r = take_nodes(im, &t);
    if (r == 0)
        r = take_members(im, &t);
    if (r == 0)
        r = take_roots(im, &t);
    if (r != 0)
        return r;
    t.aggregate = aggregates[aggregate];
    scores = import_temp(im);
    if (scores == NULL)
        return import_no_memory(im);
    r = import_trees_emit(im, &t, x, scores);
    if (r == 0)
        r = import_cast(im, scores, n->in[0]->type == INFER_F64 ? INFER_F64 : INFER_F32, &wide);
    if (r == 0)
        import_alias(n->out[0], wide);
    return r;
}
