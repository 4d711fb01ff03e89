/* Policies of channels: what is sent, what that says of the rest, and windows. */
#include "keep/keep.h"

#include "device/keep/what_if.h"
#include "tests/lib/tmpdir.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

/* One channel, and what a reader would have of it. */
struct probe {
    struct keep_rule rule;
    struct keep_channel state;
    uint8_t text[KEEP_TEXT_BYTES];
    uint64_t n, n_sent;
    struct cell held; /* the last one sent */
    int64_t held_ns;
};

static struct probe probe_of(struct keep_rule rule)
{
    return (struct probe){.rule = rule};
}

/* Was it sent? */
static bool give(struct probe *p, int64_t time_ns, struct cell cell)
{
    bool sent = keep_judge(&p->rule, &p->state, time_ns, &cell) == KEEP_SEND;

    p->state.text = p->text;
    keep_took(&p->rule, &p->state, time_ns, &cell, sent);
    p->n++;
    if (sent) {
        p->n_sent++;
        p->held = cell;
        p->held_ns = time_ns;
    }
    return sent;
}

static struct cell number(double v)
{
    return (struct cell){.f64 = v};
}

static void a_change_leaves_the_deadband(void **state)
{
    struct probe p =
        probe_of((struct keep_rule){.policy = KEEP_CHANGE, .type = COLUMN_DOUBLE, .deadband = 0.5});

    (void)state;
    assert_true(give(&p, 0, number(10)));
    assert_false(give(&p, 1, number(10.5)));
    assert_false(give(&p, 2, number(9.5)));
    assert_true(give(&p, 3, number(10.5 + 1e-9)));
    /* from the last one sent, not from the last one seen: no drift gets away */
    for (int i = 1; i <= 50; i++)
        assert_int_equal(give(&p, 3 + i, number(10.5 + 1e-9 + i * 0.02)), i == 26);
    assert_true(give(&p, 100, number(NAN)));
    assert_false(give(&p, 101, number(NAN)));
    assert_true(give(&p, 102, number(INFINITY)));
    assert_false(give(&p, 103, number(INFINITY)));
    assert_true(give(&p, 104, number(-INFINITY)));
}

static void percent_is_of_the_last_one_sent(void **state)
{
    struct probe p =
        probe_of((struct keep_rule){.policy = KEEP_CHANGE, .type = COLUMN_DOUBLE, .deadband_percent = 10});

    (void)state;
    assert_true(give(&p, 0, number(-100)));
    assert_false(give(&p, 1, number(-91)));
    assert_true(give(&p, 2, number(-89)));
    assert_true(give(&p, 3, number(0)));
    assert_true(give(&p, 4, number(5e-324)));
}

static void integers_are_compared_exactly(void **state)
{
    struct probe p = probe_of((struct keep_rule){.policy = KEEP_CHANGE, .type = COLUMN_INT64, .deadband = 1});

    (void)state;
    assert_true(give(&p, 0, (struct cell){.i64 = INT64_MAX}));
    assert_false(give(&p, 1, (struct cell){.i64 = INT64_MAX - 1}));
    assert_true(give(&p, 2, (struct cell){.i64 = INT64_MAX - 2}));
    assert_true(give(&p, 3, (struct cell){.i64 = INT64_MIN}));
    p = probe_of((struct keep_rule){.policy = KEEP_CHANGE, .type = COLUMN_INT64, .deadband = 1e300});
    assert_true(give(&p, 0, (struct cell){.i64 = INT64_MAX}));
    assert_false(give(&p, 1, (struct cell){.i64 = INT64_MIN}));
}

static void texts_and_quality_are_told_at_once(void **state)
{
    struct probe p =
        probe_of((struct keep_rule){.policy = KEEP_CHANGE, .type = COLUMN_TEXT, .min_interval_ns = S});
    struct cell bad = {.quality = QUALITY_BAD, .text = {(const uint8_t *)"on", 2}};

    (void)state;
    p.state.text = p.text;
    assert_true(give(&p, 0, (struct cell){.text = span_of("on", 2)}));
    assert_false(give(&p, 2 * S, (struct cell){.text = span_of("on", 2)}));
    assert_true(give(&p, 3 * S, (struct cell){.text = span_of("off", 3)}));
    assert_false(give(&p, 3 * S + 1, (struct cell){.text = span_of("on", 2)}));
    assert_true(give(&p, 3 * S + 2, bad));
}

/* A channel that is read is never silent for longer than max_silence and an interval: what is, is dead. */
static void flat_is_told_from_dead_by_silence(void **state)
{
    struct probe p = probe_of((struct keep_rule){
        .policy = KEEP_CHANGE, .type = COLUMN_DOUBLE, .deadband = 1e9, .max_silence_ns = 60 * S});
    int64_t last_ns = 0;

    (void)state;
    for (int64_t t = 0; t < 3600; t += 7) {
        if (!give(&p, t * S, number((double)t)))
            continue;
        assert_true(t * S - last_ns < 60 * S + 7 * S);
        last_ns = t * S;
    }
    assert_true(3600 * S - last_ns < 60 * S + 7 * S);
    assert_int_equal(p.n_sent, 58); /* each 63 s */
}

static void what_comes_back_and_what_comes_late_is_sent(void **state)
{
    struct keep_rule rule = {.policy = KEEP_CHANGE, .type = COLUMN_DOUBLE, .deadband = 1};
    struct probe p = probe_of(rule);

    (void)state;
    assert_true(give(&p, 10 * S, number(1)));
    keep_was_absent(&p.rule, &p.state);
    assert_true(give(&p, 11 * S, number(1)));
    p.rule.rows_are_partial = true;
    keep_was_absent(&p.rule, &p.state);
    assert_false(give(&p, 12 * S, number(1)));
    /* the reader sorts by time: the late one is not the last, and what follows it is told again */
    assert_true(give(&p, 5 * S, number(1)));
    assert_true(give(&p, 13 * S, number(1)));
    assert_false(give(&p, 14 * S, number(1)));
    /* a clock that was set back begins anew */
    assert_true(give(&p, 14 * S - 2 * KEEP_LATE_NS, number(1)));
    assert_false(give(&p, 15 * S - 2 * KEEP_LATE_NS, number(1)));
}

static void a_minimum_interval_thins_any_channel(void **state)
{
    struct probe p = probe_of((struct keep_rule){.type = COLUMN_DOUBLE, .min_interval_ns = 10 * S});

    (void)state;
    for (int64_t t = 0; t < 100; t++)
        assert_int_equal(give(&p, t * S, number((double)t)), t % 10 == 0);
    assert_false(keep_does_anything(&(struct keep_rule){.type = COLUMN_DOUBLE}));
    assert_false(keep_does_anything(&(struct keep_rule){.policy = KEEP_BOUND, .type = COLUMN_DOUBLE}));
    assert_false(keep_does_anything(&(struct keep_rule){.policy = KEEP_AGGREGATE, .type = COLUMN_TEXT}));
    assert_true(keep_does_anything(&(struct keep_rule){.policy = KEEP_LOCAL, .type = COLUMN_TEXT}));
}

static void windows_count_what_can_be_counted(void **state)
{
    struct keep_rule rule = {.policy = KEEP_AGGREGATE, .type = COLUMN_DOUBLE, .aggregate_ns = 10 * S};
    struct keep_window w = {0};
    struct cell cells[KEEP_WINDOW_CELLS];
    struct cell bad = {.quality = QUALITY_BAD, .f64 = 1e9}, far = number(1.7e308), near = number(-1.7e308);

    (void)state;
    assert_true(keep_window_start(-1, 10) == -10 && keep_window_start(19, 10) == 10 &&
                keep_window_start(INT64_MIN, 1000) == INT64_MIN);
    keep_window_add(&w, &rule, 25 * S, &bad);
    assert_true(w.start_ns == 20 * S);
    keep_window_cells(&w, cells);
    assert_true(cells[KEEP_COUNT].i64 == 0 && cells[KEEP_COUNT].quality == QUALITY_BAD &&
                cells[KEEP_MEAN].absent);
    for (int i = 1; i <= 4; i++) {
        struct cell c = number(i);

        keep_window_add(&w, &rule, 25 * S + i, &c);
    }
    keep_window_cells(&w, cells);
    assert_true(cells[KEEP_COUNT].i64 == 4 && cells[KEEP_MIN].f64 == 1 && cells[KEEP_MAX].f64 == 4 &&
                cells[KEEP_MEAN].f64 == 2.5 && cells[KEEP_MEAN].quality == QUALITY_UNCERTAIN);
    w = (struct keep_window){0};
    keep_window_add(&w, &rule, 0, &far);
    keep_window_add(&w, &rule, 1, &near);
    assert_true(w.mean == 0 && keep_window_quality(&w) == QUALITY_GOOD);
}

/* ---- the property: the last one sent stands for every sample within the deadband ---- */

static void check_cell(struct probe *p, int64_t time_ns, double v)
{
    double limit;

    give(p, time_ns, number(v));
    if (memcmp(&v, &p->held.f64, sizeof v) == 0)
        return;
    limit = p->rule.deadband_percent > 0 ? fabs(p->held.f64) * (p->rule.deadband_percent / 100)
                                         : p->rule.deadband;
    if (!(fabs(v - p->held.f64) <= limit))
        fail_msg("%.17g stands for %.17g, deadband %.17g", p->held.f64, v, limit);
    if (p->rule.max_silence_ns > 0 && time_ns - p->held_ns >= p->rule.max_silence_ns)
        fail_msg("silent for longer than may be");
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Walks, steps on the edge of the deadband, ramps, spikes, any bits. */
static double adversary(uint64_t *x, unsigned kind, double last, double deadband)
{
    uint64_t r = next_random(x);
    double u = (double)(r >> 11) / 9007199254740992.0 - 0.5, any;

    switch (kind % 6) {
    case 0:
        return last + u * deadband;
    case 1:
        return last + (r % 3 == 0 ? deadband : r % 3 == 1 ? -deadband : nextafter(deadband, INFINITY));
    case 2:
        return last + deadband / 7;
    case 3:
        return r % 50 == 0 ? u * 1e300 : last * (1 + u * 1e-15);
    case 4:
        return r % 4 == 0 ? NAN : r % 5 == 0 ? -0.0 : r % 7 == 0 ? INFINITY : u;
    default:
        memcpy(&any, &r, sizeof any);
        return any;
    }
}

static void no_adversary_gets_out_of_the_deadband(void **state)
{
    static const double deadbands[] = {0, 5e-324, 1e-9, 0.1, 3, 1e300};
    uint64_t x = 0x9e3779b97f4a7c15;

    (void)state;
    for (unsigned round = 0; round < 600; round++) {
        double deadband = deadbands[round % 6], last = 0;
        struct keep_rule rule = {.policy = KEEP_CHANGE,
                                 .type = COLUMN_DOUBLE,
                                 .deadband = deadband,
                                 .deadband_percent = round % 11 == 0 ? 2.5 : 0,
                                 .max_silence_ns = round % 2 == 0 ? 20 * S : 0};
        struct probe p = probe_of(rule);
        int64_t t = 0;

        for (unsigned i = 0; i < 2000; i++) {
            t += (int64_t)(next_random(&x) % (2 * (uint64_t)S));
            last = adversary(&x, round / 6 + (round % 13 == 0 ? i : 0), last, deadband);
            check_cell(&p, t, last);
        }
    }
}

/* Every policy of the ladder through the codec and back: none is off by more than it says. */
static uint64_t try_policies(const struct codec_table *t, const char *path)
{
    struct what_if_options o = {.table = t, .only_column = -1, .block_rows = 1000};
    struct what_if_policy ladder[WHAT_IF_POLICIES_MAX];
    struct what_if *w;
    unsigned n;
    int rc = what_if_new(&w, &o);

    if (rc == -ENODATA)
        return 0;
    assert_int_equal(rc, 0);
    n = what_if_ladder(w, ladder);
    for (unsigned i = 0; i < n; i++) {
        struct what_if_result r;

        assert_int_equal(what_if_run(w, &ladder[i], &r), 0);
        if (ladder[i].policy != KEEP_AGGREGATE && !(r.worst <= ladder[i].percent / 100 * (1 + 1e-12)))
            fail_msg("%s: %s: off by %.17g %% of the range", path, ladder[i].name, 100 * r.worst);
    }
    what_if_free(w);
    return n * t->n_samples;
}

static void blocks_are_cut_by_time_as_by_rows(void **state)
{
    static const struct {
        uint32_t block_rows, blocks;
        int64_t pack_ns;
    } cases[] = {{100, 10, 0}, {100, 1000, S}, {100, 100, 10 * S}, {100, 10, 1000 * S}, {5, 200, 10 * S}};
    struct tmpdir dir;
    struct codec_table *t;
    struct csv_options csv = {.zone = "UTC"};
    struct errmsg err = {""};
    uint64_t last_bytes = 0;
    FILE *f;

    (void)state;
    tmpdir_init(&dir);
    f = fopen(tmpdir_path(&dir, "n.csv"), "w");
    fprintf(f, "time,v\n");
    for (unsigned i = 0; i < 1000; i++)
        fprintf(f, "%u,%u\n", 1700000000 + i, i % 7);
    fclose(f);
    assert_int_equal(codec_table_new(&t, dir.joined, &csv, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct what_if_options o = {
            .table = t, .only_column = -1, .block_rows = cases[i].block_rows, .pack_ns = cases[i].pack_ns};
        struct what_if_policy raw = {.policy = KEEP_RAW};
        struct what_if_result r;
        struct what_if *w;

        assert_int_equal(what_if_new(&w, &o), 0);
        assert_int_equal(what_if_run(w, &raw, &r), 0);
        assert_int_equal(r.blocks, cases[i].blocks);
        if (cases[i].blocks > 100)
            assert_true(r.bytes > last_bytes);
        last_bytes = r.bytes;
        what_if_free(w);
    }
    codec_table_free(t);
    tmpdir_deinit(&dir);
}

static void a_recording_of_centuries_is_tried(void **state)
{
    struct what_if_options o = {.only_column = -1, .block_rows = 100};
    struct what_if_policy ladder[WHAT_IF_POLICIES_MAX];
    struct tmpdir dir;
    struct codec_table *t;
    struct csv_options csv = {.zone = "UTC"};
    struct errmsg err = {""};
    struct what_if *w;
    FILE *f;

    (void)state;
    tmpdir_init(&dir);
    f = fopen(tmpdir_path(&dir, "n.csv"), "w");
    fprintf(f, "time,v\n-9200000000,1\n0,2\n9200000000,3\n");
    fclose(f);
    assert_int_equal(codec_table_new(&t, dir.joined, &csv, &err), 0);
    o.table = t;
    assert_int_equal(what_if_new(&w, &o), 0);
    assert_true(what_if_recording(w)->days > 100 * 365);
    for (unsigned i = 0, n = what_if_ladder(w, ladder); i < n; i++) {
        struct what_if_result r;

        assert_int_equal(what_if_run(w, &ladder[i], &r), 0);
    }
    what_if_free(w);
    codec_table_free(t);
    tmpdir_deinit(&dir);
}

static uint64_t check_file(const char *path)
{
    static const double fractions[] = {0.0005, 0.001, 0.005, 0.01, 0.05};
    struct codec_table *t;
    struct csv_options o = {.zone = "UTC"};
    struct errmsg err = {""};
    uint64_t n = 0;

    if (codec_table_new(&t, path, &o, &err) != 0)
        return 0; /* not a table of a source */
    for (uint32_t c = 0; c < t->n_columns; c++) {
        double min = INFINITY, max = -INFINITY;

        if (t->types[c] != COLUMN_DOUBLE)
            continue;
        for (uint64_t i = 0; i < t->n_rows; i++)
            if (isfinite(t->columns[c].f64[i])) {
                min = fmin(min, t->columns[c].f64[i]);
                max = fmax(max, t->columns[c].f64[i]);
            }
        for (size_t f = 0; max > min && f < sizeof fractions / sizeof fractions[0]; f++) {
            struct probe p = probe_of((struct keep_rule){
                .policy = KEEP_CHANGE, .type = COLUMN_DOUBLE, .deadband = (max - min) * fractions[f]});

            for (uint64_t i = 0; i < t->n_rows; i++) {
                if (t->columns[c].absent != NULL && t->columns[c].absent[i])
                    continue;
                check_cell(&p, (int64_t)i * S, t->columns[c].f64[i]);
                n++;
            }
        }
    }
    n += try_policies(t, path);
    codec_table_free(t);
    return n;
}

static uint64_t check_folder(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *e;
    uint64_t n = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char at[4096];
        size_t len = strlen(e->d_name);

        snprintf(at, sizeof at, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.')
            continue;
        if (len > 4 && strcmp(e->d_name + len - 4, ".csv") == 0)
            n += check_file(at);
        else if (depth > 0)
            n += check_folder(at, depth - 1);
    }
    if (d != NULL)
        closedir(d);
    return n;
}

static void no_real_series_gets_out_of_the_deadband(void **state)
{
    const char *folder = getenv("FOGLINE_DATA_DIR");
    uint64_t n;

    (void)state;
    if (folder == NULL) {
        print_message("FOGLINE_DATA_DIR is not set: skipped\n");
        skip();
    }
    n = check_folder(folder, 4);
    print_message("%llu samples judged\n", (unsigned long long)n);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_leaves_the_deadband),
        cmocka_unit_test(blocks_are_cut_by_time_as_by_rows),
        cmocka_unit_test(a_recording_of_centuries_is_tried),
        cmocka_unit_test(percent_is_of_the_last_one_sent),
        cmocka_unit_test(integers_are_compared_exactly),
        cmocka_unit_test(texts_and_quality_are_told_at_once),
        cmocka_unit_test(flat_is_told_from_dead_by_silence),
        cmocka_unit_test(what_comes_back_and_what_comes_late_is_sent),
        cmocka_unit_test(a_minimum_interval_thins_any_channel),
        cmocka_unit_test(windows_count_what_can_be_counted),
        cmocka_unit_test(no_adversary_gets_out_of_the_deadband),
        cmocka_unit_test(no_real_series_gets_out_of_the_deadband),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
