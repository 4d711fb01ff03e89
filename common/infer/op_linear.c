/* Products of float32 matrices. */
#include "infer/kernel.h"
#include "infer/kernel_loops.h"
#include "infer/op_private.h"

struct matmul {
    struct infer_shape batch_a, batch_b, batch; /* the dimensions before the last two */
    size_t m, k, n;
};

/* ---- Gemm ---- */

int op_gemm_check(struct op_check *c)
{
    const struct infer_shape *a, *b;
    struct infer_shape y = {.rank = 2}, both;
    size_t k_a, k_b;
    bool trans_a = c->node->ints[0] != 0, trans_b = c->node->ints[1] != 0;

    for (size_t i = 0; i < 3; i++)
        if (op_takes(c, i, OP_F32) != 0 || (i < 2 && op_takes_rank(c, i, 2, 2) != 0))
            return -EINVAL;
    a = &c->in[0]->shape;
    b = &c->in[1]->shape;
    k_a = a->dim[trans_a ? 0 : 1];
    k_b = b->dim[trans_b ? 1 : 0];
    if (k_a != k_b)
        return op_refuse(c, "the first matrix has %zu columns, the second %zu rows", k_a, k_b);
    y.dim[0] = a->dim[trans_a ? 1 : 0];
    y.dim[1] = b->dim[trans_b ? 0 : 1];
    if (c->in[2] != NULL && (!op_broadcast(&y, &c->in[2]->shape, &both) || !infer_shape_equal(&y, &both)))
        return op_refuse(c, "the third input cannot be broadcast to %u x %u", y.dim[0], y.dim[1]);
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}

uint64_t op_gemm_operations(const struct op_call *c)
{
    size_t k = c->in[0]->shape.dim[c->node->ints[0] != 0 ? 0 : 1];

    return op_product(2 * k + 2, op_elements(c->out[0]));
}

/* y = alpha * y + beta * C */
static void scale_and_add(const struct op_call *c)
{
    const struct infer_shape *shape = &c->out[0]->shape;
    float alpha = c->node->floats[0], beta = c->node->floats[1], *y = c->y[0];
    const float *add = c->x[2];
    size_t strides[INFER_RANK_MAX] = {0}, n_cols = shape->dim[1];

    if (alpha != 1)
        for (size_t i = 0; i < shape->dim[0] * n_cols; i++)
            y[i] *= alpha;
    if (add == NULL)
        return;
    op_strides(&c->in[2]->shape, shape, strides);
    for (size_t i = 0; i < shape->dim[0]; i++)
        for (size_t j = 0; j < n_cols; j++)
            y[i * n_cols + j] += beta * add[i * strides[0] + j * strides[1]];
}

void op_gemm_run(const struct op_call *c)
{
    const struct infer_shape *sa = &c->in[0]->shape;
    bool trans_a = c->node->ints[0] != 0, trans_b = c->node->ints[1] != 0;
    size_t m = c->out[0]->shape.dim[0], n = c->out[0]->shape.dim[1], k = sa->dim[trans_a ? 0 : 1];
    size_t next_row = trans_a ? 1 : k, next_k = trans_a ? m : 1;
    bool folds = c->node->floats[0] == 1 && c->node->floats[1] == 1 && trans_b && !trans_a &&
                 c->in[2] != NULL && op_elements(c->in[2]) == n && c->in[2]->shape.rank > 0 &&
                 c->in[2]->shape.dim[c->in[2]->shape.rank - 1] == n;
    const float *a = c->x[0], *b = c->x[1];
    float *y = c->y[0];

    if (m == 0 || n == 0)
        return;
    if (trans_b && !trans_a) {
        for (size_t i = 0; i < m; i++)
            kernel_best()->dense_f32(a + i * k, b, folds ? c->x[2] : NULL, k, n, y + i * n);
    } else {
        memset(y, 0, m * n * sizeof *y);
        for (size_t i = 0; i < m; i++)
            for (size_t p = 0; p < k; p++) {
                float v = a[i * next_row + p * next_k];

                if (!trans_b)
                    /* Rows of B in turn, so that the inner loop has no sum in it. */
                    kernel_add_row(y + i * n, v, b + p * n, n);
                else
                    for (size_t j = 0; j < n; j++)
                        y[i * n + j] += v * b[j * k + p];
            }
    }
    if (!folds)
        scale_and_add(c);
}

/* ---- MatMul ---- */

static struct matmul matmul_of(const struct infer_shape *a, const struct infer_shape *b)
{
    struct matmul s = {.batch_a = *a, .batch_b = *b, .m = 1, .n = 1};

    s.k = a->dim[a->rank - 1];
    s.m = a->rank > 1 ? a->dim[a->rank - 2] : 1;
    s.n = b->rank > 1 ? b->dim[b->rank - 1] : 1;
    s.batch_a.rank = a->rank > 2 ? (uint8_t)(a->rank - 2) : 0;
    s.batch_b.rank = b->rank > 2 ? (uint8_t)(b->rank - 2) : 0;
    return s;
}

int op_matmul_shape(struct op_check *c, size_t i_a, size_t i_b, struct infer_shape *ret_shape)
{
    const struct infer_shape *a = &c->in[i_a]->shape, *b = &c->in[i_b]->shape;
    struct matmul s;
    size_t k_b;

    if (op_takes_rank(c, i_a, 1, INFER_RANK_MAX) != 0 || op_takes_rank(c, i_b, 1, INFER_RANK_MAX) != 0)
        return -EINVAL;
    s = matmul_of(a, b);
    k_b = b->dim[b->rank > 1 ? b->rank - 2 : 0];
    if (s.k != k_b)
        return op_refuse(c, "the first matrix has %zu columns, the second %zu rows", s.k, k_b);
    if (!op_broadcast(&s.batch_a, &s.batch_b, ret_shape))
        return op_refuse(c, "the leading dimensions cannot be broadcast to each other");
    if (a->rank > 1)
        ret_shape->dim[ret_shape->rank++] = (uint32_t)s.m;
    if (b->rank > 1)
        ret_shape->dim[ret_shape->rank++] = (uint32_t)s.n;
    return 0;
}

void op_matmul_each(const struct op_call *c, size_t i_a, size_t i_b, op_matmul_fn *fn)
{
    struct matmul s = matmul_of(&c->in[i_a]->shape, &c->in[i_b]->shape);
    size_t strides[OP_WALK_MAX][INFER_RANK_MAX] = {0}, y = 0;
    struct op_matmul_part part = {.m = s.m, .k = s.k, .n = s.n};
    struct op_walk w;

    if (!op_broadcast(&s.batch_a, &s.batch_b, &s.batch) || s.m * s.n == 0)
        return;
    op_strides(&s.batch_a, &s.batch, strides[0]);
    op_strides(&s.batch_b, &s.batch, strides[1]);
    op_walk_init(&w, &s.batch, 2, strides);
    for (size_t i = 0; i < w.n_rows; i++, op_walk_next(&w, 2))
        for (size_t j = 0; j < w.row; j++, y += s.m * s.n) {
            part.a = (w.offset[0] + j * w.step[0]) * s.m * s.k;
            part.b = (w.offset[1] + j * w.step[1]) * s.k * s.n;
            part.y = y;
            fn(c, &part);
        }
}

int op_matmul_check(struct op_check *c)
{
    struct infer_shape shape;

    if (op_takes(c, 0, OP_F32) != 0 || op_takes(c, 1, OP_F32) != 0 || op_matmul_shape(c, 0, 1, &shape) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &shape);
    return 0;
}

uint64_t op_matmul_operations(const struct op_call *c)
{
    const struct infer_shape *a = &c->in[0]->shape;

    return op_product(2 * (uint64_t)a->dim[a->rank - 1] + 1, op_elements(c->out[0]));
}

static void multiply(const struct op_call *c, const struct op_matmul_part *p)
{
    const float *a = (const float *)c->x[0] + p->a, *b = (const float *)c->x[1] + p->b;
    float *y = (float *)c->y[0] + p->y;

    if (p->n == 1) { /* a column of B is one row of weights */
        for (size_t i = 0; i < p->m; i++)
            kernel_best()->dense_f32(a + i * p->k, b, NULL, p->k, 1, y + i);
        return;
    }
    memset(y, 0, p->m * p->n * sizeof *y);
    for (size_t i = 0; i < p->m; i++)
        for (size_t k = 0; k < p->k; k++)
            kernel_add_row(y + i * p->n, a[i * p->k + k], b + k * p->n, p->n);
}

void op_matmul_run(const struct op_call *c)
{
    op_matmul_each(c, 0, 1, multiply);
}
