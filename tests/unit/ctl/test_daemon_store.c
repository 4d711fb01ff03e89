/* A store at the start of a daemon: what is left alone, what is moved aside, and what the log says of it. */
#include "bench.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "ctl/daemon_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, STORE_CHARS = 700, LOG_CHARS = 8192 };

static const char fact[] = "a value that is easy to find in a file";

static struct db_options options(const char *path)
{
    return (struct db_options){.path = path,
                               .tables = bench_tier.tables,
                               .n_tables = bench_tier.n_tables,
                               .map_bytes = 1 << 20,
                               .role = "fog",
                               .no_preallocate = true};
}

static void make_store(const char *path)
{
    struct db_options o = options(path);
    struct errmsg err = {""};
    struct db_txn *txn;
    struct db *db;

    assert_int_equal(db_open(&db, &o, &err), 0);
    assert_int_equal(db_begin(db, true, &txn), 0);
    assert_int_equal(db_put(txn, 0, span_str("key"), span_str(fact)), 0);
    assert_int_equal(db_put(txn, 0, span_str("other"), span_str("another value")), 0);
    assert_int_equal(db_commit(txn), 0);
    db_close(db);
}

static void data_path(char ret_path[STORE_CHARS + 16], const char *store)
{
    snprintf(ret_path, STORE_CHARS + 16, "%.*s/data.mdb", STORE_CHARS, store);
}

static void read_data(struct buf *ret, const char *store)
{
    char path[STORE_CHARS + 16];

    data_path(path, store);
    assert_int_equal(file_read(path, 2 << 20, ret), 0);
}

static void write_at(const char *store, size_t at, const void *data, size_t len)
{
    char path[STORE_CHARS + 16];
    int fd;

    data_path(path, store);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, (off_t)at), len);
    close(fd);
}

/* Both meta pages, as garbage: nothing in the file can be found any more. */
static void lose_meta(const char *store)
{
    char garbage[2 * PAGE_BYTES];

    memset(garbage, 0x5a, sizeof(garbage));
    write_at(store, 0, garbage, sizeof(garbage));
}

static void flip_a_value(const char *store)
{
    struct buf data = {0};
    const uint8_t *found;

    read_data(&data, store);
    found = memmem(data.data, data.len, fact, sizeof(fact) - 1);
    assert_non_null(found);
    write_at(store, (size_t)(found - data.data), "A", 1);
    buf_deinit(&data);
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* What the start does and says. With `why` the store is moved away, else it is checked. */
static int start(const char *store, const char *why, struct errmsg *err, char ret_log[LOG_CHARS])
{
    struct db_options o = options(store);
    int saved = dup(STDERR_FILENO), fd = memfd_create("log", MFD_CLOEXEC), r;
    ssize_t n;

    assert_true(saved >= 0 && fd >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    r = why != NULL ? daemon_store_move_away(store, why, err) : daemon_store_verify(&o, err);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    n = pread(fd, ret_log, LOG_CHARS - 1, 0);
    assert_true(n >= 0);
    ret_log[n] = '\0';
    close(saved);
    close(fd);
    return r;
}

static void must_say(const char *log, const char *words)
{
    if (strstr(log, words) == NULL)
        fail_msg("not said: %s\nsaid: %s", words, log);
}

/* One line that names the store, where it went, and the reason. */
static void must_say_quarantined(const char *log, const char *store, const char *moved_to, const char *why)
{
    char want[2 * STORE_CHARS + 100];

    must_say(log, " level=error ");
    snprintf(want, sizeof(want), " event=store_quarantined store=\"%s\" moved_to=\"%s\" why=", store,
             moved_to);
    must_say(log, want);
    must_say(log, why);
}

static void in_bench(char ret_path[STORE_CHARS], const struct bench *b, const char *name)
{
    snprintf(ret_path, STORE_CHARS, "%s/%s", b->folder, name);
}

static void a_store_that_is_not_there_yet_is_good(void **state)
{
    char store[STORE_CHARS], log[LOG_CHARS];
    struct errmsg err = {""};

    in_bench(store, *state, "spool");
    assert_int_equal(start(store, NULL, &err, log), 0);
    must_say(log, " level=info event=store_verified values=0\n");
    assert_false(is_there(store));
}

static void a_whole_store_stays_as_it_is(void **state)
{
    char store[STORE_CHARS], aside[STORE_CHARS], log[LOG_CHARS];
    struct buf before = {0}, after = {0};
    struct errmsg err = {""};

    in_bench(store, *state, "spool");
    in_bench(aside, *state, "spool.quarantine-1");
    make_store(store);
    read_data(&before, store);
    assert_int_equal(start(store, NULL, &err, log), 0);
    must_say(log, " event=store_verified values=");
    assert_false(is_there(aside));
    read_data(&after, store);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, before.len);
    buf_deinit(&before);
    buf_deinit(&after);
}

static void a_store_with_a_damaged_value_stays_and_is_counted(void **state)
{
    char store[STORE_CHARS], aside[STORE_CHARS], log[LOG_CHARS];
    struct errmsg err = {""};

    in_bench(store, *state, "spool");
    in_bench(aside, *state, "spool.quarantine-1");
    make_store(store);
    flip_a_value(store);
    assert_int_equal(start(store, NULL, &err, log), 0);
    must_say(log, " level=warn event=store_damaged values=");
    must_say(log, " damaged=1 msg=\"table ");
    assert_true(is_there(store));
    assert_false(is_there(aside));
}

/* Two times, as on a disk that goes on dying: the second does not take the place of the first. */
static void a_broken_store_is_moved_aside_with_all_its_bytes(void **state)
{
    char store[STORE_CHARS], aside[STORE_CHARS], first[STORE_CHARS], log[LOG_CHARS], name[32];
    struct buf before[2] = {{0}, {0}}, after = {0};
    struct errmsg err = {""};

    in_bench(store, *state, "spool");
    in_bench(first, *state, "spool.quarantine-1");
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "spool.quarantine-%d", i + 1);
        in_bench(aside, *state, name);
        make_store(store);
        lose_meta(store);
        read_data(&before[i], store);
        assert_int_equal(start(store, NULL, &err, log), DAEMON_STORE_MOVED_AWAY);
        must_say_quarantined(log, store, aside, "the store is damaged; move the folder away");
        assert_false(is_there(store));
        buf_reset(&after);
        read_data(&after, aside);
        assert_int_equal(after.len, before[i].len);
        assert_memory_equal(after.data, before[i].data, after.len);
    }
    buf_reset(&after);
    read_data(&after, first);
    assert_int_equal(after.len, before[0].len);
    assert_memory_equal(after.data, before[0].data, after.len);
    buf_deinit(&before[0]);
    buf_deinit(&before[1]);
    buf_deinit(&after);
}

static void a_new_store_can_be_made_where_a_broken_one_was(void **state)
{
    char store[STORE_CHARS], log[LOG_CHARS];
    struct errmsg err = {""};

    in_bench(store, *state, "spool");
    make_store(store);
    lose_meta(store);
    assert_int_equal(start(store, NULL, &err, log), DAEMON_STORE_MOVED_AWAY);
    make_store(store);
    assert_int_equal(start(store, NULL, &err, log), 0);
    must_say(log, " event=store_verified ");
}

static void what_the_opener_found_is_the_reason_in_the_log(void **state)
{
    char store[STORE_CHARS], aside[STORE_CHARS], log[LOG_CHARS];
    struct errmsg err = {""};

    in_bench(store, *state, "spool");
    in_bench(aside, *state, "spool.quarantine-1");
    make_store(store);
    assert_int_equal(start(store, "rows name no records", &err, log), 0);
    must_say_quarantined(log, store, aside, " why=\"rows name no records\"\n");
    assert_false(is_there(store));
    assert_true(is_there(aside));
}

/* A name so long that the one it would be moved to is too long for any file system. */
static void a_broken_store_that_cannot_be_moved_stays_and_the_error_names_it(void **state)
{
    char store[STORE_CHARS], log[LOG_CHARS], name[251], want[STORE_CHARS + 100];
    struct buf before = {0}, after = {0};
    struct errmsg err = {""};

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    in_bench(store, *state, name);
    make_store(store);
    lose_meta(store);
    read_data(&before, store);
    assert_true(start(store, NULL, &err, log) < 0);
    snprintf(want, sizeof(want), "%s is damaged and cannot be moved away: %s", store, strerror(ENAMETOOLONG));
    assert_string_equal(err.text, want);
    assert_string_equal(log, "");
    read_data(&after, store);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, before.len);
    buf_deinit(&before);
    buf_deinit(&after);
}

/* Nothing is broken: moving it away would hide a wrong configuration. */
static void a_store_of_another_tier_is_refused_and_stays(void **state)
{
    char store[STORE_CHARS], aside[STORE_CHARS];
    struct errmsg err = {""};
    struct db_options o;

    in_bench(store, *state, "spool");
    in_bench(aside, *state, "spool.quarantine-1");
    make_store(store);
    o = options(store);
    o.role = "device";
    assert_true(daemon_store_verify(&o, &err) < 0);
    assert_non_null(strstr(err.text, store));
    assert_true(is_there(store));
    assert_false(is_there(aside));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_store_that_is_not_there_yet_is_good),
        CASE(a_whole_store_stays_as_it_is),
        CASE(a_store_with_a_damaged_value_stays_and_is_counted),
        CASE(a_broken_store_is_moved_aside_with_all_its_bytes),
        CASE(a_new_store_can_be_made_where_a_broken_one_was),
        CASE(what_the_opener_found_is_the_reason_in_the_log),
        CASE(a_broken_store_that_cannot_be_moved_stays_and_the_error_names_it),
        CASE(a_store_of_another_tier_is_refused_and_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
