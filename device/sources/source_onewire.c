/* source_onewire.c - thermometers on a 1-wire bus: /sys/bus/w1/devices/FAMILY-ID.
 *
 * (Documentation/w1/slaves/w1_therm.rst.) Of the three forms the first that a sensor has is read:
 * `temperature`, w1_slave, hwmon/hwmonN/temp1_input. A conversion takes up to 750 ms, and the sensors of a
 * bus wait for each other. Exactly 85 degrees is what a DS18B20 holds from its power-on until its first
 * conversion: such a value is uncertain unless the one before it was near. */
#include "device/sources/sysfs_source.h"

#include "base/numfmt.h"
#include "device/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Families with a thermometer: DS18S20, DS1822, DS18B20, DS1825, DS28EA00. */
static const struct sysfs_folder folders[] = {
    {"/sys/bus/w1/devices", "10-", NULL}, {"/sys/bus/w1/devices", "22-", NULL},
    {"/sys/bus/w1/devices", "28-", NULL}, {"/sys/bus/w1/devices", "3b-", NULL},
    {"/sys/bus/w1/devices", "42-", NULL},
};

static const char slave[] = "w1_slave";

static bool is_there(const struct sysfs_device *d, const char *file)
{
    char path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];

    snprintf(path, sizeof path, "%s/%s", d->path, file);
    return access(path, F_OK) == 0;
}

static bool take_hwmon(void *ctx, const char *entry)
{
    struct sysfs_channel *c = ctx;

    snprintf(c->file, sizeof c->file, "hwmon/%.40s/temp1_input", entry);
    return false;
}

static uint32_t list(const struct sysfs_device *d, struct sysfs_channel *out)
{
    static const char *const files[] = {"temperature", slave};
    char path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];

    *out = (struct sysfs_channel){.unit = "Cel", .divisor = 1e3};
    for (unsigned i = 0; i < sizeof files / sizeof files[0] && out->file[0] == '\0'; i++)
        if (is_there(d, files[i]))
            snprintf(out->file, sizeof out->file, "%s", files[i]);
    snprintf(path, sizeof path, "%s/hwmon", d->path);
    if (out->file[0] == '\0')
        sysfs_each(path, "hwmon", take_hwmon, out);
    return out->file[0] != '\0';
}

/* "2d 00 4b 46 ff ff 02 10 19 : crc=19 YES\n2d 00 ... t=22625". Zeros all over have a right checksum, and are
 * what a bus gives that is held down. */
static int read_slave(const char *path, double *ret_value, struct errmsg *why)
{
    char text[SYSFS_TEXT_BYTES], *line, *second, *t;
    int rc = sysfs_text(path, true, text, why);

    if (rc != 0)
        return rc;
    line = text;
    second = strchr(text, '\n');
    if (second != NULL)
        *second++ = '\0';
    if (strstr(line, " NO") != NULL)
        return errmsg_set(why, -EBADMSG, "%s: the checksum is wrong", path);
    t = second != NULL ? strstr(second, "t=") : NULL;
    if (strstr(line, " YES") == NULL || t == NULL || !numfmt_parse_double(t + 2, strlen(t + 2), ret_value) ||
        !isfinite(*ret_value))
        return errmsg_set(why, -EBADMSG, "%s: no checksum and temperature in it", path);
    if (strncmp(line, "00 00 00 00 00 00 00 00 00", 26) == 0)
        return errmsg_set(why, -EBADMSG, "%s: nothing but zeros: is the bus shorted?", path);
    return 0;
}

static int value(const char *path, const struct sysfs_channel *c, double *ret_value, struct errmsg *why)
{
    char file[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];
    int rc;

    if (strcmp(c->file, slave) != 0)
        return sysfs_value(path, c, ret_value, why);
    snprintf(file, sizeof file, "%s/%s", path, slave);
    rc = read_slave(file, ret_value, why);
    if (rc == 0)
        *ret_value /= c->divisor;
    return rc;
}

static uint8_t quality(double now, double last)
{
    bool is_near = fabs(now - last) <= 10; /* false without a last one */

    return now == 85 && !is_near ? QUALITY_UNCERTAIN : QUALITY_GOOD;
}

const struct sysfs_class sysfs_onewire = {
    .noun = "1-wire sensor",
    .folders = folders,
    .n_folders = sizeof folders / sizeof folders[0],
    .list = list,
    .value = value,
    .quality = quality,
};

static const struct config_row rows[] = {
    SYSFS_ROW_INTERVAL("1 s", "10 s"),
    SYSFS_ROW_DEVICES(
        "Sensors by their folder (28-0316a2795cff; * matches any run of characters). Without it "
        "all."),
    SYSFS_ROW_SELECT,
    SYSFS_ROW_ROOT,
    {0},
};

static int onewire_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    return sysfs_source_open(&sysfs_onewire, o, ret_self, err);
}

const struct source_kind source_onewire = {
    .name = "onewire",
    .help = "Reads thermometers on a 1-wire bus, such as DS18B20.",
    .rows = rows,
    .config_bytes = sizeof(struct sysfs_config),
    .open = onewire_open,
    .close = sysfs_source_close,
    .step = sysfs_source_step,
    .fd = sysfs_source_fd,
};
