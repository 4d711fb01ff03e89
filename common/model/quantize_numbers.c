/* From the numbers of a layer in float32 to integers. */
#include "model/quantize_private.h"

#include <math.h>

/* Bias of output m, with what the offsets of columns add. */
static double bias_of(const struct plan_layer *l, const struct q_columns *c, size_t m)
{
    double bias = (double)l->bias[m];

    for (size_t k = 0; c != NULL && k < l->k; k++)
        bias += (double)l->w[m * l->k + k] * (double)c->offset[k];
    return bias;
}

static double weight_of(const struct plan_layer *l, const struct q_columns *c, size_t m, size_t i)
{
    double w = (double)l->w[m * l->k * l->taps + i];

    return c == NULL ? w : w * (double)c->scale[i];
}

/* The greatest weight is 127, unless that would make an integer of the bias that leaves int32. */
static double w_scale_of(const struct plan_layer *l, const struct q_columns *c, size_t m, double x_scale)
{
    size_t n = l->k * l->taps;
    double most = 0, limit = INT32_MAX - 2.0 * (double)n * 128 * 128 - 128, for_bias;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(weight_of(l, c, m, i)));
    for_bias = fabs(bias_of(l, c, m)) / (x_scale * limit);
    most = fmax(most / 127, for_bias * 1.001);
    return most > 1e-30 ? most : 1e-30;
}

/* What rounding the weights does to the sums on average, in the scale of the weights. Inputs that are far
 * from 0 all the time would turn each rounding into a shift. */
static double shift_of(const struct quantizer *q, const struct plan_layer *l, const struct q_columns *c,
                       const struct q_numbers *numbers, size_t m)
{
    const double *mean = q->tensors[l->in].mean;
    size_t n = l->k * l->taps, first = m / (l->m / l->group) * l->k; /* input of its group */
    double shift = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = i / l->taps;
        double x = c == NULL ? mean[first + k] : (mean[k] - (double)c->offset[k]) / (double)c->scale[k];
        double w = (double)numbers->w[m * n + i] * (double)numbers->w_scale[m];

        shift += (weight_of(l, c, m, i) - w) * x;
    }
    return shift;
}

int q_numbers_of(struct quantizer *q, const struct plan_layer *l, struct q_scale x,
                 const struct q_columns *columns, struct q_numbers *ret)
{
    size_t n = l->k * l->taps;

    ret->w = pool_alloc(&q->plan.pool, l->m * n, 1);
    ret->bias = pool_alloc(&q->plan.pool, l->m, sizeof *ret->bias);
    ret->w_scale = pool_alloc(&q->plan.pool, l->m, sizeof *ret->w_scale);
    ret->w_sum = pool_alloc(&q->plan.pool, l->m, sizeof *ret->w_sum);
    if (ret->w == NULL || ret->bias == NULL || ret->w_scale == NULL || ret->w_sum == NULL)
        return q_no_memory(q);
    for (size_t m = 0; m < l->m; m++) {
        double bias = bias_of(l, columns, m);

        ret->w_scale[m] = (float)w_scale_of(l, columns, m, (double)x.scale);
        for (size_t i = 0; i < n; i++) {
            double w = nearbyint(weight_of(l, columns, m, i) / (double)ret->w_scale[m]);

            ret->w[m * n + i] = (int8_t)(w < -127 ? -127 : w > 127 ? 127 : w);
            ret->w_sum[m] += ret->w[m * n + i];
        }
        bias += shift_of(q, l, columns, ret, m);
        ret->bias[m] = (int32_t)nearbyint(bias / ((double)x.scale * (double)ret->w_scale[m]));
    }
    return 0;
}
