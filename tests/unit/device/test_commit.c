/* When the device commits: everything of a period in one commit, events at once, and never for the sake of
 * its own signs of life. The io thread's parts are called with times of this test's choice. */
#include "device/io.h"
#include "rule/rule.h"
#include "tests/lib/tmpdir.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEFAULT_MS = 90000, GROUPS = 3 };

/* In the child, which has no cmocka around it. */
#define must_be(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

struct bench {
    struct tmpdir dir;
    char config[600];
};

/* One life of a device whose rows are this test's. */
struct life {
    struct daemon daemon;
    struct device_tier tier;
    struct io *io;
    const struct source_sink *sink;
    uint32_t group[GROUPS];
    int64_t time_ns;
};

static int quiet_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    (void)o;
    (void)err;
    *ret_self = NULL;
    return 0;
}

static void quiet_close(void *self)
{
    (void)self;
}

static const struct config_row no_rows[] = {{0}};
static const struct source_kind quiet_kind = {.name = "quiet",
                                              .help = "Says nothing by itself.",
                                              .rows = no_rows,
                                              .config_bytes = sizeof(struct source_config),
                                              .open = quiet_open,
                                              .close = quiet_close};
static const struct source_kind *const extra[] = {&quiet_kind, NULL};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct node_keys keys;
    struct errmsg err;

    tmpdir_init(&b->dir);
    snprintf(b->config, sizeof b->config, "%s/d.yaml", b->dir.path);
    assert_int_equal(keys_init(), 0);
    assert_int_equal(file_mkdirs(tmpdir_path(&b->dir, "state"), 0700), 0);
    node_keys_generate(&keys);
    assert_int_equal(node_keys_save(tmpdir_path(&b->dir, "state/node.key"), &keys, &err), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

static void begin(struct life *l, struct bench *b)
{
    static const struct source_channel channel = {"n", "", COLUMN_INT64};
    char *argv[] = {(char *)"fogline-device", (char *)"-c", b->config, NULL};
    struct source_group group = {&channel, 1};
    struct errmsg err = {""};

    must_be(device_tier_init(&l->tier, extra, NULL, &err) == 0);
    must_be(daemon_begin(&l->daemon, &l->tier.tier, 3, argv) == DAEMON_RUN);
    must_be(io_new(&l->io, &l->daemon, &l->tier, &err) == 0);
    l->io->health_at_ms = l->io->alive_at_ms = INT64_MAX;
    l->sink = feed_sink(l->io->feed, 0, false);
    for (unsigned i = 0; i < GROUPS; i++)
        must_be(l->sink->group(l->sink->ctx, &group, &l->group[i]) == 0);
    io_drain(l->io);
}

static void row(struct life *l, unsigned group, int64_t mono_ns)
{
    struct cell cell = {.i64 = l->time_ns};
    struct source_row r = {.group = l->group[group],
                           .time_ns = l->time_ns++,
                           .mono_ns = (uint64_t)mono_ns,
                           .cells = &cell,
                           .n_cells = 1};

    must_be(l->sink->row(l->sink->ctx, &r) == 0);
    io_drain(l->io);
}

static int64_t now_ms(const struct life *l)
{
    return loop_now_ms(l->daemon.loop);
}

/* A round of the loop as if it were then: returns whether it has committed. */
static bool round_at(struct life *l, int64_t at_ms)
{
    uint64_t before = l->io->counter[IO_COMMITS];

    io_close_packs(l->io, at_ms);
    if (io_commit_is_due(l->io, at_ms))
        io_commit(l->io);
    l->io->looked_ms = at_ms;
    must_be(l->io->error == 0);
    return l->io->counter[IO_COMMITS] > before;
}

/* Runs it in a child, since a daemon locks and blocks signals. */
static void in_a_life(struct bench *b, const char *more, void (*fn)(struct life *l))
{
    FILE *f = fopen(b->config, "w");
    int status;
    pid_t pid;

    assert_non_null(f);
    fprintf(f,
            "node: dev\nsite: here\nstate_dir: state\nrun_dir: run\nlog:\n  level: error\nstore:\n"
            "  map_bytes: 8 MiB\n%ssources:\n  - type: quiet\n    name: q\n    channels:\n"
            "      - {name: level, keep: aggregate, aggregate_ms: 10 s}\n",
            more);
    fclose(f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct life l = {0};

        alarm(60);
        begin(&l, b);
        fn(&l);
        io_free(l.io);
        _exit(daemon_end(&l.daemon, 0));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void one_commit(struct life *l)
{
    int64_t first_ms = l->io->began_ms + DEFAULT_MS;

    for (unsigned i = 0; i < GROUPS; i++)
        row(l, i, now_ms(l) * NS_PER_MS);
    must_be(io_next_pack_ms(l->io) == first_ms);
    must_be(io_next_commit_ms(l->io) == INT64_MAX);
    must_be(!round_at(l, first_ms - 1));
    io_health(l->io);
    must_be(io_next_commit_ms(l->io) == first_ms);
    must_be(round_at(l, first_ms));
    must_be(batch_n(l->io->batch) == 0 && l->io->counter[IO_BLOCKS] == GROUPS);
    /* Nothing is left that would make another: no sign of life by itself. */
    l->io->alive_at_ms = 0;
    must_be(io_next_pack_ms(l->io) == INT64_MAX && io_next_commit_ms(l->io) == INT64_MAX);
    must_be(!round_at(l, first_ms + 10 * DEFAULT_MS));
}

static void by_default_all_blocks_and_the_report_are_one_commit(void **state)
{
    in_a_life(*state, "", one_commit);
}

static void late_round(struct life *l)
{
    int64_t boundary_ms = l->io->began_ms + DEFAULT_MS;

    row(l, 0, now_ms(l) * NS_PER_MS);
    must_be(round_at(l, boundary_ms + 20));
    /* Read before the boundary, it comes after that round, and does not make a commit of its own. */
    row(l, 0, now_ms(l) * NS_PER_MS);
    must_be(!round_at(l, boundary_ms + 30));
    must_be(io_next_pack_ms(l->io) == boundary_ms + DEFAULT_MS);
    must_be(round_at(l, boundary_ms + DEFAULT_MS));
}

static void what_comes_after_the_round_of_a_boundary_waits_for_the_next(void **state)
{
    in_a_life(*state, "", late_round);
}

/* Rows that come with the round of a boundary and no other, as they do when ring and boundary have one beat.
 */
static void same_beat(struct life *l)
{
    for (int64_t at_ms = l->io->began_ms + 1000; at_ms <= l->io->began_ms + 20000; at_ms += 1000) {
        row(l, 0, now_ms(l) * NS_PER_MS);
        must_be(round_at(l, at_ms));
        must_be(!round_at(l, at_ms + 500));
    }
}

static void a_row_that_comes_with_the_boundary_is_committed_in_its_round(void **state)
{
    in_a_life(*state, "commit_ms: 1 s\npack:\n  ms: 1 s\n", same_beat);
}

static void reloaded(struct life *l)
{
    struct device_config *config = l->daemon.values;

    same_beat(l);
    row(l, 0, now_ms(l) * NS_PER_MS);
    must_be(io_next_pack_ms(l->io) == l->io->began_ms + 21000);
    config->commit_ms = 40000; /* as a reload does */
    must_be(io_next_pack_ms(l->io) == l->io->began_ms + 40000);
    must_be(!round_at(l, l->io->began_ms + 39999));
    must_be(round_at(l, l->io->began_ms + 40000));
    must_be(batch_n(l->io->batch) == 0 && io_oldest_pack_ns(l->io) == INT64_MAX);
}

static void who_sets_commit_ms_alone_gets_just_that(void **state)
{
    in_a_life(*state, "commit_ms: 1 s\n", reloaded);
}

static void event(struct life *l)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, .text = "something"};

    io_event(l->io, &e, "q");
}

static void events(struct life *l)
{
    int64_t at_ms;

    row(l, 0, now_ms(l) * NS_PER_MS);
    at_ms = (int64_t)pack_since_mono_ns(l->io->groups[l->group[0]].pack) / NS_PER_MS;
    event(l);
    must_be(round_at(l, at_ms + 10));
    must_be(l->io->counter[IO_BLOCKS] == 0); /* what is this young is left open */
    must_be(!round_at(l, at_ms + 2000));
    event(l);
    must_be(round_at(l, at_ms + 2000));
    must_be(l->io->counter[IO_BLOCKS] == 1);
}

static void an_event_is_committed_at_once_with_what_is_older_than_a_second(void **state)
{
    in_a_life(*state, "", events);
}

static void exposure(struct life *l)
{
    double *m = l->io->measures;

    row(l, 0, (now_ms(l) - 40000) * NS_PER_MS);
    io_measure(l->io, false);
    must_be(m[HEALTH_EXPOSURE_MS] >= 40000 && m[HEALTH_EXPOSURE_MS] < 90000 && m[HEALTH_EXPOSURE_BYTES] > 0);
    io_close_all_packs(l->io);
    io_measure(l->io, false);
    must_be(m[HEALTH_EXPOSURE_MS] >= 40000 && m[HEALTH_EXPOSURE_BYTES] > 0);
    io_commit(l->io);
    io_measure(l->io, false);
    must_be(m[HEALTH_EXPOSURE_MS] == 0 && m[HEALTH_EXPOSURE_BYTES] == 0);
}

static void what_a_power_cut_would_take_is_measured(void **state)
{
    in_a_life(*state, "", exposure);
}

static void full_batch(struct life *l)
{
    uint64_t before = l->io->counter[IO_COMMITS];
    size_t most = 0;

    for (unsigned i = 0; i < 400000 && l->io->counter[IO_COMMITS] == before; i++) {
        row(l, i % GROUPS, now_ms(l) * NS_PER_MS);
        most = batch_bytes(l->io->batch) > most ? batch_bytes(l->io->batch) : most;
        if (io_commit_is_due(l->io, l->io->began_ms))
            io_commit(l->io);
    }
    must_be(l->io->counter[IO_COMMITS] == before + 1);
    must_be(most >= IO_BATCH_BYTES && most < IO_BATCH_BYTES + 64 * 1024);
}

static void a_batch_that_is_full_does_not_wait(void **state)
{
    in_a_life(*state, "pack:\n  rows: 1\n", full_batch);
}

static void two_periods(struct life *l)
{
    int64_t began_ms = l->io->began_ms;

    row(l, 0, now_ms(l) * NS_PER_MS);
    must_be(!round_at(l, began_ms + 40000));
    must_be(l->io->counter[IO_BLOCKS] == 1 && io_next_commit_ms(l->io) == began_ms + DEFAULT_MS);
    row(l, 1, now_ms(l) * NS_PER_MS);
    must_be(!round_at(l, began_ms + 79999) && l->io->counter[IO_BLOCKS] == 1);
    must_be(!round_at(l, began_ms + 80000) && l->io->counter[IO_BLOCKS] == 2);
    must_be(round_at(l, began_ms + DEFAULT_MS));
}

static void a_closed_block_waits_for_the_time_of_commits(void **state)
{
    in_a_life(*state, "pack:\n  ms: 40 s\n", two_periods);
}

static void boundaries(struct life *l)
{
    int64_t began_ms = l->io->began_ms;

    must_be(io_boundary_ms(l->io, 1000, began_ms) == began_ms);
    must_be(io_boundary_ms(l->io, 1000, began_ms + 1) == began_ms + 1000);
    must_be(io_boundary_ms(l->io, 1000, began_ms + 1000) == began_ms + 1000);
    must_be(io_boundary_ms(l->io, 7000, began_ms + 7001) == began_ms + 14000);
    must_be(io_boundary_ms(l->io, 0, began_ms + 17) == began_ms + 17);
    row(l, 0, now_ms(l) * NS_PER_MS);
    must_be(round_at(l, now_ms(l)));
}

static void with_no_period_everything_is_at_once(void **state)
{
    in_a_life(*state, "commit_ms: 0\n", boundaries);
}

static void full_store(struct life *l)
{
    event(l);
    row(l, 0, now_ms(l) * NS_PER_MS);
    io_close_all_packs(l->io);
    io_commit(l->io);
    /* The reading was given up; the event and the set wait, and are tried again by themselves. */
    must_be(l->io->counter[IO_SAMPLES_REFUSED] == 1);
    must_be(batch_n(l->io->batch) == 2);
    must_be(l->io->retry_at_ms != INT64_MAX && io_next_commit_ms(l->io) == l->io->retry_at_ms);
    must_be(io_commit_is_due(l->io, l->io->retry_at_ms));
}

static void an_event_that_finds_no_room_is_tried_again_though_a_reading_behind_it_was_given_up(void **state)
{
    in_a_life(*state, "  quota_bytes: 1\n", full_store);
}

/* A block that has no room beside what an event needs. */
static void loss_at_the_end(struct life *l)
{
    uint64_t events;

    for (unsigned i = 0; i < 4000; i++) {
        l->time_ns += (int64_t)(i * UINT64_C(0x9e3779b97f4a7c15) >> 40);
        row(l, 0, now_ms(l) * NS_PER_MS);
    }
    events = l->io->counter[IO_EVENTS];
    io_finish(l->io);
    must_be(l->io->error == 0 && l->io->counter[IO_SAMPLES_REFUSED] == 4000);
    must_be(l->io->counter[IO_EVENTS] == events + 2); /* of the stop and of the loss */
    must_be(l->io->loss.samples == 0 && batch_n(l->io->batch) == 0);
}

static void what_the_last_commit_gives_up_is_told(void **state)
{
    in_a_life(*state, "  quota_bytes: 3 KiB\npack:\n  rows: 4096\n", loss_at_the_end);
}

/* As many texts as a group may have, as long as they may be: more than a block takes. */
static void row_too_big(struct life *l)
{
    static char names[BLOCK_COLUMNS_MAX][8], text[BLOCK_TEXT_MAX_BYTES];
    static struct source_channel channels[BLOCK_COLUMNS_MAX];
    static struct cell cells[BLOCK_COLUMNS_MAX];
    struct source_group group = {channels, BLOCK_COLUMNS_MAX};
    struct source_position position = {{4711}};
    struct source_row r = {.time_ns = 1, .cells = cells, .n_cells = BLOCK_COLUMNS_MAX, .position = &position};
    owned(buf_deinit) struct buf fact = {0};

    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < BLOCK_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%u", i);
        channels[i] = (struct source_channel){names[i], "", COLUMN_TEXT};
        cells[i].text = span_of(text, sizeof text);
    }
    must_be(l->sink->group(l->sink->ctx, &group, &r.group) == 0);
    must_be(l->sink->row(l->sink->ctx, &r) == 0);
    io_drain(l->io);
    must_be(l->io->counter[IO_ROWS_TOO_BIG] == 1 && l->io->loss.samples == BLOCK_COLUMNS_MAX);
    io_finish(l->io);
    must_be(spool_fact_get(l->io->spool, "cursor/q", &fact) == 0);
    must_be(fact.len == sizeof position && memcmp(fact.data, &position, sizeof position) == 0);
}

static void a_row_that_fits_in_no_block_is_not_read_again(void **state)
{
    in_a_life(*state, "", row_too_big);
}

static bool batch_says(struct life *l, const char *text)
{
    bool does = false;

    for (size_t i = 0; i < batch_n(l->io->batch); i++) {
        struct span payload = batch_payload(l->io->batch, batch_at(l->io->batch, i));

        does |= memmem(payload.data, payload.len, text, strlen(text)) != NULL;
    }
    return does;
}

static void limits(struct life *l)
{
    struct feed_decision d = {.raised = true, .has_value = true, .type = RULE_DOUBLE, .f64 = 1234567.75};

    for (d.instance = 0; d.instance < 3; d.instance++)
        io_decision(l->io, 0, &d);
    must_be(batch_says(l, "rule a: 1234567.75 is above 1234567.25"));
    must_be(batch_says(l, "rule b: 1234567.75 is outside 0.1234567 .. 1234567.5"));
    must_be(batch_says(l, "rule c: 1234567.75: it changes by more than 1000000.5 a second"));
}

static void an_alarm_names_its_limit_to_the_last_digit(void **state)
{
    in_a_life(*state,
              "rules:\n  - {type: above, name: a, channel: q/n, limit: 1234567.25}\n"
              "  - {type: outside, name: b, channel: q/n, min: 0.1234567, max: 1234567.5}\n"
              "  - {type: rate, name: c, channel: q/n, limit: 1000000.5}\n",
              limits);
}

static const struct config_list *source_channels(const struct life *l)
{
    return &((const struct source_config *)l->io->config->sources.at[0].value)->channels;
}

static void unheard(struct life *l)
{
    static const struct source_channel channels[] = {{"level", "", COLUMN_DOUBLE},
                                                     {"late", "", COLUMN_DOUBLE}};
    struct source_group one = {channels, 1}, other = {channels + 1, 1};
    const struct source_sink *sink = sampler_sink(l->io->sampler, 0, false, source_channels(l));
    struct io_unheard *u = l->io->unheard;
    int64_t at_ms = l->io->began_ms + 60000;
    uint32_t group;

    must_be(sink->group(sink->ctx, &one, &group) == 0);
    io_drain(l->io);
    io_look_at_rules(l->io, at_ms - 1);
    must_be(l->io->n_unheard == 0);
    io_look_at_rules(l->io, at_ms);
    must_be(l->io->n_unheard == 4);
    must_be(strcmp(u[0].rule->name, "misspelt") == 0 && strcmp(u[0].near, "q/level") == 0 && !u[0].is_window);
    must_be(strcmp(u[1].rule->name, "window") == 0 && strcmp(u[1].near, "q/level") == 0 && u[1].is_window);
    must_be(strcmp(u[2].rule->name, "another") == 0 && u[2].near[0] == '\0');
    must_be(strcmp(u[3].rule->name, "later") == 0);
    /* It comes at last. */
    must_be(sink->group(sink->ctx, &other, &group) == 0);
    io_drain(l->io);
    io_look_at_rules(l->io, at_ms + 1000);
    must_be(l->io->n_unheard == 3 && strcmp(u[2].rule->name, "another") == 0);
}

static void rules_that_hear_nothing_are_named_with_the_nearest_channel(void **state)
{
    struct bench *b = *state;

    in_a_life(b,
              "rules:\n  - {type: above, name: good, channel: q/l*l, limit: 1}\n"
              "  - {type: above, name: misspelt, channel: q/levle, limit: 1}\n"
              "  - {type: above, name: window, channel: q/level.mean, limit: 1}\n"
              "  - {type: above, name: another, channel: q/temperature, limit: 1}\n"
              "  - {type: above, name: later, channel: q/late, limit: 1}\n",
              unheard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_default_all_blocks_and_the_report_are_one_commit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_comes_after_the_round_of_a_boundary_waits_for_the_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_row_that_comes_with_the_boundary_is_committed_in_its_round, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_sets_commit_ms_alone_gets_just_that, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_event_is_committed_at_once_with_what_is_older_than_a_second,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_power_cut_would_take_is_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_that_is_full_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_block_waits_for_the_time_of_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_no_period_everything_is_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_event_that_finds_no_room_is_tried_again_though_a_reading_behind_it_was_given_up, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(what_the_last_commit_gives_up_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_that_fits_in_no_block_is_not_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_that_hear_nothing_are_named_with_the_nearest_channel, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_alarm_names_its_limit_to_the_last_digit, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
