/* The pipeline holds in every schedule; and a rule of the hop protocol taken away is missed. */
#include "hop/hop.h"
#include "sim.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 2000 };

static uint64_t seeds_wanted(void)
{
    const char *text = getenv("FOGLINE_SIM_SEEDS");
    uint64_t n = text != NULL ? strtoull(text, NULL, 10) : 0;

    return n > 0 ? n : SEEDS;
}

static void run(const struct sim_options *o, struct sim_result *r)
{
    assert_int_equal(sim_run(o, r), 0);
}

static void report(const struct sim_options *o, const struct sim_result *r)
{
    char replay[200];

    print_error("seed %" PRIu64 " at %" PRId64 " ms: %s\n  replay: %s\n", o->seed, r->at_ms, r->violation,
                sim_replay(replay, sizeof replay, o));
}

static void nothing_is_lost_twice_or_unexplained(void **state)
{
    uint64_t n = seeds_wanted(), archived = 0, aggregates = 0, evicted = 0, crashes = 0;
    unsigned failed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= n && failed < 5; seed++) {
        struct sim_options o = {.seed = seed};
        struct sim_result r;

        run(&o, &r);
        if (!r.ok) {
            report(&o, &r);
            failed++;
        }
        archived += r.archived;
        aggregates += r.aggregates;
        evicted += r.evicted;
        crashes += r.crashes;
    }
    print_message("%" PRIu64 " schedules: %" PRIu64 " records archived, %" PRIu64 " aggregates, %" PRIu64
                  " evicted, %" PRIu64 " deaths\n",
                  n, archived, aggregates, evicted, crashes);
    assert_int_equal(failed, 0);
    /* A simulator in which nothing happens finds nothing. */
    assert_true(archived > 50 * n && aggregates > n && evicted > n && crashes > n);
}

static void the_same_seed_is_the_same_schedule(void **state)
{
    struct sim_options o = {0};
    struct sim_result a, b;

    (void)state;
    for (o.seed = 1; o.seed <= 20; o.seed++) {
        run(&o, &a);
        run(&o, &b);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

/* Without the rule a violation is found soon, and with it the very same faults do no harm. */
static void must_be_missed(uint32_t bit)
{
    const struct sim_rule *rule = sim_rules;
    struct sim_options o = {.rules_off = bit}, with = {.aimed_at = bit};
    struct sim_result r = {.ok = true};

    while (rule->bit != bit)
        rule++;
    for (o.seed = 1; o.seed <= rule->seeds && r.ok; o.seed++) {
        run(&o, &r);
        with.seed = o.seed;
    }
    if (r.ok)
        fail_msg("%u schedules without %s, and nothing was wrong", rule->seeds, rule->name);
    print_message("without %s, seed %" PRIu64 ": %s\n", rule->name, with.seed, r.violation);
    for (with.seed = 1; with.seed < o.seed + 20; with.seed++) {
        run(&with, &r);
        if (!r.ok)
            report(&with, &r);
        assert_true(r.ok);
    }
}

/* Four nodes with backlog for longer than a minute: each drains as its weight says, whatever their round
 * trips. */
static void drains(uint64_t memory_bytes, uint64_t window_max_bytes, const unsigned weight[4],
                   const int64_t round_trip_ms[4])
{
    struct sim_drain d = {.seed = 1,
                          .n = 4,
                          .memory_bytes = memory_bytes,
                          .window_max_bytes = window_max_bytes,
                          .backlog_bytes = 64 << 20,
                          .for_ms = 60 * 1000};
    uint64_t bytes[SIM_DRAINS_MAX], sum = 0;
    unsigned weights = 0;
    struct sim_result r;

    memcpy(d.weight, weight, sizeof d.weight);
    memcpy(d.round_trip_ms, round_trip_ms, sizeof d.round_trip_ms);
    assert_int_equal(sim_drain_run(&d, &r, bytes), 0);
    if (!r.ok)
        fail_msg("%s", r.violation);
    for (int i = 0; i < 4; i++) {
        sum += bytes[i];
        weights += weight[i];
        assert_true(bytes[i] < d.backlog_bytes * 95 / 100);
    }
    for (int i = 0; i < 4; i++) {
        double ratio = (double)bytes[i] / (double)sum / ((double)weight[i] / weights);

        print_message("weight %u, round trip %" PRId64 " ms: %" PRIu64 " bytes, %.3f of its share\n",
                      weight[i], round_trip_ms[i], bytes[i], ratio);
        assert_true(ratio > 0.85 && ratio < 1.15);
    }
}

static void backlogs_drain_as_their_weights(void **state)
{
    (void)state;
    drains(2 << 20, 1 << 20, (unsigned[]){1, 1, 1, 1}, (int64_t[]){300, 300, 300, 300});
    drains(2 << 20, 1 << 20, (unsigned[]){1, 2, 3, 2}, (int64_t[]){600, 600, 600, 600});
}

static void backlogs_drain_as_their_weights_over_unequal_links(void **state)
{
    (void)state;
    drains(2 << 20, 1 << 20, (unsigned[]){1, 1, 1, 1}, (int64_t[]){150, 300, 600, 900});
    drains(2 << 20, 1 << 20, (unsigned[]){4, 3, 2, 1}, (int64_t[]){200, 400, 600, 800});
    drains(6 << 20, 3 << 20, (unsigned[]){1, 2, 3, 3}, (int64_t[]){400, 800, 1200, 1600});
}

/* There is memory for all, and what one may have under way limits them. */
static void backlogs_drain_as_their_weights_below_the_largest_window(void **state)
{
    (void)state;
    drains(32 << 20, 512 << 10, (unsigned[]){1, 2, 4, 2}, (int64_t[]){600, 600, 600, 600});
    drains(32 << 20, 512 << 10, (unsigned[]){1, 1, 2, 1}, (int64_t[]){300, 600, 900, 1200});
}

#define WITHOUT(name, bit)                                                                                   \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        (void)state;                                                                                         \
        must_be_missed(bit);                                                                                 \
    }
WITHOUT(without_no_free_release_a_record_is_lost, HOP_RULE_NO_FREE_RELEASE)
WITHOUT(without_polls_a_record_is_held_for_ever, HOP_RULE_POLL)
WITHOUT(without_store_id_a_record_is_never_sent_again, HOP_RULE_STORE_ID)
WITHOUT(without_mark_after_safe_a_restored_archive_lacks_records, HOP_RULE_MARK_AFTER_SAFE)
WITHOUT(without_archived_is_dup_a_living_copy_is_refused, HOP_RULE_ARCHIVED_IS_DUP)
WITHOUT(without_again_a_reading_is_in_two_aggregates, HOP_RULE_AGAIN)
WITHOUT(without_cut_on_disk_a_reading_is_in_two_aggregates, HOP_RULE_CUT_ON_DISK)
WITHOUT(without_run_in_data_a_reading_is_in_two_aggregates, HOP_RULE_RUN_IN_DATA)
WITHOUT(without_covers_together_an_aggregate_dies_unnoticed, HOP_RULE_COVERS_TOGETHER)
WITHOUT(without_drop_old_fold_a_reading_is_in_two_aggregates, HOP_RULE_DROP_OLD_FOLD)
WITHOUT(without_new_epoch_numbers_are_used_again, HOP_RULE_NEW_EPOCH)
WITHOUT(without_session_an_old_connection_is_heard, HOP_RULE_SESSION)
WITHOUT(without_window_min_nothing_moves, HOP_RULE_WINDOW_MIN)
WITHOUT(without_lease_a_peer_starves, HOP_RULE_LEASE)
WITHOUT(without_watchdog_on_state_links_are_made_anew_for_nothing, HOP_RULE_WATCHDOG_STATE)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_is_the_same_schedule),
        cmocka_unit_test(without_no_free_release_a_record_is_lost),
        cmocka_unit_test(without_polls_a_record_is_held_for_ever),
        cmocka_unit_test(without_store_id_a_record_is_never_sent_again),
        cmocka_unit_test(without_mark_after_safe_a_restored_archive_lacks_records),
        cmocka_unit_test(without_archived_is_dup_a_living_copy_is_refused),
        cmocka_unit_test(without_again_a_reading_is_in_two_aggregates),
        cmocka_unit_test(without_cut_on_disk_a_reading_is_in_two_aggregates),
        cmocka_unit_test(without_run_in_data_a_reading_is_in_two_aggregates),
        cmocka_unit_test(without_covers_together_an_aggregate_dies_unnoticed),
        cmocka_unit_test(without_drop_old_fold_a_reading_is_in_two_aggregates),
        cmocka_unit_test(without_new_epoch_numbers_are_used_again),
        cmocka_unit_test(without_session_an_old_connection_is_heard),
        cmocka_unit_test(without_window_min_nothing_moves),
        cmocka_unit_test(without_lease_a_peer_starves),
        cmocka_unit_test(without_watchdog_on_state_links_are_made_anew_for_nothing),
        cmocka_unit_test(backlogs_drain_as_their_weights),
        cmocka_unit_test(backlogs_drain_as_their_weights_over_unequal_links),
        cmocka_unit_test(backlogs_drain_as_their_weights_below_the_largest_window),
        cmocka_unit_test(nothing_is_lost_twice_or_unexplained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
