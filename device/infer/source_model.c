/* Models (common/infer/model.h) on readings of other sources, as a source. */

#include "device/infer/derived.h"

#include "infer/feature.h"
#include "infer/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 8 };

struct model_config {
    struct derived_config derived;
    char file[512];
    struct config_strings keys;
    bool allow_unsigned;
    int64_t arena_bytes;
};

#define AT(member) CONFIG_AT(struct model_config, member)

static const struct config_row rows[] = {
    DERIVED_ROWS,
    {"file", CONFIG_PATH, AT(file), .required = true, .help = "Model file, as fogline-model writes it."},
    {"keys", CONFIG_STRINGS, AT(keys), .max = "8",
     .help = "Public keys (Ed25519, 64 hexadecimal digits) one of which must have signed the file."},
    {"allow_unsigned", CONFIG_BOOL, AT(allow_unsigned), .def = "false",
     .help = "Files that nobody signed are taken, too."},
    {"arena_bytes", CONFIG_BYTES, AT(arena_bytes), .min = "4 KiB", .max = "256 MiB", .def = "1 MiB",
     .help = "Memory that its computed values may take; a model that needs more is refused."},
    {0},
};

static bool key_of(const char *hex, uint8_t key[32])
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

static void model_source_check(const void *config, const char *field, struct config_check *c)
{
    const struct model_config *m = config;
    char at[CONFIG_FIELD_CHARS];
    uint8_t key[32];

    derived_config_check(&m->derived, field, c);
    for (size_t i = 0; i < m->keys.n; i++) {
        snprintf(at, sizeof at, "%s.keys[%zu]", field, i);
        if (!key_of(m->keys.at[i], key))
            config_complain(c, at, "`fogline-model keygen` prints one.",
                            "\"%s\" is no key of 64 hexadecimal digits", m->keys.at[i]);
    }
    snprintf(at, sizeof at, "%s.keys", field);
    if (m->keys.n == 0 && !m->allow_unsigned)
        config_complain(c, at, "Name the key that signs models, or say allow_unsigned: true.",
                        "no key is named and unsigned files are not allowed");
}

struct model_source {
    struct derived derived;
    struct infer_model *model;
    struct features *features; /* NULL: the inputs as they are */
    float *features_out;
    size_t n_in;
    struct {
        uint16_t port;
        uint32_t element;
    } from[DERIVED_OUTPUTS_MAX];
};

static const struct infer_tensor *output_tensor(const struct model_source *s, size_t port)
{
    const struct infer_graph *g = infer_model_graph(s->model);

    return &g->tensors[g->outputs[port].tensor];
}

static struct cell cell_of(enum infer_type type, const void *values, size_t i)
{
    switch (type) {
    case INFER_F32:
        return (struct cell){.f64 = (double)((const float *)values)[i]};
    case INFER_F64:
        return (struct cell){.f64 = ((const double *)values)[i]};
    case INFER_I8:
        return (struct cell){.i64 = ((const int8_t *)values)[i]};
    case INFER_U8:
    case INFER_BOOL:
        return (struct cell){.i64 = ((const uint8_t *)values)[i]};
    case INFER_I16:
        return (struct cell){.i64 = ((const int16_t *)values)[i]};
    case INFER_I32:
        return (struct cell){.i64 = ((const int32_t *)values)[i]};
    case INFER_I64:
        return (struct cell){.i64 = ((const int64_t *)values)[i]};
    default: {
        const char *text = (const char *)values + i * INFER_TEXT_BYTES;

        return (struct cell){.text = span_of(text, strnlen(text, INFER_TEXT_BYTES))};
    }
    }
}

static enum column_type column_of(enum infer_type type)
{
    switch (type) {
    case INFER_F32:
    case INFER_F64:
        return COLUMN_DOUBLE;
    case INFER_BOOL:
        return COLUMN_BOOL;
    case INFER_TEXT:
        return COLUMN_TEXT;
    default:
        return COLUMN_INT64;
    }
}

/* false: not yet, or an input that the model needs was absent. */
static bool prepare(struct model_source *s, const double *values, const bool *present)
{
    float *in = infer_model_input(s->model, 0);

    if (s->features != NULL) {
        if (!feature_step(s->features, values, present, s->features_out))
            return false;
        memcpy(in, s->features_out, s->n_in * sizeof *in);
        return true;
    }
    for (size_t i = 0; i < s->n_in; i++) {
        if (!present[i] || !isfinite(values[i]))
            return false;
        in[i] = (float)values[i];
    }
    return true;
}

static bool compute(void *ctx, int64_t time_ns, const double *values, const bool *present, struct cell *cells)
{
    struct model_source *s = ctx;

    (void)time_ns;
    if (!prepare(s, values, present))
        return false;
    infer_model_run(s->model);
    for (uint32_t i = 0; i < s->derived.n_outputs; i++) {
        const struct infer_tensor *t = output_tensor(s, s->from[i].port);

        cells[i] = cell_of(t->type, infer_model_output(s->model, s->from[i].port), s->from[i].element);
        /* A number that is none says nothing about the plant. */
        if (column_of(t->type) == COLUMN_DOUBLE && !isfinite(cells[i].f64))
            cells[i].quality = QUALITY_BAD;
    }
    return true;
}

static size_t save(const void *ctx, uint8_t *out, size_t room)
{
    const struct model_source *s = ctx;
    struct span image = s->features != NULL ? feature_image(s->features) : span_of(NULL, 0);

    if (image.len > 0 && image.len <= room)
        memcpy(out, image.data, image.len);
    return image.len;
}

static int restore(void *ctx, struct span image, struct errmsg *err)
{
    struct model_source *s = ctx;

    return s->features == NULL || feature_restore(s->features, image, err) == 0 ? 0 : -EINVAL;
}

static int check_signature(const struct model_source *s, const struct model_config *c, struct errmsg *err)
{
    uint8_t keys[KEYS_MAX][32];
    size_t n = 0;

    for (size_t i = 0; i < c->keys.n && n < KEYS_MAX; i++)
        n += key_of(c->keys.at[i], keys[n]);
    switch (infer_model_signature(s->model, keys, n)) {
    case INFER_SIGNATURE_GOOD:
        return 0;
    case INFER_SIGNATURE_NONE:
        return c->allow_unsigned
                   ? 0
                   : errmsg_set(err, -EPERM, "%s is not signed: sign it with `fogline-model sign`", c->file);
    case INFER_SIGNATURE_OTHER_KEY:
        return c->allow_unsigned && n == 0
                   ? 0
                   : errmsg_set(err, -EPERM, "%s is signed by a key that is not among `keys`", c->file);
    default:
        return errmsg_set(err, -EPERM, "%s: the signature is wrong: the file was changed after it was signed",
                          c->file);
    }
}

static int open_features(struct model_source *s, const struct model_config *c, struct errmsg *err)
{
    struct span bytes = infer_model_recipe(s->model);
    struct recipe *recipe;
    int rc;

    s->n_in = s->derived.n_inputs;
    if (bytes.len == 0)
        return 0;
    recipe = calloc(1, sizeof *recipe);
    rc = recipe == NULL ? errmsg_set(err, -ENOMEM, "no memory") : recipe_decode(bytes, recipe, err);
    if (rc == 0 && recipe->n_channels != s->derived.n_inputs)
        rc = errmsg_set(err, -EINVAL, "%s wants %zu inputs, %u are named in `inputs`", c->file,
                        recipe->n_channels, s->derived.n_inputs);
    if (rc == 0) {
        s->n_in = recipe_width(recipe);
        rc = feature_new(recipe, &s->features, err);
    }
    if (rc == 0 && (s->features_out = calloc(s->n_in, sizeof *s->features_out)) == NULL)
        rc = errmsg_set(err, -ENOMEM, "no memory");
    free(recipe);
    return rc;
}

static int check_input(const struct model_source *s, const struct model_config *c, struct errmsg *err)
{
    const struct infer_graph *g = infer_model_graph(s->model);
    const struct infer_tensor *in = &g->tensors[g->inputs[0].tensor];

    if (g->n_inputs != 1 || in->type != INFER_F32)
        return errmsg_set(err, -EINVAL, "%s has %zu inputs, the first of type %s: one of float32 is needed",
                          c->file, g->n_inputs, infer_type_name(in->type));
    if (infer_shape_elements(&in->shape) != s->n_in)
        return errmsg_set(err, -EINVAL, "%s takes %zu numbers, %s %zu", c->file,
                          infer_shape_elements(&in->shape),
                          s->features != NULL ? "its own recipe gives" : "`inputs` names", s->n_in);
    return 0;
}

/* Item no of a comma-separated list; empty: none. */
static struct span item_of(struct span list, uint32_t no)
{
    const uint8_t *at = list.data, *end = list.data + list.len;

    for (; at < end && no > 0; no--) {
        const uint8_t *comma = memchr(at, ',', (size_t)(end - at));

        at = comma == NULL ? end : comma + 1;
    }
    if (at >= end)
        return span_of(NULL, 0);
    const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
    return span_of(at, (size_t)((comma == NULL ? end : comma) - at));
}

/* PORT, PORT.LABEL or PORT.NO; what a name may not hold becomes '_'. */
static void name_output(const struct model_source *s, const char *port, uint32_t element, size_t elements,
                        char *out)
{
    struct span label = item_of(infer_model_text(s->model, "labels"), element);
    int n;

    if (elements == 1)
        n = snprintf(out, SOURCE_NAME_BYTES, "%s", port);
    else if (label.len > 0)
        n = snprintf(out, SOURCE_NAME_BYTES, "%.40s.%.*s", port, (int)(label.len > 20 ? 20 : label.len),
                     (const char *)label.data);
    else
        n = snprintf(out, SOURCE_NAME_BYTES, "%.50s.%u", port, element);
    for (int i = 0; i < n && out[i] != '\0'; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", out[i]) == NULL)
            out[i] = '_';
}

static int add_outputs(struct model_source *s, const struct model_config *c, struct errmsg *err)
{
    const struct infer_graph *g = infer_model_graph(s->model);

    for (size_t port = 0; port < g->n_outputs; port++) {
        const struct infer_tensor *t = output_tensor(s, port);
        size_t elements = infer_shape_elements(&t->shape);

        for (uint32_t i = 0; i < elements; i++) {
            char name[SOURCE_NAME_BYTES];

            if (s->derived.n_outputs == DERIVED_OUTPUTS_MAX)
                return errmsg_set(err, -EINVAL, "%s gives more than %d numbers: reduce them in the model",
                                  c->file, DERIVED_OUTPUTS_MAX);
            s->from[s->derived.n_outputs].port = (uint16_t)port;
            s->from[s->derived.n_outputs].element = i;
            name_output(s, g->outputs[port].name, i, elements, name);
            derived_add_output(&s->derived, name, "", column_of(t->type));
        }
    }
    return 0;
}

static int open_model(struct model_source *s, const struct model_config *c, struct errmsg *err)
{
    struct infer_limits limits = {.arena_bytes = (size_t)c->arena_bytes};
    int rc = infer_model_open(c->file, &limits, &s->model, err);

    if (rc == 0)
        rc = check_signature(s, c, err);
    if (rc == 0)
        rc = open_features(s, c, err);
    if (rc == 0)
        rc = check_input(s, c, err);
    if (rc == 0)
        rc = add_outputs(s, c, err);
    return rc;
}

static void model_source_close(void *self)
{
    struct model_source *s = self;

    if (s == NULL)
        return;
    infer_model_free(s->model);
    feature_free(s->features);
    free(s->features_out);
    free(s);
}

/* A model that cannot be used does not stop the device: it says why, and gives nothing. */
static int model_source_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct model_source *s = calloc(1, sizeof *s);
    struct errmsg why = {""};
    int rc = s == NULL ? errmsg_set(err, -ENOMEM, "no memory") : derived_open(&s->derived, o, err);

    if (rc != 0) {
        model_source_close(s);
        return rc;
    }
    s->derived.ctx = s;
    s->derived.compute = compute;
    s->derived.save = save;
    s->derived.restore = restore;
    if (open_model(s, o->config, &why) != 0) {
        s->derived.n_outputs = 0;
        snprintf(s->derived.failure, sizeof s->derived.failure, "the model gives nothing: %.170s", why.text);
    }
    derived_recall(&s->derived, o->memory);
    *ret_self = s;
    return 0;
}

const struct source_kind source_model = {
    .name = "model",
    .help = "Runs a model file on readings of other sources; its outputs are channels.",
    .rows = rows,
    .config_bytes = sizeof(struct model_config),
    .check = model_source_check,
    .open = model_source_open,
    .close = model_source_close,
    .declare = derived_declare,
    .replayable = derived_replayable,
    .step = derived_step,
    .listen = derived_listen,
    .hear_group = derived_hear_group,
    .hear_row = derived_hear_row,
    .hear_ring_bytes = derived_hear_ring_bytes,
    .work = derived_work,
    .remember = derived_remember,
};
