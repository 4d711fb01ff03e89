#include "device/sources/csv_time.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/numfmt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ZONE_FILE_MAX_BYTES = 64 * 1024,
    TZIF_HEADER_BYTES = 44,
    SECONDS_PER_DAY = 86400,
    YEAR_MIN = 1678,
    YEAR_MAX = 2261,
};

struct csv_zone {
    int32_t fixed_s;
    size_t n; /* transitions; 0: fixed */
    int64_t *at_s;
    int32_t *offset_s; /* from at_s[i] on */
    int32_t before_s;  /* before at_s[0] */
    int64_t slot;      /* quarter hour of the last answer: transitions never fall within one */
    int32_t slot_offset_s;
    bool has_slot;
};

/* ---- zones ---- */

static bool two_digits(const char *s, int *ret_v)
{
    unsigned a = (unsigned char)s[0] - '0', b = (unsigned char)s[1] - '0';

    if (a > 9 || b > 9)
        return false;
    *ret_v = (int)(a * 10 + b);
    return true;
}

/* +H, +HH, +HHMM, +HH:MM */
static bool parse_offset(const char *s, size_t len, int32_t *ret_s)
{
    int sign = len > 0 && s[0] == '-' ? -1 : 1, hours = 0, minutes = 0;

    if (len < 2 || (s[0] != '+' && s[0] != '-'))
        return false;
    s++;
    len--;
    if (len == 1 && s[0] >= '0' && s[0] <= '9')
        hours = s[0] - '0';
    else if (len < 2 || !two_digits(s, &hours))
        return false;
    else if (len == 4   ? !two_digits(s + 2, &minutes)
             : len == 5 ? s[2] != ':' || !two_digits(s + 3, &minutes)
                        : len != 2)
        return false;
    if (hours > 18 || minutes > 59)
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

struct tzif_counts {
    uint32_t n_utc, n_std, n_leap, n_time, n_type, n_char;
};

static bool read_header(struct reader *r, uint8_t *ret_version, struct tzif_counts *c)
{
    const uint8_t *magic = reader_take(r, 4);

    if (magic == NULL || memcmp(magic, "TZif", 4) != 0)
        return false;
    *ret_version = reader_u8(r);
    reader_take(r, 15);
    c->n_utc = reader_be32(r);
    c->n_std = reader_be32(r);
    c->n_leap = reader_be32(r);
    c->n_time = reader_be32(r);
    c->n_type = reader_be32(r);
    c->n_char = reader_be32(r);
    return !r->bad && c->n_time <= 4096 && c->n_type >= 1 && c->n_type <= 256 && c->n_char <= 4096 &&
           c->n_leap <= 1024;
}

static bool read_body(struct csv_zone *z, struct reader *r, const struct tzif_counts *c)
{
    const uint8_t *times = reader_take(r, (size_t)c->n_time * 8), *types = reader_take(r, c->n_time);
    const uint8_t *infos = reader_take(r, (size_t)c->n_type * 6);

    if (r->bad)
        return false;
    z->at_s = calloc(c->n_time + 1, sizeof *z->at_s);
    z->offset_s = calloc(c->n_time + 1, sizeof *z->offset_s);
    if (z->at_s == NULL || z->offset_s == NULL)
        return false;
    z->before_s = (int32_t)load_be32(infos);
    for (uint32_t i = 0; i < c->n_time; i++) {
        if (types[i] >= c->n_type)
            return false;
        z->at_s[i] = (int64_t)load_be64(times + (size_t)i * 8);
        z->offset_s[i] = (int32_t)load_be32(infos + (size_t)types[i] * 6);
    }
    z->n = c->n_time;
    z->fixed_s = z->before_s;
    return true;
}

static bool read_tzif(struct csv_zone *z, struct span file)
{
    struct reader r = reader_of(file);
    struct tzif_counts c;
    uint8_t version;

    if (!read_header(&r, &version, &c) || version < '2')
        return false;
    /* The first part has 32-bit times, for old readers. */
    reader_take(&r, (size_t)c.n_time * 5 + (size_t)c.n_type * 6 + c.n_char + (size_t)c.n_leap * 8 + c.n_std +
                        c.n_utc);
    return read_header(&r, &version, &c) && read_body(z, &r, &c);
}

static int open_zone_file(struct csv_zone *z, const char *name)
{
    const char *folder = getenv("TZDIR");
    struct buf file = {0};
    char path[512];
    bool ok;

    if (name[0] == '\0' || name[0] == '/' || strstr(name, "..") != NULL || strlen(name) > 100)
        return -EINVAL;
    snprintf(path, sizeof path, "%s/%s",
             folder != NULL && strlen(folder) < 300 ? folder : "/usr/share/zoneinfo", name);
    ok = file_read(path, ZONE_FILE_MAX_BYTES, &file) == 0 && read_tzif(z, span_of(file.data, file.len));
    buf_deinit(&file);
    return ok ? 0 : -EINVAL;
}

int csv_zone_new(struct csv_zone **ret_z, const char *name, struct errmsg *err)
{
    struct csv_zone *z = calloc(1, sizeof *z);

    if (z == NULL)
        return -ENOMEM;
    if (name[0] != '\0' && strcmp(name, "UTC") != 0 && strcmp(name, "Z") != 0 && strcmp(name, "GMT") != 0 &&
        !parse_offset(name, strlen(name), &z->fixed_s) && open_zone_file(z, name) != 0) {
        csv_zone_free(z);
        return errmsg_set(
            err, -EINVAL,
            "unknown time zone '%s'; write UTC, an offset such as +08:00, or a name such as Europe/Berlin "
            "(package tzdata)",
            name);
    }
    *ret_z = z;
    return 0;
}

struct csv_zone *csv_zone_free(struct csv_zone *z)
{
    if (z == NULL)
        return NULL;
    free(z->at_s);
    free(z->offset_s);
    free(z);
    return NULL;
}

static int32_t offset_at(const struct csv_zone *z, int64_t utc_s)
{
    size_t lo = 0, hi = z->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (z->at_s[mid] <= utc_s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == 0 ? z->before_s : z->offset_s[lo - 1];
}

int64_t csv_zone_offset(struct csv_zone *z, int64_t local_s)
{
    int64_t slot = (local_s >= 0 ? local_s : local_s - 899) / 900;
    int32_t before, after;

    if (z->n == 0)
        return z->fixed_s;
    if (z->has_slot && slot == z->slot)
        return z->slot_offset_s;
    /* No zone is further than a day from UTC: the offsets on both sides of a change. Where clocks go back,
     * the earlier of two times has the offset before; where they go forward, a time left out is counted on
     * from before (RFC 5545, 3.3.5), which keeps the order of rows from a clock that was not set. */
    before = offset_at(z, local_s - SECONDS_PER_DAY);
    after = offset_at(z, local_s + SECONDS_PER_DAY);
    z->slot_offset_s =
        offset_at(z, local_s - before) != before && offset_at(z, local_s - after) == after ? after : before;
    z->slot = slot;
    z->has_slot = true;
    return z->slot_offset_s;
}

/* ---- stamps ---- */

bool csv_day(int64_t year, int64_t month, int64_t day, int64_t *ret_s)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t y, era, year_of_era, day_of_year, day_of_era;

    if (year < YEAR_MIN || year > YEAR_MAX || month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] + (month == 2 && leap ? 1 : 0))
        return false;
    /* Days since 1970 with years that begin in March (H. Hinnant, "chrono-Compatible Low-Level Date
     * Algorithms"). */
    y = year - (month <= 2 ? 1 : 0);
    era = y / 400;
    year_of_era = y - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    *ret_s = (era * 146097 + day_of_era - 719468) * SECONDS_PER_DAY;
    return true;
}

bool csv_unix_ns(int64_t utc_s, int32_t ns, int64_t *ret_unix_ns)
{
    return !__builtin_mul_overflow(utc_s, NS_PER_S, ret_unix_ns) &&
           !__builtin_add_overflow(*ret_unix_ns, ns, ret_unix_ns);
}

static void trim(const char **s, size_t *len)
{
    while (*len > 0 && (**s == ' ' || **s == '\t')) {
        (*s)++;
        (*len)--;
    }
    while (*len > 0 && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t'))
        (*len)--;
}

/* YYYY-MM-DD or YYYY/MM/DD; months and days may have one digit. Returns what was read, 0: no date. */
static size_t parse_date(const char *s, size_t len, int64_t *ret_s)
{
    int century, year, part[2];
    size_t at = 5;
    char separator;

    if (len < 8 || !two_digits(s, &century) || !two_digits(s + 2, &year) || (s[4] != '-' && s[4] != '/'))
        return 0;
    separator = s[4];
    for (int i = 0; i < 2; i++) {
        unsigned digit = at < len ? (unsigned char)s[at] - '0' : 10;

        if (digit > 9)
            return 0;
        if (at + 1 < len && two_digits(s + at, &part[i])) {
            at += 2;
        } else {
            part[i] = (int)digit;
            at++;
        }
        if (i == 0 && (at >= len || s[at++] != separator))
            return 0;
    }
    return csv_day(century * 100 + year, part[0], part[1], ret_s) ? at : 0;
}

static size_t parse_fraction(const char *s, size_t len, int32_t *ret_ns)
{
    int32_t ns = 0, weight = 100000000;
    size_t at = 0;

    for (; at < len && s[at] >= '0' && s[at] <= '9'; at++) {
        ns += (s[at] - '0') * weight;
        weight /= 10;
    }
    *ret_ns = ns;
    return at;
}

/* HH:MM[:SS[.fraction]]; hours may have one digit. Returns what was read, 0: no time. */
static size_t parse_time_of_day(const char *s, size_t len, int64_t *ret_s, int32_t *ret_ns)
{
    int hour, minute, second = 0;
    size_t at = 2;

    *ret_ns = 0;
    if (len >= 4 && s[1] == ':' && s[0] >= '0' && s[0] <= '9') {
        hour = s[0] - '0';
        at = 1;
    } else if (len < 5 || !two_digits(s, &hour)) {
        return 0;
    }
    if (len < at + 3 || s[at] != ':' || !two_digits(s + at + 1, &minute))
        return 0;
    at += 3;
    if (len >= at + 3 && s[at] == ':') {
        if (!two_digits(s + at + 1, &second))
            return 0;
        at += 3;
        if (len > at + 1 && (s[at] == '.' || s[at] == ',')) {
            size_t n = parse_fraction(s + at + 1, len - at - 1, ret_ns);

            if (n == 0)
                return 0;
            at += 1 + n;
        }
    }
    if (hour > 23 || minute > 59 || second > 60)
        return 0;
    *ret_s = hour * 3600 + minute * 60 + second;
    return at;
}

bool csv_stamp_parse(const char *s, size_t len, struct csv_stamp *ret_t)
{
    struct csv_stamp t = {0};
    int64_t of_day = 0;
    bool joined;
    size_t n;

    trim(&s, &len);
    n = parse_date(s, len, &t.local_s);
    t.has_date = n > 0;
    s += n;
    len -= n;
    joined = t.has_date && len > 1 && (*s == 'T' || *s == 't' || *s == ' ');
    s += joined ? 1 : 0;
    len -= joined ? 1 : 0;
    n = t.has_date && !joined ? 0 : parse_time_of_day(s, len, &of_day, &t.ns);
    if (joined && n == 0)
        return false;
    t.has_time = n > 0;
    t.local_s += of_day;
    s += n;
    len -= n;
    if (t.has_time && len > 0) {
        t.has_offset = (len == 1 && (*s == 'Z' || *s == 'z')) || parse_offset(s, len, &t.offset_s);
        len = t.has_offset ? 0 : len;
    }
    *ret_t = t;
    return len == 0 && (t.has_date || t.has_time);
}

/* ---- numbers ---- */

bool csv_number_ns(const char *s, size_t len, int64_t unit_ns, int64_t *ret_unix_ns)
{
    int64_t whole = 0, fraction = 0, weight = unit_ns;
    bool negative = false, any = false;

    trim(&s, &len);
    if (len > 0 && (*s == '+' || *s == '-')) {
        negative = *s == '-';
        s++;
        len--;
    }
    for (; len > 0 && *s >= '0' && *s <= '9'; s++, len--, any = true)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *s - '0', &whole))
            return false;
    if (len > 0 && *s == '.') {
        for (s++, len--; len > 0 && *s >= '0' && *s <= '9'; s++, len--, any = true) {
            weight /= 10;
            fraction += (*s - '0') * weight;
        }
    }
    if (!any || len > 0)
        return false;
    if (__builtin_mul_overflow(whole, unit_ns, &whole) || __builtin_add_overflow(whole, fraction, &whole))
        return false;
    *ret_unix_ns = negative ? -whole : whole;
    return true;
}

int64_t csv_guess_unit_ns(double v)
{
    v = fabs(v);
    return v < 1e11 ? NS_PER_S : v < 1e14 ? NS_PER_MS : v < 1e17 ? 1000 : 1;
}
