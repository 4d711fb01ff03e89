/* op_private.h - what the families of operators share. Private to common/infer.
 *
 * An operator is a row of the table in op.c: facts, a check and a run, and where they differ from the usual
 * ones its scratch and its operations. A check works on struct op_check and says what is wrong with
 * op_refuse; all others get struct op_call of a node that was accepted and trust every size. Pure, no
 * allocation, any thread. */
#ifndef FOGLINE_INFER_OP_PRIVATE_H
#define FOGLINE_INFER_OP_PRIVATE_H

#include "infer/op.h"

struct op_entry;

struct op_check {
    const struct infer_node *node;
    const char *name;
    const struct infer_tensor *in[INFER_NODE_INPUTS_MAX]; /* NULL: left out */
    struct infer_tensor *out;                             /* node->n_outputs of them, to be filled */
    struct errmsg *err;
};

struct op_call {
    const struct op_entry *entry;
    const struct infer_node *node;
    const struct infer_tensor *in[INFER_NODE_INPUTS_MAX]; /* NULL: left out */
    const struct infer_tensor *out[INFER_NODE_OUTPUTS_MAX];
    const void *x[INFER_NODE_INPUTS_MAX];
    void *y[INFER_NODE_OUTPUTS_MAX];
    void *scratch;
};

struct op_entry {
    struct infer_op_facts facts;
    int (*check)(struct op_check *c);
    void (*run)(const struct op_call *c);
    size_t (*scratch_bytes)(const struct op_call *c); /* NULL: none */
    uint64_t (*operations)(const struct op_call *c);  /* NULL: one an element of input 0 or output 0 */
};

/* The call of an accepted node, but for x, y and scratch. */
void op_call_init(struct op_call *c, const struct infer_node *node, const struct infer_tensor *tensors);
static inline void op_call_run(const struct op_call *c)
{
    c->entry->run(c);
}

/* ---- for checks (op_check.c) ---- */

/* Sets of types. */
enum {
    OP_F32 = 1 << INFER_F32,
    OP_F64 = 1 << INFER_F64,
    OP_I8 = 1 << INFER_I8,
    OP_U8 = 1 << INFER_U8,
    OP_I16 = 1 << INFER_I16,
    OP_I32 = 1 << INFER_I32,
    OP_I64 = 1 << INFER_I64,
    OP_BOOL = 1 << INFER_BOOL,
    OP_TEXT = 1 << INFER_TEXT,
    OP_BYTE = OP_I8 | OP_U8,
    OP_ARITHMETIC = OP_F32 | OP_I32 | OP_I64 | OP_I8 | OP_U8,
    OP_PLAIN = OP_ARITHMETIC | OP_F64 | OP_I16 | OP_BOOL, /* all but TEXT */
};

/* -EINVAL and "Name: ...". */
int op_refuse(const struct op_check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Each of these is 0 when input i was left out. */
must_check int op_takes(const struct op_check *c, size_t i, unsigned types);
must_check int op_takes_rank(const struct op_check *c, size_t i, unsigned lowest, unsigned highest);
must_check int op_takes_constant(const struct op_check *c, size_t i);
/* One dimension of n elements; or_one: 1 element or a scalar will do. */
must_check int op_takes_vector(const struct op_check *c, size_t i, size_t n, bool or_one);
must_check int op_takes_one(const struct op_check *c, size_t i); /* one element */
must_check int op_takes_setting(const struct op_check *c, size_t i, int lowest, int highest); /* ints[i] */
/* Output i. */
void op_gives(struct op_check *c, size_t i, enum infer_type type, const struct infer_shape *shape);
/* A dimension that was computed: refused when it is negative or beyond the limit. */
must_check int op_dim(const struct op_check *c, struct infer_shape *shape, size_t i, int64_t n);
/* numpy's rule; false: they do not go together. */
bool op_broadcast(const struct infer_shape *a, const struct infer_shape *b, struct infer_shape *ret_shape);

/* The types of the one, written out: sum of products of k pairs of 8-bit numbers less their zero points. */
enum { OP_SUM_TERMS_MAX = INT32_MAX / (255 * 255) };

/* ---- for runs ---- */

static inline size_t op_elements(const struct infer_tensor *t)
{
    return infer_shape_elements(&t->shape);
}

/* Elements of dimensions first .. end - 1. */
static inline size_t op_span(const struct infer_shape *s, size_t first, size_t end)
{
    size_t n = 1;

    for (size_t i = first; i < end; i++)
        n *= s->dim[i];
    return n;
}

uint64_t op_product(uint64_t a, uint64_t b); /* saturates */

/* Walks a shape row by row over operands that are broadcast to it: dimensions that lie together are one. */
enum { OP_WALK_MAX = 3 };

struct op_walk {
    unsigned rank;                              /* outer dimensions; the row is apart */
    size_t dim[INFER_RANK_MAX];                 /* of the outer ones */
    size_t row;                                 /* elements of a row */
    size_t step[OP_WALK_MAX];                   /* within a row: elements of each operand, 0 or more */
    size_t stride[OP_WALK_MAX][INFER_RANK_MAX]; /* of the outer ones */
    size_t n_rows;
    size_t at[INFER_RANK_MAX];
    size_t offset[OP_WALK_MAX]; /* where the row begins in each operand */
};

/* strides[k][i]: elements from one index of dimension i to the next in operand k. n_rows is 0 when there is
 * nothing. */
void op_walk_init(struct op_walk *w, const struct infer_shape *shape, size_t n_operands,
                  size_t strides[OP_WALK_MAX][INFER_RANK_MAX]);
void op_walk_next(struct op_walk *w, size_t n_operands);
/* Strides of a tensor of `shape` that is broadcast to `whole`. */
void op_strides(const struct infer_shape *shape, const struct infer_shape *whole,
                size_t ret_strides[INFER_RANK_MAX]);

/* Round half to even in whatever mode; saturated; NaN gives the zero. */
static inline int32_t op_requantize(float x, int32_t zero, int32_t lowest, int32_t highest)
{
    float r = __builtin_rintf(x);
    int32_t v;

    if (r > 1e6f)
        r = 1e6f;
    else if (r < -1e6f)
        r = -1e6f;
    v = (r == r ? (int32_t)r : 0) + zero;
    return v < lowest ? lowest : v > highest ? highest : v;
}

/* Value i of a tensor of I8, U8, I16 or I32. */
static inline int32_t op_small_int(const void *values, enum infer_type type, size_t i)
{
    switch (type) {
    case INFER_I8:
        return ((const int8_t *)values)[i];
    case INFER_U8:
        return ((const uint8_t *)values)[i];
    case INFER_I16:
        return ((const int16_t *)values)[i];
    default:
        return ((const int32_t *)values)[i];
    }
}

/* Scores of one sample, in place. */
void op_post(enum infer_post post, float *scores, size_t n);
float op_logistic(float x);
float op_probit(float x);

/* ---- the table's functions, by file ---- */

int op_binary_check(struct op_check *c); /* op_binary.c */
void op_binary_run(const struct op_call *c);
int op_prelu_check(struct op_check *c);

int op_float_check(struct op_check *c); /* op_unary.c */
int op_number_check(struct op_check *c);
void op_relu_run(const struct op_call *c);
void op_leaky_relu_run(const struct op_call *c);
void op_sigmoid_run(const struct op_call *c);
void op_tanh_run(const struct op_call *c);
void op_elu_run(const struct op_call *c);
void op_selu_run(const struct op_call *c);
void op_hard_sigmoid_run(const struct op_call *c);
void op_softplus_run(const struct op_call *c);
void op_exp_run(const struct op_call *c);
void op_log_run(const struct op_call *c);
void op_sqrt_run(const struct op_call *c);
void op_abs_run(const struct op_call *c);
void op_neg_run(const struct op_call *c);
int op_clip_check(struct op_check *c); /* op_value.c */
void op_clip_run(const struct op_call *c);
int op_cast_check(struct op_check *c);
void op_cast_run(const struct op_call *c);
int op_lut8_check(struct op_check *c);
void op_lut8_run(const struct op_call *c);
int op_softmax_check(struct op_check *c); /* op_reduce.c */
void op_softmax_run(const struct op_call *c);
void op_log_softmax_run(const struct op_call *c);
int op_reduce_check(struct op_check *c);
void op_reduce_run(const struct op_call *c);
int op_arg_max_check(struct op_check *c);
void op_arg_max_run(const struct op_call *c);

/* One product of matrices within a batch: where it begins in a, b and y, in elements. */
struct op_matmul_part {
    size_t a, b, y, m, k, n;
};
typedef void op_matmul_fn(const struct op_call *c, const struct op_matmul_part *p);
/* For all products of inputs i_a and i_b: the shape of the whole, and each part in turn (op_linear.c). */
must_check int op_matmul_shape(struct op_check *c, size_t i_a, size_t i_b, struct infer_shape *ret_shape);
void op_matmul_each(const struct op_call *c, size_t i_a, size_t i_b, op_matmul_fn *fn);

int op_gemm_check(struct op_check *c); /* op_linear.c */
void op_gemm_run(const struct op_call *c);
uint64_t op_gemm_operations(const struct op_call *c);
int op_matmul_check(struct op_check *c);
void op_matmul_run(const struct op_call *c);
uint64_t op_matmul_operations(const struct op_call *c);

int op_conv_check(struct op_check *c); /* op_conv.c */
void op_conv_run(const struct op_call *c);
size_t op_conv_scratch_bytes(const struct op_call *c);
uint64_t op_conv_operations(const struct op_call *c);
int op_conv_transpose_check(struct op_check *c);
void op_conv_transpose_run(const struct op_call *c);
size_t op_conv_transpose_scratch_bytes(const struct op_call *c);
uint64_t op_conv_transpose_operations(const struct op_call *c);
int op_batch_norm_check(struct op_check *c);
void op_batch_norm_run(const struct op_call *c);

int op_pool_check(struct op_check *c); /* op_pool.c */
uint64_t op_pool_operations(const struct op_call *c);
void op_max_pool_run(const struct op_call *c);
void op_average_pool_run(const struct op_call *c);
int op_global_pool_check(struct op_check *c);
void op_global_average_pool_run(const struct op_call *c);
void op_global_max_pool_run(const struct op_call *c);

int op_reshape_check(struct op_check *c); /* op_shape.c */
void op_reshape_run(const struct op_call *c);
int op_transpose_check(struct op_check *c);
void op_transpose_run(const struct op_call *c);
int op_slice_check(struct op_check *c);
void op_slice_run(const struct op_call *c);
int op_concat_check(struct op_check *c); /* op_index.c */
void op_concat_run(const struct op_call *c);
int op_pad_check(struct op_check *c);
void op_pad_run(const struct op_call *c);
int op_gather_check(struct op_check *c);
void op_gather_run(const struct op_call *c);

int op_quantize_check(struct op_check *c); /* op_quant.c */
void op_quantize_run(const struct op_call *c);
int op_dequantize_check(struct op_check *c);
void op_dequantize_run(const struct op_call *c);
int op_dynamic_quantize_check(struct op_check *c);
void op_dynamic_quantize_run(const struct op_call *c);
int op_qlinear_conv_check(struct op_check *c); /* op_qlinear.c */
void op_qlinear_conv_run(const struct op_call *c);
uint64_t op_qlinear_conv_operations(const struct op_call *c);
int op_conv_integer_check(struct op_check *c);
void op_conv_integer_run(const struct op_call *c);
uint64_t op_conv_integer_operations(const struct op_call *c);
int op_qlinear_matmul_check(struct op_check *c);
void op_qlinear_matmul_run(const struct op_call *c);
uint64_t op_qlinear_matmul_operations(const struct op_call *c);
int op_matmul_integer_check(struct op_check *c);
void op_matmul_integer_run(const struct op_call *c);
int op_dense_i8_check(struct op_check *c); /* op_i8.c */
void op_dense_i8_run(const struct op_call *c);
uint64_t op_dense_i8_operations(const struct op_call *c);
int op_conv1d_i8_check(struct op_check *c);
void op_conv1d_i8_run(const struct op_call *c);
size_t op_conv1d_i8_scratch_bytes(const struct op_call *c);
uint64_t op_conv1d_i8_operations(const struct op_call *c);

int op_trees_check(struct op_check *c); /* op_trees_check.c, op_trees.c */
void op_trees_run(const struct op_call *c);
size_t op_trees_scratch_bytes(const struct op_call *c);
uint64_t op_trees_operations(const struct op_call *c);
int op_trees_i16_check(struct op_check *c); /* op_trees_i16.c */
void op_trees_i16_run(const struct op_call *c);
size_t op_trees_i16_scratch_bytes(const struct op_call *c);
uint64_t op_trees_i16_operations(const struct op_call *c);
int op_scaler_check(struct op_check *c); /* op_ml.c */
void op_scaler_run(const struct op_call *c);
int op_normalizer_check(struct op_check *c);
void op_normalizer_run(const struct op_call *c);
int op_imputer_check(struct op_check *c);
void op_imputer_run(const struct op_call *c);
int op_linear_check(struct op_check *c);
void op_linear_run(const struct op_call *c);
uint64_t op_linear_operations(const struct op_call *c);
void op_binarizer_run(const struct op_call *c);
int op_label_check(struct op_check *c); /* op_classes.c */
void op_label_run(const struct op_call *c);
uint64_t op_label_operations(const struct op_call *c);
int op_classify_check(struct op_check *c);
void op_classify_run(const struct op_call *c);

#endif
