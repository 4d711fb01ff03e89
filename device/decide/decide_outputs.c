#include "device/decide/decide_private.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

/* What one action says of its output. */
struct say {
    bool level;
    int rank; /* the highest counts; 0: it says nothing */
};

enum { RANK_STALE = 1000, RANKS_A_SEVERITY = 4 };

static void sooner(struct decide *d, int64_t at_ns)
{
    if (at_ns < d->outputs_next_ns)
        d->outputs_next_ns = at_ns;
}

static bool is_stale(struct decide *d, struct instance *in, const struct output_config *o, int64_t now_ns)
{
    int64_t at_ns;

    if (o->stale_ms == 0 || d->sources[in->source].replayable || !in->state.has_begun)
        return false;
    at_ns = decide_later(in->state.good_ns, o->stale_ms);
    if (now_ns < at_ns) {
        sooner(d, at_ns);
        return false;
    }
    in->is_stale = true;
    return true;
}

static struct say blink(struct decide *d, const struct instance *in, const struct action_config *a,
                        int64_t now_ns)
{
    int64_t period_ns = (a->on_ms + a->off_ms) * NS_PER_MS, on_ns = a->on_ms * NS_PER_MS;
    int64_t phase_ns = now_ns > in->turned_mono_ns ? (now_ns - in->turned_mono_ns) % period_ns : 0;
    bool level = phase_ns < on_ns;

    sooner(d, now_ns + (level ? on_ns : period_ns) - phase_ns);
    return (struct say){level, 2};
}

static struct say pulse(struct decide *d, const struct instance *in, const struct action_config *a,
                        int64_t now_ns)
{
    int64_t until_ns = decide_later(in->turned_mono_ns, a->ms);

    if (!in->pulses || now_ns >= until_ns)
        return (struct say){false, 0};
    sooner(d, until_ns);
    return (struct say){true, 1};
}

static struct say say_of(struct decide *d, struct instance *in, const struct action *a, int64_t now_ns)
{
    const struct output_config *o = d->outputs[a->output].config;
    int severity = d->rules[in->rule].config->severity;
    struct say s = {false, 0};

    if (o->on_stale != LEVEL_KEEP && is_stale(d, in, o, now_ns))
        return (struct say){true, o->on_stale == LEVEL_ACTIVE ? RANK_STALE : 0};
    if (a->kind == ACTION_SET && in->state.raised)
        s = (struct say){true, 3};
    else if (a->kind == ACTION_BLINK && in->state.raised)
        s = blink(d, in, a->config, now_ns);
    else if (a->kind == ACTION_PULSE)
        s = pulse(d, in, a->config, now_ns);
    if (s.rank > 0)
        s.rank += severity * RANKS_A_SEVERITY;
    return s;
}

static bool level_of(struct decide *d, unsigned output, int64_t now_ns)
{
    struct say best = {false, 0};
    bool has_heard = false;

    for (unsigned i = 0; i < d->n_instances; i++) {
        struct instance *in = &d->instances[i];
        const struct decide_rule *r = &d->rules[in->rule];

        for (unsigned k = 0; k < r->n_actions; k++) {
            struct say s;

            if (r->actions[k].kind == ACTION_EXEC || r->actions[k].output != output)
                continue;
            has_heard |= in->has_heard || in->state.raised || in->is_stale;
            s = say_of(d, in, &r->actions[k], now_ns);
            /* Of two that count alike, the active one. */
            if (s.rank > best.rank || (s.rank == best.rank && s.level))
                best = s;
        }
    }
    if (best.rank > 0)
        return best.level;
    return !has_heard && d->outputs[output].config->on_start == LEVEL_ACTIVE;
}

static void tell_failure(struct decide *d, const struct switched *s, int error)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
                           .severity = error != 0 ? 2 : 0,
                           .time_ns = clock_wall_unix_ns(&d->clock)};

    if (error != 0)
        snprintf(e.text, sizeof e.text, "output %s cannot be set: %s", s->config->name, strerror(-error));
    else
        snprintf(e.text, sizeof e.text, "output %s can be set again", s->config->name);
    if (d->n_sources > 0)
        feed_event(d->feed, 0, &e);
}

static void set(struct decide *d, struct switched *s, bool level, int64_t now_ns)
{
    int rc = output_set(s->output, level);

    if (rc == 0) {
        s->level = level;
        d->was_set = true;
        decide_count(&d->counters.output_sets, 1);
    } else {
        decide_count(&d->counters.output_failures, 1);
        s->retry_ns = decide_later(now_ns, DECIDE_RETRY_MS);
        sooner(d, s->retry_ns);
    }
    if ((rc != 0) != s->is_failing) {
        s->is_failing = rc != 0;
        tell_failure(d, s, rc);
    }
}

void decide_drive(struct decide *d, int64_t now_ns)
{
    d->is_dirty = false;
    d->outputs_next_ns = INT64_MAX;
    for (unsigned i = 0; i < d->n_outputs; i++) {
        struct switched *s = &d->outputs[i];
        bool level = level_of(d, i, now_ns);

        if (level == s->level)
            continue;
        if (s->is_failing && now_ns < s->retry_ns)
            sooner(d, s->retry_ns);
        else
            set(d, s, level, now_ns);
    }
}

void decide_leave_outputs(struct decide *d)
{
    for (unsigned i = 0; i < d->n_outputs; i++) {
        struct switched *s = &d->outputs[i];

        if (s->output != NULL && s->config->on_exit != LEVEL_KEEP)
            set(d, s, s->config->on_exit == LEVEL_ACTIVE, 0);
        s->output = output_close(s->output);
    }
}
