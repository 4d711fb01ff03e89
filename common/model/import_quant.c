/* The quantised operators as ONNX has them. */
#include "model/import_private.h"

#include <string.h>

/* Scale and zero point have to be constants; the axis they stand along. */
static int scales(struct import *im, struct import_node *n, struct infer_node *node,
                  struct import_value **ret_scale, struct import_value **ret_zero)
{
    int axis;
    int r = import_need(im, n, 1, ret_scale);

    if (r == 0)
        r = import_need(im, n, 2, ret_zero);
    if (r != 0)
        return r;
    node->ints[0] = 0;
    if (infer_shape_elements(&(*ret_scale)->shape) == 1 && (*ret_scale)->shape.rank <= 1)
        return 0;
    axis = import_axis(im, import_int(im, "axis", 1), n->in[0]->shape.rank);
    if (axis < 0)
        return -EINVAL;
    node->ints[0] = axis;
    node->ints[1] = import_i32(import_int(im, "block_size", 0));
    return 0;
}

/* Is it the quantised value again, that its input was made of? */
static bool undone(const struct import_node *n, const struct import_value *scale,
                   const struct import_value *zero)
{
    const struct import_value *x = n->in[0];
    bool zero_equal;

    if (x->quantised == NULL || x->data != NULL || scale->type != INFER_F32 ||
        infer_shape_elements(&scale->shape) != 1 || infer_shape_elements(&x->scale->shape) != 1 ||
        memcmp(scale->data, x->scale->data, sizeof(float)) != 0)
        return false;
    if (zero == NULL || x->zero == NULL)
        zero_equal = zero == x->zero && x->quantised->type == INFER_U8;
    else
        zero_equal = zero->type == x->zero->type &&
                     memcmp(zero->data, x->zero->data, infer_type_bytes(zero->type)) == 0;
    return zero_equal && infer_type_bytes(x->quantised->type) == 1;
}

int import_quantize(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_QUANTIZE};
    struct import_value *scale, *zero;
    enum infer_type type;
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = scales(im, n, &node, &scale, &zero);
    if (r != 0)
        return r;
    type = zero != NULL                     ? zero->type
           : import_has(im, "output_dtype") ? import_type(import_i32(import_int(im, "output_dtype", 0)))
                                            : INFER_U8;
    if (type != INFER_I8 && type != INFER_U8)
        return import_refuse(im, "it quantises to another type than int8 and uint8, which is not supported");
    node.ints[2] = (int32_t)type;
    if (undone(n, scale, zero) && n->in[0]->quantised->type == type) {
        import_alias(n->out[0], n->in[0]->quantised);
        return 0;
    }
    return import_emit1(im, &node, (struct import_value *[]){n->in[0], scale, zero}, zero == NULL ? 2 : 3,
                        n->out[0]);
}

/* Of a computed value the floats are made when somebody asks for them. */
int import_dequantize(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_DEQUANTIZE};
    struct import_value *scale, *zero, *out = import_out(n, 0);
    bool waits;
    int r = import_need_inputs(im, n, 2);

    if (r == 0)
        r = scales(im, n, &node, &scale, &zero);
    if (r != 0)
        return r;
    waits = n->in[0]->data == NULL && infer_type_bytes(n->in[0]->type) == 1 && n->in[0]->type != INFER_BOOL &&
            scale->type == INFER_F32 && infer_shape_elements(&scale->shape) == 1 && scale->shape.rank <= 1 &&
            (zero == NULL || (zero->type == n->in[0]->type && infer_shape_elements(&zero->shape) == 1));
    if (!waits)
        r = import_emit1(im, &node, (struct import_value *[]){n->in[0], scale, zero}, zero == NULL ? 2 : 3,
                         out);
    if (r != 0)
        return r;
    out->type = INFER_F32;
    out->shape = n->in[0]->shape;
    if (node.ints[1] != 0)
        return 0;
    out->quantised = n->in[0];
    out->scale = scale;
    out->zero = zero;
    out->axis = node.ints[0];
    return 0;
}

int import_dynamic_quantize(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_DYNAMIC_QUANTIZE};
    int r = import_need_inputs(im, n, 1);

    if (r == 0 && n->n_out != 3)
        r = import_refuse(im, "it has %zu outputs, it has to have 3", n->n_out);
    return r != 0 ? r : import_emit(im, &node, n->in, 1, n->out, 3);
}

static int need_all(struct import *im, struct import_node *n, const uint8_t *which, size_t count)
{
    struct import_value *v;
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++)
        r = import_need(im, n, which[i], &v);
    return r;
}

int import_qlinear_conv(struct import *im, struct import_node *n)
{
    static const uint8_t constants[] = {1, 2, 4, 5, 6, 7};
    struct infer_node node = {.op = INFER_QLINEAR_CONV};
    int r = import_need_inputs(im, n, 8);

    if (r == 0)
        r = need_all(im, n, constants, sizeof constants);
    if (r == 0 && n->in[0]->shape.rank != n->in[3]->shape.rank)
        r = import_refuse(im, "its input has %u dimensions, its weights %u", n->in[0]->shape.rank,
                          n->in[3]->shape.rank);
    if (r != 0)
        return r;
    node.ints[0] = import_i32(import_int(im, "group", 1));
    r = import_window(im, &n->in[0]->shape, n->in[3]->shape.dim + 2, n->in[0]->shape.rank - 2U, true,
                      node.ints);
    return r != 0 ? r : import_emit1(im, &node, n->in, n->n_in, n->out[0]);
}

int import_qlinear_matmul(struct import *im, struct import_node *n)
{
    static const uint8_t constants[] = {1, 2, 4, 5, 6, 7};
    struct infer_node node = {.op = INFER_QLINEAR_MATMUL};
    int r = import_need_inputs(im, n, 8);

    if (r == 0)
        r = need_all(im, n, constants, sizeof constants);
    return r != 0 ? r : import_emit1(im, &node, n->in, 8, n->out[0]);
}

int import_conv_integer(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CONV_INTEGER};
    int r = import_need_inputs(im, n, 2);

    if (r == 0 && n->in[0]->shape.rank != n->in[1]->shape.rank)
        r = import_refuse(im, "its input has %u dimensions, its weights %u", n->in[0]->shape.rank,
                          n->in[1]->shape.rank);
    if (r != 0)
        return r;
    node.ints[0] = import_i32(import_int(im, "group", 1));
    r = import_window(im, &n->in[0]->shape, n->in[1]->shape.dim + 2, n->in[0]->shape.rank - 2U, true,
                      node.ints);
    return r != 0 ? r : import_emit1(im, &node, n->in, n->n_in, n->out[0]);
}

int import_matmul_integer(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_MATMUL_INTEGER};
    int r = import_need_inputs(im, n, 2);

    return r != 0 ? r : import_emit1(im, &node, n->in, n->n_in, n->out[0]);
}
