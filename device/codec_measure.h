/* codec_measure.h - how many bytes and how much time encodings take for tables, each in blocks of its own.
 *
 * Every block is decoded and compared with what went in. Reads the monotonic clock. Threads: one owner. */
#ifndef FOGLINE_DEVICE_CODEC_MEASURE_H
#define FOGLINE_DEVICE_CODEC_MEASURE_H

#include "device/codec_table.h"

/* Columns of the same header in several tables are one channel. */
struct codec_channel {
    char header[CSV_HEADER_CHARS + 1];
    bool has_range; /* a double with a finite value */
    double min, max;
};

struct codec_member {
    const struct codec_table *table; /* borrowed */
    uint32_t *channel;               /* of each column */
    struct block_starts *starts;
    size_t start_bytes;
    double *bounds; /* NULL: exact */
};

struct codec_set {
    struct codec_member *members;
    size_t n_members;
    struct codec_channel *channels;
    size_t n_channels;
    uint64_t n_rows, n_samples;
};

/* Zero-initialised is empty. 0 or -ENOMEM. */
must_check int codec_set_add(struct codec_set *s, const struct codec_table *t);
void codec_set_deinit(struct codec_set *s);
/* Makes bounds and starts anew: fraction (of each channel's range, at most BLOCK_ERROR_BOUND_MAX) 0 is exact;
 * cold: nothing is learned. 0 or negative errno. */
must_check int codec_set_prepare(struct codec_set *s, double fraction, bool cold);
size_t codec_set_start_bytes(const struct codec_set *s);

struct codec_measured_channel {
    uint64_t n_cells;
    double body_bytes, largest_error, bound;
};
struct codec_measured {
    uint64_t n_blocks, bytes;
    double time_bytes;         /* of them */
    double encode_s, decode_s; /* median of the rounds */
    bool exact;                /* all came back bit for bit, bounded cells within their bound */
    double largest_of_bound;   /* largest error divided by its bound */
    size_t largest_channel;
    struct codec_measured_channel *channels; /* as in the set */
};
void codec_measured_deinit(struct codec_measured *m);
enum { CODEC_ROUNDS_MAX = 9 };
/* rounds: of measuring time, 0: none. 0 or negative errno (-EINVAL: of block_encode). */
must_check int codec_measure(const struct codec_set *s, enum block_encoding encoding, uint32_t rows,
                             unsigned rounds, struct codec_measured *ret_m);

/* The same blocks as plain columns through zstd at level 3: 8 bytes a number (texts: length and bytes), and 8
 * for its time in front of each when with_times. */
enum { CODEC_NO_ZSTD = 1 };
struct codec_measured_plain {
    uint64_t plain_bytes, bytes;
    double encode_s, decode_s;
};
/* 0; CODEC_NO_ZSTD: this program was built without it (plain_bytes is set); -ENOMEM. */
must_check int codec_measure_plain(const struct codec_set *s, uint32_t rows, bool with_times, unsigned rounds,
                                   struct codec_measured_plain *ret_m);

struct codec_zstd;
must_check int codec_zstd_new(struct codec_zstd **ret_z); /* 0, CODEC_NO_ZSTD, -ENOMEM */
struct codec_zstd *codec_zstd_free(struct codec_zstd *z); /* accepts NULL */
void codec_zstd_freep(struct codec_zstd **z);
must_check int codec_zstd_pack(struct codec_zstd *z, struct span in,
                               struct buf *out); /* level 3; appends; 0, -ENOMEM */

double codec_median(double *values, unsigned n); /* sorts them; 0 when n is 0 */

#endif
