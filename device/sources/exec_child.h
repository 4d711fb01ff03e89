/* exec_child.h - keeps one program running: starts it, logs its stderr, starts it again when it ends, kills
 * it.
 *
 * A thread of its own does all that may wait: the act thread never starts a process. The program has its own
 * process group, its stdin is /dev/null, its stdout a pipe that lives as long as the keeper; nothing else of
 * ours is open in it, NOTIFY_SOCKET is not in its environment, and no signal is blocked or ignored. It runs
 * five nice levels behind us, as a batch: what it does by waking never takes a processor from us. Behind
 * the last byte of a program that ended stands the line "\0" in the pipe. When our process dies, the kernel
 * kills the program (PR_SET_PDEATHSIG). stderr: STDERR_LINES a minute go to the log, cut at
 * STDERR_LINE_BYTES; the rest is counted there. Threads: new and free on the main thread; the rest on the act
 * thread. */
#ifndef FOGLINE_DEVICE_EXEC_CHILD_H
#define FOGLINE_DEVICE_EXEC_CHILD_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct exec_child;

enum { EXEC_STDERR_LINES = 20, EXEC_STDERR_LINE_BYTES = 200, EXEC_GRACE_MS = 500, EXEC_LIVED_MS = 10000 };

struct exec_child_options {
    const char *name;                   /* of the source, for the log; borrowed */
    char *const *argv;                  /* NULL-terminated; borrowed for the life of the keeper */
    int64_t restart_ms, restart_max_ms; /* backoff; begins anew after a life of EXEC_LIVED_MS */
};

must_check int exec_child_new(struct exec_child **ret_c, const struct exec_child_options *o);
/* SIGTERM to the group, EXEC_GRACE_MS later SIGKILL; waits for the end. Accepts NULL. */
struct exec_child *exec_child_free(struct exec_child *c);

int exec_child_fd(const struct exec_child *c); /* its stdout; does not block; borrowed */

/* How often it has ended so far, and how it ended last. */
struct exec_end {
    uint32_t n;
    int error;        /* errno of a start that failed; 0: it ran */
    int status;       /* as waitpid() */
    int64_t again_ms; /* until the next start */
};
void exec_child_end(struct exec_child *c, struct exec_end *ret_e);
/* The longest that starting it took, in the keeper's thread, in us. */
int64_t exec_child_start_us(const struct exec_child *c);

#endif
