#include "device/sources/csv_input.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

struct csv_input {
    gzFile file; /* NULL: memory */
    struct span content;
    size_t content_at;

    char *buffer; /* CSV_BUFFER_BYTES */
    size_t at, end;
    uint64_t offset, line; /* of buffer[at] */
    bool ended;
};

static struct csv_input *input_new(void)
{
    struct csv_input *in = calloc(1, sizeof *in);

    if (in == NULL)
        return NULL;
    in->line = 1;
    in->buffer = malloc(CSV_BUFFER_BYTES);
    if (in->buffer == NULL)
        return csv_input_free(in);
    return in;
}

int csv_input_open(struct csv_input **ret_in, const char *path, struct errmsg *err)
{
    struct csv_input *in = input_new();
    struct stat about;

    if (in == NULL)
        return -ENOMEM;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) { /* zlib opens it and calls it damaged */
        csv_input_free(in);
        return errmsg_set(err, -EISDIR, "%s: is a folder: name a CSV file in it", path);
    }
    errno = 0;
    in->file = gzopen(path, "rbe");
    if (in->file == NULL) {
        int error = errno != 0 ? -errno : -ENOMEM;

        csv_input_free(in);
        return errmsg_set(err, error, "%s: cannot be opened: %s", path, strerror(-error));
    }
    gzbuffer(in->file, 64 * 1024);
    *ret_in = in;
    return 0;
}

int csv_input_memory(struct csv_input **ret_in, struct span content)
{
    struct csv_input *in = input_new();

    if (in == NULL)
        return -ENOMEM;
    in->content = content;
    *ret_in = in;
    return 0;
}

struct csv_input *csv_input_free(struct csv_input *in)
{
    if (in == NULL)
        return NULL;
    if (in->file != NULL)
        gzclose(in->file);
    free(in->buffer);
    free(in);
    return NULL;
}

void csv_input_freep(struct csv_input **in)
{
    csv_input_free(*in);
}

int csv_input_seek(struct csv_input *in, uint64_t offset, uint64_t line)
{
    in->at = in->end = 0;
    in->ended = false;
    in->offset = offset;
    in->line = line;
    if (in->file == NULL) {
        in->content_at = offset < in->content.len ? (size_t)offset : in->content.len;
        return 0;
    }
    if (offset > LONG_MAX || gzseek(in->file, (z_off_t)offset, SEEK_SET) < 0)
        return -EINVAL;
    return 0;
}

/* Moves what is left to the front and reads on. */
static int refill(struct csv_input *in)
{
    size_t left = in->end - in->at, n;

    if (in->ended)
        return 0;
    memmove(in->buffer, in->buffer + in->at, left);
    in->at = 0;
    in->end = left;
    if (in->file != NULL) {
        int got = gzread(in->file, in->buffer + left, (unsigned)(CSV_BUFFER_BYTES - left));
        int error = Z_OK;

        if (got < 0)
            return -EBADMSG;
        n = (size_t)got;
        gzerror(in->file, &error);
        if (n == 0 && error == Z_BUF_ERROR)
            return -EBADMSG;
    } else {
        n = in->content.len - in->content_at;
        if (n > CSV_BUFFER_BYTES - left)
            n = CSV_BUFFER_BYTES - left;
        if (n > 0)
            memcpy(in->buffer + left, in->content.data + in->content_at, n);
        in->content_at += n;
    }
    in->end += n;
    in->ended = n == 0;
    return 0;
}

/* Spaces before it are not part of a field. */
static bool opens_quote(const char *text, size_t i)
{
    while (i > 0 && text[i - 1] == ' ')
        i--;
    return i == 0 || text[i - 1] == ',' || text[i - 1] == ';' || text[i - 1] == '\t' || text[i - 1] == '|';
}

/* Is a quoted field open at `to`, when one was (`open`) or was not at `from`? Both stand at line ends. */
static bool quote_is_open(const char *text, size_t from, size_t to, bool open)
{
    for (size_t i = from; i < to; i++) {
        if (text[i] != '"')
            continue;
        if (!open)
            open = opens_quote(text, i);
        else if (i + 1 < to && text[i + 1] == '"')
            i++;
        else
            open = false;
    }
    return open;
}

/* Length of the line at `at` up to its '\n' from `from` on, when it is in the buffer or the input has ended.
 */
static bool find_end(const struct csv_input *in, size_t from, size_t *ret_len)
{
    const char *text = in->buffer + in->at;
    const char *nl = memchr(text + from, '\n', in->end - in->at - from);

    if (nl != NULL) {
        *ret_len = (size_t)(nl - text);
        return true;
    }
    *ret_len = in->end - in->at;
    return in->ended;
}

/* Grows a line whose quoted field is open by the lines that close it. Leaves *len alone when none does. */
static void join_quoted(const struct csv_input *in, size_t *len, uint64_t *ret_lines)
{
    const char *text = in->buffer + in->at;
    size_t from, end = *len;
    size_t max = in->end - in->at < CSV_LINE_MAX_BYTES ? in->end - in->at : CSV_LINE_MAX_BYTES;
    uint64_t lines = 0;

    while (end < max) {
        const char *nl = memchr(text + end + 1, '\n', max - end - 1);

        if (nl == NULL && !(in->ended && max == in->end - in->at))
            return;
        from = end;
        end = nl != NULL ? (size_t)(nl - text) : max;
        lines++;
        if (!quote_is_open(text, from, end, true)) {
            *len = end;
            *ret_lines += lines;
            return;
        }
    }
}

static int skip_long(struct csv_input *in, struct csv_line *l)
{
    size_t len;

    for (;;) {
        bool found = find_end(in, 0, &len);
        int rc;

        in->at += len;
        in->offset += len;
        if (found)
            break;
        rc = refill(in);
        if (rc != 0)
            return rc;
    }
    if (in->at < in->end) {
        in->at++;
        in->offset++;
    }
    in->line++;
    l->too_long = true;
    l->len = 0;
    l->next_offset = in->offset;
    return 0;
}

int csv_input_line(struct csv_input *in, struct csv_line *ret_l)
{
    struct csv_line l = {.offset = in->offset, .line = in->line};
    uint64_t lines = 1;
    int rc;

    if (in->end - in->at < CSV_LINE_MAX_BYTES + 2) {
        /* Enough for the longest line, and to look for the end of a quoted field. */
        const char *nl = memchr(in->buffer + in->at, '\n', in->end - in->at);

        while (!in->ended && in->end - in->at < CSV_LINE_MAX_BYTES + 2) {
            if (nl != NULL && memchr(in->buffer + in->at, '"', (size_t)(nl - in->buffer) - in->at) == NULL)
                break;
            rc = refill(in);
            if (rc != 0)
                return rc;
            nl = NULL;
        }
    }
    if (in->at == in->end)
        return CSV_END;
    if (!find_end(in, 0, &l.len) || l.len > CSV_LINE_MAX_BYTES) {
        rc = skip_long(in, &l);
        if (rc == 0)
            *ret_l = l;
        return rc;
    }
    l.text = in->buffer + in->at;
    l.has_quote = memchr(l.text, '"', l.len) != NULL;
    if (l.has_quote && quote_is_open(l.text, 0, l.len, false))
        join_quoted(in, &l.len, &lines);
    in->at += l.len + (in->at + l.len < in->end ? 1 : 0);
    in->offset += l.len + (l.text + l.len < in->buffer + in->end ? 1 : 0);
    in->line += lines;
    l.next_offset = in->offset;
    if (l.len > 0 && l.text[l.len - 1] == '\r')
        l.len--;
    *ret_l = l;
    return 0;
}
