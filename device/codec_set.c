#include "device/codec_measure.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void member_forget(struct codec_member *m)
{
    m->starts = block_starts_free(m->starts);
    m->start_bytes = 0;
    free(m->bounds);
    m->bounds = NULL;
}

void codec_set_deinit(struct codec_set *s)
{
    for (size_t i = 0; i < s->n_members; i++) {
        member_forget(&s->members[i]);
        free(s->members[i].channel);
    }
    free(s->members);
    free(s->channels);
    *s = (struct codec_set){0};
}

static must_check int channel_of(struct codec_set *s, const char *header, uint32_t *ret_channel)
{
    struct codec_channel *channels;

    for (size_t i = 0; i < s->n_channels; i++) {
        if (strcmp(s->channels[i].header, header) == 0) {
            *ret_channel = (uint32_t)i;
            return 0;
        }
    }
    channels = realloc(s->channels, (s->n_channels + 1) * sizeof *channels);
    if (channels == NULL)
        return -ENOMEM;
    s->channels = channels;
    channels[s->n_channels] = (struct codec_channel){0};
    snprintf(channels[s->n_channels].header, sizeof channels[0].header, "%s", header);
    *ret_channel = (uint32_t)s->n_channels++;
    return 0;
}

static void widen(struct codec_channel *channel, const struct column *c, uint64_t n_rows)
{
    for (uint64_t row = 0; c->type == COLUMN_DOUBLE && row < n_rows; row++) {
        double v = c->f64[row];

        if (!isfinite(v) || (c->absent != NULL && c->absent[row]))
            continue;
        channel->min = !channel->has_range || v < channel->min ? v : channel->min;
        channel->max = !channel->has_range || v > channel->max ? v : channel->max;
        channel->has_range = true;
    }
}

int codec_set_add(struct codec_set *s, const struct codec_table *t)
{
    struct codec_member *members = realloc(s->members, (s->n_members + 1) * sizeof *members), *m;
    int r = 0;

    if (members == NULL)
        return -ENOMEM;
    s->members = members;
    m = &members[s->n_members++];
    *m = (struct codec_member){.table = t, .channel = calloc(t->n_columns, sizeof *m->channel)};
    if (m->channel == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < t->n_columns && r == 0; i++) {
        r = channel_of(s, t->about[i].header, &m->channel[i]);
        if (r == 0)
            widen(&s->channels[m->channel[i]], &t->columns[i], t->n_rows);
    }
    s->n_rows += t->n_rows;
    s->n_samples += t->n_samples;
    return r;
}

static must_check int make_bounds(const struct codec_set *s, struct codec_member *m, double fraction)
{
    m->bounds = calloc(m->table->n_columns, sizeof *m->bounds);
    if (m->bounds == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < m->table->n_columns; i++) {
        const struct codec_channel *c = &s->channels[m->channel[i]];

        if (m->table->types[i] == COLUMN_DOUBLE && c->has_range)
            m->bounds[i] = fmin((c->max - c->min) * fraction, BLOCK_ERROR_BOUND_MAX);
    }
    return 0;
}

static must_check int make_starts(struct codec_member *m, struct block_coder *coder, bool cold)
{
    const struct codec_table *t = m->table;
    owned(free_ptr) struct column *columns = calloc(t->n_columns, sizeof *columns);
    owned(free_ptr) struct span *learned = calloc(t->n_columns, sizeof *learned);
    owned(buf_deinit) struct buf bytes = {0};
    struct span time = {0};
    struct block b;
    int r = 0;

    if (columns == NULL || learned == NULL)
        return -ENOMEM;
    if (!cold && t->n_rows > 0) {
        codec_table_block(t, 0, BLOCK_ROWS_MAX, columns, &b);
        r = block_learn(coder, &b, m->bounds, &bytes, learned, &time);
    }
    m->start_bytes = bytes.len;
    if (r == 0)
        r = block_starts_new(&m->starts, t->types, t->n_columns,
                             &(struct block_start_bytes){m->bounds, learned, time});
    return r;
}

int codec_set_prepare(struct codec_set *s, double fraction, bool cold)
{
    struct block_coder *coder;
    int r = block_coder_new(&coder);

    if (r != 0)
        return r;
    for (size_t i = 0; i < s->n_members && r == 0; i++) {
        struct codec_member *m = &s->members[i];

        member_forget(m);
        if (fraction > 0)
            r = make_bounds(s, m, fraction);
        if (r == 0)
            r = make_starts(m, coder, cold);
    }
    block_coder_free(coder);
    return r;
}

size_t codec_set_start_bytes(const struct codec_set *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_members; i++)
        n += s->members[i].start_bytes;
    return n;
}
