/* golden_model.h - what the writer and the reader of tests/golden/v1/model share. */
#ifndef FOGLINE_TESTS_GOLDEN_MODEL_H
#define FOGLINE_TESTS_GOLDEN_MODEL_H

#include "infer/model.h"

void golden_model_keys(uint8_t ret_public[32], uint8_t ret_secret[64]);
/* The inputs that zoo.txt was made with. */
void golden_model_fill(struct infer_model *m);
/* A line for each output: its name, type and values. */
void golden_model_print(const struct infer_model *m, struct buf *out);

#endif
