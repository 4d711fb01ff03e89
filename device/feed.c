#include "device/feed.h"

#include "base/numfmt.h"
#include "rule/rule.h"
#include "wire/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ABSENT = 0xff, HEAD_HAS_POSITION = 1, HEAD_HAS_REDUCED = 2, HEAD_IS_ACCOUNT = 4 };

struct head {
    uint8_t kind, flags, source, pad;
    uint16_t group, n;
};

struct row_head {
    struct head head;
    int64_t time_ns;
    uint64_t mono_ns;
};

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

/* Types of the columns of each group: the producer's to write rows, the consumer's to read them. */
struct shape {
    uint32_t n;
    bool all_fixed; /* no text column */
    uint8_t type[BLOCK_COLUMNS_MAX];
};

struct feed {
    struct ring *live, *replay;
    bool wake_each, urgent;
    unsigned n_sources;
    struct sink_of *sinks;
    uint32_t n_groups;
    struct shape *made, *known; /* SOURCE_GROUPS_MAX each: producer's, consumer's */
    struct feed_counters counters;
    struct feed_channel channels[BLOCK_COLUMNS_MAX]; /* of the group read last */
    struct cell cells[BLOCK_COLUMNS_MAX];            /* of the row read last */
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
    if (f->sinks == NULL || f->made == NULL || f->known == NULL) {
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
    size_t need = sizeof(struct head);
    struct shape *shape;
    uint8_t *message, *at;
    struct head head = {.kind = FEED_GROUP, .source = (uint8_t)s->source};

    if (f->n_groups == SOURCE_GROUPS_MAX)
        return -ENOSPC;
    if (g->n_channels == 0 || g->n_channels > BLOCK_COLUMNS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < g->n_channels; i++)
        need +=
            3 + strnlen(g->channels[i].name, NAME_PART_CHARS) + strnlen(g->channels[i].unit, NAME_PART_CHARS);
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

static uint8_t *put_cells(uint8_t *at, const struct shape *shape, const struct cell *cells,
                          uint32_t *ret_samples)
{
    uint8_t *quality = at;
    uint32_t samples = 0;

    at += shape->n;
    for (uint32_t i = 0; i < shape->n; i++) {
        const struct cell *c = &cells[i];

        quality[i] = c->absent ? ABSENT : c->quality;
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

static size_t row_bytes(const struct shape *shape, const struct source_row *r)
{
    size_t need = sizeof(struct row_head) + sizeof(struct source_position) + sizeof(struct keep_counts) +
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
    const struct shape *shape;
    struct row_head head = {
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
        (uint8_t)((r->position != NULL ? HEAD_HAS_POSITION : 0) |
                  (r->reduced != NULL ? HEAD_HAS_REDUCED : 0) | (r->is_account ? HEAD_IS_ACCOUNT : 0));
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
    struct head head = {.kind = FEED_RECEIPT, .source = (uint8_t)s->source};
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

static bool put_event(struct feed *f, unsigned source, const struct feed_event *e)
{
    struct head head = {.kind = FEED_EVENT, .source = (uint8_t)source};
    struct ring *ring = f->sinks[source].ring;
    uint8_t *message = ring_reserve(ring, sizeof head + sizeof *e);

    if (message == NULL)
        return false;
    put(put(message, &head, sizeof head), e, sizeof *e);
    ring_publish(ring, sizeof head + sizeof *e);
    f->urgent = true;
    return true;
}

bool feed_try_event(struct feed *f, unsigned source, const struct feed_event *e)
{
    return put_event(f, source, e);
}

bool feed_event(struct feed *f, unsigned source, const struct feed_event *e)
{
    if (put_event(f, source, e))
        return true;
    count(&f->counters.events_dropped, 1);
    return false;
}

bool feed_decision(struct feed *f, unsigned source, const struct feed_decision *d)
{
    struct head head = {.kind = FEED_DECISION, .source = (uint8_t)source};
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
    struct head head = {.kind = FEED_MARK};
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

void feed_decision_value(const struct feed_decision *d, char *out, size_t n)
{
    char number[NUMFMT_DOUBLE_CHARS];

    switch ((enum rule_type)d->type) {
    case RULE_DOUBLE:
        numfmt_double(d->f64, number);
        snprintf(out, n, "%s", number);
        break;
    case RULE_INTEGER:
        snprintf(out, n, "%" PRId64, d->i64);
        break;
    case RULE_BOOL:
        snprintf(out, n, "%s", d->i64 != 0 ? "true" : "false");
        break;
    case RULE_TEXT:
        snprintf(out, n, "%.*s", (int)d->text_bytes, (const char *)d->text);
        break;
    }
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
    if (!put_event(s->feed, s->source, &e))
        return false;
    s->loss = (struct loss){0};
    return true;
}

bool feed_take_loss(struct feed *f, unsigned *ret_source, struct feed_event *ret_e)
{
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

void feed_flush(struct feed *f, int64_t wall_unix_ns)
{
    for (unsigned i = 0; i < f->n_sources; i++)
        if (f->sinks[i].loss.samples > 0)
            tell_loss(&f->sinks[i], wall_unix_ns);
    wake(f, f->live);
    if (f->replay != NULL)
        wake(f, f->replay);
    f->urgent = false;
}

/* ---- consumer ---- */

static const uint8_t *get(const uint8_t *at, void *out, size_t n)
{
    memcpy(out, at, n);
    return at + n;
}

static const uint8_t *get_name(const uint8_t *at, char out[SOURCE_NAME_BYTES])
{
    size_t n = *at++;

    out[n] = '\0';
    return get(at, out, n);
}

static void read_group(struct feed *f, const uint8_t *at, const struct head *head, struct feed_message *m)
{
    struct shape *shape = &f->known[head->group];

    shape->n = head->n;
    for (uint32_t i = 0; i < head->n; i++) {
        struct feed_channel *c = &f->channels[i];

        shape->type[i] = *at;
        c->type = (enum column_type) * at++;
        at = get_name(at, c->name);
        at = get_name(at, c->unit);
    }
    m->channels = f->channels;
    m->n_channels = head->n;
}

static void read_row(struct feed *f, const uint8_t *at, struct feed_message *m)
{
    const struct shape *shape;
    struct row_head head;
    const uint8_t *quality;

    at = get(at, &head, sizeof head);
    shape = &f->known[head.head.group];
    m->time_ns = head.time_ns;
    m->mono_ns = head.mono_ns;
    m->has_position = (head.head.flags & HEAD_HAS_POSITION) != 0;
    if (m->has_position)
        at = get(at, &m->position, sizeof m->position);
    m->reduced = (struct keep_counts){0};
    if ((head.head.flags & HEAD_HAS_REDUCED) != 0)
        at = get(at, &m->reduced, sizeof m->reduced);
    m->is_account = (head.head.flags & HEAD_IS_ACCOUNT) != 0;
    m->n_samples = m->n_cells = 0;
    if (m->is_account)
        return;
    quality = at;
    at += shape->n;
    for (uint32_t i = 0; i < shape->n; i++) {
        struct cell *c = &f->cells[i];

        if (quality[i] == ABSENT) {
            *c = (struct cell){.absent = true};
            continue;
        }
        m->n_samples++;
        c->absent = false;
        c->quality = quality[i];
        if (shape->type[i] == COLUMN_TEXT) {
            c->text = span_of(at + 1, *at);
            at += 1 + *at;
        } else {
            at = get(at, &c->i64, sizeof c->i64);
        }
    }
    m->cells = f->cells;
    m->n_cells = shape->n;
}

bool feed_read(struct feed *f, struct ring *ring, struct feed_message *ret_m)
{
    size_t n;
    const uint8_t *at = ring_peek(ring, &n), *body;
    struct head head;

    if (at == NULL)
        return false;
    body = get(at, &head, sizeof head);
    ret_m->kind = (enum feed_kind)head.kind;
    ret_m->source = head.source;
    ret_m->group = head.group;
    switch (ret_m->kind) {
    case FEED_GROUP:
        read_group(f, body, &head, ret_m);
        break;
    case FEED_ROW:
        read_row(f, at, ret_m);
        break;
    case FEED_EVENT:
        get(body, &ret_m->event, sizeof ret_m->event);
        break;
    case FEED_RECEIPT:
        get(body, &ret_m->receipt, sizeof ret_m->receipt);
        break;
    case FEED_DECISION:
        get(body, &ret_m->decision, sizeof ret_m->decision);
        break;
    case FEED_MARK:
        break;
    }
    return true;
}
