#include "disk.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR_BYTES = 512, LOG_MAX_BYTES = 512 << 20, FILE_MAX_BYTES = 256 << 20 };

struct pending {
    uint8_t op; /* LOG_WRITE, LOG_SIZE, LOG_RESERVE */
    uint64_t offset, n;
    uint8_t *data; /* own copy: a later durable write shows through it */
};

struct content {
    uint8_t *bytes;
    uint64_t size, alloc;
};

struct file {
    uint64_t inode;
    struct content durable;
    struct pending *pending;
    size_t n_pending, alloc_pending;
};

struct name {
    char *path;
    struct file *file; /* NULL: a folder */
    uint64_t inode;
};

struct names {
    struct name *at;
    size_t n, alloc;
};

struct disk {
    char folder[PATH_MAX / 2];
    struct file **files;
    size_t n_files, alloc_files;
    struct names now, durable;
    const struct disk_event **ops; /* names that changed and may not be on the disk */
    size_t n_ops, alloc_ops;
};

static void *grown(void *at, size_t n, size_t *alloc, size_t each)
{
    if (n < *alloc)
        return at;
    *alloc = *alloc == 0 ? 64 : *alloc * 2;
    at = realloc(at, *alloc * each);
    if (at == NULL)
        abort(); /* a test program: nothing to save */
    return at;
}

static char *copy_text(const uint8_t *at, size_t n)
{
    char *s = n == 0 ? NULL : strndup((const char *)at, n);

    if (n > 0 && s == NULL)
        abort();
    return s;
}

/* ---- the run ---- */

int disk_run_read(struct disk_run *run, const char *log_path)
{
    owned(buf_deinit) struct buf b = {0};
    size_t i = 0;
    int r = file_read(log_path, LOG_MAX_BYTES, &b);

    while (r == 0 && i < b.len) {
        struct disk_event e = {0};

        if (b.len - i < sizeof e.head)
            return -EUCLEAN;
        memcpy(&e.head, b.data + i, sizeof e.head);
        i += sizeof e.head;
        if (e.head.magic != LOG_MAGIC || e.head.data_bytes > b.len ||
            b.len - i < (uint64_t)e.head.path_bytes + e.head.path2_bytes +
                            (e.head.op == LOG_WRITE || e.head.op == LOG_ACK ? e.head.data_bytes : 0))
            return -EUCLEAN;
        e.path = copy_text(b.data + i, e.head.path_bytes);
        i += e.head.path_bytes;
        e.path2 = copy_text(b.data + i, e.head.path2_bytes);
        i += e.head.path2_bytes;
        e.data = malloc(e.head.data_bytes + 1);
        if (e.data == NULL)
            abort();
        memcpy(e.data, b.data + i, e.head.data_bytes);
        i += e.head.data_bytes;
        run->at = grown(run->at, run->n, &run->alloc, sizeof run->at[0]);
        run->at[run->n++] = e;
    }
    return r;
}

void disk_run_deinit(struct disk_run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        free(run->at[i].path);
        free(run->at[i].path2);
        free(run->at[i].data);
    }
    free(run->at);
    *run = (struct disk_run){0};
}

/* ---- names ---- */

static struct name *name_find(const struct names *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->at[i].path, path) == 0)
            return &l->at[i];
    return NULL;
}

static void name_drop(struct names *l, const char *path)
{
    struct name *n = name_find(l, path);

    if (n == NULL)
        return;
    free(n->path);
    *n = l->at[--l->n];
}

static void name_add(struct names *l, const char *path, struct file *file, uint64_t inode)
{
    name_drop(l, path);
    l->at = grown(l->at, l->n, &l->alloc, sizeof l->at[0]);
    l->at[l->n++] = (struct name){copy_text((const uint8_t *)path, strlen(path)), file, inode};
}

static void names_deinit(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->at[i].path);
    free(l->at);
}

static void names_copy(struct names *to, const struct names *from)
{
    for (size_t i = 0; i < from->n; i++)
        name_add(to, from->at[i].path, from->at[i].file, from->at[i].inode);
}

/* The newest file with that inode: numbers come again after a file has gone. */
static struct file *file_of(const struct disk *d, uint64_t inode)
{
    for (size_t i = d->n_files; i-- > 0;)
        if (d->files[i]->inode == inode)
            return d->files[i];
    return NULL;
}

static struct file *file_add(struct disk *d, uint64_t inode)
{
    struct file *f = calloc(1, sizeof *f);

    if (f == NULL)
        abort();
    f->inode = inode;
    d->files = grown(d->files, d->n_files, &d->alloc_files, sizeof d->files[0]);
    d->files[d->n_files++] = f;
    return f;
}

/* A new file stands at the end of d->files already. */
static void names_apply(const struct disk *d, struct names *l, const struct disk_event *e)
{
    const struct name *from;

    switch (e->head.op) {
    case LOG_CREATE:
        name_add(l, e->path, file_of(d, e->head.inode), e->head.inode);
        break;
    case LOG_MKDIR:
        name_add(l, e->path, NULL, e->head.inode);
        break;
    case LOG_UNLINK:
        name_drop(l, e->path);
        break;
    case LOG_RENAME:
        from = name_find(l, e->path);
        if (from != NULL) {
            struct file *f = from->file;

            name_drop(l, e->path);
            name_add(l, e->path2, f, e->head.inode);
        }
        break;
    default:
        break;
    }
}

static bool lies_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return path != NULL && strncmp(path, folder, n) == 0 && path[n] == '/' &&
           strchr(path + n + 1, '/') == NULL;
}

static void sync_folder(struct disk *d, const char *folder)
{
    size_t last = 0;

    for (size_t i = 0; i < d->n_ops; i++)
        if (lies_in(d->ops[i]->path, folder) || lies_in(d->ops[i]->path2, folder))
            last = i + 1;
    for (size_t i = 0; i < last; i++)
        names_apply(d, &d->durable, d->ops[i]);
    memmove(d->ops, d->ops + last, (d->n_ops - last) * sizeof d->ops[0]);
    d->n_ops -= last;
}

/* ---- content ---- */

static void content_size(struct content *c, uint64_t size)
{
    if (size > FILE_MAX_BYTES)
        abort();
    if (size > c->alloc) {
        c->bytes = realloc(c->bytes, size);
        if (c->bytes == NULL)
            abort();
        c->alloc = size;
    }
    if (size > c->size)
        memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

static void content_put(struct content *c, uint64_t offset, const uint8_t *data, uint64_t n)
{
    if (offset + n > c->size)
        content_size(c, offset + n);
    if (n > 0)
        memcpy(c->bytes + offset, data, n);
}

static void content_apply(struct content *c, const struct pending *p)
{
    if (p->op == LOG_WRITE)
        content_put(c, p->offset, p->data, p->n);
    else if (p->op == LOG_SIZE || p->offset > c->size)
        content_size(c, p->offset);
}

/* Sectors by the coin. */
static void content_tear(struct content *c, const struct pending *p, struct rng *rng)
{
    uint64_t at = p->offset, end = p->offset + p->n;

    while (p->op == LOG_WRITE && at < end) {
        uint64_t to = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;

        to = to < end ? to : end;
        if (rng_below(rng, 2) == 0)
            content_put(c, at, p->data + (at - p->offset), to - at);
        at = to;
    }
    if (p->op != LOG_WRITE && rng_below(rng, 2) == 0)
        content_apply(c, p);
}

static void pending_add(struct file *f, const struct disk_event *e)
{
    struct pending p = {.op = e->head.op, .offset = e->head.offset};

    if (e->head.op == LOG_WRITE) {
        p.n = e->head.data_bytes;
        p.data = malloc(p.n + 1);
        if (p.data == NULL)
            abort();
        memcpy(p.data, e->data, p.n);
    }
    f->pending = grown(f->pending, f->n_pending, &f->alloc_pending, sizeof f->pending[0]);
    f->pending[f->n_pending++] = p;
}

static void sync_file(struct file *f)
{
    for (size_t i = 0; i < f->n_pending; i++) {
        content_apply(&f->durable, &f->pending[i]);
        free(f->pending[i].data);
    }
    f->n_pending = 0;
}

/* The last write is on the disk; older ones to the same place that are still on their way cannot bring the
 * old bytes back. */
static void sync_last(struct file *f)
{
    struct pending last = f->pending[--f->n_pending];

    for (size_t i = 0; i < f->n_pending; i++) {
        struct pending *p = &f->pending[i];
        uint64_t from = p->offset > last.offset ? p->offset : last.offset;
        uint64_t p_end = p->offset + p->n, last_end = last.offset + last.n,
                 to = p_end < last_end ? p_end : last_end;

        if (p->op == LOG_WRITE && from < to)
            memcpy(p->data + (from - p->offset), last.data + (from - last.offset), to - from);
    }
    content_apply(&f->durable, &last);
    free(last.data);
}

/* ---- events ---- */

int disk_new(struct disk **ret_d, const char *folder)
{
    struct disk *d = calloc(1, sizeof *d);

    if (d == NULL)
        return -ENOMEM;
    if (strlen(folder) >= sizeof d->folder) {
        free(d);
        return -ENAMETOOLONG;
    }
    memcpy(d->folder, folder, strlen(folder) + 1);
    *ret_d = d;
    return 0;
}

struct disk *disk_free(struct disk *d)
{
    if (d == NULL)
        return NULL;
    for (size_t i = 0; i < d->n_files; i++) {
        sync_file(d->files[i]);
        free(d->files[i]->pending);
        free(d->files[i]->durable.bytes);
        free(d->files[i]);
    }
    free(d->files);
    names_deinit(&d->now);
    names_deinit(&d->durable);
    free(d->ops);
    free(d);
    return NULL;
}

void disk_begin(struct disk *d, const struct disk_event *e)
{
    struct file *f;

    switch (e->head.op) {
    case LOG_CREATE:
        file_add(d, e->head.inode);
        /* fall through */
    case LOG_MKDIR:
    case LOG_RENAME:
    case LOG_UNLINK:
        names_apply(d, &d->now, e);
        d->ops = grown(d->ops, d->n_ops, &d->alloc_ops, sizeof d->ops[0]);
        d->ops[d->n_ops++] = e;
        break;
    case LOG_WRITE:
    case LOG_SIZE:
    case LOG_RESERVE:
        f = file_of(d, e->head.inode);
        if (f != NULL)
            pending_add(f, e);
        break;
    default:
        break;
    }
}

static const char *folder_of(const struct disk *d, uint64_t inode)
{
    for (size_t i = 0; i < d->now.n; i++)
        if (d->now.at[i].file == NULL && d->now.at[i].inode == inode)
            return d->now.at[i].path;
    return d->folder; /* the only folder that was there before */
}

void disk_finish(struct disk *d, const struct disk_event *e, bool without_sync)
{
    struct file *f = file_of(d, e->head.inode);
    bool is_file = false;

    for (size_t i = 0; i < d->now.n && !is_file; i++)
        is_file = f != NULL && d->now.at[i].file == f;
    if (e->head.op == LOG_SYNC && is_file) {
        if (!without_sync)
            sync_file(f);
    } else if (e->head.op == LOG_SYNC) {
        sync_folder(d, folder_of(d, e->head.inode));
    } else if (e->head.op == LOG_WRITE && e->head.durable && f != NULL && f->n_pending > 0) {
        sync_last(f);
    }
}

/* ---- states ---- */

/* "<folder>/<part>" or something below it; the rest of the path, from the end of part. */
static const char *below(const struct disk *d, const char *part, const char *path)
{
    size_t n = strlen(d->folder), m = strlen(part);

    if (strncmp(path, d->folder, n) != 0 || path[n] != '/' || strncmp(path + n + 1, part, m) != 0)
        return NULL;
    path += n + 1 + m;
    return *path == '\0' || *path == '/' ? path : NULL;
}

size_t disk_pending(const struct disk *d, const char *part)
{
    size_t n = 0;

    for (size_t i = 0; i < d->now.n; i++)
        if (d->now.at[i].file != NULL && below(d, part, d->now.at[i].path) != NULL)
            n += d->now.at[i].file->n_pending;
    return n;
}

bool disk_is(const struct disk *d, uint64_t inode, const char *part, const char *name)
{
    const struct file *f = file_of(d, inode);

    for (size_t i = 0; f != NULL && i < d->now.n; i++) {
        const char *path = d->now.at[i].path, *slash = strrchr(path, '/');

        if (d->now.at[i].file == f && below(d, part, path) != NULL && strcmp(slash + 1, name) == 0)
            return true;
    }
    return false;
}

static void content_of(const struct file *f, enum disk_mode mode, struct rng *rng, struct content *c)
{
    size_t chosen = f->n_pending > 0 ? (size_t)rng_below(rng, f->n_pending) : 0;

    content_put(c, 0, f->durable.bytes, f->durable.size);
    for (size_t i = 0; i < f->n_pending; i++) {
        const struct pending *p = &f->pending[i];

        if (mode == DISK_SECTORS || (mode == DISK_ONE_TORN && i == chosen))
            content_tear(c, p, rng);
        else if (mode == DISK_ALL || mode == DISK_ONE_TORN || (mode == DISK_BUT_ONE && i != chosen) ||
                 (mode == DISK_ONLY_ONE && i == chosen) || (mode == DISK_SOME && rng_below(rng, 2) == 0))
            content_apply(c, p);
    }
}

static int write_file(const char *path, const struct content *c)
{
    owned(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    uint64_t end = c->size;

    if (fd < 0)
        return -errno;
    while (end > 0 && c->bytes[end - 1] == 0)
        end--; /* a hole reads the same and costs nothing */
    for (uint64_t at = 0; at < end;) {
        ssize_t n = pwrite(fd, c->bytes + at, end - at, (off_t)at);

        if (n <= 0)
            return -errno;
        at += (uint64_t)n;
    }
    return ftruncate(fd, (off_t)c->size) < 0 ? -errno : 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

int disk_make(const struct disk *d, const char *part, const char *out, enum disk_mode mode, struct rng *rng)
{
    struct names l = {0};
    size_t n_ops = mode == DISK_NONE ? 0 : mode == DISK_ALL ? d->n_ops : (size_t)rng_below(rng, d->n_ops + 1);
    char path[PATH_MAX];
    int r = 0;

    names_copy(&l, &d->durable);
    for (size_t i = 0; i < n_ops; i++)
        names_apply(d, &l, d->ops[i]);
    if (l.n > 0)
        qsort(l.at, l.n, sizeof l.at[0], by_path); /* a folder before what is in it */
    for (size_t i = 0; i < l.n && r == 0; i++) {
        const char *rest = below(d, part, l.at[i].path);
        struct content c = {0};

        if (rest == NULL)
            continue;
        if (snprintf(path, sizeof path, "%s%s", out, rest) >= (int)sizeof path)
            r = -ENAMETOOLONG;
        else if (l.at[i].file == NULL)
            r = mkdir(path, 0700) < 0 ? -errno : 0;
        else {
            content_of(l.at[i].file, mode, rng, &c);
            r = write_file(path, &c);
        }
        free(c.bytes);
    }
    names_deinit(&l);
    return r;
}
