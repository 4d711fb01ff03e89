/* Copies in another order. */
#include "infer/kernel_loops.h"
#include "infer/op_private.h"

int op_reshape_check(struct op_check *c)
{
    struct infer_shape y = {0};
    int r = op_takes(c, 0, OP_PLAIN);

    if (r == 0)
        r = op_takes_setting(c, 0, 0, INFER_RANK_MAX);
    if (r != 0)
        return r;
    y.rank = (uint8_t)c->node->ints[0];
    for (size_t i = 0; i < y.rank; i++)
        if (op_dim(c, &y, i, c->node->ints[1 + i]) != 0)
            return -EINVAL;
    if (infer_shape_check(&y, NULL) != 0 || infer_shape_elements(&y) != op_elements(c->in[0]))
        return op_refuse(c, "the input has %zu elements, the new shape another number",
                         op_elements(c->in[0]));
    op_gives(c, 0, c->in[0]->type, &y);
    return 0;
}

void op_reshape_run(const struct op_call *c)
{
    size_t bytes = op_elements(c->out[0]) * infer_type_bytes(c->out[0]->type);

    if (bytes > 0)
        memcpy(c->y[0], c->x[0], bytes);
}

/* n elements that stand `step` apart (it may be negative). */
static void copy_row(const char *x, ptrdiff_t step, char *y, size_t n, size_t bytes)
{
#define COPY(T)                                                                                              \
    for (size_t i = 0; i < n; i++)                                                                           \
    ((T *)y)[i] = ((const T *)x)[(ptrdiff_t)i * step]

    if (step == 1)
        memcpy(y, x, n * bytes);
    else if (bytes == 1)
        COPY(uint8_t);
    else if (bytes == 2)
        COPY(uint16_t);
    else if (bytes == 4)
        COPY(uint32_t);
    else
        COPY(uint64_t);
#undef COPY
}

/* Element [i0][i1]... of the output is x[first + i0 * strides[0] + ...]. */
static void copy_by_strides(const struct op_call *c, size_t first, const ptrdiff_t strides[INFER_RANK_MAX])
{
    const struct infer_shape *shape = &c->out[0]->shape;
    size_t bytes = infer_type_bytes(c->out[0]->type), n = op_elements(c->out[0]), at[INFER_RANK_MAX] = {0};
    size_t row = shape->rank == 0 ? 1 : shape->dim[shape->rank - 1];
    ptrdiff_t offset = (ptrdiff_t)first, step = shape->rank == 0 ? 1 : strides[shape->rank - 1];
    char *y = c->y[0];

    for (size_t done = 0; done < n; done += row) {
        copy_row((const char *)c->x[0] + offset * (ptrdiff_t)bytes, step, y + done * bytes, row, bytes);
        for (unsigned i = shape->rank > 0 ? shape->rank - 1U : 0; i-- > 0;) {
            offset += strides[i];
            if (++at[i] < shape->dim[i])
                break;
            at[i] = 0;
            offset -= strides[i] * (ptrdiff_t)shape->dim[i];
        }
    }
}

int op_transpose_check(struct op_check *c)
{
    struct infer_shape y;
    unsigned seen = 0;
    int r = op_takes(c, 0, OP_PLAIN);

    if (r != 0)
        return r;
    y = c->in[0]->shape;
    for (size_t i = 0; i < y.rank; i++) {
        r = op_takes_setting(c, i, 0, y.rank - 1);
        if (r != 0)
            return r;
        if (seen & 1U << c->node->ints[i])
            return op_refuse(c, "axis %d stands twice in the permutation", c->node->ints[i]);
        seen |= 1U << c->node->ints[i];
        y.dim[i] = c->in[0]->shape.dim[c->node->ints[i]];
    }
    op_gives(c, 0, c->in[0]->type, &y);
    return 0;
}

/* Of bytes, the last two axes change places and no others: channels first become channels last. */
static bool is_plain_transpose(const struct op_call *c)
{
    size_t rank = c->in[0]->shape.rank;

    for (size_t i = 0; i + 2 < rank; i++)
        if ((size_t)c->node->ints[i] != i)
            return false;
    return rank >= 2 && (size_t)c->node->ints[rank - 1] == rank - 2 && infer_type_bytes(c->in[0]->type) == 1;
}

void op_transpose_run(const struct op_call *c)
{
    const struct infer_shape *x = &c->in[0]->shape;
    ptrdiff_t strides[INFER_RANK_MAX] = {0};

    if (is_plain_transpose(c)) {
        size_t rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1], n = op_span(x, 0, x->rank - 2U);

        for (size_t i = 0; i < n; i++)
            kernel_transpose_8((const uint8_t *)c->x[0] + i * rows * columns, rows, columns,
                               (uint8_t *)c->y[0] + i * rows * columns);
        return;
    }
    for (size_t i = 0; i < x->rank; i++)
        strides[i] = (ptrdiff_t)op_span(x, (size_t)c->node->ints[i] + 1, x->rank);
    copy_by_strides(c, 0, strides);
}

enum { START = 0, STEP = 6, KEPT = 12 };

int op_slice_check(struct op_check *c)
{
    const int32_t *ints = c->node->ints;
    struct infer_shape y;
    int r = op_takes(c, 0, OP_PLAIN);

    if (r != 0)
        return r;
    y = c->in[0]->shape;
    for (size_t i = 0; i < y.rank; i++) {
        int64_t first = ints[START + i], last = first + ((int64_t)ints[KEPT + i] - 1) * ints[STEP + i];

        if (ints[STEP + i] == 0)
            return op_refuse(c, "the step of axis %zu is 0", i);
        if (ints[KEPT + i] < 0 ||
            (ints[KEPT + i] > 0 && (first < 0 || last < 0 || first >= y.dim[i] || last >= y.dim[i])))
            return op_refuse(c, "%d elements from %d by %d leave axis %zu, which has %u", ints[KEPT + i],
                             ints[START + i], ints[STEP + i], i, y.dim[i]);
    }
    for (size_t i = 0; i < y.rank; i++)
        y.dim[i] = (uint32_t)ints[KEPT + i];
    op_gives(c, 0, c->in[0]->type, &y);
    return 0;
}

void op_slice_run(const struct op_call *c)
{
    const struct infer_shape *x = &c->in[0]->shape;
    ptrdiff_t strides[INFER_RANK_MAX] = {0};
    size_t first = 0;

    if (op_elements(c->out[0]) == 0)
        return;
    for (size_t i = 0; i < x->rank; i++) {
        size_t n = op_span(x, i + 1, x->rank);

        strides[i] = c->node->ints[STEP + i] * (ptrdiff_t)n;
        first += (size_t)c->node->ints[START + i] * n;
    }
    copy_by_strides(c, first, strides);
}
