/* made_block.h - seeded blocks that look like what sources deliver, and like what they never should.
 *
 * Where random_block.h takes any values, these have the structure that the fast and the small encoding look
 * for: decimals, floats, last bits beside a decimal, few values, few differences, units, ramps, walks. */
#ifndef FOGLINE_TESTS_CODEC_MADE_BLOCK_H
#define FOGLINE_TESTS_CODEC_MADE_BLOCK_H

#include "base/rng.h"
#include "codec/block.h"

struct made_block {
    struct block block;
    enum column_type *types;
    double *bounds; /* of each column; 0 for all but doubles */
    uint8_t *memory;
};

enum { MADE_DOUBLES = 15, MADE_INTEGERS = 8, MADE_TIMES = 8 };

/* A shape by the seed: mostly some columns of some hundred rows, seldom 4096 rows or 256 columns. */
void made_block_init(struct made_block *mb, struct rng *rng);
/* As many rows and columns of these types, all else by the seed. */
void made_block_init_as(struct made_block *mb, struct rng *rng, uint32_t n_rows, uint32_t n_columns,
                        const enum column_type *types);
void made_block_deinit(struct made_block *mb);

/* One column's cells of a kind below MADE_DOUBLES or MADE_INTEGERS; times of one below MADE_TIMES. */
void made_doubles(double *v, size_t n, unsigned kind, struct rng *rng);
void made_integers(int64_t *v, size_t n, unsigned kind, struct rng *rng);
void made_times(int64_t *t, size_t n, unsigned kind, struct rng *rng);

#endif
