/* feed_private.h - what stands in the rings, byte by byte, and what both halves of a feed share. For feed.c,
 * feed_held.c (producer) and feed_read.c (consumer) only: each half touches its own part alone. */
#ifndef FOGLINE_DEVICE_FEED_PRIVATE_H
#define FOGLINE_DEVICE_FEED_PRIVATE_H

#include "device/feed.h"

enum { FEED_ABSENT = 0xff, FEED_HAS_POSITION = 1, FEED_HAS_REDUCED = 2, FEED_IS_ACCOUNT = 4 };

struct feed_head {
    uint8_t kind, flags, source, pad;
    uint16_t group, n;
};

struct feed_row_head {
    struct feed_head head;
    int64_t time_ns;
    uint64_t mono_ns;
};

/* Types of the columns of each group: the producer's to write rows, the consumer's to read them. */
struct feed_shape {
    uint32_t n;
    bool all_fixed; /* no text column */
    uint8_t type[BLOCK_COLUMNS_MAX];
};

struct feed_held {
    unsigned source;
    struct feed_event event;
};

struct feed {
    struct ring *live, *replay;
    bool wake_each, urgent;
    unsigned n_sources;
    struct sink_of *sinks; /* n_sources, the producer's */
    uint32_t n_groups;
    struct feed_shape *made, *known; /* SOURCE_GROUPS_MAX each: producer's, consumer's */
    struct feed_held *held;          /* FEED_HELD_MAX, in order; the producer's */
    unsigned n_held;
    struct feed_counters counters;
    struct pack_channel channels[BLOCK_COLUMNS_MAX]; /* of the group read last */
    struct cell cells[BLOCK_COLUMNS_MAX];            /* of the row read last */
};

/* feed.c; into the ring as it is: false when that has no room. */
bool feed_put_event(struct feed *f, unsigned source, const struct feed_event *e);
bool feed_shares_ring(const struct feed *f, unsigned a, unsigned b);

/* feed_held.c */
bool feed_hold(struct feed *f, unsigned source, const struct feed_event *e); /* false: too many wait */
/* What is held for the ring of that source, as far as there is room. false: some is left. */
bool feed_tell_held(struct feed *f, unsigned source);
bool feed_take_held(struct feed *f, unsigned *ret_source, struct feed_event *ret_e); /* false: none */

#endif
