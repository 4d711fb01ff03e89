#include "device/codec_facts.h"
#include "device/codec_tool.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static const char *type_name(enum column_type t)
{
    return t == COLUMN_TEXT ? "text" : t == COLUMN_INT64 ? "int64" : t == COLUMN_BOOL ? "bool" : "double";
}

static double per(double bytes, uint64_t n)
{
    return n > 0 ? bytes / (double)n : 0;
}

/* ---- JSON ---- */

static void json_kinds(struct json *j, const char *key, const struct codec_kinds *k)
{
    json_key(j, key);
    json_object(j);
    for (unsigned i = 0; i < k->n; i++)
        json_ku64(j, k->at[i].name, k->at[i].n_blocks);
    json_object_end(j);
}

static void json_column(struct json *j, const struct codec_column_facts *c)
{
    json_kinds(j, "numbers", &c->numbers);
    json_ku64(j, "exponent_min", c->exponent_min);
    json_ku64(j, "exponent_max", c->exponent_max);
    json_kbool(j, "ulps", c->has_ulps);
    json_kinds(j, "predictors", &c->predictor);
    json_kinds(j, "ranks", &c->ranks);
    json_ku64(j, "most_ranks", c->n_ranks_max);
    json_ku64(j, "exceptions", c->n_exceptions);
    json_ku64(j, "cells", c->n_cells);
    json_ku64(j, "absent", c->n_absent);
    json_ku64(j, "not_good", c->n_not_good);
    json_kdouble(j, "bytes", c->body_bytes);
    json_kdouble(j, "bytes_per_sample", per(c->body_bytes, c->n_cells));
}

static int show_json(struct ctl *ctl, const struct codec_file *f, const struct codec_facts *facts,
                     const char *path)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    json_kinds(j, "encodings", &facts->encodings);
    json_ku64(j, "blocks", facts->n_blocks);
    json_ku64(j, "damaged", facts->n_damaged);
    json_ku64(j, "rows", facts->n_rows);
    json_ku64(j, "rows_per_block", f->rows);
    json_ku64(j, "samples", facts->n_samples);
    json_ku64(j, "body_bytes", facts->body_bytes);
    json_ku64(j, "start_bytes", facts->start_bytes);
    json_kdouble(j, "bytes_per_sample", per((double)facts->body_bytes, facts->n_samples));
    json_key(j, "time");
    json_object(j);
    json_column(j, &facts->time);
    json_object_end(j);
    json_key(j, "channels");
    json_array(j);
    for (uint32_t i = 0; i < f->n_columns; i++) {
        json_object(j);
        json_key(j, "name");
        json_strn(j, (const char *)f->names[i].data, f->names[i].len);
        json_kstr(j, "type", type_name(f->types[i]));
        json_kdouble(j, "bound", f->bounds[i]);
        json_column(j, &facts->columns[i]);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

/* ---- text ---- */

/* The most frequent, and how many others there are. */
static void cell_kinds(struct table *t, const struct codec_kinds *k, const char *suffix)
{
    if (k->n == 0)
        table_cell(t, "-");
    else if (k->n == 1)
        table_cellf(t, "%s%s", k->at[0].name, suffix);
    else
        table_cellf(t, "%s%s (+%u)", k->at[0].name, suffix, k->n - 1);
}

static void add_row(struct table *t, const char *name, const char *type, const struct codec_column_facts *c)
{
    table_cell(t, name);
    table_cell(t, type);
    cell_kinds(t, &c->numbers, c->has_ulps ? " +ulp" : "");
    if (c->exponent_min == c->exponent_max)
        table_cellf(t, "%u", c->exponent_min);
    else
        table_cellf(t, "%u-%u", c->exponent_min, c->exponent_max);
    cell_kinds(t, &c->predictor, "");
    cell_kinds(t, &c->ranks, "");
    table_cellf(t, "%" PRIu32, c->n_ranks_max);
    table_cellf(t, "%" PRIu64, c->n_exceptions);
    table_cellf(t, "%" PRIu64, c->n_cells);
    table_cellf(t, "%" PRIu64, c->n_absent);
    table_cellf(t, "%.0f", c->body_bytes);
    table_cellf(t, "%.3f", per(c->body_bytes, c->n_cells));
}

static int show_text(struct ctl *ctl, const struct codec_file *f, const struct codec_facts *facts,
                     const char *path)
{
    static const struct table_column columns[] = {
        {"CHANNEL", false},   {"TYPE", false},  {"NUMBERS", false}, {"EXP", true},
        {"PREDICTOR", false}, {"RANKS", false}, {"MOST", true},     {"EXCEPTIONS", true},
        {"CELLS", true},      {"ABSENT", true}, {"BYTES", true},    {"B/SAMPLE", true}};
    owned(table_freep) struct table *t = NULL;
    char body[16], starts[16], name[CSV_HEADER_CHARS * 2 + 2];

    fprintf(ctl->out,
            "file      %s\nencoding  %s%s\nblocks    %" PRIu64 " of at most %" PRIu32
            " rows\nrows      %" PRIu64 "\nsamples   %" PRIu64 "\nbytes     %s of blocks, %s of starts\n\n",
            path, facts->encodings.n > 0 ? facts->encodings.at[0].name : "-",
            facts->encodings.n > 1 ? " and others" : "", facts->n_blocks, f->rows, facts->n_rows,
            facts->n_samples, numfmt_bytes(facts->body_bytes, body),
            numfmt_bytes(facts->start_bytes, starts));
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    add_row(t, "(time)", "", &facts->time);
    for (uint32_t i = 0; i < f->n_columns; i++) {
        snprintf(name, sizeof name, "%.*s", (int)f->names[i].len, (const char *)f->names[i].data);
        add_row(t, name, type_name(f->types[i]), &facts->columns[i]);
    }
    if (table_print(t, ctl->out, ctl->color) != 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot print");
    return CTL_OK;
}

/* ---- a file of blocks, or a CSV file as if it had been made one ---- */

static bool is_block_file(const char *path)
{
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t head[CODEC_FILE_MAGIC_BYTES];

    return fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head &&
           codec_file_is(span_of(head, sizeof head));
}

static int make_file(struct ctl *ctl, const char *path, struct buf *bytes)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(free_ptr) double *bounds = NULL;
    struct codec_file_options o = {.cold = ctl_option(ctl, "cold") != NULL};
    struct codec_file_made made;
    int code = codec_tool_encoding(ctl, &o.encoding), r;

    if (code == CTL_OK)
        code = codec_tool_rows(ctl, &o.rows);
    if (code == CTL_OK)
        code = codec_tool_load(ctl, path, &t);
    if (code == CTL_OK)
        code = codec_tool_bounds(ctl, t, path, &bounds);
    if (code != CTL_OK)
        return code;
    o.bounds = bounds;
    r = codec_file_make(t, &o, bytes, &made);
    return r != 0 ? ctl_fail(ctl, CTL_FAILED, "%s: cannot be encoded: %s", path, strerror(-r)) : CTL_OK;
}

static int open_either(struct ctl *ctl, const char *path, struct buf *bytes, struct codec_file **ret_f)
{
    static const char *const of_csv[] = {"encoding", "rows", "bound", "cold", "time", "int", "tz"};
    int code;

    if (is_block_file(path)) {
        for (size_t i = 0; i < sizeof of_csv / sizeof of_csv[0]; i++)
            if (ctl_option(ctl, of_csv[i]) != NULL)
                return ctl_fail(ctl, CTL_USAGE, "--%s: %s is made already; this is for CSV files", of_csv[i],
                                path);
        return codec_tool_open(ctl, path, bytes, ret_f);
    }
    code = make_file(ctl, path, bytes);
    if (code != CTL_OK)
        return code;
    return codec_file_open(ret_f, span_of(bytes->data, bytes->len)) == 0
               ? CTL_OK
               : ctl_fail(ctl, CTL_FAILED, "no memory");
}

static int run_inspect(struct ctl *ctl)
{
    owned(buf_deinit) struct buf bytes = {0};
    owned(codec_file_freep) struct codec_file *f = NULL;
    owned(codec_facts_freep) struct codec_facts *facts = NULL;
    const char *path = ctl->args[0];
    int code = open_either(ctl, path, &bytes, &f);

    if (code != CTL_OK)
        return code;
    if (codec_facts_new(&facts, f) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = ctl->json ? show_json(ctl, f, facts, path) : show_text(ctl, f, facts, path);
    if (code == CTL_OK && facts->n_damaged > 0)
        return ctl_fail(ctl, CTL_DAMAGED,
                        "%s: %" PRIu64 " damaged places; which ones says: %s decode %s -o FILE", path,
                        facts->n_damaged, ctl->tier->cli, path);
    return code;
}

static const struct cmd_option options[] = {
    {"encoding", 0, "NAME", "small (default), fast or raw; of a CSV file, as all below"},
    {"rows", 0, "N", "rows of a block (1000)"},
    CODEC_TOOL_BOUND_OPTION,
    {"cold", 0, NULL, "learn nothing: each block begins knowing nothing of the channels"},
    CODEC_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd codec_tool_inspect[] = {
    {"inspect", "FILE", 1, 1, "how each column of a file of blocks, or of a CSV file, is written",
     "NUMBERS says what the cells are taken for: decimals with EXP places, floats, bits, integers. What the "
     "PREDICTOR\n"
     "leaves, or its place among MOST values or differences (RANKS), is what is stored. EXCEPTIONS fit "
     "nothing of it.\n"
     "Where blocks differ, the most frequent is shown and (+N) counts the others.\n"
     "\n"
     "  fogline-codec inspect pump.fgl\n"
     "  fogline-codec inspect pump.csv --encoding fast --rows 100\n"
     "  fogline-codec inspect pump.csv --json | jq '.channels[].bytes_per_sample'",
     options, run_inspect},
    {0},
};
