/* zoo_model.h - a model with a node of every family, for the golden file, the fuzzer and tests of memory. */
#ifndef FOGLINE_TESTS_ZOO_MODEL_H
#define FOGLINE_TESTS_ZOO_MODEL_H

#include "infer/build.h"

/* Inputs: "x" F32 [1,2,8], "k" I64 [2]. Outputs: see zoo_model.c. Never changes: a file of it is golden. */
void zoo_model_write(struct buf *out);

/* Puts a length and a checksum that fit into bytes that begin as a model file does. */
void zoo_model_seal(uint8_t *data, size_t len);

#endif
