/* Ensembles of trees in their general form. */
#include "infer/op_trees.h"
#include "infer/kernel_trees.h"

#include <math.h>

/* Of one sample: what each target has so far. */
struct scores {
    double *sum;    /* or the least, or the greatest */
    uint8_t *found; /* is there any? */
};

size_t op_trees_scratch_bytes(const struct op_call *c)
{
    return (size_t)c->node->ints[0] * (sizeof(double) + 1);
}

uint64_t op_trees_operations(const struct op_call *c)
{
    size_t n_nodes = op_elements(c->in[OP_TREES_FEATURE]), n_leaves = op_elements(c->in[OP_TREES_LEAF]) - 1;
    const int32_t *first = c->in[OP_TREES_LEAF]->constant;
    const int8_t *mode = c->in[OP_TREES_MODE]->constant;
    uint64_t members = 0, most = 0;

    for (size_t i = 0; i < n_leaves; i++)
        if ((uint64_t)(first[i + 1] - first[i]) > most)
            most = (uint64_t)(first[i + 1] - first[i]);
    for (size_t i = 0; i < n_nodes; i++)
        if (mode[i] == INFER_MEMBER)
            members += (uint64_t)((const int32_t *)c->in[OP_TREES_COUNT]->constant)[i];
    members += n_nodes + op_product(most + 1, op_elements(c->in[OP_TREES_ROOT])) + (uint64_t)c->node->ints[0];
    return op_product(members, c->in[OP_TREES_X]->shape.dim[0] + 1U);
}

static bool is_member(double v, const struct op_call *c, size_t node, double first)
{
    const struct infer_tensor *t = c->in[OP_TREES_MEMBERS];
    size_t at = (size_t)first, n = (size_t)((const int32_t *)c->x[OP_TREES_COUNT])[node];

    for (size_t i = at; i < at + n; i++)
        if (v == (t->type == INFER_F32 ? ((const float *)c->x[OP_TREES_MEMBERS])[i]
                                       : ((const double *)c->x[OP_TREES_MEMBERS])[i]))
            return true;
    return false;
}

/* float32 is compared as float64: the same order. */
static double value_at(const void *values, enum infer_type type, size_t i)
{
    return type == INFER_F32 ? ((const float *)values)[i] : ((const double *)values)[i];
}

static bool holds(const struct op_call *c, size_t node, double v)
{
    double threshold = value_at(c->x[OP_TREES_THRESHOLD], c->in[OP_TREES_X]->type, node);

    if (isnan(v) && ((const int8_t *)c->x[OP_TREES_MISSING])[node] != 0)
        return true;
    switch ((enum infer_tree_mode)((const int8_t *)c->x[OP_TREES_MODE])[node]) {
    case INFER_LEQ:
        return v <= threshold;
    case INFER_LT:
        return v < threshold;
    case INFER_GTE:
        return v >= threshold;
    case INFER_GT:
        return v > threshold;
    case INFER_EQ:
        return v == threshold;
    case INFER_NEQ:
        return v != threshold;
    case INFER_MEMBER:
        return is_member(v, c, node, threshold);
    }
    return false;
}

/* The leaf of a tree for the sample whose features begin at x_index. */
static size_t leaf_of(const struct op_call *c, int32_t at, size_t x_index)
{
    const int32_t *feature = c->x[OP_TREES_FEATURE], *yes = c->x[OP_TREES_TRUE], *no = c->x[OP_TREES_FALSE];

    while (at >= 0) {
        double v = value_at(c->x[OP_TREES_X], c->in[OP_TREES_X]->type, x_index + (size_t)feature[at]);

        at = holds(c, (size_t)at, v) ? yes[at] : no[at];
    }
    return (size_t)(-1 - at);
}

static void add_leaf(const struct op_call *c, size_t leaf, const struct scores *s)
{
    const int32_t *first = c->x[OP_TREES_LEAF], *target = c->x[OP_TREES_TARGET];

    for (size_t i = (size_t)first[leaf]; i < (size_t)first[leaf + 1]; i++) {
        double w = value_at(c->x[OP_TREES_WEIGHT], c->in[OP_TREES_WEIGHT]->type, i);
        double *sum = &s->sum[target[i]];

        if (c->node->ints[1] <= OP_TREES_AVERAGE)
            *sum += w;
        else if (!s->found[target[i]] || (c->node->ints[1] == OP_TREES_MIN ? w < *sum : w > *sum))
            *sum = w;
        s->found[target[i]] = 1;
    }
}

/* ---- what nearly all ensembles are: float32, one kind of comparison, a sum ---- */

static bool is_plain(const struct op_call *c)
{
    const int8_t *mode = c->x[OP_TREES_MODE];
    size_t n = op_elements(c->in[OP_TREES_FEATURE]);

    return c->node->ints[1] <= OP_TREES_AVERAGE && c->in[OP_TREES_X]->type == INFER_F32 &&
           c->in[OP_TREES_WEIGHT]->type == INFER_F32 &&
           (n == 0 || ((mode[0] == INFER_LEQ || mode[0] == INFER_LT) && memcmp(mode, mode + 1, n - 1) == 0));
}

static bool any_missing(const float *x, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= isnan(x[i]);
    return any;
}

static void add_weights(const struct op_call *c, size_t leaf, double *sums)
{
    const int32_t *first = c->x[OP_TREES_LEAF], *target = c->x[OP_TREES_TARGET];
    const float *weight = c->x[OP_TREES_WEIGHT];

    for (int32_t i = first[leaf]; i < first[leaf + 1]; i++)
        sums[target[i]] += weight[i];
}

static void add_trees(const struct op_call *c, size_t n_trees, const float *x, double *sums)
{
    const int8_t *mode = c->x[OP_TREES_MODE];
    struct kernel_trees_f32 t = {
        .root = c->x[OP_TREES_ROOT],
        .feature = c->x[OP_TREES_FEATURE],
        .yes = c->x[OP_TREES_TRUE],
        .no = c->x[OP_TREES_FALSE],
        .threshold = c->x[OP_TREES_THRESHOLD],
        .is_less = op_elements(c->in[OP_TREES_FEATURE]) > 0 && mode[0] == INFER_LT,
    };

    for (size_t tree = 0; tree < n_trees; tree += KERNEL_TREES_SIDE_BY_SIDE) {
        size_t leaves[KERNEL_TREES_SIDE_BY_SIDE], n = n_trees - tree;

        n = n < KERNEL_TREES_SIDE_BY_SIDE ? n : KERNEL_TREES_SIDE_BY_SIDE;
        kernel_trees_f32(&t, tree, n, x, leaves);
        for (size_t i = 0; i < n; i++)
            add_weights(c, leaves[i], sums);
    }
}

void op_trees_run(const struct op_call *c)
{
    size_t n_targets = (size_t)c->node->ints[0], n_trees = op_elements(c->in[OP_TREES_ROOT]);
    size_t n_base = op_elements(c->in[OP_TREES_BASE]), n_features = c->in[OP_TREES_X]->shape.dim[1];
    struct scores s = {c->scratch, (uint8_t *)c->scratch + n_targets * sizeof(double)};
    bool plain = is_plain(c);
    float *y = c->y[0];

    for (size_t n = 0; n < c->in[OP_TREES_X]->shape.dim[0]; n++, y += n_targets) {
        memset(c->scratch, 0, n_targets * (sizeof(double) + 1));
        if (plain && !any_missing((const float *)c->x[OP_TREES_X] + n * n_features, n_features))
            add_trees(c, n_trees, (const float *)c->x[OP_TREES_X] + n * n_features, s.sum);
        else
            for (size_t t = 0; t < n_trees; t++)
                add_leaf(c, leaf_of(c, ((const int32_t *)c->x[OP_TREES_ROOT])[t], n * n_features), &s);
        for (size_t k = 0; k < n_targets; k++) {
            double v =
                c->node->ints[1] == OP_TREES_AVERAGE && n_trees > 0 ? s.sum[k] / (double)n_trees : s.sum[k];

            y[k] =
                (float)(v + (n_base == 0 ? 0 : value_at(c->x[OP_TREES_BASE], c->in[OP_TREES_BASE]->type, k)));
        }
        op_post((enum infer_post)c->node->ints[2], y, n_targets);
    }
}
