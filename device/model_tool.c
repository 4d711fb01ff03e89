/* What the commands share. */
#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { RECIPE_FILE_MAX_BYTES = 1 << 20 };

void infer_model_freep(struct infer_model **m)
{
    infer_model_free(*m);
}

void infer_build_freep(struct infer_build **b)
{
    infer_build_free(*b);
}

int model_tool_names(struct ctl *ctl, const char *option, struct model_tool_names *ret)
{
    const char *given;
    size_t used = 0;

    ret->n = 0;
    for (unsigned i = 0; (given = ctl_option_n(ctl, option, i)) != NULL; i++) {
        size_t len = strlen(given);
        char *copy = ret->memory + used, *word;

        if (used + len + 1 > sizeof ret->memory)
            return ctl_fail(ctl, CTL_USAGE, "--%s: too long", option);
        memcpy(copy, given, len + 1);
        used += len + 1;
        while ((word = strsep(&copy, ",")) != NULL) {
            if (ret->n == MODEL_TOOL_NAMES_MAX)
                return ctl_fail(ctl, CTL_USAGE, "--%s: more than %d names", option, MODEL_TOOL_NAMES_MAX);
            ret->at[ret->n++] = word;
        }
    }
    return CTL_OK;
}

/* ---- models ---- */

static const struct infer_limits limits = {.arena_bytes = MODEL_TOOL_ARENA_MAX_BYTES};

/* Is it a model at all? What cannot be looked at is told by whoever opens it. */
static bool is_foreign(const char *path)
{
    static const char magic[8] = "FOGMODEL";
    FILE *f = fopen(path, "re");
    char head[sizeof magic];
    bool foreign;

    if (f == NULL)
        return false;
    foreign = fread(head, 1, sizeof head, f) != sizeof head || memcmp(head, magic, sizeof magic) != 0;
    fclose(f);
    return foreign;
}

int model_tool_open(struct ctl *ctl, const char *path, struct infer_model **ret_m)
{
    struct errmsg err = {""};
    struct stat st;
    int r;

    if (stat(path, &st) != 0)
        return ctl_fail(ctl, errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: cannot be opened: %s", path,
                        strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ctl_fail(ctl, CTL_FAILED, "%s: is no regular file; name the model file itself", path);
    if (is_foreign(path))
        return ctl_fail(ctl, CTL_FAILED, "%s: is no model file; an ONNX file becomes one by: %s import %s",
                        path, ctl->tier->cli, path);
    r = infer_model_open(path, &limits, ret_m, &err);
    if (r == -EINVAL)
        return ctl_fail(ctl, CTL_DAMAGED, "%s; take another copy", err.text);
    return r != 0 ? ctl_fail(ctl, CTL_FAILED, "%s", err.text) : CTL_OK;
}

int model_tool_read_back(struct ctl *ctl, const struct buf *bytes, void **ret_copy,
                         struct infer_model **ret_m)
{
    struct errmsg err = {""};
    void *copy;
    int r;

    if (posix_memalign(&copy, 64, bytes->len + 1) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    memcpy(copy, bytes->data, bytes->len);
    r = infer_model_read(span_of(copy, bytes->len), &limits, ret_m, &err);
    if (r != 0) {
        free(copy);
        return ctl_fail(ctl, CTL_FAILED, "the model cannot be run: %s", err.text);
    }
    *ret_copy = copy;
    return CTL_OK;
}

uint64_t model_tool_operations(const struct infer_graph *g)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < g->n_nodes; i++)
        sum += infer_op_operations(&g->nodes[i], g->tensors);
    return sum;
}

/* ---- recordings ---- */

int model_tool_load(struct ctl *ctl, const char *path, struct codec_table **ret_t)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(free_ptr) struct model_tool_names *times = calloc(1, sizeof *times);
    struct csv_options o = {.zone = ctl_option(ctl, "tz"), .may_lack_time = true};
    struct errmsg err = {""};
    struct stat st;
    int code;

    if (times == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = model_tool_names(ctl, "time", times);
    if (code != CTL_OK)
        return code;
    o.time_columns = times->at;
    o.n_time_columns = times->n;
    if (stat(path, &st) != 0)
        return ctl_fail(ctl, errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: cannot be opened: %s", path,
                        strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ctl_fail(ctl, CTL_FAILED,
                        "%s: is no regular file; it is read twice, so a pipe must be saved first", path);
    if (codec_table_new(&t, path, &o, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s; a table is a CSV file with a row of names above its numbers",
                        err.text);
    if (t->n_rows == 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: no row that can be read", path);
    if (t->n_bad_rows + t->n_bad_cells > 0)
        ctl_note(ctl, "%s: left out: %" PRIu64 " rows, %" PRIu64 " cells that cannot be read", path,
                 t->n_bad_rows, t->n_bad_cells);
    *ret_t = TAKE(t);
    return CTL_OK;
}

int model_tool_feed(struct ctl *ctl, struct infer_model *m, const char *path, struct codec_table **ret_t,
                    struct model_feed **ret_f)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(free_ptr) struct model_tool_names *inputs = calloc(1, sizeof *inputs);
    struct errmsg err = {""};
    int code;

    if (inputs == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = model_tool_names(ctl, "inputs", inputs);
    if (code == CTL_OK)
        code = model_tool_load(ctl, path, &t);
    if (code != CTL_OK)
        return code;
    if (model_feed_new(ret_f, m, t, inputs->at, inputs->n, &err) != 0)
        return ctl_fail(ctl, CTL_USAGE, "%s: %s", path, err.text);
    *ret_t = TAKE(t);
    return CTL_OK;
}

/* ---- files ---- */

const char *model_tool_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

int model_tool_output(struct ctl *ctl, const char *input, const char *suffix, char ret_path[PATH_MAX])
{
    const char *given = ctl_option(ctl, "output"), *dot = strrchr(model_tool_base(input), '.');
    struct stat in, out;
    int n;

    if (given != NULL)
        n = snprintf(ret_path, PATH_MAX, "%s", given);
    else
        n = snprintf(ret_path, PATH_MAX, "%.*s%s",
                     (int)(dot != NULL ? dot - input : (ptrdiff_t)strlen(input)), input, suffix);
    if (n < 0 || n >= PATH_MAX)
        return ctl_fail(ctl, CTL_USAGE, "%s: the path is too long", input);
    if (stat(ret_path, &out) == 0) {
        if (!S_ISREG(out.st_mode))
            return ctl_fail(ctl, CTL_USAGE, "%s: is there and is no file; name a file with -o", ret_path);
        if (stat(input, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return ctl_fail(ctl, CTL_USAGE, "%s: is the input itself; name another file with -o", ret_path);
    }
    return CTL_OK;
}

int model_tool_write(struct ctl *ctl, const char *path, const struct buf *bytes)
{
    int r = file_write_atomic(path, span_of(bytes->data, bytes->len), 0644);

    return r != 0 ? ctl_fail(ctl, ctl_code(r), "%s: cannot be written: %s", path, strerror(-r)) : CTL_OK;
}

int model_tool_recipe(struct ctl *ctl, const char *path, size_t width, struct buf *out)
{
    owned(buf_deinit) struct buf text = {0};
    owned(free_ptr) struct recipe *recipe = calloc(1, sizeof *recipe);
    struct errmsg err = {""};
    int r = file_read(path, RECIPE_FILE_MAX_BYTES, &text);

    if (recipe == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    if (r != 0)
        return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: cannot be read: %s", path,
                        strerror(-r));
    if (recipe_parse(span_of(text.data, text.len), path, recipe, &err) != 0)
        return ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    if (recipe_width(recipe) != width)
        return ctl_fail(ctl, CTL_USAGE, "%s: these features give %zu numbers, the model takes %zu", path,
                        recipe_width(recipe), width);
    recipe_encode(recipe, out);
    return out->error != 0 ? ctl_fail(ctl, CTL_FAILED, "no memory") : CTL_OK;
}

/* ---- text ---- */

const char *model_tool_shape(const struct infer_shape *shape, char text[MODEL_TOOL_SHAPE_CHARS])
{
    size_t used = 0;

    if (shape->rank == 0)
        return "scalar";
    for (unsigned i = 0; i < shape->rank; i++)
        used += (size_t)snprintf(text + used, MODEL_TOOL_SHAPE_CHARS - used, "%s%u", i > 0 ? "x" : "",
                                 shape->dim[i]);
    return text;
}

void model_tool_hex(const uint8_t *bytes, size_t n, char *ret_text)
{
    for (size_t i = 0; i < n; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

static const struct cmd *const cmds[] = {model_tool_import,
                                         model_tool_inspect,
                                         model_tool_run,
                                         model_tool_eval,
                                         model_tool_quantize,
                                         model_tool_prune,
                                         model_tool_bench,
                                         model_tool_keygen,
                                         model_tool_sign,
                                         model_tool_verify,
                                         NULL};

const struct ctl_tier model_tool_tier = {
    .name = "model",
    .cli = "fogline-model",
    .about = "Models for devices: made from ONNX, looked at, tried on recordings, measured, signed.",
    .cmds = cmds,
};
