/* Payloads of records, by kind, and the columns inside blocks. The first byte is the kind; for kind 0 the
 * rest is a shape (rows, then one column type per byte up to a 0, then the one column wanted) and a body for
 * the decoder alone. */
#include "codec/block.h"
#include "wire/wire.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct span body, uint32_t n_rows, const enum column_type *types, uint32_t n_columns,
                   int only)
{
    static struct block_store *store;
    struct block_shape shape = {BLOCK_ENCODING_RAW, types, n_columns, n_rows, only, 0, NULL};
    const struct block *b;
    struct buf again = {0};

    if (store == NULL && block_store_new(&store) < 0)
        return;
    if (block_decode(&shape, body, store, &b) != 0 || only >= 0)
        return;
    /* What decodes is a block that can be written. */
    assert(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, b, &again) == 0);
    buf_deinit(&again);
}

static void decode_shaped(struct reader r)
{
    enum column_type types[BLOCK_COLUMNS_MAX];
    uint32_t n_rows = reader_le16(&r), n_columns = 0;
    int only;

    while (n_columns < BLOCK_COLUMNS_MAX) {
        uint8_t type = reader_u8(&r);

        if (type == 0)
            break;
        types[n_columns++] = (enum column_type)(type % 5);
    }
    only = (int)reader_u8(&r) - 1;
    decode(span_of(r.at, reader_left(&r)), n_rows, types, n_columns, only < (int)n_columns ? only : -1);
}

static void block(struct wire_arena *arena, struct span payload)
{
    static const enum column_type types[4] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL, COLUMN_TEXT};
    Fogline__V1__Block *m;

    if (wire_block_unpack(arena, payload, &m) == 0)
        decode(wire_span(m->body), m->rows, types, 4, -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_arena *arena;
    struct reader r = reader_of(span_of(data, size));
    uint8_t kind = reader_u8(&r);
    struct span payload = span_of(r.at, reader_left(&r));
    Fogline__V1__DescriptorSet *set;
    Fogline__V1__Event *event;
    Fogline__V1__Health *health;
    Fogline__V1__Ledger *ledger;
    Fogline__V1__Reply *reply;

    if (size == 0 || (arena == NULL && wire_arena_new(&arena, WIRE_ARENA_BYTES) < 0))
        return 0;
    wire_arena_reset(arena);
    switch (kind % 7) {
    case FOGLINE__V1__KIND__KIND_DESCRIPTOR:
        (void)!wire_descriptor_set_unpack(arena, payload, &set);
        break;
    case FOGLINE__V1__KIND__KIND_BLOCK:
        block(arena, payload);
        break;
    case FOGLINE__V1__KIND__KIND_EVENT:
        (void)!wire_event_unpack(arena, payload, &event);
        break;
    case FOGLINE__V1__KIND__KIND_HEALTH:
        (void)!wire_health_unpack(arena, payload, &health);
        break;
    case FOGLINE__V1__KIND__KIND_LEDGER:
        (void)!wire_ledger_unpack(arena, payload, &ledger);
        break;
    case FOGLINE__V1__KIND__KIND_REPLY:
        (void)!wire_reply_unpack(arena, payload, &reply);
        break;
    default:
        decode_shaped(r);
        break;
    }
    return 0;
}
