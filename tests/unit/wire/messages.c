#include "messages.h"

#include "codec/block.h"

#include <sodium.h>
#include <stdlib.h>

const uint8_t messages_tag_key[32] = "tag key of the golden captures.";
const uint8_t messages_mark_key[32] = "mark key of the golden captures";
const char messages_origin[] = "press-7";

static char tag_line[] = "line=3", name_temp[] = "temperature", name_count[] = "strokes",
            name_open[] = "door", name_text[] = "program";
static char *tags_of_temp[] = {tag_line};

static struct span packed(const void *message, uint8_t *room, size_t room_bytes)
{
    struct buf b = {0};
    struct span s;

    wire_pack(&b, message);
    if (b.error != 0 || b.len > room_bytes)
        abort();
    memcpy(room, b.data, b.len);
    s = span_of(room, b.len);
    buf_deinit(&b);
    return s;
}

static void fill(struct messages *m)
{
    size_t i;

    memset(m->epoch, 0x11, sizeof m->epoch);
    memset(m->store, 0x22, sizeof m->store);
    memset(m->archive, 0x33, sizeof m->archive);
    memset(m->boot, 0x44, sizeof m->boot);
    for (i = 0; i < sizeof m->key; i++)
        m->key[i] = (uint8_t)i;
    memset(m->signature, 0x55, sizeof m->signature);
    memcpy(m->held, (uint64_t[]){3, 7, 9, 9}, sizeof m->held);
    memcpy(m->stored, (uint64_t[]){1, 2, 5, 1000000}, sizeof m->stored);
    memcpy(m->archived, (uint64_t[]){1, 40, 43, 99}, sizeof m->archived);
    memcpy(m->explained, (uint64_t[]){41, 42}, sizeof m->explained);
    memcpy(m->cover_bounds, (uint64_t[]){10, 19, 30, 39}, sizeof m->cover_bounds);
    m->needs[0] = seq_make(LANE_URGENT, 5);
}

static ProtobufCBinaryData bytes_of(uint8_t *data, size_t len)
{
    return (ProtobufCBinaryData){len, data};
}

static void fill_block(struct messages *m)
{
    int64_t times[3] = {INT64_C(1750000000000000000), INT64_C(1750000000100000000),
                        INT64_C(1750000000200000000)};
    double temps[3] = {21.5, 21.75, 0};
    int64_t counts[3] = {100, 101, 103}, doors[3] = {0, 1, 1};
    struct span texts[3] = {span_str("idle"), span_str("run"), span_str("")};
    uint8_t absent[3] = {0, 0, 1}, quality[3] = {QUALITY_GOOD, QUALITY_UNCERTAIN, QUALITY_UNCERTAIN};
    struct column columns[4] = {
        {.type = COLUMN_DOUBLE, .f64 = temps, .absent = absent},
        {.type = COLUMN_INT64, .i64 = counts, .quality = quality},
        {.type = COLUMN_BOOL, .i64 = doors},
        {.type = COLUMN_TEXT, .text = texts},
    };
    struct block b = {3, 4, times, columns};
    struct buf body = {0};

    if (block_encode(NULL, BLOCK_ENCODING_RAW, NULL, &b, &body) != 0 || body.len > sizeof m->block_body)
        abort();
    memcpy(m->block_body, body.data, body.len);
    m->block = (Fogline__V1__Block)FOGLINE__V1__BLOCK__INIT;
    m->block.format = WIRE_FORMAT;
    m->block.rows = 3;
    m->block.samples = 11;
    m->block.encoding = BLOCK_ENCODING_RAW;
    m->block.time_first_ns = times[0];
    m->block.time_span_ns = (uint64_t)(times[2] - times[0]);
    m->block.mono_first_ns = 12345678;
    m->block.clock_state = 2;
    m->block.clock_error_us = 150;
    m->block.body = bytes_of(m->block_body, body.len);
    buf_deinit(&body);
}

static void fill_set(struct messages *m)
{
    char *names[4] = {name_temp, name_count, name_open, name_text};
    size_t i;

    for (i = 0; i < 4; i++) {
        m->descriptors[i] = (Fogline__V1__Descriptor)FOGLINE__V1__DESCRIPTOR__INIT;
        m->descriptors[i].name = names[i];
        m->descriptors[i].type = (Fogline__V1__ValueType)(i + 1);
        m->descriptor_list[i] = &m->descriptors[i];
    }
    m->descriptors[0].unit = (char *)"Cel";
    m->descriptors[0].error_bound = 0.05;
    m->descriptors[0].n_tags = 1;
    m->descriptors[0].tags = tags_of_temp;
    m->set = (Fogline__V1__DescriptorSet)FOGLINE__V1__DESCRIPTOR_SET__INIT;
    m->set.format = WIRE_FORMAT;
    m->set.group = (char *)"machine";
    m->set.n_channels = 4;
    m->set.channels = m->descriptor_list;
}

static void fill_payloads(struct messages *m)
{
    fill_set(m);
    fill_block(m);
    m->cover = (Fogline__V1__Cover)FOGLINE__V1__COVER__INIT;
    m->cover.epoch = bytes_of(m->epoch, 16);
    m->cover.n_bounds = 4;
    m->cover.bounds = m->cover_bounds;
    m->cover.reason = FOGLINE__V1__REASON__REASON_EVICTED_STORED;
    m->cover.samples = 220;
    m->cover.store = bytes_of(m->store, 16);
    m->cover.n_needs = 1;
    m->cover.needs = m->needs;
    m->cover_list[0] = &m->cover;
    m->event = (Fogline__V1__Event)FOGLINE__V1__EVENT__INIT;
    m->event.format = WIRE_FORMAT;
    m->event.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_START;
    m->event.severity = 1;
    m->event.time_ns = INT64_C(1750000000000000000);
    m->event.subject = (char *)"machine";
    m->event.text = (char *)"started\nafter \xc3\xbc power cut";
    m->event.blind_from_ns = INT64_C(1749999999000000000);
    m->event.blind_to_ns = INT64_C(1750000000000000000);
    m->event.boot_id = bytes_of(m->boot, 16);
    m->event.version = (char *)"0.1.0";
    m->counters[0] = (Fogline__V1__Counter)FOGLINE__V1__COUNTER__INIT;
    m->counters[0].name = (char *)"spool_records";
    m->counters[0].value = 17;
    m->counters[1] = (Fogline__V1__Counter)FOGLINE__V1__COUNTER__INIT;
    m->counters[1].name = (char *)"samples_dropped";
    m->counter_list[0] = &m->counters[0];
    m->counter_list[1] = &m->counters[1];
    m->health = (Fogline__V1__Health)FOGLINE__V1__HEALTH__INIT;
    m->health.format = WIRE_FORMAT;
    m->health.time_ns = INT64_C(1750000000300000000);
    m->health.n_counters = 2;
    m->health.counters = m->counter_list;
    m->reduced = (Fogline__V1__Reduced)FOGLINE__V1__REDUCED__INIT;
    m->reduced.group = (char *)"pump";
    m->reduced.reason = FOGLINE__V1__REASON__REASON_FILTERED;
    m->reduced.samples = 1000;
    m->reduced.sent_later = 30;
    m->reduced_list[0] = &m->reduced;
    m->reductions = (Fogline__V1__Reductions)FOGLINE__V1__REDUCTIONS__INIT;
    m->reductions.epoch = bytes_of(m->epoch, 16);
    m->reductions.n_reduced = 1;
    m->reductions.reduced = m->reduced_list;
    m->ledger = (Fogline__V1__Ledger)FOGLINE__V1__LEDGER__INIT;
    m->ledger.format = WIRE_FORMAT;
    m->ledger.time_ns = INT64_C(1750000000400000000);
    m->ledger.n_covers = 1;
    m->ledger.covers = m->cover_list;
    m->reply = (Fogline__V1__Reply)FOGLINE__V1__REPLY__INIT;
    m->reply.format = WIRE_FORMAT;
    m->reply.time_ns = INT64_C(1750000000500000000);
    m->reply.counter = 4;
    m->reply.ok = true;
    m->reply.text = (char *)"blinked";
}

static void fill_hello(struct messages *m)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        m->lane_reports[i] = (Fogline__V1__LaneReport)FOGLINE__V1__LANE_REPORT__INIT;
        m->lane_reports[i].lane = (uint32_t)i;
        m->lane_reports[i].next = 10;
        m->lane_report_list[i] = &m->lane_reports[i];
    }
    m->lane_reports[0].lowest_held = 3;
    m->lane_reports[0].held_count = 6;
    m->lane_reports[0].n_held = 4;
    m->lane_reports[0].held = m->held;
    m->lane_reports[0].samples_produced = 900;
    m->lane_reports[0].samples_held = 600;
    m->epoch_report = (Fogline__V1__EpochReport)FOGLINE__V1__EPOCH_REPORT__INIT;
    m->epoch_report.epoch = bytes_of(m->epoch, 16);
    m->epoch_report.n_lanes = 2;
    m->epoch_report.lanes = m->lane_report_list;
    m->epoch_report_list[0] = &m->epoch_report;
    m->ask = m->epoch_report;
    m->ask.origin = (char *)"press-8";
    m->ask_list[0] = &m->ask;
    m->document_version = (Fogline__V1__DocumentVersion)FOGLINE__V1__DOCUMENT_VERSION__INIT;
    m->document_version.kind = (char *)"nodes";
    m->document_version.version = 3;
    m->document_version_list[0] = &m->document_version;
    m->clocks = (Fogline__V1__Clocks)FOGLINE__V1__CLOCKS__INIT;
    m->clocks.wall_unix_ns = INT64_C(1750000000000000000);
    m->clocks.mono_ns = 12345678;
    m->clocks.boot_id = bytes_of(m->boot, 16);
    m->clocks.state = 2;
    m->clocks.error_us = 150;
    m->hello = (Fogline__V1__Hello)FOGLINE__V1__HELLO__INIT;
    m->hello.version_min = 1;
    m->hello.version_max = 1;
    m->hello.session = 5;
    m->hello.peer_store = bytes_of(m->store, 16);
    m->hello.n_epochs = 1;
    m->hello.epochs = m->epoch_report_list;
    m->hello.n_asks = 1;
    m->hello.asks = m->ask_list;
    m->hello.archive_id = bytes_of(m->archive, 16);
    m->hello.clocks = &m->clocks;
    m->hello.waiting_backlog_bytes = 65536;
    m->hello.n_documents = 1;
    m->hello.documents = m->document_version_list;
    m->hello.role = (char *)"fog";
    m->hello.software = (char *)"0.1.0";
    m->up_hello = (Fogline__V1__Up)FOGLINE__V1__UP__INIT;
    m->up_hello.format = WIRE_FORMAT;
    m->up_hello.sender = (char *)messages_origin;
    m->up_hello.body_case = FOGLINE__V1__UP__BODY_HELLO;
    m->up_hello.hello = &m->hello;
}

static void fill_data(struct messages *m)
{
    const void *payloads[MESSAGES_RECORDS] = {&m->set,    &m->block,  &m->event,
                                              &m->health, &m->ledger, &m->reply};
    struct id128 epoch;
    size_t i;

    memcpy(epoch.bytes, m->epoch, sizeof epoch.bytes);
    for (i = 0; i < MESSAGES_RECORDS; i++) {
        Fogline__V1__Record *r = &m->records[i];
        struct buf input = {0};

        *r = (Fogline__V1__Record)FOGLINE__V1__RECORD__INIT;
        r->kind = (uint32_t)i + 1;
        r->seq = seq_make(i == 2 || i == 4 ? LANE_URGENT : LANE_ORDINARY, i + 1);
        r->flags = i == 3 ? RECORD_FLAG_AGAIN : 0;
        r->samples = i == 1 ? m->block.samples : 0;
        if (i == 1)
            m->block.set_id = wire_descriptor_set_id(wire_span(m->records[0].payload));
        r->payload = wire_bytes(packed(payloads[i], m->payloads[i], MESSAGES_PAYLOAD_BYTES));
        wire_tag_input(&input, messages_origin, &epoch, r->seq, r->kind, wire_span(r->payload));
        crypto_generichash(m->tags[i], 16, input.data, input.len, messages_tag_key, 32);
        buf_deinit(&input);
        r->tag = bytes_of(m->tags[i], 16);
        m->record_list[i] = r;
    }
    m->stretch = (Fogline__V1__Stretch)FOGLINE__V1__STRETCH__INIT;
    m->stretch.epoch = bytes_of(m->epoch, 16);
    m->stretch.n_records = MESSAGES_RECORDS;
    m->stretch.records = m->record_list;
    m->stretch_list[0] = &m->stretch;
    m->data = (Fogline__V1__Data)FOGLINE__V1__DATA__INIT;
    m->data.session = 5;
    m->data.run = UINT64_C(0x0102030405060708);
    m->data.n_stretches = 1;
    m->data.stretches = m->stretch_list;
    m->up_data = (Fogline__V1__Up)FOGLINE__V1__UP__INIT;
    m->up_data.format = WIRE_FORMAT;
    m->up_data.sender = (char *)messages_origin;
    m->up_data.body_case = FOGLINE__V1__UP__BODY_DATA;
    m->up_data.data = &m->data;
}

static void fill_documents(struct messages *m)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        m->nodes[i] = (Fogline__V1__Node)FOGLINE__V1__NODE__INIT;
        m->nodes[i].id = i == 0 ? (char *)"press-7" : (char *)"press-8";
        m->nodes[i].role = (char *)"device";
        m->nodes[i].site = (char *)"acme.hall-1";
        m->nodes[i].transport_key = bytes_of(m->key, 32);
        m->nodes[i].end_key = bytes_of(m->key, 32);
        m->node_list[i] = &m->nodes[i];
    }
    m->nodes[1].revoked = true;
    m->node_list_body = (Fogline__V1__NodeList)FOGLINE__V1__NODE_LIST__INIT;
    m->node_list_body.format = WIRE_FORMAT;
    m->node_list_body.version = 3;
    m->node_list_body.n_nodes = 2;
    m->node_list_body.nodes = m->node_list;
    m->command = (Fogline__V1__Command)FOGLINE__V1__COMMAND__INIT;
    m->command.format = WIRE_FORMAT;
    m->command.target = (char *)"press-7";
    m->command.counter = 4;
    m->command.type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY;
    m->document = (Fogline__V1__Document)FOGLINE__V1__DOCUMENT__INIT;
    m->document.kind = (char *)"nodes";
    m->document.version = 3;
    m->document.body = wire_bytes(packed(&m->node_list_body, m->document_body, sizeof m->document_body));
    m->document.signature = bytes_of(m->signature, 64);
    m->document_list[0] = &m->document;
}

static void fill_state(struct messages *m)
{
    struct buf input = {0};

    m->windows = (Fogline__V1__Windows)FOGLINE__V1__WINDOWS__INIT;
    m->windows.urgent_bytes = 128 * 1024;
    m->windows.live_bytes = 1024 * 1024;
    m->windows.lease_ms = 15000;
    m->lane_state = (Fogline__V1__LaneState)FOGLINE__V1__LANE_STATE__INIT;
    m->lane_state.epoch = bytes_of(m->epoch, 16);
    m->lane_state.highest = 1000000;
    m->lane_state.from = 1;
    m->lane_state.to = 1000000;
    m->lane_state.n_stored = 4;
    m->lane_state.stored = m->stored;
    m->lane_state_list[0] = &m->lane_state;
    m->mark_body = (Fogline__V1__MarkBody)FOGLINE__V1__MARK_BODY__INIT;
    m->mark_body.archive_id = bytes_of(m->archive, 16);
    m->mark_body.origin = (char *)messages_origin;
    m->mark_body.epoch = bytes_of(m->epoch, 16);
    m->mark_body.from = 1;
    m->mark_body.to = 99;
    m->mark_body.n_archived = 4;
    m->mark_body.archived = m->archived;
    m->mark_body.n_explained = 2;
    m->mark_body.explained = m->explained;
    m->mark = (Fogline__V1__Mark)FOGLINE__V1__MARK__INIT;
    m->mark.key_id = 1;
    m->mark.body = wire_bytes(packed(&m->mark_body, m->mark_bytes, sizeof m->mark_bytes));
    wire_mark_input(&input, wire_span(m->mark.body));
    crypto_generichash(m->mark_mac, 16, input.data, input.len, messages_mark_key, 32);
    buf_deinit(&input);
    m->mark.mac = bytes_of(m->mark_mac, 16);
    m->mark_list[0] = &m->mark;
    m->state = (Fogline__V1__State)FOGLINE__V1__STATE__INIT;
    m->state.version = 1;
    m->state.store = bytes_of(m->store, 16);
    m->state.run = UINT64_C(0x0102030405060708);
    m->state.session = 5;
    m->state.session_known = 5;
    m->state.windows = &m->windows;
    m->state.n_lanes = 1;
    m->state.lanes = m->lane_state_list;
    m->state.n_marks = 1;
    m->state.marks = m->mark_list;
    m->state.archive_id = bytes_of(m->archive, 16);
    m->state.n_documents = 1;
    m->state.documents = m->document_list;
    m->state.node = (char *)"fog-1";
    m->down = (Fogline__V1__Down)FOGLINE__V1__DOWN__INIT;
    m->down.format = WIRE_FORMAT;
    m->down.state = &m->state;
}

void messages_init(struct messages *m)
{
    memset(m, 0, sizeof *m);
    fill(m);
    fill_payloads(m);
    fill_hello(m);
    fill_data(m);
    fill_documents(m);
    fill_state(m);
}

void message_flood(ProtobufCMessage *m)
{
    static ProtobufCMessageUnknownField fields[WIRE_UNKNOWN_FIELDS_MAX + 1];
    static uint8_t one[] = {1};
    size_t i;

    for (i = 0; i < WIRE_UNKNOWN_FIELDS_MAX + 1; i++)
        fields[i] = (ProtobufCMessageUnknownField){
            .tag = 100, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = sizeof one, .data = one};
    m->n_unknown_fields = WIRE_UNKNOWN_FIELDS_MAX + 1;
    m->unknown_fields = fields;
}
