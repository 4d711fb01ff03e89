#include "link/link.h"

#include "base/cleanup.h"
#include "link/monitor.h"
#include "link/socket.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    NONCE_AT = KEY_TOPIC_BYTES,
    BOX_AT = NONCE_AT + crypto_box_NONCEBYTES,
    SEALED_EXTRA_BYTES = BOX_AT + crypto_box_MACBYTES,
    PAYLOAD_MARGIN_BYTES = 1024,
    /* One message above this would silence the SUB for ever, so it is well above what an upper side sends. */
    SUB_INBOUND_MAX_BYTES = LINK_DOWN_MAX_BYTES + 4096,
    ROUND_MAX = 256,
};

struct sockets {
    void *push, *sub, *monitor;
};

struct link_lower {
    struct link_lower_options options; /* host is ours */
    uint8_t topic[KEY_TOPIC_BYTES], shared[KEY_BYTES];
    struct sockets sockets;
    unsigned n_tries; /* which of the addresses of a name comes next */
    enum link_phase phase;
    int64_t last_event_mono_ms;
    struct clock clock;
    struct buf plain;
    uint64_t counters[LINK_COUNTERS];
};

/* ---- sockets ---- */

static void close_sockets(struct sockets *s)
{
    link_monitor_close(&s->monitor, s->push);
    link_socket_close(&s->push);
    link_socket_close(&s->sub);
}

static int secure_socket(struct link_lower *l, void **ret_socket, int type, int64_t max_inbound_bytes)
{
    const struct node_keys *k = l->options.keys;
    int r = link_socket_new(ret_socket, l->options.zmq_ctx, type, max_inbound_bytes);
    return r < 0 ? r
                 : link_socket_curve_client(*ret_socket, k->transport_public, k->transport_secret,
                                            l->options.upper_transport);
}

static int connect_one(void *socket, const char *host, unsigned port)
{
    char endpoint[LINK_ENDPOINT_CHARS];
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", host, port);
    int r = link_socket_set_int(socket, ZMQ_IPV6, host[0] == '[');
    if (r == 0 && zmq_connect(socket, endpoint) != 0)
        r = link_zmq_error();
    return r;
}

static int connect_both(struct link_lower *l, struct sockets *s)
{
    char host[LINK_ADDRESS_CHARS];
    /* ZeroMQ would ask DNS in its I/O thread and stop all connections for it. No address now is no error: a
     * node may start before its network, and the next reset asks again. */
    if (link_resolve(l->options.host, false, l->n_tries++, host) < 0)
        return 0;
    int r = connect_one(s->push, host, l->options.port);
    return r < 0 ? r : connect_one(s->sub, host, l->options.port + 1u);
}

static int open_sockets(struct link_lower *l, struct sockets *ret_s)
{
    struct sockets s = {0};
    int r = secure_socket(l, &s.push, ZMQ_PUSH, LINK_SMALL_INBOUND_BYTES);
    if (r == 0)
        r = secure_socket(l, &s.sub, ZMQ_SUB, SUB_INBOUND_MAX_BYTES);
    if (r == 0 && zmq_setsockopt(s.sub, ZMQ_SUBSCRIBE, l->topic, sizeof l->topic) != 0)
        r = link_zmq_error();
    if (r == 0)
        r = link_monitor_open(&s.monitor, l->options.zmq_ctx, s.push);
    if (r == 0)
        r = connect_both(l, &s);
    if (r < 0) {
        close_sockets(&s);
        return r;
    }
    *ret_s = s;
    return 0;
}

/* ---- life ---- */

int link_lower_new(struct link_lower **ret_l, const struct link_lower_options *options, struct errmsg *err)
{
    if (options->port == 0 || options->port == UINT16_MAX)
        return errmsg_set(err, -EINVAL,
                          "port %u cannot be: a link takes a port from 1 to 65534 and the next one",
                          options->port);
    if (options->host[0] == '\0')
        return errmsg_set(err, -EINVAL, "the upper side has no host name; set it in the configuration");
    struct link_lower *l = calloc(1, sizeof *l);
    if (l == NULL)
        return errmsg_set(err, -ENOMEM, "out of memory");
    l->options = *options;
    l->clock = clock_real;
    l->last_event_mono_ms = clock_mono_ms(&l->clock);
    l->plain.cap_bytes = SUB_INBOUND_MAX_BYTES;
    key_topic(options->keys->transport_public, l->topic);
    l->options.host = strdup(options->host);
    int r = l->options.host == NULL ? -ENOMEM : 0;
    if (r == 0 &&
        crypto_box_beforenm(l->shared, options->upper_transport, options->keys->transport_secret) != 0)
        r = errmsg_set(err, -EINVAL, "the key of the upper side is no usable key; copy its link key again");
    else if (r == 0 && (r = open_sockets(l, &l->sockets)) < 0)
        r = errmsg_set(err, r, "cannot make sockets for %s port %u: %s", options->host, options->port,
                       strerror(-r));
    if (r < 0) {
        link_lower_free(l);
        return r;
    }
    *ret_l = l;
    return 0;
}

struct link_lower *link_lower_free(struct link_lower *l)
{
    if (l == NULL)
        return NULL;
    close_sockets(&l->sockets);
    buf_deinit(&l->plain);
    sodium_memzero(l->shared, sizeof l->shared);
    free((char *)l->options.host);
    free(l);
    return NULL;
}

int link_lower_reset(struct link_lower *l)
{
    struct sockets fresh;
    /* New ones first: should that fail, the old ones stay. */
    int r = open_sockets(l, &fresh);
    if (r < 0)
        return r;
    close_sockets(&l->sockets);
    l->sockets = fresh;
    l->phase = LINK_UNREACHABLE;
    l->counters[LINK_RESETS]++;
    return 0;
}

void *link_lower_push(struct link_lower *l)
{
    return l->sockets.push;
}

void *link_lower_sub(struct link_lower *l)
{
    return l->sockets.sub;
}

void *link_lower_monitor(struct link_lower *l)
{
    return l->sockets.monitor;
}

const uint64_t *link_lower_counters(const struct link_lower *l)
{
    return l->counters;
}

/* ---- messages ---- */

int link_lower_send(struct link_lower *l, struct span bytes)
{
    if (bytes.len > LINK_UP_MAX_BYTES - PAYLOAD_MARGIN_BYTES) {
        l->counters[LINK_DROPPED_SIZE]++;
        return -EMSGSIZE;
    }
    while (zmq_send(l->sockets.push, bytes.data, bytes.len, ZMQ_DONTWAIT) < 0) {
        if (zmq_errno() == EAGAIN)
            return LINK_BLOCKED;
        if (zmq_errno() != EINTR)
            return link_zmq_error();
    }
    l->counters[LINK_FRAMES_OUT]++;
    l->counters[LINK_BYTES_OUT] += bytes.len;
    return 0;
}

/* 0: opened into l->plain. -EBADMSG: not sealed to us by our upper side. */
static int open_sealed(struct link_lower *l, struct span frame)
{
    if (frame.len < SEALED_EXTRA_BYTES || memcmp(frame.data, l->topic, KEY_TOPIC_BYTES) != 0)
        return -EBADMSG;
    buf_reset(&l->plain);
    uint8_t *at = buf_grow(&l->plain, frame.len - SEALED_EXTRA_BYTES);
    if (at == NULL)
        return l->plain.error;
    int r = crypto_box_open_easy_afternm(at, frame.data + BOX_AT, frame.len - BOX_AT, frame.data + NONCE_AT,
                                         l->shared);
    return r != 0 ? -EBADMSG : 0;
}

static void close_message(zmq_msg_t *m)
{
    zmq_msg_close(m);
}

int link_lower_recv(struct link_lower *l, struct span *ret_plain)
{
    for (int i = 0; i < ROUND_MAX; i++) {
        owned(close_message) zmq_msg_t m;
        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, l->sockets.sub, ZMQ_DONTWAIT) < 0) {
            if (zmq_errno() == EAGAIN)
                return LINK_EMPTY;
            if (zmq_errno() == EINTR)
                continue;
            return link_zmq_error();
        }
        /* The later parts of a message do not open either: each is taken for a message of its own. */
        int r = open_sealed(l, span_of(zmq_msg_data(&m), zmq_msg_size(&m)));
        if (r == -EBADMSG) {
            l->counters[LINK_DROPPED_SEAL]++;
            continue;
        }
        if (r < 0)
            return r;
        l->counters[LINK_FRAMES_IN]++;
        l->counters[LINK_BYTES_IN] += l->plain.len;
        *ret_plain = span_of(l->plain.data, l->plain.len);
        return 0;
    }
    return LINK_EMPTY;
}

/* ---- phase ---- */

static enum link_phase phase_after(enum link_phase before, uint16_t event)
{
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return LINK_REACHED;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return LINK_UP;
    case ZMQ_EVENT_DISCONNECTED:
        /* After a failed handshake the machine is still there; after an established one it went away. */
        return before == LINK_UP ? LINK_UNREACHABLE : before;
    case ZMQ_EVENT_CLOSED: /* the TCP connection was refused or timed out */
        return LINK_UNREACHABLE;
    default:
        return before;
    }
}

enum link_phase link_lower_phase(struct link_lower *l)
{
    uint16_t event;
    while (link_monitor_next(l->sockets.monitor, &event)) {
        l->phase = phase_after(l->phase, event);
        l->last_event_mono_ms = clock_mono_ms(&l->clock);
    }
    return l->phase;
}

int64_t link_lower_last_event_mono_ms(const struct link_lower *l)
{
    return l->last_event_mono_ms;
}
