/* Bytes over a link: counted once, never beyond the budget whatever happens to the process, in the order of
 * what they are worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "fog/fog_tier.h"
#include "fog/history.h"
#include "fog/meter.h"
#include "tests/lib/tmpdir.h"

#include <stdio.h>
#include <string.h>

enum { DAY_S = 86400, MIB = 1 << 20 };
#define DAY0 INT64_C(20423)
#define LINK "cloud:5520"

struct site {
    struct tmpdir dir;
    char path[300], proof[300];
    struct spool *spool;
    struct meter *meter;
    struct meter_config budget;
    struct config_item item;
    struct config_list budgets;
    struct meter_now now;
};

static void open_it(struct site *k)
{
    struct spool_options o = {.node = "fog-a", .proof_path = k->proof};
    struct errmsg err = {""};

    o.db = (struct db_options){.path = k->path,
                               .tables = fog_tables,
                               .n_tables = FOG_TABLES,
                               .map_bytes = 16 << 20,
                               .role = "fog",
                               .no_preallocate = true};
    if (spool_open(&k->spool, &o, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(meter_new(&k->meter, k->spool, &k->budgets, k->now), 0);
    assert_int_equal(meter_select(k->meter, LINK, k->now), 0);
}

static void commit(struct site *k)
{
    assert_int_equal(meter_flush(k->meter, k->now), 0);
    assert_int_equal(spool_commit(k->spool), 0);
    meter_committed(k->meter);
}

static void close_it(struct site *k, bool clean)
{
    if (clean) {
        meter_close(k->meter);
        commit(k);
    }
    k->meter = meter_free(k->meter);
    k->spool = spool_close(k->spool);
}

static int setup(void **state)
{
    static struct site k;

    memset(&k, 0, sizeof k);
    tmpdir_init(&k.dir);
    snprintf(k.path, sizeof k.path, "%.200s/spool", k.dir.path);
    snprintf(k.proof, sizeof k.proof, "%.200s/continuity", k.dir.path);
    k.now = (struct meter_now){DAY0 * DAY_S, 1000};
    k.budget.month_begins = 1;
    k.item.value = &k.budget;
    k.budgets = (struct config_list){&k.item, 1};
    open_it(&k);
    *state = &k;
    return 0;
}

static int teardown(void **state)
{
    struct site *k = *state;

    close_it(k, true);
    tmpdir_deinit(&k->dir);
    return 0;
}

static void pass(struct site *k, int64_t s)
{
    k->now.unix_s += s;
    k->now.mono_ms += s * 1000;
}

static void send(struct site *k, enum meter_class class, uint64_t bytes)
{
    uint64_t of[METER_CLASSES] = {0};

    of[class] = bytes;
    meter_sent(k->meter, bytes, of, k->now);
}

/* As an outbox does: as much of it as may go. How much that was, on the wire. */
static uint64_t send_all(struct site *k, enum meter_class class, uint64_t bytes)
{
    uint64_t sent = 0;

    for (unsigned tries = 0; bytes > 0 && tries < 10000; tries++) {
        uint64_t one = bytes < 60000 ? bytes : 60000, may = meter_allowed(k->meter, class, k->now);

        if (meter_wants_flush(k->meter, k->now))
            commit(k);
        if (may < one + METER_MESSAGE_BYTES)
            one = may > METER_MESSAGE_BYTES ? may - METER_MESSAGE_BYTES : 0;
        if (one == 0 && !meter_wants_flush(k->meter, k->now))
            break;
        if (one > 0)
            send(k, class, one);
        sent += one > 0 ? one + METER_MESSAGE_BYTES : 0;
        bytes -= one;
    }
    return sent;
}

static uint64_t used(const struct site *k)
{
    return meter_row_sum(meter_row_now(k->meter, METER_DAY));
}

static void all_is_counted_by_what_it_was(void **state)
{
    struct site *k = *state;
    uint64_t of[METER_CLASSES] = {[METER_ALARMS] = 100, [METER_LIVE] = 300};
    const struct meter_row *r;

    meter_sent(k->meter, 758, of, k->now);
    meter_sent(k->meter, 58, (uint64_t[METER_CLASSES]){0}, k->now);
    meter_came(k->meter, 158, k->now);
    assert_false(meter_wants_flush(k->meter, k->now) && k->budgets.n == 0);
    commit(k);
    close_it(k, true);
    open_it(k);
    for (unsigned span = 0; span < METER_SPANS; span++) {
        r = meter_row_now(k->meter, (enum meter_span)span);
        assert_int_equal(r->bytes[METER_ALARMS], 200);
        assert_int_equal(r->bytes[METER_LIVE], 600);
        assert_int_equal(r->bytes[METER_CONTROL], 100);
        assert_int_equal(r->bytes[METER_DOWN], 200);
        assert_int_equal(r->doubtful, 0);
    }
}

static void without_a_budget_all_may_go(void **state)
{
    struct site *k = *state;

    k->budgets.n = 0;
    for (unsigned c = 0; c < METER_CLASSES; c++)
        assert_true(meter_allowed(k->meter, (enum meter_class)c, k->now) == UINT64_MAX);
}

static void live_goes_until_it_is_used_up_and_alarms_beyond(void **state)
{
    struct site *k = *state;

    k->budget.per_day = 4 * MIB;
    commit(k);
    assert_int_equal(send_all(k, METER_LIVE, 100 * MIB), 4 * MIB);
    assert_int_equal(meter_allowed(k->meter, METER_LIVE, k->now), 0);
    assert_true(meter_allowed(k->meter, METER_ALARMS, k->now) == UINT64_MAX);
    send(k, METER_ALARMS, 1000);
    commit(k);
    pass(k, DAY_S);
    assert_true(meter_wants_flush(k->meter, k->now));
    commit(k);
    assert_true(meter_allowed(k->meter, METER_LIVE, k->now) > 0);
    assert_int_equal(send_all(k, METER_LIVE, 100 * MIB), 4 * MIB);
}

static void backlog_leaves_the_evening_its_bytes(void **state)
{
    struct site *k = *state;
    uint64_t sent = 0;

    k->budget.per_day = 24 * MIB;
    commit(k);
    for (unsigned h = 0; h < 24; h++) {
        sent += send_all(k, METER_BACKLOG, 100 * MIB);
        assert_true(used(k) <= (h + 1) * MIB + MIB / 2);
        assert_true(meter_allowed(k->meter, METER_DRILL, k->now) == 0);
        if (h < 23) {
            assert_true(meter_allowed(k->meter, METER_LIVE, k->now) > 0);
        }
        pass(k, 3600);
    }
    assert_in_range(sent, 23 * MIB, 24 * MIB);
}

static void a_month_binds_too(void **state)
{
    struct site *k = *state;

    k->budget.per_day = 4 * MIB;
    k->budget.per_month = 10 * MIB;
    k->budget.month_begins = 15;
    k->now.unix_s = meter_begin_s(METER_MONTH, 2026 * 12 + 5, 15);
    commit(k);
    assert_int_equal(send_all(k, METER_LIVE, 100 * MIB), 4 * MIB);
    pass(k, DAY_S);
    commit(k);
    assert_int_equal(send_all(k, METER_LIVE, 100 * MIB), 4 * MIB);
    pass(k, DAY_S);
    commit(k);
    assert_int_equal(send_all(k, METER_LIVE, 100 * MIB), 2 * MIB);
    pass(k, 28 * DAY_S); /* the month that began on the 15th of June */
    commit(k);
    assert_int_equal(send_all(k, METER_LIVE, 100 * MIB), 4 * MIB);
}

/* Whatever is killed when: not a byte beyond the budget, and little is lost to doubt. */
static void no_kill_passes_the_budget(void **state)
{
    struct site *k = *state;

    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng rng = {seed};
        uint64_t sent = 0;
        unsigned kills = 0;

        pass(k, 2 * DAY_S);
        k->budget.per_day = 2 * MIB + rng_below(&rng, 8 * MIB);
        commit(k);
        for (unsigned i = 0; i < 300; i++) {
            uint64_t bytes = 1 + rng_below(&rng, 64 * 1024),
                     may = meter_allowed(k->meter, METER_LIVE, k->now);

            if (bytes + METER_MESSAGE_BYTES <= may) {
                send(k, METER_LIVE, bytes);
                sent += bytes + METER_MESSAGE_BYTES;
            }
            k->now.mono_ms += (int64_t)rng_below(&rng, 3000);
            if (meter_wants_flush(k->meter, k->now))
                commit(k);
            if (rng_below(&rng, 40) == 0) {
                if (rng_below(&rng, 2) == 0)
                    assert_int_equal(meter_flush(k->meter, k->now), 0); /* killed before the commit */
                close_it(k, false);
                open_it(k);
                kills++;
            }
            assert_true(sent <= k->budget.per_day);
            assert_true(used(k) >= sent);
        }
        assert_true(used(k) - sent <= kills * (uint64_t)METER_LEASE_MOST_BYTES);
    }
}

static void a_rollback_takes_no_lease_for_written(void **state)
{
    struct site *k = *state;

    k->budget.per_day = 4 * MIB;
    assert_int_equal(meter_flush(k->meter, k->now), 0);
    assert_int_equal(spool_rollback(k->spool), 0);
    assert_int_equal(meter_allowed(k->meter, METER_LIVE, k->now), 0);
    commit(k);
    assert_true(meter_allowed(k->meter, METER_LIVE, k->now) > 0);
}

static void a_clock_set_back_begins_no_day_twice(void **state)
{
    struct site *k = *state;

    k->budget.per_day = 4 * MIB;
    commit(k);
    (void)send_all(k, METER_LIVE, 100 * MIB);
    k->now.unix_s -= 3 * DAY_S;
    commit(k);
    assert_int_equal(meter_allowed(k->meter, METER_LIVE, k->now), 0);
    close_it(k, true);
    open_it(k);
    commit(k);
    assert_int_equal(meter_allowed(k->meter, METER_LIVE, k->now), 0);
    k->now.unix_s += 4 * DAY_S;
    commit(k);
    assert_true(meter_allowed(k->meter, METER_LIVE, k->now) > 0);
}

/* It was in the year 2100 for a moment: within a day of running the meter is back with the clock. */
static void a_clock_that_was_far_ahead_does_not_stop_it(void **state)
{
    struct site *k = *state;
    int64_t real = k->now.unix_s;

    k->budget.per_day = 4 * MIB;
    commit(k);
    k->now.unix_s += 27000 * (int64_t)DAY_S;
    commit(k);
    (void)send_all(k, METER_LIVE, 100 * MIB);
    k->now.unix_s = real + 10;
    commit(k);
    assert_int_equal(meter_allowed(k->meter, METER_LIVE, k->now), 0);
    pass(k, DAY_S);
    commit(k);
    assert_true(meter_allowed(k->meter, METER_LIVE, k->now) > 0);
    assert_int_equal(meter_row_now(k->meter, METER_DAY)->index, DAY0 + 1);
}

static void links_are_counted_apart(void **state)
{
    struct site *k = *state;

    k->budget.per_day = 4 * MIB;
    snprintf(k->budget.link, sizeof k->budget.link, "tcp://" LINK);
    commit(k);
    (void)send_all(k, METER_LIVE, 100 * MIB);
    assert_int_equal(meter_select(k->meter, "other:5520", k->now), 0);
    commit(k);
    assert_int_equal(used(k), 0);
    assert_true(meter_allowed(k->meter, METER_LIVE, k->now) == UINT64_MAX);
    assert_int_equal(meter_select(k->meter, LINK, k->now), 0);
    assert_int_equal(meter_allowed(k->meter, METER_LIVE, k->now), 0);
}

static int count_rows(void *ctx, const char *name, struct span value)
{
    unsigned *n = ctx;
    struct meter_row r;

    assert_true(meter_row_get(name, value, &r));
    n[r.span]++;
    return 0;
}

static void old_days_are_forgotten(void **state)
{
    struct site *k = *state;
    unsigned n[METER_SPANS] = {0};

    for (unsigned day = 0; day < 3 * METER_DAYS; day++) {
        send(k, METER_LIVE, 1000);
        commit(k);
        pass(k, DAY_S);
    }
    for (unsigned i = 0; i < 3 * METER_DAYS; i++)
        commit(k);
    assert_int_equal(spool_facts_each(k->spool, METER_PREFIX, count_rows, n), 0);
    assert_in_range(n[METER_DAY], METER_DAYS, METER_DAYS + 1);
    assert_in_range(n[METER_MONTH], 4, 5);
}

#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FACT(all_is_counted_by_what_it_was),
        FACT(without_a_budget_all_may_go),
        FACT(live_goes_until_it_is_used_up_and_alarms_beyond),
        FACT(backlog_leaves_the_evening_its_bytes),
        FACT(a_month_binds_too),
        FACT(no_kill_passes_the_budget),
        FACT(a_rollback_takes_no_lease_for_written),
        FACT(a_clock_set_back_begins_no_day_twice),
        FACT(a_clock_that_was_far_ahead_does_not_stop_it),
        FACT(links_are_counted_apart),
        FACT(old_days_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
