#include "spool/spool.h"

#include "base/cleanup.h"
#include "spool/spool_private.h"

#include <sodium.h>

/* Row of a stream: format, own, length of origin, origin, epoch, then per lane five le64. */
enum {
    ROW_LANE_BYTES = 5 * 8,
    ROW_MAX_BYTES = 3 + SPOOL_NAME_BYTES + ID128_BYTES + SPOOL_LANES * ROW_LANE_BYTES
};

static uint64_t hash_of(const struct spool *sp, const char *origin, const struct id128 *epoch)
{
    uint8_t name[SPOOL_NAME_BYTES + ID128_BYTES];
    size_t len = strnlen(origin, SPOOL_NAME_BYTES - 1);
    uint8_t hash[8];

    memcpy(name, epoch->bytes, ID128_BYTES);
    memcpy(name + ID128_BYTES, origin, len);
    /* Epochs come from peers: a keyed hash keeps them from choosing collisions. */
    crypto_shorthash(hash, name, ID128_BYTES + len, sp->hash_key);
    return load_le64(hash);
}

static bool named(const struct spool_entry *e, const char *origin, const struct id128 *epoch)
{
    return id128_equal(&e->s.epoch, epoch) && strcmp(e->s.origin, origin) == 0;
}

static void index_put(struct spool *sp, struct spool_entry *e)
{
    size_t i = hash_of(sp, e->s.origin, &e->s.epoch) & (sp->n_slots - 1);

    while (sp->slots[i] != NULL)
        i = (i + 1) & (sp->n_slots - 1);
    sp->slots[i] = e;
}

static struct spool_entry *index_find(const struct spool *sp, const char *origin, const struct id128 *epoch)
{
    size_t i;

    if (sp->n_slots == 0)
        return NULL;
    i = hash_of(sp, origin, epoch) & (sp->n_slots - 1);
    while (sp->slots[i] != NULL && !named(sp->slots[i], origin, epoch))
        i = (i + 1) & (sp->n_slots - 1);
    return sp->slots[i];
}

/* At most half full, so that a search ends soon. */
static must_check int index_reserve(struct spool *sp)
{
    size_t i, n_old = sp->n_slots, n_new = n_old == 0 ? 16 : 2 * n_old;
    struct spool_entry **old = sp->slots, **slots;

    if (2 * (sp->n_entries + 1) <= n_old)
        return 0;
    slots = calloc(n_new, sizeof(struct spool_entry *));
    if (slots == NULL)
        return -ENOMEM;
    sp->slots = slots;
    sp->n_slots = n_new;
    for (i = 0; i < n_old; i++)
        if (old[i] != NULL)
            index_put(sp, old[i]);
    free(old);
    return 0;
}

int spool_entry_get(struct spool *sp, const char *origin, const struct id128 *epoch,
                    struct spool_entry **ret_e)
{
    struct spool_entry *e = index_find(sp, origin, epoch);
    int r;

    if (e == NULL) {
        r = index_reserve(sp);
        if (r < 0)
            return r;
        e = calloc(1, sizeof *e);
        if (e == NULL)
            return -ENOMEM;
        memcpy(e->s.origin, origin, strlen(origin) + 1);
        e->s.epoch = *epoch;
        index_put(sp, e);
        sp->n_entries++;
    }
    *ret_e = e;
    return 0;
}

static size_t place_of(const struct spool *sp, uint32_t no)
{
    size_t low = 0, high = sp->n_streams;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (sp->streams[mid]->s.no < no)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int spool_entry_revive(struct spool *sp, struct spool_entry *e, uint32_t no, bool own)
{
    size_t at = place_of(sp, no);

    assert(!e->live);
    if (sp->n_streams == sp->streams_alloc) {
        size_t n = sp->streams_alloc == 0 ? 16 : 2 * sp->streams_alloc;
        struct spool_entry **p = reallocarray(sp->streams, n, sizeof(struct spool_entry *));

        if (p == NULL)
            return -ENOMEM;
        sp->streams = p;
        sp->streams_alloc = n;
    }
    memmove(sp->streams + at + 1, sp->streams + at, (sp->n_streams - at) * sizeof(struct spool_entry *));
    sp->streams[at] = e;
    sp->n_streams++;
    e->s.no = no;
    e->s.own = own;
    e->live = true;
    e->forgotten = false;
    return 0;
}

struct spool_entry *spool_entry_by_no(struct spool *sp, uint32_t no)
{
    size_t at = place_of(sp, no);

    return at < sp->n_streams && sp->streams[at]->s.no == no ? sp->streams[at] : NULL;
}

static void empty_lanes(struct spool_entry *e)
{
    unsigned i;

    for (i = 0; i < SPOOL_LANES; i++) {
        struct spool_lane *l = &e->s.lane[i];

        interval_set_clear(&l->held);
        interval_set_clear(&l->seen);
        l->next = l->held_bytes = l->held_samples = l->produced_samples = 0;
    }
}

void spool_entries_drop_all(struct spool *sp)
{
    size_t i;

    for (i = 0; i < sp->n_slots; i++) {
        if (sp->slots[i] == NULL)
            continue;
        sp->slots[i]->live = sp->slots[i]->forgotten = sp->slots[i]->dirty = false;
        empty_lanes(sp->slots[i]);
    }
    sp->n_streams = 0;
    sp->own = NULL;
    sp->any_forgotten = false;
    sp->held_bytes = sp->held_records = 0;
}

static void entry_free(struct spool_entry *e)
{
    unsigned i;

    for (i = 0; i < SPOOL_LANES; i++) {
        interval_set_deinit(&e->s.lane[i].held);
        interval_set_deinit(&e->s.lane[i].seen);
    }
    free(e);
}

/* Takes the slot's entry out and closes the gap: an entry behind it may have been pushed on by it. */
static void index_take(struct spool *sp, size_t gap)
{
    size_t mask = sp->n_slots - 1, i = gap;

    sp->slots[gap] = NULL;
    sp->n_entries--;
    for (;;) {
        struct spool_entry *e;

        i = (i + 1) & mask;
        e = sp->slots[i];
        if (e == NULL)
            return;
        sp->slots[i] = NULL;
        index_put(sp, e);
    }
}

void spool_entries_free_forgotten(struct spool *sp)
{
    size_t i = 0;

    if (!sp->any_forgotten)
        return;
    while (i < sp->n_slots) {
        struct spool_entry *e = sp->slots[i];

        if (e == NULL || !e->forgotten) {
            i++;
            continue;
        }
        index_take(sp, i); /* another may have moved here: look again */
        entry_free(e);
    }
    sp->any_forgotten = false;
}

void spool_stream_objects(struct spool *sp, void (*fn)(void *ctx, struct spool_stream *s), void *ctx)
{
    for (size_t i = 0; i < sp->n_slots; i++)
        if (sp->slots[i] != NULL)
            fn(ctx, &sp->slots[i]->s);
}

void spool_entries_deinit(struct spool *sp)
{
    size_t i;

    for (i = 0; i < sp->n_slots; i++)
        if (sp->slots[i] != NULL)
            entry_free(sp->slots[i]);
    free(sp->slots);
    free(sp->streams);
}

static must_check int row_write(struct spool *sp, struct spool_entry *e)
{
    uint8_t key[STREAM_KEY_BYTES], row[ROW_MAX_BYTES], *at = row;
    size_t len = strlen(e->s.origin);
    unsigned i;

    store_be32(key, e->s.no);
    *at++ = STREAM_FORMAT;
    *at++ = e->s.own;
    *at++ = (uint8_t)len;
    memcpy(at, e->s.origin, len);
    memcpy(at + len, e->s.epoch.bytes, ID128_BYTES);
    at += len + ID128_BYTES;
    for (i = 0; i < SPOOL_LANES; i++, at += ROW_LANE_BYTES) {
        const struct spool_lane *l = &e->s.lane[i];

        store_le64(at, l->next);
        store_le64(at + 8, interval_set_count(&l->held));
        store_le64(at + 16, l->held_bytes);
        store_le64(at + 24, l->held_samples);
        store_le64(at + 32, l->produced_samples);
    }
    return db_put(sp->txn, SPOOL_TABLE_STREAMS, span_of(key, sizeof key), span_of(row, (size_t)(at - row)));
}

int spool_entries_write(struct spool *sp)
{
    size_t i;
    int r;

    for (i = 0; i < sp->n_streams; i++) {
        if (!sp->streams[i]->dirty)
            continue;
        r = row_write(sp, sp->streams[i]);
        if (r != 0)
            return r;
        sp->streams[i]->dirty = false;
    }
    return 0;
}

/* Fills one stream from its row; what it says of the number of records is compared with the keys by
 * spool_load. */
int spool_row_read(struct spool *sp, struct span key, struct span value)
{
    struct reader r = reader_of(value);
    char origin[SPOOL_NAME_BYTES] = "";
    struct spool_entry *e;
    struct id128 epoch;
    const uint8_t *p;
    uint8_t format = reader_u8(&r), own = reader_u8(&r), len = reader_u8(&r);
    unsigned i;
    int rc;

    if (format != STREAM_FORMAT || key.len != STREAM_KEY_BYTES || len == 0 || len >= SPOOL_NAME_BYTES)
        return SPOOL_DAMAGED;
    p = reader_take(&r, len);
    if (p != NULL)
        memcpy(origin, p, len);
    p = reader_take(&r, ID128_BYTES);
    if (p == NULL || reader_left(&r) < SPOOL_LANES * ROW_LANE_BYTES)
        return SPOOL_DAMAGED;
    memcpy(epoch.bytes, p, ID128_BYTES);
    rc = spool_entry_get(sp, origin, &epoch, &e);
    if (rc < 0)
        return rc;
    if (e->live)
        return SPOOL_DAMAGED; /* two numbers for one name */
    rc = spool_entry_revive(sp, e, load_be32(key.data), own != 0);
    if (rc < 0)
        return rc;
    for (i = 0; i < SPOOL_LANES; i++) {
        struct spool_lane *l = &e->s.lane[i];

        l->next = reader_le64(&r);
        sp->held_records += reader_le64(&r);
        l->held_bytes = reader_le64(&r);
        l->held_samples = reader_le64(&r);
        l->produced_samples = reader_le64(&r);
        sp->held_bytes += l->held_bytes;
    }
    if (e->s.own)
        sp->own = e; /* rows come by number: the last one is the epoch in force */
    return 0;
}

struct spool_stream *spool_own(struct spool *sp)
{
    return &sp->own->s;
}

struct spool_stream *spool_find(struct spool *sp, const char *origin, const struct id128 *epoch)
{
    struct spool_entry *e =
        strnlen(origin, SPOOL_NAME_BYTES) < SPOOL_NAME_BYTES ? index_find(sp, origin, epoch) : NULL;

    return e != NULL && e->live ? &e->s : NULL;
}

size_t spool_n_streams(const struct spool *sp)
{
    return sp->n_streams;
}

struct spool_stream *spool_stream_at(struct spool *sp, size_t i)
{
    assert(i < sp->n_streams);
    return &sp->streams[i]->s;
}

/* The highest number of a stream that was the last one when it was forgotten: whoever keeps records longer
 * than the spool knows their streams by number. */
static const char fact_highest_forgotten[] = "spool/highest_forgotten";

static must_check int stream_make(struct spool *sp, const char *origin, const struct id128 *epoch, bool own,
                                  struct spool_entry **ret_e)
{
    uint32_t no = sp->n_streams == 0 ? 1 : sp->streams[sp->n_streams - 1]->s.no + 1;
    uint64_t forgotten = 0;
    struct spool_entry *e;
    struct db_txn *t;
    int r;

    r = spool_txn(sp, &t);
    if (r == 0)
        r = spool_fact_get_u64(sp, fact_highest_forgotten, &forgotten);
    if (r != 0 && r != DB_NOT_FOUND)
        return r;
    no = no <= forgotten ? (uint32_t)forgotten + 1 : no;
    if (sp->n_streams >= SPOOL_STREAMS_MAX || no == 0)
        return SPOOL_LIMIT;
    r = spool_entry_get(sp, origin, epoch, &e);
    if (r == 0)
        r = spool_entry_revive(sp, e, no, own);
    if (r != 0)
        return r;
    empty_lanes(e);
    e->dirty = true;
    *ret_e = e;
    return 0;
}

int spool_stream_make(struct spool *sp, const char *origin, const struct id128 *epoch,
                      struct spool_stream **ret_s)
{
    size_t len = strnlen(origin, SPOOL_NAME_BYTES);
    struct spool_stream *s;
    struct spool_entry *e;
    int r;

    if (len == 0 || len >= SPOOL_NAME_BYTES)
        return -EINVAL;
    s = spool_find(sp, origin, epoch);
    if (s == NULL) {
        r = stream_make(sp, origin, epoch, false, &e);
        if (r != 0)
            return r;
        s = &e->s;
    }
    *ret_s = s;
    return 0;
}

int spool_new_epoch(struct spool *sp)
{
    struct id128 epoch = id128_random();
    struct spool_entry *e;
    unsigned i;
    int r = stream_make(sp, sp->node, &epoch, true, &e);

    if (r != 0)
        return r > 0 ? -ENOSPC : r;
    for (i = 0; i < SPOOL_LANES; i++)
        e->s.lane[i].next = 1;
    sp->own = e;
    return 0;
}

static must_check int account_has(struct spool *sp, uint32_t no, bool *ret_has)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    uint8_t from[STREAM_KEY_BYTES];
    struct span key;
    int r = db_cursor_new(sp->txn, SPOOL_TABLE_ACCOUNT, &c);

    if (r != 0)
        return r;
    store_be32(from, no);
    r = db_cursor_seek(c, span_of(from, sizeof from), &key, NULL);
    *ret_has = r == 0 && key.len >= sizeof from && memcmp(key.data, from, sizeof from) == 0;
    return r == DB_NOT_FOUND ? 0 : r;
}

static must_check int seen_delete(struct spool *sp, uint32_t no)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    uint8_t from[STREAM_KEY_BYTES];
    struct span key;
    int r = db_cursor_new(sp->txn, SPOOL_TABLE_SEEN, &c);

    if (r != 0)
        return r;
    store_be32(from, no);
    r = db_cursor_seek(c, span_of(from, sizeof from), &key, NULL);
    while (r == 0 && key.len >= sizeof from && memcmp(key.data, from, sizeof from) == 0) {
        r = db_cursor_del(c);
        if (r == 0)
            r = db_cursor_next(c, &key, NULL);
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

int spool_stream_forget(struct spool *sp, struct spool_stream *s)
{
    struct spool_entry *e = spool_entry_of(s);
    uint8_t key[STREAM_KEY_BYTES];
    size_t at = place_of(sp, s->no);
    uint64_t highest = 0;
    struct db_txn *t;
    bool has;
    int r;

    assert(e->live && sp->streams[at] == e);
    if (e == sp->own || s->lane[0].held.n > 0 || s->lane[1].held.n > 0)
        return -EBUSY;
    r = spool_txn(sp, &t);
    if (r == 0)
        r = account_has(sp, s->no, &has);
    if (r != 0)
        return r;
    if (has)
        return -EBUSY;
    store_be32(key, s->no);
    r = seen_delete(sp, s->no);
    if (r == 0)
        r = db_del(t, SPOOL_TABLE_STREAMS, span_of(key, sizeof key));
    if (r != 0 && r != DB_NOT_FOUND) /* made in this very transaction: it has no row */
        return r;
    if (at + 1 == sp->n_streams) {
        /* After the last one the one before it is the last: the number stays the higher of both. */
        r = spool_fact_get_u64(sp, fact_highest_forgotten, &highest);
        if ((r == 0 || r == DB_NOT_FOUND) && highest < s->no)
            r = spool_fact_put_u64(sp, fact_highest_forgotten, s->no);
        if (r != 0 && r != DB_NOT_FOUND)
            return r;
    }
    memmove(sp->streams + at, sp->streams + at + 1, (sp->n_streams - at - 1) * sizeof(struct spool_entry *));
    sp->n_streams--;
    e->live = e->dirty = false;
    e->forgotten = sp->any_forgotten = true;
    return 0;
}

int spool_seen_row_put(struct spool *sp, uint32_t no, unsigned lane, struct interval range)
{
    uint8_t key[SEEN_KEY_BYTES], value[8];

    store_be32(key, no);
    key[4] = (uint8_t)lane;
    store_be64(key + 5, range.from);
    store_le64(value, range.to);
    return db_put(sp->txn, SPOOL_TABLE_SEEN, span_of(key, sizeof key), span_of(value, sizeof value));
}

/* The rows the new interval swallows go, the one that holds it all is written: two rows for a single record
 * at most. */
int spool_seen_add(struct spool *sp, struct spool_stream *s, unsigned lane, struct interval range)
{
    struct interval_set *seen = &s->lane[lane].seen;
    uint8_t key[SEEN_KEY_BYTES];
    struct interval all = range;
    struct db_txn *t;
    size_t i;
    int r;

    if (s->own || lane >= SPOOL_LANES || range.from == 0 || range.from > range.to || range.to > SEQ_COUNT_MAX)
        return -EINVAL;
    if (interval_set_covers(seen, range.from, range.to))
        return 0;
    r = spool_txn(sp, &t);
    if (r != 0)
        return r;
    store_be32(key, s->no);
    key[4] = (uint8_t)lane;
    for (i = interval_set_find(seen, range.from - 1); i < seen->n && seen->at[i].from <= range.to + 1; i++) {
        if (seen->at[i].from < all.from)
            all.from = seen->at[i].from;
        if (seen->at[i].to > all.to)
            all.to = seen->at[i].to;
        if (seen->at[i].from == all.from)
            continue; /* its row is the one written below */
        store_be64(key + 5, seen->at[i].from);
        r = db_del(t, SPOOL_TABLE_SEEN, span_of(key, sizeof key));
        if (r != 0 && r != DB_NOT_FOUND)
            return r;
    }
    r = spool_seen_row_put(sp, s->no, lane, all);
    if (r != 0)
        return r;
    r = interval_set_add(seen, range.from, range.to);
    if (r < 0)
        sp->failed = r;
    return r;
}

int spool_seen_drop_lowest(struct spool *sp, struct spool_stream *s, unsigned lane)
{
    struct interval_set *seen = &s->lane[lane].seen;
    uint8_t key[SEEN_KEY_BYTES];
    struct db_txn *t;
    int r;

    if (lane >= SPOOL_LANES)
        return -EINVAL;
    if (seen->n == 0)
        return 0;
    r = spool_txn(sp, &t);
    if (r != 0)
        return r;
    store_be32(key, s->no);
    key[4] = (uint8_t)lane;
    store_be64(key + 5, seen->at[0].from);
    r = db_del(t, SPOOL_TABLE_SEEN, span_of(key, sizeof key));
    if (r != 0 && r != DB_NOT_FOUND)
        return r;
    r = interval_set_remove(seen, seen->at[0].from, seen->at[0].to);
    if (r < 0)
        sp->failed = r;
    return r;
}
