#include "infer_models.h"

#include "base/rng.h"
#include "infer/build.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ACTIVATIONS_MAX = 4096 };

static void add(struct bench_model *m, struct layer l)
{
    m->layers[m->n_layers++] = l;
}

/* Relu behind each but the last. */
static void add_dense(struct bench_model *m, size_t n, const uint32_t *widths)
{
    for (size_t i = 0; i + 1 < n; i++)
        add(m, (struct layer){.kind = LAYER_DENSE,
                              .channels = widths[i],
                              .length = 1,
                              .outputs = widths[i + 1],
                              .n_out = 1,
                              .relu = i + 2 < n});
    m->channels = widths[0];
    m->length = 1;
}

static void add_conv(struct bench_model *m, bool transposed, uint32_t channels, uint32_t outputs,
                     uint32_t stride, bool relu)
{
    uint32_t length = m->n_layers == 0 ? m->length : m->layers[m->n_layers - 1].n_out;
    struct layer l = {.kind = transposed ? LAYER_TRANSPOSED : LAYER_CONV,
                      .channels = channels,
                      .length = length,
                      .outputs = outputs,
                      .n_out = transposed ? length * stride : (length + stride - 1) / stride,
                      .kernel = 7,
                      .stride = stride,
                      .relu = relu};
    uint32_t pads = transposed ? (length - 1) * stride + 7 - l.n_out : (l.n_out - 1) * stride + 7 - length;

    l.pad_begin = pads / 2;
    l.pad_end = pads - pads / 2;
    add(m, l);
}

static void add_layers(struct bench_model *m, size_t i)
{
    static const uint32_t mlp8[] = {8, 16, 4, 16, 8}, ae128[] = {128, 32, 8, 32, 128};
    static const uint32_t ad01[] = {640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640}, last[] = {16, 4};

    switch (i) {
    case 0:
        m->name = "MLP8";
        m->goal_us = 0.3;
        add_dense(m, sizeof mlp8 / sizeof *mlp8, mlp8);
        break;
    case 1:
        m->name = "AE128";
        m->goal_us = 1.5;
        add_dense(m, sizeof ae128 / sizeof *ae128, ae128);
        break;
    case 2:
        m->name = "CNN 8x64";
        m->goal_us = 3;
        m->length = 64;
        add_conv(m, false, 8, 16, 1, true);
        add_conv(m, false, 16, 16, 1, true);
        add(m, (struct layer){.kind = LAYER_MEAN, .channels = 16, .length = 64, .outputs = 16, .n_out = 1});
        add_dense(m, sizeof last / sizeof *last, last);
        m->channels = 8;
        m->length = 64;
        break;
    case 3:
        m->name = "100 trees";
        m->goal_us = 1;
        m->channels = 38;
        m->length = 1;
        break;
    case 4:
        m->name = "Conv-AE 8x60";
        m->goal_us = 20;
        m->channels = 8;
        m->length = 60;
        add_conv(m, false, 8, 32, 2, true);
        add_conv(m, false, 32, 16, 2, true);
        add_conv(m, true, 16, 16, 2, true);
        add_conv(m, true, 16, 32, 2, true);
        add_conv(m, true, 32, 8, 1, false);
        break;
    default:
        m->name = "ad01";
        m->goal_us = 13.5;
        add_dense(m, sizeof ad01 / sizeof *ad01, ad01);
        break;
    }
}

/* ---- what the layers give: for the ranges of int8 ---- */

static float dot(const float *w, const float *x, size_t n)
{
    float sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += w[i] * x[i];
    return sum;
}

static float conv_at(const struct layer *l, const float *x, uint32_t m, uint32_t o)
{
    float sum = l->bias[m];

    for (uint32_t c = 0; c < l->channels; c++)
        for (uint32_t k = 0; k < l->kernel; k++) {
            int64_t p = (int64_t)o * l->stride + k - l->pad_begin;

            if (p >= 0 && p < l->length)
                sum += l->w[(m * l->channels + c) * l->kernel + k] * x[c * l->length + p];
        }
    return sum;
}

static void forward(const struct layer *l, const float *x, float *y)
{
    for (uint32_t m = 0; m < l->outputs; m++)
        for (uint32_t o = 0; o < l->n_out; o++) {
            float v = 0;

            if (l->kind == LAYER_DENSE)
                v = l->bias[m] + dot(l->w + m * l->channels, x, l->channels);
            else if (l->kind == LAYER_CONV)
                v = conv_at(l, x, m, o);
            else if (l->kind == LAYER_MEAN)
                for (uint32_t p = 0; p < l->length; p++)
                    v += x[m * l->length + p] / (float)l->length;
            y[m * l->n_out + o] = l->relu && v < 0 ? 0 : v;
        }
}

/* What is never negative uses all bytes: Relu is the lowest one then. */
static struct affine affine_of(const float *v, size_t n, bool relu)
{
    float most = 1e-6F;

    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(v[i]));
    return relu ? (struct affine){most / 255, INT8_MIN} : (struct affine){most / 127, 0};
}

static void find_ranges(struct bench_model *m)
{
    static float a[ACTIVATIONS_MAX], b[ACTIVATIONS_MAX];
    struct affine in = affine_of(m->x, (size_t)m->channels * m->length, false);

    memcpy(a, m->x, sizeof m->x);
    for (size_t i = 0; i < m->n_layers; i++) {
        struct layer *l = &m->layers[i];

        forward(l, a, b);
        l->in = in;
        l->out = in = affine_of(b, (size_t)l->outputs * l->n_out, l->relu);
        memcpy(a, b, sizeof a);
    }
}

static int add_weights(struct layer *l, struct rng *rng)
{
    size_t n = layer_weights(l);
    float size = sqrtf(2 / (float)(n / l->outputs));

    if (l->kind == LAYER_MEAN)
        return 0;
    l->w = malloc(n * sizeof *l->w);
    l->bias = malloc(l->outputs * sizeof *l->bias);
    if (l->w == NULL || l->bias == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        l->w[i] = (float)rng_normal(rng) * size;
    for (size_t i = 0; i < l->outputs; i++)
        l->bias[i] = (float)rng_normal(rng) / 10;
    return 0;
}

int bench_model_init(struct bench_model *m, size_t i)
{
    struct rng rng = {1000 + i};
    int r = 0;

    memset(m, 0, sizeof *m);
    add_layers(m, i);
    for (size_t k = 0; k < (size_t)m->channels * m->length; k++)
        m->x[k] = (float)rng_normal(&rng);
    for (size_t k = 0; r == 0 && k < m->n_layers; k++)
        r = add_weights(&m->layers[k], &rng);
    if (r == 0 && m->n_layers == 0) {
        m->forest = forest_new(100, 8, m->channels, 7);
        r = m->forest == NULL ? -ENOMEM : 0;
    }
    if (r == 0)
        find_ranges(m);
    return r;
}

void bench_model_deinit(struct bench_model *m)
{
    for (size_t i = 0; i < m->n_layers; i++) {
        free(m->layers[i].w);
        free(m->layers[i].bias);
    }
    free(m->forest);
}

void layer_quantize(const struct layer *l, int8_t *w, float *w_scale, int32_t *bias)
{
    size_t n = layer_weights(l) / l->outputs;

    for (size_t m = 0; m < l->outputs; m++) {
        const float *from = l->w + m * n;

        w_scale[m] = affine_of(from, n, false).scale;
        for (size_t i = 0; i < n; i++)
            w[m * n + i] = (int8_t)rintf(from[i] / w_scale[m]);
        bias[m] = (int32_t)rintf(l->bias[m] / (w_scale[m] * l->in.scale));
    }
}

size_t bench_model_shapes(const struct bench_model *m, size_t *ret_x_rank, int64_t ret_x[RANK_MAX],
                          size_t *ret_y_rank, int64_t ret_y[RANK_MAX])
{
    const struct layer *last = m->n_layers == 0 ? NULL : &m->layers[m->n_layers - 1];

    *ret_x_rank = m->length == 1 ? 2 : 3;
    ret_x[0] = ret_y[0] = 1;
    ret_x[1] = m->channels;
    ret_x[2] = m->length;
    *ret_y_rank = last == NULL || last->n_out == 1 ? 2 : 3;
    ret_y[1] = last == NULL ? 1 : last->outputs;
    ret_y[2] = last == NULL ? 1 : last->n_out;
    return (size_t)(ret_y[1] * ret_y[2]);
}
