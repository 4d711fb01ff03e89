/* Scales, from the values that tensors have when the rows go through the model. */
#include "model/graph_run.h"
#include "model/quantize_private.h"

#include <math.h>

enum { COLUMNS_MAX = 4096 }; /* with a histogram for each */

int8_t q_quantize(struct q_scale s, double v)
{
    double x = nearbyint(v / (double)s.scale) + s.zero;

    return x != x ? (int8_t)s.zero : (int8_t)(x < -128 ? -128 : x > 127 ? 127 : x);
}

static size_t elements_of(const struct quantizer *q, size_t t)
{
    return infer_shape_elements(&q->plan.graph->tensors[t].shape);
}

/* Is it quantised, or does it come out of a kernel as int8? */
static bool is_learnt(const struct quantizer *q, size_t t)
{
    return q->tensors[t].wants_i8;
}

static void see(struct quantizer *q, size_t t, const float *values, bool counts)
{
    void (*to)(struct range_observer *, float) = counts ? range_count : range_see;
    struct range_observer *o = &q->tensors[q->tensors[t].group].observer;
    struct q_columns *c = q->tensors[t].columns;
    size_t n = elements_of(q, t);

    for (size_t i = 0; i < n; i++)
        to(o, values[i]);
    for (size_t i = 0; c != NULL && i < n; i++)
        to(&c->observers[i % c->n], values[i]);
}

static void pass(struct quantizer *q, struct graph_run *g, bool counts)
{
    for (size_t row = 0; row < q->rows->n; row++) {
        graph_run_row(g, model_rows_at(q->rows, row));
        for (size_t t = 0; t < q->plan.graph->n_tensors; t++)
            if (is_learnt(q, t))
                see(q, t, g->values[t], counts);
    }
}

static int add_bins(struct quantizer *q)
{
    for (size_t t = 0; t < q->plan.graph->n_tensors; t++) {
        struct q_columns *c = q->tensors[t].columns;
        struct range_observer *o = &q->tensors[q->tensors[t].group].observer;

        if (!is_learnt(q, t))
            continue;
        if (o->bins == NULL)
            o->bins = pool_alloc(&q->plan.pool, RANGE_BINS, sizeof *o->bins);
        if (o->bins == NULL)
            return q_no_memory(q);
        for (size_t i = 0; c != NULL && i < c->n; i++)
            if ((c->observers[i].bins = pool_alloc(&q->plan.pool, RANGE_BINS, sizeof *o->bins)) == NULL)
                return q_no_memory(q);
    }
    return 0;
}

static int add_columns(struct quantizer *q)
{
    for (size_t t = 0; t < q->plan.graph->n_tensors; t++) {
        struct q_columns *c;
        size_t n = q->plan.graph->tensors[t].shape.dim[1];

        if (q->options->one_scale || !is_learnt(q, t) || !q_is_dense_input(q, (uint16_t)t) || n == 0 ||
            n > COLUMNS_MAX)
            continue;
        c = pool_alloc(&q->plan.pool, 1, sizeof *c);
        if (c == NULL)
            return q_no_memory(q);
        *c = (struct q_columns){pool_alloc(&q->plan.pool, n, sizeof(float)),
                                pool_alloc(&q->plan.pool, n, sizeof(float)),
                                pool_alloc(&q->plan.pool, n, sizeof(struct range_observer)), n};
        if (c->offset == NULL || c->scale == NULL || c->observers == NULL)
            return q_no_memory(q);
        q->tensors[t].columns = c;
    }
    return 0;
}

static struct range range_for(const struct quantizer *q, const struct range_observer *o, bool with_zero)
{
    return range_of(o, q->options->method, q->options->percentile, with_zero);
}

static struct q_scale scale_of(struct range r)
{
    double scale = ((double)r.high - (double)r.low) / 255;
    struct q_scale s = {(float)scale, 0};

    /* Nothing but zeros, as far as numbers of float32 can say. */
    if (!(s.scale > 1e-30F) || !isfinite(s.scale))
        return (struct q_scale){1, 0};
    s.zero = (int32_t)nearbyint(-128 - (double)r.low / (double)s.scale);
    return s;
}

/* Squared error that rounding the input in steps makes in the sums of its layers, with one step for all
 * columns and with one for each. */
static void compare_steps(const struct quantizer *q, uint16_t t, double *ret_one, double *ret_each)
{
    const struct q_columns *c = q->tensors[t].columns;
    double step = (double)q_scale_of(q, t).scale;

    *ret_one = *ret_each = 0;
    for (size_t i = 0; i < q->plan.n_items; i++) {
        const struct plan_layer *l = &q->plan.layers[q->plan.items[i].index];

        if (!q->plan.items[i].is_layer || l->in != t)
            continue;
        for (size_t m = 0; m < l->m; m++)
            for (size_t k = 0; k < l->k; k++) {
                double w = (double)l->w[m * l->k + k];

                *ret_one += w * w * step * step;
                *ret_each += w * w * (double)c->scale[k] * (double)c->scale[k];
            }
    }
}

/* A column that never changed is given the range of the whole: what it will do is not known. */
static void choose_columns(struct quantizer *q, uint16_t t)
{
    struct q_columns *c = q->tensors[t].columns;
    struct q_scale whole = q_scale_of(q, t);
    double one, each;

    for (size_t k = 0; k < c->n; k++) {
        struct range r = range_for(q, &c->observers[k], false);

        c->offset[k] = (float)(((double)r.low + (double)r.high) / 2);
        c->scale[k] = (float)(((double)r.high - (double)r.low) / 254);
        if (!(c->scale[k] > 1e-30F) || !isfinite(c->scale[k]))
            c->scale[k] = whole.scale;
    }
    compare_steps(q, t, &one, &each);
    /* Two more operations an input have to be worth 3 dB. */
    if (one <= 2 * each)
        q->tensors[t].columns = NULL;
}

static int no_value(struct quantizer *q)
{
    for (size_t t = 0; t < q->plan.graph->n_tensors; t++)
        if (is_learnt(q, t) && elements_of(q, t) > 0 && q->tensors[q->tensors[t].group].observer.n == 0)
            return errmsg_set(q->err, -EINVAL,
                              "tensor %zu had no finite value in %zu rows (absent readings become NaN): "
                              "calibrate with rows that have readings",
                              t, q->rows->n);
    return 0;
}

/* ---- means ---- */

/* Element i of an input of layers, as int8 has it. */
static double as_int8(const struct quantizer *q, uint16_t t, size_t k, float v)
{
    const struct q_columns *c = q->tensors[t].columns;
    struct q_scale s = q_scale_of(q, t);

    if (c == NULL)
        return (double)(q_quantize(s, (double)v) - s.zero) * (double)s.scale;
    s = (struct q_scale){c->scale[k], 0};
    return (double)q_quantize(s, (double)v - (double)c->offset[k]) * (double)s.scale + (double)c->offset[k];
}

static void add_means(struct quantizer *q, const struct graph_run *g, uint16_t t, unsigned axis)
{
    const struct infer_shape *s = plan_shape(&q->plan, t);
    const float *v = g->values[t];
    size_t inner = 1, n = infer_shape_elements(s);
    double share = (double)s->dim[axis] / (double)n / (double)q->rows->n;

    for (unsigned i = axis + 1; i < s->rank; i++)
        inner *= s->dim[i];
    for (size_t i = 0; i < n; i++) {
        size_t k = i / inner % s->dim[axis];

        q->tensors[t].mean[k] += share * as_int8(q, t, k, v[i]);
    }
}

/* The first of several layers that read one tensor. */
static bool learns_mean(const struct quantizer *q, size_t item)
{
    const struct plan *p = &q->plan;

    if (q->items[item].mode != Q_LAYER)
        return false;
    for (size_t i = 0; i < item; i++)
        if (q->items[i].mode == Q_LAYER &&
            p->layers[p->items[i].index].in == p->layers[p->items[item].index].in)
            return false;
    return true;
}

static int learn_means(struct quantizer *q, struct graph_run *g)
{
    const struct plan *p = &q->plan;

    for (size_t i = 0; i < p->n_items; i++) {
        const struct plan_layer *l = &p->layers[p->items[i].index];

        if (!learns_mean(q, i))
            continue;
        q->tensors[l->in].mean =
            pool_alloc(&q->plan.pool, plan_shape(p, l->in)->dim[plan_axis_in(p, l)], sizeof(double));
        if (q->tensors[l->in].mean == NULL)
            return q_no_memory(q);
    }
    for (size_t row = 0; row < q->rows->n; row++) {
        graph_run_row(g, model_rows_at(q->rows, row));
        for (size_t i = 0; i < p->n_items; i++) {
            const struct plan_layer *l = &p->layers[p->items[i].index];

            if (learns_mean(q, i))
                add_means(q, g, l->in, plan_axis_in(p, l));
        }
    }
    return 0;
}

int q_learn(struct quantizer *q)
{
    struct graph_run g;
    int r = graph_run_init(&g, q->plan.graph, q->err);

    if (r == 0)
        r = add_columns(q);
    if (r == 0)
        pass(q, &g, false);
    if (r == 0)
        r = no_value(q);
    if (r == 0 && q->options->method != RANGE_MINMAX) {
        r = add_bins(q);
        if (r == 0)
            pass(q, &g, true);
    }
    for (size_t t = 0; r == 0 && t < q->plan.graph->n_tensors; t++)
        if (q->tensors[t].observer.n > 0)
            q->tensors[t].q = scale_of(range_for(q, &q->tensors[t].observer, true));
    for (size_t t = 0; r == 0 && t < q->plan.graph->n_tensors; t++)
        if (q->tensors[t].columns != NULL)
            choose_columns(q, (uint16_t)t);
    if (r == 0)
        r = learn_means(q, &g);
    graph_run_deinit(&g);
    return r;
}
