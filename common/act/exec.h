/* exec.h - programs that rules run, on a thread of their own.
 *
 * A request is put into a fixed queue and its thread woken: nothing is waited for. One program at a time for
 * each rule, EXEC_WAITING more of it wait, the rest is refused and counted; one that runs beyond its time is
 * killed with its process group. Output goes where the daemon's goes. Threads: exec_new and exec_free on the
 * main thread, exec_request on one other; counters are atomic. exec_free kills what still runs. */
#ifndef FOGLINE_ACT_EXEC_H
#define FOGLINE_ACT_EXEC_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXEC_SLOTS_MAX = 64, /* rules times actions that run something */
    EXEC_ARGS_MAX = 32,
    EXEC_QUEUE = 64,
    EXEC_WAITING = 4,
    EXEC_TEXT_BYTES = 160,
};

/* One for each action that runs a program; borrowed for the life of the exec. */
struct exec_slot {
    char *const *argv;
    size_t n_args; /* 1 .. EXEC_ARGS_MAX */
    const char *rule;
    int64_t timeout_ms;
    unsigned serial; /* slots with the same number run one at a time: the rule's */
};

struct exec_request {
    unsigned slot;
    bool raised;
    char value[40], channel[EXEC_TEXT_BYTES];
};

struct exec_counters {
    _Atomic uint64_t started, failed, killed, refused;
};

struct exec;
must_check int exec_new(struct exec **ret_e, const struct exec_slot *slots, unsigned n_slots);
struct exec *exec_free(struct exec *e); /* accepts NULL */
/* false: refused, and counted. */
bool exec_request(struct exec *e, const struct exec_request *r);
const struct exec_counters *exec_counters(const struct exec *e);

#endif
