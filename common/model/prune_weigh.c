/* What a unit matters. */
#include "model/graph_run.h"
#include "model/prune_private.h"

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

/* Sums first: mean has those of the values, variance those of the squares. */
static void add_row(const struct pruner *p, const struct plan_layer *l, const float *values)
{
    struct lay y = lay_of(p, l);
    double *sum = p->mean[l->in], *squares = p->variance[l->in];

    for (size_t o = 0; o < y.outer; o++)
        for (size_t k = 0; k < y.k; k++)
            for (size_t i = 0; i < y.inner; i++) {
                double v = (double)*values++;

                if (isfinite(v)) {
                    sum[k] += v;
                    squares[k] += v * v;
                }
            }
}

static bool is_first_reader(const struct pruner *p, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (p->plan.layers[k].in == p->plan.layers[i].in)
            return false;
    return true;
}

static int learn(struct pruner *p)
{
    struct graph_run g;
    int r = graph_run_init(&g, p->plan.graph, p->err);

    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++) {
        const struct plan_layer *l = &p->plan.layers[i];
        size_t k = lay_of(p, l).k;

        p->mean[l->in] = pool_alloc(&p->plan.pool, k, sizeof(double));
        p->variance[l->in] = pool_alloc(&p->plan.pool, k, sizeof(double));
        if (p->mean[l->in] == NULL || p->variance[l->in] == NULL)
            r = prune_no_memory(p);
    }
    for (size_t row = 0; r == 0 && row < p->rows->n; row++) {
        graph_run_row(&g, model_rows_at(p->rows, row));
        for (size_t i = 0; i < p->plan.n_layers; i++)
            if (is_first_reader(p, i))
                add_row(p, &p->plan.layers[i], g.values[p->plan.layers[i].in]);
    }
    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++) {
        const struct plan_layer *l = &p->plan.layers[i];
        struct lay y = lay_of(p, l);
        double n = (double)(y.outer * y.inner * p->rows->n);

        for (size_t k = 0; is_first_reader(p, i) && k < y.k; k++) {
            double *mean = &p->mean[l->in][k], *variance = &p->variance[l->in][k];

            *mean /= n;
            *variance = fmax(*variance / n - *mean * *mean, 0);
        }
    }
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
