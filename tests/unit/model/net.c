#include "unit/model/net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void net_init(struct net *n, uint64_t seed)
{
    *n = (struct net){infer_build_new(), {seed}, INFER_NONE};
    assert(n->b != NULL);
}

void net_input(struct net *n, struct infer_shape shape)
{
    struct errmsg err;
    int r = infer_build_input(n->b, "x", INFER_F32, &shape, &n->at, &err);

    assert(r == 0);
}

const struct infer_shape *net_shape(const struct net *n)
{
    return &infer_build_graph(n->b)->tensors[n->at].shape;
}

uint16_t net_floats(struct net *n, struct infer_shape shape, const float *v)
{
    size_t count = infer_shape_elements(&shape);
    float *own = malloc((count + 1) * sizeof *own);
    struct errmsg err;
    uint16_t t;
    int r;

    assert(own != NULL);
    for (size_t i = 0; i < count; i++)
        own[i] = v != NULL ? v[i] : (float)rng_normal(&n->rng) * 0.5F;
    r = infer_build_constant(n->b, INFER_F32, &shape, own, &t, &err);
    assert(r == 0);
    free(own);
    return t;
}

void net_node(struct net *n, struct infer_node node)
{
    uint16_t out[INFER_NODE_OUTPUTS_MAX];
    struct errmsg err = {""};
    int r;

    node.inputs[0] = n->at;
    node.n_inputs = node.n_inputs == 0 ? 1 : node.n_inputs;
    node.n_outputs = 1;
    r = infer_build_node(n->b, &node, out, &err);
    if (r != 0)
        fprintf(stderr, "%s\n", err.text);
    assert(r == 0);
    n->at = out[0];
}

void net_unary(struct net *n, enum infer_op op)
{
    net_node(n, (struct infer_node){.op = (uint16_t)op, .floats = {0.125F, 0.5F}});
}

void net_dense(struct net *n, uint32_t m, const float *w, const float *bias)
{
    uint32_t k = net_shape(n)->dim[1];
    uint16_t tw = net_floats(n, SHAPE(m, k), w), tb = net_floats(n, SHAPE(m), bias);

    net_node(n,
             (struct infer_node){
                 .op = INFER_GEMM, .n_inputs = 3, .inputs = {0, tw, tb}, .ints = {0, 1}, .floats = {1, 1}});
}

void net_conv(struct net *n, struct net_conv c)
{
    const struct infer_shape *s = net_shape(n);
    uint32_t spatial = s->rank - 2U, group = c.group == 0 ? 1 : c.group, channels = s->dim[1] / group;
    struct infer_shape w = {(uint8_t)(2 + spatial), {c.outputs, channels}};
    struct infer_node node = {.op = c.transposed ? INFER_CONV_TRANSPOSE : INFER_CONV,
                              .n_inputs = 3,
                              .ints = {(int32_t)group, (int32_t)spatial}};

    if (c.transposed) {
        w.dim[0] = s->dim[1];
        w.dim[1] = c.outputs;
    }
    for (uint32_t i = 0; i < spatial; i++) {
        w.dim[2 + i] = c.kernel;
        node.ints[2 + i] = c.stride == 0 ? 1 : (int32_t)c.stride;
        node.ints[5 + i] = 1;
        node.ints[8 + i] = node.ints[11 + i] = (int32_t)c.pad;
    }
    node.inputs[1] = net_floats(n, w, NULL);
    node.inputs[2] = net_floats(n, SHAPE(c.outputs), NULL);
    net_node(n, node);
}

void net_norm(struct net *n)
{
    uint32_t c = net_shape(n)->dim[1];
    struct infer_node node = {.op = INFER_BATCH_NORM, .n_inputs = 5, .floats = {1e-5F}};
    float *variance = malloc(c * sizeof *variance);

    assert(variance != NULL);
    for (uint32_t i = 0; i < c; i++)
        variance[i] = (float)(0.2 + rng_unit(&n->rng));
    for (int i = 1; i < 4; i++)
        node.inputs[i] = net_floats(n, SHAPE(c), NULL);
    node.inputs[4] = net_floats(n, SHAPE(c), variance);
    free(variance);
    net_node(n, node);
}

void net_pool(struct net *n, enum infer_op op, int32_t kernel, int32_t stride)
{
    int32_t spatial = net_shape(n)->rank - 2;
    struct infer_node node = {.op = (uint16_t)op, .ints = {1, spatial}};

    for (int i = 0; i < spatial; i++) {
        node.ints[2 + i] = stride;
        node.ints[5 + i] = 1;
        node.ints[17 + i] = kernel;
    }
    net_node(n, node);
}

void net_flatten(struct net *n)
{
    const struct infer_shape *s = net_shape(n);
    int32_t rest = (int32_t)(infer_shape_elements(s) / s->dim[0]);

    net_node(n, (struct infer_node){.op = INFER_RESHAPE, .ints = {2, (int32_t)s->dim[0], rest}});
}

void net_output(struct net *n, const char *name)
{
    struct errmsg err;
    int r = infer_build_output(n->b, name, n->at, &err);

    assert(r == 0);
}

struct net_model net_read(struct infer_build *b)
{
    struct net_model m = {0};
    struct errmsg err = {""};
    struct buf out = {0};
    void *copy = NULL;
    int r = infer_build_write(b, &out, &err);

    assert(r == 0);
    r = posix_memalign(&copy, 64, out.len);
    assert(r == 0);
    memcpy(copy, out.data, out.len);
    m.file = span_of(copy, out.len);
    buf_deinit(&out);
    infer_build_free(b);
    r = infer_model_read(m.file, NULL, &m.model, &err);
    if (r != 0)
        fprintf(stderr, "%s\n", err.text);
    assert(r == 0);
    return m;
}

struct net_model net_finish(struct net *n)
{
    if (infer_build_graph(n->b)->n_outputs == 0)
        net_output(n, "y");
    return net_read(n->b);
}

void net_free(struct net_model *m)
{
    infer_model_free(m->model);
    free((void *)(uintptr_t)m->file.data);
    *m = (struct net_model){0};
}

void net_rows(const struct infer_graph *g, struct model_rows *rows, size_t n, uint64_t seed,
              const float *size, const float *offset)
{
    struct rng rng = {seed};
    struct errmsg err = {""};
    float *row;
    int r = model_rows_init(rows, g, &err);

    assert(r == 0);
    row = malloc(rows->width * sizeof *row);
    assert(row != NULL);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < rows->width; k++)
            row[k] =
                (float)rng_normal(&rng) * (size == NULL ? 1 : size[k]) + (offset == NULL ? 0 : offset[k]);
        r = model_rows_add(rows, row, &err);
        assert(r == 0);
    }
    free(row);
}
