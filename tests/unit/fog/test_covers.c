/* The open cover account: each withheld record is named once, with what it needs, over kills and rollbacks;
 * what the cloud does not count is said again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fog/covers_site.h"

#include <stdlib.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

static void withhold(struct site *k, unsigned device, unsigned lane, unsigned n, uint32_t parts)
{
    struct known *r = &k->now.at[device][lane][n];

    *r = (struct known){.what = parts == 0 ? COVERED : WAITING,
                        .reason = (uint8_t)(n % 7 == 0 ? FOGLINE__V1__REASON__REASON_FILTERED
                                                       : FOGLINE__V1__REASON__REASON_MERGED),
                        .samples = n % 5 == 0 ? 7 : 60,
                        .parts = parts};
    assert_int_equal(
        covers_withhold(k->covers, site_stream(k, device), seq_make(lane, n), r->reason, r->samples, parts),
        0);
}

static void part(struct site *k, unsigned device, unsigned lane, struct interval run, uint64_t need,
                 bool is_part)
{
    for (uint64_t n = run.from; n <= run.to; n++) {
        struct known *r = &k->now.at[device][lane][n];

        if (r->what != WAITING)
            continue;
        if (need != 0)
            r->needs[r->n_needs++] = need;
        assert_true(r->n_needs < NEEDS);
        if (is_part && --r->parts == 0)
            r->what = COVERED;
    }
    if (!is_part)
        assert_int_equal(covers_need(k->covers, site_stream(k, device), lane, run, need), 0);
    else if (run.from == run.to)
        assert_int_equal(covers_part(k->covers, site_stream(k, device), seq_make(lane, run.from), need), 0);
    else
        assert_int_equal(covers_part_run(k->covers, site_stream(k, device), lane, run, need), 0);
}

static void settle_one(struct site *k, struct rng *rng, bool is_allowed)
{
    unsigned lane = (unsigned)rng_below(rng, SPOOL_LANES);
    const struct interval_set *held = &spool_own(k->spool)->lane[lane].held;

    if (held->n > 0)
        site_settle(k, seq_make(lane, held->at[rng_below(rng, held->n)].from), is_allowed);
}

static void settle_all(struct site *k)
{
    for (unsigned lane = 0; lane < SPOOL_LANES; lane++)
        while (spool_own(k->spool)->lane[lane].held.n > 0)
            site_settle(k, seq_make(lane, spool_own(k->spool)->lane[lane].held.at[0].from), true);
}

static void step(struct site *k, struct rng *rng, bool *is_allowed)
{
    unsigned device = (unsigned)rng_below(rng, DEVICES), lane = rng_below(rng, 4) == 0;
    unsigned n = 1 + (unsigned)rng_below(rng, RECORDS);
    struct interval run = {n, n + rng_below(rng, 12)};
    uint64_t need = 0;

    if (run.to > RECORDS)
        run.to = RECORDS;
    switch (rng_below(rng, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        for (uint64_t i = run.from; i <= run.to; i++)
            if (k->now.at[device][lane][i].what == NONE)
                withhold(k, device, lane, (unsigned)i, (uint32_t)rng_below(rng, 4));
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        if (rng_below(rng, 3) > 0)
            need = site_derived(k);
        part(k, device, lane, rng_below(rng, 3) == 0 ? (struct interval){n, n} : run, need, true);
        break;
    case 8:
        part(k, device, lane, run, site_derived(k), false);
        break;
    case 9:
        site_flush(k, rng_below(rng, 2) == 0);
        break;
    case 10:
        k->now_ms += (int64_t)rng_below(rng, 30000);
        k->clock.wall_unix_ns += NS_PER_S;
        break;
    case 11:
    case 12:
        settle_one(k, rng, *is_allowed);
        break;
    case 13:
        site_mark(k, device, lane);
        break;
    case 14:
        *is_allowed = rng_below(rng, 4) > 0;
        covers_link(k->covers, rng_below(rng, 4) > 0);
        k->is_full = rng_below(rng, 8) == 0;
        break;
    default:
        if (rng_below(rng, 3) > 0) {
            site_commit(k);
        } else if (rng_below(rng, 2) == 0) {
            site_rollback(k);
        } else {
            site_close(k);
            site_open(k);
        }
    }
}

/* All that waits is made, all that is made goes up, and the cloud counts it. */
static void comes_to_rest(struct site *k)
{
    k->is_full = false;
    covers_link(k->covers, true);
    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            for (unsigned i = 0; i < 3; i++)
                part(k, d, l, (struct interval){1, RECORDS}, site_derived(k), true);
    for (unsigned i = 0; i < 4; i++) {
        k->now_ms += 2 * HOUR_MS;
        site_flush(k, true);
        settle_all(k);
        for (unsigned d = 0; d < DEVICES; d++)
            for (unsigned l = 0; l < SPOOL_LANES; l++)
                site_mark(k, d, l);
    }
    assert_int_equal(site_count(k, WAITING) + site_count(k, COVERED) + site_count(k, SAID), 0);
    site_commit(k);
}

static void any_order_of_anything(void **state)
{
    const char *more = getenv("FOGLINE_COVERS_SEEDS");
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : 40;

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct rng rng = {seed};
        bool is_allowed = true;

        site_teardown(state);
        site_setup(state);
        print_message("seed %llu\n", (unsigned long long)seed);
        for (unsigned i = 0; i < 600; i++)
            step(*state, &rng, &is_allowed);
        comes_to_rest(*state);
    }
}

/* ---- single facts ---- */

static struct covers_status status_of(struct site *k)
{
    struct covers_status s;

    covers_status(k->covers, &s);
    return s;
}

static void is_cut_after_ten_seconds_or_a_thousand(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 0);
    site_flush(k, false);
    k->now_ms += COVERS_CUT_AFTER_MS - 1;
    assert_false(covers_wants_flush(k->covers, k->now_ms));
    site_flush(k, false);
    assert_int_equal(k->n_ledgers, 0);
    k->now_ms++;
    assert_true(covers_wants_flush(k->covers, k->now_ms));
    site_flush(k, false);
    assert_int_equal(k->n_ledgers, 1);

    covers_link(k->covers, false);
    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            for (unsigned n = 1; n <= RECORDS; n++)
                if (k->now.at[d][l][n].what == NONE)
                    withhold(k, d, l, n, 0);
    assert_true(site_count(k, COVERED) >= COVERS_CUT_SEQS);
    site_flush(k, false);
    k->now_ms += HOUR_MS;
    site_flush(k, false);
    assert_int_equal(k->n_ledgers, 1); /* with the link down runs go on merging */
    k->now_ms -= HOUR_MS;
    covers_link(k->covers, true);
    site_flush(k, false);
    assert_int_equal(k->n_ledgers, 2);
}

/* Two rows of a run that become alike while it is gone through are one then; no part counts twice. */
static void a_part_counts_once_where_rows_join(void **state)
{
    struct site *k = *state;

    for (unsigned n = 1; n <= 3; n++)
        withhold(k, 0, LANE_ORDINARY, n, 3);
    withhold(k, 0, LANE_ORDINARY, 4, 2);
    part(k, 0, LANE_ORDINARY, (struct interval){1, 4}, 0, true);
    assert_int_equal(status_of(k).waiting_records, 4);
    assert_int_equal(status_of(k).covered_records, 0);
    part(k, 0, LANE_ORDINARY, (struct interval){1, 4}, 0, true);
    assert_int_equal(status_of(k).waiting_records, 3);
}

static void what_was_not_withheld_needs_nothing(void **state)
{
    struct site *k = *state;

    part(k, 0, LANE_ORDINARY, (struct interval){1, 100}, site_derived(k), true);
    site_flush(k, true);
    assert_int_equal(k->n_ledgers, 0);
    assert_int_equal(status_of(k).covered_records, 0);
}

static void a_full_store_puts_off(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 0);
    k->is_full = true;
    site_flush(k, true);
    assert_int_equal(covers_counters(k->covers)[COVERS_NO_ROOM], 1);
    k->is_full = false;
    site_flush(k, true);
    assert_int_equal(k->n_ledgers, 1);
}

/* Said, archived, and the cloud counts nothing: its reduce_sites has no word of this site. */
static void a_refused_cover_is_said_again(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 0);
    site_flush(k, true);
    site_mark(k, 0, LANE_ORDINARY); /* the cloud does not have the ledger record yet */
    assert_false(covers_is_refused(k->covers, "pump-0"));
    site_settle(k, k->now.at[0][0][1].ledger, false);
    site_mark(k, 0, LANE_ORDINARY);
    assert_true(covers_is_refused(k->covers, "pump-0"));
    assert_int_equal(status_of(k).refused_records, 1);
    site_commit(k);
    site_close(k);
    site_open(k);
    assert_true(covers_is_refused(k->covers, "pump-0"));
    k->now_ms += COVERS_AGAIN_FIRST_MS;
    site_flush(k, true);
    assert_int_equal(k->n_ledgers, 2);
    settle_all(k);
    site_mark(k, 0, LANE_ORDINARY);
    assert_false(covers_is_refused(k->covers, "pump-0"));
    assert_int_equal(k->now.at[0][0][1].what, SETTLED);
}

/* A cloud that counts nothing of a stream says nothing of it either: the device goes on asking. */
static void silence_is_an_answer_in_the_end(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 0);
    site_flush(k, true);
    for (unsigned i = 0; i < 3 * COVERS_ASKED_MAX; i++) {
        covers_reported(k->covers, site_stream(k, 0), LANE_ORDINARY, 1);
        site_flush(k, false);
    }
    assert_false(covers_is_refused(k->covers, "pump-0")); /* the ledger record is not there yet */
    site_settle(k, k->now.at[0][0][1].ledger, false);
    covers_link(k->covers, false);
    for (unsigned i = 0; i < 3 * COVERS_ASKED_MAX; i++) {
        covers_reported(k->covers, site_stream(k, 0), LANE_ORDINARY, 1);
        site_flush(k, false);
    }
    assert_false(covers_is_refused(k->covers, "pump-0")); /* with the link down there is no answer */
    covers_link(k->covers, true);
    for (unsigned i = 1; i <= COVERS_ASKED_MAX; i++) {
        covers_reported(k->covers, site_stream(k, 0), LANE_ORDINARY, 1);
        site_flush(k, false);
        assert_int_equal(covers_is_refused(k->covers, "pump-0"), i == COVERS_ASKED_MAX);
    }
}

/* Its mark went to the device and was lost here with a kill. */
static void what_a_device_let_go_of_is_done(void **state)
{
    struct site *k = *state;

    for (unsigned n = 1; n <= 3; n++)
        withhold(k, 0, LANE_ORDINARY, n, 0);
    site_flush(k, true);
    covers_reported(k->covers, site_stream(k, 0), LANE_ORDINARY, 3);
    assert_int_equal(covers_flush(k->covers, k->now_ms, false), 0);
    assert_int_equal(status_of(k).said_records, 1);
}

static void a_stream_stays_until_all_is_said(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 1);
    withhold(k, 1, LANE_ORDINARY, 1, 0);
    assert_int_equal(covers_has_open(k->covers, site_stream(k, 0)), 1);
    assert_int_equal(covers_has_open(k->covers, site_stream(k, 1)), 1);
    assert_int_equal(covers_has_open(k->covers, site_stream(k, 2)), 0);
    part(k, 0, LANE_ORDINARY, (struct interval){1, 1}, 0, true);
    assert_int_equal(covers_has_open(k->covers, site_stream(k, 0)), 1);
    site_flush(k, true);
    assert_int_equal(covers_has_open(k->covers, site_stream(k, 0)), 0);
    assert_int_equal(covers_forget(k->covers, site_stream(k, 0)), 0);
    assert_int_equal(status_of(k).said_records, 1);
}

/* Needs are of one epoch, and what was withheld is in the seen set of the store's life. */
static void another_epoch_empties_it(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 1);
    site_commit(k);
    assert_false(covers_emptied(k->covers));
    assert_int_equal(spool_new_epoch(k->spool), 0);
    assert_true(covers_wants_flush(k->covers, k->now_ms));
    assert_int_equal(covers_flush(k->covers, k->now_ms, false), 0);
    assert_true(covers_emptied(k->covers));
    assert_false(covers_emptied(k->covers));
    assert_int_equal(status_of(k).waiting_records, 0);
    assert_int_equal(spool_new_store(k->spool), 0);
    assert_int_equal(covers_flush(k->covers, k->now_ms, false), 0);
    assert_false(covers_emptied(k->covers)); /* nothing was lost by that */
    assert_int_equal(spool_commit(k->spool), 0);
    memset(&k->now, 0, sizeof k->now);
    k->committed = k->now;
}

static void needs_beyond_a_cover_wait_for_the_first_of_them(void **state)
{
    struct site *k = *state;
    unsigned n = WIRE_NEEDS_MAX + 1;

    withhold(k, 0, LANE_ORDINARY, 1, n);
    for (unsigned i = 0; i < n; i++)
        part(k, 0, LANE_ORDINARY, (struct interval){1, 1}, site_derived(k), true);
    assert_int_equal(status_of(k).covered_records, 1);
    k->now_ms += HOUR_MS;
    site_flush(k, false);
    assert_int_equal(k->n_ledgers, 0);
    site_settle(k, k->now.at[0][0][1].needs[0], true);
    k->now_ms += HOUR_MS;
    site_flush(k, false);
    assert_int_equal(k->n_ledgers, 1);
}

/* Room made for the ledger record settles what was needed: what it does not name is not taken for said. */
static void room_for_the_ledger_record_changes_nothing_of_it(void **state)
{
    struct site *k = *state;
    unsigned n = WIRE_NEEDS_MAX + 1;

    withhold(k, 0, LANE_ORDINARY, 1, n);
    for (unsigned i = 0; i < n; i++)
        part(k, 0, LANE_ORDINARY, (struct interval){1, 1}, site_derived(k), true);
    withhold(k, 1, LANE_ORDINARY, 1, 0);
    k->settled_by_room = k->now.at[0][0][1].needs[0];
    k->is_full = false;
    k->now_ms += HOUR_MS;
    site_flush(k, false);
    k->now_ms += HOUR_MS;
    site_flush(k, false);
    assert_int_equal(k->now.at[1][0][1].what, SAID);
    assert_int_equal(k->now.at[0][0][1].what, SAID);
    assert_int_equal(status_of(k).said_records, 2);
}

/* The new life that an emptied account asks for is lost with its transaction: it is asked for again. */
static void a_rollback_asks_for_the_new_life_again(void **state)
{
    struct site *k = *state;

    withhold(k, 0, LANE_ORDINARY, 1, 1);
    site_commit(k);
    assert_int_equal(spool_new_epoch(k->spool), 0);
    assert_int_equal(spool_commit(k->spool), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(spool_rollback(k->spool), 0);
        assert_int_equal(covers_reload(k->covers), 0);
        assert_true(covers_wants_flush(k->covers, k->now_ms));
        assert_int_equal(covers_flush(k->covers, k->now_ms, false), 0);
        assert_true(covers_emptied(k->covers));
        assert_int_equal(spool_new_store(k->spool), 0);
    }
    memset(&k->now, 0, sizeof k->now);
    k->committed = k->now;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_order_of_anything, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(is_cut_after_ten_seconds_or_a_thousand, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_part_counts_once_where_rows_join, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(what_was_not_withheld_needs_nothing, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_full_store_puts_off, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_refused_cover_is_said_again, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(silence_is_an_answer_in_the_end, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(what_a_device_let_go_of_is_done, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(a_stream_stays_until_all_is_said, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(another_epoch_empties_it, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(room_for_the_ledger_record_changes_nothing_of_it, site_setup,
                                        site_teardown),
        cmocka_unit_test_setup_teardown(a_rollback_asks_for_the_new_life_again, site_setup, site_teardown),
        cmocka_unit_test_setup_teardown(needs_beyond_a_cover_wait_for_the_first_of_them, site_setup,
                                        site_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
