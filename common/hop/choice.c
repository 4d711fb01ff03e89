#include "hop/choice.h"

#include "hop/hop.h"

enum {
    LOOK_MS = 500,       /* how often what is seen is looked at */
    PROBE_MS = 30000,    /* an upstream not reached for so long makes way for the next to look at */
    DOUBLINGS_MAX = 6,   /* of patience with a slow one, of the wait before one that failed is gone back to */
    CALM_FAILOVERS = 20, /* times failover_ms without a stall: patience begins anew */
};
#define NEVER INT64_MIN

void choice_init(struct choice *c, unsigned n, int64_t failover_ms, int64_t return_ms, int64_t now_ms)
{
    *c = (struct choice){.n = n,
                         .failover_ms = failover_ms,
                         .return_ms = return_ms,
                         .probe = CHOICE_NO_PROBE,
                         .lost_since_ms = now_ms,
                         .moved_ms = now_ms,
                         .reached_since_ms = NEVER};
}

/* A link that is only slow answers within what it needed before; each time it was left for nothing the
 * patience doubles, or two slow ones would be tried in turn for ever and nothing get through. */
static int64_t patience_ms(const struct choice *c, const struct choice_seen *seen)
{
    int64_t ms = c->failover_ms > HOP_RTO_MIN_MS ? c->failover_ms : HOP_RTO_MIN_MS;

    if (seen->slowest_ms > ms)
        ms = seen->slowest_ms;
    return 2 * ms << c->stalls;
}

static bool move(struct choice *c, unsigned to, int64_t now_ms)
{
    c->at = to;
    c->probe = CHOICE_NO_PROBE;
    c->reached_since_ms = NEVER;
    c->lost_since_ms = c->moved_ms = now_ms;
    return true;
}

static bool leave(struct choice *c, bool stalled, int64_t now_ms)
{
    if (stalled && c->stalls < DOUBLINGS_MAX)
        c->stalls++;
    if (c->returned && c->returns_failed < DOUBLINGS_MAX)
        c->returns_failed++;
    c->returned = false;
    return move(c, (c->at + 1) % c->n, now_ms);
}

static void look_at(struct choice *c, int which, int64_t now_ms)
{
    c->probe = which;
    c->probe_try++;
    c->probe_since_ms = now_ms;
    c->reached_since_ms = NEVER;
}

/* One step towards an upstream before this one. */
static bool go_back(struct choice *c, const struct choice_seen *seen, int64_t now_ms)
{
    if (c->probe == CHOICE_NO_PROBE) {
        look_at(c, 0, now_ms);
        return false;
    }
    if (!seen->probe_reached) {
        c->reached_since_ms = NEVER;
        if (now_ms - c->probe_since_ms >= PROBE_MS)
            look_at(c, (c->probe + 1) % (int)c->at, now_ms);
        return false;
    }
    c->probe_since_ms = now_ms;
    if (c->reached_since_ms == NEVER)
        c->reached_since_ms = now_ms;
    if (now_ms - c->reached_since_ms < c->return_ms << c->returns_failed)
        return false;
    c->returned = true;
    return move(c, (unsigned)c->probe, now_ms);
}

bool choice_step(struct choice *c, const struct choice_seen *seen, int64_t now_ms)
{
    bool stalled = seen->open && seen->unanswered_ms > 0 && seen->unanswered_ms >= patience_ms(c, seen);

    if (c->n < 2)
        return false;
    if (seen->open)
        c->lost_since_ms = now_ms;
    if (stalled || now_ms - c->lost_since_ms >= c->failover_ms)
        return leave(c, stalled, now_ms);
    if (!seen->open)
        return false;
    if (now_ms - c->moved_ms >= CALM_FAILOVERS * c->failover_ms) {
        c->stalls = 0;
        if (c->returned)
            c->returns_failed = 0;
        c->returned = false;
    }
    return c->return_ms > 0 && c->at > 0 && go_back(c, seen, now_ms);
}

int64_t choice_next_ms(const struct choice *c, const struct choice_seen *seen, int64_t now_ms)
{
    bool waits = c->n > 1 && (!seen->open || seen->unanswered_ms > 0 || (c->at > 0 && c->return_ms > 0));

    return waits ? now_ms + LOOK_MS : INT64_MAX;
}
