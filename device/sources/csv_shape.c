#include "device/sources/csv_shape_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name_taken(const struct csv_shape *s, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(s->columns[i].name, name) == 0)
            return true;
    return false;
}

static void name_column(struct csv_shape *s, uint32_t i, struct span header)
{
    struct csv_column *c = &s->columns[i];
    char base[NAME_PART_CHARS + 1];
    size_t n = header.len < CSV_HEADER_CHARS ? header.len : CSV_HEADER_CHARS;

    for (size_t k = 0; k < n; k++)
        c->header[k] = header.data[k] < 0x20 || header.data[k] == 0x7f ? '?' : (char)header.data[k];
    if (n == 0) {
        snprintf(base, sizeof base, "c%u", i + 1);
        c->is_mended = s->has_header;
    } else {
        c->is_mended = name_part_mend((const char *)header.data, header.len, base);
    }
    memcpy(c->name, base, sizeof base);
    for (unsigned k = 2; name_taken(s, i, c->name); k++) {
        snprintf(c->name, sizeof c->name, "%.*s-%u", NAME_PART_CHARS - 5, base, k);
        c->is_mended = true;
    }
}

static int make_columns(struct csv_shape *s, struct csv_sample *p)
{
    s->columns = calloc(s->n_columns, sizeof *s->columns);
    if (s->columns == NULL)
        return -ENOMEM;
    csv_sample_split(p, 0, s->separator, p->head, 1);
    for (uint32_t i = 0; i < s->n_columns; i++)
        name_column(s, i, s->has_header ? p->head[i] : span_of(NULL, 0));
    return 0;
}

int csv_find_column(const struct csv_shape *s, const char *wanted)
{
    int64_t number;

    for (uint32_t i = 0; i < s->n_columns; i++)
        if (strcmp(s->columns[i].header, wanted) == 0 || strcmp(s->columns[i].name, wanted) == 0)
            return (int)i;
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (csv_is_called(&s->columns[i], wanted))
            return (int)i;
    if (numfmt_parse_i64(wanted, strlen(wanted), &number) && number >= 1 && number <= s->n_columns)
        return (int)number - 1;
    return -1;
}

static int choose_channels(struct csv_shape *s, const struct csv_options *o, struct errmsg *err)
{
    for (size_t i = 0; i < o->n_int_columns; i++) {
        int column = csv_find_column(s, o->int_columns[i]);

        if (column < 0)
            return errmsg_set(err, -EINVAL, "int: there is no column '%s'", o->int_columns[i]);
        s->columns[column].wants_int = true;
    }
    for (uint32_t i = 0; i < s->n_columns; i++) {
        if (s->columns[i].is_time)
            continue;
        if (s->n_channels == BLOCK_COLUMNS_MAX)
            return errmsg_set(err, -EINVAL, "more than %d columns of readings", BLOCK_COLUMNS_MAX);
        s->channel[s->n_channels++] = (uint16_t)i;
    }
    if (s->n_channels == 0)
        return errmsg_set(err, -EINVAL, "there is a time but no column of readings beside it");
    return 0;
}

/* FNV-1a (Fowler, Noll, Vo) over the first two lines: a file that was replaced rarely has the same. */
static uint64_t fingerprint(const struct csv_sample *p)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < p->n && i < 2; i++)
        for (size_t k = 0; k < p->lines[i].len; k++)
            h = (h ^ (uint8_t)p->lines[i].text[k]) * UINT64_C(1099511628211);
    return h;
}

static int detect(struct csv_shape *s, struct csv_input *in, const struct csv_options *o, struct errmsg *err)
{
    owned(csv_sample_deinit) struct csv_sample p = {0};
    int rc = csv_sample_read(&p, in);

    if (rc == -EBADMSG)
        return errmsg_set(err, rc, "the packed file is damaged or cut off");
    if (rc != 0)
        return rc;
    if (!csv_find_separator(&p, &s->separator, &s->n_columns)) {
        if (!o->may_lack_time || p.n == 0)
            return errmsg_set(err, -EINVAL,
                              "no table in there: no line has two fields separated by , ; tab or |");
        s->separator = ',';
        s->n_columns = 1;
    }
    s->has_header = csv_has_header(&p, s->separator, s->n_columns);
    s->data_offset = s->has_header ? p.lines[0].next_offset : p.lines[0].offset;
    s->data_line = s->has_header ? p.lines[0].line + 1 : p.lines[0].line;
    s->fingerprint = fingerprint(&p);
    rc = make_columns(s, &p);
    if (rc == 0)
        rc = csv_find_time(s, &p, o, err);
    if (rc == 0)
        rc = choose_channels(s, o, err);
    if (rc == 0)
        rc = csv_zone_new(&s->zone, o->zone != NULL ? o->zone : "UTC", err);
    return rc;
}

int csv_shape_new(struct csv_shape **ret_s, struct csv_input *in, const struct csv_options *options,
                  struct errmsg *err)
{
    struct csv_shape *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL)
        return -ENOMEM;
    rc = detect(s, in, options, err);
    if (rc == 0)
        rc = csv_scan(s, in, err);
    if (rc != 0) {
        csv_shape_free(s);
        return rc;
    }
    *ret_s = s;
    return 0;
}

struct csv_shape *csv_shape_free(struct csv_shape *s)
{
    if (s == NULL)
        return NULL;
    csv_zone_free(s->zone);
    free(s->columns);
    free(s);
    return NULL;
}

void csv_shape_freep(struct csv_shape **s)
{
    csv_shape_free(*s);
}
