/* The best of several ways to quantise, by what becomes of the outputs.
 *
 * Which ranges are the best is no question of single tensors: with heavy tails the least squared error keeps
 * rare great values and spends the steps on them, while decisions are made among the ordinary ones. */
#include "base/cleanup.h"
#include "model/compare.h"
#include "model/quantize.h"

#include <math.h>

enum { TRIED_ROWS = 1000 };

struct searching {
    const struct infer_model *model;
    struct model_rows rows; /* those that are tried */
    struct quantize_search *search;
    struct errmsg *err;
};

static void free_build(struct infer_build **b)
{
    infer_build_free(*b);
}

double quantize_error(const struct model_difference *d)
{
    double worst = 0;

    for (size_t i = 0; i < d->n_outputs; i++) {
        const struct output_difference *o = &d->outputs[i];
        bool is_float = o->type == INFER_F32 || o->type == INFER_F64;
        double e = 0;

        if (is_float && o->reference_rms > 0)
            e = o->rms / o->reference_rms;
        else if (is_float)
            e = o->rms;
        else if (o->n_rows > 0)
            e = 1 - (double)o->n_decided / (double)o->n_rows;
        worst = fmax(worst, e);
    }
    return worst;
}

static int try(struct searching *s, const struct quantize_options *o, struct quantize_report *ret_report,
               double *ret_error)
{
    owned(free_build) struct infer_build *b = NULL;
    struct model_difference d;
    int r = quantize(s->model, &s->rows, o, &b, ret_report, s->err);

    if (r == 0)
        r = models_compare(infer_model_graph(s->model), infer_build_graph(b), &s->rows, &d, s->err);
    if (r == 0)
        *ret_error = quantize_error(&d);
    return r;
}

/* Keeps the options when they are better than what was chosen. */
static int offer(struct searching *s, const struct quantize_options *o)
{
    struct quantize_report report = {0};
    double error;
    int r = try(s, o, &report, &error);

    if (r == 0 && error < s->search->error) {
        s->search->error = error;
        s->search->chosen = *o;
    }
    quantize_report_deinit(&report);
    return r;
}

static int choose_ranges(struct searching *s, const struct quantize_options *given)
{
    static const double percentiles[] = {99.99, 99.9, 99.5, 99};
    int r = 0;

    for (int one = 0; one < 2 && r == 0; one++) {
        struct quantize_options o = *given;

        o.one_scale = one != 0;
        o.method = RANGE_MINMAX;
        r = offer(s, &o);
        o.method = RANGE_MSE;
        if (r == 0)
            r = offer(s, &o);
        o.method = RANGE_PERCENTILE;
        for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0] && r == 0; i++) {
            o.percentile = percentiles[i];
            r = offer(s, &o);
        }
    }
    return r;
}

/* One more layer in float32: that which helps most. 1: there is none left. */
static int choose_float(struct searching *s)
{
    struct quantize_search *search = s->search;
    struct quantize_options o = search->chosen;
    struct quantize_report layers = {0};
    uint16_t *last = &search->floats[o.n_floats], best = 0;
    double error, least = (double)INFINITY;
    int r;

    if (o.n_floats == sizeof search->floats / sizeof search->floats[0])
        return 1;
    r = try(s, &o, &layers, &error);
    o.floats = search->floats;
    o.n_floats++;
    for (size_t i = 0; r == 0 && i < layers.n_layers; i++) {
        struct quantize_report report = {0};

        if (!layers.layers[i].is_integer)
            continue;
        *last = layers.layers[i].node;
        r = try(s, &o, &report, &error);
        quantize_report_deinit(&report);
        if (r == 0 && error < least) {
            least = error;
            best = *last;
        }
    }
    quantize_report_deinit(&layers);
    if (r != 0 || !isfinite(least))
        return r != 0 ? r : 1;
    *last = best;
    search->chosen = o;
    search->error = least;
    return 0;
}

/* Evenly spread over all. */
static int take_rows(struct searching *s, const struct model_rows *rows)
{
    size_t n = rows->n < TRIED_ROWS ? rows->n : TRIED_ROWS;
    int r = model_rows_init(&s->rows, infer_model_graph(s->model), s->err);

    for (size_t i = 0; i < n && r == 0; i++)
        r = model_rows_add(&s->rows, model_rows_at(rows, i * rows->n / n), s->err);
    return r;
}

static int work(struct searching *s, const struct quantize_options *options)
{
    struct quantize_search *search = s->search;
    struct quantize_options o = *options;
    int r;

    if (options->n_floats > sizeof search->floats / sizeof search->floats[0])
        return errmsg_set(s->err, -EINVAL, "more than %zu layers are to stay float32",
                          sizeof search->floats / sizeof search->floats[0]);
    for (size_t i = 0; i < options->n_floats; i++)
        search->floats[i] = options->floats[i];
    o.floats = search->floats;
    search->error = (double)INFINITY;
    search->chosen = o;
    r = search->ranges ? choose_ranges(s, &o) : offer(s, &o);
    while (r == 0 && search->error_max > 0 && search->error > search->error_max)
        if ((r = choose_float(s)) == 1)
            return 0;
    return r;
}

int quantize_best(const struct infer_model *model, const struct model_rows *rows,
                  const struct quantize_options *options, struct quantize_search *search,
                  struct infer_build **ret_build, struct quantize_report *ret_report, struct errmsg *err)
{
    struct searching s = {.model = model, .search = search, .err = err};
    int r = take_rows(&s, rows);

    if (r == 0)
        r = work(&s, options);
    model_rows_deinit(&s.rows);
    return r != 0 ? r : quantize(model, rows, &search->chosen, ret_build, ret_report, err);
}
