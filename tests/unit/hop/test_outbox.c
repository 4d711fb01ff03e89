/* The lower side of a hop, message by message. */
#include "helper.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

enum { BIG = 1 << 20 };

static struct side *side_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    struct side *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -1;
    side_init(s, "dev");
    side_open_lower(s);
    *state = s;
    return 0;
}

static int setup_relay(void **state)
{
    struct side *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -1;
    side_init(s, "fog");
    s->relays = true;
    side_open_lower(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    side_deinit(*state);
    free(*state);
    return 0;
}

static void record_made_before_the_cloud_is_known_is_authenticated_when_sent(void **state)
{
    struct side *s = side_of(state);
    const Fogline__V1__Record *sent = NULL;
    struct spool_record r;
    struct db_txn *txn;
    uint8_t tag[WIRE_TAG_BYTES];
    uint64_t seq;

    memset(&s->keys, 0, sizeof s->keys);
    seq = make(s, LANE_ORDINARY, 100);
    memset(&s->keys, 'k', sizeof s->keys);
    open_link(s, 1 << 20, 1 << 20);
    tick(s);
    for (size_t i = 0; i < s->n_caught && sent == NULL; i++) {
        const Fogline__V1__Up *up = up_at(s, i);

        if (up->body_case == FOGLINE__V1__UP__BODY_DATA)
            sent = up->data->stretches[0]->records[0];
    }
    assert_non_null(sent);
    assert_true(sent->seq == seq);
    assert_int_equal(spool_read(s->sp, &txn), 0);
    assert_int_equal(spool_get(s->sp, spool_own(s->sp), seq, &r), 0);
    assert_true(maker_lacks_tag(r.tag));
    assert_int_equal(maker_tag(spool_own(s->sp), seq, &r, s->keys.tag, tag), 0);
    spool_read_done(s->sp);
    assert_memory_equal(sent->tag.data, tag, WIRE_TAG_BYTES);
}

static void hello_goes_at_once_and_then_backs_off(void **state)
{
    struct side *s = side_of(state);

    tick(s);
    assert_int_equal(s->n_caught, 1);
    assert_int_equal(up_at(s, 0)->body_case, FOGLINE__V1__UP__BODY_HELLO);
    tick_until(s, 10000, false);
    assert_in_range(s->n_caught, 3, 30);
    assert_int_equal(outbox_phase(s->ob), OUTBOX_HELLO);
}

static void nothing_but_hello_goes_before_it_is_answered(void **state)
{
    struct side *s = side_of(state);

    make(s, LANE_ORDINARY, 10);
    tick_until(s, 10000, false);
    assert_int_equal(records_caught(s), 0);
}

static void zero_window_is_no_fault(void **state)
{
    struct side *s = side_of(state);

    make(s, LANE_ORDINARY, 10);
    open_link(s, 0, 0);
    tick_until(s, 5 * 60 * 1000, true);
    assert_int_equal(s->resets, 0);
    assert_int_equal(records_caught(s), 0);
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_SESSIONS], 1);
}

static void watchdog_resets_after_three_polls_without_state(void **state)
{
    struct side *s = side_of(state);
    uint64_t before;

    open_link(s, BIG, BIG);
    tick_until(s, HOP_WATCHDOG_POLLS * HOP_POLL_MS - 1, false);
    assert_int_equal(s->resets, 0);
    before = session(s);
    tick_until(s, HOP_WATCHDOG_POLLS * HOP_POLL_MS + 1, false);
    assert_int_equal(s->resets, 1);
    assert_int_equal(session(s), before + 1);
}

static void state_of_another_run_is_not_believed(void **state)
{
    struct side *s = side_of(state);
    struct state st;
    uint64_t before;

    make(s, LANE_ORDINARY, 10);
    tick(s);
    before = session(s);
    open_link(s, BIG, BIG);
    tick(s);
    assert_int_equal(times_sent(s, 1, NULL), 1);
    state_init(&st, 0, RUN + 1, STORE);
    state_stored(&st, spool_own(s->sp), LANE_ORDINARY, 1, 1);
    state_give(&st, s);
    assert_int_equal(outbox_phase(s->ob), OUTBOX_HELLO);
    forget_caught(s);
    tick(s);
    assert_int_equal(session(s), before + 1);
    open_link(s, BIG, BIG);
    tick(s);
    assert_int_equal(times_sent(s, 1, NULL), 1);
}

static void old_answer_does_not_open_a_new_session(void **state)
{
    struct side *s = side_of(state);
    struct state st;

    tick(s);
    state_init(&st, session(s) - 1, RUN, STORE);
    state_give(&st, s);
    assert_int_equal(outbox_phase(s->ob), OUTBOX_HELLO);
}

static void higher_session_is_jumped_past_even_when_open(void **state)
{
    struct side *s = side_of(state);
    struct state st;
    uint64_t known;

    tick(s);
    known = session(s) + 10;
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    st.s.session_known = known;
    state_give(&st, s);
    tick(s);
    assert_int_equal(session(s), known + 1);
}

static void absurd_session_is_not_followed(void **state)
{
    struct side *s = side_of(state);
    struct state st;
    uint64_t before;

    tick(s);
    before = session(s);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    st.s.session_known = UINT64_MAX;
    state_give(&st, s);
    tick_until(s, 6000, false);
    assert_int_equal(session(s), before);
}

static void unproven_start_takes_a_session_nobody_used(void **state)
{
    struct side *s = side_of(state);
    uint64_t first, second, third;

    tick(s);
    first = session(s);
    side_close(s);
    side_open_lower(s); /* proven: one more */
    forget_caught(s);
    tick(s);
    second = session(s);
    assert_int_equal(second, first + 1);
    side_close(s);
    remove(tmpdir_path(&s->dir, "proof"));
    side_open_lower(s);
    forget_caught(s);
    tick(s);
    third = session(s);
    assert_true(third > second + 1000);
}

static void stored_is_not_sent_again_and_not_deleted(void **state)
{
    struct side *s = side_of(state);
    struct state st;

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    tick(s);
    state_init(&st, 0, RUN, STORE);
    state_stored(&st, spool_own(s->sp), LANE_ORDINARY, 1, 1);
    state_give(&st, s);
    forget_caught(s);
    apply(s);
    tick_until(s, 10000, false);
    assert_int_equal(records_caught(s), 0);
    assert_int_equal(spool_held_records(s->sp), 1);
}

static void settled_is_deleted(void **state)
{
    struct side *s = side_of(state);
    struct state st;

    make(s, LANE_ORDINARY, 10);
    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 1, 1, ARCHIVE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, false, 2, 2, ARCHIVE);
    state_give(&st, s);
    assert_true(outbox_wants_apply(s->ob));
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 0);
}

/* A mark says all that is archived of an epoch, most of which went long ago: that must not cost turns. */
static void a_long_past_does_not_delay_what_is_settled_now(void **state)
{
    struct side *s = side_of(state);
    struct spool_stream *stream;
    struct id128 epoch = id_of('e');
    const uint64_t first = 1000 * 1000 * 1000, last = first + 4;
    struct state st;

    relay(s, "dev", 'e', first, last);
    stream = spool_find(s->sp, "dev", &epoch);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, stream, LANE_ORDINARY, true, 1, last - 1, ARCHIVE);
    state_give(&st, s);
    assert_true(outbox_wants_apply(s->ob));
    apply(s);
    assert_false(outbox_wants_apply(s->ob));
    assert_int_equal(spool_held_records(s->sp), 1);
    assert_true(interval_set_has(&stream->lane[0].held, last));
}

static void a_long_backlog_that_is_settled_goes_turn_by_turn(void **state)
{
    struct side *s = side_of(state);
    struct id128 epoch = id_of('e');
    const uint64_t n = 40000; /* a turn is 16384 */
    struct state st;

    relay(s, "dev", 'e', 1, n);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, spool_find(s->sp, "dev", &epoch), LANE_ORDINARY, true, 1, n, ARCHIVE);
    state_give(&st, s);
    apply(s);
    assert_true(outbox_more_to_apply(s->ob));
    apply(s);
    assert_true(outbox_more_to_apply(s->ob));
    apply(s);
    assert_false(outbox_more_to_apply(s->ob));
    assert_int_equal(spool_held_records(s->sp), 0);
}

static void relay_keeps_what_is_only_explained(void **state)
{
    struct side *s = side_of(state);
    struct spool_stream *stream;
    struct id128 epoch = id_of('e');
    struct state st;

    relay(s, "dev", 'e', 1, 2);
    stream = spool_find(s->sp, "dev", &epoch);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, stream, LANE_ORDINARY, true, 1, 1, ARCHIVE);
    state_mark(&st, s, stream, LANE_ORDINARY, false, 2, 2, ARCHIVE);
    state_give(&st, s);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 1);
    assert_true(interval_set_has(&stream->lane[0].held, 2));
}

static void mark_with_a_wrong_authenticator_is_refused(void **state)
{
    struct side *s = side_of(state);
    struct state st;

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 1, 1, ARCHIVE);
    st.mac[0][3] ^= 1;
    state_give(&st, s);
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_MARKS_REFUSED], 1);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 1);
}

static void mark_of_another_archive_needs_the_operators_word(void **state)
{
    struct side *s = side_of(state);
    struct id128 other = id_of('o');
    struct state st;

    make(s, LANE_ORDINARY, 10);
    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 1, 1, ARCHIVE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 2, 2, 'o');
    state_give(&st, s);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 1);
    assert_int_equal(outbox_set_archive(s->ob, &other), 0);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 2, 2, 'o');
    state_give(&st, s);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 0);
}

static void rto_doubles_up_to_a_minute(void **state)
{
    struct side *s = side_of(state);
    int64_t sent[8], at = 0;
    size_t n = 0;

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    for (; n < 7 && at < 10 * 60 * 1000; at += 100) {
        struct state st;

        s->now_ms = at;
        state_init(&st, 0, RUN, STORE); /* keeps the link and the lease */
        state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, BIG);
        st.s.session_known = 0;
        state_give(&st, s);
        forget_caught(s);
        tick(s);
        if (times_sent(s, 1, NULL) > 0)
            sent[n++] = at;
    }
    assert_int_equal(n, 7);
    assert_int_equal(sent[1] - sent[0], 2000);
    assert_int_equal(sent[2] - sent[1], 4000);
    assert_int_equal(sent[3] - sent[2], 8000);
    assert_int_equal(sent[4] - sent[3], 16000);
    assert_int_equal(sent[5] - sent[4], 32000);
    assert_int_equal(sent[6] - sent[5], 60000);
}

static void in_flight_never_passes_the_window(void **state)
{
    struct side *s = side_of(state);
    struct outbox_waiting wait;

    for (int i = 0; i < 10; i++)
        make(s, LANE_ORDINARY, 30000);
    open_link(s, HOP_WINDOW_MIN_BYTES, 0);
    tick(s);
    outbox_waiting(s->ob, &wait);
    assert_int_equal(records_caught(s), 2);
    assert_int_equal(wait.in_flight_bytes, 2 * 30064);
}

static void window_runs_out_with_its_lease(void **state)
{
    struct side *s = side_of(state);

    open_link(s, BIG, BIG);
    s->now_ms = HOP_LEASE_MS - 1;
    tick(s);
    s->now_ms = HOP_LEASE_MS;
    make(s, LANE_ORDINARY, 10);
    tick(s);
    assert_int_equal(records_caught(s), 0);
}

/* The upper side counted from when it spoke: what its State was under way is not added to the lease. */
static void a_late_state_does_not_lengthen_the_lease(void **state)
{
    struct side *s = side_of(state);
    struct state st;

    open_link(s, BIG, BIG); /* the Hello went at 0 */
    s->now_ms = 9000;
    tick(s); /* a poll, whose answer is lost */
    for (int64_t at_ms = 10000; at_ms <= HOP_LEASE_MS; at_ms += 1000) {
        s->now_ms = at_ms;
        state_init(&st, 0, RUN, STORE);
        state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, BIG);
        st.w.stamp = 1; /* it rests on the first Hello */
        state_give(&st, s);
    }
    s->now_ms = HOP_LEASE_MS + 1;
    make(s, LANE_ORDINARY, 10);
    tick(s);
    assert_int_equal(records_caught(s), 0);
    state_init(&st, 0, RUN, STORE);
    state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, BIG);
    st.w.stamp = 9000; /* now the poll was heard */
    state_give(&st, s);
    tick(s);
    assert_int_equal(records_caught(s), 1);
}

static void live_overtakes_backlog(void **state)
{
    struct side *s = side_of(state);
    uint64_t seq;

    for (int i = 0; i < 5; i++)
        make(s, LANE_ORDINARY, 10);
    side_close(s);
    side_open_lower(s); /* what is there now is backlog */
    open_link(s, BIG, 0);
    seq = make(s, LANE_ORDINARY, 10);
    tick(s);
    assert_int_equal(records_caught(s), 1);
    assert_int_equal(times_sent(s, seq, NULL), 1);
}

static void urgent_goes_first(void **state)
{
    struct side *s = side_of(state);
    const Fogline__V1__Up *up;

    make(s, LANE_ORDINARY, 10);
    make(s, LANE_URGENT, 10);
    open_link(s, BIG, BIG);
    tick(s);
    up = up_at(s, 0);
    assert_int_equal(up->data->n_stretches, 2);
    assert_int_equal(seq_lane(up->data->stretches[0]->records[0]->seq), LANE_URGENT);
}

static void lowest_missing_rides_along_with_live(void **state)
{
    struct side *s = side_of(state);

    for (int i = 0; i < 5; i++)
        make(s, LANE_ORDINARY, 10);
    side_close(s);
    side_open_lower(s);
    open_link(s, BIG, 0);
    for (int i = 1; i < HOP_LOWEST_EVERY_RECORDS; i++) {
        make(s, LANE_ORDINARY, 10);
        tick(s);
    }
    assert_int_equal(times_sent(s, 1, NULL), 0);
    make(s, LANE_ORDINARY, 10);
    tick(s);
    assert_int_equal(times_sent(s, 1, NULL), 1);
    assert_int_equal(times_sent(s, 2, NULL), 0);
}

static void new_stream_of_a_relay_is_sent_once(void **state)
{
    struct side *s = side_of(state);

    open_link(s, BIG, BIG);
    relay(s, "dev", 'e', 1, 3);
    tick(s);
    assert_int_equal(records_caught(s), 3);
    assert_int_equal(times_sent(s, 2, NULL), 1);
}

static void relay_asks_about_what_it_holds(void **state)
{
    struct side *s = side_of(state);
    const Fogline__V1__Up *up;

    relay(s, "dev", 'e', 4, 6);
    tick(s);
    up = up_at(s, 0);
    assert_int_equal(up->hello->n_asks, 1);
    assert_string_equal(up->hello->asks[0]->origin, "dev");
    assert_int_equal(up->hello->asks[0]->lanes[0]->lowest_held, 4);
    assert_int_equal(up->hello->asks[0]->lanes[0]->next, 0);
}

static void records_before_a_change_of_store_are_again(void **state)
{
    struct side *s = side_of(state);
    struct state st;
    bool again = false;

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG); /* first contact: no cut */
    tick(s);
    assert_int_equal(times_sent(s, 1, &again), 1);
    assert_false(again);
    assert_int_equal(outbox_new_session(s->ob, s->now_ms), 0);
    tick(s);
    state_init(&st, session(s), RUN, 't');
    state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, BIG);
    state_give(&st, s);
    side_close(s); /* dies with the cut on disk and nothing sent */
    side_open_lower(s);
    make(s, LANE_ORDINARY, 10);
    forget_caught(s);
    tick(s);
    state_init(&st, session(s), RUN, 't');
    state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, BIG);
    state_give(&st, s);
    forget_caught(s);
    tick(s);
    assert_int_equal(times_sent(s, 1, &again), 1);
    assert_true(again);
    assert_int_equal(times_sent(s, 2, &again), 1);
    assert_false(again);
}

static void records_of_older_epochs_are_again(void **state)
{
    struct side *s = side_of(state);
    bool again = false;

    make(s, LANE_ORDINARY, 10);
    side_close(s);
    remove(tmpdir_path(&s->dir, "proof"));
    side_open_lower(s);
    open_link(s, BIG, BIG);
    tick(s);
    assert_int_equal(times_sent(s, 1, &again), 1);
    assert_true(again);
    make(s, LANE_ORDINARY, 10);
    forget_caught(s);
    tick(s);
    assert_int_equal(times_sent(s, 1, &again), 1);
    assert_false(again);
}

static void cut_of_an_older_epoch_does_not_count(void **state)
{
    struct side *s = side_of(state);
    struct state st;
    bool again = true;

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    assert_int_equal(outbox_new_session(s->ob, s->now_ms), 0);
    tick(s);
    state_init(&st, session(s), RUN, 't');
    state_give(&st, s); /* a cut at 1 */
    side_close(s);
    remove(tmpdir_path(&s->dir, "proof"));
    side_open_lower(s);
    forget_caught(s);
    tick(s);
    state_init(&st, session(s), RUN, 't');
    state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, 0); /* the old record is backlog */
    state_give(&st, s);
    forget_caught(s);
    make(s, LANE_ORDINARY, 10);
    tick(s);
    assert_int_equal(times_sent(s, 1, &again), 1);
    assert_false(again);
}

static void number_never_made_begins_an_epoch_four_times_a_day(void **state)
{
    struct side *s = side_of(state);

    for (int i = 0; i < 6; i++) {
        struct id128 epoch;
        struct state st;

        open_link(s, BIG, BIG);
        epoch = spool_own(s->sp)->epoch;
        state_init(&st, 0, RUN, STORE);
        state_stored(&st, spool_own(s->sp), LANE_ORDINARY, 9, 9);
        state_give(&st, s);
        assert_int_equal(id128_equal(&epoch, &spool_own(s->sp)->epoch), i >= HOP_EPOCHS_PER_DAY_MAX);
        if (i >= HOP_EPOCHS_PER_DAY_MAX)
            break;
    }
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_EPOCHS_FORCED], HOP_EPOCHS_PER_DAY_MAX);
}

static int setup_small(void **state)
{
    struct side *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -1;
    side_init(s, "dev");
    s->quota_bytes = 10 * (1000 + 64);
    side_open_lower(s);
    *state = s;
    return 0;
}

static void make_room_and(struct side *s, unsigned lane)
{
    assert_int_equal(outbox_make_room(s->ob, spool_charge_bytes(1000)), 0);
    make(s, lane, 1000);
}

static void evicted_stands_on_the_account_and_then_in_a_ledger_record(void **state)
{
    struct side *s = side_of(state);
    struct spool_record r;
    Fogline__V1__Ledger *ledger;
    struct db_txn *txn;

    for (int i = 0; i < 11; i++)
        make_room_and(s, LANE_ORDINARY);
    assert_true(spool_account_rows(s->sp) > 0);
    assert_false(interval_set_has(&spool_own(s->sp)->lane[0].held, 1));
    assert_false(outbox_wants_apply(s->ob)); /* while nobody listens the account merges */
    open_link(s, 0, 0);
    assert_true(outbox_wants_apply(s->ob));
    apply(s);
    assert_int_equal(spool_account_rows(s->sp), 0);
    assert_int_equal(spool_read(s->sp, &txn), 0);
    assert_int_equal(spool_get(s->sp, spool_own(s->sp), seq_make(LANE_URGENT, 1), &r), 0);
    assert_int_equal(r.kind, FOGLINE__V1__KIND__KIND_LEDGER);
    assert_int_equal(wire_ledger_unpack(s->arena, r.payload, &ledger), 0);
    assert_int_equal(ledger->covers[0]->reason, FOGLINE__V1__REASON__REASON_EVICTED);
    assert_int_equal(ledger->covers[0]->bounds[0], 1);
    spool_read_done(s->sp);
}

static void ledger_records_are_never_evicted(void **state)
{
    struct side *s = side_of(state);

    for (int i = 0; i < 11; i++)
        make_room_and(s, LANE_URGENT);
    open_link(s, 0, 0);
    apply(s); /* the ledger record is the last of its lane */
    for (int i = 0; i < 100; i++)
        make_room_and(s, LANE_URGENT);
    assert_true(interval_set_has(&spool_own(s->sp)->lane[LANE_URGENT].held, 12));
    assert_false(interval_set_has(&spool_own(s->sp)->lane[LANE_URGENT].held, 13));
}

static struct spool_stream *relayed(struct side *s)
{
    struct id128 epoch = id_of('e');

    return spool_find(s->sp, "dev", &epoch);
}

/* The numbers of the records of all Data caught, in the order in which they went. */
static size_t order_sent(struct side *s, uint64_t *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_caught; i++) {
        const Fogline__V1__Up *up = up_at(s, i);

        for (size_t t = 0; up->body_case == FOGLINE__V1__UP__BODY_DATA && t < up->data->n_stretches; t++)
            for (size_t k = 0; k < up->data->stretches[t]->n_records && n < max; k++)
                out[n++] = up->data->stretches[t]->records[k]->seq;
    }
    return n;
}

static void give_answer(struct side *s, uint64_t to_session, uint64_t backlog, uint64_t stored_from,
                        uint64_t stored_to)
{
    struct state st;

    state_init(&st, to_session, RUN, STORE);
    state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, backlog);
    if (stored_from > 0)
        state_stored(&st, relayed(s), LANE_ORDINARY, stored_from, stored_to);
    state_give(&st, s);
}

static void what_was_asked_for_goes_last_and_not_before_a_hello_was_answered(void **state)
{
    struct side *s = side_of(state);
    uint64_t sent[16];
    struct outbox_waiting w;

    relay(s, "dev", 'e', 1, 6);
    assert_int_equal(outbox_drill(s->ob, relayed(s), LANE_ORDINARY, (struct interval){1, 4}), 0);
    open_link(s, BIG, BIG);
    forget_caught(s);
    relay(s, "dev", 'e', 10, 12);
    assert_int_equal(outbox_drill(s->ob, relayed(s), LANE_ORDINARY, (struct interval){10, 11}), 0);
    outbox_waiting(s->ob, &w);
    assert_int_equal(w.drill_records, 6);
    assert_int_equal(w.ordinary_records, 3);
    tick(s);
    assert_int_equal(order_sent(s, sent, 16), 3); /* what nobody asked for */
    assert_true(sent[0] == 5 && sent[1] == 6 && sent[2] == 12);
    assert_int_equal(up_at(s, 0)->body_case,
                     FOGLINE__V1__UP__BODY_HELLO); /* at once, not with the next poll */
    give_answer(s, session(s), BIG, 2, 3);         /* it has some of it */
    forget_caught(s);
    tick(s);
    assert_int_equal(order_sent(s, sent, 16), 4);
    assert_true(sent[0] == 1 && sent[1] == 4 && sent[2] == 10 && sent[3] == 11);
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_RECORDS_DRILLED], 4);
}

static void what_was_asked_for_takes_what_the_backlog_leaves(void **state)
{
    struct side *s = side_of(state);

    uint64_t now;

    relay(s, "dev", 'e', 1, 300);
    assert_int_equal(outbox_drill(s->ob, relayed(s), LANE_ORDINARY, (struct interval){1, 100}), 0);
    tick(s);
    now = session(s);
    give_answer(s, now, 0, 0, 0);
    forget_caught(s);
    tick(s);
    assert_int_equal(times_sent(s, 50, NULL), 0); /* no window for backlog is none for this */
    give_answer(s, now, BIG, 101, 300);
    forget_caught(s);
    tick(s);
    assert_int_equal(times_sent(s, 50, NULL), 1);
    assert_int_equal(times_sent(s, 150, NULL), 0);
    /* Not acknowledged: it comes again, and in its turn. */
    s->now_ms += HOP_RTO_MIN_MS + 1;
    give_answer(s, now, BIG, 0, 0);
    tick(s);
    assert_int_equal(times_sent(s, 50, NULL), 2);
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_RECORDS_DRILLED], 200);
}

static void what_was_asked_for_and_is_archived_is_let_go(void **state)
{
    struct side *s = side_of(state);
    struct state st;

    relay(s, "dev", 'e', 1, 3);
    assert_int_equal(outbox_drill(s->ob, relayed(s), LANE_ORDINARY, (struct interval){1, 3}), 0);
    tick(s);
    state_init(&st, session(s), RUN, STORE);
    state_windows(&st, HOP_WINDOW_MIN_BYTES, BIG, BIG);
    state_mark(&st, s, relayed(s), LANE_ORDINARY, true, 1, 2, ARCHIVE);
    state_give(&st, s);
    apply(s);
    forget_caught(s);
    tick(s);
    assert_int_equal(times_sent(s, 1, NULL), 0);
    assert_int_equal(times_sent(s, 3, NULL), 1);
    assert_int_equal(spool_held_records(s->sp), 1);
}

static int setup_small_relay(void **state)
{
    struct side *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -1;
    side_init(s, "fog");
    s->quota_bytes = 10 * (1000 + 64);
    s->relays = true;
    side_open_lower(s);
    *state = s;
    return 0;
}

static void what_carries_covers_and_what_is_relayed_is_never_evicted(void **state)
{
    static const uint8_t payload[1000];
    struct maker_record r = {
        .kind = FOGLINE__V1__KIND__KIND_BLOCK, .payload = {payload, sizeof payload}, .carries_covers = true};
    struct side *s = side_of(state);
    struct id128 epoch = id_of('e');

    relay(s, "dev", 'e', 1, 1);
    make(s, LANE_ORDINARY, 1000);
    assert_int_equal(maker_append(s->sp, s->ob, s->keys.tag, &r, NULL), 0);
    for (int i = 0; i < 100; i++)
        make_room_and(s, LANE_ORDINARY);
    assert_false(interval_set_has(&spool_own(s->sp)->lane[0].held, 1));
    assert_true(interval_set_has(&spool_own(s->sp)->lane[0].held, 2));
    assert_false(interval_set_has(&spool_own(s->sp)->lane[0].held, 3));
    assert_true(interval_set_has(&spool_find(s->sp, "dev", &epoch)->lane[0].held, 1));
}

static void stored_is_evicted_before_what_nobody_has(void **state)
{
    struct side *s = side_of(state);
    struct spool_account_row row;
    struct state st;
    size_t n;

    for (int i = 0; i < 10; i++)
        make(s, LANE_ORDINARY, 1000);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_stored(&st, spool_own(s->sp), LANE_ORDINARY, 5, 6);
    state_give(&st, s);
    make_room_and(s, LANE_ORDINARY);
    assert_true(interval_set_has(&spool_own(s->sp)->lane[0].held, 1));
    assert_false(interval_set_has(&spool_own(s->sp)->lane[0].held, 5));
    assert_int_equal(spool_account_take(s->sp, &row, 1, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(row.reason, FOGLINE__V1__REASON__REASON_EVICTED_STORED);
    assert_int_equal(row.store.bytes[0], STORE);
}

/* Turns the last byte of the text round wherever it stands in the store. */
static void flip_in_store(struct side *s, const char *text)
{
    char path[PATH_MAX];
    owned(buf_deinit) struct buf all = {0};
    size_t len = strlen(text), n_found = 0;
    int fd;

    snprintf(path, sizeof path, "%s/data.mdb", tmpdir_path(&s->dir, "store"));
    assert_int_equal(file_read(path, 64 << 20, &all), 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i + len <= all.len; i++) {
        uint8_t other = (uint8_t)(all.data[i + len - 1] ^ 1);

        if (memcmp(all.data + i, text, len) != 0)
            continue;
        n_found++;
        assert_int_equal(pwrite(fd, &other, 1, (off_t)(i + len - 1)), 1);
    }
    close(fd);
    assert_true(n_found > 0);
}

/* What it stood for is held below and was not relayed: only another life of the store gets it here. */
static void an_own_record_of_a_relay_that_is_damaged_is_told(void **state)
{
    struct maker_record r = {
        .kind = FOGLINE__V1__KIND__KIND_BLOCK, .payload = span_str("mean of pumps"), .carries_covers = true};
    struct side *s = side_of(state);

    assert_int_equal(maker_append(s->sp, s->ob, s->keys.tag, &r, NULL), 0);
    assert_int_equal(spool_commit(s->sp), 0);
    flip_in_store(s, "mean of pumps");
    open_link(s, 1 << 20, 1 << 20);
    tick(s);
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_RECORDS_DAMAGED], 1);
    apply(s);
    assert_int_equal(s->damaged, 1);
    assert_int_equal(spool_own(s->sp)->lane[LANE_ORDINARY].held.n, 0);
}

/* A budget that is used up: alarms alone, until there is more; each class told apart. */
static void what_may_not_go_waits_and_alarms_pass(void **state)
{
    struct side *s = side_of(state);
    uint64_t live = make(s, LANE_ORDINARY, 1000), urgent;
    bool again;

    s->is_metered = true;
    s->allowed[0] = UINT64_MAX;
    open_link(s, BIG, BIG);
    urgent = make(s, LANE_URGENT, 500);
    tick(s);
    assert_int_equal(times_sent(s, live, &again), 0);
    assert_int_equal(times_sent(s, urgent, &again), 1);
    assert_int_equal(s->moved[0], 500 + 64);
    assert_int_equal(s->moved[1], 0);
    s->allowed[1] = 1000 + 64 - 1; /* one byte too few */
    tick(s);
    assert_int_equal(times_sent(s, live, &again), 0);
    s->allowed[1] = 1000 + 64;
    tick(s);
    assert_int_equal(times_sent(s, live, &again), 1);
    assert_int_equal(s->moved[1], 1000 + 64);
    assert_true(s->up_bytes > 1500 && s->down_bytes > 0);
}

static void refused_send_is_tried_again(void **state)
{
    struct side *s = side_of(state);

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    s->blocked = true;
    tick(s);
    assert_int_equal(s->n_caught, 0);
    s->blocked = false;
    tick_until(s, 200, false);
    assert_int_equal(times_sent(s, 1, NULL), 1);
}

static void garbage_from_above_is_counted(void **state)
{
    struct side *s = side_of(state);

    assert_int_equal(outbox_on_down(s->ob, span_str("\x08\x80\x02garbage"), 0), 0);
    assert_int_equal(outbox_counters(s->ob)[OUTBOX_STATES_MALFORMED], 1);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define RELAYED(name) cmocka_unit_test_setup_teardown(name, setup_relay, teardown)
#define SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)
    const struct CMUnitTest tests[] = {
        FACT(record_made_before_the_cloud_is_known_is_authenticated_when_sent),
        FACT(hello_goes_at_once_and_then_backs_off),
        FACT(nothing_but_hello_goes_before_it_is_answered),
        FACT(zero_window_is_no_fault),
        FACT(watchdog_resets_after_three_polls_without_state),
        FACT(state_of_another_run_is_not_believed),
        FACT(old_answer_does_not_open_a_new_session),
        FACT(higher_session_is_jumped_past_even_when_open),
        FACT(absurd_session_is_not_followed),
        FACT(unproven_start_takes_a_session_nobody_used),
        FACT(stored_is_not_sent_again_and_not_deleted),
        FACT(settled_is_deleted),
        FACT(a_long_past_does_not_delay_what_is_settled_now),
        FACT(a_long_backlog_that_is_settled_goes_turn_by_turn),
        RELAYED(what_was_asked_for_goes_last_and_not_before_a_hello_was_answered),
        RELAYED(what_was_asked_for_takes_what_the_backlog_leaves),
        RELAYED(what_was_asked_for_and_is_archived_is_let_go),
        RELAYED(relay_keeps_what_is_only_explained),
        FACT(mark_with_a_wrong_authenticator_is_refused),
        FACT(mark_of_another_archive_needs_the_operators_word),
        FACT(rto_doubles_up_to_a_minute),
        FACT(in_flight_never_passes_the_window),
        FACT(window_runs_out_with_its_lease),
        FACT(a_late_state_does_not_lengthen_the_lease),
        FACT(live_overtakes_backlog),
        FACT(urgent_goes_first),
        FACT(lowest_missing_rides_along_with_live),
        RELAYED(new_stream_of_a_relay_is_sent_once),
        RELAYED(relay_asks_about_what_it_holds),
        FACT(records_before_a_change_of_store_are_again),
        FACT(records_of_older_epochs_are_again),
        FACT(cut_of_an_older_epoch_does_not_count),
        FACT(number_never_made_begins_an_epoch_four_times_a_day),
        SMALL(evicted_stands_on_the_account_and_then_in_a_ledger_record),
        SMALL(ledger_records_are_never_evicted),
        cmocka_unit_test_setup_teardown(what_carries_covers_and_what_is_relayed_is_never_evicted,
                                        setup_small_relay, teardown),
        SMALL(stored_is_evicted_before_what_nobody_has),
        RELAYED(an_own_record_of_a_relay_that_is_damaged_is_told),
        FACT(what_may_not_go_waits_and_alarms_pass),
        FACT(refused_send_is_tried_again),
        FACT(garbage_from_above_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
