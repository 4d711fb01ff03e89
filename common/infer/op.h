/* op.h - the operators of inference: what each one computes, its inputs and its settings.
 *
 * One table (op.c) has for each operator its name, a check and a plain C form. The check is the single source
 * of truth about types and shapes: a builder uses it to learn the outputs, a reader of model files to refuse
 * what does not fit, so that the computing code can trust every size. Semantics are ONNX's (operators of the
 * same name, onnx.ai/onnx/operators, opset 21 unless said); only static shapes. Integers are bit-equal on
 * every machine: sums in int32 that wrap are refused by the check (k * 255 * 255 < 2^31), requantisation is
 * one float multiplication, round half to even, add the zero point, saturate.
 *
 * Numbers stand in model files: never change or reuse one. */
#ifndef FOGLINE_INFER_OP_H
#define FOGLINE_INFER_OP_H

#include "infer/tensor.h"

enum infer_op {
    /* Element by element. Binary: inputs a, b of one type (F32 I32 I64 I8 U8), broadcast as numpy does. */
    INFER_ADD = 1,
    INFER_SUB = 2,
    INFER_MUL = 3,
    INFER_DIV = 4, /* integers: towards zero; by 0 gives 0 */
    INFER_MIN = 5,
    INFER_MAX = 6,
    /* Unary, F32 (RELU, ABS, NEG also integers). */
    INFER_RELU = 10,
    INFER_LEAKY_RELU = 11, /* floats[0] alpha */
    INFER_SIGMOID = 12,
    INFER_TANH = 13,
    INFER_ELU = 14,          /* floats[0] alpha */
    INFER_SELU = 15,         /* floats[0] alpha, floats[1] gamma */
    INFER_HARD_SIGMOID = 16, /* floats[0] alpha, floats[1] beta */
    INFER_SOFTPLUS = 17,
    INFER_EXP = 18,
    INFER_LOG = 19,
    INFER_SQRT = 20,
    INFER_ABS = 21,
    INFER_NEG = 22,
    INFER_CLIP =
        23, /* inputs x, [low], [high]: constants or computed scalars of x's type; F32 I8 U8 I32 I64 */
    INFER_CAST = 24,    /* ints[0] to type; float to integer truncates and saturates, NaN gives 0 */
    INFER_SOFTMAX = 25, /* ints[0] axis (0..rank-1); F32 */
    INFER_LUT8 =
        26, /* inputs x (I8 or U8), table[256] of the type of the output (I8 U8); index: x + 128 for I8 */
    INFER_PRELU = 27, /* inputs x (F32 I8 I32 I64), slope (broadcast to x) */
    INFER_LOG_SOFTMAX = 28,

    /* Linear, F32. */
    INFER_GEMM = 40,   /* inputs A, B, [C]; ints[0] transA, [1] transB; floats[0] alpha, [1] beta */
    INFER_MATMUL = 41, /* inputs A, B; ranks 1..6 with broadcast batches */
    /* inputs x [N,C,spatial 1..3], w [M,C/group,kernel], [bias M]. ints[0] group, [1] spatial rank S, [2..4]
     * strides, [5..7] dilations, [8..10] pads at the begin, [11..13] pads at the end (each S used, the rest
     * 0). */
    INFER_CONV = 42,
    INFER_CONV_TRANSPOSE = 43, /* as CONV with w [C,M/group,kernel]; ints[14..16] output padding */
    INFER_BATCH_NORM = 44,     /* inputs x, scale, bias, mean, variance [C]; floats[0] epsilon */

    /* Pooling over the spatial dimensions; settings as CONV, ints[17..19] the kernel, ints[20] ceil_mode.
     * F32; MAX_POOL also I8 U8. */
    INFER_MAX_POOL = 50,     /* outputs y, [indices I64]; ints[21] 1: column-major indices */
    INFER_AVERAGE_POOL = 51, /* ints[21] count_include_pad */
    INFER_GLOBAL_AVERAGE_POOL = 52,
    INFER_GLOBAL_MAX_POOL = 53,

    /* Shape family; any type but TEXT. */
    INFER_RESHAPE =
        60, /* ints[0] rank, [1..6] dims: a copy; Flatten, Squeeze, Unsqueeze, Identity become this */
    INFER_TRANSPOSE = 61, /* ints[0..rank-1] permutation */
    INFER_CONCAT = 62,    /* ints[0] axis; 1..16 inputs of one type */
    INFER_SLICE =
        63,         /* ints[0..5] start, [6..11] step (not 0), [12..17] elements kept, for every axis of x */
    INFER_PAD = 64, /* inputs x, [value: scalar]; ints[0] mode 0 constant, 1 reflect, 2 edge; [1..6] begin,
                     * [7..12] end, none negative */
    INFER_GATHER = 65, /* inputs x, indices (I32 I64; negative counts from the end; beyond the end clamps to
                          it); ints[0] axis */

    /* Reductions; ints[0] bit mask of axes, ints[1] keep dimensions. */
    INFER_REDUCE_MEAN = 70, /* F32 */
    INFER_REDUCE_SUM = 71,  /* F32 */
    INFER_REDUCE_MAX = 72,  /* F32 */
    INFER_ARG_MAX = 73,     /* ints[0] axis, [1] keep dimensions, [2] select last; gives I64 */

    /* Quantised, as ONNX has them. Scales are F32 constants, per tensor or along an axis. */
    INFER_QUANTIZE = 80, /* inputs x F32 (or I32), scale, [zero point]; ints[0] axis, [1] block size (0 none),
                            [2] type (I8 U8 I16) */
    INFER_DEQUANTIZE = 81, /* inputs x I8 U8 I16 I32, scale, [zero point]; ints[0] axis, [1] block size */
    INFER_DYNAMIC_QUANTIZE = 82, /* input x F32; outputs y U8, scale F32, zero point U8 */
    INFER_QLINEAR_CONV = 83,     /* the 8 or 9 inputs of ONNX, settings as CONV */
    INFER_QLINEAR_MATMUL = 84,   /* the 8 inputs of ONNX */
    INFER_CONV_INTEGER = 85,     /* x, w, [x zero], [w zero]; settings as CONV */
    INFER_MATMUL_INTEGER = 86,   /* A, B, [A zero], [B zero] */

    /* Tuned int8 forms, made by importers and the quantiser from the above; weights are I8, symmetric, per
     * output channel. inputs x I8, w I8, bias I32 [M] (the x zero point is folded in: bias - zero * sum of
     * w), multiplier F32 [M] (scale x * scale w / scale y); ints[22] zero point of y, ints[23] lowest value
     * of y (a folded Relu), the highest is 127; floats[0] not 0: output is F32 = sum * multiplier with no
     * zero point. */
    INFER_DENSE_I8 = 90,  /* x [N,K], w [M,K], y [N,M] */
    INFER_CONV1D_I8 = 91, /* x [N,L,C], w [M,kernel,C]: channels last; ints[0] stride, [1] dilation, [2] pad
                           * begin, [3] pad end, [4] zero point of x (the padding), y [N,L',M] */

    /* ai.onnx.ml. */
    /* inputs x [N,F] F32 or F64; then constants: [1] root I32 [trees] (node, or -1-leaf), [2] feature I32
     * [nodes], [3] threshold (type of x) [nodes], [4] mode I8 [nodes] (enum infer_tree_mode), [5] true I32
     * [nodes], [6] false I32 [nodes] (>= 0 node, after its parent; < 0: leaf -1-i), [7] missing true I8
     * [nodes], [8] leaf first I32 [leaves+1] (into the next two), [9] target I32, [10] weight F32 or F64,
     * [11] base F32 or F64 [targets] or [0], [12] set members (type of x) for the mode MEMBER: threshold is
     * the index of the first, [13] I32 [nodes]: how many. ints[0] targets, [1] aggregate (0 sum, 1 average, 2
     * min, 3 max), [2] post transform (enum infer_post). Sums are in double, in the order of the trees.
     * Trees stand one behind the other: the nodes of a tree begin with its root and end before the root of
     * the next. Output F32 [N, targets]. */
    INFER_TREES = 100,
    /* Tuned: x I16 [N,F], outputs as INFER_TREES with a sum; constants in the layout of kernel_trees.h. */
    INFER_TREES_I16 = 101,
    INFER_SCALER =
        102, /* inputs x [N,F], offset [F] or [1], scale [F] or [1]: (x - offset) * scale; gives F32 */
    INFER_NORMALIZER = 103, /* x [N,F]; ints[0] 0 max, 1 L1, 2 L2 */
    INFER_IMPUTER = 104,    /* inputs x [N,F] F32, value [F] or [1], replaced [1] (NaN: any NaN) */
    INFER_LINEAR =
        105, /* inputs x [N,F], coefficients [M,F], intercepts [M]; ints[0] enum infer_post; gives [N,M] */
    INFER_LABEL =
        106, /* inputs x, keys [n], values [n], default [1]: any of I64 F32 F64 TEXT; unknown: default */
    INFER_BINARIZER = 107, /* F32; floats[0] threshold */
    /* inputs scores [N,M], labels [classes] I64 or TEXT; outputs label [N], [scores [N,classes]]. ints[0]
     * kind (0 the first of the greatest, M is classes; 1: M is 1 and classes 2: second when score >
     * floats[0]), [1] enum infer_post, [2] for kind 1 what the one score s becomes, by ONNX Runtime's rules
     * for binary models. 1: [1-s, s]; 2: [-s, s]; 3: [-s, s] where the second class is taken, else [s, -s].
     * With 2 and 3 and LOGISTIC: [logistic(-s), logistic(s)]; with PROBIT: [1-p, p], p the probit of s. */
    INFER_CLASSIFY = 108,
};

enum infer_tree_mode {
    INFER_LEQ = 0,
    INFER_LT = 1,
    INFER_GTE = 2,
    INFER_GT = 3,
    INFER_EQ = 4,
    INFER_NEQ = 5,
    INFER_MEMBER = 6
};
enum infer_post {
    INFER_POST_NONE = 0,
    INFER_POST_SOFTMAX = 1,
    INFER_POST_LOGISTIC = 2,
    INFER_POST_SOFTMAX_ZERO = 3,
    INFER_POST_PROBIT = 4
};

struct infer_op_facts {
    const char *name; /* of the operator, as in messages and `inspect`: "Conv" */
    uint8_t inputs_min, inputs_max, outputs_min, outputs_max;
};

/* NULL: no such operator. */
const struct infer_op_facts *infer_op_facts(uint16_t op);
uint16_t infer_op_count(void); /* numbers are below this */

/* Do inputs, settings and constants fit? Fills types and shapes of the outputs into `ret_outputs` (`constant`
 * NULL). -EINVAL with a sentence ("Conv: the weights have 3 channels, the input 4"). Never reads constants
 * beyond their shapes; what it accepts can be computed without any further check. */
must_check int infer_op_check(const struct infer_node *node, const struct infer_tensor *tensors,
                              size_t n_tensors, struct infer_tensor ret_outputs[INFER_NODE_OUTPUTS_MAX],
                              struct errmsg *err);
/* Memory beside its tensors that one run of it needs; of a node that was accepted. */
size_t infer_op_scratch_bytes(const struct infer_node *node, const struct infer_tensor *tensors);
/* Multiplications and additions, roughly (for `inspect`). */
uint64_t infer_op_operations(const struct infer_node *node, const struct infer_tensor *tensors);

/* Computes one accepted node. inputs[i], outputs[i]: the values (NULL where left out), 64-byte aligned when
 * they are in the arena; they do not overlap. Cannot fail. */
void infer_op_run(const struct infer_node *node, const struct infer_tensor *tensors,
                  const void *const *inputs, void *const *outputs, void *scratch);

#endif
