/* process.h - a program that a test needs beside it: a broker, a server. It dies with the test.
 *
 *     struct process p;
 *     process_start(&p, (char *[]){"mosquitto", "-c", "b.conf", NULL}, "running");  waits for that word
 *     process_kill(&p, SIGKILL);  waits for its end
 *
 * What it says after the word is not read: it must not say more than a pipe holds.
 */
#ifndef FOGLINE_TESTS_PROCESS_H
#define FOGLINE_TESTS_PROCESS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESS_DEADLINE_MS = 20000 };

struct process {
    pid_t pid;
    int fd;          /* what it says on stdout and stderr */
    char said[8192]; /* up to and with the word */
};

/* false: it ended or did not say the word in time; what it said is in `said`. */
static inline bool process_start(struct process *p, char *const *argv, const char *word)
{
    size_t len = 0;
    int out[2];

    memset(p, 0, sizeof *p);
    if (pipe(out) != 0)
        return false;
    p->fd = out[0];
    p->pid = fork();
    if (p->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(out[0]);
        close(out[1]);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    while (strstr(p->said, word) == NULL) {
        struct pollfd at = {p->fd, POLLIN, 0};
        ssize_t n =
            poll(&at, 1, PROCESS_DEADLINE_MS) == 1 ? read(p->fd, p->said + len, sizeof p->said - 1 - len) : 0;

        if (n <= 0)
            return false;
        len += (size_t)n;
        p->said[len] = '\0';
    }
    return true;
}

/* Its status as of waitpid(). */
static inline int process_kill(struct process *p, int sig)
{
    int status = 0;

    if (p->pid > 0) {
        kill(p->pid, sig);
        waitpid(p->pid, &status, 0);
        close(p->fd);
    }
    p->pid = 0;
    return status;
}

/* Runs it to its end; true: exit code 0. */
static inline bool process_run(char *const *argv)
{
    struct process p;
    int status = 0;
    bool ok;

    ok = !process_start(&p, argv, "\1"); /* never said: until it closes its output */
    waitpid(p.pid, &status, 0);
    close(p.fd);
    if (status != 0)
        fprintf(stderr, "%s: %s\n", argv[0], p.said);
    return ok && status == 0;
}

#endif
