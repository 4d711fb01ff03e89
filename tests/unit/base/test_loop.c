#include "base/cleanup.h"
#include "base/loop.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <zmq.h>

enum { DEADLINE_MS = 5000 };

struct seen {
    struct loop *loop;
    struct loop_timer *timer, *other_timer;
    struct loop_watch *watch, *other_watch;
    int fd, n_calls, n_writable, n_rounds;
    void *socket;
    char order[16];
};

static void on_count(void *ctx)
{
    ((struct seen *)ctx)->n_calls++;
}

static void on_read(void *ctx)
{
    struct seen *s = ctx;
    char byte;

    assert_int_equal(read(s->fd, &byte, 1), 1);
    s->n_calls++;
}

static void on_first(void *ctx)
{
    strcat(((struct seen *)ctx)->order, "1");
}

static void on_second(void *ctx)
{
    strcat(((struct seen *)ctx)->order, "2");
}

static void timers_fire_once_in_the_order_of_their_times(void **state)
{
    struct clock_fake fake = {0};
    struct clock clock = clock_fake_of(&fake);
    struct seen s = {0};
    struct loop_timer *first, *second;

    (void)state;
    assert_int_equal(loop_new(&s.loop, &clock), 0);
    assert_int_equal(loop_timer_new(s.loop, on_second, &s, &second), 0);
    assert_int_equal(loop_timer_new(s.loop, on_first, &s, &first), 0);
    loop_timer_set(second, 20);
    loop_timer_set(first, 10);
    fake.mono_ns = 10 * NS_PER_MS - 1;
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_string_equal(s.order, "");
    fake.mono_ns = 30 * NS_PER_MS;
    assert_int_equal(loop_now_ms(s.loop), 30);
    assert_int_equal(loop_step(s.loop, -1), 0); /* a due timer does not wait */
    assert_string_equal(s.order, "12");
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_string_equal(s.order, "12");
    loop_timer_set(first, 30);
    loop_timer_set(first, INT64_MAX);
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_string_equal(s.order, "12");
    loop_timer_free(second);
    loop_timer_free(NULL);
    s.loop = loop_free(s.loop);
    assert_null(loop_free(NULL));
}

static void on_again(void *ctx)
{
    struct seen *s = ctx;

    s->n_calls++;
    loop_timer_set(s->timer, 0); /* due at once */
}

static void on_free_both(void *ctx)
{
    struct seen *s = ctx;

    s->n_calls++;
    loop_timer_free(s->timer);
    loop_timer_free(s->other_timer);
}

static void a_timer_set_by_its_handler_waits_for_the_next_round(void **state)
{
    struct seen s = {0};

    (void)state;
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_timer_new(s.loop, on_again, &s, &s.timer), 0);
    loop_timer_set(s.timer, 0);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(loop_step(s.loop, -1), 0);
        assert_int_equal(s.n_calls, i);
    }
    loop_free(s.loop);
}

static void a_timer_handler_may_free_timers(void **state)
{
    struct seen s = {0};

    (void)state;
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_timer_new(s.loop, on_free_both, &s, &s.timer), 0);
    assert_int_equal(loop_timer_new(s.loop, on_count, &s, &s.other_timer), 0);
    loop_timer_set(s.timer, 0);
    loop_timer_set(s.other_timer, 1);
    assert_int_equal(loop_step(s.loop, -1), 0);
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_int_equal(s.n_calls, 1);
    loop_free(s.loop);
}

static void a_step_waits_for_the_earliest_timer(void **state)
{
    struct seen s = {0};
    int64_t start_ms;

    (void)state;
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_timer_new(s.loop, on_count, &s, &s.timer), 0);
    start_ms = loop_now_ms(s.loop);
    loop_timer_set(s.timer, start_ms + 20);
    while (s.n_calls == 0 && loop_now_ms(s.loop) < start_ms + DEADLINE_MS)
        assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(s.n_calls, 1);
    assert_true(loop_now_ms(s.loop) >= start_ms + 20);
    assert_true(loop_now_ms(s.loop) < start_ms + DEADLINE_MS);
    loop_free(s.loop);
}

static void a_readable_descriptor_is_seen_until_it_is_read(void **state)
{
    struct seen s = {0};
    int pipe_fds[2];

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    s.fd = pipe_fds[0];
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_watch_fd(s.loop, -1, on_read, &s, &s.watch), -EBADF);
    assert_int_equal(loop_watch_fd(s.loop, s.fd, on_read, &s, &s.watch), 0);
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_int_equal(s.n_calls, 0);
    assert_int_equal(write(pipe_fds[1], "ab", 2), 2);
    assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(s.n_calls, 2);
    loop_unwatch(s.watch);
    loop_unwatch(NULL);
    assert_int_equal(write(pipe_fds[1], "c", 1), 1);
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_int_equal(s.n_calls, 2);
    loop_free(s.loop);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void on_writable(void *ctx)
{
    struct seen *s = ctx;

    s->n_writable++;
    loop_watch_writable(s->watch, NULL);
}

static void writability_is_asked_for_and_switched_off(void **state)
{
    struct seen s = {0};
    int pipe_fds[2];

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_watch_fd(s.loop, pipe_fds[1], on_count, &s, &s.watch), 0);
    assert_int_equal(loop_step(s.loop, 0), 0);
    loop_watch_writable(s.watch, on_writable);
    assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(loop_step(s.loop, 0), 0);
    assert_int_equal(s.n_writable, 1);
    assert_int_equal(s.n_calls, 0);
    close(pipe_fds[0]);
    /* The other end is gone: an error wakes the reader. */
    assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(s.n_calls, 1);
    loop_free(s.loop);
    close(pipe_fds[1]);
}

static void on_remove_all_and_add_one(void *ctx)
{
    struct seen *s = ctx;
    struct loop_watch *w;

    s->n_calls++;
    loop_unwatch(s->watch);
    loop_unwatch(s->other_watch);
    for (int i = 0; i < 40; i++) { /* makes the arrays move */
        assert_int_equal(loop_watch_fd(s->loop, s->fd, on_count, s, &w), 0);
        loop_unwatch(w);
    }
    assert_int_equal(loop_watch_fd(s->loop, s->fd, on_read, s, &s->watch), 0);
}

static void a_handler_may_remove_and_add_watches(void **state)
{
    struct seen s = {0};
    int pipe_fds[2];

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    s.fd = pipe_fds[0];
    assert_int_equal(write(pipe_fds[1], "a", 1), 1);
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    /* Both are ready in the same round; whichever runs first removes both. */
    assert_int_equal(loop_watch_fd(s.loop, s.fd, on_remove_all_and_add_one, &s, &s.watch), 0);
    assert_int_equal(loop_watch_fd(s.loop, s.fd, on_remove_all_and_add_one, &s, &s.other_watch), 0);
    assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(s.n_calls, 1);
    assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(s.n_calls, 2);
    loop_free(s.loop);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void on_message(void *ctx)
{
    struct seen *s = ctx;
    char text[8];

    assert_int_equal(zmq_recv(s->socket, text, sizeof text, ZMQ_DONTWAIT), 2);
    s->n_calls++;
}

static void zmq_sockets_are_level_triggered(void **state)
{
    void *zmq = zmq_ctx_new(), *push = zmq_socket(zmq, ZMQ_PUSH);
    struct seen s = {.socket = zmq_socket(zmq, ZMQ_PULL)};
    int64_t end_ms;

    (void)state;
    assert_int_equal(zmq_bind(s.socket, "inproc://loop"), 0);
    assert_int_equal(zmq_connect(push, "inproc://loop"), 0);
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_watch_zmq(s.loop, NULL, on_message, &s, &s.watch), -ENOTSOCK);
    assert_int_equal(loop_watch_zmq(s.loop, s.socket, on_message, &s, &s.watch), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(zmq_send(push, "hi", 2, 0), 2);
    end_ms = loop_now_ms(s.loop) + DEADLINE_MS;
    while (s.n_calls < 3 && loop_now_ms(s.loop) < end_ms)
        assert_int_equal(loop_step(s.loop, DEADLINE_MS), 0);
    assert_int_equal(s.n_calls, 3);
    loop_free(s.loop);
    zmq_close(push);
    zmq_close(s.socket);
    zmq_ctx_term(zmq);
}

static void on_usr1(int signal_no)
{
    (void)signal_no;
}

static void *send_usr1(void *arg)
{
    pthread_t *main_thread = arg;

    /* Any moment will do: before, in or after the wait. */
    pthread_kill(*main_thread, SIGUSR1);
    return NULL;
}

static void an_interrupted_wait_is_no_error(void **state)
{
    struct sigaction action = {.sa_handler = on_usr1};
    pthread_t self = pthread_self(), thread;
    struct seen s = {0};

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, send_usr1, &self), 0);
        assert_int_equal(loop_step(s.loop, 5), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    loop_free(s.loop);
}

static void on_round(void *ctx)
{
    struct seen *s = ctx;

    if (++s->n_rounds == 1)
        raise(SIGTERM);
}

static void signals_call_hup_and_stop_the_loop(void **state)
{
    struct seen s = {0};

    (void)state;
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_signals(s.loop, on_count, &s), 0);
    assert_int_equal(loop_signals(s.loop, on_count, &s), -EALREADY);
    raise(SIGHUP);
    assert_false(loop_stopping(s.loop));
    assert_int_equal(loop_run(s.loop, on_round, &s), 0);
    assert_int_equal(s.n_calls, 1);
    assert_int_equal(s.n_rounds, 2);
    assert_true(loop_stopping(s.loop));
    loop_free(s.loop);
}

static void on_stop(void *ctx)
{
    loop_stop(((struct seen *)ctx)->loop);
}

static void a_handler_may_stop_the_loop(void **state)
{
    struct seen s = {0};

    (void)state;
    assert_int_equal(loop_new(&s.loop, &clock_real), 0);
    assert_int_equal(loop_timer_new(s.loop, on_stop, &s, &s.timer), 0);
    loop_timer_set(s.timer, 0);
    assert_int_equal(loop_run(s.loop, NULL, NULL), 0);
    assert_int_equal(loop_step(s.loop, -1), 0); /* a stopped loop does not wait */
    loop_free(s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_in_the_order_of_their_times),
        cmocka_unit_test(a_timer_set_by_its_handler_waits_for_the_next_round),
        cmocka_unit_test(a_timer_handler_may_free_timers),
        cmocka_unit_test(a_step_waits_for_the_earliest_timer),
        cmocka_unit_test(a_readable_descriptor_is_seen_until_it_is_read),
        cmocka_unit_test(writability_is_asked_for_and_switched_off),
        cmocka_unit_test(a_handler_may_remove_and_add_watches),
        cmocka_unit_test(zmq_sockets_are_level_triggered),
        cmocka_unit_test(an_interrupted_wait_is_no_error),
        cmocka_unit_test(signals_call_hup_and_stop_the_loop),
        cmocka_unit_test(a_handler_may_stop_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
