/* A layer of integers, with a Relu or Clip behind it. */
#include "model/quantize_private.h"

#include <math.h>

struct form {
    const struct plan_layer *l;
    struct q_numbers numbers;
    struct q_scale x, y;
    int32_t lowest;
    bool gives_float;
    uint16_t given; /* tensor of the graph */
};

static const float *bound_of(const struct quantizer *q, const struct infer_node *clip, size_t i)
{
    return i >= clip->n_inputs || clip->inputs[i] == INFER_NONE
               ? NULL
               : (const float *)q->plan.graph->tensors[clip->inputs[i]].constant;
}

/* A Relu or Clip that alone uses the result becomes a bound of the int8 values. */
static void take_clip(struct quantizer *q, struct q_item *item, struct form *f)
{
    const struct plan_item *user = plan_only_user(&q->plan, f->l->out);
    struct q_item *taken = user == NULL ? NULL : &q->items[user - q->plan.items];
    const struct infer_node *node = user == NULL ? NULL : &q->plan.nodes[user->index];
    struct q_scale y;
    const float *low, *high;

    if (taken == NULL || taken->mode != Q_TABLE || (node->op != INFER_RELU && node->op != INFER_CLIP))
        return;
    y = q_scale_of(q, node->outputs[0]);
    low = node->op == INFER_CLIP ? bound_of(q, node, 1) : &(const float){0};
    high = node->op == INFER_CLIP ? bound_of(q, node, 2) : NULL;
    if ((low != NULL && !(*low == *low)) ||
        (high != NULL && (q_quantize(y, (double)*high) != 127 || (low != NULL && *low > *high))))
        return;
    f->lowest = low == NULL ? -128 : q_quantize(y, (double)*low);
    f->given = node->outputs[0];
    f->y = y;
    item->given = f->given;
    taken->mode = Q_DONE;
}

static float multiplier_of(const struct form *f, size_t m)
{
    double v = (double)f->x.scale * (double)f->numbers.w_scale[m];

    return (float)(f->gives_float ? v : v / (double)f->y.scale);
}

/* Weights, bias and multiplier of the tuned kernels, as inputs 1 to 3. The zero point of x is in the bias. */
static int kernel_inputs(struct quantizer *q, const struct form *f, const struct infer_shape *w_shape,
                         const int8_t *w, struct infer_node *node)
{
    size_t n = f->l->m;
    int32_t *bias = pool_alloc(&q->plan.pool, n, sizeof *bias);
    float *multiplier = pool_alloc(&q->plan.pool, n, sizeof *multiplier);
    int r;

    if (bias == NULL || multiplier == NULL)
        return q_no_memory(q);
    for (size_t m = 0; m < n; m++) {
        bias[m] = (int32_t)(f->numbers.bias[m] - f->numbers.w_sum[m] * f->x.zero);
        multiplier[m] = multiplier_of(f, m);
    }
    r = infer_build_constant(q->build, INFER_I8, w_shape, w, &node->inputs[1], q->err);
    if (r == 0)
        r = plan_int32s(q->build, bias, n, &node->inputs[2], q->err);
    if (r == 0)
        r = plan_floats(q->build, multiplier, n, &node->inputs[3], q->err);
    node->ints[22] = f->gives_float ? 0 : f->y.zero;
    node->ints[23] = f->gives_float ? -128 : f->lowest;
    node->floats[0] = f->gives_float ? 1 : 0;
    return r;
}

static int emit_dense(struct quantizer *q, const struct form *f)
{
    const struct plan_layer *l = f->l;
    const struct infer_shape *sx = plan_shape(&q->plan, l->in), *sy = plan_shape(&q->plan, l->out);
    struct infer_shape w = {2, {(uint32_t)l->m, (uint32_t)l->k}};
    struct infer_shape matrix = {2, {(uint32_t)(infer_shape_elements(sx) / l->k), (uint32_t)l->k}};
    struct infer_node node = {.op = INFER_DENSE_I8};
    struct q_tensor *out = &q->tensors[f->given];
    bool columns = q->tensors[l->in].columns != NULL;
    uint16_t x, y;
    int r = columns ? q_i8_columns(q, l->in, &x) : q_i8(q, l->in, &x);

    if (r == 0)
        r = plan_reshape(q->build, x, &matrix, &node.inputs[0], q->err);
    if (r == 0)
        r = kernel_inputs(q, f, &w, f->numbers.w, &node);
    if (r == 0)
        r = q_node(q, &node, 4, &y);
    return r != 0 ? r : plan_reshape(q->build, y, sy, f->gives_float ? &out->own : &out->i8, q->err);
}

/* [m][k][taps] to [m][taps][k] */
static int8_t *channels_last(struct quantizer *q, const struct form *f)
{
    const struct plan_layer *l = f->l;
    int8_t *w = pool_alloc(&q->plan.pool, l->m * l->k * l->taps, 1);

    for (size_t m = 0; w != NULL && m < l->m; m++)
        for (size_t k = 0; k < l->k; k++)
            for (size_t t = 0; t < l->taps; t++)
                w[(m * l->taps + t) * l->k + k] = f->numbers.w[(m * l->k + k) * l->taps + t];
    return w;
}

static int emit_conv1d(struct quantizer *q, const struct form *f)
{
    const struct plan_layer *l = f->l;
    const int32_t *from = q->plan.nodes[l->node].ints;
    struct infer_shape w = {3, {(uint32_t)l->m, (uint32_t)l->taps, (uint32_t)l->k}};
    struct infer_node node = {.op = INFER_CONV1D_I8,
                              .ints = {from[2], from[5], from[8], from[11], f->x.zero}};
    struct infer_node turn = {.op = INFER_TRANSPOSE, .ints = {0, 2, 1}};
    struct q_tensor *out = &q->tensors[f->given];
    int8_t *weights = channels_last(q, f);
    int r = weights == NULL ? q_no_memory(q) : q_i8_last(q, l->in, &node.inputs[0]);

    if (r == 0)
        r = kernel_inputs(q, f, &w, weights, &node);
    if (r == 0)
        r = q_node(q, &node, 4, f->gives_float ? &turn.inputs[0] : &out->i8_last);
    if (r == 0 && f->gives_float)
        r = q_node(q, &turn, 1, &out->own);
    return r;
}

/* With an int8 result: QLinearConv. */
static int emit_qlinear(struct quantizer *q, const struct form *f, uint16_t x, uint16_t w)
{
    struct infer_node node = q->plan.nodes[f->l->node];
    int8_t x_zero = (int8_t)f->x.zero, y_zero = (int8_t)f->y.zero;
    uint16_t *in = node.inputs, y;
    int r;

    node.op = INFER_QLINEAR_CONV;
    in[0] = x;
    in[3] = w;
    r = q_scalar(q, INFER_F32, &f->x.scale, &in[1]);
    if (r == 0)
        r = q_scalar(q, INFER_I8, &x_zero, &in[2]);
    if (r == 0)
        r = plan_floats(q->build, f->numbers.w_scale, f->l->m, &in[4], q->err);
    if (r == 0)
        r = q_scalar(q, INFER_I8, &(int8_t){0}, &in[5]);
    if (r == 0)
        r = q_scalar(q, INFER_F32, &f->y.scale, &in[6]);
    if (r == 0)
        r = q_scalar(q, INFER_I8, &y_zero, &in[7]);
    if (r == 0)
        r = plan_int32s(q->build, f->numbers.bias, f->l->m, &in[8], q->err);
    if (r == 0)
        r = q_node(q, &node, 9, &y);
    if (r == 0 && f->lowest > -128) {
        int8_t lowest = (int8_t)f->lowest;
        struct infer_node clip = {.op = INFER_CLIP, .inputs = {y}};

        r = q_scalar(q, INFER_I8, &lowest, &clip.inputs[1]);
        if (r == 0)
            r = q_node(q, &clip, 2, &y);
    }
    if (r == 0)
        q->tensors[f->given].i8 = y;
    return r;
}

/* With a float32 result: ConvInteger, and Dequantize of its sums with the bias as its zero points. */
static int emit_conv_integer(struct quantizer *q, const struct form *f, uint16_t x, uint16_t w)
{
    struct infer_node node = q->plan.nodes[f->l->node];
    struct infer_node back = {.op = INFER_DEQUANTIZE, .ints = {1}};
    size_t n = f->l->m;
    float *scale = pool_alloc(&q->plan.pool, n, sizeof *scale);
    int32_t *zero = pool_alloc(&q->plan.pool, n, sizeof *zero);
    int8_t x_zero = (int8_t)f->x.zero;
    int r;

    if (scale == NULL || zero == NULL)
        return q_no_memory(q);
    for (size_t m = 0; m < n; m++) {
        scale[m] = multiplier_of(f, m);
        zero[m] = -f->numbers.bias[m];
    }
    node.op = INFER_CONV_INTEGER;
    node.inputs[0] = x;
    node.inputs[1] = w;
    r = q_scalar(q, INFER_I8, &x_zero, &node.inputs[2]);
    if (r == 0)
        r = q_node(q, &node, 3, &back.inputs[0]);
    if (r == 0)
        r = plan_floats(q->build, scale, n, &back.inputs[1], q->err);
    if (r == 0)
        r = plan_int32s(q->build, zero, n, &back.inputs[2], q->err);
    return r != 0 ? r : q_node(q, &back, 3, &q->tensors[f->given].own);
}

static int emit_conv(struct quantizer *q, const struct form *f)
{
    uint16_t x, w;
    int r = q_i8(q, f->l->in, &x);

    if (r == 0)
        r = infer_build_constant(q->build, INFER_I8, &f->l->w_shape, f->numbers.w, &w, q->err);
    if (r != 0)
        return r;
    return f->gives_float ? emit_conv_integer(q, f, x, w) : emit_qlinear(q, f, x, w);
}

int q_emit_layer(struct quantizer *q, struct q_item *item, const struct plan_layer *l)
{
    const struct q_columns *columns = q->tensors[l->in].columns;
    struct form f = {.l = l, .given = l->out, .lowest = -128};
    int r;

    f.x = columns != NULL ? (struct q_scale){1, 0} : q_scale_of(q, l->in);
    f.y = q_scale_of(q, l->out);
    f.gives_float = q->tensors[l->out].wants_f32 || !q->tensors[l->out].wants_i8;
    if (!f.gives_float)
        take_clip(q, item, &f);
    r = q_numbers_of(q, l, f.x, columns, &f.numbers);
    if (r != 0)
        return r;
    if (l->kind == PLAN_DENSE)
        return emit_dense(q, &f);
    return l->w_shape.rank == 3 && l->group == 1 ? emit_conv1d(q, &f) : emit_conv(q, &f);
}
