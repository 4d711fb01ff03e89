/* link.h - the sockets of a hop: CURVE always, every limit set here and only here.
 *
 * Upper side: PULL bound at PORT, XPUB bound at PORT + 1. Lower side: PUSH and SUB connected to them.
 * Messages on the way down are sealed to the node (crypto_box from the upper's transport key to the node's)
 * behind the node's 16-byte topic, since any valid key can subscribe to any topic. A message on the way up
 * counts only with a User-Id from the gate.
 *
 * libzmq facts this file answers to: PUSH "sent" means nothing (the window of common/hop is the bound); a
 * connecting socket that met one protocol error never reconnects (link_lower_reset makes new sockets); PUB
 * drops (State is asked for again); ZMQ_LINGER 0, IMMEDIATE 1, HANDSHAKE_IVL 3 s, HEARTBEAT 5/15 s,
 * CONNECT_TIMEOUT 5 s, MAXMSGSIZE on every socket, BACKLOG 1024, rand() seeded from the system. Threads: a
 * link belongs to the loop's thread. */
#ifndef FOGLINE_LINK_LINK_H
#define FOGLINE_LINK_LINK_H

#include "base/bytes.h"
#include "base/counter.h"
#include "base/loop.h"
#include "link/gate.h"
#include "link/keys.h"

enum { LINK_EMPTY = 1, LINK_BLOCKED = 2 };
/* The sockets' limits; a payload is at most 1 KiB less. */
enum { LINK_UP_MAX_BYTES = 256 * 1024, LINK_DOWN_MAX_BYTES = 256 * 1024 };

/* A context with MAX_SOCKETS and io threads set, srand() seeded. */
must_check int link_context_new(void **ret_ctx);
void link_context_free(void *ctx); /* accepts NULL; never hangs (linger 0) */

/* ---- upper side ---- */
struct link_upper;

struct link_upper_options {
    void *zmq_ctx;
    struct gate *gate;            /* borrowed; made before */
    const struct node_keys *keys; /* borrowed for the life of the link */
    const char *bind_host;        /* "127.0.0.1", "*", "[::1]" ... */
    uint16_t port;                /* PULL; PORT + 1 is the XPUB. 0: any two free ports in a row */
};

/* A message from below. All of it is borrowed until the next link_upper_recv or
 * link_upper_drain_subscriptions. */
struct link_message {
    const char *user_id;
    struct span bytes;
    const char *peer_address;
};

/* Binds both sockets and runs the gate's self-test on both; blocks for it, and up to a second for a port in
 * use. -EADDRINUSE and the like with *err naming address and port. */
must_check int link_upper_new(struct link_upper **ret_u, const struct link_upper_options *options,
                              struct errmsg *err);
struct link_upper *link_upper_free(struct link_upper *u);
uint16_t link_upper_port(const struct link_upper *u);
uint16_t link_upper_down_port(const struct link_upper *u);
void *link_upper_pull(struct link_upper *u); /* for loop_watch_zmq */
void *link_upper_xpub(struct link_upper *u);
/* Never blocks. LINK_EMPTY when nothing is there. Messages without User-Id or of a node the gate no longer
 * allows are dropped and counted inside, and their connection is shut. */
must_check int link_upper_recv(struct link_upper *u, struct link_message *ret_m);
/* Shuts all known connections of a node, after it was taken off the gate's list. Returns how many. Its
 * messages still on the way are dropped by link_upper_recv. */
unsigned link_upper_kick(struct link_upper *u, const char *user_id);
/* Seals and publishes; drops (counted) when the pipe is full or plain is above LINK_DOWN_MAX_BYTES - 1 KiB.
 */
void link_upper_send(struct link_upper *u, const uint8_t node_transport[KEY_BYTES], struct span plain);
/* Reads what peers subscribe to; a foreign, empty or ninth topic of a peer shuts its connection. Call when
 * xpub is readable. */
void link_upper_drain_subscriptions(struct link_upper *u,
                                    void (*allowed)(void *ctx, const char *user_id,
                                                    uint8_t ret_topic[KEY_TOPIC_BYTES]),
                                    void *ctx);

/* ---- lower side ---- */
struct link_lower;

struct link_lower_options {
    void *zmq_ctx;
    const struct node_keys *keys; /* borrowed for the life of the link */
    const char *host;             /* copied */
    uint16_t port;
    uint8_t upper_transport[KEY_BYTES];
};

enum link_phase {
    LINK_UNREACHABLE = 0, /* no TCP connection yet, or it went away */
    LINK_REACHED =
        1,       /* TCP stands, the handshake does not: not (yet) accepted there, or a wrong server key */
    LINK_UP = 2, /* handshake done on the up socket */
};

/* A name is resolved here and at each reset, which blocks as long as DNS takes; the addresses of a name take
 * turns. A name without an address now is no error: the link stays LINK_UNREACHABLE until a reset finds one.
 */
must_check int link_lower_new(struct link_lower **ret_l, const struct link_lower_options *options,
                              struct errmsg *err);
struct link_lower *link_lower_free(struct link_lower *l);
/* Closes both sockets and makes new ones; what they had queued is lost. Sockets change: unwatch the old ones
 * before, take the new ones from the getters. On an error the old ones stay. */
must_check int link_lower_reset(struct link_lower *l);
void *link_lower_push(struct link_lower *l);
void *link_lower_sub(struct link_lower *l);
/* Readable when the phase may have changed. Its queue has no limit: watch it, or call link_lower_phase now
 * and then. */
void *link_lower_monitor(struct link_lower *l);
/* Never blocks: 0, or LINK_BLOCKED when nothing can take it now. -EMSGSIZE above LINK_UP_MAX_BYTES - 1 KiB.
 */
must_check int link_lower_send(struct link_lower *l, struct span bytes);
/* Never blocks: 0 and the opened message, borrowed until the next receive; LINK_EMPTY. What does not open is
 * dropped and counted. */
must_check int link_lower_recv(struct link_lower *l, struct span *ret_plain);
enum link_phase link_lower_phase(struct link_lower *l); /* drains the monitor; a hint, never proof */
int64_t link_lower_last_event_mono_ms(const struct link_lower *l);

/* Counters of either side: rows in link_counter_info. */
enum link_counter {
    LINK_FRAMES_IN,
    LINK_FRAMES_OUT,
    LINK_BYTES_IN,
    LINK_BYTES_OUT,
    LINK_DROPPED_NO_USER,
    LINK_DROPPED_SEAL,
    LINK_DROPPED_FULL,
    LINK_DROPPED_SIZE,
    LINK_KICKED_SUBSCRIPTION,
    LINK_RESETS,
    LINK_COUNTERS
};
extern const struct counter_info link_counter_info[LINK_COUNTERS];
const uint64_t *link_upper_counters(const struct link_upper *u);
const uint64_t *link_lower_counters(const struct link_lower *l);

#endif
