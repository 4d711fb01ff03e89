/* The layers as a model file. */
#include "infer_models.h"

#include "base/cleanup.h"
#include "infer/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A graph that grows at its end; the first error stays. */
struct chain {
    struct infer_build *build;
    uint16_t at; /* the tensor at the end */
    int r;
    struct errmsg *err;
};

#define SHAPE(...)                                                                                           \
    ((struct infer_shape){.rank = sizeof((uint32_t[]){0, ##__VA_ARGS__}) / sizeof(uint32_t) - 1,             \
                          .dim = {__VA_ARGS__}})

static uint16_t constant(struct chain *c, enum infer_type type, struct infer_shape shape, const void *data)
{
    uint16_t tensor = INFER_NONE;

    if (c->r == 0)
        c->r = infer_build_constant(c->build, type, &shape, data, &tensor, c->err);
    return tensor;
}

/* A node on the end and some constants. */
static void on(struct chain *c, struct infer_node node)
{
    node.inputs[0] = c->at;
    node.n_outputs = 1;
    if (c->r == 0)
        c->r = infer_build_node(c->build, &node, &c->at, c->err);
}

static void on_relu(struct chain *c, const struct layer *l)
{
    if (l->relu)
        on(c, (struct infer_node){.op = INFER_RELU, .n_inputs = 1});
}

static void on_gemm(struct chain *c, const struct layer *l)
{
    uint16_t w = constant(c, INFER_F32, SHAPE(l->outputs, l->channels), l->w);
    uint16_t bias = constant(c, INFER_F32, SHAPE(l->outputs), l->bias);

    on(c, (struct infer_node){
              .op = INFER_GEMM, .n_inputs = 3, .inputs = {0, w, bias}, .ints = {[1] = 1}, .floats = {1, 1}});
    on_relu(c, l);
}

static void on_conv(struct chain *c, const struct layer *l)
{
    bool transposed = l->kind == LAYER_TRANSPOSED;
    uint16_t w = constant(
        c, INFER_F32,
        SHAPE(transposed ? l->channels : l->outputs, transposed ? l->outputs : l->channels, l->kernel), l->w);
    uint16_t bias = constant(c, INFER_F32, SHAPE(l->outputs), l->bias);

    on(c, (struct infer_node){.op = transposed ? INFER_CONV_TRANSPOSE : INFER_CONV,
                              .n_inputs = 3,
                              .inputs = {0, w, bias},
                              .ints = {[0] = 1,
                                       [1] = 1,
                                       [2] = (int32_t)l->stride,
                                       [5] = 1,
                                       [8] = (int32_t)l->pad_begin,
                                       [11] = (int32_t)l->pad_end}});
    on_relu(c, l);
}

/* Over positions that are dimension `axis`. */
static void on_mean(struct chain *c, int32_t axis)
{
    on(c, (struct infer_node){.op = INFER_REDUCE_MEAN, .n_inputs = 1, .ints = {1 << axis, 0}});
}

static void on_scale(struct chain *c, enum infer_op op, struct affine a)
{
    uint16_t scale = constant(c, INFER_F32, SHAPE(), &a.scale);
    uint16_t zero = constant(c, INFER_I8, SHAPE(), &a.zero);

    on(c, (struct infer_node){
              .op = (uint16_t)op, .n_inputs = 3, .inputs = {0, scale, zero}, .ints = {[2] = INFER_I8}});
}

/* Channels last: [outputs][kernel][channels]. */
static void turn(const struct layer *l, const int8_t *w, int8_t *to)
{
    for (size_t m = 0; m < l->outputs; m++)
        for (size_t k = 0; k < l->kernel; k++)
            for (size_t c = 0; c < l->channels; c++)
                *to++ = w[(m * l->channels + c) * l->kernel + k];
}

/* Dense or convolution; `last`: floats come out. */
static void on_int8(struct chain *c, const struct layer *l, bool last)
{
    size_t n = layer_weights(l), per = n / l->outputs;
    owned(free_ptr) int8_t *w = malloc(2 * n);
    owned(free_ptr) float *multiplier = malloc(l->outputs * sizeof *multiplier);
    owned(free_ptr) int32_t *bias = malloc(l->outputs * sizeof *bias);
    struct infer_node node = {.op = INFER_DENSE_I8, .n_inputs = 4};

    if (w == NULL || multiplier == NULL || bias == NULL) {
        c->r = -ENOMEM;
        return;
    }
    layer_quantize(l, w, multiplier, bias);
    for (size_t m = 0; m < l->outputs; m++) {
        for (size_t i = 0; i < per; i++)
            bias[m] -= l->in.zero * w[m * per + i];
        multiplier[m] *= last ? l->in.scale : l->in.scale / l->out.scale;
    }
    node.ints[22] = l->out.zero;
    node.ints[23] = INT8_MIN;
    node.floats[0] = last;
    if (l->kind == LAYER_CONV) {
        turn(l, w, w + n);
        node.op = INFER_CONV1D_I8;
        node.ints[0] = (int32_t)l->stride;
        node.ints[1] = 1;
        node.ints[2] = (int32_t)l->pad_begin;
        node.ints[3] = (int32_t)l->pad_end;
        node.ints[4] = l->in.zero;
        node.inputs[1] = constant(c, INFER_I8, SHAPE(l->outputs, l->kernel, l->channels), w + n);
    } else {
        node.inputs[1] = constant(c, INFER_I8, SHAPE(l->outputs, l->channels), w);
    }
    node.inputs[2] = constant(c, INFER_I32, SHAPE(l->outputs), bias);
    node.inputs[3] = constant(c, INFER_F32, SHAPE(l->outputs), multiplier);
    on(c, node);
}

static void put_f32(struct chain *c, const struct bench_model *m)
{
    for (size_t i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->layers[i];

        if (l->kind == LAYER_DENSE)
            on_gemm(c, l);
        else if (l->kind == LAYER_MEAN)
            on_mean(c, 2);
        else
            on_conv(c, l);
    }
}

/* In bytes as long as it goes; what is behind the mean is float32. */
static void put_int8(struct chain *c, const struct bench_model *m)
{
    bool is_float = false;

    on_scale(c, INFER_QUANTIZE, m->layers[0].in);
    if (m->length > 1)
        on(c, (struct infer_node){.op = INFER_TRANSPOSE, .n_inputs = 1, .ints = {0, 2, 1}});
    for (size_t i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->layers[i];

        if (l->kind == LAYER_MEAN) {
            on_scale(c, INFER_DEQUANTIZE, l->in);
            on_mean(c, 1);
            is_float = true;
        } else if (is_float) {
            on_gemm(c, l);
        } else {
            on_int8(c, l, i + 1 == m->n_layers);
        }
    }
}

static void build_free(struct infer_build **b)
{
    infer_build_free(*b);
}

int bench_model_ours(const struct bench_model *m, enum bench_form form, struct buf *ret_file,
                     struct errmsg *err)
{
    owned(build_free) struct infer_build *b = NULL;
    struct infer_shape shape = m->length == 1 ? SHAPE(1, m->channels) : SHAPE(1, m->channels, m->length);
    struct chain c = {.err = err};

    if (m->forest != NULL)
        return forest_ours(m->forest, form, ret_file, err);
    if (form == FORM_SMALL)
        for (size_t i = 0; i < m->n_layers; i++)
            if (m->layers[i].kind == LAYER_TRANSPOSED)
                return errmsg_set(err, -EINVAL, "%s: no transposed convolution in int8", m->name);
    c.build = b = infer_build_new();
    if (b == NULL)
        return -ENOMEM;
    c.r = infer_build_input(b, "x", INFER_F32, &shape, &c.at, err);
    if (form == FORM_F32)
        put_f32(&c, m);
    else
        put_int8(&c, m);
    if (c.r == 0)
        c.r = infer_build_output(b, "y", c.at, err);
    if (c.r == 0)
        c.r = infer_build_write(b, ret_file, err);
    return c.r;
}
