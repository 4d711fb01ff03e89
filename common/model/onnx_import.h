/* onnx_import.h - a graph of ONNX becomes one of infer.
 *
 * Operators of the sets 1 to 25 and of ai.onnx.ml 1 to 5, as far as import_ops.c lists them; semantics are
 * those of the set the model names. All shapes become static: a first dimension without a number is the batch
 * (1, or as asked), any other one has to be given. What can be computed from constants is. Anything else is
 * refused with the node, its operator and what to do.
 *
 * Pure: memory in, memory out. One thread. Memory and time are bounded by the size of the model, of the given
 * dimensions and by the limits of infer. */
#ifndef FOGLINE_MODEL_ONNX_IMPORT_H
#define FOGLINE_MODEL_ONNX_IMPORT_H

#include "infer/build.h"
#include "model/onnx_reader.h"

struct onnx_import_dim {
    const char *name; /* of the dimension, or INPUT.INDEX ("x.2") */
    uint32_t value;
};

/* A graph input that is no input of the model but this constant. */
struct onnx_import_constant {
    const char *input;
    const struct onnx_tensor *value;
};

struct onnx_import_options {
    uint32_t batch; /* 0: 1 */
    const struct onnx_import_dim *dims;
    size_t n_dims;
    const struct onnx_import_constant *constants;
    size_t n_constants;
};

struct onnx_import_report {
    /* When it was refused because an input of the graph determines shapes or scales: the name of that input.
     */
    char needs_constant[ONNX_NAME_TEXT];
    size_t n_nodes;                 /* of the ONNX graph */
    size_t n_needless;              /* no output needs them */
    size_t n_dense_i8, n_conv1d_i8; /* layers that became integer kernels */
};

/* The caller frees *ret_build. -EINVAL, -EMSGSIZE, -ENOMEM with a sentence. */
must_check int onnx_import(const struct onnx_model *model, const struct onnx_import_options *options,
                           struct infer_build **ret_build, struct onnx_import_report *ret_report,
                           struct errmsg *err);

#endif
