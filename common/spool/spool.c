#include "spool/spool.h"

#include "base/cleanup.h"

#include "spool/spool_private.h"

struct db *spool_db(struct spool *sp)
{
    return sp->db;
}

const char *spool_node(const struct spool *sp)
{
    return sp->node;
}

const struct id128 *spool_store_id(const struct spool *sp)
{
    return &sp->store_id;
}

bool spool_began_epoch(const struct spool *sp)
{
    return sp->began_epoch;
}

int spool_txn(struct spool *sp, struct db_txn **ret_txn)
{
    if (sp->txn == NULL) {
        int r = db_begin(sp->db, true, &sp->txn);

        if (r != 0) {
            sp->txn = NULL;
            return r > 0 ? -EIO : r;
        }
    }
    *ret_txn = sp->txn;
    return 0;
}

bool spool_txn_open(const struct spool *sp)
{
    return sp->txn != NULL;
}

void spool_note_full(struct spool *sp)
{
    uint64_t most = sp->map_bytes / 2 - sp->reserve_bytes;

    sp->squeeze_bytes += sp->map_bytes / 16;
    if (sp->squeeze_bytes > most)
        sp->squeeze_bytes = most;
}

/* Whatever happened to the transaction, the mirrors end as the disk is. Returns r, or what stopped the
 * reload. */
static int reload_after(struct spool *sp, int r)
{
    int reload;

    sp->txn = NULL;
    sp->failed = 0;
    sp->store_id = sp->committed_store_id;
    if (r == DB_FULL)
        spool_note_full(sp);
    reload = spool_load(sp, NULL);
    if (reload != 0)
        return reload > 0 ? -EUCLEAN : reload;
    return r;
}

int spool_commit(struct spool *sp)
{
    int r = sp->failed;

    if (sp->txn == NULL)
        return 0;
    if (r == 0)
        r = spool_entries_write(sp);
    if (r != 0) {
        db_abort(sp->txn);
        return reload_after(sp, r);
    }
    r = db_commit(sp->txn);
    if (r != 0)
        return reload_after(sp, r);
    sp->txn = NULL;
    sp->committed_store_id = sp->store_id;
    spool_entries_free_forgotten(sp);
    return spool_proof_write(sp);
}

int spool_rollback(struct spool *sp)
{
    if (sp->txn == NULL)
        return 0;
    db_abort(sp->txn);
    return reload_after(sp, 0);
}

int spool_read(struct spool *sp, struct db_txn **ret_txn)
{
    int r = 0;

    if (sp->read_txn == NULL)
        r = db_begin(sp->db, false, &sp->read_txn);
    else if (sp->read_depth == 0)
        r = db_read_resume(sp->read_txn);
    if (r != 0)
        return r > 0 ? -EIO : r;
    sp->read_depth++;
    *ret_txn = sp->read_txn;
    return 0;
}

void spool_read_done(struct spool *sp)
{
    assert(sp->read_depth > 0);
    if (--sp->read_depth == 0)
        db_read_pause(sp->read_txn);
}

int spool_grow(struct spool *sp, uint64_t map_bytes)
{
    if (sp->txn != NULL || sp->read_depth > 0)
        return -EBUSY;
    if (sp->read_txn != NULL)
        db_abort(sp->read_txn);
    sp->read_txn = NULL;
    return db_grow(sp->db, map_bytes);
}

int spool_view(struct spool *sp, struct db_txn **ret_txn)
{
    if (sp->txn == NULL)
        return spool_read(sp, ret_txn);
    *ret_txn = sp->txn;
    return 0;
}

void spool_view_done(struct spool *sp, struct db_txn *txn)
{
    if (txn != sp->txn)
        spool_read_done(sp);
}

uint64_t spool_held_bytes(const struct spool *sp)
{
    return sp->held_bytes;
}

uint64_t spool_held_records(const struct spool *sp)
{
    return sp->held_records;
}

static uint64_t used_bytes(const struct spool *sp)
{
    return sp->txn != NULL ? db_txn_used_bytes(sp->txn) : db_used_bytes(sp->db);
}

static uint64_t usable_bytes(const struct spool *sp)
{
    return sp->map_bytes - sp->reserve_bytes - sp->squeeze_bytes;
}

uint64_t spool_room_bytes(const struct spool *sp)
{
    uint64_t used = used_bytes(sp), limit = usable_bytes(sp);

    return used < limit ? limit - used : 0;
}

uint64_t spool_quota_bytes(const struct spool *sp)
{
    uint64_t used = used_bytes(sp), limit = usable_bytes(sp), in_map;

    if (used <= limit)
        in_map = sp->held_bytes + (limit - used);
    else
        in_map = sp->held_bytes > used - limit ? sp->held_bytes - (used - limit) : 0;
    return in_map < sp->quota_bytes ? in_map : sp->quota_bytes;
}

static must_check int fact_name(const char *name, struct span *ret_key)
{
    *ret_key = span_str(name);
    return ret_key->len == 0 || ret_key->len > FACT_NAME_MAX_BYTES ? -EINVAL : 0;
}

int spool_fact_put(struct spool *sp, const char *name, struct span value)
{
    struct db_txn *t;
    struct span key;
    int r = fact_name(name, &key);

    if (r == 0 && value.len > FACT_VALUE_MAX_BYTES)
        r = -EMSGSIZE;
    if (r == 0)
        r = spool_txn(sp, &t);
    return r != 0 ? r : db_put(t, SPOOL_TABLE_META, key, value);
}

int spool_fact_get(struct spool *sp, const char *name, struct buf *ret_value)
{
    struct span key, value;
    struct db_txn *t;
    int r = fact_name(name, &key);

    if (r == 0)
        r = spool_view(sp, &t);
    if (r != 0)
        return r;
    r = db_get(t, SPOOL_TABLE_META, key, &value);
    if (r == 0) {
        buf_reset(ret_value);
        buf_append(ret_value, value.data, value.len);
        r = ret_value->error;
    }
    spool_view_done(sp, t);
    return r;
}

int spool_fact_delete(struct spool *sp, const char *name)
{
    struct db_txn *t;
    struct span key;
    int r = fact_name(name, &key);

    if (r == 0)
        r = spool_txn(sp, &t);
    if (r == 0)
        r = db_del(t, SPOOL_TABLE_META, key);
    return r == DB_NOT_FOUND ? 0 : r;
}

static int each_fact(struct db_txn *t, struct span prefix,
                     int (*fn)(void *ctx, const char *name, struct span value), void *ctx)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    char name[FACT_NAME_MAX_BYTES + 1];
    struct span key, value;
    int r = db_cursor_new(t, SPOOL_TABLE_META, &c);

    if (r == 0)
        r = db_cursor_seek(c, prefix, &key, &value);
    while (r == 0 || r == DB_DAMAGED) {
        if (key.len < prefix.len || memcmp(key.data, prefix.data, prefix.len) != 0)
            return 0;
        if (r == 0 && key.len <= FACT_NAME_MAX_BYTES) {
            memcpy(name, key.data, key.len);
            name[key.len] = '\0';
            r = fn(ctx, name, value);
            if (r != 0)
                return r;
        }
        r = db_cursor_next(c, &key, &value);
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

int spool_facts_each(struct spool *sp, const char *prefix,
                     int (*fn)(void *ctx, const char *name, struct span value), void *ctx)
{
    struct db_txn *t;
    struct span key;
    int r = fact_name(prefix, &key);

    if (r == 0)
        r = spool_view(sp, &t);
    if (r != 0)
        return r;
    r = each_fact(t, key, fn, ctx);
    spool_view_done(sp, t);
    return r;
}

int spool_fact_put_u64(struct spool *sp, const char *name, uint64_t v)
{
    uint8_t bytes[8];

    store_le64(bytes, v);
    return spool_fact_put(sp, name, span_of(bytes, sizeof bytes));
}

int spool_fact_get_u64(struct spool *sp, const char *name, uint64_t *ret_v)
{
    struct span key;
    struct db_txn *t;
    int r = fact_name(name, &key);

    if (r == 0)
        r = spool_view(sp, &t);
    if (r != 0)
        return r;
    r = db_get_u64(t, SPOOL_TABLE_META, name, ret_v);
    spool_view_done(sp, t);
    return r;
}
