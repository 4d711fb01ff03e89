/* Fast and small bodies, and the starts they are read with. The first bytes choose the encoding, the shape
 * and the bytes of the starts; the rest is a body, under which the target puts the right check. What can be
 * read is written with both encodings, cold and with the same starts, and must come back. */
#include "unit/codec/body_check.h"
#include "unit/codec/round_trip.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HAS_STARTS = 2, ONLY_ONE = 4, MANY_COLUMNS = 8, BODY_MAX_BYTES = 1 << 20 };

static uint64_t n_decoded, n_rows, n_samples;

static void print_totals(void)
{
    fprintf(stderr, "read: %" PRIu64 " hostile bodies, %" PRIu64 " rows, %" PRIu64 " cells\n", n_decoded,
            n_rows, n_samples);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return atexit(print_totals);
}

struct chosen {
    struct block_shape shape;
    enum column_type types[BLOCK_COLUMNS_MAX];
    double bounds[BLOCK_COLUMNS_MAX];
    struct span columns[BLOCK_COLUMNS_MAX];
    struct block_starts *starts;
};

static struct span some_bytes(struct reader *r)
{
    uint64_t n = reader_varint(r);
    size_t len = n < reader_left(r) ? (size_t)n : reader_left(r);

    return span_of(reader_take(r, len), len);
}

static bool choose(struct reader *r, struct chosen *ret_c)
{
    static const double bounds[8] = {0, 0, 0, 0.01, 5e-324, 1e300, 0.5, 0};
    struct block_start_bytes bytes = {.error_bounds = ret_c->bounds, .columns = ret_c->columns};
    unsigned flags = reader_u8(r), i;
    struct block_shape *shape = &ret_c->shape;

    shape->encoding = flags & 1 ? BLOCK_ENCODING_SMALL : BLOCK_ENCODING_FAST;
    shape->n_rows = 1 + reader_le16(r) % BLOCK_ROWS_MAX;
    shape->n_columns = 1 + reader_u8(r) % 8 + (flags & MANY_COLUMNS ? 248 : 0);
    shape->types = ret_c->types;
    shape->only_column = flags & ONLY_ONE ? (int)(flags >> 4) % (int)shape->n_columns : -1;
    shape->time_first_ns = INT64_C(1750000000000000000);
    for (i = 0; i < shape->n_columns; i++) {
        unsigned how = i < 8 ? reader_u8(r) : i;

        ret_c->types[i] = (enum column_type)(1 + how % 4);
        ret_c->bounds[i] = ret_c->types[i] == COLUMN_DOUBLE ? bounds[how / 4 % 8] : 0;
    }
    if (!(flags & HAS_STARTS))
        return !r->bad;
    bytes.time = some_bytes(r);
    for (i = 0; i < shape->n_columns && i < 8; i++)
        ret_c->columns[i] = some_bytes(r);
    if (r->bad || block_starts_new(&ret_c->starts, shape->types, shape->n_columns, &bytes) != 0)
        return false;
    shape->starts = ret_c->starts;
    return true;
}

static void write_and_read(const struct round_trip *rt, const struct chosen *c, const struct block *b,
                           enum block_encoding encoding, const struct block_starts *starts)
{
    struct block_shape shape = c->shape;
    const struct block *back;
    struct buf body = {0};
    uint32_t i;

    shape.encoding = encoding;
    shape.starts = starts;
    for (shape.time_first_ns = b->time_ns[0], i = 1; i < b->n_rows; i++)
        if (b->time_ns[i] < shape.time_first_ns)
            shape.time_first_ns = b->time_ns[i];
    assert(block_encode(rt->coders[0], encoding, starts, b, &body) == 0);
    assert(block_decode(&shape, span_of(body.data, body.len), rt->stores[1], &back) == 0);
    assert(round_trip_same(b, back, starts == NULL ? NULL : c->bounds));
    buf_deinit(&body);
}

static void decode(const struct round_trip *rt, const struct chosen *c, struct span body)
{
    struct column_facts facts;
    const struct block *b;
    uint8_t *copy = malloc(body.len + BODY_CHECK_MAX_BYTES);
    size_t len;
    int r, i;

    if (copy == NULL)
        return;
    if (body.len > 0)
        memcpy(copy, body.data, body.len);
    len = body_check_put(&c->shape, copy, body.len);
    r = block_decode(&c->shape, span_of(copy, len), rt->stores[0], &b);
    assert(r == 0 || r == BLOCK_DAMAGED);
    for (i = -1; i < (int)c->shape.n_columns; i++)
        block_store_facts(rt->stores[0], i, &facts);
    if (r == 0) {
        n_decoded++;
        n_rows += c->shape.n_rows;
        n_samples += (uint64_t)c->shape.n_rows * (c->shape.only_column < 0 ? c->shape.n_columns : 1);
    }
    if (r == 0 && c->shape.only_column < 0) {
        write_and_read(rt, c, b, BLOCK_ENCODING_FAST, NULL);
        write_and_read(rt, c, b, BLOCK_ENCODING_SMALL, NULL);
        if (c->starts != NULL)
            write_and_read(rt, c, b, (enum block_encoding)c->shape.encoding, c->starts);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct round_trip rt;
    struct reader r = reader_of(span_of(data, size));
    struct chosen c = {0};

    if (rt.coders[0] == NULL)
        round_trip_init(&rt);
    if (size <= BODY_MAX_BYTES && choose(&r, &c))
        decode(&rt, &c, span_of(r.at, reader_left(&r)));
    block_starts_free(c.starts);
    return 0;
}
