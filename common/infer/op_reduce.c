/* What takes many elements to one: reductions, and softmax, which needs them. */
#include "infer/op_private.h"

#include <math.h>

/* ---- softmax ---- */

int op_softmax_check(struct op_check *c)
{
    if (op_takes(c, 0, OP_F32) != 0 || op_takes_rank(c, 0, 1, INFER_RANK_MAX) != 0 ||
        op_takes_setting(c, 0, 0, c->in[0]->shape.rank - 1) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &c->in[0]->shape);
    return 0;
}

/* n values that stand `step` apart. */
static void softmax(const float *x, float *y, size_t n, size_t step, bool is_log)
{
    float most = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        most = x[i * step] > most ? x[i * step] : most;
    for (size_t i = 0; i < n; i++) {
        float e = expf(x[i * step] - most);

        sum += e;
        y[i * step] = is_log ? x[i * step] - most : e;
    }
    for (size_t i = 0; i < n; i++)
        y[i * step] = is_log ? y[i * step] - logf(sum) : y[i * step] / sum;
}

static void each_line(const struct op_call *c, bool is_log)
{
    const struct infer_shape *s = &c->in[0]->shape;
    size_t axis = (size_t)c->node->ints[0], n = s->dim[axis], inner = op_span(s, axis + 1, s->rank);

    for (size_t o = 0; o < op_span(s, 0, axis); o++)
        for (size_t i = 0; i < inner; i++)
            softmax((const float *)c->x[0] + o * n * inner + i, (float *)c->y[0] + o * n * inner + i, n,
                    inner, is_log);
}

void op_softmax_run(const struct op_call *c)
{
    each_line(c, false);
}

void op_log_softmax_run(const struct op_call *c)
{
    each_line(c, true);
}

/* ---- reductions ---- */

/* y without the axes of the mask, or with 1 in their place. */
static void reduced_shape(const struct infer_shape *x, unsigned mask, bool keep, struct infer_shape *ret_y)
{
    *ret_y = (struct infer_shape){0};
    for (unsigned i = 0; i < x->rank; i++)
        if (!(mask & 1U << i))
            ret_y->dim[ret_y->rank++] = x->dim[i];
        else if (keep)
            ret_y->dim[ret_y->rank++] = 1;
}

int op_reduce_check(struct op_check *c)
{
    struct infer_shape y;
    size_t n = 1;

    if (op_takes(c, 0, OP_F32) != 0 || op_takes_setting(c, 0, 0, (1 << c->in[0]->shape.rank) - 1) != 0)
        return -EINVAL;
    for (unsigned i = 0; i < c->in[0]->shape.rank; i++)
        n *= c->node->ints[0] & 1 << i ? c->in[0]->shape.dim[i] : 1;
    if (n == 0 && c->node->op != INFER_REDUCE_SUM)
        return op_refuse(c, "an axis that is reduced has no elements");
    reduced_shape(&c->in[0]->shape, (unsigned)c->node->ints[0], c->node->ints[1] != 0, &y);
    op_gives(c, 0, INFER_F32, &y);
    return 0;
}

/* Outputs whose elements are walked side by side. */
enum { SIDE_BY_SIDE = 8 };

/* n outputs, at most SIDE_BY_SIDE; their first elements are `step` apart. */
static void reduce_some(const struct op_call *c, const float *x, size_t step, size_t n,
                        const struct infer_shape *inner, const size_t *strides, float *y)
{
    size_t n_inner = infer_shape_elements(inner), at[INFER_RANK_MAX] = {0}, offset = 0;
    double sum[SIDE_BY_SIDE] = {0};
    float most[SIDE_BY_SIDE];

    for (size_t k = 0; k < n; k++)
        most[k] = -INFINITY;
    for (size_t i = 0; i < n_inner; i++) {
        for (size_t k = 0; k < n; k++) {
            float v = x[offset + k * step];

            sum[k] += v;
            most[k] = v <= most[k] ? most[k] : v; /* NaN comes through */
        }
        for (unsigned d = inner->rank; d-- > 0;) {
            offset += strides[d];
            if (++at[d] < inner->dim[d])
                break;
            at[d] = 0;
            offset -= strides[d] * inner->dim[d];
        }
    }
    for (size_t k = 0; k < n; k++) {
        if (c->node->op == INFER_REDUCE_MAX)
            y[k] = most[k];
        else
            y[k] = (float)(c->node->op == INFER_REDUCE_MEAN ? sum[k] / (double)n_inner : sum[k]);
    }
}

void op_reduce_run(const struct op_call *c)
{
    const struct infer_shape *x = &c->in[0]->shape;
    size_t inner_strides[INFER_RANK_MAX], outer_strides[OP_WALK_MAX][INFER_RANK_MAX] = {{0}};
    struct infer_shape inner = {0}, outer = {0};
    float *y = c->y[0];
    struct op_walk w;

    for (unsigned i = 0; i < x->rank; i++) {
        size_t stride = op_span(x, i + 1, x->rank);

        if (c->node->ints[0] & 1 << i) {
            inner_strides[inner.rank] = stride;
            inner.dim[inner.rank++] = x->dim[i];
        } else {
            outer_strides[0][outer.rank] = stride;
            outer.dim[outer.rank++] = x->dim[i];
        }
    }
    op_walk_init(&w, &outer, 1, outer_strides);
    for (size_t i = 0; i < w.n_rows; i++, op_walk_next(&w, 1))
        for (size_t k = 0; k < w.row; k += SIDE_BY_SIDE) {
            size_t n = w.row - k < SIDE_BY_SIDE ? w.row - k : SIDE_BY_SIDE;

            reduce_some(c, (const float *)c->x[0] + w.offset[0] + k * w.step[0], w.step[0], n, &inner,
                        inner_strides, y);
            y += n;
        }
}

/* ---- ArgMax ---- */

int op_arg_max_check(struct op_check *c)
{
    struct infer_shape y;

    if (op_takes(c, 0, OP_ARITHMETIC | OP_F64) != 0 || op_takes_rank(c, 0, 1, INFER_RANK_MAX) != 0 ||
        op_takes_setting(c, 0, 0, c->in[0]->shape.rank - 1) != 0)
        return -EINVAL;
    if (c->in[0]->shape.dim[c->node->ints[0]] == 0)
        return op_refuse(c, "the axis has no elements");
    reduced_shape(&c->in[0]->shape, 1U << c->node->ints[0], c->node->ints[1] != 0, &y);
    op_gives(c, 0, INFER_I64, &y);
    return 0;
}

#define ARG_MAX(T)                                                                                           \
    do {                                                                                                     \
        const T *x = (const T *)c->x[0] + first;                                                             \
                                                                                                             \
        for (size_t i = 1; i < n; i++)                                                                       \
            if (x[i * step] > x[best * step] || (last && x[i * step] == x[best * step]))                     \
                best = i;                                                                                    \
    } while (0)

static size_t arg_max(const struct op_call *c, size_t first, size_t n, size_t step)
{
    bool last = c->node->ints[2] != 0;
    size_t best = 0;

    switch (c->in[0]->type) {
    case INFER_F32:
        ARG_MAX(float);
        break;
    case INFER_F64:
        ARG_MAX(double);
        break;
    case INFER_I8:
        ARG_MAX(int8_t);
        break;
    case INFER_U8:
        ARG_MAX(uint8_t);
        break;
    case INFER_I32:
        ARG_MAX(int32_t);
        break;
    default:
        ARG_MAX(int64_t);
        break;
    }
    return best;
}

void op_arg_max_run(const struct op_call *c)
{
    const struct infer_shape *s = &c->in[0]->shape;
    size_t axis = (size_t)c->node->ints[0], n = s->dim[axis], inner = op_span(s, axis + 1, s->rank);
    int64_t *y = c->y[0];

    for (size_t o = 0; o < op_span(s, 0, axis); o++)
        for (size_t i = 0; i < inner; i++)
            *y++ = (int64_t)arg_max(c, o * n * inner + i, n, inner);
}
