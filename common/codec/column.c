#include "codec/column.h"

#include "codec/place.h"

const struct column_start column_start_cold;

const struct sequence_start *column_sequence_start(const struct column_start *start,
                                                   const struct column_plan *p)
{
    /* Steps in another place are as far from each other. */
    bool is_bounded = p->type == COLUMN_DOUBLE && p->format.kind == NUMBER_BOUNDED && start->sequence.warm &&
                      start->format.kind == NUMBER_BOUNDED;

    return is_bounded || column_format_as_started(start, p) ? &start->sequence : &column_start_cold.sequence;
}

void column_plan_empty(struct block_coder *c, enum column_type type, uint32_t n_cells,
                       struct column_plan *ret_p)
{
    *ret_p = (struct column_plan){.type = type,
                                  .n_cells = n_cells,
                                  .unit = 1,
                                  .sequence = {.n = n_cells, .residuals = c->work.residuals},
                                  .ulps = c->ulps,
                                  .exceptions = c->exceptions,
                                  .texts = c->texts};
}

/* ---- units of integers ---- */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

static uint64_t size_of(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

/* Common divisor of x[0..n), 1 when there is none or it does not fit an int64. */
static uint64_t divisor_of(const int64_t *x, size_t n)
{
    uint64_t divisor = 0;
    size_t i;

    for (i = 0; i < n && divisor != 1; i++)
        if ((i == 0 || x[i] != x[i - 1]) && (divisor == 0 || size_of(x[i]) % divisor != 0))
            divisor = common_divisor(size_of(x[i]), divisor);
    return divisor == 0 || divisor > INT64_MAX ? 1 : divisor;
}

static int64_t floor_quotient(int64_t x, int64_t unit)
{
    return x / unit - (x % unit < 0);
}

static uint64_t floor_rest(int64_t x, int64_t unit)
{
    int64_t rest = x % unit;

    return (uint64_t)(rest < 0 ? rest + unit : rest);
}

static bool unit_fits(uint64_t unit, uint64_t offset, const int64_t *x, size_t n)
{
    size_t i;

    if (unit == 1)
        return true;
    for (i = 0; i < n; i++)
        if ((i == 0 || x[i] != x[i - 1]) && floor_rest(x[i], (int64_t)unit) != offset)
            return false;
    return true;
}

static uint64_t unit_of(struct block_coder *c, const int64_t *cells, size_t n)
{
    size_t i;

    for (i = 1; i < n; i++)
        if (__builtin_sub_overflow(cells[i], cells[0], &c->integers[i - 1]))
            return 1;
    return divisor_of(c->integers, n - 1);
}

/* cells = offset + unit x integer; 0 <= offset < unit */
static void split_units(struct block_coder *c, const struct column_start *start, const int64_t *cells,
                        size_t n, struct column_plan *p)
{
    size_t i;

    if (start->unit > 0 && unit_fits(start->unit, start->offset, cells, n)) {
        p->unit = start->unit;
        p->offset = start->offset;
    } else {
        p->unit = unit_of(c, cells, n);
        p->offset = floor_rest(cells[0], (int64_t)p->unit);
    }
    if (p->unit == 1)
        memcpy(c->integers, cells, n * sizeof *cells);
    else
        for (i = 0; i < n; i++)
            c->integers[i] = floor_quotient(cells[i], (int64_t)p->unit);
}

/* ---- texts ---- */

static uint32_t text_slot(struct span t)
{
    uint64_t h = t.len * UINT64_C(0x9e3779b97f4a7c15);
    size_t i;

    for (i = 0; i < t.len; i++)
        h = (h ^ t.data[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(h >> 40) % TEXT_SLOTS;
}

static struct span text_at(const struct column_start *start, const struct column_plan *p, uint32_t i)
{
    return i < start->n_texts ? start->texts[i] : p->texts[i - start->n_texts];
}

/* The index of t, which is added when it is new. */
static uint32_t text_index(struct block_coder *c, const struct column_start *start, struct column_plan *p,
                           struct span t)
{
    uint32_t slot = text_slot(t);

    while (c->text_slots[slot] >= 0) {
        if (span_equal(text_at(start, p, (uint32_t)c->text_slots[slot]), t))
            return (uint32_t)c->text_slots[slot];
        slot = (slot + 1) % TEXT_SLOTS;
    }
    c->text_slots[slot] = (int16_t)(start->n_texts + p->n_texts);
    p->texts[p->n_texts++] = t;
    return start->n_texts + p->n_texts - 1;
}

static void split_texts(struct block_coder *c, const struct column_start *start, const struct column *column,
                        uint32_t n_rows, struct column_plan *p)
{
    struct span before = {0};
    uint32_t n = 0, i;

    memset(c->text_slots, 0xff, sizeof c->text_slots);
    for (i = 0; i < start->n_texts; i++) {
        uint32_t slot = text_slot(start->texts[i]);

        while (c->text_slots[slot] >= 0)
            slot = (slot + 1) % TEXT_SLOTS;
        c->text_slots[slot] = (int16_t)i;
    }
    for (i = 0; i < n_rows; i++) {
        if (column->absent != NULL && column->absent[i])
            continue;
        c->integers[n] = n > 0 && span_equal(column->text[i], before)
                             ? c->integers[n - 1]
                             : (int64_t)text_index(c, start, p, column->text[i]);
        before = column->text[i];
        n++;
    }
}

/* ---- doubles ---- */

static void split_as(struct block_coder *c, const struct column_start *start, struct number_format f,
                     bool thorough, const double *values, size_t n, struct column_plan *p)
{
    uint8_t usual = start->format.kind == NUMBER_BOUNDED ? start->format.exponent : 0;

    if (f.kind == NUMBER_BOUNDED)
        f.exponent = place_of(values, n, start->error_bound, usual, thorough, c->integers);
    p->format = f;
    p->n_exceptions =
        (uint32_t)number_split(&f, start->error_bound, values, n, c->integers, c->ulps, c->exceptions);
}

static void split_doubles(struct block_coder *c, const struct column_start *start, bool thorough,
                          const double *values, size_t n, struct column_plan *p)
{
    struct number_format f = start->format;
    bool warm = start->sequence.warm;

    if (!warm)
        f = number_choose(values, n, start->error_bound, thorough, !thorough);
    split_as(c, start, f, thorough, values, n, p);
    if (p->n_exceptions > n / 8 && (warm || !thorough)) {
        f = number_choose(values, n, start->error_bound, true, !thorough);
        split_as(c, start, f, thorough, values, n, p);
    }
    /* The first integers of a column should not be told by an exception. */
    if (p->n_exceptions > 0 && p->n_exceptions < n) {
        uint32_t first = 0, i;

        while (first < p->n_exceptions && p->exceptions[first].cell == first)
            first++;
        for (i = 0; i < first; i++)
            c->integers[i] = c->integers[first];
    }
}

/* ---- columns ---- */

uint32_t count_present(const uint8_t *absent, uint32_t n_rows)
{
    uint32_t n = n_rows, i;

    if (absent != NULL)
        for (i = 0; i < n_rows; i++)
            n -= absent[i] != 0;
    return n;
}

/* The present cells side by side: the column's own array, or gathered. */
static const void *present_cells(struct block_coder *c, const struct column *column, uint32_t n_rows)
{
    uint32_t n = 0, i;

    if (column->absent == NULL)
        return column->i64;
    for (i = 0; i < n_rows; i++)
        if (!column->absent[i])
            memcpy(&c->values[n++], &column->i64[i], sizeof c->values[0]);
    return c->values;
}

void column_split(struct block_coder *c, const struct column_start *start, bool thorough,
                  const struct column *column, uint32_t n_rows, struct column_plan *ret_p)
{
    uint32_t n = count_present(column->absent, n_rows);
    struct column_plan p;

    column_plan_empty(c, column->type, n, &p);
    if (n > 0) {
        if (column->type == COLUMN_DOUBLE)
            split_doubles(c, start, thorough, present_cells(c, column, n_rows), n, &p);
        else if (column->type == COLUMN_TEXT)
            split_texts(c, start, column, n_rows, &p);
        else
            split_units(c, start, present_cells(c, column, n_rows), n, &p);
        sequence_split(&c->work, column_sequence_start(start, &p), thorough, c->integers, n, &p.sequence);
    }
    *ret_p = p;
}

static void scatter(const void *cells, const uint8_t *absent, uint32_t n_rows, int64_t *out)
{
    const int64_t *from = cells;
    uint32_t n = 0, i;

    for (i = 0; i < n_rows; i++)
        out[i] = absent[i] ? 0 : from[n++];
}

static void join_doubles(struct block_coder *c, const struct column_start *start, const struct column_plan *p,
                         struct column *column, uint32_t n_rows)
{
    double *values = column->absent == NULL ? column->f64 : c->values;
    uint32_t i;

    number_join(&p->format, start->error_bound, c->integers, p->ulps, p->n_cells, values);
    for (i = 0; i < p->n_exceptions; i++)
        memcpy(&values[p->exceptions[i].cell], &p->exceptions[i].bits, sizeof *values);
    if (column->absent != NULL)
        scatter(values, column->absent, n_rows, column->i64);
}

static bool join_texts(struct block_coder *c, const struct column_start *start, const struct column_plan *p,
                       struct column *column, uint32_t n_rows)
{
    uint32_t n = 0, i;

    for (i = 0; i < p->n_cells; i++)
        if ((uint64_t)c->integers[i] >= start->n_texts + p->n_texts)
            return false;
    for (i = 0; i < n_rows; i++)
        column->text[i] = column->absent != NULL && column->absent[i]
                              ? (struct span){0}
                              : text_at(start, p, (uint32_t)c->integers[n++]);
    return true;
}

bool column_join(struct block_coder *c, const struct column_start *start, const struct column_plan *p,
                 struct column *column, uint32_t n_rows)
{
    uint32_t i;

    if (p->n_cells > 0 && !sequence_join(&p->sequence, c->integers))
        return false;
    if (p->type == COLUMN_DOUBLE) {
        join_doubles(c, start, p, column, n_rows);
        return true;
    }
    if (p->type == COLUMN_TEXT)
        return join_texts(c, start, p, column, n_rows);
    for (i = 0; i < p->n_cells; i++)
        c->integers[i] = (int64_t)(p->offset + p->unit * (uint64_t)c->integers[i]);
    if (p->type == COLUMN_BOOL)
        for (i = 0; i < p->n_cells; i++)
            if ((uint64_t)c->integers[i] > 1)
                return false;
    if (column->absent != NULL)
        scatter(c->integers, column->absent, n_rows, column->i64);
    else
        memcpy(column->i64, c->integers, n_rows * sizeof *column->i64);
    return true;
}

/* ---- times ---- */

/* Exactly. Most differences are like the one before, and a division takes as long as all else. */
static void divide(int64_t *x, size_t n, int64_t unit)
{
    int64_t before = 0, quotient = 0;
    size_t i;

    for (i = 0; i < n && unit > 1; i++) {
        if (x[i] != before) {
            before = x[i];
            quotient = x[i] / unit;
        }
        x[i] = quotient;
    }
}

void times_split(struct block_coder *c, const struct column_start *start, bool thorough,
                 const int64_t *time_ns, uint32_t n_rows, int64_t *ret_lowest, uint64_t *ret_first,
                 struct column_plan *ret_p)
{
    int64_t lowest = time_ns[0], *differences = c->integers;
    struct column_plan p;
    uint32_t i;

    column_plan_empty(c, COLUMN_INT64, n_rows - 1, &p);
    for (i = 1; i < n_rows; i++) {
        lowest = time_ns[i] < lowest ? time_ns[i] : lowest;
        differences[i - 1] = (int64_t)((uint64_t)time_ns[i] - (uint64_t)time_ns[i - 1]);
    }
    if (n_rows > 1) {
        p.unit = start->unit > 0 && unit_fits(start->unit, 0, differences, n_rows - 1)
                     ? start->unit
                     : divisor_of(differences, n_rows - 1);
        divide(differences, n_rows - 1, (int64_t)p.unit);
        sequence_split(&c->work, column_sequence_start(start, &p), thorough, differences, n_rows - 1,
                       &p.sequence);
    }
    *ret_lowest = lowest;
    *ret_first = (uint64_t)time_ns[0] - (uint64_t)lowest;
    *ret_p = p;
}

bool times_join(struct block_coder *c, const struct column_plan *p, int64_t lowest, uint64_t first,
                uint32_t n_rows, int64_t *time_ns)
{
    uint64_t t = (uint64_t)lowest + first;
    uint32_t i;

    if (n_rows > 1 && !sequence_join(&p->sequence, c->integers))
        return false;
    time_ns[0] = (int64_t)t;
    for (i = 1; i < n_rows; i++)
        time_ns[i] = (int64_t)(t += p->unit * (uint64_t)c->integers[i - 1]);
    return true;
}
