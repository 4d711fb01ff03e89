/* Nodes of ONNX: inputs, attributes, types. */
#include "model/import_private.h"

struct import_node *import_only_user(const struct import_value *v)
{
    return v != NULL && v->n_uses == 1 && !v->is_output ? v->user : NULL;
}

bool import_is(const struct import_node *n, const char *op)
{
    return (n->onnx->domain.len == 0 || span_equal(n->onnx->domain, span_str("ai.onnx"))) &&
           span_equal(n->onnx->op, span_str(op));
}

struct import_value *import_in(const struct import_node *n, size_t i)
{
    return i < n->n_in ? n->in[i] : NULL;
}

struct import_value *import_out(const struct import_node *n, size_t i)
{
    return i < n->n_out ? n->out[i] : NULL;
}

int import_need_inputs(struct import *im, const struct import_node *n, size_t lowest)
{
    for (size_t i = 0; i < lowest; i++)
        if (import_in(n, i) == NULL)
            return import_refuse(im, "its input %zu is missing", i);
    if (import_out(n, 0) == NULL)
        return import_refuse(im, "its output has no name");
    return 0;
}

int import_need(struct import *im, const struct import_node *n, size_t i, struct import_value **ret_v)
{
    struct import_value *v = import_in(n, i);
    char name[ONNX_NAME_TEXT];

    *ret_v = v;
    if (v == NULL || v->data != NULL)
        return 0;
    onnx_name_text(v->name, name);
    if (v->refused_type != 0)
        return import_refuse(im, "its input %zu, \"%s\", is of type %s, which is not supported", i, name,
                             onnx_type_name(v->refused_type));
    if (v->is_input)
        memcpy(im->report->needs_constant, name, sizeof name);
    return import_refuse(im,
                         "its input %zu, \"%s\", is computed, it has to be a constant; export the model with "
                         "fixed shapes and folded constants",
                         i, name);
}

int import_need_ints(struct import *im, const struct import_node *n, size_t i, const int64_t **ret_v,
                     size_t *ret_n)
{
    struct import_value *v, *wide;
    int r = import_need(im, n, i, &v);

    *ret_v = NULL;
    *ret_n = SIZE_MAX;
    if (r != 0 || v == NULL)
        return r;
    if (v->type != INFER_I64 && v->type != INFER_I32)
        return import_refuse(im, "its input %zu is of type %s, it has to be of int64", i,
                             infer_type_name(v->type));
    if (v->shape.rank > 1)
        return import_refuse(im, "its input %zu has %u dimensions, it has to have one", i, v->shape.rank);
    r = import_cast(im, v, INFER_I64, &wide);
    if (r != 0)
        return r;
    *ret_v = wide->data;
    *ret_n = infer_shape_elements(&wide->shape);
    return 0;
}

/* ---- attributes ---- */

static const struct onnx_attribute *find(const struct import *im, const char *name)
{
    const struct onnx_node *n = im->node->onnx;

    for (size_t i = 0; i < n->n_attributes; i++)
        if (span_equal(n->attributes[i].name, span_str(name)))
            return &n->attributes[i];
    return NULL;
}

static const struct onnx_attribute *find_typed(struct import *im, const char *name, int32_t type)
{
    const struct onnx_attribute *a = find(im, name);

    if (a == NULL || a->type == type)
        return a;
    im->wrong = a;
    return NULL;
}

bool import_has(const struct import *im, const char *name)
{
    return find(im, name) != NULL;
}

int64_t import_int(struct import *im, const char *name, int64_t otherwise)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_INT);

    return a == NULL ? otherwise : a->i;
}

float import_float(struct import *im, const char *name, float otherwise)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_FLOAT);

    return a == NULL ? otherwise : a->f;
}

struct span import_text(struct import *im, const char *name, const char *otherwise)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_STRING);

    return a == NULL ? span_str(otherwise) : a->s;
}

const int64_t *import_ints(struct import *im, const char *name, size_t *ret_n)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_INTS);

    *ret_n = a == NULL ? 0 : a->n;
    return a == NULL ? NULL : a->ints;
}

const float *import_float_list(struct import *im, const char *name, size_t *ret_n)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_FLOATS);

    *ret_n = a == NULL ? 0 : a->n;
    return a == NULL ? NULL : a->floats;
}

const struct span *import_texts(struct import *im, const char *name, size_t *ret_n)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_STRINGS);

    *ret_n = a == NULL ? 0 : a->n;
    return a == NULL ? NULL : a->strings;
}

const struct onnx_tensor *import_tensor_attribute(struct import *im, const char *name)
{
    const struct onnx_attribute *a = find_typed(im, name, ONNX_ATTRIBUTE_TENSOR);

    return a == NULL ? NULL : a->t;
}

/* ---- types and shapes ---- */

int import_axis(struct import *im, int64_t axis, unsigned rank)
{
    if (axis >= -(int64_t)rank && axis < (int64_t)rank)
        return (int)(axis < 0 ? axis + rank : axis);
    import_refuse(im, "axis %lld of %u dimensions", (long long)axis, rank);
    return -1;
}

int32_t import_i32(int64_t v)
{
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

enum infer_type import_type(int32_t onnx_type)
{
    switch (onnx_type) {
    case ONNX_FLOAT:
        return INFER_F32;
    case ONNX_UINT8:
        return INFER_U8;
    case ONNX_INT8:
        return INFER_I8;
    case ONNX_INT16:
        return INFER_I16;
    case ONNX_INT32:
        return INFER_I32;
    case ONNX_INT64:
        return INFER_I64;
    case ONNX_DOUBLE:
        return INFER_F64;
    case ONNX_BOOL:
        return INFER_BOOL;
    case ONNX_STRING:
        return INFER_TEXT;
    default:
        return 0;
    }
}

int import_shape(struct import *im, const int64_t *dims, size_t n, struct infer_shape *ret_shape)
{
    struct infer_shape s = {0};

    if (n > INFER_RANK_MAX)
        return import_refuse(im, "a shape of %zu dimensions, at most %d can be", n, INFER_RANK_MAX);
    for (size_t i = 0; i < n; i++) {
        if (dims[i] < 0 || dims[i] > INFER_ELEMENTS_MAX)
            return import_refuse(im, "a dimension of %lld elements", (long long)dims[i]);
        s.dim[i] = (uint32_t)dims[i];
    }
    s.rank = (uint8_t)n;
    *ret_shape = s;
    return infer_shape_check(&s, &im->err);
}
