/* slow_sync.c - to be preloaded: makes every wait for the disk longer by FOGLINE_SLOW_SYNC_MS, as a worn card
 * or a busy disk would. What must not wait for the disk does not get slower by it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);

static void wait_longer(void)
{
    const char *text = getenv("FOGLINE_SLOW_SYNC_MS");
    long ms = text != NULL ? strtol(text, NULL, 10) : 0;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0)
        continue;
}

int fdatasync(int fd)
{
    static int (*next)(int);

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "fdatasync");
    wait_longer();
    return next(fd);
}

int fsync(int fd)
{
    static int (*next)(int);

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "fsync");
    wait_longer();
    return next(fd);
}
