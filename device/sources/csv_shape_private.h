/* csv_shape_private.h - how csv_shape.c finds out what a file is: by a sample of its first lines
 * (csv_sample.c), which columns are the time (csv_find_time.c), and then by all of it (csv_scan.c). For these
 * only. */
#ifndef FOGLINE_DEVICE_CSV_SHAPE_PRIVATE_H
#define FOGLINE_DEVICE_CSV_SHAPE_PRIVATE_H

#include "base/numfmt.h"
#include "device/sources/csv_private.h"

#include <strings.h>

enum { CSV_SAMPLE_LINES = 64 };

/* The first lines of the file, copied, and how they split. */
struct csv_sample {
    struct csv_line lines[CSV_SAMPLE_LINES];
    char *memory;
    size_t n, used;
    struct span fields[CSV_COLUMNS_MAX];
    struct span head[CSV_COLUMNS_MAX];
    char *scratch; /* splitting changes a line: copies go here */
};

/* csv_sample.c. 0; -EBADMSG: packed, and damaged; negative errno. */
must_check int csv_sample_read(struct csv_sample *p, struct csv_input *in);
void csv_sample_deinit(struct csv_sample *p); /* accepts zero */
/* Line i into fields; scratch_half 0 or 1: where they live until the next split into it. The number of
 * fields. */
uint32_t csv_sample_split(struct csv_sample *p, size_t i, char separator, struct span *fields,
                          size_t scratch_half);
bool csv_find_separator(struct csv_sample *p, char *ret_separator, uint32_t *ret_n); /* false: no table */
bool csv_has_header(struct csv_sample *p, char separator, uint32_t n_columns);

/* csv_shape.c: by name as in the file, by mended name, or by number from 1; -1: none. */
int csv_find_column(const struct csv_shape *s, const char *wanted);

/* csv_find_time.c: the columns asked for, else those that look like it. 0; -EINVAL with *err. */
must_check int csv_find_time(struct csv_shape *s, struct csv_sample *p, const struct csv_options *o,
                             struct errmsg *err);

/* csv_scan.c: types, counts and what cannot be read. 0 or negative errno. */
must_check int csv_scan(struct csv_shape *s, struct csv_input *in, struct errmsg *err);

static inline bool csv_is_number(struct span f)
{
    double v;

    return numfmt_parse_double((const char *)f.data, f.len, &v);
}

static inline bool csv_is_called(const struct csv_column *c, const char *name)
{
    return strcasecmp(c->header, name) == 0;
}

#endif
