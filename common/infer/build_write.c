/* From a graph to the bytes of a model file. */
#include "base/cleanup.h"
#include "infer/build_private.h"
#include "infer/model_format.h"

#include <stdlib.h>

/* What is written, and as which number. */
struct chosen {
    bool tensor[INFER_TENSORS_MAX], node[INFER_NODES_MAX];
    uint16_t number[INFER_TENSORS_MAX];
    size_t n_tensors, n_nodes;
};

static void choose(const struct infer_graph *g, struct chosen *c)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        c->tensor[g->outputs[i].tensor] = true;
    for (size_t i = 0; i < g->n_inputs; i++)
        c->tensor[g->inputs[i].tensor] = true;
    for (size_t i = g->n_nodes; i-- > 0;) {
        const struct infer_node *node = &g->nodes[i];

        for (size_t k = 0; k < node->n_outputs; k++)
            c->node[i] = c->node[i] || c->tensor[node->outputs[k]];
        if (!c->node[i])
            continue;
        c->n_nodes++;
        for (size_t k = 0; k < node->n_outputs; k++)
            c->tensor[node->outputs[k]] = true;
        for (size_t k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] != INFER_NONE)
                c->tensor[node->inputs[k]] = true;
    }
    for (size_t i = 0; i < g->n_tensors; i++)
        if (c->tensor[i])
            c->number[i] = (uint16_t)c->n_tensors++;
}

/* ---- sections ---- */

static void pad(struct buf *out, size_t start)
{
    static const uint8_t zeros[MODEL_ALIGN];

    buf_append(out, zeros, model_align(out->len - start) - (out->len - start));
}

static size_t constant_bytes(const struct infer_tensor *t)
{
    return t->constant == NULL ? 0 : infer_shape_elements(&t->shape) * infer_type_bytes(t->type);
}

static void write_tensors(const struct infer_graph *g, const struct chosen *c, struct buf *out)
{
    size_t offset = 0;

    buf_le32(out, (uint32_t)c->n_tensors);
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct infer_tensor *t = &g->tensors[i];

        if (!c->tensor[i])
            continue;
        buf_u8(out, (uint8_t)t->type);
        buf_u8(out, t->shape.rank);
        buf_u8(out, t->constant != NULL);
        buf_append(out, (const uint8_t[5]){0}, 5);
        for (size_t k = 0; k < INFER_RANK_MAX; k++)
            buf_le32(out, k < t->shape.rank ? t->shape.dim[k] : 0);
        buf_le64(out, t->constant != NULL ? offset : 0);
        offset += model_align(constant_bytes(t));
    }
}

static void write_constants(const struct infer_graph *g, const struct chosen *c, struct buf *out)
{
    size_t start = out->len;

    for (size_t i = 0; i < g->n_tensors; i++)
        if (c->tensor[i] && constant_bytes(&g->tensors[i]) > 0) {
            buf_append(out, g->tensors[i].constant, constant_bytes(&g->tensors[i]));
            pad(out, start);
        }
}

static void write_nodes(const struct infer_graph *g, const struct chosen *c, struct buf *out)
{
    buf_le32(out, (uint32_t)c->n_nodes);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct infer_node *node = &g->nodes[i];
        size_t n_ints = INFER_NODE_INTS_MAX, n_floats = INFER_NODE_FLOATS_MAX;
        uint32_t bits[INFER_NODE_FLOATS_MAX];

        if (!c->node[i])
            continue;
        memcpy(bits, node->floats, sizeof bits);
        while (n_ints > 0 && node->ints[n_ints - 1] == 0)
            n_ints--;
        while (n_floats > 0 && bits[n_floats - 1] == 0)
            n_floats--;
        buf_le16(out, node->op);
        buf_u8(out, node->n_inputs);
        buf_u8(out, node->n_outputs);
        buf_u8(out, (uint8_t)n_ints);
        buf_u8(out, (uint8_t)n_floats);
        for (size_t k = 0; k < node->n_inputs; k++)
            buf_le16(out, node->inputs[k] == INFER_NONE ? INFER_NONE : c->number[node->inputs[k]]);
        for (size_t k = 0; k < node->n_outputs; k++)
            buf_le16(out, c->number[node->outputs[k]]);
        for (size_t k = 0; k < n_ints; k++)
            buf_le32(out, (uint32_t)node->ints[k]);
        for (size_t k = 0; k < n_floats; k++)
            buf_le32(out, bits[k]);
    }
}

static void write_port(const struct infer_port *p, const struct chosen *c, struct buf *out)
{
    buf_le16(out, c->number[p->tensor]);
    buf_u8(out, (uint8_t)strlen(p->name));
    buf_append(out, p->name, strlen(p->name));
}

static void write_ports(const struct infer_graph *g, const struct chosen *c, struct buf *out)
{
    buf_u8(out, (uint8_t)g->n_inputs);
    buf_u8(out, (uint8_t)g->n_outputs);
    for (size_t i = 0; i < g->n_inputs; i++)
        write_port(&g->inputs[i], c, out);
    for (size_t i = 0; i < g->n_outputs; i++)
        write_port(&g->outputs[i], c, out);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct build_text *)a)->key, ((const struct build_text *)b)->key);
}

static void write_texts(const struct infer_build *b, struct buf *out)
{
    struct build_text texts[MODEL_TEXTS_MAX];

    memcpy(texts, b->texts, b->n_texts * sizeof texts[0]);
    qsort(texts, b->n_texts, sizeof texts[0], by_key);
    buf_le16(out, (uint16_t)b->n_texts);
    for (size_t i = 0; i < b->n_texts; i++) {
        buf_u8(out, (uint8_t)strlen(texts[i].key));
        buf_append(out, texts[i].key, strlen(texts[i].key));
        buf_le32(out, (uint32_t)strlen(texts[i].text));
        buf_append(out, texts[i].text, strlen(texts[i].text));
    }
}

static bool has_section(const struct infer_build *b, enum model_section kind)
{
    return kind == MODEL_TEXTS ? b->n_texts > 0 : kind == MODEL_RECIPE ? b->recipe_bytes > 0 : true;
}

static void write_section(const struct infer_build *b, const struct chosen *c, enum model_section kind,
                          struct buf *out)
{
    switch (kind) {
    case MODEL_TENSORS:
        write_tensors(&b->graph, c, out);
        break;
    case MODEL_NODES:
        write_nodes(&b->graph, c, out);
        break;
    case MODEL_PORTS:
        write_ports(&b->graph, c, out);
        break;
    case MODEL_CONSTANTS:
        write_constants(&b->graph, c, out);
        break;
    case MODEL_TEXTS:
        write_texts(b, out);
        break;
    default:
        buf_append(out, b->recipe, b->recipe_bytes);
        break;
    }
}

/* ---- the whole ---- */

static void patch_le32(struct buf *out, size_t at, uint32_t v)
{
    if (out->error == 0)
        memcpy(out->data + at, &v, sizeof v);
}

static void patch_le64(struct buf *out, size_t at, uint64_t v)
{
    if (out->error == 0)
        store_le64(out->data + at, v);
}

static void write_all(const struct infer_build *b, const struct chosen *c, struct buf *out)
{
    size_t start = out->len, at = start + MODEL_HEADER_BYTES, n_sections = 0;
    uint8_t hash[MODEL_CHECKSUM_BYTES];

    for (unsigned kind = MODEL_TENSORS; kind < MODEL_SECTION_KINDS; kind++)
        n_sections += has_section(b, (enum model_section)kind);
    buf_append(out, MODEL_MAGIC, sizeof MODEL_MAGIC - 1);
    buf_le16(out, MODEL_MAJOR);
    buf_le16(out, MODEL_MINOR);
    buf_le32(out, (uint32_t)n_sections);
    for (size_t i = 16; i < MODEL_HEADER_BYTES + n_sections * MODEL_SECTION_BYTES; i++)
        buf_u8(out, 0);
    for (unsigned kind = MODEL_TENSORS; kind < MODEL_SECTION_KINDS; kind++) {
        size_t from;

        if (!has_section(b, (enum model_section)kind))
            continue;
        pad(out, start);
        from = out->len;
        write_section(b, c, (enum model_section)kind, out);
        patch_le32(out, at, kind);
        patch_le64(out, at + 8, from - start);
        patch_le64(out, at + 16, out->len - from);
        at += MODEL_SECTION_BYTES;
    }
    patch_le64(out, start + 16, out->len - start + MODEL_CHECKSUM_BYTES);
    if (out->error != 0)
        return;
    model_hash(out->data + start, out->len - start, hash);
    buf_append(out, hash, sizeof hash);
}

int infer_build_write(const struct infer_build *b, struct buf *out, struct errmsg *err)
{
    owned(free_ptr) struct chosen *c = calloc(1, sizeof *c);

    if (b->graph.n_outputs == 0)
        return errmsg_set(err, -EINVAL, "the model has no output");
    if (c != NULL) {
        choose(&b->graph, c);
        write_all(b, c, out);
    }
    if (c == NULL || out->error != 0)
        return errmsg_set(err, c == NULL ? -ENOMEM : out->error, "the model file cannot be made: %s",
                          c != NULL && out->error == -EMSGSIZE ? "it is too long" : "no memory");
    return 0;
}
