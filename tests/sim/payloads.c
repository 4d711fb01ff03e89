/* What the simulated records carry: blocks whose body is a value and, in an aggregate, the list of what it
 * sums. */
#include "base/cleanup.h"
#include "world.h"

enum { ITEM_BYTES = 1 + ID128_BYTES + 1 + 8 + 8, ENCODING = 1 };

static void pack_block(struct buf *b, const struct buf *body, uint64_t set, Fogline__V1__Cover **covers,
                       size_t n)
{
    Fogline__V1__Block block = FOGLINE__V1__BLOCK__INIT;

    block.format = WIRE_FORMAT;
    block.set_id = set;
    block.rows = block.samples = 1;
    block.encoding = ENCODING;
    block.time_first_ns = 1000;
    block.body = wire_bytes(span_of(body->data, body->len));
    block.covers = covers;
    block.n_covers = n;
    wire_pack(b, &block.base);
}

void payload_reading(struct buf *b, uint64_t value, size_t pad_bytes)
{
    owned(buf_deinit) struct buf body = {0};
    uint8_t *pad;

    buf_le64(&body, value);
    buf_le32(&body, 0);
    pad = pad_bytes > 0 ? buf_grow(&body, pad_bytes) : NULL;
    if (pad != NULL)
        memset(pad, (int)(value & 0x7f), pad_bytes);
    pack_block(b, &body, 7, NULL, 0);
}

static bool same_stream(const struct fold_item *a, const struct fold_item *b)
{
    return a->device == b->device && a->lane == b->lane && id128_equal(&a->epoch, &b->epoch);
}

static size_t make_covers(const struct fold_item *items, unsigned n, struct world *w,
                          Fogline__V1__Cover *covers, Fogline__V1__Cover **at, uint64_t *bounds)
{
    size_t n_covers = 0;

    for (unsigned i = 0; i < n; i++) {
        Fogline__V1__Cover *c = &covers[n_covers];

        bounds[2 * i] = bounds[2 * i + 1] = items[i].count;
        if (i > 0 && same_stream(&items[i - 1], &items[i]) && items[i].count > items[i - 1].count) {
            covers[n_covers - 1].n_bounds += 2;
            covers[n_covers - 1].samples++;
            continue;
        }
        fogline__v1__cover__init(c);
        c->origin = w->node[items[i].device].name;
        c->epoch = wire_bytes(span_of(items[i].epoch.bytes, ID128_BYTES));
        c->lane = items[i].lane;
        c->bounds = &bounds[2 * i];
        c->n_bounds = 2;
        c->reason = FOGLINE__V1__REASON__REASON_MERGED;
        c->samples = 1;
        at[n_covers++] = c;
    }
    return n_covers;
}

void payload_aggregate(struct buf *b, const struct fold_item *items, unsigned n, struct world *w,
                       bool with_covers)
{
    owned(buf_deinit) struct buf body = {0};
    Fogline__V1__Cover covers[FOLD_MAX], *at[FOLD_MAX];
    uint64_t bounds[2 * FOLD_MAX], sum = 0;
    size_t n_covers = with_covers ? make_covers(items, n, w, covers, at, bounds) : 0;

    for (unsigned i = 0; i < n; i++)
        sum += items[i].value;
    buf_le64(&body, sum);
    buf_le32(&body, n);
    for (unsigned i = 0; i < n; i++) {
        buf_u8(&body, (uint8_t)items[i].device);
        buf_append(&body, items[i].epoch.bytes, ID128_BYTES);
        buf_u8(&body, (uint8_t)items[i].lane);
        buf_le64(&body, items[i].count);
        buf_le64(&body, items[i].value);
    }
    pack_block(b, &body, 8, at, n_covers);
}

void payload_covers(struct buf *b, const struct fold_item *items, unsigned n, struct world *w)
{
    Fogline__V1__Ledger ledger = FOGLINE__V1__LEDGER__INIT;
    Fogline__V1__Cover covers[FOLD_MAX], *at[FOLD_MAX];
    uint64_t bounds[2 * FOLD_MAX];

    ledger.format = WIRE_FORMAT;
    ledger.n_covers = make_covers(items, n, w, covers, at, bounds);
    ledger.covers = at;
    wire_pack(b, &ledger.base);
}

static bool body_of(struct span payload, struct reader *ret_r, struct wire_arena *a)
{
    Fogline__V1__Block *block;

    wire_arena_reset(a);
    if (wire_block_unpack(a, payload, &block) != 0)
        return false;
    *ret_r = reader_of(wire_span(block->body));
    return true;
}

bool payload_value(struct wire_arena *a, struct span payload, uint64_t *ret_value)
{
    struct reader r;

    if (!body_of(payload, &r, a))
        return false;
    *ret_value = reader_le64(&r);
    return !r.bad;
}

bool payload_items(struct wire_arena *a, struct span payload, struct fold_item *out, unsigned *ret_n)
{
    struct reader r;
    uint32_t n;

    if (!body_of(payload, &r, a))
        return false;
    reader_le64(&r);
    n = reader_le32(&r);
    if (n > FOLD_MAX)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *id;

        out[i].device = reader_u8(&r);
        id = reader_take(&r, ID128_BYTES);
        if (id == NULL)
            return false;
        memcpy(out[i].epoch.bytes, id, ID128_BYTES);
        out[i].lane = reader_u8(&r);
        out[i].count = reader_le64(&r);
        out[i].value = reader_le64(&r);
    }
    *ret_n = n;
    return !r.bad;
}
