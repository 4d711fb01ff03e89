#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/numfmt.h"
#include "model/compare.h"
#include "model/score.h"
#include "score/model_output.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { ERROR_PORT = -1 }; /* the score is how far the output is from the input */

struct evaluating {
    struct ctl *ctl;
    struct infer_model *m;
    int port;
    uint32_t element;
    char score_name[NAME_PART_CHARS + 1];
    const char *positive; /* the label that counts; NULL: any but 0 */
    double positive_number;
    struct scored *rows;
    size_t n, alloc;
    uint64_t n_unlabelled, n_odd, n_absent;
    double threshold;
    const char *threshold_from;
};

/* ---- which output ---- */

static const struct infer_tensor *output_of(const struct evaluating *e, size_t port)
{
    const struct infer_graph *g = infer_model_graph(e->m);

    return &g->tensors[g->outputs[port].tensor];
}

/* The names that --score knows, as far as they go into a sentence. */
static int ask_for_score(const struct evaluating *e, const char *what)
{
    const struct infer_graph *g = infer_model_graph(e->m);
    owned(buf_deinit) struct buf known = {0};
    char name[NAME_PART_CHARS + 1];

    for (size_t i = 0; i < g->n_outputs; i++)
        for (uint32_t k = 0; k < infer_shape_elements(&output_of(e, i)->shape) && known.len < 300; k++) {
            if (output_of(e, i)->type == INFER_TEXT)
                continue;
            model_output_name(e->m, i, k, name);
            buf_printf(&known, "%s, ", name);
        }
    return ctl_fail(e->ctl, CTL_USAGE, "%s; there are: %.*serror (how far the output is from the input)",
                    what, (int)known.len, known.data == NULL ? "" : (const char *)known.data);
}

static int choose_error(struct evaluating *e)
{
    const struct infer_graph *g = infer_model_graph(e->m);
    const struct infer_tensor *in = &g->tensors[g->inputs[0].tensor], *out = output_of(e, 0);

    if (g->n_inputs != 1 || in->type != INFER_F32 || out->type != INFER_F32 ||
        infer_shape_elements(&in->shape) != infer_shape_elements(&out->shape))
        return ctl_fail(
            e->ctl, CTL_USAGE,
            "--score error: is for models whose first output has as many numbers as their one input");
    e->port = ERROR_PORT;
    snprintf(e->score_name, sizeof e->score_name, "error");
    return CTL_OK;
}

static int choose_score(struct evaluating *e)
{
    const struct infer_graph *g = infer_model_graph(e->m);
    const char *wanted = ctl_option(e->ctl, "score");
    size_t n = 0;

    if (wanted != NULL && strcmp(wanted, "error") == 0)
        return choose_error(e);
    for (size_t i = 0; i < g->n_outputs; i++)
        for (uint32_t k = 0; k < infer_shape_elements(&output_of(e, i)->shape); k++) {
            char name[NAME_PART_CHARS + 1];

            model_output_name(e->m, i, k, name);
            if (output_of(e, i)->type == INFER_TEXT || (wanted != NULL && strcmp(wanted, name) != 0))
                continue;
            e->port = (int)i;
            e->element = k;
            snprintf(e->score_name, sizeof e->score_name, "%s", name);
            n++;
        }
    if (n == 0)
        return ask_for_score(e,
                             wanted == NULL ? "no output is a number" : "--score: no output has that name");
    return n > 1 ? ask_for_score(e, "say which output is the score: --score NAME") : CTL_OK;
}

static double score_of(const struct evaluating *e)
{
    const float *x = infer_model_input(e->m, 0), *y = infer_model_output(e->m, 0);
    size_t n = infer_shape_elements(&output_of(e, 0)->shape);
    double sum = 0;

    if (e->port != ERROR_PORT)
        return model_number_at(infer_model_output(e->m, (size_t)e->port), output_of(e, (size_t)e->port)->type,
                               e->element);
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sum / (double)(n > 0 ? n : 1);
}

/* ---- labels ---- */

static int no_label(const struct evaluating *e, const struct codec_table *t, const char *path,
                    const char *name)
{
    owned(buf_deinit) struct buf known = {0};

    for (uint32_t i = 0; i < t->n_columns && known.len < 300; i++)
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", t->about[i].header);
    return ctl_fail(e->ctl, CTL_USAGE, "--labels %s: %s has no such column; there are: %.*s", name, path,
                    (int)known.len, known.data == NULL ? "" : (const char *)known.data);
}

static int find_labels(struct evaluating *e, const struct codec_table *t, const char *path,
                       uint32_t *ret_column)
{
    const char *name = ctl_option(e->ctl, "labels");
    int column = codec_table_find(t, name, strlen(name));

    if (column < 0)
        return no_label(e, t, path, name);
    if (t->types[column] == COLUMN_TEXT && e->positive == NULL)
        return ctl_fail(e->ctl, CTL_USAGE,
                        "--labels %s: %s holds texts there; say which one counts: --positive TEXT", name,
                        path);
    if (t->types[column] != COLUMN_TEXT && e->positive != NULL &&
        !numfmt_parse_double(e->positive, strlen(e->positive), &e->positive_number))
        return ctl_fail(e->ctl, CTL_USAGE, "--positive: `%s` is no number, the labels in %s are", e->positive,
                        path);
    *ret_column = (uint32_t)column;
    return CTL_OK;
}

/* false: there is none. */
static bool label_at(const struct evaluating *e, const struct column *c, uint64_t row, bool *ret_label)
{
    double v;

    if (c->absent != NULL && c->absent[row])
        return false;
    if (c->type == COLUMN_TEXT) {
        *ret_label = span_equal(c->text[row], span_str(e->positive));
        return true;
    }
    v = c->type == COLUMN_DOUBLE ? c->f64[row] : (double)c->i64[row];
    *ret_label = e->positive == NULL ? v != 0 : v == e->positive_number;
    return !isnan(v);
}

/* ---- rows ---- */

static int add(struct evaluating *e, double score, bool label)
{
    if (e->n == e->alloc) {
        size_t more = e->alloc == 0 ? 1024 : e->alloc * 2;
        struct scored *rows = realloc(e->rows, more * sizeof *rows);

        if (rows == NULL)
            return ctl_fail(e->ctl, CTL_FAILED, "no memory for more than %zu rows", e->n);
        e->rows = rows;
        e->alloc = more;
    }
    e->rows[e->n++] = (struct scored){score, label};
    return CTL_OK;
}

/* Without a recipe and --inputs: all columns of numbers but that of the labels. */
static int open_feed(struct evaluating *e, const struct codec_table *t, const char *path, uint32_t labels,
                     struct model_feed **ret_f)
{
    owned(free_ptr) struct model_tool_names *inputs = calloc(1, sizeof *inputs);
    struct errmsg err = {""};
    int code = inputs == NULL ? ctl_fail(e->ctl, CTL_FAILED, "no memory")
                              : model_tool_names(e->ctl, "inputs", inputs);

    if (code != CTL_OK)
        return code;
    for (uint32_t i = 0; i < t->n_columns && infer_model_recipe(e->m).len == 0 &&
                         ctl_option(e->ctl, "inputs") == NULL && inputs->n < MODEL_TOOL_NAMES_MAX;
         i++)
        if (i != labels && t->types[i] != COLUMN_TEXT)
            inputs->at[inputs->n++] = t->about[i].header;
    if (model_feed_new(ret_f, e->m, t, inputs->at, inputs->n, &err) != 0)
        return ctl_fail(e->ctl, CTL_USAGE, "%s: %s", path, err.text);
    return CTL_OK;
}

static int run_file(struct evaluating *e, const char *path)
{
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(model_feed_freep) struct model_feed *f = NULL;
    uint32_t labels = 0;
    uint64_t row;
    int code = model_tool_load(e->ctl, path, &t);

    if (code == CTL_OK)
        code = find_labels(e, t, path, &labels);
    if (code == CTL_OK)
        code = open_feed(e, t, path, labels, &f);
    while (code == CTL_OK && model_feed_next(f, &row)) {
        bool label = false;
        double score;

        infer_model_run(e->m);
        score = score_of(e);
        if (!label_at(e, &t->columns[labels], row, &label))
            e->n_unlabelled++;
        else if (isnan(score))
            e->n_odd++;
        else
            code = add(e, score, label);
    }
    if (code == CTL_OK)
        e->n_absent += model_feed_absent(f) + model_feed_waited(f);
    return code;
}

/* ---- the threshold ---- */

static int choose_threshold(struct evaluating *e)
{
    const char *given = ctl_option(e->ctl, "threshold");
    struct span text = infer_model_text(e->m, "threshold");

    e->threshold_from = "best";
    if (given != NULL && strcmp(given, "best") != 0) {
        e->threshold_from = "option";
        if (!numfmt_parse_double(given, strlen(given), &e->threshold) || isnan(e->threshold))
            return ctl_fail(e->ctl, CTL_USAGE, "--threshold: `%s` is neither a number nor best", given);
    } else if (given == NULL && text.len > 0) {
        e->threshold_from = "model";
        if (!numfmt_parse_double((const char *)text.data, text.len, &e->threshold) || isnan(e->threshold))
            return ctl_fail(e->ctl, CTL_FAILED,
                            "the text `threshold` of the model is no number; give one: --threshold T");
    } else if (given == NULL && e->port != ERROR_PORT) {
        e->threshold_from = "default";
        e->threshold = 0.5;
    } else {
        e->threshold = score_best_threshold(e->rows, e->n);
        if (isnan(e->threshold))
            return ctl_fail(e->ctl, CTL_FAILED,
                            "none of %zu rows has the label, so that no threshold is the best; give one: "
                            "--threshold T",
                            e->n);
    }
    return CTL_OK;
}

/* ---- showing ---- */

static int show_json(const struct evaluating *e, const struct score_counts *c, double auc)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(e->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "model", e->ctl->args[0]);
    json_kstr(j, "score", e->score_name);
    json_ku64(j, "rows", e->n);
    json_ku64(j, "labelled", c->tp + c->fn);
    json_ku64(j, "not_run", e->n_absent);
    json_ku64(j, "without_label", e->n_unlabelled);
    json_ku64(j, "without_score", e->n_odd);
    json_kdouble(j, "threshold", e->threshold);
    json_kstr(j, "threshold_from", e->threshold_from);
    json_ku64(j, "tp", c->tp);
    json_ku64(j, "fp", c->fp);
    json_ku64(j, "tn", c->tn);
    json_ku64(j, "fn", c->fn);
    json_kdouble(j, "f1", score_f1(c));
    json_kdouble(j, "far_percent", 100 * score_far(c));
    json_kdouble(j, "mar_percent", 100 * score_mar(c));
    json_kdouble(j, "accuracy", score_accuracy(c));
    json_key(j, "auc");
    if (isnan(auc))
        json_null(j);
    else
        json_double(j, auc);
    json_object_end(j);
    return ctl_json_end(e->ctl, j);
}

static int show_text(const struct evaluating *e, const struct score_counts *c, double auc)
{
    static const char *const from[][2] = {{"option", "as given"},
                                          {"model", "of the model"},
                                          {"default", "as nothing else was said"},
                                          {"best", "the best F1 on these very rows: elsewhere it is worse"}};
    FILE *out = e->ctl->out;

    fprintf(out, "%s: %zu rows, %" PRIu64 " with the label; not run %" PRIu64 "\n", e->ctl->args[0], e->n,
            c->tp + c->fn, e->n_absent);
    fprintf(out, "alarm       %s >= %.6g", e->score_name, e->threshold);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        if (strcmp(from[i][0], e->threshold_from) == 0)
            fprintf(out, " (%s)\n", from[i][1]);
    fprintf(out, "F1          %.4f\n", score_f1(c));
    fprintf(out, "false       %.2f %% of %" PRIu64 " rows without the label (FAR)\n", 100 * score_far(c),
            c->fp + c->tn);
    fprintf(out, "missed      %.2f %% of %" PRIu64 " rows with the label (MAR)\n", 100 * score_mar(c),
            c->tp + c->fn);
    fprintf(out, "accuracy    %.4f\n", score_accuracy(c));
    if (isnan(auc))
        fputs("AUC         none: all rows have the same label\n", out);
    else
        fprintf(out, "AUC         %.4f\n", auc);
    return CTL_OK;
}

static int judge(struct evaluating *e)
{
    struct score_counts c;
    double auc;
    int code;

    if (e->n == 0)
        return ctl_fail(e->ctl, CTL_FAILED,
                        "no row could be judged: at %" PRIu64
                        " the model did not run (a cell is absent, or its "
                        "features look back further), %" PRIu64 " have no label, %" PRIu64 " no score",
                        e->n_absent, e->n_unlabelled, e->n_odd);
    if (e->n_unlabelled + e->n_odd > 0)
        ctl_note(e->ctl, "left out: %" PRIu64 " rows without a label, %" PRIu64 " whose score is no number",
                 e->n_unlabelled, e->n_odd);
    score_sort(e->rows, e->n);
    code = choose_threshold(e);
    if (code != CTL_OK)
        return code;
    c = score_count(e->rows, e->n, e->threshold);
    auc = score_auc(e->rows, e->n);
    return e->ctl->json ? show_json(e, &c, auc) : show_text(e, &c, auc);
}

static int run_eval(struct ctl *ctl)
{
    owned(infer_model_freep) struct infer_model *m = NULL;
    struct evaluating e = {.ctl = ctl, .positive = ctl_option(ctl, "positive")};
    int code = ctl_option(ctl, "labels") != NULL
                   ? model_tool_open(ctl, ctl->args[0], &m)
                   : ctl_fail(ctl, CTL_USAGE, "say which column has the labels: --labels COL");

    e.m = m;
    if (code == CTL_OK)
        code = choose_score(&e);
    for (unsigned i = 1; code == CTL_OK && i < ctl->n_args; i++)
        code = run_file(&e, ctl->args[i]);
    if (code == CTL_OK)
        code = judge(&e);
    free(e.rows);
    return code;
}

static const struct cmd_option options[] = {
    {"labels", 0, "COL", "the column that says what is right"},
    {"positive", 0, "VALUE", "the label that counts as one (any number but 0)"},
    {"score", 0, "NAME", "the output that is the score, or error"},
    {"threshold", 0, "T", "scores from there on are alarms; best: with the best F1"},
    MODEL_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd model_tool_eval[] = {
    {"eval", "MODEL FILE.csv...", 2, CMD_ARGS_ANY, "how well a model tells labelled rows apart",
     "Each file begins anew; all rows are judged together: F1, false alarms among the rows without the label "
     "(FAR),\n"
     "missed ones among those with it (MAR), area under the curve of hits over false alarms (AUC, ties for "
     "one "
     "half).\n"
     "The threshold is the text `threshold` of the model, else 0.5; of --score error, which is the mean "
     "squared\n"
     "difference of output and input as an autoencoder has it, the best. Which one it was is said.\n"
     "\n"
     "  fogline-model eval wear.fogmodel labelled.csv --labels anomaly\n"
     "  fogline-model eval ae.fogmodel a.csv b.csv --labels state --positive broken --score error --json",
     options, run_eval},
    {0},
};
