/* What a damaged value took away and the rest still tells: names by the gap in the numbers, totals and the
 * archived set from the records themselves. */
#include "archive/archive_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

/* ---- names ---- */

/* Numbers are given without gaps: one lost name has the number nobody else has. */
int archive_repair_device(struct archive *a, const struct archive_damage *d)
{
    uint32_t no = 0;
    int r;

    if (d->n_devices != 1)
        return -EIO;
    for (size_t i = 0; i < a->n_devices; i++)
        if (a->devices[i] == NULL) {
            if (no != 0)
                return -EIO;
            no = (uint32_t)i + 1;
        }
    if (no == 0)
        no = (uint32_t)a->n_devices + 1;
    r = archive_device_place(a, no, d->device, ""); /* the site follows from the list of nodes */
    return r == 0 ? archive_device_write(a, a->devices[no - 1]) : r;
}

/* The descriptor set of this id among the records of its kind. Appends; nothing when it has not come. */
static int find_descriptor(struct archive *a, uint32_t device, uint64_t id, struct buf *out)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct row_key prefix;
    struct spool_record rec;
    struct span key, value;
    struct db_txn *txn;
    int r = spool_txn(a->spool, &txn);

    if (r == 0)
        r = db_cursor_new(txn, ARCHIVE_TABLE_OTHERS, &c);
    if (r != 0)
        return r;
    store_be32(prefix.bytes, device);
    store_be32(prefix.bytes + 4, FOGLINE__V1__KIND__KIND_DESCRIPTOR);
    prefix.len = 8;
    for (r = db_cursor_seek(c, row_key_span(&prefix), &key, &value); r == 0 || r == DB_DAMAGED;
         r = db_cursor_next(c, &key, &value)) {
        if (!key_begins(key, &prefix))
            return 0;
        if (r == 0 && record_get(value, &rec) && wire_descriptor_set_id(rec.payload) == id) {
            buf_append(out, rec.payload.data, rec.payload.len);
            return out->error;
        }
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

int archive_repair_set(struct archive *a, const struct archive_damage *d)
{
    owned(buf_deinit) struct buf descriptor = {0};
    uint32_t device = load_be32(d->set.bytes), no = 0;
    struct arch_device *dev = device >= 1 && device <= a->n_devices ? a->devices[device - 1] : NULL;
    struct arch_set *s;
    int r;

    if (d->n_sets != 1 || dev == NULL)
        return -EIO;
    for (size_t i = 0; i < dev->n_sets; i++)
        if (dev->sets[i].no == 0)
            no = (uint32_t)i + 1;
    if (no == 0)
        no = (uint32_t)dev->n_sets + 1;
    r = archive_sets_reach(dev, no);
    if (r != 0)
        return r;
    if (dev->n_sets < no)
        dev->n_sets = no;
    s = &dev->sets[no - 1];
    /* How long its blocks are is not known any more: readers start at the beginning. */
    *s = (struct arch_set){.id = load_be64(d->set.bytes + 4), .no = no, .span_max_ns = (uint64_t)INT64_MAX};
    r = find_descriptor(a, device, s->id, &descriptor);
    s->known = descriptor.len > 0;
    return r == 0 ? archive_set_write(a, dev, s, span_of(descriptor.data, descriptor.len)) : r;
}

/* ---- totals and the archived set ---- */

struct recount {
    bool wanted;
    uint32_t device;
    struct interval_set found[SPOOL_LANES];
    uint64_t samples[SPOOL_LANES];
};

struct recounts {
    struct archive *a;
    struct recount *at; /* index = stream number */
    size_t n;
    bool any;
};

static void find_disagreements(struct recounts *rc)
{
    for (size_t i = 0; i < spool_n_streams(rc->a->spool); i++) {
        const struct spool_stream *s = spool_stream_at(rc->a->spool, i);
        const struct arch_stream *as = &rc->a->streams[s->no];

        for (unsigned l = 0; l < SPOOL_LANES && !s->own; l++)
            if (interval_set_count(&s->lane[l].seen) != as->lane[l].records)
                rc->at[s->no].wanted = rc->any = true;
    }
}

static int take_record(struct recounts *rc, uint32_t stream, uint32_t device, uint64_t seq, uint64_t samples)
{
    struct recount *r = stream < rc->n ? &rc->at[stream] : NULL;
    unsigned lane = seq_lane(seq);

    if (r == NULL || !r->wanted || lane >= SPOOL_LANES || seq_count(seq) == 0)
        return 0;
    r->device = device;
    r->samples[lane] += samples;
    return interval_set_add(&r->found[lane], seq_count(seq), seq_count(seq));
}

static int take_sample_row(struct recounts *rc, struct span key, const struct spool_record *rec)
{
    struct sample_key k;

    return sample_key_get(key, &k) ? take_record(rc, k.stream, k.device, k.seq, rec->samples) : 0;
}

static int take_other_row(struct recounts *rc, struct span key, const struct spool_record *rec)
{
    struct other_key k;

    return other_key_get(key, &k) ? take_record(rc, k.stream, k.device, k.seq, rec->samples) : 0;
}

/* A record whose value is damaged is not counted: whoever still holds it may give it again. */
static int recount_table(struct recounts *rc, struct db_txn *txn, unsigned table,
                         int (*take)(struct recounts *rc, struct span key, const struct spool_record *rec))
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int r = db_cursor_new(txn, table, &c);

    if (r != 0)
        return r;
    for (r = db_cursor_seek(c, span_of("", 0), &key, &value); r == 0 || r == DB_DAMAGED;
         r = db_cursor_next(c, &key, &value)) {
        struct spool_record rec;
        int e = r == 0 && record_get(value, &rec) ? take(rc, key, &rec) : 0;

        if (e != 0)
            return e;
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

static int recount_all(struct recounts *rc)
{
    struct db_txn *txn;
    int r = db_begin(spool_db(rc->a->spool), false, &txn);

    if (r != 0)
        return r;
    r = recount_table(rc, txn, ARCHIVE_TABLE_SAMPLES, take_sample_row);
    if (r == 0)
        r = recount_table(rc, txn, ARCHIVE_TABLE_OTHERS, take_other_row);
    db_abort(txn);
    return r;
}

static int set_right(struct recounts *rc, struct spool_stream *s)
{
    struct recount *c = &rc->at[s->no];
    struct arch_stream *as = &rc->a->streams[s->no];
    int r = 0;

    if (as->device == NULL && c->device >= 1 && c->device <= rc->a->n_devices)
        as->device = rc->a->devices[c->device - 1];
    as->epoch = s->epoch;
    if (as->device == NULL)
        return 0; /* nothing of it is here: it is known again when it is next spoken of */
    for (unsigned l = 0; l < SPOOL_LANES && r == 0; l++) {
        for (size_t i = 0; i < c->found[l].n && r == 0; i++)
            r = spool_seen_add(rc->a->spool, s, l, c->found[l].at[i]);
        as->lane[l] = (struct totals_lane){interval_set_count(&s->lane[l].seen), c->samples[l]};
    }
    return r == 0 ? archive_stream_mark(rc->a, as, s->no) : r;
}

int archive_repair_totals(struct archive *a)
{
    struct recounts rc = {.a = a, .n = a->n_streams};
    int r = 0;

    if (rc.n == 0)
        return 0;
    rc.at = calloc(rc.n, sizeof *rc.at);
    if (rc.at == NULL)
        return -ENOMEM;
    find_disagreements(&rc);
    if (rc.any)
        r = recount_all(&rc);
    for (size_t i = 0; rc.any && r == 0 && i < spool_n_streams(a->spool); i++)
        if (rc.at[spool_stream_at(a->spool, i)->no].wanted)
            r = set_right(&rc, spool_stream_at(a->spool, i));
    for (size_t i = 0; i < rc.n; i++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            interval_set_deinit(&rc.at[i].found[l]);
    free(rc.at);
    return r;
}
