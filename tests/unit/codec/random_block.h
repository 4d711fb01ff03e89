/* random_block.h - seeded blocks of every shape for property tests. */
#ifndef FOGLINE_TESTS_CODEC_RANDOM_BLOCK_H
#define FOGLINE_TESTS_CODEC_RANDOM_BLOCK_H

#include "base/rng.h"
#include "codec/block.h"

struct random_block {
    struct block block;
    struct column *columns;
    enum column_type *types;
    uint8_t *memory;
};

/* Borrows nothing; random_block_deinit frees. */
void random_block_init(struct random_block *rb, struct rng *rng);
void random_block_deinit(struct random_block *rb);
/* Times, types, values (doubles by their bits), absence and quality are the same. */
bool blocks_same(const struct block *a, const struct block *b);
bool columns_same(const struct column *a, const struct column *b, size_t n_rows);

#endif
