/* What a unit matters. */
#include "model/graph_run.h"
#include "model/prune_private.h"
#include "model/ranges.h"

#include <math.h>

/* Elements of a tensor that are the same input of a layer: [outer][k][inner]. */
struct lay {
    size_t outer, k, inner;
};

static struct lay lay_of(const struct pruner *p, const struct plan_layer *l)
{
    const struct infer_shape *s = plan_shape(&p->plan, l->in);
    unsigned axis = plan_axis_in(&p->plan, l);
    struct lay y = {1, s->dim[axis], 1};

    for (unsigned i = 0; i < s->rank; i++)
        if (i != axis)
            *(i < axis ? &y.outer : &y.inner) *= s->dim[i];
    return y;
}

/* What the elements of an input do, one in two hundred at either end counted as the next: rare great values
 * say little of what a unit does. */
struct habit {
    struct range_observer observer;
    struct range range;
    double sum, squares;
};

#define ORDINARY_PERCENT 99.5

enum pass { PASS_EXTENT, PASS_BINS, PASS_SUMS, PASSES };

static void take(struct habit *h, enum pass pass, float v)
{
    if (pass == PASS_EXTENT)
        range_see(&h->observer, v);
    else if (pass == PASS_BINS)
        range_count(&h->observer, v);
    else if (isfinite(v)) {
        double x = (double)(v < h->range.low ? h->range.low : v > h->range.high ? h->range.high : v);

        h->sum += x;
        h->squares += x * x;
    }
}

static void add_row(const struct pruner *p, const struct plan_layer *l, struct habit *habits, enum pass pass,
                    const float *values)
{
    struct lay y = lay_of(p, l);

    for (size_t o = 0; o < y.outer; o++)
        for (size_t k = 0; k < y.k; k++)
            for (size_t i = 0; i < y.inner; i++)
                take(&habits[k], pass, *values++);
}

static bool is_first_reader(const struct pruner *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (p->plan.layers[k].in == p->plan.layers[i].in)
            return false;
    return true;
}

static void start_pass(struct habit *h, size_t n, enum pass pass)
{
    for (size_t k = 0; pass == PASS_SUMS && k < n; k++)
        h[k].range = range_of(&h[k].observer, RANGE_PERCENTILE, ORDINARY_PERCENT, false);
}

/* NULL: no memory. */
static struct habit *new_habits(struct pruner *p, size_t n)
{
    struct habit *h = pool_alloc(&p->plan.pool, n, sizeof *h);
    uint32_t *bins = pool_alloc(&p->plan.pool, n * RANGE_BINS, sizeof *bins);

    for (size_t k = 0; h != NULL && k < n; k++)
        h[k].observer.bins = bins == NULL ? NULL : bins + k * RANGE_BINS;
    return bins == NULL ? NULL : h;
}

static int keep(struct pruner *p, const struct plan_layer *l, const struct habit *h)
{
    size_t n = lay_of(p, l).k;
    double *mean = pool_alloc(&p->plan.pool, n, sizeof *mean);
    double *variance = pool_alloc(&p->plan.pool, n, sizeof *variance);

    if (mean == NULL || variance == NULL)
        return prune_no_memory(p);
    for (size_t k = 0; k < n; k++) {
        double count = h[k].observer.n > 0 ? (double)h[k].observer.n : 1;

        mean[k] = h[k].sum / count;
        variance[k] = fmax(h[k].squares / count - mean[k] * mean[k], 0);
    }
    p->mean[l->in] = mean;
    p->variance[l->in] = variance;
    return 0;
}

static int learn(struct pruner *p)
{
    struct habit **habits = pool_alloc(&p->plan.pool, p->plan.n_layers, sizeof(struct habit *));
    struct graph_run g;
    int r = graph_run_init(&g, p->plan.graph, p->err);

    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++)
        if (habits == NULL ||
            (is_first_reader(p, i) && (habits[i] = new_habits(p, lay_of(p, &p->plan.layers[i]).k)) == NULL))
            r = prune_no_memory(p);
    for (int pass = PASS_EXTENT; r == 0 && pass < PASSES; pass++) {
        for (size_t i = 0; i < p->plan.n_layers; i++)
            if (habits[i] != NULL)
                start_pass(habits[i], lay_of(p, &p->plan.layers[i]).k, (enum pass)pass);
        for (size_t row = 0; row < p->rows->n; row++) {
            graph_run_row(&g, model_rows_at(p->rows, row));
            for (size_t i = 0; i < p->plan.n_layers; i++)
                if (habits[i] != NULL)
                    add_row(p, &p->plan.layers[i], habits[i], (enum pass)pass,
                            g.values[p->plan.layers[i].in]);
        }
    }
    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++)
        if (habits[i] != NULL)
            r = keep(p, &p->plan.layers[i], habits[i]);
    graph_run_deinit(&g);
    return r;
}

static double norm_from(const struct plan_layer *l, size_t k)
{
    double sum = 0;

    for (size_t m = 0; m < l->m; m++)
        for (size_t t = 0; t < l->taps; t++) {
            double w = (double)l->w[(m * l->k + k) * l->taps + t];

            sum += w * w;
        }
    return sum;
}

static double norm_to(const struct plan_layer *l, size_t m)
{
    double sum = 0;

    for (size_t i = 0; i < l->k * l->taps; i++) {
        double w = (double)l->w[m * l->k * l->taps + i];

        sum += w * w;
    }
    return sum;
}

static double weight_of(const struct pruner *p, const struct prune_units *u, size_t unit)
{
    double sum = 0, before = p->rows == NULL ? norm_to(u->l, unit) : 1;

    for (size_t i = 0; i < u->n_readers; i++) {
        const struct prune_reader *r = &u->readers[i];

        for (size_t s = 0; s < r->span; s++) {
            size_t k = unit * r->span + s;
            double moves = p->rows == NULL ? 1 : p->variance[r->l->in][k];

            /* Of a transposed convolution the mean is lost as well. */
            if (p->rows != NULL && r->l->kind == PLAN_CONV_TRANSPOSE)
                moves += p->mean[r->l->in][k] * p->mean[r->l->in][k];
            sum += moves * norm_from(r->l, k);
        }
    }
    return before * sum;
}

int prune_weigh(struct pruner *p)
{
    size_t n_tensors = p->plan.graph->n_tensors;
    int r = 0;

    p->mean = pool_alloc(&p->plan.pool, n_tensors, sizeof *p->mean);
    p->variance = pool_alloc(&p->plan.pool, n_tensors, sizeof *p->variance);
    if (p->mean == NULL || p->variance == NULL)
        return prune_no_memory(p);
    if (p->rows != NULL)
        r = learn(p);
    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++) {
        struct prune_units *u = &p->units[i];
        double sum = 0;

        for (size_t m = 0; u->why == NULL && m < u->l->m; m++) {
            u->weight[m] = weight_of(p, u, m);
            if (!isfinite(u->weight[m]))
                u->why = "a weight is no finite number";
            sum += u->weight[m];
        }
        for (size_t m = 0; u->why == NULL && sum > 0 && m < u->l->m; m++)
            u->weight[m] *= (double)u->l->m / sum;
    }
    return r;
}
