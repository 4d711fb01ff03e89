/* stage_reader.h - what a record holds, for the stages that look into it: descriptor sets and decoded blocks.
 *
 * Sets are read from the history's table in the open transaction, and kept: a set never changes. A block is
 * decoded once, whichever stages ask for it one after the other. A stage that works something out for a set
 * keeps that under its `slot`, and makes it anew when `serial` is another one. Threads: one owner. Limits:
 * STAGE_SETS; a set makes room for another that falls on its slot. */
#ifndef FOGLINE_FOG_STAGE_READER_H
#define FOGLINE_FOG_STAGE_READER_H

#include "base/name.h"
#include "codec/block.h"
#include "spool/spool.h"
#include "wire/wire.h"

enum { STAGE_SETS = 4096 };

struct stage_channel {
    char name[NAME_PART_CHARS + 1], unit[NAME_PART_CHARS + 1];
    enum column_type type;
    double scale;            /* 0: none */
    const char *const *tags; /* "key=value", ends in NULL */
};

struct stage_set {
    char origin[SPOOL_NAME_BYTES], group[NAME_PART_CHARS + 1];
    uint64_t id;
    unsigned slot;
    uint64_t serial;     /* of this reading of it, from 1; no other has it */
    uint32_t n_channels; /* 0: it cannot be read, and neither can its blocks */
    const struct stage_channel *channels;
    const enum column_type *types;
    const struct block_starts *starts;
};

struct stage_reader;
must_check int stage_reader_new(struct stage_reader **ret_r);
struct stage_reader *stage_reader_free(struct stage_reader *r); /* accepts NULL */

enum { STAGE_NO_SET = 1, STAGE_UNREADABLE = 2 };
/* Of the open transaction. 0; STAGE_NO_SET: its record has not come (DB_FULL: the transaction is lost, and
 * its commit says so); negative errno. Borrowed until the next call. */
must_check int stage_reader_set(struct stage_reader *r, struct db_txn *txn, const char *origin, uint64_t id,
                                const struct stage_set **ret_set);

struct stage_block {
    const struct stage_set *set;
    const struct block *rows;
};
/* The set that a block record is of. 0; STAGE_NO_SET; STAGE_UNREADABLE: no block; negative errno. */
must_check int stage_reader_set_of(struct stage_reader *r, struct db_txn *txn, const struct record *record,
                                   const struct stage_set **ret_set);
/* Its rows. As stage_reader_set_of. Borrowed until the next call, and as long as the record's payload. */
must_check int stage_reader_block(struct stage_reader *r, struct db_txn *txn, const struct record *record,
                                  struct stage_block *ret_b);

/* A cell as it stands in a row; text borrows as the block does. */
struct cell stage_cell(const struct block *b, uint32_t column, uint32_t row);

#endif
