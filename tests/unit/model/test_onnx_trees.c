/* Trees for two classes with weights for one: labels and scores as ONNX Runtime 1.30 gave them. */
#include <stdio.h>

#include "unit/model/onnx_case.h"
#include "unit/model/onnx_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROWS = 2 };

struct two_classes {
    int64_t class_id;
    size_t n_base;
    const char *post;
    float weights[ROWS]; /* of the leaf for the first row, and of that for the second */
    int64_t labels[ROWS];
    float scores[2 * ROWS];
};

/* One split at 0. */
static void write_trees(struct buf *g, const struct two_classes *t)
{
    static const int64_t dims[] = {ROWS, 1}, label_dims[] = {ROWS}, score_dims[] = {ROWS, 2};
    static const int64_t zeros[3], ids[] = {0, 1, 2}, leaves[] = {1, 2}, yes[] = {1, 0, 0}, no[] = {2, 0, 0},
                                   labels[] = {10, 11};
    static const float thresholds[3], base[] = {0.15f, 0.25f};
    int64_t classes[ROWS] = {t->class_id, t->class_id};
    struct buf a = {0};

    onnx_write_ints(&a, "nodes_treeids", zeros, 3);
    onnx_write_ints(&a, "nodes_nodeids", ids, 3);
    onnx_write_ints(&a, "nodes_featureids", zeros, 3);
    onnx_write_texts(&a, "nodes_modes", "BRANCH_LEQ LEAF LEAF", true);
    onnx_write_float_list(&a, "nodes_values", thresholds, 3);
    onnx_write_ints(&a, "nodes_truenodeids", yes, 3);
    onnx_write_ints(&a, "nodes_falsenodeids", no, 3);
    onnx_write_ints(&a, "class_treeids", zeros, ROWS);
    onnx_write_ints(&a, "class_nodeids", leaves, ROWS);
    onnx_write_ints(&a, "class_ids", classes, ROWS);
    onnx_write_float_list(&a, "class_weights", t->weights, ROWS);
    onnx_write_ints(&a, "classlabels_int64s", labels, 2);
    onnx_write_texts(&a, "post_transform", t->post, false);
    if (t->n_base > 0)
        onnx_write_float_list(&a, "base_values", base, t->n_base);
    onnx_write_port(g, 11, "x", ONNX_FLOAT, dims, 2);
    onnx_write_node(g, "TreeEnsembleClassifier", "ai.onnx.ml", "x", "y s", &a);
    onnx_write_port(g, 12, "y", ONNX_INT64, label_dims, 1);
    onnx_write_port(g, 12, "s", ONNX_FLOAT, score_dims, 2);
}

static int import_trees(struct onnx_case *c, const struct two_classes *t, struct errmsg *err)
{
    static const struct infer_limits limits = {0};
    struct buf g = {0};

    *c = (struct onnx_case){0};
    write_trees(&g, t);
    onnx_write_model(&c->bytes, &g, 13);
    if (onnx_model_read(span_of(c->bytes.data, c->bytes.len), &c->onnx, err) != 0)
        fail_msg("%s", err->text);
    return onnx_case_import(c, (struct onnx_import_options){0}, &limits, NULL, NULL, err);
}

static void test_two_classes(void **state)
{
    static const struct two_classes cases[] = {
        {0, 0, "NONE", {0.3f, 0.9f}, {10, 11}, {0.7f, 0.3f, 0.1f, 0.9f}},
        {0, 0, "NONE", {-0.7f, 0.9f}, {10, 11}, {0.7f, -0.7f, -0.9f, 0.9f}},
        {0, 0, "LOGISTIC", {0.3f, 0.9f}, {10, 11}, {0.4256f, 0.5744f, 0.2891f, 0.7109f}},
        {0, 0, "LOGISTIC", {-0.7f, 0.9f}, {10, 11}, {0.6682f, 0.3318f, 0.2891f, 0.7109f}},
        {0, 0, "SOFTMAX", {-0.7f, 0.9f}, {10, 11}, {0.7f, -0.7f, -0.9f, 0.9f}},
        {0, 1, "NONE", {0.3f, 0.9f}, {10, 11}, {0.55f, 0.45f, -0.05f, 1.05f}},
        {0, 1, "LOGISTIC", {0.3f, 0.9f}, {10, 11}, {0.3894f, 0.6106f, 0.2592f, 0.7408f}},
        {0, 1, "LOGISTIC", {-0.7f, 0.9f}, {10, 11}, {0.6341f, 0.3659f, 0.2592f, 0.7408f}},
        {1, 0, "NONE", {0.3f, 0.9f}, {10, 11}, {0, 0.3f, 0, 0.9f}},
        {1, 0, "NONE", {-0.7f, 0.9f}, {10, 11}, {0, -0.7f, 0, 0.9f}},
        {1, 0, "LOGISTIC", {0.3f, 0.9f}, {10, 11}, {0.5f, 0.5744f, 0.5f, 0.7109f}},
        {1, 0, "SOFTMAX", {-0.7f, 0.9f}, {10, 11}, {0.6682f, 0.3318f, 0.2891f, 0.7109f}},
        {1, 0, "SOFTMAX_ZERO", {0.3f, 0.9f}, {10, 11}, {0, 1, 0, 1}},
        /* As the standard has it, since ONNX Runtime leaves a score or a base value out: base values are of
         * classes, and the label is that of the greater score. */
        {0, 2, "NONE", {0.3f, -0.9f}, {10, 11}, {0.45f, 0.25f, -0.75f, 0.25f}},
        {1, 2, "NONE", {-0.3f, 0.9f}, {10, 11}, {0.15f, -0.05f, 0.15f, 1.15f}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct errmsg err = {""};
        struct onnx_case c;
        const float *scores;
        float *x;

        if (import_trees(&c, &cases[i], &err) != 0)
            fail_msg("case %zu: %s", i, err.text);
        x = infer_model_input(c.model, 0);
        x[0] = -1;
        x[1] = 1;
        infer_model_run(c.model);
        scores = infer_model_output(c.model, 1);
        for (size_t k = 0; k < 2 * ROWS; k++)
            if (!(fabsf(scores[k] - cases[i].scores[k]) < 1e-4f))
                fail_msg("case %zu: score %zu is %g, not %g", i, k, scores[k], cases[i].scores[k]);
        for (size_t k = 0; k < ROWS; k++)
            if (((const int64_t *)infer_model_output(c.model, 0))[k] != cases[i].labels[k])
                fail_msg("case %zu: row %zu has another label", i, k);
        onnx_case_close(&c);
    }
}

static void test_base_value_of_nobody(void **state)
{
    static const struct two_classes t = {1, 1, "NONE", {0.3f, 0.9f}, {0}, {0}};
    struct errmsg err = {""};
    struct onnx_case c;

    (void)state;
    assert_int_equal(import_trees(&c, &t, &err), ONNX_CASE_REFUSED);
    assert_non_null(strstr(err.text, "TreeEnsembleClassifier"));
    assert_non_null(strstr(err.text, "1 base values for 2"));
    onnx_case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_classes),
                                       cmocka_unit_test(test_base_value_of_nobody)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
