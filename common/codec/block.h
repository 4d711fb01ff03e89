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

/* Memory for one decoded block, reused from block to block. Text spans borrow the encoded body. */
struct block_store;
must_check int block_store_new(struct block_store **ret_s);
struct block_store *block_store_free(struct block_store *s);

/* Encodings. */
enum block_encoding { BLOCK_ENCODING_RAW = 1 };

/* Appends the encoded columns to out. 0, -EMSGSIZE or -ENOMEM by out's sticky error, -EINVAL for an unknown
 * encoding or a block outside the limits above (no rows, no columns, long text). Takes 64 KiB of stack. */
must_check int block_encode(enum block_encoding encoding, const struct block *b, struct buf *out);

enum { BLOCK_DAMAGED = 1, BLOCK_ENCODING_UNKNOWN = 2 };
/* types/n_columns from the descriptor set; n_rows from the header. Decodes into s; *ret_block is borrowed
 * until the next decode into s and as long as body lives. 0; BLOCK_DAMAGED (never a guess);
 * BLOCK_ENCODING_UNKNOWN; -ENOMEM. Bounded time and memory (18 MiB) for any input. only_column >= 0 decodes
 * just that one column and the times (others are left NULL). */
struct block_shape {
    uint32_t encoding;
    const enum column_type *types;
    uint32_t n_columns, n_rows;
    int only_column; /* -1: all */
};
must_check int block_decode(const struct block_shape *shape, struct span body, struct block_store *s,
                            const struct block **ret_block);

#endif
