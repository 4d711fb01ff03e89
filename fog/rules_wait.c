/* rules_wait.c - blocks whose descriptor set has not come: live ones overtake what was made before them. Of
 * each set the newest is kept, as rules look at nothing older: 'w', device be64, set be64 -> epoch[16],
 * stream be32, seq le64, payload. */
#include "base/cleanup.h"
#include "fog/rules_private.h"
#include "wire/wire.h"

enum { KEY_BYTES_W = 17, HEAD_BYTES = ID128_BYTES + 12 };

static void key_of(const char *device, uint64_t set, uint8_t key[KEY_BYTES_W])
{
    key[0] = 'w';
    store_be64(key + 1, rules_hash("", device, false));
    store_be64(key + 9, set);
}

static bool head_get(struct span value, struct record_at *ret)
{
    if (value.len < HEAD_BYTES)
        return false;
    memcpy(ret->epoch.bytes, value.data, ID128_BYTES);
    ret->stream = load_be32(value.data + ID128_BYTES);
    ret->seq = load_le64(value.data + ID128_BYTES + 4);
    return true;
}

int rules_wait(struct site_rules *s, struct db_txn *txn, const struct record_at *at, const struct record *r)
{
    uint8_t key[KEY_BYTES_W], head[HEAD_BYTES];
    struct block_head block;
    struct record_at there;
    struct span value;
    int rc;

    s->counters[SITE_RULES_BLOCKS_NO_SET]++;
    if (!block_head_read(r->payload, &block))
        return 0;
    key_of(r->origin, block.set_id, key);
    rc = db_get(txn, s->o.table, span_of(key, sizeof key), &value);
    if (rc < 0 || rc == DB_FULL)
        return rc;
    if (rc == 0 && head_get(value, &there) && !record_at_is_newer(at, &there))
        return 0;
    if (rc != 0 && s->n_waiting >= RULES_WAITS_MAX)
        return 0;
    s->n_waiting += rc != 0;
    memcpy(head, at->epoch.bytes, ID128_BYTES);
    store_be32(head + ID128_BYTES, at->stream);
    store_le64(head + ID128_BYTES + 4, at->seq);
    return db_put2(txn, s->o.table, span_of(key, sizeof key), span_of(head, sizeof head), r->payload);
}

int rules_wake(struct site_rules *s, struct db_txn *txn, const struct record *set)
{
    struct record r = {.origin = set->origin, .kind = FOGLINE__V1__KIND__KIND_BLOCK};
    uint8_t key[KEY_BYTES_W];
    struct record_at at;
    struct span value;
    int rc;

    if (s->n_waiting == 0)
        return 0;
    key_of(set->origin, wire_descriptor_set_id(set->payload), key);
    rc = db_get(txn, s->o.table, span_of(key, sizeof key), &value);
    if (rc == DB_NOT_FOUND)
        return 0;
    if (rc != 0 && rc != DB_DAMAGED)
        return rc;
    buf_reset(&s->waking);
    if (rc == 0 && head_get(value, &at))
        buf_append(&s->waking, value.data + HEAD_BYTES, value.len - HEAD_BYTES);
    if (s->waking.error != 0)
        return s->waking.error;
    rc = db_del(txn, s->o.table, span_of(key, sizeof key));
    s->n_waiting--;
    if (rc != 0 || s->waking.len == 0)
        return rc;
    r.epoch = at.epoch;
    r.seq = at.seq;
    r.payload = span_of(s->waking.data, s->waking.len);
    rc = rules_hear(s, txn, &at, &r);
    return rc == STAGE_READER_UNKNOWN ? 0 : rc; /* over a limit of the history: nobody can read it */
}

int rules_count_waiting(struct site_rules *s, struct db_txn *txn)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key;
    int rc = db_cursor_new(txn, s->o.table, &c);

    s->n_waiting = 0;
    if (rc == 0)
        rc = db_cursor_seek(c, span_str("w"), &key, NULL);
    for (; rc == 0; rc = db_cursor_next(c, &key, NULL))
        s->n_waiting++;
    return rc == DB_NOT_FOUND ? 0 : rc;
}
