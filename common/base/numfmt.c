#include "base/numfmt.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    EXACT_EXP10 = 22,     /* 10^22 is the last power of ten that is a double */
    PLAIN_EXP10_MIN = -4, /* below and above, texts carry an exponent */
    PLAIN_EXP10_MAX = 15,
    DIGITS_MAX = 17, /* enough for every double */
    /* A tie between two doubles has at most 767 digits; what stands behind can only break it. */
    PARSE_DIGITS = 780,
    EXP10_LIMIT = 99999,
};

static const double power_of_10[EXACT_EXP10 + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* Digits d1 d2 d3.. stand for d1.d2d3.. * 10^exp10. No leading and no trailing zero. */
struct decimal {
    char digits[DIGITS_MAX + 1];
    int n, exp10;
};

/* Text without a decimal point is the same in every locale; strtod rounds it correctly. */
static double decimal_value(const struct decimal *d)
{
    char text[48];

    snprintf(text, sizeof text, "%.*se%d", d->n, d->digits, d->exp10 - (d->n - 1));
    return strtod(text, NULL);
}

static void decimal_trim(struct decimal *d)
{
    while (d->n > 1 && d->digits[d->n - 1] == '0')
        d->n--;
}

/* v, rounded to n digits. Skips whatever the locale takes for the decimal point. */
static void decimal_round(struct decimal *d, double v, int n)
{
    char text[48];
    const char *at;

    snprintf(text, sizeof text, "%.*e", n - 1, v);
    d->n = 0;
    for (at = text; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9' && d->n < n)
            d->digits[d->n++] = *at;
    d->exp10 = atoi(at + 1);
}

/* The next decimal of the same length above. */
static void decimal_step(struct decimal *d)
{
    int i = d->n - 1;

    for (; i >= 0 && d->digits[i] == '9'; i--)
        d->digits[i] = '0';
    if (i >= 0) {
        d->digits[i]++;
        return;
    }
    d->digits[0] = '1';
    d->exp10++;
}

/* The fewest digits that read back, v > 0 and finite. Among 15 digits and fewer a normal double has at most
 * one such decimal, and rounding to 15 finds it; a subnormal holds less, so it is asked from 1 up. */
static void decimal_shortest(struct decimal *d, double v)
{
    int n, exponent;
    bool is_power_of_2 = frexp(v, &exponent) == 0.5;

    for (n = v < DBL_MIN ? 1 : 15; n < DIGITS_MAX; n++) {
        decimal_round(d, v, n);
        if (decimal_value(d) == v)
            break;
        /* Above a power of two the doubles lie twice as far apart as below it: the decimal below v may be
         * nearer and yet belong to the neighbour, while the one above belongs to v. */
        if (is_power_of_2) {
            decimal_step(d);
            if (decimal_value(d) == v)
                break;
        }
    }
    if (n == DIGITS_MAX)
        decimal_round(d, v, n);
    decimal_trim(d);
}

static size_t decimal_write(const struct decimal *d, char *out)
{
    char *at = out;
    int i, point;

    if (d->exp10 < PLAIN_EXP10_MIN || d->exp10 > PLAIN_EXP10_MAX) {
        *at++ = d->digits[0];
        if (d->n > 1) {
            *at++ = '.';
            memcpy(at, d->digits + 1, (size_t)d->n - 1);
            at += d->n - 1;
        }
        return (size_t)(at - out) + (size_t)sprintf(at, "e%d", d->exp10);
    }
    if (d->exp10 < 0) {
        *at++ = '0';
        *at++ = '.';
        for (i = -1; i > d->exp10; i--)
            *at++ = '0';
        memcpy(at, d->digits, (size_t)d->n);
        at += d->n;
    } else {
        point = d->exp10 + 1;
        for (i = 0; i < point || i < d->n; i++) {
            if (i == point)
                *at++ = '.';
            *at++ = i < d->n ? d->digits[i] : '0';
        }
    }
    *at = '\0';
    return (size_t)(at - out);
}

static size_t write_u64(uint64_t v, char *out)
{
    char digits[20];
    size_t n = 0, i;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

/* m / 10^e with e digits behind the point. */
static size_t write_scaled(uint64_t m, int e, char *out)
{
    uint64_t unit = (uint64_t)power_of_10[e], part = m % unit;
    size_t n = write_u64(m / unit, out);
    int i;

    if (e > 0) {
        out[n] = '.';
        for (i = e; i > 0; i--, part /= 10)
            out[n + (size_t)i] = (char)('0' + part % 10);
        n += (size_t)e + 1;
    }
    out[n] = '\0';
    return n;
}

/* Most measured values are short decimals. m and 10^e are exact doubles, so m / 10^e is the double nearest to
 * that decimal: when it equals v, the text reads back. With the smallest such e and at most 15 digits it is
 * the shortest. 0 when v is no such value. */
static size_t write_short(double v, char *out)
{
    int e;

    if (v < 9007199254740992.0 && v == (double)(uint64_t)v)
        return write_scaled((uint64_t)v, 0, out);
    if (v < 1e-4)
        return 0;
    for (e = 1; e <= 18; e++) {
        double m = rint(v * power_of_10[e]);

        if (m >= 1e15)
            return 0;
        if (m / power_of_10[e] == v)
            return write_scaled((uint64_t)m, e, out);
    }
    return 0;
}

static size_t copy_text(char *out, const char *text)
{
    size_t n = strlen(text);

    memcpy(out, text, n + 1);
    return n;
}

size_t numfmt_double(double v, char out[NUMFMT_DOUBLE_CHARS])
{
    struct decimal d;
    size_t sign, n;

    if (isnan(v))
        return copy_text(out, "NaN");
    if (isinf(v))
        return copy_text(out, v > 0 ? "Infinity" : "-Infinity");
    if (v == 0 && signbit(v))
        return copy_text(out, "-0.0");
    sign = signbit(v) ? 1 : 0;
    if (sign > 0)
        out[0] = '-';
    v = fabs(v);
    n = v < 9007199254740992.0 ? write_short(v, out + sign) : 0;
    if (n == 0) {
        decimal_shortest(&d, v);
        n = decimal_write(&d, out + sign);
    }
    return sign + n;
}

static void skip_blanks(const char **s, const char **end)
{
    while (*s < *end && (**s == ' ' || **s == '\t'))
        (*s)++;
    while (*s < *end && ((*end)[-1] == ' ' || (*end)[-1] == '\t'))
        (*end)--;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

static bool parse_word(const char *s, size_t len, double *ret_v)
{
    if (is_word(s, len, "nan"))
        *ret_v = (double)NAN;
    else if (is_word(s, len, "inf") || is_word(s, len, "infinity"))
        *ret_v = (double)INFINITY;
    else
        return false;
    return true;
}

/* What the scanner found: s..end checked against the grammar, the first 19 significant digits in `mantissa`.
 */
struct scanned {
    uint64_t mantissa;
    int n_digits; /* significant ones, all of them */
    int exp10;    /* of mantissa's last digit while n_digits <= 19 */
    int e;        /* as written behind 'e' */
};

static const char *scan_digits(const char *s, const char *end, struct scanned *x)
{
    for (; s < end; s++) {
        unsigned digit = (unsigned)(unsigned char)*s - '0';

        if (digit > 9)
            break;
        if (x->n_digits < 19)
            x->mantissa = x->mantissa * 10 + digit;
        /* Leading zeros leave the mantissa at 0 and are not counted. */
        if (x->mantissa != 0 && x->n_digits < INT32_MAX)
            x->n_digits++;
    }
    return s;
}

static const char *scan_exponent(const char *s, const char *end, struct scanned *x)
{
    bool negative = false;
    const char *first;

    s++;
    if (s < end && (*s == '+' || *s == '-'))
        negative = *s++ == '-';
    first = s;
    for (; s < end && *s >= '0' && *s <= '9'; s++)
        if (x->e < EXP10_LIMIT)
            x->e = x->e * 10 + (*s - '0');
    if (negative)
        x->e = -x->e;
    return s > first ? s : NULL;
}

/* false when s..end is not wholly a number. */
static bool scan(const char *s, const char *end, struct scanned *x)
{
    const char *first = s, *point;
    size_t n_written;

    *x = (struct scanned){0};
    s = scan_digits(s, end, x);
    n_written = (size_t)(s - first);
    if (s < end && *s == '.') {
        point = s + 1;
        s = scan_digits(point, end, x);
        n_written += (size_t)(s - point);
        /* Longer runs of zeros than this reach no double anyway; the slow path counts them exactly. */
        x->exp10 = s - point < EXP10_LIMIT ? -(int)(s - point) : -EXP10_LIMIT;
    }
    if (n_written == 0)
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        s = scan_exponent(s, end, x);
        if (s == NULL)
            return false;
        x->exp10 += x->e;
    }
    return s == end;
}

/* Rewrites digits[.digits] as an integer and an exponent: strtod rounds that correctly and never sees the
 * decimal point, which depends on the locale. */
static double parse_slow(const char *s, const char *end, int e)
{
    char text[PARSE_DIGITS + 24];
    int64_t exp10 = e;
    bool behind_point = false, dropped = false;
    int n = 0;

    for (; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            behind_point = true;
            continue;
        }
        exp10 -= behind_point;
        if (n == 0 && *s == '0')
            continue;
        if (n < PARSE_DIGITS) {
            text[n++] = *s;
        } else {
            dropped |= *s != '0';
            exp10++;
        }
    }
    if (n == 0)
        return 0.0;
    if (dropped) {
        text[n++] = '1';
        exp10--;
    }
    if (exp10 > EXP10_LIMIT)
        exp10 = EXP10_LIMIT;
    if (exp10 < -EXP10_LIMIT)
        exp10 = -EXP10_LIMIT;
    snprintf(text + n, sizeof text - (size_t)n, "e%d", (int)exp10);
    return strtod(text, NULL);
}

bool numfmt_parse_double(const char *s, size_t len, double *ret_v)
{
    const char *end = s + len;
    struct scanned x;
    bool negative = false;
    double v;

    skip_blanks(&s, &end);
    if (s < end && (*s == '+' || *s == '-'))
        negative = *s++ == '-';
    if (!scan(s, end, &x)) {
        if (!parse_word(s, (size_t)(end - s), &v))
            return false;
    } else if (x.n_digits <= 19 && x.mantissa <= UINT64_C(1) << 53 && x.exp10 >= -EXACT_EXP10 &&
               x.exp10 <= EXACT_EXP10) {
        /* Both operands are exact, so the one operation rounds once (Clinger 1990). */
        v = (double)x.mantissa;
        v = x.exp10 < 0 ? v / power_of_10[-x.exp10] : v * power_of_10[x.exp10];
    } else {
        v = parse_slow(s, end, x.e);
    }
    *ret_v = negative ? -v : v;
    return true;
}

bool numfmt_parse_i64(const char *s, size_t len, int64_t *ret_v)
{
    const char *end = s + len;
    bool negative = false;
    uint64_t v = 0, max;

    skip_blanks(&s, &end);
    if (s < end && (*s == '+' || *s == '-'))
        negative = *s++ == '-';
    if (s == end)
        return false;
    max = (uint64_t)INT64_MAX + negative;
    for (; s < end; s++) {
        unsigned digit = (unsigned)(unsigned char)*s - '0';

        if (digit > 9 || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *ret_v = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* Tenths of 2^(10 i + 10) bytes, rounded. */
static unsigned in_tenths(uint64_t bytes, unsigned i)
{
    unsigned __int128 unit = UINT64_C(1) << (10 * (i + 1));

    return (unsigned)(((unsigned __int128)bytes * 10 + unit / 2) / unit);
}

char *numfmt_bytes(uint64_t bytes, char *out)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned tenths, i = 0;

    if (bytes < 1024) {
        snprintf(out, 16, "%u B", (unsigned)bytes);
        return out;
    }
    while (i < 5 && bytes >> (10 * (i + 2)) > 0)
        i++;
    tenths = in_tenths(bytes, i);
    if (tenths == 10240 && i < 5) /* 1023.96 KiB rounds to 1 MiB */
        tenths = in_tenths(bytes, ++i);
    if (tenths % 10 == 0)
        snprintf(out, 16, "%u %s", tenths / 10, units[i]);
    else
        snprintf(out, 16, "%u.%u %s", tenths / 10, tenths % 10, units[i]);
    return out;
}
