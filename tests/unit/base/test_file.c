#include "base/cleanup.h"
#include "base/file.h"
#include "cm.h"
#include "lib/tmpdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t count_names(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

static void a_written_file_reads_back_and_leaves_no_temporary(void **state)
{
    struct tmpdir dir;
    struct buf b = {0};
    struct stat st;

    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "f"), span_str("old content"), 0644), 0);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "f"), span_str("new"), 0600), 0);
    assert_int_equal(stat(tmpdir_path(&dir, "f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(count_names(dir.path), 1);
    buf_append(&b, "> ", 2);
    assert_int_equal(file_read(tmpdir_path(&dir, "f"), 3, &b), 0);
    assert_true(span_equal(span_of(b.data, b.len), span_str("> new")));
    buf_deinit(&b);
    tmpdir_deinit(&dir);
}

static void a_failed_write_keeps_the_old_content(void **state)
{
    struct tmpdir dir;
    struct buf b = {0};

    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(file_mkdirs(tmpdir_path(&dir, "taken/by"), 0755), 0);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "taken/by/f"), span_str("1"), 0600), 0);
    /* A folder with something in it cannot be replaced by the rename. */
    assert_true(file_write_atomic(tmpdir_path(&dir, "taken"), span_str("2"), 0600) < 0);
    assert_int_equal(count_names(dir.path), 1);
    assert_int_equal(file_read(tmpdir_path(&dir, "taken/by/f"), 10, &b), 0);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "no/such/f"), span_str("2"), 0600), -ENOENT);
    buf_deinit(&b);
    tmpdir_deinit(&dir);
}

static void reading_obeys_the_limit(void **state)
{
    struct tmpdir dir;
    struct buf b = {0}, big = {0};

    (void)state;
    tmpdir_init(&dir);
    for (int i = 0; i < 50000; i++)
        buf_u8(&big, (uint8_t)i);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "f"), span_of(big.data, big.len), 0600), 0);
    buf_u8(&b, 'x');
    assert_int_equal(file_read(tmpdir_path(&dir, "f"), big.len - 1, &b), -EFBIG);
    assert_int_equal(b.len, 1);
    assert_int_equal(file_read(tmpdir_path(&dir, "f"), big.len, &b), 0);
    assert_int_equal(b.len, 1 + big.len);
    assert_memory_equal(b.data + 1, big.data, big.len);
    assert_int_equal(file_read(tmpdir_path(&dir, "none"), 10, &b), -ENOENT);
    assert_int_equal(file_read(dir.path, 10, &b), -EISDIR);
    buf_deinit(&b);
    buf_deinit(&big);
    tmpdir_deinit(&dir);
}

static void folders_are_made_all_the_way(void **state)
{
    struct tmpdir dir;

    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(file_mkdirs(tmpdir_path(&dir, "a//b/c/"), 0755), 0);
    assert_int_equal(file_mkdirs(tmpdir_path(&dir, "a/b/c"), 0755), 0);
    assert_int_equal(file_sync_dir(tmpdir_path(&dir, "a/b/c")), 0);
    assert_int_equal(file_mkdirs("/", 0755), 0);
    assert_int_equal(file_mkdirs("", 0755), -ENOENT);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "f"), span_str(""), 0600), 0);
    assert_int_equal(file_mkdirs(tmpdir_path(&dir, "f"), 0755), -ENOTDIR);
    assert_true(file_mkdirs(tmpdir_path(&dir, "f/g"), 0755) < 0);
    assert_int_equal(file_sync_dir(tmpdir_path(&dir, "none")), -ENOENT);
    tmpdir_deinit(&dir);
    assert_int_equal(access(dir.path, F_OK), -1);
}

/* In a process of its own: the test's output is at stake. */
static void a_closed_standard_descriptor_goes_to_no_file(void **state)
{
    struct tmpdir dir;
    int status;
    pid_t pid;

    (void)state;
    tmpdir_init(&dir);
    pid = fork();
    if (pid == 0) {
        int fd;

        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        if (file_guard_std() != 0)
            _exit(1);
        fd = open(tmpdir_path(&dir, "f"), O_RDWR | O_CREAT, 0600);
        if (fd <= STDERR_FILENO)
            _exit(2);
        _exit(write(STDOUT_FILENO, "x", 1) == -1 && errno == EBADF ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    tmpdir_deinit(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_reads_back_and_leaves_no_temporary),
        cmocka_unit_test(a_failed_write_keeps_the_old_content),
        cmocka_unit_test(reading_obeys_the_limit),
        cmocka_unit_test(folders_are_made_all_the_way),
        cmocka_unit_test(a_closed_standard_descriptor_goes_to_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
