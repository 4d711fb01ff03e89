/* feature.h - a recipe at work: rows in, the numbers for a model out, step by step in fixed memory.
 *
 * What it remembers is one flat piece of memory without pointers. Its bytes can be kept and given back after
 * a restart, on the same or another machine (all are little-endian); whatever comes back is checked. The same
 * rows give the same bits everywhere: only +, -, *, / and square roots of doubles, in a fixed order, never
 * contracted. One thread at a time; no allocation after feature_new. */
#ifndef FOGLINE_INFER_FEATURE_H
#define FOGLINE_INFER_FEATURE_H

#include "infer/recipe.h"

struct features;

/* The recipe is copied; -EINVAL when recipe_check does not like it, -ENOMEM. */
must_check int feature_new(const struct recipe *recipe, struct features **ret, struct errmsg *err);
void feature_free(struct features *f);  /* accepts NULL */
void feature_reset(struct features *f); /* as new */

/* One row: a value for each channel, not read where `present` is false. True: the step is one of each `hop`,
 * every feature has what it looks back on, and recipe_width numbers are in ret. */
bool feature_step(struct features *f, const double *values, const bool *present, float *ret);

const struct recipe *feature_recipe(const struct features *f);
/* What it remembers; borrowed, changes with each step. */
struct span feature_image(const struct features *f);
/* Takes an image of this very recipe, else -EINVAL with a sentence and nothing has changed. */
must_check int feature_restore(struct features *f, struct span image, struct errmsg *err);

#endif
