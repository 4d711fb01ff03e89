/* sysfs_source.h - a source whose sensors are devices of one class of /sys (sysfs.h): a thread for each.
 *
 * Each device is a group, its channels are called `device.channel`. Devices that come later are taken as
 * well. One that is gone is bad, with one event, until one of its name is there again, under whatever number;
 * a single file that cannot be read or holds no number costs its cell, with one event when that begins and
 * one when it is over, and is tried again after waits that double up to a minute. A device whose file hangs
 * holds up its own cells only (reader.h).
 *
 * Threads: as source.h; whatever touches /sys runs on the readers' threads. Limits: SYSFS_UNITS_MAX devices.
 */
#ifndef FOGLINE_DEVICE_SYSFS_SOURCE_H
#define FOGLINE_DEVICE_SYSFS_SOURCE_H

#include "device/source.h"
#include "device/sources/sysfs.h"

enum { SYSFS_UNITS_MAX = 32, SYSFS_ENTRIES_MAX = 32, SYSFS_ENTRY_CHARS = 2 * NAME_PART_CHARS };

/* Configuration of every such kind. */
struct sysfs_config {
    struct source_config common;
    int64_t interval_ms;
    char root[SYSFS_ROOT_BYTES];
    struct config_strings devices, select;
};

#define SYSFS_ROW_INTERVAL(least, usual)                                                                     \
    {                                                                                                        \
        "interval_ms", CONFIG_MS, CONFIG_AT(struct sysfs_config, interval_ms),                               \
            .min = least, .max = "1 h", .def = usual, .help = "Time between two readings."                   \
    }
#define SYSFS_ROW_DEVICES(text)                                                                              \
    {                                                                                                        \
        "devices", CONFIG_STRINGS, CONFIG_AT(struct sysfs_config, devices), .max = "32", .help = text        \
    }
#define SYSFS_ROW_SELECT                                                                                     \
    {                                                                                                        \
        "select", CONFIG_STRINGS, CONFIG_AT(struct sysfs_config, select),                                    \
            .item = CONFIG_PATTERN, .max = "32",                                                             \
            .help = "Channels that are read, as device.channel; * matches any run of characters, {a,b} one " \
                    "of these. Without it all."                                                              \
    }
#define SYSFS_ROW_ROOT                                                                                       \
    {                                                                                                        \
        "root", CONFIG_PATH, CONFIG_AT(struct sysfs_config, root),                                           \
            .help = "Folder in which /sys is looked for; empty: the machine's own."                          \
    }

must_check int sysfs_source_open(const struct sysfs_class *class, const struct source_open *o,
                                 void **ret_self, struct errmsg *err);
void sysfs_source_close(void *self);
int sysfs_source_step(void *self, const struct source_sink *sink, const struct source_now *now,
                      int64_t *ret_next_ns);
int sysfs_source_fd(const void *self);

#endif
