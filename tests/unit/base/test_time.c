/* Clocks, random numbers, backoff, log lines and the latch, notifications. */
#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "cm.h"
#include "lib/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void utc_text_cuts_trailing_zeros(void **state)
{
    char out[40];

    (void)state;
    assert_string_equal(clock_format_utc(0, out), "1970-01-01T00:00:00Z");
    assert_string_equal(clock_format_utc(INT64_C(1795213826123456789), out),
                        "2026-11-20T22:30:26.123456789Z");
    assert_string_equal(clock_format_utc(INT64_C(1795213826120000000), out), "2026-11-20T22:30:26.12Z");
    assert_string_equal(clock_format_utc(INT64_C(1795213826000000001), out),
                        "2026-11-20T22:30:26.000000001Z");
    assert_string_equal(clock_format_utc(-1, out), "1969-12-31T23:59:59.999999999Z");
    assert_string_equal(clock_format_utc(INT64_MAX, out), "2262-04-11T23:47:16.854775807Z");
    assert_string_equal(clock_format_utc(INT64_MIN, out), "1677-09-21T00:12:43.145224192Z");
}

static void clocks_say_what_they_are_told(void **state)
{
    struct clock_fake fake = {.wall_unix_ns = 5, .mono_ns = 7 * NS_PER_MS};
    struct clock clock = clock_fake_of(&fake);
    struct id128 boot = clock_boot_id(), again = clock_boot_id();
    int64_t error_us = -1, before;

    (void)state;
    assert_int_equal(clock_wall_unix_ns(&clock), 5);
    assert_int_equal(clock_mono_ms(&clock), 7);
    fake.mono_ns += NS_PER_S;
    assert_int_equal(clock_mono_ms(&clock), 1007);
    before = clock_mono_ns(&clock_real);
    assert_true(clock_mono_ns(&clock_real) >= before);
    assert_true(id128_equal(&boot, &again));
    clock_sync_state(&error_us);
    assert_true(error_us >= 0);
}

static void backoff_stays_within_its_bounds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct backoff b;
        int64_t limit_ms = 500;

        backoff_init(&b, 500, 30000, 100, seed);
        for (int i = 0; i < 200; i++) {
            int64_t ms = backoff_next_ms(&b);

            assert_true(ms >= 100 && ms <= limit_ms);
            limit_ms = limit_ms * 2 < 30000 ? limit_ms * 2 : 30000;
        }
        backoff_reset(&b);
        assert_true(backoff_next_ms(&b) <= 500);
    }
}

static void backoff_spreads_over_the_whole_range(void **state)
{
    struct backoff b;
    int n_low = 0, n_high = 0;

    (void)state;
    backoff_init(&b, 1000, 1000, 0, 3);
    for (int i = 0; i < 2000; i++) {
        int64_t ms = backoff_next_ms(&b);

        assert_true(ms >= 1);
        n_low += ms <= 100;
        n_high += ms > 900;
    }
    assert_true(n_low > 140 && n_low < 260);
    assert_true(n_high > 140 && n_high < 260);
    backoff_init(&b, INT64_MAX / 2, INT64_MAX, 0, 3);
    for (int i = 0; i < 200; i++)
        assert_true(backoff_next_ms(&b) >= 1);
}

static void normal_numbers_have_mean_0_and_deviation_1(void **state)
{
    struct rng r = {11};
    double sum = 0, squares = 0;
    int n = 200000;

    (void)state;
    for (int i = 0; i < n; i++) {
        double x = rng_normal(&r);

        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / n) < 0.02);
    assert_true(fabs(squares / n - 1) < 0.02);
}

static void a_latch_opens_once_a_minute_and_counts(void **state)
{
    struct log_latch l = {0};
    uint64_t held = 99;

    (void)state;
    assert_true(log_latch_open(&l, 0, &held));
    assert_int_equal(held, 0);
    for (int i = 1; i <= 10; i++)
        assert_false(log_latch_open(&l, i * NS_PER_S, &held));
    assert_int_equal(held, 0);
    assert_true(log_latch_open(&l, 61 * NS_PER_S, &held));
    assert_int_equal(held, 10);
    assert_false(log_latch_open(&l, 120 * NS_PER_S, &held));
    assert_true(log_latch_open(&l, 121 * NS_PER_S, &held));
    assert_int_equal(held, 1);
}

/* Runs `fn` with stderr in a file and returns what it wrote. */
static void capture(void (*fn)(void), char *out, size_t out_bytes)
{
    struct tmpdir dir;
    int saved = dup(STDERR_FILENO), fd;
    ssize_t n;

    tmpdir_init(&dir);
    fd = open(tmpdir_path(&dir, "log"), O_RDWR | O_CREAT, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    fn();
    dup2(saved, STDERR_FILENO);
    n = pread(fd, out, out_bytes - 1, 0);
    assert_true(n >= 0);
    out[n] = '\0';
    close(saved);
    close(fd);
    tmpdir_deinit(&dir);
}

static void write_two_lines(void)
{
    log_set_tag("device=pump-3");
    log_debug("hidden", "n=%d", 1);
    log_warn("link_down", "peer=%s why=%s", "fog-a", log_quote("a \"b\"\n\x01"));
    log_set_tag(NULL);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("shown", "raw=%s", "two\nlines");
    log_set_level(LOG_LEVEL_INFO);
}

static void a_log_line_starts_with_time_level_tag_event(void **state)
{
    char text[4096], *second;

    (void)state;
    capture(write_two_lines, text, sizeof text);
    assert_memory_equal(text, "ts=2", 4);
    assert_int_equal(strcspn(text, " "), strlen("ts=2026-11-20T22:30:26.123Z"));
    assert_int_equal(text[strlen("ts=2026-11-20T22:30:26.123")], 'Z');
    second = strchr(text, '\n') + 1;
    second[-1] = '\0';
    assert_string_equal(strchr(text, ' '),
                        " level=warn device=pump-3 event=link_down peer=fog-a why=\"a \\\"b\\\"\\n\\x01\"");
    assert_string_equal(strchr(second, ' '), " level=debug event=shown raw=two lines\n");
}

static void only_characters_reach_the_log(void **state)
{
    static const struct {
        const char *value, *quoted;
    } cases[] = {
        {"21 \xc2\xb0"
         "C \xe2\x82\xac",
         "\"21 \xc2\xb0"
         "C \xe2\x82\xac\""},
        {"\xc2\x9b"
         "2J\xff\x80",
         "\"\\xc2\\x9b2J\\xff\\x80\""}, /* a terminal takes U+009B for the begin of an order */
        {"cut \xe2\x82", "\"cut \\xe2\\x82\""},
    };
    char all[600] = "";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(log_quote(cases[i].value), cases[i].quoted);
    for (size_t i = 0; i + 4 < sizeof all; i += 4)
        memcpy(all + i, "\xf0\x9f\x98\x80", 5);
    assert_true(strlen(log_quote(all)) < 512);
}

static void write_raw_bytes(void)
{
    log_warn("raw", "text=%s", "\xc2\x9b\xff \xc3\xa4");
}

static void what_is_not_quoted_has_no_control_characters_either(void **state)
{
    char text[4096];

    (void)state;
    capture(write_raw_bytes, text, sizeof text);
    assert_string_equal(strstr(text, "text="), "text=    \xc3\xa4\n");
}

static void write_long_line(void)
{
    char text[3000];

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    log_error("long", "text=%s", text);
    log_error("long", "text=%s", log_quote(text));
}

static void a_log_line_is_never_longer_than_its_limit(void **state)
{
    char text[4096], *end;

    (void)state;
    capture(write_long_line, text, sizeof text);
    end = strchr(text, '\n');
    assert_non_null(end);
    assert_int_equal(end + 1 - text, 1024);
    assert_int_equal(text[strlen(text) - 2], '"');
    assert_true(strlen(end + 1) > 500 && strlen(end + 1) < 600);
}

static void notifications_reach_the_manager(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct tmpdir dir;
    owned(close_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    char text[64] = "", pid[24];

    (void)state;
    tmpdir_init(&dir);
    assert_true(strlen(tmpdir_path(&dir, "n")) < sizeof at.sun_path);
    strcpy(at.sun_path, dir.joined);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    assert_int_equal(recv(fd, text, sizeof text, 0), -1);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    notify_send("READY=1");
    assert_int_equal(recv(fd, text, sizeof text, 0), 7);
    assert_string_equal(text, "READY=1");
    unsetenv("NOTIFY_SOCKET");

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(notify_watchdog_interval_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_interval_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_interval_ms(), 0);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_interval_ms(), 15000);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(notify_watchdog_interval_ms(), 0);
    tmpdir_deinit(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utc_text_cuts_trailing_zeros),
        cmocka_unit_test(clocks_say_what_they_are_told),
        cmocka_unit_test(backoff_stays_within_its_bounds),
        cmocka_unit_test(backoff_spreads_over_the_whole_range),
        cmocka_unit_test(normal_numbers_have_mean_0_and_deviation_1),
        cmocka_unit_test(a_latch_opens_once_a_minute_and_counts),
        cmocka_unit_test(a_log_line_starts_with_time_level_tag_event),
        cmocka_unit_test(only_characters_reach_the_log),
        cmocka_unit_test(what_is_not_quoted_has_no_control_characters_either),
        cmocka_unit_test(a_log_line_is_never_longer_than_its_limit),
        cmocka_unit_test(notifications_reach_the_manager),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
