#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "score/model_output.h"

#include <inttypes.h>
#include <string.h>

enum { OUTPUTS_MAX = 1 << 16 };

struct output {
    char name[NAME_PART_CHARS + 1];
    enum infer_type type;
    size_t port;
    uint32_t element;
};

struct running {
    struct ctl *ctl;
    struct infer_model *m;
    const struct codec_table *t;
    struct output *outputs;
    size_t n_outputs;
    struct json *j; /* with --json */
    uint64_t n_runs;
};

static int list_outputs(struct running *r)
{
    const struct infer_graph *g = infer_model_graph(r->m);
    size_t n = 0;

    for (size_t i = 0; i < g->n_outputs; i++)
        n += infer_shape_elements(&g->tensors[g->outputs[i].tensor].shape);
    if (n > OUTPUTS_MAX)
        return ctl_fail(r->ctl, CTL_FAILED, "the model gives %zu numbers a run, more than %d", n,
                        OUTPUTS_MAX);
    r->outputs = calloc(n + 1, sizeof *r->outputs);
    if (r->outputs == NULL)
        return ctl_fail(r->ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct infer_tensor *t = &g->tensors[g->outputs[i].tensor];

        for (uint32_t k = 0; k < infer_shape_elements(&t->shape); k++) {
            struct output *o = &r->outputs[r->n_outputs++];

            *o = (struct output){.type = t->type, .port = i, .element = k};
            model_output_name(r->m, i, k, o->name);
        }
    }
    return CTL_OK;
}

static struct cell cell_of(const struct running *r, const struct output *o)
{
    return model_output_cell(o->type, infer_model_output(r->m, o->port), o->element);
}

/* ---- CSV ---- */

static void put_header(const struct running *r)
{
    fputs(r->t->has_time ? "time" : "row", r->ctl->out);
    for (size_t i = 0; i < r->n_outputs; i++)
        fprintf(r->ctl->out, ",%s", r->outputs[i].name);
    fputc('\n', r->ctl->out);
}

/* Labels come with the model: quoted always, whatever is in them. */
static void put_text(FILE *out, struct span s)
{
    fputc('"', out);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"')
            fputc('"', out);
        fputc(s.data[i], out);
    }
    fputc('"', out);
}

static void put_row(const struct running *r, uint64_t row)
{
    FILE *out = r->ctl->out;
    char text[NUMFMT_DOUBLE_CHARS], stamp[40];

    if (r->t->has_time)
        fputs(clock_format_utc(r->t->time_ns[row], stamp), out);
    else
        fprintf(out, "%" PRIu64, row);
    for (size_t i = 0; i < r->n_outputs; i++) {
        struct cell c = cell_of(r, &r->outputs[i]);

        fputc(',', out);
        switch (model_output_type(r->outputs[i].type)) {
        case COLUMN_DOUBLE:
            fwrite(text, 1, numfmt_double(c.f64, text), out);
            break;
        case COLUMN_TEXT:
            put_text(out, c.text);
            break;
        default:
            fprintf(out, "%" PRId64, c.i64);
            break;
        }
    }
    fputc('\n', out);
}

/* ---- JSON lines ---- */

static int put_json(const struct running *r, uint64_t row)
{
    char stamp[40];

    json_object(r->j);
    json_ku64(r->j, "row", row);
    if (r->t->has_time)
        json_kstr(r->j, "time", clock_format_utc(r->t->time_ns[row], stamp));
    json_key(r->j, "outputs");
    json_object(r->j);
    for (size_t i = 0; i < r->n_outputs; i++) {
        struct cell c = cell_of(r, &r->outputs[i]);

        json_key(r->j, r->outputs[i].name);
        switch (model_output_type(r->outputs[i].type)) {
        case COLUMN_DOUBLE:
            json_double(r->j, c.f64);
            break;
        case COLUMN_TEXT:
            json_strn(r->j, (const char *)c.text.data, c.text.len);
            break;
        case COLUMN_BOOL:
            json_bool(r->j, c.i64 != 0);
            break;
        default:
            json_i64(r->j, c.i64);
            break;
        }
    }
    json_object_end(r->j);
    json_object_end(r->j);
    return ctl_json_end(r->ctl, r->j);
}

/* ---- the whole ---- */

static int run_rows(struct running *r, struct model_feed *f)
{
    uint64_t row;
    int code = CTL_OK;

    if (r->j == NULL)
        put_header(r);
    while (code == CTL_OK && model_feed_next(f, &row)) {
        infer_model_run(r->m);
        r->n_runs++;
        if (r->j != NULL)
            code = put_json(r, row);
        else
            put_row(r, row);
    }
    if (code == CTL_OK && (fflush(r->ctl->out) != 0 || ferror(r->ctl->out) != 0))
        code = ctl_fail(r->ctl, CTL_FAILED, "the output cannot be written");
    return code;
}

static int run_run(struct ctl *ctl)
{
    owned(infer_model_freep) struct infer_model *m = NULL;
    owned(codec_table_freep) struct codec_table *t = NULL;
    owned(model_feed_freep) struct model_feed *f = NULL;
    owned(json_freep) struct json *j = NULL;
    owned(free_ptr) struct output *outputs = NULL;
    struct running r = {.ctl = ctl};
    int code = model_tool_open(ctl, ctl->args[0], &m);

    if (code == CTL_OK)
        code = model_tool_feed(ctl, m, ctl->args[1], &t, &f);
    r.m = m;
    r.t = t;
    if (code == CTL_OK)
        code = list_outputs(&r);
    outputs = r.outputs;
    if (code == CTL_OK && ctl->json)
        code = ctl_json(ctl, true, &j);
    r.j = j;
    if (code == CTL_OK)
        code = run_rows(&r, f);
    if (code == CTL_OK && model_feed_absent(f) > 0)
        ctl_note(ctl, "%s: %" PRIu64 " rows left out: a cell is absent, and the model has no recipe",
                 ctl->args[1], model_feed_absent(f));
    if (code == CTL_OK && r.n_runs == 0 && model_feed_waited(f) > 0)
        ctl_note(ctl, "%s: its %" PRIu64 " rows are fewer than the features of the model look back on",
                 ctl->args[1], t->n_rows);
    return code;
}

static const struct cmd_option options[] = {
    MODEL_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd model_tool_run[] = {
    {"run", "MODEL FILE.csv", 2, 2, "what a model says to the rows of a CSV file",
     "The rows go through the recipe of the model, when it has one, as on a device; the columns are those "
     "that it "
     "names.\n"
     "Without a recipe each row is an input, and rows with an absent cell are left out. Prints CSV: the time "
     "of the "
     "row,\n"
     "or its number from 0, and the outputs; with --json a line for each run.\n"
     "\n"
     "  fogline-model run wear.fogmodel pump.csv > verdicts.csv\n"
     "  fogline-model run wear.fogmodel pump.csv --inputs 'Pump Current',Vibration\n"
     "  fogline-model run wear.fogmodel pump.csv --json | jq .outputs",
     options, run_run},
    {0},
};
