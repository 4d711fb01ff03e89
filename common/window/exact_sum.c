#include "window/exact_sum.h"

#include <errno.h>
#include <math.h>

/* An addition moves a chunk by less than 2^33: it holds 2^30 of them, and a merge needs half of that. */
enum { BITS = 32, LOWEST = 2176, CARRY_AFTER = 1 << 28, MANTISSA_BITS = 53, SUBNORMAL_EXPONENT = -1074 };

enum { HAS_NAN = 1, HAS_PLUS_INFINITY = 2, HAS_MINUS_INFINITY = 4, IS_NEGATIVE = 8 };

/* Each chunk into 0 .. 2^32 - 1; the last keeps the sign. */
static void carry(struct exact_sum *s)
{
    int64_t up = 0;
    unsigned i;

    for (i = 0; i < EXACT_SUM_CHUNKS - 1; i++) {
        int64_t c = s->chunk[i] + up;

        s->chunk[i] = c & UINT32_MAX;
        up = c >> BITS;
    }
    s->chunk[i] += up;
    s->n_since_carry = 0;
}

static inline void add_at(struct exact_sum *s, uint64_t m, int exponent, bool minus)
{
    unsigned at = (unsigned)(exponent + LOWEST), k = at / BITS;
    unsigned __int128 wide = (unsigned __int128)m << at % BITS;
    int64_t a = (int64_t)(uint32_t)wide, b = (int64_t)(uint32_t)(wide >> BITS),
            c = (int64_t)(wide >> 2 * BITS);

    s->chunk[k] += minus ? -a : a;
    s->chunk[k + 1] += minus ? -b : b;
    s->chunk[k + 2] += minus ? -c : c;
}

static inline void count_one(struct exact_sum *s)
{
    if (++s->n_since_carry >= CARRY_AFTER)
        carry(s);
}

static void add_wide(struct exact_sum *s, unsigned __int128 m, int exponent, bool minus)
{
    add_at(s, (uint64_t)m, exponent, minus);
    if (m >> 64 != 0)
        add_at(s, (uint64_t)(m >> 64), exponent + 64, minus);
    count_one(s);
}

/* x = +-m 2^exponent. False when it is no number, which is remembered. */
static inline bool take_apart(struct exact_sum *s, double x, bool negate, uint64_t *ret_m, int *ret_exponent,
                              bool *ret_minus)
{
    uint64_t bits, fraction;
    unsigned e;

    memcpy(&bits, &x, sizeof bits);
    fraction = bits & ((UINT64_C(1) << 52) - 1);
    e = (unsigned)(bits >> 52) & 0x7ff;
    *ret_minus = (bits >> 63 != 0) != negate;
    if (e == 0x7ff) {
        s->has_nan |= fraction != 0;
        s->has_plus_infinity |= fraction == 0 && !*ret_minus;
        s->has_minus_infinity |= fraction == 0 && *ret_minus;
        return false;
    }
    *ret_m = e == 0 ? fraction : fraction | UINT64_C(1) << 52;
    *ret_exponent = (e == 0 ? 1 : (int)e) + SUBNORMAL_EXPONENT - 1;
    return true;
}

void exact_sum_add(struct exact_sum *s, double x)
{
    uint64_t m;
    int exponent;
    bool minus;

    if (!take_apart(s, x, false, &m, &exponent, &minus))
        return;
    add_at(s, m, exponent, minus);
    count_one(s);
}

void exact_sum_add_square(struct exact_sum *s, double x)
{
    uint64_t m;
    int exponent;
    bool minus;

    if (take_apart(s, fabs(x), false, &m, &exponent, &minus))
        add_wide(s, (unsigned __int128)m * m, 2 * exponent, false);
}

void exact_sum_add_product(struct exact_sum *s, double x, int64_t times)
{
    uint64_t m, n = times < 0 ? 0 - (uint64_t)times : (uint64_t)times;
    int exponent;
    bool minus;

    if (isinf(x) && times == 0)
        s->has_nan = true;
    else if (take_apart(s, x, times < 0, &m, &exponent, &minus))
        add_wide(s, (unsigned __int128)m * n, exponent, minus);
}

void exact_sum_merge(struct exact_sum *s, const struct exact_sum *other)
{
    unsigned i;

    for (i = 0; i < EXACT_SUM_CHUNKS; i++)
        s->chunk[i] += other->chunk[i];
    s->has_nan |= other->has_nan;
    s->has_plus_infinity |= other->has_plus_infinity;
    s->has_minus_infinity |= other->has_minus_infinity;
    s->n_since_carry += other->n_since_carry + 1;
    if (s->n_since_carry >= CARRY_AFTER)
        carry(s);
}

/* ---- reading ---- */

/* Carried, and what is left of the sign: digits of base 2^32, the lowest first. */
static bool magnitude(const struct exact_sum *s, uint32_t digits[EXACT_SUM_CHUNKS])
{
    struct exact_sum c = *s;
    uint64_t up = 1;
    bool minus;
    unsigned i;

    carry(&c);
    minus = c.chunk[EXACT_SUM_CHUNKS - 1] < 0;
    for (i = 0; i < EXACT_SUM_CHUNKS; i++) {
        up += (uint32_t)~c.chunk[i];
        digits[i] = minus ? (uint32_t)up : (uint32_t)c.chunk[i];
        up >>= BITS;
    }
    return minus;
}

static unsigned bit_at(const uint32_t *digits, int at)
{
    return at < 0 ? 0 : digits[at / BITS] >> at % BITS & 1;
}

static bool any_below(const uint32_t *digits, int at)
{
    int i;

    for (i = 0; i < at / BITS; i++)
        if (digits[i] != 0)
            return true;
    return at > 0 && at % BITS != 0 && (digits[i] & ((UINT32_C(1) << at % BITS) - 1)) != 0;
}

static double finite_value(const struct exact_sum *s)
{
    uint32_t digits[EXACT_SUM_CHUNKS];
    bool minus = magnitude(s, digits);
    int top = EXACT_SUM_CHUNKS - 1, high, low, at;
    uint64_t m = 0;
    double x;

    while (top >= 0 && digits[top] == 0)
        top--;
    if (top < 0)
        return 0;
    high = top * BITS + 31 - __builtin_clz(digits[top]);
    low = high - (MANTISSA_BITS - 1);
    if (low < LOWEST + SUBNORMAL_EXPONENT)
        low = LOWEST + SUBNORMAL_EXPONENT;
    for (at = high; at >= low; at--)
        m = m << 1 | bit_at(digits, at);
    if (bit_at(digits, low - 1) != 0 && ((m & 1) != 0 || any_below(digits, low - 1)))
        m++;
    x = ldexp((double)m, low - LOWEST);
    return minus ? -x : x;
}

void exact_sum_add_multiple(struct exact_sum *s, const struct exact_sum *other, double factor)
{
    uint32_t digits[EXACT_SUM_CHUNKS];
    bool minus;
    uint64_t m;
    int exponent, i;

    if (!isfinite(factor) || !take_apart(s, factor, magnitude(other, digits), &m, &exponent, &minus))
        return;
    for (i = 0; i < EXACT_SUM_CHUNKS; i++)
        if (digits[i] != 0)
            add_wide(s, (unsigned __int128)m * digits[i], exponent + i * BITS - LOWEST, minus);
}

double exact_sum_value(const struct exact_sum *s)
{
    if (s->has_nan || (s->has_plus_infinity && s->has_minus_infinity))
        return NAN;
    if (s->has_plus_infinity || s->has_minus_infinity)
        return s->has_plus_infinity ? INFINITY : -INFINITY;
    return finite_value(s);
}

void exact_sum_pair(const struct exact_sum *s, double *ret_high, double *ret_low)
{
    struct exact_sum left = *s;

    *ret_high = exact_sum_value(s);
    *ret_low = 0;
    if (!isfinite(*ret_high))
        return;
    exact_sum_add(&left, -*ret_high);
    *ret_low = exact_sum_value(&left);
}

/* ---- bytes ---- */

void exact_sum_put(const struct exact_sum *s, struct buf *out)
{
    uint32_t digits[EXACT_SUM_CHUNKS];
    bool minus = magnitude(s, digits);
    unsigned first = 0, end = EXACT_SUM_CHUNKS, i;

    while (end > 0 && digits[end - 1] == 0)
        end--;
    while (first < end && digits[first] == 0)
        first++;
    if (end == 0)
        first = 0;
    buf_u8(out, (uint8_t)((s->has_nan ? HAS_NAN : 0) | (s->has_plus_infinity ? HAS_PLUS_INFINITY : 0) |
                          (s->has_minus_infinity ? HAS_MINUS_INFINITY : 0) | (minus ? IS_NEGATIVE : 0)));
    buf_u8(out, (uint8_t)first);
    buf_u8(out, (uint8_t)(end - first));
    for (i = first; i < end; i++)
        buf_le32(out, digits[i]);
}

int exact_sum_get(struct reader *r, struct exact_sum *ret_s)
{
    struct exact_sum s = {.chunk = {0}};
    unsigned flags = reader_u8(r), first = reader_u8(r), n = reader_u8(r), i;
    bool minus = (flags & IS_NEGATIVE) != 0;

    if (r->bad || flags > 15 || first + n > EXACT_SUM_CHUNKS || (n == 0 && (first != 0 || minus)))
        return -EINVAL;
    for (i = 0; i < n; i++) {
        int64_t digit = reader_le32(r);

        if ((i == 0 || i == n - 1) && digit == 0)
            return -EINVAL;
        s.chunk[first + i] = minus ? -digit : digit;
    }
    s.has_nan = (flags & HAS_NAN) != 0;
    s.has_plus_infinity = (flags & HAS_PLUS_INFINITY) != 0;
    s.has_minus_infinity = (flags & HAS_MINUS_INFINITY) != 0;
    if (r->bad)
        return -EINVAL;
    *ret_s = s;
    return 0;
}
