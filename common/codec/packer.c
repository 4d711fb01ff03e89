#include "codec/block.h"

#include "codec/raw.h"

#include <errno.h>
#include <stdlib.h>

enum {
    TEXT_ARENA_BYTES = 48 * 1024,
    QUALITY_RUN_BYTES = 3, /* quality, and a varint below 2^14 */
};

/* All flags of a column are written row by row, but shown in the block only once one of them says something.
 */
struct packed_column {
    uint8_t *absent, *quality;
};

struct packer {
    struct block block;
    uint32_t max_rows, n_samples, n_bool_columns, n_absent_columns;
    struct packed_column *flags;
    char *texts;
    size_t texts_used;
    size_t n_quality_runs; /* of all columns */
    size_t cell_bytes;     /* of all present cells but bools */
};

struct packer *packer_free(struct packer *p)
{
    uint32_t i;

    if (p == NULL)
        return NULL;
    for (i = 0; i < p->block.n_columns; i++) {
        if (p->block.columns != NULL)
            free(p->block.columns[i].i64);
        if (p->flags != NULL)
            free(p->flags[i].absent); /* quality stands behind it */
    }
    free(p->block.columns);
    free(p->block.time_ns);
    free(p->flags);
    free(p->texts);
    free(p);
    return NULL;
}

static must_check int allocate(struct packer *p, const enum column_type *types, uint32_t n_columns)
{
    uint32_t i;

    p->block.time_ns = calloc(p->max_rows, sizeof *p->block.time_ns);
    p->block.columns = calloc(n_columns, sizeof *p->block.columns);
    p->flags = calloc(n_columns, sizeof *p->flags);
    if (p->block.time_ns == NULL || p->block.columns == NULL || p->flags == NULL)
        return -ENOMEM;
    p->block.n_columns = n_columns;
    for (i = 0; i < n_columns; i++) {
        struct column *c = &p->block.columns[i];

        c->type = types[i];
        c->i64 = calloc(p->max_rows, types[i] == COLUMN_TEXT ? sizeof *c->text : sizeof *c->i64);
        p->flags[i].absent = calloc(p->max_rows, 2);
        if (c->i64 == NULL || p->flags[i].absent == NULL)
            return -ENOMEM;
        p->flags[i].quality = p->flags[i].absent + p->max_rows;
        p->n_bool_columns += types[i] == COLUMN_BOOL;
        if (types[i] == COLUMN_TEXT && p->texts == NULL) {
            p->texts = malloc(TEXT_ARENA_BYTES);
            if (p->texts == NULL)
                return -ENOMEM;
        }
    }
    return 0;
}

int packer_new(struct packer **ret_p, const enum column_type *types, uint32_t n_columns, uint32_t max_rows)
{
    struct packer *p;
    uint32_t i;
    int r;

    if (n_columns == 0 || n_columns > BLOCK_COLUMNS_MAX || max_rows == 0 || max_rows > BLOCK_ROWS_MAX)
        return -EINVAL;
    for (i = 0; i < n_columns; i++)
        if (types[i] < COLUMN_DOUBLE || types[i] > COLUMN_TEXT)
            return -EINVAL;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    p->max_rows = max_rows;
    r = allocate(p, types, n_columns);
    if (r < 0) {
        packer_free(p);
        return r;
    }
    *ret_p = p;
    return 0;
}

/* Everything that can refuse a row, before any of it is in. */
static must_check int row_fits(const struct packer *p, const struct cell *cells)
{
    size_t text_bytes = 0;
    uint32_t i;

    for (i = 0; i < p->block.n_columns; i++) {
        if (cells[i].quality > QUALITY_STALE)
            return -EINVAL;
        if (p->block.columns[i].type != COLUMN_TEXT || cells[i].absent)
            continue;
        if (cells[i].text.len > BLOCK_TEXT_MAX_BYTES)
            return -EINVAL;
        text_bytes += cells[i].text.len;
    }
    if (p->block.n_rows == p->max_rows || text_bytes > TEXT_ARENA_BYTES - p->texts_used)
        return PACKER_FULL;
    return 0;
}

static void put_flags(struct packer *p, uint32_t i, uint32_t row, const struct cell *cell)
{
    struct packed_column *f = &p->flags[i];
    struct column *c = &p->block.columns[i];

    f->absent[row] = cell->absent;
    if (cell->absent && c->absent == NULL) {
        c->absent = f->absent;
        p->n_absent_columns++;
    }
    f->quality[row] = cell->quality;
    if (cell->quality != QUALITY_GOOD)
        c->quality = f->quality;
    if (row == 0 || f->quality[row - 1] != cell->quality)
        p->n_quality_runs++;
}

static void put_text(struct packer *p, struct span *at, struct span text)
{
    char *copy = p->texts + p->texts_used;

    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    p->texts_used += text.len;
    p->cell_bytes += 1 + text.len;
    *at = span_of(copy, text.len);
}

int packer_add(struct packer *p, int64_t time_ns, const struct cell *cells)
{
    uint32_t row = p->block.n_rows, i;
    int r = row_fits(p, cells);

    if (r != 0)
        return r;
    p->block.time_ns[row] = time_ns;
    for (i = 0; i < p->block.n_columns; i++) {
        struct column *c = &p->block.columns[i];
        const struct cell *cell = &cells[i];

        put_flags(p, i, row, cell);
        p->n_samples += !cell->absent;
        if (c->type == COLUMN_TEXT) {
            c->text[row] = (struct span){0};
            if (!cell->absent)
                put_text(p, &c->text[row], cell->text);
        } else if (c->type == COLUMN_BOOL) {
            c->i64[row] = !cell->absent && cell->i64 != 0;
        } else {
            c->i64[row] = cell->absent ? 0 : cell->i64; /* a double by its bits */
            p->cell_bytes += cell->absent ? 0 : sizeof *c->i64;
        }
    }
    p->block.n_rows++;
    return 0;
}

const struct block *packer_block(const struct packer *p)
{
    return &p->block;
}

/* Kept up row by row and loose by a few bytes a column: asked after every row. */
size_t packer_raw_bytes(const struct packer *p)
{
    size_t n_rows = p->block.n_rows, bitmap = (n_rows + 7) / 8, times = RAW_TIME_HEAD_BYTES + 8 * n_rows;

    if (times < RAW_TIME_STEP_BYTES)
        times = RAW_TIME_STEP_BYTES;
    return times + p->block.n_columns * (size_t)(1 + RAW_INT_HEAD_BYTES) +
           (p->n_absent_columns + p->n_bool_columns) * bitmap + p->n_quality_runs * QUALITY_RUN_BYTES +
           p->cell_bytes;
}

uint32_t packer_samples(const struct packer *p)
{
    return p->n_samples;
}

void packer_clear(struct packer *p)
{
    uint32_t i;

    for (i = 0; i < p->block.n_columns; i++) {
        p->block.columns[i].absent = NULL;
        p->block.columns[i].quality = NULL;
    }
    p->block.n_rows = 0;
    p->n_samples = 0;
    p->n_absent_columns = 0;
    p->n_quality_runs = 0;
    p->cell_bytes = 0;
    p->texts_used = 0;
}
