/* Inputs and outputs of the graph: their names, types and shapes. */
#include "model/import_private.h"

#include <stdio.h>

static const struct onnx_tensor *bound(const struct import *im, struct span name)
{
    for (size_t i = 0; i < im->options->n_constants; i++)
        if (span_equal(span_str(im->options->constants[i].input), name))
            return im->options->constants[i].value;
    return NULL;
}

static bool dim_given(const struct import *im, const char *name, int64_t *ret_n)
{
    for (size_t i = 0; i < im->options->n_dims; i++) {
        if (strcmp(im->options->dims[i].name, name) == 0) {
            *ret_n = im->options->dims[i].value;
            return true;
        }
    }
    return false;
}

/* What a name may be made of in a model (infer/tensor.h). */
static void port_name(struct span name, char text[64])
{
    size_t n = name.len < 63 ? name.len : 63;

    for (size_t i = 0; i < n; i++) {
        char c = (char)name.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c != '\0' && strchr("._/:-", c) != NULL);

        text[i] = fine ? c : '_';
    }
    text[n] = '\0';
    if (n == 0)
        strcpy(text, "_");
}

static int port_shape(struct import *im, const struct onnx_port *p, struct infer_shape *ret_shape)
{
    char name[ONNX_NAME_TEXT], dim[ONNX_NAME_TEXT], place[ONNX_NAME_TEXT + 8];
    int64_t dims[ONNX_DIMS_MAX];

    onnx_name_text(p->name, name);
    if (!p->has_shape)
        return import_refuse(im, "input \"%s\" has no shape in the file; export the model with shapes", name);
    for (unsigned i = 0; i < p->rank; i++) {
        dims[i] = p->dims[i].value;
        if (dims[i] >= 0)
            continue;
        onnx_name_text(p->dims[i].name, dim);
        snprintf(place, sizeof place, "%s.%u", name, i);
        if (dim_given(im, place, &dims[i]) || (dim[0] != '\0' && dim_given(im, dim, &dims[i])))
            continue;
        if (i > 0)
            return import_refuse(im,
                                 "dimension %u of input \"%s\"%s%s%s is open; give it a number: --dim %s=N",
                                 i, name, dim[0] != '\0' ? ", called " : "", dim, dim[0] != '\0' ? "," : "",
                                 dim[0] != '\0' ? dim : place);
        dims[i] = im->options->batch == 0 ? 1 : im->options->batch;
    }
    return import_shape(im, dims, p->rank, ret_shape);
}

static int add_input(struct import *im, const struct onnx_port *p, struct import_value *v)
{
    struct infer_shape shape;
    enum infer_type type = import_type(p->type);
    char name[64], text[ONNX_NAME_TEXT];
    int r;

    if (type == 0)
        return import_refuse(im, "input \"%s\" is of type %s, which is not supported",
                             onnx_name_text(p->name, text), onnx_type_name(p->type));
    r = port_shape(im, p, &shape);
    if (r != 0)
        return r;
    port_name(p->name, name);
    v->is_input = true;
    v->type = type;
    v->shape = shape;
    return infer_build_input(im->build, name, type, &shape, &v->tensor, &im->err);
}

int import_inputs(struct import *im, const struct onnx_graph *g)
{
    int r = 0;

    for (size_t i = 0; i < g->n_inputs && r == 0; i++) {
        struct import_value *v = import_named(im, g->inputs[i].name);
        const struct onnx_tensor *t = bound(im, g->inputs[i].name);

        if (v == NULL)
            return import_no_memory(im);
        if (v->data != NULL || v->refused_type != 0)
            continue; /* a constant that old exporters list as an input too */
        if (v->type != 0)
            return import_refuse(im, "two inputs of the graph have one name");
        r = t != NULL ? import_constant_of(im, t, v) : add_input(im, &g->inputs[i], v);
    }
    return r;
}

int import_output(struct import *im, const struct onnx_graph *g, size_t i)
{
    struct import_value *v = import_named(im, g->outputs[i].name), *copy;
    struct infer_node node = {.op = INFER_RESHAPE};
    const struct infer_graph *made = infer_build_graph(im->build);
    char name[64], text[ONNX_NAME_TEXT];
    uint16_t t = INFER_NONE;
    bool is_own;
    int r;

    if (v == NULL)
        return import_no_memory(im);
    if (v->type == 0 || v->refused_type != 0)
        return import_refuse(
            im, "output \"%s\" of the graph is given by no node, or is of a type that is not supported",
            onnx_name_text(g->outputs[i].name, text));
    r = import_tensor(im, v, &t);
    if (r != 0)
        return r;
    /* An output has a tensor of its own, written by a node. */
    is_own = v->data == NULL;
    for (size_t k = 0; k < made->n_inputs; k++)
        is_own &= made->inputs[k].tensor != t;
    for (size_t k = 0; k < made->n_outputs; k++)
        is_own &= made->outputs[k].tensor != t;
    if (!is_own) {
        copy = import_temp(im);
        node.ints[0] = v->shape.rank;
        for (size_t k = 0; k < v->shape.rank; k++)
            node.ints[1 + k] = (int32_t)v->shape.dim[k];
        r = copy == NULL ? import_no_memory(im) : import_add(im, &node, &v, 1, copy);
        if (r != 0)
            return r;
        t = copy->tensor;
    }
    port_name(g->outputs[i].name, name);
    return infer_build_output(im->build, name, t, &im->err);
}
