/* upper_port.h - an inbox on real sockets: what a fog and a cloud both need to serve what is below.
 *
 * Joins gate, link_upper, inbox and loop. The host commits: after each loop round it calls
 * upper_port_wants_commit, runs its stages, commits the spool and calls upper_port_committed; that is the
 * natural group commit (what arrived during the last fsync is the next batch). Threads: the loop's. */
#ifndef FOGLINE_HOP_UPPER_PORT_H
#define FOGLINE_HOP_UPPER_PORT_H

#include "base/loop.h"
#include "hop/inbox.h"
#include "link/link.h"

struct upper_port_node {
    char id[GATE_NAME_BYTES];
    char site[GATE_NAME_BYTES];
    char role[16]; /* "device", "fog" */
    uint8_t transport[KEY_BYTES], end[KEY_BYTES];
    bool revoked, provisional;
};

struct upper_port_options {
    struct loop *loop;
    void *zmq_ctx;
    const struct node_keys *keys; /* borrowed for the life of the port */
    const char *bind_host;
    uint16_t port;
    struct inbox_options inbox;           /* send is set by the port; other ops get inbox.ops.ctx */
    void (*failed)(void *ctx, int error); /* ctx is inbox.ops.ctx */
};

struct upper_port;

must_check int upper_port_new(struct upper_port **ret_p, const struct upper_port_options *options,
                              struct errmsg *err);
struct upper_port *upper_port_free(struct upper_port *p);
struct inbox *upper_port_inbox(struct upper_port *p);
uint16_t upper_port_port(const struct upper_port *p);
/* Who may connect: replaces the gate's list and the table used for sealing. Copies. */
must_check int upper_port_set_nodes(struct upper_port *p, const struct upper_port_node *nodes, size_t n);
const struct upper_port_node *upper_port_find(const struct upper_port *p,
                                              const char *id); /* NULL: unknown; borrowed */
bool upper_port_wants_commit(const struct upper_port *p);
void upper_port_committed(struct upper_port *p);
size_t upper_port_refused(struct upper_port *p, struct gate_refusal *out, size_t max);
const uint64_t *upper_port_link_counters(const struct upper_port *p); /* link_counter_info */
void upper_port_gate_counters(struct upper_port *p, struct gate_counters *ret_c);

#endif
