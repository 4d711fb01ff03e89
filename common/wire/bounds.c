#include "wire/wire.h"

uint64_t *wire_bounds_of(struct wire_arena *a, const struct interval_set *s, uint64_t from, uint64_t to,
                         size_t max_intervals, size_t *ret_n, bool *ret_cut)
{
    size_t first = interval_set_find(s, from), end = first, n, i;
    uint64_t *bounds = NULL;

    while (end < s->n && s->at[end].from <= to && end - first <= max_intervals)
        end++;
    n = end - first;
    if (n > max_intervals)
        n = max_intervals;
    if (n > 0)
        bounds = wire_arena_alloc(a, n * 2 * sizeof *bounds);
    if (bounds == NULL)
        n = 0;
    for (i = 0; i < n; i++) {
        const struct interval *x = &s->at[first + i];

        bounds[2 * i] = x->from > from ? x->from : from;
        bounds[2 * i + 1] = x->to < to ? x->to : to;
    }
    *ret_n = n * 2;
    if (ret_cut != NULL)
        *ret_cut = n < end - first;
    return bounds;
}

bool wire_bounds_ok(const uint64_t *bounds, size_t n, size_t max_intervals)
{
    uint64_t before = 0;
    size_t i;

    if (n % 2 != 0 || n / 2 > max_intervals)
        return false;
    for (i = 0; i < n; i += 2) {
        if (bounds[i] <= before || bounds[i + 1] < bounds[i])
            return false;
        before = bounds[i + 1];
    }
    return before <= SEQ_COUNT_MAX;
}

int wire_bounds_add_to(struct interval_set *s, const uint64_t *bounds, size_t n)
{
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i + 1 < n; i += 2)
        r = interval_set_add(s, bounds[i], bounds[i + 1]);
    return r;
}
