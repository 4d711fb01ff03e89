/* host_private.h - a source `host`, for source_host.c (the kind; processor, memory, load), host_counters.c
 * (interfaces and disks) and host_sensors.c (temperatures) only. */
#ifndef FOGLINE_DEVICE_HOST_PRIVATE_H
#define FOGLINE_DEVICE_HOST_PRIVATE_H

#include "device/source.h"

enum {
    HOST_CHANNELS_MAX = 96,
    HOST_INTERFACES_MAX = 8,
    HOST_DISKS_MAX = 8,
    HOST_SENSORS_MAX = 16,
    HOST_FILE_BYTES = 16 * 1024,
    HOST_CPU_PARTS = 4, /* user, system, iowait, other */
};

struct host_config {
    struct source_config common;
    int64_t interval_ms;
};

/* A number that only grows, and what it was at the reading before. */
struct host_growing {
    uint64_t last;
    bool known;
};

struct host_pair {
    char name[SOURCE_NAME_BYTES];
    struct host_growing a, b; /* received and sent, read and written */
    uint32_t cell;            /* of a; b is the next */
};

struct host_sensor {
    char path[300];
    uint32_t cell;
};

struct host {
    struct host_config config;
    struct source_channel channels[HOST_CHANNELS_MAX];
    char names[HOST_CHANNELS_MAX][SOURCE_NAME_BYTES];
    struct cell cells[HOST_CHANNELS_MAX];
    uint32_t n, group;
    struct host_growing cpu[HOST_CPU_PARTS];
    struct host_pair interfaces[HOST_INTERFACES_MAX], disks[HOST_DISKS_MAX];
    uint32_t n_interfaces, n_disks, n_sensors;
    struct host_sensor sensors[HOST_SENSORS_MAX];
    int64_t last_mono_ns;
    char file[HOST_FILE_BYTES];
};

/* source_host.c */
/* A whole small file as text in h->file; false when it cannot be read. */
bool host_slurp(struct host *h, const char *path);
/* The cell of a new channel. There must be room. */
uint32_t host_add_channel(struct host *h, const char *unit, enum column_type type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void host_set(struct host *h, uint32_t cell, double v);
/* By the second, into the cell; nothing the first time and when it went back. */
void host_rate(struct host *h, struct host_growing *g, uint64_t now, double seconds, uint32_t cell);

/* host_counters.c: those that are there, when the source opens; their rates since the reading before. */
void host_find_counters(struct host *h);
void host_read_counters(struct host *h, double seconds);

/* host_sensors.c: the same of temperatures. */
void host_find_sensors(struct host *h);
void host_read_sensors(struct host *h);

#endif
