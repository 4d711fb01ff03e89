/* fast.c - the fast encoding: plans in bytes and bit-packed frames (README.md). */
#include "codec/column.h"
#include "codec/frames.h"

enum {
    FLAG_ABSENT = 1,
    FLAG_QUALITY = 2,
    FLAG_FORMAT = 4, /* or unit: not as started */
    FLAG_EXCEPTIONS = 8,
    FLAG_RANKS_SHIFT = 4, /* enum rank_change */
    FLAG_RANKS_MASK = 3,
    FLAG_PREDICTOR = 64, /* predictor and rank mode follow */
    FLAG_TEXTS = 128,
};

/* ---- flags of rows ---- */

static void put_absent(struct buf *out, const uint8_t *absent, uint32_t n_rows)
{
    uint8_t *at = buf_grow(out, (n_rows + 7) / 8);
    uint32_t i;

    if (at == NULL)
        return;
    memset(at, 0, (n_rows + 7) / 8);
    for (i = 0; i < n_rows; i++)
        at[i / 8] = (uint8_t)(at[i / 8] | (absent[i] != 0) << i % 8);
}

static bool get_absent(struct reader *r, uint8_t *absent, uint32_t n_rows)
{
    const uint8_t *at = reader_take(r, (n_rows + 7) / 8);
    uint32_t i;

    for (i = 0; at != NULL && i < n_rows; i++)
        absent[i] = at[i / 8] >> i % 8 & 1;
    return at != NULL && (n_rows % 8 == 0 || at[n_rows / 8] >> n_rows % 8 == 0);
}

/* Runs: length x 4 + quality. */
static void put_quality(struct buf *out, const uint8_t *quality, uint32_t n_rows)
{
    uint32_t i = 0, from;

    while (i < n_rows) {
        for (from = i; i < n_rows && quality[i] == quality[from]; i++)
            ;
        buf_varint(out, (uint64_t)(i - from) << 2 | quality[from]);
    }
}

static bool get_quality(struct reader *r, uint8_t *quality, uint32_t n_rows)
{
    uint32_t i = 0;

    while (i < n_rows && !r->bad) {
        uint64_t run = reader_varint(r), n = run >> 2;

        if (n == 0 || n > n_rows - i)
            return false;
        memset(quality + i, (int)(run & 3), n);
        i += (uint32_t)n;
    }
    return !r->bad;
}

/* ---- sequences ---- */

static void put_entries(struct buf *out, const struct dictionary *d)
{
    uint32_t i;

    buf_varint(out, d->n);
    for (i = 0; i < d->n; i++)
        buf_varint(out, i == 0 ? zigzag64(d->at[0]) : (uint64_t)d->at[i] - (uint64_t)d->at[i - 1]);
}

static bool get_entries(struct reader *r, struct dictionary *d)
{
    uint64_t n = reader_varint(r);
    uint32_t i;

    if (n > RANKS_MAX)
        return false;
    d->n = (uint32_t)n;
    for (i = 0; i < d->n; i++) {
        uint64_t v = reader_varint(r);

        d->at[i] = i == 0 ? unzigzag64(v) : (int64_t)((uint64_t)d->at[i - 1] + v);
        if (r->bad || (i > 0 && d->at[i] <= d->at[i - 1]))
            return false;
    }
    return true;
}

static uint64_t base_from(const struct sequence_start *start, const struct sequence *q)
{
    if (!start->warm)
        return 0;
    return q->rank_mode == RANK_VALUES ? rank_near(q->dictionary, start->center) : (uint64_t)start->center;
}

static unsigned expected_predictor(const struct sequence_start *start)
{
    return start->warm ? start->predictor : PREDICT_LAST;
}

static unsigned sequence_flags(const struct sequence_start *start, const struct sequence *q)
{
    bool tell = q->predictor != expected_predictor(start) || q->rank_change == RANK_ANEW;

    return (unsigned)q->rank_change << FLAG_RANKS_SHIFT | (tell ? FLAG_PREDICTOR : 0);
}

static void put_sequence(struct block_coder *c, unsigned flags, const struct sequence_start *start,
                         const struct sequence *q, struct buf *out)
{
    uint64_t *z = (uint64_t *)c->work.residuals;

    if (flags & FLAG_PREDICTOR)
        buf_u8(out, (uint8_t)(q->predictor | q->rank_mode << 4));
    if (q->rank_change == RANK_ADDED)
        put_entries(out, q->extra);
    else if (q->rank_change == RANK_ANEW)
        put_entries(out, q->dictionary);
    buf_varint(out, zigzag64((int64_t)((uint64_t)q->base - base_from(start, q))));
    kernels()->zigzag(q->residuals, q->n_residuals, z);
    frames_put(out, z, q->n_residuals);
}

static bool get_ranks(struct block_coder *c, struct reader *r, unsigned flags,
                      const struct sequence_start *start, struct sequence *q)
{
    struct sequence_work *w = &c->work;
    unsigned told = flags & FLAG_PREDICTOR ? reader_u8(r) : expected_predictor(start);

    q->predictor = told & 15;
    q->rank_change = flags >> FLAG_RANKS_SHIFT & FLAG_RANKS_MASK;
    q->rank_mode = start->rank_mode;
    q->dictionary = start->dictionary;
    if (q->predictor >= PREDICTORS)
        return false;
    switch (q->rank_change) {
    case RANK_AS_STARTED:
        return true;
    case RANK_LEFT:
        q->rank_mode = RANK_NONE;
        q->dictionary = NULL;
        return true;
    case RANK_ANEW:
        q->rank_mode = (uint8_t)(told >> 4);
        q->dictionary = &w->dictionary;
        return (flags & FLAG_PREDICTOR) && q->rank_mode != RANK_NONE && q->rank_mode < RANK_MODES &&
               get_entries(r, &w->dictionary) && w->dictionary.n > 0;
    default:
        if (start->rank_mode == RANK_NONE || !get_entries(r, &w->extra))
            return false;
        q->dictionary = &w->dictionary;
        w->dictionary.n = start->dictionary->n;
        memcpy(w->dictionary.at, start->dictionary->at, start->dictionary->n * sizeof w->dictionary.at[0]);
        return rank_merge(&w->dictionary, &w->extra);
    }
}

static bool get_sequence(struct block_coder *c, struct reader *r, unsigned flags,
                         const struct sequence_start *start, struct sequence *q)
{
    if (!get_ranks(c, r, flags, start, q))
        return false;
    q->base = (int64_t)(base_from(start, q) + (uint64_t)unzigzag64(reader_varint(r)));
    q->n_residuals = sequence_residuals(q->n, q->predictor, q->rank_mode);
    q->is_zigzag = true;
    return frames_get(r, q->n_residuals, (uint64_t *)q->residuals);
}

/* ---- columns ---- */

static void put_exceptions(struct buf *out, const struct column_plan *p)
{
    uint64_t before = 0;
    uint32_t next = 0, i;

    buf_varint(out, p->n_exceptions);
    for (i = 0; i < p->n_exceptions; i++) {
        bool repeated = p->exceptions[i].bits == before;

        buf_varint(out, (uint64_t)(p->exceptions[i].cell - next) << 1 | repeated);
        if (!repeated)
            buf_le64(out, p->exceptions[i].bits);
        before = p->exceptions[i].bits;
        next = p->exceptions[i].cell + 1;
    }
}

static bool get_exceptions(struct reader *r, struct column_plan *p)
{
    uint64_t n = reader_varint(r), before = 0, next = 0;
    uint32_t i;

    if (n > p->n_cells)
        return false;
    p->n_exceptions = (uint32_t)n;
    for (i = 0; i < n; i++) {
        uint64_t gap = reader_varint(r);

        if (r->bad || gap >> 1 >= p->n_cells - next)
            return false;
        next += gap >> 1;
        before = gap & 1 ? before : reader_le64(r);
        p->exceptions[i] = (struct exception){(uint32_t)next++, before};
    }
    return !r->bad;
}

static void put_ulps(struct block_coder *c, const struct column_plan *p, struct buf *out)
{
    uint64_t *z = (uint64_t *)c->work.residuals;
    uint32_t i;

    for (i = 0; i < p->n_cells; i++)
        z[i] = zigzag64(p->ulps[i]);
    frames_put(out, z, p->n_cells);
}

static bool get_ulps(struct block_coder *c, struct reader *r, struct column_plan *p)
{
    uint64_t *z = (uint64_t *)c->work.ranks; /* the residuals are still needed */
    uint32_t i;

    if (!frames_get(r, p->n_cells, z))
        return false;
    for (i = 0; i < p->n_cells; i++) {
        if (z[i] > 2 * NUMBER_ULPS_MAX)
            return false;
        p->ulps[i] = (int8_t)unzigzag64(z[i]);
    }
    return true;
}

static void put_plan(struct block_coder *c, unsigned flags, const struct column_start *start,
                     const struct column_plan *p, struct buf *out)
{
    uint32_t i;

    if (flags & FLAG_FORMAT && p->type == COLUMN_DOUBLE) {
        buf_u8(out, (uint8_t)(p->format.kind | p->format.has_ulps << 3));
        buf_u8(out, p->format.exponent);
    } else if (flags & FLAG_FORMAT) {
        buf_varint(out, p->unit);
        buf_varint(out, p->offset);
    }
    if (flags & FLAG_TEXTS) {
        buf_varint(out, p->n_texts);
        for (i = 0; i < p->n_texts; i++) {
            buf_u8(out, (uint8_t)p->texts[i].len);
            buf_append(out, p->texts[i].data, p->texts[i].len);
        }
    }
    put_sequence(c, flags, column_sequence_start(start, p), &p->sequence, out);
    if (p->type == COLUMN_DOUBLE && p->format.has_ulps)
        put_ulps(c, p, out);
    if (flags & FLAG_EXCEPTIONS)
        put_exceptions(out, p);
}

static bool get_texts(struct reader *r, struct column_plan *p)
{
    uint64_t n = reader_varint(r);

    if (n > p->n_cells)
        return false;
    for (p->n_texts = 0; p->n_texts < n; p->n_texts++) {
        size_t len = reader_u8(r);
        const uint8_t *at = reader_take(r, len);

        if (at == NULL)
            return false;
        p->texts[p->n_texts] = span_of(at, len);
    }
    return true;
}

/* Flags that say nothing about a column of this type would be a second way to write the same. */
static bool flags_ok(unsigned flags, const struct column_plan *p)
{
    unsigned never = 0;

    if (p->n_cells == 0)
        never = (unsigned)~(FLAG_ABSENT | FLAG_QUALITY);
    else if (p->type == COLUMN_TEXT)
        never = FLAG_FORMAT | FLAG_EXCEPTIONS;
    else if (p->type != COLUMN_DOUBLE)
        never = FLAG_EXCEPTIONS | FLAG_TEXTS;
    else
        never = FLAG_TEXTS;
    return (flags & never) == 0;
}

static bool get_format(struct reader *r, unsigned flags, const struct column_start *start,
                       struct column_plan *p)
{
    if (flags & FLAG_FORMAT && p->type == COLUMN_DOUBLE) {
        unsigned kind = reader_u8(r);

        p->format = (struct number_format){kind & 7, reader_u8(r), kind >> 3 == 1};
        return kind < 16 && number_format_ok(&p->format, start->error_bound);
    }
    if (p->type == COLUMN_DOUBLE) {
        p->format = start->format;
        return start->sequence.warm;
    }
    if (p->type == COLUMN_TEXT)
        return true;
    p->unit = flags & FLAG_FORMAT ? reader_varint(r) : start->unit;
    p->offset = flags & FLAG_FORMAT ? reader_varint(r) : start->offset;
    return p->unit > 0 && p->unit <= INT64_MAX && p->offset < p->unit;
}

static bool get_plan(struct block_coder *c, struct reader *r, unsigned flags,
                     const struct column_start *start, struct column_plan *p)
{
    if (!flags_ok(flags, p))
        return false;
    if (p->n_cells == 0)
        return true;
    if (!get_format(r, flags, start, p) || (flags & FLAG_TEXTS && !get_texts(r, p)) ||
        !get_sequence(c, r, flags, column_sequence_start(start, p), &p->sequence))
        return false;
    if (p->type == COLUMN_DOUBLE && p->format.has_ulps && !get_ulps(c, r, p))
        return false;
    return !(flags & FLAG_EXCEPTIONS) || get_exceptions(r, p);
}

/* ---- blocks ---- */

static void put_column(struct block_coder *c, const struct column_start *start, const struct column *column,
                       uint32_t n_rows, struct buf *out)
{
    struct column_plan p;
    unsigned flags;

    column_split(c, start, false, column, n_rows, &p);
    flags = (column->absent != NULL ? FLAG_ABSENT : 0) | (column->quality != NULL ? FLAG_QUALITY : 0);
    if (p.n_cells > 0)
        flags |= (p.type != COLUMN_TEXT && !column_format_as_started(start, &p) ? FLAG_FORMAT : 0) |
                 (p.n_exceptions > 0 ? FLAG_EXCEPTIONS : 0) | (p.n_texts > 0 ? FLAG_TEXTS : 0) |
                 sequence_flags(column_sequence_start(start, &p), &p.sequence);
    buf_u8(out, (uint8_t)flags);
    if (flags & FLAG_ABSENT)
        put_absent(out, column->absent, n_rows);
    if (flags & FLAG_QUALITY)
        put_quality(out, column->quality, n_rows);
    if (p.n_cells > 0)
        put_plan(c, flags, start, &p, out);
}

void fast_encode(struct block_coder *c, const struct block_starts *starts, const struct block *b,
                 struct buf *out)
{
    const struct column_start *start = start_of_times(starts);
    struct column_plan p;
    unsigned flags = 0;
    uint64_t first;
    int64_t lowest;
    uint32_t i;

    times_split(c, start, false, b->time_ns, b->n_rows, &lowest, &first, &p);
    if (p.n_cells > 0)
        flags = (column_format_as_started(start, &p) ? 0 : FLAG_FORMAT) |
                sequence_flags(column_sequence_start(start, &p), &p.sequence);
    buf_u8(out, (uint8_t)flags);
    buf_varint(out, first);
    if (p.n_cells > 0)
        put_plan(c, flags, start, &p, out);
    for (i = 0; i < b->n_columns; i++)
        put_column(c, start_of(starts, i), &b->columns[i], b->n_rows, out);
}

static bool get_column(struct block_coder *c, struct reader *r, const struct column_start *start,
                       enum column_type type, uint32_t n_rows, struct column *column, struct column_plan *p)
{
    struct column in = column_or_scratch(c, column);
    unsigned flags = reader_u8(r);

    if (!(flags & FLAG_ABSENT))
        in.absent = NULL;
    else if (!get_absent(r, in.absent, n_rows))
        return false;
    if (!(flags & FLAG_QUALITY))
        in.quality = NULL;
    else if (!get_quality(r, in.quality, n_rows))
        return false;
    column_plan_empty(c, type, count_present(in.absent, n_rows), p);
    if (!get_plan(c, r, flags, start, p))
        return false;
    if (column->i64 != NULL) {
        if (!column_join(c, start, p, &in, n_rows))
            return false;
        *column = in;
    }
    column_plan_settle(p);
    return true;
}

int fast_decode(struct block_coder *c, const struct block_shape *shape, struct span body, int64_t *time_ns,
                struct column *columns, struct column_plan *facts, struct column_mark *marks)
{
    struct reader r = reader_of(body);
    unsigned flags = reader_u8(&r);
    uint64_t first = reader_varint(&r);
    uint32_t i;

    column_plan_empty(c, COLUMN_INT64, shape->n_rows - 1, &facts[0]);
    if (flags & (FLAG_ABSENT | FLAG_QUALITY) ||
        !get_plan(c, &r, flags, start_of_times(shape->starts), &facts[0]) || facts[0].offset != 0 ||
        !times_join(c, &facts[0], shape->time_first_ns, first, shape->n_rows, time_ns))
        return BLOCK_DAMAGED;
    column_plan_settle(&facts[0]);
    marks[0].bytes = (uint64_t)(r.at - body.data);
    for (i = 0; i < shape->n_columns; i++) {
        if (!get_column(c, &r, start_of(shape->starts, i), shape->types[i], shape->n_rows, &columns[i],
                        &facts[i + 1]))
            return BLOCK_DAMAGED;
        marks[i + 1].bytes = (uint64_t)(r.at - body.data);
    }
    return r.bad || reader_left(&r) > 0 ? BLOCK_DAMAGED : 0;
}
