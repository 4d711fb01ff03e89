/* Conditions: by hand at their edges, and by seed against a model that lives every millisecond. */
#include "rule/rule.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static enum rule_change give(const struct rule *r, struct rule_state *s, int64_t at_ms, double x)
{
    struct rule_value v = {.type = RULE_DOUBLE, .is_good = true, .f64 = x};
    int64_t at_ns;
    enum rule_change due = rule_advance(r, s, at_ms * MS, &at_ns), said = rule_sample(r, s, &v);

    assert_true(due == RULE_SAME || said == RULE_SAME);
    return due != RULE_SAME ? due : said;
}

static void a_limit_has_a_hysteresis(void **state)
{
    static const struct {
        struct rule rule;
        double x[6];
        enum rule_change change[6];
    } cases[] = {
        {{.kind = RULE_ABOVE, .high = 30, .hysteresis = 2},
         {30, 30.5, 40, 28.5, 28, 28},
         {RULE_SAME, RULE_RAISED, RULE_SAME, RULE_SAME, RULE_CLEARED, RULE_SAME}},
        {{.kind = RULE_BELOW, .low = 5, .hysteresis = 1},
         {5, 4.9, 5.9, 4, 6, 7},
         {RULE_SAME, RULE_RAISED, RULE_SAME, RULE_SAME, RULE_CLEARED, RULE_SAME}},
        {{.kind = RULE_OUTSIDE, .low = 0, .high = 10, .hysteresis = 1},
         {0, -0.1, 11, 9.5, 9, 10.1},
         {RULE_SAME, RULE_RAISED, RULE_SAME, RULE_SAME, RULE_CLEARED, RULE_RAISED}},
        {{.kind = RULE_RATE, .high = 5, .hysteresis = 1}, /* a second apart */
         {100, 105, 99.9, 104.5, 108.5, 102},
         {RULE_SAME, RULE_SAME, RULE_RAISED, RULE_SAME, RULE_CLEARED, RULE_RAISED}},
        {{.kind = RULE_EQUALS, .equals = "3"},
         {3, 3, 3.0000001, INFINITY, 3, -3},
         {RULE_RAISED, RULE_SAME, RULE_CLEARED, RULE_SAME, RULE_RAISED, RULE_CLEARED}},
        {{.kind = RULE_STUCK, .for_ns = 2000 * MS, .hysteresis = 0.5},
         {1, 1.5, 1.2, 1.4, 1.6, 1.6},
         {RULE_SAME, RULE_SAME, RULE_RAISED, RULE_SAME, RULE_CLEARED, RULE_SAME}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rule_state s = {0};

        for (int k = 0; k < 6; k++) {
            enum rule_change got = give(&cases[i].rule, &s, 1000 * (k + 1), cases[i].x[k]);

            if (got != cases[i].change[k])
                fail_msg("%s, reading %d", rule_kind_name(cases[i].rule.kind), k);
        }
    }
}

static void a_hold_is_over_without_another_reading(void **state)
{
    const struct rule r = {.kind = RULE_ABOVE, .high = 30, .hold_ns = 3000 * MS, .clear_hold_ns = 500 * MS};
    struct rule_state s = {0};
    int64_t at_ns = 0;

    (void)state;
    assert_int_equal(give(&r, &s, 0, 31), RULE_SAME);
    assert_true(rule_deadline_ns(&r, &s) == 3000 * MS);
    assert_int_equal(give(&r, &s, 2000, 29), RULE_SAME);
    assert_true(rule_deadline_ns(&r, &s) == INT64_MAX);
    assert_int_equal(give(&r, &s, 2500, 31), RULE_SAME);
    assert_int_equal(rule_advance(&r, &s, 5499 * MS, &at_ns), RULE_SAME);
    assert_int_equal(rule_advance(&r, &s, 5600 * MS, &at_ns), RULE_RAISED);
    assert_true(at_ns == 5500 * MS);
    assert_int_equal(rule_advance(&r, &s, 9999 * MS, &at_ns), RULE_SAME);
    assert_int_equal(give(&r, &s, 10000, 30), RULE_SAME);
    assert_int_equal(rule_advance(&r, &s, 10500 * MS, &at_ns), RULE_CLEARED);
}

static void silence_is_missing_and_one_good_reading_is_not(void **state)
{
    const struct rule r = {.kind = RULE_MISSING, .for_ns = 1000 * MS};
    struct rule_value bad = {.type = RULE_DOUBLE, .f64 = 1};
    struct rule_state s = {0};
    int64_t at_ns = 0;

    (void)state;
    assert_int_equal(rule_advance(&r, &s, 0, &at_ns), RULE_SAME);
    assert_true(rule_deadline_ns(&r, &s) == 1000 * MS);
    assert_int_equal(give(&r, &s, 900, 7), RULE_SAME);
    assert_int_equal(rule_advance(&r, &s, 1800 * MS, &at_ns), RULE_SAME);
    assert_int_equal(rule_sample(&r, &s, &bad), RULE_SAME);
    assert_int_equal(give(&r, &s, 1850, NAN), RULE_SAME);
    assert_int_equal(rule_advance(&r, &s, 2000 * MS, &at_ns), RULE_RAISED);
    assert_true(at_ns == 1900 * MS);
    assert_int_equal(give(&r, &s, 2100, 7), RULE_CLEARED);
}

static void texts_bools_and_integers_are_compared_as_what_they_are(void **state)
{
    const struct rule open = {.kind = RULE_EQUALS, .equals = "open"};
    const struct rule yes = {.kind = RULE_EQUALS, .equals = "true"};
    const struct rule big = {.kind = RULE_EQUALS, .equals = "9007199254740993"};
    struct rule_value text = {.type = RULE_TEXT, .is_good = true, .text = span_of("open", 4)};
    struct rule_value flag = {.type = RULE_BOOL, .is_good = true, .i64 = 1};
    struct rule_value number = {.type = RULE_INTEGER, .is_good = true, .i64 = INT64_C(9007199254740992)};
    struct rule_state s = {0};

    (void)state;
    assert_int_equal(rule_sample(&open, &s, &text), RULE_RAISED);
    text.text.len = 3;
    assert_int_equal(rule_sample(&open, &s, &text), RULE_CLEARED);
    assert_int_equal(rule_sample(&yes, &s, &flag), RULE_RAISED);
    flag.i64 = 0;
    assert_int_equal(rule_sample(&yes, &s, &flag), RULE_CLEARED);
    assert_int_equal(rule_sample(&big, &s, &number), RULE_SAME);
    number.i64++;
    assert_int_equal(rule_sample(&big, &s, &number), RULE_RAISED);
    assert_false(rule_suits(&open, RULE_DOUBLE));
    assert_false(rule_suits(&open, RULE_BOOL));
    assert_false(rule_suits(&(struct rule){.kind = RULE_ABOVE}, RULE_TEXT));
}

static void time_that_goes_back_begins_anew(void **state)
{
    const struct rule r = {.kind = RULE_ABOVE, .high = 0, .hold_ns = 100 * MS};
    struct rule_state s = {0};

    (void)state;
    assert_int_equal(give(&r, &s, 5000, 1), RULE_SAME);
    assert_int_equal(give(&r, &s, 10, 1), RULE_SAME);
    assert_int_equal(give(&r, &s, 109, 1), RULE_SAME);
    assert_int_equal(give(&r, &s, 110, 1), RULE_RAISED);
    assert_int_equal(give(&r, &s, INT64_MIN / MS, 1), RULE_SAME);
    assert_int_equal(give(&r, &s, INT64_MAX / MS, -1), RULE_CLEARED);
}

/* ---- against a model ---- */

enum { TICKS = 400, SEEDS = 3000 };

struct tick {
    bool has, good;
    double x;
};

struct model {
    bool raised;
    int wants_for;  /* ms for which the last reading has wanted a change; -1: it does not */
    int silent_for; /* ms without a good reading */
    int same_for;   /* ms for which good readings gave the same */
    int last_at;    /* -1: none */
    double last;
};

/* 1 raise, 0 clear, -1 neither, -2 no opinion: written from the words of the documentation. */
static int opinion(const struct rule *r, struct model *m, int t, double x)
{
    double rate;

    switch (r->kind) {
    case RULE_ABOVE:
        return x > r->high ? 1 : x <= r->high - r->hysteresis ? 0 : -1;
    case RULE_BELOW:
        return x < r->low ? 1 : x >= r->low + r->hysteresis ? 0 : -1;
    case RULE_OUTSIDE:
        if (x < r->low || x > r->high)
            return 1;
        return x >= r->low + r->hysteresis && x <= r->high - r->hysteresis ? 0 : -1;
    case RULE_RATE:
        if (m->last_at < 0) {
            m->last_at = t;
            m->last = x;
            return -2;
        }
        rate = fabs(x - m->last) / ((t - m->last_at) / 1000.0);
        m->last_at = t;
        m->last = x;
        return rate > r->high ? 1 : rate <= r->high - r->hysteresis ? 0 : -1;
    case RULE_STUCK:
        if (m->last_at < 0 || fabs(x - m->last) > r->hysteresis) {
            bool first = m->last_at < 0;

            m->last_at = t;
            m->last = x;
            m->same_for = 0;
            return first ? -1 : 0;
        }
        return m->same_for * MS >= r->for_ns ? 1 : -1;
    case RULE_MISSING:
        return 0;
    case RULE_EQUALS:
        return x == 1 ? 1 : 0;
    }
    return -2;
}

static void look(const struct rule *r, struct model *m)
{
    if (m->wants_for >= 0 && m->wants_for * MS >= (m->raised ? r->clear_hold_ns : r->hold_ns)) {
        m->raised = !m->raised;
        m->wants_for = -1;
    }
}

static void live(const struct rule *r, struct model *m, int t, const struct tick *tick)
{
    int o;

    if (t > 0) {
        m->wants_for += m->wants_for >= 0;
        m->silent_for++;
        m->same_for++;
    }
    look(r, m);
    if (r->kind == RULE_MISSING && m->silent_for * MS >= r->for_ns) {
        m->raised = true;
        m->wants_for = -1;
    }
    if (!tick->has || !tick->good)
        return;
    m->silent_for = 0;
    o = opinion(r, m, t, tick->x);
    if (o == -2)
        return;
    if (o == (m->raised ? 0 : 1))
        m->wants_for = m->wants_for < 0 ? 0 : m->wants_for;
    else
        m->wants_for = -1;
    look(r, m);
}

static struct rule any_rule(struct rng *rng)
{
    struct rule r = {.kind = (enum rule_kind)rng_below(rng, RULE_EQUALS + 1), .equals = "1"};

    r.low = -1;
    r.high = r.kind == RULE_RATE ? 200 : 1;
    r.hysteresis = (double)rng_below(rng, 3) / 2;
    r.for_ns = (int64_t)(1 + rng_below(rng, 40)) * MS;
    r.hold_ns = r.kind == RULE_MISSING ? 0 : (int64_t)rng_below(rng, 20) * MS;
    r.clear_hold_ns = (int64_t)rng_below(rng, 20) * MS;
    if (rng_below(rng, 3) == 0)
        r.hold_ns = r.clear_hold_ns = 0;
    return r;
}

/* The rule is moved at readings, at its deadlines and now and then; the model at every tick. */
static void a_rule_does_what_the_model_does(void **state)
{
    uint64_t changes = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng = {seed};
        struct rule r = any_rule(&rng);
        struct rule_state s = {0};
        struct model m = {.wants_for = -1, .last_at = -1};
        uint64_t sparse = 1 + rng_below(&rng, 30);

        for (int t = 0; t < TICKS; t++) {
            struct tick tick = {.has = rng_below(&rng, sparse) == 0,
                                .good = rng_below(&rng, 8) != 0,
                                .x = (double)rng_below(&rng, 9) / 2 - 2};
            bool before = m.raised, spontaneous = rng_below(&rng, 10) == 0;
            int64_t at_ns = -1;

            live(&r, &m, t, &tick);
            if (t == 0 || tick.has || spontaneous || rule_deadline_ns(&r, &s) <= t * MS) {
                while (rule_advance(&r, &s, t * MS, &at_ns) != RULE_SAME)
                    assert_true(at_ns == t * MS);
            }
            if (tick.has) {
                struct rule_value v = {.type = RULE_DOUBLE,
                                       .is_good = tick.good || (t & 1) != 0,
                                       .f64 = tick.good ? tick.x : NAN};

                if (!tick.good && (t & 1) == 0)
                    v.f64 = tick.x;
                (void)rule_sample(&r, &s, &v);
            }
            changes += m.raised != before;
            if (s.raised != m.raised)
                fail_msg("seed %llu, %s, at %d ms: %d, the model says %d", (unsigned long long)seed,
                         rule_kind_name(r.kind), t, s.raised, m.raised);
        }
    }
    assert_true(changes > 4 * SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_has_a_hysteresis),
        cmocka_unit_test(a_hold_is_over_without_another_reading),
        cmocka_unit_test(silence_is_missing_and_one_good_reading_is_not),
        cmocka_unit_test(texts_bools_and_integers_are_compared_as_what_they_are),
        cmocka_unit_test(time_that_goes_back_begins_anew),
        cmocka_unit_test(a_rule_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
