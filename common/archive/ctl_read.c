/* What the reading commands share: opening, patterns, times. */
#include "archive/ctl_reading.h"

#include "base/clock.h"
#include "base/numfmt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>

enum { UNDECODED_NAMED_MAX = 20 };

static void on_undecoded(void *ctx, const struct view_block *b, const char *why)
{
    struct reading *r = ctx;
    char epoch[ID128_HEX_CHARS + 1], time[48];

    if (++r->n_named > UNDECODED_NAMED_MAX)
        return;
    id128_hex(&b->epoch, epoch);
    ctl_note(r->ctl,
             "left out: device %s, set %016" PRIx64 ", time %s, epoch %s, seq %" PRIu64 ", %" PRIu32
             " samples, %s: %s",
             b->set->device->name, b->set->id, clock_format_utc(b->key.time_first_ns, time), epoch,
             seq_count(b->key.seq), b->head.samples, block_encoding_name(b->head.encoding), why);
}

int reading_open(struct ctl *ctl, struct reading *r)
{
    int code = ctl_store_open(ctl, &r->db), e;

    if (code != CTL_OK)
        return code;
    r->ctl = ctl;
    e = view_new(&r->view, r->db);
    if (e != 0)
        return reading_failed(ctl, e);
    view_on_undecoded(r->view, on_undecoded, r);
    return CTL_OK;
}

void reading_close(struct reading *r)
{
    r->view = view_free(r->view);
    r->db = db_close(r->db);
}

int reading_verdict(struct ctl *ctl, const struct reading *r, int code)
{
    const struct view_faults *f = r->view != NULL ? view_faults(r->view) : NULL;

    if (f != NULL && f->sets_undescribed > 0)
        ctl_note(ctl,
                 "left out: blocks of %" PRIu64
                 " sets of channels whose descriptor has not come or cannot be read",
                 f->sets_undescribed);
    if (f == NULL)
        return code;
    if (f->values_damaged + f->rows_malformed > 0) {
        ctl_note(ctl,
                 "left out: %" PRIu64 " damaged values, %" PRIu64
                 " malformed rows of the store; look at `%s store verify`",
                 f->values_damaged, f->rows_malformed, ctl->tier->cli);
        code = code == CTL_OK ? CTL_DAMAGED : code;
    }
    if (f->blocks_damaged + f->encodings_unknown > 0) {
        ctl_note(ctl,
                 "left out: %" PRIu64 " blocks that do not decode, %" PRIu64
                 " of an unknown encoding; they are kept as they came: `%s store blocks` lists them",
                 f->blocks_damaged, f->encodings_unknown, ctl->tier->cli);
        code = code == CTL_OK ? CTL_PARTIAL : code;
    }
    return code;
}

void reading_matches(const struct reading *r, const char *pattern)
{
    for (size_t i = 0; i < view_n_devices(r->view); i++) {
        const struct view_device *d = view_device_at(r->view, i);

        for (size_t k = 0; k < d->n_sets; k++)
            if (view_select(&d->sets[k], pattern, NULL) > 0)
                return;
    }
    ctl_note(r->ctl, "no channel in the store matches `%s`; `%s store ls` lists sites and devices", pattern,
             r->ctl->tier->cli);
}

enum { STOP = 1 };

static int on_first_block(void *ctx, const struct view_block *b)
{
    int64_t *first_ns = ctx;

    if (b->key.time_first_ns < *first_ns)
        *first_ns = b->key.time_first_ns;
    return STOP;
}

int reading_begins(const struct reading *r, const char *pattern, int64_t from_ns, int code)
{
    static const struct view_range all = {INT64_MIN, INT64_MAX};
    int64_t first_ns = INT64_MAX;
    char time[48];

    if (!r->ctl->tier->forgets)
        return code;
    for (size_t i = 0; i < view_n_devices(r->view); i++) {
        const struct view_device *d = view_device_at(r->view, i);

        for (size_t k = 0; k < d->n_sets; k++) {
            int e = 0;

            if (view_select(&d->sets[k], pattern, NULL) > 0)
                e = view_scan(r->view, &d->sets[k], &all, on_first_block, &first_ns);
            if (e < 0)
                return code == CTL_OK ? reading_failed(r->ctl, e) : code;
        }
    }
    if (first_ns < INT64_MAX && first_ns > from_ns)
        ctl_note(r->ctl, "what is known here of `%s` begins at %s", pattern,
                 clock_format_utc(first_ns, time));
    return code;
}

int reading_failed(struct ctl *ctl, int r)
{
    if (r == -EPIPE)
        return CTL_OK;
    if (ferror(ctl->out))
        return ctl_fail(ctl, CTL_FAILED, "cannot write the output: %s", strerror(-r));
    return ctl_fail(ctl, r == -EIO ? CTL_DAMAGED : CTL_FAILED, "%s: %s", ctl->paths.store, strerror(-r));
}

int ctl_pattern(struct ctl *ctl, const char **ret_pattern)
{
    const char *given = ctl_option(ctl, "select");
    struct errmsg err = {""};

    if (given != NULL && pattern_check(given, &err) != 0)
        return ctl_fail(ctl, CTL_USAGE, "--select: %s", err.text);
    *ret_pattern = given != NULL ? given : "**";
    return CTL_OK;
}

/* ---- times ---- */

static bool unit_ns(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ms", NS_PER_MS},          {"s", NS_PER_S},        {"m", 60 * NS_PER_S},
                 {"min", 60 * NS_PER_S},     {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
                 {"w", 7 * 86400 * NS_PER_S}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text, units[i].name) == 0) {
            *ret_ns = units[i].ns;
            return true;
        }
    return false;
}

bool ctl_width_parse(const char *text, int64_t *ret_ns)
{
    size_t n = strspn(text, "0123456789");
    int64_t count, unit;

    return n > 0 && numfmt_parse_i64(text, n, &count) && count > 0 && unit_ns(text + n, &unit) &&
           !__builtin_mul_overflow(count, unit, ret_ns);
}

/* Digits after a point as nanoseconds; more than nine are cut. */
static const char *fraction(const char *s, int64_t *ret_ns)
{
    int64_t unit = NS_PER_S / 10;

    *ret_ns = 0;
    if (*s != '.')
        return s;
    for (s++; isdigit((unsigned char)*s); s++, unit /= 10)
        *ret_ns += (*s - '0') * unit;
    return s;
}

static bool seconds_parse(const char *s, int64_t *ret_unix_ns)
{
    size_t n = strspn(s, "-0123456789");
    int64_t seconds, part;

    if (n == 0 || !numfmt_parse_i64(s, n, &seconds) || *fraction(s + n, &part) != 0 ||
        __builtin_mul_overflow(seconds, NS_PER_S, ret_unix_ns))
        return false;
    return !__builtin_add_overflow(*ret_unix_ns, s[0] == '-' ? -part : part, ret_unix_ns);
}

/* "Z", "+01:00", "-0530" or nothing; seconds east of Greenwich. */
static bool zone_parse(const char *s, int64_t *ret_s)
{
    int hours, minutes, used = 0;
    char sign;

    *ret_s = 0;
    if (*s == 0 || ((*s == 'Z' || *s == 'z') && s[1] == 0))
        return true;
    if (sscanf(s, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3)
        used = sscanf(s, "%c%2d%2d%n", &sign, &hours, &minutes, &used) == 3 ? used : 0;
    if (used == 0 || s[used] != 0 || (sign != '+' && sign != '-') || hours < 0 || minutes < 0)
        return false;
    *ret_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool date_parse(const char *text, int64_t *ret_unix_ns)
{
    struct tm tm = {0}, day;
    const char *at = strptime(text, "%Y-%m-%d", &tm);
    int64_t part = 0, east, ns;

    if (at == NULL)
        return false;
    day = tm;
    if (timegm(&day) == -1 || day.tm_mday != tm.tm_mday) /* the 31st of February would be some day in March */
        return false;
    if (*at == 'T' || *at == ' ') {
        const char *time = at + 1;

        at = strptime(time, "%H:%M:%S", &tm);
        if (at == NULL)
            at = strptime(time, "%H:%M", &tm);
        if (at == NULL)
            return false;
        at = fraction(at, &part);
    }
    if (!zone_parse(at, &east) || __builtin_mul_overflow((int64_t)timegm(&tm) - east, NS_PER_S, &ns))
        return false;
    return !__builtin_add_overflow(ns, part, ret_unix_ns);
}

bool ctl_time_parse(const char *text, int64_t now_unix_ns, int64_t *ret_unix_ns)
{
    int64_t back;

    if (strcmp(text, "now") == 0) {
        *ret_unix_ns = now_unix_ns;
        return true;
    }
    if (text[0] == '-' && ctl_width_parse(text + 1, &back))
        return !__builtin_sub_overflow(now_unix_ns, back, ret_unix_ns);
    return text[0] == '@' ? seconds_parse(text + 1, ret_unix_ns) : date_parse(text, ret_unix_ns);
}

static int time_option(struct ctl *ctl, const char *name, int64_t def, int64_t *ret_unix_ns)
{
    const char *text = ctl_option(ctl, name);

    *ret_unix_ns = def;
    if (text == NULL || ctl_time_parse(text, clock_wall_unix_ns(&clock_real), ret_unix_ns))
        return CTL_OK;
    return ctl_fail(ctl, CTL_USAGE,
                    "--%s: `%s` is no time; try 2026-11-20T22:30:00Z, @1763678000, -2h or now", name, text);
}

int ctl_range(struct ctl *ctl, struct view_range *ret_range)
{
    int code = time_option(ctl, "from", INT64_MIN, &ret_range->from_ns);

    if (code == CTL_OK)
        code = time_option(ctl, "to", INT64_MAX, &ret_range->to_ns);
    if (code == CTL_OK && ret_range->from_ns > ret_range->to_ns)
        code = ctl_fail(ctl, CTL_USAGE, "--from lies after --to");
    return code;
}
