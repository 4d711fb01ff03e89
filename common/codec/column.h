/* column.h - one column between its cells and a back end. Private to common/codec.
 *
 * column_split makes a plan of the cells that are present; a back end writes the plan. Reading, the back end
 * fills a plan and column_join makes cells of it. The arrays of a plan live in the coder: one column at a
 * time. */
#ifndef FOGLINE_CODEC_COLUMN_H
#define FOGLINE_CODEC_COLUMN_H

#include "codec/number.h"
#include "codec/range.h"
#include "codec/sequence.h"

enum {
    START_TEXTS_MAX = 32,
    START_TEXT_MAX_BYTES = 32,
    TEXT_SLOTS = 8192,
};

/* What a descriptor says of a column. Cold: all zero. */
struct column_start {
    double error_bound;
    struct number_format format; /* double */
    uint64_t unit;               /* integers and times: cells are offset + unit x integer; 0: none known */
    uint64_t offset;
    struct sequence_start sequence;
    uint32_t n_texts;
    struct span texts[START_TEXTS_MAX]; /* into the start's own bytes */
};

struct block_starts {
    uint64_t digest;
    uint32_t n_columns;
    struct column_start time;
    uint8_t *bytes;
    struct column_start columns[];
};

extern const struct column_start column_start_cold;

struct column_plan {
    enum column_type type;
    uint32_t n_cells; /* present */
    struct number_format format;
    uint64_t unit, offset;
    struct sequence sequence;
    int8_t *ulps;
    struct exception *exceptions;
    uint32_t n_exceptions;
    struct span *texts; /* those that the start does not have */
    uint32_t n_texts;
    uint32_t n_ranks; /* set by column_plan_settle */
};

struct block_coder {
    int64_t integers[BLOCK_ROWS_MAX];
    double values[BLOCK_ROWS_MAX];
    int8_t ulps[BLOCK_ROWS_MAX];
    struct exception exceptions[BLOCK_ROWS_MAX];
    struct span texts[BLOCK_ROWS_MAX];
    int16_t text_slots[TEXT_SLOTS];
    uint8_t skipped[2 * BLOCK_ROWS_MAX]; /* flags of columns that nobody wants */
    struct sequence_work work;
    /* of the small encoding */
    struct range_model fresh, head, first, body;
    struct buf raw;
};

/* Which start the integers of a plan have: a start learnt in another format or unit says nothing of them. */
const struct sequence_start *column_sequence_start(const struct column_start *start,
                                                   const struct column_plan *p);
static inline bool column_format_as_started(const struct column_start *start, const struct column_plan *p)
{
    if (p->type != COLUMN_DOUBLE)
        return start->unit == p->unit && start->offset == p->offset;
    return start->sequence.warm && start->format.kind == p->format.kind &&
           start->format.exponent == p->format.exponent && start->format.has_ulps == p->format.has_ulps;
}

void column_split(struct block_coder *c, const struct column_start *start, bool thorough,
                  const struct column *column, uint32_t n_rows, struct column_plan *ret_p);
/* Arrays of the coder for a back end to fill; n_cells and type are set. */
void column_plan_empty(struct block_coder *c, enum column_type type, uint32_t n_cells,
                       struct column_plan *ret_p);
/* Cells into the arrays of column (absent says where; NULL: everywhere). False when the plan cannot be: an
 * index without text, a bool that is neither. */
must_check bool column_join(struct block_coder *c, const struct column_start *start,
                            const struct column_plan *p, struct column *column, uint32_t n_rows);

/* The arrays that flags of a column are read into: its own, or the coder's when it has none. */
static inline struct column column_or_scratch(struct block_coder *c, const struct column *column)
{
    return column->i64 != NULL
               ? *column
               : (struct column){.absent = c->skipped, .quality = c->skipped + BLOCK_ROWS_MAX};
}
uint32_t count_present(const uint8_t *absent, uint32_t n_rows);
/* Keeps what facts need of the coder's arrays, before another column uses them. */
static inline void column_plan_settle(struct column_plan *p)
{
    p->n_ranks = p->sequence.dictionary == NULL ? 0 : p->sequence.dictionary->n;
}
static inline const struct column_start *start_of(const struct block_starts *starts, uint32_t column)
{
    return starts == NULL ? &column_start_cold : &starts->columns[column];
}
static inline const struct column_start *start_of_times(const struct block_starts *starts)
{
    return starts == NULL ? &column_start_cold : &starts->time;
}

/* Whether a block is within the limits of block.h. */
bool block_ok(const struct block *b);

/* Times relative to their lowest, as a plan of n_rows - 1 differences behind *ret_first. */
void times_split(struct block_coder *c, const struct column_start *start, bool thorough,
                 const int64_t *time_ns, uint32_t n_rows, int64_t *ret_lowest, uint64_t *ret_first,
                 struct column_plan *ret_p);
must_check bool times_join(struct block_coder *c, const struct column_plan *p, int64_t lowest, uint64_t first,
                           uint32_t n_rows, int64_t *time_ns);

/* The back ends. Bodies without the check (block.c). Failures of out stick in out. */
struct column_mark { /* where a column ends, in bytes, or for SMALL in a form that facts are computed from */
    uint64_t bytes, raw_bits, range;
};
void fast_encode(struct block_coder *c, const struct block_starts *starts, const struct block *b,
                 struct buf *out);
void small_encode(struct block_coder *c, const struct block_starts *starts, const struct block *b,
                  struct buf *out);
/* columns: as raw_decode; facts and marks get one entry each for the times and each column read. 0 or
 * BLOCK_DAMAGED. */
must_check int fast_decode(struct block_coder *c, const struct block_shape *shape, struct span body,
                           int64_t *time_ns, struct column *columns, struct column_plan *facts,
                           struct column_mark *marks);
must_check int small_decode(struct block_coder *c, const struct block_shape *shape, struct span body,
                            int64_t *time_ns, struct column *columns, struct column_plan *facts,
                            struct column_mark *marks);

#endif
