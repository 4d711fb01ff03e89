/* source_host.c - what this machine says of itself: processor, memory, load, network, disks, temperatures.
 *
 * Reads /proc and /sys only (proc(5), Documentation/admin-guide/iostats.rst,
 * Documentation/hwmon/sysfs-interface.rst). The channels are fixed when the source opens: interfaces, disks
 * and sensors that are there then. Rates are over the time since the reading before; in the first row, and
 * where a file cannot be read, cells are absent. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "device/sources/host_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPU_USER, CPU_SYSTEM, CPU_IOWAIT, CPU_OTHER };
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

static const struct config_row rows[] = {
    {"interval_ms", CONFIG_MS, CONFIG_AT(struct host_config, interval_ms), .min = "100 ms", .max = "1 h",
     .def = "1 s", .help = "Time between two readings."},
    {0},
};

bool host_slurp(struct host *h, const char *path)
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

uint32_t host_add_channel(struct host *h, const char *unit, enum column_type type, const char *fmt, ...)
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

void host_set(struct host *h, uint32_t cell, double v)
{
    h->cells[cell] = (struct cell){.f64 = v};
}

/* Difference to the reading before; false the first time and when it went back (a counter that began anew).
 */
static bool grown(struct host_growing *g, uint64_t now, double *ret_by)
{
    bool ok = g->known && now >= g->last;

    *ret_by = ok ? (double)(now - g->last) : 0;
    g->last = now;
    g->known = true;
    return ok;
}

void host_rate(struct host *h, struct host_growing *g, uint64_t now, double seconds, uint32_t cell)
{
    double by;

    if (grown(g, now, &by) && seconds > 0)
        host_set(h, cell, by / seconds);
}

static void read_cpu(struct host *h)
{
    uint64_t v[8] = {0};
    double part[HOST_CPU_PARTS], sum = 0;
    bool ok = true;

    if (!host_slurp(h, "/proc/stat") || sscanf(h->file,
                                               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                                               " %" SCNu64 " %" SCNu64 " %" SCNu64,
                                               &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) < 5)
        return;
    /* user nice system idle iowait irq softirq steal */
    ok &= grown(&h->cpu[CPU_USER], v[0] + v[1], &part[CPU_USER]);
    ok &= grown(&h->cpu[CPU_SYSTEM], v[2] + v[5] + v[6], &part[CPU_SYSTEM]);
    ok &= grown(&h->cpu[CPU_IOWAIT], v[4], &part[CPU_IOWAIT]);
    ok &= grown(&h->cpu[CPU_OTHER], v[3] + v[7], &part[CPU_OTHER]);
    for (unsigned i = 0; i < HOST_CPU_PARTS; i++)
        sum += part[i];
    for (unsigned i = 0; ok && sum > 0 && i < CPU_OTHER; i++)
        host_set(h, CELL_CPU_USER + i, (double)(int64_t)(1000 * part[i] / sum + 0.5) / 10);
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

    if (!host_slurp(h, "/proc/meminfo"))
        return;
    if (memory_line(h, "MemTotal:", &total) && memory_line(h, "MemAvailable:", &available)) {
        host_set(h, CELL_MEMORY_USED, total - available);
        host_set(h, CELL_MEMORY_AVAILABLE, available);
    }
    if (memory_line(h, "SwapTotal:", &swap) && memory_line(h, "SwapFree:", &swap_free))
        host_set(h, CELL_SWAP_USED, swap - swap_free);
}

static void read_load(struct host *h)
{
    double load;
    unsigned running, all;

    if (!host_slurp(h, "/proc/loadavg") || sscanf(h->file, "%lf %*f %*f %u/%u", &load, &running, &all) != 3)
        return;
    host_set(h, CELL_LOAD, load);
    h->cells[CELL_PROCESSES] = (struct cell){.i64 = (int64_t)all};
}

static int host_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct host *h = calloc(1, sizeof *h);

    (void)err;
    if (h == NULL)
        return -ENOMEM;
    h->config = *(const struct host_config *)o->config;
    host_add_channel(h, "%", COLUMN_DOUBLE, "cpu.user");
    host_add_channel(h, "%", COLUMN_DOUBLE, "cpu.system");
    host_add_channel(h, "%", COLUMN_DOUBLE, "cpu.iowait");
    host_add_channel(h, "By", COLUMN_DOUBLE, "memory.used");
    host_add_channel(h, "By", COLUMN_DOUBLE, "memory.available");
    host_add_channel(h, "By", COLUMN_DOUBLE, "swap.used");
    host_add_channel(h, "", COLUMN_DOUBLE, "load.1min");
    host_add_channel(h, "", COLUMN_INT64, "tasks");
    host_find_counters(h);
    host_find_sensors(h);
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
    host_read_counters(h, seconds);
    host_read_sensors(h);
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
