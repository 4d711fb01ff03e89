/* interval.h - sets of 64-bit numbers as sorted, disjoint, non-adjacent closed intervals.
 *
 * The ledger, the acknowledgements and the spool's accounts are arithmetic on these. Pure: memory in, memory
 * out. Invariant between calls: at[i].from <= at[i].to and at[i].to + 1 < at[i + 1].from. 0 and UINT64_MAX
 * are never members. Threads: one owner. */
#ifndef FOGLINE_BASE_INTERVAL_H
#define FOGLINE_BASE_INTERVAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
    uint64_t from, to; /* both included */
};

/* Zero-initialised is the empty set. */
struct interval_set {
    struct interval *at;
    size_t n, alloc;
};

void interval_set_deinit(struct interval_set *s);
void interval_set_clear(struct interval_set *s); /* empty, keeps memory */

/* Each returns 0 or -ENOMEM (the set is then unchanged). from <= to is asserted: check what a peer sends
 * first. 0 and UINT64_MAX in a range are left out without a word. Both arguments may be the same set. */
must_check int interval_set_add(struct interval_set *s, uint64_t from, uint64_t to);
must_check int interval_set_remove(struct interval_set *s, uint64_t from, uint64_t to);
must_check int interval_set_copy(struct interval_set *to, const struct interval_set *from);
must_check int interval_set_unite(struct interval_set *s, const struct interval_set *with);
must_check int interval_set_subtract(struct interval_set *s, const struct interval_set *what);
must_check int interval_set_intersect(struct interval_set *s, const struct interval_set *with);

bool interval_set_has(const struct interval_set *s, uint64_t x);
bool interval_set_covers(const struct interval_set *s, uint64_t from, uint64_t to);
uint64_t interval_set_count(const struct interval_set *s); /* members, not intervals */
uint64_t interval_set_count_in(const struct interval_set *s, uint64_t from, uint64_t to);
bool interval_set_equal(const struct interval_set *a, const struct interval_set *b);
/* How many intervals the set would have after adding x alone; without adding. */
size_t interval_set_n_with(const struct interval_set *s, uint64_t x);
/* Index of the interval that holds x, or of the first one above x (== n when none). Binary search. */
size_t interval_set_find(const struct interval_set *s, uint64_t x);
/* Lowest number >= from that is (not) a member; false when none (a missing one always exists). */
bool interval_set_next(const struct interval_set *s, uint64_t from, uint64_t *ret_x);
uint64_t interval_set_next_missing(const struct interval_set *s, uint64_t from);
/* "1-4,7,9-12" into out, cut with "..." when too long; returns out. */
char *interval_set_format(const struct interval_set *s, char *out, size_t out_bytes);

#endif
