/* quantize.h - a model of float32 becomes one of int8, from rows as it meets them in operation.
 *
 * Post-training, static. Biases, factors and batch normalisations behind a layer go into its weights.
 * Weights are symmetric int8 with a scale for each output, biases int32, activations asymmetric int8 with one
 * scale a tensor, or one a column where the inputs of the model are of different size. Dense layers and 1-D
 * convolutions become the tuned kernels, other convolutions the integer ones of ONNX; Relu and Clip go into
 * them, other functions of one value become tables; what only moves values moves int8. All else, transposed
 * convolutions as well, stays float32 between Dequantize and Quantize. A layer whose result is only wanted in
 * float32 gives float32 from its int32 sums. Trees, linear models and scalers stay as they are.
 *
 * Pure; one thread; deterministic. */
#ifndef FOGLINE_MODEL_QUANTIZE_H
#define FOGLINE_MODEL_QUANTIZE_H

#include "infer/build.h"
#include "infer/model.h"
#include "model/ranges.h"
#include "model/rows.h"

struct quantize_options {
    enum range_method method; /* of activations */
    double percentile;        /* of RANGE_PERCENTILE: 99.99 */
};

struct quantize_layer {
    uint16_t node, op;      /* of the model that was given */
    size_t inputs, outputs; /* products of a sum; neurons or channels */
    bool is_integer, gives_float, by_column;
    const char *why; /* it stayed float32; NULL: it did not */
    double
        sqnr_db; /* of its result against float32, all layers before it being int8 as well; infinite: equal */
};

struct quantize_report {
    struct quantize_layer *layers; /* owned */
    size_t n_layers, n_integer;    /* 0 integer: the model is as it was */
    size_t n_folded;               /* nodes that went into the weights of layers, Relu and Clip included */
    size_t n_tables, n_moves;      /* nodes that work on int8 */
    size_t n_float;                /* nodes that stayed float32 */
    uint64_t n_odd;                /* values that were no finite numbers, in tensors that were quantised */
};

void quantize_report_deinit(struct quantize_report *r); /* accepts zero */

/* The caller frees *ret_build; it has texts and recipe of the model. -EINVAL, -EMSGSIZE, -ENOMEM with a
 * sentence. */
must_check int quantize(const struct infer_model *model, const struct model_rows *rows,
                        const struct quantize_options *options, struct infer_build **ret_build,
                        struct quantize_report *ret_report, struct errmsg *err);

#endif
