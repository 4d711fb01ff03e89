#include "archive/block_head.h"

#include "codec/block.h"

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
    WIRE_TYPE_BITS = 3,
    WIRE_TYPE_MASK = 7
};
enum {
    FIELD_FORMAT = 1,
    FIELD_SET_ID = 2,
    FIELD_ROWS = 3,
    FIELD_SAMPLES = 4,
    FIELD_ENCODING = 5,
    FIELD_TIME_FIRST = 6,
    FIELD_TIME_SPAN = 7,
    FIELD_MONO_FIRST = 8,
    FIELD_CLOCK_STATE = 9,
    FIELD_CLOCK_ERROR = 10,
    FIELD_BODY = 11,
    FIELD_COVERS = 12,
};

static inline uint64_t varint(struct reader *r)
{
    if (r->at < r->end && *r->at < 0x80)
        return *r->at++;
    return reader_varint(r);
}

static bool take_varint(struct block_head *h, uint64_t field, uint64_t v)
{
    switch (field) {
    case FIELD_FORMAT:
        h->format = (uint32_t)v;
        return true;
    case FIELD_ROWS:
        h->rows = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
        return true;
    case FIELD_SAMPLES:
        h->samples = (uint32_t)v;
        return true;
    case FIELD_ENCODING:
        h->encoding = (uint32_t)v;
        return true;
    case FIELD_TIME_FIRST:
        h->time_first_ns = unzigzag64(v);
        return true;
    case FIELD_TIME_SPAN:
        h->time_span_ns = v;
        return true;
    case FIELD_MONO_FIRST:
        h->mono_first_ns = v;
        return true;
    case FIELD_CLOCK_STATE:
        h->clock_state = (uint32_t)v;
        return true;
    case FIELD_CLOCK_ERROR:
        h->clock_error_us = (uint32_t)v;
        return true;
    case FIELD_SET_ID:
    case FIELD_BODY:
    case FIELD_COVERS:
        return false;
    default:
        return true;
    }
}

/* Fields that are neither varints nor unknown must have the type of the schema. */
static bool take_other(struct block_head *h, uint64_t field, unsigned type, struct span v)
{
    if (field == FIELD_SET_ID && type == WIRE_FIXED64) {
        h->set_id = load_le64(v.data);
        return true;
    }
    if (field == FIELD_BODY && type == WIRE_BYTES) {
        h->body = v;
        return true;
    }
    if (field == FIELD_COVERS && type == WIRE_BYTES) {
        h->has_covers = true;
        return true;
    }
    return field > FIELD_COVERS;
}

bool block_head_read(struct span payload, struct block_head *ret_h)
{
    struct reader r = reader_of(payload);
    struct block_head h = {0};

    while (reader_left(&r) > 0 && !r.bad) {
        uint64_t key = varint(&r), len;
        unsigned type = key & WIRE_TYPE_MASK;
        uint64_t field = key >> WIRE_TYPE_BITS;
        const uint8_t *at;

        if (field == 0)
            return false;
        if (type == WIRE_VARINT) {
            if (!take_varint(&h, field, varint(&r)))
                return false;
            continue;
        }
        if (type != WIRE_FIXED64 && type != WIRE_FIXED32 && type != WIRE_BYTES)
            return false;
        len = type == WIRE_FIXED64 ? 8 : type == WIRE_FIXED32 ? 4 : varint(&r);
        if (r.bad || len > reader_left(&r))
            return false;
        at = reader_take(&r, (size_t)len);
        if (!take_other(&h, field, type, span_of(at, (size_t)len)))
            return false;
    }
    if (r.bad || h.rows == 0 || h.rows > BLOCK_ROWS_MAX)
        return false;
    /* A span that leaves the range of times would make the walk of a range start in the wrong place. */
    if (h.time_span_ns > (uint64_t)INT64_MAX || h.time_first_ns > INT64_MAX - (int64_t)h.time_span_ns)
        return false;
    *ret_h = h;
    return true;
}
