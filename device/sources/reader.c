#include "device/sources/reader_private.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    SLOTS_SPARE = 24,        /* beside four rows of each group: for events */
    STACK_BYTES = 256 * 1024 /* reading small files needs little, and there may be many readers */
};

enum thread_state { RUNNING, ENDED, LEFT_ALONE };

/* ---- life ---- */

static void free_reader(struct source_reader *r)
{
    for (uint32_t i = 0; r->slots != NULL && i < r->n_slots; i++)
        free(r->slots[i].cells);
    for (uint32_t i = 0; r->groups != NULL && i < r->options.n_groups; i++) {
        free(r->groups[i].types);
        free(r->groups[i].last);
    }
    free(r->slots);
    free(r->groups);
    free(r->bad);
    close_fd(&r->stop_fd);
    close_fd(&r->wake_fd);
    free(r);
}

static int allocate(struct source_reader *r)
{
    uint32_t cells = r->options.cells_max;

    r->n_slots = 4 * r->options.n_groups + SLOTS_SPARE;
    r->slots = calloc(r->n_slots, sizeof *r->slots);
    r->groups = calloc(r->options.n_groups, sizeof *r->groups);
    r->bad = calloc(cells, sizeof *r->bad);
    if (r->slots == NULL || r->groups == NULL || r->bad == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < r->n_slots; i++) {
        r->slots[i].cells = calloc(cells, sizeof *r->slots[i].cells);
        if (r->slots[i].cells == NULL)
            return -ENOMEM;
    }
    for (uint32_t i = 0; i < r->options.n_groups; i++) {
        r->groups[i].types = calloc(cells, sizeof *r->groups[i].types);
        r->groups[i].last = calloc(cells, sizeof *r->groups[i].last);
        if (r->groups[i].types == NULL || r->groups[i].last == NULL)
            return -ENOMEM;
    }
    r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r->stop_fd < 0 || r->wake_fd < 0 ? -errno : 0;
}

int source_reader_new(struct source_reader **ret_r, const struct source_reader_options *options)
{
    struct source_reader *r = calloc(1, sizeof *r);
    int rc;

    assert(options->n_groups > 0 && options->n_groups <= READER_GROUPS_MAX);
    assert(options->cells_max > 0 && options->cells_max <= BLOCK_COLUMNS_MAX && options->interval_ns > 0);
    if (r == NULL)
        return -ENOMEM;
    r->options = *options;
    r->stop_fd = r->wake_fd = -1;
    snprintf(r->what, sizeof r->what, "%s", options->what);
    rc = allocate(r);
    if (rc != 0) {
        free_reader(r);
        return rc;
    }
    *ret_r = r;
    return 0;
}

/* The counter of an eventfd cannot run over here: each is read before it is written that often. */
static void raise_fd(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) < 0)
        return;
}

/* false: it is to end. */
static bool wait_until(const struct source_reader *r, int64_t mono_ns)
{
    struct pollfd p = {r->stop_fd, POLLIN, 0};
    int64_t left_ns;

    while (!source_reader_is_stopping(r)) {
        struct timespec left;

        left_ns = mono_ns - clock_mono_ns(&clock_real);
        if (left_ns <= 0)
            return true;
        left = (struct timespec){left_ns / NS_PER_S, left_ns % NS_PER_S};
        ppoll(&p, 1, &left, NULL);
    }
    return false;
}

static void *run(void *ctx)
{
    struct source_reader *r = ctx;
    int64_t interval_ns = r->options.interval_ns, next_ns = 0, now_ns;
    bool rests;
    int expected = RUNNING;

    pthread_setname_np(pthread_self(), "reader");
    while (wait_until(r, next_ns)) {
        r->tick = (struct source_now){clock_wall_unix_ns(&clock_real), clock_mono_ns(&clock_real)};
        r->has_given = false;
        r->options.read(r->options.ctx, r, &r->tick);
        now_ns = clock_mono_ns(&clock_real);
        rests = r->rest_mono_ns > now_ns;
        next_ns = rests ? r->rest_mono_ns : now_ns / interval_ns * interval_ns + interval_ns;
        atomic_store_explicit(&r->answer_mono_ns, rests ? next_ns : now_ns, memory_order_release);
        if (r->has_given)
            raise_fd(r->wake_fd);
    }
    if (atomic_compare_exchange_strong(&r->state, &expected, ENDED)) {
        raise_fd(r->wake_fd);
        return NULL;
    }
    r->options.free(r->options.ctx);
    free_reader(r);
    return NULL;
}

int source_reader_start(struct source_reader *r)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int rc = pthread_attr_init(&attr);

    if (rc != 0)
        return -rc;
    sigfillset(&all);
    rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (rc == 0)
        rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc == 0) {
        rc = pthread_create(&r->thread, &attr, run, r);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    r->is_started = rc == 0;
    return -rc;
}

void source_reader_stop(struct source_reader *r)
{
    if (r->stop_mono_ns != 0)
        return;
    r->stop_mono_ns = clock_mono_ns(&clock_real);
    atomic_store_explicit(&r->stopping, true, memory_order_release);
    raise_fd(r->stop_fd);
}

/* Until the thread has ended or its time is over. */
static void wait_for_end(struct source_reader *r)
{
    int64_t until_ns = r->stop_mono_ns + READER_CLOSE_MS * NS_PER_MS;
    struct pollfd p = {r->wake_fd, POLLIN, 0};

    while (atomic_load(&r->state) == RUNNING) {
        int64_t left_ns = until_ns - clock_mono_ns(&clock_real);
        struct timespec left = {left_ns / NS_PER_S, left_ns % NS_PER_S};

        if (left_ns <= 0)
            return;
        reader_clear_fd(r->wake_fd); /* of rows that nobody takes any more */
        if (atomic_load(&r->state) == RUNNING)
            ppoll(&p, 1, &left, NULL);
    }
}

struct source_reader *source_reader_close(struct source_reader *r)
{
    int expected = RUNNING;

    if (r == NULL)
        return NULL;
    if (r->is_started) {
        source_reader_stop(r);
        wait_for_end(r);
        if (atomic_compare_exchange_strong(&r->state, &expected, LEFT_ALONE)) {
            pthread_detach(r->thread);
            return NULL;
        }
        pthread_join(r->thread, NULL);
    }
    r->options.free(r->options.ctx);
    free_reader(r);
    return NULL;
}

/* ---- the reader's thread ---- */

/* NULL: no room. */
static struct reader_slot *next_slot(struct source_reader *r)
{
    uint32_t given = atomic_load_explicit(&r->given, memory_order_relaxed);

    if (given - atomic_load_explicit(&r->taken, memory_order_acquire) == r->n_slots)
        return NULL;
    return &r->slots[given % r->n_slots];
}

static void give_slot(struct source_reader *r)
{
    atomic_fetch_add_explicit(&r->given, 1, memory_order_release);
    r->has_given = true;
}

bool source_reader_row(struct source_reader *r, uint32_t group, const struct cell *cells)
{
    struct reader_slot *s = next_slot(r);
    struct source_group g;
    int64_t mono_ns = clock_mono_ns(&clock_real);

    assert(group < r->options.n_groups);
    if (s == NULL) {
        atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
        return false;
    }
    r->options.shape(r->options.ctx, group, &g);
    assert(g.n_channels <= r->options.cells_max);
    s->is_event = false;
    s->group = group;
    s->mono_ns = r->tick.mono_ns;
    s->wall_unix_ns = r->tick.wall_unix_ns;
    if (mono_ns - r->tick.mono_ns > r->options.interval_ns) {
        s->mono_ns = mono_ns;
        s->wall_unix_ns = clock_wall_unix_ns(&clock_real);
    }
    memcpy(s->cells, cells, g.n_channels * sizeof *cells);
    give_slot(r);
    return true;
}

bool source_reader_event(struct source_reader *r, uint32_t type, uint32_t severity, const char *channel,
                         const char *fmt, ...)
{
    struct reader_slot *s = next_slot(r);
    va_list ap;

    if (s == NULL)
        return false;
    s->is_event = true;
    s->type = type;
    s->severity = severity;
    s->wall_unix_ns = clock_wall_unix_ns(&clock_real);
    snprintf(s->channel, sizeof s->channel, "%s", channel != NULL ? channel : "");
    va_start(ap, fmt);
    vsnprintf(s->text, sizeof s->text, fmt, ap);
    va_end(ap);
    give_slot(r);
    return true;
}

void source_reader_rest(struct source_reader *r, int64_t mono_ns)
{
    r->rest_mono_ns = mono_ns;
}

void source_reader_wake(struct source_reader *r)
{
    raise_fd(r->wake_fd);
}

bool source_reader_is_stopping(const struct source_reader *r)
{
    return atomic_load_explicit(&r->stopping, memory_order_acquire);
}
