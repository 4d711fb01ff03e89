/* Windows: what each peer may have under way. Live memory is shared equally; backlog memory goes to a few
 * peers at a time, in turns as long as a lease, by weight. Nothing here writes to disk: a restart begins a
 * round. */
#include "hop/inbox_private.h"

enum { FILL_BACKLOG_SHUT = 900, FILL_LIVE_SHUT = 970 }; /* thousandths */

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

struct turns {
    size_t n_in_turn, n_before; /* others: whose turn it is; who waits with a better claim */
    uint64_t weight;            /* of those whose turn it is */
};

static struct turns turns_but(const struct inbox *ib, const struct peer *p, int64_t now_ms)
{
    struct turns t = {0};

    for (size_t i = 0; i < ib->n_peers; i++) {
        const struct peer *q = ib->peers[i];

        if (q == p || !leased(ib, q, now_ms))
            continue;
        if (q->backlog_bytes > 0 || in_turn(q, now_ms)) {
            t.n_in_turn++;
            t.weight += weight_of(ib, q);
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
    struct turns t = turns_but(ib, p, now_ms);
    unsigned weight = weight_of(ib, p);

    if (!take_turn(ib, p, &t, now_ms))
        return 0;
    /* One more than there are stays free for who comes next; whoever is new takes half of what is left until
     * the others have come down with their next States. */
    each = half * weight / (t.weight + weight + 1);
    if (!inbox_rule(ib, HOP_RULE_WINDOW_MIN))
        return each < left ? each : left;
    if (p->backlog_bytes == 0 && left / 2 >= HOP_WINDOW_MIN_BYTES)
        left /= 2;
    if (each > ib->options.window_max_bytes)
        each = ib->options.window_max_bytes;
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
        if (q->backlog_bytes > 0 || in_turn(q, now_ms)) {
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
