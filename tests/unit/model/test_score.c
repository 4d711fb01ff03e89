/* Scores of verdicts: by hand, and by counting all pairs. */
#include "base/rng.h"
#include "model/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void counts_and_rates_by_hand(void **state)
{
    static const struct scored rows[] = {{0.9, true}, {0.8, false}, {0.5, true}, {0.4, true}, {0.1, false}};
    struct score_counts c = score_count(rows, 5, 0.5);

    (void)state;
    assert_true(c.tp == 2 && c.fp == 1 && c.fn == 1 && c.tn == 1);
    assert_float_equal(score_f1(&c), 2.0 / 3, 1e-12);
    assert_float_equal(score_far(&c), 0.5, 1e-12);
    assert_float_equal(score_mar(&c), 1.0 / 3, 1e-12);
    assert_float_equal(score_accuracy(&c), 0.6, 1e-12);
    /* pairs that stand right: 2 of 0.9, 1 of 0.5, 1 of 0.4, of 6 */
    assert_float_equal(score_auc(rows, 5), 4.0 / 6, 1e-12);
    assert_float_equal(score_best_threshold(rows, 5), 0.4, 0);
}

static double auc_of_pairs(const struct scored *rows, size_t n)
{
    double right = 0, pairs = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            if (!rows[i].label || rows[k].label)
                continue;
            pairs++;
            right += rows[i].score > rows[k].score ? 1 : rows[i].score == rows[k].score ? 0.5 : 0;
        }
    return right / pairs;
}

static void auc_is_that_of_all_pairs_ties_for_one_half(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (int turn = 0; turn < 300; turn++) {
        struct scored rows[60];
        size_t n = 2 + rng_below(&rng, 58);
        uint64_t values = 1 + rng_below(&rng, 20);
        double best = 0, threshold;
        struct score_counts c;

        for (size_t i = 0; i < n; i++)
            rows[i] = (struct scored){(double)rng_below(&rng, values) - 5, rng_below(&rng, 3) == 0};
        if (turn % 7 == 0)
            rows[0].score = (double)INFINITY;
        rows[0].label = true;
        rows[1].label = false;
        score_sort(rows, n);
        assert_float_equal(score_auc(rows, n), auc_of_pairs(rows, n), 1e-12);
        for (size_t i = 0; i < n; i++) {
            c = score_count(rows, n, rows[i].score);
            best = fmax(best, score_f1(&c));
        }
        threshold = score_best_threshold(rows, n);
        c = score_count(rows, n, threshold);
        assert_float_equal(score_f1(&c), best, 1e-12);
        for (size_t i = 0; i < n; i++) { /* no higher one is as good */
            c = score_count(rows, n, rows[i].score);
            assert_true(rows[i].score <= threshold || score_f1(&c) < best);
        }
    }
}

static void one_class_has_no_auc(void **state)
{
    static const struct scored all[] = {{1, true}, {0, true}}, none[] = {{1, false}, {0, false}};
    struct score_counts c = score_count(none, 2, 2);

    (void)state;
    assert_true(isnan(score_auc(all, 2)) && isnan(score_auc(none, 2)) && isnan(score_auc(none, 0)));
    assert_true(isnan(score_best_threshold(none, 2)));
    assert_true(score_f1(&c) == 0 && score_far(&c) == 0 && score_mar(&c) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_rates_by_hand),
        cmocka_unit_test(auc_is_that_of_all_pairs_ties_for_one_half),
        cmocka_unit_test(one_class_has_no_auc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
