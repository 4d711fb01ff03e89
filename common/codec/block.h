/* block.h - columns of samples in memory, and the interface every encoding stands behind.
 *
 * A block is the rows of one group of channels of one device. A cell may be absent (not the same as NaN);
 * each cell has a quality. In memory columns are plain arrays; on the wire and on disk they are the bytes an
 * encoding makes of them (README.md). The encoding of a block is named in its header, so blocks of several
 * encodings live side by side. */
#ifndef FOGLINE_CODEC_BLOCK_H
#define FOGLINE_CODEC_BLOCK_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BLOCK_ROWS_MAX = 4096,
    BLOCK_COLUMNS_MAX = 256,
    BLOCK_TEXT_MAX_BYTES = 255,
};
/* Twice this is a double still. */
#define BLOCK_ERROR_BOUND_MAX 1e300

/* Numbers as in proto/record.proto, ValueType. */
enum column_type { COLUMN_DOUBLE = 1, COLUMN_INT64 = 2, COLUMN_BOOL = 3, COLUMN_TEXT = 4 };

enum quality {
    QUALITY_GOOD = 0,
    QUALITY_UNCERTAIN = 1,
    QUALITY_BAD = 2,
    QUALITY_STALE = 3,
};

/* One value of any type; text borrows. */
struct cell {
    bool absent;
    uint8_t quality; /* enum quality */
    union {
        double f64;
        int64_t i64; /* bool: 0 or 1 */
        struct span text;
    };
};

struct column {
    enum column_type type;
    /* One of the two arrays, by type; n_rows entries. Absent cells hold 0 / an empty span. */
    union {
        double *f64;
        int64_t *i64; /* int64 and bool */
        struct span *text;
    };
    uint8_t *absent;  /* n_rows flags, or NULL: none is absent */
    uint8_t *quality; /* n_rows values, or NULL: all good */
};

struct block {
    uint32_t n_rows, n_columns;
    int64_t *time_ns; /* n_rows; any order, equal times are distinct rows */
    struct column *columns;
};

/* Collects rows into columns; all memory is allocated in packer_new. */
struct packer;
must_check int packer_new(struct packer **ret_p, const enum column_type *types, uint32_t n_columns,
                          uint32_t max_rows);
struct packer *packer_free(struct packer *p); /* accepts NULL */
enum { PACKER_FULL = 1 };
/* cells: n_columns, text is copied. 0; PACKER_FULL when max_rows are in or texts would pass 48 KiB (nothing
 * added); -EINVAL for a text over BLOCK_TEXT_MAX_BYTES or an unknown quality (nothing added): sources cut and
 * map before. */
must_check int packer_add(struct packer *p, int64_t time_ns, const struct cell *cells);
/* The rows so far; borrowed until the next packer_add or packer_clear. */
const struct block *packer_block(const struct packer *p);
/* Upper bound of the raw encoding of what is inside, in bytes. */
size_t packer_raw_bytes(const struct packer *p);
uint32_t packer_samples(const struct packer *p); /* present cells */
void packer_clear(struct packer *p);

/* Memory for one decoded block, reused from block to block. Text spans borrow the encoded body, the starts or
 * this. */
struct block_store;
must_check int block_store_new(struct block_store **ret_s);
struct block_store *block_store_free(struct block_store *s);

/* Encodings. FAST and SMALL share one front end (number formats, ranks, predictors) and differ in how they
 * write what is left: bit-packed frames for speed, an adaptive range coder for size. */
enum block_encoding { BLOCK_ENCODING_RAW = 1, BLOCK_ENCODING_FAST = 2, BLOCK_ENCODING_SMALL = 3 };
const char *block_encoding_name(uint32_t encoding); /* "raw", "fast", "small"; "unknown" */

/* What is known of the columns of a descriptor set before the first row of any of its blocks: an error bound
 * and how such columns used to look. Encoder and decoder must be given the same. Immutable; may be shared by
 * threads. */
struct block_starts;
struct block_start_bytes {
    const double *
        error_bounds; /* one for each column: 0 exact, else double cells may be off by so much; NULL: all 0 */
    const struct span *columns; /* as made by block_learn; an empty one starts cold; NULL: all cold */
    struct span time;
};
/* 0; -EINVAL: bytes that block_learn never makes, a bound below 0 or above BLOCK_ERROR_BOUND_MAX, or one for
 * a column that is not double; -ENOMEM. The bytes are copied. */
must_check int block_starts_new(struct block_starts **ret_s, const enum column_type *types,
                                uint32_t n_columns, const struct block_start_bytes *bytes);
struct block_starts *block_starts_free(struct block_starts *s); /* accepts NULL */

/* Working memory of an encoder, about 370 KiB of which only touched pages count; nothing is remembered from
 * block to block. One thread at a time. */
struct block_coder;
must_check int block_coder_new(struct block_coder **ret_c);
struct block_coder *block_coder_free(struct block_coder *c); /* accepts NULL */

/* Appends the encoded columns to out. starts: NULL is cold and exact. coder: may be NULL for RAW, which knows
 * neither starts nor bounds: what it stores is exact. 0, -EMSGSIZE or -ENOMEM by out's sticky error, -EINVAL
 * for an unknown encoding or a block outside the limits above (no rows, no columns, long text). Takes up to
 * 64 KiB of stack. */
must_check int block_encode(struct block_coder *coder, enum block_encoding encoding,
                            const struct block_starts *starts, const struct block *b, struct buf *out);

/* The n rows from row `from` as a block of their own that borrows b's arrays; columns: room for b->n_columns.
 */
void block_slice(const struct block *b, uint32_t from, uint32_t n, struct column *columns,
                 struct block *ret_b);

/* Learns from rows that were sampled (some hundreds are better than some ten) how blocks of such columns
 * should start. Appends to out; ret_columns (n_columns of them) and ret_time borrow out's bytes until it
 * grows: together less than 1 KiB for each column. error_bounds: as in block_start_bytes, or NULL. 0,
 * -ENOMEM, -EINVAL as block_encode. */
must_check int block_learn(struct block_coder *coder, const struct block *b, const double *error_bounds,
                           struct buf *out, struct span *ret_columns, struct span *ret_time);

enum { BLOCK_DAMAGED = 1, BLOCK_ENCODING_UNKNOWN = 2 };
/* types/n_columns from the descriptor set; n_rows, time_first_ns (the lowest time in the block) from the
 * header; starts of the set, or NULL. Decodes into s; *ret_block is borrowed until the next decode into s and
 * as long as body and starts live. 0; BLOCK_DAMAGED (never a guess); BLOCK_ENCODING_UNKNOWN; -ENOMEM. Bounded
 * time and memory (18 MiB) for any input. only_column >= 0 gives just that one column and the times (others
 * are left NULL). */
struct block_shape {
    uint32_t encoding;
    const enum column_type *types;
    uint32_t n_columns, n_rows;
    int only_column; /* -1: all */
    int64_t time_first_ns;
    const struct block_starts *starts;
};
must_check int block_decode(const struct block_shape *shape, struct span body, struct block_store *s,
                            const struct block **ret_block);

/* How the columns of the block decoded last were written, for people who wonder why it is as long as it is.
 * column: -1 the times. */
struct column_facts {
    const char *numbers; /* "decimal", "float", "bits", "integer", "bounded", "text", "bool"; raw: "fixed" */
    unsigned exponent;   /* decimal places; dropped low bits of "bits" */
    bool has_ulps;       /* cells are a last bit or more beside their decimal, told cell by cell */
    const char *predictor; /* "constant", "last", "line", "half-line", "mean-2" ... "mean-32" */
    const char *ranks;     /* "none", "values", "differences" */
    uint32_t n_ranks, n_cells, n_exceptions;
    double body_bytes; /* of this column; with SMALL to a fraction of a bit */
};
void block_store_facts(const struct block_store *s, int column, struct column_facts *ret_facts);

#endif
