/* Drill-down: what of the history goes into the spool once more, what a rollback and a new start make of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "codec/block.h"
#include "fog/drill.h"
#include "fog/fog_tier.h"
#include "fog/history.h"
#include "tests/lib/tmpdir.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define S INT64_C(1000000000)
#define T0 (INT64_C(1700000000) * S)
#define DAY (86400 * S)

struct place {
    struct tmpdir dir;
    char path[300], proof[300];
    struct archive *archive;
    struct history *history;
    struct outbox *outbox;
    struct end_keys keys;
    struct drill *drill;
    struct buf payload;
    uint64_t seq, counter, quota_bytes;
    unsigned n_replies;
    bool ok, has_no_room;
    char text[1024];
};

static int on_send(void *ctx, struct span up)
{
    (void)ctx;
    (void)up;
    return 0;
}

static void on_reset(void *ctx)
{
    (void)ctx;
}

static int on_reply(void *ctx, uint64_t counter, bool ok, const char *text)
{
    struct place *p = ctx;

    if (p->has_no_room)
        return DRILL_NO_ROOM;
    p->n_replies++;
    p->counter = counter;
    p->ok = ok;
    snprintf(p->text, sizeof p->text, "%s", text);
    return 0;
}

static void open_it(struct place *p)
{
    struct archive_options o = {
        .spool = {.node = "fog", .proof_path = p->proof, .quota_bytes = p->quota_bytes}};
    struct outbox_options oo = {.role = "fog",
                                .software = "test",
                                .keys = &p->keys,
                                .ops = {.send = on_send, .reset_link = on_reset}};
    struct drill_options d = {.reply = on_reply, .ctx = p};
    struct errmsg err = {""};

    o.spool.db = (struct db_options){.path = p->path,
                                     .tables = fog_tables,
                                     .n_tables = FOG_TABLES,
                                     .map_bytes = 32 << 20,
                                     .role = "fog",
                                     .no_preallocate = true};
    memset(o.spool.boot_id.bytes, 7, ID128_BYTES);
    if (archive_open(&p->archive, &o, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(history_new(&p->history, p->archive, "site"), 0);
    history_limit(p->history, &(struct history_limits){8 << 20, 365 * DAY});
    oo.spool = d.spool = archive_spool(p->archive);
    assert_int_equal(outbox_new(&p->outbox, &oo, 0), 0);
    d.outbox = p->outbox;
    assert_int_equal(drill_new(&p->drill, &d), 0);
    drill_limit(p->drill, 1 << 20);
}

static void close_it(struct place *p)
{
    p->drill = drill_free(p->drill);
    p->outbox = outbox_free(p->outbox);
    p->history = history_free(p->history);
    p->archive = archive_close(p->archive);
}

static int setup(void **state)
{
    static struct place p;

    memset(&p, 0, sizeof p);
    tmpdir_init(&p.dir);
    snprintf(p.path, sizeof p.path, "%.200s/spool", p.dir.path);
    snprintf(p.proof, sizeof p.proof, "%.200s/continuity", p.dir.path);
    open_it(&p);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;

    close_it(p);
    buf_deinit(&p->payload);
    tmpdir_deinit(&p->dir);
    return 0;
}

static struct spool_stream *stream_of(struct place *p, const char *device)
{
    struct id128 id = {{1}};
    struct spool_stream *s;

    assert_int_equal(spool_stream_make(archive_spool(p->archive), device, &id, &s), 0);
    return s;
}

static void put(struct place *p, const char *device, uint32_t kind, const ProtobufCMessage *m)
{
    struct spool_stream *s = stream_of(p, device);
    struct record r = {.origin = device, .epoch = s->epoch, .kind = kind, .tag = {1, 2, 3}};

    buf_reset(&p->payload);
    wire_pack(&p->payload, m);
    r.payload = span_of(p->payload.data, p->payload.len);
    r.seq = ++p->seq;
    r.samples = kind == FOGLINE__V1__KIND__KIND_BLOCK;
    assert_int_equal(history_put(p->history, s, &r), 0);
    assert_int_equal(spool_seen_add(archive_spool(p->archive), s, 0, (struct interval){r.seq, r.seq}), 0);
}

static uint64_t put_set(struct place *p, const char *device, const char *group)
{
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    Fogline__V1__Descriptor channel = FOGLINE__V1__DESCRIPTOR__INIT, *channels[] = {&channel};

    channel.name = (char *)"v";
    channel.unit = (char *)"";
    channel.type = FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_DOUBLE;
    set.format = WIRE_FORMAT;
    set.group = (char *)group;
    set.channels = channels;
    set.n_channels = 1;
    put(p, device, FOGLINE__V1__KIND__KIND_DESCRIPTOR, &set.base);
    return wire_descriptor_set_id(span_of(p->payload.data, p->payload.len));
}

static void put_block(struct place *p, const char *device, uint64_t set, int64_t time_ns, int64_t span_ns)
{
    static const uint8_t body[1000];
    Fogline__V1__Block b = FOGLINE__V1__BLOCK__INIT;

    b.format = WIRE_FORMAT;
    b.set_id = set;
    b.rows = b.samples = 1;
    b.encoding = BLOCK_ENCODING_RAW;
    b.time_first_ns = time_ns;
    b.time_span_ns = (uint64_t)span_ns;
    b.body = wire_bytes(span_of(body, sizeof body));
    put(p, device, FOGLINE__V1__KIND__KIND_BLOCK, &b.base);
}

static void commit(struct place *p)
{
    assert_int_equal(history_flush(p->history, T0 + DAY), 0);
    assert_int_equal(spool_commit(archive_spool(p->archive)), 0);
    history_committed(p->history);
}

static int order(struct place *p, uint64_t counter, const char *device, int64_t from_ns, int64_t to_ns,
                 uint64_t max_bytes)
{
    struct drill_order d = {.from_ns = from_ns, .to_ns = to_ns, .max_bytes = max_bytes};
    struct command c = {.counter = counter, .type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_DRILL};

    snprintf(d.device, sizeof d.device, "%s", device);
    drill_order_format(&d, c.argument);
    return drill_take(p->drill, &c);
}

static void round_of(struct place *p, int64_t now_ns)
{
    assert_int_equal(drill_round(p->drill, now_ns), 0);
    commit(p);
}

/* The cloud has it all: as its marks would do. */
static void arrive(struct place *p)
{
    for (size_t i = 0; i < spool_n_streams(archive_spool(p->archive)); i++) {
        struct spool_stream *s = spool_stream_at(archive_spool(p->archive), i);

        if (!s->own && s->lane[0].held.n > 0)
            assert_int_equal(
                spool_remove(archive_spool(p->archive), s, 0, (struct interval){1, SEQ_COUNT_MAX}, NULL), 0);
    }
    commit(p);
}

static uint64_t held(struct place *p)
{
    return spool_held_records(archive_spool(p->archive));
}

/* Two groups: seqs 1 set, 2..11 blocks each second; 12 set, 13..22. Of another device 23, 24. */
static void plant(struct place *p)
{
    for (unsigned g = 0; g < 2; g++) {
        uint64_t set = put_set(p, "dev", g == 0 ? "fast" : "slow");

        for (int i = 0; i < 10; i++)
            put_block(p, "dev", set, T0 + i * S, S / 2);
    }
    put_block(p, "other", put_set(p, "other", "fast"), T0 + 5 * S, S / 2);
    commit(p);
}

static void a_range_goes_with_its_descriptors_and_nothing_else(void **state)
{
    struct place *p = *state;
    struct spool_stream *s;
    struct spool_record r;
    struct db_txn *txn;
    char out[128];

    plant(p);
    /* A block that began before the range reaches into it; one that begins at its end does not. */
    assert_int_equal(order(p, 7, "dev", T0 + 3 * S + S / 4, T0 + 6 * S, 0), 0);
    assert_true(drill_wants_round(p->drill));
    round_of(p, T0 + DAY);
    s = stream_of(p, "dev");
    assert_string_equal(interval_set_format(&s->lane[0].held, out, sizeof out), "1,5-7,12,16-18");
    assert_int_equal(stream_of(p, "other")->lane[0].held.n, 0);
    assert_int_equal(spool_read(archive_spool(p->archive), &txn), 0);
    assert_int_equal(spool_get(archive_spool(p->archive), s, 5, &r), 0);
    assert_true(r.flags == RECORD_FLAG_AGAIN && r.samples == 1 && r.tag[2] == 3 && r.payload.len > 1000);
    spool_read_done(archive_spool(p->archive));
    assert_false(drill_wants_round(p->drill)); /* not before it is archived */
    assert_int_equal(p->n_replies, 0);
    arrive(p);
    round_of(p, T0 + DAY);
    assert_int_equal(p->n_replies, 1);
    assert_true(p->ok && p->counter == 7);
    assert_non_null(strstr(p->text, "8 records given, 6 samples"));
    assert_false(drill_wants_round(p->drill));
    assert_int_equal(held(p), 0);
}

static void a_new_start_goes_on_where_it_was(void **state)
{
    struct place *p = *state;
    struct outbox_waiting w;

    plant(p);
    assert_int_equal(order(p, 1, "dev", INT64_MIN, INT64_MAX, 0), 0);
    assert_int_equal(order(p, 2, "other", T0, T0 + DAY, 0), 0);
    commit(p);
    close_it(p);
    open_it(p);
    round_of(p, T0 + DAY);
    assert_int_equal(held(p), 22);
    close_it(p);
    open_it(p);
    assert_int_equal(held(p), 22);
    assert_false(drill_wants_round(p->drill));
    outbox_waiting(p->outbox, &w);
    assert_int_equal(w.drill_records, 22); /* and not before the backlog */
    assert_int_equal(w.ordinary_records, 0);
    arrive(p);
    close_it(p);
    open_it(p);
    round_of(p, T0 + DAY);
    assert_int_equal(p->n_replies, 1);
    assert_int_equal(p->counter, 1);
    round_of(p, T0 + DAY);
    assert_int_equal(held(p), 2);
    arrive(p);
    round_of(p, T0 + DAY);
    assert_int_equal(p->n_replies, 2);
    assert_int_equal(p->counter, 2);
}

static void what_is_rolled_back_was_never_done(void **state)
{
    struct place *p = *state;
    struct drill_status s;

    plant(p);
    assert_int_equal(order(p, 1, "dev", INT64_MIN, INT64_MAX, 0), 0);
    commit(p);
    assert_int_equal(drill_round(p->drill, T0 + DAY), 0);
    assert_int_equal(spool_rollback(archive_spool(p->archive)), 0);
    assert_int_equal(history_reload(p->history), 0);
    assert_int_equal(outbox_reload(p->outbox, 0), 0);
    assert_int_equal(drill_reload(p->drill), 0);
    drill_status(p->drill, &s);
    assert_true(s.requests == 1 && s.records == 0 && s.bytes_today == 0);
    assert_int_equal(held(p), 0);
    round_of(p, T0 + DAY);
    assert_int_equal(held(p), 22);
}

static void a_day_has_a_budget(void **state)
{
    struct place *p = *state;
    struct drill_status s;

    plant(p);
    drill_limit(p->drill, 5000);
    assert_int_equal(order(p, 1, "dev", INT64_MIN, INT64_MAX, 0), 0);
    round_of(p, T0 + DAY);
    drill_status(p->drill, &s);
    assert_true(s.bytes_today > 4000 && s.bytes_today <= 5000);
    arrive(p);
    round_of(p, T0 + DAY);
    drill_status(p->drill, &s);
    assert_non_null(strstr(s.waits, "drill.bytes_per_day"));
    drill_tick(p->drill, T0 + DAY + S);
    assert_false(drill_wants_round(p->drill));
    close_it(p);
    open_it(p);
    drill_limit(p->drill, 5000);
    round_of(p, T0 + DAY);
    assert_int_equal(held(p), 0); /* a start does not begin a day */
    drill_tick(p->drill, T0 + 2 * DAY);
    assert_true(drill_wants_round(p->drill));
    round_of(p, T0 + 2 * DAY);
    assert_true(held(p) > 0);
}

static void the_most_that_was_asked_for_ends_it(void **state)
{
    struct place *p = *state;

    plant(p);
    assert_int_equal(order(p, 1, "dev", INT64_MIN, INT64_MAX, 3000), 0);
    round_of(p, T0 + DAY);
    assert_int_equal(held(p), 3);
    arrive(p);
    round_of(p, T0 + DAY);
    assert_int_equal(p->n_replies, 1);
    assert_non_null(strstr(p->text, "left out"));
}

static void what_waits_for_the_cloud_already_is_left_alone(void **state)
{
    struct place *p = *state;
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK, .payload = span_str("as it is")};

    plant(p);
    assert_int_equal(spool_put(archive_spool(p->archive), stream_of(p, "dev"), 3, &r), 0);
    commit(p);
    assert_int_equal(order(p, 1, "dev", T0 + S, T0 + 2 * S, 0), 0);
    round_of(p, T0 + DAY);
    arrive(p);
    round_of(p, T0 + DAY);
    assert_non_null(strstr(p->text, "1 more were on their way"));
}

static void a_full_store_gives_nothing_until_there_is_room(void **state)
{
    struct place *p = *state;
    static const uint8_t payload[20000];
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK,
                             .payload = span_of(payload, sizeof payload)};
    struct drill_status s;

    close_it(p);
    p->quota_bytes = 100000;
    open_it(p);
    plant(p);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(spool_put(archive_spool(p->archive), stream_of(p, "third"), i, &r), 0);
    commit(p);
    drill_tick(p->drill, T0);
    assert_int_equal(order(p, 1, "dev", INT64_MIN, INT64_MAX, 0), 0);
    commit(p);
    drill_tick(p->drill, T0);
    assert_false(drill_wants_round(p->drill));
    drill_status(p->drill, &s);
    assert_string_equal(s.waits, "room in the store");
    arrive(p);
    drill_tick(p->drill, T0);
    assert_true(drill_wants_round(p->drill));
    p->has_no_room = true; /* for the reply */
    for (int i = 0; i < 3; i++) {
        drill_tick(p->drill, T0);
        round_of(p, T0 + DAY);
        arrive(p);
    }
    assert_int_equal(p->n_replies, 0);
    p->has_no_room = false;
    drill_tick(p->drill, T0);
    round_of(p, T0 + DAY);
    assert_int_equal(p->n_replies, 1);
}

static void mistakes_are_answered(void **state)
{
    struct place *p = *state;
    struct command c = {.counter = 9, .argument = "dev yesterday"};

    plant(p);
    assert_int_equal(drill_take(p->drill, &c), 0);
    assert_true(p->n_replies == 1 && !p->ok && p->counter == 9);
    assert_int_equal(order(p, 10, "fog", INT64_MIN, INT64_MAX, 0), 0);
    assert_true(p->n_replies == 2 && !p->ok);
    assert_int_equal(order(p, 11, "nobody", INT64_MIN, INT64_MAX, 0), 0);
    round_of(p, T0);
    assert_true(p->n_replies == 3 && p->ok);
    assert_non_null(strstr(p->text, "nothing of it is here"));
    drill_limit(p->drill, 0);
    assert_int_equal(order(p, 12, "dev", INT64_MIN, INT64_MAX, 0), 0);
    assert_true(p->n_replies == 4 && !p->ok);
    assert_non_null(strstr(p->text, "drill.bytes_per_day"));
    p->has_no_room = true;
    assert_int_equal(order(p, 13, "dev", INT64_MIN, INT64_MAX, 0), DRILL_NO_ROOM);
    assert_int_equal(held(p), 0);
}

static void an_order_reads_back(void **state)
{
    struct drill_order d = {.device = "dev-1", .from_ns = INT64_MIN, .to_ns = INT64_MAX, .max_bytes = 5}, r;
    char text[COMMAND_ARGUMENT_CHARS];

    (void)state;
    drill_order_format(&d, text);
    assert_true(drill_order_parse(text, &r));
    assert_string_equal(r.device, "dev-1");
    assert_true(r.from_ns == INT64_MIN && r.to_ns == INT64_MAX && r.max_bytes == 5);
    for (size_t n = 0; n < strlen(text) - 1; n++) {
        char cut[COMMAND_ARGUMENT_CHARS];

        snprintf(cut, n + 1, "%s", text);
        assert_false(drill_order_parse(cut, &r));
    }
    assert_false(drill_order_parse("dev 5 5 0", &r));
    assert_false(drill_order_parse("dev 5 6 -1", &r));
    assert_false(drill_order_parse("d/v 5 6 0", &r));
    assert_false(drill_order_parse("dev 5 6 0 more", &r));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(a_range_goes_with_its_descriptors_and_nothing_else),
                                       TEST(a_new_start_goes_on_where_it_was),
                                       TEST(what_is_rolled_back_was_never_done),
                                       TEST(a_day_has_a_budget),
                                       TEST(the_most_that_was_asked_for_ends_it),
                                       TEST(what_waits_for_the_cloud_already_is_left_alone),
                                       TEST(a_full_store_gives_nothing_until_there_is_room),
                                       TEST(mistakes_are_answered),
                                       cmocka_unit_test(an_order_reads_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
