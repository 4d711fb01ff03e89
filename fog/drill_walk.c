/* What the history has of a device and a time range, record by record: for each set its descriptor, then its
 * blocks in the order of time. */
#include "fog/drill_private.h"

#include "archive/block_head.h"
#include "base/cleanup.h"

enum { LOOKS_MAX = 4096 };

static int device_no(struct db_txn *txn, const char *name, uint32_t *ret_no)
{
    struct device_row row;
    struct row_key key;
    struct span value;
    int rc;

    device_key_put(&key, name);
    rc = db_get(txn, ARCHIVE_TABLE_DEVICES, row_key_span(&key), &value);
    if (rc == 0 && !device_get(row_key_span(&key), value, &row))
        rc = DB_DAMAGED;
    if (rc == 0)
        *ret_no = row.no;
    return rc;
}

int drill_epoch(struct db_txn *txn, uint32_t stream, struct id128 *ret_epoch)
{
    struct totals_row row;
    struct row_key key;
    struct span value;
    int rc;

    totals_key_put(&key, stream);
    rc = db_get(txn, ARCHIVE_TABLE_TOTALS, row_key_span(&key), &value);
    if (rc < 0)
        return rc;
    if (rc != 0 || !totals_get(row_key_span(&key), value, &row))
        return DB_NOT_FOUND;
    *ret_epoch = row.epoch;
    return 0;
}

/* The set at or after the place. A damaged one has no number to be found by, and is passed over. */
static int find_set(struct db_txn *txn, uint32_t device, uint64_t id, struct set_row *ret_s)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct row_key from;
    struct span key, value;
    int rc = db_cursor_new(txn, ARCHIVE_TABLE_SETS, &c);

    set_key_put(&from, device, id);
    if (rc == 0)
        rc = db_cursor_seek(c, row_key_span(&from), &key, &value);
    while (rc == 0 || rc == DB_DAMAGED) {
        if (key.len != ROWS_SET_KEY_BYTES || load_be32(key.data) != device)
            return DRILL_END;
        if (rc == 0 && set_get(key, value, ret_s))
            return 0;
        rc = db_cursor_next(c, &key, &value);
    }
    return rc == DB_NOT_FOUND ? DRILL_END : rc;
}

static int take(struct drill *d, struct span value, struct drill_found *f)
{
    if (!record_get(value, &f->record))
        return DB_DAMAGED;
    buf_reset(&d->payload);
    buf_append(&d->payload, f->record.payload.data, f->record.payload.len);
    f->record.payload = span_of(d->payload.data, d->payload.len);
    return d->payload.error;
}

/* Any of those with these bytes: each epoch has given one. */
static int find_descriptor(struct drill *d, struct db_txn *txn, uint32_t device, uint64_t id,
                           struct drill_found *f)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct other_key k = {device, FOGLINE__V1__KIND__KIND_DESCRIPTOR, 0, 0};
    struct spool_record record;
    struct row_key from;
    struct span key, value;
    int rc = db_cursor_new(txn, ARCHIVE_TABLE_OTHERS, &c);

    other_key_put(&from, &k);
    if (rc == 0)
        rc = db_cursor_seek(c, row_key_span(&from), &key, &value);
    for (; rc == 0 || rc == DB_DAMAGED; rc = db_cursor_next(c, &key, &value)) {
        if (!other_key_get(key, &k) || k.device != device || k.kind != FOGLINE__V1__KIND__KIND_DESCRIPTOR)
            return DB_NOT_FOUND;
        if (rc != 0 || !record_get(value, &record) || wire_descriptor_set_id(record.payload) != id)
            continue;
        f->stream = k.stream;
        f->seq = k.seq;
        f->first_ns = INT64_MAX;
        return take(d, value, f);
    }
    return rc;
}

static int64_t begin_ns(const struct drill_order *o, const struct set_row *set)
{
    int64_t from;

    return set->span_max_ns > INT64_MAX ||
                   __builtin_sub_overflow(o->from_ns, (int64_t)set->span_max_ns, &from)
               ? INT64_MIN
               : from;
}

/* The next block of the set with rows that may be in the range. */
static int find_block(struct drill *d, struct db_txn *txn, struct drill_request *r, const struct set_row *set,
                      struct drill_found *f)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct sample_key k = {set->device, set->no, begin_ns(&r->order, set), 0, 0, 0};
    struct block_head head;
    struct row_key from;
    struct span key, value;
    int rc = db_cursor_new(txn, ARCHIVE_TABLE_SAMPLES, &c);

    if (r->place.has_block)
        k = r->place.block;
    sample_key_put(&from, &k);
    if (rc == 0)
        rc = db_cursor_seek(c, row_key_span(&from), &key, &value);
    if (r->place.has_block && (rc == 0 || rc == DB_DAMAGED) && span_equal(key, row_key_span(&from)))
        rc = db_cursor_next(c, &key, &value);
    for (unsigned looks = 0; rc == 0 || rc == DB_DAMAGED; rc = db_cursor_next(c, &key, &value)) {
        if (!sample_key_get(key, &k) || k.device != set->device || k.set != set->no ||
            k.time_first_ns >= r->order.to_ns)
            return DRILL_END;
        if (++looks > LOOKS_MAX)
            return DRILL_LATER;
        r->place.block = k;
        r->place.has_block = true;
        if (rc != 0)
            continue;
        rc = take(d, value, f);
        if (rc < 0)
            return rc;
        if (rc != 0 || !block_head_read(f->record.payload, &head) ||
            head.time_first_ns + (int64_t)head.time_span_ns < r->order.from_ns)
            continue;
        f->stream = k.stream;
        f->seq = k.seq;
        f->first_ns = k.time_first_ns;
        return 0;
    }
    return rc == DB_NOT_FOUND ? DRILL_END : rc;
}

/* The descriptor goes before the first block, once it is known that there is one. */
static int walk_set(struct drill *d, struct db_txn *txn, struct drill_request *r, const struct set_row *set,
                    struct drill_found *f)
{
    struct drill_place before = r->place;
    int rc = find_block(d, txn, r, set, f);

    if (rc != 0 || r->place.has_descriptor)
        return rc;
    r->place.has_descriptor = before.has_descriptor = true;
    rc = find_descriptor(d, txn, set->device, set->id, f);
    if (rc == 0)
        r->place = before; /* the block is found again */
    if (rc <= 0)
        return rc;
    r->place = before;
    return find_block(d, txn, r, set, f);
}

int drill_walk(struct drill *d, struct db_txn *txn, struct drill_request *r, struct drill_found *ret_f)
{
    struct set_row set;
    uint32_t device;
    int rc = device_no(txn, r->order.device, &device);

    if (rc != 0)
        return rc < 0 ? rc : DRILL_END;
    for (;;) {
        rc = find_set(txn, device, r->place.set_id, &set);
        if (rc != 0)
            return rc;
        if (set.id != r->place.set_id)
            r->place = (struct drill_place){.set_id = set.id};
        rc = walk_set(d, txn, r, &set, ret_f);
        if (rc != DRILL_END)
            return rc;
        if (set.id == UINT64_MAX)
            return DRILL_END;
        r->place = (struct drill_place){.set_id = set.id + 1};
    }
}
