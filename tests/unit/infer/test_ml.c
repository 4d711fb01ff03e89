/* ai.onnx.ml: by hand, and trees against trees that are walked by pointers. */
#include "base/rng.h"
#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define F(...) ((const float[]){__VA_ARGS__})
#define I8(...) ((const int8_t[]){__VA_ARGS__})
#define I32(...) ((const int32_t[]){__VA_ARGS__})
#define I64(...) ((const int64_t[]){__VA_ARGS__})

static void scaler_imputer_normalizer(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_SCALER);
    run_op_input(&t, INFER_I64, SHAPE(2, 2), I64(1, 2, 3, 4));
    run_op_input(&t, INFER_F32, SHAPE(2), F(1, 2));
    run_op_input(&t, INFER_F32, SHAPE(1), F(10));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(0, 0, 20, 20));
    run_op_deinit(&t);
    t.tensors[1].shape = SHAPE(3);
    run_op_expect_refused(&t, "Scaler: input 1 has 3 elements");

    run_op_init(&t, INFER_IMPUTER);
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(NAN, 2, 3, NAN));
    run_op_input(&t, INFER_F32, SHAPE(2), F(10, 20));
    run_op_input(&t, INFER_F32, SHAPE(1), F(NAN));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(10, 2, 3, 20));
    run_op_deinit(&t);
    t.x[2] = F(3);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(NAN, 2, 10, NAN));
    run_op_deinit(&t);

    run_op_init(&t, INFER_NORMALIZER);
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(3, -4, 0, 0));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(1, -4.0f / 3, 0, 0));
    run_op_deinit(&t);
    t.node.ints[0] = 1;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(3.0f / 7, -4.0f / 7, 0, 0));
    run_op_deinit(&t);
    t.node.ints[0] = 2;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(2, 2), F(0.6f, -0.8f, 0, 0));
    run_op_deinit(&t);

    run_op_init(&t, INFER_BINARIZER);
    t.node.floats[0] = 0.5f;
    run_op_input(&t, INFER_F32, SHAPE(3), F(0.4f, 0.5f, 0.6f));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(3), F(0, 0, 1));
    run_op_deinit(&t);
}

static void linear_and_post(void **state)
{
    static const struct {
        enum infer_post post;
        float y[3];
    } cases[] = {
        {INFER_POST_NONE, {2, 0, -1}},
        {INFER_POST_SOFTMAX, {0.84379473f, 0.11419520f, 0.04201007f}},
        {INFER_POST_LOGISTIC, {0.88079708f, 0.5f, 0.26894142f}},
        /* 0 becomes 0 * exp(-2), and is divided too */
        {INFER_POST_SOFTMAX_ZERO, {0.95257413f, 0, 0.04742587f}},
    };
    struct run_op t;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_op_init(&t, INFER_LINEAR);
        t.node.ints[0] = (int32_t)cases[i].post;
        run_op_input(&t, INFER_F32, SHAPE(1, 2), F(1, 2));
        run_op_input(&t, INFER_F32, SHAPE(3, 2), F(0, 1, 2, -1, 1, 1));
        run_op_input(&t, INFER_F32, SHAPE(3), F(0, 0, -4));
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(1, 3), cases[i].y);
        run_op_deinit(&t);
    }
    run_op_init(&t, INFER_LINEAR);
    t.node.ints[0] = INFER_POST_PROBIT;
    run_op_input(&t, INFER_F32, SHAPE(3, 1), F(0.5f, 0.975f, 0.1f));
    run_op_input(&t, INFER_F32, SHAPE(1, 1), F(1));
    run_op_run(&t);
    /* Winitzki's formula is good to some thousandths. */
    assert_true(fabsf(((float *)t.y[0])[0]) < 1e-4f && fabsf(((float *)t.y[0])[1] - 1.96f) < 5e-3f &&
                fabsf(((float *)t.y[0])[2] + 1.2816f) < 5e-3f);
    run_op_deinit(&t);
}

static const char texts[3][INFER_TEXT_BYTES] = {"low", "high", "?"};

static void labels(void **state)
{
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_LABEL);
    run_op_input(&t, INFER_I64, SHAPE(4), I64(7, 8, 9, 7));
    run_op_input(&t, INFER_I64, SHAPE(2), I64(8, 7));
    run_op_input(&t, INFER_TEXT, SHAPE(2), texts);
    run_op_input(&t, INFER_TEXT, SHAPE(1), texts[2]);
    run_op_run(&t);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal((const char *)t.y[0] + i * INFER_TEXT_BYTES,
                            ((const char *[]){"high", "low", "?", "high"})[i]);
    run_op_deinit(&t);

    run_op_init(&t, INFER_LABEL);
    run_op_input(&t, INFER_TEXT, SHAPE(3, 1), texts);
    run_op_input(&t, INFER_TEXT, SHAPE(2), texts);
    run_op_input(&t, INFER_F32, SHAPE(2), F(1, 2));
    run_op_input(&t, INFER_F32, SHAPE(1), F(-1));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(3, 1), F(1, 2, -1));
    run_op_deinit(&t);
    run_op_init(&t, INFER_LABEL);
    run_op_input(&t, INFER_F64, SHAPE(2), ((const double[]){NAN, 0.5}));
    run_op_input(&t, INFER_F64, SHAPE(2), ((const double[]){0.5, NAN}));
    run_op_input(&t, INFER_I64, SHAPE(2), I64(1, 2));
    run_op_input(&t, INFER_I64, SHAPE(1), I64(3));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(2), I64(2, 1));
    run_op_deinit(&t);
    t.tensors[2].shape = SHAPE(3);
    run_op_expect_refused(&t, "it has to have 2");
}

static void classes(void **state)
{
    static const struct {
        int second;
        enum infer_post post;
        float y[4];
    } cases[] = {
        {1, INFER_POST_NONE, {0.7f, 0.3f, 0.2f, 0.8f}},
        {2, INFER_POST_NONE, {-0.3f, 0.3f, -0.8f, 0.8f}},
        {3, INFER_POST_NONE, {0.3f, -0.3f, -0.8f, 0.8f}},
        {2, INFER_POST_LOGISTIC, {0.42555748f, 0.57444252f, 0.31002552f, 0.68997448f}},
    };
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_CLASSIFY);
    t.node.n_outputs = 2;
    t.node.ints[1] = INFER_POST_SOFTMAX;
    run_op_input(&t, INFER_F32, SHAPE(2, 2), F(1, 1, 0, 1));
    run_op_input(&t, INFER_I64, SHAPE(2), I64(10, 20));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I64, SHAPE(2), I64(10, 20));
    run_op_expect(&t, 1, INFER_F32, SHAPE(2, 2), F(0.5f, 0.5f, 0.26894142f, 0.73105858f));
    run_op_deinit(&t);
    t.tensors[1].shape = SHAPE(3);
    run_op_expect_refused(&t, "2 scores for 3 classes");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_op_init(&t, INFER_CLASSIFY);
        t.node.n_outputs = 2;
        t.node.ints[0] = 1;
        t.node.ints[1] = (int32_t)cases[i].post;
        t.node.ints[2] = cases[i].second;
        t.node.floats[0] = 0.5f;
        run_op_input(&t, INFER_F32, SHAPE(2, 1), F(0.3f, 0.8f));
        run_op_input(&t, INFER_TEXT, SHAPE(2), texts);
        run_op_run(&t);
        assert_string_equal((const char *)t.y[0], "low");
        assert_string_equal((const char *)t.y[0] + INFER_TEXT_BYTES, "high");
        run_op_expect(&t, 1, INFER_F32, SHAPE(2, 2), cases[i].y);
        run_op_deinit(&t);
    }
}

/* ---- trees ---- */

enum {
    NODES_MAX = 200,
    LEAVES_MAX = 260,
    WEIGHTS_MAX = 600,
    TREES_MAX = 12,
    FEATURES = 5,
    TARGETS = 3,
    ROWS = 9
};

struct forest {
    int32_t root[TREES_MAX], feature[NODES_MAX], yes[NODES_MAX], no[NODES_MAX], count[NODES_MAX];
    int32_t leaf[LEAVES_MAX + 1], target[WEIGHTS_MAX];
    double threshold[NODES_MAX], weight[WEIGHTS_MAX], members[64];
    int8_t mode[NODES_MAX], missing[NODES_MAX];
    uint32_t n_trees, n_nodes, n_leaves, n_weights;
};

static int32_t grow_leaf(struct forest *f, struct rng *rng)
{
    f->leaf[f->n_leaves] = (int32_t)f->n_weights;
    for (uint64_t n = rng_below(rng, 3); n > 0; n--) {
        f->target[f->n_weights] = (int32_t)rng_below(rng, TARGETS);
        f->weight[f->n_weights++] = (double)((int)rng_below(rng, 201) - 100) / 8;
    }
    f->leaf[++f->n_leaves] = (int32_t)f->n_weights;
    return -(int32_t)f->n_leaves;
}

static int32_t grow(struct forest *f, struct rng *rng, int depth)
{
    uint32_t i = f->n_nodes;

    if (depth == 0 || rng_below(rng, 4) == 0)
        return grow_leaf(f, rng);
    f->n_nodes++;
    f->feature[i] = (int32_t)rng_below(rng, FEATURES);
    f->mode[i] = (int8_t)rng_below(rng, 7);
    f->missing[i] = (int8_t)rng_below(rng, 2);
    f->threshold[i] = (double)rng_below(rng, 6);
    f->count[i] = f->mode[i] == INFER_MEMBER ? (int32_t)rng_below(rng, 4) : 0;
    f->yes[i] = grow(f, rng, depth - 1);
    f->no[i] = grow(f, rng, depth - 1);
    return (int32_t)i;
}

static void grow_forest(struct forest *f, struct rng *rng)
{
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < 64; i++)
        f->members[i] = (double)rng_below(rng, 6);
    f->n_trees = (uint32_t)rng_below(rng, TREES_MAX + 1);
    for (uint32_t i = 0; i < f->n_trees; i++)
        f->root[i] = grow(f, rng, 3);
}

static int32_t walk(const struct forest *f, const double *x, int32_t at)
{
    while (at >= 0) {
        double v = x[f->feature[at]], th = f->threshold[at];
        bool member = false, yes;

        for (int32_t k = 0; k < f->count[at]; k++)
            member = member || v == f->members[(int)th + k];
        yes = f->mode[at] == INFER_LEQ   ? v <= th
              : f->mode[at] == INFER_LT  ? v < th
              : f->mode[at] == INFER_GTE ? v >= th
              : f->mode[at] == INFER_GT  ? v > th
              : f->mode[at] == INFER_EQ  ? v == th
              : f->mode[at] == INFER_NEQ ? v != th
                                         : member;
        at = yes || (isnan(v) && f->missing[at]) ? f->yes[at] : f->no[at];
    }
    return -1 - at;
}

static void score(const struct forest *f, const double *x, int aggregate, const double *base, float *y)
{
    for (int k = 0; k < TARGETS; k++) {
        double sum = 0, least = INFINITY, most = -INFINITY, v;

        for (uint32_t t = 0; t < f->n_trees; t++) {
            int32_t leaf = walk(f, x, f->root[t]);

            for (int32_t i = f->leaf[leaf]; i < f->leaf[leaf + 1]; i++)
                if (f->target[i] == k) {
                    sum += f->weight[i];
                    least = fmin(least, f->weight[i]);
                    most = fmax(most, f->weight[i]);
                }
        }
        least = isinf(least) ? 0 : least;
        most = isinf(most) ? 0 : most;
        v = aggregate == 0   ? sum
            : aggregate == 1 ? (f->n_trees == 0 ? 0 : sum / f->n_trees)
            : aggregate == 2 ? least
                             : most;
        y[k] = (float)(v + base[k]);
    }
}

static void add_forest(struct run_op *t, const struct forest *f, enum infer_type type, const void *threshold,
                       const void *members, const double *base)
{
    run_op_input(t, INFER_I32, SHAPE(f->n_trees), f->root);
    run_op_input(t, INFER_I32, SHAPE(f->n_nodes), f->feature);
    run_op_input(t, type, SHAPE(f->n_nodes), threshold);
    run_op_input(t, INFER_I8, SHAPE(f->n_nodes), f->mode);
    run_op_input(t, INFER_I32, SHAPE(f->n_nodes), f->yes);
    run_op_input(t, INFER_I32, SHAPE(f->n_nodes), f->no);
    run_op_input(t, INFER_I8, SHAPE(f->n_nodes), f->missing);
    run_op_input(t, INFER_I32, SHAPE(f->n_leaves + 1), f->leaf);
    run_op_input(t, INFER_I32, SHAPE(f->n_weights), f->target);
    run_op_input(t, INFER_F64, SHAPE(f->n_weights), f->weight);
    run_op_input(t, INFER_F64, SHAPE(TARGETS), base);
    run_op_input(t, type, SHAPE(64), members);
    run_op_input(t, INFER_I32, SHAPE(f->n_nodes), f->count);
}

static void trees(void **state)
{
    static struct forest f;
    static double x[ROWS * FEATURES];
    static float narrow[ROWS * FEATURES], threshold[NODES_MAX], members[64], want[ROWS * TARGETS];
    const double base[TARGETS] = {1, -2, 3};
    struct rng rng = {11};

    (void)state;
    for (int round = 0; round < 500; round++) {
        int aggregate = (int)rng_below(&rng, 4);
        bool is_narrow = rng_below(&rng, 2);
        struct run_op t;

        grow_forest(&f, &rng);
        for (size_t i = 0; i < ROWS * FEATURES; i++) {
            x[i] = rng_below(&rng, 9) == 0 ? (double)NAN : (double)rng_below(&rng, 12) / 2;
            narrow[i] = (float)x[i];
        }
        for (size_t i = 0; i < NODES_MAX; i++)
            threshold[i] = (float)f.threshold[i];
        for (size_t i = 0; i < 64; i++)
            members[i] = (float)f.members[i];
        for (size_t n = 0; n < ROWS; n++)
            score(&f, x + n * FEATURES, aggregate, base, want + n * TARGETS);
        run_op_init(&t, INFER_TREES);
        t.node.ints[0] = TARGETS;
        t.node.ints[1] = aggregate;
        run_op_input(&t, is_narrow ? INFER_F32 : INFER_F64, SHAPE(ROWS, FEATURES),
                     is_narrow ? (const void *)narrow : x);
        add_forest(&t, &f, is_narrow ? INFER_F32 : INFER_F64,
                   is_narrow ? (const void *)threshold : f.threshold,
                   is_narrow ? (const void *)members : f.members, base);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, SHAPE(ROWS, TARGETS), want);
        run_op_deinit(&t);
    }
}

/* Any one number of a right forest is changed: refused, or computed without harm (the sanitizers look). */
static void wrong_trees(void **state)
{
    static struct forest f;
    static double x[ROWS * FEATURES], base[TARGETS];
    struct rng rng = {12};
    int refused = 0;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        static const int32_t values[] = {INT32_MIN, -1000, -2, -1, 0, 1, 2, 5, 64, 1000, INT32_MAX};
        int32_t *integers[] = {f.root, f.feature, f.yes, f.no, f.count, f.leaf, f.target};
        int32_t wrong = values[rng_below(&rng, sizeof values / sizeof values[0])];
        struct run_op t;

        grow_forest(&f, &rng);
        switch (rng_below(&rng, 3)) {
        case 0:
            integers[rng_below(&rng, 7)][rng_below(&rng, 12)] = wrong;
            break;
        case 1:
            f.mode[rng_below(&rng, 4)] = (int8_t)wrong;
            break;
        default:
            f.mode[0] = INFER_MEMBER;
            f.threshold[0] = rng_below(&rng, 2) ? (double)wrong
                                                : ((double[]){NAN, INFINITY, -0.0, 0.5})[rng_below(&rng, 4)];
            break;
        }
        run_op_init(&t, INFER_TREES);
        t.node.ints[0] = TARGETS;
        run_op_input(&t, INFER_F64, SHAPE(ROWS, FEATURES), x);
        add_forest(&t, &f, INFER_F64, f.threshold, f.members, base);
        if (run_op_check(&t) != 0) {
            refused++;
            continue;
        }
        run_op_run(&t);
        run_op_deinit(&t);
    }
    assert_true(refused > 1000);
}

static void trees_refuse(void **state)
{
    static struct forest f;
    const double x[FEATURES] = {0}, base[TARGETS] = {0};
    struct run_op t;

    (void)state;
    f = (struct forest){.n_trees = 2, .n_nodes = 2, .n_leaves = 1, .n_weights = 1};
    f.root[1] = 1;
    f.leaf[1] = 1;
    f.yes[0] = f.no[0] = f.yes[1] = f.no[1] = -1;
    run_op_init(&t, INFER_TREES);
    t.node.ints[0] = TARGETS;
    run_op_input(&t, INFER_F64, SHAPE(1, FEATURES), x);
    add_forest(&t, &f, INFER_F64, f.threshold, f.members, base);
    assert_int_equal(run_op_check(&t), 0);
    f.yes[0] = 1; /* into the other tree */
    run_op_expect_refused(&t, "node 0 leads to node 1: it has to stand behind it, in the same tree");
    f.yes[0] = 0;
    run_op_expect_refused(&t, "node 0 leads to node 0");
    f.yes[0] = -2;
    run_op_expect_refused(&t, "node 0 leads to leaf 1 of 1");
    f.yes[0] = -1;
    f.root[0] = 1;
    run_op_expect_refused(&t, "tree 0 begins at node 1");
    f.root[0] = -1;
    run_op_expect_refused(&t, "the first 1 nodes belong to no tree");
    f.root[0] = 0;
    f.feature[1] = FEATURES;
    run_op_expect_refused(&t, "node 1 looks at feature 5 of 5");
    f.feature[1] = 0;
    f.mode[1] = INFER_MEMBER;
    f.threshold[1] = 60;
    f.count[1] = 5;
    run_op_expect_refused(&t, "node 1 has 5 members from 60, there are 64");
    f.count[1] = 4;
    assert_int_equal(run_op_check(&t), 0);
    f.target[0] = TARGETS;
    run_op_expect_refused(&t, "weight 0 is for target 3 of 3");
    t.tensors[2].constant = NULL;
    run_op_expect_refused(&t, "input 2 is computed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scaler_imputer_normalizer),
        cmocka_unit_test(linear_and_post),
        cmocka_unit_test(labels),
        cmocka_unit_test(classes),
        cmocka_unit_test(trees),
        cmocka_unit_test(wrong_trees),
        cmocka_unit_test(trees_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
