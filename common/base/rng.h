/* rng.h - seeded pseudo-random numbers for jitter, simulators and tests (splitmix64; Steele, Lea, Flood
 * 2014). Never for keys: those come from libsodium. */
#ifndef FOGLINE_BASE_RNG_H
#define FOGLINE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_u64(struct rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. n-1; n > 0. The bias of the multiply-shift is below 2^-32 for n < 2^32. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rng_u64(r) * n) >> 64);
}

static inline double rng_unit(struct rng *r) /* [0, 1) */
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *r); /* mean 0, standard deviation 1 (Box-Muller) */

#endif
