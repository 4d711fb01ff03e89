#include "device/act.h"

#include "base/cleanup.h"
#include "wire/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

/* So near a tick nothing but the clock is waited for: one descriptor less to poll, and the stop is this late
 * at most. */
#define NAP_NS (20 * NS_PER_MS)

struct state {
    struct act_source source;
    const struct source_sink *sink;
    int64_t next_ns, interval_ns;
    bool replayable, declared, ended, failing;
    bool waits_for_room; /* of the ring of replays: who waits for the other one is called in a while */
    bool is_called;      /* it is readable, or there is room: a step is due beside what next_ns says */
    bool end_is_untold;  /* it gave its last row, but its ring had no room to say so */
};

struct act {
    struct clock clock;
    struct feed *feed;
    struct ring *replay;
    struct state *states;
    unsigned n;
    int64_t wall_unix_ns; /* of the last step */
    struct act_hook hooks[ACT_HOOKS_MAX];
    unsigned n_hooks;
    bool has_fds; /* a source wants its descriptor polled */
    int stop_fd;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    struct histogram lateness_us;
};

int act_new(struct act **ret_a, const struct act_options *options)
{
    struct act *a = calloc(1, sizeof *a);
    unsigned i;

    if (a == NULL)
        return -ENOMEM;
    a->clock = *options->clock;
    a->feed = options->feed;
    a->replay = options->replay;
    for (unsigned h = 0; h < options->n_hooks && h < ACT_HOOKS_MAX; h++)
        a->hooks[a->n_hooks++] = options->hooks[h];
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->states = calloc(options->n_sources + 1, sizeof *a->states);
    if (a->states == NULL || a->stop_fd < 0) {
        act_free(a);
        return -ENOMEM;
    }
    for (i = 0; i < options->n_sources; i++) {
        struct state *s = &a->states[a->n++];

        s->source = options->sources[i];
        s->replayable = s->source.kind->replayable != NULL && s->source.kind->replayable(s->source.self);
        s->sink = s->source.sink != NULL ? s->source.sink : feed_sink(a->feed, i, s->replayable);
        if (s->source.kind->interval_ms != NULL)
            s->interval_ns = s->source.kind->interval_ms(s->source.self) * NS_PER_MS;
        a->has_fds |= s->source.kind->fd != NULL;
    }
    *ret_a = a;
    return 0;
}

struct act *act_free(struct act *a)
{
    if (a == NULL)
        return NULL;
    act_stop(a);
    for (unsigned i = 0; i < a->n; i++)
        a->states[i].source.kind->close(a->states[i].source.self);
    close_fd(&a->stop_fd);
    free(a->states);
    free(a);
    return NULL;
}

static unsigned number_of(const struct act *a, const struct state *s)
{
    return (unsigned)(s - a->states);
}

static void tell(struct act *a, const struct state *s, uint32_t type, uint32_t severity, const char *text)
{
    struct feed_event e = {.type = type, .severity = severity, .time_ns = clock_wall_unix_ns(&a->clock)};

    snprintf(e.text, sizeof e.text, "%s", text);
    feed_event(a->feed, number_of(a, s), &e);
}

static void on_failed(struct act *a, struct state *s, int error, int64_t now_ns)
{
    char text[FEED_TEXT_BYTES];

    s->next_ns = now_ns + ACT_RETRY_MS * NS_PER_MS;
    if (s->failing)
        return;
    s->failing = true;
    if (s->declared)
        snprintf(text, sizeof text, "cannot be read: %s", strerror(-error));
    else
        snprintf(text, sizeof text, "cannot be recorded: %s", source_refusal(error));
    tell(a, s, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, 2, text);
}

/* It has ended when that is in the ring: whoever waits for the end hears of nothing else. */
static void on_ended(struct act *a, struct state *s, int64_t now_ns)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_ENDED,
                           .time_ns = clock_wall_unix_ns(&a->clock),
                           .text = "the last row was given"};

    if (s->source.kind->describe_end != NULL)
        s->source.kind->describe_end(s->source.self, e.text, sizeof e.text);
    s->ended = feed_try_event(a->feed, number_of(a, s), &e);
    s->end_is_untold = !s->ended;
    s->waits_for_room = s->end_is_untold && s->replayable;
    s->next_ns = s->ended ? INT64_MAX : now_ns + ACT_ROOM_WAIT_MS * NS_PER_MS;
}

/* The next tick after now; those that went by since the one just served are counted as missed. A step between
 * two ticks serves none. */
static void next_tick(struct act *a, struct state *s, int64_t now_ns)
{
    int64_t tick = now_ns / s->interval_ns * s->interval_ns + s->interval_ns;
    struct feed_counters *c = feed_counters(a->feed);
    bool serves = s->next_ns > 0 && s->next_ns <= now_ns;

    if (serves)
        histogram_add(&a->lateness_us, (uint64_t)(now_ns - s->next_ns) / 1000);
    if (serves && tick > s->next_ns + s->interval_ns)
        atomic_fetch_add_explicit(&c->ticks_missed, (uint64_t)((tick - s->next_ns) / s->interval_ns - 1),
                                  memory_order_relaxed);
    s->next_ns = tick;
}

static int run_step(struct state *s, const struct source_now *now, int64_t *ret_next_ns)
{
    int rc;

    if (s->end_is_untold)
        return SOURCE_END;

    if (!s->declared && s->source.kind->declare != NULL) {
        rc = s->source.kind->declare(s->source.self, s->sink);
        if (rc != 0)
            return rc == SINK_FULL ? SOURCE_WAIT : rc;
    }
    s->declared = true;
    return s->source.kind->step(s->source.self, s->sink, now, ret_next_ns);
}

static void step(struct act *a, struct state *s, int64_t now_ns)
{
    struct source_now now = {clock_wall_unix_ns(&a->clock), now_ns};
    int64_t next_ns = INT64_MAX;
    int rc;

    s->is_called = false;
    rc = run_step(s, &now, &next_ns);
    a->wall_unix_ns = now.wall_unix_ns;
    s->waits_for_room = rc == SOURCE_WAIT && s->replayable;
    if (rc < 0) {
        on_failed(a, s, rc, now.mono_ns);
        return;
    }
    if (s->failing) {
        s->failing = false;
        tell(a, s, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED, 0, "can be read again");
    }
    if (rc == SOURCE_END)
        on_ended(a, s, now.mono_ns);
    else if (rc == SOURCE_WAIT)
        s->next_ns = now.mono_ns + ACT_ROOM_WAIT_MS * NS_PER_MS;
    else if (s->interval_ns > 0)
        next_tick(a, s, now.mono_ns);
    else
        s->next_ns = next_ns;
}

/* When the first of them wants to be called again. */
static int64_t run_hooks(struct act *a)
{
    int64_t next_ns = INT64_MAX;

    for (unsigned i = 0; i < a->n_hooks; i++) {
        int64_t at_ns = a->hooks[i].round(a->hooks[i].ctx, clock_mono_ns(&a->clock));

        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    return next_ns;
}

void act_round(struct act *a, int64_t *ret_next_ns)
{
    int64_t next_ns, now_ns = clock_mono_ns(&a->clock);
    bool stepped = false;

    for (int replayable = 0; replayable < 2; replayable++)
        for (unsigned i = 0; i < a->n; i++) {
            struct state *s = &a->states[i];

            if (s->replayable != (replayable == 1) || s->ended)
                continue;
            /* Each is stamped with the moment of its own sampling. */
            if (stepped)
                now_ns = clock_mono_ns(&a->clock);
            stepped = s->is_called || s->next_ns <= now_ns;
            if (stepped)
                step(a, s, now_ns);
        }
    next_ns = run_hooks(a);
    if (!feed_flush(a->feed, a->wall_unix_ns) && next_ns > now_ns + ACT_ROOM_WAIT_MS * NS_PER_MS)
        next_ns = now_ns + ACT_ROOM_WAIT_MS * NS_PER_MS;
    for (unsigned i = 0; i < a->n; i++)
        if (!a->states[i].ended && a->states[i].next_ns < next_ns)
            next_ns = a->states[i].next_ns;
    *ret_next_ns = next_ns;
}

void act_readable(struct act *a, unsigned no)
{
    if (!a->states[no].ended)
        a->states[no].is_called = true;
}

const struct histogram *act_lateness_us(const struct act *a)
{
    return &a->lateness_us;
}

bool act_all_ended(const struct act *a)
{
    /* What is computed from others ends with them. */
    for (unsigned i = 0; i < a->n; i++)
        if (!a->states[i].ended && a->states[i].source.kind->hear_row == NULL)
            return false;
    return true;
}

static bool room_waited_for(struct act *a)
{
    bool waits = false;

    for (unsigned i = 0; i < a->n; i++)
        waits |= a->states[i].waits_for_room && !a->states[i].ended;
    return waits;
}

static void room_is_there(struct act *a)
{
    ring_room_fd_clear(a->replay);
    for (unsigned i = 0; i < a->n; i++)
        if (a->states[i].waits_for_room && !a->states[i].ended) {
            a->states[i].waits_for_room = false;
            a->states[i].is_called = true;
        }
}

/* Until next_ns, on the cheapest of the kernel's waits: at a thousand ticks a second most of the cost is the
 * waking itself. */
static void nap(int64_t next_ns)
{
    struct timespec at = {next_ns / NS_PER_S, next_ns % NS_PER_S};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Sleeps until the next round is due, a source is readable, there is room, or the end. */
static void wait_for_work(struct act *a, int64_t left_ns)
{
    struct pollfd fds[SOURCES_MAX + 2] = {{a->stop_fd, POLLIN, 0}, {-1, POLLIN, 0}};
    struct timespec timeout = {0, 0};
    nfds_t n = 2;

    if (room_waited_for(a)) {
        /* Half the ring: waking for each row would make both threads dance. */
        if (!ring_producer_sleeps(a->replay, ring_bytes(a->replay) / 2))
            left_ns = 0;
        fds[1].fd = ring_room_fd(a->replay);
    }
    for (unsigned i = 0; i < a->n; i++) {
        const struct state *s = &a->states[i];

        fds[n++] = (struct pollfd){
            s->source.kind->fd != NULL && !s->ended ? s->source.kind->fd(s->source.self) : -1, POLLIN, 0};
    }
    if (left_ns > 0 && left_ns != INT64_MAX)
        timeout = (struct timespec){left_ns / NS_PER_S, left_ns % NS_PER_S};
    if (ppoll(fds, n, left_ns == INT64_MAX ? NULL : &timeout, NULL) < 0)
        return;
    if (fds[1].revents != 0 || (fds[1].fd >= 0 && left_ns == 0))
        room_is_there(a);
    for (unsigned i = 0; i < a->n; i++)
        if (fds[2 + i].revents != 0)
            act_readable(a, i);
}

static void *run(void *ctx)
{
    struct act *a = ctx;
    int64_t next_ns, left_ns;

    pthread_setname_np(pthread_self(), "act");
    while (!atomic_load_explicit(&a->stopping, memory_order_relaxed)) {
        act_round(a, &next_ns);
        left_ns = next_ns == INT64_MAX ? INT64_MAX : next_ns - clock_mono_ns(&a->clock);
        if (left_ns <= 0)
            continue;
        if (left_ns <= NAP_NS && !a->has_fds && !room_waited_for(a))
            nap(next_ns);
        else
            wait_for_work(a, left_ns);
    }
    return NULL;
}

int act_start(struct act *a)
{
    int rc = pthread_create(&a->thread, NULL, run, a);

    if (rc != 0)
        return -rc;
    a->started = true;
    return 0;
}

void act_stop(struct act *a)
{
    uint64_t one = 1;

    if (!a->started)
        return;
    atomic_store_explicit(&a->stopping, true, memory_order_relaxed);
    if (write(a->stop_fd, &one, sizeof one) < 0)
        return;
    pthread_join(a->thread, NULL);
    a->started = false;
}
