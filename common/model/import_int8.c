/* Dequantize, Gemm or MatMul (and Add) or Conv, Relu, Quantize: one integer kernel of the engine.
 *
 * Exact but for the one rounding of the engine: quantising is monotonous, so a Relu or Clip before it is a
 * bound of the quantised values after it. A bias in float is rounded to the scale of the sums when the result
 * is quantised; when it stays float, only a bias that was quantised goes along. Unsigned activations become
 * signed ones with the zero point less 128. */
#include "model/import_private.h"

#include <math.h>

struct layer {
    struct import_node *add, *clip, *quantize; /* taken along; NULL: not there */
    struct import_value *x, *w, *bias;         /* dequantised; bias NULL: none */
    struct import_value *out;                  /* of the last one taken along */
    size_t m, k;                               /* outputs, products of each */
    bool w_rows;                               /* weights lie as [m][k], else [k][m] */
    float scale_y;
    int32_t zero_y, lowest; /* of int8 */
};

static bool is_scalar(const struct import_value *v)
{
    return infer_shape_elements(&v->shape) == 1;
}

static float f32_at(const struct import_value *v, size_t i)
{
    return ((const float *)v->data)[is_scalar(v) ? 0 : i];
}

/* A zero point as one of int8. */
static int32_t zero_at(const struct import_value *zero, enum infer_type type, size_t i)
{
    int32_t shift = type == INFER_U8 ? 128 : 0;

    if (zero == NULL)
        return -shift;
    i = is_scalar(zero) ? 0 : i;
    return (type == INFER_U8 ? ((const uint8_t *)zero->data)[i] : ((const int8_t *)zero->data)[i]) - shift;
}

/* A computed 8-bit value with one scale. */
static bool fits_x(const struct import_value *x, unsigned rank)
{
    return x != NULL && x->quantised != NULL && x->data == NULL && x->shape.rank == rank &&
           is_scalar(x->scale) && x->scale->type == INFER_F32;
}

/* Constant 8-bit weights, symmetric, with a scale for each of m (along `axis`) or one for all. */
static bool fits_w(const struct import_value *w, unsigned rank, int axis, size_t m)
{
    const struct import_value *q = w == NULL ? NULL : w->quantised;

    if (q == NULL || q->data == NULL || w->shape.rank != rank ||
        (q->type != INFER_I8 && q->type != INFER_U8) || w->scale->type != INFER_F32)
        return false;
    if (!is_scalar(w->scale) && (w->axis != axis || infer_shape_elements(&w->scale->shape) != m))
        return false;
    for (size_t i = 0; i < m; i++)
        if (zero_at(w->zero, q->type, i) != 0 || !(f32_at(w->scale, i) > 0))
            return false;
    return w->zero == NULL || is_scalar(w->zero) || infer_shape_elements(&w->zero->shape) == m;
}

static bool fits_bias(const struct layer *l, const struct import_value *b)
{
    const struct infer_shape *s = &b->shape;

    return b->data != NULL && b->type == INFER_F32 && infer_shape_elements(s) == l->m &&
           (s->rank == 1 || (s->rank == 2 && s->dim[0] == 1));
}

static double sum_scale(const struct layer *l, size_t m)
{
    return (double)f32_at(l->x->scale, 0) * f32_at(l->w->scale, m);
}

/* Is the bias int32 at the scale of the sums? */
static bool is_integer_bias(const struct layer *l)
{
    const struct import_value *b = l->bias;

    if (b->quantised == NULL || b->quantised->data == NULL || b->quantised->type != INFER_I32)
        return false;
    for (size_t m = 0; m < l->m; m++)
        if (fabs(f32_at(b->scale, m) / sum_scale(l, m) - 1) > 1e-5)
            return false;
    for (size_t m = 0; b->zero != NULL && m < infer_shape_elements(&b->zero->shape); m++)
        if (b->zero->type != INFER_I32 || ((const int32_t *)b->zero->data)[m] != 0)
            return false;
    return is_scalar(b->scale) || infer_shape_elements(&b->scale->shape) == l->m;
}

static int32_t quantised(const struct layer *l, float v)
{
    double q = nearbyint((double)v / l->scale_y) + l->zero_y;

    return q < -128 ? -128 : q > 127 ? 127 : (int32_t)q;
}

/* Relu, or a Clip that cuts nothing the type does not: into l->lowest. */
static bool take_clip(struct import *im, struct layer *l, struct import_node *n)
{
    struct import_value *low = import_in(n, 1), *high = import_in(n, 2);
    float least, most;

    if (import_is(n, "Relu")) {
        l->lowest = l->zero_y > -128 ? l->zero_y : -128;
        return true;
    }
    if (im->opset < 11 || (low != NULL && (low->data == NULL || low->type != INFER_F32 || !is_scalar(low))) ||
        (high != NULL && (high->data == NULL || high->type != INFER_F32 || !is_scalar(high))))
        return false;
    least = low == NULL ? -INFINITY : f32_at(low, 0);
    most = high == NULL ? INFINITY : f32_at(high, 0);
    if (!(least <= most) || quantised(l, most) != 127)
        return false;
    l->lowest = quantised(l, least);
    return true;
}

/* The QuantizeLinear that alone uses v, with one scale. */
static bool take_quantize(struct layer *l, struct import_value *v)
{
    struct import_node *n = import_only_user(v);
    struct import_value *scale, *zero;
    enum infer_type type;

    if (n == NULL || !import_is(n, "QuantizeLinear") || n->in[0] != v || import_out(n, 0) == NULL)
        return false;
    scale = import_in(n, 1);
    zero = import_in(n, 2);
    if (scale == NULL || scale->data == NULL || scale->type != INFER_F32 || !is_scalar(scale) ||
        !(f32_at(scale, 0) > 0) ||
        (zero != NULL &&
         (zero->data == NULL || (zero->type != INFER_I8 && zero->type != INFER_U8) || !is_scalar(zero))))
        return false;
    if (zero == NULL && n->onnx->n_attributes > 0)
        return false; /* the type stands there */
    type = zero == NULL ? INFER_U8 : zero->type;
    l->quantize = n;
    l->scale_y = f32_at(scale, 0);
    l->zero_y = zero_at(zero, type, 0);
    l->lowest = -128;
    l->out = n->out[0];
    l->out->type = type;
    return true;
}

/* What stands behind the product, as far as it can be taken along. */
static void take_rest(struct import *im, struct layer *l, struct import_value *v)
{
    struct import_node *n = import_only_user(v);
    struct import_value *end = v;

    if (l->bias == NULL && n != NULL && import_is(n, "Add") && im->opset >= 7 && n->n_in == 2 &&
        n->in[0] != n->in[1] && import_out(n, 0) != NULL) {
        struct import_value *b = n->in[0] == v ? n->in[1] : n->in[0];

        if (b != NULL && fits_bias(l, b)) {
            l->add = n;
            l->bias = b;
            end = n->out[0];
        }
    }
    l->out = end;
    n = import_only_user(end);
    if (n != NULL && (import_is(n, "Relu") || import_is(n, "Clip")) && n->n_in > 0 && n->in[0] == end &&
        import_out(n, 0) != NULL && take_quantize(l, n->out[0])) {
        l->clip = n;
        if (take_clip(im, l, n))
            return;
        l->clip = l->quantize = NULL;
        l->out->type = 0;
        l->out = end;
        return;
    }
    take_quantize(l, end);
}

/* Weights as [m][k] of int8. `inner` of the k lie together for each of k / inner rows of [inner][..]: see
 * callers. */
static int weights(struct import *im, const struct layer *l, size_t channels, size_t taps,
                   const struct infer_shape *shape, struct import_value **ret_w)
{
    const uint8_t *from = l->w->quantised->data;
    uint8_t turn = l->w->quantised->type == INFER_U8 ? 0x80 : 0, *to;

    *ret_w = import_constant(im, INFER_I8, shape, NULL);
    if (*ret_w == NULL)
        return import_no_memory(im);
    to = (uint8_t *)(uintptr_t)(*ret_w)->data;
    for (size_t m = 0; m < l->m; m++)
        for (size_t t = 0; t < taps; t++)
            for (size_t c = 0; c < channels; c++)
                *to++ = turn ^ (l->w_rows ? from[(m * channels + c) * taps + t] : from[c * l->m + m]);
    return 0;
}

/* Bias and multiplier. 1: done; 0: a sum could leave int32. */
static int numbers(struct import *im, const struct layer *l, const struct import_value *w, int32_t zero_x,
                   struct import_value **ret_bias, struct import_value **ret_multiplier)
{
    struct infer_shape s = {1, {(uint32_t)l->m}};
    bool integers = l->bias != NULL && is_integer_bias(l);
    const int8_t *row = w->data;
    int32_t *bias;
    float *multiplier;

    *ret_bias = import_constant(im, INFER_I32, &s, NULL);
    *ret_multiplier = import_constant(im, INFER_F32, &s, NULL);
    if (*ret_bias == NULL || *ret_multiplier == NULL)
        return import_no_memory(im);
    bias = (int32_t *)(uintptr_t)(*ret_bias)->data;
    multiplier = (float *)(uintptr_t)(*ret_multiplier)->data;
    for (size_t m = 0; m < l->m; m++, row += l->k) {
        double scale = sum_scale(l, m), b = 0;
        int64_t sum = 0;

        if (integers)
            b = ((const int32_t *)l->bias->quantised->data)[m];
        else if (l->bias != NULL)
            b = nearbyint(((const float *)l->bias->data)[m] / scale);
        for (size_t k = 0; k < l->k; k++)
            sum += row[k];
        b -= (double)sum * zero_x;
        if (!(fabs(b) + (double)l->k * 128 * 128 <= INT32_MAX))
            return 0;
        bias[m] = (int32_t)b;
        multiplier[m] = (float)(l->quantize == NULL ? scale : scale / l->scale_y);
    }
    return 1;
}

static void finish(struct layer *l)
{
    if (l->add != NULL)
        l->add->done = true;
    if (l->clip != NULL)
        l->clip->done = true;
    if (l->quantize != NULL)
        l->quantize->done = true;
}

static int give_up(struct layer *l, int r)
{
    if (l->quantize != NULL)
        l->out->type = 0;
    return r;
}

/* Gives the value behind it all, from a node whose x has tensor `x`. */
static int emit(struct import *im, struct layer *l, struct infer_node *node, uint16_t x,
                struct import_value *const *in, bool channels_last)
{
    const struct infer_tensor *made;
    uint16_t t;
    int r = 0;

    node->n_inputs = 4;
    node->n_outputs = 1;
    node->inputs[0] = x;
    for (size_t i = 0; i < 3 && r == 0; i++)
        r = import_tensor(im, in[i], &node->inputs[1 + i]);
    node->ints[22] = l->zero_y;
    node->ints[23] = l->quantize == NULL ? -128 : l->lowest;
    node->floats[0] = l->quantize == NULL ? 1 : 0;
    if (r == 0)
        r = infer_build_node(im->build, node, &t, &im->err);
    if (r != 0)
        return r;
    made = &infer_build_graph(im->build)->tensors[t];
    l->out->shape = made->shape;
    if (channels_last) {
        l->out->shape.dim[1] = made->shape.dim[2];
        l->out->shape.dim[2] = made->shape.dim[1];
        l->out->as_i8_last = t;
    } else if (l->quantize != NULL) {
        l->out->as_i8 = t;
    } else {
        l->out->type = INFER_F32;
        l->out->tensor = t;
    }
    finish(l);
    return 1;
}

int import_dense_i8(struct import *im, struct import_node *n)
{
    bool gemm = import_is(n, "Gemm"), rows = gemm && import_int(im, "transB", 0) != 0;
    struct layer l = {.x = n->in[0], .w = n->in[1], .w_rows = rows};
    struct infer_node node = {.op = INFER_DENSE_I8};
    struct import_value *in[3], *c = gemm ? import_in(n, 2) : NULL;
    struct infer_shape shape = {.rank = 2};
    int32_t zero_x;
    uint16_t x;
    int r;

    if (!fits_x(l.x, 2) || l.w->shape.rank != 2 ||
        (gemm && (import_int(im, "transA", 0) != 0 || import_float(im, "alpha", 1) != 1 ||
                  import_float(im, "beta", 1) != 1)))
        return 0;
    l.m = l.w->shape.dim[rows ? 0 : 1];
    l.k = l.w->shape.dim[rows ? 1 : 0];
    if (!fits_w(l.w, 2, rows ? 0 : 1, l.m) || l.k != l.x->shape.dim[1] || l.m == 0 || l.k == 0)
        return 0;
    if (c != NULL && !fits_bias(&l, c))
        return 0;
    l.bias = c;
    take_rest(im, &l, n->out[0]);
    if (l.quantize == NULL && l.bias != NULL && !is_integer_bias(&l)) {
        /* The sum stays float, the bias as well: added behind it. */
        if (c != NULL)
            return 0;
        l.add = NULL;
        l.bias = NULL;
        l.out = n->out[0];
    }
    zero_x = zero_at(l.x->zero, l.x->quantised->type, 0);
    shape.dim[0] = (uint32_t)l.m;
    shape.dim[1] = (uint32_t)l.k;
    r = weights(im, &l, l.k, 1, &shape, &in[0]);
    if (r == 0)
        r = numbers(im, &l, in[0], zero_x, &in[1], &in[2]);
    if (r <= 0)
        return give_up(&l, r);
    r = import_i8(im, l.x->quantised, &x);
    if (r == 0)
        r = emit(im, &l, &node, x, in, false);
    im->report->n_dense_i8 += r == 1;
    return r;
}

int import_conv1d_i8(struct import *im, struct import_node *n)
{
    struct layer l = {.x = n->in[0], .w = n->in[1], .bias = import_in(n, 2), .w_rows = true};
    struct infer_node node = {.op = INFER_CONV1D_I8};
    struct import_value *in[3];
    struct infer_shape shape = {.rank = 3};
    int32_t window[INFER_NODE_INTS_MAX] = {0}, zero_x;
    uint16_t x;
    int r;

    if (!fits_x(l.x, 3) || l.w->shape.rank != 3 || import_int(im, "group", 1) != 1)
        return 0;
    l.m = l.w->shape.dim[0];
    l.k = (size_t)l.w->shape.dim[1] * l.w->shape.dim[2];
    if (!fits_w(l.w, 3, 0, l.m) || l.w->shape.dim[1] != l.x->shape.dim[1] || l.m == 0 || l.k == 0 ||
        (l.bias != NULL && !fits_bias(&l, l.bias)))
        return 0;
    take_rest(im, &l, n->out[0]);
    if (l.quantize == NULL || l.add != NULL)
        return give_up(&l, 0); /* an Add of one vector is along the length, not the channels */
    zero_x = zero_at(l.x->zero, l.x->quantised->type, 0);
    shape.dim[0] = (uint32_t)l.m;
    shape.dim[1] = l.w->shape.dim[2];
    shape.dim[2] = l.w->shape.dim[1];
    r = import_window(im, &l.x->shape, l.w->shape.dim + 2, 1, true, window);
    if (r == 0)
        r = weights(im, &l, shape.dim[2], shape.dim[1], &shape, &in[0]);
    if (r == 0)
        r = numbers(im, &l, in[0], zero_x, &in[1], &in[2]);
    if (r <= 0)
        return give_up(&l, r);
    node.ints[0] = window[2];
    node.ints[1] = window[5];
    node.ints[2] = window[8];
    node.ints[3] = window[11];
    node.ints[4] = zero_x;
    r = import_i8_last(im, l.x->quantised, &x);
    if (r == 0)
        r = emit(im, &l, &node, x, in, true);
    im->report->n_conv1d_i8 += r == 1;
    return r;
}
