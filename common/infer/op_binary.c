/* Element by element over two operands. */
#include "infer/op_private.h"

/* n elements; a step is 0 (one value for all) or 1. */
typedef void row_fn(const void *a, size_t step_a, const void *b, size_t step_b, void *y, size_t n);

/* Written so that each of the three common cases is a loop that compilers turn into vectors. */
#define ROW(name, T, expression)                                                                             \
    static void name(const void *pa, size_t step_a, const void *pb, size_t step_b, void *py, size_t n)       \
    {                                                                                                        \
        const T *va = pa, *vb = pb;                                                                          \
        T *y = py;                                                                                           \
                                                                                                             \
        if (step_a == 1 && step_b == 1) {                                                                    \
            for (size_t i = 0; i < n; i++) {                                                                 \
                T a = va[i], b = vb[i];                                                                      \
                y[i] = (T)(expression);                                                                      \
            }                                                                                                \
        } else if (step_a == 1) {                                                                            \
            T b = vb[0];                                                                                     \
            for (size_t i = 0; i < n; i++) {                                                                 \
                T a = va[i];                                                                                 \
                y[i] = (T)(expression);                                                                      \
            }                                                                                                \
        } else {                                                                                             \
            T a = va[0];                                                                                     \
            for (size_t i = 0; i < n; i++) {                                                                 \
                T b = vb[i * step_b];                                                                        \
                y[i] = (T)(expression);                                                                      \
            }                                                                                                \
        }                                                                                                    \
    }

/* Integers wrap: computed without a sign; lowest / -1 too. */
#define INTEGER_ROWS(suffix, T, U, is_minus_one)                                                             \
    ROW(add_##suffix, T, (T)((U)a + (U)b))                                                                   \
    ROW(sub_##suffix, T, (T)((U)a - (U)b))                                                                   \
    ROW(mul_##suffix, T, (T)((U)a * (U)b))                                                                   \
    ROW(div_##suffix, T, b == 0 ? 0 : is_minus_one ? (T)((U)0 - (U)a) : (T)(a / b))                          \
    ROW(min_##suffix, T, a < b ? a : b)                                                                      \
    ROW(max_##suffix, T, a > b ? a : b)

INTEGER_ROWS(i8, int8_t, uint8_t, b == -1)
INTEGER_ROWS(u8, uint8_t, uint8_t, false)
INTEGER_ROWS(i32, int32_t, uint32_t, b == -1)
INTEGER_ROWS(i64, int64_t, uint64_t, b == -1)
ROW(add_f32, float, a + b)
ROW(sub_f32, float, a - b)
ROW(mul_f32, float, (a * b))
ROW(div_f32, float, a / b)
/* NaN of either side comes through. */
ROW(min_f32, float, a < b || a != a ? a : b)
ROW(max_f32, float, a > b || a != a ? a : b)

ROW(prelu_f32, float, a < 0 ? (a * b) : a)
ROW(prelu_i8, int8_t, a < 0 ? (int8_t)(a * b) : a)
ROW(prelu_i32, int32_t, a < 0 ? (int32_t)((uint32_t)a * (uint32_t)b) : a)
ROW(prelu_i64, int64_t, a < 0 ? (int64_t)((uint64_t)a * (uint64_t)b) : a)

#define ROWS(op)                                                                                             \
    {                                                                                                        \
        [INFER_F32] = op##_f32, [INFER_I8] = op##_i8, [INFER_U8] = op##_u8, [INFER_I32] = op##_i32,          \
        [INFER_I64] = op##_i64                                                                               \
    }

static row_fn *row_of(enum infer_op op, enum infer_type type)
{
    static row_fn *const rows[][INFER_I64 + 1] = {
        [INFER_ADD] = ROWS(add), [INFER_SUB] = ROWS(sub), [INFER_MUL] = ROWS(mul),
        [INFER_DIV] = ROWS(div), [INFER_MIN] = ROWS(min), [INFER_MAX] = ROWS(max),
    };
    static row_fn *const prelu[] = {
        [INFER_F32] = prelu_f32, [INFER_I8] = prelu_i8, [INFER_I32] = prelu_i32, [INFER_I64] = prelu_i64};

    return op == INFER_PRELU ? prelu[type] : rows[op][type];
}

static int same_types(const struct op_check *c, unsigned types)
{
    int r = op_takes(c, 0, types);

    if (r != 0)
        return r;
    if (c->in[0]->type != c->in[1]->type)
        return op_refuse(c, "the inputs are of %s and %s, they have to be of one type",
                         infer_type_name(c->in[0]->type), infer_type_name(c->in[1]->type));
    return 0;
}

int op_binary_check(struct op_check *c)
{
    struct infer_shape shape;
    int r = same_types(c, OP_ARITHMETIC);

    if (r != 0)
        return r;
    if (!op_broadcast(&c->in[0]->shape, &c->in[1]->shape, &shape))
        return op_refuse(c, "the shapes of the inputs cannot be broadcast to each other");
    op_gives(c, 0, c->in[0]->type, &shape);
    return 0;
}

int op_prelu_check(struct op_check *c)
{
    struct infer_shape shape;
    int r = same_types(c, OP_ARITHMETIC & ~OP_U8);

    if (r != 0)
        return r;
    if (!op_broadcast(&c->in[0]->shape, &c->in[1]->shape, &shape) ||
        !infer_shape_equal(&shape, &c->in[0]->shape))
        return op_refuse(c, "the slope cannot be broadcast to the input");
    op_gives(c, 0, c->in[0]->type, &shape);
    return 0;
}

void op_binary_run(const struct op_call *c)
{
    const struct infer_shape *shape = &c->out[0]->shape;
    size_t strides[OP_WALK_MAX][INFER_RANK_MAX], bytes = infer_type_bytes(c->out[0]->type);
    row_fn *row = row_of((enum infer_op)c->node->op, c->out[0]->type);
    struct op_walk w;

    op_strides(&c->in[0]->shape, shape, strides[0]);
    op_strides(&c->in[1]->shape, shape, strides[1]);
    op_strides(shape, shape, strides[2]);
    op_walk_init(&w, shape, 3, strides);
    for (size_t i = 0; i < w.n_rows; i++, op_walk_next(&w, 3))
        row((const char *)c->x[0] + w.offset[0] * bytes, w.step[0],
            (const char *)c->x[1] + w.offset[1] * bytes, w.step[1], (char *)c->y[0] + w.offset[2] * bytes,
            w.row);
}
