/* The plan of the arena: no two blocks that live at the same time overlap, and it is near the least there is.
 */
#include "base/rng.h"
#include "infer/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

enum { BLOCKS = 120 };

static bool overlap(const struct arena_block *a, const struct arena_block *b)
{
    return a->bytes > 0 && b->bytes > 0 && a->first <= b->last && b->first <= a->last &&
           a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void nothing_overlaps(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct arena_block blocks[BLOCKS];
        size_t n = rng_below(&rng, BLOCKS), total, least = 0, all = 0;

        for (size_t i = 0; i < n; i++) {
            blocks[i] = (struct arena_block){.bytes = rng_below(&rng, 5) == 0 ? 0 : rng_below(&rng, 3000),
                                             .first = (uint32_t)rng_below(&rng, 30)};
            blocks[i].last = blocks[i].first + (uint32_t)rng_below(&rng, 8);
            all += (blocks[i].bytes + 63) / 64 * 64;
        }
        assert_int_equal(arena_place(blocks, n, &total), 0);
        for (uint32_t step = 0; step < 40; step++) {
            size_t live = 0;

            for (size_t i = 0; i < n; i++)
                live +=
                    step >= blocks[i].first && step <= blocks[i].last ? (blocks[i].bytes + 63) / 64 * 64 : 0;
            least = live > least ? live : least;
        }
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(blocks[i].offset % 64, 0);
            assert_true(blocks[i].offset + blocks[i].bytes <= total);
            for (size_t k = 0; k < i; k++)
                assert_false(overlap(&blocks[i], &blocks[k]));
        }
        assert_true(total >= least && total <= all && total <= least + least / 2);
    }
}

/* Layer after layer of one size needs two of them, not one each. */
static void a_chain_needs_two(void **state)
{
    struct arena_block blocks[50];
    size_t total;

    (void)state;
    for (uint32_t i = 0; i < 50; i++)
        blocks[i] = (struct arena_block){.bytes = 1000, .first = i, .last = i + 1};
    assert_int_equal(arena_place(blocks, 50, &total), 0);
    assert_int_equal(total, 2048);
    assert_int_equal(arena_place(blocks, 0, &total), 0);
    assert_int_equal(total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_overlaps),
        cmocka_unit_test(a_chain_needs_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
