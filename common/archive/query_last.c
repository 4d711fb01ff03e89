#include "archive/query.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

struct newest {
    struct query_last last;
    bool found;
};

struct last_scan {
    struct view *view;
    const struct view_set *set;
    bool chosen[BLOCK_COLUMNS_MAX];
    int only_column;
    struct newest *at; /* per column of the set */
    uint32_t n_blocks;
};

static void take_cell(struct newest *n, const struct view_set *set, uint32_t column, const struct block *b,
                      uint32_t row)
{
    const struct column *c = &b->columns[column];
    struct query_last *l = &n->last;

    n->found = true;
    *l = (struct query_last){.device = set->device,
                             .channel = &set->channels[column],
                             .time_ns = b->time_ns[row],
                             .quality = c->quality != NULL ? c->quality[row] : QUALITY_GOOD};
    if (c->type == COLUMN_TEXT) {
        size_t len = c->text[row].len <= BLOCK_TEXT_MAX_BYTES ? c->text[row].len : BLOCK_TEXT_MAX_BYTES;

        if (len > 0)
            memcpy(l->text, c->text[row].data, len);
    } else if (c->type == COLUMN_DOUBLE) {
        l->f64 = c->f64[row];
    } else {
        l->i64 = c->i64[row];
    }
}

/* true when no block further back can hold anything newer than what was found. */
static bool all_settled(const struct last_scan *s, const struct view_block *vb)
{
    for (uint32_t i = 0; i < s->set->n_channels; i++) {
        int64_t reach;

        if (!s->chosen[i])
            continue;
        if (!s->at[i].found || s->set->span_max_ns > (uint64_t)INT64_MAX ||
            __builtin_add_overflow(vb->key.time_first_ns, (int64_t)s->set->span_max_ns, &reach) ||
            reach >= s->at[i].last.time_ns)
            return false;
    }
    return true;
}

enum { STOP = 1 };

static int on_block(void *ctx, const struct view_block *vb)
{
    struct last_scan *s = ctx;
    const struct block *b;
    int r;

    if (all_settled(s, vb) || ++s->n_blocks > QUERY_LAST_BLOCKS_MAX)
        return STOP;
    r = view_decode(s->view, vb, s->only_column, &b);
    if (r != 0)
        return r < 0 ? r : 0;
    for (uint32_t i = 0; i < s->set->n_channels; i++) {
        const struct column *c = &b->columns[i];

        if (!s->chosen[i])
            continue;
        for (uint32_t row = 0; row < b->n_rows; row++)
            if ((c->absent == NULL || !c->absent[row]) &&
                (!s->at[i].found || b->time_ns[row] > s->at[i].last.time_ns))
                take_cell(&s->at[i], s->set, i, b, row);
    }
    return 0;
}

static int scan_set(struct view *v, const struct view_set *set, const char *pattern, struct newest *at)
{
    struct last_scan s = {.view = v, .set = set, .only_column = -1, .at = at};
    uint32_t n = view_select(set, pattern, s.chosen);
    int r;

    if (n == 0)
        return 0;
    for (uint32_t i = 0; n == 1 && i < set->n_channels; i++)
        if (s.chosen[i])
            s.only_column = (int)i;
    r = view_scan_back(v, set, on_block, &s);
    return r == STOP ? 0 : r;
}

/* By channel; of one channel the newest last, and of equally new ones that of the later set. */
static int by_channel(const void *a, const void *b)
{
    const struct newest *x = *(const struct newest *const *)a, *y = *(const struct newest *const *)b;
    int c = strcmp(x->last.channel->name, y->last.channel->name);

    if (c == 0)
        c = x->last.time_ns < y->last.time_ns ? -1 : x->last.time_ns > y->last.time_ns;
    return c != 0 ? c : x < y ? -1 : x > y;
}

/* Sets of one device may speak of the same channel (its unit changed, or its starts were learnt anew): the
 * newest of them counts. A device may have thousands of sets, so they are sorted for it. */
static int drop_outdone(struct newest *all, size_t n)
{
    owned(free_ptr) struct newest **found = calloc(n, sizeof *found);
    size_t n_found = 0;

    if (found == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (all[i].found)
            found[n_found++] = &all[i];
    if (n_found > 0)
        qsort(found, n_found, sizeof found[0], by_channel);
    for (size_t i = 0; i + 1 < n_found; i++)
        if (strcmp(found[i]->last.channel->name, found[i + 1]->last.channel->name) == 0)
            found[i]->found = false;
    return 0;
}

static int last_of_device(struct view *v, const struct view_device *d, const char *pattern, query_last_fn fn,
                          void *ctx)
{
    owned(free_ptr) struct newest *all = NULL;
    size_t n = 0, at = 0;
    int r = 0;

    for (size_t i = 0; i < d->n_sets; i++)
        if (view_select(&d->sets[i], pattern, NULL) > 0)
            n += d->sets[i].n_channels;
    if (n == 0)
        return 0;
    all = calloc(n, sizeof *all);
    if (all == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_sets && r == 0; i++)
        if (view_select(&d->sets[i], pattern, NULL) > 0) {
            r = scan_set(v, &d->sets[i], pattern, all + at);
            at += d->sets[i].n_channels;
        }
    if (r == 0)
        r = drop_outdone(all, n);
    for (size_t i = 0; i < n && r == 0; i++)
        if (all[i].found)
            r = fn(ctx, &all[i].last);
    return r;
}

int query_last(struct view *v, const char *pattern, query_last_fn fn, void *ctx)
{
    int r = 0;

    for (size_t i = 0; i < view_n_devices(v) && r == 0; i++)
        r = last_of_device(v, view_device_at(v, i), pattern, fn, ctx);
    return r;
}
