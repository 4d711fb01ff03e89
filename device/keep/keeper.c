#include "device/keep/keeper_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int keeper_new(struct keeper **ret_k, const struct keeper_options *options)
{
    struct keeper *k = calloc(1, sizeof *k);
    int rc = 0;

    if (k == NULL)
        return -ENOMEM;
    k->feed = options->feed;
    k->inputs = calloc(options->n_sources + 1, sizeof *k->inputs);
    k->groups = calloc(SOURCE_GROUPS_MAX, sizeof *k->groups);
    k->channels = calloc(KEEPER_CHANNELS_MAX + BLOCK_COLUMNS_MAX, sizeof *k->channels);
    k->texts = calloc(KEEPER_CHANNELS_MAX, KEEP_TEXT_BYTES);
    if (k->inputs == NULL || k->groups == NULL || k->channels == NULL || k->texts == NULL)
        rc = -ENOMEM;
    if (rc == 0 && options->history_bytes >= sizeof(struct history_sample))
        rc = history_new(&k->history, options->history_bytes);
    if (rc != 0) {
        keeper_free(k);
        return rc;
    }
    *ret_k = k;
    return 0;
}

struct keeper *keeper_free(struct keeper *k)
{
    if (k == NULL)
        return NULL;
    history_free(k->history);
    free(k->inputs);
    free(k->groups);
    free(k->channels);
    free(k->texts);
    free(k);
    return NULL;
}

const struct keeper_counters *keeper_counters(const struct keeper *k)
{
    return &k->counters;
}

static void count(_Atomic uint64_t *c, uint64_t n)
{
    /* One writer: no need for a locked addition. */
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static void count_all(struct keeper *k, const struct keep_counts *c)
{
    for (unsigned i = 0; i < KEEP_REASONS; i++) {
        count(&k->counters.reduced[i], c->samples[i]);
        count(&k->counters.sent_later, c->sent_later[i]);
    }
}

int keeper_put(struct keeper_input *in, struct source_row *r, const struct keep_counts *more)
{
    struct keeper *k = in->keeper;
    struct keep_counts counts = in->counts;
    int rc;

    keep_counts_add(&counts, more);
    r->reduced = keep_counts_any(&counts) ? &counts : NULL;
    rc = in->out->row(in->out->ctx, r);
    if (rc != 0 && (rc != SINK_FULL || in->replayable))
        return rc;
    count_all(k, more);
    in->counts = rc == 0 ? (struct keep_counts){0} : counts;
    if (rc == 0 && r->mono_ns != 0)
        in->told_mono_ns = r->mono_ns;
    if (rc == 0 && r->position != NULL) {
        in->position = *r->position;
        in->has_position = true;
    }
    return rc == 0 ? 0 : KEEPER_LOST;
}

void keeper_begin_row(const struct keeper_input *in, uint32_t group, int64_t time_ns, uint64_t mono_ns,
                      struct source_row *ret_row)
{
    struct keeper *k = in->keeper;
    uint32_t n = k->groups[group].n_out;

    for (uint32_t i = 0; i < n; i++)
        k->cells[i] = (struct cell){.absent = true};
    *ret_row = (struct source_row){.group = group,
                                   .time_ns = time_ns,
                                   .mono_ns = mono_ns,
                                   .cells = k->cells,
                                   .n_cells = n,
                                   .position = in->has_position ? &in->position : NULL};
}

/* ---- windows ---- */

static bool window_ends(const struct keeper_channel *c, const struct source_row *r, uint32_t i)
{
    const struct keep_window *w = &c->window;

    if (w->n_seen == 0)
        return false;
    if (r == NULL)
        return true;
    if (r->time_ns < w->start_ns)
        return !r->cells[i].absent;
    return (uint64_t)r->time_ns - (uint64_t)w->start_ns >= (uint64_t)c->rule.aggregate_ns;
}

/* Sends the windows that end before r (NULL: all of them), one row for those of one begin. 0 or as
 * keeper_put.
 */
static int close_windows(struct keeper_input *in, uint32_t group, const struct source_row *r)
{
    static const struct keep_counts nothing;
    struct keeper *k = in->keeper;
    const struct keeper_group *g = &k->groups[group];

    while (g->n_windows > 0) {
        struct source_row row;
        uint64_t cells = 0;
        int64_t start_ns = INT64_MAX;
        bool any = false;
        int rc;

        for (uint32_t i = 0; i < g->n; i++)
            if (window_ends(&g->channels[i], r, i)) {
                any = true;
                if (g->channels[i].window.start_ns < start_ns)
                    start_ns = g->channels[i].window.start_ns;
            }
        if (!any)
            break;
        keeper_begin_row(in, group, start_ns, r != NULL ? r->mono_ns : in->last_mono_ns, &row);
        for (uint32_t i = 0; i < g->n; i++) {
            const struct keeper_channel *c = &g->channels[i];

            if (!window_ends(c, r, i) || c->window.start_ns != start_ns)
                continue;
            keep_window_cells(&c->window, &k->cells[c->first_derived]);
            cells += c->window.n > 0 ? KEEP_WINDOW_CELLS : 1;
        }
        rc = keeper_put(in, &row, &nothing);
        if (rc != 0 && rc != KEEPER_LOST)
            return rc;
        count(&k->counters.derived, cells);
        for (uint32_t i = 0; i < g->n; i++)
            if (window_ends(&g->channels[i], r, i) && g->channels[i].window.start_ns == start_ns)
                g->channels[i].window = (struct keep_window){0};
    }
    return 0;
}

/* ---- rows ---- */

/* What is left of the row, into k->cells. Sets n_kept; verdicts into k->verdicts. */
static void judge_row(struct keeper *k, const struct keeper_group *g, const struct source_row *r,
                      uint32_t *ret_kept, struct keep_counts *ret_counts)
{
    *ret_kept = 0;
    *ret_counts = (struct keep_counts){0};
    for (uint32_t i = 0; i < g->n; i++) {
        const struct keeper_channel *c = &g->channels[i];
        enum keep_verdict v = KEEP_SEND;

        k->cells[i] = r->cells[i];
        if (r->cells[i].absent)
            continue;
        if (c->does_anything && !(c->raw_from_ns <= r->time_ns && r->time_ns <= c->raw_to_ns))
            v = keep_judge(&c->rule, &c->state, r->time_ns, &r->cells[i]);
        k->verdicts[i] = (uint8_t)v;
        if (v == KEEP_SEND) {
            ++*ret_kept;
            continue;
        }
        k->cells[i] = (struct cell){.absent = true};
        ret_counts->samples[v]++;
    }
    for (uint32_t i = g->n; i < g->n_out; i++)
        k->cells[i] = (struct cell){.absent = true};
}

static void hold(struct keeper *k, const struct keeper_channel *c, const struct source_row *r, uint32_t i)
{
    struct history_sample s = {.time_ns = r->time_ns,
                               .bits = r->cells[i].i64,
                               .group = (uint16_t)r->group,
                               .channel = (uint8_t)i,
                               .quality = r->cells[i].quality,
                               .reason = k->verdicts[i]};

    if (k->history != NULL && c->around_ns > 0 && c->rule.type != COLUMN_TEXT)
        history_add(k->history, &s);
}

/* The row is done with: what was sent of it, and what was not, is remembered. lost: what should have been
 * sent was not. */
static void remember_row(struct keeper *k, const struct keeper_group *g, const struct source_row *r,
                         bool lost)
{
    for (uint32_t i = 0; i < g->n; i++) {
        struct keeper_channel *c = &g->channels[i];

        if (!c->does_anything)
            continue;
        if (r->cells[i].absent) {
            keep_was_absent(&c->rule, &c->state);
            continue;
        }
        if (c->first_derived != 0)
            keep_window_add(&c->window, &c->rule, r->time_ns, &r->cells[i]);
        if (k->verdicts[i] != KEEP_SEND)
            hold(k, c, r, i);
        if (k->verdicts[i] != KEEP_SEND || !lost)
            keep_took(&c->rule, &c->state, r->time_ns, &r->cells[i], k->verdicts[i] == KEEP_SEND);
    }
}

static bool may_wait(const struct keeper_input *in, const struct source_row *r)
{
    return !in->replayable && r->mono_ns - in->told_mono_ns < KEEPER_TELL_NS;
}

static int take_row(void *ctx, const struct source_row *r)
{
    struct keeper_input *in = ctx;
    struct keeper *k = in->keeper;
    const struct keeper_group *g;
    struct source_row out = *r;
    struct keep_counts counts;
    uint32_t kept;
    int rc = 0;

    if (r->group >= SOURCE_GROUPS_MAX || k->groups[r->group].channels == NULL)
        return in->out->row(in->out->ctx, r);
    g = &k->groups[r->group];
    if (r->n_cells != g->n)
        return -EINVAL;
    in->last_mono_ns = r->mono_ns;
    if (in->has_wanted)
        rc = keeper_release(in, r->mono_ns);
    if (rc == 0)
        rc = close_windows(in, r->group, r);
    if (rc != 0)
        return rc;
    judge_row(k, g, r, &kept, &counts);
    out.cells = k->cells;
    out.n_cells = g->n_out;
    out.is_account = kept == 0 && keep_counts_any(&counts);
    if (out.is_account && may_wait(in, r)) {
        keep_counts_add(&in->counts, &counts);
        count_all(k, &counts);
        remember_row(k, g, r, false);
        return 0;
    }
    rc = keeper_put(in, &out, &counts);
    if (rc != 0 && rc != KEEPER_LOST)
        return rc;
    remember_row(k, g, r, rc == KEEPER_LOST);
    return rc == KEEPER_LOST && !out.is_account ? SINK_FULL : 0;
}

bool keeper_finish(struct keeper *k, uint32_t group)
{
    static const struct keep_counts nothing;
    struct keeper_group *g = group < SOURCE_GROUPS_MAX ? &k->groups[group] : NULL;
    struct source_row row;

    if (g == NULL)
        return false;
    if (g->channels == NULL)
        return true;
    /* A replay whose ring is full stops behind what is durable, and reads the rest again. */
    if (close_windows(g->in, group, NULL) != 0 || !keep_counts_any(&g->in->counts))
        return true;
    keeper_begin_row(g->in, group, 0, 0, &row);
    row.is_account = true;
    return keeper_put(g->in, &row, &nothing) >= 0;
}

/* ---- groups ---- */

static int take_receipt(void *ctx, const struct source_receipt *r)
{
    struct keeper_input *in = ctx;

    return in->out->receipt(in->out->ctx, r);
}

static int take_event(void *ctx, const struct source_event *e)
{
    struct keeper_input *in = ctx;

    return in->out->event(in->out->ctx, e);
}

const struct source_sink *keeper_sink(struct keeper *k, unsigned source, bool replayable,
                                      const struct config_list *channels)
{
    struct keeper_input *in = &k->inputs[source];

    in->keeper = k;
    in->replayable = replayable;
    in->config = channels;
    in->out = feed_sink(k->feed, source, replayable);
    in->sink = (struct source_sink){in, keeper_take_group, take_row, take_receipt, take_event};
    return &in->sink;
}

void keeper_rows_are_partial(struct keeper *k, unsigned source)
{
    k->inputs[source].rows_are_partial = true;
}
