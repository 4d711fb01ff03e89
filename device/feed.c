#include "device/feed_private.h"

#include "wire/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one source has lost since it was last told. */
struct loss {
    uint64_t samples;
    int64_t from_ns, to_ns;
};

struct sink_of {
    struct feed *feed;
    unsigned source;
    bool replayable;
    struct ring *ring;
    struct source_sink sink;
    struct loss loss;
};

int feed_new(struct feed **ret_f, const struct feed_options *options)
{
    struct feed *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -ENOMEM;
    f->live = options->live;
    f->replay = options->replay;
    f->wake_each = options->wake_each;
    f->n_sources = options->n_sources;
    f->sinks = calloc(options->n_sources + 1, sizeof *f->sinks);
    f->made = calloc(SOURCE_GROUPS_MAX, sizeof *f->made);
    f->known = calloc(SOURCE_GROUPS_MAX, sizeof *f->known);
    f->held = calloc(FEED_HELD_MAX, sizeof *f->held);
    if (f->sinks == NULL || f->made == NULL || f->known == NULL || f->held == NULL) {
        feed_free(f);
        return -ENOMEM;
    }
    *ret_f = f;
    return 0;
}

struct feed *feed_free(struct feed *f)
{
    if (f == NULL)
        return NULL;
    free(f->sinks);
    free(f->made);
    free(f->known);
    free(f->held);
    free(f);
    return NULL;
}

struct feed_counters *feed_counters(struct feed *f)
{
    return &f->counters;
}

static void count(_Atomic uint64_t *c, uint64_t n)
{
    /* One writer: no need for a locked addition. */
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static uint8_t *put(uint8_t *at, const void *data, size_t n)
{
    memcpy(at, data, n);
    return at + n;
}

static uint8_t *put_text(uint8_t *at, const void *text, size_t n)
{
    *at++ = (uint8_t)n;
    return put(at, text, n);
}

static int sink_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    struct sink_of *s = ctx;
    struct feed *f = s->feed;
    size_t need = sizeof(struct feed_head);
    struct feed_shape *shape;
    uint8_t *message, *at;
    struct feed_head head = {.kind = FEED_GROUP, .source = (uint8_t)s->source};

    if (f->n_groups == SOURCE_GROUPS_MAX)
        return -ENOSPC;
    if (g->n_channels == 0 || g->n_channels > BLOCK_COLUMNS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < g->n_channels; i++)
        need +=
            3 + strnlen(g->channels[i].name, NAME_PART_CHARS) + strnlen(g->channels[i].unit, NAME_PART_CHARS);
    if (need > ring_message_max(s->ring))
        return -EMSGSIZE;
    at = message = ring_reserve(s->ring, need);
    if (message == NULL)
        return SINK_FULL;
    shape = &f->made[f->n_groups];
    shape->n = g->n_channels;
    shape->all_fixed = true;
    head.group = (uint16_t)f->n_groups;
    head.n = (uint16_t)g->n_channels;
    at = put(at, &head, sizeof head);
    for (uint32_t i = 0; i < g->n_channels; i++) {
        const struct source_channel *c = &g->channels[i];

        shape->type[i] = (uint8_t)c->type;
        shape->all_fixed &= c->type != COLUMN_TEXT;
        *at++ = (uint8_t)c->type;
        at = put_text(at, c->name, strnlen(c->name, NAME_PART_CHARS));
        at = put_text(at, c->unit, strnlen(c->unit, NAME_PART_CHARS));
    }
    ring_publish(s->ring, (size_t)(at - message));
    *ret_group = f->n_groups++;
    return 0;
}

static uint32_t present(const struct cell *cells, uint32_t n)
{
    uint32_t samples = 0;

    for (uint32_t i = 0; i < n; i++)
        samples += !cells[i].absent;
    return samples;
}

static void lose(struct sink_of *s, const struct source_row *r)
{
    uint32_t samples = present(r->cells, r->n_cells);

    count(&s->feed->counters.rows_dropped, 1);
    count(&s->feed->counters.samples_dropped, samples);
    if (s->loss.samples == 0 || r->time_ns < s->loss.from_ns)
        s->loss.from_ns = r->time_ns;
    if (s->loss.samples == 0 || r->time_ns > s->loss.to_ns)
        s->loss.to_ns = r->time_ns;
    s->loss.samples += samples;
}

static bool tell_loss(struct sink_of *s, int64_t wall_unix_ns);

static uint8_t *put_cells(uint8_t *at, const struct feed_shape *shape, const struct cell *cells,
                          uint32_t *ret_samples)
{
    uint8_t *quality = at;
    uint32_t samples = 0;

    at += shape->n;
    for (uint32_t i = 0; i < shape->n; i++) {
        const struct cell *c = &cells[i];

        quality[i] = c->absent ? FEED_ABSENT : c->quality;
        if (c->absent)
            continue;
        samples++;
        if (shape->type[i] == COLUMN_TEXT)
            at = put_text(at, c->text.data,
                          c->text.len > BLOCK_TEXT_MAX_BYTES ? BLOCK_TEXT_MAX_BYTES : c->text.len);
        else
            at = put(at, &c->i64, sizeof c->i64);
    }
    *ret_samples = samples;
    return at;
}

static size_t row_bytes(const struct feed_shape *shape, const struct source_row *r)
{
    size_t need = sizeof(struct feed_row_head) + sizeof(struct source_position) + sizeof(struct keep_counts) +
                  (size_t)shape->n * 9;

    for (uint32_t i = 0; !shape->all_fixed && i < shape->n && i < r->n_cells; i++)
        if (shape->type[i] == COLUMN_TEXT && !r->cells[i].absent)
            need += r->cells[i].text.len;
    return need;
}

bool feed_has_room(struct feed *f, unsigned source, const struct source_row *r, size_t more)
{
    const struct sink_of *s = &f->sinks[source];
    size_t bytes = ring_bytes(s->ring), need;

    /* A group may have more columns than its source gives: those of windows. */
    if (r->group >= f->n_groups || r->n_cells > f->made[r->group].n)
        return true; /* is refused */
    if (more > bytes / 4)
        more = bytes / 4;
    /* A message that does not fit before the ring's end costs that end, too. Half a ring is what a producer
     * that waits for room is woken for. */
    need = more + 2 * (row_bytes(&f->made[r->group], r) + sizeof(struct feed_decision) + 16);
    if (need > bytes / 2)
        need = bytes / 2;
    return bytes - ring_used(s->ring) >= need;
}

static int sink_row(void *ctx, const struct source_row *r)
{
    struct sink_of *s = ctx;
    struct feed *f = s->feed;
    const struct feed_shape *shape;
    struct feed_row_head head = {
        .head = {.kind = FEED_ROW, .source = (uint8_t)s->source, .group = (uint16_t)r->group},
        .time_ns = r->time_ns,
        .mono_ns = r->mono_ns};
    uint8_t *message = NULL, *at;
    uint32_t samples;
    size_t need;

    if (r->group >= f->n_groups || r->n_cells != f->made[r->group].n)
        return -EINVAL;
    shape = &f->made[r->group];
    need = row_bytes(shape, r);
    if (s->loss.samples == 0 || tell_loss(s, r->time_ns))
        message = ring_reserve(s->ring, need);
    if (message == NULL) {
        if (!s->replayable && !r->is_account)
            lose(s, r);
        return SINK_FULL;
    }
    head.head.n = (uint16_t)shape->n;
    head.head.flags =
        (uint8_t)((r->position != NULL ? FEED_HAS_POSITION : 0) |
                  (r->reduced != NULL ? FEED_HAS_REDUCED : 0) | (r->is_account ? FEED_IS_ACCOUNT : 0));
    at = put(message, &head, sizeof head);
    if (r->position != NULL)
        at = put(at, r->position, sizeof *r->position);
    if (r->reduced != NULL)
        at = put(at, r->reduced, sizeof *r->reduced);
    if (r->is_account) {
        ring_publish(s->ring, (size_t)(at - message));
        return 0;
    }
    at = put_cells(at, shape, r->cells, &samples);
    ring_publish(s->ring, (size_t)(at - message));
    count(&f->counters.rows, 1);
    count(&f->counters.samples, samples);
    return 0;
}

static int sink_receipt(void *ctx, const struct source_receipt *r)
{
    struct sink_of *s = ctx;
    struct feed_head head = {.kind = FEED_RECEIPT, .source = (uint8_t)s->source};
    struct feed_receipt receipt = {.fd = r->fd, .samples = r->samples, .address_bytes = r->address_bytes};
    uint8_t *message;

    if (r->address_bytes > FEED_ADDRESS_BYTES)
        return -EINVAL;
    message = ring_reserve(s->ring, sizeof head + sizeof receipt);
    if (message == NULL)
        return SINK_FULL;
    memcpy(receipt.address, r->address, r->address_bytes);
    put(put(message, &head, sizeof head), &receipt, sizeof receipt);
    ring_publish(s->ring, sizeof head + sizeof receipt);
    s->feed->urgent = true;
    return 0;
}

bool feed_shares_ring(const struct feed *f, unsigned a, unsigned b)
{
    return f->sinks[a].ring == f->sinks[b].ring;
}

bool feed_put_event(struct feed *f, unsigned source, const struct feed_event *e)
{
    struct feed_head head = {.kind = FEED_EVENT, .source = (uint8_t)source};
    struct ring *ring = f->sinks[source].ring;
    uint8_t *message = ring_reserve(ring, sizeof head + sizeof *e);

    if (message == NULL)
        return false;
    put(put(message, &head, sizeof head), e, sizeof *e);
    ring_publish(ring, sizeof head + sizeof *e);
    f->urgent = true;
    return true;
}

bool feed_decision(struct feed *f, unsigned source, const struct feed_decision *d)
{
    struct feed_head head = {.kind = FEED_DECISION, .source = (uint8_t)source};
    struct ring *ring = f->sinks[source].ring;
    uint8_t *message = ring_reserve(ring, sizeof head + sizeof *d);

    if (message == NULL)
        return false;
    put(put(message, &head, sizeof head), d, sizeof *d);
    ring_publish(ring, sizeof head + sizeof *d);
    f->urgent = true;
    return true;
}

bool feed_mark(struct feed *f, bool replay)
{
    struct feed_head head = {.kind = FEED_MARK};
    struct ring *ring = replay ? f->replay : f->live;
    uint8_t *message = ring_reserve(ring, sizeof head);

    if (message == NULL)
        return false;
    put(message, &head, sizeof head);
    ring_publish(ring, sizeof head);
    return true;
}

bool feed_is_urgent(const struct feed *f)
{
    return f->urgent;
}

static int sink_event(void *ctx, const struct source_event *e)
{
    struct sink_of *s = ctx;
    struct feed_event f = {.type = e->type, .severity = e->severity, .time_ns = e->time_ns};

    if (e->channel != NULL)
        snprintf(f.channel, sizeof f.channel, "%s", e->channel);
    snprintf(f.text, sizeof f.text, "%s", e->text);
    return feed_event(s->feed, s->source, &f) ? 0 : SINK_FULL;
}

const struct source_sink *feed_sink(struct feed *f, unsigned source, bool replayable)
{
    struct sink_of *s = &f->sinks[source];

    s->feed = f;
    s->source = source;
    s->replayable = replayable;
    s->ring = replayable ? f->replay : f->live;
    s->sink = (struct source_sink){s, sink_group, sink_row, sink_receipt, sink_event};
    return &s->sink;
}

static void loss_event(const struct loss *l, int64_t wall_unix_ns, struct feed_event *ret_e)
{
    *ret_e = (struct feed_event){.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_DROPPED,
                                 .severity = 1,
                                 .time_ns = wall_unix_ns,
                                 .blind_from_ns = l->from_ns,
                                 .blind_to_ns = l->to_ns,
                                 .count = l->samples};
    snprintf(ret_e->text, sizeof ret_e->text, "no room in the ring: %" PRIu64 " samples dropped", l->samples);
}

static bool tell_loss(struct sink_of *s, int64_t wall_unix_ns)
{
    struct feed_event e;

    loss_event(&s->loss, wall_unix_ns, &e);
    if (!feed_try_event(s->feed, s->source, &e))
        return false;
    s->loss = (struct loss){0};
    return true;
}

bool feed_take_untold(struct feed *f, unsigned *ret_source, struct feed_event *ret_e)
{
    if (feed_take_held(f, ret_source, ret_e))
        return true;
    for (unsigned i = 0; i < f->n_sources; i++) {
        struct loss *l = &f->sinks[i].loss;

        if (l->samples == 0)
            continue;
        loss_event(l, l->to_ns, ret_e);
        *l = (struct loss){0};
        *ret_source = i;
        return true;
    }
    return false;
}

static void wake(const struct feed *f, struct ring *ring)
{
    if (f->wake_each || f->urgent || ring_used(ring) > ring_bytes(ring) / 2)
        ring_wake_consumer(ring);
}

bool feed_flush(struct feed *f, int64_t wall_unix_ns)
{
    bool all_told = true;

    for (unsigned i = 0; i < f->n_sources; i++)
        all_told &= (f->n_held == 0 || feed_tell_held(f, i)) &&
                    (f->sinks[i].loss.samples == 0 || tell_loss(&f->sinks[i], wall_unix_ns));
    wake(f, f->live);
    if (f->replay != NULL)
        wake(f, f->replay);
    f->urgent = false;
    return all_told;
}
