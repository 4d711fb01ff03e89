/* sample_model.h - a small model for tests of model files: y = relu(x * W' + b) as [1, 2], z = y + y as [2].
 */
#ifndef FOGLINE_TESTS_SAMPLE_MODEL_H
#define FOGLINE_TESTS_SAMPLE_MODEL_H

#include "infer/build.h"
#include "infer/model.h"

/* With a node and a constant that no output needs. */
struct infer_build *sample_model_build(void);
void sample_model_write(struct buf *out);
/* A copy of exactly these bytes at an aligned address, so that a read beyond is seen; free() it. */
struct span sample_model_aligned(struct span bytes);

#endif
