/* what_if_private.h - a trial of policies, for what_if.c and what_if_send.c only. */
#ifndef FOGLINE_DEVICE_WHAT_IF_PRIVATE_H
#define FOGLINE_DEVICE_WHAT_IF_PRIVATE_H

#include "device/keep/what_if.h"

enum { WHAT_IF_WINDOW_COLUMNS_MAX = BLOCK_COLUMNS_MAX / KEEP_WINDOW_CELLS };

struct what_if {
    const struct codec_table *table;
    uint32_t block_rows, n;
    int64_t pack_ns;
    uint32_t column[BLOCK_COLUMNS_MAX]; /* of the table */
    double range[BLOCK_COLUMNS_MAX];
    struct what_if_recording about;
    struct codec_table *sent; /* what a policy leaves; after the codec, what a reader has */
    uint64_t *source;         /* row of the table of each row sent; of a window: its first */
    struct block_coder *coder;
    struct block_store *store;
    struct keep_rule rule[BLOCK_COLUMNS_MAX];
    struct keep_channel state[BLOCK_COLUMNS_MAX];
    struct keep_window window[BLOCK_COLUMNS_MAX];
};

static inline bool what_if_is_absent(const struct column *c, uint64_t row)
{
    return c->absent != NULL && c->absent[row];
}

static inline double what_if_value(const struct column *c, uint64_t row)
{
    return c->type == COLUMN_DOUBLE ? c->f64[row] : (double)c->i64[row];
}

/* what_if_send.c: w->sent and w->source as the policy leaves them. */
void what_if_send(struct what_if *w, const struct what_if_policy *policy);

#endif
