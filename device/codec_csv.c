#include "device/codec_csv.h"

#include "base/clock.h"
#include "base/numfmt.h"

#include <inttypes.h>

/* Whatever could be taken for a separator, a quote, an end of line, or blanks around a field. */
static bool needs_quotes(struct span s)
{
    if (s.len == 0)
        return false;
    if (s.data[0] == ' ' || s.data[0] == '\t' || s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')
        return true;
    for (size_t i = 0; i < s.len; i++)
        if (strchr(",;\t|\"\r\n", s.data[i]) != NULL) /* NUL too, which no reader gives */
            return true;
    return false;
}

static void put_text(FILE *out, struct span s)
{
    if (!needs_quotes(s)) {
        fwrite(s.data, 1, s.len, out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"')
            fputc('"', out);
        fputc(s.data[i], out);
    }
    fputc('"', out);
}

void codec_csv_header(FILE *out, const struct codec_file *f)
{
    put_text(out, f->time_name);
    for (uint32_t i = 0; i < f->n_columns; i++) {
        fputc(',', out);
        put_text(out, f->names[i]);
    }
    fputc('\n', out);
}

static void put_cell(FILE *out, const struct column *c, uint32_t row)
{
    char number[NUMFMT_DOUBLE_CHARS];

    if (c->absent != NULL && c->absent[row])
        return;
    if (c->type == COLUMN_TEXT)
        put_text(out, c->text[row]);
    else if (c->type == COLUMN_DOUBLE)
        fwrite(number, 1, numfmt_double(c->f64[row], number), out);
    else
        fprintf(out, "%" PRId64, c->i64[row]);
}

void codec_csv_rows(FILE *out, const struct block *b)
{
    char stamp[40];

    for (uint32_t row = 0; row < b->n_rows; row++) {
        fputs(clock_format_utc(b->time_ns[row], stamp), out);
        for (uint32_t i = 0; i < b->n_columns; i++) {
            fputc(',', out);
            put_cell(out, &b->columns[i], row);
        }
        fputc('\n', out);
    }
}
