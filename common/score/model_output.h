/* model_output.h - outputs of a model as single values: names, types, cells. For daemons and the tool,
 * which thus call them the same.
 *
 * Pure. Threads: values. */
#ifndef FOGLINE_SCORE_MODEL_OUTPUT_H
#define FOGLINE_SCORE_MODEL_OUTPUT_H

#include "base/name.h"
#include "codec/block.h"
#include "infer/model.h"

enum column_type model_output_type(enum infer_type type);
/* Element i of `values`; a text is borrowed from there. */
struct cell model_output_cell(enum infer_type type, const void *values, size_t i);

/* PORT, PORT.LABEL or PORT.NO: labels are those of the model's text `labels`. What a name may not hold
 * becomes
 * '_'. */
void model_output_name(const struct infer_model *model, size_t port, uint32_t element,
                       char ret_name[NAME_PART_CHARS + 1]);

#endif
