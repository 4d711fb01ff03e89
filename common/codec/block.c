#include "codec/block.h"

#include "codec/column.h"
#include "codec/raw.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct block_store {
    struct block block;
    struct column columns[BLOCK_COLUMNS_MAX];
    uint8_t *memory; /* times, cells, then flags */
    size_t memory_bytes;
    struct block_coder *coder; /* from the first block on that is not raw */
    /* of the last block: the times, then the columns read */
    uint32_t encoding, n_facts;
    struct column_plan facts[BLOCK_COLUMNS_MAX + 1];
    struct column_mark marks[BLOCK_COLUMNS_MAX + 1];
};

struct block_coder *block_coder_free(struct block_coder *c)
{
    if (c != NULL)
        buf_deinit(&c->raw);
    free(c);
    return NULL;
}

int block_coder_new(struct block_coder **ret_c)
{
    struct block_coder *c = calloc(1, sizeof *c);

    if (c == NULL)
        return -ENOMEM;
    range_model_init(&c->fresh);
    sequence_work_init(&c->work);
    *ret_c = c;
    return 0;
}

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
    if (s == NULL)
        return NULL;
    free(s->memory);
    block_coder_free(s->coder);
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

/* ---- check ---- */

enum { CHECK_BYTES = 4, CHECK_SHORT_BYTES = 2, CHECK_SHORT_UP_TO_BYTES = 64 };

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* Over the body and over what the header and the set say of it, so that a body is not read with another's
 * shape or starts either. Words go to four sums in turn, which do not wait for each other. Every step is
 * one-to-one in its sum, so a change of one word always shows in 64 bits, of which the highest depend on all
 * others and are the check. */
static uint64_t check_of(uint32_t encoding, uint32_t n_rows, uint32_t n_columns, int64_t time_first_ns,
                         const struct block_starts *starts, struct span body)
{
    uint64_t h = mix(encoding, (uint64_t)n_columns << 32 | n_rows), sums[4], word;
    unsigned i;

    h = mix(mix(h, (uint64_t)time_first_ns), starts == NULL ? 0 : starts->digest);
    h = mix(h, body.len);
    for (i = 0; i < 4; i++)
        sums[i] = h + i;
    for (; body.len >= 32; body.data += 32, body.len -= 32)
        for (i = 0; i < 4; i++)
            sums[i] = mix(sums[i], load_le64(body.data + 8 * i));
    for (i = 0; body.len > 0; i++) {
        size_t n = body.len < 8 ? body.len : 8;

        word = 0;
        memcpy(&word, body.data, n);
        sums[i] = mix(sums[i], word);
        body.data += n;
        body.len -= n;
    }
    return mix(mix(mix(sums[0], sums[1]), sums[2]), sums[3]);
}

static size_t check_bytes(size_t body_bytes)
{
    return body_bytes <= CHECK_SHORT_UP_TO_BYTES ? CHECK_SHORT_BYTES : CHECK_BYTES;
}

/* Without the check; false when it is not right. The bytes with a short one are at most 66, with a long one
 * 69 at least. */
static bool take_check(const struct block_shape *shape, struct span *body)
{
    size_t n = body->len <= CHECK_SHORT_UP_TO_BYTES + CHECK_SHORT_BYTES ? CHECK_SHORT_BYTES : CHECK_BYTES;
    uint64_t told = 0, is;

    if (body->len < n)
        return false;
    body->len -= n;
    memcpy(&told, body->data + body->len, n);
    is = check_of(shape->encoding, shape->n_rows, shape->n_columns, shape->time_first_ns, shape->starts,
                  *body);
    return n == check_bytes(body->len) && told == is >> (64 - 8 * n);
}

/* ---- encoding ---- */

const char *block_encoding_name(uint32_t encoding)
{
    static const char *const names[] = {"unknown", "raw", "fast", "small"};

    return names[encoding <= BLOCK_ENCODING_SMALL ? encoding : 0];
}

bool block_ok(const struct block *b)
{
    uint32_t i, k;

    if (b->n_rows == 0 || b->n_rows > BLOCK_ROWS_MAX || b->n_columns == 0 || b->n_columns > BLOCK_COLUMNS_MAX)
        return false;
    for (i = 0; i < b->n_columns; i++) {
        const struct column *c = &b->columns[i];

        if (c->type < COLUMN_DOUBLE || c->type > COLUMN_TEXT)
            return false;
        for (k = 0; c->type == COLUMN_TEXT && k < b->n_rows; k++)
            if (c->text[k].len > BLOCK_TEXT_MAX_BYTES)
                return false;
        for (k = 0; c->type == COLUMN_BOOL && k < b->n_rows; k++)
            if ((uint64_t)c->i64[k] > 1 && (c->absent == NULL || !c->absent[k]))
                return false;
        for (k = 0; c->quality != NULL && k < b->n_rows; k++)
            if (c->quality[k] > QUALITY_STALE)
                return false;
    }
    return true;
}

static int64_t lowest_time(const struct block *b)
{
    int64_t lowest = b->time_ns[0];
    uint32_t i;

    for (i = 1; i < b->n_rows; i++)
        lowest = b->time_ns[i] < lowest ? b->time_ns[i] : lowest;
    return lowest;
}

int block_encode(struct block_coder *coder, enum block_encoding encoding, const struct block_starts *starts,
                 const struct block *b, struct buf *out)
{
    size_t from = out->len, n;
    uint64_t check;
    int r;

    if (encoding == BLOCK_ENCODING_RAW) {
        r = raw_encode(b, out);
        return r < 0 ? r : out->error;
    }
    if ((encoding != BLOCK_ENCODING_FAST && encoding != BLOCK_ENCODING_SMALL) || coder == NULL ||
        !block_ok(b) || (starts != NULL && starts->n_columns != b->n_columns))
        return -EINVAL;
    if (encoding == BLOCK_ENCODING_FAST)
        fast_encode(coder, starts, b, out);
    else
        small_encode(coder, starts, b, out);
    if (out->error != 0)
        return out->error;
    n = out->len - from;
    check =
        check_of(encoding, b->n_rows, b->n_columns, lowest_time(b), starts, span_of(out->data + from, n)) >>
        (64 - 8 * check_bytes(n));
    buf_append(out, &check, check_bytes(n));
    return out->error;
}

void block_slice(const struct block *b, uint32_t from, uint32_t n, struct column *columns,
                 struct block *ret_b)
{
    uint32_t i;

    for (i = 0; i < b->n_columns; i++) {
        const struct column *c = &b->columns[i];

        columns[i] = (struct column){.type = c->type,
                                     .absent = c->absent == NULL ? NULL : c->absent + from,
                                     .quality = c->quality == NULL ? NULL : c->quality + from};
        if (c->type == COLUMN_TEXT)
            columns[i].text = c->text + from;
        else
            columns[i].i64 = c->i64 + from;
    }
    *ret_b = (struct block){n, b->n_columns, b->time_ns + from, columns};
}

/* ---- decoding ---- */

static must_check int decode_coded(const struct block_shape *shape, struct span body, struct block_store *s)
{
    int r;

    if ((shape->starts != NULL && shape->starts->n_columns != shape->n_columns) || !shape_ok(shape) ||
        !take_check(shape, &body))
        return BLOCK_DAMAGED;
    r = s->coder == NULL ? block_coder_new(&s->coder) : 0;
    if (r == 0)
        r = lay_out(s, shape);
    if (r < 0)
        return r;
    r = shape->encoding == BLOCK_ENCODING_FAST
            ? fast_decode(s->coder, shape, body, s->block.time_ns, s->columns, s->facts, s->marks)
            : small_decode(s->coder, shape, body, s->block.time_ns, s->columns, s->facts, s->marks);
    /* Facts of a block that was given up hold what was refused. */
    if (r == 0)
        s->n_facts = shape->only_column < 0 ? shape->n_columns : (uint32_t)shape->only_column + 1;
    return r;
}

int block_decode(const struct block_shape *shape, struct span body, struct block_store *s,
                 const struct block **ret_block)
{
    int r;

    assert(shape->only_column < (int)shape->n_columns);
    s->encoding = shape->encoding;
    s->n_facts = 0;
    if (shape->encoding == BLOCK_ENCODING_FAST || shape->encoding == BLOCK_ENCODING_SMALL) {
        r = decode_coded(shape, body, s);
        if (r == 0)
            *ret_block = &s->block;
        return r;
    }
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

/* ---- facts ---- */

static double mark_bits(const struct block_store *s, const struct column_mark *m)
{
    if (s->encoding == BLOCK_ENCODING_FAST)
        return 8 * (double)m->bytes;
    return 8 * (double)m->bytes + (double)m->raw_bits - log2((double)m->range);
}

static const char *numbers_name(const struct column_plan *p)
{
    static const char *const names[NUMBER_KINDS] = {"decimal", "float", "bits", "integer", "bounded"};

    switch (p->type) {
    case COLUMN_DOUBLE:
        return names[p->format.kind];
    case COLUMN_BOOL:
        return "bool";
    case COLUMN_TEXT:
        return "text";
    default:
        return "integer";
    }
}

void block_store_facts(const struct block_store *s, int column, struct column_facts *ret_facts)
{
    static const char *const predictors[PREDICTORS] = {"constant", "last",   "line",    "half-line", "mean-2",
                                                       "mean-4",   "mean-8", "mean-16", "mean-32"};
    static const char *const ranks[RANK_MODES] = {"none", "values", "differences"};
    const struct column_plan *p = &s->facts[column + 1];

    if (column + 1 > (int)s->n_facts || s->n_facts == 0) {
        *ret_facts = (struct column_facts){.numbers = "fixed", .predictor = "none", .ranks = "none"};
        return;
    }
    *ret_facts = (struct column_facts){
        .numbers = numbers_name(p),
        .exponent = p->format.exponent,
        .has_ulps = p->format.has_ulps,
        .predictor = predictors[p->sequence.predictor],
        .ranks = ranks[p->sequence.rank_mode],
        .n_ranks = p->n_ranks,
        .n_cells = p->n_cells,
        .n_exceptions = p->n_exceptions,
        .body_bytes =
            (mark_bits(s, &s->marks[column + 1]) - (column < 0 ? 0 : mark_bits(s, &s->marks[column]))) / 8};
}
