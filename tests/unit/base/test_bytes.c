#include "base/bytes.h"
#include "base/id.h"
#include "base/rng.h"
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void integers_survive_a_round_trip(void **state)
{
    struct buf b = {0};
    struct reader r;

    (void)state;
    buf_u8(&b, 0xab);
    buf_le16(&b, 0x1234);
    buf_le32(&b, 0x12345678);
    buf_le64(&b, UINT64_C(0x123456789abcdef0));
    buf_be32(&b, 0x12345678);
    buf_be64(&b, UINT64_C(0x123456789abcdef0));
    assert_int_equal(b.error, 0);
    assert_int_equal(b.len, 27);
    assert_memory_equal(b.data, "\xab\x34\x12\x78\x56\x34\x12", 7);
    assert_memory_equal(b.data + 15, "\x12\x34\x56\x78\x12\x34", 6);
    r = reader_of(span_of(b.data, b.len));
    assert_int_equal(reader_u8(&r), 0xab);
    assert_int_equal(reader_le16(&r), 0x1234);
    assert_int_equal(reader_le32(&r), 0x12345678);
    assert_true(reader_le64(&r) == UINT64_C(0x123456789abcdef0));
    assert_int_equal(reader_be32(&r), 0x12345678);
    assert_true(reader_be64(&r) == UINT64_C(0x123456789abcdef0));
    assert_false(r.bad);
    assert_int_equal(reader_left(&r), 0);
    buf_deinit(&b);
}

static void reading_past_the_end_yields_zeros_and_sticks(void **state)
{
    const uint8_t data[3] = {1, 2, 3};
    struct reader r = reader_of(span_of(data, 3));

    (void)state;
    assert_int_equal(reader_le32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(reader_u8(&r), 0); /* even though a byte would be left */
    assert_null(reader_take(&r, 0));
    r = reader_of(span_of(data, 3));
    assert_null(reader_take(&r, SIZE_MAX));
    assert_true(r.bad);
    r = reader_of(span_of(NULL, 0));
    assert_int_equal(reader_varint(&r), 0);
    assert_true(r.bad);
}

static void varints_survive_a_round_trip(void **state)
{
    struct rng rng = {5};
    struct buf b = {0};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t v = i == 0 ? 0 : i == 1 ? UINT64_MAX : rng_u64(&rng) >> rng_below(&rng, 64);
        struct reader r;

        buf_reset(&b);
        buf_varint(&b, v);
        r = reader_of(span_of(b.data, b.len));
        assert_true(reader_varint(&r) == v);
        assert_false(r.bad);
        assert_int_equal(reader_left(&r), 0);
        r = reader_of(span_of(b.data, b.len - 1));
        assert_true(reader_varint(&r) == 0);
        assert_true(r.bad);
    }
    buf_deinit(&b);
}

static void overlong_varints_are_bad(void **state)
{
    const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    const uint8_t over[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    struct reader r = reader_of(span_of(eleven, sizeof eleven));

    (void)state;
    assert_int_equal(reader_varint(&r), 0);
    assert_true(r.bad);
    r = reader_of(span_of(over, sizeof over));
    assert_int_equal(reader_varint(&r), 0);
    assert_true(r.bad);
}

static void random_reads_never_leave_the_span(void **state)
{
    struct rng rng = {6};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = rng_below(&rng, 24);
        uint8_t *data = malloc(len + 1); /* on the heap, where sanitizers watch the end */
        struct reader r = reader_of(span_of(data, len));

        assert_non_null(data);
        for (size_t k = 0; k < len; k++)
            data[k] = (uint8_t)rng_u64(&rng);
        while (!r.bad && reader_left(&r) > 0) {
            switch (rng_below(&rng, 6)) {
            case 0:
                reader_u8(&r);
                break;
            case 1:
                reader_le16(&r);
                break;
            case 2:
                reader_be32(&r);
                break;
            case 3:
                reader_le64(&r);
                break;
            case 4:
                reader_varint(&r);
                break;
            default:
                reader_take(&r, rng_below(&rng, 8));
            }
            assert_true(r.at <= data + len);
        }
        free(data);
    }
}

static void a_full_buffer_keeps_its_first_error(void **state)
{
    struct buf b = {.cap_bytes = 10};

    (void)state;
    buf_append(&b, "12345678", 8);
    buf_u8(&b, '9');
    buf_printf(&b, "%c", '0');
    assert_int_equal(b.error, 0);
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "1234567890", 10);
    buf_u8(&b, 'x');
    assert_int_equal(b.error, -EMSGSIZE);
    assert_int_equal(b.len, 10);
    assert_null(buf_grow(&b, 0));
    buf_reset(&b);
    assert_int_equal(b.error, 0);
    assert_null(buf_grow(&b, SIZE_MAX));
    assert_int_equal(b.error, -EMSGSIZE);
    buf_deinit(&b);
    buf_deinit(&b);
}

static void printf_grows_the_buffer(void **state)
{
    struct buf b = {0};
    char want[8000] = "";
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        buf_printf(&b, "%d,", i);
        len += (size_t)snprintf(want + len, sizeof want - len, "%d,", i);
    }
    assert_int_equal(b.error, 0);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.data, want, len);
    buf_deinit(&b);
}

static void ids_have_one_text_form(void **state)
{
    struct id128 a = id128_random(), b = id128_random(), back;
    char hex[ID128_HEX_CHARS + 1];

    (void)state;
    assert_false(id128_equal(&a, &b));
    assert_false(id128_is_zero(&a));
    id128_hex(&a, hex);
    assert_true(id128_from_hex(hex, &back));
    assert_true(id128_equal(&a, &back));
    assert_false(id128_from_hex("", &back));
    assert_false(id128_from_hex("00112233445566778899aabbccddeef", &back));
    assert_false(id128_from_hex("00112233445566778899aabbccddeeff0", &back));
    assert_false(id128_from_hex("00112233445566778899aabbccddeefg", &back));
    assert_true(id128_equal(&a, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_survive_a_round_trip),
        cmocka_unit_test(reading_past_the_end_yields_zeros_and_sticks),
        cmocka_unit_test(varints_survive_a_round_trip),
        cmocka_unit_test(overlong_varints_are_bad),
        cmocka_unit_test(random_reads_never_leave_the_span),
        cmocka_unit_test(a_full_buffer_keeps_its_first_error),
        cmocka_unit_test(printf_grows_the_buffer),
        cmocka_unit_test(ids_have_one_text_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
