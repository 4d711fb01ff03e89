#include "spool/spool.h"

#include "base/cleanup.h"
#include "spool/spool_private.h"

uint64_t spool_next_seq(const struct spool *sp, unsigned lane)
{
    assert(lane < SPOOL_LANES);
    return (uint64_t)lane << SEQ_LANE_SHIFT | sp->own->s.lane[lane].next;
}

/* LMDB keeps an entry of up to 2038 bytes (entry head 8, key 12, value) in a tree page and puts a longer
 * value on whole pages of its own behind a page head of 16 bytes. */
uint64_t spool_charge_bytes(size_t payload_bytes)
{
    enum { OVERHEAD = 64, PAGE = 4096, PAGE_HEAD = 16, IN_TREE_MAX = 2038 - 8 - RECORD_KEY_BYTES };
    size_t value = payload_bytes + RECORD_HEAD_BYTES + 8;

    if (value <= IN_TREE_MAX)
        return payload_bytes + OVERHEAD;
    return (value + PAGE_HEAD + PAGE - 1) / PAGE * PAGE + OVERHEAD;
}

static bool fits(struct spool *sp, struct db_txn *t, unsigned lane, const struct spool_record *r,
                 uint64_t charge)
{
    bool ledger = lane == 1 && r->kind == SPOOL_KIND_LEDGER;
    uint64_t extra = ledger ? sp->reserve_bytes / 2 : 0;

    return sp->held_bytes + charge <= sp->quota_bytes + extra &&
           db_txn_used_bytes(t) + charge <= sp->map_bytes - sp->reserve_bytes - sp->squeeze_bytes + extra;
}

static must_check int record_write(struct spool *sp, struct spool_entry *e, unsigned lane, uint64_t count,
                                   const struct spool_record *r)
{
    uint64_t charge = spool_charge_bytes(r->payload.len);
    struct spool_lane *l = &e->s.lane[lane];
    uint8_t key[RECORD_KEY_BYTES], head[RECORD_HEAD_BYTES];
    struct db_txn *t;
    int rc;

    if (r->payload.len > SPOOL_PAYLOAD_MAX_BYTES)
        return -EMSGSIZE;
    rc = spool_txn(sp, &t);
    if (rc != 0)
        return rc;
    if (!fits(sp, t, lane, r, charge))
        return SPOOL_FULL;
    spool_seq_key(key, e->s.no, (uint64_t)lane << SEQ_LANE_SHIFT | count);
    head[0] = RECORD_FORMAT;
    memcpy(head + 1, &r->kind, 4);
    memcpy(head + 5, &r->flags, 4);
    memcpy(head + 9, &r->samples, 4);
    memcpy(head + 13, r->tag, SPOOL_TAG_BYTES);
    rc = db_put2(t, SPOOL_TABLE_RECORDS, span_of(key, sizeof key), span_of(head, sizeof head), r->payload);
    if (rc != 0)
        return rc == DB_FULL ? SPOOL_FULL : rc;
    rc = interval_set_add(&l->held, count, count);
    if (rc < 0) {
        sp->failed = rc;
        return rc;
    }
    e->dirty = true;
    l->held_bytes += charge;
    l->held_samples += r->samples;
    sp->held_bytes += charge;
    sp->held_records++;
    return 0;
}

int spool_append(struct spool *sp, unsigned lane, const struct spool_record *r, uint64_t *ret_seq)
{
    struct spool_lane *l;
    int rc;

    if (lane >= SPOOL_LANES)
        return -EINVAL;
    l = &sp->own->s.lane[lane];
    rc = record_write(sp, sp->own, lane, l->next, r);
    if (rc != 0)
        return rc;
    *ret_seq = (uint64_t)lane << SEQ_LANE_SHIFT | l->next;
    l->next++;
    l->produced_samples += r->samples;
    return 0;
}

int spool_put(struct spool *sp, struct spool_stream *s, uint64_t seq, const struct spool_record *r)
{
    unsigned lane = (unsigned)(seq >> SEQ_LANE_SHIFT);
    uint64_t count = seq & SEQ_COUNT_MAX;

    if (s->own || lane >= SPOOL_LANES || count == 0)
        return -EINVAL;
    if (interval_set_has(&s->lane[lane].held, count))
        return 0;
    return record_write(sp, spool_entry_of(s), lane, count, r);
}

static bool record_parse(struct span value, struct spool_record *ret_r)
{
    if (value.len < RECORD_HEAD_BYTES || value.data[0] != RECORD_FORMAT)
        return false;
    ret_r->kind = load_le32(value.data + 1);
    ret_r->flags = load_le32(value.data + 5);
    ret_r->samples = load_le32(value.data + 9);
    memcpy(ret_r->tag, value.data + 13, SPOOL_TAG_BYTES);
    ret_r->payload = span_of(value.data + RECORD_HEAD_BYTES, value.len - RECORD_HEAD_BYTES);
    return true;
}

int spool_get(struct spool *sp, const struct spool_stream *s, uint64_t seq, struct spool_record *ret_r)
{
    struct db_txn *t = sp->txn != NULL ? sp->txn : sp->read_txn;
    uint8_t key[RECORD_KEY_BYTES];
    struct span value;
    int r;

    assert(sp->txn != NULL || sp->read_depth > 0);
    spool_seq_key(key, s->no, seq);
    r = db_get(t, SPOOL_TABLE_RECORDS, span_of(key, sizeof key), &value);
    if (r == 0 && !record_parse(value, ret_r))
        r = DB_DAMAGED;
    return r;
}

static uint64_t take(uint64_t *from, uint64_t n)
{
    if (n > *from) /* only a damaged record can claim more than there is */
        n = *from;
    *from -= n;
    return n;
}

/* Deletes the record under the cursor and takes it off the totals. */
static must_check int remove_one(struct spool *sp, struct spool_lane *l, struct db_cursor *c,
                                 struct span value, bool good, struct spool_gone *gone)
{
    struct spool_record rec = {0};
    size_t payload = value.len > RECORD_HEAD_BYTES ? value.len - RECORD_HEAD_BYTES : 0;
    uint64_t n_bytes;
    int r;

    if (good)
        good = record_parse(value, &rec);
    r = db_cursor_del(c);
    if (r != 0)
        return r;
    n_bytes = take(&l->held_bytes, spool_charge_bytes(payload));
    sp->held_bytes -= n_bytes;
    take(&sp->held_records, 1);
    gone->n_records++;
    gone->n_bytes += n_bytes;
    gone->n_samples += good ? take(&l->held_samples, rec.samples) : 0;
    return 0;
}

static must_check int remove_run(struct spool *sp, struct spool_stream *s, unsigned lane, struct interval run,
                                 struct db_cursor *c, struct spool_gone *gone)
{
    uint64_t to = (uint64_t)lane << SEQ_LANE_SHIFT | run.to;
    uint8_t first[RECORD_KEY_BYTES];
    struct span key, value;
    int r, rc;

    spool_seq_key(first, s->no, (uint64_t)lane << SEQ_LANE_SHIFT | run.from);
    r = db_cursor_seek(c, span_of(first, sizeof first), &key, &value);
    while (r == 0 || r == DB_DAMAGED) {
        if (key.len != RECORD_KEY_BYTES || load_be32(key.data) != s->no || load_be64(key.data + 4) > to)
            return 0;
        rc = remove_one(sp, &s->lane[lane], c, value, r == 0, gone);
        if (rc != 0)
            return rc;
        r = db_cursor_next(c, &key, &value);
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

/* The last record gone: what damaged ones left on the totals goes with it. */
static void settle_totals(struct spool *sp, struct spool_lane *l)
{
    if (l->held.n > 0)
        return;
    sp->held_bytes -= l->held_bytes;
    l->held_bytes = l->held_samples = 0;
}

int spool_remove(struct spool *sp, struct spool_stream *s, unsigned lane, struct interval range,
                 struct spool_gone *ret_gone)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct spool_gone gone = {0};
    struct interval_set *held;
    struct db_txn *t;
    size_t i;
    int r;

    if (lane >= SPOOL_LANES || range.from == 0 || range.from > range.to)
        return -EINVAL;
    held = &s->lane[lane].held;
    i = interval_set_find(held, range.from);
    if (i == held->n || held->at[i].from > range.to)
        return 0;
    r = spool_txn(sp, &t);
    if (r == 0)
        r = db_cursor_new(t, SPOOL_TABLE_RECORDS, &c);
    for (; r == 0 && i < held->n && held->at[i].from <= range.to; i++) {
        struct interval run = held->at[i];

        if (run.from < range.from)
            run.from = range.from;
        if (run.to > range.to)
            run.to = range.to;
        r = remove_run(sp, s, lane, run, c, &gone);
    }
    if (r != 0)
        return r == DB_NOT_FOUND ? -EUCLEAN : r;
    r = interval_set_remove(held, range.from, range.to);
    if (r < 0) {
        sp->failed = r;
        return r;
    }
    spool_entry_of(s)->dirty = true;
    settle_totals(sp, &s->lane[lane]);
    if (ret_gone != NULL) {
        ret_gone->n_records += gone.n_records;
        ret_gone->n_samples += gone.n_samples;
        ret_gone->n_bytes += gone.n_bytes;
    }
    return 0;
}
