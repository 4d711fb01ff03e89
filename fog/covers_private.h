/* covers_private.h - what the files of the cover account share. Not for others. */
#ifndef FOGLINE_FOG_COVERS_PRIVATE_H
#define FOGLINE_FOG_COVERS_PRIVATE_H

#include "fog/covers_rows.h"

enum { COVERS_MARKS_MAX = 1024 }; /* waiting for the next flush; more come again with the next poll */

/* What one mark said, or the poll of a device. */
struct covers_mark {
    uint32_t stream;
    unsigned lane;
    struct interval range;
    struct interval_set settled;    /* of a poll: let go */
    uint64_t own_from[SPOOL_LANES]; /* below these the cloud had all own records when it came */
    bool is_poll;
};

struct covers {
    struct covers_options options;
    struct id128 store, epoch; /* the life whose rows these are */
    uint64_t rows[COVERS_STATE_SAID + 1], seqs[COVERS_STATE_SAID + 1];
    uint64_t needs, refused_seqs; /* needs of covered rows */
    int64_t covered_since_ms;     /* negative: not looked at yet */
    int64_t again_at_ms, again_after_ms;
    struct covers_mark marks[COVERS_MARKS_MAX];
    unsigned n_marks;
    bool is_link_open, has_emptied;
    char (*refused)[SPOOL_NAME_BYTES]; /* origins, sorted */
    size_t n_refused, alloc_refused;
    struct buf scratch;
    uint64_t counters[COVERS_COUNTERS];
};

/* The cloud has it and does not count it. */
static inline bool covers_row_is_refused(const struct covers_row *r)
{
    return r->asked >= COVERS_ASKED_MAX;
}

static inline uint64_t covers_row_length(const struct covers_row *r)
{
    return r->last - r->first + 1;
}

/* covers.c */
bool covers_is_this_life(const struct covers *c);
must_check int covers_begin(struct covers *c,
                            struct db_txn **ret_txn); /* and a new life empties the account */
void covers_needs_prune(const struct covers *c, struct covers_row *r); /* those that are settled */
bool covers_is_held(const struct covers *c, uint64_t own_seq);
struct spool_stream *covers_stream(const struct covers *c, uint32_t no); /* NULL: forgotten */

/* covers_table.c */
void covers_tally(struct covers *c, const struct covers_row *r, bool gone); /* what it counts for */
must_check int covers_row_write(struct covers *c, const struct covers_row *r);
must_check int covers_row_delete(struct covers *c, const struct covers_row *r);
/* Writes it, joined with its neighbours where they say the same. */
must_check int covers_row_join(struct covers *c, struct covers_row *r);
/* The first row at or after `at` by key, of the same state. 0; DB_NOT_FOUND; ... Damaged rows are passed. */
must_check int covers_row_next(struct covers *c, const struct covers_row *at, struct covers_row *ret_r);
/* The row of (state, stream, lane, reason) that holds `first`, or the next one of these. */
must_check int covers_row_at(struct covers *c, const struct covers_row *at, struct covers_row *ret_r);

/* covers_marks.c */
must_check int covers_refuse(struct covers *c, const char *origin);
void covers_unrefuse(struct covers *c, const char *origin);
must_check int covers_apply_marks(struct covers *c, int64_t now_ms);
must_check int covers_say_again(struct covers *c, int64_t now_ms);
void covers_marks_drop(struct covers *c, const struct spool_stream *s); /* NULL: all */

#endif
