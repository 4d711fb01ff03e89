#include "base/interval.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_ALLOC = 8,
    FEW = 8, /* up to here, single steps beat a merge of everything */
};

void interval_set_deinit(struct interval_set *s)
{
    free(s->at);
    *s = (struct interval_set){0};
}

void interval_set_clear(struct interval_set *s)
{
    s->n = 0;
}

static must_check int reserve(struct interval_set *s, size_t n)
{
    size_t alloc = s->alloc == 0 ? FIRST_ALLOC : s->alloc;
    struct interval *at;

    if (n <= s->alloc)
        return 0;
    while (alloc < n)
        alloc *= 2;
    at = reallocarray(s->at, alloc, sizeof *at);
    if (at == NULL)
        return -ENOMEM;
    s->at = at;
    s->alloc = alloc;
    return 0;
}

/* Keeps the two reserved numbers out. false when nothing is left. */
static bool clamp(uint64_t *from, uint64_t *to)
{
    assert(*from <= *to);
    if (*from == 0)
        *from = 1;
    if (*to == UINT64_MAX)
        *to = UINT64_MAX - 1;
    return *from <= *to;
}

size_t interval_set_find(const struct interval_set *s, uint64_t x)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (s->at[mid].to < x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Replaces the n_old intervals at i by n_new uninitialised ones (room must be there). */
static void splice(struct interval_set *s, size_t i, size_t n_old, size_t n_new)
{
    size_t n_behind = s->n - i - n_old;

    if (n_old != n_new && n_behind > 0)
        memmove(s->at + i + n_new, s->at + i + n_old, n_behind * sizeof *s->at);
    s->n = s->n - n_old + n_new;
}

int interval_set_add(struct interval_set *s, uint64_t from, uint64_t to)
{
    struct interval *last = s->n > 0 ? &s->at[s->n - 1] : NULL;
    size_t first, end;
    int r;

    if (!clamp(&from, &to))
        return 0;
    if (last != NULL && from >= last->from && from <= last->to + 1) {
        if (to > last->to)
            last->to = to;
        return 0;
    }
    r = reserve(s, s->n + 1);
    if (r < 0)
        return r;
    if (last == NULL || from > s->at[s->n - 1].to) {
        s->at[s->n++] = (struct interval){from, to};
        return 0;
    }
    first = interval_set_find(s, from - 1);
    end = interval_set_find(s, to);
    if (end < s->n && s->at[end].from <= to + 1)
        end++;
    if (end > first) {
        if (s->at[first].from < from)
            from = s->at[first].from;
        if (s->at[end - 1].to > to)
            to = s->at[end - 1].to;
    }
    splice(s, first, end - first, 1);
    s->at[first] = (struct interval){from, to};
    return 0;
}

int interval_set_remove(struct interval_set *s, uint64_t from, uint64_t to)
{
    size_t first, end;
    int r;

    if (!clamp(&from, &to))
        return 0;
    first = interval_set_find(s, from);
    if (first == s->n || s->at[first].from > to)
        return 0;
    if (s->at[first].from < from && s->at[first].to > to) {
        r = reserve(s, s->n + 1);
        if (r < 0)
            return r;
        splice(s, first, 0, 1);
        s->at[first] = (struct interval){s->at[first + 1].from, from - 1};
        s->at[first + 1].from = to + 1;
        return 0;
    }
    if (s->at[first].from < from)
        s->at[first++].to = from - 1;
    end = interval_set_find(s, to);
    if (end < s->n && s->at[end].to == to)
        end++;
    else if (end < s->n && s->at[end].from <= to)
        s->at[end].from = to + 1;
    if (end > first)
        splice(s, first, end - first, 0);
    return 0;
}

int interval_set_copy(struct interval_set *to, const struct interval_set *from)
{
    int r;

    if (to == from)
        return 0;
    r = reserve(to, from->n);
    if (r < 0)
        return r;
    if (from->n > 0)
        memcpy(to->at, from->at, from->n * sizeof *to->at);
    to->n = from->n;
    return 0;
}

static void replace(struct interval_set *s, struct interval_set *by)
{
    free(s->at);
    *s = *by;
}

/* Appends behind the tail, where room is reserved; joins what touches. */
static void push(struct interval_set *s, struct interval x)
{
    struct interval *last = s->n > 0 ? &s->at[s->n - 1] : NULL;

    if (last != NULL && x.from <= last->to + 1) {
        if (x.to > last->to)
            last->to = x.to;
        return;
    }
    s->at[s->n++] = x;
}

int interval_set_unite(struct interval_set *s, const struct interval_set *with)
{
    struct interval_set sum = {0};
    size_t i = 0, j = 0;
    int r;

    if (s == with || with->n == 0)
        return 0;
    if (with->n <= FEW) {
        /* With room for all of them, no later step can fail half-way. */
        r = reserve(s, s->n + with->n);
        for (; r == 0 && j < with->n; j++)
            r = interval_set_add(s, with->at[j].from, with->at[j].to);
        return r;
    }
    r = reserve(&sum, s->n + with->n);
    if (r < 0)
        return r;
    while (i < s->n || j < with->n) {
        if (j == with->n || (i < s->n && s->at[i].from <= with->at[j].from))
            push(&sum, s->at[i++]);
        else
            push(&sum, with->at[j++]);
    }
    replace(s, &sum);
    return 0;
}

int interval_set_subtract(struct interval_set *s, const struct interval_set *what)
{
    struct interval_set rest = {0};
    size_t i, j = 0;
    int r;

    if (s == what) {
        interval_set_clear(s);
        return 0;
    }
    if (s->n == 0 || what->n == 0)
        return 0;
    if (what->n <= FEW) {
        r = reserve(s, s->n + what->n);
        for (; r == 0 && j < what->n; j++)
            r = interval_set_remove(s, what->at[j].from, what->at[j].to);
        return r;
    }
    r = reserve(&rest, s->n + what->n);
    if (r < 0)
        return r;
    for (i = 0; i < s->n; i++) {
        struct interval x = s->at[i];

        while (j < what->n && what->at[j].to < x.from)
            j++;
        while (j < what->n && what->at[j].from <= x.to && x.from <= x.to) {
            if (what->at[j].from > x.from)
                push(&rest, (struct interval){x.from, what->at[j].from - 1});
            x.from = what->at[j].to + 1;
            if (what->at[j].to > x.to)
                break;
            j++;
        }
        if (x.from <= x.to)
            push(&rest, x);
    }
    replace(s, &rest);
    return 0;
}

int interval_set_intersect(struct interval_set *s, const struct interval_set *with)
{
    struct interval_set both = {0};
    size_t i = 0, j = 0;
    int r;

    if (s == with)
        return 0;
    if (s->n == 0 || with->n == 0) {
        interval_set_clear(s);
        return 0;
    }
    r = reserve(&both, s->n + with->n);
    if (r < 0)
        return r;
    while (i < s->n && j < with->n) {
        const struct interval *a = &s->at[i], *b = &with->at[j];
        uint64_t from = a->from > b->from ? a->from : b->from;
        uint64_t to = a->to < b->to ? a->to : b->to;

        if (from <= to)
            push(&both, (struct interval){from, to});
        if (a->to < b->to)
            i++;
        else
            j++;
    }
    replace(s, &both);
    return 0;
}

bool interval_set_has(const struct interval_set *s, uint64_t x)
{
    size_t i = interval_set_find(s, x);

    return i < s->n && s->at[i].from <= x;
}

bool interval_set_covers(const struct interval_set *s, uint64_t from, uint64_t to)
{
    size_t i = interval_set_find(s, from);

    return i < s->n && s->at[i].from <= from && to <= s->at[i].to;
}

uint64_t interval_set_count(const struct interval_set *s)
{
    uint64_t n = 0;
    size_t i;

    for (i = 0; i < s->n; i++)
        n += s->at[i].to - s->at[i].from + 1;
    return n;
}

uint64_t interval_set_count_in(const struct interval_set *s, uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    size_t i;

    for (i = interval_set_find(s, from); i < s->n && s->at[i].from <= to; i++) {
        uint64_t a = s->at[i].from > from ? s->at[i].from : from;
        uint64_t b = s->at[i].to < to ? s->at[i].to : to;

        n += b - a + 1;
    }
    return n;
}

bool interval_set_equal(const struct interval_set *a, const struct interval_set *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->at, b->at, a->n * sizeof *a->at) == 0);
}

size_t interval_set_n_with(const struct interval_set *s, uint64_t x)
{
    size_t i, n = s->n + 1;

    if (x == 0 || x == UINT64_MAX)
        return s->n;
    i = interval_set_find(s, x);
    if (i < s->n && s->at[i].from <= x)
        return s->n;
    if (i > 0 && s->at[i - 1].to + 1 == x)
        n--;
    if (i < s->n && s->at[i].from == x + 1)
        n--;
    return n;
}

bool interval_set_next(const struct interval_set *s, uint64_t from, uint64_t *ret_x)
{
    size_t i = interval_set_find(s, from);

    if (i == s->n)
        return false;
    *ret_x = s->at[i].from > from ? s->at[i].from : from;
    return true;
}

uint64_t interval_set_next_missing(const struct interval_set *s, uint64_t from)
{
    size_t i = interval_set_find(s, from);

    return i < s->n && s->at[i].from <= from ? s->at[i].to + 1 : from;
}

char *interval_set_format(const struct interval_set *s, char *out, size_t out_bytes)
{
    size_t i, len = 0;

    if (out_bytes == 0)
        return out;
    out[0] = '\0';
    for (i = 0; i < s->n; i++) {
        const char *comma = i > 0 ? "," : "";
        /* Behind each but the last there must still be room for the mark of the cut. */
        size_t reserved = i + 1 < s->n ? strlen(",...") : 0;
        char item[48];
        size_t n;

        if (s->at[i].from == s->at[i].to)
            n = (size_t)snprintf(item, sizeof item, "%s%" PRIu64, comma, s->at[i].from);
        else
            n = (size_t)snprintf(item, sizeof item, "%s%" PRIu64 "-%" PRIu64, comma, s->at[i].from,
                                 s->at[i].to);
        if (len + n + reserved >= out_bytes) {
            snprintf(out + len, out_bytes - len, "%s...", comma);
            break;
        }
        memcpy(out + len, item, n + 1);
        len += n;
    }
    return out;
}
