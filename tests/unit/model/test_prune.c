/* Pruning: by value, against the net with the weights of the same units zeroed, and what is refused. */
#include "model/compare.h"
#include "model/graph_run.h"
#include "model/prune.h"
#include "unit/model/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct result {
    struct net_model from, to;
    struct prune_report report;
};

static void pruned(struct result *r, const struct model_rows *rows, double to)
{
    struct infer_build *b = NULL;
    struct errmsg err = {""};

    if (prune(r->from.model, rows, to, &b, &r->report, &err) != 0)
        fail_msg("%s", err.text);
    r->to = net_read(b);
    assert_true((double)r->report.weights_after <= to * (double)r->report.weights_before);
}

static void done(struct result *r)
{
    net_free(&r->from);
    net_free(&r->to);
    prune_report_deinit(&r->report);
}

static const struct infer_node *gemm(const struct net_model *m, size_t no)
{
    const struct infer_graph *g = infer_model_graph(m->model);

    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == INFER_GEMM && no-- == 0)
            return &g->nodes[i];
    fail_msg("there are fewer layers");
    return NULL;
}

static const float *constant_of(const struct net_model *m, uint16_t tensor)
{
    return infer_model_graph(m->model)->tensors[tensor].constant;
}

/* Of three neurons the second leads to little; what it gives goes into the bias behind it. */
static void the_least_neuron_goes_by_value(void **state)
{
    static const float w1[6] = {1, 2, 0.1F, 0.1F, -3, 1}, b1[3] = {0.25F, 0.5F, 0}, w2[3] = {2, 4, 1},
                       b2[1] = {1};
    struct result r = {0};
    struct net n;

    (void)state;
    net_init(&n, 1);
    net_input(&n, SHAPE(1, 2));
    net_dense(&n, 3, w1, b1);
    net_unary(&n, INFER_RELU);
    net_dense(&n, 1, w2, b2);
    r.from = net_finish(&n);
    pruned(&r, NULL, 0.7);
    assert_int_equal(r.report.weights_before, 9);
    assert_int_equal(r.report.weights_after, 6);
    assert_int_equal(r.report.n_layers, 2);
    assert_int_equal(r.report.layers[0].kept, 2);
    assert_true(r.report.layers[0].gone[1] && !r.report.layers[0].gone[0]);
    assert_non_null(strstr(r.report.layers[1].why, "output of the model"));
    assert_memory_equal(constant_of(&r.to, gemm(&r.to, 0)->inputs[1]), ((float[]){1, 2, -3, 1}), 16);
    assert_memory_equal(constant_of(&r.to, gemm(&r.to, 0)->inputs[2]), ((float[]){0.25F, 0}), 8);
    assert_memory_equal(constant_of(&r.to, gemm(&r.to, 1)->inputs[1]), ((float[]){2, 1}), 8);
    assert_memory_equal(constant_of(&r.to, gemm(&r.to, 1)->inputs[2]), ((float[]){1 + 4 * 0.5F}), 4);
    done(&r);
}

/* With rows the neuron goes that hardly moves, whatever its weights, and its mean stays. */
static void with_rows_what_does_not_move_goes(void **state)
{
    static const float w1[4] = {0, 5, 1, 0}, b1[2] = {0}, w2[2] = {3, 1}, b2[1] = {0};
    static const float rows_of[4][2] = {{1, 2}, {-1, 2}, {4, 2.002F}, {-4, 1.998F}};
    struct result r = {0};
    struct model_rows rows;
    struct errmsg err;
    struct net n;

    (void)state;
    net_init(&n, 1);
    net_input(&n, SHAPE(1, 2));
    net_dense(&n, 2, w1, b1);
    net_dense(&n, 1, w2, b2);
    r.from = net_finish(&n);
    assert_int_equal(model_rows_init(&rows, infer_model_graph(r.from.model), &err), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(model_rows_add(&rows, rows_of[i], &err), 0);
    pruned(&r, &rows, 0.5);
    assert_true(r.report.layers[0].gone[0]);
    assert_float_equal(constant_of(&r.to, gemm(&r.to, 1)->inputs[2])[0], 3 * 5 * 2, 1e-4);
    model_rows_deinit(&rows);
    done(&r);
}

/* One row in four hundred is no reason to keep a neuron rather than one that is at work all the time. */
static void rare_great_values_do_not_decide(void **state)
{
    static const float w1[4] = {1, 0, 0, 1}, zeros[2] = {0}, w2[2] = {1, 1};
    struct rng rng = {3};
    struct result r = {0};
    struct model_rows rows;
    struct errmsg err;
    struct net n;

    (void)state;
    net_init(&n, 1);
    net_input(&n, SHAPE(1, 2));
    net_dense(&n, 2, w1, zeros);
    net_dense(&n, 1, w2, zeros);
    r.from = net_finish(&n);
    assert_int_equal(model_rows_init(&rows, infer_model_graph(r.from.model), &err), 0);
    for (int i = 0; i < 400; i++) {
        float row[2] = {(float)rng_normal(&rng), i == 77 ? 1000 : 0};

        assert_int_equal(model_rows_add(&rows, row, &err), 0);
    }
    pruned(&r, &rows, 0.5);
    assert_true(r.report.layers[0].gone[1]);
    assert_true(fabsf(constant_of(&r.to, gemm(&r.to, 1)->inputs[2])[0]) < 0.1F);
    model_rows_deinit(&rows);
    done(&r);
}

/* Sets weights of a layer to 0: those to output m, or from input k. */
static void zero_weights(struct graph_run *g, uint16_t node, size_t unit, bool outputs)
{
    const struct infer_node *n = &g->graph->nodes[node];
    const struct infer_tensor *t = &g->graph->tensors[n->inputs[1]];
    size_t count = infer_shape_elements(&t->shape), per_m, taps;
    float *w = g->values[n->inputs[1]];

    per_m = count / t->shape.dim[0];
    taps = per_m / t->shape.dim[1];
    if (w == t->constant) {
        w = pool_alloc(&g->pool, count, sizeof *w);
        assert_non_null(w);
        memcpy(w, t->constant, count * sizeof *w);
        g->values[n->inputs[1]] = w;
    }
    for (size_t i = 0; i < count; i++)
        if (outputs ? i / per_m == unit : i % per_m / taps == unit)
            w[i] = 0;
}

static void expect_same_as_zeroed(struct result *r, struct graph_run *zeroed, const struct model_rows *rows)
{
    const struct infer_graph *a = infer_model_graph(r->from.model), *b = infer_model_graph(r->to.model);
    struct graph_run small;
    struct errmsg err;

    assert_int_equal(graph_run_init(&small, b, &err), 0);
    for (size_t row = 0; row < rows->n; row++) {
        const float *x, *y;

        graph_run_row(zeroed, model_rows_at(rows, row));
        graph_run_row(&small, model_rows_at(rows, row));
        x = zeroed->values[a->outputs[0].tensor];
        y = small.values[b->outputs[0].tensor];
        for (size_t i = 0; i < infer_shape_elements(&a->tensors[a->outputs[0].tensor].shape); i++)
            if (!(fabs((double)(x[i] - y[i])) <= 1e-4 * (1 + fabs((double)x[i]))))
                fail_msg("row %zu, output %zu: %g, with zeros %g", row, i, (double)y[i], (double)x[i]);
    }
    graph_run_deinit(&small);
}

static void net_by_chance(struct net *n, uint64_t seed)
{
    static const enum infer_op functions[] = {INFER_RELU, INFER_TANH, INFER_SIGMOID, INFER_ELU};
    bool flat;

    net_init(n, seed);
    flat = rng_below(&n->rng, 2) == 0;
    net_input(n, flat ? SHAPE(1, 6) : rng_below(&n->rng, 2) == 0 ? SHAPE(1, 3, 24) : SHAPE(2, 3, 10, 12));
    for (uint64_t i = 1 + rng_below(&n->rng, 3); i > 0; i--) {
        uint32_t outputs = 6 + (uint32_t)rng_below(&n->rng, 10);

        if (flat)
            net_dense(n, outputs, NULL, NULL);
        else
            net_conv(n, (struct net_conv){.outputs = outputs, .kernel = net_shape(n)->dim[2] < 3 ? 1 : 3});
        if (rng_below(&n->rng, 2) == 0)
            net_norm(n);
        net_unary(n, functions[rng_below(&n->rng, 4)]);
        if (!flat && net_shape(n)->dim[2] >= 4 && rng_below(&n->rng, 2) == 0)
            net_pool(n, rng_below(&n->rng, 2) == 0 ? INFER_MAX_POOL : INFER_AVERAGE_POOL, 2, 2);
    }
    if (!flat)
        net_flatten(n);
    net_dense(n, 8, NULL, NULL);
    net_unary(n, INFER_RELU);
    net_dense(n, 3, NULL, NULL);
}

static void it_is_the_net_with_those_weights_zeroed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct result r = {0};
        struct model_rows rows;
        struct graph_run zeroed;
        struct errmsg err = {""};
        struct net n;
        size_t gone = 0;

        net_by_chance(&n, seed * 6151);
        r.from = net_finish(&n);
        net_rows(infer_model_graph(r.from.model), &rows, 5, seed, NULL, NULL);
        pruned(&r, NULL, 0.3 + (double)(seed % 5) / 10);
        assert_int_equal(graph_run_init(&zeroed, infer_model_graph(r.from.model), &err), 0);
        for (size_t i = 0; i < r.report.n_layers; i++)
            for (size_t m = 0; m < r.report.layers[i].units; m++)
                if (r.report.layers[i].gone[m]) {
                    zero_weights(&zeroed, r.report.layers[i].node, m, true);
                    gone++;
                }
        assert_true(gone > 0);
        expect_same_as_zeroed(&r, &zeroed, &rows);
        assert_true(r.to.file.len < r.from.file.len);
        graph_run_deinit(&zeroed);
        model_rows_deinit(&rows);
        done(&r);
    }
}

/* Behind padding, and in front of a transposed convolution, a unit that goes counts as 0. */
static void at_a_border_a_unit_counts_as_zero(void **state)
{
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        struct result r = {0};
        struct model_rows rows;
        struct graph_run zeroed;
        struct errmsg err = {""};
        struct net n;

        net_init(&n, 77);
        net_input(&n, SHAPE(1, 2, 12));
        net_conv(&n, (struct net_conv){.outputs = 8, .kernel = 3, .pad = 1});
        net_unary(&n, INFER_SIGMOID);
        net_conv(&n, (struct net_conv){.outputs = 2, .kernel = 3, .pad = 1, .transposed = transposed == 1});
        r.from = net_finish(&n);
        net_rows(infer_model_graph(r.from.model), &rows, 5, 3, NULL, NULL);
        pruned(&r, NULL, 0.5);
        assert_int_equal(r.report.layers[0].kept, 4);
        assert_int_equal(graph_run_init(&zeroed, infer_model_graph(r.from.model), &err), 0);
        for (size_t m = 0; m < 8; m++)
            if (!r.report.layers[0].gone[m])
                continue;
            else if (transposed == 1)
                zero_weights(&zeroed, r.report.layers[1].node, m, true); /* [k][m]: inputs stand first */
            else
                zero_weights(&zeroed, r.report.layers[1].node, m, false);
        expect_same_as_zeroed(&r, &zeroed, &rows);
        graph_run_deinit(&zeroed);
        model_rows_deinit(&rows);
        done(&r);
    }
}

static double error_on(const struct result *r, const struct model_rows *rows)
{
    struct model_difference d;
    struct errmsg err;

    assert_int_equal(models_compare(infer_model_graph(r->from.model), infer_model_graph(r->to.model), rows,
                                    (double)NAN, &d, &err),
                     0);
    return d.outputs[0].rms / d.outputs[0].reference_rms;
}

/* Rows are worth having: their choice is nearer to the net as it was than that by norms, in the mean. */
static void rows_choose_better_than_norms(void **state)
{
    double by_rows = 0, by_norms = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct result a = {0}, b = {0};
        struct model_rows rows;
        struct net n;

        for (int i = 0; i < 2; i++) {
            net_by_chance(&n, seed * 31);
            (i == 0 ? &a : &b)->from = net_finish(&n);
        }
        net_rows(infer_model_graph(a.from.model), &rows, 100, seed, NULL, NULL);
        pruned(&a, &rows, 0.6);
        pruned(&b, NULL, 0.6);
        by_rows += error_on(&a, &rows) / 40;
        by_norms += error_on(&b, &rows) / 40;
        model_rows_deinit(&rows);
        done(&a);
        done(&b);
    }
    print_message("relative error at 0.6 of the weights: by rows %.3f, by norms %.3f\n", by_rows, by_norms);
    assert_true(by_rows < by_norms);
}

static void expect_refused(const struct net_model *m, double to, const char *word)
{
    struct prune_report report = {0};
    struct infer_build *b = NULL;
    struct errmsg err = {""};

    assert_int_equal(prune(m->model, NULL, to, &b, &report, &err), -EINVAL);
    assert_null(b);
    if (strstr(err.text, word) == NULL)
        fail_msg("\"%s\" is not in: %s", word, err.text);
}

static void what_cannot_be_pruned_is_refused(void **state)
{
    struct net_model m;
    struct net n;
    uint16_t x;

    (void)state;
    net_init(&n, 5);
    net_input(&n, SHAPE(1, 4));
    net_dense(&n, 2, NULL, NULL);
    net_unary(&n, INFER_RELU);
    m = net_finish(&n);
    expect_refused(&m, 0.5, "its result is an output of the model");
    expect_refused(&m, 1, "1 is no share");
    expect_refused(&m, 0, "0 is no share");
    expect_refused(&m, (double)NAN, "no share");
    net_free(&m);

    net_init(&n, 6);
    net_input(&n, SHAPE(1, 100));
    net_dense(&n, 2, NULL, NULL);
    net_dense(&n, 50, NULL, NULL);
    m = net_finish(&n);
    expect_refused(&m, 0.4, "0.5 of the weights remain");
    net_free(&m);

    net_init(&n, 7); /* x + f(x) */
    net_input(&n, SHAPE(1, 4));
    net_dense(&n, 4, NULL, NULL);
    x = n.at;
    net_unary(&n, INFER_RELU);
    net_node(&n, (struct infer_node){.op = INFER_ADD, .n_inputs = 2, .inputs = {0, x}});
    net_dense(&n, 2, NULL, NULL);
    m = net_finish(&n);
    expect_refused(&m, 0.5, "more than layers");
    net_free(&m);

    net_init(&n, 8);
    net_input(&n, SHAPE(1, 4));
    net_unary(&n, INFER_RELU);
    m = net_finish(&n);
    expect_refused(&m, 0.5, "no layer with float32 weights");
    net_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_neuron_goes_by_value),
        cmocka_unit_test(with_rows_what_does_not_move_goes),
        cmocka_unit_test(rare_great_values_do_not_decide),
        cmocka_unit_test(it_is_the_net_with_those_weights_zeroed),
        cmocka_unit_test(at_a_border_a_unit_counts_as_zero),
        cmocka_unit_test(rows_choose_better_than_norms),
        cmocka_unit_test(what_cannot_be_pruned_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
