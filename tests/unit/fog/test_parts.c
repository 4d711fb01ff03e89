/* The pieces of a fog that need no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fog/fog_config.h"
#include "fog/letters.h"
#include "fog/marks.h"

#include <stdio.h>
#include <string.h>

static void the_schema_is_sound(void **state)
{
    struct errmsg err = {""};

    (void)state;
    if (config_schema_check(&fog_schema, &err) != 0)
        fail_msg("%s", err.text);
}

enum { OUT = 2 * MARKS_PER_LANE };

struct shelf {
    struct marks *marks;
    struct wire_arena *arena;
    struct spool_stream stream;
};

static int shelf_setup(void **state)
{
    static struct shelf s;

    s = (struct shelf){.stream = {.origin = "pump-1", .epoch = {{1, 2, 3}}}};
    *state = &s;
    return marks_new(&s.marks) == 0 && wire_arena_new(&s.arena, 1 << 20) == 0 ? 0 : -1;
}

static int shelf_teardown(void **state)
{
    struct shelf *s = *state;

    marks_free(s->marks);
    wire_arena_free(s->arena);
    return 0;
}

static void put(struct shelf *s, const char *origin, uint64_t from, uint64_t to, uint8_t tell)
{
    Fogline__V1__MarkBody body = FOGLINE__V1__MARK_BODY__INIT;
    Fogline__V1__Mark mark = FOGLINE__V1__MARK__INIT;
    uint8_t bytes[3] = {tell, 1, 2}, mac[16] = {tell};

    body.origin = (char *)origin;
    body.epoch = wire_bytes(span_of(s->stream.epoch.bytes, ID128_BYTES));
    body.from = from;
    body.to = to;
    mark.key_id = 1;
    mark.body = wire_bytes(span_of(bytes, sizeof(bytes)));
    mark.mac = wire_bytes(span_of(mac, sizeof(mac)));
    assert_int_equal(marks_put(s->marks, &body, &mark), 0);
}

static size_t get(struct shelf *s, uint64_t from, uint64_t to, Fogline__V1__Mark **out)
{
    return marks_get(s->marks, &s->stream, 0, (struct interval){from, to}, s->arena, out, OUT);
}

static void a_mark_comes_back_byte_for_byte(void **state)
{
    struct shelf *s = *state;
    Fogline__V1__Mark *out[OUT];

    put(s, "pump-1", 1, 10, 7);
    assert_int_equal(get(s, 5, 6, out), 1);
    assert_int_equal(out[0]->key_id, 1);
    assert_int_equal(out[0]->body.len, 3);
    assert_int_equal(out[0]->body.data[0], 7);
    assert_int_equal(out[0]->mac.len, 16);
    assert_int_equal(out[0]->mac.data[0], 7);
    assert_int_equal(get(s, 11, 20, out), 0);
    assert_int_equal(marks_get(s->marks, &s->stream, 1, (struct interval){1, 10}, s->arena, out, OUT), 0);
}

static void a_wider_mark_replaces_what_it_covers(void **state)
{
    struct shelf *s = *state;
    Fogline__V1__Mark *out[OUT];

    put(s, "pump-1", 5, 10, 1);
    put(s, "pump-1", 20, 30, 2);
    put(s, "pump-1", 4, 12, 3);
    assert_int_equal(get(s, 1, 100, out), 2);
    assert_int_equal(out[0]->body.data[0], 3);
    assert_int_equal(out[1]->body.data[0], 2);
}

static void the_newest_few_are_kept(void **state)
{
    struct shelf *s = *state;
    Fogline__V1__Mark *out[OUT];

    for (uint8_t i = 1; i <= 20; i++)
        put(s, "pump-1", i * 10u, i * 10u + 5, i);
    assert_int_equal(get(s, 1, 1000, out), MARKS_PER_LANE);
    assert_int_equal(out[0]->body.data[0], 20);
    assert_int_equal(out[MARKS_PER_LANE - 1]->body.data[0], 20 - MARKS_PER_LANE + 1);
}

static void marks_of_forgotten_streams_go(void **state)
{
    struct shelf *s = *state;
    Fogline__V1__Mark *out[OUT];

    put(s, "pump-1", 1, 10, 1);
    put(s, "pump-2", 1, 10, 2);
    marks_drop(s->marks, &s->stream);
    assert_int_equal(get(s, 1, 10, out), 0);
    assert_int_equal(marks_count(s->marks), 1);
}

static void room_is_made_for_the_newest_stream(void **state)
{
    struct shelf *s = *state;
    Fogline__V1__Mark *out[OUT];
    char origin[32];

    put(s, "pump-1", 1, 10, 1);
    for (int i = 0; i < MARKS_STREAMS_MAX; i++) {
        snprintf(origin, sizeof(origin), "other-%d", i);
        put(s, origin, 1, 10, 2);
    }
    assert_int_equal(marks_count(s->marks), MARKS_STREAMS_MAX);
    assert_int_equal(get(s, 1, 10, out), 0);
}

static Fogline__V1__Document document(const char *target, uint64_t version)
{
    static uint8_t bytes[64];
    Fogline__V1__Document d = FOGLINE__V1__DOCUMENT__INIT;

    d.kind = (char *)"command";
    d.target = (char *)target;
    d.version = version;
    d.body = wire_bytes(span_of(bytes, 10));
    d.signature = wire_bytes(span_of(bytes, 64));
    return d;
}

static void letters_are_given_in_order_above_what_is_held(void **state)
{
    struct shelf *s = *state;
    struct letters l = {0};
    Fogline__V1__Document d3 = document("pump-1", 3), d2 = document("pump-1", 2), d4 = document("pump-2", 4),
                          *out[8];
    Fogline__V1__DocumentVersion held = FOGLINE__V1__DOCUMENT_VERSION__INIT, *held_at[] = {&held};
    Fogline__V1__Hello hello = FOGLINE__V1__HELLO__INIT;

    held.kind = (char *)"command";
    held.version = 2;
    hello.documents = held_at;
    assert_int_equal(letters_put(&l, &d3), 0);
    assert_int_equal(letters_put(&l, &d2), 0);
    assert_int_equal(letters_put(&l, &d4), 0);
    assert_int_equal(letters_put(&l, &d3), 0);
    assert_int_equal(l.n, 3);
    assert_int_equal(letters_for(&l, "pump-1", &hello, s->arena, out, 8), 2);
    assert_int_equal(out[0]->version, 2);
    assert_int_equal(out[1]->version, 3);
    hello.n_documents = 1;
    assert_int_equal(letters_for(&l, "pump-1", &hello, s->arena, out, 8), 1);
    assert_int_equal(out[0]->version, 3);
    assert_int_equal(out[0]->signature.len, 64);
    assert_string_equal(out[0]->target, "pump-1");
    assert_int_equal(letters_for(&l, "pump-3", &hello, s->arena, out, 8), 0);
    letters_deinit(&l);
}

static void letters_are_bounded(void **state)
{
    struct letters l = {0};

    (void)state;
    for (uint64_t i = 1; i <= LETTERS_MAX + 10; i++) {
        Fogline__V1__Document d = document("pump-1", i);
        assert_int_equal(letters_put(&l, &d), 0);
    }
    assert_int_equal(l.n, LETTERS_MAX);
    letters_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_is_sound),
        cmocka_unit_test_setup_teardown(a_mark_comes_back_byte_for_byte, shelf_setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(a_wider_mark_replaces_what_it_covers, shelf_setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(the_newest_few_are_kept, shelf_setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(marks_of_forgotten_streams_go, shelf_setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(room_is_made_for_the_newest_stream, shelf_setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(letters_are_given_in_order_above_what_is_held, shelf_setup,
                                        shelf_teardown),
        cmocka_unit_test_setup_teardown(letters_are_bounded, shelf_setup, shelf_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
