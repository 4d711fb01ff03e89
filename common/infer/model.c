#include "infer/model.h"

#include "base/cleanup.h"
#include "infer/arena.h"
#include "infer/model_format.h"
#include "infer/model_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void free_model(struct infer_model **m)
{
    infer_model_free(*m);
}

void infer_model_free(struct infer_model *model)
{
    if (model == NULL)
        return;
    if (model->mapping != NULL)
        munmap(model->mapping, model->file.len);
    free(model->graph.tensors);
    free(model->graph.nodes);
    free(model->calls);
    free(model->arena);
    free(model);
}

/* ---- arena ---- */

static size_t tensor_bytes(const struct infer_tensor *t)
{
    return infer_shape_elements(&t->shape) * infer_type_bytes(t->type);
}

/* Blocks 0 .. n_tensors - 1 are the tensors, then one of scratch for each node. Steps: node i is i + 1; 0 is
 * before the run, n_nodes + 1 behind it. Inputs live all the time: they keep their values. */
static void find_lifetimes(const struct infer_graph *g, struct arena_block *blocks)
{
    uint32_t end = (uint32_t)g->n_nodes + 1;

    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct infer_node *node = &g->nodes[i];
        uint32_t step = (uint32_t)i + 1;

        for (size_t k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] != INFER_NONE)
                blocks[node->inputs[k]].last = step;
        for (size_t k = 0; k < node->n_outputs; k++)
            blocks[node->outputs[k]].first = blocks[node->outputs[k]].last = step;
        blocks[g->n_tensors + i] =
            (struct arena_block){infer_op_scratch_bytes(node, g->tensors), step, step, 0};
    }
    for (size_t i = 0; i < g->n_inputs; i++)
        blocks[g->inputs[i].tensor].last = end;
    for (size_t i = 0; i < g->n_outputs; i++)
        blocks[g->outputs[i].tensor].last = end;
    for (size_t i = 0; i < g->n_tensors; i++)
        blocks[i].bytes = g->tensors[i].constant != NULL ? 0 : tensor_bytes(&g->tensors[i]);
}

static void *value_of(const struct infer_model *m, const struct arena_block *blocks, uint16_t tensor)
{
    if (tensor == INFER_NONE)
        return NULL;
    /* Nothing writes to a constant: no node has it as an output. */
    if (m->graph.tensors[tensor].constant != NULL)
        return (void *)(uintptr_t)m->graph.tensors[tensor].constant;
    return m->arena + blocks[tensor].offset;
}

static void connect(struct infer_model *m, const struct arena_block *blocks)
{
    const struct infer_graph *g = &m->graph;

    for (size_t i = 0; i < g->n_nodes; i++) {
        struct op_call *c = &m->calls[i];

        op_call_init(c, &g->nodes[i], g->tensors);
        for (size_t k = 0; k < c->node->n_inputs; k++)
            c->x[k] = value_of(m, blocks, c->node->inputs[k]);
        for (size_t k = 0; k < c->node->n_outputs; k++)
            c->y[k] = value_of(m, blocks, c->node->outputs[k]);
        c->scratch = m->arena + blocks[g->n_tensors + i].offset;
    }
    for (size_t i = 0; i < g->n_inputs; i++)
        m->inputs[i] = value_of(m, blocks, g->inputs[i].tensor);
    for (size_t i = 0; i < g->n_outputs; i++)
        m->outputs[i] = value_of(m, blocks, g->outputs[i].tensor);
}

static int make_arena(struct infer_model *m, size_t max_bytes, struct errmsg *err)
{
    size_t n = m->graph.n_tensors + m->graph.n_nodes;
    owned(free_ptr) struct arena_block *blocks = calloc(n + 1, sizeof *blocks);

    if (blocks == NULL)
        return -ENOMEM;
    find_lifetimes(&m->graph, blocks);
    /* Together they may be beyond what a size_t holds only where one alone is beyond the limit. */
    for (size_t i = 0; i < n; i++)
        if (blocks[i].bytes > max_bytes)
            return errmsg_set(err, -EMSGSIZE, "the model needs a tensor of %zu bytes, its memory may be %zu",
                              blocks[i].bytes, max_bytes);
    if (arena_place(blocks, n, &m->arena_bytes) != 0)
        return -ENOMEM;
    if (m->arena_bytes > max_bytes)
        return errmsg_set(err, -EMSGSIZE, "the model needs %zu bytes of memory, it may have %zu",
                          m->arena_bytes, max_bytes);
    m->arena = aligned_alloc(MODEL_ALIGN, m->arena_bytes + MODEL_ALIGN);
    m->calls = calloc(m->graph.n_nodes + 1, sizeof *m->calls);
    if (m->arena == NULL || m->calls == NULL)
        return -ENOMEM;
    memset(m->arena, 0, m->arena_bytes + MODEL_ALIGN);
    connect(m, blocks);
    return 0;
}

/* ---- reading ---- */

int infer_model_read(struct span bytes, const struct infer_limits *limits, struct infer_model **ret,
                     struct errmsg *err)
{
    static const struct infer_limits usual;
    owned(free_model) struct infer_model *m = calloc(1, sizeof *m);
    const struct infer_limits *l = limits != NULL ? limits : &usual;
    int r;

    if (m == NULL)
        return -ENOMEM;
    r = model_parse(m, bytes, l, err);
    if (r == 0)
        r = model_check_graph(&m->graph, l->operations > 0 ? l->operations : MODEL_OPERATIONS_MAX, err);
    if (r == 0)
        r = make_arena(m, l->arena_bytes > 0 ? l->arena_bytes : MODEL_ARENA_MAX_BYTES, err);
    if (r == -ENOMEM)
        return errmsg_set(err, r, "no memory for the model");
    if (r == 0)
        *ret = TAKE(m);
    return r;
}

/* All of it, or what there is. 0 or negative errno. */
static int read_all(int fd, uint8_t *to, size_t bytes, size_t *ret_n)
{
    size_t n = 0;

    while (n < bytes) {
        ssize_t got = read(fd, to + n, bytes - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return 0;
}

/* A copy: who writes over the file of a model that runs would change what was checked, and who shortens it
 * would take pages away under a kernel. */
static int copy_file(const char *path, size_t max_bytes, void **ret_map, size_t *ret_bytes,
                     struct errmsg *err)
{
    /* Not to hang at a pipe without a writer. */
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t bytes, n = 0;
    struct stat st;
    void *map;
    int r;

    if (fd < 0 || fstat(fd, &st) != 0) {
        int e = errno;

        return errmsg_set(err, -e, "%s: %s", path, strerror(e));
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return errmsg_set(err, -EINVAL, "%s: this is no model file: it is empty or no file", path);
    if ((uint64_t)st.st_size > max_bytes)
        return errmsg_set(err, -EMSGSIZE, "%s: the model file has %lld bytes, at most %zu are allowed", path,
                          (long long)st.st_size, max_bytes);
    bytes = (size_t)st.st_size;
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        int e = errno;

        return errmsg_set(err, -e, "%s: %s", path, strerror(e));
    }
    r = read_all(fd, map, bytes, &n);
    if (r == 0 && n < bytes)
        r = -EAGAIN;
    if (r == 0 && mprotect(map, bytes, PROT_READ) != 0)
        r = -errno;
    if (r != 0) {
        munmap(map, bytes);
        return r == -EAGAIN ? errmsg_set(err, -EINVAL, "%s: it is being written; try again", path)
                            : errmsg_set(err, r, "%s: %s", path, strerror(-r));
    }
    *ret_map = map;
    *ret_bytes = bytes;
    return 0;
}

int infer_model_open(const char *path, const struct infer_limits *limits, struct infer_model **ret,
                     struct errmsg *err)
{
    struct errmsg why = {{0}};
    size_t bytes = 0;
    void *map = NULL;
    size_t max_bytes = limits != NULL && limits->file_bytes > 0 ? limits->file_bytes : MODEL_FILE_MAX_BYTES;
    int r = copy_file(path, max_bytes, &map, &bytes, err);

    if (r != 0)
        return r;
    r = infer_model_read(span_of(map, bytes), limits, ret, &why);
    if (r != 0) {
        munmap(map, bytes);
        return errmsg_set(err, r, "%s: %.400s", path, why.text);
    }
    (*ret)->mapping = map;
    return 0;
}

/* ---- what it says ---- */

const struct infer_graph *infer_model_graph(const struct infer_model *model)
{
    return &model->graph;
}

size_t infer_model_file_bytes(const struct infer_model *model)
{
    return model->file.len;
}

size_t infer_model_arena_bytes(const struct infer_model *model)
{
    return model->arena_bytes;
}

const uint8_t *infer_model_hash(const struct infer_model *model)
{
    return model->body.data + model->body.len - MODEL_CHECKSUM_BYTES;
}

static void read_text(struct reader *r, struct span *ret_key, struct span *ret_text)
{
    ret_key->len = reader_u8(r);
    ret_key->data = reader_take(r, ret_key->len);
    ret_text->len = reader_le32(r);
    ret_text->data = reader_take(r, ret_text->len);
}

struct span infer_model_text(const struct infer_model *model, const char *key)
{
    struct reader r = reader_of(model->texts);

    for (unsigned n = model->texts.len == 0 ? 0 : reader_le16(&r); n > 0; n--) {
        struct span k, text;

        read_text(&r, &k, &text);
        if (span_equal(k, span_str(key)))
            return text;
    }
    return span_of(NULL, 0);
}

bool infer_model_text_at(const struct infer_model *model, size_t i, struct span *ret_key,
                         struct span *ret_text)
{
    struct reader r = reader_of(model->texts);

    if (i >= (model->texts.len == 0 ? 0U : reader_le16(&r)))
        return false;
    for (size_t k = 0; k <= i; k++)
        read_text(&r, ret_key, ret_text);
    return true;
}

struct span infer_model_recipe(const struct infer_model *model)
{
    return model->recipe;
}

/* ---- running ---- */

void *infer_model_input(struct infer_model *model, size_t i)
{
    return model->inputs[i];
}

const void *infer_model_output(const struct infer_model *model, size_t i)
{
    return model->outputs[i];
}

void infer_model_run(struct infer_model *model)
{
    for (size_t i = 0; i < model->graph.n_nodes; i++)
        op_call_run(&model->calls[i]);
}

void infer_model_run_node(struct infer_model *model, size_t i)
{
    op_call_run(&model->calls[i]);
}
