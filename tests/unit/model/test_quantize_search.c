/* The best way to quantise: by decisions, and by rows that taught nothing. */
#include "model/compare.h"
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

/* One row in fifty is a hundred times as great: steps spent on it are lost to all others. Layers that cost
 * too much stay float32 until the error is small enough. */
static void the_search_takes_what_the_outputs_like_best(void **state)
{
    struct quantize_search search = {.ranges = true};
    struct quantize_report report = {0};
    struct infer_build *b = NULL;
    struct result r = {0};
    struct model_rows rows;
    struct errmsg err = {""};
    struct net n;
    float row[6];
    double simple;

    (void)state;
    net_init(&n, 30);
    net_input(&n, SHAPE(1, 6));
    net_dense(&n, 16, NULL, NULL);
    net_unary(&n, INFER_TANH);
    net_dense(&n, 8, NULL, NULL);
    net_unary(&n, INFER_RELU);
    net_dense(&n, 1, NULL, NULL);
    net_unary(&n, INFER_SIGMOID);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 490, 31, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < 6; k++)
            row[k] = 100 * (float)rng_normal(&n.rng);
        assert_int_equal(model_rows_add(&rows, row, &err), 0);
    }
    quantized(&r, &rows, &all);
    simple = quantize_error(&r.difference);
    assert_int_equal(quantize_best(r.from.model, &rows, &usual, &search, &b, &report, &err), 0);
    infer_build_free(b);
    assert_int_equal(report.n_integer, 3);
    print_message("error with minmax %.4f, with the best %.4f\n", simple, search.error);
    assert_true(search.error < simple / 2);
    assert_int_equal(search.chosen.method, RANGE_PERCENTILE);
    quantize_report_deinit(&report);

    search = (struct quantize_search){.ranges = true, .error_max = search.error / 2};
    assert_int_equal(quantize_best(r.from.model, &rows, &usual, &search, &b, &report, &err), 0);
    infer_build_free(b);
    assert_true(search.error <= search.error_max);
    assert_true(search.chosen.n_floats > 0 && report.n_integer == 3 - search.chosen.n_floats);
    assert_non_null(strstr(report.layers[0].why, "cost too much"));
    quantize_report_deinit(&report);

    search = (struct quantize_search){.error_max = 1e-12};
    assert_int_equal(quantize_best(r.from.model, &rows, &usual, &search, &b, &report, &err), 0);
    infer_build_free(b);
    assert_int_equal(report.n_integer, 0);
    assert_true(search.error <= 1e-12);
    quantize_report_deinit(&report);
    model_rows_deinit(&rows);
    done(&r);
}

static void compared(const struct result *r, const struct model_rows *rows, double threshold,
                     struct model_difference *ret)
{
    struct errmsg err = {""};

    if (models_compare(infer_model_graph(r->from.model), infer_model_graph(r->to.model), rows, threshold, ret,
                       &err) != 0)
        fail_msg("%s", err.text);
}

/* 4 x + 0.01, once in float32 and once in int8 with the range of x cut off: the same on either side of a
 * threshold unless it lies beyond the cut. */
static void a_single_score_decides_by_its_threshold(void **state)
{
    static const struct quantize_options cut = {RANGE_PERCENTILE, 75};
    const float w[] = {4}, bias[] = {0.01f};
    struct model_difference d;
    struct result r = {0};
    struct model_rows rows;
    struct errmsg err;
    struct net n;

    (void)state;
    net_init(&n, 77);
    net_input(&n, SHAPE(1, 1));
    net_dense(&n, 1, w, bias);
    r.from = net_finish(&n);
    assert_int_equal(model_rows_init(&rows, infer_model_graph(r.from.model), &err), 0);
    for (int i = 0; i <= 1000; i++)
        assert_int_equal(model_rows_add(&rows, &(float){(float)i / 1000 - 0.5f}, &err), 0);
    quantized(&r, &rows, &cut);

    compared(&r, &rows, (double)NAN, &d);
    assert_false(d.outputs[0].is_decision); /* from -2 to 2: no probability */
    assert_true(quantize_same(&d) >= 1);
    compared(&r, &rows, 0.5, &d);
    assert_true(d.outputs[0].is_decision && d.outputs[0].n_decided >= 990);
    compared(&r, &rows, 1.5, &d);
    assert_in_range(d.outputs[0].n_decided, 860, 890);
    assert_true(fabs(quantize_same(&d) - (double)d.outputs[0].n_decided / 1001) < 1e-9);
    model_rows_deinit(&rows);
    done(&r);
}

/* The fourth and the eighth of eight stretches reach further than those that teach: the error is theirs. */
static void rows_that_taught_nothing_judge(void **state)
{
    struct quantize_search alike = {.ranges = true, .same_min = 0.995, .threshold = (double)NAN},
                           other = alike;
    struct model_rows rows[2];
    struct result r = {0};
    struct net n;

    (void)state;
    net_init(&n, 41);
    net_input(&n, SHAPE(1, 4));
    net_dense(&n, 16, NULL, NULL);
    net_unary(&n, INFER_RELU);
    net_dense(&n, 1, NULL, NULL);
    net_unary(&n, INFER_SIGMOID);
    r.from = net_finish(&n);
    for (int k = 0; k < 2; k++) {
        struct quantize_search *search = k == 0 ? &alike : &other;
        struct quantize_report report = {0};
        struct infer_build *b = NULL;
        struct errmsg err = {""};

        assert_int_equal(model_rows_init(&rows[k], infer_model_graph(r.from.model), &err), 0);
        for (int i = 0; i < 800; i++) {
            float row[4];

            for (int x = 0; x < 4; x++)
                row[x] = (float)rng_normal(&n.rng) * (k == 1 && i / 100 % 4 == 3 ? 3 : 1);
            assert_int_equal(model_rows_add(&rows[k], row, &err), 0);
        }
        assert_int_equal(quantize_best(r.from.model, &rows[k], &usual, search, &b, &report, &err), 0);
        infer_build_free(b);
        quantize_report_deinit(&report);
        assert_true(quantize_is_met(search) && search->same >= 0.995);
        model_rows_deinit(&rows[k]);
    }
    print_message("error of alike rows %.4f, of rows that reach further %.4f\n", alike.error, other.error);
    assert_true(other.chosen.n_floats > 0 || other.error > 2 * alike.error);
    done(&r);
}

/* As many layers as it takes stay float32, though the numbers may be off as much as they like. */
static void decisions_keep_layers_in_float32(void **state)
{
    struct quantize_search search = {.same_min = 1, .threshold = (double)NAN};
    struct quantize_report report = {0};
    struct infer_build *b = NULL;
    struct result r = {0};
    struct model_rows rows;
    struct errmsg err = {""};
    struct net n;
    uint64_t same;

    (void)state;
    net_init(&n, 30);
    net_input(&n, SHAPE(1, 6));
    net_dense(&n, 16, NULL, NULL);
    net_unary(&n, INFER_TANH);
    net_dense(&n, 8, NULL, NULL);
    net_unary(&n, INFER_RELU);
    net_dense(&n, 1, NULL, NULL);
    net_unary(&n, INFER_SIGMOID);
    r.from = net_finish(&n);
    net_rows(infer_model_graph(r.from.model), &rows, 3000, 31, NULL, NULL);
    quantized(&r, &rows, &usual);
    same = r.difference.outputs[0].n_decided;
    assert_true(same < 3000);
    assert_int_equal(quantize_best(r.from.model, &rows, &usual, &search, &b, &report, &err), 0);
    infer_build_free(b);
    print_message("%d of 3000 the same in int8; %zu layers stay float32\n", (int)same,
                  search.chosen.n_floats);
    assert_true(quantize_is_met(&search) && search.same >= 1);
    assert_true(search.chosen.n_floats > 0 && report.n_integer == 3 - search.chosen.n_floats);
    quantize_report_deinit(&report);
    model_rows_deinit(&rows);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_takes_what_the_outputs_like_best),
        cmocka_unit_test(a_single_score_decides_by_its_threshold),
        cmocka_unit_test(rows_that_taught_nothing_judge),
        cmocka_unit_test(decisions_keep_layers_in_float32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
