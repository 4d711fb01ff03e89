#include "device/sources/told.h"

#include "base/numfmt.h"
#include "wire/wire.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct channel {
    char name[SOURCE_NAME_BYTES];
    enum column_type type;
    uint32_t group;
    bool has_value;
    int64_t i64; /* of int and bool */
    uint8_t text_bytes;
    char text[BLOCK_TEXT_MAX_BYTES];
};

struct told {
    unsigned n, max;
    bool is_failed, is_said; /* said: the event of the failure is out */
    unsigned n_bad;          /* channels that got their bad row since it failed */
    struct channel channels[];
};

const char *const told_types[] = {"auto", "double", "int", "bool", "text", NULL};

static bool parse_bool(const char *text, size_t len, bool words_only, int64_t *ret_v)
{
    static const char *const words[] = {"false", "true", "0", "1", "off", "on", "no", "yes"};

    for (unsigned i = 0; i < (words_only ? 2 : sizeof words / sizeof words[0]); i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0) {
            *ret_v = i % 2;
            return true;
        }
    return false;
}

bool told_parse(enum told_type type, const char *text, size_t len, struct told_value *ret_v)
{
    struct told_value v = {COLUMN_TEXT, {0}};

    if (len == 0 || len > BLOCK_TEXT_MAX_BYTES)
        return false;
    if ((type == TOLD_AUTO || type == TOLD_DOUBLE) && numfmt_parse_double(text, len, &v.cell.f64))
        v.type = COLUMN_DOUBLE;
    else if (type == TOLD_INT && numfmt_parse_i64(text, len, &v.cell.i64))
        v.type = COLUMN_INT64;
    else if ((type == TOLD_AUTO || type == TOLD_BOOL) &&
             parse_bool(text, len, type == TOLD_AUTO, &v.cell.i64))
        v.type = COLUMN_BOOL;
    else if (type == TOLD_AUTO || type == TOLD_TEXT)
        v.cell.text = span_of(text, len);
    else
        return false;
    *ret_v = v;
    return true;
}

int told_new(struct told **ret_t, unsigned channels_max)
{
    struct told *t = calloc(1, sizeof *t + channels_max * sizeof t->channels[0]);

    if (t == NULL)
        return -ENOMEM;
    t->max = channels_max;
    *ret_t = t;
    return 0;
}

struct told *told_free(struct told *t)
{
    free(t);
    return NULL;
}

static struct channel *find(struct told *t, const struct source_channel *c)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->channels[i].type == c->type && strcmp(t->channels[i].name, c->name) == 0)
            return &t->channels[i];
    return NULL;
}

int told_declare(struct told *t, const struct source_sink *sink, const struct source_channel *c)
{
    struct source_group group = {c, 1};
    struct channel *to = &t->channels[t->n];
    int rc;

    if (find(t, c) != NULL)
        return 0;
    if (t->n == t->max)
        return -ENOSPC;
    rc = sink->group(sink->ctx, &group, &to->group);
    if (rc != 0)
        return rc;
    memcpy(to->name, c->name, strlen(c->name) + 1);
    to->type = c->type;
    t->n++;
    return 0;
}

static void remember(struct channel *c, const struct cell *cell)
{
    c->has_value = !cell->absent;
    if (c->type == COLUMN_TEXT) {
        c->text_bytes = (uint8_t)cell->text.len;
        memcpy(c->text, cell->text.data, cell->text.len);
    } else if (c->type != COLUMN_DOUBLE) {
        c->i64 = cell->i64;
    }
}

static int emit(const struct channel *c, const struct source_sink *sink, const struct cell *cell,
                const struct source_now *now, int64_t time_ns)
{
    struct source_row row = {.group = c->group,
                             .time_ns = time_ns,
                             .mono_ns = (uint64_t)now->mono_ns,
                             .cells = cell,
                             .n_cells = 1};

    return sink->row(sink->ctx, &row);
}

const char *told_row(struct told *t, const struct source_sink *sink, const struct source_channel *c,
                     const struct cell *cell, const struct source_now *now, int64_t time_ns)
{
    int rc = told_declare(t, sink, c);
    struct channel *to;

    if (rc != 0)
        return rc == SINK_FULL  ? "no room now"
               : t->n == t->max ? "too many channels since the start"
                                : source_refusal(rc);
    to = find(t, c);
    remember(to, cell);
    rc = emit(to, sink, cell, now, time_ns);
    return rc < 0 ? "not taken" : NULL;
}

static int say(const struct source_sink *sink, const struct source_now *now, uint32_t type, uint32_t severity,
               const char *text)
{
    struct source_event e = {.type = type, .severity = severity, .time_ns = now->wall_unix_ns, .text = text};

    return sink->event(sink->ctx, &e);
}

bool told_failed(struct told *t, const struct source_sink *sink, const struct source_now *now,
                 const char *text)
{
    if (!t->is_failed) {
        t->is_failed = true;
        t->is_said = false;
        t->n_bad = 0;
    }
    if (!t->is_said)
        t->is_said = say(sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, 2, text) == 0;
    for (; t->n_bad < t->n; t->n_bad++) {
        struct channel *c = &t->channels[t->n_bad];
        struct cell bad = {.quality = QUALITY_BAD, .absent = c->type != COLUMN_DOUBLE && !c->has_value};

        if (c->type == COLUMN_DOUBLE)
            bad.f64 = NAN;
        else if (c->type == COLUMN_TEXT)
            bad.text = span_of(c->text, c->text_bytes);
        else
            bad.i64 = c->i64;
        if (emit(c, sink, &bad, now, now->wall_unix_ns) != 0)
            return false;
    }
    return t->is_said;
}

void told_well(struct told *t, const struct source_sink *sink, const struct source_now *now, const char *text)
{
    if (!t->is_failed)
        return;
    /* A failure that found no room to be told needs no recovery told either. */
    if (t->is_said && say(sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED, 0, text) != 0)
        return;
    t->is_failed = false;
}

bool told_is_failed(const struct told *t)
{
    return t->is_failed;
}

void told_note(const struct source_sink *sink, const struct source_now *now, uint32_t severity,
               const char *text)
{
    int rc = say(sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, severity, text);

    (void)rc; /* a note that found no room is counted by the sink */
}
