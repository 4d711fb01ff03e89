#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
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

struct refusal_wait {
    struct gate *gate;
    size_t n;
    struct gate_refusal rows[GATE_REFUSED_MAX];
};

static bool something_refused(void *ctx)
{
    struct refusal_wait *w = ctx;
    w->n = gate_refused(w->gate, w->rows, GATE_REFUSED_MAX);
    return w->n > 0;
}

static void an_accepted_key_counts_as_accepted(void **state)
{
    struct bench *b = *state;
    struct gate_counters c;
    struct link_lower *l = bench_lower(b, 0);
    assert_true(bench_up_arrives(b, l, "hello"));
    gate_counters_get(b->gate, &c);
    assert_true(c.accepted >= 1);
    assert_int_equal(c.refused_unknown + c.refused_revoked + c.refused_malformed, 0);
    link_lower_free(l);
}

static void the_self_test_leaves_no_trace(void **state)
{
    struct bench *b = *state;
    struct gate_refusal rows[1];
    struct gate_counters c;
    gate_counters_get(b->gate, &c);
    assert_int_equal(gate_refused(b->gate, rows, 1), 0);
    assert_int_equal(c.refused_unknown, 0);
}

static void an_unknown_key_is_refused_kept_and_comes_in_once_accepted(void **state)
{
    struct bench *b = *state;
    struct refusal_wait w = {.gate = b->gate};
    struct gate_counters c;
    assert_int_equal(gate_set(b->gate, NULL, 0), 0);
    struct link_lower *l = bench_lower(b, 1);
    assert_true(bench_until(b, something_refused, &w));
    assert_memory_equal(w.rows[0].transport, b->node_keys[1].transport_public, KEY_BYTES);
    assert_string_equal(w.rows[0].address, "127.0.0.1");
    assert_false(w.rows[0].revoked);
    assert_true(w.rows[0].count >= 1);
    assert_true(w.rows[0].last_unix_ns >= w.rows[0].first_unix_ns && w.rows[0].first_unix_ns > 0);
    gate_counters_get(b->gate, &c);
    assert_true(c.refused_unknown >= 1);
    assert_int_equal(b->n_up, 0);
    bench_allow(b, 0);
    assert_true(bench_up_arrives(b, l, "accepted now")); /* the same sockets, never reset */
    link_lower_free(l);
}

static void a_revoked_key_is_refused_as_revoked(void **state)
{
    struct bench *b = *state;
    struct refusal_wait w = {.gate = b->gate};
    struct gate_counters c;
    bench_allow(b, 1u << 2);
    assert_false(gate_allows(b->gate, "node-2"));
    assert_true(gate_allows(b->gate, "node-1"));
    struct link_lower *l = bench_lower(b, 2);
    assert_true(bench_until(b, something_refused, &w));
    assert_true(w.rows[0].revoked);
    gate_counters_get(b->gate, &c);
    assert_true(c.refused_revoked >= 1);
    assert_int_equal(c.accepted, 0);
    link_lower_free(l);
}

static void lists_that_contradict_themselves_change_nothing(void **state)
{
    struct bench *b = *state;
    struct gate_node twice[2] = {{.id = "a", .transport = {7}}, {.id = "b", .transport = {7}}};
    assert_int_equal(gate_set(b->gate, twice, 2), -EINVAL);
    twice[1].transport[0] = 8;
    twice[1].id[0] = '\0';
    assert_int_equal(gate_set(b->gate, twice, 2), -EINVAL);
    memset(twice[1].id, 'x', sizeof twice[1].id);
    assert_int_equal(gate_set(b->gate, twice, 2), -EINVAL);
    assert_true(gate_allows(b->gate, "node-0"));
    assert_false(gate_allows(b->gate, "a"));
}

static void a_node_with_two_keys_stays_allowed_until_both_are_revoked(void **state)
{
    struct bench *b = *state;
    struct gate_node nodes[3] = {{.id = "b", .transport = {7}, .revoked = true},
                                 {.id = "a", .transport = {9}},
                                 {.id = "b", .transport = {8}}};
    assert_int_equal(gate_set(b->gate, nodes, 3), 0);
    assert_true(gate_allows(b->gate, "b"));
    nodes[2].revoked = true;
    assert_int_equal(gate_set(b->gate, nodes, 3), 0);
    assert_false(gate_allows(b->gate, "b"));
    assert_true(gate_allows(b->gate, "a"));
    assert_false(gate_allows(b->gate, ""));
    assert_false(gate_allows(b->gate, "c"));
}

static int64_t now_plus(int64_t ms)
{
    return bench_now_ms() + ms;
}

/* One question to the gate in the words of ZAP; the status of its answer. */
static void ask(void *req, const char *const *parts, const size_t *lens, size_t n, char ret_status[4])
{
    for (size_t i = 0; i < n; i++)
        assert_true(zmq_send(req, parts[i], lens[i], i + 1 < n ? ZMQ_SNDMORE : 0) >= 0);
    char part[8][64] = {{0}};
    int more = 1;
    size_t size = sizeof more;
    zmq_pollitem_t item = {.socket = req, .events = ZMQ_POLLIN};
    int64_t until_ms = now_plus(BENCH_WAIT_MS);
    while (bench_now_ms() < until_ms && zmq_poll(&item, 1, 100) == 0)
        ;
    for (size_t i = 0; more && i < 8; i++) {
        assert_true(zmq_recv(req, part[i], 63, ZMQ_DONTWAIT) >= 0);
        assert_int_equal(zmq_getsockopt(req, ZMQ_RCVMORE, &more, &size), 0);
    }
    memcpy(ret_status, part[2], 3);
    ret_status[3] = '\0';
}

static void malformed_questions_are_answered_by_a_refusal(void **state)
{
    struct bench *b = *state;
    static char big[5000];
    const char *key = (const char *)b->node_keys[0].transport_public;
    const char *good[8] = {"1.0", "1", "fogline", "10.0.0.1", "", "CURVE", key, "extra"};
    const size_t lens[8] = {3, 1, 7, 8, 0, 5, 32, 5};
    char status[4];
    struct gate_counters c;
    void *req = zmq_socket(b->ctx, ZMQ_REQ);
    assert_int_equal(zmq_connect(req, "inproc://zeromq.zap.01"), 0);
    ask(req, good, lens, 7, status);
    assert_string_equal(status, "200");
    for (size_t n = 1; n <= 8; n++) {
        ask(req, good, lens, n, status);
        assert_string_equal(status, n == 7 ? "200" : "300");
    }
    for (size_t i = 0; i < 7; i++) { /* one part too big, or of another kind */
        const char *parts[7];
        size_t l[7];
        memcpy(parts, good, sizeof parts);
        memcpy(l, lens, sizeof l);
        parts[i] = big;
        l[i] = sizeof big;
        ask(req, parts, l, 7, status);
        assert_string_equal(status, "300");
        l[i] = 31;
        if (i == 0 || i == 5 || i == 6) {
            ask(req, parts, l, 7, status);
            assert_string_equal(status, "300");
        }
    }
    gate_counters_get(b->gate, &c);
    assert_int_equal(c.refused_malformed, 17);
    const int zero = 0;
    zmq_setsockopt(req, ZMQ_LINGER, &zero, sizeof zero);
    zmq_close(req);
}

static void the_ring_keeps_the_newest_refusals_first(void **state)
{
    struct bench *b = *state;
    struct gate_refusal rows[GATE_REFUSED_MAX];
    char status[4];
    void *req = zmq_socket(b->ctx, ZMQ_REQ);
    assert_int_equal(zmq_connect(req, "inproc://zeromq.zap.01"), 0);
    for (int i = 0; i < 100; i++) {
        uint8_t key[KEY_BYTES] = {1, (uint8_t)i};
        const char *parts[7] = {"1.0", "1", "fogline", "10.0.0.1", "", "CURVE", (const char *)key};
        const size_t lens[7] = {3, 1, 7, 8, 0, 5, 32};
        ask(req, parts, lens, 7, status);
        assert_string_equal(status, "300");
        if (i % 10 == 0) { /* the first one keeps knocking */
            key[1] = 0;
            ask(req, parts, lens, 7, status);
        }
    }
    assert_int_equal(gate_refused(b->gate, rows, GATE_REFUSED_MAX), GATE_REFUSED_MAX);
    assert_int_equal(rows[0].transport[1], 99);
    assert_int_equal(rows[8].transport[1], 91);
    assert_int_equal(rows[9].transport[1], 0);
    assert_int_equal(rows[9].count, 11);
    assert_int_equal(rows[10].transport[1], 90);
    assert_int_equal(gate_refused(b->gate, rows, 2), 2);
    const int zero = 0;
    zmq_setsockopt(req, ZMQ_LINGER, &zero, sizeof zero);
    zmq_close(req);
}

static void two_gates_cannot_stand_in_one_context(void **state)
{
    struct bench *b = *state;
    struct gate *second = NULL;
    assert_int_equal(gate_new(&second, b->ctx), -EADDRINUSE);
    assert_null(second);
}

/* ZeroMQ without a handler lets everybody in: an upper side whose gate stands elsewhere must not start. */
static void an_upper_side_without_its_gate_does_not_start(void **state)
{
    struct bench *b = *state;
    struct link_upper *u = NULL;
    struct errmsg err = {""};
    void *ctx = NULL;
    assert_int_equal(link_context_new(&ctx), 0);
    struct link_upper_options options = {ctx, b->gate, &b->upper_keys, "127.0.0.1", 0};
    assert_int_equal(link_upper_new(&u, &options, &err), -EACCES);
    assert_non_null(strstr(err.text, "not refused"));
    assert_null(u);
    link_context_free(ctx);
}

static void a_gate_that_loses_its_thread_takes_the_process_with_it(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *ctx = NULL;
        struct gate *g = NULL;
        if (keys_init() != 0 || keys_harden_process() != 0 || link_context_new(&ctx) != 0 ||
            gate_new(&g, ctx) != 0)
            _exit(1);
        zmq_ctx_shutdown(ctx); /* the thread's socket fails */
        zmq_poll(NULL, 0, BENCH_WAIT_MS);
        _exit(2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_gate_that_loses_its_thread_takes_the_process_with_it), /* forks: before any other context */
        cmocka_unit_test_setup_teardown(an_accepted_key_counts_as_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_self_test_leaves_no_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_refused_kept_and_comes_in_once_accepted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_revoked_key_is_refused_as_revoked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_that_contradict_themselves_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_with_two_keys_stays_allowed_until_both_are_revoked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(malformed_questions_are_answered_by_a_refusal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_ring_keeps_the_newest_refusals_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_gates_cannot_stand_in_one_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upper_side_without_its_gate_does_not_start, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
