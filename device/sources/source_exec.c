/* source_exec.c - readings that a program of the site prints: lines `channel value [unix time]`.
 *
 * The program is kept running by exec_child.h. Its lines are read without waiting; what it prints beyond
 * lines_max in an interval is dropped and counted, and read so slowly that it soon waits for us and costs the
 * others nothing. Nothing readable for stale_ms, or its end: all its channels get bad quality, one event
 * tells why; the next reading tells that it is back. Each channel is a row of its own. Limits: CHANNELS_MAX
 * channels (a channel whose values change their type counts again), lines of EXEC_LINE_BYTES. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "device/sources/exec_child.h"
#include "device/sources/exec_lines.h"
#include "device/sources/told.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    CHANNELS_MAX = 64,
    LINES_A_STEP = 64,
    FLOOD_NAP_MS = 50, /* one read of EXEC_READ_BYTES each, while there is too much */
    ROOM_WAIT_MS = 100,
};

struct expect_config {
    char name[SOURCE_NAME_BYTES];
    int type; /* enum told_type */
    char unit[SOURCE_NAME_BYTES];
};

struct exec_config {
    struct source_config common;
    struct config_strings command;
    int64_t interval_ms, stale_ms, restart_ms, restart_max_ms, lines_max;
    struct config_list expect; /* items: struct expect_config */
};

struct exec {
    int64_t interval_ns, stale_ns, lines_max;
    char **argv;
    struct expect_config *expect;
    size_t n_expect;
    const char *name;
    struct exec_child *child;
    struct told *told;
    struct exec_lines lines;

    int64_t heard_ns;  /* the last reading; 0: not begun */
    int64_t window_ns; /* begin of the interval in which lines are counted */
    int64_t window_lines;
    uint64_t dropped_window, dropped; /* beyond lines_max: since window_ns, since the flood began */
    bool flood_told, naps, tells_failure, is_behind_end; /* behind: the end of a program was read */
    uint32_t n_ended;
    struct log_latch bad_latch;
    char why[192]; /* it has failed */
};

static const struct config_row expect_rows[] = {
    {"name", CONFIG_NAME, CONFIG_AT(struct expect_config, name), .required = true, .help = "The channel."},
    {"type", CONFIG_ENUM, CONFIG_AT(struct expect_config, type), .choices = told_types, .def = "double",
     .help = "What its values are; auto: what each looks like."},
    {"unit", CONFIG_STRING, CONFIG_AT(struct expect_config, unit), .help = "UCUM unit."},
    {0},
};

static const struct config_kind expect_kinds[] = {
    {.rows = expect_rows, .size = sizeof(struct expect_config), .help = "A channel that the program prints."},
    {0},
};

static const struct config_row rows[] = {
    {"command", CONFIG_STRINGS, CONFIG_AT(struct exec_config, command), .min = "1", .max = "64",
     .required = true,
     .help = "The program and its arguments, one item each. No shell is in between: for a pipe or a variable "
             "write "
             "[sh, -c, \"...\"]. A secret has no place here, since anybody can see the arguments: let the "
             "program read "
             "a file."},
    {"interval_ms", CONFIG_MS, CONFIG_AT(struct exec_config, interval_ms), .min = "10 ms", .max = "1 d",
     .def = "1 s", .help = "How often the program is expected to print."},
    {"stale_ms", CONFIG_MS, CONFIG_AT(struct exec_config, stale_ms), .max = "30 d",
     .help = "Silent for so long, its channels get bad quality; 0: two intervals."},
    {"lines_max", CONFIG_I64, CONFIG_AT(struct exec_config, lines_max), .min = "1", .max = "100000",
     .def = "1000", .unit = "lines", .help = "More than so many in an interval are dropped and counted."},
    {"restart_ms", CONFIG_MS, CONFIG_AT(struct exec_config, restart_ms), .min = "10 ms", .max = "1 h",
     .def = "1 s", .help = "Wait before it is started again after it ended; doubled each time, with jitter."},
    {"restart_max_ms", CONFIG_MS, CONFIG_AT(struct exec_config, restart_max_ms), .min = "10 ms", .max = "1 d",
     .def = "1 min", .help = "The longest such wait."},
    {"expect", CONFIG_LIST, CONFIG_AT(struct exec_config, expect), .kinds = expect_kinds, .unique = "name",
     .max = "64",
     .help = "The channels it prints, with their types. Without it, any channel is taken and its type is "
             "what its "
             "values look like; with it, anything else is a bad line."},
    {0},
};

static void exec_check(const void *config, const char *field, struct config_check *c)
{
    const struct exec_config *e = config;
    char at[CONFIG_FIELD_CHARS];

    snprintf(at, sizeof at, "%s.restart_max_ms", field);
    source_waits_check(e->restart_ms, e->restart_max_ms, at, c);
    for (size_t i = 0; i < e->expect.n; i++) {
        snprintf(at, sizeof at, "%s.expect[%zu]", field, i);
        channel_unit_check(((const struct expect_config *)e->expect.at[i].value)->unit, at, c);
    }
}

static void exec_close(void *self)
{
    struct exec *e = self;

    if (e->child != NULL)
        log_info("exec_stopped", "source=%s ended=%" PRIu32 " slowest_start_us=%" PRId64, e->name, e->n_ended,
                 exec_child_start_us(e->child));
    exec_child_free(e->child);
    told_free(e->told);
    for (char **a = e->argv; a != NULL && *a != NULL; a++)
        free(*a);
    free(e->argv);
    free(e->expect);
    free(e);
}

static int copy_config(struct exec *e, const struct exec_config *c)
{
    e->interval_ns = c->interval_ms * NS_PER_MS;
    e->stale_ns = c->stale_ms != 0 ? c->stale_ms * NS_PER_MS : 2 * e->interval_ns;
    e->lines_max = c->lines_max;
    e->argv = calloc(c->command.n + 1, sizeof *e->argv);
    e->expect = calloc(c->expect.n + 1, sizeof *e->expect);
    if (e->argv == NULL || e->expect == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < c->command.n; i++)
        if ((e->argv[i] = strdup(c->command.at[i])) == NULL)
            return -ENOMEM;
    for (; e->n_expect < c->expect.n; e->n_expect++)
        e->expect[e->n_expect] = *(const struct expect_config *)c->expect.at[e->n_expect].value;
    return 0;
}

static int exec_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    const struct exec_config *config = o->config;
    struct exec_child_options options = {
        .name = o->name, .restart_ms = config->restart_ms, .restart_max_ms = config->restart_max_ms};
    struct exec *e = calloc(1, sizeof *e);
    int rc;

    if (e == NULL)
        return -ENOMEM;
    e->name = o->name;
    rc = copy_config(e, config);
    options.argv = e->argv;
    if (rc == 0)
        rc = told_new(&e->told, CHANNELS_MAX);
    if (rc == 0)
        rc = exec_child_new(&e->child, &options);
    if (rc != 0) {
        exec_close(e);
        return errmsg_set(err, rc, "cannot keep a program running: %s", strerror(-rc));
    }
    *ret_self = e;
    return 0;
}

static enum column_type column_of(int type)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL,
                                             COLUMN_TEXT};

    return types[type];
}

static int exec_declare(void *self, const struct source_sink *sink)
{
    struct exec *e = self;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < e->n_expect; i++) {
        const struct expect_config *x = &e->expect[i];

        if (x->type != TOLD_AUTO)
            rc = told_declare(e->told, sink, &(struct source_channel){x->name, x->unit, column_of(x->type)});
    }
    return rc;
}

/* ---- a line ---- */

static const char *take_line(struct exec *e, const struct source_sink *sink, const struct source_now *now,
                             char *line, size_t bytes)
{
    const struct expect_config any = {.type = TOLD_AUTO}, *expect = &any;
    struct exec_reading r;
    struct told_value v;
    const char *why = exec_line_parse(line, bytes, &r);

    if (why != NULL)
        return why;
    if (e->n_expect > 0) {
        for (expect = e->expect; expect < e->expect + e->n_expect; expect++)
            if (strcmp(expect->name, r.channel) == 0)
                break;
        if (expect == e->expect + e->n_expect)
            return "this channel is not in `expect` of the source";
    }
    if (!told_parse(r.is_quoted && expect->type == TOLD_AUTO ? TOLD_TEXT : (enum told_type)expect->type,
                    r.value, r.value_bytes, &v))
        return expect == &any ? "a text has at most 255 bytes" : "the value is not of the type in `expect`";
    told_well(e->told, sink, now, "prints readings again");
    e->heard_ns = now->mono_ns;
    return told_row(e->told, sink, &(struct source_channel){r.channel, expect->unit, v.type}, &v.cell, now,
                    r.has_time ? r.time_ns : now->wall_unix_ns);
}

static void on_bad_line(struct exec *e, const struct source_sink *sink, const struct source_now *now,
                        const char *why, const char *line)
{
    uint64_t held_back;
    char text[192];

    if (!log_latch_open(&e->bad_latch, now->mono_ns, &held_back))
        return;
    log_warn("exec_line_bad", "source=%s msg=%s line=%s held_back=%" PRIu64, e->name, log_quote(why),
             log_quote(line), held_back);
    snprintf(text, sizeof text, "a line is no reading: %s", why);
    told_note(sink, now, 1, text);
}

static void begin_window(struct exec *e, const struct source_sink *sink, const struct source_now *now)
{
    char text[128];

    if (e->flood_told && e->dropped_window == 0) {
        snprintf(text, sizeof text, "prints no more than it may again; %" PRIu64 " lines were dropped",
                 e->dropped);
        told_note(sink, now, 1, text);
        e->flood_told = false;
        e->dropped = 0;
    }
    e->window_ns = now->mono_ns;
    e->window_lines = 0;
    e->dropped_window = 0;
}

static void on_dropped(struct exec *e, const struct source_sink *sink, const struct source_now *now)
{
    char text[128];

    e->dropped_window++;
    e->dropped++;
    if (e->flood_told)
        return;
    e->flood_told = true;
    snprintf(text, sizeof text, "prints more than %" PRId64 " lines in an interval; the rest is dropped",
             e->lines_max);
    log_warn("exec_flood", "source=%s lines_max=%" PRId64, e->name, e->lines_max);
    told_note(sink, now, 1, text);
}

/* 0: all that is there was taken; 1: there is more; negative errno. */
static int take_lines(struct exec *e, const struct source_sink *sink, const struct source_now *now)
{
    bool has_read = false, too_long = false;
    unsigned taken = 0;
    size_t bytes = 0;

    while (taken < LINES_A_STEP) {
        char *line = exec_lines_next(&e->lines, &bytes, &too_long);
        const char *why = "longer than 512 bytes";

        if (line == NULL) {
            int rc = has_read ? 1 : exec_lines_read(&e->lines, exec_child_fd(e->child));

            if (rc != 0)
                return rc < 0 ? rc : has_read;
            has_read = true;
            continue;
        }
        if (bytes > 0 && line[bytes - 1] == '\0') {
            e->is_behind_end = true;
            continue;
        }
        if (e->window_lines++ >= e->lines_max) {
            on_dropped(e, sink, now);
            continue;
        }
        taken++;
        if (!too_long)
            why = take_line(e, sink, now, line, bytes);
        if (why != NULL)
            on_bad_line(e, sink, now, why, line);
    }
    return 1;
}

/* ---- its health ---- */

static void describe_end(const struct exec *e, const struct exec_end *end, char *out, size_t out_bytes)
{
    const char *program = e->argv[0];

    if (end->error == ENOENT)
        snprintf(out, out_bytes, "there is no program %.80s; give its whole path or install it", program);
    else if (end->error != 0)
        snprintf(out, out_bytes, "%.80s cannot be started: %s", program, strerror(end->error));
    else if (WIFSIGNALED(end->status))
        snprintf(out, out_bytes, "%.80s was ended by signal %d; started again", program,
                 WTERMSIG(end->status));
    else
        snprintf(out, out_bytes, "%.80s ended with exit code %d; started again", program,
                 WEXITSTATUS(end->status));
}

static void check_health(struct exec *e, const struct source_sink *sink, const struct source_now *now)
{
    struct exec_end end = {.n = e->n_ended};

    if (e->is_behind_end)
        exec_child_end(e->child, &end);
    e->is_behind_end = false;
    if (end.n != e->n_ended) {
        e->n_ended = end.n;
        e->tells_failure = true;
        describe_end(e, &end, e->why, sizeof e->why);
        if (!told_is_failed(e->told))
            log_warn("exec_ended", "source=%s msg=%s again_ms=%" PRId64, e->name, log_quote(e->why),
                     end.again_ms);
    } else if (now->mono_ns - e->heard_ns >= e->stale_ns && !told_is_failed(e->told)) {
        e->tells_failure = true;
        snprintf(e->why, sizeof e->why, "printed no reading for %" PRId64 " ms", e->stale_ns / NS_PER_MS);
        log_warn("exec_silent", "source=%s ms=%" PRId64, e->name, e->stale_ns / NS_PER_MS);
    }
    if (e->tells_failure && told_failed(e->told, sink, now, e->why))
        e->tells_failure = false;
}

static int exec_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct exec *e = self;
    bool flooded;
    int rc;

    if (e->heard_ns == 0)
        e->heard_ns = now->mono_ns;
    if (e->window_ns == 0 || now->mono_ns - e->window_ns >= e->interval_ns)
        begin_window(e, sink, now);
    rc = take_lines(e, sink, now);
    if (rc < 0)
        return rc;
    check_health(e, sink, now);
    flooded = e->window_lines > e->lines_max;
    e->naps = flooded;
    *ret_next_ns = rc == 1 ? now->mono_ns : INT64_MAX;
    if (flooded)
        *ret_next_ns = now->mono_ns + FLOOD_NAP_MS * NS_PER_MS;
    else if (rc == 0 && e->tells_failure)
        *ret_next_ns = now->mono_ns + ROOM_WAIT_MS * NS_PER_MS;
    else if (rc == 0 && !told_is_failed(e->told))
        *ret_next_ns = e->heard_ns + e->stale_ns;
    if (e->flood_told && *ret_next_ns > e->window_ns + e->interval_ns)
        *ret_next_ns = e->window_ns + e->interval_ns;
    return 0;
}

static int exec_fd(const void *self)
{
    const struct exec *e = self;

    return e->naps ? -1 : exec_child_fd(e->child);
}

const struct source_kind source_exec = {
    .name = "exec",
    .help = "Keeps a program running and takes the lines `channel value [unix time]` that it prints.",
    .rows = rows,
    .config_bytes = sizeof(struct exec_config),
    .check = exec_check,
    .open = exec_open,
    .close = exec_close,
    .declare = exec_declare,
    .step = exec_step,
    .fd = exec_fd,
};
