/* tensor.h - types, shapes and tensors of inference, and the graph of operators over them.
 *
 * The same structs describe a graph that is being built (common/infer/build.h, tool side) and one that was
 * read from a model file (common/infer/model.h). Shapes are static: every dimension is known when the model
 * is made. Values are row-major, contiguous, little-endian; no hidden state, no I/O. */
#ifndef FOGLINE_INFER_TENSOR_H
#define FOGLINE_INFER_TENSOR_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of any graph; whoever reads or builds one refuses what is beyond. */
enum {
    INFER_RANK_MAX = 6,
    INFER_NODE_INPUTS_MAX = 16,
    INFER_NODE_OUTPUTS_MAX = 3,
    INFER_NODE_INTS_MAX = 24,
    INFER_NODE_FLOATS_MAX = 4,
    INFER_TENSORS_MAX = 8192,
    INFER_NODES_MAX = 4096,
    INFER_IO_MAX = 64,     /* inputs, and outputs, of a graph */
    INFER_TEXT_BYTES = 64, /* a cell of INFER_TEXT: NUL padded, the last byte is NUL */
    INFER_ELEMENTS_MAX = 1 << 26,
};

/* Numbers stand in model files: never change or reuse one. */
enum infer_type {
    INFER_F32 = 1,
    INFER_I8 = 2,
    INFER_U8 = 3,
    INFER_I32 = 4,
    INFER_I64 = 5,
    INFER_F64 = 6,  /* casts and trees only */
    INFER_I16 = 7,  /* tables of quantised trees only */
    INFER_BOOL = 8, /* one byte, 0 or 1 */
    INFER_TEXT = 9, /* label encoders only */
};

size_t infer_type_bytes(enum infer_type type);     /* of one element; 0: no such type */
const char *infer_type_name(enum infer_type type); /* "float32", "int8", ...; NULL: no such type */

struct infer_shape {
    uint8_t rank; /* 0: a scalar, one element */
    uint32_t dim[INFER_RANK_MAX];
};

/* Elements; a dimension of 0 gives 0. The limit INFER_ELEMENTS_MAX holds for every shape that was checked. */
size_t infer_shape_elements(const struct infer_shape *shape);
bool infer_shape_equal(const struct infer_shape *a, const struct infer_shape *b);
/* -EINVAL and a sentence when the rank or the number of elements is beyond the limits. */
must_check int infer_shape_check(const struct infer_shape *shape, struct errmsg *err);

struct infer_tensor {
    enum infer_type type;
    struct infer_shape shape;
    const void *constant; /* borrowed; NULL: computed, or an input of the graph */
};

/* One operator. `inputs` and `outputs` are indices of tensors; INFER_NONE: an optional one left out. What
 * `ints` and `floats` mean is said at each operator in op.h; unused ones are 0. */
#define INFER_NONE UINT16_MAX

struct infer_node {
    uint16_t op; /* enum infer_op */
    uint8_t n_inputs, n_outputs;
    uint16_t inputs[INFER_NODE_INPUTS_MAX];
    uint16_t outputs[INFER_NODE_OUTPUTS_MAX];
    int32_t ints[INFER_NODE_INTS_MAX];
    float floats[INFER_NODE_FLOATS_MAX];
};

/* Inputs and outputs have names (at most 63 bytes, [A-Za-z0-9._/:-]). */
struct infer_port {
    uint16_t tensor;
    char name[64];
};

/* Nodes stand in an order in which each reads only what inputs, constants or nodes before it gave; every
 * tensor that is no constant and no input is written by exactly one node. */
struct infer_graph {
    struct infer_tensor *tensors;
    struct infer_node *nodes;
    struct infer_port inputs[INFER_IO_MAX], outputs[INFER_IO_MAX];
    size_t n_tensors, n_nodes, n_inputs, n_outputs;
};

#endif
