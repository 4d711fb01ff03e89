/* What leaves the history: blocks oldest first over all sets, of other records all but the newest. */
#include "fog/history_private.h"

#include "base/cleanup.h"

enum { OTHERS_LOOK_GROUP = 16 /* what a device and kind costs of the looks, beside its keys */ };

static bool must_go(const struct history *h, const struct trim *t, int64_t counts_ns)
{
    return t->left > 0 && (counts_ns < t->older_than_ns || h->excess_bytes > 0);
}

/* From the front of the queue, until another one has older blocks. */
static int trim_shelf(struct history *h, struct trim *t, struct shelf *s, int64_t next_ns)
{
    struct sample_key k = {s->device, s->set, s->is_ahead ? h->ahead_from_ns : INT64_MIN, 0, 0, 0};
    struct row_key from;
    struct span key, value;
    int r;

    sample_key_put(&from, &k);
    for (r = db_cursor_seek(t->cursor, row_key_span(&from), &key, &value); r == 0 || r == DB_DAMAGED;
         r = db_cursor_next(t->cursor, &key, &value)) {
        uint64_t bytes = r == 0 ? key.len + value.len : key.len;
        int64_t counts_ns;

        if (!sample_key_get(key, &k) || k.device != s->device || k.set != s->set ||
            (!s->is_ahead && k.time_first_ns >= h->ahead_from_ns))
            break;
        s->first_ns = k.time_first_ns;
        counts_ns = shelf_time(h, s, k.time_first_ns);
        if (counts_ns > next_ns || !must_go(h, t, counts_ns))
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

int history_trim_blocks(struct history *h, struct trim *t, int64_t now_unix_ns)
{
    int r = shelves_find(h, t->txn, now_unix_ns);

    while (r == 0) {
        int64_t next_ns;
        struct shelf *s = shelves_oldest(h, &next_ns);

        if (s == NULL || !must_go(h, t, shelf_time(h, s, s->first_ns)))
            break;
        r = trim_shelf(h, t, s, next_ns);
    }
    return r;
}

int64_t history_oldest_ns(const struct history *h)
{
    int64_t oldest_ns = INT64_MAX;

    for (size_t i = 0; i < h->n_shelves; i++)
        if (!h->shelves[i].is_empty && h->shelves[i].first_ns < oldest_ns)
            oldest_ns = h->shelves[i].first_ns;
    return oldest_ns;
}

/* Of each device and kind the last ones stay: from the last one backwards, what is further away goes. One
 * device and kind a call. Descriptors stay: blocks mean nothing without them. */
int history_trim_others(struct history *h, struct trim *t)
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
