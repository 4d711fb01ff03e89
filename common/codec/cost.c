#include "codec/cost.h"

/* A size from COST_SINGLE on counts by its length: a sign, and what is below the leading bit. */
static uint64_t bits_beside(unsigned i)
{
    return i == 0 ? 0 : i < COST_SINGLE ? 1 : i - COST_SINGLE + COST_SINGLE_BITS + 1;
}

/* log2(n), in 1/COST_ONE_BIT, rounded down; n >= 1 */
static uint64_t logarithm(uint32_t n)
{
    unsigned whole = 31 - (unsigned)__builtin_clz(n), k;
    uint64_t x = (uint64_t)n << (31 - whole), part = 0;

    /* x is in [1, 2) x 2^31: squared, the next binary place is whether it passes 2. */
    for (k = 0; k < 8; k++) {
        x = x * x >> 31;
        part = part << 1 | x >> 32;
        x >>= (unsigned)(x >> 32);
    }
    return (uint64_t)whole << 8 | part;
}

uint64_t cost_of(const struct cost *c)
{
    uint64_t bits = 0;
    uint32_t all = 0;
    unsigned i;

    for (i = 0; i < COST_COUNTS; i++) {
        if (c->n[i] == 0)
            continue;
        all += c->n[i];
        bits -= c->n[i] * logarithm(c->n[i]);
        bits += (uint64_t)c->n[i] * COST_ONE_BIT * bits_beside(i);
    }
    return all == 0 ? 0 : bits + all * logarithm(all);
}
