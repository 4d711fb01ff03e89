#include "device/health.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_CHARS = 512, FILE_BYTES = 4096, ENTRIES_MAX = 64 };

const struct health_info health_info[HEALTH_MEASURES] = {
    [HEALTH_CPU_PERCENT] = {"cpu_percent", "Processor time of this process, of one core"},
    [HEALTH_MACHINE_CPU_PERCENT] = {"machine_cpu_percent", "Processor time of the machine, of all cores"},
    [HEALTH_RSS_BYTES] = {"rss_bytes", "Resident memory of this process"},
    [HEALTH_MEMORY_AVAILABLE_BYTES] = {"memory_available_bytes", "Memory of the machine that is to be had"},
    [HEALTH_DISK_FREE_BYTES] = {"disk_free_bytes", "Free room where the store lies"},
    [HEALTH_FLASH_WRITTEN_BYTES] =
        {"flash_written_bytes",
         "Bytes that this process had written to disks since its start, as the kernel counts"},
    [HEALTH_FLASH_BYTES_PER_DAY] = {"flash_bytes_per_day", "The same, at the pace since the start"},
    [HEALTH_TEMPERATURE_CEL] = {"temperature_cel", "The hottest thermal zone"},
    [HEALTH_BATTERY_PERCENT] = {"battery_percent", "Charge of the emptiest battery"},
    [HEALTH_BATTERY_CHARGING] = {"battery_charging", "1: some battery is being charged"},
    [HEALTH_MAINS_ONLINE] = {"mains_online", "1: some supply from outside is there; 0: none"},
    [HEALTH_LINK_UP] = {"link_up", "1: a node above takes records"},
    [HEALTH_ROUND_TRIP_MS] = {"round_trip_ms", "From a record's sending to its being stored above, smoothed"},
    [HEALTH_SPOOL_USED_PERCENT] = {"spool_used_percent", "Of the quota of the store"},
    [HEALTH_EXPOSURE_MS] = {"exposure_ms", "Age of the oldest reading that is not durable yet"},
    [HEALTH_EXPOSURE_BYTES] = {"exposure_bytes",
                               "Bytes of readings that are not durable yet, between threads and packed"},
    [HEALTH_TICK_LATE_P50_US] = {"tick_late_p50_us", "How late readings are taken: half of them"},
    [HEALTH_TICK_LATE_P99_US] = {"tick_late_p99_us", "How late readings are taken: 99 of 100"},
    [HEALTH_TICK_LATE_MAX_US] = {"tick_late_max_us", "How late readings are taken: the latest"},
    [HEALTH_CLOCK_STATE] = {"clock_state", "0 unknown, 1 not synchronised, 2 synchronised"},
    [HEALTH_CLOCK_ERROR_US] = {"clock_error_us", "The kernel's own estimate of the clock's error"},
};

struct health {
    char root[PATH_CHARS], state_dir[PATH_CHARS];
    int64_t began_mono_ns, last_mono_ns;
    double last_own_s;
    uint64_t last_busy, last_all;
    bool has_last;
    char file[FILE_BYTES];
};

int health_new(struct health **ret_h, const char *root, const char *state_dir)
{
    struct health *h = calloc(1, sizeof *h);

    if (h == NULL)
        return -ENOMEM;
    if (strlen(root) + 256 > sizeof h->root || strlen(state_dir) >= sizeof h->state_dir) {
        free(h);
        return -ENAMETOOLONG;
    }
    strcpy(h->root, root);
    strcpy(h->state_dir, state_dir);
    *ret_h = h;
    return 0;
}

struct health *health_free(struct health *h)
{
    free(h);
    return NULL;
}

/* The beginning of a small file as text in h->file; false: not there, not to be read, or empty. */
static __attribute__((format(printf, 2, 3))) bool slurp(struct health *h, const char *fmt, ...)
{
    char path[2 * PATH_CHARS];
    int n = snprintf(path, sizeof path, "%s", h->root);
    ssize_t len;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(path + n, sizeof path - (size_t)n, fmt, ap);
    va_end(ap);
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    len = fd < 0 ? -1 : read(fd, h->file, sizeof h->file - 1);
    if (len <= 0)
        return false;
    h->file[len] = '\0';
    return true;
}

static bool number_in(struct health *h, const char *folder, const char *entry, const char *file, double *ret)
{
    char *end;

    if (!slurp(h, "%s/%s/%s", folder, entry, file))
        return false;
    *ret = strtod(h->file, &end);
    return end != h->file && isfinite(*ret);
}

/* fn for each entry of a folder below the root, hidden ones left out. */
static void each_entry(struct health *h, const char *folder,
                       void (*fn)(struct health *h, const char *folder, const char *entry, double *ret),
                       double *ret)
{
    char path[2 * PATH_CHARS];
    struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof path, "%s%s", h->root, folder);
    dir = opendir(path);
    if (dir == NULL)
        return;
    for (unsigned n = 0; n < ENTRIES_MAX && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') {
            fn(h, folder, e->d_name, ret);
            n++;
        }
    closedir(dir);
}

static void on_zone(struct health *h, const char *folder, const char *entry, double *ret)
{
    double milli_cel;

    if (strncmp(entry, "thermal_zone", 12) == 0 && number_in(h, folder, entry, "temp", &milli_cel) &&
        !(milli_cel / 1000 <= ret[HEALTH_TEMPERATURE_CEL]))
        ret[HEALTH_TEMPERATURE_CEL] = milli_cel / 1000;
}

static void on_supply(struct health *h, const char *folder, const char *entry, double *ret)
{
    double v;

    if (!slurp(h, "%s/%s/type", folder, entry))
        return;
    if (strncmp(h->file, "Battery", 7) == 0) {
        if (number_in(h, folder, entry, "capacity", &v) && !(v >= ret[HEALTH_BATTERY_PERCENT]))
            ret[HEALTH_BATTERY_PERCENT] = v;
        if (slurp(h, "%s/%s/status", folder, entry))
            ret[HEALTH_BATTERY_CHARGING] =
                fmax(ret[HEALTH_BATTERY_CHARGING], strncmp(h->file, "Charging", 8) == 0);
    } else if (number_in(h, folder, entry, "online", &v)) {
        /* Mains, USB, Wireless: what supplies from outside. */
        ret[HEALTH_MAINS_ONLINE] = fmax(ret[HEALTH_MAINS_ONLINE], v > 0);
    }
}

static void read_process(struct health *h, int64_t mono_ns, double *ret)
{
    static const char written_key[] = "\nwrite_bytes: ";
    uint64_t user, system, pages, started_ticks;
    double ticks_s = (double)sysconf(_SC_CLK_TCK), own_s, since_s;
    const char *at;

    /* The name in brackets may hold anything: count from behind it. */
    if (slurp(h, "/proc/self/stat") && (at = strrchr(h->file, ')')) != NULL &&
        sscanf(at + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
               " %*d %*d %*d %*d %*d %*d %" SCNu64,
               &user, &system, &started_ticks) == 3) {
        own_s = (double)(user + system) / ticks_s;
        since_s = h->has_last ? (double)(mono_ns - h->last_mono_ns) / NS_PER_S
                              : (double)mono_ns / NS_PER_S - (double)started_ticks / ticks_s;
        /* The start is told with the time that the machine slept before it, mono_ns is without: then nothing
         * but now is known of it. */
        if (!h->has_last && since_s < 0)
            since_s = 0;
        if (!h->has_last)
            h->began_mono_ns = mono_ns - (int64_t)(since_s * NS_PER_S);
        if (since_s > 0)
            ret[HEALTH_CPU_PERCENT] = 100 * (own_s - h->last_own_s) / since_s;
        h->last_own_s = own_s;
    }
    if (slurp(h, "/proc/self/statm") && sscanf(h->file, "%*u %" SCNu64, &pages) == 1)
        ret[HEALTH_RSS_BYTES] = (double)pages * (double)sysconf(_SC_PAGESIZE);
    if (slurp(h, "/proc/self/io") && (at = strstr(h->file, written_key)) != NULL) {
        since_s = (double)(mono_ns - h->began_mono_ns) / NS_PER_S;
        ret[HEALTH_FLASH_WRITTEN_BYTES] = strtod(at + strlen(written_key), NULL);
        if (since_s >= 1)
            ret[HEALTH_FLASH_BYTES_PER_DAY] = ret[HEALTH_FLASH_WRITTEN_BYTES] / since_s * 86400;
    }
}

static void read_machine(struct health *h, double *ret)
{
    uint64_t v[8] = {0}, all = 0, idle;
    struct statvfs disk;
    const char *at;

    if (slurp(h, "/proc/stat") && sscanf(h->file,
                                         "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                                         " %" SCNu64 " %" SCNu64 " %" SCNu64,
                                         &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) >= 5) {
        for (unsigned i = 0; i < 8; i++)
            all += v[i];
        idle = v[3] + v[4];
        /* Idle time may go back a little (proc(5)); a share is never negative. */
        if (all > h->last_all)
            ret[HEALTH_MACHINE_CPU_PERCENT] =
                fmin(100, fmax(0, 100 * ((double)(all - idle) - (double)h->last_busy) /
                                      (double)(all - h->last_all)));
        h->last_all = all;
        h->last_busy = all - idle;
    }
    if (slurp(h, "/proc/meminfo") && (at = strstr(h->file, "MemAvailable:")) != NULL)
        ret[HEALTH_MEMORY_AVAILABLE_BYTES] = strtod(at + strlen("MemAvailable:"), NULL) * 1024;
    if (statvfs(h->state_dir, &disk) == 0)
        ret[HEALTH_DISK_FREE_BYTES] = (double)disk.f_bavail * (double)disk.f_frsize;
    each_entry(h, "/sys/class/thermal", on_zone, ret);
    each_entry(h, "/sys/class/power_supply", on_supply, ret);
}

double health_percent(double percent)
{
    return round(percent * 100) / 100;
}

void health_read(struct health *h, int64_t mono_ns, double ret[HEALTH_MEASURES])
{
    for (unsigned i = 0; i < HEALTH_MEASURES; i++)
        ret[i] = NAN;
    read_process(h, mono_ns, ret);
    read_machine(h, ret);
    /* More places than these only look exact. */
    ret[HEALTH_CPU_PERCENT] = health_percent(ret[HEALTH_CPU_PERCENT]);
    ret[HEALTH_MACHINE_CPU_PERCENT] = health_percent(ret[HEALTH_MACHINE_CPU_PERCENT]);
    ret[HEALTH_FLASH_BYTES_PER_DAY] = round(ret[HEALTH_FLASH_BYTES_PER_DAY]);
    h->last_mono_ns = mono_ns;
    h->has_last = true;
}
