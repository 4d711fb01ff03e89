/* idle_limit.c - the bare upper side: PULL and XPUB with CURVE and a ZAP handler that lets everybody in, as
 * ZeroMQ makes them and nothing else. What a silent connection costs here no program above ZeroMQ can
 * undercut.
 *
 * Usage: idle_limit. Prints {"port", "key"}: the PULL's port, the XPUB's being the next one, and the link key
 * that many_devices takes. Holds them until standard input ends. */
#include "link/keys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

/* Behind ZMQ_BUILD_DRAFT_API in zmq.h; common/link sets the same. */
enum { CTX_ZERO_COPY_RECV = 10 };
enum { FIRST_PORT = 20000, PORTS = 20000, PART_MAX_BYTES = 256 };

static void die(const char *what)
{
    fprintf(stderr, "idle_limit: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void *let_in(void *zap)
{
    static const char *const answer[] = {"200", "OK", "anybody", ""};
    char part[PART_MAX_BYTES], request[PART_MAX_BYTES];

    for (;;) {
        int more = 1, request_len = 0;
        size_t size = sizeof more;

        for (int i = 0; more != 0; i++) {
            int len = zmq_recv(zap, i == 1 ? request : part, PART_MAX_BYTES, 0);

            if (len < 0 && zmq_errno() == ETERM) {
                zmq_close(zap);
                return NULL;
            }
            if (len < 0 || len > PART_MAX_BYTES || zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) != 0)
                die("ZAP request");
            if (i == 1)
                request_len = len;
        }
        if (zmq_send(zap, "1.0", 3, ZMQ_SNDMORE) < 0 ||
            zmq_send(zap, request, (size_t)request_len, ZMQ_SNDMORE) < 0)
            die("ZAP answer");
        for (int i = 0; i < 4; i++) {
            if (zmq_send(zap, answer[i], strlen(answer[i]), i < 3 ? ZMQ_SNDMORE : 0) < 0)
                die("ZAP answer");
        }
    }
}

static void *server(void *ctx, int type, const struct node_keys *keys)
{
    void *s = zmq_socket(ctx, type);
    const int one = 1, zero = 0, heartbeat_ms = 5000;

    if (s == NULL || zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof one) != 0 ||
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, keys->transport_secret, KEY_BYTES) != 0 ||
        zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_setsockopt(s, ZMQ_HEARTBEAT_IVL, &heartbeat_ms, sizeof heartbeat_ms) != 0)
        die("socket");
    return s;
}

static int bind_to(void *s, unsigned port)
{
    char endpoint[64];

    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    return zmq_bind(s, endpoint);
}

/* Two free ports in a row; returns the first. */
static unsigned bind_pair(void *pull, void *xpub)
{
    for (unsigned i = 0; i < PORTS; i += 2) {
        unsigned port = FIRST_PORT + ((unsigned)getpid() * 2 + i) % PORTS;
        char endpoint[64];

        if (bind_to(pull, port) != 0)
            continue;
        if (bind_to(xpub, port + 1) == 0)
            return port;
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
        zmq_unbind(pull, endpoint);
    }
    die("bind");
    return 0;
}

static void throw_away(void *s)
{
    char bytes[PART_MAX_BYTES];

    while (zmq_recv(s, bytes, sizeof bytes, ZMQ_DONTWAIT) >= 0)
        ;
}

static void hold(void *pull, void *xpub)
{
    zmq_pollitem_t items[] = {{.socket = pull, .events = ZMQ_POLLIN},
                              {.socket = xpub, .events = ZMQ_POLLIN},
                              {.fd = STDIN_FILENO, .events = ZMQ_POLLIN}};

    while (items[2].revents == 0) {
        if (zmq_poll(items, 3, -1) < 0)
            die("poll");
        throw_away(pull);
        throw_away(xpub);
    }
}

int main(void)
{
    struct node_keys keys;
    struct link_key key;
    char text[KEY_TEXT_CHARS];
    void *ctx = zmq_ctx_new(), *zap, *pull, *xpub;
    pthread_t thread;

    if (keys_init() != 0 || ctx == NULL)
        return 1;
    node_keys_generate(&keys);
    /* A link key names the cloud and the operator, too: no device here ever asks for them. */
    memcpy(key.upper_transport, keys.transport_public, KEY_BYTES);
    memcpy(key.cloud_end, keys.end_public, KEY_BYTES);
    memcpy(key.operator_public, keys.end_public, KEY_BYTES);
    link_key_format(&key, text);
    zmq_ctx_set(ctx, CTX_ZERO_COPY_RECV, 0);
    zap = zmq_socket(ctx, ZMQ_REP);
    if (zap == NULL || zmq_bind(zap, "inproc://zeromq.zap.01") != 0)
        die("ZAP handler");
    if (pthread_create(&thread, NULL, let_in, zap) != 0)
        return 1;
    pull = server(ctx, ZMQ_PULL, &keys);
    xpub = server(ctx, ZMQ_XPUB, &keys);
    printf("{\"port\": %u, \"key\": \"%s\"}\n", bind_pair(pull, xpub), text);
    fflush(stdout);
    hold(pull, xpub);
    zmq_close(pull);
    zmq_close(xpub);
    zmq_ctx_term(ctx);
    pthread_join(thread, NULL);
    return 0;
}
