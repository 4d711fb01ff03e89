/* source_iio.c - sensors of the kernel's Industrial I/O: /sys/bus/iio/devices/iio:deviceN.
 *
 * (Documentation/ABI/testing/sysfs-bus-iio.) A channel is a file in_X_input, processed, or in_X_raw with a
 * scale and an offset, of the channel, of its kind or of the device: (raw + offset) * scale. A raw one
 * without a scale is a count. Units are made those of people: degrees instead of millidegrees, V instead of
 * mV. */
#include "device/sources/sysfs_source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct sysfs_folder folders[] = {{"/sys/bus/iio/devices", "iio:device", "name"}};

/* Of what in_KIND... is measured in. */
static const struct unit_of_kind {
    const char *kind, *unit;
    double divisor;
} units[] = {
    {"accel", "m/s2", 1},
    {"altvoltage", "V", 1e3},
    {"angl", "rad", 1},
    {"anglvel", "rad/s", 1},
    {"capacitance", "nF", 1},
    {"concentration", "%", 1},
    {"current", "A", 1e3},
    {"distance", "m", 1},
    {"electricalconductivity", "S/m", 1},
    {"energy", "J", 1},
    {"gravity", "m/s2", 1},
    {"humidityrelative", "%", 1e3},
    {"illuminance", "lx", 1},
    {"incli", "deg", 1},
    {"magn", "G", 1},
    {"massconcentration", "ug/m3", 1},
    {"phase", "rad", 1},
    {"positionrelative", "%", 1e3},
    {"power", "W", 1e3},
    {"pressure", "kPa", 1},
    {"resistance", "Ohm", 1},
    {"temp", "Cel", 1e3},
    {"velocity", "m/s", 1},
    {"voltage", "V", 1e3},
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

static bool is_there(const struct sysfs_device *d, const char *file)
{
    char path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];

    snprintf(path, sizeof path, "%s/%s", d->path, file);
    return access(path, F_OK) == 0;
}

/* The file "scale" or "offset" that is for in_X: its own, that of its kind, that of the device. */
static void find_setting(const struct sysfs_device *d, const char *x, const char *kind, const char *setting,
                         char out[SYSFS_FILE_BYTES])
{
    bool is_pair = strchr(x, '-') != NULL; /* two inputs against each other */

    snprintf(out, SYSFS_FILE_BYTES, "in_%s_%s", x, setting);
    if (is_there(d, out))
        return;
    snprintf(out, SYSFS_FILE_BYTES, "in_%s%s%s_%s", kind, is_pair ? "-" : "", is_pair ? kind : "", setting);
    if (is_there(d, out))
        return;
    snprintf(out, SYSFS_FILE_BYTES, "in_%s", setting);
    if (is_there(d, out))
        return;
    snprintf(out, SYSFS_FILE_BYTES, "%s", setting);
    if (is_there(d, out))
        return;
    out[0] = '\0';
}

struct list {
    const struct sysfs_device *device;
    struct sysfs_channel *out;
    uint32_t n;
};

static bool add_file(void *ctx, const char *entry)
{
    struct list *l = ctx;
    struct sysfs_channel *c = &l->out[l->n];
    bool is_input = ends_with(entry, "_input"), is_raw = ends_with(entry, "_raw");
    char x[SYSFS_FILE_BYTES], kind[SYSFS_FILE_BYTES], input[SYSFS_FILE_BYTES];
    size_t n = 0;

    if ((!is_input && !is_raw) || strlen(entry) >= SYSFS_FILE_BYTES - 8)
        return true;
    snprintf(x, sizeof x, "%.*s", (int)(strlen(entry) - strlen("in_") - strlen(is_input ? "_input" : "_raw")),
             entry + strlen("in_"));
    snprintf(input, sizeof input, "in_%s_input", x);
    if (is_raw && is_there(l->device, input))
        return true;
    while (isalpha((unsigned char)x[n]))
        n++;
    snprintf(kind, sizeof kind, "%.*s", (int)n, x);
    *c = (struct sysfs_channel){.unit = "", .divisor = 1};
    snprintf(c->file, sizeof c->file, "%s", entry);
    name_part_mend(x, strlen(x), c->name);
    if (is_raw) {
        find_setting(l->device, x, kind, "scale", c->scale);
        find_setting(l->device, x, kind, "offset", c->offset);
    }
    for (unsigned i = 0; i < sizeof units / sizeof units[0] && (is_input || c->scale[0] != '\0'); i++)
        if (strcmp(units[i].kind, kind) == 0) {
            c->unit = units[i].unit;
            c->divisor = units[i].divisor;
        }
    return ++l->n < SYSFS_CHANNELS_MAX;
}

static uint32_t list(const struct sysfs_device *d, struct sysfs_channel *out)
{
    struct list l = {d, out, 0};

    sysfs_each(d->path, "in_", add_file, &l);
    return l.n;
}

const struct sysfs_class sysfs_iio = {
    .noun = "iio device",
    .folders = folders,
    .n_folders = 1,
    .list = list,
};

static const struct config_row rows[] = {
    SYSFS_ROW_INTERVAL("10 ms", "1 s"),
    SYSFS_ROW_DEVICES(
        "Devices by name (bme280; * matches any run of characters), number (0) or folder "
        "(iio:device0). One found by number is known by its name from then on. Without it all."),
    SYSFS_ROW_SELECT,
    SYSFS_ROW_ROOT,
    {0},
};

static int iio_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    return sysfs_source_open(&sysfs_iio, o, ret_self, err);
}

const struct source_kind source_iio = {
    .name = "iio",
    .help = "Reads sensors of the kernel's Industrial I/O, such as BME280, DHT22 and ADCs.",
    .rows = rows,
    .config_bytes = sizeof(struct sysfs_config),
    .open = iio_open,
    .close = sysfs_source_close,
    .step = sysfs_source_step,
    .fd = sysfs_source_fd,
};
