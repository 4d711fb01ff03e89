/* The spool against a model of plain arrays: random work, random aborts, random reopens; always the same
 * seeds. */
#include "helper.h"

#include "base/rng.h"

#include <stdio.h>
#include <string.h>

enum { STREAMS = 3, COUNTS = 160, REASONS = 3 };

struct model_lane {
    uint64_t next;
    uint16_t len[COUNTS]; /* of what is held, plus one; 0: not held */
    bool seen[COUNTS];
    bool account[REASONS][COUNTS];
    uint64_t account_samples[REASONS];
};

struct model {
    struct model_lane lane[STREAMS][SPOOL_LANES]; /* stream 0 is the own one */
    bool made[STREAMS];
    uint64_t fact;
};

struct world {
    struct model now, committed;
    struct spool_options o;
    struct spool *sp;
    struct rng rng;
};

static struct id128 epoch_of(unsigned i)
{
    return (struct id128){{(uint8_t)i, 9}};
}

static struct spool_stream *stream_of(struct world *w, unsigned i)
{
    struct id128 epoch = epoch_of(i);
    char name[16];

    if (i == 0)
        return spool_own(w->sp);
    snprintf(name, sizeof name, "dev-%u", i + 1);
    return spool_find(w->sp, name, &epoch);
}

static void check_lane(struct world *w, struct spool_stream *s, unsigned lane, const struct model_lane *m)
{
    uint64_t x, n_bytes = 0, n_samples = 0;
    int code;

    for (x = 1; x < COUNTS; x++) {
        assert_int_equal(interval_set_has(&s->lane[lane].held, x), m->len[x] > 0);
        assert_int_equal(interval_set_has(&s->lane[lane].seen, x), m->seen[x]);
        if (m->len[x] > 0) {
            n_bytes += spool_charge_bytes(m->len[x] - 1);
            n_samples += ((uint64_t)lane << 56 | x) % 10;
        }
        if (rng_below(&w->rng, 4) == 0) {
            assert_true(helper_intact(w->sp, s, (uint64_t)lane << 56 | x, &code));
            assert_int_equal(code, m->len[x] > 0 ? 0 : DB_NOT_FOUND);
        }
    }
    assert_true(s->lane[lane].held_bytes == n_bytes);
    assert_true(s->lane[lane].held_samples == n_samples);
    assert_true(s->lane[lane].next == m->next);
}

struct tally {
    struct world *w;
    struct model got;
};

static int tally_row(void *ctx, const struct spool_account_row *row)
{
    struct tally *t = ctx;
    struct model_lane *l = NULL;
    unsigned i;
    uint64_t x;

    for (i = 0; i < STREAMS; i++)
        if (stream_of(t->w, i) == row->stream)
            l = &t->got.lane[i][row->lane];
    assert_non_null(l);
    for (x = row->range.from; x <= row->range.to; x++) {
        assert_false(l->account[row->reason - 1][x]);
        l->account[row->reason - 1][x] = true;
    }
    l->account_samples[row->reason - 1] += row->samples;
    return 0;
}

static void check(struct world *w)
{
    static struct tally tally;
    struct db_txn *t;
    uint64_t fact = 0;
    unsigned i, lane;

    assert_int_equal(spool_read(w->sp, &t), 0);
    for (i = 0; i < STREAMS; i++) {
        struct spool_stream *s = stream_of(w, i);

        assert_int_equal(s != NULL, w->now.made[i]);
        for (lane = 0; s != NULL && lane < SPOOL_LANES; lane++)
            check_lane(w, s, lane, &w->now.lane[i][lane]);
    }
    spool_read_done(w->sp);
    memset(&tally, 0, sizeof tally);
    tally.w = w;
    assert_int_equal(spool_account_each(w->sp, tally_row, &tally), 0);
    for (i = 0; i < STREAMS; i++)
        for (lane = 0; lane < SPOOL_LANES; lane++) {
            assert_memory_equal(tally.got.lane[i][lane].account, w->now.lane[i][lane].account,
                                sizeof tally.got.lane[i][lane].account);
            assert_memory_equal(tally.got.lane[i][lane].account_samples, w->now.lane[i][lane].account_samples,
                                sizeof tally.got.lane[i][lane].account_samples);
        }
    if (w->now.fact != 0)
        assert_int_equal(spool_fact_get_u64(w->sp, "fact", &fact), 0);
    assert_true(fact == w->now.fact);
}

static void work_on_account(struct world *w, struct spool_stream *s, struct model_lane *m, unsigned lane,
                            struct interval range)
{
    unsigned reason = (unsigned)rng_below(&w->rng, REASONS);
    struct spool_account_row row = {.stream = s,
                                    .lane = lane,
                                    .reason = (uint8_t)(reason + 1),
                                    .range = range,
                                    .samples = rng_below(&w->rng, 100)};
    bool is_new = false;
    uint64_t x;

    for (x = range.from; x <= range.to; x++)
        is_new |= !m->account[reason][x];
    assert_int_equal(spool_account_add(w->sp, &row), 0);
    memset(&m->account[reason][range.from], true, range.to - range.from + 1);
    if (is_new)
        m->account_samples[reason] += row.samples;
}

static void work_take(struct world *w)
{
    struct spool_account_row rows[5];
    size_t n, i;

    assert_int_equal(spool_account_take(w->sp, rows, 5, &n), 0);
    for (i = 0; i < n; i++) {
        unsigned k;

        for (k = 0; k < STREAMS; k++) {
            struct model_lane *m = &w->now.lane[k][rows[i].lane];

            if (stream_of(w, k) != rows[i].stream)
                continue;
            memset(&m->account[rows[i].reason - 1][rows[i].range.from], false,
                   rows[i].range.to - rows[i].range.from + 1);
            m->account_samples[rows[i].reason - 1] -= rows[i].samples;
        }
    }
}

static void work_record(struct world *w, struct spool_stream *s, struct model_lane *m, unsigned lane,
                        uint64_t x)
{
    size_t len = rng_below(&w->rng, 10) == 0 ? rng_below(&w->rng, 5000) : rng_below(&w->rng, 200);
    uint64_t seq = s->own ? spool_next_seq(w->sp, lane) : (uint64_t)lane << 56 | x, got;
    struct spool_record r = helper_record(seq, len);

    if (!s->own) {
        assert_int_equal(spool_put(w->sp, s, seq, &r), 0);
        if (m->len[x] == 0)
            m->len[x] = (uint16_t)(len + 1);
    } else if (m->next < COUNTS) {
        assert_int_equal(spool_append(w->sp, lane, &r, &got), 0);
        m->len[m->next++] = (uint16_t)(len + 1);
    }
}

static void work(struct world *w)
{
    unsigned i = (unsigned)rng_below(&w->rng, STREAMS), lane = (unsigned)rng_below(&w->rng, SPOOL_LANES);
    struct model_lane *m = &w->now.lane[i][lane];
    struct spool_stream *s = stream_of(w, i);
    struct id128 epoch = epoch_of(i);
    struct interval range = {1 + rng_below(&w->rng, COUNTS - 1), 0};
    char name[16];

    range.to = range.from + rng_below(&w->rng, 12);
    if (range.to >= COUNTS)
        range.to = COUNTS - 1;
    if (s == NULL) {
        snprintf(name, sizeof name, "dev-%u", i + 1);
        assert_int_equal(spool_stream_make(w->sp, name, &epoch, &s), 0);
        w->now.made[i] = true;
    }
    switch (rng_below(&w->rng, 12)) {
    case 0:
        assert_int_equal(spool_remove(w->sp, s, lane, range, NULL), 0);
        memset(&m->len[range.from], 0, (range.to - range.from + 1) * sizeof m->len[0]);
        break;
    case 1:
    case 2:
        if (s->own)
            break;
        assert_int_equal(spool_seen_add(w->sp, s, lane, range), 0);
        memset(&m->seen[range.from], true, range.to - range.from + 1);
        break;
    case 3:
    case 4:
        work_on_account(w, s, m, lane, range);
        break;
    case 5:
        work_take(w);
        break;
    case 6:
        w->now.fact = 1 + rng_below(&w->rng, 1000);
        assert_int_equal(spool_fact_put_u64(w->sp, "fact", w->now.fact), 0);
        break;
    case 7:
        if (s->own)
            break;
        if (spool_stream_forget(w->sp, s) == 0) {
            w->now.made[i] = false;
            memset(w->now.lane[i], 0, sizeof w->now.lane[i]);
        }
        break;
    default:
        work_record(w, s, m, lane, range.from);
    }
}

static void spool_agrees_with_its_model(void **state)
{
    enum { SEEDS = 12, STEPS = 1500 };
    static struct world w;
    char dir[HELPER_PATH_BYTES];
    unsigned seed, step;

    (void)state;
    for (seed = 1; seed <= SEEDS; seed++) {
        helper_dir_make(dir);
        memset(&w, 0, sizeof w);
        w.rng.state = seed;
        w.o = helper_spool(dir);
        w.o.db.map_bytes = 16 << 20;
        w.sp = helper_open(&w.o);
        w.now.made[0] = true;
        w.now.lane[0][0].next = w.now.lane[0][1].next = 1;
        w.committed = w.now;
        for (step = 0; step < STEPS; step++) {
            uint64_t dice = rng_below(&w.rng, 60);

            if (dice > 4) {
                work(&w);
                continue;
            }
            if (dice < 3) {
                assert_int_equal(spool_commit(w.sp), 0);
                w.committed = w.now;
            } else {
                if (dice == 3)
                    assert_int_equal(spool_rollback(w.sp), 0);
                else {
                    spool_close(w.sp);
                    w.sp = helper_open(&w.o);
                }
                w.now = w.committed;
            }
            check(&w);
        }
        spool_close(w.sp);
        helper_dir_remove(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(spool_agrees_with_its_model)};

    return cmocka_run_group_tests_name("spool-model", tests, NULL, NULL);
}
