#include "archive/query_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void query_table_init(struct query_table *t, const struct query_options *options)
{
    *t = (struct query_table){.n_groups = 0};
    t->cells.is_brief = (options->wanted & (QUERY_BIT(QUERY_STDDEV) | QUERY_BIT(QUERY_TIME_AVG))) == 0;
    t->cells.has_sketch = (options->wanted & (QUERY_BIT(QUERY_P50) | QUERY_BIT(QUERY_P90) |
                                              QUERY_BIT(QUERY_P99) | QUERY_BIT(QUERY_P_ERROR))) != 0;
}

void query_table_deinit(struct query_table *t)
{
    free(t->groups);
    free(t->slots);
    query_cells_deinit(&t->cells);
    *t = (struct query_table){.n_groups = 0};
}

/* ---- groups ---- */

static uint64_t hash_text(uint64_t h, const char *s)
{
    for (; s != NULL && *s != 0; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint64_t group_hash(const struct query_group *g)
{
    return hash_text(hash_text(hash_text(UINT64_C(0xcbf29ce484222325), g->site), g->device), g->channel);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_group(const struct query_group *a, const struct query_group *b)
{
    return same_text(a->site, b->site) && same_text(a->device, b->device) &&
           same_text(a->channel, b->channel);
}

static int groups_grow(struct query_table *t)
{
    size_t n = t->alloc_groups == 0 ? 64 : t->alloc_groups * 2;
    struct query_group *at = reallocarray(t->groups, n, sizeof *at);
    uint32_t *slots;

    if (at == NULL)
        return -ENOMEM;
    t->groups = at;
    slots = calloc(2 * n, sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    free(t->slots);
    t->slots = slots;
    t->n_slots = 2 * n;
    t->alloc_groups = n;
    for (size_t i = 0; i < t->n_groups; i++) {
        size_t at_slot = group_hash(&at[i]) & (t->n_slots - 1);

        while (slots[at_slot] != 0)
            at_slot = (at_slot + 1) & (t->n_slots - 1);
        slots[at_slot] = (uint32_t)i + 1;
    }
    return 0;
}

int query_group(struct query_table *t, const struct query_group *wanted, uint32_t *ret_index)
{
    size_t slot;

    if (t->n_groups == t->alloc_groups) {
        int r = groups_grow(t);

        if (r < 0)
            return r;
    }
    slot = group_hash(wanted) & (t->n_slots - 1);
    for (; t->slots[slot] != 0; slot = (slot + 1) & (t->n_slots - 1)) {
        struct query_group *g = &t->groups[t->slots[slot] - 1];

        if (!same_group(g, wanted))
            continue;
        if (!same_text(g->unit, wanted->unit))
            g->unit = NULL;
        *ret_index = t->slots[slot] - 1;
        return 0;
    }
    t->groups[t->n_groups] = *wanted;
    *ret_index = (uint32_t)t->n_groups++;
    t->slots[slot] = *ret_index + 1;
    return 0;
}

/* ---- results ---- */

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

int query_table_result(const struct query_table *t, const struct query_options *options,
                       struct query_result *ret_q)
{
    struct query_result res = {.at = calloc(t->cells.n + 1, sizeof *res.at)};
    struct sketch sketch;
    int r = 0;

    if (res.at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < t->cells.n_alloc && r == 0; i++) {
        const struct query_cell *c = &t->cells.at[i];
        const struct query_group *g = &t->groups[c->key.group];
        struct query_row *row = &res.at[res.n];
        struct aggregate a;

        if (!c->used)
            continue;
        r = query_cell_read(c, t->cells.has_sketch ? &sketch : NULL, &a);
        if (r < 0)
            break;
        *row = (struct query_row){.site = g->site,
                                  .device = g->device,
                                  .channel = g->channel,
                                  .unit = g->unit,
                                  .bucket_ns = c->key.bucket,
                                  .count = c->n_texts + a.count};
        tell(options, &a, row->stat);
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
