#include "device/codec_tool.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/numfmt.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int show(struct ctl *ctl, const char *path, const struct codec_table *t,
                const struct codec_file_options *o, const struct codec_file_made *made, size_t bytes)
{
    double per_sample = t->n_samples > 0 ? (double)bytes / (double)t->n_samples : 0;
    owned(json_freep) struct json *j = NULL;
    char size[16];
    int code;

    if (!ctl->json) {
        fprintf(ctl->out,
                "%s: %s, %" PRIu64 " rows, %" PRIu64 " samples in %" PRIu64
                " blocks, %s, %.3f bytes a sample\n",
                path, block_encoding_name(o->encoding), t->n_rows, t->n_samples, made->n_blocks,
                numfmt_bytes(bytes, size), per_sample);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    json_kstr(j, "encoding", block_encoding_name(o->encoding));
    json_ku64(j, "columns", t->n_columns);
    json_ku64(j, "rows", t->n_rows);
    json_ku64(j, "samples", t->n_samples);
    json_ku64(j, "blocks", made->n_blocks);
    json_ku64(j, "bytes", bytes);
    json_ku64(j, "body_bytes", made->body_bytes);
    json_ku64(j, "start_bytes", made->start_bytes);
    json_kdouble(j, "bytes_per_sample", per_sample);
    json_ku64(j, "unreadable_rows", t->n_bad_rows);
    json_ku64(j, "unreadable_cells", t->n_bad_cells);
    json_ku64(j, "cut_texts", t->n_cut_texts);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int run_encode(struct ctl *ctl)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(free_ptr) double *bounds = NULL;
    owned(buf_deinit) struct buf out = {0};
    struct codec_file_options o = {.cold = ctl_option(ctl, "cold") != NULL};
    struct codec_file_made made;
    const char *path;
    int code = codec_tool_output(ctl, ctl->args[0], &path), r;

    if (code == CTL_OK)
        code = codec_tool_encoding(ctl, &o.encoding);
    if (code == CTL_OK)
        code = codec_tool_rows(ctl, &o.rows);
    if (code == CTL_OK)
        code = codec_tool_load(ctl, ctl->args[0], &t);
    if (code == CTL_OK)
        code = codec_tool_bounds(ctl, t, ctl->args[0], &bounds);
    if (code != CTL_OK)
        return code;
    o.bounds = bounds;
    r = codec_file_make(t, &o, &out, &made);
    if (r != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: cannot be encoded: %s", ctl->args[0], strerror(-r));
    r = file_write_atomic(path, span_of(out.data, out.len), 0644);
    if (r != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: cannot be written: %s", path, strerror(-r));
    return show(ctl, path, t, &o, &made, out.len);
}

static const struct cmd_option options[] = {
    {"output", 'o', "FILE", "where to; replaced whole, or not at all"},
    {"encoding", 0, "NAME", "small (default), fast or raw"},
    {"rows", 0, "N", "rows of a block (1000)"},
    CODEC_TOOL_BOUND_OPTION,
    {"cold", 0, NULL, "learn nothing: each block begins knowing nothing of the channels"},
    CODEC_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd codec_tool_encode[] = {
    {"encode", "FILE.csv", 1, 1, "make a file of blocks of a CSV file",
     "The file, plain or gzip, is read as by a source of type csv. Without --bound every value comes back "
     "bit for bit;\n"
     "with it a double may differ by up to EPS, never by more.\n"
     "\n"
     "  fogline-codec encode pump.csv -o pump.fgl\n"
     "  fogline-codec encode pump.csv.gz -o pump.fgl --encoding fast --rows 4096\n"
     "  fogline-codec encode pump.csv -o pump.fgl --bound temperature=0.05 --bound flow=0.2",
     options, run_encode},
    {0},
};
