#include "archive/text_out.h"

#include "base/clock.h"
#include "base/numfmt.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

void text_init(struct text_out *t, FILE *file)
{
    t->file = file;
    t->is_terminal = isatty(fileno(file)) == 1;
    t->n = 0;
    t->error = 0;
    t->second = INT64_MIN;
    t->second_len = 0;
}

void text_flush(struct text_out *t)
{
    if (t->n > 0 && t->error == 0 && fwrite(t->at, 1, t->n, t->file) != t->n)
        t->error = errno != 0 ? -errno : -EIO;
    t->n = 0;
}

void text_room(struct text_out *t)
{
    if (t->n > TEXT_OUT_BYTES - TEXT_OUT_LINE_BYTES)
        text_flush(t);
}

void text_u64(struct text_out *t, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n > 0)
        text_char(t, digits[--n]);
}

void text_i64(struct text_out *t, int64_t v)
{
    if (v < 0) {
        text_char(t, '-');
        text_u64(t, -(uint64_t)v);
    } else {
        text_u64(t, (uint64_t)v);
    }
}

/* v = whole / 10^k with whole below 10^15: one correctly rounded division reads back what it was made from,
 * and no other decimal of up to 15 digits does, so this is the shortest. */
static bool put_short_decimal(struct text_out *t, double v)
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    static const uint64_t divisor[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    double size = fabs(v);

    if (!(size >= 1e-4 && size < 1e15))
        return false;
    for (unsigned k = 0; k < sizeof power / sizeof power[0]; k++) {
        double whole = nearbyint(size * power[k]);
        uint64_t n, rest;

        if (whole >= 1e15)
            return false;
        if (whole / power[k] != size)
            continue;
        n = (uint64_t)whole;
        if (v < 0)
            text_char(t, '-');
        text_u64(t, n / divisor[k]);
        if (k == 0)
            return true;
        text_char(t, '.');
        rest = n % divisor[k];
        for (uint64_t d = divisor[k] / 10; d > 0; d /= 10)
            text_char(t, (char)('0' + rest / d % 10));
        return true;
    }
    return false;
}

void text_double(struct text_out *t, double v)
{
    if (!put_short_decimal(t, v))
        t->n += numfmt_double(v, t->at + t->n);
}

void text_time(struct text_out *t, int64_t unix_ns)
{
    int64_t second = unix_ns / NS_PER_S, part = unix_ns % NS_PER_S;
    char digits[9];
    int n = 9;

    if (part < 0) {
        second--;
        part += NS_PER_S;
    }
    if (second != t->second || t->second_len == 0) {
        clock_format_utc(second * NS_PER_S, t->second_text);
        t->second_len = strlen(t->second_text) - 1; /* without the Z */
        t->second = second;
    }
    text_put(t, t->second_text, t->second_len);
    if (part != 0) {
        for (int i = 8; i >= 0; i--, part /= 10)
            digits[i] = (char)('0' + part % 10);
        while (digits[n - 1] == '0')
            n--;
        text_char(t, '.');
        text_put(t, digits, (size_t)n);
    }
    text_char(t, 'Z');
}

/* Length of the UTF-8 sequence at p, 0 when there is none (RFC 3629). */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    uint32_t c;

    if (n <= 1)
        return n;
    if (n > left)
        return 0;
    c = p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

void text_json(struct text_out *t, struct span s)
{
    static const char hex[] = "0123456789abcdef";

    text_char(t, '"');
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len(s.data + i, s.len - i);
        uint8_t c = s.data[i];

        if (n == 0) {
            text_str(t, "\xef\xbf\xbd");
            n = 1;
        } else if (c == '"' || c == '\\') {
            text_char(t, '\\');
            text_char(t, (char)c);
        } else if (c < 0x20) {
            text_str(t, "\\u00");
            text_char(t, hex[c >> 4]);
            text_char(t, hex[c & 15]);
        } else {
            text_put(t, (const char *)s.data + i, n);
        }
        i += n;
    }
    text_char(t, '"');
}

static void csv_bytes(struct text_out *t, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"')
            text_char(t, '"');
        text_char(t, t->is_terminal && (s.data[i] < 0x20 || s.data[i] == 0x7f) ? '?' : (char)s.data[i]);
    }
}

void text_csv(struct text_out *t, struct span s)
{
    bool quote = false;

    for (size_t i = 0; i < s.len && !quote; i++)
        quote = s.data[i] == ',' || s.data[i] == '"' || s.data[i] == '\n' || s.data[i] == '\r';
    if (!quote) {
        csv_bytes(t, s); /* no quote in it to double */
        return;
    }
    text_char(t, '"');
    csv_bytes(t, s);
    text_char(t, '"');
}
