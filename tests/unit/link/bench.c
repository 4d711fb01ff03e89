#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

int64_t bench_now_ms(void)
{
    return clock_mono_ms(&clock_real);
}

void bench_allow(struct bench *b, unsigned revoked_mask)
{
    struct gate_node nodes[BENCH_NODES] = {0};
    for (unsigned i = 0; i < BENCH_NODES; i++) {
        snprintf(nodes[i].id, sizeof nodes[i].id, "node-%u", i);
        memcpy(nodes[i].transport, b->node_keys[i].transport_public, KEY_BYTES);
        nodes[i].revoked = (revoked_mask >> i & 1) != 0;
    }
    assert_int_equal(gate_set(b->gate, nodes, BENCH_NODES), 0);
}

void bench_start_upper(struct bench *b, uint16_t port)
{
    struct errmsg err = {""};
    struct link_upper_options options = {b->ctx, b->gate, &b->upper_keys, "127.0.0.1", port};
    int r = link_upper_new(&b->upper, &options, &err);
    if (r < 0)
        fail_msg("%d: %s", r, err.text);
    b->port = link_upper_port(b->upper);
}

void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    assert_int_equal(keys_init(), 0);
    node_keys_generate(&b->upper_keys);
    for (int i = 0; i < BENCH_NODES; i++)
        node_keys_generate(&b->node_keys[i]);
    assert_int_equal(link_context_new(&b->ctx), 0);
    assert_int_equal(gate_new(&b->gate, b->ctx), 0);
    bench_allow(b, 0);
    bench_start_upper(b, 0);
}

void bench_deinit(struct bench *b)
{
    link_upper_free(b->upper);
    gate_free(b->gate);
    alarm(20); /* a failed test leaves sockets open, for which the context would wait for ever */
    link_context_free(b->ctx);
    alarm(0);
    buf_deinit(&b->last_up);
}

static void topic_of(void *ctx, const char *user_id, uint8_t ret_topic[KEY_TOPIC_BYTES])
{
    struct bench *b = ctx;
    unsigned i;
    if (sscanf(user_id, "node-%u", &i) == 1 && i < BENCH_NODES)
        key_topic(b->node_keys[i].transport_public, ret_topic);
}

void bench_pump(struct bench *b)
{
    struct link_message m;
    int r;
    while ((r = link_upper_recv(b->upper, &m)) == 0) {
        b->n_up++;
        snprintf(b->last_user, sizeof b->last_user, "%s", m.user_id);
        snprintf(b->last_address, sizeof b->last_address, "%s", m.peer_address);
        buf_reset(&b->last_up);
        buf_append(&b->last_up, m.bytes.data, m.bytes.len);
    }
    assert_int_equal(r, LINK_EMPTY);
    link_upper_drain_subscriptions(b->upper, topic_of, b);
}

struct link_lower *bench_lower(struct bench *b, int node)
{
    struct errmsg err = {""};
    struct link_lower *l = NULL;
    struct link_lower_options options = {
        .zmq_ctx = b->ctx, .keys = &b->node_keys[node], .host = "127.0.0.1", .port = b->port};
    memcpy(options.upper_transport, b->upper_keys.transport_public, KEY_BYTES);
    if (link_lower_new(&l, &options, &err) < 0)
        fail_msg("%s", err.text);
    return l;
}

void *bench_raw_client(void *ctx, int type, const struct node_keys *keys, const uint8_t *server_public,
                       uint16_t port)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", (unsigned)port);
    void *s = zmq_socket(ctx, type);
    const int zero = 0;
    assert_non_null(s);
    assert_int_equal(zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero), 0);
    if (keys != NULL) {
        assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, server_public, KEY_BYTES), 0);
        assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, keys->transport_public, KEY_BYTES), 0);
        assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, keys->transport_secret, KEY_BYTES), 0);
    }
    assert_int_equal(zmq_connect(s, endpoint), 0);
    return s;
}

static bool port_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool ok = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0;
    close(fd);
    return ok;
}

uint16_t bench_port_pair(void)
{
    for (;;) {
        uint16_t p = (uint16_t)(20000 + 2 * randombytes_uniform(6000));
        if (port_free(p) && port_free((uint16_t)(p + 1)))
            return p;
    }
}

bool bench_until(struct bench *b, bool (*done)(void *ctx), void *ctx)
{
    int64_t until_ms = bench_now_ms() + BENCH_WAIT_MS;
    while (bench_now_ms() < until_ms) {
        bench_pump(b);
        if (done(ctx))
            return true;
        zmq_pollitem_t items[] = {{.socket = link_upper_pull(b->upper), .events = ZMQ_POLLIN},
                                  {.socket = link_upper_xpub(b->upper), .events = ZMQ_POLLIN}};
        zmq_poll(items, 2, 10);
    }
    return false;
}

struct trip {
    struct bench *b;
    struct link_lower *lower;
    int node;
    const char *text;
};

static bool up_arrived(void *ctx)
{
    struct trip *t = ctx;
    if (span_equal(span_of(t->b->last_up.data, t->b->last_up.len), span_str(t->text)))
        return true;
    assert_true(link_lower_send(t->lower, span_str(t->text)) >= 0);
    return false;
}

bool bench_up_arrives(struct bench *b, struct link_lower *l, const char *text)
{
    buf_reset(&b->last_up);
    return bench_until(b, up_arrived, &(struct trip){b, l, 0, text});
}

static bool down_arrived(void *ctx)
{
    struct trip *t = ctx;
    struct span plain;
    int r;
    while ((r = link_lower_recv(t->lower, &plain)) == 0)
        if (span_equal(plain, span_str(t->text)))
            return true;
    assert_int_equal(r, LINK_EMPTY);
    link_upper_send(t->b->upper, t->b->node_keys[t->node].transport_public, span_str(t->text));
    return false;
}

bool bench_down_arrives(struct bench *b, struct link_lower *l, int node, const char *text)
{
    return bench_until(b, down_arrived, &(struct trip){b, l, node, text});
}
