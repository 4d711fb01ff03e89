/* The thread for readings that may block, with reads that do what a test says. */
#include "recorder.h"

#include "base/clock.h"
#include "device/sources/reader.h"
#include "wire/wire.h"

#include <math.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { INTERVAL_MS = 150, DEADLINE_MS = 10000 };

/* Shared by a test and the thread. */
struct sensor {
    atomic_int reads;
    atomic_bool hangs;    /* the next read waits for a byte in the pipe */
    atomic_int rows_each; /* rows and events of one read */
    atomic_int events_each;
    atomic_int events_refused;
    int pipe[2];
    sem_t freed;
};

static const struct source_channel channels[2] = {{"t", "Cel", COLUMN_DOUBLE}, {"n", "", COLUMN_INT64}};

static void shape(const void *ctx, uint32_t group, struct source_group *ret_group)
{
    (void)ctx;
    assert_int_equal(group, 0);
    *ret_group = (struct source_group){channels, 2};
}

static void read_sensor(void *ctx, struct source_reader *r, const struct source_now *tick)
{
    struct sensor *s = ctx;
    int n = atomic_fetch_add(&s->reads, 1);
    struct cell cells[2] = {{.f64 = 20.5 + n}, {.i64 = n}};
    char byte;

    (void)tick;
    if (atomic_load(&s->hangs) && read(s->pipe[0], &byte, 1) != 1)
        return;
    for (int i = 0; i < atomic_load(&s->events_each); i++)
        if (!source_reader_event(r, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, 0, "t", "event %d", i))
            atomic_fetch_add(&s->events_refused, 1);
    for (int i = 0; i < atomic_load(&s->rows_each); i++)
        source_reader_row(r, 0, cells);
}

static void free_sensor(void *ctx)
{
    struct sensor *s = ctx;

    sem_post(&s->freed);
}

struct bench {
    struct sensor sensor;
    struct recorder recorder;
    struct source_reader *reader;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct source_reader_options o = {.what = "sensor",
                                      .interval_ns = INTERVAL_MS * NS_PER_MS,
                                      .n_groups = 1,
                                      .cells_max = 2,
                                      .ctx = &b->sensor,
                                      .read = read_sensor,
                                      .shape = shape,
                                      .free = free_sensor};

    b->sensor.rows_each = 1;
    assert_int_equal(pipe(b->sensor.pipe), 0);
    assert_int_equal(sem_init(&b->sensor.freed, 0, 0), 0);
    recorder_init(&b->recorder);
    assert_int_equal(source_reader_new(&b->reader, &o), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    b->reader = source_reader_close(b->reader);
    close(b->sensor.pipe[0]);
    close(b->sensor.pipe[1]);
    sem_destroy(&b->sensor.freed);
    recorder_deinit(&b->recorder);
    free(b);
    return 0;
}

static void release(struct bench *b)
{
    atomic_store(&b->sensor.hangs, false);
    assert_int_equal(write(b->sensor.pipe[1], "x", 1), 1);
}

/* As the act thread would: steps when the reader is readable or due, until there are `rows` rows and `events`
 * events. Returns the longest time a step took. */
static int64_t run_until(struct bench *b, uint32_t rows, uint32_t events)
{
    int64_t deadline_ns = clock_mono_ns(&clock_real) + DEADLINE_MS * NS_PER_MS, longest_ns = 0;

    while (b->recorder.n_rows < rows || b->recorder.n_events < events) {
        struct source_now now = {clock_wall_unix_ns(&clock_real), clock_mono_ns(&clock_real)};
        struct pollfd p = {source_reader_fd(b->reader), POLLIN, 0};
        int64_t next_ns, took_ns;

        source_reader_step(b->reader, &b->recorder.sink, &now, &next_ns);
        took_ns = clock_mono_ns(&clock_real) - now.mono_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        assert_true(now.mono_ns < deadline_ns);
        assert_true(next_ns > now.mono_ns);
        if (b->recorder.n_rows >= rows && b->recorder.n_events >= events)
            break;
        poll(&p, 1, (int)((next_ns - now.mono_ns) / NS_PER_MS + 1));
    }
    return longest_ns;
}

static void rows_come_at_the_interval(void **state)
{
    struct bench *b = *state;
    const struct recorded_row *row = b->recorder.rows;

    assert_int_equal(source_reader_start(b->reader), 0);
    run_until(b, 5, 0);
    assert_int_equal(b->recorder.n_groups, 1);
    assert_string_equal(b->recorder.names[0], "t");
    assert_true(row[0].cells[0].f64 == 20.5 && row[4].cells[0].f64 == 24.5);
    assert_int_equal(row[4].cells[1].i64, 4);
    /* The first at once, the others a whole number of intervals apart; the clock of the wall may be set while
     * the test runs, so only that they go on is certain. */
    assert_true(row[4].time_ns > row[1].time_ns);
    assert_int_equal(b->recorder.n_events, 0);
}

static void a_read_that_hangs_makes_bad_rows_and_one_event(void **state)
{
    struct bench *b = *state;
    const struct recorded_row *row;

    assert_int_equal(source_reader_start(b->reader), 0);
    run_until(b, 2, 0);
    atomic_store(&b->sensor.hangs, true);
    run_until(b, 0, 1);
    assert_int_equal(b->recorder.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED);
    assert_non_null(strstr(b->recorder.event_text, "sensor gives no answer"));
    assert_true(run_until(b, b->recorder.n_rows + 4, 0) < NS_PER_S);
    assert_int_equal(b->recorder.n_events, 1);
    row = &b->recorder.rows[b->recorder.n_rows - 1];
    assert_true(isnan(row->cells[0].f64));
    assert_int_equal(row->cells[0].quality, QUALITY_BAD);
    assert_int_equal(row->cells[1].quality, QUALITY_BAD);
    assert_false(row->cells[1].absent); /* the last value */
    assert_true(row->time_ns > row[-1].time_ns);

    release(b);
    run_until(b, 0, 2);
    assert_int_equal(b->recorder.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED);
    run_until(b, b->recorder.n_rows + 2, 0);
    row = &b->recorder.rows[b->recorder.n_rows - 1];
    assert_int_equal(row->cells[0].quality, QUALITY_GOOD);
    assert_int_equal(b->recorder.n_events, 2);
}

static void a_group_declared_early_has_bad_rows_when_the_first_read_hangs(void **state)
{
    struct bench *b = *state;

    atomic_store(&b->sensor.hangs, true);
    assert_int_equal(source_reader_declare(b->reader, 0, &b->recorder.sink), 0);
    assert_int_equal(source_reader_start(b->reader), 0);
    run_until(b, 2, 1);
    assert_int_equal(b->recorder.n_groups, 1);
    assert_int_equal(b->recorder.rows[0].cells[0].quality, QUALITY_BAD);
    assert_true(b->recorder.rows[0].cells[1].absent);
    release(b);
}

static void a_thread_that_is_stuck_does_not_hold_up_the_end(void **state)
{
    struct bench *b = *state;
    struct timespec until;
    int64_t before_ns;

    atomic_store(&b->sensor.hangs, true);
    assert_int_equal(source_reader_start(b->reader), 0);
    run_until(b, 0, 1);
    before_ns = clock_mono_ns(&clock_real);
    b->reader = source_reader_close(b->reader);
    assert_true(clock_mono_ns(&clock_real) - before_ns < 5 * READER_CLOSE_MS * NS_PER_MS);
    assert_int_equal(sem_trywait(&b->sensor.freed), -1); /* not taken from under the thread */
    release(b);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_MS / 1000;
    assert_int_equal(sem_timedwait(&b->sensor.freed, &until), 0);
}

static void a_thread_that_waits_for_its_tick_ends_at_once(void **state)
{
    struct bench *b = *state;
    int64_t before_ns;

    assert_int_equal(source_reader_start(b->reader), 0);
    run_until(b, 1, 0);
    before_ns = clock_mono_ns(&clock_real);
    b->reader = source_reader_close(b->reader);
    assert_true(clock_mono_ns(&clock_real) - before_ns < READER_CLOSE_MS * NS_PER_MS);
    assert_int_equal(sem_trywait(&b->sensor.freed), 0);
}

static void what_finds_no_room_is_counted_and_told(void **state)
{
    struct bench *b = *state;
    const char *note = "sensor lost";

    atomic_store(&b->sensor.rows_each, 100);
    atomic_store(&b->sensor.events_each, 60);
    assert_int_equal(source_reader_start(b->reader), 0);
    while (b->recorder.n_events == 0 || strncmp(b->recorder.event_text, note, strlen(note)) != 0)
        run_until(b, 0, b->recorder.n_events + 1);
    assert_true(atomic_load(&b->sensor.events_refused) > 0);
}

static int refuse_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    (void)ctx, (void)g, (void)ret_group;
    return -EUSERS;
}

static void a_group_that_is_refused_costs_its_rows_and_one_event(void **state)
{
    struct bench *b = *state;

    b->recorder.sink.group = refuse_group;
    assert_int_equal(source_reader_start(b->reader), 0);
    run_until(b, 0, 1);
    while (atomic_load(&b->sensor.reads) < 8) {
        struct pollfd p = {source_reader_fd(b->reader), POLLIN, 0};
        struct source_now now = {clock_wall_unix_ns(&clock_real), clock_mono_ns(&clock_real)};
        int64_t next_ns;

        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
        source_reader_step(b->reader, &b->recorder.sink, &now, &next_ns);
    }
    assert_int_equal(b->recorder.n_events, 1);
    assert_non_null(strstr(b->recorder.event_text, "4096 channels with settings"));
    assert_int_equal(b->recorder.n_rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_come_at_the_interval, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_that_hangs_makes_bad_rows_and_one_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_declared_early_has_bad_rows_when_the_first_read_hangs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_thread_that_is_stuck_does_not_hold_up_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_that_waits_for_its_tick_ends_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_finds_no_room_is_counted_and_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_that_is_refused_costs_its_rows_and_one_event, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
