/* exec_lines.h - bytes of a pipe to lines `channel value [unix time]`. Pure but for reading the descriptor.
 *
 * A value is a word or "in quotes" (a text, with \" and \\). Bounds: lines of EXEC_LINE_BYTES (a longer one
 * is one bad line), EXEC_READ_BYTES for one call of exec_lines_read. */
#ifndef FOGLINE_DEVICE_EXEC_LINES_H
#define FOGLINE_DEVICE_EXEC_LINES_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXEC_LINE_BYTES = 512, EXEC_READ_BYTES = 16 * 1024 };

struct exec_lines {
    char bytes[EXEC_READ_BYTES + 1]; /* [at, end) is unread */
    size_t at, end;
    bool skips; /* inside a line that was too long */
};

enum { EXEC_LINES_EMPTY = 1 };
/* Reads once into the room there is. 0; EXEC_LINES_EMPTY: nothing there now; negative errno. */
must_check int exec_lines_read(struct exec_lines *l, int fd);
/* The next whole line, NUL-terminated without its newline, borrowed until exec_lines_read; NULL: none yet. A
 * line that was too long comes as its first EXEC_LINE_BYTES with *ret_too_long. */
char *exec_lines_next(struct exec_lines *l, size_t *ret_bytes, bool *ret_too_long);

struct exec_reading {
    const char *channel;
    const char *value; /* unquoted */
    size_t value_bytes;
    bool is_quoted, has_time;
    int64_t time_ns;
};
/* Cuts the line apart in place. NULL, or what is wrong with it. */
const char *exec_line_parse(char *line, size_t bytes, struct exec_reading *ret_r);

#endif
