/* cost.h - what integers will cost, from how often each size occurs. Private to common/codec.
 *
 * The entropy of the sizes, and a bit for each sign and for what is below the leading bit of a large one:
 * within a few percent of what the range coder makes of them, without coding them. Integers only, so that
 * all processors choose alike. Threads: pure. */
#ifndef FOGLINE_CODEC_COST_H
#define FOGLINE_CODEC_COST_H

#include <stdint.h>

enum {
    COST_SINGLE_BITS = 3,
    COST_SINGLE = 1 << COST_SINGLE_BITS, /* sizes below have a count each, the others one a bit length */
    COST_COUNTS = COST_SINGLE + 64 - COST_SINGLE_BITS,
    COST_ONE_BIT = 256,
};

/* The least n with a < 2^n; 0 for 0. */
static inline unsigned bit_length(uint64_t a)
{
    return a == 0 ? 0 : 64 - (unsigned)__builtin_clzll(a);
}

/* Zero-initialised is empty. */
struct cost {
    uint32_t n[COST_COUNTS];
};

static inline void cost_add(struct cost *c, uint64_t size)
{
    c->n[size < COST_SINGLE ? size : COST_SINGLE - 1 - COST_SINGLE_BITS + bit_length(size)]++;
}

/* In 1/COST_ONE_BIT, of all that were added: at most 2^24 of them. */
uint64_t cost_of(const struct cost *c);

#endif
