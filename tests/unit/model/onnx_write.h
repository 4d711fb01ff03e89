/* onnx_write.h - ONNX bytes for tests: each function appends one message or field to a buffer. */
#ifndef FOGLINE_TESTS_ONNX_WRITE_H
#define FOGLINE_TESTS_ONNX_WRITE_H

#include "base/bytes.h"
#include "model/onnx_reader.h"

#include <stdlib.h>

static inline void pb_number(struct buf *b, unsigned field, uint64_t v)
{
    buf_varint(b, (uint64_t)field << 3);
    buf_varint(b, v);
}

static inline void pb_data(struct buf *b, unsigned field, const void *data, size_t n)
{
    buf_varint(b, (uint64_t)field << 3 | 2);
    buf_varint(b, n);
    buf_append(b, data, n);
}

static inline void pb_text(struct buf *b, unsigned field, const char *s)
{
    pb_data(b, field, s, strlen(s));
}

/* Takes the inner message. */
static inline void pb_message(struct buf *b, unsigned field, struct buf *inner)
{
    pb_data(b, field, inner->data, inner->len);
    buf_deinit(inner);
}

/* An initializer of a graph. */
static inline void onnx_write_constant(struct buf *graph, const char *name, int type, const int64_t *dims,
                                       size_t rank, const void *raw, size_t raw_bytes)
{
    struct buf t = {0};

    for (size_t i = 0; i < rank; i++)
        pb_number(&t, 1, (uint64_t)dims[i]);
    pb_number(&t, 2, (uint64_t)type);
    pb_text(&t, 8, name);
    pb_data(&t, 9, raw, raw_bytes);
    pb_message(graph, 5, &t);
}

static inline void onnx_write_floats(struct buf *graph, const char *name, const int64_t *dims, size_t rank,
                                     const float *v)
{
    size_t n = 1;

    for (size_t i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    onnx_write_constant(graph, name, ONNX_FLOAT, dims, rank, v, n * sizeof *v);
}

/* field 11: an input, 12: an output. A dimension below 0 is open and called "n". */
static inline void onnx_write_port(struct buf *graph, unsigned field, const char *name, int type,
                                   const int64_t *dims, size_t rank)
{
    struct buf port = {0}, outer = {0}, tensor = {0}, shape = {0};

    for (size_t i = 0; i < rank; i++) {
        struct buf dim = {0};

        if (dims[i] < 0)
            pb_text(&dim, 2, "n");
        else
            pb_number(&dim, 1, (uint64_t)dims[i]);
        pb_message(&shape, 1, &dim);
    }
    pb_number(&tensor, 1, (uint64_t)type);
    pb_message(&tensor, 2, &shape);
    pb_message(&outer, 1, &tensor);
    pb_text(&port, 1, name);
    pb_message(&port, 2, &outer);
    pb_message(graph, field, &port);
}

/* Inputs and outputs are names between spaces. `attributes` (may be NULL) is taken: fields of the node. */
static inline void onnx_write_node(struct buf *graph, const char *op, const char *domain, const char *inputs,
                                   const char *outputs, struct buf *attributes)
{
    struct buf n = {0};
    char copy[256], *rest, *word;

    for (unsigned field = 1; field <= 2; field++) {
        snprintf(copy, sizeof copy, "%s", field == 1 ? inputs : outputs);
        for (rest = copy; (word = strsep(&rest, " ")) != NULL;)
            pb_text(&n, field, word);
    }
    pb_text(&n, 3, outputs);
    pb_text(&n, 4, op);
    if (domain != NULL)
        pb_text(&n, 7, domain);
    if (attributes != NULL) {
        buf_append(&n, attributes->data, attributes->len);
        buf_deinit(attributes);
    }
    pb_message(graph, 1, &n);
}

static inline void onnx_write_int(struct buf *attributes, const char *name, int64_t v)
{
    struct buf a = {0};

    pb_text(&a, 1, name);
    pb_number(&a, 3, (uint64_t)v);
    pb_number(&a, 20, ONNX_ATTRIBUTE_INT);
    pb_message(attributes, 5, &a);
}

static inline void onnx_write_ints(struct buf *attributes, const char *name, const int64_t *v, size_t n)
{
    struct buf a = {0};

    pb_text(&a, 1, name);
    for (size_t i = 0; i < n; i++)
        pb_number(&a, 8, (uint64_t)v[i]);
    pb_number(&a, 20, ONNX_ATTRIBUTE_INTS);
    pb_message(attributes, 5, &a);
}

static inline void onnx_write_float_list(struct buf *attributes, const char *name, const float *v, size_t n)
{
    struct buf a = {0}, packed = {0};

    pb_text(&a, 1, name);
    buf_append(&packed, v, n * sizeof *v);
    pb_message(&a, 7, &packed);
    pb_number(&a, 20, ONNX_ATTRIBUTE_FLOATS);
    pb_message(attributes, 5, &a);
}

/* Texts between spaces; `is_list`: STRINGS, else one STRING. */
static inline void onnx_write_texts(struct buf *attributes, const char *name, const char *texts, bool is_list)
{
    struct buf a = {0};
    char copy[256], *rest = copy, *word;

    snprintf(copy, sizeof copy, "%s", texts);
    pb_text(&a, 1, name);
    while ((word = strsep(&rest, " ")) != NULL)
        pb_text(&a, is_list ? 9 : 4, word);
    pb_number(&a, 20, is_list ? ONNX_ATTRIBUTE_STRINGS : ONNX_ATTRIBUTE_STRING);
    pb_message(attributes, 5, &a);
}

/* Takes the graph. Operators of ai.onnx.ml are those of set 3. */
static inline void onnx_write_model(struct buf *out, struct buf *graph, unsigned opset)
{
    struct buf set = {0}, ml = {0};

    pb_number(out, 1, 8);
    pb_message(out, 7, graph);
    pb_text(&set, 1, "");
    pb_number(&set, 2, opset);
    pb_message(out, 8, &set);
    pb_text(&ml, 1, "ai.onnx.ml");
    pb_number(&ml, 2, 3);
    pb_message(out, 8, &ml);
}

#endif
