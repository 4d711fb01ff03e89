#include "infer/op_private.h"

#include <stdarg.h>
#include <stdio.h>

int op_refuse(const struct op_check *c, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return errmsg_set(c->err, -EINVAL, "%s: %s", c->name, text);
}

static void name_types(unsigned types, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned t = INFER_F32; t <= INFER_TEXT && len < size; t++)
        if (types & 1U << t)
            len += (size_t)snprintf(text + len, size - len, "%s%s", len > 0 ? ", " : "",
                                    infer_type_name((enum infer_type)t));
}

int op_takes(const struct op_check *c, size_t i, unsigned types)
{
    char names[100];

    if (c->in[i] == NULL || types & 1U << c->in[i]->type)
        return 0;
    name_types(types, names, sizeof names);
    return op_refuse(c, "input %zu is of type %s, it has to be of %s", i, infer_type_name(c->in[i]->type),
                     names);
}

int op_takes_rank(const struct op_check *c, size_t i, unsigned lowest, unsigned highest)
{
    unsigned rank = c->in[i] == NULL ? lowest : c->in[i]->shape.rank;

    if (rank >= lowest && rank <= highest)
        return 0;
    if (lowest == highest)
        return op_refuse(c, "input %zu has %u dimensions, it has to have %u", i, rank, lowest);
    return op_refuse(c, "input %zu has %u dimensions, it has to have %u to %u", i, rank, lowest, highest);
}

int op_takes_constant(const struct op_check *c, size_t i)
{
    if (c->in[i] == NULL || c->in[i]->constant != NULL)
        return 0;
    return op_refuse(c, "input %zu is computed, it has to be a constant", i);
}

int op_takes_vector(const struct op_check *c, size_t i, size_t n, bool or_one)
{
    const struct infer_shape *s = c->in[i] == NULL ? NULL : &c->in[i]->shape;

    if (s == NULL || (s->rank == 1 && s->dim[0] == n))
        return 0;
    if (or_one && s->rank <= 1 && infer_shape_elements(s) == 1)
        return 0;
    return op_refuse(c, "input %zu has %zu elements in %u dimensions, it has to have %zu%s in one", i,
                     infer_shape_elements(s), s->rank, n, or_one ? " (or 1)" : "");
}

int op_takes_one(const struct op_check *c, size_t i)
{
    if (c->in[i] == NULL || op_elements(c->in[i]) == 1)
        return 0;
    return op_refuse(c, "input %zu has %zu elements, it has to have one", i, op_elements(c->in[i]));
}

int op_takes_setting(const struct op_check *c, size_t i, int lowest, int highest)
{
    if (c->node->ints[i] >= lowest && c->node->ints[i] <= highest)
        return 0;
    return op_refuse(c, "setting %zu is %d, it has to be %d to %d", i, c->node->ints[i], lowest, highest);
}

void op_gives(struct op_check *c, size_t i, enum infer_type type, const struct infer_shape *shape)
{
    c->out[i].type = type;
    c->out[i].shape = *shape;
}

int op_dim(const struct op_check *c, struct infer_shape *shape, size_t i, int64_t n)
{
    if (n < 0 || n > INFER_ELEMENTS_MAX)
        return op_refuse(c, "dimension %zu of the output would be %lld", i, (long long)n);
    shape->dim[i] = (uint32_t)n;
    return 0;
}

bool op_broadcast(const struct infer_shape *a, const struct infer_shape *b, struct infer_shape *ret_shape)
{
    struct infer_shape s = {.rank = a->rank > b->rank ? a->rank : b->rank};

    for (unsigned i = 0; i < s.rank; i++) {
        uint32_t da = i + a->rank < s.rank ? 1 : a->dim[i + a->rank - s.rank];
        uint32_t db = i + b->rank < s.rank ? 1 : b->dim[i + b->rank - s.rank];

        if (da != db && da != 1 && db != 1)
            return false;
        s.dim[i] = da == 1 ? db : da;
    }
    *ret_shape = s;
    return true;
}

uint64_t op_product(uint64_t a, uint64_t b)
{
    uint64_t p;

    return __builtin_mul_overflow(a, b, &p) ? UINT64_MAX : p;
}

void op_strides(const struct infer_shape *shape, const struct infer_shape *whole,
                size_t ret_strides[INFER_RANK_MAX])
{
    unsigned missing = whole->rank - shape->rank;
    size_t n = 1;

    memset(ret_strides, 0, INFER_RANK_MAX * sizeof ret_strides[0]);
    for (unsigned i = shape->rank; i-- > 0; n *= shape->dim[i])
        ret_strides[i + missing] = shape->dim[i] == 1 ? 0 : n;
}

/* Is dimension i + 1 what one step of dimension i passes, in each operand? */
static bool lies_together(const size_t strides[OP_WALK_MAX][INFER_RANK_MAX], size_t n_operands, size_t outer,
                          size_t inner, size_t inner_dim)
{
    for (size_t k = 0; k < n_operands; k++)
        if (strides[k][outer] != strides[k][inner] * inner_dim)
            return false;
    return true;
}

void op_walk_init(struct op_walk *w, const struct infer_shape *shape, size_t n_operands,
                  size_t strides[OP_WALK_MAX][INFER_RANK_MAX])
{
    size_t dims[INFER_RANK_MAX], n = 0;

    memset(w, 0, sizeof *w);
    w->row = 1;
    for (unsigned i = 0; i < shape->rank; i++) {
        if (shape->dim[i] == 1)
            continue;
        if (n > 0) {
            for (size_t k = 0; k < n_operands; k++)
                w->stride[k][n] = strides[k][i];
            if (lies_together((const size_t(*)[INFER_RANK_MAX])w->stride, n_operands, n - 1, n,
                              shape->dim[i])) {
                dims[n - 1] *= shape->dim[i];
                for (size_t k = 0; k < n_operands; k++)
                    w->stride[k][n - 1] = strides[k][i];
                continue;
            }
        }
        for (size_t k = 0; k < n_operands; k++)
            w->stride[k][n] = strides[k][i];
        dims[n++] = shape->dim[i];
    }
    if (n > 0) {
        w->row = dims[--n];
        for (size_t k = 0; k < n_operands; k++)
            w->step[k] = w->stride[k][n];
    }
    w->rank = (unsigned)n;
    w->n_rows = w->row == 0 ? 0 : 1;
    for (size_t i = 0; i < n; i++) {
        w->dim[i] = dims[i];
        w->n_rows *= dims[i];
    }
}

void op_walk_next(struct op_walk *w, size_t n_operands)
{
    for (unsigned i = w->rank; i-- > 0;) {
        for (size_t k = 0; k < n_operands; k++)
            w->offset[k] += w->stride[k][i];
        if (++w->at[i] < w->dim[i])
            return;
        w->at[i] = 0;
        for (size_t k = 0; k < n_operands; k++)
            w->offset[k] -= w->stride[k][i] * w->dim[i];
    }
}
