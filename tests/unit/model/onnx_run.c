/* onnx_run MODEL.onnx VALUES BATCH: imports the model, runs it on the float32 values of its one input and
 * prints the outputs as JSON. */
#include "unit/model/onnx_case.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void print_value(struct json *j, const struct infer_tensor *t, const void *v, size_t i)
{
    double d;

    if (t->type == INFER_TEXT) {
        json_str(j, (const char *)v + i * INFER_TEXT_BYTES);
        return;
    }
    if (t->type == INFER_I64) {
        json_i64(j, ((const int64_t *)v)[i]);
        return;
    }
    d = t->type == INFER_F32   ? (double)((const float *)v)[i]
        : t->type == INFER_F64 ? ((const double *)v)[i]
        : t->type == INFER_I32 ? ((const int32_t *)v)[i]
        : t->type == INFER_I8  ? ((const int8_t *)v)[i]
                               : ((const uint8_t *)v)[i];
    if (isnan(d))
        json_str(j, "nan");
    else if (isinf(d))
        json_str(j, d > 0 ? "inf" : "-inf");
    else
        json_double(j, d);
}

static int print_outputs(const struct onnx_case *c)
{
    const struct infer_graph *g = infer_model_graph(c->model);
    struct json *j;

    if (json_new(&j, stdout, false) != 0)
        return 1;
    json_object(j);
    json_ku64(j, "dense_i8", c->report.n_dense_i8);
    json_ku64(j, "conv1d_i8", c->report.n_conv1d_i8);
    json_key(j, "outputs");
    json_array(j);
    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct infer_tensor *t = &g->tensors[g->outputs[i].tensor];

        json_object(j);
        json_kstr(j, "kind", infer_type_name(t->type));
        json_key(j, "dims");
        json_array(j);
        for (unsigned k = 0; k < t->shape.rank; k++)
            json_u64(j, t->shape.dim[k]);
        json_array_end(j);
        json_key(j, "values");
        json_array(j);
        for (size_t k = 0; k < infer_shape_elements(&t->shape); k++)
            print_value(j, t, infer_model_output(c->model, i), k);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    if (json_end(j) != 0)
        return 1;
    json_free(j);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct infer_limits limits = {0};
    struct onnx_case c = {0};
    struct buf values = {0};
    struct errmsg err = {""};
    const struct infer_tensor *t;
    int r;

    if (argc != 4)
        return 2;
    r = onnx_case_open(&c, argv[1], &err);
    if (r == 0)
        r = onnx_case_import(&c, (struct onnx_import_options){.batch = (uint32_t)atoi(argv[3])}, &limits,
                             NULL, NULL, &err);
    if (r == 0 && file_read(argv[2], 1 << 24, &values) != 0)
        r = errmsg_set(&err, -EIO, "%s cannot be read", argv[2]);
    if (r == 0) {
        t = &infer_model_graph(c.model)->tensors[infer_model_graph(c.model)->inputs[0].tensor];
        if (t->type != INFER_F32 || infer_shape_elements(&t->shape) * sizeof(float) != values.len)
            r = errmsg_set(&err, -EINVAL, "%zu values for %zu", values.len / sizeof(float),
                           infer_shape_elements(&t->shape));
    }
    if (r != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    memcpy(infer_model_input(c.model, 0), values.data, values.len);
    infer_model_run(c.model);
    r = print_outputs(&c);
    buf_deinit(&values);
    onnx_case_close(&c);
    return r;
}
