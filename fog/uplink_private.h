/* uplink_private.h - what the files of the uplink stage share. Not for others. */
#ifndef FOGLINE_FOG_UPLINK_PRIVATE_H
#define FOGLINE_FOG_UPLINK_PRIVATE_H

#include "fog/uplink.h"

enum { UPLINK_SLOTS = 2048 };

/* One channel that goes up as changes. */
struct uplink_channel {
    uint32_t column; /* of the device's block */
    double scale;    /* 0: none */
    struct keep_rule rule;
    char of[DERIVED_TAG_BYTES];
    const char *tags[3];
};

/* Of a set with such channels: what its blocks are read and written with. */
struct uplink_detail {
    enum column_type types[BLOCK_COLUMNS_MAX]; /* of the device's set */
    uint32_t n_types, n;
    struct block_starts *starts;
    struct uplink_channel channel[BLOCK_COLUMNS_MAX];
    struct pack_channel out[BLOCK_COLUMNS_MAX];
    const char *const *tags[BLOCK_COLUMNS_MAX];
};

/* What the list says of a descriptor set. */
struct uplink_set {
    char origin[SPOOL_NAME_BYTES]; /* empty: none is here */
    uint64_t id;
    enum uplink_way way;
    bool is_mixed;
    struct uplink_detail *detail; /* NULL: no channel goes up as changes, or all go raw */
};

struct uplink {
    struct uplink_options o;
    struct wire_arena *arena;
    struct block_store *store;
    /* Records that came one after the other and may not be in the seen set yet. */
    uint32_t run_stream;
    unsigned run_lane;
    struct interval run;
    uint64_t counters[UPLINK_COUNTERS];
    struct uplink_set slot[UPLINK_SLOTS];
};

/* uplink_sets.c */
enum { UPLINK_SET_UNKNOWN = 33 };
/* 0; UPLINK_SET_UNKNOWN: its record has not come; DB_FULL; negative errno. Borrowed until the next call. */
must_check int uplink_set_of(struct uplink *u, const char *origin, uint64_t id,
                             const struct uplink_set **ret_set);
void uplink_sets_empty(struct uplink *u);

/* uplink_changes.c: what was sent last is forgotten, so that the next reading is sent: a block went up raw.
 * 0; DB_FULL; negative errno. */
must_check int uplink_changes_forget(struct uplink *u, const struct uplink_set *set);

#endif
