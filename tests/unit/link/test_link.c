#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench.h"

#include "link/monitor.h"
#include "link/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

static int set_up(void **state)
{
    static struct bench b;
    bench_init(&b);
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    bench_deinit(*state);
    return 0;
}

/* ---- the normal way ---- */

static void a_message_up_carries_the_user_id_of_the_gate(void **state)
{
    struct bench *b = *state;
    struct link_lower *l0 = bench_lower(b, 0), *l1 = bench_lower(b, 1);
    assert_true(bench_up_arrives(b, l0, "from zero"));
    assert_string_equal(b->last_user, "node-0");
    assert_string_equal(b->last_address, "127.0.0.1");
    assert_true(bench_up_arrives(b, l1, "from one"));
    assert_string_equal(b->last_user, "node-1");
    assert_int_equal(link_upper_counters(b->upper)[LINK_FRAMES_IN], b->n_up);
    assert_int_equal(link_upper_counters(b->upper)[LINK_DROPPED_NO_USER], 0);
    link_lower_free(l0);
    link_lower_free(l1);
}

static void a_message_down_reaches_its_node_alone(void **state)
{
    struct bench *b = *state;
    struct link_lower *l0 = bench_lower(b, 0), *l1 = bench_lower(b, 1);
    struct span plain;
    assert_true(bench_down_arrives(b, l1, 1, "for one"));
    assert_true(bench_down_arrives(b, l0, 0, "for zero"));
    while (link_lower_recv(l1, &plain) == 0)
        assert_true(span_equal(plain, span_str("for one")));
    assert_int_equal(link_lower_counters(l0)[LINK_DROPPED_SEAL], 0);
    assert_int_equal(link_lower_counters(l1)[LINK_DROPPED_SEAL], 0);
    assert_true(link_lower_counters(l1)[LINK_FRAMES_IN] >= 1);
    link_lower_free(l0);
    link_lower_free(l1);
}

struct big_trip {
    struct bench *b;
    struct link_lower *lower;
    uint8_t *bytes;
    size_t len;
};

static bool big_up_arrived(void *ctx)
{
    struct big_trip *t = ctx;
    if (t->b->last_up.len == t->len)
        return true;
    assert_true(link_lower_send(t->lower, span_of(t->bytes, t->len)) >= 0);
    return false;
}

static bool big_down_arrived(void *ctx)
{
    struct big_trip *t = ctx;
    struct span plain;
    while (link_lower_recv(t->lower, &plain) == 0)
        if (span_equal(plain, span_of(t->bytes, t->len)))
            return true;
    link_upper_send(t->b->upper, t->b->node_keys[0].transport_public, span_of(t->bytes, t->len));
    return false;
}

static void the_biggest_payloads_pass_and_a_byte_more_is_refused_at_once(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = bench_lower(b, 0);
    struct big_trip t = {b, l, calloc(1, 255 * 1024 + 1), 255 * 1024};
    assert_non_null(t.bytes);
    randombytes_buf(t.bytes, t.len);
    assert_true(bench_until(b, big_up_arrived, &t));
    assert_memory_equal(b->last_up.data, t.bytes, t.len);
    assert_true(bench_until(b, big_down_arrived, &t));

    assert_int_equal(link_lower_send(l, span_of(t.bytes, t.len + 1)), -EMSGSIZE);
    assert_int_equal(link_lower_counters(l)[LINK_DROPPED_SIZE], 1);
    link_upper_send(b->upper, b->node_keys[0].transport_public, span_of(t.bytes, t.len + 1));
    assert_int_equal(link_upper_counters(b->upper)[LINK_DROPPED_SIZE], 1);
    free(t.bytes);
    link_lower_free(l);
}

static void a_reset_link_flows_again(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = bench_lower(b, 0);
    for (int i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "round %d", i);
        assert_true(bench_up_arrives(b, l, text));
        assert_true(bench_down_arrives(b, l, 0, text));
        assert_int_equal(link_lower_reset(l), 0);
    }
    assert_int_equal(link_lower_counters(l)[LINK_RESETS], 5);
    link_lower_free(l);
}

static void an_upper_side_that_comes_back_is_found_without_a_reset(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = bench_lower(b, 0);
    assert_true(bench_up_arrives(b, l, "before"));
    assert_true(bench_down_arrives(b, l, 0, "before"));
    link_upper_free(b->upper);
    bench_start_upper(b, b->port);
    assert_true(bench_up_arrives(b, l, "after"));
    assert_true(bench_down_arrives(b, l, 0, "after"));
    assert_int_equal(link_lower_counters(l)[LINK_RESETS], 0);
    link_lower_free(l);
}

/* ---- phases ---- */

struct phase_wait {
    struct link_lower *lower;
    enum link_phase wanted;
};

static bool phase_is(void *ctx)
{
    struct phase_wait *w = ctx;
    return link_lower_phase(w->lower) == w->wanted;
}

static void the_phase_tells_what_is_missing(void **state)
{
    struct bench *b = *state;
    bench_allow(b, 1u << 1);
    struct link_lower *up = bench_lower(b, 0), *refused = bench_lower(b, 1);
    assert_true(bench_until(b, phase_is, &(struct phase_wait){up, LINK_UP}));
    assert_true(bench_until(b, phase_is, &(struct phase_wait){refused, LINK_REACHED}));
    assert_true(link_lower_last_event_mono_ms(up) > 0);

    struct link_lower_options options = {b->ctx, &b->node_keys[0], "127.0.0.1", bench_port_pair(), {0}};
    memcpy(options.upper_transport, b->upper_keys.transport_public, KEY_BYTES);
    struct link_lower *nobody = NULL;
    assert_int_equal(link_lower_new(&nobody, &options, NULL), 0);
    int64_t at_ms = link_lower_last_event_mono_ms(nobody), until_ms = bench_now_ms() + BENCH_WAIT_MS;
    zmq_pollitem_t item = {.socket = link_lower_monitor(nobody), .events = ZMQ_POLLIN};
    while (link_lower_phase(nobody) == LINK_UNREACHABLE && link_lower_counters(nobody)[LINK_RESETS] == 0 &&
           bench_now_ms() < until_ms && link_lower_last_event_mono_ms(nobody) == at_ms)
        zmq_poll(&item, 1, 100);
    assert_int_equal(link_lower_phase(nobody), LINK_UNREACHABLE);
    assert_int_equal(link_lower_send(nobody, span_str("x")), LINK_BLOCKED);
    link_lower_free(nobody);
    link_lower_free(refused);

    link_upper_free(b->upper);
    zmq_pollitem_t up_item = {.socket = link_lower_monitor(up), .events = ZMQ_POLLIN};
    until_ms = bench_now_ms() + BENCH_WAIT_MS;
    while (link_lower_phase(up) != LINK_UNREACHABLE && bench_now_ms() < until_ms)
        zmq_poll(&up_item, 1, 100);
    assert_int_equal(link_lower_phase(up), LINK_UNREACHABLE);
    bench_start_upper(b, b->port);
    link_lower_free(up);
}

/* ZeroMQ reports from its I/O thread and waits when the reader's queue is full: all connections would stop.
 */
static void a_monitor_nobody_reads_stops_nothing(void **state)
{
    struct bench *b = *state;
    enum { WANTED = 1500 }; /* about four events each; 2000 is where queues end by default */
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), n_accepted = 0;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    void *push = NULL, *monitor = NULL;
    char endpoint[64];
    assert_int_equal(link_socket_new(&push, b->ctx, ZMQ_PUSH, 512), 0);
    assert_int_equal(link_socket_set_int(push, ZMQ_RECONNECT_IVL, 1), 0);
    assert_int_equal(link_socket_set_int(push, ZMQ_RECONNECT_IVL_MAX, 0), 0);
    assert_int_equal(link_monitor_open(&monitor, b->ctx, push), 0);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
    assert_int_equal(zmq_connect(push, endpoint), 0);
    int64_t until_ms = bench_now_ms() + 2 * BENCH_WAIT_MS;
    while (n_accepted < WANTED && bench_now_ms() < until_ms) {
        zmq_pollitem_t item = {.fd = listener, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 100);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            n_accepted++;
            close(fd);
        }
    }
    close(listener);
    if (n_accepted >= WANTED) { /* else closing them would wait as well */
        link_monitor_close(&monitor, push);
        link_socket_close(&push);
    }
    assert_int_equal(n_accepted, WANTED);
}

static void a_wrong_server_key_gets_nowhere(void **state)
{
    struct bench *b = *state;
    struct node_keys wrong;
    struct link_lower *l = NULL;
    node_keys_generate(&wrong);
    struct link_lower_options options = {b->ctx, &b->node_keys[0], "127.0.0.1", b->port, {0}};
    memcpy(options.upper_transport, wrong.transport_public, KEY_BYTES);
    assert_int_equal(link_lower_new(&l, &options, NULL), 0);
    struct link_lower *right = bench_lower(b, 1);
    assert_true(bench_until(b, phase_is, &(struct phase_wait){l, LINK_REACHED}));
    assert_int_equal(link_lower_send(l, span_str("x")), LINK_BLOCKED);
    assert_true(bench_up_arrives(b, right, "right"));
    assert_int_not_equal(link_lower_phase(l), LINK_UP);
    assert_string_equal(b->last_user, "node-1");
    link_lower_free(l);
    link_lower_free(right);
}

/* ---- what must not pass ---- */

static bool kicked(void *ctx)
{
    struct bench *b = ctx;
    return link_upper_counters(b->upper)[LINK_KICKED_SUBSCRIPTION] > 0;
}

static void foreign_empty_and_long_subscriptions_are_kicked_and_others_stay(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = bench_lower(b, 1);
    assert_true(bench_down_arrives(b, l, 1, "before"));
    uint8_t topics[3][64] = {{0}};
    const size_t lens[3] = {KEY_TOPIC_BYTES, 0, 64};
    key_topic(b->node_keys[1].transport_public, topics[0]);
    key_topic(b->node_keys[0].transport_public, topics[2]);
    for (int i = 0; i < 3; i++) {
        uint64_t before = link_upper_counters(b->upper)[LINK_KICKED_SUBSCRIPTION];
        void *sub = bench_raw_client(b->ctx, ZMQ_SUB, &b->node_keys[0], b->upper_keys.transport_public,
                                     link_upper_down_port(b->upper));
        assert_int_equal(zmq_setsockopt(sub, ZMQ_SUBSCRIBE, topics[i], lens[i]), 0);
        int64_t until_ms = bench_now_ms() + BENCH_WAIT_MS;
        zmq_pollitem_t item = {.socket = link_upper_xpub(b->upper), .events = ZMQ_POLLIN};
        while (link_upper_counters(b->upper)[LINK_KICKED_SUBSCRIPTION] == before &&
               bench_now_ms() < until_ms) {
            zmq_poll(&item, 1, 100);
            bench_pump(b);
        }
        assert_true(link_upper_counters(b->upper)[LINK_KICKED_SUBSCRIPTION] > before);
        zmq_close(sub);
    }
    assert_true(bench_down_arrives(b, l, 1, "after"));
    assert_int_equal(link_lower_counters(l)[LINK_RESETS], 0);
    link_lower_free(l);
}

static void the_ninth_subscription_of_a_connection_is_kicked(void **state)
{
    struct bench *b = *state;
    uint8_t frame[1 + KEY_TOPIC_BYTES];
    void *sub = bench_raw_client(b->ctx, ZMQ_XSUB, &b->node_keys[0], b->upper_keys.transport_public,
                                 link_upper_down_port(b->upper));
    key_topic(b->node_keys[0].transport_public, frame + 1);
    for (int i = 1; i <= 9; i++) {
        frame[0] = 1;
        assert_int_equal(zmq_send(sub, frame, sizeof frame, 0), sizeof frame);
        frame[0] = 0;
        if (i < 9)
            assert_int_equal(zmq_send(sub, frame, sizeof frame, 0), sizeof frame);
    }
    assert_true(bench_until(b, kicked, b));
    zmq_close(sub);
}

static void what_is_sealed_to_one_node_opens_at_no_other(void **state)
{
    struct bench *b = *state;
    uint8_t frame[256], topic[KEY_TOPIC_BYTES], plain[256];
    key_topic(b->node_keys[1].transport_public, topic);
    /* Nobody reads the subscriptions here, so the foreign one is served. */
    void *spy = bench_raw_client(b->ctx, ZMQ_SUB, &b->node_keys[0], b->upper_keys.transport_public,
                                 link_upper_down_port(b->upper));
    assert_int_equal(zmq_setsockopt(spy, ZMQ_SUBSCRIBE, "", 0), 0);
    int64_t until_ms = bench_now_ms() + BENCH_WAIT_MS;
    int n = -1;
    while (n < 0 && bench_now_ms() < until_ms) {
        link_upper_send(b->upper, b->node_keys[1].transport_public, span_str("secret of one"));
        zmq_pollitem_t item = {.socket = spy, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 20);
        n = zmq_recv(spy, frame, sizeof frame, ZMQ_DONTWAIT);
    }
    assert_int_equal(n, 16 + 24 + 16 + 13);
    assert_memory_equal(frame, topic, sizeof topic);
    assert_null(memmem(frame, (size_t)n, "secret", 6));
    const uint8_t *nonce = frame + 16, *box = frame + 40, *from = b->upper_keys.transport_public;
    assert_int_equal(
        crypto_box_open_easy(plain, box, (size_t)n - 40, nonce, from, b->node_keys[0].transport_secret), -1);
    assert_int_equal(
        crypto_box_open_easy(plain, box, (size_t)n - 40, nonce, from, b->node_keys[1].transport_secret), 0);
    assert_memory_equal(plain, "secret of one", 13);
    zmq_close(spy);
}

/* An upper side of bare sockets, to say what link_upper would not. */
static void *raw_server(void *ctx, int type, const struct node_keys *keys, uint16_t port)
{
    char endpoint[64];
    const int one = 1, zero = 0;
    void *s = zmq_socket(ctx, type);
    zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, keys->transport_secret, KEY_BYTES);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(zmq_bind(s, endpoint), 0);
    return s;
}

static void frames_that_do_not_open_are_dropped_and_counted(void **state)
{
    struct bench *b = *state;
    uint16_t port = bench_port_pair();
    void *pub = raw_server(b->ctx, ZMQ_PUB, &b->upper_keys, (uint16_t)(port + 1));
    struct link_lower_options options = {b->ctx, &b->node_keys[0], "127.0.0.1", port, {0}};
    struct link_lower *l = NULL;
    memcpy(options.upper_transport, b->upper_keys.transport_public, KEY_BYTES);
    assert_int_equal(link_lower_new(&l, &options, NULL), 0);

    uint8_t frame[100], other[100];
    key_topic(b->node_keys[0].transport_public, frame);
    randombytes_buf(frame + 16, 24);
    memcpy(other, frame, sizeof frame);
    assert_int_equal(crypto_box_easy(frame + 40, (const uint8_t *)"right", 5, frame + 16,
                                     b->node_keys[0].transport_public, b->upper_keys.transport_secret),
                     0);
    /* Sealed to another node, but behind this one's topic. */
    assert_int_equal(crypto_box_easy(other + 40, (const uint8_t *)"wrong", 5, other + 16,
                                     b->node_keys[1].transport_public, b->upper_keys.transport_secret),
                     0);
    struct span plain = {0};
    int64_t until_ms = bench_now_ms() + BENCH_WAIT_MS;
    int r = LINK_EMPTY;
    while (r == LINK_EMPTY && bench_now_ms() < until_ms) {
        zmq_send(pub, other, 61, 0);
        zmq_send(pub, frame, 60, 0); /* one byte short */
        zmq_send(pub, frame, 16, 0);
        zmq_send(pub, other, 61, ZMQ_SNDMORE); /* two parts */
        zmq_send(pub, "x", 1, 0);
        zmq_send(pub, frame, 61, 0);
        zmq_pollitem_t item = {.socket = link_lower_sub(l), .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 20);
        r = link_lower_recv(l, &plain);
    }
    assert_int_equal(r, 0);
    assert_true(span_equal(plain, span_str("right")));
    assert_true(link_lower_counters(l)[LINK_DROPPED_SEAL] > 0);
    link_lower_free(l);
    zmq_close(pub);
}

static void messages_of_several_parts_are_dropped(void **state)
{
    struct bench *b = *state;
    void *push =
        bench_raw_client(b->ctx, ZMQ_PUSH, &b->node_keys[0], b->upper_keys.transport_public, b->port);
    assert_int_equal(zmq_send(push, "a", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(push, "b", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(push, "c", 1, 0), 1);
    assert_int_equal(zmq_send(push, "whole", 5, 0), 5);
    int64_t until_ms = bench_now_ms() + BENCH_WAIT_MS;
    while (b->n_up == 0 && bench_now_ms() < until_ms) {
        zmq_pollitem_t item = {.socket = link_upper_pull(b->upper), .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 20);
        bench_pump(b);
    }
    assert_int_equal(b->n_up, 1);
    assert_true(span_equal(span_of(b->last_up.data, b->last_up.len), span_str("whole")));
    assert_int_equal(link_upper_counters(b->upper)[LINK_DROPPED_SIZE], 1);
    zmq_close(push);
}

static void an_oversize_message_reaches_nobody_and_harms_no_neighbour(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = bench_lower(b, 1);
    void *bad = bench_raw_client(b->ctx, ZMQ_PUSH, &b->node_keys[0], b->upper_keys.transport_public, b->port);
    uint8_t *big = calloc(1, 400 * 1024);
    assert_non_null(big);
    assert_true(bench_up_arrives(b, l, "before"));
    assert_int_equal(zmq_send(bad, "small", 5, 0), 5);
    assert_int_equal(zmq_send(bad, big, 400 * 1024, 0), 400 * 1024);
    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "neighbour %d", i);
        assert_true(bench_up_arrives(b, l, text));
        assert_true(b->last_up.len < 400 * 1024);
    }
    assert_int_equal(link_lower_phase(l), LINK_UP); /* never disconnected: see the counter of its sockets */
    assert_int_equal(link_lower_counters(l)[LINK_RESETS], 0);
    free(big);
    zmq_close(bad);
    link_lower_free(l);
}

struct revocation {
    struct bench *b;
    struct link_lower *lower;
};

static bool dropped_without_user(void *ctx)
{
    struct revocation *v = ctx;
    assert_true(link_lower_send(v->lower, span_str("late")) >= 0);
    return link_upper_counters(v->b->upper)[LINK_DROPPED_NO_USER] > 0;
}

static bool down_again(void *ctx)
{
    struct revocation *v = ctx;
    return link_lower_phase(v->lower) != LINK_UP;
}

static void a_revoked_node_is_dropped_and_kicked_at_its_next_message(void **state)
{
    struct bench *b = *state;
    struct link_lower *l0 = bench_lower(b, 0), *l1 = bench_lower(b, 1);
    assert_true(bench_up_arrives(b, l0, "zero"));
    assert_true(bench_up_arrives(b, l1, "one"));
    assert_int_equal(link_lower_phase(l0), LINK_UP);
    bench_allow(b, 1u << 0);
    buf_reset(&b->last_up);
    assert_true(bench_until(b, dropped_without_user, &(struct revocation){b, l0}));
    assert_int_equal(b->last_up.len, 0);
    assert_true(bench_until(b, down_again, &(struct revocation){b, l0}));
    assert_true(bench_up_arrives(b, l1, "still here"));
    link_lower_free(l0);
    link_lower_free(l1);
}

static void a_kicked_node_loses_both_connections_and_others_none(void **state)
{
    struct bench *b = *state;
    struct link_lower *l0 = bench_lower(b, 0), *l1 = bench_lower(b, 1);
    assert_true(bench_up_arrives(b, l0, "zero"));
    assert_true(bench_down_arrives(b, l0, 0, "zero"));
    assert_true(bench_up_arrives(b, l1, "one"));
    assert_true(bench_down_arrives(b, l1, 1, "one"));
    assert_int_equal(link_lower_phase(l0), LINK_UP);
    bench_allow(b, 1u << 0);
    assert_int_equal(link_upper_kick(b->upper, "node-0"), 2);
    assert_int_equal(link_upper_kick(b->upper, "nobody"), 0);
    assert_true(bench_until(b, down_again, &(struct revocation){b, l0}));
    assert_true(bench_down_arrives(b, l1, 1, "still here"));
    assert_int_equal(link_lower_phase(l1), LINK_UP);
    link_lower_free(l0);
    link_lower_free(l1);
}

static bool pipe_full(void *ctx)
{
    struct bench *b = ctx;
    static uint8_t bytes[8192];
    for (int i = 0; i < 500; i++)
        link_upper_send(b->upper, b->node_keys[0].transport_public, span_of(bytes, sizeof bytes));
    return link_upper_counters(b->upper)[LINK_DROPPED_FULL] > 0;
}

static void a_node_that_does_not_read_is_dropped_counted_and_blocks_no_other(void **state)
{
    struct bench *b = *state;
    struct link_lower *l1 = bench_lower(b, 1), *l0 = bench_lower(b, 0);
    assert_true(bench_down_arrives(b, l0, 0, "subscribed"));
    assert_true(bench_until(b, pipe_full, b));
    assert_true(bench_down_arrives(b, l1, 1, "through"));
    link_lower_free(l0);
    link_lower_free(l1);
}

/* ---- bad options ---- */

static void a_port_in_use_is_named(void **state)
{
    struct bench *b = *state;
    struct link_upper *u = NULL;
    struct errmsg err = {""};
    char port[16];
    struct link_upper_options options = {b->ctx, b->gate, &b->upper_keys, "127.0.0.1", b->port};
    snprintf(port, sizeof port, "%u", (unsigned)b->port);
    assert_int_equal(link_upper_new(&u, &options, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, port));
    assert_non_null(strstr(err.text, "127.0.0.1"));
    options.port = 65535;
    assert_int_equal(link_upper_new(&u, &options, &err), -EINVAL);
    options.bind_host = "";
    options.port = 0;
    assert_true(link_upper_new(&u, &options, &err) < 0);
    options.bind_host = "192.0.2.7"; /* no address of this machine */
    assert_int_equal(link_upper_new(&u, &options, &err), -EADDRNOTAVAIL);
    assert_null(u);
}

static void bad_options_of_a_lower_side_are_refused(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = NULL;
    struct errmsg err = {""};
    struct link_lower_options options = {b->ctx, &b->node_keys[0], "127.0.0.1", b->port, {0}};
    assert_int_equal(link_lower_new(&l, &options, &err), -EINVAL); /* a key of zeros */
    memcpy(options.upper_transport, b->upper_keys.transport_public, KEY_BYTES);
    options.port = 0;
    assert_int_equal(link_lower_new(&l, &options, &err), -EINVAL);
    options.port = 65535;
    assert_int_equal(link_lower_new(&l, &options, &err), -EINVAL);
    options.port = b->port;
    options.host = "";
    assert_int_equal(link_lower_new(&l, &options, &err), -EINVAL);
    assert_null(l);
}

/* A label of more than 63 characters has no address, and no name server is asked for it. */
#define NO_NAME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_name_without_address_is_waited_for(void **state)
{
    struct bench *b = *state;
    struct link_lower *l = NULL;
    struct link_lower_options options = {b->ctx, &b->node_keys[0], NO_NAME, b->port, {0}};
    memcpy(options.upper_transport, b->upper_keys.transport_public, KEY_BYTES);
    assert_int_equal(link_lower_new(&l, &options, NULL), 0);
    assert_int_equal(link_lower_phase(l), LINK_UNREACHABLE);
    assert_int_equal(link_lower_send(l, span_str("x")), LINK_BLOCKED);
    assert_int_equal(link_lower_reset(l), 0);
    link_lower_free(l);
}

static void hosts_become_numbers(void **state)
{
    (void)state;
    char host[LINK_ADDRESS_CHARS];
    assert_int_equal(link_resolve("127.0.0.1", false, 0, host), 0);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(link_resolve("::1", false, 3, host), 0);
    assert_string_equal(host, "[::1]");
    assert_int_equal(link_resolve("[::1]", true, 0, host), 0);
    assert_string_equal(host, "[::1]");
    assert_int_equal(link_resolve("localhost", false, 0, host), 0);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(link_resolve("[]", false, 0, host), -EINVAL);
    assert_string_equal(link_plain_address("::ffff:10.0.0.1"), "10.0.0.1");
    assert_string_equal(link_plain_address("::ffff:1"), "::ffff:1");
    assert_int_equal(link_resolve(NO_NAME, false, 0, host), -EHOSTUNREACH);
}

static bool have_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_storage a = {.ss_family = AF_INET6};
    ((uint8_t *)&a)[23] = 1; /* ::1 in sockaddr_in6 */
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, 28) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void a_link_over_ipv6_and_one_over_both_flow(void **state)
{
    struct bench *b = *state;
    if (!have_ipv6())
        skip();
    static const char *const hosts[] = {"[::1]", "*", "*"}, *const names[] = {"::1", "[::1]", "127.0.0.1"},
                             *const seen[] = {"::1", "::1", "127.0.0.1"};
    for (int i = 0; i < 3; i++) {
        struct errmsg err = {""};
        struct link_upper_options options = {b->ctx, b->gate, &b->upper_keys, hosts[i], 0};
        link_upper_free(b->upper);
        int r = link_upper_new(&b->upper, &options, &err);
        if (r < 0)
            fail_msg("%s", err.text);
        b->port = link_upper_port(b->upper);
        assert_int_equal(link_upper_down_port(b->upper), b->port + 1);
        struct link_lower_options lower_options = {b->ctx, &b->node_keys[0], names[i], b->port, {0}};
        struct link_lower *l = NULL;
        memcpy(lower_options.upper_transport, b->upper_keys.transport_public, KEY_BYTES);
        assert_int_equal(link_lower_new(&l, &lower_options, &err), 0);
        assert_true(bench_up_arrives(b, l, names[i]));
        assert_true(bench_down_arrives(b, l, 0, names[i]));
        assert_string_equal(b->last_address, seen[i]);
        assert_int_equal(link_upper_kick(b->upper, "node-0"), 2);
        link_lower_free(l);
    }
}

static void a_context_copies_what_it_receives(void **state)
{
    struct bench *b = *state;
    const int zero_copy_recv = 10; /* a draft in zmq.h; link/README.md, "Memory of a connected device" */
    assert_int_equal(zmq_ctx_get(b->ctx, zero_copy_recv), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_message_up_carries_the_user_id_of_the_gate),
        CASE(a_message_down_reaches_its_node_alone),
        CASE(a_context_copies_what_it_receives),
        CASE(the_biggest_payloads_pass_and_a_byte_more_is_refused_at_once),
        CASE(a_reset_link_flows_again),
        CASE(an_upper_side_that_comes_back_is_found_without_a_reset),
        CASE(the_phase_tells_what_is_missing),
        CASE(a_monitor_nobody_reads_stops_nothing),
        CASE(a_wrong_server_key_gets_nowhere),
        CASE(foreign_empty_and_long_subscriptions_are_kicked_and_others_stay),
        CASE(the_ninth_subscription_of_a_connection_is_kicked),
        CASE(what_is_sealed_to_one_node_opens_at_no_other),
        CASE(frames_that_do_not_open_are_dropped_and_counted),
        CASE(messages_of_several_parts_are_dropped),
        CASE(an_oversize_message_reaches_nobody_and_harms_no_neighbour),
        CASE(a_revoked_node_is_dropped_and_kicked_at_its_next_message),
        CASE(a_kicked_node_loses_both_connections_and_others_none),
        CASE(a_node_that_does_not_read_is_dropped_counted_and_blocks_no_other),
        CASE(a_port_in_use_is_named),
        CASE(bad_options_of_a_lower_side_are_refused),
        CASE(a_name_without_address_is_waited_for),
        CASE(hosts_become_numbers),
        CASE(a_link_over_ipv6_and_one_over_both_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
