/* rows.h - keys and values of the archive's tables: the one place that knows their bytes (written down in
 * README.md).
 *
 * Keys are big-endian, so that byte order is key order; values are little-endian and begin with a format
 * byte. Pure: no table is touched here. Decoders accept any bytes and say false when they are not a row of
 * this format. */
#ifndef FOGLINE_CLOUD_ROWS_H
#define FOGLINE_CLOUD_ROWS_H

#include "base/bytes.h"
#include "base/interval.h"
#include "spool/spool.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum cloud_table {
    CLOUD_TABLE_DEVICES = SPOOL_TABLES, /* origin's name -> number, site */
    CLOUD_TABLE_SETS,                   /* device, set id -> set number, longest block, DescriptorSet */
    CLOUD_TABLE_SAMPLES,                /* device, set, time, stream, seq, row -> block record */
    CLOUD_TABLE_OTHERS,                 /* device, kind, stream, seq -> any other record */
    CLOUD_TABLE_TOTALS,                 /* stream -> device, epoch, records and samples per lane */
    CLOUD_TABLE_EXPLAINED,              /* stream, lane, carrier, index -> cover */
    CLOUD_TABLE_REPORTS,                /* stream, lane, relay -> what was last reported */
    CLOUD_TABLES
};
#define CLOUD_TABLE_NAMES                                                                                    \
    SPOOL_TABLE_NAMES, "devices", "sets", "samples", "others", "totals", "explained", "reports"

enum {
    ROWS_FORMAT = 1,
    ROWS_KEY_MAX_BYTES = 128,
    ROWS_RECORD_HEAD_BYTES = 29,
    ROWS_SET_HEAD_BYTES = 13,
    ROWS_SET_KEY_BYTES = 12,
    ROWS_SAMPLE_KEY_BYTES = 32,
    ROWS_OTHER_KEY_BYTES = 20,
    ROWS_COVER_KEY_BYTES = 19,
    ROWS_SEEN_KEY_BYTES = 13,
    ROWS_NEEDS_MAX = 256, /* records one cover may wait for */
};

struct row_key {
    uint8_t bytes[ROWS_KEY_MAX_BYTES];
    size_t len;
};

static inline struct span row_key_span(const struct row_key *k)
{
    return (struct span){k->bytes, k->len};
}

struct sample_key {
    uint32_t device, set;
    int64_t time_first_ns;
    uint32_t stream;
    uint64_t seq;
    uint32_t row; /* 0: a block as it came */
};
void sample_key_put(struct row_key *k, const struct sample_key *s);
bool sample_key_get(struct span key, struct sample_key *ret_s);

struct other_key {
    uint32_t device, kind, stream;
    uint64_t seq;
};
void other_key_put(struct row_key *k, const struct other_key *o);
bool other_key_get(struct span key, struct other_key *ret_o);

/* A record's value: format u8, kind u32, flags u32, samples u32, tag[16], payload: as in the spool. */
void record_head_put(uint8_t head[ROWS_RECORD_HEAD_BYTES], const struct record *r);
bool record_get(struct span value, struct spool_record *ret_r); /* payload borrows value */

struct device_row {
    char name[SPOOL_NAME_BYTES], site[SPOOL_NAME_BYTES];
    uint32_t no;
};
void device_key_put(struct row_key *k, const char *name);
void device_value_put(struct buf *b, const struct device_row *d);
bool device_get(struct span key, struct span value, struct device_row *ret_d);

struct set_row {
    uint32_t device, no;
    uint64_t id, span_max_ns;
    struct span descriptor; /* borrows; empty: has not come yet */
};
void set_key_put(struct row_key *k, uint32_t device, uint64_t id);
void set_head_put(uint8_t head[ROWS_SET_HEAD_BYTES], uint32_t no, uint64_t span_max_ns);
bool set_get(struct span key, struct span value, struct set_row *ret_s);

struct totals_lane {
    uint64_t records, samples;
};
struct totals_row {
    uint32_t stream, device;
    struct id128 epoch;
    struct totals_lane lane[SPOOL_LANES];
};
void totals_key_put(struct row_key *k, uint32_t stream);
void totals_value_put(struct buf *b, const struct totals_row *t);
bool totals_get(struct span key, struct span value, struct totals_row *ret_t);

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

/* Prefix keys for walks. */
void prefix_put(struct row_key *k, uint32_t a);
static inline bool key_begins(struct span key, const struct row_key *prefix)
{
    return key.len >= prefix->len && memcmp(key.data, prefix->bytes, prefix->len) == 0;
}

#endif
