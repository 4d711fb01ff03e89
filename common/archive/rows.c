#include "archive/rows_bytes.h"

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

void prefix_put(struct row_key *k, uint32_t a)
{
    k->len = 0;
    key_be32(k, a);
}
