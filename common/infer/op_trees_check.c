/* Are the constants of an ensemble of trees what a run may trust? */
#include "infer/op_trees.h"

#include <math.h>

static int check_types(const struct op_check *c)
{
    static const unsigned types[OP_TREES_INPUTS] = {
        [OP_TREES_X] = OP_F32 | OP_F64,    [OP_TREES_ROOT] = OP_I32,
        [OP_TREES_FEATURE] = OP_I32,       [OP_TREES_MODE] = OP_I8,
        [OP_TREES_TRUE] = OP_I32,          [OP_TREES_FALSE] = OP_I32,
        [OP_TREES_MISSING] = OP_I8,        [OP_TREES_LEAF] = OP_I32,
        [OP_TREES_TARGET] = OP_I32,        [OP_TREES_WEIGHT] = OP_F32 | OP_F64,
        [OP_TREES_BASE] = OP_F32 | OP_F64, [OP_TREES_COUNT] = OP_I32,
    };
    int r = op_takes(c, OP_TREES_X, types[OP_TREES_X]);

    for (size_t i = 1; r == 0 && i < OP_TREES_INPUTS; i++) {
        r = op_takes(c, i, types[i] != 0 ? types[i] : 1U << c->in[OP_TREES_X]->type);
        if (r == 0)
            r = op_takes_constant(c, i);
        if (r == 0)
            r = op_takes_rank(c, i, 1, 1);
    }
    return r;
}

static int check_sizes(const struct op_check *c)
{
    static const size_t each_node[] = {OP_TREES_THRESHOLD, OP_TREES_MODE,    OP_TREES_TRUE,
                                       OP_TREES_FALSE,     OP_TREES_MISSING, OP_TREES_COUNT};
    size_t n_nodes = op_elements(c->in[OP_TREES_FEATURE]);

    for (size_t i = 0; i < sizeof each_node / sizeof each_node[0]; i++)
        if (op_takes_vector(c, each_node[i], n_nodes, false) != 0)
            return -EINVAL;
    if ((c->in[OP_TREES_MEMBERS] == NULL) != (c->in[OP_TREES_COUNT] == NULL))
        return op_refuse(c, "of inputs %d and %d one is missing", OP_TREES_MEMBERS, OP_TREES_COUNT);
    if (op_takes_vector(c, OP_TREES_WEIGHT, op_elements(c->in[OP_TREES_TARGET]), false) != 0)
        return -EINVAL;
    if (op_elements(c->in[OP_TREES_LEAF]) == 0)
        return op_refuse(c, "input %d is empty", OP_TREES_LEAF);
    if (op_elements(c->in[OP_TREES_BASE]) != 0)
        return op_takes_vector(c, OP_TREES_BASE, (size_t)c->node->ints[0], false);
    return 0;
}

static int check_leaves(const struct op_check *c)
{
    const int32_t *first = c->in[OP_TREES_LEAF]->constant, *target = c->in[OP_TREES_TARGET]->constant;
    size_t n = op_elements(c->in[OP_TREES_LEAF]) - 1, n_weights = op_elements(c->in[OP_TREES_TARGET]);

    for (size_t i = 0; i <= n; i++)
        if (first[i] < 0 || (size_t)first[i] > n_weights || (i > 0 && first[i] < first[i - 1]))
            return op_refuse(c, "leaf %zu begins at weight %d of %zu", i, first[i], n_weights);
    for (size_t i = 0; i < n_weights; i++)
        if (target[i] < 0 || target[i] >= c->node->ints[0])
            return op_refuse(c, "weight %zu is for target %d of %d", i, target[i], c->node->ints[0]);
    return 0;
}

static int check_members(const struct op_check *c, size_t i)
{
    const struct infer_tensor *t = c->in[OP_TREES_THRESHOLD];
    double first = t->type == INFER_F32 ? ((const float *)t->constant)[i] : ((const double *)t->constant)[i];
    int32_t n;

    if (c->in[OP_TREES_MEMBERS] == NULL)
        return op_refuse(c, "node %zu needs members, there are none", i);
    n = ((const int32_t *)c->in[OP_TREES_COUNT]->constant)[i];
    if (!(first >= 0) || first != floor(first) || n < 0 ||
        first + n > (double)op_elements(c->in[OP_TREES_MEMBERS]))
        return op_refuse(c, "node %zu has %d members from %g, there are %zu", i, n, first,
                         op_elements(c->in[OP_TREES_MEMBERS]));
    return 0;
}

/* A child: a leaf, or a node behind its parent and before `end`. */
static int check_child(const struct op_check *c, size_t i, int32_t child, size_t end)
{
    size_t n_leaves = op_elements(c->in[OP_TREES_LEAF]) - 1;

    if (child < 0 && (size_t)(-1 - (int64_t)child) >= n_leaves)
        return op_refuse(c, "node %zu leads to leaf %lld of %zu", i, -1 - (long long)child, n_leaves);
    if (child >= 0 && ((size_t)child <= i || (size_t)child >= end))
        return op_refuse(c, "node %zu leads to node %d: it has to stand behind it, in the same tree", i,
                         child);
    return 0;
}

static int check_node(const struct op_check *c, size_t i, size_t end)
{
    int32_t feature = ((const int32_t *)c->in[OP_TREES_FEATURE]->constant)[i];
    int8_t mode = ((const int8_t *)c->in[OP_TREES_MODE]->constant)[i];

    if (feature < 0 || (uint32_t)feature >= c->in[OP_TREES_X]->shape.dim[1])
        return op_refuse(c, "node %zu looks at feature %d of %u", i, feature,
                         c->in[OP_TREES_X]->shape.dim[1]);
    if (mode < INFER_LEQ || mode > INFER_MEMBER)
        return op_refuse(c, "node %zu has mode %d", i, mode);
    if ((mode == INFER_MEMBER && check_members(c, i) != 0) ||
        check_child(c, i, ((const int32_t *)c->in[OP_TREES_TRUE]->constant)[i], end) != 0)
        return -EINVAL;
    return check_child(c, i, ((const int32_t *)c->in[OP_TREES_FALSE]->constant)[i], end);
}

/* Trees one behind the other, so that no path is longer than its tree. From the last to the first. */
static int check_trees(const struct op_check *c)
{
    const int32_t *root = c->in[OP_TREES_ROOT]->constant;
    size_t end = op_elements(c->in[OP_TREES_FEATURE]), n_leaves = op_elements(c->in[OP_TREES_LEAF]) - 1;

    for (size_t t = op_elements(c->in[OP_TREES_ROOT]); t-- > 0;) {
        if (root[t] < 0) {
            if ((size_t)(-1 - (int64_t)root[t]) >= n_leaves)
                return op_refuse(c, "tree %zu is leaf %lld of %zu", t, -1 - (long long)root[t], n_leaves);
            continue;
        }
        if ((size_t)root[t] >= end)
            return op_refuse(c, "tree %zu begins at node %d, the next one before that", t, root[t]);
        for (size_t i = (size_t)root[t]; i < end; i++)
            if (check_node(c, i, end) != 0)
                return -EINVAL;
        end = (size_t)root[t];
    }
    return end == 0 ? 0 : op_refuse(c, "the first %zu nodes belong to no tree", end);
}

int op_trees_check(struct op_check *c)
{
    struct infer_shape y = {.rank = 2};

    if (check_types(c) != 0 || op_takes_rank(c, OP_TREES_X, 2, 2) != 0 ||
        op_takes_setting(c, 0, 1, INFER_ELEMENTS_MAX) != 0 ||
        op_takes_setting(c, 1, OP_TREES_SUM, OP_TREES_MAX) != 0 ||
        op_takes_setting(c, 2, INFER_POST_NONE, INFER_POST_PROBIT) != 0 || check_sizes(c) != 0 ||
        check_leaves(c) != 0 || check_trees(c) != 0)
        return -EINVAL;
    y.dim[0] = c->in[OP_TREES_X]->shape.dim[0];
    if (op_dim(c, &y, 1, c->node->ints[0]) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}
