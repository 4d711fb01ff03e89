/* The schedule of sources on a hand-moved clock, and what happens when the ring is full. */
#include "device/act.h"

#include "proto/record.pb-c.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* A source of one int64 channel, driven by the test. */
struct fake {
    int64_t interval_ms;
    bool replayable;
    uint32_t group;
    int64_t n;     /* rows given */
    int64_t limit; /* of a replay */
    int error;     /* of the next steps */
    int refusal;   /* of its group */
    int64_t steps, last_mono_ns;
    int refusals;    /* that it was given so far; the third writes to tell_fd */
    int64_t tell_at; /* 0, or the step that writes to tell_fd */
    int tell_fd;
    long sleeps_before, sleeps; /* of the thread: up to step 1, up to step tell_at */
};

static int fake_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    (void)o;
    (void)ret_self;
    (void)err;
    return -ENOSYS; /* the test brings opened ones */
}

static void fake_close(void *self)
{
    ((struct fake *)self)->limit = -1; /* seen by the test */
}

static int fake_declare(void *self, const struct source_sink *sink)
{
    struct fake *f = self;
    static const struct source_channel channel = {"n", "", COLUMN_INT64};
    struct source_group group = {&channel, 1};
    uint64_t one = 1;

    if (f->refusal != 0) {
        if (++f->refusals == 3 && f->tell_fd != 0)
            assert_int_equal(write(f->tell_fd, &one, sizeof one), sizeof one);
        return f->refusal;
    }
    return sink->group(sink->ctx, &group, &f->group);
}

static int64_t fake_interval(const void *self)
{
    return ((const struct fake *)self)->interval_ms;
}

static bool fake_replayable(const void *self)
{
    return ((const struct fake *)self)->replayable;
}

static int give(struct fake *f, const struct source_sink *sink, const struct source_now *now)
{
    struct cell cell = {.i64 = f->n};
    struct source_position position = {{(uint64_t)f->n + 1}};
    struct source_row row = {.group = f->group,
                             .time_ns = now->wall_unix_ns,
                             .cells = &cell,
                             .n_cells = 1,
                             .position = f->replayable ? &position : NULL};
    int rc = sink->row(sink->ctx, &row);

    if (rc == 0 || !f->replayable)
        f->n++;
    return rc;
}

static long sleeps_of_thread(void)
{
    struct rusage r;

    assert_int_equal(getrusage(RUSAGE_THREAD, &r), 0);
    return r.ru_nvcsw;
}

static void tell_step(struct fake *f)
{
    uint64_t one = 1;

    if (f->steps == 1)
        f->sleeps_before = sleeps_of_thread();
    if (f->steps != f->tell_at)
        return;
    f->sleeps = sleeps_of_thread();
    assert_int_equal(write(f->tell_fd, &one, sizeof one), sizeof one);
}

static int fake_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct fake *f = self;

    f->steps++;
    f->last_mono_ns = now->mono_ns;
    if (f->tell_at != 0)
        tell_step(f);
    if (f->error != 0)
        return f->error;
    if (!f->replayable) {
        give(f, sink, now);
        return 0;
    }
    for (unsigned i = 0; i < SOURCE_STEP_ROWS; i++) {
        if (f->n == f->limit)
            return SOURCE_END;
        if (give(f, sink, now) != 0)
            return SOURCE_WAIT;
    }
    *ret_next_ns = now->mono_ns;
    return 0;
}

static const struct source_kind fake_kind = {.name = "fake",
                                             .open = fake_open,
                                             .close = fake_close,
                                             .declare = fake_declare,
                                             .interval_ms = fake_interval,
                                             .replayable = fake_replayable,
                                             .step = fake_step};

struct bench {
    struct clock_fake time;
    struct clock clock;
    struct ring *live, *replay;
    struct feed *feed;
    struct act *act;
    struct fake fakes[2];
    bool has_no_replay;
};

static void begin(struct bench *b, unsigned n)
{
    struct act_source sources[2];
    struct feed_options fo = {.n_sources = n};
    struct act_options ao = {.sources = sources, .n_sources = n};

    b->time = (struct clock_fake){INT64_C(1700000000) * NS_PER_S, 1234 * NS_PER_MS + 567};
    if (b->clock.mono_ns == NULL)
        b->clock = clock_fake_of(&b->time);
    for (unsigned i = 0; i < n; i++)
        sources[i] = (struct act_source){&fake_kind, &b->fakes[i], "fake"};
    assert_int_equal(ring_new(&b->live, RING_MIN_BYTES), 0);
    if (!b->has_no_replay)
        assert_int_equal(ring_new(&b->replay, RING_MIN_BYTES), 0);
    fo.live = b->live;
    fo.replay = ao.replay = b->replay;
    assert_int_equal(feed_new(&b->feed, &fo), 0);
    ao.feed = b->feed;
    ao.clock = &b->clock;
    assert_int_equal(act_new(&b->act, &ao), 0);
}

static void end(struct bench *b)
{
    act_free(b->act);
    assert_int_equal(b->fakes[0].limit, -1);
    feed_free(b->feed);
    ring_free(b->live);
    ring_free(b->replay);
}

static int64_t round_at(struct bench *b, int64_t mono_ns)
{
    int64_t next;

    b->time.wall_unix_ns += mono_ns - b->time.mono_ns;
    b->time.mono_ns = mono_ns;
    act_round(b->act, &next);
    return next;
}

/* Takes everything out of the ring; returns rows, and the events seen. */
static unsigned drain(struct bench *b, struct feed_event *last_event, unsigned *ret_events)
{
    struct feed_message m;
    unsigned rows = 0, events = 0;

    for (int i = 0; i < 2; i++) {
        struct ring *ring = i == 0 ? b->live : b->replay;

        while (feed_read(b->feed, ring, &m)) {
            rows += m.kind == FEED_ROW;
            if (m.kind == FEED_EVENT) {
                events++;
                *last_event = m.event;
            }
            ring_release(ring);
        }
    }
    *ret_events = events;
    return rows;
}

static uint64_t missed(struct bench *b)
{
    return feed_counters(b->feed)->ticks_missed;
}

static void live_sources_run_on_multiples_of_their_interval(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10}, {.interval_ms = 25}}};
    int64_t next;

    (void)state;
    begin(&b, 2);
    next = round_at(&b, b.time.mono_ns); /* the first reading does not wait */
    assert_int_equal(b.fakes[0].n, 1);
    assert_true(next == 1240 * NS_PER_MS);
    next = round_at(&b, next + 300000); /* a late round does not shift the next */
    assert_int_equal(b.fakes[0].n, 2);
    assert_int_equal(b.fakes[1].n, 1);
    assert_true(next == 1250 * NS_PER_MS);
    next = round_at(&b, next);
    assert_int_equal(b.fakes[0].n, 3);
    assert_int_equal(b.fakes[1].n, 2);
    assert_true(b.fakes[0].last_mono_ns == b.fakes[1].last_mono_ns);
    assert_int_equal(missed(&b), 0);
    end(&b);
}

static void ticks_that_went_by_are_counted_not_caught_up(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10}}};

    (void)state;
    begin(&b, 1);
    round_at(&b, 1000 * NS_PER_MS);
    round_at(&b, 1055 * NS_PER_MS); /* due at 1010; 1020 to 1050 went by */
    assert_int_equal(b.fakes[0].n, 2);
    assert_int_equal(missed(&b), 4);
    end(&b);
}

static void a_source_that_is_readable_hides_no_tick_that_went_by(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10}}};

    (void)state;
    begin(&b, 1);
    round_at(&b, 1000 * NS_PER_MS);
    act_readable(b.act, 0);
    assert_true(round_at(&b, 1005 * NS_PER_MS) == 1010 * NS_PER_MS); /* between two ticks */
    assert_int_equal(b.fakes[0].n, 2);
    assert_int_equal(missed(&b), 0);
    assert_int_equal(histogram_count(act_lateness_us(b.act)), 0);
    act_readable(b.act, 0);
    assert_true(round_at(&b, 1055 * NS_PER_MS) == 1060 * NS_PER_MS); /* due at 1010; 1020 to 1050 went by */
    assert_int_equal(b.fakes[0].n, 3);
    assert_int_equal(missed(&b), 4);
    assert_int_equal(histogram_count(act_lateness_us(b.act)), 1);
    assert_true(round_at(&b, 1056 * NS_PER_MS) == 1060 * NS_PER_MS);
    assert_int_equal(b.fakes[0].n, 3);
    end(&b);
}

static void a_full_ring_makes_a_replay_wait_and_holds_up_no_live_row(void **state)
{
    struct bench b = {.fakes = {{.replayable = true, .limit = 3000}, {.interval_ms = 10}}};
    struct feed_event e;
    unsigned rows = 0, events;

    (void)state;
    begin(&b, 2);
    for (int i = 0; i < 40; i++)
        round_at(&b, (1000 + i * 10) * NS_PER_MS);
    assert_true(b.fakes[0].n < 3000);
    assert_int_equal(b.fakes[1].n, 40);
    assert_int_equal(feed_counters(b.feed)->rows_dropped, 0);
    for (int i = 40; i < 400; i++) {
        rows += drain(&b, &e, &events);
        round_at(&b, (1000 + i * 10) * NS_PER_MS);
    }
    rows += drain(&b, &e, &events);
    assert_int_equal(rows, 3000 + 400); /* the replay lost nothing */
    end(&b);
}

static void live_rows_that_find_no_room_are_counted_and_told(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10}}};
    struct feed_event e = {0};
    uint64_t dropped;
    unsigned rows, events;
    int64_t from_ns;
    int i = 0;

    (void)state;
    begin(&b, 1);
    while (feed_counters(b.feed)->rows_dropped == 0)
        round_at(&b, (1000 + 10 * i++) * NS_PER_MS);
    from_ns = b.time.wall_unix_ns;
    for (int k = 0; k < 9; k++)
        round_at(&b, (1000 + 10 * i++) * NS_PER_MS);
    dropped = feed_counters(b.feed)->samples_dropped;
    assert_int_equal(dropped, 10);
    rows = drain(&b, &e, &events);
    assert_int_equal(events, 0); /* there was no room for that either */
    assert_int_equal(rows + dropped, (uint64_t)b.fakes[0].n);
    round_at(&b, (1000 + 10 * i) * NS_PER_MS);
    assert_int_equal(drain(&b, &e, &events), 1);
    assert_int_equal(events, 1);
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_DROPPED);
    assert_int_equal(e.count, 10);
    assert_true(e.blind_from_ns == from_ns);
    assert_true(e.blind_to_ns == from_ns + 90 * NS_PER_MS);
    end(&b);
}

static void a_failing_source_is_told_once_and_tried_again(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10, .error = -EIO}}};
    struct feed_event e = {0};
    unsigned events, all = 0;
    int64_t next = 1000 * NS_PER_MS;

    (void)state;
    begin(&b, 1);
    for (int i = 0; i < 5; i++) {
        int64_t at = next;

        next = round_at(&b, at);
        assert_true(next == at + ACT_RETRY_MS * NS_PER_MS);
        drain(&b, &e, &events);
        all += events;
    }
    assert_int_equal(all, 1);
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED);
    b.fakes[0].error = 0;
    round_at(&b, next);
    assert_int_equal(drain(&b, &e, &events), 1);
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED);
    end(&b);
}

static void a_source_whose_channels_are_refused_says_why(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10, .refusal = -EUSERS}}};
    struct feed_event e = {0};
    unsigned events;

    (void)state;
    begin(&b, 1);
    round_at(&b, 1000 * NS_PER_MS);
    drain(&b, &e, &events);
    assert_int_equal(events, 1);
    assert_non_null(strstr(e.text, "cannot be recorded: the device has 4096 channels with settings"));
    end(&b);
}

static void a_failure_that_finds_no_room_is_told_when_there_is_some(void **state)
{
    struct bench b = {.fakes = {{.interval_ms = 10}, {.interval_ms = 10}}};
    struct feed_event e = {0};
    unsigned events;
    int64_t failed_ns, next, ms = 1000;

    (void)state;
    begin(&b, 2);
    while (feed_counters(b.feed)->rows_dropped < 10)
        round_at(&b, (ms += 10) * NS_PER_MS);
    b.fakes[0].error = b.fakes[1].error = -EIO;
    next = round_at(&b, (ms += 10) * NS_PER_MS);
    assert_true(next == (ms + ACT_ROOM_WAIT_MS) * NS_PER_MS); /* not when the sources are tried again */
    drain(&b, &e, &events);
    assert_int_equal(events, 0);
    assert_true(round_at(&b, next) > next + ACT_ROOM_WAIT_MS * NS_PER_MS);
    assert_int_equal(drain(&b, &e, &events), 0);
    assert_int_equal(events, 4); /* of each source its failure and its loss */
    assert_int_equal(feed_counters(b.feed)->events_dropped, 0);
    /* What is over by then was there all the same. */
    b.fakes[0].error = b.fakes[1].error = 0;
    for (ms += 10000; feed_counters(b.feed)->rows_dropped < 30; ms += 10)
        round_at(&b, ms * NS_PER_MS);
    b.fakes[1].error = -EIO;
    round_at(&b, (ms += 10) * NS_PER_MS);
    failed_ns = b.time.wall_unix_ns;
    b.fakes[1].error = 0;
    round_at(&b, (ms += 2 * ACT_RETRY_MS) * NS_PER_MS);
    assert_true(feed_take_untold(b.feed, &events, &e));
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED);
    assert_true(e.time_ns == failed_ns);
    assert_true(feed_take_untold(b.feed, &events, &e));
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED);
    assert_int_equal(events, 1);
    end(&b);
}

static void a_replay_that_ended_is_told_and_never_run_again(void **state)
{
    struct bench b = {.fakes = {{.replayable = true, .limit = 5}}};
    struct feed_event e = {0};
    unsigned events;

    (void)state;
    begin(&b, 1);
    assert_true(round_at(&b, 1000 * NS_PER_MS) == INT64_MAX);
    assert_true(act_all_ended(b.act));
    round_at(&b, 2000 * NS_PER_MS);
    assert_int_equal(b.fakes[0].steps, 1);
    assert_int_equal(drain(&b, &e, &events), 5);
    assert_int_equal(events, 1);
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_ENDED);
    end(&b);
}

/* A ring that the last row has filled has no room for the event that says so. */
static void the_end_of_a_replay_waits_for_room_as_its_rows_do(void **state)
{
    struct bench full = {.fakes = {{.replayable = true, .limit = INT64_MAX}}},
                 b = {.fakes = {{.replayable = true}}};
    struct feed_event e = {0};
    unsigned events;
    int64_t ms = 1000;

    (void)state;
    begin(&full, 1);
    do {
        b.fakes[0].limit = full.fakes[0].n;
        round_at(&full, (ms += 100) * NS_PER_MS);
    } while (full.fakes[0].n > b.fakes[0].limit);
    end(&full);

    begin(&b, 1);
    for (ms = 1000; b.fakes[0].n < b.fakes[0].limit || ms % 1000 != 0; ms += 100)
        round_at(&b, ms * NS_PER_MS);
    assert_false(act_all_ended(b.act));
    assert_int_equal(drain(&b, &e, &events), b.fakes[0].limit);
    assert_int_equal(events, 0);
    assert_true(round_at(&b, ms * NS_PER_MS) == INT64_MAX);
    assert_true(act_all_ended(b.act));
    assert_int_equal(drain(&b, &e, &events), 0);
    assert_int_equal(events, 1);
    assert_int_equal(e.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_ENDED);
    assert_int_equal(feed_counters(b.feed)->events_dropped, 0);
    end(&b);
}

/* The ring of replays is what is waited for, and a device without replays has none. */
static void a_live_source_without_room_for_its_group_is_called_again(void **state)
{
    struct bench b = {
        .fakes = {{.interval_ms = 10, .refusal = SINK_FULL}}, .clock = clock_real, .has_no_replay = true};
    struct pollfd p = {eventfd(0, EFD_CLOEXEC), POLLIN, 0};

    (void)state;
    assert_true(p.fd >= 0);
    b.fakes[0].tell_fd = p.fd;
    begin(&b, 1);
    assert_int_equal(act_start(b.act), 0);
    assert_int_equal(poll(&p, 1, 20000), 1);
    act_stop(b.act);
    close(p.fd);
    end(&b);
}

/* Goes on by a microsecond with every look. */
struct counting {
    unsigned n_wall, n_mono;
};

static int64_t counting_wall(void *ctx)
{
    return INT64_C(1700000000) * NS_PER_S + ++((struct counting *)ctx)->n_wall * 1000;
}

static int64_t counting_mono(void *ctx)
{
    return NS_PER_S + ++((struct counting *)ctx)->n_mono * 1000;
}

static void a_tick_looks_at_each_clock_once(void **state)
{
    struct counting counting = {0};
    struct bench b = {.fakes = {{.interval_ms = 10}}, .clock = {counting_wall, counting_mono, &counting}};
    int64_t next;

    (void)state;
    begin(&b, 1);
    act_round(b.act, &next);
    assert_int_equal(b.fakes[0].n, 1);
    assert_int_equal(counting.n_wall, 1);
    assert_int_equal(counting.n_mono, 1);
    end(&b);
}

static void every_source_is_stamped_with_its_own_moment(void **state)
{
    struct counting counting = {0};
    struct bench b = {.fakes = {{.interval_ms = 10}, {.interval_ms = 10}},
                      .clock = {counting_wall, counting_mono, &counting}};
    int64_t next;

    (void)state;
    begin(&b, 2);
    act_round(b.act, &next);
    assert_int_equal(b.fakes[1].n, 1);
    assert_true(b.fakes[1].last_mono_ns > b.fakes[0].last_mono_ns);
    end(&b);
}

static void the_thread_sleeps_once_per_tick(void **state)
{
    enum { TICKS = 60 };
    struct bench b = {.fakes = {{.interval_ms = 1, .tell_at = TICKS}}, .clock = clock_real};
    struct pollfd p = {eventfd(0, EFD_CLOEXEC), POLLIN, 0};
    struct fake *f = &b.fakes[0];

    (void)state;
    assert_true(p.fd >= 0);
    f->tell_fd = p.fd;
    begin(&b, 1);
    assert_int_equal(act_start(b.act), 0);
    assert_int_equal(poll(&p, 1, 20000), 1);
    act_stop(b.act);
    /* A tick that is due when the last is done needs no sleep; a fault of a page may cost one more. */
    assert_in_range(f->sleeps - f->sleeps_before, 1, TICKS + 10);
    close(p.fd);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_sources_run_on_multiples_of_their_interval),
        cmocka_unit_test(ticks_that_went_by_are_counted_not_caught_up),
        cmocka_unit_test(a_source_that_is_readable_hides_no_tick_that_went_by),
        cmocka_unit_test(a_full_ring_makes_a_replay_wait_and_holds_up_no_live_row),
        cmocka_unit_test(live_rows_that_find_no_room_are_counted_and_told),
        cmocka_unit_test(a_failing_source_is_told_once_and_tried_again),
        cmocka_unit_test(the_end_of_a_replay_waits_for_room_as_its_rows_do),
        cmocka_unit_test(a_source_whose_channels_are_refused_says_why),
        cmocka_unit_test(a_failure_that_finds_no_room_is_told_when_there_is_some),
        cmocka_unit_test(a_replay_that_ended_is_told_and_never_run_again),
        cmocka_unit_test(a_live_source_without_room_for_its_group_is_called_again),
        cmocka_unit_test(a_tick_looks_at_each_clock_once),
        cmocka_unit_test(every_source_is_stamped_with_its_own_moment),
        cmocka_unit_test(the_thread_sleeps_once_per_tick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
