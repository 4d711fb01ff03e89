#include "base/histogram.h"

#include <math.h>

/* log2 of HISTOGRAM_STEPS. */
enum { STEP_BITS = 3 };
_Static_assert(1 << STEP_BITS == HISTOGRAM_STEPS, "steps are a power of two");

/* Below HISTOGRAM_STEPS a value is its own bucket; above, the octave and its next STEP_BITS bits. */
static unsigned bucket_of(uint64_t value)
{
    unsigned log2, no;

    if (value < HISTOGRAM_STEPS)
        return (unsigned)value;
    log2 = 63 - (unsigned)__builtin_clzll(value);
    no = (log2 - STEP_BITS + 1) * HISTOGRAM_STEPS +
         (unsigned)(value >> (log2 - STEP_BITS) & (HISTOGRAM_STEPS - 1));
    return no < HISTOGRAM_BUCKETS ? no : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t edge_of(unsigned no)
{
    unsigned octave = no / HISTOGRAM_STEPS;

    if (octave == 0)
        return no;
    return ((uint64_t)(HISTOGRAM_STEPS + no % HISTOGRAM_STEPS + 1) << (octave - 1)) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    _Atomic uint32_t *b = &h->bucket[bucket_of(value)];

    /* One writer: no need for locked additions. */
    atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + 1, memory_order_relaxed);
    if (value > atomic_load_explicit(&h->max, memory_order_relaxed))
        atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        n += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
    return n;
}

uint64_t histogram_max(const struct histogram *h)
{
    return atomic_load_explicit(&h->max, memory_order_relaxed);
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    uint64_t max = histogram_max(h), wanted = (uint64_t)ceil(share * (double)histogram_count(h)), below = 0;

    if (wanted == 0)
        wanted = 1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        if (below >= wanted)
            return edge_of(i) < max ? edge_of(i) : max;
    }
    return below == 0 ? 0 : max;
}

void histogram_clear(struct histogram *h)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&h->bucket[i], 0, memory_order_relaxed);
    atomic_store_explicit(&h->max, 0, memory_order_relaxed);
}
