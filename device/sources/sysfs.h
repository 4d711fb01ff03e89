/* sysfs.h - sensors that are folders of /sys: finding them, and reading their small files.
 *
 * A class says where its devices are and what their files mean; what is the same for all of them is here and
 * in sysfs_source.h. A device is known by its name, which it keeps, never by its number, which depends on the
 * order of drivers. Where several have the same name, the place on its bus ("1-0048") tells them apart.
 * Threads: none of its own; no hidden state. */
#ifndef FOGLINE_DEVICE_SYSFS_H
#define FOGLINE_DEVICE_SYSFS_H

#include "base/err.h"
#include "base/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SYSFS_ROOT_BYTES = 512,
    SYSFS_PATH_BYTES = 640,
    SYSFS_FILE_BYTES = 80,
    SYSFS_TEXT_BYTES = 256,
    SYSFS_DEVICES_MAX = 64,
    SYSFS_CHANNELS_MAX = 64, /* of a device */
};

struct sysfs_channel {
    char name[NAME_PART_CHARS + 1]; /* without the device's; empty: the device has just the one */
    const char *unit;               /* UCUM */
    char file[SYSFS_FILE_BYTES];    /* in the folder of the device */
    /* value = (read + offset) * scale / divisor. Files, empty: 0 and 1. */
    char scale[SYSFS_FILE_BYTES], offset[SYSFS_FILE_BYTES];
    double divisor; /* to the unit: 1000 of millidegrees; dividing keeps the decimals short */
};

struct sysfs_folder {
    const char *path, *prefix; /* "/sys/class/hwmon", "hwmon" */
    const char *name_file;     /* in a device's folder; NULL: the folder is called like the device */
};

struct sysfs_device {
    char path[SYSFS_PATH_BYTES];
    char folder[NAME_PART_CHARS + 1]; /* last part of path: "hwmon3" */
    char name[NAME_PART_CHARS + 1];   /* a name part */
    char place[NAME_PART_CHARS + 1];  /* on its bus; may be empty */
    int64_t number;                   /* behind the prefix; -1: none */
    const struct sysfs_folder *kind;
};

struct sysfs_class {
    const char *noun; /* "chip": of one device */
    const struct sysfs_folder *folders;
    unsigned n_folders;
    /* The channels, at most SYSFS_CHANNELS_MAX, 0: none or no device of this class. Opens no file whose
     * reading asks the hardware. */
    uint32_t (*list)(const struct sysfs_device *d, struct sysfs_channel *out);
    /* 0, or negative errno with *why naming the file. NULL: sysfs_value. May block. */
    int (*value)(const char *path, const struct sysfs_channel *c, double *ret_value, struct errmsg *why);
    /* enum quality of a value that was read; last: the good one before, NaN when there is none. NULL: good.
     */
    uint8_t (*quality)(double value, double last);
};

extern const struct sysfs_class sysfs_iio, sysfs_hwmon, sysfs_onewire;

/* Devices that are there now, in the order of their numbers or names. root: "" or a folder in front of all
 * paths. Opens only files of names, and none of them to wait for. */
uint32_t sysfs_scan(const struct sysfs_class *class, const char *root,
                    struct sysfs_device out[SYSFS_DEVICES_MAX]);
/* Does path still belong to the device that was found there? */
bool sysfs_is_still(const struct sysfs_device *d);
/* Does an entry of the configuration name it: its name or a pattern of it, its number, its folder? */
bool sysfs_is_called(const struct sysfs_device *d, const char *entry);
bool sysfs_name_matches(const char *pattern, const char *name);

/* A whole small file as text, without the white space at its end. waits: false for a file that is read at
 * once, so that anything else in its place is empty. 0, or negative errno with *why (may be NULL) naming the
 * file; -EFBIG when it is longer. */
must_check int sysfs_text(const char *path, bool waits, char out[SYSFS_TEXT_BYTES], struct errmsg *why);
/* A finite number. -EBADMSG: something else stands there. */
must_check int sysfs_number(const char *path, double *ret_value, struct errmsg *why);
must_check int sysfs_value(const char *path, const struct sysfs_channel *c, double *ret_value,
                           struct errmsg *why);

/* Names of a folder's entries, sorted by the numbers in them ("temp2" before "temp10"). For each that begins
 * with prefix, until `each` returns false. */
void sysfs_each(const char *path, const char *prefix, bool (*each)(void *ctx, const char *entry), void *ctx);

#endif
