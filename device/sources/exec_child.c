#include "device/sources/exec_child.h"

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "device/sources/quiet_thread.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

extern char **environ;

enum { NICE = 5 };

struct exec_child {
    struct exec_child_options options;
    int null_fd, out[2], stop_fd; /* out: the pipe, [0] is ours */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of end; held for a copy */
    struct exec_end end;
    _Atomic int64_t start_us;

    /* of the keeper's thread */
    struct backoff backoff;
    char **env; /* of the program */
    pid_t pid;
    int pid_fd, err_fd;
    char line[EXEC_STDERR_LINE_BYTES + 1];
    size_t line_bytes;
    bool line_is_cut;
    unsigned minute_lines;
    uint64_t dropped_lines;
    int64_t minute_ms;
};

/* ---- the start ---- */

struct start {
    char *const *argv, *const *env;
    int in, out, err;
    pid_t parent;
    volatile int error;
};

/* Runs in the memory of the parent, whose thread waits, until exec: system calls and nothing else. */
static _Noreturn void become(struct start *s)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    const struct sched_param no_priority = {0};
    sigset_t none;

    setpgid(0, 0);
    /* Woken by our reading, it waits until we have nothing to do: a flood does not hold up sensing. */
    sched_setscheduler(0, SCHED_BATCH, &no_priority);
    (void)!nice(NICE);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &by_default, NULL); /* ours ignores SIGPIPE, and that is inherited */
    sigemptyset(&none);
    if (getppid() == s->parent && dup2(s->in, 0) == 0 && dup2(s->out, 1) == 1 && dup2(s->err, 2) == 2) {
        close_range(3, ~0U, 0); /* an older kernel has only the close-on-exec of each */
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvpe(s->argv[0], s->argv, s->env);
    }
    s->error = errno != 0 ? errno : ESRCH;
    _exit(127);
}

/* vfork(2): the memory of a large process is not copied, and only this thread waits for the exec. */
static pid_t vfork_into(struct start *s)
{
    pid_t pid = vfork();

    if (pid == 0)
        become(s);
    return pid;
}

static int start(struct exec_child *c)
{
    int64_t began_ns = clock_mono_ns(&clock_real), us;
    struct start s = {
        .argv = c->options.argv, .env = c->env, .in = c->null_fd, .out = c->out[1], .parent = getpid()};
    int err[2], rc = 0;

    if (pipe2(err, O_CLOEXEC) != 0)
        return -errno;
    s.err = err[1];
    c->pid = vfork_into(&s);
    if (c->pid < 0)
        rc = -errno;
    close(err[1]);
    if (rc == 0 && s.error != 0) {
        waitpid(c->pid, NULL, 0);
        rc = -s.error;
    }
    if (rc == 0) {
        c->pid_fd = pidfd_open(c->pid, 0);
        if (c->pid_fd < 0) {
            rc = -errno;
            kill(-c->pid, SIGKILL);
            waitpid(c->pid, NULL, 0);
        }
    }
    if (rc != 0) {
        close(err[0]);
        return rc;
    }
    c->err_fd = err[0];
    fcntl(c->err_fd, F_SETFL, O_NONBLOCK);
    us = (clock_mono_ns(&clock_real) - began_ns) / 1000;
    if (us > atomic_load(&c->start_us))
        atomic_store(&c->start_us, us);
    return 0;
}

/* ---- its stderr ---- */

static void log_one(struct exec_child *c)
{
    int64_t now_ms = clock_mono_ms(&clock_real);

    if (now_ms - c->minute_ms >= 60000) {
        if (c->dropped_lines > 0)
            log_warn("exec_stderr_dropped", "source=%s lines=%" PRIu64, c->options.name, c->dropped_lines);
        c->minute_ms = now_ms;
        c->minute_lines = 0;
        c->dropped_lines = 0;
    }
    c->line[c->line_bytes] = '\0';
    if (c->minute_lines >= EXEC_STDERR_LINES)
        c->dropped_lines++;
    else if (c->line_bytes > 0)
        log_info("exec_stderr", "source=%s msg=%s%s", c->options.name, log_quote(c->line),
                 c->line_is_cut ? " cut=true" : "");
    c->minute_lines++;
    c->line_bytes = 0;
    c->line_is_cut = false;
}

static void read_stderr(struct exec_child *c)
{
    char bytes[4096];
    ssize_t n = read(c->err_fd, bytes, sizeof bytes);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        if (c->line_bytes > 0)
            log_one(c);
        close(c->err_fd);
        c->err_fd = -1;
    }
    for (ssize_t i = 0; i < n; i++)
        if (bytes[i] == '\n')
            log_one(c);
        else if (c->line_bytes < EXEC_STDERR_LINE_BYTES)
            c->line[c->line_bytes++] = bytes[i];
        else
            c->line_is_cut = true;
}

/* ---- its life ---- */

/* false: asked to stop. */
static bool nap(struct exec_child *c, int64_t ms)
{
    struct pollfd p = {c->stop_fd, POLLIN, 0};

    return poll(&p, 1, (int)ms) == 0;
}

/* Its group is killed before it is reaped: until then nobody else can have its number. */
static void end_it(struct exec_child *c, bool with_grace, int *ret_status)
{
    struct pollfd p = {c->pid_fd, POLLIN, 0};

    if (with_grace) {
        kill(-c->pid, SIGTERM);
        kill(-c->pid, SIGCONT);
        poll(&p, 1, EXEC_GRACE_MS);
    }
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    if (c->err_fd >= 0)
        read_stderr(c); /* its last words */
    close_fd(&c->err_fd);
    c->err_fd = -1;
    close(c->pid_fd);
}

/* false: asked to stop. */
static bool watch(struct exec_child *c, int *ret_status)
{
    for (;;) {
        struct pollfd p[3] = {{c->stop_fd, POLLIN, 0}, {c->pid_fd, POLLIN, 0}, {c->err_fd, POLLIN, 0}};

        if (poll(p, 3, -1) < 0)
            continue;
        if (p[2].revents != 0)
            read_stderr(c);
        if (p[0].revents != 0 || p[1].revents != 0) {
            end_it(c, p[0].revents != 0, ret_status);
            return p[0].revents == 0;
        }
    }
}

/* Behind what the program wrote. false: asked to stop before there was room. */
static bool mark_end(struct exec_child *c)
{
    struct pollfd p[2] = {{c->stop_fd, POLLIN, 0}, {c->out[1], POLLOUT, 0}};

    while (poll(p, 2, -1) < 0 || (p[0].revents == 0 && p[1].revents == 0))
        continue;
    return p[0].revents == 0 && write(c->out[1], "\0\n", 2) == 2;
}

static void *keep(void *ctx)
{
    struct exec_child *c = ctx;

    for (;;) {
        int64_t began_ms = clock_mono_ms(&clock_real);
        struct exec_end end = {.error = -start(c)};

        if (end.error == 0 && !watch(c, &end.status))
            return NULL;
        if (clock_mono_ms(&clock_real) - began_ms >= EXEC_LIVED_MS)
            backoff_reset(&c->backoff);
        end.again_ms = backoff_next_ms(&c->backoff);
        pthread_mutex_lock(&c->lock);
        end.n = c->end.n + 1;
        c->end = end;
        pthread_mutex_unlock(&c->lock);
        if (!mark_end(c) || !nap(c, end.again_ms))
            return NULL;
    }
}

/* Ours, but for the way to the service manager: what a program said there would be taken for ours. */
static int make_env(struct exec_child *c)
{
    static const char notify[] = "NOTIFY_SOCKET=";
    size_t n = 0;

    while (environ[n] != NULL)
        n++;
    c->env = calloc(n + 1, sizeof *c->env);
    if (c->env == NULL)
        return -ENOMEM;
    n = 0;
    for (char **at = environ; *at != NULL; at++)
        if (strncmp(*at, notify, sizeof notify - 1) != 0)
            c->env[n++] = *at;
    return 0;
}

int exec_child_new(struct exec_child **ret_c, const struct exec_child_options *o)
{
    struct exec_child *c = calloc(1, sizeof *c);
    int rc = 0;

    if (c == NULL)
        return -ENOMEM;
    c->options = *o;
    c->out[0] = c->out[1] = c->err_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    backoff_init(&c->backoff, o->restart_ms, o->restart_max_ms, o->restart_ms / 2,
                 (uint64_t)clock_mono_ns(&clock_real));
    c->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->null_fd < 0 || c->stop_fd < 0 || pipe2(c->out, O_CLOEXEC) != 0 ||
        fcntl(c->out[0], F_SETFL, O_NONBLOCK) != 0)
        rc = -errno;
    if (rc == 0)
        rc = make_env(c);
    if (rc == 0)
        rc = quiet_thread(&c->thread, "exec", keep, c);
    c->has_thread = rc == 0;
    if (rc != 0) {
        exec_child_free(c);
        return rc;
    }
    *ret_c = c;
    return 0;
}

struct exec_child *exec_child_free(struct exec_child *c)
{
    if (c == NULL)
        return NULL;
    if (c->has_thread && eventfd_write(c->stop_fd, 1) == 0)
        pthread_join(c->thread, NULL);
    close_fd(&c->out[0]);
    close_fd(&c->out[1]);
    close_fd(&c->null_fd);
    close_fd(&c->stop_fd);
    pthread_mutex_destroy(&c->lock);
    free(c->env);
    free(c);
    return NULL;
}

int exec_child_fd(const struct exec_child *c)
{
    return c->out[0];
}

void exec_child_end(struct exec_child *c, struct exec_end *ret_e)
{
    pthread_mutex_lock(&c->lock);
    *ret_e = c->end;
    pthread_mutex_unlock(&c->lock);
}

int64_t exec_child_start_us(const struct exec_child *c)
{
    return atomic_load(&c->start_us);
}
