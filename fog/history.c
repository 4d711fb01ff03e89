#include "fog/history.h"

#include "archive/block_head.h"
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
    TRIM_LEAST = 512,        /* records that a commit takes away at least, when something has to go */
    TRIM_PIECE_LEAST = 8,    /* the same, after commits that found the map full */
    OTHERS_KEPT = 4096,      /* of each device and kind, unless these are too large */
    OTHERS_LOOKS = 4096,     /* keys of them that a commit looks at, about */
    OTHERS_LOOK_GROUP = 16,  /* what a device and kind costs of that beside its keys */
    MARGIN_THOUSANDTHS = 20, /* taken away beyond the limit, so that it is not met at once again */
    /* Of the map, in sixteenths, left for records: with less the relay's room comes first. */
    YIELDS_BELOW = 2,
    CLOSED_BELOW = 1,
};

/* Its first block, of which the time is known, is the next of this set to go. */
struct shelf {
    uint32_t device, set;
    int64_t first_ns;
    bool is_empty;
};

struct history {
    struct archive *archive;
    char site[SPOOL_NAME_BYTES];
    struct history_limits limits;
    uint64_t table_bytes, n_blocks, n_others; /* when last looked */
    uint64_t excess_bytes;                    /* of blocks, to go, by the size of values */
    unsigned others_kept;                     /* of each device and kind */
    int64_t newest_ns;
    unsigned n_put; /* since the last commit */
    unsigned piece; /* what a commit takes away at least */
    struct shelf *shelves;
    size_t n_shelves, alloc_shelves;
    bool is_limited, shelves_known, wants_others, others_are_many, is_closed;
    struct other_key others_at; /* where the walk over other records goes on */
    uint64_t counters[HISTORY_COUNTERS];
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
    struct block_head head;
    bool has_covers;
    int rc;

    if (!keeps(h))
        return 0;
    if (h->is_closed) {
        h->counters[HISTORY_NO_ROOM]++;
        return 0;
    }
    rc = archive_set_site(h->archive, s->origin, h->site); /* which may have been another one, or is lost */
    if (rc == 0)
        rc = archive_put(h->archive, s, r, &origin, &has_covers);
    if (rc < 0)
        return rc;
    h->n_put++;
    if (rc > 0) {
        h->counters[HISTORY_NO_ROOM] += rc == ARCHIVE_FULL;
        return 0;
    }
    h->counters[HISTORY_RECORDS]++;
    if (r->kind == FOGLINE__V1__KIND__KIND_BLOCK && block_head_read(r->payload, &head)) {
        int64_t last_ns;

        if (__builtin_add_overflow(head.time_first_ns, (int64_t)head.time_span_ns, &last_ns))
            last_ns = INT64_MAX;
        if (last_ns > h->newest_ns)
            h->newest_ns = last_ns;
    }
    return 0;
}

int history_forget(struct history *h, const struct spool_stream *s)
{
    return archive_forget(h->archive, s);
}

/* ---- what has to go ---- */

static int shelf_add(struct history *h, const struct sample_key *k)
{
    if (h->n_shelves == h->alloc_shelves) {
        size_t n = h->alloc_shelves == 0 ? 64 : 2 * h->alloc_shelves;
        struct shelf *at = reallocarray(h->shelves, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        h->shelves = at;
        h->alloc_shelves = n;
    }
    h->shelves[h->n_shelves++] =
        (struct shelf){.device = k->device, .set = k->set, .first_ns = k->time_first_ns};
    return 0;
}

/* The first block of each set: one look-up each. */
static int find_shelves(struct history *h, struct db_txn *txn)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct sample_key k = {.time_first_ns = INT64_MIN};
    struct row_key from;
    struct span key;
    int r = db_cursor_new(txn, ARCHIVE_TABLE_SAMPLES, &c);

    h->n_shelves = 0;
    sample_key_put(&from, &k);
    while (r == 0) {
        r = db_cursor_seek(c, row_key_span(&from), &key, NULL);
        if (r != 0 || !sample_key_get(key, &k))
            break;
        r = shelf_add(h, &k);
        k = (struct sample_key){k.device, k.set + 1, INT64_MIN, 0, 0, 0};
        sample_key_put(&from, &k);
    }
    h->shelves_known = r == 0 || r == DB_NOT_FOUND;
    return r == DB_NOT_FOUND ? 0 : r;
}

static struct shelf *oldest_shelf(const struct history *h, int64_t *ret_next_ns)
{
    struct shelf *oldest = NULL;

    *ret_next_ns = INT64_MAX;
    for (size_t i = 0; i < h->n_shelves; i++) {
        struct shelf *s = &h->shelves[i];

        if (s->is_empty)
            continue;
        if (oldest == NULL || s->first_ns < oldest->first_ns) {
            *ret_next_ns = oldest != NULL ? oldest->first_ns : *ret_next_ns;
            oldest = s;
        } else if (s->first_ns < *ret_next_ns) {
            *ret_next_ns = s->first_ns;
        }
    }
    return oldest;
}

struct trim {
    struct db_txn *txn;
    struct db_cursor *cursor;
    int64_t older_than_ns; /* goes for age */
    unsigned left;
    int looks; /* at others, left */
};

static bool must_go(const struct history *h, const struct trim *t, int64_t first_ns)
{
    return t->left > 0 && (first_ns < t->older_than_ns || h->excess_bytes > 0);
}

/* From the front of the set, until another set has older ones. */
static int trim_shelf(struct history *h, struct trim *t, struct shelf *s, int64_t next_ns)
{
    struct sample_key k = {s->device, s->set, INT64_MIN, 0, 0, 0};
    struct row_key from;
    struct span key, value;
    int r;

    sample_key_put(&from, &k);
    for (r = db_cursor_seek(t->cursor, row_key_span(&from), &key, &value); r == 0 || r == DB_DAMAGED;
         r = db_cursor_next(t->cursor, &key, &value)) {
        uint64_t bytes = r == 0 ? key.len + value.len : key.len;

        if (!sample_key_get(key, &k) || k.device != s->device || k.set != s->set)
            break;
        s->first_ns = k.time_first_ns;
        if (k.time_first_ns > next_ns || !must_go(h, t, k.time_first_ns))
            return 0;
        r = db_cursor_del(t->cursor);
        if (r != 0)
            return r;
        h->excess_bytes -= bytes < h->excess_bytes ? bytes : h->excess_bytes;
        h->counters[HISTORY_BLOCKS_GONE]++;
        t->left--;
    }
    s->is_empty = true;
    return r == DB_NOT_FOUND || r == DB_DAMAGED ? 0 : r;
}

static int trim_blocks(struct history *h, struct trim *t)
{
    int r = h->shelves_known ? 0 : find_shelves(h, t->txn);

    while (r == 0) {
        int64_t next_ns;
        struct shelf *s = oldest_shelf(h, &next_ns);

        if (s == NULL || !must_go(h, t, s->first_ns))
            break;
        r = trim_shelf(h, t, s, next_ns);
    }
    return r;
}

/* Of each device and kind the last ones stay: from the last one backwards, what is further away goes. One
 * device and kind a call. Descriptors stay: blocks mean nothing without them. */
static int trim_others(struct history *h, struct trim *t)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct other_key at = h->others_at, k;
    unsigned n = 0;
    struct row_key from;
    struct span key;
    int r = db_cursor_new(t->txn, ARCHIVE_TABLE_OTHERS, &c);

    if (r != 0)
        return r;
    other_key_put(&from, &at);
    r = db_cursor_seek(c, row_key_span(&from), &key, NULL);
    if (r != 0 || !other_key_get(key, &k)) {
        h->wants_others = false;
        h->others_at = (struct other_key){0};
        return r == DB_NOT_FOUND ? 0 : r;
    }
    h->others_at = (struct other_key){k.device, k.kind + 1, 0, 0};
    t->looks -= OTHERS_LOOK_GROUP;
    if (k.kind == FOGLINE__V1__KIND__KIND_DESCRIPTOR)
        return 0;
    at = k;
    other_key_put(&from, &h->others_at);
    r = db_cursor_seek(c, row_key_span(&from), &key, NULL);
    r = r == DB_NOT_FOUND ? db_cursor_last(c, &key, NULL) : r == 0 ? db_cursor_prev(c, &key, NULL) : r;
    for (; r == 0 && t->left > 0; r = db_cursor_prev(c, &key, NULL)) {
        if (!other_key_get(key, &k) || k.device != at.device || k.kind != at.kind)
            return 0;
        t->looks--;
        if (++n <= h->others_kept)
            continue;
        r = db_cursor_del(c);
        if (r != 0)
            return r;
        h->counters[HISTORY_OTHERS_GONE]++;
        t->left--;
    }
    return r == DB_NOT_FOUND ? 0 : r;
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
        r = trim_blocks(h, &t);
    while (r == 0 && h->wants_others && t.left > 0 && t.looks > 0)
        r = trim_others(h, &t);
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
    h->shelves_known = false;
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
    int64_t next_ns;
    const struct shelf *oldest = oldest_shelf(h, &next_ns);

    *ret = (struct history_status){.bytes = h->table_bytes,
                                   .max_bytes = keeps(h) ? h->limits.max_bytes : 0,
                                   .blocks = h->n_blocks,
                                   .others = h->n_others,
                                   .oldest_ns = oldest != NULL ? oldest->first_ns : INT64_MAX,
                                   .newest_ns = h->newest_ns,
                                   .max_age_ns = h->limits.max_age_ns};
}

const uint64_t *history_counters(const struct history *h)
{
    return h->counters;
}
