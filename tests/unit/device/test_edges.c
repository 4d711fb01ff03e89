/* What edges come to, held against a computation that sees them all at once. */
#include "device/gpio/edges.h"

#include "base/clock.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { TRAINS = 3000, EDGES_MAX = 400, STEPS_MAX = 300 };

/* What a whole train comes to, with both hands: bursts are cut where the pause is long enough. */
struct offline {
    struct edges_accepted edges[EDGES_MAX];
    int64_t sure_ns[EDGES_MAX]; /* when each is known to count */
    unsigned n;
};

static void compute(struct offline *o, const struct gpio_edge *train, unsigned n, bool level,
                    int64_t debounce_ns)
{
    unsigned from = 0;

    o->n = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i + 1 < n && train[i + 1].mono_ns - train[i].mono_ns < debounce_ns)
            continue;
        if (train[i].active != level) {
            level = train[i].active;
            o->edges[o->n] = (struct edges_accepted){train[from].mono_ns, level};
            o->sure_ns[o->n++] = train[i].mono_ns + debounce_ns;
        }
        from = i + 1;
    }
}

static bool counts(enum edges_counted counted, bool active)
{
    return counted == EDGES_BOTH || (counted == EDGES_ACTIVE && active) ||
           (counted == EDGES_INACTIVE && !active);
}

/* Times of the counted edges that are sure at `until_ns`: how many. */
static unsigned counted_until(const struct offline *o, enum edges_counted counted, int64_t until_ns,
                              int64_t *ret_times)
{
    unsigned n = 0;

    for (unsigned i = 0; i < o->n; i++)
        if (o->sure_ns[i] <= until_ns && counts(counted, o->edges[i].active))
            ret_times[n++] = o->edges[i].at_ns;
    return n;
}

struct windows {
    int64_t start_ns, before_ns;
    double rate_before;
};

static double rate_offline(const struct offline *o, enum edges_counted counted, const struct windows *w,
                           bool is_first_window, int64_t now_ns)
{
    int64_t times[EDGES_MAX];
    unsigned all = counted_until(o, counted, now_ns, times);
    unsigned old = is_first_window ? 0 : counted_until(o, counted, w->start_ns, times);
    double bound;

    counted_until(o, counted, now_ns, times);
    if (all == 0 || (all == 1 && old == 0))
        return 0;
    if (all == old) {
        bound = (double)NS_PER_S / (double)(now_ns - times[all - 1]);
        return w->rate_before < bound ? w->rate_before : bound;
    }
    if (old == 0)
        return (all - 1) * (double)NS_PER_S / (double)(times[all - 1] - times[0]);
    if (all - old >= 2 && times[old - 1] < w->before_ns)
        return (all - old - 1) * (double)NS_PER_S / (double)(times[all - 1] - times[old]);
    return (all - old) * (double)NS_PER_S / (double)(times[all - 1] - times[old - 1]);
}

static double width_offline(const struct offline *o, int64_t now_ns)
{
    double width = NAN;

    for (unsigned i = 1; i < o->n && o->sure_ns[i] <= now_ns; i++)
        if (!o->edges[i].active)
            width = (double)(o->edges[i].at_ns - o->edges[i - 1].at_ns) / (double)NS_PER_S;
    return width;
}

static unsigned make_train(struct rng *rng, struct gpio_edge *train, bool level, int64_t debounce_ns)
{
    unsigned n = (unsigned)rng_below(rng, EDGES_MAX);
    int64_t at = 1000;

    for (unsigned i = 0; i < n; i++) {
        /* Bounces, pauses near the limit on either side, the limit itself, long rests. */
        switch (rng_below(rng, 4)) {
        case 0:
            at += 1 + (int64_t)rng_below(rng, 1000);
            break;
        case 1:
            at += debounce_ns + (int64_t)rng_below(rng, 3) - 1;
            break;
        case 2:
            at += debounce_ns > 0 ? debounce_ns : 1;
            break;
        default:
            at += 1 + (int64_t)rng_below(rng, 50 * (uint64_t)NS_PER_MS);
        }
        level = !level;
        train[i] = (struct gpio_edge){
            .mono_ns = i > 0 && at <= train[i - 1].mono_ns ? train[i - 1].mono_ns + 1 : at, .active = level};
        at = train[i].mono_ns;
    }
    return n;
}

static void same(double a, double b)
{
    if (isnan(a) && isnan(b))
        return;
    assert_true(fabs(a - b) <= 1e-9 * fabs(b));
}

struct run {
    struct edges e;
    struct offline offline;
    struct windows windows;
    bool is_first_window;
    unsigned n_accepted;
};

static void expect_next(struct run *r, const struct edges_accepted *edge, int64_t now_ns)
{
    assert_true(r->n_accepted < r->offline.n);
    assert_true(edge->at_ns == r->offline.edges[r->n_accepted].at_ns);
    assert_int_equal(edge->active, r->offline.edges[r->n_accepted].active);
    assert_true(r->offline.sure_ns[r->n_accepted] <= now_ns);
    r->n_accepted++;
}

static void hold_against(struct run *r, int64_t now_ns)
{
    int64_t times[EDGES_MAX];
    unsigned n_sure = 0;

    while (n_sure < r->offline.n && r->offline.sure_ns[n_sure] <= now_ns)
        n_sure++;
    assert_int_equal(r->n_accepted, n_sure);
    assert_int_equal(r->e.count, counted_until(&r->offline, r->e.counted, now_ns, times));
    same(r->e.width_s, width_offline(&r->offline, now_ns));
    same(edges_rate(&r->e, now_ns),
         rate_offline(&r->offline, r->e.counted, &r->windows, r->is_first_window, now_ns));
}

static void one_train(struct rng *rng)
{
    static const int64_t debounces[] = {0, 100, 5000, 3 * NS_PER_MS};
    struct gpio_edge train[EDGES_MAX];
    struct edges_accepted edge;
    bool level = rng_below(rng, 2) == 1;
    int64_t debounce_ns = debounces[rng_below(rng, 4)], now_ns = 500, end_ns;
    unsigned n = make_train(rng, train, level, debounce_ns), next = 0;
    struct run r = {.is_first_window = true, .windows = {500, 500, 0}};

    edges_init(&r.e, debounce_ns, (enum edges_counted)rng_below(rng, 3));
    edges_start(&r.e, level, now_ns);
    compute(&r.offline, train, n, level, debounce_ns);
    end_ns = (n > 0 ? train[n - 1].mono_ns : now_ns) + debounce_ns + 1;
    while (now_ns < end_ns) {
        /* Sometimes the clock alone moves on, sometimes many edges wait. */
        now_ns += 1 + (int64_t)rng_below(rng, 1 + (uint64_t)(end_ns - 500) / (1 + rng_below(rng, STEPS_MAX)));
        for (; next < n && train[next].mono_ns <= now_ns; next++)
            if (edges_take(&r.e, &train[next], &edge))
                expect_next(&r, &edge, now_ns);
        assert_true(edges_due_ns(&r.e) == INT64_MAX || r.e.bouncing);
        if (edges_advance(&r.e, now_ns, &edge))
            expect_next(&r, &edge, now_ns);
        assert_true(edges_due_ns(&r.e) > now_ns);
        hold_against(&r, now_ns);
        if (rng_below(rng, 3) == 0) {
            r.windows.rate_before =
                rate_offline(&r.offline, r.e.counted, &r.windows, r.is_first_window, now_ns);
            r.windows.before_ns = r.windows.start_ns;
            r.windows.start_ns = now_ns;
            r.is_first_window = false;
            edges_window(&r.e, now_ns);
            hold_against(&r, now_ns);
        }
    }
    assert_int_equal(r.n_accepted, r.offline.n);
    assert_int_equal(r.e.repeats, 0);
    if (n > 0)
        assert_int_equal(r.e.level, train[n - 1].active);
}

static void any_train_comes_to_what_it_does_offline(void **state)
{
    struct rng rng = {20};

    (void)state;
    for (unsigned i = 0; i < TRAINS; i++)
        one_train(&rng);
}

static bool take(struct edges *e, int64_t at_ns, bool active, struct edges_accepted *ret_edge)
{
    return edges_take(e, &(struct gpio_edge){.mono_ns = at_ns, .active = active}, ret_edge);
}

static void a_level_must_stay_exactly_so_long(void **state)
{
    struct edges_accepted edge;
    struct edges e;

    (void)state;
    edges_init(&e, 50, EDGES_ACTIVE);
    edges_start(&e, false, 0);
    assert_false(take(&e, 100, true, &edge));
    assert_true(edges_due_ns(&e) == 150);
    assert_false(edges_advance(&e, 149, &edge));
    assert_true(edges_advance(&e, 150, &edge));
    assert_true(edge.at_ns == 100 && edge.active);
    assert_int_equal(e.count, 1);
    /* A contact that bounces for long: the time is that of its first edge. */
    assert_false(take(&e, 1000, false, &edge));
    for (int64_t at = 1010; at < 1400; at += 20) {
        assert_false(take(&e, at, true, &edge));
        assert_false(take(&e, at + 10, false, &edge));
    }
    assert_true(edges_advance(&e, 1500, &edge));
    assert_true(edge.at_ns == 1000 && !edge.active);
    same(e.width_s, 900e-9);
    /* A spike is nothing. */
    assert_false(take(&e, 2000, true, &edge));
    assert_false(take(&e, 2049, false, &edge));
    assert_false(edges_advance(&e, 3000, &edge));
    assert_int_equal(e.count, 1);
}

static void edges_before_the_level_was_read_are_in_it(void **state)
{
    struct edges_accepted edge;
    struct edges e;

    (void)state;
    edges_init(&e, 0, EDGES_BOTH);
    edges_start(&e, true, 1000);
    assert_false(take(&e, 900, false, &edge));
    assert_false(take(&e, 1000, false, &edge));
    /* Between the clock and the reading of the level. */
    assert_false(take(&e, 1001, true, &edge));
    assert_int_equal(e.repeats, 0);
    assert_true(take(&e, 1002, false, &edge));
    assert_int_equal(e.count, 1);
    /* It was not seen to become active. */
    assert_true(isnan(e.width_s));
}

static void an_edge_to_the_same_level_says_that_one_was_not_seen(void **state)
{
    struct edges_accepted edge;
    struct edges e;

    (void)state;
    edges_init(&e, 0, EDGES_ACTIVE);
    edges_start(&e, false, 0);
    assert_true(take(&e, 10, true, &edge));
    assert_false(take(&e, 20, true, &edge));
    assert_int_equal(e.repeats, 1);
    assert_true(take(&e, 30, false, &edge));
    assert_true(isnan(e.width_s)); /* there were two pulses */
    /* With debounce it is a spike, and keeps a burst going. */
    edges_init(&e, 50, EDGES_ACTIVE);
    edges_start(&e, false, 0);
    assert_false(take(&e, 10, true, &edge));
    assert_false(take(&e, 40, true, &edge));
    assert_false(edges_advance(&e, 89, &edge));
    assert_true(edges_advance(&e, 90, &edge));
    assert_true(edge.at_ns == 10);
}

static void a_loss_leaves_a_level_and_no_width(void **state)
{
    struct edges_accepted edge;
    struct edges e;

    (void)state;
    edges_init(&e, 0, EDGES_ACTIVE);
    edges_start(&e, false, 0);
    assert_true(take(&e, 10, true, &edge));
    assert_false(edges_lost(&e, true, 100, &edge));
    assert_true(take(&e, 110, false, &edge));
    assert_true(isnan(e.width_s));
    assert_true(edges_lost(&e, true, 200, &edge));
    assert_true(edge.at_ns == 200 && edge.active);
    assert_int_equal(e.count, 2);
    assert_false(take(&e, 150, false, &edge)); /* from before: it is in the level */
    assert_true(take(&e, 300, false, &edge));
    assert_true(isnan(e.width_s));
    assert_true(take(&e, 400, true, &edge));
    edges_gap(&e);
    assert_true(take(&e, 500, false, &edge));
    assert_true(isnan(e.width_s));
    /* With debounce the level after a loss must stay like any other. */
    edges_init(&e, 50, EDGES_ACTIVE);
    edges_start(&e, false, 0);
    assert_false(edges_lost(&e, true, 100, &edge));
    assert_false(edges_advance(&e, 149, &edge));
    assert_true(edges_advance(&e, 150, &edge));
    assert_false(take(&e, 300, false, &edge));
    assert_true(edges_advance(&e, 350, &edge));
    assert_true(isnan(e.width_s));
}

static void a_rate_falls_when_nothing_comes(void **state)
{
    struct edges_accepted edge;
    struct edges e;

    (void)state;
    edges_init(&e, 0, EDGES_ACTIVE);
    edges_start(&e, false, 0);
    for (int64_t i = 1; i <= 10; i++) {
        assert_true(take(&e, i * NS_PER_S / 10, true, &edge));
        assert_true(take(&e, i * NS_PER_S / 10 + NS_PER_MS, false, &edge));
    }
    same(edges_rate(&e, 1100 * NS_PER_MS), 10);
    edges_window(&e, 1100 * NS_PER_MS);
    same(edges_rate(&e, 1100 * NS_PER_MS), 10); /* the last one is 100 ms ago */
    same(edges_rate(&e, 2 * NS_PER_S), 1);
    edges_window(&e, 2 * NS_PER_S);
    same(edges_rate(&e, 11 * NS_PER_S), 0.1);
    edges_window(&e, 11 * NS_PER_S);
    /* After a long rest: what goes on now, not the mean with the rest. */
    for (int64_t i = 0; i < 5; i++) {
        assert_true(take(&e, 12 * NS_PER_S + i * NS_PER_MS, true, &edge));
        assert_true(take(&e, 12 * NS_PER_S + i * NS_PER_MS + 1000, false, &edge));
    }
    same(edges_rate(&e, 13 * NS_PER_S), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_train_comes_to_what_it_does_offline),
        cmocka_unit_test(a_level_must_stay_exactly_so_long),
        cmocka_unit_test(edges_before_the_level_was_read_are_in_it),
        cmocka_unit_test(an_edge_to_the_same_level_says_that_one_was_not_seen),
        cmocka_unit_test(a_loss_leaves_a_level_and_no_width),
        cmocka_unit_test(a_rate_falls_when_nothing_comes),
    };

    return cmocka_run_group_tests_name("edges", tests, NULL, NULL);
}
