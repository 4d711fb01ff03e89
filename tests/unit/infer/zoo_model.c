#include "unit/infer/zoo_model.h"

#include "infer/model_format.h"
#include "unit/infer/run_op.h"

#include <assert.h>
#include <stdio.h>

static struct infer_build *b;

#define INTS(...) ((const int32_t[INFER_NODE_INTS_MAX]){__VA_ARGS__})
#define FLOATS(...) ((const float[INFER_NODE_FLOATS_MAX]){__VA_ARGS__})
#define NO_FLOATS FLOATS(0)
#define TO(...) ((const uint16_t[]){__VA_ARGS__}), sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t)
#define CONSTANT(type, shape, ...) constant(type, shape, (__VA_ARGS__))

static uint16_t constant(enum infer_type type, struct infer_shape shape, const void *values)
{
    struct errmsg err;
    uint16_t t = INFER_NONE;
    int r = infer_build_constant(b, type, &shape, values, &t, &err);

    assert(r == 0);
    return t;
}

/* With up to three outputs: the number of the first; the others follow it. */
static uint16_t node(enum infer_op op, const uint16_t *inputs, size_t n_inputs, size_t n_outputs,
                     const int32_t *ints, const float *floats)
{
    struct infer_node n = {
        .op = (uint16_t)op, .n_inputs = (uint8_t)n_inputs, .n_outputs = (uint8_t)n_outputs};
    uint16_t outputs[INFER_NODE_OUTPUTS_MAX];
    struct errmsg err = {{0}};
    int r;

    memcpy(n.inputs, inputs, n_inputs * sizeof n.inputs[0]);
    memcpy(n.ints, ints, sizeof n.ints);
    memcpy(n.floats, floats, sizeof n.floats);
    r = infer_build_node(b, &n, outputs, &err);
    if (r != 0)
        fprintf(stderr, "%s\n", err.text);
    assert(r == 0);
    return outputs[0];
}

static uint16_t one(enum infer_op op, uint16_t x)
{
    return node(op, &x, 1, 1, INTS(0), FLOATS(0.5f, 0.25f));
}

static void output(const char *name, uint16_t tensor)
{
    struct errmsg err;
    int r = infer_build_output(b, name, tensor, &err);

    assert(r == 0);
}

/* x: F32 [1,2,8] -> F32 [1,3,4] */
static uint16_t convolutions(uint16_t x)
{
    uint16_t w = CONSTANT(INFER_F32, SHAPE(3, 2, 3),
                          (const float[]){1, -1, 0.5f, 0, 1, 2, -1, 0.25f, 1, 1, 1, 1, 0, 0, 2, -2, 1, 0});
    uint16_t bias = CONSTANT(INFER_F32, SHAPE(3), (const float[]){0.5f, -0.5f, 0});
    uint16_t ones = CONSTANT(INFER_F32, SHAPE(3), (const float[]){1, 1, 2});
    uint16_t y = node(INFER_CONV, TO(x, w, bias), 1, INTS(1, 1, 1, [5] = 1, [8] = 1, [11] = 1), NO_FLOATS);
    uint16_t back;

    y = node(INFER_BATCH_NORM, TO(y, ones, bias, bias, ones), 1, INTS(0), FLOATS(1e-5f));
    y = one(INFER_RELU, y);
    y = node(INFER_MAX_POOL, TO(y), 1, INTS(0, 1, 2, [5] = 1, [17] = 2), NO_FLOATS);
    w = CONSTANT(INFER_F32, SHAPE(3, 1, 2), (const float[]){1, 2, 3, -1, 0, 1});
    back = node(INFER_CONV_TRANSPOSE, TO(y, w), 1, INTS(1, 1, 2, [5] = 1), NO_FLOATS);
    back = node(INFER_AVERAGE_POOL, TO(back), 1,
                INTS(0, 1, 2, [5] = 1, [8] = 1, [11] = 1, [17] = 2, [20] = 1), NO_FLOATS);
    output("pooled", back);
    output("means", one(INFER_GLOBAL_AVERAGE_POOL, y));
    output("greatest", one(INFER_GLOBAL_MAX_POOL, y));
    return y;
}

static void elements(uint16_t x)
{
    static const uint8_t ops[] = {INFER_LEAKY_RELU,   INFER_SIGMOID,  INFER_TANH, INFER_ELU,  INFER_SELU,
                                  INFER_HARD_SIGMOID, INFER_SOFTPLUS, INFER_ABS,  INFER_SQRT, INFER_EXP,
                                  INFER_NEG,          INFER_EXP,      INFER_LOG};
    uint16_t low = CONSTANT(INFER_F32, SHAPE(), (const float[]){-2}),
             high = CONSTANT(INFER_F32, SHAPE(), (const float[]){2});
    uint16_t row = CONSTANT(INFER_F32, SHAPE(4), (const float[]){1, -2, 3, 0.5f}), y = x;

    for (size_t i = 0; i < sizeof ops; i++)
        y = one((enum infer_op)ops[i], y);
    y = node(INFER_ADD, TO(y, row), 1, INTS(0), NO_FLOATS);
    y = node(INFER_MUL, TO(row, y), 1, INTS(0), NO_FLOATS);
    y = node(INFER_PRELU, TO(y, row), 1, INTS(0), NO_FLOATS);
    y = node(INFER_CLIP, TO(y, low, high), 1, INTS(0), NO_FLOATS);
    y = node(INFER_MAX,
             TO(node(INFER_SUB, TO(y, x), 1, INTS(0), NO_FLOATS),
                node(INFER_DIV, TO(y, row), 1, INTS(0), NO_FLOATS)),
             1, INTS(0), NO_FLOATS);
    y = node(INFER_MIN, TO(y, row), 1, INTS(0), NO_FLOATS);
    output("softmax", node(INFER_SOFTMAX, TO(y), 1, INTS(1), NO_FLOATS));
    output("log-softmax", node(INFER_LOG_SOFTMAX, TO(y), 1, INTS(2), NO_FLOATS));
    output("sum", node(INFER_REDUCE_SUM, TO(y), 1, INTS(6, 1), NO_FLOATS));
    output("mean", node(INFER_REDUCE_MEAN, TO(y), 1, INTS(4, 0), NO_FLOATS));
    output("max", node(INFER_REDUCE_MAX, TO(y), 1, INTS(2, 0), NO_FLOATS));
    output("arg-max", node(INFER_ARG_MAX, TO(y), 1, INTS(2, 0), NO_FLOATS));
}

static void shapes(uint16_t x, uint16_t k)
{
    uint16_t y = node(INFER_TRANSPOSE, TO(x), 1, INTS(2, 0, 1), NO_FLOATS), sliced;

    sliced = node(INFER_SLICE, TO(y), 1, INTS(3, 0, 1, 0, 0, 0, -1, 1, -1, 1, 1, 1, 2, 1, 2), NO_FLOATS);
    y = node(INFER_CONCAT, TO(y, sliced), 1, INTS(0), NO_FLOATS);
    output("x", y);
    output("gathered", node(INFER_GATHER, TO(x, k), 1, INTS(2), NO_FLOATS));
}

static void integers(uint16_t flat)
{
    uint16_t scale = CONSTANT(INFER_F32, SHAPE(), (const float[]){0.05f}),
             zero = CONSTANT(INFER_I8, SHAPE(), (const int8_t[]){3});
    uint16_t w =
        CONSTANT(INFER_I8, SHAPE(2, 12), (const int8_t[]){1,   -2, 3,    -4, 5, -6, 7,  -8, 9,  -10, 11, -12,
                                                          127, 0,  -127, 1,  1, 1,  -1, -1, -1, 64,  32, 16});
    uint16_t bias = CONSTANT(INFER_I32, SHAPE(2), (const int32_t[]){100, -100}),
             multiplier = CONSTANT(INFER_F32, SHAPE(2), (const float[]){0.02f, 0.005f});
    uint16_t w3 =
        CONSTANT(INFER_I8, SHAPE(2, 2, 3), (const int8_t[]){1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12});
    uint16_t q = node(INFER_QUANTIZE, TO(flat, scale, zero), 1, INTS(0, 0, INFER_I8), NO_FLOATS), y, rows, d,
             wt;
    int8_t lut[256];

    for (int i = 0; i < 256; i++)
        lut[i] = (int8_t)(i / 2 - 64);
    output("dense",
           node(INFER_DENSE_I8, TO(q, w, bias, multiplier), 1, INTS([22] = -5, [23] = -5), NO_FLOATS));
    y = node(INFER_DENSE_I8, TO(q, w, bias, multiplier), 1, INTS(0), FLOATS(1));
    output("dense-float", y);
    rows = node(INFER_RESHAPE, TO(q), 1, INTS(3, 1, 4, 3), NO_FLOATS);
    y = node(INFER_CONV1D_I8, TO(rows, w3, bias, multiplier), 1, INTS(1, 1, 1, 0, 3, [22] = 1, [23] = -128),
             NO_FLOATS);
    y = node(INFER_LUT8, TO(y, constant(INFER_I8, SHAPE(256), lut)), 1, INTS(0), NO_FLOATS);
    output("conv-bytes", y);
    output("dequantised", node(INFER_DEQUANTIZE, TO(y, scale, zero), 1, INTS(0), NO_FLOATS));
    d = node(INFER_DYNAMIC_QUANTIZE, TO(flat), 3, INTS(0), NO_FLOATS);
    wt = node(INFER_TRANSPOSE, TO(w), 1, INTS(1, 0), NO_FLOATS);
    output("matmul-integer",
           node(INFER_MATMUL_INTEGER, TO(d, wt, (uint16_t)(d + 2), zero), 1, INTS(0), NO_FLOATS));
    output("qlinear-matmul", node(INFER_QLINEAR_MATMUL, TO(q, scale, zero, wt, scale, zero, scale, zero), 1,
                                  INTS(0), NO_FLOATS));
    rows = node(INFER_TRANSPOSE, TO(rows), 1, INTS(0, 2, 1), NO_FLOATS);
    w3 = node(INFER_TRANSPOSE, TO(w3), 1, INTS(0, 2, 1), NO_FLOATS);
    output("conv-integer",
           node(INFER_CONV_INTEGER, TO(rows, w3, zero), 1, INTS(1, 1, 1, [5] = 1), NO_FLOATS));
    output("qlinear-conv", node(INFER_QLINEAR_CONV, TO(rows, scale, zero, w3, scale, zero, scale, zero, bias),
                                1, INTS(1, 1, 2, [5] = 1, [8] = 1), NO_FLOATS));
}

/* flat: F32 [1,12] */
static void learners(uint16_t flat, uint16_t k)
{
    static const char texts[3][INFER_TEXT_BYTES] = {"low", "high", "unknown"};
    uint16_t w =
        CONSTANT(INFER_F32, SHAPE(2, 12), (const float[24]){1, 2, -1, 0, 0.5f, [12] = -1, 1, -1, [20] = 3});
    uint16_t bias = CONSTANT(INFER_F32, SHAPE(2), (const float[]){0.1f, -0.1f}),
             one_value = CONSTANT(INFER_F32, SHAPE(1), (const float[]){0.5f});
    uint16_t labels = CONSTANT(INFER_I64, SHAPE(2), (const int64_t[]){10, 20}), trees[12], y, scores;
    uint16_t names = constant(INFER_TEXT, SHAPE(2), texts),
             unknown = constant(INFER_TEXT, SHAPE(1), texts[2]);

    output("gemm", node(INFER_GEMM, TO(flat, w, bias), 1, INTS(0, 1), FLOATS(1, 1)));
    output("matmul", node(INFER_MATMUL, TO(w, node(INFER_TRANSPOSE, TO(flat), 1, INTS(1, 0), NO_FLOATS)), 1,
                          INTS(0), NO_FLOATS));
    y = node(INFER_SCALER, TO(flat, one_value, one_value), 1, INTS(0), NO_FLOATS);
    y = node(INFER_IMPUTER, TO(y, one_value, one_value), 1, INTS(0), NO_FLOATS);
    y = node(INFER_NORMALIZER, TO(y), 1, INTS(2), NO_FLOATS);
    scores = node(INFER_LINEAR, TO(y, w, bias), 1, INTS(INFER_POST_LOGISTIC), NO_FLOATS);
    y = node(INFER_CLASSIFY, TO(scores, labels), 2, INTS(0, INFER_POST_SOFTMAX), NO_FLOATS);
    output("label", node(INFER_LABEL, TO(y, labels, names, unknown), 1, INTS(0), NO_FLOATS));
    output("scores", (uint16_t)(y + 1));
    output("names", node(INFER_LABEL, TO(k, labels, names, unknown), 1, INTS(0), NO_FLOATS));
    trees[0] = flat;
    trees[1] = CONSTANT(INFER_I32, SHAPE(2), (const int32_t[]){0, 2});
    trees[2] = CONSTANT(INFER_I32, SHAPE(3), (const int32_t[]){0, 3, 11});
    trees[3] = CONSTANT(INFER_F32, SHAPE(3), (const float[]){0.5f, 1, 0});
    trees[4] = CONSTANT(INFER_I8, SHAPE(3), (const int8_t[]){INFER_LEQ, INFER_LT, INFER_GT});
    trees[5] = CONSTANT(INFER_I32, SHAPE(3), (const int32_t[]){1, -1, -3});
    trees[6] = CONSTANT(INFER_I32, SHAPE(3), (const int32_t[]){-2, -2, -1});
    trees[7] = CONSTANT(INFER_I8, SHAPE(3), (const int8_t[]){0, 1, 0});
    trees[8] = CONSTANT(INFER_I32, SHAPE(4), (const int32_t[]){0, 1, 2, 4});
    trees[9] = CONSTANT(INFER_I32, SHAPE(4), (const int32_t[]){0, 1, 0, 1});
    trees[10] = CONSTANT(INFER_F32, SHAPE(4), (const float[]){1, 2, 0.25f, -0.5f});
    trees[11] = CONSTANT(INFER_F32, SHAPE(2), (const float[]){0.125f, 0});
    output("trees", node(INFER_TREES, trees, 12, 1, INTS(2, 1, INFER_POST_NONE), NO_FLOATS));
    output("binary", node(INFER_BINARIZER, TO(flat), 1, INTS(0), FLOATS(0.5f)));
    output("cast", node(INFER_CAST, TO(flat), 1, INTS(INFER_I32), NO_FLOATS));
}

void zoo_model_write(struct buf *out)
{
    uint16_t x, k, y, flat, padded, value;
    struct errmsg err;
    int r;

    b = infer_build_new();
    assert(b != NULL);
    r = infer_build_input(b, "x", INFER_F32, &SHAPE(1, 2, 8), &x, &err);
    r |= infer_build_input(b, "k", INFER_I64, &SHAPE(2), &k, &err);
    r |= infer_build_text(b, "name", "zoo", &err);
    r |= infer_build_text(b, "version", "1", &err);
    r |= infer_build_recipe(b, span_str("a recipe"), &err);
    assert(r == 0);
    y = convolutions(x);
    elements(y);
    shapes(x, k);
    flat = node(INFER_RESHAPE, TO(y), 1, INTS(2, 1, 12), NO_FLOATS);
    integers(flat);
    learners(flat, k);
    value = CONSTANT(INFER_F32, SHAPE(), (const float[]){9});
    padded = node(INFER_PAD, TO(x, value), 1, INTS(0, 0, 1, 0, [7] = 0, [9] = 1), NO_FLOATS);
    output("padded", padded);
    r = infer_build_write(b, out, &err);
    assert(r == 0);
    infer_build_free(b);
}

void zoo_model_seal(uint8_t *data, size_t len)
{
    uint64_t body = len;

    if (len < MODEL_HEADER_BYTES + MODEL_CHECKSUM_BYTES)
        return;
    if (len > MODEL_TRAILER_BYTES && memcmp(data + len - MODEL_TRAILER_BYTES, MODEL_SIGNATURE_MAGIC,
                                            sizeof MODEL_SIGNATURE_MAGIC - 1) == 0)
        body -= MODEL_TRAILER_BYTES;
    if (body < MODEL_HEADER_BYTES + MODEL_CHECKSUM_BYTES)
        return;
    store_le64(data + 16, body);
    model_hash(data, (size_t)body - MODEL_CHECKSUM_BYTES, data + body - MODEL_CHECKSUM_BYTES);
}
