#include "codec/block.h"

#include "codec/raw.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct block_store {
    struct block block;
    struct column columns[BLOCK_COLUMNS_MAX];
    uint8_t *memory; /* times, cells, then flags */
    size_t memory_bytes;
};

int block_store_new(struct block_store **ret_s)
{
    struct block_store *s = calloc(1, sizeof *s);

    if (s == NULL)
        return -ENOMEM;
    *ret_s = s;
    return 0;
}

struct block_store *block_store_free(struct block_store *s)
{
    if (s != NULL)
        free(s->memory);
    free(s);
    return NULL;
}

static bool shape_ok(const struct block_shape *shape)
{
    uint32_t i;

    if (shape->n_columns == 0 || shape->n_columns > BLOCK_COLUMNS_MAX || shape->n_rows == 0 ||
        shape->n_rows > BLOCK_ROWS_MAX)
        return false;
    for (i = 0; i < shape->n_columns; i++)
        if (shape->types[i] < COLUMN_DOUBLE || shape->types[i] > COLUMN_TEXT)
            return false;
    return true;
}

static bool wanted(const struct block_shape *shape, uint32_t column)
{
    return shape->only_column < 0 || (uint32_t)shape->only_column == column;
}

static size_t cell_bytes(enum column_type type)
{
    return type == COLUMN_TEXT ? sizeof(struct span) : sizeof(int64_t);
}

/* Contents do not matter from one block to the next, so free and malloc: nothing is copied. */
static must_check int reserve(struct block_store *s, size_t n)
{
    if (n <= s->memory_bytes)
        return 0;
    free(s->memory);
    s->memory_bytes = 0;
    s->memory = malloc(n);
    if (s->memory == NULL)
        return -ENOMEM;
    s->memory_bytes = n;
    return 0;
}

/* Lays times, cells and flags of the wanted columns into the store's memory. At most 18 MiB, for the largest
 * block. */
static must_check int lay_out(struct block_store *s, const struct block_shape *shape)
{
    size_t n_rows = shape->n_rows, n_bytes = n_rows * sizeof(int64_t);
    uint8_t *cells, *flags;
    uint32_t i;
    int r;

    for (i = 0; i < shape->n_columns; i++)
        if (wanted(shape, i))
            n_bytes += n_rows * (cell_bytes(shape->types[i]) + 2);
    r = reserve(s, n_bytes);
    if (r < 0)
        return r;
    s->block = (struct block){shape->n_rows, shape->n_columns, (int64_t *)(void *)s->memory, s->columns};
    cells = s->memory + n_rows * sizeof(int64_t);
    flags = s->memory + n_bytes;
    for (i = 0; i < shape->n_columns; i++) {
        s->columns[i] = (struct column){.type = shape->types[i]};
        if (!wanted(shape, i))
            continue;
        s->columns[i].i64 = (int64_t *)(void *)cells; /* a union: the array of any type */
        cells += n_rows * cell_bytes(shape->types[i]);
        s->columns[i].absent = flags -= n_rows;
        s->columns[i].quality = flags -= n_rows;
    }
    return 0;
}

int block_encode(enum block_encoding encoding, const struct block *b, struct buf *out)
{
    int r;

    if (encoding != BLOCK_ENCODING_RAW)
        return -EINVAL;
    r = raw_encode(b, out);
    return r < 0 ? r : out->error;
}

int block_decode(const struct block_shape *shape, struct span body, struct block_store *s,
                 const struct block **ret_block)
{
    int r;

    assert(shape->only_column < (int)shape->n_columns);
    if (shape->encoding != BLOCK_ENCODING_RAW)
        return BLOCK_ENCODING_UNKNOWN;
    /* Every column takes a byte at least: a short body cannot make us reserve for many columns. */
    if (!shape_ok(shape) || body.len < RAW_TIME_HEAD_BYTES + shape->n_columns)
        return BLOCK_DAMAGED;
    r = lay_out(s, shape);
    if (r < 0)
        return r;
    r = raw_decode(body, shape->n_rows, shape->n_columns, shape->types, s->block.time_ns, s->columns);
    if (r == 0)
        *ret_block = &s->block;
    return r;
}
