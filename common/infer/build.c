#include "infer/build.h"

#include "base/cleanup.h"
#include "infer/build_private.h"
#include "infer/model_format.h"

#include <stdlib.h>

struct infer_build *infer_build_new(void)
{
    return calloc(1, sizeof(struct infer_build));
}

void infer_build_free(struct infer_build *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->graph.n_tensors; i++)
        free((void *)(uintptr_t)b->graph.tensors[i].constant);
    for (size_t i = 0; i < b->n_texts; i++) {
        free(b->texts[i].key);
        free(b->texts[i].text);
    }
    free(b->graph.tensors);
    free(b->graph.nodes);
    free(b->recipe);
    free(b);
}

/* Room for one more element in an array that grows by doubling. */
static int make_room(void *array, size_t n, size_t *alloc, size_t element_bytes, struct errmsg *err)
{
    size_t more = *alloc == 0 ? 16 : *alloc * 2;
    void *p;

    if (n < *alloc)
        return 0;
    p = realloc(*(void **)array, more * element_bytes);
    if (p == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the model");
    *(void **)array = p;
    *alloc = more;
    return 0;
}

static int add_tensor(struct infer_build *b, const struct infer_tensor *t, uint16_t *ret_tensor,
                      struct errmsg *err)
{
    int r;

    if (b->graph.n_tensors >= INFER_TENSORS_MAX)
        return errmsg_set(err, -EMSGSIZE, "the model has more than %d tensors", INFER_TENSORS_MAX);
    r = make_room(&b->graph.tensors, b->graph.n_tensors, &b->tensors_alloc, sizeof *t, err);
    if (r != 0)
        return r;
    *ret_tensor = (uint16_t)b->graph.n_tensors;
    b->graph.tensors[b->graph.n_tensors++] = *t;
    return 0;
}

static int check_tensor(enum infer_type type, const struct infer_shape *shape, struct errmsg *err)
{
    if (infer_type_bytes(type) == 0)
        return errmsg_set(err, -EINVAL, "there is no type %d", (int)type);
    return infer_shape_check(shape, err);
}

static int add_port(struct infer_port *ports, size_t *n, const char *name, uint16_t tensor,
                    struct errmsg *err)
{
    struct infer_port *p = &ports[*n];
    size_t len = strlen(name);

    if (!model_name_ok(name, len))
        return errmsg_set(err, -EINVAL,
                          "\"%.100s\" is no name of an input or output: 1 to %d of A-Z a-z 0-9 . _ / : -",
                          name, MODEL_NAME_CHARS);
    for (size_t i = 0; i < *n; i++)
        if (strcmp(ports[i].name, name) == 0)
            return errmsg_set(err, -EINVAL, "there is already an input or output called %s", name);
    if (*n >= INFER_IO_MAX)
        return errmsg_set(err, -EMSGSIZE, "the model has more than %d inputs or outputs", INFER_IO_MAX);
    *p = (struct infer_port){.tensor = tensor};
    memcpy(p->name, name, len);
    ++*n;
    return 0;
}

int infer_build_input(struct infer_build *b, const char *name, enum infer_type type,
                      const struct infer_shape *shape, uint16_t *ret_tensor, struct errmsg *err)
{
    int r = check_tensor(type, shape, err);

    if (r == 0)
        r = add_port(b->graph.inputs, &b->graph.n_inputs, name, INFER_NONE, err);
    if (r != 0)
        return r;
    r = add_tensor(b, &(struct infer_tensor){type, *shape, NULL}, ret_tensor, err);
    if (r != 0)
        b->graph.n_inputs--;
    else
        b->graph.inputs[b->graph.n_inputs - 1].tensor = *ret_tensor;
    return r;
}

int infer_build_constant(struct infer_build *b, enum infer_type type, const struct infer_shape *shape,
                         const void *data, uint16_t *ret_tensor, struct errmsg *err)
{
    owned(free_ptr) void *copy = NULL;
    size_t bytes;
    int r = check_tensor(type, shape, err);

    if (r != 0)
        return r;
    bytes = infer_shape_elements(shape) * infer_type_bytes(type);
    copy = aligned_alloc(MODEL_ALIGN, model_align(bytes + 1));
    if (copy == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for a constant of %zu bytes", bytes);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    for (size_t end = INFER_TEXT_BYTES; type == INFER_TEXT && end <= bytes; end += INFER_TEXT_BYTES)
        if (((const char *)copy)[end - 1] != '\0')
            return errmsg_set(err, -EINVAL, "a text is longer than %d bytes", INFER_TEXT_BYTES - 1);
    r = add_tensor(b, &(struct infer_tensor){type, *shape, copy}, ret_tensor, err);
    if (r == 0)
        copy = NULL;
    return r;
}

int infer_build_node(struct infer_build *b, const struct infer_node *node, uint16_t *ret_outputs,
                     struct errmsg *err)
{
    struct infer_tensor outputs[INFER_NODE_OUTPUTS_MAX];
    struct infer_node copy = *node;
    int r = infer_op_check(node, b->graph.tensors, b->graph.n_tensors, outputs, err);

    if (r != 0)
        return r;
    if (b->graph.n_nodes >= INFER_NODES_MAX)
        return errmsg_set(err, -EMSGSIZE, "the model has more than %d nodes", INFER_NODES_MAX);
    r = make_room(&b->graph.nodes, b->graph.n_nodes, &b->nodes_alloc, sizeof copy, err);
    for (size_t i = 0; r == 0 && i < node->n_outputs; i++) {
        r = add_tensor(b, &outputs[i], &copy.outputs[i], err);
        /* A tensor of a node that failed is given by nothing and so is not written. */
        ret_outputs[i] = copy.outputs[i];
    }
    if (r == 0)
        b->graph.nodes[b->graph.n_nodes++] = copy;
    return r;
}

int infer_build_output(struct infer_build *b, const char *name, uint16_t tensor, struct errmsg *err)
{
    if (tensor >= b->graph.n_tensors)
        return errmsg_set(err, -EINVAL, "output %s is tensor %u of %zu", name, tensor, b->graph.n_tensors);
    return add_port(b->graph.outputs, &b->graph.n_outputs, name, tensor, err);
}

const struct infer_graph *infer_build_graph(const struct infer_build *b)
{
    return &b->graph;
}

int infer_build_text(struct infer_build *b, const char *key, const char *text, struct errmsg *err)
{
    owned(free_ptr) char *copy = strdup(text), *key_copy = strdup(key);
    size_t i = 0;

    if (!model_name_ok(key, strlen(key)))
        return errmsg_set(err, -EINVAL, "\"%.100s\" is no key: 1 to %d of A-Z a-z 0-9 . _ / : -", key,
                          MODEL_NAME_CHARS);
    if (strlen(text) > MODEL_TEXT_MAX_BYTES)
        return errmsg_set(err, -EMSGSIZE, "the text %s has more than %d bytes", key, MODEL_TEXT_MAX_BYTES);
    if (copy == NULL || key_copy == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the text %s", key);
    while (i < b->n_texts && strcmp(b->texts[i].key, key) != 0)
        i++;
    if (i >= MODEL_TEXTS_MAX)
        return errmsg_set(err, -EMSGSIZE, "the model has more than %d texts", MODEL_TEXTS_MAX);
    if (i == b->n_texts)
        b->texts[b->n_texts++].key = TAKE(key_copy);
    free(b->texts[i].text);
    b->texts[i].text = TAKE(copy);
    return 0;
}

int infer_build_recipe(struct infer_build *b, struct span recipe, struct errmsg *err)
{
    uint8_t *copy = malloc(recipe.len + 1);

    if (copy == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the recipe");
    if (recipe.len > 0)
        memcpy(copy, recipe.data, recipe.len);
    free(b->recipe);
    b->recipe = copy;
    b->recipe_bytes = recipe.len;
    return 0;
}
