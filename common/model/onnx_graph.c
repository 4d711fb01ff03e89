/* ModelProto, GraphProto and ValueInfoProto. */
#include "model/onnx_private.h"

#include <stdlib.h>

enum { M_PRODUCER = 2, M_GRAPH = 7, M_OPSET = 8, M_FUNCTION = 25 };
enum { G_NODE = 1, G_NAME = 2, G_INITIALIZER = 5, G_INPUT = 11, G_OUTPUT = 12, G_SPARSE = 15 };
enum { V_NAME = 1, V_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2, SHAPE_DIM = 1 };
enum { DIM_VALUE = 1, DIM_NAME = 2, OPSET_DOMAIN = 1, OPSET_VERSION = 2 };

/* The one field `number` of a message, the last of several; empty: none. */
static struct span only(struct span message, uint32_t number)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    struct span found = {NULL, 0};

    while (pb_next(&r, &f))
        if (f.number == number && f.wire == PB_BYTES)
            found = f.bytes;
    return r.bad ? (struct span){NULL, 0} : found;
}

static int read_dim(const struct onnx_reading *in, struct span message, struct onnx_dim *d)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    int rc = 0;

    d->value = -1;
    while (rc == 0 && pb_next(&r, &f)) {
        if (f.number == DIM_VALUE && f.wire == PB_VARINT)
            d->value = (int64_t)f.value;
        else if (f.number == DIM_NAME)
            rc = onnx_read_name(in, &f, "a dimension", &d->name);
    }
    if (d->value < 0)
        d->value = -1;
    return rc == 0 && r.bad ? onnx_damaged(in, "a dimension") : rc;
}

static int read_shape(const struct onnx_reading *in, struct span message, struct onnx_port *p)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    char name[ONNX_NAME_TEXT];
    int rc = 0;

    p->has_shape = true;
    while (rc == 0 && pb_next(&r, &f)) {
        if (f.number != SHAPE_DIM || f.wire != PB_BYTES)
            continue;
        if (p->rank == ONNX_DIMS_MAX)
            return errmsg_set(in->err, -EMSGSIZE, "\"%s\" has more than %d dimensions",
                              onnx_name_text(p->name, name), ONNX_DIMS_MAX);
        rc = read_dim(in, f.bytes, &p->dims[p->rank++]);
    }
    return rc == 0 && r.bad ? onnx_damaged(in, "a shape") : rc;
}

static int read_port(const struct onnx_reading *in, struct span message, struct onnx_port *p)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    struct span tensor;
    int rc = 0;

    while (rc == 0 && pb_next(&r, &f))
        if (f.number == V_NAME)
            rc = onnx_read_name(in, &f, "an input or output", &p->name);
    if (rc == 0 && r.bad)
        rc = onnx_damaged(in, "an input or output");
    if (rc != 0)
        return rc;
    tensor = only(only(message, V_TYPE), TYPE_TENSOR);
    r = reader_of(tensor);
    while (rc == 0 && pb_next(&r, &f)) {
        if (f.number == TENSOR_ELEMENT && f.wire == PB_VARINT)
            p->type = f.value > INT32_MAX ? INT32_MAX : (int32_t)f.value;
        else if (f.number == TENSOR_SHAPE && f.wire == PB_BYTES && !p->has_shape)
            rc = read_shape(in, f.bytes, p);
    }
    return rc == 0 && r.bad ? onnx_damaged(in, "an input or output") : rc;
}

int onnx_read_graph(const struct onnx_reading *in, struct span message, struct onnx_graph *ret_g)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    struct onnx_node *nodes;
    struct onnx_tensor *tensors = NULL;
    struct onnx_port *inputs = NULL, *outputs = NULL;
    int rc = 0;

    ret_g->n_nodes = pb_count(message, G_NODE, PB_BYTES);
    ret_g->n_initializers = pb_count(message, G_INITIALIZER, PB_BYTES);
    ret_g->n_inputs = pb_count(message, G_INPUT, PB_BYTES);
    ret_g->n_outputs = pb_count(message, G_OUTPUT, PB_BYTES);
    nodes = onnx_array(in, ret_g->n_nodes, ONNX_NODES_MAX, sizeof *nodes, "the nodes of the graph");
    if (nodes != NULL)
        tensors = onnx_array(in, ret_g->n_initializers, ONNX_TENSORS_MAX, sizeof *tensors,
                             "the constants of the graph");
    if (tensors != NULL)
        inputs = onnx_array(in, ret_g->n_inputs, ONNX_PORTS_MAX, sizeof *inputs, "the inputs of the graph");
    if (inputs != NULL)
        outputs =
            onnx_array(in, ret_g->n_outputs, ONNX_PORTS_MAX, sizeof *outputs, "the outputs of the graph");
    if (outputs == NULL)
        return -EINVAL;
    ret_g->nodes = nodes;
    ret_g->initializers = tensors;
    ret_g->inputs = inputs;
    ret_g->outputs = outputs;
    while (rc == 0 && pb_next(&r, &f)) {
        if (f.wire != PB_BYTES)
            continue;
        if (f.number == G_NODE)
            rc = onnx_read_node(in, f.bytes, nodes++);
        else if (f.number == G_INITIALIZER)
            rc = onnx_read_tensor(in, f.bytes, tensors++);
        else if (f.number == G_INPUT)
            rc = read_port(in, f.bytes, inputs++);
        else if (f.number == G_OUTPUT)
            rc = read_port(in, f.bytes, outputs++);
        else if (f.number == G_NAME)
            rc = onnx_read_name(in, &f, "the graph", &ret_g->name);
        else if (f.number == G_SPARSE)
            ret_g->has_sparse = true;
    }
    return rc;
}

static int read_opset(const struct onnx_reading *in, struct span message, struct onnx_model *m)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    int rc = 0;

    if (m->n_opsets == ONNX_OPSETS_MAX)
        return errmsg_set(in->err, -EMSGSIZE, "the model imports more than %d sets of operators",
                          ONNX_OPSETS_MAX);
    while (rc == 0 && pb_next(&r, &f)) {
        if (f.number == OPSET_DOMAIN)
            rc = onnx_read_name(in, &f, "a set of operators", &m->opsets[m->n_opsets].domain);
        else if (f.number == OPSET_VERSION && f.wire == PB_VARINT)
            m->opsets[m->n_opsets].version = (int64_t)f.value;
    }
    m->n_opsets++;
    return rc == 0 && r.bad ? onnx_damaged(in, "a set of operators") : rc;
}

static int read_model(const struct onnx_reading *in, struct span bytes, struct onnx_model *m)
{
    struct reader r = reader_of(bytes);
    struct pb_field f;
    bool has_graph = false;
    int rc = 0;

    while (rc == 0 && pb_next(&r, &f)) {
        if (f.number == M_FUNCTION)
            m->has_functions = true;
        if (f.wire != PB_BYTES)
            continue;
        if (f.number == M_GRAPH && has_graph)
            return onnx_damaged(in, "the model");
        if (f.number == M_GRAPH) {
            has_graph = true;
            rc = onnx_read_graph(in, f.bytes, &m->graph);
        } else if (f.number == M_OPSET) {
            rc = read_opset(in, f.bytes, m);
        } else if (f.number == M_PRODUCER) {
            rc = onnx_read_name(in, &f, "the producer", &m->producer);
        }
    }
    if (rc == 0 && r.bad)
        rc = onnx_damaged(in, "the model");
    if (rc == 0 && !has_graph)
        rc = errmsg_set(in->err, -EINVAL, "the model has no graph; is it an ONNX file?");
    return rc;
}

int onnx_model_read(struct span bytes, struct onnx_model **ret, struct errmsg *err)
{
    struct onnx_model *m = NULL;
    struct onnx_reading in = {.err = err};
    int r;

    if (bytes.len > ONNX_FILE_BYTES_MAX)
        return errmsg_set(err, -EMSGSIZE, "the model has %zu bytes, at most %d are read", bytes.len,
                          ONNX_FILE_BYTES_MAX);
    m = calloc(1, sizeof *m);
    if (m == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the model");
    m->pool.cap_bytes = bytes.len * ONNX_MEMORY_FACTOR + (16 << 20);
    in.pool = &m->pool;
    r = read_model(&in, bytes, m);
    if (r != 0) {
        onnx_model_free(m);
        return r;
    }
    *ret = m;
    return 0;
}

void onnx_model_free(struct onnx_model *m)
{
    if (m == NULL)
        return;
    pool_deinit(&m->pool);
    free(m);
}

void onnx_model_freep(struct onnx_model **m)
{
    onnx_model_free(*m);
}

const struct onnx_graph *onnx_model_graph(const struct onnx_model *m)
{
    return &m->graph;
}

static struct span domain_of(struct span domain)
{
    return span_equal(domain, span_str("ai.onnx")) ? span_str("") : domain;
}

int64_t onnx_model_opset(const struct onnx_model *m, const char *domain)
{
    for (size_t i = 0; i < m->n_opsets; i++)
        if (span_equal(domain_of(m->opsets[i].domain), domain_of(span_str(domain))))
            return m->opsets[i].version;
    return 0;
}

bool onnx_model_has_functions(const struct onnx_model *m)
{
    return m->has_functions;
}

struct span onnx_model_producer(const struct onnx_model *m)
{
    return m->producer;
}
