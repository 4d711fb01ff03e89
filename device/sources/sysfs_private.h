/* sysfs_private.h - a source of devices in /sys from inside: its units, and finding their devices. */
#ifndef FOGLINE_DEVICE_SYSFS_PRIVATE_H
#define FOGLINE_DEVICE_SYSFS_PRIVATE_H

#include "device/sources/reader.h"
#include "device/sources/sysfs_source.h"

#include <pthread.h>
#include <stdatomic.h>

struct sysfs_source;

/* Something that may fail for long: told once, tried again after waits that double. */
struct trouble {
    bool is_told;
    int64_t wait_ns, next_try_ns;
};

/* A device, or the one that is looked for: the last of the source's units. */
struct unit {
    struct sysfs_source *source;
    struct source_reader *reader;
    /* Set once, after all that the act thread reads below. */
    atomic_bool is_known;
    struct sysfs_device device; /* path, folder, number: written by the unit's thread with the lock held */
    bool is_lost;               /* likewise */
    bool has_hired;             /* the next one to look is at work */
    struct trouble loss;
    char label[NAME_PART_CHARS + 1];
    uint32_t n;
    struct sysfs_channel files[SYSFS_CHANNELS_MAX];
    struct source_channel channels[SYSFS_CHANNELS_MAX];
    char names[SYSFS_CHANNELS_MAX][NAME_PART_CHARS + 1];
    struct trouble troubles[SYSFS_CHANNELS_MAX];
    double last[SYSFS_CHANNELS_MAX]; /* the last good value, or NaN */
    struct cell cells[SYSFS_CHANNELS_MAX];
    atomic_uint doing; /* the channel being read */
};

struct entries {
    char at[SYSFS_ENTRIES_MAX][SYSFS_ENTRY_CHARS + 1];
    unsigned n;
};

/* Lives until the last thread is out of it: one that is stuck keeps it. */
struct sysfs_source {
    const struct sysfs_class *class;
    int64_t interval_ns;
    char root[SYSFS_ROOT_BYTES], name[SOURCE_NAME_BYTES];
    struct entries devices, select;
    int poll_fd; /* readable when a unit's reader is */
    atomic_uint references;
    pthread_mutex_t lock;
    bool is_closing; /* with the lock */
    struct unit *units[SYSFS_UNITS_MAX];
    atomic_uint n_units;
    /* Of the unit that looks for devices. */
    bool is_found[SYSFS_ENTRIES_MAX], is_missing_told[SYSFS_ENTRIES_MAX];
    bool is_nothing_told;
};

/* All on the thread of a unit. */

void trouble_failed(struct trouble *t, struct source_reader *r, const struct source_now *tick,
                    int64_t interval_ns, const char *channel, const char *why);
void trouble_is_over(struct trouble *t, struct source_reader *r, const char *channel, const char *what);
/* Looks for a device that no unit has. false: there is none. */
bool unit_adopt(struct unit *u, struct source_reader *r);
/* Looks for the device that the unit lost, when it is time. */
void unit_look_again(struct unit *u, struct source_reader *r, const struct source_now *tick);

#endif
