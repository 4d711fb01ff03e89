/* Groups: policies of their channels, and the channels that windows make. */
#include "device/keep/keeper_private.h"

#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_number(enum column_type type)
{
    return type == COLUMN_DOUBLE || type == COLUMN_INT64;
}

static int add_derived(struct keeper *k, const struct source_channel *of, struct source_group *g,
                       struct keeper_channel *c)
{
    if (g->n_channels + KEEP_WINDOW_CELLS > BLOCK_COLUMNS_MAX)
        return -EDOM;
    c->first_derived = g->n_channels;
    for (unsigned i = 0; i < KEEP_WINDOW_CELLS; i++) {
        uint32_t at = g->n_channels++;
        size_t room = sizeof k->names[at];

        if ((size_t)snprintf(k->names[at], room, "%s.%s", of->name, keep_window_names[i]) >= room)
            return -ENAMETOOLONG;
        k->declared[at] = (struct source_channel){.name = k->names[at],
                                                  .unit = i == KEEP_COUNT ? "" : of->unit,
                                                  .type = i == KEEP_COUNT ? COLUMN_INT64 : COLUMN_DOUBLE};
        for (uint32_t j = 0; j < at; j++)
            if (strcmp(k->declared[j].name, k->names[at]) == 0)
                return -EEXIST;
    }
    return 0;
}

/* Its windows have no columns: the group is refused, again and again. Told once. */
static void tell_refused(struct keeper_input *in, const char *channel, int error)
{
    char text[192];
    struct source_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED,
                             .severity = 2,
                             .channel = channel,
                             .time_ns = clock_wall_unix_ns(&clock_real),
                             .text = text};

    if (in->is_refusal_told)
        return;
    snprintf(text, sizeof text, "keep: aggregate %s: nothing of its row can be recorded",
             error == -EDOM
                 ? "makes four columns more of each channel, and a row has 256: set it for fewer channels"
             : error == -EEXIST ? "would make a channel that is there already: choose another keep for one"
                                : "has no room for .count behind this name: choose a shorter one");
    in->is_refusal_told = in->out->event(in->out->ctx, &e) == 0;
}

static void set_channel(const struct keeper_input *in, const struct source_channel *of,
                        struct keeper_channel *c)
{
    const struct channel_config *config = channel_config_of(in->config, of->name);

    *c = (struct keeper_channel){.raw_from_ns = INT64_MAX, .raw_to_ns = INT64_MIN};
    snprintf(c->name, sizeof c->name, "%s", of->name);
    channel_keep_rule(config, of->type, &c->rule);
    c->rule.rows_are_partial = in->rows_are_partial;
    c->does_anything = keep_does_anything(&c->rule);
    if (config != NULL && c->does_anything)
        c->around_ns = config->around_alarm_ms * NS_PER_MS;
}

int keeper_take_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    struct keeper_input *in = ctx;
    struct keeper *k = in->keeper;
    struct keeper_channel *channels = &k->channels[k->n_channels];
    struct source_group out = {k->declared, g->n_channels};
    struct keeper_group made = {.in = in, .n = g->n_channels};
    bool any = false;
    int rc = 0;

    if (g->n_channels == 0 || g->n_channels > BLOCK_COLUMNS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < g->n_channels; i++)
        k->declared[i] = g->channels[i];
    for (uint32_t i = 0; rc == 0 && i < g->n_channels; i++) {
        struct keeper_channel *c = &channels[i];

        set_channel(in, &g->channels[i], c);
        any |= c->does_anything;
        if (c->does_anything && c->rule.type == COLUMN_TEXT)
            c->state.text = &k->texts[(size_t)(k->n_channels + i) * KEEP_TEXT_BYTES];
        if (c->rule.policy == KEEP_AGGREGATE && is_number(c->rule.type)) {
            rc = add_derived(k, &g->channels[i], &out, c);
            if (rc != 0)
                tell_refused(in, c->name, rc);
            made.n_windows++;
        }
    }
    if (rc == 0 && any && k->n_channels + g->n_channels > KEEPER_CHANNELS_MAX)
        rc = -EUSERS;
    if (rc == 0)
        rc = in->out->group(in->out->ctx, &out, ret_group);
    if (rc != 0)
        return rc;
    made.n_out = out.n_channels;
    if (any) {
        made.channels = channels;
        k->n_channels += g->n_channels;
    }
    k->groups[*ret_group] = made;
    return 0;
}

bool keeper_is_derived(const struct pack_channel *channels, uint32_t no, const struct config_list *config)
{
    const char *dot = strrchr(channels[no].name, '.');
    bool is_window = false;

    for (unsigned i = 0; dot != NULL && i < KEEP_WINDOW_CELLS; i++)
        is_window |= strcmp(dot + 1, keep_window_names[i]) == 0;
    for (uint32_t i = 0; is_window && i < no; i++) {
        size_t len = strlen(channels[i].name);
        const struct channel_config *c;

        if (len != (size_t)(dot - channels[no].name) || memcmp(channels[i].name, channels[no].name, len) != 0)
            continue;
        c = channel_config_of(config, channels[i].name);
        return c != NULL && c->keep == KEEP_AGGREGATE && is_number(channels[i].type);
    }
    return false;
}
