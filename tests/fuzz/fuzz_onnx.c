/* ONNX files of any content: no crash, bounded time and memory. What can be imported is written, read back
 * and run, when a run is short. Inputs that have to be constants get some of their type. */
#include "unit/model/onnx_case.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES_MAX = 1 << 16 };

static const struct onnx_tensor *value_of(void *context, const char *input)
{
    static const float scale = 0.05f;
    static const int64_t dims[2] = {1, 1};
    static const int32_t small = 1;
    static const uint8_t zero = 0;
    static const struct onnx_tensor values[] = {
        {.type = ONNX_FLOAT, .n_elements = 1, .data = &scale},
        {.type = ONNX_INT64, .rank = 1, .dims = {2}, .n_elements = 2, .data = dims},
        {.type = ONNX_INT32, .rank = 1, .dims = {1}, .n_elements = 1, .data = &small},
        {.type = ONNX_UINT8, .n_elements = 1, .data = &zero},
        {.type = ONNX_INT8, .n_elements = 1, .data = &zero},
        {.type = ONNX_BOOL, .n_elements = 1, .data = &zero},
    };
    const struct onnx_graph *g = context;
    char name[ONNX_NAME_TEXT];

    for (size_t i = 0; i < g->n_inputs; i++)
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
            if (strcmp(onnx_name_text(g->inputs[i].name, name), input) == 0 &&
                g->inputs[i].type == values[k].type)
                return &values[k];
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct infer_limits limits = {
        .file_bytes = 4 << 20, .arena_bytes = 4 << 20, .operations = 1 << 22};
    static const struct onnx_import_dim dims[] = {{"n", 2}, {"N", 3}};
    struct onnx_import_options options = {.n_dims = 2, .dims = dims};
    struct onnx_tensor_file *tensor;
    struct onnx_case c = {0};
    struct errmsg err;

    if (size > FILE_BYTES_MAX)
        return 0;
    if (onnx_tensor_read(span_of(data, size), &tensor, &err) == 0)
        onnx_tensor_free(tensor);
    if (onnx_model_read(span_of(data, size), &c.onnx, &err) == 0 &&
        onnx_case_import(&c, options, &limits, value_of, (void *)(uintptr_t)onnx_model_graph(c.onnx), &err) ==
            0)
        infer_model_run(c.model);
    onnx_case_close(&c);
    return 0;
}
