/* lower_port.h - an outbox on a real link: what a device and a fog both need to talk upwards.
 *
 * Joins link_lower, outbox and loop. Tries its upstreams in order: one that cannot be reached for
 * failover_ms, or makes no progress (choice.h), is left for the next, and a new session begins; a preferred
 * one that could be reached for return_ms is gone back to. Threads: the loop's. */
#ifndef FOGLINE_HOP_LOWER_PORT_H
#define FOGLINE_HOP_LOWER_PORT_H

#include "base/loop.h"
#include "hop/outbox.h"
#include "link/link.h"

enum { LOWER_PORT_UPSTREAMS_MAX = 4 };

struct lower_port_upstream {
    char host[256];
    uint16_t port;
    uint8_t transport[KEY_BYTES];
};

struct lower_port_options {
    struct loop *loop;
    void *zmq_ctx;
    const struct node_keys *keys; /* borrowed for the life of the port */
    struct lower_port_upstream upstreams[LOWER_PORT_UPSTREAMS_MAX];
    unsigned n_upstreams; /* 0: the node works alone */
    uint32_t failover_ms; /* 0: 3000 */
    uint32_t return_ms;   /* 0: stays where it is */
    struct outbox_options
        outbox; /* send, reset_link and their ctx are set by the port; other ops get outbox.ops.ctx */
    /* Spool failure seen inside an event: the host should stop. ctx is outbox.ops.ctx. */
    void (*failed)(void *ctx, int error);
    /* A round of the loop changed what outbox_wants_apply says. May be NULL. */
    void (*wake)(void *ctx);
};

struct lower_port;

must_check int lower_port_new(struct lower_port **ret_p, const struct lower_port_options *options,
                              struct errmsg *err);
struct lower_port *lower_port_free(struct lower_port *p);
struct outbox *lower_port_outbox(struct lower_port *p);
/* After each commit of the host, and whenever records were added: sends what can be sent. The spool must have
 * no open transaction. */
void lower_port_pump(struct lower_port *p);

enum lower_port_link {
    LOWER_PORT_ALONE,
    LOWER_PORT_UNREACHABLE,
    LOWER_PORT_REACHED,
    LOWER_PORT_HELLO,
    LOWER_PORT_OPEN
};
const char *
lower_port_link_name(enum lower_port_link l); /* "alone", "unreachable", "not accepted", "hello", "open" */
struct lower_port_status {
    enum lower_port_link link;
    char upstream[300];                          /* HOST:PORT in use */
    char fingerprint[KEY_FINGERPRINT_CHARS + 1]; /* of our own key: what the other side has to accept */
    int64_t since_mono_ms;                       /* in this link state */
};
void lower_port_status(const struct lower_port *p, struct lower_port_status *ret_s);
const uint64_t *lower_port_link_counters(const struct lower_port *p); /* link_counter_info */

#endif
