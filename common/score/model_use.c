#include "score/model_use.h"

#include "infer/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct infer_tensor *output_tensor(const struct model_use *u, size_t port)
{
    const struct infer_graph *g = infer_model_graph(u->model);

    return &g->tensors[g->outputs[port].tensor];
}

enum model_said model_use_prepare(struct model_use *u, const double *values, const bool *present,
                                  unsigned *ret_missing)
{
    if (u->features != NULL)
        return feature_step(u->features, values, present, u->values) ? MODEL_ROW : MODEL_NOTHING;
    for (unsigned i = 0; i < u->n_in; i++) {
        if (!present[i] || !isfinite(values[i])) {
            *ret_missing = i;
            return MODEL_MISSING;
        }
        u->values[i] = (float)values[i];
    }
    return MODEL_ROW;
}

void model_use_run(struct model_use *u)
{
    memcpy(infer_model_input(u->model, 0), u->values, u->n_in * sizeof *u->values);
    infer_model_run(u->model);
}

enum model_said model_use_cells(const struct model_use *u, struct cell *cells, uint32_t *ret_odd)
{
    enum model_said said = MODEL_ROW;

    for (uint32_t i = u->n_outputs; i-- > 0;) {
        const struct model_output *out = &u->outputs[i];

        cells[i] = model_output_cell(output_tensor(u, out->port)->type,
                                     infer_model_output(u->model, out->port), out->element);
        /* A number that is none says nothing about the plant. */
        if (out->type != COLUMN_DOUBLE || isfinite(cells[i].f64))
            continue;
        cells[i].quality = QUALITY_BAD;
        *ret_odd = i;
        said = MODEL_ODD;
    }
    return said;
}

bool model_key_parse(const char *hex, uint8_t key[32])
{
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdefABCDEF") != 64)
        return false;
    for (int i = 0; i < 32; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        key[i] = (uint8_t)byte;
    }
    return true;
}

void model_keys_check(const struct config_strings *keys, bool allow_unsigned, const char *field,
                      struct config_check *c)
{
    char at[CONFIG_FIELD_CHARS];
    uint8_t key[32];

    for (size_t i = 0; i < keys->n; i++) {
        snprintf(at, sizeof at, "%s.keys[%zu]", field, i);
        if (!model_key_parse(keys->at[i], key))
            config_complain(c, at, "`fogline-model keygen` prints one.",
                            "\"%s\" is no key of 64 hexadecimal digits", keys->at[i]);
    }
    snprintf(at, sizeof at, "%s.keys", field);
    if (keys->n == 0 && !allow_unsigned)
        config_complain(c, at, "Name the key that signs models, or say allow_unsigned: true.",
                        "no key is named and unsigned files are not allowed");
}

void model_keys_take(struct model_settings *settings, const struct config_strings *keys)
{
    for (size_t i = 0; i < keys->n && settings->n_keys < MODEL_KEYS_MAX; i++)
        settings->n_keys += model_key_parse(keys->at[i], settings->keys[settings->n_keys]);
}

static int check_signature(const struct model_use *u, const struct model_settings *c, struct errmsg *err)
{
    switch (infer_model_signature(u->model, c->keys, c->n_keys)) {
    case INFER_SIGNATURE_GOOD:
        return 0;
    case INFER_SIGNATURE_NONE:
        return c->allow_unsigned
                   ? 0
                   : errmsg_set(err, -EPERM, "%s is not signed: sign it with `fogline-model sign`", c->file);
    case INFER_SIGNATURE_OTHER_KEY:
        return c->allow_unsigned && c->n_keys == 0
                   ? 0
                   : errmsg_set(err, -EPERM, "%s is signed by a key that is not among `keys`", c->file);
    default:
        return errmsg_set(err, -EPERM, "%s: the signature is wrong: the file was changed after it was signed",
                          c->file);
    }
}

static int open_features(struct model_use *u, const struct model_settings *c, struct errmsg *err)
{
    struct span bytes = infer_model_recipe(u->model);
    struct recipe *recipe;
    int rc;

    u->n_in = c->n_inputs;
    if (bytes.len == 0)
        return 0;
    recipe = calloc(1, sizeof *recipe);
    rc = recipe == NULL ? errmsg_set(err, -ENOMEM, "no memory") : recipe_decode(bytes, recipe, err);
    if (rc == 0 && recipe->n_channels != c->n_inputs)
        rc = errmsg_set(err, -EINVAL, "%s wants %zu inputs, %u are named in `inputs`", c->file,
                        recipe->n_channels, c->n_inputs);
    if (rc == 0) {
        u->n_in = recipe_width(recipe);
        rc = feature_new(recipe, &u->features, err);
    }
    free(recipe);
    return rc;
}

static int check_input(const struct model_use *u, const struct model_settings *c, struct errmsg *err)
{
    const struct infer_graph *g = infer_model_graph(u->model);
    const struct infer_tensor *in = &g->tensors[g->inputs[0].tensor];

    if (g->n_inputs != 1 || in->type != INFER_F32)
        return errmsg_set(err, -EINVAL, "%s has %zu inputs, the first of type %s: one of float32 is needed",
                          c->file, g->n_inputs, infer_type_name(in->type));
    if (infer_shape_elements(&in->shape) != u->n_in)
        return errmsg_set(err, -EINVAL, "%s takes %zu numbers, %s %zu", c->file,
                          infer_shape_elements(&in->shape),
                          u->features != NULL ? "its own recipe gives" : "`inputs` names", u->n_in);
    return 0;
}

/* What a name may not hold becomes '_'. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *text) == NULL)
            *text = '_';
}

static int name_outputs(struct model_use *u, const struct model_settings *c, struct errmsg *err)
{
    const struct infer_graph *g = infer_model_graph(u->model);

    for (size_t port = 0; port < g->n_outputs; port++) {
        const struct infer_tensor *t = output_tensor(u, port);
        size_t elements = infer_shape_elements(&t->shape);

        for (uint32_t i = 0; i < elements; i++) {
            struct model_output *out = &u->outputs[u->n_outputs];

            if (u->n_outputs == MODEL_OUTPUTS_MAX)
                return errmsg_set(err, -EINVAL, "%s gives more than %d numbers: reduce them in the model",
                                  c->file, MODEL_OUTPUTS_MAX);
            *out = (struct model_output){
                .type = model_output_type(t->type), .port = (uint16_t)port, .element = i};
            model_output_name(u->model, port, i, out->name);
            u->n_outputs++;
        }
    }
    return 0;
}

static void name_it(struct model_use *u)
{
    const struct infer_graph *g = infer_model_graph(u->model);
    struct span name = infer_model_text(u->model, "name"), version = infer_model_text(u->model, "version");
    const uint8_t *hash = infer_model_hash(u->model);

    snprintf(u->id, sizeof u->id, "%.*s-%.*s-%02x%02x%02x%02x", (int)(name.len > 30 ? 30 : name.len),
             (const char *)name.data, (int)(version.len > 16 ? 16 : version.len), (const char *)version.data,
             hash[0], hash[1], hash[2], hash[3]);
    make_plain(u->id);
    for (size_t i = 0; i < g->n_nodes; i++)
        u->operations += infer_op_operations(&g->nodes[i], g->tensors);
}

int model_use_load(const struct model_settings *settings, struct model_use **ret, struct errmsg *err)
{
    struct infer_limits limits = {.arena_bytes = settings->arena_bytes};
    struct model_use *u = calloc(1, sizeof *u);
    int rc = u == NULL ? errmsg_set(err, -ENOMEM, "no memory")
                       : infer_model_open(settings->file, &limits, &u->model, err);

    if (rc == 0)
        rc = check_signature(u, settings, err);
    if (rc == 0)
        rc = open_features(u, settings, err);
    if (rc == 0)
        rc = check_input(u, settings, err);
    if (rc == 0)
        rc = name_outputs(u, settings, err);
    if (rc == 0 && (u->values = calloc(u->n_in, sizeof *u->values)) == NULL)
        rc = errmsg_set(err, -ENOMEM, "no memory");
    if (rc != 0) {
        model_use_free(u);
        return rc;
    }
    name_it(u);
    *ret = u;
    return 0;
}

struct model_use *model_use_free(struct model_use *u)
{
    if (u == NULL)
        return NULL;
    infer_model_free(u->model);
    feature_free(u->features);
    free(u->values);
    free(u);
    return NULL;
}

bool model_use_is_like(const struct model_use *u, const struct model_use *other)
{
    bool is_like = u->n_outputs == other->n_outputs;

    for (uint32_t i = 0; is_like && i < u->n_outputs; i++)
        is_like = strcmp(u->outputs[i].name, other->outputs[i].name) == 0 &&
                  u->outputs[i].type == other->outputs[i].type;
    return is_like;
}
