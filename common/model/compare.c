#include "model/compare.h"

#include "base/numfmt.h"
#include "model/graph_run.h"

#include <math.h>

double model_threshold(const struct infer_model *m)
{
    struct span text = infer_model_text(m, "threshold");
    double v;

    return text.data != NULL && numfmt_parse_double((const char *)text.data, text.len, &v) ? v : (double)NAN;
}

double model_number_at(const void *values, enum infer_type type, size_t i)
{
    switch (type) {
    case INFER_F32:
        return (double)((const float *)values)[i];
    case INFER_F64:
        return ((const double *)values)[i];
    case INFER_I8:
        return ((const int8_t *)values)[i];
    case INFER_I16:
        return ((const int16_t *)values)[i];
    case INFER_I32:
        return ((const int32_t *)values)[i];
    case INFER_I64:
        return (double)((const int64_t *)values)[i];
    case INFER_U8:
    case INFER_BOOL:
        return ((const uint8_t *)values)[i];
    default:
        return 0;
    }
}

static size_t greatest(const void *values, enum infer_type type, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (model_number_at(values, type, i) > model_number_at(values, type, best))
            best = i;
    return best;
}

static bool is_float(enum infer_type type)
{
    return type == INFER_F32 || type == INFER_F64;
}

/* One sample is the last dimension: scores of one row of a batch. */
static bool same_decision(const struct infer_tensor *t, const void *a, const void *b, double threshold)
{
    size_t bytes = infer_type_bytes(t->type), n = infer_shape_elements(&t->shape);
    size_t last = t->shape.rank == 0 ? 1 : t->shape.dim[t->shape.rank - 1];

    if (!is_float(t->type))
        return n == 0 || memcmp(a, b, n * bytes) == 0;
    for (size_t i = 0; last == 1 && i < n; i++)
        if ((model_number_at(a, t->type, i) >= threshold) != (model_number_at(b, t->type, i) >= threshold))
            return false;
    for (size_t at = 0; last > 1 && at < n; at += last)
        if (greatest((const char *)a + at * bytes, t->type, last) !=
            greatest((const char *)b + at * bytes, t->type, last))
            return false;
    return true;
}

struct sums {
    double squares, reference, lowest, highest; /* the latter two of the first model */
    uint64_t n;
};

static void compare_output(const struct infer_tensor *t, const void *a, const void *b, double threshold,
                           struct output_difference *d, struct sums *s)
{
    size_t n = infer_shape_elements(&t->shape);

    d->n_rows++;
    d->n_decided += d->is_decision && same_decision(t, a, b, threshold);
    for (size_t i = 0; t->type != INFER_TEXT && i < n; i++) {
        double x = model_number_at(a, t->type, i), y = model_number_at(b, t->type, i);

        if (!isfinite(x) || !isfinite(y)) {
            d->n_odd += isfinite(x) != isfinite(y);
            continue;
        }
        d->worst = fmax(d->worst, fabs(x - y));
        s->squares += (x - y) * (x - y);
        s->reference += x * x;
        s->lowest = fmin(s->lowest, x);
        s->highest = fmax(s->highest, x);
        s->n++;
    }
}

static int check(const struct infer_graph *a, const struct infer_graph *b, struct model_difference *ret,
                 struct errmsg *err)
{
    if (a->n_outputs != b->n_outputs || a->n_inputs != b->n_inputs)
        return errmsg_set(err, -EINVAL, "the models have %zu and %zu inputs, %zu and %zu outputs",
                          a->n_inputs, b->n_inputs, a->n_outputs, b->n_outputs);
    for (size_t i = 0; i < a->n_outputs; i++) {
        const struct infer_tensor *x = &a->tensors[a->outputs[i].tensor];
        const struct infer_tensor *y = &b->tensors[b->outputs[i].tensor];

        if (x->type != y->type || !infer_shape_equal(&x->shape, &y->shape))
            return errmsg_set(err, -EINVAL, "output %s is of another type or shape in the other model",
                              a->outputs[i].name);
        ret->outputs[i] = (struct output_difference){.type = x->type, .is_decision = true};
        memcpy(ret->outputs[i].name, a->outputs[i].name, sizeof ret->outputs[i].name);
    }
    ret->n_outputs = a->n_outputs;
    return 0;
}

/* A single number which is no probability decides nothing that is known. */
static void settle(const struct infer_tensor *t, double threshold, const struct sums *s,
                   struct output_difference *d)
{
    size_t last = t->shape.rank == 0 ? 1 : t->shape.dim[t->shape.rank - 1];

    if (is_float(t->type) && last == 1 && isnan(threshold) && !(s->lowest >= 0 && s->highest <= 1)) {
        d->is_decision = false;
        d->n_decided = 0;
    }
    if (s->n > 0) {
        d->rms = sqrt(s->squares / (double)s->n);
        d->reference_rms = sqrt(s->reference / (double)s->n);
    }
}

int models_compare(const struct infer_graph *a, const struct infer_graph *b, const struct model_rows *rows,
                   double threshold, struct model_difference *ret, struct errmsg *err)
{
    struct graph_run run_a = {0}, run_b = {0};
    struct sums sums[INFER_IO_MAX] = {{0}};
    size_t width_b;
    int r = check(a, b, ret, err);

    if (r == 0)
        r = graph_run_width(b, &width_b, err);
    if (r == 0 && width_b != rows->width)
        r = errmsg_set(err, -EINVAL, "the rows have %zu numbers, the model takes %zu", rows->width, width_b);
    if (r == 0)
        r = graph_run_init(&run_a, a, err);
    if (r == 0)
        r = graph_run_init(&run_b, b, err);
    for (size_t row = 0; r == 0 && row < rows->n; row++) {
        graph_run_row(&run_a, model_rows_at(rows, row));
        graph_run_row(&run_b, model_rows_at(rows, row));
        for (size_t i = 0; i < a->n_outputs; i++) {
            uint16_t x = a->outputs[i].tensor;

            compare_output(&a->tensors[x], run_a.values[x], run_b.values[b->outputs[i].tensor],
                           isnan(threshold) ? 0.5 : threshold, &ret->outputs[i], &sums[i]);
        }
    }
    for (size_t i = 0; r == 0 && i < a->n_outputs; i++)
        settle(&a->tensors[a->outputs[i].tensor], threshold, &sums[i], &ret->outputs[i]);
    graph_run_deinit(&run_a);
    graph_run_deinit(&run_b);
    return r;
}
