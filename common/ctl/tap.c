#include "ctl/tap.h"

#include "base/cleanup.h"
#include "ctl/paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

struct tap {
    int fd;
    char run_dir[CTL_PATH_CHARS];
    struct sockaddr_un reader[TAP_READERS_MAX];
    unsigned n_readers;
    struct buf out;
    uint64_t n_dropped;
};

int tap_new(struct tap **ret_t, const char *run_dir)
{
    struct tap *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    snprintf(t->run_dir, sizeof(t->run_dir), "%s", run_dir);
    t->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0) {
        int error = errno;
        free(t);
        return -error;
    }
    *ret_t = t;
    return 0;
}

struct tap *tap_free(struct tap *t)
{
    if (t == NULL)
        return NULL;
    close(t->fd);
    buf_deinit(&t->out);
    free(t);
    return NULL;
}

static bool is_reader(const char *name)
{
    size_t n = strlen(name);

    return strncmp(name, "tap-", 4) == 0 && n > 9 && strcmp(name + n - 5, ".sock") == 0;
}

/* Is anybody behind it? A datagram of no bytes says nothing to a reader, and finds out. */
static bool reader_alive(const struct tap *t, const struct sockaddr_un *a)
{
    return sendto(t->fd, "", 0, MSG_NOSIGNAL, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN;
}

void tap_look(struct tap *t)
{
    DIR *d = opendir(t->run_dir);
    struct dirent *e;

    t->n_readers = 0;
    if (d == NULL)
        return;
    while (t->n_readers < TAP_READERS_MAX && (e = readdir(d)) != NULL) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (!is_reader(e->d_name) || snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", t->run_dir,
                                              e->d_name) >= (int)sizeof(a.sun_path))
            continue;
        if (reader_alive(t, &a))
            t->reader[t->n_readers++] = a;
        else if (errno == ECONNREFUSED)
            unlink(a.sun_path); /* its reader was killed */
    }
    closedir(d);
}

void tap_record(struct tap *t, const struct record *r)
{
    size_t len = strlen(r->origin);

    if (t == NULL || t->n_readers == 0 || len > UINT8_MAX)
        return;
    buf_reset(&t->out);
    buf_u8(&t->out, 1);
    buf_u8(&t->out, (uint8_t)len);
    buf_append(&t->out, r->origin, len);
    buf_append(&t->out, r->epoch.bytes, ID128_BYTES);
    buf_le64(&t->out, r->seq);
    buf_le32(&t->out, r->kind);
    buf_le32(&t->out, r->flags);
    buf_le32(&t->out, r->samples);
    buf_append(&t->out, r->payload.data, r->payload.len);
    for (unsigned i = 0; t->out.error == 0 && i < t->n_readers; i++)
        if (sendto(t->fd, t->out.data, t->out.len, MSG_NOSIGNAL, (const struct sockaddr *)&t->reader[i],
                   sizeof(t->reader[i])) < 0)
            t->n_dropped++;
}

uint64_t tap_dropped(const struct tap *t)
{
    return t->n_dropped;
}

struct tap_reader {
    int fd;
    struct sockaddr_un at;
    char origin[256];
    uint8_t in[TAP_MAX_BYTES];
};

int tap_reader_new(struct tap_reader **ret_r, const char *run_dir)
{
    owned(free_ptr) struct tap_reader *r = calloc(1, sizeof(*r));
    int wanted = 4 * 1024 * 1024;

    if (r == NULL)
        return -ENOMEM;
    r->at.sun_family = AF_UNIX;
    if (snprintf(r->at.sun_path, sizeof(r->at.sun_path), "%s/tap-%d.sock", run_dir, (int)getpid()) >=
        (int)sizeof(r->at.sun_path))
        return -ENAMETOOLONG;
    r->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->fd < 0)
        return -errno;
    unlink(r->at.sun_path);
    (void)setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
    if (bind(r->fd, (const struct sockaddr *)&r->at, sizeof(r->at)) < 0) {
        int error = errno;
        close(r->fd);
        return -error;
    }
    *ret_r = TAKE(r);
    return 0;
}

struct tap_reader *tap_reader_free(struct tap_reader *r)
{
    if (r == NULL)
        return NULL;
    close(r->fd);
    unlink(r->at.sun_path);
    free(r);
    return NULL;
}

int tap_reader_fd(const struct tap_reader *r)
{
    return r->fd;
}

static bool parse(struct tap_reader *r, size_t n, struct record *ret_record)
{
    struct reader in = reader_of(span_of(r->in, n));
    struct record rec = {.origin = r->origin};
    uint8_t format = reader_u8(&in), len = reader_u8(&in);
    const uint8_t *origin = reader_take(&in, len), *epoch = reader_take(&in, ID128_BYTES);

    rec.seq = reader_le64(&in);
    rec.kind = reader_le32(&in);
    rec.flags = reader_le32(&in);
    rec.samples = reader_le32(&in);
    if (in.bad || format != 1)
        return false;
    memcpy(r->origin, origin, len);
    r->origin[len] = '\0';
    memcpy(rec.epoch.bytes, epoch, ID128_BYTES);
    rec.payload = span_of(in.at, reader_left(&in));
    *ret_record = rec;
    return true;
}

int tap_reader_next(struct tap_reader *r, struct record *ret_record)
{
    for (;;) {
        ssize_t n = recv(r->fd, r->in, sizeof(r->in), 0);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? TAP_EMPTY : -errno;
        if (parse(r, (size_t)n, ret_record))
            return 0;
    }
}
