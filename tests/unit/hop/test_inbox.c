/* The upper side of a hop, message by message. */
#include "helper.h"

static struct side *side_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    struct side *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -1;
    side_init(s, "fog");
    side_open_upper(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    side_deinit(*state);
    free(*state);
    return 0;
}

static void restart(struct side *s)
{
    side_close(s);
    s->now_ms += 1000;
    side_open_upper(s);
    forget_caught(s);
}

static void hello(struct side *s, const char *node, uint64_t number, uint64_t next, uint64_t lowest)
{
    const struct report r = {'e', next, lowest};

    give_hello(s, node, number, &r, 1);
}

static uint64_t counter(struct side *s, enum inbox_counter c)
{
    return inbox_counters(s->ib)[c];
}

static struct spool_stream *stream(struct side *s, char epoch)
{
    struct id128 id = id_of(epoch);

    return spool_find(s->sp, "dev", &id);
}

static void hello_is_answered_after_the_commit(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 4, 3, 1);
    assert_true(inbox_wants_commit(s->ib));
    assert_int_equal(s->n_caught, 0);
    commit(s);
    assert_int_equal(s->n_caught, 1);
    assert_string_equal(s->to[0], "dev");
    assert_int_equal(last_state(s)->session, 4);
    assert_int_equal(last_state(s)->run, inbox_run(s->ib));
    assert_memory_equal(last_state(s)->store.data, spool_store_id(s->sp)->bytes, ID128_BYTES);
}

static void sender_must_be_the_peer(void **state)
{
    struct side *s = side_of(state);
    Fogline__V1__Up up = FOGLINE__V1__UP__INIT;
    Fogline__V1__Hello h = FOGLINE__V1__HELLO__INIT;
    struct buf bytes = {0};

    h.version_min = h.version_max = HOP_VERSION;
    h.session = 1;
    up.format = WIRE_FORMAT;
    up.sender = "somebody";
    up.body_case = FOGLINE__V1__UP__BODY_HELLO;
    up.hello = &h;
    wire_pack(&bytes, &up.base);
    assert_int_equal(inbox_on_up(s->ib, "dev", span_of(bytes.data, bytes.len), 0), 0);
    assert_int_equal(inbox_on_up(s->ib, NULL, span_of(bytes.data, bytes.len), 0), 0);
    buf_deinit(&bytes);
    assert_int_equal(counter(s, INBOX_DROPPED_SENDER), 2);
    assert_false(inbox_wants_commit(s->ib));
}

static void record_is_taken_once_and_acknowledged_twice(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 1, 3, 1);
    commit(s);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    assert_int_equal(last_state(s)->lanes[0]->stored[1], 2);
    forget_caught(s);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    assert_int_equal(last_state(s)->lanes[0]->stored[1], 2);
    assert_int_equal(counter(s, INBOX_RECORDS), 2);
    assert_int_equal(counter(s, INBOX_DUPLICATES), 2);
}

static void nothing_is_said_when_the_commit_fails(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 1, 3, 1);
    commit(s);
    forget_caught(s);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    assert_int_equal(spool_rollback(s->sp), 0);
    assert_int_equal(inbox_reload(s->ib), 0);
    assert_int_equal(s->n_caught, 0);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    assert_int_equal(counter(s, INBOX_DUPLICATES), 0);
    assert_int_equal(last_state(s)->lanes[0]->stored[1], 2);
}

static void data_without_hello_is_answered_and_dropped(void **state)
{
    struct side *s = side_of(state);

    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 1);
    commit(s);
    assert_int_equal(counter(s, INBOX_DROPPED_SESSION), 1);
    assert_int_equal(counter(s, INBOX_RECORDS), 0);
    assert_int_equal(last_state(s)->session, 0);
    assert_null(last_state(s)->windows);
}

static void data_of_an_older_session_is_dropped(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 2, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 1);
    commit(s);
    assert_int_equal(counter(s, INBOX_RECORDS), 0);
    assert_int_equal(counter(s, INBOX_DROPPED_SESSION), 1);
}

static void data_for_another_run_is_dropped(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 2, 3, 1);
    give_data(s, "dev", 2, inbox_run(s->ib) + 1, 'e', 1, 1);
    commit(s);
    assert_int_equal(counter(s, INBOX_RECORDS), 0);
    assert_int_equal(counter(s, INBOX_DROPPED_RUN), 1);
}

static void hello_of_an_older_session_is_told_the_present_one(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 9, 3, 1);
    commit(s);
    hello(s, "dev", 8, 3, 1);
    commit(s);
    assert_int_equal(counter(s, INBOX_DROPPED_SESSION), 1);
    assert_int_equal(last_state(s)->session, 0);
    assert_int_equal(last_state(s)->session_known, 9);
}

static void session_outlives_a_restart(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 9, 3, 1);
    commit(s);
    restart(s);
    hello(s, "dev", 8, 3, 1);
    commit(s);
    assert_int_equal(counter(s, INBOX_HELLOS), 0);
    assert_int_equal(last_state(s)->session_known, 9);
    hello(s, "dev", 9, 3, 1);
    commit(s);
    assert_int_equal(counter(s, INBOX_HELLOS), 1);
}

static void restart_has_a_new_run_and_knows_what_is_stored(void **state)
{
    struct side *s = side_of(state);
    uint64_t run = inbox_run(s->ib);

    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, run, 'e', 1, 2);
    commit(s);
    restart(s);
    assert_true(inbox_run(s->ib) != run);
    hello(s, "dev", 1, 3, 1);
    commit(s);
    assert_int_equal(last_state(s)->lanes[0]->stored[0], 1);
    assert_int_equal(last_state(s)->lanes[0]->stored[1], 2);
}

static void epoch_that_no_hello_listed_is_dropped(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'x', 1, 2);
    commit(s);
    assert_int_equal(counter(s, INBOX_DROPPED_EPOCH), 2);
    assert_null(stream(s, 'x'));
}

static void epochs_of_one_origin_take_no_place_from_others(void **state)
{
    struct side *s = side_of(state);
    struct spool_stream *made;

    for (uint32_t i = 0; i < HOP_STREAMS_MAX; i++) {
        struct id128 id = {{1}};

        store_be32(id.bytes + 1, i);
        assert_int_equal(spool_stream_make(s->sp, "dev", &id, &made), 0);
    }
    assert_int_equal(spool_commit(s->sp), 0);
    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    hello(s, "pump", 1, 3, 1);
    give_data(s, "pump", 1, inbox_run(s->ib), 'e', 1, 2);
    assert_int_equal(counter(s, INBOX_DROPPED_EPOCH), 2);
    assert_int_equal(counter(s, INBOX_RECORDS), 2);
    assert_null(stream(s, 'e'));
    commit(s);
}

static void epoch_no_longer_listed_is_forgotten(void **state)
{
    struct side *s = side_of(state);
    const struct report other = {'f', 1, 0};

    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    give_hello(s, "dev", 2, &other, 1);
    commit(s);
    assert_non_null(stream(s, 'e')); /* it may be a late word of a former life */
    s->now_ms += HOP_FORGET_MS;
    give_hello(s, "dev", 2, &other, 1);
    commit(s);
    assert_null(stream(s, 'e'));
    assert_int_equal(s->forgotten, 1);
}

static void epoch_listed_again_in_time_is_not_forgotten(void **state)
{
    struct side *s = side_of(state);
    const struct report other = {'f', 1, 0};

    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    give_hello(s, "dev", 7, &other, 1); /* of a former life, come late */
    s->now_ms += HOP_FORGET_MS - 1;
    hello(s, "dev", 8, 3, 1);
    s->now_ms += HOP_FORGET_MS;
    hello(s, "dev", 8, 3, 1);
    give_data(s, "dev", 8, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    assert_int_equal(counter(s, INBOX_RECORDS), 2);
    assert_int_equal(counter(s, INBOX_DUPLICATES), 2);
}

static void epoch_on_the_account_is_not_forgotten(void **state)
{
    struct side *s = side_of(state);
    const struct report other = {'f', 1, 0};
    struct spool_account_row row = {.reason = FOGLINE__V1__REASON__REASON_FILTERED, .range = {1, 1}};

    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    row.stream = stream(s, 'e');
    assert_int_equal(spool_account_add(s->sp, &row), 0);
    commit(s);
    give_hello(s, "dev", 2, &other, 1);
    s->now_ms += HOP_FORGET_MS;
    give_hello(s, "dev", 2, &other, 1);
    commit(s);
    assert_non_null(stream(s, 'e'));
}

static void windows_of_all_fit_the_memory(void **state)
{
    struct side *s = side_of(state);
    uint64_t sum = 0;

    for (int i = 0; i < 40; i++) {
        char name[16];

        snprintf(name, sizeof name, "dev%d", i);
        hello(s, name, 1, 1, 0);
        commit(s);
        sum += last_state(s)->windows->live_bytes + last_state(s)->windows->backlog_bytes;
        assert_int_equal(last_state(s)->windows->urgent_bytes, HOP_WINDOW_MIN_BYTES);
        assert_true(last_state(s)->windows->live_bytes == 0 ||
                    last_state(s)->windows->live_bytes >= HOP_WINDOW_MIN_BYTES);
    }
    assert_true(sum <= s->memory_bytes);
    assert_true(sum > s->memory_bytes / 2);
}

static void every_peer_gets_a_window_in_turn(void **state)
{
    struct side *s = side_of(state);
    bool got[60] = {false};

    for (int round = 0; round < 60; round++, s->now_ms += HOP_POLL_MS)
        for (int i = 0; i < 60; i++) {
            char name[16];

            snprintf(name, sizeof name, "dev%d", i);
            hello(s, name, 1, 1, 0);
            commit(s);
            got[i] |= last_state(s)->windows->backlog_bytes > 0;
            forget_caught(s);
        }
    for (int i = 0; i < 60; i++)
        assert_true(got[i]);
}

static uint64_t backlog_window(struct side *s, const char *node)
{
    uint64_t bytes;

    hello(s, node, 1, 1, 0);
    commit(s);
    bytes = last_state(s)->windows->backlog_bytes;
    forget_caught(s);
    return bytes;
}

static void backlog_windows_are_as_their_weights(void **state)
{
    static const char *const nodes[] = {"a", "b", "c", "d"};
    struct side *s = side_of(state);
    uint64_t bytes[4] = {0};

    s->heavy = "b";
    s->hello_waiting = 1 << 20;
    for (int round = 0; round < 20; round++, s->now_ms += HOP_POLL_MS)
        for (int i = 0; i < 4; i++)
            bytes[i] = backlog_window(s, nodes[i]);
    for (int i = 0; i < 4; i++) {
        uint64_t want = bytes[0] * (i == 1 ? 3 : 1);

        assert_true(bytes[i] >= HOP_WINDOW_MIN_BYTES);
        assert_in_range(bytes[i], want * 95 / 100, want * 105 / 100);
    }
}

/* Reads what was sent to dev0 .. dev19 into `window`. */
static void note_windows(struct side *s, uint64_t window[20])
{
    for (size_t i = 0; i < s->n_caught; i++)
        window[atoi(s->to[i] + 3)] = state_at(s, i)->windows->backlog_bytes;
    forget_caught(s);
}

/* None of the turns is idle while somebody waits: who waits is told at once, not with its next poll. */
static void eight_peers_at_a_time_give_backlog(void **state)
{
    struct side *s = side_of(state);
    uint64_t window[20] = {0};
    unsigned got[20] = {0};

    s->hello_waiting = 1 << 20;
    for (int round = 0; round < 60; round++, s->now_ms += HOP_POLL_MS) {
        unsigned n = 0;

        for (int i = 0; i < 20; i++) {
            char name[16];
            int64_t next;

            snprintf(name, sizeof name, "dev%d", i);
            hello(s, name, 1, 1, 0);
            commit(s);
            inbox_tick(s->ib, s->now_ms, &next);
            note_windows(s, window);
            n = 0;
            for (int k = 0; k < 20; k++)
                n += window[k] > 0;
            assert_true(n > 0 && n <= HOP_BACKLOG_PEERS);
        }
        for (int i = 0; i < 20; i++)
            got[i] += window[i] > 0;
    }
    for (int i = 0; i < 20; i++)
        assert_true(got[i] > 0);
}

/* A dead peer is not told again and again: each State would renew its lease. */
static void turns_are_not_given_to_the_silent(void **state)
{
    struct side *s = side_of(state);
    int64_t next, end_ms = s->now_ms + 4 * HOP_LEASE_MS;

    s->hello_waiting = 1 << 20;
    (void)backlog_window(s, "dev0");
    for (; s->now_ms < end_ms; s->now_ms += 1000)
        inbox_tick(s->ib, s->now_ms, &next);
    forget_caught(s);
    for (end_ms += 2 * HOP_LEASE_MS; s->now_ms < end_ms; s->now_ms += 1000)
        inbox_tick(s->ib, s->now_ms, &next);
    assert_int_equal(s->n_caught, 0);
}

/* Who waits, nearer to its quota, but is silent, does not keep the free turn from who was heard. */
static void the_silent_keep_no_turn_from_others(void **state)
{
    static const char *const nodes[] = {"dev0", "dev1", "dev2", "dev3", "dev4",
                                        "dev5", "dev6", "dev7", "dev8", "dev9"};
    struct side *s = side_of(state);
    uint64_t window[20] = {0};
    int64_t next;

    s->hello_waiting = 1 << 20;
    for (int i = 0; i < 4 * 8; i++) /* until the first have come down to their share */
        window[i % 8] = backlog_window(s, nodes[i % 8]);
    for (int i = 0; i < 8; i++)
        assert_true(window[i] > 0);
    s->hello_fill = 500;
    assert_int_equal(backlog_window(s, nodes[8]), 0);
    s->hello_fill = 0;
    s->now_ms += 10000;
    assert_int_equal(backlog_window(s, nodes[9]), 0);
    s->now_ms += HOP_LEASE_MS - 10000 + 500; /* dev8 was heard longer ago than a lease */
    assert_int_equal(backlog_window(s, nodes[0]), 0);
    inbox_tick(s->ib, s->now_ms, &next);
    note_windows(s, window);
    assert_true(window[9] > 0);
}

enum { CHARGE = 164, CHUNK = 64 }; /* of one record that give_data makes; records a message */

/* Gives as many whole records as the window holds. */
static uint64_t drain_window(struct side *s, const char *node, uint64_t window, uint64_t *next)
{
    uint64_t left = window / CHARGE, n, given = left * CHARGE;

    for (; left > 0; left -= n, *next += n) {
        n = left < CHUNK ? left : CHUNK;
        give_data(s, node, 1, inbox_run(s->ib), 'e', *next, *next + n - 1);
    }
    return given;
}

/* A minute in which whatever is granted comes at once and is acknowledged. */
static void backlog_bytes_taken_are_as_their_weights(void **state)
{
    static const char *const nodes[] = {"a", "b", "c", "d"};
    struct side *s = side_of(state);
    uint64_t window[4] = {0}, next[4] = {1, 1, 1, 1}, bytes[4] = {0}, sum = 0;

    s->heavy = "b";
    s->hello_waiting = 1 << 20;
    for (int second = 0; second < 60; second++, s->now_ms += 1000) {
        for (int i = 0; i < 4; i++) {
            if (second % 5 == 0)
                hello(s, nodes[i], 1, 1 << 24, 1);
            bytes[i] += drain_window(s, nodes[i], window[i], &next[i]);
        }
        commit(s);
        for (size_t i = 0; i < s->n_caught; i++)
            window[s->to[i][0] - 'a'] = state_at(s, i)->windows->backlog_bytes;
        forget_caught(s);
    }
    for (int i = 0; i < 4; i++)
        sum += bytes[i];
    for (int i = 0; i < 4; i++) {
        uint64_t want = sum * (i == 1 ? 3 : 1) / 6;

        assert_in_range(bytes[i], want * 85 / 100, want * 115 / 100);
    }
    assert_int_equal(counter(s, INBOX_DROPPED_WINDOW), 0);
}

/* All eight turns are taken; of those who wait the one whose store is fullest has the next. */
static void next_turn_is_of_who_is_nearest_to_its_quota(void **state)
{
    struct side *s = side_of(state);
    char name[16];

    s->hello_waiting = 1 << 20;
    for (int i = 0; i < 2 * HOP_BACKLOG_PEERS; i++) { /* with the second State all have a share */
        if (i == HOP_BACKLOG_PEERS)
            s->now_ms += HOP_POLL_MS;
        snprintf(name, sizeof name, "dev%d", i % HOP_BACKLOG_PEERS);
        (void)backlog_window(s, name);
    }
    s->hello_fill = 100;
    assert_int_equal(backlog_window(s, "low"), 0);
    s->hello_fill = 800;
    assert_int_equal(backlog_window(s, "high"), 0);
    s->now_ms += HOP_LEASE_MS - HOP_POLL_MS;
    s->hello_fill = 0;
    assert_int_equal(backlog_window(s, "dev0"), 0); /* its turn is over, two others wait */
    s->hello_fill = 100;
    assert_int_equal(backlog_window(s, "low"), 0); /* one is free, and it is not the fullest */
    s->hello_fill = 800;
    assert_true(backlog_window(s, "high") > 0);
}

static void a_full_store_closes_backlog_first_then_live(void **state)
{
    struct side *s = side_of(state);

    s->fill = 900;
    hello(s, "dev", 1, 3, 1);
    commit(s);
    assert_int_equal(last_state(s)->windows->backlog_bytes, 0);
    assert_true(last_state(s)->windows->live_bytes > 0);
    s->fill = 970;
    hello(s, "dev", 1, 3, 1);
    commit(s);
    assert_int_equal(last_state(s)->windows->live_bytes, 0);
    assert_int_equal(last_state(s)->windows->urgent_bytes, HOP_WINDOW_MIN_BYTES);
}

/* Every second number up to 2 * n. */
static void tear(struct side *s, uint64_t n)
{
    for (uint64_t i = 1; i <= n; i++) {
        give_data(s, "dev", 1, inbox_run(s->ib), 'e', 2 * i, 2 * i);
        if (i % 64 == 0) {
            commit(s);
            forget_caught(s);
        }
    }
    commit(s);
    forget_caught(s);
}

static void interval_257_is_refused_and_the_lowest_missing_is_not(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 1, 1000, 1);
    tear(s, HOP_INTERVALS_MAX + 1);
    assert_int_equal(stream(s, 'e')->lane[0].seen.n, HOP_INTERVALS_MAX);
    assert_int_equal(counter(s, INBOX_RECORDS_INTERVALS), 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 1);
    commit(s);
    assert_true(interval_set_has(&stream(s, 'e')->lane[0].seen, 1));
}

static void gaps_below_what_the_owner_holds_do_not_stop_it(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 1, 3000, 1);
    tear(s, HOP_INTERVALS_MAX);
    hello(s, "dev", 1, 3000, 600); /* the rest was evicted or settled elsewhere */
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 700, 700);
    commit(s);
    assert_int_equal(counter(s, INBOX_RECORDS_INTERVALS), 0);
    assert_true(interval_set_has(&stream(s, 'e')->lane[0].seen, 700));
}

static void the_oldest_of_very_many_gaps_is_forgotten_on_disk_too(void **state)
{
    struct side *s = side_of(state);
    uint64_t at = 2;

    for (int round = 0; round < HOP_GAPS_MAX / 200 + 2; round++) {
        hello(s, "dev", 1, 100000, at);
        for (int i = 0; i < 200; i++, at += 2)
            give_data(s, "dev", 1, inbox_run(s->ib), 'e', at, at);
        commit(s);
        forget_caught(s);
    }
    assert_int_equal(counter(s, INBOX_RECORDS_INTERVALS), 0);
    assert_int_equal(stream(s, 'e')->lane[0].seen.n, HOP_GAPS_MAX);
    assert_false(interval_set_has(&stream(s, 'e')->lane[0].seen, 2));
    restart(s);
    assert_int_equal(stream(s, 'e')->lane[0].seen.n, HOP_GAPS_MAX);
    assert_false(interval_set_has(&stream(s, 'e')->lane[0].seen, 2));
}

static int setup_archive(void **state)
{
    struct side *s = calloc(1, sizeof *s);
    static struct id128 archive;

    if (s == NULL)
        return -1;
    archive = id_of(ARCHIVE);
    side_init(s, "cloud");
    s->archive = &archive;
    side_open_upper(s);
    *state = s;
    return 0;
}

static void the_archive_takes_any_number_of_gaps(void **state)
{
    struct side *s = side_of(state);

    hello(s, "dev", 1, 3000, 1);
    tear(s, 2 * HOP_INTERVALS_MAX);
    assert_int_equal(stream(s, 'e')->lane[0].seen.n, 2 * HOP_INTERVALS_MAX);
}

static void the_archive_forgets_no_epoch(void **state)
{
    struct side *s = side_of(state);
    const struct report other = {'f', 1, 0};

    hello(s, "dev", 1, 3, 1);
    give_data(s, "dev", 1, inbox_run(s->ib), 'e', 1, 2);
    commit(s);
    give_hello(s, "dev", 2, &other, 1);
    commit(s);
    assert_non_null(stream(s, 'e'));
    assert_int_equal(last_state(s)->archive_id.len, ID128_BYTES);
}

static void much_to_say_is_said_in_several_states(void **state)
{
    struct side *s = side_of(state);
    struct report r[8];
    size_t marks = 0;

    for (size_t i = 0; i < 8; i++)
        r[i] = (struct report){(char)('e' + i), 10, 1};
    s->n_marks = 1000;
    give_hello(s, "dev", 1, r, 8);
    commit(s);
    for (size_t i = 0; i < s->n_caught; i++)
        marks += state_at(s, i)->n_marks;
    assert_true(s->n_caught > 1);
    assert_int_equal(marks, 8 * 16);
}

static void garbage_from_below_is_counted(void **state)
{
    struct side *s = side_of(state);

    assert_int_equal(inbox_on_up(s->ib, "dev", span_str("\x08\x80\x02garbage"), 0), 0);
    assert_int_equal(counter(s, INBOX_MALFORMED), 1);
    assert_int_equal(inbox_n_peers(s->ib), 0);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ARCHIVED(name) cmocka_unit_test_setup_teardown(name, setup_archive, teardown)
    const struct CMUnitTest tests[] = {
        FACT(hello_is_answered_after_the_commit),
        FACT(sender_must_be_the_peer),
        FACT(record_is_taken_once_and_acknowledged_twice),
        FACT(nothing_is_said_when_the_commit_fails),
        FACT(data_without_hello_is_answered_and_dropped),
        FACT(data_of_an_older_session_is_dropped),
        FACT(data_for_another_run_is_dropped),
        FACT(hello_of_an_older_session_is_told_the_present_one),
        FACT(session_outlives_a_restart),
        FACT(restart_has_a_new_run_and_knows_what_is_stored),
        FACT(epoch_that_no_hello_listed_is_dropped),
        FACT(epochs_of_one_origin_take_no_place_from_others),
        FACT(epoch_no_longer_listed_is_forgotten),
        FACT(epoch_listed_again_in_time_is_not_forgotten),
        FACT(epoch_on_the_account_is_not_forgotten),
        FACT(windows_of_all_fit_the_memory),
        FACT(every_peer_gets_a_window_in_turn),
        FACT(backlog_windows_are_as_their_weights),
        FACT(eight_peers_at_a_time_give_backlog),
        FACT(turns_are_not_given_to_the_silent),
        FACT(the_silent_keep_no_turn_from_others),
        FACT(backlog_bytes_taken_are_as_their_weights),
        FACT(next_turn_is_of_who_is_nearest_to_its_quota),
        FACT(a_full_store_closes_backlog_first_then_live),
        FACT(interval_257_is_refused_and_the_lowest_missing_is_not),
        FACT(gaps_below_what_the_owner_holds_do_not_stop_it),
        FACT(the_oldest_of_very_many_gaps_is_forgotten_on_disk_too),
        ARCHIVED(the_archive_takes_any_number_of_gaps),
        ARCHIVED(the_archive_forgets_no_epoch),
        FACT(much_to_say_is_said_in_several_states),
        FACT(garbage_from_below_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
