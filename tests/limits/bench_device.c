/* bench_device.c - the real device daemon with two more kinds of sources. What is measured is the product.
 *
 * `trace`: the rows of trace.h, made as fast as there is room or at a rate; only the rows come from memory
 * instead of from a sensor.
 *
 *   sources: [{type: trace, name: t, sources: 50, run: 100, rows: 1000000, rate: 0, stamp: FILE}]
 *
 * run: rows of one source in a row, before the next one's turn. rate: rows/s, 0: no bound; with a rate the
 * rows carry the wall clock, so that latency can be told from the archive. stamp: gets the wall time (ns) of
 * the first row.
 *
 * `late`: how long after its tick it is called, as a channel; all of them to the nanosecond in `file` at the
 * end, one a line behind its tick on the monotonic clock.
 *
 *   sources: [{type: late, name: l, interval_ms: 2, file: FILE}] */
#include "base/clock.h"
#include "device/device.h"
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct trace_config {
    struct source_config source;
    uint64_t sources, run, rows, rate;
    char stamp[512];
};

static const struct config_row trace_rows[] = {
    {"sources", CONFIG_U64, CONFIG_AT(struct trace_config, sources), .min = "1", .max = "100", .def = "50",
     .help = "How many sources the rows are made for; each is a group."},
    {"run", CONFIG_U64, CONFIG_AT(struct trace_config, run), .min = "1", .max = "4096", .def = "100",
     .help = "Rows of one source before the next one's turn."},
    {"rows", CONFIG_U64, CONFIG_AT(struct trace_config, rows), .min = "1", .max = "10000000000",
     .def = "1000000", .help = "Rows in all."},
    {"rate", CONFIG_U64, CONFIG_AT(struct trace_config, rate), .min = "0", .max = "1000000", .def = "0",
     .help = "Rows per second; 0 makes them as fast as there is room."},
    {"stamp", CONFIG_PATH, CONFIG_AT(struct trace_config, stamp),
     .help = "File for the time of the first row."},
    {NULL},
};

struct trace_source {
    struct trace_config config;
    struct trace trace;
    uint32_t group[128];
    uint64_t n; /* rows given */
    int64_t began_mono_ns;
    struct cell cells[TRACE_CHANNELS]; /* of the row that waits for room */
    bool waiting;
    uint32_t source;
    int64_t time_ns;
};

static int trace_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct trace_source *t = calloc(1, sizeof *t);

    if (t == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    t->config = *(const struct trace_config *)o->config;
    t->trace = trace_load();
    *ret_self = t;
    return 0;
}

static void trace_close(void *self)
{
    struct trace_source *t = self;

    trace_free(&t->trace);
    free(t);
}

static int trace_declare(void *self, const struct source_sink *sink)
{
    static const struct source_channel channels[TRACE_CHANNELS] = {{"a1", "", COLUMN_DOUBLE},
                                                                   {"a2", "", COLUMN_DOUBLE},
                                                                   {"current", "A", COLUMN_DOUBLE},
                                                                   {"pressure", "bar", COLUMN_DOUBLE},
                                                                   {"temperature", "Cel", COLUMN_DOUBLE},
                                                                   {"thermocouple", "Cel", COLUMN_DOUBLE},
                                                                   {"voltage", "V", COLUMN_DOUBLE},
                                                                   {"flow", "l/min", COLUMN_DOUBLE}};
    struct trace_source *t = self;
    struct source_group g = {channels, TRACE_CHANNELS};

    for (uint64_t i = 0; i < t->config.sources; i++) {
        int rc = sink->group(sink->ctx, &g, &t->group[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool trace_replayable(const void *self)
{
    const struct trace_source *t = self;

    return t->config.rate == 0;
}

static void make_row(struct trace_source *t, const struct source_now *now)
{
    uint64_t run = t->n / t->config.run, sources = t->config.sources;
    double v[TRACE_CHANNELS];

    t->source = (uint32_t)(run % sources);
    t->time_ns =
        trace_row(&t->trace, t->source, run / sources * t->config.run + t->n % t->config.run, v) * NS_PER_MS;
    if (t->config.rate > 0)
        t->time_ns = now->wall_unix_ns;
    for (int c = 0; c < TRACE_CHANNELS; c++)
        t->cells[c] = (struct cell){.f64 = v[c]};
    t->waiting = true;
}

static void begin(struct trace_source *t, const struct source_now *now)
{
    FILE *f = t->config.stamp[0] != '\0' ? fopen(t->config.stamp, "w") : NULL;

    t->began_mono_ns = now->mono_ns;
    if (f != NULL) {
        fprintf(f, "%" PRId64 "\n", now->wall_unix_ns);
        fclose(f);
    }
}

static int trace_step(void *self, const struct source_sink *sink, const struct source_now *now,
                      int64_t *ret_next_ns)
{
    struct trace_source *t = self;

    if (t->began_mono_ns == 0)
        begin(t, now);
    for (int i = 0; i < SOURCE_STEP_ROWS; i++) {
        struct source_row row = {.n_cells = TRACE_CHANNELS, .cells = t->cells};
        int64_t due =
            t->config.rate > 0 ? t->began_mono_ns + (int64_t)(t->n * (uint64_t)NS_PER_S / t->config.rate) : 0;

        if (t->n == t->config.rows)
            return SOURCE_END;
        if (due > now->mono_ns) {
            *ret_next_ns = due;
            return 0;
        }
        if (!t->waiting)
            make_row(t, now);
        row.group = t->group[t->source];
        row.time_ns = t->time_ns;
        row.mono_ns = t->config.rate > 0 ? (uint64_t)now->mono_ns : 0;
        if (sink->row(sink->ctx, &row) == SINK_FULL)
            return SOURCE_WAIT;
        t->waiting = false;
        t->n++;
    }
    *ret_next_ns = now->mono_ns;
    return 0;
}

static const struct source_kind source_trace = {
    .name = "trace",
    .help = "Rows of the measurements, from memory.",
    .rows = trace_rows,
    .config_bytes = sizeof(struct trace_config),
    .open = trace_open,
    .close = trace_close,
    .declare = trace_declare,
    .replayable = trace_replayable,
    .step = trace_step,
};

/* ---- late ---- */

enum { LATE_MAX = 1 << 20 };

struct late_config {
    struct source_config source;
    int64_t interval_ms;
    char file[512];
};

static const struct config_row late_rows[] = {
    {"interval_ms", CONFIG_MS, CONFIG_AT(struct late_config, interval_ms), .min = "1", .max = "1 s",
     .def = "10", .help = "Time between two ticks."},
    {"file", CONFIG_PATH, CONFIG_AT(struct late_config, file), .required = true, .help = "Where it is told."},
    {NULL},
};

struct late_source {
    struct late_config config;
    uint32_t group;
    int64_t due_ns; /* 0: not begun */
    size_t n;
    struct {
        int64_t due_ns, late_ns;
    } ticks[LATE_MAX];
};

static int late_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct late_source *l = calloc(1, sizeof *l);

    if (l == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    l->config = *(const struct late_config *)o->config;
    memset(l->ticks, 0xff, sizeof l->ticks); /* no page is touched for the first time later */
    *ret_self = l;
    return 0;
}

static void late_close(void *self)
{
    struct late_source *l = self;
    FILE *f = fopen(l->config.file, "w");

    for (size_t i = 0; i < l->n && f != NULL; i++)
        fprintf(f, "%" PRId64 " %" PRId64 "\n", l->ticks[i].due_ns, l->ticks[i].late_ns);
    if (f != NULL)
        fclose(f);
    free(l);
}

static int late_declare(void *self, const struct source_sink *sink)
{
    static const struct source_channel channel = {"late", "ns", COLUMN_INT64};
    struct late_source *l = self;

    return sink->group(sink->ctx, &(struct source_group){&channel, 1}, &l->group);
}

static int64_t late_interval(const void *self)
{
    return ((const struct late_source *)self)->config.interval_ms;
}

static int late_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct late_source *l = self;
    int64_t interval_ns = l->config.interval_ms * NS_PER_MS;
    struct cell cell = {.i64 = l->due_ns != 0 ? now->mono_ns - l->due_ns : 0};
    struct source_row row = {.group = l->group,
                             .time_ns = now->wall_unix_ns,
                             .mono_ns = (uint64_t)now->mono_ns,
                             .cells = &cell,
                             .n_cells = 1};

    (void)ret_next_ns;
    if (l->due_ns != 0 && l->n < LATE_MAX) {
        l->ticks[l->n].due_ns = l->due_ns;
        l->ticks[l->n++].late_ns = cell.i64;
    }
    l->due_ns = now->mono_ns / interval_ns * interval_ns + interval_ns;
    return sink->row(sink->ctx, &row) < 0 ? -EIO : 0;
}

static const struct source_kind source_late = {
    .name = "late",
    .help = "How late it is called.",
    .rows = late_rows,
    .config_bytes = sizeof(struct late_config),
    .open = late_open,
    .close = late_close,
    .declare = late_declare,
    .interval_ms = late_interval,
    .step = late_step,
};

int main(int argc, char **argv)
{
    static const struct source_kind *const extra[] = {&source_trace, &source_late, NULL};

    return device_main(argc, argv, extra);
}
