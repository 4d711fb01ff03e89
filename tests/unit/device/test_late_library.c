/* Libraries that are loaded late: one that is not there, one that is too old, one that is right. */
#include "device/sources/late_library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct table {
    typeof(double(double)) *cos, *other;
};

static const struct late_function both[] = {{"cos", offsetof(struct table, cos)},
                                            {"a_function_of_next_year", offsetof(struct table, other)},
                                            {NULL, 0}};
static const struct late_function one[] = {{"cos", offsetof(struct table, cos)}, {NULL, 0}};

static void one_that_is_not_there_is_named_with_its_package(void **state)
{
    struct table table = {0};
    struct late_library l = {
        .file = "libfogline-none.so.7", .package = "libfogline-none7", .functions = one, .table = &table};

    (void)state;
    assert_non_null(late_library_load(&l));
    assert_non_null(strstr(l.why, "needs libfogline-none.so.7; install libfogline-none7"));
    assert_null(table.cos);
    /* It comes while the program runs. */
    l.file = "libm.so.6";
    assert_null(late_library_load(&l));
    assert_true(table.cos(0) == 1);
}

static void one_without_a_function_is_too_old(void **state)
{
    struct table table = {0};
    struct late_library l = {.file = "libm.so.6", .package = "libc6", .functions = both, .table = &table};

    (void)state;
    assert_string_equal(late_library_load(&l),
                        "libm.so.6 has no a_function_of_next_year; install a newer libc6");
    assert_false(l.is_loaded);
    assert_non_null(late_library_load(&l));
}

static void it_is_loaded_once(void **state)
{
    struct table table = {0};
    struct late_library l = {.file = "libm.so.6", .package = "libc6", .functions = one, .table = &table};

    (void)state;
    assert_null(late_library_load(&l));
    table.cos = NULL;
    assert_null(late_library_load(&l));
    assert_null(table.cos);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_not_there_is_named_with_its_package),
        cmocka_unit_test(one_without_a_function_is_too_old),
        cmocka_unit_test(it_is_loaded_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
