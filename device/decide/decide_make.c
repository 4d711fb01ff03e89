/* decide_make.c - which rule looks at which column. */
#include "device/decide/decide_private.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

static void note(struct decide *d, unsigned source, const char *channel, const char *text)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
                           .severity = 1,
                           .time_ns = clock_wall_unix_ns(&d->clock)};

    decide_count(&d->counters.instances_refused, 1);
    snprintf(e.channel, sizeof e.channel, "%s", channel);
    snprintf(e.text, sizeof e.text, "%s", text);
    feed_event(d->feed, source, &e);
}

static void take_up(struct decide *d, struct instance *in, int64_t now_ns)
{
    in->turned_mono_ns = now_ns;
    for (unsigned i = 0; i < d->n_raised; i++)
        if (strcmp(d->raised[i].rule, d->rules[in->rule].config->name) == 0 &&
            strcmp(d->raised[i].channel, in->name) == 0) {
            in->state.raised = true;
            in->since_ns = d->raised[i].since_ns;
            d->is_dirty = true;
        }
}

struct instance *decide_instance(struct decide *d, unsigned rule, unsigned source, const char *channel)
{
    char name[DECIDE_CHANNEL_CHARS];
    struct instance *in;

    snprintf(name, sizeof name, "%s/%s", d->sources[source].name, channel);
    for (unsigned i = 0; i < d->n_instances; i++)
        if (d->instances[i].rule == rule && strcmp(d->instances[i].name, name) == 0)
            return &d->instances[i];
    if (d->n_instances == DECIDE_INSTANCES_MAX)
        return NULL;
    in = &d->instances[d->n_instances++];
    in->rule = rule;
    in->source = source;
    snprintf(in->name, sizeof in->name, "%s", name);
    d->n_instances_of[source]++;
    d->rules_next_ns = INT64_MIN;
    decide_count(&d->counters.instances, 1);
    take_up(d, in, clock_mono_ns(&d->clock));
    return in;
}

static enum rule_type type_of(enum column_type type)
{
    switch (type) {
    case COLUMN_DOUBLE:
        return RULE_DOUBLE;
    case COLUMN_INT64:
        return RULE_INTEGER;
    case COLUMN_BOOL:
        return RULE_BOOL;
    case COLUMN_TEXT:
        break;
    }
    return RULE_TEXT;
}

static void watch(struct decide *d, unsigned rule, unsigned source, struct decide_group *group,
                  uint32_t column, const char *channel)
{
    const struct decide_rule *r = &d->rules[rule];
    struct instance *in;
    char text[FEED_TEXT_BYTES];

    if (!rule_suits(&r->rule, group->type[column])) {
        snprintf(text, sizeof text, "rule %s does not suit the type of this channel: not decided on",
                 r->config->name);
        note(d, source, channel, text);
        return;
    }
    in = d->n_watches < DECIDE_WATCHES_MAX ? decide_instance(d, rule, source, channel) : NULL;
    if (in == NULL) {
        snprintf(text, sizeof text, "rule %s: no room for another channel, at most %d: not decided on",
                 r->config->name, DECIDE_INSTANCES_MAX);
        note(d, source, channel, text);
        return;
    }
    d->watches[d->n_watches++] = (struct watch){(uint16_t)column, (uint16_t)(in - d->instances)};
    group->n++;
}

int decide_hear_group(void *ctx, unsigned source, uint32_t group, const struct source_group *g)
{
    struct decide *d = ctx;
    struct decide_group *to = &d->groups[group];

    to->first = d->n_watches;
    to->n = 0;
    for (uint32_t i = 0; i < g->n_channels; i++) {
        to->type[i] = type_of(g->channels[i].type);
        for (unsigned r = 0; r < d->n_rules; r++)
            if (rule_watches(d->rules[r].config, d->sources[source].name, g->channels[i].name))
                watch(d, r, source, to, i, g->channels[i].name);
    }
    return 0;
}
