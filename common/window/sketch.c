#include "window/sketch.h"

#include "window/double_bytes.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

enum { MANTISSA_BITS = 52, JOINED_MAX = 62 };

static unsigned shift_of(const struct sketch *s)
{
    return MANTISSA_BITS - SKETCH_PLACES + s->joined;
}

/* Rises with x. */
static int64_t key_of(const struct sketch *s, double x)
{
    uint64_t bits;
    double size = fabs(x);

    memcpy(&bits, &size, sizeof bits);
    bits = shift_of(s) < 64 ? bits >> shift_of(s) : 0;
    return x < 0 ? -1 - (int64_t)bits : (int64_t)bits;
}

static double edge(const struct sketch *s, uint64_t bucket)
{
    uint64_t bits = shift_of(s) < 64 ? bucket << shift_of(s) : 0;
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static double middle(const struct sketch *s, int64_t key)
{
    uint64_t bucket = key < 0 ? (uint64_t)(-1 - key) : (uint64_t)key;
    double low = edge(s, bucket), high = edge(s, bucket + 1), x;

    if (bucket == 0)
        return 0;
    if (!isfinite(high))
        high = DBL_MAX;
    x = isfinite(low) ? low + (high - low) / 2 : low;
    return key < 0 ? -x : x;
}

/* The index of the first bucket whose key is not below. */
static uint32_t find(const struct sketch *s, int64_t key)
{
    uint32_t from = 0, to = s->n_buckets;

    while (from < to) {
        uint32_t half = (from + to) / 2;

        if (s->key[half] < key)
            from = half + 1;
        else
            to = half;
    }
    return from;
}

static void join(struct sketch *s)
{
    uint32_t i, n = 0;

    for (i = 0; i < s->n_buckets; i++) {
        int64_t key = s->key[i] >> 1;

        if (n > 0 && s->key[n - 1] == key) {
            s->n[n - 1] += s->n[i];
        } else {
            s->key[n] = key;
            s->n[n++] = s->n[i];
        }
    }
    s->n_buckets = n;
    s->joined++;
}

static void count_in(struct sketch *s, int64_t key, uint64_t n)
{
    uint32_t at = find(s, key), behind = s->n_buckets - at;

    if (behind > 0 && s->key[at] == key) {
        s->n[at] += n;
        return;
    }
    memmove(&s->key[at + 1], &s->key[at], behind * sizeof s->key[0]);
    memmove(&s->n[at + 1], &s->n[at], behind * sizeof s->n[0]);
    s->key[at] = key;
    s->n[at] = n;
    s->n_buckets++;
    while (s->n_buckets > SKETCH_BUCKETS_MAX)
        join(s);
}

static bool is_minus_zero(double x)
{
    return x == 0 && signbit(x);
}

static void widen(struct sketch *s, double min, double max, uint64_t count)
{
    s->min = s->count == 0 || min < s->min ? min : s->min;
    s->max = s->count == 0 || max > s->max ? max : s->max;
    s->count += count;
}

void sketch_add(struct sketch *s, double x)
{
    if (isnan(x))
        return;
    x += 0; /* -0 is 0 */
    widen(s, x, x, 1);
    count_in(s, key_of(s, x), 1);
}

void sketch_merge(struct sketch *s, const struct sketch *other)
{
    unsigned more;
    uint32_t i;

    if (other->count == 0)
        return;
    widen(s, other->min, other->max, other->count);
    while (s->joined < other->joined)
        join(s);
    for (i = 0; i < other->n_buckets; i++) {
        more = s->joined - other->joined; /* may grow on the way */
        count_in(s, other->key[i] >> more, other->n[i]);
    }
}

double sketch_quantile(const struct sketch *s, double share)
{
    uint64_t below, seen = 0;
    uint32_t i;
    double x;

    if (s->count == 0 || isnan(share))
        return NAN;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    below = (uint64_t)(share * (double)(s->count - 1));
    if (below == 0)
        return s->min;
    if (below >= s->count - 1)
        return s->max;
    for (i = 0; i + 1 < s->n_buckets; i++) {
        seen += s->n[i];
        if (seen > below)
            break;
    }
    x = middle(s, s->key[i]);
    return x < s->min ? s->min : x > s->max ? s->max : x;
}

double sketch_error(const struct sketch *s)
{
    int places = SKETCH_PLACES - s->joined;

    return places >= 0 ? ldexp(1, -places - 1) : INFINITY; /* below 0 a bucket is several octaves */
}

void sketch_put(const struct sketch *s, struct buf *out)
{
    uint32_t i;

    buf_varint(out, s->n_buckets);
    if (s->n_buckets == 0)
        return;
    buf_u8(out, s->joined);
    put_double(out, s->min);
    put_double(out, s->max);
    buf_varint(out, zigzag64(s->key[0]));
    for (i = 0; i < s->n_buckets; i++) {
        if (i > 0)
            buf_varint(out, (uint64_t)s->key[i] - (uint64_t)s->key[i - 1] - 1);
        buf_varint(out, s->n[i]);
    }
}

int sketch_get(struct reader *r, struct sketch *ret_s)
{
    uint64_t n_buckets = reader_varint(r), v, total = 0;
    struct sketch s = {.count = 0};
    uint32_t i;

    if (n_buckets == 0 && !r->bad) {
        *ret_s = s;
        return 0;
    }
    if (r->bad || n_buckets > SKETCH_BUCKETS_MAX)
        return -EINVAL;
    s.n_buckets = (uint32_t)n_buckets;
    s.joined = reader_u8(r);
    s.min = reader_double(r);
    s.max = reader_double(r);
    if (s.joined > JOINED_MAX || !(s.min <= s.max) || is_minus_zero(s.min) || is_minus_zero(s.max))
        return -EINVAL;
    for (i = 0; i < s.n_buckets; i++) {
        v = reader_varint(r);
        if (i == 0)
            s.key[0] = unzigzag64(v);
        else if (v >= (uint64_t)INT64_MAX - (uint64_t)s.key[i - 1])
            return -EINVAL;
        else
            s.key[i] = (int64_t)((uint64_t)s.key[i - 1] + v + 1);
        s.n[i] = reader_varint(r);
        if (r->bad || s.n[i] == 0 || __builtin_add_overflow(total, s.n[i], &total))
            return -EINVAL;
    }
    /* The outermost buckets are those of the outermost numbers. */
    if (s.key[0] != key_of(&s, s.min) || s.key[s.n_buckets - 1] != key_of(&s, s.max))
        return -EINVAL;
    s.count = total;
    *ret_s = s;
    return 0;
}
