#include "archive/query_part.h"

#include "archive/query_private.h"
#include "base/cleanup.h"
#include "base/name.h"
#include "base/numfmt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FORMAT = 1,
    BRIEF = 1,
    SKETCHES = 2,
    ENTRY_GROUP = 1,
    ENTRY_CELL = 2,
    CELL_BYTES_MAX = AGGREGATE_BYTES_MAX + 32
};
enum { BIT_SITE = 1, BIT_DEVICE = 2, BIT_CHANNEL = 4, BIT_UNIT = 8 };

/* ---- giving ---- */

static int by_group(const void *a, const void *b)
{
    const struct query_cell *x = *(const struct query_cell *const *)a,
                            *y = *(const struct query_cell *const *)b;

    if (x->key.group != y->key.group)
        return x->key.group < y->key.group ? -1 : 1;
    return x->key.bucket < y->key.bucket ? -1 : x->key.bucket > y->key.bucket;
}

static uint8_t kind_of(const struct query_table *t)
{
    return (uint8_t)((t->cells.is_brief ? BRIEF : 0) | (t->cells.has_sketch ? SKETCHES : 0));
}

static void put_name(struct buf *b, const char *name)
{
    if (name != NULL)
        buf_append(b, name, strlen(name) + 1);
}

static void put_group(struct buf *b, const struct query_group *g)
{
    buf_u8(b, ENTRY_GROUP);
    buf_u8(b, (uint8_t)((g->site != NULL ? BIT_SITE : 0) | (g->device != NULL ? BIT_DEVICE : 0) |
                        (g->channel != NULL ? BIT_CHANNEL : 0) | (g->unit != NULL ? BIT_UNIT : 0)));
    put_name(b, g->site);
    put_name(b, g->device);
    put_name(b, g->channel);
    put_name(b, g->unit);
}

static void put_cell(struct buf *b, const struct query_cell *c)
{
    buf_u8(b, ENTRY_CELL);
    buf_le64(b, (uint64_t)c->key.bucket);
    buf_varint(b, c->n_texts);
    buf_u8(b, c->bytes != NULL);
    if (c->bytes != NULL)
        buf_append(b, c->bytes, c->n_bytes);
}

static int give(const struct query_table *t, const struct query_cell *const *cells, size_t n,
                int (*out)(void *ctx, struct span part), void *ctx)
{
    owned(buf_deinit) struct buf part = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (part.len > QUERY_PART_BYTES_MAX - CELL_BYTES_MAX - 1024) {
            r = out(ctx, span_of(part.data, part.len));
            buf_reset(&part);
        }
        if (part.len == 0) {
            buf_u8(&part, FORMAT);
            buf_u8(&part, kind_of(t));
        }
        if (part.len == 2 || cells[i]->key.group != cells[i - 1]->key.group)
            put_group(&part, &t->groups[cells[i]->key.group]);
        put_cell(&part, cells[i]);
        r = r == 0 ? part.error : r;
    }
    if (part.len == 0) {
        buf_u8(&part, FORMAT);
        buf_u8(&part, kind_of(t));
    }
    return r == 0 && part.error == 0 ? out(ctx, span_of(part.data, part.len)) : r == 0 ? part.error : r;
}

int query_parts(struct view *v, const struct query_options *options, int (*out)(void *ctx, struct span part),
                void *ctx, uint64_t *ret_again)
{
    const struct query_cell **cells = NULL;
    struct query_table t;
    size_t n = 0;
    int r;

    query_table_init(&t, options);
    r = query_scan(v, options, &t);
    if (r == 0) {
        cells = calloc(t.cells.n + 1, sizeof *cells);
        r = cells == NULL ? -ENOMEM : 0;
    }
    for (size_t i = 0; r == 0 && i < t.cells.n_alloc; i++)
        if (t.cells.at[i].used)
            cells[n++] = &t.cells.at[i];
    if (r == 0) {
        qsort(cells, n, sizeof *cells, by_group);
        r = give(&t, cells, n, out, ctx);
    }
    *ret_again = t.n_again;
    free(cells);
    query_table_deinit(&t);
    return r;
}

/* ---- gathering ---- */

struct gathered {
    struct gathered *next;
    uint8_t bytes[];
};

struct query_gather {
    const struct query_options *options;
    struct query_table table;
    struct gathered *parts; /* what names borrow from */
    struct query_open open;
};

int query_gather_new(struct query_gather **ret_g, const struct query_options *options)
{
    struct query_gather *g = calloc(1, sizeof *g);

    if (g == NULL)
        return -ENOMEM;
    g->options = options;
    query_table_init(&g->table, options);
    *ret_g = g;
    return 0;
}

struct query_gather *query_gather_free(struct query_gather *g)
{
    if (g == NULL)
        return NULL;
    query_table_deinit(&g->table);
    while (g->parts != NULL) {
        struct gathered *p = g->parts;

        g->parts = p->next;
        free(p);
    }
    free(g);
    return NULL;
}

static const char *get_name(struct reader *r, bool is_there)
{
    const char *name = (const char *)r->at;
    size_t n = is_there ? strnlen(name, reader_left(r)) : 0;

    if (!is_there || reader_take(r, n + 1) == NULL)
        return NULL;
    return name;
}

static int get_group(struct query_gather *g, struct reader *r, uint32_t *ret_group)
{
    const struct query_options *o = g->options;
    uint8_t bits = reader_u8(r);
    struct query_group group;

    group.site = get_name(r, (bits & BIT_SITE) != 0);
    group.device = get_name(r, (bits & BIT_DEVICE) != 0);
    group.channel = get_name(r, (bits & BIT_CHANNEL) != 0);
    group.unit = get_name(r, (bits & BIT_UNIT) != 0);
    if (r->bad || (group.site != NULL) != o->by_site || (group.device != NULL) != o->by_device ||
        (group.channel != NULL) != o->by_channel)
        return -EINVAL;
    return query_group(&g->table, &group, ret_group);
}

static int get_cell(struct query_gather *g, struct reader *r, uint32_t group)
{
    struct query_open *o = &g->open;
    int e = 0;

    o->key = (struct cell_key){group, (int64_t)reader_le64(r)};
    o->used = true;
    o->n_texts = reader_varint(r);
    o->a = (struct aggregate){.is_brief = g->table.cells.is_brief};
    if (reader_u8(r) != 0 && !r->bad)
        e = aggregate_get(r, g->table.cells.has_sketch ? &o->sketch : NULL, &o->a);
    if (r->bad)
        e = -EINVAL;
    return e == 0 ? query_cells_close(&g->table.cells, o) : e;
}

int query_gather_add(struct query_gather *g, struct span part)
{
    struct gathered *p = malloc(sizeof *p + part.len + 1);
    struct reader r;
    uint32_t group = 0;
    bool has_group = false;
    int e = 0;

    if (p == NULL)
        return -ENOMEM;
    memcpy(p->bytes, part.data, part.len);
    p->next = g->parts;
    g->parts = p;
    r = reader_of(span_of(p->bytes, part.len));
    if (reader_u8(&r) != FORMAT || reader_u8(&r) != kind_of(&g->table))
        return -EINVAL;
    while (e == 0 && reader_left(&r) > 0) {
        uint8_t entry = reader_u8(&r);

        if (entry == ENTRY_GROUP)
            e = get_group(g, &r, &group);
        else
            e = entry == ENTRY_CELL && has_group ? get_cell(g, &r, group) : -EINVAL;
        has_group = true;
    }
    return e;
}

int query_gather_result(const struct query_gather *g, struct query_result *ret_q)
{
    return query_table_result(&g->table, g->options, ret_q);
}

/* ---- as text ---- */

enum { ORDER_SITE = 1, ORDER_DEVICE = 2, ORDER_CHANNEL = 4, ORDER_BAD = 8, ORDER_WITHOUT_AGAIN = 16 };

bool query_order_format(const struct query_options *o, char *out, size_t out_chars)
{
    unsigned flags = (o->by_site ? ORDER_SITE : 0U) | (o->by_device ? ORDER_DEVICE : 0U) |
                     (o->by_channel ? ORDER_CHANNEL : 0U) | (o->bad_too ? ORDER_BAD : 0U) |
                     (o->without_again ? ORDER_WITHOUT_AGAIN : 0U);
    int n = snprintf(out, out_chars, "%" PRId64 " %" PRId64 " %" PRId64 " %u %" PRIu32 " %s",
                     o->range.from_ns, o->range.to_ns, o->bucket_ns, flags, o->wanted, o->pattern);

    return n > 0 && (size_t)n < out_chars;
}

bool query_order_parse(const char *text, struct query_options *ret_o)
{
    enum { NUMBERS = 5 };
    int64_t v[NUMBERS];
    struct errmsg err;

    for (unsigned i = 0; i < NUMBERS; i++) {
        size_t n = strcspn(text, " ");

        if (text[n] != ' ' || !numfmt_parse_i64(text, n, &v[i]))
            return false;
        text += n + 1;
    }
    if (v[0] > v[1] || v[2] < 0 || v[3] < 0 || v[3] >= 2 * ORDER_WITHOUT_AGAIN || v[4] < 0 ||
        v[4] > UINT32_MAX || pattern_check(text, &err) != 0)
        return false;
    *ret_o = (struct query_options){.pattern = text,
                                    .range = {v[0], v[1]},
                                    .bucket_ns = v[2],
                                    .by_site = (v[3] & ORDER_SITE) != 0,
                                    .by_device = (v[3] & ORDER_DEVICE) != 0,
                                    .by_channel = (v[3] & ORDER_CHANNEL) != 0,
                                    .bad_too = (v[3] & ORDER_BAD) != 0,
                                    .without_again = (v[3] & ORDER_WITHOUT_AGAIN) != 0,
                                    .wanted = (uint32_t)v[4]};
    return true;
}
