#include "fixture.h"

#include "base/rng.h"
#include "cloud/ledger.h"

enum { NUMBERS = 200, COVERS_MAX = 12, ROUNDS = 3000 };

/* What the arithmetic must say, number by number. */
struct model {
    bool archived[NUMBERS + 1], held[NUMBERS + 1], relays[NUMBERS + 1];
    uint8_t reason[NUMBERS + 1]; /* lowest that covers it, 255: none */
    uint64_t next, lost_below;
    bool lost, with_archive;
};

struct world {
    struct model m;
    struct interval_set archived, held, relays, parts[COVERS_MAX];
    struct ledger_cover covers[2 * COVERS_MAX];
    struct ledger_lane in;
};

static void random_set(struct rng *rng, struct interval_set *s, bool *flags, unsigned n)
{
    interval_set_clear(s);
    for (unsigned i = 0; i < n; i++) {
        uint64_t from = 1 + rng_below(rng, NUMBERS), to = from + rng_below(rng, 20);

        to = to > NUMBERS ? NUMBERS : to;
        assert_int_equal(interval_set_add(s, from, to), 0);
        for (uint64_t x = from; x <= to; x++)
            flags[x] = true;
    }
}

static void world_make(struct world *w, struct rng *rng)
{
    unsigned n_covers = (unsigned)rng_below(rng, COVERS_MAX);

    memset(&w->m, 0, sizeof w->m);
    memset(w->m.reason, 255, sizeof w->m.reason);
    w->m.next = rng_below(rng, NUMBERS + 2);
    w->m.lost = rng_below(rng, 4) == 0;
    w->m.lost_below = rng_below(rng, 3) == 0 ? rng_below(rng, NUMBERS + 20) : 0;
    w->m.with_archive = rng_below(rng, 2) == 0;
    random_set(rng, &w->archived, w->m.archived, (unsigned)rng_below(rng, 10));
    random_set(rng, &w->held, w->m.held, (unsigned)rng_below(rng, 10));
    random_set(rng, &w->relays, w->m.relays, (unsigned)rng_below(rng, 3));
    for (unsigned i = 0; i < n_covers; i++) {
        bool flags[NUMBERS + 1] = {false};

        random_set(rng, &w->parts[i], flags, 1 + (unsigned)rng_below(rng, 3));
        w->covers[i] = (struct ledger_cover){.carrier = rng_below(rng, 3),
                                             .carrier_seq = i,
                                             .reason = 1 + (unsigned)rng_below(rng, 7),
                                             .at = w->parts[i].at,
                                             .n = w->parts[i].n,
                                             .samples = interval_set_count(&w->parts[i])};
        for (unsigned x = 1; x <= NUMBERS; x++)
            if (flags[x] && w->covers[i].reason < w->m.reason[x])
                w->m.reason[x] = (uint8_t)w->covers[i].reason;
    }
    w->in = (struct ledger_lane){.archived = &w->archived,
                                 .archived_samples = interval_set_count(&w->archived),
                                 .covers = w->covers,
                                 .n_covers = n_covers,
                                 .next = w->m.next,
                                 .held = &w->held,
                                 .held_count = interval_set_count(&w->held),
                                 .held_by_relays = &w->relays,
                                 .lost = w->m.lost,
                                 .lost_below = w->m.lost_below,
                                 .lost_with_archive = w->m.with_archive};
}

static void world_deinit(struct world *w)
{
    interval_set_deinit(&w->archived);
    interval_set_deinit(&w->held);
    interval_set_deinit(&w->relays);
    for (unsigned i = 0; i < COVERS_MAX; i++)
        interval_set_deinit(&w->parts[i]);
}

static void model_count(const struct model *m, struct ledger_count *c)
{
    *c = (struct ledger_count){0};
    for (unsigned x = 1; x <= NUMBERS; x++) {
        bool covered = m->reason[x] != 255;

        if (x >= m->next && !m->archived[x] && !covered)
            continue;
        c->produced++;
        if (m->archived[x]) {
            c->archived++;
        } else if (covered) {
            c->explained++;
            c->by_reason[m->reason[x]]++;
        } else if (m->relays[x] || (m->held[x] && !m->lost)) {
            c->held++;
        } else if (x < m->lost_below || (m->lost && m->with_archive)) {
            c->explained++;
            c->by_reason[FOGLINE__V1__REASON__REASON_LOST_ARCHIVE]++;
        } else if (m->lost) {
            c->explained++;
            c->by_reason[FOGLINE__V1__REASON__REASON_LOST_SPOOL]++;
        } else {
            c->unexplained++;
        }
    }
}

static void shuffle_and_repeat(struct world *w, struct rng *rng)
{
    size_t n = w->in.n_covers;

    for (size_t i = 0; i < n; i++)
        w->covers[n + i] = w->covers[rng_below(rng, n)];
    w->in.n_covers = 2 * n;
    for (size_t i = 2 * n; i > 1; i--) {
        size_t k = rng_below(rng, i);
        struct ledger_cover t = w->covers[i - 1];

        w->covers[i - 1] = w->covers[k];
        w->covers[k] = t;
    }
}

static void balance_agrees_with_a_count_of_every_number(void **state)
{
    struct rng rng = {42};
    struct world *w = calloc(1, sizeof *w);
    struct ledger_balance b = {0};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ledger_count c;

        world_make(w, &rng);
        model_count(&w->m, &c);
        assert_int_equal(ledger_lane_balance(&w->in, &b), 0);
        assert_memory_equal(&b.records, &c, sizeof c);
        assert_int_equal(interval_set_count(&b.holes), c.unexplained);
        assert_int_equal(c.produced, c.archived + c.held + c.explained + c.unexplained);
    }
    ledger_balance_deinit(&b);
    world_deinit(w);
    free(w);
}

static void order_and_repetition_of_covers_change_nothing(void **state)
{
    struct rng rng = {7};
    struct world *w = calloc(1, sizeof *w);
    struct ledger_balance a = {0}, b = {0};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        world_make(w, &rng);
        assert_int_equal(ledger_lane_balance(&w->in, &a), 0);
        shuffle_and_repeat(w, &rng);
        assert_int_equal(ledger_lane_balance(&w->in, &b), 0);
        assert_memory_equal(&a.records, &b.records, sizeof a.records);
        assert_memory_equal(&a.samples, &b.samples, sizeof a.samples);
        assert_true(interval_set_equal(&a.holes, &b.holes));
        assert_int_equal(b.samples.produced,
                         b.samples.archived + b.samples.held + b.samples.explained + b.samples.unexplained);
    }
    ledger_balance_deinit(&a);
    ledger_balance_deinit(&b);
    world_deinit(w);
    free(w);
}

static void cut_list_counts_what_it_could_not_name(void **state)
{
    struct interval_set archived = {0}, held = {0};
    struct ledger_balance b = {0};
    struct ledger_lane in = {
        .archived = &archived, .next = 101, .held = &held, .held_cut = true, .held_count = 40};

    (void)state;
    assert_int_equal(interval_set_add(&archived, 1, 10), 0);
    assert_int_equal(interval_set_add(&held, 11, 20), 0);
    assert_int_equal(interval_set_add(&archived, 51, 100), 0);
    assert_int_equal(ledger_lane_balance(&in, &b), 0);
    assert_int_equal(b.records.held, 40); /* 11-20 by name, 21-50 by count */
    assert_int_equal(b.records.unexplained, 0);
    in.held_count = 30;
    assert_int_equal(ledger_lane_balance(&in, &b), 0);
    assert_int_equal(b.records.unexplained, 10);
    ledger_balance_deinit(&b);
    interval_set_deinit(&archived);
    interval_set_deinit(&held);
}

static void samples_missing_with_no_record_missing_are_unexplained(void **state)
{
    struct interval_set archived = {0};
    struct ledger_balance b = {0};
    struct ledger_lane in = {
        .archived = &archived, .next = 11, .archived_samples = 90, .produced_samples = 100};

    (void)state;
    assert_int_equal(interval_set_add(&archived, 1, 10), 0);
    assert_int_equal(ledger_lane_balance(&in, &b), 0);
    assert_int_equal(b.records.unexplained, 0);
    assert_int_equal(b.samples.unexplained, 10);
    ledger_balance_deinit(&b);
    interval_set_deinit(&archived);
}

static void samples_of_a_corrupt_record_are_what_is_missing(void **state)
{
    struct interval_set archived = {0};
    struct ledger_balance b = {0};
    struct interval at = {11, 11};
    struct ledger_cover cover = {.reason = FOGLINE__V1__REASON__REASON_CORRUPT, .at = &at, .n = 1};
    struct ledger_lane in = {.archived = &archived,
                             .next = 12,
                             .archived_samples = 90,
                             .produced_samples = 100,
                             .covers = &cover,
                             .n_covers = 1};

    (void)state;
    assert_int_equal(interval_set_add(&archived, 1, 10), 0);
    assert_int_equal(ledger_lane_balance(&in, &b), 0);
    assert_int_equal(b.samples.by_reason[FOGLINE__V1__REASON__REASON_CORRUPT], 10);
    assert_int_equal(b.samples.unexplained, 0);
    ledger_balance_deinit(&b);
    interval_set_deinit(&archived);
}

static void samples_lost_with_the_archive_are_what_is_neither_there_nor_held(void **state)
{
    struct interval_set archived = {0}, held = {0};
    struct ledger_balance b = {0};
    struct ledger_lane in = {.archived = &archived,
                             .held = &held,
                             .next = 11,
                             .archived_samples = 50,
                             .lost_below = 11,
                             .produced_samples = 100,
                             .held_samples = 20,
                             .held_count = 2};

    (void)state;
    assert_int_equal(interval_set_add(&archived, 1, 5), 0);
    assert_int_equal(interval_set_add(&held, 9, 10), 0);
    assert_int_equal(ledger_lane_balance(&in, &b), 0);
    assert_int_equal(b.records.by_reason[FOGLINE__V1__REASON__REASON_LOST_ARCHIVE], 3);
    assert_int_equal(b.samples.by_reason[FOGLINE__V1__REASON__REASON_LOST_ARCHIVE], 30);
    assert_int_equal(b.samples.held, 20);
    assert_int_equal(b.samples.unexplained, 0);
    assert_string_equal(ledger_reason_name(FOGLINE__V1__REASON__REASON_LOST_ARCHIVE), "lost_archive");
    ledger_balance_deinit(&b);
    interval_set_deinit(&archived);
    interval_set_deinit(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balance_agrees_with_a_count_of_every_number),
        cmocka_unit_test(order_and_repetition_of_covers_change_nothing),
        cmocka_unit_test(cut_list_counts_what_it_could_not_name),
        cmocka_unit_test(samples_lost_with_the_archive_are_what_is_neither_there_nor_held),
        cmocka_unit_test(samples_missing_with_no_record_missing_are_unexplained),
        cmocka_unit_test(samples_of_a_corrupt_record_are_what_is_missing),
    };

    return cmocka_run_group_tests_name("cloud_ledger", tests, NULL, NULL);
}
