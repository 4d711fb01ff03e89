/* history_private.h - the inside of a fog's history, for history*.c only. */
#ifndef FOGLINE_FOG_HISTORY_PRIVATE_H
#define FOGLINE_FOG_HISTORY_PRIVATE_H

#include "fog/history.h"

enum { TRIM_LEAST = 512 /* records that a commit takes away at least, when something has to go */ };

/* One queue of blocks of a set: the front goes next. A set has one, and one more for blocks of times that
 * lie ahead of every clock here: they count as if the newest of them was made now. */
struct shelf {
    uint32_t device, set;
    bool is_ahead, is_empty;
    int64_t first_ns, last_ns; /* first times of its front and of its newest block */
};

struct history {
    struct archive *archive;
    char site[SPOOL_NAME_BYTES];
    struct history_limits limits;
    uint64_t table_bytes, n_blocks, n_others; /* when last looked */
    uint64_t excess_bytes;                    /* of blocks, to go, by the size of values */
    unsigned others_kept;                     /* of each device and kind */
    int64_t newest_ns;
    unsigned n_put;        /* since the last commit */
    unsigned piece;        /* what a commit takes away at least */
    struct shelf *shelves; /* by device, set; ahead ones last */
    size_t n_shelves, alloc_shelves;
    int64_t shelves_now_ns; /* the wall clock when they were made */
    int64_t ahead_from_ns;  /* times from here on lie ahead */
    int64_t ahead_now_ns;   /* as what is made now the newest of those count */
    bool is_limited, shelves_known, wants_others, others_are_many, is_closed;
    struct other_key others_at; /* where the walk over other records goes on */
    uint64_t counters[HISTORY_COUNTERS];
};

struct trim {
    struct db_txn *txn;
    struct db_cursor *cursor; /* over blocks */
    int64_t older_than_ns;    /* goes for age */
    unsigned left;
    int looks; /* at others, left */
};

/* history_shelves.c. A block that was put: 0 or -ENOMEM. */
must_check int shelves_note(struct history *h, const struct archive_found *b);
/* Made anew when they are not known or the wall clock moved on. 0, -ENOMEM, or what db_cursor_seek says. */
must_check int shelves_find(struct history *h, struct db_txn *txn, int64_t now_unix_ns);
/* The one to give next, and when the one after it begins; NULL: all are empty. Times as they count. */
struct shelf *shelves_oldest(struct history *h, int64_t *ret_next_ns);
int64_t shelf_time(const struct history *h, const struct shelf *s, int64_t first_ns); /* as it counts */

/* history_trim.c: a bounded piece of what has to go. 0; DB_FULL; negative errno. */
must_check int history_trim_blocks(struct history *h, struct trim *t, int64_t now_unix_ns);
must_check int history_trim_others(struct history *h, struct trim *t); /* one device and kind */
int64_t history_oldest_ns(const struct history *h);                    /* INT64_MAX: none, or not known */

#endif
