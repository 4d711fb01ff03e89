/* Key files. Format, one item per line, hexadecimal in lower case:
 *     fogline-node-keys 1              fogline-operator-keys 1
 *     transport-secret <64 digits>     seed <64 digits>
 *     end-secret <64 digits>           public <64 digits>
 *     transport-public <64 digits>
 *     end-public <64 digits>
 * and "fogline-model-keys 1" as that of the operator.
 * The public lines follow from the secret ones; they are there so that a damaged file is noticed.
 * A crash while saving leaves no file or the whole file, and maybe a `path.tmp-PID` of mode 0400. */
#include "link/keys.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1024, LINES_MAX = 4 };

struct line {
    const char *name;
    uint8_t *value; /* KEY_BYTES */
};

struct file_text {
    char bytes[FILE_MAX_BYTES];
    size_t len;
};

static void wipe_text(struct file_text *t)
{
    sodium_memzero(t, sizeof *t);
}

/* ---- checks ---- */

/* Whoever may write in the folder can put another file in the place of this one, unless the sticky bit
 * forbids that. */
static int check_folder(const char *path, struct errmsg *err)
{
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return errmsg_set(err, -ENAMETOOLONG, "the path of the key file is too long");
    const char *dir = dirname(copy);
    struct stat st;
    if (stat(dir, &st) != 0)
        return errmsg_set(err, -errno, "%s: %s", dir, strerror(errno));
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0)
        return errmsg_set(err, -EACCES,
                          "others may write in the folder of the key file; run: chmod go-w '%s'", dir);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return errmsg_set(err, -EACCES, "the folder of the key file belongs to user %u; run: chown %u '%s'",
                          (unsigned)st.st_uid, (unsigned)geteuid(), dir);
    return 0;
}

static int check_file(const char *path, const struct stat *st, struct errmsg *err)
{
    if (!S_ISREG(st->st_mode))
        return errmsg_set(err, -EACCES, "%s is not a regular file; name the key file itself", path);
    if (st->st_uid != geteuid())
        return errmsg_set(err, -EACCES,
                          "%s belongs to user %u, not to the one who runs this; run: chown %u '%s'", path,
                          (unsigned)st->st_uid, (unsigned)geteuid(), path);
    if ((st->st_mode & 07777) != 0400)
        return errmsg_set(err, -EACCES, "%s has mode %04o, a key file has 0400; run: chmod 0400 '%s'", path,
                          (unsigned)(st->st_mode & 07777), path);
    return 0;
}

/* ---- reading ---- */

static int read_text(const char *path, struct file_text *t, struct errmsg *err)
{
    int r = check_folder(path, err);
    if (r < 0)
        return r;
    /* O_NONBLOCK: opening a fifo must not wait for its writer. */
    owned(close_fd) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ELOOP)
        return errmsg_set(err, -ELOOP, "%s is a symbolic link; name the key file itself", path);
    if (fd < 0)
        return errmsg_set(err, -errno, "%s: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errmsg_set(err, -errno, "%s: %s", path, strerror(errno));
    r = check_file(path, &st, err);
    if (r < 0)
        return r;
    while (t->len < sizeof t->bytes) {
        ssize_t n = read(fd, t->bytes + t->len, sizeof t->bytes - t->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errmsg_set(err, -errno, "%s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        t->len += (size_t)n;
    }
    return errmsg_set(err, -EFBIG, "%s is too big for a key file", path);
}

/* Takes the line `expected` (and for a key " <hex>") off the front. */
static bool take_line(struct span *rest, const char *expected, uint8_t *ret_key)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    if (end == NULL)
        return false;
    struct span line = span_of(rest->data, (size_t)(end - rest->data));
    rest->len -= line.len + 1;
    rest->data = end + 1;
    size_t n = strlen(expected);
    if (line.len < n || memcmp(line.data, expected, n) != 0)
        return false;
    if (ret_key == NULL)
        return line.len == n;
    size_t got = 0;
    return line.len == n + 1 + 2 * KEY_BYTES && line.data[n] == ' ' &&
           sodium_hex2bin(ret_key, KEY_BYTES, (const char *)line.data + n + 1, 2 * KEY_BYTES, NULL, &got,
                          NULL) == 0 &&
           got == KEY_BYTES;
}

static int load(const char *path, const char *header, const struct line *lines, size_t n, struct errmsg *err)
{
    owned(wipe_text) struct file_text t = {0};
    int r = read_text(path, &t, err);
    if (r < 0)
        return r;
    struct span rest = span_of(t.bytes, t.len);
    if (!take_line(&rest, header, NULL))
        return errmsg_set(err, -EBADMSG, "%s:1: not this kind of key file, its first line must be \"%s\"",
                          path, header);
    for (size_t i = 0; i < n; i++) {
        if (!take_line(&rest, lines[i].name, lines[i].value))
            return errmsg_set(err, -EBADMSG,
                              "%s:%zu: a line \"%s\" with %d hexadecimal digits is wanted; bring back a copy",
                              path, i + 2, lines[i].name, 2 * KEY_BYTES);
    }
    if (rest.len != 0)
        return errmsg_set(err, -EBADMSG, "%s:%zu: nothing may follow; bring back a copy", path, n + 2);
    return 0;
}

/* ---- writing ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_new_file(const char *path, const struct file_text *t)
{
    owned(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, t->bytes, t->len);
    if (r == 0 && (fchmod(fd, 0400) != 0 || fsync(fd) != 0))
        r = -errno;
    if (r < 0)
        unlink(path);
    return r;
}

/* link(2) is what makes it atomic and never overwrites. */
static int put_in_place(const char *path, const struct file_text *t)
{
    char tmp[PATH_MAX], copy[PATH_MAX];
    if (snprintf(tmp, sizeof tmp, "%s.tmp-%d", path, (int)getpid()) >= (int)sizeof tmp)
        return -ENAMETOOLONG;
    snprintf(copy, sizeof copy, "%s", path);
    unlink(tmp); /* left by a process of the same number */
    int r = write_new_file(tmp, t);
    if (r < 0)
        return r;
    r = link(tmp, path) != 0 ? -errno : 0;
    unlink(tmp);
    return r < 0 ? r : file_sync_dir(dirname(copy));
}

static int save(const char *path, const char *header, const struct line *lines, size_t n, struct errmsg *err)
{
    owned(wipe_text) struct file_text t = {0};
    char hex[2 * KEY_BYTES + 1];
    t.len = (size_t)snprintf(t.bytes, sizeof t.bytes, "%s\n", header);
    for (size_t i = 0; i < n; i++) {
        sodium_bin2hex(hex, sizeof hex, lines[i].value, KEY_BYTES);
        t.len += (size_t)snprintf(t.bytes + t.len, sizeof t.bytes - t.len, "%s %s\n", lines[i].name, hex);
    }
    sodium_memzero(hex, sizeof hex);
    int r = check_folder(path, err);
    if (r < 0)
        return r;
    r = put_in_place(path, &t);
    if (r == -EEXIST)
        return errmsg_set(
            err, r, "%s exists and is never overwritten; to make a new one, first run: mv '%s' '%s.old'",
            path, path, path);
    if (r < 0)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    return 0;
}

/* ---- the kinds ---- */

static const char node_header[] = "fogline-node-keys 1", operator_header[] = "fogline-operator-keys 1",
                  model_header[] = "fogline-model-keys 1";

static size_t node_lines(struct node_keys *k, struct line out[LINES_MAX])
{
    out[0] = (struct line){"transport-secret", k->transport_secret};
    out[1] = (struct line){"end-secret", k->end_secret};
    out[2] = (struct line){"transport-public", k->transport_public};
    out[3] = (struct line){"end-public", k->end_public};
    return 4;
}

static bool pair_fits(const uint8_t secret_key[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    uint8_t want[KEY_BYTES];
    return crypto_scalarmult_base(want, secret_key) == 0 && memcmp(want, public_key, KEY_BYTES) == 0;
}

int node_keys_save(const char *path, const struct node_keys *k, struct errmsg *err)
{
    owned(node_keys_wipe) struct node_keys copy = *k;
    struct line lines[LINES_MAX];
    size_t n = node_lines(&copy, lines);
    return save(path, node_header, lines, n, err);
}

int node_keys_load(const char *path, struct node_keys *ret_k, struct errmsg *err)
{
    owned(node_keys_wipe) struct node_keys k = {0};
    struct line lines[LINES_MAX];
    size_t n = node_lines(&k, lines);
    int r = load(path, node_header, lines, n, err);
    if (r < 0)
        return r;
    if (!pair_fits(k.transport_secret, k.transport_public) || !pair_fits(k.end_secret, k.end_public))
        return errmsg_set(err, -EBADMSG,
                          "%s is damaged: its public and secret lines do not fit; bring back a copy", path);
    *ret_k = k;
    return 0;
}

static size_t signing_lines(uint8_t *seed, uint8_t *public_key, struct line out[LINES_MAX])
{
    out[0] = (struct line){"seed", seed};
    out[1] = (struct line){"public", public_key};
    return 2;
}

static int signing_save(const char *path, const char *header, const struct operator_keys *k,
                        struct errmsg *err)
{
    owned(operator_keys_wipe) struct operator_keys copy = *k;
    struct line lines[LINES_MAX];
    /* An Ed25519 secret key of libsodium is seed, then public key. */
    size_t n = signing_lines(copy.secret_key, copy.public_key, lines);
    return save(path, header, lines, n, err);
}

static int signing_load(const char *path, const char *header, struct operator_keys *ret_k, struct errmsg *err)
{
    owned(operator_keys_wipe) struct operator_keys k = {0};
    uint8_t public_key[KEY_BYTES];
    struct line lines[LINES_MAX];
    size_t n = signing_lines(k.secret_key, public_key, lines);
    int r = load(path, header, lines, n, err);
    if (r < 0)
        return r;
    uint8_t seed[KEY_BYTES];
    memcpy(seed, k.secret_key, KEY_BYTES);
    crypto_sign_seed_keypair(k.public_key, k.secret_key, seed);
    sodium_memzero(seed, sizeof seed);
    if (memcmp(public_key, k.public_key, KEY_BYTES) != 0)
        return errmsg_set(err, -EBADMSG,
                          "%s is damaged: its public and secret lines do not fit; bring back a copy", path);
    *ret_k = k;
    return 0;
}

int operator_keys_save(const char *path, const struct operator_keys *k, struct errmsg *err)
{
    return signing_save(path, operator_header, k, err);
}

int operator_keys_load(const char *path, struct operator_keys *ret_k, struct errmsg *err)
{
    return signing_load(path, operator_header, ret_k, err);
}

int model_keys_save(const char *path, const struct operator_keys *k, struct errmsg *err)
{
    return signing_save(path, model_header, k, err);
}

int model_keys_load(const char *path, struct operator_keys *ret_k, struct errmsg *err)
{
    return signing_load(path, model_header, ret_k, err);
}
