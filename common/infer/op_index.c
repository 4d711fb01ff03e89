/* Copies of whole blocks: Concat, Pad, Gather. */
#include "infer/op_private.h"

/* ---- Concat ---- */

int op_concat_check(struct op_check *c)
{
    struct infer_shape y;
    size_t axis;
    int64_t n = 0;

    if (op_takes(c, 0, OP_PLAIN) != 0 || op_takes_rank(c, 0, 1, INFER_RANK_MAX) != 0 ||
        op_takes_setting(c, 0, 0, c->in[0]->shape.rank - 1) != 0)
        return -EINVAL;
    y = c->in[0]->shape;
    axis = (size_t)c->node->ints[0];
    for (size_t i = 0; i < c->node->n_inputs; i++) {
        struct infer_shape s;

        if (c->in[i] == NULL)
            return op_refuse(c, "input %zu is missing", i);
        if (op_takes(c, i, 1U << c->in[0]->type) != 0 || op_takes_rank(c, i, y.rank, y.rank) != 0)
            return -EINVAL;
        s = c->in[i]->shape;
        n += s.dim[axis];
        s.dim[axis] = y.dim[axis];
        if (!infer_shape_equal(&s, &y))
            return op_refuse(c, "input %zu differs from the first in more than axis %zu", i, axis);
    }
    if (op_dim(c, &y, axis, n) != 0)
        return -EINVAL;
    op_gives(c, 0, c->in[0]->type, &y);
    return 0;
}

void op_concat_run(const struct op_call *c)
{
    const struct infer_shape *s = &c->out[0]->shape;
    size_t axis = (size_t)c->node->ints[0], outer = op_span(s, 0, axis), at = 0;
    size_t bytes = op_span(s, axis + 1, s->rank) * infer_type_bytes(c->out[0]->type);

    for (size_t i = 0; i < c->node->n_inputs; i++) {
        size_t n = c->in[i]->shape.dim[axis] * bytes;

        for (size_t o = 0; o < outer && n > 0; o++)
            memcpy((char *)c->y[0] + o * s->dim[axis] * bytes + at, (const char *)c->x[i] + o * n, n);
        at += n;
    }
}

/* ---- Pad ---- */

enum { MODE = 0, BEGIN = 1, END = 7, CONSTANT = 0, REFLECT = 1, EDGE = 2 };

int op_pad_check(struct op_check *c)
{
    const int32_t *ints = c->node->ints;
    struct infer_shape y;

    if (op_takes(c, 0, OP_PLAIN) != 0 || op_takes_setting(c, MODE, CONSTANT, EDGE) != 0)
        return -EINVAL;
    y = c->in[0]->shape;
    if (op_takes(c, 1, 1U << c->in[0]->type) != 0 || op_takes_one(c, 1) != 0)
        return -EINVAL;
    for (size_t i = 0; i < y.rank; i++) {
        int32_t most = ints[BEGIN + i] > ints[END + i] ? ints[BEGIN + i] : ints[END + i];

        if (op_takes_setting(c, BEGIN + i, 0, INT32_MAX) != 0 ||
            op_takes_setting(c, END + i, 0, INT32_MAX) != 0)
            return -EINVAL;
        if (most > 0 && ints[MODE] == EDGE && y.dim[i] == 0)
            return op_refuse(c, "axis %zu has no edge to repeat", i);
        if (most > 0 && ints[MODE] == REFLECT && (uint32_t)most >= y.dim[i])
            return op_refuse(c, "axis %zu has %u elements, too few to reflect %d", i, y.dim[i], most);
        if (op_dim(c, &y, i, (int64_t)y.dim[i] + ints[BEGIN + i] + ints[END + i]) != 0)
            return -EINVAL;
    }
    op_gives(c, 0, c->in[0]->type, &y);
    return 0;
}

/* Which index of x stands at index i of y; -1: the value. */
static int64_t source(const struct infer_node *node, size_t axis, int64_t i, int64_t n)
{
    i -= node->ints[BEGIN + axis];
    if (i >= 0 && i < n)
        return i;
    if (node->ints[MODE] == CONSTANT)
        return -1;
    if (node->ints[MODE] == EDGE)
        return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
}

void op_pad_run(const struct op_call *c)
{
    static const uint8_t zero[8];
    const struct infer_shape *x = &c->in[0]->shape, *s = &c->out[0]->shape;
    size_t bytes = infer_type_bytes(c->out[0]->type), n = op_elements(c->out[0]), at[INFER_RANK_MAX] = {0};
    const void *value = c->x[1] != NULL ? c->x[1] : zero;
    char *y = c->y[0];

    for (size_t i = 0; i < n; i++, y += bytes) {
        const char *from = c->x[0];

        for (size_t d = 0; d < s->rank && from != NULL; d++) {
            int64_t k = source(c->node, d, (int64_t)at[d], x->dim[d]);

            from = k < 0 ? NULL : from + (size_t)k * op_span(x, d + 1, x->rank) * bytes;
        }
        memcpy(y, from != NULL ? from : value, bytes);
        for (unsigned d = s->rank; d-- > 0;) {
            if (++at[d] < s->dim[d])
                break;
            at[d] = 0;
        }
    }
}

/* ---- Gather ---- */

int op_gather_check(struct op_check *c)
{
    const struct infer_shape *x, *indices;
    struct infer_shape y = {0};
    size_t axis;

    if (op_takes(c, 0, OP_PLAIN) != 0 || op_takes(c, 1, OP_I32 | OP_I64) != 0 ||
        op_takes_rank(c, 0, 1, INFER_RANK_MAX) != 0 ||
        op_takes_setting(c, 0, 0, c->in[0]->shape.rank - 1) != 0)
        return -EINVAL;
    x = &c->in[0]->shape;
    indices = &c->in[1]->shape;
    axis = (size_t)c->node->ints[0];
    if (x->rank + indices->rank - 1 > INFER_RANK_MAX)
        return op_refuse(c, "the output would have %d dimensions, at most %d are allowed",
                         x->rank + indices->rank - 1, INFER_RANK_MAX);
    if (x->dim[axis] == 0)
        return op_refuse(c, "axis %zu has no elements", axis);
    for (size_t i = 0; i < axis; i++)
        y.dim[y.rank++] = x->dim[i];
    for (size_t i = 0; i < indices->rank; i++)
        y.dim[y.rank++] = indices->dim[i];
    for (size_t i = axis + 1; i < x->rank; i++)
        y.dim[y.rank++] = x->dim[i];
    op_gives(c, 0, c->in[0]->type, &y);
    return 0;
}

void op_gather_run(const struct op_call *c)
{
    const struct infer_shape *x = &c->in[0]->shape;
    size_t axis = (size_t)c->node->ints[0], n_indices = op_elements(c->in[1]);
    size_t bytes = op_span(x, axis + 1, x->rank) * infer_type_bytes(c->out[0]->type);
    int64_t n = x->dim[axis];
    char *y = c->y[0];

    if (bytes == 0)
        return;
    for (size_t o = 0; o < op_span(x, 0, axis); o++)
        for (size_t i = 0; i < n_indices; i++, y += bytes) {
            int64_t k =
                c->in[1]->type == INFER_I32 ? ((const int32_t *)c->x[1])[i] : ((const int64_t *)c->x[1])[i];

            k = k < 0 ? k + n : k;
            k = k < 0 ? 0 : k >= n ? n - 1 : k;
            memcpy(y, (const char *)c->x[0] + (o * (size_t)n + (size_t)k) * bytes, bytes);
        }
}
