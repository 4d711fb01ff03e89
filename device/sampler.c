#include "device/sampler.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Settings of one channel. */
struct setting {
    double scale, offset, min, max;
    bool to_double; /* a number that is no double yet */
    bool is_scaled, has_range;
};

struct group {
    bool is_known;
    uint32_t n;
    enum column_type type[BLOCK_COLUMNS_MAX]; /* as given on */
    struct setting *settings;                 /* n, or NULL: nothing to do */
};

struct input {
    struct sampler *sampler;
    unsigned source;
    bool replayable;
    const struct config_list *channels;
    const struct source_sink *out;
    struct source_sink sink;
};

struct sampler {
    struct feed *feed;
    struct keeper *keeper;
    struct input *inputs;
    struct group *groups; /* SOURCE_GROUPS_MAX */
    /* SAMPLER_CHANNELS_MAX, taken from the front; behind them those of the group being declared. */
    struct setting *settings;
    uint32_t n_settings;
    struct sampler_listener listeners[SAMPLER_LISTENERS_MAX];
    unsigned n_listeners;
    struct sampler_counters counters;
    struct source_channel channels[BLOCK_COLUMNS_MAX]; /* of the group being declared */
    struct cell *cells; /* of the rows under way, one behind the other: a listener may say a row */
    uint32_t n_cells;
};

int sampler_new(struct sampler **ret_s, const struct sampler_options *options)
{
    struct keeper_options ko = {
        .feed = options->feed, .n_sources = options->n_sources, .history_bytes = options->history_bytes};
    struct sampler *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -ENOMEM;
    s->feed = options->feed;
    s->inputs = calloc(options->n_sources + 1, sizeof *s->inputs);
    s->groups = calloc(SOURCE_GROUPS_MAX, sizeof *s->groups);
    s->settings = calloc(SAMPLER_CHANNELS_MAX + BLOCK_COLUMNS_MAX, sizeof *s->settings);
    s->cells = calloc(SAMPLER_CHANNELS_MAX, sizeof *s->cells); /* only what is used counts */
    if (s->inputs == NULL || s->groups == NULL || s->settings == NULL || s->cells == NULL ||
        keeper_new(&s->keeper, &ko) != 0) {
        sampler_free(s);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < options->n_listeners && i < SAMPLER_LISTENERS_MAX; i++)
        s->listeners[s->n_listeners++] = options->listeners[i];
    *ret_s = s;
    return 0;
}

struct sampler *sampler_free(struct sampler *s)
{
    if (s == NULL)
        return NULL;
    keeper_free(s->keeper);
    free(s->inputs);
    free(s->groups);
    free(s->settings);
    free(s->cells);
    free(s);
    return NULL;
}

const struct sampler_counters *sampler_counters(const struct sampler *s)
{
    return &s->counters;
}

struct keeper *sampler_keeper(struct sampler *s)
{
    return s->keeper;
}

static bool is_number(enum column_type type)
{
    return type == COLUMN_DOUBLE || type == COLUMN_INT64;
}

/* false: as read. */
static bool setting_of(const struct channel_config *c, const struct source_channel *channel,
                       struct setting *ret_setting)
{
    struct setting s = {.scale = 1};

    if (c != NULL && is_number(channel->type)) {
        s.scale = c->scale;
        s.offset = c->offset;
        s.min = c->valid_min;
        s.max = c->valid_max;
        s.is_scaled = c->scale != 1 || c->offset != 0;
        s.to_double = s.is_scaled && channel->type == COLUMN_INT64;
        s.has_range = !isnan(s.min) || !isnan(s.max);
    }
    *ret_setting = s;
    return s.is_scaled || s.has_range;
}

static int take_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    struct input *in = ctx;
    struct sampler *s = in->sampler;
    struct setting *settings = &s->settings[s->n_settings];
    struct source_group out = {s->channels, g->n_channels};
    struct group *group;
    bool any = false;
    int rc;

    if (g->n_channels == 0 || g->n_channels > BLOCK_COLUMNS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < g->n_channels; i++) {
        const struct channel_config *c = channel_config_of(in->channels, g->channels[i].name);

        s->channels[i] = g->channels[i];
        any |= setting_of(c, &g->channels[i], &settings[i]);
        if (c != NULL && c->unit[0] != '\0')
            s->channels[i].unit = c->unit;
        if (settings[i].to_double)
            s->channels[i].type = COLUMN_DOUBLE;
    }
    if (any && s->n_settings + g->n_channels > SAMPLER_CHANNELS_MAX)
        return -EUSERS;
    rc = in->out->group(in->out->ctx, &out, ret_group);
    if (rc != 0)
        return rc;
    group = &s->groups[*ret_group];
    group->is_known = true;
    group->n = g->n_channels;
    for (uint32_t i = 0; i < g->n_channels; i++)
        group->type[i] = s->channels[i].type;
    if (any) {
        group->settings = settings;
        s->n_settings += g->n_channels;
    }
    for (unsigned i = 0; i < s->n_listeners; i++) {
        rc = s->listeners[i].group(s->listeners[i].ctx, in->source, *ret_group, &out);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void apply(struct sampler *s, const struct setting *how, enum column_type type, struct cell *cell)
{
    double value;

    if (cell->absent)
        return;
    if (how->to_double)
        cell->f64 = (double)cell->i64;
    if (how->is_scaled)
        cell->f64 = cell->f64 * how->scale + how->offset;
    if (!how->has_range)
        return;
    value = type == COLUMN_DOUBLE ? cell->f64 : (double)cell->i64;
    if (!(value < how->min) && !(value > how->max))
        return;
    cell->quality = QUALITY_BAD;
    atomic_fetch_add_explicit(&s->counters.out_of_range, 1, memory_order_relaxed);
}

static bool has_room(const struct sampler *s, unsigned source, const struct source_row *r)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < s->n_listeners; i++)
        if (s->listeners[i].ring_bytes != NULL)
            bytes += s->listeners[i].ring_bytes(s->listeners[i].ctx, source);
    return feed_has_room(s->feed, source, r, bytes);
}

static int take_row(void *ctx, const struct source_row *r)
{
    struct input *in = ctx;
    struct sampler *s = in->sampler;
    struct source_row out = *r;
    const struct group *g;
    int rc;

    if (r->group >= SOURCE_GROUPS_MAX || !s->groups[r->group].is_known || r->n_cells != s->groups[r->group].n)
        return -EINVAL;
    g = &s->groups[r->group];
    if (g->settings != NULL) {
        struct cell *cells = s->cells + s->n_cells;

        /* Each group's settings are counted in SAMPLER_CHANNELS_MAX, and no source hears itself. */
        memcpy(cells, r->cells, r->n_cells * sizeof *r->cells);
        for (uint32_t i = 0; i < r->n_cells; i++)
            apply(s, &g->settings[i], g->type[i], &cells[i]);
        out.cells = cells;
        s->n_cells += r->n_cells;
    }
    if (in->replayable && s->n_listeners > 0 && !has_room(s, in->source, &out)) {
        rc = SINK_FULL;
    } else {
        for (unsigned i = 0; i < s->n_listeners; i++)
            s->listeners[i].row(s->listeners[i].ctx, in->source, &out);
        rc = in->out->row(in->out->ctx, &out);
    }
    if (g->settings != NULL)
        s->n_cells -= r->n_cells;
    return rc;
}

static int take_receipt(void *ctx, const struct source_receipt *r)
{
    struct input *in = ctx;

    return in->out->receipt(in->out->ctx, r);
}

static int take_event(void *ctx, const struct source_event *e)
{
    struct input *in = ctx;

    return in->out->event(in->out->ctx, e);
}

const struct source_sink *sampler_sink(struct sampler *s, unsigned source, bool replayable,
                                       const struct config_list *channels)
{
    struct input *in = &s->inputs[source];

    in->sampler = s;
    in->source = source;
    in->replayable = replayable;
    in->channels = channels;
    in->out = keeper_sink(s->keeper, source, replayable, channels);
    in->sink = (struct source_sink){in, take_group, take_row, take_receipt, take_event};
    return &in->sink;
}
