/* The source `modbus` on a serial line: a real slave behind a pseudo terminal, which answers, refuses,
 * answers too late, hangs, and goes away with its terminal and comes back as another one. */
#include "live.h"

#include "base/clock.h"
#include "base/log.h"
#include "tests/lib/process.h"
#include "tests/lib/tmpdir.h"
#include "wire/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    FAILED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED,
    RECOVERED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
};

static const char *server; /* program of the slave */

struct bench {
    struct tmpdir dir;
    char line[200]; /* the link to the terminal */
    struct process slave;
    struct live live;
};

static void start_slave(struct bench *b)
{
    if (!process_start(&b->slave, (char *[]){(char *)(uintptr_t)server, b->line, NULL}, "ready"))
        fail_msg("%s: %s", server, b->slave.said);
}

static void open_source(struct bench *b, const char *waits, const char *registers)
{
    char yaml[2000];

    snprintf(yaml, sizeof yaml, "serial: %s\nbaud: 115200\nunit_id: 3\n%sregisters:\n%s", b->line, waits,
             registers);
    live_open(&b->live, &source_modbus, yaml);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    tmpdir_init(&b->dir);
    snprintf(b->line, sizeof b->line, "%s", tmpdir_path(&b->dir, "line"));
    start_slave(b);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    process_kill(&b->slave, SIGKILL);
    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

static const char quick[] = "interval_ms: 300\ntimeout_ms: 200\nreconnect_ms: 20\nreconnect_max_ms: 100\n";

static const struct cell *cells(const struct bench *b, uint32_t row)
{
    return b->live.recorder.rows[row].cells;
}

static void registers_become_a_row(void **state)
{
    struct bench *b = *state;
    uint32_t i;

    open_source(b, quick,
                "  - {name: a, address: 0}\n  - {name: c, address: 2, type: f32}\n"
                "  - {name: in, kind: input, address: 10}\n  - {name: on, kind: coil, address: 3}\n"
                "  - {name: door, kind: discrete, address: 4}\n");
    i = live_until_row(&b->live, "a", QUALITY_GOOD, 0);
    assert_int_equal(cells(b, i)[0].i64, 1234);
    assert_true(cells(b, i)[1].f64 == 21.5);
    assert_int_equal(cells(b, i)[2].i64, 77);
    assert_int_equal(cells(b, i)[3].i64, 1);
    assert_int_equal(cells(b, i)[4].i64, 1);
    assert_int_equal(b->live.recorder.n_events, 0);
    live_close(&b->live);
}

static void a_refused_register_is_named_and_the_others_are_read(void **state)
{
    struct bench *b = *state;
    uint32_t i;

    open_source(b, quick, "  - {name: a, address: 0}\n  - {name: beyond, address: 100}\n");
    live_until_event(&b->live, FAILED, 1);
    assert_string_equal(b->live.recorder.event_channel, "beyond");
    assert_non_null(strstr(b->live.recorder.event_text, "holding register 100: Illegal data address"));
    i = live_until_row(&b->live, "a", QUALITY_GOOD, b->live.recorder.n_rows);
    assert_int_equal(cells(b, i)[1].quality, QUALITY_BAD);
    assert_int_equal(b->live.recorder.n_events, 1);
    live_close(&b->live);
}

static void a_slave_that_hangs_is_bad_and_holds_up_nobody(void **state)
{
    struct bench *b = *state;
    uint32_t i;

    open_source(b, quick, "  - {name: a, address: 0}\n  - {name: c, address: 2, type: f32}\n");
    i = live_until_row(&b->live, "a", QUALITY_GOOD, 0);
    kill(b->slave.pid, SIGSTOP);
    b->live.slowest_step_ns = 0;
    i = live_until_row(&b->live, "a", QUALITY_BAD, i);
    assert_int_equal(cells(b, i)[0].i64, 1234);
    assert_true(isnan(cells(b, i)[1].f64));
    live_until_event(&b->live, FAILED, 1);
    assert_non_null(strstr(b->live.recorder.event_text, "unit 3, holding register 0 (a): "));
    assert_non_null(strstr(b->live.recorder.event_text, "timed out"));
    assert_true(b->live.slowest_step_ns < 50 * NS_PER_MS);
    kill(b->slave.pid, SIGCONT);
    live_until_event(&b->live, RECOVERED, 1);
    live_until_row(&b->live, "a", QUALITY_GOOD, i);
    assert_int_equal(b->live.recorder.n_events, 2);
    live_close(&b->live);
}

/* On a serial line an answer does not say what it answers. */
static void an_answer_that_is_too_late_is_not_taken_for_another(void **state)
{
    struct bench *b = *state;
    uint32_t i;

    open_source(b, "interval_ms: 300\ntimeout_ms: 200\nreconnect_ms: 1 s\nreconnect_max_ms: 1 s\n",
                "  - {name: a, address: 0}\n  - {name: b, address: 4}\n");
    i = live_until_row(&b->live, "a", QUALITY_GOOD, 0);
    kill(b->slave.pid, SIGSTOP);
    live_until_event(&b->live, FAILED, 1);
    kill(b->slave.pid, SIGCONT); /* answers now, long before it is asked again */
    live_until_event(&b->live, RECOVERED, 1);
    i = live_until_row(&b->live, "a", QUALITY_GOOD, b->live.recorder.n_rows);
    for (uint32_t k = 0; k <= i; k++)
        if (cells(b, k)[1].quality == QUALITY_GOOD) {
            assert_int_equal(cells(b, k)[0].i64, 1234);
            assert_int_equal(cells(b, k)[1].i64, 0x2345);
        }
    live_close(&b->live);
}

static void a_line_that_is_gone_is_bad_until_it_is_back(void **state)
{
    struct bench *b = *state;
    uint32_t i = 0;

    open_source(b, quick, "  - {name: a, address: 0}\n");
    for (uint32_t round = 1; round <= 3; round++) {
        i = live_until_row(&b->live, "a", QUALITY_GOOD, i);
        process_kill(&b->slave, SIGKILL);
        i = live_until_row(&b->live, "a", QUALITY_BAD, i);
        live_until_event(&b->live, FAILED, round);
        start_slave(b);
        live_until_event(&b->live, RECOVERED, round);
        assert_int_equal(b->live.recorder.n_events, 2 * round);
    }
    live_until_row(&b->live, "a", QUALITY_GOOD, i);
    live_close(&b->live);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(registers_become_a_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_register_is_named_and_the_others_are_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slave_that_hangs_is_bad_and_holds_up_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_too_late_is_not_taken_for_another, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_line_that_is_gone_is_bad_until_it_is_back, set_up, tear_down),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: %s MODBUS_SERVER\n", argv[0]);
        return 2;
    }
    server = argv[1];
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
