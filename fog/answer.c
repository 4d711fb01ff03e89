#include "fog/answer.h"

#include "archive/query_part.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const struct counter_info answer_counter_info[ANSWER_COUNTERS] = {
    [ANSWER_QUERIES] = {"queries", COUNTER_TOTAL, "1", "Queries of the cloud over the history."},
    [ANSWER_REFUSED] = {"refused", COUNTER_TOTAL, "1", "Queries that were refused with a reply."},
    [ANSWER_FAILED] = {"failed", COUNTER_TOTAL, "1",
                       "Queries that came to nothing: time, memory, size, room."},
    [ANSWER_ANSWERED] = {"answered", COUNTER_TOTAL, "1", "Queries answered."},
};

enum { OUTPUT_MAX_BYTES = ANSWER_PARTS_MAX * (QUERY_PART_BYTES_MAX + 4) + 64, READ_BYTES = 64 * 1024 };

struct answer {
    struct answer_options o;
    struct command waiting[ANSWER_WAITING]; /* the first is under way when pid > 0 or is_done */
    unsigned n;
    pid_t pid; /* 0: none */
    int fd;
    struct loop_watch *watch;
    struct loop_timer *deadline;
    struct buf output;
    bool is_done, is_late; /* the child has ended; ... was ended at its time */
    int code;              /* of its exit; -1: ended by a signal */
    uint64_t counters[ANSWER_COUNTERS];
};

/* ---- the child ---- */

/* Its exit code; -1: ended by a signal. Without is_killed it is at its end, having closed its output. */
static int end_child(struct answer *a, bool is_killed)
{
    int status = 0;
    pid_t r = -1;

    loop_unwatch(a->watch);
    a->watch = NULL;
    loop_timer_set(a->deadline, INT64_MAX);
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    if (a->pid > 0) {
        if (is_killed)
            (void)kill(a->pid, SIGKILL);
        do
            r = waitpid(a->pid, &status, 0);
        while (r < 0 && errno == EINTR);
    }
    a->pid = 0;
    return r > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void done(struct answer *a, int code)
{
    a->code = code;
    a->is_done = true;
}

static void on_output(void *ctx)
{
    struct answer *a = ctx;
    uint8_t *at = buf_grow(&a->output, READ_BYTES);
    ssize_t n;

    if (at == NULL) {
        (void)end_child(a, true);
        done(a, ANSWER_CHILD_TOO_LARGE);
        return;
    }
    n = read(a->fd, at, READ_BYTES);
    a->output.len -= READ_BYTES - (n > 0 ? (size_t)n : 0);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        done(a, end_child(a, n < 0));
}

static void on_deadline(void *ctx)
{
    struct answer *a = ctx;

    a->is_late = true;
    done(a, end_child(a, true));
}

/* Between fork and exec: system calls only. */
static void become(const struct answer *a, int out, char *const argv[])
{
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(out, STDOUT_FILENO) >= 0) {
        (void)syscall(SYS_close_range, 3U, ~0U, 0U);
        execv(a->o.program != NULL ? a->o.program : "/proc/self/exe", argv);
    }
    _exit(ANSWER_CHILD_FAILED);
}

static void start(struct answer *a)
{
    char *argv[] = {(char *)"fogline-fog", (char *)ANSWER_FLAG, (char *)a->o.store, a->waiting[0].argument,
                    NULL};
    int ends[2];
    pid_t pid;

    buf_reset(&a->output);
    a->is_late = false;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        done(a, -1);
        return;
    }
    pid = fork();
    if (pid == 0)
        become(a, ends[1], argv);
    close(ends[1]);
    a->fd = ends[0];
    a->pid = pid > 0 ? pid : 0;
    if (pid < 0 || fcntl(a->fd, F_SETFL, O_NONBLOCK) < 0 ||
        loop_watch_fd(a->o.loop, a->fd, on_output, a, &a->watch) < 0) {
        (void)end_child(a, true);
        done(a, -1);
        return;
    }
    loop_timer_set(a->deadline, loop_now_ms(a->o.loop) + ANSWER_MS);
}

/* ---- queries ---- */

static int refuse(struct answer *a, const struct command *c, const char *why)
{
    int r = a->o.reply(a->o.ctx, c->counter, false, why, span_of(NULL, 0), 0, 0);

    a->counters[ANSWER_REFUSED] += r == 0;
    return r;
}

int answer_take(struct answer *a, const struct command *c)
{
    struct query_options o;

    if (!query_order_parse(c->argument, &o))
        return refuse(a, c, "query: it cannot be read; is the fog older than the cloud?");
    if (a->n == ANSWER_WAITING)
        return refuse(a, c, "query: too many wait here; ask again later");
    a->waiting[a->n++] = *c;
    a->counters[ANSWER_QUERIES]++;
    if (a->n == 1)
        start(a);
    return 0;
}

bool answer_wants_round(const struct answer *a)
{
    return a->is_done;
}

/* How many parts; -1: not all of them are there. */
static int count_parts(const struct buf *output, uint64_t *ret_undecoded)
{
    struct reader r = reader_of(span_of(output->data, output->len));

    for (int n = 0; !r.bad; n++) {
        uint32_t len = reader_le32(&r);

        if (len == 0) {
            *ret_undecoded = reader_le64(&r);
            return r.bad || reader_left(&r) > 0 ? -1 : n;
        }
        (void)reader_take(&r, len);
    }
    return -1;
}

static int say_parts(struct answer *a, const struct command *c, uint32_t n, uint64_t undecoded)
{
    struct reader r = reader_of(span_of(a->output.data, a->output.len));
    char text[160];
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t len = reader_le32(&r);

        snprintf(text, sizeof text,
                 "query: part %" PRIu32 " of %" PRIu32 "; %" PRIu64 " blocks left out that do not decode",
                 i + 1, n, undecoded);

        rc = a->o.reply(a->o.ctx, c->counter, true, text, span_of(reader_take(&r, len), len), i, n);
    }
    return rc;
}

static const char *failure(const struct answer *a)
{
    if (a->is_late)
        return "query: it took too long; ask for less time or fewer channels";
    if (a->code == ANSWER_CHILD_TOO_LARGE)
        return "query: the result is too large; ask for wider buckets (--bucket) or fewer groups (--by)";
    return "query: it failed: the memory for it or the store did not do";
}

int answer_round(struct answer *a)
{
    const struct command c = a->waiting[0];
    uint64_t undecoded = 0;
    int n, r;

    if (!a->is_done)
        return 0;
    n = a->code == ANSWER_CHILD_OK ? count_parts(&a->output, &undecoded) : -1;
    if (n > 0)
        r = say_parts(a, &c, (uint32_t)n, undecoded);
    else
        r = a->o.reply(a->o.ctx, c.counter, false, failure(a), span_of(NULL, 0), 0, 0);
    a->counters[n > 0 && r == 0 ? ANSWER_ANSWERED : ANSWER_FAILED]++;
    buf_reset(&a->output);
    a->is_done = false;
    memmove(&a->waiting[0], &a->waiting[1], --a->n * sizeof a->waiting[0]);
    if (a->n > 0)
        start(a);
    return r == ANSWER_NO_ROOM ? 0 : r;
}

int answer_new(struct answer **ret_a, const struct answer_options *options)
{
    struct answer *a = calloc(1, sizeof *a);
    int r;

    if (a == NULL)
        return -ENOMEM;
    a->o = *options;
    a->fd = -1;
    a->output.cap_bytes = OUTPUT_MAX_BYTES + READ_BYTES;
    r = loop_timer_new(a->o.loop, on_deadline, a, &a->deadline);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_a = a;
    return 0;
}

struct answer *answer_free(struct answer *a)
{
    if (a == NULL)
        return NULL;
    (void)end_child(a, true);
    loop_timer_free(a->deadline);
    buf_deinit(&a->output);
    free(a);
    return NULL;
}

const uint64_t *answer_counters(const struct answer *a)
{
    return a->counters;
}
