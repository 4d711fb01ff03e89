/* infer_models.h - the models that bench_infer measures: chains of layers with seeded weights, and trees,
 * each as a model file of ours and as an ONNX model of the same numbers. */
#ifndef FOGLINE_TESTS_INFER_MODELS_H
#define FOGLINE_TESTS_INFER_MODELS_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAYERS_MAX = 12, RANK_MAX = 3, X_MAX = 1024 };

enum layer_kind { LAYER_DENSE, LAYER_CONV, LAYER_TRANSPOSED, LAYER_MEAN };

/* How the values of a tensor are bytes. */
struct affine {
    float scale;
    int8_t zero;
};

struct layer {
    enum layer_kind kind;
    uint32_t channels, length, outputs, n_out; /* of dense layers length and n_out are 1 */
    uint32_t kernel, stride, pad_begin, pad_end;
    bool relu;
    float *w, *bias;       /* owned; as ONNX has them; NULL: none */
    struct affine in, out; /* found by bench_model_init */
};

struct bench_model {
    const char *name;
    double goal_us;
    uint32_t channels, length; /* of the input; length 1: [1, channels] */
    size_t n_layers;
    struct layer layers[LAYERS_MAX];
    float x[X_MAX];        /* an input */
    struct forest *forest; /* owned; NULL: layers */
};

enum bench_form { FORM_F32, FORM_SMALL }; /* small: int8, of trees int16 */

enum { BENCH_MODELS = 6 };

/* Number i below BENCH_MODELS. -ENOMEM. */
must_check int bench_model_init(struct bench_model *m, size_t i);
void bench_model_deinit(struct bench_model *m);
/* -EINVAL when there is no such form of it. */
must_check int bench_model_ours(const struct bench_model *m, enum bench_form form, struct buf *ret_file,
                                struct errmsg *err);
must_check int bench_model_onnx(const struct bench_model *m, enum bench_form form, struct buf *ret_model);
/* Of x and y for another engine; returns the elements of y. */
size_t bench_model_shapes(const struct bench_model *m, size_t *ret_x_rank, int64_t ret_x[RANK_MAX],
                          size_t *ret_y_rank, int64_t ret_y[RANK_MAX]);

/* ---- trees (infer_forest.c) ---- */

struct forest *forest_new(uint32_t n_trees, uint32_t n_leaves, uint32_t n_features, uint64_t seed);
must_check int forest_ours(const struct forest *f, enum bench_form form, struct buf *ret_file,
                           struct errmsg *err);
void forest_onnx(const struct forest *f, struct buf *ret_model);

/* Weights as bytes by output, and a bias in steps of the sum. */
void layer_quantize(const struct layer *l, int8_t *w, float *w_scale, int32_t *bias);
static inline size_t layer_weights(const struct layer *l)
{
    return (size_t)l->outputs * l->channels * (l->kind == LAYER_DENSE ? 1 : l->kernel);
}

#endif
