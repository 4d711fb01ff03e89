#include "model/onnx_import.h"

#include "base/cleanup.h"
#include "model/import_private.h"

enum {
    OPSET_MAX = 25,
    OPSET_ML_MAX = 5,
    IMPORT_MEMORY_FACTOR = 64,
    IMPORT_MEMORY_FLOOR = 64 << 20,
};

static void import_deinit(struct import *im)
{
    pool_deinit(&im->pool);
    infer_build_free(im->build);
}

/* ---- the graph by names ---- */

static int read_constants(struct import *im, const struct onnx_graph *g)
{
    for (size_t i = 0; i < g->n_initializers; i++) {
        const struct onnx_tensor *t = &g->initializers[i];
        struct import_value *v = import_named(im, t->name);
        struct errmsg why;
        char name[ONNX_NAME_TEXT];

        if (v == NULL)
            return import_no_memory(im);
        if (v->type != 0 || v->refused_type != 0)
            return import_refuse(im, "there are two constants \"%s\"", onnx_name_text(t->name, name));
        if (import_constant_of(im, t, v) != 0) {
            why = im->err;
            return import_refuse(im, "constant \"%s\": %.380s", onnx_name_text(t->name, name), why.text);
        }
    }
    return 0;
}

static int resolve(struct import *im, const struct onnx_graph *g)
{
    im->nodes = pool_alloc(&im->pool, g->n_nodes, sizeof *im->nodes);
    if (im->nodes == NULL)
        return import_no_memory(im);
    im->n_nodes = im->report->n_nodes = g->n_nodes;
    for (size_t k = 0; k < g->n_nodes; k++) {
        const struct onnx_node *o = &g->nodes[k];
        struct import_node *n = &im->nodes[k];

        *n = (struct import_node){.onnx = o, .n_in = o->n_inputs, .n_out = o->n_outputs};
        n->in = pool_alloc(&im->pool, n->n_in, sizeof(void *));
        n->out = pool_alloc(&im->pool, n->n_out, sizeof(void *));
        if (n->in == NULL || n->out == NULL)
            return import_no_memory(im);
        for (size_t i = 0; i < n->n_in + n->n_out; i++) {
            struct span name = i < n->n_in ? o->inputs[i] : o->outputs[i - n->n_in];
            struct import_value **at = i < n->n_in ? &n->in[i] : &n->out[i - n->n_in];

            if (name.len == 0)
                continue;
            *at = import_named(im, name);
            if (*at == NULL)
                return import_no_memory(im);
            if (i < n->n_in) {
                (*at)->user = n;
                (*at)->n_uses++;
            }
        }
    }
    return 0;
}

/* From the end: a node is needed when one of its outputs is. */
static int mark_needed(struct import *im, const struct onnx_graph *g)
{
    for (size_t i = 0; i < g->n_outputs; i++) {
        struct import_value *v = import_named(im, g->outputs[i].name);

        if (v == NULL)
            return import_no_memory(im);
        v->is_output = v->needed = true;
    }
    for (size_t k = im->n_nodes; k-- > 0;) {
        struct import_node *n = &im->nodes[k];

        n->done = true;
        for (size_t i = 0; i < n->n_out; i++)
            if (n->out[i] != NULL && n->out[i]->needed)
                n->done = false;
        im->report->n_needless += n->done;
        for (size_t i = 0; i < n->n_in; i++) {
            if (n->in[i] == NULL)
                continue;
            if (!n->done)
                n->in[i]->needed = true;
            else
                n->in[i]->n_uses--;
        }
    }
    /* The user of a value with one use is the needed one. */
    for (size_t k = 0; k < im->n_nodes; k++)
        for (size_t i = 0; i < im->nodes[k].n_in && !im->nodes[k].done; i++)
            if (im->nodes[k].in[i] != NULL)
                im->nodes[k].in[i]->user = &im->nodes[k];
    return 0;
}

/* ---- the walk ---- */

static int unknown(struct import *im, const struct import_node *n)
{
    char op[ONNX_NAME_TEXT], domain[ONNX_NAME_TEXT];

    return import_refuse(
        im,
        "the operator %s%s%s is not supported; replace it in the model, or leave that part of it to "
        "what follows",
        onnx_name_text(n->onnx->op, op), n->onnx->domain.len > 0 ? " of the domain " : "",
        onnx_name_text(n->onnx->domain, domain));
}

static int lower(struct import *im, struct import_node *n)
{
    const struct import_op *op = import_op_find(n->onnx->domain, n->onnx->op);
    char name[ONNX_NAME_TEXT];
    int r = 0;

    im->node = n;
    if (op == NULL)
        return unknown(im, n);
    for (size_t i = 0; i < n->n_in && r == 0; i++) {
        if (n->in[i] == NULL)
            continue;
        if (n->in[i]->refused_type != 0)
            r = import_refuse(im, "its input %zu is of type %s, which is not supported", i,
                              onnx_type_name(n->in[i]->refused_type));
        else if (n->in[i]->type == 0)
            r = import_refuse(im, "its input %zu, \"%s\", is given by nothing before it", i,
                              onnx_name_text(n->in[i]->name, name));
    }
    for (size_t i = 0; i < n->n_out && r == 0; i++)
        if (n->out[i] != NULL && (n->out[i]->type != 0 || n->out[i]->refused_type != 0))
            r = import_refuse(im, "its output \"%s\" was there before",
                              onnx_name_text(n->out[i]->name, name));
    if (r == 0)
        r = op->fn(im, n);
    if (r == 0 && im->wrong != NULL)
        r = import_refuse(im, "its attribute %s is of another type than it has to be",
                          onnx_name_text(im->wrong->name, name));
    return r;
}

/* Does it read constants alone? */
static bool is_early(const struct import_node *n)
{
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i] != NULL && n->in[i]->data == NULL)
            return false;
    return true;
}

/* What is constant comes first, so that a node sees the constants of those behind it. */
static int walk(struct import *im, bool early)
{
    char name[ONNX_NAME_TEXT], op[ONNX_NAME_TEXT];
    struct errmsg why;

    for (size_t k = 0; k < im->n_nodes; k++) {
        struct import_node *n = &im->nodes[k];
        int r;

        if (n->done || (early && !is_early(n)))
            continue;
        r = lower(im, n);

        n->done = true;
        if (r == 0)
            continue;
        why = im->err;
        return errmsg_set(&im->err, r, "node %zu \"%s\" (%s): %.380s", k, onnx_name_text(n->onnx->name, name),
                          onnx_name_text(n->onnx->op, op), why.text);
    }
    return 0;
}

static int check_opsets(struct import *im)
{
    im->opset = onnx_model_opset(im->model, "");
    im->opset_ml = onnx_model_opset(im->model, "ai.onnx.ml");
    if (im->opset == 0)
        im->opset = 1; /* before version 3 of the format nothing was said */
    if (im->opset_ml == 0)
        im->opset_ml = 1;
    if (im->opset < 1 || im->opset > OPSET_MAX)
        return import_refuse(
            im, "the model uses set %lld of the operators; 1 to %d are known: export it for one of them",
            (long long)im->opset, OPSET_MAX);
    if (im->opset_ml < 1 || im->opset_ml > OPSET_ML_MAX)
        return import_refuse(
            im, "the model uses set %lld of ai.onnx.ml; 1 to %d are known: export it for one of them",
            (long long)im->opset_ml, OPSET_ML_MAX);
    return 0;
}

static int run(struct import *im)
{
    const struct onnx_graph *g = onnx_model_graph(im->model);
    size_t n = g->n_initializers + g->n_inputs + g->n_outputs;
    int r = check_opsets(im);

    if (r == 0 && g->has_sparse)
        r = import_refuse(im,
                          "the model has sparse constants, which are not read; export it with dense ones");
    for (size_t k = 0; k < g->n_nodes; k++)
        n += g->nodes[k].n_inputs + g->nodes[k].n_outputs;
    im->n_slots = 2 * n + 7;
    im->slots = pool_alloc(&im->pool, im->n_slots, sizeof(void *));
    if (im->slots == NULL)
        return import_no_memory(im);
    if (r == 0)
        r = read_constants(im, g);
    if (r == 0)
        r = import_inputs(im, g);
    if (r == 0)
        r = resolve(im, g);
    if (r == 0)
        r = mark_needed(im, g);
    if (r == 0)
        r = walk(im, true);
    if (r == 0)
        r = walk(im, false);
    if (r == 0 && g->n_outputs == 0)
        r = import_refuse(im, "the graph has no outputs");
    for (size_t i = 0; i < g->n_outputs && r == 0; i++)
        r = import_output(im, g, i);
    return r;
}

static size_t model_bytes(const struct onnx_graph *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_initializers; i++)
        n += g->initializers[i].n_elements * 8;
    return n;
}

int onnx_import(const struct onnx_model *model, const struct onnx_import_options *options,
                struct infer_build **ret_build, struct onnx_import_report *ret_report, struct errmsg *err)
{
    static const struct onnx_import_options none = {0};
    owned(import_deinit) struct import im = {.model = model,
                                             .options = options == NULL ? &none : options,
                                             .report = ret_report,
                                             .build = infer_build_new()};
    int r;

    *ret_report = (struct onnx_import_report){.n_nodes = 0};
    im.pool.cap_bytes = model_bytes(onnx_model_graph(model)) * IMPORT_MEMORY_FACTOR + IMPORT_MEMORY_FLOOR;
    r = im.build == NULL ? import_no_memory(&im) : run(&im);
    if (r == 0)
        *ret_build = TAKE(im.build);
    else if (err != NULL)
        *err = im.err;
    return r;
}
