/* learn.h - better starts for the blocks of one group, from rows that went by.
 *
 * Blocks carry nothing over from one to the next, so what they all have in common stands in the descriptor
 * set: the starts. A learner keeps a copy of the next 64 rows of its group, learns starts from them, and
 * holds them against those in use: the same rows, cut as blocks are cut, encoded with both. New ones pay when
 * they save LEARN_GAIN_PERCENT, and within the rows that may be expected (LEARN_HORIZON times those seen)
 * more than the new set costs. It looks again at 256 and 1,024 rows, then after waits that double, an hour
 * apart at least: sets stay in the archive for ever. Starts that were learnt in an earlier life of the device
 * are looked at after 1,024 rows only.
 *
 * Memory: the copy alone, taken from a budget that the groups of a device share and given back after each
 * look; a group that finds no room tries again with its next row. Pure: times are passed in. Threads: one
 * owner. Crash: nothing to lose. */
#ifndef FOGLINE_PACK_LEARN_H
#define FOGLINE_PACK_LEARN_H

#include "codec/block.h"

enum {
    LEARN_BUDGET_BYTES = 256 * 1024,
    LEARN_ROWS_FIRST = 64,
    LEARN_ROWS_MAX = 1024,
    LEARN_ROWS_MIN = 16, /* in fewer there is nothing to learn: what texts leave room for */
    LEARN_SETS_MAX = 6,  /* of one group in one life of the process */
    LEARN_GAIN_PERCENT = 2,
    LEARN_HORIZON = 8,
    LEARN_WAIT_ROWS = 4096, /* after the first three looks, then twice as many, and so on */
};

/* Shared by the learners of a device. */
struct learn_budget {
    size_t left_bytes;
};

struct learner;

struct learner_options {
    const enum column_type *types; /* n_columns; copied */
    const double *error_bounds;    /* likewise */
    uint32_t n_columns;
    enum block_encoding encoding; /* RAW: never learns */
    struct block_coder *coder;    /* borrowed */
    struct learn_budget *budget;  /* borrowed */
    bool warm;                    /* begins with starts of an earlier life */
};

must_check int learner_new(struct learner **ret_l, const struct learner_options *options);
struct learner *learner_free(struct learner *l); /* accepts NULL */

/* A row that went into a block. now_mono_ns: of any moment near. 0 or -ENOMEM. */
must_check int learner_row(struct learner *l, int64_t time_ns, const struct cell *cells, int64_t now_mono_ns);
/* A block was closed: the size that blocks have. */
void learner_block(struct learner *l, uint32_t rows);
/* Enough rows are there: look. */
bool learner_is_due(const struct learner *l);

struct learnt {
    struct span columns[BLOCK_COLUMNS_MAX]; /* start bytes; borrowed until the learner's next look */
    struct span time;
    double old_bytes, new_bytes; /* bodies a row, in the blocks that were compared */
};
enum { LEARN_PAYS = 1 };
/* starts: those in use. set_bytes: what a set costs beside its starts. LEARN_PAYS: *ret is better; 0: no, or
 * not enough; negative errno. */
must_check int learner_look(struct learner *l, const struct block_starts *starts, size_t set_bytes,
                            int64_t now_mono_ns, struct learnt *ret);

#endif
