/* io_unheard.c - rules on channels that no source gives: a name that is misspelt, or a window (rules hear
 * readings, windows are made of what is sent). They never fire, so they are named in the status, and once in
 * the log: not before sources had time to say what they have, since some channels are known only when they
 * come.
 */
#include "device/io.h"

#include "config/problem.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 60000 };

static void name_of(const struct io *io, const struct io_group *g, const struct pack_channel *c,
                    char out[DECIDE_CHANNEL_CHARS])
{
    snprintf(out, DECIDE_CHANNEL_CHARS, "%s/%s", io->sources[g->source].name, c->name);
}

static void take_near(struct io_unheard *u, const char *name)
{
    struct nearest n = {.wanted = u->rule->channel, .best = u->near[0] != '\0' ? u->near : NULL};

    n.distance = n.best != NULL ? text_distance(n.wanted, n.best) : 0;
    nearest_offer(&n, name);
    if (n.best == name)
        memcpy(u->near, name, DECIDE_CHANNEL_CHARS);
}

/* true: the rule hears a channel of this group. */
static bool look_at_group(const struct io *io, const struct io_group *g, struct io_unheard *u)
{
    const struct source_config *source = io->config->sources.at[g->source].value;
    const struct pack_channel *channels = pack_channels(g->pack);
    char name[DECIDE_CHANNEL_CHARS];

    for (uint32_t i = 0; i < pack_n_channels(g->pack); i++) {
        bool is_window = keeper_is_derived(channels, i, &source->channels);

        name_of(io, g, &channels[i], name);
        if (!rule_watches(u->rule, source->name, channels[i].name)) {
            if (!is_window && !u->is_window)
                take_near(u, name);
            continue;
        }
        if (!is_window)
            return true;
        /* Of "level.mean" it is "level" that rules hear. */
        *strrchr(name, '.') = '\0';
        memcpy(u->near, name, sizeof name);
        u->is_window = true;
    }
    return false;
}

static bool is_heard(const struct io *io, struct io_unheard *u)
{
    u->near[0] = '\0';
    u->is_window = false;
    for (uint32_t i = 0; i < io->n_groups; i++)
        if (io->groups[i].pack != NULL && look_at_group(io, &io->groups[i], u))
            return true;
    return false;
}

static const char *why(const struct io_unheard *u)
{
    return u->is_window ? "it is a window of what is sent, and rules hear readings: name their channel"
           : u->near[0] != '\0' ? "no source gives such a channel so far: is the nearest one meant?"
                                : "no source gives such a channel so far";
}

static void warn(const struct io_unheard *u)
{
    log_warn("rule_hears_nothing", "rule=%s channel=%s nearest=%s msg=%s", u->rule->name,
             log_quote(u->rule->channel), u->near[0] != '\0' ? log_quote(u->near) : "none",
             log_quote(why(u)));
}

void io_look_at_rules(struct io *io, int64_t now_ms)
{
    if (now_ms < io->began_ms + LOOK_MS || io->groups_looked_at == io->n_groups)
        return;
    io->groups_looked_at = io->n_groups;
    io->n_unheard = 0;
    for (size_t i = 0; i < io->config->rules.n && i < RULES_MAX; i++) {
        struct io_unheard *u = &io->unheard[io->n_unheard];

        u->rule = io->config->rules.at[i].value;
        if (is_heard(io, u))
            continue;
        if (!io->is_unheard_said[i])
            warn(u);
        io->is_unheard_said[i] = true;
        io->n_unheard++;
    }
}

void io_unheard_facts(const struct io *io, struct json *j)
{
    json_key(j, "rules_that_hear_nothing");
    json_array(j);
    for (unsigned i = 0; i < io->n_unheard; i++) {
        const struct io_unheard *u = &io->unheard[i];

        json_object(j);
        json_kstr(j, "rule", u->rule->name);
        json_kstr(j, "channel", u->rule->channel);
        json_kstr(j, "nearest", u->near);
        json_kstr(j, "why", why(u));
        json_object_end(j);
    }
    json_array_end(j);
}
