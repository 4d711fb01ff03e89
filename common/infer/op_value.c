/* Element by element where the type matters: bounds, casts, tables. */
#include "infer/op_private.h"

#include <math.h>

/* ---- Clip ---- */

int op_clip_check(struct op_check *c)
{
    int r = op_takes(c, 0, OP_ARITHMETIC);

    for (size_t i = 1; r == 0 && i < 3; i++) {
        r = op_takes(c, i, 1U << c->in[0]->type);
        if (r == 0)
            r = op_takes_one(c, i);
    }
    if (r == 0)
        op_gives(c, 0, c->in[0]->type, &c->in[0]->shape);
    return r;
}

/* The upper bound is the stronger one; NaN stays. */
#define CLIP(T)                                                                                              \
    do {                                                                                                     \
        const T *x = c->x[0], *low = c->x[1], *high = c->x[2];                                               \
        T *y = c->y[0];                                                                                      \
                                                                                                             \
        for (size_t i = 0; i < n; i++) {                                                                     \
            T v = x[i];                                                                                      \
                                                                                                             \
            v = low != NULL && v < *low ? *low : v;                                                          \
            y[i] = high != NULL && v > *high ? *high : v;                                                    \
        }                                                                                                    \
    } while (0)

void op_clip_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]);

    switch (c->out[0]->type) {
    case INFER_F32:
        CLIP(float);
        break;
    case INFER_I8:
        CLIP(int8_t);
        break;
    case INFER_U8:
        CLIP(uint8_t);
        break;
    case INFER_I32:
        CLIP(int32_t);
        break;
    default:
        CLIP(int64_t);
        break;
    }
}

/* ---- Cast ---- */

int op_cast_check(struct op_check *c)
{
    int r = op_takes(c, 0, OP_PLAIN);

    if (r != 0)
        return r;
    if (c->node->ints[0] < INFER_F32 || c->node->ints[0] >= INFER_TEXT)
        return op_refuse(c, "there is no cast to type %d", c->node->ints[0]);
    op_gives(c, 0, (enum infer_type)c->node->ints[0], &c->in[0]->shape);
    return 0;
}

static int64_t integer_at(const void *x, enum infer_type type, size_t i)
{
    switch (type) {
    case INFER_I64:
        return ((const int64_t *)x)[i];
    case INFER_BOOL:
        return ((const uint8_t *)x)[i] != 0;
    default:
        return op_small_int(x, type, i);
    }
}

/* Towards zero, saturated; no number gives 0. */
static int64_t saturate(double v, enum infer_type type)
{
    double low = -0x1p63, high = 0x1p63;
    int64_t top = INT64_MAX;

    switch (type) {
    case INFER_I8:
        low = INT8_MIN, high = INT8_MAX, top = INT8_MAX;
        break;
    case INFER_U8:
        low = 0, high = UINT8_MAX, top = UINT8_MAX;
        break;
    case INFER_I16:
        low = INT16_MIN, high = INT16_MAX, top = INT16_MAX;
        break;
    case INFER_I32:
        low = INT32_MIN, high = INT32_MAX, top = INT32_MAX;
        break;
    default:
        break;
    }
    return isnan(v) ? 0 : v >= high ? top : v <= low ? (int64_t)low : (int64_t)v;
}

static void put_integer(void *y, enum infer_type type, size_t i, int64_t v)
{
    switch (type) {
    case INFER_I8:
        ((int8_t *)y)[i] = (int8_t)v;
        break;
    case INFER_U8:
        ((uint8_t *)y)[i] = (uint8_t)v;
        break;
    case INFER_I16:
        ((int16_t *)y)[i] = (int16_t)v;
        break;
    case INFER_I32:
        ((int32_t *)y)[i] = (int32_t)v;
        break;
    case INFER_I64:
        ((int64_t *)y)[i] = v;
        break;
    case INFER_F32:
        ((float *)y)[i] = (float)v;
        break;
    case INFER_F64:
        ((double *)y)[i] = (double)v;
        break;
    default:
        ((uint8_t *)y)[i] = v != 0;
        break;
    }
}

static void put_float(void *y, enum infer_type type, size_t i, double v)
{
    if (type == INFER_F32)
        ((float *)y)[i] = (float)v;
    else if (type == INFER_F64)
        ((double *)y)[i] = v;
    else if (type == INFER_BOOL)
        ((uint8_t *)y)[i] = v != 0;
    else
        put_integer(y, type, i, saturate(v, type));
}

void op_cast_run(const struct op_call *c)
{
    enum infer_type from = c->in[0]->type, to = c->out[0]->type;
    size_t n = op_elements(c->out[0]);

    for (size_t i = 0; i < n; i++)
        if (from == INFER_F32)
            put_float(c->y[0], to, i, ((const float *)c->x[0])[i]);
        else if (from == INFER_F64)
            put_float(c->y[0], to, i, ((const double *)c->x[0])[i]);
        else
            put_integer(c->y[0], to, i, integer_at(c->x[0], from, i));
}

/* ---- table ---- */

int op_lut8_check(struct op_check *c)
{
    if (op_takes(c, 0, OP_BYTE) != 0 || op_takes(c, 1, OP_BYTE) != 0 ||
        op_takes_vector(c, 1, 256, false) != 0)
        return -EINVAL;
    op_gives(c, 0, c->in[1]->type, &c->in[0]->shape);
    return 0;
}

void op_lut8_run(const struct op_call *c)
{
    uint8_t flip = c->in[0]->type == INFER_I8 ? 128 : 0; /* x + 128 of a byte */
    const uint8_t *x = c->x[0], *lut = c->x[1];
    size_t n = op_elements(c->out[0]);
    uint8_t *y = c->y[0];

    for (size_t i = 0; i < n; i++)
        y[i] = lut[x[i] ^ flip];
}
