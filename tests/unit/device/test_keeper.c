/* What of a source's rows comes out of the feed, and that the account of the rest is exact. */
#include "device/keep/keeper.h"

#include "base/clock.h"

#include "recorder.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S NS_PER_S
enum { CHANNELS = 2 };

struct bench {
    struct ring *ring;
    struct feed *feed;
    struct keeper *keeper;
    const struct source_sink *sink;
    void *config;
    bool replayable;
    uint32_t group;
    struct feed_message m;
    uint64_t rows, samples; /* read from the feed */
    struct keep_counts reduced;
};

static struct source_kind common = {.name = "common", .config_bytes = sizeof(struct source_config)};

static void begin(struct bench *b, const char *channels, bool replayable)
{
    struct feed_options fo = {.n_sources = 1};
    struct keeper_options ko = {.n_sources = 1, .history_bytes = 4096};
    const struct source_config *config;

    *b = (struct bench){.replayable = replayable};
    common.rows = source_config_rows;
    b->config = recorder_config(&common, channels);
    config = b->config;
    assert_int_equal(ring_new(&b->ring, RING_MIN_BYTES), 0);
    fo.live = fo.replay = b->ring;
    assert_int_equal(feed_new(&b->feed, &fo), 0);
    ko.feed = b->feed;
    assert_int_equal(keeper_new(&b->keeper, &ko), 0);
    b->sink = keeper_sink(b->keeper, 0, replayable, &config->channels);
}

static void end(struct bench *b)
{
    keeper_free(b->keeper);
    feed_free(b->feed);
    ring_free(b->ring);
    recorder_config_free(&common, b->config);
}

/* The next message into b->m; false: none. */
static bool next(struct bench *b)
{
    if (!feed_read(b->feed, b->ring, &b->m))
        return false;
    ring_release(b->ring);
    if (b->m.kind == FEED_ROW) {
        keep_counts_add(&b->reduced, &b->m.reduced);
        b->rows += !b->m.is_account;
        b->samples += b->m.n_samples;
    }
    return true;
}

static void declare(struct bench *b)
{
    struct source_channel channels[CHANNELS] = {{"a", "m", COLUMN_DOUBLE}, {"b", "", COLUMN_INT64}};
    struct source_group g = {channels, CHANNELS};

    assert_int_equal(b->sink->group(b->sink->ctx, &g, &b->group), 0);
    assert_true(next(b));
}

/* Both channels; b absent when it is negative. */
static int give(struct bench *b, int64_t time_s, double a, int64_t other)
{
    struct source_position position = {{(uint64_t)time_s}};
    struct cell cells[CHANNELS] = {{.f64 = a}, {.i64 = other, .absent = other < 0}};
    struct source_row row = {.group = b->group,
                             .time_ns = time_s * S,
                             .mono_ns = b->replayable ? 0 : (uint64_t)(time_s + 1000) * NS_PER_S,
                             .cells = cells,
                             .n_cells = CHANNELS,
                             .position = b->replayable ? &position : NULL};

    return b->sink->row(b->sink->ctx, &row);
}

static void what_is_without_policy_passes(void **state)
{
    struct bench b;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: other, keep: local}]", false);
    declare(&b);
    assert_int_equal(b.m.n_channels, CHANNELS);
    assert_int_equal(give(&b, 1, 2, 3), 0);
    assert_true(next(&b) && b.m.n_samples == 2 && !keep_counts_any(&b.m.reduced));
    end(&b);
}

static void a_suppressed_cell_is_absent_and_an_empty_row_is_none(void **state)
{
    struct bench b;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: a, keep: change, deadband: 1}, {name: b, keep: local}]", true);
    declare(&b);
    assert_int_equal(give(&b, 1, 10, 5), 0);
    assert_true(next(&b) && !b.m.is_account && b.m.n_samples == 1 && b.m.cells[1].absent);
    assert_int_equal(b.m.reduced.samples[KEEP_STAYS], 1);
    assert_int_equal(give(&b, 2, 10.5, 5), 0);
    assert_true(next(&b) && b.m.is_account && b.m.has_position && b.m.position.word[0] == 2);
    assert_int_equal(b.m.reduced.samples[KEEP_NO_CHANGE], 1);
    assert_int_equal(b.m.reduced.samples[KEEP_STAYS], 1);
    assert_int_equal(give(&b, 3, 12, -1), 0);
    assert_true(next(&b) && b.m.n_samples == 1 && b.m.cells[0].f64 == 12 && !keep_counts_any(&b.m.reduced));
    assert_int_equal(keeper_counters(b.keeper)->reduced[KEEP_STAYS], 2);
    end(&b);
}

/* sampled = read from the feed + left out + lost, whatever the ring did. */
static void nothing_is_remembered_of_a_row_that_found_no_room(void **state)
{
    for (int replayable = 0; replayable < 2; replayable++) {
        uint64_t sampled = 0, dropped;
        struct bench b;
        double last = NAN;

        (void)state;
        begin(&b,
              "name: s\nchannels: [{name: a, keep: change, deadband: 2.5}, {name: b, min_interval_ms: 7 s}]",
              replayable == 1);
        declare(&b);
        for (int64_t t = 0; t < 6000; t++) {
            int rc = give(&b, t, (double)(t % 1000), t);

            while (rc == SINK_FULL && replayable == 1) {
                while (next(&b))
                    if (!b.m.is_account && !b.m.cells[0].absent) {
                        /* each is the first beyond the deadband: none was skipped and none came twice */
                        if (!isnan(last) && b.m.cells[0].f64 > last)
                            assert_true(b.m.cells[0].f64 == last + 3);
                        last = b.m.cells[0].f64;
                    }
                rc = give(&b, t, (double)(t % 1000), t);
            }
            sampled += CHANNELS;
            if (replayable == 0 && t % 3000 == 2999)
                while (next(&b)) {
                }
        }
        while (keeper_finish(b.keeper, b.group) && next(&b)) {
        }
        while (next(&b)) {
        }
        dropped = feed_counters(b.feed)->samples_dropped;
        assert_true(replayable == 1 ? dropped == 0 : dropped > 0);
        for (unsigned i = 0; i < KEEP_REASONS; i++)
            sampled -= b.reduced.samples[i];
        assert_int_equal(sampled, b.samples + dropped);
        end(&b);
    }
}

static void windows_are_rows_of_their_own(void **state)
{
    static const char *const names[] = {"a", "b", "a.count", "a.min", "a.max", "a.mean"};
    struct bench b;
    uint64_t count = 0;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: a, keep: aggregate, aggregate_ms: 10 s}]", true);
    declare(&b);
    assert_int_equal(b.m.n_channels, 6);
    for (unsigned i = 0; i < 6; i++) {
        const struct source_config *config = b.config;

        assert_string_equal(b.m.channels[i].name, names[i]);
        assert_int_equal(keeper_is_derived(b.m.channels, i, &config->channels), i >= 2);
    }
    assert_string_equal(b.m.channels[5].unit, "m");
    for (int64_t t = 5; t < 38; t++) {
        assert_int_equal(give(&b, t, (double)t, t % 2 == 0 ? t : -1), 0);
        while (next(&b)) {
            if (b.m.is_account || b.m.cells[2].absent) {
                assert_true(b.m.position.word[0] == (uint64_t)t);
                continue;
            }
            /* the row before has been taken: its position stands */
            assert_true(b.m.has_position && b.m.position.word[0] == (uint64_t)t - 1);
            assert_true(b.m.time_ns == (t / 10 - 1) * 10 * S && b.m.n_samples == 4);
            count += (uint64_t)b.m.cells[2].i64;
            assert_true(b.m.cells[4].f64 == (double)(t - 1) && b.m.cells[2].i64 == (t == 10 ? 5 : 10));
        }
    }
    assert_true(keeper_finish(b.keeper, b.group));
    assert_true(next(&b) && b.m.cells[2].i64 == 8 && b.m.time_ns == 30 * S);
    assert_int_equal(count + 8, 33);
    assert_int_equal(b.reduced.samples[KEEP_AGGREGATED], 33);
    assert_false(keeper_finish(b.keeper, SOURCE_GROUPS_MAX));
    end(&b);
}

static void an_alarm_brings_what_was_before_and_all_after(void **state)
{
    struct bench b;
    int64_t last_s = 0;

    (void)state;
    begin(&b,
          "name: s\nchannels: [{name: a, keep: change, deadband: 100, max_silence_ms: 0, around_alarm_ms: 10 "
          "s}, "
          "{name: b, keep: change, deadband: 1000}]",
          false);
    declare(&b);
    for (int64_t t = 0; t < 50; t++)
        assert_int_equal(give(&b, t, (double)t, t), 0);
    while (next(&b)) {
    }
    assert_int_equal(b.samples, 2);
    keeper_alarm(b.keeper, 0, "b", 49 * S);
    assert_false(next(&b));
    keeper_alarm(b.keeper, 0, "a", 49 * S);
    for (int64_t t = 39; t < 50; t++)
        assert_true(next(&b) && b.m.time_ns == t * S && b.m.cells[0].f64 == (double)t && b.m.n_samples == 1);
    assert_false(next(&b));
    keeper_alarm(b.keeper, 0, NULL, 49 * S); /* once only */
    assert_false(next(&b));
    for (int64_t t = 50; t < 90; t++)
        assert_int_equal(give(&b, t, (double)t, t), 0);
    while (next(&b))
        if (!b.m.is_account && !b.m.cells[0].absent)
            last_s = b.m.time_ns / S;
    assert_int_equal(last_s, 59);
    while (keeper_finish(b.keeper, b.group) && next(&b)) {
    }
    assert_int_equal(b.reduced.sent_later[KEEP_NO_CHANGE], 11);
    assert_int_equal(180 + b.reduced.sent_later[KEEP_NO_CHANGE],
                     b.samples + b.reduced.samples[KEEP_NO_CHANGE]);
    end(&b);
}

/* A replay whose ring is full goes on with what the alarm asked for before its next row. */
static void a_full_ring_keeps_back_what_an_alarm_asked_for(void **state)
{
    struct bench b;
    uint64_t n = 0;
    int64_t t;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: a, keep: change, deadband: 1e9, around_alarm_ms: 1 h}]", true);
    declare(&b);
    for (t = 0; t < 100; t++) {
        assert_int_equal(give(&b, t, (double)t, -1), 0);
        while (next(&b)) {
        }
    }
    keeper_rows_are_partial(b.keeper, 0);
    while (give(&b, t, 0, t) == 0)
        t++;
    keeper_alarm(b.keeper, 0, "a", t * S);
    while (give(&b, t, 0, t) == SINK_FULL)
        while (next(&b))
            n += !b.m.is_account && b.m.reduced.sent_later[KEEP_NO_CHANGE];
    while (next(&b))
        n += !b.m.is_account && b.m.reduced.sent_later[KEEP_NO_CHANGE];
    assert_int_equal(b.reduced.sent_later[KEEP_NO_CHANGE], n);
    assert_true(n > 99 && n <= 4096 / sizeof(struct history_sample));
    assert_int_equal(keeper_counters(b.keeper)->sent_later, n);
    end(&b);
}

struct one_channel {
    struct config_list sources; /* of struct source_config */
};

static void check_sources(const void *values, struct config_check *c)
{
    const struct one_channel *v = values;

    for (size_t i = 0; i < v->sources.n; i++) {
        const struct source_config *s = v->sources.at[i].value;
        char field[CONFIG_FIELD_CHARS];

        snprintf(field, sizeof field, "sources[%zu]", i);
        channel_config_check(&s->channels, field, c);
    }
}

/* The first problem of a file with this one entry, as it is printed; "": none. */
static void problem_of(const char *entry, char out[512])
{
    struct config_kind kinds[] = {
        {.rows = source_config_rows, .size = sizeof(struct source_config), .help = "S."}, {0}};
    struct config_row rows[] = {
        {"sources", CONFIG_LIST, CONFIG_AT(struct one_channel, sources), .kinds = kinds, .help = "S."}, {0}};
    struct config_schema schema = {
        .name = "t", .rows = rows, .size = sizeof(struct one_channel), .check = check_sources};
    struct config_problems problems = {0};
    struct one_channel values = {0};
    char yaml[400];
    struct config_text text = {.name = "d.yaml"};

    snprintf(yaml, sizeof yaml, "sources:\n  - name: s\n    channels:\n      - {name: a, %s}\n", entry);
    text.text = span_str(yaml);
    out[0] = '\0';
    if (config_load_text(&schema, &text, &values, &problems) != 0)
        snprintf(out, 512, "%s:%u: %s: %s; %s", problems.file, problems.at[0].line, problems.at[0].field,
                 problems.at[0].message, problems.at[0].remedy);
    else
        config_free_values(&schema, &values);
    config_problems_deinit(&problems);
}

static void wrong_policies_name_line_field_and_remedy(void **state)
{
    static const struct {
        const char *entry, *problem;
    } cases[] = {
        {"keep: change, deadband: 1", ""},
        {"keep: change, deadband_percent: 1, max_silence_ms: 0, min_interval_ms: 1 h", ""},
        {"bound: 1", ""},
        {"keep: bound, bound: 1, min_interval_ms: 1 s", ""},
        {"keep: aggregate, aggregate_ms: 1 s, around_alarm_ms: 1 s", ""},
        {"deadband: 1", "d.yaml:4: sources[0].channels[0].deadband: counts with keep: change only; Set keep: "
                        "change, or leave it out."},
        {"deadband_percent: 1", "d.yaml:4: sources[0].channels[0].deadband_percent: counts with keep: change "
                                "only; Set keep: change, or leave it out."},
        {"keep: change, deadband: 1, deadband_percent: 1",
         "d.yaml:4: sources[0].channels[0].deadband_percent: stands beside deadband; Leave one of the two "
         "out."},
        {"keep: change, max_silence_ms: 1 s, min_interval_ms: 2 s",
         "d.yaml:4: sources[0].channels[0].min_interval_ms: is longer than max_silence_ms; Make it the "
         "shorter "
         "one."},
        {"keep: bound",
         "d.yaml:4: sources[0].channels[0].keep: is bound, and there is none; Set bound to the "
         "largest error there may be."},
        {"keep: change, bound: 1",
         "d.yaml:4: sources[0].channels[0].bound: counts with keep: bound and raw only: "
         "errors would add up; Leave it out, or set keep: bound."},
        {"keep: aggregate", "d.yaml:4: sources[0].channels[0].keep: is aggregate, and of no length; Set "
                            "aggregate_ms to the length of a window."},
        {"aggregate_ms: 1 s",
         "d.yaml:4: sources[0].channels[0].aggregate_ms: counts with keep: aggregate only; "
         "Set keep: aggregate, or leave it out."},
        {"keep: local, min_interval_ms: 1 s", "d.yaml:4: sources[0].channels[0].min_interval_ms: counts with "
                                              "keep: raw, change and bound only; Leave "
                                              "it out."},
        {"keep: local, around_alarm_ms: 1 s", "d.yaml:4: sources[0].channels[0].around_alarm_ms: with keep: "
                                              "local nothing is ever sent; Leave it out, "
                                              "or set another keep."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char problem[512];

        problem_of(cases[i].entry, problem);
        assert_string_equal(problem, cases[i].problem);
    }
}

static void windows_without_room_for_their_columns_are_told(void **state)
{
    static const char long_name[] = "a23456789.123456789.123456789.123456789.123456789.123456789";
    struct source_channel channels[BLOCK_COLUMNS_MAX];
    struct source_group many = {channels, 52}, taken = {channels, 2}, named = {channels, 1};
    static const struct {
        int rc;
        const char *channel, *text;
    } said[] = {{-EDOM, "c51", "four columns"},
                {-EEXIST, "t", "there already"},
                {-ENAMETOOLONG, long_name, "shorter"}};
    char names[52][8];

    (void)state;
    for (unsigned i = 0; i < sizeof said / sizeof said[0]; i++) {
        const struct source_group *groups[] = {&many, &taken, &named};
        struct bench b;

        for (unsigned k = 0; k < 52; k++) {
            snprintf(names[k], sizeof names[k], "c%u", k);
            channels[k] = (struct source_channel){i == 2 ? long_name : names[k], "", COLUMN_DOUBLE};
        }
        if (i == 1) {
            channels[0].name = "t.count";
            channels[1].name = "t";
        }
        begin(&b, "name: s\nchannels: [{name: t.count}, {name: \"*\", keep: aggregate, aggregate_ms: 10 s}]",
              false);
        for (unsigned again = 0; again < 2; again++)
            assert_int_equal(b.sink->group(b.sink->ctx, groups[i], &b.group), said[i].rc);
        assert_true(next(&b));
        assert_int_equal(b.m.kind, FEED_EVENT);
        assert_string_equal(b.m.event.channel, said[i].channel);
        assert_non_null(strstr(b.m.event.text, said[i].text));
        assert_false(next(&b));
        end(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_without_policy_passes),
        cmocka_unit_test(windows_without_room_for_their_columns_are_told),
        cmocka_unit_test(a_suppressed_cell_is_absent_and_an_empty_row_is_none),
        cmocka_unit_test(nothing_is_remembered_of_a_row_that_found_no_room),
        cmocka_unit_test(windows_are_rows_of_their_own),
        cmocka_unit_test(an_alarm_brings_what_was_before_and_all_after),
        cmocka_unit_test(wrong_policies_name_line_field_and_remedy),
        cmocka_unit_test(a_full_ring_keeps_back_what_an_alarm_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
