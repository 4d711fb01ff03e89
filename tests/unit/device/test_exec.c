/* The source `exec`: lines, and real programs that stop, flood, die and print garbage. */
#include "live.h"

#include "base/clock.h"
#include "base/log.h"
#include "device/sources/exec_child.h"
#include "device/sources/exec_lines.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    FAILED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED,
    RECOVERED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
    NOTE = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
};

/* ---- lines ---- */

static const char *parse(const char *line, struct exec_reading *r)
{
    static char copy[256];

    snprintf(copy, sizeof copy, "%s", line);
    return exec_line_parse(copy, strlen(copy), r);
}

static void a_line_is_a_channel_a_value_and_perhaps_a_time(void **state)
{
    struct exec_reading r;

    (void)state;
    assert_null(parse("tank.level 3.5", &r));
    assert_string_equal(r.channel, "tank.level");
    assert_memory_equal(r.value, "3.5", 3);
    assert_false(r.has_time);
    assert_null(parse("  a\t1   1600000000.25 \r", &r));
    assert_true(r.has_time && r.time_ns == INT64_C(1600000000250000000));
    assert_null(parse("mode \"a \\\"b\\\" \\\\\" 7", &r));
    assert_true(r.is_quoted && r.value_bytes == 7);
    assert_memory_equal(r.value, "a \"b\" \\", 7);
}

static void lines_that_are_no_readings_are_named_as_such(void **state)
{
    static const char *const lines[] = {"",         "a",      "a ",      "a/b 1",
                                        "a \"x",    "a \"\"", "a 1 now", "a 1 2 3",
                                        "a \"x\"y", "ä 1",    "a \"x\\", "hello, world 1 2"};
    struct exec_reading r;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (parse(lines[i], &r) == NULL)
            fail_msg("taken: %s", lines[i]);
    assert_non_null(exec_line_parse((char[]){"a \0001"}, 4, &r));
}

static void lines_are_cut_at_their_bound_wherever_the_reads_end(void **state)
{
    static char text[3 * EXEC_READ_BYTES];
    struct exec_lines l = {0};
    size_t bytes, done = 0, len = 0;
    unsigned n_short = 0, n_long = 0;
    bool too_long;
    int p[2];

    (void)state;
    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    for (unsigned i = 0; len < sizeof text - 3000; i++) {
        size_t n = i % 7 == 3 ? 2000 + i % 3 : i % 13;

        memset(text + len, 'x', n);
        text[len + n] = '\n';
        len += n + 1;
    }
    while (done < len) {
        size_t part = 1 + done % 1777;

        if (part > len - done)
            part = len - done;
        assert_int_equal(write(p[1], text + done, part), (ssize_t)part);
        done += part;
        assert_int_equal(exec_lines_read(&l, p[0]), 0);
        while (exec_lines_next(&l, &bytes, &too_long) != NULL) {
            n_long += too_long;
            n_short += !too_long;
            assert_int_equal(too_long ? bytes == EXEC_LINE_BYTES : bytes < 13, 1);
        }
    }
    assert_int_equal(exec_lines_read(&l, p[0]), EXEC_LINES_EMPTY);
    for (size_t i = 0, from = 0; i < len; i++)
        if (text[i] == '\n') {
            if (i - from > EXEC_LINE_BYTES)
                n_long--;
            else
                n_short--;
            from = i + 1;
        }
    assert_int_equal(n_long, 0);
    assert_int_equal(n_short, 0);
    close(p[0]);
    close(p[1]);
}

/* ---- programs ---- */

static void open_script(struct live *l, const char *script, const char *more)
{
    char yaml[1500];

    snprintf(yaml, sizeof yaml, "command:\n  - /bin/sh\n  - -c\n  - '%s'\n%s", script, more);
    live_open(l, &source_exec, yaml);
}

static double value(const struct live *l, uint32_t row)
{
    return l->recorder.rows[row].cells[0].f64;
}

static void a_program_gives_rows(void **state)
{
    struct live l;
    uint32_t i;

    (void)state;
    open_script(
        &l, "echo level 3.5; echo open true 1600000000.5; echo state \"\\\"at rest\\\"\"; exec sleep 1000",
        "");
    i = live_until_row(&l, "level", QUALITY_GOOD, 0);
    assert_true(value(&l, i) == 3.5);
    i = live_until_row(&l, "open", QUALITY_GOOD, 0);
    assert_true(l.recorder.rows[i].cells[0].i64 == 1);
    assert_true(l.recorder.rows[i].time_ns == INT64_C(1600000000500000000));
    live_until_row(&l, "state", QUALITY_GOOD, 0);
    assert_string_equal(l.recorder.text, "at rest");
    live_close(&l);
}

static void expected_channels_have_their_type_and_others_are_refused(void **state)
{
    struct live l;
    uint32_t i;

    (void)state;
    open_script(&l, "echo other 1; echo n 1.5; echo n 7; exec sleep 1000",
                "expect:\n  - name: n\n    type: int\n    unit: m\n");
    assert_int_equal(l.recorder.n_groups, 1); /* before anything was printed */
    i = live_until_row(&l, "n", QUALITY_GOOD, 0);
    assert_int_equal(l.recorder.first_types[0], COLUMN_INT64);
    assert_int_equal(l.recorder.rows[i].cells[0].i64, 7);
    assert_int_equal(l.recorder.n_rows, 1);
    assert_int_equal(l.recorder.n_events_of[NOTE], 1); /* of the two bad lines, once a minute */
    live_close(&l);
}

static void a_stopped_program_has_bad_quality_within_two_intervals(void **state)
{
    enum { INTERVAL_MS = 300 };
    int64_t stopped_ns, bad_after_ms;
    uint32_t i;
    struct live l;
    pid_t pid;

    (void)state;
    open_script(&l, "echo pid $$; while :; do echo a 1; sleep 0.05; done", "interval_ms: 300\n");
    pid = (pid_t)value(&l, live_until_row(&l, "pid", QUALITY_GOOD, 0));
    live_until_row(&l, "a", QUALITY_GOOD, 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    stopped_ns = clock_mono_ns(&clock_real);
    i = live_until_row(&l, "a", QUALITY_BAD, 0);
    bad_after_ms = (clock_mono_ns(&clock_real) - stopped_ns) / NS_PER_MS;
    print_message("stopped: bad after %lld ms, 2 intervals are %d ms\n", (long long)bad_after_ms,
                  2 * INTERVAL_MS);
    assert_true(isnan(value(&l, i)));
    assert_true(bad_after_ms <= 2 * INTERVAL_MS + 200); /* the machine's own delays */
    live_until_event(&l, FAILED, 1);
    assert_non_null(strstr(l.recorder.event_text, "no reading for 600 ms"));
    assert_int_equal(kill(pid, SIGCONT), 0);
    live_until_row(&l, "a", QUALITY_GOOD, i);
    assert_int_equal(l.recorder.n_events_of[FAILED], 1);
    assert_int_equal(l.recorder.n_events_of[RECOVERED], 1);
    live_close(&l);
}

static void a_program_that_ends_is_told_and_started_again(void **state)
{
    struct live l;
    uint32_t i;

    (void)state;
    open_script(&l, "echo a 1; printf \"a 2\"; exit 3", "restart_ms: 50 ms\nrestart_max_ms: 50 ms\n");
    i = live_until_row(&l, "a", QUALITY_BAD, 0);
    live_until_event(&l, FAILED, 1);
    assert_non_null(strstr(l.recorder.event_text, "exit code 3"));
    i = live_until_row(&l, "a", QUALITY_GOOD, i);
    live_until_event(&l, FAILED, 2);
    for (i = 0; i < l.recorder.n_rows; i++)
        assert_false(value(&l, i) == 2); /* half a line of a dead program is no reading */
    live_close(&l);
}

static void a_program_that_is_not_there_is_named_with_the_remedy(void **state)
{
    struct live l;

    (void)state;
    live_open(&l, &source_exec, "command: [/nowhere/reader, -v]\n");
    live_until_event(&l, FAILED, 1);
    assert_string_equal(l.recorder.event_text,
                        "there is no program /nowhere/reader; give its whole path or install it");
    live_close(&l);
}

static bool is_calm(const struct live *l, const void *ctx)
{
    (void)ctx;
    return strstr(l->recorder.event_text, "no more than it may again") != NULL;
}

static int64_t thread_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_THREAD, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

/* Nothing that others could notice: short steps, little of the processor, a bounded number of rows. */
static void a_flood_is_dropped_counted_and_told(void **state)
{
    int64_t used_us, began_ns, took_us;
    unsigned long long dropped = 0;
    struct live l;

    (void)state;
    open_script(&l, "yes \"a 1\" | head -n 200000; while :; do echo calm 1; sleep 0.02; done",
                "interval_ms: 100\nlines_max: 200\n");
    live_until_event(&l, NOTE, 1);
    assert_non_null(strstr(l.recorder.event_text, "more than 200 lines"));
    used_us = thread_us();
    began_ns = clock_mono_ns(&clock_real);
    l.slowest_step_ns = 0;
    l.recorder.n_rows = 0;
    live_until(&l, is_calm, NULL);
    took_us = (clock_mono_ns(&clock_real) - began_ns) / 1000;
    used_us = thread_us() - used_us;
    assert_int_equal(sscanf(strchr(l.recorder.event_text, ';'), "; %llu lines", &dropped), 1);
    print_message("flood: %llu dropped, %.1f %% of a processor, slowest step %lld us\n", dropped,
                  100.0 * (double)used_us / (double)took_us, (long long)l.slowest_step_ns / 1000);
    assert_true(dropped > 100000 && dropped < 200000);
    assert_true(used_us < took_us / 4);
    assert_int_equal(l.recorder.n_events_of[NOTE], 2);
    live_until_row(&l, "calm", QUALITY_GOOD, 0);
    live_close(&l);
}

static void garbage_is_no_reading_and_ends_as_silence(void **state)
{
    struct live l;

    (void)state;
    open_script(&l, "head -c 200000 /dev/urandom; while :; do head -c 100 /dev/zero; echo; sleep 0.01; done",
                "interval_ms: 100\n");
    live_until_event(&l, FAILED, 1);
    assert_int_equal(l.recorder.n_events_of[RECOVERED], 0);
    assert_true(l.recorder.n_events_of[NOTE] <= 3);
    live_close(&l);
}

static void await_end(pid_t pid)
{
    int64_t deadline_ns = clock_mono_ns(&clock_real) + LIVE_DEADLINE_S * NS_PER_S;
    int status;

    /* Orphans come to us, see main. The alarm ends a wait that would not. */
    alarm(LIVE_DEADLINE_S);
    while (waitpid(pid, &status, 0) < 0)
        if (errno == ECHILD && kill(pid, 0) != 0)
            break;
        else if (clock_mono_ns(&clock_real) > deadline_ns)
            fail_msg("process %d still lives", (int)pid);
    alarm(0);
}

static void closing_ends_the_program_and_what_it_started(void **state)
{
    pid_t own, other;
    struct live l;

    (void)state;
    open_script(&l, "trap \"\" TERM; sleep 1000 & echo other $!; echo own $$; wait; wait; sleep 1000", "");
    own = (pid_t)value(&l, live_until_row(&l, "own", QUALITY_GOOD, 0));
    other = (pid_t)value(&l, live_until_row(&l, "other", QUALITY_GOOD, 0));
    kill(own, SIGSTOP);
    live_close(&l);
    assert_int_equal(kill(own, 0), -1);
    await_end(other);
}

static void the_program_dies_with_us(void **state)
{
    pid_t us, pid = 0;
    int p[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    us = fork();
    if (us == 0) {
        struct live l;

        open_script(&l, "echo own $$; exec sleep 1000", "");
        pid = (pid_t)value(&l, live_until_row(&l, "own", QUALITY_GOOD, 0));
        if (write(p[1], &pid, sizeof pid) != sizeof pid)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(p[0], &pid, sizeof pid), sizeof pid);
    assert_int_equal(kill(us, SIGKILL), 0);
    await_end(us);
    await_end(pid);
    close(p[0]);
    close(p[1]);
}

static void the_program_inherits_nothing_of_ours(void **state)
{
    int fd = open("/dev/null", O_RDONLY); /* not close-on-exec */
    sigset_t set, before;
    struct live l;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &before);
    open_script(&l,
                "set -- $(ls /proc/self/fd); echo descriptors $#; "
                "sed -n \"s/^Sig\\(Blk\\|Ign\\):[[:space:]]*/\\1 0x/p\" /proc/self/status; exec sleep 1000",
                "");
    /* 0, 1, 2 and the folder that ls reads */
    assert_true(value(&l, live_until_row(&l, "descriptors", QUALITY_GOOD, 0)) == 4);
    live_until_row(&l, "Blk", QUALITY_GOOD, 0);
    assert_string_equal(l.recorder.text, "0x0000000000000000");
    live_until_row(&l, "Ign", QUALITY_GOOD, 0);
    assert_string_equal(l.recorder.text, "0x0000000000000000");
    live_close(&l);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fd);
}

static void the_program_stands_behind_us_for_the_processor(void **state)
{
    int ours = getpriority(PRIO_PROCESS, 0);
    struct live l;
    pid_t pid;

    (void)state;
    open_script(&l, "echo pid $$; exec sleep 1000", "");
    pid = (pid_t)value(&l, live_until_row(&l, "pid", QUALITY_GOOD, 0));
    assert_int_equal(sched_getscheduler(pid), SCHED_BATCH);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), ours + 5 > 19 ? 19 : ours + 5);
    live_close(&l);
}

static void the_program_does_not_speak_to_our_service_manager(void **state)
{
    struct live l;

    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/run/notify", 1), 0);
    assert_int_equal(setenv("OF_THE_SITE", "yes", 1), 0);
    open_script(&l, "echo notify \"${NOTIFY_SOCKET:-none}-$OF_THE_SITE\"; exec sleep 1000", "");
    live_until_row(&l, "notify", QUALITY_GOOD, 0);
    assert_string_equal(l.recorder.text, "none-yes");
    live_close(&l);
    unsetenv("NOTIFY_SOCKET");
}

/* A program that complains without end holds up neither itself nor us, and fills no log. */
static void stderr_is_taken_and_bounded(void **state)
{
    int before = dup(STDERR_FILENO), log_fd = memfd_create("log", MFD_CLOEXEC);
    static char text[1 << 20];
    unsigned n = 0;
    struct live l;
    ssize_t len;

    (void)state;
    dup2(log_fd, STDERR_FILENO);
    log_set_level(LOG_LEVEL_INFO);
    open_script(&l, "yes complaint | head -n 100000 >&2; echo done 1; exec sleep 1000", "");
    live_until_row(&l, "done", QUALITY_GOOD, 0);
    live_close(&l);
    log_set_level(LOG_LEVEL_ERROR);
    dup2(before, STDERR_FILENO);
    close(before);
    len = pread(log_fd, text, sizeof text - 1, 0);
    assert_true(len > 0);
    for (char *at = text; (at = strstr(at, "complaint")) != NULL; at++)
        n++;
    assert_int_equal(n, EXEC_STDERR_LINES);
    close(log_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_channel_a_value_and_perhaps_a_time),
        cmocka_unit_test(lines_that_are_no_readings_are_named_as_such),
        cmocka_unit_test(lines_are_cut_at_their_bound_wherever_the_reads_end),
        cmocka_unit_test(a_program_gives_rows),
        cmocka_unit_test(expected_channels_have_their_type_and_others_are_refused),
        cmocka_unit_test(a_stopped_program_has_bad_quality_within_two_intervals),
        cmocka_unit_test(a_program_that_ends_is_told_and_started_again),
        cmocka_unit_test(a_program_that_is_not_there_is_named_with_the_remedy),
        cmocka_unit_test(a_flood_is_dropped_counted_and_told),
        cmocka_unit_test(garbage_is_no_reading_and_ends_as_silence),
        cmocka_unit_test(closing_ends_the_program_and_what_it_started),
        cmocka_unit_test(the_program_dies_with_us),
        cmocka_unit_test(the_program_inherits_nothing_of_ours),
        cmocka_unit_test(the_program_stands_behind_us_for_the_processor),
        cmocka_unit_test(the_program_does_not_speak_to_our_service_manager),
        cmocka_unit_test(stderr_is_taken_and_bounded),
    };

    log_set_level(LOG_LEVEL_ERROR);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
