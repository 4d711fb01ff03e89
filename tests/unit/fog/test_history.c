/* The history of a fog: who goes first, by age and by room, and what a crash and a clock do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/view.h"
#include "base/cleanup.h"
#include "fog/fog_tier.h"
#include "tests/lib/tmpdir.h"

#include <stdio.h>
#include <string.h>

#define S INT64_C(1000000000)
#define T0 (INT64_C(1700000000) * S)
#define DAY (86400 * S)

struct kept {
    struct tmpdir dir;
    char path[300], proof[300];
    struct archive *archive;
    struct history *history;
    struct buf payload;
    uint64_t seq, map_bytes;
};

static void open_it(struct kept *k)
{
    struct archive_options o = {.spool = {.node = "fog", .proof_path = k->proof}};
    struct errmsg err = {""};

    o.spool.db = (struct db_options){.path = k->path,
                                     .tables = fog_tables,
                                     .n_tables = FOG_TABLES,
                                     .map_bytes = k->map_bytes,
                                     .role = "fog",
                                     .no_preallocate = true};
    memset(o.spool.boot_id.bytes, 7, ID128_BYTES);
    if (archive_open(&k->archive, &o, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(history_new(&k->history, k->archive, "site"), 0);
}

static void close_it(struct kept *k)
{
    k->history = history_free(k->history);
    k->archive = archive_close(k->archive);
}

static int setup(void **state)
{
    static struct kept k;

    memset(&k, 0, sizeof k);
    k.map_bytes = 32 << 20;
    tmpdir_init(&k.dir);
    snprintf(k.path, sizeof k.path, "%.200s/spool", k.dir.path);
    snprintf(k.proof, sizeof k.proof, "%.200s/continuity", k.dir.path);
    open_it(&k);
    history_limit(k.history, &(struct history_limits){8 << 20, 365 * DAY});
    *state = &k;
    return 0;
}

static int teardown(void **state)
{
    struct kept *k = *state;

    close_it(k);
    buf_deinit(&k->payload);
    tmpdir_deinit(&k->dir);
    return 0;
}

static struct spool_stream *stream_of(struct kept *k, const char *device, uint8_t epoch)
{
    struct id128 id = {{epoch}};
    struct spool_stream *s;

    assert_int_equal(spool_stream_make(archive_spool(k->archive), device, &id, &s), 0);
    return s;
}

/* One row of one channel, raw; body_bytes of text make it long. */
static void put_block(struct kept *k, const char *device, int64_t time_ns, size_t body_bytes)
{
    Fogline__V1__Block b = FOGLINE__V1__BLOCK__INIT;
    struct spool_stream *s = stream_of(k, device, 1);
    static uint8_t body[60000];
    struct record r = {.origin = device, .epoch = s->epoch, .kind = FOGLINE__V1__KIND__KIND_BLOCK};

    b.format = WIRE_FORMAT;
    b.set_id = 1;
    b.rows = b.samples = 1;
    b.encoding = BLOCK_ENCODING_RAW;
    b.time_first_ns = time_ns;
    b.body = wire_bytes(span_of(body, body_bytes));
    buf_reset(&k->payload);
    wire_pack(&k->payload, &b.base);
    r.payload = span_of(k->payload.data, k->payload.len);
    r.seq = ++k->seq;
    assert_int_equal(history_put(k->history, s, &r), 0);
}

static void put_other(struct kept *k, const char *device, uint32_t kind, size_t bytes)
{
    struct spool_stream *s = stream_of(k, device, 1);
    static const uint8_t payload[4000];
    struct record r = {.origin = device, .epoch = s->epoch, .kind = kind};

    r.seq = ++k->seq;
    r.payload = span_of(payload, bytes);
    assert_int_equal(history_put(k->history, s, &r), 0);
}

static void put_event(struct kept *k, const char *device)
{
    struct spool_stream *s = stream_of(k, device, 1);
    struct record r = {.origin = device, .epoch = s->epoch, .kind = FOGLINE__V1__KIND__KIND_EVENT};

    r.seq = ++k->seq;
    r.payload = span_of("event", 5);
    assert_int_equal(history_put(k->history, s, &r), 0);
}

static void commit(struct kept *k, int64_t now_ns)
{
    assert_int_equal(history_flush(k->history, now_ns), 0);
    assert_int_equal(spool_commit(archive_spool(k->archive)), 0);
    history_committed(k->history);
    history_look(k->history);
}

static uint64_t gone(const struct kept *k)
{
    const uint64_t *c = history_counters(k->history);

    return c[HISTORY_BLOCKS_GONE] + c[HISTORY_OTHERS_GONE];
}

/* Until nothing more goes: of others each commit looks at one device and kind. */
static void settle(struct kept *k, int64_t now_ns)
{
    for (unsigned quiet = 0; quiet < 8;) {
        uint64_t before = gone(k);

        commit(k, now_ns);
        quiet = gone(k) == before ? quiet + 1 : 0;
    }
}

struct seen {
    int64_t first_ns[2], n[2];
    uint64_t n_others;
};

/* What is there of the devices "a" and "b". */
static struct seen look(struct kept *k)
{
    struct seen s = {{INT64_MAX, INT64_MAX}, {0, 0}, 0};
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct db_txn *txn;
    struct sample_key key;
    struct span at;
    int r;

    assert_int_equal(db_begin(spool_db(archive_spool(k->archive)), false, &txn), 0);
    assert_int_equal(db_cursor_new(txn, ARCHIVE_TABLE_SAMPLES, &c), 0);
    for (r = db_cursor_seek(c, span_of("", 0), &at, NULL); r == 0; r = db_cursor_next(c, &at, NULL)) {
        assert_true(sample_key_get(at, &key) && key.device >= 1 && key.device <= 2);
        s.n[key.device - 1]++;
        if (key.time_first_ns < s.first_ns[key.device - 1])
            s.first_ns[key.device - 1] = key.time_first_ns;
    }
    c = db_cursor_free(c);
    assert_int_equal(db_cursor_new(txn, ARCHIVE_TABLE_OTHERS, &c), 0);
    for (r = db_cursor_seek(c, span_of("", 0), &at, NULL); r == 0; r = db_cursor_next(c, &at, NULL))
        s.n_others++;
    c = db_cursor_free(c);
    db_abort(txn);
    return s;
}

static void what_is_too_old_goes(void **state)
{
    struct kept *k = *state;
    struct seen s;

    for (int i = 0; i < 1000; i++) {
        put_block(k, "a", T0 + i * S, 40);
        put_block(k, "b", T0 + i * S, 40);
    }
    history_limit(k->history, &(struct history_limits){8 << 20, 100 * S});
    settle(k, T0 + 1000 * S);
    s = look(k);
    assert_true(s.first_ns[0] == T0 + 899 * S && s.first_ns[1] == T0 + 899 * S);
    assert_int_equal(history_counters(k->history)[HISTORY_BLOCKS_GONE], 2 * 899);
}

static void a_clock_that_jumps_ahead_clears_nothing(void **state)
{
    struct kept *k = *state;

    for (int i = 0; i < 50; i++)
        put_block(k, "a", T0 + i * S, 40);
    history_limit(k->history, &(struct history_limits){8 << 20, 100 * S});
    settle(k, T0 + 3650 * DAY);
    assert_int_equal(look(k).n[0], 50);
    put_block(k, "b", T0 + 3650 * DAY, 40); /* of a device that is ahead; the fog's clock is right */
    settle(k, T0 + 50 * S);
    assert_int_equal(look(k).n[0], 50);
}

static void the_oldest_of_all_devices_makes_room(void **state)
{
    struct kept *k = *state;
    struct seen s;
    struct history_status st;

    for (int i = 0; i < 400; i++) {
        put_block(k, "a", T0 + i * S, 3000);
        put_block(k, "b", T0 + (i + 200) * S, 3000);
    }
    commit(k, T0 + 600 * S);
    history_limit(k->history, &(struct history_limits){1 << 20, 365 * DAY});
    settle(k, T0 + 600 * S);
    s = look(k);
    history_status(k->history, &st);
    assert_true(st.bytes <= 1 << 20 && st.bytes > (1 << 20) * 8 / 10);
    assert_true(s.n[0] > 0 && s.n[1] > s.n[0]);
    /* Of both what is younger than one moment, give or take a block. */
    assert_true(s.first_ns[0] - s.first_ns[1] <= S && s.first_ns[1] - s.first_ns[0] <= S);
    assert_int_equal(s.n[0], (T0 + 400 * S - s.first_ns[0]) / S);
}

static void of_events_the_newest_stay(void **state)
{
    struct kept *k = *state;

    for (int i = 0; i < 6000; i++)
        put_event(k, i % 10 == 0 ? "b" : "a");
    settle(k, T0);
    assert_int_equal(look(k).n_others, 4096 + 600);
    assert_int_equal(history_counters(k->history)[HISTORY_OTHERS_GONE], 5400 - 4096);
}

/* By number alone they would leave no room for readings, and at last none for the relay. */
static void others_take_half_of_the_bytes_at_most(void **state)
{
    struct kept *k = *state;
    struct history_status st;

    history_limit(k->history, &(struct history_limits){2 << 20, 365 * DAY});
    for (int i = 0; i < 6000; i++) {
        put_other(k, i % 2 == 0 ? "a" : "b", FOGLINE__V1__KIND__KIND_HEALTH, 1500);
        if (i % 20 == 0)
            put_block(k, "a", T0 + i * S, 1500);
        if (i % 10 == 0)
            commit(k, T0 + i * S);
    }
    settle(k, T0 + 6000 * S);
    history_status(k->history, &st);
    assert_true(st.bytes <= (2 << 20) * 11 / 10);
    assert_true(st.others >= 200 && st.others < 1000);
    assert_true(look(k).n[0] >= 200); /* of 300 blocks */
}

/* Descriptors stay: when they alone are beyond the limit there is nothing to commit for. */
static void what_stays_keeps_nobody_busy(void **state)
{
    struct kept *k = *state;

    history_limit(k->history, &(struct history_limits){64 << 10, 365 * DAY});
    for (int i = 0; i < 100; i++)
        put_other(k, "a", FOGLINE__V1__KIND__KIND_DESCRIPTOR, 2000);
    for (int i = 0; i < 200; i++)
        commit(k, T0);
    assert_int_equal(look(k).n_others, 100);
    assert_false(history_has_to_go(k->history));
}

/* In a small map the spool's reserve is much of it, and nothing of the relay fits into that. */
static void a_small_map_has_room_for_the_relay(void **state)
{
    struct kept *k = *state;
    struct spool *sp;

    close_it(k);
    tmpdir_deinit(&k->dir);
    tmpdir_init(&k->dir);
    snprintf(k->path, sizeof k->path, "%.200s/spool", k->dir.path);
    snprintf(k->proof, sizeof k->proof, "%.200s/continuity", k->dir.path);
    k->map_bytes = 8 << 20;
    open_it(k);
    sp = archive_spool(k->archive);
    history_limit(k->history, &(struct history_limits){4 << 20, 365 * DAY});
    for (int i = 0; i < 4000; i++) {
        put_other(k, i % 2 == 0 ? "a" : "b", FOGLINE__V1__KIND__KIND_HEALTH, 1900);
        put_other(k, i % 2 == 0 ? "a" : "b", FOGLINE__V1__KIND__KIND_EVENT, 1900);
        put_block(k, "a", T0 + i * S, 1900);
        if (i % 10 == 0)
            commit(k, T0 + i * S);
    }
    settle(k, T0 + 4000 * S);
    assert_true(spool_room_bytes(sp) >= 1 << 20);
    assert_int_equal(history_counters(k->history)[HISTORY_NO_ROOM], 0);
}

/* Limits come after opening: until then nothing may be taken away. */
static void a_start_takes_nothing_away(void **state)
{
    struct kept *k = *state;

    for (int i = 0; i < 50; i++)
        put_block(k, "a", T0 + i * S, 40);
    commit(k, T0 + 50 * S);
    close_it(k);
    open_it(k);
    commit(k, T0 + 50 * S);
    history_limit(k->history, &(struct history_limits){8 << 20, 365 * DAY});
    commit(k, T0 + 50 * S);
    assert_int_equal(look(k).n[0], 50);
}

static void a_rollback_takes_back_what_was_put_and_what_went(void **state)
{
    struct kept *k = *state;

    for (int i = 0; i < 50; i++)
        put_block(k, "a", T0 + i * S, 40);
    commit(k, T0 + 50 * S);
    put_block(k, "b", T0, 40);
    history_limit(k->history, &(struct history_limits){8 << 20, 10 * S});
    assert_int_equal(history_flush(k->history, T0 + 50 * S), 0);
    assert_int_equal(spool_rollback(archive_spool(k->archive)), 0);
    assert_int_equal(history_reload(k->history), 0);
    assert_int_equal(look(k).n[0] + look(k).n[1], 50);
    settle(k, T0 + 50 * S);
    assert_int_equal(look(k).n[0], 11);
}

/* To take away takes pages: what did not fit as a whole is tried in smaller pieces. */
static void after_a_full_map_less_goes_at_once(void **state)
{
    struct kept *k = *state;
    uint64_t before;

    for (int i = 0; i < 2000; i++)
        put_block(k, "a", T0 + i * S, 40);
    commit(k, T0);
    history_limit(k->history, &(struct history_limits){8 << 20, 10 * S});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(history_flush(k->history, T0 + 2000 * S), 0);
        assert_int_equal(spool_rollback(archive_spool(k->archive)), 0);
        assert_int_equal(history_reload(k->history), 0);
    }
    before = gone(k);
    commit(k, T0 + 2000 * S);
    assert_in_range(gone(k) - before, 1, 16);
    settle(k, T0 + 2000 * S);
    assert_int_equal(look(k).n[0], 11);
}

static int open_view(struct kept *k, struct db **ret_db, struct view **ret_v)
{
    struct db_options o = {
        .path = k->path, .tables = fog_tables, .n_tables = FOG_TABLES, .role = "fog", .read_only = true};
    struct errmsg err = {""};

    assert_int_equal(db_open(ret_db, &o, &err), 0);
    return view_new(ret_v, *ret_db);
}

static void the_site_is_that_of_the_fog(void **state)
{
    struct kept *k = *state;
    struct db *db;
    struct view *v;

    put_block(k, "a", T0, 40);
    commit(k, T0);
    k->history = history_free(k->history);
    assert_int_equal(history_new(&k->history, k->archive, "renamed"), 0);
    history_limit(k->history, &(struct history_limits){8 << 20, 365 * DAY});
    put_block(k, "a", T0 + S, 40);
    commit(k, T0);
    close_it(k);
    assert_int_equal(open_view(k, &db, &v), 0);
    assert_string_equal(view_find_device(v, "a")->site, "renamed");
    view_free(v);
    db_close(db);
    open_it(k);
}

static void a_forgotten_stream_keeps_its_records_and_its_number(void **state)
{
    struct kept *k = *state;
    struct spool_stream *s, *next;
    struct db *db;
    struct view *v;
    struct id128 epoch;
    uint32_t no;

    put_block(k, "a", T0, 40);
    commit(k, T0);
    s = stream_of(k, "a", 1);
    no = s->no;
    epoch = s->epoch;
    assert_int_equal(history_forget(k->history, s), 0);
    assert_int_equal(spool_stream_forget(archive_spool(k->archive), s), 0);
    commit(k, T0);
    next = stream_of(k, "a", 2);
    assert_true(next->no > no);
    commit(k, T0);
    close_it(k);
    assert_int_equal(open_view(k, &db, &v), 0);
    assert_non_null(view_find_stream(v, no));
    assert_true(id128_equal(&view_find_stream(v, no)->epoch, &epoch));
    view_free(v);
    db_close(db);
    open_it(k);
}

/* The same record given again, by a device that was removed and let in anew, under another number of the
 * spool: also after a restart in between. */
static void a_device_that_is_let_in_again_stands_once(void **state)
{
    struct kept *k = *state;
    struct spool_stream *s;

    for (int round = 0; round < 3; round++) {
        k->seq = 0;
        for (int i = 0; i < 5; i++)
            put_block(k, "a", T0 + i * S, 40);
        put_event(k, "a");
        commit(k, T0);
        s = stream_of(k, "a", 1);
        assert_int_equal(archive_totals(k->archive, s, 0).records, 6);
        assert_int_equal(history_forget(k->history, s), 0);
        assert_int_equal(spool_stream_forget(archive_spool(k->archive), s), 0);
        commit(k, T0);
        if (round == 1) {
            close_it(k);
            open_it(k);
            history_limit(k->history, &(struct history_limits){8 << 20, 365 * DAY});
        }
    }
    assert_int_equal(look(k).n[0], 5);
    assert_int_equal(look(k).n_others, 1);
    k->seq = 10;
    put_block(k, "a", T0 + 10 * S, 40); /* and what is new comes to it */
    commit(k, T0);
    assert_int_equal(look(k).n[0], 6);
    assert_int_equal(archive_totals(k->archive, stream_of(k, "a", 1), 0).records, 7);
}

/* "b" stands two days ahead, "a" and "c" are right: "b" gives as the others do, and not from what it has of
 * today alone. */
static void a_device_that_is_ahead_takes_nobodys_room(void **state)
{
    struct kept *k = *state;
    struct seen s;

    for (int i = 0; i < 1200; i++) {
        put_block(k, "a", T0 + i * S, 3000);
        put_block(k, "b", T0 + (i < 100 ? 0 : 2 * DAY) + i * S, 3000);
        if (i % 10 == 0)
            commit(k, T0 + i * S);
    }
    history_limit(k->history, &(struct history_limits){2 << 20, 365 * DAY});
    settle(k, T0 + 1200 * S);
    s = look(k);
    assert_true(s.n[0] > 100 && s.n[1] > 100);
    assert_true(s.n[0] - s.n[1] < 30 && s.n[1] - s.n[0] < 30);
    assert_true(s.first_ns[1] > T0 + 2 * DAY);
}

/* A fog without a clock goes by its devices; of an age that one of them claims nothing goes. */
static void a_fog_without_a_clock_gives_the_oldest(void **state)
{
    struct kept *k = *state;
    struct seen s;

    for (int i = 0; i < 1200; i++) {
        put_block(k, "a", T0 + i * S, 3000);
        put_block(k, "b", T0 + i * S, 3000);
    }
    commit(k, 5 * S);
    history_limit(k->history, &(struct history_limits){2 << 20, 365 * DAY});
    settle(k, 10 * S);
    s = look(k);
    assert_true(s.n[0] > 100 && s.first_ns[0] == T0 + (1200 - s.n[0]) * S);
    assert_true(s.n[1] > 100 && s.first_ns[1] == T0 + (1200 - s.n[1]) * S);
}

/* Queues are kept while blocks come and go: a late block, older than all others, goes first all the same. */
static void a_late_block_of_a_new_set_goes_first(void **state)
{
    struct kept *k = *state;

    for (int i = 0; i < 50; i++)
        put_block(k, "a", T0 + i * S, 40);
    commit(k, T0 + 50 * S);
    put_block(k, "b", T0 - 20 * S, 40);
    put_block(k, "a", T0 - 30 * S, 40);
    history_limit(k->history, &(struct history_limits){8 << 20, 60 * S});
    settle(k, T0 + 50 * S);
    assert_int_equal(look(k).n[0], 50);
    assert_int_equal(look(k).n[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_too_old_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_jumps_ahead_clears_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_of_all_devices_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(of_events_the_newest_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(others_take_half_of_the_bytes_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stays_keeps_nobody_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_map_has_room_for_the_relay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_takes_nothing_away, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rollback_takes_back_what_was_put_and_what_went, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_full_map_less_goes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_site_is_that_of_the_fog, setup, teardown),
        cmocka_unit_test_setup_teardown(a_forgotten_stream_keeps_its_records_and_its_number, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_is_let_in_again_stands_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_is_ahead_takes_nobodys_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fog_without_a_clock_gives_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_block_of_a_new_set_goes_first, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
