/* bench_infer.c - how long a model takes, batch 1, one core: at each level of the kernels, and ONNX Runtime
 * in turn on the same numbers.
 *
 *   bench_infer [--rounds N] [--peer LIBRARY]     one JSON array, an object a model and form
 *
 * A figure is the time of a run within a burst of runs that is long beside the clock; p50 and p99 are over
 * bursts, the medians of the rounds. In a round each engine has its turn. */
#include "infer_models.h"
#include "infer_peer.h"

#include "base/cleanup.h"
#include "infer/kernel.h"
#include "infer/model.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ROUNDS_MAX = 25,
    BURSTS = 300,
    BURST_NS = 20000,
    WARM_NS = 20000000,
    Y_MAX = 1024,
    PEER = KERNEL_LEVELS
};

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct figures {
    bool is_there;
    double p50_us[ROUNDS_MAX], p99_us[ROUNDS_MAX];
};

/* A model of ours, or of the peer, that can be run. */
struct runner {
    struct infer_model *model;
    struct peer_session *session;
};

static void run_once(const struct runner *r)
{
    struct errmsg err;

    if (r->model != NULL)
        infer_model_run(r->model);
    else if (peer_run(r->session, &err) != 0)
        abort();
}

static double burst_ns(const struct runner *r, unsigned n)
{
    int64_t begin = now_ns();

    for (unsigned i = 0; i < n; i++)
        run_once(r);
    return (double)(now_ns() - begin) / n;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(const double *v, size_t n)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, v, n * sizeof *v);
    qsort(sorted, n, sizeof *sorted, by_size);
    return sorted[n / 2];
}

static void measure(const struct runner *r, struct figures *f, unsigned round)
{
    double bursts[BURSTS], once = 1e9;
    int64_t end = now_ns() + WARM_NS;
    unsigned n;

    while (now_ns() < end)
        once = fmin(once, burst_ns(r, 4));
    n = 1 + (unsigned)(BURST_NS / once);
    for (size_t i = 0; i < BURSTS; i++)
        bursts[i] = burst_ns(r, n);
    qsort(bursts, BURSTS, sizeof *bursts, by_size);
    f->is_there = true;
    f->p50_us[round] = bursts[BURSTS / 2] / 1000;
    f->p99_us[round] = bursts[BURSTS * 99 / 100] / 1000;
}

static void print_figures(const char *name, const struct figures *f, unsigned n_rounds)
{
    if (f->is_there)
        printf(", \"%s\": {\"p50_us\": %.4f, \"p99_us\": %.4f}", name, median(f->p50_us, n_rounds),
               median(f->p99_us, n_rounds));
}

/* Of the largest y. */
static double difference(const float *a, const float *b, size_t n)
{
    double most = 1e-9, off = 0;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)b[i]));
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
    }
    return off / most;
}

struct setup {
    struct peer *peer; /* NULL: none */
    unsigned n_rounds;
    bool any;
};

static must_check int open_peer(const struct setup *s, const struct bench_model *m, enum bench_form form,
                                struct buf *onnx, float *x, float *y, struct peer_session **ret,
                                struct errmsg *err)
{
    int64_t x_shape[RANK_MAX], y_shape[RANK_MAX];
    size_t x_rank, y_rank, n_y = bench_model_shapes(m, &x_rank, x_shape, &y_rank, y_shape);
    int r = bench_model_onnx(m, form, onnx);

    if (r == 0)
        r = peer_session_new(s->peer, (struct span){onnx->data, onnx->len}, x_rank, x_shape, x, n_y, y_shape,
                             y_rank, y, ret, err);
    return r == 0 ? peer_run(*ret, err) : r;
}

static void print_row(const struct setup *s, const struct bench_model *m, enum bench_form form, size_t bytes,
                      const struct figures *f, double off)
{
    static const char *const forms[2][2] = {{"float32", "int8"}, {"float32", "int16"}};

    printf("%s{\"model\": \"%s\", \"form\": \"%s\", \"goal_us\": %g, \"file_bytes\": %zu, \"levels\": {",
           s->any ? ",\n" : "[", m->name, forms[m->forest != NULL][form], m->goal_us, bytes);
    for (unsigned level = 0, n = 0; level < KERNEL_LEVELS; level++)
        if (f[level].is_there)
            printf("%s\"%s\": {\"p50_us\": %.4f, \"p99_us\": %.4f}", n++ == 0 ? "" : ", ",
                   kernel_at(level)->name, median(f[level].p50_us, s->n_rounds),
                   median(f[level].p99_us, s->n_rounds));
    printf("}");
    print_figures("onnxruntime", &f[PEER], s->n_rounds);
    if (f[PEER].is_there)
        printf(", \"difference\": %.2g", off);
    printf("}");
}

static void model_free(struct infer_model **m)
{
    infer_model_free(*m);
}

static must_check int bench_form(struct setup *s, const struct bench_model *m, enum bench_form form,
                                 struct errmsg *err)
{
    owned(buf_deinit) struct buf file = {0}, onnx = {0};
    owned(model_free) struct infer_model *model = NULL;
    static float x[X_MAX], y[Y_MAX];
    struct figures figures[KERNEL_LEVELS + 1] = {{0}};
    struct runner ours, peer = {0};
    void *aligned;
    double off = 0;
    int r = bench_model_ours(m, form, &file, err);

    if (r != 0)
        return r;
    if (posix_memalign(&aligned, 64, file.len) != 0)
        return -ENOMEM;
    memcpy(aligned, file.data, file.len);
    r = infer_model_read((struct span){aligned, file.len}, NULL, &model, err);
    if (r != 0) {
        free(aligned);
        return r;
    }
    ours = (struct runner){.model = model};
    memcpy(infer_model_input(model, 0), m->x, (size_t)m->channels * m->length * sizeof *x);
    memcpy(x, m->x, sizeof m->x);
    if (s->peer != NULL) {
        int64_t shape[RANK_MAX];
        size_t rank, n_y = bench_model_shapes(m, &rank, shape, &rank, shape);

        r = open_peer(s, m, form, &onnx, x, y, &peer.session, err);
        infer_model_run(model);
        off = difference(infer_model_output(model, 0), y, n_y);
    }
    for (unsigned round = 0; r == 0 && round < s->n_rounds; round++) {
        for (unsigned level = 0; level < KERNEL_LEVELS; level++)
            if (kernel_at(level) != NULL) {
                kernel_use(level);
                measure(&ours, &figures[level], round);
            }
        if (peer.session != NULL)
            measure(&peer, &figures[PEER], round);
    }
    if (r == 0) {
        print_row(s, m, form, file.len, figures, off);
        s->any = true;
    }
    infer_model_free(TAKE(model));
    free(aligned);
    return r;
}

static must_check int bench_model(struct setup *s, size_t i, struct errmsg *err)
{
    static struct bench_model m;
    int r = bench_model_init(&m, i);

    for (int form = FORM_F32; r == 0 && form <= FORM_SMALL; form++) {
        r = bench_form(s, &m, (enum bench_form)form, err);
        if (r == -EINVAL && form == FORM_SMALL) {
            fprintf(stderr, "bench_infer: %s\n", err->text);
            r = 0;
        }
    }
    bench_model_deinit(&m);
    return r;
}

/* To the last core: the first one has the interrupts more often. */
static void stay_on_one_core(void)
{
    cpu_set_t allowed, one;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int i = CPU_SETSIZE; i-- > 0;)
        if (CPU_ISSET(i, &allowed)) {
            CPU_ZERO(&one);
            CPU_SET(i, &one);
            (void)!sched_setaffinity(0, sizeof one, &one);
            return;
        }
}

int main(int argc, char **argv)
{
    struct setup s = {.n_rounds = 5};
    struct errmsg err = {""};
    int r = 0;

    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--rounds") == 0) {
            s.n_rounds = (unsigned)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--peer") == 0 && peer_open(argv[i + 1], &s.peer, &err) != 0) {
            fprintf(stderr, "bench_infer: without ONNX Runtime: %s\n", err.text);
            s.peer = NULL;
        }
    if (s.n_rounds == 0 || s.n_rounds > ROUNDS_MAX) {
        fprintf(stderr, "bench_infer: --rounds takes 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    stay_on_one_core();
    for (size_t i = 0; r == 0 && i < BENCH_MODELS; i++)
        r = bench_model(&s, i, &err);
    if (r != 0) {
        fprintf(stderr, "bench_infer: %s\n", err.text[0] != '\0' ? err.text : strerror(-r));
        return 1;
    }
    printf("]\n");
    return 0;
}
