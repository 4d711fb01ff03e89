#include "model/prune.h"

#include "base/cleanup.h"
#include "model/prune_private.h"

#include <math.h>
#include <stdlib.h>

int prune_no_memory(struct pruner *p)
{
    return errmsg_set(p->err, -ENOMEM, "no memory to prune the model");
}

void prune_report_deinit(struct prune_report *r)
{
    for (size_t i = 0; i < r->n_layers; i++)
        free(r->layers[i].gone);
    free(r->layers);
    *r = (struct prune_report){0};
}

/* ---- which units ---- */

/* Weights of a layer when what is marked as gone is gone. */
static uint64_t weights_of(const struct pruner *p, size_t i)
{
    const struct plan_layer *l = p->units[i].l;
    size_t k = l->k;

    for (size_t j = 0; j < p->plan.n_layers; j++)
        for (size_t n = 0; n < p->units[j].n_readers && p->units[j].n_gone > 0; n++)
            if (p->units[j].readers[n].l == l)
                k -= p->units[j].n_gone * p->units[j].readers[n].span;
    return (uint64_t)(l->m - p->units[i].n_gone) * k * l->taps;
}

static uint64_t all_weights(const struct pruner *p)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < p->plan.n_layers; i++)
        sum += weights_of(p, i);
    return sum;
}

struct candidate {
    double weight;
    size_t layer, unit;
};

static int by_weight(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static int nothing(const struct pruner *p)
{
    if (p->plan.n_layers == 0)
        return errmsg_set(p->err, -EINVAL,
                          "the model has no layer with float32 weights (Gemm, MatMul, Conv, ConvTranspose): "
                          "there is nothing to prune; what is quantised already is pruned before that");
    return errmsg_set(p->err, -EINVAL, "no layer has units that can go: of the first, node %u, %s",
                      p->units[0].l->node, p->units[0].why);
}

/* The least first, one of each layer stays. */
static int choose(struct pruner *p, double to)
{
    uint64_t all = all_weights(p), most = (uint64_t)((double)all * to), left = all;
    struct candidate *c;
    size_t n = 0, total = 0;

    for (size_t i = 0; i < p->plan.n_layers; i++)
        total += p->units[i].why == NULL ? p->units[i].l->m : 0;
    if (total == 0)
        return nothing(p);
    c = pool_alloc(&p->plan.pool, total, sizeof *c);
    if (c == NULL)
        return prune_no_memory(p);
    for (size_t i = 0; i < p->plan.n_layers; i++)
        for (size_t m = 0; p->units[i].why == NULL && m < p->units[i].l->m; m++)
            c[n++] = (struct candidate){p->units[i].weight[m], i, m};
    qsort(c, n, sizeof *c, by_weight);
    for (size_t i = 0; i < n && left > most; i++) {
        struct prune_units *u = &p->units[c[i].layer];

        if (u->n_gone + 1 == u->l->m)
            continue;
        u->gone[c[i].unit] = true;
        u->n_gone++;
        left = all_weights(p);
    }
    if (left > most)
        return errmsg_set(p->err, -EINVAL,
                          "down to %.4g cannot be reached: with one unit left in each layer that can give "
                          "some, %.4g of the weights remain",
                          to, (double)left / (double)all);
    return 0;
}

/* ---- the whole ---- */

static int count(const struct pruner *p, struct prune_report *r)
{
    r->layers = calloc(p->plan.n_layers + 1, sizeof *r->layers);
    if (r->layers == NULL)
        return errmsg_set(p->err, -ENOMEM, "no memory to prune the model");
    r->n_layers = p->plan.n_layers;
    r->weights_after = all_weights(p);
    for (size_t i = 0; i < r->n_layers; i++) {
        const struct prune_units *u = &p->units[i];

        r->layers[i] = (struct prune_layer){
            u->l->node, p->plan.nodes[u->l->node].op, u->l->m, u->l->m - u->n_gone, u->why, malloc(u->l->m)};
        if (r->layers[i].gone == NULL)
            return errmsg_set(p->err, -ENOMEM, "no memory to prune the model");
        memcpy(r->layers[i].gone, u->gone, u->l->m * sizeof *u->gone);
    }
    return 0;
}

static int work(struct pruner *p, const struct infer_model *model, double to, struct infer_build *build,
                struct prune_report *report)
{
    struct plan_map map;
    int r = prune_find(p);

    if (r == 0)
        r = prune_weigh(p);
    if (r == 0) {
        report->weights_before = all_weights(p);
        r = choose(p, to);
    }
    if (r == 0)
        r = count(p, report);
    if (r == 0)
        r = prune_cut(p);
    if (r == 0)
        r = plan_emit(&p->plan, build, &map, p->err);
    return r != 0 ? r : infer_build_about(build, model, p->err);
}

static void free_build(struct infer_build **b)
{
    infer_build_free(*b);
}

int prune(const struct infer_model *model, const struct model_rows *rows, double to,
          struct infer_build **ret_build, struct prune_report *ret_report, struct errmsg *err)
{
    owned(free_build) struct infer_build *build = infer_build_new();
    struct pruner p = {.rows = rows != NULL && rows->n > 0 ? rows : NULL, .err = err};
    struct prune_report report = {0};
    int r = build == NULL ? prune_no_memory(&p) : 0;

    if (r == 0 && !(to > 0 && to < 1))
        r = errmsg_set(err, -EINVAL, "%g is no share of the weights above 0 and below 1", to);
    if (r == 0)
        r = plan_init(&p.plan, infer_model_graph(model), err);
    if (r == 0)
        r = work(&p, model, to, build, &report);
    plan_deinit(&p.plan);
    if (r != 0) {
        prune_report_deinit(&report);
        return r;
    }
    *ret_report = report;
    *ret_build = TAKE(build);
    return 0;
}
