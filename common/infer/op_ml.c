/* The small operators of ai.onnx.ml, and what becomes of scores. */
#include "infer/kernel.h"
#include "infer/op_private.h"

#include <math.h>

/* ---- post transforms ---- */

float op_logistic(float x)
{
    float v = 1 / (1 + expf(-fabsf(x)));

    return x < 0 ? 1 - v : v;
}

/* The inverse of the error function by Winitzki's formula, as ONNX Runtime has it. */
float op_probit(float x)
{
    float v = 2 * x - 1, sign = v < 0 ? -1.0f : 1.0f, l, a;

    l = logf((1 - v) * (1 + v));
    a = 2 / (3.14159f * 0.147f) + 0.5f * l;
    return 1.41421356f * (sign * sqrtf(-a + sqrtf(a * a - 1 / 0.147f * l)));
}

/* keep_zero: a score of 0 stays (almost) 0. */
static void soft(float *scores, size_t n, bool keep_zero)
{
    float most = -INFINITY, sum = 0, factor;

    for (size_t i = 0; i < n; i++)
        most = scores[i] > most ? scores[i] : most;
    factor = expf(-most);
    for (size_t i = 0; i < n; i++)
        if (!keep_zero || fabsf(scores[i]) > 1e-7f) {
            scores[i] = expf(scores[i] - most);
            sum += scores[i];
        } else {
            scores[i] *= factor;
        }
    for (size_t i = 0; i < n && sum > 0; i++)
        scores[i] /= sum;
}

void op_post(enum infer_post post, float *scores, size_t n)
{
    switch (post) {
    case INFER_POST_NONE:
        break;
    case INFER_POST_SOFTMAX:
    case INFER_POST_SOFTMAX_ZERO:
        soft(scores, n, post == INFER_POST_SOFTMAX_ZERO);
        break;
    case INFER_POST_LOGISTIC:
        for (size_t i = 0; i < n; i++)
            scores[i] = op_logistic(scores[i]);
        break;
    case INFER_POST_PROBIT:
        for (size_t i = 0; i < n; i++)
            scores[i] = op_probit(scores[i]);
        break;
    }
}

/* ---- Scaler, Imputer: a vector over the last dimension ---- */

static int check_rows(struct op_check *c, unsigned types)
{
    if (op_takes(c, 0, types) != 0 || op_takes_rank(c, 0, 1, INFER_RANK_MAX) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &c->in[0]->shape);
    return 0;
}

static size_t row_of(const struct infer_tensor *t)
{
    return t->shape.dim[t->shape.rank - 1];
}

int op_scaler_check(struct op_check *c)
{
    if (check_rows(c, OP_F32 | OP_F64 | OP_I32 | OP_I64) != 0 || op_takes(c, 1, OP_F32) != 0 ||
        op_takes(c, 2, OP_F32) != 0 || op_takes_vector(c, 1, row_of(c->in[0]), true) != 0)
        return -EINVAL;
    return op_takes_vector(c, 2, row_of(c->in[0]), true);
}

static float number(const struct op_call *c, size_t i)
{
    switch (c->in[0]->type) {
    case INFER_F32:
        return ((const float *)c->x[0])[i];
    case INFER_F64:
        return (float)((const double *)c->x[0])[i];
    case INFER_I32:
        return (float)((const int32_t *)c->x[0])[i];
    default:
        return (float)((const int64_t *)c->x[0])[i];
    }
}

/* Element k of a row, from a vector or the one value. */
static float of_row(const struct op_call *c, size_t in, size_t k)
{
    return ((const float *)c->x[in])[op_elements(c->in[in]) == 1 ? 0 : k];
}

void op_scaler_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]), row = row_of(c->in[0]);

    for (size_t i = 0; i < n; i++)
        ((float *)c->y[0])[i] = (number(c, i) - of_row(c, 1, i % row)) * of_row(c, 2, i % row);
}

int op_imputer_check(struct op_check *c)
{
    if (check_rows(c, OP_F32) != 0 || op_takes(c, 1, OP_F32) != 0 || op_takes(c, 2, OP_F32) != 0 ||
        op_takes_vector(c, 1, row_of(c->in[0]), true) != 0)
        return -EINVAL;
    return op_takes_one(c, 2);
}

void op_imputer_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]), row = row_of(c->in[0]);
    float replaced = *(const float *)c->x[2];
    const float *x = c->x[0];

    for (size_t i = 0; i < n; i++) {
        bool is_it = isnan(replaced) ? isnan(x[i]) : x[i] == replaced;

        ((float *)c->y[0])[i] = is_it ? of_row(c, 1, i % row) : x[i];
    }
}

/* ---- Normalizer ---- */

enum { NORM_MAX = 0, NORM_L1 = 1, NORM_L2 = 2 };

int op_normalizer_check(struct op_check *c)
{
    int r = check_rows(c, OP_F32);

    return r != 0 ? r : op_takes_setting(c, 0, NORM_MAX, NORM_L2);
}

static float norm(const float *x, size_t n, int kind)
{
    float most = -INFINITY;
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        most = x[i] > most ? x[i] : most;
        sum += kind == NORM_L1 ? fabs((double)x[i]) : (double)x[i] * x[i];
    }
    return kind == NORM_MAX ? most : (float)(kind == NORM_L1 ? sum : sqrt(sum));
}

/* A row whose norm is 0 stays. */
void op_normalizer_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]), row = row_of(c->in[0]);
    const float *x = c->x[0];
    float *y = c->y[0];

    for (size_t i = 0; i < n; i += row) {
        float by = norm(x + i, row, c->node->ints[0]);

        for (size_t k = 0; k < row; k++)
            y[i + k] = by == 0 ? x[i + k] : x[i + k] / by;
    }
}

/* ---- linear models ---- */

int op_linear_check(struct op_check *c)
{
    struct infer_shape y = {.rank = 2};

    for (size_t i = 0; i < 3; i++)
        if (op_takes(c, i, OP_F32) != 0 || (i < 2 && op_takes_rank(c, i, 2, 2) != 0))
            return -EINVAL;
    if (c->in[0]->shape.dim[1] != c->in[1]->shape.dim[1])
        return op_refuse(c, "the coefficients are for %u features, the input has %u", c->in[1]->shape.dim[1],
                         c->in[0]->shape.dim[1]);
    if (op_takes_vector(c, 2, c->in[1]->shape.dim[0], false) != 0 ||
        op_takes_setting(c, 0, INFER_POST_NONE, INFER_POST_PROBIT) != 0)
        return -EINVAL;
    y.dim[0] = c->in[0]->shape.dim[0];
    y.dim[1] = c->in[1]->shape.dim[0];
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}

uint64_t op_linear_operations(const struct op_call *c)
{
    return op_product(2 * (uint64_t)c->in[1]->shape.dim[1] + 1, op_elements(c->out[0]));
}

void op_linear_run(const struct op_call *c)
{
    size_t k = c->in[1]->shape.dim[1], m = c->in[1]->shape.dim[0];
    float *y = c->y[0];

    for (size_t n = 0; n < c->in[0]->shape.dim[0]; n++, y += m) {
        kernel_best()->dense_f32((const float *)c->x[0] + n * k, c->x[1], c->x[2], k, m, y);
        op_post((enum infer_post)c->node->ints[0], y, m);
    }
}

void op_binarizer_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]);

    for (size_t i = 0; i < n; i++)
        ((float *)c->y[0])[i] = ((const float *)c->x[0])[i] > c->node->floats[0] ? 1 : 0;
}
