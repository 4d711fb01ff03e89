/* validate_hop.c - Up, Down and what travels inside marks (proto/hop.proto). */
#include "wire/check.h"

static void check_lane_report(struct check *c, const Fogline__V1__LaneReport *l)
{
    check_base(c, &l->base);
    check_lane(c, l->lane);
    check_that(c,
               l->next <= SEQ_COUNT_MAX && l->lowest_held <= SEQ_COUNT_MAX && l->held_count <= SEQ_COUNT_MAX);
    check_bounds(c, l->held, l->n_held, 0, SEQ_COUNT_MAX);
}

static void check_epoch_reports(struct check *c, Fogline__V1__EpochReport *const *reports, size_t n,
                                size_t max)
{
    size_t i, j;

    check_limit(c, n, max);
    for (i = 0; c->fault == WIRE_OK && i < n; i++) {
        const Fogline__V1__EpochReport *e = reports[i];

        check_base(c, &e->base);
        check_name_or_empty(c, e->origin);
        check_id(c, e->epoch);
        check_limit(c, e->n_lanes, LANE_COUNT);
        for (j = 0; c->fault == WIRE_OK && j < e->n_lanes; j++) {
            check_lane_report(c, e->lanes[j]);
            check_that(c, j == 0 || e->lanes[j]->lane != e->lanes[0]->lane);
        }
    }
}

static void check_clocks(struct check *c, const Fogline__V1__Clocks *k)
{
    check_base(c, &k->base);
    check_id_or_empty(c, k->boot_id);
    check_that(c, k->state <= WIRE_CLOCK_STATE_MAX);
}

static void check_hello(struct check *c, const Fogline__V1__Hello *h)
{
    size_t i;

    check_base(c, &h->base);
    check_that(c, h->version_min <= h->version_max && h->session != 0);
    check_id_or_empty(c, h->peer_store);
    check_id_or_empty(c, h->archive_id);
    check_epoch_reports(c, h->epochs, h->n_epochs, WIRE_EPOCHS_MAX);
    check_epoch_reports(c, h->asks, h->n_asks, WIRE_ASKS_MAX);
    if (h->clocks != NULL)
        check_clocks(c, h->clocks);
    check_limit(c, h->n_documents, WIRE_DOCUMENTS_MAX);
    for (i = 0; c->fault == WIRE_OK && i < h->n_documents; i++) {
        check_base(c, &h->documents[i]->base);
        check_name(c, h->documents[i]->kind);
    }
    check_name_or_empty(c, h->role);
    check_line(c, h->software, WIRE_LABEL_MAX_BYTES);
}

/* The one hot path: straight tests, one branch when all is well. */
static void check_record(struct check *c, const Fogline__V1__Record *r)
{
    bool ok = seq_lane(r->seq) < LANE_COUNT && seq_count(r->seq) != 0 && r->tag.len == WIRE_TAG_BYTES;

    check_base(c, &r->base);
    check_limit(c, r->payload.len, WIRE_PAYLOAD_MAX_BYTES);
    check_that(c, ok);
}

static void check_data(struct check *c, const Fogline__V1__Data *d)
{
    size_t i, j, n_records = 0;

    check_base(c, &d->base);
    check_that(c, d->session != 0);
    check_limit(c, d->n_stretches, WIRE_RECORDS_MAX);
    for (i = 0; c->fault == WIRE_OK && i < d->n_stretches; i++) {
        const Fogline__V1__Stretch *s = d->stretches[i];

        check_base(c, &s->base);
        check_name_or_empty(c, s->origin);
        check_id(c, s->epoch);
        n_records += s->n_records;
        check_limit(c, n_records, WIRE_RECORDS_MAX);
        for (j = 0; c->fault == WIRE_OK && j < s->n_records; j++)
            check_record(c, s->records[j]);
    }
}

int wire_up_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Up **ret_up)
{
    struct check c = {0};
    Fogline__V1__Up *up = unpack_raw(a, &fogline__v1__up__descriptor, bytes, WIRE_UP_MAX_BYTES, &c);

    if (up == NULL)
        return c.fault;
    check_format(&c, up->format);
    check_base(&c, &up->base);
    check_name(&c, up->sender);
    if (c.fault == WIRE_OK && up->body_case == FOGLINE__V1__UP__BODY_HELLO)
        check_hello(&c, up->hello);
    else if (c.fault == WIRE_OK && up->body_case == FOGLINE__V1__UP__BODY_DATA)
        check_data(&c, up->data);
    else
        check_fail(&c, WIRE_INVALID);
    if (c.fault == WIRE_OK)
        *ret_up = up;
    return c.fault;
}

static bool window_ok(uint64_t bytes)
{
    return bytes == 0 || bytes >= WIRE_PAYLOAD_MAX_BYTES;
}

static void check_windows(struct check *c, const Fogline__V1__Windows *w)
{
    check_base(c, &w->base);
    check_that(c, window_ok(w->urgent_bytes) && window_ok(w->live_bytes) && window_ok(w->backlog_bytes));
}

static void check_lane_state(struct check *c, const Fogline__V1__LaneState *l)
{
    check_base(c, &l->base);
    check_name_or_empty(c, l->origin);
    check_id(c, l->epoch);
    check_lane(c, l->lane);
    check_that(c, l->highest <= SEQ_COUNT_MAX);
    check_bounds(c, l->stored, l->n_stored, l->from, l->to);
}

static void check_mark(struct check *c, const Fogline__V1__Mark *m)
{
    check_base(c, &m->base);
    check_limit(c, m->body.len, WIRE_MARK_BODY_MAX_BYTES);
    check_that(c, m->body.len > 0);
    check_bytes(c, m->mac, WIRE_TAG_BYTES);
}

static void check_state(struct check *c, const Fogline__V1__State *s)
{
    size_t i;

    check_base(c, &s->base);
    check_id(c, s->store);
    check_id_or_empty(c, s->archive_id);
    if (s->windows != NULL)
        check_windows(c, s->windows);
    check_name_or_empty(c, s->node);
    check_limit(c, s->n_lanes, WIRE_LANES_MAX);
    for (i = 0; c->fault == WIRE_OK && i < s->n_lanes; i++)
        check_lane_state(c, s->lanes[i]);
    check_limit(c, s->n_marks, WIRE_LANES_MAX);
    for (i = 0; c->fault == WIRE_OK && i < s->n_marks; i++)
        check_mark(c, s->marks[i]);
    check_limit(c, s->n_documents, WIRE_DOCUMENTS_MAX);
    for (i = 0; c->fault == WIRE_OK && i < s->n_documents; i++)
        check_document(c, s->documents[i]);
}

int wire_down_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Down **ret_down)
{
    struct check c = {0};
    Fogline__V1__Down *down = unpack_raw(a, &fogline__v1__down__descriptor, bytes, WIRE_DOWN_MAX_BYTES, &c);

    if (down == NULL)
        return c.fault;
    check_format(&c, down->format);
    check_base(&c, &down->base);
    check_that(&c, down->state != NULL);
    if (c.fault == WIRE_OK)
        check_state(&c, down->state);
    if (c.fault == WIRE_OK)
        *ret_down = down;
    return c.fault;
}

int wire_mark_body_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__MarkBody **ret_body)
{
    struct check c = {0};
    Fogline__V1__MarkBody *m =
        unpack_raw(a, &fogline__v1__mark_body__descriptor, bytes, WIRE_MARK_BODY_MAX_BYTES, &c);

    if (m == NULL)
        return c.fault;
    check_base(&c, &m->base);
    check_id(&c, m->archive_id);
    check_name(&c, m->origin);
    check_id(&c, m->epoch);
    check_lane(&c, m->lane);
    check_bounds(&c, m->archived, m->n_archived, m->from, m->to);
    check_bounds(&c, m->explained, m->n_explained, m->from, m->to);
    if (c.fault == WIRE_OK)
        *ret_body = m;
    return c.fault;
}
