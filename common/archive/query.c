#include "archive/query.h"

#include "archive/query_cells.h"
#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct group {
    const char *site, *device, *channel, *unit;
};

struct query {
    const struct query_options *options;
    struct view *view;
    struct group *groups;
    size_t n_groups, alloc_groups;
    uint32_t *group_slots; /* open addressing: index + 1 */
    size_t n_group_slots;
    struct query_cells cells;
    /* of the set being scanned */
    const struct view_set *set;
    bool chosen[BLOCK_COLUMNS_MAX];
    uint32_t group_of[BLOCK_COLUMNS_MAX];
    struct query_open *open[BLOCK_COLUMNS_MAX]; /* owned; made when a column is first chosen */
    int only_column;
};

/* ---- groups ---- */

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; s != NULL && *s != 0; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint64_t group_hash(const struct group *g)
{
    return hash_text(hash_text(hash_text(UINT64_C(0xcbf29ce484222325), g->site), g->device), g->channel);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_group(const struct group *a, const struct group *b)
{
    return same_text(a->site, b->site) && same_text(a->device, b->device) &&
           same_text(a->channel, b->channel);
}

static int groups_grow(struct query *q)
{
    size_t n = q->alloc_groups == 0 ? 64 : q->alloc_groups * 2;
    struct group *at = reallocarray(q->groups, n, sizeof *at);
    uint32_t *slots;

    if (at == NULL)
        return -ENOMEM;
    q->groups = at;
    slots = calloc(2 * n, sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    free(q->group_slots);
    q->group_slots = slots;
    q->n_group_slots = 2 * n;
    q->alloc_groups = n;
    for (size_t i = 0; i < q->n_groups; i++) {
        size_t at_slot = group_hash(&at[i]) & (q->n_group_slots - 1);

        while (slots[at_slot] != 0)
            at_slot = (at_slot + 1) & (q->n_group_slots - 1);
        slots[at_slot] = (uint32_t)i + 1;
    }
    return 0;
}

static int group_of(struct query *q, const struct group *wanted, uint32_t *ret_index)
{
    size_t slot;

    if (q->n_groups == q->alloc_groups) {
        int r = groups_grow(q);

        if (r < 0)
            return r;
    }
    slot = group_hash(wanted) & (q->n_group_slots - 1);
    for (; q->group_slots[slot] != 0; slot = (slot + 1) & (q->n_group_slots - 1)) {
        struct group *g = &q->groups[q->group_slots[slot] - 1];

        if (!same_group(g, wanted))
            continue;
        if (!same_text(g->unit, wanted->unit))
            g->unit = NULL;
        *ret_index = q->group_slots[slot] - 1;
        return 0;
    }
    q->groups[q->n_groups] = *wanted;
    *ret_index = (uint32_t)q->n_groups++;
    q->group_slots[slot] = *ret_index + 1;
    return 0;
}

/* ---- folding ---- */

static int64_t bucket_start(int64_t t, int64_t width)
{
    int64_t rest = t % width;

    return rest < 0 ? t - rest - width : t - rest;
}

static bool counts(const struct query *q, const struct column *c, uint32_t row)
{
    return (c->absent == NULL || !c->absent[row]) &&
           (q->options->bad_too || c->quality == NULL || c->quality[row] != QUALITY_BAD);
}

/* Times beyond what an aggregate takes are those of clocks gone wrong, and of an end of the range. */
static int64_t within(int64_t time_ns)
{
    const int64_t most = INT64_C(1) << 62;

    return time_ns > most ? most : time_ns < -most ? -most : time_ns;
}

/* Rows [from, to) of a column into its open cell. */
static void fold_rows(const struct query *q, const struct view_channel *ch, const struct block *b,
                      const struct column *c, uint32_t from, uint32_t to, struct query_open *o)
{
    for (uint32_t i = from; i < to; i++) {
        if (!counts(q, c, i))
            continue;
        if (c->type == COLUMN_TEXT)
            o->n_texts++;
        else
            aggregate_add(&o->a, within(b->time_ns[i]), view_number(ch, c, i));
    }
}

static int fold_column(struct query *q, const struct block *b, uint32_t column)
{
    const struct view_range *range = &q->options->range;
    int64_t width = q->options->bucket_ns;

    for (uint32_t i = 0; i < b->n_rows;) {
        int64_t t = b->time_ns[i], from = range->from_ns, to = range->to_ns;
        struct cell_key k = {q->group_of[column], 0};
        uint32_t end = i + 1;
        int r;

        if (t < range->from_ns || t >= range->to_ns) {
            i++;
            continue;
        }
        if (width > 0) {
            k.bucket = bucket_start(t, width);
            from = k.bucket > from ? k.bucket : from;
            to = k.bucket > INT64_MAX - width || k.bucket + width > to ? to : k.bucket + width;
        }
        while (end < b->n_rows && b->time_ns[end] >= from && b->time_ns[end] < to)
            end++;
        r = query_cells_open(&q->cells, q->open[column], k);
        if (r < 0)
            return r;
        fold_rows(q, &q->set->channels[column], b, &b->columns[column], i, end, q->open[column]);
        i = end;
    }
    return 0;
}

static int on_block(void *ctx, const struct view_block *vb)
{
    struct query *q = ctx;
    const struct block *b;
    int r = view_decode(q->view, vb, q->only_column, &b);

    if (r != 0)
        return r < 0 ? r : 0; /* damaged ones are counted by the view */
    for (uint32_t i = 0; i < q->set->n_channels && r == 0; i++)
        if (q->chosen[i])
            r = fold_column(q, b, i);
    return r;
}

static int query_set(struct query *q, const struct view_set *set)
{
    const struct query_options *o = q->options;
    uint32_t n = view_select(set, o->pattern, q->chosen);
    int r = 0;

    if (n == 0)
        return 0;
    q->set = set;
    q->only_column = -1;
    for (uint32_t i = 0; i < set->n_channels && r == 0; i++) {
        const struct group g = {o->by_site ? set->device->site : NULL,
                                o->by_device ? set->device->name : NULL,
                                o->by_channel ? set->channels[i].name : NULL, set->channels[i].unit};

        if (!q->chosen[i])
            continue;
        if (n == 1)
            q->only_column = (int)i;
        r = group_of(q, &g, &q->group_of[i]);
        if (r == 0 && q->open[i] == NULL)
            q->open[i] = calloc(1, sizeof *q->open[i]);
        if (r == 0 && q->open[i] == NULL)
            r = -ENOMEM;
    }
    if (r == 0)
        r = view_scan(q->view, set, &o->range, on_block, q);
    for (uint32_t i = 0; i < set->n_channels && r == 0; i++)
        if (q->chosen[i])
            r = query_cells_close(&q->cells, q->open[i]);
    return r;
}

static int text_order(const char *a, const char *b)
{
    return a == NULL || b == NULL ? 0 : strcmp(a, b);
}

static int row_order(const void *a, const void *b)
{
    const struct query_row *x = a, *y = b;
    int c = text_order(x->site, y->site);

    if (c == 0)
        c = text_order(x->device, y->device);
    if (c == 0)
        c = text_order(x->channel, y->channel);
    if (c == 0)
        c = x->bucket_ns < y->bucket_ns ? -1 : x->bucket_ns > y->bucket_ns;
    return c;
}

static void tell(const struct query_options *o, const struct aggregate *a, double stat[QUERY_STATS])
{
    for (unsigned i = 0; i < QUERY_STATS; i++)
        stat[i] = NAN;
    if (a->count == 0)
        return;
    stat[QUERY_MIN] = a->min;
    stat[QUERY_MAX] = a->max;
    stat[QUERY_AVG] = aggregate_mean(a);
    stat[QUERY_SUM] = aggregate_sum(a);
    stat[QUERY_FIRST] = a->first.value;
    stat[QUERY_LAST] = a->last.value;
    stat[QUERY_RATE] = aggregate_rate_per_s(a);
    if ((o->wanted & QUERY_BIT(QUERY_STDDEV)) != 0)
        stat[QUERY_STDDEV] = aggregate_stddev(a);
    if ((o->wanted & QUERY_BIT(QUERY_TIME_AVG)) != 0)
        stat[QUERY_TIME_AVG] = aggregate_time_weighted_mean(a, a->first.time_ns, a->last.time_ns, NULL);
    if (a->sketch == NULL)
        return;
    stat[QUERY_P50] = sketch_quantile(a->sketch, 0.5);
    stat[QUERY_P90] = sketch_quantile(a->sketch, 0.9);
    stat[QUERY_P99] = sketch_quantile(a->sketch, 0.99);
    stat[QUERY_P_ERROR] = sketch_error(a->sketch);
}

static int collect(const struct query *q, struct query_result *ret_q)
{
    struct query_result res = {.at = calloc(q->cells.n + 1, sizeof *res.at)};
    struct sketch sketch;
    int r = 0;

    if (res.at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < q->cells.n_alloc && r == 0; i++) {
        const struct query_cell *c = &q->cells.at[i];
        const struct group *g = &q->groups[c->key.group];
        struct query_row *row = &res.at[res.n];
        struct aggregate a;

        if (!c->used)
            continue;
        r = query_cell_read(c, q->cells.has_sketch ? &sketch : NULL, &a);
        if (r < 0)
            break;
        *row = (struct query_row){.site = g->site,
                                  .device = g->device,
                                  .channel = g->channel,
                                  .unit = g->unit,
                                  .bucket_ns = c->key.bucket,
                                  .count = c->n_texts + a.count};
        tell(q->options, &a, row->stat);
        res.n++;
    }
    if (r < 0) {
        query_result_deinit(&res);
        return r;
    }
    qsort(res.at, res.n, sizeof *res.at, row_order);
    query_result_deinit(ret_q);
    *ret_q = res;
    return 0;
}

void query_result_deinit(struct query_result *q)
{
    free(q->at);
    *q = (struct query_result){0};
}

int query_run(struct view *v, const struct query_options *options, struct query_result *ret_q)
{
    struct query *q = calloc(1, sizeof *q);
    int r = 0;

    if (q == NULL)
        return -ENOMEM;
    q->options = options;
    q->view = v;
    q->cells.is_brief = (options->wanted & (QUERY_BIT(QUERY_STDDEV) | QUERY_BIT(QUERY_TIME_AVG))) == 0;
    q->cells.has_sketch = (options->wanted & (QUERY_BIT(QUERY_P50) | QUERY_BIT(QUERY_P90) |
                                              QUERY_BIT(QUERY_P99) | QUERY_BIT(QUERY_P_ERROR))) != 0;
    for (size_t i = 0; i < view_n_devices(v) && r == 0; i++) {
        const struct view_device *d = view_device_at(v, i);

        for (size_t k = 0; k < d->n_sets && r == 0; k++)
            r = query_set(q, &d->sets[k]);
    }
    if (r == 0)
        r = collect(q, ret_q);
    free(q->groups);
    free(q->group_slots);
    query_cells_deinit(&q->cells);
    for (unsigned i = 0; i < BLOCK_COLUMNS_MAX; i++)
        free(q->open[i]);
    free(q);
    return r;
}
