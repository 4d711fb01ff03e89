/* quantize.h - a model of float32 becomes one of int8, from rows as it meets them in operation.
 *
 * Post-training, static. Biases, factors and batch normalisations behind a layer go into its weights.
 * Weights are symmetric int8 with a scale for each output, biases int32, activations asymmetric int8 with one
 * scale a tensor, or one a column where the inputs of the model are of different size. Dense layers and 1-D
 * convolutions become the tuned kernels, other convolutions the integer ones of ONNX; Relu and Clip go into
 * them, other functions of one value become tables; what only moves values moves int8. All else, transposed
 * convolutions as well, stays float32 between Dequantize and Quantize. What rounding the weights shifts on
 * average is taken back in the biases. A layer whose result is only wanted in
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
    bool one_scale;           /* no columns of their own scale */
    const uint16_t *floats;   /* nodes of layers that stay float32 */
    size_t n_floats;
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

struct quantize_search {
    /* Tries ways to choose ranges, and takes the one with the least error of the outputs; else those of
     * `options`. */
    bool ranges;
    /* While the error is above this, or the share of rows with the same decisions below that, the layer whose
     * float32 helps most stays float32; 0: none. */
    double error_max, same_min;
    double threshold; /* of models_compare */
    /* What was taken, filled in. */
    struct quantize_options chosen;
    uint16_t floats[64]; /* chosen.floats, those of the options first */
    double error, same;  /* of chosen, see quantize_error and quantize_same; on the rows that were tried */
};
struct model_difference;

/* The greatest over the outputs: rms error over the rms of the output, or for integers and texts the share of
 * rows that differ. */
double quantize_error(const struct model_difference *d);
/* The least over the outputs that decide: share of rows with the same decision. 1: none decides. */
double quantize_same(const struct model_difference *d);
/* Whether `chosen` is as good as was asked for, on the rows that were tried. */
bool quantize_is_met(const struct quantize_search *s);
/* As quantize with the best options. Tries on some hundred of the rows, evenly spread. */
must_check int quantize_best(const struct infer_model *model, const struct model_rows *rows,
                             const struct quantize_options *options, struct quantize_search *search,
                             struct infer_build **ret_build, struct quantize_report *ret_report,
                             struct errmsg *err);

#endif
