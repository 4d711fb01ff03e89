/* round_trip.h - what must hold of the fast and the small encoding for every block, by seed; shared by the
 * unit tests and the soak program. */
#ifndef FOGLINE_TESTS_CODEC_ROUND_TRIP_H
#define FOGLINE_TESTS_CODEC_ROUND_TRIP_H

#include "made_block.h"

struct round_trip {
    struct block_coder *coders[2];
    struct block_store *stores[2];
    struct buf bodies[2], learnt;
    /* totals */
    uint64_t n_blocks, n_rows, n_samples, raw_bytes, fast_bytes, small_bytes, n_hostile, n_hostile_rows;
};

void round_trip_init(struct round_trip *rt);
void round_trip_deinit(struct round_trip *rt);

/* Makes the seed's block, learns from a part of it and from another one, and writes and reads it with both
 * encodings in all these ways. NULL, or what does not hold. */
const char *round_trip_seed(struct round_trip *rt, uint64_t seed);

/* Mutates the seed's bodies and starts, with a right check over them, and reads them: NULL, or what does not
 * hold (a crash is seen otherwise). */
const char *round_trip_hostile(struct round_trip *rt, uint64_t seed);

/* Whether b is what a must come back as: times, types, flags; values bit for bit, or within the bounds (NULL:
 * none), where NaN, infinities and what has no bound are exact. */
bool round_trip_same(const struct block *a, const struct block *b, const double *bounds);

#endif
