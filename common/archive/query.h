/* query.h - numbers out of the archive: last values, and statistics by time bucket and by name.
 *
 * A scan decodes only the columns a pattern selects and folds runs of rows that fall into one bucket. Absent
 * cells, cells of bad quality (unless bad_too) and NaN are not counted; text is counted only. All of it
 * is of struct aggregate (window/aggregate.h): the same bits however the samples stand in blocks.
 * Buckets begin at multiples of their width since 1970 UTC. Pure but for the view. Threads: the view's owner.
 */
#ifndef FOGLINE_ARCHIVE_QUERY_H
#define FOGLINE_ARCHIVE_QUERY_H

#include "archive/view.h"

enum query_stat {
    QUERY_COUNT,
    QUERY_MIN,
    QUERY_MAX,
    QUERY_AVG,
    QUERY_SUM,
    QUERY_STDDEV,   /* of the sample */
    QUERY_FIRST,    /* the value of the lowest time */
    QUERY_LAST,     /* of the highest */
    QUERY_RATE,     /* (last - first) per second between them */
    QUERY_TIME_AVG, /* from the first to the last sample, each holding until the next; in the order of time
                       only */
    QUERY_P50,
    QUERY_P90,
    QUERY_P99,
    QUERY_P_ERROR, /* how far those three may be off, as a share of them */
    QUERY_STATS,
};
#define QUERY_BIT(stat) (1U << (stat))

struct query_options {
    const char *pattern; /* checked by the caller (pattern_check) */
    struct view_range range;
    int64_t bucket_ns;                   /* 0: one bucket, the whole range */
    bool by_site, by_device, by_channel; /* none: everything in one group */
    bool bad_too;
    bool without_again; /* leave out blocks that may have been given to another store, and count them */
    uint32_t wanted;    /* QUERY_BIT of statistics; count, min, max, avg and sum come always */
};

struct query_row {
    const char *site, *device, *channel,
        *unit;                /* NULL where not grouped by; unit NULL when it differs. Borrow the view */
    int64_t bucket_ns;        /* start; 0 without buckets */
    uint64_t count;           /* texts, too */
    double stat[QUERY_STATS]; /* NaN when unknown, as all are when there is no number; not of QUERY_COUNT */
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
