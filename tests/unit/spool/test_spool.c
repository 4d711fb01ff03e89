#include "helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void own_records_are_there_after_reopen(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct spool_stream *own;
    struct db_txn *t;
    struct spool *sp;
    struct id128 epoch, store;
    int code;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    assert_true(spool_began_epoch(sp));
    epoch = spool_own(sp)->epoch;
    store = *spool_store_id(sp);
    helper_append(sp, 0, 100, 50);
    helper_append(sp, 1, 3, 4000);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    own = spool_own(sp);
    assert_false(spool_began_epoch(sp));
    assert_true(id128_equal(&epoch, &own->epoch));
    assert_true(id128_equal(&store, spool_store_id(sp)));
    assert_string_equal(own->origin, "dev-1");
    assert_true(own->own);
    assert_int_equal(own->lane[0].next, 101);
    assert_true(spool_next_seq(sp, 1) == (UINT64_C(1) << 56 | 4));
    assert_true(interval_set_covers(&own->lane[0].held, 1, 100));
    assert_int_equal(interval_set_count(&own->lane[1].held), 3);
    assert_int_equal(own->lane[0].held_samples, 450);
    assert_int_equal(own->lane[0].produced_samples, 450);
    assert_int_equal(own->lane[0].held_bytes, 100 * (50 + 64));
    assert_int_equal(spool_held_records(sp), 103);
    assert_int_equal(spool_read(sp, &t), 0);
    assert_true(helper_intact(sp, own, 77, &code));
    assert_int_equal(code, 0);
    assert_true(helper_intact(sp, own, UINT64_C(1) << 56 | 2, &code));
    assert_int_equal(code, 0);
    assert_true(helper_intact(sp, own, 101, &code));
    assert_int_equal(code, DB_NOT_FOUND);
    spool_read_done(sp);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void removed_records_are_gone_after_reopen(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_gone gone = {0};
    struct spool_options o;
    struct spool *sp;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    helper_append(sp, 0, 100, 50);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){40, 50}, &gone), 0);
    assert_int_equal(gone.n_records, 11);
    /* A range far longer than what is held costs what is held. */
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){1, UINT64_C(1) << 50}, &gone), 0);
    assert_int_equal(gone.n_records, 100);
    assert_int_equal(gone.n_samples, 450);
    assert_int_equal(gone.n_bytes, 100 * 114);
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){1, 100}, &gone), 0);
    assert_int_equal(gone.n_records, 100);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    assert_int_equal(spool_held_records(sp), 0);
    assert_int_equal(spool_held_bytes(sp), 0);
    assert_int_equal(spool_own(sp)->lane[0].held.n, 0);
    assert_int_equal(spool_own(sp)->lane[0].next, 101);
    assert_int_equal(spool_own(sp)->lane[0].produced_samples, 450);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void rollback_refills_the_same_objects(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_stream *own, *kept, *made, *again;
    struct id128 a = id128_random(), b = id128_random();
    struct spool_options o;
    struct spool *sp;
    int tag;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    own = spool_own(sp);
    own->lower_state = &tag;
    assert_int_equal(spool_stream_make(sp, "dev-2", &a, &kept), 0);
    assert_int_equal(spool_seen_add(sp, kept, 0, (struct interval){1, 5}), 0);
    helper_append(sp, 0, 10, 50);
    assert_int_equal(spool_commit(sp), 0);
    helper_append(sp, 0, 10, 50);
    assert_int_equal(spool_seen_add(sp, kept, 0, (struct interval){6, 9}), 0);
    assert_int_equal(spool_stream_make(sp, "dev-3", &b, &made), 0);
    assert_int_equal(spool_remove(sp, own, 0, (struct interval){1, 5}, NULL), 0);
    assert_int_equal(spool_rollback(sp), 0);
    assert_false(spool_txn_open(sp));
    assert_ptr_equal(spool_own(sp), own);
    assert_ptr_equal(own->lower_state, &tag);
    assert_int_equal(own->lane[0].next, 11);
    assert_int_equal(interval_set_count(&own->lane[0].held), 10);
    assert_ptr_equal(spool_find(sp, "dev-2", &a), kept);
    assert_int_equal(interval_set_count(&kept->lane[0].seen), 5);
    assert_null(spool_find(sp, "dev-3", &b));
    assert_int_equal(spool_n_streams(sp), 2);
    assert_int_equal(spool_stream_make(sp, "dev-3", &b, &again), 0);
    assert_ptr_equal(again, made);
    /* A stream whose forgetting is rolled back is the same object too. */
    assert_int_equal(spool_stream_forget(sp, kept), 0);
    assert_null(spool_find(sp, "dev-2", &a));
    assert_int_equal(spool_rollback(sp), 0);
    assert_ptr_equal(spool_find(sp, "dev-2", &a), kept);
    assert_int_equal(interval_set_count(&kept->lane[0].seen), 5);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void seen_rows_merge_and_survive_reopen(void **state)
{
    char dir[HELPER_PATH_BYTES], text[64];
    struct db_stat_table tables[SPOOL_TABLES];
    struct id128 epoch = id128_random();
    struct spool_options o;
    struct spool_stream *s;
    struct spool *sp;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    assert_int_equal(spool_stream_make(sp, "dev-2", &epoch, &s), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){1, 3}), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){5, 5}), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){7, 9}), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){20, 22}), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){4, 8}), 0);
    assert_int_equal(spool_seen_add(sp, s, 1, (struct interval){2, 2}), 0);
    assert_int_equal(spool_seen_add(sp, s, 1, (struct interval){1, 1}), 0);
    assert_int_equal(spool_seen_add(sp, spool_own(sp), 0, (struct interval){1, 1}), -EINVAL);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(db_stat(spool_db(sp), tables, SPOOL_TABLES), SPOOL_TABLES);
    assert_int_equal(tables[SPOOL_TABLE_SEEN].entries, 3);
    spool_close(sp);
    sp = helper_open(&o);
    s = spool_find(sp, "dev-2", &epoch);
    assert_non_null(s);
    assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), "1-9,20-22");
    assert_string_equal(interval_set_format(&s->lane[1].seen, text, sizeof text), "1-2");
    assert_int_equal(spool_stream_forget(sp, s), 0);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(db_stat(spool_db(sp), tables, SPOOL_TABLES), SPOOL_TABLES);
    assert_int_equal(tables[SPOOL_TABLE_SEEN].entries, 0);
    assert_int_equal(tables[SPOOL_TABLE_STREAMS].entries, 1);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void stream_in_use_is_not_forgotten(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct id128 epoch = id128_random();
    struct spool_account_row row;
    struct spool_options o;
    struct spool_record r = helper_record(3, 20);
    struct spool_stream *s;
    struct spool *sp;
    size_t n;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    assert_int_equal(spool_stream_make(sp, "dev-2", &epoch, &s), 0);
    assert_int_equal(spool_put(sp, s, 3, &r), 0);
    assert_int_equal(spool_put(sp, s, 3, &r), 0);
    assert_int_equal(spool_held_records(sp), 1);
    assert_int_equal(spool_stream_forget(sp, s), -EBUSY);
    assert_int_equal(spool_stream_forget(sp, spool_own(sp)), -EBUSY);
    assert_int_equal(spool_remove(sp, s, 0, (struct interval){3, 3}, NULL), 0);
    row = (struct spool_account_row){.stream = s, .reason = 4, .range = {3, 3}, .samples = 1};
    assert_int_equal(spool_account_add(sp, &row), 0);
    assert_int_equal(spool_stream_forget(sp, s), -EBUSY);
    assert_int_equal(spool_account_take(sp, &row, 1, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(spool_stream_forget(sp, s), 0);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_n_streams(sp), 1);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void quota_refuses_readings_and_lets_ledger_records_in(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct spool_record r = helper_record(1, 1000), ledger = helper_record(1, 1000);
    struct spool *sp;
    uint64_t seq, n = 0;
    int rc;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    o.quota_bytes = 100 * 1064;
    sp = helper_open(&o);
    while ((rc = spool_append(sp, 0, &r, &seq)) == 0)
        n++;
    assert_int_equal(rc, SPOOL_FULL);
    assert_int_equal(n, 100);
    assert_int_equal(spool_append(sp, 1, &r, &seq), SPOOL_FULL);
    ledger.kind = SPOOL_KIND_LEDGER;
    assert_int_equal(spool_append(sp, 1, &ledger, &seq), 0);
    assert_int_equal(spool_append(sp, 0, &ledger, &seq), SPOOL_FULL);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_quota_bytes(sp), 100 * 1064);
    assert_int_equal(spool_own(sp)->lane[0].next, 101);
    spool_close(sp);
    helper_dir_remove(dir);
}

static int evict_and_append(struct spool *sp, size_t len, unsigned *n_evicted)
{
    uint64_t seq = spool_next_seq(sp, 0), got;
    struct spool_record r = helper_record(seq, len);

    while (spool_held_bytes(sp) + spool_charge_bytes(len) > spool_quota_bytes(sp)) {
        uint64_t first = spool_own(sp)->lane[0].held.at[0].from;

        assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){first, first}, NULL), 0);
        (*n_evicted)++;
    }
    return spool_append(sp, 0, &r, &got);
}

/* At its quota for a long time: evict and append in the same commit, in sizes that leave the free pages in
 * crumbs. The map may get in the way a few times, then the same batch fits. */
static void full_store_goes_on_by_evicting(void **state)
{
    static const size_t sizes[] = {0, 90, 700, 1970, 2100, 5000, 9000};
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct spool *sp;
    unsigned round = 0, i, n_evicted = 0, n_full = 0;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    while (round < 3000 && n_full < 8) {
        int r = 0;

        for (i = 0; i < 4 && r == 0; i++)
            r = evict_and_append(sp, sizes[(round / 40 + i * (round % 3)) % 7], &n_evicted);
        assert_true(r == 0 || r == SPOOL_FULL);
        r = spool_commit(sp);
        round++;
        if (r == 0)
            continue;
        /* What lets go has to be committed by itself: pages freed in a transaction serve the ones after it.
         */
        assert_int_equal(r, DB_FULL);
        n_full++;
        while (spool_held_bytes(sp) > spool_quota_bytes(sp)) {
            uint64_t first = spool_own(sp)->lane[0].held.at[0].from;

            assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){first, first}, NULL), 0);
        }
        assert_int_equal(spool_commit(sp), 0);
    }
    assert_true(n_full < 8);
    assert_true(n_evicted > 5000);
    assert_true(spool_held_bytes(sp) > HELPER_MAP_BYTES / 3);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void transaction_too_big_for_the_map_leaves_the_state_before(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct db_txn *t;
    struct spool *sp;
    unsigned i;
    int r = 0;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    helper_append(sp, 0, 10, 50);
    assert_int_equal(spool_commit(sp), 0);
    helper_append(sp, 0, 10, 50);
    assert_int_equal(spool_txn(sp, &t), 0);
    for (i = 0; i < 1000 && r == 0; i++) {
        char name[16];

        snprintf(name, sizeof name, "x%u", i);
        r = db_put(t, SPOOL_TABLE_META, span_str(name), helper_payload(i, 60000));
    }
    assert_int_equal(r, DB_FULL);
    assert_int_equal(spool_commit(sp), DB_FULL);
    assert_false(spool_txn_open(sp));
    assert_int_equal(spool_held_records(sp), 10);
    assert_int_equal(spool_own(sp)->lane[0].next, 11);
    helper_append(sp, 0, 10, 50);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_held_records(sp), 20);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void facts_are_read_in_the_transaction_that_writes_them(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct buf b = {0};
    struct spool *sp;
    uint64_t v = 0;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    assert_int_equal(spool_fact_get(sp, "peer", &b), DB_NOT_FOUND);
    assert_int_equal(spool_fact_put(sp, "peer", span_str("abc")), 0);
    assert_int_equal(spool_fact_put_u64(sp, "session", 9), 0);
    assert_int_equal(spool_fact_get(sp, "peer", &b), 0);
    assert_true(span_equal(span_of(b.data, b.len), span_str("abc")));
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    assert_int_equal(spool_fact_get_u64(sp, "session", &v), 0);
    assert_int_equal(v, 9);
    assert_int_equal(spool_fact_put(sp, "", span_str("abc")), -EINVAL);
    spool_close(sp);
    buf_deinit(&b);
    helper_dir_remove(dir);
}

static int note_fact(void *ctx, const char *name, struct span value)
{
    struct buf *said = ctx;

    buf_printf(said, "%s=%.*s;", name, (int)value.len, (const char *)value.data);
    return strcmp(name, "rule/stop") == 0 ? 7 : 0;
}

static void facts_of_a_prefix_are_told_in_order_and_can_be_deleted(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct buf said = {0};
    struct spool *sp;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    assert_int_equal(spool_facts_each(sp, "rule/", note_fact, &said), 0);
    assert_int_equal(said.len, 0);
    assert_int_equal(spool_fact_put(sp, "rule/b", span_str("2")), 0);
    assert_int_equal(spool_fact_put(sp, "rule/a", span_str("1")), 0);
    assert_int_equal(spool_fact_put(sp, "rulf", span_str("no")), 0);
    assert_int_equal(spool_fact_put(sp, "rule", span_str("no")), 0);
    assert_int_equal(spool_facts_each(sp, "rule/", note_fact, &said), 0);
    assert_true(span_equal(span_of(said.data, said.len), span_str("rule/a=1;rule/b=2;")));
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_fact_delete(sp, "rule/a"), 0);
    assert_int_equal(spool_fact_delete(sp, "rule/a"), 0);
    assert_int_equal(spool_fact_delete(sp, "rule/never"), 0);
    assert_int_equal(spool_fact_put(sp, "rule/stop", span_str("3")), 0);
    assert_int_equal(spool_fact_put(sp, "rule/t", span_str("4")), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    buf_reset(&said);
    assert_int_equal(spool_facts_each(sp, "rule/", note_fact, &said), 7);
    assert_true(span_equal(span_of(said.data, said.len), span_str("rule/b=2;rule/stop=3;")));
    spool_close(sp);
    buf_deinit(&said);
    helper_dir_remove(dir);
}

static void store_of_another_node_is_refused(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct errmsg err = {""};
    struct spool_options o;
    struct spool *sp = NULL;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    spool_close(helper_open(&o));
    o.node = "dev-9";
    assert_int_equal(spool_open(&sp, &o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "belongs to node dev-1"));
    helper_dir_remove(dir);
}

static void thousands_of_streams_are_found_and_forgotten(void **state)
{
    enum { N = 3000 };
    char dir[HELPER_PATH_BYTES];
    struct spool_options o;
    struct spool_stream *s;
    struct id128 epoch = {{7}};
    struct spool *sp;
    unsigned i;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    o.db.map_bytes = 4 << 20;
    sp = helper_open(&o);
    for (i = 0; i < N; i++) {
        char name[SPOOL_NAME_BYTES];

        snprintf(name, sizeof name, "dev-%u", 100 + i);
        assert_int_equal(spool_stream_make(sp, name, &epoch, &s), 0);
        assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){1, i + 1}), 0);
    }
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    assert_int_equal(spool_n_streams(sp), N + 1);
    for (i = 0; i < N; i++) {
        char name[SPOOL_NAME_BYTES];

        snprintf(name, sizeof name, "dev-%u", 100 + i);
        s = spool_find(sp, name, &epoch);
        assert_non_null(s);
        assert_true(s->lane[0].seen.at[0].to == i + 1);
        if (i % 3 != 0)
            assert_int_equal(spool_stream_forget(sp, s), 0);
        if (i % 500 == 0)
            assert_int_equal(spool_commit(sp), 0);
    }
    assert_int_equal(spool_commit(sp), 0);
    for (i = 0; i < N; i++) {
        char name[SPOOL_NAME_BYTES];

        snprintf(name, sizeof name, "dev-%u", 100 + i);
        assert_int_equal(spool_find(sp, name, &epoch) != NULL, i % 3 == 0);
    }
    spool_close(sp);
    helper_dir_remove(dir);
}

/* Whoever keeps records longer than the spool knows their streams by number. */
static void no_number_comes_twice(void **state)
{
    struct id128 a = id128_random(), b = id128_random(), c = id128_random();
    char dir[HELPER_PATH_BYTES];
    struct spool_stream *first, *last, *s;
    struct spool_options o;
    struct spool *sp;
    uint32_t no;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    assert_int_equal(spool_stream_make(sp, "dev-2", &a, &first), 0);
    assert_int_equal(spool_stream_make(sp, "dev-2", &b, &last), 0);
    no = last->no;
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_stream_forget(sp, last), 0);
    assert_int_equal(spool_stream_forget(sp, first), 0); /* now the last one, too, with a lower number */
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_stream_make(sp, "dev-2", &c, &s), 0);
    assert_true(s->no > no);
    spool_close(sp);
    helper_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_records_are_there_after_reopen),
        cmocka_unit_test(removed_records_are_gone_after_reopen),
        cmocka_unit_test(rollback_refills_the_same_objects),
        cmocka_unit_test(seen_rows_merge_and_survive_reopen),
        cmocka_unit_test(stream_in_use_is_not_forgotten),
        cmocka_unit_test(no_number_comes_twice),
        cmocka_unit_test(quota_refuses_readings_and_lets_ledger_records_in),
        cmocka_unit_test(full_store_goes_on_by_evicting),
        cmocka_unit_test(transaction_too_big_for_the_map_leaves_the_state_before),
        cmocka_unit_test(facts_are_read_in_the_transaction_that_writes_them),
        cmocka_unit_test(facts_of_a_prefix_are_told_in_order_and_can_be_deleted),
        cmocka_unit_test(store_of_another_node_is_refused),
        cmocka_unit_test(thousands_of_streams_are_found_and_forgotten),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
