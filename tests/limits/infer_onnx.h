/* infer_onnx.h - writes ONNX models (opset 17, ai.onnx.ml 1), as much of the format as bench_infer needs to
 * hand its models to another engine. Tensors have the names that are given. Memory errors stay in the buffer.
 */
#ifndef FOGLINE_TESTS_INFER_ONNX_H
#define FOGLINE_TESTS_INFER_ONNX_H

#include "base/bytes.h"

/* TensorProto.DataType */
enum onnx_type { ONNX_F32 = 1, ONNX_I8 = 3, ONNX_I32 = 6 };

struct onnx_writer {
    struct buf graph; /* owned */
};

struct onnx_attribute {
    const char *name;
    enum { ONNX_INT, ONNX_INTS, ONNX_FLOATS, ONNX_STRING, ONNX_STRINGS } kind;
    size_t n;
    const int64_t *ints;
    const float *floats;
    const char *string, *otherwise; /* ONNX_STRINGS: string i is the first where ints[i] is not 0 */
};

void onnx_deinit(struct onnx_writer *w);
/* Of one input [shape] and one output of any shape. */
void onnx_input(struct onnx_writer *w, const char *name, size_t rank, const int64_t *shape);
void onnx_output(struct onnx_writer *w, const char *name);
void onnx_constant(struct onnx_writer *w, const char *name, enum onnx_type type, size_t rank,
                   const int64_t *shape, const void *values);
/* `inputs`: names, separated by blanks; one output. op "ml:Name": of the domain ai.onnx.ml. */
void onnx_node(struct onnx_writer *w, const char *op, const char *inputs, const char *output,
               const struct onnx_attribute *attributes, size_t n_attributes);
/* Appends the model. */
void onnx_write(const struct onnx_writer *w, struct buf *out);

#endif
