/* bench_quantize.c - how many decisions of a net are the same once it works on int8.
 *
 *   bench_quantize FILE...      SKAB's runs: a time, eight sensors, the label, another; separator `;`
 *
 * A net of 40-32-16-1 neurons is trained on every other file, its ranges are learnt from the same rows, and
 * the other files judge. Its inputs are, of each sensor, what a recipe of features has: the z-score over the
 * first 400 rows of the run, its exponential means with weights 0.1 and 0.02, their difference, and the
 * exponential standard deviation, all clipped. Standard output: JSON.
 */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/rng.h"
#include "infer/build.h"
#include "model/compare.h"
#include "model/graph_run.h"
#include "model/quantize.h"
#include "model/score.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SENSORS = 8,
    OF_EACH = 5,
    INPUTS = SENSORS * OF_EACH,
    FIRST = 32,
    SECOND = 16,
    USUAL_ROWS = 400,
    EPOCHS = 12,
    ROWS_MAX = 1 << 16
};

#define CLIP 8.0

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_quantize: %s: %s\n", what, why);
    exit(1);
}

static void *room(size_t n, size_t bytes)
{
    void *p = calloc(n, bytes);

    if (p == NULL)
        die("room", "no memory");
    return p;
}

/* ---- rows ---- */

struct sample {
    float x[INPUTS];
    bool label;
};

struct samples {
    struct sample *at;
    size_t n;
};

static bool read_line(char *line, float *values, bool *ret_label)
{
    (void)strsep(&line, ";");
    for (int i = 0; i < SENSORS; i++) {
        char *text = strsep(&line, ";"), *end;

        if (text == NULL)
            return false;
        values[i] = strtof(text, &end);
        if (end == text)
            return false;
    }
    *ret_label = line != NULL && strtod(line, NULL) > 0.5;
    return true;
}

static float clipped(double v)
{
    return (float)fmin(fmax(v, -CLIP), CLIP);
}

/* z: the sensors of one run, SENSORS a row, standardised. */
static void features(const float *z, size_t n, struct sample *out)
{
    for (int k = 0; k < SENSORS; k++) {
        double quick = 0, slow = 0, variance = 1;

        for (size_t i = 0; i < n; i++) {
            double v = (double)z[i * SENSORS + (size_t)k];
            float *x = &out[i].x[k * OF_EACH];

            variance += 0.1 * ((v - quick) * (v - quick) - variance);
            quick += 0.1 * (v - quick);
            slow += 0.02 * (v - slow);
            x[0] = clipped(v);
            x[1] = clipped(quick);
            x[2] = clipped(slow);
            x[3] = clipped(quick - slow);
            x[4] = clipped(sqrt(variance));
        }
    }
}

/* The run begins in order: its first rows say what is usual. */
static void standardise(float *z, size_t n)
{
    size_t learnt = n < USUAL_ROWS ? n : USUAL_ROWS;

    for (int k = 0; k < SENSORS; k++) {
        double sum = 0, squares = 0, deviation;

        for (size_t i = 0; i < learnt; i++)
            sum += (double)z[i * SENSORS + (size_t)k];
        for (size_t i = 0; i < learnt; i++)
            squares += pow((double)z[i * SENSORS + (size_t)k] - sum / (double)learnt, 2);
        deviation = fmax(sqrt(squares / (double)learnt), 1e-6);
        for (size_t i = 0; i < n; i++) {
            float *at = &z[i * SENSORS + (size_t)k];

            *at = (float)(((double)*at - sum / (double)learnt) / deviation);
        }
    }
}

static void read_file(const char *path, struct samples *s)
{
    float *z = room(ROWS_MAX * SENSORS, sizeof *z);
    FILE *f = fopen(path, "r");
    char line[4096];
    size_t n = 0;

    if (f == NULL)
        die(path, strerror(errno));
    while (fgets(line, sizeof line, f) != NULL) {
        if (s->n + n == ROWS_MAX)
            die(path, "more rows than there is room for");
        /* The header is no row. */
        n += read_line(line, z + n * SENSORS, &s->at[s->n + n].label);
    }
    fclose(f);
    if (n == 0)
        die(path, "no rows of eight numbers");
    standardise(z, n);
    features(z, n, s->at + s->n);
    s->n += n;
    free(z);
}

/* ---- training ---- */

struct layer {
    int in, out;
    float *w, *bias;
    float *m, *v; /* Adam's moments: those of the weights, then of the biases */
    float *y, *dy;
};

struct net {
    struct layer layers[3];
};

static void layer_init(struct layer *l, int in, int out, struct rng *rng)
{
    *l = (struct layer){.in = in, .out = out};
    l->w = room((size_t)(in * out), sizeof *l->w);
    l->bias = room((size_t)out, sizeof *l->bias);
    l->m = room((size_t)((in + 1) * out), sizeof *l->m);
    l->v = room((size_t)((in + 1) * out), sizeof *l->v);
    l->y = room((size_t)out, sizeof *l->y);
    l->dy = room((size_t)out, sizeof *l->dy);
    for (int i = 0; i < in * out; i++)
        l->w[i] = (float)(rng_normal(rng) * sqrt(2.0 / in));
}

static void layer_deinit(struct layer *l)
{
    free(l->w);
    free(l->bias);
    free(l->m);
    free(l->v);
    free(l->y);
    free(l->dy);
}

static float forward(struct net *n, const float *x)
{
    for (int k = 0; k < 3; k++) {
        struct layer *l = &n->layers[k];

        for (int o = 0; o < l->out; o++) {
            float sum = l->bias[o];

            for (int i = 0; i < l->in; i++)
                sum += l->w[o * l->in + i] * x[i];
            l->y[o] = k < 2 && sum < 0 ? 0 : sum;
        }
        x = l->y;
    }
    return 1 / (1 + expf(-x[0]));
}

static void adam(float *w, float *m, float *v, float gradient, double step)
{
    *m += 0.1f * (gradient - *m);
    *v += 0.001f * (gradient * gradient - *v);
    *w -= (float)(step * (double)*m / (sqrt((double)*v) + 1e-8));
}

/* The loss is the cross entropy, whose gradient before the last function is p - label. */
static void backward(struct net *n, const float *x, float error, double step)
{
    n->layers[2].dy[0] = error;
    for (int k = 2; k >= 0; k--) {
        struct layer *l = &n->layers[k], *below = k > 0 ? l - 1 : NULL;
        const float *in = below != NULL ? below->y : x;

        if (below != NULL)
            memset(below->dy, 0, (size_t)below->out * sizeof *below->dy);
        for (int o = 0; o < l->out; o++) {
            if (k < 2 && l->y[o] <= 0)
                continue;
            for (int i = 0; i < l->in; i++) {
                int at = o * l->in + i;

                if (below != NULL)
                    below->dy[i] += l->w[at] * l->dy[o];
                adam(&l->w[at], &l->m[at], &l->v[at], l->dy[o] * in[i], step);
            }
            adam(&l->bias[o], &l->m[l->in * l->out + o], &l->v[l->in * l->out + o], l->dy[o], step);
        }
    }
}

static void train(struct net *n, const struct samples *s, struct rng *rng)
{
    for (int epoch = 0; epoch < EPOCHS; epoch++)
        for (size_t i = 0; i < s->n; i++) {
            const struct sample *one = &s->at[rng_below(rng, s->n)];

            backward(n, one->x, forward(n, one->x) - (float)one->label, 1e-3 / (1 + epoch));
        }
}

/* ---- the net as a model ---- */

static void check(int r, const struct errmsg *err)
{
    if (r != 0)
        die("the model", err->text);
}

static uint16_t constant(struct infer_build *b, struct infer_shape shape, const float *values)
{
    struct errmsg err = {""};
    uint16_t tensor = 0;

    check(infer_build_constant(b, INFER_F32, &shape, values, &tensor, &err), &err);
    return tensor;
}

static struct infer_build *build(const struct net *n)
{
    struct infer_build *b = infer_build_new();
    struct errmsg err = {""};
    uint16_t at = 0;

    if (b == NULL)
        die("the model", "no memory");
    check(
        infer_build_input(b, "x", INFER_F32, &(struct infer_shape){.rank = 2, .dim = {1, INPUTS}}, &at, &err),
        &err);
    for (int k = 0; k < 3; k++) {
        const struct layer *l = &n->layers[k];
        uint32_t out = (uint32_t)l->out, in = (uint32_t)l->in;
        struct infer_node node = {
            .op = INFER_GEMM, .n_inputs = 3, .n_outputs = 1, .ints = {[1] = 1}, .floats = {1, 1}};

        node.inputs[0] = at;
        node.inputs[1] = constant(b, (struct infer_shape){.rank = 2, .dim = {out, in}}, l->w);
        node.inputs[2] = constant(b, (struct infer_shape){.rank = 1, .dim = {out}}, l->bias);
        check(infer_build_node(b, &node, &at, &err), &err);
        node = (struct infer_node){
            .op = k < 2 ? INFER_RELU : INFER_SIGMOID, .n_inputs = 1, .n_outputs = 1, .inputs = {at}};
        check(infer_build_node(b, &node, &at, &err), &err);
    }
    check(infer_build_output(b, "score", at, &err), &err);
    return b;
}

struct made {
    struct infer_model *model;
    void *file;
    size_t bytes;
};

static struct made made_of(struct infer_build *b)
{
    struct buf out = {0};
    struct errmsg err = {""};
    struct made m = {0};

    check(infer_build_write(b, &out, &err), &err);
    infer_build_free(b);
    if (posix_memalign(&m.file, 64, out.len) != 0)
        die("the model", "no memory");
    memcpy(m.file, out.data, out.len);
    m.bytes = out.len;
    buf_deinit(&out);
    check(infer_model_read(span_of(m.file, m.bytes), NULL, &m.model, &err), &err);
    return m;
}

static void made_free(struct made *m)
{
    infer_model_free(m->model);
    free(m->file);
}

/* ---- judging ---- */

static void rows_of(const struct samples *s, const struct infer_model *m, struct model_rows *ret)
{
    struct errmsg err = {""};

    check(model_rows_init(ret, infer_model_graph(m), &err), &err);
    for (size_t i = 0; i < s->n; i++)
        check(model_rows_add(ret, s->at[i].x, &err), &err);
}

static double f1_of(const struct infer_model *m, const struct model_rows *rows, const struct samples *s)
{
    const struct infer_graph *g = infer_model_graph(m);
    struct scored *scored = room(s->n, sizeof *scored);
    struct graph_run run = {0};
    struct errmsg err = {""};
    struct score_counts c;

    check(graph_run_init(&run, g, &err), &err);
    for (size_t i = 0; i < s->n; i++) {
        graph_run_row(&run, model_rows_at(rows, i));
        scored[i] =
            (struct scored){model_number_at(run.values[g->outputs[0].tensor], INFER_F32, 0), s->at[i].label};
    }
    graph_run_deinit(&run);
    c = score_count(scored, s->n, 0.5);
    free(scored);
    return score_f1(&c);
}

static void judge(struct json *j, const char *key, double same_min, const struct made *from,
                  const struct model_rows *learn, const struct model_rows *rows, const struct samples *s)
{
    struct quantize_search search = {.ranges = true, .same_min = same_min, .threshold = (double)NAN};
    const struct quantize_options options = {RANGE_MSE, 99.99};
    struct quantize_report report = {0};
    struct model_difference d;
    struct infer_build *b = NULL;
    struct errmsg err = {""};
    struct made to;

    check(quantize_best(from->model, learn, &options, &search, &b, &report, &err), &err);
    to = made_of(b);
    check(models_compare(infer_model_graph(from->model), infer_model_graph(to.model), rows, (double)NAN, &d,
                         &err),
          &err);
    json_key(j, key);
    json_object(j);
    json_kdouble(j, "f1", f1_of(to.model, rows, s));
    json_kdouble(j, "same_decisions", quantize_same(&d));
    json_kdouble(j, "same_decisions_learning", search.same);
    json_ku64(j, "integer_layers", report.n_integer);
    json_ku64(j, "bytes", to.bytes);
    json_object_end(j);
    quantize_report_deinit(&report);
    made_free(&to);
}

static void judge_both(struct json *j, const struct net *n, const struct samples *learn,
                       const struct samples *s)
{
    struct made from = made_of(build(n));
    struct model_rows learning = {0}, judging = {0};

    rows_of(learn, from.model, &learning);
    rows_of(s, from.model, &judging);
    json_object(j);
    json_ku64(j, "rows", s->n);
    json_kdouble(j, "f1_float32", f1_of(from.model, &judging, s));
    json_ku64(j, "bytes_float32", from.bytes);
    judge(j, "default", 0.995, &from, &learning, &judging, s);
    judge(j, "all_int8", 0, &from, &learning, &judging, s);
    json_object_end(j);
    model_rows_deinit(&learning);
    model_rows_deinit(&judging);
    made_free(&from);
}

int main(int argc, char **argv)
{
    struct samples learn = {room(ROWS_MAX, sizeof *learn.at), 0}, rest = {room(ROWS_MAX, sizeof *rest.at), 0};
    owned(json_freep) struct json *j = NULL;
    struct rng rng = {1};
    struct net n = {0};

    if (argc < 3)
        die("usage", "bench_quantize FILE FILE...");
    if (json_new(&j, stdout, false) != 0)
        die("standard output", "no memory");
    for (int i = 1; i < argc; i++)
        read_file(argv[i], i % 2 == 1 ? &learn : &rest);
    layer_init(&n.layers[0], INPUTS, FIRST, &rng);
    layer_init(&n.layers[1], FIRST, SECOND, &rng);
    layer_init(&n.layers[2], SECOND, 1, &rng);
    train(&n, &learn, &rng);
    judge_both(j, &n, &learn, &rest);
    for (int k = 0; k < 3; k++)
        layer_deinit(&n.layers[k]);
    free(learn.at);
    free(rest.at);
    if (json_end(j) != 0)
        die("standard output", "cannot be written");
    return 0;
}
