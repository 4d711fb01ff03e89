#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/table.h"
#include "infer/kernel.h"

#include <inttypes.h>

enum {
    SAMPLES_MAX = 100000,
    SAMPLES_MIN = 100,
    SAMPLE_NS = 2000, /* a sample is so long at least: a clock's own time is some 30 ns */
    RUNS_A_SAMPLE_MAX = 4096,
    NODE_SHARE = 4, /* a node is measured for a fourth of the time of the whole */
};

struct timing {
    double p50_ns, p99_ns, mean_ns; /* of a run */
    uint64_t n_runs;
    uint32_t runs_a_sample;
};

/* What is measured: the whole model, or one node. */
struct work {
    struct infer_model *m;
    size_t node; /* SIZE_MAX: all */
};

static void work_once(const struct work *w)
{
    if (w->node == SIZE_MAX)
        infer_model_run(w->m);
    else
        infer_model_run_node(w->m, w->node);
}

static int64_t work_for(const struct work *w, uint32_t n)
{
    int64_t start = clock_mono_ns(&clock_real);

    for (uint32_t i = 0; i < n; i++)
        work_once(w);
    return clock_mono_ns(&clock_real) - start;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static struct timing measure(const struct work *w, int64_t for_ns, double *samples)
{
    struct timing t = {.runs_a_sample = 1};
    int64_t start, took;
    size_t n = 0;
    double sum = 0;

    while (work_for(w, t.runs_a_sample) < SAMPLE_NS && t.runs_a_sample < RUNS_A_SAMPLE_MAX)
        t.runs_a_sample *= 2;
    for (start = clock_mono_ns(&clock_real);
         n < SAMPLES_MAX && (n < SAMPLES_MIN || clock_mono_ns(&clock_real) - start < for_ns); n++) {
        took = work_for(w, t.runs_a_sample);
        samples[n] = (double)took / t.runs_a_sample;
        sum += samples[n];
    }
    qsort(samples, n, sizeof *samples, by_size);
    t.p50_ns = samples[n / 2];
    t.p99_ns = samples[n * 99 / 100];
    t.mean_ns = sum / (double)n;
    t.n_runs = (uint64_t)n * t.runs_a_sample;
    return t;
}

/* Values of -1 to 1 for all inputs, the same each time: xorshift (Marsaglia 2003). */
static int fill(struct ctl *ctl, struct infer_model *m)
{
    size_t n = model_feed_width(m);
    owned(free_ptr) double *values = calloc(n + 1, sizeof *values);
    uint64_t x = UINT64_C(88172645463325252);

    if (values == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        values[i] = (double)(x >> 11) / (double)(UINT64_C(1) << 52) - 1;
    }
    model_feed_put(m, values);
    return CTL_OK;
}

struct benching {
    struct ctl *ctl;
    struct infer_model *m;
    const struct infer_graph *g;
    double *samples;
    struct timing all, *nodes; /* a timing for each node */
};

/* ---- showing ---- */

static void json_timing(struct json *j, const struct timing *t, uint64_t operations)
{
    json_kdouble(j, "p50_us", t->p50_ns / 1e3);
    json_kdouble(j, "p99_us", t->p99_ns / 1e3);
    json_kdouble(j, "mean_us", t->mean_ns / 1e3);
    json_ku64(j, "operations", operations);
    json_kdouble(j, "operations_per_s", t->p50_ns > 0 ? (double)operations / t->p50_ns * 1e9 : 0);
}

static int show_json(const struct benching *b, const char *path)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(b->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    json_kstr(j, "kernel", kernel_best()->name);
    json_ku64(j, "bytes", infer_model_file_bytes(b->m));
    json_ku64(j, "arena_bytes", infer_model_arena_bytes(b->m));
    json_ku64(j, "runs", b->all.n_runs);
    json_ku64(j, "runs_per_sample", b->all.runs_a_sample);
    json_timing(j, &b->all, model_tool_operations(b->g));
    json_key(j, "layers");
    json_array(j);
    for (size_t i = 0; i < b->g->n_nodes; i++) {
        json_object(j);
        json_kstr(j, "op", infer_op_facts(b->g->nodes[i].op)->name);
        json_timing(j, &b->nodes[i], infer_op_operations(&b->g->nodes[i], b->g->tensors));
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(b->ctl, j);
}

static int show_text(const struct benching *b, const char *path)
{
    static const struct table_column columns[] = {
        {"#", true}, {"OPERATOR", false}, {"P50 US", true}, {"P99 US", true}, {"M OPERATIONS/S", true}};
    owned(table_freep) struct table *t = NULL;

    fprintf(b->ctl->out,
            "%s: p50 %.3g us, p99 %.3g us a run, %.4g million operations/s, %s kernels (%" PRIu64
            " runs, timed by %u)\n\n",
            path, b->all.p50_ns / 1e3, b->all.p99_ns / 1e3,
            (double)model_tool_operations(b->g) / b->all.p50_ns * 1e3, kernel_best()->name, b->all.n_runs,
            b->all.runs_a_sample);
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(b->ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < b->g->n_nodes; i++) {
        uint64_t operations = infer_op_operations(&b->g->nodes[i], b->g->tensors);

        table_cellf(t, "%zu", i);
        table_cell(t, infer_op_facts(b->g->nodes[i].op)->name);
        table_cellf(t, "%.3f", b->nodes[i].p50_ns / 1e3);
        table_cellf(t, "%.3f", b->nodes[i].p99_ns / 1e3);
        table_cellf(t, "%.0f", b->nodes[i].p50_ns > 0 ? (double)operations / b->nodes[i].p50_ns * 1e3 : 0);
    }
    return table_print(t, b->ctl->out, b->ctl->color) != 0 ? ctl_fail(b->ctl, CTL_FAILED, "cannot print")
                                                           : CTL_OK;
}

static int run_bench(struct ctl *ctl)
{
    owned(infer_model_freep) struct infer_model *m = NULL;
    owned(free_ptr) double *samples = calloc(SAMPLES_MAX, sizeof *samples);
    owned(free_ptr) struct timing *nodes = NULL;
    struct benching b = {.ctl = ctl, .samples = samples};
    int64_t seconds;
    int code = ctl_option_i64(ctl, "seconds", 1, 3600, 1, &seconds);

    if (code == CTL_OK)
        code = model_tool_open(ctl, ctl->args[0], &m);
    if (code == CTL_OK)
        code = fill(ctl, m);
    if (code != CTL_OK)
        return code;
    b.m = m;
    b.g = infer_model_graph(m);
    b.nodes = nodes = calloc(b.g->n_nodes + 1, sizeof *nodes);
    if (samples == NULL || nodes == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    b.all = measure(&(struct work){m, SIZE_MAX}, seconds * NS_PER_S, samples);
    for (size_t i = 0; i < b.g->n_nodes; i++)
        nodes[i] =
            measure(&(struct work){m, i}, seconds * NS_PER_S / NODE_SHARE / (int64_t)b.g->n_nodes, samples);
    return ctl->json ? show_json(&b, ctl->args[0]) : show_text(&b, ctl->args[0]);
}

static const struct cmd_option options[] = {
    {"seconds", 0, "S", "how long the whole is measured (1)"},
    {0},
};

const struct cmd model_tool_bench[] = {
    {"bench", "MODEL", 1, 1, "how long a run takes on this machine, as a whole and layer by layer",
     "On made-up inputs, one thread. Runs below 2 us are timed several at once, and then P99 is of such "
     "groups.\n"
     "\n"
     "  fogline-model bench wear.fogmodel\n"
     "  fogline-model bench wear.fogmodel --seconds 10 --json | jq '[.p50_us, .p99_us]'",
     options, run_bench},
    {0},
};
