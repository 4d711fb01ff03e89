/* Looking at a store and at a status, with no daemon near. */
#include "bench.h"

#include "base/clock.h"
#include "codec/block.h"
#include "ctl/jtree.h"
#include "ctl/record_text.h"
#include "ctl/status.h"
#include "ctl/store_walk.h"
#include "ctl/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char note[] = "a sentence that is easy to find in a file";

static struct span pack(struct buf *b, const ProtobufCMessage *m)
{
    buf_reset(b);
    wire_pack(b, m);
    assert_int_equal(b->error, 0);
    return span_of(b->data, b->len);
}

static uint64_t append_descriptors(struct spool *sp, struct buf *b)
{
    Fogline__V1__Descriptor temp = FOGLINE__V1__DESCRIPTOR__INIT, text = FOGLINE__V1__DESCRIPTOR__INIT;
    Fogline__V1__Descriptor *channels[] = {&temp, &text};
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR};
    uint64_t seq;

    temp.name = (char *)"temperature";
    temp.unit = (char *)"Cel";
    temp.type = FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_DOUBLE;
    text.name = (char *)"mode";
    text.type = FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_TEXT;
    set.format = WIRE_FORMAT;
    set.group = (char *)"probe";
    set.channels = channels;
    set.n_channels = 2;
    r.payload = pack(b, &set.base);
    assert_int_equal(spool_append(sp, 0, &r, &seq), 0);
    return wire_descriptor_set_id(r.payload);
}

static void append_block(struct spool *sp, struct buf *b, uint64_t set_id)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_TEXT};
    struct cell cells[2] = {{.f64 = 21.5}, {.text = span_str("idle")}};
    struct packer *p;
    struct buf body = {0};
    Fogline__V1__Block m = FOGLINE__V1__BLOCK__INIT;
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK, .samples = 3};
    uint64_t seq;

    assert_int_equal(packer_new(&p, types, 2, 10), 0);
    assert_int_equal(packer_add(p, INT64_C(1700000000000000000), cells), 0);
    cells[0].f64 = 0.1;
    cells[1].absent = true;
    assert_int_equal(packer_add(p, INT64_C(1700000001000000000), cells), 0);
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, packer_block(p), &body), 0);
    m.format = WIRE_FORMAT;
    m.set_id = set_id;
    m.rows = 2;
    m.samples = 3;
    m.encoding = BLOCK_ENCODING_RAW;
    m.time_first_ns = INT64_C(1700000000000000000);
    m.time_span_ns = 1000000000;
    m.body = wire_bytes(span_of(body.data, body.len));
    r.payload = pack(b, &m.base);
    assert_int_equal(spool_append(sp, 0, &r, &seq), 0);
    buf_deinit(&body);
    packer_free(p);
}

static void append_event(struct spool *sp, struct buf *b)
{
    Fogline__V1__Event e = FOGLINE__V1__EVENT__INIT;
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_EVENT};
    uint64_t seq;

    e.format = WIRE_FORMAT;
    e.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE;
    e.severity = 1;
    e.time_ns = INT64_C(1700000000000000000);
    e.text = (char *)note;
    r.payload = pack(b, &e.base);
    assert_int_equal(spool_append(sp, 1, &r, &seq), 0);
}

/* One own stream (a descriptor set, a block, an event) and one of another node with 600 records of a kind
 * nobody knows. */
static void fill(struct bench *b)
{
    struct spool_options o = {.db = {.tables = bench_tier.tables,
                                     .n_tables = 5,
                                     .map_bytes = 8 << 20,
                                     .role = "fog",
                                     .no_preallocate = true},
                              .node = "fog-a",
                              .continue_unproven = true};
    struct id128 epoch = id128_random();
    struct spool_record foreign = {.kind = 77, .samples = 2, .payload = span_str("opaque")};
    struct ctl_paths p;
    struct ctl_settings s = {0};
    struct spool *sp;
    struct spool_stream *st;
    struct buf buf = {0};
    struct db_txn *txn;
    struct errmsg err;

    snprintf(s.state_dir, sizeof(s.state_dir), "%s", b->state);
    snprintf(s.run_dir, sizeof(s.run_dir), "%s", b->run);
    ctl_paths_make(&p, &s, "spool");
    assert_int_equal(ctl_paths_ready(&p, &err), 0);
    o.db.path = p.store;
    if (spool_open(&sp, &o, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(spool_txn(sp, &txn), 0);
    append_block(sp, &buf, append_descriptors(sp, &buf));
    append_event(sp, &buf);
    assert_int_equal(spool_stream_make(sp, "pump-1", &epoch, &st), 0);
    for (uint64_t i = 1; i <= 600; i++) {
        assert_int_equal(spool_seen_add(sp, st, 0, (struct interval){i, i}), 0);
        assert_int_equal(spool_put(sp, st, i, &foreign), 0);
    }
    assert_int_equal(spool_commit(sp), 0);
    buf_deinit(&buf);
    spool_close(sp);
}

static unsigned lines(const char *text)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void without_a_store_the_answer_is_not_found(void **state)
{
    assert_int_equal(bench_run(*state, "store", "stat", NULL)->code, CTL_NOT_FOUND);
    assert_int_equal(bench_run(*state, "store", "ls", NULL)->code, CTL_NOT_FOUND);
    assert_int_equal(bench_run(*state, "tail", "--for", "0", NULL)->code, CTL_NOT_FOUND);
    assert_int_equal(bench_run(*state, "status", NULL)->code, CTL_NOT_FOUND);
}

static void ls_lists_every_record_once(void **state)
{
    const struct said *s;

    fill(*state);
    s = bench_run(*state, "store", "ls", "--json", NULL);
    assert_int_equal(s->code, CTL_OK);
    s = bench_run(*state, "store", "ls", "--origin", "pump-*", "--from", "590", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_int_equal(lines(s->out), 1 + 11);
    assert_non_null(strstr(s->out, "kind-77"));
    s = bench_run(*state, "store", "ls", "--origin", "fog-a", NULL);
    assert_int_equal(lines(s->out), 1 + 3);
    assert_non_null(strstr(s->out, note));
    s = bench_run(*state, "store", "ls", "--kind", "event", NULL);
    assert_int_equal(lines(s->out), 1 + 1);
    s = bench_run(*state, "store", "ls", "--lane", "1", NULL);
    assert_int_equal(lines(s->out), 1 + 1);
    s = bench_run(*state, "store", "ls", "--kind", "evnt", NULL);
    assert_int_equal(s->code, CTL_USAGE);
    s = bench_run(*state, "store", "ls", "--limit", "5", NULL);
    assert_int_equal(lines(s->out), 1 + 5);
    assert_non_null(strstr(s->err, "there are more"));
}

static int count_one(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    uint64_t *n = ctx;

    (void)s;
    assert_int_equal(seq_count(r->record.seq), ++*n);
    assert_int_equal(r->record.payload.len, 6);
    return 0;
}

static void a_walk_over_many_slices_misses_nothing(void **state)
{
    struct bench *b = *state;
    struct db_options o = {.tables = bench_tier.tables, .n_tables = 5, .role = "fog", .read_only = true};
    struct walk_streams streams = {0};
    struct db *db;
    struct errmsg err;
    char path[400];
    uint64_t n = 0;

    fill(b);
    snprintf(path, sizeof(path), "%s/spool", b->state);
    o.path = path;
    assert_int_equal(db_open(&db, &o, &err), 0);
    assert_int_equal(walk_streams_read(db, &streams), 0);
    assert_int_equal(streams.n, 2);
    assert_int_equal(streams.n_damaged, 0);
    assert_true(streams.at[0].own);
    assert_int_equal(streams.at[1].lane[0].held_records, 600);
    assert_int_equal(walk_records(db, &streams.at[1], 0, 1, 0, count_one, &n), 0);
    assert_int_equal(n, 600);
    assert_int_equal(walk_last(db, &streams.at[1], 0, &n), 0);
    assert_int_equal(n, 600);
    assert_int_equal(walk_last(db, &streams.at[1], 1, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(walk_last(db, &streams.at[0], 0, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(walk_last(db, &streams.at[0], 1, &n), 0);
    assert_int_equal(n, 1);
    walk_streams_deinit(&streams);
    db_close(db);
}

static void get_decodes_a_block_with_its_descriptors(void **state)
{
    const struct said *s;

    fill(*state);
    s = bench_run(*state, "store", "get", "fog-a", "2", "--json", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "\"columns\":[\"time\",\"temperature\",\"mode\"]"));
    assert_non_null(strstr(s->out, "[\"2023-11-14T22:13:20Z\",21.5,\"idle\"]"));
    assert_non_null(strstr(s->out, "[\"2023-11-14T22:13:21Z\",0.1,null]"));
    s = bench_run(*state, "store", "get", "fog-a", "2", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "2023-11-14T22:13:20Z"));
    assert_non_null(strstr(s->out, "21.5"));
    s = bench_run(*state, "store", "get", "fog-a", "1", "--lane", "1", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, note));
    s = bench_run(*state, "store", "get", "pump-1", "600", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_int_equal(bench_run(*state, "store", "get", "pump-1", "601", NULL)->code, CTL_NOT_FOUND);
    assert_int_equal(bench_run(*state, "store", "get", "pump-9", "1", NULL)->code, CTL_NOT_FOUND);
    assert_int_equal(bench_run(*state, "store", "get", "pump-1", "x", NULL)->code, CTL_USAGE);
}

static void tail_shows_what_is_held_when_asked(void **state)
{
    const struct said *s;

    fill(*state);
    s = bench_run(*state, "tail", "--for", "0", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_string_equal(s->out, "");
    s = bench_run(*state, "tail", "--all", "--limit", "4", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_int_equal(lines(s->out), 4);
}

static void flip_in_file(const char *path, const char *text)
{
    int fd = open(path, O_RDWR);
    struct stat st;
    uint8_t *map, *at;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    at = memmem(map, (size_t)st.st_size, text, strlen(text));
    assert_non_null(at);
    at[0] ^= 1;
    munmap(map, (size_t)st.st_size);
    close(fd);
}

static void damage_is_found_and_never_shown_as_data(void **state)
{
    struct bench *b = *state;
    const struct said *s;
    char path[400];

    fill(b);
    assert_int_equal(bench_run(b, "store", "verify", NULL)->code, CTL_OK);
    snprintf(path, sizeof(path), "%s/spool/data.mdb", b->state);
    flip_in_file(path, note);
    s = bench_run(b, "store", "verify", NULL);
    assert_int_equal(s->code, CTL_DAMAGED);
    assert_non_null(strstr(s->err, "1 of "));
    s = bench_run(b, "store", "ls", "--lane", "1", NULL);
    assert_int_equal(s->code, CTL_DAMAGED);
    assert_non_null(strstr(s->out, "damaged"));
    assert_null(strstr(s->out, "easy to find"));
    s = bench_run(b, "store", "get", "fog-a", "1", "--lane", "1", NULL);
    assert_int_equal(s->code, CTL_DAMAGED);
    assert_string_equal(s->out, "");
}

static void stat_tells_streams_and_tables(void **state)
{
    const struct said *s;

    fill(*state);
    s = bench_run(*state, "store", "stat", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "fog-a (own)"));
    assert_non_null(strstr(s->out, "600"));
    s = bench_run(*state, "store", "stat", "--json", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "\"held_samples\":1200"));
}

/* ---- status ---- */

static const struct counter_info infos[] = {{"sent", COUNTER_TOTAL, "1", "Sent."}};

static void write_status(struct bench *b, int64_t now)
{
    char path[400];
    struct status_options o = {path, "fog", "fog-a", "plant", now - 90 * NS_PER_S};
    uint64_t values[] = {UINT64_MAX};
    struct counter_set sets[] = {{"outbox", infos, values, 1}};
    struct status *s;
    struct json *j;

    mkdir(b->run, 0700);
    snprintf(path, sizeof(path), "%s/status.json", b->run);
    assert_int_equal(status_new(&s, &o), 0);
    assert_int_equal(status_begin(s, now, &j), 0);
    json_ku64(j, "held_bytes", 2048);
    json_key(j, "devices");
    json_array(j);
    json_object(j);
    json_kstr(j, "device", "pump-1");
    json_ki64(j, "last_heard_ms", 1500);
    json_object_end(j);
    json_array_end(j);
    assert_int_equal(status_end(s, sets, 1), 0);
    status_free(s);
}

static void status_of_a_dead_daemon_shows_its_last_second(void **state)
{
    const struct said *s;

    write_status(*state, clock_wall_unix_ns(&clock_real) - 3600 * NS_PER_S);
    s = bench_run(*state, "status", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "not running"));
    assert_non_null(strstr(s->out, "60 min"));
    assert_non_null(strstr(s->out, "2 KiB"));
    assert_non_null(strstr(s->out, "DEVICE"));
    assert_non_null(strstr(s->out, "1.5 s"));
    assert_non_null(strstr(s->out, "had been up          0.")); /* whatever the clock was at the start */
    assert_null(strstr(s->out, "outbox.sent"));
    s = bench_run(*state, "status", "--counters", NULL);
    assert_non_null(strstr(s->out, "18446744073709551615"));
    s = bench_run(*state, "status", "--json", NULL);
    assert_non_null(strstr(s->out, "\"running\":false"));
    assert_non_null(strstr(s->out, "\"outbox.sent\":18446744073709551615"));
}

static void a_held_lock_and_a_fresh_report_mean_running(void **state)
{
    struct bench *b = *state;
    int64_t now = clock_wall_unix_ns(&clock_real), age_ms;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[400], lock[400];
    int fd;

    snprintf(path, sizeof(path), "%s/status.json", b->run);
    snprintf(lock, sizeof(lock), "%s/lock", b->run);
    assert_int_equal(status_life(path, now, &age_ms), STATUS_DEAD);
    assert_int_equal(age_ms, -1);
    write_status(b, now);
    assert_int_equal(status_life(path, now, &age_ms), STATUS_DEAD);
    fd = open(lock, O_RDWR | O_CREAT, 0600);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
    assert_int_equal(status_life(path, now + NS_PER_S, &age_ms), STATUS_RUNNING);
    assert_int_equal(age_ms, 1000);
    assert_int_equal(status_life(path, now + 6 * NS_PER_S, NULL), STATUS_SILENT);
    assert_int_equal(status_life(path, now - 60 * NS_PER_S, &age_ms), STATUS_RUNNING);
    assert_int_equal(age_ms, 0);
    close(fd);
    assert_int_equal(status_life(path, now, NULL), STATUS_DEAD);
}

static void records_that_do_not_decode_are_said_to_be_so(void **state)
{
    struct record r = {
        .origin = "x", .seq = 1, .kind = FOGLINE__V1__KIND__KIND_EVENT, .payload = span_str("\xff\xff\xff")};
    struct record_view v = {.record = &r};
    char text[200];
    struct json *j;
    FILE *f = fopen("/dev/null", "w");

    (void)state;
    record_summary(&r, text, sizeof(text));
    assert_string_equal(text, "does not decode");
    assert_int_equal(json_new(&j, f, false), 0);
    assert_int_equal(record_json(&v, j), RECORD_TEXT_DAMAGED);
    json_free(j);
    assert_int_equal(record_text(&v, f), RECORD_TEXT_DAMAGED);
    for (r.kind = 0; r.kind < 10; r.kind++) {
        record_summary(&r, text, sizeof(text));
        int rc = record_text(&v, f);
        assert_true(rc == 0 || rc == RECORD_TEXT_DAMAGED);
    }
    fclose(f);
}

/* ---- tap ---- */

static struct tap *new_tap(struct bench *b)
{
    struct tap *t;

    mkdir(b->run, 0700);
    assert_int_equal(tap_new(&t, b->run), 0);
    return t;
}

static void a_passing_record_is_shown_to_who_looks(void **state)
{
    struct bench *b = *state;
    struct tap *t = new_tap(b);
    struct tap_reader *reader;
    struct record r = {.origin = "pump-1",
                       .epoch = {{5}},
                       .seq = 7,
                       .kind = 3,
                       .samples = 9,
                       .payload = span_str("abc")},
                  got;

    tap_look(t);
    tap_record(t, &r); /* nobody looks */
    assert_int_equal(tap_reader_new(&reader, b->run), 0);
    tap_look(t);
    assert_int_equal(tap_reader_next(reader, &got), TAP_EMPTY);
    tap_record(t, &r);
    assert_int_equal(tap_reader_next(reader, &got), 0);
    assert_string_equal(got.origin, "pump-1");
    assert_memory_equal(&got.epoch, &r.epoch, sizeof(r.epoch));
    assert_int_equal(got.seq, 7);
    assert_int_equal(got.samples, 9);
    assert_int_equal(got.payload.len, 3);
    assert_memory_equal(got.payload.data, "abc", 3);
    assert_int_equal(tap_reader_next(reader, &got), TAP_EMPTY);
    tap_reader_free(reader);
    tap_free(t);
}

static void a_reader_that_is_slow_or_gone_costs_nothing(void **state)
{
    struct bench *b = *state;
    struct tap *t = new_tap(b);
    struct tap_reader *reader;
    struct record r = {.origin = "pump-1", .seq = 7, .payload = span_str("abc")};
    char path[400], moved[400];

    assert_int_equal(tap_reader_new(&reader, b->run), 0);
    tap_look(t);
    for (int i = 0; i < 100000 && tap_dropped(t) == 0; i++)
        tap_record(t, &r);
    assert_true(tap_dropped(t) > 0);
    /* killed: its socket's name stays behind */
    snprintf(path, sizeof(path), "%s/tap-%d.sock", b->run, (int)getpid());
    snprintf(moved, sizeof(moved), "%s/tap-1.sock", b->run);
    assert_int_equal(rename(path, moved), 0);
    tap_reader_free(reader);
    assert_int_equal(access(moved, F_OK), 0);
    tap_look(t);
    assert_int_not_equal(access(moved, F_OK), 0);
    tap_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_store_the_answer_is_not_found, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(ls_lists_every_record_once, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_walk_over_many_slices_misses_nothing, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(get_decodes_a_block_with_its_descriptors, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(tail_shows_what_is_held_when_asked, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(damage_is_found_and_never_shown_as_data, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(stat_tells_streams_and_tables, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(status_of_a_dead_daemon_shows_its_last_second, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(a_held_lock_and_a_fresh_report_mean_running, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(a_passing_record_is_shown_to_who_looks, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_is_slow_or_gone_costs_nothing, bench_setup,
                                        bench_teardown),
        cmocka_unit_test(records_that_do_not_decode_are_said_to_be_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
