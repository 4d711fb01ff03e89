#include "golden.h"

#include <stdio.h>

static const char *golden_folder;

static int keep_row(void *ctx, const struct spool_account_row *row)
{
    *(struct spool_account_row *)ctx = *row;
    return 0;
}

static void golden_store_opens_and_holds_what_was_written(void **state)
{
    char dir[HELPER_PATH_BYTES], text[64];
    struct db_verify_result result;
    struct spool_account_row row = {0};
    struct errmsg err = {""};
    struct spool_options o;
    struct spool_stream *own, *s;
    struct db_txn *t;
    struct spool *sp;
    uint64_t seq, session = 0;
    int code;

    (void)state;
    helper_dir_make(dir);
    helper_copy_store(golden_folder, dir);
    o = golden_options(dir);
    assert_int_equal(db_verify(&o.db, 10, &result, &err), 0);
    sp = helper_open(&o);
    assert_false(spool_began_epoch(sp));
    own = spool_own(sp);
    assert_string_equal(interval_set_format(&own->lane[0].held, text, sizeof text), "4-12");
    assert_string_equal(interval_set_format(&own->lane[1].held, text, sizeof text), "1-2");
    assert_int_equal(own->lane[0].next, GOLDEN_ORDINARY + 1);
    assert_int_equal(spool_read(sp, &t), 0);
    for (seq = 4; seq <= GOLDEN_ORDINARY; seq++) {
        assert_true(helper_intact(sp, own, seq, &code));
        assert_int_equal(code, 0);
    }
    for (seq = 1; seq <= GOLDEN_URGENT; seq++) {
        assert_true(helper_intact(sp, own, UINT64_C(1) << 56 | seq, &code));
        assert_int_equal(code, 0);
    }
    s = spool_find(sp, GOLDEN_RELAYED_ORIGIN, &golden_relayed_epoch);
    assert_non_null(s);
    assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), "1-9,12");
    assert_true(helper_intact(sp, s, 12, &code));
    assert_int_equal(code, 0);
    spool_read_done(sp);
    assert_int_equal(spool_account_rows(sp), 1);
    assert_int_equal(spool_account_each(sp, keep_row, &row), 0);
    assert_ptr_equal(row.stream, own);
    assert_int_equal(row.reason, 2);
    assert_int_equal(row.range.to, 3);
    assert_int_equal(row.samples, 6);
    assert_true(id128_equal(&row.store, &golden_relayed_epoch));
    assert_int_equal(spool_fact_get_u64(sp, "session", &session), 0);
    assert_int_equal(session, GOLDEN_SESSION);
    helper_append(sp, 0, 5, 100); /* and goes on */
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    helper_dir_remove(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_store_opens_and_holds_what_was_written)};

    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    golden_folder = argv[1];
    return cmocka_run_group_tests_name("spool-golden", tests, NULL, NULL);
}
