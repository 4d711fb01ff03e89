/* Units go: what they gave goes into biases, their weights away. */
#include "model/graph_run.h"
#include "model/prune_private.h"

#include <math.h>

/* Does what a unit gives meet a border, so that it is not the same everywhere? */
static bool meets_border(const struct pruner *p, const struct plan_layer *reader)
{
    const int32_t *ints = p->plan.nodes[reader->node].ints;

    if (reader->kind != PLAN_CONV)
        return reader->kind == PLAN_CONV_TRANSPOSE;
    for (int i = 8; i < 14; i++)
        if (ints[i] != 0)
            return true;
    return false;
}

/* What input k of a reader is when its unit is gone. */
static double constant_of(const struct pruner *p, const struct plan_layer *l, size_t k, const float *zeroed)
{
    const struct infer_shape *s = plan_shape(&p->plan, l->in);
    size_t at = k;

    if (p->rows != NULL)
        return l->kind == PLAN_CONV_TRANSPOSE ? 0 : p->mean[l->in][k];
    if (meets_border(p, l))
        return 0;
    for (unsigned i = 2; l->kind == PLAN_CONV && i < s->rank; i++)
        at *= s->dim[i];
    return (double)zeroed[at];
}

static void give_to_bias(struct plan_layer *l, size_t k, double constant)
{
    if (constant == 0 || !isfinite(constant))
        return;
    for (size_t m = 0; m < l->m; m++) {
        double sum = 0;

        for (size_t t = 0; t < l->taps; t++)
            sum += (double)l->w[(m * l->k + k) * l->taps + t];
        l->bias[m] = (float)((double)l->bias[m] + constant * sum);
    }
    l->has_bias = true;
}

static void give(struct pruner *p, const struct prune_units *u, const struct graph_run *g,
                 const struct plan_map *map)
{
    for (size_t i = 0; i < u->n_readers; i++) {
        const struct prune_reader *r = &u->readers[i];
        const float *zeroed = g == NULL ? NULL : g->values[map->to[r->l->in]];

        for (size_t k = 0; k < u->l->m * r->span; k++)
            if (u->gone[k / r->span])
                give_to_bias(r->l, k, constant_of(p, r->l, k, zeroed));
    }
}

static void free_build(struct infer_build *b)
{
    infer_build_free(b);
}

/* The model with the weights to all units that go at 0, run once: what they give then does not depend on what
 * the model is given. */
static int give_zeroed(struct pruner *p)
{
    struct infer_build *b = infer_build_new();
    struct graph_run g = {0};
    struct plan_map map;
    float *row;
    size_t width;
    int r = b == NULL ? prune_no_memory(p) : 0;

    for (size_t i = 0; i < p->plan.n_layers; i++) {
        struct prune_units *u = &p->units[i];
        size_t n = u->l->k * u->l->taps;

        for (size_t m = 0; m < u->l->m; m++)
            if (u->gone[m])
                memset(u->l->w + m * n, 0, n * sizeof *u->l->w);
    }
    if (r == 0)
        r = plan_emit(&p->plan, b, &map, p->err);
    if (r == 0)
        r = graph_run_init(&g, infer_build_graph(b), p->err);
    if (r == 0)
        r = graph_run_width(infer_build_graph(b), &width, p->err);
    if (r == 0) {
        row = pool_alloc(&g.pool, width, sizeof *row);
        if (row == NULL)
            r = prune_no_memory(p);
        else
            graph_run_row(&g, row);
    }
    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++)
        give(p, &p->units[i], &g, &map);
    graph_run_deinit(&g);
    free_build(b);
    return r;
}

/* Rows of a layer, and columns of its readers: what is kept moves together. */
static void shrink(struct prune_units *u)
{
    struct plan_layer *l = u->l;
    size_t n = l->k * l->taps, to = 0;

    for (size_t m = 0; m < l->m; m++) {
        if (u->gone[m])
            continue;
        memmove(l->w + to * n, l->w + m * n, n * sizeof *l->w);
        l->bias[to++] = l->bias[m];
    }
}

static void shrink_reader(const struct prune_units *u, const struct prune_reader *r)
{
    struct plan_layer *l = r->l;
    float *to = l->w;

    for (size_t m = 0; m < l->m; m++)
        for (size_t k = 0; k < l->k; k++) {
            if (u->gone[k / r->span])
                continue;
            memmove(to, l->w + (m * l->k + k) * l->taps, l->taps * sizeof *to);
            to += l->taps;
        }
    l->k -= u->n_gone * r->span;
}

int prune_cut(struct pruner *p)
{
    int r = 0;

    if (p->rows == NULL)
        r = give_zeroed(p);
    for (size_t i = 0; r == 0 && p->rows != NULL && i < p->plan.n_layers; i++)
        give(p, &p->units[i], NULL, NULL);
    for (size_t i = 0; r == 0 && i < p->plan.n_layers; i++) {
        struct prune_units *u = &p->units[i];

        if (u->n_gone == 0)
            continue;
        shrink(u);
        u->l->m -= u->n_gone;
        for (size_t k = 0; k < u->n_readers; k++)
            shrink_reader(u, &u->readers[k]);
        for (size_t k = 0; k < u->n_reshapes; k++) {
            const struct prune_reshape *s = &u->reshapes[k];

            s->node->ints[1 + s->axis] = (int32_t)(u->l->m * s->span);
        }
    }
    return r;
}
