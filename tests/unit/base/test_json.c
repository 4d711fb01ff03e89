#include "base/json.h"
#include "cm.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    char *text;
    size_t len;
    FILE *out;
    struct json *j;
};

static void open_json(struct fixture *f, bool pretty)
{
    f->out = open_memstream(&f->text, &f->len);
    assert_non_null(f->out);
    assert_int_equal(json_new(&f->j, f->out, pretty), 0);
}

static void close_json(struct fixture *f)
{
    f->j = json_free(f->j);
    fclose(f->out);
    free(f->text);
}

static void lines_hold_every_kind_of_value(void **state)
{
    struct fixture f;

    (void)state;
    open_json(&f, false);
    json_object(f.j);
    json_kstr(f.j, "s", "x");
    json_kstr(f.j, "none", NULL);
    json_ki64(f.j, "min", INT64_MIN);
    json_ku64(f.j, "max", UINT64_MAX);
    json_kdouble(f.j, "d", 0.1);
    json_kbool(f.j, "yes", true);
    json_key(f.j, "list");
    json_array(f.j);
    json_i64(f.j, -1);
    json_null(f.j);
    json_bool(f.j, false);
    json_array_end(f.j);
    json_object_end(f.j);
    assert_int_equal(json_end(f.j), 0);
    json_array(f.j);
    json_array_end(f.j);
    assert_int_equal(json_end(f.j), 0);
    assert_string_equal(
        f.text, "{\"s\":\"x\",\"none\":null,\"min\":-9223372036854775808,"
                "\"max\":18446744073709551615,\"d\":0.1,\"yes\":true,\"list\":[-1,null,false]}\n[]\n");
    close_json(&f);
}

static void doubles_are_short_numbers_or_strings(void **state)
{
    struct fixture f;

    (void)state;
    open_json(&f, false);
    json_array(f.j);
    json_double(f.j, 1e23);
    json_double(f.j, -0.0);
    json_double(f.j, 5e-324);
    json_double(f.j, 1.0 / 3.0);
    json_double(f.j, (double)NAN);
    json_double(f.j, -(double)INFINITY);
    json_array_end(f.j);
    assert_int_equal(json_end(f.j), 0);
    assert_string_equal(f.text, "[1e23,-0.0,5e-324,0.3333333333333333,\"NaN\",\"-Infinity\"]\n");
    close_json(&f);
}

static void strings_are_escaped_and_mended(void **state)
{
    struct fixture f;

    (void)state;
    open_json(&f, false);
    json_array(f.j);
    json_str(f.j, "a\"b\\c\n\t\x01 \xc3\xa4 \xf0\x9f\x98\x80");
    json_str(f.j, "x\xff\xc3y\xed\xa0\x80z\xc0\xaf\xf5\xe2\x82");
    json_strn(f.j, "a\0b", 3);
    json_strn(f.j, "", 0);
    json_array_end(f.j);
    assert_int_equal(json_end(f.j), 0);
#define R "\xef\xbf\xbd"
    assert_string_equal(f.text, "[\"a\\\"b\\\\c\\n\\t\\u0001 \xc3\xa4 \xf0\x9f\x98\x80\",\"x" R R "y" R R R
                                "z" R R R R R "\",\"a\\u0000b\",\"\"]\n");
#undef R
    close_json(&f);
}

static void pretty_text_ends_with_one_newline(void **state)
{
    struct fixture f;

    (void)state;
    open_json(&f, true);
    for (int i = 0; i < 2; i++) {
        json_object(f.j);
        json_ki64(f.j, "a", 1);
        json_object_end(f.j);
        assert_int_equal(json_end(f.j), 0);
    }
    assert_string_equal(f.text, "{\n  \"a\": 1\n}\n{\n  \"a\": 1\n}\n");
    close_json(&f);
}

static void an_unfinished_value_is_reported(void **state)
{
    struct fixture f;

    (void)state;
    open_json(&f, false);
    json_object(f.j);
    assert_int_equal(json_end(f.j), -EINVAL);
    close_json(&f);
}

static void a_write_error_sticks(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    struct json *j;

    (void)state;
    assert_non_null(full);
    assert_int_equal(json_new(&j, full, false), 0);
    json_i64(j, 1);
    assert_int_equal(json_end(j), -ENOSPC);
    json_i64(j, 2);
    assert_int_equal(json_end(j), -ENOSPC);
    json_freep(&j);
    assert_null(j);
    json_freep(&j);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_hold_every_kind_of_value),
        cmocka_unit_test(doubles_are_short_numbers_or_strings),
        cmocka_unit_test(strings_are_escaped_and_mended),
        cmocka_unit_test(pretty_text_ends_with_one_newline),
        cmocka_unit_test(an_unfinished_value_is_reported),
        cmocka_unit_test(a_write_error_sticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
