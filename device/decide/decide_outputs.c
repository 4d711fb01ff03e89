#include "device/decide/decide_private.h"
#include "wire/wire.h"

#include <stdio.h>

static void note(void *ctx, unsigned severity, const char *text)
{
    struct decide *d = ctx;
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
                           .severity = severity,
                           .time_ns = clock_wall_unix_ns(&d->clock)};

    snprintf(e.text, sizeof e.text, "%s", text);
    if (d->n_sources > 0)
        feed_event(d->feed, 0, &e);
}

int decide_open_outputs(struct decide *d, struct errmsg *err)
{
    return drive_open(&d->drive, &(struct drive_options){d->output_list, note, d}, err);
}

static void view(void *ctx, unsigned i, struct drive_view *ret_v)
{
    struct decide *d = ctx;
    struct instance *in = &d->instances[i];
    const struct decide_rule *r = &d->rules[in->rule];

    *ret_v = (struct drive_view){.actions = r->actions,
                                 .n_actions = r->n_actions,
                                 .severity = r->config->severity,
                                 .raised = in->state.raised,
                                 .has_heard = in->has_heard,
                                 .pulses = in->pulses,
                                 .may_be_stale = !d->sources[in->source].replayable && in->state.has_begun,
                                 .good_mono_ns = in->state.good_ns,
                                 .turned_mono_ns = in->turned_mono_ns,
                                 .is_stale = &in->is_stale};
}

void decide_drive(struct decide *d, int64_t now_ns)
{
    struct drive_done done;

    d->is_dirty = false;
    drive_run(d->drive, &(struct drive_rules){d->n_instances, view, d}, now_ns, &done);
    d->outputs_next_ns = done.next_ns;
    d->was_set |= done.n_set > 0;
    decide_count(&d->counters.output_sets, done.n_set);
    decide_count(&d->counters.output_failures, done.n_failed);
}
