#include "link/link.h"

#include "base/cleanup.h"
#include "link/gate_list.h"
#include "link/peers.h"
#include "link/socket.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* On the way down: topic, nonce, box. */
enum {
    NONCE_AT = KEY_TOPIC_BYTES,
    BOX_AT = NONCE_AT + crypto_box_NONCEBYTES,
    SEALED_EXTRA_BYTES = BOX_AT + crypto_box_MACBYTES,
    PAYLOAD_MARGIN_BYTES = 1024, /* see README.md, "Limits" */
};

enum {
    N_SEALS = 4096, /* a power of two */
    SUBSCRIPTIONS_MAX = 8,
    ROUND_MAX = 256, /* messages thrown away or subscriptions read before the loop gets its turn */
    SELF_TEST_MS = 5000,
    BIND_TRIES = 20,
    BIND_WAIT_MS = 50,
};

/* Shared key with a node. One slot per hash: a clash costs a new computation (60 us), never memory. */
struct seal {
    uint8_t node[KEY_BYTES], shared[KEY_BYTES];
    bool used;
};

struct link_upper {
    struct link_upper_options options;
    void *pull, *xpub;
    uint16_t pull_port, xpub_port;
    zmq_msg_t message;
    struct link_peers peers;
    struct seal *seals;
    uint64_t counters[LINK_COUNTERS];
};

/* ---- bind ---- */

static int bind_one(struct link_upper *u, void **ret_socket, int type, int64_t max_inbound_bytes,
                    const char *host, uint16_t port)
{
    int r = link_socket_new(ret_socket, u->options.zmq_ctx, type, max_inbound_bytes);
    if (r < 0)
        return r;
    r = link_socket_curve_server(*ret_socket, u->options.keys->transport_secret);
    if (r == 0)
        r = link_socket_set_int(*ret_socket, ZMQ_IPV6, host[0] == '[' || host[0] == '*');
    /* Never XPUB_MANUAL: a subscriber that is gone before it is answered makes ZeroMQ 4.3.4 read freed
     * memory. */
    if (r == 0 && type == ZMQ_XPUB)
        r = link_socket_set_int(*ret_socket, ZMQ_XPUB_VERBOSE, 1);
    /* A full pipe is then told, and counted. Each topic is one node's, so no node waits for another one. */
    if (r == 0 && type == ZMQ_XPUB)
        r = link_socket_set_int(*ret_socket, ZMQ_XPUB_NODROP, 1);
    if (r < 0)
        return r;
    char endpoint[LINK_ENDPOINT_CHARS];
    snprintf(endpoint, sizeof endpoint, port == 0 ? "tcp://%s:*" : "tcp://%s:%u", host, (unsigned)port);
    return zmq_bind(*ret_socket, endpoint) != 0 ? link_zmq_error() : 0;
}

static int bind_both(struct link_upper *u, const char *host)
{
    int r = bind_one(u, &u->pull, ZMQ_PULL, LINK_UP_MAX_BYTES, host, u->options.port);
    if (r == 0) {
        u->pull_port = link_socket_bound_port(u->pull);
        r = u->pull_port == 0 || u->pull_port == UINT16_MAX ? -EADDRINUSE : 0;
    }
    if (r == 0) {
        u->xpub_port = (uint16_t)(u->pull_port + 1);
        r = bind_one(u, &u->xpub, ZMQ_XPUB, LINK_SMALL_INBOUND_BYTES, host, u->xpub_port);
    }
    if (r < 0) {
        link_socket_close(&u->pull);
        link_socket_close(&u->xpub);
    }
    return r;
}

/* Tries again for a second: the port's last owner may be just ending, and two free ports in a row may need
 * some luck. */
static int bind_with_patience(struct link_upper *u, const char *host, struct errmsg *err)
{
    int r = bind_both(u, host);
    for (int i = 1; r == -EADDRINUSE && i < BIND_TRIES; i++) {
        zmq_poll(NULL, 0, BIND_WAIT_MS);
        r = bind_both(u, host);
    }
    if (r == -EADDRINUSE && u->options.port != 0)
        return errmsg_set(err, r,
                          "%s port %u or %u is in use; see who has it: ss -ltnp 'sport = :%u or sport = :%u'",
                          host, u->options.port, u->options.port + 1u, u->options.port, u->options.port + 1u);
    if (r < 0)
        return errmsg_set(err, r, "cannot bind %s port %u and the next one: %s", host, u->options.port,
                          strerror(-r));
    return 0;
}

static int self_test(struct link_upper *u, const char *host, uint16_t port, int client_type,
                     struct errmsg *err)
{
    bool any = host[0] == '*' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0;
    char endpoint[LINK_ENDPOINT_CHARS];
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", any ? "127.0.0.1" : host, (unsigned)port);
    int r = gate_try_random_key(u->options.gate,
                                &(struct gate_trial){u->options.zmq_ctx, client_type, endpoint,
                                                     u->options.keys->transport_public, SELF_TEST_MS});
    if (r < 0)
        return errmsg_set(err, r,
                          "the start-up test of the gate failed at %s: an unknown key was not refused (%s)",
                          endpoint, strerror(-r));
    return 0;
}

int link_upper_new(struct link_upper **ret_u, const struct link_upper_options *options, struct errmsg *err)
{
    char host[LINK_ADDRESS_CHARS] = "*";
    if (options->port == UINT16_MAX)
        return errmsg_set(err, -EINVAL, "port 65535 has no next one; choose a lower port");
    if (strcmp(options->bind_host, "*") != 0) {
        int r = link_resolve(options->bind_host, true, 0, host);
        if (r < 0)
            return errmsg_set(
                err, r, "cannot bind \"%s\": no address of this name; give an address of this machine or *",
                options->bind_host);
    }
    struct link_upper *u = calloc(1, sizeof *u);
    if (u == NULL)
        return errmsg_set(err, -ENOMEM, "out of memory");
    u->options = *options;
    zmq_msg_init(&u->message);
    u->seals = calloc(N_SEALS, sizeof *u->seals);
    int r = u->seals == NULL ? errmsg_set(err, -ENOMEM, "out of memory") : bind_with_patience(u, host, err);
    if (r == 0)
        r = self_test(u, host, u->pull_port, ZMQ_PUSH, err);
    if (r == 0)
        r = self_test(u, host, u->xpub_port, ZMQ_SUB, err);
    if (r < 0) {
        link_upper_free(u);
        return r;
    }
    *ret_u = u;
    return 0;
}

struct link_upper *link_upper_free(struct link_upper *u)
{
    if (u == NULL)
        return NULL;
    zmq_msg_close(&u->message);
    link_socket_close(&u->pull);
    link_socket_close(&u->xpub);
    link_peers_deinit(&u->peers);
    if (u->seals != NULL)
        sodium_memzero(u->seals, N_SEALS * sizeof *u->seals);
    free(u->seals);
    free(u);
    return NULL;
}

uint16_t link_upper_port(const struct link_upper *u)
{
    return u->pull_port;
}

uint16_t link_upper_down_port(const struct link_upper *u)
{
    return u->xpub_port;
}

void *link_upper_pull(struct link_upper *u)
{
    return u->pull;
}

void *link_upper_xpub(struct link_upper *u)
{
    return u->xpub;
}

const uint64_t *link_upper_counters(const struct link_upper *u)
{
    return u->counters;
}

/* ---- up ---- */

/* The next message into u->message. 0, LINK_EMPTY or negative. */
static int receive(struct link_upper *u, void *socket)
{
    zmq_msg_close(&u->message);
    zmq_msg_init(&u->message);
    while (zmq_msg_recv(&u->message, socket, ZMQ_DONTWAIT) < 0) {
        if (zmq_errno() == EAGAIN)
            return LINK_EMPTY;
        if (zmq_errno() != EINTR)
            return link_zmq_error();
    }
    return 0;
}

static void skip_other_parts(struct link_upper *u, void *socket)
{
    while (zmq_msg_more(&u->message) && receive(u, socket) == 0)
        ;
}

/* A revoked node's open connections stay open in ZeroMQ, so each message asks again. */
static bool from_allowed_node(struct link_upper *u, const char *user_id, const char *address, int fd)
{
    if (user_id == NULL || user_id[0] == '\0') {
        link_peer_shut(fd, address, u->pull_port);
        return false;
    }
    if (gate_allows(u->options.gate, user_id)) {
        link_peers_note(&u->peers, fd, user_id, address, u->pull_port);
        return true;
    }
    link_peer_shut(fd, address, u->pull_port);
    link_peers_shut_user(&u->peers, user_id);
    return false;
}

int link_upper_recv(struct link_upper *u, struct link_message *ret_m)
{
    for (int i = 0; i < ROUND_MAX; i++) {
        int r = receive(u, u->pull);
        if (r != 0)
            return r;
        const char *user_id = zmq_msg_gets(&u->message, "User-Id"),
                   *address = zmq_msg_gets(&u->message, "Peer-Address");
        if (!from_allowed_node(u, user_id, address, zmq_msg_get(&u->message, ZMQ_SRCFD))) {
            u->counters[LINK_DROPPED_NO_USER]++;
            skip_other_parts(u, u->pull);
            continue;
        }
        if (zmq_msg_more(&u->message)) {
            u->counters[LINK_DROPPED_SIZE]++;
            skip_other_parts(u, u->pull);
            continue;
        }
        struct span bytes = span_of(zmq_msg_data(&u->message), zmq_msg_size(&u->message));
        u->counters[LINK_FRAMES_IN]++;
        u->counters[LINK_BYTES_IN] += bytes.len;
        *ret_m = (struct link_message){user_id, bytes, address != NULL ? link_plain_address(address) : ""};
        return 0;
    }
    return LINK_EMPTY;
}

unsigned link_upper_kick(struct link_upper *u, const char *user_id)
{
    return link_peers_shut_user(&u->peers, user_id);
}

/* ---- down ---- */

static const struct seal *seal_for(struct link_upper *u, const uint8_t node[KEY_BYTES])
{
    struct seal *s = &u->seals[load_le32(node) & (N_SEALS - 1)];
    if (s->used && memcmp(s->node, node, KEY_BYTES) == 0)
        return s;
    s->used = false;
    if (crypto_box_beforenm(s->shared, node, u->options.keys->transport_secret) != 0)
        return NULL;
    memcpy(s->node, node, KEY_BYTES);
    s->used = true;
    return s;
}

void link_upper_send(struct link_upper *u, const uint8_t node_transport[KEY_BYTES], struct span plain)
{
    if (plain.len > LINK_DOWN_MAX_BYTES - PAYLOAD_MARGIN_BYTES) {
        u->counters[LINK_DROPPED_SIZE]++;
        return;
    }
    const struct seal *seal = seal_for(u, node_transport);
    if (seal == NULL) {
        u->counters[LINK_DROPPED_SEAL]++;
        return;
    }
    zmq_msg_t m;
    if (zmq_msg_init_size(&m, plain.len + SEALED_EXTRA_BYTES) != 0) {
        u->counters[LINK_DROPPED_FULL]++;
        return;
    }
    uint8_t *at = zmq_msg_data(&m);
    key_topic(node_transport, at);
    randombytes_buf(at + NONCE_AT, crypto_box_NONCEBYTES);
    int r = crypto_box_easy_afternm(at + BOX_AT, plain.data, plain.len, at + NONCE_AT, seal->shared);
    assert(r == 0); /* fails only for a length we do not let through */
    (void)r;
    while ((r = zmq_msg_send(&m, u->xpub, ZMQ_DONTWAIT)) < 0 && zmq_errno() == EINTR)
        ;
    if (r < 0) {
        zmq_msg_close(&m);
        u->counters[LINK_DROPPED_FULL]++;
        return;
    }
    u->counters[LINK_FRAMES_OUT]++;
    u->counters[LINK_BYTES_OUT] += plain.len;
}

/* ---- subscriptions ---- */

static bool
subscription_ok(struct link_upper *u, const char *user_id, const char *address, int fd, struct span topic,
                void (*allowed)(void *ctx, const char *user_id, uint8_t ret_topic[KEY_TOPIC_BYTES]),
                void *ctx)
{
    if (user_id == NULL || user_id[0] == '\0' || !gate_allows(u->options.gate, user_id))
        return false;
    uint8_t own[KEY_TOPIC_BYTES];
    randombytes_buf(own, sizeof own); /* fits nothing, should the callback know no topic */
    allowed(ctx, user_id, own);
    if (!span_equal(topic, span_of(own, sizeof own)))
        return false;
    struct link_peer *peer = link_peers_note_exact(&u->peers, fd, user_id, address, u->xpub_port);
    return peer == NULL || ++peer->n_topics <= SUBSCRIPTIONS_MAX;
}

void link_upper_drain_subscriptions(struct link_upper *u,
                                    void (*allowed)(void *ctx, const char *user_id,
                                                    uint8_t ret_topic[KEY_TOPIC_BYTES]),
                                    void *ctx)
{
    for (int i = 0; i < ROUND_MAX && receive(u, u->xpub) == 0; i++) {
        struct span m = span_of(zmq_msg_data(&u->message), zmq_msg_size(&u->message));
        if (m.len > 0 && m.data[0] == 0)
            continue; /* an unsubscription, often of a connection that ended */
        const char *user_id = zmq_msg_gets(&u->message, "User-Id"),
                   *address = zmq_msg_gets(&u->message, "Peer-Address");
        int fd = zmq_msg_get(&u->message, ZMQ_SRCFD);
        bool subscribes = m.len == 1 + KEY_TOPIC_BYTES && m.data[0] == 1 && !zmq_msg_more(&u->message);
        if (subscribes &&
            subscription_ok(u, user_id, address, fd, span_of(m.data + 1, KEY_TOPIC_BYTES), allowed, ctx))
            continue;
        /* Already gone is as good as shut. */
        if (link_peer_shut(fd, address, u->xpub_port))
            u->counters[LINK_KICKED_SUBSCRIPTION]++;
    }
}
