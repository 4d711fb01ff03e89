/* The list in memory, and between messages and memory. */
#include "ctl/nodes.h"

#include "base/cleanup.h"
#include "ctl/nodes_private.h"

#include <errno.h>
#include <stdlib.h>

void nodes_deinit(struct nodes *l)
{
    free(l->at);
    *l = (struct nodes){0};
}

static size_t place_of(const struct nodes *l, const char *id)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(l->at[mid].id, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct upper_port_node *nodes_find(const struct nodes *l, const char *id)
{
    size_t i = place_of(l, id);

    return i < l->n && strcmp(l->at[i].id, id) == 0 ? &l->at[i] : NULL;
}

const struct upper_port_node *nodes_find_key(const struct nodes *l, const uint8_t transport[KEY_BYTES])
{
    for (size_t i = 0; i < l->n; i++)
        if (memcmp(l->at[i].transport, transport, KEY_BYTES) == 0)
            return &l->at[i];
    return NULL;
}

int nodes_set(struct nodes *l, const struct upper_port_node *node)
{
    size_t i = place_of(l, node->id);

    if (i < l->n && strcmp(l->at[i].id, node->id) == 0) {
        l->at[i] = *node;
        return 0;
    }
    struct upper_port_node *at = realloc(l->at, (l->n + 1) * sizeof(*at));
    if (at == NULL)
        return -ENOMEM;
    memmove(&at[i + 1], &at[i], (l->n - i) * sizeof(*at));
    at[i] = *node;
    l->at = at;
    l->n++;
    return 0;
}

int nodes_add_local(struct nodes *l, const struct nodes *local)
{
    for (size_t i = 0; i < local->n; i++) {
        if (nodes_find(l, local->at[i].id) != NULL || nodes_find_key(l, local->at[i].transport) != NULL)
            continue;
        int r = nodes_set(l, &local->at[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int node_of(const Fogline__V1__Node *m, struct upper_port_node *ret_node)
{
    struct upper_port_node n = {.revoked = m->revoked, .provisional = m->provisional};

    if (!name_part_ok(m->id, strlen(m->id)) ||
        (m->site[0] != '\0' && !name_part_ok(m->site, strlen(m->site))) ||
        strlen(m->role) >= sizeof(n.role) || m->transport_key.len != KEY_BYTES || m->end_key.len != KEY_BYTES)
        return -EBADMSG;
    snprintf(n.id, sizeof(n.id), "%s", m->id);
    snprintf(n.site, sizeof(n.site), "%s", m->site);
    snprintf(n.role, sizeof(n.role), "%s", m->role);
    memcpy(n.transport, m->transport_key.data, KEY_BYTES);
    memcpy(n.end, m->end_key.data, KEY_BYTES);
    *ret_node = n;
    return 0;
}

int nodes_of_body(struct wire_arena *a, struct span body, struct nodes *ret_l)
{
    Fogline__V1__NodeList *m;
    struct nodes l = {0};

    if (wire_node_list_unpack(a, body, &m) != 0)
        return -EBADMSG;
    l.version = m->version;
    for (size_t i = 0; i < m->n_nodes; i++) {
        struct upper_port_node node;
        int r = node_of(m->nodes[i], &node);
        if (r == 0)
            r = nodes_set(&l, &node);
        if (r < 0) {
            nodes_deinit(&l);
            return r;
        }
    }
    *ret_l = l;
    return 0;
}

int nodes_to_body(const struct nodes *l, uint64_t version, struct buf *out)
{
    owned(free_ptr) Fogline__V1__Node *nodes = calloc(l->n + 1, sizeof(*nodes));
    owned(free_ptr) Fogline__V1__Node **at = calloc(l->n + 1, sizeof(Fogline__V1__Node *));
    Fogline__V1__NodeList m = FOGLINE__V1__NODE_LIST__INIT;

    if (nodes == NULL || at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++) {
        const struct upper_port_node *n = &l->at[i];
        fogline__v1__node__init(&nodes[i]);
        nodes[i].id = (char *)n->id;
        nodes[i].site = (char *)n->site;
        nodes[i].role = (char *)n->role;
        nodes[i].transport_key = wire_bytes(span_of(n->transport, KEY_BYTES));
        nodes[i].end_key = wire_bytes(span_of(n->end, KEY_BYTES));
        nodes[i].revoked = n->revoked;
        nodes[i].provisional = n->provisional;
        at[i] = &nodes[i];
    }
    m.format = WIRE_FORMAT;
    m.version = version;
    m.n_nodes = l->n;
    m.nodes = at;
    wire_pack(out, &m.base);
    if (out->error == 0 && out->len > NODES_BODY_MAX_BYTES)
        return -EFBIG;
    return out->error;
}
