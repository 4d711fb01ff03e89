/* Windows that move over spatial dimensions, and pools. */
#include "model/import_private.h"

enum { SPATIAL_MAX = 3 };

static int setting(struct import *im, const char *name, unsigned n_spatial, int64_t lowest, int32_t *ret_v)
{
    size_t n;
    const int64_t *v = import_ints(im, name, &n);

    if (v == NULL)
        return 0;
    if (n != n_spatial)
        return import_refuse(im, "its %s are %zu, the spatial dimensions %u", name, n, n_spatial);
    for (size_t i = 0; i < n; i++) {
        if (v[i] < lowest || v[i] > INFER_ELEMENTS_MAX)
            return import_refuse(im, "one of its %s is %lld", name, (long long)v[i]);
        ret_v[i] = (int32_t)v[i];
    }
    return 0;
}

/* SAME: as many outputs as inputs / stride, rounded up; the odd element of padding at the end or the begin.
 */
static void pad_same(const struct infer_shape *x, const uint32_t *kernel, unsigned n_spatial, bool upper,
                     int32_t *ints)
{
    for (unsigned i = 0; i < n_spatial; i++) {
        int64_t in = x->dim[2 + i], stride = ints[2 + i], out = (in + stride - 1) / stride;
        int64_t total = (out - 1) * stride + ((int64_t)kernel[i] - 1) * ints[5 + i] + 1 - in;

        if (total < 0)
            total = 0;
        ints[8 + i] = import_i32(upper ? total / 2 : total - total / 2);
        ints[11 + i] = import_i32(total - ints[8 + i]);
    }
}

int import_window(struct import *im, const struct infer_shape *x, const uint32_t *kernel, unsigned n_spatial,
                  bool has_dilations, int32_t *ints)
{
    struct span how = import_text(im, "auto_pad", "NOTSET");
    int32_t pads[2 * SPATIAL_MAX] = {0};
    const int64_t *given;
    size_t n_given;
    int r;

    if (n_spatial < 1 || n_spatial > SPATIAL_MAX)
        return import_refuse(im, "%u spatial dimensions, there can be 1 to %d", n_spatial, SPATIAL_MAX);
    ints[1] = (int32_t)n_spatial;
    for (unsigned i = 0; i < n_spatial; i++)
        ints[2 + i] = ints[5 + i] = 1;
    given = import_ints(im, "kernel_shape", &n_given);
    if (given != NULL && n_given != n_spatial)
        return import_refuse(im, "its kernel has %zu dimensions, its input %u spatial ones", n_given,
                             n_spatial);
    for (size_t i = 0; i < n_given; i++)
        if (given[i] != kernel[i])
            return import_refuse(im, "its kernel_shape is not the shape of its weights");
    r = setting(im, "strides", n_spatial, 1, ints + 2);
    if (r == 0 && has_dilations)
        r = setting(im, "dilations", n_spatial, 1, ints + 5);
    if (r == 0)
        r = setting(im, "pads", 2 * n_spatial, 0, pads);
    if (r != 0)
        return r;
    if (span_equal(how, span_str("SAME_UPPER")) || span_equal(how, span_str("SAME_LOWER"))) {
        pad_same(x, kernel, n_spatial, span_equal(how, span_str("SAME_UPPER")), ints);
    } else if (span_equal(how, span_str("NOTSET")) || how.len == 0) {
        for (unsigned i = 0; i < n_spatial; i++) {
            ints[8 + i] = pads[i];
            ints[11 + i] = pads[n_spatial + i];
        }
    } else if (!span_equal(how, span_str("VALID"))) {
        return import_refuse(im, "its auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
    }
    return 0;
}

int import_pool(struct import *im, struct import_node *n)
{
    bool max = span_equal(n->onnx->op, span_str("MaxPool"));
    struct infer_node node = {.op = max ? INFER_MAX_POOL : INFER_AVERAGE_POOL, .ints = {1}};
    uint32_t kernel[SPATIAL_MAX];
    const int64_t *given;
    size_t n_given;
    bool indices = max && import_out(n, 1) != NULL;
    int r = import_need_inputs(im, n, 1);

    if (r != 0)
        return r;
    given = import_ints(im, "kernel_shape", &n_given);
    if (n_given < 1 || n_given > SPATIAL_MAX || n_given + 2 != n->in[0]->shape.rank)
        return import_refuse(im, "its kernel has %zu dimensions, its input %u", n_given,
                             n->in[0]->shape.rank);
    for (size_t i = 0; i < n_given; i++) {
        if (given[i] < 1 || given[i] > INFER_ELEMENTS_MAX)
            return import_refuse(im, "its kernel has a dimension of %lld", (long long)given[i]);
        kernel[i] = (uint32_t)given[i];
        node.ints[17 + i] = (int32_t)given[i];
    }
    r = import_window(im, &n->in[0]->shape, kernel, (unsigned)n_given, true, node.ints);
    if (r != 0)
        return r;
    node.ints[20] = import_int(im, "ceil_mode", 0) != 0;
    node.ints[21] = import_int(im, max ? "storage_order" : "count_include_pad", 0) != 0;
    if (indices)
        return import_emit(im, &node, n->in, 1, n->out, 2);
    /* The largest of the quantised is the quantised largest. */
    return max ? import_through(im, &node, n->in[0], n->out[0])
               : import_emit1(im, &node, n->in, 1, n->out[0]);
}

int import_global_pool(struct import *im, struct import_node *n)
{
    bool max = span_equal(n->onnx->op, span_str("GlobalMaxPool"));
    struct infer_node node = {.op = max ? INFER_GLOBAL_MAX_POOL : INFER_GLOBAL_AVERAGE_POOL};
    int r = import_need_inputs(im, n, 1);

    return r != 0 ? r : import_emit1(im, &node, n->in, 1, n->out[0]);
}
