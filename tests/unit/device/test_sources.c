/* The built-in sources, held against what they promise. */
#include "recorder.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "tests/lib/tmpdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct source_now now = {INT64_C(1700000000) * NS_PER_S, INT64_C(5000) * NS_PER_S};

static void *open_source(const struct source_kind *kind, const char *yaml,
                         const struct source_position *resume)
{
    void *config = recorder_config(kind, yaml), *self = NULL;
    struct source_open o = {.name = "s", .config = config, .run_dir = "/tmp", .resume = resume};
    struct errmsg err = {""};

    if (kind->open(&o, &self, &err) != 0)
        fail_msg("%s", err.text);
    recorder_config_free(kind, config); /* open is the last to look at it */
    return self;
}

static void run(const struct source_kind *kind, void *self, struct recorder *r, unsigned steps)
{
    int64_t next;

    if (kind->declare != NULL && r->n_groups == 0)
        assert_int_equal(kind->declare(self, &r->sink), 0);
    for (unsigned i = 0; i < steps; i++) {
        int rc = kind->step(self, &r->sink, &now, &next);

        if (rc == SOURCE_END || rc == SOURCE_WAIT)
            return;
        assert_int_equal(rc, 0);
    }
}

static void write_numbers(const char *path, unsigned n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f, "time,n\n");
    for (unsigned i = 0; i < n; i++) {
        if (i % 97 == 5)
            fprintf(f, "unreadable,%u\n", i);
        fprintf(f, "%u,%u\n", 1600000000 + i, i);
    }
    fclose(f);
}

static void csv_goes_on_exactly_behind_the_position(void **state)
{
    struct source_position position;
    bool has_position = false;
    struct rng rng = {11};
    struct tmpdir dir;
    char yaml[600];
    unsigned done = 0;
    enum { N = 3000, ROUNDS = 2 };

    (void)state;
    tmpdir_init(&dir);
    write_numbers(tmpdir_path(&dir, "n.csv"), N);
    snprintf(yaml, sizeof yaml, "path: %s\nspeed: max\nrepeat: %d\n", dir.joined, ROUNDS);
    while (done < N * ROUNDS) {
        struct recorder r;
        void *self = open_source(&source_csv, yaml, has_position ? &position : NULL);

        recorder_init(&r);
        r.room = (uint32_t)rng_below(&rng, 900); /* none at all now and then */
        run(&source_csv, self, &r, 10);
        for (uint32_t i = 0; i < r.n_rows; i++, done++) {
            assert_true(r.rows[i].cells[0].f64 == done % N);
            assert_true(r.rows[i].time_ns == (INT64_C(1600000000) + done) * NS_PER_S);
            position = r.rows[i].position;
            has_position = true;
        }
        source_csv.close(self);
        recorder_deinit(&r);
    }
    assert_int_equal(done, N * ROUNDS);
    tmpdir_deinit(&dir);
}

static void csv_starts_anew_when_the_file_was_replaced(void **state)
{
    struct source_position position;
    struct tmpdir dir;
    struct recorder r;
    char yaml[600];
    void *self;
    FILE *f;

    (void)state;
    tmpdir_init(&dir);
    write_numbers(tmpdir_path(&dir, "n.csv"), 100);
    snprintf(yaml, sizeof yaml, "path: %s\nspeed: max\n", dir.joined);
    recorder_init(&r);
    self = open_source(&source_csv, yaml, NULL);
    run(&source_csv, self, &r, 10);
    assert_int_equal(r.n_rows, 100);
    position = r.rows[50].position;
    source_csv.close(self);
    f = fopen(dir.joined, "w");
    fprintf(f, "time,other\n1600000000,7\n");
    fclose(f);
    r.n_rows = r.n_groups = 0;
    self = open_source(&source_csv, yaml, &position);
    run(&source_csv, self, &r, 10);
    assert_int_equal(r.n_rows, 1);
    assert_true(r.rows[0].cells[0].f64 == 7);
    source_csv.close(self);
    recorder_deinit(&r);
    tmpdir_deinit(&dir);
}

static void csv_starts_anew_when_the_file_has_become_shorter(void **state)
{
    struct source_position position;
    struct tmpdir dir;
    struct recorder r;
    char yaml[600];
    void *self;

    (void)state;
    tmpdir_init(&dir);
    write_numbers(tmpdir_path(&dir, "n.csv"), 100);
    snprintf(yaml, sizeof yaml, "path: %s\nspeed: max\n", dir.joined);
    recorder_init(&r);
    self = open_source(&source_csv, yaml, NULL);
    run(&source_csv, self, &r, 10);
    position = r.rows[50].position;
    source_csv.close(self);
    write_numbers(dir.joined, 20); /* the first lines are the same */
    r.n_rows = r.n_groups = 0;
    self = open_source(&source_csv, yaml, &position);
    run(&source_csv, self, &r, 10);
    assert_int_equal(r.n_rows, 20);
    source_csv.close(self);
    recorder_deinit(&r);
    tmpdir_deinit(&dir);
}

/* A file that somebody writes ends anywhere at the moment of the stop. What comes behind it then, and the
 * values that are given at the next start. */
static void csv_gives_a_last_line_again_that_has_become_longer(void **state)
{
    static const struct {
        const char *last, *more;
        double values[3]; /* NaN: no more */
    } cases[] = {
        {"2,12", ".75\n3,13\n", {12.75, 13, NAN}},
        {"2,12", "\n3,13\n", {13, NAN}},
        {"2,12", "\r\n3,13\n", {13, NAN}},
        {"2,12\r", "\n3,13\n", {13, NAN}},
        {"2,12\n", "3,13\n", {13, NAN}},
        {"2,12\n", "\n3,13", {13, NAN}},
        {"2,1", "4\n3,13", {14, 13, NAN}},
        {"\"2\",\"12\"", "\n3,13\n\"4\",\"14\"\n", {13, 14, NAN}},
        {"\"2\",\"12", "5\"\n3,13\n", {125, 13, NAN}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct source_position position;
        struct tmpdir dir;
        struct recorder r;
        char yaml[600];
        void *self;
        FILE *f;

        tmpdir_init(&dir);
        f = fopen(tmpdir_path(&dir, "n.csv"), "w");
        fprintf(f, "time,v\n0,10\n1,11\n%s", cases[i].last);
        fclose(f);
        snprintf(yaml, sizeof yaml, "path: %s\nspeed: max\n", dir.joined);
        recorder_init(&r);
        self = open_source(&source_csv, yaml, NULL);
        run(&source_csv, self, &r, 10);
        assert_int_equal(r.n_rows, 3);
        position = r.rows[2].position;
        source_csv.close(self);
        f = fopen(dir.joined, "a");
        fputs(cases[i].more, f);
        fclose(f);
        r.n_rows = r.n_groups = 0;
        self = open_source(&source_csv, yaml, &position);
        run(&source_csv, self, &r, 10);
        for (uint32_t k = 0; k < r.n_rows; k++)
            if (r.rows[k].cells[0].f64 != cases[i].values[k])
                fail_msg("case %zu, row %u: %g", i, k, r.rows[k].cells[0].f64);
        if (!isnan(cases[i].values[r.n_rows]))
            fail_msg("case %zu: %u rows", i, r.n_rows);
        source_csv.close(self);
        recorder_deinit(&r);
        tmpdir_deinit(&dir);
    }
}

/* What is due in centuries is not given at once. */
static void csv_waits_however_far_the_next_row_is(void **state)
{
    static const char *const lines[] = {"1700-01-01 00:00:00,1\n2200-01-01 00:00:00,2\n",
                                        "2000-01-01 00:00:00,1\n2000-01-01 00:00:01,2\n"};
    static const char *const speeds[] = {"2", "1e-300"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tmpdir dir;
        struct recorder r;
        char yaml[600];
        int64_t next;
        void *self;
        FILE *f;

        tmpdir_init(&dir);
        f = fopen(tmpdir_path(&dir, "n.csv"), "w");
        assert_non_null(f);
        fprintf(f, "time,n\n%s", lines[i]);
        fclose(f);
        snprintf(yaml, sizeof yaml, "path: %s\nspeed: %s\nrepeat: 2\n", dir.joined, speeds[i]);
        recorder_init(&r);
        self = open_source(&source_csv, yaml, NULL);
        assert_int_equal(source_csv.declare(self, &r.sink), 0);
        assert_int_equal(source_csv.step(self, &r.sink, &now, &next), 0);
        assert_int_equal(r.n_rows, 1);
        assert_true(next > now.mono_ns + INT64_C(86400) * 365 * NS_PER_S);
        source_csv.close(self);
        recorder_deinit(&r);
        tmpdir_deinit(&dir);
    }
}

static void csv_keeps_the_recorded_pace(void **state)
{
    struct source_now later = now;
    struct tmpdir dir;
    struct recorder r;
    char yaml[600];
    int64_t next;
    void *self;

    (void)state;
    tmpdir_init(&dir);
    write_numbers(tmpdir_path(&dir, "n.csv"), 100);
    snprintf(yaml, sizeof yaml, "path: %s\nspeed: 10\nshift_to_now: true\n", dir.joined);
    recorder_init(&r);
    self = open_source(&source_csv, yaml, NULL);
    assert_int_equal(source_csv.declare(self, &r.sink), 0);
    assert_int_equal(source_csv.step(self, &r.sink, &later, &next), 0);
    assert_int_equal(r.n_rows, 1);
    assert_true(r.rows[0].time_ns == now.wall_unix_ns);
    assert_true(next == now.mono_ns + NS_PER_S / 10);
    later.mono_ns += NS_PER_S; /* ten more are due */
    assert_int_equal(source_csv.step(self, &r.sink, &later, &next), 0);
    assert_int_equal(r.n_rows, 11);
    source_csv.close(self);
    recorder_deinit(&r);
    tmpdir_deinit(&dir);
}

static void plant_is_a_function_of_seed_and_row(void **state)
{
    static const char *const yaml[] = {"seed: 5\nfast: true\nrows: 4000\n",
                                       "seed: 6\nfast: true\nrows: 4000\n"};
    struct recorder a, b, c;
    void *self[3];
    unsigned differ = 0;

    (void)state;
    recorder_init(&a);
    recorder_init(&b);
    recorder_init(&c);
    self[0] = open_source(&source_plant, yaml[0], NULL);
    run(&source_plant, self[0], &a, 100);
    assert_int_equal(a.n_rows, 4000);
    self[1] = open_source(&source_plant, yaml[0], &a.rows[1234].position);
    run(&source_plant, self[1], &b, 100);
    assert_int_equal(b.n_rows, 4000 - 1235);
    for (uint32_t i = 0; i < b.n_rows; i++) {
        assert_true(b.rows[i].time_ns == a.rows[i + 1235].time_ns);
        assert_memory_equal(b.rows[i].cells, a.rows[i + 1235].cells, sizeof(struct cell) * a.n_channels);
    }
    self[2] = open_source(&source_plant, yaml[1], NULL);
    run(&source_plant, self[2], &c, 100);
    for (uint32_t i = 0; i < c.n_rows; i++)
        differ += a.rows[i].cells[1].f64 != c.rows[i].cells[1].f64;
    assert_true(differ > 3000);
    for (int i = 0; i < 3; i++)
        source_plant.close(self[i]);
    recorder_deinit(&a);
    recorder_deinit(&b);
    recorder_deinit(&c);
}

static void plant_stays_within_what_a_pump_can_do(void **state)
{
    struct recorder r;
    void *self = open_source(&source_plant, "seed: 9\n", NULL);

    (void)state;
    recorder_init(&r);
    run(&source_plant, self, &r, 4000);
    assert_int_equal(r.n_rows, 4000);
    for (uint32_t i = 0; i < r.n_rows; i++) {
        const struct cell *c = r.rows[i].cells;

        assert_true(c[0].f64 >= 0 && c[0].f64 < 3200);
        assert_true(c[1].f64 >= 0 && c[1].f64 < 60);
        assert_true(c[2].f64 > 0 && c[2].f64 < 12);
        assert_true(c[3].f64 > 0 && c[3].f64 < 120);
        assert_true(c[4].f64 >= 0 && c[4].f64 < 15);
        assert_true(c[5].f64 >= 0 && c[5].f64 < 40);
    }
    source_plant.close(self);
    recorder_deinit(&r);
}

static double cell_called(const struct recorder *r, const struct recorded_row *row, const char *name,
                          bool *ret_absent)
{
    for (uint32_t i = 0; i < r->n_channels; i++)
        if (strcmp(r->names[i], name) == 0) {
            *ret_absent = row->cells[i].absent;
            return row->cells[i].f64;
        }
    fail_msg("no channel %s", name);
    return 0;
}

static void host_says_plausible_things(void **state)
{
    struct source_now at = now;
    struct recorder r;
    void *self = open_source(&source_host, "", NULL);
    double used, available;
    int64_t next;
    bool absent;

    (void)state;
    recorder_init(&r);
    assert_int_equal(source_host.declare(self, &r.sink), 0);
    for (uint32_t i = 0; i < r.n_channels; i++) {
        assert_true(name_part_ok(r.names[i], strlen(r.names[i])));
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(r.names[i], r.names[k]);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(source_host.step(self, &r.sink, &at, &next), 0);
        at.mono_ns += NS_PER_S;
    }
    cell_called(&r, &r.rows[0], "cpu.user", &absent);
    assert_true(absent); /* a rate needs two readings */
    used = cell_called(&r, &r.rows[1], "memory.used", &absent);
    assert_false(absent);
    available = cell_called(&r, &r.rows[1], "memory.available", &absent);
    assert_true(used > 1e6 && available > 1e6 && used + available < 1e14);
    assert_true(cell_called(&r, &r.rows[1], "load.1min", &absent) >= 0);
    source_host.close(self);
    recorder_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_goes_on_exactly_behind_the_position),
        cmocka_unit_test(csv_starts_anew_when_the_file_was_replaced),
        cmocka_unit_test(csv_starts_anew_when_the_file_has_become_shorter),
        cmocka_unit_test(csv_gives_a_last_line_again_that_has_become_longer),
        cmocka_unit_test(csv_waits_however_far_the_next_row_is),
        cmocka_unit_test(csv_keeps_the_recorded_pace),
        cmocka_unit_test(plant_is_a_function_of_seed_and_row),
        cmocka_unit_test(plant_stays_within_what_a_pump_can_do),
        cmocka_unit_test(host_says_plausible_things),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
