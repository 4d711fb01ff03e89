#include "ctl/paths.h"

#include "base/file.h"

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

static void join(char out[CTL_FILE_CHARS], const char *folder, const char *name)
{
    snprintf(out, CTL_FILE_CHARS, "%s/%s", folder, name);
}

void ctl_paths_make(struct ctl_paths *ret_p, const struct ctl_settings *s, const char *store_name)
{
    struct ctl_paths *p = ret_p;

    memset(p, 0, sizeof(*p));
    snprintf(p->state_dir, sizeof(p->state_dir), "%s", s->state_dir);
    snprintf(p->run_dir, sizeof(p->run_dir), "%s", s->run_dir);
    join(p->node_key, s->state_dir, "node.key");
    join(p->operator_key, s->state_dir, "operator.key");
    join(p->operator_pub, s->state_dir, "operator.pub");
    join(p->store, s->state_dir, store_name);
    join(p->nodes_doc, s->state_dir, "nodes.doc");
    join(p->nodes_local, s->state_dir, "nodes.local");
    join(p->commands, s->state_dir, "commands");
    join(p->continuity, s->run_dir, "continuity");
    join(p->status, s->run_dir, "status.json");
    join(p->refused, s->run_dir, "refused.json");
    join(p->lock, s->run_dir, "lock");
    join(p->send_sock, s->run_dir, "send.sock");
}

static int folder_ready(const char *path, const char *key, struct errmsg *err)
{
    struct stat st;
    int r = file_mkdirs(path, 0700);

    if (r < 0)
        return errmsg_set(err, r, "%s: cannot make %s: %s", key, path, strerror(-r));
    if (stat(path, &st) < 0)
        return errmsg_set(err, -errno, "%s: cannot look at %s: %s", key, path, strerror(errno));
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return errmsg_set(err, -EPERM, "%s: others may write to %s; run: chmod 700 %s", key, path, path);
    if (access(path, W_OK | X_OK) < 0)
        return errmsg_set(err, -errno, "%s: user %u may not write to %s; run: chown %u %s", key,
                          (unsigned)geteuid(), path, (unsigned)geteuid(), path);
    return 0;
}

int ctl_paths_ready(const struct ctl_paths *p, struct errmsg *err)
{
    int r = folder_ready(p->state_dir, "state_dir", err);

    return r < 0 ? r : folder_ready(p->run_dir, "run_dir", err);
}

int ctl_operator_pub_load(const char *path, uint8_t ret_key[KEY_BYTES], struct errmsg *err)
{
    struct buf text = {0};
    size_t n = 0;
    uint8_t key[KEY_BYTES];
    int r = file_read(path, 256, &text);
    const char *end = NULL;

    if (r < 0) {
        buf_deinit(&text);
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    }
    r = sodium_hex2bin(key, sizeof(key), (const char *)text.data, text.len, " \r\n", &n, &end);
    bool whole = r == 0 && n == KEY_BYTES && end == (const char *)text.data + text.len;
    buf_deinit(&text);
    if (!whole)
        return errmsg_set(err, -EINVAL, "%s: must hold the operator's public key as 64 hex digits", path);
    memcpy(ret_key, key, KEY_BYTES);
    return 0;
}

int ctl_operator_pub_save(const char *path, const uint8_t key[KEY_BYTES], struct errmsg *err)
{
    char hex[2 * KEY_BYTES + 2];
    int r;

    sodium_bin2hex(hex, sizeof(hex) - 1, key, KEY_BYTES);
    hex[2 * KEY_BYTES] = '\n';
    hex[2 * KEY_BYTES + 1] = '\0';
    r = file_write_atomic(path, span_str(hex), 0644);
    return r < 0 ? errmsg_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}
