/* rows.h - keys and values of the archive's tables: the one place that knows their bytes (written down in
 * README.md).
 *
 * Keys are big-endian, so that byte order is key order; values are little-endian and begin with a format
 * byte. Pure: no table is touched here. Decoders accept any bytes and say false when they are not a row of
 * this format. */
#ifndef FOGLINE_ARCHIVE_ROWS_H
#define FOGLINE_ARCHIVE_ROWS_H

#include "base/bytes.h"
#include "base/interval.h"
#include "spool/spool.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum archive_table {
    ARCHIVE_TABLE_DEVICES = SPOOL_TABLES, /* origin's name -> number, site */
    ARCHIVE_TABLE_SETS,                   /* device, set id -> set number, longest block, DescriptorSet */
    ARCHIVE_TABLE_SAMPLES,                /* device, set, time, stream, seq, row -> block record */
    ARCHIVE_TABLE_OTHERS,                 /* device, kind, stream, seq -> any other record */
    ARCHIVE_TABLE_TOTALS,                 /* stream -> device, epoch, records and samples per lane */
    ARCHIVE_TABLES
};
#define ARCHIVE_TABLE_NAMES SPOOL_TABLE_NAMES, "devices", "sets", "samples", "others", "totals"

enum {
    ROWS_FORMAT = 1,
    ROWS_KEY_MAX_BYTES = 128,
    ROWS_RECORD_HEAD_BYTES = 29,
    ROWS_SET_HEAD_BYTES = 13,
    ROWS_SET_KEY_BYTES = 12,
    ROWS_SAMPLE_KEY_BYTES = 32,
    ROWS_OTHER_KEY_BYTES = 20,
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

/* Prefix keys for walks. */
void prefix_put(struct row_key *k, uint32_t a);
static inline bool key_begins(struct span key, const struct row_key *prefix)
{
    return key.len >= prefix->len && memcmp(key.data, prefix->bytes, prefix->len) == 0;
}

#endif
