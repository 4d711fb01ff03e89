/* codec_table.h - a CSV file as columns in memory, to be cut into blocks.
 *
 * Read by the rules of csv_reader.h, whole: 9 bytes a cell and the texts. Threads: one owner. */
#ifndef FOGLINE_DEVICE_CODEC_TABLE_H
#define FOGLINE_DEVICE_CODEC_TABLE_H

#include "device/sources/csv_reader.h"

enum { CODEC_BLOCK_TEXT_BYTES = 48 * 1024 }; /* as the device's packer */

struct codec_column {
    char header[CSV_HEADER_CHARS + 1]; /* as in the file; never empty */
    char name[NAME_PART_CHARS + 1];    /* as the channel would be called */
    uint64_t n_present;
};

struct codec_table {
    uint64_t n_rows, n_samples; /* samples: present cells */
    uint64_t n_bad_rows, n_bad_cells, n_cut_texts;
    uint32_t n_columns;
    enum column_type *types;
    struct codec_column *about;
    struct column *columns; /* n_rows entries each */
    int64_t *time_ns;
    char time_header[CSV_HEADER_CHARS + 1];
    bool has_text, has_time;   /* without times all are 0: csv_options.may_lack_time */
    struct codec_texts *texts; /* where the texts are */
};

/* 0; negative errno with *err filled, naming the file. */
must_check int codec_table_new(struct codec_table **ret_t, const char *path,
                               const struct csv_options *options, struct errmsg *err);
struct codec_table *codec_table_free(struct codec_table *t); /* accepts NULL */
void codec_table_freep(struct codec_table **t);

/* The next block from row `from` on: at most max_rows rows, fewer at the end or when texts would pass
 * CODEC_BLOCK_TEXT_BYTES. Borrows the table; columns: room for n_columns. from < n_rows. */
void codec_table_block(const struct codec_table *t, uint64_t from, uint32_t max_rows, struct column *columns,
                       struct block *ret_b);

/* By header or name; -1: none. */
int codec_table_find(const struct codec_table *t, const char *name, size_t name_len);

/* One column as a table of its own: its present cells, a second apart. Copies; not for text. 0 or -ENOMEM. */
must_check int codec_table_series(struct codec_table **ret_t, const struct codec_table *from,
                                  uint32_t column);

/* Forgets a column and its samples; those behind it move up. */
void codec_table_drop(struct codec_table *t, uint32_t column);

/* Keeps of the rows only the first at or after each multiple of interval_ns. The times must not go back. */
void codec_table_thin(struct codec_table *t, int64_t interval_ns);

#endif
