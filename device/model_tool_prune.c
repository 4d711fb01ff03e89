#include "device/model_tool_learn.h"

#include "base/cleanup.h"
#include "base/numfmt.h"
#include "ctl/table.h"
#include "model/prune.h"

#include <inttypes.h>
#include <string.h>

struct pruning {
    struct ctl *ctl;
    double to;
    struct model_rows rows;
    struct prune_report report;
    struct model_difference difference;
    struct model_tool_any from, made;
    char path[PATH_MAX];
};

static void pruning_deinit(struct pruning *p)
{
    prune_report_deinit(&p->report);
    model_rows_deinit(&p->rows);
    model_tool_any_deinit(&p->made);
    model_tool_any_deinit(&p->from);
}

static int take_options(struct pruning *p)
{
    const char *to = ctl_option(p->ctl, "to");

    if (to == NULL)
        return ctl_fail(p->ctl, CTL_USAGE, "say how much of the weights is to remain: --to 0.5");
    if (!numfmt_parse_double(to, strlen(to), &p->to) || !(p->to > 0 && p->to < 1))
        return ctl_fail(p->ctl, CTL_USAGE, "--to: `%s` is no share above 0 and below 1", to);
    return CTL_OK;
}

static int work(struct pruning *p)
{
    owned(infer_build_freep) struct infer_build *b = NULL;
    struct ctl *ctl = p->ctl;
    struct errmsg err = {""};
    int code = model_tool_read(ctl, ctl->args[0], &p->from);

    if (code == CTL_OK)
        code = model_tool_output(ctl, ctl->args[0], ".pruned.fogmodel", p->path);
    if (code == CTL_OK)
        code = model_tool_rows(ctl, p->from.m, &p->rows);
    if (code != CTL_OK)
        return code;
    if (prune(p->from.m, &p->rows, p->to, &b, &p->report, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->args[0], err.text);
    code = model_tool_make(ctl, p->path, p->from.m, "pruned_from", b, &p->made);
    if (code == CTL_OK && models_compare(infer_model_graph(p->from.m), infer_model_graph(p->made.m), &p->rows,
                                         model_threshold(p->from.m), &p->difference, &err) != 0)
        code = ctl_fail(ctl, CTL_FAILED, "%s: %s", p->path, err.text);
    return code;
}

/* ---- showing ---- */

static int show_json(const struct pruning *p)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(p->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", p->path);
    json_ku64(j, "rows", p->rows.n);
    json_ku64(j, "weights_before", p->report.weights_before);
    json_ku64(j, "weights_after", p->report.weights_after);
    json_key(j, "layers");
    json_array(j);
    for (size_t i = 0; i < p->report.n_layers; i++) {
        const struct prune_layer *l = &p->report.layers[i];

        json_object(j);
        json_ku64(j, "node", l->node);
        json_kstr(j, "op", infer_op_facts(l->op)->name);
        json_ku64(j, "units", l->units);
        json_ku64(j, "kept", l->kept);
        json_kstr(j, "why", l->why);
        json_object_end(j);
    }
    json_array_end(j);
    if (p->rows.n > 0)
        model_tool_difference_json(j, &p->difference);
    model_tool_sizes_json(j, p->from.m, p->made.m);
    json_object_end(j);
    return ctl_json_end(p->ctl, j);
}

static int show_text(const struct pruning *p)
{
    static const struct table_column columns[] = {
        {"NODE", true}, {"OPERATOR", false}, {"UNITS", true}, {"KEPT", true}, {"ALL STAY BECAUSE", false}};
    owned(table_freep) struct table *t = NULL;
    FILE *out = p->ctl->out;

    fprintf(out, "%s: %" PRIu64 " of %" PRIu64 " weights remain (%.3g)\n", p->path, p->report.weights_after,
            p->report.weights_before, (double)p->report.weights_after / (double)p->report.weights_before);
    model_tool_sizes_text(out, p->from.m, p->made.m);
    fputc('\n', out);
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(p->ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < p->report.n_layers; i++) {
        const struct prune_layer *l = &p->report.layers[i];

        table_cellf(t, "%u", l->node);
        table_cell(t, infer_op_facts(l->op)->name);
        table_cellf(t, "%zu", l->units);
        table_cellf(t, "%zu", l->kept);
        table_cell(t, l->why != NULL ? l->why : "");
    }
    if (table_print(t, out, p->ctl->color) != 0)
        return ctl_fail(p->ctl, CTL_FAILED, "cannot print");
    if (p->rows.n == 0)
        return CTL_OK;
    fputc('\n', out);
    return model_tool_difference_text(p->ctl, &p->difference);
}

static int run_prune(struct ctl *ctl)
{
    owned(pruning_deinit) struct pruning p = {.ctl = ctl};
    int code = take_options(&p);

    if (code == CTL_OK)
        code = work(&p);
    if (code == CTL_OK)
        code = ctl->json ? show_json(&p) : show_text(&p);
    return code;
}

static const struct cmd_option options[] = {
    {"to", 0, "SHARE", "how much of the weights of all layers remains at most, such as 0.5"},
    {"calibrate", 0, "FILE.csv", "rows that say what each unit does; again for more files"},
    {"output", 'o', "FILE", "the model to write (MODEL.pruned.fogmodel)"},
    MODEL_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd model_tool_prune[] = {
    {"prune", "MODEL", 1, 1, "a model without its least neurons and channels",
     "Whole units go, so that the model is not only smaller but quicker as well. With rows those go that "
     "move "
     "the\n"
     "least of what stands behind them, and what they gave on average stays; without, those with the least "
     "weights\n"
     "before and behind. MODEL is a model file or an ONNX file of float32: prune first, then quantize. "
     "Nothing "
     "is\n"
     "trained afterwards; train the smaller model where the error is too great.\n"
     "\n"
     "  fogline-model prune wear.fogmodel --to 0.5 --calibrate normal.csv\n"
     "  fogline-model prune wear.onnx --to 0.25 -o small.fogmodel --json | jq .outputs",
     options, run_prune},
    {0},
};
