/* ctl_probe_sysfs.c - the parts of `devicectl probe` that look at /sys: iio, hwmon, 1-wire. */
#include "device/ctl_probe.h"

#include "base/cleanup.h"
#include "device/sources/sysfs.h"
#include "device/sources/sysfs_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct probe {
    const struct sysfs_class *class;
    const char *root;
    struct sysfs_device devices[SYSFS_DEVICES_MAX];
    uint32_t n;
    struct sysfs_channel channels[SYSFS_CHANNELS_MAX]; /* of the device at hand */
};

/* Those that have channels, which is all that a source would take. */
static int look(const struct sysfs_class *class, const struct probe_options *o, struct probe **ret_probe,
                struct errmsg *err)
{
    struct probe *p = calloc(1, sizeof *p);
    uint32_t n;

    if (p == NULL)
        return errmsg_set(err, -ENOMEM, "out of memory");
    p->class = class;
    p->root = o->root;
    n = sysfs_scan(class, o->root, p->devices);
    for (uint32_t i = 0; i < n; i++)
        if (class->list(&p->devices[i], p->channels) > 0)
            p->devices[p->n++] = p->devices[i];
    *ret_probe = p;
    return 0;
}

static void print_quoted(FILE *out, const char *s)
{
    putc('"', out);
    for (; *s != '\0'; s++)
        fprintf(out, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
    putc('"', out);
}

/* "  # hwmon2 at nvme0: Composite (Cel), temp2 (Cel)" */
static void print_device(struct probe *p, const struct sysfs_device *d, FILE *out)
{
    uint32_t n = p->class->list(d, p->channels);

    fprintf(out, "  # %s%s%s:", d->folder, d->place[0] != '\0' ? " at " : "", d->place);
    for (uint32_t i = 0; i < n; i++) {
        const struct sysfs_channel *c = &p->channels[i];

        fprintf(out, "%s %s (%s)", i > 0 ? "," : "", c->name[0] != '\0' ? c->name : d->name,
                c->unit[0] != '\0' ? c->unit : "as read");
    }
    putc('\n', out);
}

static void print_root(const struct probe *p, FILE *out)
{
    if (p->root[0] == '\0')
        return;
    fputs("    root: ", out);
    print_quoted(out, p->root);
    putc('\n', out);
}

static bool is_first_of_its_name(const struct probe *p, uint32_t no)
{
    for (uint32_t i = 0; i < no; i++)
        if (strcmp(p->devices[i].name, p->devices[no].name) == 0)
            return false;
    return true;
}

/* A source for each name: it takes all devices of that name, and tells them apart. */
static int print_by_name(const struct sysfs_class *class, const char *type, const struct probe_options *o,
                         FILE *out, struct errmsg *err)
{
    owned(free_ptr) struct probe *p = NULL;
    int rc = look(class, o, &p, err);

    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct sysfs_device *d = &p->devices[i];

        if (!is_first_of_its_name(p, i))
            continue;
        for (uint32_t k = i; k < p->n; k++)
            if (strcmp(p->devices[k].name, d->name) == 0)
                print_device(p, &p->devices[k], out);
        /* The name of a source has 48 characters at most. */
        fprintf(out, "  - type: %s\n    name: %s-%.32s", type, type, d->name);
        if (strlen(d->name) > 32)
            fprintf(out, "-%u", i);
        fputs("\n    devices: [", out);
        print_quoted(out, d->name);
        fputs("]\n", out);
        print_root(p, out);
    }
    return (int)p->n;
}

int probe_iio(const struct probe_options *o, FILE *out, struct errmsg *err)
{
    return print_by_name(&sysfs_iio, "iio", o, out, err);
}

int probe_hwmon(const struct probe_options *o, FILE *out, struct errmsg *err)
{
    return print_by_name(&sysfs_hwmon, "hwmon", o, out, err);
}

int probe_onewire(const struct probe_options *o, FILE *out, struct errmsg *err)
{
    owned(free_ptr) struct probe *p = NULL;
    int rc = look(&sysfs_onewire, o, &p, err);

    if (rc != 0)
        return rc;
    if (p->n == 0)
        return 0;
    for (uint32_t i = 0; i < p->n; i++)
        print_device(p, &p->devices[i], out);
    fputs("  - type: onewire\n    name: onewire\n", out);
    /* More than a source can name are left to it: it takes all that it can. */
    for (uint32_t i = 0; i < p->n && p->n <= SYSFS_ENTRIES_MAX; i++) {
        fputs(i == 0 ? "    devices: [" : ", ", out);
        print_quoted(out, p->devices[i].name);
        fputs(i + 1 == p->n ? "]\n" : "", out);
    }
    print_root(p, out);
    return (int)p->n;
}
