/* validate_document.c - documents and their bodies (proto/hop.proto, proto/document.proto). */
#include "wire/check.h"

void check_document(struct check *c, const Fogline__V1__Document *d)
{
    check_base(c, &d->base);
    check_name(c, d->kind);
    check_name_or_empty(c, d->target);
    check_that(c, d->version != 0);
    check_limit(c, d->body.len, WIRE_DOCUMENT_BODY_MAX_BYTES);
    check_bytes(c, d->signature, WIRE_SIGNATURE_BYTES);
}

int wire_document_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Document **ret_document)
{
    struct check c = {0};
    Fogline__V1__Document *d =
        unpack_raw(a, &fogline__v1__document__descriptor, bytes, WIRE_DOWN_MAX_BYTES, &c);

    if (d == NULL)
        return c.fault;
    check_document(&c, d);
    if (c.fault == WIRE_OK)
        *ret_document = d;
    return c.fault;
}

static void check_node(struct check *c, const Fogline__V1__Node *n)
{
    check_base(c, &n->base);
    check_name(c, n->id);
    check_name(c, n->role);
    check_name_or_empty(c, n->site);
    check_bytes(c, n->transport_key, WIRE_KEY_BYTES);
    check_bytes(c, n->end_key, WIRE_KEY_BYTES);
}

int wire_node_list_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__NodeList **ret_list)
{
    struct check c = {0};
    Fogline__V1__NodeList *l =
        unpack_raw(a, &fogline__v1__node_list__descriptor, bytes, WIRE_DOCUMENT_BODY_MAX_BYTES, &c);
    size_t i;

    if (l == NULL)
        return c.fault;
    check_format(&c, l->format);
    check_base(&c, &l->base);
    check_that(&c, l->version != 0);
    check_limit(&c, l->n_nodes, WIRE_NODES_MAX);
    for (i = 0; c.fault == WIRE_OK && i < l->n_nodes; i++)
        check_node(&c, l->nodes[i]);
    if (c.fault == WIRE_OK)
        *ret_list = l;
    return c.fault;
}

/* An unknown type passes: who executes it answers that it cannot. */
int wire_command_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Command **ret_command)
{
    struct check c = {0};
    Fogline__V1__Command *m =
        unpack_raw(a, &fogline__v1__command__descriptor, bytes, WIRE_DOCUMENT_BODY_MAX_BYTES, &c);

    if (m == NULL)
        return c.fault;
    check_format(&c, m->format);
    check_base(&c, &m->base);
    check_name(&c, m->target);
    check_that(&c, m->counter != 0 && (int)m->type > 0);
    check_line(&c, m->argument, WIRE_TEXT_MAX_BYTES);
    if (c.fault == WIRE_OK)
        *ret_command = m;
    return c.fault;
}
