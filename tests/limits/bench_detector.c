/* bench_detector KIND SEPARATOR OUT IN: rows of a CSV file through a detector with its defaults.
 *
 * IN: a header, then rows of a time (YYYY-MM-DD hh:mm:ss) and numbers; the columns anomaly and changepoint
 * are labels and not read; an empty cell is no value. OUT gets a line a row: anomaly, changepoint,
 * anomaly_score. Standard output: JSON.
 */
#include "base/cleanup.h"
#include "infer/detector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 4096, ROUNDS = 20 };

struct table {
    double *values;
    int64_t *times_ns;
    size_t n_rows;
    uint32_t n_columns;
};

static void table_deinit(struct table *t)
{
    free(t->values);
    free(t->times_ns);
}

static _Noreturn void die(const char *path, const char *what)
{
    fprintf(stderr, "bench_detector: %s: %s\n", path, what);
    exit(1);
}

static int64_t time_ns_of(const char *text, const char *path)
{
    struct tm tm = {0};

    if (strptime(text, "%Y-%m-%d %H:%M:%S", &tm) == NULL)
        die(path, "a row does not begin with a time like 2020-03-01 16:28:16");
    return (int64_t)timegm(&tm) * 1000000000;
}

static uint32_t columns_of(char *header, const char *separator)
{
    uint32_t n = 0;

    for (char *at; (at = strsep(&header, separator)) != NULL;)
        n += strncmp(at, "anomaly", 7) != 0 && strncmp(at, "changepoint", 11) != 0;
    return n - 1;
}

static void read_row(struct table *t, char *line, const char *separator, const char *path)
{
    t->times_ns[t->n_rows] = time_ns_of(strsep(&line, separator), path);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        char *at = strsep(&line, separator), *end;

        if (at == NULL)
            die(path, "a row has fewer columns than the header");
        t->values[t->n_rows * t->n_columns + i] = strtod(at, &end);
        if (end == at)
            t->values[t->n_rows * t->n_columns + i] = (double)NAN;
    }
    t->n_rows++;
}

static void read_table(struct table *t, const char *path, const char *separator)
{
    owned(close_file) FILE *f = fopen(path, "r");
    char line[LINE_MAX_BYTES];
    size_t room = 0;

    if (f == NULL || fgets(line, sizeof line, f) == NULL)
        die(path, "cannot be read");
    t->n_columns = columns_of(line, separator);
    if (t->n_columns < 1 || t->n_columns > DETECTOR_CHANNELS_MAX)
        die(path, "not from 1 to 32 columns beside the time");
    while (fgets(line, sizeof line, f) != NULL) {
        if (t->n_rows == room) {
            room = room * 2 + 1024;
            t->values = realloc(t->values, room * t->n_columns * sizeof *t->values);
            t->times_ns = realloc(t->times_ns, room * sizeof *t->times_ns);
            if (t->values == NULL || t->times_ns == NULL)
                die(path, "no memory");
        }
        if (line[0] != '\n')
            read_row(t, line, separator, path);
    }
}

/* f NULL: for the time alone. */
static void run(const struct table *t, struct detector_state *s, const struct detector_spec *spec, FILE *f)
{
    struct detector_verdict v;

    detector_init(s, spec);
    for (size_t i = 0; i < t->n_rows; i++) {
        detector_step(s, t->times_ns[i], t->values + i * t->n_columns, NULL, &v);
        if (f != NULL)
            fprintf(f, "%d,%d,%.17g\n", v.is_alarm, v.is_changepoint, v.score / (1 + v.score));
    }
}

static double ns_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static enum detector_kind kind_of(const char *name)
{
    for (int k = 0; k < DETECTOR_N_KINDS; k++)
        if (strcmp(name, detector_kind_name((enum detector_kind)k)) == 0)
            return (enum detector_kind)k;
    die(name, "no kind of detector");
}

int main(int argc, char **argv)
{
    owned(table_deinit) struct table t = {0};
    owned(close_file) FILE *out = NULL;
    owned(free_ptr) struct detector_state *s = NULL;
    struct detector_spec spec;
    struct errmsg err;
    double began_ns, best_ns = 1e18;

    if (argc != 5)
        die("usage", "bench_detector KIND SEPARATOR OUT IN");
    read_table(&t, argv[4], argv[2]);
    spec = detector_defaults(kind_of(argv[1]), t.n_columns);
    if (detector_check(&spec, &err) != 0)
        die(argv[1], err.text);
    s = malloc(detector_state_bytes(&spec));
    out = fopen(argv[3], "w");
    if (s == NULL || out == NULL)
        die(argv[3], "cannot be written");
    fprintf(out, "anomaly,changepoint,anomaly_score\n");
    run(&t, s, &spec, out);
    for (int i = 0; i < ROUNDS; i++) {
        began_ns = ns_now();
        run(&t, s, &spec, NULL);
        if (ns_now() - began_ns < best_ns)
            best_ns = ns_now() - began_ns;
    }
    printf("{\"rows\": %zu, \"state_bytes\": %zu, \"ns_per_row\": %.1f}\n", t.n_rows,
           detector_state_bytes(&spec), best_ns / (double)(t.n_rows > 0 ? t.n_rows : 1));
    return 0;
}
