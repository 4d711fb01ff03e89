/* Up, Down and MarkBody: what is accepted, and each refusal. */
#include "messages.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct wire_arena *arena;
    struct messages m;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    *state = f;
    return f == NULL ? -1 : wire_arena_new(&f->arena, WIRE_ARENA_BYTES);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    wire_arena_free(f->arena);
    free(f);
    return 0;
}

static int up_fault(struct fixture *f, const Fogline__V1__Up *up)
{
    Fogline__V1__Up *back = NULL;
    struct buf b = {0};
    int r;

    wire_pack(&b, &up->base);
    wire_arena_reset(f->arena);
    r = wire_up_unpack(f->arena, span_of(b.data, b.len), &back);
    assert_int_equal(r == 0, back != NULL);
    buf_deinit(&b);
    return r;
}

static int down_fault(struct fixture *f)
{
    Fogline__V1__Down *back = NULL;
    struct buf b = {0};
    int r;

    wire_pack(&b, &f->m.down.base);
    wire_arena_reset(f->arena);
    r = wire_down_unpack(f->arena, span_of(b.data, b.len), &back);
    assert_int_equal(r == 0, back != NULL);
    buf_deinit(&b);
    return r;
}

static int mark_fault(struct fixture *f)
{
    Fogline__V1__MarkBody *back = NULL;
    struct buf b = {0};
    int r;

    wire_pack(&b, &f->m.mark_body.base);
    wire_arena_reset(f->arena);
    r = wire_mark_body_unpack(f->arena, span_of(b.data, b.len), &back);
    buf_deinit(&b);
    return r;
}

/* One valid message, one change, one fault. */
#define HELLO(want, change)                                                                                  \
    do {                                                                                                     \
        messages_init(&f->m);                                                                                \
        change;                                                                                              \
        assert_int_equal(up_fault(f, &f->m.up_hello), want);                                                 \
    } while (0)
#define DATA(want, change)                                                                                   \
    do {                                                                                                     \
        messages_init(&f->m);                                                                                \
        change;                                                                                              \
        assert_int_equal(up_fault(f, &f->m.up_data), want);                                                  \
    } while (0)
#define DOWN(want, change)                                                                                   \
    do {                                                                                                     \
        messages_init(&f->m);                                                                                \
        change;                                                                                              \
        assert_int_equal(down_fault(f), want);                                                               \
    } while (0)
#define MARK(want, change)                                                                                   \
    do {                                                                                                     \
        messages_init(&f->m);                                                                                \
        change;                                                                                              \
        assert_int_equal(mark_fault(f), want);                                                               \
    } while (0)

static void formats_of_the_same_major_are_read_and_others_are_not(void **state)
{
    struct fixture *f = *state;

    HELLO(WIRE_OK, f->m.up_hello.format = WIRE_FORMAT);
    HELLO(WIRE_OK, f->m.up_hello.format = WIRE_FORMAT + 0x55);
    HELLO(WIRE_FORMAT_UNKNOWN, f->m.up_hello.format = 2 << 8);
    HELLO(WIRE_FORMAT_UNKNOWN, f->m.up_hello.format = 0);
    HELLO(WIRE_FORMAT_UNKNOWN, f->m.up_hello.format = 1 << 24 | WIRE_FORMAT);
    DOWN(WIRE_OK, f->m.down.format = WIRE_FORMAT + 1);
    DOWN(WIRE_FORMAT_UNKNOWN, f->m.down.format = 2 << 8);
}

static void hello_out_of_range_is_refused(void **state)
{
    struct fixture *f = *state;

    HELLO(WIRE_INVALID, f->m.up_hello.sender = (char *)"");
    HELLO(WIRE_INVALID, f->m.up_hello.sender = (char *)"a/b");
    HELLO(WIRE_INVALID, f->m.up_hello.body_case = FOGLINE__V1__UP__BODY__NOT_SET);
    HELLO(WIRE_INVALID, f->m.hello.version_min = 2);
    HELLO(WIRE_INVALID, f->m.hello.session = 0);
    HELLO(WIRE_INVALID, f->m.hello.peer_store.len = 15);
    HELLO(WIRE_OK, f->m.hello.peer_store.len = 0);
    HELLO(WIRE_INVALID, f->m.hello.archive_id.len = 8);
    HELLO(WIRE_OK, f->m.hello.clocks = NULL);
    HELLO(WIRE_INVALID, f->m.clocks.state = 3);
    HELLO(WIRE_INVALID, f->m.clocks.boot_id.len = 3);
    HELLO(WIRE_INVALID, f->m.document_version.kind = (char *)"no des");
    HELLO(WIRE_INVALID, f->m.hello.role = (char *)"..");
    HELLO(WIRE_INVALID, f->m.hello.software = (char *)"1.0\x1b[31m");
}

static void lane_reports_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;

    HELLO(WIRE_INVALID, f->m.epoch_report.epoch.len = 15);
    HELLO(WIRE_INVALID, f->m.epoch_report.epoch.len = 0);
    HELLO(WIRE_INVALID, f->m.ask.origin = (char *)"press/8");
    HELLO(WIRE_INVALID, f->m.lane_reports[1].lane = 2);
    HELLO(WIRE_INVALID, f->m.lane_reports[1].lane = 0);
    HELLO(WIRE_INVALID, f->m.lane_reports[0].next = SEQ_COUNT_MAX + 1);
    HELLO(WIRE_INVALID, f->m.lane_reports[0].held_count = UINT64_MAX);
    HELLO(WIRE_INVALID, f->m.held[0] = 0);
    HELLO(WIRE_INVALID, f->m.held[1] = 2);
    HELLO(WIRE_INVALID, f->m.held[2] = 7);
    HELLO(WIRE_INVALID, f->m.held[3] = SEQ_COUNT_MAX + 1);
    HELLO(WIRE_INVALID, f->m.lane_reports[0].n_held = 3);
}

static void counts_over_their_limits_are_refused(void **state)
{
    struct fixture *f = *state;
    static Fogline__V1__EpochReport *reports[WIRE_ASKS_MAX + 1];
    static Fogline__V1__LaneReport *lanes[3];
    static Fogline__V1__DocumentVersion *versions[WIRE_DOCUMENTS_MAX + 1];
    static Fogline__V1__Mark *marks[WIRE_LANES_MAX + 1];
    static uint64_t bounds[2 * WIRE_INTERVALS_MAX + 2];
    size_t i;

    f->m.ask = (Fogline__V1__EpochReport)FOGLINE__V1__EPOCH_REPORT__INIT;
    for (i = 0; i < WIRE_ASKS_MAX + 1; i++)
        reports[i] = &f->m.ask;
    for (i = 0; i < 3; i++)
        lanes[i] = &f->m.lane_reports[i % 2];
    for (i = 0; i < WIRE_DOCUMENTS_MAX + 1; i++)
        versions[i] = &f->m.document_version;
    for (i = 0; i < WIRE_LANES_MAX + 1; i++)
        marks[i] = &f->m.mark;
    for (i = 0; i < 2 * WIRE_INTERVALS_MAX + 2; i++)
        bounds[i] = 2 * i + 1;
    HELLO(WIRE_OK, (f->m.hello.asks = reports, f->m.ask.n_lanes = 0, f->m.hello.n_asks = WIRE_ASKS_MAX));
    HELLO(WIRE_LIMIT,
          (f->m.hello.asks = reports, f->m.ask.n_lanes = 0, f->m.hello.n_asks = WIRE_ASKS_MAX + 1));
    HELLO(WIRE_OK, (f->m.hello.epochs = reports, f->m.hello.n_epochs = WIRE_EPOCHS_MAX));
    HELLO(WIRE_LIMIT, (f->m.hello.epochs = reports, f->m.hello.n_epochs = WIRE_EPOCHS_MAX + 1));
    HELLO(WIRE_LIMIT, (f->m.epoch_report.lanes = lanes, f->m.epoch_report.n_lanes = 3));
    HELLO(WIRE_LIMIT, (f->m.hello.documents = versions, f->m.hello.n_documents = WIRE_DOCUMENTS_MAX + 1));
    HELLO(WIRE_OK,
          (f->m.lane_reports[0].held = bounds, f->m.lane_reports[0].n_held = 2 * WIRE_INTERVALS_MAX));
    HELLO(WIRE_LIMIT,
          (f->m.lane_reports[0].held = bounds, f->m.lane_reports[0].n_held = 2 * WIRE_INTERVALS_MAX + 2));
    DOWN(WIRE_LIMIT,
         (f->m.mark.body.len = 1, f->m.state.marks = marks, f->m.state.n_marks = WIRE_LANES_MAX + 1));
}

static void data_out_of_range_is_refused(void **state)
{
    struct fixture *f = *state;

    DATA(WIRE_OK, (void)0);
    DATA(WIRE_INVALID, f->m.data.session = 0);
    DATA(WIRE_INVALID, f->m.stretch.epoch.len = 17);
    DATA(WIRE_OK, f->m.stretch.origin = (char *)"press-9");
    DATA(WIRE_INVALID, f->m.stretch.origin = (char *)"press 9");
    DATA(WIRE_INVALID, f->m.records[0].seq = 0);
    DATA(WIRE_INVALID, f->m.records[0].seq = seq_make(LANE_URGENT, 0));
    DATA(WIRE_INVALID, f->m.records[0].seq = seq_make(2, 1));
    DATA(WIRE_INVALID, f->m.records[5].tag.len = 15);
    DATA(WIRE_INVALID, f->m.records[5].tag.len = 0);
    DATA(WIRE_OK, f->m.records[5].kind = 4711);
    DATA(WIRE_OK, f->m.records[5].payload.len = 0);
}

static void payload_and_record_limits_hold_to_the_byte(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[WIRE_PAYLOAD_MAX_BYTES + 1];
    static Fogline__V1__Record *records[WIRE_RECORDS_MAX + 1];
    static Fogline__V1__Stretch *stretches[2];
    size_t i;

    DATA(WIRE_OK, f->m.records[0].payload = wire_bytes(span_of(big, WIRE_PAYLOAD_MAX_BYTES)));
    DATA(WIRE_LIMIT, f->m.records[0].payload = wire_bytes(span_of(big, WIRE_PAYLOAD_MAX_BYTES + 1)));
    for (i = 0; i < WIRE_RECORDS_MAX + 1; i++)
        records[i] = &f->m.records[0];
    stretches[0] = stretches[1] = &f->m.stretch;
    DATA(WIRE_OK, (f->m.stretch.records = records, f->m.records[0].payload.len = 0,
                   f->m.stretch.n_records = WIRE_RECORDS_MAX));
    DATA(WIRE_LIMIT, (f->m.stretch.records = records, f->m.records[0].payload.len = 0,
                      f->m.stretch.n_records = WIRE_RECORDS_MAX + 1));
    DATA(WIRE_LIMIT, (f->m.stretch.records = records, f->m.records[0].payload.len = 0,
                      f->m.stretch.n_records = WIRE_RECORDS_MAX / 2 + 1, f->m.data.stretches = stretches,
                      f->m.data.n_stretches = 2));
}

static void state_out_of_range_is_refused(void **state)
{
    struct fixture *f = *state;

    DOWN(WIRE_OK, (void)0);
    DOWN(WIRE_INVALID, f->m.down.state = NULL);
    DOWN(WIRE_INVALID, f->m.state.store.len = 0);
    DOWN(WIRE_INVALID, f->m.state.archive_id.len = 1);
    DOWN(WIRE_OK, f->m.state.windows = NULL);
    DOWN(WIRE_INVALID, f->m.windows.urgent_bytes = 65535);
    DOWN(WIRE_INVALID, f->m.windows.live_bytes = 1);
    DOWN(WIRE_INVALID, f->m.windows.backlog_bytes = 65535);
    DOWN(WIRE_OK, f->m.windows.backlog_bytes = 65536);
    DOWN(WIRE_INVALID, f->m.state.node = (char *)"fog\n1");
    DOWN(WIRE_INVALID, f->m.lane_state.origin = (char *)"a b");
    DOWN(WIRE_INVALID, f->m.lane_state.epoch.len = 0);
    DOWN(WIRE_INVALID, f->m.lane_state.lane = 2);
    DOWN(WIRE_INVALID, f->m.lane_state.highest = SEQ_COUNT_MAX + 1);
    DOWN(WIRE_INVALID, f->m.lane_state.from = 2);
    DOWN(WIRE_INVALID, f->m.lane_state.to = 999999);
    DOWN(WIRE_INVALID, (f->m.lane_state.n_stored = 0, f->m.lane_state.from = 2, f->m.lane_state.to = 1));
    DOWN(WIRE_OK, (f->m.lane_state.n_stored = 0, f->m.lane_state.from = 0, f->m.lane_state.to = 0));
    DOWN(WIRE_INVALID, f->m.mark.mac.len = 15);
    DOWN(WIRE_INVALID, f->m.mark.body.len = 0);
    DOWN(WIRE_INVALID, f->m.document.kind = (char *)"");
    DOWN(WIRE_INVALID, f->m.document.target = (char *)"*");
    DOWN(WIRE_INVALID, f->m.document.version = 0);
    DOWN(WIRE_INVALID, f->m.document.signature.len = 63);
}

static void long_mark_and_document_bodies_are_refused(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[WIRE_DOCUMENT_BODY_MAX_BYTES + 1];

    DOWN(WIRE_OK, f->m.mark.body = wire_bytes(span_of(big, WIRE_MARK_BODY_MAX_BYTES)));
    DOWN(WIRE_LIMIT, f->m.mark.body = wire_bytes(span_of(big, WIRE_MARK_BODY_MAX_BYTES + 1)));
    DOWN(WIRE_OK, f->m.document.body = wire_bytes(span_of(big, WIRE_DOCUMENT_BODY_MAX_BYTES)));
    DOWN(WIRE_LIMIT, f->m.document.body = wire_bytes(span_of(big, WIRE_DOCUMENT_BODY_MAX_BYTES + 1)));
}

static void mark_bodies_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;

    MARK(WIRE_OK, (void)0);
    MARK(WIRE_INVALID, f->m.mark_body.archive_id.len = 0);
    MARK(WIRE_INVALID, f->m.mark_body.origin = (char *)"");
    MARK(WIRE_INVALID, f->m.mark_body.epoch.len = 3);
    MARK(WIRE_INVALID, f->m.mark_body.lane = 7);
    MARK(WIRE_INVALID, f->m.mark_body.to = SEQ_COUNT_MAX + 1);
    MARK(WIRE_INVALID, f->m.archived[3] = 100);
    MARK(WIRE_INVALID, f->m.archived[0] = 0);
    MARK(WIRE_INVALID, f->m.explained[0] = 43);
    MARK(WIRE_INVALID, f->m.mark_body.n_explained = 1);
}

static void a_message_over_the_socket_limit_is_not_even_unpacked(void **state)
{
    struct fixture *f = *state;
    static uint8_t big[WIRE_UP_MAX_BYTES + 1];
    Fogline__V1__Down *down;
    Fogline__V1__Up *up;

    assert_int_equal(wire_up_unpack(f->arena, span_of(big, sizeof big), &up), WIRE_LIMIT);
    assert_int_equal(wire_down_unpack(f->arena, span_of(big, sizeof big), &down), WIRE_LIMIT);
    assert_int_equal(wire_up_unpack(f->arena, span_of(big, 9), &up), WIRE_MALFORMED);
}

/* Field 100, varint 1: legal protobuf that no version of ours has. */
static const uint8_t unknown_field[3] = {0xa0, 0x06, 0x01};

static void seventeen_unknown_fields_are_a_flood(void **state)
{
    struct fixture *f = *state;
    Fogline__V1__Up *up;
    struct buf b = {0};
    size_t i;

    messages_init(&f->m);
    wire_pack(&b, &f->m.up_hello.base);
    for (i = 0; i < WIRE_UNKNOWN_FIELDS_MAX; i++)
        buf_append(&b, unknown_field, sizeof unknown_field);
    assert_int_equal(wire_up_unpack(f->arena, span_of(b.data, b.len), &up), WIRE_OK);
    buf_append(&b, unknown_field, sizeof unknown_field);
    assert_int_equal(wire_up_unpack(f->arena, span_of(b.data, b.len), &up), WIRE_MALFORMED);
    buf_deinit(&b);
}

/* Written in two bytes, protobuf-c reads number 0, and packs it in the one byte that it refuses to read. */
static void field_numbers_that_protobuf_does_not_have_are_refused(void **state)
{
    static const uint8_t zero[] = {0x80, 0x00, 0x01}, highest[] = {0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01},
                         too_high[] = {0xf8, 0xff, 0xff, 0xff, 0x1f, 0x01};
    static const struct {
        struct span field;
        int fault;
    } cases[] = {{{zero, sizeof zero}, WIRE_MALFORMED},
                 {{highest, sizeof highest}, WIRE_OK},
                 {{too_high, sizeof too_high}, WIRE_MALFORMED}};
    struct fixture *f = *state;
    Fogline__V1__Up *up;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = {0};

        messages_init(&f->m);
        wire_pack(&b, &f->m.up_hello.base);
        buf_append(&b, cases[i].field.data, cases[i].field.len);
        assert_int_equal(wire_up_unpack(f->arena, span_of(b.data, b.len), &up), cases[i].fault);
        buf_deinit(&b);
    }
}

static void unknown_fields_add_up_over_the_whole_message(void **state)
{
    struct fixture *f = *state;
    ProtobufCMessageUnknownField extra = {
        .tag = 100, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = (uint8_t *)"\x01"};
    static Fogline__V1__Record records[WIRE_UNKNOWN_FIELDS_MAX + 1], *list[WIRE_UNKNOWN_FIELDS_MAX + 1];
    size_t i;

    messages_init(&f->m);
    for (i = 0; i < WIRE_UNKNOWN_FIELDS_MAX + 1; i++) {
        records[i] = f->m.records[0];
        records[i].base.n_unknown_fields = 1;
        records[i].base.unknown_fields = &extra;
        list[i] = &records[i];
    }
    f->m.stretch.records = list;
    f->m.stretch.n_records = WIRE_UNKNOWN_FIELDS_MAX;
    assert_int_equal(up_fault(f, &f->m.up_data), WIRE_OK);
    f->m.stretch.n_records++;
    assert_int_equal(up_fault(f, &f->m.up_data), WIRE_MALFORMED);
}

static void a_flood_is_seen_in_whatever_message_it_hides(void **state)
{
    struct fixture *f = *state;

    HELLO(WIRE_MALFORMED, message_flood(&f->m.hello.base));
    HELLO(WIRE_MALFORMED, message_flood(&f->m.epoch_report.base));
    HELLO(WIRE_MALFORMED, message_flood(&f->m.lane_reports[0].base));
    HELLO(WIRE_MALFORMED, message_flood(&f->m.clocks.base));
    HELLO(WIRE_MALFORMED, message_flood(&f->m.document_version.base));
    DATA(WIRE_MALFORMED, message_flood(&f->m.data.base));
    DATA(WIRE_MALFORMED, message_flood(&f->m.stretch.base));
    DATA(WIRE_MALFORMED, message_flood(&f->m.records[5].base));
    DOWN(WIRE_MALFORMED, message_flood(&f->m.down.base));
    DOWN(WIRE_MALFORMED, message_flood(&f->m.state.base));
    DOWN(WIRE_MALFORMED, message_flood(&f->m.windows.base));
    DOWN(WIRE_MALFORMED, message_flood(&f->m.lane_state.base));
    DOWN(WIRE_MALFORMED, message_flood(&f->m.mark.base));
    DOWN(WIRE_MALFORMED, message_flood(&f->m.document.base));
    MARK(WIRE_MALFORMED, message_flood(&f->m.mark_body.base));
}

static void lists_over_their_limits_are_refused_before_their_members_are_read(void **state)
{
    struct fixture *f = *state;
    static Fogline__V1__Stretch stretch = FOGLINE__V1__STRETCH__INIT, *stretches[WIRE_RECORDS_MAX + 1];
    static Fogline__V1__LaneState lane = FOGLINE__V1__LANE_STATE__INIT, *lanes[WIRE_LANES_MAX + 1];
    static Fogline__V1__Document document = FOGLINE__V1__DOCUMENT__INIT, *documents[WIRE_DOCUMENTS_MAX + 1];
    size_t i;

    for (i = 0; i < WIRE_RECORDS_MAX + 1; i++)
        stretches[i] = &stretch;
    for (i = 0; i < WIRE_LANES_MAX + 1; i++)
        lanes[i] = &lane;
    for (i = 0; i < WIRE_DOCUMENTS_MAX + 1; i++)
        documents[i] = &document;
    DATA(WIRE_LIMIT, (f->m.data.stretches = stretches, f->m.data.n_stretches = WIRE_RECORDS_MAX + 1));
    DOWN(WIRE_LIMIT, (f->m.state.lanes = lanes, f->m.state.n_lanes = WIRE_LANES_MAX + 1));
    DOWN(WIRE_LIMIT, (f->m.state.documents = documents, f->m.state.n_documents = WIRE_DOCUMENTS_MAX + 1));
}

/* A megabyte of heap per 16 KiB of empty submessages is what an allocator without a cap would give. */
static void a_costly_message_fails_at_the_cap_of_the_arena(void **state)
{
    struct fixture *f = *state;
    Fogline__V1__Up *up;
    struct buf b = {0};
    struct wire_arena *small;
    size_t i;

    (void)f;
    assert_int_equal(wire_arena_new(&small, 16 * 1024), 0);
    buf_append(&b, (uint8_t[]){0x22, 0x80, 0x40}, 3); /* data of 8192 bytes: 4096 empty stretches */
    for (i = 0; i < 4096; i++)
        buf_append(&b, (uint8_t[]){0x1a, 0x00}, 2);
    assert_int_equal(wire_up_unpack(small, span_of(b.data, b.len), &up), WIRE_MALFORMED);
    buf_deinit(&b);
    wire_arena_free(small);
}

static void a_message_survives_the_round_trip_field_by_field(void **state)
{
    struct fixture *f = *state;
    Fogline__V1__Up *up;
    Fogline__V1__Down *down;
    struct buf b = {0}, again = {0};

    messages_init(&f->m);
    wire_pack(&b, &f->m.up_data.base);
    wire_arena_reset(f->arena);
    assert_int_equal(wire_up_unpack(f->arena, span_of(b.data, b.len), &up), 0);
    wire_pack(&again, &up->base);
    assert_true(span_equal(span_of(b.data, b.len), span_of(again.data, again.len)));
    assert_string_equal(up->sender, "press-7");
    assert_int_equal(up->data->stretches[0]->records[3]->flags, RECORD_FLAG_AGAIN);
    buf_reset(&b);
    buf_reset(&again);
    wire_pack(&b, &f->m.down.base);
    assert_int_equal(wire_down_unpack(f->arena, span_of(b.data, b.len), &down), 0);
    wire_pack(&again, &down->base);
    assert_true(span_equal(span_of(b.data, b.len), span_of(again.data, again.len)));
    buf_deinit(&b);
    buf_deinit(&again);
}

static void every_cut_and_every_flipped_byte_is_survived(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    size_t i;
    int bit;

    messages_init(&f->m);
    wire_pack(&b, &f->m.up_data.base);
    for (i = 0; i < b.len; i++) {
        Fogline__V1__Up *up;
        Fogline__V1__Down *down;

        wire_arena_reset(f->arena);
        (void)!wire_up_unpack(f->arena, span_of(b.data, i), &up);
        for (bit = 0; bit < 8; bit++) {
            b.data[i] ^= (uint8_t)(1 << bit);
            wire_arena_reset(f->arena);
            (void)!wire_up_unpack(f->arena, span_of(b.data, b.len), &up);
            (void)!wire_down_unpack(f->arena, span_of(b.data, b.len), &down);
            b.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(formats_of_the_same_major_are_read_and_others_are_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(hello_out_of_range_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lane_reports_out_of_range_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_over_their_limits_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_out_of_range_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(payload_and_record_limits_hold_to_the_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(state_out_of_range_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_mark_and_document_bodies_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mark_bodies_out_of_range_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_over_the_socket_limit_is_not_even_unpacked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(seventeen_unknown_fields_are_a_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(field_numbers_that_protobuf_does_not_have_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(unknown_fields_add_up_over_the_whole_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_is_seen_in_whatever_message_it_hides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_over_their_limits_are_refused_before_their_members_are_read,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_costly_message_fails_at_the_cap_of_the_arena, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_survives_the_round_trip_field_by_field, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_cut_and_every_flipped_byte_is_survived, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
