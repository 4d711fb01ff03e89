/* Which operators there are. */
#include "model/import_private.h"

static const struct import_op core[] = {
    {"Abs", import_unary},
    {"Add", import_binary_op},
    {"ArgMax", import_arg_max},
    {"AveragePool", import_pool},
    {"BatchNormalization", import_batch_norm},
    {"Cast", import_cast_op},
    {"Clip", import_clip},
    {"Concat", import_concat},
    {"Constant", import_constant_op},
    {"ConstantOfShape", import_constant_of_shape},
    {"Conv", import_conv},
    {"ConvInteger", import_conv_integer},
    {"ConvTranspose", import_conv_transpose},
    {"DequantizeLinear", import_dequantize},
    {"Div", import_binary_op},
    {"Dropout", import_dropout},
    {"DynamicQuantizeLinear", import_dynamic_quantize},
    {"Elu", import_unary},
    {"Exp", import_unary},
    {"Expand", import_expand},
    {"Flatten", import_flatten},
    {"Gather", import_gather},
    {"Gemm", import_gemm},
    {"GlobalAveragePool", import_global_pool},
    {"GlobalMaxPool", import_global_pool},
    {"HardSigmoid", import_unary},
    {"HardSwish", import_hard_swish},
    {"Identity", import_identity},
    {"LeakyRelu", import_unary},
    {"Log", import_unary},
    {"LogSoftmax", import_softmax},
    {"MatMul", import_matmul},
    {"MatMulInteger", import_matmul_integer},
    {"Max", import_variadic},
    {"MaxPool", import_pool},
    {"Mean", import_variadic},
    {"Min", import_variadic},
    {"Mul", import_binary_op},
    {"Neg", import_unary},
    {"PRelu", import_prelu},
    {"Pad", import_pad},
    {"QLinearConv", import_qlinear_conv},
    {"QLinearMatMul", import_qlinear_matmul},
    {"QuantizeLinear", import_quantize},
    {"Reciprocal", import_reciprocal},
    {"ReduceMax", import_reduce},
    {"ReduceMean", import_reduce},
    {"ReduceSum", import_reduce},
    {"Relu", import_unary},
    {"Reshape", import_reshape_op},
    {"Selu", import_unary},
    {"Shape", import_shape_op},
    {"Sigmoid", import_unary},
    {"Size", import_size},
    {"Slice", import_slice},
    {"Softmax", import_softmax},
    {"Softplus", import_unary},
    {"Split", import_split},
    {"Sqrt", import_unary},
    {"Squeeze", import_squeeze},
    {"Sub", import_binary_op},
    {"Sum", import_variadic},
    {"Tanh", import_unary},
    {"Transpose", import_transpose},
    {"Unsqueeze", import_unsqueeze},
};

static const struct import_op ml[] = {
    {"ArrayFeatureExtractor", import_feature_extractor},
    {"Binarizer", import_binarizer},
    {"Imputer", import_imputer},
    {"LabelEncoder", import_label_encoder},
    {"LinearClassifier", import_linear_classifier},
    {"LinearRegressor", import_linear_regressor},
    {"Normalizer", import_normalizer},
    {"Scaler", import_scaler},
    {"TreeEnsemble", import_tree_ensemble},
    {"TreeEnsembleClassifier", import_tree_classifier},
    {"TreeEnsembleRegressor", import_tree_regressor},
    {"ZipMap", import_zip_map},
};

static const struct import_op *find(const struct import_op *ops, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++)
        if (span_equal(name, span_str(ops[i].name)))
            return &ops[i];
    return NULL;
}

const struct import_op *import_op_find(struct span domain, struct span name)
{
    if (domain.len == 0 || span_equal(domain, span_str("ai.onnx")))
        return find(core, sizeof core / sizeof core[0], name);
    if (span_equal(domain, span_str("ai.onnx.ml")))
        return find(ml, sizeof ml / sizeof ml[0], name);
    return NULL;
}
