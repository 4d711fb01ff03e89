/* Detectors and models on readings of devices: what they say, once, whatever is killed between. */
#include "tests/unit/fog/site.h"

#include "archive/query.h"
#include "base/log.h"
#include "fog/models.h"
#include "tests/unit/device/device_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1 << 20 };

struct plant {
    struct site site;
    struct models *models;
    struct models_config config[2];
    char *inputs[2][2];
    struct config_item items[2];
    struct config_list list;
    char note[400];
    char *said;
};

static void note(void *ctx, unsigned severity, const char *text)
{
    struct plant *p = ctx;

    snprintf(p->note, sizeof p->note, "%u %s", severity, text);
}

static void open_models(struct plant *p)
{
    struct site *k = &p->site;
    struct models_options o = {.spool = k->spool,
                               .derived = k->derived,
                               .reader = k->reader,
                               .user = stage_reader_join(k->reader, free),
                               .clock = &k->clock,
                               .models = &p->list,
                               .site = "plant-a",
                               .table = FOG_TABLE_MODELS,
                               .note = note,
                               .ctx = p};
    struct errmsg err = {""};

    if (models_new(&p->models, &o, &err) != 0)
        fail_msg("%s", err.text);
}

static struct models_config *add(struct plant *p, enum models_kind kind, const char *name, const char *a,
                                 const char *b)
{
    size_t i = p->list.n++;
    struct models_config *c = &p->config[i];
    double *first = &c->detector.commission_rows, *last = &c->detector.extreme;

    *c = (struct models_config){.select = "*/pump-*", .arena_bytes = 1 << 20};
    for (double *at = first; at <= last; at++)
        *at = (double)NAN;
    snprintf(c->name, sizeof c->name, "%s", name);
    p->inputs[i][0] = (char *)a;
    p->inputs[i][1] = (char *)b;
    c->inputs = (struct config_strings){p->inputs[i], b != NULL ? 2 : 1};
    p->items[i] = (struct config_item){(int)kind, c};
    p->list.at = p->items;
    return c;
}

static int setup(void **state)
{
    struct plant *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->said = calloc(1, TEXT_BYTES);
    assert_non_null(p->said);
    assert_int_equal(site_setup(&p->site), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct plant *p = *state;

    models_free(p->models);
    site_teardown(&p->site);
    free(p->said);
    free(p);
    return 0;
}

static int stage(void *ctx, const struct spool_stream *s, const struct record *r)
{
    struct plant *p = ctx;

    return models_record(p->models, s, r);
}

static void give(struct plant *p, unsigned device, const char *channel, int64_t at_s, const double *value,
                 unsigned n)
{
    struct site_rows rows = {device, channel, T0 + at_s * S, value, n, 0, 0, false};

    site_give(&p->site, &rows, stage, p);
}

static void commit(struct plant *p)
{
    assert_int_equal(models_flush(p->models), 0);
    site_commit(&p->site);
}

static void crash(struct plant *p)
{
    p->models = models_free(p->models);
    site_close(&p->site);
    site_open(&p->site);
    open_models(p);
    commit(p);
}

/* What the fog says, value by value: "channel second count min max". */
static const char *all_that_is_said(struct plant *p, const char *pattern)
{
    struct query_options o = {.pattern = pattern,
                              .range = {INT64_MIN, INT64_MAX},
                              .bucket_ns = S,
                              .by_channel = true,
                              .bad_too = true};
    struct query_result q = {0};
    size_t n = 0;
    struct view *v;

    assert_int_equal(view_new(&v, spool_db(p->site.spool)), 0);
    assert_int_equal(query_run(v, &o, &q), 0);
    p->said[0] = '\0';
    for (size_t i = 0; i < q.n; i++)
        n += (size_t)snprintf(p->said + n, TEXT_BYTES - n, "%s %" PRId64 " %" PRIu64 " %a %a\n",
                              q.at[i].channel, (q.at[i].bucket_ns - T0) / S, q.at[i].count,
                              q.at[i].stat[QUERY_MIN], q.at[i].stat[QUERY_MAX]);
    query_result_deinit(&q);
    view_free(v);
    assert_true(n < TEXT_BYTES - 200);
    return p->said;
}

static struct models_config *a_detector(struct plant *p)
{
    struct models_config *c = add(p, MODELS_DETECTOR, "watch", "t", NULL);

    c->detector.method = DETECTOR_EWMA;
    c->detector.commission_rows = 30;
    c->detector.settle_rows = 0;
    return c;
}

/* ---- */

static void each_device_is_judged_by_what_it_was(void **state)
{
    struct plant *p = *state;
    double rows[60], odd[8];

    a_detector(p);
    open_models(p);
    for (unsigned i = 0; i < 60; i++)
        rows[i] = 20 + 0.1 * (double)(i * 7 % 5);
    for (unsigned i = 0; i < 8; i++)
        odd[i] = 27;
    give(p, 1, "t", 0, rows, 60);
    give(p, 2, "t", 0, rows, 60);
    give(p, 2, "other", 0, odd, 8);
    give(p, 1, "t", 60, odd, 8);
    commit(p);
    all_that_is_said(p, "plant-a/fog-a/*.watch.alarm");
    assert_non_null(strstr(p->said, "pump-1.watch.alarm 67 1 0x1p+0 0x1p+0"));
    assert_non_null(strstr(p->said, "pump-1.watch.alarm 59 1 0x0p+0 0x0p+0"));
    assert_non_null(strstr(p->said, "pump-2.watch.alarm 59 1 0x0p+0 0x0p+0"));
    assert_null(strstr(p->said, "pump-2.watch.alarm 60"));
    assert_int_equal(models_counters(p->models)[MODELS_ROWS], 128);
    assert_int_equal(models_counters(p->models)[MODELS_INSTANCES], 2);
}

static void backlogs_and_what_another_fog_may_have_are_passed_over(void **state)
{
    struct plant *p = *state;
    const double x = 20;
    struct site_rows rows = {1, "t", T0, &x, 1, 0, 3, false};

    a_detector(p);
    open_models(p);
    p->site.seq[1] = 10;
    give(p, 1, "t", 100, &x, 1);
    site_give(&p->site, &rows, stage, p);
    commit(p);
    crash(p);
    site_give(&p->site, &rows, stage, p);
    rows.seq = 0;
    rows.flags = RECORD_FLAG_AGAIN;
    site_give(&p->site, &rows, stage, p);
    commit(p);
    assert_string_equal(all_that_is_said(p, "plant-a/fog-a/*.learning"),
                        "pump-1.watch.learning 100 1 0x1p+0 0x1p+0\n");
    assert_int_equal(models_counters(p->models)[MODELS_BLOCKS_LATE], 1);
    assert_int_equal(models_counters(p->models)[MODELS_BLOCKS_AGAIN], 1);
}

static void write_model(const char *path, enum device_model kind)
{
    struct buf file = {0};
    FILE *f = fopen(path, "w");

    device_model_write(kind, 2, NULL, &file);
    assert_non_null(f);
    assert_int_equal(fwrite(file.data, 1, file.len, f), file.len);
    fclose(f);
    buf_deinit(&file);
}

static struct models_config *a_model(struct plant *p, enum device_model kind)
{
    struct models_config *c = add(p, MODELS_MODEL, "wear", "a", "b");

    snprintf(c->file, sizeof c->file, "%s/wear.fogmodel", p->site.dir.path);
    c->allow_unsigned = true;
    write_model(c->file, kind);
    return c;
}

static void a_model_takes_the_latest_of_another_group(void **state)
{
    struct plant *p = *state;
    const double a[] = {1, 2, 3}, b = 10;

    a_model(p, DEVICE_MODEL_SUM)->stale_ms = 60000;
    open_models(p);
    give(p, 1, "a", 0, a, 1); /* b is not there yet */
    give(p, 1, "b", 1, &b, 1);
    commit(p);
    crash(p); /* the latest readings are remembered */
    give(p, 1, "a", 2, a, 3);
    give(p, 1, "a", 100, a, 1); /* b is too old */
    commit(p);
    assert_string_equal(all_that_is_said(p, "plant-a/fog-a/*"), "pump-1.wear.y 2 1 0x1.6p+4 0x1.6p+4\n"
                                                                "pump-1.wear.y 3 1 0x1.8p+4 0x1.8p+4\n"
                                                                "pump-1.wear.y 4 1 0x1.ap+4 0x1.ap+4\n");
    assert_int_equal(models_counters(p->models)[MODELS_FAILURES], 1);
    assert_string_equal(p->note, "");
}

static void a_file_that_cannot_be_used_is_told_and_tried_again(void **state)
{
    struct plant *p = *state;
    const double a[] = {1, 2}, b[] = {10, 10};
    struct models_config *c = a_model(p, DEVICE_MODEL_SLOW);

    open_models(p);
    assert_non_null(strstr(p->note, "2 model wear says nothing: "));
    assert_non_null(strstr(p->note, "run it on the device"));
    give(p, 1, "b", 0, b, 2);
    give(p, 1, "a", 0, a, 2);
    commit(p);
    assert_string_equal(all_that_is_said(p, "plant-a/fog-a/*"), "");
    p->note[0] = '\0';
    assert_int_equal(models_round(p->models), 0);
    assert_string_equal(p->note, "");
    assert_int_equal(remove(c->file), 0);
    write_model(c->file, DEVICE_MODEL_WINDOWS);
    assert_int_equal(models_round(p->models), 0);
    assert_non_null(strstr(p->note, "0 model wear runs as windows"));
}

/* ---- crashes ---- */

struct step {
    unsigned device;
    int64_t at_s;
    double value[4];
};

static void walk(struct step *steps, unsigned n, uint64_t seed)
{
    int64_t at_s[SITE_DEVICES] = {0};

    for (unsigned i = 0; i < n; i++) {
        struct step *s = &steps[i];

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        s->device = (unsigned)(seed >> 33) % 3;
        s->at_s = at_s[s->device];
        at_s[s->device] += 4;
        for (unsigned r = 0; r < 4; r++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            s->value[r] = 20 + (double)(seed >> 40) / (double)(1 << 24) + (i > 100 && i % 31 == 0 ? 9 : 0);
        }
    }
}

static void a_run_with_crashes_says_what_one_without_says(void **state)
{
    struct plant *p = *state;
    struct step steps[150];
    char *said;

    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t rng = seed;
        struct models_config *c;

        p->models = models_free(p->models);
        site_teardown(&p->site);
        assert_int_equal(site_setup(&p->site), 0);
        p->list.n = 0;
        a_detector(p);
        c = a_model(p, DEVICE_MODEL_WINDOWS);
        p->inputs[1][0] = p->inputs[1][1] = (char *)"t";
        c->interval_ms = 3000;
        walk(steps, 150, seed);
        open_models(p);
        for (unsigned i = 0; i < 150; i++)
            give(p, steps[i].device, "t", steps[i].at_s, steps[i].value, 4);
        commit(p);
        said = strdup(all_that_is_said(p, "plant-a/fog-a/*"));
        assert_non_null(said);
        assert_non_null(strstr(said, ".wear.y"));
        assert_true(strlen(said) > 50000);

        p->models = models_free(p->models);
        site_teardown(&p->site);
        assert_int_equal(site_setup(&p->site), 0);
        snprintf(c->file, sizeof c->file, "%s/wear.fogmodel", p->site.dir.path); /* another folder */
        write_model(c->file, DEVICE_MODEL_WINDOWS);
        open_models(p);
        commit(p);
        for (unsigned i = 0, done = 0; i < 150; i++) {
            give(p, steps[i].device, "t", steps[i].at_s, steps[i].value, 4);
            rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            if (rng >> 60 == 0) { /* what was not committed comes again */
                crash(p);
                memset(p->site.seq, 0, sizeof p->site.seq);
                for (unsigned k = 0; k < done; k++) /* as the devices count: a set, then blocks */
                    p->site.seq[steps[k].device] += 1 + (p->site.seq[steps[k].device] == 0);
                i = done - 1;
            } else if (rng >> 61 == 1) {
                commit(p);
                done = i + 1;
            }
        }
        commit(p);
        assert_string_equal(all_that_is_said(p, "plant-a/fog-a/*"), said);
        free(said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_device_is_judged_by_what_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(backlogs_and_what_another_fog_may_have_are_passed_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_model_takes_the_latest_of_another_group, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_used_is_told_and_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_with_crashes_says_what_one_without_says, setup, teardown),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
