/* table.h - text tables with aligned columns. Numbers are set flush right by their column's flag.
 *
 * Cells are copied. Control characters are shown as '?'. Widths count UTF-8 code points. Errors stick and
 * show in table_print. Threads: values. */
#ifndef FOGLINE_CTL_TABLE_H
#define FOGLINE_CTL_TABLE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>

struct table;

struct table_column {
    const char *title; /* borrowed until table_free */
    bool right;
};

must_check int table_new(struct table **ret_t, const struct table_column *columns, unsigned n_columns);
struct table *table_free(struct table *t); /* accepts NULL */
void table_freep(struct table **t);
/* Cells of a row from left to right; a row is full after n_columns cells. */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
unsigned table_rows(const struct table *t);
/* Titles in bold when `color`. 0 or -ENOMEM, -EIO. */
must_check int table_print(const struct table *t, FILE *out, bool color);

#endif
