/* Convolutions and batch normalisation of float32, channels first. */
#include "infer/kernel.h"
#include "infer/kernel_loops.h"
#include "infer/op_window.h"

#include <math.h>

static const uint32_t *kernel_of(const struct infer_tensor *w)
{
    return w->shape.dim + 2;
}

int op_window_groups(const struct op_check *c, size_t i_w, bool transposed, struct infer_shape *ret_y)
{
    const struct infer_shape *x, *w;
    uint64_t group, m;

    if (op_takes_rank(c, 0, 3, 2 + OP_SPATIAL_MAX) != 0 ||
        op_takes_rank(c, i_w, c->in[0]->shape.rank, c->in[0]->shape.rank) != 0 ||
        op_takes_setting(c, 0, 1, INFER_ELEMENTS_MAX) != 0)
        return -EINVAL;
    x = &c->in[0]->shape;
    w = &c->in[i_w]->shape;
    group = (uint64_t)c->node->ints[0];
    m = transposed ? w->dim[1] * group : w->dim[0];
    if (!transposed && w->dim[1] * group != x->dim[1])
        return op_refuse(c, "the weights have %u channels in each of %llu groups, the input has %u",
                         w->dim[1], (unsigned long long)group, x->dim[1]);
    if (transposed && w->dim[0] != x->dim[1])
        return op_refuse(c, "the weights have %u channels, the input has %u", w->dim[0], x->dim[1]);
    if ((transposed ? x->dim[1] : m) % group != 0)
        return op_refuse(c, "%llu groups do not divide the channels", (unsigned long long)group);
    ret_y->dim[0] = x->dim[0];
    return op_dim(c, ret_y, 1, (int64_t)m);
}

static int check_conv(struct op_check *c, enum op_window_kind kind)
{
    struct infer_shape y = {0};

    for (size_t i = 0; i < 3; i++)
        if (op_takes(c, i, OP_F32) != 0)
            return -EINVAL;
    if (op_window_groups(c, 1, kind == OP_WINDOW_TRANSPOSED, &y) != 0 ||
        op_takes_vector(c, 2, y.dim[1], false) != 0 || op_window_check(c, kind, kernel_of(c->in[1]), &y) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}

int op_conv_check(struct op_check *c)
{
    return check_conv(c, OP_WINDOW_CONV);
}

int op_conv_transpose_check(struct op_check *c)
{
    return check_conv(c, OP_WINDOW_TRANSPOSED);
}

uint64_t op_conv_operations(const struct op_call *c)
{
    const struct infer_shape *w = &c->in[1]->shape;

    return op_product(2 * op_span(w, 1, w->rank) + 1, op_elements(c->out[0]));
}

uint64_t op_conv_transpose_operations(const struct op_call *c)
{
    const struct infer_shape *w = &c->in[1]->shape;

    return op_product(2 * op_span(w, 1, w->rank), op_elements(c->in[0])) + op_elements(c->out[0]);
}

/* ---- one spatial dimension: kernel.h ---- */

/* One sample and group. */
static struct kernel_conv1d conv1d_of(const struct op_call *c, size_t channels, size_t outputs)
{
    const int32_t *ints = c->node->ints;

    return (struct kernel_conv1d){.channels = channels,
                                  .length = c->in[0]->shape.dim[2],
                                  .outputs = outputs,
                                  .n_out = c->out[0]->shape.dim[2],
                                  .kernel = c->in[1]->shape.dim[2],
                                  .stride = (size_t)ints[2],
                                  .dilation = (size_t)ints[5],
                                  .pad_begin = (size_t)ints[8]};
}

typedef void conv1d_fn(const struct kernel_table *k, const struct kernel_conv1d *c, const float *x,
                       const float *w, const float *bias, float *y, void *scratch);

static void run_conv1d(const struct op_call *c, const struct kernel_conv1d *conv, conv1d_fn *fn)
{
    size_t n_groups = (size_t)c->node->ints[0], n_x = conv->channels * conv->length;
    size_t n_w = conv->channels * conv->outputs * conv->kernel, n_y = conv->outputs * conv->n_out;
    const float *x = c->x[0], *bias = c->x[2];
    float *y = c->y[0];

    for (size_t n = 0; n < c->in[0]->shape.dim[0]; n++)
        for (size_t g = 0; g < n_groups; g++, x += n_x, y += n_y)
            fn(kernel_best(), conv, x, (const float *)c->x[1] + g * n_w,
               bias == NULL ? NULL : bias + g * conv->outputs, y, c->scratch);
}

static struct kernel_conv1d conv1d_plain(const struct op_call *c)
{
    const struct infer_shape *w = &c->in[1]->shape;

    return conv1d_of(c, w->dim[1], w->dim[0] / (size_t)c->node->ints[0]);
}

static struct kernel_conv1d conv1d_transposed(const struct op_call *c)
{
    const struct infer_shape *w = &c->in[1]->shape;

    return conv1d_of(c, w->dim[0] / (size_t)c->node->ints[0], w->dim[1]);
}

size_t op_conv_scratch_bytes(const struct op_call *c)
{
    struct kernel_conv1d conv;

    if (c->in[0]->shape.rank != 3)
        return 0;
    conv = conv1d_plain(c);
    return kernel_conv1d_f32_scratch_bytes(&conv);
}

size_t op_conv_transpose_scratch_bytes(const struct op_call *c)
{
    struct kernel_conv1d conv;

    if (c->in[0]->shape.rank != 3)
        return 0;
    conv = conv1d_transposed(c);
    return kernel_conv1d_transpose_f32_scratch_bytes(&conv);
}

/* ---- more ---- */

/* One tap over a whole plane, row by row. */
static void add_tap(const struct op_window *w, const size_t k[OP_SPATIAL_MAX], float weight, const float *x,
                    float *y)
{
    struct op_range r[OP_SPATIAL_MAX];
    size_t first[OP_SPATIAL_MAX], step = w->stride[2];

    for (size_t d = 0; d < OP_SPATIAL_MAX; d++) {
        r[d] = op_window_met(w, d, k[d]);
        if (r[d].first == r[d].end)
            return;
        first[d] = r[d].first * w->stride[d] + k[d] * w->dilation[d] - w->pad[d];
    }
    for (size_t a = r[0].first, i0 = first[0]; a < r[0].end; a++, i0 += w->stride[0])
        for (size_t b = r[1].first, i1 = first[1]; b < r[1].end; b++, i1 += w->stride[1]) {
            const float *from = x + (i0 * w->in[1] + i1) * w->in[2] + first[2];
            float *to = y + (a * w->out[1] + b) * w->out[2] + r[2].first;
            size_t n = r[2].end - r[2].first;

            if (step == 1)
                kernel_add_row(to, weight, from, n);
            else
                for (size_t i = 0; i < n; i++)
                    to[i] += weight * from[i * step];
        }
}

/* w: one weight a tap. */
static void add_plane(const struct op_window *win, const float *w, const float *x, float *y)
{
    size_t k[OP_SPATIAL_MAX];

    for (k[0] = 0; k[0] < win->kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < win->kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < win->kernel[2]; k[2]++)
                add_tap(win, k, *w++, x, y);
}

static void fill_bias(const struct op_call *c, size_t plane)
{
    const struct infer_shape *s = &c->out[0]->shape;
    const float *bias = c->x[2];
    float *y = c->y[0];

    for (size_t i = 0; i < (size_t)s->dim[0] * s->dim[1]; i++)
        for (size_t k = 0; k < plane; k++)
            *y++ = bias == NULL ? 0 : bias[i % s->dim[1]];
}

void op_conv_run(const struct op_call *c)
{
    const struct infer_shape *sx = &c->in[0]->shape, *sw = &c->in[1]->shape;
    size_t group = (size_t)c->node->ints[0], m_count = sw->dim[0], per_group = m_count / group;
    struct op_window win;
    size_t in, out, taps;

    if (sx->rank == 3) {
        struct kernel_conv1d conv = conv1d_plain(c);

        run_conv1d(c, &conv, kernel_conv1d_f32);
        return;
    }
    op_window_init(&win, c, kernel_of(c->in[1]));
    in = op_window_in(&win);
    out = op_window_out(&win);
    taps = op_window_taps(&win);
    fill_bias(c, out);
    for (size_t n = 0; n < sx->dim[0]; n++)
        for (size_t m = 0; m < m_count; m++)
            for (size_t i = 0; i < sw->dim[1]; i++)
                add_plane(&win, (const float *)c->x[1] + (m * sw->dim[1] + i) * taps,
                          (const float *)c->x[0] + (n * sx->dim[1] + m / per_group * sw->dim[1] + i) * in,
                          (float *)c->y[0] + (n * m_count + m) * out);
}

/* ---- transposed: y and x change places ---- */

static void spread_tap(const struct op_window *w, const size_t k[OP_SPATIAL_MAX], float weight,
                       const float *x, float *y)
{
    struct op_range r[OP_SPATIAL_MAX];

    for (size_t d = 0; d < OP_SPATIAL_MAX; d++)
        r[d] = op_window_range(w->in[d], w->stride[d], k[d] * w->dilation[d], w->pad[d], w->out[d]);
    for (size_t a = r[0].first; a < r[0].end; a++)
        for (size_t b = r[1].first; b < r[1].end; b++)
            for (size_t i = r[2].first; i < r[2].end; i++) {
                size_t o0 = a * w->stride[0] + k[0] * w->dilation[0] - w->pad[0];
                size_t o1 = b * w->stride[1] + k[1] * w->dilation[1] - w->pad[1];
                size_t o2 = i * w->stride[2] + k[2] * w->dilation[2] - w->pad[2];

                y[(o0 * w->out[1] + o1) * w->out[2] + o2] += weight * x[(a * w->in[1] + b) * w->in[2] + i];
            }
}

static void spread_plane(const struct op_window *win, const float *w, const float *x, float *y)
{
    size_t k[OP_SPATIAL_MAX];

    for (k[0] = 0; k[0] < win->kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < win->kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < win->kernel[2]; k[2]++)
                spread_tap(win, k, *w++, x, y);
}

void op_conv_transpose_run(const struct op_call *c)
{
    const struct infer_shape *sx = &c->in[0]->shape, *sw = &c->in[1]->shape;
    size_t group = (size_t)c->node->ints[0], c_count = sx->dim[1], per_group = c_count / group;
    size_t m_count = sw->dim[1] * group, in, out, taps;
    struct op_window win;

    if (sx->rank == 3) {
        struct kernel_conv1d conv = conv1d_transposed(c);

        run_conv1d(c, &conv, kernel_conv1d_transpose_f32);
        return;
    }
    op_window_init(&win, c, kernel_of(c->in[1]));
    in = op_window_in(&win);
    out = op_window_out(&win);
    taps = op_window_taps(&win);
    fill_bias(c, out);
    for (size_t n = 0; n < sx->dim[0]; n++)
        for (size_t i = 0; i < c_count; i++)
            for (size_t m = 0; m < sw->dim[1]; m++)
                spread_plane(&win, (const float *)c->x[1] + (i * sw->dim[1] + m) * taps,
                             (const float *)c->x[0] + (n * c_count + i) * in,
                             (float *)c->y[0] + (n * m_count + i / per_group * sw->dim[1] + m) * out);
}

/* ---- batch normalisation ---- */

int op_batch_norm_check(struct op_check *c)
{
    int r = op_takes_rank(c, 0, 2, INFER_RANK_MAX);

    for (size_t i = 0; r == 0 && i < 5; i++)
        r = op_takes(c, i, OP_F32);
    for (size_t i = 1; r == 0 && i < 5; i++)
        r = op_takes_vector(c, i, c->in[0]->shape.dim[1], false);
    if (r == 0)
        op_gives(c, 0, INFER_F32, &c->in[0]->shape);
    return r;
}

void op_batch_norm_run(const struct op_call *c)
{
    const struct infer_shape *s = &c->in[0]->shape;
    const float *scale = c->x[1], *bias = c->x[2], *mean = c->x[3], *variance = c->x[4], *x = c->x[0];
    size_t plane = op_span(s, 2, s->rank);
    float *y = c->y[0];

    for (size_t i = 0; i < (size_t)s->dim[0] * s->dim[1]; i++) {
        size_t k = i % s->dim[1];
        float factor = scale[k] / sqrtf(variance[k] + c->node->floats[0]);

        for (size_t j = 0; j < plane; j++)
            *y++ = (*x++ - mean[k]) * factor + bias[k];
    }
}
