/* query_cells.h - what a query has folded so far: a cell for each group and bucket. Inside common/archive
 * only.
 *
 * Samples come by channel and nearly in the order of time, so a few cells are written to at once: those are
 * open aggregates, one for each column of the set being scanned. All others are packed, some 80 bytes each,
 * as there may be millions. The table owns the packed bytes. Threads: one owner. */
#ifndef FOGLINE_ARCHIVE_QUERY_CELLS_H
#define FOGLINE_ARCHIVE_QUERY_CELLS_H

#include "window/aggregate.h"

#include <stddef.h>

struct cell_key {
    uint32_t group;
    int64_t bucket;
};

/* Being written to. Zero-initialised is of no cell. */
struct query_open {
    struct cell_key key;
    bool used;
    uint64_t n_texts;
    struct aggregate a;
    struct sketch sketch; /* a's, when quantiles are wanted */
};

struct query_cell {
    struct cell_key key;
    bool used;
    uint64_t n_texts;
    uint8_t *bytes; /* of aggregate_put; NULL when there is no number */
    size_t n_bytes;
};

/* Zero-initialised is empty. */
struct query_cells {
    struct query_cell *at; /* open addressing */
    size_t n, n_alloc;
    struct buf scratch;
    bool is_brief, has_sketch; /* of the aggregates, set before the first */
};

void query_cells_deinit(struct query_cells *t);
/* Makes *o the open aggregate of a cell; what it was of another is packed. 0 or -ENOMEM. */
must_check int query_cells_open(struct query_cells *t, struct query_open *o, struct cell_key key);
/* Packs it; *o is of no cell then. 0 or -ENOMEM. */
must_check int query_cells_close(struct query_cells *t, struct query_open *o);
/* sketch: where quantiles go; the aggregate borrows it. 0, or -EINVAL: the memory was damaged. */
must_check int query_cell_read(const struct query_cell *c, struct sketch *sketch, struct aggregate *ret_a);

#endif
