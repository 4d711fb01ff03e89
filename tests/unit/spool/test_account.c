#include "helper.h"

#include <errno.h>
#include <string.h>

static void add(struct spool *sp, unsigned lane, uint8_t reason, uint64_t from, uint64_t to, uint64_t samples,
                uint8_t store)
{
    struct spool_account_row row = {
        .stream = spool_own(sp), .lane = lane, .reason = reason, .range = {from, to}, .samples = samples};

    row.store.bytes[0] = store;
    assert_int_equal(spool_account_add(sp, &row), 0);
}

struct listing {
    struct spool_account_row rows[16];
    size_t n, stop_at;
};

static int list(void *ctx, const struct spool_account_row *row)
{
    struct listing *l = ctx;

    l->rows[l->n++] = *row;
    return l->n == l->stop_at ? 9 : 0;
}

static void check(const struct spool_account_row *row, uint8_t reason, uint64_t from, uint64_t to,
                  uint64_t samples)
{
    assert_int_equal(row->reason, reason);
    assert_int_equal(row->range.from, from);
    assert_int_equal(row->range.to, to);
    assert_int_equal(row->samples, samples);
}

static void neighbours_of_equal_reason_and_store_merge(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct listing l = {0};
    struct spool_options o;
    struct spool *sp;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    add(sp, 0, 1, 1, 3, 10, 0);
    add(sp, 0, 1, 7, 9, 10, 0);
    add(sp, 0, 1, 4, 6, 5, 0);   /* closes the gap */
    add(sp, 0, 2, 10, 12, 1, 7); /* other reason */
    add(sp, 0, 2, 13, 13, 1, 8); /* other store */
    add(sp, 0, 2, 14, 20, 1, 8);
    add(sp, 1, 1, 10, 10, 2, 0); /* other lane */
    assert_int_equal(spool_account_rows(sp), 4);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    assert_int_equal(spool_account_rows(sp), 4);
    assert_int_equal(spool_account_each(sp, list, &l), 0);
    assert_int_equal(l.n, 4);
    check(&l.rows[0], 1, 1, 9, 25);
    check(&l.rows[1], 2, 10, 12, 1);
    check(&l.rows[2], 2, 13, 20, 2);
    check(&l.rows[3], 1, 10, 10, 2);
    assert_int_equal(l.rows[2].store.bytes[0], 8);
    assert_ptr_equal(l.rows[0].stream, spool_own(sp));
    l = (struct listing){.stop_at = 2};
    assert_int_equal(spool_account_each(sp, list, &l), 9);
    assert_int_equal(l.n, 2);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void what_stands_there_is_not_added_twice(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct listing l = {0};
    struct spool_options o;
    struct spool *sp;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    add(sp, 0, 1, 5, 9, 50, 0);
    add(sp, 0, 1, 6, 8, 30, 0);
    add(sp, 0, 1, 20, 29, 100, 3);
    add(sp, 0, 1, 3, 31, 7, 0);
    assert_int_equal(spool_account_each(sp, list, &l), 0);
    assert_int_equal(l.n, 3);
    check(&l.rows[0], 1, 3, 19, 57);
    check(&l.rows[1], 1, 20, 29, 100);
    check(&l.rows[2], 1, 30, 31, 0);
    assert_int_equal(spool_account_rows(sp), 3);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void taken_rows_are_gone_and_come_back_with_a_rollback(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_account_row rows[3];
    struct spool_options o;
    struct spool *sp;
    size_t n = 0;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    add(sp, 0, 1, 1, 1, 1, 0);
    add(sp, 0, 1, 3, 3, 1, 0);
    add(sp, 0, 1, 5, 5, 1, 0);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_account_take(sp, rows, 2, &n), 0);
    assert_int_equal(n, 2);
    check(&rows[1], 1, 3, 3, 1);
    assert_int_equal(spool_account_rows(sp), 1);
    assert_int_equal(spool_rollback(sp), 0);
    assert_int_equal(spool_account_rows(sp), 3);
    assert_int_equal(spool_account_take(sp, rows, 3, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(spool_account_take(sp, rows, 3, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    sp = helper_open(&o);
    assert_int_equal(spool_account_rows(sp), 0);
    spool_close(sp);
    helper_dir_remove(dir);
}

static void impossible_ranges_are_refused(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct spool_account_row row = {.reason = 1};
    struct spool_options o;
    struct spool *sp;

    (void)state;
    helper_dir_make(dir);
    o = helper_spool(dir);
    sp = helper_open(&o);
    row.stream = spool_own(sp);
    assert_int_equal(spool_account_add(sp, &row), -EINVAL);
    row.range = (struct interval){5, 4};
    assert_int_equal(spool_account_add(sp, &row), -EINVAL);
    row.range = (struct interval){5, UINT64_MAX};
    assert_int_equal(spool_account_add(sp, &row), -EINVAL);
    assert_int_equal(spool_account_rows(sp), 0);
    spool_close(sp);
    helper_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_of_equal_reason_and_store_merge),
        cmocka_unit_test(what_stands_there_is_not_added_twice),
        cmocka_unit_test(taken_rows_are_gone_and_come_back_with_a_rollback),
        cmocka_unit_test(impossible_ranges_are_refused),
    };

    return cmocka_run_group_tests_name("spool-account", tests, NULL, NULL);
}
