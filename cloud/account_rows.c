#include "cloud/account_rows.h"

#include "archive/rows_bytes.h"

const char *const cloud_table_names[CLOUD_TABLES] = {CLOUD_TABLE_NAMES};

struct archive_options cloud_archive_options(const struct spool_options *spool)
{
    struct archive_options o = {.spool = *spool, .keeps_all = true};

    o.spool.db.tables = cloud_table_names;
    o.spool.db.n_tables = CLOUD_TABLES;
    o.spool.db.role = "cloud";
    return o;
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
