/* The descriptor sets of the groups: when their records are written, and what is kept of them over a restart.
 *
 * Facts "starts/SLOT/N" hold, for the group whose cold set has an id of that slot, the set last in use and
 * those before it that blocks still held may name: cut into values of the store, all written in the
 * transaction that first may hold such a block. Two groups of one slot take it from each other, and then
 * learn anew. */
#include "device/io.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SLOTS = 512,
    FACT_BYTES = 1000,
    KEPT_MAX_BYTES = 96 * 1024, /* of a group: the oldest sets are left out beyond it */
    HEAD_BYTES = 12,            /* cold id u64, length of what follows u32 */
    NAME_CHARS = 32,
};

static void fact_name(uint64_t cold_id, unsigned part, char out[NAME_CHARS])
{
    snprintf(out, NAME_CHARS, "starts/%03x/%u", (unsigned)(cold_id % SLOTS), part);
}

/* ---- keeping ---- */

/* Head, then each set as length u32 and bytes, the one in use first. */
static void write_kept(const struct io_group *g, struct buf *out)
{
    struct span now = pack_descriptor(g->pack);
    size_t left = KEPT_MAX_BYTES - now.len;
    uint32_t len = 4 + (uint32_t)now.len;
    unsigned n = 0;

    for (; n < g->n_old && g->old[n].descriptor.len + 4 <= left; n++) {
        left -= g->old[n].descriptor.len + 4;
        len += 4 + (uint32_t)g->old[n].descriptor.len;
    }
    buf_le64(out, pack_cold_id(g->pack));
    buf_le32(out, len);
    buf_le32(out, (uint32_t)now.len);
    buf_append(out, now.data, now.len);
    for (unsigned i = 0; i < n; i++) {
        buf_le32(out, (uint32_t)g->old[i].descriptor.len);
        buf_append(out, g->old[i].descriptor.data, g->old[i].descriptor.len);
    }
}

static int keep(struct io *io, const struct io_group *g)
{
    owned(buf_deinit) struct buf all = {0};
    char name[NAME_CHARS];
    int rc;

    write_kept(g, &all);
    rc = all.error;
    for (size_t at = 0, part = 0; rc == 0 && at < all.len; at += FACT_BYTES, part++) {
        size_t n = all.len - at < FACT_BYTES ? all.len - at : FACT_BYTES;

        fact_name(pack_cold_id(g->pack), (unsigned)part, name);
        rc = spool_fact_put(io->spool, name, span_of(all.data + at, n));
    }
    return rc;
}

int io_keep_sets(struct io *io)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < io->n_groups; i++)
        if (io->groups[i].pack != NULL && io->groups[i].is_to_keep)
            rc = keep(io, &io->groups[i]);
    return rc;
}

void io_sets_kept(struct io *io)
{
    for (uint32_t i = 0; i < io->n_groups; i++)
        io->groups[i].is_to_keep = false;
}

/* ---- taking up ---- */

static int read_kept(struct io *io, uint64_t cold_id, struct buf *all)
{
    owned(buf_deinit) struct buf part = {0};
    size_t want = HEAD_BYTES;
    char name[NAME_CHARS];

    for (unsigned i = 0; all->len < want; i++) {
        int rc;

        fact_name(cold_id, i, name);
        rc = spool_fact_get(io->spool, name, &part);
        if (rc != 0)
            return rc;
        buf_append(all, part.data, part.len);
        if (all->error != 0)
            return all->error;
        if (i == 0) {
            if (all->len < HEAD_BYTES || load_le64(all->data) != cold_id ||
                load_le32(all->data + 8) > KEPT_MAX_BYTES)
                return DB_NOT_FOUND;
            want = HEAD_BYTES + load_le32(all->data + 8);
        }
        if (part.len != FACT_BYTES && all->len < want)
            return DB_NOT_FOUND;
    }
    return all->len == want ? 0 : DB_NOT_FOUND;
}

static void put_old(struct io *io, struct io_group *g, struct span descriptor, uint64_t until, bool newest)
{
    struct io_old_set *at = &g->old[newest ? 0 : g->n_old];

    if (g->n_old == IO_OLD_SETS_MAX) {
        if (!newest)
            return;
        buf_deinit(&g->old[--g->n_old].descriptor);
    }
    if (newest)
        memmove(g->old + 1, g->old, g->n_old * sizeof g->old[0]);
    *at = (struct io_old_set){.epoch = spool_own(io->spool)->epoch, .until = until};
    buf_append(&at->descriptor, descriptor.data, descriptor.len);
    if (at->descriptor.error != 0) { /* no memory: it is only wanted after a loss */
        buf_deinit(&at->descriptor);
        memmove(at, at + 1, (size_t)(g->old + g->n_old - at) * sizeof *at);
        return;
    }
    g->n_old++;
}

int io_take_up_sets(struct io *io, struct io_group *g)
{
    owned(buf_deinit) struct buf all = {0};
    uint64_t next = spool_own(io->spool)->lane[LANE_ORDINARY].next;
    int rc = read_kept(io, pack_cold_id(g->pack), &all);
    bool first = true;

    if (rc != 0)
        return rc < 0 ? rc : 0;
    for (struct reader r = reader_of(span_of(all.data + HEAD_BYTES, all.len - HEAD_BYTES));
         reader_left(&r) > 0; first = false) {
        size_t len = reader_le32(&r);
        const uint8_t *at = reader_take(&r, len);

        if (at == NULL)
            return 0;
        if (!first) {
            put_old(io, g, span_of(at, len), next, false);
            continue;
        }
        rc = pack_adopt(g->pack, span_of(at, len));
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    return 0;
}

/* ---- records ---- */

static int add_record(struct io *io, struct span descriptor)
{
    struct batch_entry e = {
        .kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR, .source = BATCH_NO_SOURCE, .lane = LANE_ORDINARY};

    buf_append(batch_begin(io->batch), descriptor.data, descriptor.len);
    return batch_end(io->batch, &e, NULL);
}

/* May a block be held that names it? */
static bool is_named(const struct io *io, const struct io_old_set *o)
{
    const struct spool_stream *own = spool_own(io->spool);

    for (size_t i = 0; i < spool_n_streams(io->spool); i++) {
        const struct spool_stream *s = spool_stream_at(io->spool, i);
        const struct interval_set *held = &s->lane[LANE_ORDINARY].held;

        if (!s->own || held->n == 0)
            continue;
        if (s != own || (id128_equal(&s->epoch, &o->epoch) && held->at[0].from < o->until))
            return true;
    }
    return false;
}

static int add_old(struct io *io, struct io_group *g)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < g->n_old; i++)
        if (is_named(io, &g->old[i]))
            rc = add_record(io, span_of(g->old[i].descriptor.data, g->old[i].descriptor.len));
    return rc;
}

int io_add_descriptor(struct io *io, struct io_group *g)
{
    const struct spool_stream *own = spool_own(io->spool);
    const uint64_t *count = outbox_counters(io->outbox);
    /* Another store above may have blocks of them before their descriptors: it answers questions, too. */
    uint64_t taken = count[OUTBOX_RECORDS_EVICTED] + count[OUTBOX_ARCHIVES_TAKEN] + count[OUTBOX_CUTS];
    bool was_written = id128_equal(&g->epoch, &own->epoch);
    int rc = 0;

    if (was_written && g->taken_before == taken && g->set_written == pack_set_id(g->pack))
        return 0;
    if (g->taken_before != taken)
        rc = add_old(io, g);
    if (rc == 0)
        rc = add_record(io, pack_descriptor(g->pack));
    if (rc != 0)
        return rc;
    g->epoch = own->epoch;
    g->taken_before = taken;
    g->set_written = pack_set_id(g->pack);
    return 0;
}

int io_learn(struct io *io, struct io_group *g)
{
    const struct spool_lane *lane = &spool_own(io->spool)->lane[LANE_ORDINARY];
    owned(buf_deinit) struct buf before = {0};
    struct span now = pack_descriptor(g->pack);
    struct pack_learnt learnt;
    int rc;

    if (!pack_learn_is_due(g->pack))
        return 0;
    buf_append(&before, now.data, now.len);
    rc = before.error != 0 ? before.error : pack_learn(g->pack, &learnt);
    if (rc != PACK_NEW_SET)
        return rc;
    /* What waits in the batch may name the old one. */
    put_old(io, g, span_of(before.data, before.len), lane->next + batch_n(io->batch), true);
    g->is_to_keep = true;
    io->counter[IO_SETS_LEARNT]++;
    log_info("starts_learnt",
             "source=%s set=%016" PRIx64 " set_bytes=%zu row_bytes_before=%.2f row_bytes=%.2f",
             io->sources[g->source].name, pack_set_id(g->pack), pack_descriptor(g->pack).len,
             learnt.old_bytes, learnt.new_bytes);
    return 0;
}

void io_group_deinit(struct io_group *g)
{
    g->pack = pack_free(g->pack);
    for (unsigned i = 0; i < g->n_old; i++)
        buf_deinit(&g->old[i].descriptor);
    g->n_old = 0;
}
