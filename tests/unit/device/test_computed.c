/* Sources that are computed from others: models built by hand, and detectors, driven as the act thread does.
 */
#include "device_model.h"
#include "recorder.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "device/infer/worker.h"
#include "tests/lib/tmpdir.h"
#include "wire/wire.h"

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    NOTE = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
    FAILED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED,
    RECOVERED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
};

struct bench {
    struct tmpdir dir;
    const struct source_kind *kind;
    void *self;
    struct recorder recorder;
    struct worker *worker;
    bool replayed;
    int64_t budget_us;
};

static void write_model(struct bench *b, enum device_model kind, float gain, const uint8_t *secret)
{
    owned(buf_deinit) struct buf file = {0};

    device_model_write(kind, gain, secret, &file);
    assert_int_equal(file_write_atomic(tmpdir_path(&b->dir, "m.fgm"), span_of(file.data, file.len), 0600), 0);
}

static void open_source(struct bench *b, const struct source_kind *kind, const char *more, struct span memory)
{
    static const struct source_channel channels[] = {{"a", "", COLUMN_DOUBLE}, {"b", "", COLUMN_INT64}};
    static const struct source_group group = {channels, 2};
    struct source_other other = {"pump", b->replayed};
    struct source_open o = {.name = "m",
                            .run_dir = "/tmp",
                            .others = &other,
                            .n_others = 1,
                            .budget_us = b->budget_us,
                            .memory = memory};
    char yaml[PATH_MAX + 300];
    struct errmsg err = {""};
    void *config;

    snprintf(yaml, sizeof yaml, "inputs: [pump/a, pump/b]\n%s%s\n%s\n", kind == &source_model ? "file: " : "",
             kind == &source_model ? tmpdir_path(&b->dir, "m.fgm") : "", more);
    config = recorder_config(kind, yaml);
    o.config = config;
    assert_int_equal(worker_new(&b->worker), 0);
    o.worker = b->worker;
    if (kind->open(&o, &b->self, &err) != 0)
        fail_msg("%s", err.text);
    recorder_config_free(kind, config);
    recorder_init(&b->recorder);
    b->kind = kind;
    kind->listen(b->self, &b->recorder.sink);
    assert_int_equal(kind->declare(b->self, &b->recorder.sink), 0);
    assert_int_equal(kind->hear_group(b->self, 0, 7, &group), 0);
}

static void close_source(struct bench *b)
{
    b->worker = worker_free(b->worker);
    b->kind->close(b->self);
    recorder_deinit(&b->recorder);
}

static void begin(struct bench *b)
{
    *b = (struct bench){.budget_us = 1000 * 1000};
    tmpdir_init(&b->dir);
}

static void end(struct bench *b)
{
    close_source(b);
    tmpdir_deinit(&b->dir);
}

/* A row of the input; NaN: absent. */
static void hear(struct bench *b, int64_t time_ns, double x, int64_t y)
{
    struct cell cells[] = {{.f64 = x, .absent = isnan(x)}, {.i64 = y}};
    struct source_row row = {.group = 7, .time_ns = time_ns, .mono_ns = 1, .cells = cells, .n_cells = 2};

    b->kind->hear_row(b->self, 0, &row);
}

static const struct recorded_row *last(const struct bench *b)
{
    return &b->recorder.rows[b->recorder.n_rows - 1];
}

static struct source_work work_of(const struct bench *b)
{
    struct source_work w;

    b->kind->work(b->self, &w);
    return w;
}

#define UNSIGNED "allow_unsigned: true"
static const struct span nothing;

static void a_model_says_a_row_at_the_time_of_its_input(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    write_model(&b, DEVICE_MODEL_SUM, 2, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    hear(&b, 1000, 1.5, 4);
    assert_int_equal(b.recorder.n_rows, 1);
    assert_string_equal(b.recorder.names[0], "m.y");
    assert_int_equal(last(&b)->time_ns, 1000);
    assert_float_equal(last(&b)->cells[0].f64, 11, 0);
    assert_int_equal(last(&b)->cells[0].quality, QUALITY_GOOD);
    assert_int_equal(work_of(&b).runs, 1);
    end(&b);
}

static void an_input_that_is_missing_makes_bad_rows_and_is_told_when_it_lasts(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    write_model(&b, DEVICE_MODEL_SUM, 1, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    for (int i = 0; i < 5; i++) {
        hear(&b, i, (double)NAN, 1);
        assert_int_equal(last(&b)->cells[0].quality, QUALITY_BAD);
        assert_true(isnan(last(&b)->cells[0].f64));
        assert_int_equal(b.recorder.n_events_of[FAILED], i >= 2);
    }
    assert_string_equal(b.recorder.event_text, "no good reading of pump/a");
    hear(&b, 5, 1, 1);
    assert_int_equal(last(&b)->cells[0].quality, QUALITY_GOOD);
    assert_int_equal(b.recorder.n_events_of[RECOVERED], 1);
    assert_int_equal(work_of(&b).failures, 5);
    assert_int_equal(work_of(&b).runs, 1);
    end(&b);
}

static void what_is_no_number_is_bad_and_told_when_it_lasts(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    write_model(&b, DEVICE_MODEL_ROOT, 1, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    for (int i = 0; i < 4; i++)
        hear(&b, i, -2, 1);
    assert_int_equal(b.recorder.n_rows, 4);
    assert_int_equal(last(&b)->cells[0].quality, QUALITY_BAD);
    assert_int_equal(b.recorder.n_events_of[FAILED], 1);
    assert_string_equal(b.recorder.event_text, "the model gives no number for y");
    hear(&b, 4, 3, 1);
    assert_float_equal(last(&b)->cells[0].f64, 2, 0);
    assert_int_equal(b.recorder.n_events_of[RECOVERED], 1);
    end(&b);
}

static void wait_for_result(struct bench *b)
{
    struct pollfd p = {b->kind->fd(b->self), POLLIN, 0};
    struct source_now now = {0};
    int64_t next;

    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(b->kind->step(b->self, &b->recorder.sink, &now, &next), 0);
}

static void a_slow_model_runs_aside_and_the_newest_input_counts(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    b.budget_us = 1000;
    write_model(&b, DEVICE_MODEL_SLOW, 1, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    for (int i = 0; i < 5; i++)
        hear(&b, 100 + i, i, 10);
    assert_int_equal(b.recorder.n_rows, 0);
    assert_true(work_of(&b).is_aside);
    wait_for_result(&b);
    assert_int_equal(b.recorder.n_rows, 1);
    assert_int_equal(last(&b)->time_ns, 100);
    assert_float_equal(last(&b)->cells[0].f64, 10, 0.01);
    wait_for_result(&b);
    assert_int_equal(b.recorder.n_rows, 2);
    assert_int_equal(last(&b)->time_ns, 104);
    assert_float_equal(last(&b)->cells[0].f64, 14, 0.01);
    assert_int_equal(work_of(&b).skipped, 3);
    assert_int_equal(work_of(&b).runs, 2);
    assert_int_equal(work_of(&b).overruns, 2);
    end(&b);
}

static void the_end_waits_for_no_run(void **state)
{
    int64_t began_ns, run_ns;
    struct bench b;

    (void)state;
    begin(&b);
    b.budget_us = 1000;
    write_model(&b, DEVICE_MODEL_SLOW, 1, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    hear(&b, 1, 1, 1);
    wait_for_result(&b);
    run_ns = (int64_t)work_of(&b).max_ns;
    hear(&b, 2, 1, 1);
    began_ns = clock_mono_ns(&clock_real);
    b.worker = worker_free(b.worker);
    assert_in_range(clock_mono_ns(&clock_real) - began_ns, 0, run_ns / 2 + 50 * NS_PER_MS);
    end(&b);
}

static void must_refuse(struct bench *b, const char *why)
{
    struct errmsg err = {""};

    assert_false(b->kind->tend(b->self, true, &err));
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    assert_non_null(strstr(err.text, "the model before it runs on"));
    hear(b, 1, 1, 1);
    assert_float_equal(last(b)->cells[0].f64, 2, 0);
}

static void another_model_takes_over_and_a_bad_one_does_not(void **state)
{
    uint8_t seed[32] = {1}, public[2][32], secret[2][64];
    char more[200] = "keys: [";
    struct errmsg err;
    struct bench b;

    (void)state;
    begin(&b);
    crypto_sign_seed_keypair(public[0], secret[0], seed);
    seed[0]++;
    crypto_sign_seed_keypair(public[1], secret[1], seed);
    for (int i = 0; i < 32; i++)
        snprintf(more + strlen(more), 3, "%02x", public[0][i]);
    strcat(more, "]\narena_bytes: 8 KiB");
    write_model(&b, DEVICE_MODEL_SUM, 1, secret[0]);
    open_source(&b, &source_model, more, nothing);
    hear(&b, 1, 1, 1);
    assert_float_equal(last(&b)->cells[0].f64, 2, 0);

    write_model(&b, DEVICE_MODEL_SUM, 5, NULL);
    must_refuse(&b, "is not signed");
    write_model(&b, DEVICE_MODEL_SUM, 5, secret[1]);
    must_refuse(&b, "signed by a key that is not among `keys`");
    write_model(&b, DEVICE_MODEL_TWO, 5, secret[0]);
    must_refuse(&b, "gives other channels");
    write_model(&b, DEVICE_MODEL_SLOW, 5, secret[0]);
    must_refuse(&b, "bytes of memory, it may have 8192");
    assert_int_equal(b.recorder.n_events, 0);

    write_model(&b, DEVICE_MODEL_SUM, 3, secret[0]);
    assert_true(b.kind->tend(b.self, false, &err)); /* what was refused is tried again when it changes */
    hear(&b, 2, 1, 1);
    assert_float_equal(last(&b)->cells[0].f64, 6, 0);
    assert_int_equal(b.recorder.n_events_of[NOTE], 1);
    assert_memory_equal(b.recorder.event_text, "model sum--", 11);
    assert_non_null(strstr(b.recorder.event_text, " runs, before it sum--"));
    /* Asked again, for the same file, and twice in a row for others. */
    assert_true(b.kind->tend(b.self, true, &err));
    hear(&b, 3, 1, 1);
    assert_int_equal(b.recorder.n_events_of[NOTE], 1);
    write_model(&b, DEVICE_MODEL_SUM, 7, secret[0]);
    assert_true(b.kind->tend(b.self, true, &err));
    write_model(&b, DEVICE_MODEL_SUM, 8, secret[0]);
    assert_true(b.kind->tend(b.self, true, &err));
    hear(&b, 4, 1, 1);
    assert_float_equal(last(&b)->cells[0].f64, 16, 0);
    end(&b);
}

static void features_keep_their_windows_when_the_recipe_is_the_same(void **state)
{
    struct errmsg err;
    struct bench b;

    (void)state;
    begin(&b);
    write_model(&b, DEVICE_MODEL_WINDOWS, 1, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    for (int i = 0; i < 8; i++)
        hear(&b, i, 1, 1);
    assert_int_equal(b.recorder.n_rows, 1);
    write_model(&b, DEVICE_MODEL_WINDOWS, 2, NULL);
    assert_true(b.kind->tend(b.self, true, &err));
    hear(&b, 8, 1, 1);
    assert_int_equal(b.recorder.n_rows, 2);
    assert_float_equal(last(&b)->cells[0].f64, 10, 1e-6);
    end(&b);
}

static void a_model_takes_over_between_two_runs_aside(void **state)
{
    struct errmsg err;
    struct bench b;

    (void)state;
    begin(&b);
    b.budget_us = 1000;
    write_model(&b, DEVICE_MODEL_SLOW, 1, NULL);
    open_source(&b, &source_model, UNSIGNED, nothing);
    hear(&b, 1, 1, 1);
    write_model(&b, DEVICE_MODEL_SLOW, 2, NULL);
    assert_true(b.kind->tend(b.self, true, &err));
    hear(&b, 2, 1, 1);
    wait_for_result(&b);
    assert_float_equal(last(&b)->cells[0].f64, 2, 0.01);
    assert_int_equal(b.recorder.n_events_of[NOTE], 1);
    hear(&b, 3, 1, 1);
    wait_for_result(&b);
    assert_float_equal(last(&b)->cells[0].f64, 4, 0.01);
    assert_int_equal(last(&b)->time_ns, 3);
    end(&b);
}

static void a_model_refused_at_the_start_is_tried_when_the_file_changes(void **state)
{
    struct errmsg err;
    struct bench b;

    (void)state;
    begin(&b);
    open_source(&b, &source_model, UNSIGNED, nothing);
    assert_int_equal(b.recorder.n_events_of[FAILED], 1);
    assert_non_null(strstr(b.recorder.event_text, "the model gives nothing"));
    hear(&b, 1, 1, 1);
    assert_int_equal(b.recorder.n_rows + b.recorder.n_groups, 0);
    assert_true(b.kind->tend(b.self, false, &err));
    write_model(&b, DEVICE_MODEL_SUM, 1, NULL);
    assert_true(b.kind->tend(b.self, false, &err));
    hear(&b, 2, 1, 1);
    assert_int_equal(b.recorder.n_rows, 1);
    assert_int_equal(b.recorder.n_events_of[RECOVERED], 1);
    end(&b);
}

/* What is said from row `from` on by one that goes on, and by one that was made from its memory then. */
static void must_go_on(struct bench *b, const struct source_kind *kind, const char *more, int from, int rows)
{
    static uint8_t memory[65536];
    struct recorded_row *said;
    uint32_t n_said;
    size_t n;

    open_source(b, kind, more, nothing);
    for (int i = 0; i < from; i++)
        hear(b, i, sin(i * 0.7), i % 5);
    n = kind->remember(b->self, memory, sizeof memory);
    assert_in_range(n, 1, sizeof memory);
    assert_int_equal(kind->remember(b->self, NULL, 0), n);
    b->recorder.n_rows = 0;
    for (int i = from; i < rows; i++)
        hear(b, i, sin(i * 0.7), i % 5);
    said = b->recorder.rows;
    n_said = b->recorder.n_rows;
    assert_true(n_said > 0);
    b->recorder.rows = NULL;
    close_source(b);
    open_source(b, kind, more, span_of(memory, n));
    assert_int_equal(b->recorder.n_events, 0);
    for (int i = from; i < rows; i++)
        hear(b, i, sin(i * 0.7), i % 5);
    assert_int_equal(b->recorder.n_rows, n_said);
    for (uint32_t i = 0; i < n_said; i++) {
        assert_int_equal(b->recorder.rows[i].time_ns, said[i].time_ns);
        assert_memory_equal(&b->recorder.rows[i].cells[0].f64, &said[i].cells[0].f64, sizeof(double));
    }
    free(said);
    close_source(b);
    /* Damaged or cut anywhere: told, and as new. */
    for (size_t cut = 1; cut <= n; cut += n / 7 + 1) {
        open_source(b, kind, more, span_of(memory, n - cut));
        assert_int_equal(b->recorder.n_events_of[NOTE], n > cut);
        hear(b, 0, 1, 1);
        close_source(b);
    }
    open_source(b, kind, more, nothing);
}

static void a_model_goes_on_where_its_memory_ends(void **state)
{
    struct bench b;

    (void)state;
    begin(&b);
    write_model(&b, DEVICE_MODEL_WINDOWS, 1, NULL);
    must_go_on(&b, &source_model, UNSIGNED "\ninterval_ms: 0", 5, 60);
    end(&b);
}

static void a_detector_goes_on_where_its_memory_ends(void **state)
{
    static const char *const methods[] = {"ewma", "mewma", "cusum", "page_hinkley", "hampel", "pca"};
    char more[100];
    struct bench b;

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        for (int from = 30; from <= 110; from += 80) {
            begin(&b);
            snprintf(more, sizeof more, "method: %s\ncommission_rows: 80", methods[i]);
            must_go_on(&b, &source_detector, more, from, 200);
            end(&b);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_says_a_row_at_the_time_of_its_input),
        cmocka_unit_test(an_input_that_is_missing_makes_bad_rows_and_is_told_when_it_lasts),
        cmocka_unit_test(what_is_no_number_is_bad_and_told_when_it_lasts),
        cmocka_unit_test(a_slow_model_runs_aside_and_the_newest_input_counts),
        cmocka_unit_test(the_end_waits_for_no_run),
        cmocka_unit_test(another_model_takes_over_and_a_bad_one_does_not),
        cmocka_unit_test(features_keep_their_windows_when_the_recipe_is_the_same),
        cmocka_unit_test(a_model_takes_over_between_two_runs_aside),
        cmocka_unit_test(a_model_refused_at_the_start_is_tried_when_the_file_changes),
        cmocka_unit_test(a_model_goes_on_where_its_memory_ends),
        cmocka_unit_test(a_detector_goes_on_where_its_memory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
