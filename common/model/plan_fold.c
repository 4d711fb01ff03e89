/* y = a x + b for each channel behind a layer becomes its weights and its bias. */
#include "model/plan_private.h"

#include <math.h>

bool plan_is_by_channel(const struct plan_channels *ch, const struct infer_shape *constant)
{
    if (constant->rank > ch->out->rank)
        return false;
    for (unsigned i = 0; i < constant->rank; i++) {
        unsigned d = ch->out->rank - constant->rank + i;

        if (constant->dim[i] != 1 && (d != ch->axis || constant->dim[i] != ch->m))
            return false;
    }
    return true;
}

float plan_channel_at(const struct infer_shape *constant, const float *values, size_t m)
{
    return values[infer_shape_elements(constant) == 1 ? 0 : m];
}

/* The constant of a node that is y = x OP constant, or constant OP x. */
struct operand {
    const float *values;
    const struct infer_shape *shape;
    bool first;
};

static bool operand_of(const struct plan *p, const struct plan_layer *l, const struct infer_node *node,
                       struct operand *ret)
{
    struct plan_channels ch = {l->m, plan_axis_out(p, l), plan_shape(p, l->out)};
    unsigned at = node->inputs[0] == l->out ? 1 : 0;
    const struct infer_tensor *t = &p->graph->tensors[node->inputs[at]];

    *ret = (struct operand){t->constant, &t->shape, at == 0};
    return t->constant != NULL && t->type == INFER_F32 && plan_is_by_channel(&ch, &t->shape);
}

struct affine {
    double a, b;
};

/* What a node does to channel m; false: nothing of the kind, or not in numbers. */
static bool affine_of(const struct plan *p, const struct infer_node *node, const struct operand *o, size_t m,
                      struct affine *ret)
{
    double v = o->values == NULL ? 0 : (double)plan_channel_at(o->shape, o->values, m);
    const struct infer_tensor *t = p->graph->tensors;

    switch (node->op) {
    case INFER_ADD:
        *ret = (struct affine){1, v};
        break;
    case INFER_SUB:
        *ret = o->first ? (struct affine){-1, v} : (struct affine){1, -v};
        break;
    case INFER_MUL:
        *ret = (struct affine){v, 0};
        break;
    case INFER_DIV:
        *ret = (struct affine){o->first ? (double)NAN : 1 / v, 0};
        break;
    default: { /* batch normalisation */
        double scale = (double)((const float *)t[node->inputs[1]].constant)[m];
        double bias = (double)((const float *)t[node->inputs[2]].constant)[m];
        double mean = (double)((const float *)t[node->inputs[3]].constant)[m];
        double variance = (double)((const float *)t[node->inputs[4]].constant)[m];

        ret->a = scale / sqrt(variance + (double)node->floats[0]);
        ret->b = bias - mean * ret->a;
        break;
    }
    }
    return isfinite(ret->a) && isfinite(ret->b);
}

static bool is_constant_norm(const struct plan *p, const struct plan_layer *l, const struct infer_node *node)
{
    if (plan_axis_out(p, l) != 1 || node->inputs[0] != l->out)
        return false;
    for (unsigned i = 1; i < 5; i++)
        if (p->graph->tensors[node->inputs[i]].constant == NULL)
            return false;
    return true;
}

bool plan_fold(struct plan *p, struct plan_layer *l, const struct infer_node *node)
{
    size_t row = l->k * l->taps;
    struct operand o = {0};
    struct affine f;

    switch (node->op) {
    case INFER_ADD:
    case INFER_SUB:
    case INFER_MUL:
    case INFER_DIV:
        if (!operand_of(p, l, node, &o))
            return false;
        break;
    case INFER_BATCH_NORM:
        if (!is_constant_norm(p, l, node))
            return false;
        break;
    default:
        return false;
    }
    for (size_t m = 0; m < l->m; m++)
        if (!affine_of(p, node, &o, m, &f))
            return false;
    for (size_t m = 0; m < l->m && affine_of(p, node, &o, m, &f); m++) {
        for (size_t i = 0; i < row; i++)
            l->w[m * row + i] = (float)(f.a * (double)l->w[m * row + i]);
        l->bias[m] = (float)(f.a * (double)l->bias[m] + f.b);
        l->has_bias = l->has_bias || f.b != 0;
    }
    l->out = node->outputs[0];
    l->n_folded++;
    return true;
}
