/* health.h - what a device says of its own state: the machine it runs on, its link, its delays.
 *
 * Measures are doubles with a name, in the health record (proto Health.measures) and in `status`; NaN is "not
 * known here" and is left out. Those of the machine are read here, from /proc and /sys (proc(5),
 * Documentation/ABI/testing/sysfs-class-power, sysfs-class-thermal) and statvfs(3); the owner fills in the
 * others. Threads: one owner. Limits: no allocation after health_new; a file that hangs would hang the
 * caller, so only files that the kernel answers from memory are read on each report. */
#ifndef FOGLINE_DEVICE_HEALTH_H
#define FOGLINE_DEVICE_HEALTH_H

#include "base/err.h"

#include <stdint.h>

enum health_measure {
    /* of the machine and the process, by health_read */
    HEALTH_CPU_PERCENT,
    HEALTH_MACHINE_CPU_PERCENT,
    HEALTH_RSS_BYTES,
    HEALTH_MEMORY_AVAILABLE_BYTES,
    HEALTH_DISK_FREE_BYTES,
    HEALTH_FLASH_WRITTEN_BYTES,
    HEALTH_FLASH_BYTES_PER_DAY,
    HEALTH_TEMPERATURE_CEL,
    HEALTH_BATTERY_PERCENT,
    HEALTH_BATTERY_CHARGING,
    HEALTH_MAINS_ONLINE,
    /* of the pipeline, by the owner */
    HEALTH_LINK_UP,
    HEALTH_ROUND_TRIP_MS,
    HEALTH_SPOOL_USED_PERCENT,
    HEALTH_EXPOSURE_MS,
    HEALTH_EXPOSURE_BYTES,
    HEALTH_TICK_LATE_P50_US,
    HEALTH_TICK_LATE_P99_US,
    HEALTH_TICK_LATE_MAX_US,
    HEALTH_CLOCK_STATE,
    HEALTH_CLOCK_ERROR_US,
    HEALTH_MEASURES
};

struct health_info {
    const char *name; /* with its unit last */
    const char *help; /* one line */
};
extern const struct health_info health_info[HEALTH_MEASURES];

struct health;

double health_percent(double percent); /* to two places; NaN stays NaN */

/* root: "" or a folder that stands for /, for tests; state_dir: whose disk is measured. Both copied. */
must_check int health_new(struct health **ret_h, const char *root, const char *state_dir);
struct health *health_free(struct health *h); /* accepts NULL */
/* Sets every measure: those of the machine as read now, the others NaN. Shares are over the time since the
 * call before; at the first call, where there is none, since the start of the process or the machine. */
void health_read(struct health *h, int64_t mono_ns, double ret[HEALTH_MEASURES]);

#endif
