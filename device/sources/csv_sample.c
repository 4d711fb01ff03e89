/* csv_sample.c - the first lines of a file: how they are separated, and whether the first names columns. */
#include "device/sources/csv_shape_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_BYTES = 256 * 1024 };

static const char separators[] = {',', ';', '\t', '|'};

void csv_sample_deinit(struct csv_sample *p)
{
    free(p->memory);
    free(p->scratch);
}

int csv_sample_read(struct csv_sample *p, struct csv_input *in)
{
    struct csv_line l;
    int rc = csv_input_seek(in, 0, 1);

    p->memory = malloc(SAMPLE_BYTES);
    p->scratch = malloc(2 * CSV_LINE_MAX_BYTES);
    if (p->memory == NULL || p->scratch == NULL)
        return -ENOMEM;
    while (rc == 0 && p->n < CSV_SAMPLE_LINES) {
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

uint32_t csv_sample_split(struct csv_sample *p, size_t i, char separator, struct span *fields,
                          size_t scratch_half)
{
    struct csv_line l = p->lines[i];

    memcpy(p->scratch + scratch_half * CSV_LINE_MAX_BYTES, l.text, l.len);
    l.text = p->scratch + scratch_half * CSV_LINE_MAX_BYTES;
    return csv_split(&l, separator, fields);
}

/* The separator that splits most lines as it splits the first one; of several, the one that makes more
 * fields. */
bool csv_find_separator(struct csv_sample *p, char *ret_separator, uint32_t *ret_n)
{
    size_t best_score = 0;

    *ret_n = 0;
    for (size_t c = 0; c < sizeof separators; c++) {
        uint32_t n = p->n > 0 ? csv_sample_split(p, 0, separators[c], p->fields, 0) : 0;
        size_t score = 0;

        if (n < 2 || n > CSV_COLUMNS_MAX)
            continue;
        for (size_t i = 0; i < p->n; i++)
            score += csv_sample_split(p, i, separators[c], p->fields, 0) == n;
        if (score > best_score || (score == best_score && n > *ret_n)) {
            best_score = score;
            *ret_separator = separators[c];
            *ret_n = n;
        }
    }
    return best_score > 0;
}

static bool is_stamp(struct span f)
{
    struct csv_stamp t;

    return csv_stamp_parse((const char *)f.data, f.len, &t);
}

/* A header names columns: none of its cells is a value, or it has a word where all lines below have values.
 */
bool csv_has_header(struct csv_sample *p, char separator, uint32_t n_columns)
{
    uint32_t n_values = 0, n_contrasts = 0;
    uint8_t below[CSV_COLUMNS_MAX] = {0}; /* 1: a value was seen, 2: a word was seen */

    csv_sample_split(p, 0, separator, p->head, 1);
    for (size_t i = 1; i < p->n; i++) {
        uint32_t n = csv_sample_split(p, i, separator, p->fields, 0);

        for (uint32_t c = 0; n <= CSV_COLUMNS_MAX && c < n && c < n_columns; c++)
            if (!csv_is_absent(p->fields[c]))
                below[c] |= csv_is_number(p->fields[c]) || is_stamp(p->fields[c]) ? 1 : 2;
    }
    for (uint32_t c = 0; c < n_columns; c++) {
        bool value = csv_is_number(p->head[c]) || is_stamp(p->head[c]);

        n_values += value;
        n_contrasts += !value && p->head[c].len > 0 && below[c] == 1;
    }
    return n_values == 0 || n_contrasts > 0;
}
