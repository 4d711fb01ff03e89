/* Windows: what each peer may have under way. Live memory is shared equally; backlog memory goes to a few
 * peers at a time, in turns as long as a lease, by weight. Nothing here writes to disk: a restart begins a
 * round. */
#include "hop/inbox_private.h"

enum {
    FILL_BACKLOG_SHUT = 900, /* thousandths */
    FILL_LIVE_SHUT = 970,
    PACE_MS = 1000,      /* a turnaround is measured so often ... */
    PACE_FADES = 4,      /* ... and of what it rests on a quarter forgotten */
    TURNAROUND_ONE = 16, /* a share of the peer whose windows go round fastest ... */
    TURNAROUND_MAX = 8,  /* ... and how many times as much the slowest is given at most */
};

static bool leased(const struct inbox *ib, const struct peer *q, int64_t now_ms)
{
    return q->has_session && (now_ms < q->lease_until_ms || !inbox_rule(ib, HOP_RULE_LEASE));
}

/* ---- live: an equal share ---- */

/* Half the memory over n peers, within what the leases of others leave: of that only half, so that who comes
 * next finds something. Where shares would be smaller than one record, as many peers as there is room for get
 * one, and the turn moves on with each lease. */
static uint64_t live_share(const struct inbox *ib, const struct peer *p, size_t n, uint64_t others_bytes,
                           int64_t now_ms)
{
    uint64_t half = ib->options.memory_bytes / 2, each = half / n;
    uint64_t slots = half / HOP_WINDOW_MIN_BYTES, left = half > others_bytes ? half - others_bytes : 0;

    if (!inbox_rule(ib, HOP_RULE_WINDOW_MIN))
        return each < left ? each : left;
    if (each > ib->options.window_max_bytes)
        each = ib->options.window_max_bytes;
    if (left / 2 >= HOP_WINDOW_MIN_BYTES)
        left /= 2;
    if (left < HOP_WINDOW_MIN_BYTES)
        return 0;
    if (each >= HOP_WINDOW_MIN_BYTES)
        return each < left ? each : left;
    if (!inbox_rule(ib, HOP_RULE_LEASE))
        return p->index < slots ? HOP_WINDOW_MIN_BYTES : 0;
    return (p->index + (uint64_t)(now_ms / HOP_LEASE_MS) * slots) % n < slots ? HOP_WINDOW_MIN_BYTES : 0;
}

/* ---- backlog: turns by weight ---- */

static unsigned weight_of(const struct inbox *ib, const struct peer *p)
{
    const struct inbox_ops *ops = &ib->options.ops;
    unsigned weight = ops->weight != NULL ? ops->weight(ops->ctx, p->node) : 1;

    return weight > 0 ? weight : 1;
}

/* Little's law over the last seconds: a window that went round n times took a n-th of them. A peer that does
 * not fill its window looks slower than it is; what that gives it is bounded below. */
static void pace(struct peer *p, int64_t now_ms)
{
    uint64_t us, most = p->backlog_bytes * HOP_LEASE_MS;

    if (p->backlog_waiting_bytes > 0)
        p->backlog_window_ms += p->backlog_bytes * (uint64_t)(now_ms - p->paced_ms);
    if (p->backlog_window_ms > most) /* nothing came for long: that is no measure of its round trips */
        p->backlog_window_ms = most;
    p->paced_ms = now_ms;
    if (now_ms - p->pace_from_ms < PACE_MS || p->backlog_taken_bytes == 0)
        return;
    us = p->backlog_window_ms * 1000 / p->backlog_taken_bytes;
    p->turnaround_us = us < 1 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    p->backlog_taken_bytes -= p->backlog_taken_bytes / PACE_FADES;
    p->backlog_window_ms -= p->backlog_window_ms / PACE_FADES;
    p->pace_from_ms = now_ms;
}

static bool in_turn(const struct peer *p, int64_t now_ms)
{
    return now_ms < p->turn_until_ms;
}

/* A State renews a lease: who was not heard lately is given no turn, and keeps none from others. */
static bool heard_lately(const struct peer *q, int64_t now_ms)
{
    return now_ms - q->last_heard_ms < HOP_LEASE_MS;
}

/* Has q a better claim to the next turn than p? Who waits with something; who had fewer turns; who is nearer
 * to its quota. */
static bool before(const struct peer *q, const struct peer *p)
{
    bool q_waits = q->backlog_waiting_bytes > 0, p_waits = p->backlog_waiting_bytes > 0;

    if (q_waits != p_waits)
        return q_waits;
    if (q->round != p->round)
        return q->round < p->round;
    return q->fill > p->fill;
}

static bool has_turn(const struct inbox *ib, const struct peer *q, int64_t now_ms)
{
    return leased(ib, q, now_ms) && (q->backlog_bytes > 0 || in_turn(q, now_ms));
}

/* The rate of a window is its size over its turnaround: for rates as the weights, sizes go by both. */
static uint64_t demand(const struct inbox *ib, const struct peer *p, uint32_t fastest_us)
{
    uint64_t times = TURNAROUND_ONE;

    if (p->backlog_waiting_bytes > 0 && p->turnaround_us > fastest_us)
        times = (uint64_t)p->turnaround_us * TURNAROUND_ONE / fastest_us;
    if (times > TURNAROUND_ONE * TURNAROUND_MAX)
        times = TURNAROUND_ONE * TURNAROUND_MAX;
    return weight_of(ib, p) * times;
}

static uint32_t fastest_us(const struct inbox *ib, const struct peer *p, int64_t now_ms)
{
    uint32_t us = UINT32_MAX;

    for (size_t i = 0; i < ib->n_peers; i++) {
        const struct peer *q = ib->peers[i];

        if (q->turnaround_us > 0 && q->turnaround_us < us && q->backlog_waiting_bytes > 0 &&
            (q == p || has_turn(ib, q, now_ms)))
            us = q->turnaround_us;
    }
    return us;
}

struct turns {
    size_t n_in_turn, n_before; /* others: whose turn it is; who waits with a better claim */
    uint64_t own, sum, most; /* demand: of the peer asked about; of the others in turn; the largest waiting */
};

static struct turns turns_but(const struct inbox *ib, const struct peer *p, int64_t now_ms)
{
    uint32_t fastest = fastest_us(ib, p, now_ms);
    struct turns t = {.own = demand(ib, p, fastest)};

    t.most = t.own;
    for (size_t i = 0; i < ib->n_peers; i++) {
        const struct peer *q = ib->peers[i];

        if (q == p || !leased(ib, q, now_ms))
            continue;
        if (has_turn(ib, q, now_ms)) {
            uint64_t d = demand(ib, q, fastest);

            t.n_in_turn++;
            t.sum += d;
            t.most = q->backlog_waiting_bytes > 0 && d > t.most ? d : t.most;
        } else {
            t.n_before += heard_lately(q, now_ms) && before(q, p);
        }
    }
    return t;
}

static uint64_t slots_of(const struct inbox *ib)
{
    uint64_t slots = ib->options.memory_bytes / 2 / HOP_WINDOW_MIN_BYTES;

    return slots < HOP_BACKLOG_PEERS ? slots : HOP_BACKLOG_PEERS;
}

/* Is it p's turn? Takes one that is free unless others who wait have a better claim to all that are. */
static bool take_turn(struct inbox *ib, struct peer *p, const struct turns *t, int64_t now_ms)
{
    if (in_turn(p, now_ms) || !inbox_rule(ib, HOP_RULE_LEASE))
        return true;
    if (t->n_in_turn + t->n_before >= slots_of(ib))
        return false;
    ib->round = p->round > ib->round ? p->round : ib->round;
    p->round = ib->round + 1;
    p->turn_until_ms = now_ms + HOP_LEASE_MS;
    return true;
}

static uint64_t backlog_share(struct inbox *ib, struct peer *p, uint64_t others_bytes, int64_t now_ms)
{
    uint64_t half = ib->options.memory_bytes / 2, left = half > others_bytes ? half - others_bytes : 0, each;
    uint64_t most = ib->options.window_max_bytes;
    struct turns t = turns_but(ib, p, now_ms);

    if (!take_turn(ib, p, &t, now_ms))
        return 0;
    /* One more than there are stays free for who comes next; whoever is new takes half of what is left until
     * the others have come down with their next States. */
    each = half * t.own / (t.sum + t.own + TURNAROUND_ONE);
    if (!inbox_rule(ib, HOP_RULE_WINDOW_MIN))
        return each < left ? each : left;
    if (p->backlog_bytes == 0 && left / 2 >= HOP_WINDOW_MIN_BYTES)
        left /= 2;
    /* The largest window there may be is that of the largest demand; the others are in proportion. */
    if (p->backlog_waiting_bytes > 0)
        most = most * t.own / t.most;
    if (each > most)
        each = most;
    if (each < HOP_WINDOW_MIN_BYTES)
        each = HOP_WINDOW_MIN_BYTES;
    if (left < HOP_WINDOW_MIN_BYTES)
        return 0;
    return each < left ? each : left;
}

/* ---- both ---- */

static unsigned fill_of(const struct inbox *ib)
{
    return ib->options.ops.fill != NULL ? ib->options.ops.fill(ib->options.ops.ctx) : 0;
}

/* A turn that came free is not left idle until the next poll of who waits for it. Only who was heard lately
 * is told: a State renews a lease, and a dead peer must not hold memory for ever. */
struct peer *inbox_next_turn(const struct inbox *ib, int64_t now_ms, int64_t *ret_next_ms)
{
    struct peer *best = NULL;
    uint64_t taken = 0;
    int64_t free_ms = INT64_MAX;

    *ret_next_ms = INT64_MAX;
    for (size_t i = 0; i < ib->n_peers; i++) {
        struct peer *q = ib->peers[i];

        if (!leased(ib, q, now_ms))
            continue;
        if (has_turn(ib, q, now_ms)) {
            taken++;
            free_ms = q->lease_until_ms < free_ms ? q->lease_until_ms : free_ms;
        } else if (q->backlog_waiting_bytes > 0 && heard_lately(q, now_ms) &&
                   (best == NULL || before(q, best))) {
            best = q;
        }
    }
    if (best == NULL || !inbox_rule(ib, HOP_RULE_LEASE) || fill_of(ib) >= FILL_BACKLOG_SHUT)
        return NULL;
    if (taken < slots_of(ib))
        return best;
    *ret_next_ms = free_ms;
    return NULL;
}

void inbox_grant(struct inbox *ib, struct peer *p, int64_t now_ms, Fogline__V1__Windows *w)
{
    unsigned fill = fill_of(ib);
    uint64_t live_bytes = 0, backlog_bytes = 0, urgent;
    size_t n = 1;

    for (size_t i = 0; i < ib->n_peers; i++) {
        const struct peer *q = ib->peers[i];

        if (q == p || !leased(ib, q, now_ms))
            continue;
        n++;
        live_bytes += q->live_bytes;
        backlog_bytes += q->backlog_bytes;
    }
    urgent = ib->options.memory_bytes / n;
    pace(p, now_ms);
    fogline__v1__windows__init(w);
    w->urgent_bytes =
        inbox_rule(ib, HOP_RULE_WINDOW_MIN) || urgent > HOP_WINDOW_MIN_BYTES ? HOP_WINDOW_MIN_BYTES : urgent;
    w->live_bytes = fill >= FILL_LIVE_SHUT ? 0 : live_share(ib, p, n, live_bytes, now_ms);
    w->backlog_bytes = fill >= FILL_BACKLOG_SHUT ? 0 : backlog_share(ib, p, backlog_bytes, now_ms);
    w->lease_ms = HOP_LEASE_MS;
    w->stamp = p->stamp;
    p->live_bytes = w->live_bytes;
    p->backlog_bytes = w->backlog_bytes;
    /* Windows shrink only on paper: what the old lease allowed may still be on its way. */
    p->granted_bytes = w->urgent_bytes + 2 * ib->options.window_max_bytes;
    p->lease_until_ms = now_ms + HOP_LEASE_MS + HOP_LEASE_MARGIN_MS;
}
