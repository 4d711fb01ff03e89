#include "unit/infer/sample_model.h"

#include "unit/infer/run_op.h"

#include <assert.h>
#include <stdlib.h>

static const float weights[6] = {1, 0.5f, 0.5f, 2, 1, -1}, bias[2] = {1, 0.25f};

struct infer_build *sample_model_build(void)
{
    struct infer_build *b = infer_build_new();
    struct infer_node gemm = {
        .op = INFER_GEMM, .n_inputs = 3, .n_outputs = 1, .ints = {0, 1}, .floats = {1, 1}};
    struct infer_node relu = {.op = INFER_RELU, .n_inputs = 1, .n_outputs = 1};
    struct infer_node add = {.op = INFER_ADD, .n_inputs = 2, .n_outputs = 1};
    struct infer_node reshape = {.op = INFER_RESHAPE, .n_inputs = 1, .n_outputs = 1, .ints = {1, 2}};
    uint16_t t, y;
    struct errmsg err;
    int r = 0;

    assert(b != NULL);
    r |= infer_build_constant(b, INFER_F32, &SHAPE(5), (const float[5]){0}, &t, &err);
    r |= infer_build_input(b, "x", INFER_F32, &SHAPE(1, 3), &gemm.inputs[0], &err);
    r |= infer_build_constant(b, INFER_F32, &SHAPE(2, 3), weights, &gemm.inputs[1], &err);
    r |= infer_build_constant(b, INFER_F32, &SHAPE(2), bias, &gemm.inputs[2], &err);
    r |= infer_build_node(b, &gemm, &t, &err);
    relu.inputs[0] = t;
    r |= infer_build_node(b, &relu, &y, &err);
    r |= infer_build_node(b, &relu, &t, &err);
    add.inputs[0] = add.inputs[1] = y;
    r |= infer_build_node(b, &add, &reshape.inputs[0], &err);
    r |= infer_build_node(b, &reshape, &t, &err);
    r |= infer_build_output(b, "y", y, &err);
    r |= infer_build_output(b, "z", t, &err);
    r |= infer_build_text(b, "name", "sample", &err);
    r |= infer_build_text(b, "labels", "low,high", &err);
    r |= infer_build_recipe(b, span_str("recipe"), &err);
    assert(r == 0);
    return b;
}

void sample_model_write(struct buf *out)
{
    struct infer_build *b = sample_model_build();
    struct errmsg err;
    int r = infer_build_write(b, out, &err);

    assert(r == 0);
    infer_build_free(b);
}

struct span sample_model_aligned(struct span bytes)
{
    void *copy = NULL;
    int r = posix_memalign(&copy, 64, bytes.len > 0 ? bytes.len : 1);

    assert(r == 0);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return span_of(copy, bytes.len);
}
