/* The anomaly detector of MLPerf Tiny, imported and run on the recording whose score is published, where the
 * data are at hand: test_ad01 FOLDER (mlperf_tiny_ad01 below $FOGLINE_DATA_DIR, or else FOLDER). */
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

static double score(const char *model, struct onnx_import_report *ret_report)
{
    static const struct infer_limits limits = {0};
    struct onnx_case c = {0};
    struct errmsg err = {""};
    struct buf recording = {0};
    double sum = 0;

    read_file("normal_id_01_00000000_hist_librosa.bin", &recording);
    assert_int_equal(recording.len, FRAMES * BANDS * sizeof(float));
    read_file(model, &c.bytes);
    if (onnx_model_read(span_of(c.bytes.data, c.bytes.len), &c.onnx, &err) != 0 ||
        onnx_case_import(&c, (struct onnx_import_options){0}, &limits, NULL, NULL, &err) != 0)
        fail_msg("%s: %s", model, err.text);
    for (size_t i = 0; i < INPUTS; i++) {
        const float *x = (const float *)recording.data + i * BANDS, *y = infer_model_output(c.model, 0);
        double error = 0;

        memcpy(infer_model_input(c.model, 0), x, VALUES * sizeof(float));
        infer_model_run(c.model);
        for (size_t k = 0; k < VALUES; k++)
            error += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
        sum += error / VALUES;
    }
    *ret_report = c.report;
    print_message("%s: score %.6f, model of %zu bytes, arena %zu\n", model, sum / INPUTS,
                  infer_model_file_bytes(c.model), infer_model_arena_bytes(c.model));
    onnx_case_close(&c);
    buf_deinit(&recording);
    return sum / INPUTS;
}

static void test_float32(void **state)
{
    struct onnx_import_report report;

    (void)state;
    assert_true(fabs(score("ad01_fp32.onnx.gz", &report) / 9.70710781339692 - 1) < 1e-5);
}

static void test_int8(void **state)
{
    struct onnx_import_report report;

    (void)state;
    assert_true(fabs(score("ad01_int8_qdq.onnx", &report) / 10.260287884484411 - 1) < 1e-3);
    assert_int_equal(report.n_dense_i8, 10);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_float32), cmocka_unit_test(test_int8)};
    const char *data = getenv("FOGLINE_DATA_DIR");

    if (data != NULL)
        snprintf(folder, sizeof folder, "%s/mlperf_tiny_ad01", data);
    else
        snprintf(folder, sizeof folder, "%s", argc > 1 ? argv[1] : "mlperf_tiny_ad01");
    if (access(folder, R_OK) != 0) {
        print_message("no %s: skipped\n", folder);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
