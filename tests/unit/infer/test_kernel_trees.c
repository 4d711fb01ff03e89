/* Both forms of ensembles of trees against walking node by node. */
#include "base/rng.h"
#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TREES_MAX = 40, LEAVES_MAX = 70, FEATURES_MAX = 50, TARGETS_MAX = 4, ROWS_MAX = 3, ROUNDS = 400 };
enum { NODES_MAX = TREES_MAX * LEAVES_MAX };

/* An ensemble in integers; the same in float32 beside it. Children: above 0 nodes further on, below 0 leaves
 * of the tree. */
struct forest {
    uint32_t n_trees, n_nodes, n_leaves, n_features, n_targets, width;
    int32_t root[TREES_MAX], first[TREES_MAX + 1], target[TREES_MAX];
    int16_t nodes[NODES_MAX][4], values[NODES_MAX * TARGETS_MAX];
    float scale[TARGETS_MAX], base[TARGETS_MAX];

    int32_t feature[NODES_MAX], yes[NODES_MAX], no[NODES_MAX], leaf[NODES_MAX + 1];
    int32_t leaf_target[NODES_MAX * TARGETS_MAX];
    float threshold[NODES_MAX], weight[NODES_MAX * TARGETS_MAX], zeros[TARGETS_MAX];
    int8_t mode[NODES_MAX], missing[NODES_MAX];
};

static int16_t an_int16(struct rng *rng)
{
    uint64_t kind = rng_below(rng, 8);

    return (int16_t)(kind == 0 ? INT16_MIN : kind == 1 ? INT16_MAX : (int64_t)rng_below(rng, 41) - 20);
}

/* Splits from the top: the nodes of the left part follow, then those of the right one. */
static void grow(struct forest *f, struct rng *rng, uint32_t n_leaves, int32_t *next_leaf)
{
    uint32_t at = f->n_nodes++, left = 1 + (uint32_t)rng_below(rng, n_leaves - 1), part[2];

    part[0] = left;
    part[1] = n_leaves - left;
    f->nodes[at][0] = (int16_t)rng_below(rng, f->n_features);
    f->nodes[at][1] = an_int16(rng);
    for (size_t k = 0; k < 2; k++)
        if (part[k] == 1) {
            f->nodes[at][2 + k] = (int16_t)(-1 - (*next_leaf)++);
        } else {
            f->nodes[at][2 + k] = (int16_t)(f->n_nodes - at);
            grow(f, rng, part[k], next_leaf);
        }
}

static void some_forest(struct forest *f, struct rng *rng)
{
    memset(f, 0, sizeof *f);
    f->n_trees = (uint32_t)rng_below(rng, TREES_MAX + 1);
    f->n_features = 1 + (uint32_t)rng_below(rng, FEATURES_MAX);
    f->n_targets = 1 + (uint32_t)rng_below(rng, TARGETS_MAX);
    f->width = rng_below(rng, 2) == 0 ? 1 : f->n_targets;
    for (uint32_t t = 0; t < f->n_trees; t++) {
        uint32_t n = 1 + (uint32_t)rng_below(rng, rng_below(rng, 4) == 0 ? LEAVES_MAX : 8);
        int32_t next_leaf = 0;

        f->root[t] = n == 1 ? -1 : (int32_t)f->n_nodes;
        if (n > 1)
            grow(f, rng, n, &next_leaf);
        f->n_leaves += n;
        f->first[t + 1] = (int32_t)f->n_leaves;
        f->target[t] = (int32_t)rng_below(rng, f->n_targets);
    }
    for (uint32_t i = 0; i < f->n_leaves * f->width; i++)
        f->values[i] = an_int16(rng);
    for (uint32_t k = 0; k < f->n_targets; k++) {
        f->scale[k] = (float)(1 + rng_below(rng, 50)) / 64;
        f->base[k] = (float)rng_below(rng, 9) - 4;
    }
}

/* The leaf of tree t by walking. */
static uint32_t leaf_of(const struct forest *f, uint32_t t, const int16_t *x)
{
    int32_t at = f->root[t];

    while (at >= 0) {
        const int16_t *node = f->nodes[at];
        int32_t child = x[node[0]] <= node[1] ? node[2] : node[3];

        at = child > 0 ? at + child : child;
    }
    return (uint32_t)(f->first[t] - 1 - at);
}

static void sums_of(const struct forest *f, const int16_t *x, int64_t sums[TARGETS_MAX])
{
    memset(sums, 0, TARGETS_MAX * sizeof *sums);
    for (uint32_t t = 0; t < f->n_trees; t++)
        for (uint32_t k = 0; k < f->width; k++)
            sums[f->width == f->n_targets ? k : (uint32_t)f->target[t]] +=
                f->values[leaf_of(f, t, x) * f->width + k];
}

static void some_x(const struct forest *f, struct rng *rng, uint32_t rows, int16_t *x)
{
    for (uint32_t i = 0; i < rows * f->n_features; i++)
        x[i] = an_int16(rng);
}

static void add_i16(struct run_op *t, const struct forest *f, uint32_t rows, const int16_t *x)
{
    run_op_init(t, INFER_TREES_I16);
    run_op_computed(t, INFER_I16, SHAPE(rows, f->n_features), x);
    run_op_input(t, INFER_I32, SHAPE(f->n_trees), f->root);
    run_op_input(t, INFER_I16, SHAPE(f->n_nodes, 4), f->nodes);
    run_op_input(t, INFER_I32, SHAPE(f->n_trees + 1), f->first);
    run_op_input(t, INFER_I16, SHAPE(f->n_leaves, f->width), f->values);
    run_op_input(t, INFER_I32, SHAPE(f->width == f->n_targets ? 0 : f->n_trees), f->target);
    run_op_input(t, INFER_F32, SHAPE(f->n_targets), f->scale);
    run_op_input(t, INFER_F32, SHAPE(f->n_targets), f->base);
    t->node.ints[0] = (int32_t)f->n_targets;
}

static void the_small_form_is_walking(void **state)
{
    static struct forest f;
    struct rng rng = {1};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t rows = 1 + (uint32_t)rng_below(&rng, ROWS_MAX);
        int16_t x[ROWS_MAX * FEATURES_MAX];
        float want[ROWS_MAX * TARGETS_MAX];
        struct run_op t;

        some_forest(&f, &rng);
        some_x(&f, &rng, rows, x);
        for (uint32_t i = 0; i < rows; i++) {
            int64_t sums[TARGETS_MAX];

            sums_of(&f, x + i * f.n_features, sums);
            for (uint32_t k = 0; k < f.n_targets; k++)
                want[i * f.n_targets + k] = f.base[k] + f.scale[k] * (float)sums[k];
        }
        add_i16(&t, &f, rows, x);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(rows, f.n_targets), want);
        run_op_deinit(&t);
    }
}

/* The forest as INFER_TREES, with thresholds at the same places. */
static void as_floats(struct forest *f, enum infer_tree_mode mode)
{
    uint32_t t = 0, n = 0;

    for (uint32_t i = 0; i < f->n_nodes; i++) {
        while (t + 1 < f->n_trees && (f->root[t] < 0 || !(i >= (uint32_t)f->root[t])))
            t++;
        for (uint32_t k = t + 1; k < f->n_trees; k++)
            if (f->root[k] >= 0 && (uint32_t)f->root[k] <= i)
                t = k;
        f->feature[i] = f->nodes[i][0];
        f->threshold[i] = mode == INFER_LT ? (float)f->nodes[i][1] + 0.5F : f->nodes[i][1];
        f->mode[i] = (int8_t)mode;
        f->yes[i] = f->nodes[i][2] > 0 ? (int32_t)i + f->nodes[i][2] : -1 - f->first[t] + 1 + f->nodes[i][2];
        f->no[i] = f->nodes[i][3] > 0 ? (int32_t)i + f->nodes[i][3] : -1 - f->first[t] + 1 + f->nodes[i][3];
    }
    for (t = 0; t < f->n_trees; t++)
        for (int32_t l = f->first[t]; l < f->first[t + 1]; l++) {
            f->leaf[l] = (int32_t)n;
            for (uint32_t k = 0; k < f->width; k++, n++) {
                f->leaf_target[n] = f->width == f->n_targets ? (int32_t)k : f->target[t];
                f->weight[n] = f->values[n];
            }
        }
    f->leaf[f->n_leaves] = (int32_t)n;
    for (t = 0; t < f->n_trees; t++)
        if (f->root[t] < 0)
            f->root[t] = -1 - f->first[t];
}

static void add_f32(struct run_op *t, const struct forest *f, uint32_t rows, const float *x)
{
    uint32_t n = f->n_nodes, n_weights = f->n_leaves * f->width;

    run_op_init(t, INFER_TREES);
    run_op_computed(t, INFER_F32, SHAPE(rows, f->n_features), x);
    run_op_input(t, INFER_I32, SHAPE(f->n_trees), f->root);
    run_op_input(t, INFER_I32, SHAPE(n), f->feature);
    run_op_input(t, INFER_F32, SHAPE(n), f->threshold);
    run_op_input(t, INFER_I8, SHAPE(n), f->mode);
    run_op_input(t, INFER_I32, SHAPE(n), f->yes);
    run_op_input(t, INFER_I32, SHAPE(n), f->no);
    run_op_input(t, INFER_I8, SHAPE(n), f->missing);
    run_op_input(t, INFER_I32, SHAPE(f->n_leaves + 1), f->leaf);
    run_op_input(t, INFER_I32, SHAPE(n_weights), f->leaf_target);
    run_op_input(t, INFER_F32, SHAPE(n_weights), f->weight);
    run_op_input(t, INFER_F32, SHAPE(f->n_targets), f->zeros);
    t->node.ints[0] = (int32_t)f->n_targets;
}

/* `odd`: the last node compares in another way that means the same, so that nothing is side by side. */
static void expect_f32(struct rng *rng, enum infer_tree_mode mode, bool odd)
{
    static struct forest f;
    uint32_t rows = 1 + (uint32_t)rng_below(rng, ROWS_MAX);
    int16_t x[ROWS_MAX * FEATURES_MAX];
    float floats[ROWS_MAX * FEATURES_MAX], want[ROWS_MAX * TARGETS_MAX];
    struct run_op t;

    some_forest(&f, rng);
    some_x(&f, rng, rows, x);
    for (uint32_t i = 0; i < rows; i++) {
        int64_t sums[TARGETS_MAX];

        sums_of(&f, x + i * f.n_features, sums);
        for (uint32_t k = 0; k < f.n_targets; k++)
            want[i * f.n_targets + k] = (float)sums[k];
    }
    for (uint32_t i = 0; i < rows * f.n_features; i++)
        floats[i] = x[i];
    as_floats(&f, mode);
    if (odd && f.n_nodes > 0) {
        f.mode[f.n_nodes - 1] = INFER_LT;
        f.threshold[f.n_nodes - 1] = (float)f.nodes[f.n_nodes - 1][1] + 0.5F;
    }
    add_f32(&t, &f, rows, floats);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(rows, f.n_targets), want);
    run_op_deinit(&t);
}

static void the_general_form_is_walking(void **state)
{
    struct rng rng = {2};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        expect_f32(&rng, INFER_LEQ, false);
        expect_f32(&rng, INFER_LT, false);
        expect_f32(&rng, INFER_LEQ, true);
    }
}

static void a_missing_value_goes_where_its_node_says(void **state)
{
    static struct forest f;
    float x[] = {NAN}, yes[] = {7}, no[] = {-3};

    (void)state;
    for (int8_t missing = 0; missing < 2; missing++) {
        struct run_op t;

        memset(&f, 0, sizeof f);
        f.n_trees = f.n_nodes = f.n_features = f.n_targets = f.width = 1;
        f.n_leaves = 2;
        f.yes[0] = -1;
        f.no[0] = -2;
        f.leaf[1] = 1;
        f.leaf[2] = 2;
        f.weight[0] = 7;
        f.weight[1] = -3;
        f.missing[0] = missing;
        add_f32(&t, &f, 1, x);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(1, 1), missing != 0 ? yes : no);
        run_op_deinit(&t);
    }
}

/* A tree of two nodes, two trees of one leaf around it. */
static void small_forest(struct forest *f)
{
    static const int16_t nodes[2][4] = {{0, 5, 1, -1}, {1, 6, -2, -3}};

    memset(f, 0, sizeof *f);
    f->n_trees = 3;
    f->n_nodes = 2;
    f->n_leaves = 5;
    f->n_features = 2;
    f->n_targets = 2;
    f->width = 1;
    f->root[0] = f->root[2] = -1;
    f->first[1] = 1;
    f->first[2] = 4;
    f->first[3] = 5;
    memcpy(f->nodes, nodes, sizeof nodes);
}

static void expect_refused(const struct forest *f, const char *word)
{
    static const int16_t x[FEATURES_MAX];
    struct run_op t;

    add_i16(&t, f, 1, x);
    run_op_expect_refused(&t, word);
}

static void a_small_form_that_leads_astray_is_refused(void **state)
{
    static struct forest f;
    static const int16_t x[FEATURES_MAX];
    struct run_op t;

    (void)state;
    small_forest(&f);
    add_i16(&t, &f, 1, x);
    assert_int_equal(run_op_check(&t), 0);

    f.nodes[0][2] = 2;
    expect_refused(&f, "stay in its tree");
    f.nodes[0][2] = 0;
    expect_refused(&f, "stay in its tree");
    small_forest(&f);
    f.nodes[1][3] = -4;
    expect_refused(&f, "leaf 3 of 3");
    small_forest(&f);
    f.nodes[1][3] = INT16_MIN;
    expect_refused(&f, "leaf 32767 of 3");
    small_forest(&f);
    f.nodes[1][0] = 2;
    expect_refused(&f, "feature 2 of 2");
    f.nodes[1][0] = -1;
    expect_refused(&f, "feature -1 of 2");
    small_forest(&f);
    f.root[1] = 2;
    expect_refused(&f, "tree 1");
    f.root[1] = 1;
    expect_refused(&f, "belong to no tree");
    f.root[1] = -2;
    expect_refused(&f, "tree 1");
    small_forest(&f);
    f.first[2] = 6;
    expect_refused(&f, "no leaf");
    small_forest(&f);
    f.first[3] = 6;
    expect_refused(&f, "leaves");
    small_forest(&f);
    f.target[2] = 2;
    expect_refused(&f, "target 2 of 2");
    f.target[2] = -1;
    expect_refused(&f, "target -1 of 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_small_form_is_walking),
        cmocka_unit_test(the_general_form_is_walking),
        cmocka_unit_test(a_missing_value_goes_where_its_node_says),
        cmocka_unit_test(a_small_form_that_leads_astray_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
