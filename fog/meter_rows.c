#include "fog/meter_rows.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FORMAT = 1,
    HASH_BYTES = 16,
    HASH_DIGITS = 8,
    DAY_S = 86400,
    HEAD_BYTES = 1 + 8 * (3 + METER_CLASSES)
};

const char *const meter_class_names[METER_CLASSES] = {
    [METER_ALARMS] = "alarms", [METER_LIVE] = "live",       [METER_BACKLOG] = "backlog",
    [METER_DRILL] = "drill",   [METER_CONTROL] = "control", [METER_DOWN] = "down"};

void meter_row_name(const struct meter_row *r, char out[METER_NAME_CHARS])
{
    uint8_t hash[HASH_BYTES];

    crypto_generichash(hash, sizeof hash, (const uint8_t *)r->link, strlen(r->link), NULL, 0);
    snprintf(out, METER_NAME_CHARS, METER_PREFIX "%c/%08" PRIu32 "/%016" PRIx64,
             r->span == METER_DAY ? 'd' : 'm', r->index, load_le64(hash));
}

void meter_row_put(struct buf *b, const struct meter_row *r)
{
    buf_u8(b, FORMAT);
    buf_le64(b, r->leased);
    buf_le64(b, r->doubtful);
    buf_le64(b, r->ran_s);
    for (unsigned i = 0; i < METER_CLASSES; i++)
        buf_le64(b, r->bytes[i]);
    buf_append(b, r->link, strlen(r->link));
}

bool meter_row_get(const char *name, struct span value, struct meter_row *ret_r)
{
    const uint8_t *v = value.data;
    char span, *end;

    *ret_r = (struct meter_row){.index = 0};
    if (strncmp(name, METER_PREFIX, strlen(METER_PREFIX)) != 0 || value.len < HEAD_BYTES || v[0] != FORMAT ||
        value.len - HEAD_BYTES >= METER_LINK_CHARS)
        return false;
    name += strlen(METER_PREFIX);
    span = name[0];
    if ((span != 'd' && span != 'm') || name[1] != '/')
        return false;
    ret_r->span = span == 'd' ? METER_DAY : METER_MONTH;
    ret_r->index = (uint32_t)strtoul(name + 2, &end, 10);
    if (*end != '/')
        return false;
    ret_r->leased = load_le64(v + 1);
    ret_r->doubtful = load_le64(v + 9);
    ret_r->ran_s = load_le64(v + 17);
    for (unsigned i = 0; i < METER_CLASSES; i++)
        ret_r->bytes[i] = load_le64(v + 25 + 8 * i);
    memcpy(ret_r->link, v + HEAD_BYTES, value.len - HEAD_BYTES);
    return true;
}

uint64_t meter_row_sum(const struct meter_row *r)
{
    uint64_t sum = r->doubtful;

    for (unsigned i = 0; i < METER_CLASSES; i++)
        sum += r->bytes[i];
    return sum;
}

uint32_t meter_index(enum meter_span span, int64_t unix_s, unsigned month_begins)
{
    time_t t = unix_s < 0 ? 0 : unix_s;
    struct tm tm;

    if (span == METER_DAY)
        return (uint32_t)(t / DAY_S);
    gmtime_r(&t, &tm);
    return (uint32_t)((tm.tm_year + 1900) * 12 + tm.tm_mon - (tm.tm_mday < (int)month_begins));
}

int64_t meter_begin_s(enum meter_span span, uint32_t index, unsigned month_begins)
{
    struct tm tm = {.tm_year = (int)(index / 12) - 1900,
                    .tm_mon = (int)(index % 12),
                    .tm_mday = month_begins > 0 ? (int)month_begins : 1};

    return span == METER_DAY ? (int64_t)index * DAY_S : (int64_t)timegm(&tm);
}
