/* The layers in ONNX: float32, or the same with a QuantizeLinear and DequantizeLinear around each tensor. */
#include "infer_models.h"
#include "infer_onnx.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME = 32 };

struct names {
    char at[NAME]; /* the tensor at the end of the chain */
    size_t n;
    bool ends; /* the next node is the last one */
};

/* Puts a node on the end; `more`: names of constants. */
static void on(struct onnx_writer *w, struct names *names, const char *op, const char *more,
               const struct onnx_attribute *attributes, size_t n_attributes)
{
    char inputs[8 * NAME], output[NAME];

    snprintf(inputs, sizeof inputs, "%s%s", names->at, more);
    snprintf(output, sizeof output, names->ends ? "y" : "t%zu", names->n++);
    onnx_node(w, op, inputs, output, attributes, n_attributes);
    snprintf(names->at, sizeof names->at, "%s", output);
}

static void put_affine(struct onnx_writer *w, const char *name, struct affine a)
{
    char text[2 * NAME];

    snprintf(text, sizeof text, "%s_scale", name);
    onnx_constant(w, text, ONNX_F32, 0, NULL, &a.scale);
    snprintf(text, sizeof text, "%s_zero", name);
    onnx_constant(w, text, ONNX_I8, 0, NULL, &a.zero);
}

/* To bytes and back. */
static void round_trip(struct onnx_writer *w, struct names *names, struct affine a)
{
    char name[NAME], more[8 * NAME];

    snprintf(name, sizeof name, "q%zu", names->n);
    put_affine(w, name, a);
    snprintf(more, sizeof more, " %s_scale %s_zero", name, name);
    on(w, names, "QuantizeLinear", more, NULL, 0);
    on(w, names, "DequantizeLinear", more, NULL, 0);
}

static void put_floats(struct onnx_writer *w, const struct layer *l, const char *name, size_t rank,
                       const int64_t *shape)
{
    const int64_t m = l->outputs;
    char text[2 * NAME];

    onnx_constant(w, name, ONNX_F32, rank, shape, l->w);
    snprintf(text, sizeof text, "%s_bias", name);
    onnx_constant(w, text, ONNX_F32, 1, &m, l->bias);
}

/* Weights and bias as integers with a DequantizeLinear each. */
static int put_integers(struct onnx_writer *w, const struct layer *l, const char *name, size_t rank,
                        const int64_t *shape)
{
    static const int64_t zero = 0;
    const struct onnx_attribute axis = {"axis", ONNX_INT, .ints = &zero};
    const int64_t m = l->outputs;
    owned(free_ptr) int8_t *bytes = malloc(layer_weights(l));
    owned(free_ptr) float *scale = malloc(l->outputs * sizeof *scale);
    owned(free_ptr) int32_t *bias = malloc(l->outputs * sizeof *bias);
    char text[2 * NAME], inputs[8 * NAME];

    if (bytes == NULL || scale == NULL || bias == NULL)
        return -ENOMEM;
    layer_quantize(l, bytes, scale, bias);
    snprintf(text, sizeof text, "%s_int", name);
    onnx_constant(w, text, ONNX_I8, rank, shape, bytes);
    snprintf(text, sizeof text, "%s_scale", name);
    onnx_constant(w, text, ONNX_F32, 1, &m, scale);
    snprintf(inputs, sizeof inputs, "%s_int %s_scale", name, name);
    onnx_node(w, "DequantizeLinear", inputs, name, &axis, 1);
    for (size_t i = 0; i < l->outputs; i++)
        scale[i] *= l->in.scale;
    snprintf(text, sizeof text, "%s_bias_int", name);
    onnx_constant(w, text, ONNX_I32, 1, &m, bias);
    snprintf(text, sizeof text, "%s_bias_scale", name);
    onnx_constant(w, text, ONNX_F32, 1, &m, scale);
    snprintf(inputs, sizeof inputs, "%s_bias_int %s_bias_scale", name, name);
    snprintf(text, sizeof text, "%s_bias", name);
    onnx_node(w, "DequantizeLinear", inputs, text, &axis, 1);
    return 0;
}

static int put_layer(struct onnx_writer *w, const struct layer *l, bool bytes, bool last, struct names *names)
{
    static const int64_t one = 1;
    const int64_t strides = l->stride, pads[] = {l->pad_begin, l->pad_end};
    const int64_t dense[] = {l->outputs, l->channels}, conv[] = {l->outputs, l->channels, l->kernel};
    const int64_t transposed[] = {l->channels, l->outputs, l->kernel};
    const struct onnx_attribute trans_b = {"transB", ONNX_INT, .ints = &one};
    const struct onnx_attribute window[] = {{"strides", ONNX_INTS, .n = 1, .ints = &strides},
                                            {"pads", ONNX_INTS, .n = 2, .ints = pads}};
    const int64_t *shape = l->kind == LAYER_DENSE ? dense : l->kind == LAYER_CONV ? conv : transposed;
    size_t rank = l->kind == LAYER_DENSE ? 2 : 3;
    char name[NAME], more[8 * NAME];

    if (l->kind == LAYER_MEAN) {
        on(w, names, "GlobalAveragePool", "", NULL, 0);
        on(w, names, "Flatten", "", NULL, 0);
        return 0;
    }
    snprintf(name, sizeof name, "w%zu", names->n);
    if (!bytes)
        put_floats(w, l, name, rank, shape);
    else if (put_integers(w, l, name, rank, shape) != 0)
        return -ENOMEM;
    snprintf(more, sizeof more, " %s %s_bias", name, name);
    names->ends = last && !l->relu;
    if (l->kind == LAYER_DENSE)
        on(w, names, "Gemm", more, &trans_b, 1);
    else
        on(w, names, l->kind == LAYER_CONV ? "Conv" : "ConvTranspose", more, window, 2);
    if (l->relu)
        on(w, names, "Relu", "", NULL, 0);
    if (bytes && !last)
        round_trip(w, names, l->out);
    return 0;
}

int bench_model_onnx(const struct bench_model *m, enum bench_form form, struct buf *ret_model)
{
    owned(onnx_deinit) struct onnx_writer w = {0};
    bool bytes = form == FORM_SMALL;
    struct names names = {.at = "x"};
    int64_t x[RANK_MAX], y[RANK_MAX];
    size_t x_rank, y_rank;
    int r = 0;

    if (m->forest != NULL) {
        forest_onnx(m->forest, ret_model);
        return ret_model->error;
    }
    bench_model_shapes(m, &x_rank, x, &y_rank, y);
    onnx_input(&w, "x", x_rank, x);
    onnx_output(&w, "y");
    if (bytes)
        round_trip(&w, &names, m->layers[0].in);
    for (size_t i = 0; r == 0 && i < m->n_layers; i++) {
        /* As in our form: float32 from the mean on. */
        bytes = bytes && m->layers[i].kind != LAYER_MEAN;
        r = put_layer(&w, &m->layers[i], bytes, i + 1 == m->n_layers, &names);
    }
    onnx_write(&w, ret_model);
    return r != 0 ? r : ret_model->error;
}
