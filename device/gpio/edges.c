#include "device/gpio/edges.h"

#include "base/clock.h"

#include <math.h>

void edges_init(struct edges *e, int64_t debounce_ns, enum edges_counted counted)
{
    *e = (struct edges){.debounce_ns = debounce_ns, .counted = counted, .width_s = NAN};
}

void edges_start(struct edges *e, bool active, int64_t now_ns)
{
    e->level = e->raw = active;
    e->bouncing = e->unseen = e->in_pulse = e->has_base = false;
    e->forgives = true;
    e->known_ns = e->last_ns = e->window_ns = e->window_before_ns = now_ns;
    e->rate_before = 0;
}

static void count_one(struct edges *e, int64_t at_ns)
{
    e->count++;
    if (!e->has_base) {
        e->has_base = true;
        e->base_is_older = false;
        e->base_count = e->count;
        e->base_ns = at_ns;
    } else if (e->count == e->base_count + 1) {
        e->counted_first_ns = at_ns;
    }
    e->counted_last_ns = at_ns;
}

static void accept(struct edges *e, int64_t at_ns, struct edges_accepted *ret_edge)
{
    e->level = e->raw;
    *ret_edge = (struct edges_accepted){at_ns, e->level};
    if (!e->level && e->in_pulse)
        e->width_s = (double)(at_ns - e->pulse_ns) / (double)NS_PER_S;
    e->in_pulse = e->level && !e->unseen;
    e->pulse_ns = at_ns;
    if (e->counted == EDGES_BOTH || (e->counted == EDGES_ACTIVE) == e->level)
        count_one(e, at_ns);
}

/* The level changed, or may have, at at_ns. */
static bool change(struct edges *e, bool active, int64_t at_ns, struct edges_accepted *ret_edge)
{
    e->raw = active;
    e->last_ns = at_ns;
    if (e->debounce_ns == 0) {
        if (e->raw == e->level)
            return false;
        accept(e, at_ns, ret_edge);
        return true;
    }
    if (!e->bouncing)
        e->first_ns = at_ns;
    e->bouncing = true;
    return false;
}

bool edges_advance(struct edges *e, int64_t now_ns, struct edges_accepted *ret_edge)
{
    bool counted;

    if (!e->bouncing || now_ns - e->last_ns < e->debounce_ns)
        return false;
    e->bouncing = false;
    counted = e->raw != e->level;
    if (counted)
        accept(e, e->first_ns, ret_edge);
    e->unseen = false;
    return counted;
}

bool edges_take(struct edges *e, const struct gpio_edge *edge, struct edges_accepted *ret_edge)
{
    int64_t at_ns = edge->mono_ns > e->last_ns ? edge->mono_ns : e->last_ns;
    bool forgiven = e->forgives && edge->active == e->raw, counted;

    if (edge->mono_ns <= e->known_ns)
        return false;
    e->forgives = false;
    if (forgiven)
        return false;
    counted = edges_advance(e, at_ns, ret_edge);
    if (edge->active == e->raw) {
        e->repeats++;
        e->in_pulse &= e->debounce_ns > 0;
    }
    return change(e, edge->active, at_ns, ret_edge) || counted;
}

bool edges_lost(struct edges *e, bool active, int64_t now_ns, struct edges_accepted *ret_edge)
{
    bool counted;

    if (now_ns < e->last_ns)
        now_ns = e->last_ns;
    e->known_ns = now_ns;
    e->forgives = e->unseen = true;
    e->in_pulse = false;
    counted = change(e, active, now_ns, ret_edge);
    e->unseen = e->bouncing;
    return counted;
}

void edges_gap(struct edges *e)
{
    e->in_pulse = false;
    e->forgives = true;
}

int64_t edges_due_ns(const struct edges *e)
{
    return e->bouncing ? e->last_ns + e->debounce_ns : INT64_MAX;
}

double edges_rate(const struct edges *e, int64_t now_ns)
{
    int64_t n = e->count - e->base_count, over_ns;
    double most;

    if (!e->has_base)
        return 0;
    if (n == 0) {
        most = now_ns > e->base_ns ? (double)NS_PER_S / (double)(now_ns - e->base_ns) : INFINITY;
        return e->rate_before < most ? e->rate_before : most;
    }
    over_ns = e->counted_last_ns - e->base_ns;
    /* A long rest is not averaged with what goes on now. */
    if (n >= 2 && e->base_is_older && e->base_ns < e->window_before_ns) {
        n--;
        over_ns = e->counted_last_ns - e->counted_first_ns;
    }
    return over_ns > 0 ? (double)n * (double)NS_PER_S / (double)over_ns : e->rate_before;
}

void edges_window(struct edges *e, int64_t now_ns)
{
    e->rate_before = edges_rate(e, now_ns);
    if (e->has_base && e->count > e->base_count) {
        e->base_count = e->count;
        e->base_ns = e->counted_last_ns;
    }
    e->base_is_older = true;
    e->window_before_ns = e->window_ns;
    e->window_ns = now_ns;
}
