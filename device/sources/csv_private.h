/* csv_private.h - what the files of the CSV reader share. Not for others. */
#ifndef FOGLINE_DEVICE_CSV_PRIVATE_H
#define FOGLINE_DEVICE_CSV_PRIVATE_H

#include "device/sources/csv_reader.h"

#include <ctype.h>

/* Splits a line in place: quotes are taken off, blanks around unquoted fields too. Returns the number of
 * fields, CSV_COLUMNS_MAX
 * + 1 when there are more. */
uint32_t csv_split(struct csv_line *l, char separator, struct span fields[CSV_COLUMNS_MAX]);

static inline bool csv_is_absent(struct span f)
{
    return f.len == 0 || (f.len == 2 && f.data[0] == 'N' && f.data[1] == 'A');
}

static inline bool csv_is_blank(const struct csv_line *l)
{
    for (size_t i = 0; i < l->len; i++)
        if (!isspace((unsigned char)l->text[i]))
            return false;
    return !l->too_long;
}

/* Fields of one line as a row's time. false: unreadable. */
bool csv_row_time(const struct csv_shape *s, const struct span *fields, int64_t *ret_time_ns);

/* A whole number: digits, or a decimal number without a fraction. */
bool csv_parse_int(struct span f, int64_t *ret_v);

/* The number of fields of a good row; one empty field behind a last separator is let pass. */
static inline bool csv_fits(const struct csv_shape *s, const struct span *fields, uint32_t n)
{
    return n == s->n_columns || (n == s->n_columns + 1 && n <= CSV_COLUMNS_MAX && fields[n - 1].len == 0);
}

#endif
