#include "fixture.h"

#include "cloud/marks.h"
#include "cloud/view_ledger.h"
#include "hop/inbox.h"

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

struct cover {
    unsigned about; /* device spoken of */
    uint64_t from, to, samples, needs;
    Fogline__V1__Reason reason;
};

/* A ledger record by `device` with one cover. */
static void put_ledger(struct fixture *f, unsigned device, const struct cover *c)
{
    Fogline__V1__Ledger ledger = FOGLINE__V1__LEDGER__INIT;
    Fogline__V1__Cover cover = FOGLINE__V1__COVER__INIT, *covers[1] = {&cover};
    struct fixture_record r = {.lane = LANE_URGENT, .kind = FOGLINE__V1__KIND__KIND_LEDGER};
    uint64_t bounds[2] = {c->from, c->to}, needs[1] = {c->needs};

    ledger.format = WIRE_FORMAT;
    ledger.covers = covers;
    ledger.n_covers = 1;
    cover.origin = c->about == device ? (char *)"" : f->device[c->about].name;
    cover.epoch = wire_bytes(span_of(f->device[c->about].epoch.bytes, ID128_BYTES));
    cover.bounds = bounds;
    cover.n_bounds = 2;
    cover.reason = c->reason;
    cover.samples = c->samples;
    cover.needs = needs;
    cover.n_needs = c->needs != 0;
    buf_reset(&f->payload);
    wire_pack(&f->payload, &ledger.base);
    r.payload = span_of(f->payload.data, f->payload.len);
    assert_int_equal(fixture_put(f, device, &r, NULL), 0);
}

static const struct interval_set *explained(struct fixture *f, unsigned device, unsigned lane)
{
    return account_explained(intake_account(f->intake), fixture_stream(f, device), lane);
}

/* Seven values made, the third and fourth never came. */
static void put_with_hole(struct fixture *f)
{
    fixture_put_descriptor(f, 0, "Cel");
    for (int i = 2; i <= 7; i++)
        if (i != 3 && i != 4)
            assert_int_equal(fixture_put_value(f, 0, i, i), 0);
        else
            f->device[0].next[0]++;
}

static int keep_lane(void *ctx, const struct view_lane_balance *l)
{
    struct ledger_count *c = ctx;

    if (l->lane == 0)
        c[0] = l->balance->records;
    else
        c[1] = l->balance->records;
    return 0;
}

static struct ledger_balance balance_of(struct fixture *f, unsigned device, struct ledger_count lanes[2])
{
    struct view *v = fixture_view(f);
    struct ledger_balance sum = {0};

    assert_int_equal(view_balance(v, view_find_device(v, f->device[device].name), keep_lane, lanes, &sum), 0);
    fixture_close(f);
    fixture_open(f);
    return sum;
}

static void hole_is_unexplained_until_the_ledger_covers_it(void **state)
{
    struct fixture *f = *state;
    struct ledger_count lanes[2];
    struct ledger_balance sum;

    put_with_hole(f);
    fixture_report(f, 0, 0, 6, NULL);
    fixture_commit(f);
    sum = balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].produced, 7);
    assert_int_equal(lanes[0].archived, 5);
    assert_int_equal(lanes[0].unexplained, 2);
    assert_int_equal(sum.samples.unexplained, 2);

    put_ledger(
        f, 0,
        &(struct cover){.from = 3, .to = 4, .samples = 2, .reason = FOGLINE__V1__REASON__REASON_EVICTED});
    fixture_commit(f);
    assert_true(interval_set_covers(explained(f, 0, 0), 3, 4));
    sum = balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].by_reason[FOGLINE__V1__REASON__REASON_EVICTED], 2);
    assert_int_equal(sum.records.unexplained, 0);
    assert_int_equal(sum.samples.unexplained, 0);
    assert_int_equal(sum.samples.explained, 2);
    assert_true(interval_set_covers(explained(f, 0, 0), 3, 4)); /* after reopening too */
}

static void record_that_turns_up_after_all_is_archived(void **state)
{
    struct fixture *f = *state;
    struct ledger_count lanes[2];
    struct fixture_record r = {
        .kind = FOGLINE__V1__KIND__KIND_EVENT, .payload = span_str("late"), .count = 3};

    put_with_hole(f);
    put_ledger(
        f, 0,
        &(struct cover){.from = 3, .to = 4, .samples = 2, .reason = FOGLINE__V1__REASON__REASON_EVICTED});
    fixture_report(f, 0, 0, 6, NULL);
    fixture_commit(f);
    assert_int_equal(fixture_put(f, 0, &r, NULL), 0);
    fixture_commit(f);
    balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].archived, 6);
    assert_int_equal(lanes[0].explained, 1);
    assert_int_equal(lanes[0].unexplained, 0);
}

/* What the device is told: with this mark it lets go of the record. */
static bool mark_lets_go(struct fixture *f, unsigned stream, uint64_t count)
{
    struct spool_stream *s = fixture_stream(f, stream);
    Fogline__V1__Mark *marks[8];
    struct wire_arena *a;
    bool lets_go = false;
    size_t n;

    assert_int_equal(wire_arena_new(&a, 1 << 20), 0);
    n = intake_marks(f->intake, a, s, LANE_ORDINARY, (struct interval){1, 100}, marks, 8);
    assert_true(n > 0); /* there is something archived in the range */
    for (size_t i = 0; i < n; i++) {
        struct interval_set settled = {0};
        Fogline__V1__MarkBody *body;

        assert_int_equal(wire_mark_body_unpack(a, wire_span(marks[i]->body), &body), 0);
        assert_int_equal(wire_bounds_add_to(&settled, body->archived, body->n_archived), 0);
        assert_int_equal(wire_bounds_add_to(&settled, body->explained, body->n_explained), 0);
        lets_go |= interval_set_has(&settled, count);
        interval_set_deinit(&settled);
    }
    wire_arena_free(a);
    return lets_go;
}

static void cover_waits_for_what_it_needs(void **state)
{
    struct fixture *f = *state;
    struct ledger_count lanes[2];
    uint64_t needed = 2; /* the carrier's second record */

    put_with_hole(f);
    fixture_report(f, 0, 0, 6, NULL);
    f->reduce[0] = "north";
    fixture_put_descriptor(f, 1, "Cel");
    put_ledger(f, 1,
               &(struct cover){.about = 0,
                               .from = 3,
                               .to = 4,
                               .samples = 2,
                               .needs = needed,
                               .reason = FOGLINE__V1__REASON__REASON_MERGED});
    fixture_commit(f);
    assert_false(interval_set_has(explained(f, 0, 0), 3));
    assert_false(mark_lets_go(f, 0, 3));
    balance_of(f, 0, lanes); /* opens anew: it still waits */
    assert_false(mark_lets_go(f, 0, 3));
    assert_int_equal(lanes[0].unexplained, 2);
    assert_int_equal(fixture_put_value(f, 1, 50, 1), 0);
    fixture_commit(f);
    assert_true(interval_set_covers(explained(f, 0, 0), 3, 4));
    assert_true(mark_lets_go(f, 0, 3));
    balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].by_reason[FOGLINE__V1__REASON__REASON_MERGED], 2);
}

static void others_may_reduce_only_where_the_policy_says_so(void **state)
{
    struct fixture *f = *state;

    fixture_put_descriptor(f, 2, "Cel");
    put_ledger(
        f, 0,
        &(struct cover){.about = 2, .from = 1, .to = 9, .reason = FOGLINE__V1__REASON__REASON_FILTERED});
    fixture_commit(f);
    assert_false(interval_set_has(explained(f, 2, 0), 5));
    assert_int_equal(account_counters(intake_account(f->intake))[ACCOUNT_COVERS_REFUSED], 1);
    put_ledger(
        f, 2, &(struct cover){.about = 2, .from = 1, .to = 9, .reason = FOGLINE__V1__REASON__REASON_CORRUPT});
    fixture_commit(f);
    assert_true(interval_set_covers(explained(f, 2, 0), 1, 9));
}

static void older_report_does_not_replace_a_newer_one(void **state)
{
    struct fixture *f = *state;
    struct interval_set held = {0};
    struct ledger_count lanes[2];

    put_with_hole(f);
    fixture_report(f, 0, 0, 6, NULL);
    assert_int_equal(interval_set_add(&held, 1, 4), 0);
    fixture_report(f, 0, 0, 6, &held);
    fixture_commit(f);
    assert_int_equal(account_counters(intake_account(f->intake))[ACCOUNT_REPORTS_STALE], 1);
    balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].held, 0);
    assert_int_equal(lanes[0].unexplained, 2);
    interval_set_deinit(&held);
}

static void held_records_are_held_and_not_missing(void **state)
{
    struct fixture *f = *state;
    struct interval_set held = {0};
    struct ledger_balance sum;
    struct ledger_count lanes[2];

    put_with_hole(f);
    assert_int_equal(interval_set_add(&held, 2, 4), 0);
    fixture_report(f, 0, 0, 6, &held);
    fixture_commit(f);
    sum = balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].held, 2);
    assert_int_equal(sum.samples.held, 2);
    assert_int_equal(sum.records.unexplained, 0);
    interval_set_deinit(&held);
}

static void epoch_its_owner_lists_no_more_is_lost_with_the_spool(void **state)
{
    struct fixture *f = *state;
    Fogline__V1__Hello hello = FOGLINE__V1__HELLO__INIT;
    struct interval_set held = {0};
    struct ledger_balance sum;
    struct ledger_count lanes[2];

    put_with_hole(f);
    assert_int_equal(interval_set_add(&held, 3, 4), 0);
    fixture_report(f, 0, 0, 6, &held);
    fixture_commit(f);
    intake_hello(f->intake, "pump-0", &hello);
    fixture_commit(f);
    sum = balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].by_reason[FOGLINE__V1__REASON__REASON_LOST_SPOOL], 2);
    assert_int_equal(sum.records.unexplained, 0);
    assert_int_equal(sum.samples.by_reason[FOGLINE__V1__REASON__REASON_LOST_SPOOL], 2);
    fixture_report(f, 0, 0, 6, &held); /* it is back: held, not lost */
    fixture_commit(f);
    balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].held, 2);
    interval_set_deinit(&held);
}

enum { LOST_ARCHIVE = FOGLINE__V1__REASON__REASON_LOST_ARCHIVE };

/* The operator says that the archive is another one, as at a start. */
static void renew_archive(struct fixture *f)
{
    struct id128 id = id128_random();

    assert_int_equal(archive_renew_id(f->archive, &id), 0);
    fixture_close(f);
    fixture_open(f);
    assert_true(archive_life(f->archive) != 0);
}

static void hello_knowing(struct fixture *f, const struct id128 *archive)
{
    Fogline__V1__Hello hello = FOGLINE__V1__HELLO__INIT;
    Fogline__V1__EpochReport e = FOGLINE__V1__EPOCH_REPORT__INIT, *epochs[1] = {&e};

    e.epoch = wire_bytes(span_of(f->device[0].epoch.bytes, ID128_BYTES));
    hello.epochs = epochs;
    hello.n_epochs = 1;
    hello.archive_id = wire_bytes(span_of(archive->bytes, ID128_BYTES));
    intake_hello(f->intake, "pump-0", &hello);
}

static void report_after(struct fixture *f, int64_t seconds, uint64_t samples, struct ledger_count lanes[2])
{
    f->fake.wall_unix_ns += seconds * NS_PER_S;
    fixture_report(f, 0, 0, samples, NULL);
    fixture_commit(f);
    balance_of(f, 0, lanes);
}

static void what_was_let_go_on_the_former_archives_word_is_lost_with_it(void **state)
{
    struct fixture *f = *state;
    struct ledger_count lanes[2];
    struct ledger_balance sum;
    struct id128 former = *archive_id(f->archive);

    put_with_hole(f);
    fixture_report(f, 0, 0, 6, NULL);
    fixture_commit(f);
    renew_archive(f);
    balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].unexplained, 2); /* its owner has not spoken since */
    hello_knowing(f, &former);
    report_after(f, 0, 6, lanes);
    assert_int_equal(lanes[0].by_reason[LOST_ARCHIVE], 2);
    f->device[0].next[0]++;
    hello_knowing(f, &former);
    report_after(f, 300, 7, lanes); /* it still lets go on the former's word */
    assert_int_equal(lanes[0].by_reason[LOST_ARCHIVE], 3);
    f->device[0].next[0]++;
    hello_knowing(f, archive_id(f->archive));
    report_after(f, 20, 8, lanes); /* a relay may speak of what was then */
    assert_int_equal(lanes[0].by_reason[LOST_ARCHIVE], 4);
    f->device[0].next[0]++;
    hello_knowing(f, archive_id(f->archive));
    report_after(f, 60, 9, lanes);
    assert_int_equal(lanes[0].by_reason[LOST_ARCHIVE], 4);
    assert_int_equal(lanes[0].unexplained, 1); /* this archive answers for it */
    renew_archive(f);
    hello_knowing(f, archive_id(f->archive));
    fixture_report(f, 0, 0, 9, NULL);
    fixture_commit(f);
    sum = balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].by_reason[LOST_ARCHIVE], 5);
    assert_int_equal(sum.records.unexplained, 0);
    assert_int_equal(sum.samples.unexplained, 0);
    assert_int_equal(sum.samples.by_reason[LOST_ARCHIVE], sum.samples.produced - sum.samples.archived);
}

static void epoch_over_before_the_archive_was_put_back_is_lost_with_it(void **state)
{
    struct fixture *f = *state;
    Fogline__V1__Hello hello = FOGLINE__V1__HELLO__INIT;
    struct ledger_count lanes[2];

    put_with_hole(f);
    fixture_report(f, 0, 0, 6, NULL);
    fixture_commit(f);
    renew_archive(f);
    intake_hello(f->intake, "pump-0", &hello);
    fixture_commit(f);
    balance_of(f, 0, lanes);
    assert_int_equal(lanes[0].by_reason[LOST_ARCHIVE], 2);
    assert_int_equal(lanes[0].by_reason[FOGLINE__V1__REASON__REASON_LOST_SPOOL], 0);
}

static void mark_says_what_is_archived_and_explained_to_its_origin_only(void **state)
{
    struct fixture *f = *state;
    struct wire_arena *a;
    Fogline__V1__Mark *marks[8];
    Fogline__V1__MarkBody *body;
    struct buf head = {0};
    struct id128 id;

    put_with_hole(f);
    put_ledger(f, 0, &(struct cover){.from = 3, .to = 3, .reason = FOGLINE__V1__REASON__REASON_EVICTED});
    fixture_commit(f);
    assert_int_equal(wire_arena_new(&a, 1 << 20), 0);
    assert_int_equal(intake_marks(f->intake, a, fixture_stream(f, 0), 0, (struct interval){2, 9}, marks, 8),
                     1);
    wire_mark_head(&head);
    assert_true(end_mac_ok(f->device[0].end.mark, span_of(head.data, head.len), wire_span(marks[0]->body),
                           wire_span(marks[0]->mac)));
    assert_false(end_mac_ok(f->device[1].end.mark, span_of(head.data, head.len), wire_span(marks[0]->body),
                            wire_span(marks[0]->mac)));
    assert_int_equal(wire_mark_body_unpack(a, wire_span(marks[0]->body), &body), 0);
    assert_true(wire_id128(body->archive_id, &id) && id128_equal(&id, archive_id(f->archive)));
    assert_int_equal(body->n_archived, 4);
    assert_int_equal(body->archived[0], 2);
    assert_int_equal(body->archived[1], 2);
    assert_int_equal(body->archived[2], 5);
    assert_int_equal(body->archived[3], 7);
    assert_int_equal(body->n_explained, 2);
    assert_int_equal(body->explained[0], 3);
    assert_int_equal(
        intake_marks(f->intake, a, fixture_stream(f, 0), 0, (struct interval){100, 200}, marks, 8), 0);
    buf_deinit(&head);
    wire_arena_free(a);
}

static void many_intervals_need_many_marks_and_lose_none(void **state)
{
    struct interval_set archived = {0}, explained = {0}, told = {0};
    struct id128 id = {{1}};
    uint8_t key[KEY_BYTES] = {2};
    struct marks_subject m = {.archive_id = &id,
                              .epoch = &id,
                              .origin = "pump-0",
                              .archived = &archived,
                              .explained = &explained,
                              .mark_key = key};
    Fogline__V1__Mark *marks[64];
    struct wire_arena *a;
    size_t n;

    (void)state;
    for (uint64_t x = 1; x <= 300; x += 3) {
        assert_int_equal(interval_set_add(&archived, x, x), 0);
        if (x < 150)
            assert_int_equal(interval_set_add(&explained, x + 1, x + 1), 0);
    }
    assert_int_equal(wire_arena_new(&a, 1 << 20), 0);
    n = marks_make(&m, (struct interval){1, 1000}, a, marks, 64);
    assert_in_range(n, 2, 8);
    for (size_t i = 0; i < n; i++) {
        Fogline__V1__MarkBody *body;

        assert_int_equal(wire_mark_body_unpack(a, wire_span(marks[i]->body), &body), 0);
        assert_int_equal(wire_bounds_add_to(&told, body->archived, body->n_archived), 0);
        assert_int_equal(wire_bounds_add_to(&told, body->explained, body->n_explained), 0);
    }
    assert_int_equal(interval_set_unite(&archived, &explained), 0);
    assert_true(interval_set_equal(&told, &archived));
    interval_set_deinit(&archived);
    interval_set_deinit(&explained);
    interval_set_deinit(&told);
    wire_arena_free(a);
}

static void peers_carry_their_own_and_fogs_their_site(void **state)
{
    struct fixture *f = *state;

    snprintf(f->nodes[1].role, sizeof f->nodes[1].role, "fog");
    assert_int_equal(intake_set_nodes(f->intake, f->nodes, FIXTURE_DEVICES), 0);
    assert_true(intake_may_carry(f->intake, "pump-0", "pump-0"));
    assert_true(intake_may_carry(f->intake, "pump-1", "pump-0"));
    assert_false(intake_may_carry(f->intake, "pump-0", "pump-1"));
    assert_false(intake_may_carry(f->intake, "pump-1", "fan-2"));
    assert_false(intake_may_carry(f->intake, "pump-1", "nobody"));
    f->nodes[1].revoked = true;
    assert_int_equal(intake_set_nodes(f->intake, f->nodes, FIXTURE_DEVICES), 0);
    assert_false(intake_may_carry(f->intake, "pump-1", "pump-0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hole_is_unexplained_until_the_ledger_covers_it, setup, teardown),
        cmocka_unit_test_setup_teardown(record_that_turns_up_after_all_is_archived, setup, teardown),
        cmocka_unit_test_setup_teardown(cover_waits_for_what_it_needs, setup, teardown),
        cmocka_unit_test_setup_teardown(others_may_reduce_only_where_the_policy_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(older_report_does_not_replace_a_newer_one, setup, teardown),
        cmocka_unit_test_setup_teardown(held_records_are_held_and_not_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(epoch_its_owner_lists_no_more_is_lost_with_the_spool, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_let_go_on_the_former_archives_word_is_lost_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(epoch_over_before_the_archive_was_put_back_is_lost_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mark_says_what_is_archived_and_explained_to_its_origin_only, setup,
                                        teardown),
        cmocka_unit_test(many_intervals_need_many_marks_and_lose_none),
        cmocka_unit_test_setup_teardown(peers_carry_their_own_and_fogs_their_site, setup, teardown),
    };

    return cmocka_run_group_tests_name("cloud_account", tests, NULL, NULL);
}
