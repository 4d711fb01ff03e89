/* trace.h - the input of the measurements: rows of 8 channels at 1 Hz, replayed for any number of sources.
 * Each source starts at its own place in the trace and has its own small gain, rounded to 6 significant
 * digits, so that no two sources are byte-identical. The trace is every CSV below $FOGLINE_TRACE_DIR
 * (DIR/x/x.csv, separator ';', one time column) or, without it, a seeded walk of the same shape. */
#ifndef FOGLINE_TESTS_TRACE_H
#define FOGLINE_TESTS_TRACE_H

#include "base/rng.h"

#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TRACE_CHANNELS = 8, TRACE_ROWS_MAX = 1 << 20 };
#define TRACE_T0_MS INT64_C(1700000000000)

struct trace {
    size_t n;
    double (*v)[TRACE_CHANNELS];
};

static inline double trace_round6(double x)
{
    static const double p10[] = {1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
    double a = x < 0 ? -x : x, s = a;
    int e = 0; /* decimal exponent of the leading digit */
    double scale;
    long long q;

    if (a == 0 || a > 1e7)
        return x;
    while (s >= 10)
        s /= 10, e++;
    while (s < 1 && e > -6)
        s *= 10, e--;
    scale = p10[5 - e + 3 < 13 ? 5 - e + 3 : 13];
    q = (long long)(x * scale + (x < 0 ? -0.5 : 0.5));
    return (double)q / scale;
}

/* Shared memory: the rows belong to the measurement, and are not to be found in the RssAnon of the device
 * that is measured, nor in what its allocator does. Pages that no row touches do not exist. */
static inline void trace_room(struct trace *t)
{
    t->n = 0;
    t->v = mmap(NULL, TRACE_ROWS_MAX * sizeof *t->v, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->v == MAP_FAILED) {
        perror("trace");
        exit(1);
    }
}

static inline void trace_free(struct trace *t)
{
    munmap(t->v, TRACE_ROWS_MAX * sizeof *t->v);
}

static inline void trace_walk(struct trace *t)
{
    static const double mid[TRACE_CHANNELS] = {0.2, 0.3, 2.1, 0.4, 90, 27, 239, 122};
    struct rng r = {7};
    double at[TRACE_CHANNELS];

    t->n = 40000;
    memcpy(at, mid, sizeof at);
    for (size_t i = 0; i < t->n; i++)
        for (int c = 0; c < TRACE_CHANNELS; c++) {
            at[c] += mid[c] * (0.002 * rng_normal(&r)) + (mid[c] - at[c]) * 0.01;
            t->v[i][c] = trace_round6(at[c] + mid[c] * 0.001 * rng_normal(&r));
        }
}

static inline struct trace trace_load(void)
{
    struct trace t = {0, NULL};
    const char *dir = getenv("FOGLINE_TRACE_DIR");
    char pattern[1024], line[1024];
    glob_t g;

    trace_room(&t);
    snprintf(pattern, sizeof pattern, "%s/*/*.csv", dir != NULL ? dir : "");
    if (dir == NULL || glob(pattern, 0, NULL, &g) != 0) {
        trace_walk(&t);
        return t;
    }
    for (size_t f = 0; f < g.gl_pathc; f++) {
        FILE *in = fopen(g.gl_pathv[f], "r");

        while (in != NULL && t.n < TRACE_ROWS_MAX && fgets(line, sizeof line, in) != NULL) {
            char *p = strchr(line, ';');
            int c = 0;

            if (p == NULL || line[0] == 'd')
                continue;
            for (; c < TRACE_CHANNELS && p != NULL; c++, p = strchr(p, ';'))
                t.v[t.n][c] = strtod(p + 1, &p);
            t.n += c == TRACE_CHANNELS;
        }
        if (in != NULL)
            fclose(in);
    }
    globfree(&g);
    if (t.n == 0)
        trace_walk(&t);
    return t;
}

/* Row i of one source; returns its time in ms. */
static inline int64_t trace_row(const struct trace *t, uint32_t source, uint64_t i, double v[TRACE_CHANNELS])
{
    uint64_t h = (source + 1) * UINT64_C(0x9E3779B97F4A7C15);
    double gain = 1.0 + ((double)(h >> 40) / 16777216.0 - 0.5) * 0.02;
    const double *r = t->v[(i + (h >> 20)) % t->n];

    for (int c = 0; c < TRACE_CHANNELS; c++)
        v[c] = trace_round6(r[c] * gain);
    return TRACE_T0_MS + (int64_t)i * 1000;
}

#endif
