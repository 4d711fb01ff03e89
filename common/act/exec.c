#include "act/exec.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

enum { ENV_MAX = 256, OWN_ENV = 4 };

struct job {
    struct exec_request request;
    bool is_used;
    pid_t pid; /* 0: waits */
    int fd;    /* readable when the program has ended */
    int64_t until_ns;
    uint64_t no; /* order of arrival */
};

struct exec {
    struct exec_slot slots[EXEC_SLOTS_MAX];
    unsigned n_slots;
    struct exec_counters counters;

    struct exec_request queue[EXEC_QUEUE]; /* one writes at head, one reads at tail */
    _Atomic uint32_t head, tail;
    int wake_fd;
    atomic_bool stopping;
    pthread_t thread;
    bool started;

    /* of the thread */
    struct job jobs[EXEC_SLOTS_MAX];
    uint64_t n_taken;
};

static void count(_Atomic uint64_t *c)
{
    atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

static int64_t now_ns(void)
{
    return clock_mono_ns(&clock_real);
}

static void wake(struct exec *e)
{
    uint64_t one = 1;

    if (write(e->wake_fd, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

bool exec_request(struct exec *e, const struct exec_request *r)
{
    uint32_t head = atomic_load_explicit(&e->head, memory_order_relaxed);

    if (head - atomic_load_explicit(&e->tail, memory_order_acquire) == EXEC_QUEUE) {
        count(&e->counters.refused);
        return false;
    }
    e->queue[head % EXEC_QUEUE] = *r;
    atomic_store_explicit(&e->head, head + 1, memory_order_release);
    wake(e);
    return true;
}

const struct exec_counters *exec_counters(const struct exec *e)
{
    return &e->counters;
}

/* ---- the thread ---- */

static unsigned serial_of(const struct exec *e, const struct job *j)
{
    return e->slots[j->request.slot].serial;
}

static void take(struct exec *e)
{
    uint32_t tail = atomic_load_explicit(&e->tail, memory_order_relaxed);

    for (; tail != atomic_load_explicit(&e->head, memory_order_acquire); tail++) {
        const struct exec_request *r = &e->queue[tail % EXEC_QUEUE];
        struct job *room = NULL;
        unsigned waiting = 0;

        for (unsigned i = 0; i < EXEC_SLOTS_MAX; i++) {
            struct job *j = &e->jobs[i];

            if (!j->is_used)
                room = j;
            else if (j->pid == 0 && serial_of(e, j) == e->slots[r->slot].serial)
                waiting++;
        }
        if (room == NULL || waiting >= EXEC_WAITING)
            count(&e->counters.refused);
        else
            *room = (struct job){.request = *r, .is_used = true, .fd = -1, .no = ++e->n_taken};
        atomic_store_explicit(&e->tail, tail + 1, memory_order_release);
    }
}

static bool may_start(const struct exec *e, const struct job *job)
{
    for (unsigned i = 0; i < EXEC_SLOTS_MAX; i++) {
        const struct job *j = &e->jobs[i];

        if (j != job && j->is_used && serial_of(e, j) == serial_of(e, job) &&
            (j->pid != 0 || j->no < job->no))
            return false;
    }
    return true;
}

static int spawn(const struct exec_slot *slot, const struct exec_request *r, pid_t *ret_pid)
{
    char own[OWN_ENV][32 + EXEC_TEXT_BYTES], *env[ENV_MAX + OWN_ENV + 1], *argv[EXEC_ARGS_MAX + 1] = {NULL};
    posix_spawnattr_t attributes;
    sigset_t none, all;
    unsigned n = 0;
    int rc;

    snprintf(own[0], sizeof own[0], "FOGLINE_RULE=%s", slot->rule);
    snprintf(own[1], sizeof own[1], "FOGLINE_STATE=%s", r->raised ? "raised" : "cleared");
    snprintf(own[2], sizeof own[2], "FOGLINE_VALUE=%s", r->value);
    snprintf(own[3], sizeof own[3], "FOGLINE_CHANNEL=%s", r->channel);
    for (; n < OWN_ENV; n++)
        env[n] = own[n];
    for (char **at = environ; *at != NULL && n < ENV_MAX + OWN_ENV; at++)
        if (strncmp(*at, "NOTIFY_SOCKET=", 14) != 0 && strncmp(*at, "FOGLINE_", 8) != 0)
            env[n++] = *at;
    env[n] = NULL;
    memcpy(argv, slot->argv, (slot->n_args < EXEC_ARGS_MAX ? slot->n_args : EXEC_ARGS_MAX) * sizeof *argv);
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0)
        return -rc;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    rc = posix_spawn(ret_pid, argv[0], NULL, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    return -rc;
}

/* false: it cannot be started, and is forgotten. */
static bool start(struct exec *e, struct job *j)
{
    const struct exec_slot *slot = &e->slots[j->request.slot];

    if (spawn(slot, &j->request, &j->pid) != 0) {
        count(&e->counters.failed);
        *j = (struct job){0};
        return false;
    }
    count(&e->counters.started);
    j->fd = (int)syscall(SYS_pidfd_open, j->pid, 0);
    j->until_ns = now_ns() + slot->timeout_ms * NS_PER_MS;
    return true;
}

/* What waited behind one that could not be started has its turn at once. */
static void start_what_may(struct exec *e)
{
    bool again = true;

    while (again) {
        again = false;
        for (unsigned i = 0; i < EXEC_SLOTS_MAX; i++)
            if (e->jobs[i].is_used && e->jobs[i].pid == 0 && may_start(e, &e->jobs[i]))
                again |= !start(e, &e->jobs[i]);
    }
}

static void reap(struct exec *e, struct job *j, int flags)
{
    int status;

    if (waitpid(j->pid, &status, flags) != j->pid)
        return;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        count(&e->counters.failed);
    close_fd(&j->fd);
    *j = (struct job){0};
}

static void end_job(struct exec *e, struct job *j)
{
    count(&e->counters.killed);
    kill(-j->pid, SIGKILL);
    reap(e, j, 0);
}

static void look_at_running(struct exec *e)
{
    int64_t now = now_ns();

    for (unsigned i = 0; i < EXEC_SLOTS_MAX; i++) {
        struct job *j = &e->jobs[i];

        if (j->pid != 0)
            reap(e, j, WNOHANG);
        if (j->pid != 0 && j->until_ns <= now)
            end_job(e, j);
    }
}

enum { NO_PIDFD_LOOK_MS = 50 }; /* a kernel without pidfd_open: look now and then */

static void wait_for_work(struct exec *e)
{
    struct pollfd fds[EXEC_SLOTS_MAX + 1] = {{e->wake_fd, POLLIN, 0}};
    int64_t next_ns = INT64_MAX, left_ms;
    uint64_t n_woken;
    nfds_t n = 1;

    for (unsigned i = 0; i < EXEC_SLOTS_MAX; i++) {
        struct job *j = &e->jobs[i];
        int64_t until_ns = j->fd >= 0 ? j->until_ns : now_ns() + NO_PIDFD_LOOK_MS * NS_PER_MS;

        if (j->pid == 0)
            continue;
        fds[n++] = (struct pollfd){j->fd, POLLIN, 0};
        if (until_ns < next_ns)
            next_ns = until_ns;
    }
    left_ms = next_ns == INT64_MAX ? -1 : (next_ns - now_ns()) / NS_PER_MS + 1;
    if (poll(fds, n, left_ms < -1 ? 0 : (int)left_ms) > 0 && fds[0].revents != 0 &&
        read(e->wake_fd, &n_woken, sizeof n_woken) < 0)
        return;
}

static void *run(void *ctx)
{
    struct exec *e = ctx;

    pthread_setname_np(pthread_self(), "exec");
    while (!atomic_load_explicit(&e->stopping, memory_order_acquire)) {
        take(e);
        look_at_running(e);
        start_what_may(e);
        wait_for_work(e);
    }
    for (unsigned i = 0; i < EXEC_SLOTS_MAX; i++)
        if (e->jobs[i].pid != 0)
            end_job(e, &e->jobs[i]);
    return NULL;
}

static int start_thread(struct exec *e)
{
    sigset_t all, before;
    int rc;

    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&e->thread, NULL, run, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    e->started = rc == 0;
    return -rc;
}

int exec_new(struct exec **ret_e, const struct exec_slot *slots, unsigned n_slots)
{
    struct exec *e = calloc(1, sizeof *e);
    int rc;

    if (e == NULL)
        return -ENOMEM;
    e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned i = 0; i < n_slots && i < EXEC_SLOTS_MAX; i++)
        e->slots[e->n_slots++] = slots[i];
    rc = e->wake_fd < 0 ? -errno : start_thread(e);
    if (rc != 0) {
        exec_free(e);
        return rc;
    }
    *ret_e = e;
    return 0;
}

struct exec *exec_free(struct exec *e)
{
    if (e == NULL)
        return NULL;
    if (e->started) {
        atomic_store_explicit(&e->stopping, true, memory_order_release);
        wake(e);
        pthread_join(e->thread, NULL);
    }
    close_fd(&e->wake_fd);
    free(e);
    return NULL;
}
