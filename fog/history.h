/* history.h - the site's short-term memory: every record of its devices and of the fog itself, by device and
 * time (common/archive), for as long as age and bytes allow.
 *
 * It lives in the spool's environment, so that a record and its copy for the cloud are one transaction. It is
 * nobody's only copy: what goes here for age or room is no eviction, and a history without room never keeps a
 * record from being relayed. Blocks go oldest first, over all devices; of everything else the newest of each
 * device and kind stay, so many that they take no more than half of the bytes. Ages are told by the newest
 * sample here or the wall clock, whichever is earlier, so a clock that jumps ahead clears nothing.
 *
 * All changes belong to the spool's open transaction; after a commit or a rollback the functions below say
 * so. Crash: as the spool. Threads: the spool's owner. */
#ifndef FOGLINE_FOG_HISTORY_H
#define FOGLINE_FOG_HISTORY_H

#include "archive/archive.h"

enum fog_table {
    FOG_TABLE_COVERS = ARCHIVE_TABLES, /* covers_rows.h */
    FOG_TABLE_UPLINK,                  /* uplink_changes.c */
    FOG_TABLE_RULES,                   /* rules_rows.c */
    FOG_TABLE_MODELS,                  /* models_rows.c */
    FOG_TABLES
};
#define FOG_TABLE_NAMES ARCHIVE_TABLE_NAMES, "covers", "uplink", "rules", "models"

enum history_counter {
    HISTORY_RECORDS,
    HISTORY_NO_ROOM,
    HISTORY_BLOCKS_GONE,
    HISTORY_OTHERS_GONE,
    HISTORY_COUNTERS
};
extern const struct counter_info history_counter_info[HISTORY_COUNTERS];

struct history_limits {
    uint64_t max_bytes; /* of table pages; 0: nothing is kept */
    int64_t max_age_ns; /* 0: nothing is kept */
};

struct history;

/* Borrows the archive. Keeps nothing and takes nothing away before it is given limits. */
must_check int history_new(struct history **ret_h, struct archive *a, const char *site);
struct history *history_free(struct history *h); /* accepts NULL */
void history_limit(struct history *h, const struct history_limits *limits);

/* A record that is new here. 0, or negative errno; a full map or another limit is counted, not told. */
must_check int history_put(struct history *h, struct spool_stream *s, const struct record *r);
must_check int history_forget(struct history *h, const struct spool_stream *s); /* archive_forget */
/* Before each commit: totals, and a bounded piece of what has to go. 0; ARCHIVE_FULL; negative errno. */
must_check int history_flush(struct history *h, int64_t now_unix_ns);
void history_committed(struct history *h);
must_check int history_reload(struct history *h); /* after a rollback */

/* Once a second or so, between transactions: looks how much there is. */
void history_look(struct history *h);
bool history_has_to_go(const struct history *h); /* a commit now would take more away */

struct history_status {
    uint64_t bytes, max_bytes, blocks, others;
    int64_t oldest_ns, newest_ns; /* of samples; INT64_MAX, INT64_MIN: none */
    int64_t max_age_ns;
};
void history_status(const struct history *h, struct history_status *ret);
const uint64_t *history_counters(const struct history *h);

#endif
