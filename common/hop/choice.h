/* choice.h - which of several nodes above a lower side talks to: leaves one that makes no progress, goes back
 * to one it prefers.
 *
 * Pure: what is seen comes in with the monotonic time in ms, a decision comes out. The list is in order of
 * preference. The host opens the link to `at` anew, with a new session, when a step says so, and keeps a
 * second link to `probe`, over which nothing is said, to see whether that one can be reached. What leaves an
 * upstream is only time: nothing of it survives a crash. Threads: the caller's. */
#ifndef FOGLINE_HOP_CHOICE_H
#define FOGLINE_HOP_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

enum { CHOICE_NO_PROBE = -1 };

struct choice {
    unsigned n, at;
    int64_t failover_ms; /* an upstream without an open session is left after so long */
    int64_t return_ms;   /* one before it is gone back to once it could be reached for so long; 0: never */
    int probe;           /* which one to look at, or CHOICE_NO_PROBE */
    unsigned probe_try;  /* changes when the link for that has to be made anew */

    int64_t lost_since_ms, moved_ms, probe_since_ms, reached_since_ms;
    unsigned stalls, returns_failed;
    bool returned;
};

struct choice_seen {
    bool open;             /* a session stands */
    int64_t unanswered_ms; /* since when Data is under way and nothing was heard; 0: nothing is */
    int64_t slowest_ms;    /* the longest such wait that ended with an answer */
    bool probe_reached;    /* the link to `probe` stands */
};

void choice_init(struct choice *c, unsigned n, int64_t failover_ms, int64_t return_ms, int64_t now_ms);
/* True: c->at is another one now. */
bool choice_step(struct choice *c, const struct choice_seen *seen, int64_t now_ms);
/* When to step again at the latest while nothing else happens. INT64_MAX: no need. */
int64_t choice_next_ms(const struct choice *c, const struct choice_seen *seen, int64_t now_ms);

#endif
