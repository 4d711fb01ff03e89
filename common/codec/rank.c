#include "codec/rank.h"

#include <stdlib.h>
#include <string.h>

uint32_t rank_slots_for(uint32_t n)
{
    uint32_t slots = 16;

    while (slots < RANK_SLOTS && slots < 4 * n)
        slots *= 2;
    return slots;
}

void rank_map_init(struct rank_map *m, int16_t *slots, uint32_t n_slots)
{
    *m = (struct rank_map){
        .shift = 64 - (unsigned)__builtin_ctz(n_slots), .mask = n_slots - 1, .slots = slots};
}

static void rank_map_add(struct rank_map *m, int64_t x, int16_t rank)
{
    uint32_t slot = rank_slot(m, x);

    while (m->slots[slot] >= 0)
        slot = (slot + 1) & m->mask;
    m->slots[slot] = rank;
}

void rank_map_build(struct rank_map *m, const struct dictionary *d)
{
    uint32_t i;

    memset(m->slots, 0xff, (m->mask + 1) * sizeof *m->slots);
    m->dictionary = d;
    for (i = 0; i < d->n; i++)
        rank_map_add(m, d->at[i], (int16_t)i);
}

uint32_t rank_from(const struct dictionary *d, int64_t x)
{
    uint32_t low = 0, high = d->n;

    while (low < high) {
        uint32_t mid = (low + high) / 2;

        if (d->at[mid] < x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

uint32_t rank_near(const struct dictionary *d, int64_t x)
{
    uint32_t r = rank_from(d, x);

    return r < d->n ? r : d->n - 1;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

bool rank_collect(const int64_t *x, size_t n, uint32_t max, struct dictionary *d, struct rank_map *m)
{
    size_t i;

    d->n = 0;
    rank_map_build(m, d);
    for (i = 0; i < n; i++) {
        if ((i > 0 && x[i] == x[i - 1]) || rank_find(m, x[i]) >= 0)
            continue;
        if (d->n == max)
            return false;
        d->at[d->n] = x[i];
        rank_map_add(m, x[i], (int16_t)d->n++);
    }
    qsort(d->at, d->n, sizeof d->at[0], by_value);
    rank_map_build(m, d);
    return true;
}

bool rank_missing(const struct rank_map *m, const int64_t *x, size_t n, int64_t *ranks,
                  struct dictionary *extra, struct rank_map *scratch)
{
    uint32_t max = RANKS_MAX - m->dictionary->n;
    size_t i;

    extra->n = 0;
    for (i = 0; i < n; i++) {
        ranks[i] = rank_find(m, x[i]);
        if (ranks[i] >= 0)
            continue;
        if (extra->n == 0)
            rank_map_build(scratch, extra);
        if (rank_find(scratch, x[i]) >= 0)
            continue;
        if (extra->n == max)
            return false;
        extra->at[extra->n] = x[i];
        rank_map_add(scratch, x[i], (int16_t)extra->n++);
    }
    qsort(extra->at, extra->n, sizeof extra->at[0], by_value);
    return true;
}

bool rank_merge(struct dictionary *d, const struct dictionary *extra)
{
    uint32_t from = d->n, add = extra->n, to = d->n + extra->n;

    if (to > RANKS_MAX)
        return false;
    d->n = to;
    /* From the back, in place. */
    while (add > 0)
        if (from > 0 && d->at[from - 1] > extra->at[add - 1])
            d->at[--to] = d->at[--from];
        else
            d->at[--to] = extra->at[--add];
    return true;
}
