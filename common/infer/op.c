#include "infer/op_private.h"

static const struct op_entry table[] = {
    [INFER_ADD] = {{"Add", 2, 2, 1, 1}, op_binary_check, op_binary_run},
    [INFER_SUB] = {{"Sub", 2, 2, 1, 1}, op_binary_check, op_binary_run},
    [INFER_MUL] = {{"Mul", 2, 2, 1, 1}, op_binary_check, op_binary_run},
    [INFER_DIV] = {{"Div", 2, 2, 1, 1}, op_binary_check, op_binary_run},
    [INFER_MIN] = {{"Min", 2, 2, 1, 1}, op_binary_check, op_binary_run},
    [INFER_MAX] = {{"Max", 2, 2, 1, 1}, op_binary_check, op_binary_run},
    [INFER_PRELU] = {{"PRelu", 2, 2, 1, 1}, op_prelu_check, op_binary_run},

    [INFER_RELU] = {{"Relu", 1, 1, 1, 1}, op_number_check, op_relu_run},
    [INFER_LEAKY_RELU] = {{"LeakyRelu", 1, 1, 1, 1}, op_float_check, op_leaky_relu_run},
    [INFER_SIGMOID] = {{"Sigmoid", 1, 1, 1, 1}, op_float_check, op_sigmoid_run},
    [INFER_TANH] = {{"Tanh", 1, 1, 1, 1}, op_float_check, op_tanh_run},
    [INFER_ELU] = {{"Elu", 1, 1, 1, 1}, op_float_check, op_elu_run},
    [INFER_SELU] = {{"Selu", 1, 1, 1, 1}, op_float_check, op_selu_run},
    [INFER_HARD_SIGMOID] = {{"HardSigmoid", 1, 1, 1, 1}, op_float_check, op_hard_sigmoid_run},
    [INFER_SOFTPLUS] = {{"Softplus", 1, 1, 1, 1}, op_float_check, op_softplus_run},
    [INFER_EXP] = {{"Exp", 1, 1, 1, 1}, op_float_check, op_exp_run},
    [INFER_LOG] = {{"Log", 1, 1, 1, 1}, op_float_check, op_log_run},
    [INFER_SQRT] = {{"Sqrt", 1, 1, 1, 1}, op_float_check, op_sqrt_run},
    [INFER_ABS] = {{"Abs", 1, 1, 1, 1}, op_number_check, op_abs_run},
    [INFER_NEG] = {{"Neg", 1, 1, 1, 1}, op_number_check, op_neg_run},

    [INFER_CLIP] = {{"Clip", 1, 3, 1, 1}, op_clip_check, op_clip_run},
    [INFER_CAST] = {{"Cast", 1, 1, 1, 1}, op_cast_check, op_cast_run},
    [INFER_LUT8] = {{"Lut8", 2, 2, 1, 1}, op_lut8_check, op_lut8_run},
    [INFER_SOFTMAX] = {{"Softmax", 1, 1, 1, 1}, op_softmax_check, op_softmax_run},
    [INFER_LOG_SOFTMAX] = {{"LogSoftmax", 1, 1, 1, 1}, op_softmax_check, op_log_softmax_run},

    [INFER_GEMM] = {{"Gemm", 2, 3, 1, 1}, op_gemm_check, op_gemm_run, NULL, op_gemm_operations},
    [INFER_MATMUL] = {{"MatMul", 2, 2, 1, 1}, op_matmul_check, op_matmul_run, NULL, op_matmul_operations},
    [INFER_CONV] =
        {{"Conv", 2, 3, 1, 1}, op_conv_check, op_conv_run, op_conv_scratch_bytes, op_conv_operations},
    [INFER_CONV_TRANSPOSE] = {{"ConvTranspose", 2, 3, 1, 1},
                              op_conv_transpose_check,
                              op_conv_transpose_run,
                              op_conv_transpose_scratch_bytes,
                              op_conv_transpose_operations},
    [INFER_BATCH_NORM] = {{"BatchNormalization", 5, 5, 1, 1}, op_batch_norm_check, op_batch_norm_run},

    [INFER_MAX_POOL] = {{"MaxPool", 1, 1, 1, 2}, op_pool_check, op_max_pool_run, NULL, op_pool_operations},
    [INFER_AVERAGE_POOL] =
        {{"AveragePool", 1, 1, 1, 1}, op_pool_check, op_average_pool_run, NULL, op_pool_operations},
    [INFER_GLOBAL_AVERAGE_POOL] = {{"GlobalAveragePool", 1, 1, 1, 1},
                                   op_global_pool_check,
                                   op_global_average_pool_run},
    [INFER_GLOBAL_MAX_POOL] = {{"GlobalMaxPool", 1, 1, 1, 1}, op_global_pool_check, op_global_max_pool_run},

    [INFER_RESHAPE] = {{"Reshape", 1, 1, 1, 1}, op_reshape_check, op_reshape_run},
    [INFER_TRANSPOSE] = {{"Transpose", 1, 1, 1, 1}, op_transpose_check, op_transpose_run},
    [INFER_CONCAT] = {{"Concat", 1, 16, 1, 1}, op_concat_check, op_concat_run},
    [INFER_SLICE] = {{"Slice", 1, 1, 1, 1}, op_slice_check, op_slice_run},
    [INFER_PAD] = {{"Pad", 1, 2, 1, 1}, op_pad_check, op_pad_run},
    [INFER_GATHER] = {{"Gather", 2, 2, 1, 1}, op_gather_check, op_gather_run},

    [INFER_REDUCE_MEAN] = {{"ReduceMean", 1, 1, 1, 1}, op_reduce_check, op_reduce_run},
    [INFER_REDUCE_SUM] = {{"ReduceSum", 1, 1, 1, 1}, op_reduce_check, op_reduce_run},
    [INFER_REDUCE_MAX] = {{"ReduceMax", 1, 1, 1, 1}, op_reduce_check, op_reduce_run},
    [INFER_ARG_MAX] = {{"ArgMax", 1, 1, 1, 1}, op_arg_max_check, op_arg_max_run},

    [INFER_QUANTIZE] = {{"QuantizeLinear", 2, 3, 1, 1}, op_quantize_check, op_quantize_run},
    [INFER_DEQUANTIZE] = {{"DequantizeLinear", 2, 3, 1, 1}, op_dequantize_check, op_dequantize_run},
    [INFER_DYNAMIC_QUANTIZE] = {{"DynamicQuantizeLinear", 1, 1, 3, 3},
                                op_dynamic_quantize_check,
                                op_dynamic_quantize_run},
    [INFER_QLINEAR_CONV] = {{"QLinearConv", 8, 9, 1, 1},
                            op_qlinear_conv_check,
                            op_qlinear_conv_run,
                            NULL,
                            op_qlinear_conv_operations},
    [INFER_QLINEAR_MATMUL] = {{"QLinearMatMul", 8, 8, 1, 1},
                              op_qlinear_matmul_check,
                              op_qlinear_matmul_run,
                              NULL,
                              op_qlinear_matmul_operations},
    [INFER_CONV_INTEGER] = {{"ConvInteger", 2, 4, 1, 1},
                            op_conv_integer_check,
                            op_conv_integer_run,
                            NULL,
                            op_conv_integer_operations},
    [INFER_MATMUL_INTEGER] = {{"MatMulInteger", 2, 4, 1, 1},
                              op_matmul_integer_check,
                              op_matmul_integer_run,
                              NULL,
                              op_qlinear_matmul_operations},
    [INFER_DENSE_I8] =
        {{"DenseI8", 4, 4, 1, 1}, op_dense_i8_check, op_dense_i8_run, NULL, op_dense_i8_operations},
    [INFER_CONV1D_I8] = {{"Conv1dI8", 4, 4, 1, 1},
                         op_conv1d_i8_check,
                         op_conv1d_i8_run,
                         op_conv1d_i8_scratch_bytes,
                         op_conv1d_i8_operations},

    [INFER_TREES] =
        {{"Trees", 12, 14, 1, 1}, op_trees_check, op_trees_run, op_trees_scratch_bytes, op_trees_operations},
    [INFER_TREES_I16] = {{"TreesI16", 8, 8, 1, 1},
                         op_trees_i16_check,
                         op_trees_i16_run,
                         op_trees_i16_scratch_bytes,
                         op_trees_i16_operations},
    [INFER_SCALER] = {{"Scaler", 3, 3, 1, 1}, op_scaler_check, op_scaler_run},
    [INFER_NORMALIZER] = {{"Normalizer", 1, 1, 1, 1}, op_normalizer_check, op_normalizer_run},
    [INFER_IMPUTER] = {{"Imputer", 3, 3, 1, 1}, op_imputer_check, op_imputer_run},
    [INFER_LINEAR] = {{"Linear", 2, 3, 1, 1}, op_linear_check, op_linear_run, NULL, op_linear_operations},
    [INFER_LABEL] = {{"LabelEncoder", 4, 4, 1, 1}, op_label_check, op_label_run, NULL, op_label_operations},
    [INFER_BINARIZER] = {{"Binarizer", 1, 1, 1, 1}, op_float_check, op_binarizer_run},
    [INFER_CLASSIFY] = {{"Classify", 2, 2, 1, 2}, op_classify_check, op_classify_run},
};

static const struct op_entry *entry_of(uint16_t op)
{
    return op < sizeof table / sizeof table[0] && table[op].check != NULL ? &table[op] : NULL;
}

const struct infer_op_facts *infer_op_facts(uint16_t op)
{
    const struct op_entry *e = entry_of(op);

    return e == NULL ? NULL : &e->facts;
}

uint16_t infer_op_count(void)
{
    return sizeof table / sizeof table[0];
}

static int check_counts(const struct op_check *c, const struct infer_op_facts *f)
{
    const struct infer_node *node = c->node;

    if (node->n_inputs < f->inputs_min || node->n_inputs > f->inputs_max)
        return op_refuse(c, "%u inputs, it has to have %u to %u", node->n_inputs, f->inputs_min,
                         f->inputs_max);
    if (node->n_outputs < f->outputs_min || node->n_outputs > f->outputs_max)
        return op_refuse(c, "%u outputs, it has to have %u to %u", node->n_outputs, f->outputs_min,
                         f->outputs_max);
    return 0;
}

int infer_op_check(const struct infer_node *node, const struct infer_tensor *tensors, size_t n_tensors,
                   struct infer_tensor ret_outputs[INFER_NODE_OUTPUTS_MAX], struct errmsg *err)
{
    const struct op_entry *e = entry_of(node->op);
    struct op_check c = {.node = node, .out = ret_outputs, .err = err};
    struct errmsg why;
    int r;

    if (e == NULL)
        return errmsg_set(err, -EINVAL, "there is no operator %u", node->op);
    c.name = e->facts.name;
    r = check_counts(&c, &e->facts);
    for (size_t i = 0; r == 0 && i < node->n_inputs; i++) {
        if (node->inputs[i] == INFER_NONE) {
            if (i < e->facts.inputs_min)
                return op_refuse(&c, "input %zu is missing", i);
            continue;
        }
        if (node->inputs[i] >= n_tensors)
            return op_refuse(&c, "input %zu is tensor %u of %zu", i, node->inputs[i], n_tensors);
        c.in[i] = &tensors[node->inputs[i]];
    }
    memset(ret_outputs, 0, INFER_NODE_OUTPUTS_MAX * sizeof ret_outputs[0]);
    if (r == 0)
        r = e->check(&c);
    for (size_t i = 0; r == 0 && i < node->n_outputs; i++)
        if (infer_shape_check(&ret_outputs[i].shape, &why) != 0)
            r = op_refuse(&c, "output %zu: %s", i, why.text);
    return r;
}

void op_call_init(struct op_call *c, const struct infer_node *node, const struct infer_tensor *tensors)
{
    memset(c, 0, sizeof *c);
    c->entry = &table[node->op];
    c->node = node;
    for (size_t i = 0; i < node->n_inputs; i++)
        c->in[i] = node->inputs[i] == INFER_NONE ? NULL : &tensors[node->inputs[i]];
    for (size_t i = 0; i < node->n_outputs; i++)
        c->out[i] = &tensors[node->outputs[i]];
}

size_t infer_op_scratch_bytes(const struct infer_node *node, const struct infer_tensor *tensors)
{
    struct op_call c;

    op_call_init(&c, node, tensors);
    return c.entry->scratch_bytes == NULL ? 0 : c.entry->scratch_bytes(&c);
}

uint64_t infer_op_operations(const struct infer_node *node, const struct infer_tensor *tensors)
{
    struct op_call c;
    size_t in, out;

    op_call_init(&c, node, tensors);
    if (c.entry->operations != NULL)
        return c.entry->operations(&c);
    in = c.in[0] == NULL ? 0 : op_elements(c.in[0]);
    out = op_elements(c.out[0]);
    return in > out ? in : out;
}

void infer_op_run(const struct infer_node *node, const struct infer_tensor *tensors,
                  const void *const *inputs, void *const *outputs, void *scratch)
{
    struct op_call c;

    op_call_init(&c, node, tensors);
    memcpy(c.x, inputs, node->n_inputs * sizeof c.x[0]);
    memcpy(c.y, outputs, node->n_outputs * sizeof c.y[0]);
    c.scratch = scratch;
    op_call_run(&c);
}
