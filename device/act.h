/* act.h - the act thread: reads live sources on time, replays the others as fast as there is room.
 *
 * Live sources run on ticks of the monotonic clock that are multiples of their interval, so that readings of
 * several sources fall together and a late round does not shift the next; ticks that went by are counted, not
 * caught up. In each round live sources come first; a replayed one gets one bounded step. A source that fails
 * is reported once and tried again. The thread makes no disk or network access and allocates nothing after
 * act_new. Threads: act_new, act_free, act_start and act_stop on the main thread; act_round on the act thread
 * or, in tests that never start it, anywhere. */
#ifndef FOGLINE_DEVICE_ACT_H
#define FOGLINE_DEVICE_ACT_H

#include "base/clock.h"
#include "base/histogram.h"
#include "device/feed.h"

enum { ACT_RETRY_MS = 5000, ACT_ROOM_WAIT_MS = 100 };

/* An opened source. Taken: act_free closes it. */
struct act_source {
    const struct source_kind *kind;
    void *self;
    const char *name;               /* borrowed */
    const struct source_sink *sink; /* what it writes into; borrowed; NULL: the feed as it is */
};

struct act;

/* Called at the end of each round of steps, before the consumer of the ring is woken. */
struct act_hook {
    void *ctx;                                        /* borrowed for the life of the act */
    int64_t (*round)(void *ctx, int64_t now_mono_ns); /* when to be called again at the latest */
};
enum { ACT_HOOKS_MAX = 4 };

struct act_options {
    const struct clock *clock; /* copied */
    struct feed *feed;         /* borrowed */
    struct ring *replay;       /* borrowed: what replayable sources wait for; NULL: there are none */
    const struct act_source *sources;
    unsigned n_sources;
    const struct act_hook *hooks; /* copied; may be NULL */
    unsigned n_hooks;             /* at most ACT_HOOKS_MAX */
};

must_check int act_new(struct act **ret_a, const struct act_options *options);
struct act *act_free(struct act *a); /* accepts NULL; stops the thread and closes the sources */

/* Runs what is due by the clock. *ret_next_ns: monotonic time of the next round; INT64_MAX: none. */
void act_round(struct act *a, int64_t *ret_next_ns);
/* As if the descriptor of source no were readable. */
void act_readable(struct act *a, unsigned no);
bool act_all_ended(const struct act *a);
/* How late ticks of live sources were read, in us. By any thread; clearing it is the act thread's, so it
 * holds all since the start. */
const struct histogram *act_lateness_us(const struct act *a);

must_check int act_start(struct act *a); /* the clock must be clock_real: the thread sleeps by it */
void act_stop(struct act *a);            /* waits for the end of the round under way */

#endif
