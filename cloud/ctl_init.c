/* cloudctl init, command, store restored: what an operator sets up and orders. */
#include "cloud/ctl_private.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "cloud/cloud_config.h"
#include "cloud/cloud_tier.h"
#include "ctl/commands.h"
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

/* ---- command ---- */

static int load_secrets(struct ctl *ctl, struct node_keys *cloud, struct operator_keys *operator)
{
    struct errmsg err = {""};
    int r = node_keys_load(ctl->paths.node_key, cloud, &err);

    if (r == 0)
        r = operator_keys_load(ctl->paths.operator_key, operator, & err);
    return r < 0 ? ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_UNAUTHORISED, "%s", err.text) : CTL_OK;
}

static int target_key(struct ctl *ctl, const char *node, uint8_t end[KEY_BYTES])
{
    owned(nodes_deinit) struct nodes l = {0};
    uint8_t operator_public[KEY_BYTES];
    struct errmsg err = {""};
    const struct upper_port_node *n;

    if (ctl_operator_pub_load(ctl->paths.operator_pub, operator_public, &err) < 0 ||
        nodes_load(ctl->paths.nodes_doc, operator_public, &l, &err) < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    n = nodes_find(&l, node);
    if (n == NULL || n->revoked)
        return ctl_fail(ctl, CTL_NOT_FOUND, "`%s` is %s; see `cloudctl enroll list`", node,
                        n == NULL ? "not on the list of nodes" : "revoked");
    memcpy(end, n->end, KEY_BYTES);
    return CTL_OK;
}

static int issue(struct ctl *ctl, struct command *c, const struct end_keys *keys,
                 const struct operator_keys *operator)
{
    owned(buf_deinit) struct buf packed = {0};
    int r = file_mkdirs(ctl->paths.commands, 0700);

    if (r == 0)
        r = commands_next_counter(ctl->paths.commands, c->target, &c->counter);
    if (r == 0)
        r = command_make(c, keys->seal, operator, & packed);
    if (r == 0)
        r = commands_save(ctl->paths.commands, c->target, c->counter, span_of(packed.data, packed.len));
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.commands, strerror(-r)) : CTL_OK;
}

static int issued(struct ctl *ctl, const struct command *c)
{
    owned(json_freep) struct json *j = NULL;
    int code;

    if (!ctl->json) {
        fprintf(ctl->out, "%s: command %" PRIu64 " (%s) waits for its reply; watch `cloudctl events %s`\n",
                c->target, c->counter, command_type_name(c->type), c->target);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "node", c->target);
    json_ku64(j, "counter", c->counter);
    json_kstr(j, "command", command_type_name(c->type));
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

int verb_command(struct ctl *ctl)
{
    struct command c = {0};
    struct node_keys cloud;
    struct operator_keys operator;
    struct end_keys keys;
    uint8_t end[KEY_BYTES];
    int code = ctl_load(ctl);

    if (code != CTL_OK)
        return code;
    if (!name_part_ok(ctl->args[0], strlen(ctl->args[0])))
        return ctl_fail(ctl, CTL_USAGE, "`%s` is no node name", ctl->args[0]);
    if (!command_type_parse(ctl->args[1], &c.type))
        return ctl_fail(ctl, CTL_USAGE, "`%s` is no command; known: identify", ctl->args[1]);
    snprintf(c.target, sizeof c.target, "%s", ctl->args[0]);
    if (ctl->n_args > 2 && strlen(ctl->args[2]) >= sizeof c.argument)
        return ctl_fail(ctl, CTL_USAGE, "the argument is too long");
    if (ctl->n_args > 2)
        snprintf(c.argument, sizeof c.argument, "%s", ctl->args[2]);
    code = target_key(ctl, c.target, end);
    if (code != CTL_OK)
        return code;
    code = load_secrets(ctl, &cloud, &operator);
    if (code != CTL_OK)
        return code;
    if (end_keys_derive(cloud.end_secret, cloud.end_public, end, false, &keys) < 0)
        code = ctl_fail(ctl, CTL_FAILED, "the key of `%s` is not usable", c.target);
    if (code == CTL_OK)
        code = issue(ctl, &c, &keys, &operator);
    end_keys_wipe(&keys);
    node_keys_wipe(&cloud);
    operator_keys_wipe(&operator);
    return code == CTL_OK ? issued(ctl, &c) : code;
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
