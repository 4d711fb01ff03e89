/* From the bytes of a model file to a graph that is still to be checked. */
#include "infer/model_format.h"
#include "infer/model_private.h"

#include <inttypes.h>
#include <stdlib.h>

static int damaged(struct errmsg *err, const char *what)
{
    return errmsg_set(err, -EINVAL, "the model file is damaged: %s", what);
}

static const char *const section_names[MODEL_SECTION_KINDS] = {
    [MODEL_TENSORS] = "tensors",     [MODEL_NODES] = "nodes", [MODEL_PORTS] = "ports",
    [MODEL_CONSTANTS] = "constants", [MODEL_TEXTS] = "texts", [MODEL_RECIPE] = "recipe",
};

struct sections {
    struct span at[MODEL_SECTION_KINDS];
};

/* ---- header ---- */

static int check_trailer(struct infer_model *m, struct errmsg *err)
{
    if (m->signature.len == 0)
        return 0;
    if (m->signature.len != MODEL_TRAILER_BYTES ||
        memcmp(m->signature.data, MODEL_SIGNATURE_MAGIC, sizeof MODEL_SIGNATURE_MAGIC - 1) != 0)
        return damaged(err, "what stands behind its end is no signature");
    return 0;
}

static int parse_header(struct infer_model *m, struct errmsg *err, unsigned *ret_minor,
                        uint32_t *ret_sections)
{
    struct reader r = reader_of(m->file);
    const uint8_t *magic = reader_take(&r, sizeof MODEL_MAGIC - 1);
    uint8_t hash[MODEL_CHECKSUM_BYTES];
    unsigned major;
    uint64_t body_bytes;

    if (magic == NULL || memcmp(magic, MODEL_MAGIC, sizeof MODEL_MAGIC - 1) != 0)
        return errmsg_set(err, -EINVAL, "this is no model file: it does not begin with %s", MODEL_MAGIC);
    major = reader_le16(&r);
    *ret_minor = reader_le16(&r);
    *ret_sections = reader_le32(&r);
    body_bytes = reader_le64(&r);
    reader_take(&r, 8);
    if (r.bad)
        return damaged(err, "it ends within its header");
    if (major != MODEL_MAJOR)
        return errmsg_set(err, -EINVAL,
                          "the model file has format %u.%u, this version reads %d.x: update fogline, or make "
                          "the model anew",
                          major, *ret_minor, MODEL_MAJOR);
    if (body_bytes < MODEL_HEADER_BYTES + MODEL_CHECKSUM_BYTES)
        return damaged(err, "its header says that it is shorter than its header");
    if (body_bytes > m->file.len)
        return errmsg_set(err, -EINVAL,
                          "the model file is damaged: it has %zu bytes and should have %" PRIu64, m->file.len,
                          body_bytes);
    m->body = span_of(m->file.data, (size_t)body_bytes);
    m->signature = span_of(m->file.data + body_bytes, m->file.len - (size_t)body_bytes);
    model_hash(m->body.data, m->body.len - MODEL_CHECKSUM_BYTES, hash);
    if (memcmp(hash, m->body.data + m->body.len - MODEL_CHECKSUM_BYTES, sizeof hash) != 0)
        return damaged(err, "its checksum does not fit its bytes");
    return check_trailer(m, err);
}

static int parse_sections(struct infer_model *m, unsigned minor, uint32_t n_sections, struct sections *ret,
                          struct errmsg *err)
{
    struct reader r = reader_of(span_of(m->body.data, m->body.len - MODEL_CHECKSUM_BYTES));
    uint32_t last = 0;

    reader_take(&r, MODEL_HEADER_BYTES);
    if (n_sections > MODEL_SECTIONS_MAX)
        return damaged(err, "too many sections");
    for (uint32_t i = 0; i < n_sections; i++) {
        uint32_t kind = reader_le32(&r);
        uint64_t offset, bytes;

        reader_take(&r, 4);
        offset = reader_le64(&r);
        bytes = reader_le64(&r);
        if (r.bad)
            return damaged(err, "it ends within its table of sections");
        if (kind <= last)
            return damaged(err, "its sections are not in order");
        last = kind;
        if (offset % MODEL_ALIGN != 0 || offset > m->body.len - MODEL_CHECKSUM_BYTES ||
            bytes > m->body.len - MODEL_CHECKSUM_BYTES - offset)
            return damaged(err, "a section lies outside of it");
        if (kind < MODEL_SECTION_KINDS)
            ret->at[kind] = span_of(m->file.data + offset, (size_t)bytes);
        else if (minor <= MODEL_MINOR)
            return errmsg_set(err, -EINVAL, "the model file is damaged: there is no section of kind %u",
                              kind);
    }
    return 0;
}

/* Everything of a section was read, and not more. */
static int end_section(const struct reader *r, enum model_section kind, struct errmsg *err)
{
    if (r->bad)
        return errmsg_set(err, -EINVAL, "the model file is damaged: the section of %s is cut off",
                          section_names[kind]);
    if (reader_left(r) > 0)
        return errmsg_set(err, -EINVAL, "the model file is damaged: the section of %s is too long",
                          section_names[kind]);
    return 0;
}

/* ---- tensors ---- */

static int check_constant(const struct infer_tensor *t, size_t i, struct span constants, uint64_t offset,
                          struct errmsg *err)
{
    size_t bytes = infer_shape_elements(&t->shape) * infer_type_bytes(t->type);
    const char *text;

    if (offset % MODEL_ALIGN != 0 || offset > constants.len || bytes > constants.len - offset)
        return errmsg_set(err, -EINVAL, "tensor %zu: its constant lies outside of the constants", i);
    if (t->type != INFER_TEXT)
        return 0;
    text = (const char *)constants.data + offset;
    for (size_t at = INFER_TEXT_BYTES; at <= bytes; at += INFER_TEXT_BYTES)
        if (text[at - 1] != '\0')
            return errmsg_set(err, -EINVAL, "tensor %zu: one of its texts has no end", i);
    return 0;
}

static int parse_tensor(struct reader *r, size_t i, struct span constants, struct infer_tensor *t,
                        struct errmsg *err)
{
    unsigned type = reader_u8(r), is_constant;
    struct errmsg why;
    uint64_t offset;
    int n;

    t->shape.rank = reader_u8(r);
    is_constant = reader_u8(r);
    reader_take(r, 5);
    for (size_t k = 0; k < INFER_RANK_MAX; k++)
        t->shape.dim[k] = reader_le32(r);
    offset = reader_le64(r);
    if (r->bad)
        return 0; /* said at the end of the section */
    if (infer_type_bytes((enum infer_type)type) == 0)
        return errmsg_set(err, -EINVAL, "tensor %zu: there is no type %u", i, type);
    t->type = (enum infer_type)type;
    if (infer_shape_check(&t->shape, &why) != 0)
        return errmsg_set(err, -EINVAL, "tensor %zu: %s", i, why.text);
    if (is_constant == 0)
        return 0;
    n = check_constant(t, i, constants, offset, err);
    if (n == 0)
        t->constant = constants.data + offset;
    return n;
}

static int parse_tensors(struct infer_graph *g, const struct sections *s, struct errmsg *err)
{
    struct reader r = reader_of(s->at[MODEL_TENSORS]);
    /* A constant of no bytes at the end of an absent section is still a constant. */
    static const uint8_t nothing[MODEL_ALIGN] __attribute__((aligned(MODEL_ALIGN)));
    struct span constants =
        s->at[MODEL_CONSTANTS].data != NULL ? s->at[MODEL_CONSTANTS] : span_of(nothing, 0);
    uint32_t n = reader_le32(&r);
    int e = 0;

    if (n > INFER_TENSORS_MAX)
        return errmsg_set(err, -EINVAL, "the model has %u tensors, at most %d are allowed", n,
                          INFER_TENSORS_MAX);
    g->tensors = calloc(n + 1U, sizeof *g->tensors);
    if (g->tensors == NULL)
        return -ENOMEM;
    g->n_tensors = n;
    for (size_t i = 0; e == 0 && i < n && !r.bad; i++)
        e = parse_tensor(&r, i, constants, &g->tensors[i], err);
    return e != 0 ? e : end_section(&r, MODEL_TENSORS, err);
}

/* ---- nodes ---- */

static int parse_node(struct reader *r, size_t i, struct infer_node *node, struct errmsg *err)
{
    unsigned n_ints, n_floats;

    node->op = reader_le16(r);
    node->n_inputs = reader_u8(r);
    node->n_outputs = reader_u8(r);
    n_ints = reader_u8(r);
    n_floats = reader_u8(r);
    if (node->n_inputs > INFER_NODE_INPUTS_MAX || node->n_outputs > INFER_NODE_OUTPUTS_MAX ||
        n_ints > INFER_NODE_INTS_MAX || n_floats > INFER_NODE_FLOATS_MAX)
        return errmsg_set(err, -EINVAL, "node %zu: more inputs, outputs or settings than any node has", i);
    for (size_t k = 0; k < node->n_inputs; k++)
        node->inputs[k] = reader_le16(r);
    for (size_t k = 0; k < node->n_outputs; k++)
        node->outputs[k] = reader_le16(r);
    for (size_t k = 0; k < n_ints; k++)
        node->ints[k] = (int32_t)reader_le32(r);
    for (size_t k = 0; k < n_floats; k++) {
        uint32_t bits = reader_le32(r);

        memcpy(&node->floats[k], &bits, sizeof bits);
    }
    return 0;
}

static int parse_nodes(struct infer_graph *g, struct span section, struct errmsg *err)
{
    struct reader r = reader_of(section);
    uint32_t n = reader_le32(&r);
    int e = 0;

    if (n > INFER_NODES_MAX)
        return errmsg_set(err, -EINVAL, "the model has %u nodes, at most %d are allowed", n, INFER_NODES_MAX);
    g->nodes = calloc(n + 1U, sizeof *g->nodes);
    if (g->nodes == NULL)
        return -ENOMEM;
    g->n_nodes = n;
    for (size_t i = 0; e == 0 && i < n && !r.bad; i++)
        e = parse_node(&r, i, &g->nodes[i], err);
    return e != 0 ? e : end_section(&r, MODEL_NODES, err);
}

/* ---- ports, texts ---- */

static int parse_port(struct reader *r, struct infer_port *p, struct errmsg *err)
{
    const char *name;
    size_t len;

    p->tensor = reader_le16(r);
    len = reader_u8(r);
    name = (const char *)reader_take(r, len);
    if (name == NULL)
        return 0; /* said at the end of the section */
    if (!model_name_ok(name, len))
        return damaged(err, "the name of an input or output is none");
    memcpy(p->name, name, len);
    return 0;
}

static int parse_ports(struct infer_graph *g, struct span section, struct errmsg *err)
{
    struct reader r = reader_of(section);
    int e = 0;

    g->n_inputs = reader_u8(&r);
    g->n_outputs = reader_u8(&r);
    if (g->n_inputs > INFER_IO_MAX || g->n_outputs > INFER_IO_MAX)
        return errmsg_set(err, -EINVAL, "the model has %zu inputs and %zu outputs, at most %d are allowed",
                          g->n_inputs, g->n_outputs, INFER_IO_MAX);
    for (size_t i = 0; e == 0 && i < g->n_inputs; i++)
        e = parse_port(&r, &g->inputs[i], err);
    for (size_t i = 0; e == 0 && i < g->n_outputs; i++)
        e = parse_port(&r, &g->outputs[i], err);
    return e != 0 ? e : end_section(&r, MODEL_PORTS, err);
}

static int check_texts(struct span section, struct errmsg *err)
{
    struct reader r = reader_of(section);
    struct span keys[MODEL_TEXTS_MAX];
    unsigned n = section.len == 0 ? 0 : reader_le16(&r);

    if (n > MODEL_TEXTS_MAX)
        return damaged(err, "too many texts");
    for (unsigned i = 0; i < n && !r.bad; i++) {
        size_t len;

        keys[i].len = reader_u8(&r);
        keys[i].data = reader_take(&r, keys[i].len);
        len = reader_le32(&r);
        reader_take(&r, len);
        if (r.bad)
            break;
        if (!model_name_ok((const char *)keys[i].data, keys[i].len))
            return damaged(err, "the key of a text is none");
        for (unsigned k = 0; k < i; k++)
            if (span_equal(keys[k], keys[i]))
                return damaged(err, "two texts have the same key");
    }
    return end_section(&r, MODEL_TEXTS, err);
}

int model_parse(struct infer_model *m, struct span bytes, const struct infer_limits *limits,
                struct errmsg *err)
{
    size_t max_bytes = limits->file_bytes > 0 ? limits->file_bytes : MODEL_FILE_MAX_BYTES;
    struct sections s = {0};
    uint32_t n_sections = 0;
    unsigned minor = 0;

    if (bytes.len > max_bytes)
        return errmsg_set(err, -EMSGSIZE, "the model file has %zu bytes, at most %zu are allowed", bytes.len,
                          max_bytes);
    if ((uintptr_t)bytes.data % MODEL_ALIGN != 0)
        return errmsg_set(err, -EINVAL, "the model lies at an address that is no multiple of %d",
                          MODEL_ALIGN);
    m->file = bytes;
    if (parse_header(m, err, &minor, &n_sections) != 0 ||
        parse_sections(m, minor, n_sections, &s, err) != 0 || check_texts(s.at[MODEL_TEXTS], err) != 0)
        return -EINVAL;
    m->texts = s.at[MODEL_TEXTS];
    m->recipe = s.at[MODEL_RECIPE];
    for (int step = 0; step < 3; step++) {
        int r = step == 0   ? parse_tensors(&m->graph, &s, err)
                : step == 1 ? parse_nodes(&m->graph, s.at[MODEL_NODES], err)
                            : parse_ports(&m->graph, s.at[MODEL_PORTS], err);
        if (r != 0)
            return r;
    }
    return 0;
}
