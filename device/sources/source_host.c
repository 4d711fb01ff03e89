/* source_host.c - what this machine says of itself: processor, memory, load, network, disks, temperatures.
 *
 * Reads /proc and /sys only (proc(5), Documentation/admin-guide/iostats.rst,
 * Documentation/hwmon/sysfs-interface.rst). The channels are fixed when the source opens: interfaces, disks
 * and sensors that are there then. Rates are over the time since the reading before; in the first row, and
 * where a file cannot be read, cells are absent. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "device/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CHANNELS_MAX = 96,
    INTERFACES_MAX = 8,
    DISKS_MAX = 8,
    SENSORS_MAX = 16,
    FILE_BYTES = 16 * 1024,
    SECTOR_BYTES = 512, /* of /proc/diskstats, whatever the disk has */
};

struct host_config {
    struct source_config common;
    int64_t interval_ms;
};

/* A number that only grows, and what it was at the reading before. */
struct growing {
    uint64_t last;
    bool known;
};

struct named_pair {
    char name[SOURCE_NAME_BYTES];
    struct growing a, b; /* received and sent, read and written */
    uint32_t cell;       /* of a; b is the next */
};

struct sensor {
    char path[300];
    uint32_t cell;
};

enum { CPU_USER, CPU_SYSTEM, CPU_IOWAIT, CPU_OTHER, CPU_PARTS };
enum {
    CELL_CPU_USER,
    CELL_CPU_SYSTEM,
    CELL_CPU_IOWAIT,
    CELL_MEMORY_USED,
    CELL_MEMORY_AVAILABLE,
    CELL_SWAP_USED,
    CELL_LOAD,
    CELL_PROCESSES,
    CELL_FIRST_FREE
};

struct host {
    struct host_config config;
    struct source_channel channels[CHANNELS_MAX];
    char names[CHANNELS_MAX][SOURCE_NAME_BYTES];
    struct cell cells[CHANNELS_MAX];
    uint32_t n, group;
    struct growing cpu[CPU_PARTS];
    struct named_pair interfaces[INTERFACES_MAX], disks[DISKS_MAX];
    uint32_t n_interfaces, n_disks, n_sensors;
    struct sensor sensors[SENSORS_MAX];
    int64_t last_mono_ns;
    char file[FILE_BYTES];
};

static const struct config_row rows[] = {
    {"interval_ms", CONFIG_MS, CONFIG_AT(struct host_config, interval_ms), .min = "100 ms", .max = "1 h",
     .def = "1 s", .help = "Time between two readings."},
    {0},
};

/* A whole small file as text in h->file; false when it cannot be read. */
static bool slurp(struct host *h, const char *path)
{
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 0;

    if (fd < 0)
        return false;
    while (len < sizeof h->file - 1 && (n = read(fd, h->file + len, sizeof h->file - 1 - len)) > 0)
        len += (size_t)n;
    h->file[len] = '\0';
    return n >= 0 && len > 0;
}

static __attribute__((format(printf, 4, 5))) uint32_t add_channel(struct host *h, const char *unit,
                                                                  enum column_type type, const char *fmt, ...)
{
    char raw[2 * SOURCE_NAME_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    name_part_mend(raw, strlen(raw), h->names[h->n]);
    for (uint32_t i = 0, k = 2; i < h->n; i++)
        if (strcmp(h->names[i], h->names[h->n]) == 0) {
            snprintf(h->names[h->n], SOURCE_NAME_BYTES, "%.58s-%u", raw, k++);
            name_part_mend(h->names[h->n], strlen(h->names[h->n]), h->names[h->n]);
            i = 0;
        }
    h->channels[h->n] = (struct source_channel){h->names[h->n], unit, type};
    return h->n++;
}

static void set(struct host *h, uint32_t cell, double v)
{
    h->cells[cell] = (struct cell){.f64 = v};
}

/* Difference to the reading before; false the first time and when it went back (a counter that began anew).
 */
static bool grown(struct growing *g, uint64_t now, double *ret_by)
{
    bool ok = g->known && now >= g->last;

    *ret_by = ok ? (double)(now - g->last) : 0;
    g->last = now;
    g->known = true;
    return ok;
}

static void rate(struct host *h, struct growing *g, uint64_t now, double seconds, uint32_t cell)
{
    double by;

    if (grown(g, now, &by) && seconds > 0)
        set(h, cell, by / seconds);
}

static void read_cpu(struct host *h)
{
    uint64_t v[8] = {0};
    double part[CPU_PARTS], sum = 0;
    bool ok = true;

    if (!slurp(h, "/proc/stat") || sscanf(h->file,
                                          "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                                          " %" SCNu64 " %" SCNu64 " %" SCNu64,
                                          &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) < 5)
        return;
    /* user nice system idle iowait irq softirq steal */
    ok &= grown(&h->cpu[CPU_USER], v[0] + v[1], &part[CPU_USER]);
    ok &= grown(&h->cpu[CPU_SYSTEM], v[2] + v[5] + v[6], &part[CPU_SYSTEM]);
    ok &= grown(&h->cpu[CPU_IOWAIT], v[4], &part[CPU_IOWAIT]);
    ok &= grown(&h->cpu[CPU_OTHER], v[3] + v[7], &part[CPU_OTHER]);
    for (unsigned i = 0; i < CPU_PARTS; i++)
        sum += part[i];
    for (unsigned i = 0; ok && sum > 0 && i < CPU_OTHER; i++)
        set(h, CELL_CPU_USER + i, (double)(int64_t)(1000 * part[i] / sum + 0.5) / 10);
}

static bool memory_line(const struct host *h, const char *key, double *ret_bytes)
{
    const char *at = strstr(h->file, key);
    uint64_t kib;

    if (at == NULL || sscanf(at + strlen(key), " %" SCNu64, &kib) != 1)
        return false;
    *ret_bytes = (double)kib * 1024;
    return true;
}

static void read_memory(struct host *h)
{
    double total, available, swap, swap_free;

    if (!slurp(h, "/proc/meminfo"))
        return;
    if (memory_line(h, "MemTotal:", &total) && memory_line(h, "MemAvailable:", &available)) {
        set(h, CELL_MEMORY_USED, total - available);
        set(h, CELL_MEMORY_AVAILABLE, available);
    }
    if (memory_line(h, "SwapTotal:", &swap) && memory_line(h, "SwapFree:", &swap_free))
        set(h, CELL_SWAP_USED, swap - swap_free);
}

static void read_load(struct host *h)
{
    double load;
    unsigned running, all;

    if (!slurp(h, "/proc/loadavg") || sscanf(h->file, "%lf %*f %*f %u/%u", &load, &running, &all) != 3)
        return;
    set(h, CELL_LOAD, load);
    h->cells[CELL_PROCESSES] = (struct cell){.i64 = (int64_t)all};
}

typedef void (*pair_fn)(struct host *h, const char *name, uint64_t a, uint64_t b, double seconds);

/* Each interface of /proc/net/dev: bytes received and sent. */
static void each_interface(struct host *h, pair_fn fn, double seconds)
{
    char *line, *rest = h->file;

    if (!slurp(h, "/proc/net/dev"))
        return;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char name[SOURCE_NAME_BYTES];
        uint64_t rx, tx;

        if (sscanf(line, " %64[^: ]: %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, name, &rx, &tx) == 3)
            fn(h, name, rx, tx, seconds);
    }
}

/* Each whole disk of /proc/diskstats that has ever done anything: bytes read and written. */
static void each_disk(struct host *h, pair_fn fn, double seconds)
{
    char *line, *rest = h->file;

    if (!slurp(h, "/proc/diskstats"))
        return;
    while ((line = strsep(&rest, "\n")) != NULL) {
        char name[SOURCE_NAME_BYTES], path[128];
        uint64_t rd, wr;
        struct stat st;

        if (sscanf(line, " %*u %*u %64s %*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64, name, &rd, &wr) != 3 ||
            rd + wr == 0 || strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0)
            continue;
        snprintf(path, sizeof path, "/sys/block/%s", name); /* partitions are not there */
        if (stat(path, &st) == 0)
            fn(h, name, rd * SECTOR_BYTES, wr * SECTOR_BYTES, seconds);
    }
}

static void add_interface(struct host *h, const char *name, uint64_t rx, uint64_t tx, double seconds)
{
    struct named_pair *p = &h->interfaces[h->n_interfaces];

    (void)rx;
    (void)tx;
    (void)seconds;
    if (h->n_interfaces == INTERFACES_MAX)
        return;
    h->n_interfaces++;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->cell = add_channel(h, "By/s", COLUMN_DOUBLE, "net.%s.rx", name);
    add_channel(h, "By/s", COLUMN_DOUBLE, "net.%s.tx", name);
}

static void add_disk(struct host *h, const char *name, uint64_t rd, uint64_t wr, double seconds)
{
    struct named_pair *p = &h->disks[h->n_disks];

    (void)rd;
    (void)wr;
    (void)seconds;
    if (h->n_disks == DISKS_MAX)
        return;
    h->n_disks++;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->cell = add_channel(h, "By/s", COLUMN_DOUBLE, "disk.%s.read", name);
    add_channel(h, "By/s", COLUMN_DOUBLE, "disk.%s.write", name);
}

static void read_pair(struct host *h, struct named_pair *pairs, uint32_t n, const char *name,
                      const uint64_t now[2], double seconds)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(pairs[i].name, name) == 0) {
            rate(h, &pairs[i].a, now[0], seconds, pairs[i].cell);
            rate(h, &pairs[i].b, now[1], seconds, pairs[i].cell + 1);
        }
}

static void read_interface(struct host *h, const char *name, uint64_t rx, uint64_t tx, double seconds)
{
    read_pair(h, h->interfaces, h->n_interfaces, name, (const uint64_t[]){rx, tx}, seconds);
}

static void read_disk(struct host *h, const char *name, uint64_t rd, uint64_t wr, double seconds)
{
    read_pair(h, h->disks, h->n_disks, name, (const uint64_t[]){rd, wr}, seconds);
}

static bool add_sensor(struct host *h, const char *path, const char *channel)
{
    struct sensor *s = &h->sensors[h->n_sensors];

    if (h->n_sensors == SENSORS_MAX || h->n == CHANNELS_MAX || !slurp(h, path))
        return false;
    h->n_sensors++;
    snprintf(s->path, sizeof s->path, "%s", path);
    s->cell = add_channel(h, "Cel", COLUMN_DOUBLE, "%s", channel);
    return true;
}

/* First line of a file as a word for a channel's name. */
static void label_of(struct host *h, const char *path, const char *otherwise, char out[40])
{
    snprintf(out, 40, "%s", otherwise);
    if (slurp(h, path))
        snprintf(out, 40, "%.*s", (int)strcspn(h->file, "\n"), h->file);
}

static void find_thermal_zones(struct host *h)
{
    for (unsigned i = 0; i < SENSORS_MAX; i++) {
        char path[80], label[40], channel[80];

        snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%u/type", i);
        snprintf(channel, sizeof channel, "zone%u", i);
        label_of(h, path, channel, label);
        snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%u/temp", i);
        snprintf(channel, sizeof channel, "temp.%s", label);
        if (!add_sensor(h, path, channel))
            return;
    }
}

static void find_hwmon(struct host *h)
{
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 1; k <= 8; k++) {
            char path[80], chip[40], label[40], channel[96];

            snprintf(path, sizeof path, "/sys/class/hwmon/hwmon%u/name", i);
            label_of(h, path, "hwmon", chip);
            snprintf(path, sizeof path, "/sys/class/hwmon/hwmon%u/temp%u_label", i, k);
            snprintf(channel, sizeof channel, "%u", k);
            label_of(h, path, channel, label);
            snprintf(path, sizeof path, "/sys/class/hwmon/hwmon%u/temp%u_input", i, k);
            snprintf(channel, sizeof channel, "temp.%s.%s", chip, label);
            add_sensor(h, path, channel);
        }
}

static int host_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct host *h = calloc(1, sizeof *h);

    (void)err;
    if (h == NULL)
        return -ENOMEM;
    h->config = *(const struct host_config *)o->config;
    add_channel(h, "%", COLUMN_DOUBLE, "cpu.user");
    add_channel(h, "%", COLUMN_DOUBLE, "cpu.system");
    add_channel(h, "%", COLUMN_DOUBLE, "cpu.iowait");
    add_channel(h, "By", COLUMN_DOUBLE, "memory.used");
    add_channel(h, "By", COLUMN_DOUBLE, "memory.available");
    add_channel(h, "By", COLUMN_DOUBLE, "swap.used");
    add_channel(h, "", COLUMN_DOUBLE, "load.1min");
    add_channel(h, "", COLUMN_INT64, "tasks");
    each_interface(h, add_interface, 0);
    each_disk(h, add_disk, 0);
    find_thermal_zones(h);
    find_hwmon(h);
    *ret_self = h;
    return 0;
}

static void host_close(void *self)
{
    free(self);
}

static int host_declare(void *self, const struct source_sink *sink)
{
    struct host *h = self;
    struct source_group group = {h->channels, h->n};

    return sink->group(sink->ctx, &group, &h->group);
}

static void read_sensors(struct host *h)
{
    for (uint32_t i = 0; i < h->n_sensors; i++) {
        int64_t milli;

        if (slurp(h, h->sensors[i].path) && sscanf(h->file, "%" SCNd64, &milli) == 1)
            set(h, h->sensors[i].cell, (double)milli / 1000);
    }
}

static int host_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct host *h = self;
    double seconds = h->last_mono_ns != 0 ? (double)(now->mono_ns - h->last_mono_ns) / (double)NS_PER_S : 0;
    struct source_row row = {.group = h->group,
                             .time_ns = now->wall_unix_ns,
                             .mono_ns = (uint64_t)now->mono_ns,
                             .cells = h->cells,
                             .n_cells = h->n};
    int rc;

    (void)ret_next_ns;
    for (uint32_t i = 0; i < h->n; i++)
        h->cells[i] = (struct cell){.absent = true};
    read_cpu(h);
    read_memory(h);
    read_load(h);
    each_interface(h, read_interface, seconds);
    each_disk(h, read_disk, seconds);
    read_sensors(h);
    h->last_mono_ns = now->mono_ns;
    rc = sink->row(sink->ctx, &row);
    return rc < 0 ? rc : 0;
}

static int64_t host_interval_ms(const void *self)
{
    const struct host *h = self;

    return h->config.interval_ms;
}

const struct source_kind source_host = {
    .name = "host",
    .help = "Reads this machine's own state: processor, memory, load, network, disks and temperatures.",
    .rows = rows,
    .config_bytes = sizeof(struct host_config),
    .open = host_open,
    .close = host_close,
    .declare = host_declare,
    .interval_ms = host_interval_ms,
    .step = host_step,
};
