#include "link/gate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "link/gate_list.h"
#include "link/monitor.h"
#include "link/socket.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

/* A request of ZAP 1.0 (RFC 27): version, request id, domain, address, identity, mechanism, then for CURVE
 * the key. */
enum {
    PART_VERSION,
    PART_REQUEST,
    PART_DOMAIN,
    PART_ADDRESS,
    PART_IDENTITY,
    PART_MECHANISM,
    PART_KEY,
    PARTS
};
enum { PART_MAX_BYTES = 256 };

struct gate {
    void *zap; /* the thread's alone, once it runs */
    int stop_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    struct gate_list list;
    struct gate_ring ring;
    struct gate_counters counters;
    bool testing, test_refused;
    uint8_t test_key[KEY_BYTES];
};

struct zap_request {
    uint8_t part[PARTS][PART_MAX_BYTES];
    size_t len[PARTS];
    bool whole;
};

struct verdict {
    const char *status, *text;
    char user_id[GATE_NAME_BYTES];
};

static void lock(struct gate *g)
{
    int r = pthread_mutex_lock(&g->lock);
    assert(r == 0);
    (void)r;
}

static void unlock(struct gate *g)
{
    int r = pthread_mutex_unlock(&g->lock);
    assert(r == 0);
    (void)r;
}

/* ---- the thread ---- */

/* Reads a whole request, whatever its shape; `whole` when its parts are as many and as small as they should
 * be. */
static int read_request(void *zap, struct zap_request *q)
{
    uint8_t extra[PART_MAX_BYTES];
    size_t n = 0;
    int more = 1;
    q->whole = true;
    while (more != 0) {
        int len = zmq_recv(zap, n < PARTS ? q->part[n] : extra, PART_MAX_BYTES, 0);
        if (len < 0 && zmq_errno() == EINTR)
            continue;
        if (len < 0)
            return link_zmq_error();
        if (len > PART_MAX_BYTES)
            q->whole = false;
        if (n < PARTS)
            q->len[n] = len > PART_MAX_BYTES ? PART_MAX_BYTES : (size_t)len;
        n++;
        size_t size = sizeof more;
        if (zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) != 0)
            return link_zmq_error();
    }
    for (size_t i = n; i < PARTS; i++)
        q->len[i] = 0;
    q->whole = q->whole && n == PARTS;
    return 0;
}

static bool part_is(const struct zap_request *q, int part, const char *text)
{
    return span_equal(span_of(q->part[part], q->len[part]), span_str(text));
}

static struct verdict judge(struct gate *g, const struct zap_request *q, int64_t now_unix_ns)
{
    struct verdict v = {"300", "not accepted here", ""};
    lock(g);
    if (!q->whole || !part_is(q, PART_VERSION, "1.0") || !part_is(q, PART_MECHANISM, "CURVE") ||
        q->len[PART_KEY] != KEY_BYTES) {
        g->counters.refused_malformed++;
        unlock(g);
        return v;
    }
    const uint8_t *key = q->part[PART_KEY];
    const struct gate_node *node = gate_list_find(&g->list, key);
    if (node != NULL && !node->revoked) {
        g->counters.accepted++;
        v.status = "200";
        v.text = "OK";
        memcpy(v.user_id, node->id, sizeof v.user_id);
    } else if (node == NULL && g->testing && memcmp(key, g->test_key, KEY_BYTES) == 0) {
        g->test_refused = true; /* our own: no business of whoever reads the refusals */
        v.status = "400";       /* told to the client at once; a 300 may leave it waiting for HANDSHAKE_IVL */
    } else {
        char address[sizeof g->ring.at[0].address];
        snprintf(address, sizeof address, "%.*s", (int)q->len[PART_ADDRESS],
                 (const char *)q->part[PART_ADDRESS]);
        gate_ring_add(&g->ring, key, link_plain_address(address), node != NULL, now_unix_ns);
        if (node != NULL) {
            g->counters.refused_revoked++;
            v.status = "400";
            v.text = "revoked";
        } else {
            g->counters.refused_unknown++;
        }
    }
    unlock(g);
    return v;
}

static int send_part(void *zap, const void *data, size_t len, int flags)
{
    for (;;) {
        if (zmq_send(zap, data, len, flags) >= 0)
            return 0;
        if (zmq_errno() != EINTR)
            return link_zmq_error();
    }
}

static int answer(void *zap, const struct zap_request *q, const struct verdict *v)
{
    int r = send_part(zap, "1.0", 3, ZMQ_SNDMORE);
    if (r == 0)
        r = send_part(zap, q->part[PART_REQUEST], q->len[PART_REQUEST], ZMQ_SNDMORE);
    if (r == 0)
        r = send_part(zap, v->status, 3, ZMQ_SNDMORE);
    if (r == 0)
        r = send_part(zap, v->text, strlen(v->text), ZMQ_SNDMORE);
    if (r == 0)
        r = send_part(zap, v->user_id, strlen(v->user_id), ZMQ_SNDMORE);
    return r == 0 ? send_part(zap, "", 0, 0) : r;
}

/* 0 when told to stop; anything else is a broken gate. */
static int serve(struct gate *g)
{
    zmq_pollitem_t items[] = {{.socket = g->zap, .events = ZMQ_POLLIN},
                              {.fd = g->stop_fd, .events = ZMQ_POLLIN}};
    for (;;) {
        if (zmq_poll(items, 2, -1) < 0) {
            if (zmq_errno() == EINTR)
                continue;
            return link_zmq_error();
        }
        if (items[1].revents != 0)
            return 0;
        if ((items[0].revents & ZMQ_POLLIN) == 0)
            continue;
        struct zap_request q;
        int r = read_request(g->zap, &q);
        if (r < 0)
            return r;
        struct verdict v = judge(g, &q, clock_wall_unix_ns(&clock_real));
        r = answer(g->zap, &q, &v);
        if (r < 0)
            return r;
    }
}

static void *gate_main(void *ctx)
{
    struct gate *g = ctx;
    /* Without a handler ZeroMQ lets everybody in, so nothing may go on without this thread. */
    if (serve(g) != 0)
        abort();
    return NULL;
}

/* ---- life ---- */

static int start_thread(struct gate *g)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Signals belong to the loop. */
    int r = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (r != 0)
        return -r;
    r = pthread_create(&g->thread, NULL, gate_main, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int gate_new(struct gate **ret_g, void *zmq_ctx)
{
    struct gate *g = calloc(1, sizeof *g);
    if (g == NULL)
        return -ENOMEM;
    int r = -pthread_mutex_init(&g->lock, NULL);
    assert(r == 0);
    g->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (g->stop_fd < 0)
        r = -errno;
    if (r == 0)
        r = link_socket_new(&g->zap, zmq_ctx, ZMQ_REP, -1);
    if (r == 0 && zmq_bind(g->zap, "inproc://zeromq.zap.01") != 0)
        r = link_zmq_error();
    if (r == 0)
        r = start_thread(g);
    if (r < 0) {
        link_socket_close(&g->zap);
        close_fd(&g->stop_fd);
        pthread_mutex_destroy(&g->lock);
        free(g);
        return r;
    }
    *ret_g = g;
    return 0;
}

struct gate *gate_free(struct gate *g)
{
    if (g == NULL)
        return NULL;
    const uint64_t one = 1;
    while (write(g->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_join(g->thread, NULL);
    link_socket_close(&g->zap);
    close_fd(&g->stop_fd);
    gate_list_deinit(&g->list);
    pthread_mutex_destroy(&g->lock);
    free(g);
    return NULL;
}

/* ---- for all threads ---- */

int gate_set(struct gate *g, const struct gate_node *nodes, size_t n)
{
    struct gate_list fresh, old;
    int r = gate_list_init(&fresh, nodes, n);
    if (r < 0)
        return r;
    lock(g);
    old = g->list;
    g->list = fresh;
    unlock(g);
    gate_list_deinit(&old);
    return 0;
}

bool gate_allows(struct gate *g, const char *id)
{
    lock(g);
    bool allowed = gate_list_allows(&g->list, id);
    unlock(g);
    return allowed;
}

size_t gate_refused(struct gate *g, struct gate_refusal *out, size_t max)
{
    lock(g);
    size_t n = g->ring.n < max ? g->ring.n : max;
    memcpy(out, g->ring.at, n * sizeof *out);
    unlock(g);
    return n;
}

void gate_counters_get(struct gate *g, struct gate_counters *ret_c)
{
    lock(g);
    *ret_c = g->counters;
    unlock(g);
}

/* ---- self-test ---- */

/* Waits until the connection ended or stood. 0: it ended. */
static int wait_for_end(void *monitor, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms(&clock_real) + timeout_ms;
    for (;;) {
        uint16_t event;
        while (link_monitor_next(monitor, &event)) {
            if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
                return -EACCES;
            if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_DISCONNECTED)
                return 0;
        }
        int64_t left_ms = until_ms - clock_mono_ms(&clock_real);
        if (left_ms <= 0)
            return -EACCES;
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, (long)left_ms) < 0 && zmq_errno() != EINTR)
            return link_zmq_error();
    }
}

static int try_key(const struct gate_trial *t, const struct node_keys *keys)
{
    void *socket = NULL, *monitor = NULL;
    int r = link_socket_new(&socket, t->zmq_ctx, t->client_type, LINK_SMALL_INBOUND_BYTES);
    if (r < 0)
        return r;
    r = link_monitor_open(&monitor, t->zmq_ctx, socket);
    if (r == 0)
        r = link_socket_curve_client(socket, keys->transport_public, keys->transport_secret,
                                     t->server_public);
    if (r == 0)
        r = link_socket_set_int(socket, ZMQ_IPV6, strchr(t->endpoint, '[') != NULL);
    if (r == 0)
        r = link_socket_set_int(socket, ZMQ_RECONNECT_IVL, -1);
    if (r == 0 && zmq_connect(socket, t->endpoint) != 0)
        r = link_zmq_error();
    if (r == 0)
        r = wait_for_end(monitor, t->timeout_ms);
    link_monitor_close(&monitor, socket);
    link_socket_close(&socket);
    return r;
}

int gate_self_test(struct gate *g, void *zmq_ctx, const char *endpoint,
                   const uint8_t server_public[KEY_BYTES], int timeout_ms)
{
    return gate_try_random_key(g,
                               &(struct gate_trial){zmq_ctx, ZMQ_PUSH, endpoint, server_public, timeout_ms});
}

int gate_try_random_key(struct gate *g, const struct gate_trial *t)
{
    owned(node_keys_wipe) struct node_keys keys;
    node_keys_generate(&keys);
    lock(g);
    bool busy = g->testing;
    if (!busy) {
        g->testing = true;
        g->test_refused = false;
        memcpy(g->test_key, keys.transport_public, KEY_BYTES);
    }
    unlock(g);
    if (busy)
        return -EBUSY;
    int r = try_key(t, &keys);
    lock(g);
    bool refused = g->test_refused;
    g->testing = false;
    unlock(g);
    /* A connection that ended for any other reason proves nothing. */
    return r == 0 && !refused ? -EACCES : r;
}
