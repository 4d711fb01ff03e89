#include "codec/raw.h"

#include "codec/width.h"

static bool decode_times(struct reader *r, size_t n, int64_t *t)
{
    unsigned form = reader_u8(r);
    int64_t base = (int64_t)reader_le64(r), step, span, last;
    const uint8_t *p;
    size_t i;

    if (form != RAW_TIME_STEP) {
        if (!width_known(form))
            return false;
        p = reader_take(r, n * form);
        return p != NULL && width_get(p, n, base, form, t);
    }
    step = (int64_t)reader_le64(r);
    if (r->bad || __builtin_mul_overflow((int64_t)n - 1, step, &span) ||
        __builtin_add_overflow(base, span, &last))
        return false;
    for (i = 0; i < n; i++)
        t[i] = base + (int64_t)i * step;
    return true;
}

/* n flags from a bitmap whose spare bits must be 0. flags may be NULL. */
static bool decode_flags(struct reader *r, size_t n, uint8_t *flags, size_t *ret_n_set)
{
    const uint8_t *p = reader_take(r, (n + 7) / 8);
    size_t i, n_set = 0;

    if (p == NULL || (n % 8 != 0 && p[n / 8] >> (n % 8) != 0))
        return false;
    for (i = 0; i < (n + 7) / 8; i++)
        n_set += (size_t)__builtin_popcount(p[i]);
    for (i = 0; flags != NULL && i < n; i++)
        flags[i] = p[i / 8] >> (i % 8) & 1;
    *ret_n_set = n_set;
    return true;
}

static bool decode_quality(struct reader *r, size_t n, uint8_t *quality)
{
    size_t i = 0;

    while (i < n) {
        uint8_t q = reader_u8(r);
        uint64_t run = reader_varint(r);

        if (r->bad || q > QUALITY_STALE || run == 0 || run > n - i)
            return false;
        if (quality != NULL)
            memset(quality + i, q, (size_t)run);
        i += (size_t)run;
    }
    return true;
}

/* `width` is a constant at each place of use. Base and offset are integers below 2^53 and so is their sum:
 * exact. */
static inline __attribute__((always_inline)) void divide_each(const uint8_t *p, size_t n, double base,
                                                              unsigned width, double power, double *out)
{
    size_t i;

    for (i = 0; i < n; i++)
        out[i] = (base + (double)(int64_t)width_load(p + i * width, width)) / power;
}

static bool decode_decimals(struct reader *r, size_t n, double *out)
{
    unsigned head = reader_u8(r), width = head & 0x0f, exponent = head >> 4;
    int64_t base = (int64_t)reader_le64(r);
    const uint8_t *p;
    double power;

    if (r->bad || width > 4 || !width_known(width) || exponent > DECIMAL_EXPONENT_MAX ||
        base < -DECIMAL_INTEGER_MAX || base >= DECIMAL_INTEGER_MAX)
        return false;
    p = reader_take(r, n * width);
    if (p == NULL)
        return false;
    if (out == NULL)
        return true;
    power = decimal_power(exponent);
    switch (width) {
    case 1:
        divide_each(p, n, (double)base, 1, power, out);
        break;
    case 2:
        divide_each(p, n, (double)base, 2, power, out);
        break;
    case 4:
        divide_each(p, n, (double)base, 4, power, out);
        break;
    default:
        divide_each(p, n, (double)base, 0, power, out);
        break;
    }
    return true;
}

static bool decode_doubles(struct reader *r, size_t n, unsigned form, double *out)
{
    const uint8_t *p;
    size_t i;

    if (form == RAW_DOUBLE_DECIMAL)
        return decode_decimals(r, n, out);
    if (form > RAW_DOUBLE_CONSTANT)
        return false;
    p = reader_take(r, form == RAW_DOUBLE_CONSTANT ? sizeof *out : n * sizeof *out);
    if (p == NULL)
        return false;
    if (out == NULL)
        return true;
    if (form == RAW_DOUBLE_BITS)
        memcpy(out, p, n * sizeof *out);
    else
        for (i = 0; i < n; i++)
            memcpy(&out[i], p, sizeof *out);
    return true;
}

static bool decode_integers(struct reader *r, size_t n, int64_t *out)
{
    unsigned width = reader_u8(r);
    int64_t base = (int64_t)reader_le64(r);
    const uint8_t *p;

    if (r->bad || !width_known(width))
        return false;
    p = reader_take(r, n * width);
    return p != NULL && (out == NULL || width_get(p, n, base, width, out));
}

static bool decode_bools(struct reader *r, size_t n, int64_t *out)
{
    const uint8_t *p = r->at;
    size_t i, n_set;

    if (!decode_flags(r, n, NULL, &n_set))
        return false;
    for (i = 0; out != NULL && i < n; i++)
        out[i] = p[i / 8] >> (i % 8) & 1;
    return true;
}

static bool decode_texts(struct reader *r, size_t n_rows, size_t n, const struct column *c)
{
    const uint8_t *p;
    size_t i, row = 0, len;

    for (i = 0; i < n; i++) {
        len = reader_u8(r);
        p = reader_take(r, len);
        if (p == NULL)
            return false;
        if (c->text == NULL)
            continue;
        while (c->absent != NULL && c->absent[row])
            c->text[row++] = (struct span){0};
        c->text[row++] = span_of(p, len);
    }
    while (c->text != NULL && row < n_rows)
        c->text[row++] = (struct span){0};
    return true;
}

/* The n cells that are there move, last first, to their rows. */
static void spread(int64_t *v, const uint8_t *absent, size_t n_rows, size_t n)
{
    size_t row = n_rows;

    while (row-- > 0)
        v[row] = absent[row] ? 0 : v[--n];
}

static bool decode_cells(struct reader *r, enum column_type type, unsigned form, size_t n, struct column *c)
{
    if (n == 0)
        return form == 0;
    if (type == COLUMN_DOUBLE)
        return decode_doubles(r, n, form, c->f64);
    if (form != 0)
        return false;
    return type == COLUMN_INT64 ? decode_integers(r, n, c->i64) : decode_bools(r, n, c->i64);
}

static bool decode_column(struct reader *r, enum column_type type, size_t n_rows, struct column *c)
{
    unsigned head = reader_u8(r), form = head >> RAW_FORM_SHIFT;
    size_t n_absent = 0;

    if (r->bad || (head & RAW_TYPE_MASK) != (unsigned)type)
        return false;
    if ((head & RAW_HAS_ABSENT) == 0)
        c->absent = NULL;
    else if (!decode_flags(r, n_rows, c->absent, &n_absent))
        return false;
    if ((head & RAW_HAS_QUALITY) == 0)
        c->quality = NULL;
    else if (!decode_quality(r, n_rows, c->quality))
        return false;
    if (type == COLUMN_TEXT)
        return form == 0 && decode_texts(r, n_rows, n_rows - n_absent, c);
    if (!decode_cells(r, type, form, n_rows - n_absent, c))
        return false;
    if (n_absent > 0 && c->i64 != NULL)
        spread(c->i64, c->absent, n_rows, n_rows - n_absent);
    return true;
}

int raw_decode(struct span body, uint32_t n_rows, uint32_t n_columns, const enum column_type *types,
               int64_t *time_ns, struct column *columns)
{
    struct reader r = reader_of(body);
    uint32_t i;

    if (!decode_times(&r, n_rows, time_ns))
        return BLOCK_DAMAGED;
    for (i = 0; i < n_columns; i++)
        if (!decode_column(&r, types[i], n_rows, &columns[i]))
            return BLOCK_DAMAGED;
    return r.bad || reader_left(&r) > 0 ? BLOCK_DAMAGED : 0;
}
