/* What int8 makes of each layer: both graphs on the same rows. */
#include "model/graph_run.h"
#include "model/quantize_private.h"

#include <math.h>

/* A tensor of the first graph as the second has it. */
struct pair {
    uint16_t tensor, other;
    struct q_scale s;
    bool is_i8, is_last;
    double signal, noise;
};

static struct pair pair_of(const struct quantizer *q, uint16_t tensor)
{
    const struct q_tensor *t = &q->tensors[tensor];
    struct pair p = {.tensor = tensor, .other = t->own, .s = q_scale_of(q, tensor)};

    if (t->own == INFER_NONE || t->wants_i8) {
        p.is_i8 = t->i8 != INFER_NONE || t->i8_last != INFER_NONE;
        p.is_last = t->i8 == INFER_NONE && p.is_i8;
        p.other = p.is_last ? t->i8_last : p.is_i8 ? t->i8 : t->own;
    }
    return p;
}

static double value_at(const struct quantizer *q, const struct graph_run *g, const struct pair *p, size_t i)
{
    const struct infer_shape *s = plan_shape(&q->plan, p->tensor);

    if (!p->is_i8)
        return (double)((const float *)g->values[p->other])[i];
    if (p->is_last) {
        size_t c = s->dim[1], l = s->dim[2];

        i = i / (c * l) * (c * l) + i % l * c + i / l % c;
    }
    return ((double)((const int8_t *)g->values[p->other])[i] - p->s.zero) * (double)p->s.scale;
}

static void compare(const struct quantizer *q, const struct graph_run *a, const struct graph_run *b,
                    struct pair *p)
{
    size_t n = infer_shape_elements(plan_shape(&q->plan, p->tensor));

    for (size_t i = 0; i < n; i++) {
        double x = (double)((const float *)a->values[p->tensor])[i], y = value_at(q, b, p, i);

        if (!isfinite(x) || !isfinite(y))
            continue;
        p->signal += x * x;
        p->noise += (x - y) * (x - y);
    }
}

int q_measure(struct quantizer *q, struct quantize_report *report)
{
    struct pair *pairs = pool_alloc(&q->plan.pool, report->n_layers, sizeof *pairs);
    struct graph_run a = {0}, b = {0};
    size_t n = 0;
    int r = pairs == NULL ? q_no_memory(q) : graph_run_init(&a, q->plan.graph, q->err);

    if (r == 0)
        r = graph_run_init(&b, infer_build_graph(q->build), q->err);
    for (size_t i = 0; r == 0 && i < q->plan.n_items; i++)
        if (q->plan.items[i].is_layer)
            pairs[n++] = pair_of(q, q->items[i].given);
    for (size_t row = 0; r == 0 && row < q->rows->n; row++) {
        graph_run_row(&a, model_rows_at(q->rows, row));
        graph_run_row(&b, model_rows_at(q->rows, row));
        for (size_t i = 0; i < n; i++)
            compare(q, &a, &b, &pairs[i]);
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        report->layers[i].sqnr_db =
            pairs[i].noise > 0 ? 10 * log10(pairs[i].signal / pairs[i].noise) : (double)INFINITY;
    graph_run_deinit(&a);
    graph_run_deinit(&b);
    return r;
}
