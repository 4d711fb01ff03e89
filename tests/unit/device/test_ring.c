/* The ring between the two threads. */
#include "device/ring.h"

#include "base/rng.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_message_comes_out_as_it_went_in(void **state)
{
    struct ring *r;
    size_t n;
    void *at;

    (void)state;
    assert_int_equal(ring_new(&r, 1), 0);
    assert_int_equal(ring_bytes(r), RING_MIN_BYTES);
    assert_null(ring_peek(r, &n));
    at = ring_reserve(r, 100);
    assert_non_null(at);
    memcpy(at, "hello", 5);
    assert_null(ring_peek(r, &n)); /* not before it is published */
    ring_publish(r, 5);
    assert_memory_equal(ring_peek(r, &n), "hello", 5);
    assert_int_equal(n, 5);
    ring_release(r);
    assert_null(ring_peek(r, &n));
    assert_int_equal(ring_used(r), 0);
    ring_free(r);
}

static void a_full_ring_takes_nothing_until_something_left(void **state)
{
    struct ring *r;
    unsigned n_in = 0;
    size_t n;
    void *at;

    (void)state;
    assert_int_equal(ring_new(&r, RING_MIN_BYTES), 0);
    assert_null(ring_reserve(r, ring_message_max(r) + 1));
    while ((at = ring_reserve(r, 1000)) != NULL) {
        ring_publish(r, 1000);
        n_in++;
    }
    assert_true(n_in >= 64 && n_in <= 65);
    assert_true(ring_used(r) <= RING_MIN_BYTES);
    assert_non_null(ring_peek(r, &n));
    ring_release(r);
    ring_peek(r, &n);
    ring_release(r);
    assert_non_null(ring_reserve(r, 1000));
    ring_free(r);
}

enum { MESSAGES = 400000, MESSAGE_MAX = 600 };

static size_t length_of(uint64_t i)
{
    struct rng r = {i};

    return 8 + rng_below(&r, MESSAGE_MAX - 8);
}

static void *produce(void *ctx)
{
    struct ring *r = ctx;

    for (uint64_t i = 0; i < MESSAGES; i++) {
        size_t n = length_of(i);
        uint8_t *at;

        while ((at = ring_reserve(r, n)) == NULL) {
            struct pollfd p = {ring_room_fd(r), POLLIN, 0};

            if (!ring_producer_sleeps(r, ring_bytes(r) / 2))
                continue;
            if (poll(&p, 1, 10000) != 1)
                return (void *)"the producer was not woken";
            ring_room_fd_clear(r);
        }
        memset(at, (int)(i & 0xff), n);
        memcpy(at, &i, sizeof i);
        ring_publish(r, n);
        ring_wake_consumer(r);
    }
    return NULL;
}

/* Every message once, in order, whole; and nobody sleeps for ever. */
static void two_threads_lose_nothing(void **state)
{
    struct ring *r;
    pthread_t thread;
    void *problem;

    (void)state;
    assert_int_equal(ring_new(&r, RING_MIN_BYTES), 0);
    assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        const uint8_t *at;
        uint64_t no;
        size_t n;

        while ((at = ring_peek(r, &n)) == NULL) {
            struct pollfd p = {ring_data_fd(r), POLLIN, 0};

            ring_wake_producer(r);
            if (ring_consumer_sleeps(r))
                assert_int_equal(poll(&p, 1, 10000), 1);
        }
        memcpy(&no, at, sizeof no);
        assert_true(no == i);
        assert_int_equal(n, length_of(i));
        for (size_t k = sizeof no; k < n; k++)
            if (at[k] != (uint8_t)(i & 0xff))
                fail_msg("message %llu is damaged", (unsigned long long)i);
        ring_release(r);
        if (i % 64 == 0)
            ring_wake_producer(r);
    }
    pthread_join(thread, &problem);
    assert_null(problem);
    ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_out_as_it_went_in),
        cmocka_unit_test(a_full_ring_takes_nothing_until_something_left),
        cmocka_unit_test(two_threads_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
