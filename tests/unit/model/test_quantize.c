/* Quantising: small nets by value, nets by chance against float32, and what is refused. */
#include "model/compare.h"
#include "model/plan.h"
#include "model/quantize.h"
#include "unit/model/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct quantize_options usual = {RANGE_MSE, 99.99}, all = {RANGE_MINMAX, 100};

struct result {
    struct net_model from, to;
    struct quantize_report report;
    struct model_difference difference;
};

static void quantized(struct result *r, const struct model_rows *rows, const struct quantize_options *o)
{
    struct infer_build *b = NULL;
    struct errmsg err = {""};

    if (quantize(r->from.model, rows, o, &b, &r->report, &err) != 0)
        fail_msg("%s", err.text);
    r->to = net_read(b);
    if (models_compare(infer_model_graph(r->from.model), infer_model_graph(r->to.model), rows, (double)NAN,
                       &r->difference, &err) != 0)
        fail_msg("%s", err.text);
}

static void done(struct result *r)
{
    net_free(&r->from);
    net_free(&r->to);
    quantize_report_deinit(&r->report);
}

static size_t count_ops(const struct net_model *m, uint16_t op)
{
    const struct infer_graph *g = infer_model_graph(m->model);
    size_t n = 0;

    for (size_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i].op == op;
    return n;
}

static const struct infer_node *node_of(const struct net_model *m, uint16_t op)
{
    const struct infer_graph *g = infer_model_graph(m->model);

    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == op)
            return &g->nodes[i];
    fail_msg("there is no node %u", op);
    return NULL;
}

static const void *constant_of(const struct net_model *m, uint16_t tensor)
{
    return infer_model_graph(m->model)->tensors[tensor].constant;
}

/* x in -1 .. 1.55 (scale 0.01, zero point -28), one dense layer to float32. */
static void numbers_of_a_layer_are_these(void **state)
{
    static const float w[4] = {1.27F, -0.64F, 0.005F, 0.02F}, bias[2] = {0.5F, -0.25F};
    static const float rows_of[3][2] = {{-1, 1.55F}, {0.5F, 0}, {1.55F, -1}};
    struct result r = {0};
    struct model_rows rows;
    struct errmsg err;
    struct net n;
    const struct infer_node *dense;

    (void)state;
    net_init(&n, 1);
    net_input(&n, SHAPE(1, 2));
    net_dense(&n, 2, w, bias);
    r.from = net_finish(&n);
    assert_int_equal(model_rows_init(&rows, infer_model_graph(r.from.model), &err), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(model_rows_add(&rows, rows_of[i], &err), 0);
    quantized(&r, &rows, &all);
    dense = node_of(&r.to, INFER_DENSE_I8);
    assert_int_equal(dense->floats[0] != 0, true);
    assert_memory_equal(constant_of(&r.to, dense->inputs[1]), ((const int8_t[]){127, -64, 32, 127}), 4);
    /* 0.5 / (0.01 * 0.01) + 28 * (127 - 64); the second scale is 0.02 / 127 */
    assert_int_equal(((const int32_t *)constant_of(&r.to, dense->inputs[2]))[0], 5000 + 28 * 63);
    /* -0.25 and what rounding 31.75 to 32 adds at the mean, 0.35, in steps of 0.01 * 0.02 / 127. */
    assert_in_range(((const int32_t *)constant_of(&r.to, dense->inputs[2]))[1] + 158750 - 28 * 159 + 9 + 1, 0,
                    2);
    assert_float_equal(((const float *)constant_of(&r.to, dense->inputs[3]))[0], 1e-4F, 1e-9F);
    assert_int_equal(r.report.n_integer, 1);
    assert_int_equal(r.report.n_layers, 1);
    assert_null(r.report.layers[0].why);
    assert_true(r.report.layers[0].gives_float && !r.report.layers[0].by_column);
    assert_true(r.difference.outputs[0].worst < 0.01);
    model_rows_deinit(&rows);
    done(&r);
}

/* Dense, BatchNorm, Relu, Dense, Sigmoid: two kernels, the last in float32. */
static void norm_and_relu_go_into_the_layer(void **state)
{
    struct result r = {0};
    struct model_rows rows;
    struct net n;

    (void)state;
    net_init(&n, 2);
    net_input(&n, SHAPE(1, 8));
    net_dense(&n, 16, NULL, NULL);
    net_norm(&n);
    net_unary(&n, INFER_RELU);
    net_dense(&n, 4, NULL, NULL);
    net_unary(&n, INFER_SIGMOID);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 300, 3, NULL, NULL);
    quantized(&r, &rows, &usual);
    assert_int_equal(infer_model_graph(r.to.model)->n_nodes, 4);
    assert_int_equal(count_ops(&r.to, INFER_QUANTIZE), 1);
    assert_int_equal(count_ops(&r.to, INFER_DENSE_I8), 2);
    assert_int_equal(count_ops(&r.to, INFER_SIGMOID), 1);
    assert_int_equal(r.report.n_folded, 2);
    assert_int_equal(r.report.n_float, 1);
    assert_true(r.report.layers[0].sqnr_db > 30 && r.report.layers[1].sqnr_db > 28);
    assert_true(r.difference.outputs[0].rms < 0.01);
    model_rows_deinit(&rows);
    done(&r);
}

/* A tanh between two layers becomes a table, and the values in it are right to half a step. */
static void other_functions_become_tables(void **state)
{
    static const enum infer_op ops[] = {INFER_TANH, INFER_LEAKY_RELU, INFER_ELU, INFER_SOFTPLUS};
    struct model_rows rows;
    struct net n;

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct result r = {0};

        net_init(&n, 4 + i);
        net_input(&n, SHAPE(1, 6));
        net_dense(&n, 12, NULL, NULL);
        net_unary(&n, ops[i]);
        net_dense(&n, 3, NULL, NULL);
        r.from = net_finish(&n);
        net_rows(infer_model_graph(r.from.model), &rows, 300, 5, NULL, NULL);
        quantized(&r, &rows, &usual);
        assert_int_equal(count_ops(&r.to, INFER_LUT8), 1);
        assert_int_equal(count_ops(&r.to, (uint16_t)ops[i]), 0);
        assert_int_equal(r.report.n_tables, 1);
        assert_true(r.difference.outputs[0].rms < 0.02 * r.difference.outputs[0].reference_rms);
        model_rows_deinit(&rows);
        done(&r);
    }
}

/* Conv, Relu, MaxPool, Conv, Relu, Flatten, Dense: nothing is turned back before Flatten. */
static void a_convolution_stays_with_its_channels_last(void **state)
{
    struct result r = {0};
    struct model_rows rows;
    struct net n;

    (void)state;
    net_init(&n, 6);
    net_input(&n, SHAPE(1, 4, 32));
    net_conv(&n, (struct net_conv){.outputs = 8, .kernel = 5, .pad = 2});
    net_unary(&n, INFER_RELU);
    net_pool(&n, INFER_MAX_POOL, 2, 2);
    net_conv(&n, (struct net_conv){.outputs = 6, .kernel = 3, .pad = 1, .stride = 2});
    net_unary(&n, INFER_RELU);
    net_flatten(&n);
    net_dense(&n, 3, NULL, NULL);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 100, 7, NULL, NULL);
    quantized(&r, &rows, &usual);
    assert_int_equal(count_ops(&r.to, INFER_CONV1D_I8), 2);
    assert_int_equal(count_ops(&r.to, INFER_DENSE_I8), 1);
    assert_int_equal(count_ops(&r.to, INFER_TRANSPOSE), 2);
    assert_int_equal(count_ops(&r.to, INFER_DEQUANTIZE), 0);
    assert_true(r.difference.outputs[0].rms < 0.03 * r.difference.outputs[0].reference_rms);
    model_rows_deinit(&rows);
    done(&r);
}

static void random_body(struct net *n)
{
    bool flat = net_shape(n)->rank == 2;
    static const enum infer_op functions[] = {INFER_RELU,    INFER_RELU,       INFER_TANH,
                                              INFER_SIGMOID, INFER_LEAKY_RELU, INFER_ELU};

    for (uint64_t i = rng_below(&n->rng, 4); i > 0; i--) {
        uint32_t outputs = 4 * (1 + (uint32_t)rng_below(&n->rng, 4));

        if (flat)
            net_dense(n, outputs, NULL, NULL);
        else
            net_conv(n, (struct net_conv){
                            .outputs = outputs,
                            .kernel = net_shape(n)->dim[2] < 3 ? 1 : 1 + 2 * (uint32_t)rng_below(&n->rng, 2),
                            .pad = (uint32_t)rng_below(&n->rng, 2),
                            .stride = 1 + (uint32_t)rng_below(&n->rng, 2),
                            .group = rng_below(&n->rng, 3) == 0 ? 4 : 1});
        if (rng_below(&n->rng, 3) == 0)
            net_norm(n);
        if (rng_below(&n->rng, 4) != 0)
            net_unary(n, functions[rng_below(&n->rng, sizeof functions / sizeof functions[0])]);
        if (!flat && net_shape(n)->dim[2] >= 4 && net_shape(n)->rank > 2 && rng_below(&n->rng, 3) == 0)
            net_pool(n, rng_below(&n->rng, 2) == 0 ? INFER_MAX_POOL : INFER_AVERAGE_POOL, 2, 2);
        if (rng_below(&n->rng, 6) == 0) { /* x next to f(x) */
            uint16_t x = n->at;

            net_unary(n, INFER_TANH);
            net_node(n,
                     (struct infer_node){.op = INFER_CONCAT, .n_inputs = 2, .inputs = {0, x}, .ints = {1}});
        }
    }
}

static void net_by_chance(struct net *n, uint64_t seed)
{
    static const uint8_t ranks[] = {2, 3, 4};

    net_init(n, seed);
    switch (ranks[rng_below(&n->rng, 3)]) {
    case 2:
        net_input(n, SHAPE(1, 1 + (uint32_t)rng_below(&n->rng, 16)));
        break;
    case 3:
        net_input(n, SHAPE(1, 4, 8 + (uint32_t)rng_below(&n->rng, 16)));
        break;
    default:
        net_input(n, SHAPE(1, 4, 9, 10));
        break;
    }
    random_body(n);
    if (net_shape(n)->rank > 2)
        net_flatten(n);
    random_body(n);
    net_dense(n, 1 + (uint32_t)rng_below(&n->rng, 5), NULL, NULL);
}

/* The error of the whole is some hundredths of the values, whatever the net is made of. */
static void nets_by_chance_stay_near_float32(void **state)
{
    double sum = 0, worst = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct result r = {0};
        struct model_rows rows;
        struct net n;
        double relative;

        net_by_chance(&n, seed * 7919);
        r.from = net_finish(&n);
        net_rows(infer_model_graph(r.from.model), &rows, 64, seed, NULL, NULL);
        quantized(&r, &rows, seed % 3 == 0 ? &all : &usual);
        relative = r.difference.outputs[0].rms / r.difference.outputs[0].reference_rms;
        if (!(relative < 0.12))
            fail_msg("seed %d: relative error %g", (int)seed, relative);
        assert_int_equal(r.report.n_integer, r.report.n_layers);
        sum += relative;
        worst = fmax(worst, relative);
        model_rows_deinit(&rows);
        done(&r);
    }
    print_message("relative error: mean %.4f, worst %.4f\n", sum / 200, worst);
    assert_true(sum / 200 < 0.03);
}

/* What plans fold, they fold without a change. */
static void folding_changes_no_value(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct net_model from, to;
        struct model_difference d;
        struct model_rows rows;
        struct errmsg err = {""};
        struct infer_build *b = infer_build_new();
        struct plan p;
        struct plan_map map;
        struct net n;

        net_by_chance(&n, seed * 104729);
        from = net_finish(&n);
        assert_int_equal(plan_init(&p, infer_model_graph(from.model), &err), 0);
        assert_int_equal(plan_emit(&p, b, &map, &err), 0);
        to = net_read(b);
        plan_deinit(&p);
        net_rows(infer_model_graph(from.model), &rows, 10, seed, NULL, NULL);
        assert_int_equal(models_compare(infer_model_graph(from.model), infer_model_graph(to.model), &rows,
                                        (double)NAN, &d, &err),
                         0);
        if (d.outputs[0].worst > 1e-4 * (1 + d.outputs[0].reference_rms))
            fail_msg("seed %d: off by %g of %g", (int)seed, d.outputs[0].worst, d.outputs[0].reference_rms);
        assert_int_equal(count_ops(&to, INFER_BATCH_NORM) <= count_ops(&from, INFER_BATCH_NORM), true);
        model_rows_deinit(&rows);
        net_free(&from);
        net_free(&to);
    }
}

/* Pressures beside temperatures: one scale for all columns would leave nothing of the small ones. */
static void columns_of_different_size_have_scales_of_their_own(void **state)
{
    static const float size[4] = {1000, 1, 0.01F, 5}, offset[4] = {101325, 20, 0, -273};
    float w[16];
    struct result r = {0};
    struct model_rows rows;
    struct net n;

    (void)state;
    net_init(&n, 8);
    net_input(&n, SHAPE(1, 4));
    for (int i = 0; i < 16; i++)
        w[i] = (float)rng_normal(&n.rng) / size[i % 4];
    net_dense(&n, 4, w, (const float[4]){0});
    net_unary(&n, INFER_TANH);
    net_dense(&n, 2, NULL, NULL);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 500, 9, size, offset);
    quantized(&r, &rows, &usual);
    assert_true(r.report.layers[0].by_column);
    assert_int_equal(count_ops(&r.to, INFER_SCALER), 1);
    assert_true(r.difference.outputs[0].rms < 0.02 * r.difference.outputs[0].reference_rms);
    model_rows_deinit(&rows);
    done(&r);
}

/* What is not of integers stays, between float32 and int8. */
static void a_transposed_convolution_stays_float(void **state)
{
    struct result r = {0};
    struct model_rows rows;
    struct net n;

    (void)state;
    net_init(&n, 10);
    net_input(&n, SHAPE(1, 3, 16));
    net_conv(&n, (struct net_conv){.outputs = 8, .kernel = 3, .pad = 1, .stride = 2});
    net_unary(&n, INFER_RELU);
    net_conv(&n, (struct net_conv){.outputs = 3, .kernel = 2, .stride = 2, .transposed = true});
    net_norm(&n);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 50, 11, NULL, NULL);
    quantized(&r, &rows, &usual);
    assert_int_equal(r.report.n_integer, 1);
    assert_non_null(strstr(r.report.layers[1].why, "transposed"));
    assert_int_equal(count_ops(&r.to, INFER_BATCH_NORM), 0);
    assert_true(r.difference.outputs[0].rms < 0.03 * r.difference.outputs[0].reference_rms);
    model_rows_deinit(&rows);
    done(&r);
}

/* Products with constants of another rank, a scale behind them, an output that is read on. */
static void products_of_other_ranks_are_layers_as_well(void **state)
{
    struct result r = {0};
    struct model_rows rows;
    struct net n;
    uint16_t w;

    (void)state;
    net_init(&n, 12);
    net_input(&n, SHAPE(2, 3, 5));
    w = net_floats(&n, SHAPE(5, 7), NULL);
    net_node(&n, (struct infer_node){.op = INFER_MATMUL, .n_inputs = 2, .inputs = {0, w}});
    w = net_floats(&n, SHAPE(7), NULL);
    net_node(&n, (struct infer_node){.op = INFER_ADD, .n_inputs = 2, .inputs = {0, w}});
    w = net_floats(&n, SHAPE(), (const float[]){0.5F});
    net_node(&n, (struct infer_node){.op = INFER_MUL, .n_inputs = 2, .inputs = {0, w}});
    net_output(&n, "middle");
    net_unary(&n, INFER_RELU);
    w = net_floats(&n, SHAPE(7, 2), NULL);
    net_node(&n, (struct infer_node){.op = INFER_MATMUL, .n_inputs = 2, .inputs = {0, w}});
    net_output(&n, "y");
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 100, 13, NULL, NULL);
    quantized(&r, &rows, &usual);
    assert_int_equal(count_ops(&r.to, INFER_DENSE_I8), 2);
    assert_int_equal(count_ops(&r.to, INFER_ADD) + count_ops(&r.to, INFER_MUL), 0);
    assert_true(r.report.layers[0].gives_float);
    for (size_t i = 0; i < 2; i++)
        assert_true(r.difference.outputs[i].rms < 0.02 * r.difference.outputs[i].reference_rms);
    model_rows_deinit(&rows);
    done(&r);
}

/* A layer of zeros with a large bias, an input that is always 0, a weight of infinity. */
static void odd_numbers_do_no_harm(void **state)
{
    static const float zero[8] = {0}, bias[2] = {1e9F, -3}, odd[4] = {1, INFINITY, 0, 0},
                       size[4] = {1, 0, 0, 1};
    struct result r = {0};
    struct model_rows rows;
    struct net n;

    (void)state;
    net_init(&n, 14);
    net_input(&n, SHAPE(1, 4));
    net_dense(&n, 2, zero, bias);
    net_dense(&n, 2, NULL, NULL);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 20, 15, size, NULL);
    quantized(&r, &rows, &usual);
    assert_true(r.difference.outputs[0].rms < 0.01 * r.difference.outputs[0].reference_rms);
    model_rows_deinit(&rows);
    done(&r);

    r = (struct result){0};
    net_init(&n, 16);
    net_input(&n, SHAPE(1, 2));
    net_dense(&n, 2, odd, NULL);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 20, 17, NULL, NULL);
    quantized(&r, &rows, &usual);
    assert_int_equal(r.report.n_integer, 0);
    assert_non_null(strstr(r.report.layers[0].why, "finite"));
    model_rows_deinit(&rows);
    done(&r);
}

/* A model without layers comes out as the same bytes, without any row. */
static void what_has_no_layers_stays_as_it_is(void **state)
{
    struct result r = {0};
    struct model_rows rows;
    struct infer_node scaler = {.op = INFER_SCALER, .n_inputs = 3};
    struct infer_node linear = {.op = INFER_LINEAR, .n_inputs = 3};
    struct errmsg err;
    struct net n;

    (void)state;
    net_init(&n, 18);
    net_input(&n, SHAPE(1, 3));
    scaler.inputs[1] = net_floats(&n, SHAPE(3), NULL);
    scaler.inputs[2] = net_floats(&n, SHAPE(3), NULL);
    net_node(&n, scaler);
    linear.inputs[1] = net_floats(&n, SHAPE(2, 3), NULL);
    linear.inputs[2] = net_floats(&n, SHAPE(2), NULL);
    net_node(&n, linear);
    assert_int_equal(infer_build_text(n.b, "name", "straight", &err), 0);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 0, 1, NULL, NULL);
    quantized(&r, &rows, &usual);
    assert_int_equal(r.report.n_layers, 0);
    assert_true(span_equal(r.from.file, r.to.file) || r.from.file.len == r.to.file.len);
    assert_true(span_equal(infer_model_text(r.to.model, "name"), span_str("straight")));
    model_rows_deinit(&rows);
    done(&r);
}

static void expect_refused(const struct net_model *m, const struct model_rows *rows,
                           const struct quantize_options *o, const char *word)
{
    struct quantize_report report = {0};
    struct infer_build *b = NULL;
    struct errmsg err = {""};

    assert_int_equal(quantize(m->model, rows, o, &b, &report, &err), -EINVAL);
    assert_null(b);
    if (strstr(err.text, word) == NULL)
        fail_msg("\"%s\" is not in: %s", word, err.text);
}

static void rows_that_teach_nothing_are_refused(void **state)
{
    static const float same[3] = {1, 2, 3}, nan_row[3] = {NAN, NAN, NAN}, mixed[3] = {1, NAN, 2};
    struct net_model m;
    struct model_rows rows;
    struct errmsg err;
    struct net n;

    (void)state;
    net_init(&n, 19);
    net_input(&n, SHAPE(1, 3));
    net_dense(&n, 2, NULL, NULL);
    m = net_finish(&n);
    net_rows(infer_model_graph(m.model), &rows, 0, 1, NULL, NULL);
    expect_refused(&m, &rows, &usual, "no rows");
    for (int i = 0; i < 4; i++)
        assert_int_equal(model_rows_add(&rows, same, &err), 0);
    expect_refused(&m, &rows, &usual, "all rows are the same");
    model_rows_deinit(&rows);

    net_rows(infer_model_graph(m.model), &rows, 0, 1, NULL, NULL);
    assert_int_equal(model_rows_add(&rows, nan_row, &err), 0);
    assert_int_equal(model_rows_add(&rows, (const float[]){INFINITY, NAN, NAN}, &err), 0);
    expect_refused(&m, &rows, &usual, "no finite value");
    assert_int_equal(model_rows_add(&rows, mixed, &err), 0);
    assert_int_equal(model_rows_add(&rows, same, &err), 0);
    {
        struct result r = {.from = m};

        quantized(&r, &rows, &usual); /* ranges of what is there */
        assert_int_equal(r.report.n_odd, 7);
        expect_refused(&m, &rows, &(struct quantize_options){RANGE_PERCENTILE, 40}, "percentile");
        done(&r);
    }
    model_rows_deinit(&rows);
}

static void ranges_by_value(void **state)
{
    uint32_t bins[RANGE_BINS] = {0};
    struct range_observer o = {.bins = bins};
    struct range r;

    (void)state;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i <= 100000; i++)
            (pass == 0 ? range_see : range_count)(&o, i == 100000 ? 1.1F : (float)i / 100000);
    r = range_of(&o, RANGE_MINMAX, 0, true);
    assert_true(r.low == 0 && r.high == 1.1F);
    r = range_of(&o, RANGE_PERCENTILE, 99, true);
    assert_true(r.low >= 0 && r.high > 0.98F && r.high < 0.995F);
    /* One value in 100,000 cut off by 0.1 costs less than steps wider by a tenth. */
    r = range_of(&o, RANGE_MSE, 0, true);
    assert_true(r.low == 0 && r.high > 0.98F && r.high < 1.08F);
    o = (struct range_observer){0};
    range_see(&o, 80);
    range_see(&o, 85);
    range_see(&o, NAN);
    r = range_of(&o, RANGE_MINMAX, 0, false);
    assert_true(r.low == 80 && r.high == 85 && o.n == 2 && o.n_odd == 1);
    r = range_of(&o, RANGE_MINMAX, 0, true);
    assert_true(r.low == 0 && r.high == 85);
    r = range_of(&(struct range_observer){0}, RANGE_MSE, 0, true);
    assert_true(r.low == 0 && r.high == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_by_value),
        cmocka_unit_test(numbers_of_a_layer_are_these),
        cmocka_unit_test(norm_and_relu_go_into_the_layer),
        cmocka_unit_test(other_functions_become_tables),
        cmocka_unit_test(a_convolution_stays_with_its_channels_last),
        cmocka_unit_test(products_of_other_ranks_are_layers_as_well),
        cmocka_unit_test(folding_changes_no_value),
        cmocka_unit_test(nets_by_chance_stay_near_float32),
        cmocka_unit_test(columns_of_different_size_have_scales_of_their_own),
        cmocka_unit_test(a_transposed_convolution_stays_float),
        cmocka_unit_test(odd_numbers_do_no_harm),
        cmocka_unit_test(what_has_no_layers_stays_as_it_is),
        cmocka_unit_test(rows_that_teach_nothing_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
