#include "device/sources/sysfs.h"

#include "base/cleanup.h"
#include "base/numfmt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

int sysfs_text(const char *path, bool waits, char out[SYSFS_TEXT_BYTES], struct errmsg *why)
{
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (waits ? 0 : O_NONBLOCK));
    size_t len = 0;
    ssize_t n = 0;

    if (fd < 0)
        return errmsg_set(why, -errno, "%s: %s", path, strerror(errno));
    while (len < SYSFS_TEXT_BYTES && (n = read(fd, out + len, SYSFS_TEXT_BYTES - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        return errmsg_set(why, -errno, "%s: %s", path, strerror(errno));
    if (len == SYSFS_TEXT_BYTES)
        return errmsg_set(why, -EFBIG, "%s: longer than %d bytes", path, SYSFS_TEXT_BYTES - 1);
    out[len] = '\0';
    if (memchr(out, '\0', len) != NULL)
        return errmsg_set(why, -EBADMSG, "%s: not a text", path);
    while (len > 0 && isspace((unsigned char)out[len - 1]))
        out[--len] = '\0';
    return 0;
}

/* What people may see of a text that is none. */
static void show(const char *text, char *out, size_t out_bytes)
{
    size_t i;

    for (i = 0; i + 1 < out_bytes && text[i] != '\0'; i++)
        out[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
    out[i] = '\0';
}

int sysfs_number(const char *path, double *ret_value, struct errmsg *why)
{
    char text[SYSFS_TEXT_BYTES], shown[32];
    double value;
    int rc = sysfs_text(path, true, text, why);

    if (rc != 0)
        return rc;
    show(text, shown, sizeof shown);
    if (text[0] == '\0')
        return errmsg_set(why, -EBADMSG, "%s: empty", path);
    if (!numfmt_parse_double(text, strlen(text), &value) || !isfinite(value))
        return errmsg_set(why, -EBADMSG, "%s: not a number: %s", path, shown);
    *ret_value = value;
    return 0;
}

static int number_in(const char *folder, const char *file, double *ret_value, struct errmsg *why)
{
    char path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];

    snprintf(path, sizeof path, "%s/%s", folder, file);
    return sysfs_number(path, ret_value, why);
}

int sysfs_value(const char *path, const struct sysfs_channel *c, double *ret_value, struct errmsg *why)
{
    double value, offset = 0, scale = 1;
    int rc = number_in(path, c->file, &value, why);

    if (rc == 0 && c->offset[0] != '\0')
        rc = number_in(path, c->offset, &offset, why);
    if (rc == 0 && c->scale[0] != '\0')
        rc = number_in(path, c->scale, &scale, why);
    if (rc != 0)
        return rc;
    value = (value + offset) * scale / c->divisor;
    if (!isfinite(value))
        return errmsg_set(why, -EBADMSG, "%s/%s: beyond all numbers with its scale", path, c->file);
    *ret_value = value;
    return 0;
}

/* ---- folders ---- */

static int by_version(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

void sysfs_each(const char *path, const char *prefix, bool (*each)(void *ctx, const char *entry), void *ctx)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, by_version);
    bool goes_on = true;

    if (n < 0)
        return;
    for (int i = 0; i < n; i++) {
        if (goes_on && entries[i]->d_name[0] != '.' &&
            strncmp(entries[i]->d_name, prefix, strlen(prefix)) == 0)
            goes_on = each(ctx, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* The last part of what the link `path` leads to, `up` levels above; empty when it is no link. */
static void place_of(const char *path, unsigned up, char out[NAME_PART_CHARS + 1])
{
    char target[PATH_MAX], *slash = NULL;
    ssize_t n = readlink(path, target, sizeof target - 1);

    out[0] = '\0';
    if (n <= 0)
        return;
    target[n] = '\0';
    for (unsigned i = 0; i < up; i++) {
        slash = strrchr(target, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
    slash = strrchr(target, '/');
    snprintf(out, NAME_PART_CHARS + 1, "%s", slash != NULL ? slash + 1 : target);
}

/* An iio device is a link itself, its parent is the chip on its bus; others have a link `device` to it. */
static void find_place(struct sysfs_device *d)
{
    char path[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES];

    snprintf(path, sizeof path, "%s/device", d->path);
    place_of(path, 0, d->place);
    if (d->place[0] == '\0')
        place_of(d->path, 1, d->place);
}

static bool read_name(const char *path, const char *name_file, char out[NAME_PART_CHARS + 1])
{
    char file[SYSFS_PATH_BYTES + SYSFS_FILE_BYTES], text[SYSFS_TEXT_BYTES];

    snprintf(file, sizeof file, "%s/%s", path, name_file);
    if (sysfs_text(file, false, text, NULL) != 0 || text[0] == '\0')
        return false;
    name_part_mend(text, strlen(text), out);
    return true;
}

struct scan {
    const struct sysfs_folder *folder;
    const char *root;
    struct sysfs_device *out;
    uint32_t n;
};

static bool add_device(void *ctx, const char *entry)
{
    struct scan *s = ctx;
    struct sysfs_device *d = &s->out[s->n];
    const char *number = entry + strlen(s->folder->prefix);

    if (s->n == SYSFS_DEVICES_MAX || strlen(entry) > NAME_PART_CHARS)
        return s->n < SYSFS_DEVICES_MAX;
    *d = (struct sysfs_device){.kind = s->folder, .number = -1};
    snprintf(d->path, sizeof d->path, "%s%s/%s", s->root, s->folder->path, entry);
    snprintf(d->folder, sizeof d->folder, "%s", entry);
    if (s->folder->name_file == NULL) {
        name_part_mend(entry, strlen(entry), d->name);
    } else {
        if (!numfmt_parse_i64(number, strlen(number), &d->number) ||
            !read_name(d->path, s->folder->name_file, d->name))
            return true;
        find_place(d);
    }
    s->n++;
    return true;
}

uint32_t sysfs_scan(const struct sysfs_class *class, const char *root,
                    struct sysfs_device out[SYSFS_DEVICES_MAX])
{
    struct scan s = {.root = root, .out = out};
    char path[SYSFS_PATH_BYTES];

    for (unsigned i = 0; i < class->n_folders; i++) {
        s.folder = &class->folders[i];
        snprintf(path, sizeof path, "%s%s", root, s.folder->path);
        sysfs_each(path, s.folder->prefix, add_device, &s);
    }
    return s.n;
}

bool sysfs_is_still(const struct sysfs_device *d)
{
    char name[NAME_PART_CHARS + 1];

    if (d->kind->name_file == NULL)
        return access(d->path, F_OK) == 0;
    return read_name(d->path, d->kind->name_file, name) && strcmp(name, d->name) == 0;
}

bool sysfs_name_matches(const char *pattern, const char *name)
{
    static const char *const no_tags[] = {NULL};
    char whole[2 * (NAME_PART_CHARS + 1) + 8];

    snprintf(whole, sizeof whole, "*/*/%s", pattern);
    return pattern_match(whole, "s", "d", name, no_tags);
}

bool sysfs_is_called(const struct sysfs_device *d, const char *entry)
{
    int64_t number;

    if (numfmt_parse_i64(entry, strlen(entry), &number) && number == d->number)
        return true;
    return strcmp(entry, d->folder) == 0 || sysfs_name_matches(entry, d->name);
}
