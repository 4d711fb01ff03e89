/* text_out.h - fast text into a file: numbers, names and times without printf.
 *
 * A buffer with an error that sticks (negative errno of the write). text_room makes sure of space for one
 * line; the puts trust it. Threads: one owner. */
#ifndef FOGLINE_ARCHIVE_TEXT_OUT_H
#define FOGLINE_ARCHIVE_TEXT_OUT_H

#include "base/bytes.h"

#include <stdio.h>

enum { TEXT_OUT_BYTES = 128 * 1024, TEXT_OUT_LINE_BYTES = 4096 };

struct text_out {
    FILE *file;       /* borrowed */
    bool is_terminal; /* gets no control characters out of texts */
    size_t n;
    int error;
    int64_t second; /* of the cached text */
    char second_text[40];
    size_t second_len;
    char at[TEXT_OUT_BYTES];
};

void text_init(struct text_out *t, FILE *file);
void text_room(struct text_out *t); /* room for TEXT_OUT_LINE_BYTES */
void text_flush(struct text_out *t);

static inline void text_char(struct text_out *t, char c)
{
    t->at[t->n++] = c;
}

static inline void text_put(struct text_out *t, const char *s, size_t len)
{
    memcpy(t->at + t->n, s, len);
    t->n += len;
}

static inline void text_str(struct text_out *t, const char *s)
{
    text_put(t, s, strlen(s));
}

void text_u64(struct text_out *t, uint64_t v);
void text_i64(struct text_out *t, int64_t v);
/* As numfmt_double, faster for decimals of few digits. */
void text_double(struct text_out *t, double v);
/* RFC 3339 in UTC as clock_format_utc; the text of a second is kept for the next call. */
void text_time(struct text_out *t, int64_t unix_ns);
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. At most BLOCK_TEXT_MAX_BYTES bytes.
 */
void text_json(struct text_out *t, struct span s);
/* A CSV field, quoted when it must be. */
void text_csv(struct text_out *t, struct span s);

#endif
