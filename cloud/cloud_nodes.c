/* Who may connect, and what travels down: the signed list of nodes to fogs, commands to the nodes they are
 * for. */
#include "cloud/cloud_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>

static int set_nodes(struct cloud *c, struct nodes *l)
{
    int r;

    nodes_deinit(&c->nodes);
    c->nodes = *l;
    *l = (struct nodes){0};
    r = upper_port_set_nodes(c->port, c->nodes.at, c->nodes.n);
    if (r == 0)
        r = intake_set_nodes(c->intake, c->nodes.at, c->nodes.n);
    if (r == 0 || r == ARCHIVE_FULL)
        r = cloud_commit(c);
    return r;
}

static int load_nodes(struct cloud *c, struct errmsg *err)
{
    owned(nodes_deinit) struct nodes l = {0};
    uint64_t version;
    int r = nodes_load(c->d->paths.nodes_doc, c->operator_public, &l, err);

    if (r < 0 || r == NODES_FORGED)
        return r < 0 ? r : -EBADMSG;
    buf_reset(&c->nodes_packed);
    if (r == 0) {
        r = nodes_read_document(c->d->paths.nodes_doc, &c->nodes_packed, &version);
        if (r != 0 || version != l.version)
            return errmsg_set(err, -EAGAIN, "%s changed while it was read", c->d->paths.nodes_doc);
    }
    r = set_nodes(c, &l);
    if (r < 0)
        return errmsg_set(err, r, "cannot set the list of nodes: %s", strerror(-r));
    c->counter[CLOUD_NODE_LISTS]++;
    log_info("nodes", "version=%" PRIu64 " nodes=%zu", c->nodes.version, c->nodes.n);
    return 0;
}

static void load_commands(struct cloud *c)
{
    int r = commands_load(c->d->paths.commands, &c->commands);

    if (r < 0)
        log_warn("commands_unreadable", "folder=%s msg=%s", log_quote(c->d->paths.commands),
                 log_quote(strerror(-r)));
}

static void write_refused(struct cloud *c)
{
    struct gate_refusal at[CLOUD_REFUSALS_MAX];
    struct nodes_refused_view v = {.cli = "cloudctl", .config = c->d->config_path, .at = at};
    uint64_t mark = 1;

    v.n = upper_port_refused(c->port, at, CLOUD_REFUSALS_MAX);
    for (size_t i = 0; i < v.n; i++)
        mark = mark * UINT64_C(1099511628211) + at[i].count + (uint64_t)at[i].last_unix_ns;
    if (mark != c->refused_mark && nodes_write_refused(c->d->paths.refused, &v) == 0)
        c->refused_mark = mark;
}

int cloud_nodes_start(struct cloud *c, struct errmsg *err)
{
    struct errmsg why = {""};
    int r = ctl_operator_pub_load(c->d->paths.operator_pub, c->operator_public, err);

    if (r < 0)
        return r;
    (void)nodes_watch_changed(&c->nodes_watch, c->d->paths.nodes_doc, NULL);
    (void)nodes_watch_changed(&c->commands_watch, c->d->paths.commands, NULL);
    if (load_nodes(c, &why) < 0) /* nobody gets in until there is a good list */
        log_error("nodes_refused", "msg=%s", log_quote(why.text));
    load_commands(c);
    cloud_archive_start(c);
    return 0;
}

void cloud_nodes_tick(struct cloud *c)
{
    struct errmsg err = {""};

    if (nodes_watch_changed(&c->nodes_watch, c->d->paths.nodes_doc, NULL) && load_nodes(c, &err) < 0)
        log_error("nodes_refused", "msg=%s", log_quote(err.text)); /* the list in force stays */
    if (nodes_watch_changed(&c->commands_watch, c->d->paths.commands, NULL)) {
        size_t before = c->commands.n;

        load_commands(c);
        if (c->commands.n > before)
            inbox_documents_changed(upper_port_inbox(c->port));
    }
    write_refused(c);
}

/* ---- documents ---- */

static uint64_t version_held(const Fogline__V1__Hello *h, const char *kind)
{
    for (size_t i = 0; i < h->n_documents; i++)
        if (strcmp(h->documents[i]->kind, kind) == 0)
            return h->documents[i]->version;
    return 0;
}

static size_t add_document(struct cloud *c, struct wire_arena *a, const struct buf *packed,
                           Fogline__V1__Document **out)
{
    if (wire_document_unpack(a, span_of(packed->data, packed->len), out) != 0)
        return 0;
    c->counter[CLOUD_DOCUMENTS_SENT]++;
    return 1;
}

/* Commands go to the node itself and to the fogs of its site, again at each Hello until the reply is
 * archived. */
static bool is_for(const struct cloud *c, const struct commands_item *item,
                   const struct upper_port_node *peer)
{
    const struct upper_port_node *target = nodes_find(&c->nodes, item->node);

    return target != NULL && !target->revoked &&
           (strcmp(peer->id, item->node) == 0 ||
            (strcmp(peer->role, "fog") == 0 && strcmp(peer->site, target->site) == 0));
}

size_t cloud_documents(void *ctx, struct wire_arena *a, const char *peer, const Fogline__V1__Hello *hello,
                       Fogline__V1__Document **out, size_t max)
{
    struct cloud *c = ctx;
    const struct upper_port_node *p = nodes_find(&c->nodes, peer);
    const struct buf *word;
    size_t n = 0;

    if (p == NULL || hello == NULL)
        return 0;
    if (cloud_archive_word(c, peer, hello, &word) && n < max)
        n += add_document(c, a, word, &out[n]);
    if (n < max && strcmp(p->role, "fog") == 0 && c->nodes_packed.len > 0 &&
        version_held(hello, "nodes") < c->nodes.version)
        n += add_document(c, a, &c->nodes_packed, &out[n]);
    for (size_t i = 0; i < c->commands.n && n < max; i++)
        if (is_for(c, &c->commands.at[i], p))
            n += add_document(c, a, &c->commands.at[i].packed, &out[n]);
    return n;
}

void cloud_on_reply(void *ctx, const char *origin, uint64_t counter)
{
    struct cloud *c = ctx;

    c->counter[CLOUD_REPLIES]++;
    if (c->n_replies == CLOUD_REPLIES_MAX)
        return; /* the command is sent again; the node answers that it was carried out before */
    snprintf(c->replies[c->n_replies].node, sizeof c->replies[0].node, "%s", origin);
    c->replies[c->n_replies++].counter = counter;
}

void cloud_replies_done(struct cloud *c)
{
    for (size_t i = 0; i < c->n_replies; i++) {
        int r = commands_remove(c->d->paths.commands, c->replies[i].node, c->replies[i].counter);

        log_info("command_answered", "node=%s counter=%" PRIu64, c->replies[i].node, c->replies[i].counter);
        if (r < 0)
            log_warn("command_not_removed", "msg=%s", log_quote(strerror(-r)));
    }
    c->n_replies = 0;
}
