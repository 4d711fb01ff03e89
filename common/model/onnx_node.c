/* NodeProto and AttributeProto. */
#include "model/onnx_private.h"

enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTRIBUTE = 5, N_DOMAIN = 7 };
enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_G = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_TYPE = 20,
    A_REFERENCE = 21,
};

static int read_single(const struct onnx_reading *in, const struct pb_field *f, struct onnx_attribute *a,
                       int32_t *seen)
{
    struct onnx_tensor *t;
    uint32_t bits = (uint32_t)f->value;

    switch (f->number) {
    case A_NAME:
        return onnx_read_name(in, f, "an attribute", &a->name);
    case A_TYPE:
        a->type = f->value > INT32_MAX ? INT32_MAX : (int32_t)f->value;
        return 0;
    case A_F:
        memcpy(&a->f, &bits, sizeof a->f);
        *seen = ONNX_ATTRIBUTE_FLOAT;
        return f->wire == PB_32 ? 0 : onnx_damaged(in, "an attribute");
    case A_I:
        a->i = (int64_t)f->value;
        *seen = ONNX_ATTRIBUTE_INT;
        return f->wire == PB_VARINT ? 0 : onnx_damaged(in, "an attribute");
    case A_S:
        a->s = f->bytes;
        *seen = ONNX_ATTRIBUTE_STRING;
        return f->wire == PB_BYTES ? 0 : onnx_damaged(in, "an attribute");
    case A_T:
        *seen = ONNX_ATTRIBUTE_TENSOR;
        if (f->wire != PB_BYTES || a->t != NULL)
            return onnx_damaged(in, "an attribute");
        t = onnx_array(in, 1, 1, sizeof *t, "an attribute");
        a->t = t;
        return t == NULL ? -EINVAL : onnx_read_tensor(in, f->bytes, t);
    case A_G:
        *seen = ONNX_ATTRIBUTE_GRAPH;
        return 0;
    case A_REFERENCE:
        return errmsg_set(in->err, -EINVAL, "an attribute refers to one of a function, which is not read");
    default:
        return 0;
    }
}

static int read_strings(const struct onnx_reading *in, struct span message, struct onnx_attribute *a)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    size_t n = pb_count(message, A_STRINGS, PB_BYTES);
    struct span *s = onnx_array(in, n, ONNX_LIST_MAX, sizeof *s, "the texts of an attribute");

    if (s == NULL)
        return -EINVAL;
    a->strings = s;
    a->n = n;
    while (pb_next(&r, &f))
        if (f.number == A_STRINGS && f.wire == PB_BYTES)
            *s++ = f.bytes;
    return 0;
}

static int read_list(const struct onnx_reading *in, struct span message, struct onnx_attribute *a)
{
    bool floats = a->type == ONNX_ATTRIBUTE_FLOATS;
    uint32_t number = floats ? A_FLOATS : A_INTS;
    size_t bytes = floats ? 4 : 0, n = pb_count_numbers(message, number, bytes);
    void *at = onnx_array(in, n, ONNX_LIST_MAX, floats ? 4 : 8, "the numbers of an attribute");

    if (at == NULL)
        return -EINVAL;
    a->n = n;
    if (floats)
        a->floats = at;
    else
        a->ints = at;
    return pb_read_numbers(message, number, bytes, at) != 0 ? onnx_damaged(in, "an attribute") : 0;
}

static int read_attribute(const struct onnx_reading *in, struct span message, struct onnx_attribute *a)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    int32_t seen = 0;
    int rc = 0;

    while (rc == 0 && pb_next(&r, &f)) {
        rc = read_single(in, &f, a, &seen);
        if (f.number == A_FLOATS || f.number == A_INTS || f.number == A_STRINGS)
            seen = (int32_t)(f.number - A_FLOATS) + ONNX_ATTRIBUTE_FLOATS;
    }
    if (rc != 0)
        return rc;
    if (r.bad)
        return onnx_damaged(in, "an attribute");
    if (a->type == 0)
        a->type = seen; /* the first exporters wrote no type */
    if (a->type == ONNX_ATTRIBUTE_FLOATS || a->type == ONNX_ATTRIBUTE_INTS)
        return read_list(in, message, a);
    if (a->type == ONNX_ATTRIBUTE_STRINGS)
        return read_strings(in, message, a);
    return a->type == ONNX_ATTRIBUTE_TENSOR && a->t == NULL ? onnx_damaged(in, "an attribute") : 0;
}

static int read_arrays(const struct onnx_reading *in, struct span message, struct onnx_node *n)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    struct span *inputs, *outputs;
    struct onnx_attribute *attributes;
    int rc = 0;

    n->n_inputs = pb_count(message, N_INPUT, PB_BYTES);
    n->n_outputs = pb_count(message, N_OUTPUT, PB_BYTES);
    n->n_attributes = pb_count(message, N_ATTRIBUTE, PB_BYTES);
    inputs = onnx_array(in, n->n_inputs, ONNX_NODE_PORTS_MAX, sizeof *inputs, "the inputs of a node");
    outputs = inputs == NULL ? NULL
                             : onnx_array(in, n->n_outputs, ONNX_NODE_PORTS_MAX, sizeof *outputs,
                                          "the outputs of a node");
    attributes = outputs == NULL ? NULL
                                 : onnx_array(in, n->n_attributes, ONNX_ATTRIBUTES_MAX, sizeof *attributes,
                                              "the attributes of a node");
    if (attributes == NULL)
        return -EINVAL;
    n->inputs = inputs;
    n->outputs = outputs;
    n->attributes = attributes;
    while (rc == 0 && pb_next(&r, &f)) {
        if (f.wire != PB_BYTES)
            continue;
        if (f.number == N_INPUT)
            rc = onnx_read_name(in, &f, "an input of a node", inputs++);
        else if (f.number == N_OUTPUT)
            rc = onnx_read_name(in, &f, "an output of a node", outputs++);
        else if (f.number == N_ATTRIBUTE)
            rc = read_attribute(in, f.bytes, attributes++);
    }
    return rc;
}

int onnx_read_node(const struct onnx_reading *in, struct span message, struct onnx_node *ret_n)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    struct errmsg why;
    char name[ONNX_NAME_TEXT], op[ONNX_NAME_TEXT];
    int rc = 0;

    while (rc == 0 && pb_next(&r, &f)) {
        if (f.number == N_NAME)
            rc = onnx_read_name(in, &f, "a node", &ret_n->name);
        else if (f.number == N_OP)
            rc = onnx_read_name(in, &f, "a node", &ret_n->op);
        else if (f.number == N_DOMAIN)
            rc = onnx_read_name(in, &f, "a node", &ret_n->domain);
    }
    if (rc == 0 && r.bad)
        rc = onnx_damaged(in, "a node");
    if (rc != 0)
        return rc;
    rc = read_arrays(&(struct onnx_reading){in->pool, &why}, message, ret_n);
    if (rc != 0)
        return errmsg_set(in->err, rc, "node \"%s\" (%s): %.380s", onnx_name_text(ret_n->name, name),
                          onnx_name_text(ret_n->op, op), why.text);
    return 0;
}
