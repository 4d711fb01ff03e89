/* model_feed.h - rows of a table as inputs of a model, through its recipe when it has one: as on the device.
 *
 * Without a recipe a row fills all inputs of the model, one after the other; one with an absent cell is left
 * out. With a recipe a row is a step of the features. One thread; no allocation after model_feed_new. */
#ifndef FOGLINE_DEVICE_MODEL_FEED_H
#define FOGLINE_DEVICE_MODEL_FEED_H

#include "device/codec_table.h"
#include "infer/model.h"

struct model_feed;

/* Borrows both. `inputs`: columns by name; none: those that the recipe names, or without a recipe all that
 * hold numbers. -EINVAL: what does not fit, without the path of the table; -ENOMEM. */
must_check int model_feed_new(struct model_feed **ret_f, struct infer_model *model,
                              const struct codec_table *table, const char *const *inputs, size_t n_inputs,
                              struct errmsg *err);
struct model_feed *model_feed_free(struct model_feed *f); /* accepts NULL */
void model_feed_freep(struct model_feed **f);

/* Goes on to the next row at which the model runs and writes its inputs; false: there is none. */
bool model_feed_next(struct model_feed *f, uint64_t *ret_row);
/* Rows so far at which it did not run: a cell was absent; features looked back on rows that were not there
 * yet, or it was not their turn (hop). */
uint64_t model_feed_absent(const struct model_feed *f);
uint64_t model_feed_waited(const struct model_feed *f);

/* How many numbers the inputs of the model take, all together. */
size_t model_feed_width(const struct infer_model *model);
/* Writes all of them, converted to what the inputs hold: integers are rounded and saturate. */
void model_feed_put(struct infer_model *model, const double *values);

#endif
