/* sequence.h - integers as ranks and residuals of predictors: what both back ends write. Private to
 * common/codec.
 *
 * sequence_split decides (ranks or not, which predictor) and leaves residuals; sequence_join is its inverse.
 * Arithmetic wraps modulo 2^64, so any integers pass. Threads: pure; the work is the caller's. */
#ifndef FOGLINE_CODEC_SEQUENCE_H
#define FOGLINE_CODEC_SEQUENCE_H

#include "codec/block.h"
#include "codec/rank.h"

/* From the integers before: x1, x2. A mean moves by 1/2^k of the way to each integer, k = 1 .. 5, at first
 * faster. */
enum predictor {
    PREDICT_CONSTANT = 0,
    PREDICT_LAST = 1,
    PREDICT_LINE = 2,      /* 2 x1 - x2 */
    PREDICT_HALF_LINE = 3, /* x1 + (x1 - x2) / 2 */
    PREDICT_MEAN = 4,      /* and on to 8 */
    PREDICTORS = 9,
};

/* What a descriptor says of the integers of a column. */
struct sequence_start {
    bool warm;
    uint8_t predictor, rank_mode;
    uint8_t level;                 /* of residuals, as level_mean */
    uint8_t base_level;            /* of base - center */
    int64_t center;                /* where a block is likely to begin */
    struct dictionary *dictionary; /* NULL unless rank_mode */
    struct rank_map *map;
};

enum rank_change { RANK_AS_STARTED = 0, RANK_ADDED = 1, RANK_ANEW = 2, RANK_LEFT = 3 };

struct sequence {
    uint8_t predictor, rank_mode, rank_change;
    uint32_t n, n_residuals;
    int64_t base; /* the first integer or its rank; PREDICT_CONSTANT: of all residuals, unless ranks are of
                     differences */
    int64_t *residuals;
    bool is_zigzag;                /* the residuals still are: 0, -1, 1 ... as 0, 1, 2 */
    struct dictionary *dictionary; /* in force; NULL: none */
    struct dictionary *extra;      /* ADDED: the new entries */
    unsigned level; /* mean of log2(1 + |residual|), rounded, at most 47: for SMALL without a start */
};

/* Memory for one sequence at a time. */
struct sequence_work {
    int64_t ranks[BLOCK_ROWS_MAX], residuals[BLOCK_ROWS_MAX], differences[BLOCK_ROWS_MAX];
    struct dictionary dictionary, extra, other;
    struct rank_map map, scratch;
    /* what these point to */
    int64_t entries[3][RANKS_MAX];
    int16_t slots[2][RANK_SLOTS];
};
/* Once; the work must not be moved afterwards. */
void sequence_work_init(struct sequence_work *w);

/* thorough: tries all predictors, and ranks of its own when the start is cold. n >= 1. */
void sequence_split(struct sequence_work *w, const struct sequence_start *start, bool thorough,
                    const int64_t *x, size_t n, struct sequence *ret_s);
/* False when a rank is outside the dictionary. Everything else may hold anything. */
must_check bool sequence_join(const struct sequence *s, int64_t *x);

/* How many residuals a sequence of n has. */
static inline uint32_t sequence_residuals(uint32_t n, unsigned predictor, unsigned rank_mode)
{
    return predictor == PREDICT_CONSTANT && rank_mode != RANK_DIFFERENCES ? n : n - 1;
}

/* A mean size in 1/128 from a level of a start: 0 is 0, then quarter powers of two. */
enum { LEVEL_MAX = 4 * 47 + 4 };
static inline uint64_t level_mean(unsigned level)
{
    return level == 0 ? 0 : (uint64_t)(4 + (level - 1) % 4) * 32 << (level - 1) / 4;
}
unsigned level_of_mean(uint64_t mean);

#endif
