#include "device/sources/csv_private.h"

#include "base/cleanup.h"
#include "base/numfmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SAMPLE_LINES = 64,
    SAMPLE_BYTES = 256 * 1024,
    NUMERIC_TENTHS = 9, /* of the present cells of a numeric column */
};

static const char separators[] = {',', ';', '\t', '|'};

/* The first lines of the file, copied, and how they split. */
struct sample {
    struct csv_line lines[SAMPLE_LINES];
    char *memory;
    size_t n, used;
    struct span fields[CSV_COLUMNS_MAX];
    struct span head[CSV_COLUMNS_MAX];
    char *scratch; /* splitting changes a line: copies go here */
};

static void sample_deinit(struct sample *p)
{
    free(p->memory);
    free(p->scratch);
}

static int sample_read(struct sample *p, struct csv_input *in)
{
    struct csv_line l;
    int rc = csv_input_seek(in, 0, 1);

    p->memory = malloc(SAMPLE_BYTES);
    p->scratch = malloc(2 * CSV_LINE_MAX_BYTES);
    if (p->memory == NULL || p->scratch == NULL)
        return -ENOMEM;
    while (rc == 0 && p->n < SAMPLE_LINES) {
        rc = csv_input_line(in, &l);
        if (rc != 0 || (!l.too_long && p->used + l.len > SAMPLE_BYTES))
            break;
        if (l.too_long || csv_is_blank(&l))
            continue;
        if (l.offset == 0 && l.len >= 3 && memcmp(l.text, "\xef\xbb\xbf", 3) == 0) {
            l.text += 3;
            l.len -= 3;
            l.offset += 3;
        }
        memcpy(p->memory + p->used, l.text, l.len);
        l.text = p->memory + p->used;
        p->used += l.len;
        p->lines[p->n++] = l;
    }
    return rc == CSV_END ? 0 : rc;
}

static uint32_t sample_split(struct sample *p, size_t i, char separator, struct span *fields,
                             size_t scratch_half)
{
    struct csv_line l = p->lines[i];

    memcpy(p->scratch + scratch_half * CSV_LINE_MAX_BYTES, l.text, l.len);
    l.text = p->scratch + scratch_half * CSV_LINE_MAX_BYTES;
    return csv_split(&l, separator, fields);
}

/* The separator that splits most lines as it splits the first one; of several, the one that makes more
 * fields. */
static bool find_separator(struct sample *p, char *ret_separator, uint32_t *ret_n)
{
    size_t best_score = 0;

    *ret_n = 0;
    for (size_t c = 0; c < sizeof separators; c++) {
        uint32_t n = p->n > 0 ? sample_split(p, 0, separators[c], p->fields, 0) : 0;
        size_t score = 0;

        if (n < 2 || n > CSV_COLUMNS_MAX)
            continue;
        for (size_t i = 0; i < p->n; i++)
            score += sample_split(p, i, separators[c], p->fields, 0) == n;
        if (score > best_score || (score == best_score && n > *ret_n)) {
            best_score = score;
            *ret_separator = separators[c];
            *ret_n = n;
        }
    }
    return best_score > 0;
}

static bool is_number(struct span f)
{
    double v;

    return numfmt_parse_double((const char *)f.data, f.len, &v);
}

static bool is_stamp(struct span f)
{
    struct csv_stamp t;

    return csv_stamp_parse((const char *)f.data, f.len, &t);
}

/* A header names columns: none of its cells is a value, or it has a word where all lines below have values.
 */
static bool has_header(struct sample *p, char separator, uint32_t n_columns)
{
    uint32_t n_values = 0, n_contrasts = 0;
    uint8_t below[CSV_COLUMNS_MAX] = {0}; /* 1: a value was seen, 2: a word was seen */

    sample_split(p, 0, separator, p->head, 1);
    for (size_t i = 1; i < p->n; i++) {
        uint32_t n = sample_split(p, i, separator, p->fields, 0);

        for (uint32_t c = 0; n <= CSV_COLUMNS_MAX && c < n && c < n_columns; c++)
            if (!csv_is_absent(p->fields[c]))
                below[c] |= is_number(p->fields[c]) || is_stamp(p->fields[c]) ? 1 : 2;
    }
    for (uint32_t c = 0; c < n_columns; c++) {
        bool value = is_number(p->head[c]) || is_stamp(p->head[c]);

        n_values += value;
        n_contrasts += !value && p->head[c].len > 0 && below[c] == 1;
    }
    return n_values == 0 || n_contrasts > 0;
}

/* ---- columns ---- */

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

static int make_columns(struct csv_shape *s, struct sample *p)
{
    s->columns = calloc(s->n_columns, sizeof *s->columns);
    if (s->columns == NULL)
        return -ENOMEM;
    sample_split(p, 0, s->separator, p->head, 1);
    for (uint32_t i = 0; i < s->n_columns; i++)
        name_column(s, i, s->has_header ? p->head[i] : span_of(NULL, 0));
    return 0;
}

static bool is_called(const struct csv_column *c, const char *name)
{
    return strcasecmp(c->header, name) == 0;
}

/* By name as in the file, by mended name, or by number from 1. */
static int find_column(const struct csv_shape *s, const char *wanted)
{
    int64_t number;

    for (uint32_t i = 0; i < s->n_columns; i++)
        if (strcmp(s->columns[i].header, wanted) == 0 || strcmp(s->columns[i].name, wanted) == 0)
            return (int)i;
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (is_called(&s->columns[i], wanted))
            return (int)i;
    if (numfmt_parse_i64(wanted, strlen(wanted), &number) && number >= 1 && number <= s->n_columns)
        return (int)number - 1;
    return -1;
}

/* ---- time ---- */

/* What most sampled cells of a column are. */
struct kinds {
    size_t n, n_dates, n_times, n_both, n_numbers;
    double first_number;
};

static struct kinds kinds_of(const struct csv_shape *s, struct sample *p, uint32_t column)
{
    struct kinds k = {0};

    for (size_t i = s->has_header ? 1 : 0; i < p->n; i++) {
        struct csv_stamp t;
        double v;

        if (!csv_fits(s, p->fields, sample_split(p, i, s->separator, p->fields, 0)) ||
            csv_is_absent(p->fields[column]))
            continue;
        k.n++;
        if (csv_stamp_parse((const char *)p->fields[column].data, p->fields[column].len, &t)) {
            k.n_both += t.has_date && t.has_time;
            k.n_dates += t.has_date && !t.has_time;
            k.n_times += !t.has_date;
        } else if (numfmt_parse_double((const char *)p->fields[column].data, p->fields[column].len, &v)) {
            if (k.n_numbers++ == 0)
                k.first_number = v;
        }
    }
    return k;
}

static bool most(size_t n, const struct kinds *k)
{
    return n * 2 > k->n;
}

static void use_time(struct csv_shape *s, enum csv_time_form form, unsigned n, const int *columns)
{
    s->form = form;
    s->n_time_columns = n;
    for (unsigned i = 0; i < n; i++) {
        s->time_column[i] = (uint16_t)columns[i];
        s->columns[columns[i]].is_time = true;
    }
}

static int given_time(struct csv_shape *s, struct sample *p, const struct csv_options *o, struct errmsg *err)
{
    int columns[CSV_TIME_COLUMNS_MAX];
    struct kinds first;
    enum csv_time_form form;

    if (o->n_time_columns > CSV_TIME_COLUMNS_MAX)
        return errmsg_set(err, -EINVAL, "time: at most %d columns", CSV_TIME_COLUMNS_MAX);
    for (size_t i = 0; i < o->n_time_columns; i++) {
        columns[i] = find_column(s, o->time_columns[i]);
        if (columns[i] < 0)
            return errmsg_set(err, -EINVAL, "time: there is no column '%s'", o->time_columns[i]);
    }
    first = kinds_of(s, p, (uint32_t)columns[0]);
    if (o->n_time_columns >= 3) {
        form = CSV_TIME_PARTS;
    } else if (o->n_time_columns == 2) {
        form = CSV_TIME_DATE_AND_TIME;
    } else if (most(first.n_numbers, &first)) {
        form = CSV_TIME_NUMBER;
        s->unit_ns = csv_guess_unit_ns(first.first_number);
    } else if (most(first.n_both + first.n_dates, &first)) {
        form = CSV_TIME_ISO;
    } else {
        return errmsg_set(err, -EINVAL, "time: column '%s' holds neither ISO times nor numbers",
                          o->time_columns[0]);
    }
    use_time(s, form, (unsigned)o->n_time_columns, columns);
    return 0;
}

static bool find_date_and_time(struct csv_shape *s, struct sample *p)
{
    int columns[2] = {-1, -1};

    for (uint32_t i = 0; i < s->n_columns; i++) {
        if (is_called(&s->columns[i], "date") && columns[0] < 0)
            columns[0] = (int)i;
        if (is_called(&s->columns[i], "time") && columns[1] < 0)
            columns[1] = (int)i;
    }
    if (columns[0] >= 0 && columns[1] >= 0) {
        struct kinds date = kinds_of(s, p, (uint32_t)columns[0]), time = kinds_of(s, p, (uint32_t)columns[1]);

        if (most(date.n_dates, &date) && most(time.n_times, &time)) {
            use_time(s, CSV_TIME_DATE_AND_TIME, 2, columns);
            return true;
        }
    }
    return false;
}

static bool find_iso(struct csv_shape *s, struct sample *p)
{
    for (int i = 0; i < (int)s->n_columns; i++) {
        struct kinds k = kinds_of(s, p, (uint32_t)i);

        if (most(k.n_both + k.n_dates, &k)) {
            use_time(s, CSV_TIME_ISO, 1, &i);
            return true;
        }
    }
    return false;
}

static bool find_parts(struct csv_shape *s)
{
    static const char *const names[CSV_TIME_COLUMNS_MAX] = {"year", "month",  "day",
                                                            "hour", "minute", "second"};
    int columns[CSV_TIME_COLUMNS_MAX];
    unsigned n = 0;

    for (; n < CSV_TIME_COLUMNS_MAX; n++) {
        columns[n] = -1;
        for (uint32_t i = 0; i < s->n_columns; i++)
            if (is_called(&s->columns[i], names[n]) && columns[n] < 0)
                columns[n] = (int)i;
        if (columns[n] < 0)
            break;
    }
    if (n < 3)
        return false;
    use_time(s, CSV_TIME_PARTS, n, columns);
    return true;
}

static bool find_number(struct csv_shape *s, struct sample *p)
{
    for (int i = 0; i < (int)s->n_columns; i++) {
        const struct csv_column *c = &s->columns[i];
        struct kinds k;

        if (!is_called(c, "time") && !is_called(c, "ts") && !is_called(c, "timestamp"))
            continue;
        k = kinds_of(s, p, (uint32_t)i);
        if (most(k.n_numbers, &k)) {
            s->unit_ns = csv_guess_unit_ns(k.first_number);
            use_time(s, CSV_TIME_NUMBER, 1, &i);
            return true;
        }
    }
    return false;
}

static int find_time(struct csv_shape *s, struct sample *p, const struct csv_options *o, struct errmsg *err)
{
    if (o->n_time_columns > 0)
        return given_time(s, p, o, err);
    if (find_date_and_time(s, p) || find_iso(s, p) || find_parts(s) || find_number(s, p))
        return 0;
    if (s->has_header && p->n == 1)
        return errmsg_set(err, -EINVAL, "there are no rows below the header");
    if (o->may_lack_time) {
        s->form = CSV_TIME_NONE;
        return 0;
    }
    return errmsg_set(
        err, -EINVAL,
        "no time found: no column of ISO times, no date and time, no year, month, day, and no numbers "
        "called time, ts or timestamp; name the column with `time`, on a command line --time");
}

static int choose_channels(struct csv_shape *s, const struct csv_options *o, struct errmsg *err)
{
    for (size_t i = 0; i < o->n_int_columns; i++) {
        int column = find_column(s, o->int_columns[i]);

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
static uint64_t fingerprint(const struct sample *p)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < p->n && i < 2; i++)
        for (size_t k = 0; k < p->lines[i].len; k++)
            h = (h ^ (uint8_t)p->lines[i].text[k]) * UINT64_C(1099511628211);
    return h;
}

static int detect(struct csv_shape *s, struct csv_input *in, const struct csv_options *o, struct errmsg *err)
{
    owned(sample_deinit) struct sample p = {0};
    int rc = sample_read(&p, in);

    if (rc == -EBADMSG)
        return errmsg_set(err, rc, "the packed file is damaged or cut off");
    if (rc != 0)
        return rc;
    if (!find_separator(&p, &s->separator, &s->n_columns)) {
        if (!o->may_lack_time || p.n == 0)
            return errmsg_set(err, -EINVAL,
                              "no table in there: no line has two fields separated by , ; tab or |");
        s->separator = separators[0];
        s->n_columns = 1;
    }
    s->has_header = has_header(&p, s->separator, s->n_columns);
    s->data_offset = s->has_header ? p.lines[0].next_offset : p.lines[0].offset;
    s->data_line = s->has_header ? p.lines[0].line + 1 : p.lines[0].line;
    s->fingerprint = fingerprint(&p);
    rc = make_columns(s, &p);
    if (rc == 0)
        rc = find_time(s, &p, o, err);
    if (rc == 0)
        rc = choose_channels(s, o, err);
    if (rc == 0)
        rc = csv_zone_new(&s->zone, o->zone != NULL ? o->zone : "UTC", err);
    return rc;
}

/* ---- the whole file ---- */

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
        if (c->wants_int ? csv_parse_int(f, &whole) : is_number(f))
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

static int scan(struct csv_shape *s, struct csv_input *in, struct errmsg *err)
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

int csv_shape_new(struct csv_shape **ret_s, struct csv_input *in, const struct csv_options *options,
                  struct errmsg *err)
{
    struct csv_shape *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL)
        return -ENOMEM;
    rc = detect(s, in, options, err);
    if (rc == 0)
        rc = scan(s, in, err);
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
