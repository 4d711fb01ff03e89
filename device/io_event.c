/* io_event.c - records of the device itself: events and replies, into the batch. */
#include "device/io.h"

#include <stdio.h>
#include <string.h>

void io_add_message(struct io *io, unsigned lane, uint32_t kind, const ProtobufCMessage *m)
{
    struct batch_entry e = {.kind = kind, .source = BATCH_NO_SOURCE, .lane = (uint8_t)lane};

    io_add_entry(io, &e, m);
}

void io_add_entry(struct io *io, const struct batch_entry *like, const ProtobufCMessage *m)
{
    int rc;

    wire_pack(batch_begin(io->batch), m);
    rc = batch_end(io->batch, like, NULL);
    if (rc != 0) {
        io_fail(io, rc);
        return;
    }
    io->waits = true;
    io->urgent |= like->lane == LANE_URGENT;
}

static void add_event(struct io *io, Fogline__V1__Event *m, const struct feed_event *e, const char *subject)
{
    char text[FEED_TEXT_BYTES];

    /* It may hold what a program, a broker or a file said, cut somewhere. */
    snprintf(text, sizeof text, "%s", e->text);
    wire_text_mend(text);
    m->format = WIRE_FORMAT;
    m->type = (Fogline__V1__EventType)e->type;
    m->severity = e->severity;
    m->time_ns = e->time_ns;
    m->subject = (char *)subject;
    m->text = text;
    m->count = e->count;
    m->blind_from_ns = e->blind_from_ns;
    m->blind_to_ns = e->blind_to_ns;
    io->counter[IO_EVENTS]++;
    io_add_message(io, LANE_URGENT, FOGLINE__V1__KIND__KIND_EVENT, &m->base);
}

void io_event(struct io *io, const struct feed_event *e, const char *subject)
{
    Fogline__V1__Event m = FOGLINE__V1__EVENT__INIT;

    add_event(io, &m, e, subject);
}

void io_start_event(struct io *io)
{
    Fogline__V1__Event m = FOGLINE__V1__EVENT__INIT;
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_START,
                           .time_ns = clock_wall_unix_ns(&io->daemon->clock)};
    uint64_t alive;

    m.boot_id = wire_bytes(span_of(io->daemon->boot_id.bytes, ID128_BYTES));
    m.version = (char *)FOGLINE_VERSION;
    /* No live sample exists between the last sign of life and now. A clock that went back says nothing. */
    if (spool_fact_get_u64(io->spool, "alive", &alive) == 0 && (int64_t)alive <= e.time_ns) {
        e.blind_from_ns = (int64_t)alive;
        e.blind_to_ns = e.time_ns;
    }
    snprintf(e.text, sizeof e.text, "started%s", spool_began_epoch(io->spool) ? ", a new epoch" : "");
    add_event(io, &m, &e, io->config->settings.node);
}

void io_stop_event(struct io *io)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_STOP,
                           .time_ns = clock_wall_unix_ns(&io->daemon->clock),
                           .severity = io->error != 0 ? 2 : 0};

    snprintf(e.text, sizeof e.text, "%s", io->error != 0 ? strerror(-io->error) : "stopped");
    io_event(io, &e, io->config->settings.node);
}

void io_reply(struct io *io, uint64_t counter, bool ok, const char *text)
{
    Fogline__V1__Reply m = FOGLINE__V1__REPLY__INIT;

    m.format = WIRE_FORMAT;
    m.time_ns = clock_wall_unix_ns(&io->daemon->clock);
    m.counter = counter;
    m.ok = ok;
    m.text = (char *)text;
    io_add_message(io, LANE_URGENT, FOGLINE__V1__KIND__KIND_REPLY, &m.base);
}
