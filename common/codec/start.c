/* start.c - what a descriptor set says of its columns, read and learnt (README.md, "Starts"). */
#include "codec/column.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { START_VERSION = 1, START_MAX_BYTES = 1000 };

/* ---- reading ---- */

static int read_dictionary(struct reader *r, struct sequence_start *s)
{
    uint64_t n = reader_varint(r);
    uint32_t n_slots, i;

    if (n == 0 || n > RANKS_MAX)
        return -EINVAL;
    n_slots = rank_slots_for((uint32_t)n);
    s->dictionary = malloc(sizeof *s->dictionary + n * sizeof *s->dictionary->at);
    s->map = malloc(sizeof *s->map + n_slots * sizeof *s->map->slots);
    if (s->dictionary == NULL || s->map == NULL)
        return -ENOMEM;
    s->dictionary->at = (int64_t *)(s->dictionary + 1);
    rank_map_init(s->map, (int16_t *)(s->map + 1), n_slots);
    s->dictionary->n = (uint32_t)n;
    for (i = 0; i < n; i++) {
        uint64_t v = reader_varint(r);

        s->dictionary->at[i] = i == 0 ? unzigzag64(v) : (int64_t)((uint64_t)s->dictionary->at[i - 1] + v);
        if (r->bad || (i > 0 && s->dictionary->at[i] <= s->dictionary->at[i - 1]))
            return -EINVAL;
    }
    rank_map_build(s->map, s->dictionary);
    return 0;
}

static int read_texts(struct reader *r, struct column_start *s)
{
    uint64_t n = reader_varint(r);

    if (n > START_TEXTS_MAX)
        return -EINVAL;
    for (s->n_texts = 0; s->n_texts < n; s->n_texts++) {
        size_t len = reader_u8(r);
        const uint8_t *at = reader_take(r, len);

        if (at == NULL || len > START_TEXT_MAX_BYTES)
            return -EINVAL;
        s->texts[s->n_texts] = span_of(at, len);
    }
    return 0;
}

static int read_numbers(struct reader *r, enum column_type type, struct column_start *s)
{
    s->unit = 1;
    if (type == COLUMN_DOUBLE) {
        uint8_t kind = reader_u8(r);

        s->format = (struct number_format){kind & 7, reader_u8(r), kind >> 3 == 1};
        return kind < 16 && number_format_ok(&s->format, s->error_bound) ? 0 : -EINVAL;
    }
    if (type == COLUMN_INT64) {
        s->unit = reader_varint(r);
        s->offset = reader_varint(r);
        return s->unit > 0 && s->unit <= INT64_MAX && s->offset < s->unit ? 0 : -EINVAL;
    }
    return 0;
}

/* error_bound is set. */
static int read_start(struct span bytes, enum column_type type, struct column_start *s)
{
    struct sequence_start *q = &s->sequence;
    struct reader r = reader_of(bytes);
    uint8_t how;
    int rc;

    if (bytes.len == 0)
        return 0;
    if (reader_u8(&r) != START_VERSION)
        return -EINVAL;
    rc = read_numbers(&r, type, s);
    if (rc != 0)
        return rc;
    how = reader_u8(&r);
    q->warm = true;
    q->predictor = how & 15;
    q->rank_mode = how >> 4;
    q->level = reader_u8(&r);
    q->base_level = reader_u8(&r);
    q->center = unzigzag64(reader_varint(&r));
    if (r.bad || q->predictor >= PREDICTORS || q->rank_mode >= RANK_MODES || q->level > LEVEL_MAX ||
        q->base_level > LEVEL_MAX)
        return -EINVAL;
    if (q->rank_mode != RANK_NONE)
        rc = read_dictionary(&r, q);
    if (rc == 0 && type == COLUMN_TEXT)
        rc = read_texts(&r, s);
    if (rc == 0 && (r.bad || reader_left(&r) > 0))
        rc = -EINVAL;
    return rc;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static uint64_t mix_bytes(uint64_t h, struct span bytes)
{
    size_t i;

    h = mix(h, bytes.len);
    for (i = 0; i < bytes.len; i++)
        h = mix(h, bytes.data[i]);
    return h;
}

static uint8_t *copy_into(uint8_t **at, struct span bytes)
{
    uint8_t *to = *at;

    if (bytes.len > 0)
        memcpy(to, bytes.data, bytes.len);
    *at += bytes.len;
    return to;
}

static int read_all(struct block_starts *s, const enum column_type *types,
                    const struct block_start_bytes *bytes)
{
    uint8_t *at = s->bytes;
    bool something = bytes->time.len > 0;
    uint32_t i;
    int rc = read_start(span_of(copy_into(&at, bytes->time), bytes->time.len), COLUMN_INT64, &s->time);

    s->digest = mix_bytes(1, bytes->time);
    if (rc == 0 && s->time.offset != 0)
        rc = -EINVAL;
    for (i = 0; rc == 0 && i < s->n_columns; i++) {
        struct span one = bytes->columns == NULL ? (struct span){0} : bytes->columns[i];
        double bound = bytes->error_bounds == NULL ? 0 : bytes->error_bounds[i];
        uint64_t bound_bits;

        if (!(bound >= 0 && bound <= BLOCK_ERROR_BOUND_MAX) || (bound > 0 && types[i] != COLUMN_DOUBLE))
            return -EINVAL;
        memcpy(&bound_bits, &bound, sizeof bound_bits);
        s->digest = mix_bytes(mix(s->digest, bound_bits), one);
        s->columns[i].error_bound = bound;
        something = something || bound > 0 || one.len > 0;
        rc = read_start(span_of(copy_into(&at, one), one.len), types[i], &s->columns[i]);
    }
    /* Starts that say nothing are as good as none. */
    if (!something)
        s->digest = 0;
    return rc;
}

int block_starts_new(struct block_starts **ret_s, const enum column_type *types, uint32_t n_columns,
                     const struct block_start_bytes *bytes)
{
    struct block_starts *s = calloc(1, sizeof *s + n_columns * sizeof s->columns[0]);
    size_t n = bytes->time.len + 1;
    uint32_t i;
    int rc;

    if (s == NULL)
        return -ENOMEM;
    s->n_columns = n_columns;
    for (i = 0; bytes->columns != NULL && i < n_columns; i++)
        n += bytes->columns[i].len;
    s->bytes = malloc(n);
    rc = s->bytes == NULL ? -ENOMEM : read_all(s, types, bytes);
    if (rc != 0) {
        block_starts_free(s);
        return rc;
    }
    *ret_s = s;
    return 0;
}

static void forget(struct column_start *s)
{
    free(s->sequence.dictionary);
    free(s->sequence.map);
}

struct block_starts *block_starts_free(struct block_starts *s)
{
    uint32_t i;

    if (s == NULL)
        return NULL;
    forget(&s->time);
    for (i = 0; i < s->n_columns; i++)
        forget(&s->columns[i]);
    free(s->bytes);
    free(s);
    return NULL;
}

/* ---- learning ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* In scratch; n > 0. */
static int64_t median_of(struct block_coder *c, const int64_t *x, size_t n)
{
    memcpy(c->work.differences, x, n * sizeof *x);
    qsort(c->work.differences, n, sizeof *x, by_value);
    return c->work.differences[n / 2];
}

/* Level of the mean distance from center. */
static uint8_t level_around(const int64_t *x, size_t n, int64_t center)
{
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        uint64_t d = (uint64_t)x[i] - (uint64_t)center, size = (int64_t)d < 0 ? 0 - d : d;

        sum += size > UINT64_C(1) << 44 ? UINT64_C(1) << 44 : size;
    }
    return n == 0 ? 0 : (uint8_t)level_of_mean(sum / n * 128 + sum % n * 128 / n);
}

static void write_sequence(struct block_coder *c, const struct sequence *q, int64_t center, struct buf *out)
{
    uint32_t i;

    buf_u8(out, (uint8_t)(q->predictor | q->rank_mode << 4));
    buf_u8(out, level_around(q->residuals, q->n_residuals, 0));
    buf_u8(out, level_around(c->integers, q->n, center));
    buf_varint(out, zigzag64(center));
    if (q->rank_mode == RANK_NONE)
        return;
    buf_varint(out, q->dictionary->n);
    for (i = 0; i < q->dictionary->n; i++)
        buf_varint(out, i == 0 ? zigzag64(q->dictionary->at[0])
                               : (uint64_t)q->dictionary->at[i] - (uint64_t)q->dictionary->at[i - 1]);
}

/* The plan's integers are in c->integers. */
static void write_start(struct block_coder *c, struct column_plan *p, struct buf *out)
{
    size_t from = out->len, ends;
    int64_t center;
    uint32_t i, n = 0;

    buf_u8(out, START_VERSION);
    if (p->type == COLUMN_DOUBLE) {
        buf_u8(out, (uint8_t)(p->format.kind | p->format.has_ulps << 3));
        buf_u8(out, p->format.exponent);
    } else if (p->type == COLUMN_INT64) {
        buf_varint(out, p->unit);
        buf_varint(out, p->offset);
    }
    center = median_of(c, c->integers, p->n_cells);
    if (p->sequence.rank_mode != RANK_NONE) {
        size_t before = out->len;

        write_sequence(c, &p->sequence, center, out);
        if (out->len - from > START_MAX_BYTES) {
            /* So many ranks are not worth it: the sequence as it is without. (Thoroughly it would look for
             * ranks again.) */
            struct sequence_start plain = {.warm = true, .predictor = PREDICT_LAST, .center = center};

            out->len = before;
            sequence_split(&c->work, &plain, false, c->integers, p->n_cells, &p->sequence);
            write_sequence(c, &p->sequence, center, out);
        }
    } else {
        write_sequence(c, &p->sequence, center, out);
    }
    if (p->type != COLUMN_TEXT)
        return;
    ends = out->len + 1;
    while (n < p->n_texts && n < START_TEXTS_MAX && p->texts[n].len <= START_TEXT_MAX_BYTES &&
           ends + 1 + p->texts[n].len - from <= START_MAX_BYTES)
        ends += 1 + p->texts[n++].len;
    buf_varint(out, n);
    for (i = 0; i < n; i++) {
        buf_u8(out, (uint8_t)p->texts[i].len);
        buf_append(out, p->texts[i].data, p->texts[i].len);
    }
}

int block_learn(struct block_coder *coder, const struct block *b, const double *error_bounds, struct buf *out,
                struct span *ret_columns, struct span *ret_time)
{
    size_t ends[BLOCK_COLUMNS_MAX + 1], at = out->len;
    struct column_plan p;
    int64_t lowest;
    uint64_t first;
    uint32_t i;

    if (!block_ok(b))
        return -EINVAL;
    times_split(coder, &column_start_cold, true, b->time_ns, b->n_rows, &lowest, &first, &p);
    if (p.n_cells > 0)
        write_start(coder, &p, out);
    ends[0] = out->len;
    for (i = 0; i < b->n_columns; i++) {
        struct column_start bound = {.error_bound = error_bounds == NULL ? 0 : error_bounds[i]};

        column_split(coder, &bound, true, &b->columns[i], b->n_rows, &p);
        if (p.n_cells > 0)
            write_start(coder, &p, out);
        ends[i + 1] = out->len;
    }
    if (out->error != 0)
        return out->error;
    *ret_time = span_of(out->data + at, ends[0] - at);
    for (i = 0; i < b->n_columns; i++)
        ret_columns[i] = span_of(out->data + ends[i], ends[i + 1] - ends[i]);
    return 0;
}
