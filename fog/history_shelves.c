/* Which set has the oldest block: one queue for each set, kept while blocks come and go, so that nothing is
 * looked up while nothing has to go.
 *
 * A device whose clock is far ahead would otherwise keep everything and take the others' room: its blocks are
 * never the oldest. Such blocks stand in a queue of their own, and are as old as their distance to the newest
 * of them. What is ahead is told by the wall clock or by the newest blocks of the sets, the middle one of
 * them, whichever is later: a fog without a clock goes by what its devices say. */
#include "fog/history_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

#define AHEAD_NS (INT64_C(3600) * 1000000000) /* more than this is no clock that drifts */
#define REFIND_NS (INT64_C(600) * 1000000000)

static int shelf_order(const struct shelf *s, uint32_t device, uint32_t set, bool is_ahead)
{
    if (s->device != device)
        return s->device < device ? -1 : 1;
    if (s->set != set)
        return s->set < set ? -1 : 1;
    return (int)s->is_ahead - (int)is_ahead;
}

/* Where it is, or would be. */
static size_t shelf_place(const struct history *h, uint32_t device, uint32_t set, bool is_ahead)
{
    size_t low = 0, high = h->n_shelves;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (shelf_order(&h->shelves[mid], device, set, is_ahead) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int shelf_insert(struct history *h, size_t at, const struct shelf *s)
{
    if (h->n_shelves == h->alloc_shelves) {
        size_t n = h->alloc_shelves == 0 ? 64 : 2 * h->alloc_shelves;
        struct shelf *shelves = reallocarray(h->shelves, n, sizeof *shelves);

        if (shelves == NULL)
            return -ENOMEM;
        h->shelves = shelves;
        h->alloc_shelves = n;
    }
    memmove(h->shelves + at + 1, h->shelves + at, (h->n_shelves - at) * sizeof *s);
    h->shelves[at] = *s;
    h->n_shelves++;
    return 0;
}

int shelves_note(struct history *h, const struct archive_found *b)
{
    bool is_ahead = b->time_first_ns >= h->ahead_from_ns;
    struct shelf *s;
    size_t at;

    if (!h->shelves_known)
        return 0;
    at = shelf_place(h, b->device, b->set, is_ahead);
    s = &h->shelves[at];
    if (at == h->n_shelves || shelf_order(s, b->device, b->set, is_ahead) != 0)
        return shelf_insert(h, at,
                            &(struct shelf){.device = b->device,
                                            .set = b->set,
                                            .is_ahead = is_ahead,
                                            .first_ns = b->time_first_ns,
                                            .last_ns = b->time_first_ns});
    if (s->is_empty || b->time_first_ns < s->first_ns)
        s->first_ns = b->time_first_ns;
    if (s->is_empty || b->time_first_ns > s->last_ns)
        s->last_ns = b->time_first_ns;
    s->is_empty = false;
    return 0;
}

/* The first and the last block of each set: two look-ups each. */
static int find_sets(struct history *h, struct db_cursor *c)
{
    struct sample_key k = {.time_first_ns = INT64_MIN}, last;
    struct row_key from;
    struct span key;
    int r;

    for (;;) {
        struct shelf s;

        sample_key_put(&from, &k);
        r = db_cursor_seek(c, row_key_span(&from), &key, NULL);
        if (r != 0 || !sample_key_get(key, &k))
            return r == DB_NOT_FOUND ? 0 : r;
        s = (struct shelf){.device = k.device, .set = k.set, .first_ns = k.time_first_ns};
        k = (struct sample_key){k.device, k.set + 1, INT64_MIN, 0, 0, 0};
        sample_key_put(&from, &k);
        r = db_cursor_seek(c, row_key_span(&from), &key, NULL);
        r = r == DB_NOT_FOUND ? db_cursor_last(c, &key, NULL) : r == 0 ? db_cursor_prev(c, &key, NULL) : r;
        if (r != 0 || !sample_key_get(key, &last))
            return r;
        s.last_ns = last.time_first_ns;
        r = shelf_insert(h, h->n_shelves, &s);
        if (r != 0)
            return r;
    }
}

static int time_order(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static int find_ahead(struct history *h, int64_t now_unix_ns)
{
    owned(free_ptr) int64_t *newest = calloc(h->n_shelves + 1, sizeof *newest);
    int64_t now_ns = now_unix_ns;

    if (newest == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < h->n_shelves; i++)
        newest[i] = h->shelves[i].last_ns;
    if (h->n_shelves > 0) {
        qsort(newest, h->n_shelves, sizeof *newest, time_order);
        if (newest[(h->n_shelves - 1) / 2] > now_ns)
            now_ns = newest[(h->n_shelves - 1) / 2];
    }
    h->ahead_now_ns = now_ns;
    h->ahead_from_ns = now_ns > INT64_MAX - AHEAD_NS ? INT64_MAX : now_ns + AHEAD_NS;
    return 0;
}

/* A set with blocks on both sides gets its second queue. */
static int split_shelf(struct history *h, struct db_cursor *c, size_t i)
{
    struct shelf ahead = h->shelves[i];
    struct sample_key k = {ahead.device, ahead.set, h->ahead_from_ns, 0, 0, 0};
    struct row_key from;
    struct span key;
    int r;

    ahead.is_ahead = true;
    if (ahead.first_ns >= h->ahead_from_ns) {
        h->shelves[i] = ahead;
        return 0;
    }
    sample_key_put(&from, &k);
    r = db_cursor_seek(c, row_key_span(&from), &key, NULL);
    if (r != 0 || !sample_key_get(key, &k))
        return r;
    ahead.first_ns = k.time_first_ns;
    r = db_cursor_prev(c, &key, NULL);
    if (r != 0 || !sample_key_get(key, &k))
        return r;
    h->shelves[i].last_ns = k.time_first_ns;
    return shelf_insert(h, i + 1, &ahead);
}

static bool clock_moved(const struct history *h, int64_t now_unix_ns)
{
    return now_unix_ns < h->shelves_now_ns || now_unix_ns - h->shelves_now_ns > REFIND_NS;
}

int shelves_find(struct history *h, struct db_txn *txn, int64_t now_unix_ns)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    int r;

    if (h->shelves_known && !clock_moved(h, now_unix_ns)) {
        /* Its distance to the wall clock stays: both go on alike. */
        h->ahead_now_ns = h->ahead_from_ns - AHEAD_NS + (now_unix_ns - h->shelves_now_ns);
        return 0;
    }
    h->n_shelves = 0;
    h->shelves_known = false;
    r = db_cursor_new(txn, ARCHIVE_TABLE_SAMPLES, &c);
    if (r == 0)
        r = find_sets(h, c);
    if (r == 0)
        r = find_ahead(h, now_unix_ns);
    for (size_t i = h->n_shelves; r == 0 && i-- > 0;)
        if (h->shelves[i].last_ns >= h->ahead_from_ns)
            r = split_shelf(h, c, i);
    h->shelves_now_ns = now_unix_ns;
    h->shelves_known = r == 0;
    return r;
}

int64_t shelf_time(const struct history *h, const struct shelf *s, int64_t first_ns)
{
    int64_t ahead_ns, counts_ns;

    if (!s->is_ahead)
        return first_ns;
    if (__builtin_sub_overflow(s->last_ns, first_ns, &ahead_ns) ||
        __builtin_sub_overflow(h->ahead_now_ns, ahead_ns, &counts_ns))
        return INT64_MIN;
    return counts_ns;
}

struct shelf *shelves_oldest(struct history *h, int64_t *ret_next_ns)
{
    struct shelf *oldest = NULL;
    int64_t oldest_ns = INT64_MAX;

    *ret_next_ns = INT64_MAX;
    for (size_t i = 0; i < h->n_shelves; i++) {
        struct shelf *s = &h->shelves[i];
        int64_t first_ns = shelf_time(h, s, s->first_ns);

        if (s->is_empty)
            continue;
        if (oldest == NULL || first_ns < oldest_ns) {
            *ret_next_ns = oldest != NULL ? oldest_ns : *ret_next_ns;
            oldest = s;
            oldest_ns = first_ns;
        } else if (first_ns < *ret_next_ns) {
            *ret_next_ns = first_ns;
        }
    }
    return oldest;
}
