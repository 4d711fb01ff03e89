#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <string.h>

/* What is said of each node. */
struct layer {
    const char *op;
    const struct infer_tensor *out;
    size_t weight_bytes;
    uint64_t operations;
};

static struct layer layer_of(const struct infer_graph *g, size_t i)
{
    const struct infer_node *node = &g->nodes[i];
    struct layer l = {.op = infer_op_facts(node->op)->name,
                      .out = &g->tensors[node->outputs[0]],
                      .operations = infer_op_operations(node, g->tensors)};

    for (size_t k = 0; k < node->n_inputs; k++) {
        const struct infer_tensor *t = node->inputs[k] == INFER_NONE ? NULL : &g->tensors[node->inputs[k]];

        if (t != NULL && t->constant != NULL)
            l.weight_bytes += infer_shape_elements(&t->shape) * infer_type_bytes(t->type);
    }
    return l;
}

/* ---- who signed ---- */

static const char *signature_name(const struct infer_model *m)
{
    uint8_t key[1][32];

    if (infer_model_signer(m) == NULL)
        return "none";
    memcpy(key[0], infer_model_signer(m), sizeof key[0]);
    return infer_model_signature(m, key, 1) == INFER_SIGNATURE_GOOD ? "good" : "wrong";
}

/* ---- JSON ---- */

static void json_dims(struct json *j, const struct infer_shape *shape)
{
    json_key(j, "shape");
    json_array(j);
    for (unsigned i = 0; i < shape->rank; i++)
        json_u64(j, shape->dim[i]);
    json_array_end(j);
}

static void json_ports(struct json *j, const char *key, const struct infer_graph *g,
                       const struct infer_port *ports, size_t n)
{
    json_key(j, key);
    json_array(j);
    for (size_t i = 0; i < n; i++) {
        const struct infer_tensor *t = &g->tensors[ports[i].tensor];

        json_object(j);
        json_kstr(j, "name", ports[i].name);
        json_kstr(j, "type", infer_type_name(t->type));
        json_dims(j, &t->shape);
        json_object_end(j);
    }
    json_array_end(j);
}

static void json_layers(struct json *j, const struct infer_graph *g)
{
    json_key(j, "layers");
    json_array(j);
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct layer l = layer_of(g, i);

        json_object(j);
        json_kstr(j, "op", l.op);
        json_kstr(j, "type", infer_type_name(l.out->type));
        json_dims(j, &l.out->shape);
        json_ku64(j, "weight_bytes", l.weight_bytes);
        json_ku64(j, "operations", l.operations);
        json_object_end(j);
    }
    json_array_end(j);
}

static void json_texts(struct json *j, const struct infer_model *m)
{
    struct span key, text;
    char name[64];

    json_key(j, "texts");
    json_object(j);
    for (size_t i = 0; infer_model_text_at(m, i, &key, &text); i++) {
        snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.data);
        json_key(j, name);
        json_strn(j, (const char *)text.data, text.len);
    }
    json_object_end(j);
}

static int show_json(struct ctl *ctl, const struct infer_model *m, const char *path, const struct buf *recipe)
{
    const struct infer_graph *g = infer_model_graph(m);
    owned(json_freep) struct json *j = NULL;
    char hex[65];
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    model_tool_hex(infer_model_hash(m), 32, hex);
    json_kstr(j, "id", hex);
    json_ku64(j, "bytes", infer_model_file_bytes(m));
    json_ku64(j, "arena_bytes", infer_model_arena_bytes(m));
    json_ku64(j, "operations", model_tool_operations(g));
    json_kstr(j, "signature", signature_name(m));
    if (infer_model_signer(m) != NULL) {
        model_tool_hex(infer_model_signer(m), 32, hex);
        json_kstr(j, "key", hex);
    }
    json_ports(j, "inputs", g, g->inputs, g->n_inputs);
    json_ports(j, "outputs", g, g->outputs, g->n_outputs);
    json_texts(j, m);
    json_key(j, "recipe");
    if (recipe->len > 0)
        json_strn(j, (const char *)recipe->data, recipe->len);
    else
        json_null(j);
    json_layers(j, g);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

/* ---- text ---- */

/* Texts are anybody's: control characters as '?', but for the ends of lines of a recipe. */
static void put_plain(FILE *out, struct span s, bool lines)
{
    for (size_t i = 0; i < s.len; i++)
        fputc(s.data[i] == '\n' && lines              ? '\n'
              : s.data[i] < 0x20 || s.data[i] == 0x7f ? '?'
                                                      : s.data[i],
              out);
}

static void put_ports(FILE *out, const char *title, const struct infer_graph *g,
                      const struct infer_port *ports, size_t n)
{
    char shape[MODEL_TOOL_SHAPE_CHARS];

    for (size_t i = 0; i < n; i++) {
        const struct infer_tensor *t = &g->tensors[ports[i].tensor];

        fprintf(out, "%-9s %s: %s %s\n", title, ports[i].name, infer_type_name(t->type),
                model_tool_shape(&t->shape, shape));
    }
}

static int put_layers(struct ctl *ctl, const struct infer_graph *g)
{
    static const struct table_column columns[] = {{"#", true},       {"OPERATOR", false},
                                                  {"TYPE", false},   {"SHAPE", false},
                                                  {"WEIGHTS", true}, {"OPERATIONS", true}};
    owned(table_freep) struct table *t = NULL;
    char shape[MODEL_TOOL_SHAPE_CHARS], size[16];

    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct layer l = layer_of(g, i);

        table_cellf(t, "%zu", i);
        table_cell(t, l.op);
        table_cell(t, infer_type_name(l.out->type));
        table_cell(t, model_tool_shape(&l.out->shape, shape));
        table_cell(t, l.weight_bytes > 0 ? numfmt_bytes(l.weight_bytes, size) : "-");
        table_cellf(t, "%" PRIu64, l.operations);
    }
    return table_print(t, ctl->out, ctl->color) != 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print") : CTL_OK;
}

static int show_text(struct ctl *ctl, const struct infer_model *m, const char *path, const struct buf *recipe)
{
    const struct infer_graph *g = infer_model_graph(m);
    FILE *out = ctl->out;
    struct span key, text;
    char hex[65], size[16], arena[16];

    model_tool_hex(infer_model_hash(m), 32, hex);
    fprintf(out, "%s: %s, arena %s, %" PRIu64 " operations a run\n", path,
            numfmt_bytes(infer_model_file_bytes(m), size), numfmt_bytes(infer_model_arena_bytes(m), arena),
            model_tool_operations(g));
    fprintf(out, "id        %s\nsignature %s", hex, signature_name(m));
    if (infer_model_signer(m) != NULL) {
        model_tool_hex(infer_model_signer(m), 32, hex);
        fprintf(out, ", by %s", hex);
    }
    fputc('\n', out);
    for (size_t i = 0; infer_model_text_at(m, i, &key, &text); i++) {
        fprintf(out, "%-9.*s ", (int)key.len, (const char *)key.data);
        put_plain(out, text, false);
        fputc('\n', out);
    }
    put_ports(out, "input", g, g->inputs, g->n_inputs);
    put_ports(out, "output", g, g->outputs, g->n_outputs);
    if (recipe->len > 0) {
        fputs("\nrecipe:\n", out);
        put_plain(out, span_of(recipe->data, recipe->len), true);
    }
    fputc('\n', out);
    return put_layers(ctl, g);
}

static int print_recipe(struct ctl *ctl, const struct infer_model *m, const char *path, struct buf *out)
{
    owned(free_ptr) struct recipe *recipe = calloc(1, sizeof *recipe);
    struct span bytes = infer_model_recipe(m);
    struct errmsg err = {""};

    if (bytes.len == 0)
        return CTL_OK;
    if (recipe == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    if (recipe_decode(bytes, recipe, &err) != 0)
        return ctl_fail(ctl, CTL_DAMAGED, "%s: its recipe: %s", path, err.text);
    recipe_print(recipe, out);
    return out->error != 0 ? ctl_fail(ctl, CTL_FAILED, "no memory") : CTL_OK;
}

static int run_inspect(struct ctl *ctl)
{
    owned(infer_model_freep) struct infer_model *m = NULL;
    owned(buf_deinit) struct buf recipe = {0};
    const char *path = ctl->args[0];
    int code = model_tool_open(ctl, path, &m);

    if (code == CTL_OK)
        code = print_recipe(ctl, m, path, &recipe);
    if (code != CTL_OK)
        return code;
    return ctl->json ? show_json(ctl, m, path, &recipe) : show_text(ctl, m, path, &recipe);
}

const struct cmd model_tool_inspect[] = {
    {"inspect", "MODEL", 1, 1, "layers, bytes, memory, operations, texts, features and signature of a model",
     "The arena is the memory that a run takes; a device refuses a model beyond its arena_bytes. Operations "
     "are "
     "additions\n"
     "and multiplications, roughly. Whether a signature is of a key that you trust says verify.\n"
     "\n"
     "  fogline-model inspect wear.fogmodel\n"
     "  fogline-model inspect wear.fogmodel --json | jq '.layers[] | [.op, .operations]'",
     NULL, run_inspect},
    {0},
};
