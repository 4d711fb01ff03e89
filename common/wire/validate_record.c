/* validate_record.c - payloads of records (proto/record.proto). */
#include "wire/check.h"

#include <math.h>

static void check_descriptor(struct check *c, const Fogline__V1__Descriptor *d)
{
    size_t i;

    check_base(c, &d->base);
    check_name(c, d->name);
    check_line(c, d->unit, WIRE_LABEL_MAX_BYTES);
    check_that(c, d->type >= FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_DOUBLE &&
                      d->type <= FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_TEXT);
    check_that(c, isfinite(d->scale) && d->error_bound >= 0 && d->error_bound <= WIRE_ERROR_BOUND_MAX);
    check_that(c, d->keep >= FOGLINE__V1__KEEP_POLICY__KEEP_POLICY_RAW &&
                      d->keep <= FOGLINE__V1__KEEP_POLICY__KEEP_POLICY_LOCAL);
    check_limit(c, d->n_tags, WIRE_TAGS_MAX);
    for (i = 0; c->fault == WIRE_OK && i < d->n_tags; i++) {
        check_line(c, d->tags[i], WIRE_LABEL_MAX_BYTES);
        check_that(c, d->tags[i][0] != '=' && strchr(d->tags[i], '=') != NULL);
    }
    check_that(c, d->error_bound == 0 || d->type == FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_DOUBLE);
    check_limit(c, d->start.len, WIRE_CODEC_START_MAX_BYTES);
}

/* A channel that stands twice in a set would give one name two values at one time. */
static bool channel_is_new(const Fogline__V1__DescriptorSet *s, size_t i)
{
    size_t j;

    for (j = 0; j < i; j++)
        if (strcmp(s->channels[j]->name, s->channels[i]->name) == 0)
            return false;
    return true;
}

int wire_descriptor_set_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__DescriptorSet **ret_set)
{
    struct check c = {0};
    Fogline__V1__DescriptorSet *s =
        unpack_raw(a, &fogline__v1__descriptor_set__descriptor, bytes, WIRE_PAYLOAD_MAX_BYTES, &c);
    size_t i;

    if (s == NULL)
        return c.fault;
    check_format(&c, s->format);
    check_base(&c, &s->base);
    check_name(&c, s->group);
    check_limit(&c, s->n_channels, WIRE_CHANNELS_MAX);
    check_that(&c, s->n_channels > 0);
    check_limit(&c, s->time_start.len, WIRE_CODEC_START_MAX_BYTES);
    check_that(&c, s->n_deadband == 0 || s->n_deadband == s->n_channels);
    check_that(&c, s->n_max_silence_ms == 0 || s->n_max_silence_ms == s->n_channels);
    for (i = 0; i < s->n_deadband; i++)
        check_that(&c, isfinite(s->deadband[i]) && s->deadband[i] >= 0);
    for (i = 0; c.fault == WIRE_OK && i < s->n_channels; i++) {
        check_descriptor(&c, s->channels[i]);
        check_that(&c, channel_is_new(s, i));
    }
    if (c.fault == WIRE_OK)
        *ret_set = s;
    return c.fault;
}

static void check_cover(struct check *c, const Fogline__V1__Cover *v)
{
    size_t i;

    check_base(c, &v->base);
    check_name_or_empty(c, v->origin);
    check_id(c, v->epoch);
    check_lane(c, v->lane);
    check_limit(c, v->n_bounds, 2 * WIRE_COVER_INTERVALS_MAX);
    if (c->fault == WIRE_OK)
        check_that(c, v->n_bounds > 0 && wire_bounds_ok(v->bounds, v->n_bounds, WIRE_COVER_INTERVALS_MAX));
    check_that(c, v->reason >= FOGLINE__V1__REASON__REASON_EVICTED &&
                      v->reason <= FOGLINE__V1__REASON__REASON_REFUSED);
    check_id_or_empty(c, v->store);
    check_that(c, v->reason != FOGLINE__V1__REASON__REASON_EVICTED_STORED || v->store.len != 0);
    check_limit(c, v->n_needs, WIRE_NEEDS_MAX);
    for (i = 0; c->fault == WIRE_OK && i < v->n_needs; i++)
        check_seq(c, v->needs[i]);
}

static void check_covers(struct check *c, Fogline__V1__Cover *const *covers, size_t n)
{
    size_t i;

    check_limit(c, n, WIRE_COVERS_MAX);
    for (i = 0; c->fault == WIRE_OK && i < n; i++)
        check_cover(c, covers[i]);
}

/* An unknown encoding passes: the block is stored and forwarded all the same. */
int wire_block_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Block **ret_block)
{
    struct check c = {0};
    Fogline__V1__Block *b = unpack_raw(a, &fogline__v1__block__descriptor, bytes, WIRE_PAYLOAD_MAX_BYTES, &c);

    if (b == NULL)
        return c.fault;
    check_format(&c, b->format);
    check_base(&c, &b->base);
    check_limit(&c, b->rows, WIRE_ROWS_MAX);
    check_that(&c, b->rows > 0 && b->encoding != 0);
    check_that(&c, (uint64_t)b->samples <= (uint64_t)b->rows * WIRE_CHANNELS_MAX);
    check_that(&c, b->time_span_ns <= (uint64_t)INT64_MAX - (uint64_t)b->time_first_ns);
    check_that(&c, b->clock_state <= WIRE_CLOCK_STATE_MAX);
    check_covers(&c, b->covers, b->n_covers);
    if (c.fault == WIRE_OK)
        *ret_block = b;
    return c.fault;
}

/* An unknown type passes: it is shown by its number and text. */
int wire_event_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Event **ret_event)
{
    struct check c = {0};
    Fogline__V1__Event *e = unpack_raw(a, &fogline__v1__event__descriptor, bytes, WIRE_PAYLOAD_MAX_BYTES, &c);

    if (e == NULL)
        return c.fault;
    check_format(&c, e->format);
    check_base(&c, &e->base);
    check_that(&c, (int)e->type > 0 && e->severity <= WIRE_SEVERITY_MAX);
    check_line(&c, e->subject, WIRE_SUBJECT_MAX_BYTES);
    check_text(&c, e->text, WIRE_TEXT_MAX_BYTES);
    check_that(&c, e->blind_from_ns <= e->blind_to_ns);
    check_id_or_empty(&c, e->boot_id);
    check_line(&c, e->version, WIRE_LABEL_MAX_BYTES);
    if (c.fault == WIRE_OK)
        *ret_event = e;
    return c.fault;
}

static void check_reductions(struct check *c, const Fogline__V1__Reductions *r)
{
    size_t i;

    check_base(c, &r->base);
    check_id(c, r->epoch);
    check_limit(c, r->n_reduced, WIRE_REDUCED_MAX);
    for (i = 0; c->fault == WIRE_OK && i < r->n_reduced; i++) {
        const Fogline__V1__Reduced *one = r->reduced[i];

        check_base(c, &one->base);
        check_name(c, one->group);
        check_that(c, one->reason == FOGLINE__V1__REASON__REASON_FILTERED ||
                          one->reason == FOGLINE__V1__REASON__REASON_MERGED ||
                          one->reason == FOGLINE__V1__REASON__REASON_THINNED ||
                          one->reason == FOGLINE__V1__REASON__REASON_LOCAL);
        check_that(c, one->sent_later <= one->samples);
    }
}

int wire_health_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Health **ret_health)
{
    struct check c = {0};
    Fogline__V1__Health *h =
        unpack_raw(a, &fogline__v1__health__descriptor, bytes, WIRE_PAYLOAD_MAX_BYTES, &c);
    size_t i;

    if (h == NULL)
        return c.fault;
    check_format(&c, h->format);
    check_base(&c, &h->base);
    check_limit(&c, h->n_counters, WIRE_COUNTERS_MAX);
    for (i = 0; c.fault == WIRE_OK && i < h->n_counters; i++) {
        check_base(&c, &h->counters[i]->base);
        check_that(&c, h->counters[i]->name[0] != '\0');
        check_line(&c, h->counters[i]->name, WIRE_LABEL_MAX_BYTES);
    }
    check_limit(&c, h->n_measures, WIRE_COUNTERS_MAX);
    for (i = 0; c.fault == WIRE_OK && i < h->n_measures; i++) {
        check_base(&c, &h->measures[i]->base);
        check_that(&c, h->measures[i]->name[0] != '\0' && isfinite(h->measures[i]->value));
        check_line(&c, h->measures[i]->name, WIRE_LABEL_MAX_BYTES);
    }
    if (h->reductions != NULL)
        check_reductions(&c, h->reductions);
    if (c.fault == WIRE_OK)
        *ret_health = h;
    return c.fault;
}

int wire_ledger_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Ledger **ret_ledger)
{
    struct check c = {0};
    Fogline__V1__Ledger *l =
        unpack_raw(a, &fogline__v1__ledger__descriptor, bytes, WIRE_PAYLOAD_MAX_BYTES, &c);

    if (l == NULL)
        return c.fault;
    check_format(&c, l->format);
    check_base(&c, &l->base);
    check_covers(&c, l->covers, l->n_covers);
    if (c.fault == WIRE_OK)
        *ret_ledger = l;
    return c.fault;
}

int wire_reply_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Reply **ret_reply)
{
    struct check c = {0};
    Fogline__V1__Reply *m = unpack_raw(a, &fogline__v1__reply__descriptor, bytes, WIRE_PAYLOAD_MAX_BYTES, &c);

    if (m == NULL)
        return c.fault;
    check_format(&c, m->format);
    check_base(&c, &m->base);
    check_that(&c, m->counter != 0);
    check_text(&c, m->text, WIRE_TEXT_MAX_BYTES);
    check_that(&c, m->parts == 0 ? m->part == 0 && m->result.len == 0 : m->part < m->parts);
    if (c.fault == WIRE_OK)
        *ret_reply = m;
    return c.fault;
}
