/* What the commands share. */
#include "device/codec_tool.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/numfmt.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { NAMES_MAX = 64 };

/* Column names of an option: given more than once, or joined by commas. */
struct names {
    char memory[4096];
    const char *at[NAMES_MAX];
    size_t n;
};

static int take_names(struct ctl *ctl, const char *option, struct names *ret)
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
            if (ret->n == NAMES_MAX)
                return ctl_fail(ctl, CTL_USAGE, "--%s: too many columns", option);
            ret->at[ret->n++] = word;
        }
    }
    return CTL_OK;
}

int codec_tool_load(struct ctl *ctl, const char *path, struct codec_table **ret_t)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    struct names times, ints;
    struct csv_options o = {.zone = ctl_option(ctl, "tz")};
    struct errmsg err = {""};
    struct stat st;
    int code = take_names(ctl, "time", &times);

    if (code == CTL_OK)
        code = take_names(ctl, "int", &ints);
    if (code != CTL_OK)
        return code;
    o.time_columns = times.at;
    o.n_time_columns = times.n;
    o.int_columns = ints.at;
    o.n_int_columns = ints.n;
    if (stat(path, &st) != 0)
        return ctl_fail(ctl, CTL_NOT_FOUND, "%s: cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ctl_fail(ctl, CTL_FAILED,
                        "%s: is no regular file; it is read twice, so a pipe must be saved first", path);
    if (codec_table_new(&t, path, &o, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s; what is in the file shows: devicectl csv inspect %s", err.text,
                        path);
    if (t->n_rows == 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: no row that can be read; why shows: devicectl csv inspect %s",
                        path, path);
    if (t->n_bad_rows + t->n_bad_cells + t->n_cut_texts > 0)
        ctl_note(ctl,
                 "%s: left out: %" PRIu64 " rows, %" PRIu64 " cells; texts cut: %" PRIu64
                 "; which ones shows: devicectl csv inspect %s",
                 path, t->n_bad_rows, t->n_bad_cells, t->n_cut_texts, path);
    *ret_t = TAKE(t);
    return CTL_OK;
}

static int no_channel(struct ctl *ctl, const struct codec_table *t, const char *path, const char *given)
{
    owned(buf_deinit) struct buf known = {0};

    for (uint32_t i = 0; i < t->n_columns && known.len < 400; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", t->about[i].header);
    return ctl_fail(ctl, CTL_USAGE, "--bound %s: %s has no such channel; there are: %.*s", given, path,
                    (int)known.len, known.data != NULL ? (const char *)known.data : "");
}

/* The name may hold a '=' itself: the number is what stands behind the last. */
static int take_bound(struct ctl *ctl, const struct codec_table *t, const char *path, const char *given,
                      double *bounds)
{
    const char *equals = strrchr(given, '=');
    double v;
    int column;

    if (equals == NULL || equals == given)
        return ctl_fail(ctl, CTL_USAGE, "--bound %s: write CHANNEL=EPS, such as temperature=0.05", given);
    column = codec_table_find(t, given, (size_t)(equals - given));
    if (column < 0)
        return no_channel(ctl, t, path, given);
    if (!numfmt_parse_double(equals + 1, strlen(equals + 1), &v) || !(v >= 0) || v > BLOCK_ERROR_BOUND_MAX)
        return ctl_fail(ctl, CTL_USAGE, "--bound %s: `%s` is not a number of 0..%g", given, equals + 1,
                        BLOCK_ERROR_BOUND_MAX);
    if (t->types[column] != COLUMN_DOUBLE)
        return ctl_fail(ctl, CTL_USAGE, "--bound %s: the channel is not of type double, it stays exact",
                        given);
    bounds[column] = v;
    return CTL_OK;
}

int codec_tool_bounds(struct ctl *ctl, const struct codec_table *t, const char *path, double **ret_bounds)
{
    owned(free_ptr) double *bounds = NULL;
    const char *given;
    int code = CTL_OK;

    for (unsigned i = 0; code == CTL_OK && (given = ctl_option_n(ctl, "bound", i)) != NULL; i++) {
        if (bounds == NULL && (bounds = calloc(t->n_columns, sizeof *bounds)) == NULL)
            return ctl_fail(ctl, CTL_FAILED, "no memory");
        code = take_bound(ctl, t, path, given, bounds);
    }
    if (code == CTL_OK)
        *ret_bounds = TAKE(bounds);
    return code;
}

int codec_tool_encoding(struct ctl *ctl, enum block_encoding *ret_encoding)
{
    const char *name = ctl_option(ctl, "encoding");

    if (name == NULL) {
        *ret_encoding = BLOCK_ENCODING_SMALL;
        return CTL_OK;
    }
    for (uint32_t e = BLOCK_ENCODING_RAW; e <= BLOCK_ENCODING_SMALL; e++) {
        if (strcmp(block_encoding_name(e), name) == 0) {
            *ret_encoding = (enum block_encoding)e;
            if (e == BLOCK_ENCODING_RAW && ctl_option(ctl, "bound") != NULL)
                return ctl_fail(ctl, CTL_USAGE,
                                "--bound: the raw encoding is always exact; take fast or small");
            return CTL_OK;
        }
    }
    return ctl_fail(ctl, CTL_USAGE, "--encoding: `%s` is none of fast, small, raw", name);
}

int codec_tool_rows(struct ctl *ctl, uint32_t *ret_rows)
{
    int64_t rows;
    int code = ctl_option_i64(ctl, "rows", 1, BLOCK_ROWS_MAX, CODEC_TOOL_ROWS, &rows);

    if (code == CTL_OK)
        *ret_rows = (uint32_t)rows;
    return code;
}

int codec_tool_open(struct ctl *ctl, const char *path, struct buf *bytes, struct codec_file **ret_f)
{
    int r = file_read(path, CODEC_FILE_MAX_BYTES, bytes);

    if (r < 0)
        return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: cannot be read: %s", path,
                        strerror(-r));
    r = codec_file_open(ret_f, span_of(bytes->data, bytes->len));
    switch (r) {
    case 0:
        return CTL_OK;
    case CODEC_FILE_FOREIGN:
        return ctl_fail(
            ctl, CTL_FAILED,
            "%s: was not made by `%s encode`; a CSV file becomes one by: %s encode %s -o FILE.fgl", path,
            ctl->tier->cli, ctl->tier->cli, path);
    case CODEC_FILE_NEWER:
        return ctl_fail(ctl, CTL_FAILED, "%s: of a later format than %d; a newer %s reads it", path,
                        CODEC_FILE_VERSION, ctl->tier->cli);
    case CODEC_FILE_DAMAGED:
        return ctl_fail(
            ctl, CTL_DAMAGED,
            "%s: its head is damaged or cut off, and no block can be read without it; take another copy",
            path);
    default:
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(-r));
    }
}

int codec_tool_output(struct ctl *ctl, const char *input, const char **ret_path)
{
    const char *path = ctl_option(ctl, "output");
    struct stat in, out;

    if (path == NULL)
        return ctl_fail(ctl, CTL_USAGE, "say where to: -o FILE");
    if (stat(path, &out) == 0) {
        if (!S_ISREG(out.st_mode))
            return ctl_fail(ctl, CTL_USAGE, "%s: is there and is no file", path);
        if (stat(input, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return ctl_fail(ctl, CTL_USAGE, "%s: is the input itself; name another file", path);
    }
    *ret_path = path;
    return CTL_OK;
}

static const struct cmd *const cmds[] = {codec_tool_encode, codec_tool_decode, codec_tool_inspect,
                                         codec_tool_compare, NULL};

const struct ctl_tier codec_tool_tier = {
    .name = "codec",
    .cli = "fogline-codec",
    .about = "Tables of readings as blocks: what the encodings of Fogline make of your data.",
    .cmds = cmds,
};
