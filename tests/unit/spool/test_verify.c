#include "helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_RECORDS = 120 };

static void make_store(const char *store)
{
    struct spool_options o = helper_spool(store);
    struct spool *sp = helper_open(&o);

    helper_append(sp, 0, N_RECORDS, 600);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
}

/* Flips one bit of the payload of a record, found by its content. */
static void flip_record(const char *store, uint64_t seq)
{
    char file[HELPER_PATH_BYTES];
    static uint8_t all[2 << 20];
    struct span p = helper_payload(seq, 600);
    ssize_t len;
    uint8_t *at;
    int fd;

    helper_join(file, store, "data.mdb");
    fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    len = pread(fd, all, sizeof all, 0);
    assert_true(len > 0);
    at = memmem(all, (size_t)len, p.data, p.len);
    assert_non_null(at);
    at[300] ^= 4;
    assert_int_equal(pwrite(fd, at + 300, 1, at + 300 - all), 1);
    close(fd);
}

static void damaged_value_is_told_and_never_returned(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_verify_result result;
    struct spool_gone gone = {0};
    struct errmsg err = {""};
    struct spool_record r;
    struct spool_options o;
    struct db_txn *t;
    struct spool *sp;
    uint64_t seq;

    (void)state;
    helper_dir_make(dir);
    make_store(dir);
    flip_record(dir, 50);
    o = helper_spool(dir);
    assert_int_equal(db_verify(&o.db, 10, &result, &err), DB_DAMAGED);
    assert_int_equal(result.n_damaged, 1);
    assert_non_null(strstr(err.text, "table records: 1 of 120"));
    sp = helper_open(&o);
    assert_int_equal(spool_read(sp, &t), 0);
    for (seq = 1; seq <= N_RECORDS; seq++)
        assert_int_equal(spool_get(sp, spool_own(sp), seq, &r), seq == 50 ? DB_DAMAGED : 0);
    spool_read_done(sp);
    assert_int_equal(db_damaged(spool_db(sp)), 1);
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){49, 51}, &gone), 0);
    assert_int_equal(gone.n_records, 3);
    assert_int_equal(gone.n_samples, 9 + 1); /* of 49 and 51 */
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){1, N_RECORDS}, &gone), 0);
    assert_int_equal(spool_held_bytes(sp), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    assert_int_equal(db_verify(&o.db, 10, &result, &err), 0);
    helper_dir_remove(dir);
}

static void broken_pages_are_told_and_the_parent_lives(void **state)
{
    char dir[HELPER_PATH_BYTES], file[HELPER_PATH_BYTES];
    static const uint8_t zeros[1 << 20];
    struct db_verify_result result;
    struct errmsg err = {""};
    struct db_options o;
    struct stat st;
    int fd;

    (void)state;
    helper_dir_make(dir);
    make_store(dir);
    o = helper_db(dir);
    helper_join(file, dir, "data.mdb");
    fd = open(file, O_RDWR);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size > 16384 && st.st_size <= (off_t)sizeof zeros);
    assert_int_equal(pwrite(fd, zeros, (size_t)st.st_size - 8192, 8192), st.st_size - 8192);
    assert_int_equal(db_verify(&o, 10, &result, &err), DB_UNREADABLE);
    assert_int_equal(ftruncate(fd, 8192), 0);
    assert_int_equal(db_verify(&o, 10, &result, &err), DB_UNREADABLE);
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_int_equal(db_verify(&o, 10, &result, &err), DB_UNREADABLE);
    assert_true(strlen(err.text) > 10);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(db_verify(&o, 10, &result, &err), DB_UNREADABLE);
    close(fd);
    helper_dir_remove(dir);
}

static void quarantined_folder_takes_the_first_free_name(void **state)
{
    char dir[HELPER_PATH_BYTES], store[HELPER_PATH_BYTES], name[HELPER_PATH_BYTES], want[HELPER_PATH_BYTES];
    struct db_verify_result result;
    struct errmsg err = {""};
    struct db_options o;
    struct stat st;
    int i;

    (void)state;
    helper_dir_make(dir);
    helper_join(store, dir, "s");
    o = helper_db(store);
    for (i = 1; i <= 3; i++) {
        make_store(store);
        assert_int_equal(db_quarantine(store, name, sizeof name), 0);
        snprintf(want, sizeof want, "%.200s.quarantine-%d", store, i);
        assert_string_equal(name, want);
        assert_int_equal(stat(want, &st), 0);
        assert_int_equal(stat(store, &st), -1);
    }
    assert_int_equal(db_verify(&o, 10, &result, &err), 0); /* what is not there is not damaged */
    assert_int_equal(result.n_values, 0);
    helper_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_value_is_told_and_never_returned),
        cmocka_unit_test(broken_pages_are_told_and_the_parent_lives),
        cmocka_unit_test(quarantined_folder_takes_the_first_free_name),
    };

    return cmocka_run_group_tests_name("spool-verify", tests, NULL, NULL);
}
