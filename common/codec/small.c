/* small.c - the small encoding: plans through an adaptive range coder (README.md). Every code_* function is
 * the format for both directions. */
#include "codec/column.h"

/* Flags that tell whether something is as usual; shared by the columns of a block. */
struct flags {
    struct range_bit as_started, exceptions, ranks, predictor, is_exception, repeated, ulps[4];
    struct range_bit has_absent, has_quality, absent[2], same_quality;
};

struct small {
    struct range_coder range;
    struct block_coder *c;
    struct flags flags;
    uint64_t last_exception;
    struct buf *out;   /* encoder */
    size_t out_start;  /* encoder */
    size_t body_bytes; /* decoder */
};

static void small_init(struct small *s, struct block_coder *c)
{
    struct flags *f = &s->flags;

    s->c = c;
    s->last_exception = 0;
    memcpy(&c->head, &c->fresh, sizeof c->head);
    memcpy(&c->first, &c->fresh, sizeof c->first);
    c->first.mean = UINT64_C(96) << 13;
    range_bit_init(&f->as_started, 1, 87, 0);
    range_bit_init(&f->exceptions, 1, 12, 0);
    range_bit_init(&f->ranks, 1, 12, 0);
    range_bit_init(&f->predictor, 1, 87, 0);
    range_bit_init(&f->is_exception, 1, 10, 0);
    range_bit_init(&f->repeated, 1, 50, 0);
    range_bit_init(f->ulps, 4, 50, 0);
    range_bit_init(&f->has_absent, 1, 5, 2);
    range_bit_init(&f->has_quality, 1, 5, 2);
    range_bit_init(&f->absent[0], 1, 10, 0);
    range_bit_init(&f->absent[1], 1, 90, 0);
    range_bit_init(&f->same_quality, 1, 95, 2);
}

/* Room for whatever n cells may take: an integer 88 bytes at the very worst, when every bit of its length is
 * a surprise, and 8 raw ones. */
static bool make_room(struct small *s, size_t n)
{
    size_t range_bytes = 1024 + 96 * n, raw_bytes = 1024 + 16 * n,
           raw_at = (size_t)(s->range.raw - s->c->raw.data);
    uint8_t *at;

    s->out->len = (size_t)(s->range.out - s->out->data);
    s->c->raw.len = raw_at;
    at = buf_grow(s->out, range_bytes);
    if (at == NULL || buf_grow(&s->c->raw, raw_bytes) == NULL)
        return false;
    s->range.out = at;
    s->range.raw = s->c->raw.data + raw_at;
    s->range.raw_start = s->c->raw.data;
    return true;
}

BOTH_WAYS int code_bit(struct small *s, const bool decoding, struct range_bit *b, int bit)
{
    return range_bit(&s->range, decoding, b, bit);
}

/* Out of line where speed does not matter: each place would be two kilobytes of code. */
static __attribute__((noinline)) int64_t encode_integer(struct small *s, struct range_model *m, int64_t x)
{
    return range_integer(&s->range, false, m, x);
}

static __attribute__((noinline)) int64_t decode_integer(struct small *s, struct range_model *m)
{
    return range_integer(&s->range, true, m, 0);
}

BOTH_WAYS int64_t code_integer(struct small *s, const bool decoding, struct range_model *m, int64_t x)
{
    return decoding ? decode_integer(s, m) : encode_integer(s, m, x);
}

BOTH_WAYS int64_t code_head(struct small *s, const bool decoding, int64_t x)
{
    return code_integer(s, decoding, &s->c->head, x);
}

/* ---- ranks ---- */

/* Entries of a dictionary, rising. */
BOTH_WAYS bool code_entries(struct small *s, const bool decoding, struct dictionary *d)
{
    int64_t n = code_head(s, decoding, d->n), before = 0;
    struct range_model gaps;
    uint32_t i;

    if (decoding && (n < 0 || n > RANKS_MAX))
        return false;
    if (!decoding && !make_room(s, d->n))
        return false;
    d->n = (uint32_t)n;
    memcpy(&gaps, &s->c->fresh, sizeof gaps);
    for (i = 0; i < d->n; i++) {
        int64_t gap =
            code_integer(s, decoding, &gaps, decoding ? 0 : (int64_t)((uint64_t)d->at[i] - (uint64_t)before));

        if (decoding)
            d->at[i] = (int64_t)((uint64_t)before + (uint64_t)gap);
        if (decoding && i > 0 && d->at[i] <= before)
            return false;
        before = d->at[i];
    }
    return true;
}

/* What the ranks are of. */
BOTH_WAYS bool code_ranks(struct small *s, const bool decoding, const struct sequence_start *start,
                          struct sequence *q)
{
    struct sequence_work *w = &s->c->work;
    unsigned what;

    if (!code_bit(s, decoding, &s->flags.ranks, q->rank_change != RANK_AS_STARTED)) {
        if (decoding) {
            q->rank_mode = start->rank_mode;
            q->dictionary = start->dictionary;
        }
        return true;
    }
    /* 0 added, 1 values anew, 2 differences anew, 3 left */
    what = q->rank_change == RANK_ADDED ? 0 : q->rank_change == RANK_LEFT ? 3 : q->rank_mode;
    what = (unsigned)range_raw(&s->range, decoding, what, 2);
    if (what == 3) {
        q->rank_mode = RANK_NONE;
        q->rank_change = RANK_LEFT;
        return true;
    }
    if (!decoding)
        return code_entries(s, false, what == 0 ? q->extra : q->dictionary);
    q->dictionary = &w->dictionary;
    if (what != 0) {
        q->rank_mode = (uint8_t)what;
        q->rank_change = RANK_ANEW;
        return code_entries(s, true, &w->dictionary);
    }
    if (start->rank_mode == RANK_NONE || !code_entries(s, true, &w->extra))
        return false;
    q->rank_mode = start->rank_mode;
    q->rank_change = RANK_ADDED;
    w->dictionary.n = start->dictionary->n;
    memcpy(w->dictionary.at, start->dictionary->at, start->dictionary->n * sizeof w->dictionary.at[0]);
    return rank_merge(&w->dictionary, &w->extra);
}

/* ---- sequences ---- */

/* The base, from where blocks of such columns begin. */
BOTH_WAYS void code_base(struct small *s, const bool decoding, const struct sequence_start *start,
                         struct sequence *q)
{
    struct range_model *m = &s->c->first;
    uint64_t from = 0;

    if (start->warm && q->rank_mode != RANK_VALUES) {
        m = &s->c->body;
        memcpy(m, &s->c->fresh, sizeof *m);
        m->mean = level_mean(start->base_level);
        from = (uint64_t)start->center;
    } else if (q->rank_mode == RANK_VALUES) {
        m = &s->c->body;
        memcpy(m, &s->c->fresh, sizeof *m);
        m->mean = (uint64_t)q->dictionary->n << 5;
        from = start->warm && q->dictionary->n > 0 ? rank_near(q->dictionary, start->center)
                                                   : q->dictionary->n / 2;
    }
    q->base = (int64_t)(from + (uint64_t)code_integer(s, decoding, m, (int64_t)((uint64_t)q->base - from)));
}

BOTH_WAYS bool code_sequence(struct small *s, const bool decoding, const struct sequence_start *start,
                             struct sequence *q)
{
    unsigned expected = start->warm ? start->predictor : PREDICT_LAST;
    struct range_model *m = &s->c->body;
    uint32_t i;

    if (!code_ranks(s, decoding, start, q))
        return false;
    if (code_bit(s, decoding, &s->flags.predictor, q->predictor == expected)) {
        if (decoding)
            q->predictor = (uint8_t)expected;
    } else {
        q->predictor = (uint8_t)range_raw(&s->range, decoding, q->predictor, 4);
        if (decoding && q->predictor >= PREDICTORS)
            return false;
    }
    if (decoding)
        q->n_residuals = sequence_residuals(q->n, q->predictor, q->rank_mode);
    code_base(s, decoding, start, q);
    if (q->n_residuals > 0)
        memcpy(m, &s->c->fresh, sizeof *m);
    if (start->warm && (q->rank_change == RANK_AS_STARTED || q->rank_change == RANK_ADDED)) {
        m->mean = level_mean(start->level);
    } else {
        unsigned level = (unsigned)range_raw(&s->range, decoding, q->level, 6);

        m->mean = level == 0 ? 0 : UINT64_C(96) << (level > 47 ? 47 : level);
    }
    if (!decoding && !make_room(s, q->n_residuals))
        return false;
    for (i = 0; i < q->n_residuals; i++) {
        int64_t r = range_integer(&s->range, decoding, m, decoding ? 0 : q->residuals[i]);

        if (decoding)
            q->residuals[i] = r;
    }
    return true;
}

static __attribute__((noinline)) bool encode_sequence(struct small *s, const struct sequence_start *start,
                                                      struct sequence *q)
{
    return code_sequence(s, false, start, q);
}

static __attribute__((noinline)) bool decode_sequence(struct small *s, const struct sequence_start *start,
                                                      struct sequence *q)
{
    return code_sequence(s, true, start, q);
}

BOTH_WAYS bool code_whole_sequence(struct small *s, const bool decoding, const struct column_start *start,
                                   struct column_plan *p)
{
    const struct sequence_start *q = column_sequence_start(start, p);

    return decoding ? decode_sequence(s, q, &p->sequence) : encode_sequence(s, q, &p->sequence);
}

/* ---- what columns have besides ---- */

BOTH_WAYS void code_presence(struct small *s, const bool decoding, struct column *column, uint32_t n_rows)
{
    struct flags *f = &s->flags;
    uint32_t i;
    int before = 0;

    if (code_bit(s, decoding, &f->has_absent, column->absent != NULL)) {
        for (i = 0; i < n_rows; i++) {
            before = code_bit(s, decoding, &f->absent[before], decoding ? 0 : column->absent[i] != 0);
            if (decoding)
                column->absent[i] = (uint8_t)before;
        }
    } else if (decoding) {
        column->absent = NULL;
    }
    before = QUALITY_GOOD;
    if (code_bit(s, decoding, &f->has_quality, column->quality != NULL)) {
        for (i = 0; i < n_rows; i++) {
            if (!code_bit(s, decoding, &f->same_quality, decoding ? 0 : column->quality[i] == before))
                before = (int)range_raw(&s->range, decoding, decoding ? 0 : column->quality[i], 2);
            if (decoding)
                column->quality[i] = (uint8_t)before;
        }
    } else if (decoding) {
        column->quality = NULL;
    }
}

/* A small number of either sign: not 0, sign, more than 1, more than 2 ... */
BOTH_WAYS int code_ulps(struct small *s, const bool decoding, int ulps)
{
    int minus, size = ulps < 0 ? -ulps : ulps, told = 1;

    if (!code_bit(s, decoding, &s->flags.ulps[0], ulps != 0))
        return 0;
    minus = code_bit(s, decoding, &s->flags.ulps[1], ulps < 0);
    while (told < NUMBER_ULPS_MAX && code_bit(s, decoding, &s->flags.ulps[told > 1 ? 3 : 2], size > told))
        told++;
    return minus ? -told : told;
}

BOTH_WAYS void code_exceptions(struct small *s, const bool decoding, struct column_plan *p)
{
    uint32_t next = 0, i;

    for (i = 0; i < p->n_cells; i++) {
        bool here = !decoding && next < p->n_exceptions && p->exceptions[next].cell == i;
        uint64_t bits = here ? p->exceptions[next].bits : 0;

        if (!code_bit(s, decoding, &s->flags.is_exception, here))
            continue;
        if (code_bit(s, decoding, &s->flags.repeated, bits == s->last_exception))
            bits = s->last_exception;
        else
            bits = s->last_exception = range_raw(&s->range, decoding, bits, 64);
        if (decoding)
            p->exceptions[next] = (struct exception){i, bits};
        next++;
    }
    p->n_exceptions = next;
}

BOTH_WAYS bool code_format(struct small *s, const bool decoding, const struct column_start *start,
                           struct column_plan *p)
{
    if (code_bit(s, decoding, &s->flags.as_started, column_format_as_started(start, p))) {
        if (!start->sequence.warm)
            return !decoding;
        if (decoding)
            p->format = start->format;
        return true;
    }
    p->format.kind = (uint8_t)range_raw(&s->range, decoding, p->format.kind, 3);
    p->format.has_ulps = range_raw(&s->range, decoding, p->format.has_ulps, 1) != 0;
    p->format.exponent = (uint8_t)range_raw(&s->range, decoding, p->format.exponent, 6);
    return number_format_ok(&p->format, start->error_bound);
}

/* The unit, and the offset where there is one. */
BOTH_WAYS bool code_unit(struct small *s, const bool decoding, const struct column_start *start,
                         bool has_offset, struct column_plan *p)
{
    if (code_bit(s, decoding, &s->flags.as_started, column_format_as_started(start, p))) {
        if (start->unit == 0)
            return !decoding;
        p->unit = start->unit;
        p->offset = start->offset;
        return true;
    }
    p->unit = (uint64_t)code_head(s, decoding, (int64_t)p->unit);
    if (has_offset)
        p->offset = (uint64_t)code_head(s, decoding, (int64_t)p->offset);
    return p->unit > 0 && p->unit <= INT64_MAX && p->offset < p->unit;
}

/* Texts that the start does not have. */
static bool encode_texts(struct small *s, const struct column_plan *p)
{
    uint32_t i;
    size_t k;

    code_head(s, false, p->n_texts);
    for (i = 0; i < p->n_texts; i++) {
        if (!make_room(s, p->texts[i].len))
            return false;
        code_head(s, false, (int64_t)p->texts[i].len);
        for (k = 0; k < p->texts[i].len; k++)
            range_raw(&s->range, false, p->texts[i].data[k], 8);
    }
    return true;
}

/* Into the coder's buffer for raw bytes, which has room for as many as the body has: it does not move, and a
 * body cannot make more texts than itself. */
static bool decode_texts(struct small *s, struct column_plan *p)
{
    int64_t n = code_head(s, true, 0), len, k;
    struct buf *texts = &s->c->raw;

    if (n < 0 || n > p->n_cells)
        return false;
    for (p->n_texts = 0; p->n_texts < n; p->n_texts++) {
        len = code_head(s, true, 0);
        if (len < 0 || len > BLOCK_TEXT_MAX_BYTES || (size_t)len > s->body_bytes - texts->len)
            return false;
        p->texts[p->n_texts] = span_of(texts->data + texts->len, (size_t)len);
        for (k = 0; k < len; k++)
            texts->data[texts->len++] = (uint8_t)range_raw(&s->range, true, 0, 8);
    }
    return true;
}

/* ---- columns ---- */

BOTH_WAYS bool code_plan(struct small *s, const bool decoding, const struct column_start *start,
                         struct column_plan *p)
{
    bool ok = true;
    uint32_t i;

    if (p->n_cells == 0)
        return true;
    if (p->type == COLUMN_DOUBLE)
        ok = code_format(s, decoding, start, p);
    else if (p->type == COLUMN_INT64)
        ok = code_unit(s, decoding, start, true, p);
    else if (p->type == COLUMN_TEXT)
        ok = decoding ? decode_texts(s, p) : encode_texts(s, p);
    if (!ok || !code_whole_sequence(s, decoding, start, p))
        return false;
    if (p->type != COLUMN_DOUBLE)
        return true;
    if (!decoding && (p->format.has_ulps || p->n_exceptions > 0) && !make_room(s, p->n_cells))
        return false;
    if (p->format.has_ulps)
        for (i = 0; i < p->n_cells; i++)
            p->ulps[i] = (int8_t)code_ulps(s, decoding, decoding ? 0 : p->ulps[i]);
    if (code_bit(s, decoding, &s->flags.exceptions, p->n_exceptions > 0))
        code_exceptions(s, decoding, p);
    return true;
}

BOTH_WAYS bool code_times(struct small *s, const bool decoding, const struct column_start *start,
                          uint64_t *first, struct column_plan *p)
{
    *first = (uint64_t)code_head(s, decoding, (int64_t)*first);
    return p->n_cells == 0 ||
           (code_unit(s, decoding, start, false, p) && code_whole_sequence(s, decoding, start, p));
}

void small_encode(struct block_coder *c, const struct block_starts *starts, const struct block *b,
                  struct buf *out)
{
    struct small s = {.out = out, .out_start = out->len};
    struct column_plan p;
    int64_t lowest;
    uint64_t first;
    uint32_t i;
    bool ok;

    small_init(&s, c);
    buf_reset(&c->raw);
    range_begin(&s.range, out->data == NULL ? NULL : out->data + out->len, NULL);
    s.range.out = buf_grow(out, 1);
    if (s.range.out == NULL)
        return;
    if (buf_grow(&c->raw, 1) == NULL) {
        out->error = c->raw.error;
        return;
    }
    s.range.raw = s.range.raw_start = c->raw.data;
    times_split(c, start_of_times(starts), true, b->time_ns, b->n_rows, &lowest, &first, &p);
    ok = make_room(&s, 0) && code_times(&s, false, start_of_times(starts), &first, &p);
    for (i = 0; ok && i < b->n_columns; i++) {
        struct column column = b->columns[i];

        column_split(c, start_of(starts, i), true, &column, b->n_rows, &p);
        ok = make_room(&s, b->n_rows);
        if (ok)
            code_presence(&s, false, &column, b->n_rows);
        ok = ok && code_plan(&s, false, start_of(starts, i), &p);
    }
    /* The raw bytes come behind the others, and a few more end both. */
    if (ok && make_room(&s, (size_t)(s.range.raw - s.range.raw_start) / 64)) {
        s.range.out = range_finish(&s.range, out->data + s.out_start);
        out->len = (size_t)(s.range.out - out->data);
    } else if (out->error == 0) {
        out->error = c->raw.error;
    }
}

static struct column_mark mark_at(const struct small *s)
{
    const struct range_coder *r = &s->range;

    return (struct column_mark){(uint64_t)(r->in - r->in_start),
                                8 * (uint64_t)(r->in_end - r->raw_in) - r->raw_n, r->range};
}

int small_decode(struct block_coder *c, const struct block_shape *shape, struct span body, int64_t *time_ns,
                 struct column *columns, struct column_plan *facts, struct column_mark *marks)
{
    struct small s = {.body_bytes = body.len};
    uint64_t first = 0;
    uint32_t i;

    small_init(&s, c);
    buf_reset(&c->raw);
    if (buf_grow(&c->raw, body.len) == NULL)
        return -ENOMEM;
    c->raw.len = 0;
    range_open(&s.range, body);
    column_plan_empty(c, COLUMN_INT64, shape->n_rows - 1, &facts[0]);
    if (!code_times(&s, true, start_of_times(shape->starts), &first, &facts[0]) ||
        !times_join(c, &facts[0], shape->time_first_ns, first, shape->n_rows, time_ns))
        return BLOCK_DAMAGED;
    column_plan_settle(&facts[0]);
    marks[0] = mark_at(&s);
    for (i = 0; i < shape->n_columns && (shape->only_column < 0 || i <= (uint32_t)shape->only_column); i++) {
        const struct column_start *start = start_of(shape->starts, i);
        struct column column = column_or_scratch(c, &columns[i]);

        code_presence(&s, true, &column, shape->n_rows);
        column_plan_empty(c, shape->types[i], count_present(column.absent, shape->n_rows), &facts[i + 1]);
        if (!code_plan(&s, true, start, &facts[i + 1]))
            return BLOCK_DAMAGED;
        if (column.i64 != NULL && !column_join(c, start, &facts[i + 1], &column, shape->n_rows))
            return BLOCK_DAMAGED;
        if (column.i64 != NULL)
            columns[i] = column;
        column_plan_settle(&facts[i + 1]);
        marks[i + 1] = mark_at(&s);
    }
    return 0;
}
