/* query_private.h - what a query has folded, by group and bucket, and what becomes of it. Inside
 * common/archive only. */
#ifndef FOGLINE_ARCHIVE_QUERY_PRIVATE_H
#define FOGLINE_ARCHIVE_QUERY_PRIVATE_H

#include "archive/query.h"
#include "archive/query_cells.h"

/* Borrows its names from the view or from the parts. NULL: not grouped by; of unit: it differs. */
struct query_group {
    const char *site, *device, *channel, *unit;
};

/* Made by query_table_init. */
struct query_table {
    struct query_group *groups;
    size_t n_groups, alloc_groups;
    uint32_t *slots; /* open addressing: index + 1 */
    size_t n_slots;
    struct query_cells cells;
    uint64_t n_again; /* blocks left out */
};

void query_table_init(struct query_table *t, const struct query_options *options);
void query_table_deinit(struct query_table *t);
must_check int query_group(struct query_table *t, const struct query_group *wanted, uint32_t *ret_index);
must_check int query_table_result(const struct query_table *t, const struct query_options *options,
                                  struct query_result *ret_q);

/* query.c: folds what the options select. */
must_check int query_scan(struct view *v, const struct query_options *options, struct query_table *t);

#endif
