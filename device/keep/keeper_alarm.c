/* Around an alarm: what was not sent is sent after all. */
#include "device/keep/keeper_private.h"

#include <string.h>

static bool same_row(const struct history_sample *a, const struct history_sample *b)
{
    return a->group == b->group && a->time_ns == b->time_ns;
}

/* The row that the sample at `from` begins, and what of the history it is. *ret_to: behind its samples. */
static bool gather(struct keeper_input *in, size_t from, size_t *ret_to, struct source_row *ret_row,
                   struct keep_counts *ret_counts)
{
    struct history *h = in->keeper->history;
    const struct history_sample *first = history_at(h, from);
    bool any = false;
    size_t i;

    *ret_counts = (struct keep_counts){0};
    keeper_begin_row(in, first->group, first->time_ns, 0, ret_row);
    for (i = from; i < history_n(h) && same_row(history_at(h, i), first); i++) {
        const struct history_sample *s = history_at(h, i);

        if (!s->is_wanted || s->is_gone)
            continue;
        /* Two of one channel and one time are two rows. */
        if (!in->keeper->cells[s->channel].absent)
            break;
        in->keeper->cells[s->channel] = (struct cell){.quality = s->quality, .i64 = s->bits};
        ret_counts->sent_later[s->reason]++;
        any = true;
    }
    *ret_to = i;
    return any;
}

int keeper_release(struct keeper_input *in, uint64_t mono_ns)
{
    struct keeper *k = in->keeper;
    struct history *h = k->history;
    size_t i = 0, to;

    while (i < history_n(h)) {
        struct keep_counts counts;
        struct source_row row;
        int rc;

        if (!history_at(h, i)->is_wanted || history_at(h, i)->is_gone ||
            k->groups[history_at(h, i)->group].in != in || !gather(in, i, &to, &row, &counts)) {
            i++;
            continue;
        }
        if (!in->replayable)
            row.mono_ns = mono_ns;
        rc = keeper_put(in, &row, &counts);
        if (rc != 0 && rc != KEEPER_LOST)
            return rc;
        for (; i < to; i++)
            history_at(h, i)->is_gone |= history_at(h, i)->is_wanted;
    }
    in->has_wanted = false;
    return 0;
}

static void open_around(struct keeper_channel *c, int64_t time_ns)
{
    int64_t from, to;

    if (__builtin_sub_overflow(time_ns, c->around_ns, &from))
        from = INT64_MIN;
    if (__builtin_add_overflow(time_ns, c->around_ns, &to))
        to = INT64_MAX;
    /* An alarm while one is on makes it longer. */
    c->raw_from_ns = c->raw_from_ns < c->raw_to_ns && c->raw_to_ns >= from && c->raw_from_ns < from
                         ? c->raw_from_ns
                         : from;
    c->raw_to_ns = to;
}

void keeper_alarm(struct keeper *k, unsigned source, const char *channel, int64_t time_ns)
{
    struct keeper_input *in = &k->inputs[source];

    for (uint32_t no = 0; no < SOURCE_GROUPS_MAX; no++) {
        struct keeper_group *g = &k->groups[no];

        if (g->in != in || g->channels == NULL)
            continue;
        for (uint32_t i = 0; i < g->n; i++)
            if (g->channels[i].around_ns > 0 &&
                (channel == NULL || strcmp(channel, g->channels[i].name) == 0))
                open_around(&g->channels[i], time_ns);
    }
    for (size_t i = 0; k->history != NULL && i < history_n(k->history); i++) {
        struct history_sample *s = history_at(k->history, i);
        const struct keeper_group *g = &k->groups[s->group];
        const struct keeper_channel *c = &g->channels[s->channel];

        if (g->in == in && c->raw_from_ns <= s->time_ns && s->time_ns <= c->raw_to_ns)
            in->has_wanted = s->is_wanted = true;
    }
    if (in->has_wanted && keeper_release(in, in->last_mono_ns) != 0)
        in->has_wanted = true;
}
