/* count_writes.c - to be preloaded: counts the pages that a process writes to files on disks.
 *
 * The kernel's own count (write_bytes of /proc/PID/io) goes by folios: where a page of a large one is
 * written, all of it is counted (ext4 since Linux 6.16, XFS), although it is not all sent to the disk. Here
 * each write counts the pages of 4 KiB that it touches. The sum, a 64-bit number, stands in the file
 * $FOGLINE_COUNT_WRITES/PID. Files in memory do not count; what stdio writes, as lines of the log, and
 * what is written through a mapping is not seen. */
#undef _FILE_OFFSET_BITS /* with it pwrite is another name for pwrite64, and programs use both */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { TMPFS = 0x01021994, PAGE = 4096 };

static _Atomic uint64_t *sum;

static __attribute__((constructor)) void begin(void)
{
    const char *folder = getenv("FOGLINE_COUNT_WRITES");
    char path[4096];
    void *at;
    int fd;

    if (folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%ld", folder, (long)getpid());
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *sum) != 0)
        abort(); /* a count that is not there would look like no writes */
    at = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    close(fd);
    sum = at;
}

static void count(int fd, int64_t at, int64_t len)
{
    struct statfs fs;
    struct stat st;

    if (sum == NULL || len <= 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fstatfs(fd, &fs) != 0 ||
        fs.f_type == TMPFS)
        return;
    *sum += (uint64_t)((at + len + PAGE - 1) / PAGE - at / PAGE) * PAGE;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    static ssize_t (*next)(int, const void *, size_t, off_t);
    ssize_t done;

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "pwrite");
    done = next(fd, data, n, at);
    count(fd, at, done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    ssize_t done;

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "pwrite64");
    done = next(fd, data, n, at);
    count(fd, at, done);
    return done;
}

ssize_t write(int fd, const void *data, size_t n)
{
    static ssize_t (*next)(int, const void *, size_t);
    ssize_t done;

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "write");
    done = next(fd, data, n);
    count(fd, done > 0 ? lseek(fd, 0, SEEK_CUR) - done : 0, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    static ssize_t (*next)(int, const struct iovec *, int);
    ssize_t done;

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "writev");
    done = next(fd, parts, n);
    count(fd, done > 0 ? lseek(fd, 0, SEEK_CUR) - done : 0, done);
    return done;
}
