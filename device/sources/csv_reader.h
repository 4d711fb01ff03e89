/* csv_reader.h - CSV files as rows of typed cells: what a file is (csv_shape_new), then its rows
 * (csv_reader_next).
 *
 * A file is read twice. The first pass finds the separator (, ; tab |), whether there is a header, the
 * columns that make the time, the type of every other column, and which rows cannot be read. The second gives
 * the rows.
 *
 * - Time, first rule that fits: the columns named by the caller; columns called date and time; the first
 *   column most of whose first cells are ISO times (csv_time.h); columns called year, month, day, then as far
 *   as they are there hour, minute, second; a column of numbers called time, ts or timestamp, whose unit is
 *   guessed from its first value.
 * - Cells: empty and NA are absent. A column is numeric when at least nine of ten of its present cells are
 *   numbers (nearest double, or int64 where asked for), else text. A cell of a numeric column that is no
 *   number is absent and counted as unreadable; a text beyond 255 bytes is cut, marked uncertain and counted,
 *   and what is no UTF-8 or a control character in it becomes '?'.
 * - Fields may be quoted; spaces around them are nothing.
 * - Rows: one whose time cannot be read, with a different number of fields than the others, or too long, is
 *   unreadable: skipped, counted, listed with its line. Blank lines are nothing. Equal times are different
 *   rows.
 *
 * Memory: bounded by the longest line and BLOCK_COLUMNS_MAX channels, whatever the size of the file.
 * Threads: one owner. */
#ifndef FOGLINE_DEVICE_CSV_READER_H
#define FOGLINE_DEVICE_CSV_READER_H

#include "base/name.h"
#include "codec/block.h"
#include "device/sources/csv_input.h"
#include "device/sources/csv_time.h"

enum {
    CSV_COLUMNS_MAX = 512,
    CSV_TIME_COLUMNS_MAX = 6,
    CSV_BAD_LISTED = 20,
    CSV_HEADER_CHARS = 127,
};

enum csv_time_form { CSV_TIME_ISO, CSV_TIME_DATE_AND_TIME, CSV_TIME_PARTS, CSV_TIME_NUMBER, CSV_TIME_NONE };
const char *csv_time_form_name(enum csv_time_form f); /* "iso", "date and time", "parts", "number", "none" */

struct csv_options {
    const char *const *time_columns; /* names, or numbers from 1 */
    size_t n_time_columns;
    const char *const *int_columns;
    size_t n_int_columns;
    const char *zone; /* NULL: UTC */
    /* Where no time is found all rows have time 0 (CSV_TIME_NONE), and one column is a table. */
    bool may_lack_time;
};

struct csv_column {
    char header[CSV_HEADER_CHARS + 1]; /* as in the file, cut; control characters as '?' */
    char name[NAME_PART_CHARS + 1];    /* a name part, unique in the file */
    bool is_mended;                    /* name differs from header */
    bool is_time, wants_int;
    enum column_type type;
    uint64_t n_present, n_numbers, n_long;
};

struct csv_bad {
    uint64_t line;
    const char *why;    /* static */
    const char *column; /* borrowed from the shape; NULL: the row as a whole, which is skipped */
};

struct csv_shape {
    char separator;
    bool has_header;
    enum csv_time_form form;
    uint16_t time_column[CSV_TIME_COLUMNS_MAX];
    unsigned n_time_columns;
    int64_t unit_ns; /* of CSV_TIME_NUMBER */
    struct csv_zone *zone;
    struct csv_column *columns;
    uint32_t n_columns;
    uint16_t channel[BLOCK_COLUMNS_MAX]; /* column of each channel */
    uint32_t n_channels;
    uint64_t data_offset, data_line; /* of the first line behind the header */
    uint64_t end_offset;             /* behind the last line */
    uint64_t fingerprint;            /* of the first lines: is it the same file? */

    uint64_t n_rows, n_samples, n_bad_rows, n_bad_cells, n_cut_texts;
    struct csv_bad bad[CSV_BAD_LISTED];
    unsigned n_bad_listed;
    int64_t first_time_ns, min_time_ns, max_time_ns; /* 0 without rows */
};

/* First pass. -EINVAL with *err: no table of readings in there, or no time. Leaves the input anywhere. */
must_check int csv_shape_new(struct csv_shape **ret_s, struct csv_input *in,
                             const struct csv_options *options, struct errmsg *err);
struct csv_shape *csv_shape_free(struct csv_shape *s); /* accepts NULL */
void csv_shape_freep(struct csv_shape **s);

struct csv_reader;
/* Both are borrowed for the life of the reader. */
must_check int csv_reader_new(struct csv_reader **ret_r, struct csv_input *in, struct csv_shape *shape);
struct csv_reader *csv_reader_free(struct csv_reader *r); /* accepts NULL */

struct csv_row {
    int64_t time_ns;
    const struct cell *cells; /* shape->n_channels; borrowed until the next call */
    uint32_t n_bad_cells, n_cut_texts;
    uint64_t line, next_offset; /* where to seek to for the row behind this one */
};
enum { CSV_BAD_ROW = 2 };
/* 0; CSV_END; CSV_BAD_ROW: skipped, *ret_why says why and ret_row->line where; negative errno. */
must_check int csv_reader_next(struct csv_reader *r, struct csv_row *ret_row, const char **ret_why);

#endif
