#include "fog/history_private.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

const struct counter_info history_counter_info[HISTORY_COUNTERS] = {
    [HISTORY_RECORDS] = {"records", COUNTER_TOTAL, "records", "Records taken into the history."},
    [HISTORY_NO_ROOM] = {"no_room", COUNTER_TOTAL, "records",
                         "Records relayed but not taken into the history: the store is full."},
    [HISTORY_BLOCKS_GONE] = {"blocks_gone", COUNTER_TOTAL, "records",
                             "Blocks that left the history for age or room."},
    [HISTORY_OTHERS_GONE] = {"others_gone", COUNTER_TOTAL, "records",
                             "Events, health reports and others that left it."},
};

enum {
    TRIM_PIECE_LEAST = 8,    /* after commits that found the map full */
    OTHERS_KEPT = 4096,      /* of each device and kind, unless these are too large */
    OTHERS_LOOKS = 4096,     /* keys of them that a commit looks at, about */
    MARGIN_THOUSANDTHS = 20, /* taken away beyond the limit, so that it is not met at once again */
    /* Of the map, in sixteenths, left for records: with less the relay's room comes first. */
    YIELDS_BELOW = 2,
    CLOSED_BELOW = 1,
};

static bool keeps(const struct history *h)
{
    return h->limits.max_bytes > 0 && h->limits.max_age_ns > 0;
}

int history_new(struct history **ret_h, struct archive *a, const char *site)
{
    struct history *h = calloc(1, sizeof *h);

    if (h == NULL)
        return -ENOMEM;
    h->archive = a;
    h->newest_ns = INT64_MIN;
    h->others_kept = OTHERS_KEPT;
    h->piece = TRIM_LEAST;
    snprintf(h->site, sizeof h->site, "%s", site);
    *ret_h = h;
    return 0;
}

struct history *history_free(struct history *h)
{
    if (h == NULL)
        return NULL;
    free(h->shelves);
    free(h);
    return NULL;
}

/* ---- in ---- */

int history_put(struct history *h, struct spool_stream *s, const struct record *r)
{
    struct archive_origin origin = {.site = h->site};
    struct archive_found found;
    int rc;

    if (!keeps(h))
        return 0;
    if (h->is_closed) {
        h->counters[HISTORY_NO_ROOM]++;
        return 0;
    }
    rc = archive_put(h->archive, s, r, &origin, &found);
    if (rc < 0)
        return rc;
    h->n_put++;
    if (rc > 0) {
        h->counters[HISTORY_NO_ROOM] += rc == ARCHIVE_FULL;
        return 0;
    }
    h->counters[HISTORY_RECORDS] += !found.was_here;
    if (found.is_block && found.time_last_ns > h->newest_ns)
        h->newest_ns = found.time_last_ns;
    return found.is_block ? shelves_note(h, &found) : 0;
}

int history_forget(struct history *h, const struct spool_stream *s)
{
    return archive_forget(h->archive, s);
}

static int64_t age_limit(const struct history *h, int64_t now_unix_ns)
{
    int64_t now = h->newest_ns < now_unix_ns ? h->newest_ns : now_unix_ns;

    if (!keeps(h))
        return INT64_MAX;
    return now < INT64_MIN + h->limits.max_age_ns ? INT64_MIN : now - h->limits.max_age_ns;
}

int history_flush(struct history *h, int64_t now_unix_ns)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct trim t = {.left = h->piece + (h->piece == TRIM_LEAST ? 2 * h->n_put : 0),
                     .looks = OTHERS_LOOKS,
                     .older_than_ns = age_limit(h, now_unix_ns)};
    int r = archive_flush(h->archive);

    if (r != 0 || !h->is_limited)
        return r;
    r = spool_txn(archive_spool(h->archive), &t.txn);
    if (r == 0)
        r = db_cursor_new(t.txn, ARCHIVE_TABLE_SAMPLES, &c);
    t.cursor = c;
    if (r == 0)
        r = history_trim_blocks(h, &t, now_unix_ns);
    while (r == 0 && h->wants_others && t.left > 0 && t.looks > 0)
        r = history_trim_others(h, &t);
    return r == DB_FULL ? ARCHIVE_FULL : r;
}

void history_committed(struct history *h)
{
    archive_committed(h->archive, NULL, NULL);
    h->n_put = 0;
    h->piece = h->piece > TRIM_LEAST / 2 ? TRIM_LEAST : h->piece * 2;
}

/* To take away takes pages, too. In a map without any the same piece would fail again, and with it whatever
 * else the commit was for. */
int history_reload(struct history *h)
{
    h->n_put = 0;
    h->piece = h->piece < 4 * TRIM_PIECE_LEAST ? TRIM_PIECE_LEAST : h->piece / 4;
    h->shelves_known = false;
    return archive_reload(h->archive);
}

/* ---- looking ---- */

/* They go by their number, not by their size. When they take more than half of the limit, or a crowded map
 * has no blocks to give any more, fewer stay; and more again when they take little. */
static void look_at_others(struct history *h, uint64_t bytes, bool is_crowded)
{
    h->others_are_many = bytes > h->limits.max_bytes / 2 || (is_crowded && h->n_blocks == 0);
    if (h->others_at.device != 0 || h->others_at.kind != 0)
        return; /* the walk is under way: what it took away is not seen yet */
    if (!keeps(h))
        h->others_kept = 0;
    else if (h->others_are_many)
        h->others_kept = h->others_kept < 2 ? 1 : h->others_kept * 3 / 4;
    else if (bytes < h->limits.max_bytes / 4 && h->others_kept < OTHERS_KEPT)
        h->others_kept += h->others_kept / 4 + 1;
    if (h->others_kept > OTHERS_KEPT)
        h->others_kept = OTHERS_KEPT;
    h->wants_others = h->n_others > h->others_kept;
}

void history_look(struct history *h)
{
    struct db_stat_table tables[FOG_TABLES];
    struct spool *spool = archive_spool(h->archive);
    struct db *db = spool_db(spool);
    unsigned n = db_stat(db, tables, FOG_TABLES);
    uint64_t limit = h->limits.max_bytes, sixteenth = db_map_bytes(db) / 16, blocks = 0, others = 0;
    uint64_t room = spool_room_bytes(spool);
    bool is_crowded = room < YIELDS_BELOW * sixteenth;

    assert(n <= FOG_TABLES);
    if (n > ARCHIVE_TABLE_OTHERS) {
        h->n_blocks = tables[ARCHIVE_TABLE_SAMPLES].entries;
        h->n_others = tables[ARCHIVE_TABLE_OTHERS].entries;
        blocks = tables[ARCHIVE_TABLE_SAMPLES].bytes;
        others = tables[ARCHIVE_TABLE_OTHERS].bytes;
    }
    h->table_bytes = blocks + others;
    look_at_others(h, others, is_crowded);
    limit -= others < limit / 2 ? others : limit / 2;
    h->excess_bytes = blocks > limit ? blocks - limit + limit / 1000 * MARGIN_THOUSANDTHS : 0;
    if (is_crowded && h->excess_bytes < blocks / 16)
        h->excess_bytes = blocks / 16;
    h->is_closed = room < CLOSED_BELOW * sixteenth;
}

void history_limit(struct history *h, const struct history_limits *limits)
{
    h->limits = *limits;
    h->is_limited = true;
    history_look(h);
}

bool history_has_to_go(const struct history *h)
{
    /* With one of each left the rest stays, however much it is. */
    return (h->excess_bytes > 0 && h->n_blocks > 0) ||
           (h->wants_others && h->others_are_many && h->others_kept > 1);
}

void history_status(const struct history *h, struct history_status *ret)
{
    *ret = (struct history_status){.bytes = h->table_bytes,
                                   .max_bytes = keeps(h) ? h->limits.max_bytes : 0,
                                   .blocks = h->n_blocks,
                                   .others = h->n_others,
                                   .oldest_ns = history_oldest_ns(h),
                                   .newest_ns = h->newest_ns,
                                   .max_age_ns = h->limits.max_age_ns};
}

const uint64_t *history_counters(const struct history *h)
{
    return h->counters;
}
