/* BatchNormalization that no convolution could take along; in training mode it is its arithmetic. */
#include "model/import_private.h"

/* mean = average of x over all but the channels */
static int average(struct import *im, struct import_value *x, struct import_value **ret_mean, bool keep)
{
    struct infer_node node = {.op = INFER_REDUCE_MEAN, .ints = {((1 << x->shape.rank) - 1) & ~2, keep}};

    *ret_mean = import_temp(im);
    return *ret_mean == NULL ? import_no_memory(im) : import_emit1(im, &node, &x, 1, *ret_mean);
}

/* out = old * momentum + now * (1 - momentum) */
static int running(struct import *im, struct import_value *old, struct import_value *now, float momentum,
                   struct import_value *out)
{
    struct import_value *a = import_temp(im), *b = import_temp(im);
    int r;

    if (out == NULL)
        return 0;
    if (a == NULL || b == NULL)
        return import_no_memory(im);
    r = import_binary(im, INFER_MUL, old, import_f32(im, momentum), a);
    if (r == 0)
        r = import_binary(im, INFER_MUL, now, import_f32(im, 1 - momentum), b);
    return r != 0 ? r : import_binary(im, INFER_ADD, a, b, out);
}

static int training(struct import *im, struct import_node *n, struct infer_node *node)
{
    struct import_value *wide, *mean, *variance, *diff = import_temp(im), *square = import_temp(im);
    float momentum = import_float(im, "momentum", 0.9f);
    int r;

    if (diff == NULL || square == NULL)
        return import_no_memory(im);
    r = average(im, n->in[0], &wide, true);
    if (r == 0)
        r = average(im, n->in[0], &mean, false);
    if (r == 0)
        r = import_binary(im, INFER_SUB, n->in[0], wide, diff);
    if (r == 0)
        r = import_binary(im, INFER_MUL, diff, diff, square);
    if (r == 0)
        r = average(im, square, &variance, false);
    if (r == 0)
        r = import_emit1(im, node, (struct import_value *[]){n->in[0], n->in[1], n->in[2], mean, variance}, 5,
                         n->out[0]);
    if (r == 0)
        r = running(im, n->in[3], mean, momentum, import_out(n, 1));
    return r != 0 ? r : running(im, n->in[4], variance, momentum, import_out(n, 2));
}

int import_batch_norm(struct import *im, struct import_node *n)
{
    struct infer_node node = {.op = INFER_BATCH_NORM};
    bool more = false;
    int r = import_need_inputs(im, n, 5);

    if (r != 0)
        return r;
    for (size_t i = 1; i < n->n_out; i++)
        more |= n->out[i] != NULL;
    node.floats[0] = import_float(im, "epsilon", 1e-5f);
    if (import_int(im, "spatial", 1) != 1)
        return import_refuse(im, "spatial 0, which is not supported");
    if (im->opset >= 14 && import_int(im, "training_mode", 0) != 0)
        return training(im, n, &node);
    if (more || (im->opset < 7 && import_int(im, "is_test", 0) == 0))
        return import_refuse(im, "it is in training mode; export the model for inference");
    return import_emit1(im, &node, n->in, 5, n->out[0]);
}
