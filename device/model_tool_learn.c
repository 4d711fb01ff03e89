#include "device/model_tool_learn.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/numfmt.h"
#include "ctl/table.h"
#include "model/onnx_import.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void model_tool_any_deinit(struct model_tool_any *a)
{
    infer_model_free(a->m);
    free(a->copy);
    *a = (struct model_tool_any){0};
}

/* ---- either kind of file ---- */

static int take_build(struct ctl *ctl, const struct infer_build *b, struct buf *out,
                      struct model_tool_any *ret)
{
    struct errmsg err = {""};

    if (infer_build_write(b, out, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    return model_tool_read_back(ctl, out, &ret->copy, &ret->m);
}

static int import(struct ctl *ctl, const char *path, const struct buf *bytes, struct model_tool_any *ret)
{
    owned(onnx_model_freep) struct onnx_model *onnx = NULL;
    owned(infer_build_freep) struct infer_build *b = NULL;
    owned(buf_deinit) struct buf out = {0};
    struct onnx_import_options o = {0};
    struct onnx_import_report report;
    struct errmsg err = {""};
    int r = onnx_model_read(span_of(bytes->data, bytes->len), &onnx, &err);

    if (r == 0)
        r = onnx_import(onnx, &o, &b, &report, &err);
    if (r == 0)
        r = infer_build_text(b, "source", model_tool_base(path), &err);
    if (r != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s; dimensions and a recipe take: %s import %s", path, err.text,
                        ctl->tier->cli, path);
    return take_build(ctl, b, &out, ret);
}

int model_tool_read(struct ctl *ctl, const char *path, struct model_tool_any *ret)
{
    static const char magic[] = "FOGMODEL", suffix[] = ".onnx";
    owned(buf_deinit) struct buf bytes = {0};
    size_t len = strlen(path);
    int r;

    /* What is neither is told by whoever opens it. */
    if (len < sizeof suffix || strcasecmp(path + len + 1 - sizeof suffix, suffix) != 0)
        return model_tool_open(ctl, path, &ret->m);
    r = file_read(path, ONNX_FILE_BYTES_MAX, &bytes);
    if (r != 0)
        return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s: cannot be read: %s", path,
                        strerror(-r));
    if (bytes.len >= sizeof magic - 1 && memcmp(bytes.data, magic, sizeof magic - 1) == 0)
        return model_tool_open(ctl, path, &ret->m);
    return import(ctl, path, &bytes, ret);
}

/* ---- rows ---- */

static void gather(const struct infer_model *m, float *row)
{
    const struct infer_graph *g = infer_model_graph(m);

    for (size_t i = 0; i < g->n_inputs; i++) {
        size_t n = infer_shape_elements(&g->tensors[g->inputs[i].tensor].shape);

        memcpy(row, infer_model_input((struct infer_model *)(uintptr_t)m, i), n * sizeof *row);
        row += n;
    }
}

static int add_file(struct ctl *ctl, struct infer_model *m, const char *path, struct model_rows *rows)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(model_feed_freep) struct model_feed *f = NULL;
    owned(free_ptr) float *row = calloc(rows->width, sizeof *row);
    struct errmsg err = {""};
    size_t before = rows->n;
    uint64_t at;
    int code = row == NULL ? ctl_fail(ctl, CTL_FAILED, "no memory") : model_tool_feed(ctl, m, path, &t, &f);

    while (code == CTL_OK && model_feed_next(f, &at)) {
        gather(m, row);
        if (model_rows_add(rows, row, &err) != 0)
            code = ctl_fail(ctl, CTL_FAILED, "%s: %s", path, err.text);
    }
    if (code != CTL_OK)
        return code;
    if (rows->n == before && model_feed_absent(f) > 0)
        return ctl_fail(ctl, CTL_FAILED,
                        "%s: none of its %" PRIu64
                        " rows has a reading for every input; fill the gaps, or give "
                        "the model a recipe that says what an absent reading is",
                        path, t->n_rows);
    if (rows->n == before)
        return ctl_fail(ctl, CTL_FAILED,
                        "%s: its %" PRIu64
                        " rows are fewer than the features of the model look back on, or a "
                        "channel has no reading",
                        path, t->n_rows);
    if (model_feed_absent(f) > 0)
        ctl_note(ctl, "%s: %" PRIu64 " rows left out: a cell is absent, and the model has no recipe", path,
                 model_feed_absent(f));
    return CTL_OK;
}

int model_tool_rows(struct ctl *ctl, struct infer_model *m, struct model_rows *ret)
{
    struct errmsg err = {""};
    const char *path;
    int code = CTL_OK;

    if (model_rows_init(ret, infer_model_graph(m), &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->args[0], err.text);
    for (unsigned i = 0; code == CTL_OK && (path = ctl_option_n(ctl, "calibrate", i)) != NULL; i++)
        code = add_file(ctl, m, path, ret);
    return code;
}

int model_tool_make(struct ctl *ctl, const char *path, const struct infer_model *from, const char *key,
                    struct infer_build *b, struct model_tool_any *ret)
{
    owned(buf_deinit) struct buf out = {0};
    struct errmsg err = {""};
    char id[65];
    int code;

    model_tool_hex(infer_model_hash(from), 32, id);
    if (infer_build_text(b, key, id, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    code = take_build(ctl, b, &out, ret);
    return code != CTL_OK ? code : model_tool_write(ctl, path, &out);
}

/* ---- what became of it ---- */

static double relative(const struct output_difference *o)
{
    return o->reference_rms > 0 ? o->rms / o->reference_rms : 0;
}

void model_tool_difference_json(struct json *j, const struct model_difference *d)
{
    json_key(j, "outputs");
    json_array(j);
    for (size_t i = 0; i < d->n_outputs; i++) {
        const struct output_difference *o = &d->outputs[i];

        json_object(j);
        json_kstr(j, "name", o->name);
        json_kdouble(j, "worst", o->worst);
        json_kdouble(j, "rms", o->rms);
        json_kdouble(j, "relative", relative(o));
        json_ku64(j, "rows", o->n_rows);
        if (o->is_decision)
            json_kdouble(j, "same_decisions", (double)o->n_decided / (double)(o->n_rows > 0 ? o->n_rows : 1));
        if (o->n_odd > 0)
            json_ku64(j, "not_finite", o->n_odd);
        json_object_end(j);
    }
    json_array_end(j);
}

int model_tool_difference_text(struct ctl *ctl, const struct model_difference *d)
{
    static const struct table_column columns[] = {{"OUTPUT", false},
                                                  {"WORST ERROR", true},
                                                  {"RMS ERROR", true},
                                                  {"OF ITS RMS", true},
                                                  {"SAME DECISIONS", true}};
    owned(table_freep) struct table *t = NULL;

    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < d->n_outputs; i++) {
        const struct output_difference *o = &d->outputs[i];

        table_cell(t, o->name);
        table_cellf(t, "%.4g", o->worst);
        table_cellf(t, "%.4g", o->rms);
        table_cellf(t, "%.3g %%", 100 * relative(o));
        if (o->is_decision)
            table_cellf(t, "%.2f %%", 100 * (double)o->n_decided / (double)(o->n_rows > 0 ? o->n_rows : 1));
        else
            table_cell(t, "-");
    }
    return table_print(t, ctl->out, ctl->color) != 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print") : CTL_OK;
}

static void size_json(struct json *j, const char *key, const struct infer_model *m)
{
    json_key(j, key);
    json_object(j);
    json_ku64(j, "bytes", infer_model_file_bytes(m));
    json_ku64(j, "arena_bytes", infer_model_arena_bytes(m));
    json_ku64(j, "operations", model_tool_operations(infer_model_graph(m)));
    json_object_end(j);
}

void model_tool_sizes_json(struct json *j, const struct infer_model *from, const struct infer_model *to)
{
    size_json(j, "before", from);
    size_json(j, "after", to);
    json_kdouble(j, "size_ratio", (double)infer_model_file_bytes(to) / (double)infer_model_file_bytes(from));
}

void model_tool_sizes_text(FILE *out, const struct infer_model *from, const struct infer_model *to)
{
    char a[16], b[16];

    fprintf(out, "file        %s -> %s (%.3g of it)\n", numfmt_bytes(infer_model_file_bytes(from), a),
            numfmt_bytes(infer_model_file_bytes(to), b),
            (double)infer_model_file_bytes(to) / (double)infer_model_file_bytes(from));
    fprintf(out, "arena       %s -> %s\n", numfmt_bytes(infer_model_arena_bytes(from), a),
            numfmt_bytes(infer_model_arena_bytes(to), b));
    fprintf(out, "operations  %" PRIu64 " -> %" PRIu64 "\n", model_tool_operations(infer_model_graph(from)),
            model_tool_operations(infer_model_graph(to)));
}
