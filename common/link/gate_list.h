/* gate_list.h - inside common/link: the gate's allow-list and its ring of refusals, without thread or socket,
 * and the trial of a door.
 *
 * Threads: the list and the ring are values; the gate holds its lock around them. */
#ifndef FOGLINE_LINK_GATE_LIST_H
#define FOGLINE_LINK_GATE_LIST_H

#include "link/gate.h"

struct gate_list {
    struct gate_node *by_key; /* sorted by transport key, no key twice */
    size_t *by_id;            /* indices into by_key, sorted by id; an id may have several keys */
    size_t n;
};

struct gate_ring {
    struct gate_refusal at[GATE_REFUSED_MAX]; /* newest first */
    size_t n;
};

/* -EINVAL: a key twice, or an id that is empty or not terminated. */
must_check int gate_list_init(struct gate_list *ret_l, const struct gate_node *nodes, size_t n);
void gate_list_deinit(struct gate_list *l);
/* Borrowed; NULL when unknown. */
const struct gate_node *gate_list_find(const struct gate_list *l, const uint8_t transport[KEY_BYTES]);
bool gate_list_allows(const struct gate_list *l, const char *id);

void gate_ring_add(struct gate_ring *r, const uint8_t transport[KEY_BYTES], const char *address, bool revoked,
                   int64_t now_unix_ns);

/* gate_self_test for a bound socket of any type. The client must be of the type that fits: a socket of
 * another type is turned away before the gate has spoken. */
struct gate_trial {
    void *zmq_ctx;
    int client_type; /* ZMQ_PUSH for PULL, ZMQ_SUB for XPUB */
    const char *endpoint;
    const uint8_t *server_public;
    int timeout_ms;
};
must_check int gate_try_random_key(struct gate *g, const struct gate_trial *t);

#endif
