/* ctl_query.h - the options of a query on a command line, and its lines as text and JSON: for `query` over
 * one store and `ask` over several. */
#ifndef FOGLINE_ARCHIVE_CTL_QUERY_H
#define FOGLINE_ARCHIVE_CTL_QUERY_H

#include "archive/ctl_reading.h"
#include "archive/query.h"

struct query_ask {
    struct query_options q;
    enum query_stat stats[QUERY_STATS]; /* what is shown, in the order of the columns */
    unsigned n_stats;
    bool has_stats;    /* --stats was given */
    bool is_aggregate; /* any option that asks for more than last values was */
};

/* The pattern (first argument or --select), --from, --to, --bucket, --by, --stats, --bad. CTL_OK, or
 * CTL_USAGE with the message said. Borrows from ctl. */
must_check int query_ask_read(struct ctl *ctl, struct query_ask *ret_ask);
/* A table, or an array of objects, on ctl->out. An exit code. */
int query_ask_text(struct ctl *ctl, const struct query_ask *ask, const struct query_result *res);
int query_ask_json(struct ctl *ctl, const struct query_ask *ask, const struct query_result *res);
/* The array into a writer. */
void query_ask_rows(struct json *j, const struct query_ask *ask, const struct query_result *res);

#endif
