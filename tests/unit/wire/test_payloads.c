/* Payloads of records and bodies of documents: what is accepted, and each refusal. */
#include "messages.h"

#include "base/cleanup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct messages m;
static struct wire_arena *arena;

static int set_up(void **state)
{
    (void)state;
    return wire_arena_new(&arena, WIRE_ARENA_BYTES);
}

static int tear_down(void **state)
{
    (void)state;
    arena = wire_arena_free(arena);
    return 0;
}

/* One valid message, one change, one fault. */
#define FAULT(what, message, want, change)                                                                   \
    do {                                                                                                     \
        struct buf fault_b_ = {0};                                                                           \
        void *fault_back_ = NULL;                                                                            \
                                                                                                             \
        messages_init(&m);                                                                                   \
        change;                                                                                              \
        wire_pack(&fault_b_, &(message).base);                                                               \
        wire_arena_reset(arena);                                                                             \
        assert_int_equal(                                                                                    \
            wire_##what##_unpack(arena, span_of(fault_b_.data, fault_b_.len), (void *)&fault_back_), want);  \
        assert_int_equal((want) == WIRE_OK, fault_back_ != NULL);                                            \
        buf_deinit(&fault_b_);                                                                               \
    } while (0)
#define SET(want, change) FAULT(descriptor_set, m.set, want, change)
#define BLOCK(want, change) FAULT(block, m.block, want, change)
#define EVENT(want, change) FAULT(event, m.event, want, change)
#define HEALTH(want, change) FAULT(health, m.health, want, change)
#define LEDGER(want, change) FAULT(ledger, m.ledger, want, change)
#define REPLY(want, change) FAULT(reply, m.reply, want, change)
#define NODES(want, change) FAULT(node_list, m.node_list_body, want, change)
#define COMMAND(want, change) FAULT(command, m.command, want, change)
#define DOCUMENT(want, change) FAULT(document, m.document, want, change)

static char long_text[WIRE_TEXT_MAX_BYTES + 2];

static char *text_of(size_t n)
{
    memset(long_text, 'x', sizeof long_text);
    long_text[n] = '\0';
    return long_text;
}

static void every_payload_of_another_major_is_refused(void **state)
{
    (void)state;
    SET(WIRE_FORMAT_UNKNOWN, m.set.format = 0x200);
    BLOCK(WIRE_FORMAT_UNKNOWN, m.block.format = 0x200);
    EVENT(WIRE_FORMAT_UNKNOWN, m.event.format = 0x200);
    HEALTH(WIRE_FORMAT_UNKNOWN, m.health.format = 0);
    LEDGER(WIRE_FORMAT_UNKNOWN, m.ledger.format = 0x200);
    REPLY(WIRE_FORMAT_UNKNOWN, m.reply.format = 0x200);
    NODES(WIRE_FORMAT_UNKNOWN, m.node_list_body.format = 0x200);
    COMMAND(WIRE_FORMAT_UNKNOWN, m.command.format = 0x200);
    SET(WIRE_OK, m.set.format = WIRE_FORMAT + 9);
    BLOCK(WIRE_OK, m.block.format = WIRE_FORMAT + 9);
}

static void descriptor_sets_out_of_range_are_refused(void **state)
{
    double deadbands[] = {0, 0.5, 1e300, 0}, wrong[] = {0, -1, 0, 0};
    uint32_t silences[] = {0, 60000, UINT32_MAX, 0};
    char *bad_tags[] = {(char *)"novalue"}, *no_key[] = {(char *)"=x"};
    static uint8_t start[WIRE_CODEC_START_MAX_BYTES + 1];
    const ProtobufCBinaryData most = {WIRE_CODEC_START_MAX_BYTES, start}, over = {sizeof start, start};

    (void)state;
    SET(WIRE_OK, (void)0);
    SET(WIRE_INVALID, m.set.group = (char *)"");
    SET(WIRE_INVALID, m.set.n_channels = 0);
    SET(WIRE_INVALID, m.descriptors[1].name = (char *)"temperature");
    SET(WIRE_INVALID, m.descriptors[1].name = (char *)"a/b");
    SET(WIRE_INVALID, m.descriptors[1].type = (Fogline__V1__ValueType)0);
    SET(WIRE_INVALID, m.descriptors[1].type = (Fogline__V1__ValueType)5);
    SET(WIRE_INVALID, m.descriptors[1].keep = (Fogline__V1__KeepPolicy)5);
    SET(WIRE_INVALID, m.descriptors[1].scale = INFINITY);
    SET(WIRE_INVALID, m.descriptors[0].error_bound = -1);
    SET(WIRE_INVALID, m.descriptors[0].error_bound = NAN);
    SET(WIRE_INVALID, m.descriptors[0].error_bound = INFINITY);
    SET(WIRE_INVALID, m.descriptors[1].error_bound = 1); /* of an int64 */
    SET(WIRE_OK, (m.set.deadband = deadbands, m.set.n_deadband = m.set.n_channels,
                  m.set.max_silence_ms = silences, m.set.n_max_silence_ms = m.set.n_channels));
    SET(WIRE_INVALID, (m.set.deadband = deadbands, m.set.n_deadband = 1));
    SET(WIRE_INVALID, (m.set.max_silence_ms = silences, m.set.n_max_silence_ms = 1));
    SET(WIRE_INVALID, (m.set.deadband = wrong, m.set.n_deadband = m.set.n_channels));
    SET(WIRE_OK, (m.descriptors[1].start = most, m.set.time_start = most));
    SET(WIRE_LIMIT, m.descriptors[1].start = over);
    SET(WIRE_LIMIT, m.set.time_start = over);
    SET(WIRE_INVALID, m.descriptors[1].unit = (char *)"\xff");
    SET(WIRE_LIMIT, m.descriptors[1].unit = text_of(WIRE_LABEL_MAX_BYTES + 1));
    SET(WIRE_OK, m.descriptors[1].unit = text_of(WIRE_LABEL_MAX_BYTES));
    SET(WIRE_INVALID, m.descriptors[0].tags = bad_tags);
    SET(WIRE_INVALID, m.descriptors[0].tags = no_key);
}

static void blocks_out_of_range_are_refused(void **state)
{
    (void)state;
    BLOCK(WIRE_OK, (void)0);
    BLOCK(WIRE_INVALID, m.block.rows = 0);
    BLOCK(WIRE_LIMIT, m.block.rows = WIRE_ROWS_MAX + 1);
    BLOCK(WIRE_INVALID, m.block.samples = 3 * WIRE_CHANNELS_MAX + 1);
    BLOCK(WIRE_INVALID, m.block.encoding = 0);
    BLOCK(WIRE_OK, m.block.encoding = 99);
    BLOCK(WIRE_INVALID, m.block.time_span_ns = UINT64_MAX);
    BLOCK(WIRE_OK, (m.block.time_first_ns = INT64_MIN, m.block.time_span_ns = UINT64_MAX));
    BLOCK(WIRE_INVALID, (m.block.time_first_ns = INT64_MAX, m.block.time_span_ns = 1));
    BLOCK(WIRE_INVALID, m.block.clock_state = 3);
    BLOCK(WIRE_OK, (m.block.n_covers = 1, m.block.covers = m.cover_list));
    BLOCK(WIRE_INVALID, (m.block.n_covers = 1, m.block.covers = m.cover_list, m.cover.lane = 2));
}

static void covers_out_of_range_are_refused(void **state)
{
    static uint64_t bounds[2 * WIRE_COVER_INTERVALS_MAX + 2], needs[WIRE_NEEDS_MAX + 1];
    size_t i;

    (void)state;
    for (i = 0; i < 2 * WIRE_COVER_INTERVALS_MAX + 2; i++)
        bounds[i] = i + 1;
    for (i = 0; i < WIRE_NEEDS_MAX + 1; i++)
        needs[i] = i + 1;
    LEDGER(WIRE_OK, (void)0);
    LEDGER(WIRE_INVALID, m.cover.origin = (char *)"a b");
    LEDGER(WIRE_INVALID, m.cover.epoch.len = 0);
    LEDGER(WIRE_INVALID, m.cover.lane = 2);
    LEDGER(WIRE_INVALID, m.cover.n_bounds = 0);
    LEDGER(WIRE_INVALID, m.cover.n_bounds = 3);
    LEDGER(WIRE_INVALID, m.cover_bounds[2] = 19);
    LEDGER(WIRE_INVALID, m.cover_bounds[0] = 0);
    LEDGER(WIRE_OK, (m.cover.bounds = bounds, m.cover.n_bounds = 2 * WIRE_COVER_INTERVALS_MAX));
    LEDGER(WIRE_LIMIT, (m.cover.bounds = bounds, m.cover.n_bounds = 2 * WIRE_COVER_INTERVALS_MAX + 2));
    LEDGER(WIRE_INVALID, m.cover.reason = (Fogline__V1__Reason)0);
    LEDGER(WIRE_INVALID, m.cover.reason = (Fogline__V1__Reason)10);
    LEDGER(WIRE_INVALID, m.cover.reason = (Fogline__V1__Reason)-1);
    LEDGER(WIRE_INVALID, m.cover.store.len = 0);
    LEDGER(WIRE_INVALID, m.cover.store.len = 8);
    LEDGER(WIRE_OK, (m.cover.store.len = 0, m.cover.reason = FOGLINE__V1__REASON__REASON_EVICTED));
    LEDGER(WIRE_INVALID, m.needs[0] = 0);
    LEDGER(WIRE_INVALID, m.needs[0] = seq_make(3, 1));
    LEDGER(WIRE_LIMIT, (m.cover.needs = needs, m.cover.n_needs = WIRE_NEEDS_MAX + 1));
}

static void events_out_of_range_are_refused(void **state)
{
    (void)state;
    EVENT(WIRE_OK, (void)0);
    EVENT(WIRE_INVALID, m.event.type = (Fogline__V1__EventType)0);
    EVENT(WIRE_INVALID, m.event.type = (Fogline__V1__EventType)-5);
    EVENT(WIRE_OK, m.event.type = (Fogline__V1__EventType)77);
    EVENT(WIRE_INVALID, m.event.severity = 4);
    EVENT(WIRE_INVALID, m.event.subject = (char *)"a\tb");
    EVENT(WIRE_LIMIT, m.event.subject = text_of(WIRE_SUBJECT_MAX_BYTES + 1));
    EVENT(WIRE_OK, m.event.text = text_of(WIRE_TEXT_MAX_BYTES));
    EVENT(WIRE_LIMIT, m.event.text = text_of(WIRE_TEXT_MAX_BYTES + 1));
    EVENT(WIRE_INVALID, m.event.blind_to_ns = m.event.blind_from_ns - 1);
    EVENT(WIRE_INVALID, m.event.boot_id.len = 15);
    EVENT(WIRE_INVALID, m.event.version = (char *)"1\n2");
}

static void text_that_a_terminal_would_obey_is_refused(void **state)
{
    (void)state;
    EVENT(WIRE_OK, m.event.text = (char *)"tab\t, line\n, \xe2\x82\xac, \xf0\x9f\x94\xa7");
    EVENT(WIRE_INVALID, m.event.text = (char *)"\x1b]0;title\x07");
    EVENT(WIRE_INVALID, m.event.text = (char *)"back\rslash");
    EVENT(WIRE_INVALID, m.event.text = (char *)"\x7f");
    EVENT(WIRE_INVALID, m.event.text = (char *)"\xc2\x9b 1m");      /* C1 control: CSI */
    EVENT(WIRE_INVALID, m.event.text = (char *)"\xc0\xaf");         /* overlong */
    EVENT(WIRE_INVALID, m.event.text = (char *)"\xe0\x80\xaf");     /* overlong */
    EVENT(WIRE_INVALID, m.event.text = (char *)"\xed\xa0\x80");     /* surrogate */
    EVENT(WIRE_INVALID, m.event.text = (char *)"\xf4\x90\x80\x80"); /* above U+10FFFF */
    EVENT(WIRE_INVALID, m.event.text = (char *)"cut \xe2\x82");     /* cut */
}

static void measured(const char *name, double value)
{
    static Fogline__V1__Measure measure, *list[] = {&measure};

    fogline__v1__measure__init(&measure);
    measure.name = (char *)name;
    measure.value = value;
    m.health.n_measures = 1;
    m.health.measures = list;
}

static void mended_text_is_taken(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"tab\t, line\n, \xe2\x82\xac, \xf0\x9f\x94\xa7", "tab\t, line\n, \xe2\x82\xac, \xf0\x9f\x94\xa7"},
        {"cut \xe2\x82", "cut ??"},
        {"\x1b]0;title\x07", "?]0;title?"},
        {"\xc2\x9b 1m\x7f", "?? 1m?"},
        {"\xc0\xaf\xff", "???"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[64];

        snprintf(text, sizeof text, "%s", pairs[i][0]);
        wire_text_mend(text);
        assert_string_equal(text, pairs[i][1]);
        EVENT(WIRE_OK, m.event.text = text);
    }
}

static void health_and_reply_out_of_range_are_refused(void **state)
{
    static Fogline__V1__Reduced *many[WIRE_REDUCED_MAX + 1];

    (void)state;
    HEALTH(WIRE_OK, (void)0);
    HEALTH(WIRE_INVALID, m.counters[1].name = (char *)"");
    HEALTH(WIRE_INVALID, m.counters[1].name = (char *)"a\nb");
    HEALTH(WIRE_LIMIT, m.counters[1].name = text_of(WIRE_LABEL_MAX_BYTES + 1));
    HEALTH(WIRE_OK, measured("temperature_cel", -12.5));
    HEALTH(WIRE_INVALID, measured("", 1));
    HEALTH(WIRE_INVALID, measured("a\nb", 1));
    HEALTH(WIRE_INVALID, measured("share", NAN));
    HEALTH(WIRE_INVALID, measured("share", INFINITY));
#define REDUCED(want, change) HEALTH(want, (m.health.reductions = &m.reductions, change))
    REDUCED(WIRE_OK, (void)0);
    REDUCED(WIRE_OK, m.reduced.sent_later = 1000);
    REDUCED(WIRE_INVALID, m.reduced.sent_later = 1001);
    REDUCED(WIRE_INVALID, m.reduced.reason = FOGLINE__V1__REASON__REASON_EVICTED);
    REDUCED(WIRE_INVALID, m.reduced.reason = (Fogline__V1__Reason)11);
    REDUCED(WIRE_INVALID, m.reduced.group = (char *)"");
    REDUCED(WIRE_INVALID, m.reductions.epoch.len = 15);
    for (size_t i = 0; i <= WIRE_REDUCED_MAX; i++)
        many[i] = &m.reduced;
    REDUCED(WIRE_OK, (m.reductions.reduced = many, m.reductions.n_reduced = WIRE_REDUCED_MAX));
    REDUCED(WIRE_LIMIT, (m.reductions.reduced = many, m.reductions.n_reduced = WIRE_REDUCED_MAX + 1));
    REDUCED(WIRE_MALFORMED, message_flood(&m.reductions.base));
    REPLY(WIRE_OK, (void)0);
    REPLY(WIRE_INVALID, m.reply.counter = 0);
    REPLY(WIRE_LIMIT, m.reply.text = text_of(WIRE_TEXT_MAX_BYTES + 1));
}

static void documents_out_of_range_are_refused(void **state)
{
    (void)state;
    DOCUMENT(WIRE_OK, (void)0);
    DOCUMENT(WIRE_INVALID, m.document.kind = (char *)"a b");
    DOCUMENT(WIRE_INVALID, m.document.signature.len = 0);
    NODES(WIRE_OK, (void)0);
    NODES(WIRE_INVALID, m.node_list_body.version = 0);
    NODES(WIRE_INVALID, m.nodes[1].id = (char *)"");
    NODES(WIRE_INVALID, m.nodes[1].role = (char *)"");
    NODES(WIRE_INVALID, m.nodes[1].site = (char *)"a/b");
    NODES(WIRE_INVALID, m.nodes[1].transport_key.len = 31);
    NODES(WIRE_INVALID, m.nodes[1].end_key.len = 0);
    COMMAND(WIRE_OK, (void)0);
    COMMAND(WIRE_INVALID, m.command.target = (char *)"");
    COMMAND(WIRE_INVALID, m.command.counter = 0);
    COMMAND(WIRE_INVALID, m.command.type = (Fogline__V1__CommandType)0);
    COMMAND(WIRE_OK, m.command.type = (Fogline__V1__CommandType)9);
    COMMAND(WIRE_INVALID, m.command.argument = (char *)"x\ny");
}

static void a_flood_is_seen_in_whatever_message_it_hides(void **state)
{
    (void)state;
    SET(WIRE_MALFORMED, message_flood(&m.set.base));
    SET(WIRE_MALFORMED, message_flood(&m.descriptors[2].base));
    BLOCK(WIRE_MALFORMED, message_flood(&m.block.base));
    EVENT(WIRE_MALFORMED, message_flood(&m.event.base));
    HEALTH(WIRE_MALFORMED, message_flood(&m.health.base));
    HEALTH(WIRE_MALFORMED, message_flood(&m.counters[1].base));
    LEDGER(WIRE_MALFORMED, message_flood(&m.ledger.base));
    LEDGER(WIRE_MALFORMED, message_flood(&m.cover.base));
    REPLY(WIRE_MALFORMED, message_flood(&m.reply.base));
    NODES(WIRE_MALFORMED, message_flood(&m.node_list_body.base));
    NODES(WIRE_MALFORMED, message_flood(&m.nodes[1].base));
    COMMAND(WIRE_MALFORMED, message_flood(&m.command.base));
    DOCUMENT(WIRE_MALFORMED, message_flood(&m.document.base));
}

static void lists_over_their_limits_are_refused_before_their_members_are_read(void **state)
{
    static Fogline__V1__Descriptor descriptor = FOGLINE__V1__DESCRIPTOR__INIT,
                                   *channels[WIRE_CHANNELS_MAX + 1];
    static Fogline__V1__Cover cover = FOGLINE__V1__COVER__INIT, *covers[WIRE_COVERS_MAX + 1];
    static Fogline__V1__Counter counter = FOGLINE__V1__COUNTER__INIT, *counters[WIRE_COUNTERS_MAX + 1];
    static Fogline__V1__Node node = FOGLINE__V1__NODE__INIT, *nodes[WIRE_NODES_MAX + 1];
    static uint8_t start[WIRE_CODEC_START_MAX_BYTES + 1];
    char *tags[WIRE_TAGS_MAX + 1], *long_tag[1] = {text_of(WIRE_LABEL_MAX_BYTES + 1)};
    size_t i;

    (void)state;
    for (i = 0; i < WIRE_CHANNELS_MAX + 1; i++)
        channels[i] = &descriptor;
    for (i = 0; i < WIRE_COVERS_MAX + 1; i++)
        covers[i] = &cover;
    for (i = 0; i < WIRE_COUNTERS_MAX + 1; i++)
        counters[i] = &counter;
    for (i = 0; i < WIRE_NODES_MAX + 1; i++)
        nodes[i] = &node;
    for (i = 0; i < WIRE_TAGS_MAX + 1; i++)
        tags[i] = (char *)"a=b";
    long_text[1] = '=';
    SET(WIRE_LIMIT, (m.set.channels = channels, m.set.n_channels = WIRE_CHANNELS_MAX + 1));
    SET(WIRE_OK, (m.descriptors[0].tags = tags, m.descriptors[0].n_tags = WIRE_TAGS_MAX));
    SET(WIRE_LIMIT, (m.descriptors[0].tags = tags, m.descriptors[0].n_tags = WIRE_TAGS_MAX + 1));
    SET(WIRE_LIMIT, m.descriptors[0].tags = long_tag);
    SET(WIRE_OK, m.descriptors[0].start = wire_bytes(span_of(start, WIRE_CODEC_START_MAX_BYTES)));
    SET(WIRE_LIMIT, m.descriptors[0].start = wire_bytes(span_of(start, WIRE_CODEC_START_MAX_BYTES + 1)));
    LEDGER(WIRE_LIMIT, (m.ledger.covers = covers, m.ledger.n_covers = WIRE_COVERS_MAX + 1));
    HEALTH(WIRE_LIMIT, (m.health.counters = counters, m.health.n_counters = WIRE_COUNTERS_MAX + 1));
    NODES(WIRE_LIMIT, (m.node_list_body.nodes = nodes, m.node_list_body.n_nodes = WIRE_NODES_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_payload_of_another_major_is_refused),
        cmocka_unit_test(descriptor_sets_out_of_range_are_refused),
        cmocka_unit_test(blocks_out_of_range_are_refused),
        cmocka_unit_test(covers_out_of_range_are_refused),
        cmocka_unit_test(events_out_of_range_are_refused),
        cmocka_unit_test(text_that_a_terminal_would_obey_is_refused),
        cmocka_unit_test(mended_text_is_taken),
        cmocka_unit_test(health_and_reply_out_of_range_are_refused),
        cmocka_unit_test(documents_out_of_range_are_refused),
        cmocka_unit_test(a_flood_is_seen_in_whatever_message_it_hides),
        cmocka_unit_test(lists_over_their_limits_are_refused_before_their_members_are_read),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
