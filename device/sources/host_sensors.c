/* host_sensors.c - temperatures of thermal zones and hwmon chips. */
#include "device/sources/host_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool add_sensor(struct host *h, const char *path, const char *channel)
{
    struct host_sensor *s = &h->sensors[h->n_sensors];

    if (h->n_sensors == HOST_SENSORS_MAX || h->n == HOST_CHANNELS_MAX || !host_slurp(h, path))
        return false;
    h->n_sensors++;
    snprintf(s->path, sizeof s->path, "%s", path);
    s->cell = host_add_channel(h, "Cel", COLUMN_DOUBLE, "%s", channel);
    return true;
}

/* First line of a file as a word for a channel's name. */
static void label_of(struct host *h, const char *path, const char *otherwise, char out[40])
{
    snprintf(out, 40, "%s", otherwise);
    if (host_slurp(h, path))
        snprintf(out, 40, "%.*s", (int)strcspn(h->file, "\n"), h->file);
}

static void find_thermal_zones(struct host *h)
{
    for (unsigned i = 0; i < HOST_SENSORS_MAX; i++) {
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

void host_find_sensors(struct host *h)
{
    find_thermal_zones(h);
    find_hwmon(h);
}

void host_read_sensors(struct host *h)
{
    for (uint32_t i = 0; i < h->n_sensors; i++) {
        int64_t milli;

        if (host_slurp(h, h->sensors[i].path) && sscanf(h->file, "%" SCNd64, &milli) == 1)
            host_set(h, h->sensors[i].cell, (double)milli / 1000);
    }
}
