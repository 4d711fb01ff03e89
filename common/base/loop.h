/* loop.h - one thread, one loop over file descriptors, ZeroMQ sockets, timers and signals.
 *
 * Built on zmq_poll. ZeroMQ sockets are level-triggered here (their ZMQ_FD is edge-triggered: never poll it
 * yourself). Handlers are named on_<event>; they may add and remove watches, their own too, and must not
 * block for more than a fsync. Timers are absolute monotonic milliseconds; one-shot; set again from the
 * handler. Threads: one owner thread. The stop flag may be set from a signal handler. */
#ifndef FOGLINE_BASE_LOOP_H
#define FOGLINE_BASE_LOOP_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_watch;
struct loop_timer;

typedef void (*loop_fn)(void *ctx);

must_check int loop_new(struct loop **ret_l, const struct clock *clock); /* copies clock */
struct loop *loop_free(struct loop *l); /* accepts NULL; frees watches and timers */

/* ctx is borrowed for the life of the watch. Gives a watch owned by the loop; remove with loop_unwatch. */
must_check int loop_watch_fd(struct loop *l, int fd, loop_fn on_readable, void *ctx,
                             struct loop_watch **ret_w);
must_check int loop_watch_zmq(struct loop *l, void *socket, loop_fn on_readable, void *ctx,
                              struct loop_watch **ret_w);
/* Ask for writability too (ZMQ_POLLOUT); on_writable NULL switches it off. */
void loop_watch_writable(struct loop_watch *w, loop_fn on_writable);
void loop_unwatch(struct loop_watch *w); /* accepts NULL */

must_check int loop_timer_new(struct loop *l, loop_fn on_time, void *ctx, struct loop_timer **ret_t);
void loop_timer_set(struct loop_timer *t, int64_t at_mono_ms); /* INT64_MAX: off */
void loop_timer_free(struct loop_timer *t);                    /* accepts NULL */

/* SIGTERM and SIGINT stop the loop, SIGHUP calls on_hup (may be NULL), by signalfd: blocks them for the whole
 * process, so call it before any thread is made. */
must_check int loop_signals(struct loop *l, loop_fn on_hup, void *ctx);

/* Waits for at most one round of events and runs their handlers; timeout_ms -1 for ever. 0 or negative errno.
 */
must_check int loop_step(struct loop *l, int timeout_ms);
/* Steps until loop_stop or a signal. Calls on_round (may be NULL) after each round: the place of group
 * commit. */
must_check int loop_run(struct loop *l, loop_fn on_round, void *ctx);
void loop_stop(struct loop *l);
bool loop_stopping(const struct loop *l);
int64_t loop_now_ms(const struct loop *l); /* monotonic, read fresh */

#endif
