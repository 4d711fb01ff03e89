#include "infer_onnx.h"

#include <string.h>

enum { VARINT = 0, BYTES = 2 }; /* wire types */
enum { OPSET = 17, ML_OPSET = 1, IR_VERSION = 8 };

static void put_key(struct buf *b, unsigned field, unsigned wire)
{
    buf_varint(b, (uint64_t)field << 3 | wire);
}

static void put_int(struct buf *b, unsigned field, int64_t v)
{
    put_key(b, field, VARINT);
    buf_varint(b, (uint64_t)v);
}

static void put_bytes(struct buf *b, unsigned field, const void *data, size_t n)
{
    put_key(b, field, BYTES);
    buf_varint(b, n);
    buf_append(b, data, n);
}

static void put_string(struct buf *b, unsigned field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

/* Appends a message and empties it. */
static void put_message(struct buf *b, unsigned field, struct buf *message)
{
    if (message->error != 0 && b->error == 0)
        b->error = message->error;
    put_bytes(b, field, message->data, message->len);
    buf_deinit(message);
}

void onnx_deinit(struct onnx_writer *w)
{
    buf_deinit(&w->graph);
}

/* ValueInfoProto of float32 */
static void put_value(struct buf *b, unsigned field, const char *name, size_t rank, const int64_t *shape)
{
    struct buf dims = {0}, tensor = {0}, type = {0}, value = {0};

    for (size_t i = 0; i < rank; i++) {
        struct buf dim = {0};

        put_int(&dim, 1, shape[i]);
        put_message(&dims, 1, &dim);
    }
    put_int(&tensor, 1, ONNX_F32);
    if (rank > 0)
        put_message(&tensor, 2, &dims);
    put_message(&type, 1, &tensor);
    put_string(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(b, field, &value);
}

void onnx_input(struct onnx_writer *w, const char *name, size_t rank, const int64_t *shape)
{
    put_value(&w->graph, 11, name, rank, shape);
}

void onnx_output(struct onnx_writer *w, const char *name)
{
    put_value(&w->graph, 12, name, 0, NULL);
}

void onnx_constant(struct onnx_writer *w, const char *name, enum onnx_type type, size_t rank,
                   const int64_t *shape, const void *values)
{
    size_t n = type == ONNX_I8 ? 1 : 4;
    struct buf tensor = {0};

    for (size_t i = 0; i < rank; i++) {
        put_int(&tensor, 1, shape[i]);
        n *= (size_t)shape[i];
    }
    put_int(&tensor, 2, type);
    put_string(&tensor, 8, name);
    put_bytes(&tensor, 9, values, n);
    put_message(&w->graph, 5, &tensor);
}

static void put_attribute(struct buf *node, const struct onnx_attribute *a)
{
    static const uint8_t kinds[] = {
        [ONNX_INT] = 2, [ONNX_INTS] = 7, [ONNX_FLOATS] = 6, [ONNX_STRING] = 3, [ONNX_STRINGS] = 8};
    struct buf b = {0}, packed = {0};

    put_string(&b, 1, a->name);
    for (size_t i = 0; i < a->n && a->kind == ONNX_INTS; i++)
        buf_varint(&packed, (uint64_t)a->ints[i]);
    switch (a->kind) {
    case ONNX_INT:
        put_int(&b, 3, *a->ints);
        break;
    case ONNX_INTS:
        put_message(&b, 8, &packed);
        break;
    case ONNX_FLOATS:
        put_bytes(&b, 7, a->floats, a->n * sizeof *a->floats);
        break;
    case ONNX_STRING:
        put_string(&b, 4, a->string);
        break;
    case ONNX_STRINGS:
        for (size_t i = 0; i < a->n; i++)
            put_string(&b, 9, a->ints[i] != 0 ? a->string : a->otherwise);
        break;
    }
    put_int(&b, 20, kinds[a->kind]);
    put_message(node, 5, &b);
}

void onnx_node(struct onnx_writer *w, const char *op, const char *inputs, const char *output,
               const struct onnx_attribute *attributes, size_t n_attributes)
{
    const char *domain_end = strchr(op, ':');
    struct buf node = {0};

    while (*inputs != '\0') {
        size_t n = strcspn(inputs, " ");

        put_bytes(&node, 1, inputs, n);
        inputs += n + (inputs[n] == ' ');
    }
    put_string(&node, 2, output);
    put_string(&node, 4, domain_end != NULL ? domain_end + 1 : op);
    if (domain_end != NULL)
        put_string(&node, 7, "ai.onnx.ml");
    for (size_t i = 0; i < n_attributes; i++)
        put_attribute(&node, &attributes[i]);
    put_message(&w->graph, 1, &node);
}

void onnx_write(const struct onnx_writer *w, struct buf *out)
{
    struct buf graph = {0}, opset = {0}, ml = {0};

    buf_append(&graph, w->graph.data, w->graph.len);
    if (w->graph.error != 0)
        graph.error = w->graph.error;
    put_string(&graph, 2, "bench");
    put_int(out, 1, IR_VERSION);
    put_message(out, 7, &graph);
    put_string(&opset, 1, "");
    put_int(&opset, 2, OPSET);
    put_message(out, 8, &opset);
    put_string(&ml, 1, "ai.onnx.ml");
    put_int(&ml, 2, ML_OPSET);
    put_message(out, 8, &ml);
}
