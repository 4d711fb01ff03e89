/* Captures of the first format are read for ever: tests/golden/v1/messages. They were written by
 * tests/golden/make_messages.c of the release that fixed the format, and are never written again. */
#include "coded.h"
#include "messages.h"

#include "base/cleanup.h"
#include "codec/block.h"

#include <math.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

static struct wire_arena *arena;
static uint8_t file_bytes[64 * 1024];

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

static struct span capture(const char *name)
{
    char path[512];
    owned(close_file) FILE *f = NULL;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(file_bytes, 1, sizeof file_bytes, f);
    assert_true(n > 0 && n < sizeof file_bytes);
    return span_of(file_bytes, n);
}

static void the_first_hello_is_still_read(void **state)
{
    Fogline__V1__Up *up;
    Fogline__V1__Hello *h;

    (void)state;
    assert_int_equal(wire_up_unpack(arena, capture("up-hello.bin"), &up), 0);
    assert_int_equal(up->body_case, FOGLINE__V1__UP__BODY_HELLO);
    assert_string_equal(up->sender, "press-7");
    h = up->hello;
    assert_int_equal(h->session, 5);
    assert_int_equal(h->peer_store.data[0], 0x22);
    assert_int_equal(h->archive_id.data[15], 0x33);
    assert_int_equal(h->n_epochs, 1);
    assert_int_equal(h->epochs[0]->lanes[0]->next, 10);
    assert_int_equal(h->epochs[0]->lanes[0]->held[2], 9);
    assert_int_equal(h->epochs[0]->lanes[0]->samples_produced, 900);
    assert_string_equal(h->asks[0]->origin, "press-8");
    assert_int_equal(h->clocks->wall_unix_ns, INT64_C(1750000000000000000));
    assert_int_equal(h->documents[0]->version, 3);
    assert_string_equal(h->role, "fog");
}

static void check_block(struct span payload, uint64_t set_id)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL, COLUMN_TEXT};
    struct block_shape shape = {.types = types, .n_columns = 4, .only_column = -1};
    struct block_store *store;
    const struct block *b;
    Fogline__V1__Block *m;

    assert_int_equal(wire_block_unpack(arena, payload, &m), 0);
    assert_int_equal(m->set_id, set_id);
    assert_int_equal(m->samples, 11);
    shape.encoding = m->encoding;
    shape.n_rows = m->rows;
    assert_int_equal(block_store_new(&store), 0);
    assert_int_equal(block_decode(&shape, wire_span(m->body), store, &b), 0);
    assert_int_equal(b->time_ns[0], m->time_first_ns);
    assert_int_equal(b->time_ns[2] - b->time_ns[0], m->time_span_ns);
    assert_true(b->columns[0].f64[0] == 21.5 && b->columns[0].f64[1] == 21.75 && b->columns[0].absent[2]);
    assert_int_equal(b->columns[1].i64[2], 103);
    assert_int_equal(b->columns[1].quality[1], QUALITY_UNCERTAIN);
    assert_int_equal(b->columns[2].i64[1], 1);
    assert_true(span_equal(b->columns[3].text[0], span_str("idle")));
    block_store_free(store);
}

static void the_first_data_is_still_read_with_every_payload(void **state)
{
    struct id128 epoch;
    Fogline__V1__Up *up;
    Fogline__V1__Stretch *s;
    Fogline__V1__DescriptorSet *set;
    Fogline__V1__Event *event;
    Fogline__V1__Health *health;
    Fogline__V1__Ledger *ledger;
    Fogline__V1__Reply *reply;
    size_t i;

    (void)state;
    assert_int_equal(wire_up_unpack(arena, capture("up-data.bin"), &up), 0);
    assert_int_equal(up->body_case, FOGLINE__V1__UP__BODY_DATA);
    assert_int_equal(up->data->run, UINT64_C(0x0102030405060708));
    s = up->data->stretches[0];
    assert_int_equal(s->n_records, 6);
    assert_true(wire_id128(s->epoch, &epoch));
    for (i = 0; i < s->n_records; i++) {
        Fogline__V1__Record *r = s->records[i];
        struct buf input = {0};
        uint8_t tag[16];

        assert_int_equal(r->kind, i + 1);
        wire_tag_input(&input, up->sender, &epoch, r->seq, r->kind, wire_span(r->payload));
        crypto_generichash(tag, sizeof tag, input.data, input.len, messages_tag_key, 32);
        assert_memory_equal(tag, r->tag.data, 16);
        buf_deinit(&input);
    }
    assert_int_equal(wire_descriptor_set_unpack(arena, wire_span(s->records[0]->payload), &set), 0);
    assert_string_equal(set->channels[0]->name, "temperature");
    assert_string_equal(set->channels[0]->tags[0], "line=3");
    check_block(wire_span(s->records[1]->payload), wire_descriptor_set_id(wire_span(s->records[0]->payload)));
    assert_int_equal(wire_event_unpack(arena, wire_span(s->records[2]->payload), &event), 0);
    assert_int_equal(seq_lane(s->records[2]->seq), LANE_URGENT);
    assert_int_equal(event->blind_to_ns, INT64_C(1750000000000000000));
    assert_int_equal(wire_health_unpack(arena, wire_span(s->records[3]->payload), &health), 0);
    assert_int_equal(s->records[3]->flags, RECORD_FLAG_AGAIN);
    assert_int_equal(health->counters[0]->value, 17);
    assert_int_equal(wire_ledger_unpack(arena, wire_span(s->records[4]->payload), &ledger), 0);
    assert_int_equal(ledger->covers[0]->bounds[3], 39);
    assert_int_equal(ledger->covers[0]->needs[0], seq_make(LANE_URGENT, 5));
    assert_int_equal(wire_reply_unpack(arena, wire_span(s->records[5]->payload), &reply), 0);
    assert_true(reply->ok);
}

static void check_coded(struct span payload, uint64_t set_id, enum block_encoding encoding,
                        const struct block_starts *starts, const struct coded_rows *r)
{
    struct block_store *store;
    const struct block *b;
    Fogline__V1__Block *m;

    assert_int_equal(wire_block_unpack(arena, payload, &m), 0);
    assert_true(m->set_id == set_id);
    assert_int_equal(m->encoding, encoding);
    struct block_shape shape = {m->encoding, coded_types,      CODED_COLUMNS, m->rows,
                                -1,          m->time_first_ns, starts};
    assert_int_equal(block_store_new(&store), 0);
    assert_int_equal(block_decode(&shape, wire_span(m->body), store, &b), 0);
    assert_int_equal(b->n_rows, CODED_ROWS);
    for (unsigned i = 0; i < CODED_ROWS; i++) {
        assert_true(b->time_ns[i] == r->time_ns[i]);
        assert_int_equal(b->columns[0].absent[i], r->absent[i]);
        assert_true(r->absent[i] || b->columns[0].f64[i] == r->temperature[i]);
        assert_true(fabs(b->columns[1].f64[i] - r->level[i]) <= coded_bounds[1]);
        assert_true(b->columns[2].i64[i] == r->strokes[i]);
        assert_int_equal(b->columns[2].quality[i], r->quality[i]);
        assert_true(b->columns[3].i64[i] == r->door[i]);
        assert_true(span_equal(b->columns[4].text[i], r->program[i]));
    }
    block_store_free(store);
}

static void the_first_coded_blocks_are_still_read(void **state)
{
    static struct coded_rows rows;
    struct span starts_of[CODED_COLUMNS];
    double bounds[CODED_COLUMNS];
    struct block_start_bytes bytes = {bounds, starts_of, {0}};
    struct block_starts *starts;
    Fogline__V1__DescriptorSet *set;
    Fogline__V1__Record **records;
    Fogline__V1__Up *up;
    uint64_t id;

    (void)state;
    coded_rows_init(&rows);
    assert_int_equal(wire_up_unpack(arena, capture("up-data-coded.bin"), &up), 0);
    assert_int_equal(up->data->stretches[0]->n_records, 1 + CODED_BLOCKS);
    records = up->data->stretches[0]->records;
    assert_int_equal(wire_descriptor_set_unpack(arena, wire_span(records[0]->payload), &set), 0);
    assert_int_equal(set->n_channels, CODED_COLUMNS);
    assert_true(set->time_start.len > 0 && set->channels[0]->start.len > 0);
    for (unsigned i = 0; i < CODED_COLUMNS; i++) {
        starts_of[i] = wire_span(set->channels[i]->start);
        bounds[i] = set->channels[i]->error_bound;
        assert_true(bounds[i] == coded_bounds[i]);
    }
    bytes.time = wire_span(set->time_start);
    assert_int_equal(block_starts_new(&starts, coded_types, CODED_COLUMNS, &bytes), 0);
    id = wire_descriptor_set_id(wire_span(records[0]->payload));
    check_coded(wire_span(records[1]->payload), id, BLOCK_ENCODING_FAST, starts, &rows);
    check_coded(wire_span(records[2]->payload), id, BLOCK_ENCODING_SMALL, starts, &rows);
    block_starts_free(starts);
}

static void the_first_state_is_still_read_with_its_mark(void **state)
{
    Fogline__V1__Down *down;
    Fogline__V1__State *s;
    Fogline__V1__MarkBody *mark;
    Fogline__V1__NodeList *nodes;
    struct buf input = {0};
    uint8_t mac[16];

    (void)state;
    assert_int_equal(wire_down_unpack(arena, capture("down-state.bin"), &down), 0);
    s = down->state;
    assert_int_equal(s->session, 5);
    assert_int_equal(s->windows->live_bytes, 1024 * 1024);
    assert_int_equal(s->windows->backlog_bytes, 0);
    assert_int_equal(s->lanes[0]->stored[3], 1000000);
    assert_int_equal(wire_mark_body_unpack(arena, wire_span(s->marks[0]->body), &mark), 0);
    assert_string_equal(mark->origin, "press-7");
    assert_int_equal(mark->archived[2], 43);
    assert_int_equal(mark->explained[1], 42);
    wire_mark_input(&input, wire_span(s->marks[0]->body));
    crypto_generichash(mac, sizeof mac, input.data, input.len, messages_mark_key, 32);
    assert_memory_equal(mac, s->marks[0]->mac.data, 16);
    buf_deinit(&input);
    assert_int_equal(wire_node_list_unpack(arena, wire_span(s->documents[0]->body), &nodes), 0);
    assert_true(nodes->nodes[1]->revoked);
}

/* What is written now is what was written then. A deliberate change of format makes new captures beside
 * these. */
static void messages_are_packed_as_they_were(void **state)
{
    static struct messages m;
    struct buf b = {0};

    (void)state;
    messages_init(&m);
    wire_pack(&b, &m.up_hello.base);
    assert_true(span_equal(span_of(b.data, b.len), capture("up-hello.bin")));
    buf_reset(&b);
    wire_pack(&b, &m.up_data.base);
    assert_true(span_equal(span_of(b.data, b.len), capture("up-data.bin")));
    buf_reset(&b);
    wire_pack(&b, &m.down.base);
    assert_true(span_equal(span_of(b.data, b.len), capture("down-state.bin")));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_hello_is_still_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_data_is_still_read_with_every_payload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_coded_blocks_are_still_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_state_is_still_read_with_its_mark, set_up, tear_down),
        cmocka_unit_test(messages_are_packed_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
