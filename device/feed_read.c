/* feed_read.c - the consumer's half of a feed: messages of the rings as what they mean. */
#include "device/feed_private.h"

#include "base/numfmt.h"
#include "rule/rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static void read_group(struct feed *f, const uint8_t *at, const struct feed_head *head,
                       struct feed_message *m)
{
    struct feed_shape *shape = &f->known[head->group];

    shape->n = head->n;
    for (uint32_t i = 0; i < head->n; i++) {
        struct pack_channel *c = &f->channels[i];

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
    const struct feed_shape *shape;
    struct feed_row_head head;
    const uint8_t *quality;

    at = get(at, &head, sizeof head);
    shape = &f->known[head.head.group];
    m->time_ns = head.time_ns;
    m->mono_ns = head.mono_ns;
    m->has_position = (head.head.flags & FEED_HAS_POSITION) != 0;
    if (m->has_position)
        at = get(at, &m->position, sizeof m->position);
    m->reduced = (struct keep_counts){0};
    if ((head.head.flags & FEED_HAS_REDUCED) != 0)
        at = get(at, &m->reduced, sizeof m->reduced);
    m->is_account = (head.head.flags & FEED_IS_ACCOUNT) != 0;
    m->n_samples = m->n_cells = 0;
    if (m->is_account)
        return;
    quality = at;
    at += shape->n;
    for (uint32_t i = 0; i < shape->n; i++) {
        struct cell *c = &f->cells[i];

        if (quality[i] == FEED_ABSENT) {
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
    struct feed_head head;

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
