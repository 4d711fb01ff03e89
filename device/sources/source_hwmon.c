/* source_hwmon.c - chips that watch a machine, and its thermal zones: /sys/class/hwmon, /sys/class/thermal.
 *
 * (Documentation/hwmon/sysfs-interface.rst, Documentation/ABI/testing/sysfs-class-thermal.) Temperatures,
 * voltages, currents, powers, energies, fans, humidities and frequencies; a channel is called by its label,
 * or like its file. A chip that only repeats a thermal zone or a 1-wire sensor is left out. */
#include "device/sources/sysfs_source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct sysfs_folder folders[] = {
    {"/sys/class/hwmon", "hwmon", "name"},
    {"/sys/class/thermal", "thermal_zone", "type"},
};

static const struct measured {
    const char *prefix, *unit;
    double divisor;
} measured[] = {
    {"curr", "A", 1e3},     {"energy", "J", 1e6}, {"fan", "/min", 1},  {"freq", "Hz", 1},
    {"humidity", "%", 1e3}, {"in", "V", 1e3},     {"power", "W", 1e6}, {"temp", "Cel", 1e3},
};

struct list {
    const struct sysfs_device *device;
    struct sysfs_channel *out;
    uint32_t n;
};

static void choose_name(struct list *l, struct sysfs_channel *c, const char *stem)
{
    char path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES], label[SYSFS_TEXT_BYTES];

    snprintf(path, sizeof path, "%s/%s_label", l->device->path, stem);
    if (sysfs_text(path, false, label, NULL) != 0 || label[0] == '\0')
        snprintf(label, sizeof label, "%s", stem);
    name_part_mend(label, strlen(label), c->name);
    for (uint32_t i = 0; i < l->n; i++)
        if (strcmp(l->out[i].name, c->name) == 0)
            name_part_mend(stem, strlen(stem), c->name);
}

/* PREFIXn_input, or of a power that is only known as a mean PREFIXn_average. */
static bool add_file(void *ctx, const char *entry)
{
    struct list *l = ctx;
    const struct measured *m = measured, *end = measured + sizeof measured / sizeof measured[0];
    char stem[SYSFS_FILE_BYTES], path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];
    const char *tail = strchr(entry, '_');
    struct sysfs_channel *c = &l->out[l->n];
    size_t n = 0;

    if (tail == NULL || strlen(entry) >= SYSFS_FILE_BYTES - 8)
        return true;
    while (isalpha((unsigned char)entry[n]))
        n++;
    while (m < end && (strlen(m->prefix) != n || strncmp(m->prefix, entry, n) != 0))
        m++;
    if (m == end || entry + n + strspn(entry + n, "0123456789") != tail)
        return true;
    snprintf(stem, sizeof stem, "%.*s", (int)(tail - entry), entry);
    snprintf(path, sizeof path, "%s/%s_input", l->device->path, stem);
    if (strcmp(tail, "_input") != 0 && (strcmp(tail, "_average") != 0 || access(path, F_OK) == 0))
        return true;
    *c = (struct sysfs_channel){.unit = m->unit, .divisor = m->divisor};
    snprintf(c->file, sizeof c->file, "%s", entry);
    choose_name(l, c, stem);
    return ++l->n < SYSFS_CHANNELS_MAX;
}

static uint32_t list(const struct sysfs_device *d, struct sysfs_channel *out)
{
    static const char zone[] = "thermal_zone";
    struct list l = {d, out, 0};

    if (d->kind == &folders[1]) {
        out[0] = (struct sysfs_channel){.name = "temp", .unit = "Cel", .file = "temp", .divisor = 1e3};
        return 1;
    }
    if (strncmp(d->place, zone, sizeof zone - 1) != 0 && strcmp(d->name, "w1_slave_temp") != 0)
        sysfs_each(d->path, "", add_file, &l);
    return l.n;
}

const struct sysfs_class sysfs_hwmon = {
    .noun = "chip",
    .folders = folders,
    .n_folders = 2,
    .list = list,
};

static const struct config_row rows[] = {
    SYSFS_ROW_INTERVAL("100 ms", "1 s"),
    SYSFS_ROW_DEVICES(
        "Chips and thermal zones by name (nvme, cpu-thermal; * matches any run of characters) or "
        "folder (hwmon0). One found by number is known by its name from then on. Without it all."),
    SYSFS_ROW_SELECT,
    SYSFS_ROW_ROOT,
    {0},
};

static int hwmon_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    return sysfs_source_open(&sysfs_hwmon, o, ret_self, err);
}

const struct source_kind source_hwmon = {
    .name = "hwmon",
    .help = "Reads hardware monitoring chips and thermal zones: temperatures, voltages, fans, powers.",
    .rows = rows,
    .config_bytes = sizeof(struct sysfs_config),
    .open = hwmon_open,
    .close = sysfs_source_close,
    .step = sysfs_source_step,
    .fd = sysfs_source_fd,
};
