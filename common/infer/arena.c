#include "infer/arena.h"

#include "base/cleanup.h"
#include "infer/model_format.h"

#include <stdlib.h>

struct place {
    struct arena_block *block;
    size_t end;
};

static int by_size(const void *pa, const void *pb)
{
    const struct arena_block *const *a = pa, *const *b = pb;

    if ((*a)->bytes != (*b)->bytes)
        return (*a)->bytes > (*b)->bytes ? -1 : 1;
    return *a < *b ? -1 : *a > *b;
}

static bool live_together(const struct arena_block *a, const struct arena_block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` is by offset: the lowest gap between those that live at the same time. */
static size_t lowest_gap(const struct arena_block *b, const struct place *placed, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (!live_together(b, placed[i].block))
            continue;
        if (placed[i].block->offset >= at + b->bytes)
            break;
        if (placed[i].end > at)
            at = placed[i].end;
    }
    return at;
}

int arena_place(struct arena_block *blocks, size_t n, size_t *ret_bytes)
{
    owned(free_ptr) struct arena_block **order = calloc(n + 1, sizeof *order);
    owned(free_ptr) struct place *placed = calloc(n + 1, sizeof *placed);
    size_t total = 0, n_placed = 0;

    if (order == NULL || placed == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        order[i] = &blocks[i];
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n && order[i]->bytes > 0; i++) {
        struct arena_block *b = order[i];
        size_t k = n_placed;

        b->offset = lowest_gap(b, placed, n_placed);
        for (; k > 0 && placed[k - 1].block->offset > b->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = (struct place){b, b->offset + model_align(b->bytes)};
        n_placed++;
        if (placed[k].end > total)
            total = placed[k].end;
    }
    *ret_bytes = total;
    return 0;
}
