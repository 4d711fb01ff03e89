/* Rules on the act thread: what they say, in which order, and what they switch. */
#include "act/drive.h"
#include "device/decide/decide.h"

#include "act/output.h"
#include "config/config.h"
#include "device/device_config.h"
#include "gpio/gpio_line.h"
#include "rule/rule.h"
#include "tests/lib/tmpdir.h"
#include "wire/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define HEAD                                                                                                 \
    "node: d\n"                                                                                              \
    "site: s\n"                                                                                              \
    "sources: [{type: host, name: tank}, {type: host, name: other}]\n"

/* ---- lines that remember ---- */

enum { LINES = 4 };
struct gpio_line {
    bool is_open, active, initial, active_low;
    unsigned sets;
};
static struct gpio_line lines[LINES]; /* by number */
static int set_error;

int gpio_line_open(struct gpio_line **ret_l, const struct gpio_line_options *o, struct errmsg *err)
{
    unsigned no = (unsigned)strtoul(o->line, NULL, 10);

    if (no >= LINES)
        return errmsg_set(err, -ENOENT, "chip %s has no line %s", o->chip, o->line);
    lines[no] = (struct gpio_line){
        .is_open = true, .active = o->initial, .initial = o->initial, .active_low = o->active_low};
    *ret_l = &lines[no];
    return 0;
}

struct gpio_line *gpio_line_close(struct gpio_line *l)
{
    if (l != NULL)
        l->is_open = false;
    return NULL;
}

int gpio_line_set(struct gpio_line *l, bool active)
{
    if (set_error != 0)
        return set_error;
    l->active = active;
    l->sets++;
    return 0;
}

int gpio_line_get(struct gpio_line *l)
{
    return l->active;
}

int gpio_line_fd(const struct gpio_line *l)
{
    (void)l;
    return -1;
}

int gpio_line_read_edges(struct gpio_line *l, struct gpio_edge *out, size_t n)
{
    (void)l;
    (void)out;
    (void)n;
    return 0;
}

int gpio_lines_each(int (*fn)(void *ctx, const struct gpio_line_info *line), void *ctx)
{
    (void)fn;
    (void)ctx;
    return 0;
}

const char *gpio_backend(void)
{
    return "fake";
}

/* ---- the bench ---- */

struct bench {
    struct device_tier tier;
    struct device_config config;
    struct clock_fake now;
    struct clock clock;
    struct ring *ring, *other_ring; /* that of the source tank; of sources of the other sort */
    struct feed *feed;
    struct sampler *sampler;
    struct decide *decide;
    const struct source_sink *sink, *other_sink;
    int64_t next_ns;
};

static const struct config_list no_channels;

static void begin_after(struct bench *b, const char *yaml, bool replayable,
                        const struct decide_raised *raised, unsigned n_raised)
{
    const struct decide_source sources[] = {{"tank", replayable}, {"other", false}};
    struct config_text text = {.name = "d.yaml"};
    struct config_problems problems = {0};
    struct feed_options fo = {.n_sources = 2};
    struct sampler_options so = {.n_sources = 2, .n_listeners = 1};
    struct decide_options o = {.sources = sources, .n_sources = 2, .raised = raised, .n_raised = n_raised};
    struct sampler_listener listener;
    struct errmsg err = {""};
    char whole[8192];

    *b = (struct bench){.now = {.wall_unix_ns = 1000000 * MS, .mono_ns = 5000 * MS}};
    set_error = 0;
    memset(lines, 0, sizeof lines);
    assert_int_equal(device_tier_init(&b->tier, NULL, NULL, &(struct errmsg){""}), 0);
    snprintf(whole, sizeof whole, HEAD "%s", yaml);
    text.text = span_str(whole);
    if (config_load_text(&b->tier.schema, &text, &b->config, &problems) != 0)
        config_problems_print(&problems, stderr);
    assert_int_equal(problems.n, 0);
    b->clock = clock_fake_of(&b->now);
    assert_int_equal(ring_new(&b->ring, RING_MIN_BYTES), 0);
    assert_int_equal(ring_new(&b->other_ring, RING_MIN_BYTES), 0);
    fo.live = replayable ? b->other_ring : b->ring;
    fo.replay = replayable ? b->ring : b->other_ring;
    assert_int_equal(feed_new(&b->feed, &fo), 0);
    o.clock = &b->clock;
    o.feed = b->feed;
    o.rules = &b->config.rules;
    o.outputs = &b->config.outputs;
    if (decide_new(&b->decide, &o, &err) != 0)
        fail_msg("%s", err.text);
    listener = decide_listener(b->decide);
    so.feed = b->feed;
    so.listeners = &listener;
    assert_int_equal(sampler_new(&b->sampler, &so), 0);
    b->other_sink = sampler_sink(b->sampler, 1, false, &no_channels);
    b->sink = sampler_sink(b->sampler, 0, replayable, &no_channels);
    b->next_ns = decide_round(b->decide, b->now.mono_ns);
}

static void begin(struct bench *b, const char *yaml)
{
    begin_after(b, yaml, false, NULL, 0);
}

static void end(struct bench *b)
{
    decide_free(b->decide);
    sampler_free(b->sampler);
    feed_free(b->feed);
    ring_free(b->ring);
    ring_free(b->other_ring);
    config_free_values(&b->tier.schema, &b->config);
}

static uint32_t declare(struct bench *b, const char *channel, enum column_type type)
{
    struct source_channel channels[] = {{channel, "", type}};
    struct source_group g = {channels, 1};
    uint32_t group;

    assert_int_equal(b->sink->group(b->sink->ctx, &g, &group), 0);
    return group;
}

static int give_cell(struct bench *b, uint32_t group, struct cell cell)
{
    struct source_row row = {.group = group,
                             .time_ns = b->now.wall_unix_ns,
                             .mono_ns = (uint64_t)b->now.mono_ns,
                             .cells = &cell,
                             .n_cells = 1};

    return b->sink->row(b->sink->ctx, &row);
}

static void give(struct bench *b, uint32_t group, double x)
{
    (void)give_cell(b, group, (struct cell){.f64 = x});
}

/* Moves the clocks; rounds are run when they are due. */
static void pass(struct bench *b, int64_t ms)
{
    int64_t until_ns = b->now.mono_ns + ms * MS;

    b->next_ns = decide_round(b->decide, b->now.mono_ns);
    while (b->now.mono_ns < until_ns) {
        int64_t to_ns = b->next_ns < until_ns ? b->next_ns : until_ns;

        if (to_ns < b->now.mono_ns)
            to_ns = b->now.mono_ns;
        b->now.wall_unix_ns += to_ns - b->now.mono_ns;
        b->now.mono_ns = to_ns;
        b->next_ns = decide_round(b->decide, to_ns);
        assert_true(b->next_ns > b->now.mono_ns);
    }
    b->next_ns = decide_round(b->decide, b->now.mono_ns);
}

/* The next message that is no group; its kind, 0: none. */
static int next(struct bench *b, struct feed_message *m)
{
    while (feed_read(b->feed, b->ring, m)) {
        ring_release(b->ring);
        if (m->kind != FEED_GROUP)
            return (int)m->kind;
    }
    return 0;
}

/* ---- */

#define LIGHT                                                                                                \
    "outputs: [{type: gpio, name: light, chip: c, line: '1'}]\n"                                             \
    "rules: [{type: above, name: hot, channel: tank/level, limit: 30, hysteresis: 1, severity: error, "      \
    "actions: [{type: set, output: light}]}]\n"

static void a_change_is_told_before_its_row_and_once(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;
    char value[32];

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_DOUBLE);
    give(&b, group, 30);
    assert_int_equal(next(&b, &m), FEED_ROW);
    assert_false(lines[1].active);
    give(&b, group, 31.5);
    assert_true(lines[1].active);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_true(m.decision.raised && m.decision.has_value);
    feed_decision_value(&m.decision, value, sizeof value);
    assert_string_equal(value, "31.5");
    assert_true(m.decision.time_ns == b.now.wall_unix_ns);
    assert_string_equal(decide_who(b.decide, m.decision.instance).channel, "tank/level");
    assert_int_equal(next(&b, &m), FEED_ROW);
    give(&b, group, 40);
    give(&b, group, 29.5);
    assert_int_equal(next(&b, &m), FEED_ROW);
    assert_int_equal(next(&b, &m), FEED_ROW);
    assert_true(lines[1].active);
    give(&b, group, 29);
    assert_false(lines[1].active);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_false(m.decision.raised);
    assert_int_equal(lines[1].sets, 2);
    assert_int_equal(decide_counters(b.decide)->raised, 1);
    assert_int_equal(histogram_count(&decide_counters(b.decide)->output_time_ns), 2);
    end(&b);
}

static void bad_readings_are_not_looked_at(void **state)
{
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_DOUBLE);
    give_cell(&b, group, (struct cell){.f64 = 99, .quality = QUALITY_BAD});
    give_cell(&b, group, (struct cell){.f64 = 99, .quality = QUALITY_STALE});
    give_cell(&b, group, (struct cell){.f64 = NAN});
    give_cell(&b, group, (struct cell){.f64 = 99, .absent = true});
    assert_false(lines[1].active);
    give_cell(&b, group, (struct cell){.f64 = 99, .quality = QUALITY_UNCERTAIN});
    assert_true(lines[1].active);
    end(&b);
}

static void holds_and_silence_go_by_the_monotonic_clock(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b,
          "outputs: [{type: gpio, name: a, chip: c, line: '1'}]\n"
          "rules:\n"
          "  - {type: above, name: hot, channel: tank/level, limit: 30, hold_ms: 3 s, actions: [{type: set, "
          "output: a}]}\n"
          "  - {type: missing, name: gone, channel: tank/level, for_ms: 5 s}\n");
    /* Never seen: missing from the start. */
    pass(&b, 4999);
    assert_int_equal(next(&b, &m), 0);
    pass(&b, 1);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_true(m.decision.raised && !m.decision.has_value);
    group = declare(&b, "level", COLUMN_DOUBLE);
    give(&b, group, 31);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_false(m.decision.raised);
    assert_int_equal(next(&b, &m), FEED_ROW);
    b.now.wall_unix_ns -= 1000000 * MS; /* of no matter */
    pass(&b, 2999);
    assert_false(lines[1].active);
    pass(&b, 1);
    assert_true(lines[1].active);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_true(m.decision.raised);
    assert_true(m.decision.time_ns == b.now.wall_unix_ns);
    end(&b);
}

static void the_highest_severity_counts_on_an_output(void **state)
{
    struct bench b;
    uint32_t set, off;

    (void)state;
    begin(&b,
          "outputs: [{type: gpio, name: a, chip: c, line: '1'}]\n"
          "rules:\n"
          "  - {type: above, name: w, channel: tank/x, limit: 0, severity: warning, actions: [{type: set, "
          "output: a}]}\n"
          "  - {type: above, name: e, channel: tank/y, limit: 0, severity: error, actions: [{type: blink, "
          "output: a, on_ms: 100, off_ms: 300}]}\n");
    set = declare(&b, "x", COLUMN_DOUBLE);
    off = declare(&b, "y", COLUMN_DOUBLE);
    give(&b, off, 1);
    assert_true(lines[1].active);
    give(&b, set, 1);
    pass(&b, 100);
    assert_false(lines[1].active); /* the error blinks, whatever the warning says */
    pass(&b, 299);
    assert_false(lines[1].active);
    pass(&b, 1);
    assert_true(lines[1].active);
    pass(&b, 100);
    assert_false(lines[1].active);
    give(&b, off, -1);
    assert_true(lines[1].active);
    pass(&b, 1000);
    assert_true(lines[1].active);
    give(&b, set, -1);
    assert_false(lines[1].active);
    end(&b);
}

static void a_pulse_ends_by_itself(void **state)
{
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b,
          "outputs: [{type: gpio, name: reject, chip: c, line: '2', active_low: true}]\n"
          "rules: [{type: above, name: defect, channel: tank/p, limit: 0.8, actions: [{type: pulse, output: "
          "reject, ms: 200}]}]\n");
    assert_true(lines[2].active_low);
    group = declare(&b, "p", COLUMN_DOUBLE);
    give(&b, group, 0.9);
    assert_true(lines[2].active);
    pass(&b, 199);
    assert_true(lines[2].active);
    pass(&b, 1);
    assert_false(lines[2].active);
    give(&b, group, 0.95);
    assert_false(lines[2].active);
    give(&b, group, 0.1);
    give(&b, group, 0.9);
    assert_true(lines[2].active);
    give(&b, group, 0.1);
    assert_true(lines[2].active); /* a pulse once begun is as long as it is */
    pass(&b, 200);
    assert_false(lines[2].active);
    end(&b);
}

static void outputs_have_levels_for_start_stale_and_exit(void **state)
{
    struct bench b;
    uint32_t group;

    (void)state;
    begin(
        &b,
        "outputs:\n"
        "  - {type: gpio, name: a, chip: c, line: '0', on_start: active, on_exit: keep, on_stale: inactive, "
        "stale_ms: 1 s}\n"
        "  - {type: gpio, name: b, chip: c, line: '1', on_exit: active, on_stale: active, stale_ms: 2 s}\n"
        "  - {type: gpio, name: c, chip: c, line: '2'}\n"
        "rules: [{type: above, name: r, channel: tank/x, limit: 0, actions: [{type: set, output: a}, {type: "
        "set, output: b}, {type: set, output: c}]}]\n");
    assert_true(lines[0].initial && !lines[1].initial);
    group = declare(&b, "x", COLUMN_DOUBLE);
    give(&b, group, -1);
    assert_false(lines[0].active);
    give(&b, group, 1);
    assert_true(lines[0].active && lines[1].active);
    pass(&b, 999);
    give_cell(&b, group, (struct cell){.f64 = 1, .quality = QUALITY_BAD});
    assert_true(lines[0].active);
    pass(&b, 1);
    assert_false(lines[0].active);
    assert_true(lines[1].active && lines[2].active);
    give(&b, group, 1);
    assert_true(lines[0].active);
    give(&b, group, -1);
    assert_false(lines[1].active);
    pass(&b, 2000);
    assert_true(lines[1].active); /* stale */
    assert_false(lines[2].active);
    give(&b, group, 1);
    end(&b);
    assert_true(lines[0].active); /* kept */
    assert_true(lines[1].active);
    assert_false(lines[2].active);
    assert_false(lines[0].is_open || lines[1].is_open || lines[2].is_open);
}

static void what_was_raised_is_raised_after_a_restart(void **state)
{
    const struct decide_raised raised[] = {{"hot", "tank/level", 77}, {"hot", "tank/other", 78}};
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin_after(&b, LIGHT, false, raised, 2);
    assert_true(lines[1].active); /* before any reading */
    group = declare(&b, "level", COLUMN_DOUBLE);
    give(&b, group, 31);
    assert_int_equal(next(&b, &m), FEED_ROW);
    give(&b, group, 20);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_false(m.decision.raised);
    assert_true(m.decision.since_ns == 77);
    assert_false(lines[1].active);
    end(&b);
}

static void what_does_not_suit_is_said_and_left_alone(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_TEXT);
    assert_int_equal(next(&b, &m), FEED_EVENT);
    assert_int_equal(m.event.type, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE);
    assert_non_null(strstr(m.event.text, "does not suit"));
    give_cell(&b, group, (struct cell){.text = span_of("x", 1)});
    assert_int_equal(decide_counters(b.decide)->evaluations, 0);
    end(&b);
}

static void a_pattern_has_a_bounded_number_of_instances(void **state)
{
    struct source_channel channels[200];
    char names[200][16];
    struct source_group g = {channels, 200};
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, "rules: [{type: above, name: r, channel: 'tank/*', limit: 0}]\n");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            snprintf(names[i], sizeof names[i], "c%d-%d", round, i);
            channels[i] = (struct source_channel){names[i], "", COLUMN_DOUBLE};
        }
        assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), 0);
    }
    assert_int_equal(decide_counters(b.decide)->instances, DECIDE_INSTANCES_MAX);
    assert_int_equal(decide_counters(b.decide)->instances_refused, 400 - DECIDE_INSTANCES_MAX);
    assert_int_equal(next(&b, &m), FEED_EVENT);
    /* The same channels in another group: no others. */
    for (int i = 0; i < 200; i++)
        snprintf(names[i], sizeof names[i], "c0-%d", i);
    assert_int_equal(b.sink->group(b.sink->ctx, &g, &group), 0);
    assert_int_equal(decide_counters(b.decide)->instances_refused, 400 - DECIDE_INSTANCES_MAX);
    end(&b);
}

static void changes_wait_for_room_in_the_ring_in_order(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group, told = 0;
    bool raised = false;

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_DOUBLE);
    while (give_cell(&b, group, (struct cell){.f64 = 0}) == 0)
        continue;
    for (int i = 0; i < 10; i++) {
        give(&b, group, i % 2 == 0 ? 31 : 20);
        assert_int_equal(lines[1].active, i % 2 == 0); /* an output waits for nothing */
    }
    for (int kind = -1; kind != 0;) {
        b.next_ns = decide_round(b.decide, b.now.mono_ns);
        kind = next(&b, &m);
        if (kind != FEED_DECISION)
            continue;
        assert_int_equal(m.decision.raised, !raised);
        raised = m.decision.raised;
        told++;
    }
    assert_int_equal(told, 10);
    assert_int_equal(decide_counters(b.decide)->changes_dropped, 0);
    end(&b);
}

/* At the stop no round comes any more. */
static void changes_that_wait_are_told_at_the_end(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group, told = 0;

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_DOUBLE);
    while (give_cell(&b, group, (struct cell){.f64 = 0}) == 0)
        continue;
    for (int i = 0; i < 10; i++)
        give(&b, group, i % 2 == 0 ? 31 : 20);
    assert_false(decide_finish(b.decide));
    for (int round = 0; round < 2; round++) {
        while (next(&b, &m) != 0)
            if (m.kind == FEED_DECISION)
                assert_int_equal(m.decision.raised, told++ % 2 == 0);
        if (round == 0) {
            assert_true(told < 10);
            assert_true(decide_finish(b.decide));
        }
    }
    assert_int_equal(told, 10);
    end(&b);
}

static void a_full_ring_of_live_rows_does_not_part_a_replayed_row_from_its_change(void **state)
{
    struct source_channel channels[] = {{"level", "", COLUMN_DOUBLE}};
    struct source_group g = {channels, 1};
    struct cell cell = {.f64 = 0};
    struct source_row row = {.mono_ns = 1, .cells = &cell, .n_cells = 1};
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin_after(&b, "rules: [{type: above, name: hot, channel: '*/level', limit: 30}]\n", true, NULL, 0);
    group = declare(&b, "level", COLUMN_DOUBLE);
    assert_int_equal(b.other_sink->group(b.other_sink->ctx, &g, &row.group), 0);
    while (b.other_sink->row(b.other_sink->ctx, &row) == 0)
        continue;
    for (int i = 0; i < 10; i++) { /* more than one ring has room for */
        cell.f64 = i % 2 == 0 ? 31 : 20;
        assert_int_equal(b.other_sink->row(b.other_sink->ctx, &row), SINK_FULL);
    }
    assert_int_equal(give_cell(&b, group, (struct cell){.f64 = 40}), 0);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_int_equal(next(&b, &m), FEED_ROW);
    end(&b);
}

static void a_replayed_row_waits_until_its_change_has_room_too(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group, rows = 0;
    int rc;

    (void)state;
    begin_after(&b, LIGHT, true, NULL, 0);
    group = declare(&b, "level", COLUMN_DOUBLE);
    do {
        rc = give_cell(&b, group, (struct cell){.f64 = rows % 2 == 0 ? 31 : 20});
        rows += rc == 0;
    } while (rc == 0);
    assert_int_equal(rc, SINK_FULL);
    assert_int_equal(decide_counters(b.decide)->raised + decide_counters(b.decide)->cleared, rows);
    for (uint32_t i = 0; i < rows; i++) {
        assert_int_equal(next(&b, &m), FEED_DECISION);
        assert_int_equal(m.decision.raised, i % 2 == 0);
        assert_int_equal(next(&b, &m), FEED_ROW);
    }
    assert_int_equal(next(&b, &m), 0);
    end(&b);
}

static void an_output_that_fails_is_said_once_and_tried_again(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_DOUBLE);
    set_error = -EIO;
    give(&b, group, 31);
    assert_int_equal(next(&b, &m), FEED_DECISION);
    assert_int_equal(next(&b, &m), FEED_EVENT);
    assert_non_null(strstr(m.event.text, "output light cannot be set"));
    pass(&b, 3 * DRIVE_RETRY_MS);
    assert_int_equal(decide_counters(b.decide)->output_failures, 4);
    set_error = 0;
    pass(&b, DRIVE_RETRY_MS);
    assert_true(lines[1].active);
    assert_int_equal(next(&b, &m), FEED_ROW);
    assert_int_equal(next(&b, &m), FEED_EVENT);
    assert_int_equal(next(&b, &m), 0);
    end(&b);
}

static void what_finds_no_room_to_be_said_is_said_later(void **state)
{
    struct feed_message m;
    struct bench b;
    uint32_t group;
    int kind;

    (void)state;
    begin(&b, LIGHT);
    group = declare(&b, "level", COLUMN_DOUBLE);
    while (give_cell(&b, group, (struct cell){.f64 = 0}) == 0)
        continue;
    set_error = -EIO;
    give(&b, group, 31);
    for (kind = -1; kind != 0; kind = next(&b, &m))
        assert_int_not_equal(kind, FEED_EVENT);
    feed_flush(b.feed, b.now.wall_unix_ns);
    assert_int_equal(next(&b, &m), FEED_EVENT);
    assert_non_null(strstr(m.event.text, "output light cannot be set"));
    end(&b);
}

static void a_file_takes_one_and_zero(void **state)
{
    struct tmpdir dir;
    struct bench b;
    uint32_t group;
    char yaml[1024], said[8] = "";
    FILE *f;

    (void)state;
    tmpdir_init(&dir);
    snprintf(yaml, sizeof yaml,
             "outputs: [{type: file, name: led, path: %s}]\n"
             "rules: [{type: equals, name: r, channel: tank/x, value: 'true', actions: [{type: set, output: "
             "led}]}]\n",
             tmpdir_path(&dir, "led"));
    begin(&b, yaml);
    group = declare(&b, "x", COLUMN_BOOL);
    for (int on = 1; on >= 0; on--) {
        give_cell(&b, group, (struct cell){.i64 = on});
        f = fopen(tmpdir_path(&dir, "led"), "r");
        assert_non_null(f);
        assert_non_null(fgets(said, sizeof said, f));
        fclose(f);
        assert_string_equal(said, on ? "1\n" : "0\n");
    }
    end(&b);
    tmpdir_deinit(&dir);
}

static void a_pipe_is_no_output(void **state)
{
    struct output_config c = {.name = "led"};
    struct output *o = NULL;
    struct errmsg err = {""};
    struct tmpdir dir;

    (void)state;
    tmpdir_init(&dir);
    snprintf(c.path, sizeof c.path, "%s", tmpdir_path(&dir, "fifo"));
    assert_int_equal(mkfifo(c.path, 0600), 0);
    assert_int_equal(output_open(&o, OUTPUT_FILE, &c, false, &err), -EINVAL);
    assert_null(o);
    assert_non_null(strstr(err.text, "fifo is a pipe, a socket or a folder; name a file"));
    tmpdir_deinit(&dir);
}

static void times_fall_into_classes(void **state)
{
    static struct histogram t;

    (void)state;
    assert_int_equal(histogram_quantile(&t, 500 / 1000.0), 0);
    for (int i = 1; i <= 1000; i++)
        histogram_add(&t, (uint64_t)(i * INT64_C(1000)));
    assert_in_range(histogram_quantile(&t, 500 / 1000.0), 500000, 563000);
    assert_in_range(histogram_quantile(&t, 990 / 1000.0), 990000, 1000000);
    assert_int_equal(histogram_max(&t), 1000000);
    histogram_add(&t, INT64_MAX);
    histogram_add(&t, 0);
    assert_true(histogram_quantile(&t, 1000 / 1000.0) > 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_told_before_its_row_and_once),
        cmocka_unit_test(bad_readings_are_not_looked_at),
        cmocka_unit_test(holds_and_silence_go_by_the_monotonic_clock),
        cmocka_unit_test(the_highest_severity_counts_on_an_output),
        cmocka_unit_test(a_pulse_ends_by_itself),
        cmocka_unit_test(outputs_have_levels_for_start_stale_and_exit),
        cmocka_unit_test(what_was_raised_is_raised_after_a_restart),
        cmocka_unit_test(what_does_not_suit_is_said_and_left_alone),
        cmocka_unit_test(a_pattern_has_a_bounded_number_of_instances),
        cmocka_unit_test(changes_wait_for_room_in_the_ring_in_order),
        cmocka_unit_test(changes_that_wait_are_told_at_the_end),
        cmocka_unit_test(a_full_ring_of_live_rows_does_not_part_a_replayed_row_from_its_change),
        cmocka_unit_test(a_replayed_row_waits_until_its_change_has_room_too),
        cmocka_unit_test(an_output_that_fails_is_said_once_and_tried_again),
        cmocka_unit_test(what_finds_no_room_to_be_said_is_said_later),
        cmocka_unit_test(a_file_takes_one_and_zero),
        cmocka_unit_test(a_pipe_is_no_output),
        cmocka_unit_test(times_fall_into_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
