#include "device/model_feed.h"

#include "infer/feature.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct model_feed {
    struct infer_model *model;
    const struct codec_table *table;
    struct recipe *recipe; /* NULL: none */
    struct features *features;
    uint32_t *columns; /* of the table, n_in */
    double *values;
    bool *present;
    float *given; /* what features give, and the same as doubles */
    double *taken;
    size_t n_in, width;
    uint64_t row, n_absent, n_waited;
};

size_t model_feed_width(const struct infer_model *model)
{
    const struct infer_graph *g = infer_model_graph(model);
    size_t width = 0;

    for (size_t i = 0; i < g->n_inputs; i++)
        width += infer_shape_elements(&g->tensors[g->inputs[i].tensor].shape);
    return width;
}

/* ---- values into inputs ---- */

static double rounded(double v, double low, double high)
{
    v = isnan(v) ? 0 : nearbyint(v);
    return v < low ? low : v > high ? high : v;
}

static void put_one(enum infer_type type, void *at, size_t i, double v)
{
    switch (type) {
    case INFER_F32:
        ((float *)at)[i] = (float)v;
        break;
    case INFER_F64:
        ((double *)at)[i] = v;
        break;
    case INFER_I8:
        ((int8_t *)at)[i] = (int8_t)rounded(v, INT8_MIN, INT8_MAX);
        break;
    case INFER_U8:
        ((uint8_t *)at)[i] = (uint8_t)rounded(v, 0, UINT8_MAX);
        break;
    case INFER_BOOL:
        ((uint8_t *)at)[i] = v != 0;
        break;
    case INFER_I16:
        ((int16_t *)at)[i] = (int16_t)rounded(v, INT16_MIN, INT16_MAX);
        break;
    case INFER_I32:
        ((int32_t *)at)[i] = (int32_t)rounded(v, INT32_MIN, INT32_MAX);
        break;
    case INFER_I64:
        /* The greatest double below 2^63. */
        ((int64_t *)at)[i] = (int64_t)rounded(v, -9223372036854775808.0, 9223372036854774784.0);
        break;
    case INFER_TEXT:
        break;
    }
}

void model_feed_put(struct infer_model *model, const double *values)
{
    const struct infer_graph *g = infer_model_graph(model);

    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct infer_tensor *t = &g->tensors[g->inputs[i].tensor];
        size_t n = infer_shape_elements(&t->shape);

        for (size_t k = 0; k < n; k++)
            put_one(t->type, infer_model_input(model, i), k, values[k]);
        values += n;
    }
}

/* ---- which columns ---- */

static int no_column(const struct model_feed *f, const char *name, const char *whose, struct errmsg *err)
{
    struct errmsg known = {""};
    size_t used = 0;

    for (uint32_t i = 0; i < f->table->n_columns && used < 200; i++)
        used += (size_t)snprintf(known.text + used, sizeof known.text - used, "%s%.60s", i > 0 ? ", " : "",
                                 f->table->about[i].header);
    return errmsg_set(err, -EINVAL, "there is no column %.64s, which %s; there are: %.300s", name, whose,
                      known.text);
}

static int add_column(struct model_feed *f, const char *name, const char *whose, struct errmsg *err)
{
    int column = codec_table_find(f->table, name, strlen(name));

    if (column < 0)
        return no_column(f, name, whose, err);
    if (f->table->types[column] == COLUMN_TEXT)
        return errmsg_set(err, -EINVAL, "column %.64s, which %s, holds texts; a model takes numbers", name,
                          whose);
    f->columns[f->n_in++] = (uint32_t)column;
    return 0;
}

static int choose_columns(struct model_feed *f, const char *const *inputs, size_t n_inputs, size_t n_wanted,
                          struct errmsg *err)
{
    int r = 0;

    f->columns = calloc(n_inputs + n_wanted + f->table->n_columns + 1, sizeof *f->columns);
    if (f->columns == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    for (size_t i = 0; i < n_inputs && r == 0; i++)
        r = add_column(f, inputs[i], "--inputs names", err);
    for (size_t i = 0; i < n_wanted && r == 0 && n_inputs == 0 && f->recipe != NULL; i++)
        r = add_column(f, f->recipe->channels[i], "the recipe of the model wants (or say --inputs)", err);
    for (uint32_t i = 0; i < f->table->n_columns && n_inputs == 0 && f->recipe == NULL; i++)
        if (f->table->types[i] != COLUMN_TEXT)
            f->columns[f->n_in++] = i;
    if (r == 0 && f->n_in != n_wanted)
        r = errmsg_set(err, -EINVAL, "the model takes %zu columns, %s %zu%s", n_wanted,
                       n_inputs > 0 ? "--inputs names" : "of numbers there are", f->n_in,
                       n_inputs > 0 ? "" : "; say which with --inputs A,B,...");
    return r;
}

/* ---- making ---- */

static int check_inputs(const struct model_feed *f, struct errmsg *err)
{
    const struct infer_graph *g = infer_model_graph(f->model);

    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->tensors[g->inputs[i].tensor].type == INFER_TEXT)
            return errmsg_set(err, -EINVAL, "input %s of the model takes texts; only numbers can be given",
                              g->inputs[i].name);
    if (f->recipe != NULL && recipe_width(f->recipe) != f->width)
        return errmsg_set(err, -EINVAL, "the recipe of the model gives %zu numbers, its inputs take %zu",
                          recipe_width(f->recipe), f->width);
    return 0;
}

static int open_recipe(struct model_feed *f, struct errmsg *err)
{
    struct span bytes = infer_model_recipe(f->model);
    int r;

    if (bytes.len == 0)
        return 0;
    f->recipe = calloc(1, sizeof *f->recipe);
    if (f->recipe == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    r = recipe_decode(bytes, f->recipe, err);
    return r != 0 ? r : feature_new(f->recipe, &f->features, err);
}

int model_feed_new(struct model_feed **ret_f, struct infer_model *model, const struct codec_table *table,
                   const char *const *inputs, size_t n_inputs, struct errmsg *err)
{
    struct model_feed *f = calloc(1, sizeof *f);
    int r;

    if (f == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    f->model = model;
    f->table = table;
    f->width = model_feed_width(model);
    r = open_recipe(f, err);
    if (r == 0)
        r = check_inputs(f, err);
    if (r == 0)
        r = choose_columns(f, inputs, n_inputs, f->recipe != NULL ? f->recipe->n_channels : f->width, err);
    if (r == 0) {
        f->values = calloc(f->n_in + 1, sizeof *f->values);
        f->present = calloc(f->n_in + 1, sizeof *f->present);
        f->given = calloc(f->width + 1, sizeof *f->given);
        f->taken = calloc(f->width + 1, sizeof *f->taken);
        if (f->values == NULL || f->present == NULL || f->given == NULL || f->taken == NULL)
            r = errmsg_set(err, -ENOMEM, "no memory");
    }
    if (r != 0) {
        model_feed_free(f);
        return r;
    }
    *ret_f = f;
    return 0;
}

struct model_feed *model_feed_free(struct model_feed *f)
{
    if (f == NULL)
        return NULL;
    feature_free(f->features);
    free(f->recipe);
    free(f->columns);
    free(f->values);
    free(f->present);
    free(f->given);
    free(f->taken);
    free(f);
    return NULL;
}

void model_feed_freep(struct model_feed **f)
{
    model_feed_free(*f);
}

/* ---- rows ---- */

static bool take_row(struct model_feed *f)
{
    bool all = true;

    for (size_t i = 0; i < f->n_in; i++) {
        const struct column *c = &f->table->columns[f->columns[i]];

        f->present[i] = c->absent == NULL || !c->absent[f->row];
        f->values[i] = c->type == COLUMN_DOUBLE ? c->f64[f->row] : (double)c->i64[f->row];
        all = all && f->present[i] && isfinite(f->values[i]);
    }
    return all;
}

bool model_feed_next(struct model_feed *f, uint64_t *ret_row)
{
    for (; f->row < f->table->n_rows; f->row++) {
        bool all = take_row(f);

        if (f->features == NULL && !all) {
            f->n_absent++;
            continue;
        }
        if (f->features != NULL && !feature_step(f->features, f->values, f->present, f->given)) {
            f->n_waited++;
            continue;
        }
        for (size_t i = 0; i < f->width; i++)
            f->taken[i] = f->features != NULL ? (double)f->given[i] : f->values[i];
        model_feed_put(f->model, f->taken);
        *ret_row = f->row++;
        return true;
    }
    return false;
}

uint64_t model_feed_absent(const struct model_feed *f)
{
    return f->n_absent;
}

uint64_t model_feed_waited(const struct model_feed *f)
{
    return f->n_waited;
}
