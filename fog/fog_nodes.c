/* Who may connect: the signed list as far as it concerns this site, and what was accepted here. */
#include "fog/fog_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>

static int load_lists(struct fog *f, struct nodes *ret_l, struct errmsg *err)
{
    owned(nodes_deinit) struct nodes l = {0}, local = {0};
    const struct ctl_paths *p = &f->d->paths;
    int r = nodes_load(p->nodes_doc, f->trust.operator_public, &l, err);

    if (r == NODES_FORGED)
        return -EBADMSG;
    if (r >= 0)
        r = nodes_load_local(p->nodes_local, &local, err);
    if (r >= 0)
        r = nodes_add_local(&l, &local);
    if (r < 0)
        return r;
    *ret_l = l;
    l = (struct nodes){0};
    return 0;
}

/* Devices of this site. A node that the list no longer has, or has at another site, is as unknown as any. */
static int open_gate(struct fog *f)
{
    const struct nodes *l = &f->nodes;
    owned(free_ptr) struct upper_port_node *mine = calloc(l->n + 1, sizeof(*mine));
    size_t n = 0;

    if (mine == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->at[i].role, "device") == 0 && strcmp(l->at[i].site, f->d->settings->site) == 0)
            mine[n++] = l->at[i];
    return upper_port_set_nodes(f->upper, mine, n);
}

int fog_nodes_load(struct fog *f, struct errmsg *err)
{
    struct nodes l = {0};
    int r = load_lists(f, &l, err);

    if (r < 0)
        return r;
    nodes_deinit(&f->nodes);
    f->nodes = l;
    r = open_gate(f);
    if (r < 0)
        return errmsg_set(err, r, "cannot set the list of nodes: %s", strerror(-r));
    f->counter[FOG_NODE_LISTS]++;
    log_info("nodes", "version=%" PRIu64 " nodes=%zu", f->nodes.version, f->nodes.n);
    return 0;
}

static void write_refused(struct fog *f)
{
    struct gate_refusal at[FOG_REFUSALS_MAX];
    struct nodes_refused_view v = {.cli = "fogctl", .config = f->d->config_path, .at = at};
    uint64_t mark = 1;

    v.n = upper_port_refused(f->upper, at, FOG_REFUSALS_MAX);
    for (size_t i = 0; i < v.n; i++)
        mark = mark * UINT64_C(1099511628211) + at[i].count + (uint64_t)at[i].last_unix_ns;
    if (mark == f->refused_mark)
        return;
    if (nodes_write_refused(f->d->paths.refused, &v) == 0)
        f->refused_mark = mark;
}

void fog_nodes_tick(struct fog *f)
{
    struct errmsg err = {""};

    if (nodes_watch_changed(&f->nodes_watch, f->d->paths.nodes_doc, f->d->paths.nodes_local) &&
        fog_nodes_load(f, &err) < 0)
        log_error("nodes_refused", "msg=%s", log_quote(err.text)); /* the list in force stays */
    write_refused(f);
}
