/* rows.h - rows of numbers as a model is given them: all its inputs, one behind the other.
 *
 * Owns what it holds; one thread. */
#ifndef FOGLINE_MODEL_ROWS_H
#define FOGLINE_MODEL_ROWS_H

#include "infer/tensor.h"

struct model_rows {
    size_t width, n; /* numbers of a row, rows */
    float *values;   /* n rows, one behind the other */
    size_t alloc;
};

/* For the inputs of `graph`; -EINVAL with a sentence when one is not of float32, or when there are none. */
must_check int model_rows_init(struct model_rows *r, const struct infer_graph *graph, struct errmsg *err);
void model_rows_deinit(struct model_rows *r); /* accepts zero */
/* Copies `width` numbers. 0, -ENOMEM. */
must_check int model_rows_add(struct model_rows *r, const float *row, struct errmsg *err);
/* -EINVAL and why nothing can be learned of them: there is none, or all are the same. */
must_check int model_rows_check(const struct model_rows *r, struct errmsg *err);

static inline const float *model_rows_at(const struct model_rows *r, size_t i)
{
    return r->values + i * r->width;
}

#endif
