/* rank.h - ranks of integers in a sorted dictionary. Private to common/codec.
 *
 * A converter with few steps, or a value that moves by few different amounts, wastes the numbers in between:
 * its rank among those that occur is smaller. Threads: pure. */
#ifndef FOGLINE_CODEC_RANK_H
#define FOGLINE_CODEC_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RANKS_MAX = 1024,
    RANK_SLOTS = 4096,
};

enum rank_mode { RANK_NONE = 0, RANK_VALUES = 1, RANK_DIFFERENCES = 2, RANK_MODES = 3 };

struct dictionary {
    uint32_t n;
    int64_t *at; /* rising */
};

/* Finds ranks; borrows the dictionary, which must not change, and its slots. */
struct rank_map {
    const struct dictionary *dictionary;
    unsigned shift; /* of hashes of 64 bits to slots */
    uint32_t mask;
    int16_t *slots;
};
/* A power of two for n entries, at most RANK_SLOTS. */
uint32_t rank_slots_for(uint32_t n);
/* n_slots: by rank_slots_for. */
void rank_map_init(struct rank_map *m, int16_t *slots, uint32_t n_slots);
void rank_map_build(struct rank_map *m, const struct dictionary *d);
static inline uint32_t rank_slot(const struct rank_map *m, int64_t x)
{
    return (uint32_t)((uint64_t)x * UINT64_C(0x9e3779b97f4a7c15) >> m->shift);
}
/* -1: not in the dictionary. */
static inline int rank_find(const struct rank_map *m, int64_t x)
{
    uint32_t slot = rank_slot(m, x);

    while (m->slots[slot] >= 0 && m->dictionary->at[m->slots[slot]] != x)
        slot = (slot + 1) & m->mask;
    return m->slots[slot];
}
/* Rank of the first entry >= x, n when there is none. */
uint32_t rank_from(const struct dictionary *d, int64_t x);
/* Where x would stand: rank_from, but the last rank instead of n. The dictionary is not empty. */
uint32_t rank_near(const struct dictionary *d, int64_t x);

/* The distinct among x[0..n), sorted, into d, and their map; false when there are more than max. */
bool rank_collect(const int64_t *x, size_t n, uint32_t max, struct dictionary *d, struct rank_map *m);
/* Ranks of x[0..n) in m's dictionary, -1 for those that are not there; these, sorted, into extra. False when
 * it would pass RANKS_MAX with them. */
bool rank_missing(const struct rank_map *m, const int64_t *x, size_t n, int64_t *ranks,
                  struct dictionary *extra, struct rank_map *scratch);
/* False: more than RANKS_MAX. */
bool rank_merge(struct dictionary *d, const struct dictionary *extra);

#endif
