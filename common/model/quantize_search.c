/* The best of several ways to quantise, by what becomes of the outputs of rows that taught nothing.
 *
 * Which ranges are the best is no question of single tensors: with heavy tails the least squared error keeps
 * rare great values and spends the steps on them, while decisions are made among the ordinary ones. And what
 * suits the rows that were seen best may be too narrow for the next: whole stretches are held back from
 * learning. */
#include "base/cleanup.h"
#include "model/compare.h"
#include "model/quantize.h"

#include <math.h>

enum { TRIED_ROWS = 1000, STRETCHES = 8, HELD_BACK_EVERY = 4, HOLD_BACK_FROM_ROWS = 200 };

struct searching {
    const struct infer_model *model;
    struct model_rows learning, rows; /* ranges are learnt from; are tried */
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

double quantize_same(const struct model_difference *d)
{
    double least = 1;

    for (size_t i = 0; i < d->n_outputs; i++)
        if (d->outputs[i].is_decision && d->outputs[i].n_rows > 0)
            least = fmin(least, (double)d->outputs[i].n_decided / (double)d->outputs[i].n_rows);
    return least;
}

struct outcome {
    double error, same;
};

static int try(struct searching *s, const struct quantize_options *o, struct quantize_report *ret_report,
               struct outcome *ret)
{
    owned(free_build) struct infer_build *b = NULL;
    struct model_difference d;
    int r = quantize(s->model, &s->learning, o, &b, ret_report, s->err);

    if (r == 0)
        r = models_compare(infer_model_graph(s->model), infer_build_graph(b), &s->rows, s->search->threshold,
                           &d, s->err);
    if (r == 0)
        *ret = (struct outcome){quantize_error(&d), quantize_same(&d)};
    return r;
}

/* By how much it misses what was asked for; at most 1: not at all. */
static double excess(const struct quantize_search *s, const struct outcome *o)
{
    double by_error = s->error_max > 0 ? o->error / s->error_max : 0;
    double by_decisions = s->same_min > 0 ? (1 - o->same) / fmax(1 - s->same_min, 1e-9) : 0;

    return fmax(1, fmax(by_error, by_decisions));
}

static bool is_better(const struct quantize_search *s, const struct outcome *a, const struct outcome *b)
{
    double by = excess(s, a) - excess(s, b);

    return by < 0 || (!(by > 0) && a->error < b->error);
}

bool quantize_is_met(const struct quantize_search *s)
{
    return !(excess(s, &(struct outcome){s->error, s->same}) > 1);
}

static void take(struct quantize_search *s, const struct quantize_options *o, const struct outcome *of)
{
    s->chosen = *o;
    s->error = of->error;
    s->same = of->same;
}

/* Keeps the options when they are better than what was chosen. */
static int offer(struct searching *s, const struct quantize_options *o)
{
    struct outcome chosen = {s->search->error, s->search->same}, now;
    struct quantize_report report = {0};
    int r = try(s, o, &report, &now);

    if (r == 0 && is_better(s->search, &now, &chosen))
        take(s->search, o, &now);
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
    struct outcome now, least = {(double)INFINITY, 0};
    int r;

    if (o.n_floats == sizeof search->floats / sizeof search->floats[0])
        return 1;
    r = try(s, &o, &layers, &now);
    o.floats = search->floats;
    o.n_floats++;
    for (size_t i = 0; r == 0 && i < layers.n_layers; i++) {
        struct quantize_report report = {0};

        if (!layers.layers[i].is_integer)
            continue;
        *last = layers.layers[i].node;
        r = try(s, &o, &report, &now);
        quantize_report_deinit(&report);
        if (r == 0 && is_better(search, &now, &least)) {
            least = now;
            best = *last;
        }
    }
    quantize_report_deinit(&layers);
    if (r != 0 || !isfinite(least.error))
        return r != 0 ? r : 1;
    *last = best;
    take(search, &o, &least);
    return 0;
}

static bool is_held_back(const struct model_rows *rows, size_t i)
{
    return i * STRETCHES / rows->n % HELD_BACK_EVERY == HELD_BACK_EVERY - 1;
}

/* Rows follow each other in time, and neighbours are alike: every fourth of eight stretches is tried, evenly
 * spread, and the others teach. All do both where they are few. */
static int take_rows(struct searching *s, const struct model_rows *rows)
{
    bool holds_back = rows->n >= HOLD_BACK_FROM_ROWS;
    size_t n = holds_back ? rows->n / HELD_BACK_EVERY : rows->n, every = (n + TRIED_ROWS - 1) / TRIED_ROWS,
           met = 0;
    int r = model_rows_init(&s->rows, infer_model_graph(s->model), s->err);

    if (r == 0)
        r = model_rows_init(&s->learning, infer_model_graph(s->model), s->err);
    for (size_t i = 0; i < rows->n && r == 0; i++) {
        bool is_tried = !holds_back || is_held_back(rows, i);

        if (!holds_back || !is_tried)
            r = model_rows_add(&s->learning, model_rows_at(rows, i), s->err);
        if (r == 0 && is_tried && met++ % every == 0)
            r = model_rows_add(&s->rows, model_rows_at(rows, i), s->err);
    }
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
    take(search, &o, &(struct outcome){(double)INFINITY, 0});
    r = search->ranges ? choose_ranges(s, &o) : offer(s, &o);
    while (r == 0 && !quantize_is_met(search))
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
    model_rows_deinit(&s.learning);
    model_rows_deinit(&s.rows);
    return r != 0 ? r : quantize(model, rows, &search->chosen, ret_build, ret_report, err);
}
