/* source_csv.c - replays a CSV file, at its own pace, faster, or as fast as there is room.
 *
 * Position: byte offset of the next row, rows given in this round, rounds done, fingerprint of the file's
 * head, shift of times. A file with another fingerprint, or that has become shorter, is another file and
 * starts from its beginning. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/numfmt.h"
#include "device/source.h"
#include "device/sources/csv_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct csv_config {
    struct source_config common;
    char path[512], zone[64], speed[32];
    struct config_strings time, ints;
    uint64_t repeat;
    bool shift_to_now;
};

#define FAR_NS 3e18 /* a century */

enum { WORD_OFFSET, WORD_ROWS, WORD_ROUND, WORD_FINGERPRINT, WORD_SHIFT };

struct source_csv_self {
    struct csv_config config; /* a copy: a reload may free the original, and with it the lists */
    const char *name;
    struct csv_input *input;
    struct csv_shape *shape;
    struct csv_reader *reader;
    uint32_t group;
    double speed;     /* 0: as fast as there is room */
    int64_t round_ns; /* what a round adds to the times */
    uint64_t n_rows_round, round, n_rows;
    int64_t shift_ns;
    bool has_shift, has_start;
    int64_t start_mono_ns, start_time_ns; /* the pace counts from here */
    bool has_row;                         /* read and not yet taken */
    struct csv_row row;
};

static const struct config_row rows[] = {
    {"path", CONFIG_PATH, CONFIG_AT(struct csv_config, path), .required = true,
     .help = "File: .csv, .csv.gz or the like."},
    {"time", CONFIG_STRINGS, CONFIG_AT(struct csv_config, time), .max = "6",
     .help = "Columns that make the time, by name or number: one; date and time; or year, month, day, hour, "
             "minute, "
             "second as far as they are there. Empty: found by their shape and name."},
    {"tz", CONFIG_STRING, CONFIG_AT(struct csv_config, zone), .def = "UTC",
     .help = "Zone of times that do not say theirs: UTC, an offset such as +08:00, or a name such as "
             "Europe/Berlin."},
    {"int", CONFIG_STRINGS, CONFIG_AT(struct csv_config, ints),
     .help = "Columns of whole numbers beyond 2^53: kept as int64."},
    {"speed", CONFIG_STRING, CONFIG_AT(struct csv_config, speed), .def = "1", .min = "1",
     .help = "How many times faster than it was recorded, or max: as fast as there is room."},
    {"repeat", CONFIG_U64, CONFIG_AT(struct csv_config, repeat), .def = "1", .unit = "rounds",
     .help = "Rounds through the file, each with later times; 0: without end."},
    {"shift_to_now", CONFIG_BOOL, CONFIG_AT(struct csv_config, shift_to_now), .def = "false",
     .help = "Move all times so that the first row is of the moment the replay began."},
    {0},
};

static void csv_close(void *self)
{
    struct source_csv_self *s = self;

    csv_reader_free(s->reader);
    csv_shape_free(s->shape);
    csv_input_free(s->input);
    free(s);
}

static void log_shape(const struct source_csv_self *s)
{
    const struct csv_shape *shape = s->shape;
    const char *file = s->config.path;

    log_info("csv_opened",
             "source=%s file=%s rows=%" PRIu64 " channels=%u time=%s zone=%s unreadable_rows=%" PRIu64
             " unreadable_cells=%" PRIu64 " cut_texts=%" PRIu64,
             s->name, log_quote(file), shape->n_rows, shape->n_channels,
             log_quote(csv_time_form_name(shape->form)), log_quote(s->config.zone), shape->n_bad_rows,
             shape->n_bad_cells, shape->n_cut_texts);
    if (shape->form == CSV_TIME_NUMBER)
        log_info("csv_time_unit_guessed", "source=%s file=%s unit_ns=%" PRId64, s->name, log_quote(file),
                 shape->unit_ns);
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (shape->columns[i].is_mended && !shape->columns[i].is_time)
            log_info("csv_channel_renamed", "source=%s file=%s header=%s channel=%s", s->name,
                     log_quote(file), log_quote(shape->columns[i].header), shape->columns[i].name);
    for (unsigned i = 0; i < shape->n_bad_listed; i++)
        log_warn("csv_unreadable", "source=%s file=%s line=%" PRIu64 " channel=%s why=%s", s->name,
                 log_quote(file), shape->bad[i].line,
                 shape->bad[i].column != NULL ? shape->bad[i].column : "-", log_quote(shape->bad[i].why));
}

/* Begin of the line that was the end of the file when it was given, and has become longer; else offset. */
static int begin_of_line(struct source_csv_self *s, uint64_t offset, uint64_t *ret_begin)
{
    const struct csv_shape *shape = s->shape;
    struct csv_line l = {0};
    int rc;

    *ret_begin = offset;
    if (offset <= shape->data_offset || offset == shape->end_offset)
        return 0;
    rc = csv_input_seek(s->input, offset - 1, 1);
    if (rc == 0)
        rc = csv_input_line(s->input, &l);
    /* Nothing but the byte before it: that is a line's end, or the last byte of a line that ends here. */
    if (rc != 0 || (!l.too_long && l.len <= 1))
        return rc == CSV_END ? 0 : rc;
    l.next_offset = 0;
    rc = csv_input_seek(s->input, shape->data_offset, 1);
    while (rc == 0 && l.next_offset < offset)
        rc = csv_input_line(s->input, &l);
    if (rc == 0 && l.offset + l.len > offset)
        *ret_begin = l.offset;
    return rc == CSV_END ? 0 : rc;
}

static int resume(struct source_csv_self *s, const struct source_position *p)
{
    uint64_t begin;
    int rc;

    if (p->word[WORD_FINGERPRINT] != s->shape->fingerprint || p->word[WORD_OFFSET] > s->shape->end_offset) {
        log_warn("csv_replaced", "source=%s file=%s msg=\"another file than last time: from its beginning\"",
                 s->name, log_quote(s->config.path));
        return 0;
    }
    s->n_rows_round = p->word[WORD_ROWS];
    s->round = p->word[WORD_ROUND];
    s->shift_ns = (int64_t)p->word[WORD_SHIFT];
    s->has_shift = true;
    log_info("csv_resumed", "source=%s rows_done=%" PRIu64 " round=%" PRIu64, s->name, s->n_rows_round,
             s->round + 1);
    rc = begin_of_line(s, p->word[WORD_OFFSET], &begin);
    if (rc != 0)
        return rc;
    if (begin != p->word[WORD_OFFSET])
        log_warn("csv_line_grew",
                 "source=%s file=%s offset=%" PRIu64
                 " msg=\"its last line was not complete when it was read: it is given again\"",
                 s->name, log_quote(s->config.path), begin);
    /* Lines are only counted for reports, and those were made by the first pass. */
    return csv_input_seek(s->input, begin, 1);
}

/* Times may lie five centuries apart, which is more than the type holds. */
static int64_t difference_ns(int64_t a, int64_t b)
{
    int64_t d;

    return !__builtin_sub_overflow(a, b, &d) ? d : a > b ? INT64_MAX : INT64_MIN;
}

static void plan_rounds(struct source_csv_self *s)
{
    const struct csv_shape *shape = s->shape;
    int64_t span_ns = difference_ns(shape->max_time_ns, shape->min_time_ns);
    int64_t step_ns = shape->n_rows > 1 ? span_ns / (int64_t)(shape->n_rows - 1) : NS_PER_S;

    if (__builtin_add_overflow(span_ns, step_ns > 0 ? step_ns : 1, &s->round_ns))
        s->round_ns = INT64_MAX;
}

static int csv_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    const struct csv_config *config = o->config;
    struct csv_options options = {.time_columns = (const char *const *)config->time.at,
                                  .n_time_columns = config->time.n,
                                  .int_columns = (const char *const *)config->ints.at,
                                  .n_int_columns = config->ints.n,
                                  .zone = config->zone};
    struct source_csv_self *s = calloc(1, sizeof *s);
    struct errmsg why = {""};
    int rc;

    if (s == NULL)
        return -ENOMEM;
    s->config = *config;
    s->name = o->name;
    if (strcmp(config->speed, "max") != 0 &&
        (!numfmt_parse_double(config->speed, strlen(config->speed), &s->speed) || !(s->speed > 0))) {
        csv_close(s);
        return errmsg_set(err, -EINVAL, "speed '%s' is neither a number above 0 nor max", config->speed);
    }
    rc = csv_input_open(&s->input, config->path, err);
    if (rc == 0) {
        rc = csv_shape_new(&s->shape, s->input, &options, &why);
        if (rc != 0)
            errmsg_set(err, rc, "%s: %s", config->path, why.text[0] != '\0' ? why.text : strerror(-rc));
    }
    if (rc == 0)
        rc = csv_reader_new(&s->reader, s->input, s->shape);
    if (rc == 0) {
        log_shape(s);
        plan_rounds(s);
        if (o->resume != NULL)
            rc = resume(s, o->resume);
    }
    if (rc != 0) {
        csv_close(s);
        return rc;
    }
    *ret_self = s;
    return 0;
}

static int csv_declare(void *self, const struct source_sink *sink)
{
    struct source_csv_self *s = self;
    struct source_channel channels[BLOCK_COLUMNS_MAX];
    struct source_group group = {channels, s->shape->n_channels};

    for (uint32_t i = 0; i < group.n_channels; i++) {
        const struct csv_column *c = &s->shape->columns[s->shape->channel[i]];

        channels[i] = (struct source_channel){c->name, "", c->type};
    }
    return sink->group(sink->ctx, &group, &s->group);
}

/* The next row into s->row. 0, SOURCE_END or negative errno. */
static int fetch(struct source_csv_self *s)
{
    const char *why;
    int rc;

    while (!s->has_row) {
        rc = csv_reader_next(s->reader, &s->row, &why);
        if (rc == CSV_END) {
            /* A round without a row would never end. */
            if (s->n_rows_round == 0 || (s->config.repeat != 0 && s->round + 1 >= s->config.repeat))
                return SOURCE_END;
            s->round++;
            s->n_rows_round = 0;
            rc = csv_input_seek(s->input, s->shape->data_offset, s->shape->data_line);
            if (rc != 0)
                return rc;
        } else if (rc == 0) {
            s->has_row = true;
        } else if (rc != CSV_BAD_ROW) {
            return rc;
        }
    }
    return 0;
}

/* When the present row is due by the recorded pace. */
static int64_t due_ns(struct source_csv_self *s, int64_t time_ns, const struct source_now *now)
{
    double ahead_ns;

    if (!s->has_start) {
        s->has_start = true;
        s->start_mono_ns = now->mono_ns;
        s->start_time_ns = time_ns;
    }
    ahead_ns = (double)difference_ns(time_ns, s->start_time_ns) / s->speed;
    /* Beyond that it is due never, or long since. */
    ahead_ns = ahead_ns > FAR_NS ? FAR_NS : ahead_ns < -FAR_NS ? -FAR_NS : ahead_ns;
    return s->start_mono_ns + (int64_t)ahead_ns;
}

static int give(struct source_csv_self *s, const struct source_sink *sink, int64_t time_ns)
{
    struct source_position position = {.word = {[WORD_OFFSET] = s->row.next_offset,
                                                [WORD_ROWS] = s->n_rows_round + 1,
                                                [WORD_ROUND] = s->round,
                                                [WORD_FINGERPRINT] = s->shape->fingerprint,
                                                [WORD_SHIFT] = (uint64_t)s->shift_ns}};
    struct source_row row = {.group = s->group,
                             .time_ns = time_ns,
                             .cells = s->row.cells,
                             .n_cells = s->shape->n_channels,
                             .position = &position};
    int rc = sink->row(sink->ctx, &row);

    if (rc != 0)
        return rc == SINK_FULL ? SOURCE_WAIT : rc;
    s->has_row = false;
    s->n_rows_round++;
    s->n_rows++;
    return 0;
}

static int csv_step(void *self, const struct source_sink *sink, const struct source_now *now,
                    int64_t *ret_next_ns)
{
    struct source_csv_self *s = self;
    int rc;

    for (unsigned i = 0; i < SOURCE_STEP_ROWS; i++) {
        int64_t time_ns;

        rc = fetch(s);
        if (rc != 0)
            return rc;
        if (!s->has_shift) {
            s->shift_ns = s->config.shift_to_now ? now->wall_unix_ns - s->row.time_ns : 0;
            s->has_shift = true;
        }
        time_ns =
            (int64_t)((uint64_t)s->row.time_ns + (uint64_t)s->shift_ns + s->round * (uint64_t)s->round_ns);
        if (s->speed > 0) {
            *ret_next_ns = due_ns(s, time_ns, now);
            if (*ret_next_ns > now->mono_ns)
                return 0;
        }
        rc = give(s, sink, time_ns);
        if (rc != 0)
            return rc;
    }
    *ret_next_ns = now->mono_ns;
    return 0;
}

static bool csv_replayable(const void *self)
{
    (void)self;
    return true;
}

static void csv_describe_end(const void *self, char *out, size_t out_bytes)
{
    const struct source_csv_self *s = self;

    snprintf(out, out_bytes,
             "replay ended: %" PRIu64 " rows given since the start, %" PRIu64 " of %" PRIu64
             " rows and %" PRIu64 " cells of the file unreadable",
             s->n_rows, s->shape->n_bad_rows, s->shape->n_rows + s->shape->n_bad_rows, s->shape->n_bad_cells);
}

const struct source_kind source_csv = {
    .name = "csv",
    .help = "Replays a CSV file, plain or gzip; goes on after a restart exactly behind the last durable row.",
    .rows = rows,
    .config_bytes = sizeof(struct csv_config),
    .replayable = csv_replayable,
    .open = csv_open,
    .close = csv_close,
    .declare = csv_declare,
    .step = csv_step,
    .describe_end = csv_describe_end,
};
