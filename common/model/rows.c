#include "model/rows.h"

#include "base/cleanup.h"
#include "model/graph_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static int no_memory(struct errmsg *err)
{
    return errmsg_set(err, -ENOMEM, "no memory for the rows");
}

static int open_recipe(struct model_rows *r, struct span bytes, struct errmsg *err)
{
    int rc;

    r->recipe = calloc(1, sizeof *r->recipe);
    if (r->recipe == NULL)
        return no_memory(err);
    rc = recipe_decode(bytes, r->recipe, err);
    if (rc == 0 && recipe_width(r->recipe) != r->width)
        rc = errmsg_set(err, -EINVAL, "the recipe gives %zu numbers, the model takes %zu",
                        recipe_width(r->recipe), r->width);
    if (rc == 0)
        rc = feature_new(r->recipe, &r->features, err);
    if (rc == 0)
        r->n_channels = r->recipe->n_channels;
    return rc;
}

int model_rows_init(struct model_rows *r, const struct infer_graph *graph, struct span recipe,
                    struct errmsg *err)
{
    int rc;

    *r = (struct model_rows){0};
    rc = graph_run_width(graph, &r->width, err);
    if (rc == 0 && r->width == 0)
        rc = errmsg_set(err, -EINVAL, "the model takes no numbers: there is nothing to give it");
    r->n_channels = r->width;
    if (rc == 0 && recipe.len > 0)
        rc = open_recipe(r, recipe, err);
    return rc;
}

void model_rows_deinit(struct model_rows *r)
{
    free(r->values);
    free(r->steps);
    free(r->recipe);
    feature_free(r->features);
    *r = (struct model_rows){0};
}

const char *model_rows_channel(const struct model_rows *r, size_t i)
{
    return r->recipe == NULL ? NULL : r->recipe->channels[i];
}

/* Room for one more row, behind the last. */
static float *room(struct model_rows *r, struct errmsg *err)
{
    size_t more = r->alloc == 0 ? 64 : r->alloc * 2, bytes;

    if (r->n == r->alloc) {
        float *values;
        uint64_t *steps;

        if (__builtin_mul_overflow(more, r->width * sizeof *values, &bytes))
            more = 0;
        values = more == 0 ? NULL : realloc(r->values, bytes);
        if (values != NULL)
            r->values = values;
        steps = values == NULL ? NULL : realloc(r->steps, more * sizeof *steps);
        if (steps == NULL) {
            (void)no_memory(err);
            return NULL;
        }
        r->steps = steps;
        r->alloc = more;
    }
    return r->values + r->n * r->width;
}

static void keep(struct model_rows *r)
{
    r->steps[r->n++] = r->n_steps - 1;
}

int model_rows_step(struct model_rows *r, const double *values, const bool *present, struct errmsg *err)
{
    float *to = room(r, err);

    if (to == NULL)
        return -ENOMEM;
    r->n_steps++;
    if (r->features != NULL) {
        if (feature_step(r->features, values, present, to))
            keep(r);
        else
            r->n_waited++;
        return 0;
    }
    for (size_t i = 0; i < r->n_channels; i++) {
        if (!present[i] || !isfinite(values[i])) {
            r->n_absent++;
            return 0;
        }
        to[i] = (float)values[i];
    }
    keep(r);
    return 0;
}

int model_rows_add(struct model_rows *r, const float *row, struct errmsg *err)
{
    float *to = room(r, err);

    if (to == NULL)
        return -ENOMEM;
    memcpy(to, row, r->width * sizeof *to);
    r->n_steps++;
    keep(r);
    return 0;
}

int model_rows_check(const struct model_rows *r, struct errmsg *err)
{
    if (r->n_steps == 0)
        return errmsg_set(err, -EINVAL, "there are no rows");
    if (r->n == 0 && r->n_absent > 0)
        return errmsg_set(err, -EINVAL,
                          "none of %" PRIu64 " rows has a reading of every input: fill the gaps, or give "
                          "the model a recipe that says what an absent reading is",
                          r->n_steps);
    if (r->n == 0)
        return errmsg_set(err, -EINVAL,
                          "%" PRIu64 " rows are too few: the features of the model look back further, or a "
                          "channel has no reading",
                          r->n_steps);
    for (size_t i = 1; i < r->n; i++)
        if (memcmp(model_rows_at(r, i), model_rows_at(r, 0), r->width * sizeof *r->values) != 0)
            return 0;
    return errmsg_set(
        err, -EINVAL,
        "all %zu rows are the same: ranges cannot be learned of them, give rows as they come in "
        "operation",
        r->n);
}
