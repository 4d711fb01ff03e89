/* Rules over the devices of a site: what is raised when, once, in whatever order records come and whatever is
 * killed between. */
#include "tests/unit/fog/site.h"

#include "base/log.h"
#include "fog/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 64 * 1024 };

struct plant {
    struct site site;
    struct drive *drive;
    struct site_rules_device devices[4];
    unsigned n_devices;
    int64_t wake_ns;
    struct site_rules *rules;
    struct site_rule_config config[4];
    struct config_item items[4];
    struct config_list list;
    char *events;
};

static void each_device(void *ctx, void (*fn)(void *fn_ctx, const struct site_rules_device *d), void *fn_ctx)
{
    struct plant *p = ctx;

    for (unsigned i = 0; i < p->n_devices; i++)
        fn(fn_ctx, &p->devices[i]);
}

static void wake(void *ctx, int64_t mono_ns)
{
    struct plant *p = ctx;

    p->wake_ns = mono_ns;
}

static void open_rules(struct plant *p)
{
    struct site *k = &p->site;
    struct site_rules_options o = {.spool = k->spool,
                                   .derived = k->derived,
                                   .reader = k->reader,
                                   .user = stage_reader_join(k->reader, free),
                                   .clock = &k->clock,
                                   .rules = &p->list,
                                   .site = "plant-a",
                                   .table = FOG_TABLE_RULES,
                                   .drive = p->drive,
                                   .devices = each_device,
                                   .devices_ctx = p,
                                   .wake = wake,
                                   .wake_ctx = p};
    struct errmsg err = {""};

    if (site_rules_new(&p->rules, &o, &err) != 0)
        fail_msg("%s", err.text);
}

static struct site_rule_config *add_rule(struct plant *p, int kind, const char *name, const char *select)
{
    struct site_rule_config *c = &p->config[p->list.n];

    *c = (struct site_rule_config){.severity = 1, .late_ms = 120000};
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->select, sizeof c->select, "%s", select);
    p->items[p->list.n] = (struct config_item){kind, c};
    p->list.at = p->items;
    p->list.n++;
    return c;
}

static int setup(void **state)
{
    struct plant *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->events = calloc(1, TEXT_BYTES);
    assert_int_equal(site_setup(&p->site), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct plant *p = *state;

    site_rules_free(p->rules);
    drive_close(p->drive);
    site_teardown(&p->site);
    free(p->events);
    free(p);
    return 0;
}

static int stage(void *ctx, const struct spool_stream *s, const struct record *r)
{
    struct plant *p = ctx;

    return site_rules_record(p->rules, s, r);
}

/* One reading, or several a second apart. */
static void give(struct plant *p, unsigned device, double at_s, const double *value, unsigned n)
{
    struct site_rows rows = {device, "t", T0 + (int64_t)(at_s * (double)S), value, n, 0, 0, false};

    site_give(&p->site, &rows, stage, p);
}

static void give_one(struct plant *p, unsigned device, double at_s, double value)
{
    give(p, device, at_s, &value, 1);
}

static void commit(struct plant *p)
{
    assert_int_equal(site_rules_flush(p->rules), 0);
    site_commit(&p->site);
}

static void crash(struct plant *p)
{
    p->rules = site_rules_free(p->rules);
    site_close(&p->site);
    site_open(&p->site);
    open_rules(p);
    commit(p);
}

static void pass(struct plant *p, int64_t seconds)
{
    for (int64_t i = 0; i < seconds; i++) {
        p->site.time.mono_ns += S;
        p->site.time.wall_unix_ns += S;
        assert_int_equal(site_rules_round(p->rules), 0);
    }
    commit(p);
}

static void expect(struct plant *p, const char *events)
{
    site_events(&p->site, p->events, TEXT_BYTES);
    assert_string_equal(p->events, events);
}

static void limit(struct plant *p, int64_t at_least)
{
    struct site_rule_config *c = add_rule(p, RULE_ABOVE, "hot", "*/pump-*/t");

    c->limit = 80;
    c->hysteresis = 5;
    c->at_least = at_least;
}

/* ---- */

static void each_channel_has_an_alarm_of_its_own(void **state)
{
    struct plant *p = *state;

    limit(p, 0);
    open_rules(p);
    give_one(p, 1, 0, 70);
    give_one(p, 2, 1, 81.5);
    give_one(p, 1, 2, 90);
    give_one(p, 2, 3, 76);
    give_one(p, 2, 4, 75);
    commit(p);
    expect(p, "raised pump-2/t 1 s rule hot: 81.5 is above 80\n"
              "raised pump-1/t 2 s rule hot: 90 is above 80\n"
              "cleared pump-2/t 4 s rule hot: cleared at 75, was raised for 3 s\n");
}

static void any_three_of_five(void **state)
{
    struct plant *p = *state;

    limit(p, 3);
    open_rules(p);
    for (unsigned d = 1; d <= 5; d++)
        give_one(p, d, d, 70);
    give_one(p, 1, 10, 85);
    give_one(p, 2, 11, 86);
    expect(p, "");
    give_one(p, 4, 12, 87);
    give_one(p, 5, 13, 88);
    give_one(p, 1, 14, 70);
    give_one(p, 2, 15, 70);
    commit(p);
    expect(p, "raised */pump-*/t 12 s rule hot: 3 of 5 above 80: pump-1/t 85, pump-2/t 86, pump-4/t 87\n"
              "cleared */pump-*/t 15 s rule hot: cleared at 2 of 5, was raised for 3 s\n");
}

static void a_backlog_raises_nothing(void **state)
{
    struct plant *p = *state;
    const double old[] = {95, 96};
    struct site_rows late = {1, "t", T0, old, 2, 0, 2, false};

    limit(p, 0);
    open_rules(p);
    p->site.seq[1] = 9;
    give_one(p, 1, 100, 70);
    site_give(&p->site, &late, stage, p);
    commit(p);
    expect(p, "");
    assert_int_equal(site_rules_counters(p->rules)[SITE_RULES_BLOCKS_LATE], 1);
    crash(p);
    late.seq = 3;
    site_give(&p->site, &late, stage, p);
    expect(p, "");
    p->site.epoch[1] = 2; /* a lost disk: numbers begin anew */
    p->site.seq[1] = 0;
    give_one(p, 1, 101, 99);
    expect(p, "raised pump-1/t 101 s rule hot: 99 is above 80\n");
}

static void what_another_fog_may_have_is_passed_over(void **state)
{
    struct plant *p = *state;
    const double high = 95;
    struct site_rows again = {1, "t", T0, &high, 1, RECORD_FLAG_AGAIN, 0, false};

    limit(p, 0);
    open_rules(p);
    site_give(&p->site, &again, stage, p);
    expect(p, "");
    assert_int_equal(site_rules_counters(p->rules)[SITE_RULES_BLOCKS_AGAIN], 1);
}

static void a_hold_goes_by_readings_or_is_over_when_none_come(void **state)
{
    struct plant *p = *state;
    const double high[] = {90, 90, 90, 90, 90, 90};

    limit(p, 0);
    p->config[0].hold_ms = 4000;
    p->config[0].late_ms = 10000;
    open_rules(p);
    give(p, 1, 0, high, 4);
    expect(p, "");
    give_one(p, 1, 4, 91);
    expect(p, "raised pump-1/t 4 s rule hot: 90 is above 80, for 4 s\n");
    commit(p);
    give_one(p, 2, 5, 90);
    commit(p);
    pass(p, 13);
    expect(p, "raised pump-1/t 4 s rule hot: 90 is above 80, for 4 s\n");
    pass(p, 1);
    expect(p, "raised pump-1/t 4 s rule hot: 90 is above 80, for 4 s\n"
              "raised pump-2/t 9 s rule hot: 90 is above 80, for 4 s\n");
    give_one(p, 2, 8, 70); /* came late, but not too late: the alarm ends at its time */
    commit(p);
    expect(p, "raised pump-1/t 4 s rule hot: 90 is above 80, for 4 s\n"
              "raised pump-2/t 9 s rule hot: 90 is above 80, for 4 s\n"
              "cleared pump-2/t 9 s rule hot: cleared at 70, was raised for 0 s\n");
}

static void who_is_stale_does_not_count(void **state)
{
    struct plant *p = *state;

    limit(p, 2);
    p->config[0].stale_ms = 60000;
    open_rules(p);
    give_one(p, 1, 0, 90);
    give_one(p, 2, 1, 90);
    commit(p);
    pass(p, 50);
    give_one(p, 2, 51, 90);
    commit(p);
    expect(p, "raised */pump-*/t 1 s rule hot: 2 of 2 above 80: pump-1/t 90, pump-2/t 90\n");
    pass(p, 20);
    expect(p, "raised */pump-*/t 1 s rule hot: 2 of 2 above 80: pump-1/t 90, pump-2/t 90\n"
              "cleared */pump-*/t 51 s rule hot: cleared at 1 of 2, was raised for 50 s\n");
    crash(p); /* that it is stale is remembered */
    give_one(p, 2, 72, 91);
    commit(p);
    assert_null(strstr(p->events, "72 s"));
    give_one(p, 1, 73, 92);
    site_events(&p->site, p->events, TEXT_BYTES);
    assert_non_null(strstr(p->events, "raised */pump-*/t 73 s rule hot: 2 of 2 above 80"));
}

static void a_channel_that_brings_nothing_is_missing(void **state)
{
    struct plant *p = *state;

    add_rule(p, RULE_MISSING, "beat", "plant-a/pump-1/t")->for_ms = 30000;
    open_rules(p);
    commit(p);
    pass(p, 29);
    expect(p, "");
    pass(p, 1); /* it never came at all */
    expect(p, "raised pump-1/t 30 s rule beat: no good reading for 30 s\n");
    crash(p);
    pass(p, 100);
    give_one(p, 1, 0, 5);
    commit(p);
    expect(p, "raised pump-1/t 30 s rule beat: no good reading for 30 s\n"
              "cleared pump-1/t 130 s rule beat: cleared at 5, was raised for 100 s\n");
    pass(p, 20);
    p->site.time.mono_ns += 600 * S; /* the process was stopped: nobody listened */
    pass(p, 20);
    assert_int_equal(site_rules_counters(p->rules)[SITE_RULES_RAISED], 0);
    pass(p, 12);
    assert_int_equal(site_rules_counters(p->rules)[SITE_RULES_RAISED], 1);
}

static void alarms_of_rules_that_are_no_more_are_cleared(void **state)
{
    struct plant *p = *state;

    limit(p, 0);
    open_rules(p);
    give_one(p, 1, 1, 90);
    commit(p);
    p->list.n = 0;
    p->site.time.wall_unix_ns = T0 + 60 * S;
    crash(p);
    expect(p, "raised pump-1/t 1 s rule hot: 90 is above 80\n"
              "cleared pump-1/t 60 s rule hot: no longer configured for this\n");
    crash(p);
    expect(p, "raised pump-1/t 1 s rule hot: 90 is above 80\n"
              "cleared pump-1/t 60 s rule hot: no longer configured for this\n");
}

static void a_device_that_is_not_heard_of_is_silent(void **state)
{
    struct plant *p = *state;

    add_rule(p, SITE_RULE_SILENT, "gone", "plant-a/pump-*")->for_ms = 30000;
    p->n_devices = 3;
    p->devices[0] = (struct site_rules_device){"pump-1", true, INT64_MIN};
    p->devices[1] = (struct site_rules_device){"pump-2", true, INT64_MIN};
    p->devices[2] = (struct site_rules_device){"pump-1", false, INT64_MIN};
    open_rules(p);
    for (int i = 0; i < 40; i++) {
        p->devices[2].heard_mono_ms = p->site.time.mono_ns / NS_PER_MS;
        pass(p, 1);
    }
    expect(p, "raised pump-2 31 s rule gone: not heard of for 30 s\n");
    crash(p);
    pass(p, 20);
    expect(p, "raised pump-2 31 s rule gone: not heard of for 30 s\n");
    p->n_devices = 1; /* it is no longer one of the site */
    pass(p, 15);
    expect(p, "raised pump-2 31 s rule gone: not heard of for 30 s\n"
              "cleared pump-2 61 s rule gone: cleared, was raised for 30 s\n"
              "raised pump-1 71 s rule gone: not heard of for 30 s\n");
}

static void a_live_block_waits_for_its_descriptor_set(void **state)
{
    struct plant *p = *state;
    const double high = 95, higher = 96, low = 60;
    struct site_rows rows = {1, "t", T0 + 5 * S, &high, 1, 0, 50, true};

    limit(p, 0);
    open_rules(p);
    site_give(&p->site, &rows, stage, p);
    rows = (struct site_rows){1, "t", T0 + 6 * S, &higher, 1, 0, 51, true};
    site_give(&p->site, &rows, stage, p);
    rows = (struct site_rows){1, "t", T0, &low, 1, 0, 10, true};
    site_give(&p->site, &rows, stage, p);
    commit(p);
    expect(p, "");
    crash(p);
    site_give_set(&p->site, 1, "t", stage, p);
    commit(p);
    expect(p, "raised pump-1/t 6 s rule hot: 96 is above 80\n");
    crash(p);
    site_give_set(&p->site, 1, "t", stage, p);
    expect(p, "raised pump-1/t 6 s rule hot: 96 is above 80\n");
}

static char level(const char *path)
{
    FILE *f = fopen(path, "r");
    int c = f != NULL ? fgetc(f) : EOF;

    if (f != NULL)
        fclose(f);
    return (char)c;
}

static void no_note(void *ctx, unsigned severity, const char *text)
{
    (void)ctx;
    fail_msg("%u %s", severity, text);
}

static void outputs_follow_before_anything_is_durable(void **state)
{
    struct plant *p = *state;
    struct output_config lamp = {.name = "lamp"}, horn = {.name = "horn"};
    struct config_item outputs[2] = {{OUTPUT_FILE, &lamp}, {OUTPUT_FILE, &horn}};
    struct config_list list = {outputs, 2};
    struct action_config set = {.output = "lamp"}, pulse = {.output = "horn", .ms = 2000};
    struct config_item actions[2] = {{ACTION_SET, &set}, {ACTION_PULSE, &pulse}};
    struct errmsg err = {""};

    snprintf(lamp.path, sizeof lamp.path, "%s/lamp", p->site.dir.path);
    snprintf(horn.path, sizeof horn.path, "%s/horn", p->site.dir.path);
    fclose(fopen(lamp.path, "w"));
    fclose(fopen(horn.path, "w"));
    assert_int_equal(drive_open(&p->drive, &(struct drive_options){&list, no_note, p}, &err), 0);
    limit(p, 2);
    p->config[0].actions = (struct config_list){actions, 2};
    open_rules(p);
    give_one(p, 1, 1, 90);
    assert_int_equal(level(lamp.path), '0');
    give_one(p, 2, 2, 90);
    assert_int_equal(level(lamp.path), '1');
    assert_int_equal(level(horn.path), '1');
    assert_int_equal(p->wake_ns, p->site.time.mono_ns + 2 * S);
    p->site.time.mono_ns = p->wake_ns;
    site_rules_drive(p->rules);
    assert_int_equal(level(horn.path), '0');
    assert_int_equal(level(lamp.path), '1');
    crash(p); /* nothing was committed: it never was, until it comes again */
    assert_int_equal(level(lamp.path), '0');
    give_one(p, 1, 1, 90);
    give_one(p, 2, 2, 90);
    commit(p);
    crash(p);
    assert_int_equal(level(lamp.path), '1');
    assert_int_equal(level(horn.path), '0');
    p->rules = site_rules_free(p->rules);
    p->drive = drive_close(p->drive);
    assert_int_equal(level(lamp.path), '0');
}

static void nothing_of_a_batch_that_did_not_fit_is_remembered(void **state)
{
    struct plant *p = *state;

    limit(p, 2);
    open_rules(p);
    give_one(p, 1, 1, 90);
    commit(p);
    give_one(p, 2, 2, 90);
    assert_int_equal(spool_rollback(p->site.spool), 0);
    assert_int_equal(history_reload(p->site.history), 0);
    assert_int_equal(site_rules_reload(p->rules), 0);
    expect(p, "");
    p->site.seq[2] = 0;
    give_one(p, 2, 2, 90);
    commit(p);
    expect(p, "raised */pump-*/t 2 s rule hot: 2 of 2 above 80: pump-1/t 90, pump-2/t 90\n");
}

/* ---- order and crashes ---- */

struct step {
    unsigned device;
    double at_s, value[4];
};

static void walk(struct step *steps, unsigned n, uint64_t seed)
{
    double x[SITE_DEVICES] = {75, 75, 75, 75, 75, 75, 75, 75};
    double at_s[SITE_DEVICES] = {0};

    for (unsigned i = 0; i < n; i++) {
        struct step *s = &steps[i];

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        s->device = (unsigned)(seed >> 33) % 5;
        s->at_s = at_s[s->device];
        at_s[s->device] += 4;
        for (unsigned r = 0; r < 4; r++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            x[s->device] += (double)(seed >> 40) / (double)(1 << 24) * 10 - 5;
            x[s->device] = fmin(95, fmax(65, x[s->device]));
            s->value[r] = x[s->device];
        }
    }
}

static void rules_of_the_walk(struct plant *p)
{
    limit(p, 0);
    p->config[0].hold_ms = 3000;
    add_rule(p, RULE_ABOVE, "three", "plant-a/pump-{0,1,2,3,4}/t");
    p->config[1].limit = 80;
    p->config[1].at_least = 3;
    add_rule(p, RULE_RATE, "fast", "*/*/t");
    p->config[2].limit = 4.5;
    add_rule(p, RULE_STUCK, "stuck", "*/*/t");
    p->config[3].for_ms = 6000;
    p->config[3].hysteresis = 2;
}

static void a_run_with_crashes_says_what_one_without_says(void **state)
{
    struct plant *p = *state;
    struct step steps[300];
    uint64_t rng;
    char *said;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        if (seed > 1) { /* a store of its own */
            p->rules = site_rules_free(p->rules);
            site_teardown(&p->site);
            assert_int_equal(site_setup(&p->site), 0);
            p->list.n = 0;
        }
        walk(steps, 300, seed);
        rules_of_the_walk(p);
        open_rules(p);
        for (unsigned i = 0; i < 300; i++) {
            give(p, steps[i].device, steps[i].at_s, steps[i].value, 4);
            if (i % 7 == 0)
                commit(p);
        }
        commit(p);
        site_events(&p->site, p->events, TEXT_BYTES);
        said = strdup(p->events);
        assert_non_null(said);
        assert_true(strlen(said) > 500);

        p->rules = site_rules_free(p->rules);
        site_teardown(&p->site);
        assert_int_equal(site_setup(&p->site), 0);
        open_rules(p);
        commit(p);
        rng = seed;
        for (unsigned i = 0, done = 0; i < 300; i++) {
            give(p, steps[i].device, steps[i].at_s, steps[i].value, 4);
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
        site_events(&p->site, p->events, TEXT_BYTES);
        assert_string_equal(p->events, said);
        free(said);
    }
}

/* ---- programs ---- */

static void a_program_runs_at_each_change(void **state)
{
    struct plant *p = *state;
    char path[400], script[600], line[200], told[400] = "";
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", script};
    struct action_config act = {.argv = {argv, 3}, .timeout_ms = 10000, .when = EXEC_BOTH};
    struct config_item item = {ACTION_EXEC, &act};

    snprintf(path, sizeof path, "%s/told", p->site.dir.path);
    snprintf(script, sizeof script,
             "echo $FOGLINE_RULE $FOGLINE_STATE $FOGLINE_VALUE \"$FOGLINE_CHANNEL\" >> %s", path);
    limit(p, 2);
    p->config[0].actions = (struct config_list){&item, 1};
    open_rules(p);
    give_one(p, 1, 1, 90);
    give_one(p, 2, 2, 90); /* before any commit */
    for (int i = 0; i < 1000 && strchr(told, '\n') == NULL; i++) {
        FILE *f = fopen(path, "r");

        if (f != NULL) {
            if (fgets(line, sizeof line, f) != NULL)
                snprintf(told, sizeof told, "%s", line);
            fclose(f);
        }
        usleep(10000);
    }
    assert_string_equal(told, "hot raised 2 */pump-*/t\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_channel_has_an_alarm_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(any_three_of_five, setup, teardown),
        cmocka_unit_test_setup_teardown(a_backlog_raises_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_another_fog_may_have_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hold_goes_by_readings_or_is_over_when_none_come, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_stale_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_channel_that_brings_nothing_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(alarms_of_rules_that_are_no_more_are_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_is_not_heard_of_is_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_live_block_waits_for_its_descriptor_set, setup, teardown),
        cmocka_unit_test_setup_teardown(outputs_follow_before_anything_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_a_batch_that_did_not_fit_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_with_crashes_says_what_one_without_says, setup, teardown),
        cmocka_unit_test_setup_teardown(a_program_runs_at_each_change, setup, teardown),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
