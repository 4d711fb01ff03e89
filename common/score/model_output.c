#include "score/model_output.h"

#include <stdio.h>
#include <string.h>

enum { LABEL_CHARS = 20 };

enum column_type model_output_type(enum infer_type type)
{
    switch (type) {
    case INFER_F32:
    case INFER_F64:
        return COLUMN_DOUBLE;
    case INFER_BOOL:
        return COLUMN_BOOL;
    case INFER_TEXT:
        return COLUMN_TEXT;
    default:
        return COLUMN_INT64;
    }
}

struct cell model_output_cell(enum infer_type type, const void *values, size_t i)
{
    switch (type) {
    case INFER_F32:
        return (struct cell){.f64 = (double)((const float *)values)[i]};
    case INFER_F64:
        return (struct cell){.f64 = ((const double *)values)[i]};
    case INFER_I8:
        return (struct cell){.i64 = ((const int8_t *)values)[i]};
    case INFER_U8:
    case INFER_BOOL:
        return (struct cell){.i64 = ((const uint8_t *)values)[i]};
    case INFER_I16:
        return (struct cell){.i64 = ((const int16_t *)values)[i]};
    case INFER_I32:
        return (struct cell){.i64 = ((const int32_t *)values)[i]};
    case INFER_I64:
        return (struct cell){.i64 = ((const int64_t *)values)[i]};
    default: {
        const char *text = (const char *)values + i * INFER_TEXT_BYTES;

        return (struct cell){.text = span_of(text, strnlen(text, INFER_TEXT_BYTES))};
    }
    }
}

/* Item no of a comma-separated list; empty: none. */
static struct span item_of(struct span list, uint32_t no)
{
    const uint8_t *at = list.data, *end = list.data + list.len, *comma;

    for (; at < end && no > 0; no--) {
        comma = memchr(at, ',', (size_t)(end - at));
        at = comma == NULL ? end : comma + 1;
    }
    if (at >= end)
        return span_of(NULL, 0);
    comma = memchr(at, ',', (size_t)(end - at));
    return span_of(at, (size_t)((comma == NULL ? end : comma) - at));
}

void model_output_name(const struct infer_model *model, size_t port, uint32_t element,
                       char ret_name[NAME_PART_CHARS + 1])
{
    const struct infer_graph *g = infer_model_graph(model);
    const char *name = g->outputs[port].name;
    struct span label = item_of(infer_model_text(model, "labels"), element);

    if (infer_shape_elements(&g->tensors[g->outputs[port].tensor].shape) == 1)
        snprintf(ret_name, NAME_PART_CHARS + 1, "%s", name);
    else if (label.len > 0)
        snprintf(ret_name, NAME_PART_CHARS + 1, "%.40s.%.*s", name,
                 (int)(label.len > LABEL_CHARS ? LABEL_CHARS : label.len), (const char *)label.data);
    else
        snprintf(ret_name, NAME_PART_CHARS + 1, "%.50s.%u", name, element);
    for (char *c = ret_name; *c != '\0'; c++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *c) == NULL)
            *c = '_';
}
