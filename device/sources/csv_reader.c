#include "device/sources/csv_private.h"

#include "base/numfmt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct csv_reader {
    struct csv_input *in;
    struct csv_shape *shape;
    struct span fields[CSV_COLUMNS_MAX];
    struct cell cells[BLOCK_COLUMNS_MAX];
};

const char *csv_time_form_name(enum csv_time_form f)
{
    static const char *const names[] = {"iso", "date and time", "parts", "number", "none"};

    return names[f];
}

static struct span trimmed(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return span_of(at, (size_t)(end - at));
}

static uint32_t split_plain(const struct csv_line *l, char separator, struct span *fields)
{
    const char *at = l->text, *end = l->text + l->len;
    uint32_t n = 0;

    for (;;) {
        const char *to = at;

        while (to < end && *to != separator)
            to++;
        if (n == CSV_COLUMNS_MAX)
            return CSV_COLUMNS_MAX + 1;
        fields[n++] = trimmed(at, to);
        if (to == end)
            return n;
        at = to + 1;
    }
}

/* A quoted field from behind its opening quote on; doubled quotes become one. Gives the end of its content
 * and where the text behind it starts. */
static const char *unquote(char *at, const char *end, const char **ret_content_end)
{
    char *out = at;

    for (; at < end; at++) {
        if (*at == '"' && (at + 1 >= end || at[1] != '"'))
            break;
        if (*at == '"')
            at++;
        *out++ = *at;
    }
    *ret_content_end = out;
    return at < end ? at + 1 : at;
}

uint32_t csv_split(struct csv_line *l, char separator, struct span fields[CSV_COLUMNS_MAX])
{
    char *at = l->text;
    const char *end = l->text + l->len;
    uint32_t n = 0;

    if (!l->has_quote)
        return split_plain(l, separator, fields);
    for (;;) {
        const char *to = at, *content_end;

        if (n == CSV_COLUMNS_MAX)
            return CSV_COLUMNS_MAX + 1;
        while (to < end && *to == ' ')
            to++;
        if (to < end && *to == '"') {
            at += to - at + 1;
            to = unquote(at, end, &content_end);
            fields[n++] = span_of(at, (size_t)(content_end - at));
            while (to < end && *to != separator)
                to++;
        } else {
            while (to < end && *to != separator)
                to++;
            fields[n++] = trimmed(at, to);
        }
        if (to == end)
            return n;
        at = l->text + (to - l->text) + 1;
    }
}

static bool stamp_of(struct span f, struct csv_stamp *ret_t)
{
    return csv_stamp_parse((const char *)f.data, f.len, ret_t);
}

static bool from_local(const struct csv_shape *s, const struct csv_stamp *t, int64_t *ret_time_ns)
{
    int64_t offset_s = t->has_offset ? t->offset_s : csv_zone_offset(s->zone, t->local_s);

    return csv_unix_ns(t->local_s - offset_s, t->ns, ret_time_ns);
}

static bool time_of_parts(const struct csv_shape *s, const struct span *fields, int64_t *ret_time_ns)
{
    static const int64_t max[CSV_TIME_COLUMNS_MAX] = {9999, 12, 31, 24, 59, 60};
    int64_t part[CSV_TIME_COLUMNS_MAX] = {0};
    struct csv_stamp t = {0};

    for (unsigned i = 0; i < s->n_time_columns; i++) {
        struct span f = fields[s->time_column[i]];
        double v;

        if (!numfmt_parse_double((const char *)f.data, f.len, &v) || !(v >= 0 && v <= (double)max[i]))
            return false;
        part[i] = (int64_t)v;
        if ((double)part[i] != v) {
            if (i != 5)
                return false;
            t.ns = (int32_t)lround((v - (double)part[i]) * 1e9);
        }
    }
    if (!csv_day(part[0], part[1], part[2], &t.local_s))
        return false;
    t.local_s += part[3] * 3600 + part[4] * 60 + part[5];
    return from_local(s, &t, ret_time_ns);
}

bool csv_row_time(const struct csv_shape *s, const struct span *fields, int64_t *ret_time_ns)
{
    struct span f = fields[s->time_column[0]];
    struct csv_stamp t, of_day;

    switch (s->form) {
    case CSV_TIME_ISO:
        return stamp_of(f, &t) && t.has_date && from_local(s, &t, ret_time_ns);
    case CSV_TIME_DATE_AND_TIME:
        if (!stamp_of(f, &t) || !t.has_date || t.has_time || !stamp_of(fields[s->time_column[1]], &of_day) ||
            of_day.has_date)
            return false;
        of_day.local_s += t.local_s;
        return from_local(s, &of_day, ret_time_ns);
    case CSV_TIME_PARTS:
        return time_of_parts(s, fields, ret_time_ns);
    case CSV_TIME_NUMBER:
        return csv_number_ns((const char *)f.data, f.len, s->unit_ns, ret_time_ns);
    case CSV_TIME_NONE:
        *ret_time_ns = 0;
        return true;
    }
    return false;
}

/* Length of what is left of a text when it is cut to what a cell can hold, without half characters at the
 * end. */
static size_t cut_text(struct span f)
{
    size_t n = BLOCK_TEXT_MAX_BYTES;

    while (n > BLOCK_TEXT_MAX_BYTES - 4 && (f.data[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Length of the UTF-8 character at the start of s, 0: none (RFC 3629). NUL and other control characters are
 * none. */
static size_t utf8_char(const uint8_t *s, size_t len)
{
    uint32_t v;

    if (s[0] < 0x80)
        return s[0] >= 0x20 || s[0] == '\t' || s[0] == '\n' || s[0] == '\r' ? 1 : 0;
    if (len >= 2 && (s[0] & 0xe0) == 0xc0 && (s[1] & 0xc0) == 0x80)
        return s[0] >= 0xc2 ? 2 : 0;
    if (len >= 3 && (s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
        v = (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
        return v >= 0x800 && (v < 0xd800 || v > 0xdfff) ? 3 : 0;
    }
    if (len >= 4 && (s[0] & 0xf8) == 0xf0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (s[3] & 0xc0) == 0x80) {
        v = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12;
        return v >= 0x10000 && v < 0x110000 ? 4 : 0;
    }
    return 0;
}

/* Texts travel as UTF-8: other bytes become '?'. The field is in the line's buffer, which is ours to change.
 */
static void mend_text(struct span f)
{
    uint8_t *at = (uint8_t *)f.data, *end = at + f.len;

    while (at < end) {
        size_t n = utf8_char(at, (size_t)(end - at));

        if (n == 0)
            *at = '?';
        at += n == 0 ? 1 : n;
    }
}

static void text_cell(struct cell *c, struct span f, struct csv_row *row)
{
    if (f.len > BLOCK_TEXT_MAX_BYTES) {
        f.len = cut_text(f);
        c->quality = QUALITY_UNCERTAIN;
        row->n_cut_texts++;
    }
    mend_text(f);
    c->text = f;
}

bool csv_parse_int(struct span f, int64_t *ret_v)
{
    double v;

    if (numfmt_parse_i64((const char *)f.data, f.len, ret_v))
        return true;
    /* "5.0" and "5e3" are whole numbers too, as far as a double is exact. */
    if (!numfmt_parse_double((const char *)f.data, f.len, &v) || !(fabs(v) <= 0x1p53) || v != trunc(v))
        return false;
    *ret_v = (int64_t)v;
    return true;
}

static void make_cell(const struct csv_column *column, struct span f, struct cell *c, struct csv_row *row)
{
    bool ok = true;

    *c = (struct cell){0};
    if (csv_is_absent(f)) {
        c->absent = true;
        return;
    }
    if (column->type == COLUMN_TEXT)
        text_cell(c, f, row);
    else if (column->type == COLUMN_INT64)
        ok = csv_parse_int(f, &c->i64);
    else
        ok = numfmt_parse_double((const char *)f.data, f.len, &c->f64);
    if (!ok) {
        *c = (struct cell){.absent = true};
        row->n_bad_cells++;
    }
}

int csv_reader_new(struct csv_reader **ret_r, struct csv_input *in, struct csv_shape *shape)
{
    struct csv_reader *r = calloc(1, sizeof *r);
    int rc;

    if (r == NULL)
        return -ENOMEM;
    r->in = in;
    r->shape = shape;
    rc = csv_input_seek(in, shape->data_offset, shape->data_line);
    if (rc != 0) {
        free(r);
        return rc;
    }
    *ret_r = r;
    return 0;
}

struct csv_reader *csv_reader_free(struct csv_reader *r)
{
    free(r);
    return NULL;
}

int csv_reader_next(struct csv_reader *r, struct csv_row *ret_row, const char **ret_why)
{
    const struct csv_shape *s = r->shape;
    struct csv_line l;
    uint32_t n;
    int rc;

    do {
        rc = csv_input_line(r->in, &l);
        if (rc != 0)
            return rc;
    } while (csv_is_blank(&l));
    *ret_row = (struct csv_row){.cells = r->cells, .line = l.line, .next_offset = l.next_offset};
    *ret_why = "longer than 48 KiB";
    if (l.too_long)
        return CSV_BAD_ROW;
    n = csv_split(&l, s->separator, r->fields);
    *ret_why = n < s->n_columns ? "too few fields" : "too many fields";
    if (!csv_fits(s, r->fields, n))
        return CSV_BAD_ROW;
    *ret_why = "no time that can be read";
    if (!csv_row_time(s, r->fields, &ret_row->time_ns))
        return CSV_BAD_ROW;
    for (uint32_t i = 0; i < s->n_channels; i++)
        make_cell(&s->columns[s->channel[i]], r->fields[s->channel[i]], &r->cells[i], ret_row);
    return 0;
}
