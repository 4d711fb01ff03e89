/* From floats to small integers and back. */
#include "infer/kernel.h"
#include "infer/kernel_loops.h"
#include "infer/op_private.h"

enum { AXIS = 0, BLOCK = 1, TYPE = 2 };

/* Where the scale of each element stands: element (outer, k, inner) has that at outer * outer_step +
 * k / block * step + inner * inner_step. */
struct scales {
    size_t outer, n, inner, block;
    size_t outer_step, step, inner_step;
};

static struct scales scales_of(const struct infer_node *node, const struct infer_shape *x,
                               const struct infer_shape *scale)
{
    size_t axis = (size_t)node->ints[AXIS], block = (size_t)node->ints[BLOCK];
    struct scales s = {1, 1, infer_shape_elements(x), 1, 0, 0, 0};

    if (scale->rank <= 1 && infer_shape_elements(scale) == 1)
        return s;
    s.outer = op_span(x, 0, axis);
    s.n = x->dim[axis];
    s.inner = op_span(x, axis + 1, x->rank);
    s.step = 1;
    if (block > 0) {
        s.block = block;
        s.inner_step = 1;
        s.step = s.inner;
        s.outer_step = scale->dim[axis] * s.inner;
    }
    return s;
}

/* Scale (input 1) and zero point (input 2) go with x. */
static int check_scales(const struct op_check *c)
{
    const struct infer_shape *x = &c->in[0]->shape, *scale = &c->in[1]->shape;
    struct infer_shape blocks = *x;
    uint32_t n, block;

    if (op_takes(c, 1, OP_F32) != 0)
        return -EINVAL;
    if (c->in[2] != NULL && !infer_shape_equal(scale, &c->in[2]->shape) &&
        (infer_shape_elements(scale) != 1 || op_elements(c->in[2]) != 1))
        return op_refuse(c, "scale and zero point have different shapes");
    if (scale->rank <= 1 && infer_shape_elements(scale) == 1)
        return 0;
    if (op_takes_rank(c, 0, 1, INFER_RANK_MAX) != 0 || op_takes_setting(c, AXIS, 0, x->rank - 1) != 0 ||
        op_takes_setting(c, BLOCK, 0, INT32_MAX) != 0)
        return -EINVAL;
    n = x->dim[c->node->ints[AXIS]];
    block = (uint32_t)c->node->ints[BLOCK];
    if (block == 0)
        return op_takes_vector(c, 1, n, false);
    blocks.dim[c->node->ints[AXIS]] = (uint32_t)(((uint64_t)n + block - 1) / block);
    if (!infer_shape_equal(&blocks, scale))
        return op_refuse(c, "the shape of the scale is not that of the input in blocks of %u", block);
    return 0;
}

int op_quantize_check(struct op_check *c)
{
    int type = c->node->ints[TYPE];

    if (type != INFER_I8 && type != INFER_U8 && type != INFER_I16)
        return op_refuse(c, "nothing is quantised to type %d", type);
    if (op_takes(c, 0, OP_F32 | OP_I32) != 0 || op_takes(c, 2, 1U << type) != 0 || check_scales(c) != 0)
        return -EINVAL;
    op_gives(c, 0, (enum infer_type)type, &c->in[0]->shape);
    return 0;
}

int op_dequantize_check(struct op_check *c)
{
    if (op_takes(c, 0, OP_BYTE | OP_I16 | OP_I32) != 0 || op_takes(c, 2, 1U << c->in[0]->type) != 0 ||
        check_scales(c) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_F32, &c->in[0]->shape);
    return 0;
}

static void quantize(const struct op_call *c, size_t i, float scale, int32_t zero)
{
    float x =
        c->in[0]->type == INFER_F32 ? ((const float *)c->x[0])[i] : (float)((const int32_t *)c->x[0])[i];

    if (c->out[0]->type == INFER_I8)
        ((int8_t *)c->y[0])[i] = (int8_t)op_requantize(x / scale, zero, INT8_MIN, INT8_MAX);
    else if (c->out[0]->type == INFER_U8)
        ((uint8_t *)c->y[0])[i] = (uint8_t)op_requantize(x / scale, zero, 0, UINT8_MAX);
    else
        ((int16_t *)c->y[0])[i] = (int16_t)op_requantize(x / scale, zero, INT16_MIN, INT16_MAX);
}

static void dequantize(const struct op_call *c, size_t i, float scale, int32_t zero)
{
    int64_t x = op_small_int(c->x[0], c->in[0]->type, i);

    ((float *)c->y[0])[i] = (float)(x - zero) * scale;
}

static void each_element(const struct op_call *c,
                         void (*fn)(const struct op_call *c, size_t i, float scale, int32_t zero))
{
    struct scales s = scales_of(c->node, &c->in[0]->shape, &c->in[1]->shape);
    const float *scale = c->x[1];
    size_t i = 0;

    for (size_t o = 0; o < s.outer; o++)
        for (size_t k = 0; k < s.n; k++)
            for (size_t in = 0; in < s.inner; in++, i++) {
                size_t at = o * s.outer_step + k / s.block * s.step + in * s.inner_step;

                fn(c, i, scale[at], c->x[2] == NULL ? 0 : op_small_int(c->x[2], c->in[2]->type, at));
            }
}

void op_quantize_run(const struct op_call *c)
{
    bool is_one = op_elements(c->in[1]) == 1;

    if (is_one && c->in[0]->type == INFER_F32 && c->out[0]->type == INFER_I8)
        kernel_best()->quantize_i8(c->x[0], op_elements(c->in[0]), *(const float *)c->x[1],
                                   c->x[2] == NULL ? 0 : *(const int8_t *)c->x[2], c->y[0]);
    else
        each_element(c, quantize);
}

void op_dequantize_run(const struct op_call *c)
{
    if (op_elements(c->in[1]) == 1 && c->in[0]->type == INFER_I8)
        kernel_dequantize_i8(c->x[0], op_elements(c->in[0]), *(const float *)c->x[1],
                             c->x[2] == NULL ? 0 : *(const int8_t *)c->x[2], c->y[0]);
    else
        each_element(c, dequantize);
}

/* ---- with a scale that is found ---- */

int op_dynamic_quantize_check(struct op_check *c)
{
    static const struct infer_shape scalar;

    if (op_takes(c, 0, OP_F32) != 0)
        return -EINVAL;
    op_gives(c, 0, INFER_U8, &c->in[0]->shape);
    op_gives(c, 1, INFER_F32, &scalar);
    op_gives(c, 2, INFER_U8, &scalar);
    return 0;
}

void op_dynamic_quantize_run(const struct op_call *c)
{
    const float *x = c->x[0];
    float low = 0, high = 0, scale;
    size_t n = op_elements(c->in[0]);
    int32_t zero;

    for (size_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    scale = low == high ? 1 : (high - low) / 255;
    zero = op_requantize(-low / scale, 0, 0, UINT8_MAX);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)c->y[0])[i] = (uint8_t)op_requantize(x[i] / scale, zero, 0, UINT8_MAX);
    *(float *)c->y[1] = scale;
    *(uint8_t *)c->y[2] = (uint8_t)zero;
}
