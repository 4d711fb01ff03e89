#include "device/sources/exec_lines.h"

#include "base/clock.h"
#include "base/name.h"
#include "device/sources/csv_time.h"

#include <errno.h>
#include <unistd.h>

int exec_lines_read(struct exec_lines *l, int fd)
{
    ssize_t n;

    if (l->at > 0) {
        memmove(l->bytes, l->bytes + l->at, l->end - l->at);
        l->end -= l->at;
        l->at = 0;
    }
    n = read(fd, l->bytes + l->end, EXEC_READ_BYTES - l->end);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? EXEC_LINES_EMPTY : -errno;
    l->end += (size_t)n;
    return n == 0 ? EXEC_LINES_EMPTY : 0;
}

char *exec_lines_next(struct exec_lines *l, size_t *ret_bytes, bool *ret_too_long)
{
    for (;;) {
        char *line = l->bytes + l->at, *newline = memchr(line, '\n', l->end - l->at);
        size_t bytes = newline != NULL ? (size_t)(newline - line) : l->end - l->at;
        bool was_skipping = l->skips;

        if (newline == NULL && bytes <= EXEC_LINE_BYTES) {
            if (l->skips)
                l->at = l->end;
            return NULL;
        }
        l->skips = newline == NULL;
        l->at += newline != NULL ? bytes + 1 : bytes;
        if (was_skipping) {
            if (newline == NULL)
                return NULL;
            continue; /* the rest of a line that was told of */
        }
        *ret_too_long = bytes > EXEC_LINE_BYTES;
        *ret_bytes = *ret_too_long ? EXEC_LINE_BYTES : bytes;
        line[*ret_bytes] = '\0';
        return line;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static char *skip_blanks(char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

static char *word_end(char *at)
{
    while (*at != '\0' && !is_blank(*at))
        at++;
    return at;
}

/* A quoted text behind its opening quote, unescaped in place. NULL: the quote is not closed. */
static char *take_quoted(char *at, struct exec_reading *r)
{
    char *out = at, *begin = at;

    for (; *at != '"'; at++) {
        if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++;
        if (*at == '\0')
            return NULL;
        *out++ = *at;
    }
    r->value = begin;
    r->value_bytes = (size_t)(out - begin);
    r->is_quoted = true;
    return at + 1;
}

const char *exec_line_parse(char *line, size_t bytes, struct exec_reading *ret_r)
{
    struct exec_reading r = {0};
    char *at = skip_blanks(line), *end = word_end(at);

    if (memchr(line, '\0', bytes) != NULL)
        return "a NUL byte in it";
    if (*at == '\0')
        return "empty";
    if (!name_part_ok(at, (size_t)(end - at)))
        return "a channel is named with letters, digits, '.', '_' and '-', at most 64";
    r.channel = at;
    if (*end == '\0')
        return "no value behind the channel; print: channel value [unix time]";
    *end = '\0';
    at = skip_blanks(end + 1);
    if (*at == '"') {
        end = take_quoted(at + 1, &r);
        if (end == NULL || (*end != '\0' && !is_blank(*end)))
            return "a quote is not closed";
    } else {
        end = word_end(at);
        r.value = at;
        r.value_bytes = (size_t)(end - at);
    }
    if (r.value_bytes == 0)
        return "no value behind the channel; print: channel value [unix time]";
    at = skip_blanks(end);
    end = word_end(at);
    if (*at != '\0') {
        if (!csv_number_ns(at, (size_t)(end - at), NS_PER_S, &r.time_ns))
            return "behind the value stands no time in seconds since 1970";
        if (*skip_blanks(end) != '\0')
            return "more than a channel, a value and a time";
        r.has_time = true;
    }
    *ret_r = r;
    return NULL;
}
