#include "coded.h"

#include "messages.h"

#include <sodium.h>
#include <stdlib.h>

const enum column_type coded_types[CODED_COLUMNS] = {COLUMN_DOUBLE, COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL,
                                                     COLUMN_TEXT};
const double coded_bounds[CODED_COLUMNS] = {0, 0.25, 0, 0, 0};

void coded_rows_init(struct coded_rows *r)
{
    static const char *const programs[] = {"idle", "run", "", "clean"};
    int tenths = 215;

    *r = (struct coded_rows){0};
    for (int i = 0; i < CODED_ROWS; i++) {
        tenths += i * 7 % 5 - 2;
        r->time_ns[i] = INT64_C(1750000000000000000) + i * INT64_C(100000000) + i * 31 % 17 * 1000;
        r->absent[i] = i % 11 == 3;
        r->temperature[i] = r->absent[i] ? 0 : tenths / 10.0;
        r->level[i] = 40 + i * i % 97 / 8.0;
        r->strokes[i] = 1000 + 3 * i;
        r->quality[i] = i >= 50 && i < 60 ? QUALITY_UNCERTAIN : QUALITY_GOOD;
        r->door[i] = i / 20 % 2;
        r->program[i] = span_str(programs[i / 9 % 4]);
    }
    r->columns[0] = (struct column){.type = COLUMN_DOUBLE, .f64 = r->temperature, .absent = r->absent};
    r->columns[1] = (struct column){.type = COLUMN_DOUBLE, .f64 = r->level};
    r->columns[2] = (struct column){.type = COLUMN_INT64, .i64 = r->strokes, .quality = r->quality};
    r->columns[3] = (struct column){.type = COLUMN_BOOL, .i64 = r->door};
    r->columns[4] = (struct column){.type = COLUMN_TEXT, .text = r->program};
    r->block = (struct block){CODED_ROWS, CODED_COLUMNS, r->time_ns, r->columns};
}

static void must(int rc)
{
    if (rc != 0)
        abort();
}

static void pack_set(const struct block_start_bytes *starts, struct buf *out)
{
    static const char *const names[CODED_COLUMNS] = {"temperature", "level", "strokes", "door", "program"};
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    Fogline__V1__Descriptor d[CODED_COLUMNS], *list[CODED_COLUMNS];

    for (int i = 0; i < CODED_COLUMNS; i++) {
        fogline__v1__descriptor__init(&d[i]);
        d[i].name = (char *)names[i];
        d[i].type = (Fogline__V1__ValueType)coded_types[i];
        d[i].error_bound = coded_bounds[i];
        d[i].start = wire_bytes(starts->columns[i]);
        list[i] = &d[i];
    }
    set.format = WIRE_FORMAT;
    set.group = (char *)"machine";
    set.n_channels = CODED_COLUMNS;
    set.channels = list;
    set.time_start = wire_bytes(starts->time);
    wire_pack(out, &set.base);
}

static void pack_block(struct block_coder *coder, enum block_encoding encoding, uint64_t set_id,
                       const struct block_starts *starts, const struct coded_rows *r, struct buf *out)
{
    Fogline__V1__Block m = FOGLINE__V1__BLOCK__INIT;
    struct buf body = {0};

    must(block_encode(coder, encoding, starts, &r->block, &body));
    m.format = WIRE_FORMAT;
    m.set_id = set_id;
    m.rows = CODED_ROWS;
    m.encoding = encoding;
    for (int i = 0; i < CODED_ROWS; i++)
        m.samples += CODED_COLUMNS - r->absent[i];
    m.time_first_ns = r->time_ns[0];
    m.time_span_ns = (uint64_t)(r->time_ns[CODED_ROWS - 1] - r->time_ns[0]);
    m.clock_state = 2;
    m.body = wire_bytes(span_of(body.data, body.len));
    wire_pack(out, &m.base);
    buf_deinit(&body);
}

static void pack_up(struct buf payloads[1 + CODED_BLOCKS], struct buf *out)
{
    Fogline__V1__Record records[1 + CODED_BLOCKS], *list[1 + CODED_BLOCKS];
    Fogline__V1__Stretch stretch = FOGLINE__V1__STRETCH__INIT, *stretches[] = {&stretch};
    Fogline__V1__Data data = FOGLINE__V1__DATA__INIT;
    Fogline__V1__Up up = FOGLINE__V1__UP__INIT;
    uint8_t tags[1 + CODED_BLOCKS][WIRE_TAG_BYTES];
    struct id128 epoch;

    memset(epoch.bytes, 0x11, sizeof epoch.bytes);
    for (unsigned i = 0; i < 1 + CODED_BLOCKS; i++) {
        struct span payload = span_of(payloads[i].data, payloads[i].len);
        struct buf input = {0};

        fogline__v1__record__init(&records[i]);
        records[i].seq = seq_make(LANE_ORDINARY, i + 1);
        records[i].kind = i == 0 ? FOGLINE__V1__KIND__KIND_DESCRIPTOR : FOGLINE__V1__KIND__KIND_BLOCK;
        records[i].payload = wire_bytes(payload);
        wire_tag_input(&input, messages_origin, &epoch, records[i].seq, records[i].kind, payload);
        must(input.error);
        crypto_generichash(tags[i], WIRE_TAG_BYTES, input.data, input.len, messages_tag_key, 32);
        buf_deinit(&input);
        records[i].tag = wire_bytes(span_of(tags[i], WIRE_TAG_BYTES));
        list[i] = &records[i];
    }
    stretch.epoch = wire_bytes(span_of(epoch.bytes, ID128_BYTES));
    stretch.n_records = 1 + CODED_BLOCKS;
    stretch.records = list;
    data.session = 1;
    data.run = 1;
    data.n_stretches = 1;
    data.stretches = stretches;
    up.format = WIRE_FORMAT;
    up.sender = (char *)messages_origin;
    up.body_case = FOGLINE__V1__UP__BODY_DATA;
    up.data = &data;
    wire_pack(out, &up.base);
    must(out->error);
}

void coded_up(const struct coded_rows *r, struct buf *out)
{
    struct buf learnt = {0}, payloads[1 + CODED_BLOCKS] = {{0}};
    struct span columns[CODED_COLUMNS];
    struct block_start_bytes bytes = {coded_bounds, columns, {0}};
    struct block_starts *starts;
    struct block_coder *coder;
    uint64_t id;

    must(block_coder_new(&coder));
    must(block_learn(coder, &r->block, coded_bounds, &learnt, columns, &bytes.time));
    must(block_starts_new(&starts, coded_types, CODED_COLUMNS, &bytes));
    pack_set(&bytes, &payloads[0]);
    id = wire_descriptor_set_id(span_of(payloads[0].data, payloads[0].len));
    pack_block(coder, BLOCK_ENCODING_FAST, id, starts, r, &payloads[1]);
    pack_block(coder, BLOCK_ENCODING_SMALL, id, starts, r, &payloads[2]);
    pack_up(payloads, out);
    for (unsigned i = 0; i < 1 + CODED_BLOCKS; i++)
        buf_deinit(&payloads[i]);
    buf_deinit(&learnt);
    block_starts_free(starts);
    block_coder_free(coder);
}
