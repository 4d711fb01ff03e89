#include "archive/query.h"

#include "archive/query_private.h"

#include <errno.h>
#include <stdlib.h>

struct query {
    const struct query_options *options;
    struct view *view;
    struct query_table *table;
    /* of the set being scanned */
    const struct view_set *set;
    bool chosen[BLOCK_COLUMNS_MAX];
    uint32_t group_of[BLOCK_COLUMNS_MAX];
    struct query_open *open[BLOCK_COLUMNS_MAX]; /* owned; made when a column is first chosen */
    int only_column;
};

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
        r = query_cells_open(&q->table->cells, q->open[column], k);
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
    int r;

    if (q->options->without_again && (vb->flags & RECORD_FLAG_AGAIN) != 0) {
        q->table->n_again++;
        return 0;
    }
    r = view_decode(q->view, vb, q->only_column, &b);
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
        const struct query_group g = {o->by_site ? set->device->site : NULL,
                                      o->by_device ? set->device->name : NULL,
                                      o->by_channel ? set->channels[i].name : NULL, set->channels[i].unit};

        if (!q->chosen[i])
            continue;
        if (n == 1)
            q->only_column = (int)i;
        r = query_group(q->table, &g, &q->group_of[i]);
        if (r == 0 && q->open[i] == NULL)
            q->open[i] = calloc(1, sizeof *q->open[i]);
        if (r == 0 && q->open[i] == NULL)
            r = -ENOMEM;
    }
    if (r == 0)
        r = view_scan(q->view, set, &o->range, on_block, q);
    for (uint32_t i = 0; i < set->n_channels && r == 0; i++)
        if (q->chosen[i])
            r = query_cells_close(&q->table->cells, q->open[i]);
    return r;
}

static int scan_all(struct query *q)
{
    int r = 0;

    for (size_t i = 0; i < view_n_devices(q->view) && r == 0; i++) {
        const struct view_device *d = view_device_at(q->view, i);

        for (size_t k = 0; k < d->n_sets && r == 0; k++)
            r = query_set(q, &d->sets[k]);
    }
    return r;
}

int query_scan(struct view *v, const struct query_options *options, struct query_table *t)
{
    struct query *q = calloc(1, sizeof *q);
    int r;

    if (q == NULL)
        return -ENOMEM;
    q->options = options;
    q->view = v;
    q->table = t;
    r = scan_all(q);
    for (unsigned i = 0; i < BLOCK_COLUMNS_MAX; i++)
        free(q->open[i]);
    free(q);
    return r;
}

int query_run(struct view *v, const struct query_options *options, struct query_result *ret_q)
{
    struct query_table t;
    int r;

    query_table_init(&t, options);
    r = query_scan(v, options, &t);
    if (r == 0)
        r = query_table_result(&t, options, ret_q);
    query_table_deinit(&t);
    return r;
}
