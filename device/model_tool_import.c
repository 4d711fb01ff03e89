#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/numfmt.h"
#include "model/onnx_import.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    DIMS_MAX = 64,
    DIM_VALUE_MAX = 1 << 26,
    BATCH_MAX = 65536,
    DEVICE_ARENA_BYTES = 1 << 20, /* what a source of models may take when its configuration does not say */
};

struct importing {
    struct ctl *ctl;
    const char *input;
    struct buf bytes; /* of the ONNX file: what was read of it borrows them */
    struct onnx_model *onnx;
    struct infer_build *build;
    struct onnx_import_report report;
    struct buf out;
    void *copy; /* of out, where the model lies */
    struct infer_model *model;
};

static void importing_deinit(struct importing *im)
{
    infer_model_free(im->model);
    free(im->copy);
    buf_deinit(&im->out);
    infer_build_free(im->build);
    onnx_model_free(im->onnx);
    buf_deinit(&im->bytes);
}

/* ---- options ---- */

/* NAME=N; the name may hold a '=' itself. */
static int take_dim(struct ctl *ctl, const char *given, char *copy, size_t copy_bytes,
                    struct onnx_import_dim *ret)
{
    const char *equals = strrchr(given, '=');
    int64_t v;

    if (equals == NULL || equals == given || (size_t)(equals - given) >= copy_bytes ||
        !numfmt_parse_i64(equals + 1, strlen(equals + 1), &v) || v < 1 || v > DIM_VALUE_MAX)
        return ctl_fail(ctl, CTL_USAGE,
                        "--dim %s: write NAME=N or INPUT.INDEX=N, such as --dim length=64 or --dim x.2=64",
                        given);
    memcpy(copy, given, (size_t)(equals - given));
    copy[equals - given] = '\0';
    *ret = (struct onnx_import_dim){copy, (uint32_t)v};
    return CTL_OK;
}

static int set_text(struct importing *im, const char *key, const char *text)
{
    struct errmsg err = {""};

    return infer_build_text(im->build, key, text, &err) != 0 ? ctl_fail(im->ctl, CTL_USAGE, "%s", err.text)
                                                             : CTL_OK;
}

/* --set KEY=TEXT */
static int set_given(struct importing *im, const char *given)
{
    const char *equals = strchr(given, '=');
    char key[64];

    if (equals == NULL || equals == given || (size_t)(equals - given) >= sizeof key)
        return ctl_fail(im->ctl, CTL_USAGE, "--set %s: write KEY=TEXT, such as --set version=3", given);
    memcpy(key, given, (size_t)(equals - given));
    key[equals - given] = '\0';
    return set_text(im, key, equals + 1);
}

static int set_texts(struct importing *im)
{
    const char *base = model_tool_base(im->input), *dot = strrchr(base, '.'), *given;
    char name[256];
    int code;

    snprintf(name, sizeof name, "%.*s",
             (int)(dot != NULL && dot != base ? dot - base : (ptrdiff_t)strlen(base)), base);
    code = set_text(im, "name", ctl_option(im->ctl, "name") != NULL ? ctl_option(im->ctl, "name") : name);
    if (code == CTL_OK)
        code = set_text(im, "source", base);
    for (unsigned i = 0; code == CTL_OK && (given = ctl_option_n(im->ctl, "set", i)) != NULL; i++)
        code = set_given(im, given);
    return code;
}

/* ---- steps ---- */

static int read_onnx(struct importing *im)
{
    struct errmsg err = {""};
    int r = file_read(im->input, ONNX_FILE_BYTES_MAX, &im->bytes);

    if (r == -EFBIG)
        return ctl_fail(im->ctl, CTL_FAILED, "%s: larger than %d MiB", im->input, ONNX_FILE_BYTES_MAX >> 20);
    if (r != 0)
        return ctl_fail(im->ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: cannot be read: %s",
                        im->input, strerror(-r));
    if (im->bytes.len >= 8 && memcmp(im->bytes.data, "FOGMODEL", 8) == 0)
        return ctl_fail(im->ctl, CTL_FAILED,
                        "%s: is a model of Fogline already; what is in it shows: %s inspect %s", im->input,
                        im->ctl->tier->cli, im->input);
    if (onnx_model_read(span_of(im->bytes.data, im->bytes.len), &im->onnx, &err) != 0)
        return ctl_fail(im->ctl, CTL_FAILED, "%s: %s", im->input, err.text);
    return CTL_OK;
}

/* Does an input of the graph leave this dimension open? */
static bool is_open(const struct onnx_graph *g, const char *wanted)
{
    char name[ONNX_NAME_TEXT], dim[ONNX_NAME_TEXT], place[ONNX_NAME_TEXT + 8];

    for (size_t i = 0; i < g->n_inputs; i++) {
        onnx_name_text(g->inputs[i].name, name);
        for (unsigned k = 0; k < g->inputs[i].rank; k++) {
            snprintf(place, sizeof place, "%s.%u", name, k);
            if (g->inputs[i].dims[k].value < 0 &&
                (strcmp(place, wanted) == 0 ||
                 strcmp(onnx_name_text(g->inputs[i].dims[k].name, dim), wanted) == 0))
                return true;
        }
    }
    return false;
}

static int import(struct importing *im)
{
    struct onnx_import_dim dims[DIMS_MAX];
    char names[DIMS_MAX][128];
    struct onnx_import_options o = {.dims = dims};
    struct errmsg err = {""};
    const char *given;
    int64_t batch;
    int code = ctl_option_i64(im->ctl, "batch", 1, BATCH_MAX, 1, &batch);

    for (unsigned i = 0; code == CTL_OK && (given = ctl_option_n(im->ctl, "dim", i)) != NULL; i++) {
        if (i == DIMS_MAX)
            return ctl_fail(im->ctl, CTL_USAGE, "--dim: at most %d", DIMS_MAX);
        code = take_dim(im->ctl, given, names[i], sizeof names[i], &dims[i]);
        if (code == CTL_OK && !is_open(onnx_model_graph(im->onnx), names[i]))
            code = ctl_fail(im->ctl, CTL_USAGE,
                            "--dim %s: no input of %s leaves that open; without --dim it says what is", given,
                            im->input);
        o.n_dims++;
    }
    if (code != CTL_OK)
        return code;
    o.batch = (uint32_t)batch;
    if (onnx_import(im->onnx, &o, &im->build, &im->report, &err) != 0)
        return ctl_fail(im->ctl, CTL_FAILED, "%s: %s", im->input, err.text);
    return CTL_OK;
}

static int add_recipe(struct importing *im)
{
    const char *path = ctl_option(im->ctl, "recipe");
    const struct infer_graph *g = infer_build_graph(im->build);
    owned(buf_deinit) struct buf recipe = {0};
    struct errmsg err = {""};
    int code;

    if (path == NULL)
        return CTL_OK;
    if (g->n_inputs != 1 || g->tensors[g->inputs[0].tensor].type != INFER_F32)
        return ctl_fail(
            im->ctl, CTL_USAGE,
            "--recipe: the model has %zu input%s, the first of type %s; features need one of float32",
            g->n_inputs, g->n_inputs == 1 ? "" : "s",
            g->n_inputs > 0 ? infer_type_name(g->tensors[g->inputs[0].tensor].type) : "none");
    code = model_tool_recipe(im->ctl, path, infer_shape_elements(&g->tensors[g->inputs[0].tensor].shape),
                             &recipe);
    if (code != CTL_OK)
        return code;
    return infer_build_recipe(im->build, span_of(recipe.data, recipe.len), &err) != 0
               ? ctl_fail(im->ctl, CTL_FAILED, "%s: %s", path, err.text)
               : CTL_OK;
}

static int make(struct importing *im)
{
    struct errmsg err = {""};

    if (infer_build_write(im->build, &im->out, &err) != 0)
        return ctl_fail(im->ctl, CTL_FAILED, "%s: %s", im->input, err.text);
    return model_tool_read_back(im->ctl, &im->out, &im->copy, &im->model);
}

static int show(const struct importing *im, const char *path)
{
    const struct infer_graph *g = infer_model_graph(im->model);
    owned(json_freep) struct json *j = NULL;
    char size[16], arena[16];
    int code;

    if (!im->ctl->json) {
        fprintf(im->ctl->out,
                "%s: %zu nodes of %zu, %zu layers of them in int8, %s, arena %s, %" PRIu64
                " operations a run\n",
                path, g->n_nodes, im->report.n_nodes, im->report.n_dense_i8 + im->report.n_conv1d_i8,
                numfmt_bytes(im->out.len, size), numfmt_bytes(infer_model_arena_bytes(im->model), arena),
                model_tool_operations(g));
        return CTL_OK;
    }
    code = ctl_json(im->ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    json_ku64(j, "bytes", im->out.len);
    json_ku64(j, "arena_bytes", infer_model_arena_bytes(im->model));
    json_ku64(j, "operations", model_tool_operations(g));
    json_ku64(j, "nodes", g->n_nodes);
    json_ku64(j, "onnx_nodes", im->report.n_nodes);
    json_ku64(j, "onnx_nodes_needless", im->report.n_needless);
    json_ku64(j, "dense_i8", im->report.n_dense_i8);
    json_ku64(j, "conv1d_i8", im->report.n_conv1d_i8);
    json_object_end(j);
    return ctl_json_end(im->ctl, j);
}

static int run_import(struct ctl *ctl)
{
    owned(importing_deinit) struct importing im = {.ctl = ctl, .input = ctl->args[0]};
    char path[PATH_MAX];
    int code = read_onnx(&im);

    if (code == CTL_OK)
        code = model_tool_output(ctl, im.input, ".fogmodel", path);
    if (code == CTL_OK)
        code = import(&im);
    if (code == CTL_OK)
        code = set_texts(&im);
    if (code == CTL_OK)
        code = add_recipe(&im);
    if (code == CTL_OK)
        code = make(&im);
    if (code == CTL_OK)
        code = model_tool_write(ctl, path, &im.out);
    if (code == CTL_OK && infer_model_arena_bytes(im.model) > DEVICE_ARENA_BYTES)
        ctl_note(ctl, "%s: a device takes it with arena_bytes: %zu", path, infer_model_arena_bytes(im.model));
    return code == CTL_OK ? show(&im, path) : code;
}

static const struct cmd_option options[] = {
    {"output", 'o', "FILE", "where to (the input with the suffix .fogmodel); replaced whole, or not at all"},
    {"name", 0, "NAME", "what it is called (the input without its suffix)"},
    {"set", 0, "KEY=TEXT", "a text that goes with it, such as version=3 or labels=ok,worn; again for others"},
    {"recipe", 0, "FILE", "features to be computed before it"},
    {"dim", 0, "NAME=N",
     "a dimension that the graph leaves open, by name or as INPUT.INDEX; again for others"},
    {"batch", 0, "N", "rows of a run, where the graph leaves them open (1)"},
    {0},
};

const struct cmd model_tool_import[] = {
    {"import", "MODEL.onnx", 1, 1, "make a model for devices of an ONNX file",
     "Graphs in float32, QDQ or QLinear int8, and trees, scalers and linear models of ai.onnx.ml. Whatever "
     "it "
     "cannot do\n"
     "is refused by the node and its operator, with what to do instead; nothing is written then.\n"
     "\n"
     "A recipe is a text file: the channels that the model wants, and a line for each feature of them.\n"
     "\n"
     "  channels temperature vibration\n"
     "  absent hold                 # or skip, nan\n"
     "  value *                     # * stands for each channel\n"
     "  window vibration n=16\n"
     "  ewma_mean temperature alpha=0.1\n"
     "\n"
     "Others: lag, difference, ewma_stddev, zscore, mean, stddev, min, max, rms, band, absent; `hop 4` runs "
     "the model at\n"
     "each fourth row.\n"
     "\n"
     "  fogline-model import wear.onnx\n"
     "  fogline-model import wear.onnx -o wear.fogmodel --recipe wear.features --set version=3\n"
     "  fogline-model import speech.onnx --dim length=64",
     options, run_import},
    {0},
};
