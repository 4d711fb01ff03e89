/* rows.h - rows of readings as a model is given them: through its recipe, or as they are.
 *
 * The rule is the device's: with a recipe a row goes to the features, which say when they have something for
 * the model; without one a row with an absent, NaN or infinite reading is left out. Owns what it holds; one
 * thread. */
#ifndef FOGLINE_MODEL_ROWS_H
#define FOGLINE_MODEL_ROWS_H

#include "infer/feature.h"
#include "infer/tensor.h"

struct model_rows {
    size_t width, n;       /* numbers of a row, rows */
    float *values;         /* n rows, one behind the other */
    uint64_t *steps;       /* of each row: the reading it was made of, from 0 */
    uint64_t n_steps;      /* readings it was given */
    uint64_t n_absent;     /* rows left out for a reading that was not there */
    uint64_t n_waited;     /* steps at which the recipe had nothing to say: it looked back, or its hop */
    size_t n_channels;     /* readings of a step */
    struct recipe *recipe; /* NULL: none */
    struct features *features;
    size_t alloc;
};

/* For the inputs of `graph`, all of which have to be float32; `recipe` empty: none. -EINVAL, -ENOMEM with a
 * sentence. */
must_check int model_rows_init(struct model_rows *r, const struct infer_graph *graph, struct span recipe,
                               struct errmsg *err);
void model_rows_deinit(struct model_rows *r); /* accepts zero */
/* Name of channel i, as the recipe says; NULL without a recipe. */
const char *model_rows_channel(const struct model_rows *r, size_t i);
/* One step: n_channels readings, not read where `present` is false. 0, -ENOMEM. */
must_check int model_rows_step(struct model_rows *r, const double *values, const bool *present,
                               struct errmsg *err);
/* Row i as it is, without recipe: for callers that have the inputs of the model. 0, -ENOMEM. */
must_check int model_rows_add(struct model_rows *r, const float *row, struct errmsg *err);
/* 0, or -EINVAL and why there is no row, or that all are the same. */
must_check int model_rows_check(const struct model_rows *r, struct errmsg *err);

static inline const float *model_rows_at(const struct model_rows *r, size_t i)
{
    return r->values + i * r->width;
}

#endif
