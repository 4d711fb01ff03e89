/* host_counters.c - bytes a second of network interfaces and disks, from /proc/net/dev and /proc/diskstats.
 */
#include "device/sources/host_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SECTOR_BYTES = 512 }; /* of /proc/diskstats, whatever the disk has */

typedef void (*pair_fn)(struct host *h, const char *name, uint64_t a, uint64_t b, double seconds);

/* Each interface of /proc/net/dev: bytes received and sent. */
static void each_interface(struct host *h, pair_fn fn, double seconds)
{
    char *line, *rest = h->file;

    if (!host_slurp(h, "/proc/net/dev"))
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

    if (!host_slurp(h, "/proc/diskstats"))
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
    struct host_pair *p = &h->interfaces[h->n_interfaces];

    (void)rx;
    (void)tx;
    (void)seconds;
    if (h->n_interfaces == HOST_INTERFACES_MAX)
        return;
    h->n_interfaces++;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->cell = host_add_channel(h, "By/s", COLUMN_DOUBLE, "net.%s.rx", name);
    host_add_channel(h, "By/s", COLUMN_DOUBLE, "net.%s.tx", name);
}

static void add_disk(struct host *h, const char *name, uint64_t rd, uint64_t wr, double seconds)
{
    struct host_pair *p = &h->disks[h->n_disks];

    (void)rd;
    (void)wr;
    (void)seconds;
    if (h->n_disks == HOST_DISKS_MAX)
        return;
    h->n_disks++;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->cell = host_add_channel(h, "By/s", COLUMN_DOUBLE, "disk.%s.read", name);
    host_add_channel(h, "By/s", COLUMN_DOUBLE, "disk.%s.write", name);
}

static void read_pair(struct host *h, struct host_pair *pairs, uint32_t n, const char *name,
                      const uint64_t now[2], double seconds)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(pairs[i].name, name) == 0) {
            host_rate(h, &pairs[i].a, now[0], seconds, pairs[i].cell);
            host_rate(h, &pairs[i].b, now[1], seconds, pairs[i].cell + 1);
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

void host_find_counters(struct host *h)
{
    each_interface(h, add_interface, 0);
    each_disk(h, add_disk, 0);
}

void host_read_counters(struct host *h, double seconds)
{
    each_interface(h, read_interface, seconds);
    each_disk(h, read_disk, seconds);
}
