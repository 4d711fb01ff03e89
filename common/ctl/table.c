#include "ctl/table.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct table {
    const struct table_column *columns;
    unsigned n_columns;
    char **cells; /* row after row */
    size_t n_cells, alloc;
    int error;
};

int table_new(struct table **ret_t, const struct table_column *columns, unsigned n_columns)
{
    struct table *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    t->columns = columns;
    t->n_columns = n_columns;
    *ret_t = t;
    return 0;
}

struct table *table_free(struct table *t)
{
    if (t == NULL)
        return NULL;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
    return NULL;
}

void table_freep(struct table **t)
{
    *t = table_free(*t);
}

static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void table_cell(struct table *t, const char *text)
{
    char *copy;

    if (t->error < 0)
        return;
    if (t->n_cells == t->alloc) {
        size_t alloc = t->alloc == 0 ? 64 : t->alloc * 2;
        char **cells = realloc(t->cells, alloc * sizeof(*cells));
        if (cells == NULL) {
            t->error = -ENOMEM;
            return;
        }
        t->cells = cells;
        t->alloc = alloc;
    }
    copy = strdup(text == NULL ? "" : text);
    if (copy == NULL) {
        t->error = -ENOMEM;
        return;
    }
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    t->cells[t->n_cells++] = copy;
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    table_cell(t, text);
}

unsigned table_rows(const struct table *t)
{
    return (unsigned)(t->n_cells / t->n_columns);
}

static void print_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
    size_t pad = width - width_of(text);

    if (right)
        fprintf(out, "%*s", (int)pad, "");
    fputs(text, out);
    if (!right && !last)
        fprintf(out, "%*s", (int)pad, "");
    fputs(last ? "\n" : "  ", out);
}

int table_print(const struct table *t, FILE *out, bool color)
{
    owned(free_ptr) size_t *width = calloc(t->n_columns, sizeof(*width));

    if (t->error < 0 || width == NULL)
        return -ENOMEM;
    for (unsigned c = 0; c < t->n_columns; c++)
        width[c] = width_of(t->columns[c].title);
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t w = width_of(t->cells[i]);
        if (w > width[i % t->n_columns])
            width[i % t->n_columns] = w;
    }
    if (color)
        fputs("\033[1m", out);
    for (unsigned c = 0; c < t->n_columns; c++) {
        bool last = c + 1 == t->n_columns;
        if (last && color)
            fprintf(out, "%s\033[0m\n", t->columns[c].title);
        else
            print_cell(out, t->columns[c].title, width[c], t->columns[c].right, last);
    }
    for (size_t i = 0; i < t->n_cells - t->n_cells % t->n_columns; i++) {
        unsigned c = (unsigned)(i % t->n_columns);
        print_cell(out, t->cells[i], width[c], t->columns[c].right, c + 1 == t->n_columns);
    }
    return ferror(out) != 0 ? -EIO : 0;
}
