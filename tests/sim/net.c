/* The queue of events, and the network between them. */
#include "world.h"

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void world_push(struct world *w, struct event *e)
{
    size_t i = w->n_heap;

    if (w->n_heap == w->alloc_heap) {
        w->alloc_heap = w->alloc_heap > 0 ? 2 * w->alloc_heap : 256;
        w->heap = realloc(w->heap, w->alloc_heap * sizeof *w->heap);
        if (w->heap == NULL)
            abort();
    }
    e->order = w->order++;
    w->n_heap++;
    for (; i > 0 && before(e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = *e;
}

bool world_pop(struct world *w, struct event *ret_e)
{
    struct event last;
    size_t i = 0;

    if (w->n_heap == 0)
        return false;
    *ret_e = w->heap[0];
    last = w->heap[--w->n_heap];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= w->n_heap)
            break;
        if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    if (w->n_heap > 0)
        w->heap[i] = last;
    return true;
}

static int64_t travel_ms(struct world *w, const struct node *lower)
{
    const struct plan *p = &w->plan;
    int64_t ms;

    if (lower->travel_ms > 0)
        return lower->travel_ms;
    ms = 1 + (int64_t)rng_below(&w->rng, (uint64_t)p->delay_ms);

    if (!w->quiet && chance(w, p->late))
        ms += (int64_t)rng_below(&w->rng, (uint64_t)p->late_ms);
    return ms;
}

static void deliver(struct world *w, enum event_kind kind, unsigned from, unsigned to, uint64_t token,
                    struct span bytes)
{
    const struct plan *p = &w->plan;
    const struct node *lower = &w->node[kind == EVENT_UP ? from : to];
    int copies = 1;

    w->result->messages++;
    if (w->result->messages > w->plan.events_max) { /* within one event: no return from it */
        char replay[200];

        fprintf(stderr, "%s sends without end\n  replay: %s\n", w->node[from].name,
                sim_replay(replay, sizeof replay, w->options));
        abort();
    }
    w->quiet_messages += w->quiet;
    if (!w->quiet && chance(w, p->loss))
        copies = 0;
    else if (!w->quiet && chance(w, p->doubled))
        copies = 2;
    for (; copies > 0; copies--) {
        struct event e = {.kind = kind, .node = to, .from = from, .token = token};

        e.at_ms = w->now_ms + travel_ms(w, lower);
        if (!w->quiet && lower->cut_off_until_ms > w->now_ms) {
            if (chance(w, 0.5))
                continue;
            e.at_ms = lower->cut_off_until_ms + travel_ms(w, lower);
        }
        buf_append(&e.bytes, bytes.data, bytes.len);
        world_push(w, &e);
    }
}

void net_up(struct node *from, struct span bytes)
{
    deliver(from->w, EVENT_UP, from->no, from->upstream, from->link, bytes);
}

void net_down(struct node *from, struct node *to, struct span bytes)
{
    if (to->upstream != from->no || !to->up)
        return; /* published, and nobody has subscribed */
    deliver(from->w, EVENT_DOWN, from->no, to->no, to->link, bytes);
}

/* What a sender's queue held while the receiver was away comes to its next life. */
void net_again(struct world *w, struct event *e)
{
    if (w->quiet || !chance(w, w->plan.to_next_life)) {
        buf_deinit(&e->bytes);
        return;
    }
    e->at_ms = w->now_ms + 1000 + (int64_t)rng_below(&w->rng, 5000);
    world_push(w, e);
}
