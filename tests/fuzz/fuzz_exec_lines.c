/* What a program may print: the lines that come out are those that were printed, wherever the pipe cuts them;
 * a line is a reading or is refused with a reason, and a reading lies inside its line.
 *
 * The first byte says how long the pieces are that the pipe gives. */
#include "base/name.h"
#include "device/sources/exec_lines.h"
#include "device/sources/told.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* The next line as it was printed, with *ret_bytes at most EXEC_LINE_BYTES; false: there is none that is
 * whole or too long. */
static bool printed_line(const uint8_t *data, size_t size, size_t *at, size_t *ret_bytes, bool *ret_too_long)
{
    const uint8_t *newline = memchr(data + *at, '\n', size - *at);
    size_t bytes = newline != NULL ? (size_t)(newline - data) - *at : size - *at;

    *ret_too_long = bytes > EXEC_LINE_BYTES;
    *ret_bytes = *ret_too_long ? EXEC_LINE_BYTES : bytes;
    return newline != NULL || *ret_too_long;
}

static size_t behind(const uint8_t *data, size_t size, size_t at)
{
    const uint8_t *newline = memchr(data + at, '\n', size - at);

    return newline != NULL ? (size_t)(newline - data) + 1 : size;
}

static void parse(char *line, size_t bytes)
{
    struct exec_reading r;
    struct told_value v;
    const char *why = exec_line_parse(line, bytes, &r);

    if (why != NULL) {
        expect(why[0] != '\0');
        return;
    }
    expect(r.channel >= line && r.channel < line + bytes && name_part_ok(r.channel, strlen(r.channel)));
    expect(r.value > r.channel && r.value_bytes > 0 && r.value + r.value_bytes <= line + bytes);
    expect(memchr(r.value, '\0', r.value_bytes) == NULL);
    for (int type = TOLD_AUTO; type <= TOLD_TEXT; type++)
        if (told_parse((enum told_type)type, r.value, r.value_bytes, &v) && v.type == COLUMN_TEXT)
            expect(v.cell.text.len == r.value_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct exec_lines l;
    size_t piece, at = 0, given = 0, bytes, printed_bytes;
    bool too_long, printed_too_long;
    int ends[2];
    char *line;

    if (size == 0)
        return 0;
    piece = 1 + (size_t)data[0] * data[0];
    data++;
    size--;
    l.at = l.end = 0;
    l.skips = false;
    expect(pipe(ends) == 0);
    while (given < size) {
        size_t n = size - given < piece ? size - given : piece;

        if (n > EXEC_READ_BYTES / 2)
            n = EXEC_READ_BYTES / 2; /* what is left of a line and this fit in */
        expect(write(ends[1], data + given, n) == (ssize_t)n);
        given += n;
        expect(exec_lines_read(&l, ends[0]) == 0);
        while ((line = exec_lines_next(&l, &bytes, &too_long)) != NULL) {
            expect(printed_line(data, size, &at, &printed_bytes, &printed_too_long));
            expect(bytes == printed_bytes && too_long == printed_too_long);
            expect(memcmp(line, data + at, bytes) == 0 && line[bytes] == '\0');
            at = behind(data, size, at);
            if (!too_long)
                parse(line, bytes);
        }
    }
    expect(at == size || !printed_line(data, size, &at, &printed_bytes, &printed_too_long));
    close(ends[0]);
    close(ends[1]);
    return 0;
}
