/* The source `gpio` over lines that a test moves: edges, losses, lines that go and come back. */
#include "device/ctl_probe.h"
#include "device/device_config.h"
#include "device/gpio/gpio_watch.h"
#include "fake_gpio.h"
#include "gpio/gpio_name.h"
#include "recorder.h"

#include "base/clock.h"
#include "base/rng.h"
#include "wire/wire.h"

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WALL_NS (INT64_C(1700000000) * NS_PER_S)
/* So far ahead of the real clock that no timer set to the time of a test runs out. */
#define START_NS (INT64_C(1000000000) * NS_PER_S)

struct bench {
    void *self;
    struct recorder r;
    struct source_now now; /* the wall goes along with the monotonic clock */
};

static int open_gpio(struct bench *b, const char *yaml, struct errmsg *err)
{
    void *config = recorder_config(&source_gpio, yaml);
    struct source_open o = {.name = "s", .config = config, .run_dir = "/tmp"};
    int rc;

    recorder_init(&b->r);
    b->now = (struct source_now){WALL_NS, START_NS};
    b->self = NULL;
    rc = source_gpio.open(&o, &b->self, err);
    recorder_config_free(&source_gpio, config);
    return rc;
}

static void init(struct bench *b, const char *yaml)
{
    struct errmsg err = {""};

    if (open_gpio(b, yaml, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(source_gpio.declare(b->self, &b->r.sink), 0);
}

static void deinit(struct bench *b)
{
    source_gpio.close(b->self);
    recorder_deinit(&b->r);
}

/* A step at_ns behind the start. */
static void step(struct bench *b, int64_t at_ns)
{
    int64_t next;

    b->now = (struct source_now){WALL_NS + at_ns, START_NS + at_ns};
    assert_int_equal(source_gpio.step(b->self, &b->r.sink, &b->now, &next), 0);
}

static const struct recorded_row *last(const struct bench *b)
{
    assert_true(b->r.n_rows > 0);
    return &b->r.rows[b->r.n_rows - 1];
}

static bool is_readable(const struct bench *b)
{
    struct pollfd p = {source_gpio.fd(b->self), POLLIN, 0};

    return poll(&p, 1, 0) == 1;
}

#define MS(n) (INT64_C(n) * NS_PER_MS)

static void levels_are_read_on_ticks_in_one_row(void **state)
{
    struct bench b;

    (void)state;
    fake_gpio_init(true);
    fake_gpio_set(0, true, 0);
    init(&b, "interval_ms: 100\n"
             "lines:\n"
             "  - {chip: fake, line: L0, name: a}\n"
             "  - {chip: gpiochip0, line: 1, name: b, active_low: true, bias: pull_up}\n");
    assert_int_equal(b.r.n_groups, 1);
    assert_string_equal(b.r.names[1], "b");
    assert_int_equal(fake_gpio_at(1)->opened.bias, GPIO_BIAS_PULL_UP);
    assert_true(fake_gpio_at(1)->opened.active_low);
    assert_int_equal(fake_gpio_at(0)->opened.use, GPIO_INPUT);
    step(&b, 0);
    assert_int_equal(b.r.n_rows, 1);
    assert_true(last(&b)->time_ns == WALL_NS);
    assert_int_equal(last(&b)->cells[0].i64, 1);
    assert_int_equal(last(&b)->cells[1].i64, 1); /* low is active: turned round by the library */
    step(&b, MS(50));
    assert_int_equal(b.r.n_rows, 1);
    fake_gpio_set(0, false, 0);
    step(&b, MS(100));
    assert_int_equal(b.r.n_rows, 2);
    assert_int_equal(last(&b)->cells[0].i64, 0);
    deinit(&b);
    assert_null(fake_gpio_at(0)->line);
}

static void edges_have_rows_of_their_own_at_their_own_time(void **state)
{
    struct bench b;

    (void)state;
    fake_gpio_init(true);
    init(&b, "interval_ms: 1000\nlines:\n  - {line: L3, name: flow, mode: edges}\n");
    assert_int_equal(b.r.n_channels, GPIO_CELLS);
    assert_string_equal(b.r.names[GPIO_CELL_LEVEL], "flow");
    assert_string_equal(b.r.names[GPIO_CELL_COUNT], "flow.count");
    assert_string_equal(b.r.names[GPIO_CELL_WIDTH], "flow.width");
    assert_int_equal(b.r.types[GPIO_CELL_LEVEL], COLUMN_BOOL);
    assert_int_equal(b.r.types[GPIO_CELL_COUNT], COLUMN_INT64);
    step(&b, 0);
    assert_int_equal(b.r.n_rows, 1);
    assert_true(last(&b)->cells[GPIO_CELL_WIDTH].absent);
    assert_false(is_readable(&b));
    fake_gpio_set(3, true, START_NS + MS(10));
    assert_true(is_readable(&b));
    fake_gpio_set(3, false, START_NS + MS(30));
    step(&b, MS(31));
    assert_false(is_readable(&b));
    assert_int_equal(b.r.n_rows, 3);
    assert_true(b.r.rows[1].time_ns == WALL_NS + MS(10));
    assert_int_equal(b.r.rows[1].cells[GPIO_CELL_LEVEL].i64, 1);
    assert_int_equal(b.r.rows[1].cells[GPIO_CELL_COUNT].i64, 1);
    assert_true(last(&b)->time_ns == WALL_NS + MS(30));
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].i64, 0);
    assert_true(fabs(last(&b)->cells[GPIO_CELL_WIDTH].f64 - 0.02) < 1e-12);
    fake_gpio_set(3, true, START_NS + MS(510));
    step(&b, MS(1000));
    assert_int_equal(b.r.n_rows, 5); /* the edge, the tick */
    assert_true(last(&b)->time_ns == WALL_NS + MS(1000));
    assert_true(fabs(last(&b)->cells[GPIO_CELL_RATE].f64 - 2) < 1e-9);
    assert_int_equal(b.r.n_events, 0);
    deinit(&b);
}

static void a_burst_ends_by_the_timer(void **state)
{
    struct bench b;
    struct pollfd p;
    struct source_now real;
    int64_t next;

    (void)state;
    fake_gpio_init(true);
    init(&b, "interval_ms: 1000\nlines:\n  - {line: L0, name: a, mode: edges, debounce_ms: 20}\n");
    real = (struct source_now){WALL_NS, clock_mono_ns(&clock_real)};
    assert_int_equal(source_gpio.step(b.self, &b.r.sink, &real, &next), 0);
    b.r.n_rows = 0;
    real.mono_ns = clock_mono_ns(&clock_real);
    fake_gpio_set(0, true, real.mono_ns);
    assert_int_equal(source_gpio.step(b.self, &b.r.sink, &real, &next), 0);
    assert_int_equal(b.r.n_rows, 0);
    p = (struct pollfd){source_gpio.fd(b.self), POLLIN, 0};
    assert_int_equal(poll(&p, 1, 10 * 1000), 1);
    real.mono_ns = clock_mono_ns(&clock_real);
    assert_int_equal(source_gpio.step(b.self, &b.r.sink, &real, &next), 0);
    assert_true(b.r.n_rows >= 1); /* a tick may be behind it */
    assert_int_equal(b.r.rows[0].cells[GPIO_CELL_COUNT].i64, 1);
    assert_false(is_readable(&b));
    deinit(&b);
}

static void a_tick_in_a_burst_waits_for_its_end(void **state)
{
    struct bench b;

    (void)state;
    fake_gpio_init(true);
    init(&b, "interval_ms: 100\nlines:\n  - {line: L0, name: a, mode: edges, debounce_ms: 50}\n");
    step(&b, 0);
    fake_gpio_set(0, true, START_NS + MS(90));
    step(&b, MS(100));
    assert_int_equal(b.r.n_rows, 1);
    step(&b, MS(140));
    assert_int_equal(b.r.n_rows, 3); /* the edge, then the tick: a count never goes back */
    assert_true(b.r.rows[1].time_ns == WALL_NS + MS(90));
    assert_true(b.r.rows[2].time_ns == WALL_NS + MS(140));
    assert_int_equal(b.r.rows[2].cells[GPIO_CELL_COUNT].i64, 1);
    /* One that goes on past the next tick is told as what it is. */
    for (int i = 0; i < 12; i++) {
        fake_gpio_set(0, i % 2 == 1, START_NS + MS(190) + i * MS(20));
        step(&b, MS(190) + i * MS(20));
    }
    assert_int_equal(b.r.n_rows, 4);
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].quality, QUALITY_UNCERTAIN);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].quality, QUALITY_GOOD);
    assert_int_equal(b.r.n_events, 0);
    deinit(&b);
}

static void overflow(struct bench *b, bool numbers_edges, unsigned n_edges)
{
    fake_gpio_init(numbers_edges);
    init(b, "interval_ms: 1000\n"
            "lines:\n"
            "  - {line: L0, name: a, mode: edges}\n"
            "  - {line: L1, name: b, mode: edges}\n");
    step(b, 0);
    assert_int_equal(b->r.n_rows, 2);
    for (unsigned i = 0; i < n_edges; i++)
        fake_gpio_set(0, i % 2 == 0, START_NS + MS(10) + i);
    step(b, MS(20));
}

/* The rows of the tick: those of a, and b beside it. */
static void expect_tick(struct bench *b, int64_t at_ns, uint8_t quality_a)
{
    step(b, at_ns);
    for (unsigned i = 0; i < GPIO_CELLS; i++) {
        if (!b->r.rows[b->r.n_rows - 2].cells[i].absent)
            assert_int_equal(b->r.rows[b->r.n_rows - 2].cells[i].quality, quality_a);
        assert_int_equal(last(b)->cells[i].quality, QUALITY_GOOD);
    }
}

static void a_full_queue_makes_values_uncertain_and_one_event(void **state)
{
    struct bench b;

    (void)state;
    overflow(&b, false, 21);
    assert_int_equal(b.r.n_events, 1);
    assert_int_equal(b.r.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE);
    assert_string_equal(b.r.event_channel, "a");
    assert_non_null(strstr(b.r.event_text, "may have been lost"));
    /* 16 edges, then the level as it is: high, while the last edge in the queue led to low. */
    assert_int_equal(b.r.n_rows, 2 + 16 + 1);
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].i64, 1);
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].quality, QUALITY_UNCERTAIN);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].i64, 9);
    expect_tick(&b, MS(1000), QUALITY_UNCERTAIN);
    expect_tick(&b, MS(2000), QUALITY_GOOD);
    /* The same again soon: uncertain, but told already; after a quiet while it is news. */
    for (unsigned i = 0; i < 20; i++)
        fake_gpio_set(0, i % 2 == 1, START_NS + MS(2010) + i);
    expect_tick(&b, MS(3000), QUALITY_UNCERTAIN);
    assert_int_equal(b.r.n_events, 1);
    for (unsigned i = 0; i < 20; i++)
        fake_gpio_set(0, i % 2 == 1, START_NS + MS(100000) + i);
    expect_tick(&b, MS(100100), QUALITY_UNCERTAIN);
    assert_int_equal(b.r.n_events, 2);
    deinit(&b);
}

static void a_queue_that_was_just_not_full_is_no_loss(void **state)
{
    struct bench b;

    (void)state;
    overflow(&b, false, 15);
    assert_int_equal(b.r.n_events, 0);
    expect_tick(&b, MS(1000), QUALITY_GOOD);
    deinit(&b);
    overflow(&b, true, 16); /* numbers tell: exactly full */
    assert_int_equal(b.r.n_events, 0);
    expect_tick(&b, MS(1000), QUALITY_GOOD);
    deinit(&b);
}

static void a_gap_in_the_numbers_says_how_many_are_gone(void **state)
{
    struct bench b;

    (void)state;
    overflow(&b, true, 16);
    for (unsigned i = 0; i < 19; i++)
        fake_gpio_set(0, i % 2 == 0, START_NS + MS(30) + i);
    step(&b, MS(40));
    assert_int_equal(b.r.n_events, 1);
    assert_non_null(strstr(b.r.event_text, "3 edges were lost"));
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].i64, 1);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].quality, QUALITY_UNCERTAIN);
    expect_tick(&b, MS(1000), QUALITY_UNCERTAIN);
    expect_tick(&b, MS(2000), QUALITY_GOOD);
    deinit(&b);
}

static void the_first_edges_of_all_may_be_gone(void **state)
{
    struct bench b;

    (void)state;
    overflow(&b, true, 21);
    assert_int_equal(b.r.n_events, 1);
    assert_non_null(strstr(b.r.event_text, "5 edges were lost"));
    expect_tick(&b, MS(1000), QUALITY_UNCERTAIN);
    deinit(&b);
    /* What was before the level was read is in it. */
    fake_gpio_init(true);
    init(&b, "lines:\n  - {line: L0, name: a, mode: edges}\n");
    for (unsigned i = 0; i < 30; i++)
        fake_gpio_set(0, i % 2 == 0, START_NS - MS(10) + i);
    step(&b, 0);
    assert_int_equal(b.r.n_events, 0);
    assert_int_equal(b.r.n_rows, 1);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].i64, 0);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].quality, QUALITY_GOOD);
    deinit(&b);
}

static void edges_too_close_to_be_told_apart_are_a_loss(void **state)
{
    struct bench b;

    (void)state;
    overflow(&b, true, 2);
    fake_gpio_push(0, false, START_NS + MS(50)); /* it was high for less than an interrupt takes */
    fake_gpio_push(0, false, START_NS + MS(51));
    step(&b, MS(60));
    assert_int_equal(b.r.n_events, 1);
    assert_non_null(strstr(b.r.event_text, "2 edges were lost"));
    expect_tick(&b, MS(1000), QUALITY_UNCERTAIN);
    expect_tick(&b, MS(2000), QUALITY_GOOD);
    deinit(&b);
}

static void a_level_no_edge_led_to_is_noticed(void **state)
{
    struct bench b;

    (void)state;
    overflow(&b, true, 2);
    expect_tick(&b, MS(1000), QUALITY_GOOD);
    fake_gpio_at(0)->high = true; /* and no interrupt */
    expect_tick(&b, MS(2000), QUALITY_GOOD);
    assert_int_equal(b.r.n_events, 0); /* its edge may be on its way */
    expect_tick(&b, MS(3000), QUALITY_UNCERTAIN);
    assert_int_equal(b.r.n_events, 1);
    assert_int_equal(b.r.rows[b.r.n_rows - 2].cells[GPIO_CELL_LEVEL].i64, 1);
    expect_tick(&b, MS(4000), QUALITY_GOOD);
    deinit(&b);
}

static const char three_lines[] = "interval_ms: 1000\n"
                                  "lines:\n"
                                  "  - {line: L0, name: level}\n"
                                  "  - {line: L1, name: a, mode: edges}\n"
                                  "  - {line: L2, name: b, mode: edges}\n";

static void a_chip_that_vanishes_is_bad_and_others_go_on(void **state)
{
    struct bench b;
    const struct recorded_row *rows;

    (void)state;
    fake_gpio_init(true);
    init(&b, three_lines);
    step(&b, 0);
    fake_gpio_set(1, true, START_NS + MS(5));
    step(&b, MS(5));
    fake_gpio_pull_out(1);
    assert_true(is_readable(&b));
    b.r.n_rows = 0;
    step(&b, MS(10));
    assert_false(is_readable(&b)); /* no turning in circles */
    assert_int_equal(b.r.n_rows, 1);
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].quality, QUALITY_BAD);
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].i64, 1);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].i64, 1);
    assert_true(isnan(last(&b)->cells[GPIO_CELL_RATE].f64));
    assert_true(isnan(last(&b)->cells[GPIO_CELL_WIDTH].f64));
    assert_int_equal(b.r.n_events, 1);
    assert_int_equal(b.r.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED);
    assert_string_equal(b.r.event_channel, "a");
    fake_gpio_set(2, true, START_NS + MS(20));
    step(&b, MS(20));
    assert_int_equal(last(&b)->cells[GPIO_CELL_LEVEL].quality, QUALITY_GOOD);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].i64, 1);
    fake_gpio_at(1)->is_gone = false;
    fake_gpio_at(1)->high = false;
    b.r.n_rows = 0;
    step(&b, MS(1100));
    assert_int_equal(b.r.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED);
    assert_int_equal(b.r.n_events, 2);
    rows = b.r.rows;
    assert_int_equal(rows[0].cells[GPIO_CELL_COUNT].quality, QUALITY_UNCERTAIN);
    assert_int_equal(rows[0].cells[GPIO_CELL_COUNT].i64, 1); /* the count goes on */
    assert_int_equal(rows[0].cells[GPIO_CELL_LEVEL].i64, 0);
    assert_int_equal(rows[1].cells[GPIO_CELL_COUNT].quality, QUALITY_GOOD);
    fake_gpio_set(1, true, START_NS + MS(1200));
    step(&b, MS(1200));
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].i64, 2);
    assert_int_equal(last(&b)->cells[GPIO_CELL_COUNT].quality, QUALITY_GOOD);
    deinit(&b);
}

static void a_reader_hung_up_on_does_not_turn_in_circles(void **state)
{
    struct bench b;

    (void)state;
    fake_gpio_init(true);
    init(&b, three_lines);
    step(&b, 0);
    fake_gpio_pull_out(1);
    fake_gpio_at(1)->is_gone = false; /* reading says only that there is nothing */
    assert_true(is_readable(&b));
    step(&b, MS(10));
    assert_false(is_readable(&b));
    assert_int_equal(b.r.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED);
    assert_null(fake_gpio_at(1)->line);
    deinit(&b);
}

static void attempts_become_rarer(void **state)
{
    struct bench b;
    unsigned before;
    int64_t at;

    (void)state;
    fake_gpio_init(true);
    init(&b, three_lines);
    step(&b, 0);
    fake_gpio_pull_out(0); /* read on ticks only */
    fake_gpio_pull_out(1);
    for (at = 0; at < 600 * 1000; at += 500)
        step(&b, MS(1) * at);
    /* At 1, 3, 7, 15, 31, 63 s and then once a minute. */
    before = fake_gpio_at(1)->n_tries;
    assert_in_range(before, 1 + 6 + 7, 1 + 6 + 9);
    assert_in_range(fake_gpio_at(0)->n_tries, 1 + 6 + 7, 1 + 6 + 9);
    assert_int_equal(b.r.n_events, 2);
    /* Back, and gone again at once: not every second from now on. */
    fake_gpio_at(1)->is_gone = false;
    for (at = 600 * 1000; at < 700 * 1000 && fake_gpio_at(1)->line == NULL; at += 500)
        step(&b, MS(1) * at);
    assert_int_equal(b.r.n_events, 3);
    assert_non_null(fake_gpio_at(1)->line);
    fake_gpio_pull_out(1);
    before = fake_gpio_at(1)->n_tries;
    for (int64_t end = at + 55 * 1000; at < end; at += 500)
        step(&b, MS(1) * at);
    assert_int_equal(b.r.n_events, 4);
    assert_int_equal(fake_gpio_at(1)->n_tries, before);
    deinit(&b);
}

static int no_room(void *ctx, const struct source_event *e)
{
    (void)ctx;
    (void)e;
    return SINK_FULL;
}

static void what_could_not_be_told_is_told_later(void **state)
{
    struct bench b;
    int (*take_event)(void *ctx, const struct source_event *e);

    (void)state;
    fake_gpio_init(true);
    init(&b, three_lines);
    step(&b, 0);
    fake_gpio_pull_out(1);
    take_event = b.r.sink.event;
    b.r.sink.event = no_room;
    step(&b, MS(10));
    assert_int_equal(b.r.n_events, 0);
    b.r.sink.event = take_event;
    step(&b, MS(20));
    assert_int_equal(b.r.n_events, 1);
    assert_int_equal(b.r.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED);
    deinit(&b);
}

static void a_line_in_use_at_the_start_is_waited_for(void **state)
{
    struct bench b;

    (void)state;
    fake_gpio_init(true);
    fake_gpio_at(1)->is_busy = true;
    init(&b, three_lines);
    step(&b, 0);
    assert_int_equal(b.r.n_events, 1);
    assert_non_null(strstr(b.r.event_text, "in use by \"other\""));
    assert_int_equal(b.r.n_rows, 3);
    assert_true(b.r.rows[0].cells[GPIO_CELL_LEVEL].absent);
    assert_true(b.r.rows[0].cells[GPIO_CELL_COUNT].absent);
    assert_int_equal(b.r.rows[0].cells[GPIO_CELL_RATE].quality, QUALITY_BAD);
    fake_gpio_at(1)->is_busy = false;
    step(&b, MS(2000));
    assert_int_equal(b.r.n_events, 2);
    assert_int_equal(b.r.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED);
    deinit(&b);
}

static void what_cannot_be_is_refused_at_the_start(void **state)
{
    struct bench b;
    struct errmsg err;

    (void)state;
    fake_gpio_init(true);
    assert_int_equal(open_gpio(&b, "lines:\n  - {chip: fake, line: L99, name: a}\n", &err), -ENOENT);
    assert_non_null(strstr(err.text, "chip fake, line L99"));
    assert_non_null(strstr(err.text, "gpioinfo"));
    recorder_deinit(&b.r);
    assert_int_equal(open_gpio(&b,
                               "lines:\n"
                               "  - {chip: fake, line: L1, name: b, mode: edges}\n"
                               "  - {chip: gpiochip9, line: 4, name: a}\n",
                               &err),
                     -ENODEV);
    assert_non_null(strstr(err.text, "chip gpiochip9, line 4"));
    assert_null(fake_gpio_at(1)->line);
    recorder_deinit(&b.r);
}

/* Many lines at once: each has what it was given, whatever the others do. */
static void every_line_counts_its_own(void **state)
{
    static char yaml[FAKE_GPIO_LINES * 80];
    bool high[FAKE_GPIO_LINES] = {false};
    int64_t counts[FAKE_GPIO_LINES] = {0}, at = 0;
    struct rng rng = {4};
    struct bench b;
    size_t len;

    (void)state;
    fake_gpio_init(true);
    len = (size_t)snprintf(yaml, sizeof yaml, "interval_ms: 100\nlines:\n");
    for (unsigned i = 0; i < FAKE_GPIO_LINES; i++)
        len += (size_t)snprintf(yaml + len, sizeof yaml - len,
                                "  - {line: L%u, name: n%u, mode: edges, active_low: %s}\n", i, i,
                                i % 3 == 0 ? "true" : "false");
    init(&b, yaml);
    assert_int_equal(b.r.n_groups, FAKE_GPIO_LINES);
    step(&b, 0);
    for (unsigned i = 0; i < 2000; i++) {
        for (uint64_t k = rng_below(&rng, 10); k > 0; k--) {
            unsigned no = (unsigned)rng_below(&rng, FAKE_GPIO_LINES);

            at += 1 + (int64_t)rng_below(&rng, 1000);
            high[no] = !high[no];
            counts[no] += high[no] != (no % 3 == 0);
            fake_gpio_set(no, high[no], START_NS + at);
        }
        b.r.n_rows = 0;
        step(&b, at + 1);
    }
    b.r.n_rows = 0;
    step(&b, at / MS(100) * MS(100) + MS(100));
    assert_int_equal(b.r.n_rows, FAKE_GPIO_LINES);
    for (unsigned i = 0; i < FAKE_GPIO_LINES; i++) {
        assert_int_equal(b.r.rows[i].group, i);
        assert_int_equal(b.r.rows[i].cells[GPIO_CELL_COUNT].i64, counts[i]);
        assert_int_equal(b.r.rows[i].cells[GPIO_CELL_LEVEL].i64, high[i] != (i % 3 == 0));
    }
    assert_int_equal(b.r.n_events, 0);
    deinit(&b);
}

/* ---- which chip ---- */

/* Of four chips: both 1 and 2 have FLOW and the label "twin", 2 alone DOOR; 3 may not be opened. */
static int look_at_four(const struct gpio_line_options *o, const char *path)
{
    static const char *const labels[] = {"soc", "twin", "twin", "locked"};
    int no = path[strlen(path) - 1] - '0';
    char name[16];

    if (no == 3)
        return -EACCES;
    snprintf(name, sizeof name, "gpiochip%d", no);
    if (!gpio_chip_matches(o->chip, name, labels[no]))
        return -ENODEV;
    if (strcmp(o->line, "FLOW") == 0)
        return no > 0 ? 0 : -ENOENT;
    return no == 2 && strcmp(o->line, "DOOR") == 0 ? 0 : -ENOENT;
}

static int find_of_four(const char *chip, const char *line, const char **ret_path, struct errmsg *err)
{
    char *paths[] = {(char *)"/dev/gpiochip0", (char *)"/dev/gpiochip1", (char *)"/dev/gpiochip2",
                     (char *)"/dev/gpiochip3"};
    struct gpio_line_options o = {.chip = chip, .line = line};
    char who[GPIO_WHO_BYTES] = "";
    int rc = gpio_chips_find(&(struct gpio_chips){paths, 4}, &o, look_at_four, ret_path, who);

    return rc != 0 ? gpio_line_explain(err, rc, &o, who) : 0;
}

static void a_line_that_two_chips_have_wants_its_chip(void **state)
{
    const char *path = "";
    struct errmsg err = {""};

    (void)state;
    assert_int_equal(find_of_four("", "FLOW", &path, &err), -ENOTUNIQ);
    assert_string_equal(err.text, "GPIO chip any, line FLOW: /dev/gpiochip1 and /dev/gpiochip2 have it: set "
                                  "`chip` to one of them");
    assert_int_equal(find_of_four("twin", "FLOW", &path, &err), -ENOTUNIQ);
    assert_int_equal(find_of_four("gpiochip1", "FLOW", &path, &err), 0);
    assert_string_equal(path, "/dev/gpiochip1");
    assert_int_equal(find_of_four("", "DOOR", &path, &err), 0);
    assert_string_equal(path, "/dev/gpiochip2");
    assert_int_equal(find_of_four("twin", "DOOR", &path, &err), 0);
    assert_string_equal(path, "/dev/gpiochip2");
}

static void a_line_that_no_chip_has_is_told_with_what_stood_in_the_way(void **state)
{
    const char *path = "";
    struct errmsg err = {""};

    (void)state;
    assert_int_equal(find_of_four("", "VALVE", &path, &err), -EACCES); /* it may be on the locked one */
    assert_int_equal(find_of_four("soc", "VALVE", &path, &err), -ENOENT);
    assert_int_equal(find_of_four("gpiochip7", "VALVE", &path, &err), -EACCES);
}

/* ---- configuration ---- */

/* Loads a device with this list of sources; the problems as text. */
static int load(const char *sources, char *out, size_t out_bytes)
{
    static struct device_tier tier;
    char *yaml = NULL;
    struct config_problems problems = {0};
    struct device_config config;
    struct config_text text = {.name = "device.yaml"};
    FILE *f = fmemopen(out, out_bytes, "w");
    int rc;

    assert_true(asprintf(&yaml, "node: n\nsite: s\nsources:\n%s", sources) > 0);
    text.text = span_str(yaml);
    assert_int_equal(device_tier_init(&tier, NULL, NULL, &(struct errmsg){""}), 0);
    assert_non_null(f);
    rc = config_load_text(&tier.schema, &text, &config, &problems);
    config_problems_print(&problems, f);
    fclose(f);
    config_problems_deinit(&problems);
    config_free_values(&tier.schema, &config);
    free(yaml);
    return rc;
}

static void wrong_lines_are_named_with_a_remedy(void **state)
{
    static const struct {
        const char *line, *place, *message;
    } cases[] = {
        {"{line: 3, name: a}", "sources[0].lines[0].line", "set `chip` too"},
        {"{line: L1, name: a, debounce_ms: 5}", "sources[0].lines[0].debounce_ms", "Set mode: edges"},
        {"{line: L1, name: a, mode: edges, debounce_ms: 2 s}", "sources[0].lines[0].debounce_ms",
         "longer than interval_ms"},
        {"{line: L1, name: a, mode: edges}\n      - {line: L2, name: a.rate}", "sources[0].lines[1].name",
         "is a channel of line a"},
        {"{line: L1, name: a}\n      - {line: L1, name: b}", "sources[0].lines[1].line", "named twice"},
        {"{line: L1, name: a}\n      - {line: L2, name: a}", "lines[1].name", ""},
        {"{line: L1, name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff, mode: edges}",
         "sources[0].lines[0].name", "at most 58 characters"},
        {"{line: L1, name: a, mode: egdes}", "sources[0].lines[0].mode", "edges"},
        {"{name: a}", "sources[0].lines[0].line", ""},
    };
    char yaml[500], out[4000];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(yaml, sizeof yaml, "  - type: gpio\n    name: g\n    lines:\n      - %s\n", cases[i].line);
        assert_int_equal(load(yaml, out, sizeof out), CONFIG_BAD);
        if (strstr(out, "device.yaml:") == NULL || strstr(out, cases[i].place) == NULL ||
            strstr(out, cases[i].message) == NULL)
            fail_msg("case %zu says: %s", i, out);
    }
    assert_int_equal(load("  - type: gpio\n    name: g\n    lines: []\n", out, sizeof out), CONFIG_BAD);
    assert_int_equal(load("  - type: gpio\n    name: g\n    lines:\n"
                          "      - {line: L1, name: a, mode: edges, debounce_ms: 20}\n"
                          "      - {chip: fake, line: 2, name: b}\n",
                          out, sizeof out),
                     0);
}

static void what_probe_lists_can_be_pasted(void **state)
{
    struct probe_options o = {.root = ""};
    char listing[32 * 1024] = "", problems[4000];
    FILE *f = fmemopen(listing, sizeof listing, "w");
    struct errmsg err = {""};

    (void)state;
    fake_gpio_init(true);
    assert_non_null(f);
    assert_int_equal(probe_gpio(&o, f, &err), 4);
    fclose(f);
    if (load(listing, problems, sizeof problems) != 0)
        fail_msg("%s%s", problems, listing);
    assert_non_null(strstr(listing, "chip: \"fake\"\n        line: \"L63\""));
    assert_non_null(strstr(listing, "# line 65 \"L65\": free; a source takes 64 lines"));
    /* Two chips have this label, two lines this name; and a number is no name. */
    assert_null(strstr(listing, "chip: \"twin\""));
    assert_non_null(strstr(listing, "name: line1\n        chip: \"gpiochip1\"\n        line: 1\n"));
    assert_non_null(strstr(listing, "line: 5\n"));
    assert_non_null(strstr(listing, "active_low: true"));
    assert_non_null(strstr(listing, "# line 3 \"KEY\": in use by \"GPIO Key?- x\""));
    assert_non_null(strstr(listing, "# line 4 \"LED\": an output"));
    assert_null(strstr(listing, "name: gpiochip3"));
    o.root = "/some/tree";
    assert_int_equal(probe_gpio(&o, stderr, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_read_on_ticks_in_one_row),
        cmocka_unit_test(edges_have_rows_of_their_own_at_their_own_time),
        cmocka_unit_test(a_burst_ends_by_the_timer),
        cmocka_unit_test(a_tick_in_a_burst_waits_for_its_end),
        cmocka_unit_test(a_full_queue_makes_values_uncertain_and_one_event),
        cmocka_unit_test(a_queue_that_was_just_not_full_is_no_loss),
        cmocka_unit_test(a_gap_in_the_numbers_says_how_many_are_gone),
        cmocka_unit_test(the_first_edges_of_all_may_be_gone),
        cmocka_unit_test(edges_too_close_to_be_told_apart_are_a_loss),
        cmocka_unit_test(a_level_no_edge_led_to_is_noticed),
        cmocka_unit_test(a_chip_that_vanishes_is_bad_and_others_go_on),
        cmocka_unit_test(a_reader_hung_up_on_does_not_turn_in_circles),
        cmocka_unit_test(attempts_become_rarer),
        cmocka_unit_test(what_could_not_be_told_is_told_later),
        cmocka_unit_test(a_line_in_use_at_the_start_is_waited_for),
        cmocka_unit_test(what_cannot_be_is_refused_at_the_start),
        cmocka_unit_test(every_line_counts_its_own),
        cmocka_unit_test(a_line_that_two_chips_have_wants_its_chip),
        cmocka_unit_test(a_line_that_no_chip_has_is_told_with_what_stood_in_the_way),
        cmocka_unit_test(wrong_lines_are_named_with_a_remedy),
        cmocka_unit_test(what_probe_lists_can_be_pasted),
    };

    return cmocka_run_group_tests_name("gpio", tests, NULL, NULL);
}
