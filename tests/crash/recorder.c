/* Preloaded into a program: records what it does to files below a folder. For programs of one thread.
 *
 * Calls go on to the C library; what succeeded is written down with its data. Writes through a mapping are
 * not seen: the stores here do not use them for data. */
#undef _FILE_OFFSET_BITS /* it would give open and open64, to be defined both, one name */
#include "log.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void recorder_ack(const void *data, size_t n_bytes);

static int log_fd = -1;
static char folder[PATH_MAX];
static size_t folder_len;

/* The real function of that name; the program cannot go on without it. */
static void *next(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);

    if (f == NULL)
        abort();
    return f;
}
#define NEXT(name) ((__typeof__(&name))next(#name))

static void put(const void *data, size_t n)
{
    const char *at = data;

    while (n > 0) {
        long done = syscall(SYS_write, log_fd, at, n);

        if (done <= 0)
            abort(); /* a record with holes proves nothing */
        at += done;
        n -= (size_t)done;
    }
}

static void note(struct log_head h, const char *path, const char *path2)
{
    h.magic = LOG_MAGIC;
    h.path_bytes = path != NULL ? (uint32_t)strlen(path) : 0;
    h.path2_bytes = path2 != NULL ? (uint32_t)strlen(path2) : 0;
    put(&h, sizeof h);
    put(path, h.path_bytes);
    put(path2, h.path2_bytes);
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv(LOG_ENV_FOLDER), *file = getenv(LOG_ENV_FILE);

    if (dir == NULL || file == NULL || realpath(dir, folder) == NULL)
        return;
    folder_len = strlen(folder);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("LD_PRELOAD");
}

static bool ours(const char *path)
{
    return log_fd >= 0 && strncmp(path, folder, folder_len) == 0 && path[folder_len] == '/';
}

/* Whether fd is a file or folder of ours; its inode, and whether its writes are durable when they return. */
static bool our_fd(int fd, struct log_head *h)
{
    char link[64], path[PATH_MAX];
    struct stat st;
    long n;

    if (log_fd < 0 || fd == log_fd)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    if (!ours(path) && strcmp(path, folder) != 0)
        return false;
    if (fstat(fd, &st) < 0)
        return false;
    h->inode = st.st_ino;
    h->durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    return true;
}

static void note_data(int fd, enum log_op op, uint64_t offset, const void *data, size_t n)
{
    struct log_head h = {.op = (uint8_t)op, .offset = offset, .data_bytes = n};
    int saved = errno;

    if (our_fd(fd, &h)) {
        note(h, NULL, NULL);
        put(data, n);
    }
    errno = saved;
}

static void note_vector(int fd, uint64_t offset, const struct iovec *v, int n_v, size_t n)
{
    for (int i = 0; i < n_v && n > 0; i++) {
        size_t part = v[i].iov_len < n ? v[i].iov_len : n;

        note_data(fd, LOG_WRITE, offset, v[i].iov_base, part);
        offset += part;
        n -= part;
    }
}

static void note_path(enum log_op op, const char *path, const char *path2)
{
    struct log_head h = {.op = (uint8_t)op};
    struct stat st;
    int saved = errno;

    if (ours(path)) {
        if (stat(path2 != NULL ? path2 : path, &st) == 0)
            h.inode = st.st_ino;
        note(h, path, path2);
    }
    errno = saved;
}

void recorder_ack(const void *data, size_t n_bytes)
{
    struct log_head h = {.op = LOG_ACK, .data_bytes = n_bytes};

    if (log_fd < 0)
        return;
    note(h, NULL, NULL);
    put(data, n_bytes);
}

/* ---- names ---- */

static int open_noted(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
    bool fresh = (flags & O_CREAT) != 0 && ours(path) && access(path, F_OK) != 0;
    int fd = real(path, flags, mode);

    if (fd < 0)
        return fd;
    if (fresh)
        note_path(LOG_CREATE, path, NULL);
    else if ((flags & O_TRUNC) != 0)
        note_data(fd, LOG_SIZE, 0, NULL, 0);
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_noted(NEXT(open), path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_noted(NEXT(open64), path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    int r = NEXT(mkdir)(path, mode);

    if (r == 0)
        note_path(LOG_MKDIR, path, NULL);
    return r;
}

int rename(const char *from, const char *to)
{
    int r = NEXT(rename)(from, to);

    if (r == 0)
        note_path(LOG_RENAME, from, to);
    return r;
}

int unlink(const char *path)
{
    int r = NEXT(unlink)(path);

    if (r == 0)
        note_path(LOG_UNLINK, path, NULL);
    return r;
}

int rmdir(const char *path)
{
    int r = NEXT(rmdir)(path);

    if (r == 0)
        note_path(LOG_UNLINK, path, NULL);
    return r;
}

/* ---- content ---- */

ssize_t write(int fd, const void *data, size_t n)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t r = NEXT(write)(fd, data, n);

    if (r > 0 && at >= 0)
        note_data(fd, LOG_WRITE, (uint64_t)at, data, (size_t)r);
    return r;
}

ssize_t writev(int fd, const struct iovec *v, int n_v)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t r = NEXT(writev)(fd, v, n_v);

    if (r > 0 && at >= 0)
        note_vector(fd, (uint64_t)at, v, n_v, (size_t)r);
    return r;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    ssize_t r = NEXT(pwrite)(fd, data, n, at);

    if (r > 0)
        note_data(fd, LOG_WRITE, (uint64_t)at, data, (size_t)r);
    return r;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    return pwrite(fd, data, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int n_v, off_t at)
{
    ssize_t r = NEXT(pwritev)(fd, v, n_v, at);

    if (r > 0)
        note_vector(fd, (uint64_t)at, v, n_v, (size_t)r);
    return r;
}

ssize_t pwritev64(int fd, const struct iovec *v, int n_v, off64_t at)
{
    return pwritev(fd, v, n_v, at);
}

int ftruncate(int fd, off_t size)
{
    int r = NEXT(ftruncate)(fd, size);

    if (r == 0)
        note_data(fd, LOG_SIZE, (uint64_t)size, NULL, 0);
    return r;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    int r = NEXT(posix_fallocate)(fd, at, n);

    if (r == 0)
        note_data(fd, LOG_RESERVE, (uint64_t)(at + n), NULL, 0);
    return r;
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
    return posix_fallocate(fd, at, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    int r = NEXT(fallocate)(fd, mode, at, n);

    if (r == 0 && mode == 0)
        note_data(fd, LOG_RESERVE, (uint64_t)(at + n), NULL, 0);
    return r;
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
    return fallocate(fd, mode, at, n);
}

int fsync(int fd)
{
    int r = NEXT(fsync)(fd);

    if (r == 0)
        note_data(fd, LOG_SYNC, 0, NULL, 0);
    return r;
}

int fdatasync(int fd)
{
    int r = NEXT(fdatasync)(fd);

    if (r == 0)
        note_data(fd, LOG_SYNC, 0, NULL, 0);
    return r;
}
