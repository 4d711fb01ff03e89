/* source_plant.c - a pump loop that was never built: speed, flow, pressure, temperature, vibration, motor
 * current.
 *
 * A centrifugal pump against a throttle valve, with first-order lags, sensor noise, slow drift of the
 * surroundings and faults at seeded times. Row n depends on the seed and n alone: random numbers are drawn by
 * index, the state is stepped from row 0, so a restart goes on by stepping up to its position. Affinity laws
 * of centrifugal pumps: flow ~ speed, head ~ speed^2, power ~ flow * head. */
#include "base/clock.h"
#include "base/rng.h"
#include "device/source.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct plant_config {
    struct source_config common;
    int64_t interval_ms;
    uint64_t seed, rows;
    bool faults, is_fast;
};

enum { CHANNELS = 8, FAULT_EVERY_ROWS = 2400, FAULT_ROWS = 600 };

enum fault { FAULT_NONE, FAULT_BEARING, FAULT_CAVITATION, FAULT_STUCK, FAULT_VALVE, FAULT_KINDS };

struct plant {
    struct plant_config config;
    uint32_t group;
    uint64_t n; /* rows made */
    double speed, flow, pressure, temperature, vibration, current, valve;
    double stuck_pressure;
    int64_t start_unix_ns; /* time of row 0 at full speed */
    bool has_start, has_row;
    struct cell cells[CHANNELS]; /* of row n - 1, when has_row: made and not yet taken */
};

static const struct config_row rows[] = {
    {"interval_ms", CONFIG_MS, CONFIG_AT(struct plant_config, interval_ms), .min = "1 ms", .max = "1 h",
     .def = "1 s", .help = "Time between two rows."},
    {"seed", CONFIG_U64, CONFIG_AT(struct plant_config, seed), .def = "1",
     .help = "Another number is another plant, with its faults at other times."},
    {"faults", CONFIG_BOOL, CONFIG_AT(struct plant_config, faults), .def = "true",
     .help = "Bearing wear, cavitation, a stuck pressure sensor and a blocked valve now and then."},
    {"rows", CONFIG_U64, CONFIG_AT(struct plant_config, rows), .def = "0", .unit = "rows",
     .help = "Ends after so many rows; 0: never."},
    {"fast", CONFIG_BOOL, CONFIG_AT(struct plant_config, is_fast), .def = "false",
     .help = "Gives rows as fast as there is room, their times still an interval apart. Wants rows."},
    {0},
};

static const struct source_channel channels[CHANNELS] = {
    {"speed", "/min", COLUMN_DOUBLE},     {"flow", "m3/h", COLUMN_DOUBLE},
    {"pressure", "bar", COLUMN_DOUBLE},   {"temperature", "Cel", COLUMN_DOUBLE},
    {"vibration", "mm/s", COLUMN_DOUBLE}, {"current", "A", COLUMN_DOUBLE},
    {"running", "", COLUMN_BOOL},         {"starts", "", COLUMN_INT64},
};

/* The random numbers of row n, whatever came before. */
static struct rng rng_of(const struct plant *p, uint64_t n)
{
    struct rng seed = {p->config.seed * UINT64_C(0x9e3779b97f4a7c15) + n};

    return (struct rng){rng_u64(&seed)};
}

/* Faults come in slots of FAULT_EVERY_ROWS: each has at most one, of a kind and at a place of its own. */
static enum fault fault_at(const struct plant *p, uint64_t n, double *ret_progress)
{
    uint64_t slot = n / FAULT_EVERY_ROWS, at = n % FAULT_EVERY_ROWS, from;
    struct rng r = rng_of(p, UINT64_C(1) << 62 | slot);
    enum fault fault = (enum fault)rng_below(&r, FAULT_KINDS);

    from = FAULT_ROWS + rng_below(&r, FAULT_EVERY_ROWS - 2 * FAULT_ROWS);
    if (!p->config.faults || at < from || at >= from + FAULT_ROWS)
        return FAULT_NONE;
    *ret_progress = (double)(at - from) / FAULT_ROWS;
    return fault;
}

static double towards(double value, double target, double share)
{
    return value + (target - value) * share;
}

static double rounded(double value, double per_unit)
{
    return round(value * per_unit) / per_unit;
}

/* Steps the state by one row and writes its cells. */
static void make_row(struct plant *p, struct cell cells[CHANNELS])
{
    struct rng r = rng_of(p, p->n);
    double progress = 0, head, load, day = (double)p->n * (2 * M_PI / 86400);
    enum fault fault = fault_at(p, p->n, &progress);
    uint64_t shift = p->n / 7200;
    bool running = p->n % 7200 < 7080; /* a pause of two minutes in two hours */
    double set_speed = running ? 2900 - 250 * (double)(shift % 3) : 0;
    double valve_set = fault == FAULT_VALVE ? 0.85 - 0.6 * progress : 0.85 + 0.05 * sin(day * 6);
    double wear = fault == FAULT_BEARING ? progress : 0, cavity = fault == FAULT_CAVITATION ? progress : 0;

    p->speed = towards(p->speed, set_speed, 0.2);
    p->valve = towards(p->valve, valve_set, 0.3);
    head = p->speed / 2900 * (p->speed / 2900);
    p->flow = towards(p->flow, 42 * p->speed / 2900 * p->valve * (1 - 0.3 * cavity), 0.25);
    p->pressure = towards(p->pressure, 1 + 5.2 * head * (1.35 - 0.5 * p->valve) * (1 - 0.2 * cavity), 0.3);
    load = p->flow / 36 * head;
    p->current = towards(p->current, running ? 4.1 + 9.5 * load * (1 + 0.15 * wear) : 0.02, 0.4);
    p->temperature = towards(p->temperature, 21 + 4 * sin(day) + 31 * load + 18 * wear, 0.004);
    p->vibration = towards(p->vibration, p->speed / 2900 * (1.1 + 4.5 * wear * wear + 2.8 * cavity), 0.3);
    if (fault != FAULT_STUCK)
        p->stuck_pressure = p->pressure + 0.02 * rng_normal(&r);

    for (unsigned i = 0; i < CHANNELS; i++)
        cells[i] = (struct cell){0};
    cells[0].f64 = rounded(fmax(0, p->speed + 1.5 * rng_normal(&r)), 1);
    cells[1].f64 = rounded(fmax(0, p->flow + (0.06 + 0.9 * cavity) * rng_normal(&r)), 100);
    cells[2].f64 = rounded(p->stuck_pressure, 1000);
    cells[3].f64 = rounded(p->temperature + 0.04 * rng_normal(&r), 10);
    cells[4].f64 = rounded(fmax(0, p->vibration + (0.05 + 0.4 * cavity) * rng_normal(&r)), 1000);
    cells[5].f64 = rounded(fmax(0, p->current + 0.03 * rng_normal(&r)), 100);
    cells[6].i64 = running;
    cells[7].i64 = (int64_t)shift + 1;
    if (fault == FAULT_STUCK && progress > 0.5)
        cells[2].quality = QUALITY_UNCERTAIN; /* the transmitter notices by itself, late */
    p->n++;
}

static int plant_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct plant *p = calloc(1, sizeof *p);

    (void)err;
    if (p == NULL)
        return -ENOMEM;
    p->config = *(const struct plant_config *)o->config;
    p->temperature = 21;
    p->pressure = 1;
    if (o->resume != NULL && p->config.is_fast) {
        struct cell cells[CHANNELS];

        while (p->n < o->resume->word[0])
            make_row(p, cells);
        p->start_unix_ns = (int64_t)o->resume->word[1];
        p->has_start = true;
    }
    *ret_self = p;
    return 0;
}

static void plant_close(void *self)
{
    free(self);
}

static int plant_declare(void *self, const struct source_sink *sink)
{
    struct plant *p = self;
    struct source_group group = {channels, CHANNELS};

    return sink->group(sink->ctx, &group, &p->group);
}

static bool is_over(const struct plant *p)
{
    return p->config.rows != 0 && p->n >= p->config.rows;
}

/* As fast as there is room. */
static int step_fast(struct plant *p, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    int64_t interval_ns = p->config.interval_ms * NS_PER_MS;

    if (!p->has_start) {
        p->start_unix_ns = now->wall_unix_ns / NS_PER_S * NS_PER_S;
        p->has_start = true;
    }
    for (unsigned i = 0; i < SOURCE_STEP_ROWS; i++) {
        struct source_position position = {{0}};
        struct source_row row = {
            .group = p->group, .cells = p->cells, .n_cells = CHANNELS, .position = &position};
        int rc;

        if (!p->has_row) {
            if (is_over(p))
                return SOURCE_END;
            make_row(p, p->cells);
            p->has_row = true;
        }
        position.word[0] = p->n;
        position.word[1] = (uint64_t)p->start_unix_ns;
        row.time_ns = p->start_unix_ns + (int64_t)(p->n - 1) * interval_ns;
        rc = sink->row(sink->ctx, &row);
        if (rc != 0)
            return rc == SINK_FULL ? SOURCE_WAIT : rc;
        p->has_row = false;
    }
    *ret_next_ns = now->mono_ns;
    return 0;
}

static int plant_step(void *self, const struct source_sink *sink, const struct source_now *now,
                      int64_t *ret_next_ns)
{
    struct plant *p = self;
    struct source_row row = {.group = p->group,
                             .time_ns = now->wall_unix_ns,
                             .mono_ns = (uint64_t)now->mono_ns,
                             .cells = p->cells,
                             .n_cells = CHANNELS};
    int rc;

    if (p->config.is_fast)
        return step_fast(p, sink, now, ret_next_ns);
    if (is_over(p))
        return SOURCE_END;
    make_row(p, p->cells);
    rc = sink->row(sink->ctx, &row);
    return rc < 0 ? rc : 0;
}

static int64_t plant_interval_ms(const void *self)
{
    const struct plant *p = self;

    return p->config.is_fast ? 0 : p->config.interval_ms;
}

static bool plant_replayable(const void *self)
{
    const struct plant *p = self;

    return p->config.is_fast;
}

static void plant_describe_end(const void *self, char *out, size_t out_bytes)
{
    const struct plant *p = self;

    snprintf(out, out_bytes, "simulation ended after %" PRIu64 " rows", p->n);
}

const struct source_kind source_plant = {
    .name = "plant",
    .help = "Simulates a pump loop with noise, drift and faults; row n depends on the seed and n alone.",
    .rows = rows,
    .config_bytes = sizeof(struct plant_config),
    .replayable = plant_replayable,
    .open = plant_open,
    .close = plant_close,
    .declare = plant_declare,
    .interval_ms = plant_interval_ms,
    .step = plant_step,
    .describe_end = plant_describe_end,
};
