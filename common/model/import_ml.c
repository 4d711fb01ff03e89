/* The small operators of ai.onnx.ml. */
#include "model/import_private.h"

int import_post(struct import *im, int32_t *ret_post)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    struct span post = import_text(im, "post_transform", "NONE");

    for (int32_t i = 0; i < 5; i++) {
        if (!span_equal(post, span_str(names[i])))
            continue;
        *ret_post = i;
        return 0;
    }
    return import_refuse(im, "its post_transform is none of NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT");
}

int import_features(struct import *im, struct import_node *n, bool f64, struct import_value **ret_x)
{
    struct import_value *x = n->in[0], *row;
    struct infer_shape s = {2, {1}};
    int r = 0;

    if (x->type == INFER_TEXT)
        return import_refuse(im, "its input is of texts");
    if (x->type != INFER_F32 && !(f64 && x->type == INFER_F64))
        r = import_cast(im, x, INFER_F32, &x);
    if (r == 0 && x->shape.rank == 1) {
        s.dim[1] = x->shape.dim[0];
        row = import_temp(im);
        r = row == NULL ? import_no_memory(im) : import_reshape(im, x, &s, row);
        x = row;
    }
    *ret_x = x;
    return r;
}

/* A list of floats as a constant; `otherwise` when it is not there. */
static int float_constant(struct import *im, const char *name, float otherwise, struct import_value **ret_v)
{
    size_t n;
    const float *v = import_float_list(im, name, &n);

    *ret_v = v == NULL || n == 0 ? import_floats(im, &otherwise, 1) : import_floats(im, v, n);
    return *ret_v == NULL ? import_no_memory(im) : 0;
}

/* As it is, but for types that the engine does not take there. */
static int as_f32(struct import *im, struct import_node *n, struct import_value **ret_x)
{
    int r = import_need_inputs(im, n, 1);

    if (r == 0 && n->in[0]->type == INFER_TEXT)
        r = import_refuse(im, "its input is of texts");
    return r != 0 ? r : import_cast(im, n->in[0], INFER_F32, ret_x);
}

int import_scaler(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_SCALER};
    struct import_value *in[3];
    int r = as_f32(im, n, &in[0]);

    if (r == 0)
        r = float_constant(im, "offset", 0, &in[1]);
    if (r == 0)
        r = float_constant(im, "scale", 1, &in[2]);
    return r != 0 ? r : import_emit1(im, &node, in, 3, n->out[0]);
}

int import_normalizer(struct import *im, struct import_node *n)
{
    static const char *const names[] = {"MAX", "L1", "L2"};
    struct infer_node node = {.op = INFER_NORMALIZER, .ints = {-1}};
    struct span norm = import_text(im, "norm", "MAX");
    struct import_value *x;
    int r = as_f32(im, n, &x);

    for (int32_t i = 0; i < 3; i++)
        if (span_equal(norm, span_str(names[i])))
            node.ints[0] = i;
    if (r == 0 && node.ints[0] < 0)
        r = import_refuse(im, "its norm is none of MAX, L1, L2");
    return r != 0 ? r : import_emit1(im, &node, &x, 1, n->out[0]);
}

int import_imputer(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_IMPUTER};
    struct import_value *in[3];
    float replaced = import_float(im, "replaced_value_float", 0);
    size_t n_ints;
    int r = import_need_inputs(im, n, 1);

    import_ints(im, "imputed_value_int64s", &n_ints);
    if (r == 0 && (n_ints > 0 || n->in[0]->type != INFER_F32))
        r = import_refuse(im, "it is for integers, which is not supported");
    if (r != 0)
        return r;
    in[0] = n->in[0];
    in[2] = import_floats(im, &replaced, 1);
    r = in[2] == NULL ? import_no_memory(im) : float_constant(im, "imputed_value_floats", 0, &in[1]);
    return r != 0 ? r : import_emit1(im, &node, in, 3, n->out[0]);
}

int import_binarizer(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_BINARIZER, .floats = {import_float(im, "threshold", 0)}};
    struct import_value *x;
    int r = as_f32(im, n, &x);

    return r != 0 ? r : import_emit1(im, &node, &x, 1, n->out[0]);
}

/* Picks along the last dimension; one row of a vector is a matrix of one row. */
int import_feature_extractor(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_GATHER};
    struct infer_shape flat = {.rank = 1}, row = {.rank = 2};
    struct import_value *index = import_temp(im), *picked, *x;
    int r = import_need_inputs(im, n, 2);

    if (r != 0)
        return r;
    x = n->in[0];
    if (index == NULL)
        return import_no_memory(im);
    if (x->shape.rank == 0)
        return import_refuse(im, "its input is a scalar");
    flat.dim[0] = (uint32_t)infer_shape_elements(&n->in[1]->shape);
    r = import_reshape(im, n->in[1], &flat, index);
    if (r != 0)
        return r;
    node.ints[0] = x->shape.rank - 1;
    picked = x->shape.rank == 1 ? import_temp(im) : n->out[0];
    if (picked == NULL)
        return import_no_memory(im);
    r = import_emit1(im, &node, (struct import_value *[]){x, index}, 2, picked);
    row.dim[0] = 1;
    row.dim[1] = flat.dim[0];
    return r != 0 || x->shape.rank > 1 ? r : import_reshape(im, picked, &row, n->out[0]);
}

/* ---- linear models ---- */

static int linear(struct import *im, struct import_node *n, const char *intercepts, size_t rows, int32_t post,
                  struct import_value *out)
{
    struct infer_node node = {.op = INFER_LINEAR, .ints = {post}};
    struct infer_shape s = {2, {(uint32_t)rows}};
    struct import_value *in[3];
    size_t n_coefficients, n_intercepts;
    const float *coefficients = import_float_list(im, "coefficients", &n_coefficients);
    const float *added = import_float_list(im, intercepts, &n_intercepts);
    int r = import_features(im, n, false, &in[0]);

    if (r != 0)
        return r;
    if (coefficients == NULL || rows == 0 || n_coefficients % rows != 0)
        return import_refuse(im, "%zu coefficients cannot be divided among %zu rows", n_coefficients, rows);
    if (added != NULL && n_intercepts != rows)
        return import_refuse(im, "it has %zu intercepts for %zu rows of coefficients", n_intercepts, rows);
    s.dim[1] = (uint32_t)(n_coefficients / rows);
    in[1] = import_constant(im, INFER_F32, &s, coefficients);
    in[2] = import_constant(im, INFER_F32, &(struct infer_shape){1, {(uint32_t)rows}}, added);
    if (in[1] == NULL || in[2] == NULL)
        return import_no_memory(im);
    return import_emit1(im, &node, in, 3, out);
}

int import_linear_regressor(struct import *im, struct import_node *n)
{
    int64_t targets = import_int(im, "targets", 1);
    int32_t post;
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = import_post(im, &post);
    if (r == 0 && (targets < 1 || targets > INFER_ELEMENTS_MAX))
        r = import_refuse(im, "it has %lld targets", (long long)targets);
    return r != 0 ? r : linear(im, n, "intercepts", (size_t)targets, post, n->out[0]);
}

int import_linear_classifier(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_CLASSIFY};
    struct import_value *labels, *scores = import_temp(im);
    size_t rows;
    int r = import_need_inputs(im, n, 1);

    if (r == 0)
        r = import_labels(im, "classlabels_ints", "classlabels_strings", &labels);
    if (r == 0)
        r = import_post(im, &node.ints[1]);
    if (r != 0)
        return r;
    import_float_list(im, "intercepts", &rows);
    if (rows == 0)
        rows = labels->shape.dim[0];
    /* One row for two classes: the other score is made of the one. */
    if (rows == 1 && labels->shape.dim[0] == 2) {
        node.ints[0] = 1;
        node.ints[2] = node.ints[1] == INFER_POST_LOGISTIC ? 2 : 1;
        node.floats[0] = 0;
    }
    r = scores == NULL ? import_no_memory(im) : linear(im, n, "intercepts", rows, INFER_POST_NONE, scores);
    return r != 0 ? r
                  : import_emit(im, &node, (struct import_value *[]){scores, labels}, 2, n->out,
                                n->n_out > 1 ? 2 : 1);
}
