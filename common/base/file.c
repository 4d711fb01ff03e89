#include "base/file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { READ_BYTES = 16 * 1024 };

static must_check int read_all(int fd, size_t max_bytes, struct buf *b)
{
    size_t start = b->len;

    for (;;) {
        size_t left = max_bytes - (b->len - start);
        /* One more than allowed tells "more" from "exactly so much". */
        size_t want = left < READ_BYTES ? left + 1 : READ_BYTES;
        uint8_t *at = buf_grow(b, want);
        ssize_t n;

        if (at == NULL)
            return b->error;
        do {
            n = read(fd, at, want);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
            return -errno;
        b->len -= want - (size_t)n;
        if (n == 0)
            return 0;
        if ((size_t)n > left)
            return -EFBIG;
    }
}

int file_read(const char *path, size_t max_bytes, struct buf *b)
{
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t start = b->len;
    int r;

    if (fd < 0)
        return -errno;
    if (b->error != 0)
        return b->error;
    r = read_all(fd, max_bytes, b);
    if (r < 0)
        b->len = start;
    return r;
}

static must_check int write_all(int fd, struct span content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        content.data += n;
        content.len -= (size_t)n;
    }
    return 0;
}

static must_check int write_synced(const char *path, struct span content, mode_t mode)
{
    owned(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return -errno;
    /* The mode asked for, whatever the umask and a leftover of an earlier run say. */
    if (fchmod(fd, mode) < 0)
        return -errno;
    r = write_all(fd, content);
    if (r < 0)
        return r;
    return fsync(fd) < 0 ? -errno : 0;
}

static must_check int sync_parent(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);

    if (slash == NULL)
        return file_sync_dir(".");
    if (len == 0)
        return file_sync_dir("/");
    if (len >= sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, path, len);
    folder[len] = '\0';
    return file_sync_dir(folder);
}

int file_write_atomic(const char *path, struct span content, mode_t mode)
{
    char tmp[PATH_MAX];
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%ld", path, (long)getpid());
    int r;

    if (n < 0 || (size_t)n >= sizeof tmp)
        return -ENAMETOOLONG;
    r = write_synced(tmp, content, mode);
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(tmp);
        return r;
    }
    return sync_parent(path);
}

static must_check int make_one(const char *path, mode_t mode)
{
    struct stat st;
    int error;

    if (mkdir(path, mode) == 0)
        return 0;
    /* mkdir may name another reason (a read-only or foreign folder above) although the folder is there. */
    error = errno;
    if (stat(path, &st) < 0)
        return -error;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_mkdirs(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t i, len = strlen(path);
    int r;

    if (len == 0)
        return -ENOENT;
    if (len >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (i = 1; i < len; i++) {
        if (part[i] != '/' || part[i - 1] == '/')
            continue;
        part[i] = '\0';
        r = make_one(part, mode);
        part[i] = '/';
        if (r < 0)
            return r;
    }
    return make_one(part, mode);
}

int file_sync_dir(const char *path)
{
    owned(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

int file_guard_std(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return -EBADF;
    return 0;
}
