/* The arena, interval lists and digests. */
#include "messages.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

static void an_arena_gives_exactly_its_cap(void **state)
{
    struct wire_arena *a;
    size_t i;

    (void)state;
    assert_int_equal(wire_arena_new(&a, 1024), 0);
    assert_null(wire_arena_alloc(a, 1025));
    for (i = 0; i < 128; i++) {
        uint8_t *p = wire_arena_alloc(a, 5);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 8, 0);
        memset(p, 0xff, 5);
    }
    assert_null(wire_arena_alloc(a, 1));
    assert_non_null(wire_arena_alloc(a, 0));
    wire_arena_reset(a);
    assert_non_null(wire_arena_alloc(a, 1024));
    wire_arena_reset(a);
    assert_null(wire_arena_alloc(a, SIZE_MAX));
    assert_null(wire_arena_alloc(a, SIZE_MAX - 6));
    assert_null(wire_arena_free(a));
    assert_null(wire_arena_free(NULL));
}

static void interval_lists_must_ascend_without_touching_twice(void **state)
{
    (void)state;
    assert_true(wire_bounds_ok(NULL, 0, 4));
    assert_true(wire_bounds_ok((uint64_t[]){1, 1}, 2, 1));
    assert_true(wire_bounds_ok((uint64_t[]){1, 4, 5, 9}, 4, 2));
    assert_false(wire_bounds_ok((uint64_t[]){1, 4, 5, 9}, 4, 1));
    assert_false(wire_bounds_ok((uint64_t[]){1, 4, 4, 9}, 4, 2));
    assert_false(wire_bounds_ok((uint64_t[]){5, 9, 1, 4}, 4, 2));
    assert_false(wire_bounds_ok((uint64_t[]){0, 4}, 2, 2));
    assert_false(wire_bounds_ok((uint64_t[]){4, 3}, 2, 2));
    assert_false(wire_bounds_ok((uint64_t[]){4, 5, 6}, 3, 2));
    assert_true(wire_bounds_ok((uint64_t[]){4, SEQ_COUNT_MAX}, 2, 2));
    assert_false(wire_bounds_ok((uint64_t[]){4, SEQ_COUNT_MAX + 1}, 2, 2));
}

static void bounds_are_cut_to_the_range_and_the_maximum(void **state)
{
    struct interval_set s = {0}, back = {0};
    struct wire_arena *a;
    uint64_t *b;
    size_t n;
    bool cut;

    (void)state;
    assert_int_equal(wire_arena_new(&a, 256), 0);
    assert_int_equal(wire_bounds_add_to(&s, (uint64_t[]){2, 5, 8, 9, 20, 30}, 6), 0);
    b = wire_bounds_of(a, &s, 4, 25, 64, &n, &cut);
    assert_int_equal(n, 6);
    assert_false(cut);
    assert_memory_equal(b, ((uint64_t[]){4, 5, 8, 9, 20, 25}), 6 * sizeof *b);
    b = wire_bounds_of(a, &s, 1, 100, 2, &n, &cut);
    assert_int_equal(n, 4);
    assert_true(cut);
    assert_memory_equal(b, ((uint64_t[]){2, 5, 8, 9}), 4 * sizeof *b);
    assert_null(wire_bounds_of(a, &s, 10, 19, 64, &n, &cut));
    assert_int_equal(n, 0);
    assert_false(cut);
    wire_arena_reset(a);
    b = wire_bounds_of(a, &s, 1, 100, 64, &n, NULL);
    assert_int_equal(wire_bounds_add_to(&back, b, n), 0);
    assert_true(interval_set_equal(&s, &back));
    assert_non_null(wire_arena_alloc(a, 256 - 48));
    assert_null(wire_bounds_of(a, &s, 1, 100, 64, &n, &cut)); /* full: nothing said, and said so */
    assert_int_equal(n, 0);
    assert_true(cut);
    interval_set_deinit(&s);
    interval_set_deinit(&back);
    wire_arena_free(a);
}

/* The example of proto/README.md. */
static void authenticators_are_made_over_the_documented_layout(void **state)
{
    static const char tag_hex[] = "666f676c696e652f7461672f763100"
                                  "027031"
                                  "101112131415161718191a1b1c1d1e1f"
                                  "0300000000000001"
                                  "02000000"
                                  "03000000"
                                  "616263";
    static const char document_hex[] = "666f676c696e652f646f63756d656e742f763100"
                                       "056e6f646573"
                                       "00"
                                       "0700000000000000"
                                       "02000000"
                                       "6869";
    struct buf b = {0}, head = {0};
    struct id128 epoch;
    char hex[256];
    size_t i;

    (void)state;
    for (i = 0; i < 16; i++)
        epoch.bytes[i] = (uint8_t)(0x10 + i);
    wire_tag_input(&b, "p1", &epoch, seq_make(1, 3), 2, span_str("abc"));
    sodium_bin2hex(hex, sizeof hex, b.data, b.len);
    assert_string_equal(hex, tag_hex);
    wire_tag_head(&head, "p1", &epoch, seq_make(1, 3), 2, 3);
    assert_int_equal(head.len + 3, b.len);
    assert_memory_equal(head.data, b.data, head.len);
    buf_reset(&b);
    wire_document_input(&b, "nodes", "", 7, span_str("hi"));
    sodium_bin2hex(hex, sizeof hex, b.data, b.len);
    assert_string_equal(hex, document_hex);
    buf_reset(&b);
    wire_mark_input(&b, span_str("body"));
    assert_true(span_equal(span_of(b.data, b.len), span_of("fogline/mark/v1\0body", 20)));
    buf_deinit(&b);
    buf_deinit(&head);
}

static void a_descriptor_set_is_named_by_its_bytes(void **state)
{
    (void)state;
    /* BLAKE2b-256 of the empty string begins 0e 57 51 c0 26 e5 43 b2. */
    assert_int_equal(wire_descriptor_set_id(span_of("", 0)), UINT64_C(0xb243e526c051570e));
    assert_int_not_equal(wire_descriptor_set_id(span_str("a")), wire_descriptor_set_id(span_str("b")));
}

static void ids_have_sixteen_bytes_or_none(void **state)
{
    uint8_t sixteen[16] = {1, 2, 3};
    struct id128 id;

    (void)state;
    assert_true(wire_id128(wire_bytes(span_of(sixteen, 16)), &id));
    assert_memory_equal(id.bytes, sixteen, 16);
    assert_false(wire_id128(wire_bytes(span_of(sixteen, 15)), &id));
    assert_false(wire_id128(wire_bytes(span_of(NULL, 0)), &id));
}

static void a_full_buffer_says_so_instead_of_cutting(void **state)
{
    struct messages *m = malloc(sizeof *m);
    struct buf b = {.cap_bytes = 20};

    (void)state;
    assert_non_null(m);
    messages_init(m);
    wire_pack(&b, &m->up_hello.base);
    assert_int_not_equal(b.error, 0);
    assert_int_equal(b.len, 0);
    buf_deinit(&b);
    free(m);
}

static void every_fault_has_a_word(void **state)
{
    int f;

    (void)state;
    for (f = WIRE_OK; f <= WIRE_INVALID; f++)
        assert_string_not_equal(wire_fault_name((enum wire_fault)f), "unknown");
    assert_string_equal(wire_fault_name((enum wire_fault)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_gives_exactly_its_cap),
        cmocka_unit_test(interval_lists_must_ascend_without_touching_twice),
        cmocka_unit_test(bounds_are_cut_to_the_range_and_the_maximum),
        cmocka_unit_test(authenticators_are_made_over_the_documented_layout),
        cmocka_unit_test(a_descriptor_set_is_named_by_its_bytes),
        cmocka_unit_test(ids_have_sixteen_bytes_or_none),
        cmocka_unit_test(a_full_buffer_says_so_instead_of_cutting),
        cmocka_unit_test(every_fault_has_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
