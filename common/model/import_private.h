/* import_private.h - what the families of operators share while a graph is imported. Private to common/model.
 *
 * Nodes are taken in their order. Each becomes nodes of the engine (import_emit), or constants when all it
 * reads is constant, or nothing but a note at its output (Dequantize waits whether somebody needs the
 * floats). All memory is the pool's. */
#ifndef FOGLINE_MODEL_IMPORT_PRIVATE_H
#define FOGLINE_MODEL_IMPORT_PRIVATE_H

#include "model/onnx_import.h"
#include "model/pool.h"

struct import_node;

struct import_value {
    struct span name;
    enum infer_type type; /* 0: nothing gave it yet */
    struct infer_shape shape;
    const void *data; /* of a constant; NULL: computed */
    uint16_t tensor;  /* in the build; INFER_NONE: not there (yet) */
    /* The same values in other forms, INFER_NONE: not there. 8-bit types as int8 (unsigned ones less 128),
     * and that with the channels last ([N,C,L] as [N,L,C]). A value may be there in such a form alone. */
    uint16_t as_i8, as_i8_last;
    /* It is what DequantizeLinear makes of this one. */
    struct import_value *quantised, *scale, *zero; /* zero may be NULL */
    int axis;
    int32_t refused_type;     /* a constant of an ONNX type that is not read; 0: fine */
    struct import_node *user; /* the last one */
    uint32_t n_uses;
    bool is_input, is_output, needed;
};

struct import_node {
    const struct onnx_node *onnx;
    struct import_value **in, **out; /* NULL: left out */
    size_t n_in, n_out;
    bool done; /* nothing needs it, or another node took it along */
};

struct import {
    const struct onnx_model *model;
    const struct onnx_import_options *options;
    struct onnx_import_report *report;
    struct infer_build *build;
    struct pool pool;
    struct import_node *nodes;
    size_t n_nodes;
    struct import_value **slots; /* by name: open addressing */
    size_t n_slots;
    struct import_node *node; /* the one at work */
    uint64_t folded_operations;
    int64_t opset, opset_ml;
    const struct onnx_attribute *wrong; /* an attribute of another type than the operator's */
    struct errmsg err;                  /* without the node's name, which the walk puts in front */
};

typedef int import_fn(struct import *im, struct import_node *n);

struct import_op {
    const char *name;
    import_fn *fn;
};

/* NULL: not among them. */
const struct import_op *import_op_find(struct span domain, struct span name);

/* ---- values (import_value.c) ---- */

struct import_value *import_named(struct import *im, struct span name); /* makes it; NULL: no memory */
struct import_value *import_temp(struct import *im);                    /* NULL: no memory */
/* -ENOMEM and the sentence. */
must_check int import_no_memory(struct import *im);
/* -EINVAL and the sentence. */
int import_refuse(struct import *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A constant of the pool; data is copied when it is not NULL. NULL: no memory. */
struct import_value *import_constant(struct import *im, enum infer_type type, const struct infer_shape *shape,
                                     const void *data);
struct import_value *import_f32(struct import *im, float v);                     /* a scalar */
struct import_value *import_floats(struct import *im, const float *v, size_t n); /* a vector */
struct import_value *import_i64s(struct import *im, const int64_t *v, size_t n); /* a vector */
must_check int import_constant_of(struct import *im, const struct onnx_tensor *t, struct import_value *ret_v);

/* `out` is another name for `v`. */
void import_alias(struct import_value *out, const struct import_value *v);
/* v in the build, in its own type. */
must_check int import_tensor(struct import *im, struct import_value *v, uint16_t *ret_tensor);
must_check int import_i8(struct import *im, struct import_value *v, uint16_t *ret_tensor);
must_check int import_i8_last(struct import *im, struct import_value *v, uint16_t *ret_tensor);

/* Adds a node of the engine; in[i] NULL: left out. When all of `in` are constants it is computed at once. */
must_check int import_emit(struct import *im, struct infer_node *node, struct import_value *const *in,
                           size_t n_in, struct import_value *const *out, size_t n_out);
/* The usual case: one output. */
must_check int import_emit1(struct import *im, struct infer_node *node, struct import_value *const *in,
                            size_t n_in, struct import_value *out);
/* As import_emit1, never computed at once. */
must_check int import_add(struct import *im, struct infer_node *node, struct import_value *const *in,
                          size_t n_in, struct import_value *out);
must_check int import_cast(struct import *im, struct import_value *v, enum infer_type type,
                           struct import_value **ret_v);
must_check int import_reshape(struct import *im, struct import_value *v, const struct infer_shape *shape,
                              struct import_value *out);
must_check int import_binary(struct import *im, uint16_t op, struct import_value *a, struct import_value *b,
                             struct import_value *out);

/* ---- nodes and attributes (import_node.c) ---- */

/* The node that alone uses v, when no output of the graph is v; NULL otherwise. */
struct import_node *import_only_user(const struct import_value *v);
bool import_is(const struct import_node *n, const char *op);            /* of the core domain */
struct import_value *import_in(const struct import_node *n, size_t i);  /* NULL: left out */
struct import_value *import_out(const struct import_node *n, size_t i); /* NULL: left out */
/* Input i as a constant; refused when it is computed. *ret_v is NULL when it was left out. */
must_check int import_need(struct import *im, const struct import_node *n, size_t i,
                           struct import_value **ret_v);
/* The same as integers (from I64 or I32); *ret_n is SIZE_MAX when it was left out. */
must_check int import_need_ints(struct import *im, const struct import_node *n, size_t i,
                                const int64_t **ret_v, size_t *ret_n);
must_check int import_need_inputs(struct import *im, const struct import_node *n, size_t lowest);

int64_t import_int(struct import *im, const char *name, int64_t otherwise);
float import_float(struct import *im, const char *name, float otherwise);
struct span import_text(struct import *im, const char *name, const char *otherwise);
/* NULL and 0 when it is not there. */
const int64_t *import_ints(struct import *im, const char *name, size_t *ret_n);
const float *import_float_list(struct import *im, const char *name, size_t *ret_n);
const struct span *import_texts(struct import *im, const char *name, size_t *ret_n);
const struct onnx_tensor *import_tensor_attribute(struct import *im, const char *name);
bool import_has(const struct import *im, const char *name);

/* -1: not within -rank .. rank - 1, and the sentence stands in im->err. */
int import_axis(struct import *im, int64_t axis, unsigned rank);
int32_t import_i32(int64_t v); /* saturates; the engine refuses what is beyond */
/* Of ONNX's number; 0: none. */
enum infer_type import_type(int32_t onnx_type);
must_check int import_shape(struct import *im, const int64_t *dims, size_t n, struct infer_shape *ret_shape);

/* ---- inputs and outputs of the graph (import_ports.c) ---- */

must_check int import_inputs(struct import *im, const struct onnx_graph *g);
must_check int import_output(struct import *im, const struct onnx_graph *g, size_t i);

/* ---- families ---- */

/* Window of Conv and pools: strides, dilations, pads by auto_pad into ints[2..13]. */
must_check int import_window(struct import *im, const struct infer_shape *x, const uint32_t *kernel,
                             unsigned n_spatial, bool has_dilations, int32_t *ints);
/* Quantised forms of Gemm, MatMul and Conv: 1: done, 0: it does not fit. */
must_check int import_dense_i8(struct import *im, struct import_node *n);
must_check int import_conv1d_i8(struct import *im, struct import_node *n);
/* A node that only moves values of x; when x is dequantised it moves the quantised ones. */
must_check int import_through(struct import *im, struct infer_node *node, struct import_value *x,
                              struct import_value *out);
must_check int import_post(struct import *im, int32_t *ret_post); /* of the attribute post_transform */
/* Names of classes: int64 or texts. */
must_check int import_labels(struct import *im, const char *ints, const char *texts,
                             struct import_value **ret_v);
/* Input 0 as [N,F] of float32; or of float64 where it may be. */
must_check int import_features(struct import *im, struct import_node *n, bool f64,
                               struct import_value **ret_x);

import_fn import_unary, import_binary_op, import_variadic, import_clip, import_cast_op, import_softmax,
    import_reduce, import_arg_max, import_prelu, import_reciprocal, import_hard_swish; /* import_math.c */
import_fn import_gemm, import_matmul, import_conv, import_conv_transpose;              /* import_linear.c */
import_fn import_batch_norm;                                                           /* import_norm.c */
import_fn import_pool, import_global_pool;                                             /* import_pool.c */
import_fn import_constant_op, import_constant_of_shape, import_shape_op, import_size, import_identity,
    import_dropout, import_reshape_op, import_flatten, import_squeeze, import_unsqueeze,
    import_transpose; /* import_shape.c */
import_fn import_concat, import_slice, import_split, import_pad, import_gather,
    import_expand; /* import_index.c */
import_fn import_quantize, import_dequantize, import_dynamic_quantize, import_qlinear_conv,
    import_qlinear_matmul, import_conv_integer, import_matmul_integer;         /* import_quant.c */
import_fn import_tree_classifier, import_tree_regressor, import_tree_ensemble; /* import_trees*.c */
import_fn import_scaler, import_normalizer, import_imputer, import_linear_regressor, import_linear_classifier,
    import_binarizer, import_feature_extractor; /* import_ml.c */
import_fn import_label_encoder, import_zip_map; /* import_label.c */

#endif
