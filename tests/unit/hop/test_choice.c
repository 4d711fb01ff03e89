/* Which of several nodes above is talked to. */
#include "hop/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FAILOVER_MS = 3000, RETURN_MS = 60000, STEP_MS = 500 };

struct side {
    struct choice c;
    struct choice_seen seen;
    int64_t now_ms;
};

static struct side side(unsigned n)
{
    struct side s = {.now_ms = 1000};

    choice_init(&s.c, n, FAILOVER_MS, RETURN_MS, s.now_ms);
    return s;
}

/* Steps for so long, or until it moves; how long that took, -1 when it did not. */
static int64_t steps(struct side *s, int64_t ms)
{
    for (int64_t t = STEP_MS; t <= ms; t += STEP_MS) {
        s->now_ms += STEP_MS;
        if (s->seen.unanswered_ms > 0)
            s->seen.unanswered_ms += STEP_MS;
        if (choice_step(&s->c, &s->seen, s->now_ms))
            return t;
    }
    return -1;
}

static void moves_on_when_the_first_is_not_reached(void **state)
{
    struct side s = side(2);

    (void)state;
    assert_int_equal(steps(&s, 10000), FAILOVER_MS);
    assert_int_equal(s.c.at, 1);
    assert_int_equal(steps(&s, 10000), FAILOVER_MS);
    assert_int_equal(s.c.at, 0);
}

static void patience_begins_when_the_session_is_lost(void **state)
{
    struct side s = side(2);

    (void)state;
    s.seen.open = true;
    assert_int_equal(steps(&s, 100000), -1);
    s.seen.open = false;
    assert_int_equal(steps(&s, 10000), FAILOVER_MS);
}

static void one_upstream_is_never_left(void **state)
{
    struct side s = side(1);

    (void)state;
    assert_int_equal(steps(&s, 100000), -1);
    assert_int_equal(choice_next_ms(&s.c, &s.seen, s.now_ms), INT64_MAX);
}

/* The connection stands and nobody answers: a process that is stopped. */
static void no_answer_to_what_is_sent_is_no_progress(void **state)
{
    struct side s = side(2);

    (void)state;
    s.seen.open = true;
    s.seen.unanswered_ms = 1;
    assert_in_range(steps(&s, 100000), 2 * FAILOVER_MS - STEP_MS, 2 * FAILOVER_MS);
    assert_int_equal(s.c.at, 1);
}

static void a_slow_link_is_no_stopped_one(void **state)
{
    struct side s = side(2);
    int64_t first, second;

    (void)state;
    s.seen = (struct choice_seen){.open = true, .unanswered_ms = 1, .slowest_ms = 16000};
    assert_int_equal(steps(&s, 30000), -1);
    /* Not known to be slow: each time it is left for nothing the patience doubles. */
    s.seen = (struct choice_seen){.open = true, .unanswered_ms = 1};
    first = steps(&s, 100000);
    s.seen.unanswered_ms = 1;
    second = steps(&s, 100000);
    assert_true(first >= 0 && second > 2 * first - 2 * STEP_MS);
}

static void goes_back_when_the_first_was_reached_for_long(void **state)
{
    struct side s = side(2);

    (void)state;
    assert_true(steps(&s, 10000) > 0);
    s.seen.open = true;
    assert_int_equal(steps(&s, 200000), -1);
    assert_int_equal(s.c.probe, 0);
    s.seen.probe_reached = true;
    assert_int_equal(steps(&s, RETURN_MS / 2), -1);
    s.seen.probe_reached = false; /* only for a while */
    assert_int_equal(steps(&s, STEP_MS), -1);
    s.seen.probe_reached = true;
    assert_in_range(steps(&s, 2 * RETURN_MS), RETURN_MS, RETURN_MS + STEP_MS);
    assert_int_equal(s.c.at, 0);
    assert_int_equal(s.c.probe, CHOICE_NO_PROBE);
}

/* It can be reached, and is of no use: each time it is tried later. */
static void a_return_that_fails_waits_longer(void **state)
{
    struct side s = side(2);
    int64_t before = 0;

    (void)state;
    assert_true(steps(&s, 10000) > 0);
    for (int i = 0; i < 3; i++) {
        int64_t waited;

        s.seen = (struct choice_seen){.open = true, .probe_reached = true};
        waited = steps(&s, 100 * RETURN_MS);
        assert_int_equal(s.c.at, 0);
        assert_true(waited >= 2 * before);
        before = waited - STEP_MS;
        s.seen = (struct choice_seen){0};
        assert_int_equal(steps(&s, 10000), FAILOVER_MS);
        assert_int_equal(s.c.at, 1);
    }
}

static void all_before_it_are_looked_at_in_turn(void **state)
{
    struct side s = side(3);
    unsigned seen[3] = {0}, tries = 0;

    (void)state;
    assert_true(steps(&s, 10000) > 0 && steps(&s, 10000) > 0);
    assert_int_equal(s.c.at, 2);
    s.seen.open = true;
    for (int i = 0; i < 400; i++) {
        assert_int_equal(steps(&s, STEP_MS), -1);
        if (s.c.probe_try != tries)
            seen[s.c.probe]++;
        tries = s.c.probe_try;
    }
    assert_true(seen[0] > 2 && seen[1] > 2 && seen[2] == 0);
    s.seen.probe_reached = true;
    assert_true(steps(&s, 2 * RETURN_MS) > 0);
    assert_true(s.c.at < 2);
}

static void without_return_it_stays(void **state)
{
    struct side s = side(2);

    (void)state;
    s.c.return_ms = 0;
    assert_true(steps(&s, 10000) > 0);
    s.seen = (struct choice_seen){.open = true, .probe_reached = true};
    assert_int_equal(steps(&s, 1000000), -1);
    assert_int_equal(s.c.probe, CHOICE_NO_PROBE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_on_when_the_first_is_not_reached),
        cmocka_unit_test(patience_begins_when_the_session_is_lost),
        cmocka_unit_test(one_upstream_is_never_left),
        cmocka_unit_test(no_answer_to_what_is_sent_is_no_progress),
        cmocka_unit_test(a_slow_link_is_no_stopped_one),
        cmocka_unit_test(goes_back_when_the_first_was_reached_for_long),
        cmocka_unit_test(a_return_that_fails_waits_longer),
        cmocka_unit_test(all_before_it_are_looked_at_in_turn),
        cmocka_unit_test(without_return_it_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
