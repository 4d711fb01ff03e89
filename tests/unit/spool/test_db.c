#include "helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TABLE = SPOOL_TABLE_RECORDS };

static struct span key_of(uint32_t i)
{
    static uint8_t key[4];

    store_be32(key, i);
    return span_of(key, sizeof key);
}

static struct db *open_db(const char *path)
{
    struct db_options o = helper_db(path);
    struct errmsg err = {""};
    struct db *db = NULL;
    int r = db_open(&db, &o, &err);

    if (r != 0)
        print_error("%s\n", err.text);
    assert_int_equal(r, 0);
    return db;
}

static void put_range(struct db *db, uint32_t from, uint32_t to, size_t len)
{
    struct db_txn *t;
    uint32_t i;

    assert_int_equal(db_begin(db, true, &t), 0);
    for (i = from; i <= to; i++)
        assert_int_equal(db_put(t, TABLE, key_of(i), helper_payload(i, len)), 0);
    assert_int_equal(db_commit(t), 0);
}

static void committed_values_are_there_after_reopen(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct id128 id;
    struct db_txn *t;
    struct span v;
    struct db *db;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    assert_true(db_created(db));
    id = *db_store_id(db);
    put_range(db, 1, 50, 100);
    put_range(db, 60, 61, 5000);
    db_close(db);
    db = open_db(dir);
    assert_false(db_created(db));
    assert_true(id128_equal(&id, db_store_id(db)));
    assert_int_equal(db_begin(db, false, &t), 0);
    assert_int_equal(db_get(t, TABLE, key_of(50), &v), 0);
    assert_true(span_equal(v, helper_payload(50, 100)));
    assert_int_equal(db_get(t, TABLE, key_of(61), &v), 0);
    assert_true(span_equal(v, helper_payload(61, 5000)));
    assert_int_equal(db_get(t, TABLE, key_of(51), &v), DB_NOT_FOUND);
    db_abort(t);
    db_close(db);
    helper_dir_remove(dir);
}

static void aborted_values_leave_nothing(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_txn *t;
    struct span v;
    struct db *db;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    put_range(db, 1, 1, 10);
    assert_int_equal(db_begin(db, true, &t), 0);
    assert_int_equal(db_put(t, TABLE, key_of(2), helper_payload(2, 10)), 0);
    assert_int_equal(db_del(t, TABLE, key_of(1)), 0);
    db_abort(t);
    assert_int_equal(db_begin(db, true, &t), 0);
    assert_int_equal(db_put(t, TABLE, key_of(3), helper_payload(3, 10)), 0);
    db = db_close(db); /* aborts what is open */
    db = open_db(dir);
    assert_int_equal(db_begin(db, false, &t), 0);
    assert_int_equal(db_get(t, TABLE, key_of(1), &v), 0);
    assert_int_equal(db_get(t, TABLE, key_of(2), &v), DB_NOT_FOUND);
    assert_int_equal(db_get(t, TABLE, key_of(3), &v), DB_NOT_FOUND);
    db_abort(t);
    db_close(db);
    helper_dir_remove(dir);
}

static void first_error_of_a_transaction_sticks(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_txn *t;
    struct span v;
    struct db *db;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    assert_int_equal(db_begin(db, true, &t), 0);
    assert_int_equal(db_put(t, TABLE, key_of(1), helper_payload(1, 10)), 0);
    assert_int_equal(db_del(t, TABLE, key_of(9)), DB_NOT_FOUND);
    assert_int_equal(db_put(t, TABLE, span_of("", 0), helper_payload(1, 10)), -EINVAL);
    assert_int_equal(db_put(t, TABLE, key_of(2), helper_payload(1, 10)), -EINVAL);
    assert_int_equal(db_get(t, TABLE, key_of(1), &v), -EINVAL);
    assert_int_equal(db_commit(t), -EINVAL);
    assert_int_equal(db_begin(db, true, &t), 0);
    assert_int_equal(db_get(t, TABLE, key_of(1), &v), DB_NOT_FOUND);
    db_abort(t);
    db_close(db);
    helper_dir_remove(dir);
}

static void full_map_is_told_and_deletes_make_room(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_txn *t;
    struct db *db;
    uint32_t i, n = 0;
    int r = 0;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    while (r == 0) {
        assert_int_equal(db_begin(db, true, &t), 0);
        r = db_put(t, TABLE, key_of(n + 1), helper_payload(n + 1, 3000));
        if (r == 0)
            r = db_commit(t);
        else
            assert_int_equal(db_commit(t), DB_FULL);
        if (r == 0)
            n++;
    }
    assert_int_equal(r, DB_FULL);
    assert_in_range(n, 200, 260);
    for (i = 1; i <= n; i++) {
        assert_int_equal(db_begin(db, true, &t), 0);
        assert_int_equal(db_del(t, TABLE, key_of(i)), 0);
        assert_int_equal(db_commit(t), 0);
    }
    put_range(db, 1, 100, 3000);
    assert_int_equal(db_grow(db, 4 << 20), 0);
    assert_true(db_map_bytes(db) == 4 << 20);
    put_range(db, 101, 800, 3000);
    db_close(db);
    db = open_db(dir);
    assert_true(db_map_bytes(db) == 4 << 20); /* kept, though the options ask for less */
    db_close(db);
    helper_dir_remove(dir);
}

static void keys_in_any_order_are_found_in_order(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_cursor *c;
    struct db_txn *t;
    struct span k, v;
    struct db *db;
    uint32_t i, n = 0;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    assert_int_equal(db_begin(db, true, &t), 0);
    for (i = 0; i < 1000; i++) {
        uint32_t id = 1 + i * 373 % 1000;

        assert_int_equal(db_put(t, TABLE, key_of(id), helper_payload(id, 40)), 0);
        if (i % 100 == 50) { /* the greatest key goes and comes back */
            assert_int_equal(db_put(t, TABLE, key_of(5000), helper_payload(1, 1)), 0);
            assert_int_equal(db_del(t, TABLE, key_of(5000)), 0);
        }
        if (i % 250 == 249) {
            assert_int_equal(db_commit(t), 0);
            assert_int_equal(db_begin(db, true, &t), 0);
        }
    }
    assert_int_equal(db_cursor_new(t, TABLE, &c), 0);
    for (int r = db_cursor_seek(c, span_of(NULL, 0), &k, &v); r == 0; r = db_cursor_next(c, &k, &v)) {
        n++;
        assert_int_equal(load_be32(k.data), n);
        assert_true(span_equal(v, helper_payload(n, 40)));
    }
    assert_int_equal(n, 1000);
    assert_int_equal(db_cursor_seek(c, key_of(1000), &k, NULL), 0);
    assert_int_equal(db_cursor_prev(c, &k, &v), 0);
    assert_int_equal(load_be32(k.data), 999);
    assert_int_equal(db_cursor_seek(c, key_of(1001), &k, NULL), DB_NOT_FOUND);
    assert_int_equal(db_cursor_last(c, &k, &v), 0);
    assert_int_equal(load_be32(k.data), 1000);
    assert_int_equal(db_cursor_seek(c, key_of(10), &k, NULL), 0);
    for (i = 0; i < 20; i++) {
        assert_int_equal(db_cursor_del(c), 0);
        assert_int_equal(db_cursor_next(c, &k, &v), 0);
        assert_int_equal(load_be32(k.data), 11 + i);
    }
    db_cursor_free(c);
    assert_int_equal(db_commit(t), 0);
    db_close(db);
    helper_dir_remove(dir);
}

static void paused_reader_sees_the_last_commit_when_resumed(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_txn *t;
    struct span v;
    struct db *db;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    put_range(db, 1, 1, 10);
    assert_int_equal(db_begin(db, false, &t), 0);
    put_range(db, 2, 2, 10);
    assert_int_equal(db_get(t, TABLE, key_of(2), &v), DB_NOT_FOUND);
    db_read_pause(t);
    put_range(db, 3, 3, 10);
    assert_int_equal(db_read_resume(t), 0);
    assert_int_equal(db_get(t, TABLE, key_of(2), &v), 0);
    assert_int_equal(db_get(t, TABLE, key_of(3), &v), 0);
    db_abort(t);
    db_close(db);
    helper_dir_remove(dir);
}

static void typed_rows_come_back(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct id128 id = id128_random(), got;
    struct db_txn *t;
    struct db *db;
    uint64_t v = 0;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    assert_int_equal(db_begin(db, true, &t), 0);
    assert_int_equal(db_get_u64(t, 0, "n", &v), DB_NOT_FOUND);
    assert_int_equal(db_put_u64(t, 0, "n", 77), 0);
    assert_int_equal(db_put_id(t, 0, "id", &id), 0);
    assert_int_equal(db_get_u64(t, 0, "n", &v), 0);
    assert_int_equal(db_get_id(t, 0, "id", &got), 0);
    assert_int_equal(db_get_id(t, 0, "n", &got), DB_DAMAGED);
    assert_int_equal(v, 77);
    assert_true(id128_equal(&id, &got));
    db_abort(t);
    db_close(db);
    helper_dir_remove(dir);
}

static int open_code(struct db_options o, struct errmsg *err)
{
    struct db *db = NULL;
    int r = db_open(&db, &o, err);

    db_close(db);
    return r;
}

static void wrong_stores_are_refused_with_a_reason(void **state)
{
    char dir[HELPER_PATH_BYTES], sub[HELPER_PATH_BYTES];
    struct errmsg err = {""};
    struct db_options o;
    struct db *db;

    (void)state;
    helper_dir_make(dir);
    o = helper_db(dir);
    o.read_only = true;
    assert_int_equal(open_code(o, &err), -ENOENT);
    assert_non_null(strstr(err.text, "holds no store"));
    db = open_db(dir);
    assert_int_equal(open_code(helper_db(dir), &err), -EBUSY);
    assert_non_null(strstr(err.text, "another process"));
    db_close(db);
    o = helper_db(dir);
    o.role = "cloud";
    assert_int_equal(open_code(o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "store of a device"));
    helper_join(sub, dir, "data.mdb/below");
    assert_true(open_code(helper_db(sub), &err) < 0);
    assert_int_equal(open_code(helper_db("/proc/1/fdinfo/nowhere"), &err) < 0, 1);
    helper_dir_remove(dir);
}

/* Root may write anywhere, so the case runs as nobody. */
static void folder_without_write_permission_is_a_clear_error(void **state)
{
    char dir[HELPER_PATH_BYTES], store[HELPER_PATH_BYTES], file[HELPER_PATH_BYTES];
    int status;
    pid_t child;

    (void)state;
    helper_dir_make(dir);
    helper_join(store, dir, "s");
    db_close(open_db(store));
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(store, 0555), 0);
    helper_join(file, store, "data.mdb");
    assert_int_equal(chmod(file, 0444), 0);
    child = fork();
    if (child == 0) {
        struct db_options o = helper_db(store);
        struct errmsg err = {""};
        bool good = geteuid() != 0 || setresuid(65534, 65534, 65534) == 0;

        o.read_only = true;
        good = good && open_code(o, &err) == -EACCES && strstr(err.text, "lock.mdb") != NULL;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(store, 0755), 0);
    helper_dir_remove(dir);
}

static void half_made_store_is_made_again(void **state)
{
    char dir[HELPER_PATH_BYTES], making[HELPER_PATH_BYTES], file[HELPER_PATH_BYTES];
    struct stat st;
    FILE *f;

    (void)state;
    helper_dir_make(dir);
    helper_join(making, dir, "making");
    assert_int_equal(mkdir(making, 0700), 0);
    helper_join(file, making, "data.mdb");
    f = fopen(file, "w");
    assert_non_null(f);
    fputs("torn", f);
    fclose(f);
    db_close(open_db(dir));
    assert_int_equal(stat(making, &st), -1);
    helper_join(file, dir, "data.mdb");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    helper_dir_remove(dir);
}

static void preallocated_file_has_the_size_of_the_map(void **state)
{
    char dir[HELPER_PATH_BYTES], file[HELPER_PATH_BYTES];
    struct db_options o;
    struct errmsg err;
    struct stat st;

    (void)state;
    helper_dir_make(dir);
    o = helper_db(dir);
    o.no_preallocate = false;
    assert_int_equal(open_code(o, &err), 0);
    helper_join(file, dir, "data.mdb");
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size == HELPER_MAP_BYTES);
    assert_true(st.st_blocks * 512 >= HELPER_MAP_BYTES);
    helper_dir_remove(dir);
}

static void used_bytes_follow_the_pages_in_use(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct db_stat_table tables[DB_TABLES_MAX];
    uint64_t empty, full;
    struct db_txn *t;
    struct db *db;
    uint32_t i;

    (void)state;
    helper_dir_make(dir);
    db = open_db(dir);
    empty = db_used_bytes(db);
    put_range(db, 1, 100, 3000);
    full = db_used_bytes(db);
    assert_true(full >= empty + 100 * 4096);
    assert_int_equal(db_stat(db, tables, DB_TABLES_MAX), SPOOL_TABLES);
    assert_string_equal(tables[TABLE].name, "records");
    assert_int_equal(tables[TABLE].entries, 100);
    assert_int_equal(db_begin(db, true, &t), 0);
    for (i = 1; i <= 100; i++)
        assert_int_equal(db_del(t, TABLE, key_of(i)), 0);
    assert_true(db_txn_used_bytes(t) < empty + 8 * 4096);
    assert_int_equal(db_commit(t), 0);
    assert_true(db_used_bytes(db) < empty + 8 * 4096);
    assert_int_equal(db_commits(db), 2);
    db_close(db);
    helper_dir_remove(dir);
}

/* The reader runs in its own process, on the live store: what it sees in one transaction belongs together. */
static int reader_child(const char *dir, int go)
{
    struct db_options o = helper_db(dir);
    struct errmsg err = {""};
    struct db_cursor *c;
    struct db_txn *t;
    struct db *db;
    char byte;
    unsigned round;

    o.read_only = true;
    if (read(go, &byte, 1) != 1 || db_open(&db, &o, &err) != 0 || db_begin(db, true, &t) != -EROFS ||
        db_begin(db, false, &t) != 0)
        return 1;
    for (round = 0; round < 300; round++) {
        uint64_t n = 0, said = 0;
        struct span k, v;
        int r;

        if (db_get_u64(t, SPOOL_TABLE_META, "n", &said) != 0 || db_cursor_new(t, TABLE, &c) != 0)
            return 2;
        for (r = db_cursor_seek(c, span_of(NULL, 0), &k, &v); r == 0; r = db_cursor_next(c, &k, &v))
            n += span_equal(v, helper_payload(load_be32(k.data), 50));
        db_cursor_free(c);
        if (r != DB_NOT_FOUND || n != said)
            return 3;
        db_read_pause(t);
        if (db_read_resume(t) != 0)
            return 4;
    }
    db_abort(t);
    db_close(db);
    return 0;
}

static void other_process_reads_whole_commits_of_a_live_store(void **state)
{
    char dir[HELPER_PATH_BYTES];
    struct errmsg err = {""};
    struct db_options o;
    struct db_txn *t;
    struct db *db;
    int go[2], status = 0;
    pid_t child;
    uint32_t n;

    (void)state;
    helper_dir_make(dir);
    assert_int_equal(pipe(go), 0);
    child = fork();
    if (child == 0)
        _exit(reader_child(dir, go[0]));
    o = helper_db(dir);
    o.map_bytes = 256 << 20; /* what a reader pins cannot be used again meanwhile */
    assert_int_equal(db_open(&db, &o, &err), 0);
    for (n = 1; n < 100000 && waitpid(child, &status, WNOHANG) == 0; n++) {
        assert_int_equal(db_begin(db, true, &t), 0);
        assert_int_equal(db_put(t, TABLE, key_of(n % 2000 + 1), helper_payload(n % 2000 + 1, 50)), 0);
        assert_int_equal(db_put_u64(t, SPOOL_TABLE_META, "n", n < 2000 ? n : 2000), 0);
        assert_int_equal(db_commit(t), 0);
        if (n == 1)
            assert_int_equal(write(go[1], "g", 1), 1);
    }
    assert_int_equal(status, 0);
    assert_true(n > 1 && n < 100000);
    db_check_readers(db);
    db_close(db);
    close(go[0]);
    close(go[1]);
    helper_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_values_are_there_after_reopen),
        cmocka_unit_test(aborted_values_leave_nothing),
        cmocka_unit_test(first_error_of_a_transaction_sticks),
        cmocka_unit_test(full_map_is_told_and_deletes_make_room),
        cmocka_unit_test(keys_in_any_order_are_found_in_order),
        cmocka_unit_test(paused_reader_sees_the_last_commit_when_resumed),
        cmocka_unit_test(typed_rows_come_back),
        cmocka_unit_test(wrong_stores_are_refused_with_a_reason),
        cmocka_unit_test(folder_without_write_permission_is_a_clear_error),
        cmocka_unit_test(half_made_store_is_made_again),
        cmocka_unit_test(preallocated_file_has_the_size_of_the_map),
        cmocka_unit_test(used_bytes_follow_the_pages_in_use),
        cmocka_unit_test(other_process_reads_whole_commits_of_a_live_store),
    };

    return cmocka_run_group_tests_name("spool-db", tests, NULL, NULL);
}
