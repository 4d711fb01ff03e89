/* What the sampler makes of rows before the feed has them, and who hears of them. */
#include "device/sampler.h"

#include "config/config.h"
#include "recorder.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct heard {
    uint32_t n_groups, n_rows;
    double last;
};

struct bench {
    struct ring *ring;
    struct feed *feed;
    struct sampler *sampler;
    const struct source_sink *sink;
    void *config; /* struct source_config */
    struct heard heard;
};

/* The keys that all kinds have, and no others. */
static struct source_kind common = {.name = "common", .config_bytes = sizeof(struct source_config)};

static int hear_group(void *ctx, unsigned source, uint32_t group, const struct source_group *g)
{
    struct heard *h = ctx;

    (void)source;
    (void)group;
    (void)g;
    h->n_groups++;
    return 0;
}

static void hear_row(void *ctx, unsigned source, const struct source_row *r)
{
    struct heard *h = ctx;

    (void)source;
    h->n_rows++;
    h->last = r->cells[0].f64;
}

static void begin(struct bench *b, const char *channels, bool replayable)
{
    struct sampler_listener listener = {&b->heard, hear_group, hear_row};
    struct feed_options fo = {.n_sources = 1};
    struct sampler_options so = {.n_sources = 1, .listeners = &listener, .n_listeners = 1};
    const struct source_config *config;

    *b = (struct bench){0};
    common.rows = source_config_rows;
    b->config = recorder_config(&common, channels);
    config = b->config;
    assert_int_equal(ring_new(&b->ring, RING_MIN_BYTES), 0);
    fo.live = fo.replay = b->ring;
    assert_int_equal(feed_new(&b->feed, &fo), 0);
    so.feed = b->feed;
    assert_int_equal(sampler_new(&b->sampler, &so), 0);
    b->sink = sampler_sink(b->sampler, 0, replayable, &config->channels);
}

static void end(struct bench *b)
{
    sampler_free(b->sampler);
    feed_free(b->feed);
    ring_free(b->ring);
    recorder_config_free(&common, b->config);
}

static uint32_t declare(struct bench *b, enum column_type type)
{
    struct source_channel channels[] = {{"level", "m", type}, {"note", "", COLUMN_TEXT}};
    struct source_group g = {channels, 2};
    uint32_t group;

    assert_int_equal(b->sink->group(b->sink->ctx, &g, &group), 0);
    return group;
}

static int give(struct bench *b, uint32_t group, struct cell level)
{
    struct cell cells[] = {level, {.text = span_of("x", 1)}};
    struct source_row row = {.group = group, .time_ns = 1, .mono_ns = 1, .cells = cells, .n_cells = 2};

    return b->sink->row(b->sink->ctx, &row);
}

/* The next message, with the ring let go: texts are not looked at. */
static struct feed_message next(struct bench *b)
{
    struct feed_message m;

    assert_true(feed_read(b->feed, b->ring, &m));
    ring_release(b->ring);
    return m;
}

static void integers_become_doubles_by_scale_and_offset(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: level, unit: mm, scale: 0.5, offset: -1}]", false);
    group = declare(&b, COLUMN_INT64);
    m = next(&b);
    assert_int_equal(m.channels[0].type, COLUMN_DOUBLE);
    assert_string_equal(m.channels[0].unit, "mm");
    assert_int_equal(m.channels[1].type, COLUMN_TEXT);
    assert_int_equal(give(&b, group, (struct cell){.i64 = 7}), 0);
    m = next(&b);
    assert_true(m.cells[0].f64 == 2.5);
    assert_true(b.heard.last == 2.5);
    assert_int_equal(give(&b, group, (struct cell){.absent = true}), 0);
    m = next(&b);
    assert_true(m.cells[0].absent);
    end(&b);
}

static void values_outside_the_valid_range_are_kept_as_bad(void **state)
{
    static const struct {
        double value;
        int quality;
    } cases[] = {
        {0, QUALITY_GOOD}, {-0.1, QUALITY_BAD}, {10, QUALITY_GOOD}, {10.1, QUALITY_BAD}, {NAN, QUALITY_GOOD}};
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: 'lev*', valid_min: 0, valid_max: 10}]", false);
    group = declare(&b, COLUMN_DOUBLE);
    next(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct feed_message m;

        assert_int_equal(give(&b, group, (struct cell){.f64 = cases[i].value}), 0);
        m = next(&b);
        assert_int_equal(m.cells[0].quality, cases[i].quality);
        assert_memory_equal(&m.cells[0].f64, &cases[i].value, sizeof(double));
    }
    assert_int_equal(sampler_counters(b.sampler)->out_of_range, 2);
    end(&b);
}

static void what_has_no_settings_passes_as_it_is(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: other, scale: 2}]", false);
    group = declare(&b, COLUMN_INT64);
    m = next(&b);
    assert_int_equal(m.channels[0].type, COLUMN_INT64);
    assert_string_equal(m.channels[0].unit, "m");
    assert_int_equal(give(&b, group, (struct cell){.i64 = INT64_MIN}), 0);
    m = next(&b);
    assert_true(m.cells[0].i64 == INT64_MIN);
    assert_int_equal(b.heard.n_groups, 1);
    end(&b);
}

/* A decision does not wait for room; a replayed row is heard once. */
static void a_full_ring_stops_no_listener(void **state)
{
    for (int replayable = 0; replayable < 2; replayable++) {
        struct bench b;
        uint32_t group, given = 0;

        (void)state;
        begin(&b, "name: s", replayable == 1);
        group = declare(&b, COLUMN_DOUBLE);
        while (give(&b, group, (struct cell){.f64 = given}) == 0)
            given++;
        assert_int_equal(b.heard.n_rows, replayable == 1 ? given : given + 1);
        end(&b);
    }
}

static void channels_with_settings_beyond_the_room_for_them_are_refused_and_others_are_not(void **state)
{
    struct source_channel channels[BLOCK_COLUMNS_MAX];
    struct source_group g = {channels, BLOCK_COLUMNS_MAX};
    char names[BLOCK_COLUMNS_MAX][8];
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, "name: s\nchannels: [{name: \"c*\", scale: 2}]", false);
    for (uint32_t i = 0; i < BLOCK_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%u", i);
        channels[i] = (struct source_channel){names[i], "", COLUMN_DOUBLE};
    }
    for (unsigned i = 0; i < SAMPLER_CHANNELS_MAX / BLOCK_COLUMNS_MAX; i++) {
        assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), 0);
        next(&b);
    }
    assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), -EUSERS);
    assert_non_null(strstr(source_refusal(-EUSERS), "4096 channels with settings"));
    for (uint32_t i = 0; i < BLOCK_COLUMNS_MAX; i++)
        names[i][0] = 'd';
    assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), 0);
    end(&b);
}

/* 256 names of 64 characters take more than a quarter of the smallest ring. */
static void channels_that_never_fit_into_the_ring_are_refused_not_waited_for(void **state)
{
    struct source_channel channels[BLOCK_COLUMNS_MAX];
    struct source_group g = {channels, BLOCK_COLUMNS_MAX};
    char names[BLOCK_COLUMNS_MAX][SOURCE_NAME_BYTES];
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, "name: s", false);
    for (uint32_t i = 0; i < BLOCK_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%064u", i);
        channels[i] = (struct source_channel){names[i], "", COLUMN_DOUBLE};
    }
    assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), -EMSGSIZE);
    assert_non_null(strstr(source_refusal(-EMSGSIZE), "raise ring.bytes"));
    g.n_channels = 16;
    assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), 0);
    end(&b);
}

static void a_row_of_an_unknown_group_is_refused(void **state)
{
    struct bench b;

    (void)state;
    begin(&b, "name: s", false);
    assert_true(give(&b, 0, (struct cell){0}) < 0);
    assert_true(give(&b, SOURCE_GROUPS_MAX, (struct cell){0}) < 0);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_become_doubles_by_scale_and_offset),
        cmocka_unit_test(values_outside_the_valid_range_are_kept_as_bad),
        cmocka_unit_test(what_has_no_settings_passes_as_it_is),
        cmocka_unit_test(a_full_ring_stops_no_listener),
        cmocka_unit_test(channels_with_settings_beyond_the_room_for_them_are_refused_and_others_are_not),
        cmocka_unit_test(channels_that_never_fit_into_the_ring_are_refused_not_waited_for),
        cmocka_unit_test(a_row_of_an_unknown_group_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
