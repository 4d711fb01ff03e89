/* csv_input.h - lines of a CSV file, plain or gzip, in bounded memory.
 *
 * A line may hold line breaks inside a quoted field; a quote that is never closed makes an ordinary line.
 * Lines beyond CSV_LINE_MAX_BYTES are skipped whole and say so. Positions are bytes of the unpacked content.
 * Threads: one owner. Limits: one buffer of CSV_BUFFER_BYTES. */
#ifndef FOGLINE_DEVICE_CSV_INPUT_H
#define FOGLINE_DEVICE_CSV_INPUT_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The texts of the longest line fit into one block. */
enum { CSV_LINE_MAX_BYTES = 48 * 1024, CSV_BUFFER_BYTES = 256 * 1024 };

struct csv_input;

must_check int csv_input_open(struct csv_input **ret_in, const char *path, struct errmsg *err);
must_check int csv_input_memory(struct csv_input **ret_in, struct span content); /* borrows content */
struct csv_input *csv_input_free(struct csv_input *in);                          /* accepts NULL */
void csv_input_freep(struct csv_input **in);

/* The next line starts at this byte, which is line number `line` (from 1). 0 or negative errno. */
must_check int csv_input_seek(struct csv_input *in, uint64_t offset, uint64_t line);

struct csv_line {
    char *text; /* without its end of line; may be changed; borrowed until the next call */
    size_t len;
    uint64_t offset, next_offset, line;
    bool has_quote, too_long; /* too_long: no text */
};
enum { CSV_END = 1 };
/* 0; CSV_END; -EBADMSG: the packed file is damaged or cut off; other negative errno. */
must_check int csv_input_line(struct csv_input *in, struct csv_line *ret_l);

#endif
