#include "codec/raw.h"

#include "codec/width.h"

#include <errno.h>

/* Present cells side by side, and the integers of decimals. */
struct scratch {
    union {
        double f64[BLOCK_ROWS_MAX];
        int64_t i64[BLOCK_ROWS_MAX];
    };
    int64_t integers[BLOCK_ROWS_MAX];
};

static inline uint8_t head_byte(const struct column *c, bool has_quality, unsigned form)
{
    return (uint8_t)((unsigned)c->type | (c->absent != NULL ? RAW_HAS_ABSENT : 0u) |
                     (has_quality ? RAW_HAS_QUALITY : 0u) | form << RAW_FORM_SHIFT);
}

static bool step_of(const int64_t *t, size_t n, int64_t *ret_step)
{
    int64_t step = 0, span, last;
    size_t i;

    if (n > 1 && __builtin_sub_overflow(t[1], t[0], &step))
        return false;
    /* The reader refuses sums that leave int64, so a step must not only come round by wrapping. */
    if (__builtin_mul_overflow((int64_t)n - 1, step, &span) || __builtin_add_overflow(t[0], span, &last))
        return false;
    for (i = 1; i < n; i++)
        if ((uint64_t)t[i] - (uint64_t)t[i - 1] != (uint64_t)step)
            return false;
    *ret_step = step;
    return true;
}

static void encode_times(const int64_t *t, size_t n, struct buf *out)
{
    int64_t step, low, high;
    unsigned width;
    uint8_t *at;

    if (step_of(t, n, &step)) {
        buf_u8(out, RAW_TIME_STEP);
        buf_le64(out, (uint64_t)t[0]);
        buf_le64(out, (uint64_t)step);
        return;
    }
    range_of(t, n, &low, &high);
    width = width_of((uint64_t)high - (uint64_t)low);
    at = buf_grow(out, RAW_TIME_HEAD_BYTES + n * width);
    if (at == NULL)
        return;
    at[0] = (uint8_t)width;
    store_le64(at + 1, (uint64_t)low);
    width_put(t, n, low, width, at + RAW_TIME_HEAD_BYTES);
}

static void encode_bits(const uint8_t *flags, size_t n, struct buf *out)
{
    uint8_t *at = buf_grow(out, (n + 7) / 8);
    size_t i;

    if (at == NULL)
        return;
    memset(at, 0, (n + 7) / 8);
    for (i = 0; i < n; i++)
        at[i / 8] |= (uint8_t)((flags[i] != 0) << (i % 8));
}

static bool all_good(const uint8_t *quality, size_t n)
{
    uint8_t any = 0;
    size_t i;

    for (i = 0; i < n; i++)
        any |= quality[i];
    return any == 0;
}

static must_check int encode_quality(const uint8_t *quality, size_t n, struct buf *out)
{
    size_t i, run;

    for (i = 0; i < n; i += run) {
        if (quality[i] > QUALITY_STALE)
            return -EINVAL;
        for (run = 1; i + run < n && quality[i + run] == quality[i]; run++)
            ;
        buf_u8(out, quality[i]);
        buf_varint(out, run);
    }
    return 0;
}

/* The cells that are there, side by side: the column itself when none is absent. */
static const void *gather(const struct column *c, size_t n_rows, struct scratch *s, size_t *ret_n)
{
    size_t i, n = 0;

    *ret_n = n_rows;
    if (c->absent == NULL)
        return c->i64;
    for (i = 0; i < n_rows; i++)
        if (!c->absent[i])
            s->i64[n++] = c->i64[i]; /* doubles too: eight bytes are eight bytes */
    *ret_n = n;
    return s->i64;
}

/* head is where the column's first byte stands: its form is known only here. */
static void encode_doubles(const double *v, size_t n, size_t head, struct scratch *s, struct buf *out)
{
    unsigned form = RAW_DOUBLE_BITS;
    size_t i;

    for (i = 1; i < n && memcmp(&v[i], &v[0], sizeof *v) == 0; i++)
        ;
    if (n > 1 && i == n) {
        form = RAW_DOUBLE_CONSTANT;
        buf_append(out, v, sizeof *v);
    } else {
        int exponent = n > 1 ? decimal_find(v, n, s->integers) : -1;
        int64_t low = 0, high = 0;
        unsigned width;

        if (exponent >= 0)
            range_of(s->integers, n, &low, &high);
        width = width_of((uint64_t)high - (uint64_t)low);
        if (exponent >= 0 && width <= 4 && RAW_INT_HEAD_BYTES + n * width < n * sizeof *v) {
            uint8_t *at = buf_grow(out, RAW_INT_HEAD_BYTES + n * width);

            form = RAW_DOUBLE_DECIMAL;
            if (at != NULL) {
                at[0] = (uint8_t)((unsigned)exponent << 4 | width);
                store_le64(at + 1, (uint64_t)low);
                width_put(s->integers, n, low, width, at + RAW_INT_HEAD_BYTES);
            }
        } else {
            buf_append(out, v, n * sizeof *v);
        }
    }
    if (out->error == 0)
        out->data[head] |= (uint8_t)(form << RAW_FORM_SHIFT);
}

static void encode_integers(const int64_t *v, size_t n, struct buf *out)
{
    int64_t low, high;
    unsigned width;
    uint8_t *at;

    range_of(v, n, &low, &high);
    width = width_of((uint64_t)high - (uint64_t)low);
    at = buf_grow(out, RAW_INT_HEAD_BYTES + n * width);
    if (at == NULL)
        return;
    at[0] = (uint8_t)width;
    store_le64(at + 1, (uint64_t)low);
    width_put(v, n, low, width, at + RAW_INT_HEAD_BYTES);
}

static void encode_bools(const int64_t *v, size_t n, struct buf *out)
{
    uint8_t *at = buf_grow(out, (n + 7) / 8);
    size_t i;

    if (at == NULL)
        return;
    memset(at, 0, (n + 7) / 8);
    for (i = 0; i < n; i++)
        at[i / 8] |= (uint8_t)((v[i] != 0) << (i % 8));
}

static must_check int encode_texts(const struct column *c, size_t n_rows, struct buf *out)
{
    size_t i;

    for (i = 0; i < n_rows; i++) {
        if (c->absent != NULL && c->absent[i])
            continue;
        if (c->text[i].len > BLOCK_TEXT_MAX_BYTES)
            return -EINVAL;
        buf_u8(out, (uint8_t)c->text[i].len);
        buf_append(out, c->text[i].data, c->text[i].len);
    }
    return 0;
}

static must_check int encode_column(const struct column *c, size_t n_rows, struct scratch *s, struct buf *out)
{
    bool has_quality = c->quality != NULL && !all_good(c->quality, n_rows);
    size_t head = out->len, n;
    const void *cells;
    int r;

    buf_u8(out, head_byte(c, has_quality, 0));
    if (c->absent != NULL)
        encode_bits(c->absent, n_rows, out);
    if (has_quality) {
        r = encode_quality(c->quality, n_rows, out);
        if (r < 0)
            return r;
    }
    if (c->type == COLUMN_TEXT)
        return encode_texts(c, n_rows, out);
    cells = gather(c, n_rows, s, &n);
    if (n == 0)
        return 0;
    switch (c->type) {
    case COLUMN_DOUBLE:
        encode_doubles(cells, n, head, s, out);
        return 0;
    case COLUMN_INT64:
        encode_integers(cells, n, out);
        return 0;
    case COLUMN_BOOL:
        encode_bools(cells, n, out);
        return 0;
    case COLUMN_TEXT:
    default:
        return -EINVAL;
    }
}

int raw_encode(const struct block *b, struct buf *out)
{
    struct scratch s;
    uint32_t i;
    int r = 0;

    if (b->n_rows == 0 || b->n_rows > BLOCK_ROWS_MAX || b->n_columns == 0 || b->n_columns > BLOCK_COLUMNS_MAX)
        return -EINVAL;
    encode_times(b->time_ns, b->n_rows, out);
    for (i = 0; r == 0 && i < b->n_columns; i++)
        r = encode_column(&b->columns[i], b->n_rows, &s, out);
    return r;
}
