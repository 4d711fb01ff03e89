#include "device/codec_table.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TEXTS_BYTES = 256 * 1024 };

/* Texts stay where they are put, so that spans may point at them. */
struct codec_texts {
    struct codec_texts *next;
    size_t used;
    char bytes[TEXTS_BYTES];
};

static const uint8_t *keep_text(struct codec_table *t, struct span text)
{
    char *at;

    if (t->texts == NULL || TEXTS_BYTES - t->texts->used < text.len) {
        struct codec_texts *fresh = malloc(sizeof *fresh);

        if (fresh == NULL)
            return NULL;
        fresh->next = t->texts;
        fresh->used = 0;
        t->texts = fresh;
    }
    at = t->texts->bytes + t->texts->used;
    memcpy(at, text.data, text.len);
    t->texts->used += text.len;
    return (const uint8_t *)at;
}

static must_check int set_cell(struct codec_table *t, struct column *c, uint64_t row, const struct cell *cell)
{
    c->absent[row] = cell->absent;
    if (c->quality != NULL)
        c->quality[row] = cell->quality;
    if (cell->absent)
        return 0;
    if (c->type == COLUMN_TEXT) {
        const uint8_t *at = keep_text(t, cell->text);

        if (at == NULL)
            return -ENOMEM;
        c->text[row] = span_of(at, cell->text.len);
    } else {
        /* Both are eight bytes in one union. */
        c->i64[row] = cell->i64;
    }
    return 0;
}

static must_check int add_row(struct codec_table *t, const struct csv_row *row)
{
    int r = 0;

    t->time_ns[t->n_rows] = row->time_ns;
    for (uint32_t i = 0; i < t->n_columns && r == 0; i++) {
        r = set_cell(t, &t->columns[i], t->n_rows, &row->cells[i]);
        t->about[i].n_present += !row->cells[i].absent;
        t->n_samples += !row->cells[i].absent;
    }
    t->n_bad_cells += row->n_bad_cells;
    t->n_cut_texts += row->n_cut_texts;
    t->n_rows++;
    return r;
}

static must_check int make_column(struct codec_table *t, uint32_t i, const struct csv_column *from,
                                  uint64_t n_rows)
{
    struct column *c = &t->columns[i];

    c->type = t->types[i] = from->type;
    memcpy(t->about[i].header, from->header[0] != '\0' ? from->header : from->name,
           from->header[0] != '\0' ? sizeof from->header : sizeof from->name);
    memcpy(t->about[i].name, from->name, sizeof from->name);
    /* One more than none: calloc(0) may give NULL. */
    if (c->type == COLUMN_TEXT)
        c->text = calloc(n_rows + 1, sizeof *c->text);
    else
        c->i64 = calloc(n_rows + 1, sizeof *c->i64);
    c->absent = calloc(n_rows + 1, 1);
    if (from->n_long > 0 && (c->quality = calloc(n_rows + 1, 1)) == NULL)
        return -ENOMEM;
    return (c->type == COLUMN_TEXT ? (void *)c->text : (void *)c->i64) == NULL || c->absent == NULL ? -ENOMEM
                                                                                                    : 0;
}

static must_check int make_columns(struct codec_table *t, const struct csv_shape *s)
{
    const struct csv_column *time = &s->columns[s->time_column[0]];
    int r = 0;

    t->types = calloc(s->n_channels, sizeof *t->types);
    t->about = calloc(s->n_channels, sizeof *t->about);
    t->columns = calloc(s->n_channels, sizeof *t->columns);
    t->time_ns = calloc(s->n_rows + 1, sizeof *t->time_ns);
    if (t->types == NULL || t->about == NULL || t->columns == NULL || t->time_ns == NULL)
        return -ENOMEM;
    t->n_columns = s->n_channels;
    t->has_time = s->form != CSV_TIME_NONE;
    for (uint32_t i = 0; i < s->n_channels; i++)
        t->has_text |= s->columns[s->channel[i]].type == COLUMN_TEXT;
    for (uint32_t i = 0; i < s->n_channels && r == 0; i++)
        r = make_column(t, i, &s->columns[s->channel[i]], s->n_rows);
    snprintf(t->time_header, sizeof t->time_header, "%s",
             s->n_time_columns == 1 && time->header[0] != '\0' ? time->header : "time");
    return r;
}

static must_check int read_rows(struct codec_table *t, struct csv_input *in, struct csv_shape *s)
{
    struct csv_reader *reader;
    struct csv_row row;
    const char *why;
    int r = csv_reader_new(&reader, in, s);

    if (r != 0)
        return r;
    while (r == 0 && (r = csv_reader_next(reader, &row, &why)) != CSV_END) {
        if (r == CSV_BAD_ROW) {
            t->n_bad_rows++;
            r = 0;
        } else if (r == 0 && t->n_rows == s->n_rows) {
            r = -ESTALE; /* the file grew since the first pass */
        } else if (r == 0) {
            r = add_row(t, &row);
        }
    }
    csv_reader_free(reader);
    return r == CSV_END ? 0 : r;
}

static void drop_empty_flags(struct codec_table *t)
{
    for (uint32_t i = 0; i < t->n_columns; i++) {
        struct column *c = &t->columns[i];

        if (t->about[i].n_present == t->n_rows) {
            free(c->absent);
            c->absent = NULL;
        }
    }
}

int codec_table_new(struct codec_table **ret_t, const char *path, const struct csv_options *options,
                    struct errmsg *err)
{
    owned(codec_table_freep) struct codec_table *t = calloc(1, sizeof *t);
    owned(csv_input_freep) struct csv_input *in = NULL;
    owned(csv_shape_freep) struct csv_shape *s = NULL;
    struct errmsg why = {""};
    int r;

    if (t == NULL)
        return errmsg_set(err, -ENOMEM, "%s: no memory", path);
    r = csv_input_open(&in, path, err);
    if (r != 0)
        return r;
    r = csv_shape_new(&s, in, options, &why);
    if (r == 0)
        r = make_columns(t, s);
    if (r == 0)
        r = read_rows(t, in, s);
    if (r == -ESTALE)
        return errmsg_set(err, r, "%s: changed while it was read; try again when nobody writes to it", path);
    if (r != 0)
        return errmsg_set(err, r, "%s: %s", path,
                          why.text[0] != '\0' ? why.text
                          : r == -EBADMSG     ? "the packed file is damaged or cut off"
                                              : strerror(-r));
    drop_empty_flags(t);
    *ret_t = TAKE(t);
    return 0;
}

static void free_arrays(struct column *c)
{
    free(c->i64); /* of a union of three pointers */
    free(c->absent);
    free(c->quality);
}

struct codec_table *codec_table_free(struct codec_table *t)
{
    if (t == NULL)
        return NULL;
    for (uint32_t i = 0; t->columns != NULL && i < t->n_columns; i++)
        free_arrays(&t->columns[i]);
    while (t->texts != NULL) {
        struct codec_texts *next = t->texts->next;

        free(t->texts);
        t->texts = next;
    }
    free(t->types);
    free(t->about);
    free(t->columns);
    free(t->time_ns);
    free(t);
    return NULL;
}

void codec_table_freep(struct codec_table **t)
{
    codec_table_free(*t);
}

static struct column column_from(const struct column *c, uint64_t from)
{
    struct column part = {.type = c->type};

    if (c->type == COLUMN_TEXT)
        part.text = c->text + from;
    else
        part.i64 = c->i64 + from;
    part.absent = c->absent != NULL ? c->absent + from : NULL;
    part.quality = c->quality != NULL ? c->quality + from : NULL;
    return part;
}

static size_t row_text_bytes(const struct codec_table *t, uint64_t row)
{
    size_t n = 0;

    for (uint32_t i = 0; i < t->n_columns; i++)
        n += t->types[i] == COLUMN_TEXT ? t->columns[i].text[row].len : 0;
    return n;
}

void codec_table_block(const struct codec_table *t, uint64_t from, uint32_t max_rows, struct column *columns,
                       struct block *ret_b)
{
    uint64_t left = t->n_rows - from;
    uint32_t n, max = left < max_rows ? (uint32_t)left : max_rows;
    size_t text_bytes = 0;

    for (n = t->has_text ? 0 : max; n < max; n++) {
        text_bytes += row_text_bytes(t, from + n);
        if (n > 0 && text_bytes > CODEC_BLOCK_TEXT_BYTES)
            break;
    }
    for (uint32_t i = 0; i < t->n_columns; i++)
        columns[i] = column_from(&t->columns[i], from);
    *ret_b = (struct block){n, t->n_columns, t->time_ns + from, columns};
}

int codec_table_find(const struct codec_table *t, const char *name, size_t name_len)
{
    for (uint32_t i = 0; i < t->n_columns; i++)
        if ((strlen(t->about[i].header) == name_len && memcmp(t->about[i].header, name, name_len) == 0) ||
            (strlen(t->about[i].name) == name_len && memcmp(t->about[i].name, name, name_len) == 0))
            return (int)i;
    return -1;
}

int codec_table_series(struct codec_table **ret_t, const struct codec_table *from, uint32_t column)
{
    owned(codec_table_freep) struct codec_table *t = calloc(1, sizeof *t);
    const struct column *c = &from->columns[column];

    if (t == NULL)
        return -ENOMEM;
    t->types = calloc(1, sizeof *t->types);
    t->about = calloc(1, sizeof *t->about);
    t->columns = calloc(1, sizeof *t->columns);
    t->time_ns = calloc(from->n_rows + 1, sizeof *t->time_ns);
    if (t->types == NULL || t->about == NULL || t->columns == NULL || t->time_ns == NULL)
        return -ENOMEM;
    t->n_columns = 1;
    t->types[0] = t->columns[0].type = c->type;
    t->about[0] = from->about[column];
    snprintf(t->time_header, sizeof t->time_header, "time");
    t->columns[0].i64 = calloc(from->n_rows + 1, sizeof *t->columns[0].i64);
    if (t->columns[0].i64 == NULL)
        return -ENOMEM;
    for (uint64_t row = 0; row < from->n_rows; row++) {
        if (c->absent != NULL && c->absent[row])
            continue;
        t->time_ns[t->n_rows] = (int64_t)t->n_rows * NS_PER_S;
        t->columns[0].i64[t->n_rows++] = c->i64[row];
    }
    t->n_samples = t->n_rows;
    *ret_t = TAKE(t);
    return 0;
}

void codec_table_drop(struct codec_table *t, uint32_t column)
{
    uint32_t n_behind = t->n_columns - column - 1;

    free_arrays(&t->columns[column]);
    t->n_samples -= t->about[column].n_present;
    t->n_columns--;
    memmove(&t->types[column], &t->types[column + 1], n_behind * sizeof *t->types);
    memmove(&t->about[column], &t->about[column + 1], n_behind * sizeof *t->about);
    memmove(&t->columns[column], &t->columns[column + 1], n_behind * sizeof *t->columns);
}

static void move_row(struct codec_table *t, uint64_t to, uint64_t from)
{
    t->time_ns[to] = t->time_ns[from];
    for (uint32_t i = 0; i < t->n_columns; i++) {
        struct column *c = &t->columns[i];

        if (c->type == COLUMN_TEXT)
            c->text[to] = c->text[from];
        else
            c->i64[to] = c->i64[from];
        if (c->absent != NULL)
            c->absent[to] = c->absent[from];
        if (c->quality != NULL)
            c->quality[to] = c->quality[from];
        t->about[i].n_present += c->absent == NULL || !c->absent[to];
        t->n_samples += c->absent == NULL || !c->absent[to];
    }
}

static int64_t tick_of(int64_t time_ns, int64_t interval_ns)
{
    return time_ns / interval_ns - (time_ns % interval_ns < 0);
}

void codec_table_thin(struct codec_table *t, int64_t interval_ns)
{
    uint64_t kept = 0;
    int64_t last = 0;

    t->n_samples = 0;
    for (uint32_t i = 0; i < t->n_columns; i++)
        t->about[i].n_present = 0;
    for (uint64_t row = 0; row < t->n_rows; row++) {
        int64_t tick = tick_of(t->time_ns[row], interval_ns);

        if (kept > 0 && tick <= last)
            continue;
        last = tick;
        move_row(t, kept++, row);
    }
    t->n_rows = kept;
}
