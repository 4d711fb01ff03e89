/* The fast and the small encoding: what goes in comes out, whatever it is and however it starts. */
#include "round_trip.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SEEDS = 1500, HOSTILE_SEEDS = 120 };

static struct round_trip rt;

static int set_up(void **state)
{
    (void)state;
    round_trip_init(&rt);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    round_trip_deinit(&rt);
    return 0;
}

static void every_seeds_block_comes_back_however_it_starts(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= SEEDS; seed++) {
        const char *what = round_trip_seed(&rt, seed);

        if (what != NULL)
            fail_msg("seed %llu: %s", (unsigned long long)seed, what);
    }
    assert_true(rt.n_blocks > 8 * SEEDS);
    assert_true(rt.small_bytes < rt.fast_bytes && rt.fast_bytes < rt.raw_bytes);
}

static void hostile_bodies_and_starts_are_refused_or_read_but_nothing_else(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= HOSTILE_SEEDS; seed++) {
        const char *what = round_trip_hostile(&rt, seed);

        if (what != NULL)
            fail_msg("seed %llu: %s", (unsigned long long)seed, what);
    }
    /* That the check helper still knows the check: or else none would ever be read. */
    assert_true(rt.n_hostile_rows > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seeds_block_comes_back_however_it_starts),
        cmocka_unit_test(hostile_bodies_and_starts_are_refused_or_read_but_nothing_else),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
