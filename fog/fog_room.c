/* Room in a full store, made of what nobody will ever take. */
#include "fog/fog_private.h"

#include <errno.h>
#include <inttypes.h>

enum { LOW_THOUSANDTHS = 900, CHUNK_RECORDS = 16384 };

unsigned fog_store_fill(void *ctx)
{
    const struct fog *f = ctx;
    uint64_t quota = spool_quota_bytes(f->spool), held = spool_held_bytes(f->spool);

    return quota == 0 || held >= quota ? 1000 : (unsigned)(held * 1000 / quota);
}

static int remove_some(struct fog *f, struct spool_stream *s, struct spool_gone *gone)
{
    uint64_t left = CHUNK_RECORDS;
    int r = 0;

    outbox_stream_drop(lower_port_outbox(f->lower), s);
    for (unsigned lane = 0; lane < SPOOL_LANES; lane++)
        while (r == 0 && left > 0 && s->lane[lane].held.n > 0) {
            struct interval range = s->lane[lane].held.at[0];

            if (range.to - range.from >= left)
                range.to = range.from + left - 1;
            left -= range.to - range.from + 1;
            r = spool_remove(f->spool, s, lane, range, gone);
        }
    /* Should it be let in again, it gives anew what it still holds. */
    if (r == 0 && s->lane[0].held.n == 0 && s->lane[1].held.n == 0)
        r = inbox_forget(upper_port_inbox(f->upper), s);
    return r == -EBUSY ? 0 : r;
}

/* One that is not on the list is no such node: the list may be an old one. */
static bool is_refused_above(const struct fog *f, const struct spool_stream *s)
{
    const struct upper_port_node *n = s->own ? NULL : nodes_find(&f->nodes, s->origin);

    return n != NULL && (n->revoked || strcmp(n->site, f->d->settings->site) != 0);
}

/* The cloud refuses what a revoked node made, and what comes from another site than the node's. Such records
 * would lie here for ever and, once the store is full, hold up everybody else. While there is room they stay:
 * the operator may think again. */
int fog_make_room(struct fog *f)
{
    struct spool_gone gone = {0};
    char origin[SPOOL_NAME_BYTES] = "";
    int r = 0;

    if (fog_store_fill(f) < LOW_THOUSANDTHS)
        return 0;
    for (size_t i = spool_n_streams(f->spool); i-- > 0 && r == 0 && gone.n_records < CHUNK_RECORDS;) {
        struct spool_stream *s = spool_stream_at(f->spool, i);

        if (!is_refused_above(f, s) || (s->lane[0].held.n == 0 && s->lane[1].held.n == 0))
            continue;
        memcpy(origin, s->origin, sizeof(origin));
        r = remove_some(f, s, &gone);
    }
    if (gone.n_records > 0) {
        f->counter[FOG_RECORDS_REVOKED] += gone.n_records;
        log_warn("refused_removed",
                 "origin=%s records=%" PRIu64 " msg=\"the store is full, and the cloud refuses them\"",
                 origin, gone.n_records);
    } else if (log_latch_open(&f->full_latch, clock_mono_ns(&f->d->clock), NULL)) {
        log_warn("store_nearly_full",
                 "held_bytes=%" PRIu64 " quota_bytes=%" PRIu64
                 " msg=\"devices keep their records until the cloud has taken some of these\"",
                 spool_held_bytes(f->spool), spool_quota_bytes(f->spool));
    }
    return r < 0 ? r : 0; /* a full map: the commit says so */
}
