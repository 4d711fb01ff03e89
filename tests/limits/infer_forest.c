/* An ensemble of trees with seeded splits, in both of our forms and in ONNX. */
#include "infer_models.h"
#include "infer_onnx.h"

#include "base/cleanup.h"
#include "base/rng.h"
#include "infer/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TREES_MAX = 128, LEAVES_MAX = 16, NODES_MAX = TREES_MAX * LEAVES_MAX };

/* Features are looked at in steps of 1 / STEPS; thresholds lie between two of them, so that all forms decide
 * alike. */
enum { STEPS = 4096, LEAF_STEPS = 8192 };

struct forest {
    uint32_t n_trees, n_nodes, n_leaves, n_features;
    int32_t root[TREES_MAX], first[TREES_MAX + 1];
    int32_t tree[NODES_MAX];     /* of each node */
    int16_t nodes[NODES_MAX][4]; /* kernel_trees.h */
    int16_t values[NODES_MAX];
};

/* The nodes of a part stand behind it. */
static void grow(struct forest *f, struct rng *rng, uint32_t tree, uint32_t n_leaves, int32_t *next_leaf)
{
    uint32_t at = f->n_nodes++, part[2];
    double threshold = rng_normal(rng) * STEPS / 2;

    part[0] = 1 + (uint32_t)rng_below(rng, n_leaves - 1);
    part[1] = n_leaves - part[0];
    f->tree[at] = (int32_t)tree;
    f->nodes[at][0] = (int16_t)rng_below(rng, f->n_features);
    f->nodes[at][1] = (int16_t)threshold;
    for (size_t k = 0; k < 2; k++)
        if (part[k] == 1) {
            f->nodes[at][2 + k] = (int16_t)(-1 - (*next_leaf)++);
        } else {
            f->nodes[at][2 + k] = (int16_t)(f->n_nodes - at);
            grow(f, rng, tree, part[k], next_leaf);
        }
}

struct forest *forest_new(uint32_t n_trees, uint32_t n_leaves, uint32_t n_features, uint64_t seed)
{
    struct forest *f = calloc(1, sizeof *f);
    struct rng rng = {seed};

    if (f == NULL)
        return NULL;
    f->n_features = n_features;
    for (; f->n_trees < n_trees; f->n_trees++) {
        int32_t next_leaf = 0;

        f->root[f->n_trees] = (int32_t)f->n_nodes;
        grow(f, &rng, f->n_trees, n_leaves, &next_leaf);
        f->n_leaves += n_leaves;
        f->first[f->n_trees + 1] = (int32_t)f->n_leaves;
    }
    for (uint32_t i = 0; i < f->n_leaves; i++)
        f->values[i] = (int16_t)(rng_normal(&rng) * LEAF_STEPS / 10);
    return f;
}

static float threshold_of(const struct forest *f, uint32_t i)
{
    return ((float)f->nodes[i][1] + 0.5F) / STEPS;
}

static float weight_of(const struct forest *f, uint32_t i)
{
    return (float)f->values[i] / LEAF_STEPS;
}

/* ---- ours ---- */

struct parts {
    struct infer_build *build;
    struct infer_node node;
    int r;
    struct errmsg *err;
};

static void add(struct parts *p, enum infer_type type, uint32_t n, uint32_t columns, const void *data)
{
    struct infer_shape shape = {.rank = columns == 0 ? 1 : 2, .dim = {n, columns}};

    if (p->r == 0)
        p->r =
            infer_build_constant(p->build, type, &shape, data, &p->node.inputs[p->node.n_inputs++], p->err);
}

static void add_general(struct parts *p, const struct forest *f)
{
    static int32_t feature[NODES_MAX], child[2][NODES_MAX], leaf[NODES_MAX], target[NODES_MAX];
    static float threshold[NODES_MAX], weight[NODES_MAX];
    static int8_t zeros[NODES_MAX];

    for (uint32_t i = 0; i < f->n_nodes; i++) {
        feature[i] = f->nodes[i][0];
        threshold[i] = threshold_of(f, i);
        for (size_t k = 0; k < 2; k++) {
            int32_t to = f->nodes[i][2 + k];

            child[k][i] = to > 0 ? (int32_t)i + to : to - f->first[f->tree[i]];
        }
    }
    for (uint32_t i = 0; i < f->n_leaves; i++)
        weight[i] = weight_of(f, i);
    for (uint32_t i = 0; i <= f->n_leaves; i++)
        leaf[i] = (int32_t)i;
    add(p, INFER_I32, f->n_trees, 0, f->root);
    add(p, INFER_I32, f->n_nodes, 0, feature);
    add(p, INFER_F32, f->n_nodes, 0, threshold);
    add(p, INFER_I8, f->n_nodes, 0, zeros); /* x <= threshold */
    add(p, INFER_I32, f->n_nodes, 0, child[0]);
    add(p, INFER_I32, f->n_nodes, 0, child[1]);
    add(p, INFER_I8, f->n_nodes, 0, zeros);
    add(p, INFER_I32, f->n_leaves + 1, 0, leaf);
    add(p, INFER_I32, f->n_leaves, 0, target);
    add(p, INFER_F32, f->n_leaves, 0, weight);
    add(p, INFER_F32, 0, 0, weight);
}

static void add_small(struct parts *p, const struct forest *f)
{
    const float scale = 1.0F / LEAF_STEPS, base = 0;

    add(p, INFER_I32, f->n_trees, 0, f->root);
    add(p, INFER_I16, f->n_nodes, 4, f->nodes);
    add(p, INFER_I32, f->n_trees + 1, 0, f->first);
    add(p, INFER_I16, f->n_leaves, 1, f->values);
    add(p, INFER_I32, 0, 0, f->root);
    add(p, INFER_F32, 1, 0, &scale);
    add(p, INFER_F32, 1, 0, &base);
}

/* x in steps. */
static void put_steps(struct parts *p, uint16_t *x)
{
    const float scale = 1.0F / STEPS;
    struct parts q = {.build = p->build, .err = p->err};

    q.node = (struct infer_node){
        .op = INFER_QUANTIZE, .n_inputs = 1, .n_outputs = 1, .inputs = {*x}, .ints = {[2] = INFER_I16}};
    add(&q, INFER_F32, 1, 0, &scale);
    if (q.r == 0)
        q.r = infer_build_node(q.build, &q.node, x, q.err);
    p->r = q.r;
}

static void build_free(struct infer_build **b)
{
    infer_build_free(*b);
}

int forest_ours(const struct forest *f, enum bench_form form, struct buf *ret_file, struct errmsg *err)
{
    owned(build_free) struct infer_build *b = infer_build_new();
    struct parts p = {.build = b, .err = err};
    struct infer_shape shape = {2, {1, f->n_features}};
    uint16_t x, y = 0;

    if (b == NULL)
        return -ENOMEM;
    p.r = infer_build_input(b, "x", INFER_F32, &shape, &x, err);
    if (p.r == 0 && form == FORM_SMALL)
        put_steps(&p, &x);
    p.node = (struct infer_node){.op = form == FORM_SMALL ? INFER_TREES_I16 : INFER_TREES,
                                 .n_inputs = 1,
                                 .n_outputs = 1,
                                 .inputs = {x},
                                 .ints = {1}};
    if (form == FORM_SMALL)
        add_small(&p, f);
    else
        add_general(&p, f);
    if (p.r == 0)
        p.r = infer_build_node(b, &p.node, &y, err);
    if (p.r == 0)
        p.r = infer_build_output(b, "y", y, err);
    if (p.r == 0)
        p.r = infer_build_write(b, ret_file, err);
    return p.r;
}

/* ---- ONNX: a leaf is a node too, behind the others of its tree ---- */

struct columns {
    size_t n, n_leaves;
    int64_t tree[2 * NODES_MAX], node[2 * NODES_MAX], feature[2 * NODES_MAX], yes[2 * NODES_MAX],
        no[2 * NODES_MAX], leaf_tree[NODES_MAX], leaf_node[NODES_MAX], target[NODES_MAX];
    float value[2 * NODES_MAX], weight[NODES_MAX];
};

static void put_branches(const struct forest *f, struct columns *c, uint32_t tree, uint32_t begin,
                         uint32_t end)
{
    for (uint32_t i = begin; i < end; i++) {
        const int16_t *node = f->nodes[i];
        size_t n = c->n++;

        c->tree[n] = tree;
        c->node[n] = i - begin;
        c->feature[n] = node[0];
        c->value[n] = threshold_of(f, i);
        c->yes[n] = node[2] > 0 ? i - begin + (uint32_t)node[2] : end - begin + (uint32_t)(-1 - node[2]);
        c->no[n] = node[3] > 0 ? i - begin + (uint32_t)node[3] : end - begin + (uint32_t)(-1 - node[3]);
    }
}

static void put_tree(const struct forest *f, struct columns *c, uint32_t tree)
{
    uint32_t begin = (uint32_t)f->root[tree];
    uint32_t end = tree + 1 < f->n_trees ? (uint32_t)f->root[tree + 1] : f->n_nodes;

    put_branches(f, c, tree, begin, end);
    for (int32_t l = f->first[tree]; l < f->first[tree + 1]; l++) {
        size_t n = c->n++, k = c->n_leaves++;

        c->tree[n] = c->leaf_tree[k] = tree;
        c->node[n] = c->leaf_node[k] = end - begin + (uint32_t)(l - f->first[tree]);
        c->weight[k] = weight_of(f, (uint32_t)l);
    }
}

void forest_onnx(const struct forest *f, struct buf *ret_model)
{
    static struct columns c;
    static const int64_t one = 1;
    const int64_t x[] = {1, f->n_features};
    owned(onnx_deinit) struct onnx_writer w = {0};

    memset(&c, 0, sizeof c);
    for (uint32_t t = 0; t < f->n_trees; t++)
        put_tree(f, &c, t);
    onnx_input(&w, "x", 2, x);
    onnx_output(&w, "y");
    {
        /* Only nodes that are no leaves lead on, and never back to their root. */
        const struct onnx_attribute all[] = {
            {"n_targets", ONNX_INT, .ints = &one},
            {"nodes_treeids", ONNX_INTS, c.n, .ints = c.tree},
            {"nodes_nodeids", ONNX_INTS, c.n, .ints = c.node},
            {"nodes_featureids", ONNX_INTS, c.n, .ints = c.feature},
            {"nodes_values", ONNX_FLOATS, c.n, .floats = c.value},
            {"nodes_truenodeids", ONNX_INTS, c.n, .ints = c.yes},
            {"nodes_falsenodeids", ONNX_INTS, c.n, .ints = c.no},
            {"nodes_modes", ONNX_STRINGS, c.n, .ints = c.yes, .string = "BRANCH_LEQ", .otherwise = "LEAF"},
            {"target_treeids", ONNX_INTS, c.n_leaves, .ints = c.leaf_tree},
            {"target_nodeids", ONNX_INTS, c.n_leaves, .ints = c.leaf_node},
            {"target_ids", ONNX_INTS, c.n_leaves, .ints = c.target},
            {"target_weights", ONNX_FLOATS, c.n_leaves, .floats = c.weight},
        };

        onnx_node(&w, "ml:TreeEnsembleRegressor", "x", "y", all, sizeof all / sizeof *all);
    }
    onnx_write(&w, ret_model);
}
