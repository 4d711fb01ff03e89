/* feed_held.c - events: into their ring, or held while that has no room. One ring that is full holds back its
 * own alone. */
#include "device/feed_private.h"

#include <string.h>

bool feed_hold(struct feed *f, unsigned source, const struct feed_event *e)
{
    if (f->n_held == FEED_HELD_MAX)
        return false;
    f->held[f->n_held++] = (struct feed_held){source, *e};
    return true;
}

static void remove_at(struct feed *f, unsigned i)
{
    f->n_held--;
    memmove(&f->held[i], &f->held[i + 1], (f->n_held - i) * sizeof *f->held);
}

bool feed_tell_held(struct feed *f, unsigned source)
{
    unsigned i = 0;

    while (i < f->n_held) {
        if (!feed_shares_ring(f, f->held[i].source, source)) {
            i++;
            continue;
        }
        if (!feed_put_event(f, f->held[i].source, &f->held[i].event))
            return false;
        remove_at(f, i);
    }
    return true;
}

bool feed_take_held(struct feed *f, unsigned *ret_source, struct feed_event *ret_e)
{
    if (f->n_held == 0)
        return false;
    *ret_source = f->held[0].source;
    *ret_e = f->held[0].event;
    remove_at(f, 0);
    return true;
}

bool feed_try_event(struct feed *f, unsigned source, const struct feed_event *e)
{
    return feed_tell_held(f, source) && feed_put_event(f, source, e);
}

bool feed_event(struct feed *f, unsigned source, const struct feed_event *e)
{
    if (feed_try_event(f, source, e) || feed_hold(f, source, e))
        return true;
    atomic_fetch_add_explicit(&f->counters.events_dropped, 1, memory_order_relaxed);
    return false;
}
