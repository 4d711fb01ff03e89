#include "unit/model/onnx_case.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int onnx_case_open(struct onnx_case *c, const char *path, struct errmsg *err)
{
    int r = file_read(path, ONNX_FILE_BYTES_MAX, &c->bytes);

    if (r != 0)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    return onnx_model_read(span_of(c->bytes.data, c->bytes.len), &c->onnx, err);
}

static int write_and_read(struct onnx_case *c, const struct infer_build *b, const struct infer_limits *limits,
                          struct errmsg *err)
{
    struct buf out = {0};
    int r = infer_build_write(b, &out, err);

    if (r == 0) {
        c->file = aligned_alloc(64, (out.len + 63) / 64 * 64);
        if (c->file == NULL)
            r = errmsg_set(err, -ENOMEM, "no memory");
    }
    if (r == 0) {
        memcpy(c->file, out.data, out.len);
        r = infer_model_read(span_of(c->file, out.len), limits, &c->model, err);
    }
    buf_deinit(&out);
    return r;
}

int onnx_case_import(struct onnx_case *c, struct onnx_import_options options,
                     const struct infer_limits *limits,
                     const struct onnx_tensor *(*value_of)(void *context, const char *input), void *context,
                     struct errmsg *err)
{
    struct infer_build *b = NULL;
    int r;

    for (;;) {
        const struct onnx_tensor *t;

        options.constants = c->bound;
        options.n_constants = c->n_bound;
        r = onnx_import(c->onnx, &options, &b, &c->report, err);
        if (r == 0 || value_of == NULL || c->report.needs_constant[0] == '\0' ||
            c->n_bound == ONNX_CASE_CONSTANTS_MAX)
            break;
        t = value_of(context, c->report.needs_constant);
        if (t == NULL)
            break;
        memcpy(c->bound_names[c->n_bound], c->report.needs_constant, ONNX_NAME_TEXT);
        c->bound[c->n_bound].input = c->bound_names[c->n_bound];
        c->bound[c->n_bound++].value = t;
    }
    if (r != 0)
        return ONNX_CASE_REFUSED;
    r = write_and_read(c, b, limits, err);
    infer_build_free(b);
    return r;
}

void onnx_case_close(struct onnx_case *c)
{
    infer_model_free(c->model);
    free(c->file);
    onnx_model_free(c->onnx);
    buf_deinit(&c->bytes);
    *c = (struct onnx_case){0};
}

static enum infer_type type_of(int32_t t)
{
    static const enum infer_type types[] = {
        [ONNX_FLOAT] = INFER_F32,   [ONNX_UINT8] = INFER_U8,  [ONNX_INT8] = INFER_I8,
        [ONNX_INT16] = INFER_I16,   [ONNX_INT32] = INFER_I32, [ONNX_INT64] = INFER_I64,
        [ONNX_STRING] = INFER_TEXT, [ONNX_BOOL] = INFER_BOOL, [ONNX_DOUBLE] = INFER_F64};

    return t >= 0 && (size_t)t < sizeof types / sizeof types[0] ? types[t] : 0;
}

static bool fits(const struct infer_tensor *t, const struct onnx_tensor *o)
{
    bool same = t->shape.rank == o->rank && type_of(o->type) == t->type && o->data != NULL;

    for (unsigned i = 0; same && i < o->rank; i++)
        same = t->shape.dim[i] == o->dims[i];
    return same;
}

bool onnx_case_set(struct onnx_case *c, size_t i, const struct onnx_tensor *o)
{
    const struct infer_graph *g = infer_model_graph(c->model);
    const struct infer_tensor *t = &g->tensors[g->inputs[i].tensor];
    char *to = infer_model_input(c->model, i);

    if (!fits(t, o))
        return false;
    if (t->type != INFER_TEXT) {
        memcpy(to, o->data, o->n_elements * infer_type_bytes(t->type));
        return true;
    }
    for (size_t k = 0; k < o->n_elements; k++, to += INFER_TEXT_BYTES) {
        const struct span *s = &((const struct span *)o->data)[k];

        if (s->len >= INFER_TEXT_BYTES)
            return false;
        memset(to, 0, INFER_TEXT_BYTES);
        memcpy(to, s->data, s->len);
    }
    return true;
}

static double number(const void *v, enum infer_type type, size_t i)
{
    switch (type) {
    case INFER_F32:
        return ((const float *)v)[i];
    case INFER_F64:
        return ((const double *)v)[i];
    case INFER_I64:
        return (double)((const int64_t *)v)[i];
    case INFER_I32:
        return ((const int32_t *)v)[i];
    case INFER_I8:
        return ((const int8_t *)v)[i];
    default:
        return ((const uint8_t *)v)[i];
    }
}

static bool same(const struct infer_tensor *t, const void *got, const struct onnx_tensor *o, size_t i,
                 double rtol, double atol)
{
    bool is_float = t->type == INFER_F32 || t->type == INFER_F64;
    size_t bytes = infer_type_bytes(t->type);
    double a, b;

    if (t->type == INFER_TEXT)
        return span_equal(span_str((const char *)got + i * bytes), ((const struct span *)o->data)[i]);
    if (!is_float)
        return memcmp((const char *)got + i * bytes, (const char *)o->data + i * bytes, bytes) == 0;
    a = number(got, t->type, i);
    b = number(o->data, t->type, i);
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= atol + rtol * fabs(b);
}

bool onnx_case_same(const struct onnx_case *c, size_t i, const struct onnx_tensor *o, double rtol,
                    double atol, struct errmsg *why)
{
    const struct infer_graph *g = infer_model_graph(c->model);
    const struct infer_tensor *t = &g->tensors[g->outputs[i].tensor];
    const void *got = infer_model_output(c->model, i);

    if (!fits(t, o)) {
        errmsg_set(why, 0, "output %zu is %s with %u dimensions and %zu elements, expected %s, %u, %zu", i,
                   infer_type_name(t->type), t->shape.rank, infer_shape_elements(&t->shape),
                   onnx_type_name(o->type), o->rank, o->n_elements);
        return false;
    }
    for (size_t k = 0; k < o->n_elements; k++) {
        if (same(t, got, o, k, rtol, atol))
            continue;
        errmsg_set(why, 0, "element %zu of output %zu is %.9g, expected %.9g", k, i,
                   t->type == INFER_TEXT ? NAN : number(got, t->type, k),
                   t->type == INFER_TEXT ? NAN : number(o->data, t->type, k));
        return false;
    }
    return true;
}
