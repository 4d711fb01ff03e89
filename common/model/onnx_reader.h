/* onnx_reader.h - ONNX models and tensors, read out of their protobuf bytes.
 *
 * A bounded reader of the messages ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto and
 * ValueInfoProto, written by hand: any bytes are safe, time is linear in their number, memory is at most a
 * small multiple of it (ONNX_MEMORY_FACTOR). What is damaged, beyond a limit or out of the file (external
 * data) is refused with a sentence. Subgraphs, functions and sparse tensors are seen, not read: whether they
 * matter is the importer's to say.
 *
 * Names and texts are borrowed from the bytes; values are copies in natural alignment. One thread; no I/O. */
#ifndef FOGLINE_MODEL_ONNX_READER_H
#define FOGLINE_MODEL_ONNX_READER_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>

enum {
    ONNX_FILE_BYTES_MAX = 256 << 20,
    ONNX_NODES_MAX = 8192,
    ONNX_TENSORS_MAX = 8192,   /* initializers */
    ONNX_PORTS_MAX = 8192,     /* inputs, and outputs, and value infos, of a graph */
    ONNX_NODE_PORTS_MAX = 256, /* inputs, and outputs, of a node */
    ONNX_ATTRIBUTES_MAX = 128, /* of a node */
    ONNX_LIST_MAX = 1 << 24,   /* elements of an attribute */
    ONNX_ELEMENTS_MAX = 1 << 26,
    ONNX_DIMS_MAX = 8,
    ONNX_NAME_BYTES_MAX = 4096,
    ONNX_OPSETS_MAX = 64,
    ONNX_MEMORY_FACTOR = 80,
};

/* TensorProto.DataType */
enum onnx_type {
    ONNX_UNDEFINED = 0,
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_STRING = 8,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
    ONNX_UINT64 = 13,
};

const char *onnx_type_name(int32_t type); /* "float", "int4", ...; "type 99" is "an unknown type" */

struct onnx_tensor {
    struct span name;
    int32_t type;
    uint8_t rank;
    uint32_t dims[ONNX_DIMS_MAX];
    size_t n_elements;
    /* Row-major; of ONNX_STRING struct span. NULL: a type whose values are not read (float16, int4, ...). */
    const void *data;
};

/* AttributeProto.AttributeType */
enum onnx_attribute_type {
    ONNX_ATTRIBUTE_FLOAT = 1,
    ONNX_ATTRIBUTE_INT = 2,
    ONNX_ATTRIBUTE_STRING = 3,
    ONNX_ATTRIBUTE_TENSOR = 4,
    ONNX_ATTRIBUTE_GRAPH = 5, /* and above FLOATS .. STRINGS: not read */
    ONNX_ATTRIBUTE_FLOATS = 6,
    ONNX_ATTRIBUTE_INTS = 7,
    ONNX_ATTRIBUTE_STRINGS = 8,
};

struct onnx_attribute {
    struct span name;
    int32_t type;
    float f;
    int64_t i;
    struct span s;
    const struct onnx_tensor *t;
    size_t n; /* of the list that the type names */
    const float *floats;
    const int64_t *ints;
    const struct span *strings;
};

struct onnx_node {
    struct span name, op, domain;
    const struct span *inputs, *outputs; /* an empty one: left out */
    size_t n_inputs, n_outputs;
    const struct onnx_attribute *attributes;
    size_t n_attributes;
};

struct onnx_dim {
    int64_t value;    /* -1: not said */
    struct span name; /* of a dimension that is not said; may be empty */
};

struct onnx_port {
    struct span name;
    int32_t type; /* of the elements; ONNX_UNDEFINED: no tensor (a sequence, a map), or not said */
    bool has_shape;
    uint8_t rank;
    struct onnx_dim dims[ONNX_DIMS_MAX];
};

struct onnx_graph {
    struct span name;
    const struct onnx_node *nodes;
    const struct onnx_tensor *initializers;
    const struct onnx_port *inputs, *outputs;
    size_t n_nodes, n_initializers, n_inputs, n_outputs;
    bool has_sparse;
};

struct onnx_model;

/* `bytes` are borrowed until onnx_model_free. -EINVAL, -EMSGSIZE, -ENOMEM with a sentence. */
must_check int onnx_model_read(struct span bytes, struct onnx_model **ret, struct errmsg *err);
void onnx_model_free(struct onnx_model *m);   /* accepts NULL */
void onnx_model_freep(struct onnx_model **m); /* for owned() */

const struct onnx_graph *onnx_model_graph(const struct onnx_model *m);
/* Version of the operators of a domain ("" and "ai.onnx" are one); 0: not imported. */
int64_t onnx_model_opset(const struct onnx_model *m, const char *domain);
bool onnx_model_has_functions(const struct onnx_model *m);
struct span onnx_model_producer(const struct onnx_model *m);

struct onnx_tensor_file;

/* A file with one TensorProto, as stored test vectors are; borrows as above. */
must_check int onnx_tensor_read(struct span bytes, struct onnx_tensor_file **ret, struct errmsg *err);
void onnx_tensor_free(struct onnx_tensor_file *f); /* accepts NULL */
const struct onnx_tensor *onnx_tensor_of(const struct onnx_tensor_file *f);

/* A name of the file for a sentence: cut to what fits, anything but printable ASCII becomes '?'. Returns
 * text. */
enum { ONNX_NAME_TEXT = 80 };
const char *onnx_name_text(struct span name, char text[ONNX_NAME_TEXT]);

#endif
