/* Records that the upper side asked for: their own class, after all others. */
#include "hop/outbox_private.h"

/* The backlog's window serves both, so that no more is under way than was granted. Of it the asked for takes
 * half, so that a backlog that begins meanwhile finds room; but at least one record. */
uint64_t outbox_room(const struct outbox *ob, enum outbox_class class, const uint64_t more[CLASS_COUNT])
{
    bool shared = class == CLASS_BACKLOG || class == CLASS_DRILL;
    uint64_t bytes = ob->window[shared ? CLASS_BACKLOG : class].bytes;
    uint64_t used = ob->window[class].in_flight + more[class], left;

    if (class == CLASS_DRILL && ob->drill_phase != DRILL_GO)
        return 0;
    left = used < bytes ? bytes - used : 0;
    if (class == CLASS_DRILL) {
        uint64_t half = bytes / 2 > HOP_WINDOW_MIN_BYTES ? bytes / 2 : HOP_WINDOW_MIN_BYTES;

        left = used >= half ? 0 : left < half - used ? left : half - used;
    }
    if (shared) {
        enum outbox_class other = class == CLASS_DRILL ? CLASS_BACKLOG : CLASS_DRILL;
        uint64_t taken = used + ob->window[other].in_flight + more[other];

        left = taken >= bytes ? 0 : left < bytes - taken ? left : bytes - taken;
    }
    return left;
}

struct interval_set *outbox_unsent_of(struct lane_out *lo, enum outbox_class class)
{
    return class == CLASS_DRILL ? &lo->drill_unsent : &lo->unsent;
}

int outbox_unsent_remove(struct lane_out *lo, uint64_t from, uint64_t to)
{
    int rc = interval_set_remove(&lo->unsent, from, to);

    return rc == 0 ? interval_set_remove(&lo->drill_unsent, from, to) : rc;
}

int outbox_drill_split(struct stream_out *so, unsigned lane)
{
    struct lane_out *lo = &so->lane[lane];
    int rc;

    interval_set_clear(&lo->drill_unsent);
    if (lo->drill.n == 0)
        return 0;
    rc = interval_set_intersect(&lo->drill, &so->stream->lane[lane].held);
    if (rc == 0)
        rc = interval_set_copy(&lo->drill_unsent, &lo->unsent);
    if (rc == 0)
        rc = interval_set_intersect(&lo->drill_unsent, &lo->drill);
    return rc == 0 ? interval_set_subtract(&lo->unsent, &lo->drill) : rc;
}

int outbox_drill(struct outbox *ob, struct spool_stream *s, unsigned lane, struct interval run)
{
    struct stream_out *so;
    int rc = outbox_stream_out(ob, s, &so);

    if (rc == 0)
        rc = interval_set_add(&so->lane[lane].drill, run.from, run.to);
    if (rc == 0)
        rc = outbox_refill_unsent(so, lane);
    if (rc != 0)
        return rc;
    ob->drill_phase = DRILL_ASK;
    if (ob->phase == OUTBOX_OPEN)
        ob->poll_at_ms = INT64_MIN; /* with the next tick */
    return 0;
}

void outbox_drill_hello_sent(struct outbox *ob)
{
    if (ob->drill_phase == DRILL_ASK)
        ob->drill_phase = DRILL_ASKED;
}

void outbox_drill_answered(struct outbox *ob)
{
    if (ob->drill_phase == DRILL_ASKED)
        ob->drill_phase = DRILL_GO;
}

void outbox_drill_ask_again(struct outbox *ob)
{
    if (ob->drill_phase != DRILL_NONE)
        ob->drill_phase = DRILL_ASK;
}
