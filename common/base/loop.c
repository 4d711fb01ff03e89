#include "base/loop.h"

#include "base/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <zmq.h>

struct loop_watch {
    struct loop *loop;
    void *socket; /* or NULL, then fd */
    int fd;
    loop_fn on_readable, on_writable;
    void *ctx;
    bool is_dead; /* swept between rounds: a handler may remove any watch, its own too */
};

struct loop_timer {
    struct loop *loop;
    loop_fn on_time;
    void *ctx;
    int64_t at_ms;
    uint64_t
        set_in_round; /* set by a handler of this round: waits for the next, or a timer could hold the loop */
};

struct loop {
    struct clock clock;
    struct loop_watch **watches;
    size_t n_watches, alloc_watches;
    zmq_pollitem_t *items; /* items[i] belongs to watches[i] for i < n_items */
    size_t n_items;
    bool is_stale; /* the watches have changed since the items were made */
    struct loop_timer **timers;
    size_t n_timers, alloc_timers;
    uint64_t round;
    int signal_fd;
    loop_fn on_hup;
    void *hup_ctx;
    volatile sig_atomic_t stopping;
};

int loop_new(struct loop **ret_l, const struct clock *clock)
{
    struct loop *l = calloc(1, sizeof *l);

    if (l == NULL)
        return -ENOMEM;
    l->clock = *clock;
    l->signal_fd = -1;
    *ret_l = l;
    return 0;
}

struct loop *loop_free(struct loop *l)
{
    size_t i;

    if (l == NULL)
        return NULL;
    for (i = 0; i < l->n_watches; i++)
        free(l->watches[i]);
    for (i = 0; i < l->n_timers; i++)
        free(l->timers[i]);
    close_fd(&l->signal_fd);
    free(l->watches);
    free(l->timers);
    free(l->items);
    free(l);
    return NULL;
}

static must_check int watch(struct loop *l, struct loop_watch like, struct loop_watch **ret_w)
{
    struct loop_watch *w;

    if (l->n_watches == l->alloc_watches) {
        size_t alloc = l->alloc_watches == 0 ? 8 : l->alloc_watches * 2;
        struct loop_watch **watches = reallocarray(l->watches, alloc, sizeof(struct loop_watch *));

        if (watches == NULL)
            return -ENOMEM;
        l->watches = watches;
        l->alloc_watches = alloc;
    }
    w = malloc(sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    *w = like;
    l->watches[l->n_watches++] = w;
    l->is_stale = true;
    *ret_w = w;
    return 0;
}

int loop_watch_fd(struct loop *l, int fd, loop_fn on_readable, void *ctx, struct loop_watch **ret_w)
{
    if (fd < 0)
        return -EBADF;
    return watch(l, (struct loop_watch){.loop = l, .fd = fd, .on_readable = on_readable, .ctx = ctx}, ret_w);
}

int loop_watch_zmq(struct loop *l, void *socket, loop_fn on_readable, void *ctx, struct loop_watch **ret_w)
{
    if (socket == NULL)
        return -ENOTSOCK;
    return watch(
        l, (struct loop_watch){.loop = l, .socket = socket, .fd = -1, .on_readable = on_readable, .ctx = ctx},
        ret_w);
}

void loop_watch_writable(struct loop_watch *w, loop_fn on_writable)
{
    w->on_writable = on_writable;
    w->loop->is_stale = true;
}

void loop_unwatch(struct loop_watch *w)
{
    if (w == NULL)
        return;
    w->is_dead = true;
    w->loop->is_stale = true;
}

int loop_timer_new(struct loop *l, loop_fn on_time, void *ctx, struct loop_timer **ret_t)
{
    struct loop_timer *t;

    if (l->n_timers == l->alloc_timers) {
        size_t alloc = l->alloc_timers == 0 ? 8 : l->alloc_timers * 2;
        struct loop_timer **timers = reallocarray(l->timers, alloc, sizeof(struct loop_timer *));

        if (timers == NULL)
            return -ENOMEM;
        l->timers = timers;
        l->alloc_timers = alloc;
    }
    t = malloc(sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    *t = (struct loop_timer){.loop = l, .on_time = on_time, .ctx = ctx, .at_ms = INT64_MAX};
    l->timers[l->n_timers++] = t;
    *ret_t = t;
    return 0;
}

void loop_timer_set(struct loop_timer *t, int64_t at_mono_ms)
{
    t->at_ms = at_mono_ms;
    t->set_in_round = t->loop->round;
}

void loop_timer_free(struct loop_timer *t)
{
    struct loop *l;
    size_t i;

    if (t == NULL)
        return;
    l = t->loop;
    for (i = 0; l->timers[i] != t; i++)
        ;
    l->timers[i] = l->timers[--l->n_timers];
    free(t);
}

static void on_signal(void *ctx)
{
    struct loop *l = ctx;
    struct signalfd_siginfo info;

    while (read(l->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGHUP)
            l->stopping = 1;
        else if (l->on_hup != NULL)
            l->on_hup(l->hup_ctx);
    }
}

int loop_signals(struct loop *l, loop_fn on_hup, void *ctx)
{
    owned(close_fd) int fd = -1;
    struct loop_watch *w;
    sigset_t set;
    int r;

    if (l->signal_fd >= 0)
        return -EALREADY;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (r != 0)
        return -r;
    r = loop_watch_fd(l, fd, on_signal, l, &w);
    if (r < 0)
        return r;
    l->on_hup = on_hup;
    l->hup_ctx = ctx;
    l->signal_fd = fd;
    fd = -1;
    return 0;
}

/* Frees the dead watches and makes the items anew. On -ENOMEM the old state stands, still stale. */
static must_check int refresh(struct loop *l)
{
    zmq_pollitem_t *items;
    size_t i, n = 0;

    if (!l->is_stale)
        return 0;
    items = reallocarray(l->items, l->n_watches + 1, sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    l->items = items;
    for (i = 0; i < l->n_watches; i++) {
        struct loop_watch *w = l->watches[i];

        if (w->is_dead) {
            free(w);
            continue;
        }
        items[n] = (zmq_pollitem_t){
            .socket = w->socket,
            .fd = w->fd,
            .events = (short)((w->on_readable != NULL ? ZMQ_POLLIN : 0) |
                              (w->on_writable != NULL ? ZMQ_POLLOUT : 0)),
        };
        l->watches[n++] = w;
    }
    l->n_watches = n;
    l->n_items = n;
    l->is_stale = false;
    return 0;
}

static long wait_ms(const struct loop *l, int timeout_ms)
{
    int64_t first_ms = INT64_MAX, left_ms;
    size_t i;

    for (i = 0; i < l->n_timers; i++)
        if (l->timers[i]->at_ms < first_ms)
            first_ms = l->timers[i]->at_ms;
    if (timeout_ms == 0 || l->stopping || first_ms == INT64_MAX)
        return l->stopping ? 0 : timeout_ms;
    left_ms = loop_now_ms(l);
    left_ms = first_ms <= left_ms ? 0 : first_ms - left_ms;
    if (timeout_ms >= 0 && left_ms > timeout_ms)
        left_ms = timeout_ms;
    return left_ms < INT32_MAX ? (long)left_ms : INT32_MAX;
}

static void run_watches(struct loop *l)
{
    size_t i, n = l->n_items;

    for (i = 0; i < n; i++) {
        struct loop_watch *w = l->watches[i];
        short events = l->items[i].revents;

        /* An error wakes a reader: its next read says what happened. */
        if ((events & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0 && !w->is_dead && w->on_readable != NULL)
            w->on_readable(w->ctx);
        if ((events & (ZMQ_POLLOUT | ZMQ_POLLERR)) != 0 && !w->is_dead && w->on_writable != NULL)
            w->on_writable(w->ctx);
    }
}

static void run_timers(struct loop *l)
{
    int64_t now_ms;

    if (l->n_timers == 0)
        return;
    now_ms = loop_now_ms(l);
    for (;;) {
        struct loop_timer *due = NULL;
        size_t i;

        for (i = 0; i < l->n_timers; i++) {
            struct loop_timer *t = l->timers[i];

            if (t->at_ms <= now_ms && t->set_in_round != l->round && (due == NULL || t->at_ms < due->at_ms))
                due = t;
        }
        if (due == NULL)
            return;
        due->at_ms = INT64_MAX;
        due->on_time(due->ctx); /* may free it */
    }
}

int loop_step(struct loop *l, int timeout_ms)
{
    int r = refresh(l);

    if (r < 0)
        return r;
    r = zmq_poll(l->items, (int)l->n_items, wait_ms(l, timeout_ms));
    if (r < 0 && errno != EINTR)
        return errno < ZMQ_HAUSNUMERO ? -errno : -ESHUTDOWN;
    l->round++;
    if (r > 0)
        run_watches(l);
    run_timers(l);
    return 0;
}

int loop_run(struct loop *l, loop_fn on_round, void *ctx)
{
    while (!l->stopping) {
        int r = loop_step(l, -1);

        if (r < 0)
            return r;
        if (on_round != NULL)
            on_round(ctx);
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stopping = 1;
}

bool loop_stopping(const struct loop *l)
{
    return l->stopping != 0;
}

int64_t loop_now_ms(const struct loop *l)
{
    return clock_mono_ms(&l->clock);
}
