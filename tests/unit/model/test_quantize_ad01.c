/* The anomaly detector of MLPerf Tiny, quantised and pruned here, on the recording whose score is published,
 * where the data are at hand: test_quantize_ad01 FOLDER (mlperf_tiny_ad01 below $FOGLINE_DATA_DIR, or else
 * FOLDER). Ranges are learned of every other frame only. */
#include "model/compare.h"
#include "model/graph_run.h"
#include "model/prune.h"
#include "model/quantize.h"
#include "unit/model/net.h"
#include "unit/model/onnx_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { FRAMES = 200, BANDS = 128, AT_ONCE = 5, INPUTS = FRAMES - AT_ONCE + 1, VALUES = BANDS * AT_ONCE };

static char folder[512];

struct ad01 {
    struct net_model model;
    struct model_rows all, learned;
};

static void read_file(const char *name, struct buf *b)
{
    char path[1024];
    gzFile f;
    int n;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = gzopen(path, "rb");
    assert_non_null(f);
    do {
        uint8_t *at = buf_grow(b, 1 << 16);

        assert_non_null(at);
        n = gzread(f, at, 1 << 16);
        assert_true(n >= 0);
        b->len -= (size_t)((1 << 16) - n);
    } while (n > 0);
    gzclose(f);
}

static int set_up(void **state)
{
    struct ad01 *a = calloc(1, sizeof *a);
    struct onnx_import_report report;
    struct infer_build *b = NULL;
    struct onnx_model *onnx = NULL;
    struct buf bytes = {0}, recording = {0};
    struct errmsg err = {""};

    read_file("ad01_fp32.onnx.gz", &bytes);
    assert_int_equal(onnx_model_read(span_of(bytes.data, bytes.len), &onnx, &err), 0);
    assert_int_equal(onnx_import(onnx, &(struct onnx_import_options){0}, &b, &report, &err), 0);
    a->model = net_read(b);
    onnx_model_free(onnx);
    buf_deinit(&bytes);
    read_file("normal_id_01_00000000_hist_librosa.bin", &recording);
    assert_int_equal(recording.len, FRAMES * BANDS * sizeof(float));
    assert_int_equal(model_rows_init(&a->all, infer_model_graph(a->model.model), &err), 0);
    assert_int_equal(model_rows_init(&a->learned, infer_model_graph(a->model.model), &err), 0);
    for (size_t i = 0; i < INPUTS; i++) {
        const float *row = (const float *)recording.data + i * BANDS;

        assert_int_equal(model_rows_add(&a->all, row, &err), 0);
        if (i % 2 == 0)
            assert_int_equal(model_rows_add(&a->learned, row, &err), 0);
    }
    buf_deinit(&recording);
    *state = a;
    return 0;
}

static int tear_down(void **state)
{
    struct ad01 *a = *state;

    net_free(&a->model);
    model_rows_deinit(&a->all);
    model_rows_deinit(&a->learned);
    free(a);
    return 0;
}

/* Mean over the inputs of the mean squared difference of input and output. */
static double score(const struct net_model *m, const struct model_rows *rows)
{
    const struct infer_graph *g = infer_model_graph(m->model);
    struct graph_run run;
    struct errmsg err;
    double sum = 0;

    assert_int_equal(graph_run_init(&run, g, &err), 0);
    for (size_t i = 0; i < rows->n; i++) {
        const float *x = model_rows_at(rows, i), *y = run.values[g->outputs[0].tensor];

        graph_run_row(&run, x);
        for (size_t k = 0; k < VALUES; k++)
            sum += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]) / VALUES;
    }
    graph_run_deinit(&run);
    return sum / (double)rows->n;
}

static struct net_model quantized(const struct ad01 *a, const struct net_model *from,
                                  enum range_method method)
{
    struct quantize_options o = {method, 99.99};
    struct quantize_report report = {0};
    struct infer_build *b = NULL;
    struct errmsg err = {""};

    if (quantize(from->model, &a->learned, &o, &b, &report, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(report.n_integer, 10);
    quantize_report_deinit(&report);
    return net_read(b);
}

/* int8 of ours is nearer to float32 (9.7071) than the published one (10.2603). */
static void int8_stays_near_the_score_of_float32(void **state)
{
    static const enum range_method methods[] = {RANGE_MSE, RANGE_MINMAX, RANGE_PERCENTILE};
    static const char *const names[] = {"mse", "minmax", "percentile"};
    const struct ad01 *a = *state;
    double exact = score(&a->model, &a->all);

    assert_float_equal(exact, 9.7071, 0.001);
    for (size_t i = 0; i < 3; i++) {
        struct net_model m = quantized(a, &a->model, methods[i]);
        double s = score(&m, &a->all), ratio = (double)m.file.len / (double)a->model.file.len;

        print_message("%s: score %.4f, float32 %.4f (%.2f %%), %zu bytes of %zu\n", names[i], s, exact,
                      100 * (s / exact - 1), m.file.len, a->model.file.len);
        assert_true(fabs(s / exact - 1) < 0.02);
        assert_true(ratio < 0.27);
        net_free(&m);
    }
}

static void pruned_it_still_knows_the_sound(void **state)
{
    const struct ad01 *a = *state;
    double exact = score(&a->model, &a->all);

    for (int with_rows = 0; with_rows < 2; with_rows++) {
        struct prune_report report = {0};
        struct infer_build *b = NULL;
        struct errmsg err = {""};
        struct net_model m, m8;
        double s, s8;

        if (prune(a->model.model, with_rows != 0 ? &a->learned : NULL, 0.5, &b, &report, &err) != 0)
            fail_msg("%s", err.text);
        m = net_read(b);
        m8 = quantized(a, &m, RANGE_MSE);
        s = score(&m, &a->all);
        s8 = score(&m8, &a->all);
        print_message("half of the weights, by %s: score %.4f, in int8 %.4f; %zu and %zu bytes\n",
                      with_rows != 0 ? "rows" : "norms", s, s8, m.file.len, m8.file.len);
        assert_true(m.file.len < a->model.file.len * 51 / 100);
        if (with_rows != 0)
            assert_true(fabs(s / exact - 1) < 0.15 && fabs(s8 / exact - 1) < 0.2);
        net_free(&m);
        net_free(&m8);
        prune_report_deinit(&report);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_stays_near_the_score_of_float32),
        cmocka_unit_test(pruned_it_still_knows_the_sound),
    };
    const char *data = getenv("FOGLINE_DATA_DIR");

    if (data != NULL)
        snprintf(folder, sizeof folder, "%s/mlperf_tiny_ad01", data);
    else
        snprintf(folder, sizeof folder, "%s", argc > 1 ? argv[1] : "");
    if (access(folder, R_OK) != 0) {
        printf("skipped: there is no folder %s with the data\n", folder);
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
