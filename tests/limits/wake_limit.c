/* wake_limit.c - what waking up costs and nothing else: a thread that sleeps to absolute ticks and does no
 * work. A program that reads a sensor at that rate cannot use less of a core on the same machine.
 *
 *   wake_limit SECONDS TICK_US    one JSON line: for each kind of wait the share of a core, user and system
 */
#include "base/clock.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

static int64_t cpu_ns(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * NS_PER_S +
           (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000;
}

static void by_nanosleep(int fd, int64_t next_ns)
{
    struct timespec at = {next_ns / NS_PER_S, next_ns % NS_PER_S};

    (void)fd;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* As a thread does that also waits for a descriptor. */
static void by_ppoll(int fd, int64_t next_ns)
{
    struct pollfd p = {fd, POLLIN, 0};
    int64_t left_ns = next_ns - clock_mono_ns(&clock_real);
    struct timespec timeout = {0, left_ns > 0 ? left_ns % NS_PER_S : 0};

    if (ppoll(&p, 1, &timeout, NULL) < 0)
        return;
}

static void measure(const char *name, void (*wait)(int, int64_t), int fd, int64_t for_ns, int64_t tick_ns)
{
    int64_t began_ns = clock_mono_ns(&clock_real), now_ns = began_ns, cpu = cpu_ns(), wakes = 0;

    while (now_ns < began_ns + for_ns) {
        wait(fd, now_ns / tick_ns * tick_ns + tick_ns);
        now_ns = clock_mono_ns(&clock_real);
        wakes++;
    }
    printf("\"%s_cpu_percent\": %.2f, \"%s_wakes_s\": %.0f", name,
           (double)(cpu_ns() - cpu) * 100 / (double)(now_ns - began_ns), name,
           (double)wakes * (double)NS_PER_S / (double)(now_ns - began_ns));
}

int main(int argc, char **argv)
{
    int64_t for_ns = argc == 3 ? atoll(argv[1]) * NS_PER_S : 0,
            tick_ns = argc == 3 ? atoll(argv[2]) * 1000 : 0;
    int fd = eventfd(0, EFD_CLOEXEC);

    if (for_ns <= 0 || tick_ns <= 0 || tick_ns >= NS_PER_S || fd < 0) {
        fprintf(stderr, "usage: wake_limit SECONDS TICK_US\n");
        return 2;
    }
    printf("{");
    measure("nanosleep", by_nanosleep, fd, for_ns, tick_ns);
    printf(", ");
    measure("ppoll", by_ppoll, fd, for_ns, tick_ns);
    printf("}\n");
    return 0;
}
