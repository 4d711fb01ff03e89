#include "cloud/marks.h"

#include "base/cleanup.h"

/* The end of the part of [from, to] that one list can speak of: its last interval that fits, or all. */
static uint64_t reach(const struct interval_set *s, uint64_t from, uint64_t to)
{
    size_t i = interval_set_find(s, from) + MARKS_LIST_MAX;

    if (i >= s->n || s->at[i].from > to)
        return to;
    return s->at[i].from - 1;
}

static Fogline__V1__Mark *mark_of(struct wire_arena *a, const Fogline__V1__MarkBody *body,
                                  const uint8_t mark_key[KEY_BYTES])
{
    owned(buf_deinit) struct buf packed = {0}, head = {0};
    Fogline__V1__Mark *mark = wire_arena_alloc(a, sizeof *mark);
    uint8_t *bytes, *mac = wire_arena_alloc(a, KEY_MAC_BYTES);

    wire_pack(&packed, &body->base);
    wire_mark_head(&head);
    bytes = packed.error == 0 ? wire_arena_alloc(a, packed.len) : NULL;
    if (mark == NULL || mac == NULL || bytes == NULL || head.error != 0)
        return NULL;
    memcpy(bytes, packed.data, packed.len);
    end_mac(mark_key, span_of(head.data, head.len), span_of(bytes, packed.len), mac);
    fogline__v1__mark__init(mark);
    mark->key_id = MARKS_KEY_ID;
    mark->body = wire_bytes(span_of(bytes, packed.len));
    mark->mac = wire_bytes(span_of(mac, KEY_MAC_BYTES));
    return mark;
}

size_t marks_make(const struct marks_subject *m, struct interval range, struct wire_arena *a,
                  Fogline__V1__Mark **out, size_t max)
{
    size_t n = 0;

    for (uint64_t from = range.from; n < max && from <= range.to;) {
        Fogline__V1__MarkBody body = FOGLINE__V1__MARK_BODY__INIT;
        uint64_t to = reach(m->explained, from, reach(m->archived, from, range.to));

        body.archive_id = wire_bytes(span_of(m->archive_id->bytes, ID128_BYTES));
        body.origin = (char *)m->origin;
        body.epoch = wire_bytes(span_of(m->epoch->bytes, ID128_BYTES));
        body.lane = m->lane;
        body.from = from;
        body.to = to;
        body.archived = wire_bounds_of(a, m->archived, from, to, MARKS_LIST_MAX, &body.n_archived, NULL);
        body.explained = wire_bounds_of(a, m->explained, from, to, MARKS_LIST_MAX, &body.n_explained, NULL);
        if (body.n_archived > 0 || body.n_explained > 0) {
            out[n] = mark_of(a, &body, m->mark_key);
            if (out[n] == NULL)
                return n;
            n++;
        }
        if (to == range.to)
            break;
        from = to + 1;
    }
    return n;
}
