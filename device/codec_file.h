/* codec_file.h - blocks in a file: what `fogline-codec` writes and reads.
 *
 * A container for looking at the encodings and for keeping or passing on a table; no daemon uses it. All
 * integers are little-endian. checkN is BLAKE2b of N bytes.
 *
 *   head    89 46 47 4c 0d 0a 1a 0a | u32 version 1 | u32 n | n bytes of description | check16 of all before
 *   frames  48 bytes and a body each, one for each block, and one at the end
 *
 *   description  u32 n_columns (1..256) | u32 most rows of a block | the times, then each column:
 *                times: u8 n, name | u32 n, start       column: u8 type (codec/block.h) | f64 bound | as
 * times frame        "FGLB" | u32 body bytes | u64 number, from 1 | u32 rows | u32 encoding | i64 lowest
 * time, ns | check8 of the body | check8 of the 40 bytes before, keyed by the head's check16 | body last
 * frame   "FGLE" | 0 | u64 number of blocks | 0 | 0 | i64 rows in all | check8 of nothing | check8
 *
 * Name: as in the header of the CSV file. Start: what block_learn gave, or nothing. A frame is found again
 * behind a damaged one by its first four bytes and its check, so damage costs the blocks it touches and no
 * others; the key keeps frames of other files out. The checks find accidents: whoever wants to forge a file
 * can, and block_decode stands that.
 *
 * Threads: values. Memory: reading borrows the whole file. */
#ifndef FOGLINE_DEVICE_CODEC_FILE_H
#define FOGLINE_DEVICE_CODEC_FILE_H

#include "device/codec_table.h"

enum {
    CODEC_FILE_VERSION = 1,
    CODEC_FILE_MAGIC_BYTES = 8,
    CODEC_FILE_KEY_BYTES = 16,
    CODEC_FILE_FRAME_BYTES = 48,
    CODEC_FILE_HEAD_MAX_BYTES = 1 << 20,
    CODEC_FILE_BODY_MAX_BYTES = 16 << 20,
};
#define CODEC_FILE_MAX_BYTES (UINT64_C(4) << 30)

/* ---- writing ---- */

struct codec_file_options {
    enum block_encoding encoding;
    uint32_t rows;        /* of a block, 1..BLOCK_ROWS_MAX */
    const double *bounds; /* of each column, or NULL: all exact */
    bool cold;            /* no starts are learned */
};
struct codec_file_made {
    uint64_t n_blocks, body_bytes, start_bytes;
};
/* Writes the whole file into out, which must be empty. Starts are learned from the first BLOCK_ROWS_MAX rows.
 * 0, -ENOMEM, -EINVAL (of block_encode). */
must_check int codec_file_make(const struct codec_table *t, const struct codec_file_options *o,
                               struct buf *out, struct codec_file_made *ret_made);

/* ---- reading ---- */

struct codec_file {
    struct span bytes; /* borrowed, as everything below */
    uint32_t n_columns, rows;
    enum column_type types[BLOCK_COLUMNS_MAX];
    double bounds[BLOCK_COLUMNS_MAX];
    struct span names[BLOCK_COLUMNS_MAX], learned[BLOCK_COLUMNS_MAX];
    struct span time_name, time_learned;
    struct block_starts *starts;
    uint8_t key[CODEC_FILE_KEY_BYTES];
    size_t frames_at;
};

enum { CODEC_FILE_FOREIGN = 1, CODEC_FILE_NEWER = 2, CODEC_FILE_DAMAGED = 3 };
/* 0; CODEC_FILE_FOREIGN: does not begin as such a file; CODEC_FILE_NEWER: a later version;
 * CODEC_FILE_DAMAGED: its head, without which no block can be read; -ENOMEM. */
must_check int codec_file_open(struct codec_file **ret_f, struct span bytes);
struct codec_file *codec_file_free(struct codec_file *f); /* accepts NULL */
void codec_file_freep(struct codec_file **f);
bool codec_file_is(struct span bytes); /* begins as one */

struct codec_frame {
    uint64_t number;
    size_t offset; /* in the file */
    uint32_t encoding, n_rows;
    int64_t time_first_ns;
    struct span body;
};
struct codec_cursor {
    size_t at;
    uint64_t number; /* of the block expected next */
    uint64_t n_lost; /* blocks known to be missing so far */
    bool gap_told;   /* a gap in the numbers here is of damage that was told */
    bool ended;
};
static inline struct codec_cursor codec_cursor_of(const struct codec_file *f)
{
    return (struct codec_cursor){.at = f->frames_at, .number = 1};
}
enum { CODEC_FRAME_END = 1, CODEC_FRAME_DAMAGED = 2 };
/* 0 with the next block; CODEC_FRAME_DAMAGED: something between here and the next good frame, with its
 * offset, the number it should have had and *ret_why (static); CODEC_FRAME_END. */
must_check int codec_file_next(const struct codec_file *f, struct codec_cursor *c,
                               struct codec_frame *ret_frame, const char **ret_why);

#endif
