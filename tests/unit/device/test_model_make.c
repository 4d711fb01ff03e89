/* quantize, prune and eval of fogline-model: what they write and say, and what they refuse. */
#include "base/file.h"
#include "device/model_tool.h"
#include "tests/lib/tmpdir.h"
#include "unit/model/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 24 };

struct bench {
    struct tmpdir dir;
    char model[PATH_MAX], rows[PATH_MAX], made[PATH_MAX];
    char *out, *err; /* of the last command */
};

static void put(struct bench *b, const char *name, const char *text, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s", tmpdir_path(&b->dir, name));
    assert_int_equal(file_write_atomic(path, span_str(text), 0600), 0);
}

/* a, b, c by chance; the label is 1 where a + b > 0, which the model below says exactly. */
static void put_rows(struct bench *b, const char *name, unsigned n, uint64_t seed, char path[PATH_MAX])
{
    struct rng rng = {seed};
    struct buf text = {0};

    buf_printf(&text, "a,b,c,label,word\n");
    for (unsigned i = 0; i < n; i++) {
        double x = rng_normal(&rng), y = rng_normal(&rng);

        buf_printf(&text, "%.5f,%.5f,%.5f,%d,%s\n", x, y, rng_normal(&rng), x + y > 0,
                   x + y > 0 ? "bad" : "good");
    }
    buf_u8(&text, 0);
    assert_int_equal(text.error, 0);
    put(b, name, (char *)text.data, path);
    buf_deinit(&text);
}

static void put_model(struct bench *b, const char *name, struct net *n, char path[PATH_MAX])
{
    struct net_model m = net_finish(n);

    snprintf(path, PATH_MAX, "%s", tmpdir_path(&b->dir, name));
    assert_int_equal(file_write_atomic(path, m.file, 0600), 0);
    net_free(&m);
}

static int set_up(void **state)
{
    static const float w1[12] = {1, 1, 0, -1, -1, 0, 0.1F, 0, 0.2F, 0, 0.05F, 0.1F},
                       w2[4] = {2, -2, 0.01F, 0.01F};
    static const float zeros[4] = {0};
    struct bench *b = calloc(1, sizeof *b);
    struct net n;

    assert_non_null(b);
    tmpdir_init(&b->dir);
    put_rows(b, "rows.csv", 400, 1, b->rows);
    net_init(&n, 1);
    net_input(&n, SHAPE(1, 3));
    net_dense(&n, 4, w1, zeros);
    net_unary(&n, INFER_RELU);
    net_dense(&n, 1, w2, zeros);
    net_unary(&n, INFER_SIGMOID);
    put_model(b, "wear.fogmodel", &n, b->model);
    snprintf(b->made, sizeof b->made, "%s", tmpdir_path(&b->dir, "made.fogmodel"));
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    free(b->out);
    free(b->err);
    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

/* The words behind the program's name; NULL ends them. */
static int run(struct bench *b, ...)
{
    char *argv[ARGS_MAX + 1] = {(char *)(uintptr_t) "fogline-model"};
    size_t out_len, err_len;
    FILE *out, *err;
    va_list ap;
    int argc = 1, code;

    va_start(ap, b);
    while (argc < ARGS_MAX && (argv[argc] = va_arg(ap, char *)) != NULL)
        argc++;
    va_end(ap);
    free(b->out);
    free(b->err);
    b->out = b->err = NULL;
    out = open_memstream(&b->out, &out_len);
    err = open_memstream(&b->err, &err_len);
    assert_true(out != NULL && err != NULL);
    code = cmd_run(&model_tool_tier, argc, argv, out, err);
    fclose(out);
    fclose(err);
    return code;
}

static void expect(struct bench *b, int code, int wanted, const char *word)
{
    if (code != wanted)
        fail_msg("code %d: %s%s", code, b->out, b->err);
    if (strstr(wanted == CTL_OK ? b->out : b->err, word) == NULL)
        fail_msg("\"%s\" is not in: %s%s", word, b->out, b->err);
}

/* The number behind "key": of the last command's JSON. */
static double number(const struct bench *b, const char *key)
{
    char quoted[64];
    const char *at;

    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(b->out, quoted);
    if (at == NULL)
        fail_msg("there is no %s in: %s", quoted, b->out);
    return strtod(at + strlen(quoted), NULL);
}

static void a_quantised_model_judges_as_the_first_one(void **state)
{
    struct bench *b = *state;

    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--inputs", "a,b,c", "-o", b->made, NULL),
           CTL_OK, "2 of 2 layers in int8, by 400 rows");
    assert_non_null(strstr(b->out, "SQNR DB"));
    expect(b,
           run(b, "quantize", b->model, "--calibrate", b->rows, "--inputs", "a,b,c", "-o", b->made, "--json",
               NULL),
           CTL_OK, "\"why\":null");
    assert_true(number(b, "integer_layers") == 2 && number(b, "rows") == 400 && number(b, "error") < 0.03);
    expect(b, run(b, "inspect", b->made, NULL), CTL_OK, "quantised_from");
    expect(b, run(b, "eval", b->model, b->rows, "--labels", "label", "--inputs", "a,b,c", "--json", NULL),
           CTL_OK, "\"threshold_from\":\"default\"");
    assert_true(number(b, "auc") == 1 && number(b, "f1") > 0.99);
    expect(b, run(b, "eval", b->made, b->rows, "--labels", "label", "--inputs", "a,b,c", "--json", NULL),
           CTL_OK, "\"score\":\"y\"");
    assert_true(number(b, "auc") > 0.999 && number(b, "f1") > 0.98);
    assert_int_equal(number(b, "tp") + number(b, "fp") + number(b, "tn") + number(b, "fn"), 400);
}

static void pruned_to_half_it_has_half_the_weights(void **state)
{
    struct bench *b = *state;
    char small[PATH_MAX];

    expect(b,
           run(b, "prune", b->model, "--to", "0.5", "--calibrate", b->rows, "--inputs", "a,b,c", "-o",
               b->made, "--json", NULL),
           CTL_OK, "\"kept\":2");
    assert_true(number(b, "weights_before") == 16 && number(b, "weights_after") == 8);
    assert_true(number(b, "relative") < 0.01);
    expect(b, run(b, "prune", b->model, "--to", "0.5", NULL), CTL_OK, "8 of 16 weights remain");
    assert_null(strstr(b->out, "WORST ERROR")); /* of no rows */
    snprintf(small, sizeof small, "%s", tmpdir_path(&b->dir, "wear.pruned.fogmodel"));
    expect(b, run(b, "quantize", small, "--calibrate", b->rows, "--inputs", "a,b,c", NULL), CTL_OK, "2 of 2");
    assert_int_equal(access(tmpdir_path(&b->dir, "wear.pruned.int8.fogmodel"), R_OK), 0);
}

static void labels_and_thresholds_are_as_said(void **state)
{
    struct bench *b = *state;
    char more[PATH_MAX], three[PATH_MAX];

    put_rows(b, "more.csv", 100, 2, more);
    expect(b,
           run(b, "eval", b->model, b->rows, more, "--inputs", "a,b,c", "--labels", "word", "--positive",
               "bad", "--threshold", "best", "--json", NULL),
           CTL_OK, "\"threshold_from\":\"best\"");
    assert_true(number(b, "rows") == 500 && number(b, "f1") == 1);
    expect(
        b,
        run(b, "eval", b->model, b->rows, "--inputs", "a,b,c", "--labels", "label", "--threshold", "2", NULL),
        CTL_OK, "missed      100.00 %");
    /* by hand: p of (1,0,0) and (0,0,0) are .88 and .5; the NaN and the absent label count for nothing */
    put(b, "three.csv", "a,b,c,label\n1,0,0,1\n0,0,0,0\n,0,0,1\n1,1,1,\n-1,0,0,1\n", three);
    expect(b, run(b, "eval", b->model, three, "--labels", "label", "--threshold", "0.6", "--json", NULL),
           CTL_OK, "\"threshold_from\":\"option\"");
    assert_true(number(b, "tp") == 1 && number(b, "fn") == 1 && number(b, "tn") == 1 && number(b, "fp") == 0);
    assert_true(number(b, "not_run") == 1 && number(b, "without_label") == 1);
    assert_float_equal(number(b, "auc"), 0.5, 1e-9);
}

static void the_error_of_an_autoencoder_is_a_score(void **state)
{
    static const float eye[4] = {1, 0, 0, 0}, zeros[2] = {0};
    struct bench *b = *state;
    char path[PATH_MAX], rows[PATH_MAX];
    struct net n;

    net_init(&n, 1); /* forgets the second number */
    net_input(&n, SHAPE(1, 2));
    net_dense(&n, 2, eye, zeros);
    put_model(b, "ae.fogmodel", &n, path);
    put(b, "two.csv", "a,b,label\n5,0,0\n-3,1,0\n0,2,1\n1,-4,1\n", rows);
    expect(b, run(b, "eval", path, rows, "--labels", "label", "--score", "error", "--json", NULL), CTL_OK,
           "\"score\":\"error\"");
    assert_true(number(b, "auc") == 1 && number(b, "f1") == 1 && number(b, "threshold") == 2);
    expect(b, run(b, "eval", path, rows, "--labels", "label", NULL), CTL_USAGE,
           "say which output is the score");
    expect(b, run(b, "eval", path, rows, "--labels", "label", "--score", "y.1", NULL), CTL_OK, "y.1 >= 0.5");
    expect(b, run(b, "eval", path, rows, "--labels", "label", "--score", "z", NULL), CTL_USAGE,
           "y.0, y.1, error");
    expect(
        b,
        run(b, "eval", b->model, b->rows, "--inputs", "a,b,c", "--labels", "label", "--score", "error", NULL),
        CTL_USAGE, "as many numbers as their one input");
}

static void what_cannot_be_is_said(void **state)
{
    struct bench *b = *state;
    char same[PATH_MAX], gaps[PATH_MAX], scaler[PATH_MAX];
    struct infer_node node = {.op = INFER_SCALER, .n_inputs = 3};
    struct net n;

    put(b, "same.csv", "a,b,c\n1,2,3\n1,2,3\n", same);
    put(b, "gaps.csv", "a,b,c\n1,,3\n,2,3\n", gaps);
    expect(b, run(b, "quantize", b->model, NULL), CTL_USAGE, "--calibrate");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, NULL), CTL_USAGE,
           "the model takes 3 columns");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--inputs", "a,b,d", NULL), CTL_USAGE,
           "there is no column d");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--inputs", "a,b,word", NULL), CTL_USAGE,
           "texts");
    expect(b, run(b, "quantize", b->model, "--calibrate", same, NULL), CTL_FAILED, "all rows are the same");
    expect(b, run(b, "quantize", b->model, "--calibrate", gaps, NULL), CTL_FAILED,
           "none of its 2 rows has a reading");
    expect(b, run(b, "quantize", b->model, "--calibrate", "/nowhere.csv", NULL), CTL_NOT_FOUND,
           "/nowhere.csv");
    expect(b, run(b, "quantize", b->rows, "--calibrate", b->rows, NULL), CTL_FAILED, "is no model file");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--ranges", "wide", NULL), CTL_USAGE,
           "none of best, mse, minmax, percentile");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--percentile", "99", NULL), CTL_USAGE,
           "goes with --ranges percentile");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--max-error", "-1", NULL), CTL_USAGE,
           "no percentage");
    expect(b, run(b, "quantize", b->model, "--calibrate", b->rows, "--same-decisions", "101", NULL),
           CTL_USAGE, "no percentage from 0 to 100");
    expect(b, run(b, "prune", b->model, NULL), CTL_USAGE, "--to 0.5");
    expect(b, run(b, "prune", b->model, "--to", "1", NULL), CTL_USAGE, "no share");
    expect(b, run(b, "prune", b->model, "--to", "0.01", NULL), CTL_FAILED, "cannot be reached");
    expect(b, run(b, "eval", b->model, b->rows, NULL), CTL_USAGE, "--labels COL");
    expect(b, run(b, "eval", b->model, b->rows, "--labels", "x", NULL), CTL_USAGE,
           "there are: a, b, c, label, word");
    expect(b, run(b, "eval", b->model, b->rows, "--labels", "word", NULL), CTL_USAGE, "--positive TEXT");
    expect(b, run(b, "eval", b->model, b->rows, "--labels", "label", "--positive", "x", NULL), CTL_USAGE,
           "is no number");
    expect(
        b,
        run(b, "eval", b->model, b->rows, "--inputs", "a,b,c", "--labels", "label", "--threshold", "x", NULL),
        CTL_USAGE, "neither a number nor best");
    net_init(&n, 1);
    net_input(&n, SHAPE(1, 3));
    node.inputs[1] = net_floats(&n, SHAPE(3), NULL);
    node.inputs[2] = net_floats(&n, SHAPE(3), NULL);
    net_node(&n, node);
    put_model(b, "scaler.fogmodel", &n, scaler);
    expect(b, run(b, "quantize", scaler, "--calibrate", b->rows, "--inputs", "a,b,c", NULL), CTL_OK,
           "0 of 0 layers in int8");
    assert_non_null(strstr(b->err, "no layer became int8: there is no Gemm"));
    expect(b, run(b, "prune", scaler, "--to", "0.5", NULL), CTL_FAILED, "nothing to prune");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_quantised_model_judges_as_the_first_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pruned_to_half_it_has_half_the_weights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(labels_and_thresholds_are_as_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_error_of_an_autoencoder_is_a_score, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_said, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
