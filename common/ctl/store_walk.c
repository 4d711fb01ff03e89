#include "ctl/store_walk.h"

#include "base/cleanup.h"
#include "base/name.h"

#include <errno.h>

enum {
    SLICE_RECORDS = 256,
    SLICE_BYTES = 1024 * 1024,
    SLICE_ROWS = 4096,
    RECORD_HEAD = 13 + SPOOL_TAG_BYTES
};

void walk_streams_deinit(struct walk_streams *s)
{
    free(s->at);
    *s = (struct walk_streams){0};
}

/* Format in common/spool/README.md: format, own, length of origin, origin, epoch, then five le64 for each
 * lane. */
static bool stream_of(struct span key, struct span value, struct walk_stream *ret_s)
{
    struct walk_stream s = {0};
    struct reader r = reader_of(value);
    uint8_t format = reader_u8(&r), own = reader_u8(&r), len = reader_u8(&r);
    const uint8_t *p;

    if (format != 1 || key.len != 4 || len == 0 || len >= SPOOL_NAME_BYTES)
        return false;
    p = reader_take(&r, len);
    if (p != NULL)
        memcpy(s.origin, p, len);
    p = reader_take(&r, ID128_BYTES);
    if (p != NULL)
        memcpy(s.epoch.bytes, p, ID128_BYTES);
    s.no = load_be32(key.data);
    s.own = own != 0;
    for (unsigned i = 0; i < SPOOL_LANES; i++) {
        s.lane[i].next = reader_le64(&r);
        s.lane[i].held_records = reader_le64(&r);
        s.lane[i].held_bytes = reader_le64(&r);
        s.lane[i].held_samples = reader_le64(&r);
        s.lane[i].produced_samples = reader_le64(&r);
    }
    if (r.bad)
        return false;
    *ret_s = s;
    return true;
}

static int streams_append(struct walk_streams *s, const struct walk_stream *one)
{
    if ((s->n & (s->n + 1)) == 0 || s->at == NULL) {
        struct walk_stream *at = realloc(s->at, (2 * s->n + 2) * sizeof(*at));
        if (at == NULL)
            return -ENOMEM;
        s->at = at;
    }
    s->at[s->n++] = *one;
    return 0;
}

int walk_streams_read(struct db *db, struct walk_streams *s)
{
    struct db_txn *txn;
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    struct walk_stream one;
    int r = db_begin(db, false, &txn), rc;

    walk_streams_deinit(s);
    if (r < 0)
        return r;
    r = db_cursor_new(txn, SPOOL_TABLE_STREAMS, &c);
    for (rc = r < 0 ? r : db_cursor_seek(c, span_of("", 0), &key, &value); r == 0 && rc != DB_NOT_FOUND;
         rc = db_cursor_next(c, &key, &value)) {
        if (rc < 0)
            r = rc;
        else if (rc == DB_DAMAGED || !stream_of(key, value, &one))
            s->n_damaged++;
        else
            r = streams_append(s, &one);
    }
    c = db_cursor_free(c);
    db_abort(txn);
    return r;
}

bool walk_filter_stream(const struct walk_filter *f, const struct walk_stream *s)
{
    char hex[ID128_HEX_CHARS + 1], pattern[2 * NAME_PART_CHARS + 16];

    id128_hex(&s->epoch, hex);
    if (f->epoch != NULL && strncmp(hex, f->epoch, strlen(f->epoch)) != 0)
        return false;
    if (f->origin == NULL)
        return true;
    snprintf(pattern, sizeof(pattern), "*/%s/**", f->origin);
    return pattern_match(pattern, "x", s->origin, "x", NULL);
}

/* One slice of copies: entries in `at`, their payloads one after the other in `bytes`. */
struct slice {
    struct walk_record at[SLICE_RECORDS];
    size_t offset[SLICE_RECORDS];
    unsigned n;
    struct buf bytes;
    uint64_t next_count;
    bool end;
};

static bool record_of(struct span value, struct record *r)
{
    struct reader in = reader_of(value);
    uint8_t format = reader_u8(&in);

    r->kind = reader_le32(&in);
    r->flags = reader_le32(&in);
    r->samples = reader_le32(&in);
    const uint8_t *tag = reader_take(&in, SPOOL_TAG_BYTES);
    if (format != 1 || tag == NULL)
        return false;
    memcpy(r->tag, tag, SPOOL_TAG_BYTES);
    r->payload = span_of(in.at, reader_left(&in));
    return true;
}

static void slice_take(struct slice *sl, const struct walk_stream *s, struct span key, struct span value,
                       bool damaged, uint32_t kind)
{
    struct walk_record *r = &sl->at[sl->n];

    *r = (struct walk_record){.damaged = damaged};
    r->record.origin = s->origin;
    r->record.epoch = s->epoch;
    r->record.seq = load_be64(key.data + 4);
    sl->next_count = seq_count(r->record.seq) + 1;
    if (!damaged && !record_of(value, &r->record))
        r->damaged = true;
    if (kind != 0 && r->record.kind != kind)
        return;
    sl->offset[sl->n] = sl->bytes.len;
    buf_append(&sl->bytes, r->record.payload.data, r->record.payload.len);
    sl->n++;
}

static int slice_read(struct slice *sl, struct db *db, const struct walk_stream *s, unsigned lane,
                      uint64_t from, uint32_t kind)
{
    struct db_txn *txn;
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    uint8_t start[12];
    struct span key, value;
    unsigned rows = 0;
    int r = db_begin(db, false, &txn), rc;

    if (r < 0)
        return r;
    store_be32(start, s->no);
    store_be64(start + 4, seq_make(lane, from));
    sl->n = 0;
    sl->end = true;
    buf_reset(&sl->bytes);
    r = db_cursor_new(txn, SPOOL_TABLE_RECORDS, &c);
    rc = r < 0 ? r : db_cursor_seek(c, span_of(start, sizeof(start)), &key, &value);
    while (rc == 0 || rc == DB_DAMAGED) {
        if (key.len != sizeof(start) || load_be32(key.data) != s->no ||
            seq_lane(load_be64(key.data + 4)) != lane)
            break;
        if (sl->n == SLICE_RECORDS || sl->bytes.len >= SLICE_BYTES || ++rows == SLICE_ROWS) {
            sl->end = false;
            break;
        }
        slice_take(sl, s, key, value, rc == DB_DAMAGED, kind);
        rc = db_cursor_next(c, &key, &value);
    }
    c = db_cursor_free(c);
    db_abort(txn);
    return rc < 0 ? rc : sl->bytes.error;
}

int walk_records(struct db *db, const struct walk_stream *s, unsigned lane, uint64_t from_count,
                 uint32_t kind, walk_fn fn, void *ctx)
{
    owned(free_ptr) struct slice *sl = calloc(1, sizeof(*sl));
    int r = 0;

    if (sl == NULL)
        return -ENOMEM;
    sl->next_count = from_count;
    do {
        r = slice_read(sl, db, s, lane, sl->next_count, kind);
        for (unsigned i = 0; r == 0 && i < sl->n; i++) {
            struct walk_record *rec = &sl->at[i];
            rec->record.payload.data = sl->bytes.data == NULL ? NULL : sl->bytes.data + sl->offset[i];
            r = fn(ctx, s, rec);
        }
    } while (r == 0 && !sl->end);
    buf_deinit(&sl->bytes);
    return r;
}

int walk_last(struct db *db, const struct walk_stream *s, unsigned lane, uint64_t *ret_count)
{
    struct db_txn *txn;
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    uint8_t after[12];
    struct span key = {0};
    int r = db_begin(db, false, &txn);

    if (r < 0)
        return r;
    *ret_count = 0;
    store_be32(after, s->no);
    store_be64(after + 4, seq_make(lane + 1, 0));
    r = db_cursor_new(txn, SPOOL_TABLE_RECORDS, &c);
    if (r == 0)
        r = db_cursor_seek(c, span_of(after, sizeof(after)), &key, NULL);
    if (r == 0)
        r = db_cursor_prev(c, &key, NULL);
    else if (r == DB_NOT_FOUND)
        r = db_cursor_last(c, &key, NULL);
    if (r == 0 && key.len == sizeof(after) && load_be32(key.data) == s->no &&
        seq_lane(load_be64(key.data + 4)) == lane)
        *ret_count = seq_count(load_be64(key.data + 4));
    c = db_cursor_free(c);
    db_abort(txn);
    return r < 0 ? r : 0;
}

struct walk_descriptor {
    char origin[SPOOL_NAME_BYTES];
    uint64_t id;
    struct buf packed;
};

void walk_descriptors_deinit(struct walk_descriptors *d)
{
    for (size_t i = 0; i < d->n; i++)
        buf_deinit(&d->at[i].packed);
    free(d->at);
    *d = (struct walk_descriptors){0};
}

static struct walk_descriptor *descriptor_known(const struct walk_descriptors *d, const char *origin,
                                                uint64_t id)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->at[i].id == id && strcmp(d->at[i].origin, origin) == 0)
            return &d->at[i];
    return NULL;
}

int walk_descriptors_add(struct walk_descriptors *d, const struct record *r)
{
    struct walk_descriptor one = {.id = wire_descriptor_set_id(r->payload)};

    if (descriptor_known(d, r->origin, one.id) != NULL)
        return 0;
    snprintf(one.origin, sizeof(one.origin), "%s", r->origin);
    buf_append(&one.packed, r->payload.data, r->payload.len);
    struct walk_descriptor *at = realloc(d->at, (d->n + 1) * sizeof(*at));
    if (at != NULL)
        d->at = at;
    if (at == NULL || one.packed.error < 0) {
        buf_deinit(&one.packed);
        return -ENOMEM;
    }
    d->at[d->n++] = one;
    return 0;
}

static int add_descriptor(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    (void)s;
    return r->damaged ? 0 : walk_descriptors_add(ctx, &r->record);
}

static const struct walk_descriptor *descriptor_elsewhere(struct walk_descriptors *d, const char *origin,
                                                          uint64_t set_id)
{
    owned(buf_deinit) struct buf packed = {0};
    struct record r = {.origin = origin};

    if (d->find_set(d->db, origin, set_id, &packed) != 0 || packed.error != 0)
        return NULL;
    r.payload = span_of(packed.data, packed.len);
    return walk_descriptors_add(d, &r) == 0 ? descriptor_known(d, origin, set_id) : NULL;
}

bool walk_descriptors_find(void *ctx, const struct record *r, uint64_t set_id, struct span *ret_packed)
{
    struct walk_descriptors *d = ctx;
    const struct walk_descriptor *one = descriptor_known(d, r->origin, set_id);

    /* Once is enough: later ones are added as they are met. */
    for (size_t i = 0; one == NULL && !d->read_all && i < d->streams->n; i++)
        for (unsigned lane = 0; lane < SPOOL_LANES; lane++)
            if (walk_records(d->db, &d->streams->at[i], lane, 0, FOGLINE__V1__KIND__KIND_DESCRIPTOR,
                             add_descriptor, d) < 0)
                return false;
    if (one == NULL && !d->read_all)
        one = descriptor_known(d, r->origin, set_id);
    d->read_all = true;
    if (one == NULL && d->find_set != NULL)
        one = descriptor_elsewhere(d, r->origin, set_id);
    if (one == NULL)
        return false;
    *ret_packed = span_of(one->packed.data, one->packed.len);
    return true;
}

/* One slice of one table; *last holds the key to go on after. DB_NOT_FOUND at its end. */
static int verify_slice(struct db *db, unsigned table, struct buf *last, struct db_verify_result *result)
{
    struct db_txn *txn;
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key = {0}, value;
    int r = db_begin(db, false, &txn);

    if (r < 0)
        return r;
    r = db_cursor_new(txn, table, &c);
    if (r == 0)
        r = db_cursor_seek(c, span_of(last->data, last->len), &key, &value);
    for (unsigned rows = 0; (r == 0 || r == DB_DAMAGED) && rows < SLICE_ROWS; rows++) {
        result->n_values++;
        result->n_damaged += r == DB_DAMAGED;
        r = db_cursor_next(c, &key, &value);
    }
    if (r == 0 || r == DB_DAMAGED) {
        buf_reset(last);
        buf_append(last, key.data, key.len);
        r = last->error;
    }
    c = db_cursor_free(c);
    db_abort(txn);
    return r;
}

int walk_verify(struct db *db, unsigned n_tables, struct db_verify_result *ret_result)
{
    struct db_verify_result result = {0};
    struct buf last = {0};
    int r = 0;

    for (unsigned t = 0; t < n_tables && r >= 0; t++) {
        buf_reset(&last);
        do {
            r = verify_slice(db, t, &last, &result);
        } while (r == 0);
    }
    buf_deinit(&last);
    *ret_result = result;
    return r < 0 ? r : result.n_damaged > 0 ? DB_DAMAGED : 0;
}
