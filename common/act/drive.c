#include "act/drive.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one action says of its output. */
struct say {
    bool level;
    int rank; /* the highest counts; 0: it says nothing */
};

enum { RANK_STALE = 1000, RANKS_A_SEVERITY = 4 };

struct switched {
    struct output *output;
    const struct output_config *config;
    bool level; /* as set */
    bool is_failing;
    int64_t retry_ns;
};

struct drive {
    struct drive_options o;
    struct switched outputs[OUTPUTS_MAX];
    unsigned n_outputs;
};

static int64_t later(int64_t from_ns, int64_t ms)
{
    int64_t t;

    return __builtin_add_overflow(from_ns, ms * NS_PER_MS, &t) ? INT64_MAX : t;
}

static void sooner(struct drive_done *done, int64_t at_ns)
{
    if (at_ns < done->next_ns)
        done->next_ns = at_ns;
}

/* ---- what is said ---- */

static bool is_stale(const struct drive_view *v, const struct output_config *o, int64_t now_ns,
                     struct drive_done *done)
{
    int64_t at_ns;

    if (o->stale_ms == 0 || !v->may_be_stale)
        return false;
    at_ns = later(v->good_mono_ns, o->stale_ms);
    if (now_ns < at_ns) {
        sooner(done, at_ns);
        return false;
    }
    *v->is_stale = true;
    return true;
}

static struct say blink(const struct drive_view *v, const struct action_config *a, int64_t now_ns,
                        struct drive_done *done)
{
    int64_t period_ns = (a->on_ms + a->off_ms) * NS_PER_MS, on_ns = a->on_ms * NS_PER_MS;
    int64_t phase_ns = now_ns > v->turned_mono_ns ? (now_ns - v->turned_mono_ns) % period_ns : 0;
    bool level = phase_ns < on_ns;

    sooner(done, now_ns + (level ? on_ns : period_ns) - phase_ns);
    return (struct say){level, 2};
}

static struct say pulse(const struct drive_view *v, const struct action_config *a, int64_t now_ns,
                        struct drive_done *done)
{
    int64_t until_ns = later(v->turned_mono_ns, a->ms);

    if (!v->pulses || now_ns >= until_ns)
        return (struct say){false, 0};
    sooner(done, until_ns);
    return (struct say){true, 1};
}

static struct say say_of(const struct drive *d, const struct drive_view *v, const struct drive_action *a,
                         int64_t now_ns, struct drive_done *done)
{
    const struct output_config *o = d->outputs[a->output].config;
    struct say s = {false, 0};

    if (o->on_stale != LEVEL_KEEP && is_stale(v, o, now_ns, done))
        return (struct say){true, o->on_stale == LEVEL_ACTIVE ? RANK_STALE : 0};
    if (a->kind == ACTION_SET && v->raised)
        s = (struct say){true, 3};
    else if (a->kind == ACTION_BLINK && v->raised)
        s = blink(v, a->config, now_ns, done);
    else if (a->kind == ACTION_PULSE)
        s = pulse(v, a->config, now_ns, done);
    if (s.rank > 0)
        s.rank += v->severity * RANKS_A_SEVERITY;
    return s;
}

/* ---- levels ---- */

struct heard {
    struct say best;
    bool has_heard;
};

static void hear(struct drive *d, const struct drive_view *v, int64_t now_ns, struct heard *heard,
                 struct drive_done *done)
{
    for (unsigned k = 0; k < v->n_actions; k++) {
        const struct drive_action *a = &v->actions[k];
        struct heard *h = &heard[a->output];
        struct say s;

        if (a->kind == ACTION_EXEC)
            continue;
        h->has_heard |= v->has_heard || v->raised || *v->is_stale;
        s = say_of(d, v, a, now_ns, done);
        /* Of two that count alike, the active one. */
        if (s.rank > h->best.rank || (s.rank == h->best.rank && s.level))
            h->best = s;
    }
}

static void tell(const struct drive *d, const struct switched *s, int error)
{
    char text[DRIVE_TEXT_BYTES];

    if (error != 0)
        snprintf(text, sizeof text, "output %s cannot be set: %s", s->config->name, strerror(-error));
    else
        snprintf(text, sizeof text, "output %s can be set again", s->config->name);
    d->o.note(d->o.ctx, error != 0 ? 2 : 0, text);
}

static void set(struct drive *d, struct switched *s, bool level, int64_t now_ns, struct drive_done *done)
{
    int rc = output_set(s->output, level);

    if (rc == 0) {
        s->level = level;
        done->n_set++;
    } else {
        done->n_failed++;
        s->retry_ns = later(now_ns, DRIVE_RETRY_MS);
        sooner(done, s->retry_ns);
    }
    if ((rc != 0) != s->is_failing) {
        s->is_failing = rc != 0;
        tell(d, s, rc);
    }
}

void drive_run(struct drive *d, const struct drive_rules *rules, int64_t now_ns, struct drive_done *ret)
{
    struct heard heard[OUTPUTS_MAX] = {0};

    *ret = (struct drive_done){.next_ns = INT64_MAX};
    for (unsigned i = 0; i < rules->n; i++) {
        struct drive_view v;

        rules->view(rules->ctx, i, &v);
        hear(d, &v, now_ns, heard, ret);
    }
    for (unsigned i = 0; i < d->n_outputs; i++) {
        struct switched *s = &d->outputs[i];
        const struct heard *h = &heard[i];
        bool level = h->best.rank > 0 ? h->best.level : !h->has_heard && s->config->on_start == LEVEL_ACTIVE;

        if (level == s->level)
            continue;
        if (s->is_failing && now_ns < s->retry_ns)
            sooner(ret, s->retry_ns);
        else
            set(d, s, level, now_ns, ret);
    }
}

/* ---- start and end ---- */

int drive_open(struct drive **ret_d, const struct drive_options *options, struct errmsg *err)
{
    struct drive *d = calloc(1, sizeof *d);

    if (d == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    d->o = *options;
    for (size_t i = 0; i < options->outputs->n && i < OUTPUTS_MAX; i++) {
        const struct config_item *item = &options->outputs->at[i];
        struct switched *s = &d->outputs[d->n_outputs];
        int rc;

        s->config = item->value;
        s->level = s->config->on_start == LEVEL_ACTIVE;
        rc = output_open(&s->output, (enum output_kind)item->kind, s->config, s->level, err);
        if (rc != 0) {
            drive_close(d);
            return rc;
        }
        d->n_outputs++;
    }
    *ret_d = d;
    return 0;
}

struct drive *drive_close(struct drive *d)
{
    if (d == NULL)
        return NULL;
    for (unsigned i = 0; i < d->n_outputs; i++) {
        struct switched *s = &d->outputs[i];
        struct drive_done done = {.next_ns = INT64_MAX};

        if (s->config->on_exit != LEVEL_KEEP)
            set(d, s, s->config->on_exit == LEVEL_ACTIVE, 0, &done);
        output_close(s->output);
    }
    free(d);
    return NULL;
}

unsigned drive_output(const struct drive *d, const char *name)
{
    unsigned i = 0;

    while (i < d->n_outputs && strcmp(d->outputs[i].config->name, name) != 0)
        i++;
    return i;
}
