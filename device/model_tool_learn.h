/* model_tool_learn.h - what the commands that make a model of another one share: reading either kind of file,
 * rows to learn of, errors. */
#ifndef FOGLINE_DEVICE_MODEL_TOOL_LEARN_H
#define FOGLINE_DEVICE_MODEL_TOOL_LEARN_H

#include "device/model_tool.h"
#include "model/compare.h"
#include "model/rows.h"

/* A model of a file, of Fogline or ONNX. */
struct model_tool_any {
    struct infer_model *m;
    void *copy; /* where it lies when it was ONNX */
};

void model_tool_any_deinit(struct model_tool_any *a); /* accepts zero */

/* Each returns CTL_OK, or what to exit with, said on ctl->err. */
must_check int model_tool_read(struct ctl *ctl, const char *path, struct model_tool_any *ret);
/* The rows of all --calibrate FILE, as the model is given them; none when there is no such option. */
must_check int model_tool_rows(struct ctl *ctl, struct infer_model *m, struct model_rows *ret);
/* The model that was made: says in the text `key` of which it was, writes it, reads it back. */
must_check int model_tool_make(struct ctl *ctl, const char *path, const struct infer_model *from,
                               const char *key, struct infer_build *b, struct model_tool_any *ret);

/* How far the outputs are apart; into an object of JSON, or as a table. */
void model_tool_difference_json(struct json *j, const struct model_difference *d);
must_check int model_tool_difference_text(struct ctl *ctl, const struct model_difference *d);
/* Bytes, memory and operations of both. */
void model_tool_sizes_json(struct json *j, const struct infer_model *from, const struct infer_model *to);
void model_tool_sizes_text(FILE *out, const struct infer_model *from, const struct infer_model *to);

#endif
