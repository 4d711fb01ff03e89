/* Labels of classes, and from one to another. */
#include "model/import_private.h"

#include <stdio.h>

static int texts_constant(struct import *im, const struct span *s, size_t n, struct import_value **ret_v)
{
    struct onnx_tensor t = {
        .type = ONNX_STRING, .rank = 1, .dims = {(uint32_t)n}, .n_elements = n, .data = s};

    *ret_v = import_temp(im);
    return *ret_v == NULL ? import_no_memory(im) : import_constant_of(im, &t, *ret_v);
}

int import_labels(struct import *im, const char *ints, const char *texts, struct import_value **ret_v)
{
    size_t n_ints, n_texts;
    const int64_t *i = import_ints(im, ints, &n_ints);
    const struct span *s = import_texts(im, texts, &n_texts);

    if (n_texts > 0)
        return texts_constant(im, s, n_texts, ret_v);
    if (n_ints == 0)
        return import_refuse(im, "it names no classes");
    *ret_v = import_i64s(im, i, n_ints);
    return *ret_v == NULL ? import_no_memory(im) : 0;
}

/* One side of the mapping: a list of one of the types, or a tensor. NULL: not there. */
static int side(struct import *im, const char *which, struct import_value **ret_v)
{
    char name[32];
    size_t n;
    const struct onnx_tensor *t;
    const int64_t *i;
    const float *f;
    const struct span *s;

    snprintf(name, sizeof name, "%s_tensor", which);
    t = import_tensor_attribute(im, name);
    if (t != NULL) {
        *ret_v = import_temp(im);
        return *ret_v == NULL ? import_no_memory(im) : import_constant_of(im, t, *ret_v);
    }
    snprintf(name, sizeof name, "%s_int64s", which);
    i = import_ints(im, name, &n);
    if (i != NULL) {
        *ret_v = import_i64s(im, i, n);
        return *ret_v == NULL ? import_no_memory(im) : 0;
    }
    snprintf(name, sizeof name, "%s_floats", which);
    f = import_float_list(im, name, &n);
    if (f != NULL) {
        *ret_v = import_floats(im, f, n);
        return *ret_v == NULL ? import_no_memory(im) : 0;
    }
    snprintf(name, sizeof name, "%s_strings", which);
    s = import_texts(im, name, &n);
    *ret_v = NULL;
    return s == NULL ? 0 : texts_constant(im, s, n, ret_v);
}

/* What an unknown key gives; of the type of the values. */
static int unknown_key(struct import *im, enum infer_type type, struct import_value **ret_v)
{
    const struct onnx_tensor *t = import_tensor_attribute(im, "default_tensor");
    int64_t i = import_int(im, "default_int64", -1);
    float f = import_float(im, "default_float", -0.0f);
    double d = f;
    struct span s = import_text(im, "default_string", "_Unused");
    struct infer_shape one = {1, {1}};

    if (t != NULL) {
        *ret_v = import_temp(im);
        return *ret_v == NULL ? import_no_memory(im) : import_constant_of(im, t, *ret_v);
    }
    if (type == INFER_TEXT)
        return texts_constant(im, &s, 1, ret_v);
    *ret_v = import_constant(im, type, &one,
                             type == INFER_I64   ? (const void *)&i
                             : type == INFER_F32 ? (const void *)&f
                                                 : (const void *)&d);
    return *ret_v == NULL ? import_no_memory(im) : 0;
}

/* Since version 4 the types of tensors may be smaller ones; the engine has the wide. */
static int widen(struct import *im, struct import_value *v, struct import_value **ret_v)
{
    bool small = v->type == INFER_I32 || v->type == INFER_I16 || v->type == INFER_I8 || v->type == INFER_U8;

    return import_cast(im, v, small ? INFER_I64 : v->type, ret_v);
}

int import_label_encoder(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_LABEL};
    struct import_value *in[4], *wide = NULL, *back;
    enum infer_type wanted;
    int r = import_need_inputs(im, n, 1);

    if (r == 0 && im->opset_ml < 2) { /* texts to their places, or back */
        size_t k;
        const struct span *s = import_texts(im, "classes_strings", &k);
        int64_t *places = pool_alloc(&im->pool, k, sizeof *places);

        if (places == NULL)
            return import_no_memory(im);
        for (size_t i = 0; i < k; i++)
            places[i] = (int64_t)i;
        r = texts_constant(im, s, k, n->in[0]->type == INFER_TEXT ? &in[1] : &in[2]);
        *(n->in[0]->type == INFER_TEXT ? &in[2] : &in[1]) = import_i64s(im, places, k);
    } else if (r == 0) {
        r = side(im, "keys", &in[1]);
        if (r == 0)
            r = side(im, "values", &in[2]);
    }
    if (r != 0)
        return r;
    if (in[1] == NULL || in[2] == NULL || in[1]->data == NULL || in[2]->data == NULL)
        return import_refuse(im, "its keys or values are missing, or of a type that is not supported");
    wanted = in[2]->type;
    r = unknown_key(im, wanted, &in[3]);
    in[0] = n->in[0];
    for (size_t i = 0; i < 4 && r == 0; i++)
        r = in[i]->type == 0 ? import_refuse(im, "its default is of a type that is not supported")
                             : widen(im, in[i], &in[i]);
    if (r == 0)
        wide = import_temp(im);
    if (r == 0)
        r = wide == NULL ? import_no_memory(im) : import_emit1(im, &node, in, 4, wide);
    if (r == 0)
        r = import_cast(im, wide, wanted, &back);
    if (r == 0)
        import_alias(n->out[0], back);
    return r;
}

/* The map from class to score stays the row of scores; the classes become a text of the model. */
int import_zip_map(struct import *im, struct import_node *n)
{
    size_t n_ints, n_texts;
    const int64_t *i = import_ints(im, "classlabels_int64s", &n_ints);
    const struct span *s = import_texts(im, "classlabels_strings", &n_texts);
    struct buf text = {0};
    int r = import_need_inputs(im, n, 1);

    for (size_t k = 0; k < n_texts; k++)
        buf_printf(&text, "%s%.*s", k > 0 ? "," : "", (int)s[k].len, (const char *)s[k].data);
    for (size_t k = 0; k < n_ints && n_texts == 0; k++)
        buf_printf(&text, "%s%lld", k > 0 ? "," : "", (long long)i[k]);
    buf_u8(&text, '\0');
    if (r == 0 && text.error != 0)
        r = import_no_memory(im);
    if (r == 0)
        r = infer_build_text(im->build, "labels", (const char *)text.data, &im->err);
    buf_deinit(&text);
    if (r == 0)
        import_alias(n->out[0], n->in[0]);
    return r;
}
