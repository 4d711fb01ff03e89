#include "device/decide/timing.h"

static unsigned class_of(uint64_t ns)
{
    unsigned octave, no;

    if (ns < 16)
        return (unsigned)ns;
    octave = 63 - (unsigned)__builtin_clzll(ns);
    no = 16 + (octave - 4) * 8 + (unsigned)((ns >> (octave - 3)) & 7);
    return no < TIMING_CLASSES ? no : TIMING_CLASSES - 1;
}

static uint64_t end_of(unsigned no)
{
    if (no < 16)
        return no;
    return ((UINT64_C(9) + (no - 16) % 8) << ((no - 16) / 8 + 1)) - 1;
}

static uint64_t load(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

void timing_add(struct timing *t, int64_t ns)
{
    uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    _Atomic uint64_t *class = &t->of_class[class_of(v)];

    atomic_store_explicit(class, load(class) + 1, memory_order_relaxed);
    atomic_store_explicit(&t->n, load(&t->n) + 1, memory_order_relaxed);
    if (v > load(&t->max_ns))
        atomic_store_explicit(&t->max_ns, v, memory_order_relaxed);
}

uint64_t timing_quantile_ns(const struct timing *t, unsigned per_mille)
{
    uint64_t n = load(&t->n), below = 0, max_ns = load(&t->max_ns);

    for (unsigned i = 0; n > 0 && i < TIMING_CLASSES; i++) {
        below += load(&t->of_class[i]);
        if (below * 1000 >= n * per_mille)
            return end_of(i) < max_ns ? end_of(i) : max_ns;
    }
    return max_ns;
}
