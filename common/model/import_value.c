/* Values while a graph is imported: constants, tensors of the build, and nodes between them. */
#include "model/import_private.h"

#include <stdarg.h>
#include <stdio.h>

/* Of one node, and of all: a small file must not cost minutes. */
enum { FOLD_OPERATIONS_MAX = 1 << 28, FOLD_OPERATIONS_ALL = 1 << 29 };

int import_no_memory(struct import *im)
{
    return errmsg_set(&im->err, -ENOMEM, "no memory, or more of it than an import may take");
}

int import_refuse(struct import *im, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(im->err.text, sizeof im->err.text, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

struct import_value *import_temp(struct import *im)
{
    struct import_value *v = pool_alloc(&im->pool, 1, sizeof *v);

    if (v != NULL)
        v->tensor = v->as_i8 = v->as_i8_last = INFER_NONE;
    return v;
}

static uint64_t hash(struct span s)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ s.data[i]) * 1099511628211U;
    return h ^ h >> 29;
}

struct import_value *import_named(struct import *im, struct span name)
{
    size_t at = (size_t)(hash(name) % im->n_slots);

    while (im->slots[at] != NULL && !span_equal(im->slots[at]->name, name))
        at = (at + 1) % im->n_slots;
    if (im->slots[at] == NULL && (im->slots[at] = import_temp(im)) != NULL)
        im->slots[at]->name = name;
    return im->slots[at];
}

struct import_value *import_constant(struct import *im, enum infer_type type, const struct infer_shape *shape,
                                     const void *data)
{
    struct import_value *v = import_temp(im);
    size_t bytes = infer_shape_elements(shape) * infer_type_bytes(type);
    void *to = v == NULL ? NULL : pool_alloc(&im->pool, bytes, 1);

    if (to == NULL)
        return NULL;
    if (data != NULL && bytes > 0)
        memcpy(to, data, bytes);
    v->type = type;
    v->shape = *shape;
    v->data = to;
    return v;
}

struct import_value *import_f32(struct import *im, float f)
{
    return import_constant(im, INFER_F32, &(struct infer_shape){0}, &f);
}

struct import_value *import_floats(struct import *im, const float *f, size_t n)
{
    return import_constant(im, INFER_F32, &(struct infer_shape){1, {(uint32_t)n}}, f);
}

struct import_value *import_i64s(struct import *im, const int64_t *i, size_t n)
{
    return import_constant(im, INFER_I64, &(struct infer_shape){1, {(uint32_t)n}}, i);
}

static int copy_texts(struct import *im, const struct onnx_tensor *t, struct import_value *v)
{
    const struct span *s = t->data;
    char *to = pool_alloc(&im->pool, t->n_elements, INFER_TEXT_BYTES), name[ONNX_NAME_TEXT];

    if (to == NULL)
        return import_no_memory(im);
    v->data = to;
    for (size_t i = 0; i < t->n_elements; i++, to += INFER_TEXT_BYTES) {
        if (s[i].len >= INFER_TEXT_BYTES)
            return import_refuse(im, "the text \"%s\" is longer than %d bytes", onnx_name_text(s[i], name),
                                 INFER_TEXT_BYTES - 1);
        if (s[i].len > 0)
            memcpy(to, s[i].data, s[i].len);
    }
    return 0;
}

int import_constant_of(struct import *im, const struct onnx_tensor *t, struct import_value *v)
{
    int64_t dims[ONNX_DIMS_MAX];
    int r;

    for (size_t i = 0; i < t->rank; i++)
        dims[i] = t->dims[i];
    r = import_shape(im, dims, t->rank, &v->shape);
    if (r != 0)
        return r;
    v->type = import_type(t->type);
    if (v->type == 0 || t->data == NULL) {
        v->refused_type = t->type;
        return 0;
    }
    if (v->type == INFER_TEXT)
        return copy_texts(im, t, v);
    v->data = t->data;
    return 0;
}

void import_alias(struct import_value *out, const struct import_value *v)
{
    struct import_value own = *out;

    *out = *v;
    out->name = own.name;
    out->user = own.user;
    out->n_uses = own.n_uses;
    out->is_output = own.is_output;
    out->needed = own.needed;
}

/* ---- nodes ---- */

static void take(struct import *im, struct import_value *out, uint16_t tensor)
{
    const struct infer_tensor *t = &infer_build_graph(im->build)->tensors[tensor];

    out->type = t->type;
    out->shape = t->shape;
    out->tensor = tensor;
}

/* A node on tensors of the build; gives one. */
static int raw_node(struct import *im, struct infer_node *node, uint16_t x, struct import_value *table,
                    uint16_t *ret_tensor)
{
    int r = 0;

    node->n_inputs = table == NULL ? 1 : 2;
    node->n_outputs = 1;
    node->inputs[0] = x;
    if (table != NULL)
        r = import_tensor(im, table, &node->inputs[1]);
    return r != 0 ? r : infer_build_node(im->build, node, ret_tensor, &im->err);
}

/* Between int8 and uint8 with the zero point moved by 128: the highest bit is turned. */
static int turn(struct import *im, uint16_t x, enum infer_type to, uint16_t *ret_tensor)
{
    struct infer_node node = {.op = INFER_LUT8};
    uint8_t table[256];
    struct import_value *t;

    /* Entry i stands for the value i - 128 of int8, or i of uint8. */
    for (unsigned i = 0; i < 256; i++)
        table[i] = to == INFER_I8 ? (uint8_t)(i ^ 0x80) : (uint8_t)i;
    t = import_constant(im, to, &(struct infer_shape){1, {256}}, table);
    return t == NULL ? import_no_memory(im) : raw_node(im, &node, x, t, ret_tensor);
}

static int swap_last(struct import *im, uint16_t x, uint16_t *ret_tensor)
{
    struct infer_node node = {.op = INFER_TRANSPOSE, .ints = {0, 2, 1}};

    return raw_node(im, &node, x, NULL, ret_tensor);
}

static int dequantize(struct import *im, struct import_value *v)
{
    struct infer_node node = {.op = INFER_DEQUANTIZE, .ints = {v->axis}};

    return import_add(im, &node, (struct import_value *[]){v->quantised, v->scale, v->zero},
                      v->zero == NULL ? 2 : 3, v);
}

int import_tensor(struct import *im, struct import_value *v, uint16_t *ret_tensor)
{
    int r = 0;

    if (v->tensor == INFER_NONE && v->data != NULL) {
        r = infer_build_constant(im->build, v->type, &v->shape, v->data, &v->tensor, &im->err);
    } else if (v->tensor == INFER_NONE && v->quantised != NULL) {
        r = dequantize(im, v);
    } else if (v->tensor == INFER_NONE) {
        uint16_t t;

        r = import_i8(im, v, &t);
        if (r == 0 && v->type == INFER_U8)
            r = turn(im, t, INFER_U8, &v->tensor);
        else if (r == 0)
            v->tensor = t;
    }
    *ret_tensor = v->tensor;
    return r;
}

int import_i8(struct import *im, struct import_value *v, uint16_t *ret_tensor)
{
    uint16_t t;
    int r = 0;

    if (v->as_i8 == INFER_NONE && v->as_i8_last != INFER_NONE) {
        r = swap_last(im, v->as_i8_last, &v->as_i8);
    } else if (v->as_i8 == INFER_NONE) {
        r = import_tensor(im, v, &t);
        if (r == 0 && v->type == INFER_U8)
            r = turn(im, t, INFER_I8, &v->as_i8);
        else if (r == 0)
            v->as_i8 = t;
    }
    *ret_tensor = v->as_i8;
    return r;
}

int import_i8_last(struct import *im, struct import_value *v, uint16_t *ret_tensor)
{
    uint16_t t;
    int r = 0;

    if (v->as_i8_last == INFER_NONE) {
        r = import_i8(im, v, &t);
        if (r == 0)
            r = swap_last(im, t, &v->as_i8_last);
    }
    *ret_tensor = v->as_i8_last;
    return r;
}

/* 1: it takes too long to be computed here. */
static int fold(struct import *im, struct infer_node *node, struct import_value *const *in, size_t n_in,
                struct import_value *const *out, size_t n_out)
{
    struct infer_tensor tensors[INFER_NODE_INPUTS_MAX + INFER_NODE_OUTPUTS_MAX] = {{0}};
    struct infer_tensor given[INFER_NODE_OUTPUTS_MAX];
    const void *x[INFER_NODE_INPUTS_MAX] = {NULL};
    void *y[INFER_NODE_OUTPUTS_MAX] = {NULL}, *scratch;
    uint64_t operations;
    int r;

    for (size_t i = 0; i < n_in; i++) {
        node->inputs[i] = in[i] == NULL ? INFER_NONE : (uint16_t)i;
        if (in[i] == NULL)
            continue;
        tensors[i] = (struct infer_tensor){in[i]->type, in[i]->shape, in[i]->data};
        x[i] = in[i]->data;
    }
    r = infer_op_check(node, tensors, n_in, given, &im->err);
    if (r != 0)
        return r;
    for (size_t i = 0; i < n_out; i++) {
        node->outputs[i] = (uint16_t)(n_in + i);
        tensors[n_in + i] = given[i];
    }
    operations = infer_op_operations(node, tensors);
    if (operations > FOLD_OPERATIONS_MAX || operations > FOLD_OPERATIONS_ALL - im->folded_operations)
        return 1;
    im->folded_operations += operations;
    for (size_t i = 0; i < n_out; i++) {
        y[i] = pool_alloc(&im->pool, infer_shape_elements(&given[i].shape), infer_type_bytes(given[i].type));
        if (y[i] == NULL)
            return import_no_memory(im);
    }
    scratch = pool_alloc(&im->pool, infer_op_scratch_bytes(node, tensors), 1);
    if (scratch == NULL)
        return import_no_memory(im);
    infer_op_run(node, tensors, x, y, scratch);
    for (size_t i = 0; i < n_out; i++) {
        if (out[i] == NULL)
            continue;
        out[i]->type = given[i].type;
        out[i]->shape = given[i].shape;
        out[i]->data = y[i];
    }
    return 0;
}

static int add(struct import *im, struct infer_node *node, struct import_value *const *in, size_t n_in,
               struct import_value *const *out, size_t n_out)
{
    uint16_t tensors[INFER_NODE_OUTPUTS_MAX];
    int r = 0;

    for (size_t i = 0; i < n_in && r == 0; i++) {
        node->inputs[i] = INFER_NONE;
        if (in[i] != NULL)
            r = import_tensor(im, in[i], &node->inputs[i]);
    }
    if (r == 0)
        r = infer_build_node(im->build, node, tensors, &im->err);
    for (size_t i = 0; i < n_out && r == 0; i++)
        if (out[i] != NULL)
            take(im, out[i], tensors[i]);
    return r;
}

int import_emit(struct import *im, struct infer_node *node, struct import_value *const *in, size_t n_in,
                struct import_value *const *out, size_t n_out)
{
    bool constant = n_in > 0;
    int r = 1;

    if (n_in > INFER_NODE_INPUTS_MAX)
        return import_refuse(im, "it has %zu inputs, at most %d can be", n_in, INFER_NODE_INPUTS_MAX);
    node->n_inputs = (uint8_t)n_in;
    node->n_outputs = (uint8_t)n_out;
    for (size_t i = 0; i < n_in; i++) {
        if (in[i] == NULL)
            continue;
        if (in[i]->refused_type != 0)
            return import_refuse(im, "its input %zu is a constant of type %s, which is not supported", i,
                                 onnx_type_name(in[i]->refused_type));
        if (in[i]->type == 0)
            return import_refuse(im, "its input %zu is given by nothing before it", i);
        constant = constant && in[i]->data != NULL;
    }
    if (constant)
        r = fold(im, node, in, n_in, out, n_out);
    return r != 1 ? r : add(im, node, in, n_in, out, n_out);
}

int import_emit1(struct import *im, struct infer_node *node, struct import_value *const *in, size_t n_in,
                 struct import_value *out)
{
    if (out == NULL)
        return import_refuse(im, "its output has no name");
    return import_emit(im, node, in, n_in, &out, 1);
}

int import_add(struct import *im, struct infer_node *node, struct import_value *const *in, size_t n_in,
               struct import_value *out)
{
    node->n_inputs = (uint8_t)n_in;
    node->n_outputs = 1;
    return add(im, node, in, n_in, &out, 1);
}

int import_cast(struct import *im, struct import_value *v, enum infer_type type, struct import_value **ret_v)
{
    struct infer_node node = {.op = INFER_CAST, .ints = {(int32_t)type}};

    *ret_v = v;
    if (v->type == type)
        return 0;
    *ret_v = import_temp(im);
    return *ret_v == NULL ? import_no_memory(im) : import_emit1(im, &node, &v, 1, *ret_v);
}

int import_reshape(struct import *im, struct import_value *v, const struct infer_shape *shape,
                   struct import_value *out)
{
    struct infer_node node = {.op = INFER_RESHAPE, .ints = {shape->rank}};

    if (v->type != 0 && infer_shape_equal(shape, &v->shape)) {
        import_alias(out, v);
        return 0;
    }
    for (size_t i = 0; i < shape->rank; i++)
        node.ints[1 + i] = (int32_t)shape->dim[i];
    return import_through(im, &node, v, out);
}

int import_binary(struct import *im, uint16_t op, struct import_value *a, struct import_value *b,
                  struct import_value *out)
{
    struct infer_node node = {.op = op};

    if (a == NULL || b == NULL)
        return import_no_memory(im);
    return import_emit1(im, &node, (struct import_value *[]){a, b}, 2, out);
}
