#include "device/model_tool_learn.h"

#include "base/cleanup.h"
#include "base/numfmt.h"
#include "ctl/table.h"
#include "model/quantize.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define ERROR_TOLD 0.02 /* of the outputs */
#define SAME_DECISIONS 0.995

static const char *const methods[] = {
    [RANGE_MSE] = "mse", [RANGE_MINMAX] = "minmax", [RANGE_PERCENTILE] = "percentile"};

struct quantizing {
    struct ctl *ctl;
    struct quantize_options options;
    struct quantize_search search;
    struct model_rows rows;
    struct quantize_report report;
    struct model_difference difference;
    struct model_tool_any from, to;
    char path[PATH_MAX];
};

static void quantizing_deinit(struct quantizing *q)
{
    quantize_report_deinit(&q->report);
    model_rows_deinit(&q->rows);
    model_tool_any_deinit(&q->to);
    model_tool_any_deinit(&q->from);
}

static int take_percentile(struct quantizing *q, const char *text)
{
    if (!numfmt_parse_double(text, strlen(text), &q->options.percentile) ||
        !(q->options.percentile > 50 && q->options.percentile <= 100))
        return ctl_fail(q->ctl, CTL_USAGE, "--percentile: `%s` is no number above 50 and up to 100", text);
    return CTL_OK;
}

static int take_ranges(struct quantizing *q)
{
    const char *method = ctl_option(q->ctl, "ranges"), *percentile = ctl_option(q->ctl, "percentile");

    if (percentile != NULL && (method == NULL || strcmp(method, "percentile") != 0))
        return ctl_fail(q->ctl, CTL_USAGE, "--percentile goes with --ranges percentile");
    q->options.percentile = 99.99;
    q->search.ranges = method == NULL || strcmp(method, "best") == 0;
    if (q->search.ranges)
        return CTL_OK;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i], method) == 0) {
            q->options.method = (enum range_method)i;
            return percentile == NULL ? CTL_OK : take_percentile(q, percentile);
        }
    return ctl_fail(q->ctl, CTL_USAGE, "--ranges: `%s` is none of best, mse, minmax, percentile", method);
}

static int take_options(struct quantizing *q)
{
    const char *most = ctl_option(q->ctl, "max-error"), *same = ctl_option(q->ctl, "same-decisions");
    double percent;

    if (ctl_option(q->ctl, "calibrate") == NULL)
        return ctl_fail(q->ctl, CTL_USAGE, "say of which rows to learn the ranges: --calibrate FILE.csv");
    if (most != NULL) {
        if (!numfmt_parse_double(most, strlen(most), &percent) || !(percent > 0 && percent < 100))
            return ctl_fail(q->ctl, CTL_USAGE, "--max-error: `%s` is no percentage above 0 and below 100",
                            most);
        q->search.error_max = percent / 100;
    }
    q->search.same_min = SAME_DECISIONS;
    if (same != NULL) {
        if (!numfmt_parse_double(same, strlen(same), &percent) || !(percent >= 0 && percent <= 100))
            return ctl_fail(q->ctl, CTL_USAGE, "--same-decisions: `%s` is no percentage from 0 to 100", same);
        q->search.same_min = percent / 100;
    }
    return take_ranges(q);
}

static int work(struct quantizing *q)
{
    owned(infer_build_freep) struct infer_build *b = NULL;
    struct ctl *ctl = q->ctl;
    struct errmsg err = {""};
    int code = model_tool_read(ctl, ctl->args[0], &q->from);

    if (code == CTL_OK)
        code = model_tool_output(ctl, ctl->args[0], ".int8.fogmodel", q->path);
    if (code == CTL_OK)
        code = model_tool_rows(ctl, q->from.m, &q->rows);
    if (code != CTL_OK)
        return code;
    q->search.threshold = model_threshold(q->from.m);
    if (quantize_best(q->from.m, &q->rows, &q->options, &q->search, &b, &q->report, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->args[0], err.text);
    code = model_tool_make(ctl, q->path, q->from.m, "quantised_from", b, &q->to);
    if (code == CTL_OK && models_compare(infer_model_graph(q->from.m), infer_model_graph(q->to.m), &q->rows,
                                         q->search.threshold, &q->difference, &err) != 0)
        code = ctl_fail(ctl, CTL_FAILED, "%s: %s", q->path, err.text);
    return code;
}

/* ---- showing ---- */

static const char *form_of(const struct quantize_layer *l)
{
    if (!l->is_integer)
        return "float32";
    return l->by_column ? "int8, a scale for each input" : "int8";
}

static int show_json(const struct quantizing *q)
{
    const struct quantize_report *r = &q->report;
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(q->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", q->path);
    json_ku64(j, "rows", q->rows.n);
    json_kstr(j, "ranges", methods[q->search.chosen.method]);
    if (q->search.chosen.method == RANGE_PERCENTILE)
        json_kdouble(j, "percentile", q->search.chosen.percentile);
    json_kdouble(j, "error", quantize_error(&q->difference));
    json_kdouble(j, "same_decisions", quantize_same(&q->difference));
    json_kbool(j, "met", quantize_is_met(&q->search));
    json_ku64(j, "integer_layers", r->n_integer);
    json_ku64(j, "folded", r->n_folded);
    json_ku64(j, "tables", r->n_tables);
    json_ku64(j, "moves", r->n_moves);
    json_ku64(j, "float_nodes", r->n_float);
    json_ku64(j, "not_finite", r->n_odd);
    json_key(j, "layers");
    json_array(j);
    for (size_t i = 0; i < r->n_layers; i++) {
        const struct quantize_layer *l = &r->layers[i];

        json_object(j);
        json_ku64(j, "node", l->node);
        json_kstr(j, "op", infer_op_facts(l->op)->name);
        json_ku64(j, "inputs", l->inputs);
        json_ku64(j, "outputs", l->outputs);
        json_kbool(j, "integer", l->is_integer);
        json_kbool(j, "by_column", l->by_column);
        json_kstr(j, "why", l->why);
        json_key(j, "sqnr_db");
        if (isfinite(l->sqnr_db))
            json_double(j, l->sqnr_db);
        else
            json_null(j);
        json_object_end(j);
    }
    json_array_end(j);
    model_tool_difference_json(j, &q->difference);
    model_tool_sizes_json(j, q->from.m, q->to.m);
    json_object_end(j);
    return ctl_json_end(q->ctl, j);
}

static int put_layers(const struct quantizing *q)
{
    static const struct table_column columns[] = {{"NODE", true},    {"OPERATOR", false}, {"INPUTS", true},
                                                  {"OUTPUTS", true}, {"SQNR DB", true},   {"FORM", false}};
    owned(table_freep) struct table *t = NULL;

    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(q->ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < q->report.n_layers; i++) {
        const struct quantize_layer *l = &q->report.layers[i];

        table_cellf(t, "%u", l->node);
        table_cell(t, infer_op_facts(l->op)->name);
        table_cellf(t, "%zu", l->inputs);
        table_cellf(t, "%zu", l->outputs);
        if (isfinite(l->sqnr_db))
            table_cellf(t, "%.1f", l->sqnr_db);
        else
            table_cell(t, "exact");
        table_cellf(t, "%s%s%s", form_of(l), l->why != NULL ? ": " : "", l->why != NULL ? l->why : "");
    }
    return table_print(t, q->ctl->out, q->ctl->color) != 0 ? ctl_fail(q->ctl, CTL_FAILED, "cannot print")
                                                           : CTL_OK;
}

static int show_text(const struct quantizing *q)
{
    const struct quantize_report *r = &q->report;
    FILE *out = q->ctl->out;
    int code = CTL_OK;

    fprintf(out, "%s: %zu of %zu layers in int8, by %zu rows\n", q->path, r->n_integer, r->n_layers,
            q->rows.n);
    model_tool_sizes_text(out, q->from.m, q->to.m);
    fprintf(out, "ranges      %s", methods[q->search.chosen.method]);
    if (q->search.chosen.method == RANGE_PERCENTILE)
        fprintf(out, " %g", q->search.chosen.percentile);
    fprintf(out, "\nnodes       %zu went into layers, %zu are tables, %zu move int8, %zu stay as they are\n",
            r->n_folded, r->n_tables, r->n_moves, r->n_float);
    if (r->n_layers > 0) {
        fputc('\n', out);
        code = put_layers(q);
    }
    fputc('\n', out);
    return code != CTL_OK ? code : model_tool_difference_text(q->ctl, &q->difference);
}

static int run_quantize(struct ctl *ctl)
{
    owned(quantizing_deinit) struct quantizing q = {.ctl = ctl};
    int code = take_options(&q);

    if (code == CTL_OK)
        code = work(&q);
    if (code != CTL_OK)
        return code;
    if (q.report.n_integer == 0)
        ctl_note(
            ctl, "%s: no layer became int8: %s", ctl->args[0],
            q.report.n_layers == 0
                ? "there is no Gemm, MatMul or Conv with float32 weights; trees, linear models, scalers and "
                  "what is int8 already stay as they are"
                : "the table says why");
    if (q.report.n_odd > 0)
        ctl_note(ctl, "%" PRIu64 " values were no finite numbers and taught nothing", q.report.n_odd);
    if (!quantize_is_met(&q.search))
        ctl_note(
            ctl,
            "%s: %.2g %% off and %.4g %% of decisions the same is as good as it gets: no layer is left that "
            "float32 would help",
            ctl->args[0], 100 * q.search.error, 100 * q.search.same);
    else if (quantize_error(&q.difference) > ERROR_TOLD && q.search.error_max == 0)
        ctl_note(ctl,
                 "the outputs are off by %.2g %%; `--max-error 1` keeps layers in float32 that cost most",
                 100 * quantize_error(&q.difference));
    return ctl->json ? show_json(&q) : show_text(&q);
}

static const struct cmd_option options[] = {
    {"calibrate", 0, "FILE.csv", "rows as they come in operation; again for more files"},
    {"output", 'o', "FILE", "the model to write (MODEL.int8.fogmodel)"},
    {"max-error", 0, "PERCENT", "keep layers in float32 while the outputs are off by more"},
    {"same-decisions", 0, "PERCENT", "keep layers in float32 while fewer are the same (99.5; 0: never)"},
    {"ranges", 0, "HOW", "of activations: best (of these), mse, minmax, percentile"},
    {"percentile", 0, "P", "what lies within the ranges of percentile (99.99)"},
    MODEL_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd model_tool_quantize[] = {
    {"quantize", "MODEL", 1, 1, "a model of float32 in int8, and what that costs",
     "MODEL is a model file or an ONNX file. Its rows, from --calibrate, go through its recipe as on a "
     "device; "
     "some hundred\n"
     "rows of ordinary operation do. The signal-to-noise ratio of a layer is that of its result with all "
     "before "
     "it\n"
     "in int8 as well; errors of outputs are over the same rows. Try it on others with `eval`. A signature "
     "is "
     "not\n"
     "carried over: the new model is another one.\n"
     "\n"
     "A decision is the greatest of several scores, an integer, a text, or the side of the threshold on "
     "which\n"
     "a single score lies: that of the text `threshold` of the model, else 0.5 for probabilities.\n"
     "\n"
     "  fogline-model quantize wear.fogmodel --calibrate normal.csv\n"
     "  fogline-model quantize wear.onnx --calibrate a.csv --calibrate b.csv -o wear8.fogmodel --json",
     options, run_quantize},
    {0},
};
