#include "base/interval.h"
#include "base/rng.h"
#include "cm.h"

#include <stdbool.h>
#include <string.h>

/* The model: one flag per number 1 .. MODEL_MAX. */
enum { MODEL_MAX = 400, N_OPS = 40000 };

struct model {
    bool has[MODEL_MAX + 2];
};

static void assert_same(const struct interval_set *s, const struct model *m)
{
    uint64_t count = 0;
    size_t i;

    for (i = 0; i < s->n; i++) {
        assert_true(s->at[i].from <= s->at[i].to);
        if (i > 0)
            assert_true(s->at[i - 1].to + 1 < s->at[i].from);
        for (uint64_t x = s->at[i].from; x <= s->at[i].to; x++)
            assert_true(m->has[x]);
    }
    for (i = 1; i <= MODEL_MAX; i++)
        count += m->has[i];
    assert_int_equal(interval_set_count(s), count);
}

static void fill(struct rng *r, struct interval_set *s, struct model *m, unsigned n)
{
    interval_set_clear(s);
    memset(m, 0, sizeof *m);
    while (n-- > 0) {
        uint64_t from = 1 + rng_below(r, MODEL_MAX), to = from + rng_below(r, 5);

        if (to > MODEL_MAX)
            to = MODEL_MAX;
        assert_int_equal(interval_set_add(s, from, to), 0);
        for (uint64_t x = from; x <= to; x++)
            m->has[x] = true;
    }
}

static void check_queries(struct rng *r, const struct interval_set *s, const struct model *m)
{
    uint64_t x = 1 + rng_below(r, MODEL_MAX), y = x + rng_below(r, 40), next, want, n_in = 0;
    bool all = true, found;
    struct interval_set with = {0};

    if (y > MODEL_MAX)
        y = MODEL_MAX;
    for (uint64_t i = x; i <= y; i++) {
        all &= m->has[i];
        n_in += m->has[i];
    }
    assert_int_equal(interval_set_has(s, x), m->has[x]);
    assert_int_equal(interval_set_covers(s, x, y), all);
    assert_int_equal(interval_set_count_in(s, x, y), n_in);
    for (want = x; want <= MODEL_MAX && !m->has[want]; want++)
        ;
    found = interval_set_next(s, x, &next);
    assert_int_equal(found, want <= MODEL_MAX);
    if (found)
        assert_int_equal(next, want);
    for (want = x; m->has[want]; want++)
        ;
    assert_int_equal(interval_set_next_missing(s, x), want);
    assert_int_equal(interval_set_copy(&with, s), 0);
    assert_true(interval_set_equal(&with, s));
    assert_int_equal(interval_set_add(&with, x, x), 0);
    assert_int_equal(interval_set_n_with(s, x), with.n);
    interval_set_deinit(&with);
}

static void single_steps_match_the_bitmap_model(void **state)
{
    struct interval_set s = {0};
    struct model m = {0};
    struct rng r = {42};

    (void)state;
    for (int op = 0; op < N_OPS; op++) {
        uint64_t from = 1 + rng_below(&r, MODEL_MAX), to = from + rng_below(&r, 12);
        bool is_add = rng_below(&r, 2) == 0;

        if (to > MODEL_MAX)
            to = MODEL_MAX;
        assert_int_equal(is_add ? interval_set_add(&s, from, to) : interval_set_remove(&s, from, to), 0);
        for (uint64_t x = from; x <= to; x++)
            m.has[x] = is_add;
        assert_same(&s, &m);
        check_queries(&r, &s, &m);
    }
    interval_set_deinit(&s);
}

static void set_algebra_matches_the_bitmap_model(void **state)
{
    struct interval_set a = {0}, b = {0};
    struct model ma, mb;
    struct rng r = {7};

    (void)state;
    for (int op = 0; op < N_OPS / 4; op++) {
        int r_op, kind = op % 3;

        fill(&r, &a, &ma, (unsigned)rng_below(&r, 60));
        fill(&r, &b, &mb, (unsigned)rng_below(&r, op % 2 ? 60 : 6));
        if (kind == 0)
            r_op = interval_set_unite(&a, &b);
        else if (kind == 1)
            r_op = interval_set_subtract(&a, &b);
        else
            r_op = interval_set_intersect(&a, &b);
        assert_int_equal(r_op, 0);
        for (int x = 1; x <= MODEL_MAX; x++)
            ma.has[x] = kind == 0 ? ma.has[x] || mb.has[x] : ma.has[x] && (kind == 2) == mb.has[x];
        assert_same(&a, &ma);
        assert_same(&b, &mb);
    }
    interval_set_deinit(&a);
    interval_set_deinit(&b);
}

static void a_set_combined_with_itself_is_sound(void **state)
{
    struct interval_set s = {0};

    (void)state;
    for (uint64_t x = 1; x < 100; x += 3)
        assert_int_equal(interval_set_add(&s, x, x), 0);
    assert_int_equal(interval_set_unite(&s, &s), 0);
    assert_int_equal(interval_set_intersect(&s, &s), 0);
    assert_int_equal(interval_set_copy(&s, &s), 0);
    assert_int_equal(s.n, 33);
    assert_int_equal(interval_set_subtract(&s, &s), 0);
    assert_int_equal(s.n, 0);
    interval_set_deinit(&s);
}

static void zero_and_max_are_never_members(void **state)
{
    struct interval_set s = {0};

    (void)state;
    assert_int_equal(interval_set_add(&s, 0, 0), 0);
    assert_int_equal(interval_set_add(&s, UINT64_MAX, UINT64_MAX), 0);
    assert_int_equal(s.n, 0);
    assert_int_equal(interval_set_add(&s, 0, UINT64_MAX), 0);
    assert_int_equal(s.n, 1);
    assert_true(s.at[0].from == 1 && s.at[0].to == UINT64_MAX - 1);
    assert_int_equal(interval_set_add(&s, 5, UINT64_MAX), 0);
    assert_true(interval_set_count(&s) == UINT64_MAX - 1);
    assert_true(interval_set_next_missing(&s, 1) == UINT64_MAX);
    assert_int_equal(interval_set_n_with(&s, 0), 1);
    assert_int_equal(interval_set_n_with(&s, UINT64_MAX), 1);
    assert_int_equal(interval_set_remove(&s, UINT64_MAX - 1, UINT64_MAX), 0);
    assert_true(s.at[0].to == UINT64_MAX - 2);
    interval_set_deinit(&s);
}

static void format_lists_and_cuts_at_whole_intervals(void **state)
{
    struct interval_set s = {0};
    char out[64], small[12];

    (void)state;
    assert_string_equal(interval_set_format(&s, out, sizeof out), "");
    assert_int_equal(interval_set_add(&s, 1, 4), 0);
    assert_int_equal(interval_set_add(&s, 7, 7), 0);
    assert_int_equal(interval_set_add(&s, 9, 12), 0);
    assert_string_equal(interval_set_format(&s, out, sizeof out), "1-4,7,9-12");
    assert_string_equal(interval_set_format(&s, small, 11), "1-4,7,9-12");
    assert_string_equal(interval_set_format(&s, small, 10), "1-4,7,...");
    assert_string_equal(interval_set_format(&s, small, 9), "1-4,...");
    assert_string_equal(interval_set_format(&s, small, 4), "...");
    interval_set_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_steps_match_the_bitmap_model),
        cmocka_unit_test(set_algebra_matches_the_bitmap_model),
        cmocka_unit_test(a_set_combined_with_itself_is_sound),
        cmocka_unit_test(zero_and_max_are_never_members),
        cmocka_unit_test(format_lists_and_cuts_at_whole_intervals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
