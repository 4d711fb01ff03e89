/* Ensembles of trees in their small form: kernel_trees.h has the layout. */
#include "infer/kernel_trees.h"
#include "infer/op_private.h"

enum { X, ROOT, NODES, FIRST, VALUES, TARGET, SCALE, BASE, INPUTS };
enum { TARGETS = 0, POST = 2 };
enum { FEATURE, THRESHOLD, YES, NO, NODE };

static int check_types(const struct op_check *c)
{
    static const unsigned types[INPUTS] = {OP_I16, OP_I32, OP_I16, OP_I32, OP_I16, OP_I32, OP_F32, OP_F32};
    static const uint8_t ranks[INPUTS] = {2, 1, 2, 1, 2, 1, 1, 1};

    for (size_t i = 0; i < INPUTS; i++)
        if (op_takes(c, i, types[i]) != 0 || op_takes_rank(c, i, ranks[i], ranks[i]) != 0 ||
            (i != X && op_takes_constant(c, i) != 0))
            return -EINVAL;
    return 0;
}

static int check_sizes(const struct op_check *c)
{
    size_t n_trees = op_elements(c->in[ROOT]), n_targets = (size_t)c->node->ints[TARGETS];
    size_t width = c->in[VALUES]->shape.dim[1];

    if (n_trees > KERNEL_TREES_MAX)
        return op_refuse(c, "%zu trees are too many, at most %d", n_trees, KERNEL_TREES_MAX);
    if (c->in[NODES]->shape.dim[1] != NODE)
        return op_refuse(c, "a node has %u numbers, not %d", c->in[NODES]->shape.dim[1], NODE);
    if (width != 1 && width != n_targets)
        return op_refuse(c, "a leaf has %zu values, there are %zu targets", width, n_targets);
    if (op_takes_vector(c, FIRST, n_trees + 1, false) != 0 ||
        op_takes_vector(c, TARGET, width == n_targets ? 0 : n_trees, false) != 0 ||
        op_takes_vector(c, SCALE, n_targets, false) != 0)
        return -EINVAL;
    return op_takes_vector(c, BASE, n_targets, false);
}

static int check_leaves(const struct op_check *c)
{
    const int32_t *first = c->in[FIRST]->constant, *target = c->in[TARGET]->constant;
    size_t n_trees = op_elements(c->in[ROOT]), n_leaves = c->in[VALUES]->shape.dim[0];

    if (first[0] != 0 || first[n_trees] < 0 || (size_t)first[n_trees] != n_leaves)
        return op_refuse(c, "the leaves of the trees are not the %zu that there are", n_leaves);
    for (size_t t = 0; t < n_trees; t++)
        if (first[t + 1] <= first[t])
            return op_refuse(c, "tree %zu has no leaf", t);
    for (size_t t = 0; t < op_elements(c->in[TARGET]); t++)
        if (target[t] < 0 || target[t] >= c->node->ints[TARGETS])
            return op_refuse(c, "tree %zu is for target %d of %d", t, target[t], c->node->ints[TARGETS]);
    return 0;
}

/* Node i of a tree with n_leaves whose nodes end before `end`. */
static int check_node(const struct op_check *c, size_t i, size_t end, int32_t n_leaves)
{
    const int16_t *node = (const int16_t *)c->in[NODES]->constant + i * NODE;

    if (node[FEATURE] < 0 || (uint32_t)node[FEATURE] >= c->in[X]->shape.dim[1])
        return op_refuse(c, "node %zu looks at feature %d of %u", i, node[FEATURE], c->in[X]->shape.dim[1]);
    for (size_t k = YES; k <= NO; k++) {
        if (node[k] == 0 || (node[k] > 0 && i + (size_t)node[k] >= end))
            return op_refuse(c, "node %zu leads %d nodes on: it has to stay in its tree", i, node[k]);
        if (node[k] < 0 && -1 - node[k] >= n_leaves)
            return op_refuse(c, "node %zu leads to leaf %d of %d", i, -1 - node[k], n_leaves);
    }
    return 0;
}

static int check_trees(const struct op_check *c)
{
    const int32_t *root = c->in[ROOT]->constant, *first = c->in[FIRST]->constant;
    size_t end = c->in[NODES]->shape.dim[0];

    for (size_t t = op_elements(c->in[ROOT]); t-- > 0;) {
        if (root[t] == -1)
            continue;
        if (root[t] < 0 || (size_t)root[t] >= end)
            return op_refuse(c, "tree %zu begins at node %d, the next one at or before that", t, root[t]);
        for (size_t i = (size_t)root[t]; i < end; i++)
            if (check_node(c, i, end, first[t + 1] - first[t]) != 0)
                return -EINVAL;
        end = (size_t)root[t];
    }
    return end == 0 ? 0 : op_refuse(c, "the first %zu nodes belong to no tree", end);
}

int op_trees_i16_check(struct op_check *c)
{
    struct infer_shape y = {.rank = 2};

    if (check_types(c) != 0 || op_takes_setting(c, TARGETS, 1, INFER_ELEMENTS_MAX) != 0 ||
        op_takes_setting(c, POST, INFER_POST_NONE, INFER_POST_PROBIT) != 0 || check_sizes(c) != 0 ||
        check_leaves(c) != 0 || check_trees(c) != 0)
        return -EINVAL;
    y.dim[0] = c->in[X]->shape.dim[0];
    if (op_dim(c, &y, 1, c->node->ints[TARGETS]) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}

size_t op_trees_i16_scratch_bytes(const struct op_call *c)
{
    return (size_t)c->node->ints[TARGETS] * sizeof(int32_t);
}

uint64_t op_trees_i16_operations(const struct op_call *c)
{
    uint64_t leaf = c->in[VALUES]->shape.dim[1];

    return op_product(c->in[NODES]->shape.dim[0] + op_product(leaf, op_elements(c->in[ROOT])),
                      c->in[X]->shape.dim[0]);
}

/* Of n trees from `tree` on; `target` NULL: a leaf has a value for each. */
static void add_leaves(const struct op_call *c, size_t tree, const size_t *leaves, size_t n,
                       const int32_t *target, size_t width, int32_t *sums)
{
    const int16_t *values = c->x[VALUES];

    for (size_t i = 0; i < n; i++)
        if (target != NULL)
            sums[target[tree + i]] += values[leaves[i]];
        else
            for (size_t k = 0; k < width; k++)
                sums[k] += values[leaves[i] * width + k];
}

void op_trees_i16_run(const struct op_call *c)
{
    struct kernel_trees_i16 t = {c->x[ROOT], c->x[FIRST], c->x[NODES]};
    size_t n_trees = op_elements(c->in[ROOT]), n_targets = (size_t)c->node->ints[TARGETS];
    size_t n_features = c->in[X]->shape.dim[1], width = c->in[VALUES]->shape.dim[1];
    const float *scale = c->x[SCALE], *base = c->x[BASE];
    const int32_t *target = op_elements(c->in[TARGET]) == 0 ? NULL : c->x[TARGET];
    int32_t *sums = c->scratch;
    float *y = c->y[0];

    for (size_t i = 0; i < c->in[X]->shape.dim[0]; i++, y += n_targets) {
        memset(sums, 0, n_targets * sizeof *sums);
        for (size_t tree = 0; tree < n_trees; tree += KERNEL_TREES_SIDE_BY_SIDE) {
            size_t leaves[KERNEL_TREES_SIDE_BY_SIDE], n = n_trees - tree;

            n = n < KERNEL_TREES_SIDE_BY_SIDE ? n : KERNEL_TREES_SIDE_BY_SIDE;
            kernel_trees_i16(&t, tree, n, (const int16_t *)c->x[X] + i * n_features, leaves);
            add_leaves(c, tree, leaves, n, target, width, sums);
        }
        for (size_t k = 0; k < n_targets; k++)
            y[k] = base[k] + scale[k] * (float)sums[k];
        op_post((enum infer_post)c->node->ints[POST], y, n_targets);
    }
}
