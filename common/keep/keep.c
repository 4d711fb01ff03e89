#include "keep/keep.h"

#include <math.h>
#include <string.h>

static bool is_number(enum column_type type)
{
    return type == COLUMN_DOUBLE || type == COLUMN_INT64;
}

bool keep_does_anything(const struct keep_rule *r)
{
    return r->min_interval_ns > 0 || r->policy == KEEP_CHANGE || r->policy == KEEP_LOCAL ||
           (r->policy == KEEP_AGGREGATE && is_number(r->type));
}

static double limit_of(const struct keep_rule *r, double last)
{
    return r->deadband_percent > 0 ? fabs(last) * (r->deadband_percent / 100) : r->deadband;
}

static bool double_changed(const struct keep_rule *r, const struct keep_channel *c, double value)
{
    if (memcmp(&value, &c->f64, sizeof value) == 0)
        return false;
    if (!isfinite(value) || !isfinite(c->f64))
        return true;
    return !(fabs(value - c->f64) <= limit_of(r, c->f64));
}

/* Exact, where the difference of two doubles would not be. */
static bool int64_changed(const struct keep_rule *r, const struct keep_channel *c, int64_t value)
{
    uint64_t apart = value > c->i64 ? (uint64_t)value - (uint64_t)c->i64 : (uint64_t)c->i64 - (uint64_t)value;
    double limit = limit_of(r, (double)c->i64);

    return limit < 18446744073709551616.0 && apart > (uint64_t)limit;
}

static bool changed(const struct keep_rule *r, const struct keep_channel *c, const struct cell *cell)
{
    switch (r->type) {
    case COLUMN_DOUBLE:
        return double_changed(r, c, cell->f64);
    case COLUMN_INT64:
        return int64_changed(r, c, cell->i64);
    case COLUMN_BOOL:
        return cell->i64 != c->i64;
    case COLUMN_TEXT:
        break;
    }
    return c->text == NULL || cell->text.len != c->text_bytes ||
           (c->text_bytes > 0 && memcmp(cell->text.data, c->text, c->text_bytes) != 0);
}

/* Since the last one sent. No sample before the newest sent gets here. */
static uint64_t silence_ns(const struct keep_channel *c, int64_t time_ns)
{
    return (uint64_t)time_ns - (uint64_t)c->sent_ns;
}

enum keep_verdict keep_judge(const struct keep_rule *r, const struct keep_channel *c, int64_t time_ns,
                             const struct cell *cell)
{
    if (r->policy == KEEP_LOCAL)
        return KEEP_STAYS;
    if (r->policy == KEEP_AGGREGATE && is_number(r->type))
        return KEEP_AGGREGATED;
    if (!c->has_sent || c->was_absent || c->after_late || cell->quality != c->quality ||
        time_ns < c->newest_ns)
        return KEEP_SEND;
    if (r->min_interval_ns > 0 && silence_ns(c, time_ns) < (uint64_t)r->min_interval_ns)
        return KEEP_TOO_SOON;
    if (r->policy != KEEP_CHANGE ||
        (r->max_silence_ns > 0 && silence_ns(c, time_ns) >= (uint64_t)r->max_silence_ns))
        return KEEP_SEND;
    return changed(r, c, cell) ? KEEP_SEND : KEEP_NO_CHANGE;
}

static void remember(const struct keep_rule *r, struct keep_channel *c, const struct cell *cell)
{
    c->quality = cell->quality;
    if (r->type != COLUMN_TEXT) {
        c->i64 = cell->i64;
        return;
    }
    /* The feed cuts what is longer. */
    c->text_bytes = (uint8_t)(cell->text.len < KEEP_TEXT_BYTES ? cell->text.len : KEEP_TEXT_BYTES);
    if (c->text != NULL && c->text_bytes > 0)
        memcpy(c->text, cell->text.data, c->text_bytes);
}

void keep_took(const struct keep_rule *r, struct keep_channel *c, int64_t time_ns, const struct cell *cell,
               bool sent)
{
    c->was_absent = false;
    if (!sent)
        return;
    c->after_late = c->has_sent && time_ns < c->newest_ns &&
                    (uint64_t)c->newest_ns - (uint64_t)time_ns <= (uint64_t)KEEP_LATE_NS;
    if (!c->after_late)
        c->newest_ns = time_ns;
    c->sent_ns = time_ns;
    c->has_sent = true;
    remember(r, c, cell);
}

void keep_was_absent(const struct keep_rule *r, struct keep_channel *c)
{
    if (!r->rows_are_partial)
        c->was_absent = true;
}
