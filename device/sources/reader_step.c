/* reader_step.c - the act thread's side of a reader: rows and events handed over, and what is said for a
 * thread that hangs. */
#include "device/sources/reader_private.h"

#include "base/clock.h"
#include "wire/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int source_reader_fd(const struct source_reader *r)
{
    return r->wake_fd;
}

int source_reader_declare(struct source_reader *r, uint32_t group, const struct source_sink *sink)
{
    struct reader_group *g = &r->groups[group];
    struct source_group shape;
    int rc;

    if (g->is_declared)
        return 0;
    r->options.shape(r->options.ctx, group, &shape);
    rc = sink->group(sink->ctx, &shape, &g->number);
    if (rc != 0)
        return rc;
    g->n = shape.n_channels;
    for (uint32_t i = 0; i < g->n; i++) {
        assert(shape.channels[i].type != COLUMN_TEXT);
        g->types[i] = shape.channels[i].type;
        g->last[i] = (struct cell){.absent = true};
    }
    g->is_declared = true;
    return 0;
}

static int tell(const struct source_sink *sink, const struct reader_slot *s)
{
    struct source_event e = {.type = s->type,
                             .severity = s->severity,
                             .channel = s->channel[0] != '\0' ? s->channel : NULL,
                             .time_ns = s->wall_unix_ns,
                             .text = s->text};

    return sink->event(sink->ctx, &e);
}

static int tell_of_thread(const struct source_reader *r, const struct source_sink *sink,
                          const struct source_now *now, uint32_t type, const char *text)
{
    struct reader_slot s = {.type = type,
                            .severity = type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED ? 0 : 2,
                            .wall_unix_ns = now->wall_unix_ns};
    char what[READER_WHAT_BYTES];

    snprintf(what, sizeof what, "%s", r->what);
    if (r->options.describe != NULL)
        r->options.describe(r->options.ctx, what, sizeof what);
    snprintf(s.text, sizeof s.text, "%s %s", what, text);
    return tell(sink, &s);
}

static void give_row(const struct source_sink *sink, const struct reader_group *g, const struct cell *cells,
                     const struct source_now *at)
{
    struct source_row row = {.group = g->number,
                             .time_ns = at->wall_unix_ns,
                             .mono_ns = (uint64_t)at->mono_ns,
                             .cells = cells,
                             .n_cells = g->n};

    if (sink->row(sink->ctx, &row) != 0)
        return; /* lost: the sink counts it and tells */
}

/* SINK_FULL: the slot is to be kept. */
static int hand_over(struct source_reader *r, const struct source_sink *sink, const struct source_now *now,
                     const struct reader_slot *s)
{
    struct reader_group *g = &r->groups[s->group];
    struct source_now at = {s->wall_unix_ns, s->mono_ns};
    char text[READER_TEXT_BYTES];
    int rc;

    if (s->is_event)
        return tell(sink, s);
    if (g->is_refused)
        return 0;
    rc = source_reader_declare(r, s->group, sink);
    if (rc < 0) {
        snprintf(text, sizeof text, "is not recorded: %s", source_refusal(rc));
        rc = tell_of_thread(r, sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, text);
    }
    if (rc != 0)
        return SINK_FULL;
    g->is_refused = !g->is_declared;
    if (g->is_refused)
        return 0;
    memcpy(g->last, s->cells, g->n * sizeof *s->cells);
    give_row(sink, g, s->cells, &at);
    return 0;
}

static bool hand_over_all(struct source_reader *r, const struct source_sink *sink,
                          const struct source_now *now)
{
    uint32_t given = atomic_load_explicit(&r->given, memory_order_acquire);
    uint32_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);

    for (; taken != given; taken++) {
        if (hand_over(r, sink, now, &r->slots[taken % r->n_slots]) != 0)
            return false;
        atomic_store_explicit(&r->taken, taken + 1, memory_order_release);
    }
    return true;
}

static void give_bad_rows(struct source_reader *r, const struct source_sink *sink,
                          const struct source_now *now)
{
    for (uint32_t i = 0; i < r->options.n_groups; i++) {
        const struct reader_group *g = &r->groups[i];

        if (!g->is_declared)
            continue;
        for (uint32_t k = 0; k < g->n; k++) {
            r->bad[k] = g->last[k];
            if (g->types[k] == COLUMN_DOUBLE)
                r->bad[k] = (struct cell){.f64 = NAN};
            r->bad[k].quality = QUALITY_BAD;
        }
        give_row(sink, g, r->bad, now);
    }
}

static void tell_losses(struct source_reader *r, const struct source_sink *sink, const struct source_now *now)
{
    uint64_t lost = atomic_load_explicit(&r->lost, memory_order_relaxed);
    char text[READER_TEXT_BYTES];

    if (lost == r->lost_told)
        return;
    snprintf(text, sizeof text, "lost %" PRIu64 " rows: they were read faster than taken",
             lost - r->lost_told);
    if (tell_of_thread(r, sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, text) == 0)
        r->lost_told = lost;
}

/* Since when nothing came, and what is to be done about it. Returns when to look again. */
static int64_t judge(struct source_reader *r, const struct source_sink *sink, const struct source_now *now)
{
    int64_t interval_ns = r->options.interval_ns;
    int64_t since_ns = atomic_load_explicit(&r->answer_mono_ns, memory_order_acquire);
    char text[READER_TEXT_BYTES];

    if (since_ns < r->first_mono_ns)
        since_ns = r->first_mono_ns;
    if (now->mono_ns - since_ns < 2 * interval_ns) {
        if (r->is_hung && tell_of_thread(r, sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
                                         "answers again") == 0)
            r->is_hung = false;
        return since_ns + 2 * interval_ns;
    }
    snprintf(text, sizeof text, "gives no answer for %.3g s: a read hangs",
             (double)(now->mono_ns - since_ns) / (double)NS_PER_S);
    if (!r->is_hung &&
        tell_of_thread(r, sink, now, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, text) == 0)
        r->is_hung = true;
    if (now->mono_ns / interval_ns != r->bad_mono_ns / interval_ns) {
        r->bad_mono_ns = now->mono_ns;
        give_bad_rows(r, sink, now);
    }
    return now->mono_ns / interval_ns * interval_ns + interval_ns;
}

void source_reader_step(struct source_reader *r, const struct source_sink *sink, const struct source_now *now,
                        int64_t *ret_next_ns)
{
    if (r->first_mono_ns == 0)
        r->first_mono_ns = now->mono_ns;
    reader_clear_fd(r->wake_fd);
    *ret_next_ns = judge(r, sink, now);
    if (!hand_over_all(r, sink, now)) {
        /* What waits does not make the descriptor readable again. */
        *ret_next_ns = now->mono_ns + r->options.interval_ns;
        return;
    }
    tell_losses(r, sink, now);
}
