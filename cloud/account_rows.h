/* account_rows.h - keys and values of the cloud's own tables: what is explained and what was reported, and
 * the archived set (written down in README.md). As archive/rows.h. */
#ifndef FOGLINE_CLOUD_ACCOUNT_ROWS_H
#define FOGLINE_CLOUD_ACCOUNT_ROWS_H

#include "archive/archive.h"

enum cloud_table {
    CLOUD_TABLE_EXPLAINED = ARCHIVE_TABLES, /* stream, lane, carrier, index -> cover */
    CLOUD_TABLE_REPORTS,                    /* stream, lane, relay -> what was last reported */
    CLOUD_TABLES
};
#define CLOUD_TABLE_NAMES ARCHIVE_TABLE_NAMES, "explained", "reports"

enum {
    ROWS_COVER_KEY_BYTES = 19,
    ROWS_SEEN_KEY_BYTES = 13,
    ROWS_NEEDS_MAX = 256, /* records one cover may wait for */
};

/* One cover of one record: what it says of a lane of a stream. */
struct cover_row {
    uint32_t stream; /* spoken of */
    unsigned lane;
    uint32_t carrier; /* stream of the record that says so */
    uint64_t carrier_seq;
    uint16_t index; /* of the cover within the record */
    uint8_t reason; /* proto Reason */
    bool allowed;   /* by the policy when it came */
    uint64_t samples;
    struct id128 store;            /* zero: none */
    const uint8_t *needs, *bounds; /* little-endian 64-bit; borrow the value */
    uint32_t n_needs, n_bounds;    /* bounds: from, to, from, to ... */
};
void cover_key_put(struct row_key *k, const struct cover_row *c);
void cover_value_put(struct buf *b, const struct cover_row *c);
bool cover_get(struct span key, struct span value, struct cover_row *ret_c);
static inline uint64_t cover_need(const struct cover_row *c, size_t i)
{
    return load_le64(c->needs + 8 * i);
}
static inline struct interval cover_interval(const struct cover_row *c, size_t i)
{
    return (struct interval){load_le64(c->bounds + 16 * i), load_le64(c->bounds + 16 * i + 8)};
}

/* What was last reported of a lane: by its owner (relay empty), or what a relay holds of it. */
struct report_row {
    uint32_t stream;
    unsigned lane;
    char relay[SPOOL_NAME_BYTES];
    char by[SPOOL_NAME_BYTES]; /* who brought it */
    bool unlisted;             /* the owner's later Hello no longer lists this epoch */
    bool held_cut;             /* more intervals were held than are listed */
    uint64_t next, lowest_held, held_count, samples_produced, samples_held;
    int64_t wall_unix_ns;
    /* Of an owner, in an archive that was put back from a copy or made anew; life 0: not said. */
    uint64_t life;       /* archive_life when it was said */
    uint64_t lost_below; /* numbers below were made before the owner knew: what is missing of them went with
                            the archive */
    int64_t lost_until_unix_ns; /* until then reports still raise lost_below */
    uint32_t n_bounds;
    uint64_t bounds[2 * WIRE_INTERVALS_MAX]; /* held: from, to, ... */
};
void report_key_put(struct row_key *k, uint32_t stream, unsigned lane, const char *relay);
void report_value_put(struct buf *b, const struct report_row *r);
bool report_get(struct span key, struct span value, struct report_row *ret_r);

/* The spool's interval rows (SPOOL_TABLE_SEEN): be32 stream, u8 lane, be64 first -> le64 last. */
void seen_key_put(struct row_key *k, uint32_t stream, unsigned lane, uint64_t first);
bool seen_get(struct span key, struct span value, uint32_t *ret_stream, unsigned *ret_lane,
              struct interval *ret_i);

/* Of the cloud's archive: its tables, and nothing is taken out. */
struct archive_options cloud_archive_options(const struct spool_options *spool);
extern const char *const cloud_table_names[CLOUD_TABLES];

#endif
