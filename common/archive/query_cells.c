#include "archive/query_cells.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct query_cells *t, struct cell_key k)
{
    uint64_t h = ((uint64_t)k.bucket ^ (uint64_t)k.group << 32) * UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = (size_t)(h >> 20) & (t->n_alloc - 1);; i = (i + 1) & (t->n_alloc - 1))
        if (!t->at[i].used || (t->at[i].key.group == k.group && t->at[i].key.bucket == k.bucket))
            return i;
}

static int grow(struct query_cells *t)
{
    struct query_cell *old = t->at;
    size_t n_old = t->n_alloc, n = n_old == 0 ? 256 : n_old * 2;
    struct query_cell *at = calloc(n, sizeof *at);

    if (at == NULL)
        return -ENOMEM;
    t->at = at;
    t->n_alloc = n;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].used)
            t->at[slot_of(t, old[i].key)] = old[i];
    free(old);
    return 0;
}

static int pack(struct query_cells *t, struct query_cell *c, const struct aggregate *a)
{
    uint8_t *bytes;

    buf_reset(&t->scratch);
    aggregate_put(a, &t->scratch);
    if (t->scratch.error != 0)
        return t->scratch.error;
    bytes = realloc(c->bytes, t->scratch.len);
    if (bytes == NULL)
        return -ENOMEM;
    memcpy(bytes, t->scratch.data, t->scratch.len);
    c->bytes = bytes;
    c->n_bytes = t->scratch.len;
    return 0;
}

int query_cell_read(const struct query_cell *c, struct sketch *sketch, struct aggregate *ret_a)
{
    struct reader r = reader_of(span_of(c->bytes, c->n_bytes));

    if (c->bytes != NULL)
        return aggregate_get(&r, sketch, ret_a);
    *ret_a = (struct aggregate){.count = 0};
    return 0;
}

static int join_packed(struct query_cells *t, struct query_cell *c, const struct query_open *o)
{
    struct sketch sketch;
    struct aggregate a;
    int r = query_cell_read(c, t->has_sketch ? &sketch : NULL, &a);

    if (r < 0)
        return r;
    aggregate_join(&a, &o->a);
    return pack(t, c, &a);
}

int query_cells_close(struct query_cells *t, struct query_open *o)
{
    struct query_cell *c;
    int r = 0;

    if (o->used && (o->a.count > 0 || o->n_texts > 0)) {
        if (2 * (t->n + 1) > t->n_alloc)
            r = grow(t);
        if (r < 0)
            return r;
        c = &t->at[slot_of(t, o->key)];
        if (!c->used) {
            *c = (struct query_cell){.key = o->key, .used = true};
            t->n++;
        }
        c->n_texts += o->n_texts;
        if (o->a.count > 0)
            r = c->bytes == NULL ? pack(t, c, &o->a) : join_packed(t, c, o);
    }
    o->used = false;
    return r;
}

int query_cells_open(struct query_cells *t, struct query_open *o, struct cell_key key)
{
    int r;

    if (o->used && o->key.group == key.group && o->key.bucket == key.bucket)
        return 0;
    r = query_cells_close(t, o);
    if (r < 0)
        return r;
    o->key = key;
    o->used = true;
    o->n_texts = 0;
    o->a = (struct aggregate){.is_brief = t->is_brief, .sketch = t->has_sketch ? &o->sketch : NULL};
    if (t->has_sketch)
        o->sketch = (struct sketch){.count = 0};
    return 0;
}

void query_cells_deinit(struct query_cells *t)
{
    for (size_t i = 0; i < t->n_alloc; i++)
        free(t->at[i].bytes);
    free(t->at);
    buf_deinit(&t->scratch);
    *t = (struct query_cells){0};
}
