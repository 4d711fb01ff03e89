/* cloudctl init, store restored: what an operator sets up. */
#include "cloud/ctl_private.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "cloud/cloud_config.h"
#include "cloud/cloud_tier.h"
#include "hop/archive_word.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

/* ---- init ---- */

static int fill(struct ctl *ctl, struct cloud_config *c)
{
    int code;

    snprintf(c->common.node, sizeof c->common.node, "cloud");
    code = ctl_option_text(ctl, "node", c->common.node, sizeof c->common.node);
    if (code == CTL_OK)
        code = ctl_option_path(ctl, "state-dir", c->common.state_dir, sizeof c->common.state_dir);
    if (code == CTL_OK)
        code = ctl_option_path(ctl, "run-dir", c->common.run_dir, sizeof c->common.run_dir);
    if (code == CTL_OK)
        code = ctl_option_text(ctl, "listen", c->common.listen_host, sizeof c->common.listen_host);
    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "port", 1, 65534, c->common.listen_port, &c->common.listen_port);
    return code;
}

/* The operator's key signs node lists and commands; an existing one stays. */
static int make_operator(struct ctl *ctl)
{
    struct operator_keys k;
    struct errmsg err = {""};
    int r = operator_keys_load(ctl->paths.operator_key, &k, &err);

    if (r == -ENOENT) {
        operator_keys_generate(&k);
        r = operator_keys_save(ctl->paths.operator_key, &k, &err);
    }
    if (r == 0)
        r = ctl_operator_pub_save(ctl->paths.operator_pub, k.public_key, &err);
    operator_keys_wipe(&k);
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s", err.text) : CTL_OK;
}

static int said(struct ctl *ctl, const struct node_public *key)
{
    owned(json_freep) struct json *j = NULL;
    char text[KEY_TEXT_CHARS], link_text[KEY_TEXT_CHARS], host[256] = "THIS-HOST";
    struct link_key link;
    int code = ctl_link_key(ctl, &link);

    if (code != CTL_OK)
        return code;
    node_public_format(key, text);
    link_key_format(&link, link_text);
    if (ctl->json) {
        code = ctl_json(ctl, false, &j);
        if (code != CTL_OK)
            return code;
        json_object(j);
        json_kstr(j, "node", ctl->settings->node);
        json_kstr(j, "config", ctl->config_path);
        json_kstr(j, "key", text);
        json_kstr(j, "link_key", link_text);
        json_ki64(j, "port", ctl->settings->listen_port);
        json_object_end(j);
        return ctl_json_end(ctl, j);
    }
    (void)gethostname(host, sizeof host - 1);
    fprintf(ctl->out,
            "wrote %s, %s and %s\n\n"
            "1. Here:\n  fogline-cloud -c %s\n"
            "2. On each fog's machine:\n  fogctl init --up %s:%d --up-key %s --site SITE --node NAME\n"
            "Keep a copy of %s in a safe place: without it no node can be accepted or revoked.\n",
            ctl->config_path, ctl->paths.node_key, ctl->paths.operator_key, ctl->config_path, host,
            (int)ctl->settings->listen_port, link_text, ctl->paths.operator_key);
    return CTL_OK;
}

int verb_cloud_init(struct ctl *ctl)
{
    struct cloud_config c;
    struct node_public key;
    int code;

    if (config_defaults(&cloud_schema, &c) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = fill(ctl, &c);
    if (code == CTL_OK)
        code = ctl_init(ctl, &c, &key);
    config_free_values(&cloud_schema, &c);
    if (code == CTL_OK)
        code = make_operator(ctl);
    return code == CTL_OK ? said(ctl, &key) : code;
}

/* ---- store restored ---- */

/* Above every version given so far, also where the copy that was put back holds an old word or none: so the
 * time in seconds, or one more than the last. */
static uint64_t next_word(const struct cloud_word *last, int64_t now_unix_s)
{
    uint64_t now = now_unix_s > 0 ? (uint64_t)now_unix_s : 0;

    return now > last->version ? now : last->version + 1;
}

static int write_word(struct ctl *ctl, const struct id128 *id, const struct operator_keys *k)
{
    owned(buf_deinit) struct buf packed = {0};
    owned(cloud_word_deinit) struct cloud_word last = {0};
    char path[CTL_FILE_CHARS + 32];
    struct errmsg err = {""};
    int r = cloud_word_load(ctl->paths.state_dir, k->public_key, &last, &err);

    if (r < 0 && r != -EBADMSG)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    snprintf(path, sizeof path, "%s/" CLOUD_ARCHIVE_DOC, ctl->paths.state_dir);
    r = archive_word_make(id, next_word(&last, (int64_t)time(NULL)), k, &packed);
    if (r == 0)
        r = file_write_atomic(path, span_of(packed.data, packed.len), 0600);
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(-r)) : CTL_OK;
}

int verb_store_restored(struct ctl *ctl)
{
    owned(json_freep) struct json *j = NULL;
    char path[CTL_FILE_CHARS + 32], hex[ID128_HEX_CHARS + 2];
    struct id128 id = id128_random();
    struct operator_keys operator;
    struct errmsg err = {""};
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    r = operator_keys_load(ctl->paths.operator_key, &operator, & err);
    if (r < 0)
        return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_UNAUTHORISED, "%s", err.text);
    code = write_word(ctl, &id, &operator);
    operator_keys_wipe(&operator);
    if (code != CTL_OK)
        return code;
    id128_hex(&id, hex);
    hex[ID128_HEX_CHARS] = '\n';
    hex[ID128_HEX_CHARS + 1] = 0;
    snprintf(path, sizeof path, "%s/" CLOUD_RESTORED_FILE, ctl->paths.state_dir);
    r = file_write_atomic(path, span_str(hex), 0600);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(-r));
    hex[ID128_HEX_CHARS] = 0;
    if (ctl->json) {
        code = ctl_json(ctl, false, &j);
        if (code != CTL_OK)
            return code;
        json_object(j);
        json_kstr(j, "archive_id", hex);
        json_object_end(j);
        return ctl_json_end(ctl, j);
    }
    fprintf(ctl->out,
            "the archive goes on as %s at the next start of fogline-cloud, and the nodes are told\n", hex);
    return CTL_OK;
}
