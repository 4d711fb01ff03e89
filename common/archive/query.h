/* query.h - numbers out of the archive: last values, and count, min, max, avg, sum by time bucket and by
 * name.
 *
 * A scan decodes only the columns a pattern selects and folds runs of rows that fall into one bucket. Absent
 * cells, cells of bad quality (unless bad_too) and NaN are not counted; text is counted only. Sums are
 * compensated (Neumaier 1974), so the result does not depend on the block sizes in any digit that matters.
 * Buckets begin at multiples of their width since 1970 UTC. Pure but for the view. Threads: the view's owner.
 */
#ifndef FOGLINE_ARCHIVE_QUERY_H
#define FOGLINE_ARCHIVE_QUERY_H

#include "archive/view.h"

struct query_options {
    const char *pattern; /* checked by the caller (pattern_check) */
    struct view_range range;
    int64_t bucket_ns;                   /* 0: one bucket, the whole range */
    bool by_site, by_device, by_channel; /* none: everything in one group */
    bool bad_too;
};

struct query_row {
    const char *site, *device, *channel,
        *unit;         /* NULL where not grouped by; unit NULL when it differs. Borrow the view */
    int64_t bucket_ns; /* start; 0 without buckets */
    uint64_t count;
    double min, max, sum; /* NaN when there is no number */
};

/* Zero-initialised is empty. */
struct query_result {
    struct query_row *at; /* by names, then bucket */
    size_t n;
};
void query_result_deinit(struct query_result *q);
/* Replaces *ret_q. Borrows names from the view: void after view_reload. 0 or negative errno. */
must_check int query_run(struct view *v, const struct query_options *options, struct query_result *ret_q);

/* The newest present cell of a channel. */
struct query_last {
    const struct view_device *device;
    const struct view_channel *channel;
    int64_t time_ns;
    uint8_t quality;
    union {
        double f64;
        int64_t i64;
    };
    char text[BLOCK_TEXT_MAX_BYTES + 1];
};
enum { QUERY_LAST_BLOCKS_MAX = 4096 }; /* how far back a channel that is mostly absent is looked for */
typedef int (*query_last_fn)(void *ctx, const struct query_last *l);
/* Calls fn for every selected channel that has a value, by device and set. */
must_check int query_last(struct view *v, const char *pattern, query_last_fn fn, void *ctx);

#endif
