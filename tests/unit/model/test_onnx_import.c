/* ONNX bytes written by hand: what is made of them, what is refused and how that is said. */
#include <stdio.h>

#include "unit/model/onnx_case.h"
#include "unit/model/onnx_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const int64_t none[1] = {0}, x_dims[] = {1, 4}, open_dims[] = {-1, 4}, w_dims[] = {4, 3},
                     m_dims[] = {3};
static const struct infer_limits limits = {0};

static void read_case(struct onnx_case *c, struct buf *graph, unsigned opset)
{
    struct errmsg err = {""};

    *c = (struct onnx_case){0};
    onnx_write_model(&c->bytes, graph, opset);
    if (onnx_model_read(span_of(c->bytes.data, c->bytes.len), &c->onnx, &err) != 0)
        fail_msg("%s", err.text);
}

static void import_case(struct onnx_case *c, struct buf *graph, unsigned opset)
{
    struct errmsg err = {""};

    read_case(c, graph, opset);
    if (onnx_case_import(c, (struct onnx_import_options){0}, &limits, NULL, NULL, &err) != 0)
        fail_msg("%s", err.text);
}

static void expect_refused(struct buf *graph, unsigned opset, const char *const *words)
{
    struct errmsg err = {""};
    struct onnx_case c;

    read_case(&c, graph, opset);
    assert_int_equal(onnx_case_import(&c, (struct onnx_import_options){0}, &limits, NULL, NULL, &err),
                     ONNX_CASE_REFUSED);
    for (; *words != NULL; words++)
        if (strstr(err.text, *words) == NULL)
            fail_msg("\"%s\" does not say %s", err.text, *words);
    onnx_case_close(&c);
}

#define EXPECT_REFUSED(graph, opset, ...)                                                                    \
    expect_refused(graph, opset, (const char *const[]){__VA_ARGS__, NULL})

static void relu_between(struct buf *g, const int64_t *dims)
{
    onnx_write_port(g, 11, "x", ONNX_FLOAT, dims, 2);
    onnx_write_node(g, "Relu", NULL, "x", "y", NULL);
    onnx_write_port(g, 12, "y", ONNX_FLOAT, dims, 2);
}

/* ---- what is refused ---- */

static void test_unknown_operator(void **state)
{
    struct buf g = {0};

    (void)state;
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x_dims, 2);
    onnx_write_node(&g, "Frob", "com.example", "x", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x_dims, 2);
    EXPECT_REFUSED(&g, 13, "node 0", "\"y\"", "Frob", "com.example", "replace");
}

/* A node that no output needs may be of any operator. */
static void test_needless_node(void **state)
{
    struct buf g = {0};
    struct onnx_case c;

    (void)state;
    relu_between(&g, x_dims);
    onnx_write_node(&g, "Frob", "com.example", "x", "z", NULL);
    import_case(&c, &g, 13);
    assert_int_equal(c.report.n_needless, 1);
    onnx_case_close(&c);
}

static void test_open_dimensions(void **state)
{
    static const int64_t inner[] = {2, -1};
    static const struct onnx_import_dim named = {"n", 7}, placed = {"x.1", 5};
    struct onnx_import_options options = {.dims = &named, .n_dims = 1};
    struct errmsg err = {""};
    struct buf g = {0};
    struct onnx_case c;
    const struct infer_graph *made;

    (void)state;
    relu_between(&g, inner);
    EXPECT_REFUSED(&g, 13, "dimension 1", "\"x\"", "--dim n=N");
    relu_between(&g, inner);
    read_case(&c, &g, 13);
    assert_int_equal(onnx_case_import(&c, options, &limits, NULL, NULL, &err), 0);
    made = infer_model_graph(c.model);
    assert_int_equal(made->tensors[made->inputs[0].tensor].shape.dim[1], 7);
    onnx_case_close(&c);
    options.dims = &placed;
    relu_between(&g, inner);
    read_case(&c, &g, 13);
    assert_int_equal(onnx_case_import(&c, options, &limits, NULL, NULL, &err), 0);
    made = infer_model_graph(c.model);
    assert_int_equal(made->tensors[made->inputs[0].tensor].shape.dim[1], 5);
    onnx_case_close(&c);
}

static void test_batch(void **state)
{
    struct onnx_import_options options = {.batch = 3};
    struct errmsg err = {""};
    struct buf g = {0};
    struct onnx_case c;
    const struct infer_graph *made;

    (void)state;
    relu_between(&g, open_dims);
    import_case(&c, &g, 13);
    made = infer_model_graph(c.model);
    assert_int_equal(made->tensors[made->inputs[0].tensor].shape.dim[0], 1);
    onnx_case_close(&c);
    relu_between(&g, open_dims);
    read_case(&c, &g, 13);
    assert_int_equal(onnx_case_import(&c, options, &limits, NULL, NULL, &err), 0);
    made = infer_model_graph(c.model);
    assert_int_equal(made->tensors[made->outputs[0].tensor].shape.dim[0], 3);
    onnx_case_close(&c);
}

static void test_outside_data(void **state)
{
    struct buf g = {0}, t = {0}, out = {0};
    struct onnx_model *m = NULL;
    struct errmsg err = {""};

    (void)state;
    relu_between(&g, x_dims);
    pb_number(&t, 1, 3);
    pb_number(&t, 2, ONNX_FLOAT);
    pb_text(&t, 8, "w");
    pb_text(&t, 13, "");
    pb_number(&t, 14, 1);
    pb_message(&g, 5, &t);
    onnx_write_model(&out, &g, 13);
    assert_int_equal(onnx_model_read(span_of(out.data, out.len), &m, &err), -EINVAL);
    assert_non_null(strstr(err.text, "\"w\""));
    assert_non_null(strstr(err.text, "external data"));
    buf_deinit(&out);
}

static void test_computed_shape(void **state)
{
    static const int64_t dims[] = {2};
    struct buf g = {0};

    (void)state;
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x_dims, 2);
    onnx_write_port(&g, 11, "s", ONNX_INT64, dims, 1);
    onnx_write_node(&g, "Reshape", NULL, "x s", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x_dims, 2);
    EXPECT_REFUSED(&g, 13, "Reshape", "\"s\"", "has to be a constant");
}

static void test_wrong_graphs(void **state)
{
    struct buf g = {0};

    (void)state;
    relu_between(&g, x_dims);
    EXPECT_REFUSED(&g, 99, "set 99", "1 to 25");
    relu_between(&g, x_dims);
    onnx_write_node(&g, "Tanh", NULL, "x", "y", NULL);
    EXPECT_REFUSED(&g, 13, "\"y\"", "was there before");
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x_dims, 2);
    onnx_write_node(&g, "Relu", NULL, "z", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x_dims, 2);
    EXPECT_REFUSED(&g, 13, "\"z\"", "given by nothing before it");
    onnx_write_port(&g, 11, "x", ONNX_FLOAT16, x_dims, 2);
    EXPECT_REFUSED(&g, 13, "\"x\"", "float16");
}

/* Every beginning of a model, and every byte of it changed. */
static void test_damaged(void **state)
{
    struct buf g = {0}, out = {0};
    unsigned n_read = 0;

    (void)state;
    onnx_write_floats(&g, "w", w_dims, 2, (const float[12]){1, 2, 3});
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x_dims, 2);
    onnx_write_node(&g, "MatMul", NULL, "x w", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x_dims, 2);
    onnx_write_model(&out, &g, 13);
    for (size_t i = 0; i <= 2 * out.len; i++) {
        size_t len = i <= out.len ? i : out.len;
        uint8_t *copy = malloc(len + 1);
        struct onnx_case c = {0};
        struct errmsg err;

        assert_non_null(copy);
        memcpy(copy, out.data, len);
        if (i > out.len)
            copy[i - out.len - 1] ^= 0xff;
        if (onnx_model_read(span_of(copy, len), &c.onnx, &err) == 0 &&
            onnx_case_import(&c, (struct onnx_import_options){0}, &limits, NULL, NULL, &err) == 0) {
            infer_model_run(c.model);
            n_read++;
        }
        onnx_case_close(&c);
        free(copy);
    }
    assert_true(n_read > 0);
    buf_deinit(&out);
}

/* ---- what becomes of it ---- */

static void test_norm_into_conv(void **state)
{
    static const int64_t x[] = {1, 1, 4}, w[] = {2, 1, 1}, c2[] = {2};
    struct buf g = {0};
    struct onnx_case c;
    float *in;
    const float *y;

    (void)state;
    onnx_write_floats(&g, "w", w, 3, (const float[]){2, 3});
    onnx_write_floats(&g, "scale", c2, 1, (const float[]){1, 0.5f});
    onnx_write_floats(&g, "bias", c2, 1, (const float[]){0, 10});
    onnx_write_floats(&g, "mean", c2, 1, (const float[]){1, 2});
    onnx_write_floats(&g, "variance", c2, 1, (const float[]){4, 1});
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x, 3);
    onnx_write_node(&g, "Conv", NULL, "x w", "t", NULL);
    onnx_write_node(&g, "BatchNormalization", NULL, "t scale bias mean variance", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x, 3);
    import_case(&c, &g, 13);
    assert_int_equal(infer_model_graph(c.model)->n_nodes, 1);
    in = infer_model_input(c.model, 0);
    in[0] = 5;
    infer_model_run(c.model);
    y = infer_model_output(c.model, 0);
    assert_true(fabsf(y[0] - (5 * 2 - 1) / 2.0f) < 1e-4f);
    assert_true(fabsf(y[4] - ((5 * 3 - 2) * 0.5f + 10)) < 1e-4f);
    onnx_case_close(&c);
}

/* Shapes that are computed from shapes are known when it is imported. */
static void test_shape_arithmetic(void **state)
{
    static const int64_t x[] = {2, 3, 4}, minus[] = {-1}, first[] = {0};
    static const int64_t one[] = {1};
    struct buf g = {0}, axis = {0};
    struct onnx_case c;
    const struct infer_graph *made;

    (void)state;
    onnx_write_int(&axis, "axis", 0);
    onnx_write_constant(&g, "minus", ONNX_INT64, one, 1, minus, sizeof minus);
    onnx_write_constant(&g, "first", ONNX_INT64, one, 1, first, sizeof first);
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x, 3);
    onnx_write_node(&g, "Shape", NULL, "x", "shape", NULL);
    onnx_write_node(&g, "Gather", NULL, "shape first", "n", NULL);
    onnx_write_node(&g, "Concat", NULL, "n minus", "to", &axis);
    onnx_write_node(&g, "Reshape", NULL, "x to", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x, 3);
    import_case(&c, &g, 13);
    made = infer_model_graph(c.model);
    assert_int_equal(made->n_nodes, 1);
    assert_int_equal(made->tensors[made->outputs[0].tensor].shape.dim[0], 2);
    assert_int_equal(made->tensors[made->outputs[0].tensor].shape.dim[1], 12);
    onnx_case_close(&c);
}

/* What is computed at once has a limit for all of it, so that a small file does not cost minutes: what is
 * beyond stays for the run. */
static void test_much_to_compute(void **state)
{
    enum { SIDE = 256, NODES = 20, AT_ONCE = 15 }; /* a little over 2^25 operations each, 2^29 in all */
    static const float zeros[SIDE * SIDE];
    static const int64_t dims[] = {SIDE, SIDE};
    struct buf g = {0};
    struct onnx_case c;

    (void)state;
    onnx_write_floats(&g, "w0", dims, 2, zeros);
    for (unsigned i = 0; i < NODES; i++) {
        char in[32], out[16];

        snprintf(in, sizeof in, "w%u w0", i);
        snprintf(out, sizeof out, "w%u", i + 1);
        onnx_write_node(&g, "MatMul", NULL, in, out, NULL);
    }
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, dims, 2);
    onnx_write_node(&g, "Add", NULL, "x w20", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, dims, 2);
    import_case(&c, &g, 13);
    assert_int_equal(infer_model_graph(c.model)->n_nodes, NODES - AT_ONCE + 1);
    onnx_case_close(&c);
}

/* A constant, an input and one value twice as outputs: each has a tensor of its own. */
static void test_outputs_of_their_own(void **state)
{
    struct buf g = {0};
    struct onnx_case c;
    float *in;

    (void)state;
    onnx_write_floats(&g, "w", m_dims, 1, (const float[]){1, 2, 3});
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x_dims, 2);
    onnx_write_node(&g, "Identity", NULL, "x", "same", NULL);
    onnx_write_node(&g, "Identity", NULL, "w", "fixed", NULL);
    onnx_write_port(&g, 12, "same", ONNX_FLOAT, x_dims, 2);
    onnx_write_port(&g, 12, "fixed", ONNX_FLOAT, m_dims, 1);
    import_case(&c, &g, 13);
    in = infer_model_input(c.model, 0);
    in[3] = 4;
    infer_model_run(c.model);
    assert_true(((const float *)infer_model_output(c.model, 0))[3] == 4);
    assert_true(((const float *)infer_model_output(c.model, 1))[2] == 3);
    onnx_case_close(&c);
}

/* Quantize, Dequantize, MatMul, Add, Relu, Quantize, Dequantize. `open`: the sum is an output too, so that
 * nothing can be taken together. */
static void quantised_layer(struct onnx_case *c, int type, bool open)
{
    static const uint8_t unsigned_zero = 131;
    static const int8_t signed_zero = 3, w[12] = {1, -2, 127, -127, 5, 60, -70, 8, 9, 100, -11, 12},
                        w_zero = 0;
    const void *zero = type == ONNX_UINT8 ? (const void *)&unsigned_zero : (const void *)&signed_zero;
    struct buf g = {0};

    onnx_write_floats(&g, "s", none, 0, (const float[]){0.05f});
    onnx_write_floats(&g, "sw", none, 0, (const float[]){0.01f});
    onnx_write_constant(&g, "z", type, none, 0, zero, 1);
    onnx_write_constant(&g, "zw", ONNX_INT8, none, 0, &w_zero, 1);
    onnx_write_constant(&g, "w", ONNX_INT8, w_dims, 2, w, sizeof w);
    onnx_write_floats(&g, "b", m_dims, 1, (const float[]){0.5f, -0.25f, 1});
    onnx_write_port(&g, 11, "x", ONNX_FLOAT, x_dims, 2);
    onnx_write_node(&g, "QuantizeLinear", NULL, "x s z", "xq", NULL);
    onnx_write_node(&g, "DequantizeLinear", NULL, "xq s z", "xf", NULL);
    onnx_write_node(&g, "DequantizeLinear", NULL, "w sw zw", "wf", NULL);
    onnx_write_node(&g, "MatMul", NULL, "xf wf", "p", NULL);
    onnx_write_node(&g, "Add", NULL, "p b", "sum", NULL);
    onnx_write_node(&g, "Relu", NULL, "sum", "r", NULL);
    onnx_write_node(&g, "QuantizeLinear", NULL, "r s z", "yq", NULL);
    onnx_write_node(&g, "DequantizeLinear", NULL, "yq s z", "y", NULL);
    onnx_write_port(&g, 12, "y", ONNX_FLOAT, x_dims, 2);
    if (open)
        onnx_write_port(&g, 12, "p", ONNX_FLOAT, x_dims, 2);
    import_case(c, &g, 13);
}

static void test_quantised_layer(void **state)
{
    (void)state;
    for (int type = ONNX_UINT8; type <= ONNX_INT8; type++) {
        struct onnx_case together, apart;

        quantised_layer(&together, type, false);
        quantised_layer(&apart, type, true);
        assert_int_equal(together.report.n_dense_i8, 1);
        assert_true(infer_model_graph(together.model)->n_nodes < infer_model_graph(apart.model)->n_nodes);
        for (unsigned i = 0; i < 500; i++) {
            for (unsigned k = 0; k < 4; k++)
                ((float *)infer_model_input(together.model, 0))[k] =
                    ((float *)infer_model_input(apart.model, 0))[k] =
                        (float)((i * 37 + k * 101) % 257) / 20 - 6.4f;
            infer_model_run(together.model);
            infer_model_run(apart.model);
            for (unsigned m = 0; m < 3; m++) {
                float a = ((const float *)infer_model_output(together.model, 0))[m];
                float b = ((const float *)infer_model_output(apart.model, 0))[m];

                /* The bias is rounded to the scale of the sums, so a value between two steps may take the
                 * other. */
                assert_true(a >= 0 && fabsf(a - b) < 0.0501f);
            }
        }
        onnx_case_close(&together);
        onnx_case_close(&apart);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_operator), cmocka_unit_test(test_needless_node),
        cmocka_unit_test(test_open_dimensions),  cmocka_unit_test(test_batch),
        cmocka_unit_test(test_outside_data),     cmocka_unit_test(test_computed_shape),
        cmocka_unit_test(test_wrong_graphs),     cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_norm_into_conv),   cmocka_unit_test(test_shape_arithmetic),
        cmocka_unit_test(test_much_to_compute),  cmocka_unit_test(test_outputs_of_their_own),
        cmocka_unit_test(test_quantised_layer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
