#include "model/quantize.h"

#include "base/cleanup.h"
#include "model/quantize_private.h"

#include <math.h>
#include <stdlib.h>

int q_no_memory(struct quantizer *q)
{
    return errmsg_set(q->err, -ENOMEM, "no memory to quantise the model");
}

void quantize_report_deinit(struct quantize_report *r)
{
    free(r->layers);
    *r = (struct quantize_report){0};
}

static int init(struct quantizer *q)
{
    size_t n_tensors = q->plan.graph->n_tensors;

    q->tensors = pool_alloc(&q->plan.pool, n_tensors, sizeof *q->tensors);
    q->items = pool_alloc(&q->plan.pool, q->plan.n_items, sizeof *q->items);
    if (q->tensors == NULL || q->items == NULL)
        return q_no_memory(q);
    for (size_t t = 0; t < n_tensors; t++) {
        struct q_tensor *x = &q->tensors[t];

        x->own = x->i8 = x->i8_last = x->i8_columns = INFER_NONE;
    }
    q_flow(q);
    return 0;
}

static struct quantize_layer layer_of(const struct quantizer *q, const struct q_item *item,
                                      const struct plan_layer *l)
{
    return (struct quantize_layer){
        .node = l->node,
        .op = q->plan.nodes[l->node].op,
        .inputs = l->k * l->taps,
        .outputs = l->m,
        .is_integer = item->mode == Q_LAYER,
        .gives_float = q->tensors[l->out].wants_f32 || !q->tensors[l->out].wants_i8,
        .by_column = item->mode == Q_LAYER && q->tensors[l->in].columns != NULL,
        .why = item->why,
        .sqnr_db = (double)INFINITY,
    };
}

static int count(const struct quantizer *q, struct quantize_report *r)
{
    r->layers = calloc(q->plan.n_layers + 1, sizeof *r->layers);
    if (r->layers == NULL)
        return errmsg_set(q->err, -ENOMEM, "no memory to quantise the model");
    for (size_t i = 0; i < q->plan.n_items; i++) {
        const struct q_item *item = &q->items[i];

        if (q->plan.items[i].is_layer) {
            const struct plan_layer *l = &q->plan.layers[q->plan.items[i].index];

            r->layers[r->n_layers++] = layer_of(q, item, l);
            r->n_folded += l->n_folded;
            r->n_integer += item->mode == Q_LAYER;
        } else {
            r->n_folded += item->mode == Q_DONE;
            r->n_tables += item->mode == Q_TABLE;
            r->n_moves += item->mode == Q_MOVE;
            r->n_float += item->mode == Q_FLOAT;
        }
    }
    for (size_t t = 0; t < q->plan.graph->n_tensors; t++)
        r->n_odd += q->tensors[t].observer.n_odd;
    return 0;
}

static size_t n_integer_layers(const struct quantizer *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->plan.n_items; i++)
        n += q->items[i].mode == Q_LAYER;
    return n;
}

static int check_options(const struct quantize_options *o, struct errmsg *err)
{
    if (o->method == RANGE_PERCENTILE && !(o->percentile > 50 && o->percentile <= 100))
        return errmsg_set(err, -EINVAL, "a percentile of %g is not above 50 and up to 100", o->percentile);
    return 0;
}

static void free_build(struct infer_build **b)
{
    infer_build_free(*b);
}

static int work(struct quantizer *q, const struct infer_model *model, struct quantize_report *report)
{
    int r = init(q);

    if (r == 0 && n_integer_layers(q) > 0)
        r = model_rows_check(q->rows, q->err);
    if (r == 0 && n_integer_layers(q) > 0)
        r = q_learn(q);
    if (r == 0)
        r = q_emit(q);
    if (r == 0)
        r = infer_build_about(q->build, model, q->err);
    if (r == 0)
        r = count(q, report);
    if (r == 0 && report->n_integer > 0)
        r = q_measure(q, report);
    return r;
}

int quantize(const struct infer_model *model, const struct model_rows *rows,
             const struct quantize_options *options, struct infer_build **ret_build,
             struct quantize_report *ret_report, struct errmsg *err)
{
    owned(free_build) struct infer_build *build = infer_build_new();
    struct quantizer q = {.rows = rows, .options = options, .build = build, .err = err};
    struct quantize_report report = {0};
    int r = build == NULL ? q_no_memory(&q) : check_options(options, err);

    if (r == 0)
        r = plan_init(&q.plan, infer_model_graph(model), err);
    if (r == 0)
        r = work(&q, model, &report);
    plan_deinit(&q.plan);
    if (r != 0) {
        quantize_report_deinit(&report);
        return r;
    }
    *ret_report = report;
    *ret_build = TAKE(build);
    return 0;
}
