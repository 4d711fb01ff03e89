#include "cloud/rows.h"

#include <stdio.h>

static void key_be32(struct row_key *k, uint32_t v)
{
    store_be32(k->bytes + k->len, v);
    k->len += 4;
}

static void key_be64(struct row_key *k, uint64_t v)
{
    store_be64(k->bytes + k->len, v);
    k->len += 8;
}

static void key_u8(struct row_key *k, unsigned v)
{
    k->bytes[k->len++] = (uint8_t)v;
}

static void key_text(struct row_key *k, const char *text)
{
    size_t n = strnlen(text, SPOOL_NAME_BYTES - 1);

    memcpy(k->bytes + k->len, text, n);
    k->len += n;
}

/* Copies a name of len bytes; false when it does not fit or holds a NUL. */
static bool name_get(char out[SPOOL_NAME_BYTES], const uint8_t *at, size_t len)
{
    if (at == NULL || len >= SPOOL_NAME_BYTES || memchr(at, 0, len) != NULL)
        return false;
    memcpy(out, at, len);
    out[len] = 0;
    return true;
}

static void name_put(struct buf *b, const char *name)
{
    size_t n = strnlen(name, SPOOL_NAME_BYTES - 1);

    buf_u8(b, (uint8_t)n);
    buf_append(b, name, n);
}

static bool name_read(struct reader *r, char out[SPOOL_NAME_BYTES])
{
    size_t n = reader_u8(r);

    return name_get(out, reader_take(r, n), n);
}

/* Flips the sign bit, so that byte order is the order of signed times. */
static uint64_t time_to_key(int64_t t)
{
    return (uint64_t)t ^ (UINT64_C(1) << 63);
}

void sample_key_put(struct row_key *k, const struct sample_key *s)
{
    uint8_t *p = k->bytes;

    store_be32(p, s->device);
    store_be32(p + 4, s->set);
    store_be64(p + 8, time_to_key(s->time_first_ns));
    store_be32(p + 16, s->stream);
    store_be64(p + 20, s->seq);
    store_be32(p + 28, s->row);
    k->len = ROWS_SAMPLE_KEY_BYTES;
}

bool sample_key_get(struct span key, struct sample_key *ret_s)
{
    const uint8_t *p = key.data;

    if (key.len != ROWS_SAMPLE_KEY_BYTES)
        return false;
    ret_s->device = load_be32(p);
    ret_s->set = load_be32(p + 4);
    ret_s->time_first_ns = (int64_t)(load_be64(p + 8) ^ (UINT64_C(1) << 63));
    ret_s->stream = load_be32(p + 16);
    ret_s->seq = load_be64(p + 20);
    ret_s->row = load_be32(p + 28);
    return true;
}

void other_key_put(struct row_key *k, const struct other_key *o)
{
    k->len = 0;
    key_be32(k, o->device);
    key_be32(k, o->kind);
    key_be32(k, o->stream);
    key_be64(k, o->seq);
}

bool other_key_get(struct span key, struct other_key *ret_o)
{
    if (key.len != ROWS_OTHER_KEY_BYTES)
        return false;
    ret_o->device = load_be32(key.data);
    ret_o->kind = load_be32(key.data + 4);
    ret_o->stream = load_be32(key.data + 8);
    ret_o->seq = load_be64(key.data + 12);
    return true;
}

void record_head_put(uint8_t head[ROWS_RECORD_HEAD_BYTES], const struct record *r)
{
    const uint32_t words[3] = {r->kind, r->flags, r->samples};

    head[0] = ROWS_FORMAT;
    memcpy(head + 1, words, sizeof words);
    memcpy(head + 13, r->tag, SPOOL_TAG_BYTES);
}

bool record_get(struct span value, struct spool_record *ret_r)
{
    const uint8_t *p = value.data;

    if (value.len < ROWS_RECORD_HEAD_BYTES || p[0] != ROWS_FORMAT)
        return false;
    ret_r->kind = load_le32(p + 1);
    ret_r->flags = load_le32(p + 5);
    ret_r->samples = load_le32(p + 9);
    memcpy(ret_r->tag, p + 13, SPOOL_TAG_BYTES);
    ret_r->payload = span_of(p + ROWS_RECORD_HEAD_BYTES, value.len - ROWS_RECORD_HEAD_BYTES);
    return true;
}

void device_key_put(struct row_key *k, const char *name)
{
    k->len = 0;
    key_text(k, name);
}

void device_value_put(struct buf *b, const struct device_row *d)
{
    buf_u8(b, ROWS_FORMAT);
    buf_le32(b, d->no);
    name_put(b, d->site);
}

bool device_get(struct span key, struct span value, struct device_row *ret_d)
{
    struct reader r = reader_of(value);

    if (reader_u8(&r) != ROWS_FORMAT || key.len == 0 || !name_get(ret_d->name, key.data, key.len))
        return false;
    ret_d->no = reader_le32(&r);
    return name_read(&r, ret_d->site) && !r.bad;
}

void set_key_put(struct row_key *k, uint32_t device, uint64_t id)
{
    k->len = 0;
    key_be32(k, device);
    key_be64(k, id);
}

void set_head_put(uint8_t head[ROWS_SET_HEAD_BYTES], uint32_t no, uint64_t span_max_ns)
{
    head[0] = ROWS_FORMAT;
    memcpy(head + 1, &no, 4);
    memcpy(head + 5, &span_max_ns, 8);
}

bool set_get(struct span key, struct span value, struct set_row *ret_s)
{
    if (key.len != ROWS_SET_KEY_BYTES || value.len < ROWS_SET_HEAD_BYTES || value.data[0] != ROWS_FORMAT)
        return false;
    ret_s->device = load_be32(key.data);
    ret_s->id = load_be64(key.data + 4);
    ret_s->no = load_le32(value.data + 1);
    ret_s->span_max_ns = load_le64(value.data + 5);
    ret_s->descriptor = span_of(value.data + ROWS_SET_HEAD_BYTES, value.len - ROWS_SET_HEAD_BYTES);
    return true;
}

void totals_key_put(struct row_key *k, uint32_t stream)
{
    prefix_put(k, stream);
}

void totals_value_put(struct buf *b, const struct totals_row *t)
{
    buf_u8(b, ROWS_FORMAT);
    buf_le32(b, t->device);
    buf_append(b, t->epoch.bytes, ID128_BYTES);
    for (unsigned l = 0; l < SPOOL_LANES; l++) {
        buf_le64(b, t->lane[l].records);
        buf_le64(b, t->lane[l].samples);
    }
}

bool totals_get(struct span key, struct span value, struct totals_row *ret_t)
{
    struct reader r = reader_of(value);
    const uint8_t *epoch;

    if (key.len != 4 || reader_u8(&r) != ROWS_FORMAT)
        return false;
    ret_t->stream = load_be32(key.data);
    ret_t->device = reader_le32(&r);
    epoch = reader_take(&r, ID128_BYTES);
    if (epoch == NULL)
        return false;
    memcpy(ret_t->epoch.bytes, epoch, ID128_BYTES);
    for (unsigned l = 0; l < SPOOL_LANES; l++) {
        ret_t->lane[l].records = reader_le64(&r);
        ret_t->lane[l].samples = reader_le64(&r);
    }
    return !r.bad;
}

void cover_key_put(struct row_key *k, const struct cover_row *c)
{
    k->len = 0;
    key_be32(k, c->stream);
    key_u8(k, c->lane);
    key_be32(k, c->carrier);
    key_be64(k, c->carrier_seq);
    key_u8(k, c->index >> 8);
    key_u8(k, c->index & 0xff);
}

void cover_value_put(struct buf *b, const struct cover_row *c)
{
    buf_u8(b, ROWS_FORMAT);
    buf_u8(b, c->reason);
    buf_u8(b, c->allowed);
    buf_le64(b, c->samples);
    buf_append(b, c->store.bytes, ID128_BYTES);
    buf_le32(b, c->n_needs);
    buf_append(b, c->needs, 8 * (size_t)c->n_needs);
    buf_le32(b, c->n_bounds);
    buf_append(b, c->bounds, 8 * (size_t)c->n_bounds);
}

bool cover_get(struct span key, struct span value, struct cover_row *ret_c)
{
    struct reader r = reader_of(value);
    const uint8_t *k = key.data, *store;

    if (key.len != ROWS_COVER_KEY_BYTES || reader_u8(&r) != ROWS_FORMAT)
        return false;
    ret_c->stream = load_be32(k);
    ret_c->lane = k[4];
    ret_c->carrier = load_be32(k + 5);
    ret_c->carrier_seq = load_be64(k + 9);
    ret_c->index = (uint16_t)(k[17] << 8 | k[18]);
    ret_c->reason = reader_u8(&r);
    ret_c->allowed = reader_u8(&r) != 0;
    ret_c->samples = reader_le64(&r);
    store = reader_take(&r, ID128_BYTES);
    if (store != NULL)
        memcpy(ret_c->store.bytes, store, ID128_BYTES);
    ret_c->n_needs = reader_le32(&r);
    ret_c->needs = reader_take(&r, 8 * (size_t)ret_c->n_needs);
    ret_c->n_bounds = reader_le32(&r);
    ret_c->bounds = reader_take(&r, 8 * (size_t)ret_c->n_bounds);
    return !r.bad && ret_c->lane < SPOOL_LANES && ret_c->n_bounds % 2 == 0;
}

void report_key_put(struct row_key *k, uint32_t stream, unsigned lane, const char *relay)
{
    k->len = 0;
    key_be32(k, stream);
    key_u8(k, lane);
    /* Keys of a table hold 64 bytes in all: a long relay name is cut, and stands whole in the value. */
    key_text(k, relay);
    if (k->len > DB_KEY_MAX_BYTES)
        k->len = DB_KEY_MAX_BYTES;
}

enum { REPORT_UNLISTED = 1, REPORT_HELD_CUT = 2, REPORT_LIFE = 4 };

void report_value_put(struct buf *b, const struct report_row *r)
{
    buf_u8(b, ROWS_FORMAT);
    buf_u8(b, (uint8_t)((r->unlisted ? REPORT_UNLISTED : 0) | (r->held_cut ? REPORT_HELD_CUT : 0) |
                        (r->life != 0 ? REPORT_LIFE : 0)));
    buf_le64(b, r->next);
    buf_le64(b, r->lowest_held);
    buf_le64(b, r->held_count);
    buf_le64(b, r->samples_produced);
    buf_le64(b, r->samples_held);
    buf_le64(b, (uint64_t)r->wall_unix_ns);
    name_put(b, r->relay);
    name_put(b, r->by);
    buf_le32(b, r->n_bounds);
    for (uint32_t i = 0; i < r->n_bounds; i++)
        buf_le64(b, r->bounds[i]);
    if (r->life != 0) {
        buf_le64(b, r->life);
        buf_le64(b, r->lost_below);
        buf_le64(b, (uint64_t)r->lost_until_unix_ns);
    }
}

bool report_get(struct span key, struct span value, struct report_row *ret_r)
{
    struct reader r = reader_of(value);
    uint8_t flags;

    if (key.len < 5 || reader_u8(&r) != ROWS_FORMAT)
        return false;
    ret_r->stream = load_be32(key.data);
    ret_r->lane = key.data[4];
    flags = reader_u8(&r);
    ret_r->unlisted = (flags & REPORT_UNLISTED) != 0;
    ret_r->held_cut = (flags & REPORT_HELD_CUT) != 0;
    ret_r->next = reader_le64(&r);
    ret_r->lowest_held = reader_le64(&r);
    ret_r->held_count = reader_le64(&r);
    ret_r->samples_produced = reader_le64(&r);
    ret_r->samples_held = reader_le64(&r);
    ret_r->wall_unix_ns = (int64_t)reader_le64(&r);
    if (!name_read(&r, ret_r->relay) || !name_read(&r, ret_r->by))
        return false;
    ret_r->n_bounds = reader_le32(&r);
    if (r.bad || ret_r->lane >= SPOOL_LANES || ret_r->n_bounds > 2 * WIRE_INTERVALS_MAX ||
        ret_r->n_bounds % 2 != 0)
        return false;
    for (uint32_t i = 0; i < ret_r->n_bounds; i++)
        ret_r->bounds[i] = reader_le64(&r);
    ret_r->life = (flags & REPORT_LIFE) != 0 ? reader_le64(&r) : 0;
    ret_r->lost_below = ret_r->life != 0 ? reader_le64(&r) : 0;
    ret_r->lost_until_unix_ns = ret_r->life != 0 ? (int64_t)reader_le64(&r) : 0;
    return !r.bad;
}

void seen_key_put(struct row_key *k, uint32_t stream, unsigned lane, uint64_t first)
{
    k->len = 0;
    key_be32(k, stream);
    key_u8(k, lane);
    key_be64(k, first);
}

bool seen_get(struct span key, struct span value, uint32_t *ret_stream, unsigned *ret_lane,
              struct interval *ret_i)
{
    if (key.len != ROWS_SEEN_KEY_BYTES || value.len != 8 || key.data[4] >= SPOOL_LANES)
        return false;
    *ret_stream = load_be32(key.data);
    *ret_lane = key.data[4];
    *ret_i = (struct interval){load_be64(key.data + 5), load_le64(value.data)};
    return ret_i->from >= 1 && ret_i->from <= ret_i->to && ret_i->to < UINT64_MAX;
}

void prefix_put(struct row_key *k, uint32_t a)
{
    k->len = 0;
    key_be32(k, a);
}
