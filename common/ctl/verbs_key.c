#include "ctl/verbs_private.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>

static int load_keys(struct ctl *ctl, struct node_keys *ret_keys)
{
    struct errmsg err = {""};
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    r = node_keys_load(ctl->paths.node_key, ret_keys, &err);
    if (r == -ENOENT)
        return ctl_fail(ctl, CTL_NOT_FOUND, "%s: there is no key; make one with: %s -c %s key gen",
                        ctl->paths.node_key, ctl->tier->cli, ctl->config_path);
    return r < 0 ? ctl_fail(ctl, ctl_code(r), "%s", err.text) : CTL_OK;
}

static int print_public(struct ctl *ctl, const struct node_keys *keys)
{
    owned(json_freep) struct json *j = NULL;
    struct node_public p;
    char text[KEY_TEXT_CHARS], fingerprint[KEY_FINGERPRINT_CHARS + 1];
    int code;

    memcpy(p.transport, keys->transport_public, KEY_BYTES);
    memcpy(p.end, keys->end_public, KEY_BYTES);
    node_public_format(&p, text);
    key_fingerprint(p.transport, fingerprint);
    if (!ctl->json) {
        fprintf(ctl->out, "node         %s\nfingerprint  %s\nkey          %s\n", ctl->settings->node,
                fingerprint, text);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "node", ctl->settings->node);
    json_kstr(j, "fingerprint", fingerprint);
    json_kstr(j, "key", text);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

int verb_key_gen(struct ctl *ctl)
{
    struct node_keys keys;
    struct errmsg err = {""};
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    r = file_mkdirs(ctl->paths.state_dir, 0700);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.state_dir, strerror(-r));
    node_keys_generate(&keys);
    r = node_keys_save(ctl->paths.node_key, &keys, &err);
    if (r == -EEXIST)
        code = ctl_fail(ctl, CTL_FAILED,
                        "%s is there already; a new key would be a new node. Show it with: %s key show",
                        ctl->paths.node_key, ctl->tier->cli);
    else
        code = r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s", err.text) : print_public(ctl, &keys);
    node_keys_wipe(&keys);
    return code;
}

static int cloud_link_key(struct ctl *ctl, const struct node_keys *keys, struct link_key *ret_k)
{
    struct errmsg err = {""};
    int r = ctl_operator_pub_load(ctl->paths.operator_pub, ret_k->operator_public, &err);

    memcpy(ret_k->cloud_end, keys->end_public, KEY_BYTES);
    return r < 0 ? ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "%s", err.text) : CTL_OK;
}

static int fog_link_key(struct ctl *ctl, struct link_key *ret_k)
{
    struct lower_port_upstream up[LOWER_PORT_UPSTREAMS_MAX];
    struct link_key trust;
    struct errmsg err = {""};
    unsigned n;

    if (ctl->settings->up_keys.n == 0)
        return ctl_fail(
            ctl, CTL_NOT_FOUND,
            "up.keys is empty, so it is not known which cloud the nodes below shall trust; put the text of "
            "`cloudctl key show --link` there");
    if (ctl_upstreams(ctl->settings, up, &n, &trust, &err) < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    memcpy(ret_k->cloud_end, trust.cloud_end, KEY_BYTES);
    memcpy(ret_k->operator_public, trust.operator_public, KEY_BYTES);
    return CTL_OK;
}

int ctl_link_key(struct ctl *ctl, struct link_key *ret_k)
{
    struct node_keys keys;
    struct link_key k;
    int code = load_keys(ctl, &keys);

    if (code != CTL_OK)
        return code;
    memcpy(k.upper_transport, keys.transport_public, KEY_BYTES);
    code = ctl->tier->authority ? cloud_link_key(ctl, &keys, &k) : fog_link_key(ctl, &k);
    node_keys_wipe(&keys);
    if (code == CTL_OK)
        *ret_k = k;
    return code;
}

int verb_key_show(struct ctl *ctl)
{
    owned(json_freep) struct json *j = NULL;
    struct node_keys keys;
    struct link_key k;
    char text[KEY_TEXT_CHARS];
    int code;

    if (ctl_option(ctl, "link") == NULL) {
        code = load_keys(ctl, &keys);
        if (code != CTL_OK)
            return code;
        code = print_public(ctl, &keys);
        node_keys_wipe(&keys);
        return code;
    }
    code = ctl_link_key(ctl, &k);
    if (code != CTL_OK)
        return code;
    link_key_format(&k, text);
    if (!ctl->json) {
        fprintf(ctl->out, "%s\n", text);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "node", ctl->settings->node);
    json_kstr(j, "link_key", text);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}
