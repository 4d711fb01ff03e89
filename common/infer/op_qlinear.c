/* Convolutions and products of 8-bit numbers as ONNX has them. Sums are exact; what is beyond their range is
 * refused by the checks. */
#include "infer/op_window.h"

/* ---- products of matrices ---- */

enum { A = 0, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, BIAS };

static int check_terms(const struct op_check *c, size_t k)
{
    if (k > OP_SUM_TERMS_MAX)
        return op_refuse(c, "sums of %zu products may be too great for int32, at most %d are allowed", k,
                         OP_SUM_TERMS_MAX);
    return 0;
}

/* Input i is a factor of 8 bits, `zero` its zero point of the same type. */
static int check_factor(const struct op_check *c, size_t i, size_t zero)
{
    int r = op_takes(c, i, OP_BYTE);

    return r != 0 ? r : op_takes(c, zero, 1U << c->in[i]->type);
}

static size_t rows_of(const struct infer_tensor *a)
{
    return a->shape.rank > 1 ? a->shape.dim[a->shape.rank - 2] : 1;
}

static size_t columns_of(const struct infer_tensor *b)
{
    return b->shape.rank > 1 ? b->shape.dim[b->shape.rank - 1] : 1;
}

/* Zero points: one for all, or one for each row of A, each column of B. */
static int check_matmul(struct op_check *c, size_t b, size_t a_zero, size_t b_zero, struct infer_shape *ret_y)
{
    const struct infer_shape *sa = &c->in[0]->shape;

    if (check_factor(c, 0, a_zero) != 0 || check_factor(c, b, b_zero) != 0 ||
        op_matmul_shape(c, 0, b, ret_y) != 0 || check_terms(c, sa->dim[sa->rank - 1]) != 0)
        return -EINVAL;
    if (op_takes_vector(c, a_zero, rows_of(c->in[0]), true) != 0)
        return -EINVAL;
    return op_takes_vector(c, b_zero, columns_of(c->in[b]), true);
}

int op_matmul_integer_check(struct op_check *c)
{
    struct infer_shape y;

    if (check_matmul(c, 1, 2, 3, &y) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_I32, &y);
    return 0;
}

/* Of the forms with eight inputs. */
static int check_scales(const struct op_check *c)
{
    if (op_takes(c, A_SCALE, OP_F32) != 0 || op_takes(c, B_SCALE, OP_F32) != 0 ||
        op_takes(c, Y_SCALE, OP_F32) != 0 || op_takes(c, Y_ZERO, OP_BYTE) != 0 ||
        op_takes_one(c, Y_SCALE) != 0)
        return -EINVAL;
    return op_takes_one(c, Y_ZERO);
}

int op_qlinear_matmul_check(struct op_check *c)
{
    struct infer_shape y;

    if (check_scales(c) != 0 || check_matmul(c, B, A_ZERO, B_ZERO, &y) != 0)
        return -EINVAL;
    if (op_takes_vector(c, A_SCALE, rows_of(c->in[A]), true) != 0 ||
        op_takes_vector(c, B_SCALE, columns_of(c->in[B]), true) != 0)
        return -EINVAL;
    op_gives(c, 0, c->in[Y_ZERO]->type, &y);
    return 0;
}

uint64_t op_qlinear_matmul_operations(const struct op_call *c)
{
    const struct infer_shape *a = &c->in[0]->shape;

    return op_product(2 * (uint64_t)a->dim[a->rank - 1] + 1, op_elements(c->out[0]));
}

/* Value i of input `in` where it has one for each, else the only one; 0 when it was left out. */
static int32_t zero_at(const struct op_call *c, size_t in, size_t i)
{
    return c->in[in] == NULL ? 0
                             : op_small_int(c->x[in], c->in[in]->type, op_elements(c->in[in]) > 1 ? i : 0);
}

static float scale_at(const struct op_call *c, size_t in, size_t i)
{
    return ((const float *)c->x[in])[op_elements(c->in[in]) > 1 ? i : 0];
}

/* Row i of A with column j of B. */
static int32_t sum_of(const struct op_call *c, const struct op_matmul_part *p, size_t b, size_t i, size_t j,
                      int32_t a_zero, int32_t b_zero)
{
    int32_t sum = 0;

    for (size_t k = 0; k < p->k; k++)
        sum += (op_small_int(c->x[0], c->in[0]->type, p->a + i * p->k + k) - a_zero) *
               (op_small_int(c->x[b], c->in[b]->type, p->b + k * p->n + j) - b_zero);
    return sum;
}

static void multiply_integer(const struct op_call *c, const struct op_matmul_part *p)
{
    int32_t *y = (int32_t *)c->y[0] + p->y;

    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++)
            *y++ = sum_of(c, p, 1, i, j, zero_at(c, 2, i), zero_at(c, 3, j));
}

void op_matmul_integer_run(const struct op_call *c)
{
    op_matmul_each(c, 0, 1, multiply_integer);
}

static void put_byte(const struct op_call *c, size_t i, float v)
{
    int32_t zero = zero_at(c, Y_ZERO, 0);

    if (c->out[0]->type == INFER_I8)
        ((int8_t *)c->y[0])[i] = (int8_t)op_requantize(v, zero, INT8_MIN, INT8_MAX);
    else
        ((uint8_t *)c->y[0])[i] = (uint8_t)op_requantize(v, zero, 0, UINT8_MAX);
}

static void multiply_qlinear(const struct op_call *c, const struct op_matmul_part *p)
{
    float y_scale = scale_at(c, Y_SCALE, 0);

    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            float multiplier = scale_at(c, A_SCALE, i) * scale_at(c, B_SCALE, j) / y_scale;

            put_byte(c, p->y + i * p->n + j,
                     (float)sum_of(c, p, B, i, j, zero_at(c, A_ZERO, i), zero_at(c, B_ZERO, j)) * multiplier);
        }
}

void op_qlinear_matmul_run(const struct op_call *c)
{
    op_matmul_each(c, A, B, multiply_qlinear);
}

/* ---- convolutions ---- */

static int check_conv(struct op_check *c, size_t w, size_t x_zero, size_t w_zero, struct infer_shape *ret_y)
{
    const struct infer_shape *s = &c->in[w]->shape;

    if (check_factor(c, 0, x_zero) != 0 || check_factor(c, w, w_zero) != 0 ||
        op_window_groups(c, w, false, ret_y) != 0 ||
        op_window_check(c, OP_WINDOW_CONV, s->dim + 2, ret_y) != 0 ||
        check_terms(c, op_span(s, 1, s->rank)) != 0 || op_takes_one(c, x_zero) != 0)
        return -EINVAL;
    return op_takes_vector(c, w_zero, s->dim[0], true);
}

int op_conv_integer_check(struct op_check *c)
{
    struct infer_shape y = {0};

    if (check_conv(c, 1, 2, 3, &y) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_I32, &y);
    return 0;
}

int op_qlinear_conv_check(struct op_check *c)
{
    struct infer_shape y = {0};

    if (check_scales(c) != 0 || check_conv(c, B, A_ZERO, B_ZERO, &y) != 0 || op_takes(c, BIAS, OP_I32) != 0 ||
        op_takes_one(c, A_SCALE) != 0 || op_takes_vector(c, B_SCALE, y.dim[1], true) != 0 ||
        op_takes_vector(c, BIAS, y.dim[1], false) != 0)
        return -EINVAL;
    op_gives(c, 0, c->in[Y_ZERO]->type, &y);
    return 0;
}

static uint64_t conv_operations(const struct op_call *c, size_t w)
{
    const struct infer_shape *s = &c->in[w]->shape;

    return op_product(2 * op_span(s, 1, s->rank) + 1, op_elements(c->out[0]));
}

uint64_t op_conv_integer_operations(const struct op_call *c)
{
    return conv_operations(c, 1);
}

uint64_t op_qlinear_conv_operations(const struct op_call *c)
{
    return conv_operations(c, B);
}

struct conv {
    struct op_window win;
    size_t w, x_zero, w_zero; /* inputs */
    size_t in, out, taps, m_count, w_channels, per_group;
};

static struct conv conv_of(const struct op_call *c, size_t w, size_t x_zero, size_t w_zero)
{
    const struct infer_shape *s = &c->in[w]->shape;
    struct conv v = {.w = w, .x_zero = x_zero, .w_zero = w_zero};

    op_window_init(&v.win, c, s->dim + 2);
    v.in = op_window_in(&v.win);
    v.out = op_window_out(&v.win);
    v.taps = op_window_taps(&v.win);
    v.m_count = s->dim[0];
    v.w_channels = s->dim[1];
    v.per_group = s->dim[0] / (size_t)c->node->ints[0];
    return v;
}

/* The sum of window o[] of channel m of sample n. */
static int32_t window_sum(const struct op_call *c, const struct conv *v, size_t n, size_t m,
                          const size_t o[OP_SPATIAL_MAX])
{
    const struct op_window *w = &v->win;
    int32_t x_zero = zero_at(c, v->x_zero, 0), w_zero = zero_at(c, v->w_zero, m), sum = 0;
    size_t x = (n * c->in[0]->shape.dim[1] + m / v->per_group * v->w_channels) * v->in;
    size_t weight = m * v->w_channels * v->taps;
    struct op_range r[OP_SPATIAL_MAX];

    for (size_t d = 0; d < OP_SPATIAL_MAX; d++)
        r[d] = op_window_inside(w, d, o[d]);
    for (size_t i = 0; i < v->w_channels; i++, x += v->in, weight += v->taps)
        for (size_t a = r[0].first; a < r[0].end; a++)
            for (size_t b = r[1].first; b < r[1].end; b++)
                for (size_t k = r[2].first; k < r[2].end; k++) {
                    size_t i0 = o[0] * w->stride[0] + a * w->dilation[0] - w->pad[0];
                    size_t i1 = o[1] * w->stride[1] + b * w->dilation[1] - w->pad[1];
                    size_t i2 = o[2] * w->stride[2] + k * w->dilation[2] - w->pad[2];

                    sum += (op_small_int(c->x[0], c->in[0]->type, x + (i0 * w->in[1] + i1) * w->in[2] + i2) -
                            x_zero) *
                           (op_small_int(c->x[v->w], c->in[v->w]->type,
                                         weight + (a * w->kernel[1] + b) * w->kernel[2] + k) -
                            w_zero);
                }
    return sum;
}

static void each_sum(const struct op_call *c, const struct conv *v,
                     void (*put)(const struct op_call *c, size_t m, size_t i, int32_t sum))
{
    size_t o[OP_SPATIAL_MAX], i = 0;

    for (size_t n = 0; n < c->in[0]->shape.dim[0]; n++)
        for (size_t m = 0; m < v->m_count; m++)
            for (o[0] = 0; o[0] < v->win.out[0]; o[0]++)
                for (o[1] = 0; o[1] < v->win.out[1]; o[1]++)
                    for (o[2] = 0; o[2] < v->win.out[2]; o[2]++)
                        put(c, m, i++, window_sum(c, v, n, m, o));
}

static void put_integer(const struct op_call *c, size_t m, size_t i, int32_t sum)
{
    (void)m;
    ((int32_t *)c->y[0])[i] = sum;
}

void op_conv_integer_run(const struct op_call *c)
{
    struct conv v = conv_of(c, 1, 2, 3);

    each_sum(c, &v, put_integer);
}

static void put_qlinear(const struct op_call *c, size_t m, size_t i, int32_t sum)
{
    float multiplier = scale_at(c, A_SCALE, 0) * scale_at(c, B_SCALE, m) / scale_at(c, Y_SCALE, 0);
    int64_t bias = c->x[BIAS] == NULL ? 0 : ((const int32_t *)c->x[BIAS])[m];

    put_byte(c, i, (float)(sum + bias) * multiplier);
}

void op_qlinear_conv_run(const struct op_call *c)
{
    struct conv v = conv_of(c, B, A_ZERO, B_ZERO);

    each_sum(c, &v, put_qlinear);
}
