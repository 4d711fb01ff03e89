/* Who may connect: on the cloud the signed list, on a fog what it lets in until the cloud has spoken. */
#include "ctl/verbs_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/name.h"
#include "ctl/jtree.h"
#include "ctl/table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

/* Both lists as the daemon joins them; operator's public key by the tier's way. */
static int operator_public(struct ctl *ctl, uint8_t ret_key[KEY_BYTES])
{
    struct lower_port_upstream up[LOWER_PORT_UPSTREAMS_MAX];
    struct link_key trust;
    struct errmsg err = {""};
    unsigned n;
    int r;

    if (ctl->tier->authority)
        r = ctl_operator_pub_load(ctl->paths.operator_pub, ret_key, &err);
    else
        r = ctl_upstreams(ctl->settings, up, &n, &trust, &err);
    if (r < 0)
        return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : ctl_code(r), "%s", err.text);
    if (!ctl->tier->authority)
        memcpy(ret_key, trust.operator_public, KEY_BYTES);
    return CTL_OK;
}

static int load_signed(struct ctl *ctl, struct nodes *l)
{
    uint8_t key[KEY_BYTES];
    struct errmsg err = {""};
    int code = operator_public(ctl, key), r;

    if (code != CTL_OK)
        return code;
    r = nodes_load(ctl->paths.nodes_doc, key, l, &err);
    if (r == NODES_FORGED)
        return ctl_fail(ctl, CTL_DAMAGED, "%s", err.text);
    return r < 0 ? ctl_fail(ctl, ctl_code(r), "%s", err.text) : CTL_OK;
}

static int load_local(struct ctl *ctl, struct nodes *l)
{
    struct errmsg err = {""};
    int r = ctl->tier->authority ? 0 : nodes_load_local(ctl->paths.nodes_local, l, &err);

    return r < 0 ? ctl_fail(ctl, ctl_code(r), "%s", err.text) : CTL_OK;
}

static const char *state_of(const struct upper_port_node *n)
{
    return n->revoked ? "revoked" : n->provisional ? "provisional" : "accepted";
}

static int list_json(struct ctl *ctl, const struct nodes *l, const struct jnode *refused)
{
    owned(json_freep) struct json *j = NULL;
    char fingerprint[KEY_FINGERPRINT_CHARS + 1];
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_ku64(j, "version", l->version);
    json_key(j, "nodes");
    json_array(j);
    for (size_t i = 0; i < l->n; i++) {
        key_fingerprint(l->at[i].transport, fingerprint);
        json_object(j);
        json_kstr(j, "node", l->at[i].id);
        json_kstr(j, "role", l->at[i].role);
        json_kstr(j, "site", l->at[i].site);
        json_kstr(j, "fingerprint", fingerprint);
        json_kstr(j, "state", state_of(&l->at[i]));
        json_object_end(j);
    }
    json_array_end(j);
    json_key(j, "refused");
    if (refused != NULL) {
        jnode_write(refused, j);
    } else {
        json_array(j);
        json_array_end(j);
    }
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int print_refused(struct ctl *ctl, const struct nodes *l, const struct jnode *refused)
{
    static const struct table_column columns[] = {
        {"REFUSED", false}, {"ADDRESS", false}, {"TIMES", true}, {"LAST", false}};
    owned(table_freep) struct table *t = NULL;
    char fingerprint[KEY_FINGERPRINT_CHARS + 1], text[64];

    if (table_new(&t, columns, 4) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < jnode_n(refused); i++) {
        const struct jnode *one = jnode_at(refused, i);
        const char *name = jnode_text(jnode_get(one, "fingerprint"));
        bool known = false;
        for (size_t k = 0; k < l->n && !known; k++) {
            key_fingerprint(l->at[k].transport, fingerprint);
            known = !l->at[k].revoked && strcmp(fingerprint, name) == 0;
        }
        if (known)
            continue; /* accepted since */
        table_cell(t, name);
        table_cell(t, jnode_text(jnode_get(one, "address")));
        table_cell(t, jnode_text(jnode_get(one, "count")));
        table_cell(t,
                   clock_format_utc(jnode_i64(jnode_get(one, "last_unix_ns")) / NS_PER_S * NS_PER_S, text));
    }
    if (table_rows(t) == 0)
        return CTL_OK;
    fputc('\n', ctl->out);
    if (table_print(t, ctl->out, ctl->color) < 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot print the table");
    ctl_note(ctl,
             "\nTo let one in: run `key show` on that node, compare the fingerprint, then here\n"
             "  %s -c %s enroll accept NODE KEY%s",
             ctl->tier->cli, ctl->config_path, ctl->tier->authority ? " --site SITE [--role fog]" : "");
    return CTL_OK;
}

static int list_text(struct ctl *ctl, const struct nodes *l, const struct jnode *refused)
{
    static const struct table_column columns[] = {
        {"NODE", false}, {"ROLE", false}, {"SITE", false}, {"FINGERPRINT", false}, {"STATE", false}};
    owned(table_freep) struct table *t = NULL;
    char fingerprint[KEY_FINGERPRINT_CHARS + 1];

    if (table_new(&t, columns, 5) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < l->n; i++) {
        key_fingerprint(l->at[i].transport, fingerprint);
        table_cell(t, l->at[i].id);
        table_cell(t, l->at[i].role);
        table_cell(t, l->at[i].site);
        table_cell(t, fingerprint);
        table_cell(t, state_of(&l->at[i]));
    }
    if (table_print(t, ctl->out, ctl->color) < 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot print the table");
    return print_refused(ctl, l, refused);
}

static int verb_list(struct ctl *ctl)
{
    owned(nodes_deinit) struct nodes l = {0}, local = {0};
    owned(jtree_freep) struct jtree *t = NULL;
    const struct jnode *refused = NULL;
    int code = ctl_load(ctl);

    if (code == CTL_OK)
        code = load_signed(ctl, &l);
    if (code == CTL_OK)
        code = load_local(ctl, &local);
    if (code != CTL_OK)
        return code;
    if (nodes_add_local(&l, &local) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    if (jtree_read(ctl->paths.refused, &t) == 0)
        refused = jnode_get(jtree_root(t), "refused");
    return ctl->json ? list_json(ctl, &l, refused) : list_text(ctl, &l, refused);
}

static int read_node(struct ctl *ctl, struct upper_port_node *ret_n)
{
    struct upper_port_node n = {0};
    struct node_public key;
    struct errmsg err = {""};
    const char *site = ctl_option(ctl, "site"), *role = ctl_option(ctl, "role");

    if (site == NULL && !ctl->tier->authority)
        site = ctl->settings->site;
    role = role == NULL ? "device" : role;
    if (!name_part_ok(ctl->args[0], strlen(ctl->args[0])))
        return ctl_fail(ctl, CTL_USAGE, "`%s` is no node name: letters, digits, . _ - and at most 64 of them",
                        ctl->args[0]);
    if (site == NULL || !name_part_ok(site, strlen(site)))
        return ctl_fail(ctl, CTL_USAGE, "say where it stands: --site SITE");
    if (strcmp(role, "device") != 0 && strcmp(role, "fog") != 0)
        return ctl_fail(ctl, CTL_USAGE, "--role is device or fog, not `%s`", role);
    if (!ctl->tier->authority && (strcmp(role, "device") != 0 || strcmp(site, ctl->settings->site) != 0))
        return ctl_fail(ctl, CTL_USAGE, "a fog takes in devices of its own site only (%s)",
                        ctl->settings->site);
    if (node_public_parse(ctl->args[1], &key, &err) < 0)
        return ctl_fail(ctl, CTL_USAGE, "KEY: %s", err.text);
    snprintf(n.id, sizeof(n.id), "%s", ctl->args[0]);
    snprintf(n.site, sizeof(n.site), "%s", site);
    snprintf(n.role, sizeof(n.role), "%s", role);
    memcpy(n.transport, key.transport, KEY_BYTES);
    memcpy(n.end, key.end, KEY_BYTES);
    n.provisional = !ctl->tier->authority;
    *ret_n = n;
    return CTL_OK;
}

/* A key names one node, and a name that is in use is not handed to another key by accident. */
static int check_clash(struct ctl *ctl, const struct nodes *l, const struct upper_port_node *n)
{
    const struct upper_port_node *by_key = nodes_find_key(l, n->transport), *by_id = nodes_find(l, n->id);

    if (by_key != NULL && strcmp(by_key->id, n->id) != 0 && !by_key->revoked)
        return ctl_fail(ctl, CTL_FAILED, "this key is that of node %s", by_key->id);
    if (by_id != NULL && !by_id->revoked && memcmp(by_id->transport, n->transport, KEY_BYTES) != 0)
        return ctl_fail(ctl, CTL_FAILED,
                        "node %s is accepted with another key; revoke it first: %s enroll revoke %s", n->id,
                        ctl->tier->cli, n->id);
    if (strcmp(n->id, ctl->settings->node) == 0)
        return ctl_fail(ctl, CTL_FAILED, "%s is the name of this node itself", n->id);
    return CTL_OK;
}

static int save_signed(struct ctl *ctl, struct nodes *l)
{
    struct operator_keys k;
    struct errmsg err = {""};
    int r = operator_keys_load(ctl->paths.operator_key, &k, &err);

    if (r < 0)
        return ctl_fail(ctl, ctl_code(r), "%s", err.text);
    r = nodes_save(ctl->paths.nodes_doc, l, &k, &err);
    operator_keys_wipe(&k);
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s", err.text) : CTL_OK;
}

static int save_local(struct ctl *ctl, const struct nodes *local)
{
    struct errmsg err = {""};

    return nodes_save_local(ctl->paths.nodes_local, local, &err) < 0
               ? ctl_fail(ctl, CTL_FAILED, "%s", err.text)
               : CTL_OK;
}

/* Reading, changing and writing the list is one step for whoever else runs the same command. */
static int lock_list(struct ctl *ctl, int *ret_fd)
{
    char path[CTL_FILE_CHARS + 8];
    int code = ctl_load(ctl);

    if (code != CTL_OK)
        return code;
    snprintf(path, sizeof(path), "%s.lock",
             ctl->tier->authority ? ctl->paths.nodes_doc : ctl->paths.nodes_local);
    *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*ret_fd < 0 || flock(*ret_fd, LOCK_EX) < 0)
        return ctl_fail(ctl, ctl_code(-errno), "%s: %s", path, strerror(errno));
    return CTL_OK;
}

static int said(struct ctl *ctl, const struct upper_port_node *n, uint64_t version)
{
    owned(json_freep) struct json *j = NULL;
    char fingerprint[KEY_FINGERPRINT_CHARS + 1];
    int code;

    key_fingerprint(n->transport, fingerprint);
    if (!ctl->json) {
        fprintf(ctl->out, "%s %s (%s, site %s, key %s)\n", state_of(n), n->id, n->role, n->site, fingerprint);
        if (n->provisional && !n->revoked)
            ctl_note(ctl,
                     "Its data are held here and are settled when the cloud has accepted it too; run there:\n"
                     "  cloudctl enroll accept %s %s --site %s",
                     n->id, ctl->args[1], n->site);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "node", n->id);
    json_kstr(j, "role", n->role);
    json_kstr(j, "site", n->site);
    json_kstr(j, "fingerprint", fingerprint);
    json_kstr(j, "state", state_of(n));
    json_ku64(j, "version", version);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int verb_accept(struct ctl *ctl)
{
    owned(nodes_deinit) struct nodes l = {0}, local = {0};
    owned(close_fd) int lock = -1;
    struct upper_port_node n;
    int code = lock_list(ctl, &lock);

    if (code == CTL_OK)
        code = read_node(ctl, &n);
    if (code == CTL_OK)
        code = load_signed(ctl, &l);
    if (code == CTL_OK)
        code = load_local(ctl, &local);
    if (code == CTL_OK)
        code = check_clash(ctl, &l, &n);
    if (code == CTL_OK)
        code = check_clash(ctl, &local, &n);
    if (code != CTL_OK)
        return code;
    const struct upper_port_node *by_cloud = nodes_find(&l, n.id);
    if (!ctl->tier->authority && by_cloud != NULL && by_cloud->revoked)
        return ctl_fail(ctl, CTL_UNAUTHORISED, "the cloud has revoked %s; only the cloud can accept it again",
                        n.id);
    if (!ctl->tier->authority && by_cloud != NULL)
        return said(ctl, by_cloud, l.version);
    struct nodes *list = ctl->tier->authority ? &l : &local;
    if (nodes_set(list, &n) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = ctl->tier->authority ? save_signed(ctl, &l) : save_local(ctl, &local);
    return code == CTL_OK ? said(ctl, &n, l.version) : code;
}

static int verb_revoke(struct ctl *ctl)
{
    owned(nodes_deinit) struct nodes l = {0}, local = {0};
    owned(close_fd) int lock = -1;
    int code = lock_list(ctl, &lock);

    if (code == CTL_OK)
        code = load_signed(ctl, &l);
    if (code == CTL_OK)
        code = load_local(ctl, &local);
    if (code != CTL_OK)
        return code;
    struct nodes *list = ctl->tier->authority ? &l : &local;
    const struct upper_port_node *known = nodes_find(list, ctl->args[0]);
    if (known == NULL && !ctl->tier->authority && nodes_find(&l, ctl->args[0]) != NULL)
        return ctl_fail(ctl, CTL_UNAUTHORISED,
                        "%s was accepted by the cloud; revoke it there: cloudctl enroll revoke %s",
                        ctl->args[0], ctl->args[0]);
    if (known == NULL)
        return ctl_fail(ctl, CTL_NOT_FOUND, "no node %s is on the list; see: %s enroll list", ctl->args[0],
                        ctl->tier->cli);
    struct upper_port_node n = *known;
    n.revoked = true;
    if (nodes_set(list, &n) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = ctl->tier->authority ? save_signed(ctl, &l) : save_local(ctl, &local);
    return code == CTL_OK ? said(ctl, &n, l.version) : code;
}

static const struct cmd_option accept_options[] = {
    {"site", 's', "SITE", "where the node stands (on a fog: its own site)"},
    {"role", 'r', "ROLE", "device (default) or fog"},
    {NULL},
};

const struct cmd ctl_verbs_enroll[] = {
    {"enroll list", NULL, 0, 0, "nodes that may connect, and keys that were turned away", NULL, NULL,
     verb_list},
    {"enroll accept", "NODE KEY", 2, 2, "let a node connect",
     "KEY is the text fn1-... that `key show` prints on that node. On a fog the node is provisional: its "
     "data are taken\n"
     "and held, and settled when the cloud has accepted it too.\n\n"
     "Example: enroll accept pump-1 fn1-... --site plant-a",
     accept_options, verb_accept},
    {"enroll revoke", "NODE", 1, 1, "never let this node connect again", NULL, NULL, verb_revoke},
    {NULL},
};
