#include "base/clock.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts); /* cannot fail for these two clocks */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t real_wall(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

static int64_t real_mono(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_real = {real_wall, real_mono, NULL};

static int64_t fake_wall(void *ctx)
{
    return ((struct clock_fake *)ctx)->wall_unix_ns;
}

static int64_t fake_mono(void *ctx)
{
    return ((struct clock_fake *)ctx)->mono_ns;
}

struct clock clock_fake_of(struct clock_fake *f)
{
    return (struct clock){fake_wall, fake_mono, f};
}

enum clock_state clock_sync_state(int64_t *ret_error_us)
{
    struct timex tx = {0};
    int state = adjtimex(&tx); /* modes 0: only reads, needs no right */

    *ret_error_us = 0;
    if (state < 0)
        return CLOCK_STATE_UNKNOWN;
    if (state == TIME_ERROR || (tx.status & STA_UNSYNC) != 0)
        return CLOCK_STATE_UNSYNCED;
    *ret_error_us = tx.esterror;
    return CLOCK_STATE_SYNCED;
}

struct id128 clock_boot_id(void)
{
    static const struct id128 unknown;
    owned(close_fd) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[64], hex[ID128_HEX_CHARS + 1];
    struct id128 id;
    size_t n_hex = 0;
    ssize_t n, i;

    n = fd < 0 ? -1 : read(fd, text, sizeof text);
    for (i = 0; i < n && n_hex < ID128_HEX_CHARS; i++)
        if (text[i] != '-' && text[i] != '\n')
            hex[n_hex++] = text[i];
    hex[n_hex] = '\0';
    return id128_from_hex(hex, &id) ? id : unknown;
}

char *clock_format_utc(int64_t unix_ns, char *out)
{
    int64_t s = unix_ns / NS_PER_S, ns = unix_ns % NS_PER_S;
    char *at = out;
    struct tm tm;
    time_t t;
    int width = 9;

    if (ns < 0) {
        ns += NS_PER_S;
        s--;
    }
    t = (time_t)s;
    gmtime_r(&t, &tm);
    at += strftime(at, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ns > 0) {
        for (; ns % 10 == 0; ns /= 10)
            width--;
        *at = '.';
        for (int i = width; i > 0; i--, ns /= 10)
            at[i] = (char)('0' + ns % 10);
        at += width + 1;
    }
    memcpy(at, "Z", 2);
    return out;
}
