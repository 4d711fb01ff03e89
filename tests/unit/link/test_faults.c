/* The fault matrix: 17 servers that do wrong for 1.5 s in front of a lower side, on its up port or on its
 * down port, then a right one on the same ports. All at once in one loop. A connecting socket of ZeroMQ never
 * comes back from many of these; a watchdog that makes new sockets must have both directions flowing again,
 * for every fault and role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench.h"

#include "base/backoff.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

enum { FAULT_MS = 1500, RECOVER_MS = 30000, WATCHDOG_MS = 300, PING_MS = 50, CONNS_MAX = 64 };

enum fault {
    SERVER_RESTART,
    CLOSE_BEFORE_GREETING,
    SILENT,
    WRONG_SERVER_KEY,
    WRONG_SOCKET_TYPE,
    ZAP_MALFORMED,
    ZAP_300,
    ZAP_400,
    ZAP_500,
    NULL_MECHANISM,
    RANDOM_BYTES,
    ZEROS,
    HTTP_REPLY,
    ZMTP2_GREETING,
    FORGED_ERROR,
    UNKNOWN_COMMAND,
    OVERSIZE_FRAME,
    FAULTS
};

static const char *const fault_names[FAULTS] = {
    "server restart",    "close before greeting", "silent",       "wrong server key",
    "wrong socket type", "ZAP malformed",         "ZAP 300",      "ZAP 400",
    "ZAP 500",           "NULL mechanism",        "random bytes", "zeros",
    "HTTP reply",        "ZMTP 2 greeting",       "forged ERROR", "unknown command",
    "oversize frame"};

enum role { UP_SOCKET, DOWN_SOCKET, ROLES };

/* ---- servers of bare TCP ---- */

struct tcp_server {
    int listener, conns[CONNS_MAX];
    size_t n_conns, n_accepted;
};

static int tcp_listen(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static size_t curve_greeting(uint8_t *out)
{
    memset(out, 0, 64);
    out[0] = 0xff;
    out[8] = 1;
    out[9] = 0x7f;
    out[10] = 3;
    memcpy(out + 12, "CURVE", 5);
    out[32] = 1; /* as server */
    return 64;
}

/* What the fault says to whoever connects; 0 bytes: nothing. */
static size_t fault_bytes(enum fault fault, uint8_t out[1024])
{
    static const char http[] =
        "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static const uint8_t zmtp2[] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 7, 0, 0};
    static const uint8_t error[] = {4, 10, 5, 'E', 'R', 'R', 'O', 'R', 3, '4', '0', '0'};
    static const uint8_t unknown[] = {4, 9, 5, 'H', 'O', 'W', 'D', 'Y', 1, 2, 3};
    size_t n;
    switch (fault) {
    case RANDOM_BYTES:
        randombytes_buf(out, 1024);
        out[0] = 0x55;
        return 1024;
    case ZEROS:
        memset(out, 0, 1024);
        return 1024;
    case HTTP_REPLY:
        memcpy(out, http, sizeof http - 1);
        return sizeof http - 1;
    case ZMTP2_GREETING:
        memcpy(out, zmtp2, sizeof zmtp2);
        return sizeof zmtp2;
    case FORGED_ERROR:
        n = curve_greeting(out);
        memcpy(out + n, error, sizeof error);
        return n + sizeof error;
    case UNKNOWN_COMMAND:
        n = curve_greeting(out);
        memcpy(out + n, unknown, sizeof unknown);
        return n + sizeof unknown;
    default:
        return 0;
    }
}

static void tcp_serve(struct tcp_server *s, enum fault fault)
{
    int fd;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        uint8_t bytes[1024];
        size_t len = fault_bytes(fault, bytes);
        s->n_accepted++;
        if (len > 0 && send(fd, bytes, len, MSG_NOSIGNAL) < 0)
            len = 0;
        if (fault == CLOSE_BEFORE_GREETING || s->n_conns == CONNS_MAX)
            close(fd);
        else
            s->conns[s->n_conns++] = fd;
    }
}

static void tcp_end(struct tcp_server *s)
{
    close(s->listener);
    for (size_t i = 0; i < s->n_conns; i++)
        close(s->conns[i]);
}

/* ---- servers of ZeroMQ, each in a context of its own with its own answer to ZAP ---- */

struct zmq_server {
    void *ctx, *socket, *zap;
};

static void set_int(void *socket, int option, int value)
{
    assert_int_equal(zmq_setsockopt(socket, option, &value, sizeof value), 0);
}

static void zmq_server_start(struct zmq_server *s, enum fault fault, enum role role,
                             const struct node_keys *keys, uint16_t port)
{
    char endpoint[64];
    int type = role == UP_SOCKET ? ZMQ_PULL : ZMQ_XPUB;
    struct node_keys other;
    node_keys_generate(&other);
    if (fault == WRONG_SERVER_KEY)
        keys = &other;
    if (fault == WRONG_SOCKET_TYPE)
        type = role == UP_SOCKET ? ZMQ_PUB : ZMQ_PULL;
    s->ctx = zmq_ctx_new();
    s->zap = zmq_socket(s->ctx, ZMQ_REP);
    set_int(s->zap, ZMQ_LINGER, 0);
    assert_int_equal(zmq_bind(s->zap, "inproc://zeromq.zap.01"), 0);
    s->socket = zmq_socket(s->ctx, type);
    set_int(s->socket, ZMQ_LINGER, 0);
    if (fault != NULL_MECHANISM) {
        set_int(s->socket, ZMQ_CURVE_SERVER, 1);
        assert_int_equal(zmq_setsockopt(s->socket, ZMQ_CURVE_SECRETKEY, keys->transport_secret, KEY_BYTES),
                         0);
    }
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(zmq_bind(s->socket, endpoint), 0);
}

static void answer_zap(struct zmq_server *s, enum fault fault)
{
    char part[8][64];
    const char *status = fault == ZAP_300   ? "300"
                         : fault == ZAP_400 ? "400"
                         : fault == ZAP_500 ? "500"
                                            : "200";
    while (zmq_recv(s->zap, part[0], sizeof part[0], ZMQ_DONTWAIT) >= 0) {
        int more = 1, id_len = 0;
        size_t size = sizeof more;
        for (int i = 1; zmq_getsockopt(s->zap, ZMQ_RCVMORE, &more, &size) == 0 && more; i++) {
            int len = zmq_recv(s->zap, part[i < 8 ? i : 7], sizeof part[0], 0);
            if (i == 1)
                id_len = len;
        }
        if (fault == ZAP_MALFORMED) {
            zmq_send(s->zap, "nonsense", 8, 0);
            continue;
        }
        zmq_send(s->zap, "1.0", 3, ZMQ_SNDMORE);
        zmq_send(s->zap, part[1], (size_t)id_len, ZMQ_SNDMORE);
        zmq_send(s->zap, status, 3, ZMQ_SNDMORE);
        zmq_send(s->zap, "", 0, ZMQ_SNDMORE);
        zmq_send(s->zap, "user", 4, ZMQ_SNDMORE);
        zmq_send(s->zap, "", 0, 0);
    }
}

/* The right server, but what it says on the way down is above the limit of a SUB. */
static void send_oversize(struct zmq_server *s)
{
    static uint8_t big[600 * 1024];
    uint8_t m[64];
    int n;
    while ((n = zmq_recv(s->socket, m, sizeof m, ZMQ_DONTWAIT)) >= 0) {
        if (n != 1 + KEY_TOPIC_BYTES || m[0] != 1)
            continue;
        memcpy(big, m + 1, KEY_TOPIC_BYTES);
        zmq_send(s->socket, big, sizeof big, ZMQ_DONTWAIT);
    }
}

static void zmq_server_end(struct zmq_server *s)
{
    zmq_close(s->socket);
    zmq_close(s->zap);
    zmq_ctx_term(s->ctx);
}

/* ---- one lower side and what stands before it ---- */

struct lane {
    enum fault fault;
    enum role role;
    uint16_t port;
    struct node_keys upper_keys, lower_keys;
    bool is_tcp;
    struct tcp_server tcp;
    struct zmq_server bad;
    struct link_upper *upper;
    struct link_lower *lower;
    struct backoff backoff;
    int64_t last_down_ms, next_ping_ms, next_reset_ms, recovered_ms;
    uint64_t n_up, n_down, n_ping;
};

struct matrix {
    void *lower_ctx, *upper_ctx;
    struct gate *gate;
    struct lane lanes[FAULTS * ROLES];
    size_t n;
};

static struct gate_node node_of(size_t i, const struct lane *l)
{
    struct gate_node node = {.revoked = false};
    snprintf(node.id, sizeof node.id, "lane-%zu", i);
    memcpy(node.transport, l->lower_keys.transport_public, KEY_BYTES);
    return node;
}

static void topic_of(void *ctx, const char *user_id, uint8_t ret_topic[KEY_TOPIC_BYTES])
{
    (void)user_id;
    key_topic(((struct lane *)ctx)->lower_keys.transport_public, ret_topic);
}

static void start_right_server(struct matrix *m, struct lane *l)
{
    struct errmsg err = {""};
    struct link_upper_options options = {m->upper_ctx, m->gate, &l->upper_keys, "127.0.0.1", l->port};
    if (link_upper_new(&l->upper, &options, &err) < 0)
        fail_msg("%s: %s", fault_names[l->fault], err.text);
}

static void start_fault(struct matrix *m, struct lane *l)
{
    uint16_t port = l->role == UP_SOCKET ? l->port : (uint16_t)(l->port + 1);
    l->is_tcp = l->fault == CLOSE_BEFORE_GREETING || l->fault == SILENT ||
                (l->fault >= RANDOM_BYTES && l->fault <= UNKNOWN_COMMAND);
    if (l->fault == SERVER_RESTART)
        start_right_server(m, l);
    else if (l->is_tcp)
        l->tcp.listener = tcp_listen(port);
    else
        zmq_server_start(&l->bad, l->fault, l->role, &l->upper_keys, port);
}

static void end_fault(struct lane *l)
{
    if (l->fault == SERVER_RESTART)
        l->upper = link_upper_free(l->upper);
    else if (l->is_tcp)
        tcp_end(&l->tcp);
    else
        zmq_server_end(&l->bad);
}

/* The right server answers each message by its bytes. */
static void serve_upper(struct lane *l)
{
    struct link_message message;
    while (link_upper_recv(l->upper, &message) == 0) {
        l->n_up++;
        link_upper_send(l->upper, l->lower_keys.transport_public, message.bytes);
    }
    link_upper_drain_subscriptions(l->upper, topic_of, l);
}

static void serve_fault(struct lane *l)
{
    if (l->fault == SERVER_RESTART)
        serve_upper(l);
    else if (l->is_tcp)
        tcp_serve(&l->tcp, l->fault);
    else
        answer_zap(&l->bad, l->fault);
    if (l->fault == OVERSIZE_FRAME)
        send_oversize(&l->bad);
}

/* The rule under test: nothing opened from above for WATCHDOG_MS and the back-off's delay is over: new
 * sockets. */
static void serve_lower(struct lane *l, int64_t now_ms)
{
    struct span plain;
    while (link_lower_recv(l->lower, &plain) == 0) {
        l->n_down++;
        l->last_down_ms = now_ms;
        backoff_reset(&l->backoff);
    }
    if (now_ms >= l->next_ping_ms) {
        l->next_ping_ms = now_ms + PING_MS;
        l->n_ping++;
        assert_true(link_lower_send(l->lower, span_of(&l->n_ping, sizeof l->n_ping)) >= 0);
    }
    if (now_ms - l->last_down_ms < WATCHDOG_MS || now_ms < l->next_reset_ms)
        return;
    assert_int_equal(link_lower_reset(l->lower), 0);
    l->next_reset_ms = now_ms + WATCHDOG_MS + backoff_next_ms(&l->backoff);
}

static void step(struct matrix *m, void (*serve_server)(struct lane *l))
{
    zmq_pollitem_t items[FAULTS * ROLES];
    for (size_t i = 0; i < m->n; i++)
        items[i] = (zmq_pollitem_t){.socket = link_lower_sub(m->lanes[i].lower), .events = ZMQ_POLLIN};
    zmq_poll(items, (int)m->n, 5);
    int64_t now_ms = bench_now_ms();
    for (size_t i = 0; i < m->n; i++) {
        serve_server(&m->lanes[i]);
        serve_lower(&m->lanes[i], now_ms);
    }
}

static void add_lane(struct matrix *m, enum fault fault, enum role role)
{
    struct lane *l = &m->lanes[m->n];
    struct errmsg err = {""};
    l->fault = fault;
    l->role = role;
    node_keys_generate(&l->upper_keys);
    node_keys_generate(&l->lower_keys);
    bool again = true;
    while (again) { /* ports are looked for before any of them is taken */
        l->port = bench_port_pair();
        again = false;
        for (size_t i = 0; i < m->n; i++)
            again = again || m->lanes[i].port == l->port;
    }
    struct link_lower_options options = {m->lower_ctx, &l->lower_keys, "127.0.0.1", l->port, {0}};
    memcpy(options.upper_transport, l->upper_keys.transport_public, KEY_BYTES);
    if (link_lower_new(&l->lower, &options, &err) < 0)
        fail_msg("%s", err.text);
    backoff_init(&l->backoff, 100, 2000, 1, m->n);
    l->last_down_ms = bench_now_ms();
    m->n++;
}

static void matrix_init(struct matrix *m)
{
    struct gate_node nodes[FAULTS * ROLES];
    assert_int_equal(keys_init(), 0);
    assert_int_equal(link_context_new(&m->lower_ctx), 0);
    assert_int_equal(link_context_new(&m->upper_ctx), 0);
    assert_int_equal(gate_new(&m->gate, m->upper_ctx), 0);
    for (int fault = 0; fault < FAULTS; fault++)
        for (int role = 0; role < ROLES; role++)
            if (fault != OVERSIZE_FRAME || role == DOWN_SOCKET)
                add_lane(m, (enum fault)fault, (enum role)role);
    for (size_t i = 0; i < m->n; i++)
        nodes[i] = node_of(i, &m->lanes[i]);
    assert_int_equal(gate_set(m->gate, nodes, m->n), 0);
}

static void matrix_deinit(struct matrix *m)
{
    for (size_t i = 0; i < m->n; i++) {
        link_lower_free(m->lanes[i].lower);
        link_upper_free(m->lanes[i].upper);
    }
    gate_free(m->gate);
    link_context_free(m->lower_ctx);
    link_context_free(m->upper_ctx);
}

static bool all_flow(struct matrix *m, int64_t since_ms)
{
    bool all = true;
    int64_t now_ms = bench_now_ms();
    for (size_t i = 0; i < m->n; i++) {
        struct lane *l = &m->lanes[i];
        if (l->recovered_ms == 0 && l->n_up > 0 && l->n_down > 0)
            l->recovered_ms = now_ms - since_ms;
        all = all && l->recovered_ms > 0;
    }
    return all;
}

static void a_watched_link_flows_again_after_every_fault_on_either_socket(void **state)
{
    (void)state;
    static struct matrix m;
    matrix_init(&m);
    for (size_t i = 0; i < m.n; i++)
        start_fault(&m, &m.lanes[i]);
    int64_t start_ms = bench_now_ms();
    while (bench_now_ms() < start_ms + FAULT_MS)
        step(&m, serve_fault);
    for (size_t i = 0; i < m.n; i++) {
        struct lane *l = &m.lanes[i];
        end_fault(l);
        /* Each fault was met: whoever was to be accepted was, and nothing false was taken for an answer. */
        assert_true(!l->is_tcp || l->tcp.n_accepted > 0);
        assert_true(l->fault == SERVER_RESTART ? l->n_down > 0 : l->n_down == 0);
        l->n_up = l->n_down = 0;
    }
    for (size_t i = 0; i < m.n; i++)
        start_right_server(&m, &m.lanes[i]);
    int64_t right_ms = bench_now_ms();
    while (!all_flow(&m, right_ms) && bench_now_ms() < right_ms + RECOVER_MS)
        step(&m, serve_upper);
    for (size_t i = 0; i < m.n; i++) {
        struct lane *l = &m.lanes[i];
        print_message("%-22s %-4s %2" PRIu64 " resets, flowing after %" PRId64 " ms\n", fault_names[l->fault],
                      l->role == UP_SOCKET ? "up" : "down", link_lower_counters(l->lower)[LINK_RESETS],
                      l->recovered_ms);
    }
    for (size_t i = 0; i < m.n; i++) {
        if (m.lanes[i].recovered_ms == 0)
            fail_msg("%s on the %s socket: not flowing after %d ms", fault_names[m.lanes[i].fault],
                     m.lanes[i].role == UP_SOCKET ? "up" : "down", RECOVER_MS);
    }
    matrix_deinit(&m);
}

/* ---- the bound side ---- */

static int tcp_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* A client without keys that says it brings 512 MB, and brings one. */
static int boaster(uint16_t port)
{
    static uint8_t filler[1024 * 1024];
    static const uint8_t head[] = {6, 0, 0, 0, 0, 0x20, 0, 0, 0};
    uint8_t greeting[64];
    int fd = tcp_connect(port);
    size_t n = curve_greeting(greeting);
    greeting[32] = 0;
    if (send(fd, greeting, n, MSG_NOSIGNAL) == (ssize_t)n && send(fd, head, sizeof head, MSG_NOSIGNAL) > 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        if (send(fd, filler, sizeof filler, MSG_NOSIGNAL) < 0)
            return fd; /* turned away already */
    }
    return fd;
}

static long max_rss_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static bool was_refused(void *ctx)
{
    struct gate_counters c;
    gate_counters_get(ctx, &c);
    return c.refused_unknown > 0;
}

static void bad_clients_are_refused_counted_and_disturb_nobody(void **state)
{
    (void)state;
    static struct bench b;
    static uint8_t big[400 * 1024];
    bench_init(&b);
    struct link_lower *good = bench_lower(&b, 0);
    assert_true(bench_up_arrives(&b, good, "before"));
    assert_true(bench_down_arrives(&b, good, 0, "before"));
    long before_kib = max_rss_kib();

    struct node_keys unknown;
    node_keys_generate(&unknown);
    int fds[128];
    void *sockets[8];
    size_t n_fds = 0, n_sockets = 0;
    for (int down = 0; down < 2; down++) {
        uint16_t port = (uint16_t)(b.port + down);
        for (int fault = CLOSE_BEFORE_GREETING; fault <= UNKNOWN_COMMAND; fault++) {
            uint8_t bytes[1024];
            size_t len = fault_bytes((enum fault)fault, bytes);
            fds[n_fds] = tcp_connect(port);
            if (len > 0 && send(fds[n_fds], bytes, len, MSG_NOSIGNAL) < 0)
                print_message("turned away while talking\n");
            n_fds++;
        }
        for (int i = 0; i < 20; i++)
            fds[n_fds++] = boaster(port);
        int type = down ? ZMQ_SUB : ZMQ_PUSH;
        sockets[n_sockets++] = bench_raw_client(b.ctx, type, &unknown, b.upper_keys.transport_public, port);
        sockets[n_sockets++] = bench_raw_client(b.ctx, type, NULL, NULL, port);
    }
    void *oversize =
        bench_raw_client(b.ctx, ZMQ_PUSH, &b.node_keys[1], b.upper_keys.transport_public, b.port);
    sockets[n_sockets++] = oversize;
    assert_int_equal(zmq_send(oversize, big, sizeof big, 0), sizeof big);
    for (int i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof text, "during %d", i);
        assert_true(bench_up_arrives(&b, good, text));
        assert_string_equal(b.last_user, "node-0");
        assert_true(bench_down_arrives(&b, good, 0, text));
    }
    assert_true(bench_until(&b, was_refused, b.gate));
    assert_int_equal(link_lower_phase(good), LINK_UP);
    struct gate_refusal row;
    assert_int_equal(gate_refused(b.gate, &row, 1), 1);
    assert_memory_equal(row.transport, unknown.transport_public, KEY_BYTES);
    assert_true(max_rss_kib() - before_kib < 64 * 1024); /* 40 boasters of 512 MB each */

    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    for (size_t i = 0; i < n_sockets; i++) {
        set_int(sockets[i], ZMQ_LINGER, 0);
        zmq_close(sockets[i]);
    }
    assert_true(bench_up_arrives(&b, good, "after"));
    link_lower_free(good);
    bench_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watched_link_flows_again_after_every_fault_on_either_socket),
        cmocka_unit_test(bad_clients_are_refused_counted_and_disturb_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
