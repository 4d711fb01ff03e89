/* csv_scan.c - the whole of a file read once: types of its columns, counts, what cannot be read. */
#include "device/sources/csv_shape_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

enum { NUMERIC_TENTHS = 9 }; /* of the present cells of a numeric column */

static void list_bad(struct csv_shape *s, uint64_t line, const char *why, const char *column)
{
    if (s->n_bad_listed < CSV_BAD_LISTED)
        s->bad[s->n_bad_listed++] = (struct csv_bad){line, why, column};
}

static void count_time(struct csv_shape *s, int64_t time_ns)
{
    if (s->n_rows++ == 0)
        s->first_time_ns = s->min_time_ns = s->max_time_ns = time_ns;
    if (time_ns < s->min_time_ns)
        s->min_time_ns = time_ns;
    if (time_ns > s->max_time_ns)
        s->max_time_ns = time_ns;
}

/* While types are not known every column is read as a number; what is none is looked at again when its column
 * turns out to be numeric, for which the first line of each is remembered. */
struct odd_cells {
    uint64_t line[BLOCK_COLUMNS_MAX];
};

static void count_cells(struct csv_shape *s, const struct span *fields, uint64_t line, struct odd_cells *odd)
{
    for (uint32_t i = 0; i < s->n_channels; i++) {
        struct csv_column *c = &s->columns[s->channel[i]];
        struct span f = fields[s->channel[i]];
        int64_t whole;

        if (csv_is_absent(f))
            continue;
        c->n_present++;
        if (c->wants_int ? csv_parse_int(f, &whole) : csv_is_number(f))
            c->n_numbers++;
        else if (odd->line[i] == 0)
            odd->line[i] = line;
        c->n_long += f.len > BLOCK_TEXT_MAX_BYTES;
    }
}

static void settle_types(struct csv_shape *s, const struct odd_cells *odd)
{
    for (uint32_t i = 0; i < s->n_channels; i++) {
        struct csv_column *c = &s->columns[s->channel[i]];
        bool numeric = c->n_numbers * 10 >= c->n_present * NUMERIC_TENTHS;

        c->type = c->wants_int ? COLUMN_INT64 : numeric ? COLUMN_DOUBLE : COLUMN_TEXT;
        s->n_cut_texts += c->type == COLUMN_TEXT ? c->n_long : 0;
        s->n_samples += c->type == COLUMN_TEXT ? c->n_present : c->n_numbers;
        if (c->type == COLUMN_TEXT || c->n_numbers == c->n_present)
            continue;
        s->n_bad_cells += c->n_present - c->n_numbers;
        list_bad(s, odd->line[i],
                 c->wants_int ? "not a whole number" : "not a number, as the rest of the column is", c->name);
    }
}

int csv_scan(struct csv_shape *s, struct csv_input *in, struct errmsg *err)
{
    struct odd_cells odd = {0};
    struct csv_line l;
    owned(free_ptr) struct span *fields = calloc(CSV_COLUMNS_MAX, sizeof *fields);
    int64_t time_ns;
    int rc;

    if (fields == NULL)
        return -ENOMEM;
    s->end_offset = s->data_offset;
    rc = csv_input_seek(in, s->data_offset, s->data_line);
    while (rc == 0 && (rc = csv_input_line(in, &l)) == 0) {
        const char *why = NULL;
        uint32_t n = 0;

        s->end_offset = l.next_offset;
        if (csv_is_blank(&l))
            continue;
        if (l.too_long)
            why = "longer than 48 KiB";
        else
            n = csv_split(&l, s->separator, fields);
        if (why == NULL && !csv_fits(s, fields, n))
            why = n < s->n_columns ? "too few fields" : "too many fields";
        else if (why == NULL && !csv_row_time(s, fields, &time_ns))
            why = "no time that can be read";
        if (why != NULL) {
            s->n_bad_rows++;
            list_bad(s, l.line, why, NULL);
            continue;
        }
        count_time(s, time_ns);
        count_cells(s, fields, l.line, &odd);
    }
    settle_types(s, &odd);
    if (rc == -EBADMSG)
        return errmsg_set(err, rc, "the packed file is damaged or cut off");
    return rc == CSV_END ? 0 : rc;
}
